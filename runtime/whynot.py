"""Why somebody is not in a journey, or got nothing by it: each thing that has to hold, with what it needs and what it is. Pure.

What was decided then is kept with its reason, and is a fact; what is evaluated here is how it would be now.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from journeys.clauses import Clause, KeptFacts, Meaning, clauses_of, turns_at
from journeys.compiled import CompiledJourney, CompiledStep, ExitSpec, PositionSpec, SendSpec
from journeys.duration import format_duration
from journeys.evaluate import leaves_of
from journeys.expression import Name
from journeys.lineage import comes_after
from journeys.rule import Rule
from journeys.schedule import next_fire
from runtime.catalogue import Versioned
from runtime.enrol import closed_at, held_out, next_date, refused_by_past
from runtime.facts import UserFacts
from runtime.policy import Cap, Hold, Sending, can_reach, may_send
from runtime.portrait import consents_of
from runtime.present import Present
from runtime.state import Enrolment, Event, Window, bucket, subject_text


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that has to hold. `code` is stable; `held` is None where what is kept does not tell. `told` is what its sentence says.

    `path` leads to the key of the journey's file that asks for it. `changes_at` is when time alone would turn it.
    """

    code: str
    held: bool | None
    told: Mapping[str, Any] = field(default_factory=dict)
    clauses: tuple[Clause, ...] = ()
    path: tuple[str | int, ...] = ()
    changes_at: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One position of one send, as it would be asked now."""

    step: str
    channel: str
    template: str | None
    purpose: str
    requirements: tuple[Requirement, ...]

    @property
    def is_open(self) -> bool:
        """Whether a message would go out now."""
        return all(r.held is not False for r in self.requirements)


@dataclass(frozen=True, slots=True)
class Last:
    """What is kept of what could have let her in: her newest event of the right types, edges of the segment, entries of everybody.

    `since` is from when on the journey has let in by that event or segment without a gap, `edge_at` when she entered the segment
    last, `window` the pace's, `fired_at` the last fire of the schedule. `existing` is (has been looked at) where an entry of those in
    the segment is known, else None; `outside_then` that she was not in it by the rule of that moment (`existing_at`), `queue_stands`
    that nobody can tell any more who was. `by_edit` is the release by whose definition she is in the segment without having entered it.
    """

    since: int
    event: Event | None = None
    is_history: bool = False
    keeps_events: str = ""
    edge_at: int | None = None
    existing: bool | None = None
    existing_at: int | None = None
    outside_then: bool = False
    queue_stands: bool = False
    window: Window | None = None
    fired_at: int | None = None
    by_edit: int | None = None


def meaning_of(present: Present) -> Meaning:
    """What the names of conditions stand for in the audience in force."""
    audience = present.catalogue.audience
    return Meaning(audience.segments, {n: trait.value for n, trait in audience.traits.items() if trait.value is not None})


def entry_of(present: Present, versioned: Versioned, last: Last, past: Sequence[Enrolment]) -> list[Requirement]:
    """Everything that has to hold for an entry now, in the order in which it is asked."""
    asked = _Asked(present, versioned, last)
    return [*asked.journey(), *asked.fact(), *asked.where(), *asked.past(past), *asked.draws()]


class _Asked:
    """The questions of one journey about one user."""

    def __init__(self, present: Present, versioned: Versioned, last: Last) -> None:
        self.present, self.journey_, self.last = present, versioned.journey, last
        event = last.event.fields() if last.event is not None else {}
        self.event, self.purpose = event, versioned.journey.journey.purpose
        self.meaning = meaning_of(present)

    def facts_at(self, at: int) -> UserFacts:
        return self.present.facts(at, entry=self.event, event=self.event, purpose=self.purpose)

    def rule(self, code: str, rule: Rule, told: Mapping[str, Any], *path: str | int) -> Requirement:
        now = self.present.now
        facts = self.facts_at(now)
        held = bool(rule.test(facts))
        clauses = tuple(clauses_of(rule.node, facts, self.meaning, self.facts_at))
        return Requirement(
            code, held, {**told, "clause": rule.text}, clauses, path, turns_at(rule.node, self.meaning, self.facts_at, now, to=not held)
        )

    def journey(self) -> Iterable[Requirement]:
        journey, now = self.journey_, self.present.now
        status = journey.journey.status
        yield Requirement("status", status == "live", {"status": status}, path=("status",))
        if journey.ends_at is not None:
            yield Requirement(
                "ends_at", status != "live" or closed_at(journey, now) is None, {"ends_at": journey.ends_at}, path=("ends_at",)
            )
        pause = self.present.pauses.get(journey.id)
        if pause is not None:
            told = {"since": pause.paused_at, "author": pause.paused_by, "reason": pause.reason, "journey": journey.id}
            yield Requirement("paused", held=False, told=told)

    def fact(self) -> Iterable[Requirement]:
        """What lets people in."""
        entry, now, last = self.journey_.entry, self.present.now, self.last
        if entry.form == "event":
            yield self._event()
        elif entry.form == "segment":
            yield from self._segment()
        elif entry.form == "schedule":
            following = next_fire(entry.schedule, self.journey_.zone, now)
            yield Requirement("schedule", None, {"schedule": entry.schedule, "last": last.fired_at, "next": following}, path=("entry",))
        elif entry.form == "at" and entry.at is not None:
            yield Requirement("at", None if now < entry.at else False, {"at": entry.at}, path=("entry",))
        elif entry.form == "date" and entry.date is not None:
            facts = self.facts_at(now)
            fire = next_date(self.journey_, facts, now)
            told = {"name": entry.date.text, "value": entry.date.test(facts), "next": fire.at if fire is not None else None}
            yield Requirement("date", None if fire is not None else False, told, path=("entry",), changes_at=told["next"])
        else:
            yield Requirement("api", None, path=("entry",))

    def _event(self) -> Requirement:
        entry, event, last = self.journey_.entry, self.last.event, self.last
        told: dict[str, Any] = {"events": " / ".join(entry.events), "keeps": last.keeps_events}
        if entry.user is not None:
            return Requirement("event_elsewhere", None, {**told, "user": entry.user.text}, path=("entry",))
        if event is None:
            return Requirement("event", held=False, told={**told, "problem": "none"}, path=("entry",))
        told |= {"at": event.time, "since": last.since}
        problem = "history" if last.is_history else "before" if event.received_at < last.since else ""
        return Requirement("event", not problem, {**told, "problem": problem}, path=("entry",))

    def _segment(self) -> Iterable[Requirement]:
        entry, last, audience = self.journey_.entry, self.last, self.present.catalogue.audience
        name = entry.segment
        told = {"segment": name, "name": audience.segment_names.get(name, name), "edge_at": last.edge_at, "by_edit": last.by_edit}
        inside = self.rule("segment", audience.segments[name], told, "entry", "segment")
        yield inside
        if not inside.held:
            return
        told |= {"since": last.since, "existing": entry.existing}
        if last.edge_at is not None and last.edge_at >= last.since:  # what that edge came to was decided then
            yield Requirement("edge", held=False, told=told, path=("entry",))
        elif entry.existing == "skip":
            yield Requirement("existing_skip", held=False, told=told, path=("entry", "existing"))
        else:
            problem = "outside" if last.outside_then else "stands" if last.queue_stands and not last.existing else ""
            told |= {"live_at": last.existing_at, "problem": problem}
            yield Requirement("existing_enrol", False if problem else last.existing, told, path=("entry", "existing"))

    def where(self) -> Iterable[Requirement]:
        where = self.journey_.entry.where
        if where is not None:
            reads_event = any(isinstance(leaf, Name) and leaf.root in ("event", "entry") for leaf in leaves_of(where.node).values())
            told = {"with_event": reads_event, "at": self.last.event.time if self.last.event is not None else None}
            yield self.rule("where", where, told, "entry", "where")

    def past(self, past: Sequence[Enrolment]) -> Iterable[Requirement]:
        entry, now = self.journey_.entry, self.present.now
        subject = subject_text(self.event.get(entry.subject)) if entry.subject else ""
        mine = [e for e in past if e.subject == subject]
        per = {"subject": subject, "field": entry.subject}  # both count for each value of its own: another one lets her in
        refused = refused_by_past(self.journey_, self.present.user.id, (), mine, now, project_holdout=0)
        if refused is not None:
            reason, why = refused
            yield Requirement(reason, held=False, told={**per, **why}, path=("entry", reason), changes_at=why.get("again_from"))
        elif mine:
            rule = entry.reentry if isinstance(entry.reentry, str) else format_duration(entry.reentry)
            told = {**per, "last_entry": max(e.entered_at for e in mine), "reentry": rule}
            yield Requirement("reentry", held=True, told=told, path=("entry", "reentry"))

    def draws(self) -> Iterable[Requirement]:
        journey, user_id, now = self.journey_, self.present.user.id, self.present.now
        share, place = self.present.reach.rules.holdout, bucket("project", user_id)
        if share:
            yield Requirement("project_holdout", place >= share, {"share": share / 100, "place": place / 100})
        window = self.last.window
        if journey.entry.pace is not None:
            most, length = journey.entry.pace
            taken = window.taken if window is not None and now < window.until else 0
            until = window.until if window is not None and taken >= most else None
            told = {"most": most, "length": format_duration(length), "taken": taken, "until": until}
            yield Requirement("pace", taken < most, told, path=("entry", "pace"), changes_at=until)
        if journey.holdout:
            told = {"share": journey.holdout / 100, "place": bucket(journey.id, user_id) / 100}
            yield Requirement("own_holdout", not held_out(journey, user_id), told, path=("holdout",))


# --- whether a message would go out


def ways_of(present: Present, versioned: Versioned) -> list[Way]:
    """Every position of every send of a journey, asked now as if she stood there: what the step's own path decides is left out."""
    journey = versioned.journey
    found: list[Way] = []
    for step in journey.steps.values():
        if isinstance(step.spec, SendSpec) and step.spec.to is None and step.spec.robot is None:
            found += [
                Way(step.id, p.channel, p.template, step.spec.purpose, _asked_of(present, journey, step, step.spec, p))
                for p in step.spec.positions
            ]
    return found


