"""The edges of the audience for one user: segments entered and left, the lifecycle's stage, dates; each at its own time.

What is known of a user under another audience, or from a profile made anew, is nobody's edge: it is taken as it is.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Moved
from journeys.localtime import day_number, to_datetime, to_instant
from runtime.catalogue import Catalogue, Versioned
from runtime.enrol import Fire, next_date
from runtime.facts import UserFacts
from runtime.policy import Reach
from runtime.profile import definitions_of
from runtime.state import HISTORY, Event, Fact, LogEntry, Refusal, User

MOST_FLIPS = 1000  # of one user in one turn: breakpoints passed during a long downtime


class Edges(ABC):
    """The part of a user's turn (`Session`) that looks at the audience."""

    def __init__(self, catalogue: Catalogue, user: User, reach: Reach) -> None:
        self.catalogue, self.user, self.reach = catalogue, user, reach
        self.log: list[LogEntry] = []
        self.tallies: Counter[tuple[str, int, str, str]] = Counter()
        self.system: list[Event] = []
        self.user_changed = False
        self._rebuilt = False
        self._taken_at: dict[str, int] = {}  # of what was not known of her: the segments, and as of when they were taken
        self._news = 0  # when the event at hand was told: it may be of long ago
        self._unsure = False  # nothing was evaluated yet under these definitions
        self._moved_from: ZoneInfo | None = None  # she has moved to another zone since she was last looked at
        self._behind = user.audience == HISTORY  # whether segments and stage lag behind what is known: no edge of the next look

    @abstractmethod
    def enter(self, versioned: Versioned, fact: Fact, now: int) -> Refusal | None:
        """Let the user in, or return why not."""

    @abstractmethod
    def finish(self, now: int) -> None:
        """Let the system's own events (stages, segments, ends) of this turn move people, too."""

    def take_profile(self, profile: dict[str, Any], now: int, *, quietly: bool) -> None:
        """Go on with a profile made anew. `quietly`: what it changes is nobody's doing, memberships are taken as they are."""
        self.user.profile = profile
        self.user_changed = True
        self._rebuilt = quietly
        self.baseline(now)

    def baseline(self, at: int) -> None:
        """Before anything changes a user, what is not known of her under this audience is taken as it is: no edge."""
        user = self.user
        if user.audience == HISTORY or (user.audience == self.catalogue.audience_digest and not self._rebuilt):
            return
        if user.is_new:
            user.segments = {name: [digest, False] for name, digest in self.catalogue.audience.segment_digests.items()}
            user.profile["d"] = definitions_of(self.catalogue.audience, user)
            user.evaluated_at = max(at - 1, 0)
            user.is_new = False
        else:
            self._take_unknown(max(user.evaluated_at, min(at, self.catalogue.applied_at)))
        user.audience = self.catalogue.audience_digest
        self.user_changed = self._unsure = True

    def _take_unknown(self, at: int) -> None:
        """Segments with another meaning are taken as they are at `at`, or when an earlier release gave it to them; the stage, and all of
        a profile made anew, as they were when she was last looked at. What time has changed since then is found at its own time.
        """
        user, audience = self.user, self.catalogue.audience
        earlier = UserFacts(audience, user, user.evaluated_at)
        moments = {at: UserFacts(audience, user, at)}
        known: dict[str, Any] = {}
        for name, digest in audience.segment_digests.items():
            before = user.segments.get(name)
            if before is None or before[0] != digest:
                since = max(user.evaluated_at, min(at, self.catalogue.in_force.get(name, at)))
                if since not in moments:
                    moments[since] = UserFacts(audience, user, since)
                known[name] = [digest, moments[since].segment(name)]
                self._taken_at[name] = since
            elif self._rebuilt:
                known[name] = [digest, earlier.segment(name)]
            else:
                known[name] = before
        user.segments = known
        first = earlier if self._rebuilt else moments[min(moments)]
        changes = [user.recheck_at, *(change(first) for change in audience.everything.changes)]
        if user.stage:
            self._restage(audience.stage_of(earlier), user.evaluated_at)
        user.recheck_at = min((c for c in changes if c is not None), default=None)
        self._rebuilt = False

    def catch_up(self, until: int, now: int) -> None:
        """Evaluate at every breakpoint up to an instant: flips happen at their own time, also after a downtime.

        Of somebody half known (her history is coming in) what time has changed is taken as it is.
        """
        if self.user.audience == HISTORY:
            self._behind = True
            self.evaluate(max(until, self.user.evaluated_at), now)
            return
        for _ in range(MOST_FLIPS):
            at = self.user.recheck_at
            if at is None or at > until:
                # nothing has changed since: what is told now, of dates that are over, lets nobody in
                self.user.evaluated_at = max(self.user.evaluated_at, until - 1)
                return
            self.evaluate(max(at, self.user.evaluated_at), now)
            self.finish(now)

    def evaluate(self, at: int, now: int, event: str = "") -> None:
        """Evaluate segments, stage and dates at an instant: edges enrol, the next breakpoint is noted.

        After an `event` only what reads events of its type, while nothing else is due by time: the breakpoint noted before then
        holds for the rest (it may be too early, never too late).
        """
        user, audience = self.user, self.catalogue.audience
        quietly, self._behind = self._behind, False
        previous, noted = user.evaluated_at, user.recheck_at
        moved, dates, rest = self._concerned(event if not quietly else "", at)
        user.evaluated_at = at
        self.user_changed = True
        if rest and not moved.segments and not moved.stage and not dates:
            return
        facts = UserFacts(audience, user, at, reach=self.reach)
        changes = [change(facts) for change in moved.changes]
        if rest:
            changes.append(noted)
        changes += [since for since in self._taken_at.values() if at < since]
        entered = self._segments(moved, facts, at, quietly=quietly)
        if moved.stage:
            self._stage(facts, at, quietly=quietly)
        fires = self._fires(dates, facts, previous, changes)
        self._moved_from = None
        if user.audience != HISTORY:  # she is held
            user.recheck_at = min((c for c in changes if c is not None), default=None)
        for name in entered:
            for versioned in self.catalogue.by_segment.get(name, ()):
                if (entered_at := self._enters_at(versioned, name, at)) is not None:
                    self.enter(versioned, Fact("segment", f"{name}@{at}", entered_at), now)
        for versioned, fire in fires:
            self.enter(versioned, Fact("date", fire.id, fire.at), now)

    def _enters_at(self, versioned: Versioned, segment: str, at: int) -> int | None:
        """When an edge at an instant lets her into a journey; None where it was before the journey was there: she is one of those already
        inside. Who is found inside by what was told only since then comes as soon as the journey is there.
        """
        since = self.catalogue.since.get(versioned.version_id, 0)
        if at >= since:
            return at
        is_inside = self._news >= since and UserFacts(self.catalogue.audience, self.user, since, reach=self.reach).segment(segment)
        return since if is_inside else None

    def _fires(
        self, dates: Sequence[Versioned], facts: UserFacts, after: int, changes: list[int | None]
    ) -> list[tuple[Versioned, Fire]]:  # fmt: skip
        """The date entries that fire between an instant and now; when each fires next is added to `changes`.

        In another zone the day that has begun there meanwhile is still hers: from the same time of day as it was where she was.
        """
        if self._moved_from is not None:
            after = min(after, to_instant(to_datetime(after, self._moved_from).replace(tzinfo=self.user.zone)))
        fires: list[tuple[Versioned, Fire]] = []
        for versioned in dates:
            fire = next_date(versioned.journey, facts, max(after, self.catalogue.since.get(versioned.version_id, 0)))
            if fire is not None and fire.at <= facts.now:
                fires.append((versioned, fire))
                fire = next_date(versioned.journey, facts, facts.now)
            changes.append(fire.at if fire is not None else None)
        return fires

    def _concerned(self, event: str, at: int) -> tuple[Moved, Sequence[Versioned], bool]:
        """What is to be looked at, the date entries too, and whether the rest stays as it was: all, or what reads events of one type."""
        user, catalogue = self.user, self.catalogue
        sure = not self._unsure and user.audience != HISTORY
        self._unsure = False
        if not event or not sure or (user.recheck_at is not None and at >= user.recheck_at):
            return catalogue.audience.everything, catalogue.by_date, False
        return catalogue.audience.moved_by(event), catalogue.dates_moved_by(event), True

    def _segments(self, moved: Moved, facts: UserFacts, at: int, *, quietly: bool) -> list[str]:
        """Take the segments as they are now; returns those that were entered."""
        known, entered = self.user.segments, []
        for name, _ in moved.segments:
            if at < self._taken_at.get(name, at):  # it did not mean this then
                continue
            inside, before = facts.segment(name), known.get(name)
            changed = before is None or before[1] != inside
            if changed or quietly:
                known[name] = [facts.audience.segment_digests[name], inside]
            if changed and not quietly:
                self._segment_event(name, at, inside=inside)
                if inside:
                    entered.append(name)
        return entered

    def _segment_event(self, name: str, at: int, *, inside: bool) -> None:
        kind = "segment_entered" if inside else "segment_left"
        self.log.append(LogEntry(at, kind, "", {"segment": name}))
        self.system.append(Event(f"{kind}:{name}@{at}", kind, self.user.id, at, at, {"segment": name}))

    def _stage(self, facts: UserFacts, at: int, *, quietly: bool) -> None:
        user = self.user
        stage = facts.audience.stage_of(facts)
        if stage != user.stage:
            if user.stage and not quietly:
                data = {"from": user.stage, "to": stage}
                self.log.append(LogEntry(at, "stage_changed", "", dict(data)))
                self.system.append(Event(f"stage:{stage}@{at}", "stage_changed", user.id, at, at, data))
            self._restage(stage, at)

    def _restage(self, stage: str, at: int) -> None:
        """Another stage; what these counts add up to by a day is how many stood in the stage then."""
        before, self.user.stage = self.user.stage, stage
        day = day_number(at, self.catalogue.zone)
        if before:
            self.tallies["", day, "stage", before] -= 1
        if stage:
            self.tallies["", day, "stage", stage] += 1
