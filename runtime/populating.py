"""Populations let in range by range: the fires of schedules, moments, those inside a segment when its journey goes live."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from journeys.schedule import next_fire
from runtime.batches import Progress
from runtime.catalogue import Catalogue, Versioned
from runtime.crowds import MOST_RANGES, Crowd, Crowds, takes_crowds
from runtime.enrol import closed_at, deciding
from runtime.facts import UserFacts
from runtime.golive import GoLive
from runtime.opening import Opening
from runtime.pacing import Windows
from runtime.rounds import Rounds, Worked
from runtime.session import Rehearsal, Session
from runtime.state import Fact
from runtime.store import DatabaseError, SqlStore
from runtime.store.database import Batch
from runtime.store.releases import Population

MOST_FIRES = 50  # of one schedule caught up in one tick


@dataclass
class Turn:
    """A population whose turn it is. `versioned` is the journey that it enters; None when nobody is to enter any more."""

    catalogue: Catalogue
    batch: Batch
    population: Population
    versioned: Versioned | None
    progress: Progress
    windows: Windows
    now: int
    worked: Worked

    def count(self) -> bool:
        """See what is known of the window, others' entries too; whether it is full."""
        self.progress.window = self.windows.known(self.batch.connection, self.population.journey, self.progress.counted_at)
        return self.progress.is_full()


