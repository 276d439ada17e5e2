"""The WeChat, WeCom and push channels for the suite that every channel has to pass."""

from channels.loopback.fcm import FcmServer, service_account
from channels.loopback.jpush import JPushServer
from channels.loopback.wechat import Wechat
from channels.loopback.wecom import Wecom
from channels.message import OwnTokens, VendorTemplate
from channels.push.fcm import Fcm
from channels.push.jpush import JPush
from channels.wechat.subscribe import WechatSubscribe
from channels.wechat.wecom import WecomApp, WecomRobot
from tests.channels.cases import NOW, ChannelCase, message

OPENID = "oAbCdEfGhIjKlMnOpQrStUvWxYz0"
TEMPLATE_ID = "9Aw5ZV1j9xdWTFEkqCpZ7mIBbSC34khK55OtzUPl0rU"
TEMPLATES = {"pickup": VendorTemplate(TEMPLATE_ID, {"goods": "thing1", "place": "thing2", "when": "time3", "order": "character_string4"})}
WECHAT_FIELDS = {TEMPLATE_ID: ("thing1", "thing2", "time3", "character_string4")}
DATA = {"goods": "阳光玫瑰葡萄", "place": "幸福里小区东门", "when": "2026年12月1日 18:00", "order": "GB20261130001"}
ROBOT_KEY = "693a91f6-7aed-4bc4-97a0-0ec2718a2e1b"
REGISTRATION_ID = "171976fa8a8f9b7e6f4"
DEVICE = "fcm-device-token:APA91bHun4MxP5egoKMwt2KZFBaFUH"
CID = "7d431e42dfa6a6d693ac2d04-2c4fd2a6-3d6a-4b4e-9f8e-0f3a4b5c6d7e"
PUSH = {"title": "到货了", "body": "您订的葡萄到自提点了", "page": "pages/order/detail?id=7"}


def clock():
    return NOW


def new_wechat(**keys):
    vendor = Wechat(templates=WECHAT_FIELDS, **keys)
    vendor.accept(OPENID, TEMPLATE_ID, 1000)
    return vendor


def open_wechat(url, secret="wechat-secret", **keys):
    given = {"templates": TEMPLATES, "tokens": OwnTokens(), "clock": clock, **keys}
    return WechatSubscribe(appid="wx0123456789abcdef", secret=secret, base_url=url, **given)


def new_wecom(**keys):
    return Wecom(members=("LiSi",), robots=(ROBOT_KEY,), **keys)


def open_wecom(url, secret="wecom-secret", **keys):
    given = {"agent_id": 1000002, "tokens": OwnTokens(), "clock": clock, **keys}
    return WecomApp(corp_id="ww0123456789abcdef", secret=secret, base_url=url, **given)


def open_robot(url, key=ROBOT_KEY, **keys):
    return WecomRobot(key=key, clock=clock, base_url=url, **keys)


def new_jpush(**keys):
    return JPushServer(registration_ids=(REGISTRATION_ID,), cids=(CID, "v" * 32), **keys)


def open_jpush(url, master_secret="5e987ac6d2e04d95a9d8f0d1", **keys):
    return JPush(app_key="7d431e42dfa6a6d693ac2d04", master_secret=master_secret, production=True, base_url=url, **keys)


def new_fcm(**keys):
    return FcmServer(devices=(DEVICE,), **keys)


def open_fcm(url, key="good", **keys):
    account = service_account(f"{url}/token", key=key)
    return Fcm(**{"service_account": account, "tokens": OwnTokens(), "clock": clock, "base_url": url, **keys})


def wechat_message(address=OPENID, page="pages/order/detail?id=7", template="pickup", **data):
    return message("wechat", address, {"template": template, "page": page, "data": {**DATA, **data}})


def wecom_message(address="LiSi", text="今天 18 点前请确认 12 份到货"):
    return message("wecom", address, {"text": text})


def push_message(address=REGISTRATION_ID, vendor_key=CID, **content):
    return message("push", address, {**PUSH, **content}, vendor_key=vendor_key)


CASES: list[ChannelCase] = [
    ChannelCase("wechat", new_wechat, open_wechat, lambda url: open_wechat(url, "wrong"), wechat_message()),
    ChannelCase("wecom_app", new_wecom, open_wecom, lambda url: open_wecom(url, "wrong"), wecom_message()),
    ChannelCase("wecom_robot", new_wecom, open_robot, lambda url: open_robot(url, "wrong"), wecom_message(ROBOT_KEY)),
    ChannelCase("jpush", new_jpush, open_jpush, lambda url: open_jpush(url, "wrong"), push_message()),
    ChannelCase("fcm", new_fcm, open_fcm, lambda url: open_fcm(url, "wrong"), push_message(DEVICE, "v" * 32)),
]
