"""A project on disk with known secrets, its app on a clock that the test sets, and a sender who signs what it posts."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

from sqlalchemy import make_url
from starlette.applications import Starlette
from starlette.testclient import TestClient

from channels.message import Channel
from runtime.app import App, build_app
from runtime.applying import Applied, Asked, apply, check_project
from runtime.clock import VirtualClock
from runtime.intake.http import Intake
from runtime.intake.signature import decode_secret, sign
from runtime.settings import Project, load_project
from runtime.store import open_store
from runtime.store.reports import Story
from tests.town import AUDIENCE, DAY, NOON, ZONE, FakeVendor, journey_text, reachable, set_aside_in

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "A" * 32
DEVICE_SECRET = "whsec_" + "B" * 32
CONFIG = """
timezone = "Asia/Shanghai"
language = "en"
[definitions]
path = "journeys"
[server]
port = 0
body_limit = 65536
[intake.sources.shop]
secrets = ["file:secrets/shop", "file:secrets/old"]
[intake.sources.device]
secrets = ["file:secrets/device"]
may_assert = ["app_*", "deal_viewed"]
[channels.wechat.templates]
news = {id = "W1", purpose = "marketing", fields = {title = "thing1"}}
[channels.sms.templates]
news = {id = "S1", purpose = "marketing"}
[channels.push]
[benefits]
gift = {budget = 10}
"""
HELLO = journey_text("- id: hello\n  send: [{push: {title: T, body: 你好}}]", id="hello", entry="{event: app_opened}")
_requests = count(1)


def make_folder(folder: Path, *journeys: str, audience: str = AUDIENCE, config: str = CONFIG) -> Path:
    """A project folder with these journeys."""
    (folder / "journeys").mkdir(parents=True)
    (folder / "secrets").mkdir()
    (folder / "config.toml").write_text(config, encoding="utf-8")
    for name, secret in (("shop", SECRET), ("old", OLD_SECRET), ("device", DEVICE_SECRET)):
        (folder / "secrets" / name).write_text(secret + "\n", encoding="utf-8")
    write_journeys(folder, *journeys, audience=audience)
    return folder


def write_journeys(folder: Path, *journeys: str, audience: str = AUDIENCE) -> None:
    """Put these journey files, and no others, into the project."""
    shutil.rmtree(folder / "journeys")
    (folder / "journeys").mkdir()
    (folder / "journeys" / "audience.yaml").write_text(audience, encoding="utf-8")
    for text in journeys:
        name = text.split("\n", 1)[0].removeprefix("id: ")
        (folder / "journeys" / f"{name}.yaml").write_text(text, encoding="utf-8")


def signed(secret: str, message_id: str, timestamp: int | str, body: bytes) -> dict[str, str]:
    """The headers of a request signed by us; `standardwebhooks` checks in its own test that we sign as others do."""
    key = decode_secret(secret)
    assert key is not None
    signature = sign(key, message_id, int(timestamp), body)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


@cache
def _newest_tables() -> bytes:
    """A SQLite file without a row: making its tables, migration by migration, costs more than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        open_store(f"sqlite:///{path}", ZONE).close()
        return path.read_bytes()


class Shop:
    """The daemon's parts without its ticks: requests by `post`, time by `settle`."""

    def __init__(
        self, folder: Path, *journeys: str, url: str | None = None, now: int = NOON, audience: str = AUDIENCE, config: str = CONFIG
    ) -> None:
        make_folder(folder, *(journeys or (HELLO,)), audience=audience, config=config)
        self._open(folder, url, now)
        self.apply(now - DAY)

    def _open(self, folder: Path, url: str | None, now: int) -> None:
        self.folder, self.url = folder, url
        self.project: Project = load_project(folder)
        file = Path(str(make_url(self.project.database_url).database))
        if url is None and not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(_newest_tables())
        self.clock = VirtualClock(now)
        self.vendor = FakeVendor("key")
        names = (*self.project.settings.channels.written(), *(f"grant:{b}" for b in self.project.settings.benefits))
        channels: dict[str, Channel] = dict.fromkeys(names, self.vendor)  # type: ignore[arg-type]
        self.app: App = build_app(self.project, "daemon", url=url, clock=self.clock, channels=channels)
        self.woken = 0
        self.intake = Intake(self.project, self.app.store, self.app.engine, self.clock, self._wake)
        self.web = Starlette(routes=[*self.intake.routes()])
        self.client = TestClient(self.web)

    @classmethod
    def reopen(cls, closed: "Shop") -> "Shop":
        """The same shop after its process has gone."""
        shop = cls.__new__(cls)
        shop._open(closed.folder, closed.url, closed.clock.now())
        shop.app.engine.refresh()
        return shop

    def _wake(self) -> None:
        self.woken += 1

    def apply(self, now: int | None = None) -> Any:
        """Apply the folder's files."""
        at = self.clock.now() if now is None else now
        checked = check_project(self.project)
        outcome = apply(self.app.store, self.project, checked, at, Asked("tester", ""))
        assert isinstance(outcome, Applied), outcome
        self.app.engine.refresh()
        return outcome

    def send(
        self, body: bytes, path: str = "/v1/events", *, secret: str = SECRET, request_id: str = "", timestamp: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """POST these bytes, signed; further headers go on top."""
        identity = request_id or f"msg_{next(_requests)}"
        seconds = self.clock.now() // 1000 if timestamp is None else timestamp
        return self.client.post(path, content=body, headers={**signed(secret, identity, seconds, body), **(headers or {})})

    def post(self, value: Any, path: str = "/v1/events", **options: Any) -> dict[str, Any]:
        """POST a JSON value, signed; the answer must be 200."""
        answer = self.send(json.dumps(value).encode(), path, **options)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def welcome(self, *user_ids: str) -> None:
        """Users who can be reached everywhere."""
        who = [{"user_id": user_id, **reachable(user_id)} for user_id in user_ids]
        for one in who:  # whose phone is asked for has to have a number
            one["identities"]["phone"] = f"+86138{crc32(one['user_id'].encode()) % 10**8:08}"
        self.post(who, "/v1/users")

    def settle(self, now: int | None = None) -> None:
        """Set the clock, then tick engine and delivery until nothing is left for now."""
        self.clock.set(self.clock.now() if now is None else now)
        for _ in range(100):
            worked = self.app.engine.tick(self.clock.now())
            sent = self.app.delivery.tick(self.clock.now())
            if not worked.total and not sent.total:
                return
        raise AssertionError("no end of work")

    def story(self, user_id: str = "u1") -> Story:
        """Everything that is kept about a user."""
        with self.app.store.database.reading() as tx:
            return self.app.store.reports.story(tx, user_id)

    def quarantined(self) -> list[dict[str, Any]]:
        """What was set aside, newest first."""
        return set_aside_in(self.app.store)

    def total(self, what: str) -> int:
        """How many users, events, inbox notes or quarantined records there are."""
        with self.app.store.database.reading() as tx:
            return self.app.store.reports.totals(tx)[what]

    def close(self) -> None:
        """Let go of the database."""
        self.app.close()
