"""What WeChat tells us on its own (消息推送): who accepted or refused messages, and what became of a message.

Pure. A callback is proven before it is read: sha1 over the sorted token, timestamp and nonce, and in safe mode also over the
encrypted body, whose inside names the appid that it is for. Plain mode signs no body, which is why operators should choose 安全模式.
Bodies are JSON or XML; XML with a DOCTYPE is refused, so that no entity is ever expanded.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.message import Callback, CreditNote, Forged, Heard, Receipt

LARGEST = 256 * 1024  # bytes of a callback: real ones are a few kilobytes
DEEPEST = 16  # levels of XML
_BLOCK = 32  # WeChat pads to 32 bytes, not to AES's 16
_NONCE = 16  # random bytes before the length
_KEY_LENGTH = 43


@dataclass(frozen=True, slots=True)
class Secrets:
    """What callbacks are proven with: config's appid, callback_token and callback_aes_key (empty: plain mode)."""

    appid: str
    token: str = field(repr=False)
    aes_key: str = field(repr=False)


def hear(callback: Callback, secrets: Secrets) -> Heard | Forged:
    """Answer the console's check (GET), or read an event (POST). What is proven and unreadable is a problem, not a forgery."""
    if not secrets.token:
        return Forged("no callback_token is configured")
    query = callback.query
    if len(callback.body) > LARGEST:
        return Forged(f"the body is larger than {LARGEST} bytes")
    encrypted = callback.method == "POST" and bool(secrets.aes_key or query.get("encrypt_type") == "aes")
    if not encrypted and not _is_signed(query, "signature", secrets.token):
        return Forged("wrong signature")
    if callback.method == "GET":
        return Heard(answer=query.get("echostr", "")[:1000], media_type="text/plain")
    if callback.method != "POST":
        return Forged(f"a {callback.method} request")
    body = _open(callback, secrets) if encrypted else callback.body
    return body if isinstance(body, Forged) else read_event(body)


def sign(*parts: str) -> str:
    """WeChat's signature of some texts, the token among them."""
    return hashlib.sha1("".join(sorted(parts)).encode("utf-8", "replace")).hexdigest()  # noqa: S324 - WeChat's choice


def aes_key(text: str) -> bytes | None:
    """The key of the console's EncodingAESKey (43 characters); None when it is none."""
    try:
        key = base64.b64decode(text + "=", validate=True) if len(text) == _KEY_LENGTH else b""
    except ValueError:
        return None
    return key or None


def _is_signed(query: Mapping[str, str], name: str, token: str, *more: str) -> bool:
    timestamp, nonce = query.get("timestamp"), query.get("nonce")
    if not timestamp or not nonce:
        return False
    return hmac.compare_digest(sign(token, timestamp, nonce, *more).encode(), query.get(name, "").encode("utf-8", "replace"))


def _open(callback: Callback, secrets: Secrets) -> bytes | Forged:
    """The inside of a safe-mode body."""
    key = aes_key(secrets.aes_key)
    if key is None:
        return Forged("it is encrypted, and callback_aes_key is not the 43 characters of the console's EncodingAESKey")
    sealed = _parse(callback.body).get("Encrypt")
    if not isinstance(sealed, str) or not _is_signed(callback.query, "msg_signature", secrets.token, sealed):
        return Forged("wrong msg_signature")
    plain = decrypt(sealed, key)
    if plain is None:
        return Forged("it cannot be decrypted with callback_aes_key")
    message, appid = plain
    return message if appid == secrets.appid.encode() else Forged("it is for another appid")


def decrypt(sealed: str, key: bytes) -> tuple[bytes, bytes] | None:
    """The message and the appid in an encrypted text; None when the key does not fit or the text is damaged."""
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (ValueError, binascii.Error):
        return None
    if not raw or len(raw) % 16:
        return None
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    padded = decryptor.update(raw) + decryptor.finalize()
    pad = padded[-1]
    if not 1 <= pad <= _BLOCK or padded[-pad:] != bytes([pad]) * pad:
        return None
    plain = padded[_NONCE:-pad]
    length = int.from_bytes(plain[:4], "big")
    message, appid = plain[4 : 4 + length], plain[4 + length :]
    return (message, appid) if len(message) == length else None


