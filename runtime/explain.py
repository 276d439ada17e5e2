"""`explain`: one user's whole story, from the log, the ledger and the refusals, as data: chapter by chapter, an enrolment each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from journeys.compiled import CompiledJourney, PositionSpec, SendSpec
from journeys.evaluate import leaves_of
from journeys.expression import Name
from journeys.localtime import print_instant
from runtime.places import Places
from runtime.portrait import Portrait
from runtime.state import Event
from runtime.store import SqlStore
from runtime.store.codec import Unreadable
from runtime.store.reports import Story
from runtime.storyline import Line
from runtime.whatnext import Standing, standing_of

RECEIPTS = "$receipts"  # the source of the system's own events: what they tell stands with the message


@dataclass
class Chapter:
    """One enrolment: its lines, the fields of its entry that its version reads, and where it stands; `number` is the version's."""

    enrolment: dict[str, Any]
    name: str
    number: int
    is_current: bool
    lines: list[Line]
    entry: dict[str, Any] = field(default_factory=dict)
    standing: Standing | None = None
    pause: Any = None

    @property
    def held_out(self) -> bool:
        """Whether she was only measured; also when that has ended."""
        entered = (line for line in self.lines if line.action == "entered")
        return self.enrolment["status"] == "held_out" or any(line.why.get("held_out") for line in entered)


@dataclass
class Told:
    """A whole story: chapters in the order of their entries, and what belongs to none of them."""

    story: Story
    lines: list[Line]
    chapters: list[Chapter]
    loose: list[Line]
    asked: str = ""
    by: str = "id"
    portrait: Portrait | None = None


def story_of(store: SqlStore, user_id: str) -> Story:
    """Everything that is kept about a user; of a former id, about whom she is now."""
    with store.database.reading() as tx:
        user_id = store.identity.survivors(tx, [user_id]).get(user_id, user_id)
        return store.reports.story(tx, user_id)


def lines_of(story: Story, places: Places | None = None) -> list[Line]:
    """The log in the order of time; of one enrolment in the order in which it was decided.

    A timer that fires late is logged at the moment it was due, which may be before what was decided meanwhile (a move to another version).
    """
    enrolments = {e["id"]: e for e in story.enrolments}
    lines: list[Line] = []
    latest: dict[int | None, int] = {}
    order: list[int] = []
    for (enrolment_id, _, entry), version in zip(story.log, _versions_then(story), strict=True):
        enrolment = enrolments.get(enrolment_id)
        place, rule = (places.of(version, entry), places.condition(version, entry)) if places is not None else ("", "")
        journey, key = (enrolment["journey"], enrolment["key"]) if enrolment else ("", "")
        number, is_current = places.called(version) if places is not None else (None, None)
        lines.append(Line(entry.at, journey, version, entry.step, entry.action, entry.why, place, key, rule, number, is_current))
        order.append(max(entry.at, latest.get(enrolment_id, entry.at)) if enrolment else entry.at)
        latest[enrolment_id] = order[-1]
    lines = [replace(line, recorded_at=recorded_at) for line, (_, recorded_at, _) in zip(lines, story.log, strict=True)]
    return [lines[n] for n in sorted(range(len(lines)), key=order.__getitem__)]


def _versions_then(story: Story) -> list[int | None]:
    """Per entry of the log the version that decided it: a move says which one she was on before."""
    on: dict[int | None, int | None] = {e["id"]: e["version_id"] for e in story.enrolments}
    found: list[int | None] = []
    for enrolment_id, _, entry in reversed(story.log):
        found.append(on.get(enrolment_id))
        if entry.action == "moved" and "was_version" in entry.why:
            on[enrolment_id] = entry.why["was_version"]
    return found[::-1]


