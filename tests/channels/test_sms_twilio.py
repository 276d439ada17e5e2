"""Twilio: the stand-in is proven by the vendor's own client, then our adapter by the stand-in; signatures by the vendor's validator."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

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
    Receipt,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
    VendorTemplate,
)
from channels.sms.twilio import body_of, callback_for, sent
from channels.sms.twilio_codes import ADDRESS, CHANNEL, CONSENT, MESSAGE
from tests.channels.sms_cases import ACCOUNT, PHONE, SENDER, SMS, TOKEN, callback, twilio, twilio_vendor

SERVICE = "MG" + "2" * 32
URL = "https://shop.example/receipts/sms/twilio"
SID = "SM" + "a" * 32


class ToLoopback(TwilioHttpClient):
    """The vendor's own HTTP client, sent to the stand-in."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method, url, **keys):
        return super().request(method, url.replace("https://api.twilio.com", self._url), **keys)


def sdk(server: Loopback, token: str = TOKEN) -> Client:
    return Client(ACCOUNT, token, http_client=ToLoopback(server.url))


# --- the stand-in, by the vendor's own client


def test_the_vendors_own_client_sends_through_the_stand_in():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        message = sdk(server).messages.create(to=PHONE, from_=SENDER, body="水果 & more", status_callback=f"{URL}?key=k1")

    assert (message.sid, message.status) == (vendor.taken[0].reference, "queued")
    assert (vendor.taken[0].key, vendor.taken[0].address) == ("k1", PHONE)
    assert vendor.taken[0].content == {"body": "水果 & more", "sender": SENDER}


def test_the_stand_in_refuses_the_vendors_own_client_with_a_wrong_token():
    vendor = twilio_vendor()

    with Loopback(vendor) as server, pytest.raises(TwilioRestException) as refused:
        sdk(server, "wrong").messages.create(to=PHONE, from_=SENDER, body="x")

    assert (refused.value.status, refused.value.code, vendor.taken) == (401, 20003, [])


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"to": "", "from_": SENDER, "body": "x"}, 21604), ({"to": PHONE, "body": "x"}, 21603), ({"to": PHONE, "from_": SENDER, "body": ""}, 21602),
        ({"to": "13800138000", "from_": SENDER, "body": "x"}, 21211), ({"to": PHONE, "from_": "+12025550199", "body": "x"}, 21606),
        ({"to": PHONE, "from_": SERVICE, "body": "x"}, 21212), ({"to": PHONE, "from_": SENDER, "body": "x" * 1601}, 21617),
    ],
)  # fmt: skip
def test_the_stand_in_refuses_what_the_vendor_refuses(form, code):
    vendor = twilio_vendor()

    with Loopback(vendor) as server, pytest.raises(TwilioRestException) as refused:
        sdk(server).messages.create(**form)

    assert (refused.value.status, refused.value.code, vendor.taken) == (400, code, [])


def test_the_vendors_own_client_reads_the_account():
    with Loopback(twilio_vendor()) as server:
        assert sdk(server).api.accounts(ACCOUNT).fetch().status == "active"


# --- our adapter


def test_it_is_a_channel_that_hears_back_and_can_be_diagnosed_and_promises_nothing():
    channel: Channel = twilio("http://127.0.0.1:9")

    assert isinstance(channel, HearsBack)
    assert isinstance(channel, Diagnosable)
    assert (channel.guarantee, channel.one_at_a_time, channel.timeout) == (Neither(), False, 8_000)
    assert isinstance(channel.look_up(SMS), Unknown)


def test_the_truth_holds_exactly_what_was_meant():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        outcome = twilio(server.url).send(SMS)

    assert outcome == Accepted(vendor.taken[0].reference)
    assert [(t.key, t.address, t.content) for t in vendor.taken] == [
        ("", PHONE, {"body": "王 小+明, 您的订单在 3号/门店&~*", "sender": SENDER})
    ]
    assert vendor.refused == []


def test_a_messaging_service_sends_and_the_callback_carries_our_key():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        twilio(server.url, sender=SERVICE, status_callback=f"{URL}?a=1").send(SMS)

    assert [(t.key, t.content["sender"]) for t in vendor.taken] == [(SMS.key, SERVICE)]


def test_a_value_is_never_read_as_a_placeholder():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        twilio(server.url).send(replace(SMS, content={"template": "pickup", "params": {"name": "{shop}", "shop": "{name}"}}))

    assert vendor.taken[0].content["body"] == "{shop}, 您的订单在 {name}"


def test_a_placeholder_without_a_value_is_refused_without_a_request():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        outcome = twilio(server.url).send(replace(SMS, content={"template": "pickup", "params": {"name": "n"}}))

    assert outcome == Rejected("missing_param", "no value for shop")
    assert vendor.requests == 0


