"""What the SDKs of analytics vendors post, read by path and never by Content-Type. A request becomes a Parsed; or why it is none."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import orjson

from runtime.intake import growingio, segment, sensors
from runtime.intake.items import Parsed, Reader, Translated
from runtime.intake.reading import MOST_OF_SDK, Unreadable, inflate, parse_json
from runtime.intake.sources import Source

MOST_FIELDS = 64
LONGEST_QUERY = 64 * 1024
MOST_MESSAGES = 10_000  # of one request; the largest buffer of a client holds 2,000
TOO_MANY = Unreadable(413, "too_many", f"expected at most {MOST_MESSAGES} messages")
TOKEN = "$token_sha256"  # noqa: S105 - in what is set aside: the digest of the token that came with it, which is not kept itself
SENT = "$sent"  # and when the request was sent that it came with, by the sender's clock: that corrects it when it is read again


@dataclass(frozen=True, slots=True)
class Posted:
    """A request as it came. Header names are lower case."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    key: str = ""  # of one that was set aside: the digest of its write key or token, which is not kept itself

    def parameter(self, name: str) -> str:
        """A value of the query, or nothing."""
        try:
            return parse_qs(self.query, max_num_fields=MOST_FIELDS).get(name, [""])[0]
        except ValueError:
            return ""


def read_sensors(source: Source, reader: Reader, posted: Posted, limit: int) -> Parsed | Unreadable:
    """`/sa` and `/debug`. A message's own project and token go before the query's."""
    value, size = _parsed(sensors.packed(posted.query, posted.body, limit))
    if isinstance(value, Unreadable):
        return value
    found = value if isinstance(value, list) else [value]
    if len(found) > MOST_MESSAGES:
        return TOO_MANY
    asked = posted.key or _digest(posted.parameter("token"))
    return reader.messages(
        found,
        lambda message: _of_sensors(source, reader, message, _token_of(message, asked)),
        "sensors",
        lambda message: _without_token(message, asked),
        size=size,
    )


def _of_sensors(source: Source, reader: Reader, message: Any, token: str) -> list[Translated] | str:
    """`token` is the digest of the one that came; a message may have a project of its own."""
    if isinstance(message, dict):
        project = message.get("project") or source.project
        if project != source.project:
            return f"project: expected {source.project}, found {str(project)[:60]}"
        if source.keys and not any(hmac.compare_digest(_digest(key), token) for key in source.keys):
            return "token: it is none of this source's"
    return sensors.translate(message, source.naming, reader.came)


def _token_of(message: Any, asked: str) -> str:
    """The digest of a message's own token, else that of the request."""
    own = message.get("token") if isinstance(message, dict) else None
    return (_digest(own) if isinstance(own, str) else "") if own else asked


def _without_token(message: Any, asked: str) -> Any:
    """A message as it is kept: its token can be judged again, by another config as well, and nobody can read it."""
    if not isinstance(message, dict):
        return message
    return {name: value for name, value in message.items() if name != "token"} | {TOKEN: _token_of(message, asked)}


def read_growingio(source: Source, reader: Reader, posted: Posted, limit: int) -> Parsed | Unreadable:
    """`/v3/projects/{id}/collect` and `/projects/{id}/collect/item`: JSON only; protobuf and encrypted bodies are set aside as they are."""
    kind = posted.headers.get("content-type", "")
    if "protobuf" in kind or posted.headers.get("x-crypt-codec") or posted.headers.get("x-compress-codec"):
        return Unreadable(415, "unsupported_body", "expected JSON; give the SDK its JSON parser, without compression or encryption")
    value, size = _parsed(_plain(posted, limit))
    if isinstance(value, Unreadable):
        return value
    found = value if isinstance(value, list) else [value]
    if len(found) > MOST_MESSAGES:
        return TOO_MANY
    if posted.path.rstrip("/").endswith("/item"):
        return reader.messages(found, growingio.translate_item, "growingio", size=size)
    stm = posted.parameter("stm")
    sent = int(stm) if stm.isascii() and stm.isdigit() and len(stm) <= 13 else None  # noqa: PLR2004 - milliseconds
    return reader.messages(
        found, lambda m: growingio.translate(m, source.naming, sent, reader.came), "growingio", lambda m: _with_sent(m, sent), size=size
    )


def read_segment(source: Source, reader: Reader, posted: Posted, limit: int) -> Parsed | Unreadable:
    """`/v1/batch` and the single calls."""
    value, size = _parsed(_plain(posted, limit))
    if isinstance(value, Unreadable):
        return value
    if not isinstance(value, dict):
        return Unreadable(400, "bad_json", "expected an object")
    call = posted.path.rstrip("/").rpartition("/")[2]
    call = segment.SHORT.get(call, call)
    if call == "batch":
        found = value.get("batch")
        if not isinstance(found, list):
            return Unreadable(400, "bad_json", "batch: expected a list")
        if len(found) > MOST_MESSAGES:
            return TOO_MANY
    else:
        found = [{name: part for name, part in value.items() if name != "writeKey"} | {"type": call}]  # what is set aside is shown
    sent = value.get("sentAt")
    return reader.messages(
        found,
        lambda m: segment.translate(m, source.naming, sent, source.zone, reader.came),
        "segment",
        lambda m: _with_sent(m, sent),
        size=size,
    )


