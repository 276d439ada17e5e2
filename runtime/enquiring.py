"""Loads what a question is about: a user's story, why she is not in a journey, one message. Reads only; `now` is when it is asked."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from journeys.clauses import Clause
from journeys.localtime import in_window
from runtime.app import App
from runtime.catalogue import Versioned, lets_in_since
from runtime.edited import edits_of, last_edges, without_an_edge
from runtime.explain import Chapter, Told, dated, delivery, line_json, only, story_of, told
from runtime.facts import UserFacts
from runtime.golive import GoLive
from runtime.places import Places
from runtime.policy import Cap
from runtime.portrait import portrait_of
from runtime.present import Present, present_of
from runtime.state import Window
from runtime.store.enquiries import Then
from runtime.store.ledger_rows import ROBOT
from runtime.whynot import Last, Requirement, Way, decided_then, entry_of, ways_of

GOT = ("ACCEPTED", "DELIVERED", "UNDELIVERED", "SENDING", "UNKNOWN", "ABANDONED")  # may have reached her
ON_THE_WAY = ("PENDING", "CLAIMED")
LED_HERE = ("entered", "branched", "split", "matched", "timed_out", "moved", "grant_failed", "call_failed")  # of a way through a journey


def whole_story(app: App, user_id: str, now: int) -> tuple[Told, Present | None]:
    """The story of a user with who she is."""
    present = present_of(app, user_id, now)
    places = Places(app.store, app.engine.catalogue)
    whole = told(story_of(app.store, user_id), places, now, present.pauses if present is not None else None)
    if present is not None:
        whole.portrait = portrait_of(present)
        with app.store.database.reading() as tx:
            edits = edits_of(app.store, tx, present.catalogue)
        edges = last_edges(entry for _, _, entry in whole.story.log)
        by_edit = without_an_edge(edits, edges, whole.portrait.segments)
        whole.portrait.by_edit = {name: edit.release for name, edit in by_edit.items()}
    return whole, present


# --- why not


@dataclass
class WhyNot:
    """Why a user is not in a journey, or got nothing by it. `verdict` is one of got, planned, held_out, inside, entered, refused, never,
    open, gone; `refusals` are those kept, each with its clauses as they were then; `entry` and `ways` are how it would be now.
    """

    user_id: str
    journey: str
    name: str
    number: int
    verdict: str
    told: Told
    present: Present | None
    refusals: list[tuple[dict[str, Any], tuple[Clause, ...]]] = field(default_factory=list)
    entry: list[tuple[Requirement, str]] = field(default_factory=list)
    ways: list[tuple[Way, str]] = field(default_factory=list)

    @property
    def lacking(self) -> list[Requirement]:
        """What does not hold now."""
        return [requirement for requirement, _ in self.entry if requirement.held is False]

    @property
    def to_come(self) -> list[Requirement]:
        """What would let her in and is still to come: her date, the schedule's next fire, a call."""
        return [requirement for requirement, _ in self.entry if requirement.held is None]

    @property
    def nobody_enters(self) -> bool:
        """Whether nothing can let anybody in, since the journey is closed or over."""
        return any(requirement.code in ("status", "ends_at") for requirement in self.lacking)


def why_not(app: App, user_id: str, journey: str, now: int) -> WhyNot:
    """Ask everything about one user and one journey that was ever applied."""
    whole, present = whole_story(app, user_id, now)
    mine = only(whole, journey)
    versioned = app.engine.catalogue.current.get(journey)
    places = Places(app.store, app.engine.catalogue)
    name = versioned.journey.journey.name if versioned is not None else next((c.name for c in mine.chapters), journey)
    answer = WhyNot(user_id, journey, name, versioned.number if versioned else 0, "", mine, present)
    versions = _versions(app, journey)
    answer.refusals = [(row, decided_then(row, versions)) for row in reversed(mine.story.refusals)]
    if versioned is not None and present is not None:
        asked = entry_of(present, versioned, _last(app, present, versioned, mine), _past(app, user_id, journey))
        answer.entry = [(r, _place(places, versioned, r, now)) for r in asked]
        answer.ways = [(way, places.step(versioned.version_id, way.step)) for way in ways_of(present, versioned)]
    answer.verdict = _verdict(answer, versioned)
    return answer


