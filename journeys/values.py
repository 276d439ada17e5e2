"""The types of values that rules may use, and how a raw value from outside becomes one; never guesses.

Missing is None. Times are instants (milliseconds, UTC), times of day are minutes after midnight,
anniversaries are `MM-DD`, numbers are decimals of four places (an int where the fraction is nothing).
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from journeys.duration import parse_time_of_day
from journeys.localtime import to_instant

ValueType = Literal["text", "number", "boolean", "time", "time_of_day", "anniversary", "choice", "list", "any"]
ENVELOPE: dict[str, ValueType] = {"user_id": "text", "type": "text", "time": "time", "id": "text"}  # what every event has
Value = str | int | float | bool | list[str] | None

LONGEST_ID = 256  # characters of what somebody or something is called: databases index no long texts
LONGEST_USER = LONGEST_ID + len("distinct_id:")  # who is known by an identity alone is called by its kind and it
LARGEST_NUMBER = 1e11  # up to here a double tells every four-decimal number from its neighbours, also after a sum or two
_NO_FRACTION = 1e15
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "choice": (str,), "anniversary": (str,), "number": (int, float), "time": (int,), "time_of_day": (int,),
    "boolean": (bool,), "list": (list,), "any": (str, int, float, bool, list),
}  # fmt: skip
_SECONDS_BELOW = 100_000_000_000  # an epoch below this is seconds (year 5138), above it milliseconds
_YEAR_1900, _YEAR_2100 = -2_208_988_800_000, 4_102_444_800_000
_YEAR_2000_SECONDS = 946_684_800
_MONTH_AND_DAY = re.compile(r"(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])", re.ASCII)
NO_DAYS = frozenset({"02-30", "02-31", "04-31", "06-31", "09-31", "11-31"})  # that no year has
LIMITS: Mapping[str, tuple[float, float]] = {
    "number": (-LARGEST_NUMBER, LARGEST_NUMBER), "time": (_YEAR_1900, _YEAR_2100 - 1), "time_of_day": (0, 24 * 60 - 1),
}  # fmt: skip
_ANNIVERSARY = re.compile(r"(?:\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?:[T ].*)?", re.ASCII)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def as_number(value: float) -> int | float:
    """The number rounded to four places: 0.1 + 0.2 → 0.3, 3.0 → 3; from 10^15 on no fraction is kept.

    Ten thousand times the number, as a double, is rounded half-even: an arithmetic that every database has, to the bit.
    """
    if type(value) is int:
        return value
    if not -_NO_FRACTION < value < _NO_FRACTION:
        return int(value)
    scaled = round(value * 10_000)
    return scaled / 10_000 if scaled % 10_000 else scaled // 10_000


def fits(value: Any, kind: ValueType, choices: Sequence[str] = ()) -> bool:
    """Whether a stored value is one of `kind`, as `coerce` makes them: it may have been stored under another declaration, or none."""
    if type(value) not in _PYTHON_TYPES[kind]:
        return False
    if kind == "anniversary":
        return _MONTH_AND_DAY.fullmatch(value) is not None and value not in NO_DAYS
    if kind == "choice":
        return value in choices
    least, most = LIMITS.get(kind, (None, None))
    return least is None or least <= value <= most


def clean_text(text: str) -> str:
    """The text with NUL and lone surrogates, which databases refuse, replaced by U+FFFD."""
    return _UNSTORABLE.sub("�", text) if _UNSTORABLE.search(text) else text


def is_id(value: Any, longest: int = LONGEST_ID) -> bool:
    """Whether somebody or something may be called so."""
    return isinstance(value, str) and 0 < len(value) <= longest and bool(value.strip())


def coerce(value: Any, kind: ValueType, zone: ZoneInfo, choices: Sequence[str] = ()) -> Value:
    """The value as `kind`, or None (missing) when it is not one: `"39.9"` is the number 39.9, `"many"` is missing."""
    if value is None:
        return None
    if kind == "text":
        return _text(value)
    if kind == "number":
        return _number(value)
    if kind == "boolean":
        return _boolean(value)
    if kind == "time":
        return parse_time(value, zone)
    if kind == "time_of_day":
        return _time_of_day(value)
    if kind == "anniversary":
        match = _ANNIVERSARY.fullmatch(value) if isinstance(value, str) else None
        day = f"{match[1]}-{match[2]}" if match else None
        return None if day in NO_DAYS else day
    if kind == "choice":
        text = _text(value)
        return text if text in choices else None
    if kind == "list":
        return [t for t in map(_text, value) if t is not None] if isinstance(value, list) else None
    return _text(value) if not isinstance(value, int | float | bool) else value


def typed(data: Mapping[str, Any], fields: Mapping[str, ValueType] | None, zone: ZoneInfo) -> dict[str, Any]:
    """An event's data with declared fields in their types (one that does not fit is missing), the rest untouched."""
    if fields is None:
        return dict(data)
    values = {name: coerce(value, fields[name], zone) if name in fields else value for name, value in data.items()}
    return {name: value for name, value in values.items() if value is not None}


def typed_again(data: Mapping[str, Any], fields: Mapping[str, ValueType] | None, zone: ZoneInfo) -> dict[str, Any]:
    """The same for data that was typed when it came, perhaps before these fields were declared; changes nothing that fits.

    A whole number in a field of time is taken as milliseconds, which it is where the field was declared, unless it can only be
    the seconds of a day since 2000 that came undeclared.
    """
    plain = {name: value for name, value in data.items() if fields and fields.get(name) == "time" and _is_milliseconds(value)}
    return {name: plain.get(name, value) for name, value in typed({**data, **dict.fromkeys(plain, 0)}, fields, zone).items()}


def coerce_again(value: Any, kind: ValueType, zone: ZoneInfo, choices: Sequence[str] = ()) -> Value:
    """`coerce` of a value that is kept, perhaps as this kind already: whole numbers as times are read as `typed_again` reads them."""
    return value if kind == "time" and _is_milliseconds(value) else coerce(value, kind, zone, choices)


def _is_milliseconds(value: Any) -> bool:
    return type(value) is int and _YEAR_1900 <= value < _YEAR_2100 and not _YEAR_2000_SECONDS <= value < _YEAR_2100 // 1000


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return print_number(as_number(value)) if math.isfinite(value) else None


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return as_number(value) if math.isfinite(value) and abs(value) <= LARGEST_NUMBER else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).strip().lower())


def _time_of_day(value: Any) -> int | None:
    if isinstance(value, str):
        return parse_time_of_day(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60 else None


def parse_time(value: Any, zone: ZoneInfo) -> int | None:
    """The instant of an ISO 8601 text (in `zone` when it names no offset) or of epoch seconds or milliseconds."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return None
        ms = int(value * 1000) if abs(value) < _SECONDS_BELOW else int(value)
        return ms if 0 <= ms < _YEAR_2100 else None
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        ms = to_instant(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return None
    return ms if _YEAR_1900 <= ms < _YEAR_2100 else None  # what lies outside cannot be shown in every zone


def print_number(number: float) -> str:
    """The shortest form: 10 → `10`, 12.5 → `12.5`, never an exponent."""
    if isinstance(number, int):
        return str(number)
    return f"{number:.4f}".rstrip("0").rstrip(".")
