"""What a journey is after compilation: steps with closures, a machine, and a table of its moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

from transitions import Machine

from journeys.model import Journey, Purpose
from journeys.rule import Rule
from journeys.template import Template

ENDED = "$ended"
HELD_OUT = "$held_out"


@dataclass(frozen=True, slots=True)
class PositionSpec:
    """One place of a send's list. `parts` are (section, key, text): ("data", "title", …), ("", "page", …)."""

    channel: str
    template: str | None
    parts: tuple[tuple[str, str, Template], ...]


@dataclass(frozen=True, slots=True)
class SendSpec:
    """A send. `robot` is a name or a rule that gives one; `expires` is milliseconds or a rule for an instant."""

    positions: tuple[PositionSpec, ...]
    every: bool
    to: Rule | None
    robot: str | Rule | None
    between: tuple[int, int] | None
    expires: int | Rule | None
    purpose: Purpose
    topic: str | None
    fall_through: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment to come: `clock` minutes of a day, or a rule; shifted, put on a time of day or on weekdays."""

    clock: int | None
    rule: Rule | None
    offset: int = 0
    at: int | None = None
    days: tuple[str, ...] = ()
    if_missing: int | Literal["go_on", "exit"] = "go_on"
    if_past: Literal["go_on", "exit"] = "go_on"


@dataclass(frozen=True, slots=True)
class DelaySpec:
    """A delay: milliseconds, or a moment."""

    duration: int | None
    until: Moment | None


@dataclass(frozen=True, slots=True)
class EventMatch:
    """Which events count: by type, condition, whose they are, and whether the subject must be the same."""

    names: tuple[str, ...]
    where: Rule | None = None
    of: Rule | None = None
    any_subject: bool = False


@dataclass(frozen=True, slots=True)
class WaitSpec:
    """A wait for the first of `cases`, or for a condition; it ends after milliseconds or at a moment."""

    cases: tuple[EventMatch, ...]
    when: Rule | None
    timeout: int | Moment


@dataclass(frozen=True, slots=True)
class BranchSpec:
    """The conditions of the cases, in order."""

    cases: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """Names and weights; `per_enrolment` draws anew each time."""

    variants: tuple[tuple[str, int], ...]
    per_enrolment: bool


@dataclass(frozen=True, slots=True)
class GrantSpec:
    """A benefit. `expires` and `timeout` are milliseconds."""

    benefit: str
    amount: float | None
    expires: int | None
    to: Rule | None
    once_per: Rule | None
    timeout: int


@dataclass(frozen=True, slots=True)
class UpdateSpec:
    """Changes of profile values and tags; `values` are texts or booleans by trait."""

    values: tuple[tuple[str, Template | bool], ...]
    add_tags: tuple[Template, ...]
    remove_tags: tuple[Template, ...]
    increment: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class CallSpec:
    """A request to an endpoint. `timeout` is milliseconds."""

    endpoint: str
    body: tuple[tuple[str, Template | bool], ...]
    timeout: int
    default: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class GotoSpec:
    """A jump; back only `max_visits` times."""

    target: str
    max_visits: int | None


@dataclass(frozen=True, slots=True)
class ExitSpec:
    """An end with a reason."""

    reason: str


Spec = SendSpec | DelaySpec | WaitSpec | BranchSpec | SplitSpec | GrantSpec | UpdateSpec | CallSpec | GotoSpec | ExitSpec


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One step. `moves` maps each trigger that is legal here to the next step's id (or ENDED); `origin` outlives its name (lineage)."""

    id: str
    kind: str
    index: int
    line: int
    only_if: Rule | None
    spec: Spec
    moves: Mapping[str, str]
    origin: str
    named: bool = True


@dataclass(frozen=True, slots=True)
class EntrySpec:
    """How users enter; see LANGUAGE.md, Entry. `date_clock` is minutes after midnight."""

    form: str
    events: tuple[str, ...] = ()
    segment: str = ""
    schedule: str = ""
    at: int | None = None
    date: Rule | None = None
    date_clock: int | None = None
    anniversary: bool = False
    where: Rule | None = None
    user: Rule | None = None
    subject: str = ""
    existing: str = "skip"
    pace: tuple[int, int] | None = None  # how many per how many milliseconds
    offset: int = 0
    reentry: int | Literal["once", "always"] = "once"
    mode: Literal["single", "restart", "parallel"] = "single"


@dataclass(frozen=True, slots=True)
class GoalSpec:
    """The goal and how long after entry (milliseconds) it counts."""

    match: EventMatch
    within: int
    exits: bool


@dataclass(frozen=True, slots=True)
class ExitRule:
    """An outer exit: by event or by condition."""

    match: EventMatch | None
    when: Rule | None
    reason: str


@dataclass(frozen=True)
class CompiledJourney:
    """A version of a journey, ready to be walked."""

    journey: Journey
    digest: str
    source: str
    zone: ZoneInfo
    machine: Machine
    steps: Mapping[str, CompiledStep]
    first: str
    entry: EntrySpec
    goal: GoalSpec | None
    exits: tuple[ExitRule, ...]
    holdout: int  # parts of 10,000
    ends_at: int | None
    max_lateness: int | None
    late_exits: bool
    windows: Mapping[str, int]
    awaited: frozenset[str]  # every event type that can move someone inside
    renamed: Mapping[str, str]  # was → id

    @cached_property
    def by_origin(self) -> Mapping[str, str]:
        """The steps' ids by where they come from."""
        return {step.origin: step.id for step in self.steps.values()}

    @cached_property
    def watches_others(self) -> bool:
        """Whether any clause of the journey looks at another user's events (`of`)."""
        matches = [self.goal.match] if self.goal else []
        matches += [rule.match for rule in self.exits if rule.match is not None]
        matches += [case for step in self.steps.values() if isinstance(step.spec, WaitSpec) for case in step.spec.cases]
        return any(match.of is not None for match in matches)

    @property
    def id(self) -> str:
        """The journey's id."""
        return self.journey.id
