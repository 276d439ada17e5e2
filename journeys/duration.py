"""Durations and times of day as people write them (`1d12h`, `18:30`); never dates, never zones."""

import re

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_DURATION = re.compile(r"(-?)((?:[0-9]{1,12}[wdhms])+)")
_PART = re.compile(r"([0-9]+)([wdhms])")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
LONGEST = 3650 * DAY


def parse_duration(text: str) -> int | None:
    """Milliseconds of `3d`, `1d12h`, `-2h`; None when the text is no duration or longer than ten years.

    Days are exact 24 hours: `1d` over a change to summer time ends an hour later by the clock on the wall.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return None
    total = sum(int(n) * _UNITS[unit] for n, unit in _PART.findall(match[2]))
    if total > LONGEST:
        return None
    return -total if match[1] else total


def format_duration(ms: int) -> str:
    """The shortest spelling of whole seconds: 129,600,000 → `1d12h`; 0 → `0s`."""
    sign, rest, parts = ("-" if ms < 0 else ""), abs(ms), []
    for unit in "dhms":
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return sign + ("".join(parts) or "0s")


def parse_time_of_day(text: str) -> int | None:
    """Minutes after midnight of `18:30` (1110); None when the text is no time of day."""
    match = _TIME_OF_DAY.fullmatch(text.strip())
    return int(match[1]) * 60 + int(match[2]) if match else None


def parse_window(text: str) -> tuple[int, int] | None:
    """The two ends, in minutes after midnight, of `21:00-09:00`; None when it is no window or an empty one."""
    start_text, _, end_text = text.partition("-")
    start, end = parse_time_of_day(start_text), parse_time_of_day(end_text)
    if start is None or end is None or start == end:
        return None
    return start, end
