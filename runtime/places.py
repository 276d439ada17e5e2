"""Where a rule stands: file and line in the version, or the audience, that decided then. Sources are kept with every release."""

from collections.abc import Mapping
from typing import Any

from journeys.compiled import BranchSpec, CompiledStep, ExitSpec
from journeys.loader import load_audience_text, load_journey_text
from journeys.source import Path_, Source
from runtime.catalogue import Catalogue, Versioned
from runtime.state import LogEntry
from runtime.store import SqlStore
from runtime.store.releases import Version


class Places:
    """Finds lines. Sources are read once, when the first line in them is asked for."""

    def __init__(self, store: SqlStore, catalogue: Catalogue) -> None:
        self._store, self.catalogue = store, catalogue
        self._versions: dict[int, Version | None] = {}
        self._sources: dict[int, Source] = {}
        self._audiences: dict[int, Source] = {}
        with store.database.reading() as tx:
            self._releases = store.enquiries.releases(tx)

    def version(self, version_id: int) -> Version | None:
        """A version's row."""
        if version_id not in self._versions:
            with self._store.database.reading() as tx:
                self._versions[version_id] = self._store.releases.version(tx, version_id)
        return self._versions[version_id]

    def compiled(self, version_id: int) -> Versioned | None:
        """A version, compiled; None when there is none, or it does not compile any more."""
        version = self.version(version_id)
        return self.catalogue.version(version) if version is not None else None

    def is_current(self, version: Version) -> bool:
        """Whether it is the one that people enter now."""
        current = self.catalogue.current.get(version.journey)
        return current is not None and current.version_id == version.id

    def called(self, version_id: int | None) -> tuple[int | None, bool | None]:
        """A version's number and whether it is current; nothing where there is none."""
        version = self.version(version_id) if version_id is not None else None
        return (version.number, self.is_current(version)) if version is not None else (None, None)

    def step(self, version_id: int, step: str) -> str:
        """`file.yaml:12` of a step; empty where there is none."""
        versioned = self.compiled(version_id)
        found = versioned.journey.steps.get(step) if versioned is not None else None
        return f"{versioned.journey.id}.yaml:{found.line}" if versioned is not None and found is not None else ""

    def key(self, version_id: int, *path: str | int) -> str:
        """`file.yaml:12` of a key of the journey, or of the nearest key around it."""
        source = self._source(version_id)
        return f"{source.file}:{source.place(path, key=True).line}" if source is not None else ""

    def segment(self, name: str, at: int) -> str:
        """`audience.yaml:57` of a segment, in the audience in force at an instant."""
        return self._in_audience(at, ("segments", name))

    def stage(self, name: str, at: int) -> str:
        """The line of a lifecycle stage."""
        return self._in_list(at, "lifecycle", "stage", name)

    def stage_names(self, at: int) -> dict[str, str]:
        """The lifecycle's stages with their names for people."""
        source = self._audience(at)
        listed = source.data.get("lifecycle") if source is not None and isinstance(source.data, dict) else None
        return {str(item["stage"]): str(item.get("name", "")) for item in listed or () if isinstance(item, dict) and "stage" in item}

    def of(self, version_id: int | None, entry: LogEntry) -> str:
        """The line of the rule that a log entry is about."""
        if entry.action in ("segment_entered", "segment_left"):
            return self.segment(str(entry.why.get("segment")), entry.at)
        if entry.action == "stage_changed":
            return self.stage(str(entry.why.get("to")), entry.at)
        if version_id is None:
            return ""
        if entry.action == "entered":
            here = self.key(version_id, "entry", "where" if "where" in entry.why else str(entry.why.get("fact", "")))
            there = self.segment(str(entry.why["segment"]), entry.at) if "segment" in entry.why else ""
            return ", ".join(place for place in (here, there) if place)
        if entry.action == "goal_reached":
            return self.key(version_id, "goal")
        if entry.action == "exit_when":
            return self._exit_when(version_id, entry.why)
        if entry.action == "ended":
            return self._ended(version_id, str(entry.why.get("reason")))
        if entry.action == "branched" and isinstance(entry.why.get("case"), int):
            return self._case(version_id, entry.step, entry.why["case"])
        return self.step(version_id, entry.step)

    def _source(self, version_id: int) -> Source | None:
        version = self.version(version_id)
        if version is None:
            return None
        if version_id not in self._sources:
            self._sources[version_id] = load_journey_text(version.source, f"{version.journey}.yaml").source
        return self._sources[version_id]

    def _exit_when(self, version_id: int, why: Mapping[str, Any]) -> str:
        versioned = self.compiled(version_id)
        for number, rule in enumerate(versioned.journey.exits if versioned is not None else ()):
            said = rule.when.text == why.get("clause") if rule.when is not None else rule.match and why.get("event") in rule.match.names
            if rule.reason == why.get("reason") and said:
                return self.key(version_id, "exit_when", number)
        return self.key(version_id, "exit_when")

    def condition(self, version_id: int | None, entry: LogEntry) -> str:
        """The `if` of the step that was taken, where it has one; its values then are kept only where it did not hold."""
        versioned = self.compiled(version_id) if version_id is not None else None
        if versioned is None or entry.action not in ("sent", "suppressed", "held", "grant_asked", "call_asked", "updated", "ended"):
            return ""
        step = versioned.journey.steps.get(entry.step) if entry.step else self._exit(versioned, str(entry.why.get("reason")))
        return step.only_if.text if step is not None and step.only_if is not None else ""

    def _ended(self, version_id: int, reason: str) -> str:
        """The line of the exit step."""
        versioned = self.compiled(version_id)
        step = self._exit(versioned, reason) if versioned is not None else None
        return self.step(version_id, step.id) if step is not None else ""

    @staticmethod
    def _exit(versioned: Versioned, reason: str) -> CompiledStep | None:
        """The exit step of a reason, where there is only one."""
        steps = versioned.journey.steps.values()
        exits = [step for step in steps if isinstance(step.spec, ExitSpec) and step.spec.reason == reason]
        return exits[0] if len(exits) == 1 else None

    def _case(self, version_id: int, step: str, case: int) -> str:
        """The line of a branch's condition; of the step where the version cannot be read."""
        source, versioned = self._source(version_id), self.compiled(version_id)
        found = versioned.journey.steps.get(step) if versioned is not None else None
        if source is None or found is None or not isinstance(found.spec, BranchSpec):
            return ""
        text = found.spec.cases[case - 1].text if case <= len(found.spec.cases) else ""
        for path in source.spots:
            if (
                path[-3:] == ("branch", case - 1, "when")
                and _at(source.data, path) == text
                and _at(source.data, (*path[:-3], "id")) == step
            ):
                return f"{source.file}:{source.place(path, key=True).line}"
        return self.step(version_id, step)

    def _audience(self, at: int) -> Source | None:
        """The audience in force at an instant; the oldest one for what came before any release."""
        earlier = [release_id for release_id, applied_at, _ in self._releases if applied_at <= at]
        release_id = earlier[-1] if earlier else self._releases[0][0] if self._releases else 0
        if release_id and release_id not in self._audiences:
            with self._store.database.reading() as tx:
                release = self._store.releases.release(tx, release_id)
            if release is not None:
                self._audiences[release_id] = load_audience_text(release.audience)[1]
        return self._audiences.get(release_id)

    def _in_audience(self, at: int, path: Path_) -> str:
        source = self._audience(at)
        return f"{source.file}:{source.place(path, key=True).line}" if source is not None and path in source.spots else ""

    def _in_list(self, at: int, key: str, name: str, wanted: str) -> str:
        source = self._audience(at)
        listed = source.data.get(key) if source is not None and isinstance(source.data, dict) else None
        number = next((n for n, item in enumerate(listed or ()) if isinstance(item, dict) and item.get(name) == wanted), None)
        return self._in_audience(at, (key, number)) if number is not None else ""


def _at(data: Any, path: Path_) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data
