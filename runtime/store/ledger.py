"""The ledger: one row per message or effect, one per attempt. Every change is a compare-and-set on state and token.

States and arrows are those of ARCHITECTURE.md (T0 to T11); nothing else writes `messages.state`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, func, insert, or_, select, true, update

from runtime.policy import Touch
from runtime.state import NewMessage
from runtime.store.budgets import Budgets
from runtime.store.codec import Codec
from runtime.store.effects import Effects
from runtime.store.ledger_rows import (
    ACCEPT,
    ATTEMPT,
    BEGUN,
    CLAIM_THESE,
    COLUMNS,
    DIED,
    END_ATTEMPT,
    FIELDS,
    INTEND,
    IS_PENDING,
    IS_UNKNOWN,
    LATEST_ATTEMPTS,
    LONGEST_HOLD,
    NEW,
    PAUSED,
    PROVABLE,
    PROVE_ATTEMPT,
    TOUCHES_BEGUN,
    TOUCHES_PLANNED,
    AttemptRow,
    Intent,
    LedgerRow,
    Pick,
    claiming,
    doubt_ended,
    ending,
    lane_of,
)
from runtime.store.rows import Many
from runtime.store.tables import attempts, messages

_EARLIEST = select(func.min(messages.c.not_before))
_EARLIEST_OF_ALL = tuple(_EARLIEST.where(state) for state in (IS_PENDING, IS_UNKNOWN))


class Ledger(Effects):
    """Statements of messages and attempts."""

    def __init__(self, codec: Codec, dialect: Dialect, budgets: Budgets, *, is_sqlite: bool) -> None:
        super().__init__(codec, budgets, is_sqlite=is_sqlite)
        self._is_sqlite = is_sqlite
        self._new = Many(insert(messages).values({name: bindparam(name) for name in NEW}), dialect)
        self._attempt, self._prove, self._accepted = Many(ATTEMPT, dialect), Many(PROVE_ATTEMPT, dialect), Many(ACCEPT, dialect)

    # --- T0: planned

    def row_of(self, message: NewMessage, enrolment_id: int, owner_id: str, journey: str, version_id: int, now: int) -> dict[str, Any]:
        """The columns of a new row, PENDING."""
        return {
            "key": message.key, "kind": message.kind, "enrolment_id": enrolment_id, "owner_id": owner_id, "user_id": message.user_id,
            "journey": journey, "version_id": version_id, "step": message.step, "visit": message.visit, "position": message.position,
            "channel": message.channel, "lane": lane_of(message.kind, message.channel, message.user_id),
            "template": message.template, "purpose": message.purpose, "topic": message.topic,
            "priority": message.priority, "state": "PENDING",
            "content": self._codec.encode("messages.content", message.user_id, dict(message.content)),
            "created_at": now, "not_before": message.not_before, "due_at": message.not_before, "expires_at": message.expires_at,
        }  # fmt: skip

    def add_messages(self, tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Write new messages, in the transaction that moves their enrolments."""
        if rows:
            self._new.run(tx, rows)

    # --- T10: cancelled by the planner

    def cancel_of(self, tx: Connection, enrolment_ids: Sequence[int], reason: str, now: int, *, since: int = 0) -> None:
        """What has not started is suppressed; what has started is flagged, and ends ABANDONED if nothing proves it. `since`: only what
        was to go out from then on.
        """
        if not enrolment_ids:
            return
        mine = messages.c.enrolment_id.in_(enrolment_ids) & (messages.c.kind == "message")
        mine = mine & (messages.c.not_before >= since) if since else mine
        tx.execute(
            update(messages).where(mine, messages.c.state.in_(("PENDING", "CLAIMED")))
            .values(state=ending("SUPPRESSED"), reason=reason, settled_at=now, lease_until=None)
        )  # fmt: skip
        begun = messages.c.state.in_(("SENDING", "UNKNOWN", "ACCEPTED", "UNDELIVERED"))  # a receipt must not open another position
        tx.execute(update(messages).where(mine, begun).values(cancelled=True))

    # --- T1, T2, T11 and the reaper's half of T7

    def claim(
        self, tx: Connection, now: int, limit: int, lease_until: int, pick: Pick | None = None, *, virtual: bool = False
    ) -> list[LedgerRow]:
        """PENDING → CLAIMED for the most urgent messages whose time has come and (but on a virtual clock) is not over."""
        pick = pick or Pick()
        (query, claim), values = claiming(pick, virtual=virtual, is_sqlite=self._is_sqlite), {"at": now, "most": limit}
        if pick.one_at_a_time or not self._is_sqlite:  # PostgreSQL may run a limited subquery twice
            found = tx.execute(query, values).all()
            chosen = {row.user_id if pick.one_at_a_time else row.key: row.key for row in reversed(found)}
            rows = tx.execute(CLAIM_THESE, {"keys": list(chosen.values()), "lease": lease_until}).all()
        else:
            rows = tx.execute(claim, {**values, "lease": lease_until}).all()
        rows = sorted(rows, key=lambda row: (-row.priority, row.not_before, row.key))
        return [self._row(row[:-1]) for row in rows]

    def _row(self, row: Any) -> LedgerRow:
        values = dict(zip(FIELDS, row, strict=True))
        values["content"] = self._codec.decode_object("messages.content", values["user_id"], values["content"])
        values["cancelled"] = bool(values["cancelled"])
        return LedgerRow(**values)

    def reap(self, tx: Connection, now: int, *, all_senders_dead: bool = False) -> dict[str, int]:
        """Leases that ran out (or all): CLAIMED → PENDING, SENDING → UNKNOWN. Past their time: PENDING → EXPIRED.

        A pause is not the time of a grant or call: it gets back what it lost when the pause ends (`Movements.resume`).
        On PostgreSQL rows that another daemon is just working on are passed over.
        """
        over = true() if all_senders_dead else messages.c.lease_until < now
        claimed, sending = self._not_locked(messages.c.state == "CLAIMED", over), self._not_locked(messages.c.state == "SENDING", over)
        released = tx.execute(update(messages).where(*claimed).values(state="PENDING", lease_until=None))
        unknown = tx.execute(
            update(messages).where(*sending)
            .values(state="UNKNOWN", lease_until=None, ambiguous=messages.c.ambiguous + 1, not_before=now, reason=DIED)
            .returning(messages.c.key)
        ).scalars().all()  # fmt: skip
        if unknown:
            begun = attempts.c.message_key.in_(unknown) & (attempts.c.state == "SENDING")
            tx.execute(update(attempts).where(begun).values(state="UNKNOWN", reason=DIED))
        concerned = or_(messages.c.kind == "message", messages.c.journey.not_in(PAUSED))
        expired = tx.execute(
            update(messages)
            .where(*self._not_locked(IS_PENDING, messages.c.expires_at <= now, concerned))
            .values(state=ending("EXPIRED"), reason="expired", settled_at=now)
            .returning(messages.c.kind, messages.c.channel, messages.c.attempts, messages.c.ambiguous)
        ).all()
        for row in expired:  # a grant that was tried holds a unit; it goes back unless it may have been given
            if row.kind == "grant" and row.attempts and not row.ambiguous:
                self._budgets.settle(tx, row.channel, issued=False)
        return {"released": released.rowcount, "unknown": len(unknown), "expired": len(expired)}

    def _not_locked(self, *conditions: Any) -> Sequence[Any]:
        """The conditions, and on PostgreSQL that nobody has locked the row: a daemon that stands still in a transaction stops no other."""
        if self._is_sqlite:
            return conditions
        free = select(messages.c.key).where(*conditions).with_for_update(skip_locked=True)
        return (*conditions, messages.c.key.in_(free))

    # --- T3: the intent

    def intend(self, tx: Connection, intents: Sequence[Intent], now: int | None, deadline: int, cut_off: int = 0) -> list[Intent]:
        """CLAIMED → SENDING with an attempt each; those that another has not taken over. Durable with the transaction.

        `now` is None on a virtual clock: each begins at the time it was meant for. No byte leaves after `deadline`; `cut_off`
        milliseconds later the sender counts as dead.
        """
        if not intents:
            return []
        mine = [(i.row.key, i.row.token) for i in intents]
        begun = set(tx.execute(INTEND, {"mine": mine, "lease": deadline + cut_off, "at": now}).scalars())
        started = [intent for intent in intents if intent.row.key in begun]
        rows = [
            {
                "message_key": i.row.key, "position": i.row.position, "n": i.row.attempts + 1, "channel": i.row.channel, "lane": i.row.lane,
                "vendor_key": i.vendor_key, "state": "SENDING", "deadline": deadline,
                "started_at": i.row.not_before if now is None else now,
                "address": self._codec.encode("attempts.address", i.row.user_id, i.address), "credit": i.credit,
            }
            for i in started
        ]  # fmt: skip
        if rows:
            self._attempt.run(tx, rows)
        return started

    def set_aside(self, tx: Connection, row: LedgerRow, state: str, reason: str, now: int) -> bool:
        """CLAIMED → SUPPRESSED, EXPIRED or REJECTED: decided against before the first byte."""
        return self._move(tx, row, "CLAIMED", state=ending(state), reason=reason, settled_at=now, lease_until=None)

    def put_back(
        self, tx: Connection, row: LedgerRow, from_state: str, not_before: int, reason: str, *, held: bool = False, own: bool = True
    ) -> bool:  # fmt: skip
        """CLAIMED or SENDING (definitely not accepted, T6) → PENDING, not before an instant. A hold moves what lateness counts from.

        `own`: the reason was this message's own, and not the whole channel's; only those make its next wait longer.
        """
        later = {"due_at": not_before} if held else {}
        moved = self._move(tx, row, from_state, state="PENDING", not_before=not_before, reason=reason, lease_until=None, **later)
        if moved and from_state == "SENDING":
            self._end_attempt(tx, row, "RETRY" if own else "PAUSED", reason, not_before)
        return moved

    # --- T4, T5, T5b, T7: outcomes of the sender's own token

    def accepted(self, tx: Connection, row: LedgerRow, reference: str, now: int, *, by: str = "answer") -> bool:
        """SENDING → ACCEPTED; proof that comes late (T8: an answer, a lookup) also from UNKNOWN, PENDING, CLAIMED and ABANDONED."""
        return self._accept(tx, [(row, reference, now)], by) == 1

    def accepted_together(self, tx: Connection, rows: Sequence[tuple[LedgerRow, str, int]]) -> None:
        """T4 for many messages at once, each with its reference and its instant."""
        if rows:
            self._accept(tx, rows, "answer")

    def _accept(self, tx: Connection, rows: Sequence[tuple[LedgerRow, str, int]], by: str) -> int:
        values = [{"its_key": row.key, "its_position": row.position, "its_reference": ref, "at": at} for row, ref, at in rows]
        self._prove.run(tx, [{**row, "by": by} for row in values])
        return self._accepted.run(tx, values)

    def rejected(self, tx: Connection, row: LedgerRow, from_state: str, reason: str, now: int) -> bool:
        """A definite no at the last position: REJECTED, or ABANDONED where an earlier attempt stayed unknown."""
        moved = self._move(tx, row, from_state, state=ending("REJECTED"), reason=reason, settled_at=now, lease_until=None)
        if moved and from_state == "SENDING":
            self._end_attempt(tx, row, "REJECTED", reason, now)
        return moved

    def next_position(self, tx: Connection, row: LedgerRow, from_state: str, following: NewMessage, reason: str, now: int) -> bool:
        """T5b: a definite no (or, before the first byte, no way to the person) opens the next position, chosen and rendered now."""
        content = self._codec.encode("messages.content", row.user_id, dict(following.content))
        before = self._codec.encode("attempts.content", row.user_id, dict(row.content))
        moved = self._move(
            tx, row, from_state, state="PENDING", position=following.position, channel=following.channel, template=following.template,
            lane=lane_of("message", following.channel, row.user_id), content=content, not_before=following.not_before, lease_until=None,
            due_at=following.not_before if following.not_before > now or from_state == "UNDELIVERED" else row.due_at, reason=reason,
        )  # fmt: skip
        if moved and from_state != "CLAIMED":
            self._end_attempt(tx, row, "REJECTED", reason, now)
            mine = (attempts.c.message_key == row.key) & (attempts.c.position == row.position)
            tx.execute(update(attempts).where(mine).values(content=before))
        return moved

    def unknown(self, tx: Connection, row: LedgerRow, reason: str, now: int) -> bool:
        """T7: SENDING → UNKNOWN."""
        guarded = update(messages).where(messages.c.key == row.key, messages.c.token == row.token, messages.c.state == "SENDING")
        moved = tx.execute(
            guarded.values(state="UNKNOWN", reason=reason, ambiguous=row.ambiguous + 1, lease_until=None, not_before=now)
        ).rowcount == 1  # fmt: skip
        if moved:
            self._end_attempt(tx, row, "UNKNOWN", reason, now)
        return moved

    # --- receipts

    def delivery_proven(self, tx: Connection, key: str, lane: str, *, delivered: bool, reason: str, now: int) -> bool:
        """A receipt: states only climb, ACCEPTED < UNDELIVERED < DELIVERED. False when there was nothing to climb."""
        state = "DELIVERED" if delivered else "UNDELIVERED"
        below = (*PROVABLE, "ACCEPTED", *(("UNDELIVERED",) if delivered else ()))
        mine = (messages.c.key == key) & (messages.c.lane == lane) & messages.c.state.in_(below)
        values = {"state": state, "reason": None if delivered else reason, "lease_until": None}
        moved = (
            tx.execute(update(messages).where(mine).values(settled_at=func.coalesce(messages.c.settled_at, now), **values)).rowcount == 1
        )
        if moved:
            open_ = (attempts.c.message_key == key) & (attempts.c.lane == lane) & attempts.c.state.in_((*BEGUN, "ACCEPTED", "UNDELIVERED"))
            ended = {"ended_at": func.coalesce(attempts.c.ended_at, now), "settled_by": doubt_ended("receipt")}
            tx.execute(update(attempts).where(open_).values(state=state, **ended))
        return moved

    def row(self, tx: Connection, key: str) -> LedgerRow | None:
        """One message."""
        row = tx.execute(select(*COLUMNS).where(messages.c.key == key)).one_or_none()
        return self._row(row) if row is not None else None

    # --- T9: the resolver

    def unknowns(self, tx: Connection, now: int, limit: int, besides: Sequence[str] = ()) -> list[LedgerRow]:
        """Unknown messages to settle now, the longest waiting first, but for those of some lanes."""
        query = select(*COLUMNS).where(IS_UNKNOWN, messages.c.not_before <= now).order_by(messages.c.not_before).limit(limit)
        if besides:
            query = query.where(messages.c.lane.not_in(besides))
        if not self._is_sqlite:
            query = query.with_for_update(skip_locked=True)
        return [self._row(row) for row in tx.execute(query)]

    def resolve(self, tx: Connection, row: LedgerRow, state: str, reason: str, now: int, *, proven: bool = False, wait: int = 0) -> bool:
        """UNKNOWN → PENDING (the same key may be repeated, or it is `proven` not to be there) or ABANDONED."""
        if row.cancelled and state == "PENDING":
            state = "ABANDONED"
        settled = now if state == "ABANDONED" else None
        ambiguous = 0 if proven else row.ambiguous
        guarded = update(messages).where(messages.c.key == row.key, messages.c.token == row.token, messages.c.state == "UNKNOWN")
        moved = tx.execute(
            guarded.values(state=state, reason=reason, settled_at=settled, not_before=now + wait, ambiguous=ambiguous)
        ).rowcount == 1  # fmt: skip
        if moved and proven:  # else the attempt that does arrive later would end this one as accepted, too
            for before in BEGUN:  # the reaper leaves the attempt of a dead sender SENDING
                self._end_attempt(tx, row, "REJECTED", reason, now, before=before)
        return moved

    def look_again(self, tx: Connection, row: LedgerRow, at: int) -> None:
        """Nothing is known yet: ask again at an instant."""
        tx.execute(update(messages).where(messages.c.key == row.key, messages.c.state == "UNKNOWN").values(not_before=at))

    def retries(self, tx: Connection, row: LedgerRow) -> int:
        """How often the present position was put back for a reason of its own."""
        mine = (attempts.c.message_key == row.key) & (attempts.c.position == row.position) & (attempts.c.state == "RETRY")
        return int(tx.execute(select(func.count()).select_from(attempts).where(mine)).scalar_one())

    def latest_attempts(self, tx: Connection, keys: Sequence[str], user_of: dict[str, str]) -> dict[str, AttemptRow]:
        """The latest attempt of each of these messages; `user_of` says whose they are."""
        if not keys:
            return {}
        found: dict[str, AttemptRow] = {}
        for row in tx.execute(LATEST_ATTEMPTS, {"keys": keys}):
            kept = AttemptRow(*row)
            address = self._codec.decode("attempts.address", user_of[kept.message_key], kept.address) if kept.address else ""
            found[kept.message_key] = replace(kept, address=address)
        return found

    def attempt_of(self, tx: Connection, lane: str, *, key: str, reference: str) -> str | None:
        """The message of the attempt that a receipt speaks of: by our own key where it is echoed, else by the vendor's reference."""
        query = select(attempts.c.message_key).where(attempts.c.lane == lane).order_by(attempts.c.id.desc()).limit(1)
        query = query.where(attempts.c.message_key == key) if key else query.where(attempts.c.reference == reference)
        return tx.execute(query).scalar_one_or_none()

    def first_attempt_at(self, tx: Connection, row: LedgerRow) -> int | None:
        """When the present position was tried first: a vendor remembers a key only for so long."""
        mine = (attempts.c.message_key == row.key) & (attempts.c.position == row.position)
        return tx.execute(select(func.min(attempts.c.started_at)).where(mine)).scalar_one_or_none()

    def _move(self, tx: Connection, row: LedgerRow, from_state: str, **values: Any) -> bool:
        """Compare and set. What a sender itself knows counts also when a reaper was faster: then it takes the doubt back."""
        states = BEGUN if from_state == "SENDING" else (from_state,)
        guarded = update(messages).where(messages.c.key == row.key, messages.c.token == row.token, messages.c.state.in_(states))
        return tx.execute(guarded.values(ambiguous=row.ambiguous, **values)).rowcount == 1

    @staticmethod
    def _end_attempt(tx: Connection, row: LedgerRow, state: str, reason: str | None, now: int, *, before: str = "SENDING") -> None:
        ended = {"its_key": row.key, "its_before": before, "its_state": state, "its_reference": None, "its_reason": reason, "at": now}
        tx.execute(END_ATTEMPT, ended)

    # --- touches

    def touches(
        self, tx: Connection, user_ids: Sequence[str], since: int, *, started_only: bool, besides: str = ""
    ) -> dict[str, list[Touch]]:
        """What counts for caps per recipient: everything planned or sent, or (at T3) only what has begun; not `besides`.

        A touch is of the time of its first intent; before that, of the time it is meant for.
        """
        values = {"ids": list(user_ids), "since": since, "held_since": since - LONGEST_HOLD, "besides": besides}
        counted = tx.execute(TOUCHES_BEGUN if started_only else TOUCHES_PLANNED, values).all()
        found: dict[str, list[Touch]] = {}
        for user_id, begun_at, not_before, channel, purpose, topic in counted:
            at = begun_at if begun_at is not None else not_before
            if at > since:
                found.setdefault(user_id, []).append(Touch(at, channel, purpose, topic))
        return found

    def on_the_way(self, tx: Connection, lane: str, user_ids: Sequence[str]) -> set[str]:
        """Those of the users to whom something is being sent on a lane right now."""
        query = select(messages.c.user_id).where(messages.c.lane == lane, messages.c.state == "SENDING", messages.c.user_id.in_(user_ids))
        return set(tx.execute(query).scalars())

    # --- what there is to do

    def due_lanes(self, tx: Connection, now: int) -> set[str]:
        """The lanes on which a message wants to be sent by now."""
        return set(tx.execute(select(messages.c.lane).where(IS_PENDING, messages.c.not_before <= now).distinct()).scalars())

    def next_work(self, tx: Connection, lane: str | None = None) -> int | None:
        """When the next message wants to be sent (of one lane), or, over all lanes, sent or settled."""
        if lane is not None:
            return tx.execute(_EARLIEST.where(IS_PENDING, messages.c.lane == lane)).scalar_one_or_none()
        found = [tx.execute(query).scalar_one_or_none() for query in _EARLIEST_OF_ALL]
        return min((at for at in found if at is not None), default=None)
