"""Looks at journey files for `check`: loads, compiles, runs their tests, measures what these visit. Several files at once where it pays."""

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from journeys.audience import Audience, AudienceModel, compile_audience
from journeys.check import check_file
from journeys.compiled import CompiledJourney
from journeys.errors import Finding, Place
from journeys.loader import LoadedJourney, load_audience_bytes
from journeys.localtime import print_instant
from journeys.model import JourneyTest
from journeys.source import Path_, Source
from runtime.coverage import Visits, coverage_of
from runtime.settings import Project
from runtime.timelines import Difference, Line, Note, offset
from runtime.verdicts import Coverage, Looked, Tested

if TYPE_CHECKING:
    from runtime.rehearse import Rehearsed, Stage

FEW_TESTS, FEW_FILES = 24, 64  # below both, another process costs more than it saves
NOTHING = "–"  # the same in every language


@dataclass(frozen=True)
class Job:
    """A file to look at: `first` is the file which has its journey's id first."""

    loaded: LoadedJourney
    first: str


@dataclass(frozen=True)
class Bench:
    """What all files are looked at against."""

    project: Project
    audience: Audience
    ids: frozenset[str]
    tests: bool


def look_at_audience(file: str, raw: bytes | None) -> tuple[Audience, tuple[Finding, ...]]:
    """The audience in a file's bytes, with its findings; an empty one where there is no file."""
    model, source = load_audience_bytes(raw, file) if raw is not None else (AudienceModel(), Source(file, ""))
    audience = compile_audience(model, source)
    return audience, tuple(source.findings)


def look_at(bench: Bench, jobs: Sequence[Job], workers: int, started: Callable[[int], None]) -> Iterator[Looked]:
    """Every file, in the order given; `started` is told how many there are once the work is handed out."""
    total = sum(len(job.loaded.journey.tests) for job in jobs if job.loaded.journey is not None) if bench.tests else 0
    gc.set_threshold(50_000, 20, 50)  # what is compiled stays until the end: looking through it for garbage is waste
    few = total < FEW_TESTS and len(jobs) < FEW_FILES
    if workers < 2 or few or "fork" not in multiprocessing.get_all_start_methods():  # noqa: PLR2004 - itself alone
        started(len(jobs))
        yield from _in_turn(bench, jobs)
        return
    done = 0
    try:
        with _workers(bench, jobs, workers) as pool:
            results = pool.map(_in_worker, range(len(jobs)))  # hands out everything at once
            started(len(jobs))
            for looked in results:
                yield looked
                done += 1
    except BrokenProcessPool:  # somebody killed one
        yield from _in_turn(bench, jobs[done:])


def _in_turn(bench: Bench, jobs: Sequence[Job]) -> Iterator[Looked]:
    with _stage(bench) or nullcontext() as stage:
        for job in jobs:
            yield _look(bench, stage, job)


def _stage(bench: Bench) -> "Stage | None":
    """Where tests are run; the engine is not even imported where none is."""
    if not bench.tests:
        return None
    from runtime.rehearse import Stage

    return Stage(bench.audience, bench.project.world(), bench.project.rules(), bench.project.zone)


# --- in a process of its own: what was compiled here cannot be handed over, so the children are forks and compile for themselves

_HANDED: list[tuple[Bench, Sequence[Job]]] = []
_STAGES: list["Stage | None"] = []


@contextmanager
def _workers(bench: Bench, jobs: Sequence[Job], workers: int) -> Iterator[ProcessPoolExecutor]:
    _HANDED[:] = [(bench, jobs)]
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        _HANDED.clear()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear: it hands out nothing more
    _STAGES[:] = [_stage(_HANDED[0][0])]


def _in_worker(number: int) -> Looked:
    bench, jobs = _HANDED[0]
    return _look(bench, _STAGES[0], jobs[number])


# --- one file


