"""The writing of many who enter at once: their enrolments and the first entries of their logs.

What is written is prepared by whoever has looked at them, so that the writer, for whom others wait, has hardly more to do than the
database itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from orjson import Fragment
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from runtime.state import ENDED, HELD_OUT, Enrolment
from runtime.store.codec import Codec, compact
from runtime.store.database import copy
from runtime.store.rows import new_row_of
from runtime.store.tables import enrolments, log

_LOG = ("user_id", "enrolment_id", "recorded_at", "entries")
_OWN = ("user_id", "key", "slot")  # of an enrolment: what differs from one to the next
_GIVEN = {"user_id": Text, "key": Text, "held": Boolean, "entries": Text}  # of somebody who enters
_SEQUENCE = select(cast(func.pg_get_serial_sequence(enrolments.name, enrolments.c.id.name), REGCLASS)).scalar_subquery()  # asked once
_NUMBERS = select(func.string_agg(cast(func.nextval(_SEQUENCE), Text), " ")).select_from(
    func.generate_series(1, bindparam("count", type_=Integer)).alias("each")
)  # as one text: thousands of rows cost more than all the rest


class Newcomer(NamedTuple):
    """Somebody who enters: the row's key, whether she is held out, and the first entries of her log (JSON text)."""

    user_id: str
    key: str
    held: bool
    entered: str


@dataclass(frozen=True)
class Prepared:
    """Those who enter a journey, ready to be written: `rows` are the live and the held-out enrolment of somebody, `lines` those of COPY
    of the enrolments and of their log, on SQLite one text of JSON.
    """

    newcomers: Sequence[Newcomer]
    rows: Mapping[bool, Mapping[str, Any]]
    now: int
    parallel: bool
    lines: tuple[str, ...]

    def counts(self) -> Mapping[bool, int]:
        """How many of them are live and held out."""
        counted = Counter(n.held for n in self.newcomers)
        return {False: counted[False], True: counted[True]}


class Entering:
    """Statements of those who enter many at once."""

    def __init__(self, codec: Codec, *, is_sqlite: bool) -> None:
        self._codec, self._is_sqlite = codec, is_sqlite

    def prepare(
        self, tx: Connection, newcomers: Sequence[Newcomer], patterns: Mapping[bool, Enrolment], now: int, *, parallel: bool
    ) -> Prepared:
        """What `write` is to write at `now`; `patterns` are the live and the held-out enrolment of somebody."""
        rows = {held: new_row_of(pattern, "", self._codec) for held, pattern in patterns.items()}
        return self._prepare(tx, newcomers, rows, now, parallel=parallel)

    def _prepare(
        self, tx: Connection, newcomers: Sequence[Newcomer], rows: Mapping[bool, Mapping[str, Any]], now: int, *, parallel: bool
    ) -> Prepared:
        told = [self._codec.encode("log.entries", n.user_id, Fragment(n.entered)) for n in newcomers]
        if self._is_sqlite:
            people = [{"user_id": n.user_id, "key": n.key, "held": n.held, "entries": t} for n, t in zip(newcomers, told, strict=True)]
            return Prepared(newcomers, rows, now, parallel, (compact(people),))
        rest = {held: "\t".join(_copied(row[name]) for name in _names(rows)) for held, row in rows.items()}
        numbers = (tx.execute(_NUMBERS, {"count": len(newcomers)}).scalar_one() or "").split()
        made, logged = [], []
        for number, newcomer, entries in zip(numbers, newcomers, told, strict=True):
            user_id = _copied(newcomer.user_id)
            slot = newcomer.key if parallel else ""
            made.append(f"{number}\t{user_id}\t{newcomer.key}\t{slot}\t{rest[newcomer.held]}\n")
            logged.append(f"{user_id}\t{number}\t{now}\t{_copied(entries)}\n")
        return Prepared(newcomers, rows, now, parallel, ("".join(made), "".join(logged)))

    def write(self, tx: Connection, prepared: Prepared) -> Mapping[bool, int]:
        """Write enrolments and their log; how many live and held-out ones were written.

        One whose key, or a live one in whose place, is there already is left out.
        """
        if not prepared.newcomers:
            return prepared.counts()
        return self._insert(tx, prepared) if self._is_sqlite else self._copy(tx, prepared)

    @staticmethod
    def _insert(tx: Connection, prepared: Prepared) -> Mapping[bool, int]:
        """Two statements from one parameter, during which another thread may go on. The only writer gives the numbers itself, so that
        the log can be written without asking for them.
        """
        (people,) = prepared.lines
        first: int = tx.execute(select(func.coalesce(func.max(enrolments.c.id), 0) + 1)).scalar_one()
        values = {"people": people, "first": first, "at": prepared.now}  # a literal would stay with the statement where it is cached
        each = func.json_each(bindparam("people", type_=Text)).table_valued("key", "value", name="given")
        user_id, key, is_held, told = (func.json_extract(each.c.value, f"$.{name}") for name in _GIVEN)
        number = each.c.key + bindparam("first", type_=BigInteger)
        made = _made(prepared.rows, is_held == 1)
        made |= {"user_id": user_id, "key": key, "slot": key if prepared.parallel else literal("", Text)}
        chosen = select(number, *made.values()).where(true())  # without a where SQLite takes ON CONFLICT for a join
        written = sqlite_insert(enrolments).from_select(["id", *made], chosen, include_defaults=False).on_conflict_do_nothing()
        logged = select(user_id, number, bindparam("at", type_=BigInteger), told)
        counts = prepared.counts()
        if tx.execute(written, values).rowcount < len(prepared.newcomers):
            mine = enrolments.c.id >= bindparam("first", type_=BigInteger)
            logged = logged.where(number.in_(select(enrolments.c.id).where(mine)))
            found = tx.execute(select(enrolments.c.status, func.count()).where(mine).group_by(enrolments.c.status), values)
            counts = {False: 0, True: 0} | {status == HELD_OUT: n for status, n in found}
        tx.execute(insert(log).from_select(list(_LOG), logged, include_defaults=False), values)
        return counts

    def _copy(self, tx: Connection, prepared: Prepared) -> Mapping[bool, int]:
        """By COPY: what the rows weigh for the database is then hardly more than to write them."""
        try:
            with tx.begin_nested():
                return _write_lines(tx, prepared)
        except IntegrityError:  # hardly ever: who is inside was known when the range was looked at
            standing = _standing(tx, prepared)
            others = [n for n in prepared.newcomers if n.user_id not in standing]
            return _write_lines(tx, self._prepare(tx, others, prepared.rows, prepared.now, parallel=prepared.parallel))


