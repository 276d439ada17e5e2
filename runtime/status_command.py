"""`journeyd status`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from journeys.errors import Language, did_you_mean, nearest
from runtime import show
from runtime.app import App
from runtime.breakdown import KINDS, NoGroups, NoSuchName, break_down
from runtime.commandline import FAILED, OK, USAGE, Config, DatabasePath, Json, Stop, print_json, reading_app
from runtime.intake.sight import Sight
from runtime.places import Places
from runtime.queues import queues_of
from runtime.show_breakdown import breakdown
from runtime.status import whole_summary
from runtime.store.populations import CannotSay

By = Annotated[str, Parameter(help="a trait, such as source or campaign: how the people of each value spread over the stages")]
Segments = Annotated[list[str] | None, Parameter(name="--segment", negative=(), help="with --by: their share in it; repeatable")]


def status(
    *, by: By = "", segment: Segments = None, config: Config = Path(), database: DatabasePath = None, json: Json = False
) -> int:  # fmt: skip
    """What runs, who is inside, what was sent, what is stuck."""
    if segment and not by:
        raise Stop(USAGE, "journeyd status: --segment is for --by TRAIT")
    app = reading_app(config, database)
    try:
        if by:
            _by(app, by, list(dict.fromkeys(segment or ())), json=json)
            return OK
        sources = app.project.settings.intake.sources
        sight, kinds = Sight(sources, app.engine.catalogue.audience), {name: section.kind for name, section in sources.items()}
        summary = whole_summary(app.store, app.project.zone, app.clock.now(), sight.sees, kinds)
        queues = queues_of(app.store, app.engine.catalogue, app.project.zone, app.clock.now())
        summary["queues"] = [asdict(queue) for queue in queues]
        stages = Places(app.store, app.engine.catalogue).stage_names(app.clock.now())
    finally:
        app.close()
    if json:
        print_json(summary)
    else:
        show.status(show.paper(), summary, app.project.language(), app.project.zone, stages)
    return OK


def _by(app: App, by: str, segments: Sequence[str], *, json: bool) -> None:
    now, language = app.clock.now(), app.project.language()
    try:
        found = break_down(app.store, app.engine.catalogue.audience, app.project.zone, now, by, segments)
    except NoSuchName as error:
        raise Stop(USAGE, _no_such(error, language)) from None
    except NoGroups as error:
        raise Stop(USAGE, show.word("by_no_groups", language, trait=by, kind=error.kind, kinds=", ".join(KINDS))) from None
    except CannotSay as error:
        raise Stop(FAILED, show.word("by_unsayable", language, why=str(error))) from None
    if json:
        print_json(found.as_json())
    else:
        breakdown(show.paper(), found, language, Places(app.store, app.engine.catalogue).stage_names(now))


def _no_such(error: NoSuchName, language: Language) -> str:
    """What is not there, and what was likely meant, or else what there is."""
    hint = did_you_mean(error.name, error.known)
    key = "hint" if hint else "known" if error.known else "none"
    return show.word(f"by_no_{error.what}_{key}", language, name=error.name, hint=hint, known=", ".join(nearest(error.name, error.known)))
