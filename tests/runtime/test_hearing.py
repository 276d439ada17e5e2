"""What vendors and pages tell us over HTTP: proven, kept before it is answered, counted once; nothing that is sent breaks anything."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from starlette.applications import Starlette
from starlette.testclient import TestClient

from channels.message import Accepted, Heard, OwnTokens, VendorTemplate
from channels.sms.aliyun import AliyunSms
from channels.wechat.callback import sign
from channels.wechat.subscribe import WechatSubscribe
from runtime.hearing import LARGEST, Hearing
from runtime.store.tables import events, heard, inbox, messages, quarantine, receipts, subscriptions, suppressions
from tests.shop import CONFIG, DEVICE_SECRET, Shop
from tests.town import MINUTE, NOON, SECOND, FakeVendor, journey_text, reachable

PHONE = "+8613800138000"
OPENID = "o7esq5OI1Uej6Xixw1lA2H7XDVbc"
TOKEN, STAMP, NONCE = "callback-token", "1796097600", "42"
SMS = "/receipts/sms/hush"
TABLES = (events, heard, inbox, quarantine, receipts, subscriptions, suppressions)
HELLO = journey_text("- {id: hello, send: [{sms: {template: news}}]}", id="hello", entry="{event: app_opened}")
RECEIPT = {"success": True, "err_code": "DELIVERED", "err_msg": "", "biz_id": "biz-1", "out_id": ""}
REPLY = {"phone_number": "13800138000", "content": "R", "send_time": "2026-12-01 12:00:00", "dest_code": "1", "sequence_id": "r1"}


class Aliyun(AliyunSms):
    """The real adapter but for the network."""

    def send(self, message):
        """Taken."""
        return Accepted("biz-1")


class Listening(Shop):
    """A shop that also hears callbacks: from Aliyun and from WeChat, by the real adapters."""

    def _open(self, folder, url, now):
        super()._open(folder, url, now)
        clock = self.clock.now
        self.app.delivery.channels.update(
            sms=Aliyun(access_key_id="id", access_key_secret="k", sign="店", receipt_secret="hush", clock=clock, base_url="http://127.0.0.1:9",
                       templates={"news": VendorTemplate("S1")}),
            wechat=WechatSubscribe(appid="wx1", secret="s", templates={"news": VendorTemplate("W1", {"title": "thing1"})}, tokens=OwnTokens(),
                                   clock=clock, callback_token=TOKEN, base_url="http://127.0.0.1:9"),
        )  # fmt: skip
        self.web = Starlette(routes=[*self.intake.routes(), *Hearing(self.app, self.intake, self._wake).routes()])
        self.client = TestClient(self.web, raise_server_exceptions=False)

    def know(self, *user_ids, phone=PHONE):
        """Users with a real number."""
        for user_id in user_ids:
            record = reachable(user_id)
            identities = {**record["identities"], "phone": phone, "openid": OPENID}
            self.post({"user_id": user_id, "identities": identities, "consents": record["consents"]}, "/v1/users")
        self.settle()

    def wechat(self, body, **query):
        """WeChat's own callback, signed in plain mode."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given_ = {"timestamp": STAMP, "nonce": NONCE, "signature": sign(TOKEN, STAMP, NONCE), **query}
        return self.client.post("/wechat/callback", content=raw, params=given_)

    def read(self, query):
        """Rows."""
        with self.app.store.database.reading() as tx:
            return tx.execute(query).all()

    def counts(self):
        """How much is kept in every table that a callback may write to."""
        return {table.name: self.read(select(func.count()).select_from(table))[0][0] for table in TABLES}

    def credits(self):
        """Of the one person, by template."""
        return {row.template_id: row.n for row in self.read(subscriptions.select())}

    def state(self):
        """Of the only message."""
        (row,) = self.read(messages.select())
        return row.state


@pytest.fixture
def shop(tmp_path, database_url):
    opened = Listening(tmp_path / "shop", HELLO, url=database_url)
    yield opened
    opened.close()


def tapped(status="accept", created=STAMP, template="W1", name="subscribe_msg_popup_event"):
    item = {"TemplateId": template, "SubscribeStatusString": status, "PopupScene": "0"}
    return {"FromUserName": OPENID, "CreateTime": created, "MsgType": "event", "Event": name, "List": [item]}


def page(results=None, **more):
    return {"openid": OPENID, "results": results or {"news": "accept"}, **more}


# --- forged


@pytest.mark.parametrize("path", [
    "/receipts/sms", "/receipts/sms/", "/receipts/sms/other", "/receipts/sms/hush%20", "/receipts/sms?secret=hush", "/receipts/wechat/hush", "/wechat/callback",
])  # fmt: skip
def test_what_is_forged_is_403_and_changes_nothing(shop, path):
    shop.know("u1")
    before, woken = shop.counts(), shop.woken

    answer = shop.client.post(path, content=json.dumps([RECEIPT | {"out_id": "k"}, REPLY, tapped()]).encode())

    assert answer.status_code in (403, 404), answer.text
    assert (shop.counts(), shop.woken) == (before, woken)


