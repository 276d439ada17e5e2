"""Tencent: the stand-in is proven by the vendor's own client, then our adapter by the stand-in."""

import json
import time
from dataclasses import replace

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models
from tencentcloud.sms.v20210111.sms_client import SmsClient

from channels.http import Answer, Lost, NotSent
from channels.loopback.server import Behaviour, Loopback, Response, Vendor
from channels.message import (
    Accepted,
    Channel,
    Diagnosable,
    Fault,
    Forged,
    HearsBack,
    Neither,
    Query,
    Receipt,
    Rejected,
    RetryLater,
    Unknown,
    VendorTemplate,
)
from channels.sms.tencent import positional, sent
from channels.sms.tencent_codes import ADDRESS, BY_MIDNIGHT, CEILING, CHANNEL, CONSENT, LIMITS, MESSAGE, TEMPLATE
from tests.channels.cases import NOW
from tests.channels.sms_cases import APP_ID, KEY_ID, PHONE, RECEIPTS, SECRET, SIGN, SMS, callback, tencent, tencent_vendor

HOUR = 3_600_000
EVENING = 1_796_047_200_000  # 2026-11-30 22:00 in China


def real_clock() -> int:
    return time.time_ns() // 1_000_000


def sdk(server: Loopback, secret: str = SECRET) -> SmsClient:
    """The vendor's own client, pointed at the stand-in."""
    profile = ClientProfile(httpProfile=HttpProfile(endpoint=f"127.0.0.1:{server.port}", protocol="http"))
    return SmsClient(Credential(KEY_ID, secret), "ap-guangzhou", profile)


def a_send(**changes: object) -> models.SendSmsRequest:
    request = models.SendSmsRequest()
    fields = {
        "PhoneNumberSet": [PHONE],
        "SmsSdkAppId": APP_ID,
        "SignName": SIGN,
        "TemplateId": "110011",
        "TemplateParamSet": ["王 小", "3&~"],
        "SessionContext": "the key",
    }
    request.from_json_string(json.dumps(fields | changes))
    return request


def a_pull(at: int) -> models.PullSmsSendStatusByPhoneNumberRequest:
    request = models.PullSmsSendStatusByPhoneNumberRequest()
    request.from_json_string(
        json.dumps(
            {
                "BeginTime": at // 1000 - 60,
                "EndTime": at // 1000 + 60,
                "Offset": 0,
                "Limit": 100,
                "PhoneNumber": PHONE,
                "SmsSdkAppId": APP_ID,
            }
        )
    )
    return request


# --- the stand-in, by the vendor's own client


def test_the_vendors_own_client_sends_through_the_stand_in():
    vendor = tencent_vendor(real_clock)

    with Loopback(vendor) as server:
        status = sdk(server).SendSms(a_send()).SendStatusSet[0]

    assert (status.Code, status.SerialNo, status.SessionContext) == ("Ok", vendor.taken[0].reference, "the key")
    assert (vendor.taken[0].key, vendor.taken[0].address) == ("the key", PHONE)
    assert vendor.taken[0].content == {"template": "110011", "params": ["王 小", "3&~"]}


def test_the_stand_in_refuses_the_vendors_own_client_with_a_wrong_secret():
    vendor = tencent_vendor(real_clock)

    with Loopback(vendor) as server, pytest.raises(TencentCloudSDKException, match=r"AuthFailure\.SignatureFailure"):
        sdk(server, "wrong").SendSms(a_send())

    assert vendor.taken == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PhoneNumberSet": ["12345"]}, "InvalidParameterValue.IncorrectPhoneNumber"),
        ({"PhoneNumberSet": ["+861088886666"]}, "InvalidParameterValue.IncorrectPhoneNumber"),
        ({"SmsSdkAppId": "1"}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
        ({"SignName": "别家"}, "FailedOperation.SignatureIncorrectOrUnapproved"),
        ({"TemplateId": "9"}, "FailedOperation.TemplateUnapprovedOrNotExist"),
        ({"TemplateParamSet": ["one"]}, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        ({"TemplateParamSet": ["one", ""]}, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
    ],
)
def test_the_stand_in_refuses_one_number_as_the_vendor_does(changes, code):
    vendor = tencent_vendor(real_clock)

    with Loopback(vendor) as server:
        status = sdk(server).SendSms(a_send(**changes)).SendStatusSet[0]

    assert (status.Code, status.SerialNo, vendor.taken) == (code, "", [])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PhoneNumberSet": []}, "MissingParameter"),
        ({"SmsSdkAppId": ""}, "MissingParameter"),
        ({"SessionContext": "x" * 512}, "InvalidParameter"),
        ({"TemplateParamSet": [1, 2]}, "InvalidParameter"),
        ({"PhoneNumberSet": [PHONE, "+85251234567"]}, "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber"),
    ],
)
def test_the_stand_in_refuses_a_request_as_the_vendor_does(changes, code):
    with Loopback(tencent_vendor(real_clock)) as server, pytest.raises(TencentCloudSDKException) as refused:
        sdk(server).SendSms(a_send(**changes))

    assert refused.value.code == code


