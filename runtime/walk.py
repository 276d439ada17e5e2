"""Steps of an enrolment: from one state to the next by the journey's table of moves, until it rests or ends. Pure."""

from typing import Any

from journeys.audience import Audience
from journeys.compiled import (
    ENDED as ENDED_STATE,
)
from journeys.compiled import (
    BranchSpec,
    CallSpec,
    CompiledJourney,
    CompiledStep,
    DelaySpec,
    ExitSpec,
    GotoSpec,
    GrantSpec,
    SendSpec,
    SplitSpec,
    UpdateSpec,
    WaitSpec,
)
from journeys.duration import MINUTE
from journeys.lineage import comes_between
from journeys.template import CannotRender, render
from journeys.values import coerce
from runtime.facts import UserFacts
from runtime.moments import moment_of
from runtime.policy import Reach
from runtime.profile import change_tags, set_values
from runtime.sending import Held, Nothing, compose
from runtime.state import (
    ENDED,
    Decision,
    Enrolment,
    LogEntry,
    NewMessage,
    User,
    UserUpdate,
    bucket,
    stable_key,
)

MOST_STEPS = 1000  # in one decision: `check` refuses loops without a wait, this stops what it could not see


class _Stop(Exception):
    """The walk rests; its state is set."""


class Walk:
    """One decision in the making: the enrolment as it will be, and what is to be written with it."""

    def __init__(self, journey: CompiledJourney, audience: Audience, enrolment: Enrolment, user: User, reach: Reach, now: int) -> None:
        self.journey, self.audience, self.enrolment, self.user, self.reach, self.now = journey, audience, enrolment, user, reach, now
        self.at = enrolment.begun_at
        self.decision = Decision(enrolment)
        self._before: dict[str, Any] | None = None  # values and tags, before an `update` of this walk
        context = enrolment.context
        self.results: dict[str, dict[str, Any]] = context.setdefault("steps", {})
        self.facts = UserFacts(
            audience, user, now, reach=reach, entry=context.get("entry", {}), steps=self.results, purpose=journey.journey.purpose
        )

    def take_back(self) -> None:
        """What this walk has changed of the user is as it was: it will be walked again."""
        if self._before is not None:
            self.user.profile.update(self._before)

    def _past_the_end(self) -> bool:
        ends_at = self.journey.ends_at
        if ends_at is None or self.at < ends_at:
            return False
        self._end("ended", cancel=True)
        return True

    def _exit_by_condition(self) -> bool:
        for rule in self.journey.exits:
            if rule.when is not None and rule.when.test(self.facts):
                self._log("exit_when", "", {"clause": rule.when.text, "values": rule.when.values(self.facts), "reason": rule.reason})
                self._end(rule.reason, cancel=True)
                return True
        return False

    def _go(self, step: CompiledStep, trigger: str) -> None:
        self._walk(step.moves[trigger], resumed=False)

    def _walk(self, state: str, *, resumed: bool) -> None:
        """Take steps from `state` on until one rests. The exit_when conditions are looked at before each."""
        enrolment, decision = self.enrolment, self.decision
        try:
            while state != ENDED_STATE:
                if decision.steps >= MOST_STEPS:
                    self._log("failed", state, {"reason": f"more than {MOST_STEPS} steps at one moment"})
                    self._end("failed", cancel=True)
                    return
                if self._past_the_end() or self._exits_before_a_step():
                    return
                if self.journey.id in self.reach.paused:
                    self._rest_paused(state)
                    return
                decision.steps += 1
                enrolment.state, enrolment.begun_at = state, self.at
                step = self.journey.steps[state]
                if step.only_if is not None and not step.only_if.test(self.facts):
                    self._log("passed_over", state, {"clause": step.only_if.text, "values": step.only_if.values(self.facts)})
                    state = step.moves["pass"]
                else:
                    state = step.moves[self._take(step, resumed=resumed)]
                resumed = False
            self._end("completed", cancel=False)
        except _Stop:
            return

    def _rest_paused(self, state: str) -> None:
        """Stand before the step; its timer is due already, and fires (late, as the step says) when the pause has ended."""
        self.enrolment.state, self.enrolment.begun_at, self.enrolment.due_at = state, self.at, self.at
        self._log("paused", state)

    def _exits_before_a_step(self) -> bool:
        return bool(self.journey.exits) and self._exit_by_condition()

    def _take(self, step: CompiledStep, *, resumed: bool) -> str:
        """Do what the step says; the trigger of the move that follows, or _Stop when it rests."""
        spec = step.spec
        if isinstance(spec, SendSpec):
            return self._send(step, spec, resumed=resumed)
        if isinstance(spec, DelaySpec):
            return self._delay(step, spec)
        if isinstance(spec, WaitSpec):
            return self._wait(step, spec)
        if isinstance(spec, BranchSpec):
            return self._branch(step, spec)
        if isinstance(spec, SplitSpec):
            return self._split(step, spec)
        if isinstance(spec, GrantSpec):
            return self._grant(step, spec)
        if isinstance(spec, CallSpec):
            return self._call(step, spec)
        if isinstance(spec, UpdateSpec):
            return self._update(step, spec)
        if isinstance(spec, GotoSpec):
            return self._goto(step, spec)
        return self._exit(spec)

    def _exit(self, spec: ExitSpec) -> str:
        self._end(spec.reason, cancel=False)
        raise _Stop

    def _not_past_the_end(self, due_at: int | None) -> int | None:
        ends_at = self.journey.ends_at
        return due_at if ends_at is None or due_at is None else min(due_at, ends_at)

    def _rest(self, due_at: int | None) -> _Stop:
        """Set the timer; the caller raises what it is given, which ends the walk."""
        self.enrolment.due_at = self._not_past_the_end(due_at)
        return _Stop()

    def _late(self, step: CompiledStep) -> bool:
        """Whether the step is skipped for having fallen behind; ends the walk where the file says so."""
        limit = self.journey.max_lateness
        if limit is None or self.now - self.at <= limit:
            return False
        why = {"due_at": self.at, "late_by": self.now - self.at, "max_lateness": limit}
        self._log("late", step.id, why)
        if self.journey.late_exits:
            self._end("late", cancel=True)
            raise _Stop
        return True

    def _had(self, step: CompiledStep) -> bool:
        """Whether she had this before she was moved to this version, in which its step comes (once more) after the one she stood at."""
        if step.id not in self.enrolment.context.get("had", {}):
            return False
        self._log("passed_over", step.id, {"had": True})
        return True

    def _visit(self, step: CompiledStep, *, resumed: bool = False) -> int:
        visits = self.enrolment.context.setdefault("visits", {})
        visits[step.id] = max(visits.get(step.id, 0), 1) if resumed else visits.get(step.id, 0) + 1
        return int(visits[step.id])

    def _send(self, step: CompiledStep, spec: SendSpec, *, resumed: bool) -> str:
        if self._had(step) or self._late(step):
            return "skip"
        held = resumed and self.enrolment.context.get("held") == step.id
        visit = self._visit(step, resumed=held)
        composed = compose(self.journey, step, spec, self.enrolment, self.facts, self.reach, visit, self.at, self.now)
        if isinstance(composed, Held):
            self.enrolment.context["held"] = step.id
            self._log("held", step.id, {"reason": composed.hold.reason, "until": composed.hold.until, "channel": composed.channel})
            raise self._rest(composed.hold.until)
        self.enrolment.context.pop("held", None)
        if isinstance(composed, Nothing):
            self.results[step.id] = {"sent": False}
            self._log("suppressed", step.id, {"reason": composed.reason, **composed.why})
            return "done"
        self.decision.messages.extend(composed)
        self.results[step.id] = {"sent": True, "channel": composed[0].channel}
        for message in composed:
            passed = {"positions": list(message.passed)} if message.passed else {}  # why she gets it this way and not another
            self._log("sent", step.id, {"channel": message.channel, "to": message.user_id, "key": message.key, **passed})
        return "done"

    def _delay(self, step: CompiledStep, spec: DelaySpec) -> str:
        if spec.duration is not None:
            until = self.at + spec.duration
        else:
            assert spec.until is not None  # noqa: S101 - a delay has a duration or a moment
            moment = moment_of(spec.until, self.facts, self.at)
            if isinstance(moment, str):
                self._log("no_moment", step.id, {"reason": moment})
                trigger = spec.until.if_missing if moment == "missing" else spec.until.if_past
                if trigger == "exit":
                    self._end(f"{step.id}_{moment}", cancel=False)
                    raise _Stop
                return "done"
            until = moment
        if until <= self.at:
            return "done"
        self.enrolment.context["until"] = until
        self._log("waits", step.id, {"until": until})
        raise self._rest(until)

    def _wait(self, step: CompiledStep, spec: WaitSpec) -> str:
        if isinstance(spec.timeout, int):
            until = self.at + spec.timeout
        else:
            moment = moment_of(spec.timeout, self.facts, self.at)
            until = self.at if isinstance(moment, str) else moment
        if spec.when is not None and spec.when.test(self.facts):
            self.results[step.id] = {"timed_out": False}
            self._log("matched", step.id, {"clause": spec.when.text, "values": spec.when.values(self.facts)})
            return "event_1"
        self.enrolment.context["until"] = until
        self._log("waits", step.id, {"until": until, "for": [n for c in spec.cases for n in c.names] or (spec.when and spec.when.text)})
        raise self._rest(self._next_look(spec, self.at, until))

    def _next_look(self, spec: WaitSpec, after: int, until: int) -> int:
        change = spec.when.change if spec.when is not None else None
        soonest = change(self._facts_at(after)) if change is not None else None
        return until if soonest is None else min(soonest, until)

    def _facts_at(self, at: int) -> UserFacts:
        if at == self.now:
            return self.facts
        facts = self.facts
        return UserFacts(
            self.audience, self.user, at, reach=self.reach, entry=facts.entry, steps=facts.steps, purpose=facts.journey_purpose
        )

    def _matched(self, step: CompiledStep, number: int, fields: dict[str, Any], why: dict[str, Any]) -> None:
        del self.enrolment.context["until"]
        self.results[step.id] = {**fields, "timed_out": False}
        self._log("matched", step.id, why)
        self._go(step, f"event_{number}")

    def _branch(self, step: CompiledStep, spec: BranchSpec) -> str:
        for number, rule in enumerate(spec.cases, 1):
            if rule.test(self.facts):
                self._log("branched", step.id, {"case": number, "clause": rule.text, "values": rule.values(self.facts)})
                return f"case_{number}"
        values = {name: value for rule in spec.cases for name, value in rule.values(self.facts).items()}
        self._log("branched", step.id, {"case": "otherwise", "values": values})
        return "otherwise"

    def _split(self, step: CompiledStep, spec: SplitSpec) -> str:
        enrolment = self.enrolment
        name = self.reach.variants.get(step.id)
        if name is None:
            who = enrolment.key if spec.per_enrolment else enrolment.user_id
            total = sum(weight for _, weight in spec.variants)
            drawn = bucket(enrolment.journey, step.origin, who, enrolment.subject) * total
            reached = 0
            for name, weight in spec.variants:  # noqa: B007 - the last one stands when the draw is at the very end
                reached += weight * 10_000
                if drawn < reached:
                    break
        self.results[step.id] = {"variant": name}
        self._log("split", step.id, {"variant": name})
        return f"variant_{name}"

    def _grant(self, step: CompiledStep, spec: GrantSpec) -> str:
        if self._had(step) or self._late(step):
            return "skip"
        recipient = spec.to.test(self.facts) if spec.to is not None else self.enrolment.user_id
        visit = self._visit(step)
        if recipient is None:
            return self._failed_at_once(step, "unreachable")
        key = stable_key("grant", self.enrolment.key, step.origin, str(visit))
        once: str | None = None
        if spec.once_per is not None:
            value = spec.once_per.test(self.facts)
            if value is None:
                return self._failed_at_once(step, "once_per is missing")
            once = str(value)
            if spec.to is not None and recipient != self.user.id:  # whatever id of hers the rule names: it is given to her
                recipient = self.reach.of(recipient).user_id
            key = stable_key("once", self.enrolment.journey, step.origin, recipient, once)
        expires_at = self.at + spec.expires if spec.expires is not None else None
        content: dict[str, Any] = {"benefit": spec.benefit, "amount": spec.amount, "expires_at": expires_at}
        if once is not None:
            content["once"] = [step.origin, once]  # a merge must know what was given once
        raise self._open_effect(step, "grant", key, visit, recipient, spec.benefit, content, spec.timeout)

    def _call(self, step: CompiledStep, spec: CallSpec) -> str:
        if self._had(step) or self._late(step):
            return "skip"
        visit = self._visit(step)
        try:
            body = {k: v if isinstance(v, bool) else render(v, self.facts) for k, v in spec.body}
        except CannotRender as error:
            return self._failed_at_once(step, f"invalid_content: {error}")
        key = stable_key("call", self.enrolment.key, step.origin, str(visit))
        timeout = max(spec.timeout, MINUTE)
        raise self._open_effect(step, "call", key, visit, self.enrolment.user_id, spec.endpoint, body, timeout)

    def _open_effect(
        self, step: CompiledStep, kind: Any, key: str, visit: int, user_id: str, channel: str, content: dict[str, Any], timeout: int
    ) -> _Stop:
        purpose, priority, ends_at = self.journey.journey.purpose, self.journey.journey.priority, self.journey.ends_at
        if ends_at is not None and self.now >= ends_at:  # the step's own time is earlier: nothing is given when the journey is over
            self.at = ends_at
            self._end("ended", cancel=True)
            return _Stop()
        asked_at = max(self.at, self.now)  # asked now, however late the step is: an outage is not the effect's time
        until = asked_at + timeout if ends_at is None else min(asked_at + timeout, ends_at)
        self.decision.messages.append(
            NewMessage(key, kind, step.id, visit, user_id, channel, None, purpose, None, priority, 0, self.at, until, content)
        )
        self.enrolment.context["open"] = visit
        self._log(f"{kind}_asked", step.id, {"what": channel, "key": key})
        return self._rest(until)

    def _failed_at_once(self, step: CompiledStep, reason: str) -> str:
        trigger, ends = self._effect_result(step, ok=False, reason=reason, answer={})
        if ends:
            raise _Stop
        return trigger

    def _effect_over(self, step: CompiledStep, *, ok: bool, reason: str, answer: dict[str, Any]) -> None:
        self.enrolment.context.pop("open", None)
        trigger, ends = self._effect_result(step, ok=ok, reason=reason, answer=answer)
        if not ends:
            self._go(step, trigger)

    def _effect_result(self, step: CompiledStep, *, ok: bool, reason: str, answer: dict[str, Any]) -> tuple[str, bool]:
        """Note the result of a grant or call; the move it opens, and whether the enrolment ended by it."""
        spec = step.spec
        kind = step.kind
        if isinstance(spec, GrantSpec):
            expires_at = self.enrolment.begun_at + spec.expires if spec.expires is not None else None
            fields = {"code": answer.get("code"), "expires_at": expires_at} if ok else {}
            self.results[step.id] = {"ok": ok, **{k: v for k, v in fields.items() if v is not None}}
        else:
            assert isinstance(spec, CallSpec)  # noqa: S101 - only grants and calls have effects
            taken = answer if ok else dict(spec.default or {})
            typed = {k: coerce(v, "any", self.user.zone) if not isinstance(v, list) else v for k, v in taken.items()}
            self.results[step.id] = {**typed, "ok": ok}
        self._log("granted" if ok and kind == "grant" else f"{kind}_{'ok' if ok else 'failed'}", step.id,
                  {"what": spec.benefit if isinstance(spec, GrantSpec) else spec.endpoint, "reason": reason} if reason else
                  {"what": spec.benefit if isinstance(spec, GrantSpec) else spec.endpoint})  # fmt: skip
        if ok or (isinstance(spec, CallSpec) and spec.default is not None):
            return "ok", False
        if step.moves["failed"] == ENDED_STATE:
            self._end(f"{step.id}_failed", cancel=False)
            return "failed", True
        return "failed", False

    def _update(self, step: CompiledStep, spec: UpdateSpec) -> str:
        try:
            values = {k: v if isinstance(v, bool) else render(v, self.facts) for k, v in spec.values}
            add = tuple(render(t, self.facts) for t in spec.add_tags)
            remove = tuple(render(t, self.facts) for t in spec.remove_tags)
        except CannotRender as error:
            self._log("suppressed", step.id, {"reason": "invalid_content", **error.why})
            return "done"
        increment = dict(spec.increment)
        for name, by in increment.items():
            values[name] = (self.facts.trait(name) or 0) + by  # type: ignore[assignment]
        if self._before is None:
            self._before = {"p": dict(self.user.profile.get("p", {})), "t": self.user.profile.get("t", [])}
        set_values(self.audience, self.user, values)
        change_tags(self.user, add, remove)
        self.facts.forget()
        self.decision.updates.append(UserUpdate(values, add, remove, increment))
        self._log("updated", step.id, {"set": values, "add_tags": list(add), "remove_tags": list(remove)})
        return "done"

    def _goto(self, step: CompiledStep, spec: GotoSpec) -> str:
        if spec.max_visits is not None and self._visit(step) > spec.max_visits:
            self._log("passed_over", step.id, {"max_visits": spec.max_visits})
            return "done"
        had = self.enrolment.context.get("had")
        if spec.max_visits is not None and had:  # a jump back: what lies in the loop comes again because the file says so
            again = comes_between(self.journey, spec.target, step.id)
            self.enrolment.context["had"] = {name: True for name in had if name not in again}
        return "jump"

    def _end(self, reason: str, *, cancel: bool) -> None:
        enrolment = self.enrolment
        enrolment.status, enrolment.due_at = ENDED, None
        enrolment.ended_at, enrolment.ended_by = self.at, reason
        enrolment.state = ENDED_STATE
        self.decision.cancel_pending = self.decision.cancel_pending or cancel
        self._log("ended", "", {"reason": reason})

    def _log(self, action: str, step: str, why: dict[str, Any] | None = None) -> None:
        self.decision.log.append(LogEntry(self.at, action, step, why or {}))
