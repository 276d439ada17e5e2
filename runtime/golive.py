"""Those already inside when a journey went live: by the rule of that moment, whatever an edit has made of the segment since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from journeys.audience import Audience, compile_audience
from journeys.loader import load_audience_text, load_journey_text
from journeys.rule import Rule
from runtime.profile import SLACK
from runtime.store import SqlStore
from runtime.store.releases import Population, Version


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of whoever is to have been inside when her journey went live, in the audience that gives its names their meaning."""

    audience: Audience
    rule: Rule


@dataclass(frozen=True, slots=True)
class Then:
    """The audience in force when a journey went live, and the segment that let people into it."""

    audience: Audience
    segment: str

    def asked_under(self, audience: Audience, segment: str, age: int) -> Asked | None:
        """What to ask of profiles made under `audience`, where `segment` lets in by now and the journey went live `age` ago.

        None where they cannot tell who was inside then: what its rule reads is defined otherwise, or does not reach back far enough.
        """
        digests: Mapping[str, str] = audience.segment_digests
        if segment == self.segment and digests.get(segment) == self.audience.segment_digests.get(segment):
            return Asked(audience, audience.segments[segment])
        rule = self.audience.segments.get(self.segment)
        if rule is None or not self.audience.reads_alike(rule, audience, back=max(age - SLACK, 0)):
            return None
        return Asked(self.audience, rule)


@dataclass
class GoLive:
    """Finds what was in force when a journey went live; each release is read once."""

    store: SqlStore
    _known: dict[tuple[int, str], Then | None] = field(default_factory=dict)

    def asked(self, tx: Any, audience: Audience, segment: str, population: Population, now: int) -> Asked | None:
        """What is asked of the people of a population of those already inside; None where nobody can tell who is one of them."""
        then = self.then(tx, population)
        if then is None:  # a rehearsal is of no release
            return Asked(audience, audience.segments[segment])
        return then.asked_under(audience, segment, now - population.at)

    def then(self, tx: Any, population: Population) -> Then | None:
        """The audience and the segment of the release by which the journey went live; None where no release is kept."""
        release_id = self.store.releases.id_at(tx, population.at)
        key = (release_id, population.journey)
        if key not in self._known:
            release = self.store.releases.release(tx, release_id)
            version = next((v for v in release.versions if v.journey == population.journey), None) if release is not None else None
            segment = _segment_of(version) if version is not None else ""
            self._known[key] = Then(compile_audience(*load_audience_text(release.audience)), segment) if release and segment else None
        return self._known[key]


def _segment_of(version: Version) -> str:
    journey = load_journey_text(version.source, f"{version.journey}@{version.number}").journey
    return (journey.entry.segment or "") if journey is not None else ""
