"""What was set aside: found, shown, given another reason, dropped. It is put there by the inbox."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, literal, select, update

from runtime.store.codec import Codec
from runtime.store.tables import quarantine


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row of the quarantine. `body` is what came (or the key of what could not be worked on)."""

    id: int
    kind: str
    user_id: str
    source: str
    reason: str
    body: str
    received_at: int


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows; what is empty does not matter. `reason` is a part of it."""

    kind: str = ""
    source: str = ""
    user: str = ""
    reason: str = ""


class Quarantine:
    """Statements of the quarantine."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def find(self, tx: Connection, filters: Filters, limit: int | None = None) -> list[SetAside]:
        """The rows that fit, newest first, without their bodies, each of which may have megabytes: `rows` reads these."""
        columns = [quarantine.c[name] if name != "body" else literal("").label(name) for name in SetAside.__dataclass_fields__]
        query = select(*columns).order_by(quarantine.c.id.desc()).limit(limit)
        for column, wanted in (
            (quarantine.c.kind, filters.kind),
            (quarantine.c.source, filters.source),
            (quarantine.c.user_id, filters.user),
        ):
            query = query.where(column == wanted) if wanted else query
        if filters.reason:
            query = query.where(quarantine.c.reason.contains(filters.reason, autoescape=True))
        return [SetAside(*row) for row in tx.execute(query)]

    def ids(self, tx: Connection, source: str = "") -> list[int]:
        """The numbers of all rows, or of a source's, oldest first."""
        query = select(quarantine.c.id).order_by(quarantine.c.id)
        return list(tx.execute(query.where(quarantine.c.source == source) if source else query).scalars())

    def rows(self, tx: Connection, ids: Sequence[int]) -> list[SetAside]:
        """These rows, oldest first; unknown numbers are left out."""
        columns = [quarantine.c[name] for name in SetAside.__dataclass_fields__]
        return [self._read(row) for row in tx.execute(select(*columns).where(quarantine.c.id.in_(ids)).order_by(quarantine.c.id))]

    def _read(self, row: object) -> SetAside:
        found = SetAside(*row)  # type: ignore[misc]
        body = self._codec.decode("quarantine.body", found.user_id, found.body)
        return SetAside(found.id, found.kind, found.user_id, found.source, found.reason, body, found.received_at)

    def drop(self, tx: Connection, ids: Sequence[int]) -> int:
        """Delete rows; returns how many there were."""
        return tx.execute(delete(quarantine).where(quarantine.c.id.in_(ids))).rowcount

    def explain(self, tx: Connection, id_: int, reason: str) -> None:
        """Why it still stands there."""
        tx.execute(update(quarantine).where(quarantine.c.id == id_).values(reason=reason))
