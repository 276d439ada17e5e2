"""How people fall into groups by the value of a trait: counted where they are kept, however many values there are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Integer, and_, case, cast, distinct, func, select

from runtime.store.documents import Postgres, Sqlite
from runtime.store.tables import users


class Part(NamedTuple):
    """So many people of one value in one stage; `inside` says how many of them each segment has.

    `value` is None where it is none of the most frequent ones, or `missing`, or `unsure`: the profile is still to be made anew.
    """

    value: Any
    missing: bool
    unsure: bool
    stage: str
    people: int
    inside: tuple[int, ...]


class Breakdowns:
    """Statements that only read."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._json: Sqlite | Postgres = Sqlite() if is_sqlite else Postgres()

    def by(
        self, tx: Connection, value: ColumnElement[Any], segments: Sequence[ColumnElement[bool]], unsure: ColumnElement[bool], most: int
    ) -> tuple[list[Part], int]:  # fmt: skip
        """All people, but for former ids, by the `most` frequent values of an expression over `users`; and how many values there are."""
        asked = {"value": value, "unsure": unsure} | {f"inside_{n}": rule for n, rule in enumerate(segments)}
        once = [self._json.once(expression, users.c.profile).label(name) for name, expression in asked.items()]
        told = select(users.c.stage, *once).where(users.c.merged_into.is_(None)).cte("told")  # read twice, made once
        sure = and_(told.c.value.is_not(None), ~told.c.unsure)
        often = func.count().label("often")
        ranked = (
            select(told.c.value, often)
            .where(sure)
            .group_by(told.c.value)
            .order_by(often.desc(), told.c.value)
            .limit(most)
            .subquery("ranked")
        )
        values = select(func.count(distinct(told.c.value))).where(sure).scalar_subquery()
        inside = [func.coalesce(func.sum(cast(case((told.c[f"inside_{n}"], 1), else_=0), Integer)), 0) for n in range(len(segments))]
        groups = [ranked.c.value, told.c.value.is_(None).label("missing"), told.c.unsure, told.c.stage]
        joined = told.outerjoin(ranked, and_(ranked.c.value == told.c.value, ~told.c.unsure))
        rows = tx.execute(select(values, *groups, func.count(), *inside).select_from(joined).group_by(*groups)).all()
        parts = [Part(row[1], bool(row[2]), bool(row[3]), row[4] or "", int(row[5]), tuple(int(n) for n in row[6:])) for row in rows]
        return parts, int(rows[0][0]) if rows else 0
