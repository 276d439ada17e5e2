"""The ledger: one row per message or effect, one per attempt. Every change is a compare-and-set on state and token.

States and arrows are those of ARCHITECTURE.md (T0 to T11); nothing else writes `messages.state`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, case, func, insert, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.policy import Touch
from runtime.state import NewMessage
from runtime.store.codec import Codec
from runtime.store.rows import driver_sql
from runtime.store.tables import attempts, budgets, inbox, messages

OPEN = ("PENDING", "CLAIMED", "SENDING", "UNKNOWN")
TOUCHED = ("SENDING", "UNKNOWN", "ACCEPTED", "DELIVERED", "UNDELIVERED")
WITHOUT_EFFECT = ("REJECTED", "EXPIRED", "SUPPRESSED")  # definitely


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A message or effect as the delivery works on it."""

    key: str
    kind: str
    enrolment_id: int
    owner_id: str
    user_id: str
    journey: str
    version_id: int
    step: str
    visit: int
    position: int
    channel: str
    template: str | None
    purpose: str
    topic: str | None
    content: dict[str, Any]
    not_before: int
    expires_at: int | None
    token: int
    attempts: int
    ambiguous: int
    cancelled: bool


_FIELDS = (
    "key", "kind", "enrolment_id", "owner_id", "user_id", "journey", "version_id", "step", "visit", "position", "channel",
    "template", "purpose", "topic", "content", "not_before", "expires_at", "token", "attempts", "ambiguous", "cancelled",
)  # fmt: skip
_COLUMNS = [messages.c[name] for name in _FIELDS]
_NEW = (
    "key", "kind", "enrolment_id", "owner_id", "user_id", "journey", "version_id", "step", "visit", "position", "channel",
    "template", "purpose", "topic", "priority", "state", "content", "created_at", "not_before", "expires_at",
)  # fmt: skip
_AGAIN = (
    "enrolment_id", "owner_id", "user_id", "journey", "version_id", "step", "visit", "channel", "content", "created_at", "not_before",
    "expires_at",
)  # fmt: skip

# Built once: making a statement costs more than running it.
_START = (
    update(messages)
    .where(messages.c.key == bindparam("its_key"), messages.c.token == bindparam("its_token"), messages.c.state == "CLAIMED")
    .values(state="SENDING", attempts=messages.c.attempts + 1, lease_until=bindparam("lease"))
)
_ATTEMPT = insert(attempts)
_ACCEPT = (
    update(messages)
    .where(messages.c.key == bindparam("its_key"), messages.c.state.in_(("SENDING", "UNKNOWN", "PENDING", "CLAIMED", "ABANDONED")))
    .values(state="ACCEPTED", reference=bindparam("its_reference"), settled_at=bindparam("at"), lease_until=None, reason=None)
)
_END_ATTEMPT = (
    update(attempts)
    .where(attempts.c.message_key == bindparam("its_key"), attempts.c.state.in_(("SENDING", "UNKNOWN")))
    .values(state=bindparam("its_state"), reference=bindparam("its_reference"), reason=bindparam("its_reason"), ended_at=bindparam("at"))
)


