"""A small town to test in: an audience, a world, one user's walk through a journey, and a daemon without a clock."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import count
from textwrap import dedent, indent
from typing import Any
from zoneinfo import ZoneInfo

from channels.message import Accepted, Guarantee, Key, Message, Neither, Outcome, Query, Rejected, Unknown
from journeys.audience import Audience, compile_audience
from journeys.compile import LANGUAGE_VERSION, compile_journey, digest_of
from journeys.compiled import CompiledJourney
from journeys.lineage import was_of
from journeys.loader import load_audience_text, load_journey_text
from journeys.values import parse_time
from journeys.world import MessageTemplate, World
from runtime.decide import decide
from runtime.deliver import Delivered, Delivery
from runtime.engine import Engine
from runtime.enrol import enrol
from runtime.facts import UserFacts
from runtime.moving import InFlight
from runtime.policy import ADDRESS_OF, PersonReach, Reach, Rules, person_reach
from runtime.profile import definitions_of, project
from runtime.rounds import Worked
from runtime.session import Rehearsal
from runtime.state import (
    Arrived,
    Changed,
    Decision,
    Due,
    Enrolment,
    Entered,
    Event,
    Fact,
    Refusal,
    Settled,
    Stimulus,
    User,
)
from runtime.store import SqlStore
from runtime.store.releases import NewVersion
from runtime.store.reports import Story

ZONE = ZoneInfo("Asia/Shanghai")
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(text: str, zone: ZoneInfo = ZONE) -> int:
    """The instant of a local time: at("2026-12-01 10:00")."""
    instant = parse_time(text, zone)
    assert instant is not None
    return instant


NOON = at("2026-12-01 12:00")

AUDIENCE = """
events:
  order_paid: {order_id: text, amount: number, item: text, item_id: text}
  app_opened: {}
  group_opened: {group_id: text, cutoff_at: time}
  group_ended: {group_id: text, ok: boolean}
  friend_woken: {friend_id: text, friend_ids: list}
  account_closed: {}
traits:
  city: {type: text, from: profile}
  level: {type: text, from: profile, default: normal}
  birthday: {type: anniversary, from: profile}
  booked_at: {type: time, from: profile}
  leader_id: {type: text, from: profile}
  points: {type: number, from: profile}
  orders_count: {type: number, count: order_paid}
  orders_7d: {type: number, count: order_paid, within: 7d}
  last_order_at: {type: time, last: order_paid, of: time}
segments:
  dormant: {name: 沉睡, when: days_since(user.last_order_at) >= 30}
  buyers: {name: 买过, when: user.orders_count > 0}
  tagged: {name: 有标签, when: has_tag('vip')}
lifecycle:
  - {stage: gone, name: 流失, when: days_since(user.last_order_at) >= 30}
  - {stage: buying, name: 在买, when: user.orders_count > 0}
  - {stage: new, name: 新}
suppress_marketing:
  - {name: 投诉中, when: has_tag('complaint')}
