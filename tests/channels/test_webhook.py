import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from channels.http import Answer, Lost, NotSent
from channels.message import Fault, RetryLater, Unknown
from channels.webhook import checked_url, headers, json_body, refusal, secret_bytes, sign, told
from runtime.intake.signature import verified_id
from tests.channels.benefit_cases import OTHER_SECRET, SECRET
from tests.channels.cases import NOW

KEY = secret_bytes(SECRET)


def test_the_signature_is_that_of_the_specifications_example():
    body = b'{"test": 2432232314}'

    signature = sign(KEY, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=40),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4),
)
def test_the_reference_library_verifies_what_we_sign_and_nothing_changed(message_id, content):
    body = json_body(content)

    made = headers(KEY, message_id, int(time.time() * 1000), body)

    assert Webhook(SECRET).verify(body, made) is not None
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", made)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(body, made)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, made | {"webhook-id": message_id + "x"})


@given(st.binary(max_size=60), st.integers(1, 4_000_000_000))
def test_the_reference_library_signs_as_we_do(body, seconds):
    text = body.decode("latin-1")

    theirs = Webhook(SECRET).sign("m1", datetime.fromtimestamp(seconds, UTC), text)

    assert sign(KEY, "m1", seconds, text.encode()) == theirs


def test_our_own_intake_verifies_it_too():
    body = json_body({"名": "林"})

    assert verified_id(headers(KEY, "m1", NOW, body), body, [KEY], NOW) == "m1"


def test_a_repeat_has_the_same_id_and_a_new_time():
    first, later = headers(KEY, "m1", NOW, b"{}"), headers(KEY, "m1", NOW + 60_000, b"{}")

    assert first["webhook-id"] == later["webhook-id"] == "m1"
    assert first["webhook-timestamp"] != later["webhook-timestamp"]
    assert first["webhook-signature"] != later["webhook-signature"]


def test_without_a_secret_nothing_is_signed():
    assert set(headers(b"", "m1", NOW, b"{}")) == {"Content-Type", "webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all!", "密码密码密码密码密码"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret):
    with pytest.raises(ValueError, match="expected a secret") as caught:
        secret_bytes(secret)

    assert (
        not secret
        or secret.removeprefix("whsec_") not in str(caught.value).removeprefix("expected a secret like whsec_")
        or secret == "whsec_"
    )


def test_a_secret_may_lack_its_padding():
    assert secret_bytes("whsec_" + "QUJDREVGR0hJSktMTU5PUFFSUw") == b"ABCDEFGHIJKLMNOPQRS"


@pytest.mark.parametrize(
    ("url", "plain_http", "problem"),
    [
        ("http://shop.example/grants", False, "https"),
        ("ftp://shop.example/grants", True, "https"),
        ("shop.example/grants", True, "https"),
        ("https:///grants", False, "host"),
        ("https://user:secret@shop.example/", False, "password"),
    ],
)
def test_a_url_that_may_not_be_used_is_refused(url, plain_http, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        checked_url(url, plain_http=plain_http)

    assert "user:secret" not in str(caught.value)


def test_https_always_and_http_where_config_says_so_are_taken():
    assert checked_url("https://shop.example/grants", plain_http=False) == "https://shop.example/grants"
    assert checked_url("http://127.0.0.1:9/", plain_http=True) == "http://127.0.0.1:9/"


@pytest.mark.parametrize(
    ("answer", "kind", "after"),
    [
        (NotSent("no connection"), RetryLater, 5_000),
        (NotSent("x is at 10.0.0.1, which is not a public address", refused=True), Fault, 3_600_000),
        (Lost("cut"), Unknown, None),
        (Answer(301, {"location": "https://elsewhere.example"}, b""), Fault, 3_600_000),
        (Answer(307, {}, b""), Fault, 3_600_000),
        (Answer(401, {}, b""), Fault, 300_000),
        (Answer(403, {}, b""), Fault, 300_000),
        (Answer(404, {}, b""), Fault, 300_000),
        (Answer(429, {"retry-after": "7"}, b""), RetryLater, 7_000),
        (Answer(429, {}, b""), RetryLater, 30_000),
        (Answer(503, {"retry-after": "7"}, b""), RetryLater, 7_000),
        (Answer(503, {}, b""), Unknown, None),
        (Answer(500, {}, b""), Unknown, None),
        (Answer(408, {}, b""), Unknown, None),
        (Answer(200, {}, b""), type(None), None),
        (Answer(409, {}, b""), type(None), None),
    ],
)
def test_what_a_status_means(answer, kind, after):
    outcome = refusal(answer)

    assert type(outcome) is kind
    assert getattr(outcome, "after", None) == after


def test_only_what_concerns_everybody_holds_the_whole_channel():
    assert refusal(NotSent("no connection")).whole_channel
    assert refusal(Answer(429, {}, b"")).whole_channel


def test_words_of_others_are_one_short_line_without_what_is_private():
    assert told("no such\nuser oUpF8uMuAJO", "oUpF8uMuAJO", "") == "no such user …"
    assert len(told("x" * 1000)) == 200


def test_what_no_unicode_is_never_stops_a_request():
    assert json_body({"text": "a\ud800b", "at": datetime(2026, 12, 1, tzinfo=UTC)}) == b'{"text":"a?b","at":"2026-12-01 00:00:00+00:00"}'
