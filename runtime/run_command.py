"""`journeyd init` and `journeyd run`: from nothing to a daemon."""

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from runtime import show
from runtime.app import App, build_app
from runtime.applying import Asked, Declined, Refused, apply, check_project
from runtime.commandline import FAILED, OK, Config, DatabasePath, Stop, err, project_of, require_database, url_of
from runtime.daemon import serve
from runtime.newproject import make_project
from runtime.settings import Project, load_project


def init(folder: Path) -> int:
    """Make a ready project folder: config, secret, journeys, schemas, README."""
    made = make_project(folder)
    language = load_project(folder).language()
    show.paper().print(show.word("made", language, folder=str(made), commands=f"cd {made} && journeyd check && journeyd run"), markup=False)
    return OK


def run_(*, config: Config = Path(), database: DatabasePath = None, log_json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Run the daemon: HTTP intake and the scheduler, until SIGTERM. A database without a release gets one from the files."""
    project = project_of(config, database)
    require_database(project, url_of(database), own_is_made=True)
    app = build_app(project, "daemon", url=url_of(database))
    try:
        _first_release(app, project)
    except BaseException:
        app.close()
        raise
    code = serve(app, as_json=log_json or not sys.stderr.isatty())
    if any(thread.name.startswith("journeyd-") and not thread.daemon for thread in threading.enumerate()):
        sys.stderr.flush()  # a vendor that thinks longer than a stop may take: its attempt is settled by the next start
        os._exit(code)
    return code


def _first_release(app: App, project: Project) -> None:
    checked = check_project(project)
    with app.store.database.reading() as tx:
        current = app.store.releases.current(tx)
    if current is None:
        outcome = apply(app.store, project, checked, app.clock.now(), Asked("run", "first run"))
        if isinstance(outcome, Refused):
            lines = "\n".join(f.line(project.language()) for f in outcome.findings)
            raise Stop(FAILED, lines + "\nnothing is applied yet, and these files cannot be: mend them and run again")
        if isinstance(outcome, Declined):  # another daemon was faster
            app.engine.refresh()
            return
        err.print(f"nothing was applied yet: applied the files as release {outcome.release.id}", markup=False)
    elif checked.errors:
        err.print(f"the files have {checked.errors} errors (`journeyd check`); release {current.id} stays in force", markup=False)
    else:
        journeys = {i: j.digest for i, j in checked.journeys.items() if j.journey.status != "draft"}
        differs = journeys != {v.journey: v.digest for v in current.versions} or checked.audience_text != current.audience
        if differs:
            err.print(
                f"the files differ from release {current.id}, which stays in force; `journeyd apply` makes them the next one", markup=False
            )
    app.engine.refresh()
