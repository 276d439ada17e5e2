"""audience.yaml: events, traits, segments, lifecycle stages and marketing stops. Shape, meaning and compilation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field

from journeys.certainty import report_covered
from journeys.doubts import doubts_of
from journeys.duration import parse_duration
from journeys.errors import did_you_mean, nearest
from journeys.evaluate import Change, Facts
from journeys.expectations import VALUES, found_of, one_of
from journeys.expression import (
    TIME_FUNCTIONS,
    TURN_EVENTS,
    Call,
    Node,
    Problem,
    Scope,
    kind_of,
    parse_condition,
    parse_expression,
    times_of,
    walk,
)
from journeys.flips import changes_of
from journeys.model import Condition, Duration, Expression, Identifier, Strict, Text
from journeys.nesting import MOST_LEVELS, Nesting
from journeys.projection import Projection, digest_of_profiles, digest_of_values, meaning_of, projections_of
from journeys.rule import Rule, rule_of
from journeys.source import Path_, Source
from journeys.values import ENVELOPE, ValueType, coerce

FIELD_TYPES = ("text", "number", "boolean", "time", "list")
AGGREGATES = ("count", "sum", "avg", "first", "last", "top", "distinct", "median_gap")
SYSTEM_EVENTS: dict[str, dict[str, ValueType]] = {
    "stage_changed": {"from": "text", "to": "text"},
    "segment_entered": {"segment": "text"},
    "segment_left": {"segment": "text"},
    "message_delivered": {"journey": "text", "step": "text", "channel": "text"},
    "message_undelivered": {"journey": "text", "step": "text", "channel": "text"},
    "message_clicked": {"journey": "text", "step": "text", "channel": "text"},
    "message_reply": {"channel": "text", "text": "text"},
    "benefit_used": {"benefit": "text", "code": "text"},
    "consent_withdrawn": {"channel": "text", "purpose": "text"},
    "journey_ended": {"journey": "text", "reason": "text"},
}
BUILT_IN: dict[str, ValueType] = {"id": "text", "tags": "list", "stage": "text"}


class TraitModel(Strict):
    """One declared trait."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    type: Literal["text", "number", "boolean", "time", "time_of_day", "anniversary", "choice", "list"]
    from_: Literal["profile"] | None = Field(default=None, alias="from")
    value: Expression | None = None
    count: str | None = None
    sum: str | None = None
    avg: str | None = None
    first: str | None = None
    last: str | None = None
    top: str | None = None
    distinct: str | None = None
    median_gap: str | None = None
    of: str | list[str] | None = None
    within: Duration | None = None
    where: Condition | None = None
    at_least: Annotated[int, Field(ge=1, le=1000)] | None = None
    take: str | None = None
    default: Text | bool | None = None

    def aggregate(self) -> tuple[str, str] | None:
        """The aggregate and its event, or None for profile and value traits."""
        return next(((a, getattr(self, a)) for a in AGGREGATES if getattr(self, a) is not None), None)


class SegmentModel(Strict):
    """One named segment."""

    name: Text
    when: Condition


class StageModel(Strict):
    """One lifecycle stage; the first that holds is the user's."""

    stage: Identifier
    name: Text
    when: Condition | None = None


class StopModel(Strict):
    """While it holds, the user gets no marketing."""

    name: Text
    when: Condition


class AudienceModel(Strict):
    """The file audience.yaml."""

    events: dict[str, dict[str, Literal["text", "number", "boolean", "time", "list"]]] = Field(default_factory=dict)
    traits: dict[str, TraitModel] = Field(default_factory=dict)
    segments: dict[str, SegmentModel] = Field(default_factory=dict)
    lifecycle: list[StageModel] = Field(default_factory=list)
    suppress_marketing: list[StopModel] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trait:
    """A compiled trait. `columns` are the event's fields that its aggregate reads, `within` is milliseconds."""

    name: str
    kind: ValueType
    aggregate: str = ""  # empty: from the profile, or `value`
    event: str = ""
    of: str = ""
    take: str = ""
    within: int = 0
    at_least: int = 1
    where: Rule | None = None
    value: Rule | None = None
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """Segments, and whether the lifecycle, that something may move."""

    segments: tuple[tuple[str, Rule], ...]
    stage: bool
    changes: tuple[Change, ...]  # when time moves any of them


