"""The names that each place of a journey file may use, with their types."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from journeys.audience import Audience
from journeys.expression import Scope
from journeys.model import CallStep, Entry, GrantStep, Journey, SendStep, SplitStep, StepBase, WaitStep, event_names
from journeys.values import ValueType
from journeys.world import World


class Scopes:
    """Scopes of one journey file, made once."""

    def __init__(self, journey: Journey, audience: Audience, world: World, journeys: frozenset[str]) -> None:
        self.journey, self.audience, self.world = journey, audience, world
        self.base = Scope(
            user=audience.user_types(),
            sure=audience.never_missing(),
            times=audience.times,
            named=audience.named_everywhere(),
            segments=frozenset(audience.segments),
            events=frozenset(audience.events),
            journeys=journeys | {journey.id},
            benefits=world.benefits,
            channels={name: frozenset(templates) for name, templates in world.channels.items()},
        )
        self.entry_fields = self._entry_fields(journey.entry)
        self.entry_named = self._named("entry", event_names(journey.entry.event))

    def fields(self, names: tuple[str, ...]) -> dict[str, ValueType]:
        """The fields that all of these events have; any, where one of them is not declared: that was told already."""
        return self.audience.event_fields(names) if all(name in self.audience.events for name in names) else {"*": "any"}

    def _named(self, root: str, names: tuple[str, ...]) -> dict[str, Mapping[str, str]]:
        return {**self.base.named, **{f"{root}.{name}": ids for name, ids in self.audience.named(names).items()}}

    def _entry_fields(self, entry: Entry) -> Mapping[str, ValueType]:
        if entry.event is not None:
            return self.fields(event_names(entry.event))
        if entry.api:
            return {"*": "any"}
        return {"time": "time"}

    def user_only(self) -> Scope:
        """`where` of a segment, schedule, date or `at` entry."""
        return self.base

    def entered(self) -> Scope:
        """Names known when someone has entered: user and entry."""
        return _with(self.base, entry=self.entry_fields, named=self.entry_named)

    def inside(self, steps: Mapping[str, Mapping[str, ValueType]]) -> Scope:
        """Names of a step: user, entry and the results of steps."""
        return _with(self.base, entry=self.entry_fields, named=self.entry_named, steps=steps)

    def arriving(self, names: tuple[str, ...], scope: Scope) -> Scope:
        """A `where`: the scope around it, and the event at hand."""
        named = {**scope.named, **self._named("event", names)}
        return _with(scope, event=self.fields(names), event_name=" or ".join(names) or "event", named=named)

    def result_of(self, step: StepBase) -> dict[str, ValueType]:
        """The fields that steps.ID.… has for this step."""
        if isinstance(step, SendStep):
            return {"sent": "boolean", "channel": "text"}
        if isinstance(step, WaitStep):
            return {**self._awaited_fields(step), "timed_out": "boolean"}
        if isinstance(step, SplitStep):
            return {"variant": "text"}
        if isinstance(step, GrantStep):
            return {"ok": "boolean", "code": "text", "expires_at": "time"}
        if isinstance(step, CallStep):
            declared = dict(self.world.endpoints.get(step.call.endpoint, {}))
            for key, value in (step.call.default or {}).items():
                declared.setdefault(key, _kind_of_default(value))
            return {**declared, "ok": "boolean"}
        return {}

    def _awaited_fields(self, step: WaitStep) -> dict[str, ValueType]:
        wait = step.wait_for
        if wait.any_of is None:
            return self.fields(event_names(wait.event)) if wait.event else {}
        fields: dict[str, ValueType] = {}
        for case in wait.any_of:
            for name, kind in self.fields(event_names(case.event)).items():
                fields[name] = kind if fields.get(name, kind) == kind else "any"
        return fields


def _with(scope: Scope, **changes: Any) -> Scope:
    return replace(scope, **changes)


def _kind_of_default(value: Any) -> ValueType:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "list" if isinstance(value, list) else "text"
