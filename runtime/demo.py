"""`demo`: the town lives 90 days in virtual time, ending now, through the very same engine, delivery and store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journeys.check import Checked
from journeys.duration import DAY, HOUR
from journeys.localtime import day_start
from runtime.app import App, build_app
from runtime.applying import apply
from runtime.settings import Project
from runtime.simulate import silent_channels
from runtime.state import ENDED
from runtime.status import journeys_summary
from runtime.town import Town
from runtime.virtual import VirtualRun

DAYS = 90
WINDOW = 6 * HOUR


@dataclass(frozen=True)
class Lived:
    """What came of it."""

    journeys: dict[str, dict[str, Any]]
    events: int
    users: int
    stories: tuple[str, ...]


def live(project: Project, checked: Checked, database: Path, now: int, progress: Callable[[int], None], days: int = DAYS) -> Lived:
    """Let the town live the days before `now`; a database that is there already is made anew."""
    for old in database.parent.glob(database.name + "*"):
        old.unlink()
    app = build_app(project, url=f"sqlite:///{database.absolute()}", channels=silent_channels(project), virtual=True)
    try:
        return _live(app, checked, now, progress, days)
    finally:
        app.close()


def _live(app: App, checked: Checked, now: int, progress: Callable[[int], None], days: int) -> Lived:
    store, zone = app.store, app.project.zone
    begin = day_start(now - days * DAY, zone)
    apply(store, app.project, checked, begin, "demo", "the town opens")
    app.engine.refresh()
    town = Town(begin)
    run = VirtualRun(store, app.engine, app.delivery, begin)
    records = town.records()

    def everybody(tx: Any) -> None:
        for user_id, payload in records:
            store.inbox.add_user_record(tx, "town", f"user:{user_id}", user_id, payload, begin)

    store.database.write(everybody)
    run.settle(begin)
    events = 0
    carried: list[Any] = []
    for day in range(days + 1):
        start = begin + day * DAY
        received = _received(app, start - DAY, start)
        carried = sorted([*carried, *town.day(day, received)], key=lambda event: event.time)
        for edge in range(start + WINDOW, start + DAY + 1, WINDOW):
            until = min(edge, now)
            arriving = [e for e in carried if e.time <= until]
            carried = carried[len(arriving) :]
            events += run.post("town", arriving)
            run.settle(until)
        progress(day)
    return Lived(journeys_summary(store), events, len(records), _stories(app))


def _received(app: App, since: int, until: int) -> list[dict[str, Any]]:
    with app.store.database.reading() as tx:
        return app.store.reports.received(tx, since, until)


def _stories(app: App) -> tuple[str, ...]:
    """Three users worth a look: one who came back, one who was refused a message, one who is inside."""
    wanted = [("win_back_30d", ENDED, "converted"), ("first_order_nudge", ENDED, "converted"), ("return_gift", ENDED, None),
              ("win_back_30d", ENDED, None), ("welcome", ENDED, None), ("complaint_recovery", ENDED, None)]  # fmt: skip
    found: list[str] = []
    with app.store.database.reading() as tx:
        for journey, status, ended_by in wanted:
            for user_id in app.store.reports.some_users(tx, journey, status, ended_by, 3):
                if user_id not in found:
                    found.append(user_id)
                    break
    return tuple(found[:3])
