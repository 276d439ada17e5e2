"""One stimulus for one enrolment: what happens, and why. Pure: the same inputs give the same Decision.

The walk goes from step to step by the journey's table of moves until it has to wait, hold or end.
"""

from typing import Any

from journeys.audience import Audience
from journeys.compiled import (
    CallSpec,
    CompiledJourney,
    CompiledStep,
    DelaySpec,
    EventMatch,
    GrantSpec,
    WaitSpec,
)
from runtime.facts import UserFacts
from runtime.policy import Reach, UnknownReach
from runtime.state import (
    ENDED,
    HELD_OUT,
    LIVE,
    Arrived,
    Changed,
    Decision,
    Due,
    Enrolment,
    Event,
    NeedsReach,
    Settled,
    Stimulus,
    User,
    subject_text,
)
from runtime.walk import Walk


def decide(
    journey: CompiledJourney, audience: Audience, enrolment: Enrolment, user: User, reach: Reach, stimulus: Stimulus, now: int
) -> Decision | NeedsReach | None:
    """What the stimulus makes of the enrolment; None when it does not concern it.

    The user is changed in place by `update` steps (the caller writes it); the enrolment given is left as it is.
    """
    walk = _Reaction(journey, audience, enrolment.copied(), user, reach, now)
    try:
        touched = walk.react(stimulus)
    except UnknownReach as unknown:
        walk.take_back()
        return NeedsReach(frozenset({unknown.user_id}))
    if not touched:
        return None
    return walk.decision


def watched_users(journey: CompiledJourney, audience: Audience, enrolment: Enrolment, user: User, now: int) -> set[str]:
    """Other users whose events this enrolment waits for, aims at or ends by, in the state it is in; a goal counts after the end, too."""
    context, is_over = enrolment.context, enrolment.status == ENDED
    facts = UserFacts(audience, user, now, entry=context.get("entry", {}), steps=context.get("steps", {}))
    counts = enrolment.goal_until is not None and enrolment.converted_at is None
    matches = [journey.goal.match] if journey.goal and (counts or not is_over) else []
    matches += [rule.match for rule in journey.exits if rule.match is not None and not is_over]
    step = journey.steps.get(enrolment.state)
    if step is not None and isinstance(step.spec, WaitSpec):
        matches += step.spec.cases
    owners = {match.of.test(facts) for match in matches if match.of is not None}
    return {owner for owner in owners if isinstance(owner, str) and owner != enrolment.user_id and owner not in user.former}


