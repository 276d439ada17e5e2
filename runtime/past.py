"""The past that a simulation runs on: the events of a file or of a database in the order of their times, and who these people are."""

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Protocol
from zoneinfo import ZoneInfo

import orjson

from journeys.audience import Audience
from journeys.localtime import zone_named
from journeys.values import typed_again
from runtime.badrows import BadRows
from runtime.eventfile import PLAIN, Shape, read_events, read_users
from runtime.policy import ADDRESS_OF
from runtime.rowfile import RowFile
from runtime.state import Event, User, bucket
from runtime.store import SqlStore

WHOLE = 10_000  # parts of a sample
PAGE = 5000  # events read at once
MOST_IN_MEMORY = 100_000  # events that are sorted at once; more are sorted in pieces, through a temporary file
_CONSENTS: dict[str, Any] = {channel: {"service": True, "marketing": True} for channel in ADDRESS_OF}
Records = Sequence[tuple[str, dict[str, Any]]]
Numbered = tuple[int, int, Event]
Newcomer = tuple[int, str]  # since when she is known, and her id


@dataclass(frozen=True)
class Sample:
    """A part of the users, `parts` of 10,000, by the hash of their ids: the same in every run and version."""

    parts: int = WHOLE

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.parts / WHOLE

    def takes(self, user_id: str) -> bool:
        """Whether this user is looked at."""
        return self.parts >= WHOLE or bucket("sample", user_id) < self.parts


EVERYBODY = Sample()


class Past(Protocol):
    """Where events come from. Each call of `events` reads them anew, typed as this audience declares them."""

    def events(self, audience: Audience, sample: Sample, until: int | None) -> Iterator[Event]:
        """Those of the sample up to an instant, by time; events of one time in the order in which they stand."""

    def newcomers(self, sample: Sample) -> Iterator[Newcomer]:
        """Those of the sample who are known by more than events, by the time since when; who has an event before it is among them."""

    def people(self, user_ids: Sequence[str]) -> list[User]:
        """What is known of these users before their first event."""

    @property
    def done(self) -> float:
        """The share of the events that was given so far."""


