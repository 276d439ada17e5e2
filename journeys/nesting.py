"""How deep conditions go, through the traits, segments and stages that they read: a database is asked all of it in one expression. Pure."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from journeys.expression import Call, Const, Name, Node, parts_of

MOST_LEVELS = 15  # SQLite's parser has room for 20 additions of an aggregate with a window


class _Ruled(Protocol):
    @property
    def node(self) -> Node: ...


class _Made(Protocol):
    @property
    def value(self) -> _Ruled | None: ...
    @property
    def where(self) -> _Ruled | None: ...


class Nesting:
    """The levels of an audience's conditions. None of its traits and segments may need itself."""

    def __init__(self, traits: Mapping[str, _Made], segments: Mapping[str, _Ruled], stages: Iterable[_Ruled]) -> None:
        self._traits, self._segments, self._stages = traits, segments, tuple(stages)
        self._known: dict[tuple[str, str], int] = {}

    def levels(self, node: Node) -> int:
        """`user.a > 3` has one, `user.a + user.b > 3` two; what a name stands for counts with it.

        What is too deep by itself counts nothing elsewhere, so that it alone is told.
        """
        if isinstance(node, Const):
            return 0
        if isinstance(node, Name):
            return self._of_name(node.attribute) if node.root == "user" else 0
        if isinstance(node, Call) and node.function == "segment":
            rule = self._segments.get(node.arguments[0])
            return self._of("segment", node.arguments[0], [rule])
        return 1 + max((self.levels(part) for part in parts_of(node)), default=0)

    def too_deep(self, node: Node) -> int:
        """How many levels a condition has that has more than MOST_LEVELS; else 0."""
        levels = self.levels(node)
        return levels if levels > MOST_LEVELS else 0

    def _of_name(self, name: str) -> int:
        trait = self._traits.get(name)
        if trait is not None:
            return self._of("trait", name, [trait.value, trait.where])
        return self._of("stage", "", self._stages) if name == "stage" else 0

    def _of(self, kind: str, name: str, rules: Iterable[_Ruled | None]) -> int:
        key = (kind, name)
        if key not in self._known:
            levels = max((1 + self.levels(rule.node) for rule in rules if rule is not None), default=0)
            self._known[key] = levels if levels <= MOST_LEVELS + 1 else 0
        return self._known[key]