class _Reaction(Walk):
    """What a stimulus does before, or instead of, the next step."""

    def react(self, stimulus: Stimulus) -> bool:
        if isinstance(stimulus, Due):
            return self._due()
        if isinstance(stimulus, Arrived):
            return self._came_earlier(stimulus.event) if stimulus.earlier else self._arrived(stimulus.event)
        if isinstance(stimulus, Changed):
            return self._changed(stimulus.at)
        return self._settled(stimulus)

    def _due(self) -> bool:
        enrolment = self.enrolment
        if enrolment.status == ENDED or enrolment.due_at is None or enrolment.due_at > self.now:
            return False
        self.at = enrolment.due_at
        if self._past_the_end():
            return True
        if enrolment.status == HELD_OUT:
            self._end("held_out", cancel=False)
            return True
        step = self.journey.steps[enrolment.state]
        spec = step.spec
        if isinstance(spec, DelaySpec) and "until" in enrolment.context:
            del enrolment.context["until"]
            self._go(step, "done")
        elif isinstance(spec, WaitSpec) and "until" in enrolment.context:
            return self._wait_due(step, spec)
        elif isinstance(spec, GrantSpec | CallSpec) and "open" in enrolment.context:
            self._effect_over(step, ok=False, reason="timeout", answer={})
        else:
            self._walk(enrolment.state, resumed=True)  # just entered, or a hold released
        return True

    def _wait_due(self, step: CompiledStep, spec: WaitSpec) -> bool:
        until = self.enrolment.context["until"]
        facts = self._facts_at(self.at)
        if spec.when is not None and spec.when.test(facts):
            self._matched(step, 1, {}, {"clause": spec.when.text, "values": spec.when.values(facts)})
        elif self.at >= until:
            del self.enrolment.context["until"]
            self.results[step.id] = {"timed_out": True}
            self.enrolment.context["missed"] = {**self.enrolment.context.get("missed", {}), step.id: [self.enrolment.begun_at, until]}
            self._log("timed_out", step.id)
            self._go(step, "timeout")
        else:
            self.enrolment.due_at = self._not_past_the_end(self._next_look(spec, self.at, until))
        return True

    def _arrived(self, event: Event) -> bool:
        enrolment, before = self.enrolment, len(self.decision.log)
        if enrolment.status == ENDED and enrolment.converted_at is not None:
            return False
        arrival = min(max(event.time, enrolment.begun_at), max(event.received_at, event.time))
        facts = self.facts.with_event(event.fields())
        if self._goal_reached(event, facts):
            return True
        if enrolment.status == ENDED:
            return len(self.decision.log) > before
        self.at = arrival
        self._note_missed(event, facts)
        if self._left(event, facts) or enrolment.status == HELD_OUT:
            return len(self.decision.log) > before
        step = self.journey.steps[enrolment.state]
        if isinstance(step.spec, WaitSpec) and "until" in enrolment.context:
            return self._awaited(step, step.spec, event, facts) or self._changed(arrival) or len(self.decision.log) > before
        return len(self.decision.log) > before

    def _came_earlier(self, event: Event) -> bool:
        """An event of before she came to this wait, at a time that the wait is about."""
        enrolment = self.enrolment
        if enrolment.status != LIVE or "until" not in enrolment.context:
            return False
        self.at = max(event.time, enrolment.begun_at)
        step = self.journey.steps[enrolment.state]
        return isinstance(step.spec, WaitSpec) and self._awaited(step, step.spec, event, self.facts.with_event(event.fields()))

    def _awaited(self, step: CompiledStep, spec: WaitSpec, event: Event, facts: UserFacts) -> bool:
        """Whether a wait had to do with the event: it was what it waited for, or would have been in time."""
        for number, case in enumerate(spec.cases, 1):
            if not self._matches(case, event, facts):
                continue
            if self.enrolment.begun_at < event.time <= self.enrolment.context["until"]:
                found = self.audience.readable(event.type, event.fields())
                self._matched(step, number, found, {"event": event.type, "event_id": event.id})
            else:
                reason = "too_early" if event.time <= self.enrolment.begun_at else "too_late"
                self._log("event_ignored", step.id, {"event": event.type, "event_time": event.time, "reason": reason})
            return True
        return False

    def _note_missed(self, event: Event, facts: UserFacts) -> None:
        """An event that would have ended a wait, had it arrived before the wait's timer fired: said, never replayed."""
        for step_id, (begun, until) in self.enrolment.context.get("missed", {}).items():
            spec = self.journey.steps[step_id].spec if step_id in self.journey.steps else None
            cases = spec.cases if isinstance(spec, WaitSpec) else ()
            if begun < event.time <= until and any(self._matches(case, event, facts) for case in cases):
                why = {"event": event.type, "event_time": event.time, "reason": "arrived_late"}
                self._log("event_ignored", step_id, why)

    def _changed(self, at: int) -> bool:
        """The profile changed: outer exits and awaited conditions are looked at."""
        enrolment, before = self.enrolment, len(self.decision.log)
        if enrolment.status != LIVE:
            return False
        self.at = max(at, enrolment.begun_at)
        if self._exit_by_condition():
            return True
        step = self.journey.steps[enrolment.state]
        if isinstance(step.spec, WaitSpec) and step.spec.when is not None and "until" in enrolment.context:
            when = step.spec.when
            if self.at <= enrolment.context["until"] and when.test(self.facts):
                self._matched(step, 1, {}, {"clause": when.text, "values": when.values(self.facts)})
                return True
            due = self._not_past_the_end(self._next_look(step.spec, self.now, enrolment.context["until"]))
            if due != enrolment.due_at:
                enrolment.due_at = due
                return True
        return len(self.decision.log) > before

    def _settled(self, outcome: Settled) -> bool:
        enrolment = self.enrolment
        if enrolment.status != LIVE or enrolment.state != outcome.step or enrolment.context.get("open") != outcome.visit:
            if not outcome.ok:
                return False
            self.at = outcome.at
            self._log("settled_late", outcome.step, {"reason": outcome.reason, "answer": dict(outcome.answer)})
            return True
        self.at = max(outcome.at, enrolment.begun_at)
        step = self.journey.steps[enrolment.state]
        self._effect_over(step, ok=outcome.ok, reason=outcome.reason, answer=dict(outcome.answer))
        return True

    def _goal_reached(self, event: Event, facts: UserFacts) -> bool:
        goal, enrolment = self.journey.goal, self.enrolment
        if goal is None or enrolment.converted_at is not None or enrolment.goal_until is None:
            return False
        if not enrolment.entered_at < event.time <= enrolment.goal_until or not self._matches(goal.match, event, facts):
            return False
        enrolment.converted_at = event.time
        self.at = max(event.time, enrolment.begun_at) if enrolment.status != ENDED else event.time
        why: dict[str, Any] = {"event": event.type, "event_id": event.id}
        if goal.match.where is not None:
            why |= {"clause": goal.match.where.text, "values": goal.match.where.values(facts)}
        self._log("goal_reached", "", why)
        if enrolment.status != ENDED and goal.exits:
            self._end("converted", cancel=True)
            return True
        return enrolment.status == ENDED

    def _left(self, event: Event, facts: UserFacts) -> bool:
        for rule in self.journey.exits:
            if rule.match is not None and event.time > self.enrolment.entered_at and self._matches(rule.match, event, facts):
                self._log("exit_when", "", {"event": event.type, "event_id": event.id, "reason": rule.reason})
                self._end(rule.reason, cancel=True)
                return True
        return self._exit_by_condition()

    def _matches(self, match: EventMatch, event: Event, facts: UserFacts) -> bool:
        if event.type not in match.names:
            return False
        owner = match.of.test(facts) if match.of is not None else self.enrolment.user_id
        if event.user_id != owner and not self._was_called(owner, event):
            return False
        field, subject = self.journey.entry.subject, self.enrolment.subject
        declares = subject and field in self.audience.events.get(event.type, {})
        if declares and not match.any_subject and subject_text(event.data.get(field)) != subject:
            return False
        return match.where is None or bool(match.where.test(facts))

    def _was_called(self, owner: Any, event: Event) -> bool:
        """Whether the id that a rule names is one that the event's user had before she was merged."""
        return owner in event.former or (event.user_id == self.user.id and owner in self.user.former)