@pytest.mark.parametrize(("switched_on", "context"), [(False, ""), (True, "the key")])
def test_the_vendors_own_client_pulls_what_was_taken_when_it_has_become_visible(switched_on, context):
    now = [real_clock()]
    vendor = tencent_vendor(lambda: now[0], lag=20_000, context_returned=switched_on)

    with Loopback(vendor) as server:
        sdk(server).SendSms(a_send())
        early = sdk(server).PullSmsSendStatusByPhoneNumber(a_pull(now[0])).PullSmsSendStatusSet
        now[0] += 20_000
        late = sdk(server).PullSmsSendStatusByPhoneNumber(a_pull(now[0])).PullSmsSendStatusSet

    assert early == []
    assert [(row.SerialNo, row.SessionContext) for row in late] == [(vendor.taken[0].reference, context)]


def test_the_vendors_own_client_lists_signs_and_templates():
    signs, templates = models.DescribeSmsSignListRequest(), models.DescribeSmsTemplateListRequest()
    signs.International, signs.Limit, signs.Offset = 0, 100, 0
    templates.International, templates.TemplateIdSet = 0, [110011, 9]

    with Loopback(tencent_vendor(real_clock)) as server:
        found = sdk(server).DescribeSmsSignList(signs).DescribeSignListStatusSet
        listed = sdk(server).DescribeSmsTemplateList(templates).DescribeTemplateStatusSet

    assert [(row.SignName, row.StatusCode) for row in found] == [(SIGN, 0)]
    assert [(row.TemplateId, row.StatusCode) for row in listed] == [(110011, 0)]


# --- our adapter


def test_it_is_a_channel_that_hears_back_and_can_be_diagnosed():
    channel: Channel = tencent("http://127.0.0.1:9")

    assert isinstance(channel, HearsBack)
    assert isinstance(channel, Diagnosable)
    assert (channel.one_at_a_time, channel.timeout) == (False, 8_000)


def test_it_promises_a_query_only_where_tencent_returns_our_context():
    assert tencent("http://127.0.0.1:9").guarantee == Neither()
    assert tencent("http://127.0.0.1:9", context_returned=True).guarantee == Query(lag=30_000, until=HOUR)


def test_the_truth_holds_exactly_what_was_meant():
    vendor = tencent_vendor()

    with Loopback(vendor) as server:
        outcome = tencent(server.url).send(SMS)

    assert outcome == Accepted(vendor.taken[0].reference)
    assert [(t.key, t.address, t.content) for t in vendor.taken] == [
        (SMS.key, PHONE, {"template": "110011", "params": ["王 小+明", "3号/门店&~*"]})
    ]
    assert vendor.refused == []


def test_a_template_without_parameters_gets_none():
    vendor = tencent_vendor()

    with Loopback(vendor) as server:
        outcome = tencent(server.url).send(replace(SMS, content={"template": "plain", "params": {}}))

    assert isinstance(outcome, Accepted)
    assert vendor.taken[0].content == {"template": "110012", "params": []}


@pytest.mark.parametrize("fields", [{"name": "name", "shop": "2"}, {"name": "1", "shop": "3"}, {}])
def test_fields_that_are_not_numbered_hold_the_template(fields):
    vendor = tencent_vendor()

    with Loopback(vendor) as server:
        outcome = tencent(server.url, templates={"pickup": VendorTemplate("110011", fields)}).send(SMS)

    assert isinstance(outcome, Fault)
    assert (outcome.code, outcome.scope, vendor.requests) == ("template_fields", "template", 0)


def test_positions_are_sorted_as_numbers():
    assert positional({str(n): f"v{n}" for n in (10, 2, 1, 3, 4, 5, 6, 7, 8, 9, 11)}) == [f"v{n}" for n in range(1, 12)]


