"""What a simulation reads: the events of the past in the order of their times, and everything that came of them, row by row."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from journeys.audience import SYSTEM_EVENTS
from runtime.state import Event, LogEntry
from runtime.store.codec import Codec, Unreadable
from runtime.store.rows import event_of
from runtime.store.tables import budgets, enrolments, events, log, messages, tallies, users, versions

ROWS = 1000  # fetched at once
_OURS = ("$user", *SYSTEM_EVENTS)  # what we made ourselves, or what answers messages that were sent then


class Entry(NamedTuple):
    """One enrolment."""

    id: int
    key: str
    journey: str
    user_id: str
    entered_at: int
    ended_by: str | None
    converted_at: int | None


class Outgoing(NamedTuple):
    """One message or effect of the ledger; `at` is its own time, `owner_id` whose journey it is of."""

    key: str
    kind: str
    journey: str
    owner_id: str
    user_id: str
    step: str
    visit: int
    channel: str
    purpose: str
    state: str
    reason: str
    at: int
    content: Any


class Outcomes:
    """Statements that only read, streamed: a year is many rows."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    # --- the past

    def past(self, tx: Connection, after: int, limit: int) -> list[tuple[int, Event | None]]:
        """The next events by number, history too; None where one cannot be read, or is none that the world gave us."""
        query = select(events.c.event_id, events.c.type, events.c.user_id, events.c.time, events.c.received_at, events.c.data,
                       events.c.source, events.c.id).where(events.c.id > after).order_by(events.c.id).limit(limit)  # fmt: skip
        return [(row.id, self._event(row)) for row in tx.execute(query)]

    def _event(self, row: Any) -> Event | None:
        event = event_of(row[:-1], self._codec) if row.type not in _OURS else None
        return None if event is None or isinstance(event.data, Unreadable) else event

    def known_since(self, tx: Connection) -> list[tuple[int, str]]:
        """(since when, id) of everybody but former ids, in no order."""
        query = select(users.c.created_at, users.c.user_id).where(users.c.merged_into.is_(None))
        return [(since, user_id) for since, user_id in tx.execute(query)]

    def known(self, tx: Connection, user_ids: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        """(id, zone, profile, reach) of these users as they are now; who cannot be read is left out."""
        query = select(users.c.user_id, users.c.zone, users.c.profile, users.c.reach).where(users.c.user_id.in_(user_ids))
        for user_id, zone, profile, reach in tx.execute(query):
            known = self._codec.decode_object("users.profile", user_id, profile), self._codec.decode_object("users.reach", user_id, reach)
            if not any(isinstance(part, Unreadable) for part in known):
                yield user_id, zone, *known

    def given_by_journeys(self, tx: Connection, user_ids: Sequence[str]) -> dict[str, tuple[set[str], set[str], set[str]]]:
        """By user: the values that journeys set, the tags that they gave, and those that they took away. Nothing where none ever did."""
        if tx.execute(select(versions.c.id).where(versions.c.source.contains("update:")).limit(1)).scalar_one_or_none() is None:
            return {}
        found: dict[str, tuple[set[str], set[str], set[str]]] = {}
        query = select(log.c.user_id, log.c.entries).where(log.c.user_id.in_(user_ids), log.c.enrolment_id.is_not(None))
        for user_id, text in tx.execute(query.order_by(log.c.user_id, log.c.id)):
            for line in (LogEntry(*parts) for parts in self._codec.decode("log.entries", user_id, text)):
                if line.action == "updated":
                    values, added, removed = found.setdefault(user_id, (set(), set(), set()))
                    values.update(line.why["set"])
                    gave, took = set(line.why["add_tags"]), set(line.why["remove_tags"])
                    added |= gave - removed
                    removed -= gave
                    removed |= took - added
                    added -= took
        return found

    # --- what came of it

    def entries(self, tx: Connection) -> Iterator[Entry]:
        """All enrolments, in the order in which they were made."""
        c = enrolments.c
        query = select(c.id, c.key, c.journey, c.user_id, c.entered_at, c.ended_by, c.converted_at)
        for row in tx.execute(query.order_by(c.id), execution_options={"yield_per": ROWS}):
            yield Entry(*row)

    def story(self, tx: Connection) -> Iterator[tuple[int, str, LogEntry]]:
        """(enrolment, user, line) of every log of an enrolment, enrolment by enrolment in the order of time."""
        query = select(log.c.enrolment_id, log.c.user_id, log.c.entries).where(log.c.enrolment_id.is_not(None))
        for enrolment_id, user_id, text in tx.execute(query.order_by(log.c.enrolment_id, log.c.id), execution_options={"yield_per": ROWS}):
            for line in self._codec.decode("log.entries", user_id, text):
                yield enrolment_id, user_id, LogEntry(*line)

    def outgoing(self, tx: Connection) -> Iterator[Outgoing]:
        """The ledger by time, then by key."""
        c = messages.c
        query = select(c.key, c.kind, c.journey, c.owner_id, c.user_id, c.step, c.visit, c.channel, c.purpose, c.state, c.reason,
                       c.not_before, c.content)  # fmt: skip
        for row in tx.execute(query.order_by(c.not_before, c.key), execution_options={"yield_per": ROWS}):
            content = self._codec.decode("messages.content", row.user_id, row.content)
            yield Outgoing(*row[:10], row.reason or "", row.not_before, content)

    def tallies_of(self, tx: Connection, what: str) -> list[tuple[str, str, int]]:
        """(journey, detail, n) of one kind of tally."""
        columns = (tallies.c.journey, tallies.c.detail)
        query = select(*columns, func.sum(tallies.c.n)).where(tallies.c.what == what, tallies.c.journey != "").group_by(*columns)
        return [(journey, detail, int(n)) for journey, detail, n in tx.execute(query.order_by(*columns))]

    def budget_totals(self, tx: Connection) -> dict[str, int | None]:
        """Benefit → its budget; None where there is no limit."""
        rows = tx.execute(select(budgets.c.benefit, budgets.c.total).order_by(budgets.c.benefit))
        return {row.benefit: row.total for row in rows}

    def somebody_inside(self, tx: Connection, version_ids: Sequence[int], measuring: Sequence[int], now: int) -> bool:
        """Whether anybody waits in these versions, or is still measured by the goals of `measuring`."""
        c = enrolments.c
        waiting = select(c.id).where(c.version_id.in_(version_ids), c.due_at.is_not(None)).limit(1)
        if tx.execute(waiting).scalar_one_or_none() is not None:
            return True
        measured = select(c.id).where(c.version_id.in_(measuring), c.goal_until >= now, c.converted_at.is_(None)).limit(1)
        return bool(measuring) and tx.execute(measured).scalar_one_or_none() is not None
