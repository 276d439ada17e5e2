"""What the daemon puts away when nothing else is to be done: events older than `[intake] keep_events`, a few at a time."""

from journeys.audience import Audience
from journeys.duration import HOUR
from runtime.engine import Engine
from runtime.intake.items import FUTURE
from runtime.profile import SLACK
from runtime.store import SqlStore

EVERY = HOUR
MOST_LOOKED_AT = 1000  # events in one short transaction


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
        latest, by_type = forgettable_before(catalogue.audience, now, self.keep, self.engine.next_work())
        looked = self.store.database.write(lambda tx: self.store.inbox.forget(tx, self._after, self.at_once, latest, by_type))
        self._held = looked.held if self._held is None else self._held
        self._after = looked.after
        if looked.done:  # the next sweep begins where time alone held something back
            self._after, self._held, self._next = looked.after if self._held is None else self._held - 1, None, now + EVERY
        return 0 if looked.done else looked.n


def forgettable_before(audience: Audience, now: int, keep: int, next_work: int | None) -> tuple[int, dict[str, int]]:
    """An event received before this instant may go; by type, another instant, or 0 for never.

    - A day more than `keep`: an event dated ahead counts as received when it came, but comes with its own time again.
    - What a stored aggregate reads stays for ever: a release may make it anew. So do user records, which keep consents from repeats.
    - What a window reads stays as long as the window and its slack.
    - A step begins at its timer's own time and looks at what came since: nothing later than the next timer goes.
    """
    latest = min(now - keep - FUTURE, now if next_work is None else next_work)
    by_type = {event: min(latest, now - p.window - SLACK) for event, p in audience.projections.items() if p.window}
    return latest, {**by_type, **dict.fromkeys(audience.needed_for_ever, 0), "$user": 0}
