"""Traits that are aggregates, in SQL: what `runtime.profile.read_trait` reads from one profile, over the users' rows.

Those with a window look at the remembered events (`h`), whose order is by time and tie; the others at the kept state (`a`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Double, Text, case, cast, func, select

from journeys.audience import Trait
from journeys.duration import DAY
from journeys.values import ValueType
from runtime.profile import MOST_DIFFERENT, SCALE
from runtime.store.documents import Row, Spot, Sql, number
from runtime.store.tables import users

if TYPE_CHECKING:
    from runtime.store.conditions import Reader


@dataclass(frozen=True)
class Occurrence:
    """One remembered event, as a trait's `where` sees it."""

    type: str
    time: Sql
    tie: Sql
    data: Spot


def count_of(reader: "Reader", event: str, within: int) -> Sql:
    """How many events of a kind are in (now - within, now]."""
    return _Window(reader, event, within).count()


def read(reader: "Reader", trait: Trait) -> Sql:
    """The aggregate's value; NULL when there is not enough to say."""
    if not trait.within:
        return _kept(reader, trait)
    window = _Window(reader, trait.event, trait.within)
    if trait.where is not None:
        window.narrow(trait)
    if trait.aggregate == "count":
        return window.count()
    if trait.aggregate == "median_gap":
        return _median_gap(reader, window.rows, window.time, window.inside, trait.at_least)
    return window.read(trait)


class _Window:
    def __init__(self, reader: "Reader", event: str, within: int) -> None:
        self.reader, self.json, self.within = reader, reader.json, within
        self.fields = reader.moment.audience.events.get(event, {})
        self.rows = self.json.rows(reader.profile.at("h", event))
        self.time = self.json.typed(self.rows.spot.at(0), "time")
        self.event = Occurrence(event, self.time, self.json.typed(self.rows.spot.at(1), "text"), self.rows.spot.at(2))
        now = reader.moment.now
        self.inside = [self.time > number(now - within), self.time <= number(now)]

    def narrow(self, trait: Trait) -> None:
        assert trait.where is not None  # noqa: S101 - the caller has looked
        self.inside.append(self.reader.of_event(self.event).truth(trait.where.node))

    def count(self) -> Sql:
        return select(func.count()).select_from(self.rows.source).where(*self.inside).correlate(users).scalar_subquery()

    def field(self, name: str) -> Sql:
        if name == "time":
            return self.time
        if name == "hour":
            return self.reader.local_hour(self.time, self.within)
        return self.json.typed(self.event.data.at(name), self.fields[name])

    def read(self, trait: Trait) -> Sql:
        reader, json, value = self.reader, self.json, self.field(trait.of)
        rows = select().select_from(self.rows.source).where(*self.inside, value.is_not(None)).correlate(users)
        order = self.rows.order
        if trait.aggregate in ("sum", "avg"):
            total = json.total(value)
            if trait.aggregate == "sum":
                return json.limited(_over(func.coalesce(rows.add_columns(total).scalar_subquery(), reader.constant(0)), SCALE))
            mean = json.rounded(total.op("/", precedence=8)(func.count() * number(SCALE)))
            return rows.add_columns(case((func.count() >= trait.at_least, mean))).scalar_subquery()
        if trait.aggregate in ("first", "last"):
            ordered = rows.order_by(order if trait.aggregate == "first" else order.desc())
            return ordered.add_columns(value).limit(1).scalar_subquery()
        key = cast(value, Text) if self.fields.get(trait.of) == "list" else value
        if trait.aggregate == "distinct":
            return rows.add_columns(json.least(func.count(key.distinct()), reader.constant(MOST_DIFFERENT))).scalar_subquery()
        columns = {"key": key, "made": self.field(trait.take) if trait.take else value, "time": self.time,
                   "tie": json.bytes(self.event.tie)}  # fmt: skip
        c = rows.add_columns(*(column.label(name) for name, column in columns.items())).subquery().c
        often = func.count().over(partition_by=c.key)
        top = select(case((func.count().over() >= trait.at_least, c.made)))
        return top.order_by(often.desc(), c.time.desc(), c.tie.desc(), json.bytes(cast(c.key, Text)).desc()).limit(1).scalar_subquery()


def _kept(reader: "Reader", trait: Trait) -> Sql:
    json, state = reader.json, reader.profile.at("a", trait.name)
    kind = trait.aggregate
    if kind == "count":
        return func.coalesce(json.typed(state, "number"), reader.constant(0))
    if kind == "sum":
        return json.limited(_over(func.coalesce(_total(reader, state), reader.constant(0)), SCALE))
    if kind == "avg":
        count = json.typed(state.at(1), "number")
        mean = _total(reader, state.at(0)).op("/", precedence=8)(count * number(SCALE))
        return case((count >= trait.at_least, json.rounded(mean)))
    if kind in ("first", "last"):
        return json.typed(state.at(2), _kind(reader, trait, trait.of))
    if kind == "distinct":
        return func.coalesce(json.length(state), reader.constant(0))
    if kind == "median_gap":
        rows = json.rows(state)
        return _median_gap(reader, rows, json.typed(rows.spot, "time"), [], trait.at_least)
    rows = json.members(state)
    often, time, tie = (json.typed(rows.spot.at(i), k) for i, k in enumerate(_TOP))
    made = json.typed(rows.spot.at(3), _kind(reader, trait, trait.take or trait.of))
    top = select(case((func.sum(often).over() >= trait.at_least, made))).select_from(rows.source).correlate(users)
    return top.order_by(often.desc(), time.desc(), json.bytes(tie).desc(), json.bytes(rows.key).desc()).limit(1).scalar_subquery()


def _total(reader: "Reader", spot: Spot) -> Sql:
    """A kept number of ten-thousandths; what is beyond 63 bits stands there as text."""
    text = reader.json.typed(spot, "text")
    return func.coalesce(reader.json.typed(spot, "number"), cast(text, Double))


def _over(value: Sql, divisor: float) -> Sql:
    return (value * number(1)).op("/", precedence=8)(number(divisor))


_TOP: tuple[ValueType, ...] = ("number", "time", "text")  # how often, when last, its tie


def _kind(reader: "Reader", trait: Trait, name: str) -> ValueType:
    kinds: Mapping[str, ValueType] = {**reader.moment.audience.events.get(trait.event, {}), "time": "time", "hour": "time_of_day"}
    return kinds[name]


def _median_gap(reader: "Reader", rows: Row, time: Sql, inside: list[Sql], at_least: int) -> Sql:
    """The median of the gaps between times that follow each other, in days."""
    gap = (time - func.lag(time).over(order_by=rows.order)).label("gap")
    gaps = select(gap).select_from(rows.source).where(*inside).correlate(users).subquery()
    place = func.row_number().over(order_by=gaps.c.gap).label("place")
    placed = select(gaps.c.gap, place, func.count().over().label("n")).where(gaps.c.gap.is_not(None)).subquery()
    middle = placed.c.place.in_([(placed.c.n + 1) // 2, (placed.c.n + 2) // 2])
    enough = func.max(placed.c.n) >= max(2, at_least) - 1
    return (
        select(case((enough, reader.json.rounded(func.avg(placed.c.gap).op("/", precedence=8)(number(DAY))))))
        .where(middle)
        .scalar_subquery()
    )
