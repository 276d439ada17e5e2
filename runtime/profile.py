"""The profile of one user: a function of the set of her events, whatever the order in which they arrive. Pure.

`a` holds an aggregate per trait without a window, `h` a short history per event type that some window reads, `d` the digest of
the definitions both were made under (a profile under another one is made anew by `rebuild`). Their formats:
- count: n · sum: n ten-thousandths (a text beyond 63 bits) · avg: [ten-thousandths, n] · first, last: [time, tie, value]
- top: {value: [n, time, tie, what is shown]}, or TOO_MANY after 1,000 different values (in a window there are as many as are remembered)
- distinct: the 1,000 smallest hashes of values, sorted · median_gap: the latest times, sorted
- h: {event type: [[time, tie, fields], …]}, sorted; only the fields that windowed traits read
Equal times are ordered by a hash of source and id, then by value: nothing is left to the order of arrival.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from copy import copy
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from journeys.audience import Audience, Trait
from journeys.duration import DAY
from journeys.localtime import to_datetime
from journeys.projection import COMPUTED, Projection, median_bound
from journeys.rule import Rule
from journeys.values import LARGEST_NUMBER, as_number, coerce, coerce_again, fits
from runtime.state import Event, User, stable_key

SCALE = 10_000  # numbers have four places: whole ten-thousandths add up to the same in any order
LARGEST_STORED = 2**63 - 1  # an integer in JSON as every reader takes it
LONGEST_TEXT = 8192  # bytes in UTF-8, of a field or a trait: profiles hold texts, and each row is read as a whole
MOST_DIFFERENT = 1000  # values that `distinct` and `top` tell apart
MOST_REMEMBERED = 5000  # of one event type: the newest
SLACK = 2 * DAY  # histories are kept so much longer than their window: after a downtime a step looks back from its own time
TOO_MANY = "many"
_UTC = ZoneInfo("UTC")
_NONE: Mapping[str, Any] = {}


def project(audience: Audience, user: User, event: Event) -> None:
    """Let an event change the user's aggregates and histories. Events are deduplicated before, and typed as declared."""
    projection = audience.projections.get(event.type)
    if projection is None:
        return
    data, tie = (
        dict(event.data),
        stable_key(event.source, event.id)[:8],
    )  # data that cannot be read is refused here, before anything changes
    if projection.window:
        _remember(user, projection, event, data, tie)
    if not projection.folded:
        return
    states = user.profile.setdefault("a", {})
    for trait in projection.folded:
        if trait.where is None or trait.where.test(_EventFacts(event.fields(), event.time)):
            before = states.get(trait.name)
            state = _fold(trait, before, event.time, tie, data, user)
            if state is not before:
                states[trait.name] = state


def rebuild(audience: Audience, user: User, events: Iterable[Event]) -> dict[str, Any]:
    """The user's profile with aggregates and histories made anew from her events, in any order; values get their types, all else stays.

    `events` are all that were projected and not one more: what still waits in the inbox comes after. The user is not changed.
    """
    kept = {name: value for name, value in retyped(audience, user).items() if name not in ("a", "h", "d")}
    fresh = User(user.id, user.zone, kept)
    for event in events:
        project(audience, fresh, event)
    fresh.profile["d"] = definitions_of(audience, user)
    return fresh.profile


def retyped(audience: Audience, user: User) -> dict[str, Any]:
    """The user's profile with values from outside in the types that are declared now, aggregates and histories as they are.

    What does not fit its type stays as it came: rules take it as missing, and another declaration may fit it.
    """
    profile = dict(user.profile)
    if "p" in profile:
        profile["p"] = {name: _retyped(_outside(audience, name), value, user) for name, value in profile["p"].items()}
    profile["d"] = definitions_of(audience, user)
    return profile


def _retyped(trait: Trait | None, value: Any, user: User) -> Any:
    made = coerce_again(value, trait.kind, user.zone, trait.choices) if trait is not None else None
    return value if made is None else made


def _outside(audience: Audience, name: str) -> Trait | None:
    """The declared trait whose value comes from outside."""
    trait = audience.traits.get(name)
    return trait if trait is not None and not trait.aggregate and trait.value is None else None


def unfit(audience: Audience, user: User) -> dict[str, Any]:
    """The kept values that do not fit the type declared for them since."""
    stored = user.profile.get("p", _NONE)
    return {n: v for n, v in stored.items() if (t := _outside(audience, n)) is not None and not fits(v, t.kind, t.choices)}


def definitions_of(audience: Audience, user: User) -> str:
    """The digest that a profile made now carries; with the user's zone where a stored aggregate depends on it."""
    return f"{audience.profile_digest}@{user.zone.key}" if audience.reads_hour else audience.profile_digest


