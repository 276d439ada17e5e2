"""From JSON values to events and user records; what does not fit is set aside with its reason, beside what does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import orjson

from channels.sms.numbers import is_number, mobile_number
from journeys.audience import Audience
from journeys.duration import DAY
from journeys.errors import did_you_mean
from journeys.expression import TURN_EVENTS
from journeys.localtime import zone_named
from journeys.values import LONGEST_ID, clean_text, is_id, parse_time, typed
from runtime.intake.misfits import CHANGES, found_type, of_event, of_keys, of_traits
from runtime.intake.sent import user_of
from runtime.policy import ADDRESS_OF
from runtime.profile import LONGEST_TEXT
from runtime.shortened import shortened
from runtime.source_settings import may_bring
from runtime.state import Event, Person
from runtime.store.arrivals import Arrival, Call, CatalogueItem, Misfit, Record
from runtime.store.identity import SHARED, UNIQUE
from runtime.store.inbox import Quarantined

ROW = 256  # bytes of a row of the quarantine beside its body
LONGEST_SAID = 60  # characters of a name in a reason: what is wrong with it stands behind it
LONGEST_KIND = 32  # characters of the name of a kind of identity
FUTURE = DAY  # an event dated further ahead than this is set aside; one dated less far ahead counts as now
OLDEST = 946_684_800_000  # 2000-01-01 UTC: what is posted as of earlier comes from a clock that was never set; files may go further back
USER_RECORD = "user_record"  # what a source must be allowed to assert to post users
IDENTITY_MERGE = "identity_merge"  # and to have two users merged whom the operator knows by two ids
ENROLMENT = "enrolment"  # and to have people enter journeys
RESERVED = (*TURN_EVENTS, "message_delivered", "message_undelivered", "message_reply")  # a withdrawal is said by a user record
DEVICE_ATTACHES = frozenset({"distinct_id"})
PURPOSES = ("service", "marketing")
OWN_IDS = tuple(f"{kind}:" for kind in (*UNIQUE, *SHARED))  # how the ids begin that we give to people who are known by an identity alone


def is_systems_own(type_: str) -> bool:
    """Whether nobody may post events of a type: the system makes them."""
    return type_ in RESERVED or type_.startswith("$")


Said = Mapping[str, str]  # how a source spells our names; the event's own under ""
Translated = tuple[str, dict[str, Any], Said]  # "event", "record", "item" in the plain spelling of our own API, or "unmapped"
NOTHING_SAID: Said = {}


@dataclass
class Parsed(Arrival):
    """What a body held, and why what is set aside is."""

    reasons: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0  # bytes that it was read from

    @property
    def aside(self) -> int:
        """How many bytes what is set aside takes."""
        return sum(len(one.body) + ROW for one in self.quarantined)

    def keep_aside(self, most: int) -> None:
        """Set no more aside than so many bytes; of what is beyond only the number is kept."""
        sizes = accumulate(len(one.body) + ROW for one in self.quarantined)
        kept = sum(1 for size in sizes if size <= most)
        if beyond := len(self.quarantined) - kept:
            reason = f"{beyond} more of this request were set aside; they were not kept, for there had been too much on this day"
            self.quarantined[kept:] = [Quarantined(self.source, reason, "", "", "count")]


@dataclass(slots=True)  # one for each request: a frozen one would take three times as long to make
class Reader:
    """Reads the items of one request. `now` is the time of receipt; of what was set aside and is read again, `came` was.

    What is too far ahead, or too old, is judged by `now`; what has no time of its own, or only the sender's clock, counts from `came`.
    Who proves nothing (`signed` is false) may assert no payments, consents or merges, change the traits in `traits` only, and
    is believed no identity but a device's own.
    """

    source: str
    may_assert: Sequence[str]
    audience: Audience
    zone: ZoneInfo
    now: int
    request_id: str
    signed: bool = True
    traits: frozenset[str] = frozenset()
    keep: int = 0  # how long events are kept (milliseconds; 0: for ever)
    oldest: int = 0  # the earliest time of an event
    came: int = 0

    def __post_init__(self) -> None:
        self.came = self.came or self.now

    def events(self, value: Any) -> Parsed:
        """One object or a list of them: plain events or CloudEvents, told apart by `specversion`."""
        return self._each(value, self._event, "event")

    def records(self, value: Any) -> Parsed:
        """One user record or a list of them."""
        return self._each(value, self._record, "user")

    def calls(self, value: Any, journey: str) -> Parsed:
        """One user or a list of them, who are to enter a journey."""
        return self._each(value, partial(self._call, journey), "call", lambda item: {"journey": journey, "call": item})

    def messages(
        self,
        messages: Sequence[Any],
        translate: Callable[[Any], Sequence[Translated] | str],
        kind: str,
        kept: Callable[[Any], Any] = lambda message: message,
        size: int = 0,
    ) -> Parsed:
        """A vendor's messages: `translate` puts each into our own spelling, or says what is wrong with it.

        Of one that is set aside, what `kept` makes of it stays.
        """
        parsed = Parsed(self.source, self.now, size=size, came=self.came)
        takes = {"event": self._event, "record": self._record, "item": self._item, "unmapped": self._unmapped}
        for index, message in enumerate(messages):
            translated = translate(message)
            if isinstance(translated, str):
                self._set_aside(parsed, kept(message), index, translated, kind)
                continue
            problems = [problem for what, item, said in translated if (problem := takes[what](item, index, parsed, said))]
            if problems:
                self._set_aside(parsed, kept(message), index, "; ".join(problems), kind)
        return parsed

    def _each(self, value: Any, read: Callable[..., str], kind: str, kept: Callable[[Any], Any] = lambda item: item) -> Parsed:
        parsed = Parsed(self.source, self.now, came=self.came)
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            problem = read(item, index, parsed)
            if problem:
                self._set_aside(parsed, kept(self._named(item, index)), index, problem, kind)
        return parsed

    def _named(self, item: Any, index: int) -> Any:
        """An item as it is kept: with the id that it would have had, so that a request that is sent again brings nothing twice."""
        name = f"{self.request_id}:{index}"
        is_nameless = isinstance(item, dict) and item.get("id") is None and "specversion" not in item
        return {**item, "id": name} if is_nameless and is_id(name) else item

    def _set_aside(self, parsed: Parsed, item: Any, index: int, problem: str, kind: str) -> None:
        body = orjson.dumps(item, default=str).decode()  # whole, so that it can be read again: a body is bounded, and so is what it holds
        parsed.quarantined.append(Quarantined(self.source, problem, body, user_of(item), kind))
        parsed.reasons.append({"index": index, "reason": problem})

    def _may(self, name: str) -> bool:
        return may_bring(name, self.may_assert, signed=self.signed)

    def _event(self, item: Any, index: int, parsed: Parsed, said: Said = NOTHING_SAID) -> str:
        if not isinstance(item, dict):
            return "an event is an object {id, type, user_id, time, data}"
        is_cloudevent = "specversion" in item
        if is_cloudevent:
            item = _from_cloudevent(item)
            if isinstance(item, str):
                return item
        problem = self._claims(item)
        if problem:
            return problem
        item, phone = _without_no_phone(item)
        person: Person | None = None
        if item.get("identities") is not None:
            found = self._person(item)
            if isinstance(found, str):
                return found
            person = found
        if item.get("time") is None and self.came != self.now:  # it happened when it came, not when it is read again
            item = {**item, "time": self.came}
        event = parse_event(item, self.audience, self.zone, self.now, f"{self.request_id}:{index}", known=person is None)
        if isinstance(event, str):
            return event.replace("user_id:", "subject:", 1) if is_cloudevent else event  # as the sender calls it
        problem = self._refusal(event, item)
        if problem:
            return problem
        if person is not None:
            parsed.persons[len(parsed.events)] = person
        parsed.events.append(event)
        self._count(event, item, said, parsed)
        if phone:
            self._refuse_phone(phone, item, index, parsed)
        return ""

    def _refusal(self, event: Event, item: Mapping[str, Any]) -> str:
        """Why an event is not taken though it is one."""
        if is_systems_own(event.type):
            return f"type {event.type} is the system's own"
        if not self._may(event.type):
            return f"source {self.source} may not assert {event.type}"
        if event.time < self.oldest:
            when = str(item.get("time"))[:60]
            if not self.oldest:
                return f"time: expected a time between 1970 and 2100, found {when}"
            return f"time: {when} is before 2000: a clock that was never set; history goes in by journeyd import (without --live)"
        if self.keep and event.time < self.now - self.keep and event.type not in self.audience.needed_for_ever:
            return f"time: {str(item['time'])[:60]} is older than keep_events: whether it came before is not known any more"
        return _too_long("data", event.data, self.audience.events.get(event.type, ()))

    def _count(self, event: Event, item: Mapping[str, Any], said: Said, parsed: Parsed) -> None:
        """What no rule can see: an event that is not declared, a field that is not; a value that does not fit, a key that nothing reads."""
        parsed.misfits += of_keys("event", item)
        fields = self.audience.events.get(event.type)
        if fields is None:
            parsed.unmapped["event", said.get("", event.type)] += 1
            return
        given = item.get("data") or {}
        if len(given) != len(event.data):
            parsed.misfits += of_event(event.type, given, event.data, fields)
        for name in event.data:
            spelt = said.get(name, name)
            if name not in fields and not spelt.startswith("$"):  # $…: the SDK's own, with every event
                parsed.unmapped["property", f"{said.get('', event.type)}.{spelt}"] += 1

    def _unmapped(self, item: Any, index: int, parsed: Parsed, said: Said = NOTHING_SAID) -> str:  # noqa: ARG002 - as the others
        """An event that an SDK sends by itself and config does not ask for: counted, and not kept."""
        parsed.unmapped["event", item["name"]] += 1
        return ""

    def _lost(self, trait: str, said: Said, parsed: Parsed) -> None:
        spelt = said.get(trait, trait)
        if not spelt.startswith("$"):
            parsed.unmapped["trait", spelt] += 1

    def _claims(self, item: Mapping[str, Any]) -> str:
        """Which of our own ids for people who are known by an identity alone a sender names that proves nothing.

        By `openid:o1` as a user id, or as the former one, it would be the owner of an openid that it can only guess.
        """
        if self.signed:
            return ""
        wished = item.get("merge")
        former = [one[-1] if isinstance(one, list | tuple) and one else one for one in (wished if isinstance(wished, list) else ())]
        for name, value in (("user_id", item.get("user_id")), *(("merge", one) for one in former)):
            if isinstance(value, str) and value.startswith(OWN_IDS):
                return f"{name}: {value[:60]} is an id of ours; a source that is not signed may not name it"
        return ""

    def _person(self, item: Mapping[str, Any]) -> Person | str:
        """Whom an item is about, by `user_id`, `identities`, or both; or what is wrong with that."""
        user_id = _identifier(item.get("user_id")) if item.get("user_id") not in (None, "") else ""
        if user_id is None:
            return "user_id: expected a text of 1 to 256 characters"
        given = {} if item.get("identities") is None else item["identities"]
        if not isinstance(given, dict):
            return "identities: expected an object"
        if any(not isinstance(v, str | None) for v in given.values()):
            return "identities: expected texts"
        if any(not 0 < len(kind) <= LONGEST_KIND for kind in given):
            return f"identities: expected kinds of 1 to {LONGEST_KIND} characters"
        spelled = _spelled(given)
        if any(v is not None and not is_id(v) for v in spelled.values()):
            return "identities: expected texts of 1 to 256 characters"
        ordered = sorted(((k, v) for k, v in spelled.items() if v), key=lambda pair: _STRENGTH.get(pair[0], len(_STRENGTH)))
        if not user_id and not any(kind in UNIQUE for kind, _ in ordered):
            return f"user_id: expected a text of 1 to 256 characters, or identities with one of {', '.join(UNIQUE)}"
        former: list[tuple[str, str]] = []
        wished = item.get("merge") or ()
        if not isinstance(wished, list | tuple):
            return "merge: expected a list of user ids"
        for before in wished:
            kind, value = before if isinstance(before, list | tuple) and len(before) == 2 else ("user_id", before)  # noqa: PLR2004 - a pair
            identifier = _identifier(value)
            if identifier is None or kind not in (*UNIQUE, "user_id"):
                return "merge: expected a list of user ids"
            former.append((kind, identifier))
        unbind = item.get("unbind") or {}
        unbound = tuple((k, v) for k, v in ordered if unbind.get(k) == v) if isinstance(unbind, dict) else ()
        attach = frozenset(kind for kind, _ in ordered) if self.signed else DEVICE_ATTACHES
        return Person(user_id, tuple(ordered), attach, unbound, tuple(former), self.signed and self._may(IDENTITY_MERGE))

    def _dated(self, consents: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The answers, with the time at which they were given as an instant. One without a readable time has none: it counts as of
        its receipt; read again it is dated by that, no newer than what she has said since it came.
        """

        def dated(answer: Any) -> Any:
            said = dict(answer) if isinstance(answer, dict) else {"granted": answer}
            at = parse_time(said.pop("at", None), self.zone)
            if at is not None or self.came != self.now:
                return {**said, "at": self.came if at is None else min(at, self.came)}
            return said if isinstance(answer, dict) else answer

        return {channel: {purpose: dated(answer) for purpose, answer in said.items()} for channel, said in consents.items()}

    def _record(self, item: Any, index: int, parsed: Parsed, said: Said = NOTHING_SAID) -> str:
        if not isinstance(item, dict):
            return "a user is an object {user_id, traits, tags, identities, consents}"
        item, phone = _without_no_phone(item)
        if phone and not _says_more(item):
            return f"identities.phone: {NO_PHONE}"
        person = self._claims(item) or self._person(item)
        if isinstance(person, str):
            return person
        problem = _record_problem(item)
        if problem:
            return problem
        payload = self._payload(item, parsed, said) if self.signed else self._device_payload(item, parsed, said)
        if isinstance(payload, str):
            return payload
        for key in CHANGES:
            problem = _too_long(key, payload.get(key, {}), payload.get(key, ()))
            if problem:
                return problem
        name = _identifier(item.get("id")) if item.get("id") is not None else f"{self.request_id}:{index}"
        if name is None:
            return "id: expected a text of 1 to 256 characters"
        parsed.records.append(Record(f"user:{name}", person, payload))
        parsed.misfits += of_keys("record", item)
        parsed.misfits += of_traits(payload, self.audience, self.zone)
        if phone:
            self._refuse_phone(phone, item, index, parsed)
        return ""

    def _refuse_phone(self, phone: str, item: Mapping[str, Any], index: int, parsed: Parsed) -> None:
        """Set aside what is said to be a phone and is none, by itself: it is read again as a record of its own. A device's is only shown:
        it would not be believed anyway.
        """
        if not self.signed:
            parsed.misfits.append(Misfit("phone", "identities.phone", found_type(phone)))
            return
        user_id, identities = item.get("user_id"), item["identities"]
        who = {"user_id": user_id} if user_id not in (None, "") else {}
        known = {} if who else {kind: value for kind, value in identities.items() if kind in UNIQUE}
        self._set_aside(parsed, {**who, "identities": {**known, "phone": phone}}, index, f"identities.phone: {NO_PHONE}", "user")

    def _payload(self, item: Mapping[str, Any], parsed: Parsed, said: Said) -> dict[str, Any] | str:
        if not self._may(USER_RECORD):
            return f"source {self.source} may not assert {USER_RECORD}s: consents and identities"
        keys = (*CHANGES, "clear", "tags", "remove_tags", "identities", "consents", "zone")
        payload = {k: item[k] for k in keys if item.get(k) is not None}
        payload["source"] = self.source
        if self.came != self.now:
            payload["came"] = self.came
        if "identities" in payload:
            payload["identities"] = {k: v for k, v in _spelled(payload["identities"]).items() if k != "distinct_id"}
        if "consents" in payload:
            payload["consents"] = self._dated(payload["consents"])
        for key in CHANGES:
            for trait in payload.get(key, ()):
                if trait not in self.audience.traits:
                    self._lost(trait, said, parsed)
        return payload

    def _device_payload(self, item: Mapping[str, Any], parsed: Parsed, said: Said) -> dict[str, Any] | str:
        """Of what a device says of its user, the traits that config takes from it; the others, and those that no rule knows, are shown."""
        if item.get("consents") or item.get("tags") or item.get("remove_tags"):
            return f"source {self.source} is not signed: it may not assert consents or tags"
        payload: dict[str, Any] = {"source": self.source}
        if self.came != self.now:
            payload["came"] = self.came
        for key in CHANGES:
            taken = {}
            for trait, value in (item.get(key) or {}).items():
                if trait in self.traits:
                    taken[trait] = value
                if trait not in self.traits or trait not in self.audience.traits:
                    self._lost(trait, said, parsed)
            if taken:
                payload[key] = taken
        if item.get("clear"):
            payload["traits"] = dict.fromkeys(self.traits)
        return payload

    def _call(self, journey: str, item: Any, index: int, parsed: Parsed) -> str:
        if not isinstance(item, dict):
            return "an entry is an object {user_id, data, id}"
        if not self._may(ENROLMENT):
            return f"source {self.source} may not assert {ENROLMENT}s"
        user_id = _identifier(item.get("user_id"))
        name = _identifier(item.get("id")) if item.get("id") is not None else f"{self.request_id}:{index}"
        if user_id is None or name is None:
            return f"{'id' if name is None else 'user_id'}: expected a text of 1 to 256 characters"
        parsed.misfits += of_keys("entry", item)
        data = item.get("data") or {}
        if not isinstance(data, dict):
            return "data: expected an object"
        problem = _too_long("data", data, data)
        if problem:
            return problem
        fields = {**data, "id": name, "type": "api", "user_id": user_id, "time": self.now}  # the envelope, as an event's
        payload = {"journey": journey, "id": f"api:{self.source}:{name}", "data": fields}
        parsed.calls.append(Call(f"call:{journey}:{name}", user_id, payload))
        return ""

    def _item(self, item: Any, index: int, parsed: Parsed, said: Said = NOTHING_SAID) -> str:  # noqa: ARG002 - as the others
        kind, identifier = _identifier(item.get("type")), _identifier(item.get("id"))
        if kind is None or identifier is None:
            return "an item needs a type and an id, texts of 1 to 256 characters"
        parsed.items.append(CatalogueItem(kind, identifier, item.get("properties")))
        return ""


