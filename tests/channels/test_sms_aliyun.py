"""Aliyun: the stand-in is proven by the vendor's own client, then our adapter by the stand-in."""

import json
import time
from dataclasses import replace

import pytest
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_dysmsapi20170525.models import QuerySendDetailsRequest, QuerySmsSignRequest, QuerySmsTemplateRequest, SendSmsRequest
from alibabacloud_tea_openapi.models import Config

from channels.http import Answer, Lost, NotSent
from channels.loopback.server import Behaviour, Loopback, Response, Vendor
from channels.message import (
    Accepted,
    Channel,
    Diagnosable,
    Fault,
    Forged,
    HearsBack,
    Query,
    Receipt,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
    VendorTemplate,
)
from channels.sms.acs3 import EMPTY, signed_headers, string_to_sign
from channels.sms.aliyun import AliyunSms, sent
from channels.sms.aliyun_codes import ADDRESS, CEILING, CHANNEL, CONSENT, MESSAGE, TEMPLATE
from tests.channels.cases import NOW
from tests.channels.sms_cases import KEY_ID, PHONE, RECEIPTS, SECRET, SIGN, SMS, aliyun, aliyun_vendor, callback

DAY = 86_400_000


def real_clock() -> int:
    return time.time_ns() // 1_000_000


def sdk(server: Loopback, secret: str = SECRET) -> Client:
    """The vendor's own client, pointed at the stand-in."""
    return Client(Config(access_key_id=KEY_ID, access_key_secret=secret, endpoint=f"127.0.0.1:{server.port}", protocol="http"))


def a_send(**changes: str) -> SendSmsRequest:
    fields = {
        "phone_numbers": "13800138000",
        "sign_name": SIGN,
        "template_code": "SMS_1001",
        "out_id": "the key",
        "template_param": '{"name":"王 小+明","shop":"3~*&"}',
    }
    return SendSmsRequest(**fields | changes)


# --- the stand-in, by the vendor's own client


def test_the_vendors_own_client_sends_through_the_stand_in():
    vendor = aliyun_vendor(real_clock)

    with Loopback(vendor) as server:
        body = sdk(server).send_sms(a_send()).body

    assert (body.code, body.biz_id) == ("OK", vendor.taken[0].reference)
    assert vendor.taken[0].key == "the key"
    assert vendor.taken[0].address == "13800138000"
    assert vendor.taken[0].content == {"template": "SMS_1001", "params": {"name": "王 小+明", "shop": "3~*&"}}


def test_the_stand_in_refuses_the_vendors_own_client_with_a_wrong_secret():
    vendor = aliyun_vendor(real_clock)

    with Loopback(vendor) as server, pytest.raises(Exception, match="SignatureDoesNotMatch"):
        sdk(server, "wrong").send_sms(a_send())

    assert vendor.taken == []
    assert vendor.refused == ["signature"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"phone_numbers": "1380013800"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"phone_numbers": "010-88886666"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"sign_name": "别家"}, "isv.SMS_SIGNATURE_ILLEGAL"),
        ({"template_code": "SMS_9"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"template_param": "{name"}, "isv.INVALID_JSON_PARAM"),
        ({"template_param": '{"name":1,"shop":"s"}'}, "isv.INVALID_JSON_PARAM"),
        ({"template_param": '{"name":"n"}'}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        ({"template_param": '{"name":"n","shop":"s","more":"m"}'}, "isv.INVALID_PARAMETERS"),
    ],
)
def test_the_stand_in_refuses_what_the_vendor_refuses(changes, code):
    vendor = aliyun_vendor(real_clock)

    with Loopback(vendor) as server:
        body = sdk(server).send_sms(a_send(**changes)).body

    assert body.code == code
    assert vendor.taken == []


def test_the_vendors_own_client_finds_what_was_taken_when_it_has_become_visible():
    now = [real_clock()]
    vendor = aliyun_vendor(lambda: now[0], lag=30_000)
    day = time.strftime("%Y%m%d", time.gmtime(now[0] / 1000 + 8 * 3600))
    query = QuerySendDetailsRequest(phone_number="13800138000", send_date=day, page_size=10, current_page=1)

    with Loopback(vendor) as server:
        sdk(server).send_sms(a_send())
        early = sdk(server).query_send_details(query).body
        now[0] += 30_000
        late = sdk(server).query_send_details(query).body

    assert early.sms_send_detail_dtos.sms_send_detail_dto == []
    assert [row.out_id for row in late.sms_send_detail_dtos.sms_send_detail_dto] == ["the key"]


