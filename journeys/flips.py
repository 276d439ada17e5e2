"""When time alone moves any of several rules: each window and each breakpoint asked once, whoever reads it."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from journeys.evaluate import Change, change_of
from journeys.expression import Call, Compare, Name, times_of, walk
from journeys.rule import Rule


def changes_of(
    rules: Iterable[Rule], traits: Mapping[str, Any], segments: Mapping[str, Rule], stages: Sequence[Rule] = ()
) -> tuple[Change, ...]:
    """The functions whose earliest instant is the earliest of all the rules' own `change`, through traits, segments and, where
    `user.stage` is asked, the rules of the lifecycle.
    """
    found: dict[Any, Change] = {}
    times = times_of({name: trait.value.node for name, trait in traits.items() if trait.value is not None})
    waiting, seen = [rule.node for rule in rules], set()
    while waiting:
        for node in walk(waiting.pop()):
            trait = traits.get(node.attribute) if isinstance(node, Name) and node.root == "user" else None
            inner = trait.value if trait is not None else None
            if isinstance(node, Call) and node.function == "segment":
                inner = segments.get(node.arguments[0])
            if isinstance(node, Name) and (node.root, node.attribute) == ("user", "stage") and "user.stage" not in seen:
                seen.add("user.stage")
                waiting += [stage.node for stage in stages]
            if inner is not None and inner.text not in seen:
                seen.add(inner.text)
                waiting.append(inner.node)
            elif trait is not None and trait.within:
                found[trait.event, trait.within] = partial(_window_change, trait.event, trait.within)
            elif isinstance(node, Call) and node.function == "count":
                found[node.arguments] = partial(_window_change, *node.arguments)
            elif isinstance(node, Compare) and (change := change_of(node, times)) is not None:
                found[repr(node)] = change
    return tuple(found.values())


def _window_change(event: str, within: int, facts: Any) -> int | None:
    change: int | None = facts.count_change(event, within)
    return change
