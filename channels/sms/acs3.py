"""Aliyun's ACS3-HMAC-SHA256 signature of a request whose parameters are all in its query. Pure: time and nonce are arguments."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"
EMPTY = hashlib.sha256(b"").hexdigest()


def encoded(query: Mapping[str, str]) -> str:
    """The query, sorted, in RFC 3986's percent-encoding: as it is signed and as it goes on the wire."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(query.items()))


def string_to_sign(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], payload: str = EMPTY) -> str:
    """What is signed; `headers` are the signed ones with lower-case names, `payload` the body's SHA-256 in hex."""
    names = sorted(headers)
    canonical = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    request = "\n".join([method, path, encoded(query), canonical, ";".join(names), payload])
    return f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"


def signed_headers(
    query: Mapping[str, str], *, action: str, version: str, host: str, key_id: str, secret: str, now: int, nonce: str
) -> dict[str, str]:
    """The headers of `POST /?query` with an empty body. `now` is milliseconds since 1970, `nonce` used once only."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    signature = hmac.new(secret.encode(), string_to_sign("POST", "/", query, headers).encode(), hashlib.sha256).hexdigest()
    names = ";".join(sorted(headers))
    return headers | {"Authorization": f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"}


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
