"""What a test expects against what happened, line by line. Pure; words for people are made elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from journeys.duration import format_duration

Kind = Literal["send", "grant", "tag", "suppressed", "end"]


@dataclass(frozen=True, slots=True)
class Note:
    """What decided beside a line: an action of the log, and its why."""

    at: int
    action: str
    step: str
    why: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing in a timeline. `text` of an expected one is what the message must contain; `step` may be left open there."""

    at: int
    kind: Kind
    what: str
    step: str = ""
    text: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the comparison: ` ` came as expected, `-` was expected, `+` came. `index`: which of the file's expectations it is."""

    mark: Literal[" ", "-", "+"]
    line: Line
    index: int | None = None


def compare(expected: Sequence[Line], actual: Sequence[Line]) -> tuple[Row, ...]:
    """Both timelines as one: the longest common order stands unmarked. Complete and in order is what has no mark at all."""
    common = _common(expected, actual)
    rows: list[Row] = []
    i = j = 0
    while i < len(expected) or j < len(actual):
        if i < len(expected) and j < len(actual) and fits(expected[i], actual[j]):
            rows.append(Row(" ", actual[j], i))
            i, j = i + 1, j + 1
        elif i < len(expected) and (j == len(actual) or common[i + 1][j] >= common[i][j + 1]):
            rows.append(Row("-", expected[i], i))
            i += 1
        else:
            rows.append(Row("+", actual[j]))
            j += 1
    return tuple(rows)


def _common(expected: Sequence[Line], actual: Sequence[Line]) -> list[list[int]]:
    """How many lines fit in the best order, from each pair of places on."""
    table = [[0] * (len(actual) + 1) for _ in range(len(expected) + 1)]
    for i in reversed(range(len(expected))):
        for j in reversed(range(len(actual))):
            both = table[i + 1][j + 1] + 1 if fits(expected[i], actual[j]) else 0
            table[i][j] = max(both, table[i + 1][j], table[i][j + 1])
    return table


def fits(expected: Line, actual: Line) -> bool:
    """Whether it is what was expected: kind, name and moment, and step and text where the test names them."""
    return (
        (expected.at, expected.kind, expected.what) == (actual.at, actual.kind, actual.what)
        and expected.step in ("", actual.step)
        and expected.text in actual.text
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place at which both part. Either side may be missing."""

    expected: Line | None
    got: Line | None
    index: int | None


def first_difference(rows: Sequence[Row]) -> Difference | None:
    """Where both timelines part: the first expectation that did not come with what came about then; None when all came."""
    first = next((n for n, row in enumerate(rows) if row.mark != " "), None)
    if first is None:
        return None
    block: list[Row] = []
    for row in rows[first:]:
        if row.mark == " ":
            break
        block.append(row)
    expected = next((row for row in block if row.mark == "-"), None)
    got = next((row for row in block if row.mark == "+"), None)
    return Difference(expected.line if expected else None, got.line if got else None, expected.index if expected else None)


def offset(at: int, start: int) -> str:
    """`+8h30m` from the start of the test; what is below a second is left out."""
    return f"+{format_duration((at - start) // 1000 * 1000)}"
