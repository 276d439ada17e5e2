"""How far each file is imported, and how long time stands still for those whose history is still coming in."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from journeys.duration import MINUTE
from runtime.state import HISTORY
from runtime.store.among import among
from runtime.store.tables import events, imports, users

ABANDONED_AFTER = 10 * MINUTE  # without a sign of life: then an import that did not end holds nobody any more

_SEEN = select(func.max(imports.c.seen_at)).where(imports.c.done_at.is_(None), imports.c.history, imports.c.seen_at > bindparam("since"))
_KNOWN = select(events.c.source, events.c.event_id, events.c.type, events.c.user_id, events.c.time).where(
    events.c.source == bindparam("source"), among(events.c.event_id, "ids")
)


class Known(NamedTuple):
    """An event that there is already, by what it is known by and what it says."""

    source: str
    id: str
    type: str
    user_id: str
    time: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far the import of a file came. `key` names the file and how it is read; `rows` also counts the rejected ones."""

    key: str
    kind: str  # events or users
    source: str
    name: str
    history: bool
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    done_at: int | None = None

    def advanced(self, *, rows: int, accepted: int, given: int, rejected: int, done_at: int | None) -> "Position":
        """After some more rows, of which `given` were good and `accepted` of those new."""
        return replace(
            self, rows=self.rows + rows, accepted=self.accepted + accepted, duplicates=self.duplicates + given - accepted,
            rejected=self.rejected + rejected, done_at=done_at,
        )  # fmt: skip


class Imports:
    """Statements of imports."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    def position(self, tx: Connection, key: str) -> Position | None:
        """How far a file came; None when it was never begun."""
        columns = [imports.c[name] for name in Position.__dataclass_fields__]
        row = tx.execute(select(*columns).where(imports.c.key == key)).one_or_none()
        return Position(*row) if row is not None else None

    def save(self, tx: Connection, position: Position, now: int) -> None:
        """Keep how far a file came, in the transaction that keeps its rows."""
        values = {name: getattr(position, name) for name in Position.__dataclass_fields__} | {"seen_at": now}
        statement = self._upsert(imports).values(**values, started_at=now)
        tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))

    def known(self, tx: Connection, sources: Collection[str], ids: Collection[str]) -> list[Known]:
        """The events of these sources that have one of these ids."""
        # one source after the other: the index begins with it
        return [Known(*row) for source in sources for row in tx.execute(_KNOWN, {"source": source, "ids": ids})]

    def holds_until(self, tx: Connection, now: int) -> int | None:
        """Until when time moves nobody whose history is coming in; None when no import is under way.

        A user half known must not flip: the order that makes her no sleeper may stand a million rows further down.
        """
        seen_at = tx.execute(_SEEN, {"since": now - ABANDONED_AFTER}).scalar_one()
        return None if seen_at is None else int(seen_at) + ABANDONED_AFTER

    def release(self, tx: Connection, now: int) -> None:
        """The last import has ended: those who were held are looked at now; who is just being worked on is waited for."""
        held = select(users.c.user_id).where(users.c.audience == HISTORY, users.c.recheck_at > now)
        if not self._is_sqlite:
            held = held.order_by(users.c.user_id).with_for_update()
        tx.execute(update(users).where(users.c.user_id.in_(held)).values(recheck_at=now))
