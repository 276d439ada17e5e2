"""`apply`: from checked files to a release, atomically; what people inside still need cannot be taken away."""

from dataclasses import dataclass
from typing import Any

from journeys.audience import compile_audience
from journeys.check import Checked, check
from journeys.compile import LANGUAGE_VERSION, analyse, digest_of
from journeys.compiled import CompiledJourney
from journeys.errors import Finding, Language, Place
from journeys.loader import load_audience_text, load_definitions, load_journey_text
from runtime.settings import Project
from runtime.store import SqlStore
from runtime.store.releases import Release


@dataclass(frozen=True)
class Applied:
    """A new release; `changed` are the journeys with a new version, `gone` those that nobody enters any more."""

    release: Release
    changed: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class Unchanged:
    """The files are what is applied already."""

    release: Release


@dataclass(frozen=True)
class Refused:
    """Nothing was applied; the findings say why."""

    findings: tuple[Finding, ...]


def outcome_json(outcome: Applied | Unchanged | Refused, language: Language) -> dict[str, Any]:
    """The outcome as data, for `--json` and the daemon's socket."""
    if isinstance(outcome, Refused):
        return {"outcome": "refused", "findings": [f.line(language) for f in outcome.findings]}
    changed = {"changed": list(outcome.changed), "gone": list(outcome.gone)} if isinstance(outcome, Applied) else {}
    name = "applied" if isinstance(outcome, Applied) else "unchanged"
    return {"outcome": name, "release": outcome.release.id, **changed}


def check_project(project: Project) -> Checked:
    """Check the project's files against its config."""
    return check(load_definitions(project.definitions), project.world(), project.zone)


def apply(store: SqlStore, project: Project, checked: Checked, now: int, author: str, message: str) -> Applied | Unchanged | Refused:
    """Write one release of all journeys and the audience; nothing when a file has an error or nothing changed."""
    if checked.errors:
        return Refused(tuple(f for f in checked.findings if f.severity == "error"))
    with store.database.reading() as tx:
        before = store.releases.current(tx)
    journeys = {i: j for i, j in checked.journeys.items() if j.journey.status != "draft"}
    digests = [checked.audience_text, *(f"{i}:{j.digest}" for i, j in sorted(journeys.items()))]
    digest = digest_of("\n".join(digests))
    if before is not None and before.digest == digest:
        return Unchanged(before)
    taken_away = _taken_away(store, project, checked)
    if taken_away:
        return Refused(tuple(taken_away))
    release = store.database.write(lambda tx: _write(store, tx, before, journeys, checked.audience_text, digest, now, author, message))
    old = {v.journey: v.digest for v in before.versions} if before else {}
    changed = tuple(sorted(i for i, j in journeys.items() if old.get(i) != j.digest))
    return Applied(release, changed, tuple(sorted(set(old) - set(journeys))))


def _taken_away(store: SqlStore, project: Project, checked: Checked) -> list[Finding]:
    """Versions with people inside that would not compile under the new audience."""
    model, source = load_audience_text(checked.audience_text)
    audience = compile_audience(model, source)
    ids = frozenset(checked.journeys)
    found: list[Finding] = []
    with store.database.reading() as tx:
        versions = [store.releases.version(tx, v) for v in store.releases.live_versions(tx)]
    for version in (v for v in versions if v is not None):
        who = f"{version.journey}@{version.number}"
        _, findings = analyse(load_journey_text(version.source, who), audience, project.world(), project.zone, ids | {version.journey})
        for finding in findings:
            if finding.severity == "error":
                what = str(finding.params.get("found", finding.text()))
                found.append(Finding("J088", Place("audience.yaml"), {"found": what, "who": who}))
    return found


def _write(  # noqa: PLR0913, PLR0917 - what a release holds
    store: SqlStore, tx: Any, before: Release | None, journeys: dict[str, CompiledJourney], audience: str, digest: str,
    now: int, author: str, message: str,
) -> Release:  # fmt: skip
    sources = [(i, j.digest, j.source) for i, j in sorted(journeys.items())]
    release = store.releases.add(
        tx, digest=digest, audience=audience, audience_digest=digest_of(audience), author=author, message=message, now=now,
        journeys=sources, language=LANGUAGE_VERSION,
    )  # fmt: skip
    live_before = {v.journey for v in before.versions} if before else set()
    for identifier, journey in journeys.items():
        if journey.journey.status != "live":
            continue
        entry = journey.entry
        if entry.form == "segment" and entry.existing == "enrol" and identifier not in live_before:
            store.releases.add_population(tx, identifier, f"existing@{release.id}", "existing", now)
        if entry.form == "at" and entry.at is not None and entry.at > now:
            store.releases.add_population(tx, identifier, f"at@{entry.at}", "at", entry.at)
    return release