@dataclass
class Populating:
    """Lets populations in: by ranges where SQL can say, under a `rehearsal` everybody through her session. `zone` is the project's."""

    store: SqlStore
    zone: ZoneInfo
    crowds: Crowds
    opening: Opening
    rounds: Rounds
    rehearsal: Rehearsal | None = None
    _under: int = 0  # the release of which `_standing` is known
    _standing: set[int] = field(default_factory=set)  # populations of which nobody can tell by this release, or here, who belongs to them

    def __post_init__(self) -> None:
        self._golive = GoLive(self.store)

    @property
    def virtual(self) -> bool:
        """On a virtual clock everybody enters at the moment itself."""
        return self.rounds.virtual

    def next_at(self, tx: Any, catalogue: Catalogue) -> int | None:
        """When the next population or schedule is due."""
        fires = [self._next_fire(tx, catalogue, versioned) for versioned in catalogue.by_schedule]
        following = self.store.releases.next_population(tx, self._stand(catalogue))
        return min((at for at in (following, *fires) if at is not None), default=None)

    def _stand(self, catalogue: Catalogue) -> set[int]:
        """The populations that are left where they stand until a release defines their segment as it was when they began, or a config has
        what their journey uses.
        """
        if self._under != catalogue.release_id:
            self._under, self._standing = catalogue.release_id, set()
        return self._standing

    def fire_schedules(self, catalogue: Catalogue, now: int) -> None:
        """Each schedule's fires up to now become populations."""
        for versioned in catalogue.by_schedule:
            for _ in range(MOST_FIRES):
                with self.store.database.reading() as tx:
                    fire = self._next_fire(tx, catalogue, versioned)
                if fire is None or fire > now:
                    break
                journey = versioned.journey.id
                add = partial(self.store.releases.add_population, journey=journey, fact_id=f"schedule@{fire}", kind="schedule", at=fire)
                self.store.database.write(add)

    def _next_fire(self, tx: Any, catalogue: Catalogue, versioned: Versioned) -> int | None:
        last = self.store.releases.last_fire(tx, versioned.journey.id)
        return next_fire(versioned.journey.entry.schedule, self.zone, max(last or 0, catalogue.since.get(versioned.version_id, 0)))

    def go_on(self, catalogue: Catalogue, now: int, limit: int, worked: Worked) -> None:
        """Let in the next ranges of the population whose turn it is, or its next `limit` users."""
        with self.store.database.reading() as tx:
            next_at = self.store.releases.next_population(tx, self._stand(catalogue))
        if next_at is None or next_at > now:
            return
        with self.store.database.alone() as is_alone:
            if is_alone:
                self._take_turn(catalogue, now, limit, worked)

    def _take_turn(self, catalogue: Catalogue, now: int, limit: int, worked: Worked) -> None:
        """Only one daemon at a time, whichever populations are due: what lets a user into one journey may keep her out of another."""
        with self.store.database.batch(of_many=True) as batch:
            if not self._is_in_force(batch.connection, catalogue):
                return
            population = self.store.releases.due_population(batch.connection, now, self._stand(catalogue))
            if population is None or self.store.imports.holds_until(batch.connection, now) is not None:  # nobody is enrolled half known
                return
            turn = self.turn(catalogue, batch, population, now, worked)
            if self._nobody_can_tell(turn):
                worked.populated += 1
                self._standing.add(population.id)
                return
            if turn.count():  # by others: nobody is looked at
                worked.populated += 1
                batch.write(lambda tx: self._save(tx, turn, None))
                return
            crowd = self.look(turn)
            if crowd is None:
                self._enter_one_by_one(turn, limit)
            elif turn.progress.pace is None and batch.reads_apart:
                self._enter_crowds(turn, crowd)
            else:
                self.enter_crowd(turn, crowd)

    @staticmethod
    def _nobody_can_tell(turn: Turn) -> bool:
        """Whether it is not known here who belongs to the population: another release, or another daemon's config, may say it."""
        if turn.population.journey in turn.catalogue.unread:
            return True
        return turn.population.kind == "existing" and turn.versioned is not None and turn.progress.inside is None

    def _is_in_force(self, tx: Any, catalogue: Catalogue) -> bool:
        """Whether no release came since this tick began: its populations are not for the journeys of the one before, nor hers for those
        of the next.
        """
        return self.store.releases.current_id(tx) == catalogue.release_id

    def turn(self, catalogue: Catalogue, batch: Batch, population: Population, now: int, worked: Worked) -> Turn:
        """A population in hand, as far as it came."""
        versioned = _still_wanted(catalogue, population)
        inside, pace = None, versioned.journey.entry.pace if versioned else None
        if versioned is not None and population.kind == "existing":
            segment = versioned.journey.entry.segment
            inside = self._golive.asked(batch.connection, catalogue.audience, segment, population.journey, population.at, now)
        progress = Progress(population, pace, now, inside=inside, virtual=self.virtual)
        return Turn(catalogue, batch, population, versioned, progress, self.opening.windows(catalogue), now, worked)

    def look(self, turn: Turn) -> Crowd | None:
        """The next range; None where its users have to be asked one by one."""
        versioned = turn.versioned
        if versioned is None or self.rehearsal is not None or not takes_crowds(versioned.journey):
            return None
        return self.crowds.look(turn.batch.connection, turn.catalogue.audience, turn.population, versioned, turn.progress, turn.windows)

    def _enter_one_by_one(self, turn: Turn, limit: int) -> None:
        """The next users through their sessions; of a journey that is not wanted any more nobody."""
        population, progress, now = turn.population, turn.progress, turn.now
        tx, wanted = turn.batch.connection, turn.versioned is not None
        busy = self.store.populations.first_busy(tx, population.cursor, now) if wanted else None
        users = self.store.people.users_after(tx, population.cursor, limit, busy) if wanted else []
        if busy is not None and not users:  # the next has an accepted event that is not projected
            return
        turn.worked.populated += max(len(users), 1)
        work = self.opening.open(
            turn.catalogue, turn.batch, [u.id for u in users], now, users=users, journeys=[population.journey], windows=turn.windows
        )
        had = self.store.populations.came_later(tx, population, population.cursor, users[-1].id if users else "")
        for user in users:
            if turn.count():
                break
            try:
                if user.id not in had and self.must_wait(turn, work.sessions[user.id]):
                    break  # another daemon has filled the window since we looked
            except (DatabaseError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                work.quarantine(user.id, "population", error, f"{population.journey} {population.fact_id}")
            progress.cursor = user.id
        is_full = turn.count()
        done_at = now if len(users) < limit and busy is None and not is_full else None
        self.rounds.conclude(turn.batch, work, now, turn.worked, also=lambda tx: self._save(tx, turn, done_at))

    def _enter_crowds(self, turn: Turn, first: Crowd) -> None:
        """Ranges of users, each looked at while the one before is written: they are other users, and nobody else changes them."""
        crowd: Crowd | None = first
        for number in range(1, MOST_RANGES + 1):
            if crowd is None or not crowd.work:
                return
            population, progress = turn.population, turn.progress
            writing = turn.batch.begin(partial(self._write_crowd, population, crowd, progress.cursor, progress.next_at, turn.now))
            turn.worked.populated += crowd.work
            turn.population = replace(population, cursor=progress.cursor)
            goes_on = number < MOST_RANGES and not crowd.is_last
            try:
                crowd = self.look(turn) if goes_on and self._is_in_force(turn.batch.connection, turn.catalogue) else None
            finally:
                entered = writing.result()
            if entered is None:
                return
            turn.worked.entered += entered

    def _write_crowd(self, population: Population, crowd: Crowd, cursor: str, next_at: int, now: int, tx: Any) -> int | None:
        """How many entered; None when another daemon goes on with the population: on PostgreSQL it is free for a moment between ranges."""
        done_at = now if crowd.is_last else None
        if not self.store.releases.save_population(tx, population, cursor=cursor, next_at=next_at, done_at=done_at):
            return None
        return crowd.write(self.store, tx, self.zone)

    def enter_crowd(self, turn: Turn, crowd: Crowd) -> None:
        """One range, written before the next is looked at."""
        progress = turn.progress

        def unit(tx: Any) -> int:
            entered = crowd.write(self.store, tx, self.zone)
            if progress.window is not None:
                progress.window.taken += entered
            progress.took = 0
            turn.windows.save(tx)
            self._save(tx, turn, turn.now if crowd.is_last else None)
            return entered

        if crowd.work:
            turn.worked.populated += crowd.work
            turn.worked.entered += turn.batch.write(unit)

    def _save(self, tx: Any, turn: Turn, done_at: int | None) -> None:
        progress = turn.progress
        self.store.releases.save_population(tx, turn.population, cursor=progress.cursor, next_at=progress.next_at, done_at=done_at)

    def must_wait(self, turn: Turn, session: Session) -> bool:
        """Let one user in if she qualifies; whether she has to wait for the next window."""
        progress, population, versioned = turn.progress, turn.population, turn.versioned
        assert versioned is not None  # noqa: S101 - of a journey that nobody enters any more no user is read
        session.baseline(turn.now)
        moment = progress.counted_at
        if not self._qualifies(turn, versioned, session):
            return False
        refusal = session.enter(versioned, Fact(population.kind, population.fact_id, progress.at), moment, quietly=True)
        session.finish(moment)
        return refusal is not None and refusal.reason == "pace"

    def _qualifies(self, turn: Turn, versioned: Versioned, session: Session) -> bool:
        """Whether she was inside when the journey went live and is so in her turn; who is held back by the entry's `where` is counted."""
        audience, purpose, progress = turn.catalogue.audience, versioned.journey.journey.purpose, turn.progress
        segment, where = deciding(versioned.journey, audience)
        facts = UserFacts(audience, session.user, progress.counted_at, reach=session.reach, purpose=purpose)
        if segment is not None and (inside := progress.inside) is not None:
            then = UserFacts(inside.audience, session.user, turn.population.at, reach=session.reach, purpose=purpose)
            if not (inside.rule.test(then) and segment.test(facts) and all(rule.test(facts) for rule in inside.remembers)):
                return False
        if where is None or not progress.asks_again or closed_at(versioned.journey, progress.at) is not None:
            return True
        if where.test(facts):
            return True
        session.refuse_quietly(versioned.journey.id, progress.at, "where")
        return False


def _still_wanted(catalogue: Catalogue, population: Population) -> Versioned | None:
    """The journey that the population enters; None when it was withdrawn, or enters otherwise or at another time by now."""
    versioned = catalogue.current.get(population.journey)
    if versioned is None:
        return None
    entry = versioned.journey.entry
    form = "segment" if population.kind == "existing" else population.kind
    moved = population.kind == "at" and entry.at != population.at
    return None if entry.form != form or moved else versioned