def read_event(body: bytes) -> Heard:
    """The event of a proven callback. Events that are not about messages are answered and left alone."""
    event = _parse(body)
    kind = str(event.get("Event", ""))
    if not event:
        return _heard(problems=["neither a JSON object nor XML"])
    match kind:
        case "subscribe_msg_popup_event":
            return _read_choices(event, _items(event, "SubscribeMsgPopupEvent"), ("accept", "reject"))
        case "subscribe_msg_change_event":  # only refusals are documented here: an "accept" in the settings gives no credit
            return _read_choices(event, _items(event, "SubscribeMsgChangeEvent"), ("reject",))
        case "subscribe_msg_sent_event":
            return _read_results(_items(event, "SubscribeMsgSentEvent"))
    return _heard()


def _heard(**parts: Any) -> Heard:
    return Heard(**parts, answer="success", media_type="text/plain")


def _read_choices(event: Mapping[str, Any], items: list[Mapping[str, Any]], known: tuple[str, ...]) -> Heard:
    notes: list[CreditNote] = []
    problems: list[str] = [] if items else ["a subscription event without a List"]
    openid, created = _text(event, "FromUserName"), _text(event, "CreateTime")
    for item in items:
        template, choice = _text(item, "TemplateId"), _text(item, "SubscribeStatusString")
        if not openid or not template or choice not in known:
            problems.append(f"a subscription that cannot be read: template {template!r}, status {choice!r}")
            continue
        told = hashlib.sha256("\n".join((openid, created, _text(event, "Event"), template)).encode("utf-8", "replace"))
        notes.append(CreditNote(told.hexdigest()[:32], openid, template, choice == "accept", _instant(created)))
    return _heard(credits=notes, problems=problems)


def _read_results(items: list[Mapping[str, Any]]) -> Heard:
    receipts: list[Receipt] = []
    problems: list[str] = [] if items else ["a sent event without a List"]
    for item in items:
        reference = _text(item, "MsgID") or _text(item, "MsgId")
        code = _text(item, "ErrorCode")
        if not reference or not code.removeprefix("-").isdigit() or not code.isascii():
            problems.append(f"a result that cannot be read: message {reference!r}, code {code!r}")
            continue
        receipts.append(Receipt(code == "0", reference=reference, code=code, reason=_text(item, "ErrorStatus")[:300]))
    return _heard(receipts=receipts, problems=problems)


def _items(event: Mapping[str, Any], nest: str) -> list[Mapping[str, Any]]:
    """`List`, at the top or under the event's own name: an object when it is one, an array when they are many."""
    nested = event.get(nest)
    found = (nested.get("List") if isinstance(nested, Mapping) else None) or event.get("List")
    return [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, Mapping)]


def _text(item: Mapping[str, Any], name: str) -> str:
    found = item.get(name)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _instant(seconds: str) -> int:
    return int(seconds) * 1000 if seconds.isascii() and seconds.isdigit() and len(seconds) <= 11 else 0  # noqa: PLR2004 - the year 5138


# --- JSON and XML


def _parse(body: bytes) -> Mapping[str, Any]:
    """The object that a body holds, of JSON or of XML; empty when it holds none."""
    text = body.strip()
    if text.startswith(b"<"):
        return _parse_xml(text)
    try:
        value = orjson.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class _Unwanted(Exception):
    """A DOCTYPE, or XML that is too deep."""


def _parse_xml(text: bytes) -> Mapping[str, Any]:
    """The children of the root as a mapping: texts, mappings, and lists where a name is repeated."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    stack: list[dict[str, Any]] = [{}]
    texts: list[list[str]] = [[]]

    def start(_name: str, _attributes: Mapping[str, str]) -> None:
        if len(stack) > DEEPEST:
            raise _Unwanted
        stack.append({})
        texts.append([])

    def end(name: str) -> None:
        children, told = stack.pop(), "".join(texts.pop()).strip()
        value: Any = children or told
        parent = stack[-1]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def doctype(*_: Any) -> None:
        raise _Unwanted

    def characters(data: str) -> None:
        texts[-1].append(data)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text, True)  # noqa: FBT003 - expat's signature
    except (expat.ExpatError, _Unwanted, ValueError):
        return {}
    root: Any = next(iter(stack[0].values()), {})
    return root if isinstance(root, Mapping) else {}
