"""Entries of many at once: who is next, whom the conditions let through, and the writing of those who enter, by ranges of user ids."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, TypeVar

from orjson import Fragment
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
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
    union_all,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from runtime.state import ENDED, HELD_OUT, Enrolment
from runtime.store.codec import Codec, compact
from runtime.store.conditions import Uncompilable
from runtime.store.database import copy
from runtime.store.documents import Postgres, Sqlite
from runtime.store.releases import Population
from runtime.store.rows import new_row_of
from runtime.store.tables import enrolments, inbox, log, refusals, users

Compiled = TypeVar("Compiled", bound=ColumnElement[Any])
_PEOPLE = users.c.merged_into.is_(None)  # a former id is nobody any more
_LOG = ("user_id", "enrolment_id", "recorded_at", "entries")
_APART = "\n"  # stands in no JSON text that a database writes
_UNSURE = "?"  # is no JSON text
_GIVEN = {"user_id": Text, "key": Text, "held": Boolean, "entries": Text}  # of somebody who enters

_LEADS_TO = select(users.c.merged_into).where(users.c.user_id == inbox.c.user_id).scalar_subquery()
_WAITING = union_all(
    select(inbox.c.user_id.label("user_id")).where(inbox.c.received_at <= bindparam("now"), inbox.c.user_id > bindparam("after")),
    select(_LEADS_TO.label("user_id")).where(inbox.c.received_at <= bindparam("now")),
).subquery()
_FIRST_BUSY = select(func.min(_WAITING.c.user_id)).where(_WAITING.c.user_id > bindparam("after"))


class CannotSay(Exception):
    """SQL cannot answer for these users: a condition that does not compile, or a profile that is no JSON."""


def said(compiled: Compiled | Uncompilable) -> Compiled:
    """What was compiled; CannotSay where nothing was."""
    if isinstance(compiled, Uncompilable):
        raise CannotSay(f"{compiled.function}: {compiled.reason}")
    return compiled


@dataclass(frozen=True, slots=True)
class Span:
    """The users after one id up to and with another, in the order of the database; `count` of them, with these zones.

    `is_last`: nobody comes after them.
    """

    after: str
    upto: str
    count: int
    zones: frozenset[str] = frozenset()
    is_last: bool = False


class Newcomer(NamedTuple):
    """Somebody who enters: the row's key, whether she is held out, and the first entries of her log (JSON text)."""

    user_id: str
    key: str
    held: bool
    entered: str


_Told = tuple[Newcomer, str]  # with the first entries of her log, as they are kept
_SEQUENCE = func.pg_get_serial_sequence(enrolments.name, enrolments.c.id.name)
_NUMBERS = select(func.nextval(_SEQUENCE)).select_from(func.generate_series(1, bindparam("count", type_=Integer)).alias("each"))


