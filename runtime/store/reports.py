"""What people ask: counts for status, a user's story, what is quarantined. Reads only."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, case, func, literal_column, select

from runtime.state import ENDED, LIVE, STATUS_NAMES, LogEntry
from runtime.store.codec import Codec, Unreadable
from runtime.store.tables import (
    attempts,
    budgets,
    consents,
    enrolments,
    events,
    inbox,
    log,
    messages,
    quarantine,
    receipts,
    refusals,
    tallies,
    users,
)

_INSIDE = select(enrolments.c.id).where(enrolments.c.status < ENDED).limit(1)


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is kept about one user."""

    user_id: str
    known: bool
    enrolments: list[dict[str, Any]]
    log: list[tuple[int | None, int, LogEntry]]  # enrolment id, recorded at, entry
    messages: list[dict[str, Any]]
    refusals: list[dict[str, Any]]
    events: list[dict[str, Any]]
    consents: list[dict[str, Any]] = field(default_factory=list)


class Reports:
    """Statements that only read."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def enrolments_by_state(self, tx: Connection) -> dict[tuple[str, str], int]:
        """(journey, status) → how many."""
        query = select(enrolments.c.journey, enrolments.c.status, func.count()).group_by(enrolments.c.journey, enrolments.c.status)
        return {(journey, STATUS_NAMES[status]): n for journey, status, n in tx.execute(query)}

    def inside(self, tx: Connection) -> dict[str, int]:
        """Journey → how many are inside, the held-out too. The index of those inside has all of it, as long as the bound is a constant."""
        query = select(enrolments.c.journey, func.count()).where(enrolments.c.status < literal_column(str(ENDED)))
        return {row[0]: row[1] for row in tx.execute(query.group_by(enrolments.c.journey))}

    def anybody_inside(self, tx: Connection) -> bool:
        """Whether any enrolment has not ended yet."""
        return tx.execute(_INSIDE).one_or_none() is not None

    def messages_by_state(self, tx: Connection) -> dict[tuple[str, str, str], int]:
        """(journey, channel, state) → how many messages."""
        columns = (messages.c.journey, messages.c.channel, messages.c.state)
        query = select(*columns, func.count()).where(messages.c.kind == "message").group_by(*columns)
        return {(journey, channel, state): n for journey, channel, state, n in tx.execute(query)}

    def set_aside(self, tx: Connection) -> dict[tuple[str, str], int]:
        """(journey, reason) → messages that were planned and then not sent."""
        columns = (messages.c.journey, messages.c.reason)
        decided = messages.c.state.in_(("SUPPRESSED", "EXPIRED", "REJECTED"))
        query = select(*columns, func.count()).where(messages.c.kind == "message", decided).group_by(*columns)
        return {(journey, reason or ""): n for journey, reason, n in tx.execute(query)}

    def ledger_states(self, tx: Connection) -> dict[tuple[str, str], int]:
        """(kind, state) → how many rows of the ledger."""
        query = select(messages.c.kind, messages.c.state, func.count()).group_by(messages.c.kind, messages.c.state)
        return {(kind, state): n for kind, state, n in tx.execute(query)}

    def tallies(self, tx: Connection) -> dict[tuple[str, str, str], int]:
        """(journey, what, detail) → how often, over all days."""
        columns = (tallies.c.journey, tallies.c.what, tallies.c.detail)
        query = select(*columns, func.sum(tallies.c.n)).where(tallies.c.journey != "").group_by(*columns)
        return {(journey, what, detail): int(n) for journey, what, detail, n in tx.execute(query)}

    def totals(self, tx: Connection) -> dict[str, int]:
        """Users (a former id is nobody any more), events, waiting notes and quarantined records."""
        tables = {"users": users, "events": events, "inbox": inbox, "quarantine": quarantine}
        found = {name: int(tx.execute(select(func.count()).select_from(table)).scalar_one()) for name, table in tables.items()}
        former = tx.execute(select(func.count()).select_from(users).where(users.c.merged_into.is_not(None))).scalar_one()
        return found | {"users": found["users"] - former}  # both by an index: `/metrics` asks often

    def stages(self, tx: Connection) -> dict[str, int]:
        """How many users stand in each lifecycle stage."""
        return {stage: n for stage, n in tx.execute(select(users.c.stage, func.count()).group_by(users.c.stage)) if stage}

    def stages_then(self, tx: Connection, day: int) -> dict[str, int]:
        """How many users stood in each lifecycle stage at the end of a day (`journeys.localtime.day_number`)."""
        mine = (tallies.c.journey == "") & (tallies.c.what == "stage") & (tallies.c.day <= day)
        query = select(tallies.c.detail, func.sum(tallies.c.n)).where(mine).group_by(tallies.c.detail)
        return {stage: int(n) for stage, n in tx.execute(query) if n}

    def budgets(self, tx: Connection) -> list[dict[str, Any]]:
        """Every benefit's budget."""
        return [dict(row._mapping) for row in tx.execute(select(budgets).order_by(budgets.c.benefit))]  # noqa: SLF001

    def due_lag(self, tx: Connection, now: int) -> int:
        """How late the latest overdue timer is, in milliseconds; 0 when none is."""
        earliest = tx.execute(select(func.min(enrolments.c.due_at)).where(enrolments.c.due_at.is_not(None))).scalar_one()
        return max(now - earliest, 0) if earliest is not None else 0

    def story(self, tx: Connection, user_id: str) -> Story:
        """One user across all journeys, in the order things were recorded."""
        known = tx.execute(select(users.c.user_id).where(users.c.user_id == user_id)).one_or_none() is not None
        mine = [
            {
                **dict(row._mapping),  # noqa: SLF001
                "status": STATUS_NAMES[row.status],
                "context": self._codec.decode_object("enrolments.context", user_id, row.context),
            }
            for row in tx.execute(select(enrolments).where(enrolments.c.user_id == user_id).order_by(enrolments.c.id))
        ]
        lines = [
            (row.enrolment_id, row.recorded_at, LogEntry(*entry))
            for row in tx.execute(select(log).where(log.c.user_id == user_id).order_by(log.c.id))
            for entry in self._entries(user_id, row)
        ]
        sent = self._messages(tx, (messages.c.user_id == user_id) | (messages.c.owner_id == user_id))
        said = [
            dict(row._mapping)  # noqa: SLF001
            for row in tx.execute(select(consents).where(consents.c.user_id == user_id).order_by(consents.c.id))
        ]
        refused = [
            {**dict(row._mapping), "why": self._codec.decode_object("refusals.why", user_id, row.why)}  # noqa: SLF001
            for row in tx.execute(select(refusals).where(refusals.c.user_id == user_id).order_by(refusals.c.last_at))
        ]
        happened = [
            {**dict(row._mapping), "data": self._codec.decode_object("events.data", user_id, row.data)}  # noqa: SLF001
            for row in tx.execute(
                select(events).where(events.c.user_id == user_id, events.c.type != "$user").order_by(events.c.time, events.c.id)
            )
        ]
        return Story(user_id, known, mine, lines, sent, refused, happened, said)

    def _entries(self, user_id: str, row: Any) -> list[Any]:
        """The entries of a row of the log; one that says so where they cannot be read."""
        entries = self._decoded("log.entries", user_id, row.entries)
        return entries if isinstance(entries, list) else [[row.recorded_at, "unreadable", "", {}]]

    def _decoded(self, column: str, user_id: str, text: str) -> Any:
        """A value; Unreadable where it cannot be read: it costs nothing beside it."""
        try:
            return self._codec.decode(column, user_id, text)
        except ValueError:
            return Unreadable(column, text)

    def message(self, tx: Connection, key: str) -> dict[str, Any] | None:
        """One message or effect with its attempts and receipts; None when there is none of this key."""
        return next(iter(self._messages(tx, messages.c.key == key)), None)

    def _messages(self, tx: Connection, which: Any) -> list[dict[str, Any]]:
        found = [
            {**dict(row._mapping), "content": self._codec.decode_object("messages.content", row.user_id, row.content)}  # noqa: SLF001
            for row in tx.execute(select(messages).where(which).order_by(messages.c.created_at, messages.c.key))
        ]
        self._with_attempts(tx, found)
        return found

    def _with_attempts(self, tx: Connection, sent: list[dict[str, Any]]) -> None:
        """Give each message its attempts (with what settled those that nobody could tell the end of) and its receipts."""
        users_ = {m["key"]: m["user_id"] for m in sent}
        tries: dict[str, list[dict[str, Any]]] = {key: [] for key in users_}
        for row in tx.execute(select(attempts).where(attempts.c.message_key.in_(users_)).order_by(attempts.c.id)):
            attempt = {k: v for k, v in row._mapping.items() if k not in ("id", "message_key")}  # noqa: SLF001
            for name in ("address", "content"):
                text = attempt[name]
                attempt[name] = self._decoded(f"attempts.{name}", users_[row.message_key], text) if text else None
            tries[row.message_key].append(attempt)
        heard: dict[str, list[dict[str, Any]]] = {key: [] for key in users_}
        for row in tx.execute(select(receipts).where(receipts.c.message_key.in_(users_)).order_by(receipts.c.id)):
            heard[row.message_key].append(
                {"delivered": row.delivered, "code": row.code, "reason": row.reason, "received_at": row.received_at,
                 "reference": row.reference}
            )  # fmt: skip
        for message in sent:
            message["attempted"], message["receipts"] = tries[message["key"]], heard[message["key"]]

    def doubts(self, tx: Connection) -> dict[str, dict[str, int]]:
        """Per lane: attempts whose end was unknown, by what settled them (`open`: not yet, `nobody`: given up)."""
        joined = attempts.join(messages, messages.c.key == attempts.c.message_key)
        how = case((attempts.c.settled_by.is_not(None), attempts.c.settled_by), (messages.c.state == "UNKNOWN", "open"),
                   (messages.c.state == "ABANDONED", "nobody"), else_="repeat")  # fmt: skip
        doubted = attempts.c.settled_by.is_not(None) | (attempts.c.state == "UNKNOWN")
        query = select(attempts.c.lane, how, func.count()).select_from(joined).where(doubted).group_by(attempts.c.lane, how)
        found: dict[str, dict[str, int]] = {}
        for lane, settled_by, n in tx.execute(query):
            found.setdefault(lane, {})[settled_by] = n
        return found

    def latest_record(self, tx: Connection) -> int | None:
        """When the newest line of the log was written."""
        return tx.execute(select(log.c.recorded_at).order_by(log.c.id.desc()).limit(1)).scalar_one_or_none()

    def without_timer(self, tx: Connection, limit: int) -> list[dict[str, Any]]:
        """Live enrolments with no timer, no grant or call open and nothing in the inbox: only an event can move them, if they await one."""
        open_ = select(messages.c.key).where(messages.c.enrolment_id == enrolments.c.id, messages.c.kind != "message",
                                             messages.c.state.in_(("PENDING", "CLAIMED", "SENDING", "UNKNOWN"))).exists()  # fmt: skip
        waiting = select(inbox.c.id).where(inbox.c.user_id == enrolments.c.user_id).exists()
        columns = (enrolments.c.user_id, enrolments.c.journey, enrolments.c.version_id, enrolments.c.state, enrolments.c.begun_at)
        query = select(*columns).where(enrolments.c.status == LIVE, enrolments.c.due_at.is_(None), ~open_, ~waiting)
        return [dict(row._mapping) for row in tx.execute(query.order_by(enrolments.c.id).limit(limit))]  # noqa: SLF001

    def received(self, tx: Connection, since: int, until: int) -> list[dict[str, Any]]:
        """Messages that were accepted in [since, until): who, from which step, with which template."""
        columns = (messages.c.user_id, messages.c.journey, messages.c.step, messages.c.template, messages.c.purpose)
        query = select(*columns).where(
            messages.c.created_at >= since,
            messages.c.created_at < until,
            messages.c.kind == "message",
            messages.c.state.in_(("ACCEPTED", "DELIVERED")),
        )
        return [dict(row._mapping) for row in tx.execute(query.order_by(messages.c.created_at, messages.c.key))]  # noqa: SLF001

    def some_users(self, tx: Connection, journey: str, status: int, ended_by: str | None, limit: int) -> list[str]:
        """A few users of a journey, for examples."""
        query = select(enrolments.c.user_id).where(enrolments.c.journey == journey, enrolments.c.status == status)
        if ended_by is not None:
            query = query.where(enrolments.c.ended_by == ended_by)
        return list(tx.execute(query.order_by(enrolments.c.id.desc()).limit(limit)).scalars())
