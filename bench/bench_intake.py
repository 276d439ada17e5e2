"""Intake of the real daemon beside floors of the same run, on SQLite: single signed events beside a bare ASGI handler that checks the
signature and inserts the same rows with the same group commit; batches of 100 beside a bare executemany of the rows.

Twice: *alone*, the engine's ticks do nothing, as there is nothing beside the bare handler either; *beside the engine*, which projects
the events meanwhile. How far it is behind at the end, and how long it then takes to be done, is printed.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from common import (
    CONFIG,
    JOURNEY,
    Daemon,
    Printout,
    apply_files,
    build_app,
    cpu_seconds,
    make_folder,
    percentile,
    scratch,
    secret_of,
    signed,
)

BARE = """
import asyncio, queue, sqlite3, sys, threading, time
import orjson, uvicorn
from runtime.intake.signature import verified_id

path, port, key = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
waiting = queue.Queue()

def write():
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
        db.execute("PRAGMA " + pragma)
    while True:
        group = [waiting.get()]
        while len(group) < 64 and not waiting.empty():
            group.append(waiting.get())
        db.execute("BEGIN IMMEDIATE")
        for row, _ in group:
            id_ = db.execute("INSERT INTO events (source, event_id, type, user_id, time, received_at, data) VALUES (?,?,?,?,?,?,?) "
                             "ON CONFLICT DO NOTHING RETURNING id", row).fetchone()[0]
            db.execute("INSERT INTO inbox (user_id, kind, event_row, received_at) VALUES (?,?,?,?)", (row[3], "event", id_, row[5]))
        db.execute("COMMIT")
        loop.call_soon_threadsafe(lambda futures=[f for _, f in group]: [f.set_result(1) for f in futures])

async def app(scope, receive, send):
    global loop
    if scope["type"] != "http":
        return
    loop = asyncio.get_running_loop()
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    now = int(time.time() * 1000)
    status, answer = 401, b"{}"
    if verified_id({k.decode(): v.decode() for k, v in scope["headers"]}, body, (key,), now) is not None:
        item = orjson.loads(body)
        future = loop.create_future()
        row = ("shop", item["id"], item["type"], item["user_id"], now, now, orjson.dumps(item["data"]).decode())
        waiting.put((row, future))
        await future
        status, answer = 200, b'{"accepted":1}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

