import json
from dataclasses import replace

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType

from channels.benefits.wechatpay import outcome_of
from channels.loopback.server import Behaviour, Loopback, Response
from channels.loopback.wechatpay import Stock
from channels.message import Accepted, Diagnosable, Fault, Key, Rejected, RetryLater, Unknown
from tests.channels.benefit_cases import GRANT, OPENID, key_pair, real, wechatpay, wechatpay_vendor


def sdk(url, merchant="merchant"):
    """The vendor's library alone, as its users use it."""
    made = WeChatPay(
        WeChatPayType.MINIPROG, "1900000109", key_pair(merchant)[0], "5157F09EFDC096DE15EBE81A47057A72", "wxd678efh567hg6787", "k" * 32,
        timeout=5, public_key=key_pair("platform")[1], public_key_id="PUB_KEY_ID_0119",
    )  # fmt: skip
    made._core._gate_way = url
    return made


def test_the_library_alone_gets_a_coupon_from_the_stand_in_and_verifies_its_answer():
    with Loopback(wechatpay_vendor()) as server:
        status, text = sdk(server.url).marketing_favor_stock_send("9856000", OPENID, "jd1", "1900000109")

    assert (status, json.loads(text)) == (200, {"coupon_id": "wechatpay-1"})
    assert server.vendor.taken[0].key == "jd1"


def test_the_stand_in_refuses_the_library_with_another_merchants_key():
    with Loopback(wechatpay_vendor()) as server:
        status, text = sdk(server.url, "a stranger").marketing_favor_stock_send("9856000", OPENID, "jd1", "1900000109")

    assert (status, json.loads(text)["code"]) == (401, "SIGN_ERROR")
    assert server.vendor.taken == []


def test_a_grant_is_a_coupon_under_a_number_made_of_its_key():
    with Loopback(wechatpay_vendor()) as server:
        outcome = wechatpay(server.url).send(GRANT)

    (taken,) = server.vendor.taken
    assert outcome == Accepted("wechatpay-1", {"code": "wechatpay-1"})
    assert (taken.key, taken.address) == ("jd" + GRANT.key, OPENID)
    assert taken.content == {
        "stock_id": "9856000", "out_request_no": "jd" + GRANT.key, "stock_creator_mchid": "1900000109", "appid": "wxd678efh567hg6787",
    }  # fmt: skip


def test_a_repeat_with_another_vendor_key_has_the_same_number_and_the_same_coupon():
    with Loopback(wechatpay_vendor()) as server:
        made = wechatpay(server.url)
        server.behaviour = Behaviour(faults={"accept_then_hang": 1.0})
        lost = made.send(GRANT)
        server.behaviour = Behaviour()
        outcome = made.send(replace(GRANT, vendor_key="w" * 32))

    assert isinstance(lost, Unknown)
    assert outcome == Accepted("wechatpay-1", {"code": "wechatpay-1"})
    assert len(server.vendor.taken) == 1


@pytest.mark.parametrize(
    ("stock", "code", "kind"),
    [
        (Stock(left=0), "NOT_ENOUGH", Rejected),
        (Stock(per_person=0), "RULE_LIMIT", Rejected),
        (Stock(running=False), "INVALID_REQUEST", Rejected),
        (None, "RESOURCE_NOT_EXISTS", Fault),
    ],
)
def test_a_stock_that_gives_nothing_says_why(stock, code, kind):
    with Loopback(wechatpay_vendor(**({"9856000": stock} if stock else {"7": Stock()}))) as server:
        outcome = wechatpay(server.url).send(GRANT)

    assert type(outcome) is kind
    assert outcome.code == code
    assert server.vendor.taken == []


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "NOT_ENOUGH", "批次预算不足", Rejected),
        (403, "270079534", "", Rejected),
        (403, 270079532, "", Rejected),
        (400, "270079533", "", Rejected),
        (403, "RULELIMIT", "", Rejected),
        (403, "USER_ACCOUNT_ABNORMAL", "用户非法", Rejected),
        (400, "PARAM_ERROR", "非法的批次状态", Rejected),
        (403, "REQUEST_BLOCKED", "用户被限领拦截", Rejected),
        (403, "REQUEST_BLOCKED", "活动未开始或已结束", Rejected),
        (403, "REQUEST_BLOCKED", "商户无权发券", Fault),
        (400, "MCH_NOT_EXISTS", "商户号不合法", Fault),
        (400, "APPID_MCHID_NOT_MATCH", "", Fault),
        (401, "SIGN_ERROR", "", Fault),
        (401, "", "", Fault),
        (403, "NO_AUTH", "", Fault),
        (404, "RESOURCE_NOT_EXISTS", "批次不存在", Fault),
        (429, "FREQUENCY_LIMIT_EXCEED", "", RetryLater),
        (429, "FREQUENCY_LIMITED", "", RetryLater),
        (400, "268461336", "", RetryLater),
        (500, "SYSTEM_ERROR", "系统繁忙", Unknown),
        (500, "NOT_ENOUGH", "", Unknown),  # a 5xx is repeated with the same number, whatever it says
        (400, "RESOURCE_ALREADY_EXISTS", "本次请求与上次请求信息不一致", Unknown),  # an earlier one may have been taken
        (403, "SOMETHING_NEW", "", Unknown),
        (302, "SIGN_ERROR", "", Unknown),
        (202, "", "", Unknown),
    ],
)
def test_what_a_code_means(status, code, message, kind):
    outcome = outcome_of(status, json.dumps({"code": code, "message": message}))

    assert type(outcome) is kind
    assert getattr(outcome, "code", str(code)) in (str(code), "401")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"coupon_id": 7}', '{"coupon_id": ""}', "<html>", "[" * 100_000])
