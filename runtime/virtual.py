"""Drives the engine and the delivery on a virtual clock: the same code as the daemon's, with time as an argument."""

from collections.abc import Sequence

from runtime.deliver import Delivery
from runtime.engine import Engine
from runtime.state import Event
from runtime.store import SqlStore

MOST_ROUNDS = 100_000


class VirtualRun:
    """A world whose time goes where it is told."""

    def __init__(self, store: SqlStore, engine: Engine, delivery: Delivery, now: int) -> None:
        self.store, self.engine, self.delivery, self.now = store, engine, delivery, now

    def post(self, source: str, events: Sequence[Event]) -> int:
        """Let events arrive (they are worked on by the next `settle`); returns how many are new."""
        return self.store.database.write(lambda tx: self.store.inbox.add_events(tx, source, events))

    def settle(self, now: int) -> None:
        """Work off everything that is due or has arrived up to an instant."""
        self.now = max(self.now, now)
        for _ in range(MOST_ROUNDS):
            worked = self.engine.tick(self.now)
            sent = self.delivery.tick(self.now)
            if not worked.total and not sent.total:
                return
        msg = f"no end of work at {self.now}"
        raise RuntimeError(msg)

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
        self.now = max(self.now, until)
