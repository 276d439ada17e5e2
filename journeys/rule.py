"""A compiled condition: its text for people, its test, the moment it may change, and the values that decided."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from journeys.errors import JourneyError
from journeys.evaluate import Change, Closure, compile_node, inputs, next_change
from journeys.expression import Call, Node, Scope, parse_condition, parse_expression


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition or expression ready to be evaluated against facts."""

    text: str
    node: Node
    test: Closure
    change: Change | None
    leaves: tuple[tuple[str, Closure], ...]

    def values(self, facts: Any) -> dict[str, Any]:
        """The values of every name in the clause at that moment; None where missing."""
        return {spelling: read(facts) for spelling, read in self.leaves}


def rule_of(text: str, node: Node, times: Mapping[str, Call]) -> Rule:
    """The rule of a parsed tree; `times` are the traits that stand for a time function."""
    return Rule(text, node, compile_node(node), next_change(node, times), tuple(inputs(node)))


def through(rule: Rule, keep: Callable[[Any], Any]) -> Rule:
    """The rule whose value is what `keep` makes of it."""
    test = rule.test
    return replace(rule, test=lambda facts: keep(test(facts)))


def condition(text: str, scope: Scope) -> Rule:
    """The rule of a checked condition; raises JourneyError where `check` would have a finding."""
    node, problems = parse_condition(text, scope)
    return _sure(text, node, problems, scope)


def expression(text: str, scope: Scope) -> Rule:
    """The rule of a checked expression; raises JourneyError where `check` would have a finding."""
    node, problems = parse_expression(text, scope)
    return _sure(text, node, problems, scope)


def _sure(text: str, node: Node | None, problems: list[Any], scope: Scope) -> Rule:
    if node is None:
        msg = f"{text!r}: {problems[0].code} {dict(problems[0].params)}"
        raise JourneyError(msg)
    return rule_of(text, node, scope.times)