def test_fields_give_placeholders_other_names():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        twilio(server.url, templates={"pickup": VendorTemplate("{a}-{b}", {"name": "a", "shop": "b"})}).send(SMS)

    assert vendor.taken[0].content["body"] == "王 小+明-3号/门店&~*"


@pytest.mark.parametrize("address", ["", "010-88886666", "1380013800", "oABC"])
def test_what_is_no_mobile_number_is_refused_without_a_request(address):
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        outcome = twilio(server.url).send(replace(SMS, address=address))

    assert outcome == Rejected("bad_number", "not a mobile number", blames="address")
    assert vendor.requests == 0


def test_a_template_that_is_not_configured_holds_that_template_only():
    outcome = twilio("http://127.0.0.1:9").send(replace(SMS, content={"template": "nobody"}))

    assert isinstance(outcome, Fault)
    assert outcome.scope == "template"


def test_a_wrong_token_is_the_channels_fault():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        outcome = twilio(server.url, "wrong").send(SMS)

    assert isinstance(outcome, Fault)
    assert (outcome.code, outcome.scope, vendor.taken) == ("20003", "channel", [])


def test_no_connection_is_tried_again_and_concerns_everything():
    with Loopback(twilio_vendor()) as server:
        url = server.url

    outcome = twilio(url).send(SMS)

    assert isinstance(outcome, RetryLater)
    assert (outcome.after, outcome.whole_channel) == (5_000, True)


# --- every code

TABLE = {
    "channel": [
        10001,
        20003,
        20005,
        20006,
        20404,
        21212,
        21601,
        21603,
        21606,
        21608,
        21609,
        21659,
        21660,
        21661,
        21701,
        21703,
        21705,
        30002,
    ],
    "message": [21408, 21602, 21604, 21605, 21612, 21617, 21619, 21620],
    "address": [21211, 21214, 21217, 21614, 21635],
    "consent": [21610],
}
CODES = [(code, kind) for kind, codes in TABLE.items() for code in codes]


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_every_code_of_the_table_has_its_outcome(code, kind):
    vendor = twilio_vendor()
    vendor.refusals[PHONE] = (code, "words")

    with Loopback(vendor) as server:
        outcome = twilio(server.url).send(SMS)

    if kind == "channel":
        assert isinstance(outcome, Fault)
        assert (outcome.code, outcome.scope, outcome.after >= 60_000) == (str(code), "channel", True)
    else:
        assert outcome == Rejected(str(code), f"{code}: words", kind)


def test_the_table_is_tested_whole():
    assert {code for code, _ in CODES} == CHANNEL | MESSAGE | ADDRESS | CONSENT


def test_the_vendors_words_are_repeated_without_the_numbers_in_them():
    vendor = twilio_vendor()
    vendor.refusals[PHONE] = (21211, f"The 'To' number {PHONE} is not a valid phone number.")

    with Loopback(vendor) as server:
        outcome = twilio(server.url).send(SMS)

    assert outcome == Rejected("21211", "21211: The 'To' number +… is not a valid phone number.", "address")


@pytest.mark.parametrize("code", [0, 1, 21999, 30007, -1])
def test_a_code_that_is_not_in_the_table_proves_nothing(code):
    vendor = twilio_vendor()
    vendor.refusals[PHONE] = (code, "words")

    with Loopback(vendor) as server:
        assert isinstance(twilio(server.url).send(SMS), Unknown)


def test_too_many_requests_hold_the_whole_channel_for_as_long_as_is_asked():
    assert sent(Answer(429, {"retry-after": "7"}, b'{"code":20429,"message":"Too Many Requests"}')) == RetryLater(
        7_000, "20429: Too Many Requests", whole_channel=True
    )
    assert sent(Answer(429, {}, b"<html>")) == RetryLater(1_000, "0: ", whole_channel=True)


def test_a_sender_with_a_full_queue_holds_the_whole_channel():
    assert sent(Answer(400, {}, b'{"code":21611,"message":"m"}')) == RetryLater(60_000, "21611: m", whole_channel=True)


def test_unauthorized_is_a_fault_whatever_the_body_says():
    outcome = sent(Answer(401, {}, b""))

    assert isinstance(outcome, Fault)
    assert outcome.code == "401"


def test_no_code_means_two_things():
    sets = [CHANNEL, MESSAGE, ADDRESS, CONSENT]

    assert sum(map(len, sets)) == len(set().union(*sets))


# --- hostile answers

