"""What settles a message after its attempt: the reaper, the resolver and receipts. Each is a guarded transition of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from channels.message import Accepted, Channel, Key, Message, Query, Receipt, Rejected, Unknown
from journeys.duration import HOUR, SECOND
from journeys.values import clean_text
from runtime.engine import Engine
from runtime.lastcheck import LastCheck
from runtime.policy import ADDRESS_OF
from runtime.state import Event
from runtime.store import SqlStore
from runtime.store.ledger_rows import ROBOT, AttemptRow, LedgerRow
from runtime.store.receipts import KeptReceipt

DEADLINE = 2 * SECOND  # no byte leaves for an attempt after this
REPEAT_AFTER = 2 * SECOND  # with the same key, doubled by every attempt that nobody can tell the end of
LONGEST_REPEAT = 120 * SECOND
LONGEST_LOOK = 60 * SECOND


@dataclass(frozen=True)
class Settling:
    """Moves rows that no sender holds any more."""

    store: SqlStore
    engine: Engine
    check: LastCheck
    channels: Mapping[str, Channel]

    # --- T9

    def look_up(self, row: LedgerRow, attempt: AttemptRow, now: int) -> Accepted | Rejected | Unknown | None:
        """Ask the vendor what became of an attempt; None when it is too early. Never inside a transaction."""
        channel = self.channels.get(row.lane)
        if channel is None or not isinstance(channel.guarantee, Query):
            return Unknown("the vendor cannot be asked")
        if now < attempt.started_at + channel.guarantee.lag:
            return None
        try:
            found = channel.look_up(self.message(row, attempt.vendor_key, attempt.address, attempt.started_at))
            return replace(found, reference=clean_text(found.reference)[:256]) if isinstance(found, Accepted) else found
        except Exception as error:  # noqa: BLE001 - an adapter's bug is not an answer
            return Unknown(type(error).__name__)

    def settle(
        self, tx: Any, row: LedgerRow, attempt: AttemptRow, found: Accepted | Rejected | Unknown | None, begun: int, now: int
    ) -> str:
        """UNKNOWN → what is known by now: ACCEPTED, PENDING (proven absent, or the same key again) or ABANDONED. Returns what was done.

        `begun` is when the present position was tried first: a vendor remembers a key only for so long.
        """
        ledger = self.store.ledger
        channel = self.channels.get(row.lane)
        guarantee = channel.guarantee if channel is not None else None
        if isinstance(found, Accepted):
            self.accepted(tx, row, found, now, by="lookup")
            return "accepted"
        if isinstance(found, Rejected):
            if ledger.resolve(tx, row, "PENDING", "the vendor never had it", now, proven=True):
                self.give_back(tx, row, attempt.credit, attempt.address, now)
            return "resolved"
        if isinstance(guarantee, Key) and now + DEADLINE < begun + guarantee.lifetime:
            wait = min(REPEAT_AFTER << max(row.ambiguous - 1, 0), LONGEST_REPEAT)
            ledger.resolve(tx, row, "PENDING", "repeated with the same key", now, wait=wait)
            return "resolved"
        if isinstance(guarantee, Query) and now < attempt.started_at + guarantee.until:
            waited = max(now - attempt.started_at, guarantee.lag, SECOND)  # each look waits as long again as all before it
            again = max(now + min(waited, LONGEST_LOOK), attempt.started_at + guarantee.lag)
            ledger.look_again(tx, row, min(again, attempt.started_at + guarantee.until))
            return "waiting"
        if ledger.resolve(tx, row, "ABANDONED", "nobody can tell whether it arrived", now) and row.kind != "message":
            self.resume(tx, row, now, ok=False, reason="unknown", answer={})
        return "abandoned"

    # --- outcomes that several ways lead to

    def accepted(self, tx: Any, row: LedgerRow, outcome: Accepted, now: int, *, by: str = "answer") -> None:
        """The vendor has it, wherever the proof comes from."""
        moved = self.store.ledger.accepted(tx, row, outcome.reference, now, by=by)
        for kept in self.store.receipts.parked(tx, row.lane, [outcome.reference]):
            self.join(tx, kept, now)
        if moved and row.kind != "message":
            if row.kind == "grant":
                self.store.budgets.settle(tx, row.channel, issued=True)
            self.resume(tx, row, now, ok=True, reason="", answer=dict(outcome.answer))

    def effect_failed(self, tx: Any, row: LedgerRow, now: int, reason: str, from_state: str) -> None:
        """A grant or call was definitely not carried out."""
        if not self.store.ledger.rejected(tx, row, from_state, reason, now):
            return  # a late no of an attempt that somebody else has taken over
        if row.kind == "grant" and row.attempts and not row.ambiguous:  # an unknown attempt keeps its unit
            self.store.budgets.settle(tx, row.channel, issued=False)
        self.resume(tx, row, now, ok=False, reason=reason, answer={})

    def resume(self, tx: Any, row: LedgerRow, now: int, *, ok: bool, reason: str, answer: dict[str, Any]) -> None:
        """Tell the enrolment that waits for its grant or call."""
        payload = {"enrolment_id": row.enrolment_id, "step": row.step, "visit": row.visit, "ok": ok, "at": now,
                   "reason": reason, "answer": answer}  # fmt: skip
        self.store.inbox.add_note(tx, row.owner_id, "settled", payload, now)

    def give_back(self, tx: Any, row: LedgerRow, credit: str | None, address: str, now: int) -> None:
        """The subscription that a failed attempt had reserved."""
        if credit is not None and row.channel == "wechat":
            self.store.contacts.add_credit(tx, address, credit, 1, now)

    def blame(self, tx: Any, row: LedgerRow, blames: str, code: str, address: str, now: int) -> None:
        """What a definite no says about the person: a dead address, a refusal, no subscription left."""
        if row.user_id.startswith(ROBOT) or row.kind != "message":
            return
        if blames == "address" and address:
            self._note(tx, row.user_id, {"dead": {ADDRESS_OF[row.channel]: address}, "source": f"{row.channel} {code}"}, now)
        elif blames == "consent":
            # who refused advertisements still wants to know that the order has arrived
            purposes = ("marketing",) if row.purpose == "marketing" else ("service", "marketing")
            if address:
                self.store.contacts.suppress(tx, row.channel, address, purposes, f"{row.channel} {code}", now)
            self._note(tx, row.user_id, {"consents": {row.channel: dict.fromkeys(purposes, False)}, "source": f"{row.channel} {code}"}, now)
        elif blames == "credit":
            template_id = self.check.rules.template_ids.get(row.template or "")
            if template_id is not None:
                self.store.contacts.no_credit(tx, address, template_id, now)

    def _note(self, tx: Any, user_id: str, payload: dict[str, Any], now: int) -> None:
        self.store.inbox.add_note(tx, user_id, "user", payload, now)

    def message(self, row: LedgerRow, vendor_key: str, to: str, at: int) -> Message:
        """The attempt as its channel is given it."""
        versioned = self.engine.version_of(row.version_id)
        number = versioned.number if versioned else 0
        return Message(row.key, vendor_key, at, row.kind, row.channel, to, row.user_id, row.journey, number, row.step, row.content)  # type: ignore[arg-type]

    # --- receipts

    def receipt(self, tx: Any, lane: str, receipt: Receipt, now: int) -> bool:
        """Keep a receipt and let its message climb; False when it was known, or is parked until its message is."""
        kept = self.store.receipts.keep(tx, lane, receipt, now)
        return kept is not None and self.join(tx, kept, now)

    def join_parked(self, tx: Any, now: int) -> None:
        """Receipts and answers that were written at the same moment did not see each other: they are joined now."""
        for kept in self.store.receipts.joinable(tx, now - HOUR, 200):
            self.join(tx, kept, now)

    def join(self, tx: Any, kept: KeptReceipt, now: int) -> bool:
        """Join a receipt to its message; False while nobody knows it."""
        ledger, receipt = self.store.ledger, kept.receipt
        key = ledger.attempt_of(tx, kept.lane, key=receipt.key, reference=receipt.reference)
        row = ledger.row(tx, key) if key is not None else None
        if key is None or row is None:
            return False
        self.store.receipts.join(tx, kept, key)
        reason = f"{receipt.code} {receipt.reason}".strip()
        if row.lane != kept.lane or not ledger.delivery_proven(tx, key, kept.lane, delivered=receipt.delivered, reason=reason, now=now):
            return False
        attempt = ledger.latest_attempts(tx, [key], {key: row.user_id}).get(key)
        if not receipt.delivered:
            self.blame(tx, row, receipt.blames, receipt.code, attempt.address if attempt is not None else "", now)
            self._after_undelivered(tx, row, now)
        self._tell_journeys(tx, row, "message_delivered" if receipt.delivered else "message_undelivered", now)
        return True

    def _after_undelivered(self, tx: Any, row: LedgerRow, now: int) -> None:
        spec = self.check.spec(row)
        if spec is None or not spec.fall_through:
            return
        following = self.check.following(tx, row, now)
        if following is not None:
            self.store.ledger.next_position(tx, row, "UNDELIVERED", following, "undelivered", now)

    def _tell_journeys(self, tx: Any, row: LedgerRow, type_: str, now: int) -> None:
        """The system's own event, where a journey listens to it."""
        if row.user_id.startswith(ROBOT) or not self.engine.catalogue.listens_to(type_):
            return
        data = {"journey": row.journey, "step": row.step, "channel": row.channel}
        event = Event(f"{type_}:{row.key}:{row.position}", type_, row.user_id, now, now, data)
        self.store.inbox.add_events(tx, "$receipts", [event])
