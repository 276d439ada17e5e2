import base64
import hashlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto

from channels.message import Callback, CreditNote, Forged, Heard, Receipt
from channels.wechat.callback import LARGEST, Secrets, decrypt, hear, read_event, sign
from tests.channels.wechat_push_cases import open_wechat

APPID, TOKEN = "wx0123456789abcdef", "callback-token"
AES_KEY = base64.b64encode(bytes(range(32))).decode().rstrip("=")
PLAIN, SAFE = Secrets(APPID, TOKEN, ""), Secrets(APPID, TOKEN, AES_KEY)
STAMP, NONCE = "1714036504", "1514711492"
OPENID = "o7esq5OI1Uej6Xixw1lA2H7XDVbc"
ACCEPTED = {"TemplateId": "T1", "SubscribeStatusString": "accept", "PopupScene": "0"}
REFUSED = {"TemplateId": "T2", "SubscribeStatusString": "reject", "PopupScene": "0"}
XML = """<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName><CreateTime>1610969440</CreateTime>
<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event><{nest}>{items}</{nest}></xml>"""


def event(name="subscribe_msg_popup_event", **keys):
    return {"ToUserName": "gh_1", "FromUserName": OPENID, "CreateTime": "1620973045", "MsgType": "event", "Event": name, **keys}


def post(body, query=None, **more):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = (
        {"timestamp": STAMP, "nonce": NONCE, "signature": sign(TOKEN, STAMP, NONCE), "openid": OPENID, **more} if query is None else query
    )
    return Callback("POST", "https://x.example/wechat/callback", found, {"content-type": "text/plain"}, raw)


