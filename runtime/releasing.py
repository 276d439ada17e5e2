"""An apply as it is asked for on the command line, performed here or in the daemon that holds the database."""

from typing import Any

from journeys.check import Checked
from runtime.app import App
from runtime.applying import Asked, Declined, apply, check_project, check_release, in_flight_of, outcome_json
from runtime.moving import InFlight


def wanted(app: App, version: int | None) -> Checked | Declined:
    """The project's files, or what the release of this number held."""
    if version is None:
        return check_project(app.project)
    with app.store.database.reading() as tx:
        release = app.store.releases.release(tx, version)
    return check_release(app.project, release) if release is not None else Declined("no_release", {"number": version})


def ways(app: App, checked: Checked, texts: list[str] | None) -> dict[str, InFlight] | str:
    """What `--in-flight` says, by journey; a sentence where it names what is not there."""
    if not texts:
        return {}
    steps: dict[str, set[str]] = {}
    with app.store.database.reading() as tx:
        for standing in app.store.movements.standing(tx, app.clock.now()):
            steps.setdefault(standing.journey, set()).add(standing.state)
    return in_flight_of(list(texts), {*steps, *checked.journeys}, steps)


def applied(app: App, request: dict[str, Any]) -> dict[str, Any]:
    """Perform it; its outcome as data. `usage` stands beside an `error` of the request itself."""
    language = app.project.language()
    checked = wanted(app, request.get("version"))
    if isinstance(checked, Declined):
        return outcome_json(checked, language)
    decided = ways(app, checked, request.get("in_flight"))
    if isinstance(decided, str):
        return {"error": decided, "usage": True}
    asked = Asked(str(request.get("author", "")), str(request.get("message", "")), decided, str(request.get("plan", "")))
    return outcome_json(apply(app.store, app.project, checked, app.clock.now(), asked), language)