threading.Thread(target=write, daemon=True).start()
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")
"""


def event(prefix: str, n: int) -> dict:
    return {"id": f"{prefix}-{n}", "type": "app_opened", "user_id": f"u{n % 5000}", "data": {"page": "deals"}}


async def load(
    port: int, key: bytes, count: int, connections: int, prefix: str, batch: int = 1, rate: float = 0
) -> tuple[float, list[float]]:
    """Raw HTTP/1.1 over kept connections: the client costs little. Bodies and signatures are made beforehand.

    As fast as it goes; with a `rate`, that many requests a second, and each waits from the moment at which it was to begin.
    """
    numbers = iter(range(count))
    waits: list[float] = []
    requests_ = []
    for n in range(count):
        items = [event(prefix, n * batch + k) for k in range(batch)]
        body = json.dumps(items if batch > 1 else items[0]).encode()
        headers = "".join(f"{k}: {v}\r\n" for k, v in signed(key, body, f"{prefix}-{n}").items())
        requests_.append(f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in numbers:
            began = time.perf_counter()
            if rate:
                due = start + n / rate
                await asyncio.sleep(due - began)
                began = due
            writer.write(requests_[n])
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            assert b" 200 " in head[:20], head
            waits.append((time.perf_counter() - began) * 1000)
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return time.perf_counter() - start, waits


def behind(folder: Path) -> int:
    with sqlite3.connect(folder / "data" / "journeyd.db") as connection:
        found = connection.execute("SELECT count(*) FROM inbox").fetchone()[0]
    connection.close()
    return found


def drained(folder: Path) -> float:
    """Seconds until nothing waits any more."""
    began = time.perf_counter()
    while behind(folder):
        time.sleep(0.05)
    return time.perf_counter() - began


@dataclass
class Measured:
    """One run: events and server CPU by the second, waits in milliseconds."""

    rate: float
    cpu: float  # µs an event
    waits: list[float]
    left: int = 0
    after: float = 0.0

    def line(self, name: str) -> str:
        waits = f"{percentile(self.waits, 0.5):>8.1f} {percentile(self.waits, 0.99):>7.1f}"
        return f"  {name:57} {self.rate:>9,.0f} {waits} {self.cpu:>8.0f}"


def median_of(found: Sequence[Measured]) -> Measured:
    """The run in the middle by its rate."""
    return sorted(found, key=lambda measured: measured.rate)[len(found) // 2]


def run(pid: int, port: int, key: bytes, given: argparse.Namespace, prefix: str, batch: int = 1, rate: float = 0) -> Measured:
    count = given.requests if batch == 1 else given.batches
    asyncio.run(load(port, key, count // 10, given.connections, f"warm-{prefix}", batch))
    before = cpu_seconds(pid)
    took, waits = asyncio.run(load(port, key, count, given.connections, prefix, batch, rate))
    return Measured(count * batch / took, (cpu_seconds(pid) - before) / count / batch * 1e6, waits)


def journeyd(folder: Path, name: str, given: argparse.Namespace, batch: int, *, engine: bool, rate: float = 0) -> Measured:
    shop = folder / f"{name}-{batch}"
    app = build_app(make_folder(shop, "sqlite:///data/journeyd.db", {"after_order": JOURNEY}, CONFIG))
    apply_files(app, int(time.time() * 1000))
    app.close()
    with Daemon(shop, engine=engine) as daemon:
        found = run(daemon.pid, daemon.port, secret_of(shop), given, name, batch, rate)
        if engine:
            found.left, found.after = behind(shop), drained(shop)
    return found


def bare_handler(folder: Path, given: argparse.Namespace) -> Measured:
    bare = folder / "bare"
    build_app(make_folder(bare, f"sqlite:///{bare}/bare.db")).close()
    key, port = secret_of(bare), 20_000 + os.getpid() % 20_000
    server = subprocess.Popen([sys.executable, "-c", BARE, bare / "bare.db", str(port), key.hex()], cwd=folder)
    try:
        for _ in range(200):
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        return run(server.pid, port, key, given, "bare")
    finally:
        server.terminate()
        server.wait(10)


def bare_executemany(folder: Path, count: int) -> float:
    """Seconds for batches of 100 rows of events and inbox, each batch a commit."""
    bare = folder / "many"
    build_app(make_folder(bare, f"sqlite:///{bare}/many.db")).close()
    db = sqlite3.connect(bare / "many.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
        db.execute("PRAGMA " + pragma)
    now = int(time.time() * 1000)
    began = time.perf_counter()
    for start in range(0, count, 100):
        rows = [(n + 1, "shop", f"x-{n}", "app_opened", f"u{n % 5000}", now, now, '{"page":"deals"}') for n in range(start, start + 100)]
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO events (id, source, event_id, type, user_id, time, received_at, data) VALUES (?,?,?,?,?,?,?,?)", rows)
        db.executemany(
            "INSERT INTO inbox (user_id, kind, event_row, received_at) VALUES (?,'event',?,?)", [(r[4], r[0], now) for r in rows]
        )
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.close()
    return took


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--requests", type=int, default=20_000)
    arguments.add_argument("--batches", type=int, default=2_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--no-save", action="store_true")
    given = arguments.parse_args()
    out = Printout("intake")
    out(f"the run in the middle of {given.rounds} by its rate; load of the machine before: {os.getloadavg()[0]:.1f}")
    with scratch() as folder:
        runs: list[tuple[Measured, ...]] = []
        for n in range(given.rounds):  # in turn, for the machine is not the same from one minute to the next
            alone, bare = journeyd(folder, f"alone{n}", given, 1, engine=False), bare_handler(folder / f"{n}", given)
            runs.append((alone, bare, journeyd(folder, f"beside{n}", given, 1, engine=True)))
        alone, bare, beside = (median_of(found) for found in zip(*runs, strict=True))
        head = "p50 ms  p99 ms   µs CPU"
        out(f"\nsingle signed events, {given.connections} connections, client on the same cores   requests/s   {head}")
        out(alone.line("journeyd alone (the engine's ticks do nothing)"))
        out(beside.line("journeyd beside its engine"))
        out(bare.line("a bare ASGI handler, the same rows and commits"))
        out(f"  {'ratio alone / beside the engine':57} {alone.rate / bare.rate:>9.2f} / {beside.rate / bare.rate:.2f}")
        out(f"  not projected yet at the end: {beside.left:,} events; {beside.after:.1f} s later: none")
        pairs, floors = [], []
        for n in range(given.rounds):
            pairs.append(tuple(journeyd(folder, f"{name}{n}", given, 100, engine=name == "beside") for name in ("alone", "beside")))
            floors.append(given.batches * 100 / bare_executemany(folder / f"{n}", given.batches * 100))
        alone, beside = (median_of(found) for found in zip(*pairs, strict=True))
        floor = sorted(floors)[len(floors) // 2]
        out(f"\nbatches of 100 events, {given.connections} connections{'':29} events/s   {head}")
        out(alone.line("journeyd alone (the engine's ticks do nothing)"))
        out(beside.line("journeyd beside its engine"))
        out(f"  {'executemany of the rows, a commit for each batch':57} {floor:>9,.0f}")
        out(f"  {'ratio alone / beside the engine':57} {alone.rate / floor:>9.2f} / {beside.rate / floor:.2f}")
        out(f"  not projected yet at the end: {beside.left:,} events; {beside.after:.1f} s later: none")
        paced = journeyd(folder, "paced", given, 100, engine=True, rate=floor / 200)
        out(paced.line("journeyd beside its engine, sent at half the floor's rate"))
        out(f"  {given.connections} connections hold {given.connections * 100:,} events: at the floor's rate they wait "
            f"{given.connections * 100 / floor * 1000:.0f} ms")  # fmt: skip
    out(f"load of the machine after: {os.getloadavg()[0]:.1f}")
    if not given.no_save:
        out.save()


if __name__ == "__main__":
    main()