def _write_lines(tx: Connection, prepared: Prepared) -> Mapping[bool, int]:
    made, logged = prepared.lines
    copy(tx, enrolments, ["id", *_OWN, *_names(prepared.rows)], made)
    copy(tx, log, _LOG, logged)
    return prepared.counts()


def _names(rows: Mapping[bool, Mapping[str, Any]]) -> list[str]:
    """The columns that are the same for all who are live, and for all who are held out."""
    return [name for name in rows[False] if name not in _OWN]


def _standing(tx: Connection, prepared: Prepared) -> set[str]:
    """Those whose key, or a live one in whose place, is there already."""
    keys, ids = [n.key for n in prepared.newcomers], [n.user_id for n in prepared.newcomers]
    journey = prepared.rows[False]["journey"]
    live = and_(enrolments.c.journey == journey, enrolments.c.user_id.in_(ids), enrolments.c.subject == "", enrolments.c.slot == "")
    taken = enrolments.c.key.in_(keys)
    there = taken if prepared.parallel else or_(taken, and_(live, enrolments.c.status < ENDED))
    found = {row.key: row.user_id for row in tx.execute(select(enrolments.c.key, enrolments.c.user_id).where(there))}
    return {n.user_id for n in prepared.newcomers if n.key in found} | set(found.values())


def _made(rows: Mapping[bool, Mapping[str, Any]], is_held: Any) -> dict[str, Any]:
    """The columns of a new enrolment: where the live and the held-out one differ, by who is held out."""
    live, held = rows[False], rows.get(True, rows[False])
    return {
        name: literal(value, enrolments.c[name].type)
        if value == held[name]
        else case((is_held, literal(held[name], enrolments.c[name].type)), else_=literal(value, enrolments.c[name].type))
        for name, value in live.items()
    }


def _copied(value: str | int | None) -> str:
    """A value in a line of COPY."""
    if value is None:
        return "\\N"
    if isinstance(value, int):
        return str(value)
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