def test_the_vendors_own_client_reads_the_sign_and_the_templates():
    with Loopback(aliyun_vendor(real_clock)) as server:
        sign = sdk(server).query_sms_sign(QuerySmsSignRequest(sign_name=SIGN)).body
        template = sdk(server).query_sms_template(QuerySmsTemplateRequest(template_code="SMS_1001")).body
        missing = sdk(server).query_sms_template(QuerySmsTemplateRequest(template_code="SMS_9")).body

    assert (sign.code, sign.sign_status) == ("OK", 1)
    assert (template.template_status, template.template_content) == (1, "${name} ${shop}")
    assert missing.code == "isv.SMS_TEMPLATE_ILLEGAL"


def test_the_stand_in_takes_a_nonce_once_and_a_date_of_now():
    query = {"PhoneNumbers": "13800138000", "SignName": SIGN, "TemplateCode": "SMS_1002"}

    def request(server: Loopback, now: int, nonce: str) -> str:
        from channels.http import Http
        from channels.sms.acs3 import encoded

        headers = signed_headers(
            query,
            action="SendSms",
            version="2017-05-25",
            host=f"127.0.0.1:{server.port}",
            key_id=KEY_ID,
            secret=SECRET,
            now=now,
            nonce=nonce,
        )
        answer = Http(server.url).request("POST", "/?" + encoded(query), headers=headers)
        assert isinstance(answer, Answer)
        return (answer.json() or {})["Code"]

    with Loopback(aliyun_vendor()) as server:
        codes = [
            request(server, NOW, "a"),
            request(server, NOW, "a"),
            request(server, NOW - 901_000, "b"),
            request(server, NOW + 901_000, "c"),
        ]

    assert codes == ["OK", "SignatureNonceUsed", "InvalidTimeStamp.Expired", "InvalidTimeStamp.Expired"]


# --- our adapter


def test_it_is_a_channel_that_hears_back_and_can_be_diagnosed():
    channel: Channel = aliyun("http://127.0.0.1:9")

    assert isinstance(channel, HearsBack)
    assert isinstance(channel, Diagnosable)
    assert channel.guarantee == Query(lag=10_000, until=240_000)
    assert not channel.one_at_a_time
    assert channel.timeout == 8_000


def test_the_truth_holds_exactly_what_was_meant():
    vendor = aliyun_vendor()

    with Loopback(vendor) as server:
        outcome = aliyun(server.url).send(SMS)

    assert outcome == Accepted(vendor.taken[0].reference)
    assert [(t.key, t.address, t.content) for t in vendor.taken] == [
        (SMS.key, "13800138000", {"template": "SMS_1001", "params": {"name": "王 小+明", "shop": "3号/门店&~*"}})
    ]
    assert vendor.refused == []


def test_a_template_without_fields_takes_the_parameters_as_they_are_and_none_is_none():
    vendor = aliyun_vendor()
    same = {"pickup": VendorTemplate("SMS_1001"), "plain": VendorTemplate("SMS_1002")}

    with Loopback(vendor) as server:
        channel = aliyun(server.url, templates=same)
        outcomes = [channel.send(SMS), channel.send(replace(SMS, content={"template": "plain"}))]

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert vendor.taken[1].content == {"template": "SMS_1002", "params": {}}


def test_a_number_of_another_country_goes_out_with_its_country():
    vendor = aliyun_vendor()

    with Loopback(vendor) as server:
        aliyun(server.url).send(replace(SMS, address="+852 5123 4567"))

    assert vendor.taken[0].address == "85251234567"


