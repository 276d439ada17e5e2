"""Attempts whose end nobody can tell: thousands of messages, a vendor that keeps the truth, a virtual clock, and an audit at the end.

The store and the delivery are the real ones; their transactions are made here, with the time as an argument. A crash is an outcome that
is dropped (the lease runs out), a sender that was paused tells its outcome when another has long taken over. By seed the vendor decides
whether it takes an attempt, whether it answers, when a look-up sees it, when a receipt comes.
"""

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Any

from sqlalchemy import func, select

from channels.message import Accepted, Guarantee, Heard, Key, Message, Neither, Outcome, Query, Receipt, Rejected, RetryLater, Unknown
from runtime.deliver import Delivered, Delivery
from runtime.policy import Rules
from runtime.state import NewMessage
from runtime.store import open_store
from runtime.store.tables import attempts, messages
from tests.town import HOUR, MINUTE, NOON, SECOND, ZONE, Town, journey_text, somebody

ARRIVED = ("ACCEPTED", "DELIVERED", "UNDELIVERED")
NOT_ARRIVED = ("REJECTED", "SUPPRESSED", "EXPIRED")
FINAL = (*ARRIVED, *NOT_ARRIVED, "ABANDONED")
HORIZON = 40 * MINUTE  # by then everything must be final: a key is repeated every two minutes at the latest
ROOM = 400  # claimed per lane and second
FIRST = {"taken, crash": 25, "taken, timeout": 25, "lost, crash": 15, "lost, timeout": 10, "cut before": 15, "taken, told late": 10}
LATER = {
    "answered": 70,
    "taken, crash": 6,
    "taken, timeout": 8,
    "lost, crash": 4,
    "lost, timeout": 4,
    "cut before": 4,
    "taken, told late": 4,
}
INTERRUPTED = ("taken, crash", "taken, timeout", "lost, crash", "lost, timeout", "taken, told late")
NEVER = 1 << 60
LEASES = select(func.min(messages.c.lease_until)).where(messages.c.state.in_(("CLAIMED", "SENDING")))


@dataclass(frozen=True)
class Kind:
    """A channel's promise: `proves` when its look-up may say that a message was never there."""

    name: str
    guarantee: Guarantee
    proves: bool = False


KINDS = {
    "push": Kind("K, a day", Key(20 * HOUR)),
    "wecom": Kind("K, a minute", Key(MINUTE)),
    "sms": Kind("query", Query(10 * SECOND, 4 * MINUTE)),
    "email": Kind("query that proves", Query(10 * SECOND, 4 * MINUTE), proves=True),
    "wechat": Kind("M", Neither()),
}


@dataclass
class Truth:
    """What really happened to one message."""

    taken: int = 0  # times that the vendor took it, beyond what its key protects
    visible_at: int = NEVER
    interrupted: int = 0
    tries: int = 0
    told: bool = False  # the vendor has told us that it has it, by an answer, a look-up or a receipt
    received: str = ""  # what its receipts said, the highest


@dataclass
class World:
    """The present instant, and what is still to come."""

    seed: int
    now: int = NOON
    truth: dict[str, Truth] = field(default_factory=dict)
    coming: list[tuple[int, int, str, Any]] = field(default_factory=list)
    numbers: Any = field(default_factory=count)

    def later(self, at: int, what: str, value: Any) -> None:
        """Something comes at an instant."""
        heapq.heappush(self.coming, (at, next(self.numbers), what, value))

    def chance(self, *name: Any) -> random.Random:
        """The dice of one matter: the same whatever else happened."""
        return random.Random(blake2b(repr((self.seed, *name)).encode(), digest_size=8).digest())


class Vendor:
    """A vendor in memory that keeps the truth."""

    one_at_a_time, timeout = False, 5 * SECOND

    def __init__(self, world: World, lane: str) -> None:
        self.world, self.lane, self.kind = world, lane, KINDS[lane]
        self.guarantee = self.kind.guarantee
        self.keys: dict[str, int] = {}
        self.fates: dict[str, str] = {}

    def send(self, message: Message) -> Outcome:
        """Take it or not, answer or not."""
        truth = self.world.truth[message.key]
        truth.tries += 1
        dice = self.world.chance("send", message.key, truth.tries)
        table = FIRST if truth.tries == 1 else LATER
        fate = self.fates[message.key] = dice.choices(list(table), list(table.values()))[0]
        truth.interrupted += fate in INTERRUPTED
        if fate == "cut before":
            return RetryLater(dice.randrange(1, 4) * SECOND, "no connection")
        if fate.startswith("lost"):
            return Unknown("timeout")
        self._take(message, truth, dice)
        if fate == "taken, timeout":
            return Unknown("timeout")
        truth.told |= fate == "answered"
        return Accepted(f"ref-{message.key}-{truth.tries}")

    def _take(self, message: Message, truth: Truth, dice: random.Random) -> None:
        known_since = self.keys.get(message.vendor_key)
        if isinstance(self.guarantee, Key) and known_since is not None and self.world.now < known_since + self.guarantee.lifetime:
            return
        self.keys[message.vendor_key] = self.world.now
        truth.taken += 1
        lag = dice.choice((0, 2, 5, 20, 40)) * SECOND if dice.random() < 0.9999 else NEVER
        truth.visible_at = min(truth.visible_at, self.world.now + lag)
        if dice.random() < 0.6:
            delivered = dice.random() < 0.9
            at = self.world.now + dice.randrange(1, 180) * SECOND
            receipt = Receipt(delivered, key=message.key, code="" if delivered else "E")
            for _ in range(dice.choice((1, 1, 2))):
                self.world.later(at, "receipt", (self.lane, receipt))

    def look_up(self, message: Message) -> Accepted | Rejected | Unknown:
        """What the vendor's records show at this moment."""
        truth = self.world.truth[message.key]
        if self.world.now >= truth.visible_at:
            truth.told = True
            return Accepted(f"found-{message.key}")
        if self.kind.proves and not truth.taken:
            return Rejected("never_there")
        return Unknown("not among the records")

    def hear(self, _callback: Any) -> Heard:
        """It calls back; the test hands its receipts over."""
        return Heard()


