"""What an edit changes in a journey: by step and key, as a marketer would say it. Pure."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from journeys import model
from journeys.audience import AudienceModel
from journeys.compiled import CompiledJourney
from journeys.lineage import carried

Kind = Literal[
    "setting",
    "step_added",
    "step_removed",
    "step_renamed",
    "step_looks_renamed",
    "step_was_nobody",
    "step_kind",
    "step_moved",
    "step",
    "tests",
    "tests_only",
    "wording_only",
]
_NESTED = ("on_event", "on_timeout", "on_failed", "otherwise")
_APART = {"id", "steps", "tests"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `key` is the path of the value inside the journey, step or audience; None stands for not written."""

    kind: Kind
    step: str = ""
    key: str = ""
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class _Placed:
    kind: str
    container: str  # the list it stands in: "" or a step and a key
    values: Mapping[str, Any]


def differences(before: CompiledJourney, after: CompiledJourney) -> list[Change]:
    """Every difference of meaning, in the order of the file; what only reads differently (comments, layout) is `wording_only`.

    A step is the same by its origin (lineage), as it is for those who stand there.
    """
    found = _settings(before.journey, after.journey)
    old, new = _steps_of(before), _steps_of(after)
    stays = {name: now for name in old if (now := carried(name, before, after)) is not None}
    former = {now: was for was, now in stays.items()}
    found += [Change("step_renamed", now, "", was, now) for now in new if (was := former.get(now, now)) != now]
    found += [Change("step_removed", was, "", old[was].kind) for was in old if was not in stays]
    found += [Change("step_moved", step) for step in _moved(old, new, stays)]
    for step, placed in new.items():
        if step not in former:
            found.append(Change("step_added", step, "", None, placed.kind))
            continue
        then = old[former[step]]
        if then.kind != placed.kind:
            found.append(Change("step_kind", step, "", then.kind, placed.kind))
        else:
            found += [Change("step", step, key, a, b) for key, a, b in _unequal(then.values, placed.values)]
    found += _lookalikes(found, old, new)
    found += [Change("step_was_nobody", now, "was", was) for was, now in after.renamed.items() if was not in old and now not in former]
    then, now = _plain(before.journey.tests), _plain(after.journey.tests)
    if len(then) != len(now):
        found.append(Change("tests", "", "tests", len(then), len(now)))
    elif changed := [test for test in now if test not in then]:
        found.append(Change("tests_only", "", "tests", len(now), len(changed)))
    if not found and before.source != after.source:
        found.append(Change("wording_only"))
    return found


def _lookalikes(found: Sequence[Change], old: Mapping[str, _Placed], new: Mapping[str, _Placed]) -> list[Change]:
    """Steps that are new but say what one that is gone said: probably renamed without `was`, which would leave its people behind."""
    gone = [change.step for change in found if change.kind == "step_removed"]
    alike: list[Change] = []
    for change in found:
        if change.kind != "step_added":
            continue
        placed = new[change.step]
        was = next((g for g in gone if (old[g].kind, old[g].values) == (placed.kind, placed.values)), None)
        if was is not None:
            gone.remove(was)
            alike.append(Change("step_looks_renamed", change.step, "was", was, change.step))
    return alike


def audience_differences(before: AudienceModel, after: AudienceModel) -> list[Change]:
    """Events, traits, segments, stages and suppressions that an edit adds or removes, and of those that it changes each value; the key
    names them (`traits.spent.within`).
    """
    found: list[Change] = []
    for key, a, b in _unequal(_named(before), _named(after)):
        if isinstance(a, dict) and isinstance(b, dict):
            found += [Change("setting", "", at, was, now) for at, was, now in _unequal(_flat(a, key), _flat(b, key))]
        else:
            found.append(Change("setting", "", key, a, b))
    return found


def _named(audience: AudienceModel) -> dict[str, Any]:
    plain = _plain(audience)
    found: dict[str, Any] = {}
    for section in ("events", "traits", "segments"):
        found |= {f"{section}.{name}": value for name, value in plain.get(section, {}).items()}
    found |= {f"lifecycle.{item['stage']}": item for item in plain.get("lifecycle", ())}
    found |= {f"suppress_marketing.{item['name']}": item for item in plain.get("suppress_marketing", ())}
    order = [item["stage"] for item in plain.get("lifecycle", ())]
    return found | ({"lifecycle": " > ".join(order)} if order else {})


