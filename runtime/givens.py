"""The user of a test as the file gives her: values in such a way that the story's own events still move them. Pure."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience, Trait
from journeys.model import JourneyTest
from journeys.stories import value_of
from runtime.facts import UserFacts
from runtime.policy import ADDRESS_OF
from runtime.profile import SCALE, definitions_of
from runtime.state import User


def person_of(test: JourneyTest, audience: Audience, user_id: str, zone: ZoneInfo, start: int, digest: str) -> User:
    """Somebody reachable and consented everywhere, but for what the test gives; in the segments and the stage that this makes of her.

    `digest` is that of the audience, as the engine knows it.
    """
    given = test.given
    consents: dict[str, Any] = {channel: {"service": True, "marketing": True} for channel in ADDRESS_OF}
    for channel, said in given.consents.items():
        consents[channel] = {**consents.get(channel, {}), **said} if isinstance(said, dict) else {"service": said, "marketing": said}
    identities = {identity: f"{user_id}-{identity}" for identity in ADDRESS_OF.values()}
    profile: dict[str, Any] = {"p": {}, "a": {}, "pin": {}, "t": sorted(given.tags)}
    reach = {"consents": consents, "identities": identities}
    user = User(user_id, zone, profile, reach, recheck_at=start, evaluated_at=start, audience=digest)
    profile["d"] = definitions_of(audience, user)  # what is given stands for events
    _give_all(user, audience, test.user, zone, start)
    facts = UserFacts(audience, user, start)  # what she is in then is nobody's edge
    user.segments = {name: [meaning, facts.segment(name)] for name, meaning in audience.segment_digests.items()}
    user.stage = audience.stage_of(facts)
    return user


def _give_all(user: User, audience: Audience, values: Mapping[str, Any], zone: ZoneInfo, start: int) -> None:
    for name, raw in values.items():
        trait = audience.traits.get(name)
        value = value_of(raw, trait.kind, zone, start, trait.choices) if trait is not None else None
        if trait is not None and value is not None:
            _give(user.profile, trait, value, start - 1)


def _give(profile: dict[str, Any], trait: Trait, value: Any, before: int) -> None:
    """What is given stands for the events of before: an aggregate goes on from it, in a window (`pin`) as without one (`a`)."""
    if trait.value is not None or trait.aggregate == "median_gap":
        profile["pin"][trait.name] = value
    elif not trait.aggregate:
        profile["p"][trait.name] = value
    else:
        profile["pin" if trait.within else "a"][trait.name] = _state(trait, value, before)


def _state(trait: Trait, value: Any, before: int) -> Any:
    """The aggregate's state from which `value` is read."""
    kind = trait.aggregate
    if kind == "count":
        return value
    if kind == "sum":
        return round(value * SCALE)
    if kind == "avg":
        return [round(value * SCALE) * trait.at_least, trait.at_least]
    if kind in ("first", "last"):
        return [min(value, before) if trait.of == "time" else before, "", value]
    if kind == "distinct":
        return [f"+{n:04d}" for n in range(int(value))]  # in the place of hashes: values that no event has
    return {str(value): [trait.at_least, before, "", value]}
