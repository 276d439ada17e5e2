"""May this be sent to this person now? Consent, reach, windows and caps. Pure; asked at the step and before the first byte."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from journeys.duration import DAY, format_duration
from journeys.localtime import day_start, in_window, next_local, week_start
from runtime.state import User

NO_BUDGET = 1_000_000_000
# Which identity of a person a channel sends to. A WeCom member without one is addressed by the user id.
ADDRESS_OF = {"wechat": "openid", "sms": "phone", "push": "push_id", "wecom": "wecom_id", "email": "email"}


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` touches per rolling `per` (milliseconds) or calendar "day"/"week"; None matches everything."""

    most: int
    per: int | str
    channel: str | None = None
    purpose: str | None = None
    topic: str | None = None

    def covers(self, channel: str, purpose: str, topic: str | None) -> bool:
        """Whether a touch of this kind counts for the cap."""
        return (
            (self.channel is None or self.channel == channel)
            and (self.purpose is None or self.purpose == purpose)
            and (self.topic is None or self.topic == topic)
        )

    def applies(self, purpose: str, topic: str | None) -> bool:
        """Service is exempt from caps, but for those that name its topic."""
        return purpose != "service" or (self.topic is not None and self.topic == topic)

    def starts(self, now: int, zone: ZoneInfo) -> int:
        """The instant from which touches count now (those after it)."""
        if self.per == "day":
            return day_start(now, zone) - 1
        if self.per == "week":
            return week_start(now, zone) - 1
        return now - int(self.per)

    def __str__(self) -> str:
        what = " ".join(p for p in (self.channel, self.purpose, self.topic) if p) or "all"
        per = self.per if isinstance(self.per, str) else format_duration(self.per)
        return f"{what} {self.most}/{per}"


@dataclass(frozen=True, slots=True)
class Rules:
    """The project's own rules, from [policy]."""

    quiet_hours: tuple[int, int] | None = None
    caps: tuple[Cap, ...] = ()
    holdout: int = 0  # parts of 10,000
    assume_consent: frozenset[str] = frozenset({"service"})  # purposes allowed until somebody says no
    paused: frozenset[str] = frozenset()
    template_ids: Mapping[str, str] = field(default_factory=dict)  # of wechat: our names → the vendor's ids, which credits are kept by
    counts_credits: bool = False  # a wechat template without a known credit cannot be sent


@dataclass(frozen=True, slots=True)
class Touch:
    """A message that reached, or may have reached, a person."""

    at: int
    channel: str
    purpose: str
    topic: str | None


@dataclass(slots=True)
class PersonReach:
    """What one recipient can be sent. `consents` by channel and purpose; `credits` by WeChat template (absent: none where they are
    counted, else no limit); `suppressed` holds (channel, purpose) pairs that the address itself has refused.
    """

    user_id: str
    zone: ZoneInfo
    consents: Mapping[str, Any] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    credits: Mapping[str, int] = field(default_factory=dict)
    touches: list[Touch] = field(default_factory=list)
    assume_consent: frozenset[str] = frozenset({"service"})
    is_person: bool = True
    suppressed: frozenset[tuple[str, str]] = frozenset()
    counts_credits: bool = False


class UnknownReach(LookupError):
    """The reach of this user was not loaded; the caller loads it and asks again."""

    def __init__(self, user_id: str) -> None:
        super().__init__(user_id)
        self.user_id = user_id


@dataclass(slots=True)
class Reach:
    """What recipients can be sent, what benefits have left, and the project's rules. `variants` pins splits in rehearsals.

    `later` loads the people of a batch when the first of them is asked for: most events move nobody who could be sent anything.
    """

    rules: Rules
    people: dict[str, PersonReach]
    budgets: Mapping[str, int] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()  # journeys in which nobody takes a step
    later: Callable[[], Mapping[str, PersonReach]] | None = None

    def of(self, user: User | str) -> PersonReach:
        """The reach of a user; UnknownReach when it was not loaded."""
        user_id = user if isinstance(user, str) else user.id
        person = self.people.get(user_id)
        if person is None and self.later is not None:
            load, self.later = self.later, None
            self.people = {**load(), **self.people}
            person = self.people.get(user_id)
        if person is None:
            raise UnknownReach(user_id)
        return person

    def remaining(self, benefit: str) -> int:
        """Units left of a benefit; a billion where there is no budget."""
        return self.budgets.get(benefit, NO_BUDGET)


def person_reach(
    user: User, rules: Rules, touches: list[Touch], credits_: Mapping[str, int] | None = None,
    suppressed: frozenset[tuple[str, str]] = frozenset(),
) -> PersonReach:  # fmt: skip
    """The reach of a user: what the row says, with touches, credits (by the vendor's template ids) and what addresses refused."""
    reach = user.reach
    known = credits_ or {}
    named = {name: known[id_] for name, id_ in rules.template_ids.items() if id_ in known}
    return PersonReach(
        user.id, user.zone, reach.get("consents", {}), reach.get("identities", {}), named, touches, rules.assume_consent,
        suppressed=suppressed, counts_credits=rules.counts_credits,
    )  # fmt: skip


