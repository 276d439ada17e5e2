"""What is doubtful in a condition that can be read: it drops people, it decides nothing, it asks for what nobody is. Pure."""

from collections.abc import Iterator

from journeys.certainty import verdict_problems
from journeys.errors import near_named
from journeys.expression import Compare, Const, In, Name, Node, Problem, Scope, drops_of, walk


def doubts_of(text: str, node: Node | None, scope: Scope) -> list[Problem]:
    """Warnings for a condition; none for one that could not be read."""
    return [*drops_of(node, scope), *verdict_problems(text, node, scope.sure), *_never(node, scope)] if node is not None else []


def _never(node: Node, scope: Scope) -> list[Problem]:
    """Of what holds ids of stages or segments: each text that it is compared with and never is. An empty text may be asked for."""
    return [
        Problem("J036", {"name": str(name), "found": found, **near_named(found, scope.named[str(name)])}, found)
        for name, found in _compared(node)
        if found and found not in scope.named.get(str(name), {found})
    ]


def _compared(node: Node) -> Iterator[tuple[Name, str]]:
    for part in walk(node):
        if isinstance(part, Compare):
            for name, other in ((part.left, part.right), (part.right, part.left)):
                if isinstance(name, Name) and isinstance(other, Const):
                    yield name, str(other.value)
        elif isinstance(part, In) and isinstance(part.item, Name) and isinstance(part.container, Const):
            yield from ((part.item, str(value)) for value in part.container.value)
