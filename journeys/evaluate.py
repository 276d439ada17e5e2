"""The evaluator for one user: a typed tree becomes a closure over facts. Two-valued; missing is None.

Also answers, for the same tree, when its value can next change by time alone (`next_change`),
and which values decided it (`inputs`), so that every decision can be explained.
"""

from collections.abc import Callable, Mapping
from operator import add, eq, ge, gt, le, lt, mul, ne, sub, truediv
from typing import Any, Protocol

from journeys.duration import DAY, HOUR
from journeys.expression import (
    TIME_FUNCTIONS,
    Arithmetic,
    Call,
    Compare,
    Const,
    In,
    Known,
    Logic,
    Name,
    Node,
    Not,
    contains_time,
    time_call,
    walk,
)
from journeys.values import LARGEST_NUMBER, as_number


class Facts(Protocol):
    """What a rule may look at: one user at one moment (`now`, an instant)."""

    now: int
    entry: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    event: Mapping[str, Any]

    def trait(self, name: str) -> Any:
        """The user's value, or None when missing."""

    def trait_change(self, name: str) -> int | None:
        """The next instant after `now` at which the value changes by time alone."""

    def segment(self, name: str) -> bool:
        """The segment's condition, evaluated now."""

    def segment_change(self, name: str) -> int | None:
        """The next instant after `now` at which a time term of the segment changes."""

    def has_tag(self, tag: str) -> bool:
        """Whether the user carries the tag."""

    def count(self, event: str, within: int) -> int:
        """Events of that kind in (now - within, now]."""

    def count_change(self, event: str, within: int) -> int | None:
        """The instant at which the oldest counted event leaves the window."""

    def in_journey(self, journey: str) -> bool:
        """Whether the user is inside that journey now."""

    def reachable(self, channel: str, template: str | None) -> bool:
        """Whether a message could be sent there now: consent, address, credit."""

    def has_consent(self, channel: str) -> bool:
        """Whether the user agreed to this journey's purpose on the channel."""

    def remaining(self, benefit: str) -> int | None:
        """Units left in the benefit's budget; None when it has no budget."""


Closure = Callable[[Any], Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_ARITHMETIC: dict[str, Callable[[Any, Any], int | float]] = {"+": add, "-": sub, "*": mul, "/": truediv}


def compile_node(node: Node) -> Closure:
    """A function from Facts to the node's value; None where something it needs is missing."""
    if isinstance(node, Const):
        value = node.value
        return lambda _: value
    if isinstance(node, Name):
        return _name(node)
    if isinstance(node, Logic):
        return _logic(node)
    if isinstance(node, Not):
        inner = compile_node(node.item)
        return lambda f: not inner(f)
    if isinstance(node, Known):
        inner = compile_node(node.item)
        return (lambda f: inner(f) is not None) if node.known else (lambda f: inner(f) is None)
    if isinstance(node, Compare):
        return _compare(node)
    if isinstance(node, In):
        item, container = compile_node(node.item), compile_node(node.container)
        return lambda f: (x := item(f)) is not None and isinstance(held := container(f), list) and x in held
    if isinstance(node, Arithmetic):
        return _arithmetic(node)
    return _call(node)


def _name(node: Name) -> Closure:
    attribute, step = node.attribute, node.step
    if node.root == "user":
        return lambda f: f.trait(attribute)
    if node.root == "entry":
        return lambda f: f.entry.get(attribute)
    if node.root == "event":
        return lambda f: f.event.get(attribute)
    return lambda f: f.steps[step].get(attribute) if step in f.steps else None


def _logic(node: Logic) -> Closure:
    items = [compile_node(item) for item in node.items]
    if len(items) == 2:  # noqa: PLR2004 - the common case, without a loop
        first, second = items
        if node.operator == "and":
            return lambda f: bool(first(f) and second(f))
        return lambda f: bool(first(f) or second(f))
    if node.operator == "and":
        return lambda f: all(item(f) for item in items)
    return lambda f: any(item(f) for item in items)


def _compare(node: Compare) -> Closure:
    left, right, operator = compile_node(node.left), compile_node(node.right), _COMPARE[node.operator]

    def compare(facts: Facts) -> bool:
        a, b = left(facts), right(facts)
        if a is None or b is None:
            return False
        try:
            return operator(a, b)
        except TypeError:  # a value of an untyped answer of an endpoint: not comparable is not true
            return False

    return compare


def calculator(operator: str) -> Callable[[Any, Any], int | float | None]:
    """`+ - * /` of two values: None when one is no number, for a division by zero, and beyond the largest number."""
    operate = _ARITHMETIC[operator]

    def calculate(a: Any, b: Any) -> int | float | None:
        if not isinstance(a, int | float) or not isinstance(b, int | float):
            return None
        try:
            result = operate(a, b)
        except (ZeroDivisionError, OverflowError):
            return None
        return as_number(result) if abs(result) <= LARGEST_NUMBER else None

    return calculate


def _arithmetic(node: Arithmetic) -> Closure:
    left, right, calculate = compile_node(node.left), compile_node(node.right), calculator(node.operator)
    return lambda f: calculate(left(f), right(f))


def _call(node: Call) -> Closure:
    function, arguments = node.function, node.arguments
    if function in TIME_FUNCTIONS:
        inner, sign = compile_node(arguments[0]), TIME_FUNCTIONS[function]
        unit = sign * (DAY if function.startswith("days") else HOUR)
        return lambda f: (t - f.now) / unit if isinstance(t := inner(f), int) else None
    if function == "segment":
        return lambda f: f.segment(arguments[0])
    if function == "has_tag":
        return lambda f: f.has_tag(arguments[0])
    if function == "count":
        return lambda f: f.count(arguments[0], arguments[1])
    if function == "in_journey":
        return lambda f: f.in_journey(arguments[0])
    if function == "reachable":
        template = arguments[1] if len(arguments) > 1 else None
        return lambda f: f.reachable(arguments[0], template)
    if function == "has_consent":
        return lambda f: f.has_consent(arguments[0])
    return lambda f: f.remaining(arguments[0])


Change = Callable[[Any], int | None]
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}  # the operator with its sides exchanged


