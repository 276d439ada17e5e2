"""What an edit of the audience means: who reads what changed, and how many people come into or leave each segment and stage by it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.compiled import CompiledJourney
from journeys.expression import Compare, Const, Known, Name
from journeys.rule import Rule, rule_of
from runtime.store import SqlStore
from runtime.store.conditions import Moment, compile_sql, stale_sql
from runtime.store.populations import CannotSay, said


@dataclass(frozen=True, slots=True)
class Meaning:
    """A trait, segment or stage that means something else by an edit; `key` is as in the file (`segments.vip`).

    `lets_in` are the journeys that enter by it, `read_by` those with a condition that reads it. `comes` and `leaves` count people by
    today's profiles; None where these cannot tell, and for a trait. `holds` counts those who have a value of a trait from outside that the
    edit takes out (`is_gone`) or gives another type; None where no value is at stake, or nobody can tell.
    """

    key: str
    lets_in: tuple[str, ...]
    read_by: tuple[str, ...]
    comes: int | None = None
    leaves: int | None = None
    holds: int | None = None
    is_gone: bool = False

    @property
    def has_people(self) -> bool:
        """Whether people are in it or not."""
        return not self.key.startswith("traits.")


def meanings_of(
    store: SqlStore, before: Audience, after: Audience, changed: Iterable[str], journeys: Mapping[str, CompiledJourney], zone: ZoneInfo,
    now: int,
) -> list[Meaning]:  # fmt: skip
    """Of every trait among the `changed` keys, and of every segment and stage whose meaning is not what it was."""
    traits = dict.fromkeys(".".join(key.split(".")[:2]) for key in changed if key.startswith("traits."))
    pairs = {
        f"segments.{name}": (before.segments[name], after.segments[name])
        for name, digest in after.segment_digests.items()
        if before.segment_digests.get(name, digest) != digest
    }
    named = {name for name, _ in after.stages} & {name for name, _ in before.stages}
    stages = {name: _stage(name) for name in named}
    pairs |= {f"lifecycle.{name}": (rule, rule) for name, rule in stages.items() if before.meaning_of(rule) != after.meaning_of(rule)}
    held = {key: rule for key in traits if (rule := _at_stake(key.split(".", 1)[1], before, after)) is not None}
    counts, holds = _counted(store, before, after, pairs, held, zone, now)
    found: list[Meaning] = []
    for key in traits:
        is_gone = key.split(".", 1)[1] not in after.traits
        if not is_gone or holds.get(key):
            found.append(Meaning(key, *_readers(key, after, journeys), holds=holds.get(key), is_gone=is_gone))
    for key in pairs:
        comes, leaves = counts[key]
        if key.startswith("segments.") or comes or leaves or comes is None:  # an edit of one stage changes what all below it are
            found.append(Meaning(key, *_readers(key, after, journeys), comes, leaves))
    return found


def _stage(name: str) -> Rule:
    return rule_of(f"user.stage == {name!r}", Compare("==", Name("user", "stage", "text"), Const(name, "text")), {})


def _at_stake(name: str, before: Audience, after: Audience) -> Rule | None:
    """Who has a value of a trait from outside that is taken out or has another type; None of any other."""
    trait, new = before.traits.get(name), after.traits.get(name)
    if trait is None or trait.aggregate or trait.value is not None or (new is not None and new.kind == trait.kind):
        return None
    return rule_of(f"user.{name} is known", Known(Name("user", name, trait.kind), known=True), {})


def _counted(
    store: SqlStore, before: Audience, after: Audience, pairs: Mapping[str, tuple[Rule, Rule]], held: Mapping[str, Rule], zone: ZoneInfo,
    now: int,
) -> tuple[dict[str, tuple[int | None, int | None]], dict[str, int]]:  # fmt: skip
    """(who comes, who leaves) by key, and for whom a rule of `held` holds; profiles are made under the definitions of before."""
    counts: dict[str, tuple[int | None, int | None]] = dict.fromkeys(pairs, (None, None))
    bare = replace(before, traits={name: replace(trait, default=None) for name, trait in before.traits.items()})  # a default is no value
    with store.database.reading() as tx:
        then = Moment(before, now, store.database.is_sqlite, zone, store.populations.zones(tx))
        asked: dict[str, Any] = {}
        for key, (was, is_now) in pairs.items():
            if not after.reads_alike(is_now, before):
                continue
            try:
                old, new = said(compile_sql(was.node, then)), said(compile_sql(is_now.node, replace(then, audience=after)))
            except CannotSay:
                continue
            asked[key] = (new & ~old, old & ~new)
        having = [said(compile_sql(rule.node, replace(then, audience=bare))) for rule in held.values()]
        conditions = [stale_sql(then), *having, *(one for both in asked.values() for one in both)]
        try:
            with store.populations.asking(tx):
                numbers = store.populations.tallied(tx, conditions)
        except CannotSay:
            return counts, {}
    if numbers[0]:  # some profiles are being made anew
        return counts, {}
    first = 1 + len(having)
    counts |= {key: (numbers[first + 2 * n], numbers[first + 2 * n + 1]) for n, key in enumerate(asked)}
    return counts, dict(zip(held, numbers[1:first], strict=True))


def _readers(key: str, audience: Audience, journeys: Mapping[str, CompiledJourney]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The journeys that enter by what is named by a key, and those with a condition that reads it."""
    what = "lifecycle" if key.startswith("lifecycle.") else key
    lets_in: list[str] = []
    read_by: list[str] = []
    for name, journey in sorted(journeys.items()):
        segment = journey.entry.segment
        by_segment = bool(segment) and (key == f"segments.{segment}" or what in audience.names_read(audience.segments[segment]))
        if by_segment or (what == "lifecycle" and "stage_changed" in journey.entry.events):
            lets_in.append(name)
        parts = (journey.entry, journey.goal, journey.exits, journey.steps)
        if any(what in audience.names_read(rule) for rule in rules_in(parts)):
            read_by.append(name)
    return tuple(lets_in), tuple(read_by)


def rules_in(value: Any) -> Iterable[Rule]:
    """Every rule in a part of a compiled journey."""
    if isinstance(value, Rule):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from rules_in(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from rules_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field_ in fields(value):
            yield from rules_in(getattr(value, field_.name))
