"""`journeyd run`, with its phase written into a shared page: what it was doing when it was killed can be read afterwards.

    python watched_daemon.py FOLDER PAGE [--lease MS] [--log LOG] [--journal FOLDER] [--bug NAME]

With --log it is a nursery: it has imported everything and forks a daemon for each line on its standard input, so that a
life does not begin with two seconds of imports. Each is a process with a group of its own, killed by its own id.
The page outlives the process, and nothing but plain stores into it is added: the program decides and writes as always.
Byte 0 is the engine's phase, byte 1 the delivery's, bytes 8 to 16 count the engine's batches, bytes 16 to 28 the rows that the
lanes hold: claimed, begun, answered. Leases may be shorter than the real ones, so that the reaper and the resolver have their
part within a short proof.
"""

import argparse
import contextlib
import ctypes
import importlib
import mmap
import os
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import runtime.deliver
import runtime.settling
from channels.http import Http
from channels.message import Query
from channels.sms.aliyun import AliyunSms
from runtime import cli, run_command
from runtime.app import App
from runtime.store.database import Batch
from tests.prove import journal, planted

IDLE, CLAIMED, INTENDED, SENT = 0, 1, 2, 3
ENGINE, DELIVERY = 0, 1


class Page:
    """The shared page, from the daemon's side."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 4096)
        self.batches = 0
        self.memory[:16] = bytes(16)

        self.held = dict.fromkeys(("claimed", "intended", "sent"), 0)
        self._lock = threading.Lock()
        self.memory[16:28] = bytes(12)

    def set(self, lane: int, phase: int) -> None:
        self.memory[lane] = phase

    def hold(self, **more: int) -> None:
        """The lanes hold so many rows more, or fewer; the delivery's phase is that of the row that has come closest to its vendor."""
        with self._lock:
            for name, n in more.items():
                self.held[name] = max(self.held[name] + n, 0)
            claimed, intended, sent = self.held.values()
            self.memory[16:28] = struct.pack("<III", claimed, intended, sent)
            self.set(DELIVERY, INTENDED if intended else SENT if sent else CLAIMED if claimed else IDLE)

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

    _watch_delivery(delivery, page)


def _watch_delivery(delivery: Any, page: Page) -> None:
    """Count what the lanes hold: rows claimed, begun (the intent is written) and answered (not yet recorded)."""
    claim, begin, send_one, finish = delivery.claim, delivery.begin, delivery.send_one, delivery.finish

    def marked_claim(*args: Any, **kwargs: Any) -> Any:
        found = claim(*args, **kwargs)
        page.hold(claimed=len(found.rows))
        return found

    def marked_begin(tx: Any, claimed: Any, *args: Any) -> Any:
        attempts = begin(tx, claimed, *args)
        page.hold(claimed=-len(claimed.rows), intended=len(attempts))
        return attempts

    def marked_send(attempt: Any) -> Any:
        outcome = send_one(attempt)
        page.hold(intended=-1, sent=1)
        return outcome

    def marked_finish(tx: Any, outcomes: Any, *args: Any) -> Any:
        result = finish(tx, outcomes, *args)
        page.hold(sent=-len(outcomes))
        return result

    delivery.claim, delivery.begin, delivery.send_one, delivery.finish = marked_claim, marked_begin, marked_send, marked_finish


def main(options: argparse.Namespace) -> int:
    """`journeyd run`, watched; with the leases, the journal and the planted bug that the options ask for."""
    deliver, settling = runtime.deliver, runtime.settling
    if options.lease:
        deliver.LEASE, deliver.GRACE = options.lease, options.lease // 4
        deliver.DEADLINE = settling.DEADLINE = options.lease // 2
        Http.longest = property(lambda http: round(http.timeout * 1000))  # connecting to a stand-in takes no time
    if options.look_until:
        AliyunSms.guarantee = Query(lag=options.look_until // 4, until=options.look_until)
    build = run_command.build_app

    def build_watched(*args: Any, **kwargs: Any) -> App:
        app = build(*args, **kwargs)
        if options.bug:
            planted.BUGS[options.bug](app)
        if options.journal:
            journal.keep(app, Path(options.journal))
        watch(app, Page(Path(options.page)))
        return app

    run_command.build_app = build_watched
    return cli.run(["run", "--config", options.folder, "--log-json"])


def nursery(options: argparse.Namespace) -> int:
    """`start` → a daemon's process id; `wait` → its exit status, once it is dead."""
    for module in (
        "runtime.daemon",
        "uvicorn.protocols.http.httptools_impl",
        "uvicorn.lifespan.on",
        "uvloop",
        "psycopg",
        "alembic.command",
        "channels.push.jpush",
        "channels.wechat.subscribe",
        "channels.benefits.http",
    ):
        importlib.import_module(module)
    child = 0
    for line in sys.stdin:
        if line.strip() == "start":
            child = os.fork()
            if child == 0:
                os.setsid()
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: an interrupted test leaves no daemon behind
                descriptor = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                for number, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, descriptor), (2, descriptor)):
                    os.dup2(source, number)
                os.environ["COLUMNS"] = "200"
                try:
                    code = main(options)
                except BaseException:  # noqa: BLE001 - the child must never go on as the nursery
                    traceback.print_exc()
                    code = 1
                sys.stderr.flush()
                os._exit(code)
            print(child, flush=True)
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("page")
    parser.add_argument(
        "--lease", type=int, default=0, help="milliseconds of a claim's lease, and shorter deadlines with it; 0: the real ones"
    )
    parser.add_argument("--log", default="", help="be a nursery: fork a daemon for each line on standard input, which writes here")
    parser.add_argument("--journal", default="", help="a folder: what each life claimed, began and moved")
    parser.add_argument("--look-until", type=int, default=0, help="milliseconds that Aliyun is asked for; 0: as the adapter says")
    parser.add_argument("--bug", default="", choices=["", *planted.BUGS])
    return parser.parse_args()


if __name__ == "__main__":
    chosen = _options()
    sys.exit(nursery(chosen) if chosen.log else main(chosen))