@pytest.mark.parametrize("address", ["", "010-88886666", "1380013800", "oABC", "+8613800138000,+8613800138001"])
def test_what_is_no_mobile_number_is_refused_without_a_request(address):
    vendor = aliyun_vendor()

    with Loopback(vendor) as server:
        outcome = aliyun(server.url).send(replace(SMS, address=address))

    assert outcome == Rejected("bad_number", "not a mobile number", blames="address")
    assert vendor.requests == 0


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"name": "", "shop": "s"}, "empty_param"),
        ({"name": "n"}, "empty_param"),
        ({"name": "n", "shop": None}, "empty_param"),
        (None, "empty_param"),
    ],
)
def test_an_empty_value_is_refused_without_a_request(params, code):
    vendor = aliyun_vendor()

    with Loopback(vendor) as server:
        outcome = aliyun(server.url).send(replace(SMS, content={"template": "pickup", "params": params}))

    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.blames, vendor.requests) == (code, "message", 0)


def test_a_template_that_is_not_configured_holds_that_template_only():
    outcome = aliyun("http://127.0.0.1:9").send(replace(SMS, content={"template": "nobody", "params": {}}))

    assert isinstance(outcome, Fault)
    assert (outcome.code, outcome.scope) == ("template_not_configured", "template")


def test_a_wrong_secret_is_the_channels_fault():
    vendor = aliyun_vendor()

    with Loopback(vendor) as server:
        outcome = aliyun(server.url, "wrong").send(SMS)

    assert isinstance(outcome, Fault)
    assert (outcome.code, outcome.scope, vendor.taken) == ("SignatureDoesNotMatch", "channel", [])


def test_a_wrong_key_id_is_the_channels_fault():
    with Loopback(aliyun_vendor()) as server:
        channel = AliyunSms(
            access_key_id="other",
            access_key_secret=SECRET,
            sign=SIGN,
            templates={"plain": VendorTemplate("SMS_1002")},
            receipt_secret="s",
            clock=lambda: NOW,
            base_url=server.url,
        )
        outcome = channel.send(replace(SMS, content={"template": "plain"}))

    assert isinstance(outcome, Fault)
    assert outcome.code == "InvalidAccessKeyId.NotFound"


def test_a_clock_that_is_wrong_is_the_channels_fault():
    with Loopback(aliyun_vendor()) as server:
        outcome = aliyun(server.url, clock=lambda: NOW - 3_600_000).send(SMS)

    assert isinstance(outcome, Fault)
    assert outcome.code == "InvalidTimeStamp.Expired"


def test_no_connection_is_tried_again_and_concerns_everything():
    with Loopback(aliyun_vendor()) as server:
        url = server.url

    outcome = aliyun(url).send(SMS)

    assert isinstance(outcome, RetryLater)
    assert (outcome.after, outcome.whole_channel) == (5_000, True)


# --- every code

