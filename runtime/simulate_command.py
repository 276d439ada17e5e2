"""`journeyd simulate`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from journeys.values import parse_time
from runtime import show
from runtime.applying import check_project
from runtime.commandline import FAILED, OK, USAGE, Config, Json, Stop, err, print_json
from runtime.eventfile import to_stderr
from runtime.settings import load_project
from runtime.simulate import simulate


def simulate_(
    *,
    events: Annotated[Path, Parameter(help="CSV with id,type,user_id,time and further columns as fields, or JSONL of events")],
    users: Annotated[
        Path | None, Parameter(help="user records (JSONL, or CSV of traits); without it everybody is reachable and has consented")
    ] = None,
    until: Annotated[str | None, Parameter(help="go on to this time; default is the time of the last event")] = None,
    config: Config = Path(),
    json: Json = False,
) -> int:
    """Run a file of events (CSV or JSONL, in time order) through the journeys on a virtual clock."""
    project = load_project(config)
    for path in (events, users):
        if path is not None and not path.is_file():
            raise Stop(FAILED, f"{path}: no such file")
    end = parse_time(until, project.zone) if until is not None else None
    if until is not None and end is None:
        raise Stop(USAGE, f"--until: expected a time such as 2026-12-31 or 2026-12-31T18:00+08:00, found {until}")
    checked = check_project(project)
    with show.spinner(err, "simulate") as said:
        result = simulate(project, checked, events, users, end, to_stderr, lambda at: said(show.instant(at, project.zone)))
    if json:
        print_json(result.as_json())
    else:
        show.journeys_table(show.paper(), result.journeys, project.language())
        show.stages_by_month(show.paper(), result.stages, project.language())
        err.print(f"{result.events} events, {result.bad_rows} bad rows, {result.seconds:.1f} s", markup=False)
        if users is None:
            err.print("no --users: everybody counted as reachable and consented", markup=False)
    return OK
