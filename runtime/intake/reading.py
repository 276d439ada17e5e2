"""From bytes to plain JSON values: size, compression, encoding, depth. Refusals are values with an HTTP status."""

import json
import math
import re
import zlib
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from journeys.values import clean_text

DEEPEST = 32
MOST_KEYS = 50_000  # values of a signed request
MOST_OF_SDK = 400_000  # and of an SDK's: 2,000 events (GrowingIO's largest buffer) of 200 each
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a body was not taken: the status to answer and a stable reason."""

    status: int
    reason: str
    detail: str
    kept: bytes = b""  # of a body that is too large: its beginning


def inflate(body: bytes, encoding: str, limit: int) -> bytes | Unreadable:
    """The body without its Content-Encoding; never inflates more than `limit` bytes."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return Unreadable(415, "unsupported_encoding", f"expected gzip, deflate or no Content-Encoding, found {encoding[:40]}")
    inflater = zlib.decompressobj(wbits=47 if encoding != "deflate" else zlib.MAX_WBITS)
    try:
        data = inflater.decompress(body, limit + 1)
        if len(data) > limit:
            return Unreadable(413, "too_large", f"the body inflates to more than {limit} bytes")
        if not inflater.eof:
            return Unreadable(400, "bad_compression", "the compressed body is cut short")
        if inflater.unused_data.strip(b"\x00\r\n"):  # a second part would be lost without a word
            return Unreadable(400, "bad_compression", "the compressed body goes on after its end")
    except zlib.error as error:
        return Unreadable(400, "bad_compression", f"the body is not {encoding} ({error})")
    return data


def charset_refusal(content_type: str) -> Unreadable | None:
    """A refusal of a declared charset other than UTF-8."""
    for part in content_type.split(";")[1:]:
        key, _, value = part.strip().partition("=")
        if key.lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8", "us-ascii"):
            return Unreadable(415, "unsupported_charset", f"expected UTF-8, found charset {value[:40]}")
    return None


def parse_json(body: bytes, most: int = MOST_KEYS) -> Any | Unreadable:
    """The JSON value, texts cleaned; NaN, bad UTF-8, more than 32 levels and more than so many values are refused.

    They are counted before anything is made of them: 16 MB of `[],[],…` would be half a gigabyte.
    """
    if _values(body) > most and _values(_TEXT.sub(b"", body)) > most:
        return Unreadable(400, "too_many_keys", f"more than {most} values")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        value = _tolerant(body, str(error))
        if isinstance(value, Unreadable):
            return value
    else:
        if _is_plain(body):
            return value
    try:
        return _clean(value, 0)
    except ValueError as error:
        return Unreadable(400, "too_deep", str(error))


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _values(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _is_plain(body: bytes) -> bool:
    """Whether nothing has to be looked at one by one: no NUL (JSON can only escape it), not deep.

    It may be wrong in one direction only, for brackets inside texts: then everything is looked at. 100 events of 120 bytes
    take 4 µs this way instead of 500.
    """
    if b"\\u0000" in body:
        return False
    brackets = body.translate(None, _NOT_BRACKETS)
    for _ in range(DEEPEST // 2):  # a round takes one level away, or two where one kind stands in the other
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        msg = "a number is infinity when read as a double"
        raise ValueError(msg)
    return number


def _integer(text: str) -> int | float:
    """An integer of 64 bits, a double beyond: as the fast parser reads it, and as a database can hold it."""
    number = _float(text)
    return int(text) if abs(number) < 2**63 else number


def _tolerant(body: bytes, problem: str) -> Any | Unreadable:
    """Lone surrogates in escapes, which the fast parser refuses, are taken (and replaced later)."""
    if b"\\u" not in body or len(body) == 0:
        return Unreadable(400, "bad_json", f"the body is not JSON: {problem}")
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_float, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        return Unreadable(400, "bad_json", f"the body is not JSON: {error}")


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict | list):
        if depth >= DEEPEST:
            msg = f"nested more than {DEEPEST} deep"
            raise ValueError(msg)
        if isinstance(value, list):
            return [_clean(item, depth + 1) for item in value]
        return {clean_text(key): _clean(item, depth + 1) for key, item in value.items()}
    return value
