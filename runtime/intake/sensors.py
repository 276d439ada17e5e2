"""Sensors Analytics (神策): the messages of its SDKs in our spelling. The wire is what the Python and mini-program SDKs really send.

`data` (one message) or `data_list` (several), base64, with `gzip=1` compressed; a form body whatever its Content-Type says, or the query
of a GET. Their retries know no id, so equal messages are one message.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from runtime.intake.items import Said, Translated
from runtime.intake.naming import Naming
from runtime.intake.reading import MOST_OF_SDK, Unreadable, inflate, parse_json
from runtime.intake.sent import content_key, corrected, login_of, text_id

EVENTS = {"$MPShow": "app_opened", "$AppStart": "app_opened", "$MPViewScreen": "page_viewed", "$pageview": "page_viewed"}
MOST_FIELDS = 64
MOST_ESCAPES = 65_536  # and a twelfth of the bytes; of base64 a thirty-second part needs one. Each costs more memory than a byte
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{1,3})")
_LOGIN = "$identity_login_id"
_IDENTITIES = {"$identity_mp_unionid": "unionid", "$identity_mp_openid": "openid", "$identity_mobile": "phone", "$identity_email": "email"}
MOST_IDS = 8  # of one person in one message
_OPENID = re.compile(r"\$identity_mp_\w+_openid")
_PROFILE = {"profile_set": "traits", "profile_set_once": "set_once", "profile_increment": "increment", "profile_append": "append"}
_OURS = ("$is_login_id", "$project", "$token", "$time")


def messages(query: str, body: bytes, limit: int) -> list[Any] | Unreadable:
    """The messages of a request."""
    plain = packed(query, body, limit)
    value = plain if isinstance(plain, Unreadable) else parse_json(plain, MOST_OF_SDK)
    return value if isinstance(value, Unreadable | list) else [value]


def packed(query: str, body: bytes, limit: int) -> bytes | Unreadable:
    """The JSON of a request, inflated: of its form body, else of its query."""
    if body.count(b"%") > max(MOST_ESCAPES, len(body) // 12):
        return Unreadable(400, "bad_form", "expected a form with data or data_list, in base64 (nearly everything in it is escaped)")
    try:
        form = parse_qs(body.decode("utf-8") if body else query, max_num_fields=MOST_FIELDS)
    except (ValueError, UnicodeDecodeError) as error:
        return Unreadable(400, "bad_form", f"expected a form with data or data_list ({error})")
    given = (form.get("data_list") or form.get("data") or [""])[0]
    if not given:
        return Unreadable(400, "no_data", "expected data or data_list in the form")
    try:
        raw = base64.b64decode(given.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError) as error:
        return Unreadable(400, "bad_base64", f"data is no base64 ({error})")
    compressed = form.get("gzip", ["0"])[0] == "1" or raw[:2] == b"\x1f\x8b"
    return inflate(raw, "gzip" if compressed else "", limit)


def key_of(message: Mapping[str, Any]) -> str:
    """What makes a message this one: the mini-program's own numbers, else all of it but the time of the sending and the token."""
    track, who, time = message.get("_track_id"), message.get("distinct_id"), message.get("time")
    if isinstance(track, int) and who and time:
        return f"{track}:{time}:{hashlib.sha256(str(who).encode()).hexdigest()[:24]}"
    return content_key(message, ("_flush_time", "token"))


def translate(message: Any, naming: Naming, now: int) -> list[Translated] | str:
    """One message as events, records and items of ours; or what is wrong with it. `now` is the time of receipt."""
    if not isinstance(message, dict):
        return "expected an object with type, distinct_id and properties"
    kind, properties = message.get("type"), message.get("properties") or {}
    if not isinstance(kind, str) or not isinstance(properties, dict):
        return "type: expected a text, properties: expected an object"
    plain = {name: _value(value) for name, value in properties.items() if name not in _OURS}
    if kind in ("item_set", "item_delete"):
        return _item(message, kind, plain)
    who = _person(message, properties)
    if isinstance(who, str):
        return who
    identifier = key_of(message)
    if kind in _PROFILE or kind in ("profile_unset", "profile_delete"):
        return [_profile(kind, plain, naming, who, identifier)]
    if kind in ("track_signup", "track_id_bind", "track_id_unbind"):
        joined: list[Translated] = [("record", {"id": identifier, **_joined(message, kind, who)}, {})]
        asked = str(message.get("event")) in naming.events
        return [*joined, _event(message, plain, naming, who, identifier, now)] if asked else joined
    if kind != "track":
        return f"type: expected one of the SDK's, found {kind[:40]}"
    name = message.get("event")
    if not isinstance(name, str) or not name:
        return "event: expected a text"
    if name.startswith("$") and name not in naming.events:  # the SDK's own ($MPHide …): nobody asked for it, so it is no mistake
        return [("unmapped", {"name": name}, {})]
    return [_event(message, plain, naming, who, identifier, now)]


