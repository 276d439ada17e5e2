"""Kill the daemon again and again while people walk through journeys, then compare everything with a run without kills.

The daemon is `journeyd run` (watched_daemon.py adds a shared page that says what it was doing when it died).
Events are posted, signed, until they are answered with 200. A wait is answered by what the recording file shows: the
message before a wait is written in the transaction that begins it, so that the outcome of a walk never hangs on timing.
"""

import contextlib
import mmap
import os
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
import requests
from sqlalchemy import make_url
from standardwebhooks.webhooks import Webhook

from runtime.clock import SystemClock
from runtime.newproject import _write_secret
from tests.prove.watched_daemon import CLAIMED, IDLE, INTENDED, SENT

WATCHED = Path(__file__).with_name("watched_daemon.py")
LEASE_MS = 4000
CHUNK = 20  # events per request

CONFIG = """
timezone = "Asia/Shanghai"
[database]
url = "{url}"
[server]
port = {port}
[intake.sources.shop]
secrets = ["file:secrets/shop"]
[channels.push]
[channels.sms.templates]
hello = {{id = "SMS_1", purpose = "service"}}
[benefits.sorry]
budget = 1000000
[benefits.points]
"""
AUDIENCE = """
events:
  signed_up: {}
  complaint_filed: {ticket_id: text}
  ticket_closed: {ticket_id: text}
  answered: {ticket_id: text}
  never_comes: {}
  friend_joined: {friend_id: text, inviter_id: text}
  order_paid: {order_id: text}
traits:
  name: {type: text, from: profile, default: 邻居}
  city: {type: text, from: profile}
  kind: {type: text, from: profile}
  points: {type: number, from: profile}
  orders: {type: number, count: order_paid}
  complaints: {type: number, count: complaint_filed}
segments:
  buyers: {name: 买过, when: user.orders > 0}
"""
JOURNEYS = {
    # two rounds of delay, branch, update and split, then a wait that nobody answers
    "welcome": """
id: welcome
name: 欢迎
owner: prove
status: live
purpose: service
entry: {event: signed_up}
steps:
  - id: hello
    send: [{push: {title: "{{ user.name }}，你好", body: 欢迎, page: p}}]
  - id: pause
    delay: 1s
  - id: where
    branch:
      - when: user.city == '上海'
        steps:
          - id: local
            send: [{push: {title: "{{ user.name }}，今晚截单", body: 上海, page: p}}]
    otherwise:
      - id: elsewhere
        send: [{sms: {template: hello}}]
  - id: count
    update: {increment: {points: 1}}
  - id: dice
    split:
      - name: a
        weight: 1
        steps:
          - id: slow
            delay: 2s
      - name: b
        weight: 1
        steps:
          - id: fast
            delay: 1s
  - id: again
    goto: {step: pause, max_visits: 1}
  - id: silence
    wait_for: {event: never_comes, timeout: 2s}
    on_timeout:
      - id: bye
        send: [{push: {title: "{{ user.name }}，再见", body: 回头见, page: p}}]
""",
    # a grant, then a wait that ends by an answer, by the goal, or by its timeout
    "care": """
id: care
name: 投诉关怀
owner: prove
status: live
purpose: service
entry: {event: complaint_filed, subject: ticket_id, reentry: always}
goal: {event: ticket_closed, within: 2d}
steps:
  - id: sorry
    grant: {benefit: sorry, amount: 5}
  - id: pause
    delay: 1s
  - id: ask
    send: [{push: {title: "{{ entry.ticket_id }}", body: "{{ steps.sorry.code }}", page: p}}]
  - id: who
    branch:
      - when: user.kind == 'silent'
        steps:
          - id: nobody
            wait_for: {event: never_comes, timeout: 2s}
    otherwise:
      - id: reply
        wait_for: {event: answered, timeout: 2d}
  - id: thanks
    send: [{push: {title: 谢谢, body: "{{ entry.ticket_id }}", page: p}}]
""",
    # somebody else is enrolled, and waits for a third person's event
    "invite": """
id: invite
name: 邀请
owner: prove
status: live
purpose: service
entry: {event: friend_joined, user: entry.inviter_id, subject: friend_id}
steps:
  - id: told
    send: [{push: {title: 好友来了, body: "{{ entry.friend_id }}", page: p}}]
  - id: first_order
    wait_for: {event: order_paid, of: entry.friend_id, any_subject: true, timeout: 2d}
  - id: refund
    delay: 3s
  - id: reward
    grant: {benefit: points, amount: 50, once_per: entry.friend_id}
  - id: done
    send: [{push: {title: 奖励到账, body: "{{ entry.friend_id }} {{ steps.reward.code }}", page: p}}]
""",
}


