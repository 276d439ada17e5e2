"""A batch in hand: the sessions of its users, what they hear, what is to be set aside, and how all of it is written in one transaction."""

import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from runtime.calling import enter_by_call
from runtime.golive import Asked
from runtime.pacing import Windows
from runtime.policy import Reach, addresses_of
from runtime.profile import SLACK
from runtime.session import Session, Tracked
from runtime.state import ENDED, HISTORY, MOVING, Event, Window
from runtime.store import DatabaseError, SqlStore
from runtime.store.inbox import Note, Quarantined
from runtime.store.people import Logged
from runtime.store.releases import Population


@dataclass
class Work:
    """A batch in hand."""

    reach: Reach
    windows: Windows
    sessions: dict[str, Session] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    hold_back: list[int] = field(default_factory=list)
    forwards: list[tuple[Event, str]] = field(default_factory=list)
    holds_until: int | None = None  # for those whose history is still coming in

    def quarantine(self, user_id: str, kind: str, error: Exception | None, body: str) -> None:
        """Set a record aside with its reason."""
        reason = "" if error is None else "".join(traceback.format_exception_only(error)).strip()
        where = traceback.extract_tb(error.__traceback__)[-1] if error is not None and error.__traceback__ else None
        place = f" at {where.name}:{where.lineno}" if where else ""
        self.quarantined.append(Quarantined("engine", (reason or "no progress") + place, body, user_id, kind))

    def take(self, session: Session, note: Note, watchers: Iterable[str], now: int) -> None:
        """Let a user hear a note; `watchers` are those who wait for what she does. What fails is set aside."""
        try:
            if note.kind == "event" and note.event is not None:
                session.event(note.event, now)
                if watchers:
                    shown = replace(note.event, former=session.names[1:])
                    self.forwards.extend((shown, watcher) for watcher in dict.fromkeys(watchers) if watcher != session.user.id)
            elif note.kind == "history":
                session.history(note.event, note.payload, note.received_at, self.holds_until)
            elif note.kind == "forward" and note.event is not None:
                session.forwarded_event(note.event, now, (note.payload or {}).get("enrolments"))
            elif note.kind == "user":
                session.record(note.payload, note.received_at, now)
            elif note.kind == "enrol":
                session.enter_by_note(note.payload, now)
            elif note.kind == "call":
                enter_by_call(session, note.payload, note.received_at, now)
            elif note.kind == "settled":
                session.settled(note.payload, now)
            elif note.kind == "recheck":
                session.baseline(note.received_at)
                session.catch_up(note.received_at, now)
        except (DatabaseError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
            self.quarantine(note.user_id, note.kind, error, note.event.id if note.event else str(note.payload)[:2000])

    def take_profile(self, session: Session, profile: dict[str, Any], now: int, *, quietly: bool) -> None:
        """Let a user go on with a profile made anew; see Session."""
        try:
            session.take_profile(profile, now, quietly=quietly)
        except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
            self.quarantine(session.user.id, "rebuild", error, session.user.id)

    def let_go(self, now: int) -> None:
        """Whoever is held in this batch is looked at next."""
        for session in self.sessions.values():
            if session.user.audience == HISTORY:
                session.user.recheck_at = now


class Writing:
    """Writes a batch: changed enrolments, new ones (what follows needs their numbers), log, ledger, users, counts."""

    def __init__(self, store: SqlStore, tx: Any, now: int, *, virtual: bool) -> None:
        self.store, self.tx, self.now, self.virtual = store, tx, now, virtual
        self.lanes: set[str] = set()  # of what was planned

    def write(self, work: Work) -> None:
        """Write everything, in an order that never meets a row that is not there yet."""
        store, tx = self.store, self.tx
        sessions = list(work.sessions.values())
        rows = [t for s in sessions for t in s.tracked if t.changed]
        store.people.save_enrolments(tx, [t.enrolment for t in rows if not t.is_new])  # first: a restart frees the place
        written = [t for t in rows if not t.is_new or self._add(t)]
        work.windows.save(tx)
        if self.virtual:  # what was planned earlier has gone by now
            self._cancel(written)
        self._log(written, sessions)
        self._ledger(written)
        if self.virtual:
            self._cancel_at_once(written)
        else:  # also what this very batch planned before it learned better
            self._cancel(written)
        ended = [t.enrolment.key for t in written if t.enrolment.status == ENDED and not t.is_new]
        if ended and any(t.versioned.journey.watches_others for t in written):
            store.people.unwatch(tx, ended)
        for tracked in written:  # who has ended may still aim at somebody's event
            if tracked.watched:
                store.people.watch(tx, tracked.enrolment, tracked.watched)
        store.people.save_users(tx, [s.user for s in sessions if s.user_changed])
        self._contacts(sessions)
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

    def _contacts(self, sessions: list[Session]) -> None:
        contacts = self.store.contacts
        for session in sessions:
            if session.identified:
                for other in contacts.identify(self.tx, session.user.id, session.identified, session.dead):
                    moved = {MOVING: session.identified[MOVING]}
                    self.store.inbox.add_note(self.tx, other, "user", {"source": "identity", "moved": moved}, self.now)
        said = [consent for session in sessions for consent in session.consents]
        if said:
            addresses = {s.user.id: addresses_of(s.user.reach.get("identities", {})) for s in sessions if s.consents}
            contacts.record(self.tx, said, addresses, self.now)

    def _add(self, tracked: Tracked) -> bool:
        parallel = tracked.versioned.journey.entry.mode == "parallel"
        id_ = self.store.people.add_enrolment(self.tx, tracked.enrolment, parallel=parallel)
        if id_ is None:
            if tracked.window is not None:  # who does not enter is not counted
                tracked.window.taken -= 1
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

    def _cancel_at_once(self, written: list[Tracked]) -> None:
        """What a batch of virtual time planned at the very moment at which the enrolment ended, or for later; the rest has gone by then."""
        for tracked in written:
            ended_at = tracked.enrolment.ended_at
            if tracked.cancel and ended_at is not None and any(m.not_before >= ended_at for m in tracked.messages):
                self.store.ledger.cancel_of(self.tx, [tracked.enrolment.id], "cancelled", self.now, since=ended_at)

    def _log(self, written: list[Tracked], sessions: list[Session]) -> None:
        rows = [Logged(t.enrolment.user_id, t.enrolment.id, t.log) for t in written if t.log]
        rows += [Logged(s.user.id, None, s.log) for s in sessions if s.log]
        self.store.people.write_log(self.tx, rows, None if self.virtual else self.now)

    def _ledger(self, written: list[Tracked]) -> None:
        ledger = self.store.ledger
        plain: list[dict[str, Any]] = []
        for tracked in written:
            enrolment = tracked.enrolment
            for message in tracked.messages:
                created = message.not_before if self.virtual else self.now
                row = ledger.row_of(message, enrolment.id, enrolment.user_id, enrolment.journey, enrolment.version, created)
                self.lanes.add(row["lane"])
                if message.kind == "message":
                    plain.append(row)
                elif not ledger.add_effect(self.tx, row):
                    payload = {"enrolment_id": enrolment.id, "step": message.step, "visit": message.visit, "ok": True,
                               "at": message.not_before, "reason": "given before"}  # fmt: skip
                    self.store.inbox.add_note(self.tx, enrolment.user_id, "settled", payload, self.now)
        plain.sort(key=lambda row: row["enrolment_id"])
        ledger.add_messages(self.tx, plain)


class Progress:
    """How far a population came, and the window that it fills.

    `at` is the moment of its entries: when it was to go on, or now where that was a whole window ago. `counted_at` is when
    they count: now, on a virtual clock `at`. `took` are those that are not written yet.

    Somebody who is inside already has to have been so when the journey went live, by the rule of then (`inside`), and to be so in her
    turn, at `counted_at` (who was not at another moment between them has come to the door by herself since: see `came_later`). An
    entry's `where` is asked for its moment, and also for now (`asks_again`) of those already inside, and where that moment is so long
    ago that windows do not reach back to it: whoever has just ordered would be taken for somebody who never did.
    """

    def __init__(
        self, population: Population, pace: tuple[int, int] | None, now: int, *, inside: Asked | None = None, virtual: bool = False
    ) -> None:
        self.inside = inside
        self.pace, self.cursor, self.took, self.now = pace, population.cursor, 0, now
        is_late = pace is not None and not virtual and now >= population.next_at + pace[1]
        self.at = now if is_late else population.next_at
        self.counted_at = self.at if virtual else now
        is_existing = population.kind == "existing"
        self.asks_again = self.counted_at > self.at and (is_existing or self.counted_at - self.at > SLACK)
        self.window: Window | None = None

    def is_full(self) -> bool:
        """Whether the pace is used up for this window."""
        return self.pace is not None and self.window is not None and self.window.taken + self.took >= self.pace[0]

    @property
    def next_at(self) -> int:
        """When to go on."""
        return self.window.until if self.window is not None and self.is_full() else self.at
