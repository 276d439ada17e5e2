"""Runs the `tests:` of a journey file: a story on a virtual clock through the real engine, in a scratch database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from channels.message import Accepted, Channel, Guarantee, Message, Neither, Receipt, Rejected
from channels.recording import SilentChannel
from journeys.audience import Audience, Trait
from journeys.check import Checked
from journeys.compiled import CompiledJourney
from journeys.duration import DAY, SECOND, format_duration, parse_duration
from journeys.errors import Finding
from journeys.localtime import print_instant
from journeys.model import Expectation, JourneyTest
from journeys.values import coerce, parse_time
from journeys.world import World
from runtime.catalogue import Catalogue, Versioned, longest
from runtime.deliver import Delivery
from runtime.engine import Engine
from runtime.policy import ADDRESS_OF, Rules
from runtime.profile import SCALE, definitions_of
from runtime.session import Rehearsal
from runtime.settings import Project
from runtime.state import Event, Fact, User
from runtime.store import open_store
from runtime.store.ledger_rows import ROBOT
from runtime.virtual import VirtualRun

DEFAULT_START = "2026-12-01 10:00"
LONGEST = 400 * DAY
SOMEBODY = "somebody"


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the actual timeline."""

    at: int
    kind: str  # send, grant, tag, suppressed, end
    what: str
    step: str = ""
    text: str = ""


@dataclass(frozen=True)
class Rehearsed:
    """A test's result: no problems means that it passed."""

    name: str
    problems: tuple[str, ...]
    timeline: tuple[str, ...] = ()
    visited: frozenset[str] = field(default_factory=frozenset)


class _Refusing:
    """An adapter that always says no, for `benefits: fails` and `calls: fails`."""

    guarantee: Guarantee = Neither()
    one_at_a_time = False
    timeout = SECOND

    def send(self, message: Message) -> Rejected:  # noqa: ARG002 - always no
        return Rejected("fails", "the test says so")

    def look_up(self, message: Message) -> Accepted | Rejected:  # noqa: ARG002
        return Rejected("fails")


class _Telling(SilentChannel):
    """Accepts everything, and tells at once whether it was delivered where the test gives `receipts: {STEP: undelivered}`."""

    def __init__(self, receipts: Mapping[str, str]) -> None:
        super().__init__()
        self._receipts = receipts

    def receipt(self, message: Message) -> Receipt | None:
        """What the test says about this step."""
        said = self._receipts.get(message.step)
        return Receipt(said == "delivered", key=message.key, code=said) if said is not None else None


def rehearse(journey: CompiledJourney, audience: Audience, world: World, rules: Rules) -> list[Rehearsed]:
    """Run every test of the file."""
    return [_Rehearsal(journey, audience, world, rules, test).run() for test in journey.journey.tests]


def check_tests(checked: Checked, project: Project, progress: Callable[[int], None]) -> tuple[list[Finding], int]:
    """Run the tests of all files; a finding for each that fails, at its place, and how many were run."""
    findings: list[Finding] = []
    count = 0
    for journey in checked.journeys.values():
        source = checked.sources[journey.id]
        for index, test in enumerate(journey.journey.tests):
            result = _Rehearsal(journey, checked.audience, project.world(), project.rules(), test).run()
            count += 1
            progress(count)
            if result.problems:
                params = {"test": test.name, "problem": "; ".join(result.problems)}
                findings.append(Finding("J111", source.place(("tests", index)), params))
    return findings, count


