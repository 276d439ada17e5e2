"""From a loaded file to a CompiledJourney, and the findings on the way. Pure: the same inputs give the same digest."""

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from transitions import Machine

from journeys import model
from journeys.advice import advise
from journeys.audience import Audience, windows_of
from journeys.codes.code import words
from journeys.compiled import (
    ENDED,
    HELD_OUT,
    CompiledJourney,
    CompiledStep,
    EntrySpec,
    ExitRule,
    GoalSpec,
    WaitSpec,
)
from journeys.duration import DAY, parse_duration, parse_time_of_day
from journeys.errors import Finding, JourneyError, did_you_mean, fields_near, near_named
from journeys.expectations import BOTH, CLOCK, CRON, MOMENT, NONE, found_of
from journeys.expression import OF_ONE_PERSON, Call, walk
from journeys.flow import check_flow
from journeys.loader import LoadedJourney
from journeys.localtime import to_instant
from journeys.nesting import MOST_LEVELS
from journeys.rule import Rule
from journeys.schedule import trigger_of, unfit_part
from journeys.scopes import Scopes
from journeys.source import Source
from journeys.steps import Rules, StepReader
from journeys.world import World

LANGUAGE_VERSION = 1


def compile_journey(
    loaded: LoadedJourney, audience: Audience, world: World, zone: ZoneInfo, journeys: frozenset[str] = frozenset()
) -> CompiledJourney:
    """The journey as closures and a machine; raises JourneyError where `analyse` has an error."""
    compiled, findings = analyse(loaded, audience, world, zone, journeys)
    errors = [f.line() for f in findings if f.severity == "error"]
    if compiled is None or errors:
        raise JourneyError("\n".join(errors or ["the file has no journey"]))
    return compiled


def analyse(
    loaded: LoadedJourney, audience: Audience, world: World, zone: ZoneInfo, journeys: frozenset[str] = frozenset()
) -> tuple[CompiledJourney | None, list[Finding]]:
    """All findings of one file, and the compiled journey when none of them is an error."""
    if loaded.journey is None:
        return None, list(loaded.source.findings)
    source = Source(loaded.source.file, loaded.source.text, loaded.source.data, loaded.source.spots, list(loaded.source.findings))
    compiled = _Compiler(source, loaded.journey, audience, world, zone, journeys).compile()
    return (None if any(f.severity == "error" for f in source.findings) else compiled), source.findings


def only_the_goal(loaded: LoadedJourney) -> LoadedJourney:
    """The file without its steps, exits and tests and without who enters: what it takes to count the goal of those who are through."""
    if loaded.journey is None:
        return loaded
    entry = loaded.journey.entry.model_copy(update={"where": None, "user": None, "date": None, "api": None})
    bare = {"entry": entry, "steps": [model.ExitStep(exit="completed")], "exit_when": [], "tests": []}
    return replace(loaded, journey=loaded.journey.model_copy(update=bare))


