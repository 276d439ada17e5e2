"""Who may enter a journey: re-entry, mode, subject, hold-out. Pure; every refusal has a reason."""

from collections.abc import Sequence
from typing import Any

from journeys.compiled import HELD_OUT as HELD_OUT_STATE
from journeys.compiled import CompiledJourney
from journeys.localtime import anniversary_on, local_instant, on_local_day, to_datetime
from runtime.facts import UserFacts
from runtime.state import HELD_OUT, LIVE, Enrolment, Entered, Fact, LogEntry, Refusal, User, bucket, stable_key


def enrol(
    journey: CompiledJourney, version: int, facts: UserFacts, fact: Fact, open_: Sequence[Enrolment], *, project_holdout: int
) -> Entered | Refusal:
    """Let a user in, or say why not.

    `facts` is the user at the fact's moment; `open_` are the user's enrolments of this journey, ended ones too,
    for as far back as re-entry looks. The new enrolment's timer is due at once.
    """
    entry, user, at = journey.entry, facts.user, fact.at
    refusal = _refused_by_file(journey, facts, fact)
    if refusal is not None:
        return refusal
    subject = _subject(journey, fact)
    mine = [e for e in open_ if e.subject == subject]
    key = stable_key(journey.id, user.id, subject, fact.id)
    entered_before = {key, *(stable_key(journey.id, former, subject, fact.id) for former in user.former)}
    if any(e.key in entered_before for e in mine):
        return _refuse(journey, user, fact, "duplicate", subject=subject)
    if project_holdout and fact.forced != "in" and bucket("project", user.id) < project_holdout:
        return _refuse(journey, user, fact, "holdout", subject=subject)
    live = [e for e in mine if e.status in (LIVE, HELD_OUT)]
    if live and entry.mode == "single":
        return _refuse(journey, user, fact, "mode", {"inside_since": live[0].entered_at}, subject)
    last = max((e.entered_at for e in mine), default=None)
    if last is not None and entry.reentry == "once":
        return _refuse(journey, user, fact, "reentry", {"last_entry": last, "reentry": "once"}, subject)
    if last is not None and isinstance(entry.reentry, int) and at - last < entry.reentry:
        return _refuse(journey, user, fact, "reentry", {"last_entry": last, "again_from": last + entry.reentry}, subject)
    restarted = tuple(live) if entry.mode == "restart" else ()
    return Entered(_enrolment(journey, version, user, subject, key, fact), restarted, (_entered_log(journey, fact, facts),))


def _refused_by_file(journey: CompiledJourney, facts: UserFacts, fact: Fact) -> Refusal | None:
    user = facts.user
    if journey.journey.status != "live":
        return _refuse(journey, user, fact, "closed")
    if journey.ends_at is not None and fact.at >= journey.ends_at:
        return _refuse(journey, user, fact, "closed", {"ends_at": journey.ends_at})
    where = journey.entry.where
    if where is not None:
        seen = facts.with_event(fact.event.fields()) if fact.event is not None else facts
        if not where.test(seen):
            return _refuse(journey, user, fact, "where", {"clause": where.text, "values": where.values(seen)})
    return None


def _subject(journey: CompiledJourney, fact: Fact) -> str:
    if not journey.entry.subject:
        return ""
    value = fact.data.get(journey.entry.subject)
    return "" if value is None else str(value)


def _refuse(journey: CompiledJourney, user: User, fact: Fact, reason: str, why: dict[str, Any] | None = None, subject: str = "") -> Refusal:
    return Refusal(journey.id, user.id, reason, fact.at, {"fact": fact.kind, **(why or {})}, subject)


def _enrolment(journey: CompiledJourney, version: int, user: User, subject: str, key: str, fact: Fact) -> Enrolment:
    at = fact.at
    goal_until = at + journey.goal.within if journey.goal else None
    held = held_out(journey, user) if not fact.forced else fact.forced == "out"
    ends = [t for t in (goal_until, journey.ends_at) if t is not None]
    return Enrolment(
        key=key,
        journey=journey.id,
        version=version,
        user_id=user.id,
        subject=subject,
        state=HELD_OUT_STATE if held else journey.first,
        status=HELD_OUT if held else LIVE,
        due_at=min(ends) if held else at,
        begun_at=at,
        entered_at=at,
        goal_until=goal_until,
        context={"entry": dict(fact.data)} if fact.data else {},
    )


def held_out(journey: CompiledJourney, user: User) -> bool:
    """Whether the user is in the journey's hold-out: a draw that never changes; raising the share only adds."""
    return journey.holdout > 0 and bucket(journey.id, user.id) < journey.holdout


def _entered_log(journey: CompiledJourney, fact: Fact, facts: UserFacts) -> LogEntry:
    why: dict[str, Any] = {"fact": fact.kind, "fact_id": fact.id}
    if journey.entry.segment:
        rule = facts.audience.segments[journey.entry.segment]
        why |= {"segment": journey.entry.segment, "clause": rule.text, "values": rule.values(facts)}
    if journey.entry.where is not None:
        where = journey.entry.where
        seen = facts.with_event(fact.event.fields()) if fact.event is not None else facts
        why |= {"where": where.text, "where_values": where.values(seen)}
    return LogEntry(fact.at, "entered", "", why)


def next_date(journey: CompiledJourney, facts: UserFacts, after: int) -> int | None:
    """The next instant after `after` at which the journey's date entry fires for this user, or None."""
    entry = journey.entry
    value = entry.date.test(facts) if entry.date is not None else None
    if value is None:
        return None
    zone = facts.zone
    clock = entry.date_clock if entry.date_clock is not None else 0
    if not entry.anniversary:
        moment = value + entry.offset
        fire = on_local_day(moment, clock, zone) if entry.date_clock is not None else moment
        return fire if fire > after else None
    year = to_datetime(after, zone).year
    for candidate in range(year - 1, year + 3):
        day = to_datetime(local_instant(anniversary_on(candidate, value), 12 * 60, zone) + entry.offset, zone).date()
        fire = local_instant(day, clock, zone)
        if fire > after:
            return fire
    return None
