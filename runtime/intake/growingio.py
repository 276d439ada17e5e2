"""GrowingIO: the JSON messages of its SDKs in our spelling. It never sends anything twice, so nothing may be lost here."""

from collections.abc import Mapping
from typing import Any

from runtime.intake.items import Translated
from runtime.intake.naming import Naming
from runtime.intake.sent import content_key, corrected, text_id

EVENTS = {"VISIT": "app_opened", "PAGE": "page_viewed"}
_KINDS = {"openid": "openid", "unionid": "unionid", "phone": "phone"}  # userKey: what kind of id userId is


def key_of(message: Mapping[str, Any]) -> str:
    """What makes a message this one: all of it but the time of the sending."""
    return content_key(message, ("sendTime", "stm"))


def translate(message: Any, naming: Naming, sent: int | None, now: int) -> list[Translated] | str:
    """One message as an event or record of ours; or what is wrong with it. `sent` is the request's own `stm`."""
    if not isinstance(message, dict):
        return "expected an object with eventType"
    kind, attributes = message.get("eventType"), message.get("attributes") or {}
    if not isinstance(kind, str) or not isinstance(attributes, dict):
        return "eventType: expected a text, attributes: expected an object"
    who = _person(message)
    if not who:
        return "expected a userId or a deviceId"
    identifier = key_of(message)
    if kind == "LOGIN_USER_ATTRIBUTES":
        traits = naming.profile({k: _value(v) for k, v in attributes.items()})
        return [("record", {"id": identifier, "traits": traits.values, **who}, traits.said)]
    name = message.get("eventName") if kind == "CUSTOM" else kind
    if not isinstance(name, str) or not name:
        return "eventName: expected a text"
    if kind != "CUSTOM" and kind not in naming.events:  # the SDK's own: nobody asked for it, so it is no mistake
        return [("unmapped", {"name": kind}, {})]
    fields = naming.fields(name, {k: _value(v) for k, v in attributes.items()})
    time = corrected(message.get("timestamp"), _sent(message, sent), now)
    event = {"id": identifier, "type": naming.event(name), "time": time, "data": fields.values, **who}
    return [("event", event, {"": name, **fields.said})]


def translate_item(message: Any) -> list[Translated] | str:
    """One thing of the catalogue."""
    if not isinstance(message, dict):
        return "expected an object {key, id, attributes}"
    attributes = message.get("attributes") or {}
    if not isinstance(attributes, dict):
        return "attributes: expected an object"
    return [("item", {"type": message.get("key"), "id": message.get("id"), "properties": attributes}, {})]


def _person(message: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    identities: dict[str, str] = {}
    user, device = text_id(message.get("userId")), text_id(message.get("deviceId"))
    if user:
        kind = _KINDS.get(str(message.get("userKey", "")).lower())
        if kind is None:
            found["user_id"] = user
        else:
            identities[kind] = user
    if device:
        identities["distinct_id"] = device
    if identities:
        found["identities"] = identities
    return found


def _sent(message: Mapping[str, Any], stm: int | None) -> Any:
    """When it was sent: `stm`. An event with a time given (of yesterday, say) has that time as its sendTime too, which says nothing."""
    own = message.get("sendTime")
    return own if stm is None and own != message.get("timestamp") else stm


def _value(value: Any) -> Any:
    """The SDK joins lists with ||."""
    return value.split("||") if isinstance(value, str) and "||" in value else value
