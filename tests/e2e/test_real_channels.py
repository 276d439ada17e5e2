"""From a signed event to a phone and back: the daemon with real adapters, against stand-in vendors on this machine."""

import json

import pytest
import requests

from channels.loopback.aliyun import AliyunVendor
from channels.loopback.server import Loopback
from channels.loopback.wechat import Wechat
from runtime.clock import SystemClock
from runtime.newproject import make_project
from runtime.settings import load_project
from tests.e2e.running import journeyd, running, until

PHONE = "+8613800138000"


@pytest.fixture
def shop(tmp_path):
    """A project whose wechat and sms go to stand-ins; the environment that says so, and the two vendors."""
    project = make_project(tmp_path / "shop")
    channels = load_project(project).settings.channels
    wechat_templates = {t.id: list(t.fields.values()) for t in channels.wechat.templates.values()}
    sms_templates = {t.id: list(t.fields.values()) for t in channels.sms.templates.values()}
    wechat = Wechat(appid="wx1", secret="wx-secret", templates=wechat_templates, openids={"o-1"})
    aliyun = AliyunVendor(
        access_key_id="LTAI", access_key_secret="ali-secret", sign="小店", templates=sms_templates, clock=SystemClock().now
    )
    with Loopback(wechat) as wechat_site, Loopback(aliyun) as aliyun_site:
        environment = {
            "WX": "wx-secret", "ALI": "ali-secret", "RECEIPTS": "path-secret-0123456789",
            "JOURNEYD_CHANNELS__WECHAT__ADAPTER": "subscribe", "JOURNEYD_CHANNELS__WECHAT__APPID": "wx1",
            "JOURNEYD_CHANNELS__WECHAT__SECRET": "env:WX", "JOURNEYD_CHANNELS__WECHAT__BASE_URL": wechat_site.url,
            "JOURNEYD_CHANNELS__SMS__ADAPTER": "aliyun", "JOURNEYD_CHANNELS__SMS__ACCESS_KEY_ID": "LTAI",
            "JOURNEYD_CHANNELS__SMS__ACCESS_KEY_SECRET": "env:ALI", "JOURNEYD_CHANNELS__SMS__SIGN": "小店",
            "JOURNEYD_CHANNELS__SMS__RECEIPT_SECRET": "env:RECEIPTS", "JOURNEYD_CHANNELS__SMS__BASE_URL": aliyun_site.url,
        }  # fmt: skip
        yield project, environment, wechat, aliyun


def messages(project, environment, user_id):
    told = journeyd("explain", user_id, "--json", folder=project, **environment)
    return json.loads(told.stdout or "{}").get("messages", [])


def complaint(ticket):
    return {"id": ticket, "type": "complaint_filed", "user_id": "u1", "data": {"ticket_id": ticket, "order_id": "o1", "kind": "quality"}}


def test_a_message_goes_to_wechat_while_there_is_credit_then_by_sms_and_its_receipt_and_reply_come_home(shop):
    project, environment, wechat, aliyun = shop
    user = {"user_id": "u1", "traits": {"name": "李阿姨"}, "identities": {"openid": "o-1", "phone": "138 0013 8000"},
            "consents": {"sms": {"service": True, "marketing": True}}}  # fmt: skip
    with running(project, **environment) as daemon:
        daemon.post(user, "/v1/users")
        wechat.accept("o-1", "W03")
        assert daemon.post({"openid": "o-1", "results": {"ticket": "accept"}}, "/v1/subscriptions") == {"accepted": 1}

        daemon.post(complaint("t1"))
        [taken] = until(lambda: list(wechat.taken), "the message at WeChat")
        assert (taken.address, taken.content["template_id"]) == ("o-1", "W03")
        assert taken.content["data"]["thing1"]["value"] == "您的反馈已受理"

        daemon.post(complaint("t2"))
        [sms] = until(lambda: list(aliyun.taken), "the message by sms, for want of credit")
        assert sms.address == "13800138000"
        [second] = [m for m in messages(project, environment, "u1") if m["channel"] == "sms"]
        assert second["key"] == sms.key, "our key is echoed: it finds the message again"

        report = [{"phone_number": "13800138000", "success": True, "err_code": "DELIVERED", "out_id": sms.key, "biz_id": sms.reference,
                   "send_time": "2026-11-22 12:00:00", "report_time": "2026-11-22 12:00:05", "sms_size": "1"}]  # fmt: skip
        forged = requests.post(f"{daemon.address}/receipts/sms/guessed", json=report, timeout=10)
        kept = requests.post(f"{daemon.address}/receipts/sms/path-secret-0123456789", json=report, timeout=10)
        assert (forged.status_code, kept.status_code, kept.json()["code"]) == (403, 200, 0)
        until(lambda: [m for m in messages(project, environment, "u1") if m["state"] == "DELIVERED"], "the receipt")

        reply = [{"phone_number": "13800138000", "content": "R", "send_time": "2026-11-22 12:01:00", "sign_name": "小店",
                  "dest_code": "10690001", "sequence_id": 7}]  # fmt: skip
        assert requests.post(f"{daemon.address}/receipts/sms/path-secret-0123456789", json=reply, timeout=10).status_code == 200
        withdrawn = until(lambda: _withdrawals(project, environment), "the withdrawal")
        assert (withdrawn["channel"], withdrawn["purpose"], withdrawn["source"]) == ("sms", "marketing", "sms reply")

        examined = journeyd("doctor", folder=project, **environment)
        assert examined.returncode == 0, examined.stdout
        assert len(wechat.taken) == len(aliyun.taken) == 1, "doctor messages nobody"
        code, _ = daemon.stop()
        assert code == 0
        assert "wx-secret" not in daemon.errors.read_text()
        assert PHONE not in daemon.errors.read_text()


def _withdrawals(project, environment):
    told = journeyd("explain", "u1", "--json", folder=project, **environment)
    return next((c for c in json.loads(told.stdout)["consents"] if not c["granted"]), None)


def test_a_wrong_secret_holds_the_channel_and_nothing_is_lost(shop):
    project, environment, wechat, _ = shop
    wrong = {**environment, "WX": "rotated-meanwhile", "JOURNEYD_CHANNELS__SMS__ADAPTER": "recording"}
    wrong = {k: v for k, v in wrong.items() if not k.startswith("JOURNEYD_CHANNELS__SMS__") or k.endswith("ADAPTER")}
    with running(project, **wrong) as daemon:
        daemon.post({"user_id": "u1", "identities": {"openid": "o-1"}}, "/v1/users")
        daemon.post({"openid": "o-1", "results": {"ticket": "accept"}}, "/v1/subscriptions")
        daemon.post(complaint("t1"))
        alarm = until(lambda: next((e for e in daemon.log() if e.get("action") == "channel_held"), None), "the alarm")
        assert (alarm["lane"], alarm["level"]) == ("wechat", "error")
        status = json.loads(journeyd("status", "--json", folder=project, **wrong).stdout)
        assert [(held["lane"], held["template"]) for held in status["held"]] == [("wechat", "")]
        examined = journeyd("doctor", folder=project, **wrong)
        assert examined.returncode == 1
        assert "rotated-meanwhile" not in examined.stdout + daemon.errors.read_text()
        daemon.stop()
    assert wechat.taken == []
    assert [m["state"] for m in messages(project, wrong, "u1")] == ["PENDING"]
