# ruff: noqa: S106 - where secrets are found, not secrets
"""The demo town's vendors: stand-ins on 127.0.0.1 that check signatures and fields, spoken to by the real adapters over HTTP and SMTP.

They live in the run's own virtual time, lose connections by seed, and tell journeyd of receipts, replies and subscriptions through
the adapters' own callbacks. Secrets are made up at every start and stay in memory.
"""

import base64
import json
import secrets
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from channels.loopback.aliyun import AliyunVendor
from channels.loopback.benefit import BenefitVendor, EndpointVendor
from channels.loopback.jpush import JPushServer
from channels.loopback.server import Behaviour, Loopback, Response, Seen, Taken, Vendor
from channels.loopback.smtp import SmtpVendor
from channels.loopback.wechat import Wechat
from channels.loopback.wechatpay import Stock, WeChatPayVendor
from channels.loopback.wecom import Wecom
from channels.message import Callback, Heard, OwnTokens
from channels.sms.pushes import CHINA
from channels.wechat.callback import sign
from runtime import vendor_settings as written
from runtime.adapters import build_channels
from runtime.app import App
from runtime.clock import SystemClock, VirtualClock
from runtime.deliver import Delivery
from runtime.engine import Engine
from runtime.hearing import Hearing
from runtime.intake.http import Intake
from runtime.settings import Project, Settings
from runtime.store import open_store
from runtime.town import answers_r, gets_lost, share

# Of all sends. WeChat cannot be asked what became of one: those whose answer is lost there stay unknown for ever.
FAULTS = {"accept_then_cut": 0.02, "unavailable": 0.015, "flow_control": 0.02}
FAULTS_OF = {"wechat": {"accept_then_cut": 0.004, "unavailable": 0.004, "flow_control": 0.006}}
COUPONS = ("newcomer_20_5", "winback_30_6")  # benefits that are coupons of WeChat Pay; the others are the operator's own
DEAD_DEVICES = 0.06  # the app was taken off the phone: JPush knows no such device
SLOW_RECEIPTS = 0.5  # receipts that come a round later: until then a lost answer can only be asked for
APPID, MCHID, KEY_ID = "wxdemo0123456789", "1900000109", "PUB_KEY_ID_1"


class _Made(Project):
    """A project whose secrets were made up: nothing of them stands in a file or in the environment."""

    def __init__(self, settings: Settings, project: Project, made: Mapping[str, str]) -> None:
        super().__init__(settings, project.folder)
        self._made = made

    def resolve(self, secret: str, key: str) -> str:  # noqa: ARG002 - Project's signature
        """As Project, from memory."""
        return self._made[secret]


