"""What is applied now, compiled: the current release's journeys, older versions with people inside, who enters by what."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from journeys.audience import EMPTY, Audience, compile_audience
from journeys.compile import analyse, digest_of, only_the_goal
from journeys.compiled import CompiledJourney
from journeys.expression import TURN_EVENTS
from journeys.lineage import with_origins
from journeys.loader import LoadedJourney, load_audience_text, load_journey_text
from journeys.model import event_names
from journeys.world import World
from runtime.store.releases import Release, Version


@dataclass(frozen=True)
class Versioned:
    """A compiled journey with the number of its row."""

    version_id: int
    number: int
    journey: CompiledJourney


@dataclass
class Catalogue:
    """One release, ready to run. `current` by journey id, `versions` by row number."""

    release_id: int
    applied_at: int
    audience: Audience
    audience_digest: str
    current: dict[str, Versioned]
    versions: dict[int, Versioned]
    world: World
    zone: ZoneInfo
    broken: dict[int, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)  # journeys of the release that do not compile here, where the config lacks what they use
    measuring: dict[int, Versioned] = field(default_factory=dict)  # of broken versions what counts the goals of those who are through
    by_event: dict[str, list[Versioned]] = field(default_factory=dict)
    by_segment: dict[str, list[Versioned]] = field(default_factory=dict)
    by_date: list[Versioned] = field(default_factory=list)
    dates_by_event: dict[str, list[Versioned]] = field(default_factory=dict)  # as `dates_moved_by` has found them
    by_schedule: list[Versioned] = field(default_factory=list)
    since: dict[int, int] = field(default_factory=dict)  # by version: from when what lets people in counts, see `counts_since`
    lets_in: dict[tuple[str, str], int] = field(default_factory=dict)  # by journey and event, what `lets_in_since` has found
    in_force: dict[str, int] = field(default_factory=dict)  # by segment: since when it means what it does, see `means_since`
    paces: dict[str, tuple[int, int]] = field(default_factory=dict)  # of the current versions alone: how many per how long

    def version(self, version: Version) -> Versioned | None:
        """An older version, compiled on first use; None (and noted in `broken`) when it does not compile any more."""
        if version.id not in self.versions and version.id not in self.broken:
            compiled = _compiled(version, self.audience, self.world, self.zone, frozenset(self.current))
            if isinstance(compiled, str):
                self.broken = {**self.broken, version.id: compiled}
                goal = _compiled(version, self.audience, self.world, self.zone, frozenset(self.current), only_the_goal)
                self.measuring = self.measuring if isinstance(goal, str) else {**self.measuring, version.id: goal}
            else:
                self.versions = {**self.versions, version.id: compiled}  # not in place: lanes ask, too, while the engine looks through it
                self.audience = replace(self.audience, longer=longest(self.audience.longer, compiled.journey.windows))
        return self.versions.get(version.id)

    def dates_moved_by(self, event_type: str) -> list[Versioned]:
        """The date entries that an event of this type may move."""
        found = self.dates_by_event.get(event_type)
        if found is None:
            read = ((v, v.journey.entry.date) for v in self.by_date)
            found = [v for v, date in read if date is not None and event_type in self.audience.events_read(date)]
            self.dates_by_event[event_type] = found
        return found

    def counted(self) -> list[Versioned]:
        """The journeys that need to know since when they let people in: who does so by what she is or becomes, not by what she does."""
        by_edge = [v for event in TURN_EVENTS for v in self.by_event.get(event, ())]
        found = [*self.by_schedule, *self.by_date, *by_edge, *(v for listeners in self.by_segment.values() for v in listeners)]
        return list({v.version_id: v for v in found}.values())

    def listens_to(self, event_type: str) -> bool:
        """Whether an event of this type can let somebody in or move somebody."""
        return event_type in self.by_event or any(event_type in v.journey.awaited for v in self.versions.values())


def _compiled(
    version: Version, audience: Audience, world: World, zone: ZoneInfo, ids: frozenset[str],
    part: Callable[[LoadedJourney], LoadedJourney] = lambda whole: whole,
) -> Versioned | str:  # fmt: skip
    loaded = load_journey_text(version.source, f"{version.journey}@{version.number}")
    journey, findings = analyse(part(loaded), audience, world, zone, ids)
    if journey is None:
        return "; ".join(f.line() for f in findings if f.severity == "error")
    return Versioned(version.id, version.number, with_origins(journey, version.origins))


def catalogue_of(release: Release | None, world: World, zone: ZoneInfo) -> Catalogue:
    """The catalogue of a release; an empty one before the first."""
    if release is None:
        return Catalogue(0, 0, EMPTY, "", {}, {}, world, zone)
    model, source = load_audience_text(release.audience)
    audience = compile_audience(model, source)
    ids = frozenset(v.journey for v in release.versions)
    catalogue = Catalogue(release.id, release.applied_at, audience, release.audience_digest, {}, {}, world, zone)
    dated: list[str] = []
    for version in release.versions:
        compiled = _compiled(version, audience, world, zone, ids)
        if isinstance(compiled, str):
            catalogue.broken[version.id] = compiled
            catalogue.unread.add(version.journey)
            continue
        catalogue.versions[version.id] = catalogue.current[version.journey] = compiled
        _index(catalogue, compiled)
        if compiled.journey.entry.form == "date":
            dated.append(compiled.journey.digest)
    for listeners in (*catalogue.by_event.values(), *catalogue.by_segment.values(), catalogue.by_date):
        listeners.sort(key=lambda v: -v.journey.journey.priority)  # of what one moment lets in, the more important asks the caps first
    windows = audience.windows
    for compiled in catalogue.versions.values():
        windows = longest(windows, compiled.journey.windows)
    catalogue.audience = replace(audience, windows=windows)
    # what a user's next look depends on
    catalogue.audience_digest = digest_of("\n".join([release.audience_digest, catalogue.audience.profile_digest, *dated]))
    return catalogue


def counts_since(held: Sequence[tuple[int, Version | None]], known: MutableMapping[int, object]) -> int:
    """When a journey began to let people in by the segment, event, schedule or date that it has now, whatever else was edited since; 0 for
    none.

    `held` are its versions release by release, the newest first. Nobody enters by a date that was over, or an edge that was passed,
    before anybody asked for it. `known` is kept from one time to the next: what each version asks for, read once.
    """

    def asks(version: Version) -> object:
        if version.id not in known:
            known[version.id] = _asks(version)
        return known[version.id]

    newest = held[0][1] if held else None
    return _since(held, lambda version: newest is not None and asks(version) == asks(newest))


def _since(held: Iterable[tuple[int, Version | None]], holds: Callable[[Version], bool]) -> int:
    """Since when something holds of a journey's versions without a gap; 0 where it does not now."""
    since, known = 0, dict[int, bool]()
    for applied_at, version in held:
        if version is None:
            break
        if version.id not in known:
            known[version.id] = holds(version)
        if not known[version.id]:
            break
        since = applied_at
    return since