GOOD = b'{"sid":"SM' + b"a" * 32 + b'","status":"queued"}'


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, b"<html>"), (201, b""), (201, b"{}"), (201, b"[]"), (201, b'{"sid":""}'), (201, b'{"sid":7}'), (201, b'{"sid":"SM1"}'), (201, b'{"sid":"CA' + b"a" * 32 + b'"}'), (201, GOOD[:-1]), (201, b"\xff"),
        (200, GOOD), (202, GOOD), (302, GOOD), (400, GOOD), (400, b""), (400, b"<html>"), (400, b'{"code":"21610"}'), (400, b'{"code":true}'), (400, b'{"code":null}'), (404, b""), (403, b"<html>"), (500, GOOD), (503, b'{"code":20429}'), (500, b'{"code":21610}'),
        (200, b'{"Code":"OK","BizId":"x"}'),
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
    vendor = twilio_vendor()

    with Loopback(vendor, Behaviour(faults={fault: 1.0})) as server:
        outcome = twilio(server.url).send(SMS)

    assert isinstance(outcome, Unknown)
    assert len(vendor.taken) == fault.startswith("accept_then_")


def test_the_stand_ins_flow_control_is_the_vendors_own():
    with Loopback(twilio_vendor(), Behaviour(faults={"flow_control": 1.0})) as server:
        outcome = twilio(server.url).send(SMS)

    assert outcome == RetryLater(1_000, "20429: Too Many Requests", whole_channel=True)


# --- what it hears


def hear(
    form: dict[str, str] | list[tuple[str, str]],
    url: str = URL,
    *,
    signed_url: str | None = None,
    token: str = TOKEN,
    query: dict[str, str] | None = None,
    signature: str | None = None,
):
    """A callback that the vendor's own validator has signed."""
    made = RequestValidator(token).compute_signature(signed_url or url, dict(form)) if signature is None else signature
    headers = {"x-twilio-signature": made, "content-type": "application/x-www-form-urlencoded"}
    return twilio("http://127.0.0.1:9").hear(callback(urlencode(form).encode(), url, headers, query))


DELIVERED = {
    "MessageSid": SID,
    "MessageStatus": "delivered",
    "SmsSid": SID,
    "SmsStatus": "delivered",
    "To": PHONE,
    "From": SENDER,
    "AccountSid": ACCOUNT,
    "ApiVersion": "2010-04-01",
}
INBOUND = {
    "MessageSid": SID,
    "SmsSid": SID,
    "SmsMessageSid": SID,
    "SmsStatus": "received",
    "AccountSid": ACCOUNT,
    "From": PHONE,
    "To": SENDER,
    "Body": "退订 & STOP",
    "NumMedia": "0",
    "NumSegments": "1",
}


def test_a_receipt_is_known_by_the_vendors_id_and_by_our_key_in_the_url():
    url = callback_for(URL, SMS.key)

    heard = hear(DELIVERED, url, query={"key": SMS.key})

    assert heard.receipts == (Receipt(True, SMS.key, SID),)
    assert (heard.answer, heard.media_type, list(heard.problems)) == ("<Response/>", "text/xml", [])


@pytest.mark.parametrize(
    ("code", "blames"),
    [
        ("21610", "consent"),
        ("30005", "address"),
        ("30006", "address"),
        ("21614", "address"),
        ("30003", "message"),
        ("30007", "message"),
        ("", "message"),
        ("?", "message"),
    ],
)
@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_a_receipt_of_a_failure_blames_whom_the_documentation_blames(status, code, blames):
    heard = hear(DELIVERED | {"MessageStatus": status, "ErrorCode": code})

    assert heard.receipts == (Receipt(False, "", SID, code, "", blames),)


@pytest.mark.parametrize("status", ["queued", "accepted", "scheduled", "sending", "sent", "read", "canceled", "partially_delivered"])
def test_a_status_on_the_way_says_nothing_yet(status):
    heard = hear(DELIVERED | {"MessageStatus": status})

    assert (list(heard.receipts), list(heard.replies), list(heard.problems), heard.answer) == ([], [], [], "<Response/>")


def test_an_inbound_message_is_a_reply():
    heard = hear(INBOUND)

    assert heard.replies == (Reply(SID, PHONE, "退订 & STOP"),)
    assert (heard.answer, heard.media_type) == ("<Response/>", "text/xml")


def test_an_empty_text_is_a_reply_too():
    assert hear(INBOUND | {"Body": ""}).replies == (Reply(SID, PHONE, ""),)


@pytest.mark.parametrize(
    "form",
    [{"From": PHONE, "Body": "x"}, {"MessageSid": SID}, {}, INBOUND | {"From": "12345"}, INBOUND | {"From": "whatsapp:+8613800138000"}],
)
def test_a_signed_callback_that_is_neither_is_a_problem(form):
    heard = hear(form)

    assert (list(heard.receipts), list(heard.replies), len(heard.problems), heard.answer) == ([], [], 1, "<Response/>")


