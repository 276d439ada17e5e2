"""One user's turn: stimuli in, changes out. Keeps the order of LANGUAGE.md: projection, goals, exits, waits, entries.

Works in memory only. What comes out is written by the engine in one transaction.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from journeys.compiled import WaitSpec
from journeys.duration import MINUTE
from journeys.localtime import day_number
from journeys.values import typed_again
from runtime.catalogue import Catalogue, Versioned
from runtime.decide import decide, watched_users
from runtime.enrol import enrol, replaced, subject_of, was_held_out
from runtime.facts import UserFacts
from runtime.moving import InFlight, Move, move, waits_for_the_same
from runtime.policy import Reach, UnknownReach
from runtime.profile import definitions_of, project
from runtime.records import LoadReach, Records
from runtime.state import (
    ENDED,
    HISTORY,
    LIVE,
    Arrived,
    Changed,
    Decision,
    Due,
    Enrolment,
    Entered,
    Event,
    Fact,
    LogEntry,
    NeedsReach,
    NeedsWindow,
    NewMessage,
    Refusal,
    Settled,
    Stimulus,
    User,
    Window,
)
from runtime.store.codec import Unreadable
from runtime.store.identity import is_ours
from runtime.told import note_update

LATE_TYPES = MINUTE  # after a release another daemon may still read events as the one before declared them


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Choices that a test makes instead of chance: hold-out and split variants."""

    forced: str = "in"
    variants: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tracked:
    """An enrolment in hand, with what is to be written for it."""

    enrolment: Enrolment
    versioned: Versioned
    is_new: bool = False
    changed: bool = False
    log: list[LogEntry] = field(default_factory=list)
    messages: list[NewMessage] = field(default_factory=list)
    cancel: str = ""
    watched: set[str] = field(default_factory=set)
    heard: tuple[str, int] | None = None  # moved at a wait (its step and begin) that stayed the same: it has heard what came so far
    window: Window | None = None  # of a paced journey: where this new entry is counted


@dataclass(slots=True)
class Forwarded:
    """Something for another user's inbox."""

    user_id: str
    kind: str
    payload: dict[str, Any] | None = None
    event: Event | None = None


LeadsTo = Callable[[Collection[str]], Mapping[str, str]]  # former ids among these, with whom each leads to
WindowOf = Callable[[str, int], Window]  # of a journey, at an instant
LetsInSince = Callable[[str, str], int]  # of a journey and an event's type


