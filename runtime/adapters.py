"""From config to channels: which adapter each lane has, with its secrets resolved, and how fast it may go.

Lanes: the channel's name, `robot:NAME`, `grant:BENEFIT`, `call:ENDPOINT`. Adapters are imported where they are used: what config does
not name costs nothing at the start.
"""

import json
from collections.abc import Mapping
from typing import Any

from channels.message import Channel, Tokens, VendorTemplate
from channels.recording import RecordingChannel, SilentChannel
from journeys.duration import parse_duration
from runtime import vendor_settings as written
from runtime.attempt import LaneRules
from runtime.clock import Clock
from runtime.settings import ConfigError, Project
from runtime.store import SqlStore
from runtime.store.flow import Rate
from runtime.store.ledger_rows import ROBOT
from runtime.store.writer import LEDGER

ACCOUNT_KEYS = ("project_id", "client_email", "private_key")


class StoredTokens:
    """Access tokens in the database: one fetch serves every daemon."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def get(self, name: str) -> tuple[str, int] | None:
        """The token and the instant at which it ends, or None."""
        with self._store.database.reading() as tx:
            return self._store.flow.token(tx, name)

    def put(self, name: str, token: str, expires_at: int) -> None:
        """Keep a token for everybody."""
        self._store.database.write(lambda tx: self._store.flow.keep_token(tx, name, token, expires_at), LEDGER)


def sections(project: Project) -> dict[str, written.Lane]:
    """What config says about each lane."""
    settings = project.settings
    found: dict[str, written.Lane] = {**settings.channels.written()}
    found |= {f"robot:{name}": section for name, section in settings.robots.items()}
    found |= {f"grant:{name}": section for name, section in settings.benefits.items()}
    return found | {f"call:{name}": section for name, section in settings.endpoints.items()}


def flows(project: Project) -> dict[str, LaneRules]:
    """How fast each lane may go."""
    return {lane: LaneRules(section.concurrency, rate_of(section.rate)) for lane, section in sections(project).items()}


def rate_of(text: str | None) -> Rate | None:
    """The rate of a text such as 100/s."""
    if text is None:
        return None
    most, _, per = text.partition("/")
    return Rate(int(most), written.PER[per])


def silent_channels(project: Project) -> dict[str, Channel]:
    """The same lanes, accepting everything and telling nobody: for simulations."""
    silent = SilentChannel(_replies(project))
    return dict.fromkeys((*sections(project), ROBOT), silent)


def _replies(project: Project) -> dict[str, Mapping[str, Any]]:
    endpoints = project.settings.endpoints
    return {name: s.reply if isinstance(s, written.RecordingEndpointSection) else {} for name, s in endpoints.items()}


def build_channels(project: Project, clock: Clock, tokens: Tokens) -> dict[str, Channel]:
    """Every lane's adapter. Raises ConfigError for a secret that is missing or cannot be used."""
    recording = RecordingChannel(project.recording_file, _replies(project))
    return {
        lane: recording if getattr(section, "adapter", "") == "recording" else build_channel(project, clock, tokens, lane, section)
        for lane, section in sections(project).items()
    }


def build_channel(project: Project, clock: Clock, tokens: Tokens, lane: str, section: written.Lane) -> Channel:
    """The adapter of one lane that is not recorded. Raises ConfigError, also for what the adapter itself cannot take."""
    try:
        return _Builder(project, clock, tokens, lane, section).build()
    except (ValueError, TypeError) as error:  # a key that is no key, a number that is none: said by the adapter
        msg = f"{place_of(lane)}: {error}"
        raise ConfigError(msg) from None


def place_of(lane: str) -> str:
    """The table of config.toml that a lane stands in."""
    kind, _, name = lane.partition(":")
    table = {"robot": "robots", "grant": "benefits", "call": "endpoints"}.get(kind) if name else None
    return f"{table}.{name}" if table else f"channels.{lane}"


