"""The HTTP side: every bad request has its status and a JSON reason; nothing but a closed database is our fault."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.intake.http import Intake
from runtime.intake.sources import sources_of
from runtime.settings import ConfigError, load_project
from tests.shop import CONFIG, DEVICE_SECRET, SECRET, Shop, make_folder, signed

OPENED = {"id": "e1", "type": "app_opened", "user_id": "u1"}
BODY = json.dumps(OPENED).encode()


def test_an_event_is_answered_when_it_is_durable(shop):
    answer = shop.send(BODY)

    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "duplicates": 0, "quarantined": 0})
    assert shop.total("events") == shop.total("inbox") == 1
    assert shop.woken == 1


def test_the_engine_is_not_woken_when_nothing_is_new(shop):
    shop.post(OPENED)

    shop.post(OPENED)

    assert shop.woken == 1


def test_a_trailing_slash_works(shop):
    assert shop.send(BODY, "/v1/events/").json()["accepted"] == 1
    assert shop.send(b'{"user_id": "u1"}', "/v1/users/").json()["accepted"] == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_405(shop, method):
    answer = shop.client.request(method, "/v1/events")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_an_oversized_body_is_413_by_its_announced_length_before_its_signature(shop):
    answer = shop.client.post("/v1/events", content=b"x" * 65_537)

    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


def test_an_oversized_body_in_chunks_is_413_when_it_grows_too_large(shop):
    taken = []

    def chunks():
        for number in range(100):
            taken.append(number)
            yield b"x" * 10_000

    answer = shop.client.post("/v1/events", content=chunks())

    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


def test_a_body_of_exactly_the_limit_is_taken(shop):
    body = BODY + b" " * (65_536 - len(BODY))

    assert shop.send(body).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"", {}, (400, "bad_json")),
        (b"hello", {}, (400, "bad_json")),
        (b'{"id": NaN}', {}, (400, "bad_json")),
        (b'{"id": Infinity}', {}, (400, "bad_json")),
        (b"[" * 40 + b"]" * 40, {}, (400, "too_deep")),
        (b"[" * 30_000 + b"]" * 30_000, {}, (400, "bad_json")),
        ('{"id": "李"}'.encode("gbk"), {}, (400, "bad_json")),
        (BODY, {"content-type": "application/json; charset=gbk"}, (415, "unsupported_charset")),
        (BODY, {"content-encoding": "br"}, (415, "unsupported_encoding")),
        (BODY, {"content-encoding": "gzip"}, (400, "bad_compression")),
        (gzip.compress(BODY, mtime=0)[:-5], {"content-encoding": "gzip"}, (400, "bad_compression")),
        (gzip.compress(b"0" * 20_000_000, mtime=0), {"content-encoding": "gzip"}, (413, "too_large")),
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/users"])
def test_a_body_that_cannot_be_read_is_refused_with_a_reason(shop, path, body, headers, expected):
    answer = shop.send(body, path, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == expected
    assert answer.json()["reason"]
    assert shop.total("events") == 0


def test_a_compressed_body_is_signed_as_it_is_sent(shop):
    answer = shop.send(gzip.compress(BODY, mtime=0), headers={"content-encoding": "gzip"})

    assert answer.json()["accepted"] == 1


def test_good_events_beside_bad_ones_are_kept_and_the_bad_ones_are_shown(shop):
    answer = shop.post([{"type": "app_opened"}, OPENED, "hello", {**OPENED, "id": "e2"}, OPENED])

    assert answer == {
        "accepted": 2,
        "duplicates": 1,
        "quarantined": 2,
        "reasons": [
            {"index": 0, "reason": "user_id: expected a text of 1 to 256 characters"},
            {"index": 2, "reason": "an event is an object {id, type, user_id, time, data}"},
        ],
    }
    hello, nobody = shop.quarantined()
    assert (hello["source"], nobody["source"]) == ("shop", "shop")
    assert "hello" in hello["body"]
    assert nobody["reason"] == answer["reasons"][0]["reason"]


def test_of_many_bad_events_all_are_kept_and_a_hundred_are_told(shop):
    answer = shop.post([{}] * 150)

    assert (answer["quarantined"], len(answer["reasons"])) == (150, 100)
    assert shop.total("quarantine") == 150


def test_an_empty_list_is_nothing(shop):
    assert shop.post([]) == {"accepted": 0, "duplicates": 0, "quarantined": 0}


def test_lone_surrogates_and_nul_are_stored_as_replacement_characters(shop):
    body = b'{"id": "e\\u0000", "type": "app_opened", "user_id": "u\\ud800", "data": {"x": "a\\u0000b"}}'

    assert shop.send(body).json()["accepted"] == 1

    assert [(e["event_id"], e["data"]) for e in shop.story("u�").events] == [("e�", {"x": "a�b"})]


def test_the_same_request_from_many_connections_at_once_is_accepted_once(shop):
    headers = signed(SECRET, "m1", shop.clock.now() // 1000, BODY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shop.client.post("/v1/events", content=BODY, headers=headers).json(), range(16)))

    assert sorted(a["accepted"] for a in answers) == [0] * 15 + [1]
    assert sum(a["duplicates"] for a in answers) == 15


@pytest.mark.parametrize("path", ["/v1/events", "/v1/users"])
def test_a_closed_database_is_503_with_a_time_to_come_back(shop, path):
    shop.app.store.close()

    answer = shop.send(BODY, path)

    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "unavailable", "5")


def test_a_project_without_sources_takes_nothing(tmp_path):
    shop = Shop(tmp_path / "s", url=f"sqlite:///{tmp_path}/x.db", config='[channels.push]\nadapter = "recording"\n')

    try:
        assert shop.send(BODY).status_code == 401
    finally:
        shop.close()


def test_a_secret_that_is_no_base64_stops_the_start(tmp_path):
    folder = make_folder(tmp_path / "s", config=CONFIG)
    (folder / "secrets" / "old").write_text("whsec_short")

    with pytest.raises(ConfigError, match=r"intake\.sources\.shop\.secrets: expected whsec_"):
        sources_of(load_project(folder))


def test_a_missing_secret_file_stops_the_start(shop):
    (shop.folder / "secrets" / "old").unlink()

    with pytest.raises(ConfigError, match=r"cannot read .*secrets/old"):
        Intake(shop.project, shop.app.store, shop.app.engine, shop.clock, lambda: None)


ODD = st.sampled_from(
    [None, True, 0, -1, 10**18, 1e300, -1e300, 1.5, "", " ", "x", "u1", "1970-01-01", "2999-01-01", "0001-01-01T00:00:00+23:59", "x" * 300,
     "\x00", "../../etc/passwd", "Asia/Shanghai", [], ["a"], [None], {}, {"service": True}, {"a": {"service": 1}}, {"": ""}, "app_opened",
     "order_paid", "$user", "stage_changed", "1.0"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["id", "type", "user_id", "time", "data", "specversion", "source", "subject", "data_base64", "traits", "tags", "remove_tags", "identities",
     "consents", "zone", "amount", "other"]
)  # fmt: skip
ITEMS = st.dictionaries(KEYS, ODD | st.dictionaries(KEYS, ODD, max_size=3), max_size=7) | ODD
BODIES = (ITEMS | st.lists(ITEMS, max_size=5)).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100)
HEADER = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30).map(lambda text: text.strip().encode("latin-1"))
HEADERS = st.dictionaries(
    st.sampled_from(
        ["content-type", "content-encoding", "ce-id", "ce-specversion", "ce-subject", "ce-time", "ce-type", "ce-source", "webhook-id",
         "webhook-timestamp", "webhook-signature", "transfer"]
    ),
    HEADER | st.sampled_from([b"gzip", b"1.0", b"application/json; charset=", b"%ff%00", b"application/cloudevents+json", b"%D0"]),
    max_size=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def open_shop(tmp_path_factory, folder_in_memory):
    shop = Shop(tmp_path_factory.mktemp("fuzz") / "shop", url=f"sqlite:///{folder_in_memory}/fuzz.db")
    with shop.client:
        yield shop
    shop.close()


@given(body=BODIES, headers=HEADERS, path=st.sampled_from(["/v1/events", "/v1/users"]), secret=st.sampled_from([SECRET, DEVICE_SECRET]))
def test_no_request_is_ever_our_failure(open_shop, body, headers, path, secret):
    answer = open_shop.send(body, path, secret=secret, headers=headers)

    assert answer.status_code in {200, 400, 401, 413, 415}
    assert isinstance(answer.json(), dict)


def test_numbers_that_no_database_holds_are_no_failure(shop):
    huge = b"9" * 400
    for body in (
        b'{"id": "\\ud800", "type": "app_opened", "user_id": "u1", "time": ' + huge + b"}",
        b'{"id": "\\ud800", "type": "app_opened", "user_id": "u1", "data": {"n": ' + huge[:30] + b"}}",
        b'{"id": "\\ud800", "type": "app_opened", "user_id": "u1", "time": ' + huge[:30] + b"}",
        b'{"id": ' + huge[:30] + b', "type": "app_opened", "user_id": "\\ud800"}',
    ):
        assert shop.send(body).status_code in {200, 400}
