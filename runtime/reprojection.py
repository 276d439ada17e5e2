"""Profiles made anew from the kept events: when a release changed what aggregates mean, and when somebody asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.values import typed_again
from runtime.profile import SLACK, definitions_of, rebuild, retyped
from runtime.state import Event, User
from runtime.store import SqlStore, Unreadable


@dataclass(frozen=True, slots=True)
class Difference:
    """What a user's stored profile says otherwise than her events: traits, and event types whose history differs."""

    user_id: str
    traits: tuple[str, ...] = ()
    histories: tuple[str, ...] = ()


@dataclass
class Reprojected:
    """One chunk of a rebuild. `after` is the last user looked at; the next chunk goes on there."""

    after: str = ""
    users: int = 0
    renewed: int = 0  # made under another release's definitions, or never: no fault, the engine brings them too
    differences: list[Difference] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # users whose profile cannot be read: left as they are
    done: bool = False


def is_current(audience: Audience, user: User) -> bool:
    """Whether all of it was made under these definitions, types of values, too. What cannot be read is left alone; a new user has none."""
    if user.is_new or isinstance(user.profile, Unreadable):
        return True
    return bool(user.profile.get("d") == definitions_of(audience, user))


def only_zone_differs(audience: Audience, user: User) -> bool:
    """Whether nothing but her own zone has changed since: what follows from that is an edge like any other."""
    return str(user.profile.get("d", "")).partition("@")[0] == audience.profile_digest


def _only_types_differ(audience: Audience, user: User) -> bool:
    """Whether aggregates and histories are those of these definitions, and only the types of values are other ones."""
    (made, _, zone), (now, _, here) = (d.partition("@") for d in (str(user.profile.get("d", "")), definitions_of(audience, user)))
    return (made.partition(".")[0], zone) == (now.partition(".")[0], here)


def reproject(
    store: SqlStore, tx: Any, users: Sequence[User], audience: Audience, zone: ZoneInfo, *, as_needed: bool = False
) -> dict[str, dict[str, Any]]:
    """The profiles of these users, made anew from their projected events by one query. Nobody is changed.

    `as_needed`: where only the types of values have changed, nobody's events are read again.
    Fields declared since an event came get their types (`zone` is the project's); an event that cannot be read is passed over,
    as it was when it came.
    """
    profiles = {user.id: retyped(audience, user) for user in users}
    by_id = {user.id: user for user in users if not (as_needed and _only_types_differ(audience, user))}
    profiles.update({user_id: rebuild(audience, user, ()) for user_id, user in by_id.items()})
    events = store.inbox.projected(tx, sorted(by_id), sorted(audience.projections)) if by_id else ()
    readable = (_typed(event, audience, zone) for event in events if not isinstance(event.data, Unreadable))
    for user_id, mine in groupby(readable, lambda event: event.user_id):
        profiles[user_id] = rebuild(audience, by_id[user_id], mine)
    return profiles


def _typed(event: Event, audience: Audience, zone: ZoneInfo) -> Event:
    data = typed_again(event.data, audience.events.get(event.type), zone)
    return Event(event.id, event.type, event.user_id, event.time, event.received_at, data, event.source)


def difference_of(audience: Audience, user: User, profile: dict[str, Any], now: int) -> Difference | None:
    """How the user's own profile differs from the one made anew, in what can still be read at `now`; None when it does not."""
    old, new = user.profile.get("a", {}), profile.get("a", {})
    traits = tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name) and name in audience.traits))
    before, made = user.profile.get("h", {}), profile.get("h", {})
    histories = tuple(
        event for event, within in sorted(audience.windows.items())
        if _within(before.get(event), now - within - SLACK) != _within(made.get(event), now - within - SLACK)
    )  # fmt: skip
    return Difference(user.id, traits, histories) if traits or histories else None


def _within(history: Any, edge: int) -> Any:
    """The entries after an edge: a history may hold older ones, for the versions or the release before, or for somebody long away."""
    return [entry for entry in history if entry[0] > edge] if isinstance(history, list) else history or []
