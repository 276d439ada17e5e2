"""What the daemon puts away when nothing else is to be done, a few rows at a time: events older than `[intake] keep_events`, and what was
set aside longer ago than `[intake] keep_quarantine`. And what it has counted, every few seconds.
"""

from collections import Counter
from zoneinfo import ZoneInfo

import structlog

from journeys.audience import Audience
from journeys.duration import DAY, HOUR, SECOND
from journeys.localtime import day_number
from runtime.engine import Engine
from runtime.intake.items import FUTURE
from runtime.intake.tally import Tally
from runtime.profile import SLACK
from runtime.store import SqlStore

log = structlog.get_logger("journeyd")
EVERY = HOUR
COUNTED_EVERY = 10 * SECOND  # a kill loses so much of what `status` tells of sources
MOST_LOOKED_AT = 1000  # events in one short transaction
MOST_ASIDE = 100  # rows of the quarantine, each of which may have megabytes
TOLD_AT = 10_000  # deleted rows: so many are logged, also before a sweep has ended


class Housekeeping:
    """Deletes events that nothing can need any more: see `forgettable_before`. One thread calls it."""

    def __init__(self, store: SqlStore, engine: Engine, keep: int, at_once: int = MOST_LOOKED_AT) -> None:
        self.store, self.engine, self.keep, self.at_once = store, engine, keep, at_once
        self._next = self._after = self._release = 0
        self._held: int | None = None  # the first event of this sweep whose time had not come

    def turn(self, now: int) -> int:
        """One short transaction, when it is time: how many events it looked at; 0 when nothing is left for this hour."""
        if not self.keep or now < self._next:
            return 0
        catalogue = self.engine.catalogue
        if catalogue.release_id != self._release:  # other events may be needed, and others not any more
            self._release, self._after, self._held = catalogue.release_id, 0, None
        latest, by_type = forgettable_before(catalogue.audience, now, self.keep, self.engine.next_work(paused=True))
        looked = self.store.database.write(lambda tx: self.store.inbox.forget(tx, self._after, self.at_once, latest, by_type))
        self._held = looked.held if self._held is None else self._held
        self._after = looked.after
        if looked.done:  # the next sweep begins where time alone held something back
            self._after, self._held, self._next = looked.after if self._held is None else self._held - 1, None, now + EVERY
        return 0 if looked.done else looked.n


class Sweeping:
    """Deletes what was set aside and not asked for in so long a time, and logs how much of which source. One thread calls it."""

    def __init__(self, store: SqlStore, keep: int, at_once: int = MOST_ASIDE) -> None:
        self.store, self.keep, self.at_once = store, keep, at_once
        self._next = self._after = 0
        self._deleted: Counter[str] = Counter()

    def turn(self, now: int) -> int:
        """One short transaction, when it is time: how many rows it looked at; 0 when nothing is left for this hour."""
        if now < self._next:
            return 0
        swept = self.store.database.write(lambda tx: self.store.quarantine.forget(tx, self._after, self.at_once, now - self.keep))
        self._deleted.update(swept.deleted)
        self._after = swept.after
        if self._deleted and (swept.done or self._deleted.total() >= TOLD_AT):
            log.warning("what was set aside is deleted for its age", action="quarantine_swept", count=self._deleted.total(),
                        sources=dict(sorted(self._deleted.items())), kept_days=self.keep // DAY)  # fmt: skip
            self._deleted.clear()
        if swept.done:
            self._after, self._next = 0, now + EVERY
        return 0 if swept.done else swept.n


class Counting:
    """Adds what the intake has counted to what the database knows, by the days of `zone`, the project's. One thread calls it."""

    def __init__(self, store: SqlStore, tally: Tally, zone: ZoneInfo) -> None:
        self.store, self.tally, self.zone = store, tally, zone
        self._next = 0

    def turn(self, now: int) -> None:
        """Save, when it is time."""
        if now >= self._next:
            self._next = now + COUNTED_EVERY
            self.save()

    def save(self) -> None:
        """One short transaction, where something came. What an error of the database keeps from being saved is saved the next time."""
        came = self.tally.unsaved()
        if came:
            days = [(day_number(c.last_at, self.zone), c) for c in came]
            self.store.database.write(lambda tx: self.store.received.add(tx, days))
            self.tally.saved(came)


def forgettable_before(audience: Audience, now: int, keep: int, next_work: int | None) -> tuple[int, dict[str, int]]:
    """An event received before this instant may go; by type, another instant, or 0 for never.

    - A day more than `keep`: an event dated ahead counts as received when it came, but comes with its own time again.
    - What a stored aggregate reads stays for ever: a release may make it anew. So do user records, which keep consents from repeats.
    - What a window reads stays as long as the window and its slack.
    - A step begins at its timer's own time and looks at what came since: nothing later than the next timer goes, also of who is paused.
    """
    latest = min(now - keep - FUTURE, now if next_work is None else next_work)
    by_type = {event: min(latest, now - p.window - SLACK) for event, p in audience.projections.items() if p.window}
    return latest, {**by_type, **dict.fromkeys(audience.needed_for_ever, 0), "$user": 0}
