import json

import pytest
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account as google

from channels.http import Answer, Lost, NotSent
from channels.loopback.fcm import service_account
from channels.loopback.server import Behaviour, Loopback
from channels.message import Accepted, Diagnosable, Fault, Neither, OwnTokens, Rejected, RetryLater, Unknown
from channels.push.fcm import LARGEST_PAYLOAD, build_assertion, build_body, read_answer, read_token
from channels.wechat.token import TokenRefused
from tests.channels.cases import NOW
from tests.channels.wechat_push_cases import DEVICE, new_fcm, open_fcm, push_message

SCOPE = ["https://www.googleapis.com/auth/firebase.messaging"]
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


@pytest.fixture
def vendor():
    return new_fcm()


@pytest.fixture
def server(vendor):
    with Loopback(vendor) as server:
        yield server


@pytest.fixture
def channel(server):
    channel = open_fcm(server.url)
    yield channel
    channel.close()


def to_device(address=DEVICE, **content):
    return push_message(address, "v" * 32, **content)


# --- the stand-in, asked by Google's own client


def test_googles_own_client_gets_a_token_and_sends_to_the_stand_in(server, vendor):
    credentials = google.Credentials.from_service_account_info(service_account(f"{server.url}/token"), scopes=SCOPE)
    message = {"message": {"token": DEVICE, "notification": {"title": "到货了", "body": "请自提"}, "data": {"page": "p"}}}

    with AuthorizedSession(credentials) as session:
        answer = session.post(f"{server.url}/v1/projects/town-demo/messages:send", json=message, timeout=5)

    (taken,) = vendor.taken
    assert answer.json() == {"name": taken.reference}
    assert (taken.address, taken.content["data"]) == (DEVICE, {"page": "p"})


def test_googles_own_client_with_another_key_is_refused(server, vendor):
    credentials = google.Credentials.from_service_account_info(service_account(f"{server.url}/token", key="wrong"), scopes=SCOPE)

    with pytest.raises(RefreshError, match="invalid_grant"):
        credentials.refresh(Request())

    assert vendor.tokens_issued == 0


def test_googles_own_client_with_another_scope_is_refused(server):
    credentials = google.Credentials.from_service_account_info(
        service_account(f"{server.url}/token"), scopes=["https://www.googleapis.com/auth/drive"]
    )

    with pytest.raises(RefreshError):
        credentials.refresh(Request())


# --- our adapter


def test_the_truth_holds_exactly_what_was_meant(channel, vendor):
    outcome = channel.send(to_device())

    (taken,) = vendor.taken
    assert outcome == Accepted(taken.reference)
    assert (taken.key, taken.address) == ("", DEVICE)
    assert taken.content == {
        "notification": {"title": "到货了", "body": "您订的葡萄到自提点了"}, "data": {"page": "pages/order/detail?id=7"},
    }  # fmt: skip


def test_a_message_lives_for_a_day_on_both_systems():
    body = json.loads(build_body(to_device(), NOW, 86_400))

    assert body["message"]["android"] == {"ttl": "86400s"}
    assert body["message"]["apns"] == {"headers": {"apns-expiration": str(NOW // 1000 + 86_400)}}
    assert "validate_only" not in body


def test_it_is_a_channel_without_a_guarantee(channel):
    assert channel.guarantee == Neither()
    assert isinstance(channel, Diagnosable)
    assert isinstance(channel.look_up(to_device()), Unknown)


def size_of(text):
    return len(json.dumps([{"body": text}, {}], ensure_ascii=False).encode())


def test_the_longest_payload_is_taken_and_a_byte_more_is_not(channel, vendor):
    room = LARGEST_PAYLOAD - size_of("")

    assert isinstance(channel.send(to_device(title="", page="", body="a" * room)), Accepted)
    assert channel.send(to_device(title="", page="", body="a" * (room + 1))).code == "too_long"
    assert len(vendor.taken) == 1


def test_half_a_character_never_raises(channel):
    assert isinstance(channel.send(to_device(body="a\ud800", page="\udfff")), Accepted)


# --- codes


def answer(status, general, own=None, field=None, headers=None):
    details = [{"@type": FCM_ERROR, "errorCode": own}] if own else []
    if field:
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field, "description": "d"}]})
    return Answer(
        status, headers or {}, json.dumps({"error": {"code": status, "message": "m", "status": general, "details": details}}).encode()
    )