def _remember(user: User, projection: Projection, event: Event, data: dict[str, Any], tie: str) -> None:
    history = user.profile.setdefault("h", {}).setdefault(event.type, [])
    fields = {name: data[name] for name in projection.fields if name in data}
    if "id" in projection.fields:
        fields["id"] = event.id
    entry = [event.time, tie, fields]
    if not history or history[-1][:2] < entry[:2]:
        history.append(entry)
    else:
        at = bisect_left(history, (event.time, tie), key=lambda known: (known[0], known[1]))
        while at < len(history) and history[at][:2] == entry[:2] and _json(history[at][2]) < _json(fields):
            at += 1
        history.insert(at, entry)
    edge = history[-1][0] - projection.window - SLACK
    keep = max(bisect_right(history, edge, key=_time_of), len(history) - MOST_REMEMBERED) if len(history) > 1 else 0
    if keep:
        del history[:keep]


class _EventFacts:
    """Facts for a trait's `where`: the event alone."""

    __slots__ = ("event", "now")

    def __init__(self, event: Mapping[str, Any], now: int) -> None:
        self.event, self.now = event, now


def _json(value: Any) -> bytes:
    return orjson.dumps(value)


def _time_of(entry: list[Any]) -> Any:
    return entry[0]


def _field(name: str, time: int, data: Mapping[str, Any], user: User) -> Any:
    if name in COMPUTED:
        return time if name == "time" else to_datetime(time, user.zone).hour * 60
    return data.get(name)


def _fold(trait: Trait, state: Any, time: int, tie: str, data: Mapping[str, Any], user: User) -> Any:
    """The aggregate's next state; the result depends on the set of events only."""
    kind = trait.aggregate
    if kind == "count":
        return (state or 0) + 1
    if kind == "median_gap":
        times = state or []
        insort(times, time)
        del times[: -median_bound(trait)]
        return times
    value = _field(trait.of, time, data, user)
    if value is None:
        return state
    if kind == "sum":
        return _stored(int(state or 0) + _exact(value))
    if kind == "avg":
        total, count = state or (0, 0)
        return [_stored(int(total) + _exact(value)), count + 1]
    if kind in ("first", "last"):
        mine = [time, tie, value]
        if state is None:
            return mine
        return mine if _is_later(mine, state) == (kind == "last") else state
    if kind == "distinct":
        return _fold_distinct(state or [], stable_key(_json(value).decode())[:12])
    return _fold_top(trait, state, value, [1, time, tie, _field(trait.take, time, data, user) if trait.take else value])


def _exact(value: float) -> int:
    return round(value * SCALE)


def _stored(total: int) -> int | str:
    return total if abs(total) <= LARGEST_STORED else str(total)


def _is_later(mine: list[Any], other: list[Any]) -> bool:
    """Of two [time, tie, value]: the order of all events, in which only equal ones are equal."""
    if mine[:2] != other[:2]:
        return mine[:2] > other[:2]
    return _json(mine[2]) > _json(other[2])


def _fold_distinct(hashes: list[str], mine: str) -> list[str]:
    at = bisect_left(hashes, mine)
    if at == len(hashes) or hashes[at] != mine:
        hashes.insert(at, mine)
        del hashes[MOST_DIFFERENT:]
    return hashes


def _fold_top(trait: Trait, state: Any, value: Any, mine: list[Any]) -> dict[str, list[Any]] | str:
    if state == TOO_MANY:
        return TOO_MANY
    counts: dict[str, list[Any]] = state or {}
    key = value if type(value) is str else str(value)
    seen = counts.get(key)
    if seen is not None:
        later = mine if _is_later(mine[1:], seen[1:]) else seen
        counts[key] = [seen[0] + 1, *later[1:]]
    elif len(counts) >= MOST_DIFFERENT and not trait.within:  # what is not kept needs no bound but the history's
        return TOO_MANY
    else:
        counts[key] = mine
    return counts


def read_trait(trait: Trait, user: User, now: int, given: Any = None) -> Any:
    """The aggregate's value at `now`, or None when there is not enough to say.

    `given` is the state from which a window goes on: what a rehearsal says of before.
    """
    if not trait.within:
        return _read_state(trait, user.profile.get("a", _NONE).get(trait.name))
    if trait.aggregate == "count" and trait.where is None:
        return (given or 0) + count_within(user, trait.event, trait.within, now)
    entries = history_within(user, trait.event, trait.within, now)
    if trait.where is not None:
        entries = [entry for entry in entries if _entry_counts(trait.where, trait, entry, user)]
    if trait.aggregate == "count":
        return (given or 0) + len(entries)
    if trait.aggregate == "median_gap":  # of all of them
        return _read_state(trait, [entry[0] for entry in entries])
    state: Any = copy(given)
    for entry in entries:
        state = _fold(trait, state, entry[0], entry[1], entry[2], user)
    return _read_state(trait, state)


