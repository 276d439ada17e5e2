"""What a channel is given and what it may answer. A vendor's answer never raises; nothing here does I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Clock = Callable[[], int]  # milliseconds since 1970, UTC: adapters sign with the time, and are given the clock

# --- what protects a repeat


@dataclass(frozen=True, slots=True)
class Key:
    """The vendor takes one message per vendor key, for `lifetime` milliseconds from the first: within it a repeat is safe."""

    lifetime: int


@dataclass(frozen=True, slots=True)
class Query:
    """The vendor can be asked what became of an attempt: first `lag` milliseconds after it, for the last time after `until`.

    "Not found" proves nothing unless the adapter says so (`look_up` answers Rejected): what is unknown after `until` stays so.
    """

    lag: int
    until: int


@dataclass(frozen=True, slots=True)
class Neither:
    """No key and no query: an attempt that nobody can tell the end of is never repeated."""


Guarantee = Key | Query | Neither


# --- what is sent


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt to reach one recipient, or one benefit or call to carry out.

    `key` belongs to the message (32 hex digits, the same in every attempt), `vendor_key` to the attempt: repeated only where the
    guarantee is a key. `address` is the recipient's on this channel (openid, +8613800138000, …). `at` is milliseconds since 1970, UTC.
    `content` is what the journey wrote, rendered: {"template", "page", "data"} for wechat, {"template", "params"} for sms,
    {"title", "body", "page"} for push, {"text"} for wecom, {"subject", "body"} for email, {"amount", "expires_at", …} for a grant,
    the body for a call.
    """

    key: str
    vendor_key: str
    at: int
    kind: Literal["message", "grant", "call"]
    channel: str
    address: str = field(repr=False)
    user_id: str
    journey: str
    version: int
    step: str
    content: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class VendorTemplate:
    """A template that the vendor keeps, as config declares it: the vendor's id, and our field names with the vendor's."""

    id: str
    fields: Mapping[str, str] = field(default_factory=dict)


# --- what came of it


@dataclass(frozen=True, slots=True)
class Accepted:
    """The vendor has it. `reference` is the vendor's own id; `answer` what a benefit or endpoint returned."""

    reference: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A definite, documented no to this message: the vendor did not and will not send it.

    `blames`: the message itself; the address (dead: it is dropped from the user); the credit (there is none left); the consent
    (the person refused at the vendor: recorded as a withdrawal).
    """

    code: str
    reason: str = ""
    blames: Literal["message", "address", "credit", "consent"] = "message"


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Definitely not accepted, and it may work after `after` milliseconds.

    `whole_channel`: the vendor's flow control or a connection that cannot be made concerns everything on the channel, not this message.
    `own` is false where the vendor was not even asked: the next wait is then no longer than this one.
    """

    after: int
    reason: str = ""
    whole_channel: bool = False
    own: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """Definitely not accepted, and no message's fault: credentials, a ban, an unpaid account, a template the vendor does not know.

    The channel (or the one template) is held, somebody is alarmed, and one message probes it after `after` milliseconds.
    """

    code: str
    reason: str
    after: int
    scope: Literal["channel", "template"] = "channel"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can tell whether the vendor has it."""

    reason: str = ""


Outcome = Accepted | Rejected | RetryLater | Fault | Unknown


# --- what vendors tell us on their own


@dataclass(frozen=True, slots=True)
class Callback:
    """A request of a vendor to us. `url` is the public one that the vendor called; header names are lower case."""

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an accepted message, known by our own `key` where the vendor echoes it, else by its `reference`."""

    delivered: bool
    key: str = ""
    reference: str = ""
    code: str = ""
    reason: str = ""
    blames: Literal["message", "address", "credit", "consent"] = "message"


@dataclass(frozen=True, slots=True)
class Reply:
    """A text that a person sent us. `id` is the same when the vendor repeats it; `at` is an instant, 0 where the vendor gives none."""

    id: str
    address: str = field(repr=False)
    text: str = field(repr=False)
    at: int = 0


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A person accepted (+1) or rejected (all gone) messages of one vendor template. `id` is the same when it is repeated."""

    id: str
    address: str = field(repr=False)
    template_id: str
    accepted: bool
    at: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What a callback said, and the answer that the vendor wants to hear once it is kept. `problems`: what could not be read."""

    receipts: Sequence[Receipt] = ()
    replies: Sequence[Reply] = ()
    credits: Sequence[CreditNote] = ()
    problems: Sequence[str] = ()
    answer: str = ""
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Forged:
    """The callback is not the vendor's: wrong signature, wrong secret, or unreadable before it could be checked."""

    reason: str


# --- what a channel is


class Channel(Protocol):
    """A vendor. `one_at_a_time`: never two messages to one address at once. `timeout`: the longest a `send` takes, milliseconds."""

    guarantee: Guarantee
    one_at_a_time: bool
    timeout: int

    def send(self, message: Message) -> Outcome:
        """Hand one message over; whatever happens is an Outcome."""

    def look_up(self, message: Message) -> Accepted | Rejected | Unknown:
        """What became of an attempt (`at` is when it was made); Unknown where the vendor cannot say. Rejected proves its absence."""


@runtime_checkable
class IssuesKeys(Protocol):
    """A vendor whose idempotency keys must be fetched from it before the intent is written."""

    def new_keys(self, n: int) -> "Sequence[str] | Fault":
        """Up to `n` fresh keys; fewer (or none) when the vendor does not answer; the fault where it refuses us any."""


@runtime_checkable
class HearsBack(Protocol):
    """A vendor that calls us: receipts, replies, subscriptions."""

    def hear(self, callback: Callback) -> Heard | Forged:
        """Read and verify one callback."""


@runtime_checkable
class TellsAtOnce(Protocol):
    """A channel without a vendor (rehearsals) that says itself whether what it accepted was delivered."""

    def receipt(self, message: Message) -> Receipt | None:
        """The receipt of an accepted message, or None."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that `journeyd doctor` looked at. `cure` says what to do; empty where all is well."""

    what: str
    ok: bool
    found: str
    cure: str = ""


@runtime_checkable
class Diagnosable(Protocol):
    """A vendor whose credentials can be tried without messaging anyone."""

    def diagnose(self) -> Sequence[Diagnosis]:
        """Try them."""


class Tokens(Protocol):
    """Where access tokens are kept, shared by all daemons."""

    def get(self, name: str) -> tuple[str, int] | None:
        """The token and the instant at which it ends, or None."""

    def put(self, name: str, token: str, expires_at: int) -> None:
        """Keep a token for everybody."""


class OwnTokens:
    """Tokens of this process alone: for tests and one-off commands."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[str, int]] = {}

    def get(self, name: str) -> tuple[str, int] | None:
        """As Tokens."""
        return self._tokens.get(name)

    def put(self, name: str, token: str, expires_at: int) -> None:
        """As Tokens."""
        self._tokens[name] = (token, expires_at)
