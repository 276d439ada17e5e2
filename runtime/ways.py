"""How people went through a journey, by the lines of the log: which steps were reached, and by which moves. Pure."""

from collections import Counter
from collections.abc import Callable

from journeys.compiled import ENDED, HELD_OUT, CompiledJourney, DelaySpec, ExitSpec, GotoSpec, WaitSpec
from journeys.diagram import ENTRY, Counts, end_id
from runtime.enrol import held_out
from runtime.state import LogEntry

_NOWHERE = ("event_ignored", "settled_late", "goal_reached", "exit_when")  # about a step, and no step towards anything
_SILENT = (GotoSpec, DelaySpec, ExitSpec)  # steps that may be taken without a line: a jump, a delay that was over, an exit
_TRIGGERS = {"passed_over": "pass", "timed_out": "timeout", "granted": "ok", "call_ok": "ok", "grant_failed": "failed",
             "call_failed": "failed", "late": "skip", "sent": "done", "suppressed": "done", "updated": "done"}  # fmt: skip
Hop = tuple[str, str, str]  # a step, the trigger of its move, where it led


class Ways:
    """Counts the ways of a journey's enrolments. Lines come enrolment by enrolment, in the order of time."""

    def __init__(self, journey: CompiledJourney) -> None:
        self.journey = journey
        self.steps: Counter[str] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()
        self._enrolment = 0
        self._here, self._trigger = "", ""  # where it stands, and the move that is known to be next
        self._found: dict[tuple[str, str, str], tuple[Hop, ...]] = {}

    def line(self, enrolment: int, user_id: str, line: LogEntry) -> None:
        """Take the next line."""
        if enrolment != self._enrolment:
            self._enrolment, self._here, self._trigger = enrolment, "", ""
            self.steps[ENTRY] += 1
            if held_out(self.journey, user_id):
                self.steps[HELD_OUT] += 1
        if line.action == "ended":
            reason = line.why["reason"]
            self.steps[end_id(reason)] += 1
            self._go(end_id(reason))
        elif line.action not in _NOWHERE and line.step in self.journey.steps:
            if line.step != self._here:
                self._go(line.step)
            self._trigger = self._next(line) or self._trigger

    def counts(self) -> Counts:
        """What was counted. Whoever a step's `if` passes over did not take it: 20 sent is not 74, who came there."""
        guarded = [step.id for step in self.journey.steps.values() if step.only_if is not None]
        taken = self.steps - Counter({step: self.moves[step, "pass"] for step in guarded if step in self.steps})
        return Counts({step: taken[step] for step in sorted(self.steps)}, dict(sorted(self.moves.items())))

    def _go(self, target: str) -> None:
        asked = (self._here, self._trigger, target)
        if asked not in self._found:
            self._found[asked] = self._way(*asked)
        for state, trigger, following in self._found[asked]:
            if state:
                self.moves[state, trigger] += 1
            if following in self.journey.steps:
                self.steps[following] += 1
        self._here, self._trigger = target, ""

    def _way(self, here: str, trigger: str, target: str) -> tuple[Hop, ...]:
        """From one line to the next: over steps that say nothing, where there are such. Nothing where something else led there."""
        journey, arrives = self.journey, _arrival(self.journey, target)
        if not here:
            if target.startswith(ENDED) and not arrives(journey.first, ""):
                return ()
            first = ("", "", journey.first)
            return (first,) if arrives(journey.first, "") else (first, *self._search(journey.first, "", arrives))
        return self._search(here, trigger, arrives)

    def _search(self, start: str, trigger: str, arrives: Callable[[str, str], bool]) -> tuple[Hop, ...]:
        """The shortest way; its first move is by `trigger`, where that is known."""
        ways: list[tuple[Hop, ...]] = [()]
        seen = {start}
        for way in ways:
            here = way[-1][2] if way else start
            moves = self.journey.steps[here].moves
            known = {trigger: moves[trigger]} if not way and trigger in moves else moves
            for by, state in known.items():
                if arrives(state, here):
                    return (*way, (here, by, state))
                if state in self.journey.steps and state not in seen and isinstance(self.journey.steps[state].spec, _SILENT):
                    seen.add(state)
                    ways.append((*way, (here, by, state)))
        return ()

    def _next(self, line: LogEntry) -> str:
        """The move that a line leads to, where it says so."""
        step = self.journey.steps[line.step]
        if line.action == "branched":
            case = line.why["case"]
            return case if case == "otherwise" else f"case_{case}"
        if line.action == "split":
            return f"variant_{line.why['variant']}"
        if line.action == "matched" and isinstance(step.spec, WaitSpec):
            if not step.spec.cases:  # a condition came true
                return "event_1"
            cases = [n for n, case in enumerate(step.spec.cases, 1) if line.why.get("event") in case.names]
            return f"event_{cases[0]}" if len(cases) == 1 else ""
        return _TRIGGERS.get(line.action, "")


def _arrival(journey: CompiledJourney, target: str) -> Callable[[str, str], bool]:
    """Whether a move to a state (from another) is the one that was looked for: to a step, or to an end with this reason."""
    if not target.startswith(ENDED):
        return lambda state, _: state == target
    reason = target.partition(":")[2]

    def ends(state: str, here: str) -> bool:
        if state in journey.steps:
            spec = journey.steps[state].spec
            return isinstance(spec, ExitSpec) and spec.reason == reason
        return state == ENDED and (reason == "completed" or reason.startswith(f"{here}_"))

    return ends
