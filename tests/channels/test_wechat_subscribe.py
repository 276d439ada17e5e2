import json
import threading
import time
from urllib.parse import quote

import pytest

from channels.http import Answer, Http, Lost, NotSent
from channels.loopback.server import Behaviour, Loopback
from channels.loopback.wechat import Wechat
from channels.message import Accepted, Diagnosable, Fault, HearsBack, Neither, OwnTokens, Rejected, RetryLater, Unknown, VendorTemplate
from channels.wechat.subscribe import WechatSubscribe, build_body, next_day, read_answer
from tests.channels.cases import NOW, message
from tests.channels.wechat_push_cases import (
    DATA,
    OPENID,
    TEMPLATE_ID,
    TEMPLATES,
    WECHAT_FIELDS,
    new_wechat,
    open_wechat,
    wechat_message,
)

FIELDS = TEMPLATES["pickup"].fields
NONSENSE = [b"<html>502 Bad Gateway</html>", b"", b"{", b'{"errc', b"[]", b"null", b"7", b'"ok"', b"\xff\xfe\x00", b'{"status":"success","data":{"id":7}}',
            b'{"Response":{"SendStatusSet":[{"Code":"Ok"}]}}', b'{"errcode":"0","errmsg":"ok"}', b'{"errcode":null}', b'{"errcode":false}', b'{"errcode":0.0}',
            b'{"errcode":[0]}', b"{}"]  # fmt: skip


@pytest.fixture
def vendor():
    return new_wechat()


@pytest.fixture
def server(vendor):
    with Loopback(vendor) as server:
        yield server


@pytest.fixture
def channel(server):
    channel = open_wechat(server.url)
    yield channel
    channel.close()


# --- the stand-in, asked without our adapter


def call(server, method, path, body=None):
    http = Http(server.url)
    try:
        answer = http.request(method, path, body=json.dumps(body).encode() if body is not None else b"")
    finally:
        http.close()
    return answer.json()


def get_token(server, **keys):
    wanted = {"grant_type": "client_credential", "appid": "wx0123456789abcdef", "secret": "wechat-secret", "force_refresh": False, **keys}
    return call(server, "POST", "/cgi-bin/stable_token", wanted)


def send_raw(server, token, **keys):
    data = {FIELDS[ours]: {"value": text} for ours, text in DATA.items()}
    body = {"touser": OPENID, "template_id": TEMPLATE_ID, "data": data, **keys}
    return call(server, "POST", f"/cgi-bin/message/subscribe/send?access_token={quote(token, safe='')}", body)


@pytest.mark.parametrize(
    ("keys", "code"),
    [({"secret": "wrong"}, 40125), ({"appid": "wx9"}, 40013), ({"grant_type": "x"}, 40002), ({"force_refresh": True}, 45009)],
)
def test_the_stand_in_refuses_wrong_credentials(server, vendor, keys, code):
    assert get_token(server, **keys)["errcode"] == code
    assert vendor.refused


def test_the_stand_in_gives_one_token_until_it_expires(server, vendor):
    first = get_token(server)

    assert first["expires_in"] == 7200
    assert get_token(server)["access_token"] == first["access_token"]
    vendor.expire_token()
    assert send_raw(server, first["access_token"])["errcode"] == 40001
    assert get_token(server)["access_token"] != first["access_token"]
    assert vendor.taken == []


@pytest.mark.parametrize(("keys", "code"), [
    ({"touser": "oStranger"}, 40003), ({"touser": ""}, 40003), ({"template_id": "nope"}, 40037), ({"data": {}}, 47003), ({"miniprogram_state": "x"}, 47003),
])  # fmt: skip
def test_the_stand_in_refuses_what_wechat_refuses(server, vendor, keys, code):
    assert send_raw(server, get_token(server)["access_token"], **keys)["errcode"] == code
    assert vendor.taken == []


def test_the_stand_in_names_the_field_that_breaks_its_rule(server):
    data = {"thing1": {"value": "一" * 21}, "thing2": {"value": "a"}, "time3": {"value": "15:01"}, "character_string4": {"value": "1"}}

    assert "data.thing1.value" in send_raw(server, get_token(server)["access_token"], data=data)["errmsg"]


def test_the_stand_in_gives_one_message_for_one_acceptance(server, vendor):
    vendor.reject(OPENID, TEMPLATE_ID)
    vendor.accept(OPENID, TEMPLATE_ID, 2)
    token = get_token(server)["access_token"]

    assert [send_raw(server, token)["errcode"] for _ in range(3)] == [0, 0, 43101]
    assert len(vendor.taken) == 2


# --- our adapter against it