def seal(body, *, appid=APPID, key=AES_KEY, token=TOKEN, xml=False):
    """A safe-mode callback, encrypted by another's library."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    crypto = WeChatCrypto(token, key, appid)
    envelope = crypto.encrypt_message(text, NONCE, STAMP)
    sealed = envelope.split("<Encrypt><![CDATA[")[1].split("]]>")[0]
    signature = envelope.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    query = {"timestamp": STAMP, "nonce": NONCE, "signature": sign(token, STAMP, NONCE), "encrypt_type": "aes", "msg_signature": signature}
    raw = (
        f"<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        if xml
        else json.dumps({"ToUserName": "gh_1", "Encrypt": sealed})
    )
    return post(raw.encode(), query)


# --- the console's check


def test_the_documents_own_vector_is_answered_with_the_echo():
    query = {"signature": "f464b24fc39322e44b38aa78f5edd27bd1441696", "timestamp": STAMP, "nonce": NONCE, "echostr": "4375120948345356249"}

    found = hear(Callback("GET", "https://x.example/wechat/callback", query, {}, b""), Secrets(APPID, "AAAAA", AES_KEY))

    assert found == Heard(answer="4375120948345356249", media_type="text/plain")


@pytest.mark.parametrize("change", [
    {"signature": "f464b24fc39322e44b38aa78f5edd27bd1441697"}, {"signature": ""}, {"signature": "é"}, {"timestamp": "1"}, {"nonce": ""}, {"timestamp": ""},
])  # fmt: skip
def test_a_check_with_another_signature_is_forged(change):
    query = {"signature": sign(TOKEN, STAMP, NONCE), "timestamp": STAMP, "nonce": NONCE, "echostr": "7", **change}

    assert isinstance(hear(Callback("GET", "https://x.example", query, {}, b""), PLAIN), Forged)


def test_without_a_token_in_config_everything_is_forged():
    query = {"signature": sign("", STAMP, NONCE), "timestamp": STAMP, "nonce": NONCE, "echostr": "7"}

    assert isinstance(hear(Callback("GET", "https://x.example", query, {}, b""), Secrets(APPID, "", "")), Forged)
    assert isinstance(hear(post(event(List=ACCEPTED), query), Secrets(APPID, "", AES_KEY)), Forged)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
def test_another_method_is_forged(method):
    callback = post(event(List=ACCEPTED))

    assert isinstance(hear(Callback(method, callback.url, callback.query, {}, callback.body), PLAIN), Forged)


# --- what events say


def test_one_acceptance_is_an_object_and_many_are_an_array():
    one, many = hear(post(event(List=ACCEPTED)), PLAIN), hear(post(event(List=[ACCEPTED, REFUSED])), PLAIN)

    assert [(c.address, c.template_id, c.accepted, c.at) for c in one.credits] == [(OPENID, "T1", True, 1_620_973_045_000)]
    assert [(c.template_id, c.accepted) for c in many.credits] == [("T1", True), ("T2", False)]
    assert (one.answer, one.media_type, one.problems) == ("success", "text/plain", [])


@pytest.mark.parametrize("created", [1620973045, "1620973045"], ids=["number", "text"])
def test_a_repeated_event_has_the_same_id_whether_its_time_is_a_number_or_a_text(created):
    (note,) = hear(post(event(List=ACCEPTED, CreateTime=created)), PLAIN).credits

    told = hashlib.sha256(f"{OPENID}\n1620973045\nsubscribe_msg_popup_event\nT1".encode())
    assert note == CreditNote(told.hexdigest()[:32], OPENID, "T1", True, 1_620_973_045_000)


def test_the_ids_of_two_templates_two_times_and_two_people_differ():
    bodies = [event(List=[ACCEPTED, REFUSED]), event(List=ACCEPTED, CreateTime="1620973046"), event(List=ACCEPTED, FromUserName="oOther")]

    ids = [c.id for body in bodies for c in hear(post(body), PLAIN).credits]

    assert len(set(ids)) == 4
    assert all(len(i) == 32 and OPENID not in i for i in ids)


def test_xml_nests_the_list_under_the_events_name():
    item = "<List><TemplateId><![CDATA[{}]]></TemplateId><SubscribeStatusString><![CDATA[{}]]></SubscribeStatusString><PopupScene>2</PopupScene></List>"
    one = XML.format(openid=OPENID, event="subscribe_msg_popup_event", nest="SubscribeMsgPopupEvent", items=item.format("T1", "accept"))
    two = XML.format(
        openid=OPENID,
        event="subscribe_msg_popup_event",
        nest="SubscribeMsgPopupEvent",
        items=item.format("T1", "accept") + item.format("T2", "reject"),
    )

    assert [(c.template_id, c.accepted) for c in hear(post(one.encode()), PLAIN).credits] == [("T1", True)]
    assert [(c.template_id, c.accepted) for c in hear(post(two.encode()), PLAIN).credits] == [("T1", True), ("T2", False)]


def test_a_change_in_the_settings_takes_credits_and_gives_none():
    refused = hear(post(event("subscribe_msg_change_event", List=REFUSED)), PLAIN)
    accepted = hear(post(event("subscribe_msg_change_event", List=ACCEPTED)), PLAIN)

    assert [(c.template_id, c.accepted) for c in refused.credits] == [("T2", False)]
    assert accepted.credits == []
    assert accepted.problems


@pytest.mark.parametrize(("item", "expected"), [
    ({"MsgID": "1700827132819554304", "ErrorCode": "0", "ErrorStatus": "success"}, Receipt(True, reference="1700827132819554304", code="0", reason="success")),
    ({"MsgId": 1700827132819554304, "ErrorCode": 0, "ErrorStatus": "success"}, Receipt(True, reference="1700827132819554304", code="0", reason="success")),
    ({"MsgID": "7", "ErrorCode": "20001", "ErrorStatus": "system error"}, Receipt(False, reference="7", code="20001", reason="system error")),
    ({"MsgID": "7", "ErrorCode": -1}, Receipt(False, reference="7", code="-1")),
])  # fmt: skip
def test_what_became_of_a_message_is_a_receipt(item, expected):
    assert hear(post(event("subscribe_msg_sent_event", List={"TemplateId": "T1", **item})), PLAIN).receipts == [expected]


def test_what_became_of_a_message_is_read_from_xml():
    item = "<List><TemplateId>T1</TemplateId><MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus></List>"
    body = XML.format(openid=OPENID, event="subscribe_msg_sent_event", nest="SubscribeMsgSentEvent", items=item)

    assert hear(post(body.encode()), PLAIN).receipts == [Receipt(True, reference="1700827132819554304", code="0", reason="success")]


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"MsgID": "7"},
        {"ErrorCode": 0},
        {"MsgID": "7", "ErrorCode": "no"},
        {"MsgID": "7", "ErrorCode": True},
        {"MsgID": [], "ErrorCode": 0},
    ],
)
def test_a_result_that_cannot_be_read_is_a_problem_and_no_receipt(item):
    found = hear(post(event("subscribe_msg_sent_event", List=item)), PLAIN)

    assert found.receipts == []
    assert found.problems
    assert found.answer == "success"


@pytest.mark.parametrize("keys", [
    {}, {"List": None}, {"List": []}, {"List": "x"}, {"List": [7]}, {"List": {"TemplateId": "T1"}}, {"List": {**ACCEPTED, "SubscribeStatusString": "ban"}},
    {"List": ACCEPTED, "FromUserName": None}, {"List": {**ACCEPTED, "TemplateId": {}}},
])  # fmt: skip
def test_a_subscription_that_cannot_be_read_is_a_problem_and_no_credit(keys):
    found = hear(post(event(**keys)), PLAIN)

    assert found.credits == []
    assert found.problems


@pytest.mark.parametrize("body", [event("user_enter_tempsession"), event(""), {"MsgType": "text", "Content": "R"}, {"a": 1}])
def test_other_events_are_answered_and_left_alone(body):
    assert hear(post(body), PLAIN) == Heard(answer="success", media_type="text/plain")


# --- forgeries


def test_a_body_without_the_right_signature_is_forged():
    body = event(List=ACCEPTED)

    assert isinstance(hear(post(body, signature="0" * 40), PLAIN), Forged)
    assert isinstance(hear(post(body, {}), PLAIN), Forged)
    assert isinstance(hear(post(body, nonce="2"), PLAIN), Forged)


@pytest.mark.parametrize("xml", [False, True])
def test_what_another_library_sealed_is_opened(xml):
    (note,) = hear(seal(event(List=ACCEPTED, FromUserName="o字"), xml=xml), SAFE).credits

    assert (note.address, note.template_id, note.accepted) == ("o字", "T1", True)


def test_sealed_xml_is_read_too():
    item = "<List><TemplateId>T1</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>"
    inside = XML.format(openid=OPENID, event="subscribe_msg_popup_event", nest="SubscribeMsgPopupEvent", items=item)

    assert hear(seal(inside, xml=True), SAFE).credits[0].accepted


def test_a_sealed_body_for_another_appid_is_forged():
    found = hear(seal(event(List=ACCEPTED), appid="wxffffffffffffffff"), SAFE)

    assert found == Forged("it is for another appid")


def test_a_sealed_body_with_another_signature_key_or_nonce_is_forged():
    good = seal(event(List=ACCEPTED))
    other_key = base64.b64encode(bytes(32)).decode().rstrip("=")

    assert isinstance(hear(seal(event(List=ACCEPTED), token="other"), SAFE), Forged)
    assert isinstance(hear(seal(event(List=ACCEPTED), key=other_key), SAFE), Forged)
    for name in ("msg_signature", "timestamp", "nonce"):
        assert isinstance(hear(post(good.body, {**good.query, name: "1"}), SAFE), Forged)
        assert isinstance(hear(post(good.body, {k: v for k, v in good.query.items() if k != name}), SAFE), Forged)


def test_with_an_aes_key_a_plain_body_is_not_believed_however_well_its_url_is_signed():
    assert isinstance(hear(post(event(List=ACCEPTED)), SAFE), Forged)
    assert isinstance(hear(post({**event(List=ACCEPTED), "Encrypt": "AAAA"}), SAFE), Forged)


def test_a_sealed_body_without_an_aes_key_in_config_is_not_believed():
    assert isinstance(hear(seal(event(List=ACCEPTED)), PLAIN), Forged)
    assert isinstance(hear(seal(event(List=ACCEPTED)), Secrets(APPID, TOKEN, "short")), Forged)


def test_a_sealed_text_whose_padding_or_length_is_wrong_is_not_opened():
    key = bytes(range(32))
    sealed = json.loads(seal({"a": 1}).body)["Encrypt"]
    raw = bytearray(base64.b64decode(sealed))

    assert decrypt(sealed, key) is not None
    for damaged in (b"", bytes(raw[:-1]), bytes(raw[:-16]), bytes([*raw[:-1], raw[-1] ^ 1]), os.urandom(64), bytes(16)):
        found = decrypt(base64.b64encode(damaged).decode(), key)
        assert found is None or found[1] != APPID.encode()
    assert decrypt("not base64!", key) is None


# --- hostile bodies


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]><xml><Event>subscribe_msg_popup_event</Event><FromUserName>&d;</FromUserName>
<List><TemplateId>T1</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List></xml>"""
HOSTILE = [
    b"", b"{", b"<", b"<xml>", b"<xml><a></xml>", b"<xml/>", b"<xml>text</xml>", b"null", b"[]", b"[[[[", b"7", b"\xff\xfe\x00\x01", b"<xml>\xff\xfe</xml>", LAUGHS,
    b"<a>" * 5000, b"<a>" * 5000 + b"</a>" * 5000, b"{" * 5000, b'{"a":' * 5000, b"[" * 100_000, b'{"Event":["subscribe_msg_popup_event"]}', b'{"Event":{}}',
    b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml><Event>&x;</Event></xml>', b"<xml><Event>&undefined;</Event></xml>", b'<?xml version="1.0" encoding="utf-16"?><xml/>',
    json.dumps(event(List=[ACCEPTED] * 3, CreateTime="9" * 5000)).encode(), json.dumps(event(CreateTime=[1], List={"TemplateId": "T\ud800", "SubscribeStatusString": "accept"})).encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_body_never_raises_in_any_mode(body):
    for secrets in (PLAIN, SAFE):
        assert isinstance(hear(post(body), secrets), Heard | Forged)
        assert isinstance(hear(post(body, encrypt_type="aes"), secrets), Heard | Forged)


def test_entities_are_not_expanded():
    found = hear(post(LAUGHS), PLAIN)

    assert found.credits == ()
    assert found.problems == ["neither a JSON object nor XML"]


def test_xml_that_is_deeper_than_any_event_is_not_read():
    assert hear(post(b"<a>" * 5000 + b"</a>" * 5000), PLAIN).problems == ["neither a JSON object nor XML"]


def test_a_body_of_a_megabyte_is_refused():
    assert isinstance(hear(post(b"<xml>" + b"<a></a>" * 150_000 + b"</xml>"), PLAIN), Forged)
    assert isinstance(hear(post(b"x" * (LARGEST + 1)), SAFE), Forged)


@given(st.binary(max_size=400))
def test_no_bytes_raise(body):
    assert isinstance(read_event(body), Heard)
    assert isinstance(hear(post(body), SAFE), Forged)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["List", "TemplateId", "MsgID", "ErrorCode", "SubscribeStatusString"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_no_shape_of_a_list_raises(shape):
    for name in ("subscribe_msg_popup_event", "subscribe_msg_change_event", "subscribe_msg_sent_event"):
        assert hear(post(event(name, List=shape, SubscribeMsgPopupEvent=shape)), PLAIN).answer == "success"


@given(
    st.dictionaries(st.sampled_from(["timestamp", "nonce", "signature", "msg_signature", "encrypt_type", "echostr"]), st.text(max_size=12))
)
def test_no_query_is_believed_without_the_token(query):
    for method in ("GET", "POST"):
        assert isinstance(hear(Callback(method, "https://x.example", query, {}, b"{}"), SAFE), Forged)


# --- through the channel


def test_the_channel_hears_with_its_own_secrets():
    channel = open_wechat("http://127.0.0.1:1", callback_token=TOKEN, callback_aes_key=AES_KEY)

    assert channel.hear(seal(event(List=ACCEPTED))).credits[0].template_id == "T1"
    assert isinstance(channel.hear(post(event(List=ACCEPTED))), Forged)
    assert isinstance(open_wechat("http://127.0.0.1:1").hear(seal(event(List=ACCEPTED))), Forged)


def test_secrets_are_not_shown():
    assert TOKEN not in repr(SAFE)
    assert AES_KEY not in repr(SAFE)
