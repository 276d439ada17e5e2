"""Entries of many at once: who is next, whom the conditions let through, and the writing of those who enter, by ranges of user ids."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.exc import DataError, OperationalError

from runtime.state import ENDED, Enrolment
from runtime.store.among import among
from runtime.store.conditions import Uncompilable
from runtime.store.documents import Postgres, Sqlite
from runtime.store.inbox import Inbox
from runtime.store.releases import Population
from runtime.store.tables import enrolments, inbox, refusals, users

Compiled = TypeVar("Compiled", bound=ColumnElement[Any])
_PEOPLE = users.c.merged_into.is_(None)  # a former id is nobody any more
_APART = "\n"  # stands in no JSON text that a database writes
_UNSURE = "?"  # is no JSON text

_LEADS_TO = select(users.c.merged_into).where(users.c.user_id == inbox.c.user_id).scalar_subquery()
_WAITING = union_all(
    select(inbox.c.user_id.label("user_id")).where(inbox.c.received_at <= bindparam("now"), inbox.c.user_id > bindparam("after")),
    select(_LEADS_TO.label("user_id")).where(inbox.c.received_at <= bindparam("now")),
    select(users.c.user_id).where(among(users.c.user_id, "merging")),
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


class Populations:
    """Statements of entries of many."""

    def __init__(self, notes: Inbox, *, is_sqlite: bool) -> None:
        self._notes, self._is_sqlite = notes, is_sqlite
        self._json: Sqlite | Postgres = Sqlite() if is_sqlite else Postgres()

    @contextlib.contextmanager
    def asking(self, tx: Connection) -> Iterator[None]:
        """Reading alone: what the database cannot answer, or nobody can spell for it, is undone and raised as CannotSay."""
        try:
            with tx.begin_nested():
                yield
        except DataError as error:
            raise CannotSay(str(error.orig)) from error
        except OperationalError as error:  # SQLite's word for malformed JSON, and for what is too deep for its parser
            if not self._is_sqlite:
                raise
            raise CannotSay(str(error.orig)) from error
        except RecursionError as error:  # SQLAlchemy goes down into an expression: dozens of terms of one sum are too deep for it
            raise CannotSay("the condition is too deep") from error

    def first_busy(self, tx: Connection, after: str, now: int) -> str | None:
        """The first of the users after an id for whom something has been waiting in the inbox since before `now`, also under a former id;
        also a merge into somebody else, who may have done what keeps both out.

        It is asked before anything else of a range: what is worked off meanwhile can be seen then.
        """
        merging = self._notes.to_be_merged(tx, now)
        found: str | None = tx.execute(_FIRST_BUSY, {"after": after, "now": now, "merging": merging}).scalar_one()
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

    def tallied(self, tx: Connection, conditions: Sequence[ColumnElement[bool]]) -> list[int]:
        """How many people each condition lets through, in one look at everybody."""
        counts = [func.count().filter(self._once(condition)) for condition in conditions]
        return list(tx.execute(select(*counts).select_from(users).where(_PEOPLE)).one())

    def _once(self, asked: ColumnElement[Any]) -> Any:
        return self._json.once(asked, users.c.profile)

    @staticmethod
    def free_to_enter(journey: str, mode: str, reentry: int | str, at: int) -> list[ColumnElement[bool]]:
        """Whether a user's own entries into a journey, those without a subject, let her in once more, by the rule of runtime/enrol.py."""
        bars: list[ColumnElement[bool]] = [enrolments.c.status < ENDED] if mode == "single" else []
        if isinstance(reentry, int):
            bars.append(enrolments.c.entered_at > at - reentry)
        if reentry == "once":
            bars.append(true())
        mine = and_(enrolments.c.user_id == users.c.user_id, enrolments.c.journey == journey, enrolments.c.subject == "")
        return [~select(enrolments.c.id).where(mine, or_(*bars)).correlate(users).exists()] if bars else []

    def past_entries(self, tx: Connection, span: Span, journey: str) -> dict[str, list[Enrolment]]:
        """Per user of the span: all entries into the journey without a subject (it had one before an edit), ended ones too, without their
        contexts.
        """
        columns = (enrolments.c.user_id, enrolments.c.key, enrolments.c.status, enrolments.c.entered_at, enrolments.c.id)
        mine = and_(_between(enrolments.c.user_id, span.after, span.upto), enrolments.c.journey == journey, enrolments.c.subject == "")
        found: dict[str, list[Enrolment]] = {}
        for user_id, key, status, entered_at, id_ in tx.execute(select(*columns).where(mine).order_by(enrolments.c.id)):
            slim = Enrolment(key, journey, 0, user_id, "", "", status, None, entered_at, entered_at, id=id_)
            found.setdefault(user_id, []).append(slim)
        return found

    @staticmethod
    def not_come_since(journey: str, since: int) -> ColumnElement[bool]:
        """Whether a user has not come to a journey's door by herself since an instant, as `came_later` says."""
        refused = and_(refusals.c.user_id == users.c.user_id, refusals.c.journey == journey, refusals.c.last_at >= since)
        entered = and_(enrolments.c.user_id == users.c.user_id, enrolments.c.journey == journey, enrolments.c.entered_at >= since)
        return and_(
            ~select(refusals.c.user_id).where(refused).correlate(users).exists(),
            ~select(enrolments.c.id).where(entered).correlate(users).exists(),
        )

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


def _joined(values: Sequence[ColumnElement[str]]) -> ColumnElement[str]:
    """Texts as one, NULL as an empty one."""
    first, *others = (func.coalesce(value, "", type_=Text()) for value in values)
    return reduce(lambda before, value: before.concat(_APART).concat(value), others, cast(first, Text))


def _between(user_id: ColumnElement[str], after: str, upto: str) -> ColumnElement[bool]:
    return (user_id > after) & (user_id <= upto)