def make_project(folder: Path, url: str) -> Path:
    """A project folder on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "journeys").mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG.format(url=url, port=port), encoding="utf-8")
    (folder / "journeys" / "audience.yaml").write_text(AUDIENCE, encoding="utf-8")
    for name, text in JOURNEYS.items():
        (folder / "journeys" / f"{name}.yaml").write_text(text, encoding="utf-8")
    _write_secret(folder / "secrets" / "shop")
    (folder / "page").write_bytes(bytes(4096))
    (folder / "port").write_text(str(port))
    return folder


# --- the daemon


class Nursery:
    """A process that has imported everything and forks watched daemons."""

    def __init__(self, folder: Path, *options: str, page: str = "page", **environment: str) -> None:
        options = options or ("--lease", str(LEASE_MS))
        command = [sys.executable, WATCHED, folder, folder / page, "--log", folder / "run.log", *options]
        with (folder / "nursery.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, start_new_session=True,
            )  # fmt: skip

    def ask(self, what: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Daemon:
    """One life of the daemon, in its own process group: plain `journeyd run`, or a watched one from the nursery."""

    def __init__(self, folder: Path, nursery: Nursery | None = None) -> None:
        self.port = int((folder / "port").read_text())
        self.nursery, self.code = nursery, None
        if nursery is not None:
            self.pid = nursery.ask("start")
            return
        journeyd = [sys.executable, "-c", "import sys; from runtime.cli import run; sys.exit(run(sys.argv[1:]))", "run", "--log-json"]
        with (folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(journeyd, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        self.pid = self.process.pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._wait()

    def stop(self) -> int:
        os.kill(self.pid, signal.SIGTERM)
        return self._wait()

    def _wait(self) -> int:
        self.code = self.nursery.ask("wait") if self.nursery is not None else self.process.wait(20)
        return self.code

    def died(self) -> bool:
        return self.nursery is None and self.process.poll() is not None

    def metrics(self) -> dict[str, float] | None:
        try:
            text = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        except requests.RequestException:
            return None
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def has_work(self) -> bool:
        found = self.metrics()
        if found is None:
            return True
        open_ = sum(v for k, v in found.items() if 'status="live"' in k)
        open_ += sum(v for k, v in found.items() if any(s in k for s in ("PENDING", "CLAIMED", "SENDING", "UNKNOWN")))
        return open_ + found.get("journeyd_inbox_notes", 0) > 0


# --- the load


@dataclass
class Feeder:
    """Posts what the town does; what is not answered with 200 is posted again, with the same ids."""

    folder: Path
    users: int
    allowed: int = 0  # how many users may have begun
    begun: int = 0
    retries: int = 0
    duplicates: int = 0
    posted: int = 0
    _offset: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _waiting: deque[tuple[str, list[dict[str, Any]]]] = field(default_factory=deque)
    _answered: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = int((self.folder / "port").read_text())
        self.webhook = Webhook((self.folder / "secrets" / "shop").read_text().strip())
        self.thread = threading.Thread(target=self._run, daemon=True)

    @property
    def expected_events(self) -> int:
        """How many events the whole town posts: sign-ups, complaints with their replies, friends with their orders."""
        complaints = sum(1 for n in range(self.users) if n % 2 == 0)
        replies = sum(1 for n in range(self.users) if n % 2 == 0 and kind_of(n) != "silent")
        friends = sum(1 for n in range(self.users) if n % 2 == 1)
        return self.users + complaints + replies + 2 * friends

    @property
    def done(self) -> bool:
        return self.begun >= self.users and not self._waiting and len(self._answered) >= self._to_answer

    @property
    def _to_answer(self) -> int:
        return sum(1 for n in range(self.users) if n % 2 == 1 or kind_of(n) != "silent")

    def stop(self) -> None:
        self._stopped.set()
        self.thread.join(30)

    def _run(self) -> None:
        try:
            with requests.Session() as session:
                while not self._stopped.is_set():
                    self._begin()
                    self._look()
                    if not self._waiting:
                        time.sleep(0.02)
                        continue
                    path, items = self._waiting[0]
                    if self._post(session, path, items):
                        self._waiting.popleft()
        except Exception as error:  # the test must hear of it
            self.problems.append(repr(error))
            raise

    def _begin(self) -> None:
        while self.begun < min(self.allowed, self.users):
            numbers = range(self.begun, min(self.begun + CHUNK, self.allowed, self.users))
            self.begun = numbers.stop
            self._waiting.append(("/v1/users", [person(n) for n in numbers]))
            events = [e for n in numbers for e in first_events(n)]
            self._waiting.append(("/v1/events", events))

    def _look(self) -> None:
        """Answer the waits that have begun, as whole lines of the recording file show."""
        file = self.folder / "data" / "outbox.jsonl"
        if not file.exists():
            return
        with file.open("rb") as recorded:
            recorded.seek(self._offset)
            raw = recorded.read()
        whole = raw[: raw.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = [event for line in whole.splitlines() if (event := self._answer(line)) is not None]
        for start in range(0, len(events), CHUNK):
            self._waiting.append(("/v1/events", events[start : start + CHUNK]))

    def _answer(self, line: bytes) -> dict[str, Any] | None:
        try:
            found = orjson.loads(line)
        except ValueError:  # the torn line of a killed process
            return None
        journey, step, user_id = found["journey"], found["step"], found["user_id"]
        event: dict[str, Any] | None = None
        if (journey, step) == ("care", "ask") and kind_of(number_of(user_id)) != "silent":
            type_ = "answered" if kind_of(number_of(user_id)) == "talks" else "ticket_closed"
            event = {"id": f"{type_}-{user_id}", "type": type_, "user_id": user_id, "data": {"ticket_id": found["content"]["title"]}}
        elif (journey, step) == ("invite", "told"):
            friend = found["content"]["body"]
            event = {"id": f"order-{friend}", "type": "order_paid", "user_id": friend, "data": {"order_id": f"o-{friend}"}}
        if event is None or event["id"] in self._answered:
            return None
        self._answered.add(event["id"])
        return event

    def _post(self, session: requests.Session, path: str, items: list[dict[str, Any]]) -> bool:
        from datetime import UTC, datetime

        body = orjson.dumps(items).decode()
        message_id = f"{path}-{items[0].get('id') or items[0]['user_id']}"
        moment = datetime.fromtimestamp(SystemClock().now() / 1000, UTC)
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(moment.timestamp())),
                   "webhook-signature": self.webhook.sign(message_id, moment, body), "content-type": "application/json"}  # fmt: skip
        try:
            answer = session.post(f"http://127.0.0.1:{self.port}{path}", data=body.encode(), headers=headers, timeout=5)
        except requests.RequestException:
            self.retries += 1
            time.sleep(0.02)
            return False
        if answer.status_code != 200:
            self.retries += 1
            if answer.status_code != 503:
                self.problems.append(f"{answer.status_code} {answer.text[:300]}")
            time.sleep(0.05)
            return False
        said = answer.json()
        if said["quarantined"]:
            self.problems.append(answer.text[:300])
        self.posted += said["accepted"]
        self.duplicates += said["duplicates"]
        return True


def kind_of(number: int) -> str:
    return ("talks", "closes", "silent")[number // 2 % 3]


def number_of(user_id: str) -> int:
    return int(user_id.removeprefix("u"))


def person(number: int) -> dict[str, Any]:
    who = f"u{number}"
    return {"id": f"record-{who}", "user_id": who, "identities": {"push_id": f"p-{who}", "phone": f"+86138{number:08d}"},
            "traits": {"name": f"王{number}", "city": "上海" if number % 3 else "杭州", "kind": kind_of(number)}}  # fmt: skip


def first_events(number: int) -> list[dict[str, Any]]:
    who = f"u{number}"
    events: list[dict[str, Any]] = [{"id": f"signed-{who}", "type": "signed_up", "user_id": who, "data": {}}]
    if number % 2 == 0:
        events.append({"id": f"complaint-{who}", "type": "complaint_filed", "user_id": who, "data": {"ticket_id": f"t-{who}"}})
    else:
        data = {"friend_id": who, "inviter_id": f"u{number // 4 * 4}"}  # known before: two friends each
        events.append({"id": f"joined-{who}", "type": "friend_joined", "user_id": who, "data": data})
    return events


# --- the loop


@dataclass
class Killed:
    """What the daemon was doing at each kill."""

    by_phase: Counter[str] = field(default_factory=Counter)
    by_aim: Counter[tuple[str, bool]] = field(default_factory=Counter)
    batches: int = 0
    lives_with_work: int = 0
    seconds: float = 0.0
    retries: int = 0
    duplicates: int = 0
    new: int = 0

    @property
    def total(self) -> int:
        return sum(self.by_phase.values())

    @property
    def inside(self) -> int:
        """Kills between the engine's claim and its commit, or between the delivery's claim and its record."""
        return self.total - self.by_phase["engine idle, delivery idle"]

    @property
    def engine_inside(self) -> int:
        return sum(n for phase, n in self.by_phase.items() if phase.startswith("engine between claim and commit"))


DELIVERY = {IDLE: "idle", CLAIMED: "claimed", INTENDED: "intended, sending", SENT: "sent, not recorded"}


def phase_of(page: mmap.mmap) -> str:
    engine = "between claim and commit" if page[0] == CLAIMED else "idle"
    return f"engine {engine}, delivery {DELIVERY[page[1]]}"


AIMS = ("claimed", "random", "claimed", "committed", "claimed", "random")


def kill_often(folder: Path, kills: int, feeder: Feeder, patience: int, nursery: Nursery) -> Killed:
    """Start, wait, kill. Half of the kills are aimed at the time after a claim, a sixth at the moment after a commit, the
    others come at any moment of the daemon's life, its start included; what counts is what the page says after its death.
    """
    draw = random.Random(1)
    result = Killed()
    with (folder / "page").open("r+b") as file:
        page = mmap.mmap(file.fileno(), 4096)
    for number in range(1, kills + 1):
        page[:16] = bytes(16)
        feeder.allowed = feeder.users * number // max(kills - kills // 10, 1)
        daemon = Daemon(folder, nursery)
        aim = AIMS[number % len(AIMS)]
        if aim == "random":
            time.sleep(draw.uniform(0.05, 2.0))
        else:
            _wait_for(page, aim, draw.randint(1, patience))
            time.sleep(draw.choice((0, 0, 0.001, 0.003, 0.006)))
        daemon.kill()
        result.by_phase[phase_of(page)] += 1
        result.by_aim[aim, page[0] == CLAIMED] += 1
        batches = struct.unpack("<Q", page[8:16])[0]
        result.batches += batches
        result.lives_with_work += batches > 0
    page.close()
    return result


def _wait_for(page: mmap.mmap, aim: str, after: int) -> None:
    """Until the engine holds its n-th batch (any one after three seconds), and until that is committed if that is the aim."""
    began = time.monotonic()
    while time.monotonic() < began + 8:
        batches = struct.unpack("<Q", page[8:16])[0]
        if page[0] == CLAIMED and (batches >= after or time.monotonic() > began + 3):
            break
        time.sleep(0.0002)
    while aim == "committed" and page[0] == CLAIMED and time.monotonic() < began + 8:
        time.sleep(0.0002)


def finish(folder: Path, feeder: Feeder, seconds: float, nursery: Nursery | None = None) -> None:
    """Let the daemon live until nothing is left to do, then stop it gracefully."""
    feeder.allowed = feeder.users
    daemon = Daemon(folder, nursery)
    try:
        end = time.monotonic() + seconds
        while not feeder.done or daemon.has_work():
            if daemon.died() or time.monotonic() > end or feeder.problems:
                tail = (folder / "run.log").read_text()[-2000:]
                raise AssertionError(f"not done: {feeder.problems[:3]} {feeder.begun=} {feeder.done=} {daemon.metrics()} {tail}")
            time.sleep(0.3)
        code = daemon.stop()
        assert code == 0, f"the graceful stop ended with {code}"
    finally:
        if daemon.code is None and not daemon.died():
            daemon.kill()


# --- what is there afterwards


@dataclass
class Outcome:
    """Everything that must be the same with kills and without."""

    enrolments: dict[str, Any]
    log: dict[str, list[Any]]
    messages: dict[str, Any]
    users: dict[str, Any]
    tallies: dict[Any, int]
    budgets: dict[str, Any]
    recorded: dict[str, Any]
    times_recorded: Counter[str]
    accepted_attempts: Counter[str]
    totals: dict[str, int]
    attempts: int
    integrity: str


# One yes answers every attempt that was made with the same idempotency key; the attempts of a grant share one.
ACCEPTED_ATTEMPTS = """
SELECT a.message_key, CASE WHEN m.kind = 'message' THEN count(*) ELSE count(DISTINCT a.vendor_key) END
FROM attempts a JOIN messages m ON m.key = a.message_key WHERE a.state = 'ACCEPTED' GROUP BY a.message_key, m.kind
"""
WHY = ("reason", "case", "variant", "channel", "key", "event", "event_id", "to", "what", "set", "clause")


def outcome_of(folder: Path, url: str) -> Outcome:
    """Read the database with the driver alone, and the recording file."""
    with _reading(url) as ask:
        keys = dict(ask("SELECT id, key FROM enrolments"))
        enrolments = {
            key: (
                journey,
                user,
                subject,
                state,
                status,
                ended_by,
                converted is not None,
                sorted(orjson.loads(context).get("visits", {}).items()),
            )
            for key, journey, user, subject, state, status, ended_by, converted, context in ask(
                "SELECT key, journey, user_id, subject, state, status, ended_by, converted_at, context FROM enrolments"
            )
        }
        log: dict[str, list[Any]] = {}
        for user_id, enrolment_id, entries in ask("SELECT user_id, enrolment_id, entries FROM log ORDER BY id"):
            who = keys[enrolment_id] if enrolment_id is not None else user_id
            for _, action, step, why in orjson.loads(entries):
                log.setdefault(who, []).append((action, step, *((k, orjson.dumps(why[k]).decode()) for k in WHY if k in why)))
        messages = {
            key: (kind, keys[enrolment], owner, user, journey, step, visit, position, channel, state, orjson.loads(content))
            for key, kind, enrolment, owner, user, journey, step, visit, position, channel, state, content in ask(
                "SELECT key, kind, enrolment_id, owner_id, user_id, journey, step, visit, position, channel, state, content FROM messages"
            )
        }
        users = {user: _counts(orjson.loads(profile)) for user, profile in ask("SELECT user_id, profile FROM users")}
        tallies = {
            (journey, what, detail): int(n)
            for journey, what, detail, n in ask("SELECT journey, what, detail, sum(n) FROM tallies GROUP BY journey, what, detail")
        }
        budgets = {benefit: (reserved, issued) for benefit, reserved, issued in ask("SELECT benefit, reserved, issued FROM budgets")}
        accepted = Counter(dict(ask(ACCEPTED_ATTEMPTS)))
        totals = {
            table: next(iter(ask(f"SELECT count(*) FROM {table}")))[0] for table in ("events", "inbox", "quarantine", "refusals", "watches")
        }
        attempts = next(iter(ask("SELECT count(*) FROM attempts")))[0]
        integrity = next(iter(ask("PRAGMA integrity_check")))[0] if url.startswith("sqlite") else "ok"
    recorded: dict[str, Any] = {}
    times: Counter[str] = Counter()
    for line in (folder / "data" / "outbox.jsonl").read_bytes().splitlines():
        try:
            found = orjson.loads(line)
        except ValueError:
            continue
        times[found["key"]] += 1
        recorded[found["key"]] = tuple(str(found[name]) for name in ("channel", "to", "user_id", "journey", "step", "content"))
    return Outcome(enrolments, log, messages, users, tallies, budgets, recorded, times, accepted, totals, attempts, integrity)


def _counts(profile: dict[str, Any]) -> Any:
    """The traits, without the times of the events that made them."""
    return (
        sorted(profile.get("p", {}).items(), key=str),
        sorted((k, v) for k, v in profile.get("a", {}).items() if isinstance(v, int | float)),
    )


@contextlib.contextmanager
def _reading(url: str) -> Iterator[Any]:
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            yield connection.execute
    else:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain) as connection:
            yield connection.execute


def differences(run: Outcome, control: Outcome) -> list[str]:
    """What is not as it was without kills, or not as it must be in any run; nothing when all is well."""
    found: list[str] = []
    for name in ("enrolments", "log", "messages", "users", "tallies", "budgets", "recorded", "totals"):
        mine, theirs = getattr(run, name), getattr(control, name)
        differing = [key for key in sorted({*mine, *theirs}, key=str) if mine.get(key) != theirs.get(key)]
        found += [f"{name}: {key}: with kills {mine.get(key)}, without {theirs.get(key)}" for key in differing]
    for label, outcome in (("with kills", run), ("without", control)):
        found += [f"{label}: recorded {n} times: {outcome.recorded[key]}" for key, n in outcome.times_recorded.items() if n != 1]
        found += [f"{label}: message {key} is {row[9]}: {row[:9]}" for key, row in outcome.messages.items() if row[9] != "ACCEPTED"]
        found += [f"{label}: message {key} is not in the recording file" for key in outcome.messages if key not in outcome.recorded]
        found += [f"{label}: a line without a message: {key}" for key in outcome.recorded if key not in outcome.messages]
        wrong = [key for key in outcome.messages if outcome.accepted_attempts[key] != 1]
        found += [f"{label}: {outcome.accepted_attempts[key]} accepted attempts of {key}" for key in wrong]
        found += [f"{label}: enrolment {key} did not end: {row}" for key, row in outcome.enrolments.items() if row[4] != 2]
        if outcome.totals["inbox"] or outcome.totals["quarantine"]:
            found.append(f"{label}: left over: {outcome.totals}")
        if outcome.integrity != "ok":
            found.append(f"{label}: integrity check: {outcome.integrity}")
    return found


def run_control(folder: Path, url: str, users: int, seconds: float) -> Outcome:
    """The same town, nobody dies."""
    make_project(folder, url)
    feeder = Feeder(folder, users)
    feeder.thread.start()
    try:
        finish(folder, feeder, seconds)
    finally:
        feeder.stop()
    assert feeder.posted == feeder.expected_events + users, (feeder.posted, feeder.expected_events)
    return outcome_of(folder, url)


def run_killed(folder: Path, url: str, users: int, kills: int, seconds: float, *, patience: int = 9) -> Killed:
    """The kill loop, then the rest of the walk."""
    target = make_project(folder, url)
    feeder, nursery = Feeder(target, users), Nursery(target)
    feeder.thread.start()
    began = time.perf_counter()
    try:
        killed = kill_often(target, kills, feeder, patience, nursery)
        killed.seconds = time.perf_counter() - began
        finish(target, feeder, seconds, nursery)
    finally:
        feeder.stop()
        nursery.close()
    assert not feeder.problems, feeder.problems[:3]
    killed.retries, killed.duplicates, killed.new = feeder.retries, feeder.duplicates, feeder.posted
    return killed


def report(name: str, killed: Killed, run: Outcome, found: list[str]) -> str:
    """What was killed when, what is there, and how it differs from the run without kills."""
    k = killed
    share, either = k.engine_inside / k.total, k.inside / k.total
    made = f"{len(run.enrolments)} enrolments, {sum(map(len, run.log.values()))} log entries, {len(run.messages)} messages and grants"
    made += f" with {run.attempts} attempts, {sum(run.times_recorded.values())} recorded lines, {run.totals['events']} events and records"
    lines = [
        f"{name}: {k.total} SIGKILLs in {k.seconds:.0f} s; {k.lives_with_work} of the lives had work, {k.batches} batches claimed in them",
        f"  engine between claim and commit: {k.engine_inside} ({share:.0%}); or delivery between claim and record: {k.inside} ({either:.0%})",
        *(f"    {n:>4} {phase}" for phase, n in k.by_phase.most_common()),
    ]
    for (aim, inside), n in sorted(k.by_aim.items()):
        lines.append(f"    {n:>4} aimed at {aim}: {'between claim and commit' if inside else 'elsewhere'}")
    lines += [
        f"  {made}",
        f"  {k.retries} posts failed and were repeated, {k.duplicates} items were duplicates",
        f"  against the run without kills: {len(found)} differences; integrity check {run.integrity}",
        *found[:20],
    ]
    return "\n".join(lines)
