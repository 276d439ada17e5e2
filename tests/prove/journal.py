"""What each life of a daemon took into its hands, told apart from what every other life did: one small file per process.

    c NANOSECONDS KEY TOKEN   claimed, written inside the transaction
    b NANOSECONDS KEY TOKEN   begun, written inside the transaction: (key, token) belongs to one life alone
    m NANOSECONDS KEY WHAT    moved on, written after the commit: begun anew, or an outcome recorded

The times are of the system's monotonic clock, which all processes share. A line is one write into a file opened for appending:
it survives the SIGKILL of its writer. Whether a row of the ledger was in the hands of a dead life is then a plain comparison.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runtime.app import App


class Journal:
    """The file of this life."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        name = f"{time.monotonic_ns():020d}-{os.getpid()}.log"
        self._file = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, kind: str, items: Iterable[tuple[str, object]]) -> None:
        """One line each, in one write."""
        at = time.monotonic_ns()
        text = "".join(f"{kind} {at} {key} {more}\n" for key, more in items)
        if text:
            os.write(self._file, text.encode())


def keep(app: App, folder: Path) -> None:
    """Keep the journal of a daemon: wrap what claims, begins, finishes and settles. Nothing else about them changes."""
    journal, delivery, database, hand = Journal(folder), app.delivery, app.store.database, threading.local()
    claim, begin, finish, settle, write = delivery.claim, delivery.begin, delivery.finish, delivery.settling.settle, database.write

    def moved(key: str, what: str) -> None:
        getattr(hand, "moved", []).append((key, what))

    def noting_claim(*args: Any, **kwargs: Any) -> Any:
        found = claim(*args, **kwargs)
        journal.note("c", [(row.key, row.token) for row in found.rows])
        return found

    def noting_begin(*args: Any) -> Any:
        attempts = begin(*args)
        journal.note("b", [(attempt.row.key, attempt.row.token) for attempt in attempts])
        for attempt in attempts:
            moved(attempt.row.key, "begun")
        return attempts

    def noting_finish(tx: Any, outcomes: Any, *args: Any) -> None:
        finish(tx, outcomes, *args)
        for attempt, outcome in outcomes:
            moved(attempt.row.key, type(outcome).__name__)

    def noting_settle(tx: Any, row: Any, *args: Any) -> str:
        what = settle(tx, row, *args)
        if what != "waiting":
            moved(row.key, what)
        return what

    def noting_write(unit: Any, *args: Any) -> Any:
        mine: list[tuple[str, str]] = []

        def noted(tx: Any) -> Any:
            mine.clear()
            hand.moved = mine
            try:
                return unit(tx)
            finally:
                del hand.moved

        result = write(noted, *args)
        journal.note("m", mine)
        return result

    delivery.claim, delivery.begin, delivery.finish, database.write = noting_claim, noting_begin, noting_finish, noting_write  # type: ignore[method-assign]
    object.__setattr__(delivery.settling, "settle", noting_settle)


# --- read afterwards, by the loop


def held_by(folder: Path, pid: int) -> set[tuple[str, int]]:
    """The (key, token) pairs that the latest life with this process id has claimed."""
    return {(parts[2], int(parts[3])) for parts in _lines(folder, pid) if parts[0] in "cb"}


def moved_by(folder: Path, pid: int, keys: frozenset[str]) -> list[int]:
    """When the latest life with this process id moved one of these on (nanoseconds)."""
    return [int(parts[1]) for parts in _lines(folder, pid) if parts[0] == "m" and parts[2] in keys]


def _lines(folder: Path, pid: int) -> list[list[str]]:
    files = sorted(folder.glob(f"*-{pid}.log"))
    lines = (line.split() for line in files[-1].read_text().splitlines()) if files else ()
    return [parts for parts in lines if len(parts) == 4]


def moves(folder: Path) -> dict[str, list[tuple[int, int, int]]]:
    """Key → every move of that message in order: when, by which process, and when the life of that process began (nanoseconds)."""
    found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for file in folder.glob("*.log"):
        began, _, pid = file.stem.partition("-")
        for line in file.read_text().splitlines():
            parts = line.split()
            if len(parts) == 4 and parts[0] == "m":
                found[parts[2]].append((int(parts[1]), int(pid), int(began)))
    for times in found.values():
        times.sort()
    return found
