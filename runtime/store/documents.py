"""Reading a JSON column in SQL, on SQLite and on PostgreSQL: typed values, lists, and arithmetic that is the same to the bit.

What is not of the wanted type reads as NULL. Numbers and times are doubles on PostgreSQL; SQLite keeps whole ones as integers.
"""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Text,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from journeys.evaluate import calculator
from journeys.values import LARGEST_NUMBER, ValueType, as_number
from runtime.store.codec import compact

Sql = ColumnElement[Any]
CALCULATES = {"+": "journeyd_plus", "-": "journeyd_minus", "*": "journeyd_times", "/": "journeyd_over"}  # of SQLite
_PRECEDENCE = {"+": 7, "-": 7, "*": 8, "/": 8}  # as SQLAlchemy counts; its own `/` adds a zero to the right side
_BEYOND = math.nextafter(LARGEST_NUMBER, math.inf)
_ROUNDS = 1.5 * 2.0**52  # added to a double below 2^51 and taken away again it leaves the nearest whole number, half to even
_TYPES: dict[str, tuple[str, ...]] = {
    "number": ("integer", "real"), "time": ("integer",), "time_of_day": ("integer",), "boolean": ("true", "false"), "list": ("array",),
}  # fmt: skip


class Unsayable(ValueError):
    """A name that no path of SQLite's JSON functions can spell."""


@dataclass(frozen=True)
class Spot:
    """A place in a JSON document: the document's text (or json value) and the way to it."""

    document: Sql
    path: tuple[str | int, ...] = ()

    def at(self, *path: str | int) -> "Spot":
        """A place below this one."""
        return Spot(self.document, (*self.path, *path))


@dataclass(frozen=True)
class Row:
    """The rows of an array or object: where from, each one's place, its order, and the key (of an object)."""

    source: FromClause
    spot: Spot
    order: Sql
    key: Sql


def add_functions(connection: sqlite3.Connection) -> None:
    """What SQLite cannot say: arithmetic that is journeyd's own to the bit, in one step (its parser's stack is not deep)."""
    for operator, name in CALCULATES.items():
        connection.create_function(name, 2, calculator(operator), deterministic=True)
    connection.create_function("journeyd_round", 1, lambda value: None if value is None else as_number(value), deterministic=True)


