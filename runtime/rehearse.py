"""Runs the `tests:` of a journey file: a story on a virtual clock through the real engine, in a scratch database."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Self
from zoneinfo import ZoneInfo

from channels.message import Accepted, Channel, Guarantee, Message, Neither, Receipt, Rejected
from channels.recording import SilentChannel
from journeys.audience import Audience
from journeys.clauses import Clause, Meaning, clauses_of
from journeys.compiled import CompiledJourney, GrantSpec
from journeys.duration import DAY, SECOND, parse_duration
from journeys.localtime import print_instant
from journeys.model import Expectation, JourneyTest
from journeys.schedule import next_fire
from journeys.stories import DEFAULT_START, kind_of
from journeys.values import coerce, parse_time
from journeys.world import World
from runtime.catalogue import Catalogue, Versioned, longest
from runtime.coverage import Move, Visits, followed, visits
from runtime.deliver import Delivery
from runtime.engine import Engine
from runtime.enrol import next_date
from runtime.facts import UserFacts
from runtime.givens import person_of
from runtime.happened import refusal_of, timeline_of
from runtime.policy import Rules
from runtime.session import Rehearsal
from runtime.state import Event, Fact, User
from runtime.store import SqlStore, open_store
from runtime.store.ledger_rows import ROBOT
from runtime.timelines import Difference, Line, Note, Row, compare, first_difference
from runtime.virtual import VirtualRun

LONGEST = 400 * DAY  # for which a story is followed after the last thing that its test speaks of
NOT_OVER = "not_over"
SOMEBODY = "somebody"
DIGEST = "rehearsal"  # in place of the audience's


@dataclass(frozen=True)
class Rehearsed:
    """A test's result. It passed when `rows` have no marks; `refusal` says why the user never entered, where she did not.

    `lacking` are the clauses for which the user is not in the segment by which she enters, at `start`: the test lets her in all the same.
    `untimely` where the file's `at` is none of the moments at which the journey lets in: what says them, and the next of them, if any.
    """

    name: str
    start: int
    rows: tuple[Row, ...]
    visits: Visits
    refusal: Note | None = None
    lacking: tuple[str, ...] = ()
    untimely: tuple[str, int | None] | None = None

    @property
    def passed(self) -> bool:
        """Whether everything came as expected, and nothing else."""
        return all(row.mark == " " for row in self.rows)

    @property
    def difference(self) -> Difference | None:
        """Where expectation and story part first."""
        return first_difference(self.rows)


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


class Stage:
    """Where tests are run, one after the other: a scratch database in memory that is emptied for each. Close it."""

    def __init__(self, audience: Audience, world: World, rules: Rules, zone: ZoneInfo) -> None:
        self.audience, self.world, self.zone = audience, world, zone
        # without a subscription that the test gives, there is no limit; the templates' names stand for the vendor's ids
        names = {t: t for t in world.channels.get("wechat", {})}
        self.rules = replace(rules, counts_credits=False, template_ids=names)
        self._store: SqlStore | None = None
        self._widened: dict[str, Audience] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    def run(self, journey: CompiledJourney, test: JourneyTest) -> Rehearsed:
        """Run one test."""
        if self._store is None:
            self._store = open_store("sqlite:///:memory:", self.zone, scratch=True)
        else:
            self._store.empty()
        return _Rehearsal(self, self._store, journey, test).run()

    def audience_for(self, journey: CompiledJourney) -> Audience:
        """The audience with the windows that the journey's own clauses look back over."""
        if journey.digest not in self._widened:
            self._widened[journey.digest] = replace(self.audience, windows=longest(self.audience.windows, journey.windows))
        return self._widened[journey.digest]


def rehearse(
    journey: CompiledJourney, audience: Audience, world: World, rules: Rules, progress: Callable[[], None] = lambda: None
) -> list[Rehearsed]:
    """Run every test of the file."""
    found: list[Rehearsed] = []
    with Stage(audience, world, rules, journey.zone) as stage:
        for test in journey.journey.tests:
            found.append(stage.run(journey, test))
            progress()
    return found


