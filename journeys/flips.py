"""When time alone moves any of several rules: each window and each breakpoint asked once, whoever reads it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, floor
from typing import Any

from journeys.evaluate import MIRRORED, Change, change_of
from journeys.expression import Call, Compare, Const, Name, Node, parts_of, times_of
from journeys.rule import Rule


def changes_of(
    rules: Iterable[Rule], traits: Mapping[str, Any], segments: Mapping[str, Rule], stages: Sequence[Rule] = ()
) -> tuple[Change, ...]:
    """The functions whose earliest instant is the earliest at which time can move any of the rules, through traits, segments and, where
    `user.stage` is asked, the rules of the lifecycle.
    """
    found: dict[Any, Change] = {}
    times = times_of({name: trait.value.node for name, trait in traits.items() if trait.value is not None})
    waiting, seen = [rule.node for rule in rules], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Compare) and (bound := _bound_of(node, traits)) is not None:
            found[bound] = bound  # and what it compares is not asked by itself
            continue
        waiting += parts_of(node)
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


@dataclass(frozen=True, slots=True)
class _Bound:
    """The change of a comparison of how many events a window holds with a number: by time alone they only become fewer, so that it is
    when the last of those that are too many leaves. With 40 orders in 90 days, `>= 4` stands until 37 of them have left.

    `trait` is empty where the count is asked directly. `fewest` events are what it takes, and for `==` one more matters, too.
    """

    trait: str
    event: str
    within: int
    fewest: int
    exactly: bool

    def __call__(self, facts: Any) -> int | None:
        change: int | None = facts.count_falls(self.trait, self.event, self.within, self.fewest, exactly=self.exactly)
        return change


def _bound_of(node: Compare, traits: Mapping[str, Any]) -> _Bound | None:
    side, other, operator = node.left, node.right, node.operator
    if isinstance(side, Const):
        side, other, operator = other, side, MIRRORED.get(operator, operator)
    if not isinstance(other, Const) or isinstance(other.value, bool) or not isinstance(other.value, int | float):
        return None
    counted = _counted(side, traits)
    if counted is None:
        return None
    fewest = floor(other.value) + 1 if operator in (">", "<=") else ceil(other.value)
    return _Bound(*counted, fewest, exactly=operator in ("==", "!="))


def _counted(node: Node, traits: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """Trait (if any), event and window of what counts all events of a window."""
    if isinstance(node, Call) and node.function == "count":
        return ("", *node.arguments)
    trait = traits.get(node.attribute) if isinstance(node, Name) and node.root == "user" else None
    if trait is None or trait.value is not None or not trait.within or trait.aggregate != "count" or trait.where is not None:
        return None
    return trait.name, trait.event, trait.within


def _window_change(event: str, within: int, facts: Any) -> int | None:
    change: int | None = facts.count_change(event, within)
    return change
