"""An apply as it is asked for on the command line, performed here or in the daemon that holds the database."""

from typing import Any

from journeys.check import Checked
from runtime.app import App
from runtime.applying import Applied, Asked, Declined, apply, check_project, check_release, in_flight_of, outcome_json
from runtime.moving import InFlight
from runtime.texts import word


def wanted(app: App, version: int | None) -> Checked | Declined:
    """The project's files, or what the release of this number held."""
    if version is None:
        return check_project(app.project)
    with app.store.database.reading() as tx:
        release = app.store.releases.release(tx, version)
    return check_release(app.project, release) if release is not None else Declined("no_release", {"number": version})


def ways(app: App, checked: Checked, texts: list[str] | None) -> dict[str, InFlight] | Declined:
    """What `--in-flight` says, by journey; Declined where it names what is not there, or people whom nothing would move."""
    if not texts:
        return {}
    steps: dict[str, set[str]] = {}
    elsewhere: set[str] = set()  # journeys with people in another version than the files'
    with app.store.database.reading() as tx:
        for standing in app.store.movements.standing(tx, app.clock.now()):
            steps.setdefault(standing.journey, set()).add(standing.state)
            version = app.store.releases.version(tx, standing.version_id)
            wanted_ = checked.journeys.get(standing.journey)
            if version is None or wanted_ is None or version.digest != wanted_.digest:
                elsewhere.add(standing.journey)
    found = in_flight_of(list(texts), {*steps, *checked.journeys}, steps)
    if isinstance(found, Declined):
        return found
    for journey in sorted(found.keys() & steps.keys() - elsewhere):
        ends = "exit" in (found[journey].way, *found[journey].steps.values())
        return Declined("in_flight_to_end" if ends else "in_flight_done", {"journey": journey})
    return found


def applied(app: App, request: dict[str, Any]) -> dict[str, Any]:
    """Perform it; its outcome as data. `usage` stands beside an `error` of the request itself."""
    language = app.project.language()
    checked = wanted(app, request.get("version"))
    if isinstance(checked, Declined):
        return outcome_json(checked, language)
    decided = ways(app, checked, request.get("in_flight"))
    plan = str(request.get("plan", ""))
    if isinstance(decided, Declined) and plan and decided.why in ("in_flight_done", "in_flight_to_end"):  # of a plan that was made before
        with app.store.database.reading() as tx:
            before = app.store.releases.current(tx)
        told = {"release": before.id, "author": before.author, "message": before.message} if before is not None else {}
        return outcome_json(Declined("plan_overtaken", {"plan": plan, **told}), language)
    if isinstance(decided, Declined):
        return {"error": word(decided.why, language, **decided.values), "usage": True}
    asked = Asked(str(request.get("author", "")), str(request.get("message", "")), decided, plan)
    outcome = apply(app.store, app.project, checked, app.clock.now(), asked)
    answer = outcome_json(outcome, language)
    if isinstance(outcome, Applied):
        current = {version.journey for version in outcome.release.versions}
        answer["inside"] = {
            journey: {"inside": n, "older": older, "decided": journey in decided, "gone": journey not in current}
            for journey, (n, older) in inside(app).items()
            if older
        }
    return answer


def inside(app: App) -> dict[str, tuple[int, int]]:
    """By journey: how many are inside, and how many of these on another version than the current one."""
    found: dict[str, tuple[int, int]] = {}
    with app.store.database.reading() as tx:
        release = app.store.releases.current(tx)
        current = {version.id for version in release.versions} if release is not None else set()
        for standing in app.store.movements.standing(tx, app.clock.now()):
            n, older = found.get(standing.journey, (0, 0))
            found[standing.journey] = n + standing.n, older + (standing.n if standing.version_id not in current else 0)
    return found
