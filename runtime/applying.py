"""`apply`: from checked files, or a release of before, to a release, atomically; what people inside still need cannot be taken away."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from journeys.audience import compile_audience
from journeys.check import Checked, check
from journeys.compile import LANGUAGE_VERSION, analyse, digest_of
from journeys.compiled import CompiledJourney
from journeys.errors import Finding, Language, Place, did_you_mean
from journeys.lineage import was_of
from journeys.loader import Definitions, load_audience_text, load_definitions, load_journey_text
from runtime.moving import WAYS, InFlight, Way
from runtime.settings import Project
from runtime.store import SqlStore
from runtime.store.releases import NewVersion, Release, Version
from runtime.texts import word

Origins = Mapping[str, Mapping[str, str]]  # by journey and step: the name that the step first had


@dataclass(frozen=True)
class Asked:
    """What an apply is asked to do. `in_flight` decides for those inside, by journey; `plan` is the token of the plan that was looked
    at: nothing is applied when files or release are others by now. `origins` are those that steps have in another database.
    """

    author: str
    message: str
    in_flight: Mapping[str, InFlight] = field(default_factory=dict)
    plan: str = ""
    origins: Origins = field(default_factory=dict)


@dataclass(frozen=True)
class Applied:
    """A new release on top of `before`; `changed` are the journeys with a new version, `gone` those that nobody enters any more."""

    release: Release
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    before: Release | None = None


@dataclass(frozen=True)
class Unchanged:
    """The files are what is applied already."""

    release: Release


@dataclass(frozen=True)
class Refused:
    """Nothing was applied; the findings say why."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Declined:
    """Nothing was applied: `why` is a word of texts.py, `values` fill it."""

    why: str
    values: Mapping[str, Any]


Outcome = Applied | Unchanged | Refused | Declined


def outcome_json(outcome: Outcome, language: Language) -> dict[str, Any]:
    """The outcome as data, for `--json` and the daemon's socket."""
    if isinstance(outcome, Refused):
        return {"outcome": "refused", "findings": [f.line(language) for f in outcome.findings]}
    if isinstance(outcome, Declined):
        return {"outcome": "declined", "why": outcome.why, "text": word(outcome.why, language, **outcome.values)}
    changed: dict[str, Any] = {}
    if isinstance(outcome, Applied):
        before = outcome.before
        on_top = {"id": before.id, "author": before.author, "message": before.message, "applied_at": before.applied_at} if before else None
        changed = {"changed": list(outcome.changed), "gone": list(outcome.gone), "on_top_of": on_top}
    name = "applied" if isinstance(outcome, Applied) else "unchanged"
    return {"outcome": name, "release": outcome.release.id, "digest": outcome.release.digest, **changed}


def check_project(project: Project) -> Checked:
    """Check the project's files against its config."""
    return check(load_definitions(project.definitions), project.world(), project.zone)


def check_release(project: Project, release: Release) -> Checked:
    """Check what a release holds, against the config of today: it may name what has gone meanwhile."""
    audience, source = load_audience_text(release.audience)
    journeys = tuple(load_journey_text(version.source, f"{version.journey}.yaml") for version in release.versions)
    return check(Definitions(journeys, audience, source), project.world(), project.zone)


def applicable(checked: Checked) -> dict[str, CompiledJourney]:
    """The journeys of a release: drafts are none."""
    return {i: j for i, j in checked.journeys.items() if j.journey.status != "draft"}


def digest_of_all(checked: Checked) -> str:
    """The digest of a release of these files."""
    digests = [checked.audience_text, *(f"{i}:{j.digest}" for i, j in sorted(applicable(checked).items()))]
    return digest_of("\n".join(digests))


def token_of(before: Release | None, checked: Checked, in_flight: Mapping[str, InFlight]) -> str:
    """Twelve hex digits that stand for these files on top of this release, and for what is decided for those inside."""
    decided = [f"{i}={f.way} {sorted(f.steps.items())}" for i, f in sorted(in_flight.items())]
    return digest_of("\n".join([str(before.id if before else 0), digest_of_all(checked), *decided]))[:12]


def in_flight_of(
    texts: list[str], journeys: Collection[str], steps_of: Mapping[str, Collection[str]]
) -> dict[str, InFlight] | Declined:  # fmt: skip
    """`ID=keep|move|exit` or `ID.STEP=…` as decisions; what is wrong with the first that cannot be read.

    `journeys` are those of the files and those with people inside; `steps_of` names the steps at which these can stand.
    """
    ways: dict[str, Way] = {}
    steps: dict[str, dict[str, Way]] = {}
    for text in texts:
        where, _, way = text.partition("=")
        journey, dot, step = where.partition(".")
        known = next((name for name in WAYS if name == way), None)
        if known is None or (dot and not step):
            return Declined("in_flight_form", {"text": text})
        if journey not in journeys:
            return _unknown("in_flight_journey", journeys, name=journey)
        if step and step not in steps_of.get(journey, ()):
            return _unknown("in_flight_step", steps_of.get(journey, ()), name=step, journey=journey)
        if step:
            steps.setdefault(journey, {})[step] = known
        else:
            ways[journey] = known
    return {journey: InFlight(ways.get(journey, "keep"), steps.get(journey, {})) for journey in {*ways, *steps}}


