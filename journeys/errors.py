"""Findings: what is wrong in a file, where, and what to do, with a stable code and texts in two languages."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from journeys.codes import CODES
from journeys.codes.code import Language, Severity, Words, said, words
from journeys.phrasing import phrase
from journeys.values import ENVELOPE

__all__ = ["CODES", "Finding", "JourneyError", "Language", "Place", "Severity", "did_you_mean", "explain_code"]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, at one place. `params` fill the code's texts: `hint` is a did-you-mean, `under` where a key belongs, `known`
    what there is, `rather` what to write (each or nothing); a list is said as alternatives, words in the reader's language.
    """

    code: str
    place: Place
    params: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def severity(self) -> Severity:
        """`error` stops an apply, `warning` does not."""
        return CODES[self.code].severity

    def text(self, language: Language = "en") -> str:
        """The sentence for a person, without place and code."""
        params = {name: _told(value, _COMMA if name == "known" else _OR, language) for name, value in self.params.items()}
        clauses = {name: clause[language].format(params[name]) if params.get(name) else "" for name, clause in _CLAUSES.items()}
        return phrase(said(CODES[self.code].text, language), params | clauses)

    def line(self, language: Language = "en") -> str:
        """`file:line:col: J012 unknown key …`, as editors and terminals make it clickable."""
        return f"{self.place}: {self.code} {self.text(language)}"

    def why(self, language: Language = "en") -> str:
        """What would happen to users or to the numbers; the same wherever the code is found."""
        return said(CODES[self.code].why, language)

    def cure(self, language: Language = "en") -> str:
        """What to do; the same wherever the code is found."""
        return said(CODES[self.code].cure, language)


_OR, _COMMA = words(" or ", " 或 "), words(", ", "、")
_CLAUSES: Mapping[str, Words] = {  # what is said only where there is something to say
    "hint": words(", did you mean {}?", "，是不是 {}？"),
    "under": words("; it belongs under {}", "；它要写在 {} 里"),
    "known": words("; there are {}", "；有 {}"),
    "rather": words("; {}", "；{}"),
}


def _told(value: Any, joint: Words, language: Language) -> Any:
    if isinstance(value, list | tuple):
        return joint[language].join(str(_told(item, joint, language)) for item in value)
    return value[language] if isinstance(value, dict) else value


_PARAM = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
_CHOICE = re.compile(r"\{\w+:\w*\|(\w*)\}")  # singular or plural


def explain_code(code: str, language: Language) -> str | None:
    """A code for a person: its sentence with … for what a file would say, why, and the cure, a line each; None for no code."""
    entry = CODES.get(code.upper())
    if entry is None:
        return None
    text = _CHOICE.sub(r"\1", said(entry.text, language))
    sentence = _PARAM.sub(lambda m: "" if m[1] in _CLAUSES else "…", text).replace("{{", "{").replace("}}", "}")
    why, cure = ("Why: ", "Cure: ") if language == "en" else ("原因：", "办法：")
    severity = entry.severity if language == "en" else {"error": "错误", "warning": "提醒"}[entry.severity]
    head = f"{code.upper()} ({severity}): {sentence}"
    return "\n".join([head, why + said(entry.why, language), cure + said(entry.cure, language)])


class JourneyError(Exception):
    """A journey was compiled although `check` has findings for it; run `journeyd check` and mend them first."""


def nearest(found: object, known: Iterable[str], most: int = 8) -> list[str]:
    """The known names, the nearest first; of many the first ones and an ellipsis."""
    names = sorted(known, key=lambda name: (-difflib.SequenceMatcher(None, str(found), name).ratio(), name))
    return names if len(names) <= most else [*names[:most], "…"]


def fields_near(found: object, fields: Iterable[str]) -> list[str]:
    """The fields of an event, the nearest first; those that every event has only where it has no others."""
    names = list(fields)
    return nearest(found, [name for name in names if name not in ENVELOPE] or names, most=12)


def near(found: object, known: Collection[str]) -> dict[str, Any]:
    """What a finding says of a name that is not known: the one that was likely meant, else some that there are."""
    hint = did_you_mean(found, known)
    return {"hint": hint} if hint else {"known": nearest(found, known)}


def near_named(found: object, names: Mapping[str, str]) -> dict[str, Any]:
    """As `near`, of ids with their names for people: who writes such a name meant its id."""
    meant = [identifier for identifier, name in names.items() if name == found]
    return {"hint": meant} if meant else near(found, names)


def unknown_template(found: str, channel: str, channels: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """What J025 says of a name that is no template of the channel; of one that is another channel's, only that."""
    if others := [name for name, templates in channels.items() if found in templates]:
        rather = words(f"it is one of {' and '.join(others)}", f"它是 {'、'.join(others)} 的模板")
        return {"found": found, "channel": channel, "rather": rather}
    known = channels[channel]
    return {"found": found, "channel": channel, "hint": did_you_mean(found, known), "known": nearest(found, known)}


def did_you_mean(found: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The closest known name, or nothing when none is close (`cutoff`: from 0 to 1, difflib's ratio)."""
    matches = difflib.get_close_matches(str(found), [name for name in known if name != found], n=1, cutoff=cutoff)
    return matches[0] if matches else ""
