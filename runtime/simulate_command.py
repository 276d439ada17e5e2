"""`journeyd simulate`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from journeys.check import Checked, check
from journeys.errors import Language
from journeys.loader import load_audience_text, load_definitions
from journeys.localtime import print_instant
from journeys.values import parse_time
from runtime import show
from runtime.app import App
from runtime.applying import check_project, check_release, origins_in
from runtime.badrows import BadRows
from runtime.caveats import caveats_of
from runtime.commandline import (
    A_RELEASE,
    FAILED,
    OK,
    USAGE,
    Config,
    DatabasePath,
    EventType,
    Json,
    Map,
    Stop,
    err,
    names_of,
    print_json,
    project_of,
    reading_app,
)
from runtime.comparing import Comparison, compare
from runtime.eventfile import PLAIN, Shape, to_stderr, wrong_columns
from runtime.foreseen import Foreseen
from runtime.past import WHOLE, DatabasePast, FilePast, Past, RecordFile, Sample
from runtime.report import report
from runtime.rowfile import KINDS, RowFile
from runtime.settings import Project
from runtime.show_foreseen import compared_table, foreseen_table
from runtime.simulate import Replay, simulate
from runtime.store import SqlStore
from runtime.texts import word

_RELEASE = re.compile(r"(?:release[ :]?)?([0-9]+)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)%")

EventFile = Annotated[
    Path | None,
    Parameter(help="CSV with id,type,user_id,time and further columns as fields, or JSONL of events; in any order, plain or .gz"),
]
UserFile = Annotated[
    Path | None,
    Parameter(help="user records (JSONL, or CSV of traits); without it everybody of a file can be reached and has consented"),
]
Begins = Annotated[
    str | None, Parameter(name="--from", help="from this day or time on; what was before makes the profiles, and moves nobody")
]
ReleaseNumber = Annotated[
    int | None,
    Parameter(name=["--release", "--version"], validator=A_RELEASE, help="the journeys of this release, instead of the files"),
]
Against = Annotated[
    str | None, Parameter(help="who gets what she does not get by these: `applied`, the number of a release, or a folder of journey files")
]


def simulate_(  # noqa: PLR0913 - each is an option of its own
    *,
    events: EventFile = None,
    from_database: Annotated[bool, Parameter(negative=(), help="the events that the project's database has, instead of a file")] = False,
    map_: Map = None,
    type_: EventType = "",
    users: UserFile = None,
    from_: Begins = None,
    until: Annotated[str | None, Parameter(help="go on to this time; default is the time of the last event")] = None,
    sample: Annotated[
        str | None, Parameter(help="a part of the users, such as 10%: by a hash of their ids, so always the same ones")
    ] = None,
    applied: Annotated[bool, Parameter(negative=(), help="the journeys of the newest release, instead of the files")] = False,
    release: ReleaseNumber = None,
    against: Against = None,
    report_: Annotated[Path | None, Parameter(name="--report", help="write an HTML page with pictures to this file")] = None,
    config: Config = Path(),
    database: DatabasePath = None,
    json: Json = False,
) -> int:
    """Run the past through the journeys on a virtual clock: what would have been sent, to whom, when, at what cost."""
    project = project_of(config, database)
    if (events is None) == (not from_database):
        raise Stop(USAGE, "what past is to be simulated? give --events FILE, or --from-database, and not both")
    if applied and release is not None:
        raise Stop(USAGE, "--applied is the newest release, --release a chosen one: give one of them")
    begins, end, part = _instant(project, "--from", from_), _instant(project, "--until", until), _sample(sample)
    if begins is not None and end is not None and end < begins:
        raise Stop(USAGE, f"--until {until} is before --from {from_}")
    shape = Shape(names_of(map_), type_)
    if events is None and shape != PLAIN:
        raise Stop(USAGE, "--map and --type say how the rows of --events FILE are read: there is none")
    if events is not None:
        _readable(events, shape)
    if users is not None:
        _readable(users)
    if report_ is not None and (report_.is_dir() or not report_.absolute().parent.is_dir()):
        problem = "expected a file, found a folder" if report_.is_dir() else f"there is no folder {report_.absolute().parent}"
        raise Stop(FAILED, f"{report_}: {problem}")
    needs_database = from_database or applied or release is not None or (against is not None and _is_release(against))
    app = reading_app(config, database) if needs_database else None
    try:
        chosen = _Chosen(project, app)
        after = chosen.release(release) if applied or release is not None else check_project(project)
        before = chosen.other(against) if against is not None else None
        past = FilePast(events, project.zone, to_stderr, shape) if events is not None else DatabasePast(_opened(app).store, project.zone)
        records = RecordFile(users, project.zone, to_stderr) if users is not None else None
        runs = _Runs(project, past, records, Replay(past, part, begins, end, records), app.store if app is not None else None)
        found = runs.run(after, "simulate")
        renamed = {name: journey.renamed for name, journey in after.journeys.items()}
        compared = compare(runs.run(before, f"--against {against}"), found, renamed) if before is not None else None
    finally:
        if app is not None:
            app.close()
    caveats = caveats_of(
        found,
        project.language(),
        from_database=from_database,
        has_users=users is not None,
        has_history=begins is not None,
        bad_rows=sum(file.count for file in runs.read),
    )
    stages = {stage.stage: stage.name for stage in load_audience_text(after.audience_text)[0].lifecycle}
    _print(project.language(), found, compared, caveats, runs.read, stages, as_json=json)
    if report_ is not None:
        try:
            report_.write_text(report(found, compared, after, caveats, project.language()), encoding="utf-8")
        except OSError as error:
            raise Stop(FAILED, f"{report_}: cannot be written ({error.strerror})") from None
        err.print(word("written", project.language(), file=report_), markup=False)
    return OK


class _Runs:
    """Runs of one past. Its bad rows are shown by the first. With a database (`store`) its people are drawn as there."""

    def __init__(self, project: Project, past: Past, records: RecordFile | None, asked: Replay, store: SqlStore | None) -> None:
        self.project, self.past, self.records, self.asked, self.store = project, past, records, asked, store

    def run(self, checked: Checked, title: str) -> Foreseen:
        """One version over the past."""
        asked = replace(self.asked, origins=origins_in(self.store, checked)) if self.store is not None else self.asked
        with show.spinner(err, title) as said:
            return simulate(self.project, checked, asked, lambda at: said(f"{self.past.done:.0%} {show.instant(at, self.project.zone)}"))

    @property
    def read(self) -> list[BadRows]:
        """What was wrong with the rows of each file."""
        read = [self.past.bad if isinstance(self.past, FilePast) else None, self.records.bad if self.records is not None else None]
        return [bad for bad in read if bad is not None]


class _Chosen:
    """Journeys from elsewhere than the project's own files."""

    def __init__(self, project: Project, app: App | None) -> None:
        self.project, self.app = project, app

    def other(self, against: str) -> Checked:
        """Those of --against."""
        if against == "applied":
            return self.release(None)
        if match := _RELEASE.fullmatch(against):
            return self.release(int(match[1]))
        folder = Path(against)
        if not folder.is_dir():
            raise Stop(USAGE, f"--against {against}: expected `applied`, the number of a release, or a folder of journey files")
        if (folder / "config.toml").is_file():
            folder = project_of(folder).definitions
        return check(load_definitions(folder), self.project.world(), self.project.zone)

    def release(self, number: int | None) -> Checked:
        """Those of a release (None: the newest), under this project's config."""
        store = _opened(self.app).store
        with store.database.reading() as tx:
            found = store.releases.current(tx) if number is None else store.releases.release(tx, number)
            newest = store.releases.current_id(tx)
        if found is None:
            there = f"the newest is {newest}" if newest else "nothing is applied yet; `journeyd apply` makes the first"
            raise Stop(FAILED, f"there is no release {number}; {there}" if number is not None else there)
        return check_release(self.project, found)