def _look(bench: Bench, stage: "Stage | None", job: Job) -> Looked:
    project = bench.project
    journey, findings = check_file(job.loaded, bench.audience, project.world(), project.zone, bench.ids, job.first)
    identifier = job.loaded.journey.id if job.loaded.journey is not None else None
    file = job.loaded.source.file
    if journey is None or stage is None or not journey.journey.tests:
        return Looked(file, identifier, tuple(findings))
    results = [stage.run(journey, test) for test in journey.journey.tests]
    told, tests = judge(job.loaded.source, journey, results)
    coverage = coverage_of(journey, Visits.together(result.visits for result in results))
    return Looked(file, identifier, (*findings, *told, *_unread(job.loaded.source, coverage)), tests, coverage)


def judge(source: Source, journey: CompiledJourney, results: Sequence["Rehearsed"]) -> tuple[list[Finding], tuple[Tested, ...]]:
    """A finding for each test that failed, where both timelines part first, or whose user could not have entered, or not then; and all
    tests for whoever wants to see more.
    """
    findings: list[Finding] = []
    tests: list[Tested] = []
    for index, result in enumerate(results):
        place, difference = source.place(("tests", index)), result.difference
        if difference is not None:
            at = ("tests", index, "expect", difference.index) if difference.index is not None else ("tests", index, "expect")
            expected, got = _sides(result, difference, journey)
            params = {"test": result.name, "expected": expected, "got": got}
            findings.append(Finding("J111", source.place(at), params))
        elif result.refusal is not None and _is_bare(journey.journey.tests[index]):
            findings.append(Finding("J115", place, {"test": result.name, "why": _why_not(result.refusal)}))
        if result.lacking:
            found = {
                "segment": journey.entry.segment,
                "at": print_instant(result.start, journey.zone),
                "clauses": "; ".join(result.lacking),
            }
            findings.append(Finding("J116", source.place(("tests", index, "user"), key=True), {"test": result.name, **found}))
        if result.untimely is not None:
            what, following = result.untimely
            said = {"at": print_instant(result.start, journey.zone), "entry": what}
            next_at = print_instant(following, journey.zone) if following is not None else NOTHING
            findings.append(Finding("J117", source.place(("tests", index, "at")), {"test": result.name, **said, "next": next_at}))
        tests.append(Tested(result.name, place, result.start, result.passed, () if result.passed else result.rows, result.refusal))
    return findings, tuple(tests)


def _is_bare(test: JourneyTest) -> bool:
    """Whether a test says nothing of who comes: that nobody enters is then hardly what it is about."""
    return not (test.model_fields_set & {"user", "entry", "given"})


def _sides(result: "Rehearsed", difference: Difference, journey: CompiledJourney) -> tuple[str, str]:
    expected = _told(difference.expected, result.start, journey)
    if result.refusal is not None:
        return expected, _why_not(result.refusal)
    return expected, _told(difference.got, result.start, journey)


def _told(line: Line | None, start: int, journey: CompiledJourney) -> str:
    if line is None:
        return NOTHING
    step = f" ({line.step})" if line.step else ""
    text = f" “{line.text}”" if line.text else ""
    return f"{print_instant(line.at, journey.zone)} ({offset(line.at, start)}) {line.kind} {line.what}{step}{text}"


def _why_not(refusal: Note) -> str:
    why = refusal.why
    return ": ".join(str(part) for part in ("refused", why.get("reason"), why.get("clause"), why.get("where")) if part)


def _unread(source: Source, coverage: Coverage) -> list[Finding]:
    return [Finding("J112", _place_of(source, place.step), {"found": place.step}) for place in coverage.unread]


def _place_of(source: Source, step: str) -> Place:
    """Where a step's id stands."""
    for path in source.spots:
        if path[:1] == ("steps",) and path[-1] == "id" and _at(source.data, path) == step:
            return source.place(path)
    return source.place(("steps",))


def _at(data: Any, path: Path_) -> Any:
    for part in path:
        data = data[part]
    return data