def _verdict(answer: WhyNot, versioned: Versioned | None) -> str:
    messages = [m for m in answer.told.story.messages if m["kind"] == "message" and m["user_id"] == answer.user_id]
    if any(m["state"] in GOT for m in messages):
        return "got"
    if any(m["state"] in ON_THE_WAY for m in messages):
        return "planned"
    if answer.told.chapters:
        last = answer.told.chapters[-1].enrolment
        if answer.told.chapters[-1].held_out or last["ended_by"] == "held_out":
            return "held_out"
        return "inside" if last["status"] == "live" else "entered"
    if versioned is None:
        return "gone"
    if answer.refusals:
        return "refused"
    return "never" if answer.lacking else "open"


def _versions(app: App, journey: str) -> list[Versioned]:
    with app.store.database.reading() as tx:
        known = app.store.releases.versions_of(tx, journey)
    return [found for version in reversed(known) if (found := app.engine.catalogue.version(version)) is not None]


def _past(app: App, user_id: str, journey: str) -> Sequence[Any]:
    with app.store.database.reading() as tx:
        return app.store.people.past_entries(tx, [user_id], [journey]).get(user_id, [])


def _last(app: App, present: Present, versioned: Versioned, mine: Told) -> Last:
    store, journey = app.store, versioned.journey
    entry = journey.entry
    with store.database.reading() as tx:
        own = entry.events if entry.user is None else ()  # else it is about events of others
        newest = store.enquiries.last_events(tx, present.user.id, own, 1) if own else []
        event, is_history = newest[0] if newest else (None, False)
        held = store.releases.held(tx, journey.id)
        since = lets_in_since(held, event.type if event is not None else "", entry.segment)
        since = since or store.enquiries.applied_first(tx, journey.id) or 0
        entries = store.enquiries.entries_of_all(tx, journey.id)
        began, taken = store.paces.newest(tx, [journey.id]).get(journey.id, (0, 0)) if entry.pace is not None else (0, 0)
    edges = [e.at for _, _, e in mine.story.log if e.action == "segment_entered" and e.why.get("segment") == entry.segment]
    existing = next((e for e in entries if e.kind == "existing" and e.at >= since), None)
    looked = None if existing is None else existing.done_at is not None or existing.cursor >= present.user.id
    outside, stands = False, False
    if existing is not None and entry.form == "segment":
        with store.database.reading() as tx:
            asked = GoLive(store).asked(tx, present.catalogue.audience, entry.segment, journey.id, existing.at, present.now)
        then = UserFacts(asked.audience, present.user, existing.at, reach=present.reach) if asked is not None else None
        outside, stands = asked is not None and not asked.rule.test(then), asked is None and existing.done_at is None
    window = Window(began, began + entry.pace[1], taken) if entry.pace is not None else None
    fired_at = next((e.at for e in entries if e.kind == "schedule"), None)
    keeps = app.project.settings.intake.keep_events or ""
    live_at = existing.at if existing is not None else None
    by_edit = mine.portrait.by_edit.get(entry.segment or "") if mine.portrait is not None else None
    return Last(since, event, is_history, keeps, max(edges, default=None), looked, live_at, outside, stands, window, fired_at, by_edit)


def _place(places: Places, versioned: Versioned, requirement: Requirement, now: int) -> str:
    if requirement.code == "segment":
        return places.segment(str(requirement.told["segment"]), now)
    return places.key(versioned.version_id, *requirement.path) if requirement.path else ""


# --- one message


@dataclass(frozen=True, slots=True)
class CapThen:
    """A cap as it stood when a message went out: what counted for it then, by the ledger as it is now."""

    cap: str
    most: int
    counted: tuple[Then, ...]


@dataclass
class Traced:
    """One message with everything around it; `way` is what led to its step.

    `number` is that of the version that made it, of which `place` is a line; 0 where that is gone.
    `caps` and `quiet_hours` are config's of now, at the moment of the first byte.
    """

    message: dict[str, Any]
    chapter: Chapter | None
    place: str
    number: int
    is_current: bool
    way: list[Any]
    lines: list[Any]
    caps: list[CapThen]
    quiet_hours: tuple[int, int] | None
    in_quiet_hours: bool
    zone: ZoneInfo