@pytest.mark.parametrize("address", ["", "010-88886666", "1380013800", "oABC"])
def test_what_is_no_mobile_number_is_refused_without_a_request(address):
    vendor = tencent_vendor()

    with Loopback(vendor) as server:
        outcome = tencent(server.url).send(replace(SMS, address=address))

    assert outcome == Rejected("bad_number", "not a mobile number", blames="address")
    assert vendor.requests == 0


def test_a_wrong_secret_is_the_channels_fault():
    vendor = tencent_vendor()

    with Loopback(vendor) as server:
        outcome = tencent(server.url, "wrong").send(SMS)

    assert isinstance(outcome, Fault)
    assert (outcome.code, outcome.scope, vendor.taken) == ("AuthFailure.SignatureFailure", "channel", [])


@pytest.mark.parametrize("off", [-301_000, 301_000])
def test_a_clock_that_is_wrong_is_the_channels_fault(off):
    with Loopback(tencent_vendor()) as server:
        outcome = tencent(server.url, clock=lambda: NOW + off).send(SMS)

    assert isinstance(outcome, Fault)
    assert outcome.code == "AuthFailure.SignatureExpire"


def test_no_connection_is_tried_again_and_concerns_everything():
    with Loopback(tencent_vendor()) as server:
        url = server.url

    outcome = tencent(url).send(SMS)

    assert isinstance(outcome, RetryLater)
    assert (outcome.after, outcome.whole_channel) == (5_000, True)


# --- every code

TABLE = {
    "channel": "AuthFailure.InvalidAuthorization AuthFailure.InvalidSecretId AuthFailure.MFAFailure AuthFailure.SecretIdNotFound AuthFailure.SignatureExpire AuthFailure.SignatureFailure AuthFailure.TokenFailure AuthFailure.UnauthorizedOperation InternalError.RequestTimeException InternalError.SigFieldMissing InternalError.SigVerificationFail InternalError.RestApiInterfaceNotExist InvalidAction NoSuchVersion UnsupportedRegion InvalidParameter.AppidAndBizId InvalidParameterValue.SdkAppIdNotExist UnauthorizedOperation UnauthorizedOperation.RequestIpNotInWhitelist UnauthorizedOperation.RequestPermissionDeny UnauthorizedOperation.SdkAppIdIsDisabled UnauthorizedOperation.ServiceSuspendDueToArrears UnauthorizedOperation.SmsSdkAppIdVerifyFail FailedOperation.InsufficientBalanceInSmsPackage FailedOperation.SignatureIncorrectOrUnapproved LimitExceeded.AppDailyLimit LimitExceeded.AppMainlandChinaDailyLimit",
    "template": "FailedOperation.TemplateIncorrectOrUnapproved FailedOperation.TemplateUnapprovedOrNotExist FailedOperation.TemplateIdNotExist FailedOperation.TemplateParamSetNotMatchApprovedTemplate UnauthorizedOperation.IndividualUserMarketingSmsPermissionDeny",
    "message": "FailedOperation.ContainSensitiveWord FailedOperation.FailResolvePacket FailedOperation.JsonParseFail InvalidParameter InvalidParameter.DirtyWordFound InvalidParameter.InvalidParameters InvalidParameterValue InvalidParameterValue.ContentLengthLimit InvalidParameterValue.ProhibitedUseUrlInTemplateParameter InvalidParameterValue.TemplateParameterFormatError InvalidParameterValue.TemplateParameterLengthLimit LimitExceeded.AppCountryOrRegionInBlacklist MissingParameter MissingParameter.EmptyPhoneNumberSet UnsupportedOperation UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone UnsupportedOperation.GlobalTemplateToChineseMainlandPhone UnsupportedOperation.UnsupportedRegion",
    "address": "InvalidParameterValue.IncorrectPhoneNumber FailedOperation.PhoneNumberParseFail",
    "consent": "FailedOperation.PhoneNumberInBlacklist",
}
CODES = [(code, kind) for kind, codes in TABLE.items() for code in codes.split()]
WAITS = [
    ("LimitExceeded.PhoneNumberThirtySecondLimit", 30_000, False),
    ("LimitExceeded.PhoneNumberOneHourLimit", HOUR, False),
    ("LimitExceeded.DeliveryFrequencyLimit", HOUR, False),
    ("LimitExceeded.GlobalSmsSendingRateLimit", 5_000, False),
    ("LimitExceeded.PhoneNumberDailyLimit", 2 * HOUR, False),
    ("LimitExceeded.PhoneNumberSameContentDailyLimit", 2 * HOUR, False),
    ("LimitExceeded.DailyLimit", 2 * HOUR, False),
    ("LimitExceeded.AppGlobalDailyLimit", 2 * HOUR, False),
    ("LimitExceeded.AppCountryOrRegionDailyLimit", 2 * HOUR, False),
    ("FailedOperation.MarketingSendTimeConstraint", 10 * HOUR, False),
    ("RequestLimitExceeded", 1_000, True),
    ("RequestLimitExceeded.UinLimitExceeded", 1_000, True),
]


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_every_code_of_the_table_has_its_outcome(code, kind):
    vendor = tencent_vendor()
    vendor.refusals[PHONE] = (code, "words")

    with Loopback(vendor) as server:
        outcome = tencent(server.url).send(SMS)

    if kind in {"channel", "template"}:
        assert isinstance(outcome, Fault)
        assert (outcome.code, outcome.scope, outcome.after >= 60_000) == (code, kind, True)
    else:
        assert outcome == Rejected(code, f"{code}: words", kind)