def _asked_of(
    present: Present, journey: CompiledJourney, step: CompiledStep, spec: SendSpec, position: PositionSpec
) -> tuple[Requirement, ...]:
    found: list[Requirement] = []
    facts = present.facts(purpose=journey.journey.purpose)  # as the walk asks: has_consent() in a rule is about the journey's purpose
    meaning = meaning_of(present)
    for exit_, rule in _exits_before(journey, step):
        if rule.test(facts):
            told = {"clause": rule.text, "exit": exit_}
            found.append(Requirement("exit", held=False, told=told, clauses=tuple(clauses_of(rule.node, facts, meaning))))
    if step.only_if is not None and _is_of_now(step.only_if):
        clauses = tuple(clauses_of(step.only_if.node, facts, meaning))
        found.append(Requirement("if", bool(step.only_if.test(facts)), {"clause": step.only_if.text}, clauses))
    if spec.purpose == "marketing":
        for name, rule in present.catalogue.audience.stops:
            holds = bool(rule.test(facts))
            clauses = tuple(clauses_of(rule.node, facts, meaning)) if holds else ()
            over_at = turns_at(rule.node, meaning, present.facts, present.now, to=False) if holds else None
            found.append(Requirement("stop", not holds, {"stop": name, "clause": rule.text}, clauses, changes_at=over_at))
    person, channel = present.person, position.channel
    no_way = can_reach(person, channel, position.template, spec.purpose)
    how = consents_of(present).get(channel, {}).get(spec.purpose, "")
    found.append(Requirement("consent", no_way != "no_consent", {"channel": channel, "purpose": spec.purpose, "how": how}))
    if no_way == "unreachable":
        found.append(Requirement("address", held=False, told={"channel": channel}))
    if no_way == "no_credit":
        found.append(Requirement("credit", held=False, told={"template": position.template}))
    if no_way is None:
        found += _windows(present, spec, position)
        found += _caps(present, spec, channel)
    for circuit in present.held:
        if circuit.lane == channel and circuit.template in ("", position.template or ""):
            found.append(
                Requirement("channel_held", held=False, told={"channel": channel, "since": circuit.opened_at, "reason": circuit.reason})
            )
    return tuple(found)