def robot_reach(name: str, zone: ZoneInfo) -> PersonReach:
    """A group robot: always there, asks for no consent and has no caps."""
    return PersonReach(f"robot:{name}", zone, is_person=False)


@dataclass(frozen=True, slots=True)
class Sending:
    """What is about to be sent. `stop` is the name of a marketing stop that holds, `expires_at` an instant."""

    channel: str
    template: str | None
    purpose: str
    topic: str | None
    between: tuple[int, int] | None
    expires_at: int | None
    stop: str | None = None


@dataclass(frozen=True, slots=True)
class SendNow:
    """Go."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: ask again at `until`."""

    until: int
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Not at all. `final` for every channel, else another position of the list may work."""

    reason: str
    final: bool
    why: Mapping[str, Any] = field(default_factory=dict)


def addresses_of(identities: Mapping[str, str]) -> dict[str, str]:
    """Channel → address, of the identities that channels send to."""
    return {channel: identities[kind] for channel, kind in ADDRESS_OF.items() if identities.get(kind)}


def consented(person: PersonReach, channel: str, purpose: str) -> bool:
    """What the person said about this channel and purpose; unsaid, service is assumed and marketing is not."""
    if (channel, purpose) in person.suppressed:
        return False
    said = person.consents.get(channel)
    answer = said.get(purpose) if isinstance(said, dict) else said
    return purpose in person.assume_consent if answer is None else bool(answer)


def address(person: PersonReach, channel: str) -> str | None:
    """Where the channel reaches the person; None when nobody knows."""
    if not person.is_person:
        return person.user_id.removeprefix("robot:")
    found = person.addresses.get(ADDRESS_OF.get(channel, channel))
    return found or (person.user_id if channel == "wecom" else None)


def can_reach(person: PersonReach, channel: str, template: str | None, purpose: str) -> str | None:
    """None when the channel reaches the person, else the reason: no_consent, unreachable or no_credit."""
    if not person.is_person:
        return None
    if not consented(person, channel, purpose):
        return "no_consent"
    if address(person, channel) is None:
        return "unreachable"
    if channel == "wechat" and template is not None and person.credits.get(template, 0 if person.counts_credits else 1) < 1:
        return "no_credit"
    return None


def count_credit(person: PersonReach, channel: str, template: str | None) -> None:
    """A message is planned: one credit less for what is planned after it."""
    if channel == "wechat" and template is not None and template in person.credits:
        person.credits = {**person.credits, template: person.credits[template] - 1}


def may_send(rules: Rules, person: PersonReach, sending: Sending, now: int) -> SendNow | Hold | Drop:
    """Ask for one position of a send, at one moment.

    Definite noes first (expired, a marketing stop, no way to the person), then windows (a hold, unless the message
    would expire in it), then caps, which may look different after a hold.
    """
    if sending.expires_at is not None and now >= sending.expires_at:
        return Drop("expired", final=True)
    if sending.stop is not None and sending.purpose == "marketing":
        return Drop(sending.stop, final=True, why={"stop": sending.stop})
    no_way = can_reach(person, sending.channel, sending.template, sending.purpose)
    if no_way is not None:
        return Drop(no_way, final=False, why={"channel": sending.channel})
    if sending.channel in rules.paused:
        return Hold(now + DAY // 96, "channel_paused")
    release, reason = _release(rules, person.zone, sending, now)
    if release > now:
        if sending.expires_at is not None and release >= sending.expires_at:
            return Drop("expired", final=True, why={"held_for": reason})
        return Hold(release, reason)
    return _capped(rules, person, sending, now)


def _release(rules: Rules, zone: ZoneInfo, sending: Sending, now: int) -> tuple[int, str]:
    """The first instant at or after `now` outside quiet hours (marketing only) and inside `between`."""
    at, reason = now, ""
    for _ in range(8):
        quiet = rules.quiet_hours if sending.purpose == "marketing" else None
        if quiet and in_window(at, quiet, zone):
            at, reason = next_local(at, quiet[1], zone), "quiet_hours"
        elif sending.between and not in_window(at, sending.between, zone):
            at, reason = next_local(at, sending.between[0], zone), reason or "between"
        else:
            break
    return at, reason


def _capped(rules: Rules, person: PersonReach, sending: Sending, now: int) -> SendNow | Drop:
    if not person.is_person:
        return SendNow()
    for cap in rules.caps:
        if not (cap.applies(sending.purpose, sending.topic) and cap.covers(sending.channel, sending.purpose, sending.topic)):
            continue
        start = cap.starts(now, person.zone)
        count = sum(1 for t in person.touches if t.at > start and cap.covers(t.channel, t.purpose, t.topic))
        if count >= cap.most:
            return Drop("cap", final=cap.channel is None, why={"cap": str(cap), "touches": count})
    return SendNow()


def longest_cap(rules: Rules) -> int:
    """How far back touches matter, in milliseconds."""
    spans = [cap.per if isinstance(cap.per, int) else 8 * DAY for cap in rules.caps]
    return max(spans, default=0)


def first_stop(stops: tuple[tuple[str, Any], ...], facts: Any) -> str | None:
    """The first marketing stop that holds for these facts."""
    test: Callable[[Any], bool]
    for name, rule in stops:
        test = rule.test
        if test(facts):
            return name
    return None
