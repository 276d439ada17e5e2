"""A user as she is now: her row, brought to the definitions in force, what she can be sent, and what stands in the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.app import App
from runtime.catalogue import Catalogue
from runtime.facts import UserFacts
from runtime.policy import PersonReach, Reach
from runtime.reprojection import is_current, reproject
from runtime.state import HISTORY, User
from runtime.store import Unreadable
from runtime.store.flow import Circuit
from runtime.store.movements import Pause
from runtime.store.quarantine import Filters, SetAside

_NOTHING: Mapping[str, Any] = {}


@dataclass
class Present:
    """One user at one moment. `waiting` counts what nobody has worked on yet, `unreadable` names what of her row cannot be read."""

    catalogue: Catalogue
    user: User
    reach: Reach
    now: int
    created_at: int = 0
    waiting: int = 0
    unreadable: tuple[str, ...] = ()
    set_aside: list[SetAside] = field(default_factory=list)
    pauses: dict[str, Pause] = field(default_factory=dict)
    held: list[Circuit] = field(default_factory=list)

    @property
    def person(self) -> PersonReach:
        """What she can be sent."""
        return self.reach.of(self.user)

    @property
    def history_comes(self) -> bool:
        """Whether her history is still being imported: time moves her only after it."""
        return self.user.audience == HISTORY

    def facts(
        self, at: int | None = None, *, entry: Mapping[str, Any] = _NOTHING, event: Mapping[str, Any] = _NOTHING,
        purpose: str = "marketing",
    ) -> UserFacts:  # fmt: skip
        """Her facts at an instant (now), as she is known now."""
        moment = self.now if at is None else at
        return UserFacts(self.catalogue.audience, self.user, moment, reach=self.reach, entry=entry, event=event, purpose=purpose)


def present_of(app: App, user_id: str, now: int) -> Present | None:
    """Load a user; None when nobody is known by this id (former ids are not looked up). Writes nothing."""
    store, engine = app.store, app.engine
    catalogue = engine.catalogue
    with store.database.reading() as tx:
        user = store.people.load_users(tx, [user_id]).get(user_id)
        if user is None:
            return None
        unreadable = tuple(name for name in ("profile", "reach") if isinstance(getattr(user, name), Unreadable))
        for name in unreadable:
            setattr(user, name, {})
        if "profile" not in unreadable and not is_current(catalogue.audience, user):  # the daemon will do so at her next turn
            user.profile = reproject(store, tx, [user], catalogue.audience, engine.zone, as_needed=True)[user_id]
        open_ = store.people.open_enrolments(tx, [user_id], now).get(user_id, [])
        user.journeys = {e.journey for e in open_ if e.ended_at is None}
        loaded = engine.reaching.load(tx, [user_id], {user_id: user}, now, started_only=False)[user_id]
        pauses = {pause.journey: pause for pause in store.movements.paused(tx)}
        person = loaded if isinstance(loaded, PersonReach) else PersonReach(user_id, user.zone, assume_consent=frozenset())
        return Present(
            catalogue, user, Reach(app.engine.rules, {user_id: person}, store.budgets.remaining(tx), paused=frozenset(pauses)), now,
            store.enquiries.created_at(tx, user_id), store.enquiries.unprojected(tx, user_id), unreadable,
            store.quarantine.find(tx, Filters(user=user_id), 20), pauses, list(store.flow.circuits(tx)),
        )  # fmt: skip
