"""The whole `check` of a project: what has not changed since an earlier check is taken from there, the rest is looked at.

Everything heavy is imported when something has changed.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import orjson

from journeys.errors import Finding, Language, Place
from journeys.localtime import zone_named
from runtime.checkcache import CheckCache, digest, overrides, program_digest
from runtime.texts import language_of
from runtime.verdicts import Looked, findings_from, looked_from

if TYPE_CHECKING:
    from journeys.loader import LoadedJourney

AUDIENCE_FILE = "audience.yaml"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Setup:
    """What of the config every check needs, also one that looks at nothing. `key` stands for all of the config."""

    key: str
    definitions: Path
    zone: ZoneInfo
    language: Language


@dataclass(frozen=True)
class CheckedProject:
    """The result: every file in the order of names. `fresh` are those that were looked at now, the others are as they were before."""

    setup: Setup
    files: tuple[Looked, ...]
    general: tuple[Finding, ...] = ()  # of the audience, of config's mappings to it, or of the folder
    fresh: frozenset[str] = field(default_factory=frozenset)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding in the order of places."""
        found = [*self.general, *(finding for looked in self.files for finding in looked.findings)]
        return tuple(sorted(found, key=lambda f: (f.place.file, f.place.line, f.place.column, f.code)))

    @property
    def tests(self) -> int:
        """How many tests were run, now or before."""
        return sum(len(looked.tests) for looked in self.files)


class Checker:
    """Checks a project again and again. Raises ConfigError, as `load_project` does."""

    def __init__(self, config: Path, *, tests: bool = True, keep: bool = True, workers: int | None = None) -> None:
        self.config, self.tests = config, tests
        self.folder = config if config.is_dir() else config.parent
        self.file = config / "config.toml" if config.is_dir() else config
        self.cache = CheckCache(self.folder if keep else None)
        self.program = program_digest()
        self.workers = workers if workers is not None else _cores()

    def check(self, progress: Progress = lambda _done, _total: None) -> CheckedProject:
        """Look at everything that is not as it was."""
        setup = self.setup
        sources = {path: _bytes(path) for path in _journey_files(setup.definitions)}
        checked = _Reading(self, setup, sources, _bytes(setup.definitions / AUDIENCE_FILE)).check(progress)
        self.cache.save()
        return checked

    @property
    def setup(self) -> Setup:
        """What the config says now."""
        key = self.config_key()
        kept = self.cache.get(f"config {key}")
        zone = zone_named(kept["zone"]) if isinstance(kept, Mapping) else None
        if zone is None:
            from runtime.settings import load_project

            project = load_project(self.config)
            zone = project.zone
            kept = {"definitions": str(project.definitions), "zone": zone.key, "language": project.settings.language}
            if self.config_key() == key:  # it was not edited meanwhile
                self.cache.put(f"config {key}", kept)
        return Setup(key, Path(kept["definitions"]), zone, kept["language"] or language_of(os.environ))

    def config_key(self) -> str:
        """Stands for all that the config says now."""
        return digest(self.program, str(self.config), _bytes(self.file) or b"", *overrides(os.environ))


def _journey_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if path.name != AUDIENCE_FILE) if folder.is_dir() else []


def _bytes(path: Path) -> bytes | None:
    """What stands in a file; None where it cannot be read, which the loader says."""
    try:
        return path.read_bytes()
    except OSError:
        return None


