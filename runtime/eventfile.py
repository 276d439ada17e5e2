"""Events and users from rows of files: columns become fields, traits, identities, consents."""

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.errors import did_you_mean
from journeys.values import parse_time
from runtime.badrows import BadRows, Met
from runtime.intake.items import Reader, parse_event
from runtime.rowfile import Row, RowFile
from runtime.state import Event
from runtime.store.occurrences import Occurrences

ENVELOPE = ("id", "type", "user_id", "time")
EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)  # seconds or milliseconds; a CSV has only texts
FAR = 4_102_444_800_000  # 2100: a file's times are all in the past of its reading
WRITTEN_DATE = re.compile(r"(\d{4})[/.年-](\d{1,2})[/.月-](\d{1,2})日?(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
HEADINGS = {  # of exports, as people call them
    "id": ("编号", "流水号", "event_id"),
    "type": ("事件", "事件类型", "类型", "event", "event_type", "event_name"),
    "user_id": ("用户", "用户id", "用户编号", "会员", "会员id", "会员编号", "uid", "userid", "member_id", "customer_id"),
    "time": ("时间", "下单时间", "支付时间", "事件时间", "日期", "timestamp", "date", "datetime", "created_at", "paid_at", "event_time"),
}
ANSWERS = {"true": True, "1": True, "是": True, "false": False, "0": False, "否": False}
ANSWER_PART, ANSWER_DETAIL = 2, 3  # consents.CHANNEL.PURPOSE and what stands below it
PARTS = ("traits", "identities", "consents")
LISTS = ("tags", "remove_tags")
OF_JSON = ("id", "set_once", "increment", "append", "clear", "merge")  # parts of a record that no column can spell
AT_ONCE = 1000  # rows whose ids are looked up together


@dataclass(frozen=True)
class Shape:
    """How rows are read: columns by other names, and the type of events that have none."""

    names: Mapping[str, str] = field(default_factory=dict)
    type: str = ""

    def named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with its columns by the names that we know."""
        return {self.names.get(key, key): value for key, value in row.items()} if self.names else dict(row)


PLAIN = Shape()  # columns by our names


def left_out(row: Row, shape: Shape, name: str, *, is_csv: bool) -> str:
    """What is wrong with a row that leaves `name` out though its file has a column for it, or a key is mapped to it; else nothing."""
    keys = [key for key in (row.value if is_csv else shape.names) if shape.names.get(key, key) == name]
    if not keys or any(str(value).strip() for key in (*keys, name) if (value := row.value.get(key)) is not None):
        return ""
    return f"{name}: expected a text of 1 to 256 characters, found none" + (f" in {keys[0]}" if keys[0] != name else "")


def event_item(row: Row, shape: Shape, audience: Audience, *, is_csv: bool) -> dict[str, Any]:
    """The event of a row as it would be posted: what is no part of the envelope is data. Dates may be written as Excel does."""
    values = shape.named(row.value)
    if is_csv:
        values = {key: value for key, value in values.items() if key and value not in (None, "")}
    if "specversion" in values:
        return values
    data = values.get("data")
    if not is_csv and data is not None and not isinstance(data, dict):
        return values  # refused by whoever reads it
    if not isinstance(data, dict):
        own = {key: value for key, value in values.items() if key not in ENVELOPE and not (key == "data" and value is None)}
        values = {**{key: values.get(key) for key in ENVELOPE}, "data": own}
    else:
        values["data"] = shape.named(data)
    values["type"] = values.get("type") or shape.type or None
    values["time"] = _written_time(values.get("time"), epoch=is_csv)
    fields = audience.events.get(str(values["type"]), {})
    values["data"] = {key: _written_time(value) if fields.get(key) == "time" else value for key, value in values["data"].items()}
    return values


def _written_time(value: Any, *, epoch: bool = False) -> Any:
    """2026/1/5 9:03 and 2026年1月5日 as ISO 8601, digits as seconds or milliseconds; everything else as it is."""
    if not isinstance(value, str):
        return value
    if epoch and EPOCH.fullmatch(value):
        return int(value)
    match = WRITTEN_DATE.fullmatch(value.strip())
    if match is None:
        return value
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime(year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001 - the zone is its reader's
    except ValueError:
        return value  # no such day or hour: it is refused as it was written


def user_item(row: Row, shape: Shape, zone: ZoneInfo, *, is_csv: bool) -> dict[str, Any] | str:
    """The user record of a row as it would be posted, or what is wrong with it.

    Columns: user_id, zone, tags (separated by |), identities.KIND, consents.CHANNEL.PURPOSE (and .at .wording .source below
    it), traits.NAME; every other one is a trait. Records of JSON stand as they are; what lies flat beside is read alike.
    """
    item: dict[str, Any] = {}
    for key, value in shape.named(row.value).items():
        if is_csv and (not key or value in (None, "")):
            continue
        problem = _put(item, key, value, is_csv=is_csv)
        if problem:
            return problem
    if isinstance(item.get("consents"), dict):
        return _with_readable_times(item, zone)
    return item


def _put(item: dict[str, Any], key: str, value: Any, *, is_csv: bool) -> str:
    head, *rest = key.split(".")
    if key in ("user_id", "zone") or (key in OF_JSON and not is_csv):
        item[key] = value
    elif key in LISTS:
        item[key] = [tag for part in value.split("|") if (tag := part.strip())] if isinstance(value, str) else value
    elif key in PARTS:
        return _into(item, key, value)
    elif head in ("traits", "identities") and len(rest) == 1:
        return _into(item, head, {rest[0]: value})
    elif head == "consents" and len(rest) in (ANSWER_PART, ANSWER_DETAIL):
        return _answer(item, key, rest, value)
    else:
        return _into(item, "traits", {key: value})
    return ""


def _into(holder: dict[str, Any], key: str, more: Any, place: str = "") -> str:
    """Put more into a part of a record; what is wrong where one of them is no object. Nothing (null) is an empty one."""
    both = [value for value in (holder.get(key), more) if value is not None]
    if not all(isinstance(value, dict) for value in both):
        return f"{place}{key}: expected an object"
    holder[key] = {name: value for part in both for name, value in part.items()}
    return ""


def _answer(item: dict[str, Any], key: str, path: list[str], value: Any) -> str:
    if len(path) == ANSWER_DETAIL:
        detail = {path[2]: value}
    else:
        granted = ANSWERS.get(str(value).strip().lower())
        if granted is None:
            return f"{key}: expected true or false, found {str(value)[:40]}"
        detail = {"granted": granted}
    channel, purpose, *_ = path
    problem = _into(item, "consents", {}) or _into(item["consents"], channel, {}, "consents.")
    return problem or _into(item["consents"][channel], purpose, detail, f"consents.{channel}.")


def _with_readable_times(item: dict[str, Any], zone: ZoneInfo) -> dict[str, Any] | str:
    """The consents without those that say only when; a time that cannot be read is no time of a proof."""
    for channel, purposes in item["consents"].items():
        for purpose, said in list(purposes.items()) if isinstance(purposes, dict) else ():
            if not isinstance(said, dict):
                continue
            if "granted" not in said:
                del purposes[purpose]
            elif said.get("at") is not None:
                said["at"] = _written_time(said["at"], epoch=True)
                if parse_time(said["at"], zone) is None:
                    return f"consents.{channel}.{purpose}.at: expected a time, found {str(said['at'])[:40]}"
    return item


def undated(item: dict[str, Any]) -> dict[str, Any]:
    """A record of history: a yes that does not say when it was given is older than everything known, so that no no is undone by it."""
    consents = item.get("consents")
    for purposes in consents.values() if isinstance(consents, dict) else ():
        for purpose, said in list(purposes.items()) if isinstance(purposes, dict) else ():
            answer = said if isinstance(said, dict) else {"granted": said}
            if answer.get("granted") is True and answer.get("at") is None:
                purposes[purpose] = {**answer, "at": 0}
    return item


def read_events(file: RowFile, audience: Audience, zone: ZoneInfo, bad: BadRows, shape: Shape = PLAIN) -> Iterator[Event]:
    """The events of a file in its order; an event without an id is known by its line. Of equal ids the first row counts."""
    path = file.path
    met: list[Met] = []
    with Occurrences() as seen:
        for row in file:
            if problem := row.problem or left_out(row, shape, "id", is_csv=file.is_csv):
                bad.add(row.line, row.told(problem))
                continue
            item = event_item(row, shape, audience, is_csv=file.is_csv)
            event = parse_event(item, audience, zone, FAR, f"{path.name}:{row.line}")
            if isinstance(event, str):
                bad.add(row.line, row.told(event + _meant(event.split(":", 1)[0], row.value)))
            elif item.get("time") is None:
                bad.add(row.line, row.told("time: expected a time, found none"))
            else:
                met.append(Met(row.line, event, item.get("data") or {}))
                bad.remark_on(met[-1], audience)
            if len(met) == AT_ONCE:
                yield from _firsts(met, bad, seen)
                met.clear()
        yield from _firsts(met, bad, seen)
    bad.sum_up()


def _firsts(met: Sequence[Met], bad: BadRows, seen: Occurrences) -> Iterator[Event]:
    repeats = bad.repeats(met, seen)
    for line, e, _ in met:
        if line not in repeats:
            yield Event(e.id, e.type, e.user_id, e.time, e.time, e.data)


def _meant(key: str, given: Mapping[str, Any]) -> str:
    """A key of the row that may be the one that was looked for."""
    others = [name for name in given if name and name not in ENVELOPE]
    hint = did_you_mean(key, others) if key in ENVELOPE and key not in given else ""
    return f"; did you mean {hint}?" if hint else ""


def _heading(name: str, columns: Sequence[str]) -> str:
    """The column that is what we call `name`: under a usual other name, or misspelled; but order_id is no user_id."""
    others = [column for column in columns if column not in ENVELOPE]
    usual = (column for column in others if column.lower().replace(" ", "") in HEADINGS[name])
    return next(usual, "") or did_you_mean(name, others, cutoff=0.85)


def wrong_columns(name: str, columns: Sequence[str], shape: Shape, *, users: bool = False) -> str:
    """What is wrong with the columns of a CSV of events, or of users: which are missing, and which may be meant; nothing where all is well.

    `name` is the file's. Every mapped column stands in the file, and what a row cannot be without has a column.
    """
    separator = next((sign for sign in (";", "\t", "|") if len(columns) == 1 and sign in columns[0]), "")
    if separator:
        return f"{name}: its columns are separated by {separator!r}; expected commas: save it as CSV (comma delimited, UTF-8)"
    there = f"its columns are {', '.join(columns)[:400]}"
    for column, meant in shape.names.items():
        if column not in columns:
            return f"{name}: --map {column}={meant}: there is no such column; {there}"
    named = {shape.names.get(column, column) for column in columns}
    needed = ["user_id"] if users else ["user_id", "time", *([] if shape.type else ["type"])]
    missing = [wanted for wanted in needed if wanted not in named]
    if not columns or not missing:
        return ""
    asked = missing if users or "id" in named else [*missing, "id"]
    guesses = [f"{column}={wanted}" for wanted in asked if (column := _heading(wanted, columns))]
    quoted = [guess if re.fullmatch(r"[\w=.-]+", guess) else shlex.quote(guess) for guess in guesses]
    advice = " ".join(f"--map {guess}" for guess in quoted) or f"--map COLUMN={missing[0]}"
    advice += " or --type TYPE" if "type" in missing and not any(guess.endswith("=type") for guess in guesses) else ""
    return f"{name}: there is no column {', '.join(missing)}; {there}; say which one it is with {advice}"


def read_users(path: Path, audience: Audience, zone: ZoneInfo, bad: BadRows) -> Iterator[tuple[str, dict[str, Any]]]:
    """(user_id, record) of a file; in CSV every further column is a trait."""
    reader = Reader("file", ("*",), audience, zone, 0, path.name)
    file, shape = RowFile(path), PLAIN
    for row in file:
        item = row.problem or left_out(row, shape, "user_id", is_csv=file.is_csv) or user_item(row, shape, zone, is_csv=file.is_csv)
        if isinstance(item, str):
            bad.add(row.line, item)
            continue
        parsed = reader.records(item)
        if not parsed.records:
            bad.add(row.line, parsed.reasons[0]["reason"])
            continue
        bad.remark_on_record(row.line, item, parsed, audience)
        for record in parsed.records:
            if record.person.user_id:
                yield record.person.user_id, dict(record.payload)
            else:
                bad.add(row.line, "user_id: expected a text of 1 to 256 characters")


def to_stderr(text: str) -> None:
    """Show a bad row to whoever watches."""
    sys.stderr.write(text + "\n")
