"""JPush (极光推送), API v3: notifications to one device by its registration id.

Its idempotency key is the cid, which JPush issues: the same cid gives the first answer again and no second push, for a day from
when it was issued. Sources: rest_api_v3_push with its table of return codes, and the vendor's own Python client.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from channels.http import Answer, Http, Lost, NotSent
from channels.message import Accepted, Clock, Diagnosis, Fault, Guarantee, Key, Message, Outcome, Rejected, RetryLater, Tokens, Unknown

MOST_CIDS = 10  # a call, without a VIP account
DAY = 86_400  # seconds
_HOUR = 3_600_000
_CREDENTIALS = frozenset({1004, 1008, 1020, 2003, 2004, 2006, 2007})
_MESSAGE = frozenset({1002, 1003, 1005, 1009, 2005})


def build_body(message: Message, *, production: bool, time_to_live: int) -> bytes:
    """The JSON to post. `page` travels in the extras; `time_to_live` is how long JPush keeps it for a phone that is off, in seconds."""
    title, text, page = (str(message.content.get(name) or "") for name in ("title", "body", "page"))
    extras = {"page": page} if page else {}
    android: dict[str, Any] = {"alert": text, "extras": extras}
    if title:
        android["title"] = title
    ios = {"alert": {"title": title, "body": text} if title else text, "extras": extras}
    body = {
        "cid": message.vendor_key,
        "platform": "all",
        "audience": {"registration_id": [message.address]},
        "notification": {"alert": text, "android": android, "ios": ios},
        "options": {"time_to_live": time_to_live, "apns_production": production},
    }
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def read_answer(answer: Answer | NotSent | Lost) -> Outcome:
    """What an answer of POST /v3/push means. 5xx (1000, 1030 too) is Unknown: the cid makes trying again safe."""
    if isinstance(answer, NotSent):
        return RetryLater(5_000, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    body = answer.json() or {}
    if answer.status == 200:  # noqa: PLR2004 - HTTP's own number
        return _read_accepted(body)
    error = body.get("error")
    code, reason = (error.get("code"), str(error.get("message", ""))[:300]) if isinstance(error, dict) else (None, "")
    code = code if isinstance(code, int) else None
    if answer.status >= 500:  # noqa: PLR2004 - HTTP's own number
        return Unknown(f"HTTP {answer.status} {reason}")
    if answer.status == 429 or code == 2002:  # noqa: PLR2004 - the documented numbers
        return RetryLater(_until_reset(answer.headers), f"too many calls: {reason}", whole_channel=True)
    if answer.status == 401 or code in _CREDENTIALS:  # noqa: PLR2004 - HTTP's own number
        return Fault(str(code or answer.status), f"JPush refuses the application: {reason}", _HOUR)
    if code == 1011:  # noqa: PLR2004 - the documented number
        return Rejected("1011", f"no device with this registration id, or none for 255 days: {reason}", "address")
    if code == 1012:  # noqa: PLR2004 - the documented number
        return RetryLater(60_000, f"too many pushes under way: {reason}")
    if code in _MESSAGE:
        return Rejected(str(code), reason)
    return Unknown(f"HTTP {answer.status} with code {code}, which is not documented: {reason}")


def _read_accepted(body: Mapping[str, Any]) -> Accepted | Unknown:
    found = body.get("msg_id")
    if isinstance(found, str | int) and not isinstance(found, bool) and str(found).isdigit():
        return Accepted(str(found))
    return Unknown("HTTP 200 without a msg_id")


def _until_reset(headers: Mapping[str, str]) -> int:
    """Milliseconds until the window of the rate limit begins anew (X-Rate-Limit-Reset, seconds), at most an hour."""
    text = headers.get("x-rate-limit-reset", "")
    return min(max(int(text), 1), 3600) * 1000 if text.isascii() and text.isdigit() and len(text) < 10 else 60_000  # noqa: PLR2004


def read_cids(answer: Answer | NotSent | Lost) -> list[str]:
    """The keys in an answer of GET /v3/push/cid; none when it holds none."""
    body = answer.json() if isinstance(answer, Answer) and answer.status == 200 else None  # noqa: PLR2004 - HTTP's own number
    found = (body or {}).get("cidlist")
    return [cid for cid in found if isinstance(cid, str) and cid] if isinstance(found, list) else []


class JPush:
    """The channel. `production`: whether iPhones are reached through Apple's production servers (an app from the store).

    The key is trusted for 20 of its 24 hours; the time that a cid lies in a pool before it is used counts against the other four.
    """

    guarantee: Guarantee = Key(20 * _HOUR)
    one_at_a_time = False

    def __init__(
        self, *, app_key: str, master_secret: str, production: bool, tokens: Tokens | None = None, clock: Clock | None = None,
        base_url: str = "https://api.jpush.cn", timeout: float = 5.0, time_to_live: int = DAY,
    ) -> None:  # fmt: skip
        del tokens, clock  # every adapter is given them; basic authentication needs neither
        self._http = Http(base_url, timeout=timeout)
        credentials = base64.b64encode(f"{app_key}:{master_secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        self._production, self._time_to_live = production, time_to_live
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """Push one notification; `vendor_key` is a cid from `new_keys`."""
        body = build_body(message, production=self._production, time_to_live=self._time_to_live)
        return read_answer(self._http.request("POST", "/v3/push", body=body, headers=self._headers))

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """Unknown: nothing tells a push by its cid; sending it again with the same cid does."""
        return Unknown("JPush cannot be asked by a cid")

    def new_keys(self, n: int) -> Sequence[str] | Fault:
        """Up to `n` fresh cids, ten a call; fewer when JPush does not answer, and its fault when it refuses our credentials."""
        keys: list[str] = []
        while len(keys) < n:
            count = min(MOST_CIDS, n - len(keys))
            answer = self._http.request("GET", f"/v3/push/cid?count={count}&type=push", headers=self._headers)
            if isinstance(answer, Answer) and answer.status in (401, 403):
                refused = read_answer(answer)
                return refused if isinstance(refused, Fault) else Fault(str(answer.status), "JPush refuses the credentials", _HOUR)
            more = read_cids(answer)
            keys += more[:count]
            if len(more) < count:
                break
        return keys

    def diagnose(self) -> Sequence[Diagnosis]:
        """Ask for one cid: it proves app_key and master_secret and messages nobody."""
        answer = self._http.request("GET", "/v3/push/cid?count=1&type=push", headers=self._headers)
        if read_cids(answer):
            return [Diagnosis("credentials", ok=True, found="JPush issued a cid")]
        outcome = read_answer(answer)
        if isinstance(outcome, Fault):
            cure = (
                "copy AppKey and Master Secret from the console, 应用设置 > 应用信息, to app_key and master_secret; check the IP whitelist"
            )
            return [Diagnosis("credentials", ok=False, found=f"{outcome.code}: {outcome.reason}", cure=cure)]
        found = getattr(outcome, "reason", "") or "an answer without a cid"
        return [Diagnosis("credentials", ok=False, found=found, cure="try again; check base_url and the network")]

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()