class _Builder:
    """Builds the adapter of one lane."""

    def __init__(self, project: Project, clock: Clock, tokens: Tokens, lane: str, section: written.Lane) -> None:
        self.project, self.clock, self.tokens, self.lane, self.section = project, clock.now, tokens, lane, section
        self.timeout = (parse_duration(section.timeout) or 5_000) / 1000

    def build(self) -> Channel:
        """The adapter."""
        builders: dict[type, Any] = {
            written.SubscribeSection: self._subscribe, written.AliyunSection: self._aliyun, written.TencentSection: self._tencent,
            written.TwilioSection: self._twilio, written.JPushSection: self._jpush, written.FcmSection: self._fcm,
            written.WecomAppSection: self._wecom_app, written.SmtpSection: self._smtp, written.WecomRobotSection: self._robot,
            written.WechatPaySection: self._wechatpay, written.HttpBenefitSection: self._http_benefit,
            written.HttpEndpointSection: self._endpoint,
        }  # fmt: skip
        channel: Channel = builders[type(self.section)](self.section)
        return channel

    def _secret(self, source: str, key: str) -> str:
        return self.project.resolve(source, self._key(key))

    def _key(self, key: str) -> str:
        """Where a key stands in config.toml."""
        return f"{place_of(self.lane)}.{key}"

    def _common(self, section: Any) -> dict[str, Any]:
        base = {"base_url": section.base_url} if getattr(section, "base_url", None) else {}
        return {"clock": self.clock, "timeout": self.timeout, **base}

    @staticmethod
    def _templates(section: written.ChannelLane) -> dict[str, VendorTemplate]:
        return {name: VendorTemplate(template.id, template.fields) for name, template in section.templates.items()}

    def _subscribe(self, s: written.SubscribeSection) -> Channel:
        from channels.wechat.subscribe import WechatSubscribe

        return WechatSubscribe(
            appid=s.appid, secret=self._secret(s.secret, "secret"), templates=self._templates(s), tokens=self.tokens, state=s.state,
            lang=s.lang, callback_token=self._secret(s.callback_token, "callback_token") if s.callback_token else "",
            callback_aes_key=self._secret(s.callback_aes_key, "callback_aes_key") if s.callback_aes_key else "", **self._common(s),
        )  # fmt: skip

    def _aliyun(self, s: written.AliyunSection) -> Channel:
        from channels.sms.aliyun import AliyunSms

        return AliyunSms(
            access_key_id=s.access_key_id, access_key_secret=self._secret(s.access_key_secret, "access_key_secret"), sign=s.sign,
            templates=self._templates(s), receipt_secret=self._secret(s.receipt_secret, "receipt_secret"), **self._common(s),
        )  # fmt: skip

    def _tencent(self, s: written.TencentSection) -> Channel:
        from channels.sms.tencent import TencentSms

        return TencentSms(
            secret_id=s.secret_id, secret_key=self._secret(s.secret_key, "secret_key"), sdk_app_id=s.sdk_app_id, sign=s.sign,
            region=s.region, templates=self._templates(s), receipt_secret=self._secret(s.receipt_secret, "receipt_secret"),
            context_returned=s.context_returned, **self._common(s),
        )  # fmt: skip

    def _twilio(self, s: written.TwilioSection) -> Channel:
        from channels.sms.twilio import TwilioSms

        public = s.public_url or self.project.settings.server.public_url
        return TwilioSms(
            account_sid=s.account_sid, auth_token=self._secret(s.auth_token, "auth_token"), sender=s.sender, templates=self._templates(s),
            status_callback=f"{public.rstrip('/')}/receipts/sms/twilio" if public else "", **self._common(s),
        )  # fmt: skip

    def _jpush(self, s: written.JPushSection) -> Channel:
        from channels.push.jpush import JPush

        secret = self._secret(s.master_secret, "master_secret")
        return JPush(app_key=s.app_key, master_secret=secret, production=s.production, **self._common(s))

    def _fcm(self, s: written.FcmSection) -> Channel:
        from channels.push.fcm import Fcm

        text = self._secret(s.service_account, "service_account")
        try:
            account = json.loads(text)
        except ValueError:
            account = None
        if not isinstance(account, dict) or not all(isinstance(account.get(name), str) for name in ACCOUNT_KEYS):
            msg = f"{self._key('service_account')}: expected the JSON of a Google service account; see docs/channels/fcm.md"
            raise ConfigError(msg)
        return Fcm(service_account=account, tokens=self.tokens, **self._common(s))

    def _wecom_app(self, s: written.WecomAppSection) -> Channel:
        from channels.wechat.wecom import WecomApp

        secret = self._secret(s.secret, "secret")
        return WecomApp(corp_id=s.corp_id, agent_id=s.agent_id, secret=secret, tokens=self.tokens, **self._common(s))

    def _robot(self, s: written.WecomRobotSection) -> Channel:
        from channels.wechat.wecom import WecomRobot

        return WecomRobot(key=self._secret(s.key, "key"), **self._common(s))

    def _smtp(self, s: written.SmtpSection) -> Channel:
        from channels.email import SmtpEmail

        return SmtpEmail(
            host=s.host, port=s.port, security=s.security, username=s.username,
            password=self._secret(s.password, "password") if s.password else "", sender=s.sender, unsubscribe=s.unsubscribe,
            clock=self.clock, timeout=self.timeout,
        )  # fmt: skip

    def _wechatpay(self, s: written.WechatPaySection) -> Channel:
        from channels.benefits.wechatpay import WeChatPayCoupon

        keys = self.project.settings.adapters.wechatpay
        if keys is None:
            msg = f"{self._key('adapter')}: wechatpay needs the merchant's keys in [adapters.wechatpay]; see docs/channels/benefits.md"
            raise ConfigError(msg)
        secrets = {
            name: self.project.resolve(getattr(keys, name), f"adapters.wechatpay.{name}")
            for name in ("private_key", "apiv3_key", "public_key")
        }
        base = {"base_url": keys.base_url} if keys.base_url else {}
        return WeChatPayCoupon(
            mchid=keys.mchid, appid=keys.appid, serial_no=keys.serial_no, public_key_id=keys.public_key_id, stock_id=s.stock_id,
            stock_creator_mchid=s.stock_creator_mchid or keys.mchid, clock=self.clock, timeout=self.timeout, **secrets, **base,
        )  # fmt: skip

    def _http_benefit(self, s: written.HttpBenefitSection) -> Channel:
        from channels.benefits.http import HttpBenefit

        return HttpBenefit(
            benefit=self.lane.removeprefix("grant:"), url=s.url, secret=self._secret(s.secret, "secret"), allowed=tuple(s.allowed),
            plain_http=s.plain_http, **self._common(s),
        )  # fmt: skip

    def _endpoint(self, s: written.HttpEndpointSection) -> Channel:
        from channels.endpoint import HttpEndpoint

        return HttpEndpoint(
            name=self.lane.removeprefix("call:"), url=s.url, secret=self._secret(s.secret, "secret") if s.secret else "", answer=s.answer,
            allowed=tuple(s.allowed), plain_http=s.plain_http, **self._common(s),
        )  # fmt: skip
