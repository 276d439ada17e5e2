"""Signatures: what an independent library signs is accepted, everything else is a plain 401."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from runtime.intake.signature import Fault, decode_secret, fault_of, sign, verified_id
from runtime.intake.tally import Tally
from tests.shop import DEVICE_SECRET, OLD_SECRET, SECRET, signed

BODY = b'{"type": "app_opened", "user_id": "u1"}'
VECTOR_ID, VECTOR_TIME, VECTOR_BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def key(secret):
    decoded = decode_secret(secret)
    assert decoded is not None
    return decoded


def headers(identity, timestamp, signature):
    return {"webhook-id": identity, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_vector_of_the_specification_is_signed_and_accepted():
    assert sign(key(SECRET), VECTOR_ID, VECTOR_TIME, VECTOR_BODY) == VECTOR

    found = verified_id(headers(VECTOR_ID, VECTOR_TIME, VECTOR), VECTOR_BODY, [key(SECRET)], VECTOR_TIME * 1000)

    assert found == VECTOR_ID


@given(
    identity=st.text(st.characters(codec="utf-8", exclude_characters=".\x00"), min_size=1, max_size=60),
    body=st.text(st.characters(codec="utf-8"), max_size=300),
    secret=st.binary(min_size=24, max_size=64),
    timestamp=st.integers(1_000_000_000, 4_000_000_000),
    skew=st.integers(-300, 300),
)
def test_whatever_the_standard_library_signs_is_accepted_and_a_changed_body_is_not(identity, body, secret, timestamp, skew):
    written = "whsec_" + base64.b64encode(secret).decode()
    signature = Webhook(written).sign(identity, datetime.fromtimestamp(timestamp, UTC), body)
    given_headers = headers(identity, timestamp, signature)
    now = (timestamp + skew) * 1000

    assert sign(key(written), identity, timestamp, body.encode()) == signature
    assert verified_id(given_headers, body.encode(), [key(written)], now) == identity
    assert verified_id(given_headers, body.encode() + b" ", [key(written)], now) is None
    assert verified_id({**given_headers, "webhook-id": identity + "x"}, body.encode(), [key(written)], now) is None
    assert verified_id(given_headers, body.encode(), [key(DEVICE_SECRET)], now) is None


@pytest.mark.parametrize("length", [16, 24, 64])
def test_a_secret_of_sixteen_bytes_or_more_is_taken(length):
    assert decode_secret("whsec_" + base64.b64encode(b"k" * length).decode()) == b"k" * length


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_密", "whsec_" + base64.b64encode(b"k" * 15).decode(), "plain text"])
def test_what_is_no_secret_is_refused(secret):
    assert decode_secret(secret) is None


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_while_secrets_rotate_both_are_accepted(shop, secret):
    assert shop.send(BODY, secret=secret).status_code == 200


def test_a_sender_that_signs_with_both_secrets_is_accepted_by_either(shop):
    now = shop.clock.now() // 1000
    unknown = sign(b"x" * 24, "m1", now, BODY)
    both = f"v1a,abcd {unknown} {sign(key(OLD_SECRET), 'm1', now, BODY)}"

    answer = shop.send(BODY, request_id="m1", headers={"webhook-signature": both})

    assert answer.status_code == 200


def test_the_secret_says_which_source_it_is(shop):
    order = {"type": "order_paid", "user_id": "u1", "id": "e1"}

    assert shop.post(order, secret=DEVICE_SECRET)["reasons"][0]["reason"] == "source device may not assert order_paid"
    assert shop.post(order, secret=SECRET)["accepted"] == 1


GOOD = "v1," + "A" * 43 + "="
MALFORMED = [
    # header, value
    ("webhook-id", None),
    ("webhook-id", ""),
    ("webhook-id", "é"),
    ("webhook-id", "x" * 5000),
    ("webhook-id", "somebody else's"),
    ("webhook-timestamp", None),
    ("webhook-timestamp", ""),
    ("webhook-timestamp", "soon"),
    ("webhook-timestamp", "1614265330.5"),
    ("webhook-timestamp", "-1614265330"),
    ("webhook-timestamp", "+1614265330"),
    ("webhook-timestamp", "1e9"),
    ("webhook-timestamp", "9" * 13),
    ("webhook-timestamp", "9" * 2000),
    ("webhook-timestamp", "²"),
    ("webhook-timestamp", "NaN"),
    ("webhook-signature", None),
    ("webhook-signature", ""),
    ("webhook-signature", " "),
    ("webhook-signature", ","),
    ("webhook-signature", "v1"),
    ("webhook-signature", "v1,"),
    ("webhook-signature", "no comma at all"),
    ("webhook-signature", GOOD),
    ("webhook-signature", "v1,not base64 !!"),
    ("webhook-signature", "v1,é"),
    ("webhook-signature", "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="),
    ("webhook-signature", " ".join([GOOD] * 1000)),
    ("webhook-signature", "x" * 60_000),
]


@pytest.mark.parametrize(("name", "value"), MALFORMED, ids=[f"{n}-{i}" for i, (n, _) in enumerate(MALFORMED)])
def test_a_malformed_header_is_401_and_nothing_is_kept(shop, name, value):
    good = signed(SECRET, "m1", shop.clock.now() // 1000, BODY)
    sent = {k: v for k, v in good.items() if k != name}
    if value is not None:
        sent[name] = value.encode()

    answer = shop.client.post("/v1/events", content=BODY, headers=sent)

    assert answer.status_code == 401
    assert answer.json()["error"] == "bad_signature"
    assert shop.total("events") == 0


def test_a_good_signature_behind_a_thousand_others_is_not_looked_for(shop):
    good = signed(SECRET, "m1", shop.clock.now() // 1000, BODY)
    sent = {**good, "webhook-signature": " ".join(["v1,A"] * 20) + " " + good["webhook-signature"]}

    assert shop.client.post("/v1/events", content=BODY, headers=sent).status_code == 401


@pytest.mark.parametrize("version", ["v1a", "v2", "V1", ""])
def test_a_signature_of_another_version_is_not_taken_for_ours(shop, version):
    good = signed(SECRET, "m1", shop.clock.now() // 1000, BODY)
    sent = {**good, "webhook-signature": good["webhook-signature"].replace("v1,", f"{version},", 1)}

    assert shop.client.post("/v1/events", content=BODY, headers=sent).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 200), (0, 200), (300, 200), (301, 401)])
def test_five_minutes_either_way_are_tolerated(shop, seconds, status):
    answer = shop.send(BODY, timestamp=shop.clock.now() // 1000 + seconds)

    assert answer.status_code == status


def test_a_replay_in_time_is_a_duplicate_and_a_later_one_is_401(shop):
    sent_at = shop.clock.now() // 1000

    first = shop.send(BODY, request_id="m1")
    again = shop.send(BODY, request_id="m1")
    shop.clock.set(shop.clock.now() + 301_000)
    stale = shop.send(BODY, request_id="m1", timestamp=sent_at)
    retried = shop.send(BODY, request_id="m1")  # the sender's own retry: the same id, signed anew

    assert first.json() == {"accepted": 1, "duplicates": 0, "quarantined": 0}
    assert again.json() == {"accepted": 0, "duplicates": 1, "quarantined": 0}
    assert stale.status_code == 401
    assert retried.json() == {"accepted": 0, "duplicates": 1, "quarantined": 0}


@given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text(max_size=40)))
def test_no_header_raises(given_headers):
    assert verified_id(given_headers, BODY, [key(SECRET)], VECTOR_TIME * 1000) is None


@pytest.mark.parametrize(
    ("changes", "now", "fault"),
    [
        ({"webhook-signature": ""}, VECTOR_TIME, Fault("missing", cure="the sender has to send webhook-signature")),
        ({}, VECTOR_TIME + 420, Fault("time", "shop", "its clock is 420 seconds behind, or it sent again what it had signed then")),
        ({}, VECTOR_TIME - 301, Fault("time", "shop", "its clock is 301 seconds ahead, or it sent again what it had signed then")),
        ({"webhook-id": "x"}, VECTOR_TIME, Fault("wrong", cure="the sender signs with another secret, or something on the way changes the body")),
        ({"webhook-timestamp": "\u0663"}, 0, Fault("wrong", cure="the sender signs with another secret, or something on the way changes the body")),
    ],
)  # fmt: skip
def test_a_refused_signature_says_why(changes, now, fault):
    given_headers = {**headers(VECTOR_ID, VECTOR_TIME, VECTOR), **changes}

    assert fault_of(given_headers, VECTOR_BODY, {"device": [key(DEVICE_SECRET)], "shop": [key(SECRET)]}, now * 1000) == fault


def test_the_log_tells_the_first_and_the_tenth_of_many_refusals():
    tally = Tally()
    with capture_logs() as logs:
        for _ in range(12):
            tally.refuse(Fault("time", "shop", "its clock is 420 seconds behind"), 0)
        tally.refuse(Fault("wrong"), 0)

    assert [(line["source"], line["reason"], line["count"]) for line in logs] == [
        ("shop", "time", 1), ("shop", "time", 10), ("", "wrong", 1),
    ]  # fmt: skip
    assert logs[0]["cure"] == "its clock is 420 seconds behind"
