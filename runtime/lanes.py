"""The daemon's senders: every lane has its own loop and its own connections, so that a slow vendor delays no other.

A lane's turn is one transaction: what came back is recorded (T4 to T7), what was claimed in the turn before is begun (T3), and the next
messages are claimed (T1). The rescuer (T2, T9, T11) is a thread of its own and waits for no lane.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import structlog

from channels.message import Fault, Outcome, Query, RetryLater
from journeys.duration import SECOND
from runtime.attempt import Attempt, Claimed, Delivered, LaneRules
from runtime.clock import Clock
from runtime.deliver import Delivery
from runtime.store import DatabaseError
from runtime.store.flow import shares
from runtime.store.ledger_rows import LedgerRow
from runtime.store.writer import LEDGER, Closed

log = structlog.get_logger("journeyd.lanes")
GATHER = 0.005  # seconds that answers wait for others to be recorded with: what came during the last commit is there already
IDLE = 5.0  # seconds after which a lane without work looks again
AFTER_FAILURE = 1.0
STOP_WITHIN = 3.0  # seconds that a stop waits for vendors
RESCUE_EVERY = 1.0
ASKERS = 2  # threads of a lane that ask its vendor what became of attempts
MOST_ASKED = 50  # of one lane at once: one slow vendor must not hide what others are to be asked
STRAYS_EVERY = 10 * SECOND
Told = Callable[[Delivered], None]


class _Connections:
    """As many at once as `limit` says, which may change while some wait."""

    def __init__(self, limit: int) -> None:
        self._limit, self._busy, self._changed = limit, 0, threading.Condition()

    def resize(self, limit: int) -> None:
        """Another daemon has come or gone."""
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    def __enter__(self) -> None:
        with self._changed:
            while self._busy >= self._limit:
                self._changed.wait()
            self._busy += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify()


class Lane:
    """One adapter's threads. `wake` when there is something to send; `connections` may change while it runs."""

    def __init__(self, delivery: Delivery, name: str, clock: Clock, told: Told) -> None:
        self.delivery, self.name, self.clock, self.told = delivery, name, clock, told
        self.connections = self.most = delivery.flows.get(name, LaneRules()).concurrency
        self._free = _Connections(self.most)
        self._pool = ThreadPoolExecutor(self.most, f"journeyd-{name}")
        self._answers: queue.SimpleQueue[tuple[Attempt, Outcome] | None] = queue.SimpleQueue()
        self._sending: dict[Future[None], Attempt] = {}
        self._unrecorded: list[tuple[Attempt, Outcome]] = []
        self._claimed = Claimed()
        self._in_hand = 0
        self._closed_until = 0  # the vendor has just said "not now" to everybody
        self._halt = threading.Event()
        self._questions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._askers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name=f"journeyd-lane-{name}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to send."""
        self._answers.put(None)

    def ask(self, task: Callable[[], None]) -> None:
        """Have a question to the vendor asked, beside the sends and never instead of them."""
        if not self._askers:
            names = [f"journeyd-ask-{self.name}-{n}" for n in range(ASKERS)]
            self._askers = [threading.Thread(target=self._ask_always, name=name, daemon=True) for name in names]
            for thread in self._askers:  # daemons: a stop does not wait for a vendor that thinks
                thread.start()
        self._questions.put(task)

    def _ask_always(self) -> None:
        while not self._halt.is_set():
            try:
                self._questions.get(timeout=1.0)()
            except queue.Empty:
                continue

    def share(self, connections: int) -> None:
        """Use so many connections from now on."""
        if connections != self.connections:
            self.connections = connections
            self._free.resize(connections)

    def stop(self) -> None:
        """Begin nothing more; what was begun and not sent goes back, what is on its way is waited for, for a while."""
        self._halt.set()
        self.wake()
        self._thread.join(STOP_WITHIN)
        end = time.monotonic() + STOP_WITHIN
        for future, attempt in list(self._sending.items()):
            if future.cancel():
                self._answers.put((attempt, RetryLater(SECOND, "the daemon stopped before it was sent", own=False)))
        while self._in_hand and time.monotonic() < end:
            self._gather(min(0.1, max(end - time.monotonic(), 0)))
            self._record_last()
        self._put_back()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _put_back(self) -> None:
        """What was claimed and not begun is free for another daemon at once."""
        rows, self._claimed = self._claimed.rows, Claimed()
        if rows:
            ledger, now = self.delivery.store.ledger, self.clock.now()
            self.delivery.store.database.write(
                lambda tx: [ledger.put_back(tx, r, "CLAIMED", now, "the daemon stopped") for r in rows], LEDGER
            )

    def _record_last(self) -> None:
        outcomes, done = self._unrecorded, Delivered()
        if not outcomes:
            return
        try:
            self.delivery.store.database.write(lambda tx: self.delivery.finish(tx, outcomes, self.clock.now(), done), LEDGER)
        except DatabaseError:
            self._halt.wait(0.1)
            time.sleep(0.1)
            return
        self._unrecorded = []
        self._in_hand -= len(outcomes)
        self.told(done)

    # --- the loop

    def _run(self) -> None:
        while not self._halt.is_set():
            try:
                wait = self._turn()
            except Closed:
                return
            except DatabaseError as error:
                log.warning("a lane could not write; it is tried again", action="lane_failed", lane=self.name, error=type(error).__name__)
                self._halt.wait(AFTER_FAILURE)
            except Exception:  # a lane that dies would strand its messages
                log.exception("a lane failed; it is tried again", action="lane_failed", lane=self.name)
                self._halt.wait(AFTER_FAILURE)
            else:
                self._gather(wait)

    def _turn(self) -> float:
        """One transaction; returns how many seconds may be waited for before the next."""
        delivery, now, done = self.delivery, self.clock.now(), Delivered()
        outcomes, claimed, attempts = self._unrecorded, self._claimed, list[Attempt]()
        after = self._in_hand - len(outcomes)
        room = max(self.connections + self._ahead - after, 0)
        starting, waiting = replace(claimed, rows=claimed.rows[:room]), claimed.rows[room:]
        wanted = max(self.connections // 2, 1) - len(waiting) if not claimed.probes else 0
        if starting.rows:
            delivery.fetch_keys(starting.rows, now, done)

        def unit(tx: Any) -> Claimed:
            if outcomes:
                delivery.finish(tx, outcomes, now, done)
            if starting.rows:
                attempts.extend(delivery.begin(tx, starting, now, done))
            return delivery.claim(tx, self.name, now, wanted) if wanted > 0 else Claimed()

        self._claimed = Claimed()  # were the transaction lost, their leases free them
        fresh = delivery.store.database.write(unit, LEDGER)
        self._unrecorded = []
        self._in_hand = after + len(attempts)
        self._claimed = Claimed((*waiting, *fresh.rows), fresh.probes | (claimed.probes & {row.key for row in waiting}), fresh.again_at)
        for attempt in attempts:
            self._sending[self._pool.submit(self._send, attempt)] = attempt
        for future in [f for f in self._sending if f.done()]:
            del self._sending[future]
        if done.total or done.alarms:
            self.told(done)
        return self._until_next(fresh, now)

    @property
    def _ahead(self) -> int:
        """How many are begun beyond the connections, so that a connection never waits for the database.

        Of 32 connections to a vendor 50 ms away with half as many more, a commit under load left some idle (0.85 of what they
        allow; with three quarters 0.92). More would be in doubt after a crash without having been sent.
        """
        return max(self.connections * 3 // 4, 1)

    def _until_next(self, fresh: Claimed, now: int) -> float:
        if self._claimed.rows and self._in_hand < self.connections + self._ahead:
            return 0.0
        if fresh.again_at > now:
            return min((fresh.again_at - now) / 1000, IDLE)
        if self._claimed.rows or self._in_hand:
            return IDLE  # an answer wakes it
        with self.delivery.store.database.reading() as tx:
            at = self.delivery.store.ledger.next_work(tx, self.name)
        if at is None:
            return IDLE
        return min(max((at - self.clock.now()) / 1000, 0.02), IDLE)

    def _gather(self, seconds: float) -> None:
        """Wait for answers (or a wake-up), then a moment longer for others to be recorded with them."""
        end = time.monotonic() + seconds
        enough = max(self._ahead * 3 // 4, 1)
        while len(self._unrecorded) < enough:
            try:
                item = self._answers.get(timeout=max(end - time.monotonic(), 0)) if end > time.monotonic() else self._answers.get_nowait()
            except queue.Empty:
                return
            if item is None:
                end = min(end, time.monotonic())  # something to send: no more waiting
                continue
            if not self._unrecorded:
                end = min(end, time.monotonic() + GATHER)
            self._unrecorded.append(item)
        while True:
            try:
                item = self._answers.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                self._unrecorded.append(item)

    def _send(self, attempt: Attempt) -> None:
        if not attempt.probe and self.clock.now() < self._closed_until:
            outcome: Outcome = RetryLater(SECOND, "the channel has just been held", own=False)
        else:
            with self._free:
                outcome = self.delivery.send_one(attempt)
        if (isinstance(outcome, RetryLater) and outcome.whole_channel) or (isinstance(outcome, Fault) and outcome.scope == "channel"):
            self._closed_until = self.clock.now() + SECOND  # by then the claims know
        self._answers.put((attempt, outcome))


class Lanes:
    """All lanes of a daemon, and the rescuer. `daemon_id` is this process's sign of life among the daemons of the database."""

    def __init__(self, delivery: Delivery, clock: Clock, daemon_id: str, told: Told) -> None:
        self.delivery, self.clock, self.daemon_id, self.told = delivery, clock, daemon_id, told
        self.lanes = {name: Lane(delivery, name, clock, told) for name in delivery.channels}
        self.last_rescue = clock.now()
        self._asked: dict[str, str] = {}  # keys that are being asked about, and their lanes
        self._strays_at = 0
        self._stop = threading.Event()
        self._rescuer = threading.Thread(target=self._rescue_always, name="journeyd-rescuer", daemon=True)

    def start(self) -> None:
        """Take over what a dead predecessor held, then begin. Beside other daemons, first let them make room."""
        self.delivery.take_over(self.clock.now())
        flow = self.delivery.store.flow
        self.delivery.store.database.write(lambda tx: flow.prepare(tx, sorted(self.lanes)), LEDGER)
        if self._beat() > 1:
            self._stop.wait(2 * RESCUE_EVERY)
        for lane in self.lanes.values():
            lane.start()
        self._rescuer.start()

    def wake(self, names: set[str] | None = None) -> None:
        """There may be something to send on these lanes (or on any)."""
        for name, lane in self.lanes.items():
            if names is None or name in names:
                lane.wake()

    def stop(self) -> None:
        """Stop gracefully: no lane waits longer than a few seconds for its vendor."""
        self._stop.set()
        threads = [threading.Thread(target=lane.stop) for lane in self.lanes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._rescuer.join(STOP_WITHIN)
        self.delivery.store.database.write(lambda tx: self.delivery.store.flow.leave(tx, self.daemon_id), LEDGER)

    # --- the rescuer

    def _beat(self) -> int:
        flow = self.delivery.store.flow
        living = self.delivery.store.database.write(lambda tx: flow.beat(tx, self.daemon_id, self.clock.now()), LEDGER)
        for lane in self.lanes.values():
            lane.share(shares(lane.most, living))
        return living

    def _rescue_always(self) -> None:
        while not self._stop.wait(RESCUE_EVERY):
            try:
                self._beat()
                self._rescue(self.clock.now())
            except Closed:
                return
            except DatabaseError as error:
                log.warning("the rescuer could not write; it is tried again", action="rescue_failed", error=type(error).__name__)
            except Exception:  # without a rescuer nothing interrupted is ever settled
                log.exception("the rescuer failed; it is tried again", action="rescue_failed")

    def _rescue(self, now: int) -> None:
        done = Delivered()
        self.delivery.rescue(now, done)
        if now - self._strays_at >= STRAYS_EVERY:  # of lanes that config does not name any more
            self._strays_at = now
            strays = self.delivery.store.database.write(lambda tx: self.delivery.claim(tx, None, now, 100), LEDGER)
            self.delivery.round(strays, now, done)
        waiting = Counter(self._asked.values())
        for row in self.delivery.unknowns(now, 1000, [lane for lane, n in waiting.items() if n >= MOST_ASKED]):
            channel, lane = self.delivery.channels.get(row.lane), self.lanes.get(row.lane)
            if lane is None or channel is None or not isinstance(channel.guarantee, Query):
                self._settle(row, now, done)
            elif row.key not in self._asked and waiting[row.lane] < MOST_ASKED:
                self._asked[row.key] = row.lane
                waiting[row.lane] += 1
                lane.ask(lambda row=row: self._ask(row))  # type: ignore[misc]
        self.last_rescue = now
        if done.total:
            self.told(done)
            self.wake()

    def _settle(self, row: LedgerRow, now: int, done: Delivered) -> None:
        """A message that cannot be settled costs itself, never those after it, nor the thread that asks."""
        try:
            self.delivery.resolve_one(row, now, done)
        except (Closed, DatabaseError):
            raise
        except Exception:
            log.exception("a message could not be settled; it is tried again", action="settle_failed", lane=row.lane, key=row.key)

    def _ask(self, row: LedgerRow) -> None:
        done = Delivered()
        try:
            self._settle(row, self.clock.now(), done)
        except (Closed, DatabaseError) as error:
            log.warning("a lookup could not be recorded; it is asked again", action="lookup_failed", error=type(error).__name__)
        finally:
            self._asked.pop(row.key, None)
        if done.total:
            self.told(done)