FLOW = [
    ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", RetryLater(60_000, "isv.BUSINESS_LIMIT_CONTROL: 触发分钟级流控Permits:1")),
    ("isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5", RetryLater(3_600_000, "isv.BUSINESS_LIMIT_CONTROL: 触发小时级流控Permits:5")),
    ("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:50", RetryLater(DAY, "isv.BUSINESS_LIMIT_CONTROL: 触发天级流控Permits:50")),
    ("isv.BUSINESS_LIMIT_CONTROL", "业务限流", RetryLater(3_600_000, "isv.BUSINESS_LIMIT_CONTROL: 业务限流")),
    ("isp.SYSTEM_ERROR", "系统错误", RetryLater(10_000, "isp.SYSTEM_ERROR: 系统错误")),
    ("Throttling", "t", RetryLater(1_000, "Throttling: t", whole_channel=True)),
    ("Throttling.User", "t", RetryLater(1_000, "Throttling.User: t", whole_channel=True)),
    ("Throttling.Api", "t", RetryLater(1_000, "Throttling.Api: t", whole_channel=True)),
]  # fmt: skip
TABLE = {
    "channel": "SignatureDoesNotMatch InvalidAccessKeyId.NotFound InvalidAccessKeyId.Inactive InvalidAccessKeyId MissingAccessKeyId IncompleteSignature InvalidTimeStamp.Expired InvalidTimeStamp.Format InvalidVersion InvalidAction.NotFound Forbidden.RAM NoPermission isp.RAM_PERMISSION_DENY isv.DENY_IP_RANGE isv.ACCOUNT_NOT_EXISTS isv.ACCOUNT_ABNORMAL isv.PRODUCT_UN_SUBSCRIPT isv.PRODUCT_UNSUBSCRIBE isv.AMOUNT_NOT_ENOUGH isv.OUT_OF_SERVICE isv.SMS_SIGNATURE_ILLEGAL isv.SMS_SIGN_ILLEGAL isv.SIGN_NAME_ILLEGAL isv.SIGN_STATE_ILLEGAL isv.DAY_LIMIT_CONTROL isv.MONTH_LIMIT_CONTROL",
    "template": "isv.SMS_TEMPLATE_ILLEGAL isv.SMS_SIGNATURE_SCENE_ILLEGAL isv.TEMPLATE_MISSING_PARAMETERS isv.INVALID_JSON_PARAM isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE",
    "message": "isv.BLACK_KEY_CONTROL_LIMIT isv.SMS_CONTENT_ILLEGAL isv.UNSUPPORTED_CONTENT isv.PARAM_LENGTH_LIMIT isv.PARAM_NOT_SUPPORT_URL isv.TEMPLATE_PARAMS_ILLEGAL isv.INVALID_PARAMETERS isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
    "address": "isv.MOBILE_NUMBER_ILLEGAL",
    "consent": "isv.CUSTOMER_REFUSED",
}
CODES = [(code, kind) for kind, codes in TABLE.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "text", "expected"), FLOW)
def test_flow_control_is_waited_for_as_long_as_it_says(code, text, expected):
    vendor = aliyun_vendor()
    vendor.refusals["13800138000"] = (code, text)

    with Loopback(vendor) as server:
        assert aliyun(server.url).send(SMS) == expected

    assert vendor.taken == []


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_every_code_of_the_table_has_its_outcome(code, kind):
    vendor = aliyun_vendor()
    vendor.refusals["13800138000"] = (code, "words")

    with Loopback(vendor) as server:
        outcome = aliyun(server.url).send(SMS)

    if kind in {"channel", "template"}:
        assert isinstance(outcome, Fault)
        assert (outcome.code, outcome.scope, outcome.after >= 60_000) == (code, kind, True)
    else:
        assert outcome == Rejected(code, f"{code}: words", kind)


def test_the_table_is_tested_whole():
    assert {code for code, _ in CODES} == CHANNEL | CEILING | TEMPLATE | MESSAGE | ADDRESS | CONSENT


@pytest.mark.parametrize("code", ["SignatureNonceUsed", "isp.GATEWAY_ERROR", "InternalError", "isv.SOMETHING_NEW", "Ok", "ok", ""])
def test_a_code_that_is_not_in_the_table_proves_nothing(code):
    vendor = aliyun_vendor()
    vendor.refusals["13800138000"] = (code, "words")

    with Loopback(vendor) as server:
        assert isinstance(aliyun(server.url).send(SMS), Unknown)


def test_the_vendors_words_are_repeated_without_the_numbers_in_them():
    vendor = aliyun_vendor()
    vendor.refusals["13800138000"] = ("isv.MOBILE_NUMBER_ILLEGAL", "非法手机号13800138000")

    with Loopback(vendor) as server:
        outcome = aliyun(server.url).send(SMS)

    assert isinstance(outcome, Rejected)
    assert outcome.reason == "isv.MOBILE_NUMBER_ILLEGAL: 非法手机号…"


def test_no_code_means_two_things():
    sets = [CHANNEL, CEILING, TEMPLATE, MESSAGE, ADDRESS, CONSENT]

    assert sum(map(len, sets)) == len(set().union(*sets))


