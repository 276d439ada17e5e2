"""What a release does to people who are inside an older version: they stay on it, move to the new one, or end. Pure.

A move goes by step id (`was:` names a former one). Whoever rests in a step begins its wait anew from when the step began: a
shorter delay may be over already, then the next step is late and the file's `max_lateness` decides. Nothing is done here but
that: what follows is done by the timer. What she was sent or given before the move is not sent or given again because its step
stands after hers now.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from journeys.audience import Audience
from journeys.compiled import CallSpec, CompiledJourney, CompiledStep, DelaySpec, EventMatch, GrantSpec, WaitSpec
from journeys.lineage import carried, comes_again, names_in
from runtime.moments import moment_of
from runtime.policy import Reach
from runtime.state import ENDED, HELD_OUT, Decision, Enrolment, User
from runtime.walk import Walk

Way = Literal["keep", "move", "exit"]
WAYS: tuple[Way, ...] = ("keep", "move", "exit")
Fate = Literal["moves", "overdue", "stays", "nowhere", "effect_open", "ends"]


@dataclass(frozen=True, slots=True)
class InFlight:
    """What was decided for those inside a journey: `way` for all, `steps` for those who stand at some steps."""

    way: Way = "keep"
    steps: Mapping[str, Way] = field(default_factory=dict)

    def of(self, state: str) -> Way:
        """The way of those who stand here."""
        return self.steps.get(state, self.way)


@dataclass(frozen=True, slots=True)
class Move:
    """A decision with where it leads: the version that is current by the release, and its row."""

    release_id: int
    version_id: int  # 0 where the journey is gone
    number: int
    in_flight: InFlight


def fate_of(before: Enrolment, decision: Decision | None, now: int, kept: str, ends_at: int | None = None) -> Fate:
    """What a move made of somebody, for the plan's counts; `ends_at` is when all of where she was moved to ends."""
    if decision is None or decision.enrolment.version == before.version:
        ended = decision is not None and decision.enrolment.status == ENDED
        return "ends" if ended else kept  # type: ignore[return-value]
    due_at = decision.enrolment.due_at
    if due_at is not None and ends_at is not None and ends_at <= due_at <= now:
        return "ends"
    return "overdue" if due_at is not None and due_at <= now < (before.due_at or now + 1) else "moves"


def move(
    own: CompiledJourney, current: CompiledJourney | None, to: Move, audience: Audience, enrolment: Enrolment, user: User, reach: Reach,
    now: int,
) -> tuple[Decision, str]:  # fmt: skip
    """What the release makes of one enrolment, and why it stays where it stays: `stays`, `nowhere`, `effect_open`, or nothing.

    `own` is the version that the enrolment is on; `current` is None where the journey is gone. The enrolment given is left as it
    is; whoever stays is marked, so that she is not asked again at her next step.
    """
    walk = _Move(current or own, audience, enrolment.copied(), user, reach, now)
    way = to.in_flight.of(enrolment.state)
    if way == "exit":
        walk.leave()
        return walk.decision, ""
    target = why = None
    if way == "move" and current is not None:
        target = enrolment.state if enrolment.status == HELD_OUT else carried(enrolment.state, own, current)
        why = "nowhere" if target is None else "effect_open" if _is_open(enrolment, target, own, current) else None
    if target is None or why is not None:
        walk.enrolment.context["kept"] = to.release_id
        return walk.decision, why or "stays"
    walk.take(target, to, own)
    return walk.decision, ""


def _is_open(enrolment: Enrolment, target: str, own: CompiledJourney, current: CompiledJourney) -> bool:
    """Whether a grant or call is under way that the new version could not take the outcome of."""
    return "open" in enrolment.context and is_another_effect(own.steps[enrolment.state], current.steps[target])


def is_another_effect(then: CompiledStep, now: CompiledStep) -> bool:
    """Whether a step of a newer version does not ask for what one of an older version has asked for."""
    return then.id != now.id or now.kind != then.kind or _asked(then) != _asked(now)


def _asked(step: CompiledStep) -> tuple[Any, ...]:
    """What a grant or call asks for: her messages and the next conditions will speak of it, and of nothing else."""
    spec = step.spec
    if isinstance(spec, GrantSpec):
        return spec.benefit, spec.amount, spec.expires, spec.to and spec.to.text, spec.once_per and spec.once_per.text
    if isinstance(spec, CallSpec):
        return spec.endpoint, {name: value if isinstance(value, bool) else value.source for name, value in spec.body}
    return ()


def waits_for_the_same(own: CompiledJourney, current: CompiledJourney, state: str) -> bool:
    """Whether a step is a wait for the same events in both versions: then the new one has nothing to hear that the old one has not."""
    target = carried(state, own, current)
    then, now = own.steps.get(state), current.steps[target] if target is not None else None
    if then is None or now is None or not isinstance(then.spec, WaitSpec) or not isinstance(now.spec, WaitSpec):
        return False
    return [_read(case) for case in then.spec.cases] == [_read(case) for case in now.spec.cases]


