"""config.toml as typed settings. Secrets stand only as `env:NAME` or `file:PATH`; unknown keys stop the start."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from channels.sms.rules import RULES
from channels.wechat.fields import KINDS, check_value, kind_of, room
from journeys.duration import DAY, parse_duration, parse_window
from journeys.errors import Language
from journeys.localtime import zone_named
from journeys.model import Percent, Window
from journeys.values import ValueType
from journeys.world import MessageTemplate, World
from runtime import vendor_settings
from runtime.policy import Cap, Rules
from runtime.source_settings import KINDS_OF_SOURCES, LONGEST_NAME, Source, is_source_name
from runtime.texts import language_of
from runtime.vendor_settings import (
    SECRET_VALIDATOR,
    AdaptersSection,
    Benefit,
    ChannelsSection,
    Endpoint,
    Named,
    Robot,
    Section,
    SubscribeSection,
    Url,
)

CONFIG_FILE = "config.toml"
CHANNEL_NAMES = ("wechat", "sms", "push", "wecom", "email")


class ConfigError(Exception):
    """The configuration cannot be used; the message says which key, what was found and what to write."""


def _zone(name: str) -> str:
    if zone_named(name) is None:
        msg = "expected an IANA zone such as Asia/Shanghai"
        raise ValueError(msg)
    return name


def _span(text: str) -> str:
    if text not in ("day", "week") and not parse_duration(text):
        msg = 'expected "day", "week" or a rolling span such as "7d"'
        raise ValueError(msg)
    return text


def _kept(text: str) -> str:
    if (parse_duration(text) or 0) < DAY:
        msg = 'expected one day or more, such as "400d"; without the key all events are kept'
        raise ValueError(msg)
    return text


def _kept_aside(text: str) -> str:
    if (parse_duration(text) or 0) < DAY:
        msg = 'expected one day or more, such as "90d"'
        raise ValueError(msg)
    return text


def _source_name(name: str) -> str:
    if not is_source_name(name):
        msg = f"expected a name of 1 to {LONGEST_NAME} characters that does not begin with $ and is not engine"
        raise ValueError(msg)
    return name


class DefinitionsSection(Section):
    """Where the journey files are."""

    path: str = "journeys"


class DatabaseSection(Section):
    """sqlite:///data/journeyd.db or postgresql+psycopg://…."""

    url: str = "sqlite:///data/journeyd.db"


class ServerSection(Section):
    """Where HTTP is served. `body_limit` is bytes of a request, before and after decompression.

    Without it 1 MB is the limit of what is signed, whose senders split and send again, and 16 MB of an SDK's batch, which comes only once.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    body_limit: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] | None = None
    public_url: Url | None = None  # where vendors reach this daemon from outside; some sign their receipts over it

    @property
    def signed_limit(self) -> int:
        """Bytes of a signed request."""
        return self.body_limit or 1 << 20

    @property
    def sdk_limit(self) -> int:
        """Bytes of what an analytics SDK posts: RudderStack's batches have up to 4 MB, others as much as their buffers hold."""
        return self.body_limit or 16 << 20


class IntakeSection(Section):
    """Who may post, how long events are kept that nothing needs any more, and how long what was set aside."""

    sources: dict[Annotated[str, AfterValidator(_source_name)], Source] = Field(default_factory=dict)
    keep_events: Annotated[str, AfterValidator(_kept)] | None = None  # none written: all are kept
    keep_quarantine: Annotated[str, AfterValidator(_kept_aside)] = "90d"


class CapSection(Section):
    """At most `max` messages per `per`, of a channel, a purpose or a topic."""

    max: Annotated[int, Field(ge=0)]
    per: Annotated[str, AfterValidator(_span)]
    channel: Literal["wechat", "sms", "push", "wecom", "email"] | None = None
    purpose: Literal["marketing", "service"] | None = None
    topic: str | None = None


class AlarmsSection(Section):
    """Who is told when a channel is held because of a fault: a group robot of [robots]."""

    robot: str | None = None


class PolicySection(Section):
    """The project's rules for all journeys."""

    quiet_hours: Window | None = None
    caps: list[CapSection] = Field(default_factory=list)
    holdout: Percent = "0%"


