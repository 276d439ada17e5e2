"""`journeyd run`, with its phase written into a shared page: what it was doing when it was killed can be read afterwards.

    python watched_daemon.py FOLDER PAGE LEASE_MS [LOG]

With LOG it is a nursery: it has imported everything and forks a daemon for each line on its standard input, so that a
life does not begin with two seconds of imports. Each is a process with a group of its own, killed by its own id.
The page outlives the process, and nothing but plain stores into it is added: the program decides and writes as always.
Byte 0 is the engine's phase, byte 1 the delivery's, bytes 8 to 16 count the engine's batches. The leases are shorter
than the real ones, so that the reaper and the resolver have their part within a short proof.
"""

import contextlib
import ctypes
import importlib
import mmap
import os
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import runtime.deliver
from runtime import cli
from runtime.app import App
from runtime.store.database import Batch

IDLE, CLAIMED, INTENDED, SENT = 0, 1, 2, 3
ENGINE, DELIVERY = 0, 1


class Page:
    """The shared page, from the daemon's side."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 4096)
        self.batches = 0
        self.memory[:16] = bytes(16)

    def set(self, lane: int, phase: int) -> None:
        self.memory[lane] = phase

    def batch(self) -> None:
        self.batches += 1
        self.memory[8:16] = struct.pack("<Q", self.batches)


def watch(app: App, page: Page) -> None:
    """Mark a batch as claimed when the engine has read something to work on, as idle when it is committed."""
    store, delivery = app.store, app.delivery

    def claims(owner: Any, name: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def marked(*args: Any, **kwargs: Any) -> Any:
            found = inner(*args, **kwargs)
            if found:
                page.batch()
                page.set(ENGINE, CLAIMED)
            return found

        setattr(owner, name, marked)

    claims(store.inbox, "waiting")
    claims(store.people, "claim_due")
    claims(store.people, "due_rechecks")
    claims(store.releases, "due_population")

    batch, write = store.database.batch, Batch.write

    @contextlib.contextmanager
    def marked_batch() -> Iterator[Batch]:
        with batch() as opened:
            yield opened
        page.set(ENGINE, IDLE)  # PostgreSQL commits here

    def marked_write(self: Batch, unit: Any) -> Any:
        result = write(self, unit)
        if store.database.is_sqlite:
            page.set(ENGINE, IDLE)  # SQLite has committed here
        return result

    store.database.batch, Batch.write = marked_batch, marked_write  # type: ignore[method-assign]

    intend, send, tick = delivery._intend, delivery._send, delivery.tick

    def marked_intend(*args: Any) -> Any:
        page.set(DELIVERY, CLAIMED)
        return intend(*args)

    def marked_send(*args: Any) -> Any:
        page.set(DELIVERY, INTENDED)
        outcomes = send(*args)
        page.set(DELIVERY, SENT)
        return outcomes

    def marked_tick(*args: Any, **kwargs: Any) -> Any:
        done = tick(*args, **kwargs)
        page.set(DELIVERY, IDLE)
        return done

    delivery._intend, delivery._send, delivery.tick = marked_intend, marked_send, marked_tick  # type: ignore[method-assign]


def main(folder: str, page: str, lease: str) -> int:
    runtime.deliver.LEASE, runtime.deliver.DEADLINE, runtime.deliver.CUT_OFF = int(lease), int(lease) // 2, int(lease) // 2
    build = cli.build_app

    def build_watched(*args: Any, **kwargs: Any) -> App:
        app = build(*args, **kwargs)
        watch(app, Page(Path(page)))
        return app

    cli.build_app = build_watched
    return cli.run(["run", "--config", folder, "--log-json"])


def nursery(folder: str, page: str, lease: str, log: str) -> int:
    """`start` → a daemon's process id; `wait` → its exit status, once it is dead."""
    for module in (
        "runtime.daemon",
        "uvicorn.protocols.http.httptools_impl",
        "uvicorn.lifespan.on",
        "uvloop",
        "psycopg",
        "alembic.command",
    ):
        importlib.import_module(module)
    child = 0
    for line in sys.stdin:
        if line.strip() == "start":
            child = os.fork()
            if child == 0:
                os.setsid()
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: an interrupted test leaves no daemon behind
                descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                for number, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, descriptor), (2, descriptor)):
                    os.dup2(source, number)
                os.environ["COLUMNS"] = "200"
                try:
                    code = main(folder, page, lease)
                except BaseException:  # noqa: BLE001 - the child must never go on as the nursery
                    traceback.print_exc()
                    code = 1
                sys.stderr.flush()
                os._exit(code)
            print(child, flush=True)
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(nursery(*sys.argv[1:]) if len(sys.argv) == 5 else main(*sys.argv[1:]))