def digest_of(text: str) -> str:
    """The version's digest: SHA-256 of the source text, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


class _Compiler:
    def __init__(
        self, source: Source, journey: model.Journey, audience: Audience, world: World, zone: ZoneInfo, journeys: frozenset[str]
    ) -> None:
        self.source, self.journey, self.audience, self.zone = source, journey, audience, zone
        self.scopes = Scopes(journey, audience, world, journeys)
        self.rules = Rules(source)
        self.steps = StepReader(source, journey, self.scopes, self.rules, zone)

    def compile(self) -> CompiledJourney:
        journey = self.journey
        steps, first = self.steps.read()
        entry, goal, exits = self._entry(), self._goal(), self._exits()
        self._journey_keys()
        check_flow(self.source, self.steps.placed, steps, first)
        renamed = {p.step.was: p.id for p in self.steps.placed.values() if p.step.was}
        for was in renamed:
            if was in self.steps.placed:
                self.source.report("J076", self.steps.placed[renamed[was]].path, found=was)
        share = float(journey.holdout.removesuffix("%")) if journey.holdout else 0
        compiled = CompiledJourney(
            journey=journey,
            digest=digest_of(self.source.text),
            source=self.source.text,
            zone=self.zone,
            machine=machine_of(steps, first),
            steps=steps,
            first=first,
            entry=entry,
            goal=goal,
            exits=exits,
            holdout=round(share * 100),
            ends_at=self._moment(journey.ends_at, ("ends_at",)),
            max_lateness=parse_duration(journey.max_lateness) if journey.max_lateness else None,
            late_exits=journey.on_late == "exit",
            windows=windows_of(self.rules.all),
            awaited=_awaited(steps, goal, exits),
            renamed=renamed,
        )
        if not any(finding.severity == "error" for finding in self.source.findings):
            advise(self.source, self.steps.placed, compiled, self.scopes.world)
        return compiled

    def _moment(self, text: str | None, path: tuple[str | int, ...]) -> int | None:
        """`2026-12-18 10:00` in the project's zone."""
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.source.report("J013", path, expected=MOMENT, found=found_of(text))
            return None
        return to_instant(moment if moment.tzinfo else moment.replace(tzinfo=self.zone))

    def _entry(self) -> EntrySpec:
        entry = self.journey.entry
        forms = [form for form in entry.FORMS if getattr(entry, form) is not None]
        if "date" in forms and "at" in forms:
            forms.remove("at")
        if len(forms) != 1:
            self.source.report("J015", ("entry",), key=True, expected=", ".join(entry.FORMS), found=", ".join(forms) or NONE)
            return EntrySpec("api")
        form = forms[0]
        self._entry_companions(form)
        events = self.steps.events(entry.event, ("entry", "event")) if entry.event else ()
        if entry.segment is not None and entry.segment not in self.audience.segments:
            self.source.report("J021", ("entry", "segment"), found=entry.segment, **near_named(entry.segment, self.audience.segment_names))
        if form == "segment" and entry.existing is None and self.journey.status == "live":
            self.source.report("J080", ("entry",), key=True)
        named = model.event_names(entry.event)
        where_scope = self.scopes.arriving(named, self.scopes.base) if form == "event" else self.scopes.base
        where = self.rules.condition(entry.where, where_scope, ("entry", "where"))
        if form in ("schedule", "at") or entry.existing == "enrol":
            self._of_everybody(where)
        user = self.rules.user(
            entry.user, self.scopes.entered(), ("entry", "user"), ("text", "list"), words("a user id or a list of ids", "用户 id 或一组 id")
        )
        self._subject(entry, events)
        date, anniversary = self._date(entry)
        clock = parse_time_of_day(entry.at) if form == "date" and entry.at else None
        if form == "date" and entry.at and clock is None:
            self.source.report("J013", ("entry", "at"), expected=CLOCK, found=found_of(entry.at))
        if form == "schedule":
            self._schedule(entry.schedule or "")
        return EntrySpec(
            form=form,
            events=events,
            segment=entry.segment or "",
            schedule=entry.schedule or "",
            at=self._moment(entry.at, ("entry", "at")) if form == "at" else None,
            date=date,
            date_clock=clock,
            anniversary=anniversary,
            where=where,
            user=user,
            subject=entry.subject or "",
            existing=entry.existing or "skip",
            pace=_pace(entry.pace),
            offset=parse_duration(entry.offset) or 0 if entry.offset else 0,
            reentry=self._reentry(entry, form, anniversary=anniversary),
            mode=entry.mode,
        )

    _COMPANIONS = {  # noqa: RUF012 - a constant
        "user": ("event", "api"), "subject": ("event", "api"), "existing": ("segment",), "offset": ("date",),
        "pace": ("segment", "schedule", "at"),
    }  # fmt: skip

    def _entry_companions(self, form: str) -> None:
        for key, forms in self._COMPANIONS.items():
            if getattr(self.journey.entry, key) is not None and form not in forms:
                self.source.report("J085", ("entry", key), key=True, found=key, needs=" / ".join(forms))

    def _of_everybody(self, where: Rule | None) -> None:
        """A population is found by one statement over all users."""
        for node in walk(where.node) if where is not None else ():
            if isinstance(node, Call) and node.function in OF_ONE_PERSON:
                self.source.report("J089", ("entry", "where"), node.function, found=f"{node.function}(…)")
        if where is not None and (levels := self.audience.nesting().too_deep(where.node)):
            self.source.report("J056", ("entry", "where"), found=levels, most=MOST_LEVELS)

    def _subject(self, entry: model.Entry, events: tuple[str, ...]) -> None:
        if entry.subject is None or not events:
            return
        fields = self.audience.event_fields(events)
        if fields.get(entry.subject) not in ("text", "number"):
            hint = did_you_mean(entry.subject, fields)
            self.source.report(
                "J023",
                ("entry", "subject"),
                found=entry.subject,
                event=" or ".join(events),
                hint=hint,
                known=fields_near(entry.subject, fields),
            )

    def _date(self, entry: model.Entry) -> tuple[Rule | None, bool]:
        if entry.date is None:
            return None, False
        rule = self.rules.expression(
            entry.date, self.scopes.base, ("entry", "date"), ("anniversary", "time"), words("an anniversary or a time", "纪念日或时间")
        )
        return rule, rule is not None and getattr(rule.node, "kind", "") == "anniversary"

    def _schedule(self, text: str) -> None:
        try:
            trigger_of(text, self.zone)
        except ValueError:
            self.source.report("J013", ("entry", "schedule"), expected=CRON, found=unfit_part(text))

    @staticmethod
    def _reentry(entry: model.Entry, form: str, *, anniversary: bool) -> int | Literal["once", "always"]:
        if isinstance(entry.reentry, model.Reentry):
            return parse_duration(entry.reentry.after) or 0
        return entry.reentry or ("always" if form == "schedule" or anniversary else "once")

    def _goal(self) -> GoalSpec | None:
        goal = self.journey.goal
        if goal is None:
            return None
        match = self.steps.match(goal.event, goal.where, goal.of, ("goal",), self.scopes.entered(), any_subject=goal.any_subject)
        names = model.event_names(goal.event)
        if self.journey.holdout and set(names) & {"coupon_used", "benefit_used"}:
            self.source.report("J084", ("goal", "event"), found=", ".join(names))
        return GoalSpec(match, parse_duration(goal.within) or DAY, goal.then == "exit")

    def _exits(self) -> tuple[ExitRule, ...]:
        rules: list[ExitRule] = []
        for index, item in enumerate(self.journey.exit_when):
            path, scope = ("exit_when", index), self.scopes.entered()
            if (item.event is None) == (item.when is None):
                found = BOTH if item.event else NONE
                self.source.report("J015", path, expected="event, when", found=found)
                continue
            if item.event is None:
                rules.append(ExitRule(None, self.rules.condition(item.when, scope, (*path, "when")), item.reason))
                continue
            match = self.steps.match(item.event, item.where, item.of, path, scope, any_subject=item.any_subject)
            rules.append(ExitRule(match, None, item.reason))
        return tuple(rules)

    def _journey_keys(self) -> None:
        journey, report = self.journey, self.source.report
        self.source.report_lost(("name",), journey.name)
        self.source.report_lost(("description",), journey.description)
        if journey.holdout and journey.goal is None:
            report("J081", ("holdout",), key=True)
        if journey.holdout and journey.purpose == "service":
            report("J082", ("holdout",), key=True)
        if journey.on_late and not journey.max_lateness:
            report("J086", ("on_late",), key=True)
        if journey.purpose == "marketing" and journey.goal is None and journey.status == "live":
            report("J087", ("id",), key=True)


