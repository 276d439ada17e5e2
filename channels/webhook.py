"""What every signed POST to an operator's own service shares: the signature, the URL's rules, and what a status means.

Pure but for `reached`. The signature is that of Standard Webhooks 1.0: `v1,` + base64(HMAC-SHA256(secret, "{id}.{seconds}.{body}")).
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from channels.http import Answer, Http, Lost, NotSent
from channels.message import Diagnosis, Fault, Outcome, RetryLater, Unknown

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SECRET_PREFIX = "whsec_"  # noqa: S105 - the format's own marker, not a secret
SHORTEST_SECRET = 16  # bytes; the specification wants 24 to 64
LONGEST_REASON = 200  # characters of a service's own words that are kept


def secret_bytes(secret: str) -> bytes:
    """The key of `whsec_…` (base64); raises ValueError, which does not repeat the secret."""
    try:
        text = secret.removeprefix(SECRET_PREFIX)
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("expected a secret like whsec_ and base64") from error
    if len(key) < SHORTEST_SECRET:
        raise ValueError(f"expected a secret of at least {SHORTEST_SECRET} bytes in base64, found {len(key)}")
    return key


def json_body(value: Mapping[str, Any]) -> bytes:
    """An object as UTF-8; what no Unicode is becomes a question mark, and never stops a request."""
    return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")


def sign(secret: bytes, message_id: str, seconds: int, body: bytes) -> str:
    """The `v1,…` signature of a body."""
    signed = f"{message_id}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def headers(secret: bytes, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a JSON POST made `at` (milliseconds). The id stays the same in every repeat; without a secret nothing is signed."""
    made = {"Content-Type": "application/json", "webhook-id": message_id, "webhook-timestamp": str(at // SECOND)}
    return {**made, "webhook-signature": sign(secret, message_id, at // SECOND, body)} if secret else made


def checked_url(url: str, *, plain_http: bool) -> str:
    """The URL, or ValueError: https (http only where config says plain_http), a host, no user and password in it."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and plain_http):
        raise ValueError(f"expected an https:// URL (plain_http = true allows http://), found {parts.scheme or 'no scheme'}")
    if not parts.hostname:
        raise ValueError("expected a URL with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL holds no user and password: the request is signed with `secret`")
    return url


def refusal(answer: Answer | NotSent | Lost) -> Outcome | None:
    """What an answer means whose body does not matter; None where the body (or the adapter) decides."""
    if isinstance(answer, NotSent):
        if answer.refused:
            return Fault("private_address", answer.reason, HOUR)
        return RetryLater(5 * SECOND, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    status = answer.status
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return Fault("redirect", f"answered {status}: redirects are not followed; configure the final URL", HOUR)
    if status in (401, 403):
        return Fault(str(status), "the service refuses our signature; is the secret the same on both sides?", 5 * MINUTE)
    if status == 404:  # noqa: PLR2004
        return Fault("404", "nothing answers under this URL", 5 * MINUTE)
    if status == 429 or (status == 503 and "retry-after" in answer.headers):  # noqa: PLR2004
        return RetryLater(answer.retry_after(30 * SECOND), f"answered {status}", whole_channel=True)
    if status >= 500 or status in (408, 425):  # noqa: PLR2004 - it may have been carried out
        return Unknown(f"answered {status}")
    return None


def told(text: object, *private: str) -> str:
    """A service's own words, one line, shortened, without what must not be repeated."""
    words = " ".join(str(text).split())
    for secret in private:
        words = words.replace(secret, "…") if secret else words
    return words[:LONGEST_REASON]


def reached(http: Http, url: str, what: str) -> Diagnosis:
    """Whether a service answers at all."""
    answer = http.request("OPTIONS", url)
    if isinstance(answer, Answer):
        return Diagnosis(what, ok=True, found=f"answers ({answer.status})")
    refused = isinstance(answer, NotSent) and answer.refused
    cure = "add its address or name to `allowed` if it is yours" if refused else "check url, DNS, the firewall and the service itself"
    return Diagnosis(what, ok=False, found=answer.reason, cure=cure)
