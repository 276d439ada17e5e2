"""A journey as a tree for the terminal: indented, with the conditions of its branches, its ends, and numbers at the left."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from journeys.compiled import CompiledJourney
from journeys.diagram import Arm, Counts, Node, Stage, diagram, end_id
from journeys.errors import Language
from journeys.labels import Line, say
from journeys.textwidth import cells, wrap

LEAST = 24  # columns that details get, however deep they stand and narrow the terminal is


class Span(NamedTuple):
    """A part of a row: `style` is the kind of a step, or title, name, quiet, label, number, guide; empty for plain text."""

    text: str
    style: str = ""


Row = tuple[Span, ...]


def outline(journey: CompiledJourney, counts: Counts | None = None, *, language: Language = "en", width: int | None = None) -> list[Row]:
    """The rows of the tree. With a width (columns), long rows go on below where their details begin; without, each step is one row."""
    picture = diagram(journey, counts, language)
    numbers = [node.count for node in picture.nodes.values()] + [move.count for edge in picture.edges for move in edge.moves]
    gutter = max((len(f"{n:,}") + 1 for n in numbers if n is not None), default=0)
    tree = _Tree(language, width, gutter, {identifier: node.name or identifier for identifier, node in picture.nodes.items()})
    rows: list[Row] = [(Span(f"{picture.name} · {picture.id}" if picture.name else picture.id, "title"),)]
    status = [say("status", language, what=picture.status)] if picture.status != "live" else []
    rows += [(Span(part, "quiet"),) for line in (*status, *picture.head) for part in (wrap(line, width, cells) if width else [line])]
    tree.entry(next(iter(picture.nodes.values())))
    end = picture.nodes.get(end_id("completed"))
    tree.stages(picture.stages, "", "", end)
    return rows + tree.rows


def as_text(rows: Sequence[Row]) -> str:
    """The rows without their styles."""
    return "".join("".join(span.text for span in row).rstrip() + "\n" for row in rows)


@dataclass
class _Tree:
    language: Language
    width: int | None
    gutter: int
    names: dict[str, str]
    rows: list[Row] = field(default_factory=list)

    def entry(self, node: Node) -> None:
        self._row(node.count, "", [Span(say("entry", self.language), "entry"), Span(" ")], self._details(node.lines), "│  ")

    def stages(self, stages: Sequence[Stage], guides: str, onward: str, end: Node | None = None) -> None:
        """A list of steps, its kinds and names one below the other. `onward` is the step below to which the last one goes on."""
        kinds = max((cells(self._kind(stage.node)) for stage in stages), default=0)
        names = max((cells(_name(stage.node)) for stage in stages), default=0)
        for position, stage in enumerate(stages):
            node, last = stage.node, position == len(stages) - 1 and end is None
            below = guides + ("   " if last else "│  ")
            kind, name, details = self._kind(node), _name(node), self._details(node.lines)
            head = [Span(kind + " " * (kinds - cells(kind) + 1), node.kind), Span(name, "name")]
            head += [Span(" " * (names - cells(name) + 2))] if details else []
            self._row(node.count, guides + ("└─ " if last else "├─ "), head, details, below + ("│  " if stage.arms else "   "))
            self._arms(stage.arms, below, stages[position + 1].node.id if position + 1 < len(stages) else onward)
        if end is not None:
            self._row(end.count, guides + "└─ ", [Span(self._kind(end) + " ", end.kind), Span(end.name, "name")], "", "")

    def _arms(self, arms: Sequence[Arm], guides: str, onward: str) -> None:
        for position, arm in enumerate(arms):
            last = position == len(arms) - 1
            below = guides + ("   " if last else "│  ")
            # whoever just goes on meets the next step as everybody does: it may have a condition, and need not take her in
            on = say("onward", self.language) if arm.target == onward else self.names[arm.target]
            leads = "" if arm.stages else f" → {on}"
            label = arm.move.label.replace("\u00a0", " ") + leads
            self._row(arm.move.count, guides + ("└─ " if last else "├─ "), [], label, below + ("│  " if arm.stages else "   "), "label")
            self.stages(arm.stages, below, onward)

    def _details(self, lines: Sequence[Line]) -> str:
        return ("；" if self.language == "zh" else "; ").join(_joined(lines))

    def _kind(self, node: Node) -> str:
        return say(node.kind, self.language)

    def _row(self, number: int | None, guides: str, head: list[Span], details: str, below: str, style: str = "") -> None:
        """One row, and those that its details need below; `below` are the guides there."""
        shown = (f"{number:,} " if number is not None else "").rjust(self.gutter)
        start = self.gutter + cells(guides) + sum(cells(span.text) for span in head)
        first, *others = self._wrapped(details, start)
        self.rows.append((Span(shown, "number" if number else "quiet"), Span(guides, "guide"), *head, Span(first, style)))
        for other in others:
            indent = max(start, self.gutter + cells(below))
            self.rows.append(
                (Span(" " * self.gutter), Span(below, "guide"), Span(" " * (indent - self.gutter - cells(below))), Span(other, style))
            )

    def _wrapped(self, details: str, start: int) -> list[str]:
        return [details] if self.width is None else wrap(details, max(self.width - start, LEAST), cells)


def _name(node: Node) -> str:
    return node.name if node.name != node.kind else ""


def _joined(lines: Sequence[Line]) -> Iterator[str]:
    """What a message begins with stands behind its channel."""
    text = ""
    for line in lines:
        if line.quiet:
            text += f" {line.text}"
            continue
        if text:
            yield text
        text = line.text
    if text:
        yield text
