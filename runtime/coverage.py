"""Which steps and outcomes of a journey its tests visit, and which texts they never render. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from journeys.compiled import ENDED, CompiledJourney, CompiledStep, SendSpec
from journeys.phrasing import step_name
from runtime.verdicts import Coverage, Place

Move = tuple[str, str]  # a step and the trigger of a move out of it, or the channel that it sent by


class Trodden(dict[str, str]):
    """A step's table of moves that notes which of them are taken."""

    def __init__(self, step: CompiledStep, taken: set[Move]) -> None:
        super().__init__(step.moves)
        self._step, self._taken = step.id, taken

    def __getitem__(self, trigger: str) -> str:
        self._taken.add((self._step, trigger))
        return super().__getitem__(trigger)


def followed(journey: CompiledJourney, taken: set[Move]) -> CompiledJourney:
    """The same journey; every move that is taken in it is noted."""
    return replace(journey, steps={i: replace(step, moves=Trodden(step, taken)) for i, step in journey.steps.items()})


@dataclass(frozen=True)
class Visits:
    """What the tests of a journey visited: moves, steps stood in, and steps that sent, each with the channel."""

    moves: frozenset[Move] = frozenset()
    steps: frozenset[str] = frozenset()
    sent: frozenset[Move] = frozenset()

    @staticmethod
    def together(several: Iterable["Visits"]) -> "Visits":
        """What any of them visited."""
        all_ = list(several)
        return Visits(
            frozenset().union(*(v.moves for v in all_)),
            frozenset().union(*(v.steps for v in all_)),
            frozenset().union(*(v.sent for v in all_)),
        )


def visits(journey: CompiledJourney, taken: Iterable[Move], sent: Iterable[Move], *, began: bool) -> Visits:
    """The visits of one test, from the moves it took; `began`: the user took the first step (she was let in, and not held out)."""
    moves = frozenset(taken)
    steps = {journey.steps[step].moves[trigger] for step, trigger in moves} - {ENDED}
    return Visits(moves, frozenset(steps | {step for step, _ in moves} | ({journey.first} if began else set())), frozenset(sent))


def coverage_of(journey: CompiledJourney, seen: Visits) -> Coverage:
    """What was visited of a journey."""
    places: list[Place] = []
    unread: list[Place] = []
    for step in sorted(journey.steps.values(), key=lambda s: s.index):
        name = step_name(step.id)
        places.append(Place(name, "", step.line, step.id in seen.steps))
        places += [Place(name, trigger, step.line, (step.id, trigger) in seen.moves) for trigger in outcomes(step)]
        if isinstance(step.spec, SendSpec):
            sent = {channel for sender, channel in seen.sent if sender == step.id}
            channels = dict.fromkeys(position.channel for position in step.spec.positions)
            if len(channels) > 1 and sent:  # the text for the phone that has no WeChat is one more text
                places += [Place(name, f"channel_{channel}", step.line, channel in sent) for channel in channels]
            if not sent:
                unread.append(Place(name, "", step.line, visited=False))
    return Coverage(tuple(places), tuple(unread))


def outcomes(step: CompiledStep) -> Iterator[str]:
    """The ways out of a step that lead apart: cases, otherwise, variants, awaited events, timeout, and a failure the file cares for."""
    if step.kind in ("branch", "split", "wait_for"):
        yield from (trigger for trigger in step.moves if trigger not in ("pass", "done", "skip"))
    elif step.moves.get("failed", ENDED) != ENDED:
        yield "failed"