def next_change(node: Node, times: Mapping[str, Call]) -> Change | None:
    """A function from Facts to the first instant after `now` at which a time term of the tree may change.

    None (no function) when nothing in the tree moves by time alone. For `days_since(t) op k` the instant is
    t + k · 24 h (one millisecond later where `op` is `>` or `<=`), also where the name of a trait in `times` stands for the
    function; for a window, the oldest event + the window.
    """
    changes = [c for n in walk(node) if (c := change_of(n, times)) is not None]
    if not changes:
        return None

    def earliest(facts: Facts) -> int | None:
        found = [at for change in changes if (at := change(facts)) is not None and at > facts.now]
        return min(found, default=None)

    return earliest


def change_of(node: Node, times: Mapping[str, Call]) -> Change | None:
    """The change of this one node of a tree, without what stands below it; None when it does not move by time."""
    if isinstance(node, Compare):
        return _breakpoint(node, times)
    if isinstance(node, Name) and node.root == "user":
        attribute = node.attribute
        return lambda f: f.trait_change(attribute)
    if isinstance(node, Call) and node.function == "segment":
        return lambda f: f.segment_change(node.arguments[0])
    if isinstance(node, Call) and node.function == "count":
        return lambda f: f.count_change(node.arguments[0], node.arguments[1])
    return None


def _breakpoint(node: Compare, times: Mapping[str, Call]) -> Change | None:
    left_is_time = contains_time(node.left, times)
    if not left_is_time and not contains_time(node.right, times):
        return None
    side, other, operator = node.left, node.right, node.operator
    if not left_is_time:
        side, other, operator = node.right, node.left, MIRRORED.get(operator, operator)
    call = time_call(side, times)
    if call is None:
        return None  # inside arithmetic: `check` refuses it where time matters (J049)
    moment, amount = compile_node(call.arguments[0]), compile_node(other)
    unit = DAY if call.function.startswith("days") else HOUR
    since = TIME_FUNCTIONS[call.function] < 0
    late = operator in ((">", "<=") if since else ("<", ">="))

    def at(facts: Facts) -> int | None:
        t, k = moment(facts), amount(facts)
        if not isinstance(t, int) or not isinstance(k, int | float):
            return None
        shift = round(k * unit)  # four decimals of a day or an hour are whole milliseconds
        exact = t + shift if since else t - shift
        candidates = (exact, exact + 1) if operator in ("==", "!=") else (exact + 1,) if late else (exact,)
        return next((c for c in candidates if c > facts.now), None)

    return at


def leaves_of(node: Node) -> dict[str, Node]:
    """The leaves that decide a condition, by their spelling."""
    leaves: dict[str, Node] = {}
    for leaf in walk(node):
        if isinstance(leaf, Name):
            leaves[str(leaf)] = leaf
        elif isinstance(leaf, Call) and leaf.function not in TIME_FUNCTIONS:
            spelled = ", ".join(repr(a) for a in leaf.arguments if a is not None)
            leaves[f"{leaf.function}({spelled})"] = leaf
    return leaves


def inputs(node: Node) -> list[tuple[str, Closure]]:
    """The leaves that decide a condition, each with its spelling and a closure for its value then."""
    return [(spelling, compile_node(leaf)) for spelling, leaf in leaves_of(node).items()]