def test_the_truth_holds_exactly_what_was_meant(channel, vendor):
    outcome = channel.send(wechat_message(goods="阳光玫瑰葡萄 产地直发 今天下单明天到团长那里自提"))

    (taken,) = vendor.taken
    assert outcome == Accepted(taken.reference)
    assert (taken.key, taken.address) == ("", OPENID)
    assert taken.content == {
        "template_id": TEMPLATE_ID, "page": "pages/order/detail?id=7", "miniprogram_state": "formal", "lang": "zh_CN",
        "data": {"thing1": {"value": "阳光玫瑰葡萄 产地直发 今天下单明天到…"}, "thing2": {"value": "幸福里小区东门"},
                 "time3": {"value": "2026年12月1日 18:00"}, "character_string4": {"value": "GB20261130001"}},
    }  # fmt: skip


def test_it_is_a_channel_without_a_guarantee_that_hears_back_and_can_be_diagnosed(channel):
    assert channel.guarantee == Neither()
    assert channel.one_at_a_time
    assert channel.timeout == 8_000
    assert isinstance(channel, HearsBack)
    assert isinstance(channel, Diagnosable)
    assert isinstance(channel.look_up(wechat_message()), Unknown)


def test_without_a_page_none_is_sent(channel, vendor):
    channel.send(wechat_message(page=""))

    assert "page" not in vendor.taken[0].content


@pytest.mark.parametrize(("change", "named"), [
    ({"when": "明天下午"}, "when: '明天下午'"), ({"order": "订单七"}, "order: '订单七'"), ({"goods": "\n"}, "goods"), ({"strange": "x"}, "strange"),
])  # fmt: skip
def test_a_value_that_cannot_fit_is_rejected_without_a_request(channel, vendor, change, named):
    outcome = channel.send(wechat_message(**change))

    assert (type(outcome), outcome.code, outcome.blames) == (Rejected, "invalid_field", "message")
    assert outcome.reason.startswith(named)
    assert vendor.requests == 0


def test_a_missing_field_is_rejected_by_name(channel, vendor):
    data = {ours: text for ours, text in DATA.items() if ours != "place"}

    outcome = channel.send(message("wechat", OPENID, {"template": "pickup", "data": data}))

    assert outcome == Rejected("invalid_field", "place: the template wants it and it is missing")
    assert vendor.requests == 0


@pytest.mark.parametrize("content", [{}, {"template": "unheard"}, {"template": None, "data": 7}])
def test_a_template_that_config_does_not_know_is_a_fault_of_the_template(channel, content):
    outcome = channel.send(message("wechat", OPENID, content))

    assert (type(outcome), outcome.scope) == (Fault, "template")


@pytest.mark.parametrize(
    "content", [{"template": "pickup"}, {"template": "pickup", "data": "x"}, {"template": "pickup", "data": {"goods": None}}]
)
def test_data_that_is_none_is_rejected(channel, content):
    assert isinstance(channel.send(message("wechat", OPENID, content)), Rejected)


def test_a_page_with_half_a_character_never_raises(channel):
    assert isinstance(channel.send(wechat_message(page="pages/\ud800")), Accepted)


def test_a_wrong_secret_is_a_fault(server, vendor):
    outcome = open_wechat(server.url, "wrong").send(wechat_message())

    assert (type(outcome), outcome.code) == (Fault, "40125")
    assert vendor.taken == []


# --- every code


@pytest.mark.parametrize(("code", "expected"), [
    (-1, RetryLater(5_000, "WeChat is busy: m")), (43108, RetryLater(2_000, "another message to this person is on its way: m")),
    (40003, Rejected("40003", "no openid of this mini-program: m", "address")),
    (40037, Fault("40037", "WeChat does not know the template: m", 3_600_000, "template")),
    (41030, Fault("41030", "the page is not in the published mini-program: m", 3_600_000, "template")),
    (43101, Rejected("43101", "no subscription left: m", "credit")),
    (43107, Fault("43107", "WeChat has banned subscribe messages or this template: m", 3_600_000)),
    (45009, RetryLater(next_day(NOW), "the daily limit is reached: m", whole_channel=True)),
    (45011, RetryLater(60_000, "too many messages a minute: m", whole_channel=True)),
    (45168, Rejected("45168", "sensitive words: m")), (47003, Rejected("47003", "a field was refused: m")),
    (47001, Unknown("errcode 47001 is not documented for this call: m")), (1, Unknown("errcode 1 is not documented for this call: m")),
    (50002, Unknown("errcode 50002 is not documented for this call: m")),
])  # fmt: skip
def test_every_code_has_its_outcome(code, expected):
    assert read_answer(Answer(200, {}, json.dumps({"errcode": code, "errmsg": "m"}).encode()), NOW, FIELDS) == expected


