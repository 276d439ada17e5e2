"""How late timers and first messages of the real daemon are; on SQLite."""

import argparse
import json
import sqlite3
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--timers", type=int, default=1000)
    arguments.add_argument("--events", type=int, default=200)
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
    if not given.no_save:
        out.save()


if __name__ == "__main__":
    main()
