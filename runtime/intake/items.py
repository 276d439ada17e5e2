"""From JSON values to events and user records; what does not fit is set aside with its reason, beside what does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import orjson

from channels.sms.numbers import mobile_number
from journeys.audience import Audience
from journeys.duration import DAY
from journeys.localtime import zone_named
from journeys.values import ValueType, clean_text, coerce, parse_time
from runtime.state import Event
from runtime.store.inbox import Quarantined

LONGEST_ID = 256
FUTURE = DAY  # an event dated further ahead than this is set aside; one dated less far ahead counts as now
USER_RECORD = "user_record"  # what a source must be allowed to assert to post users
RESERVED = (
    "stage_changed", "segment_entered", "segment_left", "journey_ended", "message_delivered", "message_undelivered", "message_reply",
)  # fmt: skip


@dataclass
class Parsed:
    """What a body held."""

    events: list[Event] = field(default_factory=list)
    records: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # id, user_id, payload
    quarantined: list[Quarantined] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Reader:
    """Reads the items of one request. `now` is the time of receipt."""

    source: str
    may_assert: Sequence[str]
    audience: Audience
    zone: ZoneInfo
    now: int
    request_id: str

    def events(self, value: Any) -> Parsed:
        """One object or a list of them: plain events or CloudEvents, told apart by `specversion`."""
        return self._each(value, self._event)

    def records(self, value: Any) -> Parsed:
        """One user record or a list of them."""
        return self._each(value, self._record)

    def _each(self, value: Any, read: Any) -> Parsed:
        parsed = Parsed()
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            problem = read(item, index, parsed)
            if problem:
                body = orjson.dumps(item, default=str).decode()[:65_536]
                user_id = item.get("user_id", "") if isinstance(item, dict) else ""
                parsed.quarantined.append(Quarantined(self.source, problem, body, user_id if isinstance(user_id, str) else ""))
                parsed.reasons.append({"index": index, "reason": problem})
        return parsed

    def _event(self, item: Any, index: int, parsed: Parsed) -> str:
        if not isinstance(item, dict):
            return "an event is an object {id, type, user_id, time, data}"
        if "specversion" in item:
            item = _from_cloudevent(item)
            if isinstance(item, str):
                return item
        event = parse_event(item, self.audience, self.zone, self.now, f"{self.request_id}:{index}")
        if isinstance(event, str):
            return event
        if event.type in RESERVED or event.type.startswith("$"):
            return f"type {event.type} is the system's own"
        if not any(fnmatchcase(event.type, pattern) for pattern in self.may_assert):
            return f"source {self.source} may not assert {event.type}"
        parsed.events.append(event)
        return ""

    def _dated(self, consents: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The answers, with the time at which they were given as an instant (an unreadable one counts as now)."""

        def dated(answer: Any) -> Any:
            at = parse_time(answer.get("at"), self.zone) if isinstance(answer, dict) else None
            return {**answer, "at": min(at or self.now, self.now)} if isinstance(answer, dict) else answer

        return {channel: {purpose: dated(answer) for purpose, answer in said.items()} for channel, said in consents.items()}

    def _record(self, item: Any, index: int, parsed: Parsed) -> str:
        if not isinstance(item, dict):
            return "a user is an object {user_id, traits, tags, identities, consents}"
        user_id = _identifier(item.get("user_id"))
        if user_id is None:
            return "user_id: expected a text of 1 to 256 characters"
        if not any(fnmatchcase(USER_RECORD, pattern) for pattern in self.may_assert):
            return f"source {self.source} may not assert {USER_RECORD}s: consents and identities"
        problem = _record_problem(item)
        if problem:
            return problem
        payload = {k: item[k] for k in ("traits", "tags", "remove_tags", "identities", "consents", "zone") if item.get(k) is not None}
        payload["source"] = self.source
        if "identities" in payload:
            payload["identities"] = _spelled(payload["identities"])
        if "consents" in payload:
            payload["consents"] = self._dated(payload["consents"])
        record_id = f"user:{_identifier(item.get('id')) or f'{self.request_id}:{index}'}"
        parsed.records.append((record_id, user_id, payload))
        return ""


def _spelled(identities: Mapping[str, str | None]) -> dict[str, str | None]:
    """Phones in their one spelling (+8613800138000), so that a reply finds its user; what is no mobile number stays as it is."""
    phone = identities.get("phone")
    return {**identities, "phone": mobile_number(phone) or phone} if phone else dict(identities)


