"""How late timers and first messages of the real daemon are, and how fast intake is beside a bare handler; on SQLite."""

import argparse
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import requests
from common import CONFIG, Daemon, Printout, apply_files, build_app, make_folder, percentile, scratch, secret_of, signed

TIMER = """
id: timer
name: 定时
owner: bench
status: live
purpose: service
entry: {event: rang, reentry: always}
steps:
  - id: wait
    delay: 5s
  - id: ring
    send: [{push: {title: "{{ user.name }}", body: 到点了, page: p}}]
"""
AT_ONCE = """
id: at_once
name: 立刻
owner: bench
status: live
purpose: service
entry: {event: complaint_filed, subject: ticket_id, reentry: always}
steps:
  - id: sorry
    send: [{push: {title: "{{ user.name }}", body: "{{ entry.ticket_id }}", page: p}}]
"""


def post(session: requests.Session, daemon: Daemon, key: bytes, path: str, items: list, message_id: str) -> requests.Response:
    body = json.dumps(items).encode()
    answer = session.post(f"http://127.0.0.1:{daemon.port}{path}", data=body, headers=signed(key, body, message_id), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def people(numbers: range) -> list:
    return [{"user_id": f"u{n}", "traits": {"name": f"王{n}"}, "identities": {"push_id": f"p{n}"}} for n in numbers]


def timers(out: Printout, folder: Path, count: int) -> None:
    """(a) `count` timers due at the same moment: when does each message stand in the ledger, and in the recording file?"""
    database = folder / "data" / "journeyd.db"
    with requests.Session() as session:
        with Daemon(folder) as daemon:
            key = secret_of(folder)
            for start in range(0, count, 200):
                numbers = range(start, min(start + 200, count))
                post(session, daemon, key, "/v1/users", people(numbers), f"people-{start}")
                events = [{"id": f"rang-{n}", "type": "rang", "user_id": f"u{n}", "time": int(time.time()), "data": {}} for n in numbers]
                post(session, daemon, key, "/v1/events", events, f"rang-{start}")
            time.sleep(1)
        with sqlite3.connect(database, isolation_level=None) as connection:
            due = int(time.time() * 1000) + 8000
            connection.execute("UPDATE enrolments SET due_at = ? WHERE status = 0 AND journey = 'timer'", (due,))
            waiting = connection.execute("SELECT count(*) FROM enrolments WHERE due_at = ?", (due,)).fetchone()[0]
        connection.close()
        outbox = folder / "data" / "outbox.jsonl"
        before = outbox.read_bytes().count(b"\n") if outbox.exists() else 0
        with Daemon(folder) as daemon:
            assert time.time() * 1000 < due, "the daemon was not up in time"
            recorded: list[float] = []
            end = time.monotonic() + 30
            while len(recorded) < waiting and time.monotonic() < end:
                time.sleep(0.005)
                lines = (outbox.read_bytes().count(b"\n") if outbox.exists() else 0) - before
                recorded += [time.time() * 1000 - due] * (lines - len(recorded))
        with sqlite3.connect(database, isolation_level=None) as connection:
            query = "SELECT created_at FROM messages WHERE journey = 'timer' AND created_at >= ?"
            written = [row[0] - due for row in connection.execute(query, (due,))]
        connection.close()
    out(f"\n{waiting:,} timers due at the same moment, ms after it            p50     p99     max")
    for name, found in (("decided (the batch that wrote the message)", written), ("line in the recording file", recorded)):
        out(f"  {name:52} {percentile(found, 0.5):>7.0f} {percentile(found, 0.99):>7.0f} {max(found):>7.0f}")


def first_messages(out: Printout, folder: Path, count: int) -> None:
    """(b) From the 200 of an event that enrols to the line in the recording file, one event after the other."""
    outbox = folder / "data" / "outbox.jsonl"
    found: list[float] = []
    with Daemon(folder) as daemon, requests.Session() as session:
        key = secret_of(folder)
        post(session, daemon, key, "/v1/users", people(range(count)), "again")
        time.sleep(1)
        for n in range(count):
            offset = outbox.stat().st_size if outbox.exists() else 0
            event = {"id": f"complaint-{n}", "type": "complaint_filed", "user_id": f"u{n}", "data": {"ticket_id": f"ticket-{n}"}}
            post(session, daemon, key, "/v1/events", [event], f"complaint-{n}")
            answered = time.perf_counter()
            while time.perf_counter() < answered + 10:
                if outbox.exists() and outbox.stat().st_size > offset and f'ticket-{n}"'.encode() in outbox.read_bytes()[offset:]:
                    break
                time.sleep(0.001)
            found.append((time.perf_counter() - answered) * 1000)
            time.sleep(0.02)
    out(f"\n{count} events that enrol, ms from the 200 to the recorded line     p50     p99     max   over 1 s")
    over = sum(1 for ms in found if ms > 1000)
    out(f"  {'':52} {percentile(found, 0.5):>7.0f} {percentile(found, 0.99):>7.0f} {max(found):>7.0f} {over:>10}")


# --- (c) intake

BARE = """
import asyncio, queue, sqlite3, sys, threading, time
import orjson, uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
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
        for row, _, _ in group:
            id_ = db.execute("INSERT INTO events (source, event_id, type, user_id, time, received_at, data) VALUES (?,?,?,?,?,?,?) "
                             "ON CONFLICT DO NOTHING RETURNING id", row).fetchone()[0]
            db.execute("INSERT INTO inbox (user_id, kind, event_row, received_at) VALUES (?,?,?,?)", (row[3], "event", id_, row[5]))
        db.execute("COMMIT")
        for _, loop, future in group:
            loop.call_soon_threadsafe(future.set_result, 1)

threading.Thread(target=write, daemon=True).start()

async def post(request: Request):
    body = await request.body()
    now = int(time.time() * 1000)
    if verified_id({k.lower(): v for k, v in request.headers.items()}, body, (key,), now) is None:
        return JSONResponse({"error": "signature"}, 401)
    item = orjson.loads(body)
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    row = ("shop", item["id"], item["type"], item["user_id"], now, now, orjson.dumps(item["data"]).decode())
    waiting.put((row, loop, future))
    await future
    return JSONResponse({"accepted": 1})

routes = [Route("/v1/events", post, methods=["POST"])]
uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning", access_log=False)
"""


async def load(port: int, key: bytes, count: int, connections: int, prefix: str) -> tuple[float, list[float]]:
    """Raw HTTP/1.1 over kept connections: the client costs little."""
    numbers = iter(range(count))
    waits: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in numbers:
            body = json.dumps({"id": f"{prefix}-{n}", "type": "app_opened", "user_id": f"u{n % 500}", "data": {"page": "deals"}}).encode()
            headers = "".join(f"{k}: {v}\r\n" for k, v in signed(key, body, f"{prefix}-{n}").items())
            began = time.perf_counter()
            writer.write(f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            assert b" 200 " in head[:20], head
            waits.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return time.perf_counter() - began, waits


def intake(out: Printout, folder: Path, count: int, connections: int) -> None:
    key = secret_of(folder)
    found = {}
    with Daemon(folder) as daemon:
        asyncio.run(load(daemon.port, key, count // 10, connections, "warm"))
        found["journeyd (its engine projects them meanwhile)"] = asyncio.run(load(daemon.port, key, count, connections, "real"))
    bare = folder / "bare"
    project = make_folder(bare, f"sqlite:///{bare}/bare.db")
    app = build_app(project)
    app.close()
    port = 20_000 + os.getpid() % 20_000
    server = subprocess.Popen([sys.executable, "-c", BARE, bare / "bare.db", str(port), key.hex()], cwd=folder)
    try:
        time.sleep(2)
        asyncio.run(load(port, key, count // 10, connections, "warm"))
        found["a bare Starlette handler, the same rows and commits"] = asyncio.run(load(port, key, count, connections, "bare"))
    finally:
        server.terminate()
        server.wait(10)
    out(f"\nsingle signed events, {connections} connections, client on the same cores   requests/s   p50 ms  p99 ms")
    for name, (seconds, waits) in found.items():
        out(f"  {name:57} {count / seconds:>9,.0f} {percentile(waits, 0.5):>8.1f} {percentile(waits, 0.99):>7.1f}")
    (mine, _), (theirs, _) = found.values()
    out(f"  {'ratio':57} {theirs / mine:>9.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--timers", type=int, default=1000)
    arguments.add_argument("--events", type=int, default=200)
    arguments.add_argument("--requests", type=int, default=20_000)
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--no-save", action="store_true")
    given = arguments.parse_args()
    out = Printout("latency")
    with scratch() as folder:
        project = make_folder(folder / "shop", "sqlite:///data/journeyd.db", {"timer": TIMER, "at_once": AT_ONCE}, CONFIG)
        app = build_app(project)
        apply_files(app, int(time.time() * 1000))
        app.close()
        timers(out, folder / "shop", given.timers)
        first_messages(out, folder / "shop", given.events)
        intake(out, folder / "shop", given.requests, given.connections)
    if not given.no_save:
        out.save()


if __name__ == "__main__":
    main()
