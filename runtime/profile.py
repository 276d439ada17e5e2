"""The profile of one user: traits computed from events as they arrive, whatever their order. Pure.

Traits with a window read a short history of the event (`h`); the others keep an aggregate (`a`).
Equal times are ordered by event id, so that the order of arrival never matters.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience, Trait
from journeys.duration import DAY
from journeys.localtime import to_datetime
from journeys.values import as_number, coerce
from runtime.state import Event, User, stable_key

MOST_DISTINCT = 1000
_UTC = ZoneInfo("UTC")
_NONE: Mapping[str, Any] = {}


def project(audience: Audience, user: User, event: Event) -> None:
    """Let an event change the user's aggregates and histories. Events are deduplicated before."""
    window = audience.windows.get(event.type)
    if window:
        _remember(user, event, window)
    for trait in audience.traits.values():
        if trait.event == event.type and not trait.within and _counts(trait, event):
            states = user.profile.setdefault("a", {})
            states[trait.name] = _fold(trait, states.get(trait.name), event, user)


def rebuild(audience: Audience, user: User, events: Iterable[Event]) -> None:
    """Compute aggregates and histories anew from a user's events; values, tags and what she was before stay."""
    for key in ("a", "h"):
        user.profile.pop(key, None)
    for event in sorted(events, key=lambda e: (e.time, e.id)):
        project(audience, user, event)


def _remember(user: User, event: Event, window: int) -> None:
    history = user.profile.setdefault("h", {}).setdefault(event.type, [])
    # numbers, texts and times only: an entry is [time, tie-break, fields]
    insort(history, [event.time, stable_key(event.id)[:8], dict(event.data)], key=lambda entry: (entry[0], entry[1]))
    edge = history[-1][0] - window
    keep = bisect_right(history, edge, key=lambda entry: entry[0])
    if keep:
        del history[:keep]


class _EventFacts:
    """Facts for a trait's `where`: the event alone."""

    def __init__(self, event: Mapping[str, Any], now: int) -> None:
        self.event, self.now = event, now


def _counts(trait: Trait, event: Event) -> bool:
    return trait.where is None or bool(trait.where.test(_EventFacts(event.fields(), event.time)))


def _field(name: str, time: int, data: Mapping[str, Any], user: User) -> Any:
    if name == "time":
        return time
    if name == "hour":
        return to_datetime(time, user.zone).hour * 60
    return data.get(name)


def _fold(trait: Trait, state: Any, event: Event, user: User) -> Any:
    """The aggregate's next state; the result depends on the set of events only."""
    value = _field(trait.of, event.time, event.data, user) if trait.of else None
    kind = trait.aggregate
    if kind == "count":
        return (state or 0) + 1
    if kind == "median_gap":
        times = state or []
        insort(times, event.time)
        return times
    if value is None:
        return state
    if kind == "sum":
        return as_number((state or 0) + value)
    if kind == "avg":
        total, count = state or (0, 0)
        return [as_number(total + value), count + 1]
    if kind in ("first", "last"):
        mine = [event.time, stable_key(event.id)[:8], value]
        if state is None:
            return mine
        earlier = mine[:2] < state[:2]
        return mine if earlier == (kind == "first") else state
    if kind == "distinct":
        values = state or []
        if value not in values and len(values) < MOST_DISTINCT:
            insort(values, value)
        return values
    return _fold_top(trait, state, event, value, user)


def _fold_top(trait: Trait, state: Any, event: Event, value: Any, user: User) -> dict[str, list[Any]]:
    counts: dict[str, list[Any]] = state or {}
    seen = counts.get(str(value))
    mine = [1, event.time, stable_key(event.id)[:8], _field(trait.take, event.time, event.data, user) if trait.take else value]
    if seen is None:
        counts[str(value)] = mine
    else:
        later = mine if mine[1:3] > seen[1:3] else seen
        counts[str(value)] = [seen[0] + 1, *later[1:]]
    return counts


