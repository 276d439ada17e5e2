"""`explain`: one user's whole story, from the log, the ledger and the refusals, as data and as lines for people."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from journeys.errors import Language
from journeys.localtime import print_instant
from journeys.values import print_number
from runtime.store import SqlStore
from runtime.store.reports import Story
from runtime.texts import action_text

EPOCH_MS = 100_000_000_000  # a number of an instant is larger


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a story; `why` holds the clause, the values then, and what else decided."""

    at: int
    journey: str
    version: int | None
    step: str
    action: str
    why: dict[str, Any]
    place: str = ""


def story_of(store: SqlStore, user_id: str) -> Story:
    """Everything that is kept about a user; of a former id, about whom she is now."""
    with store.database.reading() as tx:
        user_id = store.identity.survivors(tx, [user_id]).get(user_id, user_id)
        return store.reports.story(tx, user_id)


def lines_of(story: Story, places: dict[tuple[int, str], str]) -> list[Line]:
    """The log in the order of time. `places` maps (version row, step) to file:line."""
    enrolments = {e["id"]: e for e in story.enrolments}
    lines: list[Line] = []
    for enrolment_id, _, entry in story.log:
        enrolment = enrolments.get(enrolment_id)
        journey = enrolment["journey"] if enrolment else ""
        version = enrolment["version_id"] if enrolment else None
        place = places.get((version, entry.step), "") if version is not None else ""
        lines.append(Line(entry.at, journey, version, entry.step, entry.action, entry.why, place))
    lines.sort(key=lambda line: line.at)
    return lines


def as_json(story: Story, lines: list[Line], zone: ZoneInfo) -> dict[str, Any]:
    """The whole story as data; times are ISO-like in the project's zone beside the instants."""
    return {
        "user_id": story.user_id,
        "known": story.known,
        "enrolments": [_dated(e, zone) for e in story.enrolments],
        "story": [
            {"at": print_instant(line.at, zone), "at_ms": line.at, "journey": line.journey, "step": line.step, "action": line.action,
             "why": line.why, "place": line.place}
            for line in lines
        ],
        "messages": [_delivery(m, zone) for m in story.messages],
        "consents": [_dated(c, zone) for c in story.consents],
        "refusals": [_dated(r, zone) for r in story.refusals],
        "events": [_dated(e, zone) for e in story.events],
    }  # fmt: skip


_INSTANTS = ("entered_at", "ended_at", "converted_at", "due_at", "begun_at", "goal_until", "created_at", "settled_at", "last_at", "time",
             "received_at", "not_before", "expires_at", "started_at", "deadline", "said_at", "recorded_at", "lease_until")  # fmt: skip


def _dated(row: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    return {key: print_instant(value, zone) if key in _INSTANTS and isinstance(value, int) else value for key, value in row.items()}


def _delivery(message: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """A message with everything that was tried and heard of it."""
    tries, heard = message["attempted"], message["receipts"]
    return {**_dated(message, zone), "attempted": [_dated(a, zone) for a in tries], "receipts": [_dated(r, zone) for r in heard]}


def sentence(line: Line, language: Language, zone: ZoneInfo) -> str:
    """What happened, for people."""
    return action_text(line.action, line.why, language, zone)


def grounds(line: Line, zone: ZoneInfo) -> str:
    """Why: the clause and the values then, or what each position of a send met."""
    why = line.why
    parts: list[str] = []
    if "clause" in why:
        parts.append(str(why["clause"]))
    if "where" in why:
        parts.append(str(why["where"]))
    values = [why[key] for key in ("values", "where_values") if why.get(key)]
    parts += [", ".join(f"{name} = {_value(name, value, zone)}" for name, value in group.items()) for group in values]
    parts += [f"{position['channel']}: {position['reason']}" for position in why.get("positions", ())]
    parts += [f"{key} {why[key]}" for key in ("cap", "pace", "touches", "problem", "fact_id", "key") if key in why]
    parts += [f"{key} {print_instant(why[key], zone)}" for key in ("inside_since", "last_entry", "window_from", "again_from") if key in why]
    return "; ".join(parts)


def _value(name: str, value: Any, zone: ZoneInfo) -> str:
    if value is None:
        return "missing"
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_time = isinstance(value, int) and value > EPOCH_MS and name.rsplit(".", 1)[-1].endswith(("_at", "time", "until", "from"))
        return print_instant(int(value), zone) if is_time else print_number(value)
    return str(value)
