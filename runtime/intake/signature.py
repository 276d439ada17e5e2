"""Standard Webhooks signatures (standardwebhooks.com, specification 1.0): every malformed header is a plain no."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

TOLERANCE_SECONDS = 300
MOST_SIGNATURES = 16
LONGEST_HEADER = 2048
SECRET_PREFIX = "whsec_"  # noqa: S105 - the format's own marker, not a secret


def decode_secret(secret: str) -> bytes | None:
    """The key of `whsec_…`; None when it is not base64 or shorter than 16 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= 16 else None  # noqa: PLR2004 - less is no secret


def _mac(secret: bytes, signed: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret, signed, "sha256"))


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The `v1,…` signature of a body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + _mac(secret, signed).decode()


def verified_id(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int) -> str | None:
    """The webhook-id when one of the signatures fits one of the secrets and the time is within five minutes, else None.

    `now` is milliseconds. Headers are looked up in lower case.
    """
    message_id = headers.get("webhook-id", "")
    timestamp, signatures = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not message_id or max(len(message_id), len(timestamp), len(signatures)) > LONGEST_HEADER:
        return None
    if not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:  # noqa: PLR2004 - seconds, for ages
        return None
    if abs(now // 1000 - int(timestamp)) > TOLERANCE_SECONDS:
        return None
    try:
        signed = f"{message_id}.{timestamp}.".encode() + body
    except UnicodeEncodeError:
        return None
    given = [part.partition(",")[2] for part in signatures.split(" ")[:MOST_SIGNATURES] if part.startswith("v1,")]
    fits = False
    for secret in secrets:
        expected = _mac(secret, signed)
        for signature in given:
            fits |= hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    return message_id if fits else None
