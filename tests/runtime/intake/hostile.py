"""Requests that no sender should make, by the thousand, from a seed: good bodies of every source, broken in every way we know of."""

import asyncio
import base64
import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.shop import CONFIG, SECRET, Shop, signed
from tests.town import NOON, SECOND

SOURCES = """
[intake.sources.app]
kind = "sensors"
[intake.sources.gio]
kind = "growingio"
project = "p1"
[intake.sources.cdp]
kind = "segment"
write_keys = ["file:secrets/device"]
server_side = true
[channels.wechat.templates]
"""
HOSTILE_CONFIG = CONFIG.replace("[channels.wechat.templates]\n", SOURCES, 1)
NASTY: list[Any] = [
    None, True, False, 0, -1, 1 << 70, -(1 << 63), 1e308, 5e-324, "", " ", "\x00", "\ud800", "\u202e反", "a" * 300, "'; DROP TABLE events;--",
    "{{ user.id }}", "../../etc/passwd", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30", "NaN", [], {}, [[]], [{}], {"": ""},
    {"$ne": 1}, [None], ["a"] * 50, {"a": {"b": {"c": {"d": []}}}}, {"user_id": "u1"}, 10**400, 0.1, "１２", "٣", 253402300800000, -1.5,
]  # fmt: skip
SENSORS = {"type": "track", "event": "$MPShow", "time": NOON, "distinct_id": "d1", "_track_id": 7, "_flush_time": NOON, "login_id": "u1",
           "identities": {"$identity_mp_id": "d1", "$identity_login_id": "u1"}, "properties": {"$os": "iOS", "price": 1}}  # fmt: skip
