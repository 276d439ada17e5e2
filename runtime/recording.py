"""Makes a test from a story that happened: who she was, what she did, what the world answered, what came of it.

Identities and names are not copied: a text that no rule compares with becomes a stand-in, the same for the same text.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.compiled import CallSpec, CompiledJourney, GrantSpec, SendSpec
from journeys.duration import SECOND, format_duration
from journeys.localtime import print_instant, to_datetime
from journeys.model import CHANNELS
from runtime.facts import UserFacts
from runtime.happened import timeline_of
from runtime.profile import project
from runtime.state import Event, LogEntry, User
from runtime.store.reports import Story
from runtime.timelines import Line

SHE = "u1"
_NAME = re.compile(r"\buser\.([a-z]\w*)")
_SEGMENT = re.compile(r"""\bsegment\(\s*['"]([^'"]+)['"]""")
_LITERAL = re.compile(r"""['"]([^'"]*)['"]""")
_FIELD = re.compile(r"\bsteps\.(\w+)\.(\w+)")


@dataclass(frozen=True)
class Recorded:
    """A test as it would stand in the file, and the timeline that the log tells."""

    test: dict[str, Any]
    timeline: tuple[Line, ...]
    start: int


@dataclass
class _StandIns:
    """What is written in place of texts that could name somebody."""

    kept: frozenset[str]
    known: dict[str, str] = field(default_factory=dict)

    def of(self, name: str, value: Any) -> Any:
        """The value itself when it is no text or a rule compares with it, else its stand-in: `order_id-1`."""
        if isinstance(value, list):
            return [self.of(name, entry) for entry in value]
        if not isinstance(value, str) or value in self.kept:
            return value
        if value not in self.known:
            taken = sum(known.startswith(f"{name}-") for known in self.known.values())
            self.known[value] = f"{name}-{taken + 1}"
        return self.known[value]


def record(
    name: str, story: Story, user: User, enrolment: Mapping[str, Any], journey: CompiledJourney, audience: Audience
) -> Recorded:  # fmt: skip
    """The test of one enrolment that has ended. `user` is she as she is now; what has changed since is taken back where it is known."""
    return _Recording(name, story, user, enrolment, journey, audience).make()


class _Recording:
    def __init__(
        self, name: str, story: Story, user: User, enrolment: Mapping[str, Any], journey: CompiledJourney, audience: Audience
    ) -> None:  # fmt: skip
        self.name, self.story, self.user, self.enrolment, self.journey, self.audience = name, story, user, enrolment, journey, audience
        self.zone: ZoneInfo = journey.zone
        self.log = [entry for owner, _, entry in story.log if owner == enrolment["id"]]
        entry = self._entry_event()
        self.start = _whole(entry["time"] if entry else enrolment["entered_at"])
        self.entry = entry
        self.end = enrolment["ended_at"]
        self.rules = _texts_read(journey, audience)
        self.stand_ins = _StandIns(frozenset(_LITERAL.findall("\n".join(self.rules))), {user.id: SHE})

    def make(self) -> Recorded:
        timeline = timeline_of(self.story, self.enrolment["id"])
        test: dict[str, Any] = {
            "name": self.name, "at": moment(self.start, self.zone), "user": self._traits(), "entry": self._entry_data(),
            "given": self._given(), "events": self._events(), "expect": expectations(timeline, self.start, self.zone),
        }  # fmt: skip
        return Recorded({key: value for key, value in test.items() if value or key == "expect"}, tuple(timeline), self.start)

    # --- who she was

    def _traits(self) -> dict[str, Any]:
        before = User(self.user.id, self.user.zone, {"p": dict(self.user.profile.get("p", {})), "t": []})
        for event in self._own_events():
            if event.time < self.start or (event.time <= self.start and event.id != (self.entry or {}).get("event_id")):
                project(self.audience, before, event)
        facts, logged = UserFacts(self.audience, before, self.start), self._logged()
        found: dict[str, Any] = {}
        for name in sorted({n for text in self.rules for n in _NAME.findall(text)} & set(self.audience.traits)):
            trait = self.audience.traits[name]
            if trait.value is not None:
                continue  # follows from others
            value = logged.get(name) if not trait.aggregate or facts.trait(name) is None else facts.trait(name)
            value = facts.trait(name) if value is None else value
            if value is None or value == trait.default or (trait.aggregate == "count" and value == 0):
                continue
            found[name] = self._given_value(name, trait.kind, value)
        return found

    def _logged(self) -> dict[str, Any]:
        """The values of user.* that decided, as the log holds them; the earliest of each."""
        found: dict[str, Any] = {}
        for entry in self.log:
            for values in (entry.why.get("values"), entry.why.get("where_values")):
                for name, value in (values or {}).items():
                    if name.startswith("user."):
                        found.setdefault(name.removeprefix("user."), value)
        return found

    def _given_value(self, name: str, kind: str, value: Any) -> Any:
        if kind == "time":
            return f"{format_duration((self.start - value) // SECOND * SECOND)} ago" if value <= self.start else moment(value, self.zone)
        if kind == "time_of_day":
            return f"{value // 60:02}:{value % 60:02}"
        return value if kind == "anniversary" else self.stand_ins.of(name, value)

    def _own_events(self) -> Iterable[Event]:
        for row in self.story.events:
            yield Event(row["event_id"], row["type"], row["user_id"], row["time"], row["received_at"], row["data"], row["source"])

    # --- what happened

    def _entry_event(self) -> Mapping[str, Any] | None:
        fact = next((str(entry.why.get("fact_id", "")) for entry in self.log if entry.action == "entered"), "")
        for row in self.story.events:
            event = Event(row["event_id"], row["type"], row["user_id"], row["time"], row["received_at"], row["data"], row["source"])
            if event.fact_id == fact:
                return row
        return None

    def _entry_data(self) -> dict[str, Any]:
        if self.entry is None:
            return {}
        asked = {"type": self.entry["type"]} if len(self.journey.entry.events) > 1 else {}
        return asked | self._data(self.entry)

    def _data(self, row: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.audience.events.get(row["type"], {})
        return {
            name: moment(value, self.zone) if fields[name] == "time" and isinstance(value, int) else self.stand_ins.of(name, value)
            for name, value in row["data"].items()
            if name in fields and value is not None
        }

    def _events(self) -> list[dict[str, Any]]:
        """Hers that came meanwhile and that the journey, or a value that it reads, listens to."""
        names = {n for text in self.rules for n in _NAME.findall(text)}
        heard = set(self.journey.awaited) | set(self.journey.windows)
        heard |= {trait.event for name, trait in self.audience.traits.items() if name in names and trait.event}
        return [
            {**when(_whole(row["time"]), self.start, self.zone), "event": row["type"], **self._data(row)}
            for row in self.story.events
            if row["type"] in heard and row is not self.entry and self.start < row["time"] <= self.end
        ]

    # --- what the world answered

    def _given(self) -> dict[str, Any]:
        given: dict[str, Any] = {}
        tags = set(self.user.profile.get("t", ())) - {tag for e in self.log if e.action == "updated" for tag in e.why["add_tags"]}
        read = sorted(tag for tag in tags if tag in self.stand_ins.kept)
        consents, credits_ = self._reach()
        benefits, calls = self._answers()
        parts = {
            "credits": credits_, "consents": consents, "benefits": benefits, "calls": calls,
            "variant": {e.step: e.why["variant"] for e in self.log if e.action == "split"}, "tags": read, "receipts": self._receipts(),
        }  # fmt: skip
        if any(e.action == "entered" for e in self.log) and self._was_held_out():
            given["holdout"] = True
        return given | {key: value for key, value in parts.items() if value}

    def _was_held_out(self) -> bool:
        return self.enrolment["ended_by"] == "held_out" or not {e.step for e in self.log} - {""}

    def _reach(self) -> tuple[dict[str, Any], dict[str, int]]:
        """Consents and credits without which what was not sent, or went by a later position, would have been sent."""
        consents: dict[str, Any] = {}
        credits_: dict[str, int] = {}
        for entry in self.log:
            spec = self.journey.steps[entry.step].spec if entry.step in self.journey.steps else None
            if not isinstance(spec, SendSpec):
                continue
            if entry.action == "suppressed":
                for met in entry.why.get("positions", ()):
                    template = next((p.template for p in spec.positions if p.channel == met["channel"]), None)
                    if met["reason"] == "no_credit" and template:
                        credits_[template] = 0
                    elif met["reason"] in ("no_consent", "unreachable"):
                        consents[met["channel"]] = False
            elif entry.action == "sent" and not spec.every:
                for position in spec.positions:
                    if position.channel == entry.why["channel"]:
                        break
                    consents[position.channel] = False
        return {channel: consents[channel] for channel in CHANNELS if channel in consents}, credits_

    def _answers(self) -> tuple[dict[str, str], dict[str, Any]]:
        benefits: dict[str, str] = {}
        calls: dict[str, Any] = {}
        for entry in self.log:
            spec = self.journey.steps[entry.step].spec if entry.step in self.journey.steps else None
            if isinstance(spec, GrantSpec) and entry.action == "grant_failed":
                benefits[spec.benefit] = "sold_out" if "budget" in str(entry.why.get("reason")) else "fails"
            elif isinstance(spec, CallSpec) and entry.action in ("call_ok", "call_failed"):
                calls[spec.endpoint] = "fails" if entry.action == "call_failed" else self._answer(entry)
        return benefits, {name: answer for name, answer in calls.items() if answer}

    def _answer(self, called: LogEntry) -> dict[str, Any]:
        """What the endpoint said, as far as a later clause read it."""
        found: dict[str, Any] = {}
        for entry in self.log:
            for name, value in (entry.why.get("values") or {}).items():
                match = _FIELD.fullmatch(name)
                if match and match[1] == called.step and match[2] != "ok" and value is not None:
                    found[match[2]] = self.stand_ins.of(match[2], value)
        return found

    def _receipts(self) -> dict[str, str]:
        heard: dict[str, str] = {}
        for message in self.story.messages:
            if message["enrolment_id"] == self.enrolment["id"] and message["receipts"]:
                delivered = any(receipt["delivered"] for receipt in message["receipts"])
                heard[message["step"]] = "delivered" if delivered else "undelivered"
        return heard


def expectations(timeline: Iterable[Line], start: int, zone: ZoneInfo) -> list[dict[str, Any]]:
    """A timeline as `expect:`; no words of messages, which hold values that were not copied."""
    found = []
    for line in timeline:
        step = {"step": line.step} if line.kind in ("send", "suppressed") else {}
        found.append({**when(_whole(line.at), start, zone), line.kind: line.what, **step})
    return found


def _whole(at: int) -> int:
    return at // SECOND * SECOND


def when(at: int, start: int, zone: ZoneInfo) -> dict[str, str]:
    """`at` for whole minutes of another day, else `after`."""
    if (at - start) % 60_000 == 0 and at % 60_000 == 0 and at != start:
        return {"at": print_instant(at, zone)}
    return {"after": format_duration(at - start)}


def moment(at: int, zone: ZoneInfo) -> str:
    """`2026-12-01 10:00`, with seconds where there are any."""
    return print_instant(at, zone) if at % 60_000 == 0 else f"{to_datetime(at, zone):%Y-%m-%d %H:%M:%S}"


def _texts_read(journey: CompiledJourney, audience: Audience) -> list[str]:
    """Every text in which the journey, and what it refers to, may name a value or compare with one."""
    texts, waiting = [journey.source.split("\ntests:")[0]], [journey.entry.segment]
    texts += [rule.text for _, rule in audience.stops]
    seen: set[str] = set()
    done = 0
    while done < len(texts) or waiting:
        if waiting:
            name = waiting.pop()
            if name in audience.segments and f"segment {name}" not in seen:
                seen.add(f"segment {name}")
                texts.append(audience.segments[name].text)
            continue
        text = texts[done]
        done += 1
        waiting += _SEGMENT.findall(text)
        for name in _NAME.findall(text):
            if name == "stage" and name not in seen:
                seen.add(name)
                texts += [rule.text for _, rule in audience.stages if rule is not None]
            trait = audience.traits.get(name)
            if trait is not None and name not in seen:
                seen.add(name)
                texts += [rule.text for rule in (trait.value, trait.where) if rule is not None]
    return texts
