"""Which step of one version is which of another. Pure.

Every step has an *origin*: the name under which it first came into the journey. It stays through every renaming (`was:`), also
when the next version does not say `was` any more, and nobody else takes it. Whatever must outlive a name hangs on it: draws of
splits, keys of messages, what is granted once, and where somebody stands after a move.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from journeys.compiled import CallSpec, CompiledJourney, GotoSpec, GrantSpec, SendSpec


def origins_of(steps: Mapping[str, str], number: int, before: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The origin of each step of a new version: `steps` name what each was (or ""), `before` are the origins of the versions so far,
    the one in force first.

    A name that is given to another step while its former bearer lives on under a new one begins anew: `a` of version 3 is `a@3`.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()

    def claim(step: str, name: str, among: Sequence[Mapping[str, str]]) -> None:
        origin = next((version[name] for version in among if name in version), "")
        if step not in found and origin and origin not in taken:
            found[step] = origin
            taken.add(origin)

    for among in (before[:1], before):  # what is in force knows best; what it has not may come from earlier
        for step, was in steps.items():
            if was:
                claim(step, was, among)
        for step in steps:
            claim(step, step, among)
    known = {*taken, *(origin for version in before for origin in version.values())}
    for step, was in steps.items():
        if step not in found:
            name = was if was and not before else step
            found[step] = f"{name}@{number}" if name in known else name
            known.add(found[step])
    return {step: found[step] for step in steps}


def was_of(journey: CompiledJourney) -> dict[str, str]:
    """By step of a compiled journey, what `was` calls it, or ""."""
    former = {now: was for was, now in journey.renamed.items()}
    return {step.id: former.get(step.id, "") for step in journey.steps.values() if step.named}


def with_origins(journey: CompiledJourney, origins: Mapping[str, str]) -> CompiledJourney:
    """The journey with the origins that its version was given; of a step that has none its own (its `was`, or its name) stays."""
    return replace(journey, steps={step.id: replace(step, origin=origins.get(step.id, step.origin)) for step in journey.steps.values()})


def carried(state: str, first: CompiledJourney, last: CompiledJourney) -> str | None:
    """Where somebody at this step of one version stands in another, newer or older; None when that step is not there."""
    step = first.steps.get(state)
    return last.by_origin.get(step.origin) if step is not None else None


def names_in(
    names: Iterable[str], first: CompiledJourney, last: CompiledJourney, gone: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:  # fmt: skip
    """What names of one version's steps are in another; and of those that are no step there, by the new name, the origin.

    `gone` is the latter of the move before: what a version has not may come back in the next. A name that has become another
    step's is put aside under one that no step can have.
    """
    found: dict[str, str] = {}
    left: dict[str, str] = {}
    for name in names:
        origin = first.steps[name].origin if name in first.steps else gone.get(name)
        new = last.by_origin.get(origin) if origin is not None else None
        if new is None:
            new = name if name not in last.steps else f"{origin or name}@"
            if origin is not None:
                left[new] = origin
        found[name] = new
    return found, left


def carried_names(
    named: Mapping[str, Any], first: CompiledJourney, last: CompiledJourney, gone: Mapping[str, str] | None = None
) -> dict[str, Any]:  # fmt: skip
    """Things by the names of one version's steps (and of those that had gone before it), by those of another."""
    names, _ = names_in(named, first, last, gone or {})
    return {names[name]: value for name, value in named.items()}


def comes_after(journey: CompiledJourney, state: str, *, without: str = "") -> set[str]:
    """The steps that may follow a step without a jump back (and without getting past another one), itself left out."""
    found: set[str] = {without}
    ahead = [state] if state != without else []
    while ahead:
        step = journey.steps.get(ahead.pop())
        back = step is not None and isinstance(step.spec, GotoSpec) and step.spec.max_visits is not None
        following = {to for trigger, to in step.moves.items() if not (back and trigger == "jump")} if step is not None else set()
        ahead.extend(following - found)
        found |= following & journey.steps.keys()
    return found - {state, without}


def comes_between(journey: CompiledJourney, first: str, last: str) -> set[str]:
    """The steps that lie on a way from one step to another without a jump back, both of them too."""
    return {step for step in (first, *comes_after(journey, first)) if step == last or last in comes_after(journey, step)}


def comes_again(
    first: CompiledJourney, last: CompiledJourney, state: str, target: str, gone: Collection[str] = ()
) -> list[str]:  # fmt: skip
    """The sends, grants and calls that lie behind somebody at `state` of one version, and before her at `target` of another.

    `gone` are the origins of steps that she may have had in an earlier version, and that the first of the two has not.
    """
    behind = first.steps.keys() - comes_after(first, state) - {state}
    origins = {first.steps[name].origin for name in behind} | set(gone)
    ahead = (last.steps[name] for name in comes_after(last, target))
    return sorted(step.id for step in ahead if step.origin in origins and isinstance(step.spec, SendSpec | GrantSpec | CallSpec))