@pytest.mark.parametrize("code", [45168, 47003])
def test_a_refused_field_is_named_as_the_journey_names_it(code):
    text = {"errcode": code, "errmsg": "argument invalid! data.time3.value invalid rid: 6360"}

    outcome = read_answer(Answer(200, {}, json.dumps(text).encode()), NOW, FIELDS)

    assert outcome.reason.startswith("when: ")
    assert "data.time3.value" in outcome.reason


@pytest.mark.parametrize(
    ("extra", "reference"),
    [
        (b"", ""),
        (b',"msgid":1864323726461255680', "1864323726461255680"),
        (b',"msgid":"77"', "77"),
        (b',"msgid":null', ""),
        (b',"msgid":true', ""),
    ],
)
def test_the_message_id_is_kept_where_there_is_one(extra, reference):
    assert read_answer(Answer(200, {}, b'{"errcode":0,"errmsg":"ok"%s}' % extra), NOW, FIELDS) == Accepted(reference)


@pytest.mark.parametrize("body", NONSENSE)
def test_a_200_without_an_integer_errcode_is_never_accepted(body):
    assert isinstance(read_answer(Answer(200, {}, body), NOW, FIELDS), Unknown)


@pytest.mark.parametrize("status", [204, 301, 400, 403, 404, 500, 502, 503])
def test_another_status_is_unknown_whatever_it_says(status):
    assert isinstance(read_answer(Answer(status, {}, b'{"errcode":0,"errmsg":"ok"}'), NOW, FIELDS), Unknown)


def test_no_connection_waits_with_the_whole_channel_and_a_lost_answer_is_unknown():
    assert read_answer(NotSent("no connection"), NOW, FIELDS) == RetryLater(5_000, "no connection", whole_channel=True)
    assert read_answer(Lost("ReadTimeout"), NOW, FIELDS) == Unknown("ReadTimeout")


@pytest.mark.parametrize(("china", "wait"), [
    ("2026-11-30T12:00:00", 12 * 3600 + 300), ("2026-11-30T23:59:59", 301), ("2026-12-01T00:00:00", 300), ("2026-12-01T00:04:59", 1), ("2026-12-01T00:05:00", 24 * 3600),
])  # fmt: skip
def test_the_daily_limit_is_over_at_five_past_midnight_in_china(china, wait):
    from datetime import datetime

    now = round(datetime.fromisoformat(f"{china}+08:00").timestamp() * 1000)

    assert next_day(now) == wait * 1000


@pytest.mark.parametrize(("code", "kind"), [(40003, Rejected), (43107, Fault), (45011, RetryLater), (47003, Rejected), (-1, RetryLater)])
def test_a_code_over_the_wire_takes_nothing(code, kind):
    vendor = new_wechat(refuse={OPENID: code})
    with Loopback(vendor) as server:
        assert isinstance(open_wechat(server.url).send(wechat_message()), kind)
    assert vendor.taken == []


def test_a_person_without_a_subscription_is_rejected_for_the_credit(server, vendor, channel):
    vendor.reject(OPENID, TEMPLATE_ID)

    outcome = channel.send(wechat_message())

    assert (outcome.code, outcome.blames) == ("43101", "credit")


def test_a_message_while_another_is_on_its_way_to_the_same_person_is_tried_later():
    vendor = new_wechat(busy=30.0)
    with Loopback(vendor) as server:
        channel = open_wechat(server.url)
        assert isinstance(channel.send(wechat_message()), Accepted)
        assert isinstance(channel.send(wechat_message()), RetryLater)


# --- tokens


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_token_that_expired_is_renewed_once_and_the_message_arrives_once(server, vendor, channel, code):
    channel.send(wechat_message())
    vendor.token_code = code
    vendor.expire_token()

    assert isinstance(channel.send(wechat_message()), Accepted)
    assert len(vendor.taken) == 2
    assert vendor.tokens_issued == 2


def test_two_daemons_share_one_token(server, vendor):
    tokens = OwnTokens()
    for channel in (open_wechat(server.url, tokens=tokens), open_wechat(server.url, tokens=tokens)):
        assert isinstance(channel.send(wechat_message()), Accepted)

    assert vendor.tokens_issued == 1
    assert vendor.requests == 3


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_second_refused_token_is_a_fault_of_the_channel_after_two_posts(server, vendor, channel, code):
    vendor.token_code, vendor.refuse_all_tokens = code, True

    outcome = channel.send(wechat_message())

    assert (type(outcome), outcome.code, outcome.scope) == (Fault, str(code), "channel")
    assert server.sends == 2
    assert vendor.taken == []


