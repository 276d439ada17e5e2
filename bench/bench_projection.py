"""Projection: accepted events drained by the engine's ticks, beside the floor: the bare SQL of the same reads and writes."""

import argparse
import cProfile
import io
import os
import pstats
import random
import shutil
import time

from common import (
    AUDIENCE,
    DAY,
    ROOT,
    App,
    Path,
    Printout,
    SilentChannel,
    VirtualClock,
    apply_files,
    build_app,
    id_of,
    load_project,
    noon_today,
    scratch,
)
from common import make_folder as make_project

from runtime.state import Event
from runtime.store.inbox import MOST_EACH
from runtime.store.rows import USER_COLUMNS

IDLE = """
id: idle
name: 无人进入
owner: bench
status: live
purpose: marketing
entry: {api: true}
steps:
  - id: wait
    delay: 30d
"""
SHIPPED = (ROOT / "journeys" / "definitions" / "audience.yaml").read_text(encoding="utf-8")
KINDS = {"app_opened": 50, "deal_viewed": 25, "order_paid": 20, "review_posted": 3, "order_refunded": 1, "complaint_filed": 1}
CATEGORIES = ["水果", "蔬菜", "肉禽蛋", "水产", "粮油", "日用"]
BATCH = 500


def events_of(n: int, people: int, now: int, order: str) -> list[Event]:
    draw = random.Random(5)
    kinds = draw.choices(list(KINDS), list(KINDS.values()), k=n)
    times = [now - 1 - draw.randrange(120 * DAY) for _ in range(n)]
    if order == "time":
        times.sort()
    made = []
    for number, (kind, at) in enumerate(zip(kinds, times, strict=True)):
        item = draw.randrange(40)
        data = (
            {"item": f"商品{item}", "item_id": f"i{item}", "category": CATEGORIES[item % 6]}
            if kind in ("deal_viewed", "order_paid")
            else {}
        )
        if kind == "order_paid":
            data |= {"order_id": f"o{number}", "amount": draw.randrange(500, 9900) / 100, "discount": draw.choice([0, 0, 3, 5])}
        made.append(Event(f"e{number}", kind, id_of(draw.randrange(people)), at, now, data))
    return made


def loaded_folder(folder: Path, audience: str, events: list[Event], now: int) -> None:
    """A project whose inbox holds all of these."""
    app = open_app(make_project(folder, f"sqlite:///{folder}/p.db", {"idle": IDLE}, audience=audience).folder, now)
    try:
        apply_files(app, now - 200 * DAY)
        for start in range(0, len(events), 2000):
            part = events[start : start + 2000]
            app.store.database.write(lambda tx, part=part: app.store.inbox.add_events(tx, "bench", part))
    finally:
        app.close()


def open_app(folder: Path, now: int) -> App:
    return build_app(load_project(folder), "daemon", clock=VirtualClock(now), channels={"push": SilentChannel()})


def drain(app: App, now: int, limit: int) -> tuple[int, int, int]:
    """Tick as the daemon does until the inbox is empty: events, flips, ticks."""
    notes = flips = ticks = 0
    while True:
        app.engine.refresh()
        worked = app.engine.tick(now, limit)
        assert not worked.quarantined, "records were quarantined"
        if not worked.notes:
            return notes, flips, ticks
        notes, flips, ticks = notes + worked.notes, flips + worked.rechecked, ticks + 1


