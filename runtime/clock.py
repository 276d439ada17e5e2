"""The only place that reads a clock. Everything else is given `now`: milliseconds since 1970-01-01 UTC."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""


class SystemClock:
    """The machine's clock; never runs backwards within a process."""

    def __init__(self) -> None:
        self._latest = 0

    def now(self) -> int:
        """The present instant, or the latest one told when the machine's clock was set back."""
        self._latest = max(self._latest, time.time_ns() // 1_000_000)
        return self._latest


class VirtualClock:
    """A clock that stands still until it is set: simulations, rehearsals and tests."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """The instant it was set to."""
        return self._now

    def set(self, now: int) -> None:
        """Go forward to an instant; an earlier one is ignored."""
        self._now = max(self._now, now)