def test_a_wechat_event_with_another_signature_is_403_and_changes_nothing(shop):
    before = shop.counts()

    for change in ({"signature": "0" * 40}, {"signature": sign("other", STAMP, NONCE)}, {"nonce": "43"}, {"timestamp": ""}):
        assert shop.wechat(tapped(), **change).status_code == 403

    assert shop.counts() == before


def test_an_unsigned_page_result_is_401_and_changes_nothing(shop):
    before = shop.counts()

    assert shop.client.post("/v1/subscriptions", json=page()).status_code == 401
    assert shop.send(json.dumps(page()).encode(), "/v1/subscriptions", secret="whsec_" + "C" * 32).status_code == 401

    assert shop.counts() == before


@pytest.mark.parametrize("path", ["/receipts/push/hush", "/receipts/fax", "/receipts/grant:gift", "/receipts/%00"])
def test_a_channel_that_hears_nothing_is_404(shop, path):
    assert shop.client.post(path, content=b"[]").status_code == 404


def test_wechats_check_of_the_address_is_answered_with_its_echo(shop):
    query = {"timestamp": STAMP, "nonce": NONCE, "signature": sign(TOKEN, STAMP, NONCE), "echostr": "12345"}

    answer = shop.client.get("/wechat/callback", params=query)

    assert (answer.status_code, answer.text) == (200, "12345")
    assert answer.headers["content-type"].startswith("text/plain")


# --- kept before it is answered


def test_a_receipt_is_durable_when_it_is_answered_in_the_vendors_words(shop):
    shop.know("u1")
    shop.post({"type": "app_opened", "user_id": "u1"})
    shop.settle()
    (sent,) = shop.read(messages.select())
    assert sent.state == "ACCEPTED"

    answer = shop.client.post(SMS, json=[RECEIPT | {"out_id": sent.key}])

    assert (answer.status_code, answer.json()["code"]) == (200, 0)
    assert shop.state() == "DELIVERED"


def test_what_the_database_does_not_take_is_503_and_is_taken_when_it_is_told_again(shop):
    told = [RECEIPT | {"out_id": "k"}]
    shop.app.store.database.write(lambda tx: tx.execute(text("ALTER TABLE receipts RENAME TO gone")))

    answer = shop.client.post(SMS, json=told)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    shop.app.store.database.write(lambda tx: tx.execute(text("ALTER TABLE gone RENAME TO receipts")))

    assert shop.client.post(SMS, json=told).status_code == 200
    assert shop.counts()["receipts"] == 1


def test_duplicates_and_reordered_receipts_are_answered_and_change_nothing_more(shop):
    shop.know("u1")
    shop.post({"type": "app_opened", "user_id": "u1"})
    shop.settle()
    key = shop.read(messages.select())[0].key
    told = RECEIPT | {"out_id": key}

    for item in (told, told, told | {"success": False, "err_code": "MK:0001"}, told):
        assert shop.client.post(SMS, json=[item]).status_code == 200

    assert shop.state() == "DELIVERED"
    assert shop.counts()["receipts"] == 2


# --- replies


def test_r_withdraws_marketing_of_everybody_with_the_number_at_once(shop):
    shop.know("u1", "u2")

    assert shop.client.post(SMS, json=[REPLY]).status_code == 200
    (said,) = shop.read(suppressions.select())
    assert (said.channel, said.address, said.purpose) == ("sms", PHONE, "marketing")
    shop.post([{"type": "app_opened", "user_id": u} for u in ("u1", "u2")])
    shop.settle()

    assert shop.read(messages.select()) == []
    for user in ("u1", "u2"):
        assert shop.app.store.database.write(lambda tx, u=user: shop.app.store.contacts.consents_of(tx, u))[-1]["granted"] is False


def test_a_message_that_waits_is_stopped_by_r(shop):
    shop.know("u1")
    shop.post({"type": "app_opened", "user_id": "u1"})
    shop.app.engine.tick(NOON)
    assert shop.state() == "PENDING"

    shop.client.post(SMS, json=[REPLY])
    shop.settle(NOON + SECOND)

    assert shop.state() == "SUPPRESSED"


def test_other_words_become_an_event_of_the_numbers_users_once(shop):
    shop.know("u1", "u2")
    words = REPLY | {"content": "几点可以取货？"}

    for _ in range(3):
        assert shop.client.post(SMS, json=[words, words]).status_code == 200

    found = shop.read(select(events.c.user_id).where(events.c.type == "message_reply").order_by(events.c.user_id))
    assert [row.user_id for row in found] == ["u1", "u2"]
    assert shop.counts()["suppressions"] == 0


