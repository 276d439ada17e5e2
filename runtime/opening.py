"""How a batch is opened: its users with their enrolments and what they can be sent, profiles made anew, moves of the release settled."""

import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from journeys.compiled import UpdateSpec
from journeys.duration import DAY
from journeys.expression import TURN_EVENTS
from runtime.batches import Work
from runtime.catalogue import Catalogue, Versioned, lets_in_since
from runtime.pacing import Windows
from runtime.policy import PersonReach, Reach, Rules
from runtime.reaching import Reaching
from runtime.reprojection import is_current, only_zone_differs, reproject
from runtime.session import Rehearsal, Session, Tracked
from runtime.state import ENDED, Enrolment, User, Window
from runtime.store import DatabaseError, SqlStore
from runtime.store.database import Batch
from runtime.store.identity import is_ours
from runtime.underway import Underway

LONGEST_WINDOW = DAY  # of time that a virtual clock works on at once


class Opening:
    """Opens batches of one engine. `paused` are the journeys in which nobody takes a step."""

    def __init__(
        self, store: SqlStore, zone: ZoneInfo, rules: Rules, reaching: Reaching, underway: Underway, rehearsal: Rehearsal | None,
        *, virtual: bool,
    ) -> None:  # fmt: skip
        self.store, self.zone, self.rules, self.reaching, self.underway = store, zone, rules, reaching, underway
        self.rehearsal, self.virtual = rehearsal, virtual
        self.paused: frozenset[str] = frozenset()
        self._windows_of_run: dict[str, list[Window]] = {}  # on a virtual clock

    def open(  # noqa: PLR0913 - what is in hand already
        self, catalogue: Catalogue, batch: Batch, user_ids: list[str], now: int, *, events: Collection[str] = (),
        users: Sequence[User] = (), claimed: Sequence[Enrolment] = (), journeys: Sequence[str] = (), called: Collection[str] = (),
        windows: Windows | None = None, told: Mapping[str, int] | None = None,
    ) -> Work:  # fmt: skip
        """The sessions of these users. `events` are the types that have come, `told` of when the earliest of each user is; `users` and
        `claimed` (enrolments whose timers are due) are those read already; `journeys` those that alone may let in, `called` those that
        may as well.
        """
        tx, people = batch.connection, self.store.people
        found = {u.id: u for u in users} or people.load_users(tx, user_ids)
        known = {user_id: found.get(user_id) or User(user_id, self.zone, is_new=True) for user_id in user_ids}
        measured_at = now - LONGEST_WINDOW if self.virtual else now  # a goal may still count at the time of the earliest event in hand
        open_ = self._open_enrolments(tx, user_ids, measured_at, told or {}) if not claimed else _by_user(claimed)
        if claimed and self._needs_everything(catalogue):
            open_ = people.open_enrolments(tx, user_ids, measured_at)
        candidates = list(journeys) or sorted({*self._candidates(catalogue, events, timers=bool(claimed)), *called})
        past = people.past_entries(tx, user_ids, candidates) if candidates else {}
        variants = self.rehearsal.variants if self.rehearsal else {}
        reach = Reach(self.rules, {}, self.store.budgets.remaining(tx), variants, self.paused)
        reach.later = partial(self._people, tx, now, frozenset(user_ids), known)
        load = partial(self._people, tx, now)
        windows = windows or self.windows(catalogue)
        window_of = partial(windows.counting, tx)
        work = Work(reach=reach, windows=windows)
        for user_id in user_ids:
            versions = [(e, self._version_for(tx, catalogue, e)) for e in open_.get(user_id, ())]
            tracked = [Tracked(enrolment, versioned) for enrolment, versioned in versions if versioned is not None]
            session = Session(catalogue, known[user_id], reach, tracked, past.get(user_id, ()), load, window_of, self.rehearsal)
            session.leads_to = partial(self.store.identity.survivors, tx)
            session.holder_of = partial(self._holder, tx, weakref.ref(work), user_id)  # a ring would outlive the batch, with all it read
            session.lets_in_since = partial(self._lets_in_since, tx, catalogue)
            work.sessions[user_id] = session
        self._renew(catalogue, batch, work, now)
        if self.underway.movements:
            self._settle_moves(work, now)
        return work

    def _open_enrolments(self, tx: Any, user_ids: list[str], measured_at: int, told: Mapping[str, int]) -> dict[str, list[Enrolment]]:
        """Those inside a journey, and those whose goal still counted when the earliest event in hand happened: it may be worked on late.

        Whoever tells of long ago is asked apart: the others' past is not read for her sake.
        """
        ago = measured_at - LONGEST_WINDOW
        late = [user_id for user_id in user_ids if told.get(user_id, measured_at) < ago]
        prompt = user_ids if not late else [user_id for user_id in user_ids if told.get(user_id, measured_at) >= ago]
        open_: dict[str, list[Enrolment]] = {}
        for mine in (prompt, late):
            if mine:
                since = min((told[user_id] for user_id in mine if user_id in told), default=measured_at)
                open_ |= self.store.people.open_enrolments(tx, mine, min(since, measured_at))
        return open_

    def windows(self, catalogue: Catalogue) -> Windows:
        """The windows of paced journeys, for one batch; on a virtual clock those of the run."""
        return Windows(self.store, catalogue.paces, self._windows_of_run if self.virtual else {}, virtual=self.virtual)

    def _version_for(self, tx: Any, catalogue: Catalogue, enrolment: Enrolment) -> Versioned | None:
        """The version of an enrolment in hand, also one that is none of the current nor has anybody inside.

        Its goal may still count (also where the rest of it does not compile any more), and on PostgreSQL another daemon may have
        applied it, and moved her, since this tick began.
        """
        version_id = enrolment.version
        found = catalogue.versions.get(version_id)
        if found is None and version_id not in catalogue.broken:
            version = self.store.releases.version(tx, version_id)
            found = catalogue.version(version) if version is not None else None
        return found or (catalogue.measuring.get(version_id) if enrolment.status == ENDED else None)

    def _lets_in_since(self, tx: Any, catalogue: Catalogue, journey: str, event: str) -> int:
        """Asked only about what came before the release and was not worked on then: seldom, and for few types."""
        since = catalogue.lets_in.get((journey, event))
        if since is None:
            since = catalogue.lets_in[journey, event] = lets_in_since(self.store.releases.held(tx, journey), event)
        return since

    def awaited(self, catalogue: Catalogue, tx: Any, enrolment: Enrolment) -> Collection[str]:
        """The types of events that may move an enrolment; none where its version does not compile any more."""
        versioned = self._version_for(tx, catalogue, enrolment)
        return versioned.journey.awaited if versioned is not None else ()

    def _settle_moves(self, work: Work, now: int) -> None:
        """Nobody takes a step of a version that the release has moved her out of."""
        for session in work.sessions.values():
            for tracked in list(session.tracked):
                try:
                    self.underway.settle(session, tracked, now)
                except (DatabaseError, MemoryError):
                    raise
                except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
                    session.tracked.remove(tracked)
                    work.hold_back.append(tracked.enrolment.id)
                    work.quarantine(session.user.id, "move", error, tracked.enrolment.key)

    def _renew(self, catalogue: Catalogue, batch: Batch, work: Work, now: int) -> None:
        """Profiles made under other definitions are made anew before anything is evaluated."""
        audience = catalogue.audience
        stale = [s.user for s in work.sessions.values() if not is_current(audience, s.user)]
        if not stale:
            return
        for user_id, profile in reproject(self.store, batch.connection, stale, audience, self.zone, as_needed=True).items():
            session = work.sessions[user_id]
            work.take_profile(session, profile, now, quietly=not only_zone_differs(audience, session.user))

    def _needs_everything(self, catalogue: Catalogue) -> bool:
        """Whether a timer's turn must see the user's other enrolments: in_journey, journey_ended, what an update moves."""
        if self.virtual or len(catalogue.versions) > 1 or catalogue.by_segment or catalogue.by_date:
            return True
        if any(catalogue.listens_to(event) for event in TURN_EVENTS):
            return True
        return any(isinstance(step.spec, UpdateSpec) for v in catalogue.versions.values() for step in v.journey.steps.values())

    def _candidates(self, catalogue: Catalogue, events: Collection[str], *, timers: bool) -> list[str]:
        """The journeys that may let somebody of the batch in."""
        found = {v.journey.id for event in events for v in catalogue.by_event.get(event, ())}
        if not timers or self._needs_everything(catalogue):
            found |= {v.journey.id for entries in catalogue.by_segment.values() for v in entries}
            found |= {v.journey.id for v in catalogue.by_date}
            found |= {v.journey.id for e in TURN_EVENTS for v in catalogue.by_event.get(e, ())}
            found |= {v.journey.id for v in catalogue.current.values() if v.journey.entry.user is not None}
        return sorted(found)

    def _people(self, tx: Any, now: int, user_ids: frozenset[str], known: dict[str, User] | None = None) -> dict[str, PersonReach]:
        """What these users can be sent; one whose row cannot be read costs only who asks for it."""
        rows = known if known is not None else self._recipients(tx, user_ids)
        people: dict[str, PersonReach] = {}
        for user_id, reach in self.reaching.load(tx, user_ids, rows, now, started_only=False).items():
            if isinstance(reach, PersonReach):
                people[user_id] = reach
            elif known is None:
                raise reach
        return people

    def _holder(self, tx: Any, of_batch: Callable[[], Work | None], user_id: str, kind: str, value: str) -> str:
        """The user whom the operator knows, other than this one, to whom an identity belongs; "" where there is none."""
        work = of_batch()
        assert work is not None  # noqa: S101 - a session is asked within its batch
        for other, is_known in self.store.identity.holders(tx, kind, value):
            if other == user_id:
                return ""
            session = work.sessions.get(other)
            if is_known and (session is None or not session.gave_back(kind, value)):
                return other
        given = (other for other, session in work.sessions.items() if session.identified.get(kind) == value)  # just now, in this batch
        return next((other for other in given if other != user_id and not is_ours(other)), "")

    def _recipients(self, tx: Any, user_ids: frozenset[str]) -> dict[str, User]:
        """Other users, whom a rule names: also by an id that one of them had before a merge."""
        moved = self.store.identity.survivors(tx, user_ids)
        rows = self.store.people.load_users(tx, sorted({*user_ids, *moved.values()}))
        return {user_id: rows[now_id] for user_id in user_ids if (now_id := moved.get(user_id, user_id)) in rows}


def _by_user(enrolments: Sequence[Enrolment]) -> dict[str, list[Enrolment]]:
    found: dict[str, list[Enrolment]] = {}
    for enrolment in enrolments:
        found.setdefault(enrolment.user_id, []).append(enrolment)
    return found
