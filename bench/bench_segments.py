"""Entry of half of everybody beside a bare INSERT … SELECT of the same rows; flips: the cost follows what flips, not how many there are."""

import argparse
import multiprocessing
import os
import random
import shutil
import sqlite3
import statistics
import time
from contextlib import suppress
from typing import Any

import psycopg
from common import (
    AUDIENCE,
    CONFIG,
    DAY,
    JOURNEY,
    App,
    Path,
    Printout,
    SilentChannel,
    VirtualClock,
    apply_files,
    build_app,
    durable_postgres,
    load_project,
    make_folder,
    make_url,
    noon_today,
    postgres,
    rss,
    scratch,
    seed,
)
from sqlalchemy import text

from runtime.crowds import CROWD
from runtime.rounds import Worked

WHEN = "days_since(user.last_order_at) >= 26 and user.orders_count < 3"
SEGMENTS = AUDIENCE.replace("segments:", f"segments:\n  sleepers: {{name: 睡着的, when: {WHEN}}}")
COMEBACK = """
id: comeback
name: 回来看看
owner: bench
status: live
purpose: marketing
entry: {segment: sleepers, existing: enrol}
holdout: 10%
goal: {event: order_paid, within: 14d}
steps:
  - id: soon
    delay: 1d
  - id: hello
    send: [{push: {title: "{{ user.name }}，好久不见", body: 看看今天有什么, page: pages/deals}}]
"""
ENROLMENT = (
    "id, key, version_id, journey, user_id, subject, slot, state, status, due_at, begun_at, entered_at, goal_until, converted_at, "
    "ended_at, ended_by, context"
)
LOG = "user_id, enrolment_id, recorded_at, entries"


def apart(function: Any, *arguments: Any) -> Any:
    """Run in a process of its own, whose memory is its own; what it returns."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(theirs, function, arguments))
    child.start()
    theirs.close()
    found = ours.recv()
    child.join()
    return found


def _send(pipe: Any, function: Any, arguments: tuple[Any, ...]) -> None:
    pipe.send(function(*arguments))


def open_app(folder: Path, now: int) -> App:
    return build_app(load_project(folder), "daemon", clock=VirtualClock(now), channels={"push": SilentChannel()})


def execute(url: str, *statements: str) -> Any:
    """Run statements with the driver alone; the rows of the last one."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA synchronous=OFF")
        for statement in statements:
            found = connection.execute(statement).fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return found
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.replace("%", "%%"))
            found = cursor.fetchall() if cursor.description else []
        connection.execute("CHECKPOINT")
    return found


# --- seeding: everybody has a profile and is inside another journey


def seed_people(folder: Path, url: str, people: int, now: int) -> float:
    began = time.perf_counter()
    project = make_folder(folder, url, journeys={"after_order": JOURNEY}, config=CONFIG, audience=SEGMENTS)
    app = build_app(project, clock=VirtualClock(now), channels={"push": SilentChannel()})
    apply_files(app, now - 60 * DAY)
    seed(url, app, people, now, {}, rechecks_from=now + DAY)
    app.close()
    return time.perf_counter() - began


# --- entry


def run_entry(folder: Path, now: int) -> dict[str, Any]:
    """The population of a release, range by range, nothing else of a tick."""
    app = open_app(folder, now)
    (folder / "journeys" / "comeback.yaml").write_text(COMEBACK, encoding="utf-8")
    project = load_project(folder)
    app.project = project
    apply_files(app, now)
    app.engine.recheck_stale(now)
    start = most = rss()
    worked, ranges, longest = Worked(), 0, 0.0
    began = time.perf_counter()
    while True:
        at, before = time.perf_counter(), worked.populated
        app.engine.populating.go_on(app.engine.catalogue, now, 500, worked)
        if worked.populated == before:
            break
        ranges, longest, most = ranges + 1, max(longest, time.perf_counter() - at), max(most, rss())
    seconds = time.perf_counter() - began
    app.close()
    found = {"entered": worked.entered, "looked": worked.populated, "quarantined": worked.quarantined}
    return {**found, "seconds": seconds, "ranges": ranges, "longest": longest, "start": start, "most": most}