def told(story: Story, places: Places, now: int, pauses: Mapping[str, Any] | None = None) -> Told:
    """The story in chapters. `now` decides what still counts; `pauses` are the journeys that are paused."""
    lines = lines_of(story, places)
    chapters = [_chapter(e, lines, places, now, pauses or {}) for e in sorted(story.enrolments, key=lambda e: (e["entered_at"], e["id"]))]
    loose = [line for line in lines if not line.enrolment]
    loose += [_refused(row, places) for row in story.refusals] + list(_events(story, lines))
    loose.sort(key=lambda line: line.at)
    return Told(story, lines, chapters, loose)


def nothing_of(asked: str) -> Told:
    """The story of nobody."""
    return Told(Story(asked, known=False, enrolments=[], log=[], messages=[], refusals=[], events=[]), [], [], [], asked, "")


def only(whole: Told, journey: str = "", since: int | None = None) -> Told:
    """The part of a story that is about one journey, or that has happened since an instant."""
    chapters = [c for c in whole.chapters if not journey or c.enrolment["journey"] == journey]
    loose = [line for line in whole.loose if line.journey == journey] if journey else whole.loose
    if since is not None:
        chapters = [replace(c, lines=[line for line in c.lines if line.done_at >= since]) for c in chapters]
        chapters = [c for c in chapters if c.lines or c.enrolment["status"] != "ended"]
        loose = [line for line in loose if line.done_at >= since]
    keys = {c.enrolment["key"] for c in chapters}
    lines = [line for line in whole.lines if (line.enrolment in keys if line.enrolment else not journey) and line.done_at >= (since or 0)]
    story = whole.story
    if journey:
        messages = [m for m in story.messages if m["journey"] == journey]
        story = replace(story, messages=messages, refusals=[r for r in story.refusals if r["journey"] == journey])
    return replace(whole, story=story, chapters=chapters, loose=loose, lines=lines)


def _chapter(enrolment: dict[str, Any], lines: Sequence[Line], places: Places, now: int, pauses: Mapping[str, Any]) -> Chapter:
    versioned, version = places.compiled(enrolment["version_id"]), places.version(enrolment["version_id"])
    journey = versioned.journey if versioned is not None else None
    mine = [line for line in lines if line.enrolment == enrolment["key"]]
    held = next((line.why.get("reason", "") for line in reversed(mine) if line.action == "held"), "")
    context = readable(enrolment["context"])
    standing = standing_of(journey, {**enrolment, "context": context}, now, held)
    given = context.get("entry", {})
    read = fields_read(journey) if journey is not None else frozenset(given)
    entry = {name: value for name, value in given.items() if name in read or name == "type"}
    pause = pauses.get(enrolment["journey"]) if enrolment["status"] == "live" else None
    name = journey.journey.name if journey is not None else enrolment["journey"]
    number = version.number if version is not None else 0
    return Chapter(enrolment, name, number, version is not None and places.is_current(version), mine, entry, standing, pause)


def fields_read(journey: CompiledJourney) -> frozenset[str]:
    """The fields of the entry's event that matter to a journey: its subject, and what its `where`, conditions and texts read."""
    where = journey.entry.where
    nodes = [where.node] if where is not None else []
    rules = [journey.entry.user, *(step.only_if for step in journey.steps.values()), *(rule.when for rule in journey.exits)]
    nodes += [rule.node for rule in rules if rule is not None]
    for step in journey.steps.values():
        spec = step.spec
        nodes += [case.node for case in getattr(spec, "cases", ()) if hasattr(case, "node")]
        if isinstance(spec, SendSpec):
            nodes += [node for position in spec.positions for node in _texts(position)]
    names = {
        leaf.attribute for node in nodes for leaf in leaves_of(node).values() if isinstance(leaf, Name) and leaf.root in ("entry", "event")
    }
    return frozenset({*names, journey.entry.subject} - {""})


def _texts(position: PositionSpec) -> Iterable[Any]:
    return (node for _, _, template in position.parts for node in template.nodes)


def _refused(row: dict[str, Any], places: Places) -> Line:
    current = places.catalogue.current.get(row["journey"])
    place = places.key(current.version_id, "entry", "where") if current is not None and row["reason"] == "where" else ""
    why = {**readable(row["why"]), "reason": row["reason"], "times": row["times"]}
    return Line(row["last_at"], row["journey"], None, "", "refused", why, place)


