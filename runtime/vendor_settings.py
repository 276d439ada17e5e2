"""The sections of config.toml that name a vendor: one closed set of keys per adapter, told apart by `adapter`."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from journeys.duration import parse_duration

PER = {"s": 1_000, "min": 60_000, "h": 3_600_000, "day": 86_400_000}


def _secret(text: str) -> str:
    if not text.startswith(("env:", "file:")):
        msg = "expected env:NAME or file:PATH; secrets never stand in the file itself"
        raise ValueError(msg)
    return text


def _rate(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,6}/(s|min|h|day)", text):
        msg = 'expected a number per s, min, h or day, such as "100/s" or "20/min"'
        raise ValueError(msg)
    return text


def _short_time(text: str) -> str:
    if not (milliseconds := parse_duration(text)) or milliseconds > 30_000:  # noqa: PLR2004 - a vendor that needs longer is down
        msg = 'expected a duration of at most 30s, such as "5s"'
        raise ValueError(msg)
    return text


def _public_url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        msg = "expected a URL beginning with https:// (or http://)"
        raise ValueError(msg)
    return text


def _price(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value):
        msg = 'expected a decimal number in quotes, such as "0.045": what one costs, in the project\'s currency'
        raise ValueError(msg)
    return value


SECRET_VALIDATOR = _secret.__name__
SecretSource = Annotated[str, AfterValidator(_secret)]
RateText = Annotated[str, AfterValidator(_rate)]
ShortTime = Annotated[str, AfterValidator(_short_time)]
Url = Annotated[str, AfterValidator(_public_url)]
Price = Annotated[str, BeforeValidator(_price)]  # text, so that no binary fraction comes between config and the sum


def _column(name: str) -> str:
    if not 0 < len(name) <= LONGEST_NAME:
        msg = f"expected a name of 1 to {LONGEST_NAME} characters"
        raise ValueError(msg)
    return name


LONGEST_NAME = 64  # characters that a column takes of the name of a template, benefit, endpoint or robot
Named = Annotated[str, AfterValidator(_column)]


def _recording(value: Any) -> Any:
    return {"adapter": "recording", **value} if isinstance(value, dict) else value


Concurrency = Annotated[int, Field(ge=1, le=256)]
AT_A_FILE = 64  # nobody is called: so many share one commit (1,000 at once: with 8 the last is recorded after 2.7 s)
TOLD_APART = Field(discriminator="adapter")
BY_DEFAULT = BeforeValidator(_recording)


class Section(BaseModel):
    """A table of config.toml whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TemplateSection(Section):
    """A template that the vendor keeps: its id, its purpose, our field names with the vendor's. `text`: its wording, for `check`."""

    id: str
    purpose: Literal["marketing", "service"]
    fields: dict[str, str] = Field(default_factory=dict)
    text: str | None = None


class Lane(Section):
    """What every adapter has: connections at once and messages per time (over all daemons), and how long a vendor may take to answer."""

    concurrency: Concurrency = 8
    rate: RateText | None = None
    timeout: ShortTime = "5s"


class ChannelLane(Lane):
    """An adapter of a channel. `base_url` replaces the vendor's own address, for its test environments and for stand-ins."""

    templates: dict[Named, TemplateSection] = Field(default_factory=dict)
    base_url: Url | None = None
    price: Price | None = None  # of one message, for `simulate`


class RecordingChannelSection(ChannelLane):
    """Writes what would be sent into a file."""

    adapter: Literal["recording"] = "recording"
    concurrency: Concurrency = AT_A_FILE


class SubscribeSection(ChannelLane):
    """WeChat mini-program subscribe messages."""

    adapter: Literal["subscribe"]
    appid: str
    secret: SecretSource
    state: Literal["formal", "trial", "developer"] = "formal"
    lang: str = "zh_CN"
    callback_token: SecretSource | None = None
    callback_aes_key: SecretSource | None = None


class AliyunSection(ChannelLane):
    """Aliyun SMS."""

    adapter: Literal["aliyun"]
    access_key_id: str
    access_key_secret: SecretSource
    sign: str
    receipt_secret: SecretSource


class TencentSection(ChannelLane):
    """Tencent SMS."""

    adapter: Literal["tencent"]
    secret_id: str
    secret_key: SecretSource
    sdk_app_id: str
    sign: str
    region: str = "ap-guangzhou"
    receipt_secret: SecretSource
    context_returned: bool = False  # Tencent returns the session context to accounts that asked for it: then it can be queried


class TwilioSection(ChannelLane):
    """Twilio SMS. `public_url` is where Twilio reaches this daemon; its receipts are signed over it."""

    adapter: Literal["twilio"]
    account_sid: str
    auth_token: SecretSource
    sender: str
    public_url: Url | None = None


class JPushSection(ChannelLane):
    """JPush."""

    adapter: Literal["jpush"]
    app_key: str
    master_secret: SecretSource
    production: bool = True


