import json

import jpush
import pytest
from jpush import common

from channels.http import Answer, Lost, NotSent
from channels.loopback.server import Behaviour, Loopback
from channels.message import Accepted, Diagnosable, Fault, IssuesKeys, Key, Rejected, RetryLater, Unknown
from channels.push.jpush import build_body, read_answer, read_cids
from tests.channels.wechat_push_cases import CID, REGISTRATION_ID, new_jpush, open_jpush, push_message

APP_KEY, SECRET = "7d431e42dfa6a6d693ac2d04", "5e987ac6d2e04d95a9d8f0d1"


@pytest.fixture
def vendor():
    return new_jpush()


@pytest.fixture
def server(vendor):
    with Loopback(vendor) as server:
        yield server


@pytest.fixture
def channel(server):
    channel = open_jpush(server.url)
    yield channel
    channel.close()


# --- the stand-in, asked by the vendor's own client


@pytest.fixture
def vendors_own(server):
    common.ZONES["LOOPBACK"] = dict.fromkeys(common.ZONES["DEFAULT"], f"{server.url}/v3/")
    yield lambda secret=SECRET: jpush.JPush(APP_KEY, secret, zone="loopback")
    del common.ZONES["LOOPBACK"]


def own_push(client, cid=None, registration_id=REGISTRATION_ID):
    push = client.create_push()
    push.audience = jpush.audience(jpush.registration_id(registration_id))
    push.notification = jpush.notification(alert="到货了", android=jpush.android(alert="到货了", title="团"), ios=jpush.ios(alert="到货了"))
    push.platform = jpush.all_
    push.options = {"time_to_live": 600, "apns_production": True}
    push.cid = cid
    return push


def test_the_vendors_own_client_pushes_to_the_stand_in(vendors_own, vendor):
    client = vendors_own()
    cids = client.create_push().get_cid(3).payload["cidlist"]

    answer = own_push(client, cids[0]).send().payload

    (taken,) = vendor.taken
    assert len(set(cids)) == 3
    assert all(cid.startswith(f"{APP_KEY}-") for cid in cids)
    assert (taken.key, taken.reference, taken.address) == (cids[0], answer["msg_id"], REGISTRATION_ID)
    assert taken.content["notification"]["android"]["title"] == "团"


def test_the_vendors_own_client_gets_the_first_answer_for_the_same_cid(vendors_own, vendor):
    client = vendors_own()
    (cid,) = client.create_push().get_cid(1).payload["cidlist"]

    first, second = (own_push(client, cid).send().payload for _ in range(2))

    assert first == second
    assert len(vendor.taken) == 1


def test_the_vendors_own_client_with_a_wrong_secret_is_refused(vendors_own, vendor):
    with pytest.raises(common.Unauthorized):
        own_push(vendors_own("wrong")).send()

    assert vendor.taken == []


@pytest.mark.parametrize(
    ("keys", "code"), [({"registration_id": "nobody"}, 1011), ({"registration_id": ""}, 1003), ({"cid": "made-up"}, 1003)]
)
def test_the_vendors_own_client_reads_the_stand_ins_errors(vendors_own, keys, code):
    with pytest.raises(common.JPushFailure) as failure:
        own_push(vendors_own(), **keys).send()

    assert failure.value.error_code == code


def test_the_stand_in_gives_ten_cids_at_most(vendors_own):
    with pytest.raises(common.JPushFailure):
        vendors_own().create_push().get_cid(11)


# --- our adapter


def test_the_truth_holds_exactly_what_was_meant(channel, vendor):
    outcome = channel.send(push_message())

    (taken,) = vendor.taken
    assert outcome == Accepted(taken.reference)
    assert (taken.key, taken.address) == (CID, REGISTRATION_ID)
    assert taken.content == {
        "notification": {
            "alert": "您订的葡萄到自提点了",
            "android": {"alert": "您订的葡萄到自提点了", "title": "到货了", "extras": {"page": "pages/order/detail?id=7"}},
            "ios": {"alert": {"title": "到货了", "body": "您订的葡萄到自提点了"}, "extras": {"page": "pages/order/detail?id=7"}},
        },
        "options": {"time_to_live": 86_400, "apns_production": True},
    }


