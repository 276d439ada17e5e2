"""What one request brought, kept in one go with the requests that wait beside it: events, user records, what could not be taken."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import Event, Person
from runtime.store.codec import compact
from runtime.store.identity import Identity
from runtime.store.inbox import FileRow, Inbox, Quarantined
from runtime.store.tables import catalogue_items, unmapped

MOST_UNMAPPED = 200  # names of one request; a device may send any
MOST_NAMES = 5000  # of one source in a process's life; what goes beyond is counted together, so that nobody fills the table
FURTHER = ("further", "")
UNSEEN = ("event", "property", "trait", FURTHER[0])  # kinds of names that no rule sees; the other kinds are what a misfit should have been
LONGEST_NAME = 256  # of a name that is counted: PostgreSQL's indexes take no long ones


@dataclass(frozen=True, slots=True)
class Record:
    """What a source says of a user: traits, tags, identities, consents; or only who she is (an empty payload).

    It is known again by its id; a row of a file that has none by what it says (`row`).
    """

    id: str
    person: Person
    payload: Mapping[str, Any]
    row: FileRow | None = None


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """What a source says of a thing that it sells; None for the properties: it is gone."""

    type: str
    id: str
    properties: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody is to enter a journey."""

    id: str
    user_id: str
    payload: Mapping[str, Any]


class Misfit(NamedTuple):
    """Something of an item that is taken and no rule sees: under which name of ours, what was `expected` there, and the type that came.

    `expected` is the type that is declared, `phone` where a number was none, `key` for a name that nothing reads (and has no type).
    """

    expected: str
    name: str
    found: str = ""


@dataclass
class Arrival:
    """One request of a source. `persons` says, by the event's index, whose it is, where that is not an id of the operator's."""

    source: str
    now: int
    events: list[Event] = field(default_factory=list)
    persons: dict[int, Person] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    items: list[CatalogueItem] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    history: bool = False  # it makes profiles right and moves nobody
    unmapped: Counter[tuple[str, str]] = field(default_factory=Counter)  # (event, property or trait; its name) that no rule can see
    misfits: list[Misfit] = field(default_factory=list)
    came: int = 0  # when it did, where that was before `now`: what is set aside again keeps its time

    @property
    def given(self) -> int:
        """How many things were good."""
        return len(self.events) + len(self.records) + len(self.items) + len(self.calls)


