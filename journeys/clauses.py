"""A condition taken apart for people: what each part of it needs, what it found, and when time alone would change it. Pure.

Also the same for what was decided earlier: of a decision the values then are kept, and `KeptFacts` gives them back to the condition.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from journeys.duration import format_duration
from journeys.evaluate import Facts, compile_node, leaves_of, next_change
from journeys.expression import TIME_FUNCTIONS, Call, Compare, Const, In, Known, Logic, Name, Node, Not, kind_of, times_of
from journeys.rule import Rule
from journeys.values import print_number

MOST_CHANGES = 200  # breakpoints that are followed into the future of one clause
FactsAt = Callable[[int], Facts]
_DENIED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_BINDS = {"or": 1, "and": 2, "not": 3, "compare": 4, "+": 5, "-": 5, "*": 6, "/": 6}


@dataclass(frozen=True, slots=True)
class Need:
    """What a clause needs of one value: `found OPERATOR wanted`, or a word (known, missing, true, false, in, not in).

    `kind` is the type of the value: of a time `wanted` is an instant.
    """

    name: str
    operator: str
    found: Any
    wanted: Any
    kind: str = "any"


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of a condition at one moment. `parts` are those of an `or`, an `and` under a `not`, or a segment; `joined` says how
    many of them have to hold. `expected` is False where the clause stands under a `not`. `changes_at` is when time alone would turn it.
    """

    text: str
    held: bool
    expected: bool
    values: Mapping[str, Any]
    need: Need | None = None
    joined: str = ""
    parts: tuple["Clause", ...] = ()
    segment: str = ""
    changes_at: int | None = None


@dataclass(frozen=True)
class Meaning:
    """What names in a condition stand for: segments, and traits that are computed from other traits."""

    segments: Mapping[str, Rule] = field(default_factory=dict)
    values: Mapping[str, Rule] = field(default_factory=dict)

    @cached_property
    def times(self) -> Mapping[str, Call]:
        """The traits that stand for a time function."""
        return times_of({name: rule.node for name, rule in self.values.items()})


def clauses_of(node: Node, facts: Facts, meaning: Meaning, facts_at: FactsAt | None = None) -> list[Clause]:
    """What must all hold, one after the other. Without `facts_at` nothing is said about times to come."""
    items = node.items if isinstance(node, Logic) and node.operator == "and" else (node,)
    return [_judged(item, facts, meaning, facts_at, expected=True) for item in items]


def turns_at(node: Node, meaning: Meaning, facts_at: FactsAt, now: int, *, to: bool) -> int | None:
    """The first instant after `now` at which the condition is `to` if nothing else happens; None when time alone never makes it so."""
    change, test, at = next_change(node, meaning.times), compile_node(node), now
    if change is None:
        return None
    for _ in range(MOST_CHANGES):
        following = change(facts_at(at))
        if following is None:
            return None
        at = following
        if bool(test(facts_at(at))) is to:
            return at
    return None


def _judged(node: Node, facts: Facts, meaning: Meaning, facts_at: FactsAt | None, *, expected: bool) -> Clause:
    if isinstance(node, Not):
        return _judged(node.item, facts, meaning, facts_at, expected=not expected)
    holds = bool(compile_node(node)(facts)) is expected
    text = spelled(node) if expected else spelled(Not(node))
    changes_at = turns_at(node, meaning, facts_at, facts.now, to=expected is not holds) if facts_at is not None else None
    values = _values(node, facts, meaning)
    if isinstance(node, Logic):
        parts = tuple(_judged(item, facts, meaning, facts_at, expected=expected) for item in node.items)
        joined = "all" if (node.operator == "and") is expected else "any"
        return Clause(text, holds, expected, values, None, joined, parts, "", changes_at)
    if isinstance(node, Call) and node.function == "segment" and node.arguments[0] in meaning.segments:
        inner = meaning.segments[node.arguments[0]].node
        part = _judged(inner, facts, meaning, facts_at, expected=expected)
        return Clause(text, holds, expected, values, None, "all", (part,), node.arguments[0], changes_at)
    return Clause(text, holds, expected, values, _need(node, facts, expected=expected), changes_at=changes_at)


def _values(node: Node, facts: Facts, meaning: Meaning) -> dict[str, Any]:
    """The leaves' values, and those that computed traits are made of."""
    found: dict[str, Any] = {}
    waiting = [node]
    while waiting:
        for leaf in leaves_of(waiting.pop(0)).values():
            if (spelling := spelled(leaf)) not in found:
                found[spelling] = compile_node(leaf)(facts)
                if isinstance(leaf, Name) and leaf.root == "user" and leaf.attribute in meaning.values:
                    waiting.append(meaning.values[leaf.attribute].node)
    return found