class _Rehearsal:
    """One test on the stage."""

    def __init__(self, stage: Stage, store: SqlStore, journey: CompiledJourney, test: JourneyTest) -> None:
        self.stage, self.store, self.test, self.zone = stage, store, test, journey.zone
        self.audience = stage.audience_for(journey)
        self.start = parse_time(test.at or DEFAULT_START, self.zone) or 0
        self.user_id = str(test.user.get("id", "u1"))
        self.taken: set[Move] = set()
        self.lacking: tuple[str, ...] = ()
        self.untimely: tuple[str, int | None] | None = None
        self.journey = followed(_open_to_all(journey), self.taken)
        rehearsal = Rehearsal("out" if test.given.holdout else "in", test.given.variant)
        engine = Engine(store, stage.world, self.zone, stage.rules, rehearsal, virtual=True)
        engine.catalogue = _catalogue(self.journey, self.audience, stage.world, self.zone)
        engine.take_versions([1])
        delivery = Delivery(store, engine, self._channels(), stage.rules, self.zone)
        self.run_ = VirtualRun(store, engine, delivery, self.start)

    def _channels(self) -> dict[str, Channel]:
        given, world = self.test.given, self.stage.world
        channels: dict[str, Channel] = {name: _Telling(given.receipts) for name in (*world.channels, ROBOT)}
        for benefit in world.benefits:
            channels[f"grant:{benefit}"] = _Refusing() if given.benefits.get(benefit) == "fails" else SilentChannel()
        for endpoint in world.endpoints:
            answer = given.calls.get(endpoint, {})
            channels[f"call:{endpoint}"] = _Refusing() if isinstance(answer, str) else SilentChannel({endpoint: dict(answer)})
        granted = {step.spec.benefit for step in self.journey.steps.values() if isinstance(step.spec, GrantSpec)}
        sold_out = {benefit for benefit, state in given.benefits.items() if state == "sold_out"}
        totals = {benefit: 0 if benefit in sold_out else None for benefit in sorted(granted | sold_out)}
        self.store.database.write(lambda tx: self.store.budgets.set_totals(tx, totals))
        return channels

    def run(self) -> Rehearsed:
        """The whole story, and what it came to."""
        self._begin()
        for at, events in groupby(sorted(self._events(), key=itemgetter(0)), key=itemgetter(0)):
            self.run_.advance_to(at - 1)
            self.run_.post("test", [event for _, event in events])  # all of a moment come before the timers of that moment
            self.run_.settle(at)
        return self._judge(self._go_on())

    def _go_on(self) -> int | None:
        """To the end of the enrolment and of what is under way; what then still flips (segments, the stage) is no test's business.

        LONGEST after the last thing that the test speaks of it is enough; then the moment is returned, if there is more to come.
        """
        spoken_of = [self.run_.now, *(self._moment(one.after, one.at) for one in self.test.expect)]
        end, before = max(spoken_of) + LONGEST, -1
        while self._is_under_way() and (at := self.run_.next_work()) is not None and before < at:
            if at > end:
                return end
            self.run_.settle(at)
            before = at
        return None

    def _is_under_way(self) -> bool:
        with self.store.database.reading() as tx:
            return self.store.reports.anybody_inside(tx) or self.store.ledger.next_work(tx) is not None

    # --- the story

    def _begin(self) -> None:
        user = person_of(self.test, self.audience, self.user_id, self.zone, self.start, DIGEST)
        given, ids = self.test.given.credits, self.stage.rules.template_ids
        openid = user.reach["identities"]["openid"]
        self.store.database.write(lambda tx: self.store.people.save_users(tx, [user]))
        for template, n in given.items():
            self.store.database.write(lambda tx, t=template, n=n: self.store.contacts.add_credit(tx, openid, ids.get(t, t), n, self.start))  # type: ignore[misc]
        entry = self.journey.entry
        if entry.segment and not user.segments[entry.segment][1]:
            self.lacking = self._lacking(entry.segment, user)
        if self.test.at is not None:  # else it is not about the moment
            self.untimely = self._untimely(user)
        if entry.form == "event":
            asked = self.test.entry.get("type")
            name = str(asked) if asked in entry.events else entry.events[0]
            owner = self.user_id if entry.user is None else SOMEBODY
            self.run_.post("test", [Event("entry", name, owner, self.start, self.start, self._typed(name, self.test.entry))])
        else:
            fact = Fact(entry.form, f"{entry.form}@test", self.start, dict(self.test.entry))
            self.run_.engine.enter_one(self.user_id, self.journey.id, fact, self.start)
        self.run_.settle(self.start)

    def _lacking(self, segment: str, user: User) -> tuple[str, ...]:
        rule, audience = self.audience.segments[segment], self.audience
        if audience.counts_directly(rule):
            return ()
        meaning = Meaning(audience.segments, {n: trait.value for n, trait in audience.traits.items() if trait.value is not None})
        return tuple(_not_held(clauses_of(rule.node, UserFacts(audience, user, self.start), meaning)))

    def _untimely(self, user: User) -> tuple[str, int | None] | None:
        entry, before = self.journey.entry, self.start - 1
        if entry.form == "schedule":
            what, following = entry.schedule, next_fire(entry.schedule, self.zone, before)
        elif entry.form == "at" and entry.at is not None:
            what, following = print_instant(entry.at, self.zone), entry.at if entry.at > before else None
        elif entry.form == "date" and entry.date is not None:
            fire = next_date(self.journey, UserFacts(self.audience, user, self.start), before)
            what, following = entry.date.text, fire.at if fire is not None else None
        else:
            return None
        return None if following == self.start else (what, following)

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

    def _judge(self, given_up: int | None) -> Rehearsed:
        """`given_up`: when it was not over yet, so that nobody knows what is still to come."""
        with self.store.database.reading() as tx:
            story = self.store.reports.story(tx, self.user_id)
        actual = timeline_of(story) + ([Line(given_up, "end", NOT_OVER)] if given_up is not None else [])
        rows = compare([self._line(expected) for expected in self.test.expect], actual)
        entered = bool(story.enrolments)
        sent = {(line.step, line.what) for line in actual if line.kind == "send"}
        began = entered and not self.test.given.holdout
        seen = visits(self.journey, self.taken, sent, began=began)
        return Rehearsed(self.test.name, self.start, rows, seen, None if entered else refusal_of(story), self.lacking, self.untimely)

    def _line(self, expected: Expectation) -> Line:
        kind = kind_of(expected)
        return Line(self._moment(expected.after, expected.at), kind, getattr(expected, kind), expected.step or "", expected.contains or "")


def _not_held(clauses: Iterable[Clause]) -> Iterator[str]:
    for clause in clauses:
        if not clause.held and clause.segment:
            yield from _not_held(clause.parts)
        elif not clause.held:
            yield clause.text


def _open_to_all(journey: CompiledJourney) -> CompiledJourney:
    """The journey as if it were live, and without its pace: a test is about one user, and a draft is tested before it goes live."""
    live = journey.journey.model_copy(update={"status": "live"})
    return replace(journey, journey=live, entry=replace(journey.entry, pace=None))


def _catalogue(journey: CompiledJourney, audience: Audience, world: World, zone: ZoneInfo) -> Catalogue:
    """A catalogue of one journey."""
    versioned = Versioned(1, 1, journey)
    catalogue = Catalogue(1, 0, audience, DIGEST, {journey.id: versioned}, {1: versioned}, world, zone)
    for event in journey.entry.events:
        catalogue.by_event.setdefault(event, []).append(versioned)
    return catalogue