@pytest.mark.parametrize(("given", "expected"), [
    (answer(404, "NOT_FOUND", "UNREGISTERED"), Rejected("UNREGISTERED", "m", "address")),
    (answer(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), Rejected("INVALID_ARGUMENT", "m")),
    (answer(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.token"), Rejected("INVALID_ARGUMENT", "m", "address")),
    (answer(400, "INVALID_ARGUMENT", None, "message.data"), Rejected("INVALID_ARGUMENT", "m")),
    (answer(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Rejected("SENDER_ID_MISMATCH", "the device belongs to another Firebase project than service_account: m")),
    (answer(403, "PERMISSION_DENIED"), Fault("PERMISSION_DENIED", "the service account may not send for this project: m", 3_600_000)),
    (answer(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), Fault("THIRD_PARTY_AUTH_ERROR", "Firebase's APNs key or web push key is wrong: m", 3_600_000)),
    (answer(401, "UNAUTHENTICATED"), TokenRefused("UNAUTHENTICATED", "m")),
    (answer(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), RetryLater(60_000, "m", whole_channel=True)),
    (answer(429, "RESOURCE_EXHAUSTED", headers={"retry-after": "9"}), RetryLater(9_000, "m", whole_channel=True)),
    (answer(503, "UNAVAILABLE", "UNAVAILABLE", headers={"retry-after": "30"}), RetryLater(30_000, "m", whole_channel=True)),
    (answer(503, "UNAVAILABLE"), RetryLater(10_000, "m", whole_channel=True)),
    (answer(500, "INTERNAL", "INTERNAL"), Unknown("HTTP 500 INTERNAL m")),
    (answer(404, "NOT_FOUND"), Unknown("HTTP 404 NOT_FOUND m")), (answer(400, "FAILED_PRECONDITION"), Unknown("HTTP 400 FAILED_PRECONDITION m")),
    (Answer(503, {}, b"upstream connect error"), Unknown("HTTP 503")), (Answer(502, {}, b"<html>"), Unknown("HTTP 502")),
    (Answer(400, {}, b'{"error":{"details":[7,{"fieldViolations":7},{"@type":7}],"status":["x"]}}'), Unknown("HTTP 400 ['x']")),
    (Answer(401, {}, b'{"error":"x"}'), Unknown("HTTP 401")),
    (NotSent("refused"), RetryLater(5_000, "refused", whole_channel=True)), (Lost("cut"), Unknown("cut")),
], ids=range(21))  # fmt: skip
def test_every_code_has_its_outcome(given, expected):
    assert read_answer(given) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"<html>",
        b"{}",
        b'{"name":""}',
        b'{"name":7}',
        b'{"name":"x"}',
        b'{"errcode":0}',
        b'{"status":"success","data":{"id":7}}',
    ],
)
def test_a_200_without_a_messages_name_is_never_accepted(body):
    assert isinstance(read_answer(Answer(200, {}, body)), Unknown)


@pytest.mark.parametrize("fault", [
    "cut", "unavailable", "accept_then_cut", "accept_then_html", "accept_then_half", "accept_then_foreign", "accept_then_huge", "accept_then_nothing",
    "html", "half", "foreign", "huge", "nothing",
])  # fmt: skip
def test_what_nobody_can_tell_is_unknown(fault):
    vendor = new_fcm()
    with Loopback(vendor, Behaviour(faults={fault: 1.0})) as server:
        assert isinstance(open_fcm(server.url).send(to_device()), Unknown)
    assert len(vendor.taken) == (1 if fault.startswith("accept") else 0)


def test_flow_control_waits_as_long_as_google_says():
    with Loopback(new_fcm(), Behaviour(faults={"flow_control": 1.0})) as server:
        outcome = open_fcm(server.url).send(to_device())

    assert (outcome.after, outcome.whole_channel) == (7_000, True)


@pytest.mark.parametrize(
    ("code", "kind"), [("UNREGISTERED", Rejected), ("THIRD_PARTY_AUTH_ERROR", Fault), ("UNAVAILABLE", RetryLater), ("INTERNAL", Unknown)]
)
def test_a_code_over_the_wire_takes_nothing(code, kind):
    vendor = new_fcm(refuse={DEVICE: code})
    with Loopback(vendor) as server:
        assert isinstance(open_fcm(server.url).send(to_device()), kind)
    assert vendor.taken == []


def test_a_device_that_is_gone_is_a_dead_address(channel):
    outcome = channel.send(to_device("gone"))

    assert (outcome.code, outcome.blames) == ("UNREGISTERED", "address")


# --- tokens


def test_a_token_that_expired_is_renewed_once(channel, vendor):
    channel.send(to_device())
    vendor.expire_token()

    assert isinstance(channel.send(to_device()), Accepted)
    assert (len(vendor.taken), vendor.tokens_issued) == (2, 2)


def test_a_second_refused_token_is_a_fault_after_two_posts(channel, server, vendor):
    vendor.refuse_all_tokens = True

    outcome = channel.send(to_device())

    assert (type(outcome), outcome.code) == (Fault, "UNAUTHENTICATED")
    assert server.sends == 2


def test_two_daemons_share_one_token(server, vendor):
    tokens = OwnTokens()
    for channel in (open_fcm(server.url, tokens=tokens), open_fcm(server.url, tokens=tokens)):
        assert isinstance(channel.send(to_device()), Accepted)

    assert vendor.tokens_issued == 1


def test_another_private_key_is_a_fault(server, vendor):
    outcome = open_fcm(server.url, "wrong").send(to_device())

    assert (type(outcome), outcome.code) == (Fault, "invalid_grant")
    assert vendor.taken == []


@pytest.mark.parametrize(
    "account",
    [
        {},
        {"private_key": "x"},
        {"private_key": 7, "client_email": "a"},
        {"client_email": "a", "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
    ],
)
def test_a_service_account_that_is_none_is_a_fault_and_never_raises(server, account):
    outcome = open_fcm(server.url, service_account={**account, "token_uri": f"{server.url}/token"}).send(to_device())

    assert (type(outcome), outcome.code) == (Fault, "service_account")


def test_the_assertion_is_signed_for_an_hour_from_the_clock(server):
    from google.auth import jwt

    text = build_assertion(service_account(f"{server.url}/token"), NOW).decode()
    claims = jwt.decode(text.split("assertion=")[1], verify=False)

    assert (claims["iat"], claims["exp"]) == (NOW // 1000, NOW // 1000 + 3600)
    assert claims["scope"] == SCOPE[0]


@pytest.mark.parametrize(("given", "kind"), [
    (Answer(400, {}, b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'), Fault), (Answer(401, {}, b'{"error":"invalid_client"}'), Fault),
    (Answer(503, {}, b""), RetryLater), (Answer(400, {}, b"<html>"), RetryLater), (Answer(200, {}, b"{}"), RetryLater), (Answer(200, {}, b'{"access_token":7,"expires_in":1}'), RetryLater),
    (Answer(429, {"retry-after": "3"}, b""), RetryLater), (NotSent("refused"), RetryLater), (Lost("cut"), RetryLater),
], ids=range(9))  # fmt: skip
def test_whatever_the_token_endpoint_answers_nothing_was_sent(given, kind):
    assert isinstance(read_token(given), kind)


# --- diagnosis


def test_a_sound_configuration_is_diagnosed_sound_and_nobody_is_messaged(channel, vendor):
    assert [(d.what, d.ok) for d in channel.diagnose()] == [("service account", True), ("project", True)]
    assert vendor.taken == []


def test_a_validation_of_a_known_device_delivers_nothing(server, vendor):
    vendor.everyone = True

    assert all(d.ok for d in open_fcm(server.url).diagnose())
    assert vendor.taken == []


def test_a_wrong_key_and_a_wrong_project_are_found(server):
    account = {**service_account(f"{server.url}/token"), "project_id": "another"}
    (key,) = open_fcm(server.url, "wrong").diagnose()
    _, project = open_fcm(server.url, service_account=account).diagnose()

    assert (key.ok, project.ok) == (False, False)
    assert "service_account" in key.cure
    assert "role" in project.cure
