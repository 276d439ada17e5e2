"""`journeyd status`."""

from pathlib import Path

from runtime import show
from runtime.commandline import OK, Config, DatabasePath, Json, print_json, reading_app
from runtime.status import whole_summary


def status(*, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """What runs, who is inside, what was sent, what is stuck."""
    app = reading_app(config, database)
    try:
        summary = whole_summary(app.store, app.clock.now())
    finally:
        app.close()
    if json:
        print_json(summary)
    else:
        show.status(show.paper(), summary, app.project.language(), app.project.zone)
    return OK