def means_since(now: Mapping[str, str], earlier: Iterable[tuple[int, Mapping[str, str]]]) -> dict[str, int]:
    """When each segment got the meaning (its digest) that it has now; of one that has it still in the last of `earlier`, when that was.

    `earlier` are the segments' digests by release, the newest first.
    """
    since: dict[str, int] = {}
    same = set(now)
    for applied_at, digests in earlier:
        same = {name for name in same if digests.get(name) == now[name]}
        since |= dict.fromkeys(same, applied_at)
    return since


def digests_of(audience: str) -> Mapping[str, str]:
    """What the segments of an audience's text mean, each as a digest."""
    model, source = load_audience_text(audience)
    return compile_audience(model, source).segment_digests


def _asks(version: Version) -> object:
    journey = load_journey_text(version.source, f"{version.journey}@{version.number}").journey
    entry = journey.entry if journey is not None else None
    return journey and entry and (journey.status, entry.schedule, entry.date, entry.offset, entry.at, entry.segment, str(entry.event))


def lets_in_since(held: Iterable[tuple[int, Version | None]], event: str = "", segment: str = "") -> int:
    """Since when a journey has let its users in by an event of theirs, or by a segment, without a gap; 0 where it does not now.

    `held` are its versions release by release, the newest first. What came before, or while it was gone or closed, lets nobody in.
    """
    return _since(held, lambda version: _lets_in(version, event, segment))


def _lets_in(version: Version, event: str, segment: str) -> bool:
    journey = load_journey_text(version.source, f"{version.journey}@{version.number}").journey
    if journey is None or journey.status != "live":
        return False
    entry = journey.entry
    return entry.segment == segment if segment else entry.user is None and event in event_names(entry.event)


def longest(windows: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    """By event, the longer of two windows."""
    return {event: max(windows.get(event, 0), others.get(event, 0)) for event in {*windows, *others}}


def _index(catalogue: Catalogue, versioned: Versioned) -> None:
    entry = versioned.journey.entry
    if versioned.journey.journey.status == "draft":
        return
    for event in entry.events:
        catalogue.by_event.setdefault(event, []).append(versioned)
    if entry.segment:
        catalogue.by_segment.setdefault(entry.segment, []).append(versioned)
    if entry.form == "date":
        catalogue.by_date.append(versioned)
    if entry.pace is not None:
        catalogue.paces[versioned.journey.id] = entry.pace
    if entry.form == "schedule" and versioned.journey.journey.status == "live":
        catalogue.by_schedule.append(versioned)
