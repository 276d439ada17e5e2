"""What became of all that sources posted, by source and day. The daemon counts in memory and adds up here now and then."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.store.tables import received

_COLUMNS = ("source", "day", "outcome", "reason", "n", "last_at")


@dataclass(frozen=True, slots=True)
class Came:
    """So many things of a source (or requests, where they were refused), the latest of them at `last_at`.

    `outcome` is new, duplicate, aside (set aside) or refused; of the last, `reason` is that of the signature.
    """

    source: str
    outcome: str
    reason: str
    n: int
    last_at: int


@dataclass(frozen=True, slots=True)
class Total:
    """What came of a source with one outcome: on a day, since another day, and when it last did so."""

    source: str
    outcome: str
    reason: str
    today: int
    lately: int
    last_at: int


class Received:
    """Statements of what came in."""

    def __init__(self, *, is_sqlite: bool) -> None:
        upsert: Any = sqlite_insert if is_sqlite else postgres_insert
        added = upsert(received).values({name: bindparam(name) for name in _COLUMNS})
        later = case((received.c.last_at > added.excluded.last_at, received.c.last_at), else_=added.excluded.last_at)
        changes = {"n": received.c.n + added.excluded.n, "last_at": later}
        self._add = added.on_conflict_do_update(index_elements=["source", "day", "outcome", "reason"], set_=changes)

    def add(self, tx: Connection, came: Iterable[tuple[int, Came]]) -> None:
        """Add what came, each with its day (`journeys.localtime.day_number`)."""
        rows = [{"day": day, **{name: getattr(c, name) for name in _COLUMNS if name != "day"}} for day, c in came]
        if rows:
            tx.execute(self._add, sorted(rows, key=lambda row: [row[name] for name in _COLUMNS[:4]]))  # daemons lock them in one order

    def totals(self, tx: Connection, today: int, since: int) -> list[Total]:
        """By source and outcome, also of what came before `since` alone. Both are days."""
        names = [received.c[name] for name in ("source", "outcome", "reason")]
        sums = [func.sum(case((received.c.day >= day, received.c.n), else_=0)) for day in (today, since)]
        query = select(*names, *sums, func.max(received.c.last_at)).group_by(*names).order_by(*names)
        return [Total(row[0], row[1], row[2], int(row[3]), int(row[4]), row[5]) for row in tx.execute(query)]