def test_the_words_of_a_stranger_are_kept_for_people_to_read(shop):
    assert shop.client.post(SMS, json=[REPLY | {"content": "你是谁"}]).status_code == 200

    (kept,) = shop.quarantined()
    assert (kept["kind"], kept["source"]) == ("reply", "sms")


def test_the_refusal_of_a_stranger_counts_when_a_user_with_the_number_comes(shop):
    shop.client.post(SMS, json=[REPLY])
    said = {"granted": True, "at": "2026-11-30T12:00:00+08:00"}
    shop.post({"user_id": "u9", "identities": {"phone": "138 0013 8000"}, "consents": {"sms": {"marketing": said}}}, "/v1/users")
    shop.settle()
    shop.post({"type": "app_opened", "user_id": "u9"})

    shop.settle()

    assert shop.read(messages.select()) == []


# --- subscriptions


def test_the_pages_result_and_wechats_event_of_one_tap_count_once(shop):
    for answer in (shop.send(json.dumps(page()).encode(), "/v1/subscriptions"), shop.wechat(tapped()), shop.wechat(tapped())):
        assert answer.status_code == 200

    assert shop.credits() == {"W1": 1}


def test_wechats_event_and_the_pages_late_result_of_one_tap_count_once(shop):
    shop.wechat(tapped())
    shop.clock.set(NOON + 50 * SECOND)
    shop.post(page(), "/v1/subscriptions")

    assert shop.credits() == {"W1": 1}


def test_two_taps_count_twice(shop):
    shop.wechat(tapped())
    shop.wechat(tapped(created=str(int(STAMP) + 300)))
    shop.clock.set(NOON + 10 * MINUTE)
    shop.post(page(), "/v1/subscriptions")

    assert shop.credits() == {"W1": 3}


def test_a_request_that_is_repeated_counts_once(shop):
    for _ in range(3):
        shop.post([page(id="tap-1"), page({"news": "accept"}, id="tap-1")], "/v1/subscriptions", request_id="same")
        shop.clock.set(shop.clock.now() + 5 * MINUTE)
        shop.post(page(id="tap-1"), "/v1/subscriptions")

    assert shop.credits() == {"W1": 1}


@pytest.mark.parametrize("name", ["subscribe_msg_popup_event", "subscribe_msg_change_event"])
def test_a_rejection_takes_every_credit(shop, name):
    shop.wechat(tapped())
    shop.wechat(tapped("reject", str(int(STAMP) + 60), name=name))

    assert shop.credits() == {"W1": 0}


@pytest.mark.parametrize("openid", ["", None, 7, "o" * 257, "".join(chr(0x4E00 + n) for n in range(5000))])
def test_an_openid_that_is_none_costs_its_own_result_alone(shop, openid):
    answer = shop.post([{**page(), "openid": openid}, page()], "/v1/subscriptions")

    assert (answer["accepted"], [reason["index"] for reason in answer["reasons"]]) == (1, [0])


def test_what_nobody_was_shown_says_nothing(shop):
    answer = shop.post(page({"news": "ban"}), "/v1/subscriptions")
    shop.post(page({"W1": "filter"}), "/v1/subscriptions")

    assert answer == {"accepted": 0}
    assert shop.credits() == {}


@pytest.mark.parametrize("bad", [
    {}, [], 7, None, "x", {"openid": "", "results": {}}, {"openid": 7, "results": {"news": "accept"}}, page({"nobody": "accept"}), page({"news": ["accept"]}),
    page({"news": None}), {"openid": OPENID, "results": ["news"]}, page({str(n): "accept" for n in range(500)}), page(time="whenever", results={"x": "accept"}),
], ids=lambda bad: json.dumps(bad)[:80])  # fmt: skip
def test_a_result_that_cannot_be_read_is_said_with_its_reason(shop, bad):
    answer = shop.send(json.dumps(bad).encode(), "/v1/subscriptions")

    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 0
    assert shop.credits() == {}


def test_a_source_that_may_not_speak_of_users_cannot_make_subscriptions(shop):
    """A device that may assert app_* only is no page of the shop: what it says must not decide whom WeChat messages."""
    shop.send(json.dumps(page()).encode(), "/v1/subscriptions", secret=DEVICE_SECRET)

    assert shop.credits() == {}


# --- garbage


