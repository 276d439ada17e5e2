"""How long the way to a step takes: the shortest and the longest, in milliseconds. Moments of the calendar take none, or for ever."""

import heapq
from collections.abc import Callable, Mapping

from journeys.compiled import ENDED, CompiledStep, DelaySpec, Moment, SendSpec, WaitSpec
from journeys.duration import DAY
from journeys.expression import Name

Arrival = Callable[[int, Moment], int]  # when a moment comes that is waited for from a time on


def earliest(steps: Mapping[str, CompiledStep], first: str, start: int = 0, moment: Arrival | None = None) -> dict[str, int]:
    """For each step that can be reached from `first`, the least time at which it can begin."""
    found: dict[str, int] = {}
    waiting = [(start, first)]
    while waiting:
        at, here = heapq.heappop(waiting)
        if here == ENDED or here in found or here not in steps:
            continue
        found[here] = at
        for trigger, to in steps[here].moves.items():
            heapq.heappush(waiting, (_after(steps[here], trigger, at, moment or _at_once), to))
    return found


def _at_once(at: int, _: Moment) -> int:
    return at


def _after(step: CompiledStep, trigger: str, at: int, moment: Arrival) -> int:
    spec = step.spec
    if isinstance(spec, DelaySpec) and trigger == "done":
        return at + spec.duration if spec.duration is not None else moment(at, spec.until) if spec.until else at
    if isinstance(spec, WaitSpec) and trigger == "timeout":
        return at + spec.timeout if isinstance(spec.timeout, int) else moment(at, spec.timeout)
    return at


def latest(steps: Mapping[str, CompiledStep], first: str) -> dict[str, int]:
    """For each step, the most time after which it begins; steps of which that cannot be said are left out.

    Quiet hours hold a send for a day at most; where the way leads through a loop or a moment of the calendar nothing is said.
    """
    order = _in_order(steps, first)
    if order is None:
        return {}
    found: dict[str, int | None] = {first: 0}
    for here in order:
        spec, at = steps[here].spec, found.get(here)
        for to in steps[here].moves.values():
            if to == ENDED:
                continue
            longest = _longest(spec)
            after = at + longest if at is not None and longest is not None else None
            before = found.get(to, 0)
            found[to] = None if after is None or before is None else max(before, after)
    return {step: at for step, at in found.items() if at is not None}


def _longest(spec: object) -> int | None:
    if isinstance(spec, DelaySpec):
        return spec.duration
    if isinstance(spec, WaitSpec):
        return spec.timeout if isinstance(spec.timeout, int) else None
    return DAY if isinstance(spec, SendSpec) else 0


def _in_order(steps: Mapping[str, CompiledStep], first: str) -> list[str] | None:
    """The steps, each after all that lead to it; None when there is a loop."""
    done: list[str] = []
    seen: set[str] = set()
    trail: set[str] = set()
    stack = [(first, False)]
    while stack:
        here, leaving = stack.pop()
        if leaving:
            trail.discard(here)
            done.append(here)
        elif here in trail:
            return None
        elif here in steps and here not in seen:
            seen.add(here)
            trail.add(here)
            stack.append((here, True))
            stack.extend((to, False) for to in steps[here].moves.values())
    return done[::-1]


def expiry_of(grant: str, lives: int) -> Arrival:
    """Moments that hang on the expiry of a grant, counted from that grant: `until: steps.GRANT.expires_at` with its offset."""

    def arrival(at: int, moment: Moment) -> int:
        if not hangs_on(moment, grant):
            return at
        earlier = DAY if moment.at is not None else 0  # `at` may move it back within its day
        return max(at, lives + moment.offset - earlier)

    return arrival


def hangs_on(moment: Moment, grant: str) -> bool:
    """Whether a moment is the expiry of that grant."""
    node = moment.rule.node if moment.rule is not None else None
    return isinstance(node, Name) and node.root == "steps" and node.step == grant and node.attribute == "expires_at"