class _Counted:
    """Events in the order of time, counted while they are read and while they are given."""

    def __init__(self) -> None:
        self._read = self._given = 0

    def _ordered(self, events: Iterable[Event]) -> Iterator[Event]:
        self._read = self._given = 0
        for event in by_time(self._reading(events)):
            self._given += 1
            yield event

    def _reading(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            self._read += 1
            yield event

    @property
    def done(self) -> float:
        """The share of the events that was given so far."""
        return self._given / self._read if self._read else 0.0


class FilePast(_Counted):
    """A file of events, which need not be in the order of time. Without a file of users everybody can be reached and has consented."""

    def __init__(self, path: Path, zone: ZoneInfo, show: Callable[[str], None], shape: Shape = PLAIN) -> None:
        super().__init__()
        self.path, self.zone, self._show, self._shape = path, zone, show, shape
        self.bad: BadRows | None = None  # of the latest reading

    def events(self, audience: Audience, sample: Sample, until: int | None) -> Iterator[Event]:
        """See Past. Bad rows are shown by the first reading."""
        self.bad = BadRows(self.path.name, self._show if self.bad is None else lambda _: None)
        read = read_events(RowFile(self.path), audience, self.zone, self.bad, self._shape)
        return self._ordered(e for e in read if sample.takes(e.user_id) and (until is None or e.time <= until))

    def newcomers(self, sample: Sample) -> Iterator[Newcomer]:  # noqa: ARG002 - of the protocol
        """Nobody: a file of events knows people by these alone."""
        return iter(())

    def people(self, user_ids: Sequence[str]) -> list[User]:
        """Everybody can be reached on every channel."""
        return [_reachable(user_id, self.zone) for user_id in user_ids]


class DatabasePast(_Counted):
    """The events that a project's database has, and its users as they are now: traits from outside, tags, addresses, consents."""

    def __init__(self, store: SqlStore, zone: ZoneInfo) -> None:
        super().__init__()
        self.store, self.zone = store, zone

    def events(self, audience: Audience, sample: Sample, until: int | None) -> Iterator[Event]:
        """See Past."""
        return self._ordered(
            Event(e.id, e.type, e.user_id, e.time, e.time, typed_again(e.data, audience.events.get(e.type), self.zone), e.source)
            for e in self._all()
            if sample.takes(e.user_id) and (until is None or e.time <= until)
        )

    def _all(self) -> Iterator[Event]:
        """Page by page, each in a transaction of its own: a daemon beside us is not held up, however long the simulation takes."""
        after = 0
        while True:
            with self.store.database.reading() as tx:
                page = self.store.outcomes.past(tx, after, PAGE)
            if not page:
                return
            for after, event in page:  # noqa: B007 - the last one's number
                if event is not None:
                    yield event

    def newcomers(self, sample: Sample) -> Iterator[Newcomer]:
        """Everybody, from when her row was made: by a user record, or by her first event or import."""
        with self.store.database.reading() as tx:
            known = self.store.outcomes.known_since(tx)
        return iter(sorted(one for one in known if sample.takes(one[1])))

    def people(self, user_ids: Sequence[str]) -> list[User]:
        """As they are now; nothing that events or journeys have made of them."""
        with self.store.database.reading() as tx:
            rows = list(self.store.outcomes.known(tx, user_ids))
            given = self.store.outcomes.given_by_journeys(tx, user_ids)
        found: list[User] = []
        for user_id, zone, profile, reach in rows:
            values, added, removed = given.get(user_id, (frozenset(), frozenset(), frozenset()))
            outside: dict[str, Any] = {"p": {name: value for name, value in profile.get("p", {}).items() if name not in values}}
            outside["t"] = sorted({*profile.get("t", ()), *removed} - added)
            found.append(User(user_id, zone_named(zone) or self.zone, outside, reach, is_new=True))
        return found


def _reachable(user_id: str, zone: ZoneInfo) -> User:
    reach = {"consents": _CONSENTS, "identities": dict.fromkeys(ADDRESS_OF.values(), user_id)}
    return User(user_id, zone, {}, reach, is_new=True)


class RecordFile:
    """A file of user records."""

    def __init__(self, path: Path, zone: ZoneInfo, show: Callable[[str], None]) -> None:
        self.path, self.zone, self._show = path, zone, show
        self.bad: BadRows | None = None  # of the latest reading

    def __call__(self, audience: Audience, sample: Sample) -> Records:
        """Those of the sample. Bad rows are shown by the first reading."""
        self.bad = BadRows(self.path.name, self._show if self.bad is None else lambda _: None)
        return [(user_id, payload) for user_id, payload in read_users(self.path, audience, self.zone, self.bad) if sample.takes(user_id)]


def by_time(events: Iterable[Event], most: int = MOST_IN_MEMORY) -> Iterator[Event]:
    """The events by time; of equal times the earlier one in the file comes first. More than `most` are sorted through a file."""
    with tempfile.TemporaryFile(prefix="journeyd-events-") as spool:
        pieces: list[tuple[int, int]] = []
        piece: list[Numbered] = []
        for number, event in enumerate(events):
            piece.append((event.time, number, event))
            if len(piece) == most:
                pieces.append(_put_away(spool, piece))
                piece = []
        piece.sort(key=itemgetter(0, 1))
        parts: list[Iterable[Numbered]] = [_taken_out(spool, *place) for place in pieces]
        for _, _, event in heapq.merge(*parts, piece, key=itemgetter(0, 1)):
            yield event


def _put_away(spool: IO[bytes], piece: list[Numbered]) -> tuple[int, int]:
    """Write a sorted piece; where it begins and ends."""
    piece.sort(key=itemgetter(0, 1))
    start = spool.seek(0, 2)
    spool.writelines(orjson.dumps([number, e.id, e.type, e.user_id, e.time, dict(e.data), e.source]) + b"\n" for _, number, e in piece)
    return start, spool.tell()


def _taken_out(spool: IO[bytes], start: int, end: int, block: int = 1 << 18) -> Iterator[Numbered]:
    """Read a piece back, a block at a time: the pieces share the file."""
    rest = b""
    while start < end:
        spool.seek(start)
        read = spool.read(min(block, end - start))
        start += len(read)
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            number, id_, type_, user_id, time, data, source = orjson.loads(line)
            yield time, number, Event(id_, type_, user_id, time, time, data, source)
