"""Those already inside when a journey went live: by the rule of that moment, whatever an edit has made of the segment since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from journeys.audience import Audience, compile_audience
from journeys.duration import format_duration
from journeys.expression import Call, Compare, Const
from journeys.loader import load_audience_text, load_journey_text
from journeys.rule import Rule, rule_of
from runtime.profile import SLACK
from runtime.store import SqlStore
from runtime.store.releases import Version


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of whoever is to have been inside when her journey went live: as of then `rule`, in the audience that gives its names
    their meaning; as of now `remembers`, that what the rule looks back on has not left her histories.
    """

    audience: Audience
    rule: Rule
    remembers: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Then:
    """The audience in force when a journey went live, and the segment that let people into it."""

    audience: Audience
    segment: str

    def asked_under(self, audience: Audience, segment: str, age: int) -> Asked | None:
        """What to ask of profiles made under `audience`, where `segment` lets in by now and the journey went live `age` ago.

        None where they cannot tell who was inside then: what its rule reads is defined otherwise. A history forgets when something new
        comes, so of somebody to whom much happened since it may not be told either.
        """
        digests: Mapping[str, str] = audience.segment_digests
        if segment == self.segment and digests.get(segment) == self.audience.segment_digests.get(segment):
            return Asked(audience, audience.segments[segment])
        rule = self.audience.segments.get(self.segment)
        if rule is None or not self.audience.reads_alike(rule, audience):
            return None
        since = {
            event: age - SLACK - (audience.projections[event].window - length) for event, length in self.audience.windows_read(rule).items()
        }
        return Asked(self.audience, rule, tuple(_nothing(event, within) for event, within in since.items() if within > 0))


@dataclass
class GoLive:
    """Finds what was in force when a journey went live; each release is read once."""

    store: SqlStore
    _known: dict[tuple[int, str], Then | None] = field(default_factory=dict)

    def asked(self, tx: Any, audience: Audience, segment: str, journey: str, at: int, now: int) -> Asked | None:
        """What is asked of those already inside a journey that went live at `at`; None where nobody can tell who is one of them."""
        then = self._then(tx, journey, at)
        if then is None:  # a rehearsal is of no release
            return Asked(audience, audience.segments[segment])
        return then.asked_under(audience, segment, now - at)

    def _then(self, tx: Any, journey: str, at: int) -> Then | None:
        """The audience and the segment of the release by which the journey went live; None where no release is kept."""
        release_id = self.store.releases.id_at(tx, at)
        key = (release_id, journey)
        if key not in self._known:
            release = self.store.releases.release(tx, release_id)
            version = next((v for v in release.versions if v.journey == journey), None) if release is not None else None
            segment = _segment_of(version) if version is not None else ""
            self._known[key] = Then(compile_audience(*load_audience_text(release.audience)), segment) if release and segment else None
        return self._known[key]


def _nothing(event: str, within: int) -> Rule:
    """That no event of a type has come for so long."""
    node = Compare("==", Call("count", (event, within), "number"), Const(0, "number"))
    return rule_of(f"count({event!r}, within={format_duration(within)!r}) == 0", node, {})


def _segment_of(version: Version) -> str:
    journey = load_journey_text(version.source, f"{version.journey}@{version.number}").journey
    return (journey.entry.segment or "") if journey is not None else ""