@pytest.mark.parametrize(("code", "after", "whole"), WAITS)
def test_a_limit_is_waited_for_as_long_as_it_lasts_seen_from_ten_in_the_evening(code, after, whole):
    vendor = tencent_vendor(lambda: EVENING)
    vendor.refusals[PHONE] = (code, "words")

    with Loopback(vendor) as server:
        outcome = tencent(server.url, clock=lambda: EVENING).send(SMS)

    assert outcome == RetryLater(after, f"{code}: words", whole_channel=whole)


def test_a_code_of_the_whole_request_means_what_it_means_for_one_number():
    body = {"Response": {"Error": {"Code": "UnauthorizedOperation.ServiceSuspendDueToArrears", "Message": "words"}, "RequestId": "r"}}

    with Loopback(Fixed(body)) as server:
        outcome = tencent(server.url).send(SMS)

    assert isinstance(outcome, Fault)


def test_the_tables_are_tested_whole():
    assert {code for code, _ in CODES} == CHANNEL | CEILING | TEMPLATE | MESSAGE | ADDRESS | CONSENT
    assert {code for code, _, _ in WAITS} >= set(LIMITS) | BY_MIDNIGHT


@pytest.mark.parametrize(
    "code",
    [
        "InternalError.Timeout",
        "InternalError.SendAndRecvFail",
        "InternalError.UnknownError",
        "InternalError.OtherError",
        "FailedOperation.OtherError",
        "InternalError",
        "Something.New",
        "OK",
        "ok",
        "",
    ],
)
def test_a_code_that_does_not_say_no_proves_nothing(code):
    vendor = tencent_vendor()
    vendor.refusals[PHONE] = (code, "words")

    with Loopback(vendor) as server:
        assert isinstance(tencent(server.url).send(SMS), Unknown)


def test_no_code_means_two_things():
    sets = [CHANNEL, CEILING, TEMPLATE, MESSAGE, ADDRESS, CONSENT, BY_MIDNIGHT, set(LIMITS)]

    assert sum(map(len, sets)) == len(set().union(*sets))


# --- hostile answers


class Fixed(Vendor):
    """Answers everything with the same."""

    def __init__(self, body: object, status: int = 200) -> None:
        super().__init__()
        self.body, self.status = body, status

    def answer(self, request):
        return Response(self.status, self.body)


def row(**changes: object) -> dict[str, object]:
    return {"SerialNo": "1:2", "PhoneNumber": PHONE, "SessionContext": SMS.key, "Code": "Ok", "Message": "send success"} | changes


def said(*rows: object) -> bytes:
    return json.dumps({"Response": {"SendStatusSet": rows, "RequestId": "r"}}).encode()


def judged(status: int, body: bytes):
    return sent(Answer(status, {}, body), PHONE, SMS.key, NOW)


