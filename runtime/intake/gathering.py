"""What the requests of one moment brought goes to the writer as one unit, and all of them are told in one call back into the loop."""

import asyncio
import contextlib
import threading
from concurrent.futures import Future

from runtime.store import SqlStore
from runtime.store.arrivals import Arrival
from runtime.store.writer import INTAKE, Together

Waiting = list[tuple[Arrival, "asyncio.Future[int]"]]


class _Here(threading.local):
    """The loop of this thread, and what waits in it. To ask asyncio for the loop asks the system for the process, which may take 10 µs."""

    loop: asyncio.AbstractEventLoop | None = None
    waiting: Waiting | None = None


class Gathering:
    """Keeps arrivals. A unit for each, with futures and wake-ups of its own, would cost more than its rows do."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._here = _Here()
        self.in_hand = 0  # things that wait for their commit

    def keep(self, arrival: Arrival) -> "asyncio.Future[int]":
        """How many of its things are new, after the commit; else the error of the database, or Closed."""
        here = self._here
        loop = here.loop
        if loop is None or not loop.is_running():
            loop, here.waiting = asyncio.get_running_loop(), None
            here.loop = loop
        told: asyncio.Future[int] = loop.create_future()
        if here.waiting is None:
            here.waiting = []
            loop.call_soon(self._hand_over, loop)  # after all the requests that can be read at this moment
        here.waiting.append((arrival, told))
        self.in_hand += arrival.given
        return told

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._here.waiting = self._here.waiting or [], None
        unit = Together(self._store.arrivals.take, [arrival for arrival, _ in group])

        def committed(done: "Future[list[int | Exception]]") -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever asked
                loop.call_soon_threadsafe(self._tell, group, done)

        self._store.database.submit(unit, INTAKE).add_done_callback(committed)

    def _tell(self, group: Waiting, done: "Future[list[int | Exception]]") -> None:
        self.in_hand -= sum(arrival.given for arrival, _ in group)
        error = done.exception()
        for (_, told), result in zip(group, [error] * len(group) if error is not None else done.result(), strict=True):
            if told.done():  # nobody waits any more
                continue
            if isinstance(result, BaseException):
                told.set_exception(result)
            else:
                told.set_result(result)