def test_a_resend_whose_answer_is_lost_is_unknown_and_was_made_once():
    vendor = new_wechat()
    with Loopback(vendor) as server:
        channel = open_wechat(server.url)
        channel.send(wechat_message())
        vendor.expire_token()
        server.behaviour, server.sends = CutTheSecond(), 0

        assert isinstance(channel.send(wechat_message()), Unknown)
    assert len(vendor.taken) == 2


class CutTheSecond(Behaviour):
    def draw(self, number):
        return "accept_then_cut" if number == 2 else None


# --- a vendor that misbehaves


@pytest.mark.parametrize("fault", [
    "cut", "unavailable", "accept_then_cut", "accept_then_html", "accept_then_half", "accept_then_foreign", "accept_then_huge", "accept_then_nothing",
    "html", "half", "foreign", "huge", "nothing",
])  # fmt: skip
def test_what_nobody_can_tell_is_unknown(fault):
    vendor = new_wechat()
    with Loopback(vendor, Behaviour(faults={fault: 1.0})) as server:
        assert isinstance(open_wechat(server.url).send(wechat_message()), Unknown)
    assert len(vendor.taken) == (1 if fault.startswith("accept") else 0)


def test_a_vendor_that_hangs_is_unknown_within_the_time_that_the_channel_names():
    vendor = new_wechat()
    with Loopback(vendor, Behaviour(faults={"accept_then_hang": 1.0})) as server:
        channel = open_wechat(server.url, timeout=0.3)
        begun = time.monotonic()
        assert isinstance(channel.send(wechat_message()), Unknown)
        assert (time.monotonic() - begun) * 1000 < channel.timeout


def test_flow_control_concerns_the_whole_channel():
    with Loopback(new_wechat(), Behaviour(faults={"flow_control": 1.0})) as server:
        outcome = open_wechat(server.url).send(wechat_message())

    assert (outcome.after, outcome.whole_channel) == (60_000, True)


def test_a_vendor_that_cannot_be_reached_has_not_got_it():
    outcome = open_wechat("http://127.0.0.1:1").send(wechat_message())

    assert (type(outcome), outcome.after, outcome.whole_channel) == (RetryLater, 5_000, True)


def test_many_at_once_with_one_expired_token_are_all_accepted_once(server, vendor, channel):
    channel.send(wechat_message())
    vendor.expire_token()
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(channel.send(wechat_message()))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert [type(o) for o in outcomes] == [Accepted] * 12
    assert len(vendor.taken) == 13
    assert vendor.tokens_issued == 2


# --- diagnosis


def test_a_sound_configuration_is_diagnosed_sound_and_nobody_is_messaged(channel, vendor):
    found = channel.diagnose()

    assert [d.what for d in found] == ["access token", "template pickup", "callback"]
    assert all(d.ok for d in found)
    assert vendor.taken == []


def test_a_wrong_secret_is_found_with_its_cure(server):
    found = open_wechat(server.url, "wrong").diagnose()[0]

    assert not found.ok
    assert "invalid appsecret" in found.found
    assert "secret" in found.cure


def test_an_unknown_template_and_wrong_fields_are_found_with_their_config_keys(server):
    templates = {"gone": VendorTemplate("nope", {}), "odd": VendorTemplate(TEMPLATE_ID, {"goods": "thing9"})}

    _, gone, odd, _ = open_wechat(server.url, templates=templates).diagnose()

    assert (gone.ok, odd.ok) == (False, False)
    assert "channels.wechat.templates.gone.id" in gone.cure
    assert "thing9" in odd.found
    assert "thing1" in odd.cure


@pytest.mark.parametrize(("key", "ok"), [("a" * 43, True), ("short", False), ("=" * 43, False), ("", True)])
def test_the_callback_key_is_looked_at(server, key, ok):
    assert open_wechat(server.url, callback_token="t", callback_aes_key=key).diagnose()[-1].ok is ok


def test_a_template_list_that_cannot_be_read_is_said():
    class Odd(Wechat):
        def _list(self):
            return self.flow_control()

    with Loopback(Odd(templates=WECHAT_FIELDS)) as server:
        found = open_wechat(server.url).diagnose()[1]

    assert not found.ok
    assert "minute-quota" in found.found


def test_secrets_do_not_show_in_the_channels_own_texts(server):
    channel = WechatSubscribe(
        appid="wx1", secret="hidden", templates={}, tokens=OwnTokens(), clock=lambda: NOW, callback_token="veiled", base_url=server.url
    )

    assert "hidden" not in repr(channel)
    assert "veiled" not in repr(channel)


@pytest.mark.parametrize("state", ["formal", "trial", "developer"])
def test_the_state_of_the_mini_program_is_passed_on(state):
    body = build_body(wechat_message(), TEMPLATES, state, "en_US")

    assert (json.loads(body)["miniprogram_state"], json.loads(body)["lang"]) == (state, "en_US")