def trace(app: App, key: str, now: int) -> Traced:
    """Everything of one message of the ledger, which must be there."""
    with app.store.database.reading() as tx:
        message = app.store.reports.message(tx, key)
    assert message is not None  # noqa: S101 - the key was just found
    whole, present = whole_story(app, message["owner_id"], now)
    chapter = next((c for c in whole.chapters if c.enrolment["id"] == message["enrolment_id"]), None)
    every = chapter.lines if chapter is not None else []
    lines = [line for line in every if line.step == message["step"]]
    before = every[: every.index(lines[0])] if lines else []
    way = [line for line in before if line.action in LED_HERE and line.at <= message["created_at"]]
    zone = present.user.zone if present is not None else app.project.zone
    places = Places(app.store, app.engine.catalogue)
    person = message["kind"] == "message" and not message["user_id"].startswith(ROBOT)
    caps = _caps_then(app, message, zone) if person and message["begun_at"] is not None else []
    quiet = app.engine.rules.quiet_hours if message["purpose"] == "marketing" and message["kind"] == "message" else None
    begun = message["begun_at"]
    is_quiet = quiet is not None and begun is not None and in_window(begun, quiet, zone)
    place = places.step(message["version_id"], message["step"])
    number, is_current = places.called(message["version_id"])
    return Traced(message, chapter, place, number or 0, bool(is_current), way, lines, caps, quiet, is_quiet, zone)


def _caps_then(app: App, message: dict[str, Any], zone: ZoneInfo) -> list[CapThen]:
    found, at = [], message["begun_at"]
    for cap in app.engine.rules.caps:
        if cap.applies(message["purpose"], message["topic"]) and cap.covers(message["channel"], message["purpose"], message["topic"]):
            with app.store.database.reading() as tx:
                touches = app.store.enquiries.touches_then(tx, message["user_id"], cap.starts(at, zone), at, message["key"])
            found.append(CapThen(str(cap), cap.most, tuple(t for t in touches if _covered(cap, t))))
    return found


def _covered(cap: Cap, touch: Then) -> bool:
    return cap.covers(touch.channel, touch.purpose, touch.topic)


# --- as data


def why_not_json(answer: WhyNot, zone: ZoneInfo) -> dict[str, Any]:
    """The answer as data. Instants in `told` and `changes_at` are milliseconds."""
    return {
        "user_id": answer.user_id,
        "journey": answer.journey,
        "version": answer.number or None,
        "verdict": answer.verdict,
        "then": {
            "enrolments": [dated({k: v for k, v in c.enrolment.items() if k != "context"}, zone) for c in answer.told.chapters],
            "story": [line_json(line, zone) for c in answer.told.chapters for line in c.lines],
            "messages": [delivery(m, zone) for m in answer.told.story.messages],
            "refusals": [{**dated(row, zone), "clauses": [asdict(clause) for clause in clauses]} for row, clauses in answer.refusals],
        },
        "now": {
            "entry": [{**_requirement(requirement), "place": place} for requirement, place in answer.entry],
            "ways": [{"step": way.step, "channel": way.channel, "template": way.template, "purpose": way.purpose, "open": way.is_open,
                      "place": place, "requirements": [_requirement(r) for r in way.requirements]} for way, place in answer.ways],
        },
        "waiting": answer.present.waiting if answer.present is not None else 0,
        "set_aside": [asdict(row) for row in answer.present.set_aside] if answer.present is not None else [],
    }  # fmt: skip


def _requirement(requirement: Requirement) -> dict[str, Any]:
    told = asdict(requirement)
    del told["path"]
    return told


def trace_json(traced: Traced, zone: ZoneInfo) -> dict[str, Any]:
    """The message as data, with the lines of its step and the caps then."""
    chapter = traced.chapter
    way, lines = ([line_json(line, zone) for line in part] for part in (traced.way, traced.lines))
    return {
        "message": delivery(traced.message, zone),
        "version": traced.number or None,
        "version_is_current": traced.is_current if traced.number else None,
        "place": traced.place,
        "entered_at": dated({"at": chapter.enrolment["entered_at"]}, zone)["at"] if chapter is not None else None,
        "way": way,
        "step": lines,
        "caps_then": [{"cap": c.cap, "most": c.most, "counted": [dated(asdict(t), zone) for t in c.counted]} for c in traced.caps],
        "quiet_hours": list(traced.quiet_hours) if traced.quiet_hours is not None else None,
        "in_quiet_hours": traced.in_quiet_hours,
    }
