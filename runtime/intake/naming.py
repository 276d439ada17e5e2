"""From a source's names to ours: what config says first, then the source's defaults, else the name in snake_case."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GAP = re.compile(r"[\s\-.]+")


def snake(name: str) -> str:
    """`PayOrder`, `Pay Order` and `$PayOrder` become `pay_order`; what is not Latin stays as it is."""
    return _GAP.sub("_", _HUMP.sub("_", name.strip().lstrip("$"))).lower().strip("_")


@dataclass(frozen=True, slots=True)
class Named:
    """Values under our names, and how the source spelt the names."""

    values: dict[str, Any]
    said: dict[str, str]


@dataclass(frozen=True)
class Naming:
    """The mapping of one source. A property may be mapped for one event only, as `EVENT.property`."""

    events: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    traits: Mapping[str, str] = field(default_factory=dict)

    def event(self, name: str) -> str:
        """Our type of an event."""
        return self.events.get(name) or snake(name)

    def fields(self, event: str, properties: Mapping[str, Any]) -> Named:
        """An event's data under our names."""
        given = {
            name: self.properties.get(f"{event}.{name}") or self.properties.get(name) for name in properties
        }  # fmt: skip
        return _named(properties, given)

    def profile(self, values: Mapping[str, Any]) -> Named:
        """A profile's values under our names."""
        return _named(values, {name: self.traits.get(name) for name in values})


def _named(values: Mapping[str, Any], mapped: Mapping[str, str | None]) -> Named:
    """Where two names become one of ours, what is mapped goes before what is spelt like it, and that before what is not (`$title`)."""
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    ranks: dict[str, int] = {}
    for name, value in values.items():
        ours = mapped[name] or snake(name) or name
        rank = 2 if mapped[name] else int(ours == name)
        if ours not in found or rank > ranks[ours]:
            found[ours], said[ours], ranks[ours] = value, name, rank
    return Named(found, said)