def _opened(app: App | None) -> App:
    assert app is not None  # noqa: S101 - opened where a release or the database's events are asked for
    return app


def _is_release(text: str) -> bool:
    return text == "applied" or _RELEASE.fullmatch(text) is not None


def _instant(project: Project, option: str, text: str | None) -> int | None:
    found = parse_time(text, project.zone) if text is not None else None
    if text is not None and found is None:
        raise Stop(USAGE, f"{option}: expected a time such as 2026-12-31 or 2026-12-31T18:00+08:00, found {text}")
    return found


def _sample(text: str | None) -> Sample:
    match = _PERCENT.fullmatch(text or "100%")
    parts = round(float(match[1]) * 100) if match is not None else 0
    if not 0 < parts <= WHOLE:
        raise Stop(USAGE, f"--sample: expected a part of the users between 0.01% and 100%, such as 10%, found {text}")
    return Sample(parts)


def _readable(path: Path, events: Shape | None = None) -> None:
    """Raises Stop with what is wrong with a file before any work is begun."""
    if not path.is_file():
        raise Stop(FAILED, f"{path}: no such file")
    try:
        file = RowFile(path)
        if file.kind not in KINDS:
            raise Stop(FAILED, f"{path}: expected {', '.join(KINDS)} (or .gz of these)")
        columns = file.columns() if events is not None else None
        problem = wrong_columns(path.name, columns, events) if columns is not None and events is not None else ""
    except OSError as error:
        raise Stop(FAILED, f"{path}: cannot be read ({error.strerror or error})") from None
    if problem:
        raise Stop(FAILED, problem)


def _print(
    language: Language, found: Foreseen, compared: Comparison | None, caveats: dict[str, str], read: list[BadRows], stages: dict[str, str],
    *, as_json: bool,
) -> None:  # fmt: skip
    bad = sum(file.count for file in read)
    if as_json:
        told: dict[str, Any] = {"bad_rows": bad, "repeated_ids": sum(file.repeated for file in read),
                                "differing_ids": sum(file.differing for file in read),
                                "remarks": {about: n for file in read for about, n in file.remarks.items()}}  # fmt: skip
        told |= {"compared": compared.as_json()} if compared is not None else {}
        print_json({**found.as_json(), **told, "caveats": [{"code": code, "text": text} for code, text in caveats.items()]})
        return
    paper = show.paper()
    foreseen_table(paper, found, language)
    if any(row.ended.get("converted") for row in found.journeys.values()):
        paper.print(Text(word("converted_means", language), style="dim"))
    show.stages_by_month(paper, found.stages, language, stages, print_instant(found.last, found.zone)[:10])
    if compared is not None:
        compared_table(paper, compared, language)
    err.print(word("simulated", language, events=f"{found.events:,}", users=f"{found.users:,}", bad=f"{bad:,}"), markup=False)
    for file in read:
        if file.repeated:
            err.print(word("repeated_ids", language, file=file.file, n=file.repeated, differing=file.differing), markup=False)
    err.print(word("cannot_know_short", language), markup=False)
    for code, text in caveats.items():
        if code not in ("reactions", "conversions", "vendors", "bad_rows"):  # the short words above, and each row as it was met
            err.print(text, markup=False)
