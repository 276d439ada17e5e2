"""The SMS vendors for the suite of all channels, and what their own tests share."""

from typing import Any

from channels.loopback.aliyun import AliyunVendor
from channels.loopback.tencent import TencentVendor
from channels.loopback.twilio import TwilioVendor
from channels.message import Callback, VendorTemplate
from channels.sms.aliyun import AliyunSms
from channels.sms.tencent import TencentSms
from channels.sms.twilio import TwilioSms
from tests.channels.cases import NOW, ChannelCase, message

PHONE = "+8613800138000"
KEY_ID, SECRET, SIGN = "LTAI5tTestKeyId", "test secret of sixteen", "鲜果社区"
APP_ID = "1400006666"
ACCOUNT, TOKEN, SENDER = "AC" + "1" * 32, "auth token", "+12025550123"
RECEIPTS = "https://shop.example/receipts/sms/hush-hush"
CONTENT: dict[str, Any] = {"template": "pickup", "params": {"name": "王 小+明", "shop": "3号/门店&~*"}}
SMS = message("sms", PHONE, CONTENT, key="0123456789abcdef" * 2)

ALIYUN_TEMPLATES = {"pickup": VendorTemplate("SMS_1001", {"name": "name", "shop": "shop"}), "plain": VendorTemplate("SMS_1002")}
TENCENT_TEMPLATES = {"pickup": VendorTemplate("110011", {"shop": "2", "name": "1"}), "plain": VendorTemplate("110012")}
TWILIO_TEMPLATES = {"pickup": VendorTemplate("{name}, 您的订单在 {shop}"), "plain": VendorTemplate("到货了")}


def clock() -> int:
    return NOW


def aliyun_vendor(now: Any = clock, **keys: Any) -> AliyunVendor:
    templates = {"SMS_1001": {"name", "shop"}, "SMS_1002": set()}
    return AliyunVendor(access_key_id=KEY_ID, access_key_secret=SECRET, sign=SIGN, templates=templates, clock=now, **keys)


def aliyun(url: str, secret: str = SECRET, **keys: Any) -> AliyunSms:
    keys = {"sign": SIGN, "templates": ALIYUN_TEMPLATES, "receipt_secret": "hush-hush", "clock": clock} | keys
    return AliyunSms(access_key_id=KEY_ID, access_key_secret=secret, base_url=url, **keys)


def tencent_vendor(now: Any = clock, **keys: Any) -> TencentVendor:
    templates = {"110011": 2, "110012": 0}
    return TencentVendor(secret_id=KEY_ID, secret_key=SECRET, sdk_app_id=APP_ID, sign=SIGN, templates=templates, clock=now, **keys)


def tencent(url: str, secret: str = SECRET, **keys: Any) -> TencentSms:
    keys = {"sign": SIGN, "templates": TENCENT_TEMPLATES, "receipt_secret": "hush-hush", "clock": clock} | keys
    return TencentSms(secret_id=KEY_ID, secret_key=secret, sdk_app_id=APP_ID, base_url=url, **keys)


def twilio_vendor() -> TwilioVendor:
    return TwilioVendor(account_sid=ACCOUNT, auth_token=TOKEN, senders={SENDER, "MG" + "2" * 32})


def twilio(url: str, token: str = TOKEN, **keys: Any) -> TwilioSms:
    keys = {"sender": SENDER, "templates": TWILIO_TEMPLATES, "clock": clock} | keys
    return TwilioSms(account_sid=ACCOUNT, auth_token=token, base_url=url, **keys)


def callback(body: bytes, url: str = RECEIPTS, headers: dict[str, str] | None = None, query: dict[str, str] | None = None) -> Callback:
    return Callback("POST", url, query or {}, headers or {}, body)


CASES: list[ChannelCase] = [
    ChannelCase("aliyun", aliyun_vendor, aliyun, lambda url: aliyun(url, "wrong"), SMS),
    ChannelCase("tencent", tencent_vendor, tencent, lambda url: tencent(url, "wrong"), SMS),
    ChannelCase("twilio", twilio_vendor, twilio, lambda url: twilio(url, "wrong"), SMS),
]