class Run:
    """So many messages over all kinds of channels, from the first attempt until everything is final.

    Lanes do not touch each other: a run of some `lanes` alone is what happens to their messages in the run of all.
    """

    def __init__(
        self, cases: int, seed: int = 1, delivery: type[Delivery] = Delivery, vendor: type[Vendor] = Vendor,
        lanes: Sequence[str] = tuple(KINDS),
    ) -> None:  # fmt: skip
        self.world, self.lanes = World(seed), lanes
        self.store = open_store("sqlite:///:memory:", ZONE, scratch=True)
        channels = {lane: vendor(self.world, lane) for lane in self.lanes}
        text = journey_text("- {id: a, send: [{push: {title: T, body: B}}]}")
        self.town = Town(self.store, text)
        self.delivery = delivery(self.store, self.town.engine, channels, Rules(), ZONE)  # type: ignore[arg-type]
        self.vendors = channels
        lane_of = {n: list(KINDS)[n % len(KINDS)] for n in range(cases)}
        mine = {n: lane for n, lane in lane_of.items() if lane in lanes}
        self.town.settle_people(*(somebody(f"u{n}") for n in mine))
        rows = []
        for n, lane in mine.items():
            key = blake2b(f"{seed}:{n}".encode(), digest_size=16).hexdigest()
            at = NOON + (n * 60 // cases) * SECOND
            new = NewMessage(key, "message", "a", 1, f"u{n}", lane, None, "marketing", None, 50, 0, at, None, {"title": "T", "body": "B"})
            rows.append(self.store.ledger.row_of(new, n + 1, f"u{n}", "j", 1, at))
            self.world.truth[key] = Truth()
        self.store.database.write(lambda tx: self.store.ledger.add_messages(tx, rows))

    def go(self) -> "Audit":
        """From one second with something to do to the next, until everything is final and everything that was coming has come."""
        while (following := self._next()) is not None and following < NOON + HORIZON:
            self.world.now = following
            self._what_comes()
            self._round()
        return Audit.of(self)

    def _next(self) -> int | None:
        """The next whole second in which something comes, wants to be sent or settled, or a lease has run out."""
        with self.store.database.reading() as tx:
            wanted, lease = self.store.ledger.next_work(tx), tx.execute(LEASES).scalar_one()
        instants = [self.world.coming[0][0] if self.world.coming else None, wanted, None if lease is None else lease + 1]
        known = [at for at in instants if at is not None]
        return max(-(min(known) // -SECOND) * SECOND, self.world.now + SECOND) if known else None

    def _what_comes(self) -> None:
        while self.world.coming and self.world.coming[0][0] <= self.world.now:
            _, _, what, value = heapq.heappop(self.world.coming)
            if what == "receipt":
                self._hear(*value)
            else:
                self._finish([value])

    def _hear(self, lane: str, receipt: Receipt) -> None:
        truth = self.world.truth[receipt.key]
        truth.told = True
        truth.received = "DELIVERED" if receipt.delivered or truth.received == "DELIVERED" else "UNDELIVERED"
        self.store.database.write(lambda tx: self.delivery.settling.receipt(tx, lane, receipt, self.world.now))

    def _round(self) -> None:
        now, done, write = self.world.now, Delivered(), self.store.database.write
        self.delivery.rescue(now, done)
        self.delivery.resolve(now, 10_000, done)
        with self.store.database.reading() as tx:
            due = self.store.ledger.due_lanes(tx, now)
        for lane in (lane for lane in self.lanes if lane in due):
            claimed = write(lambda tx, lane=lane: self.delivery.claim(tx, lane, now, ROOM))  # type: ignore[misc]
            if not claimed.rows:
                continue
            begun = write(lambda tx, claimed=claimed: self.delivery.begin(tx, claimed, now, done))  # type: ignore[misc]
            told = []
            for attempt in begun:
                outcome = self.delivery.send_one(attempt)
                fate = self.vendors[lane].fates[attempt.message.key]
                if fate.endswith("crash"):
                    continue
                if fate == "taken, told late":
                    dice = self.world.chance("late", attempt.message.key, attempt.row.attempts)
                    self.world.later(now + dice.randrange(1, 120) * SECOND, "answer", (attempt, outcome))
                    continue
                told.append((attempt, outcome))
            self._finish(told)

    def _finish(self, outcomes: list[Any]) -> None:
        for attempt, outcome in outcomes:
            self.world.truth[attempt.message.key].told |= isinstance(outcome, Accepted)
        self.store.database.write(lambda tx: self.delivery.finish(tx, outcomes, self.world.now, Delivered()))

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()


@dataclass
class Audit:
    """The ledger beside the truth."""

    cases: Counter[str] = field(default_factory=Counter)
    abandoned: Counter[str] = field(default_factory=Counter)
    interrupted: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    double: Counter[str] = field(default_factory=Counter)
    not_taken: Counter[str] = field(default_factory=Counter)
    to_the_truth: Counter[str] = field(default_factory=Counter)  # within five minutes of the first attempt
    invisible: Counter[str] = field(default_factory=Counter)  # interrupted, and the ledger does not show it
    deaf: Counter[str] = field(default_factory=Counter)  # the vendor told, and the ledger does not know
    contradicting: list[str] = field(default_factory=list)
    attempts: int = 0

    @classmethod
    def of(cls, run: Run) -> "Audit":
        """Compare every message."""
        audit = cls()
        with run.store.database.reading() as tx:
            rows = tx.execute(messages.select()).all()
            audit.attempts = len(tx.execute(attempts.select()).all())
        for row in rows:
            audit._look(row, run.world.truth[row.key])
        return audit

    def _look(self, row: Any, truth: Truth) -> None:
        lane = row.lane
        self.cases[lane] += 1
        self.interrupted[lane] += truth.interrupted
        self.abandoned[lane] += row.state == "ABANDONED"
        self.lost[lane] += row.state not in FINAL or (row.state == "ABANDONED" and not truth.interrupted)
        self.double[lane] += truth.taken > 1
        self.not_taken[lane] += not truth.taken
        settled = (row.state in ARRIVED) if truth.taken else (row.state not in ARRIVED and row.state in FINAL)
        in_time = settled and row.settled_at is not None and row.settled_at - row.begun_at <= 5 * MINUTE
        self.to_the_truth[lane] += in_time
        self.invisible[lane] += bool(truth.interrupted) and row.state not in (*ARRIVED, "ABANDONED")
        self.deaf[lane] += truth.told and row.state not in ARRIVED
        claims = (row.state in ARRIVED and not truth.taken) or (row.state in NOT_ARRIVED and truth.taken)
        wrong_receipt = truth.received == "DELIVERED" and row.state != "DELIVERED"
        if claims or wrong_receipt or (row.state in ("DELIVERED", "UNDELIVERED") and not truth.received):
            self.contradicting.append(f"{lane} {row.state}: taken {truth.taken}, receipt {truth.received or 'none'}, {row.reason}")

    def broken(self) -> list[str]:
        """The guarantees that do not hold."""
        found = []
        for lane, n in self.cases.items():
            name = KINDS[lane].name
            for what, counter in (("lost", self.lost), ("double", self.double), ("interrupted and not shown", self.invisible),
                                  ("told and not known", self.deaf)):  # fmt: skip
                if counter[lane]:
                    found.append(f"{name}: {counter[lane]} {what}")
            if isinstance(KINDS[lane].guarantee, Query) and self.to_the_truth[lane] < n * 0.999:
                found.append(f"{name}: only {self.to_the_truth[lane]} of {n} settled to the truth in 5 minutes")
            if self.abandoned[lane] > self.interrupted[lane]:
                found.append(f"{name}: {self.abandoned[lane]} abandoned of {self.interrupted[lane]} interrupted attempts")
        if self.not_taken["push"]:
            found.append(f"K, a day: {self.not_taken['push']} never arrived")
        if self.contradicting:
            found.append(f"{len(self.contradicting)} states contradict the truth: {self.contradicting[:3]}")
        return found

    def lines(self) -> list[str]:
        """One line per guarantee, with counts."""
        found = [f"ambiguous: {sum(self.cases.values())} messages, {self.attempts} attempts, {sum(self.interrupted.values())} interrupted"]
        for lane, n in self.cases.items():
            line = f"{KINDS[lane].name}: {n} messages, {self.lost[lane]} lost, {self.double[lane]} double, "
            line += f"{self.abandoned[lane]} abandoned of {self.interrupted[lane]} interrupted attempts, "
            line += f"{self.invisible[lane]} not shown, {self.deaf[lane]} told and not known"
            if isinstance(KINDS[lane].guarantee, Query):
                line += f", {self.to_the_truth[lane] / n:.3%} settled to the truth in 5 minutes"
            found.append(line)
        return [*found, f"states that contradict the truth: {len(self.contradicting)}"]