class Arrivals:
    """Statements that keep what arrived."""

    def __init__(self, inbox: Inbox, identity: Identity, *, is_sqlite: bool) -> None:
        self._inbox, self._identity = inbox, identity
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert
        counted = self._upsert(unmapped).values({name: bindparam(name) for name in ("source", "kind", "name", "n", "last_at", "found")})
        later = {"n": unmapped.c.n + counted.excluded.n, "last_at": counted.excluded.last_at, "found": counted.excluded.found}
        self._counted = counted.on_conflict_do_update(index_elements=["source", "kind", "name"], set_=later)  # built once: as in Inbox
        self._names: dict[str, set[tuple[str, str]]] = {}  # by source: those that have a row of their own

    def take(self, tx: Connection, arrivals: list[Arrival]) -> list[int]:
        """Keep everything; per arrival, how much of it is new."""
        owners = self._find(tx, arrivals)
        plain = {e.user_id for a in arrivals for n, e in enumerate(a.events) if n not in a.persons}
        plain |= {call.user_id for a in arrivals for call in a.calls}
        former = self._identity.survivors(tx, plain) if plain else {}
        if former:
            for arrival in arrivals:
                arrival.events = [_of(e, former.get(e.user_id, e.user_id)) for e in arrival.events]
        new: Counter[int] = Counter()
        for history in sorted({a.history for a in arrivals}):
            found = [(n, a.source, e) for n, a in enumerate(arrivals) if a.history == history for e in a.events]
            fresh = self._inbox.add_all(tx, [(source, e) for _, source, e in found], history=history)
            new.update(found[index][0] for index in fresh)
        for n, arrival in enumerate(arrivals):
            hers = [(owners.pop(0), record) for record in arrival.records]
            for user_id, record in sorted(hers, key=lambda pair: pair[0]):  # users are locked in one order; of one the records keep theirs
                what = (user_id, record.payload, arrival.now)
                if record.row is None:
                    new[n] += self._inbox.add_user_record(tx, arrival.source, record.id, *what, history=arrival.history)
                else:
                    new[n] += self._inbox.add_file_row(tx, arrival.source, record.row, *what, history=arrival.history)
            for call in arrival.calls:
                user_id = former.get(call.user_id, call.user_id)
                new[n] += self._inbox.add_call(tx, arrival.source, call.id, user_id, call.payload, arrival.now)
            new[n] += sum(self._item(tx, arrival, item) for item in arrival.items)
            self._inbox.quarantine(tx, arrival.quarantined, arrival.came or arrival.now)
        self._count(tx, arrivals)
        return [new[n] for n in range(len(arrivals))]

    def _find(self, tx: Connection, arrivals: list[Arrival]) -> list[str]:
        """Give each event of a person its user; returns the users of the records, in their order."""
        persons = [(a.source, person) for a in arrivals for person in (*a.persons.values(), *(r.person for r in a.records))]
        if not persons:
            return []
        found = iter(self._identity.resolve(tx, persons, max(a.now for a in arrivals)))
        owners: list[str] = []
        for arrival in arrivals:
            for index in arrival.persons:
                arrival.events[index] = _of(arrival.events[index], next(found))
            owners.extend(next(found) for _ in arrival.records)
        return owners

    def _item(self, tx: Connection, arrival: Arrival, item: CatalogueItem) -> int:
        key = {"source": arrival.source, "type": item.type, "id": item.id}
        if item.properties is None:
            mine = [catalogue_items.c[name] == value for name, value in key.items()]
            return tx.execute(delete(catalogue_items).where(*mine)).rowcount
        statement = self._upsert(catalogue_items).values(**key, properties=compact(dict(item.properties)), updated_at=arrival.now)
        newer = {name: statement.excluded[name] for name in ("properties", "updated_at")}
        tx.execute(statement.on_conflict_do_update(index_elements=["source", "type", "id"], set_=newer))
        return 1

    def _count(self, tx: Connection, arrivals: list[Arrival]) -> None:
        counts: Counter[tuple[str, str, str]] = Counter()
        found: dict[tuple[str, str, str], str] = {}
        for arrival in (arrival for arrival in arrivals if arrival.unmapped or arrival.misfits):
            known = self._names.setdefault(arrival.source, set())
            types = {(m.expected, m.name): m.found for m in arrival.misfits}
            for (kind, name), n in (arrival.unmapped + Counter((m.expected, m.name) for m in arrival.misfits)).most_common(MOST_UNMAPPED):
                shown = (kind, name[:LONGEST_NAME])
                if len(known) < MOST_NAMES:
                    known.add(shown)
                key = (arrival.source, *(shown if shown in known else FURTHER))
                counts[key] += n
                found[key] = types.get((kind, name), "") if shown in known else ""
        if not counts:
            return
        at = max(a.now for a in arrivals)
        rows = [
            {"source": s, "kind": k, "name": name, "n": n, "last_at": at, "found": found[s, k, name]}
            for (s, k, name), n in sorted(counts.items())
        ]  # fmt: skip
        tx.execute(self._counted, rows)

    def unmapped(self, tx: Connection, limit: int = 100, seen: Callable[[str, str, str], bool] | None = None) -> list[dict[str, Any]]:
        """What arrived under names that no rule can see, the most frequent first, without what is `seen` now (source, kind, name)."""
        columns = [unmapped.c[name] for name in ("source", "kind", "name", "n", "last_at")]
        query = select(*columns).where(unmapped.c.kind.in_(UNSEEN)).order_by(unmapped.c.n.desc(), unmapped.c.name)
        rows = (dict(row._mapping) for row in tx.execute(query))  # noqa: SLF001 - SQLAlchemy's public name
        return list(islice((row for row in rows if seen is None or not seen(row["source"], row["kind"], row["name"])), limit))

    def misfits(self, tx: Connection, limit: int = 100) -> list[dict[str, Any]]:
        """What did not fit, the latest first."""
        columns = [unmapped.c[name] for name in ("source", "name", "found", "n", "last_at")]
        query = select(*columns, unmapped.c.kind.label("expected")).where(unmapped.c.kind.not_in(UNSEEN))
        rows = tx.execute(query.order_by(unmapped.c.last_at.desc(), unmapped.c.source, unmapped.c.name).limit(limit))
        return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def _of(event: Event, user_id: str) -> Event:
    if event.user_id == user_id:
        return event
    return Event(event.id, event.type, user_id, event.time, event.received_at, event.data, event.source)
