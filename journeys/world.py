"""What exists around the journeys: channels, templates, benefits, endpoints, robots. `check` knows only these names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from journeys.values import ValueType

# Characters that a mini-program field type takes (WeChat, subscribe message send API).
FIELD_LIMITS = {
    "thing": 20, "number": 32, "letter": 32, "symbol": 5, "character_string": 32,
    "phone_number": 17, "car_number": 8, "name": 10, "phrase": 5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A template that a vendor keeps: its purpose, and our field names with the vendor's."""

    purpose: Literal["marketing", "service"] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    def limit(self, name: str) -> tuple[str, int] | None:
        """The vendor's field type and the characters it takes, where it has a limit."""
        kind = re.sub(r"\d+$", "", self.fields.get(name, ""))
        return (kind, FIELD_LIMITS[kind]) if kind in FIELD_LIMITS else None


@dataclass(frozen=True)
class World:
    """The names that config declares."""

    channels: Mapping[str, Mapping[str, MessageTemplate]] = field(default_factory=dict)
    benefits: frozenset[str] = frozenset()
    endpoints: Mapping[str, Mapping[str, ValueType]] = field(default_factory=dict)
    robots: frozenset[str] = frozenset()
