"""What `check` says in the terminal and as data: findings, the two timelines of a failed test, coverage. Looks only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from journeys.errors import Finding, Language, Place
from journeys.localtime import print_instant
from journeys.phrasing import step_name
from runtime.storyline import Line
from runtime.texts import reason, word
from runtime.timelines import Note, Row, offset
from runtime.verdicts import Coverage, Looked, Tested
from runtime.wording import Wording

MARGIN = "    "
MOST_TEXT = 60  # cells of a message's words in a timeline


def findings(console: Console, found: Sequence[Finding], language: Language) -> None:
    """One clickable line per finding."""
    for one in found:
        finding(console, one, language)


def finding(console: Console, one: Finding, language: Language) -> None:
    """One clickable line."""
    colour = "red" if one.severity == "error" else "yellow"
    console.print(f"{escape(str(one.place))}: [{colour}]{one.code}[/{colour}] {escape(one.text(language))}")


def with_timelines(console: Console, found: Sequence[Finding], files: Sequence[Looked], language: Language, zone: ZoneInfo) -> None:
    """One line per finding; under that of a failed test, of these files, both its timelines."""
    failed = failed_of(files)
    for one in found:
        finding(console, one, language)
        test = test_of(one, failed)
        if test is not None:
            timeline(console, test, language, zone)


def failed_of(files: Sequence[Looked]) -> dict[tuple[str, str], Tested]:
    """The tests that failed, by file and name."""
    return {(looked.file, test.name): test for looked in files for test in looked.tests if not test.passed}


def test_of(one: Finding, failed: Mapping[tuple[str, str], Tested]) -> Tested | None:
    """The test that a finding is about."""
    return failed.get((one.place.file, str(one.params.get("test", "")))) if one.code == "J111" else None


# --- two timelines


def timeline(console: Console, test: Tested, language: Language, zone: ZoneInfo) -> None:
    """Both timelines as one, aligned: `-` was expected, `+` came; below each what decided."""
    head = word("test_from", language, test=test.name, start=print_instant(test.start, zone))
    console.print(Text(f"{MARGIN}{head}  {word('test_legend', language)}", style="dim"))
    if test.refusal is not None:
        why = reason(str(test.refusal.why.get("reason", "")), language)
        grounds = Wording(language, zone).grounds(_line_of(test.refusal))
        told = word("not_entered", language, reason=": ".join(part for part in (why, grounds) if part))
        console.print(Text(f"{MARGIN}  {told}", style="yellow"))
    cells = [_cells(row, test.start, zone) for row in test.rows]
    widths = [max((cell_len(row[n]) for row in cells), default=0) for n in range(len(cells[0]) - 1)] if cells else []
    for row, columns in zip(test.rows, cells, strict=True):
        padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(columns, widths, strict=False)]
        style = {"-": "red", "+": "green", " ": ""}[row.mark]
        console.print(Text(f"{MARGIN}{row.mark} {'  '.join([*padded, columns[-1]]).rstrip()}", style=style))
        if row.mark == "+":
            for note in row.line.notes:
                console.print(Text(f"{MARGIN}    {_note(note, language, zone)}", style="dim"))


def _cells(row: Row, start: int, zone: ZoneInfo) -> list[str]:
    line = row.line
    text = f"“{line.text}”" if line.text and row.mark == "-" else _shortened(line.text)
    return [print_instant(line.at, zone), offset(line.at, start), f"{line.kind} {line.what}", line.step, text]


def _shortened(text: str) -> str:
    short, taken = "", 0
    for letter in text.replace("\n", " "):
        taken += cell_len(letter)
        if taken > MOST_TEXT:
            return f"{short}…"
        short += letter
    return short


def _note(note: Note, language: Language, zone: ZoneInfo) -> str:
    wording, line = Wording(language, zone), _line_of(note)
    where = f"{step_name(note.step)}: " if note.step else ""
    return f"{print_instant(note.at, zone)} {where}{wording.joined([wording.sentence(line), wording.grounds(line)])}"


def _line_of(note: Note) -> Line:
    return Line(note.at, "", None, note.step, note.action, dict(note.why))


# --- coverage


def coverage(console: Console, files: Sequence[Looked], language: Language) -> None:
    """Per journey how much its tests visit, and every step and outcome that none does."""
    for looked in files:
        if looked.journey is None:
            continue
        if looked.coverage is None:
            wrong = any(finding.severity == "error" for finding in looked.findings)
            console.print(word("coverage_not_run" if wrong else "coverage_none", language, journey=looked.journey), markup=False)
            continue
        counts = {"visited": looked.coverage.visited, "all": len(looked.coverage.places), "tests": len(looked.tests)}
        console.print(word("coverage", language, journey=looked.journey, **counts), markup=False)
        for place in looked.coverage.missed:
            kind, _, name = place.outcome.partition("_")
            told = word(f"missed_{kind}" if kind else "never_visited", language, step=place.step, name=name)
            console.print(Text(f"{MARGIN}{Place(looked.file, place.line)}  {told}", style="yellow"))


# --- data


def findings_json(found: Sequence[Finding], files: Sequence[Looked], zone: ZoneInfo) -> list[dict[str, Any]]:
    """Each finding as data; of a failed test with both timelines."""
    failed = failed_of(files)
    return [_finding_json(one, test_of(one, failed), zone) for one in found]


def _finding_json(one: Finding, test: Tested | None, zone: ZoneInfo) -> dict[str, Any]:
    place = one.place
    told = {"code": one.code, "severity": one.severity, "file": place.file, "line": place.line, "column": place.column,
            "text": one.text("en")}  # fmt: skip
    if test is None:
        return told
    refusal = _note_json(test.refusal, zone) if test.refusal is not None else None
    rows = list(_rows_json(test, zone))
    return {**told, "test": {"name": test.name, "start": print_instant(test.start, zone), "refusal": refusal, "timeline": rows}}


def _rows_json(test: Tested, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    names = {" ": "same", "-": "expected", "+": "got"}
    for row in test.rows:
        line = row.line
        yield {"side": names[row.mark], "at": print_instant(line.at, zone), "after": offset(line.at, test.start), line.kind: line.what,
               "step": line.step, "text": line.text, "why": [_note_json(note, zone) for note in line.notes]}  # fmt: skip


def _note_json(note: Note, zone: ZoneInfo) -> dict[str, Any]:
    return {"at": print_instant(note.at, zone), "action": note.action, "step": note.step, "why": note.why}


def coverage_json(files: Sequence[Looked]) -> list[dict[str, Any]]:
    """Per journey: how many places there are, how many are visited, and which are not."""
    return [_coverage_json(looked, looked.coverage) for looked in files if looked.journey is not None]


def _coverage_json(looked: Looked, covered: Coverage | None) -> dict[str, Any]:
    if covered is None:
        return {"journey": looked.journey, "tests": 0, "places": None, "visited": 0, "missed": []}
    missed = [{"line": p.line, "step": p.step, "outcome": p.outcome or None} for p in covered.missed]
    return {"journey": looked.journey, "tests": len(looked.tests), "places": len(covered.places), "visited": covered.visited,
            "missed": missed}  # fmt: skip
