"""The hot loop (claim, decide, render, write; the message PENDING) beside the floor: its three writes alone, in batches."""

import argparse
import cProfile
import io
import pstats
import random
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any

from common import (
    HOUR,
    App,
    Path,
    Printout,
    SilentChannel,
    VirtualClock,
    build_app,
    durable_postgres,
    id_of,
    key_of,
    load_project,
    noon_today,
    postgres,
    rss,
    scratch,
    seeded_folder,
)

from runtime.session import Session
from runtime.store.ledger_rows import NEW
from runtime.store.people import _CHANGES

BATCHES = (200, 1000, 5000)
ROUNDS = 4


class Parts:
    """Seconds spent in named parts, by wrapping methods of the objects in use."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def wrap(self, owner: Any, name: str, label: str | None = None) -> None:
        inner = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds[label or name] += time.perf_counter() - began

        setattr(owner, name, timed)


def open_app(folder: Path, mode: str, now: int) -> App:
    return build_app(load_project(folder), mode, clock=VirtualClock(now), channels={"push": SilentChannel()})


def run_loop(app: App, now: int) -> tuple[int, int, float, float]:
    """Tick as the daemon does, with a refresh before each, until nothing is due: steps, ticks, seconds, of these in refresh."""
    engine = app.engine
    steps = ticks = 0
    refreshing = 0.0
    began = time.perf_counter()
    while True:
        at = time.perf_counter()
        engine.refresh()
        refreshing += time.perf_counter() - at
        worked = engine.tick(now)
        if not worked.total:
            break
        assert not worked.quarantined, "records were quarantined"
        steps, ticks = steps + worked.advanced, ticks + 1
    return steps, ticks, time.perf_counter() - began, refreshing


def rows_like(numbers: list[int], samples: dict[str, list[dict[str, Any]]]) -> list[tuple[dict, dict, dict]]:
    """The parameters of the three writes for other enrolments, of the kind that the loop wrote."""
    made = []
    for index, number in enumerate(numbers):
        update, log, message = (samples[t][index % len(samples[t])] for t in ("enrolments", "log", "messages"))
        who = id_of(number)
        made.append(
            (
                {**update, "row_id": number, "context": update["context"].replace(log["user_id"], who)},
                {**log, "user_id": who, "enrolment_id": number},
                {**message, "key": key_of(10**9 + number), "enrolment_id": number, "owner_id": who, "user_id": who},
            )
        )
    return made


def samples_of(app: App) -> dict[str, list[dict[str, Any]]]:
    """Some of what the loop wrote, as the parameters it was written with."""
    with app.store.database.reading() as tx:
        messages = [dict(r) for r in tx.exec_driver_sql("SELECT * FROM messages ORDER BY key LIMIT 500").mappings()]
        wanted = ",".join(str(m["enrolment_id"]) for m in messages)
        inside = {r["id"]: dict(r) for r in tx.exec_driver_sql(f"SELECT * FROM enrolments WHERE id IN ({wanted})").mappings()}
        query = f"SELECT * FROM log WHERE enrolment_id IN ({wanted}) ORDER BY id"
        logs = {r["enrolment_id"]: dict(r) for r in tx.exec_driver_sql(query).mappings()}
    ids = [m["enrolment_id"] for m in messages]
    return {
        "enrolments": [{name: inside[i][name] for name in _CHANGES} for i in ids],
        "log": [{name: logs[i][name] for name in ("user_id", "enrolment_id", "recorded_at", "entries")} for i in ids],
        "messages": [{name: m[name] for name in NEW} for m in messages],
    }


def run_floor(app: App, rows: list[tuple[dict, dict, dict]], batch: int) -> float:
    """The same three writes, in the order in which rows come due, each batch sorted by id and committed; seconds."""
    store = app.store
    texts = [many.text for many in (store.people._update, store.people._log, store.ledger._new)]
    began = time.perf_counter()
    with store.database.engine.connect() as connection:
        for start in range(0, len(rows), batch):
            part = sorted(rows[start : start + batch], key=lambda row: row[0]["row_id"])
            with connection.begin():
                cursor = connection.connection.dbapi_connection.cursor()
                for index, text in enumerate(texts):
                    cursor.executemany(text, [row[index] for row in part])
            if store.database.is_sqlite:
                store.database._checkpoint(connection, start // batch + 1)
    return time.perf_counter() - began


def quiet(app: App) -> None:
    """Bring the write-ahead log home, so that every measurement starts alike."""
    if app.store.database.is_sqlite:
        with app.store.database.engine.connect() as connection:
            connection.connection.dbapi_connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        with suppress(Exception), app.store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CHECKPOINT")


def parts_of(app: App, now: int) -> tuple[dict[str, float], int, float]:
    """µs per step and part: the same loop with clocks in it."""
    parts = Parts()
    engine, store = app.engine, app.store
    original = Session.due
    parts.wrap(engine, "refresh", "refresh (live versions)")
    parts.wrap(store.people, "claim_due", "claim")
    parts.wrap(engine, "_open", "open batch (reach, touches, other enrolments)")
    parts.wrap(store.ledger, "touches", "  of which touches")
    parts.wrap(store.people, "open_enrolments", "  of which open_enrolments")
    parts.wrap(store.people, "past_entries", "  of which past_entries")
    parts.wrap(Session, "due", "decide and render")
    parts.wrap(engine, "_look_back", "look back")
    parts.wrap(engine, "_project", "inbox is empty?")
    parts.wrap(engine, "_recheck", "rechecks?")
    parts.wrap(engine, "_populate", "populations?")
    parts.wrap(engine, "_write", "write, and wait for the commit")
    for owner, name in ((store.people, "save_enrolments"), (store.people, "write_log"), (store.ledger, "add_messages"),
                        (store.ledger, "row_of"), (store.people, "save_users"), (store.people, "add_tallies")):  # fmt: skip
        parts.wrap(owner, name, f"  of which {name}")
    steps, _, seconds, _ = run_loop(app, now)
    Session.due = original
    return dict(parts.seconds), steps, seconds


def measure(out: Printout, name: str, folder: Path, url: str, people: int, steps: int, profile: str) -> None:
    """Rounds of loop and floors in turn, so that a noisy machine disturbs both alike; each row is used once."""
    now = noon_today()
    share = min(steps, people // 5) // ROUNDS
    chosen = random.Random(5).sample(range(1, people + 1), share * (ROUNDS * 4 + 1))
    sets = [chosen[start : start + share] for start in range(0, len(chosen), share)]
    looped, rest = sets[: ROUNDS + 1], sets[ROUNDS + 1 :]  # the last set of the loop is for the parts
    due = {number: now + index * HOUR for index, some in enumerate(looped) for number in some}
    seconds = seeded_folder(folder, url, people, now + ROUNDS * HOUR, due)
    out(f"\n{name}: {people:,} enrolments of {people:,} users, seeded in {seconds:.0f} s")
    out(f"  {share * ROUNDS:,} due rows, each on its own page region; loop and floors in turn, {ROUNDS} rounds")

    app = open_app(folder, "daemon", now)
    took = refreshing = 0.0
    done = ticks = 0
    floors: dict[int, float] = dict.fromkeys(BATCHES, 0.0)
    for index in range(ROUNDS):
        quiet(app)
        steps_, ticks_, took_, refreshing_ = run_loop(app, now + index * HOUR)
        assert steps_ == share, (steps_, share)
        done, ticks, took, refreshing = done + steps_, ticks + ticks_, took + took_, refreshing + refreshing_
        samples = samples_of(app)
        for batch in BATCHES:
            rows = rows_like(rest.pop(), samples)
            quiet(app)
            floors[batch] += run_floor(app, rows, batch)
    with app.store.database.reading() as tx:
        states = dict(tx.exec_driver_sql("SELECT state, count(*) FROM messages GROUP BY state").all())
    assert states == {"PENDING": done * 4}, states
    memory = rss()
    speed, fastest = done / took, done / min(floors.values())
    out(f"  {'hot loop':34} {speed:>9,.0f} steps/s   ({ticks} ticks; refresh takes {refreshing / took:.0%} of the time)")
    for batch, found in floors.items():
        out(f"  {f'floor, batches of {batch:,}':34} {done / found:>9,.0f} steps/s")
    out(f"  {'ratio to the fastest floor':34} {speed / fastest:>9.2f}")
    out(f"  {'RSS of this process':34} {memory:>9.0f} MB")

    quiet(app)
    seconds_of, again, whole = parts_of(app, now + ROUNDS * HOUR)
    out(f"  parts (one more round, with clocks in it: {again / whole:,.0f} steps/s), µs per step")
    for label, part in sorted(seconds_of.items(), key=lambda pair: pair[0].startswith("  ")):
        if part / again * 1e6 >= 0.05:
            out(f"    {label:50} {part / again * 1e6:>8.1f}")
    app.close()
    if profile:
        profiled(out, folder, now + ROUNDS * HOUR, [n for some in looped for n in some], profile, name)


def profiled(out: Printout, folder: Path, now: int, numbers: list[int], profile: str, name: str) -> None:
    """cProfile of the loop in one thread (mode inline), appended to a file."""
    app = open_app(folder, "inline", now)

    def due_again(tx: Any) -> None:
        tx.exec_driver_sql(f"UPDATE enrolments SET due_at = {now + HOUR}, state='wait' WHERE state = 'rest' AND id IN "
                           f"({','.join(str(n) for n in numbers[:5000])})")  # fmt: skip
        tx.exec_driver_sql("DELETE FROM messages")

    app.store.database.write(due_again)
    app.engine.refresh()
    found = cProfile.Profile()
    found.enable()
    steps, *_ = run_loop(app, now + HOUR)
    found.disable()
    text = io.StringIO()
    stats = pstats.Stats(found, stream=text)
    stats.sort_stats("tottime").print_stats(45)
    stats.sort_stats("cumtime").print_stats(45)
    app.close()
    with Path(profile).open("a", encoding="utf-8") as file:
        file.write("\n".join(out.lines) + f"\n\n=== cProfile, {name}, one thread (mode inline), {steps} steps\n" + text.getvalue() + "\n")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--enrolments", type=int, default=1_000_000)
    arguments.add_argument("--steps", type=int, default=20_000)
    arguments.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    arguments.add_argument("--profile", default="", help="append a cProfile of the loop to this file")
    arguments.add_argument("--no-save", action="store_true")
    given = arguments.parse_args()
    out = Printout("hot_loop")
    if given.database != "postgresql":
        with scratch() as folder:
            url, name = f"sqlite:///{folder}/hot.db", "sqlite (WAL, synchronous FULL)"
            measure(out, name, folder, url, given.enrolments, given.steps, given.profile)
    if given.database != "sqlite":
        with scratch() as folder, durable_postgres() as server:
            url = postgres.new_database(server)
            name = "postgresql (fsync and synchronous_commit on)"
            measure(out, name, folder, url, given.enrolments, given.steps, given.profile)
    if not given.no_save:
        out.save()


if __name__ == "__main__":
    main()
