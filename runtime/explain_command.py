"""`journeyd explain`."""

from pathlib import Path

from runtime import show
from runtime.app import App
from runtime.commandline import FAILED, OK, Config, DatabasePath, Json, err, print_json, reading_app
from runtime.explain import Line, as_json, lines_of, story_of


def explain(user: str, *, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """One user's whole story: entries, refusals, branches, messages, with the clause and the values then."""
    app = reading_app(config, database)
    try:
        story, lines = story_of(app.store, user), story_lines(app, user)
    finally:
        app.close()
    if json:
        print_json(as_json(story, lines, app.project.zone))
    elif story.known:
        show.story(show.paper(), story, lines, app.project.language(), app.project.zone)
    else:
        err.print(show.word("unknown_user", app.project.language(), user=user), markup=False)
    return OK if story.known else FAILED


def story_lines(app: App, user: str) -> list[Line]:
    """The lines of a user's story, each with its place in the version's file."""
    story = story_of(app.store, user)
    places: dict[tuple[int, str], str] = {}
    for row_id in {e["version_id"] for e in story.enrolments}:
        with app.store.database.reading() as tx:
            version = app.store.releases.version(tx, row_id)
        versioned = app.engine.catalogue.version(version) if version is not None else None
        if versioned is not None:
            for step in versioned.journey.steps.values():
                places[row_id, step.id] = f"{versioned.journey.id}.yaml:{step.line}"
    return lines_of(story, places)
