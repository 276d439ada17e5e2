"""Delivery: takes messages and effects from the ledger to the channels by the protocol of ARCHITECTURE.md (T1 to T11).

Intent is durable before the first byte; what nobody can tell is UNKNOWN until it is settled.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from channels.message import Accepted, Channel, Message, Outcome, Rejected, RetryLater, Unknown
from journeys.compiled import SendSpec
from journeys.duration import MINUTE, SECOND
from runtime.clock import Clock
from runtime.engine import Engine
from runtime.facts import UserFacts
from runtime.policy import (
    Drop,
    Hold,
    PersonReach,
    Reach,
    Rules,
    Sending,
    Touch,
    UnknownReach,
    address,
    first_stop,
    longest_cap,
    may_send,
    person_reach,
    robot_reach,
)
from runtime.sending import Held, compose
from runtime.state import NewMessage, User, stable_key
from runtime.store import SqlStore
from runtime.store.codec import Unreadable
from runtime.store.ledger import LedgerRow
from runtime.store.writer import LEDGER

LEASE = 60 * SECOND  # of a claim
DEADLINE = 30 * SECOND  # no byte leaves for an attempt after this
CUT_OFF = 60 * SECOND  # after the deadline: longer than any adapter's own timeout; then the sender counts as dead
LOOK_AGAIN = 5 * SECOND
KEY_LIFETIME = 8 * MINUTE  # within this, the same vendor key may be repeated
BATCH = 200
ROBOT = "robot:"


@dataclass
class Delivered:
    """What a tick did, by outcome."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, n: int = 1) -> None:
        """Count."""
        if n:
            self.counts[what] = self.counts.get(what, 0) + n

    @property
    def total(self) -> int:
        """How much there was to do."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed row whose intent is durable, with the message to hand over."""

    row: LedgerRow
    message: Message
    deadline: int


