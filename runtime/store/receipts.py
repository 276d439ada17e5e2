"""Receipts of vendors: kept once each, joined to their message at once or when its reference becomes known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from channels.message import Receipt
from runtime.store.tables import attempts, receipts

# Built once: making a statement costs more than running it.
_PARKED = (
    select(receipts)
    .where(receipts.c.lane == bindparam("its_lane"), receipts.c.key == "", receipts.c.message_key.is_(None),
           receipts.c.reference.in_(bindparam("known", expanding=True)))
    .order_by(receipts.c.id)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A receipt as it is kept."""

    id: int
    lane: str
    receipt: Receipt


class Receipts:
    """Statements of receipts."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    def keep(self, tx: Connection, lane: str, receipt: Receipt, now: int) -> KeptReceipt | None:
        """Keep a receipt; None when the very same was kept before."""
        values = {name: getattr(receipt, name) for name in ("key", "reference", "delivered", "code", "reason", "blames")}
        statement = self._upsert(receipts).values(lane=lane, received_at=now, **values).on_conflict_do_nothing()
        id_ = tx.execute(statement.returning(receipts.c.id)).scalar_one_or_none()
        return KeptReceipt(id_, lane, receipt) if id_ is not None else None

    def join(self, tx: Connection, receipt: KeptReceipt, message_key: str) -> None:
        """The message that a receipt speaks of is known."""
        tx.execute(update(receipts).where(receipts.c.id == receipt.id).values(message_key=message_key))

    def parked(self, tx: Connection, lane: str, references: Sequence[str]) -> list[KeptReceipt]:
        """Receipts that came before we knew the references they speak of."""
        known = [r for r in references if r]
        if not known:
            return []
        return self._read(tx.execute(_PARKED, {"its_lane": lane, "known": known}))

    def joinable(self, tx: Connection, since: int, limit: int) -> list[KeptReceipt]:
        """Parked receipts, not older than an instant, whose reference is known by now."""
        known = select(attempts.c.id).where(attempts.c.lane == receipts.c.lane, attempts.c.reference == receipts.c.reference).exists()
        parked = (receipts.c.key == "") & receipts.c.message_key.is_(None) & (receipts.c.reference != "")
        return self._read(
            tx.execute(select(receipts).where(parked, receipts.c.received_at >= since, known).order_by(receipts.c.id).limit(limit))
        )

    @staticmethod
    def _read(rows: Any) -> list[KeptReceipt]:
        return [
            KeptReceipt(row.id, row.lane, Receipt(row.delivered, row.key, row.reference, row.code, row.reason, row.blames)) for row in rows
        ]
