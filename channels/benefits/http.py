"""A benefit of the operator's own coupon, points or cash service: one signed POST per grant."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from channels.http import Answer, Http, Resolve
from channels.message import Accepted, Clock, Diagnosis, Guarantee, Key, Message, Outcome, Rejected, Unknown
from channels.webhook import HOUR, checked_url, headers, json_body, reached, refusal, secret_bytes, told

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_SPEAKS = (200, 201, 202, 409, 410, 422)  # statuses whose body says {"ok": …}


def body_of(message: Message, benefit: str) -> bytes:
    """The JSON that is posted: what the journey wrote, and who, what and why; instants as ISO 8601 in UTC."""
    content = {k: v for k, v in message.content.items() if v is not None and k != "once"}  # ours: what it was given once for
    if isinstance(content.get("expires_at"), int):
        content["expires_at"] = datetime.fromtimestamp(content["expires_at"] / 1000, UTC).isoformat(timespec="seconds")
    ours = {
        "benefit": benefit, "key": message.key, "user_id": message.user_id, "journey": message.journey, "step": message.step,
    }  # fmt: skip
    return json_body({**content, **ours})


def outcome_of(answer: Answer, message: Message) -> Outcome:
    """What the service says in its body; a yes without {"ok": true} is none."""
    said = answer.json()
    ok = said.get("ok") if said is not None and answer.status in _SPEAKS else None
    if said is not None and ok is True and answer.status < 300:  # noqa: PLR2004
        reference, code = said.get("reference", ""), said.get("code")
        return Accepted(str(reference) if isinstance(reference, str | int) else "", {"code": code} if isinstance(code, str) else {})
    if said is not None and ok is False and answer.status in (200, 409, 410, 422):
        reason = told(said.get("reason", ""), message.address)
        return Rejected(reason if _CODE.fullmatch(reason) else "refused", reason)
    return Unknown(f"answered {answer.status} without a clear yes or no")


class HttpBenefit:
    """Grants by POST, signed by Standard Webhooks; `webhook-id` is the grant's own key.

    The service's part of the contract: it treats equal webhook-ids as one grant for at least 24 hours, and answers a repeat as it
    answered the first. That is why an attempt that nobody can tell the end of is repeated with the same id. It answers 2xx
    {"ok": true, "code"?, "reference"?}, or 200, 409, 410 or 422 {"ok": false, "reason"} for a definite no; see docs/channels/benefits.md.
    """

    guarantee: Guarantee = Key(24 * HOUR)
    one_at_a_time = False
    timeout = 8_000

    def __init__(
        self, *, benefit: str, url: str, secret: str, clock: Clock, timeout: float = 5.0, allowed: tuple[str, ...] = (),
        plain_http: bool = False, resolve: Resolve | None = None,
    ) -> None:  # fmt: skip
        self._benefit, self._clock = benefit, clock
        self._url = checked_url(url, plain_http=plain_http)
        self._secret = secret_bytes(secret)
        self._http = Http(url, timeout=timeout, guarded=True, allowed=allowed, resolve=resolve)
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """One grant."""
        body = body_of(message, self._benefit)
        answer = self._http.request("POST", self._url, body=body, headers=headers(self._secret, message.key, self._clock(), body))
        known = refusal(answer)
        if known is not None or not isinstance(answer, Answer):
            return known or Unknown()
        return outcome_of(answer, message)

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """There is nothing to ask: a repeat with the same id is the question."""
        return Unknown("a repeat with the same webhook-id tells")

    def diagnose(self) -> Sequence[Diagnosis]:
        """Ask for the URL's OPTIONS: any answer proves that it is reached, nothing is granted."""
        return [reached(self._http, self._url, f"benefit {self._benefit}")]

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()