class Delivery:
    """Sends what is pending. `channels` by name; grants and calls have adapters under `grant:NAME` and `call:NAME`."""

    def __init__(
        self, store: SqlStore, engine: Engine, channels: Mapping[str, Channel], rules: Rules, zone: ZoneInfo,
        pool: ThreadPoolExecutor | None = None, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.clock = clock
        self.store, self.engine, self.channels, self.rules, self.zone, self.pool = store, engine, channels, rules, zone, pool

    def tick(self, now: int, limit: int = BATCH) -> Delivered:
        """One round: reap, settle what is unknown, claim, intend, send, record."""
        done = Delivered()
        if not self.engine.virtual:  # nobody dies and nothing stays unknown on a virtual clock
            for what, n in self.store.database.write(lambda tx: self.store.ledger.reap(tx, now), LEDGER).items():
                done.add(what, n)
            self._resolve(now, limit, done)
        claimed = self.store.database.write(
            lambda tx: self.store.ledger.claim(tx, now, limit, now + LEASE, virtual=self.engine.virtual), LEDGER
        )
        if not claimed:
            return done
        attempts = self.store.database.write(lambda tx: self._intend(tx, claimed, now, done), LEDGER)
        outcomes = self._send(attempts)
        self.store.database.write(lambda tx: self._record(tx, outcomes, now, done), LEDGER)
        return done

    def take_over(self, now: int) -> None:
        """At the start of the only daemon there can be (SQLite's lock file): whoever was sending is dead."""
        if self.store.database.is_sqlite:
            self.store.database.write(lambda tx: self.store.ledger.reap(tx, now, all_senders_dead=True), LEDGER)

    def _at(self, row: LedgerRow, now: int) -> int:
        """The moment to act at: on a virtual clock the row's own."""
        return row.not_before if self.engine.virtual else now

    # --- T3

    def _intend(self, tx: Any, claimed: list[LedgerRow], now: int, done: Delivered) -> list[Attempt]:
        people = self._reach(tx, claimed, now)
        attempts: list[Attempt] = []
        tick = now
        busy = set() if self.engine.virtual else self.store.inbox.busy(tx, {u for row in claimed for u in (row.user_id, row.owner_id)})
        for row in claimed:
            now = self._at(row, tick)
            if row.kind == "message" and (row.user_id in busy or row.owner_id in busy):
                self.store.ledger.put_back(tx, row, "CLAIMED", now, "something about the user has just arrived")
                continue
            person, user = people[row.user_id]
            decided = self._decide(tx, row, person, user, now)
            if decided is not None:
                done.add(decided)
                continue
            vendor_key = stable_key("vendor", row.key, str(row.position))
            deadline = now + DEADLINE
            if not self.store.ledger.intend(tx, row, vendor_key, now, deadline, CUT_OFF):
                continue
            if row.kind == "message":
                person.touches.append(Touch(now, row.channel, row.purpose, row.topic))
            attempts.append(Attempt(row, self._message(row, vendor_key, address(person, row.channel) or "", now), deadline))
        return attempts

    def _decide(self, tx: Any, row: LedgerRow, person: PersonReach, user: User | None, now: int) -> str | None:
        """Ask once more before the first byte; what was decided against it, or None to go."""
        ledger = self.store.ledger
        if row.cancelled:
            ledger.set_aside(tx, row, "SUPPRESSED", "cancelled", now)
            return "suppressed"
        if isinstance(row.content, Unreadable):
            return self._unreadable(tx, row, now)
        if row.ambiguous and self._forgotten(tx, row, now):
            ledger.set_aside(tx, row, "SUPPRESSED", "nobody can tell whether it arrived", now)
            if row.kind != "message":
                self._resume(tx, row, now, ok=False, reason="unknown", answer={})
            return "abandoned"
        if row.kind == "grant":
            if row.attempts == 0 and not ledger.reserve(tx, row.channel):
                self._settle_effect(tx, row, now, ok=False, reason="budget", from_state="CLAIMED")
                return "rejected"
            return None
        if row.kind == "call":
            return None
        try:
            stop = self._stop(row, user, now)
        except Exception:  # noqa: BLE001 - one user's broken profile never stops the others; what cannot be asked may not be sent
            ledger.set_aside(tx, row, "SUPPRESSED", "invalid_content", now)
            return "suppressed"
        sending = Sending(row.channel, row.template, row.purpose, row.topic, self._between(row), row.expires_at, stop)
        answer = may_send(self.rules, person, sending, now)
        if isinstance(answer, Hold):
            ledger.put_back(tx, row, "CLAIMED", answer.until, answer.reason)
            return "held"
        if isinstance(answer, Drop):
            state = "EXPIRED" if answer.reason == "expired" else "SUPPRESSED"
            ledger.set_aside(tx, row, state, answer.reason, now)
            return state.lower()
        return None

    def _forgotten(self, tx: Any, row: LedgerRow, now: int) -> bool:
        """Whether the vendor may have forgotten the key of an attempt that nobody can tell the end of."""
        channel = self._channel(row)
        begun = self.store.ledger.first_attempt_at(tx, row)
        return channel is not None and channel.guarantee == "key" and begun is not None and now + DEADLINE >= begun + KEY_LIFETIME

    def _unreadable(self, tx: Any, row: LedgerRow, now: int) -> str:
        if row.kind == "message":
            self.store.ledger.set_aside(tx, row, "SUPPRESSED", "invalid_content", now)
            return "suppressed"
        self._settle_effect(tx, row, now, ok=False, reason="invalid_content", from_state="CLAIMED")
        return "rejected"

    def _between(self, row: LedgerRow) -> tuple[int, int] | None:
        spec = self._spec(row)
        return spec.between if spec is not None else None

    def _spec(self, row: LedgerRow) -> SendSpec | None:
        versioned = self.engine.version_of(row.version_id)
        step = versioned.journey.steps.get(row.step) if versioned else None
        return step.spec if step is not None and isinstance(step.spec, SendSpec) else None

    def _stop(self, row: LedgerRow, user: User | None, now: int) -> str | None:
        if row.purpose != "marketing" or user is None:
            return None
        audience = self.engine.catalogue.audience
        return first_stop(audience.stops, UserFacts(audience, user, now))

    def _reach(
        self, tx: Any, rows: list[LedgerRow], now: int, *, lock: bool = True, besides: str = ""
    ) -> dict[str, tuple[PersonReach, User | None]]:
        ids = sorted({row.user_id for row in rows if not row.user_id.startswith(ROBOT)})
        users = self.store.people.load_users(tx, ids, lock=lock)
        span = longest_cap(self.rules)
        touches = self.store.ledger.touches(tx, ids, now - span, started_only=True, besides=besides) if span else {}
        found: dict[str, tuple[PersonReach, User | None]] = {}
        for row in rows:
            user = users.get(row.user_id)
            if row.user_id.startswith(ROBOT):
                found[row.user_id] = (robot_reach(row.user_id.removeprefix(ROBOT), self.zone), None)
            elif row.user_id not in found:
                try:
                    person = person_reach(user or User(row.user_id, self.zone), self.rules, touches.get(row.user_id, []))
                except ValueError:  # unreadable: who cannot be asked has not agreed to anything
                    person, user = PersonReach(row.user_id, self.zone, assume_consent=frozenset()), None
                found[row.user_id] = (person, user)
        return found

    def _message(self, row: LedgerRow, vendor_key: str, to: str, now: int) -> Message:
        versioned = self.engine.version_of(row.version_id)
        number = versioned.number if versioned else 0
        return Message(row.key, vendor_key, now, row.kind, row.channel, to, row.user_id, row.journey, number, row.step, row.content)  # type: ignore[arg-type]

    # --- between the transactions: the channel

    def _channel(self, row: LedgerRow) -> Channel | None:
        return self.channels.get(row.channel if row.kind == "message" else f"{row.kind}:{row.channel}")

    def _send(self, attempts: list[Attempt]) -> list[tuple[Attempt, Outcome]]:
        if self.pool is None or len(attempts) == 1:
            return [(attempt, self._send_one(attempt)) for attempt in attempts]
        return list(zip(attempts, self.pool.map(self._send_one, attempts), strict=True))

    def _send_one(self, attempt: Attempt) -> Outcome:
        channel = self._channel(attempt.row)
        if channel is None:
            return Rejected("no_channel", f"{attempt.row.channel} is not configured any more")
        if self.clock is not None and self.clock.now() > attempt.deadline:  # another may take it for lost: it starts anew
            return RetryLater(SECOND, "the attempt waited too long for a sender")
        try:
            return channel.send(attempt.message)
        except Exception as error:  # noqa: BLE001 - an adapter's bug must not be taken for a yes or a no
            return Unknown(f"{type(error).__name__}: {error}")

    # --- T4 to T7

    def _record(self, tx: Any, outcomes: list[tuple[Attempt, Outcome]], now: int, done: Delivered) -> None:
        for attempt, outcome in outcomes:
            done.add(self._record_one(tx, attempt.row, outcome, self._at(attempt.row, now)))

    def _record_one(self, tx: Any, row: LedgerRow, outcome: Outcome, now: int) -> str:
        ledger = self.store.ledger
        if isinstance(outcome, Accepted):
            if ledger.accepted(tx, row, outcome.reference, now) and row.kind != "message":
                self._note_outcome(tx, row, now, ok=True, reason="", answer=dict(outcome.answer))
            return "accepted"
        if isinstance(outcome, RetryLater):
            ledger.put_back(tx, row, "SENDING", now + max(outcome.after, SECOND), outcome.reason)
            return "retried"
        if isinstance(outcome, Unknown):
            ledger.unknown(tx, row, outcome.reason, now)
            return "unknown"
        if row.kind != "message":
            self._settle_effect(tx, row, now, ok=False, reason=outcome.code, from_state="SENDING")
            return "rejected"
        following = self._following(tx, row, now)
        if following is not None:
            ledger.next_position(tx, row, following, f"{outcome.code} {outcome.reason}".strip(), now)
            return "fell_through"
        ledger.rejected(tx, row, "SENDING", f"{outcome.code} {outcome.reason}".strip(), now)
        return "rejected"

    def _following(self, tx: Any, row: LedgerRow, now: int) -> NewMessage | None:
        """The next position of the send's list, chosen and rendered now by the rule of the step itself."""
        spec = self._spec(row)
        versioned = self.engine.version_of(row.version_id)
        if spec is None or versioned is None or spec.every or row.position + 1 >= len(spec.positions) or row.cancelled:
            return None
        enrolment = self.store.people.enrolment(tx, row.enrolment_id)
        users = self.store.people.load_users(tx, [row.owner_id])
        if enrolment is None or row.owner_id not in users:
            return None
        people = self._reach(tx, [row], now, lock=False, besides=row.key)  # the refused attempt is no touch
        reach = Reach(self.rules, {user_id: person for user_id, (person, _) in people.items()})
        context = enrolment.context
        facts = UserFacts(self.engine.catalogue.audience, users[row.owner_id], now, reach=reach, entry=context.get("entry", {}),
                          steps=context.get("steps", {}), purpose=versioned.journey.journey.purpose)  # fmt: skip
        step = versioned.journey.steps[row.step]
        start = row.position + 1
        try:
            made = compose(versioned.journey, step, spec, enrolment, facts, reach, row.visit, row.not_before, now, start)
            if isinstance(made, Held):  # a window has closed meanwhile: it waits in the ledger, and is asked again then
                made = compose(versioned.journey, step, spec, enrolment, facts, reach, row.visit, row.not_before, made.hold.until, start)
        except UnknownReach:  # `to` names somebody else by now: a message does not change its recipient
            return None
        return made[0] if isinstance(made, list) and made[0].user_id == row.user_id else None

    # --- effects

    def _settle_effect(self, tx: Any, row: LedgerRow, now: int, *, ok: bool, reason: str, from_state: str) -> None:
        if not self.store.ledger.rejected(tx, row, from_state, reason, now):
            return  # a late no of an attempt that somebody else has taken over
        if row.kind == "grant" and from_state == "SENDING" and not row.ambiguous:  # an unknown attempt keeps its unit
            self.store.ledger.settle_budget(tx, row.channel, issued=False)
        self._resume(tx, row, now, ok=ok, reason=reason, answer={})

    def _note_outcome(self, tx: Any, row: LedgerRow, now: int, *, ok: bool, reason: str, answer: dict[str, Any]) -> None:
        if row.kind == "grant":
            self.store.ledger.settle_budget(tx, row.channel, issued=ok)
        self._resume(tx, row, now, ok=ok, reason=reason, answer=answer)

    def _resume(self, tx: Any, row: LedgerRow, now: int, *, ok: bool, reason: str, answer: dict[str, Any]) -> None:
        payload = {"enrolment_id": row.enrolment_id, "step": row.step, "visit": row.visit, "ok": ok, "at": now,
                   "reason": reason, "answer": answer}  # fmt: skip
        self.store.inbox.add_note(tx, row.owner_id, "settled", payload, now)

    # --- T9

    def _resolve(self, now: int, limit: int, done: Delivered) -> None:
        with self.store.database.reading() as tx:
            unknown = self.store.ledger.unknowns(tx, now, limit)
            keys = {row.key: self.store.ledger.vendor_key_of(tx, row) or "" for row in unknown}
            begun = {row.key: self.store.ledger.first_attempt_at(tx, row) or 0 for row in unknown}
        for row in unknown:
            channel = self._channel(row)
            if channel is None:
                continue
            message = self._message(row, keys[row.key], "", now)
            found = channel.look_up(message) if channel.guarantee == "query" else Unknown()
            self.store.database.write(
                lambda tx, row=row, found=found, channel=channel: self._settle(  # type: ignore[misc]
                    tx, row, found, channel, now, done, begun[row.key]
                ),
                LEDGER,
            )

    def _settle(
        self, tx: Any, row: LedgerRow, found: Accepted | Rejected | Unknown, channel: Channel, now: int, done: Delivered, begun: int
    ) -> None:
        ledger = self.store.ledger
        if isinstance(found, Accepted):
            done.add(self._record_one(tx, row, found, now))
        elif isinstance(found, Rejected):
            ledger.resolve(tx, row, "PENDING", "the vendor never had it", now, proven=True)
            done.add("resolved")
        elif channel.guarantee == "key" and now + DEADLINE < begun + KEY_LIFETIME:
            ledger.resolve(tx, row, "PENDING", "repeated with the same key", now)
            done.add("resolved")
        elif channel.guarantee == "query":
            ledger.look_again(tx, row, now + LOOK_AGAIN)
        else:
            ledger.resolve(tx, row, "ABANDONED", "nobody can tell whether it arrived", now)
            done.add("abandoned")
            if row.kind != "message":
                self._resume(tx, row, now, ok=False, reason="unknown", answer={})