def run_bare(folder: Path, rows: int, now: int) -> float:
    """The same rows from side tables, as many to a transaction, by the store's own connection settings."""
    app = open_app(folder, now)
    engine = app.store.database.engine
    began = time.perf_counter()
    with engine.connect() as connection:
        for low in range(0, rows, CROWD // 2):  # half of a range enters
            with connection.begin():
                here = f"n > {low} AND n <= {low + CROWD // 2} ORDER BY n"
                connection.exec_driver_sql(f"INSERT INTO enrolments ({ENROLMENT}) SELECT {ENROLMENT} FROM saved_enrolments WHERE {here}")
                connection.exec_driver_sql(f"INSERT INTO log ({LOG}) SELECT {LOG} FROM saved_log WHERE {here}")
    seconds = time.perf_counter() - began
    app.close()
    return seconds


def save_rows(url: str, before: Path | None) -> int:
    """Put what the entry wrote, numbered as it was written, beside a database as it was before; how many rows."""
    source, mine = "", "SELECT id FROM enrolments WHERE journey = 'comeback'"
    first: list[str] = []
    if before is not None:  # SQLite: a copy of the file from before
        after = Path(url.removeprefix("sqlite:///"))
        after.rename(after.with_suffix(".after"))
        before.rename(after)
        first, source, mine = [f"ATTACH '{after.with_suffix('.after')}' AS after"], "after.", mine.replace("FROM ", "FROM after.")
    last = (
        [] if before else [f"DELETE FROM log WHERE enrolment_id IN ({mine})", "DELETE FROM enrolments WHERE journey = 'comeback'", "VACUUM"]
    )
    numbered = "SELECT row_number() OVER (ORDER BY {}) AS n, {} FROM {}"
    execute(
        url, *first,
        f"CREATE TABLE saved_enrolments AS {numbered.format('id', ENROLMENT, source + 'enrolments')} WHERE journey = 'comeback'",
        f"CREATE TABLE saved_log AS {numbered.format('enrolment_id', LOG, source + 'log')} WHERE enrolment_id IN ({mine})",
        "CREATE UNIQUE INDEX saved_enrolments_n ON saved_enrolments (n)",
        "CREATE UNIQUE INDEX saved_log_n ON saved_log (n)",
        *last,
    )  # fmt: skip
    return int(execute(url, "SELECT count(*) FROM saved_enrolments")[0][0])


def measure_entry(out: Printout, folder: Path, url: str, now: int) -> None:
    before = None
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        before = file.with_suffix(".before")
        shutil.copyfile(file, before)
    found = apart(run_entry, folder, now)
    assert not found["quarantined"], found
    rows = save_rows(url, before)
    assert rows == found["entered"], (rows, found)
    bare = apart(run_bare, folder, rows, now)
    written = int(execute(url, "SELECT count(*) FROM enrolments WHERE journey = 'comeback'")[0][0])
    assert written == rows, (written, rows)
    speed, floor = rows / found["seconds"], rows / bare
    out(f"  entry of {rows:,} of {found['looked']:,} users ({found['ranges']} ticks; ranges of {CROWD:,} ids, a transaction each)")
    out(f"  {'conditions, draw, re-entry, rows, log':44} {speed:>10,.0f} rows/s   {found['seconds']:.1f} s")
    out(f"  {'bare INSERT ... SELECT of the same rows':44} {floor:>10,.0f} rows/s   {bare:.1f} s")
    out(f"  {'ratio':44} {speed / floor:>10.2f}   (target 0.5)")
    out(f"  {'the longest tick':44} {found['longest'] * 1000:>10.0f} ms")
    out(f"  {'RSS at the start, most':44} {found['start']:>7.0f} MB, {found['most']:.0f} MB")


# --- flips


def run_quiet(folder: Path, now: int) -> float:
    """The median tick with nothing flipped; seconds."""
    app = open_app(folder, now)
    app.engine.refresh()
    app.engine.tick(now)
    times = []
    for _ in range(101):
        began = time.perf_counter()
        worked = app.engine.tick(now)
        times.append(time.perf_counter() - began)
        assert not worked.total
    app.close()
    return statistics.median(times)


def run_flips(folder: Path, now: int, flips: int) -> float:
    """The seconds for so many flips, spread over everybody."""
    app = open_app(folder, now)
    app.engine.refresh()
    app.engine.tick(now)
    with app.store.database.reading() as tx:
        ids = list(tx.execute(text("SELECT user_id FROM users WHERE segments LIKE '%sleepers%false%' ORDER BY user_id")).scalars())
    chosen = random.Random(3).sample(ids, flips)

    def due(tx: Any) -> None:
        for start in range(0, flips, 500):
            tx.exec_driver_sql(
                f"UPDATE users SET recheck_at = {now} WHERE user_id IN ({','.join(repr(i) for i in chosen[start : start + 500])})"
            )

    app.store.database.write(due)
    done = 0
    began = time.perf_counter()
    while worked := app.engine.tick(now):
        if not worked.total:
            break
        done += worked.rechecked
    seconds = time.perf_counter() - began
    assert done >= flips, done
    app.close()
    return seconds


def measure(out: Printout, name: str, url_of: Any, people: int) -> None:
    now = noon_today()
    quiet: dict[int, float] = {}
    flipped: dict[int, float] = {}
    flips = people // 100
    out(f"\n{name}; load of the machine at the start {os.getloadavg()[0]:.1f}")
    for size in (people // 100, people // 10, people):
        with scratch() as folder:
            url = url_of(folder)
            seconds = apart(seed_people, folder / "project", url, size, now)
            out(f"  {size:,} users seeded in {seconds:.0f} s")
            quiet[size] = apart(run_quiet, folder / "project", now)
            if size > people // 100:
                flipped[size] = apart(run_flips, folder / "project", now, flips)
            if size == people:
                measure_entry(out, folder / "project", url, now)
    small, middle, large = sorted(quiet)
    for size in (small, large):
        out(f"  {f'tick, nothing flipped, {size:,} users':44} {quiet[size] * 1000:>10.2f} ms")
    out(f"  {'ratio':44} {quiet[large] / quiet[small]:>10.2f}   (target 3)")
    for size in (middle, large):
        out(f"  {f'{flips:,} flips among {size:,}':44} {flipped[size]:>10.2f} s   {flips / flipped[size]:,.0f} flips/s")
    out(f"  {'ratio':44} {flipped[large] / flipped[middle]:>10.2f}   (target 2)")


def quarter_of_memory() -> int:
    """GB, at least one."""
    return max(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 32, 1)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--people", type=int, default=1_000_000)
    arguments.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    sizes = [f"{quarter_of_memory()}GB", "1GB", "128MB"]
    told = "of PostgreSQL, one run each: a quarter of the memory, as its manual says; less than all users weigh; its own default"
    arguments.add_argument("--shared-buffers", nargs="+", default=sizes, help=told)
    arguments.add_argument("--no-save", action="store_true")
    given = arguments.parse_args()
    out = Printout("segments")
    if given.database != "postgresql":
        measure(out, "sqlite (WAL, synchronous FULL)", lambda folder: f"sqlite:///{folder}/segments.db", given.people)
    if given.database != "sqlite":
        for size in given.shared_buffers:
            with durable_postgres(size) as server:
                name = f"postgresql (fsync and synchronous_commit on, shared_buffers {size})"
                measure(out, name, lambda _, server=server: postgres.new_database(server), given.people)
    if not given.no_save:
        out.save()


if __name__ == "__main__":
    main()
