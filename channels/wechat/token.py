"""Access tokens that a vendor issues for a while: kept for all daemons, fetched one at a time, renewed once when refused.

Used for WeChat (stable_token), WeCom (gettoken) and FCM (OAuth). Asking for a token sends nobody a message, so that a token
endpoint that fails in whatever way is a definite "not sent".
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from channels.http import Answer, Lost, NotSent
from channels.message import Clock, Fault, Outcome, RetryLater, Tokens

EARLY = 5 * 60 * 1000  # WeChat issues the next token in the last five minutes of one; both are good for that long
PATIENCE = 30 * 1000  # between two attempts to renew a token that still works: WeCom gives the same one until its very end
UNREACHABLE = 5_000  # milliseconds until a vendor that could not be reached is tried again
LONGEST = 86_400  # seconds that a token is believed to live: no vendor here gives more than two hours
RESTED = 5 * 60 * 1000  # until credentials that were refused are probed: somebody has to change them first

NoToken = Fault | RetryLater
Fetch = Callable[[], tuple[str, int] | NoToken]  # the token and the seconds that it lives


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """The vendor refused a request because of its token, and did nothing else: a second request with another token is safe."""

    code: str
    reason: str


def errcode(answer: Answer) -> tuple[int, str] | None:
    """The `errcode` and `errmsg` of WeChat and WeCom; None unless it is a 200 whose JSON object holds an integer errcode."""
    body = answer.json() if answer.status == 200 else None  # noqa: PLR2004 - every business answer is a 200
    code = body.get("errcode") if body else None
    if body is None or not isinstance(code, int) or isinstance(code, bool):
        return None
    return code, str(body.get("errmsg", ""))[:300]


def read_token(answer: Answer | NotSent | Lost, cure: str) -> tuple[str, int] | NoToken:
    """The answer of stable_token and gettoken. `cure` names the config keys to look at.

    An errcode other than -1 (busy), 45009 and 45011 (too often) is a Fault: appid, secret or the list of allowed IP addresses
    (40001, 40013, 40125, 40164, 41002, 41004, 60020 and their kin). Whatever is unreadable is tried again soon.
    """
    if not isinstance(answer, Answer):
        return RetryLater(UNREACHABLE, f"no access token: {answer.reason}", whole_channel=True)
    body = answer.json() or {}
    token, seconds = body.get("access_token"), body.get("expires_in")
    if answer.status == 200 and isinstance(token, str) and token and isinstance(seconds, int) and seconds > 0:  # noqa: PLR2004
        return token, seconds
    found = errcode(answer)
    if found is None or found[0] == 0:
        return RetryLater(UNREACHABLE, f"no access token: unreadable answer, HTTP {answer.status}", whole_channel=True)
    code, reason = found
    if code in {-1, 45009, 45011}:
        return RetryLater(UNREACHABLE if code == -1 else 60_000, f"no access token: {code} {reason}", whole_channel=True)
    return Fault(str(code), f"no access token: {reason}; check {cure}", RESTED)


class StableToken:
    """One token by `name` in the shared store. `fetch` asks the vendor; `get` and `refresh_once` are safe for many threads."""

    def __init__(self, *, name: str, fetch: Fetch, tokens: Tokens, clock: Clock) -> None:
        self._name, self._fetch, self._tokens, self._clock = name, fetch, tokens, clock
        self._lock = threading.Lock()
        self._held: tuple[str, int] | None = None  # read without the lock: a tuple is replaced whole
        self._fetches = 0
        self._fetched_at = 0
        self._failure: NoToken | None = None

    def get(self) -> str | NoToken:
        """A token that is good for now: from memory, from the store, or a new one when it is absent or about to end."""
        before = self._fetches
        held, now = self._held, self._clock()
        if held is not None and now < held[1] - EARLY:
            return held[0]
        with self._lock:
            now = self._clock()
            stored = self._read(now)
            resting = stored is not None and now < self._fetched_at + PATIENCE
            if stored is not None and (resting or now < stored[1] - EARLY):
                return stored[0]
            if self._failure is not None and self._fetches != before:
                return self._failure  # somebody else failed while this thread waited: do not queue for the same failure
            fetched = self._renew(now)
            return stored[0] if stored is not None and not isinstance(fetched, str) else fetched

    def refresh_once(self, stale: str) -> str | NoToken:
        """Another token after the vendor refused `stale`: the one that the store holds by now, else a new one.

        Never WeChat's force_refresh: it is limited to 20 a day and takes the token away from the other daemons.
        """
        before = self._fetches
        with self._lock:
            now = self._clock()
            stored = self._read(now)
            if stored is not None and stored[0] != stale:
                return stored[0]
            if self._failure is not None and self._fetches != before:
                return self._failure
            return self._renew(now)

    def _read(self, now: int) -> tuple[str, int] | None:
        """What the store holds, unless it is over; remembered in memory."""
        stored = self._tokens.get(self._name)
        if stored is None or now >= stored[1]:
            return None
        self._held = stored
        return stored

    def _renew(self, now: int) -> str | NoToken:
        fetched = self._fetch()
        self._fetches += 1
        self._fetched_at = now
        if not isinstance(fetched, tuple):
            self._failure = fetched
            return fetched
        token, seconds = fetched
        self._failure = None
        self._held = (token, now + min(seconds, LONGEST) * 1000)
        self._tokens.put(self._name, *self._held)
        return token


def with_token(token: StableToken, post: Callable[[str], Outcome | TokenRefused]) -> Outcome:
    """Post with a token; when the vendor refuses that token, once more with another; a second refusal is a Fault.

    The second request is safe for a vendor without idempotency keys: the first was refused, so nothing was sent. Whatever happens
    to the second one (Unknown, say) is the outcome.
    """
    first = token.get()
    if not isinstance(first, str):
        return first
    outcome = post(first)
    if not isinstance(outcome, TokenRefused):
        return outcome
    second = token.refresh_once(first)
    if not isinstance(second, str):
        return second
    outcome = post(second)
    if isinstance(outcome, TokenRefused):
        return Fault(outcome.code, f"two access tokens in a row were refused: {outcome.reason}", RESTED)
    return outcome
