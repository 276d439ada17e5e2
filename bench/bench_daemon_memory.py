"""Resident memory of `journeyd run` on SQLite with a million enrolments while timers fire; the target is 250 MB."""

import argparse
import random
import sqlite3
import time

from common import CONFIG, HOUR, Daemon, Path, Printout, rss, scratch, seeded_folder


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--enrolments", type=int, default=1_000_000)
    arguments.add_argument("--timers", type=int, default=10_000)
    arguments.add_argument("--no-save", action="store_true")
    given = arguments.parse_args()
    out = Printout("daemon_memory")
    with scratch() as folder:
        now = int(time.time() * 1000)
        chosen = random.Random(3).sample(range(1, given.enrolments + 1), given.timers)
        config = CONFIG.replace('quiet_hours = "21:00-09:00"\n', "")  # it runs at any hour
        took = seeded_folder(folder, f"sqlite:///{folder}/big.db", given.enrolments, now, dict.fromkeys(chosen, now + HOUR // 2), config)
        size = (folder / "big.db").stat().st_size / 1e6
        with sqlite3.connect(folder / "big.db", isolation_level=None) as connection:  # due at random moments of 20 seconds
            begin, spread = int(time.time() * 1000) + 20_000, 20_000
            connection.execute("BEGIN IMMEDIATE")
            draw = random.Random(4)
            rows = [(begin + draw.randrange(spread), number) for number in chosen]
            connection.executemany("UPDATE enrolments SET due_at = ? WHERE id = ?", rows)
            connection.execute("COMMIT")
        connection.close()
        out(f"{given.enrolments:,} enrolments, a file of {size:,.0f} MB (seeded in {took:.0f} s)")
        out(f"  {given.timers:,} timers fire within {spread / 1000:.0f} s")
        began = time.perf_counter()
        with Daemon(folder, wait=300) as daemon:
            out(f"  {'from start to listening':34} {time.perf_counter() - began:>8.1f} s  (every page of the file is checked)")
            out(f"  {'RSS when it listens':34} {rss(daemon.pid):>8.0f} MB")
            peak, sent, end = 0.0, 0, time.monotonic() + 300
            outbox = folder / "data" / "outbox.jsonl"
            while sent < given.timers and time.monotonic() < end:
                time.sleep(0.25)
                peak = max(peak, rss(daemon.pid))
                sent = outbox.read_bytes().count(b"\n") if outbox.exists() else 0
            late = time.time() * 1000 - begin - spread
            out(f"  {'messages recorded':34} {sent:>8,}    (the last {late / 1000:.1f} s after the last timer's time)")
            out(f"  {'highest RSS (target 250)':34} {peak:>8.0f} MB")
            before = cpu(daemon.pid)
            time.sleep(10)
            out(f"  {'CPU while idle':34} {(cpu(daemon.pid) - before) / 10:>8.1%} of a core")
            out(f"  {'graceful stop':34} {daemon.stop():>8.1f} s")
    if not given.no_save:
        out.save()


def cpu(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / 100


if __name__ == "__main__":
    main()
