"""Standard Webhooks signatures (standardwebhooks.com, specification 1.0): every malformed header is a plain no."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a signature was refused: a header is `missing`, it fits no secret (`wrong`), or it fits and its `time` is not ours.

    Only of the last it is known whose it is. `cure` is for whoever reads the log: the sender is told nothing of this.
    """

    reason: str
    source: str = ""
    cure: str = ""


def fault_of(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, Sequence[bytes]], now: int) -> Fault:
    """Why none of these sources' secrets verifies a request."""
    absent = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if not headers.get(name)]
    if absent:
        return Fault("missing", cure=f"the sender has to send {', '.join(absent)}")
    said = headers["webhook-timestamp"]
    seconds = int(said) if said.isascii() and said.isdigit() and len(said) <= 12 else 0  # noqa: PLR2004 - as above
    for source, keys in secrets.items():
        if seconds and verified_id(headers, body, keys, seconds * 1000) is not None:
            off = now // 1000 - seconds
            way = f"its clock is {abs(off)} seconds {'behind' if off > 0 else 'ahead'}"
            return Fault("time", source, f"{way}, or it sent again what it had signed then")
    return Fault("wrong", cure="the sender signs with another secret, or something on the way changes the body")