def test_without_title_and_page_only_the_text_is_sent(channel, vendor):
    channel.send(push_message(title="", page=None))

    assert vendor.taken[0].content["notification"]["ios"] == {"alert": "您订的葡萄到自提点了", "extras": {}}


def test_it_is_a_channel_with_a_key_that_it_issues(channel):
    assert channel.guarantee == Key(20 * 3_600_000)
    assert isinstance(channel, IssuesKeys)
    assert isinstance(channel, Diagnosable)
    assert channel.timeout == 8_000
    assert isinstance(channel.look_up(push_message()), Unknown)


def test_the_same_cid_is_one_push_however_often_it_is_sent(channel, vendor):
    first, second = channel.send(push_message()), channel.send(push_message())

    assert first == second
    assert len(vendor.taken) == 1


def test_a_repeat_after_a_lost_answer_settles_it_without_a_double():
    vendor = new_jpush()
    with Loopback(vendor, Behaviour(faults={"accept_then_cut": 1.0})) as server:
        channel = open_jpush(server.url)
        assert isinstance(channel.send(push_message()), Unknown)
        server.behaviour = Behaviour()
        assert channel.send(push_message()) == Accepted(vendor.taken[0].reference)
    assert len(vendor.taken) == 1


@pytest.mark.parametrize(("n", "requests"), [(0, 0), (1, 1), (10, 1), (11, 2), (25, 3)])
def test_keys_are_fetched_ten_a_call_and_are_all_different(channel, vendor, n, requests):
    keys = channel.new_keys(n)

    assert len(keys) == len(set(keys)) == n
    assert set(keys) <= vendor.cids
    assert vendor.requests == requests


def test_an_issued_key_is_taken(channel, vendor):
    (key,) = channel.new_keys(1)

    assert isinstance(channel.send(push_message(vendor_key=key)), Accepted)
    assert vendor.taken[0].key == key


@pytest.mark.parametrize("url", ["http://127.0.0.1:1"])
def test_without_the_vendor_there_are_no_keys(url):
    assert open_jpush(url).new_keys(5) == []


def test_with_a_wrong_secret_there_are_no_keys_and_a_fault(server, vendor):
    channel = open_jpush(server.url, "wrong")

    refused = channel.new_keys(5)
    assert isinstance(refused, Fault)
    outcome = channel.send(push_message())
    assert (type(outcome), outcome.code) == (Fault, "1004")
    assert vendor.taken == []


def answer(status, code, headers=None):
    return Answer(status, headers or {}, json.dumps({"error": {"code": code, "message": "m"}}).encode())


@pytest.mark.parametrize(("status", "code", "expected"), [
    (400, 1011, Rejected("1011", "no device with this registration id, or none for 255 days: m", "address")),
    (400, 1012, RetryLater(60_000, "too many pushes under way: m")),
    *[(400, c, Rejected(str(c), "m")) for c in (1002, 1003, 1005, 1009)], (403, 2005, Rejected("2005", "m")),
    *[(s, c, Fault(str(c), "JPush refuses the application: m", 3_600_000)) for s, c in ((401, 1004), (400, 1008), (404, 1020), (403, 2003), (403, 2004), (403, 2006), (403, 2007))],
    (401, None, Fault("401", "JPush refuses the application: m", 3_600_000)),
    (429, 2002, RetryLater(60_000, "too many calls: m", whole_channel=True)), (429, None, RetryLater(60_000, "too many calls: m", whole_channel=True)),
    (500, 1000, Unknown("HTTP 500 m")), (503, 1030, Unknown("HTTP 503 m")), (502, None, Unknown("HTTP 502 m")),
    (400, 9999, Unknown("HTTP 400 with code 9999, which is not documented: m")), (403, None, Unknown("HTTP 403 with code None, which is not documented: m")),
    (400, [], Unknown("HTTP 400 with code None, which is not documented: m")), (404, {}, Unknown("HTTP 404 with code None, which is not documented: m")),
])  # fmt: skip
def test_every_code_has_its_outcome(status, code, expected):
    assert read_answer(answer(status, code)) == expected


