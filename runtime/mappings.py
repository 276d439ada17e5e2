"""Where a source's mapping in config.toml leads to a name that no rule sees: findings, so that it is known before data is lost sight of.

Only what the operator has written is looked at: where a source's own defaults lead is nobody's mistake.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from journeys.audience import Audience, Trait
from journeys.errors import Finding, Place, did_you_mean, fields_near, near, nearest
from runtime.intake.items import is_systems_own
from runtime.intake.segment import CONTACTS
from runtime.intake.sources import Section, is_signed, naming_of
from runtime.source_settings import is_for_signed, may_bring
from runtime.tomlspots import Path_, spots_of

SOURCES = ("intake", "sources")
TABLES = ("events", "properties", "traits")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_Problem = tuple[str, dict[str, Any]]  # a code, and what fills its texts
_EMPTY: Mapping[str, str] = {}


def mappings_found(sources: Mapping[str, Section], audience: Audience, file: str, text: str) -> list[Finding]:
    """The findings of all sources; `text` is what stands in `file`. None while nothing is known of the audience.

    What an environment variable says has no place in the file: then it is that of what is around it.
    """
    if audience.unread or not any(getattr(section, table) for section in sources.values() for table in TABLES):
        return []
    spots, found = spots_of(text), []
    for name, section in sources.items():
        for below, (code, told) in _found(name, section, audience):
            path = (*SOURCES, name, *below)
            found.append(Finding(code, _place(file, spots, path), {"key": spelt(path), **told}))
    return found


def spelt(path: Path_) -> str:
    """A key as TOML spells it: `intake.sources.app.properties."ViewDeal.goods_name"`."""
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in path)


def _place(file: str, spots: Mapping[Path_, tuple[int, int]], path: Path_) -> Place:
    around = (path[:length] for length in range(len(path), 0, -1))
    line, column = next((spots[part] for part in around if part in spots), (1, 1))
    return Place(file, line, column)


def _found(name: str, section: Section, audience: Audience) -> Iterator[tuple[Path_, _Problem]]:
    if section.kind == "webhook":  # it posts our own names
        yield from (((table,), ("J150", {"source": name})) for table in TABLES if getattr(section, table))
        return
    source = _Source(name, section, audience)
    for said, ours in section.events.items():
        yield from ((("events", said), problem) for problem in source.event(ours))
    for said, ours in section.properties.items():
        yield from ((("properties", said), problem) for problem in source.property(said, ours))
    for said, ours in section.traits.items():
        yield from ((("traits", said), problem) for problem in source.trait(ours))


class _Source:
    """One source with mappings, beside what is declared."""

    def __init__(self, name: str, section: Section, audience: Audience) -> None:
        self.name, self.section, self.audience = name, section, audience
        self.signed, self.naming = is_signed(section), naming_of(section)
        self.declared = {name: fields for name, fields in audience.events.items() if not is_systems_own(name)}

    def event(self, ours: str) -> Iterator[_Problem]:
        """What is wrong with one of our types of events as the source's."""
        told = {"found": ours, "source": self.name}
        if is_systems_own(ours):
            yield "J149", told
        elif not self.signed and is_for_signed(ours):
            yield "J147", told
        elif ours not in self.declared:
            hint = did_you_mean(ours, self.declared)
            known = nearest(ours, [name for name in self.declared if self._may(name)] or self.declared)
            yield "J142", {"found": ours, **({"hint": hint} if hint else {"known": known})}
            if not hint and not self._may(ours):  # else who has declared it is told of the next thing only then
                yield "J148", told
        elif not self._may(ours):
            yield "J148", told

    def property(self, said: str, ours: str) -> Iterator[_Problem]:
        """What is wrong with a field: of one event where `EVENT.property` is said, else of any that the source may bring."""
        splits = [(said[:at], self.naming.event(said[:at])) for at, sign in enumerate(said) if sign == "." and 0 < at < len(said) - 1]
        if not splits:
            yield from self._of_any(ours)
            return
        if any(self._may(type_) and ours in self.declared.get(type_, _EMPTY) for _, type_ in splits):
            return
        mapped = (split for split in splits if split[0] in self.naming.events)
        declared = (split for split in splits if split[1] in self.declared)
        event, type_ = next(mapped, None) or next(declared, None) or splits[0]
        wrong = next(self.event(type_), None)
        if wrong is not None and event not in self.section.events:  # else the event's own mapping says it
            near_event = did_you_mean(event, self.naming.events) if wrong[0] == "J142" else ""
            yield wrong[0], {**wrong[1], **({"hint": near_event, "known": []} if near_event else {})}
        if wrong is None:
            yield "J143", {"found": ours, "event": type_, **self._near_field(ours, self.declared[type_])}

    def _of_any(self, ours: str) -> Iterator[_Problem]:
        brought = [fields for name, fields in self.declared.items() if self._may(name)]
        fields = {name: kind for declared in brought for name, kind in declared.items()}
        if ours not in fields:
            yield "J144", {"found": ours, "source": self.name, **self._near_field(ours, fields)}

    def _near_field(self, ours: str, fields: Mapping[str, str]) -> dict[str, Any]:
        hint = did_you_mean(ours, fields)
        return {"hint": hint} if hint else {"known": fields_near(ours, fields)}

    def trait(self, ours: str) -> Iterator[_Problem]:
        """What is wrong with one of our traits as the source's; what Segment's libraries call a contact is none."""
        trait = self.audience.traits.get(ours)
        if ours in self.audience.left_out or (self.section.kind == "segment" and ours in CONTACTS):
            return
        if trait is None:
            yield "J145", {"found": ours, **near(ours, [name for name, one in self.audience.traits.items() if not is_made(one)])}
        elif is_made(trait):
            yield "J146", {"found": ours}

    def _may(self, ours: str) -> bool:
        return may_bring(ours, self.section.may_assert, signed=self.signed)


def is_made(trait: Trait) -> bool:
    """Whether a trait is made of events or of other traits, so that nobody may set it."""
    return bool(trait.aggregate) or trait.value is not None