def _exits_before(journey: CompiledJourney, step: CompiledStep) -> Iterable[tuple[str, Rule]]:
    """The exits with a condition that nobody gets past to this step, and the conditions of `exit_when`, by their reasons."""
    for rule in journey.exits:
        if rule.when is not None and _is_of_now(rule.when):
            yield rule.reason, rule.when
    for other in journey.steps.values():
        if not isinstance(other.spec, ExitSpec) or other.only_if is None or not _is_of_now(other.only_if):
            continue
        if step.id not in comes_after(journey, journey.first, without=other.id) | {journey.first}:
            yield other.spec.reason, other.only_if


def _is_of_now(rule: Rule) -> bool:
    """Whether it can be asked now: it does not depend on what happens inside the journey."""
    return not any(isinstance(leaf, Name) and leaf.root in ("steps", "entry") for leaf in leaves_of(rule.node).values())


def _windows(present: Present, spec: SendSpec, position: PositionSpec) -> Iterable[Requirement]:
    sending = Sending(position.channel, position.template, spec.purpose, None, spec.between, None)
    answer = may_send(present.reach.rules, present.person, sending, present.now)
    if isinstance(answer, Hold):
        yield Requirement("window", held=False, told={"reason": answer.reason}, changes_at=answer.until)


def _caps(present: Present, spec: SendSpec, channel: str) -> Iterable[Requirement]:
    rules, person, now = present.reach.rules, present.person, present.now
    for cap in rules.caps:
        if cap.applies(spec.purpose, spec.topic) and cap.covers(channel, spec.purpose, spec.topic):
            used = _used(cap, present)
            told = {"cap": str(cap), "used": used, "most": cap.most, "since": cap.starts(now, person.zone)}
            yield Requirement("cap", used < cap.most, told)


def _used(cap: Cap, present: Present) -> int:
    person = present.person
    start = cap.starts(present.now, person.zone)
    return sum(1 for t in person.touches if t.at > start and cap.covers(t.channel, t.purpose, t.topic))


# --- what was decided then


def decided_then(refusal: Mapping[str, Any], versions: Iterable[Versioned]) -> tuple[Clause, ...]:
    """The clauses of a kept refusal with the values then; empty where they are not kept, or the version cannot be read any more."""
    why = refusal["why"]
    if not isinstance(why, dict) or not why.get("clause") or why.get("values") is None:
        return ()
    text, values = why["clause"], why["values"]
    rules = (v.journey.entry.where for v in versions)
    rule = next((r for r in rules if r is not None and r.text == text), None)
    return tuple(clauses_of(rule.node, KeptFacts(values, refusal["last_at"]), Meaning())) if rule is not None else ()
