"""What is wrong with the rows of a file: those that are passed over, those that are taken and not seen by any rule, repeated ids."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from journeys.audience import Audience, Trait
from journeys.errors import did_you_mean
from runtime.intake.items import Parsed
from runtime.intake.misfits import CHANGES, KEYS
from runtime.state import Event
from runtime.store.occurrences import Occurrences

CURES = {
    "number": ": write 44 or 44.5, without a currency, a unit or commas",
    "time": ": write 2026-01-31 or 2026-01-31 18:00",
    "boolean": ": write true or false",
    "anniversary": ": write 12-18 or 1990-12-18",
    "time_of_day": ": write 18:30",
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
            guess = _guess(did_you_mean(event.type, audience.events))
            remark = f"event {event.type} is not declared in audience.yaml: it is kept, and no rule sees it{guess}"
            self._remark(line, event.type, remark, 1)
            return
        for name, value in given.items():
            if name not in fields and value is not None:
                self._stranger(line, event.type, name, [key for key in fields if key not in given])
            elif name in fields and value is not None and name not in event.data:
                self._remark(line, f"{event.type}.{name}", _no(f"{event.type}.{name}", fields[name], value), self.most_shown)

    def remark_on_record(self, line: int, item: Mapping[str, Any], parsed: Parsed, audience: Audience) -> None:
        """Say what is left out of a user record that is taken all the same, and which of its traits no rule will see."""
        for reason in parsed.reasons:
            self._remark(line, "identities.phone", f"{reason['reason']}; the rest of the row is taken", self.most_shown)
        given = {name: value for change in CHANGES for name, value in (item.get(change) or {}).items()}
        for misfit in parsed.misfits:
            place, _, name = misfit.name.partition(".")
            if misfit.expected == "key":
                self._remark(line, misfit.name, f"nothing reads {misfit.name}{_guess(did_you_mean(name, KEYS[place]))}", 1)
            else:
                self._remark(line, misfit.name, _no(misfit.name, misfit.expected, given.get(name)), self.most_shown)
        for name in (name for name, value in given.items() if value is not None):
            self._remark_on_trait(line, name, audience)

    def _remark_on_trait(self, line: int, name: str, audience: Audience) -> None:
        trait, about = audience.traits.get(name), f"user.{name}"
        if trait is None:
            told = [*(t.name for t in audience.traits.values() if _is_told(t)), *KEYS["record"]]
            guess = _guess(did_you_mean(name, told)) if not self.remarks[about] else ""  # it is shown once, and is not cheap
            self._remark(line, about, f"user has no trait {name}: it is kept, and no rule sees it{guess}", 1)
        elif not _is_told(trait):
            self._remark(line, about, f"{about} is computed by audience.yaml: no rule sees what a file says of it", 1)

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


def _is_told(trait: Trait) -> bool:
    return not trait.aggregate and trait.value is None


def _guess(hint: str) -> str:
    return f"; did you mean {hint}?" if hint else ""


def _no(name: str, kind: str, value: Any) -> str:
    return f"{name} is no {kind}: {str(value)[:40]!r} counts as missing{CURES.get(kind, '')}"
