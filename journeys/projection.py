"""What the profile takes from each type of event, and a digest of it: profiles under another digest are made anew."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from journeys.expression import Name, walk
from journeys.values import ValueType

if TYPE_CHECKING:
    from journeys.audience import Trait
    from journeys.rule import Rule

FORMAT = 2  # of the states in a profile: another number makes every profile anew
COMPUTED = ("time", "hour")  # read from the event's own time, never from its fields
ENVELOPE_KEPT = ("time", "type", "user_id")  # what an entry of a history knows without a field
SMALLEST_MEDIAN = 200  # times of a median_gap without a window that are kept, or at_least when that is more


@dataclass(frozen=True, slots=True)
class Projection:
    """One event type: how long its history is kept (milliseconds, 0: not), with which fields, and which traits fold it as it comes."""

    window: int
    fields: tuple[str, ...]
    folded: tuple["Trait", ...]


def projections_of(traits: Iterable["Trait"], windows: Mapping[str, int], longer: Mapping[str, int]) -> dict[str, Projection]:
    """The projection of every event type that a trait or a window reads. `longer` are windows that older versions still need."""
    aggregates = [trait for trait in traits if trait.aggregate]
    found: dict[str, Projection] = {}
    for event in sorted({*windows, *longer, *(trait.event for trait in aggregates)}):
        fields = {name for trait in aggregates if trait.event == event and trait.within for name in fields_of(trait)}
        folded = tuple(trait for trait in aggregates if trait.event == event and not trait.within)
        window = max(windows.get(event, 0), longer.get(event, 0))
        found[event] = Projection(window, tuple(sorted(fields)), folded)
    return found


def fields_of(trait: "Trait") -> set[str]:
    """The fields of the event that an aggregate reads (and `id` where its `where` does)."""
    names = {trait.of, trait.take} - {"", *COMPUTED}
    if trait.where is not None:
        names |= {n.attribute for n in walk(trait.where.node) if isinstance(n, Name) and n.root == "event"} - {*ENVELOPE_KEPT}
    return names


def digest_of_profiles(traits: Iterable["Trait"], windows: Mapping[str, int], events: Mapping[str, Mapping[str, ValueType]]) -> str:
    """12 hex digits of everything that stored aggregates and histories depend on, and of nothing else.

    What is only read later (`default`, `at_least`, the `where` of a window) is left out; the types of the fields count.
    """
    lines: list[str] = [str(FORMAT)]
    for event, projection in sorted(projections_of(traits, windows, {}).items()):
        used = {name for trait in projection.folded for name in fields_of(trait)} | set(projection.fields)
        types = {name: events.get(event, {}).get(name, "") for name in sorted(used)}
        lines.append(f"{event} {projection.window} {projection.fields} {types}")
        for trait in sorted(projection.folded, key=lambda t: t.name):
            bound = median_bound(trait) if trait.aggregate == "median_gap" else 0
            lines.append(f"{trait.name} {trait.aggregate} {trait.of} {trait.take} {bound} {_text(trait.where)}")
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=6).hexdigest()


def digest_of_values(traits: Iterable["Trait"]) -> str:
    """8 hex digits of the types that values from outside are kept in: those kept under other types are typed anew."""
    lines = sorted(f"{trait.name} {trait.kind} {trait.choices}" for trait in traits if not trait.aggregate and trait.value is None)
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=4).hexdigest()


def median_bound(trait: "Trait") -> int:
    """How many of the latest times a median_gap without a window looks at."""
    return max(SMALLEST_MEDIAN, trait.at_least)


def meaning_of(trait: "Trait") -> str:
    """Everything that a trait's value depends on, in one line; for segments that read it."""
    parts = (trait.kind, trait.aggregate, trait.event, trait.of, trait.take, trait.within, trait.at_least, trait.default, trait.choices)
    return f"{trait.name} {parts} {_text(trait.where)} {_text(trait.value)}"


def _text(rule: "Rule | None") -> str:
    return rule.text if rule is not None else ""
