"""`simulate`: a file of events through the journeys on a virtual clock, by the same engine, into a scratch database."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from journeys.check import Checked
from journeys.duration import DAY, HOUR
from journeys.localtime import local_instant, to_datetime
from runtime.adapters import silent_channels
from runtime.app import App, build_app
from runtime.applying import Asked, Refused, apply
from runtime.eventfile import BadRows, read_events, read_users
from runtime.policy import ADDRESS_OF
from runtime.settings import Project
from runtime.state import Event
from runtime.status import journeys_summary
from runtime.virtual import VirtualRun

UTC = ZoneInfo("UTC")
MOST_EVENTS = 1000  # of one window
SHOWN = ("entered", "sent", "suppressed", "converted", "holdout", "completed", "exited")
EVERYBODY: dict[str, Any] = {"consents": {channel: {"service": True, "marketing": True} for channel in ADDRESS_OF}}


@dataclass
class Simulated:
    """The result; `journeys` has the keys of SHOWN."""

    journeys: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: dict[str, dict[str, int]] = field(default_factory=dict)  # users by stage at the end of each month (`2017-03`)
    events: int = 0
    bad_rows: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The documented shape."""
        counts = {"events": self.events, "bad_rows": self.bad_rows, "seconds": round(self.seconds, 3)}
        return {"journeys": self.journeys, "stages": self.stages, **counts}


class CannotSimulate(Exception):
    """The files or the events cannot be simulated; the message says why."""


def simulate(
    project: Project,
    checked: Checked,
    events: Path,
    users: Path | None,
    until: int | None,
    show: Callable[[str], None],
    progress: Callable[[int], None] = lambda _: None,
) -> Simulated:
    """Run every event of the file, then time on to `until` (an instant; default: the last event's time).

    Without a file of users everybody counts as reachable and consented.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="journeyd-simulate-") as folder:
        app = build_app(project, url=f"sqlite:///{folder}/scratch.db", channels=silent_channels(project), virtual=True, scratch=True)
        try:
            result = _Simulation(app, checked, events, users, until, show, progress).run()
        finally:
            app.close()
    result.seconds = time.perf_counter() - began
    return result


def window_of(checked: Checked) -> int:
    """How much virtual time is worked on at once: a day; an hour where users can wait for each other or share budgets.

    One user's time is exact in any window; between users things are as fine as the window.
    """
    for journey in checked.journeys.values():
        crossing = journey.entry.user is not None or any(rule.text.startswith("remaining(") for rule in _rules(journey))
        crossing |= any(match.of is not None for match in _matches(journey))
        if crossing:
            return HOUR
    return DAY


def _rules(journey: Any) -> Iterator[Any]:
    for step in journey.steps.values():
        if step.only_if is not None:
            yield step.only_if
        yield from getattr(step.spec, "cases", ()) if step.kind == "branch" else ()


def _matches(journey: Any) -> Iterator[Any]:
    if journey.goal is not None:
        yield journey.goal.match
    for step in journey.steps.values():
        if step.kind == "wait_for":
            yield from step.spec.cases


class _Simulation:
    def __init__(
        self, app: App, checked: Checked, events: Path, users: Path | None, until: int | None, show: Callable[[str], None],
        progress: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.app, self.checked, self.until, self.progress = app, checked, until, progress
        self.users = users
        self.bad = BadRows(events.name, show)
        self.rows = read_events(events, checked.audience, app.project.zone, self.bad)
        self.run_: VirtualRun | None = None
        self.window = window_of(checked)
        self.known: set[str] = set()
        self.first = 0
        self.result = Simulated()

    def run(self) -> Simulated:
        waiting: list[Event] = []
        edge = 0
        for event in self.rows:
            if self.until is not None and event.time > self.until:
                break
            if self.run_ is None:
                self._begin(event.time)
                edge = event.time + self.window
            if waiting and (event.time > edge or len(waiting) >= MOST_EVENTS):
                self._work(waiting)
                waiting = []
                edge = event.time + self.window
            waiting.append(event)
        if self.run_ is None:
            self._begin(self.until or 0)
        assert self.run_ is not None  # noqa: S101 - just made
        if waiting:
            self._work(waiting)
        self._go_on(self.until if self.until is not None else self.run_.now)
        summary = journeys_summary(self.app.store)
        self.result.journeys = {
            journey: {key: summary.get(journey, {}).get(key, {} if key in ("sent", "suppressed") else 0) for key in SHOWN}
            for journey in sorted(self.checked.journeys)
        }
        self.result.stages = self._stages()
        self.result.bad_rows = self.bad.count
        return self.result

    def _stages(self) -> dict[str, dict[str, int]]:
        """By the ends of the months (UTC, as they are counted), the last one by the end of the run."""
        assert self.run_ is not None  # noqa: S101 - it has run
        month, found = to_datetime(self.first, UTC).date().replace(day=1), {}
        with self.app.store.database.reading() as tx:
            while local_instant(month, 0, UTC) <= self.run_.now:
                after = (month + timedelta(days=32)).replace(day=1)
                end = min(local_instant(after, 0, UTC) - 1, self.run_.now)
                found[f"{month:%Y-%m}"] = self.app.store.reports.stages_then(tx, end // DAY)
                month = after
        return found

    def _begin(self, first: int) -> None:
        app, self.first = self.app, first
        applied = apply(app.store, app.project, self.checked, first - 1, Asked("simulate", ""))
        if isinstance(applied, Refused):
            raise CannotSimulate("\n".join(f.line(app.project.language()) for f in applied.findings))
        app.engine.refresh()
        self.run_ = VirtualRun(app.store, app.engine, app.delivery, first - 1)
        if self.users is not None:
            bad = BadRows(self.users.name, self.bad.show)
            records = list(read_users(self.users, self.checked.audience, app.project.zone, bad))
            self.bad.count += bad.count
            self._records(records, first - 1)
        self.run_.settle(first - 1)

    def _records(self, records: list[tuple[str, dict[str, Any]]], at: int) -> None:
        inbox = self.app.store.inbox

        def unit(tx: Any) -> None:
            for number, (user_id, payload) in enumerate(records):
                inbox.add_user_record(tx, "users", f"user:{user_id}:{at}:{number}", user_id, payload, at)

        self.app.store.database.write(unit)

    def _work(self, events: list[Event]) -> None:
        assert self.run_ is not None  # noqa: S101 - begun before
        now = max(self.run_.now, *(e.time for e in events))
        if self.users is None:
            new = list(dict.fromkeys(e.user_id for e in events if e.user_id not in self.known))
            self.known.update(new)
            everybody = [(u, {**EVERYBODY, "identities": dict.fromkeys(ADDRESS_OF.values(), u)}) for u in new]
            self._records(everybody, min(e.time for e in events) - 1)
        received = self.run_.now
        self.result.events += self.run_.post(
            "file", [Event(e.id, e.type, e.user_id, e.time, max(e.time, received), e.data) for e in events]
        )
        self.run_.settle(now)
        self.progress(now)

    def _go_on(self, until: int) -> None:
        assert self.run_ is not None  # noqa: S101 - begun before
        while (at := self.run_.next_work()) is not None and at <= until:
            edge = min(max(at, self.run_.now) + self.window, until)
            before = self.run_.now
            self.run_.settle(edge)
            self.progress(edge)
            if edge == before:
                break
        self.run_.settle(until)
