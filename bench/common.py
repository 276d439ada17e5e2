"""What the benchmarks share: a project folder, a database with many enrolments in it, a PostgreSQL server, a printout."""

import base64
import contextlib
import hashlib
import json
import multiprocessing
import os
import platform
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import orjson
import psycopg
from sqlalchemy import make_url

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # tests/postgres.py starts the server of the wheel

from channels.recording import SilentChannel  # noqa: E402
from runtime.app import App, build_app  # noqa: E402
from runtime.applying import Asked, Refused, apply, check_project  # noqa: E402
from runtime.clock import VirtualClock  # noqa: E402
from runtime.intake.items import parse_event  # noqa: E402
from runtime.intake.signature import sign  # noqa: E402
from runtime.settings import Project, load_project  # noqa: E402
from tests import postgres  # noqa: E402

RESULTS = Path(__file__).parent / "results"
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000

CONFIG = """
timezone = "Asia/Shanghai"
[database]
url = "{url}"
[server]
port = 0
[intake.sources.shop]
secrets = ["file:secrets/shop"]
[policy]
quiet_hours = "21:00-09:00"
caps = [{{channel = "sms", purpose = "marketing", max = 2, per = "7d"}}, {{purpose = "marketing", max = 2, per = "day"}}]
[channels.push]
adapter = "recording"
[channels.sms]
adapter = "recording"
[channels.sms.templates]
hello = {{id = "SMS_1", purpose = "marketing"}}
"""
AUDIENCE = """
events:
  order_paid: {order_id: text, amount: number, item: text}
  rang: {at: number}
  complaint_filed: {ticket_id: text}
  complaint_resolved: {ticket_id: text}
traits:
  name: {type: text, from: profile, default: 邻居}
  city: {type: text, from: profile}
  orders_count: {type: number, count: order_paid}
  last_order_at: {type: time, last: order_paid, of: time}
  last_item: {type: text, last: order_paid, of: item}
  complaints: {type: number, count: complaint_filed}
  resolved: {type: number, count: complaint_resolved}
  open_complaints: {type: number, value: user.complaints - user.resolved}
segments:
  buyers: {name: 买过, when: user.orders_count > 0}
suppress_marketing:
  - {name: 投诉处理中, when: user.open_complaints > 0}
"""
# The journey of the hot loop: the timer of `wait` leads over a condition and a rendered push message to the next timer.
JOURNEY = """
id: after_order
name: 下单之后
owner: bench
status: live
purpose: marketing
entry: {event: order_paid, reentry: always}
steps:
  - id: wait
    delay: 30d
  - id: which
    branch:
      - when: user.orders_count >= 2
        steps:
          - id: regular
            send: [{push: {title: "{{ user.name }}，{{ user.last_item }}又到货了", body: "{{ user.name }}，老邻居专享", page: pages/deals}}]
    otherwise:
      - id: newcomer
        send: [{push: {title: "{{ user.name }}，{{ user.last_item }}好吃吗", body: "{{ user.name }}，第二单立减", page: pages/deals}}]
  - id: rest
    delay: 30d
  - id: last
    if: days_since(user.last_order_at) > 45
    send: [{push: {title: "{{ user.name }}，好久不见", body: 看看今天有什么, page: pages/deals}}]
"""


# --- the printout


