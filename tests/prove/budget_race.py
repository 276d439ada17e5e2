"""Two senders race for the last units of a benefit: two processes on PostgreSQL, two threads of one process on SQLite.

    python -m tests.prove.budget_race URL [careless]        one racer; commands on standard input, an answer each

A round makes more grants than there are units left. Each racer claims its half, then both begin at the same moment, one grant or
several in a transaction: the unit is reserved in the transaction of the intent. The vendor says yes, no (the unit goes back) or nothing anybody understands (it is kept).
"""

import hashlib
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from sqlalchemy import select, update

from channels.message import Accepted, Message, Neither, Outcome, Rejected, Unknown
from runtime.clock import SystemClock
from runtime.deliver import Claimed, Delivered, Delivery
from runtime.engine import Engine
from runtime.policy import Rules
from runtime.state import NewMessage
from runtime.store import SqlStore, open_store
from runtime.store.tables import budgets, messages
from runtime.store.writer import LEDGER
from tests.town import WORLD, ZONE

BENEFIT, LANE = "gift", "grant:gift"
LEAD = 0.01  # seconds until both begin


class Lottery:
    """A vendor that decides by the message's key: mostly yes, sometimes no, sometimes nothing that can be understood."""

    guarantee = Neither()
    one_at_a_time = False
    timeout = 1_000

    def __init__(self) -> None:
        self.said: Counter[str] = Counter()

    def send(self, message: Message) -> Outcome:
        drawn = hashlib.blake2b(message.key.encode()).digest()[0]
        outcome: Outcome = Rejected("no") if drawn < 30 else Unknown("?") if drawn < 60 else Accepted("yes")
        self.said[type(outcome).__name__] += 1
        return outcome

    def look_up(self, message: Message) -> Unknown:
        return Unknown()


class Racer:
    """A daemon's delivery, driven step by step."""

    def __init__(self, store: SqlStore, *, careless: bool = False) -> None:
        self.store, self.clock, self.vendor = store, SystemClock(), Lottery()
        self.delivery = Delivery(store, Engine(store, WORLD, ZONE, Rules()), {LANE: self.vendor}, Rules(), ZONE, clock=self.clock)
        self.claimed = Claimed()
        if careless:
            store.budgets.reserve = self._reserve_carelessly  # type: ignore[method-assign]

    @staticmethod
    def _reserve_carelessly(tx: Any, benefit: str) -> bool:
        """The planted bug: look whether there is one left, then take it."""
        row = tx.execute(select(budgets).where(budgets.c.benefit == benefit)).one()
        if row.reserved + row.issued >= row.total:
            return False
        tx.execute(update(budgets).where(budgets.c.benefit == benefit).values(reserved=budgets.c.reserved + 1))
        return True

    def claim(self, n: int) -> int:
        self.claimed = self.store.database.write(lambda tx: self.delivery.claim(tx, LANE, self.clock.now(), n), LEDGER)
        return len(self.claimed.rows)

    def run(self, at: int, piece: int) -> Counter[str]:
        """From the intents on, at an instant of the monotonic clock, so many in one transaction; returns what the vendor said."""
        self.vendor.said.clear()
        rows = self.claimed.rows
        while time.monotonic_ns() < at:
            pass
        for begin in range(0, len(rows), piece):
            self.delivery.round(Claimed(rows[begin : begin + piece]), self.clock.now(), Delivered())
        return Counter(self.vendor.said)


def race_on_command(url: str, *, careless: bool) -> int:
    """A racer in a process of its own: `claim N` and `run NANOSECONDS PIECE`."""
    store = open_store(url, ZONE, "daemon")
    racer = Racer(store, careless=careless)
    print("ready", flush=True)
    for line in sys.stdin:
        what, *numbers = line.split()
        if what == "claim":
            print(racer.claim(int(numbers[0])), flush=True)
        else:
            said = racer.run(int(numbers[0]), int(numbers[1]))
            print(said["Accepted"], said["Unknown"], said["Rejected"], flush=True)
    store.close()
    return 0


