"""`journeyd import events|users FILE…`."""

import codecs
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App as CommandLine
from cyclopts import Parameter

from runtime import show
from runtime.app import build_app
from runtime.applying import check_project
from runtime.clock import Clock, SystemClock
from runtime.commandline import (
    FAILED,
    INTERRUPTED,
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
    require_database,
    url_of,
)  # fmt: skip
from runtime.control import NoAnswer
from runtime.eventfile import Shape, to_stderr
from runtime.handover import Handover
from runtime.importing import Asked, CannotImport, DryRun, FileImport, Taker, WrongMapping
from runtime.overlap import known_elsewhere
from runtime.settings import Project
from runtime.source_settings import LONGEST_NAME, is_source_name

OWN = "import"  # the source of files for which none is named
import_app = CommandLine(name="import", help="Take files of events (orders are events) or users: CSV or JSONL, also .gz, UTF-8 or GB18030.")

Source = Annotated[str, Parameter(help="events are known by source and id; consents carry it")]
EventSource = Annotated[
    str | None, Parameter(help="events are known by source and id: orders that shop has posted are known again with --source shop")
]
Encoding = Annotated[str | None, Parameter(help="of the file, where it is not found out: utf-8, gb18030, …")]
Live = Annotated[bool, Parameter(negative=(), help="as if it had just happened: it moves people; without it, it is history")]
Dry = Annotated[bool, Parameter(negative=(), help="read everything, write nothing")]


