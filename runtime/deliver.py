"""Delivery: takes messages and effects from the ledger to the channels by the protocol of ARCHITECTURE.md (T1 to T11).

Three transactions per batch, with the vendor between the last two: claim (T1), begin (T3, durable before the first byte), finish
(T4 to T7). The daemon runs them lane by lane (runtime/lanes.py), each lane with its own threads; `tick` runs them one after the other.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from channels.message import (
    Accepted,
    Channel,
    Fault,
    HearsBack,
    IssuesKeys,
    Key,
    Outcome,
    Rejected,
    RetryLater,
    TellsAtOnce,
    Unknown,
)
from journeys.duration import HOUR, SECOND
from runtime.attempt import Alarm, Attempt, Claimed, Delivered, LaneRules, Missing, storable
from runtime.clock import Clock
from runtime.engine import Engine
from runtime.lastcheck import Go, LastCheck, Next, People, Stop, Verdict, Wait
from runtime.policy import PersonReach, Rules, Touch, address
from runtime.settling import DEADLINE, Settling
from runtime.state import stable_key
from runtime.store import SqlStore
from runtime.store.flow import Circuit
from runtime.store.ledger_rows import ROBOT, Intent, LedgerRow, Pick
from runtime.store.writer import LEDGER

log = structlog.get_logger("journeyd.deliver")
LOOK_EVERY = SECOND // 4  # what another daemon has paused or held is seen after so long
LEASE = 5 * SECOND  # of a claim: another daemon takes up what a dead one had claimed
GRACE = 1 * SECOND  # beside the channel's own timeout: then the sender counts as dead
BATCH = 200
BUSY = 50  # milliseconds
KEY_FRESH = 4 * HOUR  # an issued key lives from its issue, not from its first use
NO_KEY = 5 * SECOND  # to wait for a vendor that issues no keys
PROBE_AGAIN = 60 * SECOND  # when the answer of a probe never came
LONGEST_BACKOFF = 64  # times the adapter's own delay


class Delivery:
    """Sends what is pending. `channels` by lane: channel names, `robot:NAME`, `grant:NAME`, `call:NAME`; `flows` how fast each may go."""

    def __init__(
        self, store: SqlStore, engine: Engine, channels: Mapping[str, Channel], rules: Rules, zone: ZoneInfo,
        pool: ThreadPoolExecutor | None = None, clock: Clock | None = None, flows: Mapping[str, LaneRules] | None = None,
    ) -> None:  # fmt: skip
        self.store, self.engine, self.channels, self.rules, self.pool, self.clock = store, engine, channels, rules, pool, clock
        self.flows = flows or {}
        self.check = LastCheck(store, engine, engine.reaching, rules, zone)
        self.settling = Settling(store, engine, self.check, channels)
        self._looked: dict[str, int] = {}  # when a lane was last seen to be neither paused nor held
        self._plenty: set[str] = set()  # lanes whose last claim was filled: more is due there
        self._keys: dict[str, list[tuple[str, int]]] = {}  # keys that a vendor issued, and when

    # --- one round after the other: virtual time, tests, single commands

    def tick(self, now: int, limit: int = BATCH) -> Delivered:
        """One round over everything: rescue what is stuck, then claim, begin, send and finish."""
        done = Delivered()
        if self.engine.virtual:  # nobody dies on a virtual clock; what is unknown is settled by VirtualRun, which knows of it
            rows = self.store.database.write(lambda tx: self.store.ledger.claim(tx, now, limit, now + LEASE, virtual=True), LEDGER)
            self.round(Claimed(rows), now, done)
            return done
        self.rescue(now, done)
        self.resolve(now, limit, done)
        due = self._due(now)
        for lane in (*self.channels, None):
            if lane not in due:
                continue
            claimed = self.store.database.write(lambda tx, lane=lane: self.claim(tx, lane, now, limit), LEDGER)  # type: ignore[misc]
            self.round(claimed, now, done)
            due = self._due(now)  # a message that was refused may have gone on to a lane whose turn is still to come
        return done

    def _due(self, now: int) -> set[str | None]:
        """The lanes with something to send now; None stands for all that are not configured."""
        with self.store.database.reading() as tx:
            return {lane if lane in self.channels else None for lane in self.store.ledger.due_lanes(tx, now)}

    def round(self, claimed: Claimed, now: int, done: Delivered) -> None:
        """Begin, send and finish what was claimed, one transaction after the other."""
        if not claimed.rows:
            return
        self.fetch_keys(claimed.rows, now, done)
        attempts = self.store.database.write(lambda tx: self.begin(tx, claimed, now, done), LEDGER)
        outcomes = self._send(attempts)
        self.store.database.write(lambda tx: self.finish(tx, outcomes, now, done), LEDGER)

    def _send(self, attempts: list[Attempt]) -> list[tuple[Attempt, Outcome]]:
        if self.pool is None or len(attempts) == 1:
            return [(attempt, self.send_one(attempt)) for attempt in attempts]
        return list(zip(attempts, self.pool.map(self.send_one, attempts), strict=True))

    def _at(self, row: LedgerRow, now: int) -> int:
        """The moment to act at: on a virtual clock the row's own."""
        return row.not_before if self.engine.virtual else now

    # --- rescue: T2, T7 of the dead, T9, T11

    def take_over(self, now: int) -> None:
        """At the start of the only daemon there can be (SQLite's lock file): whoever was sending is dead."""
        if self.store.database.is_sqlite:
            self.store.database.write(lambda tx: self.store.ledger.reap(tx, now, all_senders_dead=True), LEDGER)

    def rescue(self, now: int, done: Delivered) -> None:
        """Free what dead senders held; expire what is past its time."""
        for what, n in self.store.database.write(lambda tx: self.store.ledger.reap(tx, now), LEDGER).items():
            done.add(what, n)
        self.store.database.write(lambda tx: self.settling.join_parked(tx, now), LEDGER)

    def unknowns(self, now: int, limit: int, besides: Sequence[str] = ()) -> list[LedgerRow]:
        """What is to be settled now, but for some lanes."""
        with self.store.database.reading() as tx:
            return self.store.ledger.unknowns(tx, now, limit, besides)

    def resolve(self, now: int, limit: int, done: Delivered) -> None:
        """Settle what is unknown, one after the other."""
        for row in self.unknowns(now, limit):
            self.resolve_one(row, now, done)

    def resolve_one(self, row: LedgerRow, now: int, done: Delivered) -> None:
        """Ask where there is somebody to ask, and settle."""
        ledger = self.store.ledger
        with self.store.database.reading() as tx:
            attempt = ledger.latest_attempts(tx, [row.key], {row.key: row.user_id}).get(row.key)
            begun = ledger.first_attempt_at(tx, row) or 0
        if attempt is None:
            return
        found = self.settling.look_up(row, attempt, now)
        what = self.store.database.write(lambda tx: self.settling.settle(tx, row, attempt, found, begun, now), LEDGER)
        if what != "waiting":
            done.add(what)

    # --- T1

    def claim(self, tx: Any, lane: str | None, now: int, room: int) -> Claimed:
        """Claim up to `room` messages of a lane (None: of lanes that are not configured), as its rate and its circuits allow."""
        ledger, flow = self.store.ledger, self.store.flow
        if lane is None:
            return Claimed(ledger.claim(tx, now, room, now + LEASE, Pick(besides=tuple(self.channels))))
        rate = self.flows.get(lane, LaneRules()).rate
        pick = Pick(lane, one_at_a_time=self.channels[lane].one_at_a_time, many=lane in self._plenty)
        open_: Sequence[Circuit] = ()
        allowed, again_at = room, now
        if rate is not None or now - self._looked.get(lane, 0) >= LOOK_EVERY:
            allowed, again_at = flow.allow(tx, lane, room, rate, now)
            if allowed <= 0:
                return Claimed(again_at=again_at)
            open_ = flow.circuits(tx, lane)
            self._looked.pop(lane, None)
            if not open_:
                self._looked[lane] = now
        whole = [circuit for circuit in open_ if not circuit.template]
        holding = whole or open_  # a held template is not probed while its whole lane is held
        probe = self._probe(tx, holding, pick, now)
        rows = [probe] if probe is not None else []
        probing = max(min((circuit.probe_at for circuit in holding), default=0), now + SECOND)
        if not whole:
            found = ledger.claim(tx, now, allowed, now + LEASE, replace(pick, held=tuple(c.template for c in open_)))
            self._plenty = self._plenty | {lane} if len(found) == allowed else self._plenty - {lane}
            rows += found
        flow.spend(tx, lane, len(rows), rate, now)
        probes = frozenset({probe.key}) if probe is not None else frozenset()
        return Claimed(rows, probes, probing if open_ and not rows else again_at)

    def _probe(self, tx: Any, holding: Sequence[Circuit], pick: Pick, now: int) -> LedgerRow | None:
        """The one message that tries whether what is held works again; None while it is too early, or nothing is there to send."""
        for circuit in holding:
            if circuit.probe_at > now:
                continue
            rows = self.store.ledger.claim(tx, now, 1, now + LEASE, replace(pick, only=circuit.template or None))
            if rows and self.store.flow.take_probe(tx, circuit, now, now + PROBE_AGAIN):
                return rows[0]
            for row in rows:  # another daemon's probe is on its way
                self.store.ledger.put_back(tx, row, "CLAIMED", now, "the channel is held")
        return None

    # --- T3

    def fetch_keys(self, rows: Sequence[LedgerRow], now: int, done: Delivered) -> None:
        """Have a fresh key of the vendor's for each message of lanes that need one. Never inside a transaction.

        A vendor that refuses us keys because of a fault holds the lane, as a refused message would.
        """
        wanted: dict[str, int] = {}
        for row in rows:
            wanted[row.lane] = wanted.get(row.lane, 0) + 1
        for lane, n in wanted.items():
            channel: Any = self.channels.get(lane)
            known = self._keys[lane] = [(key, at) for key, at in self._keys.get(lane, []) if now - at < KEY_FRESH]
            if issubclass(type(channel), IssuesKeys) and len(known) < n:  # a class remembers its answer, an instance is asked anew
                try:
                    issued = channel.new_keys(n - len(known))
                    if isinstance(issued, Fault):
                        self.store.database.write(lambda tx, lane=lane, fault=issued: self._hold(tx, lane, "", fault, now, done), LEDGER)  # type: ignore[misc]
                        continue
                    known.extend((key, now) for key in issued)
                except Exception as error:  # noqa: BLE001 - without keys nothing is begun; the messages wait
                    log.warning("the vendor issues no keys", action="no_keys", lane=lane, error=type(error).__name__)

    def begin(self, tx: Any, claimed: Claimed, now: int, done: Delivered) -> list[Attempt]:
        """Ask once more, and make the intents of those that may go durable with the transaction."""
        tick, rows, ledger = now, claimed.rows, self.store.ledger
        people = self.check.reach(tx, rows, now)
        busy = set() if self.engine.virtual else self.store.inbox.busy(tx, {u for row in rows for u in (row.user_id, row.owner_id)})
        alone = self._on_the_way(tx, rows)
        held = self._just_held(tx, [row for row in rows if row.key not in claimed.probes])
        before = ledger.latest_attempts(tx, [r.key for r in rows if r.attempts], {r.key: r.user_id for r in rows})
        intents: list[Intent] = []
        for row in rows:
            now = self._at(row, tick)
            wait = _not_yet(row, people, busy, set() if row.key in claimed.probes else held, alone)
            if wait is not None:
                ledger.put_back(tx, row, "CLAIMED", now + wait[0], wait[1])
                continue
            if row.ambiguous and self._forgotten(tx, row, now):
                self._abandon(tx, row, now, done)
                continue
            vendor_key = self._vendor_key(row, before.get(row.key))
            if vendor_key is None:
                ledger.put_back(tx, row, "CLAIMED", now + NO_KEY, "the vendor issues no key")
                continue
            verdict = self.check.ask(tx, row, people, now)
            if not isinstance(verdict, Go):
                done.add(self._decided_against(tx, row, verdict, now))
                continue
            self._use_key(row, vendor_key)
            person = people[row.user_id][0]
            if row.kind == "message":
                person.touches.append(Touch(now, row.channel, row.purpose, row.topic))
            intents.append(Intent(row, vendor_key, self._to(row, person), verdict.credit))
        deadline = tick + DEADLINE
        longest = max((self._channel(row).timeout for row in rows), default=0)
        started = ledger.intend(tx, intents, None if self.engine.virtual else tick, deadline, longest + GRACE)
        for intent in intents:
            if intent not in started:  # another has taken it over: what was reserved for it goes back
                self.settling.give_back(tx, intent.row, intent.credit, intent.address, tick)
                if intent.row.kind == "grant" and intent.row.attempts == 0:
                    self.store.budgets.settle(tx, intent.row.channel, issued=False)
        return [
            Attempt(
                replace(i.row, attempts=i.row.attempts + 1),
                self.settling.message(i.row, i.vendor_key, i.address, self._at(i.row, tick)),
                deadline, i.credit, i.row.key in claimed.probes,
            )
            for i in started
        ]  # fmt: skip

    @staticmethod
    def _to(row: LedgerRow, person: PersonReach) -> str:
        """Where the attempt goes: a message to the channel's address, a grant to the openid (WeChat's coupons need it), a call nowhere."""
        if row.kind == "call":
            return ""
        return address(person, row.channel if row.kind == "message" else "wechat") or ""

    def _channel(self, row: LedgerRow) -> Channel:
        everybody = self.channels.get(ROBOT) if row.lane.startswith(ROBOT) else None  # in rehearsals: any robot
        return self.channels.get(row.lane) or everybody or Missing()

    def _just_held(self, tx: Any, rows: Sequence[LedgerRow]) -> set[tuple[str, str]]:
        """(lane, template) pairs that a fault has held since these were claimed."""
        doubtful = {row.lane for row in rows if row.lane not in self._looked and row.lane in self.channels}
        return {(c.lane, c.template) for lane in sorted(doubtful) for c in self.store.flow.circuits(tx, lane)}

    def _on_the_way(self, tx: Any, rows: Sequence[LedgerRow]) -> set[tuple[str, str]]:
        """(lane, user) pairs that must wait: another daemon claimed for the same person at the same moment."""
        lanes = {row.lane for row in rows if self._channel(row).one_at_a_time}
        return {
            (lane, user_id)
            for lane in sorted(lanes)
            for user_id in self.store.ledger.on_the_way(tx, lane, sorted({row.user_id for row in rows if row.lane == lane}))
        }

    def _vendor_key(self, row: LedgerRow, before: Any) -> str | None:
        """The same key as before where that is what protects a repeat, else a new one; None while the vendor issues none."""
        channel = self._channel(row)
        if before is not None and before.position == row.position and isinstance(channel.guarantee, Key):
            return str(before.vendor_key)
        if issubclass(type(channel), IssuesKeys):
            known = self._keys.get(row.lane)
            return known[0][0] if known else None
        return stable_key("vendor", row.key, str(row.position))

    def _use_key(self, row: LedgerRow, vendor_key: str) -> None:
        """An issued key serves one attempt."""
        if row.lane in self._keys:
            self._keys[row.lane] = [(key, at) for key, at in self._keys[row.lane] if key != vendor_key]

    def _forgotten(self, tx: Any, row: LedgerRow, now: int) -> bool:
        """Whether the vendor may have forgotten the key of an attempt that nobody can tell the end of."""
        guarantee = self._channel(row).guarantee
        begun = self.store.ledger.first_attempt_at(tx, row)
        return isinstance(guarantee, Key) and begun is not None and now + DEADLINE >= begun + guarantee.lifetime

    def _abandon(self, tx: Any, row: LedgerRow, now: int, done: Delivered) -> None:
        self.store.ledger.set_aside(tx, row, "SUPPRESSED", "nobody can tell whether it arrived", now)
        if row.kind != "message":
            self.settling.resume(tx, row, now, ok=False, reason="unknown", answer={})
        done.add("abandoned")

    def _decided_against(self, tx: Any, row: LedgerRow, verdict: Verdict, now: int) -> str:
        ledger = self.store.ledger
        if isinstance(verdict, Wait):
            ledger.put_back(tx, row, "CLAIMED", verdict.until, verdict.reason, held=verdict.is_hold)
            return "held"
        if isinstance(verdict, Next):
            ledger.next_position(tx, row, "CLAIMED", verdict.following, verdict.reason, now)
            return "fell_through"
        assert isinstance(verdict, Stop)  # noqa: S101 - a closed union
        if row.kind != "message":
            self.settling.effect_failed(tx, row, now, verdict.reason, "CLAIMED")
            return "rejected"
        ledger.set_aside(tx, row, verdict.state, verdict.reason, now)
        return verdict.state.lower()

    # --- between the transactions: the channel

    def send_one(self, attempt: Attempt) -> Outcome:
        """Hand a message over; never raises."""
        if self.clock is not None and self.clock.now() > attempt.deadline:  # another may take it for lost: it starts anew
            return RetryLater(SECOND, "the attempt waited too long for a sender", own=False)
        try:
            return storable(self._channel(attempt.row).send(attempt.message))
        except Exception as error:  # noqa: BLE001 - an adapter's bug must not be taken for a yes or a no
            return Unknown(type(error).__name__)  # its text may hold an address

    # --- T4 to T7

    def finish(self, tx: Any, outcomes: Sequence[tuple[Attempt, Outcome]], now: int, done: Delivered) -> None:
        """Write what came of attempts."""
        plain: list[tuple[LedgerRow, str, int]] = []
        for attempt, outcome in outcomes:
            row = attempt.row
            at = self._at(row, now)
            if isinstance(outcome, Accepted) and row.kind == "message" and not issubclass(type(self._channel(row)), TellsAtOnce):
                plain.append((row, outcome.reference, at))
                done.add("accepted")
            else:
                done.add(self._finish_safely(tx, attempt, outcome, at, done))
            if attempt.probe and isinstance(outcome, Accepted | Rejected):
                self._works_again(tx, row, row.template or "", done)
            elif attempt.probe and isinstance(outcome, Fault) and outcome.scope == "template":  # the vendor listens again
                self._works_again(tx, row, "", done)
        self.store.ledger.accepted_together(tx, plain)
        self._parked(tx, plain, now)

    def _parked(self, tx: Any, accepted: Sequence[tuple[LedgerRow, str, int]], now: int) -> None:
        """Receipts that were faster than the answer."""
        by_lane: dict[str, list[str]] = {}
        for row, reference, _ in accepted:
            if issubclass(type(self.channels.get(row.lane)), HearsBack):
                by_lane.setdefault(row.lane, []).append(reference)
        for lane, references in by_lane.items():
            for kept in self.store.receipts.parked(tx, lane, references):
                self.settling.join(tx, kept, now)

    def _finish_safely(self, tx: Any, attempt: Attempt, outcome: Outcome, now: int, done: Delivered) -> str:
        """One outcome that cannot be worked on costs its own message, never the others of the lane."""
        try:
            with tx.begin_nested():
                return self._finish_one(tx, attempt, outcome, now, done)
        except (ValueError, TypeError, KeyError) as error:
            log.exception("an outcome could not be worked on", action="outcome_failed", lane=attempt.row.lane, key=attempt.row.key)
            self.store.ledger.unknown(tx, attempt.row, f"its outcome could not be worked on: {type(error).__name__}", now)
            return "unknown"

    def _finish_one(self, tx: Any, attempt: Attempt, outcome: Outcome, now: int, done: Delivered) -> str:
        ledger, row = self.store.ledger, attempt.row
        if isinstance(outcome, Accepted):
            self.settling.accepted(tx, row, outcome, now)
            channel: Any = self._channel(row)
            receipt = channel.receipt(attempt.message) if issubclass(type(channel), TellsAtOnce) else None
            if receipt is not None:
                self.settling.receipt(tx, row.lane, receipt, now + SECOND)  # a wait sees what comes after it has begun
            return "accepted"
        if isinstance(outcome, Unknown):
            ledger.unknown(tx, row, outcome.reason, now)
            return "unknown"
        if isinstance(outcome, RetryLater):
            return self._retry(tx, attempt, outcome, now)
        if isinstance(outcome, Fault):
            again = now + outcome.after if self.engine.virtual else now  # where time is virtual nobody waits for a probe
            if ledger.put_back(tx, row, "SENDING", again, f"{outcome.code} {outcome.reason}".strip(), own=False):
                self.settling.give_back(tx, row, attempt.credit, attempt.message.address, now)
            template = (row.template or "") if outcome.scope == "template" else ""
            self._looked.pop(row.lane, None)
            self._hold(tx, row.lane, template, outcome, now, done)
            return "held"
        return self._refused(tx, attempt, outcome, now)

    def _hold(self, tx: Any, lane: str, template: str, fault: Fault, now: int, done: Delivered) -> None:
        self._looked.pop(lane, None)
        if self.store.flow.open_circuit(tx, lane, template, fault.code, fault.reason, now, fault.after):
            done.alarms.append(Alarm(lane, template, fault.code, fault.reason, held=True))

    def _retry(self, tx: Any, attempt: Attempt, outcome: RetryLater, now: int) -> str:
        row, after = attempt.row, max(outcome.after, SECOND)
        if outcome.whole_channel:
            self.store.flow.pause(tx, row.lane, now + after, outcome.reason)
            self._looked.pop(row.lane, None)
        elif outcome.own:
            after *= min(1 << self.store.ledger.retries(tx, row), LONGEST_BACKOFF)
        own = outcome.own and not outcome.whole_channel
        if self.store.ledger.put_back(tx, row, "SENDING", now + after, outcome.reason, own=own):
            self.settling.give_back(tx, row, attempt.credit, attempt.message.address, now)
        return "retried"

    def _refused(self, tx: Any, attempt: Attempt, outcome: Rejected, now: int) -> str:
        row, reason = attempt.row, f"{outcome.code} {outcome.reason}".strip()
        if row.kind != "message":
            self.settling.effect_failed(tx, row, now, outcome.code, "SENDING")
            return "rejected"
        following = self.check.following(tx, row, now) if not row.ambiguous else None
        if following is not None:
            what, moved = "fell_through", self.store.ledger.next_position(tx, row, "SENDING", following, reason, now)
        else:
            what, moved = "rejected", self.store.ledger.rejected(tx, row, "SENDING", reason, now)
        if moved:
            if outcome.blames != "credit":
                self.settling.give_back(tx, row, attempt.credit, attempt.message.address, now)
            self.settling.blame(tx, row, outcome.blames, outcome.code, attempt.message.address, now)
        return what

    def _works_again(self, tx: Any, row: LedgerRow, template: str, done: Delivered) -> None:
        for circuit in self.store.flow.close_circuit(tx, row.lane, template):
            done.alarms.append(Alarm(circuit.lane, circuit.template, circuit.code, circuit.reason, held=False))


def _not_yet(
    row: LedgerRow, people: People, busy: set[str], held: set[tuple[str, str]], alone: set[tuple[str, str]]
) -> tuple[int, str] | None:
    """Why a claimed message is put back, and for how many milliseconds; None when it may be asked about."""
    if row.kind == "message" and (row.user_id in busy or row.owner_id in busy):
        return 0, "something about the user has just arrived"
    if row.user_id not in people:
        return BUSY, "the user is being worked on"
    if held & {(row.lane, ""), (row.lane, row.template or "")}:
        return 0, "the channel is held"
    if (row.lane, row.user_id) in alone:
        return SECOND, "another message to the same address is on its way"
    return None
