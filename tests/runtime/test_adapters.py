"""From config.toml to channels: every section builds its adapter; what cannot be used is one clear line, and no secret is repeated."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from channels.benefits.http import HttpBenefit
from channels.benefits.wechatpay import WeChatPayCoupon
from channels.email import SmtpEmail
from channels.endpoint import HttpEndpoint
from channels.message import OwnTokens
from channels.push.fcm import Fcm
from channels.push.jpush import JPush
from channels.recording import RecordingChannel, SilentChannel
from channels.sms.aliyun import AliyunSms
from channels.sms.tencent import TencentSms
from channels.sms.twilio import TwilioSms
from channels.wechat.subscribe import WechatSubscribe
from channels.wechat.wecom import WecomApp, WecomRobot
from runtime.adapters import StoredTokens, build_channels, flows, sections, silent_channels
from runtime.clock import VirtualClock
from runtime.deliver import LaneRules
from runtime.settings import ConfigError, load_project
from runtime.store.flow import Rate
from tests.town import DAY, MINUTE, NOON, SECOND

SECRET = "s3cr3t-that-nobody-may-see"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()  # fmt: skip
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
ACCOUNT = json.dumps({"type": "service_account", "project_id": "p", "private_key": PRIVATE, "client_email": "a@p.example"})
WEBHOOK = "whsec_" + base64.b64encode(b"k" * 32).decode()
TEMPLATE = '[channels.{0}.templates.hello]\nid = "T1"\npurpose = "service"\n'
PAY = """[adapters.wechatpay]
mchid = "1900000001"
appid = "wx1"
serial_no = "ABC"
private_key = "file:private"
apiv3_key = "file:apiv3"
public_key = "file:public"
public_key_id = "PUB_KEY_ID_1"
"""
SECTIONS = {
    "channels.wechat": ("wechat", WechatSubscribe, 'adapter = "subscribe"\nappid = "wx1"\nsecret = "file:secret"\ncallback_token = "env:A_SECRET"'),
    "channels.sms": ("sms", AliyunSms, 'adapter = "aliyun"\naccess_key_id = "id"\naccess_key_secret = "env:A_SECRET"\nsign = "店"\nreceipt_secret = "file:secret"'),
    "channels.sms ": ("sms", TencentSms, 'adapter = "tencent"\nsecret_id = "id"\nsecret_key = "env:A_SECRET"\nsdk_app_id = "1400000000"\nsign = "店"\nreceipt_secret = "file:secret"'),
    "channels.sms  ": ("sms", TwilioSms, 'adapter = "twilio"\naccount_sid = "AC1"\nauth_token = "env:A_SECRET"\nsender = "+15005550006"'),
    "channels.push": ("push", JPush, 'adapter = "jpush"\napp_key = "k"\nmaster_secret = "file:secret"'),
    "channels.push ": ("push", Fcm, 'adapter = "fcm"\nservice_account = "file:account"'),
    "channels.wecom": ("wecom", WecomApp, 'adapter = "app"\ncorp_id = "ww1"\nagent_id = 1000002\nsecret = "file:secret"'),
    "channels.email": ("email", SmtpEmail, 'adapter = "smtp"\nhost = "mail.example"\nusername = "u"\npassword = "file:secret"\nsender = "店 <a@shop.example>"\nunsubscribe = "mailto:no@shop.example"'),
    "robots.desk": ("robot:desk", WecomRobot, 'adapter = "wecom"\nkey = "file:secret"'),
    "benefits.coupon": ("grant:coupon", WeChatPayCoupon, 'adapter = "wechatpay"\nstock_id = "9856000"'),
    "benefits.points": ("grant:points", HttpBenefit, 'adapter = "http"\nurl = "https://shop.example/points"\nsecret = "file:webhook"'),
    "endpoints.stock": ("call:stock", HttpEndpoint, 'adapter = "http"\nurl = "https://shop.example/stock"\nsecret = "file:webhook"\nanswer = {left = "number"}'),
    "endpoints.bare": ("call:bare", HttpEndpoint, 'adapter = "http"\nurl = "https://shop.example/stock"'),
}  # fmt: skip
SECRETS = {"secret": SECRET, "account": ACCOUNT, "webhook": WEBHOOK, "private": PRIVATE, "public": PUBLIC, "apiv3": "k" * 32}


@pytest.fixture
def project(tmp_path, monkeypatch):
    import os

    for name in [n for n in os.environ if n.startswith("JOURNEYD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("A_SECRET", SECRET)
    for name, text in SECRETS.items():
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")

    def load(text=""):
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        return load_project(tmp_path)

    return load


def build(project):
    return build_channels(project, VirtualClock(NOON), OwnTokens())


def config_of(name):
    lane, _, text = SECTIONS[name]
    pay = PAY if "wechatpay" in text else ""
    return f"[{name.strip()}]\n{text}\n" + (TEMPLATE.format(lane) if name.startswith("channels") else "") + pay


def refused(project, text):
    """The message of a configuration that must be refused, in the file or when its adapters are built."""
    with pytest.raises(ConfigError) as raised:
        build(project(text))
    said = str(raised.value)
    assert SECRET not in said
    return said


@pytest.mark.parametrize("name", SECTIONS, ids=lambda n: f"{n.strip()} {SECTIONS[n][1].__name__}")
def test_every_section_builds_its_adapter(project, name):
    lane, adapter, _ = SECTIONS[name]

    found = build(project(config_of(name)))

    assert type(found[lane]) is adapter
    assert found[lane].timeout >= SECOND
    assert SECRET not in repr(vars(found[lane]).get("guarantee")) + repr(found[lane])


@pytest.mark.parametrize("name", SECTIONS, ids=lambda n: f"{n.strip()} {SECTIONS[n][1].__name__}")
def test_a_missing_secret_is_said_with_its_key(project, name):
    for line in config_of(name).splitlines():
        key, _, value = line.partition(" = ")
        if not value.startswith(('"file:', '"env:')):
            continue
        for gone in ('"file:nowhere"', '"env:NOT_SET_ANYWHERE"'):
            said = refused(project, config_of(name).replace(line, f"{key} = {gone}"))
            table = "adapters.wechatpay" if line in PAY else name.strip()
            assert f"{table}.{key}" in said, said
            assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", SECTIONS, ids=lambda n: f"{n.strip()} {SECTIONS[n][1].__name__}")
def test_an_unknown_key_is_said_as_it_stands_in_the_file(project, name):
    _, _, text = SECTIONS[name]
    table = name.strip()

    said = refused(project, config_of(name).replace(text, text + "\nnonsense = 1"))

    assert f"unknown key {table}.nonsense" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", SECTIONS, ids=lambda n: f"{n.strip()} {SECTIONS[n][1].__name__}")
def test_a_key_that_is_left_out_is_said_as_it_stands_in_the_file(project, name):
    optional = {"callback_token", "password", "username", "adapter", "answer"} | ({"secret"} if name.startswith("endpoints") else set())
    _, _, text = SECTIONS[name]
    for line in text.splitlines():
        key = line.partition(" = ")[0]
        if key in optional:
            continue
        said = refused(project, config_of(name).replace(line + "\n", "", 1))
        assert f"{name.strip()}.{key}: " in said, said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", SECTIONS, ids=lambda n: f"{n.strip()} {SECTIONS[n][1].__name__}")
def test_a_secret_that_was_written_into_the_file_is_refused_and_never_repeated(project, name):
    for line in config_of(name).splitlines():
        key, _, value = line.partition(" = ")
        if value.startswith(('"file:', '"env:')):
            said = refused(project, config_of(name).replace(line, f'{key} = "{SECRET}"'))
            assert "env:NAME or file:PATH" in said
            assert key in said


@pytest.mark.parametrize(("table", "others"), [
    ("channels.wechat", "subscribe"), ("channels.sms", "aliyun"), ("channels.push", "jpush"), ("channels.wecom", "app"), ("channels.email", "smtp"),
    ("robots.x", "wecom"), ("benefits.x", "wechatpay"), ("endpoints.x", "http"),
])  # fmt: skip
@pytest.mark.parametrize("adapter", ['"carrier_pigeon"', "7", '""'])
def test_an_unknown_adapter_is_said_with_those_there_are(project, table, others, adapter):
    said = refused(project, f"[{table}]\nadapter = {adapter}\n")

    assert f"{table}.adapter: " in said
    assert others in said
    assert len(said.splitlines()) == 1


WRONG = [
    ("[channels.push]\nconcurrency = 0", "channels.push.concurrency"),
    ("[channels.push]\nconcurrency = 257", "channels.push.concurrency"),
    ('[channels.push]\nrate = "fast"', "channels.push.rate"),
    ('[channels.push]\nrate = "0/s"', "channels.push.rate"),
    ('[channels.push]\ntimeout = "31s"', "channels.push.timeout"),
    ('[channels.push]\ntimeout = "never"', "channels.push.timeout"),
    ('[channels.push]\nbase_url = "ftp://x"', "channels.push.base_url"),
    ("[benefits.gift]\nbudget = -1", "benefits.gift.budget"),
    ('[endpoints.x]\nanswer = {left = "float"}', "endpoints.x.answer.left"),
    ('[benefits.coupon]\nadapter = "wechatpay"\nstock_id = "1"', "[adapters.wechatpay]"),
    (config_of("benefits.points").replace("https://shop.example", "http://shop.example"), "benefits.points"),
    (config_of("benefits.points").replace("https://shop.example", "https://u:p@shop.example"), "benefits.points"),
    (config_of("benefits.points").replace("file:webhook", "file:secret"), "benefits.points"),
    (config_of("channels.push ").replace("file:account", "file:secret"), "channels.push.service_account"),
    (config_of("channels.email").replace("店 <a@shop.example>", "nobody"), "email"),
    (config_of("channels.email").replace("mailto:no@shop.example", "no"), "email"),
    (config_of("channels.email").replace("host = ", 'security = "none"\nhost = '), "email"),
    (config_of("benefits.coupon").replace("file:private", "file:secret"), "coupon"),
    (config_of("benefits.coupon").replace("file:public", "file:secret"), "coupon"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)), ids=lambda n: f"{n} {WRONG[n][1]}")
def test_what_cannot_be_used_is_one_line_that_names_its_place(project, number):
    text, place = WRONG[number]

    said = refused(project, text)

    assert place in said, said
    assert len(said.splitlines()) == 1, said


@pytest.mark.parametrize("account", ["[]", "7", "{}", '{"private_key": "nonsense", "client_email": "a"}'])
def test_a_service_account_that_is_none_is_refused_when_the_daemon_starts(project, tmp_path, account):
    (tmp_path / "account").write_text(account, encoding="utf-8")

    assert "channels.push.service_account" in refused(project, config_of("channels.push "))


def test_what_config_does_not_say_is_recorded(project, tmp_path):
    found = build(project("[channels.push]\n[channels.sms]\n[benefits.gift]\n[robots.desk]\n[endpoints.stock]\nreply = {left = 3}\n"))

    assert sorted(found) == ["call:stock", "grant:gift", "push", "robot:desk", "sms"]
    assert {type(channel) for channel in found.values()} == {RecordingChannel}
    assert not (tmp_path / "data").exists(), "nothing is written before something is sent"


def test_how_fast_each_lane_may_go_is_what_config_says(project):
    made = project(
        '[channels.push]\nrate = "100/s"\nconcurrency = 3\n[channels.sms]\nrate = "5/day"\n[robots.desk]\nadapter = "wecom"\nkey = "file:secret"\n'
    )

    assert flows(made) == {
        "push": LaneRules(3, Rate(100, SECOND)), "sms": LaneRules(64, Rate(5, DAY)), "robot:desk": LaneRules(8, Rate(20, MINUTE)),
    }  # fmt: skip
    assert set(sections(made)) == set(flows(made))


def test_a_simulation_needs_no_secret_and_sends_nothing(project):
    text = "".join(config_of(name) for name in ("channels.wechat", "channels.email", "robots.desk")).replace("file:secret", "file:nowhere")

    found = silent_channels(project(text))

    assert {type(channel) for channel in found.values()} == {SilentChannel}
    assert {"wechat", "email", "robot:desk"} <= set(found)


def test_tokens_are_shared_by_the_daemons_of_a_database(store):
    StoredTokens(store).put("wechat:wx1", SECRET, NOON)

    assert StoredTokens(store).get("wechat:wx1") == (SECRET, NOON)
    assert StoredTokens(store).get("wechat:wx2") is None