STRANGE = [
    b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b"[[[[]]]]", b"[null, 7, {}, []]", b'[{"success": 1}]', b"<xml/>", b"<!DOCTYPE x><x/>",
    json.dumps([RECEIPT | {"out_id": "\x00"}]).encode(), json.dumps([RECEIPT | {"out_id": "k", "err_msg": "a\x00b"}]).encode(),
    json.dumps([REPLY | {"sequence_id": "\x00"}]).encode(), json.dumps([REPLY | {"content": "\x00?"}]).encode(),
    json.dumps([REPLY | {"content": "x" * 500_000}]).encode(), json.dumps([RECEIPT | {"biz_id": "x" * 300_000, "out_id": "y" * 300_000}]).encode(),
    b'[{"success": true, "out_id": "\\ud800"}]', json.dumps(tapped() | {"FromUserName": "\x00"}).encode(), json.dumps(tapped(template="\x00")).encode(),
    json.dumps(tapped(created="99999999999")).encode(), json.dumps(tapped(name="subscribe_msg_sent_event")).encode(),
    json.dumps({"Event": "subscribe_msg_sent_event", "List": {"MsgID": "\x00", "ErrorCode": "0", "ErrorStatus": "\x00"}}).encode(),
]  # fmt: skip


def test_garbage_is_never_our_failure(shop):
    shop.know("u1")
    failed = []

    for body in STRANGE:
        answers = (shop.client.post(SMS, content=body), shop.wechat(body), shop.send(body, "/v1/subscriptions"))
        failed += [(body[:120], answer.url.path, answer.status_code) for answer in answers if answer.status_code >= 500]

    assert not failed


@pytest.mark.parametrize("openid", ["\x00", "o\x00", "😀" * 100, "x" * 60_000], ids=["nul", "with nul", "emoji", "long"])
def test_a_strange_openid_is_never_our_failure(shop, openid):
    answer = shop.send(json.dumps(page() | {"openid": openid}).encode(), "/v1/subscriptions")

    assert answer.status_code < 500, answer.text


def test_whatever_bytes_come_are_answered(tmp_path, new_sqlite):
    shop = Listening(tmp_path / "shop", HELLO, url=new_sqlite)

    @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
    @given(body=st.one_of(st.binary(max_size=300), st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda kids: st.lists(kids, max_size=4) | st.dictionaries(
            st.sampled_from([*RECEIPT, *REPLY, *tapped(), "TemplateId", "SubscribeStatusString", "MsgID", "ErrorCode", "openid", "results"]), kids),
        max_leaves=12).map(lambda value: json.dumps(value).encode())))  # fmt: skip
    def answered(body):
        for answer in (shop.client.post(SMS, content=body), shop.wechat(body), shop.send(body, "/v1/subscriptions")):
            assert answer.status_code < 500, answer.text

    answered()
    shop.close()


@pytest.mark.parametrize("path", [SMS, "/receipts/sms", "/wechat/callback"])
def test_more_than_a_megabyte_is_413(shop, path):
    before = shop.counts()

    assert shop.client.post(path, content=b"x" * (LARGEST + 1)).status_code == 413
    assert shop.client.post(path, content=iter([b"x" * 100_000] * 11)).status_code == 413
    assert shop.client.post(SMS, content=b" " * (LARGEST - 2) + b"[]").status_code == 200

    assert shop.counts() == before


@pytest.mark.parametrize("host", ["", "[", "[::1", "a b", "x/receipts/sms/hush", "shop.example:99999999", "münchen.example"])
def test_a_strange_host_is_never_our_failure(tmp_path, new_sqlite, host):
    config = CONFIG.replace("port = 0", 'port = 0\npublic_url = "https://shop.example/in"')
    shop = Listening(tmp_path / "shop", HELLO, url=new_sqlite, config=config)

    answer = shop.client.post(SMS, content=b"[]", headers={"host": host.encode()})

    assert answer.status_code < 500
    shop.close()


def test_a_vendor_is_told_by_the_public_address_what_it_signed(tmp_path, new_sqlite):
    """Behind a proxy the address that the vendor called, and signed over, is not the one that we see."""
    seen = []

    class Signing(FakeVendor):
        def hear(self, callback):
            seen.append(callback.url)
            return Heard(answer="{}")

    config = CONFIG.replace("port = 0", 'port = 0\npublic_url = "https://shop.example/in/"')
    shop = Listening(tmp_path / "shop", HELLO, url=new_sqlite, config=config)
    shop.app.delivery.channels["push"] = Signing()

    shop.client.post("/receipts/push/s-t?a=1&b=%2F", content=b"")

    assert seen == ["https://shop.example/in/receipts/push/s-t?a=1&b=%2F"]
    shop.close()


def test_an_adapter_that_raises_on_a_callback_is_not_taken_for_a_yes(shop):
    class Broken(FakeVendor):
        def hear(self, callback):
            raise KeyError("bug")

    shop.app.delivery.channels["push"] = Broken()
    before = shop.counts()

    assert shop.client.post("/receipts/push", content=b"[]").status_code >= 500, "the vendor tells it again"

    assert shop.counts() == before
