"""`journeyd status`."""

from pathlib import Path

from runtime import show
from runtime.commandline import OK, Config, DatabasePath, Json, print_json, reading_app
from runtime.places import Places
from runtime.status import whole_summary


def status(*, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """What runs, who is inside, what was sent, what is stuck."""
    app = reading_app(config, database)
    try:
        summary = whole_summary(app.store, app.project.zone, app.clock.now())
        stages = Places(app.store, app.engine.catalogue).stage_names(app.clock.now())
    finally:
        app.close()
    if json:
        print_json(summary)
    else:
        show.status(show.paper(), summary, app.project.language(), app.project.zone, stages)
    return OK
