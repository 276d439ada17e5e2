"""From local clocks to instants and back, with the two rules for the changes of summer time.

Gap (02:30 does not exist): the first minute that does. Overlap (02:30 comes twice): the first pass only.
An instant is milliseconds since 1970-01-01 UTC, everywhere in journeyd.
"""

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NewType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Instant = NewType("Instant", int)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = 86_400_000


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """The IANA zone of that name, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def to_instant(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime; parts of a millisecond are cut."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=4096)
def to_datetime(instant: int, zone: ZoneInfo) -> datetime:
    """The wall clock of that zone at the instant."""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(zone)


@lru_cache(maxsize=4096)
def local_instant(day: date, minutes: int, zone: ZoneInfo) -> int:
    """The instant at which that zone's clock first shows `minutes` after midnight of `day`, or the minute after a gap."""
    wall = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(minutes=minutes)
    for _ in range(24 * 60 + 1):  # Samoa once left out a whole day
        instant = to_instant(wall.astimezone(UTC))
        if to_datetime(instant, zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
            return instant
        wall += timedelta(minutes=1)
    msg = f"no valid minute on {day} in {zone.key}"  # pragma: no cover - no zone skips a whole day and its next
    raise AssertionError(msg)


def next_local(after: int, minutes: int, zone: ZoneInfo, days: Collection[str] = ()) -> int:
    """The first instant at or after `after` at which the local clock shows `minutes`, on one of `days` if any."""
    day = to_datetime(after, zone).date()
    for ahead in range(9):
        candidate = day + timedelta(days=ahead)
        if days and WEEKDAYS[candidate.weekday()] not in days:
            continue
        instant = local_instant(candidate, minutes, zone)
        if instant >= after:
            return instant
    msg = f"no {minutes} within nine days in {zone.key}"  # pragma: no cover
    raise AssertionError(msg)


def on_local_day(instant: int, minutes: int, zone: ZoneInfo) -> int:
    """The same local day as `instant`, at `minutes` after midnight."""
    return local_instant(to_datetime(instant, zone).date(), minutes, zone)


def in_window(instant: int, window: tuple[int, int], zone: ZoneInfo) -> bool:
    """Whether the local clock stands in [start, end); a window such as 21:00-09:00 goes over midnight."""
    wall = to_datetime(instant, zone)
    minutes = wall.hour * 60 + wall.minute
    start, end = window
    return start <= minutes < end if start < end else minutes >= start or minutes < end


def day_start(instant: int, zone: ZoneInfo) -> int:
    """The instant at which the local day of `instant` began."""
    return on_local_day(instant, 0, zone)


_latest_day: dict[ZoneInfo, tuple[int, int, int]] = {}  # of each zone, the day that was asked for last: its begin, its end, its number


def day_number(instant: int, zone: ZoneInfo) -> int:
    """Which local day it is, in days since 1970-01-01. A day begins when the clock first shows its midnight, or the minute after a gap.

    So days follow one another, also where the clock goes back over midnight. It is asked for each thing that is counted, and nearly
    always of the same day: that is remembered.
    """
    known = _latest_day.get(zone)
    if known is None or not known[0] <= instant < known[1]:
        day = to_datetime(instant, zone).date()
        if local_instant(day + timedelta(days=1), 0, zone) <= instant:
            day += timedelta(days=1)
        begin, end = (local_instant(day + timedelta(days=n), 0, zone) for n in (0, 1))
        known = _latest_day[zone] = begin, end, (day - _FIRST_DAY).days
    return known[2]


def week_start(instant: int, zone: ZoneInfo) -> int:
    """The instant at which the local week (from Monday) of `instant` began."""
    day = to_datetime(instant, zone).date()
    return local_instant(day - timedelta(days=day.weekday()), 0, zone)


def offsets_of(zone: ZoneInfo, start: int, end: int) -> list[tuple[int, int]]:
    """How far the zone's clock is ahead of UTC between two instants: (from this instant, milliseconds), in their order.

    For evaluators that cannot ask zoneinfo. A zone that changes twice within a day is seen as it is at the day's ends.
    """

    def offset(instant: int) -> int:
        ahead = to_datetime(instant, zone).utcoffset()
        return ahead // _MILLISECOND if ahead is not None else 0

    found = [(start, offset(start))]
    for day in range(start, end, _DAY):
        before, after = day, min(day + _DAY, end)
        if offset(after) == found[-1][1]:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == found[-1][1] else (before, middle)
        found.append((after, offset(after)))
    return found


def anniversary_on(year: int, month_day: str) -> date:
    """The day of `MM-DD` in a year; 29 February is kept on the 28th where the year has none."""
    month, day = int(month_day[:2]), int(month_day[3:5])
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, 28)


def _two(value: int) -> str:
    return f"{value:02d}"


_DIRECTIVES: dict[str, Callable[[datetime], str]] = {
    "%Y": lambda d: str(d.year),
    "%m": lambda d: _two(d.month),
    "%-m": lambda d: str(d.month),
    "%d": lambda d: _two(d.day),
    "%-d": lambda d: str(d.day),
    "%H": lambda d: _two(d.hour),
    "%-H": lambda d: str(d.hour),
    "%M": lambda d: _two(d.minute),
}
DIRECTIVES = tuple(_DIRECTIVES)


def date_format(pattern: str) -> Callable[[datetime], str] | None:
    """A printer for a pattern such as `%Y年%-m月%-d日 %H:%M`; None when it has another `%` than DIRECTIVES."""
    parts: list[Callable[[datetime], str]] = []
    rest = pattern
    while rest:
        head, percent, tail = rest.partition("%")
        if head:
            parts.append(lambda _, text=head: text)  # type: ignore[misc]
        if not percent:
            break
        directive = "%" + tail[:2] if tail.startswith("-") else "%" + tail[:1]
        printer = _DIRECTIVES.get(directive)
        if printer is None:
            return None
        parts.append(printer)
        rest = tail[len(directive) - 1 :]
    return lambda moment: "".join(part(moment) for part in parts)


_DEFAULT_DATE = date_format("%Y-%m-%d %H:%M")


def print_instant(instant: int, zone: ZoneInfo) -> str:
    """`2026-12-01 18:30` on that zone's clock."""
    assert _DEFAULT_DATE is not None  # noqa: S101 - a constant pattern
    return _DEFAULT_DATE(to_datetime(instant, zone))