GOOD: list[tuple[str, str, Any]] = [  # method, path, value
    ("POST", "/v1/events", {"id": "e1", "type": "order_paid", "user_id": "u1", "time": NOON / 1000, "data": {"amount": 1, "item": "桃"}}),
    ("POST", "/v1/events", {"type": "app_opened", "identities": {"openid": "o1", "distinct_id": "d1"}, "data": {}}),
    ("POST", "/v1/events", {"specversion": "1.0", "id": "1", "source": "/s", "type": "app_opened", "subject": "u1", "data": {"a": 1}}),
    ("POST", "/v1/users", {"user_id": "u1", "traits": {"city": "上海"}, "tags": ["vip"], "identities": {"openid": "o1", "phone": "13800138000"},
                           "consents": {"sms": {"marketing": {"granted": True, "at": NOON}}}, "increment": {"points": 1},
                           "append": {"likes": "x"}, "set_once": {"level": "a"}, "merge": ["u0"], "zone": "Asia/Shanghai"}),
    ("POST", "/sa", SENSORS),
    ("GET", "/sa", {**SENSORS, "type": "profile_append", "properties": {"likes": ["a"]}}),
    ("POST", "/debug", {**SENSORS, "type": "track_signup", "original_id": "d0", "event": "$SignUp"}),
    ("POST", "/sa", {"type": "item_set", "item_type": "sku", "item_id": "s1", "properties": {"p": 1}}),
    ("POST", "/v3/projects/p1/collect", {"eventType": "CUSTOM", "eventName": "buy", "timestamp": NOON, "userId": "u1", "userKey": "",
                                         "deviceId": "d1", "attributes": {"a": "x||y"}, "sendTime": NOON}),
    ("POST", "/projects/p1/collect/item", {"key": "sku", "id": "s1", "attributes": {"a": 1}}),
    ("POST", "/v1/batch", {"type": "track", "event": "Order Completed", "messageId": "m1", "userId": "u1", "anonymousId": "a1",
                           "timestamp": "2026-12-01T12:00:00Z", "properties": {"total": 9}, "context": {"traits": {"a": 1}}}),
    ("POST", "/v1/identify", {"messageId": "m2", "userId": "u1", "traits": {"phone": "13800138000", "city": "杭州"}}),
    ("POST", "/v1/alias", {"messageId": "m3", "userId": "u1", "previousId": "a1"}),
]  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """One request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


def attacks(seed: int, count: int, now: int = NOON) -> Iterator[Attack]:
    """So many requests; the same for the same seed."""
    draw = random.Random(seed)
    for n in range(count):
        method, path, value = draw.choice(GOOD)
        yield _attack(draw, n, method, path, _broken(draw, value), now)


def _broken(draw: random.Random, value: Any) -> Any:
    """A value with up to three places replaced, dropped, doubled or nested."""
    found = json.loads(json.dumps(value))
    for _ in range(draw.randrange(4)):
        holder, key = _place(draw, found)
        if holder is None:
            return draw.choice(NASTY)
        kind = draw.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[draw.choice(["", "\x00", "$", "a" * 300, "type", "__proto__"])] = holder[key]
        elif kind == 2:
            deep: Any = holder[key]
            for _ in range(draw.choice([1, 5, 40])):
                deep = [deep]
            holder[key] = deep
        else:
            holder[key] = draw.choice(NASTY)
    return found if draw.random() < 0.8 else draw.choice([[found], [found, value], [value, draw.choice(NASTY)], {"batch": [found]}])


def _place(draw: random.Random, value: Any) -> tuple[Any, Any]:
    holder: Any = None
    key: Any = None
    while isinstance(value, dict | list) and value and (holder is None or draw.random() < 0.6):
        holder, key = value, draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value = value[key]
    return holder, key


def _attack(draw: random.Random, n: int, method: str, path: str, value: Any, now: int) -> Attack:
    try:
        text = json.dumps(value).encode()
    except ValueError:  # a number that has no JSON
        text = b"null"
    headers: dict[str, str] = {}
    query = ""
    if path in ("/sa", "/debug"):
        text, query = _as_form(draw, method, text)
    elif path == "/v1/batch" and draw.random() < 0.8:
        text = b'{"batch":[' + text + b'],"sentAt":"2026-12-01T12:00:00Z"}'
    text = _cut(draw, text)
    if draw.random() < 0.1:
        text = gzip.compress(text, 1)[: draw.choice([None, 20, -4])]
        headers["content-encoding"] = draw.choice(["gzip", "GZIP", "deflate", "br", ""])
    if draw.random() < 0.3:
        headers["content-type"] = draw.choice(["text/plain", "application/json; charset=gbk", "application/cloudevents+json", "x", ""])
    if path.startswith("/v1/") and path not in ("/v1/events", "/v1/users"):
        key = draw.choice(["whsec_" + "B" * 32] * 4 + ["wrong", ""])
        headers["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    elif path.startswith("/v1/") and draw.random() < 0.95:
        headers |= signed(SECRET, f"h{n}", now // SECOND, text)
    if draw.random() < 0.05:
        headers[draw.choice(["webhook-timestamp", "webhook-signature", "ce-id", "ce-specversion", "content-length"])] = draw.choice(
            ["", "-1", "1" * 400, "v1,", "v1,%%%", "9e9"]
        )
    return Attack(method, path, query, headers, text if method == "POST" else b"")


def _as_form(draw: random.Random, method: str, text: bytes) -> tuple[bytes, str]:
    packed = gzip.compress(text, 1) if draw.random() < 0.3 else text
    form = f"{draw.choice(['data', 'data', 'data_list', 'x'])}={quote(base64.b64encode(packed))}"
    if packed != text and draw.random() < 0.9:
        form += "&gzip=1"
    if draw.random() < 0.1:
        form = form.replace("=", "%", 1)
    query = draw.choice(["project=default", "", "project=other", "project=%ff&token=x", "a=1&" * 80])
    return (b"", f"{query}&{form}") if method == "GET" else (form.encode(), query)


def _cut(draw: random.Random, text: bytes) -> bytes:
    kind = draw.randrange(12)
    if kind == 0:
        return text[: draw.randrange(len(text) + 1)]
    if kind == 1 and text:
        changed = bytearray(text)
        for _ in range(3):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        return bytes(changed)
    if kind == 2:
        return draw.choice([b"", b"\xff\xfe", b"[" * 2000, b'{"a":' * 500, text * 40, b"null", b"[]", b'"\\ud800"', b"1e999"])
    return text


@dataclass
class Outcome:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


async def _call(app: Any, attack: Attack) -> tuple[int, bytes]:
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": attack.body, "more_body": False}]

    async def receive() -> Any:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(k.encode("latin-1", "replace"), v.encode("latin-1", "replace")) for k, v in attack.headers.items()]
    scope = {"type": "http", "http_version": "1.1", "method": attack.method, "path": attack.path, "raw_path": attack.path.encode(),
             "query_string": attack.query.encode(), "headers": headers, "scheme": "http", "server": ("t", 80), "client": ("c", 1),
             "root_path": ""}  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])


async def assault(shop: Shop, found: Iterator[Attack], at_once: int = 64) -> Outcome:
    """Send everything, so many at once; whatever raises or answers 500 or more is a failure."""
    outcome = Outcome()

    async def one() -> None:
        for attack in found:
            try:
                status, body = await _call(shop.web, attack)
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                outcome.failures.append(f"{type(error).__name__}: {error} by {attack}"[:2000])
                continue
            outcome.statuses[status] += 1
            if status >= 500:
                outcome.failures.append(f"{status} {body[:200]!r} by {attack}"[:2000])

    await asyncio.gather(*(one() for _ in range(at_once)))
    return outcome
