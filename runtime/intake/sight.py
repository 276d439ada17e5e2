"""Which of a source's names rules see as things are now: what was counted as unseen may have been declared or mapped since."""

import re
from collections.abc import Mapping

from journeys.audience import Audience
from runtime.intake.sources import Section, is_signed, naming_of

_OF_SDK = {
    "sensors": re.compile(r"\$.*", re.DOTALL),
    "growingio": re.compile(r"[A-Z_]+"),
}  # events that it sends by itself: taken where mapped


class Sight:
    """What is seen of each source of config; another one's names (of a file, of one that is gone) are ours as they stand."""

    def __init__(self, sources: Mapping[str, Section], audience: Audience) -> None:
        self._sources, self._audience = sources, audience

    def sees(self, source: str, kind: str, name: str) -> bool:
        """Whether rules see what this source calls so: an event, a property as `EVENT.property`, or a trait."""
        section = self._sources.get(source)
        if kind == "event":
            return self._event(section, name) is not None
        if kind == "trait":
            return self._trait(section, name)
        dots = [at for at, sign in enumerate(name) if sign == "."]
        return any(self._property(section, name[:at], name[at + 1 :]) for at in dots)

    def _event(self, section: Section | None, name: str) -> Mapping[str, object] | None:
        """The declared fields of what becomes of an event."""
        if section is None or section.kind == "webhook":
            return self._audience.events.get(name)
        naming = naming_of(section)
        own = _OF_SDK.get(section.kind)
        if own is not None and own.fullmatch(name) and name not in naming.events:
            return None
        return self._audience.events.get(naming.event(name))

    def _property(self, section: Section | None, event: str, name: str) -> bool:
        fields = self._event(section, event) or {}
        if section is None or section.kind == "webhook":
            return name in fields
        return any(ours in fields for ours in naming_of(section).fields(event, {name: None}).values)

    def _trait(self, section: Section | None, name: str) -> bool:
        if section is None or section.kind == "webhook":
            return name in self._audience.traits
        taken = self._audience.traits if is_signed(section) else section.traits.values()
        return any(ours in taken and ours in self._audience.traits for ours in naming_of(section).profile({name: None}).values)
