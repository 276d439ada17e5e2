import json

import pytest
import requests

from channels.http import Answer, Lost, NotSent
from channels.loopback.server import Behaviour, Loopback
from channels.message import Accepted, Diagnosable, Fault, Neither, OwnTokens, Rejected, RetryLater, Unknown
from channels.wechat.token import TokenRefused
from channels.wechat.wecom import LARGEST_TEXT, read_answer, read_sent
from tests.channels.cases import message
from tests.channels.wechat_push_cases import ROBOT_KEY, new_wecom, open_robot, open_wecom, wecom_message

UNCLEAR = [
    "cut", "unavailable", "accept_then_cut", "accept_then_html", "accept_then_half", "accept_then_foreign", "accept_then_huge", "accept_then_nothing",
    "html", "half", "foreign", "huge", "nothing",
]  # fmt: skip


@pytest.fixture
def vendor():
    return new_wecom()


@pytest.fixture
def server(vendor):
    with Loopback(vendor) as server:
        yield server


@pytest.fixture
def app(server):
    app = open_wecom(server.url)
    yield app
    app.close()


@pytest.fixture
def robot(server):
    robot = open_robot(server.url)
    yield robot
    robot.close()


def read(code, text="m"):
    return read_answer(Answer(200, {}, json.dumps({"errcode": code, "errmsg": text}).encode()))


# --- the stand-in, asked with a plain client


@pytest.mark.parametrize(("keys", "code"), [({"corpsecret": "wrong"}, 40001), ({"corpid": "ww9"}, 40013)])
def test_the_stand_in_refuses_wrong_credentials(server, keys, code):
    wanted = {"corpid": "ww0123456789abcdef", "corpsecret": "wecom-secret", **keys}

    assert requests.get(f"{server.url}/cgi-bin/gettoken", params=wanted, timeout=5).json()["errcode"] == code


def plain_send(server, **keys):
    wanted = {"corpid": "ww0123456789abcdef", "corpsecret": "wecom-secret"}
    token = requests.get(f"{server.url}/cgi-bin/gettoken", params=wanted, timeout=5).json()["access_token"]
    body = {"touser": "LiSi", "msgtype": "text", "agentid": 1000002, "text": {"content": "到货了"}, **keys}
    return requests.post(f"{server.url}/cgi-bin/message/send", params={"access_token": token}, json=body, timeout=5).json()


def test_the_stand_in_swallows_identical_json_when_it_is_asked_to(server, vendor):
    answers = [plain_send(server, enable_duplicate_check=1) for _ in range(2)]

    assert [a["errcode"] for a in answers] == [0, 0]
    assert answers[0]["msgid"] == answers[1]["msgid"]
    assert len(vendor.taken) == 1


@pytest.mark.parametrize(("keys", "code"), [
    ({"agentid": 7}, 40056), ({"touser": "nobody"}, 81013), ({"text": {"content": ""}}, 44004), ({"text": {"content": "a" * 2049}}, 45002), ({"msgtype": "x"}, 40008),
])  # fmt: skip
def test_the_stand_in_refuses_what_wecom_refuses(server, vendor, keys, code):
    assert plain_send(server, **keys)["errcode"] == code
    assert vendor.taken == []


# --- the application


def test_the_truth_holds_exactly_the_text_for_exactly_the_member(app, vendor):
    outcome = app.send(wecom_message(text="第一行\n“引号” 与 😀"))

    (taken,) = vendor.taken
    assert outcome == Accepted(taken.reference)
    assert (taken.key, taken.address, taken.content) == ("", "LiSi", {"text": "第一行\n“引号” 与 😀"})


def test_the_same_words_sent_twice_on_purpose_arrive_twice(app, vendor):
    assert [type(app.send(wecom_message())) for _ in range(2)] == [Accepted, Accepted]
    assert len(vendor.taken) == 2


def test_it_promises_nothing_and_says_so(app, robot):
    assert (app.guarantee, robot.guarantee) == (Neither(), Neither())
    assert isinstance(app.look_up(wecom_message()), Unknown)
    assert isinstance(robot.look_up(wecom_message()), Unknown)
    assert isinstance(app, Diagnosable)
    assert isinstance(robot, Diagnosable)


