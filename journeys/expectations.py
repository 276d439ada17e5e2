"""What a value should be and what it is: the words of findings, in both languages from the start. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from journeys.codes.code import Words, words
from journeys.duration import DAY, HOUR, LONGEST, MINUTE, SECOND, format_duration, parse_time_of_day
from journeys.values import ValueType

_UNITS = {
    "w": 7 * DAY,
    "d": DAY,
    "h": HOUR,
    "m": MINUTE,
    "s": SECOND,
    "周": 7 * DAY,
    "天": DAY,
    "日": DAY,
    "小": HOUR,
    "分": MINUTE,
    "秒": SECOND,
}
_AMOUNT = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,3})?) *"
    r"(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|周|天|日|小时|分钟|分|秒钟?)(?: |$|(?=[0-9]))"
)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?) *(%?)")
_HOUR = re.compile(
    r"(?P<part>凌晨|早上|上午|中午|下午|傍晚|晚上|晚)?(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2})|[点时](?:(?P<half>半)|(?P<minutes>[0-9]{1,2})分?)?)?"
    r" *(?P<noon>[ap]\.?m\.?)?",
    re.IGNORECASE,
)
_AFTERNOON = ("中午", "下午", "傍晚", "晚上", "晚")
_NOON = 12
_WHOLE = re.compile(r"([0-9]{1,7}) *%?")
LONGEST_SHOWN = 60  # characters of a value: a line's worth

NOTHING = words("nothing", "空的")
NONE = words("none", "一个也没有")
BOTH = words("both", "两个都有")
MAPPING = words("a mapping", "一组键")
NUMBER = words("a number", "数字")
LIST = words("a list", "列表")
TEXT = words("a text", "文字")

IDENTIFIER = words("lower-case letters, digits and _ (a letter first, at most 64)", "小写字母、数字和 _（字母开头，最多 64 个）")
DURATION = words("a duration such as 30m, 2h, 3d or 1d12h", "时长，如 30m、2h、3d、1d12h")
CLOCK = words('a quoted time of day such as "18:30", hours 00 to 23', '加引号的时刻，如 "18:30"，小时是 00 到 23')
WINDOW = words('a quoted window such as "08:00-21:30", hours 00 to 23', '加引号的时段，如 "08:00-21:30"，小时是 00 到 23')
MOMENT = words('a quoted moment such as "2026-12-18 10:00"', '加引号的日期和时刻，如 "2026-12-18 10:00"')
PERCENT = words("a share such as 10%", "比例，如 10%")
PACE = words("a pace such as 2000 per 1d", "速度，如 2000 per 1d")
CRON = words("five cron fields such as 0 9 * * 5", "五段 cron，如 0 9 * * 5")
UNTIL = words(
    'a quoted time of day such as "18:30", or a time such as user.active_hour', '加引号的时刻，如 "18:30"，或时间，如 user.active_hour'
)
IF_MISSING = words(
    'go_on, exit or a quoted time of day such as "18:30", hours 00 to 23',
    '以下之一：go_on、exit、加引号的时刻，如 "18:30"，小时是 00 到 23',
)
OWN_NAME = words("a name of its own for each variant", "每个分组各用一个名字")
WEIGHT = words("a weight above 0", "大于 0 的权重")
PAST = words('a time such as "2026-12-18 10:00" or 3d ago', '时间，如 "2026-12-18 10:00" 或 3d ago')
QUOTED = words("a quoted text", "一个加引号的文字")
ONE_TIME = words("one time", "一个时间")
TEXT_IN_LIST = words("text in a list", "列表里的文字")
OTHERWISE = words("something else", "别的")
TOO_DEEP = words("nested too deep", "嵌套太深")
USER_ID = words("a user id", "用户 id")
REENTRY = words(
    "once, always, or a duration after which she may, such as {after: 60d}", "以下之一：once、always，或隔多久可再进，如 {after: 60d}"
)

KINDS: Mapping[ValueType, Words] = {
    "text": words("text", "文字"), "number": words("number", "数字"), "boolean": words("boolean", "真或假"), "time": words("time", "时间"),
    "time_of_day": words("time_of_day", "时刻"), "anniversary": words("anniversary", "纪念日"), "choice": words("choice", "选项"),
    "list": words("list", "列表"), "any": words("any", "任何类型"),
}  # fmt: skip
VALUES: Mapping[ValueType, Words] = {
    "text": TEXT, "number": NUMBER, "boolean": words("true or false", "true 或 false"), "list": LIST,
    "time": words('a time such as "2026-12-18 10:00"', '时间，如 "2026-12-18 10:00"'),
    "time_of_day": CLOCK, "anniversary": words("a day such as 12-18", "日期，如 12-18"),
    "choice": words("one of the declared choices", "声明过的选项之一"), "any": TEXT,
}  # fmt: skip


def one_of(names: Iterable[object]) -> Words:
    """`one of a, b`."""
    listed = list(map(str, names))
    return words(f"one of {', '.join(listed)}", f"以下之一：{'、'.join(listed)}")


def contained_in(left: ValueType, right: ValueType) -> Words:
    """`number in text`."""
    return words(f"{KINDS[left]['en']} in {KINDS[right]['en']}", f"{KINDS[left]['zh']} in {KINDS[right]['zh']}")


def twice(name: str) -> Words:
    """A name that stands a second time."""
    return words(f"“{name}” twice", f"两个“{name}”")


def typed(spelled: str, kind: ValueType) -> Words:
    """What was written, with its type: `user.age (number)`."""
    return words(f"{spelled} ({KINDS[kind]['en']})", f"{spelled} ({KINDS[kind]['zh']})")


def clock_meant(value: object) -> str:
    """The time of day that a bare hour, or one written in another way, stands for: "10:00" for 10, "18:00" for 6pm and 下午6点."""
    match = _HOUR.fullmatch(str(value).strip())
    if match is None:
        return ""
    hour, minute = int(match["hour"]), match["minute"] or ("30" if match["half"] else match["minutes"] or "00")
    if match["noon"]:
        hour = hour % _NOON + _NOON * (match["noon"][0] in "pP") if 0 < hour <= _NOON else 24  # no clock shows 13pm
    elif match["part"] in _AFTERNOON and hour < _NOON and not (match["part"] == "中午" and hour > 2):  # noqa: PLR2004 - 中午11点 is before noon
        hour += _NOON
    text = f"{hour:0>2}:{minute:0>2}"
    return f'"{text}"' if parse_time_of_day(text) is not None else ""


def whole_meant(value: object) -> str:
    """The whole number that a quoted one, or a percentage, stands for: 60 for 60%."""
    match = _WHOLE.fullmatch(unicodedata.normalize("NFKC", str(value)).strip()) if isinstance(value, str) else None
    return str(int(match[1])) if match else ""


def duration_meant(value: object) -> str:
    """The duration of one in words or with spaces: `2d` for `2 days` and 2天, `1h30m` for 1.5h; a bare number has no unit to know."""
    text = unicodedata.normalize("NFKC", str(value)).strip().lower()
    parts = list(_AMOUNT.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return ""
    ms = sum(Decimal(part[1]) * _UNITS[part[2][0]] for part in parts)
    return format_duration(int(ms)) if ms == ms // SECOND * SECOND and 0 < ms <= LONGEST else ""


def share_meant(value: object) -> str:
    """10% for 10, 0.1 and a full-width percent sign."""
    match = _SHARE.fullmatch(unicodedata.normalize("NFKC", str(value)).strip())
    if match is None:
        return ""
    number = Decimal(match[1]) * (100 if not match[2] and Decimal(match[1]) < 1 else 1)
    return f"{number.normalize():f}%" if number <= 100 else ""  # noqa: PLR2004 - percent


def found_of(value: Any) -> Words | str:
    """What stands there, as a person sees it."""
    if value is None:
        return NOTHING
    if isinstance(value, dict):
        return MAPPING
    if isinstance(value, list):
        return LIST if value else words("an empty list", "空列表")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"“{text[:LONGEST_SHOWN]}…”" if len(text) > LONGEST_SHOWN else f"“{text}”"
