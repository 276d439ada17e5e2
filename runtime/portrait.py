"""Who a user is, in short: stage, segments, traits, what she agreed to, how she is reached, caps used so far, hold-outs. Pure."""

from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from journeys.localtime import next_local
from runtime.enrol import held_out
from runtime.policy import ADDRESS_OF, Cap, consented
from runtime.present import Present
from runtime.profile import unfit
from runtime.state import bucket

PURPOSES = ("service", "marketing")


@dataclass(frozen=True, slots=True)
class CapUse:
    """How far a cap is used up now. `frees_at` is when it lets the next one through; None while it does."""

    cap: str
    most: int
    used: int
    frees_at: int | None


@dataclass(frozen=True, slots=True)
class Draw:
    """Where she stands in a hold-out: her place in parts of 10,000, the share, whether it holds her out."""

    place: int
    share: int
    is_out: bool


@dataclass
class Portrait:
    """Everything of the head of a story. `consents` say yes, no, assumed, unasked or stopped, by channel and purpose."""

    user_id: str
    zone: str
    stage: str
    segments: list[str]
    tags: list[str]
    traits: dict[str, Any]
    consents: dict[str, dict[str, str]]
    addresses: dict[str, str]
    credits: dict[str, int]
    caps: list[CapUse]
    holdouts: dict[str, Draw]
    former: list[str]
    created_at: int
    looked_at: int
    next_look_at: int | None
    waiting: int
    history_comes: bool
    unreadable: tuple[str, ...] = ()
    stops: list[str] = field(default_factory=list)  # names of the marketing stops that hold now
    other: dict[str, Any] = field(default_factory=dict)  # values that audience.yaml does not declare
    by_edit: dict[str, int] = field(default_factory=dict)  # segments in or out of which she is by a release's definition alone
    unfit: dict[str, Any] = field(default_factory=dict)  # kept values that do not fit the type declared since: missing in rules

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def portrait_of(present: Present) -> Portrait:
    """Who she is at that moment."""
    user, audience, facts = present.user, present.catalogue.audience, present.facts()
    traits = {name: value for name in audience.traits if (value := facts.trait(name)) is not None}
    stage = audience.stage_of(facts)
    project, place = present.reach.rules.holdout, bucket("project", user.id)
    holdouts = {"project": Draw(place, project, place < project)} if project else {}
    for name, versioned in sorted(present.catalogue.current.items()):
        if versioned.journey.holdout:
            holdouts[name] = Draw(bucket(name, user.id), versioned.journey.holdout, held_out(versioned.journey, user.id))
    return Portrait(
        user.id, user.zone.key, user.stage or stage, [name for name in audience.segments if facts.segment(name)],
        list(user.profile.get("t", ())), traits, consents_of(present), dict(user.reach.get("identities", {})), dict(present.person.credits),
        caps_of(present), holdouts, user.former, present.created_at, user.evaluated_at, user.recheck_at, present.waiting,
        present.history_comes, present.unreadable, [name for name, rule in audience.stops if rule.test(facts)],
        {n: v for n, v in user.profile.get("p", {}).items() if n not in audience.traits},
        unfit=unfit(audience, user),
    )  # fmt: skip


def consents_of(present: Present) -> dict[str, dict[str, str]]:
    """What counts for each configured channel and purpose, and why."""
    person = present.person
    channels = [channel for channel in present.catalogue.world.channels if channel in ADDRESS_OF]
    return {channel: {purpose: _answer(person, channel, purpose) for purpose in PURPOSES} for channel in channels}


def _answer(person: Any, channel: str, purpose: str) -> str:
    if (channel, purpose) in person.suppressed:
        return "stopped"
    said = person.consents.get(channel)
    answer = said.get(purpose) if isinstance(said, dict) else said
    if answer is None:
        return "assumed" if consented(person, channel, purpose) else "unasked"
    return "yes" if answer else "no"


def caps_of(present: Present) -> list[CapUse]:
    """Every cap of config with what counts for it now."""
    person, now, found = present.person, present.now, []
    for cap in present.reach.rules.caps:
        start = cap.starts(now, person.zone)
        touches = sorted(t.at for t in person.touches if t.at > start and cap.covers(t.channel, t.purpose, t.topic))
        found.append(CapUse(str(cap), cap.most, len(touches), _frees_at(cap, touches, now, person.zone)))
    return found


def _frees_at(cap: Cap, touches: list[int], now: int, zone: ZoneInfo) -> int | None:
    """When another touch fits into the cap; None while one does, and where none ever does."""
    if len(touches) < cap.most or not cap.most:
        return None
    if isinstance(cap.per, int):
        return touches[len(touches) - cap.most] + cap.per
    return next_local(now + 1, 0, zone, ("mon",) if cap.per == "week" else ())