def _need(node: Node, facts: Facts, *, expected: bool) -> Need | None:
    if isinstance(node, Compare):
        left, right, operator = node.left, node.right, node.operator
        if isinstance(left, Const):
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        wanted, found = compile_node(right)(facts), compile_node(left)(facts)
        return Need(spelled(left), operator if expected else _DENIED[operator], found, wanted, kind_of(left))
    if isinstance(node, Known):
        word = "known" if node.known is expected else "missing"
        return Need(spelled(node.item), word, compile_node(node.item)(facts), None, kind_of(node.item))
    if isinstance(node, In):
        item, held = compile_node(node.item)(facts), compile_node(node.container)(facts)
        return Need(spelled(node.item), "in" if expected else "not in", item, held, "text")
    found = compile_node(node)(facts)
    return Need(spelled(node), "true" if expected else "false", found, expected, "boolean")


# --- spelling


def spelled(node: Node) -> str:
    """The condition as people write it."""
    return _spelled(node)[0]


def _spelled(node: Node) -> tuple[str, int]:
    """The text, and how strongly it binds."""
    if isinstance(node, Const):
        return _constant(node), 9
    if isinstance(node, Name):
        return str(node), 9
    if isinstance(node, Call):
        return f"{node.function}({', '.join(_arguments(node))})", 9
    if isinstance(node, Logic):
        return f" {node.operator} ".join(_inside(item, _BINDS[node.operator]) for item in node.items), _BINDS[node.operator]
    if isinstance(node, Not):
        if isinstance(node.item, In):
            return f"{_inside(node.item.item, 5)} not in {_inside(node.item.container, 5)}", _BINDS["compare"]
        return f"not {_inside(node.item, _BINDS['not'])}", _BINDS["not"]
    if isinstance(node, Known):
        return f"{_inside(node.item, 5)} is {'known' if node.known else 'missing'}", _BINDS["compare"]
    if isinstance(node, In):
        return f"{_inside(node.item, 5)} in {_inside(node.container, 5)}", _BINDS["compare"]
    binds = _BINDS["compare"] if isinstance(node, Compare) else _BINDS[node.operator]
    return f"{_inside(node.left, binds)} {node.operator} {_inside(node.right, binds + 1)}", binds


def _inside(node: Node, binds: int) -> str:
    text, own = _spelled(node)
    return text if own >= binds else f"({text})"


def _constant(node: Const) -> str:
    value = node.value
    if node.kind == "time_of_day":
        return f"'{value // 60:02d}:{value % 60:02d}'"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str | list) else print_number(value)


def _arguments(node: Call) -> Iterator[str]:
    if node.function in TIME_FUNCTIONS:
        yield spelled(node.arguments[0])
        return
    first, *rest = node.arguments
    yield repr(first)
    for argument in rest:
        if argument is not None:
            yield f"within={format_duration(argument)!r}" if node.function == "count" else repr(argument)


# --- what was decided earlier


class KeptFacts:
    """Implements Facts from the values that a decision kept, at its moment; what was not kept is missing."""

    def __init__(self, values: Mapping[str, Any], now: int) -> None:
        self.now = now
        self._values = values
        self.entry: Mapping[str, Any] = self._of("entry.")
        self.event: Mapping[str, Any] = self._of("event.")
        steps: dict[str, dict[str, Any]] = {}
        for name, value in self._of("steps.").items():
            step, _, attribute = name.rpartition(".")
            steps.setdefault(step, {})[attribute] = value
        self.steps: Mapping[str, Mapping[str, Any]] = steps

    def _of(self, root: str) -> dict[str, Any]:
        return {name.removeprefix(root): value for name, value in self._values.items() if name.startswith(root)}

    def _called(self, function: str, *arguments: Any) -> Any:
        return self._values.get(f"{function}({', '.join(repr(a) for a in arguments if a is not None)})")

    def trait(self, name: str) -> Any:
        """The value then."""
        return self._values.get(f"user.{name}")

    def trait_change(self, name: str) -> None:  # noqa: ARG002 - what was decided does not change any more
        """Never."""
        return

    def segment(self, name: str) -> bool:
        """Whether it held then."""
        return bool(self._called("segment", name))

    segment_change = trait_change

    def has_tag(self, tag: str) -> bool:
        """Whether she carried it then."""
        return bool(self._called("has_tag", tag))

    def count(self, event: str, within: int) -> int:
        """The count then."""
        return int(self._called("count", event, within) or 0)

    def count_change(self, event: str, within: int) -> None:  # noqa: ARG002 - see trait_change
        """Never."""
        return

    def in_journey(self, journey: str) -> bool:
        """Whether she was inside then."""
        return bool(self._called("in_journey", journey))

    def reachable(self, channel: str, template: str | None) -> bool:
        """Whether a message could be sent then."""
        return bool(self._called("reachable", channel, template))

    def has_consent(self, channel: str) -> bool:
        """Whether she agreed then."""
        return bool(self._called("has_consent", channel))

    def remaining(self, benefit: str) -> Any:
        """Units left then."""
        return self._called("remaining", benefit)
