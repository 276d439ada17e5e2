"""From the steps of a file to compiled steps: nested lists become one table of moves from step to step."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from journeys import model
from journeys.certainty import report_covered
from journeys.codes.code import Words, words
from journeys.compiled import (
    ENDED,
    BranchSpec,
    CallSpec,
    CompiledStep,
    DelaySpec,
    EventMatch,
    ExitSpec,
    GotoSpec,
    GrantSpec,
    Moment,
    SendSpec,
    Spec,
    SplitSpec,
    UpdateSpec,
    WaitSpec,
)
from journeys.contents import ContentReader
from journeys.doubts import doubts_of
from journeys.duration import DAY, MINUTE, parse_duration, parse_time_of_day, parse_window
from journeys.errors import did_you_mean, near
from journeys.expectations import CLOCK, IF_MISSING, KINDS, NONE, OWN_NAME, USER_ID, WEIGHT, clock_meant, found_of, twice
from journeys.expression import Const, Name, Node, Problem, Scope, kind_of, parse_condition, parse_expression
from journeys.rule import Rule, rule_of, through
from journeys.scopes import Scopes
from journeys.source import Path_, Source
from journeys.template import Template, parse_template
from journeys.values import LONGEST_USER, ValueType, is_id

_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{1,2}")
_NEVER = rule_of("false", Const(value=False, kind="boolean"), {})


@dataclass
class Placed:
    """A step of the file with its path, its id (made up for exits without one) and what follows it."""

    step: model.StepBase
    path: Path_
    id: str
    named: bool
    follows: str
    moves: dict[str, str] = field(default_factory=dict)


class Rules:
    """Compiles the expressions of one file and reports what is wrong where it stands."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.all: list[Rule] = []

    def report(self, problems: list[Problem], path: Path_) -> None:
        """Findings for problems of the text at a path."""
        for problem in problems:
            self.source.report(problem.code, path, problem.word, **problem.params)

    def condition(self, text: str | None, scope: Scope, path: Path_) -> Rule | None:
        """A rule that is true or false."""
        if text is None:
            return None
        node, problems = parse_condition(text, scope)
        self.report(problems or doubts_of(text, node, scope), path)
        return self._kept(rule_of(text, node, scope.times)) if node is not None else None

    def expression(self, text: str | None, scope: Scope, path: Path_, kinds: tuple[ValueType, ...], expected: Words) -> Rule | None:
        """A rule whose value has one of these types."""
        if text is None:
            return None
        node, problems = parse_expression(text, scope)
        self.report(problems, path)
        if node is None:
            return None
        if kind_of(node) not in (*kinds, "any"):
            self.source.report("J043", path, function=text, expected=expected, found=KINDS[kind_of(node)])
            return None
        return self._kept(rule_of(text, node, scope.times))

    def user(
        self, text: str | None, scope: Scope, path: Path_, kinds: tuple[ValueType, ...] = ("text",), expected: Words = USER_ID
    ) -> Rule | None:
        """A rule that names users. What nobody can be called (a text of a page) is missing."""
        rule = self.expression(text, scope, path, kinds, expected)
        return through(rule, _ids_of) if rule is not None else None

    def text(self, text: str, scope: Scope, path: Path_) -> Template | None:
        """A text with {{ }}."""
        template, problems = parse_template(text, scope)
        self.report(problems, path)
        return template

    def _kept(self, rule: Rule) -> Rule:
        self.all.append(rule)
        return rule


def _ids_of(found: Any) -> Any:
    if isinstance(found, list):
        return [one for one in found if is_id(one, LONGEST_USER)]
    return found if is_id(found, LONGEST_USER) else None