"""

WORLD = World(
    channels={
        "wechat": {"news": MessageTemplate("marketing", {"title": "t1"}), "info": MessageTemplate("service", {"title": "t1"})},
        "sms": {"news": MessageTemplate("marketing"), "info": MessageTemplate("service")},
        "push": {},
        "wecom": {},
        "email": {},
    },
    benefits=frozenset({"gift", "bonus"}),
    endpoints={"stock": {"left": "number"}},
    robots=frozenset({"desk"}),
)
PUSH = "[{push: {title: T, body: B}}]"
PUSH_THEN_SMS = "[{push: {title: T, body: B}}, {sms: {template: news}}]"


@cache
def audience(text: str = AUDIENCE) -> Audience:
    """The compiled audience of a text; wrong ones fail the test."""
    model, source = load_audience_text(dedent(text))
    compiled = compile_audience(model, source)
    assert not source.findings, [f.line() for f in source.findings]
    return compiled


def journey_text(steps: str, *, id: str = "j", entry: str = "{api: true}", **keys: str) -> str:  # noqa: A002 - the file's own key
    """The text of a journey file: the steps, and whatever keys differ from a live marketing journey entered by call."""
    top = {"id": id, "name": "J", "owner": "o", "status": "live", "purpose": "marketing", "entry": entry, **keys}
    head = "\n".join(f"{key}: {value}" for key, value in top.items())
    return f"{head}\nsteps:\n{indent(dedent(steps).strip(), '  ')}\n"


@cache
def journey(steps: str, *, audience_text: str = AUDIENCE, zone: ZoneInfo = ZONE, **keys: str) -> CompiledJourney:
    """A compiled journey; a wrong file fails the test."""
    text = journey_text(steps, **keys)
    return compile_journey(load_journey_text(text, "j.yaml"), audience(audience_text), WORLD, zone, frozenset({"j", keys.get("id", "j")}))


def reachable(user_id: str = "u1") -> dict[str, Any]:
    """The reach of somebody who said yes to everything and is known everywhere."""
    consents = {channel: {"service": True, "marketing": True} for channel in ADDRESS_OF}
    return {"consents": consents, "identities": {name: f"{user_id}-{name}" for name in ADDRESS_OF.values()}}


def somebody(user_id: str = "u1", *, zone: ZoneInfo = ZONE, tags: Sequence[str] = (), **values: Any) -> User:
    """A user who can be reached everywhere, with these profile values."""
    profile: dict[str, Any] = {"p": dict(values)} if values else {}
    if tags:
        profile["t"] = sorted(tags)
    return User(user_id, zone, profile, reachable(user_id))


_numbers = count(1)


def event(type_: str, time: int, *, user: str = "u1", id: str = "", received: int | None = None, **data: Any) -> Event:  # noqa: A002
    """An event; its id is made up unless it is given."""
    return Event(id or f"e{next(_numbers)}", type_, user, time, received if received is not None else time, data)


class Walk:
    """One user in one journey, stimulus by stimulus, without a database."""

    def __init__(
        self, steps: str, *, user: User | None = None, rules: Rules | None = None, start: int = NOON, begin: bool = True,
        variants: Mapping[str, str] | None = None, budgets: Mapping[str, int] | None = None, entry_data: Mapping[str, Any] | None = None,
        forced: str = "in", others: Sequence[User] = (), **keys: str,
    ) -> None:  # fmt: skip
        self.journey = journey(steps, **keys)
        self.audience = audience()
        windows = {**self.audience.windows}
        for name, within in self.journey.windows.items():
            windows[name] = max(windows.get(name, 0), within)
        self.audience = replace(self.audience, windows=windows)
        self.user = user or somebody()
        self.rules = rules or Rules()
        people: dict[str, PersonReach] = {u.id: person_reach(u, self.rules, []) for u in (self.user, *others)}
        self.reach = Reach(self.rules, people, budgets or {}, variants or {})
        self.start = start
        facts = UserFacts(self.audience, self.user, start, reach=self.reach, entry=entry_data or {})
        made = enrol(self.journey, 1, facts, Fact("api", "call", start, entry_data or {}, forced=forced), [], project_holdout=0)
        assert isinstance(made, Entered), made
        self.enrolment: Enrolment = made.enrolment
        self.enrolment.id = 1
        self.last: Decision | None = None
        self.story: list[tuple[int, str, str]] = []
        self.decisions: list[Decision] = []
        if begin and self.enrolment.due_at == start:
            self.due(start)

    def give(self, stimulus: Stimulus, now: int) -> Decision | None:
        """Let something happen; returns the decision (None when it does not concern the enrolment)."""
        made = decide(self.journey, self.audience, self.enrolment, self.user, self.reach, stimulus, now)
        assert made is None or isinstance(made, Decision), made
        self.last = made
        if made is not None:
            self.enrolment = made.enrolment
            self.decisions.append(made)
            self.story += [(e.at, e.action, e.step) for e in made.log]
        return made

    def due(self, now: int | None = None) -> Decision | None:
        """Fire the timer, at its own time unless another is given."""
        when = self.enrolment.due_at if now is None else now
        assert when is not None
        return self.give(Due(), when)

    def arrives(self, type_: str, time: int, *, received: int | None = None, user: str = "u1", **data: Any) -> Decision | None:
        """An event is projected and shown to the enrolment."""
        found = event(type_, time, user=user, received=received, **data)
        if user == self.user.id:
            project(self.audience, self.user, found)
        return self.give(Arrived(found), found.received_at)

    def changes(self, time: int) -> Decision | None:
        """The profile has changed."""
        return self.give(Changed(time), time)

    def settles(self, step: str, time: int, *, ok: bool = True, visit: int = 1, reason: str = "", **answer: Any) -> Decision | None:
        """A grant or call has its outcome."""
        return self.give(Settled(step, visit, ok, time, reason, answer), time)

    @property
    def actions(self) -> list[tuple[str, str]]:
        """What was logged so far: (action, step)."""
        return [(action, step) for _, action, step in self.story]

    @property
    def log(self) -> list[Any]:
        """Every log entry so far."""
        return [entry for decision in self.decisions for entry in decision.log]

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Messages planned so far: (step, channel)."""
        return [(m.step, m.channel) for d in self.decisions for m in d.messages if m.kind == "message"]

    @property
    def effects(self) -> list[Any]:
        """Grants and calls planned so far."""
        return [m for d in self.decisions for m in d.messages if m.kind != "message"]

    @property
    def ended(self) -> tuple[str | None, int | None]:
        """How and when it ended."""
        return self.enrolment.ended_by, self.enrolment.ended_at

    @property
    def results(self) -> dict[str, Any]:
        """The steps' results."""
        found: dict[str, Any] = self.enrolment.context.get("steps", {})
        return found


