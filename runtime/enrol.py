"""Who may enter a journey: re-entry, mode, subject, hold-out, pace. Pure; every refusal has a reason."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from journeys.audience import Audience
from journeys.compiled import ENDED as ENDED_STATE
from journeys.compiled import HELD_OUT as HELD_OUT_STATE
from journeys.compiled import CompiledJourney
from journeys.duration import format_duration
from journeys.localtime import anniversary_on, local_instant, on_local_day, to_datetime
from journeys.rule import Rule
from runtime.facts import UserFacts
from runtime.state import (
    ENDED,
    HELD_OUT,
    LIVE,
    Decision,
    Enrolment,
    Entered,
    Fact,
    LogEntry,
    NeedsWindow,
    Refusal,
    User,
    Window,
    bucket,
    stable_key,
    subject_text,
)


def enrol(
    journey: CompiledJourney, version: int, facts: UserFacts, fact: Fact, open_: Sequence[Enrolment], *, project_holdout: int,
    window: Window | None = None, leads: Mapping[str, str] | None = None,
) -> Entered | Refusal | NeedsWindow:  # fmt: skip
    """Let a user in, or say why not.

    `facts` is the user at the fact's moment; `open_` are the user's enrolments of this journey, ended ones too,
    for as far back as re-entry looks. The new enrolment's timer is due at once. The pace is asked last: who is refused
    anyway does not use it up. Without the `window` of a paced journey the answer is NeedsWindow where it would matter. `leads` are
    former ids among the subjects with whom they lead to: one friend under two ids is one subject.
    """
    entry, user, at = journey.entry, facts.user, fact.at
    refusal = _refused_by_file(journey, facts, fact)
    if refusal is not None:
        return refusal
    subject = subject_of(journey, fact)
    same = leads or {}
    mine = [e for e in open_ if same.get(e.subject, e.subject) == same.get(subject, subject)]
    key = stable_key(journey.id, user.id, subject, fact.id)
    keys = {key, *(stable_key(journey.id, former, subject, fact.id) for former in user.former)}
    refused = refused_by_past(journey, user.id, keys, mine, at, project_holdout=0 if fact.forced == "in" else project_holdout)
    if refused is not None:
        return _refuse(journey, user, fact, *refused)
    if fact.event is not None and fact.event.type == "journey_ended" and any(e.entered_at == at for e in mine):
        # journeys whose ends let each other in would go on for ever in this very moment
        return _refuse(journey, user, fact, "reentry", {"last_entry": at, "again_from": at + 1})
    if entry.pace is not None:
        if window is None:
            return NeedsWindow()
        most, length = entry.pace
        if window.taken >= most:
            why = {"pace": f"{most} per {format_duration(length)}", "window_from": window.begun_at, "again_from": window.until}
            return _refuse(journey, user, fact, "pace", why)
    held = held_out(journey, user.id) if not fact.forced else fact.forced == "out"
    restarted = tuple(e for e in mine if e.status in (LIVE, HELD_OUT)) if entry.mode == "restart" else ()
    enrolment = enrolment_of(journey, version, user.id, subject, key, fact, held=held)
    return Entered(enrolment, restarted, (_entered_log(journey, fact, facts, held=held),))


def closed_at(journey: CompiledJourney, at: int) -> dict[str, Any] | None:
    """Why nobody enters at that instant: nothing more to say for a journey that is not live, or when it ended; None while it is open."""
    if journey.journey.status != "live":
        return {}
    return {"ends_at": journey.ends_at} if journey.ends_at is not None and at >= journey.ends_at else None


def refused_by_past(
    journey: CompiledJourney, user_id: str, keys: Collection[str], mine: Sequence[Enrolment], at: int, *, project_holdout: int
) -> tuple[str, dict[str, Any]] | None:
    """The reason and the why when the user's own entries (`mine`, of this subject), or the project's hold-out, forbid another.

    `keys` are what this entry has or would have had under a former id: an entry happens once.
    """
    entry = journey.entry
    if any(e.key in keys for e in mine):
        return "duplicate", {}
    if project_holdout and bucket("project", user_id) < project_holdout:
        return "holdout", {}
    live = next((e for e in mine if e.status in (LIVE, HELD_OUT)), None)
    if live is not None and entry.mode == "single":
        return "mode", {"inside_since": live.entered_at}
    last = max((e.entered_at for e in mine), default=None)
    if last is not None and entry.reentry == "once":
        return "reentry", {"last_entry": last, "reentry": "once"}
    if last is not None and isinstance(entry.reentry, int) and at - last < entry.reentry:
        return "reentry", {"last_entry": last, "again_from": last + entry.reentry}
    return None


def _refused_by_file(journey: CompiledJourney, facts: UserFacts, fact: Fact) -> Refusal | None:
    user = facts.user
    closed = closed_at(journey, fact.at)
    if closed is not None:
        return _refuse(journey, user, fact, "closed", closed)
    where = journey.entry.where
    if where is not None:
        seen = facts.with_event(fact.event.fields()) if fact.event is not None else facts
        if not where.test(seen):
            return _refuse(journey, user, fact, "where", {"clause": where.text, "values": where.values(seen)})
    return None


def subject_of(journey: CompiledJourney, fact: Fact) -> str:
    """What an entry would be about; "" where the journey has no subject, or the fact none."""
    return subject_text(fact.data.get(journey.entry.subject)) if journey.entry.subject else ""


def _refuse(journey: CompiledJourney, user: User, fact: Fact, reason: str, why: dict[str, Any]) -> Refusal:
    about = {"subject": subject} if (subject := subject_of(journey, fact)) else {}
    return Refusal(journey.id, user.id, reason, fact.at, {"fact": fact.kind, **about, **why})


def enrolment_of(
    journey: CompiledJourney, version: int, user_id: str, subject: str, key: str, fact: Fact, *, held: bool
) -> Enrolment:  # fmt: skip
    """The new enrolment: live and due at once, or held out until its goal's window or the journey ends (with neither, no longer)."""
    at = fact.at
    goal_until = at + journey.goal.within if journey.goal else None
    ends = [t for t in (goal_until, journey.ends_at) if t is not None]
    return Enrolment(
        key=key,
        journey=journey.id,
        version=version,
        user_id=user_id,
        subject=subject,
        state=HELD_OUT_STATE if held else journey.first,
        status=HELD_OUT if held else LIVE,
        due_at=min(ends, default=at) if held else at,
        begun_at=at,
        entered_at=at,
        goal_until=goal_until,
        context=({"entry": dict(fact.data)} if fact.data else {}) | ({"held_out": True} if held else {}),
    )


