"""The moves of the release in force: whoever is met in an older version is moved, ended or left there before anything else happens.

The rest are looked for in the order of their enrolments' numbers, a batch at a time, until everybody was.
"""

from dataclasses import dataclass, replace
from typing import Any

from runtime.catalogue import Catalogue, Versioned
from runtime.session import Session, Tracked
from runtime.state import ENDED, User
from runtime.store import SqlStore
from runtime.store.database import Batch
from runtime.store.movements import Movement


@dataclass(frozen=True, slots=True)
class Swept:
    """A batch of the rest: whom it looks at, and up to which number everybody has been looked at when it is written."""

    movement: Movement
    users: list[User]
    cursor: int
    is_last: bool


class Underway:
    """What the release in force decided for those inside older versions."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.movements: dict[str, Movement] = {}
        self._leads_to: dict[int, Versioned | None] = {}  # from an older version: the one that is current, if any

    def load(self, tx: Any, catalogue: Catalogue) -> None:
        """Take the decisions of a release."""
        self.movements = {m.journey: m for m in self.store.movements.of_release(tx, catalogue.release_id)}
        current = {journey: catalogue.current.get(journey) for journey in self.movements}
        self._leads_to = {
            version.id: to
            for journey, to in current.items()
            for version in self.store.releases.versions_of(tx, journey)
            if to is None or version.id != to.version_id
        }

    @property
    def is_over(self) -> bool:
        """Whether everybody was looked at."""
        return all(m.done_at is not None for m in self.movements.values())

    def settle(self, session: Session, tracked: Tracked, now: int) -> None:
        """Decide for one enrolment that was met, once."""
        enrolment = tracked.enrolment
        movement = self.movements.get(enrolment.journey)
        if movement is None or enrolment.version not in self._leads_to or enrolment.status == ENDED:
            return
        if enrolment.context.get("kept") != movement.release_id:
            session.move(tracked, self._leads_to[enrolment.version], movement.release_id, movement.in_flight, now)

    def sweep(self, batch: Batch, limit: int) -> Swept | None:
        """The next of those whom nothing else has met; None when there is nothing to do, or they are all in other hands now."""
        tx = batch.connection
        movement = next((m for m in self.movements.values() if m.done_at is None), None)
        if movement is None:
            return None
        found = self.store.movements.next_of(tx, movement, limit)
        user_ids = sorted({user_id for _, user_id in found})
        free = self.store.people.load_users(tx, user_ids, lock=True) if found else {}
        taken = self.store.people.existing(tx, [u for u in user_ids if u not in free])  # by another daemon, for a moment
        passed = [number for number, user_id in found if user_id not in taken]
        first_taken = min((number for number, user_id in found if user_id in taken), default=None)
        cursor = max((n for n in passed if first_taken is None or n < first_taken), default=movement.cursor)
        return Swept(movement, list(free.values()), cursor, is_last=len(found) < limit and not taken)

    def write(self, tx: Any, swept: Swept, now: int) -> None:
        """Note how far the sweep came."""
        done_at = now if swept.is_last else None
        self.store.movements.save(tx, swept.movement, swept.cursor, done_at)
        self.movements[swept.movement.journey] = replace(swept.movement, cursor=swept.cursor, done_at=done_at)