def entered(made: Entered | Refusal) -> Enrolment:
    """The enrolment of an entry that must not be refused."""
    assert isinstance(made, Entered), made
    return made.enrolment


def refused(made: Entered | Refusal) -> str:
    """The reason of an entry that must be refused."""
    assert isinstance(made, Refusal), made
    return made.reason


GUARANTEES: dict[str, Guarantee] = {"query": Query(0, 30 * DAY), "key": Key(8 * MINUTE), "neither": Neither()}


class FakeVendor:
    """A channel that does what it is told: `answers` are given in turn (the last for ever), what it got is in `got`."""

    def __init__(
        self, guarantee: str = "query", *answers: Outcome | Exception, found: Accepted | Rejected | Unknown | None = None,
        one_at_a_time: bool = False,
    ) -> None:  # fmt: skip
        self.guarantee = GUARANTEES[guarantee]
        self.one_at_a_time, self.timeout = one_at_a_time, 5 * SECOND
        self.answers = list(answers)
        self.found = found
        self.got: list[Message] = []
        self.asked: list[Message] = []

    def send(self, message: Message) -> Outcome:
        """Take the message, and answer."""
        self.got.append(message)
        answer: Outcome | Exception = Accepted(f"ref-{len(self.got)}", {"code": "CODE"} if message.kind == "grant" else {})
        if self.answers:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def look_up(self, message: Message) -> Accepted | Rejected | Unknown:
        """What became of it: what the test says, else what really came."""
        self.asked.append(message)
        if self.found is not None:
            return self.found
        had = any(m.vendor_key == message.vendor_key for m in self.got)
        return Accepted("found") if had else Rejected("not_found")


