"""`journeyd apply`: files become what runs."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from runtime import show
from runtime.app import build_app
from runtime.applying import apply, check_project, outcome_json
from runtime.commandline import FAILED, OK, Config, Json, Stop, print_json
from runtime.control import ask, socket_path
from runtime.settings import load_project


def apply_(*, message: Annotated[str, Parameter(name=["--message", "-m"])] = "", config: Config = Path(), json: Json = False) -> int:
    """Make the checked files the release that runs: atomically, or not at all."""
    project = load_project(config)
    language = project.language()
    path = socket_path(project.database_url)
    answer = ask(path, {"command": "apply", "author": getpass.getuser(), "message": message}) if path is not None else None
    if answer is None:
        app = build_app(project)
        try:
            outcome = apply(app.store, project, check_project(project), app.clock.now(), getpass.getuser(), message)
        finally:
            app.close()
        answer = outcome_json(outcome, language)
    if "error" in answer:
        raise Stop(FAILED, f"the running daemon could not apply: {answer['error']}")
    if json:
        print_json(answer)
    elif answer["outcome"] == "refused":
        for line in answer["findings"]:
            sys.stdout.write(line + "\n")
    elif answer["outcome"] == "unchanged":
        sys.stdout.write(show.word("unchanged", language, id=answer["release"]) + "\n")
    else:
        sys.stdout.write(show.word("applied", language, id=answer["release"], changed=len(answer["changed"])) + "\n")
    return FAILED if answer["outcome"] == "refused" else OK
