"""`import`: files of events and users into the inbox, chunk by chunk, each with its place in one transaction.

Whatever interrupts it, the same command goes on where it was; what was taken before is known by its id.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import orjson

from journeys.audience import Audience
from runtime.badrows import BadRows, Met
from runtime.clock import Clock
from runtime.eventfile import Shape, event_item, left_out, undated, user_item, wrong_columns
from runtime.intake.items import OLDEST, Reader
from runtime.rowfile import KINDS, Row, RowFile
from runtime.state import Event, Person, stable_key
from runtime.store import SqlStore
from runtime.store.arrivals import Arrival, Record
from runtime.store.imports import Position
from runtime.store.inbox import FileRow
from runtime.store.occurrences import Occurrences

MOST_ROWS, MOST_BYTES = 1000, 1 << 19  # of one chunk: one transaction, and one line of the daemon's socket
LONGEST_ROW = 1 << 18
Kind = Literal["events", "users"]


class CannotImport(Exception):
    """A file, or what was asked, cannot be imported; the message says why."""


class WrongMapping(CannotImport):
    """A column that is named does not stand in the file."""


@dataclass(frozen=True)
class Asked:
    """What is to be imported, and how. Without `live` it is history: it moves nobody, and may go back as far as it likes.

    What comes `live` is judged as if it were posted: `keep` is how long events are kept (milliseconds; 0: for ever).
    """

    kind: Kind
    source: str = "import"
    shape: Shape = field(default_factory=Shape)
    encoding: str | None = None
    live: bool = False
    keep: int = 0


@dataclass(frozen=True)
class Chunk:
    """Rows of one file from `begins` on: good ones as events or records, the others counted. The last ends the import."""

    mark: Position
    begins: int
    rows: int = 0
    rejected: int = 0
    events: tuple[Event, ...] = ()
    records: tuple[Record, ...] = ()
    persons: Mapping[int, Person] = field(default_factory=dict)  # by the event's index, where it names no user_id
    last: bool = False

    def as_json(self) -> dict[str, Any]:
        """For the daemon's socket."""
        return {
            "mark": asdict(self.mark), "begins": self.begins, "rows": self.rows, "rejected": self.rejected,
            "records": [[r.id, _plain(r.person), r.payload, asdict(r.row) if r.row else None] for r in self.records],
            "persons": [[n, _plain(p)] for n, p in self.persons.items()],
            "events": [[e.id, e.type, e.user_id, e.time, e.received_at, e.data] for e in self.events], "last": self.last,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Chunk":
        """The chunk that came over the socket."""
        return cls(
            Position(**value["mark"]), value["begins"], value["rows"], value["rejected"], tuple(Event(*e) for e in value["events"]),
            tuple(Record(i, _person(person), payload, FileRow(**row) if row else None) for i, person, payload, row in value["records"]),
            {n: _person(person) for n, person in value["persons"]}, value["last"],
        )  # fmt: skip


def _plain(person: Person) -> dict[str, Any]:
    return {**asdict(person), "attach": sorted(person.attach)}


def _person(value: Mapping[str, Any]) -> Person:
    pairs = {name: tuple((kind, text) for kind, text in value[name]) for name in ("identities", "unbound", "former")}
    return Person(value["user_id"], attach=frozenset(value["attach"]), may_merge=value["may_merge"], **pairs)


class Taker(Protocol):
    """Where chunks go: the database itself, or the daemon that holds it."""

    def position(self, key: str) -> Position | None:
        """How far the import of a file came."""

    def take(self, chunk: Chunk) -> Position:
        """Keep a chunk; returns how far the file is now. Raises CannotImport when it could not be kept."""


def keep(store: SqlStore, chunk: Chunk, now: int) -> Position:
    """Keep a chunk and the file's place in one transaction; a chunk that was kept before changes nothing."""
    mark = chunk.mark

    def unit(tx: Any) -> Position:
        found = store.imports.position(tx, mark.key)
        again = found is not None and found.done_at is not None and chunk.begins == 0 and not chunk.last
        begun = mark if found is None or again else found
        if begun.rows > chunk.begins or begun.done_at is not None:
            return begun
        if begun.rows < chunk.begins:
            msg = f"{mark.name}: row {chunk.begins} was sent where {begun.rows} was expected; run the command again"
            raise CannotImport(msg)
        arrival = Arrival(mark.source, now, list(chunk.events), dict(chunk.persons), list(chunk.records), history=mark.history)
        (accepted,) = store.arrivals.take(tx, [arrival])
        given = arrival.given
        done_at = now if chunk.last else None
        position = begun.advanced(rows=chunk.rows, accepted=accepted, given=given, rejected=chunk.rejected, done_at=done_at)
        store.imports.save(tx, position, now)
        if chunk.last and mark.history and store.imports.holds_until(tx, now) is None:
            store.imports.release(tx, now)
        return position

    return store.database.write(unit)


class Rejected:
    """FILE.rejected.jsonl: the rows that were not taken, with line and reason. Goes on after the first `kept` ones."""

    def __init__(self, path: Path, kept: int) -> None:
        self.path = path
        if not kept:
            path.unlink(missing_ok=True)
        elif path.exists():
            with path.open("r+b") as file:
                for _ in range(kept):
                    file.readline()
                file.truncate(file.tell())

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Write them down."""
        if rows:
            try:
                with self.path.open("ab") as file:
                    file.writelines(orjson.dumps(row, default=str) + b"\n" for row in rows)
            except OSError as error:
                raise CannotImport(f"{self.path}: rows that are not taken could not be written there ({error.strerror})") from None


class FileImport:
    """One file on its way in. `begin`, then `run`, then `finish`: nobody is looked at between the files of one command."""

    def __init__(
        self, path: Path, asked: Asked, audience: Audience, zone: ZoneInfo, clock: Clock, show: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.asked, self.audience, self.zone, self.clock = asked, audience, zone, clock
        self.file = _row_file(path, asked)
        self.key = stable_key(asked.kind, asked.source, self.file.mark(), repr(sorted(asked.shape.names.items())), asked.shape.type,
                              self.file.encoding, str(asked.live))  # fmt: skip
        self.mark = Position(self.key, asked.kind, asked.source, path.name, history=not asked.live)
        self.position = self.mark
        self.resumed_at = 0
        self.finished = False
        self.bad = BadRows(path.name, show)
        self.rejected_path = path.with_name(path.name + ".rejected.jsonl")
        self._events: list[Event] = []
        self._met: list[Met] = []  # the events' rows
        self._records: list[Record] = []
        self._persons: dict[int, Person] = {}
        self._rejected: list[dict[str, Any]] = []
        self._rows = self._bytes = 0
        self._reader = self._reader_of_now()

    def _reader_of_now(self) -> Reader:
        """What is history was never posted: it may be older than the clocks of devices, and than what is kept."""
        asked = self.asked
        keep, oldest = (asked.keep, OLDEST) if asked.live else (0, 0)
        return Reader(asked.source, ("*",), self.audience, self.zone, self.clock.now(), self.key, keep=keep, oldest=oldest)

    def begin(self, taker: Taker) -> None:
        """Find out where an interrupted import was, and say that it goes on."""
        found = taker.position(self.key)
        self.resumed_at = found.rows if found is not None and found.done_at is None else 0
        self.position = taker.take(Chunk(self.mark, self.resumed_at))
        self.resumed_at = self.position.rows  # the daemon may just have taken the last chunk of a process that is gone

    def run(self, taker: Taker, advance: Callable[[int, int], None], *, dry: bool = False) -> None:
        """Read the file to its end; `advance` is called with the bytes and rows read so far, once per chunk."""
        written = None if dry else _rejected(self.rejected_path, self.position.rejected)
        with Occurrences() as seen:
            for number, row in enumerate(self.file, 1):
                self._read(number, row, seen, behind=number <= self.resumed_at)
                if self._rows >= MOST_ROWS or self._bytes >= MOST_BYTES:
                    self._hand_over(taker, written, seen)
                    advance(self.file.read_so_far, self.position.rows)
                elif number <= self.resumed_at and number % MOST_ROWS == 0:
                    advance(self.file.read_so_far, number)
            self._hand_over(taker, written, seen)
        self.bad.sum_up()

    def finish(self, taker: Taker) -> None:
        """The import of this file has ended: who was half known is looked at."""
        self._take(taker, Chunk(self.mark, self.position.rows, last=True))
        self.finished = True

    def as_json(self, *, dry: bool) -> dict[str, Any]:
        """The documented shape of `--json`; the counts are those of the whole file, also of what was read before an interruption."""
        at = self.position
        return {
            "file": str(self.file.path), "kind": at.kind, "source": at.source, "history": at.history, "encoding": self.file.encoding,
            "rows": at.rows, "accepted": at.accepted, "duplicates": at.duplicates, "rejected": at.rejected, "resumed_at": self.resumed_at,
            "rejected_file": str(self.rejected_path) if at.rejected and not dry else None, "dry_run": dry,
        }  # fmt: skip

    def _hand_over(self, taker: Taker, written: Rejected | None, seen: Occurrences) -> None:
        if not self._rows:
            return
        self.bad.repeats(self._met, seen)
        self._met.clear()
        if written is not None:
            written.add(self._rejected)  # before its count is kept: what stands there too much is cut off when the import goes on
        chunk = Chunk(
            self.mark, self.position.rows, self._rows, len(self._rejected), tuple(self._events), tuple(self._records), self._persons
        )
        self._take(taker, chunk)
        self._events, self._records, self._persons, self._rejected = [], [], {}, []
        self._rows = self._bytes = 0
        self._reader = self._reader_of_now()

    def _take(self, taker: Taker, chunk: Chunk) -> None:
        """Hand a chunk over. Where another process has gone on with the file, the next chunk would be taken for rows that it is not."""
        self.position = taker.take(chunk)
        if self.position.rows != chunk.begins + chunk.rows:
            raise CannotImport(
                f"{self.mark.name}: another process imports this file at the same time; run the command again when it has ended"
            )

    def _read(self, number: int, row: Row, seen: Occurrences, *, behind: bool) -> None:
        """Take a row into the chunk in hand; of those that are behind, only how often equal ones were met matters."""
        identity = self._identity(number, row, seen)
        if behind:
            return
        self._rows += 1
        events = self.asked.kind == "events"
        problem = row.problem or left_out(row, self.asked.shape, "id" if events else "user_id", is_csv=self.file.is_csv)
        problem = problem or (self._event(row, identity) if events else self._user(row, identity))
        if problem:
            problem = row.told(problem)
            self.bad.add(row.line, problem)
            self._rejected.append({"line": row.line, "reason": problem, "row": row.value})
            self._bytes += len(orjson.dumps(row.value, default=str))  # it waits in memory as others do

    def _identity(self, number: int, row: Row, seen: Occurrences) -> str:
        """The id of a row without one: of an event its content and which of the equal rows it is; of a user record its number."""
        if self.asked.kind == "users":
            return str(number)
        named = {self.asked.shape.names.get(key, key) for key, value in row.value.items() if value not in (None, "")}
        if row.problem or "id" in named or "specversion" in named:
            return ""
        content = {key: value for key, value in row.value.items() if value not in (None, "")}
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
        what = stable_key(text, "" if "type" in named else self.asked.shape.type)
        count = seen.count(what)
        return f"row:{what}" if count == 1 else f"row:{what}:{count}"

    def _event(self, row: Row, identity: str) -> str:
        item = event_item(row, self.asked.shape, self.audience, is_csv=self.file.is_csv)
        if identity:
            item["id"] = identity
        if item.get("time") is None:
            return "time: expected a time, found none"
        problem = self._too_long(item)
        if problem:
            return problem
        parsed = self._reader.events(item)
        for event in parsed.events:
            met = Met(row.line, event, item.get("data") or {})
            self.bad.remark_on(met, self.audience)
            if not identity:
                self._met.append(met)
        self._persons |= {len(self._events) + n: person for n, person in parsed.persons.items()}
        self._events += parsed.events
        return parsed.reasons[0]["reason"] if not parsed.events else ""

    def _user(self, row: Row, identity: str) -> str:
        item = user_item(row, self.asked.shape, self.zone, is_csv=self.file.is_csv)
        if isinstance(item, str):
            return item
        problem = self._too_long(item)
        if problem:
            return problem
        if item.get("increment") and not item.get("id"):
            return "increment: expected an id beside it, by which the row is known when it comes again in a copy of the file"
        said = stable_key(orjson.dumps(item, option=orjson.OPT_SORT_KEYS, default=str).decode())
        row_ = None if item.get("id") else FileRow(said, self.key, int(identity))
        item = item if self.asked.live else undated(item)
        item["id"] = item.get("id") or identity
        parsed = self._reader.records(item)
        self._records += [replace(record, row=row_) for record in parsed.records]
        if not parsed.records:
            return str(parsed.reasons[0]["reason"])
        self.bad.remark_on_record(row.line, item, parsed, self.audience)
        return ""

    def _too_long(self, item: dict[str, Any]) -> str:
        length = len(orjson.dumps(item, default=str))
        if length > LONGEST_ROW:
            return f"longer than {LONGEST_ROW} bytes"
        self._bytes += length
        return ""


class DryRun:
    """Takes everything and keeps nothing."""

    def __init__(self) -> None:
        self._positions: dict[str, Position] = {}

    def position(self, key: str) -> Position | None:  # noqa: ARG002 - nothing was ever begun
        """Nowhere."""
        return None

    def take(self, chunk: Chunk) -> Position:
        """Counted as if all of it were new."""
        before, given = self._positions.get(chunk.mark.key, chunk.mark), len(chunk.events) + len(chunk.records)
        after = before.advanced(rows=chunk.rows, accepted=given, given=given, rejected=chunk.rejected, done_at=None)
        self._positions[chunk.mark.key] = after
        return after


def _row_file(path: Path, asked: Asked) -> RowFile:
    """The file, opened once to look at it. Raises CannotImport when it is none that can be read."""
    if not path.is_file():
        raise CannotImport(f"{path}: no such file")
    try:
        file = RowFile(path, asked.encoding)
        columns = file.columns()
    except OSError as error:
        raise CannotImport(f"{path}: cannot be read ({error.strerror or error})") from None
    if file.kind not in KINDS:
        raise CannotImport(f"{path}: expected {', '.join(KINDS)} (or .gz of these); a spreadsheet can save itself as CSV UTF-8")
    problem = wrong_columns(file.path.name, columns or [], asked.shape, users=asked.kind == "users") if columns is not None else ""
    if problem:
        raise WrongMapping(problem)
    return file


def _rejected(path: Path, kept: int) -> Rejected:
    try:
        return Rejected(path, kept)
    except OSError as error:
        raise CannotImport(f"{path}: rows that are not taken could not be written there ({error.strerror})") from None
