"""How late what follows would be for those whom a move finds past their step: who goes on at once and who is too late. For `plan`."""

from collections.abc import Callable
from dataclasses import dataclass

from journeys.compiled import CompiledStep, DelaySpec, WaitSpec
from journeys.lineage import carried
from runtime.app import App
from runtime.catalogue import Versioned
from runtime.moving import fate_of
from runtime.state import Decision, Enrolment, User
from runtime.store.movements import Standing

LOOKED_AT = 500  # of those at one step whose moment depends on each of them

Moving = Callable[[Enrolment, User], tuple[Decision, str]]  # the very rule that would move somebody


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of those who are past their step: how many are later than `max_lateness`, and how late the others are at most (milliseconds)."""

    too_late: int
    late_by: int | None


def lateness_of(app: App, standing: Standing, own: Versioned, to: Versioned, overdue: int, moved: Moving, now: int) -> Lateness | None:
    """Of those at one step of a version of whom `overdue` would be past it in another; None where nothing tells.

    Counted over an index where the step lasts the same for everybody; else some are asked, and the count is in their proportion.
    """
    name = carried(standing.state, own.journey, to.journey)
    if name is None or standing.state not in own.journey.steps:
        return None
    target, limit = to.journey.steps[name], to.journey.max_lateness
    length = _length(target) if target.kind == own.journey.steps[standing.state].kind else 0  # another kind of step begins as it began
    if length is None:
        return _asked(app, standing, overdue, moved, limit, now)
    with app.store.database.reading() as tx:
        too_late, began = app.store.movements.behind(tx, standing.version_id, standing.state, now, length, limit)
    return Lateness(too_late, now - began - length if began is not None else None)


def _asked(app: App, standing: Standing, overdue: int, moved: Moving, limit: int | None, now: int) -> Lateness | None:
    store = app.store
    with store.database.reading() as tx:
        some = store.movements.some_at(tx, standing.version_id, standing.state, LOOKED_AT)
        people = store.people.load_users(tx, sorted({e.user_id for e in some}))
    late: list[int] = []
    for enrolment in some:
        user = people.get(enrolment.user_id)
        if user is None:
            continue
        try:
            decision, kept = moved(enrolment, user)
        except (LookupError, ValueError, TypeError):  # the plan says already that this one cannot be foreseen
            continue
        due_at = decision.enrolment.due_at
        if due_at is not None and fate_of(enrolment, decision, now, kept) == "overdue":
            late.append(now - due_at)
    if not late:
        return None
    in_time = [by for by in late if limit is None or by <= limit]
    return Lateness(round((len(late) - len(in_time)) * overdue / len(late)), max(in_time, default=None))


def _length(step: CompiledStep) -> int | None:
    """How long a step lasts, where that is the same for everybody; one that does not wait is over when it began."""
    if isinstance(step.spec, DelaySpec):
        return step.spec.duration
    if isinstance(step.spec, WaitSpec):
        return step.spec.timeout if step.spec.when is None and isinstance(step.spec.timeout, int) else None
    return 0