@pytest.mark.parametrize(
    ("called", "signed"),
    [
        ("https://shop.example/r?key=1&b=%E6%9E%9C", "https://shop.example/r?key=1&b=%E6%9E%9C"), ("https://shop.example/r", "https://shop.example:443/r"), ("https://shop.example:443/r", "https://shop.example/r"),
        ("http://shop.example/r", "http://shop.example:80/r"), ("https://shop.example:8443/r?x", "https://shop.example/r?x"),
    ],
)  # fmt: skip
def test_the_signature_is_checked_as_the_vendors_own_validator_checks_it(called, signed):
    form = DELIVERED | {"Empty": "", "Z": "ä & =", "a": "1"}
    made = RequestValidator(TOKEN).compute_signature(signed, form)

    assert RequestValidator(TOKEN).validate(called, form, made)
    assert not isinstance(hear(form, called, signed_url=signed), Forged)


def test_a_field_that_comes_twice_is_signed_by_its_sorted_values():
    import base64
    import hashlib
    import hmac

    text = URL + "MessageSid" + SID + "MessageStatus" + "delivered" + "X" + "1" + "X" + "2"
    made = base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()).decode()

    heard = hear([("X", "2"), ("X", "1"), ("MessageSid", SID), ("MessageStatus", "delivered")], signature=made)

    assert heard.receipts == (Receipt(True, "", SID),)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "another"},
        {"signature": ""},
        {"signature": "x"},
        {"signature": "签名"},
        {"signed_url": "https://shop.example/receipts/sms/other"},
        {"signed_url": "http://shop.example/receipts/sms/twilio"},
        {"signed_url": URL + "?key=1"},
    ],
)
def test_a_callback_with_a_wrong_signature_is_forged(wrong):
    assert isinstance(hear(DELIVERED, **wrong), Forged)


def test_a_callback_whose_form_or_url_was_changed_is_forged():
    made = RequestValidator(TOKEN).compute_signature(callback_for(URL, "k1"), DELIVERED)

    assert isinstance(hear(DELIVERED | {"MessageStatus": "failed"}, callback_for(URL, "k1"), signature=made), Forged)
    assert isinstance(hear(DELIVERED | {"More": "1"}, callback_for(URL, "k1"), signature=made), Forged)
    assert isinstance(hear(DELIVERED, callback_for(URL, "k2"), signature=made), Forged)


def test_a_callback_without_a_signature_or_that_is_no_text_is_forged():
    channel = twilio("http://127.0.0.1:9")

    assert isinstance(channel.hear(callback(urlencode(DELIVERED).encode(), URL)), Forged)
    assert isinstance(channel.hear(callback(b"\xff\xfe", URL)), Forged)


@pytest.mark.parametrize("url", ["", "https://[", "https://shop.example:x/", "//"])
def test_a_url_that_is_none_is_forged_and_no_error(url):
    assert isinstance(twilio("http://127.0.0.1:9").hear(callback(b"a=1", url, {"x-twilio-signature": "x"})), Forged)


# --- diagnosis


class Fixed(Vendor):
    """Answers everything with the same."""

    def __init__(self, body: object, status: int = 200) -> None:
        super().__init__()
        self.body, self.status = body, status

    def answer(self, request):
        return Response(self.status, self.body)


def test_a_good_configuration_is_found_good_and_nobody_is_messaged():
    vendor = twilio_vendor()

    with Loopback(vendor) as server:
        found = twilio(server.url, status_callback=URL).diagnose()

    assert [(d.ok, d.found, d.cure) for d in found] == [(True, "active", "")]
    assert vendor.taken == []


def test_a_wrong_token_and_missing_receipts_are_named_with_their_cure():
    with Loopback(twilio_vendor()) as server:
        account, receipts = twilio(server.url, "wrong").diagnose()

    assert (account.ok, account.found) == (False, "HTTP 401 Authenticate")
    assert "auth_token" in account.cure
    assert not receipts.ok
    assert "public_url" in receipts.cure


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"sid": ACCOUNT, "status": "suspended"}, "the account is suspended"),
        ({"sid": ACCOUNT, "status": "active", "type": "Trial"}, "a trial account"),
        ({"sid": "another"}, "HTTP 200"),
        ("<html>", "HTTP 200"),
    ],
)
def test_an_account_that_cannot_send_is_said_to_be_so(body, found):
    with Loopback(Fixed(body)) as server:
        account = twilio(server.url, status_callback=URL).diagnose()[0]

    assert (account.ok, account.found, bool(account.cure)) == (False, found, True)


def test_an_account_that_cannot_be_asked_is_no_error():
    with Loopback(twilio_vendor()) as server:
        url = server.url

    assert not twilio(url).diagnose()[0].ok


def test_a_text_without_placeholders_is_itself():
    from channels.sms.filling import Filled

    assert body_of(Filled("到货了 {}{ } {{", {})) == "到货了 {}{ } {{"
