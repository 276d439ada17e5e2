"""`demo`: the town lives 90 days in virtual time, ending now, through the very same engine, delivery and store.

With vendors every message goes through the real adapters to stand-ins (runtime/vendortown.py), and what those really took is
compared with the ledger at the end.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from journeys.check import Checked
from journeys.compiled import SendSpec
from journeys.duration import DAY, HOUR, MINUTE
from journeys.errors import Language
from journeys.localtime import day_start
from runtime.adapters import silent_channels
from runtime.app import App, build_app
from runtime.applying import Asked, apply
from runtime.attempt import Delivered
from runtime.clock import VirtualClock
from runtime.settings import Project
from runtime.state import ENDED
from runtime.status import journeys_summary
from runtime.texts import word
from runtime.town import Town
from runtime.vendoraudit import Audit, VendorSeen, compare_all, seen_by
from runtime.vendortown import VendorTown
from runtime.virtual import VirtualRun

DAYS = 90
WINDOW = 6 * HOUR
VENDORS_WINDOW = 3 * HOUR  # finer, for the clocks that vendors check
LAST_PATIENCE = 10 * MINUTE  # that what is unknown at the end is waited for
MOST_WHYS = 3


@dataclass(frozen=True)
class Lived:
    """What came of it."""

    journeys: dict[str, dict[str, Any]]
    events: int
    users: int
    stories: tuple[str, ...]
    vendors: tuple[VendorSeen, ...] = ()
    audit: Audit | None = None

    def as_json(self) -> dict[str, Any]:
        """What --json prints."""
        told = {"journeys": self.journeys, "events": self.events, "users": self.users, "stories": list(self.stories)}
        if self.audit is None:
            return told
        return {**told, "vendors": [asdict(seen) for seen in self.vendors], "audit": self.audit.as_json()}


def live(
    project: Project, checked: Checked, database: Path, now: int, progress: Callable[[int], None], days: int = DAYS, *,
    vendors: bool = False,
) -> Lived:  # fmt: skip
    """Let the town live the days before `now`; a database that is there already is made anew."""
    for old in database.parent.glob(database.name + "*"):
        old.unlink()
    url = f"sqlite:///{database.absolute()}"
    town = Town(day_start(now - days * DAY, project.zone))
    if not vendors:
        app = build_app(project, url=url, channels=silent_channels(project), virtual=True)
        try:
            return _Life(app, checked, town).lived(now, progress, days)
        finally:
            app.close()
    identities = {user_id: record.get("identities", {}) for user_id, record in town.records()}
    with VendorTown(project, VirtualClock(town.begin), identities, town.seed) as stand_ins:
        app = stand_ins.open(url)
        try:
            return _Life(app, checked, town, stand_ins).lived(now, progress, days)
        finally:
            app.close()


class _Life:
    """The town's days, one window after the other."""

    def __init__(self, app: App, checked: Checked, town: Town, vendors: VendorTown | None = None) -> None:
        self.app, self.checked, self.town, self.vendors = app, checked, town, vendors
        self.run = VirtualRun(app.store, app.engine, app.delivery, town.begin, vendors.clock if vendors is not None else None)
        self.asked = _asked(checked, vendors.template_ids) if vendors is not None else ()

    def lived(self, now: int, progress: Callable[[int], None], days: int) -> Lived:
        app, run, town = self.app, self.run, self.town
        store, begin = app.store, town.begin
        apply(store, app.project, self.checked, begin, Asked("demo", "the town opens"))
        app.engine.refresh()
        records = town.records()

        def everybody(tx: Any) -> None:
            for user_id, payload in records:
                store.inbox.add_user_record(tx, "town", f"user:{user_id}", user_id, payload, begin)

        store.database.write(everybody)
        run.settle(begin)
        events = 0
        carried: list[Any] = []
        window = WINDOW if self.vendors is None else VENDORS_WINDOW
        for day in range(days + 1):
            start = begin + day * DAY
            carried = sorted([*carried, *town.day(day, self._received(start - DAY, start))], key=lambda event: event.time)
            for edge in range(start + window, start + DAY + 1, window):
                until = min(edge, now)
                arriving = [e for e in carried if e.time <= until]
                carried = carried[len(arriving) :]
                events += run.post("town", arriving)
                self._settle(arriving, until)
            progress(day)
        stories, journeys = _stories(app), journeys_summary(store)
        if self.vendors is None:
            return Lived(journeys, events, len(records), stories)
        self._finish(now)
        found = compare_all(app, self.vendors, [user_id for user_id, _ in records])
        return Lived(journeys_summary(store), events, len(records), stories, seen_by(app, self.vendors), found)

    def _received(self, since: int, until: int) -> list[dict[str, Any]]:
        if self.vendors is not None:
            return self.vendors.received()
        with self.app.store.database.reading() as tx:
            return self.app.store.reports.received(tx, since, until)

    def _settle(self, arriving: Sequence[Any], until: int) -> None:
        if self.vendors is None:
            self.run.settle(until)
            return
        for event in arriving:
            if event.type == "order_paid" and self.asked:
                self.vendors.chosen(event.user_id, self.town.choices(event, self.asked), event.time)
        self.run.settle(until)
        if self.vendors.report():
            self.run.settle(until)

    def _finish(self, now: int) -> None:
        """Give what is still unknown its time; then let the last reports arrive."""
        self.run.settle_doubts(now + LAST_PATIENCE)
        self._settle((), self.run.now)
        self._settle((), self.run.now)
        self.app.delivery.rescue(self.run.now, Delivered())


