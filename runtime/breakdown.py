"""`status --by TRAIT`: what has become of the people of each source, campaign, city: their stages, and their share in segments."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.expression import Call, Name
from runtime.store import SqlStore
from runtime.store.conditions import Moment, compile_sql, compile_value, stale_sql
from runtime.store.populations import said

MOST_VALUES = 50
KINDS = ("text", "choice", "boolean")  # of traits whose values make groups


class NoSuchName(Exception):
    """A trait or segment that there is none of; `known` are those that there are."""

    def __init__(self, what: Literal["trait", "segment"], name: str, known: Sequence[str]) -> None:
        super().__init__(name)
        self.what, self.name, self.known = what, name, known


class NoGroups(Exception):
    """A trait whose values make no groups, such as a number or a time."""

    def __init__(self, trait: str, kind: str) -> None:
        super().__init__(trait)
        self.trait, self.kind = trait, kind


@dataclass
class Group:
    """People of one value: how many, in which stages, and how many of them in which segments. `values` counts those of `others`."""

    kind: Literal["value", "missing", "others"]
    value: str | bool | None = None
    people: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)
    values: int = 1

    def as_json(self) -> dict[str, Any]:
        """The documented shape of `--json`."""
        found = {"kind": self.kind, "value": self.value, "people": self.people, "stages": dict(sorted(self.stages.items()))}
        return {**found, "segments": dict(self.segments)} | ({"values": self.values} if self.kind == "others" else {})


@dataclass(frozen=True)
class Breakdown:
    """Everybody by a trait. `unsure` people have a profile that is still to be made anew after a release, and are in no group."""

    by: str
    segments: tuple[str, ...]
    stages: tuple[str, ...]
    groups: list[Group]
    unsure: int

    def as_json(self) -> dict[str, Any]:
        """The documented shape of `--json`."""
        return {"by": self.by, "segments": list(self.segments), "unsure": self.unsure, "groups": [group.as_json() for group in self.groups]}


def break_down(
    store: SqlStore, audience: Audience, zone: ZoneInfo, now: int, by: str, segments: Sequence[str], most: int = MOST_VALUES
) -> Breakdown:
    """Everybody by the value of a trait now. Raises NoSuchName, NoGroups, or CannotSay where the database cannot tell."""
    trait = audience.traits.get(by)
    if trait is None:
        raise NoSuchName("trait", by, [name for name, t in audience.traits.items() if t.kind in KINDS])
    if trait.kind not in KINDS:
        raise NoGroups(by, trait.kind)
    for name in segments:
        if name not in audience.segments:
            raise NoSuchName("segment", name, list(audience.segments))
    with store.database.reading() as tx, store.populations.asking(tx):
        zones = store.populations.zones(tx) if audience.asks_hour else ()
        moment = Moment(audience, now, store.database.is_sqlite, zone, zones)
        value = said(compile_value(Name("user", by, trait.kind), moment))
        rules = [said(compile_sql(Call("segment", (name,), "boolean"), moment)) for name in segments]
        parts, values = store.breakdowns.by(tx, value, rules, stale_sql(moment), most)
    groups: dict[tuple[str, Any], Group] = {}
    unsure = 0
    for part in parts:
        if part.unsure:
            unsure += part.people
            continue
        kind: Any = "missing" if part.missing else "others" if part.value is None else "value"
        group = groups.setdefault((kind, part.value), Group(kind, part.value))
        group.people += part.people
        group.stages[part.stage] += part.people
        group.segments.update(dict(zip(segments, part.inside, strict=True)))
    named = sorted((g for g in groups.values() if g.kind == "value"), key=lambda g: (-g.people, str(g.value)))
    for group in groups.values():
        group.values = values - len(named) if group.kind == "others" else 1
    rest = [groups[kind, None] for kind in ("others", "missing") if (kind, None) in groups]
    return Breakdown(by, tuple(segments), _in_order(audience, groups), [*named, *rest], unsure)


def _in_order(audience: Audience, groups: Mapping[Any, Group]) -> tuple[str, ...]:
    """The stages that anybody stands in: the lifecycle's in its order, then those of earlier releases."""
    found = {stage for group in groups.values() for stage in group.stages}
    known = [name for name, _ in audience.stages if name in found]
    return (*known, *sorted(found - set(known)))