class Settings(BaseSettings):
    """config.toml. Every key can be overridden as JOURNEYD_SECTION__KEY."""

    model_config = SettingsConfigDict(extra="forbid", env_prefix="JOURNEYD_", env_nested_delimiter="__", env_ignore_empty=True, frozen=True)

    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    language: Language | None = None
    definitions: DefinitionsSection = DefinitionsSection()
    database: DatabaseSection = DatabaseSection()
    server: ServerSection = ServerSection()
    intake: IntakeSection = IntakeSection()
    channels: ChannelsSection = ChannelsSection()
    adapters: AdaptersSection = AdaptersSection()
    benefits: dict[Named, Benefit] = Field(default_factory=dict)
    endpoints: dict[Named, Endpoint] = Field(default_factory=dict)
    robots: dict[Named, Robot] = Field(default_factory=dict)
    alarms: AlarmsSection = AlarmsSection()
    policy: PolicySection = PolicySection()


def field_problem(field: str, text: str) -> str | None:
    """What WeChat would say against a text in one of its fields; nothing for a field whose type is not known."""
    kind = kind_of(field)
    return check_value(kind, text) if kind in KINDS else None


def field_limit(field: str) -> int | None:
    """How many characters of free text one of WeChat's fields holds."""
    return room(kind_of(field))


def _secret_keys() -> frozenset[str]:
    """The names of all keys that hold secrets, in every section."""
    sections = [cls for cls in vars(vendor_settings).values() if isinstance(cls, type) and issubclass(cls, Section)]
    written = {
        name for cls in sections for name, hint in get_type_hints(cls, include_extras=True).items() if SECRET_VALIDATOR in repr(hint)
    }
    return frozenset({*written, "secrets", "tokens", "write_keys"})


SECRET_KEYS = _secret_keys()


class Project:
    """Settings with the folder that their paths are relative to."""

    def __init__(self, settings: Settings, folder: Path, file: Path | None = None) -> None:
        self.settings, self.folder, self._file = settings, folder, file

    def as_written(self) -> "Project":
        """The project as its file says now: a daemon runs with what it said at the start. Raises ConfigError."""
        return self if self._file is None else load_project(self._file)

    @property
    def zone(self) -> ZoneInfo:
        """The project's zone."""
        zone = zone_named(self.settings.timezone)
        assert zone is not None  # noqa: S101 - validated
        return zone

    @property
    def definitions(self) -> Path:
        """The folder of the journey files."""
        return self.folder / self.settings.definitions.path

    @property
    def recording_file(self) -> Path:
        """The recording adapter's file."""
        return self.folder / self.settings.adapters.recording.file

    @property
    def database_url(self) -> str:
        """The database's URL; a relative SQLite path is made absolute."""
        url = self.settings.database.url
        prefix = "sqlite:///"
        if url.startswith(prefix) and not url.startswith(prefix + "/") and url != prefix + ":memory:":
            return prefix + str(self.folder.absolute() / url.removeprefix(prefix))
        return url

    @property
    def keep_events(self) -> int:
        """How long events are kept that nothing needs any more, in milliseconds; 0: for ever."""
        return parse_duration(self.settings.intake.keep_events or "") or 0

    @property
    def keep_quarantine(self) -> int:
        """How long what was set aside is kept, in milliseconds."""
        return parse_duration(self.settings.intake.keep_quarantine) or 0

    def secrets_of(self, source: str, secrets: Sequence[str], key: str) -> list[str]:
        """The values of a source's secrets. Raises ConfigError for one that is missing."""
        return [self.resolve(secret, f"intake.sources.{source}.{key}") for secret in secrets]

    def resolve(self, secret: str, key: str) -> str:
        """The value of `env:NAME` or `file:PATH`."""
        kind, _, where = secret.partition(":")
        if kind == "env":
            value = os.environ.get(where, "")
            if not value:
                msg = f"{key}: the environment variable {where} is not set; set it, or use file:PATH"
                raise ConfigError(msg)
            return value.strip()
        path = self.folder / where
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            msg = f"{key}: cannot read {path} ({error.strerror}); write the secret there (mode 0600)"
            raise ConfigError(msg) from None

    def world(self) -> World:
        """The names that journeys may use."""
        settings = self.settings
        channels = {
            name: {t: MessageTemplate(s.purpose, s.fields, s.text) for t, s in section.templates.items()}
            for name, section in settings.channels.written().items()
        }
        endpoints: dict[str, dict[str, ValueType]] = {name: dict(section.answer) for name, section in settings.endpoints.items()}
        sms = settings.channels.sms
        quiet = parse_window(settings.policy.quiet_hours) if settings.policy.quiet_hours else None
        return World(
            channels, frozenset(settings.benefits), endpoints, frozenset(settings.robots), field_problem=field_problem,
            sms_rules=RULES[sms.adapter] if sms is not None else None, quiet_hours=quiet, field_limit=field_limit,
            caps=tuple((cap.channel, cap.purpose, cap.topic) for cap in self.settings.policy.caps),
        )  # fmt: skip

    def rules(self) -> Rules:
        """The project's policy."""
        policy = self.settings.policy
        caps = tuple(
            Cap(c.max, c.per if c.per in ("day", "week") else parse_duration(c.per) or 0, c.channel, c.purpose, c.topic)
            for c in policy.caps
        )
        quiet = parse_window(policy.quiet_hours) if policy.quiet_hours else None
        wechat = self.settings.channels.wechat
        ids = {name: template.id for name, template in wechat.templates.items()} if wechat is not None else {}
        holdout = round(float(policy.holdout.removesuffix("%")) * 100)
        return Rules(quiet, caps, holdout, template_ids=ids, counts_credits=isinstance(wechat, SubscribeSection))

    def language(self) -> Language:
        """The language of texts for people: config's, else the locale's."""
        if self.settings.language:
            return self.settings.language
        return language_of(os.environ)


