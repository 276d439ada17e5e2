"""What a channel is given and what it may answer. A vendor's answer never raises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Guarantee = Literal["key", "query", "neither"]


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt to reach one recipient, or one benefit or call to carry out.

    `vendor_key` is the attempt's own key: repeated only for the same attempt. `address` is the recipient's
    address on this channel (openid, phone, …). `at` is milliseconds since 1970, UTC.
    """

    key: str
    vendor_key: str
    at: int
    kind: Literal["message", "grant", "call"]
    channel: str
    address: str
    user_id: str
    journey: str
    version: int
    step: str
    content: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The vendor has it. `reference` is the vendor's own id; `answer` what a benefit or endpoint returned."""

    reference: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A definite, documented no: the vendor did not and will not send it."""

    code: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Definitely not accepted, and it may work after `after` milliseconds (flow control, no connection)."""

    after: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can tell whether the vendor has it."""

    reason: str = ""


Outcome = Accepted | Rejected | RetryLater | Unknown


class Channel(Protocol):
    """A vendor. `guarantee` says what protects a repeat: an idempotency key, a query, or neither."""

    guarantee: Guarantee

    def send(self, message: Message) -> Outcome:
        """Hand one message over; whatever happens is an Outcome."""

    def look_up(self, message: Message) -> Accepted | Rejected | Unknown:
        """What became of an attempt; Unknown where the vendor cannot say."""