def test_a_200_without_a_coupon_is_no_yes(text):
    assert isinstance(outcome_of(200, text), Unknown)


def test_the_vendors_words_do_not_carry_the_openid():
    assert outcome_of(403, json.dumps({"code": "RULE_LIMIT", "message": f"{OPENID} 已达上限"}), OPENID) == Rejected(
        "RULE_LIMIT", "… 已达上限"
    )


@pytest.mark.parametrize(
    "forge",
    [
        {"Wechatpay-Signature": ""},
        {"Wechatpay-Signature": "AAAA"},
        {"Wechatpay-Signature": "!!! no base64"},
        {"Wechatpay-Nonce": "another"},
        {"Wechatpay-Timestamp": "1"},
        {"Wechatpay-Serial": "7B20F1"},
        {"Wechatpay-Signature-Type": "none"},
    ],
)
def test_an_answer_that_wechat_pay_did_not_sign_is_no_yes(forge):
    vendor = wechatpay_vendor()
    genuinely = vendor.answer

    def forged(request):
        genuine = genuinely(request)
        return Response(genuine.status, genuine.body, {**genuine.headers, **forge})

    vendor.answer = forged
    with Loopback(vendor) as server:
        outcome = wechatpay(server.url).send(GRANT)

    assert outcome == Unknown("the answer's signature is not WeChat Pay's")
    assert server.vendor.requests == 1  # no certificate is fetched for it


def test_a_redirect_is_not_followed():
    with Loopback(wechatpay_vendor()) as elsewhere:
        vendor = wechatpay_vendor()
        vendor.answer = lambda request: Response(307, "", {"Location": elsewhere.url + request.path})
        with Loopback(vendor) as server:
            outcome = wechatpay(server.url).send(GRANT)

    assert isinstance(outcome, Unknown)
    assert elsewhere.vendor.requests == 0


@pytest.mark.parametrize("address", ["", "../../pay", "a/b", "o" * 129, "开放号"])
def test_an_openid_that_is_none_is_never_put_into_a_path(address):
    with Loopback(wechatpay_vendor()) as server:
        outcome = wechatpay(server.url).send(replace(GRANT, address=address))

    assert outcome == Rejected("bad_openid", "the address is no openid", "address")
    assert server.vendor.requests == 0


@pytest.mark.parametrize("changes", [{"private_key": "no key"}, {"public_key": "no key"}, {"public_key_id": None}])
def test_keys_that_cannot_be_read_are_a_mistake_of_the_configuration(changes):
    with pytest.raises(ValueError, match="public_key_id cannot be used"):
        wechatpay("http://127.0.0.1:9", **changes)


def test_it_counts_on_a_day_and_states_how_long_it_takes():
    made = wechatpay("http://127.0.0.1:9")

    assert made.guarantee == Key(24 * 3_600_000)
    assert made.timeout == 3_500
    assert isinstance(made.look_up(GRANT), Unknown)
    assert key_pair("merchant")[0].split("\n")[1] not in repr(made)


def test_a_diagnosis_reads_the_stock_and_the_clock_and_hands_out_nothing():
    with Loopback(wechatpay_vendor()) as server:
        assert isinstance(wechatpay(server.url), Diagnosable)
        stock, clock = wechatpay(server.url).diagnose()
        _, slow_clock = wechatpay(server.url, clock=lambda: real() - 400_000).diagnose()
        (stranger,) = wechatpay(server.url, "a stranger").diagnose()
        (other_key,) = wechatpay(server.url, public_key=key_pair("a stranger")[1]).diagnose()
        (unknown,) = wechatpay(server.url, stock_id="7").diagnose()
    (gone,) = wechatpay(server.url).diagnose()

    assert (stock.ok, stock.found, clock.ok) == (True, "running", True)
    assert not slow_clock.ok
    assert 395 < int(slow_clock.found.partition(" s away from WeChat Pay's")[0]) < 405
    assert [d.ok for d in (stranger, other_key, unknown, gone)] == [False] * 4
    assert "serial_no" in stranger.cure
    assert "public_key" in other_key.cure
    assert "stock_id" in unknown.cure
    assert "network" in gone.cure
    assert server.vendor.taken == []


def test_a_stock_that_is_paused_is_said():
    with Loopback(wechatpay_vendor(**{"9856000": Stock(running=False)})) as server:
        stock, _ = wechatpay(server.url).diagnose()

    assert (stock.ok, stock.found, stock.cure) == (False, "paused", "activate the stock")