def floor(app: App, rows: dict[str, tuple], limit: int) -> float:
    """The statements alone, on the driver, for the same batches: the users of the oldest notes, their notes with events, their rows, who
    watches; then users written and notes deleted.
    """
    columns = ",".join(USER_COLUMNS)
    marks = ",".join("?" * len(USER_COLUMNS))
    sets = ",".join(f"{c}=excluded.{c}" for c in USER_COLUMNS[1:])
    write = f"INSERT INTO users ({columns}) VALUES ({marks}) ON CONFLICT (user_id) DO UPDATE SET {sets}"
    began, batches = time.perf_counter(), 0
    with app.store.database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        while True:
            raw.execute("BEGIN IMMEDIATE")
            first = list({row[0]: None for row in raw.execute("SELECT user_id FROM inbox ORDER BY id LIMIT ?", (limit,))})
            notes = raw.execute(
                "SELECT i.id, i.user_id, i.kind, i.received_at, i.payload, e.event_id, e.type, e.user_id, e.time, e.received_at, e.data, "
                "e.source FROM inbox i LEFT JOIN events e ON e.id = i.event_row "
                f"WHERE i.user_id IN ({','.join('?' * len(first))}) ORDER BY i.id LIMIT ?", (*first, limit * MOST_EACH)
            ).fetchall()  # fmt: skip
            if not notes:
                raw.execute("ROLLBACK")
                return time.perf_counter() - began
            people = sorted({note[1] for note in notes})
            many = ",".join("?" * len(people))
            raw.execute(f"SELECT {columns} FROM users WHERE user_id IN ({many})", people).fetchall()
            raw.execute(f"SELECT watched_id, watcher_id FROM watches WHERE watched_id IN ({many})", people).fetchall()
            raw.executemany(write, [rows[user_id] for user_id in people])
            raw.executemany("DELETE FROM inbox WHERE id = ?", [(note[0],) for note in notes])
            raw.execute("COMMIT")
            batches += 1
            app.store.database._checkpoint(connection, batches)


def measure(out: Printout, name: str, audience: str, given: argparse.Namespace, order: str) -> None:
    now = noon_today()
    with scratch() as folder:
        loaded_folder(folder / "a", audience, events_of(given.events, given.users, now, order), now)
        shutil.copytree(folder / "a", folder / "b")
        config = folder / "b" / "config.toml"
        config.write_text(config.read_text().replace(f"{folder}/a/", f"{folder}/b/"))
        app = open_app(folder / "a", now)
        profiler = cProfile.Profile() if given.profile else None
        if profiler:
            profiler.enable()
        began, cpu = time.perf_counter(), time.process_time()
        notes, flips, ticks = drain(app, now, given.batch)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        if profiler:
            profiler.disable()
            text = io.StringIO()
            pstats.Stats(profiler, stream=text).sort_stats(given.sort).print_stats(45)
            print(text.getvalue())
        with app.store.database.reading() as tx:
            rows = {r[0]: tuple(r) for r in tx.exec_driver_sql(f"SELECT {','.join(USER_COLUMNS)} FROM users")}
        size = sum(len(r[2]) for r in rows.values()) / len(rows)
        app.close()
        app = open_app(folder / "b", now)
        bare = floor(app, rows, given.batch)
        app.close()
        out(f"{name}, events in {order} order, {len(rows):,} users, a profile of {size:,.0f} bytes in the end")
        used = f"{cpu / notes * 1e6:>5.0f} µs CPU an event: {notes / cpu:,.0f} a second of one core"
        out(f"  {'engine':10} {notes / seconds:>9,.0f} events/s   {used}   ({ticks:,} ticks, {flips:,} flips)")
        out(f"  {'floor':10} {given.events / bare:>9,.0f} events/s   ratio {bare / seconds:.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--users", type=int, default=20_000)
    arguments.add_argument("--batch", type=int, default=BATCH)
    arguments.add_argument("--only", choices=["small", "shipped"])
    arguments.add_argument("--order", choices=["random", "time"])
    arguments.add_argument("--profile", action="store_true")
    arguments.add_argument("--sort", default="tottime")
    arguments.add_argument("--no-save", action="store_true")
    given = arguments.parse_args()
    out = Printout("projection")
    out(f"{given.events:,} accepted events of {given.users:,} users, in batches of up to {given.batch} users; SQLite, WAL, FULL")
    out(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    for name, audience in (("small", AUDIENCE), ("shipped", SHIPPED)):
        for order in ("random", "time"):
            if given.only in (None, name) and given.order in (None, order):
                measure(out, f"{name} audience", audience, given, order)
    out(f"load of the machine after: {os.getloadavg()[0]:.1f}")
    if not given.no_save:
        out.save()


if __name__ == "__main__":
    main()
