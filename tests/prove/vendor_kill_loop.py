"""Kill the real daemon while it talks to stand-in vendors through the real adapters, then compare its ledger with what they took.

One daemon on SQLite, two on PostgreSQL, there with zombies as well: stopped for longer than a lease, then woken. The vendors are
a process of their own (vendors.py) that no kill touches. What was in a daemon's hands when it died is read from the ledger itself:
its rows in SENDING and CLAIMED whose token the dead life had noted in its journal (journal.py). The audit is vendor_audit.py.
"""

import contextlib
import mmap
import os
import random
import signal
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import requests

from tests.prove import journal
from tests.prove.kill_loop import Nursery, _reading
from tests.prove.vendor_town import Poster, free_port, make_project
from tests.prove.vendors import Vendors

REST_EVERY = 5  # after every fifth kill that left work in hand nobody is killed until some of it is taken up again,
RESTED = 25.0  # or so many seconds are over
STOPPED = 12.0  # seconds that a zombie sleeps: longer than a claim's lease of ten


# --- the daemons


def first_at_work(slots: "list[Slot]", seconds: float, at_least: int = 1) -> "Slot":
    """Whichever has so many attempts on their way first; the first of them where none has in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for slot in slots:
            if slot.sending >= at_least:
                return slot
        time.sleep(0.0005)
    return slots[0]


class Slot:
    """The place of one daemon: its nursery, port and page. One life after the other lives in it."""

    def __init__(self, folder: Path, number: int, options: tuple[str, ...]) -> None:
        self.page_file, self.port, self.pid = folder / f"page{number}", free_port(), 0
        self.crashes: list[int] = []  # exit statuses of lives that had ended before they were killed
        self.page_file.write_bytes(bytes(4096))
        with self.page_file.open("r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        self.nursery = Nursery(folder, *options, page=self.page_file.name, JOURNEYD_SERVER__PORT=str(self.port))

    def start(self) -> int:
        """A new life; returns when (nanoseconds)."""
        self.page[:28] = bytes(28)
        at = time.monotonic_ns()
        self.pid = self.nursery.ask("start")
        return at

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        code = self.nursery.ask("wait")
        if code != -signal.SIGKILL:
            self.crashes.append(code)

    def end(self) -> int:
        """A graceful stop."""
        os.kill(self.pid, signal.SIGTERM)
        return self.nursery.ask("wait")

    def serves(self, seconds: float) -> bool:
        """Whether it answers within a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2).ok:
                    return True
            time.sleep(0.03)
        return False

    @property
    def sending(self) -> int:
        """How many attempts are on their way, by the page."""
        return int(struct.unpack("<III", self.page[16:28])[1])

    def close(self) -> None:
        with contextlib.suppress(AssertionError, OSError, ValueError):
            self.nursery.close()
        self.page.close()


@dataclass(frozen=True)
class Death:
    """A kill, or a SIGSTOP. Times are nanoseconds; `sending`, `claimed`: what was in its hands."""

    pid: int
    at: int
    since: int  # the restart; where another daemon lives, the death itself
    sending: frozenset[str]
    claimed: frozenset[str]
    zombie: bool = False
    undisturbed: bool = False  # no other kill before its first row moved on (or RESTED seconds were over)


