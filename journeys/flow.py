"""What can be said of a journey's steps as a graph: unreachable steps, loops without a wait, results that may not exist."""

from collections.abc import Mapping

from journeys.compiled import ENDED, CallSpec, CompiledStep, DelaySpec, GrantSpec, WaitSpec
from journeys.expression import Call, Const, Logic, Name, Node, Not, walk
from journeys.rule import Rule
from journeys.source import Source
from journeys.steps import Placed
from journeys.template import Template


def check_flow(source: Source, placed: Mapping[str, Placed], steps: Mapping[str, CompiledStep], first: str) -> None:
    """Report what the graph of moves shows."""
    reached = _reached(steps, first)
    told = set(reached)
    for identifier, step in placed.items():
        if identifier in steps and identifier not in told:
            source.report("J071", step.path, found=identifier if step.named else identifier.partition("#")[0])
            told |= _reached(steps, identifier)  # what only follows from it has the same cause
    circle = _circle_without_wait(steps, reached)
    if circle:
        source.report("J072", placed[circle[0]].path, circle=" → ".join([*circle, circle[0]]))
    _check_results(source, placed, steps, reached, first)


def _reached(steps: Mapping[str, CompiledStep], first: str) -> set[str]:
    reached: set[str] = set()
    waiting = [first]
    while waiting:
        here = waiting.pop()
        if here in steps and here not in reached:
            reached.add(here)
            moves = steps[here].moves
            waiting.extend(to for trigger, to in moves.items() if trigger != "skip" or "done" in moves or "ok" in moves)
    return reached


def _circle_without_wait(steps: Mapping[str, CompiledStep], reached: set[str]) -> list[str]:
    """A circle of steps none of which waits for time or events, or nothing."""
    instant = {i for i in reached if not isinstance(steps[i].spec, DelaySpec | WaitSpec)}
    done: set[str] = set()
    for start in (i for i in steps if i in instant):
        trail: list[str] = []
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                trail.pop()
                done.add(node)
                continue
            if node in trail:
                return trail[trail.index(node) :]
            if node in done or node not in instant:
                continue
            trail.append(node)
            stack.append((node, True))
            stack.extend((to, False) for to in steps[node].moves.values())
    return []


def _check_results(source: Source, placed: Mapping[str, Placed], steps: Mapping[str, CompiledStep], reached: set[str], first: str) -> None:
    """Refuse the result of a grant or call at places that a failure can lead to."""
    failed = _may_have_failed(steps, reached, first)
    for identifier in (i for i in steps if i in reached):
        step, path = steps[identifier], placed[identifier].path
        sure = _guaranteed(step.only_if.node) if step.only_if else frozenset()
        doubtful = failed[identifier] - sure
        for node in nodes_of(step.only_if, step.spec):
            if isinstance(node, Name) and node.root == "steps" and node.attribute != "ok" and node.step in doubtful:
                source.report("J051", path, str(node), name=str(node), step=node.step)
                break


def _may_have_failed(steps: Mapping[str, CompiledStep], reached: set[str], first: str) -> dict[str, frozenset[str]]:
    """For each step, the grants and calls that may have failed on some way to it."""
    failed: dict[str, frozenset[str]] = {first: frozenset()}
    waiting = [first]
    while waiting:
        here = waiting.pop()
        step = steps[here]
        for trigger, to in step.moves.items():
            if to == ENDED or to not in reached:
                continue
            after = failed[here]
            if isinstance(step.spec, GrantSpec | CallSpec):
                if trigger == "failed":
                    after |= {here}
                elif trigger == "ok":
                    after -= {here}
            elif trigger.startswith("case_"):
                after -= _guaranteed(step.spec.cases[int(trigger[5:]) - 1].node)  # type: ignore[union-attr]
            before = failed.get(to)
            joined = after if before is None else before | after
            if joined != before:
                failed[to] = joined
                waiting.append(to)
    return failed


def _guaranteed(node: Node) -> frozenset[str]:
    """The steps that a condition proves to have succeeded: `steps.X.ok`, alone or joined by `and`."""
    if isinstance(node, Name) and node.root == "steps" and node.attribute == "ok":
        return frozenset({node.step})
    if isinstance(node, Logic) and node.operator == "and":
        return frozenset().union(*(_guaranteed(item) for item in node.items))
    return frozenset()


def nodes_of(*parts: object) -> list[Node]:
    """Every expression node in the texts and rules of a step's parts: its spec, its `if`."""
    nodes: list[Node] = []

    def collect(value: object) -> None:
        if isinstance(value, Rule):
            nodes.extend(walk(value.node))
        elif isinstance(value, Template):
            for tree in value.nodes:
                nodes.extend(walk(tree))
        elif isinstance(value, tuple | list):
            for item in value:
                collect(item)
        elif hasattr(value, "__slots__") and not isinstance(value, Const | Call | Not | str | int | float):
            for slot in value.__slots__:
                collect(getattr(value, slot))

    collect(parts)
    return nodes
