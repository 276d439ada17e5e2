"""Releases: what is applied, with every version's source kept. And populations: entries spread over everybody."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from journeys.lineage import origins_of
from runtime.state import ENDED
from runtime.store.codec import compact, parse
from runtime.store.tables import enrolments, messages, populations, release_versions, releases, versions

# Built once: making a statement costs more than running it.
_LAST_FIRE = select(func.max(populations.c.at)).where(
    populations.c.journey == bindparam("its_journey"), populations.c.kind == "schedule"
)  # fmt: skip
_OPEN = and_(populations.c.done_at.is_(None), populations.c.id.not_in(bindparam("without", expanding=True)))
_DUE = (
    select(populations).where(_OPEN, populations.c.next_at <= bindparam("now"))
    .order_by(populations.c.next_at).limit(1)
)  # fmt: skip
_NEXT = select(func.min(populations.c.next_at)).where(_OPEN)


@dataclass(frozen=True, slots=True)
class Version:
    """A journey's version as it was applied; `origins` say which name each of its steps first had."""

    id: int
    journey: str
    number: int
    digest: str
    language: int
    source: str
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A journey as it is to be applied; `steps` name what each of its steps was called before, or "". `origins`, where they are known
    from elsewhere, are taken as they are.
    """

    journey: str
    digest: str
    source: str
    steps: Mapping[str, str]
    origins: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """One apply: the versions that are current by it, and the audience."""

    id: int
    digest: str
    audience: str
    audience_digest: str
    author: str
    message: str
    applied_at: int
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """An entry of everybody who qualifies, worked off in the order of user ids at the journey's pace; `at` is when it began."""

    id: int
    journey: str
    fact_id: str
    kind: str
    at: int
    next_at: int
    cursor: str