def _event(message: Mapping[str, Any], plain: dict[str, Any], naming: Naming, who: dict[str, Any], identifier: str, now: int) -> Translated:
    name = str(message["event"])
    fields = naming.fields(name, plain)
    said: Said = {"": name, **fields.said}
    event = {"id": identifier, "type": naming.event(name), "time": _time(message, now), "data": fields.values, **who}
    return "event", event, said


def _profile(kind: str, plain: dict[str, Any], naming: Naming, who: dict[str, Any], identifier: str) -> Translated:
    named = naming.profile(plain)
    record: dict[str, Any] = {"id": identifier, **who}
    if kind == "profile_delete":
        record["clear"] = True
    elif kind == "profile_unset":
        record["traits"] = dict.fromkeys(named.values)
    else:
        record[_PROFILE[kind]] = named.values
    return "record", record, named.said


def _item(message: Mapping[str, Any], kind: str, plain: dict[str, Any]) -> list[Translated] | str:
    item_type, item_id = message.get("item_type"), text_id(message.get("item_id"))
    if not isinstance(item_type, str) or not item_id:
        return "item_type and item_id: expected texts"
    return [("item", {"type": item_type, "id": item_id, "properties": plain if kind == "item_set" else None}, {})]


def _person(message: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any] | str:
    """`user_id` where the SDK knows a login, and the identities that come with the message; `merge`: further ids of the same device.

    A login id is a distinct_id as well: after a sign-up, code on servers goes on with it and does not say that it is one.
    """
    distinct, given = text_id(message.get("distinct_id")), message.get("identities") or {}
    if not distinct:
        return "distinct_id: expected a text"
    if not isinstance(given, dict) or not all(text_id(value) for value in given.values()):
        return "identities: expected an object of texts"
    login = text_id(given.get(_LOGIN)) or login_of(message)
    if not login and (properties.get("$is_login_id") is True or (not given and message.get("type") == "track_signup")):
        login = distinct
    found, devices = _identities(given)
    kind, _, value = distinct.partition("+")
    if value and kind.startswith("$identity_"):  # an id of one kind, as ID-mapping 3 spells it without a login
        alone, others = _identities({kind: value})
        found, devices = {**alone, **found}, [*others, *devices]
    elif distinct != login:
        devices.insert(0, distinct)
    devices += [one for one in (text_id(message.get("anonymous_id")), login) if one]
    devices = list(dict.fromkeys(devices))[:MOST_IDS]
    who: dict[str, Any] = {"identities": {**found, **({"distinct_id": devices[0]} if devices else {})}}
    if devices[1:]:
        who["merge"] = [["distinct_id", other] for other in devices[1:]]
    return {"user_id": login, **who} if login else who


def _identities(given: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Openid and the like by our kinds; every other kind is the id of a device."""
    found: dict[str, str] = {}
    devices: list[str] = []
    for name, value in given.items():
        if name == _LOGIN:
            continue
        kind = _IDENTITIES.get(name) or ("openid" if _OPENID.fullmatch(name) else "")
        if kind:
            found[kind] = str(value)
        else:
            devices.append(str(value))
    return found, devices


def _joined(message: Mapping[str, Any], kind: str, who: dict[str, Any]) -> dict[str, Any]:
    """Who somebody was before she signed up; an identity that is bound or no longer bound."""
    if kind == "track_id_unbind":
        found, devices = _identities(message.get("identities") or {})
        unbound = {**found, **({"distinct_id": devices[0]} if devices else {})}
        hers = [who["identities"].get("distinct_id"), *(other for _, other in who.get("merge", ()))]
        kept = [["distinct_id", one] for one in hers if one and one not in devices]
        return {**who, "identities": {**who["identities"], **unbound}, "unbind": unbound, "merge": kept}
    original = text_id(message.get("original_id"))
    if kind == "track_signup" and original:
        return {**who, "merge": [*who.get("merge", ()), ["distinct_id", original]]}
    return who


def _time(message: Mapping[str, Any], now: int) -> Any:
    """Corrected by the sender's own clock at the sending, where it says it: a phone set wrong is wrong in both."""
    time, sent = message.get("time"), message.get("_flush_time")
    return corrected(time, sent, now)


def _value(value: Any) -> Any:
    """A value of the SDK: its datetimes have milliseconds that are not padded (`.5` is 5 ms)."""
    if isinstance(value, str) and (match := _TIME.fullmatch(value)):
        return f"{match[1]}.{int(match[2]):03d}"
    return value
