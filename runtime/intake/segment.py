"""Segment and RudderStack: the messages of their libraries in our spelling."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from journeys.values import LONGEST_ID, parse_time
from runtime.intake.items import Translated
from runtime.intake.naming import Naming
from runtime.intake.sent import content_key, corrected, text_id

EVENTS = {
    "Application Opened": "app_opened", "Product Viewed": "deal_viewed", "Order Completed": "order_paid",
    "Order Refunded": "order_refunded", "Signed Up": "user_registered", "page": "page_viewed", "screen": "page_viewed",
}  # fmt: skip
PROPERTIES = {
    "Product Viewed.name": "item", "Product Viewed.product_id": "item_id", "Order Completed.total": "amount",
    "Order Refunded.total": "amount",
}  # fmt: skip
CALLS = ("track", "identify", "page", "screen", "group", "alias")
SHORT = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}  # analytics.js posts to these
CONTACTS = {"phone": "phone", "email": "email", "openid": "openid", "unionid": "unionid"}


def key_of(message: Mapping[str, Any]) -> str:
    """What makes a message this one: the library's own id; a plain HTTP call may have none."""
    given = message.get("messageId")
    if isinstance(given, str) and 0 < len(given) <= LONGEST_ID:
        return given
    return content_key(message, ("sentAt", "writeKey"))


def translate(message: Any, naming: Naming, sent: Any, zone: ZoneInfo, now: int) -> list[Translated] | str:
    """One message as events and records of ours; or what is wrong with it. `sent` is the batch's own sentAt."""
    if not isinstance(message, dict):
        return "expected an object with type and userId or anonymousId"
    kind = message.get("type")
    if kind not in CALLS:
        return f"type: expected one of {', '.join(CALLS)}, found {str(kind)[:40]}"
    who = _person(message)
    if not who:
        return "expected a userId or an anonymousId"
    identifier = key_of(message)
    name: Any
    values: dict[str, Any]
    if kind == "alias":
        return _alias(message, who, identifier)
    if kind in ("identify", "group"):
        traits = _object(message, "traits") or _object(_object(message, "context"), "traits")
        if kind == "identify":
            return [_record(traits, naming, who, identifier)]
        name, values = "group", {**traits, "group_id": message.get("groupId")}
    elif kind == "track":
        name, values = message.get("event"), dict(_object(message, "properties"))
    else:
        called = {part: message[part] for part in ("name", "category") if message.get(part)}
        name, values = kind, {**called, **_object(message, "properties")}
    if not isinstance(name, str) or not name:
        return "event: expected a text"
    fields = naming.fields(name, values)
    event = {"id": identifier, "type": naming.event(name), "data": fields.values, **who}
    if message.get("timestamp") is not None:
        time = parse_time(message["timestamp"], zone)
        event["time"] = message["timestamp"] if time is None else corrected(time, parse_time(sent, zone), now)
    return [("event", event, {"": name, **fields.said})]


def _record(traits: Mapping[str, Any], naming: Naming, who: dict[str, Any], identifier: str) -> Translated:
    named = naming.profile(traits)
    values, said = dict(named.values), named.said
    given = {kind: values.pop(name) for name, kind in CONTACTS.items() if isinstance(values.get(name), str | int)}
    contacts = {kind: text for kind, value in given.items() if (text := text_id(value).strip())}  # an empty field of a form is none
    record = {"id": identifier, "traits": values, **who}
    if contacts:
        record["identities"] = {**contacts, **record.get("identities", {})}
    return "record", record, said


def _alias(message: Mapping[str, Any], who: dict[str, Any], identifier: str) -> list[Translated] | str:
    """PreviousId may be an anonymous id or a user id: both are asked for."""
    before = text_id(message.get("previousId"))
    if not before:
        return "previousId: expected a text"
    return [("record", {"id": identifier, **who, "merge": [["distinct_id", before], ["user_id", before]]}, {})]


def _person(message: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    user, anonymous = text_id(message.get("userId")), text_id(message.get("anonymousId"))
    if user:
        found["user_id"] = user
    if anonymous:
        found["identities"] = {"distinct_id": anonymous}
    return found


def _object(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = message.get(key)
    return value if isinstance(value, dict) else {}