@import_app.command
def events(  # noqa: PLR0913 - the options
    *files: Path, source: EventSource = None,
    type_: EventType = "",
    map_: Map = None, encoding: Encoding = None, live: Live = False, dry_run: Dry = False, config: Config = Path(),
    database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """Take events as history: profiles know them, nobody is moved; what happens later is news. The same file twice changes nothing.

    Columns id, type, user_id, time; every further one is a field. Rows that are not taken go to FILE.rejected.jsonl.
    """
    project = project_of(config, database)
    asked = Asked(
        "events", _source(OWN if source is None else source), Shape(names_of(map_), type_), _encoding(encoding), live, project.keep_events
    )
    is_meant = source == OWN or source in project.settings.intake.sources  # else a name may be misspelt
    return _import(files, asked, project, database, dry=dry_run, json=json, is_meant=is_meant)


@import_app.command
def users(
    *files: Path, source: Source = OWN, map_: Map = None, encoding: Encoding = None, live: Live = False, dry_run: Dry = False,
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """Take user records as history: traits, tags, identities and consents are set, nobody is moved.

    Columns user_id, zone, tags (separated by |), identities.phone, consents.sms.marketing (and .at, .wording, .source below it);
    every further one is a trait. A yes without its time never outweighs a no; what somebody live has told stays, but for --live.
    """
    asked = Asked("users", _source(source), Shape(names_of(map_)), _encoding(encoding), live)
    return _import(files, asked, project_of(config, database), database, dry=dry_run, json=json)


def _source(name: str) -> str:
    if not is_source_name(name):
        raise Stop(USAGE, f"--source: expected 1 to {LONGEST_NAME} characters that do not begin with $ and are not engine, found {name!r}")
    return name


def _encoding(name: str | None) -> str | None:
    try:
        if name is not None:
            b"x".decode(name, "replace")  # some are none of texts
        return codecs.lookup(name).name if name is not None else None
    except (LookupError, UnicodeError):
        raise Stop(USAGE, f"--encoding: expected utf-8, gb18030 or another known encoding, found {name}") from None


def _import(
    files: tuple[Path, ...], asked: Asked, project: Project, database: str | None, *, dry: bool, json: bool, is_meant: bool = True
) -> int:  # fmt: skip
    if not files:
        raise Stop(USAGE, f"journeyd import {asked.kind}: expected one file or more")
    clock = SystemClock()
    if not dry:
        require_database(project, url_of(database), own_is_made=True)
    handover = Handover(project, url_of(database), clock)
    taker: Taker = DryRun() if dry else handover
    under_way: list[FileImport] = []
    try:
        audience = check_project(project).audience if dry else handover.audience()
        under_way += [FileImport(path, asked, audience, project.zone, clock, to_stderr) for path in files]
        if not is_meant and not dry:
            _refuse_known(under_way, project, url_of(database), clock)
        seconds = _run_all(under_way, taker, project, dry=dry)
        left = 0 if dry else handover.left_for_a_daemon()
    except WrongMapping as error:
        raise Stop(USAGE, str(error)) from None
    except (CannotImport, NoAnswer) as error:
        raise Stop(FAILED, str(error)) from None
    except KeyboardInterrupt:
        at = next((file for file in under_way if not file.finished), None)
        said = "" if at is None or dry else _said("import_stopped", project, at)
        raise Stop(INTERRUPTED, said) from None
    finally:
        handover.close()
    _tell(under_way, project, seconds, dry=dry, json=json)
    if left:
        err.print(show.word("wait_for_daemon", project.language(), n=left), markup=False, soft_wrap=True)
    return FAILED if any(file.position.rejected for file in under_way) else OK


def _refuse_known(files: Sequence[FileImport], project: Project, url: str | None, clock: Clock) -> None:
    """Raises Stop for a file whose events a source of config has posted: a profile that has counted them twice cannot be told apart."""
    app = build_app(project, "reading", url=url, clock=clock)
    try:
        for file in files:
            found = known_elsewhere(app.store, file.file, file.asked.shape, file.audience, file.zone, list(project.settings.intake.sources))
            for source, n in found.most_common(1):
                told = {"file": file.file.path.name, "n": n, "source": source, "own": OWN}
                raise Stop(USAGE, show.word("known_elsewhere", project.language(), **told))
    finally:
        app.close()


def _run_all(files: Sequence[FileImport], taker: Taker, project: Project, *, dry: bool) -> list[float]:
    """Import one after the other; the next is begun before one is finished, so that nobody is looked at in between. Returns seconds."""
    seconds: list[float] = []
    files[0].begin(taker)
    for file, following in zip(files, [*files[1:], None], strict=True):
        began = time.perf_counter()
        if file.resumed_at:
            err.print(_said("import_resumed", project, file), markup=False)
        with show.rows_progress(err, file.file.path.name, file.file.size, project.language()) as advance:
            file.run(taker, advance, dry=dry)
        if following is not None:
            following.begin(taker)
        file.finish(taker)
        seconds.append(time.perf_counter() - began)
    return seconds


def _said(key: str, project: Project, file: FileImport) -> str:
    at = file.position
    counts = {name: f"{getattr(at, name):,}" for name in ("rows", "accepted", "duplicates", "rejected")}
    return show.word(key, project.language(), file=file.file.path.name, **counts)


def _tell(files: Sequence[FileImport], project: Project, seconds: Sequence[float], *, dry: bool, json: bool) -> None:
    if json:
        print_json({"files": [{**file.as_json(dry=dry), "seconds": round(s, 3)} for file, s in zip(files, seconds, strict=True)]})
        return
    for file in files:
        sys.stdout.write(_said("imported_dry" if dry else "imported", project, file) + "\n")
        if file.bad.repeated:
            counts = {"n": file.bad.repeated, "differing": file.bad.differing}
            err.print(show.word("repeated_ids", project.language(), file=file.file.path.name, **counts), markup=False)
        if file.position.duplicates > file.bad.repeated:
            known = f"{file.position.duplicates - file.bad.repeated:,}"
            key = "known_users" if file.asked.kind == "users" else "known_before"
            err.print(show.word(key, project.language(), file=file.file.path.name, n=known), markup=False)
        if file.position.rejected and not dry:
            err.print(show.word("rejected_rows", project.language(), file=str(file.rejected_path)), markup=False)