class _Reading:
    """One check."""

    def __init__(self, checker: Checker, setup: Setup, sources: Mapping[Path, bytes | None], audience: bytes | None) -> None:
        self.checker, self.setup, self.sources = checker, setup, sources
        self.base = (checker.program, setup.key, str(setup.definitions), audience if audience is not None else "no audience")
        self.cache, self.audience = checker.cache, audience
        self.loaded: dict[Path, LoadedJourney] = {}

    def check(self, progress: Progress) -> CheckedProject:
        ids = {path: self._id(path) for path in self.sources}
        first: dict[str, str] = {}
        for path, identifier in ids.items():
            if identifier is not None:
                first.setdefault(identifier, str(path))
        general = self._general()
        keys = {path: self._key(path, first, ids[path]) for path in self.sources}
        known = {path: self._kept(key) for path, key in keys.items()}
        missing = [path for path, looked in known.items() if looked is None]
        if missing:
            fresh = self._look(missing, first, progress)
            if self.checker.config_key() == self.setup.key:  # it was not edited meanwhile
                for path, looked in fresh.items():
                    self._keep(keys[path], looked)
            known |= fresh
        files = tuple(looked for looked in known.values() if looked is not None)
        return CheckedProject(self.setup, files, general, frozenset(map(str, missing)))

    def _key(self, path: Path, first: Mapping[str, str], identifier: str | None) -> str:
        """Everything that what is found of a file depends on: of other files only their ids, and whether one has the same."""
        raw = self.sources[path]
        mine = first.get(identifier or "", "")
        tests = "tests" if self.checker.tests else "no tests"
        return "file " + digest(*self.base, tests, str(path), raw if raw is not None else os.urandom(16), mine, *sorted(first))

    def _id(self, path: Path) -> str | None:
        raw = self.sources[path]
        key = f"id {digest(self.checker.program, str(path), raw)}" if raw is not None else ""
        kept = self.cache.get(key)
        if isinstance(kept, list):
            return str(kept[0]) if kept else None
        journey = self._load(path).journey
        identifier = journey.id if journey is not None else None
        if key:
            self.cache.put(key, [identifier] if identifier is not None else [])
        return identifier

    def _load(self, path: Path) -> "LoadedJourney":
        from journeys.loader import load_journey, load_journey_bytes

        if path not in self.loaded:
            raw = self.sources[path]  # the very bytes that its key stands for
            self.loaded[path] = load_journey_bytes(raw, str(path)) if raw is not None else load_journey(path)
        return self.loaded[path]

    def _general(self) -> tuple[Finding, ...]:
        empty = () if self.sources else (Finding("J016", Place(str(self.setup.definitions)), {"found": str(self.setup.definitions)}),)
        key = f"audience {digest(*self.base)}"
        kept = self.cache.get(key)
        if kept is not None:
            try:
                return (*empty, *findings_from(kept))
            except (KeyError, TypeError, ValueError):
                self.cache.forget([key])
        from runtime.looking import look_at_audience
        from runtime.mappings import mappings_found
        from runtime.settings import load_project

        audience, of_audience = look_at_audience(str(self.setup.definitions / AUDIENCE_FILE), self.audience)
        config, said = self.checker.file, _bytes(self.checker.file) or b""
        sources = load_project(config).settings.intake.sources
        found = (*of_audience, *mappings_found(sources, audience, str(config), said.decode("utf-8", "replace")))
        was_edited = self.checker.config_key() != self.setup.key
        if not was_edited and _survives(found, lambda raw: findings_from(orjson.loads(raw))):
            self.cache.put(key, found)
        return (*empty, *found)

    def _kept(self, key: str) -> Looked | None:
        kept = self.cache.get(key)
        if kept is None:
            return None
        try:
            return looked_from(kept)
        except (KeyError, TypeError, ValueError):
            self.cache.forget([key])
            return None

    def _keep(self, key: str, looked: Looked) -> None:
        """Only what comes out again as it went in, in both languages."""
        if _survives(looked.findings, lambda raw: findings_from(orjson.loads(raw))) and _whole(looked):
            self.cache.put(key, looked)

    def _look(self, missing: Sequence[Path], first: Mapping[str, str], progress: Progress) -> dict[Path, Looked]:
        from runtime.looking import Bench, Job, look_at, look_at_audience
        from runtime.settings import load_project

        audience, told = look_at_audience(str(self.setup.definitions / AUDIENCE_FILE), self.audience)
        whole = not any(finding.severity == "error" for finding in told)  # else segments that it leaves out are read by others
        bench = Bench(load_project(self.checker.config), audience, frozenset(first), self.checker.tests and whole)
        jobs = []
        for path in missing:
            loaded = self._load(path)
            jobs.append(Job(loaded, first.get(loaded.journey.id, "") if loaded.journey is not None else ""))
        total = len(jobs)
        looked: dict[Path, Looked] = {}
        for path, found in zip(missing, look_at(bench, jobs, self.checker.workers, lambda n: progress(0, n)), strict=True):
            looked[path] = found
            progress(len(looked), total)
        return looked


def _survives(found: Sequence[Finding], again: Callable[[bytes], Sequence[Finding]]) -> bool:
    try:
        kept = again(orjson.dumps(found))
    except (TypeError, KeyError, ValueError):
        return False
    return all(a.line(language) == b.line(language) for a, b in zip(found, kept, strict=True) for language in ("zh", "en"))


def _whole(looked: Looked) -> bool:
    try:
        return bool(looked_from(orjson.loads(orjson.dumps(looked))) == looked)
    except (TypeError, KeyError, ValueError):
        return False


def _cores() -> int:
    """How many cores this process may use; where the system does not tell (macOS), how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
