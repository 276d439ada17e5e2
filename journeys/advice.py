"""What is allowed but can hardly be meant: warnings over a whole journey that has no errors."""

from collections.abc import Iterable, Mapping, Sequence

from journeys.compiled import CompiledJourney, CompiledStep, DelaySpec, EventMatch, GrantSpec, Moment, PositionSpec, SendSpec, WaitSpec
from journeys.duration import HOUR, MINUTE, SECOND, format_duration, parse_duration
from journeys.expression import Name
from journeys.flow import nodes_of
from journeys.model import EventCase, Journey, WaitStep
from journeys.source import Path_, Source
from journeys.steps import Placed, clock, in_window
from journeys.timing import earliest, expiry_of, hangs_on, latest
from journeys.world import World


def advise(source: Source, placed: Mapping[str, Placed], compiled: CompiledJourney, world: World) -> None:
    """Report what is hardly meant."""
    _Advice(source, placed, compiled, world).report_all()


class _Advice:
    def __init__(self, source: Source, placed: Mapping[str, Placed], compiled: CompiledJourney, world: World) -> None:
        self.source, self.placed, self.compiled, self.world = source, placed, compiled, world
        self.journey: Journey = compiled.journey
        self.steps = compiled.steps

    def report_all(self) -> None:
        self._durations()
        self._goal()
        self._entry()
        self._service_at_night()
        for step in self.steps.values():
            if isinstance(step.spec, GrantSpec) and step.spec.expires is not None:
                self._benefit(step, step.spec.expires)
            elif isinstance(step.spec, WaitSpec):
                self._wait(step)
            elif isinstance(step.spec, DelaySpec) and step.spec.until is not None:
                self._ends_in_quiet_hours(step, step.spec.until)

    def _path(self, step: CompiledStep) -> Path_:
        return self.placed[step.id].path

    def _sends(self) -> Iterable[tuple[CompiledStep, SendSpec]]:
        return ((step, step.spec) for step in self.steps.values() if isinstance(step.spec, SendSpec))

    # --- time

    def _durations(self) -> None:
        """J135: spans in which nothing can happen."""
        within = parse_duration(self.journey.goal.within) if self.journey.goal else None
        spans: list[tuple[Path_, int | None, int]] = [
            (("max_lateness",), self.compiled.max_lateness, MINUTE),
            (("goal", "within"), within, SECOND),
        ]
        for step in self.steps.values():
            path, spec = self._path(step), step.spec
            if isinstance(spec, WaitSpec) and isinstance(spec.timeout, int):
                spans.append(((*path, "wait_for", "timeout"), spec.timeout, SECOND))
            elif isinstance(spec, GrantSpec):
                spans.append(((*path, "grant", "expires"), spec.expires, SECOND))
            elif isinstance(spec, SendSpec) and isinstance(spec.expires, int):
                spans.append(((*path, "expires"), spec.expires, SECOND))
        for path, span, least in spans:
            if span is not None and span < least:
                self.source.report("J135", path, span=path[-1], found=format_duration(span), least=format_duration(least))

    def _benefit(self, grant: CompiledStep, lives: int) -> None:
        """J130, J131, J132: what still speaks of a benefit that is gone."""
        times = earliest(self.steps, grant.moves["ok"], 0, expiry_of(grant.id, lives))
        times.pop(grant.id, None)
        speaking = [step for step, _ in self._sends() if step.id in times and self._speaks_of(step, grant.id)]
        for step in speaking:
            if times[step.id] >= lives:
                takes = format_duration(times[step.id])
                self.source.report("J130", self._path(step), found=step.id, grant=grant.id, lives=format_duration(lives), takes=takes)
        for step_id, begins in times.items():
            step = self.steps[step_id]
            if isinstance(step.spec, DelaySpec) and step.spec.until is not None and hangs_on(step.spec.until, grant.id):
                self._always_past(step, step.spec.until, lives, begins)
            elif isinstance(step.spec, WaitSpec) and isinstance(step.spec.timeout, int):
                late = [other for other in speaking if times[other.id] < lives]
                self._outlives(step, step.spec.timeout, grant.id, lives, begins, late)

    def _always_past(self, step: CompiledStep, until: Moment, lives: int, begins: int) -> None:
        if until.at is None and begins >= lives + until.offset:
            path = (*self._path(step), "delay", "offset" if until.offset else "until")
            found, offset, takes = until.rule.text if until.rule else "", format_duration(until.offset), format_duration(begins)
            self.source.report("J132", path, found=found, offset=offset, lives=format_duration(lives), takes=takes)

    def _outlives(self, wait: CompiledStep, timeout: int, grant: str, lives: int, begins: int, late: Sequence[CompiledStep]) -> None:
        """A wait that may end after the benefit has, with a send behind its end that speaks of it."""
        if begins >= lives or begins + timeout < lives or self._asked_later(wait.id):
            return
        after = earliest(self.steps, wait.moves["timeout"], begins + timeout)
        found = next((step for step in late if step.id in after), None)
        if found is not None:
            path = (*self._path(wait), "wait_for", "timeout")
            self.source.report("J131", path, grant=grant, found=found.id, timeout=format_duration(timeout), lives=format_duration(lives))

    def _speaks_of(self, step: CompiledStep, grant: str) -> bool:
        """Whether a send gives the benefit's code or expiry away, unless its `if` looks at that expiry first."""
        guards = {str(node) for node in nodes_of(step.only_if) if isinstance(node, Name)}
        named = {str(node) for node in nodes_of(step.spec) if isinstance(node, Name)}
        return f"steps.{grant}.expires_at" not in guards and bool(named & {f"steps.{grant}.code", f"steps.{grant}.expires_at"})

    def _asked_later(self, wait: str) -> bool:
        """Whether anything looks at how the wait ended: then its end in vain may be seen to elsewhere."""
        return any(
            isinstance(n, Name) and n.step == wait for step in self.steps.values() for n in (*nodes_of(step.only_if), *nodes_of(step.spec))
        )

    def _ends_in_quiet_hours(self, step: CompiledStep, until: Moment) -> None:
        """J134: a delay to a time of day at which the send behind it is held."""
        quiet, behind = self.world.quiet_hours, self.steps.get(step.moves["done"])
        minute = until.at if until.at is not None else until.clock if until.offset == 0 else None
        if quiet is None or behind is None or minute is None or not isinstance(behind.spec, SendSpec):
            return
        if behind.spec.purpose == "marketing" and behind.spec.between is None and in_window(minute, quiet):
            hours = f"{clock(quiet[0])}-{clock(quiet[1])}"
            self.source.report("J134", (*self._path(step), "delay"), at=clock(minute), quiet=hours, found=behind.id, until=clock(quiet[1]))

    def _service_at_night(self) -> None:
        """J140: service, which quiet hours do not hold, some hours after something happened: once for a journey."""
        for step, spec in self._sends():
            if spec.purpose == "service" and spec.between is None and spec.robot is None:
                waits = self._at_any_hour(step)
                if waits is not None:
                    self.source.report("J140", self._path(step), found=step.id, after=waits.id)
                    return

    def _at_any_hour(self, step: CompiledStep) -> CompiledStep | None:
        """A delay of hours, or a wait in vain, that leads to a step with no other rest between."""
        seen, ahead = {step.id}, [step.id]
        while ahead:
            here = ahead.pop()
            for before in self.steps.values():
                triggers = [trigger for trigger, to in before.moves.items() if to == here]
                if not triggers:
                    continue
                if isinstance(before.spec, DelaySpec):
                    if before.spec.duration is not None and before.spec.duration >= HOUR:
                        return before
                elif isinstance(before.spec, WaitSpec):
                    if "timeout" in triggers:
                        return before
                elif before.id not in seen:
                    seen.add(before.id)
                    ahead.append(before.id)
        return None

    # --- goal and exits

    def _goal(self) -> None:
        """J133, J137: a goal that cannot come, or is not counted any more."""
        goal, entry, times = self.compiled.goal, self.compiled.entry, earliest(self.steps, self.compiled.first)
        if goal is None:
            return
        match = goal.match
        again = entry.subject and match.where is None and match.of is None and not match.any_subject
        if again and match.names and set(match.names) <= set(entry.events):
            self.source.report("J133", ("goal", "event"), found=" / ".join(match.names), subject=entry.subject)
        for step, _ in self._sends():
            if goal.within <= times.get(step.id, 0):
                within, takes = format_duration(goal.within), format_duration(times[step.id])
                self.source.report("J137", ("goal", "within"), within=within, found=step.id, takes=takes)
                break

    def _wait(self, step: CompiledStep) -> None:
        """J077, J078: awaited events that another case, a goal or an exit takes first."""
        spec, node = step.spec, self.placed[step.id].step
        assert isinstance(spec, WaitSpec) and isinstance(node, WaitStep)  # noqa: S101, PT018 - one kind, by construction
        cases: Sequence[EventCase] = node.wait_for.any_of or ()
        for index, case in enumerate(spec.cases):
            path = (*self._path(step), "wait_for", *(("any_of", index) if cases else ()))
            for earlier, before in enumerate(spec.cases[:index]):
                if _takes(before, case, subject=bool(self.compiled.entry.subject)):
                    line = self.source.place((*path[:-1], earlier)).line
                    self.source.report("J077", path, found=" / ".join(case.names), line=line)
                    break
            follows = cases[index].steps if cases else node.on_event
            if follows:
                self._preempted(step, case, path)

    def _preempted(self, step: CompiledStep, case: EventMatch, path: Path_) -> None:
        subject, found = bool(self.compiled.entry.subject), " / ".join(case.names)
        for index, rule in enumerate(self.compiled.exits):
            if rule.match is not None and _takes(rule.match, case, subject=subject):
                line = self.source.place(("exit_when", index)).line
                self.source.report("J078", (*path, "event"), found=found, by="exit_when", line=line)
                return
        goal, spec = self.compiled.goal, step.spec
        if goal is None or not goal.exits or not _takes(goal.match, case, subject=subject) or not isinstance(spec, WaitSpec):
            return
        begins = latest(self.steps, self.compiled.first).get(step.id)
        if begins is not None and isinstance(spec.timeout, int) and begins + spec.timeout <= goal.within:
            self.source.report("J078", (*path, "event"), found=found, by="goal", line=self.source.place(("goal",)).line)

    # --- entry

    def _entry(self) -> None:
        """J138, J139: who enters again and again; who enters when all is over."""
        entry, live = self.compiled.entry, self.journey.status == "live"
        if live and entry.form == "segment" and entry.reentry == "always":
            free = next((step for step, spec in self._sends() if self._uncapped(spec)), None)
            if free is not None:
                self.source.report("J138", ("entry", "reentry"), found=entry.segment, step=free.id)
        ends = self.compiled.ends_at
        if entry.at is not None and ends is not None and ends <= entry.at:
            self.source.report("J139", ("ends_at",), found=self.journey.ends_at, entry=self.journey.entry.at)

    def _uncapped(self, spec: SendSpec) -> bool:
        """Whether marketing has a position that no cap of the project counts."""

        def capped(position: PositionSpec) -> bool:
            return any(
                channel in (None, position.channel) and purpose in (None, spec.purpose) and topic in (None, spec.topic)
                for channel, purpose, topic in self.world.caps
            )

        return spec.purpose == "marketing" and not all(map(capped, spec.positions))


def _takes(first: EventMatch, second: EventMatch, *, subject: bool) -> bool:
    """Whether every event that fits `second` fits `first`."""
    if first.where is not None or first.of is not None or second.of is not None or not second.names:
        return False
    return set(second.names) <= set(first.names) and (first.any_subject or not second.any_subject or not subject)