class Sqlite:
    """SQLite's JSON functions (3.38 or newer, since they are always there)."""

    is_sqlite = True

    def document(self, text: Sql) -> Spot:
        """The document of a text column."""
        return Spot(text)

    def once(self, asked: Sql, text: Column[str]) -> Sql:  # noqa: ARG002 - its functions keep the last document that they have read
        """An expression over the document of `text`."""
        return asked

    def _path(self, spot: Spot) -> str:
        for part in spot.path:
            if isinstance(part, str) and ('"' in part or "\\" in part or not part.isprintable()):
                raise Unsayable(part)
        return "$" + "".join(f"[{part}]" if isinstance(part, int) else f'."{part}"' for part in spot.path)

    def typed(self, spot: Spot, kind: ValueType) -> Sql:
        """The value at a place, or NULL when it is none of `kind`. A list stays JSON text."""
        path = self._path(spot)
        value = func.json_extract(spot.document, path, type_=Boolean() if kind == "boolean" else Text() if kind == "list" else None)
        return case((func.json_type(spot.document, path).in_(_TYPES.get(kind, ("text",))), value))

    def rows(self, spot: Spot) -> Row:
        """What an array or object holds."""
        made = func.json_each(spot.document, self._path(spot)).table_valued("key", "value", "id")
        return Row(made, Spot(made.c.value), made.c.id, made.c.key)

    def members(self, spot: Spot) -> Row:
        """What an object holds; nothing where there is none."""
        path = self._path(spot)
        found = case((func.json_type(spot.document, path) == "object", func.json_extract(spot.document, path)))
        made = func.json_each(found).table_valued("key", "value", "id")
        return Row(made, Spot(made.c.value), made.c.id, made.c.key)

    def length(self, spot: Spot) -> Sql:
        """How long an array is; NULL when it is none."""
        path = self._path(spot)
        return case((func.json_type(spot.document, path) == "array", func.json_array_length(spot.document, path)))

    def holds(self, array: Sql, item: Sql) -> Sql:
        """Whether a list of texts holds a text; NULL in, NULL out."""
        made = func.json_each(array).table_valued("value")
        return item.in_(select(made.c.value).scalar_subquery())

    def calculate(self, operator: str, left: Sql, right: Sql) -> Sql:
        """`+ - * /` as the language has them: NULL by zero and beyond the largest number, else rounded."""
        calculate: Sql = getattr(func, CALCULATES[operator])(left, right)
        return calculate

    def rounded(self, number: Sql) -> Sql:
        """The number rounded to four places."""
        return func.journeyd_round(number)

    def total(self, number: Sql) -> Sql:
        """The sum of rows, in ten thousandths: whole doubles, so that their order does not matter."""
        return func.sum((number * 1e4 + _ROUNDS) - _ROUNDS)

    def whole(self, double: Sql) -> Sql:
        """The whole part, as an integer."""
        return cast(double, Integer)

    def limited(self, number: Sql) -> Sql:
        """The number, or NULL beyond the largest."""
        return func.journeyd_plus(number, 0)

    def bytes(self, text: Sql) -> Sql:
        """A text to compare byte by byte."""
        return text

    def list(self, texts: Sequence[str]) -> Sql:
        """A list's literal."""
        return literal(compact(texts), Text())

    def least(self, left: Sql, right: Sql) -> Sql:
        """The smaller of two that are there."""
        return func.min(left, right)

    def object(self, pairs: dict[str, tuple[Sql, ValueType]]) -> Sql:
        """The JSON text of an object with these values; numbers in their shortest form."""
        parts: list[Any] = []
        for name, (value, kind) in pairs.items():
            parts += [name, self._json(value, kind)]
        return func.json_object(*parts, type_=Text())

    @staticmethod
    def _json(value: Sql, kind: ValueType) -> Sql:
        if kind == "boolean":
            return func.json(case((value.is_(null()), "null"), (value, "true"), else_="false"))
        if kind == "list":
            return func.json(value)
        return value