class _Rehearsal:
    def __init__(self, journey: CompiledJourney, audience: Audience, world: World, rules: Rules, test: JourneyTest) -> None:
        self.journey, self.audience, self.test, self.zone = journey, audience, test, journey.zone
        # without a subscription that the test gives, there is no limit; the templates' names stand for the vendor's ids
        names = {t: t for t in world.channels.get("wechat", {})}
        self.rules = rules = replace(rules, counts_credits=False, template_ids=names)
        start = parse_time(test.at or DEFAULT_START, self.zone)
        self.start = start if start is not None else 0
        self.user_id = str(test.user.get("id", "u1"))
        self.store = open_store("sqlite:///:memory:", self.zone, scratch=True)
        forced = "out" if test.given.holdout else "in"
        rehearsal = Rehearsal(forced, test.given.variant)
        engine = Engine(self.store, world, self.zone, rules, rehearsal, virtual=True)
        engine.catalogue = _catalogue(journey, audience, world, self.zone)
        engine.take_versions([1])
        self.run_ = VirtualRun(self.store, engine, Delivery(self.store, engine, self._channels(world), rules, self.zone), self.start)

    def _channels(self, world: World) -> dict[str, Channel]:
        given = self.test.given
        channels: dict[str, Channel] = {name: _Telling(given.receipts) for name in (*world.channels, ROBOT)}
        for benefit in world.benefits:
            channels[f"grant:{benefit}"] = _Refusing() if given.benefits.get(benefit) == "fails" else SilentChannel()
        for endpoint in world.endpoints:
            answer = given.calls.get(endpoint, {})
            fails = answer == "fails"
            channels[f"call:{endpoint}"] = _Refusing() if fails else SilentChannel({endpoint: dict(answer)})  # type: ignore[arg-type]
        totals = dict.fromkeys(world.benefits, None) | {b: 0 for b, state in given.benefits.items() if state == "sold_out"}
        self.store.database.write(lambda tx: self.store.budgets.set_totals(tx, totals))
        return channels

    def run(self) -> Rehearsed:
        try:
            self._begin()
            for at, event in sorted(self._events(), key=lambda pair: pair[0]):
                self.run_.advance_to(at - 1)
                self.run_.post("test", [event])
                self.run_.settle(at)
            self.run_.advance_to(self.start + LONGEST)
            return self._judge()
        finally:
            self.store.close()

    # --- the story

    def _begin(self) -> None:
        user, given, ids = self._user(), self.test.given.credits, self.rules.template_ids
        openid = user.reach["identities"]["openid"]
        self.store.database.write(lambda tx: self.store.people.save_users(tx, [user]))
        for template, n in given.items():
            self.store.database.write(lambda tx, t=template, n=n: self.store.contacts.add_credit(tx, openid, ids.get(t, t), n, self.start))  # type: ignore[misc]
        entry = self.journey.entry
        data = self._typed(entry.events[0], self.test.entry) if entry.events else dict(self.test.entry)
        if entry.form == "event":
            owner = self.user_id if entry.user is None else SOMEBODY
            event = Event("entry", entry.events[0], owner, self.start, self.start, data)
            self.run_.post("test", [event])
        else:
            self.run_.engine.enter_one(self.user_id, self.journey.id, Fact(entry.form, f"{entry.form}@test", self.start, data), self.start)
        self.run_.settle(self.start)

    def _user(self) -> User:
        given = self.test.given
        consents: dict[str, Any] = {channel: {"service": True, "marketing": True} for channel in ADDRESS_OF}
        for channel, said in given.consents.items():
            consents[channel] = {**consents.get(channel, {}), **said} if isinstance(said, dict) else {"service": said, "marketing": said}
        identities = {identity: f"{self.user_id}-{identity}" for identity in ADDRESS_OF.values()}
        reach = {"consents": consents, "identities": identities}
        profile: dict[str, Any] = {"p": {}, "a": {}, "pin": {}, "t": sorted(given.tags)}
        user = User(self.user_id, self.zone, profile, reach, is_new=False, evaluated_at=self.start - 1, audience="rehearsal")
        profile["d"] = definitions_of(self.run_.engine.catalogue.audience, user)  # what is given stands for events
        for name, raw in self.test.user.items():
            trait = self.audience.traits.get(name)
            if trait is not None:
                self._give(user, trait, self._value(raw, trait))
        return user

    def _value(self, raw: Any, trait: Trait) -> Any:
        if trait.kind == "time" and isinstance(raw, str) and raw.endswith(" ago"):
            return self.start - (parse_duration(raw.removesuffix(" ago")) or 0)
        return coerce(raw, trait.kind, self.zone, trait.choices)

    def _give(self, user: User, trait: Trait, value: Any) -> None:
        """Give a trait a value in such a way that the story's events still move it."""
        profile, before = user.profile, self.start - 1
        if trait.value is not None or trait.within or trait.aggregate in ("distinct", "median_gap"):
            profile["pin"][trait.name] = value
        elif not trait.aggregate:
            profile["p"][trait.name] = value
        elif trait.aggregate == "count":
            profile["a"][trait.name] = value
        elif trait.aggregate == "sum":
            profile["a"][trait.name] = round(value * SCALE)
        elif trait.aggregate == "avg":
            profile["a"][trait.name] = [round(value * SCALE) * trait.at_least, trait.at_least]
        elif trait.aggregate in ("first", "last"):
            profile["a"][trait.name] = [min(value, before) if trait.of == "time" else before, "", value]
        else:
            profile["a"][trait.name] = {str(value): [trait.at_least, before, "", value]}

    def _typed(self, event: str, data: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.audience.events.get(event, {})
        typed = {name: coerce(value, fields[name], self.zone) for name, value in data.items() if name in fields}
        return {name: value for name, value in typed.items() if value is not None}

    def _events(self) -> list[tuple[int, Event]]:
        found: list[tuple[int, Event]] = []
        for number, story in enumerate(self.test.events):
            at = self._moment(story.after, story.at)
            data = self._typed(story.event, story.model_extra or {})
            found.append((at, Event(f"event-{number}", story.event, story.user or self.user_id, at, at, data)))
        return found

    def _moment(self, after: str | None, at: str | None) -> int:
        if after is not None:
            return self.start + (parse_duration(after) or 0)
        found = parse_time(at, self.zone)
        return found if found is not None else self.start

    # --- the verdict

    def _judge(self) -> Rehearsed:
        with self.store.database.reading() as tx:
            story = self.store.reports.story(tx, self.user_id)
        texts = {m["key"]: (m["channel"], str(m["content"])) for m in story.messages}
        actual: list[Happened] = []
        visited: set[str] = set()
        for _, _, entry in story.log:
            visited.add(entry.step)
            actual.extend(_happened(entry.at, entry.action, entry.step, entry.why, texts))
        expected = self.test.expect
        problems = [
            problem
            for index in range(max(len(actual), len(expected)))
            if (
                problem := self._compare(expected[index] if index < len(expected) else None, actual[index] if index < len(actual) else None)
            )
        ]
        if problems and not story.enrolments:
            problems = [self._not_entered(story.refusals)]
        return Rehearsed(self.test.name, tuple(problems), tuple(self._line(h) for h in actual), frozenset(visited))

    @staticmethod
    def _not_entered(refusals: Sequence[Mapping[str, Any]]) -> str:
        """Why the user never entered: the clause and the values then (the entering event already counts in them)."""
        if not refusals:
            return "the user did not enter the journey"
        why = refusals[-1]["why"]
        values = ", ".join(f"{name} = {'missing' if value is None else value}" for name, value in why.get("values", {}).items())
        clause = f": {why['clause']} was false ({values})" if "clause" in why else ""
        return f"the user did not enter the journey, refused by {refusals[-1]['reason']}{clause}"

    def _compare(self, expected: Expectation | None, actual: Happened | None) -> str:
        if expected is None:
            return f"unexpected: {self._line(actual)}" if actual else ""
        kind = next(k for k in ("send", "grant", "tag", "suppressed", "end") if getattr(expected, k) is not None)
        what, at = getattr(expected, kind), self._moment(expected.after, expected.at)
        wanted = f"{print_instant(at, self.zone)} {kind} {what}" + (f" ({expected.step})" if expected.step else "")
        if actual is None:
            return f"missing: {wanted}"
        fits = (
            actual.kind == kind and actual.what == what and actual.at == at
            and (expected.step is None or actual.step == expected.step)
            and (expected.contains is None or expected.contains in actual.text)
        )  # fmt: skip
        contains = f" containing “{expected.contains}”" if expected.contains else ""
        return "" if fits else f"expected {wanted}{contains}, got {self._line(actual)}"

    def _line(self, happened: Happened) -> str:
        offset = format_duration((happened.at - self.start) // 1000 * 1000)
        step = f" ({happened.step})" if happened.step else ""
        text = f" {happened.text}" if happened.text else ""
        return f"{print_instant(happened.at, self.zone)} (+{offset}) {happened.kind} {happened.what}{step}{text}"


def _happened(at: int, action: str, step: str, why: Mapping[str, Any], texts: Mapping[str, tuple[str, str]]) -> list[Happened]:
    if action == "sent":
        channel, text = texts.get(why["key"], (why["channel"], ""))
        return [Happened(at, "send", channel, step, text)]
    if action == "granted":
        return [Happened(at, "grant", why["what"], step)]
    if action == "updated":
        return [Happened(at, "tag", tag, step) for tag in why["add_tags"]]
    if action in ("suppressed", "late"):
        return [Happened(at, "suppressed", why.get("reason", "late"), step)]
    if action == "ended":
        return [Happened(at, "end", why["reason"])]
    return []


def _catalogue(journey: CompiledJourney, audience: Audience, world: World, zone: ZoneInfo) -> Catalogue:
    """A catalogue of one journey, whatever its status in the file, and without its pace: a test is about one user."""
    versioned = Versioned(1, 1, replace(journey, entry=replace(journey.entry, pace=None)))
    windows = longest(audience.windows, journey.windows)
    catalogue = Catalogue(1, 0, replace(audience, windows=windows), "rehearsal", {journey.id: versioned}, {1: versioned}, world, zone)
    for event in journey.entry.events:
        catalogue.by_event.setdefault(event, []).append(versioned)
    return catalogue
