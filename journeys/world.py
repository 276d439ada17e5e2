"""What exists around the journeys: channels, templates, benefits, endpoints, robots. `check` knows only these names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Literal, Protocol

from journeys.values import ValueType


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A template that a vendor keeps: its purpose, our field names with the vendor's, and its wording where config repeats it."""

    purpose: Literal["marketing", "service"] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None


class MarketingSms(Protocol):
    """What the vendor of short messages allows marketing to be. Hours are local to the project: earliest <= now < latest."""

    @property
    def earliest(self) -> time:
        """From then on."""

    @property
    def latest(self) -> time:
        """Not any more then."""

    @property
    def variables(self) -> bool:
        """Whether a marketing template may have any."""

    @property
    def endings(self) -> tuple[str, ...]:
        """One of them must end a marketing text; a notice must not have any."""

    @property
    def why(self) -> str:
        """The sources."""

    def uses(self, text: str) -> tuple[str, ...]:
        """The forbidden uses that a text looks like."""

    def ends_well(self, text: str) -> bool:
        """Whether a text ends as required."""


@dataclass(frozen=True)
class World:
    """The names that config declares, and what vendors ask of contents.

    `field_problem` says what is wrong with a constant text in a vendor's field ("thing1"), or None; `field_limit` how many characters
    of free text it holds; `quiet_hours` are the project's. `caps` are the (channel, purpose, topic) that a cap counts, None for every one.
    """

    channels: Mapping[str, Mapping[str, MessageTemplate]] = field(default_factory=dict)
    benefits: frozenset[str] = frozenset()
    endpoints: Mapping[str, Mapping[str, ValueType]] = field(default_factory=dict)
    robots: frozenset[str] = frozenset()
    field_problem: Callable[[str, str], str | None] | None = None
    sms_rules: MarketingSms | None = None
    quiet_hours: tuple[int, int] | None = None
    field_limit: Callable[[str], int | None] | None = None
    caps: tuple[tuple[str | None, str | None, str | None], ...] = ()
