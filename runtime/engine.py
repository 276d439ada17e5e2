"""The engine: takes what is due or has arrived in batches, lets each user's Session decide, writes it in one transaction.

It never sends and never sees a vendor; `now` is given with every call.
"""

import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from journeys.compiled import WaitSpec
from journeys.schedule import next_fire
from journeys.world import World
from runtime.catalogue import Catalogue, Versioned, catalogue_of
from runtime.facts import UserFacts
from runtime.policy import PersonReach, Reach, Rules, longest_cap, person_reach
from runtime.session import Rehearsal, Session, Tracked
from runtime.state import ENDED, Arrived, Enrolment, Event, Fact, User
from runtime.store import DatabaseError, SqlStore
from runtime.store.database import Batch
from runtime.store.inbox import Note, Quarantined
from runtime.store.people import Logged
from runtime.store.releases import Population

BATCH = 500
MOST_FIRES = 50  # of one schedule caught up in one tick


@dataclass
class Worked:
    """What a tick did."""

    notes: int = 0
    rechecked: int = 0
    advanced: int = 0
    populated: int = 0
    entered: int = 0
    quarantined: int = 0
    by_what: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How much was there to do; 0 means that nothing is left for now."""
        return self.notes + self.rechecked + self.advanced + self.populated


class Engine:
    """Advances users. One thread at a time calls it; on PostgreSQL any number of daemons may.

    On a virtual clock (`virtual`) every stimulus is worked on at its own time, whatever the size of the batch: each
    user's events, timers and flips are merged by time, and a user's time stands still while a grant or call is open.
    """

    def __init__(
        self, store: SqlStore, world: World, zone: ZoneInfo, rules: Rules, rehearsal: Rehearsal | None = None, *, virtual: bool = False
    ) -> None:
        self.virtual = virtual
        self.store, self.world, self.zone, self.rules, self.rehearsal = store, world, zone, rules, rehearsal
        self.catalogue = Catalogue(0, 0, catalogue_of(None, world, zone).audience, "", {}, {}, world, zone)
        self._version_ids: list[int] = []
        self._shares: dict[int, float] = {}

    # --- the tick

    def refresh(self) -> Catalogue:
        """Take the newest release when there is one, and older versions that still have somebody inside.

        Asked at every tick; between releases it is one look at one number.
        """
        with self.store.database.reading() as tx:
            if self._version_ids and self.store.releases.current_id(tx) == self.catalogue.release_id:
                return self.catalogue
            self.catalogue = catalogue_of(self.store.releases.current(tx), self.world, self.zone)
            live = self.store.releases.live_versions(tx)
            for version_id in live:
                version = self.store.releases.version(tx, version_id)
                if version is not None:
                    self.catalogue.version(version)
        current = {v.version_id for v in self.catalogue.current.values()}
        self.take_versions(sorted(current | set(live) & set(self.catalogue.versions)))
        return self.catalogue

    def tick(self, now: int, limit: int = BATCH) -> Worked:
        """One round: inbox first, then flips, populations, timers. Call again while `total` is not 0."""
        worked = Worked()
        self._project(now, limit, worked)
        if not worked.notes:  # nobody's timer fires while an accepted event of hers is not projected
            self._recheck(now, limit, worked)
            self._fire_schedules(now)
            self._populate(now, limit, worked)
            self._advance(now, limit, worked)
        return worked

    def next_work(self) -> int | None:
        """When the next timer, flip, population or schedule is due."""
        with self.store.database.reading() as tx:
            candidates = [self.store.people.next_due(tx, self._version_ids), self.store.releases.next_population(tx)]
            candidates.extend(self._next_fire(tx, versioned) for versioned in self.catalogue.by_schedule)
        return min((at for at in candidates if at is not None), default=None)

    def take_versions(self, version_ids: list[int]) -> None:
        """Work on these versions. Half of each batch is for service and event-entered work, the rest for the others."""
        self._version_ids = version_ids
        prompt = [v for v in version_ids if self._is_prompt(v)]
        others = [v for v in version_ids if v not in prompt]
        self._shares = {v: 1 / (2 * len(prompt) if others else len(prompt)) for v in prompt}
        self._shares |= {v: 1 / (2 * len(others) if prompt else len(others)) for v in others}

    def _is_prompt(self, version_id: int) -> bool:
        journey = self.catalogue.versions[version_id].journey
        return journey.journey.purpose == "service" or journey.entry.form == "event"

    def enter_one(self, user_id: str, journey: str, fact: Fact, now: int) -> bool:
        """Enrol one user by call; False when the journey refuses (the reason is kept)."""
        with self.store.database.batch() as batch:
            work = self._open(batch, [user_id], now, set(), journeys=[journey])
            session = work.sessions[user_id]
            entered = session.enter(self.catalogue.current[journey], fact, now)
            session.finish(now)
            self._write(batch, work, now, Worked())
        return entered

    # --- the kinds of work

    def _project(self, now: int, limit: int, worked: Worked) -> None:
        with self.store.database.batch() as batch:
            notes = self.store.inbox.waiting(batch.connection, limit)
            if not notes:
                return
            by_user: dict[str, list[Note]] = {}
            for note in notes:
                by_user.setdefault(note.user_id, []).append(note)
            events = {note.event.type for note in notes if note.event is not None}
            work = self._open(batch, list(by_user), now, events)
            watchers = self.store.inbox.watchers_of(batch.connection, list(by_user))
            done: list[int] = []
            for user_id, mine in by_user.items():
                session = work.sessions[user_id]
                for note in sorted(mine, key=_note_time) if self.virtual else mine:
                    if self.virtual and not session.run_until(_note_time(note), inclusive=False) and note.kind != "settled":
                        break
                    self._take(work, session, note, watchers.get(user_id, ()), _note_time(note) if self.virtual else now)
                    done.append(note.id)
            worked.notes += len(done)
            self._look_back(batch, work, now, done)
            self._write(batch, work, now, worked, done)

    def _take(self, work: "_Work", session: Session, note: Note, watchers: Iterable[str], now: int) -> None:
        try:
            if note.kind == "event" and note.event is not None:
                session.event(note.event, now)
                work.forwards.extend((note.event, watcher) for watcher in watchers)
            elif note.kind == "forward" and note.event is not None:
                session.forwarded_event(note.event, now)
            elif note.kind == "user":
                session.record(note.payload, note.received_at, now)
            elif note.kind == "enrol":
                session.enter_by_note(note.payload, now)
            elif note.kind == "settled":
                session.settled(note.payload, now)
        except (DatabaseError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
            work.quarantine(note.user_id, note.kind, error, note.event.id if note.event else str(note.payload)[:2000])

    def _recheck(self, now: int, limit: int, worked: Worked) -> None:
        with self.store.database.batch() as batch:
            users = self.store.people.due_rechecks(batch.connection, now, limit)
            if not users:
                return
            worked.rechecked += len(users)
            work = self._open(batch, [u.id for u in users], now, set(), users)
            for user in users:
                session = work.sessions[user.id]
                try:
                    session._baseline(now)  # noqa: SLF001 - a turn that begins without a stimulus
                    if self.virtual:
                        session.run_until(now, inclusive=True)
                    else:
                        session.recheck(now)
                except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                    user.recheck_at = None
                    session.user_changed = True
                    work.quarantine(user.id, "recheck", error, user.id)
            self._look_back(batch, work, now)
            self._write(batch, work, now, worked)

    def _advance(self, now: int, limit: int, worked: Worked) -> None:
        with self.store.database.batch() as batch:
            claimed = self.store.people.claim_due(batch.connection, self._shares, now, limit)
            if not claimed:
                return
            worked.advanced += len(claimed)
            people = list({user.id: user for _, user in claimed}.values())
            claimed_ids = {enrolment.id for enrolment, _ in claimed}
            work = self._open(batch, [u.id for u in people], now, set(), people, [e for e, _ in claimed])
            claimed.sort(key=lambda pair: -self._priority(pair[0]))  # of one user's sends, the more important asks the caps first
            for enrolment, user in claimed:
                session = work.sessions[user.id]
                tracked = next((t for t in session.tracked if t.enrolment.id == enrolment.id), None)
                if tracked is None or enrolment.id not in claimed_ids:
                    continue
                try:
                    if self.virtual:
                        session.run_until(now, inclusive=True)
                    else:
                        session.due(tracked, now)
                    if not tracked.changed and not (self.virtual and session.waits_for_effect):
                        self._stuck(work, tracked)
                except (DatabaseError, MemoryError):
                    raise
                except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                    work.hold_back.append(enrolment.id)
                    work.quarantine(user.id, "enrolment", error, enrolment.key)
                    tracked.changed = False
                    tracked.log, tracked.messages = [], []
            self._look_back(batch, work, now)
            self._write(batch, work, now, worked)

    @staticmethod
    def _stuck(work: "_Work", tracked: Tracked) -> None:
        work.hold_back.append(tracked.enrolment.id)
        work.quarantine(tracked.enrolment.user_id, "enrolment", None, f"{tracked.enrolment.key}: its timer moved nothing")

    def _priority(self, enrolment: Enrolment) -> int:
        versioned = self.catalogue.versions.get(enrolment.version)
        return versioned.journey.journey.priority if versioned else 0

    # --- populations: schedules, moments, those already inside

    def _next_fire(self, tx: Any, versioned: Versioned) -> int | None:
        last = self.store.releases.last_fire(tx, versioned.journey.id)
        return next_fire(versioned.journey.entry.schedule, self.zone, max(last or 0, self.catalogue.applied_at))

    def _fire_schedules(self, now: int) -> None:
        for versioned in self.catalogue.by_schedule:
            for _ in range(MOST_FIRES):
                with self.store.database.reading() as tx:
                    fire = self._next_fire(tx, versioned)
                if fire is None or fire > now:
                    break
                journey = versioned.journey.id
                self.store.database.write(
                    lambda tx, journey=journey, fire=fire: self.store.releases.add_population(  # type: ignore[misc]
                        tx, journey, f"schedule@{fire}", "schedule", fire
                    )
                )

    def _populate(self, now: int, limit: int, worked: Worked) -> None:
        with self.store.database.batch() as batch:
            population = self.store.releases.due_population(batch.connection, now)
            if population is None:
                return
            versioned = self.catalogue.current.get(population.journey)
            users = self.store.people.users_after(batch.connection, population.cursor, limit) if versioned else []
            worked.populated += max(len(users), 1)
            work = self._open(batch, [u.id for u in users], now, set(), users, journeys=[population.journey])
            progress = _Progress(population, versioned.journey.entry.pace if versioned else None, now)
            for user in users:
                if progress.full:
                    break
                assert versioned is not None  # noqa: S101 - there are no users otherwise
                try:
                    progress.took += self._enter_of(
                        population, max(population.at, progress.window_at), versioned, work.sessions[user.id], now
                    )
                except (DatabaseError, MemoryError):
                    raise
                except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                    work.quarantine(user.id, "population", error, f"{population.journey} {population.fact_id}")
                progress.cursor = user.id
            done = len(users) < limit and not progress.full
            self._look_back(batch, work, now)
            self._write(batch, work, now, worked, population=(population, progress, now if done else None))

    def _enter_of(self, population: Population, at: int, versioned: Versioned, session: Session, now: int) -> bool:
        session._baseline(now)  # noqa: SLF001 - a turn that begins without a stimulus
        if not self._qualifies(session, versioned, population):
            return False
        moment = at if self.virtual else now
        entered = session.enter(versioned, Fact(population.kind, population.fact_id, at), moment, quietly=True)
        session.finish(moment)
        return entered

    def _qualifies(self, session: Session, versioned: Versioned, population: Population) -> bool:
        if population.kind != "existing":
            return True
        facts = UserFacts(self.catalogue.audience, session.user, population.at)
        return facts.segment(versioned.journey.entry.segment)

    # --- opening and writing a batch

    def _open(
        self, batch: Batch, user_ids: list[str], now: int, events: set[str], users: Sequence[User] = (),
        claimed: Sequence[Enrolment] = (), journeys: Sequence[str] = (),
    ) -> "_Work":  # fmt: skip
        tx, catalogue, people = batch.connection, self.catalogue, self.store.people
        known = {u.id: u for u in users} or people.load_users(tx, user_ids)
        open_ = people.open_enrolments(tx, user_ids, now) if not claimed else _by_user(claimed)
        if claimed and self._needs_everything:
            open_ = people.open_enrolments(tx, user_ids, now)
        candidates = list(journeys) or self._candidates(events, timers=bool(claimed))
        past = people.past_entries(tx, user_ids, candidates) if candidates else {}
        reach = Reach(self.rules, {}, self.store.ledger.remaining(tx), self.rehearsal.variants if self.rehearsal else {})
        reach.people.update(self._people(tx, now, frozenset(user_ids), known))
        load = partial(self._people, tx, now)
        work = _Work(reach=reach)
        for user_id in user_ids:
            user = known.get(user_id) or User(user_id, self.zone, is_new=True)
            tracked = [
                Tracked(e, versioned) for e in open_.get(user_id, ()) if (versioned := catalogue.versions.get(e.version)) is not None
            ]
            work.sessions[user_id] = Session(
                catalogue, user, reach, tracked, past.get(user_id, ()), load, self.rehearsal
            )  # fmt: skip
        return work

    @property
    def _needs_everything(self) -> bool:
        """Whether a timer's turn must see the user's other enrolments (in_journey, journey_ended, segment edges by update)."""
        return self.virtual or len(self.catalogue.versions) > 1

    def _candidates(self, events: set[str], *, timers: bool) -> list[str]:
        catalogue = self.catalogue
        found = {v.journey.id for event in events for v in catalogue.by_event.get(event, ())}
        if not timers or len(catalogue.versions) > 1:
            found |= {v.journey.id for entries in catalogue.by_segment.values() for v in entries}
            found |= {v.journey.id for v in catalogue.by_date}
            found |= {
                v.journey.id
                for e in ("stage_changed", "segment_entered", "segment_left", "journey_ended")
                for v in catalogue.by_event.get(e, ())
            }
            found |= {v.journey.id for v in catalogue.current.values() if v.journey.entry.user is not None}
        return sorted(found)

    def _people(self, tx: Any, now: int, user_ids: frozenset[str], known: dict[str, User] | None = None) -> dict[str, PersonReach]:
        """What these users can be sent, from their rows and their touches."""
        span = longest_cap(self.rules)
        found = known if known is not None else self.store.people.load_users(tx, sorted(user_ids))
        touches = self.store.ledger.touches(tx, sorted(user_ids), now - span, started_only=False) if span else {}
        people: dict[str, PersonReach] = {}
        for user_id in user_ids:
            try:
                people[user_id] = person_reach(found.get(user_id) or User(user_id, self.zone), self.rules, touches.get(user_id, []))
            except ValueError:  # unreadable: of a batch it is left out, and costs only who asks for it again
                if known is None:
                    raise
        return people

    def _look_back(self, batch: Batch, work: "_Work", now: int, done: Sequence[int] = ()) -> None:
        """Events that came between a wait's logical begin and now (after a downtime) are matched as if it had been there."""
        waiting = (
            []
            if self.virtual
            else [
                (session, tracked)
                for session in work.sessions.values()
                for tracked in session.tracked
                if tracked.changed and tracked.enrolment.begun_at < now and _awaits_events(tracked)
            ]
        )
        if not waiting:
            return
        owners = {t.enrolment.user_id for _, t in waiting}.union(*(t.watched for _, t in waiting))
        since = min(t.enrolment.begun_at for _, t in waiting)
        events = self.store.inbox.events_since(batch.connection, sorted(owners), since, done)
        for session, tracked in waiting:
            try:
                self._match_earlier(session, tracked, events, now)
            except (DatabaseError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                work.quarantine(session.user.id, "enrolment", error, tracked.enrolment.key)

    @staticmethod
    def _match_earlier(session: Session, tracked: Tracked, events: Sequence[Event], now: int) -> None:
        for event in events:
            if not _awaits_events(tracked):
                break
            enrolment = tracked.enrolment
            if event.user_id != enrolment.user_id and event.user_id not in tracked.watched:
                continue
            if enrolment.begun_at < event.time <= min(now, enrolment.context["until"]):
                session.apply(tracked, Arrived(event), now)
        session.finish(now)

    def _write(
        self, batch: Batch, work: "_Work", now: int, worked: Worked, done: Sequence[int] = (),
        population: tuple[Population, "_Progress", int | None] | None = None,
    ) -> None:  # fmt: skip
        def unit(tx: Any) -> None:
            _Writing(self.store, tx, now, virtual=self.virtual).write(work)
            self.store.inbox.finish(tx, done)
            if population is not None:
                row, progress, done_at = population
                self.store.releases.save_population(
                    tx, row, cursor=progress.cursor, taken=progress.taken + progress.took, window_at=progress.window_at,
                    next_at=progress.next_at(), done_at=done_at,
                )  # fmt: skip

        batch.write(unit)
        worked.quarantined += len(work.quarantined)
        for session in work.sessions.values():
            for (_, _, what, detail), n in session.tallies.items():
                worked.by_what[f"{what}:{detail}"] += n
                worked.entered += n if what == "entered" else 0


def _note_time(note: Note) -> int:
    """When a note happened, on a virtual clock."""
    if note.kind == "settled":
        return int(note.payload["at"])
    return note.event.time if note.event is not None else note.received_at


def _by_user(enrolments: Sequence[Enrolment]) -> dict[str, list[Enrolment]]:
    found: dict[str, list[Enrolment]] = {}
    for enrolment in enrolments:
        found.setdefault(enrolment.user_id, []).append(enrolment)
    return found


def _awaits_events(tracked: Tracked) -> bool:
    enrolment = tracked.enrolment
    if enrolment.status == ENDED:
        return False
    step = tracked.versioned.journey.steps.get(enrolment.state)
    return step is not None and isinstance(step.spec, WaitSpec) and bool(step.spec.cases) and "until" in enrolment.context


class _Progress:
    """How far a population came, and its pace: so many per so long, counted from the window's start."""

    def __init__(self, population: Population, pace: tuple[int, int] | None, now: int) -> None:
        self.pace, self.cursor, self.took = pace, population.cursor, 0
        self.taken, self.window_at = population.taken, population.window_at
        if pace is not None and now >= self.window_at + pace[1]:
            self.taken, self.window_at = 0, now

    @property
    def full(self) -> bool:
        """Whether the pace is used up for this window."""
        return self.pace is not None and self.taken + self.took >= self.pace[0]

    def next_at(self) -> int:
        """When to go on."""
        return self.window_at + self.pace[1] if self.pace is not None and self.full else self.window_at


@dataclass
class _Work:
    """A batch in hand."""

    reach: Reach
    sessions: dict[str, Session] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    hold_back: list[int] = field(default_factory=list)
    forwards: list[tuple[Event, str]] = field(default_factory=list)

    def quarantine(self, user_id: str, kind: str, error: Exception | None, body: str) -> None:
        """Set a record aside with its reason."""
        reason = "" if error is None else "".join(traceback.format_exception_only(error)).strip()
        where = traceback.extract_tb(error.__traceback__)[-1] if error is not None and error.__traceback__ else None
        place = f" at {where.name}:{where.lineno}" if where else ""
        self.quarantined.append(Quarantined("engine", (reason or "no progress") + place, body, user_id, kind))


class _Writing:
    """Writes a batch: changed enrolments, new ones (what follows needs their numbers), log, ledger, users, counts."""

    def __init__(self, store: SqlStore, tx: Any, now: int, *, virtual: bool) -> None:
        self.store, self.tx, self.now, self.virtual = store, tx, now, virtual

    def write(self, work: _Work) -> None:
        store, tx = self.store, self.tx
        sessions = list(work.sessions.values())
        rows = [t for s in sessions for t in s.tracked if t.changed]
        store.people.save_enrolments(tx, [t.enrolment for t in rows if not t.is_new])  # first: a restart frees the place
        written = [t for t in rows if not t.is_new or self._add(t)]
        self._cancel(written)
        self._log(written, sessions)
        self._ledger(written)
        for tracked in written:
            if tracked.watched:
                store.people.watch(tx, tracked.enrolment, tracked.watched)
        ended = [t.enrolment.key for t in written if t.enrolment.status == ENDED and not t.is_new]
        if ended and any(t.versioned.journey.watches_others for t in written):
            store.people.unwatch(tx, ended)
        store.people.save_users(tx, [s.user for s in sessions if s.user_changed])
        store.people.write_refusals(tx, [r for s in sessions for r in s.refusals])
        totals: Counter[tuple[str, int, str, str]] = Counter()
        for session in sessions:
            totals.update(session.tallies)
        store.people.add_tallies(tx, dict(totals))
        for session in sessions:
            for item in session.forwarded:
                at = item.payload["received_at"] if self.virtual and item.payload else self.now
                store.inbox.add_note(tx, item.user_id, item.kind, item.payload, at)
        for event, watcher in work.forwards:
            store.inbox.forward(tx, event, watcher, event.received_at if self.virtual else self.now)
        for enrolment_id in work.hold_back:
            store.people.hold_back(tx, enrolment_id)
        store.inbox.quarantine(tx, work.quarantined, self.now)

    def _add(self, tracked: Tracked) -> bool:
        parallel = tracked.versioned.journey.entry.mode == "parallel"
        id_ = self.store.people.add_enrolment(self.tx, tracked.enrolment, parallel=parallel)
        if id_ is None:
            return False
        tracked.enrolment.id = id_
        return True

    def _cancel(self, written: list[Tracked]) -> None:
        by_reason: dict[str, list[int]] = {}
        for tracked in written:
            if tracked.cancel:
                by_reason.setdefault("cancelled", []).append(tracked.enrolment.id)
        for reason, ids in by_reason.items():
            self.store.ledger.cancel_of(self.tx, ids, reason, self.now)

    def _log(self, written: list[Tracked], sessions: list[Session]) -> None:
        rows = [Logged(t.enrolment.user_id, t.enrolment.id, t.log) for t in written if t.log]
        rows += [Logged(s.user.id, None, s.log) for s in sessions if s.log]
        self.store.people.write_log(self.tx, rows, self.now)

    def _ledger(self, written: list[Tracked]) -> None:
        ledger = self.store.ledger
        plain: list[dict[str, Any]] = []
        for tracked in written:
            enrolment = tracked.enrolment
            for message in tracked.messages:
                created = message.not_before if self.virtual else self.now
                row = ledger.row_of(message, enrolment.id, enrolment.user_id, enrolment.journey, enrolment.version, created)
                if message.kind == "message":
                    plain.append(row)
                elif not ledger.add_effect(self.tx, row):
                    payload = {"enrolment_id": enrolment.id, "step": message.step, "visit": message.visit, "ok": True,
                               "at": message.not_before, "reason": "given before"}  # fmt: skip
                    self.store.inbox.add_note(self.tx, enrolment.user_id, "settled", payload, self.now)
        plain.sort(key=lambda row: row["enrolment_id"])
        ledger.add_messages(self.tx, plain)
