"""A town whose every lane is a real adapter that talks to a stand-in vendor: its config, its one journey, and who signs up.

Every message carries its user and its step in what people read, so that each arrival at a vendor belongs to one row of the ledger.
"""

import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import requests
from standardwebhooks.webhooks import Webhook

from runtime.clock import SystemClock
from runtime.newproject import _write_secret
from tests.prove.vendors import ALIYUN, JPUSH, SECRET, STOCK, WECHAT, Vendors

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
adapter = "jpush"
app_key = "{jpush[app_key]}"
master_secret = "file:secrets/jpush"
base_url = "http://127.0.0.1:{ports[jpush]}"
timeout = "1s"
[channels.sms]
adapter = "aliyun"
access_key_id = "{aliyun[access_key_id]}"
access_key_secret = "file:secrets/aliyun"
sign = "{aliyun[sign]}"
receipt_secret = "file:secrets/jpush"
base_url = "http://127.0.0.1:{ports[aliyun]}"
timeout = "1s"
[channels.sms.templates]
code = {{id = "SMS_1", purpose = "service", fields = {{who = "who"}}}}
[channels.wechat]
adapter = "subscribe"
appid = "{wechat[appid]}"
secret = "file:secrets/wechat"
base_url = "http://127.0.0.1:{ports[wechat]}"
timeout = "1s"
[channels.wechat.templates]
news = {{id = "W1", purpose = "service", fields = {{title = "thing1"}}}}
[benefits.coupon]
adapter = "http"
url = "http://127.0.0.1:{ports[benefit]}/grants"
secret = "file:secrets/benefit"
plain_http = true
allowed = ["127.0.0.1"]
budget = {stock}
timeout = "1s"
"""
AUDIENCE = """
events:
  signed_up: {}
traits:
  mark: {type: text, from: profile}
"""
STEPS = {"hello": "push", "code": "sms", "news": "wechat", "gift": "grant:coupon", "thanks": "push"}
JOURNEY = """
id: campaign
name: 活动
owner: prove
status: live
purpose: service
entry: {event: signed_up}
steps:
  - id: hello
    send: [{push: {title: 你好, body: "{{ user.mark }}/hello", page: p}}]
  - id: code
    send: [{sms: {template: code, params: {who: "{{ user.mark }}/code"}}}]
  - id: news
    send: [{wechat: {template: news, page: p, data: {title: "{{ user.mark }}/news"}}}]
  - id: pause
    delay: 1s
  - id: gift
    grant: {benefit: coupon}
    on_failed: [{exit: no_gift}]
  - id: thanks
    send: [{push: {title: 谢谢, body: "{{ user.mark }}/thanks", page: p}}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_project(folder: Path, url: str, vendors: Vendors) -> Path:
    """A project folder whose every lane is a real adapter that talks to a stand-in."""
    (folder / "journeys").mkdir(parents=True)
    values = {"url": url, "port": free_port(), "ports": vendors.ports, "jpush": JPUSH, "aliyun": ALIYUN, "wechat": WECHAT, "stock": STOCK}
    (folder / "config.toml").write_text(CONFIG.format(**values), encoding="utf-8")
    (folder / "journeys" / "audience.yaml").write_text(AUDIENCE, encoding="utf-8")
    (folder / "journeys" / "campaign.yaml").write_text(JOURNEY, encoding="utf-8")
    _write_secret(folder / "secrets" / "shop")
    secrets = {"jpush": JPUSH["master_secret"], "aliyun": ALIYUN["access_key_secret"], "wechat": WECHAT["secret"], "benefit": SECRET}
    for name, secret in secrets.items():
        (folder / "secrets" / name).write_text(secret, encoding="utf-8")
    return folder


# --- the load


@dataclass
class Poster:
    """Signs people up. What is not answered with 200 is posted again, to the other daemon where there are two.

    Who they are, how they are reached and what they subscribed to is known before the first kill.
    """

    folder: Path
    users: int
    ports: list[int]
    allowed: int = 0  # how many users may have begun
    begun: int = 0
    retries: int = 0
    problems: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _waiting: deque[tuple[str, list[dict[str, Any]]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.webhook = Webhook((self.folder / "secrets" / "shop").read_text().strip())
        self.thread = threading.Thread(target=self._run, daemon=True)

    @property
    def done(self) -> bool:
        return self.begun >= self.users and not self._waiting

    def stop(self) -> None:
        self._stopped.set()
        self.thread.join(30)

    def _run(self) -> None:
        with requests.Session() as session:
            while not self._stopped.is_set():
                while self.begun < min(self.allowed, self.users):
                    self._plan(range(self.begun, min(self.begun + CHUNK, self.allowed, self.users)))
                if not self._waiting:
                    time.sleep(0.02)
                elif self._post(session, *self._waiting[0]):
                    self._waiting.popleft()
                else:
                    self.retries += 1
                    self.ports.append(self.ports.pop(0))
                    time.sleep(0.03)

    def introduce(self) -> None:
        """Tell the daemon who there is; each accepts one message of the WeChat template."""
        with requests.Session() as session:
            for begin in range(0, self.users, CHUNK):
                who = [(n, f"u{n}") for n in range(begin, min(begin + CHUNK, self.users))]
                named = [(u, {"push_id": f"p-{u}", "phone": f"+86138{n:08d}", "openid": f"o-{u}"}) for n, u in who]
                people = [{"id": f"r-{u}", "user_id": u, "identities": ids, "traits": {"mark": u}} for u, ids in named]
                accepted = [{"id": f"s-{u}", "openid": f"o-{u}", "results": {"news": "accept"}} for _, u in who]
                assert self._post(session, "/v1/users", people)
                assert self._post(session, "/v1/subscriptions", accepted)
        assert not self.problems, self.problems[:3]

    def _plan(self, numbers: range) -> None:
        self.begun = numbers.stop
        self._waiting.append(("/v1/events", [{"id": f"e-u{n}", "type": "signed_up", "user_id": f"u{n}", "data": {}} for n in numbers]))

    def _post(self, session: requests.Session, path: str, items: list[dict[str, Any]]) -> bool:
        body, moment = orjson.dumps(items).decode(), datetime.fromtimestamp(SystemClock().now() / 1000, UTC)
        message_id = f"{path}-{items[0]['id']}"
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(moment.timestamp())),
                   "webhook-signature": self.webhook.sign(message_id, moment, body), "content-type": "application/json"}  # fmt: skip
        try:
            answer = session.post(f"http://127.0.0.1:{self.ports[0]}{path}", data=body.encode(), headers=headers, timeout=(0.5, 5))
        except requests.RequestException:
            return False
        if answer.status_code not in (200, 503) or (answer.status_code == 200 and answer.json().get("quarantined")):
            self.problems.append(f"{path}: {answer.status_code} {answer.text[:300]}")
        return answer.status_code == 200
