"""Two versions over the same past, side by side: who gets what they did not get before. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from journeys.duration import format_duration
from journeys.localtime import print_instant
from runtime.foreseen import Foreseen, Given
from runtime.state import stable_key

MOST_SHOWN = 5  # users of a step and kind
Renamed = Mapping[str, Mapping[str, str]]  # by journey: former name → name
How = Literal["only_before", "only_after", "moved", "changed"]
KINDS: tuple[How, ...] = ("only_after", "only_before", "moved", "changed")


class Difference(NamedTuple):
    """Something that is not the same: on one side only, by another channel or with another content (`changed`), or else `moved` in time.

    What moved may say something else, too: its own dates (`rewritten`).
    """

    how: How
    before: Given | None
    after: Given | None

    @property
    def rewritten(self) -> bool:
        """Whether both sides are there, and say different things."""
        return self.before is not None and self.after is not None and self.before.said != self.after.said

    @property
    def any(self) -> Given:
        """The one that there is."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a difference has a side
        return found


@dataclass
class StepDifferences:
    """One step of a journey (of a benefit's grant, too)."""

    journey: str
    step: str
    before: int = 0
    after: int = 0
    same: int = 0
    differences: list[Difference] = field(default_factory=list)

    def of(self, how: How) -> list[Difference]:
        """Those of one kind, in an order that is a draw by user, the same in every run: its head is a fair sample."""
        mine = [d for d in self.differences if d.how == how]
        return sorted(mine, key=lambda d: (stable_key(d.any.user_id), d.any.at, d.any.key))

    @property
    def shift(self) -> int:
        """The median of how much later things come, in milliseconds."""
        shifts = sorted(d.after.at - d.before.at for d in self.differences if d.how == "moved" and d.before and d.after)
        return shifts[len(shifts) // 2] if shifts else 0


@dataclass
class Comparison:
    """Both runs, and where they differ. `entries`: per journey, users who enter only before, only after, in both."""

    before: Foreseen
    after: Foreseen
    steps: list[StepDifferences]
    entries: dict[str, tuple[int, int, int]]

    @property
    def same(self) -> bool:
        """Whether everybody gets the same at the same time."""
        return not any(step.differences for step in self.steps)

    @property
    def differing(self) -> list[StepDifferences]:
        """The steps at which somebody gets something else, or at another time."""
        return [step for step in self.steps if step.differences]

    def as_json(self) -> dict[str, Any]:
        """Everything, to the last message."""
        zone = self.after.zone
        return {
            "entries": {i: {"only_before": a, "only_after": b, "both": n} for i, (a, b, n) in self.entries.items()},
            "steps": [
                {"journey": s.journey, "step": s.step, "before": s.before, "after": s.after, "same": s.same,
                 **{how: len(s.of(how)) for how in KINDS}, "median_shift": format_duration(s.shift),
                 "moved_and_rewritten": sum(d.rewritten for d in s.of("moved")),
                 "differences": [_shown(d, zone) for how in KINDS for d in s.of(how)]}
                for s in self.steps
            ],
            "before": self.before.as_json(),
        }  # fmt: skip


def compare(before: Foreseen, after: Foreseen, renamed: Renamed = MappingProxyType({})) -> Comparison:
    """Match what everybody got: by the message itself, then, of one user at one step, in the order of time.

    `renamed` names by journey what steps of before are called after (`was:`): they are one step, under its new name.
    """
    steps: dict[tuple[str, str], StepDifferences] = {}
    for key, mine, theirs in _together(before.deliveries, after.deliveries, renamed):
        step = steps.setdefault(key[:2], StepDifferences(*key[:2]))
        step.before += len(mine)
        step.after += len(theirs)
        for one, other in _pairs(mine, theirs):
            how = _how(one, other)
            if how is None:
                step.same += 1
            else:
                step.differences.append(Difference(how, one, other))
    entries: dict[str, tuple[int, int, int]] = {}
    for journey in sorted({*before.journeys, *after.journeys}):
        mine_, theirs_ = ({user for j, user in run.entries if j == journey} for run in (before, after))
        entries[journey] = (len(mine_ - theirs_), len(theirs_ - mine_), len(mine_ & theirs_))
    return Comparison(before, after, [steps[key] for key in sorted(steps)], entries)


def _together(
    before: Iterable[Given], after: Iterable[Given], renamed: Renamed
) -> Iterator[tuple[tuple[str, str, str], list[Given], list[Given]]]:  # fmt: skip
    sides: tuple[dict[tuple[str, str, str], list[Given]], ...] = ({}, {})
    for side, deliveries in zip(sides, (before, after), strict=True):
        for one in deliveries:
            step = renamed.get(one.journey, {}).get(one.step, one.step)
            side.setdefault((one.journey, step, one.user_id), []).append(one)
    for key in sorted({*sides[0], *sides[1]}):
        yield key, sides[0].get(key, []), sides[1].get(key, [])


def _pairs(before: Sequence[Given], after: Sequence[Given]) -> Iterator[tuple[Given | None, Given | None]]:
    theirs = {one.key: one for one in after}
    mine = {one.key for one in before}
    yield from ((one, theirs[one.key]) for one in before if one.key in theirs)
    yield from _nearest([one for one in before if one.key not in theirs], [one for one in after if one.key not in mine])


def _nearest(before: Sequence[Given], after: Sequence[Given]) -> Iterator[tuple[Given | None, Given | None]]:
    """Pairs in the order of time, as near to each other as they can be together; who is left over has no counterpart."""
    swapped = len(before) > len(after)
    few, many = (after, before) if swapped else (before, after)
    # best[n]: the pairs of the first few with the first n of the many, and how far they are apart
    best: list[tuple[int, tuple[int, ...]]] = [(0, ())] * (len(many) + 1)
    for taken, one in enumerate(few, 1):
        row: list[tuple[int, tuple[int, ...]]] = []
        for n in range(taken, len(many) - len(few) + taken + 1):
            apart, pairs = best[n - 1]
            found = (apart + abs(many[n - 1].at - one.at), (*pairs, n - 1))
            row.append(min(row[-1], found) if row else found)
        best = [(0, ())] * taken + row
    pairs = best[-1][1] if few else ()
    partner = dict(zip(pairs, few, strict=True))
    for n, one in enumerate(many):
        other = partner.get(n)
        yield (one, other) if swapped else (other, one)


def _how(before: Given | None, after: Given | None) -> How | None:
    if after is None:
        return "only_before"
    if before is None:
        return "only_after"
    if before.channel != after.channel or (before.at == after.at and before.said != after.said):
        return "changed"
    return "moved" if before.at != after.at else None


def text_of(delivery: Given) -> str:
    """What it says, on one line."""
    content = delivery.content if isinstance(delivery.content, dict) else {}
    parts = [str(content[key]) for key in ("title", "subject", "body", "text") if content.get(key)]
    parts += [str(value) for part in ("data", "params") if isinstance(content.get(part), dict) for value in content[part].values()]
    return " / ".join(parts) or str(content.get("template") or content.get("benefit") or orjson.dumps(content).decode())


def _shown(difference: Difference, zone: ZoneInfo) -> dict[str, Any]:
    sides = {name: _side(one, zone) for name, one in (("before", difference.before), ("after", difference.after))}
    return {"how": difference.how, "user_id": difference.any.user_id, **sides}


def _side(delivery: Given | None, zone: ZoneInfo) -> dict[str, Any] | None:
    if delivery is None:
        return None
    return {"at": print_instant(delivery.at, zone), "kind": delivery.kind, "channel": delivery.channel, "content": delivery.content}
