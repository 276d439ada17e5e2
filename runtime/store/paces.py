"""Paces: how many have entered a paced journey in its newest window, one row for a journey, shared by every daemon of the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.store.tables import paces

_COLUMNS = (paces.c.journey, paces.c.window_at, paces.c.taken)


class Paces:
    """Statements of paces. A window is (when it began, how many have entered since)."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    def newest(self, tx: Connection, journeys: Sequence[str]) -> dict[str, tuple[int, int]]:
        """The newest windows of these journeys, as they stand; another daemon may be counting in them just now."""
        rows = tx.execute(select(*_COLUMNS).where(paces.c.journey.in_(journeys)))
        return {journey: (window_at, taken) for journey, window_at, taken in rows}

    def locked(self, tx: Connection, journeys: Sequence[str]) -> dict[str, tuple[int, int]]:
        """The newest windows of these journeys, which on PostgreSQL nobody else counts in until the transaction ends.

        One statement locks them all, in the order of their names, and makes those that are not there yet: an upsert that
        changes nothing is a FOR UPDATE that also holds for a first entry. On SQLite there is one who counts.
        """
        if self._is_sqlite:
            return self.newest(tx, journeys)
        rows = [{"journey": journey} for journey in sorted(journeys)]
        lock = self._upsert(paces).values(rows).on_conflict_do_update(index_elements=["journey"], set_={"taken": paces.c.taken})
        return {journey: (window_at, taken) for journey, window_at, taken in tx.execute(lock.returning(*_COLUMNS))}

    def save(self, tx: Connection, windows: Mapping[str, tuple[int, int]]) -> None:
        """Write the newest windows back."""
        if not windows:
            return
        statement = self._upsert(paces)
        changes = {name: statement.excluded[name] for name in ("window_at", "taken")}
        rows = [{"journey": journey, "window_at": begun, "taken": taken} for journey, (begun, taken) in sorted(windows.items())]
        tx.execute(statement.on_conflict_do_update(index_elements=["journey"], set_=changes), rows)
