"""What was set aside: found, shown, given another reason, dropped. It is put there by the inbox."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, literal, select, update

from runtime.store.codec import Codec
from runtime.store.tables import quarantine

MOST_REASONED = 10_000  # rows: reasons are looked at whenever somebody asks how things are
NEVER_OLD = ("enrolment", "recheck")  # somebody stands still until one gives her timer back: no sender can fill the table with these


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


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of looking at `n` rows up to number `after`: how many were deleted, by source."""

    after: int
    n: int
    deleted: Mapping[str, int]
    done: bool


@dataclass(frozen=True, slots=True)
class Ageing:
    """How many rows an age can delete, since when the oldest of them stands there, and how many of them came before some instant."""

    n: int
    oldest: int | None
    old: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why so many rows of a kind and source stand there, the latest of them since `last_at`."""

    kind: str
    source: str
    reason: str
    n: int
    last_at: int


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

    def names(self, tx: Connection, of: Literal["kind", "source"]) -> list[str]:
        """The kinds of what is set aside, or the sources that it came from."""
        return list(tx.execute(select(quarantine.c[of]).distinct().order_by(quarantine.c[of])).scalars())

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

    def forget(self, tx: Connection, after: int, limit: int, before: int) -> Swept:
        """Delete what came before an instant, a few rows in the order of their numbers. Who stands still (NEVER_OLD) stays."""
        query = select(quarantine.c.id, quarantine.c.kind, quarantine.c.received_at)
        rows = tx.execute(query.where(quarantine.c.id > after).order_by(quarantine.c.id).limit(limit)).all()
        old = [row.id for row in rows if row.received_at < before and row.kind not in NEVER_OLD]
        gone = delete(quarantine).where(quarantine.c.id.in_(old)).returning(quarantine.c.source)  # another daemon may have been faster
        deleted = Counter(tx.execute(gone).scalars()) if old else Counter()
        done = len(rows) < limit or rows[-1].received_at >= before  # whatever stands behind it came later, or is deleted later
        return Swept(rows[-1].id if rows else after, len(rows), deleted, done)

    def ageing(self, tx: Connection, before: int) -> Ageing:
        """What an age can delete."""
        old = func.count().filter(quarantine.c.received_at < before)
        query = select(func.count(), func.min(quarantine.c.received_at), old).where(quarantine.c.kind.not_in(NEVER_OLD))
        return Ageing(*tx.execute(query).one())

    def reasons(self, tx: Connection, limit: int, latest_rows: int = MOST_REASONED) -> list[Reason]:
        """The most frequent reasons of the latest rows, each with its kind and source."""
        names = [quarantine.c[name] for name in ("kind", "source", "reason")]
        latest = select(*names, quarantine.c.received_at).order_by(quarantine.c.id.desc()).limit(latest_rows).subquery()
        n, last = func.count(), func.max(latest.c.received_at)
        what = (latest.c.kind, latest.c.source, latest.c.reason)
        query = select(*what, n, last).group_by(*what).order_by(n.desc(), last.desc(), *what).limit(limit)
        return [Reason(*row) for row in tx.execute(query)]

    def explain(self, tx: Connection, id_: int, reason: str) -> None:
        """Why it still stands there."""
        tx.execute(update(quarantine).where(quarantine.c.id == id_).values(reason=reason))