def _asked(checked: Checked, template_ids: Mapping[str, str]) -> tuple[str, ...]:
    """The WeChat templates that journeys send; first the one that tells that the goods are there."""
    specs = [step.spec for journey in checked.journeys.values() for step in journey.steps.values() if isinstance(step.spec, SendSpec)]
    used = Counter(p.template for spec in specs for p in spec.positions if p.channel == "wechat" and p.template in template_ids)
    first = "pickup_ready" if "pickup_ready" in used else next(iter(used), None)
    return (first, *sorted(name for name in used if name and name != first)) if first else ()


def _stories(app: App) -> tuple[str, ...]:
    """Three users worth a look: one who came back, one who was refused a message, one who is inside; else anybody who is through."""
    wanted = [("win_back_30d", ENDED, "converted"), ("first_order_nudge", ENDED, "converted"), ("return_gift", ENDED, None),
              ("win_back_30d", ENDED, None), ("welcome", ENDED, None), ("complaint_recovery", ENDED, None)]  # fmt: skip
    wanted += [(journey, ENDED, None) for journey in sorted(app.engine.catalogue.current.keys() - {name for name, _, _ in wanted})]
    found: list[str] = []
    with app.store.database.reading() as tx:
        for journey, status, ended_by in wanted:
            for user_id in app.store.reports.some_users(tx, journey, status, ended_by, 3):
                if user_id not in found:
                    found.append(user_id)
                    break
    return tuple(found[:3])


# --- the vendors' truth


def vendors_table(console: Console, lived: Lived, language: Language) -> None:
    """What each vendor saw, and the audit's line."""
    table = Table(show_lines=True)
    for key in ("vendor", "requests", "taken", "vendor_refused", "vendor_unknown"):
        table.add_column(word(key, language), justify="right" if key in ("requests", "taken") else "left", overflow="fold")
    for seen in lived.vendors:
        whys = [f"{why} {n:,}" for why, n in list(seen.refused.items())[:MOST_WHYS]]
        refused = "\n".join([f"{sum(seen.refused.values()):,}", *whys] if whys else [])
        unknown = "\n".join(f"{word(f'settled_{how}', language)} {n:,}" for how, n in sorted(seen.unknown.items()))
        table.add_row(seen.vendor, f"{seen.requests:,}", f"{seen.taken:,}", escape(refused), unknown)
    console.print(table)
    if lived.audit is not None:
        told = lived.audit.as_json()
        colour = "green" if lived.audit.clean else "red"
        console.print(f"[{colour}]{escape(word('audit', language, **told))}[/{colour}]", soft_wrap=True)
        for example in told["examples"]:
            console.print(escape(example), style="red", soft_wrap=True)
