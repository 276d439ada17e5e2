"""`journeyd pause`: nobody in a journey takes a step until `--resume`; goals and exits still count, people still enter."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from journeys.values import clean_text
from runtime import show
from runtime.app import build_app
from runtime.commandline import (
    FAILED,
    OK,
    USAGE,
    Config,
    DatabasePath,
    Json,
    Stop,
    print_json,
    project_of,
    require_database,
    url_of,
)
from runtime.control import ask, socket_path
from runtime.pausing import paused


def pause(
    *journeys: str, all_: Annotated[bool, Parameter(name="--all", negative=(), help="every journey that is applied")] = False,
    resume: Annotated[bool, Parameter(negative=(), help="end the pause")] = False,
    reason: Annotated[str, Parameter(name=["--message", "-m"], help="why; shown by status and plan")] = "",
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """Pause journeys: no timer fires, nothing is sent; goals and exits still end, people still enter and stand at the first step.

    After --resume what became due meanwhile is late: each journey's own max_lateness and on_late decide, and how many there are
    is printed. A pause is state of the database: `apply` leaves it alone.
    """
    project, url = project_of(config, database), url_of(database)
    if not journeys and not all_:
        raise Stop(USAGE, show.word("pause_what", project.language()))
    request = {"journeys": list(journeys), "resume": resume, "reason": clean_text(reason), "author": getpass.getuser()}
    path = socket_path(url or project.database_url)
    answer = ask(path, {"command": "pause", **request}) if path is not None else None
    if answer is None:
        require_database(project, url)
        app = build_app(project, url=url, channels={})
        try:
            answer = paused(app, request)
        finally:
            app.close()
    if "error" in answer:
        raise Stop(FAILED, answer["error"])
    if json:
        print_json(answer)
    else:
        for row in answer["journeys"]:
            sys.stdout.write(show.word(row["outcome"], project.language(), **row) + "\n")
    return OK