_STAGE = ("traits", "stage")  # what asks for the stage needs
Stages = tuple[tuple[str, Rule | None], ...]  # in the order of the file; the last has no condition


@dataclass(frozen=True)
class Audience:
    """The compiled audience: what exists, and every rule as a closure."""

    events: Mapping[str, Mapping[str, ValueType]]
    traits: Mapping[str, Trait]
    segments: Mapping[str, Rule]
    segment_names: Mapping[str, str]  # for people
    stages: Stages
    stops: tuple[tuple[str, Rule], ...]
    windows: Mapping[str, int] = field(default_factory=dict)  # event → how long its history is kept
    longer: Mapping[str, int] = field(default_factory=dict)  # the same, of journeys' older versions with people inside
    stage_names: Mapping[str, str] = field(default_factory=dict)  # for people
    left_out: frozenset[str] = frozenset()  # traits and segments that are declared and wrong
    unread: bool = False  # the file is of another shape: nothing is known of what it declares

    @cached_property
    def projections(self) -> Mapping[str, Projection]:
        """What the profile takes from each type of event."""
        return projections_of(self.traits.values(), self.windows, self.longer)

    @cached_property
    def needed_for_ever(self) -> frozenset[str]:
        """The types of events that an aggregate without a window reads: all of them are needed to make it anew."""
        return frozenset(event for event, projection in self.projections.items() if projection.folded)

    @cached_property
    def profile_digest(self) -> str:
        """Of what stored aggregates and histories depend on, a dot, and of the types of values from outside; `longer` windows keep
        more, and change nothing.
        """
        aggregates = digest_of_profiles(self.traits.values(), self.windows, self.events)
        return f"{aggregates}.{digest_of_values(self.traits.values())}"

    @cached_property
    def reads_hour(self) -> bool:
        """Whether a stored aggregate depends on the user's zone."""
        return any("hour" in (t.of, t.take) for p in self.projections.values() for t in p.folded)

    @cached_property
    def asks_hour(self) -> bool:
        """Whether an aggregate over a window is of the hour: it is read from the history, by the user's zone, whenever it is asked."""
        return any(t.within and "hour" in (t.of, t.take) for t in self.traits.values())

    @cached_property
    def segment_digests(self) -> Mapping[str, str]:
        """8 hex digits of each segment's whole meaning: its condition, and every trait and segment that the condition reads."""
        return {name: self.meaning_of(rule) for name, rule in self.segments.items()}

    @cached_property
    def times(self) -> Mapping[str, Call]:
        """The traits that are a time function and nothing else: where one is compared, the comparison has a moment at which it flips."""
        return times_of({name: trait.value.node for name, trait in self.traits.items() if trait.value is not None})

    def stage_of(self, facts: Facts) -> str:
        """The lifecycle stage of whom these facts are about, at their instant: the first that holds; "" where there is no lifecycle."""
        return next((name for name, rule in self.stages if rule is None or rule.test(facts)), "")

    def moved_by(self, event: str) -> Moved:
        """What an event of this type may move at once; everything else moves by time, or by records and updates."""
        if event not in self._moved:
            segments = tuple((name, rule) for name, rule in self.segments.items() if event in self.events_read(rule))
            stage = any(event in self.events_read(rule) for _, rule in self.stages if rule is not None)
            self._moved[event] = self._moves(segments, stage=stage)
        return self._moved[event]

    @cached_property
    def everything(self) -> Moved:
        """All segments and the lifecycle."""
        return self._moves(tuple(self.segments.items()), stage=True)

    def _moves(self, segments: tuple[tuple[str, Rule], ...], *, stage: bool) -> Moved:
        rules = [rule for _, rule in segments] + [rule for _, rule in self.stages if rule is not None and stage]
        return Moved(segments, stage, changes_of(rules, self.traits, self.segments, rules_of(self.stages)))

    def meaning_of(self, rule: Rule) -> str:
        """8 hex digits of a rule's whole meaning: its text, and every trait, segment and stage that it reads."""
        return _meaning_digest(rule, self.traits, self.segments, self.stages)

    def names_read(self, rule: Rule) -> set[str]:
        """What a rule reads, as the file names it: `traits.NAME`, `segments.NAME`, and `lifecycle` where it asks for the stage."""
        traits, within = _read_by(rule, self.traits, self.segments, self.stages)
        named = {f"segments.{name}" for name in within if name in self.segments}
        return named | {f"traits.{trait.name}" for trait in traits} | ({"lifecycle"} if within.keys() - self.segments.keys() else set())

    def windows_read(self, rule: Rule) -> dict[str, int]:
        """Per event, how far a rule looks back in its history."""
        traits, within = _read_by(rule, self.traits, self.segments, self.stages)
        found = windows_of([rule, *within.values(), *(trait.value for trait in traits if trait.value is not None)])
        for trait in traits:
            if trait.value is None and trait.within:
                found[trait.event] = max(found.get(trait.event, 0), trait.within)
        return found

    def reads_alike(self, rule: Rule, other: "Audience") -> bool:
        """Whether a rule finds in profiles made under the definitions of another audience what it finds in profiles made under these."""
        stored = [trait for trait in _read_by(rule, self.traits, self.segments, self.stages)[0] if trait.value is None]
        theirs = [other.traits[trait.name] for trait in stored if trait.name in other.traits]
        asked = self.windows_read(rule)
        return (
            digest_of_profiles(stored, asked, self.events) == digest_of_profiles(theirs, asked, other.events)
            and digest_of_values(stored) == digest_of_values(theirs)
            and all(event in other.projections and other.projections[event].window >= length for event, length in asked.items())
        )

    def events_read(self, rule: Rule) -> set[str]:
        """The event types that a rule's value depends on, through traits and segments."""
        traits, within = _read_by(rule, self.traits, self.segments, self.stages)
        values = [trait.value for trait in traits if trait.value is not None]
        return {trait.event for trait in traits if trait.aggregate} | set(windows_of([rule, *within.values(), *values]))

    def counts_directly(self, rule: Rule) -> bool:
        """Whether a rule asks count() itself, also through segments and the lifecycle: events of before, which no test can give."""
        _, within = _read_by(rule, self.traits, self.segments, self.stages)
        return bool(windows_of([rule, *within.values()]))

    @cached_property
    def _moved(self) -> dict[str, Moved]:
        return {}

    def event_fields(self, names: tuple[str, ...]) -> dict[str, ValueType]:
        """The fields that all of these events have (with the same type), and the envelope's."""
        shared: dict[str, ValueType] = {}
        for index, name in enumerate(names):
            fields = self.events.get(name, {})
            shared = dict(fields) if index == 0 else {f: k for f, k in shared.items() if fields.get(f) == k}
        return {**shared, **ENVELOPE}

    def named(self, names: tuple[str, ...]) -> dict[str, Mapping[str, str]]:
        """The fields of these events that hold ids of this file: of stages (where there is a lifecycle) or segments, with their names."""
        if names and set(names) <= {"stage_changed"} and self.stage_names:
            return {"from": self.stage_names, "to": self.stage_names}
        return {"segment": self.segment_names} if names and set(names) <= {"segment_entered", "segment_left"} else {}

    def readable(self, event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What rules may read of an event: its declared fields and the envelope's. The others may be as long as a request."""
        declared = self.events.get(event, {})
        return {name: value for name, value in fields.items() if name in declared or name in ENVELOPE}

    def named_everywhere(self) -> dict[str, Mapping[str, str]]:
        """What any condition may ask for by ids or declared texts, each with its name for people."""
        return _named(self.segment_names, self.stage_names, {name: trait.choices for name, trait in self.traits.items() if trait.choices})

    def nesting(self) -> Nesting:
        """How deep conditions go that read this audience."""
        return Nesting(self.traits, self.segments, rules_of(self.stages))

    def user_types(self) -> dict[str, ValueType]:
        """The types of user.*."""
        return {**BUILT_IN, **{name: trait.kind for name, trait in self.traits.items()}}

    def never_missing(self) -> frozenset[str]:
        """The names of user.* that always have a value."""
        return _never_missing((n, t.aggregate == "count", t.default) for n, t in self.traits.items())


def _named(
    segments: Mapping[str, str], stages: Mapping[str, str], choices: Mapping[str, Iterable[str]]
) -> dict[str, Mapping[str, str]]:  # fmt: skip
    chosen = {f"user.{name}": {text: text for text in texts} for name, texts in choices.items()}
    return {"segment": segments, **({"user.stage": stages} if stages else {}), **chosen}


def _never_missing(traits: Iterable[tuple[str, bool, Any]]) -> frozenset[str]:
    return frozenset({*BUILT_IN, *(name for name, counts, default in traits if counts or default is not None)})


EMPTY = Audience(SYSTEM_EVENTS, {}, {}, {}, (), ())


def compile_audience(model: AudienceModel, source: Source) -> Audience:
    """The compiled audience; findings go to `source`. What is wrong is left out, so that the rest can be checked."""
    unread = any(finding.severity == "error" for finding in source.findings)
    events: dict[str, Mapping[str, ValueType]] = {**SYSTEM_EVENTS}
    for name, fields in model.events.items():
        if name in SYSTEM_EVENTS:
            source.report("J104", ("events", name), key=True, found=name)
        else:
            events[name] = fields
    user: dict[str, ValueType] = {**BUILT_IN, **{n: t.type for n, t in model.traits.items()}}
    sure = _never_missing((n, bool(t.count), t.default) for n, t in model.traits.items())
    names = {name: m.name for name, m in model.segments.items()}
    stage_names = {stage.stage: stage.name for stage in model.lifecycle}
    choices = {name: m.of for name, m in model.traits.items() if m.type == "choice" and isinstance(m.of, list)}
    scope = Scope(
        user=user,
        named=_named(names, stage_names, choices),
        segments=frozenset(names),
        events=frozenset(events),
        timed="audience",
        sure=sure,
    )
    calculated = {n: node for n, m in model.traits.items() if m.value and (node := parse_expression(m.value, scope)[0]) is not None}
    reader = _AudienceReader(source, events, replace(scope, times=times_of(calculated)))
    traits = {name: t for name, m in model.traits.items() if (t := reader.trait(name, m)) is not None}
    segments = {name: r for name, m in model.segments.items() if (r := reader.rule(m.when, ("segments", name, "when")))}
    stages: list[tuple[str, Rule | None]] = []
    asked: list[tuple[Path_, Rule | None]] = []
    for index, stage in enumerate(model.lifecycle):
        if (stage.when is None) != (index == len(model.lifecycle) - 1):
            source.report("J103", ("lifecycle", index))
        rule = reader.rule(stage.when, ("lifecycle", index, "when")) if stage.when is not None else None
        asked.append((("lifecycle", index, "when"), rule))
        if rule is not None or stage.when is None:
            stages.append((stage.stage, rule))
    report_covered(source, asked)
    stops = [
        (stop.name, rule)
        for index, stop in enumerate(model.suppress_marketing)
        if (rule := reader.rule(stop.when, ("suppress_marketing", index, "when")))
    ]
    _refuse_circles(source, traits, segments, tuple(stages))
    _refuse_depths(source, traits, segments, [(path, rule) for path, rule in asked if rule is not None])
    values = [trait.value for trait in traits.values() if trait.value is not None]
    windows = windows_of([*segments.values(), *(r for _, r in stages if r), *(r for _, r in stops), *values])
    for trait in traits.values():
        if trait.within:
            windows[trait.event] = max(windows.get(trait.event, 0), trait.within)
    left_out = frozenset([*(model.traits.keys() - traits.keys()), *(model.segments.keys() - segments.keys())])
    stopping = tuple(stops)
    return Audience(
        events, traits, segments, names, tuple(stages), stopping, windows, stage_names=stage_names, left_out=left_out, unread=unread
    )


def windows_of(rules: list[Rule]) -> dict[str, int]:
    """The longest window of count() per event in these rules."""
    windows: dict[str, int] = {}
    for rule in rules:
        for node in walk(rule.node):
            if isinstance(node, Call) and node.function == "count":
                event, within = node.arguments
                windows[event] = max(windows.get(event, 0), within)
    return windows


_UTC = ZoneInfo("UTC")
_MADE: dict[str, ValueType] = {"count": "number", "distinct": "number", "median_gap": "number"}
_ALLOWED = {
    "count": {"where", "within"}, "sum": {"where", "within", "of"}, "avg": {"where", "within", "of", "at_least"},
    "first": {"where", "of", "within"}, "last": {"where", "of", "within"},
    "top": {"where", "of", "within", "take", "at_least"}, "distinct": {"where", "of", "within"},
    "median_gap": {"where", "within", "at_least"},
}  # fmt: skip
_NEEDS_OF = ("sum", "avg", "first", "last", "top", "distinct")


class _AudienceReader:
    def __init__(self, source: Source, events: Mapping[str, Mapping[str, ValueType]], scope: Scope) -> None:
        self.source, self.events, self.scope = source, events, scope

    def rule(self, text: str, path: tuple[str | int, ...], scope: Scope | None = None) -> Rule | None:
        scope = scope or self.scope
        node, problems = parse_condition(text, scope)
        return self._rule(text, node, problems or doubts_of(text, node, scope), path, scope)

    def _rule(self, text: str, node: Node | None, problems: list[Problem], path: tuple[str | int, ...], scope: Scope) -> Rule | None:
        for problem in problems:
            self.source.report(problem.code, path, problem.word, **problem.params)
        return rule_of(text, node, scope.times) if node is not None else None

    def trait(self, name: str, model: TraitModel) -> Trait | None:
        path = ("traits", name)
        sources = [a for a in (*AGGREGATES, "value") if getattr(model, a) is not None] + (["from"] if model.from_ else [])
        if len(sources) != 1:
            self.source.report("J100", path, key=True, found=name, expected="from, value, " + ", ".join(AGGREGATES))
            return None
        if model.type == "choice" and not isinstance(model.of, list):
            self.source.report("J014", path, key=True, found="of: [...]")
            return None
        choices = tuple(model.of) if isinstance(model.of, list) else ()
        default = coerce(model.default, model.type, _UTC, choices)
        if model.default is not None and default is None:
            self.source.report(
                "J013", (*path, "default"), expected=one_of(choices) if choices else VALUES[model.type], found=found_of(model.default)
            )
            return None
        if model.value is not None:
            node, problems = parse_expression(model.value, self.scope)
            rule = self._rule(model.value, node, problems, (*path, "value"), self.scope)
            if node is None or rule is None or not self._made(name, model, "value", kind_of(node)):
                return None
            return Trait(name, model.type, value=rule, default=default)
        aggregate = model.aggregate()
        if aggregate is None:
            return Trait(name, model.type, default=default, choices=choices)
        return self._aggregate(name, model, *aggregate, default)

    def _made(self, name: str, model: TraitModel, aggregate: str, made: ValueType) -> bool:
        """Whether what is made has the declared type."""
        texts = ("text", "choice")
        if made == model.type or (made in texts and model.type in texts):
            return True
        self.source.report("J102", ("traits", name, "type"), aggregate=aggregate, made=made, found=name, declared=model.type)
        return False

    def _aggregate(self, name: str, model: TraitModel, aggregate: str, event: str, default: Any) -> Trait | None:
        path = ("traits", name)
        fields = self.events.get(event)
        if fields is None:
            self.source.report("J020", (*path, aggregate), found=event, hint=did_you_mean(event, self.events))
            return None
        if event in TURN_EVENTS:
            self.source.report("J105", (*path, aggregate), found=event)
            return None
        for key in ("where", "within", "of", "take", "at_least"):
            if getattr(model, key) is not None and key not in _ALLOWED[aggregate]:
                self.source.report("J101", (*path, key), key=True, found=key, aggregate=aggregate)
                return None
        of = model.of if isinstance(model.of, str) else ""
        if aggregate in _NEEDS_OF and not of:
            self.source.report("J014", path, key=True, found="of")
            return None
        known: dict[str, ValueType] = {**fields, "time": "time", "hour": "time_of_day"}
        for key, wanted in (("of", of), ("take", model.take or "")):
            if wanted and wanted not in known:
                self.source.report(
                    "J023", (*path, key), found=wanted, event=event, hint=did_you_mean(wanted, known), known=nearest(wanted, known)
                )
                return None
        made = known[of] if aggregate in ("sum", "avg") else _MADE.get(aggregate) or known[model.take or of]
        if not self._made(name, model, aggregate, made):
            return None
        where = None
        if model.where is not None:
            scope = Scope(event={**fields, **ENVELOPE}, event_name=event, events=self.scope.events, timed="audience")
            where = self.rule(model.where, (*path, "where"), scope)
            if where is None:
                return None
            called = next((n for n in walk(where.node) if isinstance(n, Call) and n.function not in TIME_FUNCTIONS), None)
            if called is not None:  # the event alone decides: what else is true of the user depends on when it arrives
                self.source.report("J101", (*path, "where"), called.function, found=f"{called.function}(…)", aggregate=aggregate)
                return None
        within = parse_duration(model.within) or 0 if model.within else 0
        return Trait(name, model.type, aggregate, event, of, model.take or "", within, model.at_least or 1, where, None, default)


def rules_of(stages: Stages) -> list[Rule]:
    """The conditions of a lifecycle."""
    return [rule for _, rule in stages if rule is not None]


def _read_by(
    rule: Rule, traits: Mapping[str, Trait], segments: Mapping[str, Rule], stages: Stages
) -> tuple[list[Trait], dict[str, Rule]]:  # fmt: skip
    """The traits and the conditions (of segments, and of the lifecycle where the stage is asked) that a rule reads, and those that
    these read, in the order of their names.
    """
    lifecycle = {f"stage {name}": stage for name, stage in stages if stage is not None}
    read: set[tuple[str, str]] = set()
    waiting = _needs(rule)
    while waiting:
        kind, name = key = waiting.pop()
        if key == _STAGE and key not in read:
            read.add(key)
            waiting += [need for stage in lifecycle.values() for need in _needs(stage)]
        elif key not in read and name in (traits if kind == "traits" else segments):
            read.add(key)
            inner = traits[name].value if kind == "traits" else segments[name]
            waiting += _needs(inner) if inner is not None else []
    names = sorted(read - {_STAGE})
    within = {n: segments[n] for kind, n in names if kind == "segments"}
    return [traits[n] for kind, n in names if kind == "traits"], within | (lifecycle if _STAGE in read else {})


def _meaning_digest(rule: Rule, traits: Mapping[str, Trait], segments: Mapping[str, Rule], stages: Stages) -> str:
    read, within = _read_by(rule, traits, segments, stages)
    lines = [rule.text, *(f"{name} {inner.text}" for name, inner in within.items()), *(meaning_of(trait) for trait in read)]
    return blake2b("\n".join(lines).encode(), digest_size=4).hexdigest()


def _refuse_circles(source: Source, traits: dict[str, Trait], segments: dict[str, Rule], stages: Stages) -> None:
    """Traits and segments that need themselves, also by way of the lifecycle, are refused and taken out."""
    needs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, trait in traits.items():
        needs[("traits", name)] = _needs(trait.value) if trait.value else []
    for name, rule in segments.items():
        needs[("segments", name)] = _needs(rule)
    needs[_STAGE] = [need for rule in rules_of(stages) for need in _needs(rule)]
    for start in list(needs):
        circle = _circle(needs, start)
        if circle:
            kind, name = start
            where = (kind, name, "value" if kind == "traits" else "when") if start != _STAGE else ("lifecycle",)
            source.report("J052", where, found=name, circle=" → ".join(n for _, n in circle))
            (traits if kind == "traits" else segments).pop(name, None)


def _refuse_depths(
    source: Source, traits: Mapping[str, Trait], segments: Mapping[str, Rule], stages: list[tuple[Path_, Rule]]
) -> None:  # fmt: skip
    """What is too deep to be asked of everybody at once."""
    nesting = Nesting(traits, segments, [rule for _, rule in stages])
    rules = [(("traits", n, key), rule) for n, t in traits.items() for key, rule in (("value", t.value), ("where", t.where)) if rule]
    for path, rule in [*rules, *((("segments", name, "when"), rule) for name, rule in segments.items()), *stages]:
        if levels := nesting.too_deep(rule.node):
            source.report("J056", path, found=levels, most=MOST_LEVELS)


def _needs(rule: Rule) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for node in walk(rule.node):
        if isinstance(node, Call) and node.function == "segment":
            found.append(("segments", node.arguments[0]))
        elif getattr(node, "root", "") == "user":
            found.append(("traits", node.attribute))  # type: ignore[union-attr]
    return found


def _circle(needs: Mapping[tuple[str, str], list[tuple[str, str]]], start: tuple[str, str]) -> list[tuple[str, str]]:
    trail: list[tuple[tuple[str, str], list[tuple[str, str]]]] = [(start, [start])]
    seen: set[tuple[str, str]] = set()
    while trail:
        node, path = trail.pop()
        for following in needs.get(node, ()):
            if following == start:
                return [*path, start]
            if following not in seen:
                seen.add(following)
                trail.append((following, [*path, following]))
    return []
