"""Everything that waits to be worked on for a user, in the order of arrival: events, user records, outcomes.

A row is deleted in the transaction that holds all its consequences: exactly once, whatever dies in between.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Integer, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import ENDED, Event, stable_key
from runtime.store.among import among
from runtime.store.codec import Codec
from runtime.store.rows import event_of
from runtime.store.tables import enrolments, events, inbox, quarantine, users, watches

_ADD_TO_POSTGRES = """
WITH given AS (
  SELECT * FROM unnest(%(source)s::text[], %(event_id)s::text[], %(type)s::text[], %(user_id)s::text[], %(time)s::bigint[],
    %(received_at)s::bigint[], %(data)s::text[]) WITH ORDINALITY AS g(source, event_id, type, user_id, time, received_at, data, n)
), firsts AS (
  SELECT DISTINCT ON (source, event_id) * FROM given ORDER BY source, event_id, n
), fresh AS (
  INSERT INTO events (source, event_id, type, user_id, time, received_at, data, history)
  SELECT source, event_id, type, user_id, time, received_at, data, %(history)s FROM firsts ORDER BY source, event_id
  ON CONFLICT (source, event_id) DO NOTHING RETURNING id, source, event_id, user_id, received_at
), people AS (
  INSERT INTO users (user_id, created_at) SELECT user_id, min(received_at) FROM fresh GROUP BY user_id ORDER BY user_id
  ON CONFLICT (user_id) DO NOTHING
), notes AS (
  INSERT INTO inbox (user_id, kind, event_row, received_at)
  SELECT fresh.user_id, %(kind)s, fresh.id, fresh.received_at FROM fresh JOIN firsts USING (source, event_id) ORDER BY firsts.n
)
SELECT firsts.n FROM fresh JOIN firsts USING (source, event_id)
"""
MOST_EACH = 4
# One statement for all rows: the driver gives the interpreter away and waits for it again with each row of an executemany, and while
# requests are being read it waits long.
_ADD_TO_SQLITE = """
INSERT INTO events (id, source, event_id, type, user_id, time, received_at, data, history)
SELECT :base + key, value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, :history FROM json_each(:rows) WHERE true
ON CONFLICT (source, event_id) DO NOTHING
"""
# `+`: else the planner reads the index of (user_id, time) from its beginning to its end, all events that there ever were
_PEOPLE_OF_SQLITE = """
INSERT INTO users (user_id, created_at) SELECT user_id, min(received_at) FROM events WHERE id >= :base GROUP BY +user_id
ON CONFLICT (user_id) DO NOTHING
"""
_NOTES_OF_SQLITE = """
INSERT INTO inbox (user_id, kind, event_row, received_at)
SELECT user_id, :kind, id, received_at FROM events WHERE id >= :base ORDER BY id
"""
# Built once: making a statement costs more than running it.
_BUSY = select(inbox.c.user_id).where(among(inbox.c.user_id, "ids")).distinct()
_LOCKED = select(users.c.user_id).where(among(users.c.user_id, "ids")).order_by(users.c.user_id).with_for_update(skip_locked=True)
_NOTES = (
    select(inbox.c.id, inbox.c.user_id, inbox.c.kind, inbox.c.received_at, inbox.c.payload, events.c.event_id, events.c.type,
           events.c.user_id.label("event_user"), events.c.time, events.c.received_at.label("event_received"), events.c.data,
           events.c.source)
    .select_from(inbox.outerjoin(events, events.c.id == inbox.c.event_row))
    .where(among(inbox.c.user_id, "ids")).order_by(inbox.c.id).limit(bindparam("most", type_=Integer))
)  # fmt: skip
_FINISH = delete(inbox).where(among(inbox.c.id, "ids"))
_WATCHERS = (
    select(watches.c.watched_id, watches.c.watcher_id)
    .join_from(watches, enrolments, enrolments.c.key == watches.c.enrolment_key)
    .where(among(watches.c.watched_id, "ids"), or_(enrolments.c.status < ENDED, enrolments.c.goal_until >= bindparam("since")))
    .distinct()
)
_ROW = select(events.c.data).where(events.c.source == bindparam("source"), events.c.event_id == bindparam("name"))
_OLDEST = select(inbox.c.user_id, inbox.c.kind).order_by(inbox.c.id).limit(bindparam("most"))


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to work on. `kind`: event, user, history (one of these, known already), forward (another user's event), enrol,
    call (an entry from outside), settled.
    """

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


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file of users: the digest of what it says, which file that is, and which of its rows."""

    said: str
    file: str
    number: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking at `n` events up to number `after`. `held` is the first whose time has not come."""

    after: int
    n: int
    deleted: int
    held: int | None
    done: bool