def _entry_counts(where: Rule, trait: Trait, entry: list[Any], user: User) -> bool:
    time, _, data = entry
    fields = {**data, "type": trait.event, "time": time, "user_id": user.id}
    return bool(where.test(_EventFacts(fields, time)))


def _read_state(trait: Trait, state: Any) -> Any:
    kind = trait.aggregate
    if state is None:
        return 0 if kind in ("count", "sum", "distinct") else None
    if kind == "sum":
        total = int(state)
        return as_number(total / SCALE) if abs(total) <= LARGEST_NUMBER * SCALE else None
    if kind == "avg":
        return as_number(int(state[0]) / (SCALE * state[1])) if state[1] >= trait.at_least else None
    if kind in ("first", "last"):
        return state[2]
    if kind == "distinct":
        return len(state)
    if kind == "median_gap":
        if len(state) < max(2, trait.at_least):
            return None
        return as_number(median(b - a for a, b in pairwise(state)) / DAY)
    if kind == "top":
        return _read_top(trait, state)
    return state


def _read_top(trait: Trait, state: dict[str, list[Any]] | str) -> Any:
    if isinstance(state, str) or sum(entry[0] for entry in state.values()) < trait.at_least:
        return None
    return max(state.items(), key=lambda item: (*item[1][:3], item[0]))[1][3]


def history_within(user: User, event: str, within: int, now: int) -> list[list[Any]]:
    """The remembered events in (now - within, now], oldest first. Exact for `now` up to two days before the newest event."""
    history = user.profile.get("h", _NONE).get(event)
    if not history:
        return []
    start, end = _bounds(history, within, now)
    return list(history[start:end])


def count_within(user: User, event: str, within: int, now: int) -> int:
    """How many `history_within` holds."""
    history = user.profile.get("h", _NONE).get(event)
    if not history:
        return 0
    start, end = _bounds(history, within, now)
    return end - start


def _bounds(history: list[list[Any]], within: int, now: int) -> tuple[int, int]:
    """Where (now - within, now] begins and ends in a history that is not empty."""
    since = now - within
    start = 0 if history[0][0] > since else bisect_right(history, since, key=_time_of)
    return start, len(history) if history[-1][0] <= now else bisect_right(history, now, key=_time_of)


def window_change(user: User, event: str, within: int, now: int) -> int | None:
    """When the oldest event now in the window leaves it."""
    history = user.profile.get("h", _NONE).get(event)
    if not history:
        return None
    start, _ = _bounds(history, within, now)
    oldest: int | None = history[start][0] if start < len(history) else None
    return oldest + within if oldest is not None and oldest <= now else None


def falls_below(user: User, event: str, within: int, now: int, fewest: int, *, exactly: bool = False) -> int | None:
    """When time alone leaves fewer than `fewest` events in the window (`exactly`: or just so many, if there are more); None when it
    holds fewer already, or none.
    """
    history = user.profile.get("h", _NONE).get(event)
    if not history:
        return None
    start, end = _bounds(history, within, now)
    held = end - start
    fewest += exactly and held > fewest
    if held < fewest or fewest < 1:
        return None
    leaving: int = history[start + held - fewest][0]
    return leaving + within


def set_values(audience: Audience, user: User, values: Mapping[str, Any]) -> None:
    """Take profile values from outside: declared ones typed, others as they come, and so what does not fit: rules take it as missing,
    and another declaration may fit it.
    """
    stored = user.profile.setdefault("p", {})
    for name, value in values.items():
        trait = _outside(audience, name)
        made = coerce(value, trait.kind, user.zone, trait.choices) if trait is not None else value
        if value is None:
            stored.pop(name, None)
        else:
            stored[name] = value if made is None else made


def change_tags(user: User, add: tuple[str, ...] | list[str], remove: tuple[str, ...] | list[str] = ()) -> None:
    """Add and remove tags; the result is sorted, so that equal sets are stored equally."""
    user.profile["t"] = sorted((set(user.profile.get("t", ())) | set(add)) - set(remove))


def take_record(audience: Audience, user: User, payload: Mapping[str, Any]) -> None:
    """Take what a record says of a user's traits: `clear` first, then set, set once, add to, append to."""
    stored = user.profile.setdefault("p", {})
    if payload.get("clear"):
        stored.clear()
    set_values(audience, user, payload.get("traits") or {})
    if once := payload.get("set_once"):
        missing = unfit(audience, user)
        set_values(audience, user, {name: value for name, value in once.items() if name not in stored or name in missing})
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
    """A list with what is new at its end, each once; at most MOST_DIFFERENT and LONGEST_TEXT bytes altogether."""
    found = list(before) if isinstance(before, list) else [] if before is None else [before]
    size = len(_json(found))
    for value in more if isinstance(more, list) else [more]:
        longer = size + len(_json(value)) + 1
        if value not in found and longer <= LONGEST_TEXT and len(found) < MOST_DIFFERENT:
            found.append(value)
            size = longer
    return found