class Postgres:
    """PostgreSQL's jsonb. An expression over a document stands within `once`, which reads the document for all its parts."""

    is_sqlite = False

    def document(self, text: Sql) -> Spot:  # noqa: ARG002 - `once` says of which
        """The document of a text column."""
        return Spot(literal_column("read_once.document", JSONB))

    def once(self, asked: Sql, text: Column[str]) -> Sql:
        """An expression over the document of `text`: reading that anew for each of its values costs more than all the rest.

        It stays an expression of the row, so that PostgreSQL asks it again of a row that it had to wait for.
        """
        read = select(cast(text, JSONB).label("document")).correlate(text.table).offset(0).subquery("read_once")  # the offset: no copies
        return select(asked).select_from(read).correlate(text.table).scalar_subquery()

    def _fragment(self, spot: Spot) -> Sql:
        found = spot.document
        for part in spot.path:
            found = found.op("->", return_type=JSONB())(_key(part))
        return found

    def typed(self, spot: Spot, kind: ValueType) -> Sql:
        """The value at a place, or NULL when it is none of `kind`. A list stays jsonb."""
        fragment = self._fragment(spot)
        wanted = _JSON_TYPES.get(kind, "string")
        value: Sql = fragment
        if kind != "list":
            last = spot.path[-1] if spot.path else None
            value = (
                fragment.op("#>>", return_type=Text())(cast(literal("{}", Text()), ARRAY(Text)))
                if last is None
                else self._fragment(Spot(spot.document, spot.path[:-1])).op("->>", return_type=Text())(_key(last))
            )
            if wanted in ("number", "boolean"):
                value = cast(value, Double if wanted == "number" else Boolean)
        return case((func.jsonb_typeof(fragment) == wanted, value))

    def rows(self, spot: Spot) -> Row:
        """What an array holds."""
        fragment = self._fragment(spot)
        array = case((func.jsonb_typeof(fragment) == "array", fragment))
        made = func.jsonb_array_elements(array).table_valued(column("value", JSONB), with_ordinality="idx").render_derived()
        return Row(made, Spot(made.c.value), made.c.idx, made.c.idx)

    def members(self, spot: Spot) -> Row:
        """What an object holds, in the order of its keys."""
        fragment = self._fragment(spot)
        made = func.jsonb_each(case((func.jsonb_typeof(fragment) == "object", fragment)))
        table = made.table_valued(column("key", Text), column("value", JSONB), with_ordinality="idx").render_derived()
        return Row(table, Spot(table.c.value), table.c.idx, table.c.key)

    def length(self, spot: Spot) -> Sql:
        """How long an array is; NULL when it is none."""
        fragment = self._fragment(spot)
        return case((func.jsonb_typeof(fragment) == "array", cast(func.jsonb_array_length(fragment), Double)))

    def holds(self, array: Sql, item: Sql) -> Sql:
        """Whether a list of texts holds a text; NULL in, NULL out."""
        made = func.jsonb_array_elements_text(array).table_valued(column("value", Text)).render_derived()
        return item.in_(select(made.c.value).scalar_subquery())

    def calculate(self, operator: str, left: Sql, right: Sql) -> Sql:
        """`+ - * /` as the language has them: NULL by zero and beyond the largest number, else rounded."""
        left, right = cast(left, Double), cast(right, Double)
        if operator == "/":
            right = func.nullif(right, number(0))
        return self.rounded(self.limited(left.op(operator, precedence=_PRECEDENCE[operator])(right)))

    def rounded(self, number_: Sql) -> Sql:
        """The number rounded to four places; no negative zero."""
        return func.round(number_ * number(10_000)).op("/", precedence=8)(number(10_000)) + number(0)

    def total(self, number_: Sql) -> Sql:
        """The sum of rows, in ten thousandths: whole doubles, so that their order does not matter."""
        return func.sum(func.round(number_ * number(10_000)))

    def whole(self, double: Sql) -> Sql:
        """The whole part, as an integer."""
        return cast(func.trunc(double), BigInteger)

    def limited(self, number_: Sql) -> Sql:
        """The number, or NULL beyond the largest."""
        clamped = func.least(func.greatest(number_, number(-_BEYOND)), number(_BEYOND))  # both leave NULL out: it becomes the least
        return func.nullif(func.nullif(clamped, number(_BEYOND)), number(-_BEYOND))

    def bytes(self, text: Sql) -> Sql:
        """A text to compare byte by byte."""
        return text.collate("C")

    def list(self, texts: Sequence[str]) -> Sql:
        """A list's literal."""
        return cast(literal(compact(texts), Text()), JSONB)

    def least(self, left: Sql, right: Sql) -> Sql:
        """The smaller of two that are there."""
        return func.least(left, right)

    def object(self, pairs: dict[str, tuple[Sql, ValueType]]) -> Sql:
        """The JSON text of an object with these values; numbers in their shortest form."""
        parts: list[Any] = []
        for name, (value, _) in pairs.items():
            parts += [literal(name, Text()), value]
        return cast(func.json_build_object(*parts), Text)


_JSON_TYPES = {"number": "number", "time": "number", "time_of_day": "number", "boolean": "boolean", "list": "array"}


def _key(part: str | int) -> Sql:
    return literal(part, Integer() if isinstance(part, int) else Text())


def number(value: float) -> Sql:
    """A number's literal: a double everywhere, so that no division is one of integers."""
    return literal(float(value), Double())
