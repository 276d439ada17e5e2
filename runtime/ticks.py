"""The engine's ticks: every second, at the next known time, and when something arrives; while requests come in they give way to them."""

import logging
import queue
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from journeys.localtime import to_datetime
from runtime.alarms import Alarms
from runtime.app import App
from runtime.attempt import Delivered
from runtime.engine import BATCH
from runtime.housekeeping import Counting, Housekeeping, Sweeping
from runtime.intake.tally import Tally
from runtime.lanes import Lanes
from runtime.store import DatabaseError
from runtime.store.writer import Closed

log = structlog.get_logger("journeyd")
T = TypeVar("T")
REGULAR_SECONDS = 1  # the ticks' own rhythm; work that is known wakes them earlier
CROWD = 8  # things that wait to be kept: from here on the engine gives way to them
REST_SECONDS = 0.1  # so long: timers are that much later at most
SHORT = 200  # of a batch meanwhile: its write makes them wait


class Ticks:
    """The engine's ticks: every second, at the next known time, and when something arrives. Deliveries have their own threads (lanes)."""

    def __init__(self, app: App, in_hand: Callable[[], int] = lambda: 0, tally: Tally | None = None) -> None:
        self.app, self._in_hand = app, in_hand  # how many things wait to be kept
        self.counts: dict[str, int] = {"engine": 0, "failed": 0}
        self.lanes = Lanes(app.delivery, app.clock, secrets.token_hex(16), self._told)
        self.alarms = Alarms(app)
        self.housekeeping = Housekeeping(app.store, app.engine, app.project.keep_events)
        self.counting = Counting(app.store, tally or Tally(), app.project.zone)
        self.sweeping = Sweeping(app.store, app.project.keep_quarantine)
        executors = {"default": ThreadPoolExecutor(4)}
        self.scheduler = BackgroundScheduler(executors=executors, timezone="UTC", job_defaults={"coalesce": True, "max_instances": 2})
        self._again = {"engine": threading.Event()}
        self._locks = {name: threading.Lock() for name in self._again}
        self._stopping = threading.Event()
        self._errands: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self.last_success: int = app.clock.now()

    def start(self) -> None:
        """Begin to tick."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self.lanes.start()
        arguments = ["engine", self._engine]
        self.scheduler.add_job(self._run, "interval", seconds=REGULAR_SECONDS, args=arguments, id="engine", misfire_grace_time=None)
        self.scheduler.start()
        self.wake("engine")

    def stop(self) -> None:
        """Let running ticks finish their batch; start no other."""
        self._stopping.set()
        self.scheduler.shutdown(wait=True)
        self.lanes.stop()
        with suppress(Closed, DatabaseError):
            self.counting.save()
        self._refuse_errands()

    def _refuse_errands(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._errands.get_nowait()[1].set_exception(Closed("the daemon stops"))

    def between(self, work: Callable[[], T]) -> "Future[T]":
        """Have something done by the engine's own thread between two ticks: nobody else works on users then."""
        done: Future[T] = Future()
        if self._stopping.is_set():
            done.set_exception(Closed("the daemon stops"))
        else:
            self._errands.put((work, done))
            self.wake("engine")
            if self._stopping.is_set():  # meanwhile: `stop` may have looked before this was put
                self._refuse_errands()
        return done

    def _run_errand(self) -> int:
        """One errand, before each tick: they delay nobody for longer than one batch does."""
        try:
            work, done = self._errands.get_nowait()
        except queue.Empty:
            return 0
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            done.set_exception(error)
        else:
            done.set_result(result)
        return 1

    def wake(self, name: str = "engine", at: int | None = None) -> None:
        """Tick now, or at a known instant."""
        if self._stopping.is_set():
            return
        if at is None:
            if self._again[name].is_set():  # somebody has asked for the same tick, which has not begun yet
                return
            self._again[name].set()
            if self._locks[name].locked():  # whoever ticks looks at the wish after it has let go of the lock
                return
        moment = to_datetime(self.app.clock.now() if at is None else at, self.app.project.zone)
        try:
            self.scheduler.modify_job(name, next_run_time=moment)
        except LookupError:  # stopping
            return

    def _run(self, name: str, tick: Callable[[int], int]) -> None:
        """Tick until nothing is left. One at a time: a second instance leaves its wish in `_again`, which the first looks at last."""
        took = 0
        while not self._stopping.is_set() and self._locks[name].acquire(blocking=False):
            try:
                took = self._until_idle(name, tick, took)
            finally:
                self._locks[name].release()
            if not self._again[name].is_set():
                return

    def _until_idle(self, name: str, tick: Callable[[int], int], took: int) -> int:
        """Tick until nothing is left; returns how long the last tick with any work in it took."""
        while not self._stopping.is_set():
            self._give_way(name, took)
            self._again[name].clear()
            began = self.app.clock.now()
            try:
                worked = tick(began)
            except Closed:
                break
            except DatabaseError as error:
                self._failed(name, error, with_trace=False)
                break
            except Exception as error:  # noqa: BLE001 - a tick that dies must not end the ticking
                self._failed(name, error, with_trace=True)
                break
            self.counts[name] += 1
            if not worked:
                self._sleep_until_next(name)
                break
            took = self.app.clock.now() - began
        return took

    def _give_way(self, name: str, took: int) -> None:
        """Requests go first: while they come in, the engine rests between two batches, and its batches become fuller.

        Where many wait to be kept as long as it may; else three times as long as the last batch `took` (milliseconds).
        """
        if self._in_hand() >= CROWD:
            self._stopping.wait(REST_SECONDS)
        elif self._again[name].is_set():
            self._stopping.wait(min(3 * took / 1000, REST_SECONDS))

    def _failed(self, name: str, error: Exception, *, with_trace: bool) -> None:
        self.counts["failed"] += 1
        log.error("a tick failed; it is tried again", action="tick_failed", tick=name, error=f"{type(error).__name__}: {error}"[:500],
                  exc_info=error if with_trace else None)  # fmt: skip

    def _engine(self, now: int) -> int:
        self.app.engine.refresh()
        errands = self._run_errand()
        worked = self.app.engine.tick(now, SHORT if self._in_hand() >= CROWD else BATCH)
        if worked.lanes:
            self.lanes.wake(worked.lanes)
        if worked.quarantined:
            log.warning("records were quarantined", action="quarantined", count=worked.quarantined)
        self.counting.turn(now)
        self.last_success = now
        total = worked.total + errands
        return total or self.housekeeping.turn(now) or self.sweeping.turn(now)

    def _told(self, done: Delivered) -> None:
        """A lane has done something: outcomes of grants and calls may wait in the inbox, and somebody may have to be alarmed."""
        if done.total:
            log.info("messages were worked on", action="delivered", **done.counts)
            self.wake("engine")
        for alarm in done.alarms:
            self.alarms.raise_(alarm)

    def _sleep_until_next(self, name: str) -> None:
        app = self.app
        try:
            at = app.engine.next_work()
        except DatabaseError:
            return
        now = app.clock.now()
        if at is not None and now < at < now + REGULAR_SECONDS * 1000:
            self.wake(name, at)