def _identifier(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.strip() else None


def parse_event(item: Mapping[str, Any], audience: Audience, zone: ZoneInfo, now: int, default_id: str) -> Event | str:
    """The event of a plain object, or what is wrong with it.

    A time after `now` counts as now (senders' clocks run ahead), more than a day ahead is refused; none is now.
    Declared fields get their types (one that does not fit is missing), others are kept as they are.
    """
    type_, user_id = item.get("type"), _identifier(item.get("user_id"))
    if not isinstance(type_, str) or not 0 < len(type_) <= LONGEST_ID:
        return "type: expected a text of 1 to 256 characters"
    if user_id is None:
        return "user_id: expected a text of 1 to 256 characters"
    event_id = _identifier(item.get("id")) if item.get("id") is not None else default_id
    if event_id is None:
        return "id: expected a text of 1 to 256 characters"
    time = now if item.get("time") is None else parse_time(item["time"], zone)
    if time is None:
        return f"time: expected ISO 8601 or epoch seconds between 1970 and 2100, found {str(item['time'])[:60]}"
    if time > now + FUTURE:
        return f"time: {str(item['time'])[:60]} is more than a day ahead of its receipt"
    data = item.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        return "data: expected an object"
    return Event(event_id, type_, user_id, min(time, now), now, typed(data, audience.events.get(type_), zone))


def typed(data: Mapping[str, Any], fields: Mapping[str, ValueType] | None, zone: ZoneInfo) -> dict[str, Any]:
    """Declared fields in their types, the rest untouched."""
    if fields is None:
        return dict(data)
    values = {name: coerce(value, fields[name], zone) if name in fields else value for name, value in data.items()}
    return {name: value for name, value in values.items() if value is not None}


def _from_cloudevent(item: Mapping[str, Any]) -> dict[str, Any] | str:
    """CloudEvents 1.0 in JSON: `subject` is the user, source and id together are the key."""
    if item.get("specversion") != "1.0":
        return f"specversion: expected 1.0, found {str(item.get('specversion'))[:20]}"
    source, identifier = item.get("source"), item.get("id")
    if not isinstance(source, str) or not source or not isinstance(identifier, str) or not identifier:
        return "a CloudEvent needs source and id"
    if "data_base64" in item:
        return "data_base64: expected data as JSON"
    key = f"{source}#{identifier}"
    if len(key) > LONGEST_ID:
        return f"source and id: expected at most {LONGEST_ID - 1} characters together"
    return {"id": key, "type": item.get("type"), "user_id": item.get("subject"),
            "time": item.get("time"), "data": item.get("data")}  # fmt: skip


def cloudevent_of_headers(headers: Mapping[str, str], data: Any) -> dict[str, Any]:
    """A binary-mode CloudEvent: attributes from ce-* headers (percent-encoded, says the HTTP binding), the body as data."""
    names = ("specversion", "id", "source", "type", "subject", "time")
    item = {name: clean_text(unquote(headers[f"ce-{name}"])) for name in names if f"ce-{name}" in headers}
    return {**item, "data": data}


def _is_answer(value: Any) -> bool:
    if isinstance(value, bool):
        return True
    return (
        isinstance(value, dict)
        and isinstance(value.get("granted"), bool)
        and set(value) <= {"granted", "source", "wording", "at"}
        and all(isinstance(value[k], str) for k in ("source", "wording") if k in value)
    )


def _record_problem(item: Mapping[str, Any]) -> str:
    for key in ("traits", "identities", "consents"):
        if item.get(key) is not None and not isinstance(item[key], dict):
            return f"{key}: expected an object"
    for key in ("tags", "remove_tags"):
        if item.get(key) is not None and not (isinstance(item[key], list) and all(isinstance(t, str) and t for t in item[key])):
            return f"{key}: expected a list of texts"
    if any(not isinstance(v, str | None) for v in (item.get("identities") or {}).values()):
        return "identities: expected texts"
    for channel, said in (item.get("consents") or {}).items():
        if not isinstance(said, dict) or any(p not in ("service", "marketing") or not _is_answer(v) for p, v in said.items()):
            return f"consents.{channel}: expected {{service: true|false, marketing: true|false or {{granted, source, wording, at}}}}"
    if item.get("zone") is not None and (not isinstance(item["zone"], str) or zone_named(item["zone"]) is None):
        return "zone: expected an IANA zone such as Asia/Shanghai"
    return ""
