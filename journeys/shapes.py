"""What should stand where a value has another shape, from what pydantic says of it, and what was likely meant. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from journeys.codes.code import Words, words
from journeys.errors import did_you_mean
from journeys.expectations import (
    CLOCK,
    DURATION,
    IDENTIFIER,
    IF_MISSING,
    LIST,
    MAPPING,
    MOMENT,
    NUMBER,
    PERCENT,
    REENTRY,
    TEXT,
    UNTIL,
    clock_meant,
    duration_meant,
    one_of,
    share_meant,
    whole_meant,
)
from journeys.model import ID_PATTERN
from journeys.phrasing import phrase

SHAPES: Mapping[str, Words] = {
    "string_type": TEXT, "int_type": words("a whole number", "整数"), "float_type": NUMBER,
    "bool_type": words("true or false", "true 或 false"), "list_type": LIST, "dict_type": MAPPING,
    "model_type": MAPPING, "model_attributes_type": MAPPING,
}  # fmt: skip
_LIMITS: Mapping[str, tuple[str, Words]] = {
    "greater_than": ("gt", words("greater than {n:g}", "大于 {n:g}")),
    "greater_than_equal": ("ge", words("greater than or equal to {n:g}", "不小于 {n:g}")),
    "less_than_equal": ("le", words("less than or equal to {n:g}", "不大于 {n:g}")),
    "too_short": ("min_length", words("at least {n} {n:item|items}", "至少 {n} 项")),
    "string_too_short": ("min_length", words("a text of at least {n} {n:character|characters}", "至少 {n} 个字的文字")),
    "string_too_long": ("max_length", words("a text of at most {n} characters", "至多 {n} 个字的文字")),
}
_MEANT: Mapping[str, Callable[[object], str]] = {PERCENT["en"]: share_meant, CLOCK["en"]: clock_meant, DURATION["en"]: duration_meant}
_BY_NAME = {"grant": "benefit", "call": "endpoint", "goto": "step", "wait_for": "event", "goal": "event", "entry": "event",
            "wechat": "template", "sms": "template", "wecom": "text"}  # fmt: skip


def expectation(detail: Any, path: tuple[str | int, ...], data: Any) -> tuple[Words, str]:
    """What should stand at a path of the data, and what was likely meant instead of what stands there."""
    kind, value, key = detail["type"], detail["input"], path[-1] if path else ""
    if key == "reentry" and kind in ("literal_error", *SHAPES):
        return REENTRY, f"{{after: {value}}}" if isinstance(value, str) and value[:1].isdigit() else ""
    if kind == "form":
        meant = _MEANT.get(detail["ctx"]["expected"]["en"])
        return detail["ctx"]["expected"], meant(value) if meant is not None else ""
    if kind == "string_type" and key in ("until", "at"):
        is_moment = key == "at" and not (path[0] == "entry" and "date" in data["entry"])
        return (MOMENT, "") if is_moment else (UNTIL, clock_meant(value))
    if kind == "string_type" and key == "if_missing":
        return IF_MISSING, clock_meant(value)
    if kind in ("model_type", "model_attributes_type") and isinstance(value, str) and key in _BY_NAME:
        shown = value if key == "wecom" or re.fullmatch(ID_PATTERN, value) else "NAME"
        return words(*(f"{what} {{{_BY_NAME[key]}: {shown}}}" for what in ("a mapping such as", "一组键，如"))), ""
    if kind in SHAPES:
        return SHAPES[kind], whole_meant(value) if kind == "int_type" else ""
    if kind == "literal_error":
        names = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return one_of(names), did_you_mean(value, names)
    if kind == "string_pattern_mismatch":
        return IDENTIFIER, ""
    if kind in _LIMITS:
        name, said = _LIMITS[kind]
        return words(*(phrase(said[language], {"n": detail["ctx"][name]}) for language in ("en", "zh"))), ""
    message = detail["msg"].removeprefix("Input should be ")
    return words(message, message), ""
