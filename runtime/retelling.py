"""Writes a story that happened into its journey's file as a test, once the test has been run and tells the same."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from journeys.check import check
from journeys.compiled import CompiledJourney
from journeys.duration import SECOND
from journeys.errors import did_you_mean
from journeys.loader import Definitions, LoadedJourney, load_definitions, load_journey_bytes
from runtime.app import App
from runtime.appending import CannotAppend, appended
from runtime.looking import judge
from runtime.recording import Recorded, expectations, record
from runtime.rehearse import Rehearsed, Stage
from runtime.settings import Project
from runtime.store.reports import Story
from runtime.timelines import Line, Row, compare
from runtime.verdicts import Tested

CLOSE = 2 * SECOND  # a story's times are written in whole seconds


class CannotRecord(Exception):
    """There is no such story, or no place for it; the message says what to do."""


@dataclass(frozen=True)
class Retold:
    """What came of it. `differing` are the story (expected) and the test (got) where they part: what could not be reproduced."""

    file: Path
    line: int
    test: Tested
    differing: tuple[Row, ...]
    written: bool


@dataclass(frozen=True)
class Wanted:
    """Which story: of whom, in which journey (where she was in one only, it need not be said), under which name."""

    name: str
    user: str
    journey: str | None


def retell(app: App, project: Project, wanted: Wanted, *, force: bool) -> Retold:
    """Write the latest ended enrolment as a test. With differences nothing is written, but by `force`: then as the story was.

    Raises CannotRecord.
    """
    with app.store.database.reading() as tx:
        user_id = app.store.identity.survivors(tx, [wanted.user]).get(wanted.user, wanted.user)
        story = app.store.reports.story(tx, user_id)
        people = app.store.people.load_users(tx, [user_id])
    if user_id not in people:
        msg = f"nobody is known by the id {wanted.user}"
        raise CannotRecord(msg)
    enrolment = _enrolment(story, wanted)
    definitions = load_definitions(project.definitions)
    loaded, journey = _journey(definitions, project, str(enrolment["journey"]), wanted.name)
    audience = app.engine.catalogue.audience
    recorded = record(wanted.name, story, people[user_id], enrolment, journey, audience)
    file = Path(loaded.source.file)
    try:
        raw, line = appended(file.read_bytes(), str(file), recorded.test)
    except CannotAppend as error:
        raise CannotRecord(str(error)) from None
    tested, result = _run(definitions, project, loaded, raw, len(journey.journey.tests))
    differing = _differing(recorded, result)
    good = not any(row.mark != " " for row in differing)
    if good:  # the seconds of the test's own run
        raw, line = appended(file.read_bytes(), str(file), {**recorded.test, "expect": _as_it_ran(recorded, result, journey.zone)})
        tested, result = _run(definitions, project, loaded, raw, len(journey.journey.tests))
    if good or force:
        _write(file, raw)
    return Retold(file, line, tested, differing, good or force)


def _enrolment(story: Story, wanted: Wanted) -> Mapping[str, Any]:
    hers = {str(e["journey"]) for e in story.enrolments}
    if not hers:
        msg = f"{wanted.user} was never in a journey; `journeyd explain {wanted.user}` says why"
        raise CannotRecord(msg)
    if wanted.journey is None and len(hers) > 1:
        msg = f"{wanted.user} was in several journeys; say which: --journey {' | '.join(sorted(hers))}"
        raise CannotRecord(msg)
    journey = wanted.journey or next(iter(hers))
    mine = [e for e in story.enrolments if e["journey"] == journey]
    if not mine:
        hint = did_you_mean(journey, hers)
        msg = f"{wanted.user} was never in {journey}" + (f", did you mean {hint}?" if hint else f"; she was in {', '.join(sorted(hers))}")
        raise CannotRecord(msg)
    ended = [e for e in mine if e["ended_at"] is not None]
    if not ended:
        msg = f"{wanted.user} is still inside {journey}; record her story when it has ended"
        raise CannotRecord(msg)
    return ended[-1]


def _journey(definitions: Definitions, project: Project, identifier: str, name: str) -> tuple[LoadedJourney, CompiledJourney]:
    loaded = next((found for found in definitions.journeys if found.journey is not None and found.journey.id == identifier), None)
    journey = check(definitions, project.world(), project.zone).journeys.get(identifier)
    if loaded is None or journey is None:
        msg = f"there is no file of {identifier} without errors; see `journeyd check`"
        raise CannotRecord(msg)
    if any(test.name == name for test in journey.journey.tests):
        msg = f"{loaded.source.file} has a test “{name}” already; choose another name"
        raise CannotRecord(msg)
    return loaded, journey


def _run(definitions: Definitions, project: Project, loaded: LoadedJourney, raw: bytes, index: int) -> tuple[Tested, Rehearsed]:
    """The test in the file as it would be."""
    again = load_journey_bytes(raw, loaded.source.file)
    journeys = tuple(again if found is loaded else found for found in definitions.journeys)
    checked = check(Definitions(journeys, definitions.audience, definitions.audience_source), project.world(), project.zone)
    identifier = loaded.journey.id if loaded.journey is not None else ""
    journey = checked.journeys.get(identifier)
    if journey is None:
        said = "\n".join(finding.line() for finding in checked.findings if finding.place.file == loaded.source.file)
        msg = f"the story cannot be told as a test of {identifier}:\n{said}"
        raise CannotRecord(msg)
    with Stage(checked.audience, project.world(), project.rules(), project.zone) as stage:
        result = stage.run(journey, journey.journey.tests[index])
    _, tests = judge(again.source, journey, [result])
    return tests[0], result


def _differing(recorded: Recorded, result: Rehearsed) -> tuple[Row, ...]:
    """The story against the run of its test: whether the same came of it, give or take the seconds that are not written."""
    ran = [row.line for row in result.rows if row.mark != "-"]
    near = [_at_the_same_time(line, ran[n]) if n < len(ran) else line for n, line in enumerate(recorded.timeline)]
    return compare([Line(line.at, line.kind, line.what, line.step, "", line.notes) for line in near], ran)


def _at_the_same_time(told: Line, ran: Line) -> Line:
    return Line(ran.at, told.kind, told.what, told.step, "", told.notes) if abs(told.at - ran.at) < CLOSE else told


def _as_it_ran(recorded: Recorded, result: Rehearsed, zone: ZoneInfo) -> list[dict[str, Any]]:
    return expectations([row.line for row in result.rows if row.mark != "-"], recorded.start, zone)


def _write(file: Path, raw: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(descriptor, "wb") as made:
        made.write(raw)
    Path(name).chmod(file.stat().st_mode)
    Path(name).replace(file)
