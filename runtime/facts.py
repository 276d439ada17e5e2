"""One user at one moment, as rules see it. Values are read when a rule asks for them, never before."""

from collections.abc import Mapping
from typing import Any

from journeys.audience import Audience, Trait, rules_of
from journeys.values import fits
from runtime.policy import Reach, can_reach, consented
from runtime.profile import count_within, falls_below, read_trait, window_change
from runtime.state import User

_EMPTY: Mapping[str, Any] = {}


class UserFacts:
    """Implements journeys.evaluate.Facts. Traits and segments are memoised: the moment does not move."""

    __slots__ = ("_inside", "_memo", "audience", "entry", "event", "journey_purpose", "now", "reach", "steps", "user", "zone")

    def __init__(
        self,
        audience: Audience,
        user: User,
        now: int,
        *,
        reach: Reach | None = None,
        entry: Mapping[str, Any] = _EMPTY,
        steps: Mapping[str, Mapping[str, Any]] = _EMPTY,
        event: Mapping[str, Any] = _EMPTY,
        purpose: str = "marketing",
    ) -> None:
        self.audience, self.user, self.now, self.zone = audience, user, now, user.zone
        self.reach, self.entry, self.steps, self.event, self.journey_purpose = reach, entry, steps, event, purpose
        self._memo: dict[Any, Any] = {}
        self._inside: dict[str, bool] = {}

    def with_event(self, event: Mapping[str, Any]) -> "UserFacts":
        """The same moment with an event at hand."""
        facts = UserFacts(self.audience, self.user, self.now, reach=self.reach, entry=self.entry, steps=self.steps,
                          event=event, purpose=self.journey_purpose)  # fmt: skip
        facts._memo, facts._inside = self._memo, self._inside
        return facts

    def forget(self) -> None:
        """Drop what was memoised, after the user changed."""
        self._memo, self._inside = {}, {}

    def trait(self, name: str) -> Any:
        """The user's value of a trait, its default, or None."""
        memo = self._memo
        if name in memo:
            return memo[name]
        value = self._trait(name)
        memo[name] = value
        return value

    def _trait(self, name: str) -> Any:
        trait = self.audience.traits.get(name)
        user = self.user
        if trait is None:
            if name == "id":
                return user.id
            if name == "tags":
                return user.profile.get("t", [])
            return self.audience.stage_of(self) or None  # as it is now: what is stored is as it was when she was last looked at
        pinned = user.profile.get("pin")  # a rehearsal's given values
        if pinned and name in pinned:
            value = self._pinned(trait, pinned[name])
        elif trait.value is not None:
            value = trait.value.test(self)
        elif trait.aggregate:
            value = read_trait(trait, user, self.now)
        else:
            value = user.profile.get("p", _EMPTY).get(name)
            if value is not None and not fits(value, trait.kind, trait.choices):
                value = None
        return trait.default if value is None else value

    def _pinned(self, trait: Trait, given: Any) -> Any:
        """A given value: a window goes on from it; a `median_gap` is read anew once the story's own events are enough."""
        if not trait.aggregate:
            return given
        if trait.aggregate != "median_gap":
            return read_trait(trait, self.user, self.now, given)
        own = read_trait(trait, self.user, self.now)
        return given if own is None else own

    def trait_change(self, name: str) -> int | None:
        """When the value changes by time alone."""
        key = ("trait change", name)
        if key not in self._memo:
            self._memo[key] = self._trait_change(name)
        return self._memo[key]  # type: ignore[no-any-return]

    def _trait_change(self, name: str) -> int | None:
        trait = self.audience.traits.get(name)
        if trait is None:
            changes = [rule.change(self) for rule in rules_of(self.audience.stages) if rule.change] if name == "stage" else []
            return min((at for at in changes if at is not None), default=None)
        if trait.value is not None:
            return trait.value.change(self) if trait.value.change else None
        return window_change(self.user, trait.event, trait.within, self.now) if trait.within else None

    def segment(self, name: str) -> bool:
        """The segment's condition, now."""
        inside = self._inside.get(name)
        if inside is None:
            inside = self._inside[name] = bool(self.audience.segments[name].test(self))
        return inside

    def segment_change(self, name: str) -> int | None:
        """When a time term of the segment changes."""
        key = ("segment change", name)
        if key not in self._memo:
            change = self.audience.segments[name].change
            self._memo[key] = change(self) if change else None
        return self._memo[key]  # type: ignore[no-any-return]

    def has_tag(self, tag: str) -> bool:
        """Whether the user carries the tag."""
        return tag in self.user.profile.get("t", ())

    def count(self, event: str, within: int) -> int:
        """Events of that kind in (now - within, now]."""
        return count_within(self.user, event, within, self.now)

    def count_change(self, event: str, within: int) -> int | None:
        """When the oldest of them leaves."""
        return window_change(self.user, event, within, self.now)

    def count_falls(self, trait: str, event: str, within: int, fewest: int, *, exactly: bool) -> int | None:
        """When a window holds fewer than `fewest`; `exactly`: or exactly so many, whichever comes first. Of a given count, as for all."""
        if trait and trait in self.user.profile.get("pin", ()):
            return window_change(self.user, event, within, self.now)
        return falls_below(self.user, event, within, self.now, fewest, exactly=exactly)

    def in_journey(self, journey: str) -> bool:
        """Whether the user is inside that journey now."""
        return journey in self.user.journeys

    def reachable(self, channel: str, template: str | None) -> bool:
        """Whether a message of the journey's purpose could go there now."""
        return self.reach is not None and can_reach(self.reach.of(self.user), channel, template, self.journey_purpose) is None

    def has_consent(self, channel: str) -> bool:
        """Whether the user agreed to the journey's purpose on the channel."""
        return self.reach is not None and consented(self.reach.of(self.user), channel, self.journey_purpose)

    def remaining(self, benefit: str) -> int | None:
        """Units left of the benefit's budget; 10^9 where there is none to keep."""
        return self.reach.remaining(benefit) if self.reach is not None else None