# --- hostile answers


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>OK</html>"), (200, b""), (200, b"{}"), (200, b"[]"), (200, b'"OK"'), (200, b'{"Code":"OK"}'), (200, b'{"Code":"OK","BizId":""}'),
        (200, b'{"Code":"OK","BizId":7}'), (200, b'{"Code":0,"BizId":"x"}'), (200, b'{"Code":["OK"],"BizId":"x"}'), (200, b'{"Code":null}'), (200, b'{"code":"OK","BizId":"x"}'),
        (200, b'{"Code":"OK","BizId":"x"'), (200, b'{"Response":{"SendStatusSet":[{"Code":"Ok","SerialNo":"1"}]}}'), (200, b'{"errcode":0,"errmsg":"ok"}'), (200, b"\xff\xfe"),
        (202, b'{"Code":"OK","BizId":"x"}'), (302, b'{"Code":"OK","BizId":"x"}'), (400, b'{"Code":"OK","BizId":"x"}'), (400, b"Bad Request"), (403, b"<html>"), (404, b""),
        (500, b'{"Code":"OK","BizId":"x"}'), (503, b'{"Code":"Throttling"}'), (500, b'{"Code":"isv.MOBILE_NUMBER_ILLEGAL"}'), (502, b"upstream"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_proves_nothing(status, body):
    assert isinstance(sent(Answer(status, {}, body)), Unknown)


def test_a_lost_answer_is_unknown_and_a_request_that_never_left_is_tried_again():
    assert sent(Lost("ReadTimeout")) == Unknown("ReadTimeout")
    assert sent(NotSent("no connection")) == RetryLater(5_000, "no connection", whole_channel=True)


@pytest.mark.parametrize(
    "fault",
    [
        "accept_then_cut",
        "accept_then_html",
        "accept_then_half",
        "accept_then_foreign",
        "accept_then_huge",
        "accept_then_nothing",
        "html",
        "half",
        "foreign",
        "huge",
        "nothing",
        "cut",
        "unavailable",
    ],
)
def test_a_hostile_vendor_never_makes_a_false_acceptance(fault):
    vendor = aliyun_vendor()

    with Loopback(vendor, Behaviour(faults={fault: 1.0})) as server:
        outcome = aliyun(server.url).send(SMS)

    assert isinstance(outcome, Unknown)
    assert len(vendor.taken) == fault.startswith("accept_then_")


def test_the_stand_ins_flow_control_is_the_vendors_own():
    with Loopback(aliyun_vendor(), Behaviour(faults={"flow_control": 1.0})) as server:
        assert isinstance(aliyun(server.url).send(SMS), RetryLater)


# --- asking again


def test_an_attempt_whose_answer_was_lost_is_found_by_our_key_once_it_is_visible():
    now = [NOW]
    vendor = aliyun_vendor(lambda: now[0], lag=8_000)

    with Loopback(vendor, Behaviour(faults={"accept_then_cut": 1.0})) as server:
        channel = aliyun(server.url, clock=lambda: now[0])
        lost = channel.send(SMS)
        early = channel.look_up(SMS)
        now[0] += 10_000
        late = channel.look_up(SMS)

    assert isinstance(lost, Unknown)
    assert isinstance(early, Unknown)
    assert late == Accepted("")


def test_another_message_to_the_same_number_proves_nothing():
    with Loopback(aliyun_vendor()) as server:
        channel = aliyun(server.url)
        channel.send(replace(SMS, key="f" * 32))
        found = channel.look_up(SMS)

    assert isinstance(found, Unknown)


def test_an_attempt_just_before_midnight_is_found_under_the_next_day():
    midnight = 1_796_054_400_000  # 2026-12-01 00:00 in China
    vendor = aliyun_vendor(lambda: midnight + 1_000)

    with Loopback(vendor) as server:
        channel = aliyun(server.url, clock=lambda: midnight + 1_000)
        channel.send(SMS)
        found = channel.look_up(replace(SMS, at=midnight - 2_000))

    assert found == Accepted("")


def test_a_key_on_the_second_page_is_found():
    vendor = aliyun_vendor()

    with Loopback(vendor) as server:
        channel = aliyun(server.url)
        for number in range(61):  # the newest come first: the first sent is on the second page
            channel.send(replace(SMS, key=f"{number:032x}"))
        found = channel.look_up(replace(SMS, key=f"{0:032x}"))

    assert found == Accepted("")
    assert vendor.requests == 63


def test_a_message_that_the_carrier_refused_was_accepted_all_the_same():
    rows = {"SmsSendDetailDTO": [{"OutId": SMS.key, "SendStatus": 2, "ErrCode": "MOBILE_NOT_ON_SERVICE", "BizId": "biz"}]}
    with Loopback(Fixed({"Code": "OK", "SmsSendDetailDTOs": rows})) as server:
        assert aliyun(server.url).look_up(SMS) == Accepted("biz")


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        {},
        [],
        {"Code": "OK"},
        {"Code": "OK", "SmsSendDetailDTOs": []},
        {"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": [None, 7, {"OutId": None}]}},
        {"Code": "isv.X"},
        {"Code": "isv.MOBILE_NUMBER_ILLEGAL"},
    ],
)
def test_a_query_that_says_nothing_readable_settles_nothing(body):
    with Loopback(Fixed(body)) as server:
        assert isinstance(aliyun(server.url).look_up(SMS), Unknown)


