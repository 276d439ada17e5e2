"""The field types of WeChat's subscribe messages: what each may hold, and how a text is made to fit.

Source: the list 订阅消息参数值内容限制说明 of subscribe-message/send. Where that list is silent (a space in a character_string, an
amount without a currency sign) a value passes: WeChat's own no (47003) sends nothing either, whereas a no of ours is final.
"""

import re
import unicodedata
from collections.abc import Callable, Collection

_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?"
_MONTH, _DAY = r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12][0-9]|3[01])"
_DATE = (
    rf"(?:[0-9]{{4}}年{_MONTH}月(?:{_DAY}日)?|{_MONTH}月{_DAY}日"
    rf"|[0-9]{{4}}[-/.]{_MONTH}(?:[-/.]{_DAY})?|{_MONTH}[-/.]{_DAY})"
)
_MOMENT = rf"(?:{_DATE} ?)?{_CLOCK}"
_SPAN = rf"{_DATE}(?: ?{_CLOCK})?"

_PATTERNS = {
    "number": re.compile(r"-?[0-9]+(?:\.[0-9]+)?"),
    "letter": re.compile(r"[A-Za-z]+"),
    "time": re.compile(rf"{_MOMENT}(?:~{_MOMENT})?"),
    "date": re.compile(rf"{_SPAN}(?:~(?:{_SPAN}|{_CLOCK}))?"),
    "amount": re.compile(r"[^\w\s.+-]?[0-9]{1,10}(?:\.[0-9]{1,10})?元?"),
    "phone_number": re.compile(r"[0-9+*#() -]+"),
    "car_number": re.compile(rf"[{_HAN}A-Za-z0-9][A-Za-z0-9·]*[{_HAN}A-Za-z0-9]"),
    "phrase": re.compile(rf"[{_HAN}]+"),
}
_HAS_HAN = re.compile(f"[{_HAN}]")
_LONGEST = {
    "thing": 20, "number": 32, "letter": 32, "symbol": 5, "character_string": 32, "phone_number": 17, "car_number": 8, "phrase": 5,
    "enum": 20, "time": 64, "date": 64, "amount": 24,
}  # fmt: skip
_WANTED = {
    "number": "digits, with a decimal point at most",
    "letter": "letters from A to z",
    "symbol": "symbols",
    "character_string": "digits, letters and symbols",
    "time": "a time such as 15:01 or 2019年10月1日 15:01",
    "date": "a date such as 2019年10月1日",
    "amount": "an amount such as ¥100.50",
    "phone_number": "a telephone number",
    "car_number": "a number plate",
    "phrase": "Chinese characters",
    "name": "Chinese characters, letters or symbols",
}
KINDS = frozenset({*_LONGEST, "name"})


def kind_of(field: str) -> str:
    """The type of a vendor's field: `thing` of `thing1`, `character_string` of `character_string02`."""
    return field.rstrip("0123456789")


def check_value(kind: str, text: str, allowed: Collection[str] = ()) -> str | None:
    """What is wrong with a text in a field of a type, or None.

    `allowed` are the values of an `enum` where they are known; WeChat tells them only in its console, so without them an enum is
    checked for its shape alone.
    """
    if kind not in KINDS:
        return f"{kind!r} is not a field type of WeChat"
    if text != _clean(text):
        return "it has line breaks, control characters or space around it"
    if not text:
        return "it is empty"
    longest = _longest(kind, text)
    if _width(text) > longest:
        return f"it is {_width(text)} characters long, at most {longest} are allowed"
    if not _fits(kind, text):
        return f"{text!r} is not {_WANTED[kind]}"
    if kind == "enum" and allowed and text not in allowed:
        return f"{text!r} is none of {', '.join(sorted(allowed))}"
    return None


def room(kind: str) -> int | None:
    """How many characters of free text a field of a type holds; None for types that have a form of their own (times, amounts, …)."""
    return _longest(kind, "中") if kind in {"thing", "name", "phrase", "character_string"} else None


def shorten(kind: str, text: str, allowed: Collection[str] = ()) -> str | None:
    """The text as it fits a field of that type, or None where it cannot be made to.

    A `thing` is cut with an ellipsis; a `name` and a `phrase` are cut; order numbers, times and amounts are never cut, because half
    of one is wrong. Control characters and line breaks are taken out everywhere.
    """
    clean = _clean(text)
    if kind == "thing" and _width(clean) > _LONGEST[kind]:
        clean = _cut(clean, _LONGEST[kind] - 1).rstrip() + "…"
    elif kind in {"name", "phrase"}:
        clean = _cut(clean, _longest(kind, clean)).rstrip()
    return clean if check_value(kind, clean, allowed) is None else None


def _clean(text: str) -> str:
    """Without control characters, line and paragraph separators, lone surrogates, and space at the ends."""
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Zl", "Zp", "Cs"}).strip()


def _width(text: str) -> int:
    """Characters as the stricter reading of "20个以内字符" counts them: those beyond the basic plane (most emoji) are two."""
    return sum(2 if ord(c) > 0xFFFF else 1 for c in text)  # noqa: PLR2004 - the end of the basic plane


def _cut(text: str, longest: int) -> str:
    while _width(text) > longest:
        text = text[:-1]
    return text


def _longest(kind: str, text: str) -> int:
    """Of a name: ten characters with Chinese in it, else twenty."""
    if kind == "name":
        return 10 if _HAS_HAN.search(text) else 20
    return _LONGEST[kind]


def _fits(kind: str, text: str) -> bool:
    pattern = _PATTERNS.get(kind)
    if pattern is not None:
        return pattern.fullmatch(text) is not None
    special = _SPECIAL.get(kind)
    return special is None or all(special(c) for c in text)


def _is_symbol(c: str) -> bool:
    return unicodedata.category(c)[0] in "PS"


_SPECIAL: dict[str, Callable[[str], bool]] = {
    "symbol": _is_symbol,
    "character_string": lambda c: (c.isascii() and c.isprintable()) or _is_symbol(c),
    "name": lambda c: c == " " or unicodedata.category(c)[0] in "LPS" or unicodedata.category(c) == "Mn",
}