@pytest.mark.parametrize(
    ("header", "after"),
    [("17", 17_000), ("0", 1_000), ("999999", 3_600_000), ("soon", 60_000), ("", 60_000), ("9" * 30, 60_000), ("-1", 60_000)],
)
def test_flow_control_waits_until_the_window_begins_anew(header, after):
    assert read_answer(answer(429, 2002, {"x-rate-limit-reset": header})).after == after


def test_flow_control_over_the_wire_concerns_the_whole_channel():
    with Loopback(new_jpush(), Behaviour(faults={"flow_control": 1.0})) as server:
        outcome = open_jpush(server.url).send(push_message())

    assert (outcome.after, outcome.whole_channel) == (2_000, True)


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"<html>", b"{}", b'{"status":"success","data":{"id":7}}', b'{"msg_id":""}', b'{"msg_id":true}', b'{"msg_id":[]}',
    b'{"msg_id":"SM0123"}', b'{"errcode":0,"errmsg":"ok"}', b"\xff",
])  # fmt: skip
def test_a_200_without_a_message_id_is_never_accepted(body):
    assert isinstance(read_answer(Answer(200, {}, body)), Unknown)


@pytest.mark.parametrize(
    "body", [b'{"sendno":"0","msg_id":"18100287008546"}', b'{"sendno":0,"msg_id":18100287008546}'], ids=["text", "number"]
)
def test_a_message_id_may_be_a_text_or_a_number(body):
    assert read_answer(Answer(200, {}, body)) == Accepted("18100287008546")


def test_no_connection_and_a_lost_answer_differ():
    assert read_answer(NotSent("refused")) == RetryLater(5_000, "refused", whole_channel=True)
    assert read_answer(Lost("cut")) == Unknown("cut")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"cidlist":7}', b'{"cidlist":[7,"",null]}', b'{"cidlist":{"a":1}}'])
def test_cids_that_are_none_are_none(body):
    assert read_cids(Answer(200, {}, body)) == []


@pytest.mark.parametrize("fault", [
    "cut", "unavailable", "accept_then_cut", "accept_then_html", "accept_then_half", "accept_then_foreign", "accept_then_huge", "accept_then_nothing",
    "html", "half", "foreign", "huge", "nothing",
])  # fmt: skip
def test_what_nobody_can_tell_is_unknown(fault):
    vendor = new_jpush()
    with Loopback(vendor, Behaviour(faults={fault: 1.0})) as server:
        assert isinstance(open_jpush(server.url).send(push_message()), Unknown)
    assert len(vendor.taken) == (1 if fault.startswith("accept") else 0)


def test_a_notification_that_is_too_long_for_iphones_is_rejected(channel, vendor):
    outcome = channel.send(push_message(body="一" * 700))

    assert (type(outcome), outcome.code) == (Rejected, "1005")
    assert vendor.taken == []


def test_half_a_character_never_raises():
    assert json.loads(build_body(push_message(body="a\ud800"), production=False, time_to_live=60))["notification"]["alert"] == "a?"


def test_a_sound_configuration_is_diagnosed_sound(channel, vendor):
    (found,) = channel.diagnose()

    assert found.ok
    assert vendor.taken == []


def test_a_wrong_secret_and_no_network_are_found(server):
    (wrong,), (down,) = open_jpush(server.url, "wrong").diagnose(), open_jpush("http://127.0.0.1:1").diagnose()

    assert (wrong.ok, down.ok) == (False, False)
    assert "master_secret" in wrong.cure
    assert "network" in down.cure


def test_the_secret_is_not_shown(channel):
    assert SECRET not in repr(channel)