def _too_long(where: str, values: Mapping[str, Any], names: Iterable[str]) -> str:
    """Which of these values has more text in it than a profile is to hold; nothing where none has."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str):
            if len(value) > LONGEST_TEXT // 4 and len(value.encode()) > LONGEST_TEXT:
                return f"{where}.{shortened(name, 'en', LONGEST_SAID)}: expected at most {LONGEST_TEXT} bytes of text"
        elif isinstance(value, list | dict) and len(orjson.dumps(value, default=str)) > LONGEST_TEXT:
            return f"{where}.{shortened(name, 'en', LONGEST_SAID)}: expected at most {LONGEST_TEXT} bytes altogether"
    return ""


_STRENGTH = {kind: n for n, kind in enumerate(UNIQUE)}


NO_PHONE = "expected a phone number, such as 13800138000 or +85251234567"
_SAYS = (*CHANGES, "clear", "tags", "remove_tags", "consents", "zone", "merge", "unbind")


def _without_no_phone(item: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """An item without what it calls a phone and is no number, and that text; else the item as it is, and nothing."""
    given = item.get("identities")
    phone = given.get("phone") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(phone, str) or not is_id(phone) or is_number(phone):
        return item, ""
    return {**item, "identities": {kind: value for kind, value in given.items() if kind != "phone"}}, phone


def _says_more(item: Mapping[str, Any]) -> bool:
    """Whether a record says anything beside who she is."""
    named = item.get("user_id") not in (None, "")
    return any(item.get(key) is not None for key in _SAYS) or bool(named and item.get("identities"))


def _spelled(identities: Mapping[str, Any]) -> dict[str, Any]:
    """Phones in their one spelling (+8613800138000), so that a reply finds its user; what is no mobile number stays as it is."""
    phone = identities.get("phone")
    return {**identities, "phone": mobile_number(phone) or phone} if phone else dict(identities)


def _identifier(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if is_id(value) else None


def parse_event(
    item: Mapping[str, Any], audience: Audience, zone: ZoneInfo, now: int, default_id: str, *, known: bool = True
) -> Event | str:
    """The event of a plain object, or what is wrong with it. Not `known`: whose it is, is found out later.

    A time after `now` counts as now (senders' clocks run ahead), more than a day ahead is refused; none is now.
    Declared fields get their types (one that does not fit is missing), others are kept as they are.
    """
    type_, user_id = item.get("type"), _identifier(item.get("user_id"))
    if not isinstance(type_, str) or not 0 < len(type_) <= LONGEST_ID:
        return "type: expected a text of 1 to 256 characters"
    if user_id is None:
        if known:
            return "user_id: expected a text of 1 to 256 characters"
        user_id = ""
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


def _from_cloudevent(item: Mapping[str, Any]) -> dict[str, Any] | str:
    """CloudEvents 1.0 in JSON: `subject` is the user, source and id together are the key."""
    if item.get("specversion") != "1.0":
        return f"specversion: expected 1.0, found {str(item.get('specversion'))[:20]}"
    source, identifier = item.get("source"), item.get("id")
    if not isinstance(source, str) or not source or not isinstance(identifier, str) or not identifier:
        return "a CloudEvent needs source and id"
    if "data_base64" in item:
        return "data_base64: expected data as JSON"
    key = f"{source}#{identifier}"  # the first # ends the source,
    if "#" in source:  # where it has none; else its length comes first. No other key begins with #
        key = f"#{len(source)}#{key}"
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


def _meant(name: str, known: Iterable[str]) -> str:
    """What was likely meant, or else what there is."""
    hint = did_you_mean(name[:60], known)
    return f", did you mean {hint}?" if hint else f"; there are {', '.join(known)}"


def _record_problem(item: Mapping[str, Any]) -> str:
    for key in (*CHANGES, "consents"):
        if item.get(key) is not None and not isinstance(item[key], dict):
            return f"{key}: expected an object"
    for key in ("tags", "remove_tags"):
        if item.get(key) is not None and not (isinstance(item[key], list) and all(isinstance(t, str) and t for t in item[key])):
            return f"{key}: expected a list of texts"
        problem = _too_long("user", item, (key,))
        if problem:
            return problem
    for channel, said in (item.get("consents") or {}).items():
        if channel not in ADDRESS_OF:
            return f"consents.{channel[:60]}: there is no such channel{_meant(channel, ADDRESS_OF)}"
        unknown = next((p for p in said if p not in PURPOSES), None) if isinstance(said, dict) else None
        if unknown is not None:
            return f"consents.{channel}.{unknown[:60]}: there is no such purpose{_meant(unknown, PURPOSES)}"
        if not isinstance(said, dict) or not all(_is_answer(answer) for answer in said.values()):
            return f"consents.{channel}: expected {{service: true|false, marketing: true|false or {{granted, source, wording, at}}}}"
    if item.get("zone") is not None and (not isinstance(item["zone"], str) or zone_named(item["zone"]) is None):
        return "zone: expected an IANA zone such as Asia/Shanghai"
    return ""
