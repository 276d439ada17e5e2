"""The sources of config, ready to read: their secrets, their names for things, what each may assert."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.localtime import zone_named
from runtime.intake import growingio, segment, sensors
from runtime.intake.items import OLDEST, Reader
from runtime.intake.naming import Naming
from runtime.intake.signature import decode_secret
from runtime.settings import ConfigError, Project
from runtime.source_settings import GrowingSource, SegmentSource, SensorsSource, WebhookSource

Section = WebhookSource | SensorsSource | GrowingSource | SegmentSource
DEFAULTS: Mapping[str, Naming] = {
    "webhook": Naming(),
    "sensors": Naming(sensors.EVENTS),
    "growingio": Naming(growingio.EVENTS),
    "segment": Naming(segment.EVENTS, segment.PROPERTIES),
}


@dataclass(frozen=True)
class Source:
    """One source. `keys` are its tokens or write keys; `secrets` sign webhooks. `signed`: what it says is proven to be its own."""

    name: str
    kind: str
    signed: bool
    may_assert: tuple[str, ...]
    zone: ZoneInfo
    naming: Naming = field(default_factory=Naming)
    traits: frozenset[str] = frozenset()
    secrets: tuple[bytes, ...] = ()
    keys: tuple[str, ...] = ()
    project: str = ""
    keep: int = 0  # how long events are kept (milliseconds; 0: for ever)

    def reader(self, audience: Audience, now: int, request_id: str, came: int = 0) -> Reader:
        """Reads what came with one request at `now`; or what `came` before, was set aside, and is read again."""
        return Reader(
            self.name, self.may_assert, audience, self.zone, now, request_id, self.signed, self.traits, self.keep, OLDEST, came
        )  # fmt: skip


def sources_of(project: Project) -> tuple[Source, ...]:
    """The sources of config. Raises ConfigError for a secret that is missing or no base64 of 16 bytes or more."""
    return tuple(_source(project, name, section) for name, section in project.settings.intake.sources.items())


def naming_of(section: Section) -> Naming:
    """How a source's names become ours: its own mapping before that of its kind."""
    defaults = DEFAULTS[section.kind]
    return Naming(
        {**defaults.events, **section.events}, {**defaults.properties, **section.properties}, {**defaults.traits, **section.traits}
    )


def is_signed(section: Section) -> bool:
    """Whether what the source says is proven to be its own."""
    return isinstance(section, WebhookSource) or getattr(section, "server_side", False)


def _source(project: Project, name: str, section: Section) -> Source:
    zone = zone_named(section.zone) if section.zone else project.zone
    if zone is None:
        raise ConfigError(f"intake.sources.{name}.zone: expected an IANA zone such as Asia/Shanghai, found {section.zone!r}")
    secrets: tuple[bytes, ...] = ()
    keys: list[str] = []
    if isinstance(section, WebhookSource):
        secrets = tuple(_decoded(secret, name) for secret in project.secrets_of(name, section.secrets, "secrets"))
    elif isinstance(section, SensorsSource):
        keys = project.secrets_of(name, section.tokens, "tokens")
    elif isinstance(section, SegmentSource):
        keys = project.secrets_of(name, section.write_keys, "write_keys")
    named = section.project if isinstance(section, SensorsSource | GrowingSource) else ""
    taken = frozenset(section.traits.values())
    return Source(
        name, section.kind, is_signed(section), tuple(section.may_assert), zone, naming_of(section), taken, secrets, tuple(keys), named,
        project.keep_events,
    )  # fmt: skip


def _decoded(secret: str, name: str) -> bytes:
    key = decode_secret(secret)
    if key is None:
        msg = f"intake.sources.{name}.secrets: expected whsec_ and base64 of 16 bytes or more; `journeyd init` makes one"
        raise ConfigError(msg)
    return key