class Ledger:
    """Statements of messages, attempts and budgets."""

    def __init__(self, codec: Codec, dialect: Dialect, *, is_sqlite: bool) -> None:
        self._codec, self._is_sqlite = codec, is_sqlite
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert
        self.insert_sql = driver_sql(insert(messages).values({name: bindparam(name) for name in _NEW}), dialect)

    # --- T0: planned

    def row_of(self, message: NewMessage, enrolment_id: int, owner_id: str, journey: str, version_id: int, now: int) -> dict[str, Any]:
        """The columns of a new row, PENDING."""
        return {
            "key": message.key, "kind": message.kind, "enrolment_id": enrolment_id, "owner_id": owner_id, "user_id": message.user_id,
            "journey": journey, "version_id": version_id, "step": message.step, "visit": message.visit, "position": message.position,
            "channel": message.channel, "template": message.template, "purpose": message.purpose, "topic": message.topic,
            "priority": message.priority, "state": "PENDING",
            "content": self._codec.encode("messages.content", message.user_id, dict(message.content)),
            "created_at": now, "not_before": message.not_before, "expires_at": message.expires_at,
        }  # fmt: skip

    def add_messages(self, tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Write new messages, in the transaction that moves their enrolments."""
        if rows:
            tx.exec_driver_sql(self.insert_sql, list(rows))

    def add_effect(self, tx: Connection, row: dict[str, Any]) -> bool:
        """Write a grant or call; False when its key was used before (`once_per`). One that had no effect is tried anew."""
        again = {name: row[name] for name in _AGAIN} | {
            "state": "PENDING", "position": messages.c.position + 1, "attempts": 0, "token": messages.c.token + 1,
            "reason": None, "settled_at": None,
        }  # fmt: skip
        statement = self._upsert(messages).values(row)
        statement = statement.on_conflict_do_update(index_elements=["key"], set_=again, where=messages.c.state.in_(WITHOUT_EFFECT))
        return tx.execute(statement.returning(messages.c.key)).scalar_one_or_none() is not None

    # --- T10: cancelled by the planner

    def cancel_of(self, tx: Connection, enrolment_ids: Sequence[int], reason: str, now: int) -> None:
        """What has not started is suppressed; what has started is flagged, and ends ABANDONED if nothing proves it."""
        if not enrolment_ids:
            return
        mine = messages.c.enrolment_id.in_(enrolment_ids) & (messages.c.kind == "message")
        unproven = case((messages.c.ambiguous > 0, "ABANDONED"), else_="SUPPRESSED")  # an earlier attempt may have arrived
        tx.execute(
            update(messages).where(mine, messages.c.state.in_(("PENDING", "CLAIMED")))
            .values(state=unproven, reason=reason, settled_at=now, lease_until=None)
        )  # fmt: skip
        tx.execute(update(messages).where(mine, messages.c.state.in_(("SENDING", "UNKNOWN"))).values(cancelled=True))

    # --- T1, T2, T11 and the reaper's half of T7

    def claim(self, tx: Connection, now: int, limit: int, lease_until: int, *, virtual: bool = False) -> list[LedgerRow]:
        """PENDING → CLAIMED for the most urgent messages whose time has come and (but on a virtual clock) is not over."""
        query = (
            select(messages.c.key)
            .where(messages.c.state == "PENDING", messages.c.not_before <= now)
            .where(or_(messages.c.expires_at.is_(None), messages.c.expires_at > (messages.c.not_before if virtual else now)))
            .order_by(messages.c.priority.desc(), messages.c.not_before, messages.c.key)
            .limit(limit)
        )
        if not virtual:  # what has arrived about the user may be a withdrawal or the goal: it is projected first
            waits = inbox.c.user_id.in_((messages.c.user_id, messages.c.owner_id))
            query = query.where((messages.c.kind != "message") | ~select(inbox.c.id).where(waits).exists())
        if not self._is_sqlite:
            query = query.with_for_update(skip_locked=True, of=messages)
        keys = list(tx.execute(query).scalars())
        if not keys:
            return []
        claimed = update(messages).where(messages.c.key.in_(keys), messages.c.state == "PENDING")
        rows = tx.execute(
            claimed.values(state="CLAIMED", token=messages.c.token + 1, lease_until=lease_until).returning(*_COLUMNS, messages.c.priority)
        ).all()
        rows = sorted(rows, key=lambda row: (-row.priority, row.not_before, row.key))
        return [self._row(row[:-1]) for row in rows]

    def _row(self, row: Any) -> LedgerRow:
        values = dict(zip(_FIELDS, row, strict=True))
        values["content"] = self._codec.decode_object("messages.content", values["user_id"], values["content"])
        values["cancelled"] = bool(values["cancelled"])
        return LedgerRow(**values)

    def reap(self, tx: Connection, now: int, *, all_senders_dead: bool = False) -> dict[str, int]:
        """Leases that ran out (or all): CLAIMED → PENDING, SENDING → UNKNOWN. Past their time: PENDING → EXPIRED."""
        over = true() if all_senders_dead else messages.c.lease_until < now
        released = tx.execute(update(messages).where(messages.c.state == "CLAIMED", over).values(state="PENDING", lease_until=None))
        unknown = tx.execute(
            update(messages).where(messages.c.state == "SENDING", over)
            .values(state="UNKNOWN", lease_until=None, ambiguous=messages.c.ambiguous + 1, reason="the sender died or was cut off")
        )  # fmt: skip
        expired = tx.execute(
            update(messages)
            .where(messages.c.state == "PENDING", messages.c.expires_at <= now)
            .values(state=case((messages.c.ambiguous > 0, "ABANDONED"), else_="EXPIRED"), reason="expired", settled_at=now)
            .returning(messages.c.kind, messages.c.channel, messages.c.attempts, messages.c.ambiguous)
        ).all()
        for row in expired:  # a grant that was tried holds a unit; it goes back unless it may have been given
            if row.kind == "grant" and row.attempts and not row.ambiguous:
                self.settle_budget(tx, row.channel, issued=False)
        return {"released": released.rowcount, "unknown": unknown.rowcount, "expired": len(expired)}

    # --- T3: the intent

    def intend(self, tx: Connection, row: LedgerRow, vendor_key: str, now: int, deadline: int, cut_off: int = 0) -> bool:
        """CLAIMED → SENDING with an attempt; False when another took over. Durable with the transaction.

        No byte leaves after `deadline`; `cut_off` milliseconds later the sender counts as dead.
        """
        mine = {"its_key": row.key, "its_token": row.token}
        if tx.execute(_START, {**mine, "lease": deadline + cut_off}).rowcount != 1:
            return False
        attempt = {
            "message_key": row.key, "position": row.position, "n": row.attempts + 1, "channel": row.channel, "vendor_key": vendor_key,
            "state": "SENDING", "started_at": now, "deadline": deadline,
        }  # fmt: skip
        tx.execute(_ATTEMPT, attempt)
        return True

    def set_aside(self, tx: Connection, row: LedgerRow, state: str, reason: str, now: int) -> bool:
        """CLAIMED → SUPPRESSED, EXPIRED or REJECTED: decided against before the first byte."""
        final = "ABANDONED" if row.ambiguous and state in ("SUPPRESSED", "EXPIRED", "REJECTED") else state
        return self._move(tx, row, "CLAIMED", state=final, reason=reason, settled_at=now, lease_until=None)

    def put_back(self, tx: Connection, row: LedgerRow, from_state: str, not_before: int, reason: str) -> bool:
        """CLAIMED (a hold) or SENDING (definitely not accepted, T6) → PENDING, not before an instant."""
        moved = self._move(tx, row, from_state, state="PENDING", not_before=not_before, reason=reason, lease_until=None)
        if moved and from_state == "SENDING":
            self._end_attempt(tx, row, "RETRY", None, reason, not_before)
        return moved

    # --- T4, T5, T5b, T7: outcomes of the sender's own token

    def accepted(self, tx: Connection, row: LedgerRow, reference: str, now: int) -> bool:
        """SENDING → ACCEPTED; a late answer (T8) also from UNKNOWN, PENDING, CLAIMED and ABANDONED."""
        self._end_attempt(tx, row, "ACCEPTED", reference, None, now)
        return tx.execute(_ACCEPT, {"its_key": row.key, "its_reference": reference, "at": now}).rowcount == 1

    def rejected(self, tx: Connection, row: LedgerRow, from_state: str, reason: str, now: int) -> bool:
        """A definite no at the last position: REJECTED, or ABANDONED where an earlier attempt stayed unknown."""
        state = "ABANDONED" if row.ambiguous else "REJECTED"
        moved = self._move(tx, row, from_state, state=state, reason=reason, settled_at=now, lease_until=None)
        if moved and from_state == "SENDING":
            self._end_attempt(tx, row, "REJECTED", None, reason, now)
        return moved

    def next_position(self, tx: Connection, row: LedgerRow, following: NewMessage, reason: str, now: int) -> bool:
        """T5b: a definite no opens the next position of the list, chosen and rendered now."""
        content = self._codec.encode("messages.content", row.user_id, dict(following.content))
        moved = self._move(
            tx, row, "SENDING", state="PENDING", position=following.position, channel=following.channel, template=following.template,
            content=content, not_before=now, lease_until=None, reason=reason,
        )  # fmt: skip
        if moved:
            self._end_attempt(tx, row, "REJECTED", None, reason, now)
        return moved

    def unknown(self, tx: Connection, row: LedgerRow, reason: str, now: int) -> bool:
        """T7: SENDING → UNKNOWN."""
        moved = self._move(
            tx, row, "SENDING", state="UNKNOWN", reason=reason, ambiguous=messages.c.ambiguous + 1, lease_until=None, not_before=now
        )
        if moved:
            self._end_attempt(tx, row, "UNKNOWN", None, reason, now)
        return moved

    # --- T9: the resolver

    def unknowns(self, tx: Connection, now: int, limit: int) -> list[LedgerRow]:
        """Unknown messages to settle now."""
        query = select(*_COLUMNS).where(messages.c.state == "UNKNOWN", messages.c.not_before <= now).limit(limit)
        if not self._is_sqlite:
            query = query.with_for_update(skip_locked=True)
        return [self._row(row) for row in tx.execute(query)]

    def resolve(self, tx: Connection, row: LedgerRow, state: str, reason: str, now: int, *, proven: bool = False) -> bool:
        """UNKNOWN → PENDING (the same key may be repeated, or it is `proven` not to be there) or ABANDONED."""
        if row.cancelled and state == "PENDING":
            state = "ABANDONED"
        settled = now if state == "ABANDONED" else None
        ambiguous = 0 if proven else row.ambiguous
        moved = self._move(tx, row, "UNKNOWN", state=state, reason=reason, settled_at=settled, not_before=now, ambiguous=ambiguous)
        if moved and proven:  # else the attempt that does arrive later would end this one as accepted, too
            self._end_attempt(tx, row, "REJECTED", None, reason, now)
        return moved

    def look_again(self, tx: Connection, row: LedgerRow, at: int) -> None:
        """Nothing is known yet: ask again at an instant."""
        tx.execute(update(messages).where(messages.c.key == row.key, messages.c.state == "UNKNOWN").values(not_before=at))

    def vendor_key_of(self, tx: Connection, row: LedgerRow) -> str | None:
        """The vendor key of the latest attempt."""
        query = select(attempts.c.vendor_key).where(attempts.c.message_key == row.key).order_by(attempts.c.id.desc()).limit(1)
        return tx.execute(query).scalar_one_or_none()

    def first_attempt_at(self, tx: Connection, row: LedgerRow) -> int | None:
        """When the present position was tried first: a vendor remembers a key only for so long."""
        mine = (attempts.c.message_key == row.key) & (attempts.c.position == row.position)
        return tx.execute(select(func.min(attempts.c.started_at)).where(mine)).scalar_one_or_none()

    def _move(self, tx: Connection, row: LedgerRow, from_state: str, **values: Any) -> bool:
        guarded = update(messages).where(messages.c.key == row.key, messages.c.token == row.token, messages.c.state == from_state)
        return tx.execute(guarded.values(**values)).rowcount == 1

    @staticmethod
    def _end_attempt(tx: Connection, row: LedgerRow, state: str, reference: str | None, reason: str | None, now: int) -> None:
        ended = {"its_key": row.key, "its_state": state, "its_reference": reference, "its_reason": reason, "at": now}
        tx.execute(_END_ATTEMPT, ended)

    # --- reach: touches and budgets

    def touches(
        self, tx: Connection, user_ids: Sequence[str], since: int, *, started_only: bool, besides: str = ""
    ) -> dict[str, list[Touch]]:
        """What counts for caps per recipient: everything planned or sent, or (at T3) only what has started; not `besides`."""
        states = TOUCHED if started_only else (*TOUCHED, "PENDING", "CLAIMED")
        query = select(messages.c.user_id, messages.c.created_at, messages.c.channel, messages.c.purpose, messages.c.topic).where(
            messages.c.user_id.in_(user_ids), messages.c.created_at > since, messages.c.kind == "message", messages.c.state.in_(states),
            messages.c.key != besides,
        )  # fmt: skip
        found: dict[str, list[Touch]] = {}
        for user_id, at, channel, purpose, topic in tx.execute(query):
            found.setdefault(user_id, []).append(Touch(at, channel, purpose, topic))
        return found

    def set_budgets(self, tx: Connection, totals: dict[str, int | None]) -> None:
        """Take the totals of config; what is reserved and issued stays."""
        for benefit, total in totals.items():
            statement = self._upsert(budgets).values(benefit=benefit, total=total)
            tx.execute(statement.on_conflict_do_update(index_elements=["benefit"], set_={"total": total}))

    def remaining(self, tx: Connection) -> dict[str, int]:
        """Units left of each benefit that has a budget."""
        query = select(budgets).where(budgets.c.total.is_not(None))
        return {row.benefit: max(row.total - row.reserved - row.issued, 0) for row in tx.execute(query)}

    def reserve(self, tx: Connection, benefit: str) -> bool:
        """Take one unit; False when none is left. Never overshoots: the condition stands in the update."""
        left = or_(budgets.c.total.is_(None), budgets.c.reserved + budgets.c.issued < budgets.c.total)
        taken = tx.execute(update(budgets).where(budgets.c.benefit == benefit, left).values(reserved=budgets.c.reserved + 1))
        return taken.rowcount == 1

    def settle_budget(self, tx: Connection, benefit: str, *, issued: bool) -> None:
        """A reserved unit was given, or goes back."""
        given = {"issued": budgets.c.issued + 1} if issued else {}
        tx.execute(
            update(budgets).where(budgets.c.benefit == benefit, budgets.c.reserved > 0).values(reserved=budgets.c.reserved - 1, **given)
        )

    # --- what there is to do

    def next_work(self, tx: Connection) -> int | None:
        """When the next message wants to be sent or settled."""
        query = select(func.min(messages.c.not_before)).where(messages.c.state.in_(("PENDING", "UNKNOWN")))
        return tx.execute(query).scalar_one_or_none()