def test_an_answer_about_our_number_and_context_is_believed():
    assert judged(200, said(row())) == Accepted("1:2")
    assert judged(200, said(row(SessionContext=""))) == Accepted("1:2")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Ok</html>"), (200, b""), (200, b"{}"), (200, b"[]"), (200, b'{"Response":null}'), (200, b'{"Response":{}}'), (200, b'{"Response":{"Error":"no"}}'), (200, b'{"Response":{"Error":{"Code":7}}}'),
        (200, said()), (200, said(row(), row())), (200, said(None)), (200, said(row(Code=0))), (200, said(row(Code=None))), (200, said(row(SerialNo=""))), (200, said(row(SerialNo=None))),
        (200, said(row(PhoneNumber="+8613800138001"))), (200, said(row(SessionContext="another"))), (200, said(row(SessionContext=7))), (200, said(row(PhoneNumber="+8613800138001", Code="FailedOperation.PhoneNumberInBlacklist"))),
        (200, b'{"Code":"OK","BizId":"x"}'), (200, said(row())[:-3]), (200, b"\xff"), (400, b"Bad Request"), (400, said(row())), (500, said(row())), (503, b'{"Response":{"Error":{"Code":"RequestLimitExceeded"}}}'), (502, b"x"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_proves_nothing(status, body):
    assert isinstance(judged(status, body), Unknown)


def test_a_context_that_cannot_even_be_compared_proves_nothing():
    assert isinstance(judged(200, said(row(SessionContext=[]))), Unknown)


def test_a_lost_answer_is_unknown_and_a_request_that_never_left_is_tried_again():
    assert sent(Lost("ReadTimeout"), PHONE, "k", NOW) == Unknown("ReadTimeout")
    assert sent(NotSent("no connection"), PHONE, "k", NOW) == RetryLater(5_000, "no connection", whole_channel=True)


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
    vendor = tencent_vendor()

    with Loopback(vendor, Behaviour(faults={fault: 1.0})) as server:
        outcome = tencent(server.url).send(SMS)

    assert isinstance(outcome, Unknown)
    assert len(vendor.taken) == fault.startswith("accept_then_")


def test_the_stand_ins_flow_control_is_the_vendors_own():
    with Loopback(tencent_vendor(), Behaviour(faults={"flow_control": 1.0})) as server:
        outcome = tencent(server.url).send(SMS)

    assert isinstance(outcome, RetryLater)
    assert outcome.whole_channel


# --- asking again


def test_where_the_context_is_returned_a_lost_attempt_is_found_by_it():
    now = [NOW]
    vendor = tencent_vendor(lambda: now[0], lag=20_000, context_returned=True)

    with Loopback(vendor, Behaviour(faults={"accept_then_cut": 1.0})) as server:
        channel = tencent(server.url, clock=lambda: now[0], context_returned=True)
        lost, early = channel.send(SMS), channel.look_up(SMS)
        now[0] += 30_000
        late = channel.look_up(SMS)

    assert isinstance(lost, Unknown)
    assert isinstance(early, Unknown)
    assert late == Accepted(vendor.taken[0].reference)


def test_where_it_is_not_nothing_is_ever_found():
    with Loopback(tencent_vendor()) as server:
        channel = tencent(server.url)
        channel.send(SMS)
        found = channel.look_up(SMS)

    assert isinstance(found, Unknown)


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        {},
        {"Response": {}},
        {"Response": {"PullSmsSendStatusSet": [None, {"SessionContext": None}]}},
        {"Response": {"Error": {"Code": "FailedOperation.PhoneNumberInBlacklist"}}},
        {"Response": []},
    ],
)
def test_a_query_that_says_nothing_readable_settles_nothing(body):
    with Loopback(Fixed(body)) as server:
        assert isinstance(tencent(server.url).look_up(SMS), Unknown)


def test_a_query_that_cannot_be_made_settles_nothing():
    with Loopback(tencent_vendor()) as server:
        url = server.url

    assert isinstance(tencent(url).look_up(SMS), Unknown)
    assert isinstance(tencent(url).look_up(replace(SMS, address="x")), Unknown)


# --- what it hears

RECEIPT = {
    "user_receive_time": "2026-11-30 12:00:03",
    "nationcode": "86",
    "mobile": "13800138000",
    "report_status": "SUCCESS",
    "errmsg": "DELIVRD",
    "description": "用户短信送达成功",
    "sid": "5000:1045",
}
REPLY = {"extend": "", "mobile": "13800138000", "nationcode": "86", "sign": SIGN, "text": "TD", "time": 1_796_011_200}


def hear(body: object, url: str = RECEIPTS):
    return tencent("http://127.0.0.1:9").hear(callback(body if isinstance(body, bytes) else json.dumps(body).encode(), url))


def test_a_receipt_is_known_by_the_vendors_serial_and_by_our_key_where_it_is_returned():
    heard = hear([RECEIPT, RECEIPT | {"ext": SMS.key}])

    assert heard.receipts == [
        Receipt(True, "", "5000:1045", "DELIVRD", "用户短信送达成功"),
        Receipt(True, SMS.key, "5000:1045", "DELIVRD", "用户短信送达成功"),
    ]
    assert (heard.answer, heard.media_type, heard.problems) == ('{"result":0,"errmsg":"OK"}', "application/json", [])