def _pace(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    count, _, per = text.partition(" per ")
    return int(count), parse_duration(per) or DAY


def _awaited(steps: dict[str, CompiledStep], goal: GoalSpec | None, exits: tuple[ExitRule, ...]) -> frozenset[str]:
    names: set[str] = set(goal.match.names if goal else ())
    for rule in exits:
        names.update(rule.match.names if rule.match else ())
    for step in steps.values():
        if isinstance(step.spec, WaitSpec):
            names.update(name for case in step.spec.cases for name in case.names)
    return frozenset(names)


def machine_of(steps: dict[str, CompiledStep], first: str) -> Machine:
    """One machine per version: it knows every state and legal move; nobody is ever registered with it."""
    states = [*steps, HELD_OUT, ENDED]
    moves: list[Any] = [[trigger, step.id, to] for step in steps.values() for trigger, to in step.moves.items()]
    live = [*steps, HELD_OUT]
    ends: list[Any] = [[trigger, live, ENDED] for trigger in ("goal_reached", "left", "closed")]
    return Machine(model=None, states=states, transitions=[*moves, *ends], initial=first, auto_transitions=False, send_event=True)


def table_of(machine: Machine) -> dict[tuple[str, str], str]:
    """The machine's (state, trigger) → state table, for the hot path."""
    return {
        (source, name): str(transitions[0].dest)
        for name, event in machine.events.items()
        for source, transitions in event.transitions.items()
    }
