"""What a simulation foresees, as values: per journey, per day, what every person was sent; and what of it nobody can know."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from math import sqrt
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from journeys.diagram import Counts
from journeys.duration import DAY
from journeys.localtime import print_instant
from runtime.past import Sample

TWO_SIDED_95 = 1.96
CODE = re.compile(r"\b[0-9A-F]{12}\b")  # as SilentChannel makes them
LAST_CHECK = "last check"  # in place of a cap's name: asked again right before the first byte


class Given(NamedTuple):
    """Something that a person got: a message, or a benefit (`kind` grant; then `channel` is its name)."""

    journey: str
    step: str
    user_id: str
    kind: str
    channel: str
    at: int
    key: str
    content: Any

    @property
    def said(self) -> Any:
        """What it says, without what is different in every run of a journey: the code of a coupon, and until when a benefit lasts."""
        if self.kind == "grant":
            return self.content.get("amount")
        return CODE.sub("", orjson.dumps(self.content, option=orjson.OPT_SORT_KEYS).decode())


class Estimate(NamedTuple):
    """What a figure of a sample says of everybody, with its 95 % interval."""

    n: float
    low: float
    high: float


@dataclass
class Figure:
    """A count over people, which can be scaled when they are a sample: it knows how much each of them adds."""

    of: Counter[str] = field(default_factory=Counter)

    def estimate(self, sample: Sample) -> Estimate:
        """For everybody. Whole users are in or out of a sample, so that those who count often make it less sure (Horvitz, Thompson)."""
        share, n = sample.share, float(sum(self.of.values()))
        deviation = sqrt((1 - share) * sum(x * x for x in self.of.values())) / share
        return Estimate(n / share, max(n, n / share - TWO_SIDED_95 * deviation), n / share + TWO_SIDED_95 * deviation)


LONG_SILENCE = 180 * DAY  # between two events of everybody: a time is hardly what was meant


@dataclass
class Row:
    """One journey. `version`: its digest's head, so that two versions are told apart."""

    name: str
    version: str
    entered: int = 0
    holdout: int = 0
    inside: int = 0
    completed: int = 0
    exited: int = 0
    converted: int = 0
    holdout_converted: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    suppressed: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    granted: dict[str, int] = field(default_factory=dict)
    not_granted: dict[str, int] = field(default_factory=dict)
    cost: Decimal | None = None  # None: nothing of it has a price
    counts: Counts = field(default_factory=Counts)
    figures: dict[str, Figure] = field(default_factory=dict)  # of a sample only

    @property
    def is_quiet(self) -> bool:
        """Whether nobody came near: nobody entered, was refused, or was still inside."""
        return not (self.entered or self.refused or self.inside or self.sent or self.suppressed or self.granted or self.converted)


@dataclass
class Day:
    """One day in the project's zone."""

    entered: int = 0
    sent: Counter[str] = field(default_factory=Counter)  # by channel
    suppressed: Counter[str] = field(default_factory=Counter)  # by reason
    dropped: Counter[str] = field(default_factory=Counter)  # by cap: not sent at all
    fell_through: Counter[str] = field(default_factory=Counter)  # by cap: sent by a later channel of the list
    granted: Counter[str] = field(default_factory=Counter)  # by benefit


@dataclass
class Foreseen:
    """The result of one run. `prices` by channel and `grant:BENEFIT`; `budgets` by benefit, as the run had them (None: no limit)."""

    zone: ZoneInfo
    first: int
    last: int
    sample: Sample
    events: int
    users: int
    journeys: dict[str, Row]
    days: dict[date, Day]
    stages: dict[str, dict[str, int]]  # users by stage at the end of each month (`2017-03`)
    prices: dict[str, Decimal]
    budgets: dict[str, int | None]
    deliveries: list[Given]
    entries: dict[tuple[str, str], list[int]]  # (journey, user) → when she entered
    drafts: list[str]
    quarantined: int = 0
    silence: tuple[int, int] | None = None  # the longest time between two events, where it is longer than LONG_SILENCE

    def cost_of(self, lane: str, n: int) -> Decimal | None:
        """What so many messages or grants cost."""
        price = self.prices.get(lane)
        return None if price is None else price * n

    def totals(self, name: str) -> Counter[str]:
        """A column of all journeys together: sent, suppressed, granted, held or refused."""
        found: Counter[str] = Counter()
        for row in self.journeys.values():
            found.update(getattr(row, name))
        return found

    def cost_by_lane(self) -> dict[str, Decimal | None]:
        """Channel, and `grant:BENEFIT`, → what it cost; None where config has no price."""
        lanes = dict(sorted(self.totals("sent").items())) | {f"grant:{b}": n for b, n in sorted(self.totals("granted").items())}
        return {lane: self.cost_of(lane, n) for lane, n in lanes.items()}

    def as_json(self) -> dict[str, Any]:
        """The documented shape; the same bytes for the same inputs."""
        sample = None if self.sample.share >= 1 else {"share": self.sample.share, "users": self.users}
        return {
            "from": print_instant(self.first, self.zone), "until": print_instant(self.last, self.zone), "sample": sample,
            "journeys": {i: self._row(row) for i, row in self.journeys.items()},
            "days": [_day(day, found) for day, found in self.days.items()],
            "cost": {lane: _text(cost) for lane, cost in self.cost_by_lane().items()},
            "budgets": {b: {"budget": total, "granted": self.totals("granted")[b]} for b, total in self.budgets.items()},
            "stages": self.stages, "events": self.events, "users": self.users, "quarantined": self.quarantined,
        }  # fmt: skip

    def _row(self, row: Row) -> dict[str, Any]:
        shown = {
            "name": row.name, "version": row.version, "entered": row.entered, "refused": row.refused, "sent": row.sent,
            "suppressed": row.suppressed, "held": row.held, "granted": row.granted, "not_granted": row.not_granted,
            "converted": row.converted, "holdout": row.holdout, "holdout_converted": row.holdout_converted, "completed": row.completed,
            "exited": row.exited, "ended": row.ended, "inside": row.inside, "cost": _text(row.cost), "steps": dict(row.counts.steps),
            "moves": [[a, b, n] for (a, b), n in row.counts.moves.items()],
        }  # fmt: skip
        if self.sample.share < 1:
            estimates = {name: figure.estimate(self.sample) for name, figure in sorted(row.figures.items())}
            shown["estimate"] = {name: {k: round(v, 1) for k, v in e._asdict().items()} for name, e in estimates.items()}
        return shown


def _day(day: date, found: Day) -> dict[str, Any]:
    capped = {
        cap: {"dropped": found.dropped[cap], "fell_through": found.fell_through[cap]}
        for cap in sorted({*found.dropped, *found.fell_through})
    }
    counts = {name: dict(sorted(getattr(found, name).items())) for name in ("sent", "suppressed", "granted")}
    return {"day": day.isoformat(), "entered": found.entered, **counts, "capped": capped}


def money(cost: Decimal) -> str:
    """An amount in the currency of config's prices: two places at least, and as many as it has."""
    places = max(-int(cost.normalize().as_tuple().exponent), 2)
    return f"{cost:,.{places}f}"


def _text(cost: Decimal | None) -> str | None:
    return None if cost is None else f"{cost.normalize():f}"