class Session(Records):
    """The turn of one user. `tracked` and the lists are what came out of it."""

    def __init__(
        self, catalogue: Catalogue, user: User, reach: Reach, enrolments: Iterable[Tracked], past: Iterable[Enrolment],
        load_reach: LoadReach, window_of: WindowOf, rehearsal: Rehearsal | None = None,
    ) -> None:  # fmt: skip
        super().__init__(catalogue, user, reach, load_reach)
        self.tracked = list(enrolments)
        self.past = list(past)
        self.window_of, self.rehearsal = window_of, rehearsal
        self.refusals: list[Refusal] = []
        self.forwarded: list[Forwarded] = []
        self.leads_to: LeadsTo = lambda ids: {}  # noqa: ARG005 - the same
        self.lets_in_since: LetsInSince = lambda journey, event: 0  # noqa: ARG005 - likewise
        self._altered: list[tuple[str, int]] = []  # which enrolments have changed the profile, and when: the others are to be told
        self._note_journeys()

    def _note_journeys(self) -> None:
        self.user.journeys = {t.enrolment.journey for t in self.tracked if t.enrolment.status < ENDED}

    @property
    def names(self) -> tuple[str, ...]:
        """The ids by which others may know her: her own, then those that she had before she was merged."""
        return (self.user.id, *(() if isinstance(self.user.profile, Unreadable) else self.user.former))

    # --- stimuli

    def baseline(self, at: int) -> None:
        """See Edges. What she waits for may mean something else now: the wait looks at it anew, from when the rules were changed."""
        user = self.user
        is_edited = not user.is_new and user.audience not in (HISTORY, self.catalogue.audience_digest)
        since = max(user.evaluated_at, min(at, self.catalogue.applied_at))
        super().baseline(at)
        for tracked in self.tracked if is_edited else ():
            enrolment = tracked.enrolment
            if enrolment.status == LIVE and "until" in enrolment.context and _waits_when(tracked):
                enrolment.due_at = min(enrolment.due_at or since, max(since, enrolment.begun_at))
                tracked.changed = True

    def event(self, event: Event, now: int) -> None:
        """An accepted event of this user."""
        at = max(event.time, self.user.evaluated_at)
        self.baseline(at)
        self.catch_up(min(event.time, now), now)
        if event.received_at < self.catalogue.applied_at + LATE_TYPES:
            event = self._typed(event)
        project(self.catalogue.audience, self.user, event)
        self.user_changed = True
        self._arrived(event, now)
        is_late = event.received_at < self.catalogue.applied_at
        for versioned in self.catalogue.by_event.get(event.type, ()):
            if is_late and event.received_at < self.lets_in_since(versioned.journey.id, event.type):
                continue  # it came before the journey: how far the engine was behind then decides nothing
            self._enter_by_event(versioned, event, now)
        self._news = event.received_at
        self.evaluate(at, now, event.type)
        self.finish(now)
        self._news = 0

    def _typed(self, event: Event) -> Event:
        """An event that came before this release was applied, with its fields as they are declared now."""
        data = typed_again(event.data, self.catalogue.audience.events.get(event.type), self.catalogue.zone)
        return Event(event.id, event.type, event.user_id, event.time, event.received_at, data, event.source)

    def finish(self, now: int) -> None:
        """Events of the system itself (stages, segments, ends) move people like any other, and so does what one journey made of a
        profile in another: those of this turn, until there are none.
        """
        while self.system or self._altered:
            self._tell_others(now)
            if not self.system:
                return
            event = self.system.pop(0)
            if self.catalogue.listens_to(event.type):
                self._arrived(event, now)
                for versioned in self.catalogue.by_event.get(event.type, ()):
                    if max(event.time, self._news) >= self.catalogue.since.get(versioned.version_id, 0):  # else it was not there yet
                        self._enter_by_event(versioned, event, now)

    def _tell_others(self, now: int) -> None:
        """A profile that an enrolment has changed is news for the others of its user, never for itself."""
        while self._altered:
            by, at = self._altered.pop(0)
            for tracked in self._by_priority():
                if tracked.enrolment.key != by and (tracked.versioned.journey.exits or _waits_when(tracked)):
                    self.apply(tracked, Changed(at), now)

    def forwarded_event(self, event: Event, now: int, only: Collection[int] | None = None) -> None:
        """An event of somebody else that an enrolment of this user waits for; after a merge what she did under her other id, for those
        of her enrolments alone (`only`) that have not heard of it.
        """
        self.baseline(now)
        self.catch_up(now, now)
        self._arrived(event, now, only)
        self.finish(now)

    def record(self, payload: Mapping[str, Any], at: int, now: int) -> None:
        """A user record: traits, tags, identities, consents, zone; also what vendors say about addresses and refusals."""
        self.baseline(at)
        self.catch_up(at, now)
        moved = self.take_record(payload, at)
        self.refresh_reach()
        self.apply_to_all(Changed(at), now)
        self.evaluate(max(at, self.user.evaluated_at), now)
        if moved:  # the next look makes the profile anew
            self.user.recheck_at = self.user.evaluated_at
        self.finish(now)

    def history(self, event: Event | None, payload: Mapping[str, Any] | None, at: int, holds_until: int | None) -> None:
        """An event or user record that is history (`at`: its receipt): the profile knows it, nobody is moved.

        From here on time alone does not move her, until her history is complete; then segments and stage are taken as they
        were at the first receipt (or before the flip that was overdue then), and what flips after that is news.
        """
        user = self.user
        if user.audience != HISTORY:
            overdue = user.recheck_at is not None and user.recheck_at <= at
            user.evaluated_at = max(user.evaluated_at, user.recheck_at - 1 if overdue and user.recheck_at is not None else at)
            if user.is_new:
                user.profile["d"] = definitions_of(self.catalogue.audience, user)
            user.audience, user.is_new = HISTORY, False
        user.recheck_at = at if holds_until is None else holds_until
        if event is not None:
            project(self.catalogue.audience, user, event)
            user.evaluated_at = max(user.evaluated_at, event.time)
        else:
            self.take_record(payload or {}, at, quietly=True)
            self._reach_behind = True
        self._behind = self.user_changed = True

    def settle_history(self, now: int) -> None:
        """Her history is complete: what she is in is taken as it is, and time goes on."""
        self.user.audience, self._behind = self.catalogue.audience_digest, True
        self.evaluate(self.user.evaluated_at, now)

    def settled(self, payload: Mapping[str, Any], now: int) -> None:
        """The outcome of a grant or call of one of this user's enrolments."""
        self.baseline(now)
        self.catch_up(now, now)
        outcome = Settled(
            payload["step"], payload["visit"], payload["ok"], payload["at"], payload.get("reason", ""), payload.get("answer") or {}
        )
        for tracked in list(self.tracked):
            if tracked.enrolment.id == payload["enrolment_id"]:
                self.apply(tracked, outcome, now)
        self.finish(now)

    def enter_by_note(self, payload: Mapping[str, Any], now: int) -> None:
        """An entry that somebody else's event (`user: EXPR`) asked for, where the journey still lets in so."""
        versioned = self.catalogue.current.get(payload["journey"])
        if versioned is None or versioned.journey.entry.user is None or payload["type"] not in versioned.journey.entry.events:
            return
        event = Event(
            payload["id"],
            payload["type"],
            payload["user_id"],
            payload["time"],
            payload["received_at"],
            payload["data"],
            payload.get("source", ""),
        )
        self.enter_asked(versioned, Fact("event", event.fact_id, event.time, event.fields(), event), now)

    def enter_asked(self, versioned: Versioned, fact: Fact, now: int) -> None:
        """Let the user in by something that is no event of her own, after what time has changed until then; who becomes known by it is
        looked at.
        """
        self.arrive_at(fact.at, now)
        self.enter(versioned, fact, now)
        self.settle_unknown(fact.at, now)

    def arrive_at(self, at: int, now: int) -> None:
        """What time alone has changed up to an instant happens at its own time: what is done then would swallow it."""
        self.baseline(at)
        if self.user.recheck_at is not None and self.user.recheck_at <= min(at, now):
            self.catch_up(min(at, now), now)

    def settle_unknown(self, at: int, now: int) -> None:
        """Look at whoever was never looked at under this audience."""
        if self._unsure:
            self.evaluate(max(at, self.user.evaluated_at), now)
        self.finish(now)

    def due(self, tracked: Tracked, now: int) -> None:
        """The enrolment's timer."""
        self.baseline(now)
        if tracked.enrolment.due_at is not None:
            self.arrive_at(tracked.enrolment.due_at, now)
        self.apply(tracked, Due(), now)
        self.finish(now)

    def recheck(self, now: int) -> None:
        """Nothing but time has passed."""
        self.baseline(now)
        self.catch_up(now, now)

    @property
    def waits_for_effect(self) -> bool:
        """Whether a grant or call of this user is still open."""
        return any("open" in t.enrolment.context and t.enrolment.status == LIVE for t in self.tracked)

    def run_until(self, until: int, *, inclusive: bool) -> bool:
        """On a virtual clock: fire this user's own timers and flips in the order of their times, each at its own time.

        A timer at `until` itself is fired only when `inclusive`: an event of that moment comes first. False when an
        open grant or call has to be settled before the user's time can go on.
        """
        while not self.waits_for_effect:
            flip = self.user.recheck_at
            timers = [t for t in self.tracked if t.enrolment.due_at is not None]
            timer = min(timers, key=lambda t: (t.enrolment.due_at or 0, -t.versioned.journey.journey.priority), default=None)
            at = timer.enrolment.due_at if timer is not None else None
            if flip is not None and flip <= until and (at is None or flip <= at):
                self.evaluate(max(flip, self.user.evaluated_at), flip)
                self.finish(flip)
            elif timer is not None and at is not None and (at < until or (inclusive and at == until)):
                self.due(timer, at)
                if not timer.changed:
                    timer.enrolment.due_at = None
            else:
                return True
        return False

    # --- decisions

    def _arrived(self, event: Event, now: int, only: Collection[int] | None = None) -> None:
        for tracked in self._by_priority() if self.tracked else ():
            if only is not None and tracked.enrolment.id not in only:
                continue
            if event.type in tracked.versioned.journey.awaited or tracked.versioned.journey.exits or _waits_when(tracked):
                self.apply(tracked, Arrived(event), now)

    def _by_priority(self) -> list[Tracked]:
        """The enrolments, the more important first: it asks the caps first."""
        return sorted(self.tracked, key=lambda t: -t.versioned.journey.journey.priority)

    def apply_to_all(self, stimulus: Stimulus, now: int) -> None:
        """Give a stimulus to every enrolment."""
        for tracked in self._by_priority():
            self.apply(tracked, stimulus, now)

    def apply(self, tracked: Tracked, stimulus: Stimulus, now: int) -> None:
        """Decide and take the decision into hand."""
        journey, audience = tracked.versioned.journey, self.catalogue.audience
        if self._reach_behind:
            self.refresh_reach()
        while True:
            decision = decide(journey, audience, tracked.enrolment, self.user, self.reach, stimulus, now)
            if not isinstance(decision, NeedsReach):
                break
            self.reach.people.update(self.load_reach(decision.user_ids, None))
        if decision is not None:
            self._absorb(tracked, decision, now)

    def move(self, tracked: Tracked, current: Versioned | None, release_id: int, in_flight: InFlight, now: int) -> None:
        """Do with an enrolment of an older version what the release decided; `current` is None where the journey is gone."""
        to = Move(release_id, current.version_id, current.number, in_flight) if current else Move(release_id, 0, 0, in_flight)
        decision = self._moved(current, to, tracked, now)
        if current is not None and decision.enrolment.version == current.version_id:
            begun = "until" in tracked.enrolment.context  # else she stands before the wait, and has heard nothing yet
            if begun and waits_for_the_same(tracked.versioned.journey, current.journey, tracked.enrolment.state):
                tracked.heard = (decision.enrolment.state, decision.enrolment.begun_at)
            tracked.versioned = current
        self._absorb(tracked, decision, now)

    def _moved(self, current: Versioned | None, to: Move, tracked: Tracked, now: int) -> Decision:
        own, into = tracked.versioned.journey, current.journey if current is not None else None
        while True:
            try:
                return move(own, into, to, self.catalogue.audience, tracked.enrolment, self.user, self.reach, now)[0]
            except UnknownReach as unknown:
                self.reach.people.update(self.load_reach(frozenset({unknown.user_id}), None))

    def _absorb(self, tracked: Tracked, decision: Decision, now: int) -> None:
        journey, audience = tracked.versioned.journey, self.catalogue.audience
        before = tracked.enrolment
        tracked.enrolment = decision.enrolment
        tracked.changed = True
        tracked.log.extend(decision.log)
        tracked.messages.extend(decision.messages)
        if decision.cancel_pending:
            tracked.cancel = decision.enrolment.ended_by or "cancelled"
        for update in decision.updates:
            note_update(self.user, update.values, (*update.add_tags, *update.remove_tags), now)
            self.user_changed = True
        self._count(before, decision.enrolment, decision.log, now)
        if decision.enrolment.status == ENDED and before.status != ENDED:
            self._note_journeys()
            self._ended(decision.enrolment)
            tracked.watched.clear()
        if tracked.versioned.journey.watches_others:
            tracked.watched |= watched_users(journey, audience, tracked.enrolment, self.user, now)
        if decision.updates:
            self._altered.append((tracked.enrolment.key, tracked.enrolment.begun_at))
            self.evaluate(max(tracked.enrolment.begun_at, self.user.evaluated_at), now)

    def _count(self, before: Enrolment, after: Enrolment, log: list[LogEntry], now: int) -> None:
        journey = after.journey
        for entry in log:
            if entry.action in ("suppressed", "late"):
                self._tally(journey, entry.at, "suppressed", entry.why.get("reason", "late"))
            elif entry.action == "ended":
                self._tally(journey, entry.at, "ended", entry.why["reason"])
            elif entry.action == "held":
                self._tally(journey, entry.at, "held", entry.why["reason"])
        if after.converted_at is not None and before.converted_at is None:
            self._tally(journey, now, "converted", "holdout" if was_held_out(before) else "treated")

    def _tally(self, journey: str, at: int, what: str, detail: str) -> None:
        self.tallies[journey, day_number(at, self.catalogue.zone), what, detail] += 1

    def _ended(self, enrolment: Enrolment) -> None:
        at = enrolment.ended_at or 0
        data = {"journey": enrolment.journey, "reason": enrolment.ended_by or ""}
        self.system.append(Event(f"ended:{enrolment.key}", "journey_ended", self.user.id, at, at, data))

    # --- entering

    def _enter_by_event(self, versioned: Versioned, event: Event, now: int) -> None:
        entry = versioned.journey.entry
        event = replace(event, data=self.catalogue.audience.readable(event.type, event.data))  # an enrolment keeps what it entered by
        if entry.user is None:
            self.enter(versioned, Fact("event", event.fact_id, event.time, event.fields(), event), now)
            return
        fields = event.fields()
        facts = UserFacts(self.catalogue.audience, self.user, event.time, reach=self.reach, entry=fields, event=fields)
        targets = entry.user.test(facts)
        for target in dict.fromkeys([targets] if isinstance(targets, str) else targets or ()):
            payload = {"journey": versioned.journey.id, "id": event.id, "type": event.type, "user_id": event.user_id,
                       "time": event.time, "received_at": event.received_at, "data": dict(event.data), "source": event.source}  # fmt: skip
            if target == self.user.id:
                self.enter(versioned, Fact("event", event.fact_id, event.time, fields, event), now)
                self.finish(now)
            else:
                self.forwarded.append(Forwarded(target, "enrol", payload))

    def enter(self, versioned: Versioned, fact: Fact, now: int, *, quietly: bool = False) -> Refusal | None:
        """Let the user in, or return why not; a refusal is kept (for populations, only counted; who is beyond the pace waits there)."""
        if self._reach_behind:
            self.refresh_reach()
        if self.rehearsal is not None:
            fact = Fact(fact.kind, fact.id, fact.at, fact.data, fact.event, self.rehearsal.forced)
        journey = versioned.journey
        at = fact.at
        facts = UserFacts(self.catalogue.audience, self.user, at, reach=self.reach, entry=fact.data, purpose=journey.journey.purpose)
        open_ = [e for e in self.past if e.journey == journey.id]
        open_ += [t.enrolment for t in self.tracked if t.enrolment.journey == journey.id and t.is_new]
        live = {t.enrolment.id: t.enrolment for t in self.tracked if t.enrolment.journey == journey.id and not t.is_new}
        open_ = [live.get(e.id, e) if e.id else e for e in open_]
        leads = self._leads(subject_of(journey, fact), open_)
        window, holdout = None, self.reach.rules.holdout
        while isinstance(
            result := enrol(journey, versioned.version_id, facts, fact, open_, project_holdout=holdout, window=window, leads=leads),
            NeedsWindow,
        ):
            window = self.window_of(journey.id, now)
        if isinstance(result, Refusal):
            if result.reason != "duplicate" and not (quietly and result.reason == "pace"):
                self._tally(journey.id, at, "refused", result.reason)
                if not quietly:
                    self.refusals.append(result)
            return result
        if window is not None:
            window.taken += 1
        self._restart(result, now)
        tracked = Tracked(result.enrolment, versioned, is_new=True, changed=True, log=list(result.log), window=window)
        self.tracked.append(tracked)
        self.user.journeys.add(journey.id)
        self._tally(journey.id, at, "entered", "holdout" if result.enrolment.status != LIVE else "treated")
        if result.enrolment.status == LIVE:
            self.apply(tracked, Due(), max(now, at))
        elif tracked.versioned.journey.watches_others:
            tracked.watched |= watched_users(journey, self.catalogue.audience, tracked.enrolment, self.user, now)
        return None

    def _leads(self, subject: str, open_: Iterable[Enrolment]) -> Mapping[str, str]:
        """Former ids among the subjects of this entry and those before; asked only where one is an id that we made of an identity."""
        subjects = {subject, *(e.subject for e in open_)}
        return self.leads_to(subjects) if len(subjects) > 1 and any(is_ours(s) for s in subjects) else {}

    def refuse_quietly(self, journey: str, at: int, reason: str) -> None:
        """Count somebody of a population whom it does not let in."""
        self._tally(journey, at, "refused", reason)

    def _restart(self, entered: Entered, now: int) -> None:
        keys = {e.key for e in entered.restarted}
        for tracked in [t for t in self.tracked if t.enrolment.key in keys and t.enrolment.status != ENDED]:
            self._absorb(tracked, replaced(tracked.enrolment, entered.enrolment.entered_at), now)


def _waits_when(tracked: Tracked) -> bool:
    step = tracked.versioned.journey.steps.get(tracked.enrolment.state)
    return step is not None and isinstance(step.spec, WaitSpec) and step.spec.when is not None
