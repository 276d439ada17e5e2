"""`plan` against many live enrolments, beside the bare count of who stands where; and the moves that `apply --in-flight` makes."""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import time

import psycopg
from common import (
    JOURNEY,
    Path,
    Printout,
    SilentChannel,
    VirtualClock,
    build_app,
    durable_postgres,
    load_project,
    make_url,
    noon_today,
    scratch,
    seeded_folder,
)

from runtime.applying import Asked, apply, check_project
from runtime.moving import InFlight

EDITED = JOURNEY.replace("  - id: wait\n    delay: 30d", "  - id: wait\n    delay: 20d").replace("好吃吗", "怎么样")
BARE = "SELECT version_id, journey, state, status, count(*) FROM enrolments WHERE status < 2 GROUP BY 1, 2, 3, 4"


def bare(url: str) -> float:
    """The seconds of the plain count by the driver alone."""
    began = time.perf_counter()
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute(BARE).fetchall()
        connection.close()
    else:
        with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
            connection.execute(BARE).fetchall()
    return time.perf_counter() - began


def plan(folder: Path) -> tuple[float, float, dict[str, object]]:
    """`journeyd plan --json` as its own process: seconds from start to end, most memory in MB, and what it said of the step."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", "from runtime.cli import main; main()", "plan", "--json", "--config", str(folder)],
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    assert process.stdout is not None
    found = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    journey = found["journeys"][0]
    return time.perf_counter() - began, usage.ru_maxrss / 1024, journey["inside"][0]


def moves(folder: Path, now: int, most: int) -> tuple[int, float]:
    """Apply with a move, and look at `most` people: how many, and the seconds."""
    app = build_app(load_project(folder), clock=VirtualClock(now), channels={"push": SilentChannel()})
    try:
        apply(app.store, app.project, check_project(app.project), now, Asked("bench", "", {"after_order": InFlight("move")}))
        app.engine.refresh()
        moved, began = 0, time.perf_counter()
        while moved < most and not app.engine.underway.is_over:
            moved += app.engine.move_on(now)
        return moved, time.perf_counter() - began
    finally:
        app.close()


def measure(out: Printout, label: str, folder: Path, url: str, people: int) -> None:
    now = noon_today()
    seeded_folder(folder, url, people, now, {})
    (folder / "journeys" / "after_order.yaml").write_text(EDITED, encoding="utf-8")
    floor = min(bare(url) for _ in range(3))
    seconds, memory, step = plan(folder)
    out(f"  {label}, {people:,} live: plan {seconds:.1f} s (bare count {floor:.2f} s), {memory:.0f} MB at most; "
        f"{step['n']:,} at {step['step']}: {step['fates']}")  # fmt: skip
    moved, took = moves(folder, now, 50_000)
    out(f"    moves: {moved:,} in {took:.1f} s, {moved / took:,.0f} a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true", help="also on PostgreSQL")
    parser.add_argument("--no-save", action="store_true")
    options = parser.parse_args()
    out = Printout("plan")
    out(f"load average {os.getloadavg()[0]:.1f}; from the start of the command to its end, Python's own start and `check` included")
    for people in (options.people // 10, options.people):
        with scratch() as folder:
            measure(out, "SQLite", folder / "shop", f"sqlite:///{folder}/bench.db", people)
    if options.postgres:
        with scratch() as folder, durable_postgres() as url:
            measure(out, "PostgreSQL", folder / "shop", url, options.people)
    if not options.no_save:
        out.save()


if __name__ == "__main__":
    main()
