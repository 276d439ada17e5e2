"""The windows of paced journeys: at most so many enter in one, by segment edges and populations together.

A window begins with the first entry after the one before has ended. What counts is when an entry is made: after a downtime
everybody who became due meanwhile comes at once, and it is then that the pace protects. On a virtual clock that is the entry's
own time; users do not come in the order of time there, so that the windows of the run are kept in memory, and who comes less
than a window before one that has begun already is counted in that one: no stretch of time lets in more for it.
"""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from runtime.state import Window
from runtime.store import SqlStore


class Windows:
    """The windows that a batch counts in. `paces` are those of the current versions: how many per how many milliseconds.

    `kept` are the windows of each journey in their order, as far as they are in hand: a new dict for each batch, and one for
    the whole run on a virtual clock, where nobody else counts.
    """

    def __init__(self, store: SqlStore, paces: Mapping[str, tuple[int, int]], kept: dict[str, list[Window]], *, virtual: bool) -> None:
        self._store, self._paces, self._kept, self._virtual = store, paces, kept, virtual
        self._locked = virtual
        self._counted: set[str] = set()

    def known(self, tx: Any, journey: str, at: int) -> Window | None:
        """The window that an instant falls into, without waiting for another daemon; None when none has begun, or there is no pace."""
        if journey not in self._paces:
            return None
        windows, place = self._place(tx, journey, at)
        if place and at < windows[place - 1].until:
            return windows[place - 1]
        # before the newest: another user's time on a virtual clock has gone further, or the clock of another daemon is ahead
        if place < len(windows) and (not self._virtual or windows[place].begun_at < at + self._paces[journey][1]):
            return windows[place]
        return None

    def counting(self, tx: Any, journey: str, at: int) -> Window:
        """The window that an entry at an instant is counted in, begun with it if need be; nobody else counts until the transaction ends.

        Batches cannot deadlock over it. Who waits here has locked user rows and perhaps a population, and has written nothing;
        who holds the counters has got all of them by one statement, in the order of their names, and only writes from there on:
        rows of its own users, and what other writers hold, never a user's row that a batch has locked (a note to her takes none).
        An intake or a reply that has written and then waits for such a row could close a ring of three (its new user, or its
        address, is just what the holder writes): PostgreSQL ends one of them after a second, and that is done again.
        """
        if not self._locked:
            self._locked = True
            self._take(self._store.paces.locked(tx, list(self._paces)))
        self._counted.add(journey)
        window = self.known(tx, journey, at)
        if window is None:
            windows, place = self._place(tx, journey, at)
            windows.insert(place, window := Window(at, at + self._paces[journey][1]))
        return window

    def forget(self) -> None:
        """The savepoint in which they were locked was undone, and the locks with it."""
        if not self._virtual:
            self._locked = False
            self._kept.clear()
            self._counted.clear()

    def save(self, tx: Any) -> None:
        """Write what was counted, in the transaction of the entries."""
        newest = {journey: self._kept[journey][-1] for journey in self._counted}
        self._store.paces.save(tx, {journey: (window.begun_at, window.taken) for journey, window in newest.items()})

    def _place(self, tx: Any, journey: str, at: int) -> tuple[list[Window], int]:
        """The windows in hand, and how many of them have begun by an instant."""
        if journey not in self._kept:
            self._take(self._store.paces.newest(tx, [journey]), journey)
        windows = self._kept[journey]
        return windows, bisect_right(windows, at, key=lambda window: window.begun_at)

    def _take(self, rows: Mapping[str, tuple[int, int]], *journeys: str) -> None:
        """Take windows as they stand, which end by the pace as it is now."""
        self._kept |= {journey: [] for journey in journeys}
        self._kept |= {j: [Window(begun_at, begun_at + self._paces[j][1], taken)] for j, (begun_at, taken) in rows.items()}