def read_trait(trait: Trait, user: User, now: int) -> Any:
    """The aggregate's value at `now`, or None when there is not enough to say."""
    if not trait.within:
        return _read_state(trait, user.profile.get("a", _NONE).get(trait.name))
    entries = [e for e in history_within(user, trait.event, trait.within, now) if _entry_counts(trait, e, user)]
    if trait.aggregate == "count":
        return len(entries)
    state: Any = None
    for time, tie, data in entries:
        event = Event(tie, trait.event, user.id, time, time, data)
        state = _fold(trait, state, event, user)  # in their order, so the latest simply wins ties
    return _read_state(trait, state)


def _entry_counts(trait: Trait, entry: list[Any], user: User) -> bool:
    if trait.where is None:
        return True
    time, tie, data = entry
    fields = {**data, "id": tie, "type": trait.event, "time": time, "user_id": user.id}
    return bool(trait.where.test(_EventFacts(fields, time)))


def _read_state(trait: Trait, state: Any) -> Any:
    kind = trait.aggregate
    if state is None:
        return 0 if kind in ("count", "sum", "distinct") else None
    if kind == "avg":
        return as_number(state[0] / state[1]) if state[1] >= trait.at_least else None
    if kind in ("first", "last"):
        return state[2]
    if kind == "distinct":
        return len(state)
    if kind == "median_gap":
        if len(state) < max(2, trait.at_least):
            return None
        return as_number(median(b - a for a, b in pairwise(state)) / DAY)
    if kind == "top":
        if sum(entry[0] for entry in state.values()) < trait.at_least:
            return None
        return max(state.values(), key=lambda entry: (entry[0], entry[1], entry[2]))[3]
    return state


def history_within(user: User, event: str, within: int, now: int) -> list[list[Any]]:
    """The remembered events in (now - within, now], oldest first."""
    history = user.profile.get("h", _NONE).get(event)
    if not history:
        return []
    start = bisect_right(history, now - within, key=lambda entry: entry[0])
    end = bisect_right(history, now, key=lambda entry: entry[0])
    return list(history[start:end])


def window_change(user: User, event: str, within: int, now: int) -> int | None:
    """When the oldest event now in the window leaves it."""
    entries = history_within(user, event, within, now)
    return entries[0][0] + within if entries else None


def set_values(audience: Audience, user: User, values: Mapping[str, Any]) -> None:
    """Take profile values from outside: declared ones typed (what does not fit is missing), others kept as they are."""
    stored = user.profile.setdefault("p", {})
    for name, value in values.items():
        trait = audience.traits.get(name)
        if trait is not None and not trait.aggregate and trait.value is None:
            value = coerce(value, trait.kind, user.zone, trait.choices)  # noqa: PLW2901 - the typed value
        if value is None:
            stored.pop(name, None)
        else:
            stored[name] = value


def change_tags(user: User, add: tuple[str, ...] | list[str], remove: tuple[str, ...] | list[str] = ()) -> None:
    """Add and remove tags; the result is sorted, so that equal sets are stored equally."""
    user.profile["t"] = sorted((set(user.profile.get("t", ())) | set(add)) - set(remove))


def take_record(audience: Audience, user: User, payload: Mapping[str, Any]) -> None:
    """Take what a record says of a user's traits: `clear` first, then set, set once, add to, append to."""
    stored = user.profile.setdefault("p", {})
    if payload.get("clear"):
        stored.clear()
    set_values(audience, user, payload.get("traits") or {})
    set_values(audience, user, {n: v for n, v in (payload.get("set_once") or {}).items() if n not in stored})
    set_values(
        audience, user, {n: total for n, by in (payload.get("increment") or {}).items() if (total := _sum(stored.get(n), by)) is not None}
    )
    set_values(audience, user, {n: _appended(stored.get(n), more) for n, more in (payload.get("append") or {}).items()})


def _sum(before: Any, by: Any) -> int | float | None:
    """The number after an addition; None (nothing happens) when either is no number."""
    numbers = [coerce(value, "number", _UTC) for value in (0 if before is None else before, by)]
    if any(not isinstance(number, int | float) for number in numbers):
        return None
    return as_number(sum(numbers))  # type: ignore[arg-type]


def _appended(before: Any, more: Any) -> list[Any]:
    """A list with what is new at its end, each once; at most MOST_DISTINCT."""
    found = list(before) if isinstance(before, list) else [] if before is None else [before]
    found += [value for value in (more if isinstance(more, list) else [more]) if value not in found]
    return found[:MOST_DISTINCT]