def _events(story: Story, lines: Sequence[Line]) -> Iterable[Line]:
    """What came, but for what the log tells already (it let her in, was waited for, was the goal)."""
    said = {line.why.get("fact_id") for line in lines} | {line.why.get("event_id") for line in lines}
    for row in story.events:
        if row["source"] == RECEIPTS or row["event_id"] in said:
            continue
        data = readable(row["data"])
        event = Event(row["event_id"], row["type"], story.user_id, row["time"], row["received_at"], data, row["source"])
        if event.fact_id not in said:
            yield Line(row["time"], "", None, "", "event", {"event": row["type"], "data": data, "history": row["history"]})


def readable(value: Any) -> dict[str, Any]:
    """A stored mapping; nothing where it cannot be read."""
    return {} if isinstance(value, Unreadable) else value


# --- as data


def as_json(whole: Told, zone: ZoneInfo) -> dict[str, Any]:
    """The whole story as data; times are ISO-like in the project's zone, those of lines beside the instants."""
    story = whole.story
    return {
        "user_id": story.user_id,
        "asked": whole.asked or story.user_id,
        "found_by": whole.by,
        "known": story.known,
        "who": _portrait(whole.portrait, zone),
        "enrolments": [{**dated(c.enrolment, zone), **_around(c, zone)} for c in whole.chapters],
        "story": [line_json(line, zone) for line in whole.lines],
        "messages": [delivery(m, zone) for m in story.messages],
        "consents": [dated(c, zone) for c in story.consents],
        "refusals": [dated(r, zone) for r in story.refusals],
        "events": [dated(e, zone) for e in story.events],
    }


def line_json(line: Line, zone: ZoneInfo) -> dict[str, Any]:
    """A line as data; `version` is the number of the version that decided, as `place` is a line of it: a move may have come since."""
    recorded_at = print_instant(line.recorded_at, zone) if line.recorded_at is not None else None
    return {
        "recorded_at": recorded_at, "recorded_at_ms": line.recorded_at,
        "at": print_instant(line.at, zone), "at_ms": line.at, "journey": line.journey, "step": line.step, "action": line.action,
        "why": line.why, "place": line.place, "enrolment": line.enrolment, "version": line.number,
        "version_is_current": line.is_current, "if": line.rule or None,
    }  # fmt: skip


def _around(chapter: Chapter, zone: ZoneInfo) -> dict[str, Any]:
    standing = None if chapter.standing is None else dated(asdict(chapter.standing), zone)
    paused = None if chapter.pause is None else dated(asdict(chapter.pause), zone)
    return {"name": chapter.name, "version": chapter.number, "version_is_current": chapter.is_current, "entry": chapter.entry,
            "held_out": chapter.held_out, "standing": standing, "paused": paused}  # fmt: skip


def _portrait(portrait: Portrait | None, zone: ZoneInfo) -> dict[str, Any] | None:
    return None if portrait is None else dated(portrait.as_json(), zone)


INSTANTS = ("entered_at", "ended_at", "converted_at", "due_at", "begun_at", "goal_until", "created_at", "settled_at", "last_at", "time",
            "received_at", "not_before", "expires_at", "started_at", "deadline", "said_at", "recorded_at", "lease_until", "since", "until",
            "looked_at", "next_look_at", "frees_at", "paused_at", "changes_at", "at")  # fmt: skip


def dated(row: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """A row with its instants as local times."""
    return {key: print_instant(value, zone) if key in INSTANTS and isinstance(value, int) else value for key, value in row.items()}


def delivery(message: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """A message with everything that was tried and heard of it."""
    tries, heard = message["attempted"], message["receipts"]
    return {**dated(message, zone), "attempted": [dated(a, zone) for a in tries], "receipts": [dated(r, zone) for r in heard]}