@pytest.mark.parametrize("address", ["", "@all", "@ALL", "LiSi|WangWu"])
def test_an_address_that_would_reach_many_reaches_nobody(app, vendor, address):
    outcome = app.send(wecom_message(address))

    assert (outcome.code, outcome.blames) == ("invalid_address", "address")
    assert vendor.requests == 0


@pytest.mark.parametrize(
    ("text", "code"), [("", "empty"), (" \n", "empty"), ("a" * (LARGEST_TEXT + 1), "too_long"), ("一" * 683, "too_long")]
)
def test_an_empty_or_too_long_text_is_rejected_without_a_request(app, robot, vendor, text, code):
    assert [c.send(wecom_message(text=text)).code for c in (app, robot)] == [code, code]
    assert vendor.requests == 0


@pytest.mark.parametrize("text", ["a" * LARGEST_TEXT, "一" * 682])
def test_the_longest_text_is_taken(app, robot, vendor, text):
    assert [type(c.send(wecom_message(text=text))) for c in (app, robot)] == [Accepted, Accepted]
    assert [t.content["text"] for t in vendor.taken] == [text, text]


@pytest.mark.parametrize("content", [{}, {"text": None}, {"text": "a\ud800"}])
def test_odd_content_never_raises(app, robot, content):
    for channel in (app, robot):
        assert isinstance(channel.send(message("wecom", "LiSi", content)), Accepted | Rejected)


def test_a_stranger_is_an_address_that_is_dead(app):
    outcome = app.send(wecom_message("WangWu"))

    assert (outcome.code, outcome.blames) == ("81013", "address")


@pytest.mark.parametrize(("extra", "expected"), [
    ({"invaliduser": "lisi"}, Rejected("invaliduser", "no member of this name may see the application", "address")),
    ({"unlicenseduser": "a|lisi"}, Rejected("unlicenseduser", "the member has no licence for the application's interface")),
    ({"invaliduser": "lisisi|"}, Accepted("M1")), ({"invaliduser": None}, Accepted("M1")), ({"invaliduser": ["lisi"]}, Accepted("M1")),
])  # fmt: skip
def test_a_member_whom_wecom_left_out_did_not_get_it(extra, expected):
    body = {"errcode": 0, "errmsg": "ok", "msgid": "M1", **extra}

    assert read_sent(Answer(200, {}, json.dumps(body).encode()), "LiSi") == expected


# --- codes


@pytest.mark.parametrize(("code", "expected"), [
    (0, Accepted("")), (-1, RetryLater(5_000, "WeCom is busy: m")), (6000, RetryLater(5_000, "WeCom is busy: m")),
    (45009, RetryLater(60_000, "too many calls: m", whole_channel=True)), (45033, RetryLater(60_000, "too many calls: m", whole_channel=True)),
    (40001, TokenRefused("40001", "m")), (40014, TokenRefused("40014", "m")), (42001, TokenRefused("42001", "m")),
    *[(c, Rejected(str(c), "no member that this application may write to: m", "address")) for c in (40003, 40031, 60111, 81013, 82001)],
    *[(c, Rejected(str(c), "m")) for c in (40008, 40033, 40035, 40058, 41004, 44004, 45002)],
    *[(c, Fault(str(c), "m", 3_600_000)) for c in (40013, 40056, 48002, 60011, 60020, 93000, 93004, 93008, 301002, 301007)],
    (7, Unknown("errcode 7 is not documented for this call: m")), (99999, Unknown("errcode 99999 is not documented for this call: m")),
])  # fmt: skip
def test_every_code_has_its_outcome(code, expected):
    assert read(code) == expected


def test_a_connection_that_cannot_be_made_and_one_that_is_lost_differ():
    assert read_answer(NotSent("refused")) == RetryLater(5_000, "refused", whole_channel=True)
    assert read_answer(Lost("cut")) == Unknown("cut")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b"[]", b"{}", b'{"errcode":"0"}', b'{"errcode":false}', b'{"status":"success"}', b"\xff"]
)
def test_a_200_without_an_integer_errcode_is_never_accepted(body):
    assert isinstance(read_answer(Answer(200, {}, body)), Unknown)
    assert isinstance(read_sent(Answer(200, {}, body), "LiSi"), Unknown)


