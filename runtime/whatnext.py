"""Where an enrolment stands and what comes next: what it waits for, until when, which step follows which end of the wait. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from journeys.compiled import (
    ENDED,
    CallSpec,
    CompiledJourney,
    CompiledStep,
    DelaySpec,
    EventMatch,
    GrantSpec,
    SendSpec,
    WaitSpec,
)


@dataclass(frozen=True, slots=True)
class Follows:
    """What would happen: `on` is what has to come (an event, a condition, `timeout`, `done`, …), then the step that follows, if any."""

    on: str
    where: str
    step: str  # empty: the journey ends
    kind: str
    channels: tuple[str, ...] = ()
    maybe: bool = False  # the step has a condition, which is asked when she comes there


@dataclass(frozen=True, slots=True)
class Standing:
    """`doing` is one of delay, wait, held, asked (a grant or call), due (its timer is over, or it was just entered), held_out, stuck,
    gone (the step, or the version, cannot be read any more) or measuring (ended, the goal still counts).
    """

    doing: str
    step: str
    kind: str
    since: int
    until: int | None
    what: str = ""  # of a grant or call: the benefit or endpoint; of a hold: why
    follows: tuple[Follows, ...] = ()
    goal: tuple[str, ...] = ()
    goal_until: int | None = None
    exits: tuple[str, ...] = ()  # the events and conditions that would end it


def standing_of(journey: CompiledJourney | None, enrolment: dict[str, Any], now: int, held: str = "") -> Standing | None:
    """Of an enrolment's row (`held` is the reason of its hold, as its log has it); None when it is over and measures nothing more."""
    since, until = enrolment["begun_at"], enrolment["due_at"]
    goal_until = enrolment["goal_until"]
    counts = enrolment["converted_at"] is None and goal_until is not None and goal_until > now
    goal = journey.goal.match.names if journey is not None and journey.goal is not None and counts else ()
    if enrolment["status"] == "ended":
        return Standing("measuring", "", "", since, goal_until, goal=goal, goal_until=goal_until) if goal else None
    exits = _exits(journey) if journey is not None else ()
    over = partial(Standing, goal=goal, goal_until=goal_until if goal else None, exits=exits)
    if enrolment["status"] == "held_out":
        return over("held_out", "", "", since, until)
    step = journey.steps.get(enrolment["state"]) if journey is not None else None
    if journey is None or step is None:
        return Standing("gone", enrolment["state"], "", since, until)
    doing, what, follows = _doing(journey, step, enrolment, held)
    if until is None:
        doing = "stuck" if doing != "asked" else doing
    return over(doing, step.id, step.kind, since, until, what, follows)


def _doing(journey: CompiledJourney, step: CompiledStep, enrolment: dict[str, Any], held: str) -> tuple[str, str, tuple[Follows, ...]]:
    context, spec = enrolment["context"], step.spec
    after = partial(_after, journey, step, context.get("had", {}))
    if isinstance(spec, DelaySpec) and "until" in context:
        return "delay", "", (after("done", "done"),)
    if isinstance(spec, WaitSpec) and "until" in context:
        cases = [after(f"event_{n}", " / ".join(case.names), _where(case)) for n, case in enumerate(spec.cases, 1)]
        if spec.when is not None:
            cases.append(after("event_1", "when", spec.when.text))
        return "wait", "", (*cases, after("timeout", "timeout"))
    if isinstance(spec, SendSpec) and context.get("held") == step.id:
        return "held", held, (after("done", "done"),)
    if isinstance(spec, GrantSpec | CallSpec) and "open" in context:
        what = spec.benefit if isinstance(spec, GrantSpec) else spec.endpoint
        failed = (after("failed", "failed"),) if "failed" in step.moves else ()
        return "asked", what, (after("ok", "ok"), *failed)
    return "due", "", ()


def _where(case: EventMatch) -> str:
    return case.where.text if case.where is not None else ""


def _after(journey: CompiledJourney, step: CompiledStep, had: Collection[str], move: str, on: str, where: str = "") -> Follows:
    following = journey.steps.get(step.moves.get(move, ENDED))
    while following is not None and following.id in had:  # what she had before a move is passed over, whatever its `if` says
        following = journey.steps.get(following.moves["skip"])
    if following is None:
        return Follows(on, where, "", "")
    channels = tuple(p.channel for p in following.spec.positions) if isinstance(following.spec, SendSpec) else ()
    return Follows(on, where, following.id, following.kind, channels, maybe=following.only_if is not None)


def _exits(journey: CompiledJourney) -> tuple[str, ...]:
    return tuple(" / ".join(rule.match.names) if rule.match is not None else rule.when.text if rule.when else "" for rule in journey.exits)
