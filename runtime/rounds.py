"""A round of the engine: what it did, and how a batch of it is concluded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.batches import Work, Writing
from runtime.lookback import look_back
from runtime.store import SqlStore
from runtime.store.database import Batch


@dataclass
class Worked:
    """What a tick did."""

    notes: int = 0
    rechecked: int = 0
    advanced: int = 0
    populated: int = 0
    moved: int = 0
    entered: int = 0
    quarantined: int = 0
    lanes: set[str] = field(default_factory=set)  # on which something was planned

    @property
    def total(self) -> int:
        """How much was there to do; 0 means that nothing is left for now."""
        return self.notes + self.rechecked + self.advanced + self.populated + self.moved


@dataclass(frozen=True)
class Rounds:
    """Concludes batches. On a virtual clock (`virtual`) every event is worked on at its own time, and no wait has to look back."""

    store: SqlStore
    virtual: bool

    def conclude(
        self, batch: Batch, work: Work, now: int, worked: Worked, done: Sequence[int] = (), also: Callable[[Any], None] | None = None
    ) -> None:  # fmt: skip
        """Let waits hear what came between their begin and now, then write; see `write`."""
        if not self.virtual:
            look_back(self.store, batch, work, now, done)
        self.write(batch, work, now, worked, done, also)

    def write(
        self, batch: Batch, work: Work, now: int, worked: Worked, done: Sequence[int] = (), also: Callable[[Any], None] | None = None
    ) -> None:  # fmt: skip
        """Write a batch in one transaction: `done` are the notes that it has worked off, `also` writes what else belongs to it."""

        def unit(tx: Any) -> None:
            if work.holds_until is not None and self.store.imports.holds_until(tx, now) is None:
                work.let_go(now)  # the import has ended since this batch was read
            writing = Writing(self.store, tx, now, virtual=self.virtual)
            writing.write(work)
            worked.lanes |= writing.lanes
            self.store.inbox.finish(tx, done)
            if also is not None:
                also(tx)

        batch.write(unit)
        worked.quarantined += len(work.quarantined)
        for session in work.sessions.values():
            worked.entered += sum(n for (_, _, what, _), n in session.tallies.items() if what == "entered")