def _settings(before: model.Journey, after: model.Journey) -> list[Change]:
    old, new = (_flat({k: v for k, v in _plain(j).items() if k not in _APART}) for j in (before, after))
    return [Change("setting", "", key, a, b) for key, a, b in _unequal(old, new)]


def _unequal(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in (*after, *(k for k in before if k not in after)):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _plain(value: Any) -> Any:
    """As it is written in the file: without what is not written."""
    if isinstance(value, BaseModel):
        return {
            (field.alias or name): _plain(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if name in value.model_fields_set
        } | {key: _plain(extra) for key, extra in (value.model_extra or {}).items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _flat(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Leaves by their paths: `entry.where`, `send[2].push.title`."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        at = f"{path}.{key}" if path else str(key)
        if isinstance(item, dict):
            found |= _flat(item, at)
        elif isinstance(item, list) and any(isinstance(i, dict) for i in item):
            for number, inner in enumerate(item, 1):
                found |= _flat(inner, f"{at}[{number}]") if isinstance(inner, dict) else {f"{at}[{number}]": inner}
        else:
            found[at] = ", ".join(str(i) for i in item) if isinstance(item, list) else item
    return found


def _steps_of(journey: CompiledJourney) -> dict[str, _Placed]:
    """The steps by id in the order of the file: the compiled ones are in the same order as the model's, nested ones after theirs."""
    found: dict[str, _Placed] = {}
    ids = iter(journey.steps)
    _place(journey.journey.steps, "", ids, found)
    return found


def _place(steps: Sequence[model.StepBase], container: str, ids: Iterator[str], found: dict[str, _Placed]) -> None:
    for step in steps:
        identifier = next(ids)
        plain = _plain(step)
        nested: list[tuple[str, Sequence[model.StepBase]]] = []
        for number, item in enumerate(_lists_of(step), 1):
            where, inner = item
            nested.append((where or f"case {number}", inner))
        found[identifier] = _Placed(model.kind_name(step), container, _flat(_without_steps(plain)))
        for where, inner in nested:
            _place(inner, f"{identifier} {where}", ids, found)


def _lists_of(step: model.StepBase) -> list[tuple[str, Sequence[model.StepBase]]]:
    """The lists nested in a step, in the order of the compiled steps: cases, variants and awaited events first, then siblings."""
    found: list[tuple[str, Sequence[model.StepBase]]] = []
    if isinstance(step, model.BranchStep):
        found += [("", case.steps) for case in step.branch]
    elif isinstance(step, model.SplitStep):
        found += [(variant.name, variant.steps) for variant in step.split]
    elif isinstance(step, model.WaitStep) and step.wait_for.any_of:
        found += [("", case.steps) for case in step.wait_for.any_of]
    return found + [(key, inner) for key in _NESTED if (inner := getattr(step, key, None))]


def _without_steps(plain: Any, *, top: bool = True) -> Any:
    """A step's own values: nested lists of steps are steps of their own, and where it stands is told apart."""
    if isinstance(plain, dict):
        left_out = {"steps", *((*_NESTED, "id", "was") if top else ())}
        return {key: _without_steps(value, top=False) for key, value in plain.items() if key not in left_out}
    return [_without_steps(item, top=False) for item in plain] if isinstance(plain, list) else plain


def _moved(old: Mapping[str, _Placed], new: Mapping[str, _Placed], names: Mapping[str, str]) -> list[str]:
    """Steps that both have, but elsewhere: in another list, or in another order."""

    def renamed(container: str) -> str:
        step, _, where = container.partition(" ")
        return f"{names.get(step, step)} {where}"

    before = [(names[name], renamed(placed.container)) for name, placed in old.items() if name in names]
    after = [(name, f"{placed.container} " if not placed.container else placed.container) for name, placed in new.items()]
    common = {name for name, _ in before}
    after = [pair for pair in after if pair[0] in common]
    same: set[str] = set()
    for block in difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        same |= {before[i][0] for i in range(block.a, block.a + block.size)}
    return [name for name, _ in after if name not in same]