@dataclass
class Loop:
    """A town, its vendors and its daemons on one database."""

    folder: Path
    url: str
    users: int
    vendors: Vendors
    daemons: int
    options: tuple[str, ...] = ()
    stopped: float = STOPPED
    deaths: list[Death] = field(default_factory=list)
    seconds: float = 0.0
    left_work: int = 0  # kills that left something in hand

    def __enter__(self) -> Self:
        make_project(self.folder, self.url, self.vendors)
        self.journal = self.folder / "journal"
        self.draw = random.Random(7)
        self.slots = [Slot(self.folder, n, ("--journal", str(self.journal), *self.options)) for n in range(self.daemons)]
        for slot in self.slots:  # one after the other: the first makes the tables
            slot.start()
            assert slot.serves(30), (self.folder / "run.log").read_text()[-2000:]
        self.poster = Poster(self.folder, self.users, [slot.port for slot in self.slots])
        self.poster.introduce()
        while not self._is_over():
            time.sleep(0.1)
        self.poster.thread.start()
        self.vendors.behave()
        return self

    def __exit__(self, *_: object) -> None:
        self.poster.stop()
        for slot in self.slots:
            slot.close()  # with its nursery every daemon of a slot dies (PR_SET_PDEATHSIG)

    def _note(self, slot: Slot) -> tuple[frozenset[str], frozenset[str]]:
        """The rows of the ledger that this life holds: its own tokens alone."""
        mine = journal.held_by(self.journal, slot.pid)
        with _reading(self.url) as ask:
            rows = list(ask("SELECT key, token, state FROM messages WHERE state IN ('CLAIMED', 'SENDING')"))
        held = {state: frozenset(key for key, token, s in rows if s == state and (key, token) in mine) for state in ("SENDING", "CLAIMED")}
        return held["SENDING"], held["CLAIMED"]

    def _kill(self, slots: list[Slot], aim: str) -> None:
        """SIGKILL to one of them: at any moment of a life, its start included; as soon as it has taken up what was left; or amid fresh work."""
        if aim == "random":
            slot = slots[0]
            self._release(1)
            time.sleep(self.draw.uniform(0.05, 2.5))
        else:
            if aim == "fresh":
                slots[0].serves(6)
            time.sleep(self.draw.uniform(0.05, 0.7))
            self._release(1)
            slot = first_at_work(slots, 2, at_least=self.draw.randint(1, 6) if aim == "fresh" else 1)
            time.sleep(self.draw.uniform(0.002, 0.03))
        pid = slot.pid
        slot.kill()
        at = time.monotonic_ns()
        sending, claimed = self._note(slot)
        again = slot.start()
        self.left_work += bool(sending or claimed)
        everybody_awake = len(slots) == self.daemons  # else a rest would let a zombie oversleep, and be no rest
        rest = everybody_awake and bool(sending or claimed) and self.left_work % REST_EVERY <= 1
        self.deaths.append(Death(pid, at, at if self.daemons > 1 else again, sending, claimed, undisturbed=rest))
        if rest:
            self._wait_until_resumed(sending | claimed, at)

    def _wait_until_resumed(self, keys: frozenset[str], died_at: int) -> None:
        end = time.monotonic() + RESTED
        while keys and time.monotonic() < end:
            if any(at > died_at for slot in self.slots for at in journal.moved_by(self.journal, slot.pid, keys)):
                return
            time.sleep(0.1)

    def _release(self, times: int) -> None:
        """More people sign up."""
        self.poster.allowed += self.each * times

    def _stop(self, slots: list[Slot]) -> tuple[Slot, float]:
        """Make a zombie of the first of them at work; returns it, and when to wake it."""
        self._release(3)
        slot = first_at_work(slots, 6)
        time.sleep(self.draw.uniform(0.002, 0.03))
        os.kill(slot.pid, signal.SIGSTOP)
        at = time.monotonic_ns()
        self.deaths.append(Death(slot.pid, at, at, *self._note(slot), zombie=True))
        return slot, time.monotonic() + self.stopped

    def kill_often(self, kills: int, zombies: int = 0) -> None:
        """A third each of the kills at random, at what was left, and at fresh work. While a zombie sleeps the other daemon is killed; woken, it outlives at least one kill.

        The last fifth waits for the last zombie to wake: only then is the other daemon there to take work up undisturbed.
        """
        began, killed, stopped = time.perf_counter(), 0, 0
        self.each = max(self.users // max(kills + 3 * zombies, 1), 1)
        asleep: tuple[Slot, float] | None = None
        while killed < kills or stopped < zombies or asleep:
            woken: Slot | None = None
            if asleep and time.monotonic() >= asleep[1]:
                os.kill(asleep[0].pid, signal.SIGCONT)
                asleep, woken = None, asleep[0]
            able = [slot for slot in self.slots if slot is not woken and not (asleep and slot is asleep[0])]
            turn = killed % max(len(able), 1)
            able = [*able[turn:], *able[:turn]]
            if stopped < zombies and asleep is None and woken is None:
                victim = self.slots[stopped % len(self.slots)]  # in turn: the other one may die meanwhile
                asleep = self._stop([victim])
                stopped += 1
            elif killed < (kills - kills // 5 if stopped < zombies or asleep else kills):
                self._kill(able, ("random", "left", "fresh")[killed % 3])
                killed += 1
            else:
                time.sleep(0.2 if asleep else 1.5)
        self.seconds = time.perf_counter() - began

    def finish(self, patience: float) -> bool:
        """Let the daemons live until every message is final; then stop them gracefully. False when patience runs out."""
        self.poster.allowed = self.users
        end = time.monotonic() + patience
        while not (self.poster.done and self._is_over()):
            if time.monotonic() > end or self.poster.problems:
                break
            time.sleep(0.5)
        over = self.poster.done and self._is_over()
        codes = [slot.end() for slot in self.slots]
        assert codes == [0] * len(codes), f"the graceful stops ended with {codes}"
        assert not self.poster.problems, self.poster.problems[:3]
        return over

    def _is_over(self) -> bool:
        with _reading(self.url) as ask:
            counts = [
                next(iter(ask(query)))[0]
                for query in (
                    "SELECT count(*) FROM messages WHERE state IN ('PENDING', 'CLAIMED', 'SENDING', 'UNKNOWN')",
                    "SELECT count(*) FROM inbox",
                    "SELECT count(*) FROM enrolments WHERE status = 0",
                )
            ]
        return not any(counts)
