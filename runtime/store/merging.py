"""Two users become one: everything of the former stands under the survivor's id from then on, and nothing happens to her twice.

Rows are moved as they are; a codec that binds texts to a user's id has to be asked here as well.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import ENDED
from runtime.store.database import take_turns
from runtime.store.tables import consents, enrolments, events, identities, inbox, log, messages, quarantine, refusals, users, watches


@dataclass(frozen=True, slots=True)
class Ended:
    """An enrolment that ended because the survivor is inside the same journey already."""

    id: int
    journey: str


class Merging:
    """Statements of a merge. All of them run in one transaction, with both rows locked."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    def lock(self, tx: Connection, user_ids: list[str]) -> bool:
        """Whether both rows are there and nobody else works on them now."""
        query = select(users.c.user_id).where(users.c.user_id.in_(user_ids)).order_by(users.c.user_id)
        if not self._is_sqlite:
            take_turns(tx)
            query = query.with_for_update(skip_locked=True)
        return len(tx.execute(query).all()) == len(set(user_ids))

    def end_doubles(self, tx: Connection, survivor: str, former: str, now: int) -> list[Ended]:
        """Of two live enrolments in one place, the one that entered later ends as `merged`, and measures nothing any more."""
        mine, theirs = enrolments.alias(), enrolments.alias()
        same = (mine.c.journey == theirs.c.journey) & (mine.c.subject == theirs.c.subject) & (mine.c.slot == theirs.c.slot)
        pairs = tx.execute(
            select(mine.c.id, mine.c.entered_at, theirs.c.id, theirs.c.entered_at, mine.c.journey)
            .join_from(mine, theirs, same)
            .where(mine.c.user_id == survivor, theirs.c.user_id == former, mine.c.status < ENDED, theirs.c.status < ENDED)
        ).all()
        ended = [Ended(other if since <= entered else own, journey) for own, since, other, entered, journey in pairs]
        if ended:
            over = {"status": ENDED, "state": "$ended", "due_at": None, "ended_at": now, "ended_by": "merged", "goal_until": None}
            tx.execute(update(enrolments).where(enrolments.c.id.in_([e.id for e in ended])).values(over))
        return ended

    def move(self, tx: Connection, survivor: str, former: str) -> None:
        """Everything but the two users' own rows."""
        for table, column in (
            (events, events.c.user_id), (inbox, inbox.c.user_id), (enrolments, enrolments.c.user_id), (log, log.c.user_id),
            (messages, messages.c.user_id), (messages, messages.c.owner_id), (consents, consents.c.user_id),
            (quarantine, quarantine.c.user_id),
        ):  # fmt: skip
            tx.execute(update(table).where(column == former).values({column.name: survivor}))
        self._move_refusals(tx, survivor, former)
        for kind, value in tx.execute(select(identities.c.kind, identities.c.value).where(identities.c.user_id == former)).all():
            tx.execute(self._upsert(identities).values(kind=kind, value=value, user_id=survivor).on_conflict_do_nothing())
        tx.execute(delete(identities).where(identities.c.user_id == former))
        self._move_watches(tx, survivor, former)
        tx.execute(update(users).where(users.c.merged_into == former).values(merged_into=survivor))
        bare = {"profile": "{}", "reach": "{}", "segments": "{}", "stage": "", "audience": "", "recheck_at": None, "merged_into": survivor}
        tx.execute(update(users).where(users.c.user_id == former).values(bare))

    def _move_refusals(self, tx: Connection, survivor: str, former: str) -> None:
        for row in tx.execute(select(refusals).where(refusals.c.user_id == former)).all():
            statement = self._upsert(refusals).values({**row._mapping, "user_id": survivor})  # noqa: SLF001 - SQLAlchemy's public name
            newer = {
                "times": refusals.c.times + row.times,
                "last_at": func.max(refusals.c.last_at, row.last_at) if self._is_sqlite else func.greatest(refusals.c.last_at, row.last_at),
            }
            tx.execute(statement.on_conflict_do_update(index_elements=["user_id", "journey", "reason"], set_=newer))
        tx.execute(delete(refusals).where(refusals.c.user_id == former))

    def _move_watches(self, tx: Connection, survivor: str, former: str) -> None:
        concerned = or_(watches.c.watched_id == former, watches.c.watcher_id == former)
        rows = tx.execute(select(watches).where(concerned)).all()
        tx.execute(delete(watches).where(concerned))
        moved = {former: survivor}
        for watched, watcher, key in rows:
            row = {"watched_id": moved.get(watched, watched), "watcher_id": moved.get(watcher, watcher), "enrolment_key": key}
            if row["watched_id"] != row["watcher_id"]:  # what she does herself she is shown anyway
                tx.execute(self._upsert(watches).values(row).on_conflict_do_nothing())
