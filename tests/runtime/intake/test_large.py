"""Large requests: a batch as large as the real clients send is taken, and what of it is bad is kept whole, so that it can be read again."""

import asyncio
import base64
import gzip
import json
import tracemalloc
from itertools import chain

import pytest

from runtime.intake import bodies
from runtime.intake.bodies import LARGE_AT_ONCE, MOST_KEPT, SMALL, Bodies
from runtime.intake.items import ROW
from runtime.intake.reading import MOST_OF_SDK, Unreadable, parse_json
from runtime.quarantine import retry, today_of
from runtime.settings import load_project
from tests.runtime.intake.sdk import OPENED, SDK_CONFIG, SHOW, VISIT, secret, segment, sensors
from tests.town import DAY, NOON

SHOP_CONFIG = SDK_CONFIG.replace("body_limit = 65536\n", "")


def read_again(shop):
    """The outcomes of reading everything again that was set aside."""
    return [row.outcome for row in retry(shop.app.store, [row["id"] for row in shop.quarantined()], today_of(shop.app, shop.clock.now()))]


def test_a_large_event_that_is_set_aside_is_kept_whole_and_can_be_read_again(either):
    note = "好" * 30_000
    either.post({"id": "e1", "type": "order_paid", "user_id": "u1", "time": (NOON + 3 * DAY) // 1000, "data": {"note": note}})

    assert json.loads(either.quarantined()[0]["body"])["data"] == {"note": note}
    either.clock.set(NOON + 3 * DAY)
    assert read_again(either) == ["taken"]
    assert either.story("u1").events[0]["data"] == {"note": note}


# --- as large as real clients send


def test_a_batch_of_growingio_of_2000_events_is_taken(either):
    events = [{**VISIT, "deviceId": f"d{n}", "attributes": {f"a{i}": "山东大樱桃 2 斤装" for i in range(20)}} for n in range(2000)]

    answer = either.client.post("/v3/projects/g1/collect", content=json.dumps(events).encode())

    assert (answer.json(), either.total("events"), either.total("quarantine")) == ({"success": True}, 2000, 0)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_batch_of_rudderstack_of_4_mb_is_taken(shop, compressed):
    batch = [{**OPENED, "messageId": f"m{n}", "properties": {"text": "x" * 31_000}} for n in range(135)]
    body = json.dumps({"batch": batch}).encode()
    key = base64.b64encode(f"{secret(shop, 'device')}:".encode()).decode()
    headers = {"authorization": f"Basic {key}", **({"content-encoding": "gzip"} if compressed else {})}

    answer = shop.client.post("/v1/batch", content=gzip.compress(body) if compressed else body, headers=headers)

    assert (len(body) > 4 << 20, answer.json(), shop.total("events")) == (True, {"success": True}, 135)


def test_a_batch_of_sensors_of_several_mb_is_taken(shop):
    answer = sensors(shop, [{**SHOW, "distinct_id": f"d{n}", "properties": {"text": "x" * 60_000}} for n in range(50)])

    assert (answer.json(), shop.total("events")) == ({"success": True}, 50)


def test_what_is_signed_has_the_smaller_limit_and_its_sender_is_told(shop):
    answer = shop.client.post("/v1/events", content=b"x" * (SMALL + 1))

    assert (answer.status_code, answer.json()["reason"]) == (413, f"expected at most {SMALL} bytes")


def test_a_large_body_that_cannot_be_read_is_kept_whole_and_can_be_read_again(either):
    body = json.dumps([{**VISIT, "attributes": {"text": "x" * 3_000_000}}]).encode()
    either.client.post("/v3/projects/later/collect", content=body)

    config = either.folder / "config.toml"
    config.write_text(config.read_text().replace('project = "g1"', 'project = "later"'))
    either.app.project.settings = load_project(either.folder).settings
    assert read_again(either) == ["taken"]
    assert either.total("events") == 1


# --- and no larger


@pytest.mark.parametrize("path", ["/v1/events", "/v1/users", "/v1/events/"])
def test_50_mb_at_the_signed_doors_are_refused_before_they_are_read(shop, path):
    chunk, sent = b"x" * (1 << 16), []

    def chunks():
        for number in range(50 << 4):
            sent.append(number)
            yield chunk

    status, told = asyncio.run(post(shop.web, path, chunks()))

    assert (status, json.loads(told)["reason"]) == (413, f"expected at most {SMALL} bytes")
    assert len(sent) * len(chunk) <= 2 * SMALL


@pytest.mark.parametrize("key", ["device", "nobody's"])
def test_50_mb_at_segments_door_are_refused_and_the_beginning_is_kept(shop, key):
    name = base64.b64encode(f"{secret(shop, 'device') if key == 'device' else 'x'}:".encode())
    body = b"x" * (50 << 20)

    answer = shop.client.post("/v1/batch", content=body, headers={"authorization": f"Basic {name.decode()}"})

    assert answer.status_code == (413 if key == "device" else 200), answer.text
    (aside,) = shop.quarantined()
    assert 0 < len(aside["body"]) < 200_000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"x" * (50 << 20), "expected at most 16777216 bytes"),
        (gzip.compress(b" " * (50 << 20), mtime=0), "the body inflates to more than 16777216 bytes"),
    ],
    ids=["50 MB", "a bomb of 50 MB"],
)
@pytest.mark.parametrize("path", ["/sa?project=default", "/v3/projects/g1/collect"])
def test_a_body_that_is_larger_is_never_held_whole(shop, path, body, reason):
    if path.startswith("/sa") and body[:1] == b"\x1f":
        body = b"data_list=" + base64.b64encode(body).replace(b"+", b"%2B")

    def chunks():
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    tracemalloc.start()
    answer = asyncio.run(post(shop.web, path, chunks()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (answer[0], json.loads(answer[1])["reason"]) == (200, reason)
    assert peak < 80 << 20


async def post(web, path, chunks):
    """What is answered to a body in chunks."""
    sent = []
    last = {"type": "http.request", "body": b""}
    left = chain(({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks), [last])
    path, _, query = path.partition("?")
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
             "headers": [], "scheme": "http", "server": ("t", 80), "client": ("c", 1), "root_path": ""}  # fmt: skip

    async def receive():
        return next(left)

    async def send(message):
        sent.append(message)

    await web(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    "body",
    [b"[" + b"[]," * 5_000_000 + b"0]", b"[" + b"{}," * 5_000_000 + b"0]", b"[" + b"0," * 7_000_000 + b"0]"],
    ids=["lists", "objects", "numbers"],
)
def test_values_are_counted_before_anything_is_made_of_them(body):
    tracemalloc.start()
    found = parse_json(body, MOST_OF_SDK)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(found, Unreadable)
    assert peak < 40 << 20


@pytest.mark.timeout(30)
def test_a_text_that_does_not_end_is_looked_at_once():
    found = parse_json(b'["' + b'\\",' * 5_000_000, 10)

    assert found.reason == "bad_json"


def test_commas_and_brackets_in_texts_are_no_values():
    text = '[{,\\"' * 10_000

    assert parse_json(json.dumps({"a": text}).encode(), 10) == {"a": text}


def test_so_many_messages_as_no_client_sends_are_kept_as_they_came(shop):
    answer = shop.client.post("/v3/projects/g1/collect", content=b"[" + b"0," * 10_000 + b"0]")

    assert (answer.json()["reason"], shop.total("quarantine")) == ("expected at most 10000 messages", 1)


def test_a_form_of_escapes_alone_is_none(shop):
    answer = shop.client.post("/sa", content=b"data=" + b"%2B" * 100_000)

    assert "nearly everything in it is escaped" in answer.json()["reason"]


class Sender:
    """Sends a body of `size` bytes in chunks, the last of them when it is told to."""

    def __init__(self, size):
        self.left, self.go_on, self.asked = size, asyncio.Event(), 0

    async def __call__(self):
        self.asked += 1
        if self.left <= 1 << 16:
            await self.go_on.wait()
        chunk = b"x" * min(self.left, 1 << 16)
        self.left -= len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": self.left > 0}


def test_of_large_bodies_only_so_many_are_in_memory_at_once_and_small_ones_pass():
    async def run():
        read, senders = Bodies(), [Sender(3 << 20) for _ in range(LARGE_AT_ONCE + 1)]
        reading = [asyncio.create_task(read.read(sender, 16 << 20)) for sender in senders]
        await asyncio.sleep(0.1)
        small = Sender(1000)
        small.go_on.set()
        assert len(await read.read(small, 16 << 20)) == 1000
        assert senders[-1].left > 1 << 20  # it waits at its first megabyte
        for sender in senders:
            sender.go_on.set()
        await asyncio.wait(reading[:-1], timeout=5)
        assert not reading[-1].done()
        read.release(reading[0].result())
        return len(await asyncio.wait_for(reading[-1], 5))

    assert asyncio.run(run()) == 3 << 20


def test_a_large_body_that_takes_too_long_gives_its_place_away(monkeypatch):
    monkeypatch.setattr(bodies, "SECONDS", 0.1)

    async def run():
        read = Bodies()
        return [await read.read(Sender(3 << 20), 16 << 20) for _ in range(LARGE_AT_ONCE + 1)]

    assert [found.reason for found in asyncio.run(run())] == ["too_slow"] * (LARGE_AT_ONCE + 1)


def test_what_waits_to_be_committed_has_a_bound():
    async def run():
        read = Bodies()
        with read.held(bodies.MOST_HELD + 1):
            waiting = asyncio.create_task(read.room())
            await asyncio.sleep(0.1)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(run())


NONSENSE = [{"type": "nonsense", "n": n} for n in range(1000)]


def test_a_device_that_posts_nonsense_fills_no_disk_and_what_is_good_beside_it_is_taken(shop):
    shop.intake._bodies.kept(bodies.MOST_KEPT_A_DAY, NOON)  # so much came before on this day

    answer = segment(shop, {"batch": [*NONSENSE, OPENED]}).json()

    assert (answer["accepted"], answer["quarantined"]) == (1, 1000)
    kept = shop.total("quarantine") - 1
    assert 0 < kept <= MOST_KEPT // ROW
    newest = shop.quarantined()[0]
    beyond = f"{1000 - kept} more of this request were set aside; they were not kept, for there had been too much on this day"
    assert (newest["kind"], newest["reason"]) == ("count", beyond)


def test_whoever_proves_who_she_is_may_have_set_aside_what_she_likes(shop):
    shop.intake._bodies.kept(bodies.MOST_KEPT_A_DAY, NOON)

    segment(shop, {"batch": NONSENSE}, key="shop")

    assert shop.total("quarantine") == 1000


def test_until_then_all_that_a_device_posts_is_kept(shop):
    segment(shop, {"batch": NONSENSE})

    assert (shop.total("quarantine"), shop.quarantined()[0]["kind"]) == (1000, "segment")


def test_only_so_much_that_cannot_be_read_is_kept_whole_on_a_day():
    read = Bodies()
    n = bodies.MOST_KEPT_A_DAY // (16 << 20)

    assert [read.kept(16 << 20, NOON) for _ in range(n)] == [16 << 20] * n
    assert [read.kept(16 << 20, NOON), read.kept(16 << 20, NOON + DAY)] == [MOST_KEPT, 16 << 20]
