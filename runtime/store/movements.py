"""Those inside when a release changes their journey: who stands where, which moves are under way; and pauses of journeys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, false, func, insert, literal, or_, select, union, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.moving import InFlight
from runtime.state import ENDED, STATUS_NAMES, Enrolment
from runtime.store.codec import Codec, compact, parse
from runtime.store.ledger_rows import IS_PENDING, OPEN
from runtime.store.rows import ENROLMENT_COLUMNS, enrolment_of
from runtime.store.tables import enrolments, messages, moves, pauses, release_versions, versions

_ENROLMENT = [enrolments.c[name] for name in ENROLMENT_COLUMNS]


@dataclass(frozen=True, slots=True)
class Movement:
    """What a release decided for those inside one journey; `cursor` is the number of the enrolment that was looked at last."""

    release_id: int
    journey: str
    in_flight: InFlight
    cursor: int
    done_at: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How many stand at one step of one version, how many of their timers are due already, and how many have been there for as
    long as was asked about, with a timer that is still to come.
    """

    version_id: int
    journey: str
    state: str
    status: str
    n: int
    due: int
    over: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A journey in which nobody takes a step."""

    journey: str
    paused_at: int
    paused_by: str
    reason: str


class Movements:
    """Statements of moves and pauses."""

    def __init__(self, codec: Codec, *, is_sqlite: bool) -> None:
        self._codec = codec
        self._insert: Any = sqlite_insert if is_sqlite else postgres_insert

    # --- who stands where

    def behind(self, tx: Connection, version_id: int, state: str, now: int, length: int, limit: int | None) -> tuple[int, int | None]:
        """Of those with a timer still to come who have been at a step for `length`: how many for more than `limit` longer, and when it
        began for the first of the others.
        """
        here = and_(enrolments.c.version_id == version_id, enrolments.c.state == state, enrolments.c.due_at > now)
        too_late = enrolments.c.begun_at < now - length - limit if limit is not None else false()
        counts = (func.count().filter(too_late), func.min(enrolments.c.begun_at).filter(~too_late))
        late, began = tx.execute(select(*counts).where(here, enrolments.c.begun_at <= now - length)).one()
        return int(late), began

    def standing(self, tx: Connection, now: int, lengths: Mapping[tuple[int, str], int] | None = None) -> list[Standing]:
        """Everybody inside, counted by version and step over an index; `lengths` are how long some steps would last."""
        due = func.count().filter(enrolments.c.due_at <= now)
        cases = [
            and_(enrolments.c.version_id == version_id, enrolments.c.state == state, enrolments.c.begun_at <= now - length)
            for (version_id, state), length in (lengths or {}).items()
        ]
        over = func.count().filter(and_(enrolments.c.due_at > now, or_(*cases))) if cases else literal(0)
        place = (enrolments.c.version_id, enrolments.c.state, enrolments.c.status)
        waiting = select(*place, func.count(), due, over).where(enrolments.c.due_at.is_not(None)).group_by(*place)
        stopped = select(*place, func.count(), literal(0), literal(0)).where(enrolments.c.due_at.is_(None), enrolments.c.status < ENDED)
        journeys = {row.id: row.journey for row in tx.execute(select(versions.c.id, versions.c.journey))}
        found: dict[tuple[int, str, int], list[int]] = {}
        for version_id, state, status, *counts in (*tx.execute(waiting), *tx.execute(stopped.group_by(*place))):
            before = found.get((version_id, state, status), [0, 0, 0])
            found[version_id, state, status] = [a + b for a, b in zip(before, counts, strict=True)]
        return [
            Standing(version_id, journeys.get(version_id, ""), state, STATUS_NAMES[status], *counts)
            for (version_id, state, status), counts in sorted(found.items())
        ]

    def some_at(self, tx: Connection, version_id: int, state: str, most: int) -> list[Enrolment]:
        """Some of those who rest at a step, those with the earliest timers."""
        here = and_(enrolments.c.version_id == version_id, enrolments.c.state == state, enrolments.c.due_at.is_not(None))
        query = select(*_ENROLMENT).where(here).order_by(enrolments.c.due_at).limit(most)
        return [enrolment_of(row, self._codec) for row in tx.execute(query)]

    def due_of(self, tx: Connection, version_id: int, since: int, before: int) -> int:
        """How many timers of a version became due after `since` and before another instant."""
        mine = and_(enrolments.c.version_id == version_id, enrolments.c.due_at > since, enrolments.c.due_at < before)
        return int(tx.execute(select(func.count()).select_from(enrolments).where(mine)).scalar_one())

    def planned(self, tx: Connection, journey: str, now: int, latest: Mapping[int, int]) -> tuple[int, int]:
        """How many of a journey's messages wait in the ledger although their time has come, and how many of these are of a time
        before their version's in `latest`. Read over the index of what is pending.
        """
        too_late = [and_(messages.c.version_id == version_id, messages.c.due_at < at) for version_id, at in latest.items()]
        late = func.count().filter(or_(*too_late)) if too_late else literal(0)
        mine = and_(IS_PENDING, messages.c.journey == journey, messages.c.kind == "message", messages.c.due_at <= now)
        due, overdue = tx.execute(select(func.count(), late).select_from(messages).where(mine)).one()
        return int(due), int(overdue)

    # --- moves

    def add(self, tx: Connection, release_id: int, journey: str, in_flight: InFlight) -> None:
        """Note what a release decided for those inside."""
        steps = compact(dict(in_flight.steps))
        tx.execute(insert(moves).values(release_id=release_id, journey=journey, way=in_flight.way, steps=steps))

    def of_release(self, tx: Connection, release_id: int) -> list[Movement]:
        """What a release decided, done or not."""
        rows = tx.execute(select(moves).where(moves.c.release_id == release_id).order_by(moves.c.journey))
        return [Movement(r.release_id, r.journey, InFlight(r.way, parse(r.steps)), r.cursor, r.done_at) for r in rows]

    def left(self, tx: Connection, movement: Movement) -> int:
        """How many of the journey's enrolments are still to be looked at."""
        query = select(func.count()).select_from(enrolments).where(*self._concerned(movement))
        return int(tx.execute(query).scalar_one())

    @staticmethod
    def _concerned(movement: Movement) -> tuple[Any, ...]:
        current = select(release_versions.c.version_id).where(release_versions.c.release_id == movement.release_id)
        # coalesce: by an index of the journey the whole rest would be sorted anew for each batch; by their numbers it is read once
        journey, version_id = func.coalesce(enrolments.c.journey, ""), func.coalesce(enrolments.c.version_id, 0)
        inside = func.coalesce(enrolments.c.status, ENDED) < ENDED
        return (journey == movement.journey, inside, enrolments.c.id > movement.cursor, version_id.not_in(current))

    def next_of(self, tx: Connection, movement: Movement, limit: int) -> list[tuple[int, str]]:
        """The numbers and users of the next enrolments that a move concerns."""
        query = select(enrolments.c.id, enrolments.c.user_id).where(*self._concerned(movement)).order_by(enrolments.c.id).limit(limit)
        return [(row[0], row[1]) for row in tx.execute(query)]

    def save(self, tx: Connection, movement: Movement, cursor: int, done_at: int | None) -> None:
        """Note how far a move came, unless another daemon has come further."""
        mine = and_(moves.c.release_id == movement.release_id, moves.c.journey == movement.journey)
        tx.execute(update(moves).where(mine, moves.c.done_at.is_(None), moves.c.cursor <= cursor).values(cursor=cursor, done_at=done_at))

    # --- pauses

    def paused(self, tx: Connection) -> list[Pause]:
        """The journeys that are paused now."""
        query = select(pauses.c.journey, pauses.c.paused_at, pauses.c.paused_by, pauses.c.reason)
        return [Pause(*row) for row in tx.execute(query.where(pauses.c.resumed_at.is_(None)).order_by(pauses.c.journey))]

    def pause(self, tx: Connection, pause: Pause) -> bool:
        """Pause a journey; False when it is paused already."""
        statement = self._insert(pauses).values(
            journey=pause.journey, paused_at=pause.paused_at, paused_by=pause.paused_by, reason=pause.reason
        )  # fmt: skip
        return tx.execute(statement.on_conflict_do_nothing().returning(pauses.c.id)).scalar_one_or_none() is not None

    def resume(self, tx: Connection, journey: str, now: int, author: str) -> bool:
        """End a pause; False when there is none. The pause is not the time of a grant or call that has no outcome yet."""
        mine = and_(pauses.c.journey == journey, pauses.c.resumed_at.is_(None))
        since = tx.execute(update(pauses).where(mine).values(resumed_at=now, resumed_by=author).returning(pauses.c.paused_at)).scalar()
        if since is None:
            return False
        self._give_back_time(tx, journey, since, now)
        put_back = and_(IS_PENDING, messages.c.journey == journey, messages.c.reason == "paused")  # by the last question before sending
        tx.execute(update(messages).where(put_back).values(not_before=now))
        return True

    @staticmethod
    def _give_back_time(tx: Connection, journey: str, since: int, now: int) -> None:
        """Open grants and calls, and those who wait for them, have as long as they had when the pause began (or they were asked for)."""
        effect = and_(messages.c.journey == journey, messages.c.kind != "message")
        open_ = union(*(select(messages.c.key).where(state, effect) for state in OPEN))  # each over its own index
        lost = now - case((messages.c.created_at > since, messages.c.created_at), else_=since)
        hers = and_(messages.c.enrolment_id == enrolments.c.id, messages.c.step == enrolments.c.state, messages.c.key.in_(open_))
        longer = select(enrolments.c.due_at + lost).where(hers).limit(1).scalar_subquery()
        waiting = enrolments.c.id.in_(select(messages.c.enrolment_id).where(messages.c.key.in_(open_)))
        moved = func.coalesce(longer, enrolments.c.due_at)
        tx.execute(update(enrolments).where(waiting, enrolments.c.due_at.is_not(None)).values(due_at=moved))
        tx.execute(update(messages).where(messages.c.key.in_(open_)).values(expires_at=messages.c.expires_at + lost))
