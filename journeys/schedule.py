"""Cron schedules as people know them: five fields, 0 or 7 is Sunday. Fires are computed by APScheduler's trigger."""

import functools
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from journeys.codes.code import Words, words
from journeys.localtime import local_instant, to_datetime

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WALL = ZoneInfo("UTC")  # the trigger counts on the clock on the wall; local_instant finds the instants
_PART = re.compile(r"(?:\*|(?P<first>[0-7]|[a-z]{3})(?:-(?P<last>[0-7]|[a-z]{3}))?)(?:/(?P<step>[1-7]))?")


def trigger_of(text: str, zone: ZoneInfo) -> CronTrigger:
    """The trigger of `0 9 * * 5` (Fridays at 9). Raises ValueError for anything else than five fields.

    APScheduler counts weekdays from Monday; they are given to it as names, one by one.
    """
    fields = text.split()
    if len(fields) != 5:  # noqa: PLR2004 - minute hour day month weekday
        msg = f"expected five fields, found {len(fields)}"
        raise ValueError(msg)
    if fields[4] != "*":
        fields[4] = ",".join(dict.fromkeys(day for part in fields[4].lower().split(",") for day in _weekdays(part)))
    return CronTrigger.from_crontab(" ".join(fields), timezone=zone)


_FIELDS = (words("minute", "分"), words("hour", "时"), words("day", "日"), words("month", "月"), words("weekday", "周几"))


def unfit_part(text: str) -> Words:
    """What is wrong with a schedule that is none: how many fields it has, or which of them does not fit."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return words(
            f"“{text}” with {len(fields)}",
            f"“{text}”，只有 {len(fields)} 段" if len(fields) < len(_FIELDS) else f"“{text}”，有 {len(fields)} 段",
        )
    for place, name in enumerate(_FIELDS):
        try:
            trigger_of(" ".join(fields[place] if other == place else "*" for other in range(len(_FIELDS))), _WALL)
        except ValueError:
            return words(
                f"“{text}”, whose {name['en']} {fields[place]} does not fit", f"“{text}”，其中“{name['zh']}”写的 {fields[place]} 不对"
            )
    return words(f"“{text}”", f"“{text}”")


def _weekdays(part: str) -> list[str]:
    """The days of `5`, `1-5`, `fri-mon`, `0-6/2`, `*/2`: a week begins on Sunday, and a range may go over its end."""
    match = _PART.fullmatch(part)
    if match is None:
        msg = f"expected weekdays such as 5, 1-5 or sat,sun, found {part}"
        raise ValueError(msg)
    first = _weekday(match["first"] or "0")
    last = _weekday(match["last"]) if match["last"] else first if match["first"] and not match["step"] else 6
    if last < first or (match["last"] == "7" and first == 0):
        last += 7
    return [_DAYS[number % 7] for number in range(first, last + 1, int(match["step"] or 1))]


def _weekday(name: str) -> int:
    return int(name) % 7 if name.isdigit() else _DAYS.index(name)


@functools.lru_cache(1024)  # asked at every tick, with the same answer until it has fired
def next_fire(text: str, zone: ZoneInfo, after: int) -> int | None:
    """The first fire strictly after an instant, or None when there is none. Summer time: as local_instant has it."""
    trigger = trigger_of(text, _WALL)
    start = to_datetime(after, zone).replace(tzinfo=_WALL, fold=0) + timedelta(milliseconds=1)
    while (fire := trigger.get_next_fire_time(None, start)) is not None:
        instant = local_instant(fire.date(), fire.hour * 60 + fire.minute, zone)
        if instant > after:
            return instant
        start = fire + timedelta(minutes=1)  # the second pass of an overlap
    return None
