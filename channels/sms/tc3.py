"""Tencent's TC3-HMAC-SHA256 signature of a POST with a JSON body. Pure: the time is an argument."""

import hashlib
import hmac
from datetime import UTC, datetime

ALGORITHM = "TC3-HMAC-SHA256"
CONTENT_TYPE = "application/json"
SERVICE = "sms"


def signature(secret: str, canonical: str, now: int) -> str:
    """The signature, in hex, of a canonical request; `now` is milliseconds since 1970."""
    date = day(now)
    text = f"{ALGORITHM}\n{now // 1000}\n{date}/{SERVICE}/tc3_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{secret}".encode()
    for part in (date, SERVICE, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def canonical_request(payload: bytes, *, host: str, content_type: str = CONTENT_TYPE) -> str:
    """What is signed of `POST /`: its type, its host, its body."""
    headers = f"content-type:{content_type}\nhost:{host}\n"
    return f"POST\n/\n\n{headers}\ncontent-type;host\n{hashlib.sha256(payload).hexdigest()}"


def day(now: int) -> str:
    """The UTC day that a key is good for: 2026-11-30."""
    return datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%d")


def signed_headers(
    payload: bytes, *, action: str, version: str, region: str, host: str, secret_id: str, secret: str, now: int
) -> dict[str, str]:  # fmt: skip
    """The headers of `POST /` with this JSON body. `now` is milliseconds since 1970."""
    mark = signature(secret, canonical_request(payload, host=host), now)
    scope = f"{secret_id}/{day(now)}/{SERVICE}/tc3_request"
    return {
        "Authorization": f"{ALGORITHM} Credential={scope}, SignedHeaders=content-type;host, Signature={mark}",
        "Content-Type": CONTENT_TYPE,
        "Host": host,
        "X-TC-Action": action,
        "X-TC-Region": region,
        "X-TC-Timestamp": str(now // 1000),
        "X-TC-Version": version,
    }
