"""What `check` found of each file: findings, tests, coverage. Plain data that is kept and shown; nothing is looked at here.

Imports nothing heavy: a check in which nothing has changed is over before an engine would be loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journeys.errors import Finding
from journeys.errors import Place as Position
from runtime.timelines import Line, Note, Row


@dataclass(frozen=True, slots=True)
class Place:
    """A step, or one outcome of it, that a test can visit. `line` is the step's; an unnamed exit is called by its reason."""

    step: str
    outcome: str
    line: int
    visited: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """Everything of a journey that a test could visit, in the order of the file; `unread`: send steps whose text no test rendered."""

    places: tuple[Place, ...]
    unread: tuple[Place, ...] = ()

    @property
    def visited(self) -> int:
        """How many of the places were visited."""
        return sum(place.visited for place in self.places)

    @property
    def missed(self) -> tuple[Place, ...]:
        """What no test visits. The outcomes of a step that none reaches are not told beside it."""
        never = {place.step for place in self.places if not place.outcome and not place.visited}
        return tuple(p for p in self.places if not p.visited and not (p.outcome and p.step in never))


@dataclass(frozen=True, slots=True)
class Tested:
    """A test that was run. `rows` compare both timelines where it failed; `refusal` says why the user never entered, where she did not."""

    name: str
    place: Position
    start: int
    passed: bool
    rows: tuple[Row, ...] = ()
    refusal: Note | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """One file as `check` sees it. `journey` is its id where it has one; `coverage` where its tests were run."""

    file: str
    journey: str | None
    findings: tuple[Finding, ...]
    tests: tuple[Tested, ...] = ()
    coverage: Coverage | None = None


def looked_from(data: Mapping[str, Any]) -> Looked:
    """From the JSON that orjson makes of it. Raises KeyError, TypeError or ValueError for anything else."""
    covered = data["coverage"]
    coverage = Coverage(_places(covered["places"]), _places(covered["unread"])) if covered is not None else None
    tests = tuple(_tested(test) for test in data["tests"])
    return Looked(data["file"], data["journey"], findings_from(data["findings"]), tests, coverage)


def findings_from(data: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Findings from their JSON."""
    return tuple(Finding(f["code"], Position(**f["place"]), dict(f["params"])) for f in data)


def _places(data: Sequence[Mapping[str, Any]]) -> tuple[Place, ...]:
    return tuple(Place(**place) for place in data)


def _tested(data: Mapping[str, Any]) -> Tested:
    rows = tuple(Row(row["mark"], _line(row["line"]), row["index"]) for row in data["rows"])
    refusal = Note(**data["refusal"]) if data["refusal"] is not None else None
    return Tested(data["name"], Position(**data["place"]), data["start"], data["passed"], rows, refusal)


def _line(data: Mapping[str, Any]) -> Line:
    return Line(**{**data, "notes": tuple(Note(**note) for note in data["notes"])})
