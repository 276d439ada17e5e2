"""`simulate`: the past through the journeys on a virtual clock, by the same engine and delivery, into a scratch database."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from journeys.audience import Audience
from journeys.check import Checked
from journeys.compiled import CompiledJourney
from journeys.duration import HOUR
from journeys.schedule import next_fire
from runtime.adapters import silent_channels
from runtime.app import App, build_app
from runtime.applying import Asked, Origins, Refused, apply
from runtime.catalogue import Catalogue, Versioned
from runtime.foreseen import LONG_SILENCE, Foreseen
from runtime.opening import LONGEST_WINDOW
from runtime.past import EVERYBODY, Newcomer, Past, Records, Sample
from runtime.reckoning import reckon
from runtime.settings import Project
from runtime.state import Event
from runtime.store.imports import Position
from runtime.virtual import VirtualRun

MOST_EVENTS = 1000  # of one window
HISTORY = Position("simulate", "events", "past", "simulate", history=True)


@dataclass(frozen=True)
class Replay:
    """What of the past is simulated. `begins`: what happened before it is history, which moves nobody; `until`: the last instant
    (default: the last event's). `records`: reads the user records of the sample, typed as an audience declares;
    who has none is unknown. `origins`: of steps whose journeys live in a database, the names that they first had: draws hang on them.
    """

    past: Past
    sample: Sample = EVERYBODY
    begins: int | None = None
    until: int | None = None
    records: Callable[[Audience, Sample], Records] | None = None
    origins: Origins = field(default_factory=dict)


class CannotSimulate(Exception):
    """The files or the events cannot be simulated; the message says why."""


def simulate(project: Project, checked: Checked, asked: Replay, progress: Callable[[int], None] = lambda _: None) -> Foreseen:
    """Run the past through these definitions; `progress` is called with the virtual time reached.

    The same inputs give the same result, whatever the process. Raises CannotSimulate where the definitions have errors.
    """
    with tempfile.TemporaryDirectory(prefix="journeyd-simulate-") as folder:
        meets_from: int | None = None
        while True:
            url = f"sqlite:///{folder}/scratch-{meets_from}.db"
            app = build_app(project, url=url, channels=silent_channels(project), virtual=True, scratch=True)
            try:
                return _Simulation(app, checked, asked, progress, meets_from).run()
            except _TooCoarse as met:
                meets_from = met.at
            finally:
                app.close()


class Crossings:
    """Whether users meet: one enters by another's event, waits for it, or a rule reads how much of a benefit is left.

    One user's time is exact in any window; between users things are as fine as the window of virtual time that is worked on at
    once: a day, but an hour while anybody is where users meet. Who gets there by an event is seen coming. Who gets there by time (a
    segment, a date) is not: then everything is done once more, with fine windows from there (`meets_from`) on.
    """

    def __init__(self, app: App, versions: Sequence[Versioned], meets_from: int | None) -> None:
        self._app, self._meets_from = app, meets_from
        met = [v for v in versions if _meets(v.journey)]
        self._inside = [v.version_id for v in met]
        self._measuring = [v.version_id for v in met if v.journey.goal is not None and v.journey.goal.match.of is not None]
        self.events = frozenset(event for v in met for event in v.journey.entry.events)  # that let somebody in there
        self._by_time = [v.version_id for v in met if v.journey.entry.form in ("segment", "date")]

    def window(self, now: int) -> int:
        """How much time may be worked on at once from here on."""
        if not self._inside:
            return LONGEST_WINDOW
        fine = self._meets_from is not None and now >= self._meets_from
        return HOUR if fine or self._somebody(self._inside, now) else LONGEST_WINDOW

    def was_too_coarse(self, window: int, now: int) -> bool:
        """Whether somebody has got where users meet in a window that nobody had seen as one."""
        return window > HOUR and self._meets_from is None and bool(self._by_time) and self._somebody(self._by_time, now)

    def _somebody(self, versions: Sequence[int], now: int) -> bool:
        store = self._app.store
        with store.database.reading() as tx:
            return store.outcomes.somebody_inside(tx, versions, self._measuring, now)


def _meets(journey: CompiledJourney) -> bool:
    return journey.entry.user is not None or journey.watches_others or "remaining(" in journey.source


class _TooCoarse(Exception):
    """From `at` on users meet, and the windows were too long for it."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class _Simulation:
    def __init__(self, app: App, checked: Checked, asked: Replay, progress: Callable[[int], None], meets_from: int | None) -> None:
        self.app, self.checked, self.asked, self.progress, self.meets_from = app, checked, asked, progress, meets_from
        self.known: set[str] = set()
        # a file of user records says itself who there is
        self.newcomers = asked.past.newcomers(asked.sample) if asked.records is None else iter(())
        self.newcomer = next(self.newcomers, None)
        self.posted = 0
        self.silence: tuple[int, int] | None = None
        self.first = 0

    def run(self) -> Foreseen:
        events = self.asked.past.events(self.checked.audience, self.asked.sample, self.asked.until)
        events = self._listened(events)
        first = next(events, None)
        self.first = self.asked.begins if self.asked.begins is not None else first.time if first is not None else self.asked.until or 0
        self._begin()
        event = self._history(first, events)
        while event is not None:
            event = self._window(event, events)
        self._go_on(self.asked.until if self.asked.until is not None else self.run_.now)
        found = reckon(self.app, self.checked, self.asked.sample, self.first, self.run_.now, self.posted)
        return replace(found, silence=self.silence)

    def _listened(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events, and how long nothing happened between two of them."""
        before: int | None = None
        longest = LONG_SILENCE
        for event in events:
            if before is not None and event.time - before > longest:
                longest, self.silence = event.time - before, (before, event.time)
            before = event.time
            yield event

    # --- before the first event

    def _begin(self) -> None:
        app, at = self.app, self.first - 1
        live_from = at if self.asked.begins is None else self.first  # then those already inside enter at the chosen day's begin
        applied = apply(app.store, app.project, self.checked, live_from, Asked("simulate", "", origins=self.asked.origins))
        if isinstance(applied, Refused):
            raise CannotSimulate("\n".join(f.line(app.project.language()) for f in applied.findings))
        catalogue = app.engine.refresh()
        if self.asked.sample.share < 1:
            self._shrink(catalogue)
        self.crossings = Crossings(app, list(catalogue.current.values()), self.meets_from)
        self.run_ = VirtualRun(app.store, app.engine, app.delivery, at)
        if self.asked.records is not None:
            self._records(self.asked.records(self.checked.audience, self.asked.sample), at)
        if self.asked.begins is None:
            self._introduce(at)
            self.run_.settle(at)

    def _shrink(self, catalogue: Catalogue) -> None:
        """A part of the users has that part of what all share: budgets and paces."""
        share = self.asked.sample.share
        budgets = {name: section.budget for name, section in self.app.project.settings.benefits.items()}
        totals = {name: round(n * share) for name, n in budgets.items() if n is not None}
        self.app.store.database.write(lambda tx: self.app.store.budgets.set_totals(tx, {**budgets, **totals}))
        for number, versioned in list(catalogue.versions.items()):
            entry = versioned.journey.entry
            if entry.pace is None:
                continue
            pace = (max(round(entry.pace[0] * share), 1), entry.pace[1])
            slower = replace(versioned, journey=replace(versioned.journey, entry=replace(entry, pace=pace)))
            catalogue.versions[number] = catalogue.current[slower.journey.id] = slower
            catalogue.paces[slower.journey.id] = pace
            for listeners in (*catalogue.by_event.values(), *catalogue.by_segment.values(), catalogue.by_date, catalogue.by_schedule):
                listeners[:] = [slower if other is versioned else other for other in listeners]

    def _records(self, records: Records, at: int) -> None:
        inbox = self.app.store.inbox

        def unit(tx: Any) -> None:
            for number, (user_id, payload) in enumerate(records):
                inbox.add_user_record(tx, "users", f"user:{user_id}:{at}:{number}", user_id, payload, at)

        self.app.store.database.write(unit)

    def _history(self, event: Event | None, events: Iterator[Event]) -> Event | None:
        """What happened before the chosen day makes the profiles, and moves nobody. Returns the first event after it."""
        if self.asked.begins is None:
            return event
        store, at = self.app.store, self.first - 1
        store.database.write(lambda tx: store.imports.save(tx, HISTORY, at))  # so that nobody is taken for complete before she is
        self._introduce(at, history=True)
        self.run_.settle(at)  # the records
        while event is not None and event.time < self.asked.begins:
            waiting: list[Event] = []
            while event is not None and event.time < self.asked.begins and len(waiting) < MOST_EVENTS:
                waiting.append(replace(event, received_at=at))
                event = next(events, None)
            self._meet(waiting)
            arrived = [(event.source or "past", event) for event in waiting]
            store.database.write(lambda tx, some=arrived: store.inbox.add_all(tx, some, history=True))  # type: ignore[misc]
            self.posted += len(waiting)
            self.progress(waiting[-1].time)
            while self.app.engine.tick(at).total:
                pass

        def complete(tx: Any) -> None:
            store.imports.save(tx, replace(HISTORY, done_at=at), at)
            store.imports.release(tx, at)

        store.database.write(complete)
        self.run_.settle(at)
        return event

    # --- window by window

    def _window(self, event: Event, events: Iterator[Event]) -> Event | None:
        """Work on the events of one window. Returns the first after it."""
        meeting = event.type in self.crossings.events
        fire, window = self._next_fire(self.run_.now), self.crossings.window(self.run_.now)
        if (fire is not None and fire < event.time) or window < event.time - self.run_.now:
            self._advance(event.time - 1)
            window = self.crossings.window(self.run_.now)
        window = HOUR if meeting else window
        edge = event.time + window
        fire = self._next_fire(event.time - 1)
        waiting: list[Event] = []
        following: Event | None = event
        while (
            following is not None
            and following.time <= edge
            and len(waiting) < MOST_EVENTS
            and (fire is None or following.time <= fire)  # a schedule sees what had happened by its time, and no more
            and (meeting or following.type not in self.crossings.events)
        ):
            waiting.append(following)
            following = next(events, None)
        self._introduce(waiting[-1].time)
        self._meet(waiting)
        received = self.run_.now
        self.posted += self.run_.post("past", [replace(e, received_at=max(e.time, received)) for e in waiting])
        self._settle(max(received, waiting[-1].time), window)
        return following

    def _settle(self, until: int, window: int) -> None:
        before = self.run_.now
        fire = self._next_fire(before)
        if fire is not None and before < fire - 1 < until:  # whoever has left before a schedule fires is out by then
            self.run_.settle(fire - 1)
        self.run_.settle(until)
        if self.crossings.was_too_coarse(window, until):
            raise _TooCoarse(before)
        self.progress(until)

    def _meet(self, events: Sequence[Event]) -> None:
        """Whoever is met for the first time is known as the past knows her."""
        new = list(dict.fromkeys(e.user_id for e in events if e.user_id not in self.known))
        self.known.update(new)
        if self.asked.records is None and new:
            people = self.asked.past.people(new)
            self.app.store.database.write(lambda tx: self.app.store.people.save_users(tx, people))

    def _introduce(self, until: int, *, history: bool = False) -> None:
        """Who was known by then without an event: an empty record at her time makes the rules look at her. `history`: it moves nobody."""
        store, new = self.app.store, list[Newcomer]()
        while self.newcomer is not None and self.newcomer[0] <= until:
            if self.newcomer[1] not in self.known:
                new.append(self.newcomer)
            self.newcomer = next(self.newcomers, None)
        for start in range(0, len(new), MOST_EVENTS):
            some = new[start : start + MOST_EVENTS]
            self.known.update(user_id for _, user_id in some)

            def unit(tx: Any, some: list[Newcomer] = some) -> None:
                store.people.save_users(tx, self.asked.past.people([user_id for _, user_id in some]))
                for at, user_id in some:
                    known_at = max(at, self.run_.now)
                    store.inbox.add_user_record(tx, "past", f"known:{user_id}", user_id, {}, known_at, history=history)

            store.database.write(unit)

    def _advance(self, until: int) -> None:
        """Let time go on without events, from one schedule to the next, and no further at once than users who meet allow."""
        while self.run_.now < until:
            fire = self._next_fire(self.run_.now)
            edge = until if fire is None else min(fire, until)
            window = self.crossings.window(self.run_.now)
            if edge - self.run_.now > window:
                comes = self.newcomer[0] if self.newcomer is not None else None
                work = min((at for at in (self.run_.next_work(), comes) if at is not None), default=None)
                edge = edge if work is None else min(edge, max(work, self.run_.now) + window)
            self._introduce(edge)
            self._settle(edge, window)

    def _next_fire(self, after: int) -> int | None:
        """When the next schedule or moment lets a population in."""
        zone, catalogue = self.app.project.zone, self.app.engine.catalogue
        fires = [next_fire(v.journey.entry.schedule, zone, after) for v in catalogue.by_schedule]
        fires += [at for v in catalogue.current.values() if (at := v.journey.entry.at) is not None and at > after]
        return min((at for at in fires if at is not None), default=None)

    def _go_on(self, until: int) -> None:
        self._advance(until)
        self.run_.settle(until)