def _unknown(why: str, known: Collection[str], **values: str) -> Declined:
    hint = did_you_mean(values["name"], known)
    return Declined(f"{why}_near" if hint else why, {**values, "hint": hint})


def apply(store: SqlStore, project: Project, checked: Checked, now: int, asked: Asked) -> Outcome:
    """Write one release of all journeys and the audience; nothing when a file has an error or nothing changed."""
    if checked.errors:
        return Refused(tuple(f for f in checked.findings if f.severity == "error"))
    with store.database.reading() as tx:
        before = store.releases.current(tx)
        under_way = [m for m in store.movements.of_release(tx, before.id) if m.done_at is None] if before else []
        left = sum(store.movements.left(tx, movement) for movement in under_way)
    token = token_of(before, checked, asked.in_flight)
    if asked.plan and asked.plan != token:
        return Declined("plan_is_old", {"plan": asked.plan, "now": token, **_who(before)})
    if left and before:
        return Declined("moves_under_way", {"n": left, "release": before.id, "journeys": ", ".join(m.journey for m in under_way)})
    journeys, digest = applicable(checked), digest_of_all(checked)
    if before is not None and before.digest == digest and not asked.in_flight:
        return Unchanged(before)
    taken_away = _taken_away(store, project, checked)
    if taken_away:
        return Refused(tuple(taken_away))
    release = store.database.write(lambda tx: _write(store, tx, before, journeys, checked.audience_text, digest, now, asked))
    if release is None:
        with store.database.reading() as tx:
            return Declined("overtaken", _who(store.releases.current(tx)))
    old = {v.journey: v.digest for v in before.versions} if before else {}
    changed = tuple(sorted(i for i, j in journeys.items() if old.get(i) != j.digest))
    return Applied(release, changed, tuple(sorted(set(old) - set(journeys))), before)


def origins_in(store: SqlStore, checked: Checked) -> Origins:
    """The origins that the steps of checked files have in a database, or would be given by an apply."""
    with store.database.reading() as tx:
        release = store.releases.current_id(tx)
        return {
            identifier: store.releases.foreseen(tx, NewVersion(identifier, journey.digest, journey.source, was_of(journey)), release)[2]
            for identifier, journey in applicable(checked).items()
        }


def _who(release: Release | None) -> dict[str, Any]:
    if release is None:
        return {"release": 0, "author": "", "message": ""}
    return {"release": release.id, "author": release.author, "message": release.message}


def _taken_away(store: SqlStore, project: Project, checked: Checked) -> list[Finding]:
    """Versions with people inside that would not compile under the new audience: also where they are to leave, which needs them read."""
    model, source = load_audience_text(checked.audience_text)
    audience = compile_audience(model, source)
    ids = frozenset(checked.journeys)
    found: list[Finding] = []
    with store.database.reading() as tx:
        versions = [store.releases.version(tx, v) for v in store.releases.live_versions(tx)]
    for version in (v for v in versions if v is not None):
        who = f"{version.journey} v{version.number}"
        _, findings = analyse(load_journey_text(version.source, who), audience, project.world(), project.zone, ids | {version.journey})
        for finding in findings:
            if finding.severity == "error":
                what = str(finding.params.get("found", finding.text()))
                found.append(Finding("J088", Place("audience.yaml"), {"found": what, "who": who}))
    return found


def _is_live(version: Version) -> bool:
    """Whether the version let people in: a closed journey that goes live finds those inside its segment as a new one does."""
    loaded = load_journey_text(version.source, f"{version.journey}.yaml").journey
    return loaded is not None and loaded.status == "live"


def _write(
    store: SqlStore, tx: Any, before: Release | None, journeys: dict[str, CompiledJourney], audience: str, digest: str,
    now: int, asked: Asked,
) -> Release | None:  # fmt: skip
    sources = [NewVersion(i, j.digest, j.source, was_of(j), asked.origins.get(i)) for i, j in sorted(journeys.items())]
    release = store.releases.add(
        tx, follows=before.id if before else 0, digest=digest, audience=audience, audience_digest=digest_of(audience),
        author=asked.author, message=asked.message, now=now, journeys=sources, language=LANGUAGE_VERSION,
    )  # fmt: skip
    if release is None:
        return None
    for left, in_flight in sorted(asked.in_flight.items()):
        store.movements.add(tx, release.id, left, in_flight)
    live_before = {v.journey for v in before.versions if _is_live(v)} if before else set()
    digests = {v.journey: v.digest for v in before.versions} if before else {}
    for identifier, journey in journeys.items():
        if journey.journey.status != "live":
            continue
        entry = journey.entry
        if digests.get(identifier, journey.digest) != journey.digest:
            store.releases.wake_populations(tx, identifier, now)
        if entry.form == "segment" and entry.existing == "enrol" and identifier not in live_before:
            store.releases.add_population(tx, identifier, f"existing@{release.id}", "existing", now)
        if entry.form == "at" and entry.at is not None and entry.at > now:
            store.releases.add_population(tx, identifier, f"at@{entry.at}", "at", entry.at)
    return release
