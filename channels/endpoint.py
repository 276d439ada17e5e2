"""A named endpoint of the operator's own, which a `call` step asks: one signed POST, one JSON object back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from channels.http import Answer, Http, Resolve
from channels.message import Accepted, Clock, Diagnosis, Guarantee, Key, Message, Outcome, Rejected, Unknown
from channels.webhook import HOUR, checked_url, headers, json_body, reached, refusal, secret_bytes, told

FieldType = Literal["text", "number", "boolean", "time", "list"]
YEAR_1900, YEAR_2100 = -2_208_988_800_000, 4_102_444_800_000  # what lies outside cannot be shown in every zone
LONGEST_TEXT, LONGEST_LIST, LARGEST_NUMBER = 2_000, 200, 1e12


def typed(value: Any, kind: str) -> Any:
    """The value as its declared type, or None (left out): nothing is guessed. A time is an ISO 8601 text with an offset → milliseconds."""
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "number":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return value if fits and abs(value) <= LARGEST_NUMBER else None
    if kind == "text":
        return value if isinstance(value, str) and len(value) <= LONGEST_TEXT else None
    if kind == "list":
        return value if isinstance(value, list) and len(value) <= LONGEST_LIST and all(isinstance(v, str) for v in value) else None
    return _instant(value) if kind == "time" else None


def _instant(value: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        at = None if moment is None or moment.tzinfo is None else round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return at if at is not None and YEAR_1900 <= at < YEAR_2100 else None


def outcome_of(answer: Answer, declared: Mapping[str, FieldType], private: str) -> Outcome:
    """A 2xx object with a declared field is a yes; any other 4xx a no.

    An object in which every declared field is missing is somebody else's answer: nobody can tell. Where nothing is declared, a 204 will do.
    """
    if 400 <= answer.status < 500:  # noqa: PLR2004 - a client's error: what may have been done or concerns us all is taken out before
        said = answer.json() or {}
        return Rejected(str(answer.status), told(said.get("reason", ""), private))
    if not 200 <= answer.status < 300:  # noqa: PLR2004
        return Unknown(f"answered {answer.status}")
    if answer.status == 204 and not declared:  # noqa: PLR2004 - "no content" is an answer
        return Accepted()
    said_object = answer.json()
    if said_object is None:
        return Unknown(f"answered {answer.status}, but no JSON object")
    if declared and not declared.keys() & said_object.keys():
        return Unknown("the answer has none of the declared fields")
    taken = {name: typed(said_object.get(name), kind) for name, kind in declared.items()}
    return Accepted("", {name: value for name, value in taken.items() if value is not None})


class HttpEndpoint:
    """Calls by POST, signed by Standard Webhooks where there is a secret; `webhook-id` is the call's own key.

    The service's part of the contract: equal webhook-ids within 24 hours are one call, answered alike. It answers 2xx with a JSON object
    of which the fields in `answer` are kept (one of the wrong type is left out), or a 4xx for a definite no.
    """

    guarantee: Guarantee = Key(24 * HOUR)
    one_at_a_time = False
    timeout = 5_000

    def __init__(  # noqa: PLR0913 - one per key of config
        self, *, name: str, url: str, secret: str, answer: Mapping[str, FieldType], clock: Clock, timeout: float = 2.0,
        allowed: tuple[str, ...] = (), plain_http: bool = False, resolve: Resolve | None = None,
    ) -> None:  # fmt: skip
        self._name, self._answer, self._clock = name, dict(answer), clock
        self._url = checked_url(url, plain_http=plain_http)
        self._secret = secret_bytes(secret) if secret else b""
        self._http = Http(url, timeout=timeout, guarded=True, allowed=allowed, resolve=resolve)
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """One call; `message.content` is the body."""
        body = json_body(message.content)
        answer = self._http.request("POST", self._url, body=body, headers=headers(self._secret, message.key, self._clock(), body))
        known = refusal(answer)
        if known is not None or not isinstance(answer, Answer):
            return known or Unknown()
        return outcome_of(answer, self._answer, message.address)

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """There is nothing to ask: a repeat with the same id is the question."""
        return Unknown("a repeat with the same webhook-id tells")

    def diagnose(self) -> Sequence[Diagnosis]:
        """Ask for the URL's OPTIONS: any answer proves that it is reached, nothing is called."""
        return [reached(self._http, self._url, f"endpoint {self._name}")]

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()
