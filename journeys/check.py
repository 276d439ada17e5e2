"""`check`: every finding over all files, the audience and the names that config declares, in one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from zoneinfo import ZoneInfo

from journeys.audience import Audience, compile_audience
from journeys.compile import analyse
from journeys.compiled import CompiledJourney
from journeys.errors import Finding, did_you_mean
from journeys.loader import Definitions, LoadedJourney
from journeys.source import Source
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
        journey, found = analyse(loaded, audience, world, zone, ids)
        findings.extend(found)
        findings.extend(_file_findings(loaded, first_with_id))
        if journey is not None and first_with_id[journey.id] is loaded:
            compiled[journey.id] = journey
            findings.extend(_test_findings(loaded, journey))
    ordered = sorted(findings, key=lambda f: (f.place.file, f.place.line, f.place.column, f.code))
    sources = {i: loaded.source for i, loaded in first_with_id.items()}
    return Checked(tuple(ordered), compiled, audience, definitions.audience_source.text, sources)


def _file_findings(loaded: LoadedJourney, first_with_id: Mapping[str, LoadedJourney]) -> list[Finding]:
    if loaded.journey is None:
        return []
    source, identifier = loaded.source, loaded.journey.id
    place = source.place(("id",))
    first = first_with_id[identifier]
    if first is not loaded:
        return [Finding("J010", place, {"found": identifier, "other": first.source.file})]
    untested = [Finding("J136", place)] if loaded.journey.status == "live" and not loaded.journey.tests else []
    if PurePath(source.file).stem != identifier:
        return [Finding("J011", place, {"expected": f"{identifier}.yaml"}), *untested]
    return untested


def _test_findings(loaded: LoadedJourney, journey: CompiledJourney) -> list[Finding]:
    """Names in `tests:` that do not exist."""
    source, found = loaded.source, []
    for index, test in enumerate(journey.journey.tests):
        path = ("tests", index)
        for step, variant in test.given.variant.items():
            known = {v for v, _ in getattr(journey.steps.get(step, None) and journey.steps[step].spec, "variants", ())}
            if variant not in known:
                params = {"found": variant, "step": step, "hint": did_you_mean(variant, known)}
                found.append(Finding("J034", source.place((*path, "given", "variant", step)), params))
        for position, expected in enumerate(test.expect):
            at = (*path, "expect", position)
            kinds = [k for k in ("send", "grant", "tag", "suppressed", "end") if getattr(expected, k) is not None]
            if len(kinds) != 1:
                problem = {"expected": "send, grant, tag, suppressed, end", "found": ", ".join(kinds) or "none"}
                found.append(Finding("J015", source.place(at), problem))
            if (expected.after is None) == (expected.at is None):
                found.append(Finding("J015", source.place(at), {"expected": "after, at", "found": "both or none"}))
            if expected.step is not None and expected.step not in journey.steps:
                params = {"found": expected.step, "hint": did_you_mean(expected.step, journey.steps)}
                found.append(Finding("J031", source.place((*at, "step")), params))
    return found