def test_a_query_that_cannot_be_made_settles_nothing():
    with Loopback(aliyun_vendor()) as server:
        url = server.url

    assert isinstance(aliyun(url).look_up(SMS), Unknown)
    assert isinstance(aliyun(url).look_up(replace(SMS, address="x")), Unknown)


class Fixed(Vendor):
    """Answers everything with the same."""

    def __init__(self, body: object, status: int = 200) -> None:
        super().__init__()
        self.body, self.status = body, status

    def answer(self, request):
        return Response(self.status, self.body)


# --- what it hears

RECEIPT = {
    "phone_number": "13800138000",
    "send_time": "2026-11-30 12:00:00",
    "report_time": "2026-11-30 12:00:03",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "123^0",
    "out_id": SMS.key,
}
REPLY = {
    "phone_number": "13800138000",
    "content": "R",
    "send_time": "2026-11-30 12:00:00",
    "dest_code": "1234",
    "sequence_id": "1234567890",
}


def hear(*items: object, url: str = RECEIPTS, raw: bytes | None = None):
    return aliyun("http://127.0.0.1:9").hear(callback(json.dumps(items).encode() if raw is None else raw, url))


def test_a_receipt_is_known_by_our_key_and_answered_in_the_vendors_words():
    heard = hear(RECEIPT)

    assert heard.receipts == [Receipt(True, SMS.key, "123^0", "DELIVERED", "用户接收成功")]
    assert (heard.answer, heard.media_type, heard.problems) == ('{"code":0,"msg":"接收成功"}', "application/json", [])


@pytest.mark.parametrize(
    ("code", "blames"),
    [
        ("USER_REJECT", "consent"),
        ("MOBILE_IN_BLACK", "consent"),
        ("MOBILE_NOT_ON_SERVICE", "message"),
        ("INVALID_NUMBER", "message"),
        ("MK:0001", "message"),
        ("", "message"),
    ],
)
def test_a_receipt_of_a_failure_blames_whom_the_documentation_blames(code, blames):
    heard = hear(RECEIPT | {"success": False, "err_code": code, "err_msg": "13800138000 不行"})

    assert heard.receipts == [Receipt(False, SMS.key, "123^0", code, "… 不行", blames)]


def test_a_reply_keeps_its_number_its_text_and_its_chinese_time():
    heard = hear(REPLY)

    assert heard.replies == [Reply("1234567890", PHONE, "R", 1_796_011_200_000)]


@pytest.mark.parametrize(
    ("changes", "reply"),
    [
        ({"sequence_id": 1234567890}, Reply("1234567890", PHONE, "R", 1_796_011_200_000)),
        ({"send_time": "20261130120000"}, Reply("1234567890", PHONE, "R", 1_796_011_200_000)),
        ({"send_time": "?"}, Reply("1234567890", PHONE, "R", 0)),
        ({"send_time": "0001-01-01 00:00:00"}, Reply("1234567890", PHONE, "R", 0)),
        ({"sequence_id": None}, Reply(f"{PHONE} 2026-11-30 12:00:00 R", PHONE, "R", 1_796_011_200_000)),
    ],
)
def test_older_forms_of_a_reply_are_read_too(changes, reply):
    assert hear(REPLY | changes).replies == [reply]


def test_receipts_and_replies_of_one_push_are_told_apart():
    heard = hear(RECEIPT, REPLY, RECEIPT)

    assert (len(heard.receipts), len(heard.replies), heard.problems) == (2, 1, [])