class Town:
    """A daemon whose ticks are made by the test: real store, engine and delivery; `now` is an argument."""

    def __init__(
        self, store: SqlStore, *texts: str, audience_text: str = AUDIENCE, rules: Rules | None = None, applied_at: int = NOON - DAY,
        rehearsal: Rehearsal | None = None, **channels: FakeVendor,
    ) -> None:  # fmt: skip
        self.store = store
        self.rules = rules or Rules()
        self.engine = Engine(store, WORLD, ZONE, self.rules, rehearsal)
        self.vendors: dict[str, FakeVendor] = {name: FakeVendor() for name in (*ADDRESS_OF, "grant:gift", "grant:bonus", "call:stock")}
        self.vendors |= {name.replace("__", ":"): vendor for name, vendor in channels.items()}
        self.delivery = Delivery(store, self.engine, self.vendors, self.rules, ZONE)  # type: ignore[arg-type]
        self.budget(gift=None, bonus=None)
        self.apply(*texts, audience_text=audience_text, now=applied_at)

    def apply(self, *texts: str, audience_text: str = AUDIENCE, now: int, in_flight: Mapping[str, InFlight] | None = None) -> None:
        """Apply a release of these journeys; `in_flight` decides for those inside."""
        found = [load_journey_text(text, "j") for text in texts]
        ids = frozenset(loaded.journey.id for loaded in found if loaded.journey is not None)
        compiled = [compile_journey(loaded, audience(audience_text), WORLD, ZONE, ids) for loaded in found]
        journeys = [NewVersion(j.id, j.digest, j.source, was_of(j)) for j in compiled]

        def unit(tx: Any) -> None:
            release = self.store.releases.add(
                tx,
                follows=self.store.releases.current_id(tx),
                digest=digest_of("".join(texts)),
                audience=dedent(audience_text),
                audience_digest=digest_of(audience_text),
                author="t",
                message="",
                now=now,
                journeys=journeys,
                language=LANGUAGE_VERSION,
            )
            assert release is not None
            for journey_id, decided in (in_flight or {}).items():
                self.store.movements.add(tx, release.id, journey_id, decided)

        self.store.database.write(unit)
        catalogue = self.engine.refresh()
        assert set(catalogue.current) == {journey.journey for journey in journeys}, catalogue.broken

    def budget(self, **totals: int | None) -> None:
        """Set the totals of benefits."""
        self.store.database.write(lambda tx: self.store.budgets.set_totals(tx, dict(totals)))

    def settle_people(self, *users: User, now: int = NOON - DAY) -> None:
        """Write users as they are, known under the present audience."""
        for user in users:
            user.audience, user.evaluated_at = self.engine.catalogue.audience_digest, now
            town = self.engine.catalogue.audience
            facts = UserFacts(town, user, now)
            user.segments = {name: [digest, facts.segment(name)] for name, digest in town.segment_digests.items()}
            user.profile["d"] = definitions_of(town, user)
        self.store.database.write(lambda tx: self.store.people.save_users(tx, list(users)))

    def post(self, *events: Event, source: str = "shop") -> int:
        """Events are accepted; the next tick works on them."""
        return self.store.database.write(lambda tx: self.store.inbox.add_events(tx, source, events))

    def tell(self, user_id: str, now: int, **payload: Any) -> None:
        """A user record is accepted."""
        self.store.database.write(
            lambda tx: self.store.inbox.add_user_record(tx, "crm", f"r{next(_numbers)}", user_id, payload, now)
        )  # fmt: skip

    def think(self, now: int) -> Worked:
        """Tick the engine until nothing is left for now; nothing is delivered."""
        total = Worked()
        for _ in range(100):
            worked = self.engine.tick(now)
            total.quarantined += worked.quarantined
            total.notes += worked.notes
            total.advanced += worked.advanced
            if not worked.total:
                return total
        raise AssertionError("no end of work")

    def deliver(self, now: int) -> Delivered:
        """One round of the delivery."""
        return self.delivery.tick(now)

    def settle(self, now: int) -> None:
        """Tick engine and delivery until nothing is left for now."""
        for _ in range(100):
            worked = self.engine.tick(now)
            sent = self.delivery.tick(now)
            if not worked.total and not sent.total:
                return
        raise AssertionError("no end of work")

    def story(self, user_id: str = "u1") -> Story:
        """Everything that is kept about a user."""
        with self.store.database.reading() as tx:
            return self.store.reports.story(tx, user_id)

    def actions(self, user_id: str = "u1") -> list[tuple[str, str]]:
        """What was logged of a user: (action, step)."""
        return [(entry.action, entry.step) for _, _, entry in self.story(user_id).log]

    def states(self, user_id: str = "u1") -> list[tuple[str, str]]:
        """The user's rows of the ledger: (step, state)."""
        return [(m["step"], m["state"]) for m in self.story(user_id).messages]

    def ends(self, user_id: str = "u1") -> list[tuple[str, str | None]]:
        """How the user's enrolments ended: (journey, reason); None for those inside."""
        return [(e["journey"], e["ended_by"]) for e in self.story(user_id).enrolments]

    def quarantined(self) -> list[dict[str, Any]]:
        """What was set aside, newest first."""
        return set_aside_in(self.store)


def set_aside_in(store: SqlStore) -> list[dict[str, Any]]:
    """The rows of the quarantine, newest first."""
    with store.database.reading() as tx:
        return [asdict(row) for row in reversed(store.quarantine.rows(tx, store.quarantine.ids(tx)))]


WELCOME = journey_text(
    f"""
    - {{id: day, delay: 1d}}
    - {{id: miss_you, send: {PUSH}}}
    """,
    entry="{event: app_opened}", goal="{event: order_paid, within: 14d}",
)  # fmt: skip


def town(store, *texts, people=(), **keys):
    """A town in which somebody lives: these people, or u1."""
    made = Town(store, *texts, **keys)
    made.settle_people(*(people or [somebody()]))
    return made