class _Endpoints(EndpointVendor):
    """All the operator's endpoints on one server: the path says which is asked."""

    def __init__(self, secret: str, clock: Any, replies: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(secret, clock, {})
        self._replies = replies

    def answer(self, request: Seen) -> Response:
        """As EndpointVendor."""
        self._reply = dict(self._replies.get(request.path.removeprefix("/"), {}))
        return super().answer(request)


class VendorTown:
    """All the vendors of one run, and the packaged project with their adapters where the recording one was.

    `identities` are those of everybody in town, by user: whom the vendors know.
    """

    def __init__(self, packaged: Project, clock: VirtualClock, identities: Mapping[str, Mapping[str, str]], seed: int) -> None:
        self.clock, self.seed, self.packaged, self.identities = clock, seed, packaged, identities
        self._made: dict[str, str] = {}
        settings, now = packaged.settings, clock.now
        wechat = settings.channels.wechat.templates if settings.channels.wechat else {}
        sms = settings.channels.sms.templates if settings.channels.sms else {}
        self.template_ids = {name: template.id for name, template in wechat.items()}
        self._marketing = {template.id for template in sms.values() if template.purpose == "marketing"}
        self.robots = {name: str(uuid.uuid4()) for name in settings.robots}
        self._made |= {f"env:robot_{name}": key for name, key in self.robots.items()}
        self.wechat = Wechat(
            appid=APPID, secret=self._secret("wechat"), templates={t.id: tuple(t.fields.values()) for t in wechat.values()},
            openids=self._all("openid"),
        )  # fmt: skip
        self.aliyun = AliyunVendor(
            access_key_id="LTAI5tDemo", access_key_secret=self._secret("aliyun"), sign="邻里团", clock=now,
            templates={t.id: set(t.fields.values()) for t in sms.values()},
        )  # fmt: skip
        devices = [device for device in self._all("push_id") if share(seed, device) >= DEAD_DEVICES]
        self.jpush = JPushServer(app_key="demo", master_secret=self._secret("jpush"), registration_ids=devices)
        self.wecom = Wecom(secret=self._secret("wecom"), members=self._all("wecom_id"), robots=self.robots.values())
        self.smtp = SmtpVendor("demo", self._secret("smtp"))
        stock = {name: section.budget or 1_000_000 for name, section in settings.benefits.items() if name not in COUPONS}
        self.benefit = BenefitVendor(self._secret("benefit", "whsec_"), now, stock)
        replies = {n: s.reply if isinstance(s, written.RecordingEndpointSection) else {} for n, s in settings.endpoints.items()}
        self.endpoint = _Endpoints(self._secret("endpoint", "whsec_"), now, replies)
        merchant, platform = _key_pair(), _key_pair()
        self._made |= {"env:private_key": merchant[0], "env:public_key": platform[1], "env:apiv3_key": secrets.token_hex(16)}
        self.wechatpay = WeChatPayVendor(
            mchid=MCHID, appid=APPID, serial_no="DEMO01", merchant_key=merchant[1], platform_key=platform[0], public_key_id=KEY_ID,
            stocks={name: Stock() for name in COUPONS}, clock=SystemClock().now,  # WeChat Pay's own library signs with the machine's time
        )  # fmt: skip
        self._secret("receipts")
        self._secret("callback")
        self._made["env:aes"] = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        self.vendors = (self.wechat, self.aliyun, self.jpush, self.wecom, self.wechatpay, self.benefit, self.endpoint)
        self.loopbacks: dict[str, Loopback] = {}
        self._exit = ExitStack()
        self._heard = dict.fromkeys(("wechat", "sms", "push"), 0)  # how many of what each took were reported so far
        self._late: list[tuple[str, Callback]] = []
        self._phones: list[tuple[str, Taken]] = []

    def _secret(self, name: str, prefix: str = "") -> str:
        made = prefix + base64.b64encode(secrets.token_bytes(24)).decode().replace("/", "_" if not prefix else "/")
        self._made[f"env:{name}"] = made
        return made

    def _all(self, kind: str) -> list[str]:
        return [found[kind] for found in self.identities.values() if kind in found]

    # --- opening

    def __enter__(self) -> Self:
        self._exit.enter_context(self.smtp)
        for number, vendor in enumerate(self.vendors):
            behaviour = Behaviour(faults=FAULTS_OF.get(vendor.name, FAULTS), seed=self.seed * 100 + number)
            self.loopbacks[vendor.name] = self._exit.enter_context(Loopback(vendor, behaviour))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def open(self, url: str) -> App:
        """The program in virtual time, as `build_app` makes it, but that subscriptions are counted: here they are known."""
        project = _Made(self._settings(), self.packaged, self._made)
        zone, rules = project.zone, project.rules()
        store = open_store(url, zone)
        engine = Engine(store, project.world(), zone, rules, virtual=True)
        channels = build_channels(project, self.clock, OwnTokens())
        for channel in channels.values():
            self._exit.callback(getattr(channel, "close", lambda: None))
        delivery = Delivery(store, engine, channels, rules, zone)
        budgets = {name: section.budget for name, section in project.settings.benefits.items()}
        store.database.write(lambda tx: store.budgets.set_totals(tx, budgets))
        engine.refresh()
        self.app = App(project, store, engine, delivery, self.clock)
        self._hearing = Hearing(self.app, Intake(project, store, engine, self.clock, lambda: None), lambda: None)
        return self.app

    def _settings(self) -> Settings:
        settings, at = self.packaged.settings, {name: loopback.url for name, loopback in self.loopbacks.items()}
        sms = settings.channels.sms.templates if settings.channels.sms else {}
        wechat = settings.channels.wechat.templates if settings.channels.wechat else {}
        channels = written.ChannelsSection(
            wechat=written.SubscribeSection(
                adapter="subscribe", appid=APPID, secret="env:wechat", templates=wechat, base_url=at["wechat"],
                callback_token="env:callback", callback_aes_key="env:aes",
            ),
            sms=written.AliyunSection(
                adapter="aliyun", access_key_id="LTAI5tDemo", access_key_secret="env:aliyun", sign="邻里团", templates=sms,
                receipt_secret="env:receipts", base_url=at["aliyun"],
            ),
            push=written.JPushSection(adapter="jpush", app_key="demo", master_secret="env:jpush", base_url=at["jpush"]),
            wecom=written.WecomAppSection(
                adapter="app", corp_id=self.wecom.corp_id, agent_id=self.wecom.agent_id, secret="env:wecom", base_url=at["wecom"]
            ),
            email=written.SmtpSection(
                adapter="smtp", host="127.0.0.1", port=self.smtp.port, security="none", username="demo", password="env:smtp",
                sender="hello@demo.example", unsubscribe="mailto:bye@demo.example",
            ),
        )  # fmt: skip
        local: dict[str, Any] = {"allowed": ["127.0.0.1"], "plain_http": True}
        benefits = {
            name: written.WechatPaySection(adapter="wechatpay", stock_id=name, budget=section.budget) if name in COUPONS
            else written.HttpBenefitSection(
                adapter="http", url=f"{at['benefit']}/grants", secret="env:benefit", budget=section.budget, **local
            )
            for name, section in settings.benefits.items()
        }  # fmt: skip
        endpoints = {
            name: written.HttpEndpointSection(
                adapter="http", url=f"{at['endpoint']}/{name}", secret="env:endpoint", answer=s.answer, **local
            )
            for name, s in settings.endpoints.items()
        }
        robots = {name: written.WecomRobotSection(adapter="wecom", key=f"env:robot_{name}", base_url=at["wecom"]) for name in self.robots}
        keys = written.WechatPayKeys(
            mchid=MCHID, appid=APPID, serial_no="DEMO01", private_key="env:private_key", apiv3_key="env:apiv3_key",
            public_key="env:public_key", public_key_id=KEY_ID, base_url=at["wechatpay"],
        )  # fmt: skip
        adapters = settings.adapters.model_copy(update={"wechatpay": keys})
        changed = {"channels": channels, "benefits": benefits, "endpoints": endpoints, "robots": robots, "adapters": adapters}
        return settings.model_copy(update=changed)

    # --- what people and vendors tell us

    def chosen(self, user_id: str, choices: Mapping[str, bool], at: int) -> None:
        """Somebody tapped through the templates that the page asked for: WeChat knows, and tells us by a sealed callback."""
        openid, items = self.identities[user_id]["openid"], []
        for name, accepted in choices.items():
            template_id = self.template_ids[name]
            (self.wechat.accept if accepted else self.wechat.reject)(openid, template_id)
            items.append({"TemplateId": template_id, "SubscribeStatusString": "accept" if accepted else "reject", "PopupScene": "1"})
        if items:
            self._hear([("wechat", self._event(openid, at, "subscribe_msg_popup_event", "SubscribeMsgPopupEvent", items))])

    def report(self) -> bool:
        """The vendors report what they have delivered since, and people answer; True when that may move somebody."""
        due, self._late = self._late, []
        for taken in self._new("wechat", self.wechat):
            self._phones.append(("wechat", taken))
            item = {"TemplateId": taken.content["template_id"], "MsgID": taken.reference, "ErrorCode": "0", "ErrorStatus": "success"}
            due.append(
                ("wechat", self._event(taken.address, self.clock.now(), "subscribe_msg_sent_event", "SubscribeMsgSentEvent", [item]))
            )
        for taken in self._new("sms", self.aliyun):
            delivered = not gets_lost(self.seed, taken.key)
            receipt = ("sms", self._pushed(_sms_receipt(taken, self.clock.now(), delivered=delivered)))
            (self._late if share(self.seed, "slow", taken.key) < SLOW_RECEIPTS else due).append(receipt)
            if delivered:
                self._phones.append(("sms", taken))
            if delivered and taken.content["template"] in self._marketing and answers_r(self.seed, taken.key):
                due.append(("sms", self._pushed(_sms_reply(taken, self.clock.now()))))
        self._phones += [("push", taken) for taken in self._new("push", self.jpush)]
        return self._hear(due)

    def _new(self, lane: str, vendor: Vendor) -> list[Taken]:
        fresh = vendor.taken[self._heard[lane] :]
        self._heard[lane] += len(fresh)
        return fresh

    def received(self) -> list[dict[str, Any]]:
        """The messages that reached people's phones since the last call, as the town reads them."""
        ledger, found = self.app.store.ledger, []
        phones, self._phones = self._phones, []
        with self.app.store.database.reading() as tx:
            for lane, taken in phones:
                key = taken.key if lane == "sms" else ledger.attempt_of(tx, lane, key="", reference=taken.reference)
                row = ledger.row(tx, key) if key else None  # none: the answer with the reference was lost
                if row is not None:
                    found.append({"user_id": row.user_id, "step": row.step, "template": row.template, "purpose": row.purpose})
        return found

    def _hear(self, callbacks: list[tuple[str, Callback]]) -> bool:
        app, now = self.app, self.clock.now()
        heard: list[tuple[str, Heard]] = []
        for lane, callback in callbacks:
            channel: Any = app.delivery.channels[lane]
            said = channel.hear(callback)
            if not isinstance(said, Heard) or said.problems:
                raise RuntimeError(f"{lane}: the stand-in's callback was not understood: {said}")
            heard.append((lane, said))
        keep = self._hearing.keep
        return bool(heard) and app.store.database.write(lambda tx: any([keep(tx, lane, said, now) for lane, said in heard]))  # noqa: C419 - every one is kept

    def _pushed(self, item: Mapping[str, Any]) -> Callback:
        """A push of Aliyun's, to the URL that ends with our secret."""
        return Callback("POST", f"http://127.0.0.1/receipts/sms/{self._made['env:receipts']}", {}, {}, json.dumps([item]).encode())

    def _event(self, openid: str, at: int, name: str, nest: str, items: list[dict[str, str]]) -> Callback:
        """An event of WeChat's in safe mode; one item is an object, several are an array."""
        stamp, nonce = str(at // 1000), secrets.token_hex(5)
        event = {"ToUserName": "gh_demo", "FromUserName": openid, "CreateTime": stamp, "MsgType": "event", "Event": name,
                 nest: {"List": items if len(items) > 1 else items[0]}}  # fmt: skip
        sealed = _sealed(json.dumps(event).encode(), APPID, base64.b64decode(self._made["env:aes"] + "="))
        query = {"timestamp": stamp, "nonce": nonce, "encrypt_type": "aes",
                 "msg_signature": sign(self._made["env:callback"], stamp, nonce, sealed)}  # fmt: skip
        body = json.dumps({"ToUserName": "gh_demo", "Encrypt": sealed}).encode()
        return Callback("POST", "http://127.0.0.1/wechat/callback", query, {}, body)


def _sms_receipt(taken: Taken, at: int, *, delivered: bool) -> dict[str, Any]:
    code, words = ("DELIVERED", "用户接收成功") if delivered else ("MOBILE_NOT_ON_SERVICE", "停机或空号")
    return {
        "phone_number": taken.address, "send_time": _local(at), "report_time": _local(at), "success": delivered, "err_code": code,
        "err_msg": words, "sms_size": "1", "biz_id": taken.reference, "out_id": taken.key,
    }  # fmt: skip


def _sms_reply(taken: Taken, at: int) -> dict[str, Any]:
    return {"phone_number": taken.address, "content": "R", "send_time": _local(at), "sign_name": "邻里团", "sequence_id": f"r-{taken.key}"}


def _local(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _sealed(plain: bytes, appid: str, key: bytes) -> str:
    """As WeChat seals: random bytes, the length, the text, the appid; padded to 32, AES-CBC."""
    whole = secrets.token_bytes(16) + len(plain).to_bytes(4, "big") + plain + appid.encode()
    pad = 32 - len(whole) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(whole + bytes([pad]) * pad) + encryptor.finalize()).decode()


def _key_pair() -> tuple[str, str]:
    """(private, public) as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