def replaced(enrolment: Enrolment, at: int) -> Decision:
    """The end of an enrolment whose user enters anew at an instant (`mode: restart`)."""
    at = max(at, enrolment.begun_at)
    over = replace(enrolment, status=ENDED, state=ENDED_STATE, due_at=None, ended_at=at, ended_by="restarted")
    return Decision(over, [LogEntry(at, "ended", "", {"reason": "restarted"})], cancel_pending=True)


def was_held_out(enrolment: Enrolment) -> bool:
    """Whether it was measured, and never messaged; also after its end."""
    return enrolment.status == HELD_OUT or "held_out" in enrolment.context


def held_out(journey: CompiledJourney, user_id: str) -> bool:
    """Whether the user is in the journey's hold-out: a draw that never changes; raising the share only adds."""
    return journey.holdout > 0 and bucket(journey.id, user_id) < journey.holdout


def _entered_log(journey: CompiledJourney, fact: Fact, facts: UserFacts, *, held: bool) -> LogEntry:
    seen = facts.with_event(fact.event.fields()) if fact.event is not None else facts
    segment, where = deciding(journey, facts.audience)
    values, where_values = segment.values(facts) if segment else None, where.values(seen) if where else None
    return entered_log(journey, fact, values, where_values, facts.audience, held=held)


def deciding(journey: CompiledJourney, audience: Audience) -> tuple[Rule | None, Rule | None]:
    """The conditions that let somebody in: the segment's, and the entry's own `where`."""
    segment = audience.segments[journey.entry.segment] if journey.entry.segment else None
    return segment, journey.entry.where


def entered_log(
    journey: CompiledJourney, fact: Fact, values: Any, where_values: Any, audience: Audience, *, held: bool
) -> LogEntry:  # fmt: skip
    """What the log says of an entry: the fact, the clauses with their values then, and whether it was into the hold-out."""
    why: dict[str, Any] = {"fact": fact.kind, "fact_id": fact.id}
    segment, where = deciding(journey, audience)
    if segment is not None:
        why |= {"segment": journey.entry.segment, "clause": segment.text, "values": values}
    if where is not None:
        why |= {"where": where.text, "where_values": where_values}
    if held:
        why["held_out"] = True
    return LogEntry(fact.at, "entered", "", why)


class Fire(NamedTuple):
    """A date entry lets somebody in at an instant. `id` says which date it is: one of a year, or that very time; an edit of the hour or
    a move to another zone is no other date, and neither is a birthday that she tells anew.
    """

    at: int
    id: str


def next_date(journey: CompiledJourney, facts: UserFacts, after: int) -> Fire | None:
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
        return Fire(fire, f"date@{value}") if fire > after else None
    year = to_datetime(after, zone).year
    for candidate in range(year - 1, year + 3):
        day = to_datetime(local_instant(anniversary_on(candidate, value), 12 * 60, zone) + entry.offset, zone).date()
        fire = local_instant(day, clock, zone)
        if fire > after:
            return Fire(fire, f"date@{candidate}")
    return None
