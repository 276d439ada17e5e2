"""One thread owns the only write connection: units wait in a bounded queue, are committed in groups, answered after.

A unit is a function of the connection. In a group each runs in a savepoint, so that one that fails takes no other with it.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")
Item = TypeVar("Item")
Unit = Callable[[Connection], T]
INTAKE, LEDGER, ENGINE = 0, 1, 2  # the order in which waiting units are taken
MOST_IN_A_GROUP = 64
QUEUE_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Together(Generic[Item, T]):
    """A unit that is done for several items in one call. Its result has one for each: what came of it, or the error that it met.

    When the call fails each item is done alone, so that one costs itself only.
    """

    work: Callable[[Connection, list[Item]], list[T]]
    items: list[Item]

    def __call__(self, connection: Connection) -> list[T | Exception]:
        """Do the items, in savepoints. Raises what cost the whole transaction."""
        try:
            with connection.begin_nested():
                return self.at_once(connection)
        except Exception as error:
            if _lost(connection):  # a full disk takes everything: nobody may be told that all is well
                raise
            if len(self.items) == 1:
                return [error]
        return [found for item in self.items for found in Together(self.work, [item])(connection)]

    def at_once(self, connection: Connection) -> list[T | Exception]:
        """Do all items, or none: raises what any of them met."""
        return list(self.work(connection, self.items))


class _Shared:
    """The futures of neighbours that were done as one: each is told of its own items."""

    def __init__(self, parts: "list[tuple[int, Future[Any]]]") -> None:
        self._parts = parts

    def set_result(self, results: list[Any]) -> None:
        done = 0
        for size, future in self._parts:
            future.set_result(results[done : done + size])
            done += size

    def set_exception(self, error: BaseException) -> None:
        for _, future in self._parts:
            future.set_exception(error)


class Closed(RuntimeError):
    """The store was closed before the unit ran."""


_Told = Future[Any] | _Shared


class Writer(Protocol):
    """Runs units of writing."""

    def submit(self, unit: Unit[T], rank: int = ENGINE) -> "Future[T]":
        """Queue a unit; the future is done after the commit."""

    def close(self) -> None:
        """Finish what is queued and stop."""


class InlineWriter:
    """Runs each unit at once on the caller's connection: virtual time, tests, short commands."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, unit: Unit[T], rank: int = ENGINE) -> "Future[T]":  # noqa: ARG002 - nothing waits here
        """Run the unit and commit."""
        future: Future[T] = Future()
        try:
            result = unit(self._connection)
            self._connection.commit()
        except BaseException as error:  # noqa: BLE001 - the caller gets it from the future
            self._connection.rollback()
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def close(self) -> None:
        """Nothing is queued."""


class ThreadWriter:
    """The writer thread. `after_group` is called with the connection between groups (checkpoints)."""

    def __init__(self, engine: Engine, after_group: Callable[[Connection, int], None] | None = None) -> None:
        self._engine = engine
        self._after_group = after_group
        self._queue: queue.PriorityQueue[tuple[int, int, Unit[Any] | None, Future[Any] | None]] = queue.PriorityQueue(QUEUE_LENGTH)
        self._numbers = count()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="journeyd-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Unit[T], rank: int = ENGINE) -> "Future[T]":
        """Queue a unit; blocks while the queue is full."""
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(Closed("the store is closed"))
            return future
        self._queue.put((rank, next(self._numbers), unit, future))
        self._refuse_what_is_late()
        return future

    def _refuse_what_is_late(self) -> None:
        """What was put just as the writer was closed may have come after its thread had ended: nobody else would ever answer."""
        if self._closed:
            self._thread.join()
            with contextlib.suppress(queue.Empty):
                while True:
                    *_, late = self._queue.get_nowait()
                    if late is not None and late.set_running_or_notify_cancel():
                        late.set_exception(Closed("the store is closed"))

    def close(self) -> None:
        """Finish what is queued and stop the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put((99, next(self._numbers), None, None))
            self._thread.join()

    def _run(self) -> None:
        groups = 0
        stop = False
        while not stop:
            group: list[tuple[Unit[Any], Future[Any]]] = []
            stop = self._collect(group, block=True)
            while not stop and _size(group) < MOST_IN_A_GROUP and not self._queue.empty():
                stop = self._collect(group, block=False)
            if group:
                groups += 1
                self._commit(_joined(group), groups)

    def _collect(self, group: list[tuple[Unit[Any], Future[Any]]], *, block: bool) -> bool:
        """Take one unit; True when it was the sign to stop."""
        try:
            _, _, unit, future = self._queue.get(block=block)
        except queue.Empty:
            return False
        if unit is None or future is None:
            return True
        if future.set_running_or_notify_cancel():  # from here on nobody can cancel it: it is committed and told, or neither
            group.append((unit, future))
        return False

    def _commit(self, group: "list[tuple[Unit[Any], _Told]]", number: int) -> None:
        done: list[tuple[_Told, Any]] = []
        try:
            with self._engine.connect() as connection:
                if len(group) > 1 or not self._run_alone(connection, *group[0], done):
                    with connection.begin():
                        for unit, future in group:
                            self._run_unit(connection, unit, future, done)
                for future, result in done:
                    future.set_result(result)
                if self._after_group is not None:
                    self._after_group(connection, number)
        except Exception as error:  # noqa: BLE001 - the commit failed: everybody in the group is told
            for _, future in group:
                with contextlib.suppress(Exception):
                    future.set_exception(error)

    @staticmethod
    def _run_alone(connection: Connection, unit: Unit[Any], future: "_Told", done: "list[tuple[_Told, Any]]") -> bool:
        """A unit that is the whole group needs no savepoint: the transaction is its own. False when its items have to be done singly."""
        try:
            with connection.begin():
                result = unit.at_once(connection) if isinstance(unit, Together) else unit(connection)
        except Exception:
            if isinstance(unit, Together):
                return False
            raise
        done.append((future, result))
        return True

    @staticmethod
    def _run_unit(connection: Connection, unit: Unit[Any], future: "_Told", done: "list[tuple[_Told, Any]]") -> None:
        try:
            if isinstance(unit, Together):  # it has savepoints of its own
                result = unit(connection)
            else:
                with connection.begin_nested():
                    result = unit(connection)
        except Exception as error:
            future.set_exception(error)
            if _lost(connection):  # a full disk takes the whole transaction: nobody may be told that all is well
                raise
        else:
            done.append((future, result))


def _joined(group: list[tuple[Unit[Any], Future[Any]]]) -> "list[tuple[Unit[Any], _Told]]":
    """The group with neighbours that do the same as one unit: its statements are made once for all of their items."""
    joined: list[tuple[Unit[Any], _Told]] = []
    for work, run in groupby(group, lambda one: one[0].work if isinstance(one[0], Together) else None):
        units = list(run)
        parts = [(unit.items, future) for unit, future in units if isinstance(unit, Together)]
        if work is None or len(parts) == 1:
            joined += units
        else:
            items = [item for mine, _ in parts for item in mine]
            joined.append((Together(work, items), _Shared([(len(mine), future) for mine, future in parts])))
    return joined


def _size(group: list[tuple[Unit[Any], Future[Any]]]) -> int:
    return sum(len(unit.items) if isinstance(unit, Together) else 1 for unit, _ in group)


def _lost(connection: Connection) -> bool:
    """Whether SQLite has ended the transaction by itself (SQLITE_FULL, SQLITE_IOERR, SQLITE_NOMEM do)."""
    return getattr(connection.connection.dbapi_connection, "in_transaction", True) is False
