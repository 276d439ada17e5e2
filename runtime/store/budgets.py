"""Budgets of benefits: how many units there are, reserved and given. Never overshot: the condition stands in the update."""

from typing import Any

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.store.tables import budgets

_LIMITED = select(budgets).where(budgets.c.total.is_not(None))  # built once: making a statement costs more than running it


class Budgets:
    """Statements of budgets."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    def set_totals(self, tx: Connection, totals: dict[str, int | None]) -> None:
        """Take the totals of config; what is reserved and issued stays. A row that says so already is not written: it may be locked."""
        known = {row.benefit: row.total for row in tx.execute(select(budgets.c.benefit, budgets.c.total))}
        for benefit, total in totals.items():
            if benefit in known and known[benefit] == total:
                continue
            statement = self._upsert(budgets).values(benefit=benefit, total=total)
            tx.execute(statement.on_conflict_do_update(index_elements=["benefit"], set_={"total": total}))

    def remaining(self, tx: Connection) -> dict[str, int]:
        """Units left of each benefit that has a budget."""
        return {row.benefit: max(row.total - row.reserved - row.issued, 0) for row in tx.execute(_LIMITED)}

    def reserve(self, tx: Connection, benefit: str) -> bool:
        """Take one unit; False when none is left."""
        left = or_(budgets.c.total.is_(None), budgets.c.reserved + budgets.c.issued < budgets.c.total)
        taken = tx.execute(update(budgets).where(budgets.c.benefit == benefit, left).values(reserved=budgets.c.reserved + 1))
        return taken.rowcount == 1

    def settle(self, tx: Connection, benefit: str, *, issued: bool) -> None:
        """A reserved unit was given, or goes back."""
        given = {"issued": budgets.c.issued + 1} if issued else {}
        tx.execute(
            update(budgets).where(budgets.c.benefit == benefit, budgets.c.reserved > 0).values(reserved=budgets.c.reserved - 1, **given)
        )
