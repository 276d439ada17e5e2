"""`check`: every finding over all files, the audience and the names that config declares, in one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from zoneinfo import ZoneInfo

from journeys.audience import Audience, compile_audience
from journeys.compile import analyse
from journeys.compiled import CompiledJourney
from journeys.errors import Finding
from journeys.loader import Definitions, LoadedJourney
from journeys.source import Source
from journeys.stories import check_stories
from journeys.world import World


@dataclass(frozen=True)
class Checked:
    """The result over a folder: findings sorted by place, and what compiled without errors."""

    findings: tuple[Finding, ...]
    journeys: Mapping[str, CompiledJourney]
    audience: Audience
    audience_text: str
    sources: Mapping[str, Source]

    @property
    def errors(self) -> int:
        """How many findings stop an apply."""
        return sum(f.severity == "error" for f in self.findings)


def check(definitions: Definitions, world: World, zone: ZoneInfo) -> Checked:
    """All findings of all files. A file with errors is left out of `journeys`; the others are still compiled."""
    audience = compile_audience(definitions.audience, definitions.audience_source)
    findings = [*definitions.findings, *definitions.audience_source.findings]
    first_with_id: dict[str, LoadedJourney] = {}
    for loaded in definitions.journeys:
        if loaded.journey is not None:
            first_with_id.setdefault(loaded.journey.id, loaded)
    ids = frozenset(first_with_id)
    compiled: dict[str, CompiledJourney] = {}
    for loaded in definitions.journeys:
        first = first_with_id[loaded.journey.id].source.file if loaded.journey is not None else ""
        journey, found = check_file(loaded, audience, world, zone, ids, first)
        findings.extend(found)
        if journey is not None:
            compiled[journey.id] = journey
    ordered = sorted(findings, key=lambda f: (f.place.file, f.place.line, f.place.column, f.code))
    sources = {i: loaded.source for i, loaded in first_with_id.items()}
    return Checked(tuple(ordered), compiled, audience, definitions.audience_source.text, sources)


def check_file(
    loaded: LoadedJourney, audience: Audience, world: World, zone: ZoneInfo, ids: frozenset[str], first: str
) -> tuple[CompiledJourney | None, list[Finding]]:
    """All findings of one file, and its journey when none of them is an error and no file before has the same id.

    `ids` are those of all journeys, `first` is the first file that has this one's. Nothing else of other files is looked at.
    """
    journey, every = analyse(loaded, audience, world, zone, ids)
    found = [finding for finding in every if not _follows(finding, audience)]
    if loaded.journey is None:
        return None, found
    source, identifier = loaded.source, loaded.journey.id
    place = source.place(("id",))
    if first != source.file:
        return None, [*found, Finding("J010", place, {"found": identifier, "other": first})]
    if loaded.journey.status == "live" and not loaded.journey.tests:
        found = [*found, Finding("J136", place)]
    if PurePath(source.file).stem != identifier:
        found = [*found, Finding("J011", place, {"expected": f"{identifier}.yaml"})]
    if journey is None:
        return None, found
    told = Source(source.file, source.text, source.data, source.spots)
    check_stories(told, journey, audience, world)
    wrong = any(finding.severity == "error" for finding in told.findings)
    return None if wrong else journey, [*found, *(finding for finding in told.findings if not _follows(finding, audience))]


def _follows(finding: Finding, audience: Audience) -> bool:
    """Whether a finding of a journey only follows from one of audience.yaml, where the name is declared and wrong."""
    if audience.unread:
        return finding.code in ("J020", "J021", "J022", "J023")
    return finding.code in ("J021", "J022") and finding.params["found"] in audience.left_out
