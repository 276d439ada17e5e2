"""A stand-in of Google's token endpoint and of FCM's messages:send. It makes its own service account, key and all."""

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from channels.loopback.server import Response, Seen, Taken, Vendor

_LARGEST = 4096
_HOUR = 3600
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_AUDIENCE = "https://oauth2.googleapis.com/token"
_STATUS = {
    "UNREGISTERED": (404, "NOT_FOUND"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
    "UNAVAILABLE": (503, "UNAVAILABLE"),
    "INTERNAL": (500, "INTERNAL"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
    "UNAUTHENTICATED": (401, "UNAUTHENTICATED"),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED"),
}
_GENERAL = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})  # Google's own: without an FcmError in the details


@cache
def _private_key(_name: str) -> rsa.RSAPrivateKey:
    """One key a name for the whole process: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(token_uri: str, project_id: str = "town-demo", key: str = "good") -> dict[str, str]:
    """The JSON of a service account. Another `key` is another private key for the same account: the stand-in refuses it."""
    pem = _private_key(key).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    return {
        "type": "service_account",
        "project_id": project_id,
        "private_key_id": key,
        "private_key": pem.decode(),
        "client_email": f"journeyd@{project_id}.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }


class FcmServer(Vendor):
    """Devices are known by `devices`; `everyone` knows all. `refuse` answers a device with a code, e.g. {"tok": "QUOTA_EXCEEDED"}."""

    name = "fcm"

    def __init__(
        self,
        *,
        project_id: str = "town-demo",
        devices: Collection[str] = (),
        everyone: bool = False,
        refuse: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.project_id, self.devices, self.everyone, self.refuse_with = project_id, set(devices), everyone, dict(refuse or {})
        self.tokens_issued = 0
        self.refuse_all_tokens = False
        self._token = ""

    def expire_token(self) -> None:
        """From now on the issued token is refused; the next request for one gets another."""
        self._token = ""

    def is_send(self, request: Seen) -> bool:
        """Sends alone, not tokens."""
        return request.path.endswith("/messages:send")

    def flow_control(self) -> Response:
        """QUOTA_EXCEEDED with a Retry-After."""
        return self._error("QUOTA_EXCEEDED", "Quota exceeded for quota metric 'Send requests'")

    def answer(self, request: Seen) -> Response:
        """The two calls that there are."""
        match request.method, request.path:
            case "POST", "/token":
                return self._issue(request.form())
            case "POST", path if path == f"/v1/projects/{self.project_id}/messages:send":
                good = request.headers.get("authorization") == f"Bearer {self._token}" and self._token and not self.refuse_all_tokens
                return self._send(request.json()) if good else self._error("UNAUTHENTICATED", "invalid authentication credentials")
            case "POST", path if path.endswith("/messages:send"):
                return self._error("PERMISSION_DENIED", "Permission 'cloudmessaging.messages.create' denied on resource")
        return self.refuse(f"{request.method} {request.path}", Response(404, "<html>404</html>"))

    def _issue(self, form: Mapping[str, str]) -> Response:
        problem = self._assertion_problem(form)
        if problem:
            body = {"error": "invalid_grant", "error_description": problem}
            return self.refuse(problem, Response(400, body))
        if not self._token:
            self.tokens_issued += 1
            self._token = f"ya29.loopback-{self.tokens_issued}"
        return Response(200, {"access_token": self._token, "expires_in": 3599, "token_type": "Bearer"})

    def _assertion_problem(self, form: Mapping[str, str]) -> str:
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return "Unsupported grant type"
        try:
            head, claims, signature = form.get("assertion", "").split(".")
            _private_key("good").public_key().verify(_decode(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
            said = json.loads(_decode(claims))
        except InvalidSignature:
            return "Invalid JWT Signature."
        except (ValueError, binascii.Error):
            return "Invalid JWT."
        if said.get("iss") != f"journeyd@{self.project_id}.iam.gserviceaccount.com" or said.get("aud") != _AUDIENCE:
            return "Invalid issuer or audience."
        if said.get("scope") != _SCOPE or not 0 < said.get("exp", 0) - said.get("iat", 0) <= _HOUR:
            return "Invalid scope, or a lifetime of more than an hour."
        return ""

    def _send(self, body: Any) -> Response:
        message = body.get("message") if isinstance(body, dict) else None
        if not isinstance(message, dict) or set(message) - {"token", "notification", "data", "android", "apns"}:
            return self._error("INVALID_ARGUMENT", "Invalid JSON payload received", "message")
        device, notification, data = message.get("token"), message.get("notification", {}), message.get("data", {})
        if not isinstance(device, str) or not device:
            return self._error("INVALID_ARGUMENT", "Recipient of the message is not set.", "message")
        if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
            return self._error("INVALID_ARGUMENT", "Invalid value at 'message.data' (TYPE_STRING)", "message.data")
        if len(json.dumps([notification, data], ensure_ascii=False).encode()) > _LARGEST:
            return self._error("INVALID_ARGUMENT", "Android message is too big")
        if device in self.refuse_with:
            return self._error(self.refuse_with[device], f"refused by the test: {self.refuse_with[device]}")
        if not (self.everyone or device in self.devices):
            return self._error("UNREGISTERED", "Requested entity was not found.")
        if body.get("validate_only"):
            return Response(200, {"name": f"projects/{self.project_id}/messages/fake_message_id"})
        reference = self.take("", device, {"notification": notification, "data": data})
        return Response(200, {"name": reference})

    def take(self, key: str, address: str, content: Mapping[str, Any]) -> str:
        """As Vendor; FCM's message ids are paths."""
        reference = f"projects/{self.project_id}/messages/0:{1500415314455276 + len(self.taken)}"
        self.taken.append(Taken(key, reference, address, content))
        return reference

    def _error(self, code: str, text: str, field: str = "") -> Response:
        status, general = _STATUS[code]
        error: dict[str, Any] = {"code": status, "message": text, "status": general}
        if code not in _GENERAL:
            error["details"] = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
        if field:
            violation = {"field": field, "description": text}
            error.setdefault("details", []).append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
        headers = {"Retry-After": "7"} if code in {"QUOTA_EXCEEDED", "UNAVAILABLE"} else {}
        return self.refuse(f"{code} {text}", Response(status, {"error": error}, headers))


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