def _read(match: EventMatch) -> tuple[Any, ...]:
    return match.names, match.where and match.where.text, match.of and match.of.text, match.any_subject


class _Move(Walk):
    """The enrolment as it will be in the other version."""

    def leave(self) -> None:
        """End, and take back what is planned."""
        self.at = max(self.now, self.enrolment.begun_at)
        self._end("moved", cancel=True)

    def take(self, target: str, to: Move, old: CompiledJourney) -> None:
        """Stand at `target` of this version."""
        enrolment = self.enrolment
        why: dict[str, Any] = {"version": to.number, "was_version": enrolment.version} | (
            {"from": enrolment.state} if target != enrolment.state else {}
        )
        was, was_due, kind = enrolment.state, enrolment.due_at, old.steps[enrolment.state].kind if enrolment.state in old.steps else ""
        enrolment.version, enrolment.state = to.version_id, target
        gone = self._rename(old)
        if enrolment.status != HELD_OUT:
            self._note_what_she_had(comes_again(old, self.journey, was, target, gone))
        goal = self.journey.goal
        enrolment.goal_until = enrolment.entered_at + goal.within if goal is not None else None
        if enrolment.status == HELD_OUT:
            ends = [at for at in (enrolment.goal_until, self.journey.ends_at) if at is not None]
            enrolment.due_at = min(ends, default=enrolment.due_at)
        else:  # an open grant or call rests as it did
            self._rest_anew(self.journey.steps[target], kind)
        if enrolment.due_at != was_due:
            why |= {"until": enrolment.due_at, "was_until": was_due}
        self.at = max(self.now, enrolment.begun_at)
        self._log("moved", target, why)

    def _rename(self, old: CompiledJourney) -> Collection[str]:
        """Results, visits and marks go by the names of this version. What no step of it bears keeps its origin in the context, for a
        later version that has it again; given back are the origins that were kept so far.
        """
        context = self.enrolment.context
        kept: Mapping[str, str] = context.pop("gone", {})
        by_name = [key for key in ("steps", "visits", "missed", "had") if context.get(key)]
        names, gone = names_in({name for key in by_name for name in context[key]}, old, self.journey, kept)
        for key in by_name:
            renamed = {names[name]: value for name, value in context[key].items()}
            if key == "steps":
                self.results.clear()  # in place: the facts read these very results
                self.results.update(renamed)
            else:
                context[key] = renamed
        if gone:
            context["gone"] = gone
        if "held" in context:
            context["held"] = carried(context["held"], old, self.journey) or context["held"]
        return set(kept.values())

    def _note_what_she_had(self, again: Sequence[str]) -> None:
        """What has taken effect and would come once more, because its step stands after hers now, is passed over there."""
        took_effect = {name: True for name in again if self.results.get(name, {}).get("sent") or self.results.get(name, {}).get("ok")}
        if took_effect:
            self.enrolment.context["had"] = {**self.enrolment.context.get("had", {}), **took_effect}

    def _rest_anew(self, step: CompiledStep, kind: str) -> None:
        """The timer as this version's step sets it, from when the step began; another kind of step begins then, too."""
        enrolment, began = self.enrolment, self.enrolment.begun_at
        if step.kind != kind:
            for key in ("until", "held"):
                enrolment.context.pop(key, None)
            enrolment.due_at = self._not_past_the_end(began)
        elif "until" in enrolment.context and isinstance(step.spec, DelaySpec):
            self._delay_anew(step.spec, began)
        elif "until" in enrolment.context and isinstance(step.spec, WaitSpec):
            enrolment.context["until"] = until = self._wait_until(step.spec, began)
            held = step.spec.when is not None and step.spec.when.test(self.facts)
            enrolment.due_at = self._not_past_the_end(min(self.now, until) if held else self._next_look(step.spec, self.now, until))

    def _delay_anew(self, spec: DelaySpec, began: int) -> None:
        moment = began + spec.duration if spec.duration is not None else moment_of(spec.until, self.facts, began)  # type: ignore[arg-type]
        if isinstance(moment, str):  # the timer takes the step anew, as of when it began: the file says what is missing or past
            del self.enrolment.context["until"]
            self.enrolment.due_at = began
        else:
            self.enrolment.context["until"] = moment
            self.enrolment.due_at = self._not_past_the_end(moment)

    def _wait_until(self, spec: WaitSpec, began: int) -> int:
        if isinstance(spec.timeout, int):
            return began + spec.timeout
        moment = moment_of(spec.timeout, self.facts, began)
        return began if isinstance(moment, str) else moment