class RacerProcess:
    """The other end of it."""

    def __init__(self, url: str, *, careless: bool) -> None:
        command = [sys.executable, "-m", "tests.prove.budget_race", url, *(["careless"] if careless else [])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._answer() == "ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def claim(self, n: int) -> int:
        return int(self._ask(f"claim {n}"))

    def run(self, at: int, piece: int) -> Counter[str]:
        numbers = map(int, self._ask(f"run {at} {piece}").split())
        return Counter(dict(zip(("Accepted", "Unknown", "Rejected"), numbers, strict=True)))


@dataclass
class Race:
    """What all rounds came to. `overshoot` counts units beyond a budget, by the books or by what the vendor was asked to give."""

    rounds: int = 0
    units: int = 0
    grants: int = 0
    contested: int = 0  # rounds in which both racers asked the vendor
    said: Counter[str] = field(default_factory=Counter)
    overshoot: int = 0
    books: str = ""

    def summary(self, name: str) -> str:
        s = self.said
        return (
            f"{name}: {self.rounds} races of two for the last units of a budget: {self.grants} grants for {self.units} units; both asked the "
            f"vendor in {self.contested}; it said {s['Accepted']} yes, {s['Unknown']} unclear, {s['Rejected']} no; {self.books}; overshoot {self.overshoot}"
        )


def race(store: SqlStore, racers: list[Any], rounds: int, seed: int = 5) -> Race:
    """Round after round: the budget is raised by a few units, more grants than that are planned, and both begin at once."""
    draw, result = random.Random(seed), Race()
    for number in range(rounds):
        units, grants = draw.randint(1, 5), draw.randint(6, 12)
        _plan(store, number, grants, units)
        for racer in racers:
            racer.claim((grants + 1) // 2)
        how = time.monotonic_ns() + round(LEAD * 1e9), draw.choice((1, 1, 2, grants))
        said = _together([partial(racer.run, *how) for racer in racers])
        total, reserved, issued = _books(store)
        result.rounds, result.units, result.grants = number + 1, result.units + units, result.grants + grants
        result.contested += all(sum(mine.values()) for mine in said)
        for mine in said:
            result.said += mine
        # What was asked for and not refused may have been given: never more than there are units, and never other than the books say.
        given = result.said["Accepted"] + result.said["Unknown"]
        result.overshoot += max(reserved + issued - total, 0) + max(given - total, 0)
        assert (issued, reserved) == (result.said["Accepted"], result.said["Unknown"]), "the books differ from what the vendor said"
        result.books = f"{issued} issued + {reserved} reserved of {total}"
    return result


def _plan(store: SqlStore, number: int, grants: int, units: int) -> None:
    now = SystemClock().now()
    made = [
        NewMessage(f"{number:016d}{n:016d}", "grant", "gift", 1, f"u{n}", BENEFIT, None, "service", None, 50, 0, now, None, {})
        for n in range(grants)
    ]
    _, reserved, issued = _books(store)

    def plan(tx: Any) -> None:
        store.budgets.set_totals(tx, {BENEFIT: reserved + issued + units})
        tx.execute(update(messages).where(messages.c.state == "PENDING").values(state="SUPPRESSED"))
        store.ledger.add_messages(tx, [store.ledger.row_of(m, 1, m.user_id, "j", 1, now) for m in made])

    store.database.write(plan, LEDGER)


def _books(store: SqlStore) -> tuple[int, int, int]:
    with store.database.reading() as tx:
        row = tx.execute(select(budgets).where(budgets.c.benefit == BENEFIT)).one_or_none()
    return (row.total, row.reserved, row.issued) if row is not None else (0, 0, 0)


def _together(tasks: list[Callable[[], Counter[str]]]) -> list[Counter[str]]:
    found: list[Counter[str]] = [Counter() for _ in tasks]

    def run(index: int) -> None:
        found[index] = tasks[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def on_postgres(url: str, rounds: int, *, careless: bool = False) -> Race:
    """Two processes; this one plans and keeps the score."""
    store = open_store(url, ZONE, "daemon")
    try:
        with RacerProcess(url, careless=careless) as one, RacerProcess(url, careless=careless) as other:
            return race(store, [one, other], rounds)
    finally:
        store.close()


def on_sqlite(url: str, rounds: int) -> Race:
    """Two threads of the one process that SQLite allows."""
    store = open_store(url, ZONE, "daemon")
    try:
        return race(store, [Racer(store), Racer(store)], rounds)
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(race_on_command(sys.argv[1], careless="careless" in sys.argv[2:]))
