"""What a condition says of everybody alike: that it never holds, always holds, or holds only where another one does.

Two-valued logic makes this safe: a comparison that holds has both its values, so bounds on one value can be weighed against each
other. What cannot be decided from the tree alone is None or False, never guessed.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from journeys.expression import Call, Compare, Const, In, Known, Logic, Name, Node, Not, Problem
from journeys.rule import Rule
from journeys.source import Path_, Source

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The values that a clause leaves for one term: numbers of an interval, or one of some texts. `spelled` tells the clause."""

    term: str
    low: float = -math.inf
    low_open: bool = False
    high: float = math.inf
    high_open: bool = False
    texts: frozenset[str] | None = None

    def empty(self) -> bool:
        if self.texts is not None:
            return not self.texts
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def both(self, other: "_Bounds") -> "_Bounds":
        if self.texts is not None or other.texts is not None:
            texts = self.texts if other.texts is None else other.texts if self.texts is None else self.texts & other.texts
            return _Bounds(self.term, texts=texts)
        low, low_open = max((self.low, self.low_open), (other.low, other.low_open))
        high, closed = min((self.high, not self.high_open), (other.high, not other.high_open))
        return _Bounds(self.term, low, low_open, high, not closed)

    def inside(self, other: "_Bounds") -> bool:
        return self.both(other) == self


def verdict(node: Node, sure: Collection[str] = ()) -> bool | None:
    """True when it always holds, False when it never does, else None. `sure` are the names of user.* that are never missing."""
    if isinstance(node, Const):
        return bool(node.value) if node.kind == "boolean" else None
    if isinstance(node, Not):
        inner = verdict(node.item, sure)
        return None if inner is None else not inner
    if isinstance(node, Logic):
        return _of_several(node, sure)
    if isinstance(node, Known) and isinstance(node.item, Name) and node.item.root == "user" and node.item.attribute in sure:
        return node.known
    if isinstance(node, Compare) and isinstance(node.left, Const) and isinstance(node.right, Const) and node.operator in ("==", "!="):
        return bool(node.left.value == node.right.value) == (node.operator == "==")
    return False if isinstance(node, In) and isinstance(node.container, Const) and not node.container.value else None


def _of_several(node: Logic, sure: Collection[str]) -> bool | None:
    verdicts = [verdict(item, sure) for item in node.items]
    deciding = node.operator == "or"  # one True decides an `or`, one False an `and`
    opposed = any(Not(item) in node.items for item in node.items)
    if deciding in verdicts or opposed:
        return deciding
    if all(found is not None for found in verdicts):
        return not deciding
    return False if node.operator == "and" and _excluding(node.items) else None


def verdict_problems(text: str, node: Node | None, sure: Collection[str]) -> list[Problem]:
    """A warning for a condition that decides nothing, because it is the same for everybody."""
    found = verdict(node, sure) if node is not None else None
    if found is None or node is None:
        return []
    if found:
        return [Problem("J054", {"found": text})]
    return [Problem("J053", {"found": text, "clauses": _culprits(node, sure) or text})]


def _culprits(node: Node, sure: Collection[str]) -> str:
    """The term whose bounds exclude each other, as far as there is one."""
    if isinstance(node, Logic) and node.operator == "and":
        term = _excluding(node.items)
        return term or next((_culprits(item, sure) for item in node.items if verdict(item, sure) is False), "")
    return ""


def _excluding(items: Sequence[Node]) -> str:
    """The term that the clauses of an `and` leave no value, or nothing."""
    left: dict[str, _Bounds] = {}
    for bounds in _bounds_of(items):
        left[bounds.term] = bounds.both(left[bounds.term]) if bounds.term in left else bounds
    return next((term for term, bounds in left.items() if bounds.empty()), "")


def implies(node: Node, other: Node) -> bool:
    """Whether `other` certainly holds wherever `node` does."""
    if node == other:
        return True
    if isinstance(node, Logic) and node.operator == "or":
        return all(implies(item, other) for item in node.items)
    if isinstance(other, Logic):
        sides = (implies(node, item) for item in other.items)
        return all(sides) if other.operator == "and" else any(sides)
    items = node.items if isinstance(node, Logic) else (node,)
    if len(items) > 1 and any(implies(item, other) for item in items):
        return True
    if isinstance(other, Known):
        return other.known and any(_reads(item, other.item) for item in items)
    wanted = next(_bounds_of([other]), None)
    if wanted is None:
        return False
    given: _Bounds | None = None
    for bounds in _bounds_of(items):
        if bounds.term == wanted.term:
            given = bounds if given is None else given.both(bounds)
    return given is not None and given.inside(wanted)


def report_covered(source: Source, cases: Sequence[tuple[Path_, Rule | None]]) -> None:
    """Report the cases, asked one after the other, that an earlier one leaves nobody."""
    for index, (path, rule) in enumerate(cases):
        for before, earlier in cases[:index]:
            if rule is None or earlier is None or verdict(rule.node) is not None or verdict(earlier.node) is not None:
                continue
            if implies(rule.node, earlier.node):
                source.report("J055", path, found=rule.text, earlier=earlier.text, line=source.place(before).line)
                break


def _reads(clause: Node, value: Node) -> bool:
    """Whether a clause that holds has this value."""
    if isinstance(clause, In):
        return clause.item == value
    sides = (clause.left, clause.right) if isinstance(clause, Compare) else ()
    return any(side == value or (isinstance(side, Call) and value in side.arguments) for side in sides)


def _bounds_of(items: Sequence[Node]) -> Iterator[_Bounds]:
    for item in items:
        if isinstance(item, In) and isinstance(item.container, Const):
            yield _Bounds(spell(item.item), texts=frozenset(map(str, item.container.value)))
        elif isinstance(item, Compare) and (bounds := _of_comparison(item)) is not None:
            yield bounds


def _of_comparison(node: Compare) -> _Bounds | None:
    left, right, operator = node.left, node.right, node.operator
    if isinstance(left, Const):
        left, right, operator = right, left, _FLIPPED[operator]
    if not isinstance(right, Const) or isinstance(left, Const) or operator == "!=":
        return None
    term, value = spell(left), right.value
    if isinstance(value, str):
        return _Bounds(term, texts=frozenset({value}))
    if isinstance(value, bool):
        return _Bounds(term, texts=frozenset({str(value)}))
    if operator == "==":
        return _Bounds(term, value, high=value)
    return _Bounds(term, value, operator == ">") if operator in (">", ">=") else _Bounds(term, high=value, high_open=operator == "<")


def spell(node: Node) -> str:
    """A term as it is written, near enough to tell terms apart and to be recognised: `days_since(user.last_order_at)`."""
    if isinstance(node, Call):
        return f"{node.function}({', '.join(spell(a) if not isinstance(a, str | int | float) else repr(a) for a in node.arguments)})"
    return str(node) if isinstance(node, Name) else repr(node.value) if isinstance(node, Const) else repr(node)
