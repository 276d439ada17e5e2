"""Everything that waits to be worked on for a user, in the order of arrival: events, user records, outcomes.

A row is deleted in the transaction that holds all its consequences: exactly once, whatever dies in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import Event
from runtime.store.codec import Codec
from runtime.store.rows import event_of
from runtime.store.tables import events, inbox, quarantine, users, watches


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to work on. `kind`: event, user, forward (another user's event), enrol, settled."""

    id: int
    user_id: str
    kind: str
    received_at: int
    event: Event | None
    payload: Any


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Something that could not be taken, kept with its reason."""

    source: str
    reason: str
    body: str
    user_id: str = ""
    kind: str = "event"


class Inbox:
    """Statements of events, inbox and quarantine."""

    def __init__(self, codec: Codec, *, is_sqlite: bool) -> None:
        self._codec = codec
        self._is_sqlite = is_sqlite
        upsert: Any = sqlite_insert if is_sqlite else postgres_insert
        # built once: making a statement costs more than running it
        self._add_event = upsert(events).on_conflict_do_nothing(index_elements=["source", "event_id"]).returning(events.c.id)
        self._add_user = upsert(users).on_conflict_do_nothing(index_elements=["user_id"])
        self._add_note = insert(inbox)

    def add_events(self, tx: Connection, source: str, arrived: Sequence[Event]) -> int:
        """Keep events and put them into the inbox; those known by (source, id) are passed over. Returns how many are new."""
        rows: dict[int, int] = {}
        for index in sorted(range(len(arrived)), key=lambda i: (arrived[i].id, i)):  # in one order, so that two daemons
            event = arrived[index]  # never wait for each other in a circle
            data = self._codec.encode("events.data", event.user_id, dict(event.data))
            row = self._keep(tx, source, event.id, event.type, event.user_id, event.time, event.received_at, data)
            if row is not None:
                rows[index] = row
        for user_id, at in sorted({arrived[i].user_id: arrived[i].received_at for i in rows}.items()):
            tx.execute(self._add_user, {"user_id": user_id, "created_at": at})
        for index, row in sorted(rows.items()):
            event = arrived[index]
            note = {"user_id": event.user_id, "kind": "event", "payload": None, "received_at": event.received_at, "event_row": row}
            tx.execute(self._add_note, note)
        return len(rows)

    def add_note(
        self, tx: Connection, user_id: str, kind: str, payload: Any, at: int, event_row: int | None = None, *, lock: bool = False
    ) -> None:
        """Put something else than an event into a user's inbox; the user need not be known yet.

        With `lock` (what people say about being messaged) it waits for a send to her that is just being begun: no intent is
        committed after the answer that a withdrawal was taken.
        """
        text = None if payload is None else self._codec.encode("inbox.payload", user_id, payload)
        tx.execute(self._add_user, {"user_id": user_id, "created_at": at})
        if lock and not self._is_sqlite:
            tx.execute(select(users.c.user_id).where(users.c.user_id == user_id).with_for_update())
        note = {"user_id": user_id, "kind": kind, "payload": text, "received_at": at, "event_row": event_row}
        tx.execute(self._add_note, note)

    def add_user_record(self, tx: Connection, source: str, record_id: str, user_id: str, payload: Any, at: int) -> bool:
        """Keep a user record once per (source, id); False when it is known already."""
        row = self._keep(tx, source, record_id, "$user", user_id, at, at, "{}")
        if row is not None:
            self.add_note(tx, user_id, "user", payload, at, lock=True)
        return row is not None

    def _keep(
        self, tx: Connection, source: str, event_id: str, type_: str, user_id: str, time: int, received_at: int, data: str
    ) -> int | None:
        values = {"source": source, "event_id": event_id, "type": type_, "user_id": user_id, "time": time,
                  "received_at": received_at, "data": data}  # fmt: skip
        found: int | None = tx.execute(self._add_event, values).scalar_one_or_none()
        return found

    def quarantine(self, tx: Connection, items: Sequence[Quarantined], at: int) -> None:
        """Keep what could not be taken."""
        for item in items:
            body = self._codec.encode("quarantine.body", item.user_id, item.body)
            tx.execute(
                insert(quarantine).values(kind=item.kind, user_id=item.user_id, source=item.source, reason=item.reason, body=body,
                                          received_at=at)
            )  # fmt: skip

    def waiting(self, tx: Connection, limit: int) -> list[Note]:
        """The oldest notes of users that nobody else works on; their user rows are locked on PostgreSQL."""
        first = select(inbox.c.user_id).order_by(inbox.c.id).limit(limit)
        user_ids = list(dict.fromkeys(tx.execute(first).scalars()))
        if not user_ids:
            return []
        if not self._is_sqlite:
            locked = select(users.c.user_id).where(users.c.user_id.in_(user_ids)).order_by(users.c.user_id)
            user_ids = list(tx.execute(locked.with_for_update(skip_locked=True)).scalars())
        joined = inbox.outerjoin(events, events.c.id == inbox.c.event_row)
        rows = tx.execute(
            select(inbox.c.id, inbox.c.user_id, inbox.c.kind, inbox.c.received_at, inbox.c.payload, events.c.event_id, events.c.type,
                   events.c.user_id.label("event_user"), events.c.time, events.c.received_at.label("event_received"), events.c.data,
                   events.c.source)
            .select_from(joined).where(inbox.c.user_id.in_(user_ids)).order_by(inbox.c.id).limit(limit * 2)
        )  # fmt: skip
        return [self._read(row) for row in rows]

    def _read(self, row: Any) -> Note:
        event = None
        if row.event_id is not None:
            event = event_of((row.event_id, row.type, row.event_user, row.time, row.event_received, row.data, row.source), self._codec)
        payload = None if row.payload is None else self._codec.decode_object("inbox.payload", row.user_id, row.payload)
        return Note(row.id, row.user_id, row.kind, row.received_at, event, payload)

    def finish(self, tx: Connection, note_ids: Sequence[int]) -> None:
        """Delete notes whose consequences are written in this transaction."""
        if note_ids:
            tx.execute(delete(inbox).where(inbox.c.id.in_(note_ids)))

    def busy(self, tx: Connection, user_ids: set[str]) -> set[str]:
        """Those of the users who have something in the inbox."""
        return set(tx.execute(select(inbox.c.user_id).where(inbox.c.user_id.in_(sorted(user_ids))).distinct()).scalars())

    def size(self, tx: Connection) -> int:
        """How many notes wait."""
        return int(tx.execute(select(func.count()).select_from(inbox)).scalar_one())

    def watchers_of(self, tx: Connection, user_ids: Sequence[str]) -> dict[str, list[str]]:
        """Who waits for events of these users."""
        found: dict[str, list[str]] = {}
        rows = tx.execute(select(watches.c.watched_id, watches.c.watcher_id).where(watches.c.watched_id.in_(user_ids)).distinct())
        for watched, watcher in rows:
            found.setdefault(watched, []).append(watcher)
        return found

    def forward(self, tx: Connection, event: Event, watcher: str, at: int) -> None:
        """Show an event of one user to another who waits for it."""
        row = tx.execute(select(events.c.id).where(events.c.source == event.source, events.c.event_id == event.id)).scalar_one_or_none()
        self.add_note(tx, watcher, "forward", None, at, row)

    def events_since(self, tx: Connection, user_ids: Sequence[str], after: int, done: Sequence[int] = ()) -> list[Event]:
        """Projected events (`done` are notes being finished) with a time after an instant, in the order of their times."""
        pending = select(inbox.c.event_row).where(
            inbox.c.user_id.in_(user_ids), inbox.c.event_row.is_not(None), inbox.c.id.not_in(done), inbox.c.kind == "event"
        )
        rows = tx.execute(
            select(events.c.event_id, events.c.type, events.c.user_id, events.c.time, events.c.received_at, events.c.data, events.c.source)
            .where(events.c.user_id.in_(user_ids), events.c.time > after, events.c.type != "$user", events.c.id.not_in(pending))
            .order_by(events.c.time, events.c.event_id)
        )
        return [event_of(row, self._codec) for row in rows]
