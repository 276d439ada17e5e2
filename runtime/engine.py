"""The engine: takes what is due or has arrived in batches, lets each user's Session decide, writes it in one transaction.

It never sends and never sees a vendor; `now` is given with every call.
"""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from journeys.world import World
from runtime.batches import Work
from runtime.catalogue import Catalogue, Versioned, catalogue_of, counts_since, digests_of, means_since
from runtime.crowds import Crowds
from runtime.merge import Merging
from runtime.opening import LONGEST_WINDOW, Opening
from runtime.policy import Rules
from runtime.populating import Populating
from runtime.reaching import Reaching
from runtime.reprojection import Reprojected, difference_of, is_current, reproject
from runtime.rounds import Rounds, Worked
from runtime.session import Rehearsal, Tracked
from runtime.state import HISTORY, Enrolment, Fact
from runtime.store import DatabaseError, SqlStore, Unreadable
from runtime.store.inbox import Note
from runtime.underway import Underway

BATCH = 500
MOST_RELEASES = 5  # in one downtime: since when a segment means what it does


class Engine:
    """Advances users. One thread at a time calls it; on PostgreSQL any number of daemons may.

    On a virtual clock (`virtual`) every stimulus is worked on at its own time, whatever the size of the batch: each
    user's events, timers and flips are merged by time, and a user's time stands still while a grant or call is open.
    """

    def __init__(
        self, store: SqlStore, world: World, zone: ZoneInfo, rules: Rules, rehearsal: Rehearsal | None = None, *, virtual: bool = False
    ) -> None:
        self.virtual = virtual
        self.store, self.world, self.zone, self.rules = store, world, zone, rules
        self.reaching = Reaching(store, rules, zone, LONGEST_WINDOW if virtual else 0)
        self.catalogue = Catalogue(0, 0, catalogue_of(None, world, zone).audience, "", {}, {}, world, zone)
        self.underway = Underway(store)
        self.opening = Opening(store, zone, rules, self.reaching, self.underway, rehearsal, virtual=virtual)
        self.rounds = Rounds(store, virtual)
        self.merging = Merging(store, zone, self.opening, self.rounds)
        self.populating = Populating(store, zone, Crowds(store, zone, rules.holdout), self.opening, self.rounds, rehearsal)
        self._version_ids: list[int] = []
        self._shares: dict[int, float] = {}
        self._rechecked = ""
        self._weighed = 0  # the release of which it is known since when its segments mean what they do
        self._meanings: dict[str, Mapping[str, str]] = {}  # by audience: what its segments mean
        self._asked: dict[int, object] = {}  # by version: what lets people in

    # --- the tick

    def refresh(self) -> Catalogue:
        """Take the newest release when there is one, and older versions that still have somebody inside.

        Asked at every tick; between releases it is one look at one number. The versions of the release before are
        kept too: another daemon may just now let somebody into one of them.
        """
        releases = self.store.releases
        with self.store.database.reading() as tx:
            if self._version_ids and releases.current_id(tx) == self.catalogue.release_id:
                return self.catalogue
            catalogue = catalogue_of(releases.current(tx), self.world, self.zone)
            older = {*releases.live_versions(tx), *releases.versions_before(tx, catalogue.release_id)}
            for version_id in sorted(older):
                version = releases.version(tx, version_id)
                if version is not None:
                    catalogue.version(version)
            self.underway.load(tx, catalogue)
            counted = catalogue.counted()
            catalogue.since = {v.version_id: counts_since(releases.held(tx, v.journey.id), self._asked) for v in counted}
        self.catalogue = catalogue  # once all of it is known: what fails is read again at the next tick
        current = {v.version_id for v in self.catalogue.current.values()}
        self.take_versions(sorted(current | older & set(self.catalogue.versions)))
        return self.catalogue

    def _in_force(self, tx: Any) -> dict[str, int]:
        """Since when each segment means what it does, as far back as one downtime may reach; each audience is read once."""
        now = self.catalogue.audience.segment_digests
        audiences = self.store.releases.audiences(tx, self.catalogue.release_id, MOST_RELEASES)
        if not audiences:  # a rehearsal is of no release
            return {}
        known = {**self._meanings, audiences[0][2]: now}
        self._meanings = {digest: known[digest] if digest in known else digests_of(text) for _, text, digest in audiences}
        return means_since(now, [(at, self._meanings[digest]) for at, _, digest in audiences])

    def version_of(self, version_id: int) -> Versioned | None:
        """A version, loaded when it is not in hand; None when there is none or it does not compile any more. Any thread may ask."""
        catalogue = self.catalogue
        if version_id not in catalogue.versions and version_id not in catalogue.broken:
            with self.store.database.reading() as tx:
                version = self.store.releases.version(tx, version_id)
            if version is not None:
                catalogue.version(version)
        return catalogue.versions.get(version_id)

    def recheck_stale(self, now: int) -> None:
        """A new audience: everybody not yet evaluated under it is, soon. Called by those that may write, after `refresh`."""
        digest = self.catalogue.audience_digest
        if self._weighed != self.catalogue.release_id:  # not by those that only read: old audiences take a moment to compile
            with self.store.database.reading() as tx:
                self.catalogue.in_force = self._in_force(tx)
            self._weighed = self.catalogue.release_id
        if self._rechecked != digest:
            self.store.database.write(lambda tx: self.store.people.recheck_stale(tx, digest, now))
            self._rechecked = digest

    def tick(self, now: int, limit: int = BATCH) -> Worked:
        """One round: inbox first, then flips, populations, timers. Call again while `total` is not 0."""
        worked = Worked()
        self.look_at_pauses()
        self.recheck_stale(now)
        self._project(now, limit, worked)
        if self.virtual and worked.notes:  # what was just forwarded to others comes before their timers
            return worked
        self._recheck(now, limit, worked)  # nobody's timer or flip is taken while an accepted event of hers is not projected
        self._move(now, limit, worked)
        self.populating.fire_schedules(self.catalogue, now)
        if worked.notes < limit:
            self.populating.go_on(self.catalogue, now, limit, worked)
        self._advance(now, limit, worked)
        return worked

    def next_work(self, *, paused: bool = False) -> int | None:
        """When the next timer, flip, population or schedule is due; `paused`: timers of paused journeys, too, which fire afterwards."""
        timed = self._version_ids if paused else list(self._shares)
        with self.store.database.reading() as tx:
            candidates = [self.store.people.next_due(tx, timed), self.populating.next_at(tx, self.catalogue)]
        return min((at for at in candidates if at is not None), default=None)

    def take_versions(self, version_ids: list[int]) -> None:
        """Work on these versions. Half of each batch is for service and event-entered work, the rest for the others."""
        self._version_ids = version_ids
        moving = [v for v in version_ids if self.catalogue.versions[v].journey.id not in self.paused]
        prompt = [v for v in moving if self._is_prompt(v)]
        others = [v for v in moving if v not in prompt]
        self._shares = {v: 1 / (2 * len(prompt) if others else len(prompt)) for v in prompt}
        self._shares |= {v: 1 / (2 * len(others) if prompt else len(others)) for v in others}

    def look_at_pauses(self) -> None:
        """Leave alone the timers of journeys that are paused; take them up again when a pause has ended."""
        with self.store.database.reading() as tx:
            paused = frozenset(pause.journey for pause in self.store.movements.paused(tx))
        if paused != self.paused:
            self.opening.paused = paused
            self.take_versions(self._version_ids)

    @property
    def paused(self) -> frozenset[str]:
        """The journeys in which nobody takes a step."""
        return self.opening.paused

    def _is_prompt(self, version_id: int) -> bool:
        journey = self.catalogue.versions[version_id].journey
        return journey.journey.purpose == "service" or journey.entry.form == "event"

    def enter_one(self, user_id: str, journey: str, fact: Fact, now: int) -> bool:
        """Enrol one user by call; False when the journey refuses (the reason is kept)."""
        with self.store.database.batch() as batch:
            user_id = self.store.identity.survivors(batch.connection, [user_id]).get(user_id, user_id)
            work = self.opening.open(self.catalogue, batch, [user_id], now, journeys=[journey])
            session = work.sessions[user_id]
            refusal = session.enter(self.catalogue.current[journey], fact, now)
            session.finish(now)
            self.rounds.write(batch, work, now, Worked())
        return refusal is None

    # --- the kinds of work

    def _project(self, now: int, limit: int, worked: Worked) -> None:
        with self.store.database.batch() as batch:
            notes = self.store.inbox.waiting(batch.connection, limit)
            if not notes:
                return
            by_user: dict[str, list[Note]] = {}
            for note in notes:
                by_user.setdefault(note.user_id, []).append(note)
            moved = self.store.identity.survivors(batch.connection, by_user)
            if moved:  # somebody was merged between an answer at intake and its commit
                worked.notes += len(moved)
                batch.write(lambda tx: self.store.inbox.rehome(tx, moved))
                return
            merges = [first for mine in by_user.values() if (first := _until_merge(mine)) is not None]
            for merge_note in merges:  # what came for the former id after the merge was noted comes after it
                later = by_user.get(merge_note.payload["former"], [])
                later[:] = [note for note in later if note.id < merge_note.id]
            events = {note.event.type for note in notes if note.event is not None and note.kind != "history"}
            called = {note.payload["journey"] for note in notes if note.kind == "call"}
            told = {user_id: at for user_id, mine in by_user.items() if (at := _earliest(mine)) is not None}
            work = self.opening.open(self.catalogue, batch, list(by_user), now, events=events, called=called, told=told)
            if any(note.kind == "history" for note in notes):
                work.holds_until = self.store.imports.holds_until(batch.connection, now)
            names = [name for session in work.sessions.values() for name in session.names]
            earliest = min((note.event.time for note in notes if note.event is not None), default=now)
            watchers = self.store.inbox.watchers_of(batch.connection, names, earliest)
            done: list[int] = []
            for user_id, mine in by_user.items():
                session = work.sessions[user_id]
                for note in sorted(mine, key=_virtual_order) if self.virtual else mine:
                    if self.virtual and not session.run_until(_note_time(note), inclusive=False) and note.kind != "settled":
                        break
                    watching = [watcher for name in session.names for watcher in watchers.get(name, ())] if watchers else ()
                    work.take(session, note, watching, _note_time(note) if self.virtual else now)
                    done.append(note.id)
            worked.notes += len(done)
            self.rounds.conclude(batch, work, now, worked, done)
        for note in merges:
            self.merging.merge(self.catalogue, note, now, worked)

    def _recheck(self, now: int, limit: int, worked: Worked) -> None:
        with self.store.database.batch() as batch:
            users = self.store.people.due_rechecks(batch.connection, now, limit)
            if not users:
                return
            worked.rechecked += len(users)
            work = self.opening.open(self.catalogue, batch, [u.id for u in users], now, users=users)
            if any(user.audience == HISTORY for user in users):
                work.holds_until = self.store.imports.holds_until(batch.connection, now)
            for user in users:
                session = work.sessions[user.id]
                if user.audience == HISTORY and work.holds_until is not None:
                    user.recheck_at, session.user_changed = work.holds_until, True
                    continue
                try:
                    if user.audience == HISTORY:
                        session.settle_history(now)
                    session.baseline(now)
                    if self.virtual:
                        session.run_until(now, inclusive=True)
                    else:
                        session.recheck(now)
                except (DatabaseError, MemoryError):
                    raise
                except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                    user.recheck_at = None
                    session.user_changed = True
                    work.quarantine(user.id, "recheck", error, user.id)
            self.rounds.conclude(batch, work, now, worked)

    def _advance(self, now: int, limit: int, worked: Worked) -> None:
        with self.store.database.batch() as batch:
            claimed = self.store.people.claim_due(batch.connection, self._shares, now, limit)
            if not claimed:
                return
            worked.advanced += len(claimed)
            people = list({user.id: user for _, user in claimed}.values())
            claimed_ids = {enrolment.id for enrolment, _ in claimed}
            work = self.opening.open(self.catalogue, batch, [u.id for u in people], now, users=people, claimed=[e for e, _ in claimed])
            claimed.sort(key=lambda pair: -self._priority(pair[0]))  # of one user's sends, the more important asks the caps first
            for enrolment, user in claimed:
                session = work.sessions[user.id]
                tracked = next((t for t in session.tracked if t.enrolment.id == enrolment.id), None)
                if tracked is None or enrolment.id not in claimed_ids:
                    continue
                try:
                    if self.virtual:
                        session.run_until(now, inclusive=True)
                    else:
                        session.due(tracked, now)
                    if not tracked.changed and not (self.virtual and session.waits_for_effect):
                        self._stuck(work, tracked)
                except (DatabaseError, MemoryError):
                    raise
                except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                    work.hold_back.append(enrolment.id)
                    work.quarantine(user.id, "enrolment", error, enrolment.key)
                    tracked.changed = False
                    tracked.log, tracked.messages = [], []
            self.rounds.conclude(batch, work, now, worked)

    @staticmethod
    def _stuck(work: Work, tracked: Tracked) -> None:
        work.hold_back.append(tracked.enrolment.id)
        work.quarantine(tracked.enrolment.user_id, "enrolment", None, f"{tracked.enrolment.key}: its timer moved nothing")

    def _priority(self, enrolment: Enrolment) -> int:
        versioned = self.catalogue.versions.get(enrolment.version)
        return versioned.journey.journey.priority if versioned else 0

    def move_on(self, now: int, limit: int = BATCH) -> int:
        """One batch of those whom the release moves or ends, where no daemon does it; how many were looked at."""
        worked = Worked()
        self._move(now, limit, worked)
        return worked.moved

    def _move(self, now: int, limit: int, worked: Worked) -> None:
        """Go on looking for those whom the release moves or ends."""
        if self.underway.is_over:
            return
        with self.store.database.batch() as batch:
            swept = self.underway.sweep(batch, limit)
            if swept is None:
                return
            worked.moved += len(swept.users) if swept.cursor > swept.movement.cursor else 0
            work = self.opening.open(self.catalogue, batch, [u.id for u in swept.users], now, users=swept.users)
            for session in work.sessions.values():
                session.finish(now)  # whoever waits for the end of a journey hears of it
            self.rounds.conclude(batch, work, now, worked, also=lambda tx: self.underway.write(tx, swept, now))

    def rebuild(self, after: str, now: int, limit: int = BATCH, *, user_id: str = "", check: bool = False) -> Reprojected:
        """Make the profiles of the next users by id anew (or of one); with `check` they are only compared, and nothing is written."""
        people, audience = self.store.people, self.catalogue.audience
        with self.store.database.batch() as batch:
            tx = batch.connection
            users = list(people.load_users(tx, [user_id], lock=True).values()) if user_id else people.users_after(tx, after, limit)
            done = Reprojected(users[-1].id if users else after, len(users), done=bool(user_id) or len(users) < limit)
            done.unreadable = [u.id for u in users if isinstance(u.profile, Unreadable)]
            known = [u for u in users if not u.is_new and not isinstance(u.profile, Unreadable)]
            renewed: dict[str, dict[str, Any]] = {}
            for user, profile in zip(known, reproject(self.store, tx, known, audience, self.zone).values(), strict=True):
                if not is_current(audience, user):
                    done.renewed += 1
                elif (difference := difference_of(audience, user, profile, now)) is not None:
                    done.differences.append(difference)
                else:
                    continue
                renewed[user.id] = profile
            if renewed and not check:
                work = self.opening.open(self.catalogue, batch, sorted(renewed), now, users=[u for u in known if u.id in renewed])
                for found in done.differences:  # what is not current was made anew when it was opened
                    work.take_profile(work.sessions[found.user_id], renewed[found.user_id], now, quietly=True)
                self.rounds.write(batch, work, now, Worked())
        return done


def _until_merge(notes: list[Note]) -> Note | None:
    """The first merge among a user's notes; it and what follows it are taken off the list: they wait until it is done."""
    index = next((n for n, note in enumerate(notes) if note.kind == "merge"), None)
    if index is None:
        return None
    found = notes[index]
    del notes[index:]
    return found


def _note_time(note: Note) -> int:
    """When a note happened, on a virtual clock."""
    if note.kind == "settled":
        return int(note.payload["at"])
    return note.event.time if note.event is not None and note.kind != "history" else note.received_at


def _earliest(notes: list[Note]) -> int | None:
    """When the earliest event among a user's notes happened, her own or another's that she waits for."""
    return min((note.event.time for note in notes if note.event is not None and note.kind != "history"), default=None)


def _virtual_order(note: Note) -> tuple[bool, int]:
    """By time; but first what a user's standing time waits for: what came later in the meantime would wait for it for ever."""
    return note.kind != "settled", _note_time(note)
