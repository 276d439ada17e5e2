"""Firebase Cloud Messaging, HTTP v1: notifications to one device by its registration token.

FCM has no idempotency key and no query. Source of the codes: firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode. The code
stands in `error.details[].errorCode`; `error.status` is Google's general one. In mainland China phones rarely reach FCM.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from google.auth import crypt, jwt
from google.auth.exceptions import GoogleAuthError

from channels.http import Answer, Http, Lost, NotSent
from channels.message import (
    Accepted,
    Clock,
    Diagnosis,
    Fault,
    Guarantee,
    Message,
    Neither,
    Outcome,
    Rejected,
    RetryLater,
    Tokens,
    Unknown,
)
from channels.wechat.token import NoToken, StableToken, TokenRefused, with_token

LARGEST_PAYLOAD = 4096  # bytes of notification and data
DAY = 86_400  # seconds
_HOUR = 3_600_000
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_AUDIENCE = "https://oauth2.googleapis.com/token"  # what Google's own client names, wherever it asks
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_OK = 200


def build_body(message: Message, now: int, time_to_live: int, *, validate_only: bool = False) -> bytes | Rejected:
    """The JSON to post; Rejected when notification and data are more than FCM takes. `now` is milliseconds since 1970."""
    title, text, page = (_plain(message.content.get(name)) for name in ("title", "body", "page"))
    notification = {"title": title, "body": text} if title else {"body": text}
    data = {"page": page} if page else {}
    size = len(json.dumps([notification, data], ensure_ascii=False).encode())
    if size > LARGEST_PAYLOAD:
        return Rejected("too_long", f"title, body and page have {size} bytes, FCM takes {LARGEST_PAYLOAD}")
    inner: dict[str, Any] = {
        "token": message.address,
        "notification": notification,
        "android": {"ttl": f"{time_to_live}s"},
        "apns": {"headers": {"apns-expiration": str(now // 1000 + time_to_live)}},
    }
    if data:
        inner["data"] = data
    body = {"message": inner, "validate_only": True} if validate_only else {"message": inner}
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _plain(found: Any) -> str:
    return str(found or "").encode("utf-8", "replace").decode()


def read_answer(answer: Answer | NotSent | Lost) -> Outcome | TokenRefused:
    """What an answer of messages:send means.

    A token of another project (SENDER_ID_MISMATCH) is not called dead: with the wrong service account, all would be.
    """
    if isinstance(answer, NotSent):
        return RetryLater(5_000, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    body = answer.json() or {}
    if answer.status == _OK:
        name = body.get("name")
        return Accepted(name) if isinstance(name, str) and "/messages/" in name else Unknown("HTTP 200 without a message's name")
    code, reason, fields = _error(body)
    match code:
        case "UNREGISTERED":
            return Rejected(code, reason, "address")
        case "INVALID_ARGUMENT":
            return Rejected(code, reason, "address" if "message.token" in fields else "message")
        case "SENDER_ID_MISMATCH":
            return Rejected(code, f"the device belongs to another Firebase project than service_account: {reason}")
        case "QUOTA_EXCEEDED" | "RESOURCE_EXHAUSTED":
            return RetryLater(answer.retry_after(60_000), reason, whole_channel=True)
        case "UNAVAILABLE":
            return RetryLater(answer.retry_after(10_000), reason, whole_channel=True)
        case "UNAUTHENTICATED":
            return TokenRefused(code, reason)
        case "THIRD_PARTY_AUTH_ERROR":
            return Fault(code, f"Firebase's APNs key or web push key is wrong: {reason}", _HOUR)
        case "PERMISSION_DENIED":
            return Fault(code, f"the service account may not send for this project: {reason}", _HOUR)
    return Unknown(f"HTTP {answer.status} {code} {reason}".strip())


def _error(body: Mapping[str, Any]) -> tuple[str, str, frozenset[str]]:
    """FCM's own code (else Google's general one), its text, and the fields that it names."""
    error = body.get("error")
    if not isinstance(error, dict):
        return "", "", frozenset()
    details = error.get("details")
    details = [d for d in details if isinstance(d, dict)] if isinstance(details, list) else []
    own = [d.get("errorCode") for d in details if d.get("@type") == _FCM_ERROR]
    listed = [v for d in details if isinstance(found := d.get("fieldViolations"), list) for v in found]
    code = own[0] if own and isinstance(own[0], str) else error.get("status")
    return str(code or ""), str(error.get("message", ""))[:300], frozenset(str(v.get("field")) for v in listed if isinstance(v, dict))


def build_assertion(service_account: Mapping[str, Any], now: int) -> bytes:
    """The signed request for an access token (RFC 7523), as Google's own client makes it; raises ValueError for a key that is none."""
    try:
        signer = crypt.RSASigner.from_service_account_info(service_account)  # type: ignore[no-untyped-call]
        issuer = str(service_account["client_email"])
        claims = {"iat": now // 1000, "exp": now // 1000 + 3600, "iss": issuer, "aud": _AUDIENCE, "scope": _SCOPE}
        assertion = bytes(jwt.encode(signer, claims))  # type: ignore[no-untyped-call]
    except (ValueError, KeyError, TypeError, AttributeError, GoogleAuthError) as error:
        raise ValueError(f"service_account is not a service account's JSON: {type(error).__name__}") from None
    return urlencode({"grant_type": _GRANT, "assertion": assertion.decode()}).encode()


def read_token(answer: Answer | NotSent | Lost) -> tuple[str, int] | NoToken:
    """The answer of the token endpoint: 400 and 401 with an `error` mean that the key or the account is not accepted."""
    if not isinstance(answer, Answer):
        return RetryLater(5_000, f"no access token: {answer.reason}", whole_channel=True)
    body = answer.json() or {}
    token, seconds = body.get("access_token"), body.get("expires_in")
    if answer.status == _OK and isinstance(token, str) and token and isinstance(seconds, int) and seconds > 0:
        return token, seconds
    if answer.status in {400, 401, 403} and isinstance(body.get("error"), str):
        reason = f"{body['error']}: {body.get('error_description', '')}"[:300]
        return Fault(str(body["error"]), f"Google refuses service_account: {reason}", _HOUR)
    return RetryLater(answer.retry_after(10_000), f"no access token: HTTP {answer.status}", whole_channel=True)


class Fcm:
    """The channel. `service_account` is the JSON of a service account's key; its `token_uri` says where tokens are asked for.

    `timeout` (seconds) bounds a whole send, also where the token is fetched, refused and fetched again.
    """

    guarantee: Guarantee = Neither()
    one_at_a_time = False

    def __init__(
        self, *, service_account: Mapping[str, Any], tokens: Tokens, clock: Clock, base_url: str = "https://fcm.googleapis.com",
        timeout: float = 5.0, time_to_live: int = DAY,
    ) -> None:  # fmt: skip
        self._http = Http(base_url, timeout=timeout)
        self._account, self._clock, self._time_to_live = dict(service_account), clock, time_to_live
        self._path = f"/v1/projects/{quote(str(self._account.get('project_id', '')), safe='')}/messages:send"
        name = f"fcm:{self._account.get('client_email', '')}"
        self._token = StableToken(name=name, fetch=self._fetch_token, tokens=tokens, clock=clock)
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """Push one notification; a refused token is renewed once."""
        body = build_body(message, self._clock(), self._time_to_live)
        if isinstance(body, Rejected):
            return body
        with self._http.together():
            return with_token(self._token, lambda token: self._post(token, body))

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """Unknown: FCM offers no query."""
        return Unknown("FCM cannot be asked what became of a message")

    def diagnose(self) -> Sequence[Diagnosis]:
        """A token, then a message to a made-up device with `validate_only`, which FCM documents to deliver nothing."""
        token = self._token.get()
        if not isinstance(token, str):
            cure = "make a key in the Firebase console, Project settings > Service accounts, and point service_account to its file"
            return [Diagnosis("service account", ok=False, found=token.reason, cure=cure)]
        probe = Message("", "", self._clock(), "message", "push", "journeyd-doctor", "", "", 0, "", {"body": "doctor"})
        body = build_body(probe, self._clock(), self._time_to_live, validate_only=True)
        outcome = self._post(token, body) if isinstance(body, bytes) else body
        return [Diagnosis("service account", ok=True, found="Google issued a token"), _diagnose_project(outcome)]

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _post(self, token: str, body: bytes) -> Outcome | TokenRefused:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=UTF-8"}
        return read_answer(self._http.request("POST", self._path, body=body, headers=headers))

    def _fetch_token(self) -> tuple[str, int] | NoToken:
        try:
            body = build_assertion(self._account, self._clock())
        except ValueError as error:
            return Fault("service_account", str(error), _HOUR)
        url = str(self._account.get("token_uri") or _AUDIENCE)
        return read_token(self._http.request("POST", url, body=body, headers={"Content-Type": "application/x-www-form-urlencoded"}))


def _diagnose_project(outcome: Outcome | TokenRefused) -> Diagnosis:
    """The made-up device must be what FCM refuses: then the project and its rights are in order."""
    match outcome:
        case Accepted() | Rejected(code="INVALID_ARGUMENT" | "UNREGISTERED"):
            return Diagnosis("project", ok=True, found="FCM read a message for validation alone, and refused only the made-up device")
        case Fault() | TokenRefused():
            cure = "enable the Firebase Cloud Messaging API, and give the account the role Firebase Cloud Messaging API Admin"
            return Diagnosis("project", ok=False, found=f"{outcome.code}: {outcome.reason}", cure=cure)
    return Diagnosis("project", ok=False, found=outcome.reason, cure="try again; check project_id in service_account, and the network")
