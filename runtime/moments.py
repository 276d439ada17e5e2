"""When a delay ends: a time of day, a moment with an offset, weekdays; missing and past moments are said, not guessed."""

from typing import Any, Literal

from journeys.compiled import Moment
from journeys.localtime import next_local, on_local_day, to_datetime


def moment_of(moment: Moment, facts: Any, begin: int) -> int | Literal["missing", "past"]:
    """The instant a moment means for somebody whose step begins at `begin`.

    A time of day is its next occurrence (18:30 at 18:30 is now). A time is shifted by the offset, put on `at`
    of its own local day, and moved on to the first of `days`; before `begin` it is "past".
    """
    zone = facts.zone
    value = moment.clock if moment.rule is None else moment.rule.test(facts)
    kind = "time_of_day" if moment.rule is None else _kind(moment)
    if value is None:
        if moment.if_missing in ("go_on", "exit"):
            return "missing"
        value, kind = moment.if_missing, "time_of_day"
    if kind == "time_of_day":
        return next_local(begin, int(value), zone, moment.days) + moment.offset
    instant = int(value) + moment.offset
    if moment.at is not None:
        instant = on_local_day(instant, moment.at, zone)
    if moment.days:
        wall = to_datetime(instant, zone)
        instant = next_local(instant, wall.hour * 60 + wall.minute, zone, moment.days)
    return "past" if instant < begin else instant


def _kind(moment: Moment) -> str:
    node = moment.rule.node if moment.rule is not None else None
    kind = getattr(node, "kind", "time")
    return "time_of_day" if kind == "time_of_day" else "time"
