"""What is wrong with the rows of a file: those that are passed over, those that are taken and not seen by any rule, repeated ids."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from journeys.audience import Audience
from journeys.errors import did_you_mean
from journeys.values import coerce
from runtime.state import Event
from runtime.store.occurrences import Occurrences

CURES = {
    "number": ": write 44 or 44.5, without a currency, a unit or commas",
    "time": ": write 2026-01-31 or 2026-01-31 18:00",
    "boolean": ": write true or false",
}


class Met(NamedTuple):
    """A row that became an event, and the fields that stand there."""

    line: int
    event: Event
    given: Mapping[str, Any]

    @property
    def content(self) -> dict[str, Any]:
        """What the row says."""
        return {"type": self.event.type, "user_id": self.event.user_id, "time": self.event.time, **self.given}


@dataclass
class BadRows:
    """Rows that were passed over; the first ones are shown as they are met. `remarks` counts what is wrong with rows that were taken,
    `repeated` the rows whose id an earlier row has, and `differing` those of them that say something else than it.
    """

    file: str
    show: Callable[[str], None]
    count: int = 0
    most_shown: int = 20
    lines: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    differing: int = 0
    _meant: dict[tuple[str, str], str] = field(default_factory=dict)  # by type and unknown field, the field that is near

    def add(self, line: int, problem: str) -> None:
        """Count a row and show it."""
        self.count += 1
        text = f"{self.file}:{line}: {problem}"
        if self.count <= self.most_shown:
            self.lines.append(text)
            self.show(text)

    def remark_on(self, met: Met, audience: Audience) -> None:
        """Say what no rule will see of an event that is taken all the same: its type, where nobody declared it, or a field's value."""
        line, event, given = met
        fields = audience.events.get(event.type)
        if fields is None:
            hint = did_you_mean(event.type, audience.events)
            guess = f"; did you mean {hint}?" if hint else ""
            remark = f"event {event.type} is not declared in audience.yaml: it is kept, and no rule sees it{guess}"
            self._remark(line, event.type, remark, 1)
            return
        for name, value in given.items():
            if name not in fields and value is not None:
                self._stranger(line, event.type, name, [key for key in fields if key not in given])
            elif name in fields and value is not None and name not in event.data:
                kind = fields[name]
                remark = f"{event.type}.{name} is no {kind}: {str(value)[:40]!r} counts as missing{CURES.get(kind, '')}"
                self._remark(line, f"{event.type}.{name}", remark, self.most_shown)

    def remark_on_traits(self, line: int, traits: Mapping[str, Any], audience: Audience, zone: ZoneInfo) -> None:
        """Say what no rule will see of a user record that is taken all the same: a trait that nobody declared, or a value."""
        outside = {name: trait for name, trait in audience.traits.items() if not trait.aggregate and trait.value is None}
        for name, value in traits.items():
            if value is None:
                continue
            if name in outside:
                kind = outside[name].kind
                if coerce(value, kind, zone, outside[name].choices) is None:
                    remark = f"trait {name} is no {kind}: {str(value)[:40]!r} counts as missing{CURES.get(kind, '')}"
                    self._remark(line, name, remark, self.most_shown)
            elif name in audience.traits:
                self._remark(line, name, f"trait {name} is computed by audience.yaml: no rule sees what a file says of it", 1)
            else:
                hint = did_you_mean(name, outside) if not self.remarks[name] else ""  # it is shown once, and is not cheap
                guess = f"; did you mean {hint}?" if hint else ""
                remark = f"trait {name} is not declared in audience.yaml: it is kept, and no rule sees it{guess}"
                self._remark(line, name, remark, 1)

    def _stranger(self, line: int, type_: str, name: str, missing: Sequence[str]) -> None:
        """A field that no rule sees is nobody's business, unless a declared one of nearly that name is missing beside it."""
        if (type_, name) not in self._meant:
            self._meant[type_, name] = did_you_mean(name, missing)
        if meant := self._meant[type_, name]:
            self._remark(line, f"{type_}.{name}", f"{type_} has no field {name}: no rule sees it; did you mean {meant}?", 1)

    def _remark(self, line: int, about: str, remark: str, most: int) -> None:
        self.remarks[about] += 1
        if self.remarks[about] <= most:
            self.show(f"{self.file}:{line}: {remark}")

    def repeats(self, met: Sequence[Met], seen: Occurrences) -> set[int]:
        """The lines of these whose id an earlier row of the file has; those that say something else than it are shown."""
        said = {m.line: (m.event.id, orjson.dumps(m.content, default=str).decode()) for m in met}
        found = seen.firsts([(identifier, line, content) for line, (identifier, content) in said.items()])
        for line, (first, before_) in sorted(found.items()):
            before, now = orjson.loads(before_), orjson.loads(said[line][1])
            others = [name for name in {**before, **now} if before.get(name) != now.get(name)]
            self.differing += bool(others)
            if others and self.differing <= self.most_shown:
                differs = f"id {said[line][0]} stands in line {first} already, with another {', '.join(others)}"
                self.show(f"{self.file}:{line}: {differs}: the first row of an id counts")
        self.repeated += len(found)
        return set(found)

    def sum_up(self) -> None:
        """Say of how many rows what was said of some."""
        for about, n in self.remarks.items():
            if n > 1:
                self.show(f"{self.file}: {about}: so in {n:,} rows")