def test_a_receipt_of_a_failure_blames_nobody_for_a_carriers_code():
    heard = hear([RECEIPT | {"report_status": "FAIL", "errmsg": "MK:0001", "description": "空号"}])

    assert heard.receipts == [Receipt(False, "", "5000:1045", "MK:0001", "空号", "message")]


def test_a_reply_is_one_object_with_unix_time():
    heard = hear(REPLY)

    assert [(r.address, r.text, r.at) for r in heard.replies] == [(PHONE, "TD", 1_796_011_200_000)]
    assert heard.answer == '{"result":0,"errmsg":"OK"}'


def test_a_reply_that_is_repeated_has_the_same_id_and_another_one_has_not():
    first, again, other = (hear(item).replies[0].id for item in (REPLY, REPLY, REPLY | {"time": 1_796_011_201}))

    assert first == again
    assert first != other


def test_a_reply_from_another_country_keeps_it():
    assert [r.address for r in hear(REPLY | {"nationcode": "852", "mobile": "51234567"}).replies] == ["+85251234567"]


@pytest.mark.parametrize("seconds", [None, 10**18, True, 0, -5, "1796011200", 1.5])
def test_a_reply_without_a_readable_time_has_none(seconds):
    assert [r.at for r in hear(REPLY | {"time": seconds}).replies] == [0]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        7,
        "x",
        [],
        {},
        {"report_status": "MAYBE", "sid": "1"},
        {"report_status": "SUCCESS"},
        {"report_status": True, "sid": "1"},
        {"text": "R"},
        {"text": 7, "mobile": "13800138000", "nationcode": "86"},
        {"text": "R", "mobile": "1", "nationcode": "86"},
    ],
)
def test_one_broken_element_does_not_spoil_the_others(broken):
    heard = hear([RECEIPT, broken, REPLY])

    assert (len(heard.receipts), len(heard.replies), len(heard.problems)) == (1, 1, 1)
    assert heard.answer == '{"result":0,"errmsg":"OK"}'


@pytest.mark.parametrize("raw", [b"", b"x", b"7", b"null", b"\xff"])
def test_a_body_that_is_no_push_is_a_problem_and_no_error(raw):
    assert len(hear(raw).problems) == 1


@pytest.mark.parametrize("url", ["https://shop.example/receipts/sms/other", "https://shop.example/receipts/sms/", ""])
def test_a_push_to_another_url_is_forged(url):
    assert isinstance(hear([RECEIPT], url), Forged)


# --- diagnosis


def test_a_good_configuration_is_found_good_and_nobody_is_messaged():
    vendor = tencent_vendor()

    with Loopback(vendor) as server:
        found = tencent(server.url).diagnose()

    assert [(d.ok, d.cure) for d in found] == [(True, "")] * 3
    assert vendor.taken == []


def test_mistakes_are_each_named_with_their_cure():
    templates = {"a": VendorTemplate("9"), "b": VendorTemplate("SMS_1"), "c": VendorTemplate("110011", {"name": "name"})}

    with Loopback(tencent_vendor()) as server:
        found = {d.what: d for d in tencent(server.url, sign="别家", templates=templates, receipt_secret="").diagnose()}

    assert [d.ok for d in found.values()] == [False] * 5
    assert found["Tencent sign 别家"].found == "there is no such sign"
    assert found["Tencent template a (9)"].found == "there is no such template"
    assert found["Tencent template b (SMS_1)"].found == "the id is not a number"
    assert "1, 2, 3" in found["Tencent template c (110011)"].cure
    assert "receipt_secret" in found["Tencent receipts"].cure


def test_wrong_keys_are_named_as_such():
    with Loopback(tencent_vendor()) as server:
        found = tencent(server.url, "wrong").diagnose()

    assert {d.ok for d in found} == {False}
    assert "secret_key" in found[0].cure


def test_what_is_not_approved_is_said_to_be_so():
    body = {
        "Response": {
            "DescribeSignListStatusSet": [{"SignName": SIGN, "StatusCode": -1, "ReviewReply": "材料不全"}],
            "DescribeTemplateStatusSet": [{"TemplateId": n, "StatusCode": 1} for n in (110011, 110012)],
        }
    }

    with Loopback(Fixed(body)) as server:
        found = [d.found for d in tencent(server.url).diagnose()]

    assert found == ["refused by the reviewers: 材料不全", "still being reviewed", "still being reviewed"]
