"""Drives the engine and the delivery on a virtual clock: the same code as the daemon's, with time as an argument."""

from collections.abc import Sequence

from journeys.duration import SECOND
from runtime.attempt import Delivered
from runtime.clock import VirtualClock
from runtime.deliver import BATCH, Delivery
from runtime.engine import Engine
from runtime.state import Event
from runtime.store import SqlStore

MOST_ROUNDS = 100_000
PATIENCE = 30 * SECOND  # that what is unknown or put off for a moment is waited for


class VirtualRun:
    """A world whose time goes where it is told. `clock` is set with it: that of adapters which sign with the time."""

    def __init__(self, store: SqlStore, engine: Engine, delivery: Delivery, now: int, clock: VirtualClock | None = None) -> None:
        self.store, self.engine, self.delivery, self.now, self.clock = store, engine, delivery, now, clock
        self._doubts = False  # whether the end of any attempt was ever unknown: where none is, nobody looks for them

    def post(self, source: str, events: Sequence[Event]) -> int:
        """Let events arrive (they are worked on by the next `settle`), from `source` where they have none; returns how many are new."""
        arrived = [(event.source or source, event) for event in events]
        return len(self.store.database.write(lambda tx: self.store.inbox.add_all(tx, arrived)))

    def _go(self, now: int) -> None:
        self.now = max(self.now, now)
        if self.clock is not None:
            self.clock.set(self.now)

    def settle(self, now: int) -> None:
        """Work off everything that is due or has arrived up to an instant."""
        self._go(now)
        for _ in range(MOST_ROUNDS):
            worked = self.engine.tick(now)
            sent = self.delivery.tick(self.now)
            self._doubts |= bool(sent.counts.keys() & {"unknown", "retried"})
            if not worked.total and not sent.total:
                return
            self.settle_doubts(now + PATIENCE)
        msg = f"no end of work at {self.now}"
        raise RuntimeError(msg)

    def settle_doubts(self, until: int) -> None:
        """Ask for what became unknown, and repeat it, up to an instant a little ahead: the channels' time goes on, the users' stands still.

        The daemon does so within seconds. And whoever waits for a grant or call would wait for ever: her time stands still meanwhile.
        """
        while self._doubts:
            done = Delivered()
            for row in self.delivery.unknowns(self.now, BATCH):
                self.delivery.resolve_one(row, row.not_before, done)  # at its own time: what may expire is not late for our steps' sake
            with self.store.database.reading() as tx:
                at = self.store.ledger.next_work(tx)
            if at is None or at > until:
                return
            self._go(at)
            sent = self.delivery.tick(self.now)
            with self.store.database.reading() as tx:
                if not sent.total and not done.total and self.store.ledger.next_work(tx) == at:
                    return  # past its time: nothing moves it

    def next_work(self) -> int | None:
        """When something is due next."""
        with self.store.database.reading() as tx:
            sending = self.store.ledger.next_work(tx)
        return min((at for at in (sending, self.engine.next_work()) if at is not None), default=None)

    def advance_to(self, until: int) -> None:
        """Go from one due moment to the next, up to and including `until`."""
        while (at := self.next_work()) is not None and at <= until:
            before = self.now
            self.settle(at)
            if self.next_work() == at and self.now == before and at <= before:
                break  # quarantined or waiting for nobody: nothing moves it
        self._go(until)
