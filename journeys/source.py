"""YAML as data with a position for every key and value. Refuses tags, anchors and duplicate keys where they stand."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from journeys.errors import Finding, Place
from journeys.traps import Trap, braces, spoiled, trap_of_key, traps, traps_of_text

LARGEST_FILE = 1024 * 1024
DEEPEST = 60
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})\.\d+")
_CONSTANTS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a key and its value stand (1-based), and whether words inside the value can be located."""

    key: tuple[int, int]
    value: tuple[int, int]
    quoted: bool = False


@dataclass
class Source:
    """A file's data and the positions in it."""

    file: str
    text: str
    data: Any = None
    spots: dict[Path_, Spot] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.split("\n")

    def place(self, path: Path_, word: str = "", *, key: bool = False) -> Place:
        """The position of a value (or its key), or of a word inside it; of the nearest parent when there is none."""
        while path and path not in self.spots:
            path, word = path[:-1], ""
        spot = self.spots.get(path)
        if spot is None:
            return Place(self.file)
        if key:
            return Place(self.file, *spot.key)
        line, column = spot.value
        if word:
            offset = self.lines[line - 1].find(word, column - 1) if line <= len(self.lines) else -1
            column = offset + 1 if offset >= 0 else column
        return Place(self.file, line, column)

    def report(self, code: str, path: Path_, word: str = "", *, key: bool = False, **params: Any) -> None:
        """Add a finding at a path."""
        self.findings.append(Finding(code, self.place(path, word, key=key), params))

    def report_traps(self, found: list[Trap]) -> None:
        """Add a finding for each trap."""
        self.findings.extend(Finding(trap.code, Place(self.file, trap.line, trap.column), trap.params) for trap in found)

    def report_lost(self, path: Path_, text: str) -> None:
        """Findings for what the unquoted text at a path loses: ` #…` behind it, the last zero of a price."""
        spot = self.spots.get(path)
        if spot is not None and not spot.quoted:
            line, column = spot.value
            self.report_traps(traps_of_text(self.lines[line - 1][column - 1 : column + len(text) + 80], text, line, column))


def read_source(path: Path, shown_as: str | None = None) -> Source:
    """The file's data with positions; what cannot be read is in `findings`, never raised."""
    source = Source(shown_as or str(path), "")
    try:
        raw = path.read_bytes()
    except OSError as error:
        source.report("J001", (), problem=error.strerror or str(error))
        return source
    return decode_source(raw, source.file)


def decode_source(raw: bytes, file: str) -> Source:
    """Like read_source, from the bytes of a file."""
    source = Source(file, "")
    if len(raw) > LARGEST_FILE:
        source.report("J003", (), limit=LARGEST_FILE, found=len(raw))
        return source
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        source.findings.append(Finding("J002", Place(source.file, line, 1)))
        return source
    return parse_source(text, source.file)


def parse_source(text: str, file: str) -> Source:
    """Like read_source, from a text."""
    source = Source(file, text)
    try:
        _Builder(source).build()
    except MarkedYAMLError as error:
        _report_stumble(source, error)
        source.data = None
    except _TooDeep:
        source.data = None
    except (YAMLError, ValueError) as error:
        source.report("J005", (), problem=str(error).splitlines()[0] if str(error) else "syntax")
        source.data = None
    return source


def _report_stumble(source: Source, error: MarkedYAMLError) -> None:
    """The trap behind the parser's complaint, or the complaint itself."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "syntax"
    at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    opened = (error.context_mark.line + 1, error.context_mark.column + 1) if error.context_mark else None
    found = traps(source.text, problem, at, opened)
    known = {(f.code, f.place.line, f.place.column) for f in source.findings}
    source.report_traps([trap for trap in found if trap[:3] not in known])
    if not found:
        begun = opened if opened and problem == "could not find expected ':'" else at
        source.findings.append(Finding("J005", Place(source.file, *begun), {"problem": problem}))


class _TooDeep(Exception):
    """The rest of the file is not read."""


class _Builder:
    """Builds plain data from parser events, so that nothing of YAML but plain data can come in."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.stack: list[tuple[Path_, Any]] = []
        self.pending: list[tuple[str, tuple[int, int]] | None] = []
        self.documents = 0

    def build(self) -> None:
        for event in YAML(typ="safe", pure=False).parse(self.source.text):
            if isinstance(event, DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    self.source.findings.append(Finding("J005", self._at(event), {"problem": "a second document (---)"}))
                    return
            elif isinstance(event, CollectionEndEvent):
                self.stack.pop()
                self.pending.pop()
            elif isinstance(event, NodeEvent):
                self._node(event)

    def _at(self, event: Any) -> Place:
        return Place(self.source.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any) -> None:
        where = (event.start_mark.line + 1, event.start_mark.column + 1)
        anchored = isinstance(event, AliasEvent) or event.anchor
        if anchored:
            self.source.findings.append(Finding("J007", self._at(event), {"found": event.anchor}))
        tag = getattr(event, "tag", None)
        if tag and str(tag) not in ("", "!"):
            self.source.findings.append(Finding("J006", self._at(event), {"found": str(tag)}))
        if isinstance(event, ScalarEvent):
            quoted = event.style in ("'", '"', "|", ">")
            is_key = bool(self.pending) and isinstance(self.stack[-1][1], dict) and self.pending[-1] is None
            self._add(event.value if quoted or is_key else _plain(event.value), where, quoted=quoted)
        elif isinstance(event, MappingStartEvent):
            self._open({}, where)
        elif isinstance(event, SequenceStartEvent):
            self._open([], where)
        else:
            self._add(None, where)

    def _open(self, container: Any, where: tuple[int, int]) -> None:
        if len(self.stack) >= DEEPEST:
            self.source.findings.append(Finding("J017", Place(self.source.file, *where), {"limit": DEEPEST}))
            raise _TooDeep
        path = self._add(container, where)
        self.stack.append((path, container))
        self.pending.append(None)

    def _add(self, value: Any, where: tuple[int, int], *, quoted: bool = False) -> Path_:
        if not self.stack:
            self.source.data = value
            self.source.spots[()] = Spot(where, where)
            return ()
        path, parent = self.stack[-1]
        if isinstance(parent, list):
            parent.append(value)
            here: Path_ = (*path, len(parent) - 1)
            self.source.spots[here] = Spot(where, where, quoted)
            return here
        waiting = self.pending[-1]
        if waiting is None:
            key = value if isinstance(value, str) else str(value)
            if isinstance(value, dict | list):
                found = braces(self.source.lines[where[0] - 1])
                trap = Trap("J120", where[0], found[0], {"found": found[1]}) if found else None
                self.source.report_traps([trap or Trap("J129", *where, {"found": "{" if isinstance(value, dict) else "["})])
                key = "?"
            if key in parent:
                first = self.source.spots[(*path, key)].key[0]
                self.source.findings.append(Finding("J008", Place(self.source.file, *where), {"found": key, "first": first}))
            self.pending[-1] = (key, where)
            return (*path, key)
        key, key_at = waiting
        self.pending[-1] = None
        here = (*path, key)
        if ((value is None and not quoted) or spoiled(key)) and (trap := trap_of_key(key, *key_at)):
            written = self.source.lines[key_at[0] - 1][key_at[1] - 1 :]
            self.source.report_traps([trap] if written.startswith(key) else [])
        if key not in parent:
            parent[key] = value
            self.source.spots[here] = Spot(key_at, where, quoted)
        return here


def _plain(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