@pytest.mark.parametrize("fault", UNCLEAR)
@pytest.mark.parametrize(("open_channel", "to"), [(open_wecom, "LiSi"), (open_robot, ROBOT_KEY)])
def test_what_nobody_can_tell_is_unknown(fault, open_channel, to):
    vendor = new_wecom()
    with Loopback(vendor, Behaviour(faults={fault: 1.0})) as server:
        assert isinstance(open_channel(server.url).send(wecom_message(to)), Unknown)
    assert len(vendor.taken) == (1 if fault.startswith("accept") else 0)


@pytest.mark.parametrize("open_channel", [open_wecom, open_robot])
def test_flow_control_waits_a_minute_with_the_whole_channel(open_channel):
    with Loopback(new_wecom(), Behaviour(faults={"flow_control": 1.0})) as server:
        outcome = open_channel(server.url).send(wecom_message())

    assert (outcome.after, outcome.whole_channel) == (60_000, True)


# --- tokens


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_token_that_expired_is_renewed_once(app, vendor, code):
    app.send(wecom_message())
    vendor.token_code = code
    vendor.expire_token()

    assert isinstance(app.send(wecom_message()), Accepted)
    assert (len(vendor.taken), vendor.tokens_issued) == (2, 2)


def test_a_second_refused_token_is_a_fault_after_two_posts(app, server, vendor):
    vendor.refuse_all_tokens = True

    outcome = app.send(wecom_message())

    assert (type(outcome), outcome.code) == (Fault, "40014")
    assert server.sends == 2


def test_applications_do_not_share_tokens(server):
    tokens = OwnTokens()
    open_wecom(server.url, tokens=tokens).send(wecom_message())

    assert tokens.get("wecom:ww0123456789abcdef:1000002")
    assert tokens.get("wecom:ww0123456789abcdef:7") is None


def test_a_wrong_secret_is_a_fault(server, vendor):
    outcome = open_wecom(server.url, "wrong").send(wecom_message())

    assert (type(outcome), outcome.code) == (Fault, "40001")
    assert vendor.taken == []


# --- the robot


def test_a_robot_posts_into_its_own_group(robot, vendor):
    assert robot.send(wecom_message(ROBOT_KEY, "警报：微信凭证失效")) == Accepted("")
    assert [(t.address, t.content) for t in vendor.taken] == [(ROBOT_KEY, {"text": "警报：微信凭证失效"})]


def test_a_wrong_key_is_a_fault_that_does_not_show_the_key(server):
    outcome = open_robot(server.url, "no-such-key").send(wecom_message())

    assert (type(outcome), outcome.code) == (Fault, "93000")
    assert "no-such-key" not in repr(outcome)


def test_a_robot_that_wecom_answers_with_a_token_code_is_unknown():
    with Loopback(new_wecom(refuse={ROBOT_KEY: 42001})) as server:
        assert isinstance(open_robot(server.url).send(wecom_message()), Unknown)


# --- diagnosis


def test_a_sound_application_is_diagnosed_sound(app, vendor):
    assert [(d.what, d.ok) for d in app.diagnose()] == [("access token", True), ("application 1000002", True)]
    assert vendor.taken == []


def test_a_wrong_secret_and_a_wrong_application_are_found(server):
    (token,) = open_wecom(server.url, "wrong").diagnose()
    _, agent = open_wecom(server.url, agent_id=7).diagnose()

    assert (token.ok, agent.ok) == (False, False)
    assert "secret" in token.cure
    assert "40056" in agent.found
    assert "agent_id" in agent.cure


@pytest.mark.parametrize(
    ("key", "ok"), [(ROBOT_KEY, True), ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=" + ROBOT_KEY, False), ("", False)]
)
def test_a_robots_key_is_looked_at_and_never_tried(server, vendor, key, ok):
    (found,) = open_robot(server.url, key).diagnose()

    assert found.ok is ok
    assert bool(found.cure) is not ok
    assert vendor.requests == 0
