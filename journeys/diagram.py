"""The picture of a journey: its boxes, its arrows, and how its steps are nested. Every form of it is made from this one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from journeys import model
from journeys.compiled import ENDED, HELD_OUT, CompiledJourney, CompiledStep, DelaySpec, ExitSpec
from journeys.errors import Language
from journeys.labels import Line, entry_lines, missed, move_label, outer_lines, say, step_lines
from journeys.textwidth import plain

ENTRY = "$entry"
INSTANT = frozenset({"branch", "split", "update", "goto", "exit"})  # nobody rests in these


@dataclass(frozen=True, slots=True)
class Counts:
    """How many users, by place. `steps`: by step id; also ENTRY (how many entered), HELD_OUT, and `end_id` of a reason. An id that
    the journey does not have is shown as such. `moves`: by (step id, trigger of CompiledStep.moves). `what` says what the numbers
    of steps mean: who is inside now, or who passed. `paused`: since when, where nobody takes a step.
    """

    steps: Mapping[str, int] = field(default_factory=dict)
    moves: Mapping[tuple[str, str], int] = field(default_factory=dict)
    what: Literal["inside", "passed"] = "passed"
    paused: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A box: `kind` is entry, end, or the kind of a step; `name` stands out, `lines` follow it. `count` is None where nothing is known."""

    id: str
    kind: str
    name: str
    lines: tuple[Line, ...] = ()
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One way over an arrow: its trigger, what is written at it (often nothing), and how many took it."""

    trigger: str
    label: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow, with every move from its source to its target."""

    source: str
    target: str
    moves: tuple[Move, ...]
    labels: tuple[str, ...] = ()  # what is written at it, a line for each move

    @property
    def count(self) -> int | None:
        """How many went here, by all of its moves; None where none is known."""
        known = [move.count for move in self.moves if move.count is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class Arm:
    """A way out of a step that has a name: the steps nested there, and where it leads when it has none."""

    move: Move
    target: str
    stages: tuple["Stage", ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step where it stands in the file, with its arms."""

    node: Node
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Diagram:
    """A journey as a picture. `head` is said of the whole of it; `stages` are the steps of the file as they are nested."""

    id: str
    name: str
    status: str
    head: tuple[str, ...]
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    stages: tuple[Stage, ...]


def end_id(reason: str) -> str:
    """The id of the box for an end by this reason."""
    return f"{ENDED}:{reason}"


def diagram(journey: CompiledJourney, counts: Counts | None = None, language: Language = "en") -> Diagram:
    """The picture of a journey, with numbers where `counts` has them. Pure: the same journey and counts give the same picture."""
    return _Drawer(journey, counts, language).draw()


class _Drawer:
    def __init__(self, journey: CompiledJourney, counts: Counts | None, language: Language) -> None:
        self.journey, self.counts, self.language = journey, counts, language

    def draw(self) -> Diagram:
        journey = self.journey
        entered = Move("enter", "", self._steps_count(ENTRY))
        edges = [Edge(ENTRY, journey.first, (entered,))]
        for step in journey.steps.values():
            edges += self._edges(step)
        nodes = {
            ENTRY: Node(ENTRY, "entry", "", tuple(Line(plain(t)) for t in entry_lines(journey, self.language)), self._steps_count(ENTRY))
        }
        nodes |= {step.id: self._node(step) for step in journey.steps.values()}
        nodes |= {edge.target: self._end(edge.target, edges) for edge in edges if edge.target not in nodes}
        waiting = iter(journey.steps.values())
        stages = self._stages(journey.journey.steps, waiting, nodes)
        paused = [say("paused", self.language, what=self.counts.paused)] if self.counts is not None and self.counts.paused else []
        head = (*paused, *outer_lines(journey, self.language), *self._count_lines(nodes))
        return Diagram(journey.id, plain(journey.journey.name), journey.journey.status, head, nodes, tuple(edges), stages)

    def _steps_count(self, identifier: str) -> int | None:
        return self.counts.steps.get(identifier) if self.counts is not None else None

    def _node(self, step: CompiledStep) -> Node:
        count = None
        if self.counts is not None:
            count = self.counts.steps.get(step.id, 0)
            if self.counts.what == "inside" and step.kind in INSTANT:
                count = count or None
        name = step.id if step.named else step.spec.reason if isinstance(step.spec, ExitSpec) else step.kind
        return Node(step.id, step.kind, name, tuple(step_lines(self.journey, step, self.language)), count)

    def _edges(self, step: CompiledStep) -> list[Edge]:
        by_target: dict[str, list[Move]] = {}
        for trigger, to in step.moves.items():
            target = to if to != ENDED else self._end_of(step, trigger)
            if target:
                by_target.setdefault(target, []).append(self._move(step, trigger))
        found = []
        for target, moves in by_target.items():
            shown = [move for move in moves if move.trigger != "skip" or move.count]  # too late: the same way as done
            if shown:
                found.append(Edge(step.id, target, tuple(shown), self._labels(step, shown)))
        return found

    def _labels(self, step: CompiledStep, moves: Sequence[Move]) -> tuple[str, ...]:
        """Nothing where one of the moves is the plain way on, for it is taken anyhow; but the number, if not all that came went there."""
        if all(move.label for move in moves):
            return tuple(dict.fromkeys(_with_count(move.label, move.count) for move in moves))
        count = sum(move.count or 0 for move in moves)
        return (f"{count:,}",) if count and count != self._steps_count(step.id) else ()

    def _move(self, step: CompiledStep, trigger: str) -> Move:
        count = None
        if self.counts is not None and self.counts.moves:
            count = self.counts.moves.get((step.id, trigger), 0)
        return Move(trigger, move_label(step, trigger, self.language), count)

    @staticmethod
    def _end_of(step: CompiledStep, trigger: str) -> str:
        """Which end a move leads to; an exit is an end itself."""
        if trigger == "failed":
            return end_id(f"{step.id}_failed")
        if trigger == "exit":
            return end_id(" / ".join(f"{step.id}_{word}" for word in missed(step.spec))) if isinstance(step.spec, DelaySpec) else ""
        return end_id("completed")

    def _end(self, identifier: str, edges: Sequence[Edge]) -> Node:
        count = self._steps_count(identifier)
        if count is None:
            known = [edge.count for edge in edges if edge.target == identifier and edge.count is not None]
            count = sum(known) if known else None
        return Node(identifier, "end", identifier.removeprefix(f"{ENDED}:"), (), count)

    def _count_lines(self, nodes: Mapping[str, Node]) -> list[str]:
        if self.counts is None:
            return []
        lines = [say(f"reads_{self.counts.what}", self.language)]
        held_out = self.counts.steps.get(HELD_OUT)
        if held_out:
            lines.append(say("held_out", self.language, n=f"{held_out:,}"))
        gone = {step: n for step, n in self.counts.steps.items() if n and not step.startswith("$") and step not in nodes}
        if gone:
            lines.append(say("gone", self.language, what=plain(", ".join(f"{step} {n:,}" for step, n in sorted(gone.items())))))
        return lines

    def _stages(self, steps: Sequence[model.StepBase], waiting: Iterator[CompiledStep], nodes: Mapping[str, Node]) -> tuple[Stage, ...]:
        """The steps of a list and, recursively, of the lists inside: the compiled steps come in the order of the file."""
        found: list[Stage] = []
        for written in steps:
            step = next(waiting)
            lists = _nested(written)
            arms: list[Arm] = []
            inside = {trigger: self._stages(nested, waiting, nodes) for trigger, nested in lists.items()}
            for trigger, to in step.moves.items():
                move = self._move(step, trigger)
                target = to if to != ENDED else self._end_of(step, trigger)
                if move.label and trigger != "pass" and step.kind != "goto":
                    arms.append(Arm(move, target, inside.get(trigger, ())))
            found.append(Stage(nodes[step.id], tuple(arms)))
        return tuple(found)


def _nested(step: model.StepBase) -> Mapping[str, Sequence[model.StepBase]]:
    """The lists of steps inside a step, by the trigger that leads to them, in the order in which they are compiled."""
    lists: dict[str, Sequence[model.StepBase] | None] = {}
    if isinstance(step, model.BranchStep):
        lists |= {f"case_{index}": case.steps for index, case in enumerate(step.branch, 1)} | {"otherwise": step.otherwise}
    elif isinstance(step, model.SplitStep):
        lists |= {f"variant_{variant.name}": variant.steps for variant in step.split}
    elif isinstance(step, model.WaitStep):
        cases = step.wait_for.any_of
        lists |= {"event_1": step.on_event} if cases is None else {f"event_{index}": case.steps for index, case in enumerate(cases, 1)}
        lists["timeout"] = step.on_timeout
    elif isinstance(step, model.GrantStep | model.CallStep):
        lists["failed"] = step.on_failed
    return {trigger: steps for trigger, steps in lists.items() if steps is not None}


def _with_count(label: str, count: int | None) -> str:
    return f"{label} {count:,}" if count is not None else label
