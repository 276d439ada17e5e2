"""Pausing journeys and ending a pause, here or in the daemon that holds the database."""

from typing import Any

from journeys.errors import did_you_mean
from runtime.app import App
from runtime.store.movements import Pause


def paused(app: App, request: dict[str, Any]) -> dict[str, Any]:
    """Pause or resume, here or in the daemon; what came of it, by journey."""
    store, now, author = app.store, app.clock.now(), str(request["author"])
    with store.database.reading() as tx:
        current = store.releases.current(tx)
        known = {v.journey for v in current.versions} if current is not None else set()
        known |= {standing.journey for standing in store.movements.standing(tx, now)}
        known |= {pause.journey for pause in store.movements.paused(tx)}
    names = list(request["journeys"]) or sorted(known)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            return {"error": f"there is no journey {name}" + (f", did you mean {hint}?" if hint else "")}
    rows = []
    for name in names:
        with store.database.reading() as tx:
            since = next((pause.paused_at for pause in store.movements.paused(tx) if pause.journey == name), 0)
        if request["resume"]:
            changed = store.database.write(lambda tx, name=name: store.movements.resume(tx, name, now, author))  # type: ignore[misc]
            outcome = "resumed" if changed else "not_paused"
        else:
            pause_ = Pause(name, now, author, str(request["reason"]))
            changed = store.database.write(lambda tx, pause_=pause_: store.movements.pause(tx, pause_))  # type: ignore[misc]
            outcome = "paused" if changed else "paused_already"
        due, late = became_due(app, name, since, now)  # a grant or call that was open has its time again by now
        rows.append({"journey": name, "outcome": outcome, "due": due, "late": late})
    return {"journeys": rows}


def became_due(app: App, journey: str, since: int, now: int) -> tuple[int, int]:
    """How many of a journey's timers became due after `since` and how many of its messages should have gone by now; and how many of
    all these are too late by their version's max_lateness.
    """
    due = late = 0
    latest: dict[int, int] = {}
    with app.store.database.reading() as tx:
        for version in app.store.releases.versions_of(tx, journey):
            versioned = app.engine.catalogue.versions.get(version.id)
            due += app.store.movements.due_of(tx, version.id, since, now + 1)
            limit = versioned.journey.max_lateness if versioned is not None else None
            if limit is not None:
                latest[version.id] = now - limit
                late += app.store.movements.due_of(tx, version.id, since, now - limit)
        messages, too_late = app.store.movements.planned(tx, journey, now, latest)
    return due + messages, late + too_late