def load_project(path: Path) -> Project:
    """Read config.toml (or the one in a folder). Raises ConfigError with every wrong key and what was expected."""
    file = path / CONFIG_FILE if path.is_dir() else path
    if not file.is_file():
        msg = f"{file}: there is no configuration; make a project with `journeyd init DIR`, or name one with --config"
        raise ConfigError(msg)

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del init_settings, dotenv_settings, file_secret_settings
            return env_settings, TomlConfigSettingsSource(settings_cls, file)

    try:
        return Project(FromFile(), file.parent, file)
    except ValidationError as error:
        lines = [_line(file, detail) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None
    except ValueError as error:  # TOML syntax, or bytes that are not UTF-8
        msg = f"{file}: {error}"
        raise ConfigError(msg) from None


def _line(file: Path, detail: Any) -> str:
    parts = [str(part) for part in detail["loc"]]
    if parts[0] in ("channels", "benefits", "endpoints", "robots") and len(parts) > 3:  # noqa: PLR2004 - pydantic puts the adapter in between
        del parts[2]
    if parts[:2] == ["intake", "sources"] and len(parts) > 3 and parts[3] in KINDS_OF_SOURCES:  # noqa: PLR2004 - and a source's kind
        kind = parts.pop(3)
        if parts[3:] == ["server_side"]:
            return (
                f"{file}: {'.'.join(parts)}: only a source of kind segment has it, found kind {kind}: its SDKs prove nothing;"
                " what a server asserts is posted signed, by a source of kind webhook"
            )
    key = ".".join(parts)
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        adapters = detail["ctx"].get("expected_tags", "")
        expected = f"expected one of {adapters}" if adapters else 'expected an adapter, such as adapter = "recording"'
        return f"{file}: {key}.adapter: {expected}; found {detail['ctx'].get('tag', 'none')}"
    if detail["type"] == "extra_forbidden":
        return f"{file}: unknown key {key}; remove it or correct its name"
    is_secret = not SECRET_KEYS.isdisjoint(parts)  # what was written there by mistake is not repeated in a terminal or a log
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    if isinstance(value, dict):  # a whole section: its kind is what may be wrong with it, and it may hold secrets
        value = value.get("kind")
    is_said = is_secret or detail["type"] == "missing" or value is None or ", found " in message
    found = "" if is_said else f", found {value!r}"
    return f"{file}: {key}: {message[0].lower()}{message[1:]}{found}"
