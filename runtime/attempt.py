"""What a lane has in hand: how fast it may go, what it claimed, the attempts it began, what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from channels.message import Guarantee, Key, Message, Outcome, Rejected, Unknown
from journeys.duration import MINUTE, SECOND
from journeys.values import clean_text
from runtime.store.flow import Rate
from runtime.store.ledger_rows import LedgerRow

LONGEST_REASON, LONGEST_REFERENCE = 500, 256  # characters


@dataclass(frozen=True, slots=True)
class LaneRules:
    """How fast a lane may go: connections at once and messages per time, over all daemons together."""

    concurrency: int = 8
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must look at: a lane was held because of a fault, or works again."""

    lane: str
    template: str
    code: str
    reason: str
    held: bool


@dataclass
class Delivered:
    """What was done, by outcome, and what somebody must look at."""

    counts: dict[str, int] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)

    def add(self, what: str, n: int = 1) -> None:
        """Count."""
        if n:
            self.counts[what] = self.counts.get(what, 0) + n

    @property
    def total(self) -> int:
        """How much there was to do."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Claimed:
    """Rows of one claim; `probes` are the keys of those that try whether a held lane works again, `again_at` when to ask for more."""

    rows: Sequence[LedgerRow] = ()
    probes: frozenset[str] = frozenset()
    again_at: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A row whose intent is durable, with the message to hand over. `deadline`: no byte leaves after it."""

    row: LedgerRow
    message: Message
    deadline: int
    credit: str | None = None
    probe: bool = False


class Missing:
    """What stands in for an adapter that config does not name any more: a definite no."""

    guarantee: Guarantee = Key(MINUTE)
    one_at_a_time = False
    timeout = SECOND

    def send(self, message: Message) -> Rejected:
        """No."""
        return Rejected("no_channel", f"{message.channel} is not configured any more")

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - a channel's signature
        """Nobody can be asked."""
        return Unknown("the channel is not configured any more")


def storable(outcome: Outcome) -> Outcome:
    """An outcome whose texts every database can hold and index, whatever a vendor wrote into its answer."""
    texts: dict[str, Any] = {}
    for known in fields(outcome):
        value = getattr(outcome, known.name)
        if isinstance(value, str):
            texts[known.name] = clean_text(value)[: LONGEST_REASON if known.name == "reason" else LONGEST_REFERENCE]
    return replace(outcome, **texts) if texts else outcome