class Populations:
    """Statements of entries of many."""

    def __init__(self, codec: Codec, *, is_sqlite: bool) -> None:
        self._codec, self._is_sqlite = codec, is_sqlite
        self._json: Sqlite | Postgres = Sqlite() if is_sqlite else Postgres()

    @contextlib.contextmanager
    def asking(self, tx: Connection) -> Iterator[None]:
        """Reading alone: what the database cannot answer is undone and raised as CannotSay."""
        try:
            with tx.begin_nested():
                yield
        except DataError as error:
            raise CannotSay(str(error.orig)) from error
        except OperationalError as error:  # SQLite's word for malformed JSON, and for what is too deep for its parser
            if not self._is_sqlite:
                raise
            raise CannotSay(str(error.orig)) from error

    def first_busy(self, tx: Connection, after: str, now: int) -> str | None:
        """The first of the users after an id for whom something has been waiting in the inbox since before `now`, also under a former id.

        It is asked before anything else of a range: what is worked off meanwhile can be seen then.
        """
        found: str | None = tx.execute(_FIRST_BUSY, {"after": after, "now": now}).scalar_one()
        return found

    def span(self, tx: Connection, after: str, limit: int, *, zones: bool, before: str | None = None) -> Span:
        """The next users by id, at most `limit`, none of them from `before` on. Their zones only where they are wanted."""
        ids = select(users.c.user_id).where(users.c.user_id > after).order_by(users.c.user_id).limit(limit)
        if before is not None:
            ids = ids.where(users.c.user_id < before)
        found = ids.subquery()
        count, upto = tx.execute(select(func.count(), func.max(found.c.user_id))).one()
        is_last = count < limit and before is None
        if not count:
            return Span(after, after, 0, is_last=is_last)
        theirs = select(users.c.zone).where(_between(users.c.user_id, after, upto)).distinct()
        return Span(after, upto, count, frozenset(tx.execute(theirs).scalars() if zones else ()), is_last)

    def zones(self, tx: Connection) -> frozenset[str]:
        """The zones that users have."""
        return frozenset(tx.execute(select(users.c.zone).distinct()).scalars())

    def passing(
        self, tx: Connection, span: Span, conditions: Sequence[ColumnElement[bool]], unsure: ColumnElement[bool],
        values: Sequence[ColumnElement[str]],
    ) -> list[tuple[str, list[str]]]:  # fmt: skip
        """Those of the span whom every condition lets through, by id, with these values (JSON texts; an empty one for NULL).

        CannotSay when `unsure` holds for somebody whom the conditions had to be asked of. Nobody is locked: see `take_turns`.
        """
        here = (_between(users.c.user_id, span.after, span.upto), _PEOPLE)
        told: ColumnElement[Any] = _joined(values)
        if conditions:  # one expression for all of it: PostgreSQL reads a profile anew for each
            told = case((unsure, literal(_UNSURE, Text)), (and_(*conditions), told))
        asked = select(users.c.user_id, self._once(told).label("told")).where(*here).offset(0).subquery()  # the offset: it is asked once
        rows = tx.execute(select(asked).where(asked.c.told.is_not(None)).order_by(asked.c.user_id)).all()
        if any(texts == _UNSURE for _, texts in rows):
            raise CannotSay(next(user_id for user_id, texts in rows if texts == _UNSURE))
        return [(user_id, texts.split(_APART)) for user_id, texts in rows]

    def counted(
        self, tx: Connection, span: Span, conditions: Sequence[ColumnElement[bool]], besides: Sequence[ColumnElement[bool]] = ()
    ) -> int:  # fmt: skip
        """How many of the span the conditions let through; `besides` are those that ask nothing of a profile."""
        asked = [self._once(and_(*conditions))] if conditions else []
        where = [_between(users.c.user_id, span.after, span.upto), _PEOPLE, *asked, *besides]
        return tx.execute(select(func.count()).select_from(users).where(*where)).scalar_one()

    def _once(self, asked: ColumnElement[Any]) -> Any:
        return self._json.once(asked, users.c.profile)

    @staticmethod
    def free_to_enter(journey: str, mode: str, reentry: int | str, at: int) -> list[ColumnElement[bool]]:
        """Whether a user's own entries into a journey let her in once more, by the rule of runtime/enrol.py."""
        bars: list[ColumnElement[bool]] = [enrolments.c.status < ENDED] if mode == "single" else []
        if isinstance(reentry, int):
            bars.append(enrolments.c.entered_at > at - reentry)
        if reentry == "once":
            bars.append(true())
        mine = and_(enrolments.c.user_id == users.c.user_id, enrolments.c.journey == journey)
        return [~select(enrolments.c.id).where(mine, or_(*bars)).correlate(users).exists()] if bars else []

    def past_entries(self, tx: Connection, span: Span, journey: str) -> dict[str, list[Enrolment]]:
        """Per user of the span: all entries into the journey, ended ones too, without their contexts."""
        columns = (enrolments.c.user_id, enrolments.c.key, enrolments.c.status, enrolments.c.entered_at, enrolments.c.id)
        query = select(*columns).where(_between(enrolments.c.user_id, span.after, span.upto), enrolments.c.journey == journey)
        found: dict[str, list[Enrolment]] = {}
        for user_id, key, status, entered_at, id_ in tx.execute(query.order_by(enrolments.c.id)):
            slim = Enrolment(key, journey, 0, user_id, "", "", status, None, entered_at, entered_at, id=id_)
            found.setdefault(user_id, []).append(slim)
        return found

    def came_later(self, tx: Connection, population: Population, after: str, upto: str) -> set[str]:
        """Of those who were inside already when the journey went live: whoever of these users has come to its door by herself since
        then, let in or not. She has had her answer.
        """
        if population.kind != "existing":
            return set()
        journey, since = population.journey, population.at
        asked = select(refusals.c.user_id).where(
            _between(refusals.c.user_id, after, upto), refusals.c.journey == journey, refusals.c.last_at >= since
        )
        entered = select(enrolments.c.user_id).where(
            _between(enrolments.c.user_id, after, upto), enrolments.c.journey == journey, enrolments.c.entered_at >= since
        )
        return set(tx.execute(asked.union(entered)).scalars())

    def enter(
        self, tx: Connection, newcomers: Sequence[Newcomer], patterns: Mapping[bool, Enrolment], now: int, *, parallel: bool
    ) -> Mapping[bool, int]:
        """Write enrolments and their log; how many live and held-out ones were written.

        `patterns` are the live and the held-out enrolment of somebody. One whose key, or a live one in whose place,
        is there already is left out.
        """
        if not newcomers:
            return {False: 0, True: 0}
        rows = {held: new_row_of(pattern, "", self._codec) for held, pattern in patterns.items()}
        people = [(n, self._codec.encode("log.entries", n.user_id, Fragment(n.entered))) for n in newcomers]
        write = self._enter_sqlite if self._is_sqlite else self._enter_postgres
        return write(tx, people, rows, now, parallel=parallel)

    def _enter_sqlite(
        self, tx: Connection, newcomers: Sequence[_Told], rows: Mapping[bool, dict[str, Any]], now: int, *, parallel: bool
    ) -> Mapping[bool, int]:
        """Two statements from one parameter, during which another thread may go on. The only writer gives the numbers itself, so that
        the log can be written without asking for them.
        """
        people = compact([{"user_id": n.user_id, "key": n.key, "held": n.held, "entries": told} for n, told in newcomers])
        expected = Counter(n.held for n, _ in newcomers)
        first: int = tx.execute(select(func.coalesce(func.max(enrolments.c.id), 0) + 1)).scalar_one()
        values = {"people": people, "first": first, "at": now}  # beside the statement: a literal would stay with it where it is cached
        each = func.json_each(bindparam("people", type_=Text)).table_valued("key", "value", name="given")
        user_id, key, is_held, told = (func.json_extract(each.c.value, f"$.{name}") for name in _GIVEN)
        number = each.c.key + bindparam("first", type_=BigInteger)
        made = _made(rows, is_held == 1) | {"user_id": user_id, "key": key, "slot": key if parallel else literal("", Text)}
        chosen = select(number, *made.values()).where(true())  # without a where SQLite takes ON CONFLICT for a join
        written = sqlite_insert(enrolments).from_select(["id", *made], chosen, include_defaults=False).on_conflict_do_nothing()
        logged = select(user_id, number, bindparam("at", type_=BigInteger), told)
        counts = {False: expected[False], True: expected[True]}
        if tx.execute(written, values).rowcount < expected.total():
            mine = enrolments.c.id >= bindparam("first", type_=BigInteger)
            logged = logged.where(number.in_(select(enrolments.c.id).where(mine)))
            found = tx.execute(select(enrolments.c.status, func.count()).where(mine).group_by(enrolments.c.status), values)
            counts = {False: 0, True: 0} | {status == HELD_OUT: n for status, n in found}
        tx.execute(insert(log).from_select(list(_LOG), logged, include_defaults=False), values)
        return counts

    def _enter_postgres(
        self, tx: Connection, newcomers: Sequence[_Told], rows: Mapping[bool, dict[str, Any]], now: int, *, parallel: bool
    ) -> Mapping[bool, int]:
        """By COPY: what the rows weigh for the database is then hardly more than to write them."""
        try:
            with tx.begin_nested():
                return self._copy(tx, newcomers, rows, now, parallel=parallel)
        except IntegrityError:  # hardly ever: who is inside was known when the range was looked at
            standing = self._standing(tx, [n for n, _ in newcomers], rows[False]["journey"], parallel=parallel)
            return self._copy(tx, [told for told in newcomers if told[0].user_id not in standing], rows, now, parallel=parallel)

    @staticmethod
    def _copy(
        tx: Connection, newcomers: Sequence[_Told], rows: Mapping[bool, dict[str, Any]], now: int, *, parallel: bool
    ) -> Mapping[bool, int]:
        own = ("user_id", "key", "slot")
        names = [name for name in rows[False] if name not in own]
        rest = {held: "\t".join(_copied(row[name]) for name in names) for held, row in rows.items()}
        numbers = tx.execute(_NUMBERS, {"count": len(newcomers)}).scalars()
        made, logged = [], []
        for number, (newcomer, entries) in zip(numbers, newcomers, strict=True):
            user_id = _copied(newcomer.user_id)
            slot = newcomer.key if parallel else ""
            made.append(f"{number}\t{user_id}\t{newcomer.key}\t{slot}\t{rest[newcomer.held]}\n")
            logged.append(f"{user_id}\t{number}\t{now}\t{_copied(entries)}\n")
        copy(tx, enrolments, ["id", *own, *names], "".join(made))
        copy(tx, log, _LOG, "".join(logged))
        counts = Counter(n.held for n, _ in newcomers)
        return {False: counts[False], True: counts[True]}

    @staticmethod
    def _standing(tx: Connection, newcomers: Sequence[Newcomer], journey: str, *, parallel: bool) -> set[str]:
        """Those whose key, or a live one in whose place, is there already."""
        keys, ids = [n.key for n in newcomers], [n.user_id for n in newcomers]
        live = and_(enrolments.c.journey == journey, enrolments.c.user_id.in_(ids), enrolments.c.subject == "", enrolments.c.slot == "")
        there = enrolments.c.key.in_(keys) if parallel else or_(enrolments.c.key.in_(keys), and_(live, enrolments.c.status < ENDED))
        found = {row.key: row.user_id for row in tx.execute(select(enrolments.c.key, enrolments.c.user_id).where(there))}
        return {n.user_id for n in newcomers if n.key in found} | set(found.values())


def _made(rows: Mapping[bool, dict[str, Any]], is_held: Any) -> dict[str, Any]:
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


def _joined(values: Sequence[ColumnElement[str]]) -> ColumnElement[str]:
    """Texts as one, NULL as an empty one."""
    first, *others = (func.coalesce(value, "", type_=Text()) for value in values)
    return reduce(lambda before, value: before.concat(_APART).concat(value), others, cast(first, Text))


def _between(user_id: ColumnElement[str], after: str, upto: str) -> ColumnElement[bool]:
    return (user_id > after) & (user_id <= upto)
