"""Cron schedules as people know them: five fields, 0 or 7 is Sunday. Fires are computed by APScheduler's trigger."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from journeys.localtime import to_datetime, to_instant

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBER = re.compile(r"(?<![/\d])[0-7](?!\d)")


def trigger_of(text: str, zone: ZoneInfo) -> CronTrigger:
    """The trigger of `0 9 * * 5` (Fridays at 9). Raises ValueError for anything else than five fields.

    APScheduler counts weekdays from Monday; the numbers are given to it as names.
    """
    fields = text.split()
    if len(fields) != 5:  # noqa: PLR2004 - minute hour day month weekday
        msg = f"expected five fields, found {len(fields)}"
        raise ValueError(msg)
    fields[4] = _NUMBER.sub(lambda number: _DAYS[int(number[0])], fields[4])
    return CronTrigger.from_crontab(" ".join(fields), timezone=zone)


def next_fire(text: str, zone: ZoneInfo, after: int) -> int | None:
    """The first fire strictly after an instant, or None when there is none."""
    start = to_datetime(after, zone) + timedelta(milliseconds=1)
    fire = trigger_of(text, zone).get_next_fire_time(None, start)
    return to_instant(fire) if fire is not None else None