class StepReader:
    """Compiles all steps of one journey."""

    def __init__(self, source: Source, journey: model.Journey, scopes: Scopes, rules: Rules, zone: ZoneInfo) -> None:
        self.source, self.journey, self.scopes, self.rules, self.zone = source, journey, scopes, rules, zone
        self.placed: dict[str, Placed] = {}
        self.first_lines: dict[str, int] = {}
        self.results: dict[str, Mapping[str, ValueType]] = {}
        self.contents = ContentReader(source, scopes.world)

    def read(self) -> tuple[dict[str, CompiledStep], str]:
        """The steps by id in the order of the file, and the first step's id."""
        first = self._place_list(self.journey.steps, ("steps",), ENDED)
        self.results = {p.id: self.scopes.result_of(p.step) for p in self.placed.values() if p.named}
        self._jumps()
        compiled: dict[str, CompiledStep] = {}
        for index, placed in enumerate(self.placed.values()):
            scope = self.scopes.inside(self.results)
            only_if = self.rules.condition(placed.step.if_, scope, (*placed.path, "if"))
            spec = self._spec(placed, scope)
            if placed.step.if_ is not None:
                placed.moves["pass"] = placed.follows
            line = self.source.place(placed.path).line
            kind = model.kind_name(placed.step)
            origin = placed.step.was or placed.id
            compiled[placed.id] = CompiledStep(placed.id, kind, index, line, only_if, spec, placed.moves, origin, placed.named)
        return compiled, first

    # --- placing: ids and what follows what

    def _place_list(self, steps: Sequence[model.StepBase], path: Path_, follows: str) -> str:
        """Place a list of steps; returns the id of its first, or `follows` when it is empty."""
        ids = [self._identify(step, (*path, index)) for index, step in enumerate(steps)]
        entries: list[Placed] = []
        for index, (step, (identifier, named)) in enumerate(zip(steps, ids, strict=True)):
            after = ids[index + 1][0] if index + 1 < len(ids) else follows
            placed = Placed(step, (*path, index), identifier, named, after)
            self.placed.setdefault(identifier, placed)
            entries.append(placed)
            self._place_nested(placed)
        return ids[0][0] if ids else follows

    def _identify(self, step: model.StepBase, path: Path_) -> tuple[str, bool]:
        line = self.source.place(path).line
        if step.id is None:
            kind = model.kind_name(step)
            if not isinstance(step, model.ExitStep):
                self.source.report("J075", path, found=kind)
            base = f"exit:{step.exit}" if isinstance(step, model.ExitStep) else f"{kind}:{line}"
            identifier, count = base, 1
            while identifier in self.first_lines:
                count += 1
                identifier = f"{base}#{count}"
            self.first_lines[identifier] = line
            return identifier, False
        if step.id in self.first_lines:
            self.source.report("J070", (*path, "id"), found=step.id, first=self.first_lines[step.id])
            return f"{step.id}#{line}", False
        self.first_lines[step.id] = line
        return step.id, True

    def _place_nested(self, placed: Placed) -> None:  # noqa: C901 - one short arm per kind of step
        step, path, follows, moves = placed.step, placed.path, placed.follows, placed.moves

        def nested(steps: list[Any] | None, *where: str | int) -> str:
            return self._place_list(steps, (*path, *where), follows) if steps is not None else follows

        if isinstance(step, model.ExitStep):
            moves["exit"] = ENDED
        elif isinstance(step, model.BranchStep):
            for index, case in enumerate(step.branch):
                moves[f"case_{index + 1}"] = nested(case.steps, "branch", index, "steps")
            moves["otherwise"] = nested(step.otherwise, "otherwise")
        elif isinstance(step, model.SplitStep):
            for index, variant in enumerate(step.split):
                moves[f"variant_{variant.name}"] = nested(variant.steps, "split", index, "steps")
        elif isinstance(step, model.WaitStep):
            self._place_wait(step, moves, nested)
        elif isinstance(step, model.GrantStep | model.CallStep):
            moves["ok"] = follows
            takes_default = isinstance(step, model.CallStep) and step.call.default is not None
            if not takes_default:
                moves["failed"] = nested(step.on_failed, "on_failed") if step.on_failed is not None else ENDED
            elif step.on_failed is not None:
                self.source.report("J085", (*path, "on_failed"), key=True, found="on_failed", needs="no default")
            moves["skip"] = follows
        elif isinstance(step, model.SendStep):
            moves |= {"done": follows, "skip": follows}
        elif isinstance(step, model.DelayStep):
            moves["done"] = follows
            until = step.delay if isinstance(step.delay, model.Until) else None
            if until and "exit" in (until.if_missing, until.if_past):
                moves["exit"] = ENDED
        elif not isinstance(step, model.GotoStep):
            moves["done"] = follows

    def _place_wait(self, step: model.WaitStep, moves: dict[str, str], nested: Callable[..., str]) -> None:
        wait = step.wait_for
        if wait.any_of is not None:
            for index, case in enumerate(wait.any_of):
                moves[f"event_{index + 1}"] = nested(case.steps, "wait_for", "any_of", index, "steps")
        else:
            moves["event_1"] = nested(step.on_event, "on_event")
        moves["timeout"] = nested(step.on_timeout, "on_timeout")

    def _jumps(self) -> None:
        order = {identifier: index for index, identifier in enumerate(self.placed)}
        for placed in self.placed.values():
            if not isinstance(placed.step, model.GotoStep):
                continue
            goto, path = placed.step.goto, (*placed.path, "goto")
            placed.moves["done"] = placed.follows
            if goto.step not in order or not self.placed[goto.step].named:
                named = [p.id for p in self.placed.values() if p.named]
                self.source.report("J031", (*path, "step"), found=goto.step, hint=did_you_mean(goto.step, named))
                continue
            placed.moves["jump"] = goto.step
            back = order[goto.step] <= order[placed.id]
            if back and goto.max_visits is None:
                self.source.report("J073", path, key=True, found=goto.step)
            if not back:
                del placed.moves["done"]
                if goto.max_visits is not None:
                    self.source.report("J074", (*path, "max_visits"), key=True, found=goto.step)

    # --- the meaning of each kind

    def _spec(self, placed: Placed, scope: Scope) -> Spec:
        """The step's spec; parts that are wrong are reported and stand in as never or nothing, so that the flow stays whole."""
        step, path = placed.step, placed.path
        if isinstance(step, model.SendStep):
            return self._send(step, path, scope)
        if isinstance(step, model.DelayStep):
            return self._delay(step, path, scope)
        if isinstance(step, model.WaitStep):
            return self._wait(step, path, scope)
        if isinstance(step, model.BranchStep):
            rules = [self.rules.condition(c.when, scope, (*path, "branch", i, "when")) for i, c in enumerate(step.branch)]
            report_covered(self.source, [((*path, "branch", i, "when"), rule) for i, rule in enumerate(rules)])
            return BranchSpec(tuple(r or _NEVER for r in rules))
        if isinstance(step, model.SplitStep):
            return self._split(step, path)
        if isinstance(step, model.GrantStep):
            return self._grant(step, path, scope)
        if isinstance(step, model.UpdateStep):
            return self._update(step, path, scope)
        if isinstance(step, model.CallStep):
            return self._call(step, path, scope)
        if isinstance(step, model.GotoStep):
            return GotoSpec(step.goto.step, step.goto.max_visits)
        assert isinstance(step, model.ExitStep)  # noqa: S101 - the last of a closed union
        return ExitSpec(step.exit)

    def _send(self, step: model.SendStep, path: Path_, scope: Scope) -> SendSpec:
        purpose = step.purpose or self.journey.purpose
        texts = _for_text(scope)
        positions = self.contents.positions(step, path, purpose, lambda t, p: self.rules.text(t, texts, p))
        to: Rule | None = None
        robot: str | Rule | None = None
        if isinstance(step.to, model.Robot):
            robot = self._robot(step.to.robot, (*path, "to", "robot"), scope)
        elif step.to is not None:
            to = self.rules.user(step.to, scope, (*path, "to"))
        if step.reach and step.fall_through:
            self.source.report("J092", (*path, "reach"), key=True)
        expires: int | Rule | None = None
        if step.expires is not None:
            expires = parse_duration(step.expires)
            if expires is None:
                expires = self.rules.expression(
                    step.expires, scope, (*path, "expires"), ("time",), words("a duration or a time", "时长或时间")
                )
        window = parse_window(step.between) if step.between else None
        self._hours(step, window, purpose, path, sms=any(position.channel == "sms" for position in positions))
        topic = step.topic or self.journey.topic
        every, falls = step.reach == "all", step.fall_through is not None
        return SendSpec(positions, every, to, robot, window, expires, purpose, topic, falls)

    def _hours(self, step: model.SendStep, window: tuple[int, int] | None, purpose: str, path: Path_, *, sms: bool) -> None:
        """Windows that never meet, and hours in which the vendor of short messages takes no marketing."""
        world = self.scopes.world
        quiet = world.quiet_hours if purpose == "marketing" else None
        allowed = [m for m in range(0, DAY // MINUTE, 5) if not in_window(m, quiet) and (window is None or in_window(m, window))]
        if not allowed and window is not None and quiet is not None:
            self.source.report("J093", (*path, "between"), between=step.between, quiet=f"{clock(quiet[0])}-{clock(quiet[1])}")
        rules = world.sms_rules
        if not sms or purpose != "marketing" or rules is None:
            return
        day = (rules.earliest.hour * 60 + rules.earliest.minute, rules.latest.hour * 60 + rules.latest.minute)
        outside = [minute for minute in allowed if not in_window(minute, day)]
        if outside:
            self.source.report("J095", (*path, "send"), key=True, at=clock(outside[0]), earliest=clock(day[0]), latest=clock(day[1]))

    def _robot(self, name: str, path: Path_, scope: Scope) -> str | Rule | None:
        """A robot, or the rule that names one; missing where config has none of that name: what nobody delivers would wait for ever."""
        robots = self.scopes.world.robots
        if name in robots:
            return name
        if "." in name:
            rule = self.rules.expression(name, scope, path, ("text",), words("a robot's name", "群机器人的名字"))
            return through(rule, lambda value: value if isinstance(value, str) and value in robots else None) if rule is not None else None
        self.source.report("J030", path, found=name, hint=did_you_mean(name, robots))
        return None

    def _delay(self, step: model.DelayStep, path: Path_, scope: Scope) -> DelaySpec:
        if isinstance(step.delay, str):
            return DelaySpec(parse_duration(step.delay), None)
        return DelaySpec(None, self._moment(step.delay, (*path, "delay"), scope))

    def _moment(self, until: model.Until, path: Path_, scope: Scope) -> Moment | None:
        at_clock = parse_time_of_day(until.until)
        rule = None
        if at_clock is None and (_CLOCK.fullmatch(until.until) or clock_meant(until.until)):  # no clock shows it so
            self.source.report("J013", (*path, "until"), expected=CLOCK, found=found_of(until.until), hint=clock_meant(until.until))
            return None
        if at_clock is None:
            kinds: tuple[ValueType, ...] = ("time", "time_of_day")
            rule = self.rules.expression(until.until, scope, (*path, "until"), kinds, words("a time or a time of day", "时间或时刻"))
            if rule is None:
                return None
            if until.if_missing is None and self._may_be_missing(rule.node, scope):
                self.source.report("J083", path, key=True, found=until.until)
        missing: Any = until.if_missing or "go_on"
        if missing not in ("go_on", "exit"):
            missing = parse_time_of_day(missing)
            if missing is None:
                self.source.report("J013", (*path, "if_missing"), expected=IF_MISSING, found=found_of(until.if_missing))
                return None
        offset = parse_duration(until.offset) or 0 if until.offset else 0
        at = parse_time_of_day(until.at) if until.at else None
        return Moment(at_clock, rule, offset, at, tuple(until.days or ()), missing, until.if_past or "go_on")

    def _may_be_missing(self, node: Node, scope: Scope) -> bool:
        """Everything but the time of the event that entered, what of the user is `sure`, and the expiry of a grant: a failed one is
        found by the flow analysis. Who enters by no event has no `entry.time`.
        """
        if not isinstance(node, Name):
            return True
        if node.root == "user":
            return node.attribute not in scope.sure
        if node.root == "entry":
            return node.attribute != "time" or self.journey.entry.event is None
        return node.attribute != "expires_at" or node.step not in self.results

    def _wait(self, step: model.WaitStep, path: Path_, scope: Scope) -> WaitSpec:
        wait, here = step.wait_for, (*path, "wait_for")
        forms = [k for k in ("event", "when", "any_of") if getattr(wait, k) is not None]
        if len(forms) != 1:
            self.source.report("J015", here, key=True, expected="event, when, any_of", found=", ".join(forms) or NONE)
        for key in ("where", "of", "any_subject"):
            if getattr(wait, key) and wait.event is None:
                self.source.report("J085", (*here, key), key=True, found=key, needs="event")
        when = None
        cases: list[EventMatch] = []
        if wait.event is not None:
            cases = [self.match(wait.event, wait.where, wait.of, here, scope, any_subject=wait.any_subject)]
        elif wait.any_of is not None:
            for index, case in enumerate(wait.any_of):
                at = (*here, "any_of", index)
                cases.append(self.match(case.event, case.where, case.of, at, scope, any_subject=case.any_subject))
        else:
            when = self.rules.condition(wait.when, _over_time(scope), (*here, "when"))
        timeout: int | Moment
        if isinstance(wait.timeout, str):
            timeout = parse_duration(wait.timeout) or 0
        else:
            until = model.Until(until=wait.timeout.until, offset=wait.timeout.offset, if_missing="go_on")
            timeout = self._moment(until, (*here, "timeout"), scope) or 0
        return WaitSpec(tuple(cases), when, timeout)

    def match(self, event: Any, where: str | None, of: str | None, path: Path_, scope: Scope, *, any_subject: bool) -> EventMatch:
        """An event clause: event, where, of, any_subject."""
        names = self.events(event, (*path, "event"))
        rule = self.rules.condition(where, self.scopes.arriving(model.event_names(event), scope), (*path, "where"))
        owner = self.rules.user(of, scope, (*path, "of"))
        return EventMatch(names, rule, owner, any_subject)

    def events(self, event: Any, path: Path_) -> tuple[str, ...]:
        """The event names, each of them declared (others are reported)."""
        known = self.scopes.audience.events
        names = model.event_names(event)
        for index, name in enumerate(names):
            if name not in known:
                at = (*path, index) if isinstance(event, list) else path
                self.source.report("J020", at, found=name, hint=did_you_mean(name, known))
        return tuple(n for n in names if n in known)

    def _split(self, step: model.SplitStep, path: Path_) -> SplitSpec:
        names = [v.name for v in step.split]
        for index, name in enumerate(names):
            if name in names[:index]:
                self.source.report("J013", (*path, "split", index, "name"), expected=OWN_NAME, found=twice(name))
        if not any(v.weight for v in step.split):
            self.source.report("J013", (*path, "split"), expected=WEIGHT, found=NONE)
        return SplitSpec(tuple((v.name, v.weight) for v in step.split), step.per == "enrolment")

    def _grant(self, step: model.GrantStep, path: Path_, scope: Scope) -> GrantSpec:
        grant, here = step.grant, (*path, "grant")
        benefits = self.scopes.world.benefits
        if grant.benefit not in benefits:
            hint = did_you_mean(grant.benefit, benefits)
            self.source.report("J028", (*here, "benefit"), found=grant.benefit, hint=hint)
        to = self.rules.user(grant.to, scope, (*here, "to"))
        any_kind: tuple[ValueType, ...] = ("text", "number", "choice")
        once = self.rules.expression(grant.once_per, scope, (*here, "once_per"), any_kind, words("a text or a number", "文字或数字"))
        expires = parse_duration(grant.expires) if grant.expires else None
        timeout = parse_duration(grant.timeout) if grant.timeout else None
        return GrantSpec(grant.benefit, grant.amount, expires, to, once, timeout or DAY)

    def _update(self, step: model.UpdateStep, path: Path_, scope: Scope) -> UpdateSpec:
        update, here, texts = step.update, (*path, "update"), _for_text(scope)
        traits = {n for n, t in self.scopes.audience.traits.items() if not t.aggregate and t.value is None}
        for section, named in (("set", update.set), ("increment", update.increment)):
            for name in named:
                if name not in traits:
                    self.source.report("J022", (*here, section, name), key=True, found=name, **near(name, traits))

        def text(value: str, *where: str | int) -> Template:
            return self.rules.text(value, texts, (*here, *where)) or Template(value, (value,), ())

        values = tuple((k, v if isinstance(v, bool) else text(v, "set", k)) for k, v in update.set.items())
        add = tuple(text(t, "add_tags", i) for i, t in enumerate(update.add_tags))
        remove = tuple(text(t, "remove_tags", i) for i, t in enumerate(update.remove_tags))
        return UpdateSpec(values, add, remove, tuple(update.increment.items()))

    def _call(self, step: model.CallStep, path: Path_, scope: Scope) -> CallSpec:
        call, here, texts = step.call, (*path, "call"), _for_text(scope)
        endpoints = self.scopes.world.endpoints
        if call.endpoint not in endpoints:
            hint = did_you_mean(call.endpoint, endpoints)
            self.source.report("J029", (*here, "endpoint"), found=call.endpoint, hint=hint)
        body: list[tuple[str, Template | bool]] = []
        for key, value in call.body.items():
            parsed = value if isinstance(value, bool) else self.rules.text(value, texts, (*here, "body", key))
            if parsed is not None:
                body.append((key, parsed))
        return CallSpec(call.endpoint, tuple(body), parse_duration(call.timeout) or 0, call.default)


def _for_text(scope: Scope) -> Scope:
    return Scope(**{**scope.__dict__, "in_template": True})


def _over_time(scope: Scope) -> Scope:
    return Scope(**{**scope.__dict__, "timed": "wait"})


def in_window(minute: int, window: tuple[int, int] | None) -> bool:
    """Whether a minute of the day lies in a window, which may pass midnight."""
    if window is None:
        return False
    start, end = window
    return start <= minute < end if start < end else minute >= start or minute < end


def clock(minute: int) -> str:
    """18:30 for 1110."""
    return f"{minute // 60:02d}:{minute % 60:02d}"
