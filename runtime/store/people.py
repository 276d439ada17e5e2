"""Users and enrolments: claim, load, save. One row per user, one per enrolment; writes are sorted by id."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Dialect, bindparam, delete, func, insert, literal, or_, select, union_all, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import ENDED, HISTORY, Enrolment, LogEntry, Refusal, User
from runtime.store.among import among
from runtime.store.codec import Codec
from runtime.store.rows import (
    ENROLMENT_COLUMNS,
    USER_COLUMNS,
    Many,
    changes_of,
    enrolment_of,
    new_row_of,
    user_changes_of,
    user_of,
)
from runtime.store.tables import enrolments, inbox, log, refusals, tallies, users, watches

_ENROLMENT = [enrolments.c[name] for name in ENROLMENT_COLUMNS]
_USER = [users.c[name] for name in USER_COLUMNS]
# Built once: making a statement costs more than running it.
_USERS = select(*_USER).where(among(users.c.user_id, "ids"))
_LOCKED_USERS = _USERS.order_by(users.c.user_id).with_for_update(skip_locked=True)
_HAS_NOTES = select(inbox.c.user_id).where(inbox.c.user_id == users.c.user_id).exists()
_RECHECKS = (
    select(*_USER).where(users.c.recheck_at <= bindparam("at"), ~_HAS_NOTES).order_by(users.c.recheck_at).limit(bindparam("most"))
)  # fmt: skip
_EXISTING = select(users.c.user_id).where(among(users.c.user_id, "ids"))
_OPEN = (
    select(*_ENROLMENT)
    .where(
        among(enrolments.c.user_id, "ids"),
        or_(enrolments.c.status < ENDED, (enrolments.c.goal_until >= bindparam("now")) & enrolments.c.converted_at.is_(None)),
    )
    .order_by(enrolments.c.id)
)
_PAST = select(
    enrolments.c.user_id, enrolments.c.journey, enrolments.c.subject, enrolments.c.key, enrolments.c.status, enrolments.c.entered_at,
    enrolments.c.id,
).where(among(enrolments.c.user_id, "ids"), among(enrolments.c.journey, "journeys"))  # fmt: skip
_BUSY = select(literal(1)).select_from(inbox).where(inbox.c.user_id == enrolments.c.user_id).exists()
_DUE = (
    select(*_ENROLMENT, *_USER)
    .join_from(enrolments, users, users.c.user_id == enrolments.c.user_id)
    .where(among(enrolments.c.id, "ids"), enrolments.c.due_at <= bindparam("now"), ~_BUSY)
)
_LOCKED_DUE = _DUE.order_by(enrolments.c.user_id).with_for_update(skip_locked=True)
_NEXT_RECHECK = select(func.min(users.c.recheck_at)).where(users.c.recheck_at.is_not(None))
_NEXT_TIMER = (
    select(enrolments.c.due_at).where(enrolments.c.version_id == bindparam("version"), enrolments.c.due_at.is_not(None))
    .order_by(enrolments.c.due_at).limit(1)
)  # fmt: skip
_CHANGES = ("version_id", "state", "status", "due_at", "begun_at", "goal_until", "converted_at", "ended_at", "ended_by", "context")


@functools.lru_cache(64)
def _earliest(versions: int) -> Any:
    """The query for the earliest due enrolments of so many versions, `most_N` of each `version_N`, due by `at`."""
    picks = [
        select(enrolments.c.id, enrolments.c.due_at)
        .where(enrolments.c.version_id == bindparam(f"version_{n}"), enrolments.c.due_at <= bindparam("at"))
        .order_by(enrolments.c.due_at)
        .limit(bindparam(f"most_{n}"))
        .subquery()
        for n in range(versions)
    ]
    parts = [select(p.c.id, p.c.due_at) for p in picks]
    return union_all(*parts) if len(parts) > 1 else parts[0]


@dataclass(frozen=True, slots=True)
class Logged:
    """A row of the log to be written."""

    user_id: str
    enrolment_id: int | None
    entries: Sequence[LogEntry]


class People:
    """Statements of users, enrolments, their log, refusals and tallies."""

    def __init__(self, codec: Codec, zone: ZoneInfo, dialect: Dialect, *, is_sqlite: bool) -> None:
        self._codec, self._zone, self._is_sqlite = codec, zone, is_sqlite
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert
        changes: dict[str, Any] = {name: bindparam(name) for name in _CHANGES}
        self._update = Many(update(enrolments).where(enrolments.c.id == bindparam("row_id")).values(changes), dialect)
        user = self._upsert(users).values({name: bindparam(name) for name in USER_COLUMNS})
        written = {name: user.excluded[name] for name in USER_COLUMNS if name != "user_id"}
        self._save_user = Many(user.on_conflict_do_update(index_elements=["user_id"], set_=written), dialect)
        columns = ("user_id", "enrolment_id", "recorded_at", "entries")
        self._enrol = self._upsert(enrolments).on_conflict_do_nothing().returning(enrolments.c.id)
        refused = self._upsert(refusals).values({c.name: bindparam(c.name) for c in refusals.c})
        again = {"times": refusals.c.times + 1, "last_at": refused.excluded.last_at, "why": refused.excluded.why}
        self._refuse = Many(refused.on_conflict_do_update(index_elements=["user_id", "journey", "reason"], set_=again), dialect)
        tally = self._upsert(tallies).values({c.name: bindparam(c.name) for c in tallies.c})
        total = {"n": tallies.c.n + tally.excluded.n}
        self._count = Many(tally.on_conflict_do_update(index_elements=["journey", "day", "what", "detail"], set_=total), dialect)
        self._log = Many(insert(log).values({name: bindparam(name) for name in columns}), dialect)

    # --- users

    def load_users(self, tx: Connection, user_ids: Sequence[str], *, lock: bool = False) -> dict[str, User]:
        """The users that exist among these; with `lock`, those whom nobody else works on right now."""
        query = _LOCKED_USERS if lock and not self._is_sqlite else _USERS
        return {row[0]: user_of(row, self._codec, self._zone) for row in tx.execute(query, {"ids": user_ids}).all()}

    def existing(self, tx: Connection, user_ids: Sequence[str]) -> set[str]:
        """Those of the users who are known."""
        return set(tx.execute(_EXISTING, {"ids": user_ids}).scalars()) if user_ids else set()

    def save_users(self, tx: Connection, changed: Sequence[User]) -> None:
        """Write users back; one that does not exist yet is made."""
        if not changed:
            return
        rows = sorted((user_changes_of(u, self._zone, self._codec) for u in changed), key=lambda row: row["user_id"])
        self._save_user.run(tx, rows)

    def due_rechecks(self, tx: Connection, now: int, limit: int) -> list[User]:
        """Users whose segments may change by time alone at or before `now`, but for those with work in the inbox."""
        query = _RECHECKS if self._is_sqlite else _RECHECKS.with_for_update(skip_locked=True)
        return [user_of(row, self._codec, self._zone) for row in tx.execute(query, {"at": now, "most": limit}).all()]

    def recheck_stale(self, tx: Connection, audience_digest: str, at: int) -> None:
        """A new audience: everybody who was not evaluated under it is, at an instant."""
        later = users.c.recheck_at.is_(None) | (users.c.recheck_at > at)
        tx.execute(update(users).where(users.c.audience.not_in((audience_digest, "", HISTORY)), later).values(recheck_at=at))

    def users_after(self, tx: Connection, cursor: str, limit: int, before: str | None = None) -> list[User]:
        """The next users by id, former ids left out and none from `before` on; locked on PostgreSQL."""
        query = select(*_USER).where(users.c.user_id > cursor, users.c.merged_into.is_(None)).order_by(users.c.user_id).limit(limit)
        if before is not None:
            query = query.where(users.c.user_id < before)
        if not self._is_sqlite:
            query = query.with_for_update()
        return [user_of(row, self._codec, self._zone) for row in tx.execute(query)]

    def number_after(self, tx: Connection, cursor: str) -> int:
        """How many users come after this id."""
        return int(tx.execute(select(func.count()).select_from(users).where(users.c.user_id > cursor)).scalar_one())

    # --- enrolments

    def claim_due(self, tx: Connection, shares: Mapping[int, float], now: int, limit: int) -> list[tuple[Enrolment, User]]:
        """Due enrolments with their users, oldest first within each version; `shares` says how much of a batch each may take.

        What a version leaves unused goes to the next batch, which follows at once. Users with unprojected events are
        left out. On PostgreSQL the user rows are locked, skipping locked ones.
        """
        if not shares:
            return []
        shared = {f"version_{n}": version for n, version in enumerate(shares)}
        shared |= {f"most_{n}": max(int(limit * share), 1) for n, share in enumerate(shares.values())}
        found = tx.execute(_earliest(len(shares)), {"at": now, **shared})
        ids = [row[0] for row in sorted(found, key=lambda row: (row[1], row[0]))]
        if not ids:
            return []
        width = len(ENROLMENT_COLUMNS)
        known: dict[str, User] = {}
        claimed = []
        for row in tx.execute(_DUE if self._is_sqlite else _LOCKED_DUE, {"ids": ids, "now": now}).all():
            enrolment = enrolment_of(row[:width], self._codec)
            user = known.get(enrolment.user_id)
            if user is None:
                user = known[enrolment.user_id] = user_of(row[width:], self._codec, self._zone)
            claimed.append((enrolment, user))
        claimed.sort(key=lambda pair: (pair[0].due_at or 0, pair[0].id))
        return claimed

    def open_enrolments(self, tx: Connection, user_ids: Sequence[str], now: int) -> dict[str, list[Enrolment]]:
        """Per user: those inside a journey, and those whose goal still counts."""
        found: dict[str, list[Enrolment]] = {}
        for row in tx.execute(_OPEN, {"ids": user_ids, "now": now}).all():
            enrolment = enrolment_of(row, self._codec)
            found.setdefault(enrolment.user_id, []).append(enrolment)
        return found

    def watching(self, tx: Connection, user_ids: Sequence[str]) -> dict[str, list[Enrolment]]:
        """Per user: the enrolments of others that wait for what this one does."""
        found: dict[str, list[Enrolment]] = {}
        query = select(watches.c.watched_id, *_ENROLMENT).join_from(watches, enrolments, enrolments.c.key == watches.c.enrolment_key)
        for row in tx.execute(query.where(watches.c.watched_id.in_(user_ids)).order_by(enrolments.c.id)).all():
            found.setdefault(row[0], []).append(enrolment_of(row[1:], self._codec))
        return found

    def past_entries(self, tx: Connection, user_ids: Sequence[str], journeys: Sequence[str]) -> dict[str, list[Enrolment]]:
        """Per user: all entries into these journeys, ended ones too, without their contexts (for re-entry)."""
        found: dict[str, list[Enrolment]] = {}
        for user_id, journey, subject, key, status, entered_at, id_ in tx.execute(_PAST, {"ids": user_ids, "journeys": journeys}).all():
            slim = Enrolment(key, journey, 0, user_id, subject, "", status, None, entered_at, entered_at, id=id_)
            found.setdefault(user_id, []).append(slim)
        return found

    def enrolment(self, tx: Connection, enrolment_id: int) -> Enrolment | None:
        """One enrolment by its number."""
        row = tx.execute(select(*_ENROLMENT).where(enrolments.c.id == enrolment_id)).one_or_none()
        return enrolment_of(row, self._codec) if row is not None else None

    def add_enrolment(self, tx: Connection, enrolment: Enrolment, *, parallel: bool) -> int | None:
        """Write a new enrolment; None when its key, or a live one in its place, is there already."""
        slot = enrolment.key if parallel else ""
        found: int | None = tx.execute(self._enrol, new_row_of(enrolment, slot, self._codec)).scalar_one_or_none()
        return found

    def save_enrolments(self, tx: Connection, changed: Sequence[Enrolment]) -> None:
        """Write what decisions changed."""
        if changed:
            rows = [{**(row := changes_of(e, self._codec)), "row_id": row["id"]} for e in sorted(changed, key=lambda e: e.id)]
            for row in rows:
                del row["id"]
            self._update.run(tx, rows)

    def hold_back(self, tx: Connection, enrolment_id: int) -> None:
        """Take the timer from an enrolment that cannot be worked on (its quarantine row says why)."""
        tx.execute(update(enrolments).where(enrolments.c.id == enrolment_id).values(due_at=None))

    def give_back(self, tx: Connection, key: str, at: int) -> bool:
        """Give an enrolment that was held back its timer again; False when it has ended or is gone."""
        mine = (enrolments.c.key == key) & (enrolments.c.status < ENDED)
        return tx.execute(update(enrolments).where(mine).values(due_at=func.coalesce(enrolments.c.due_at, at))).rowcount == 1

    def recheck(self, tx: Connection, user_id: str, at: int) -> bool:
        """Have a user's segments looked at, at an instant; False when nobody is known by this id."""
        return tx.execute(update(users).where(users.c.user_id == user_id).values(recheck_at=at)).rowcount == 1

    def next_due(self, tx: Connection, version_ids: Sequence[int]) -> int | None:
        """The earliest timer of an enrolment or of a user's recheck, or None."""
        earliest = [tx.execute(_NEXT_TIMER, {"version": v}).scalar_one_or_none() for v in version_ids]
        earliest.append(tx.execute(_NEXT_RECHECK).scalar_one_or_none())
        return min((at for at in earliest if at is not None), default=None)

    # --- what is kept about them

    def write_log(self, tx: Connection, rows: Sequence[Logged], now: int | None) -> None:
        """Append to the log. Without `now`, as on a virtual clock, what happens is written at the moment at which it happens."""
        if rows:
            self._log.run(
                tx,
                [
                    {
                        "user_id": row.user_id,
                        "enrolment_id": row.enrolment_id,
                        "recorded_at": min(e.at for e in row.entries) if now is None else now,
                        "entries": self._codec.encode("log.entries", row.user_id, [e.as_list() for e in row.entries]),
                    }
                    for row in rows
                ],
            )

    def write_refusals(self, tx: Connection, refused: Sequence[Refusal]) -> None:
        """Keep the latest refusal per user, journey and reason, and how often it happened."""
        rows = [
            {"user_id": r.user_id, "journey": r.journey, "reason": r.reason, "times": 1, "last_at": r.at,
             "why": self._codec.encode("refusals.why", r.user_id, dict(r.why))}
            for r in sorted(refused, key=lambda r: (r.user_id, r.journey, r.reason))  # of equal ones the latest stays the last
        ]  # fmt: skip
        if rows:
            self._refuse.run(tx, rows)

    def add_tallies(self, tx: Connection, counts: dict[tuple[str, int, str, str], int]) -> None:
        """Count what happened: (journey, day since 1970, what, detail) → n."""
        if not counts:
            return
        rows = [{"journey": j, "day": d, "what": w, "detail": t, "n": n} for (j, d, w, t), n in sorted(counts.items())]
        self._count.run(tx, rows)

    def watch(self, tx: Connection, enrolment: Enrolment, watched: set[str]) -> None:
        """Have the events of these users shown to the enrolment's user."""
        rows = [{"watched_id": w, "watcher_id": enrolment.user_id, "enrolment_key": enrolment.key} for w in sorted(watched)]
        if rows:
            tx.execute(self._upsert(watches).on_conflict_do_nothing(), rows)

    def unwatch(self, tx: Connection, enrolment_keys: Sequence[str]) -> None:
        """Ended enrolments watch nobody."""
        if enrolment_keys:
            tx.execute(delete(watches).where(watches.c.enrolment_key.in_(enrolment_keys)))