class Releases:
    """Statements of releases, versions and populations."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._insert: Any = sqlite_insert if is_sqlite else postgres_insert
        self._is_sqlite = is_sqlite

    def current(self, tx: Connection) -> Release | None:
        """The newest release, or None before the first."""
        latest = self.current_id(tx)
        return self.release(tx, latest) if latest else None

    def release(self, tx: Connection, release_id: int) -> Release | None:
        """One release, whole."""
        row = tx.execute(select(releases).where(releases.c.id == release_id)).one_or_none()
        if row is None:
            return None
        joined = release_versions.join(versions, versions.c.id == release_versions.c.version_id)
        query = select(versions).select_from(joined).where(release_versions.c.release_id == row.id).order_by(versions.c.journey)
        found = tuple(_version(v) for v in tx.execute(query))
        return Release(row.id, row.digest, row.audience, row.audience_digest, row.author, row.message, row.applied_at, found)

    def history(self, tx: Connection, most: int) -> list[Release]:
        """The newest releases, newest first, each with its versions."""
        ids = tx.execute(select(releases.c.id).order_by(releases.c.id.desc()).limit(most)).scalars().all()
        return [found for release_id in ids if (found := self.release(tx, release_id)) is not None]

    def audiences(self, tx: Connection, release_id: int, most: int) -> list[tuple[int, str, str]]:
        """(when it was applied, its audience, the digest of that) of a release and those before it, the newest first."""
        query = select(releases.c.applied_at, releases.c.audience, releases.c.audience_digest).where(releases.c.id <= release_id)
        return [(at, audience, digest) for at, audience, digest in tx.execute(query.order_by(releases.c.id.desc()).limit(most))]

    def versions_of(self, tx: Connection, journey: str) -> list[Version]:
        """Every version of a journey, in the order of their numbers."""
        return [_version(v) for v in tx.execute(select(versions).where(versions.c.journey == journey).order_by(versions.c.number))]

    def current_id(self, tx: Connection) -> int:
        """The newest release's number; 0 before the first."""
        return tx.execute(select(func.max(releases.c.id))).scalar_one() or 0

    def id_at(self, tx: Connection, at: int) -> int:
        """The number of the release that was in force at an instant; 0 before the first."""
        return tx.execute(select(func.max(releases.c.id)).where(releases.c.applied_at <= at)).scalar_one() or 0

    def version(self, tx: Connection, version_id: int) -> Version | None:
        """One version, current or not."""
        row = tx.execute(select(versions).where(versions.c.id == version_id)).one_or_none()
        return _version(row) if row is not None else None

    def live_versions(self, tx: Connection) -> list[int]:
        """Versions with somebody inside, or with messages that are not settled."""
        mine = enrolments.c.version_id == versions.c.id
        waiting = select(enrolments.c.id).where(mine, enrolments.c.due_at.is_not(None)).exists()
        stopped = select(enrolments.c.id).where(mine, enrolments.c.due_at.is_(None), enrolments.c.status < ENDED).exists()
        inside = select(versions.c.id).where(or_(waiting, stopped))
        unsettled = select(messages.c.version_id).where(messages.c.state.in_(("PENDING", "CLAIMED", "SENDING", "UNKNOWN")))
        return list(tx.execute(inside.union(unsettled)).scalars())

    def versions_before(self, tx: Connection, release_id: int) -> list[int]:
        """The versions of the release before this one."""
        before = select(func.max(releases.c.id)).where(releases.c.id < release_id).scalar_subquery()
        return list(tx.execute(select(release_versions.c.version_id).where(release_versions.c.release_id == before)).scalars())

    def held(self, tx: Connection, journey: str) -> list[tuple[int, Version | None]]:
        """(when it was applied, its version of a journey, if any) of every release, the newest first."""
        known = {version.id: version for version in self.versions_of(tx, journey)}
        which = select(release_versions.c.release_id, release_versions.c.version_id).where(release_versions.c.version_id.in_(known))
        held = {release_id: known[version_id] for release_id, version_id in tx.execute(which)}
        every = select(releases.c.id, releases.c.applied_at).order_by(releases.c.id.desc())
        return [(applied_at, held.get(release_id)) for release_id, applied_at in tx.execute(every)]

    def add(  # noqa: PLR0913 - the columns of a release
        self, tx: Connection, *, follows: int, digest: str, audience: str, audience_digest: str, author: str, message: str, now: int,
        journeys: Sequence[NewVersion], language: int,
    ) -> Release | None:  # fmt: skip
        """Write a release on top of `follows` (0: the first); None when another one was written on top of that meanwhile.

        A journey that was applied before, in whatever release, is that version again.
        """
        row = {"follows": follows, "digest": digest, "audience": audience, "audience_digest": audience_digest}
        statement = self._insert(releases).values(**row, author=author, message=message, applied_at=now)
        release_id = tx.execute(statement.on_conflict_do_nothing().returning(releases.c.id)).scalar_one_or_none()
        if release_id is None:
            return None
        for new in journeys:
            known = select(versions.c.id).where(versions.c.journey == new.journey, versions.c.digest == new.digest)
            version_id = tx.execute(known).scalar_one_or_none()
            if version_id is None:
                number, before = self.lineage(tx, new.journey, follows)
                values = {"journey": new.journey, "number": number, "digest": new.digest, "language": language, "source": new.source}
                origins = compact(new.origins or origins_of(new.steps, number, before))
                version_id = tx.execute(insert(versions).values(**values, origins=origins).returning(versions.c.id)).scalar_one()
            tx.execute(insert(release_versions).values(release_id=release_id, version_id=version_id))
        return self.release(tx, release_id)

    def foreseen(self, tx: Connection, new: NewVersion, release_id: int) -> tuple[int, int, Mapping[str, str]]:
        """Number, row (0: none yet) and origins of a version that was applied, or that it would be given on top of a release."""
        known = next((v for v in self.versions_of(tx, new.journey) if v.digest == new.digest), None)
        if known is not None:
            return known.number, known.id, known.origins
        number, before = self.lineage(tx, new.journey, release_id)
        return number, 0, origins_of(new.steps, number, before)

    def lineage(self, tx: Connection, journey: str, release_id: int) -> tuple[int, list[Mapping[str, str]]]:
        """The number that the next version of a journey has, and the origins of its steps so far: of this release, then the latest."""
        held = select(release_versions.c.version_id).where(release_versions.c.release_id == release_id)
        in_force = set(tx.execute(held).scalars())
        known = sorted(self.versions_of(tx, journey), key=lambda v: (v.id not in in_force, -v.number))
        return max((v.number for v in known), default=0) + 1, [v.origins for v in known]

    # --- populations

    def add_population(self, tx: Connection, journey: str, fact_id: str, kind: str, at: int) -> bool:
        """Start an entry over everybody, once per fact; False when it was started before."""
        made = tx.execute(
            self._insert(populations)
            .values(journey=journey, fact_id=fact_id, kind=kind, at=at, next_at=at)
            .on_conflict_do_nothing(index_elements=["journey", "fact_id"])
            .returning(populations.c.id)
        ).scalar_one_or_none()
        return made is not None

    def wake_populations(self, tx: Connection, journey: str, now: int) -> None:
        """Have the started populations of a journey go on now: those that wait for the pace find out by the new one how long.

        One that somebody has in hand just now is left to him.
        """
        waiting = select(populations.c.id).where(
            populations.c.journey == journey, populations.c.done_at.is_(None), populations.c.at <= now, populations.c.next_at > now
        )
        if not self._is_sqlite:  # nobody is waited for, as in save_population
            waiting = waiting.with_for_update(skip_locked=True)
        tx.execute(update(populations).where(populations.c.id.in_(waiting)).values(next_at=now))

    def last_fire(self, tx: Connection, journey: str) -> int | None:
        """When the journey's schedule fired last."""
        return tx.execute(_LAST_FIRE, {"its_journey": journey}).scalar_one_or_none()

    def due_population(self, tx: Connection, now: int, without: Collection[int] = ()) -> Population | None:
        """One population with work to do now, none of `without`; locked on PostgreSQL."""
        query = _DUE if self._is_sqlite else _DUE.with_for_update(skip_locked=True)
        row = tx.execute(query, {"now": now, "without": list(without)}).one_or_none()
        return _population(row) if row is not None else None

    def next_population(self, tx: Connection, without: Collection[int] = ()) -> int | None:
        """When the next population has work, leaving out those of `without`."""
        return tx.execute(_NEXT, {"without": list(without)}).scalar_one_or_none()

    def queues(self, tx: Connection) -> list[Population]:
        """The populations of those already inside in which somebody's turn may be to come, by journey."""
        open_ = select(populations).where(populations.c.kind == "existing", populations.c.done_at.is_(None))
        return [_population(row) for row in tx.execute(open_.order_by(populations.c.journey, populations.c.id))]

    def save_population(self, tx: Connection, population: Population, *, cursor: str, next_at: int, done_at: int | None) -> bool:
        """Note how far a population came; False when somebody else has it, or has brought it on from where it was."""
        mine = select(populations.c.id).where(
            populations.c.id == population.id, populations.c.cursor == population.cursor, populations.c.done_at.is_(None)
        )
        if not self._is_sqlite:  # nobody is waited for: who has it may wait for what this transaction has locked
            mine = mine.with_for_update(skip_locked=True)
        moved = update(populations).where(populations.c.id.in_(mine.scalar_subquery()))
        return tx.execute(moved.values(cursor=cursor, next_at=next_at, done_at=done_at)).rowcount == 1


def _population(row: Any) -> Population:
    return Population(row.id, row.journey, row.fact_id, row.kind, row.at, row.next_at, row.cursor)


def _version(row: Any) -> Version:
    return Version(row.id, row.journey, row.number, row.digest, row.language, row.source, parse(row.origins))