class Inbox:
    """Statements of events, inbox and quarantine."""

    def __init__(self, codec: Codec, *, is_sqlite: bool) -> None:
        self._codec = codec
        self._is_sqlite = is_sqlite
        upsert: Any = sqlite_insert if is_sqlite else postgres_insert
        # built once: making a statement costs more than running it
        self._add_event = upsert(events).on_conflict_do_nothing(index_elements=["source", "event_id"]).returning(events.c.id)
        replaced = upsert(events)
        hers = {name: replaced.excluded[name] for name in ("user_id", "time", "received_at", "data")}
        self._keep_row = replaced.on_conflict_do_update(index_elements=["source", "event_id"], set_=hers)
        self._add_user = upsert(users).on_conflict_do_nothing(index_elements=["user_id"])
        self._add_note = insert(inbox)
        self._add_quarantined = insert(quarantine)

    def add_events(self, tx: Connection, source: str, arrived: Sequence[Event], *, history: bool = False) -> int:
        """Keep events and put them into the inbox; those known by (source, id) are passed over. Returns how many are new.

        As `history` they are projected, and move nobody.
        """
        return len(self.add_all(tx, [(source, event) for event in arrived], history=history))

    def add_all(self, tx: Connection, arrived: Sequence[tuple[str, Event]], *, history: bool = False) -> set[int]:
        """Keep events of several sources at once. Returns the indexes of those that are new; of equal ones the first is."""
        encode = self._codec.encode_object
        rows = [
            (source, e.id, e.type, e.user_id, e.time, e.received_at, encode("events.data", e.user_id, e.data)) for source, e in arrived
        ]  # fmt: skip
        if not rows:
            return set()
        kind = "history" if history else "event"
        return self._add_to_sqlite(tx, rows, kind) if self._is_sqlite else self._add_to_postgres(tx, rows, kind)

    @staticmethod
    def _add_to_sqlite(tx: Connection, rows: list[tuple[Any, ...]], kind: str) -> set[int]:
        """With numbers of our own, so that one look tells which were new; there is one writer."""
        base = tx.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'events'").scalar_one_or_none() or 0
        given = {"base": base + 1, "history": kind == "history", "kind": kind, "rows": orjson.dumps(rows).decode()}
        found = tx.exec_driver_sql(_ADD_TO_SQLITE, given).rowcount
        if not found:
            return set()
        tx.exec_driver_sql(_PEOPLE_OF_SQLITE, given)
        tx.exec_driver_sql(_NOTES_OF_SQLITE, given)
        if found == len(rows):
            return set(range(found))
        return {id_ - base - 1 for id_ in tx.exec_driver_sql("SELECT id FROM events WHERE id > ?", (base,)).scalars()}

    @staticmethod
    def _add_to_postgres(tx: Connection, rows: list[tuple[Any, ...]], kind: str) -> set[int]:
        """In one statement, in the order of the keys, so that two daemons never wait for each other in a circle."""
        source, event_id, type_, user_id, time, received_at, data = map(list, zip(*rows, strict=True))
        fresh = tx.exec_driver_sql(
            _ADD_TO_POSTGRES,
            {"source": source, "event_id": event_id, "type": type_, "user_id": user_id, "time": time, "received_at": received_at,
             "data": data, "history": kind == "history", "kind": kind},
        )  # fmt: skip
        return {n - 1 for n in fresh.scalars()}

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

    def add_user_record(
        self, tx: Connection, source: str, record_id: str, user_id: str, payload: Any, at: int, *, history: bool = False
    ) -> bool:
        """Keep a user record once per (source, id); False when it is known already."""
        row = self._keep(tx, source, record_id, "$user", user_id, at, at, "{}", history=history)
        if row is not None:
            self.add_note(tx, user_id, "history" if history else "user", payload, at, lock=True)
        return row is not None

    def add_file_row(
        self, tx: Connection, source: str, row: FileRow, user_id: str, payload: Any, at: int, *, history: bool = False
    ) -> bool:
        """Keep a row of a file of users, unless her last one from this source says the same, or is this one or a later one of this file.

        Only her last one is kept: a file in which something else has changed brings nothing twice, and what says again what was
        said before the last is news.
        """
        name = f"user_row:{'history' if history else 'live'}:{stable_key(user_id)}"
        last = tx.execute(_ROW, {"source": source, "name": name}).scalar_one_or_none()
        if last is not None:
            said, file, number = orjson.loads(last)
            if said == row.said or (file == row.file and number >= row.number):
                return False
        values = {"user_id": user_id, "time": at, "received_at": at, "data": orjson.dumps([row.said, row.file, row.number]).decode()}
        tx.execute(self._keep_row, {"source": source, "event_id": name, "type": "$user", "history": history, **values})
        self.add_note(tx, user_id, "history" if history else "user", payload, at, lock=True)
        return True

    def add_call(self, tx: Connection, source: str, call_id: str, user_id: str, payload: Any, at: int) -> bool:
        """Keep an entry that was asked for once per (source, id); False when it is known already.

        Its row is as that of a user record: it says that the id is known, and is no event that a rule could see.
        """
        row = self._keep(tx, source, call_id, "$user", user_id, at, at, "{}", history=False)
        if row is not None:
            self.add_note(tx, user_id, "call", payload, at)
        return row is not None

    def _keep(  # noqa: PLR0913 - the columns
        self, tx: Connection, source: str, event_id: str, type_: str, user_id: str, time: int, received_at: int, data: str, *, history: bool
    ) -> int | None:
        values = {"source": source, "event_id": event_id, "type": type_, "user_id": user_id, "time": time,
                  "received_at": received_at, "data": data, "history": history}  # fmt: skip
        found: int | None = tx.execute(self._add_event, values).scalar_one_or_none()
        return found

    def quarantine(self, tx: Connection, items: Sequence[Quarantined], at: int) -> None:
        """Keep what could not be taken."""
        rows = [
            {"kind": i.kind, "user_id": i.user_id, "source": i.source, "reason": i.reason, "received_at": at,
             "body": self._codec.encode("quarantine.body", i.user_id, i.body)}
            for i in items
        ]  # fmt: skip
        if rows:
            tx.execute(self._add_quarantined, rows)

    def waiting(self, tx: Connection, limit: int) -> list[Note]:
        """The oldest notes of up to `limit` users that nobody else works on, with what else waits for the same users (MOST_EACH notes
        a user on average): in a backlog a user is read and written once for many. Their rows are locked on PostgreSQL.

        Where nothing but history is the oldest, half is of those to whom something has just happened.
        """
        first = tx.execute(_OLDEST, {"most": limit}).all()
        if not first:
            return []
        user_ids, prompt = list(dict.fromkeys(row.user_id for row in first)), set()
        if len(first) == limit and all(row.kind == "history" for row in first):
            newest = select(inbox.c.user_id, inbox.c.kind).order_by(inbox.c.id.desc()).limit(limit)
            prompt = {row.user_id for row in tx.execute(newest) if row.kind != "history"}
            user_ids += sorted(prompt - set(user_ids))
        if not self._is_sqlite:
            user_ids = list(tx.execute(_LOCKED, {"ids": user_ids}).scalars())
        if not prompt:
            return self._notes_of(tx, user_ids, limit * MOST_EACH)
        others = [user_id for user_id in user_ids if user_id not in prompt]
        return self._notes_of(tx, sorted(prompt.intersection(user_ids)), limit) + self._notes_of(tx, others, limit)

    def _notes_of(self, tx: Connection, user_ids: Sequence[str], limit: int) -> list[Note]:
        return [self._read(*row) for row in tx.execute(_NOTES, {"ids": user_ids, "most": limit}).all()]

    def rehome(self, tx: Connection, moved: Mapping[str, str]) -> None:
        """What came for former ids goes to the users that they lead to."""
        for former, survivor in sorted(moved.items()):
            rows = select(inbox.c.event_row).where(inbox.c.user_id == former, inbox.c.kind.in_(("event", "history")))
            tx.execute(update(events).where(events.c.id.in_(rows)).values(user_id=survivor))
            tx.execute(update(inbox).where(inbox.c.user_id == former).values(user_id=survivor))

    def _read(self, id_: int, user_id: str, kind: str, received_at: int, payload: str | None, *event: Any) -> Note:
        found = event_of(event, self._codec) if event[0] is not None else None
        value = None if payload is None else self._codec.decode_object("inbox.payload", user_id, payload)
        if kind == "forward" and found is not None and value:
            found = replace(found, former=tuple(value.get("former", ())))
        return Note(id_, user_id, kind, received_at, found, value)

    def finish(self, tx: Connection, note_ids: Sequence[int]) -> None:
        """Delete notes whose consequences are written in this transaction."""
        if note_ids:
            tx.execute(_FINISH, {"ids": note_ids})

    def busy(self, tx: Connection, user_ids: set[str]) -> set[str]:
        """Those of the users who have something in the inbox."""
        return set(tx.execute(_BUSY, {"ids": user_ids}).scalars())

    def merges_of(self, tx: Connection, user_id: str) -> list[Mapping[str, Any]]:
        """Who is to be merged into this user and is not yet, and by what right. What cannot be read is set aside in its turn."""
        payloads = tx.execute(select(inbox.c.payload).where(inbox.c.user_id == user_id, inbox.c.kind == "merge")).scalars()
        found = (self._codec.decode_object("inbox.payload", user_id, payload) for payload in payloads)
        names = ("former", "may_merge", "devices_only")
        return [{name: payload.get(name) for name in names} for payload in found if isinstance(payload, dict)]

    def to_be_merged(self, tx: Connection, now: int) -> list[str]:
        """The ids that become somebody's former ones by merges which were noted up to `now` and are not done yet."""
        found = tx.execute(select(inbox.c.user_id, inbox.c.payload).where(inbox.c.kind == "merge", inbox.c.received_at <= now))
        notes = [self._codec.decode_object("inbox.payload", user_id, payload) for user_id, payload in found]
        return [str(note["former"]) for note in notes if isinstance(note, dict) and "former" in note]

    def size(self, tx: Connection) -> int:
        """How many notes wait."""
        return int(tx.execute(select(func.count()).select_from(inbox)).scalar_one())

    def watchers_of(self, tx: Connection, user_ids: Sequence[str], since: int) -> dict[str, list[str]]:
        """Who waits for, or aims at, events of these users of an instant or later."""
        found: dict[str, list[str]] = {}
        for watched, watcher in tx.execute(_WATCHERS, {"ids": user_ids, "since": since}).all():
            found.setdefault(watched, []).append(watcher)
        return found

    def forward(self, tx: Connection, event: Event, watcher: str, at: int, only: Sequence[int] = ()) -> None:
        """Show an event of one user to another who waits for it; to her enrolments of these numbers, if any.

        The watcher may know its user by an id that she had before she was merged.
        """
        row = tx.execute(select(events.c.id).where(events.c.source == event.source, events.c.event_id == event.id)).scalar_one_or_none()
        payload = ({"enrolments": list(only)} if only else {}) | ({"former": list(event.former)} if event.former else {})
        self.add_note(tx, watcher, "forward", payload or None, at, row)

    def projected(self, tx: Connection, user_ids: Sequence[str], types: Sequence[str]) -> Iterator[Event]:
        """Projected events of these users and types, user by user in the order of their times; streamed, for there may be many."""
        pending = select(inbox.c.event_row).where(inbox.c.user_id.in_(user_ids), inbox.c.event_row.is_not(None), inbox.c.kind != "forward")
        rows = tx.execute(
            select(events.c.event_id, events.c.type, events.c.user_id, events.c.time, events.c.received_at, events.c.data, events.c.source)
            .where(events.c.user_id.in_(user_ids), events.c.type.in_(types), events.c.id.not_in(pending))
            .order_by(events.c.user_id, events.c.time),
            execution_options={"yield_per": 1000},
        )
        return (event_of(row, self._codec) for row in rows)

    def forget(self, tx: Connection, after: int, limit: int, latest: int, by_type: Mapping[str, int]) -> Looked:
        """Delete events received before `latest` (of some types, before another instant) that wait for nothing, in the order of
        their numbers; those that only time holds back are told by the first of them.
        """
        query = select(events.c.id, events.c.type, events.c.received_at).where(events.c.id > after).order_by(events.c.id).limit(limit)
        rows = tx.execute(query).all()
        old = [row for row in rows if row.received_at < latest]
        gone = {row.id for row in old if row.received_at < by_type.get(row.type, latest)}
        gone -= set(tx.execute(select(inbox.c.event_row).where(inbox.c.event_row.in_(gone))).scalars())
        if gone:
            tx.execute(delete(events).where(events.c.id.in_(gone)))
        held = (row.id for row in rows if row.id not in gone and by_type.get(row.type, latest))
        return Looked(rows[-1].id if rows else after, len(rows), len(gone), next(held, None), len(old) < limit)

    def events_since(self, tx: Connection, user_ids: Sequence[str], after: int, done: Sequence[int] = ()) -> list[Event]:
        """Projected events (`done` are notes being finished) with a time after an instant, in the order of their times."""
        pending = select(inbox.c.event_row).where(
            inbox.c.user_id.in_(user_ids), inbox.c.event_row.is_not(None), inbox.c.id.not_in(done), inbox.c.kind == "event"
        )
        rows = tx.execute(
            select(events.c.event_id, events.c.type, events.c.user_id, events.c.time, events.c.received_at, events.c.data, events.c.source)
            .where(
                events.c.user_id.in_(user_ids),
                events.c.time > after,
                events.c.type != "$user",
                ~events.c.history,
                events.c.id.not_in(pending),
            )
            .order_by(events.c.time, events.c.event_id)
        )
        return [event_of(row, self._codec) for row in rows]