class FcmSection(ChannelLane):
    """Firebase Cloud Messaging. `service_account` is the JSON file of the account."""

    adapter: Literal["fcm"]
    service_account: SecretSource


class WecomAppSection(ChannelLane):
    """Messages of a WeCom app to leaders and staff."""

    adapter: Literal["app"]
    corp_id: str
    agent_id: int
    secret: SecretSource


class SmtpSection(ChannelLane):
    """E-mail. `unsubscribe` is a mailto: or https: address; {user} in it becomes the user's id."""

    adapter: Literal["smtp"]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretSource | None = None
    sender: str
    unsubscribe: str


WechatChannel = Annotated[RecordingChannelSection | SubscribeSection, TOLD_APART, BY_DEFAULT]
SmsChannel = Annotated[RecordingChannelSection | AliyunSection | TencentSection | TwilioSection, TOLD_APART, BY_DEFAULT]
PushChannel = Annotated[RecordingChannelSection | JPushSection | FcmSection, TOLD_APART, BY_DEFAULT]
WecomChannel = Annotated[RecordingChannelSection | WecomAppSection, TOLD_APART, BY_DEFAULT]
EmailChannel = Annotated[RecordingChannelSection | SmtpSection, TOLD_APART, BY_DEFAULT]


class ChannelsSection(Section):
    """The channels that journeys may use."""

    wechat: WechatChannel | None = None
    sms: SmsChannel | None = None
    push: PushChannel | None = None
    wecom: WecomChannel | None = None
    email: EmailChannel | None = None

    def written(self) -> dict[str, ChannelLane]:
        """The channels that config has, by name."""
        return {name: section for name in type(self).model_fields if (section := getattr(self, name)) is not None}


class BenefitLane(Lane):
    """A benefit; the budget counts grants, of all journeys together (none written: no limit). `price`: what one grant costs."""

    budget: Annotated[int, Field(ge=0)] | None = None
    price: Price | None = None


class RecordingBenefitSection(BenefitLane):
    """Writes what would be granted into a file."""

    adapter: Literal["recording"] = "recording"
    concurrency: Concurrency = AT_A_FILE


class WechatPaySection(BenefitLane):
    """A WeChat Pay coupon of one stock; the merchant's keys stand in [adapters.wechatpay]."""

    adapter: Literal["wechatpay"]
    stock_id: str
    stock_creator_mchid: str | None = None


class HttpBenefitSection(BenefitLane):
    """The operator's own coupon, points or cash service. `allowed`: hosts or networks that may be private."""

    adapter: Literal["http"]
    url: Url
    secret: SecretSource
    allowed: list[str] = Field(default_factory=list)
    plain_http: bool = False


class RecordingEndpointSection(Lane):
    """An endpoint that answers `reply` without being asked."""

    adapter: Literal["recording"] = "recording"
    concurrency: Concurrency = AT_A_FILE
    answer: dict[str, Literal["text", "number", "boolean", "time", "list"]] = Field(default_factory=dict)
    reply: dict[str, Any] = Field(default_factory=dict)


class HttpEndpointSection(Lane):
    """An endpoint of the operator's: the declared types of its answer."""

    adapter: Literal["http"]
    url: Url
    secret: SecretSource | None = None
    answer: dict[str, Literal["text", "number", "boolean", "time", "list"]] = Field(default_factory=dict)
    allowed: list[str] = Field(default_factory=list)
    plain_http: bool = False


class RecordingRobotSection(Lane):
    """A group robot that writes into a file."""

    adapter: Literal["recording"] = "recording"
    concurrency: Concurrency = AT_A_FILE


class WecomRobotSection(Lane):
    """A WeCom group robot. `key` is the part of its webhook address after key=."""

    adapter: Literal["wecom"]
    key: SecretSource
    rate: RateText | None = "20/min"
    base_url: Url | None = None


class RecordingSection(Section):
    """The recording adapter's file."""

    file: str = "data/outbox.jsonl"


class WechatPayKeys(Section):
    """The merchant's account at WeChat Pay: its certificate's serial number and key, the platform's public key."""

    mchid: str
    appid: str
    serial_no: str
    private_key: SecretSource
    apiv3_key: SecretSource
    public_key: SecretSource
    public_key_id: str
    base_url: Url | None = None


class AdaptersSection(Section):
    """Keys of the adapters themselves."""

    recording: RecordingSection = RecordingSection()
    wechatpay: WechatPayKeys | None = None


Benefit = Annotated[RecordingBenefitSection | WechatPaySection | HttpBenefitSection, TOLD_APART, BY_DEFAULT]
Endpoint = Annotated[RecordingEndpointSection | HttpEndpointSection, TOLD_APART, BY_DEFAULT]
Robot = Annotated[RecordingRobotSection | WecomRobotSection, TOLD_APART, BY_DEFAULT]