def _with_sent(message: Any, sent: Any) -> Any:
    """A message as it is kept, with what its request said about the sending."""
    return {**message, SENT: sent} if isinstance(message, dict) and sent is not None else message


def source_again(sources: Sequence[Source], name: str, kind: str, message: Any) -> Source | None:
    """Whose a message that was set aside is today: of Sensors Analytics, of the project that it says itself, where a source has that."""
    own = message.get("project") if kind == "sensors" and isinstance(message, dict) else None
    theirs = next((s for s in sources if s.kind == kind and s.project == own), None) if own else None
    return theirs or next((s for s in sources if s.name == name), None)


def again_of(source: Source, reader: Reader, kind: str, message: Any) -> Parsed:
    """One message that was set aside, read again."""
    if kind == "sensors":
        known = message.get(TOKEN) if isinstance(message, dict) else None
        plain = {name: value for name, value in message.items() if name != TOKEN} if isinstance(message, dict) else message
        token = _token_of(plain, known if isinstance(known, str) else "")
        return reader.messages([plain], lambda m: _of_sensors(source, reader, m, token), kind)
    sent = message.get(SENT) if isinstance(message, dict) else None
    plain = {name: value for name, value in message.items() if name != SENT} if isinstance(message, dict) else message
    if kind == "segment":
        return reader.messages([plain], lambda m: segment.translate(m, source.naming, sent, source.zone, reader.came), kind)
    item = isinstance(message, dict) and "eventType" not in message
    return reader.messages(
        [plain], lambda m: growingio.translate_item(m) if item else growingio.translate(m, source.naming, sent, reader.came), kind
    )


READERS = {"sensors": read_sensors, "growingio": read_growingio, "segment": read_segment}


def kind_of(path: str) -> str:
    """Whose SDKs post to a path."""
    if "/projects/" in path:
        return "growingio"
    return "segment" if path.startswith("/v1/") else "sensors"


def whose(sources: Sequence[Source], posted: Posted, limit: int) -> Source | None:
    """The source that a request is from, by its project or write key."""
    kind = kind_of(posted.path)
    if kind == "segment":
        given = posted.key or _digest(write_key(posted, limit))
        return next((s for s in sources if s.kind == kind and any(_digest(key) == given for key in s.keys)), None)
    project = project_of(posted, limit)
    return next((s for s in sources if s.kind == kind and s.project == project), None)


def project_of(posted: Posted, limit: int) -> str:
    """The project that a request of GrowingIO or Sensors Analytics is for: of the latter, what its first message says goes first."""
    if kind_of(posted.path) == "growingio":
        return posted.path.partition("/projects/")[2].partition("/")[0]
    found = sensors.messages(posted.query, posted.body, limit)
    first = found[0] if isinstance(found, list) and found else None
    own = first.get("project") if isinstance(first, dict) else None
    return own if isinstance(own, str) and own else posted.parameter("project") or "default"


def as_it_came(posted: Posted, most: int, *, cut: bool, limit: int = 16 << 20) -> str:
    """A request as text, to be kept: its body up to `most` bytes, in base64."""
    kept = posted.body[:most]
    query, key = posted.query, ""
    if kind_of(posted.path) == "segment":
        key = _digest(write_key(posted, limit))
    elif kind_of(posted.path) == "sensors":
        query, key = _query_without_token(query), _digest(posted.parameter("token"))
    return orjson.dumps(
        {
            "path": posted.path, "query": query[:LONGEST_QUERY], "cut": cut or len(posted.body) > len(kept),
            "headers": {n: posted.headers[n][:200] for n in ("content-type", "content-encoding") if n in posted.headers},
            "key": key,
            "base64": base64.b64encode(kept).decode(),
        }
    ).decode()  # fmt: skip


def posted_of(value: Any) -> Posted | None:
    """The request that `as_it_came` kept; None when only its beginning was."""
    if not isinstance(value, dict) or value.get("cut"):
        return None
    return Posted(value["path"], value["query"], value["headers"], base64.b64decode(value["base64"]), value["key"])


def _query_without_token(query: str) -> str:
    parts = query.split("&")
    return "&".join(part for part in parts if unquote_plus(part.partition("=")[0]) != "token")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def write_key(posted: Posted, limit: int) -> str:
    """The write key of a Segment request: of its Authorization header, else of its body."""
    scheme, _, packed = posted.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(packed, validate=True).decode("utf-8").partition(":")[0]
        except (binascii.Error, ValueError):
            return ""
    value, _ = _parsed(_plain(posted, limit))
    key = value.get("writeKey") if isinstance(value, dict) else None
    return key if isinstance(key, str) else ""


def _plain(posted: Posted, limit: int) -> bytes | Unreadable:
    encoding = posted.headers.get("content-encoding", "")
    if not encoding and posted.body[:2] == b"\x1f\x8b":
        encoding = "gzip"
    return inflate(posted.body, encoding, limit)


def _parsed(plain: bytes | Unreadable) -> tuple[Any | Unreadable, int]:
    """The JSON in these bytes, and how many they are."""
    return (plain, 0) if isinstance(plain, Unreadable) else (parse_json(plain, MOST_OF_SDK), len(plain))