@pytest.mark.parametrize(
    "broken",
    [
        None,
        7,
        "x",
        [],
        {},
        {"success": True},
        {"success": "true", "out_id": "k"},
        {"success": 1, "out_id": "k"},
        {"content": "R"},
        {"content": "R", "phone_number": "12345"},
        {"content": 7, "phone_number": "13800138000"},
    ],
)
def test_one_broken_element_does_not_spoil_the_others(broken):
    heard = hear(RECEIPT, broken, REPLY)

    assert (len(heard.receipts), len(heard.replies), len(heard.problems)) == (1, 1, 1)
    assert heard.problems[0].startswith("element 2: ")
    assert heard.answer == '{"code":0,"msg":"接收成功"}'


@pytest.mark.parametrize("raw", [b"", b"x", b"7", b'"x"', b"null", b"\xff", b"[" * 10_000])
def test_a_body_that_is_no_push_is_a_problem_and_no_error(raw):
    heard = hear(raw=raw)

    assert (list(heard.receipts), list(heard.replies), len(heard.problems)) == ([], [], 1)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/receipts/sms/other",
        "https://shop.example/receipts/sms/",
        "https://shop.example/receipts/sms/hush-hush/",
        "https://shop.example/receipts/sms/x?s=/hush-hush",
        "https://shop.example/receipts/sms/hush-hus",
        "https://shop.example/receipts/sms/暗号",
        "https://[/hush-hush",
        "",
    ],
)
def test_a_push_to_another_url_is_forged(url):
    assert isinstance(hear(RECEIPT, url=url), Forged)


def test_without_a_receipt_secret_every_push_is_forged():
    assert isinstance(aliyun("http://127.0.0.1:9", receipt_secret="").hear(callback(b"[]", "https://shop.example/receipts/sms/")), Forged)


# --- diagnosis


def test_a_good_configuration_is_found_good_and_nobody_is_messaged():
    vendor = aliyun_vendor()

    with Loopback(vendor) as server:
        found = aliyun(server.url).diagnose()

    assert [(d.ok, d.cure) for d in found] == [(True, "")] * 3
    assert vendor.taken == []


def test_three_mistakes_are_each_named_with_their_cure():
    templates = {"pickup": VendorTemplate("SMS_9"), "other": VendorTemplate("SMS_1001", {"name": "name"})}

    with Loopback(aliyun_vendor()) as server:
        found = {d.what: d for d in aliyun(server.url, sign="别家", templates=templates, receipt_secret="").diagnose()}

    assert [d.ok for d in found.values()] == [False] * 4
    assert "isv.SMS_SIGNATURE_ILLEGAL" in found["Aliyun sign 别家"].found
    assert "签名管理" in found["Aliyun sign 别家"].cure
    assert "模板CODE" in found["Aliyun template pickup (SMS_9)"].cure
    assert found["Aliyun template other (SMS_1001)"].found == "its variables are ['name', 'shop'], the configuration has ['name']"
    assert "receipt_secret" in found["Aliyun receipts"].cure


def test_wrong_keys_are_named_as_such():
    with Loopback(aliyun_vendor()) as server:
        found = aliyun(server.url, "wrong").diagnose()

    assert {d.ok for d in found} == {False}
    assert "access_key_secret" in found[0].cure


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"Code": "OK", "SignStatus": 2, "TemplateStatus": 2, "Reason": "签名不符"}, "refused by the reviewers: 签名不符"),
        ({"Code": "OK", "SignStatus": 0, "TemplateStatus": 0}, "still being reviewed"),
        ({"Code": "OK"}, "no status"),
        ("<html>", "HTTP 200 without an answer of Aliyun's"),
    ],
)
def test_what_is_not_approved_is_said_to_be_so(body, found):
    with Loopback(Fixed(body)) as server:
        assert [(d.ok, d.found) for d in aliyun(server.url).diagnose()] == [(False, found)] * 3


# --- the signature's own parts


def test_what_is_signed_is_sorted_and_encoded_as_the_documentation_says():
    text = string_to_sign("POST", "/", {"b": "ä b~*", "A": "1"}, {"x-acs-date": " d ", "host": "h"})

    import hashlib

    request = f"POST\n/\nA=1&b=%C3%A4%20b~%2A\nhost:h\nx-acs-date:d\n\nhost;x-acs-date\n{EMPTY}"
    assert text == "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
