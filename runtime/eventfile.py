"""Events and users from files: JSONL, or CSV whose further columns are fields of data. Bad rows are counted and shown."""

import csv
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import orjson

from journeys.audience import Audience
from journeys.errors import did_you_mean
from runtime.intake.items import Reader, parse_event
from runtime.state import Event

ENVELOPE = ("id", "type", "user_id", "time")
EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)  # seconds or milliseconds; a CSV has only texts
FAR = 4_102_444_800_000  # 2100: a file's times are all in the past of its reading
csv.field_size_limit(1024 * 1024)


@dataclass
class BadRows:
    """Rows that were passed over; the first ones are shown as they are met."""

    file: str
    show: Callable[[str], None]
    count: int = 0
    most_shown: int = 20
    lines: list[str] = field(default_factory=list)
    remarks: set[str] = field(default_factory=set)

    def add(self, line: int, problem: str) -> None:
        """Count a row and show it."""
        self.count += 1
        text = f"{self.file}:{line}: {problem}"
        if self.count <= self.most_shown:
            self.lines.append(text)
            self.show(text)

    def remark(self, line: int, about: str, remark: str) -> None:
        """Say something once about rows that are taken all the same."""
        if about not in self.remarks:
            self.remarks.add(about)
            self.show(f"{self.file}:{line}: {remark}")


def _remarks(event: Event, given: dict[str, Any], audience: Audience) -> Iterator[tuple[str, str]]:
    """What no rule will see of an event: an undeclared type, a field that is not of its type."""
    fields = audience.events.get(event.type)
    if fields is None:
        hint = did_you_mean(event.type, audience.events)
        guess = f"; did you mean {hint}?" if hint else ""
        yield event.type, f"event {event.type} is not declared in audience.yaml: it is kept, and no rule sees it{guess}"
        return
    for name, value in given.items():
        if name in fields and value is not None and name not in event.data:
            yield f"{event.type}.{name}", f"{event.type}.{name} is no {fields[name]}: {str(value)[:40]!r} counts as missing"


def read_events(path: Path, audience: Audience, zone: ZoneInfo, bad: BadRows) -> Iterator[Event]:
    """The events of a file in its order; an event without an id is known by its line."""
    for line, row in _rows(path, bad):
        if path.suffix.lower() == ".csv":
            data = {k: v for k, v in row.items() if k and k not in ENVELOPE and v not in (None, "")}
            row = {**{k: row.get(k) or None for k in ENVELOPE}, "data": data}  # noqa: PLW2901 - the same row, as an event
            if row["time"] is not None and EPOCH.fullmatch(row["time"]):
                row["time"] = int(row["time"])
        event = parse_event(row, audience, zone, FAR, f"{path.name}:{line}")
        if isinstance(event, str):
            bad.add(line, event)
        elif row.get("time") is None:
            bad.add(line, "time: expected a time, found none")
        else:
            for about, remark in _remarks(event, row.get("data") or {}, audience):
                bad.remark(line, about, remark)
            yield Event(event.id, event.type, event.user_id, event.time, event.time, event.data)


def read_users(path: Path, audience: Audience, zone: ZoneInfo, bad: BadRows) -> Iterator[tuple[str, dict[str, Any]]]:
    """(user_id, record) of a file; in CSV every further column is a trait."""
    reader = Reader("file", ("*",), audience, zone, 0, path.name)
    for line, row in _rows(path, bad):
        if path.suffix.lower() == ".csv":
            row = {"user_id": row.get("user_id"), "traits": {k: v for k, v in row.items() if k and k != "user_id" and v}}  # noqa: PLW2901
        parsed = reader.records(row)
        for reason in parsed.reasons:
            bad.add(line, reason["reason"])
        for record in parsed.records:
            if not record.person.user_id:
                bad.add(line, "user_id: expected a text of 1 to 256 characters")
                continue
            yield record.person.user_id, dict(record.payload)


def _rows(path: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(path, bad)
        return
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                value = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                bad.add(number, f"not JSON: {error}")
                continue
            if isinstance(value, dict):
                yield number, value
            else:
                bad.add(number, "expected one JSON object per line")


def _csv_rows(path: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("r", encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(_without_nul(file))
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                bad.add(reader.line_num, f"not CSV: {error}")
                continue
            if None in row:
                bad.add(reader.line_num, f"more values than the {len(reader.fieldnames or ())} columns of the first line")
            elif all(value in (None, "") for value in row.values()):
                continue
            else:
                yield reader.line_num, row


def _without_nul(file: IO[str]) -> Iterator[str]:
    for line in file:
        yield line.replace("\x00", "�") if "\x00" in line else line


def to_stderr(text: str) -> None:
    """Show a bad row to whoever watches."""
    sys.stderr.write(text + "\n")