class Printout:
    """Prints lines and keeps them for bench/results/NAME.txt."""

    def __init__(self, name: str) -> None:
        self.name, self.lines = name, []
        self(f"{name}: {machine()}")

    def __call__(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)

    def save(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{self.name}.txt").write_text("\n".join(self.lines) + "\n", encoding="utf-8")


def machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


def rss(pid: int | str = "self") -> float:
    """Resident memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors so far, its threads together."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


# --- projects and databases


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="journeyd-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def durable_postgres(shared_buffers: str = "128MB") -> Iterator[str]:
    """A server that keeps its promises: fsync, full_page_writes and synchronous_commit on."""
    durable = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "max_connections=50", "max_wal_size=8GB")
    postgres._QUICK = (*durable, f"shared_buffers={shared_buffers}")
    with postgres.server() as url:
        yield url


def make_folder(folder: Path, url: str, journeys: dict[str, str] | None = None, config: str = CONFIG, audience: str = AUDIENCE) -> Project:
    (folder / "journeys").mkdir(parents=True)
    (folder / "config.toml").write_text(config.format(url=url), encoding="utf-8")
    (folder / "journeys" / "audience.yaml").write_text(audience, encoding="utf-8")
    for name, text in (journeys or {"after_order": JOURNEY}).items():
        (folder / "journeys" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "shop").write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    return load_project(folder)


def apply_files(app: App, now: int) -> None:
    outcome = apply(app.store, app.project, check_project(app.project), now, Asked("bench", ""))
    if isinstance(outcome, Refused):
        sys.exit("\n".join(f.line() for f in outcome.findings))
    app.engine.refresh()


def id_of(number: int) -> str:
    """Ids as a shop gives them: not in the order of arrival."""
    return "u" + hashlib.blake2b(number.to_bytes(8, "big"), digest_size=10).hexdigest()


def key_of(number: int) -> str:
    return hashlib.blake2b(number.to_bytes(8, "little"), digest_size=16).hexdigest()


SURNAMES, GIVEN = "王李张刘陈杨赵黄周吴", "伟芳娜敏静丽强磊洋艳勇军杰娟涛"
ITEMS = ["阳山水蜜桃", "云南蓝莓", "五常大米", "山东樱桃", "褚橙", "阳澄湖大闸蟹"]
TEMPLATES = 24


def template_rows(app: App, now: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows as the engine itself writes them: some users order, enter the journey and rest at its first timer."""
    store, zone, audience = app.store, app.project.zone, app.engine.catalogue.audience
    draw = random.Random(7)

    def arrive(tx: Any) -> None:
        for n in range(TEMPLATES):
            who = f"template-{n}"
            record = {
                "traits": {"name": f"{draw.choice(SURNAMES)}{draw.choice(GIVEN)}阿姨", "city": draw.choice(["上海", "杭州", "苏州"])},
                "identities": {"push_id": f"p-{who}", "phone": f"+86139{n:08d}", "openid": f"o-{who}"},
                "consents": {"push": {"service": True, "marketing": True}, "sms": {"service": True, "marketing": True}},
            }
            store.inbox.add_user_record(tx, "bench", f"user:{who}", who, record, now - 40 * DAY)
            for k in range(1 + n % 4):
                raw = {"type": "order_paid", "user_id": who, "time": (now - (35 - 5 * k) * DAY) // 1000,
                       "data": {"order_id": f"o{n}-{k}", "amount": 30 + k, "item": draw.choice(ITEMS)}}  # fmt: skip
                event = parse_event(raw, audience, zone, now, f"o{n}-{k}")
                assert not isinstance(event, str), event
                store.inbox.add_events(tx, "bench", [event])

    store.database.write(arrive)
    while app.engine.tick(now - 40 * DAY).total:
        pass
    with store.database.reading() as tx:
        users = [dict(r) for r in tx.exec_driver_sql("SELECT * FROM users ORDER BY user_id").mappings()]
        inside = [dict(r) for r in tx.exec_driver_sql("SELECT * FROM enrolments ORDER BY user_id").mappings()]
    assert inside, "nobody entered"
    by_user = {row["user_id"]: row for row in inside}

    def clear(tx: Any) -> None:
        for table in ("users", "enrolments", "log", "events", "inbox", "tallies", "refusals"):
            tx.exec_driver_sql(f"DELETE FROM {table}")

    store.database.write(clear)
    users = [u for u in users if u["user_id"] in by_user]
    return users, [by_user[u["user_id"]] for u in users]


def seed(url: str, app: App, people: int, now: int, due: dict[int, int], *, rechecks_from: int | None = None) -> None:
    """One user and one live enrolment each, by the driver's own bulk way, with the indexes there.

    Those whose number is in `due` are due in the half hour before that instant, everybody else from an hour after `now` on.
    Everybody's segments are looked at again in the ten days after `rechecks_from`; never without.
    """
    users, inside = template_rows(app, now)
    draw = random.Random(11)
    user_columns, columns = list(users[0]), list(inside[0])
    swaps = [(u["user_id"], dict(u), e) for u, e in zip(users, inside, strict=True)]

    def user_rows() -> Iterator[tuple[Any, ...]]:
        for number in range(1, people + 1):
            old, user, _ = swaps[number % len(swaps)]
            who = id_of(number)
            row = {**user, "user_id": who, "reach": user["reach"].replace(old, who),
                   "recheck_at": None if rechecks_from is None else rechecks_from + draw.randrange(10 * DAY)}  # fmt: skip
            yield tuple(row[c] for c in user_columns)

    def enrolment_rows() -> Iterator[tuple[Any, ...]]:
        for number in range(1, people + 1):
            old, _, enrolment = swaps[number % len(swaps)]
            due_at = due[number] - draw.randrange(HOUR // 2) if number in due else now + HOUR + draw.randrange(30 * DAY)
            begun = due_at - 30 * DAY
            context = enrolment["context"].replace(old, id_of(number)).replace(str(enrolment["context_until"]), str(due_at))
            row = {**enrolment, "id": number, "key": key_of(number), "user_id": id_of(number), "due_at": due_at, "begun_at": begun,
                   "entered_at": begun, "context": context}  # fmt: skip
            yield tuple(row[c] for c in columns)

    def log_rows() -> Iterator[tuple[Any, ...]]:
        for number in range(1, people + 1):
            entries = orjson.dumps([[now, "entered", "", {"fact": "event"}], [now, "waits", "wait", {"until": now}]]).decode()
            yield number, id_of(number), number, now, entries

    for row in inside:
        row["context_until"] = orjson.loads(row["context"])["until"]
    tables = [
        ("users", user_columns, user_rows()),
        ("enrolments", columns, enrolment_rows()),
        ("log", ["id", "user_id", "enrolment_id", "recorded_at", "entries"], log_rows()),
    ]
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("synchronous=OFF", "cache_size=-1000000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")
        for table, names, rows in tables:
            connection.executemany(f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join('?' * len(names))})", rows)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        for table, names, rows in tables:
            with connection.cursor().copy(f"COPY {table} ({','.join(names)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            if "id" in names:
                connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}','id'), {people})")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def noon_today() -> int:
    """Outside quiet hours, near the present."""
    today = int(time.time()) // 86400 * 86400
    return (today + 4 * 3600) * 1000  # 12:00 in Shanghai


def seeded_folder(folder: Path, url: str, people: int, now: int, due: dict[int, int], config: str = CONFIG) -> float:
    """Make a project whose database holds `people` enrolments; the seconds it took.

    In a process of its own, whose memory goes with it.
    """
    began = time.perf_counter()
    child = multiprocessing.get_context("spawn").Process(target=_seed_folder, args=(folder, url, people, now, due, config))
    child.start()
    child.join()
    if child.exitcode:
        sys.exit("seeding failed")
    return time.perf_counter() - began


def _seed_folder(folder: Path, url: str, people: int, now: int, due: dict[int, int], config: str) -> None:
    project = make_folder(folder, url, config=config)
    app = build_app(project, clock=VirtualClock(now), channels={"push": SilentChannel()})
    try:
        apply_files(app, now - 60 * DAY)
        seed(url, app, people, now, due)
    finally:
        app.close()


# --- the real daemon


RUN = "import sys; from runtime.cli import run; sys.exit(run(sys.argv[1:]))"
PAUSED = "from runtime import ticks; ticks.Ticks._engine = lambda *_: 0; "


class Daemon:
    """`journeyd run` as its own process; stopped by its own id. Without `engine` its ticks do nothing: what arrives is kept, and waits."""

    def __init__(self, folder: Path, wait: float = 60, *, engine: bool = True) -> None:
        self.folder = folder
        self.log = (folder / "run.log").open("ab")
        start = (folder / "run.log").stat().st_size
        self.process = subprocess.Popen(
            [sys.executable, "-c", ("" if engine else PAUSED) + RUN, "run", "--log-json"],
            cwd=folder, stderr=self.log, stdout=self.log, start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.pid = self.process.pid
        self.port = self._port(start, wait)

    def _port(self, start: int, wait: float) -> int:
        end = time.monotonic() + wait
        while time.monotonic() < end:
            with (self.folder / "run.log").open("rb") as log:
                log.seek(start)
                for line in log:
                    if b'"started"' in line and line.endswith(b"\n"):
                        return int(json.loads(line)["port"])
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError((self.folder / "run.log").read_text()[-4000:])

    def stop(self) -> float:
        """SIGTERM; the seconds until it is gone."""
        began = time.perf_counter()
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            self.process.wait(20)
        self.log.close()
        return time.perf_counter() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                os.kill(self.pid, signal.SIGKILL)
                self.process.wait(10)


def signed(key: bytes, body: bytes, message_id: str) -> dict[str, str]:
    timestamp = int(time.time())
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": sign(key, message_id, timestamp, body),
            "content-type": "application/json"}  # fmt: skip


def secret_of(folder: Path) -> bytes:
    return base64.b64decode((folder / "secrets" / "shop").read_text().strip().removeprefix("whsec_"))


__all__ = [name for name in dir() if not name.startswith("_")]
