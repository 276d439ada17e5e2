"""Settings of event sources: who may post, how she proves it, what she may assert, and how her names become ours."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from runtime.vendor_settings import SecretSource, Section

SIGNED_ONLY = (
    "order_*", "coupon_*", "benefit_*", "consent_*", "member_*", "complaint_resolved", "user_record", "identity_merge", "subscription",
)  # fmt: skip
"""What only a source that proves itself may assert: payments, consents, merges. A device's key can be read out of its program."""


def is_for_signed(name: str) -> bool:
    """Whether only a source that proves itself may assert it."""
    return any(fnmatchcase(name, pattern) for pattern in SIGNED_ONLY)


def may_bring(name: str, may_assert: Iterable[str], *, signed: bool) -> bool:
    """Whether a source with these patterns may bring events of a type, or user records, merges, entries under their names."""
    return (signed or not is_for_signed(name)) and any(pattern == "*" or fnmatchcase(name, pattern) for pattern in may_assert)


KINDS_OF_SOURCES = ("webhook", "sensors", "growingio", "segment")
LONGEST_NAME = 64  # characters of a source's name


def is_source_name(name: str) -> bool:
    """Whether a source may be called so: `$…` are the channels whose vendors tell us something, `engine` sets aside what it took."""
    return 0 < len(name) <= LONGEST_NAME and not name.startswith("$") and name != "engine"


class _Source(Section):
    """What all sources have. `events`, `properties` and `traits` map the source's names to ours."""

    may_assert: list[str] = Field(default_factory=list)
    events: dict[str, str] = Field(default_factory=dict)
    properties: dict[str, str] = Field(default_factory=dict)
    traits: dict[str, str] = Field(default_factory=dict)
    zone: str | None = None  # of times without an offset, where it is not the project's


class WebhookSource(_Source):
    """Plain events, user records and CloudEvents, signed as Standard Webhooks say; several secrets while rotating."""

    kind: Literal["webhook"] = "webhook"
    secrets: Annotated[list[SecretSource], Field(min_length=1)]
    may_assert: list[str] = Field(default_factory=lambda: ["*"])


class _Device(_Source):
    may_assert: list[str] = Field(default_factory=lambda: ["app_opened", "deal_viewed", "page_*"])

    @model_validator(mode="after")
    def _unsigned(self) -> "_Device":
        for pattern in self.may_assert:
            kept = next((s for s in SIGNED_ONLY if fnmatchcase(s.replace("*", ""), pattern) or fnmatchcase(pattern, s)), None)
            if kept is not None and not getattr(self, "server_side", False):
                msg = f"expected event types that a device may assert, found {pattern!r}: {kept} is for signed sources only"
                raise ValueError(msg)
        return self


class SensorsSource(_Device):
    """Sensors Analytics (神策): `/sa?project=…`. Its SDKs prove nothing: a token can be read out of any program."""

    kind: Literal["sensors"]
    project: str = "default"
    tokens: list[SecretSource] = Field(default_factory=list)


class GrowingSource(_Device):
    """GrowingIO: `/v3/projects/{project}/collect`."""

    kind: Literal["growingio"]
    project: str


class SegmentSource(_Device):
    """Segment and RudderStack: `/v1/batch` and the single calls. `server_side`: the write key never leaves servers, so it is a proof."""

    kind: Literal["segment"]
    write_keys: Annotated[list[SecretSource], Field(min_length=1)]
    server_side: bool = False

    @model_validator(mode="before")
    @classmethod
    def _trusted(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("server_side") is True:
            return {"may_assert": ["*"], **value}
        return value


def _kind(value: Any) -> Any:
    return value.get("kind", "webhook") if isinstance(value, dict) else getattr(value, "kind", None)


Source = Annotated[
    Annotated[WebhookSource, Tag("webhook")]
    | Annotated[SensorsSource, Tag("sensors")]
    | Annotated[GrowingSource, Tag("growingio")]
    | Annotated[SegmentSource, Tag("segment")],
    Discriminator(
        _kind,
        custom_error_type="source_kind",
        custom_error_message="expected a kind of source: webhook, sensors, growingio or segment",
    ),
]
