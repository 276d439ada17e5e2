"""`plan`: what an apply would change, and what it would make of everybody inside, before anything happens. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from journeys.audience import AudienceModel, compile_audience
from journeys.check import Checked
from journeys.compiled import CompiledJourney
from journeys.difference import Change, audience_differences, differences
from journeys.lineage import was_of, with_origins
from journeys.loader import load_audience_text
from runtime.app import App
from runtime.applying import applicable, digest_of_all, token_of
from runtime.catalogue import Versioned, longest
from runtime.fates import AtStep, Fates
from runtime.golive import GoLive
from runtime.headcount import Headcount
from runtime.meanings import Meaning, meanings_of
from runtime.moving import InFlight
from runtime.pausing import became_due
from runtime.profile import SLACK
from runtime.queues import is_open
from runtime.store.movements import Pause, Standing
from runtime.store.releases import NewVersion, Release


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """What an edit makes of those already inside whose turn to enter is still to come: `waiting` of them now, of whom `enter` still will.

    None where profiles cannot tell. Nobody more of them enters where it `stands`, since nobody can tell by the new definitions who was
    inside, and where the journey is not `open` to them any more.
    """

    waiting: int | None
    enter: int | None
    stands: bool
    open: bool


@dataclass(slots=True)
class JourneyPlan:
    """What happens to one journey. `enter_now` is how many of those already in the segment an `existing: enrol` lets in;
    `enter_unknown` that it lets in those, and nobody can say yet how many.
    """

    journey: str
    what: Literal["new", "changed", "gone", "same"]
    version: int | None
    changes: list[Change] = field(default_factory=list)
    inside: list[AtStep] = field(default_factory=list)
    paused: Pause | None = None
    due_in_pause: int = 0
    late_in_pause: int = 0
    enter_now: int | None = None
    enter_unknown: bool = False
    queue: QueuePlan | None = None
    max_lateness: int | None = None
    late_exits: bool = False


@dataclass(frozen=True, slots=True)
class TooShort:
    """An event type of which more is asked than is sure to be kept: `asked` and `kept` are milliseconds, None is for ever."""

    event: str
    asked: int | None
    kept: int


@dataclass(slots=True)
class Plan:
    """Everything. `token` names it: `apply --plan TOKEN` applies this and nothing else. Empty lists: nothing to apply."""

    token: str
    base: Release | None
    journeys: list[JourneyPlan] = field(default_factory=list)
    audience: list[Change] = field(default_factory=list)
    meanings: list[Meaning] = field(default_factory=list)
    is_same: bool = False
    failing: int = 0  # tests of the files, for which `apply` would refuse them
    too_short: list[TooShort] = field(default_factory=list)  # what is asked of events that have gone counts too few

    def as_json(self) -> dict[str, Any]:
        """The documented shape."""
        base = None
        if self.base is not None:
            base = {key: getattr(self.base, key) for key in ("id", "author", "message", "applied_at")}
        return {
            "plan": self.token, "base": base, "changes": not self.is_same, "failing_tests": self.failing,
            "journeys": [asdict(j) for j in self.journeys], "audience": [asdict(c) for c in self.audience],
            "meanings": [asdict(m) for m in self.meanings],
            "too_short": [asdict(t) for t in self.too_short],
        }  # fmt: skip


def plan_of(app: App, checked: Checked, in_flight: Mapping[str, InFlight], now: int) -> Plan:
    """What applying these checked files would do. They must be without errors."""
    with app.store.database.reading() as tx:
        base = app.store.releases.current(tx)
        paused = {pause.journey: pause for pause in app.store.movements.paused(tx)}
    same = base is not None and base.digest == digest_of_all(checked) and not in_flight
    plan = Plan(token_of(base, checked, in_flight), base, is_same=same)
    planning = _Planning(app, checked, in_flight, now)
    for journey in sorted({*planning.wanted, *planning.applied, *planning.inside, *paused}):
        found = planning.journey(journey, paused.get(journey))
        if found is not None:
            plan.journeys.append(found)
    if base is not None and base.audience != checked.audience_text:
        plan.audience = audience_differences(load_audience_text(base.audience)[0], _model(checked))
        plan.meanings = planning.meanings([change.key for change in plan.audience])
    plan.too_short = planning.too_short() if base is not None else []
    return plan


def _model(checked: Checked) -> AudienceModel:
    return load_audience_text(checked.audience_text)[0]


class _Planning:
    def __init__(self, app: App, checked: Checked, in_flight: Mapping[str, InFlight], now: int) -> None:
        self.app, self.checked, self.in_flight, self.now = app, checked, in_flight, now
        self.wanted = applicable(checked)
        audience = compile_audience(*load_audience_text(checked.audience_text))
        windows = audience.windows
        for wanted in self.wanted.values():
            windows = longest(windows, wanted.windows)
        self.audience = replace(audience, windows=windows)
        catalogue = app.engine.catalogue
        self.applied = {v.journey.id: v for v in catalogue.current.values()}
        self.known = {v.version_id: v for v in catalogue.versions.values()}
        self.golive, self.people = GoLive(app.store), Headcount(app.store, app.project.zone, catalogue.audience, now)
        with app.store.database.reading() as tx:
            self.queues = {population.journey: population for population in app.store.releases.queues(tx)}
            self.leads_to = {journey.id: self._versioned(tx, journey) for journey in self.wanted.values()}
            self.fates = Fates(app, self.audience, self.known, self.leads_to, in_flight, now)
            self.inside: dict[str, list[Standing]] = {}
            for standing in app.store.movements.standing(tx, now, self.fates.lengths()):
                self.inside.setdefault(standing.journey, []).append(standing)

    def journey(self, journey: str, paused: Pause | None) -> JourneyPlan | None:
        """One journey's part of the plan; None when nothing about it is worth a line."""
        applied, wanted = self.applied.get(journey), self.wanted.get(journey)
        if wanted is None:
            what: Any = "gone" if applied is not None else "same"
        else:
            what = "new" if applied is None else "changed" if applied.journey.digest != wanted.digest else "same"
        plan = JourneyPlan(journey, what, applied.number if applied is not None else None, paused=paused)
        if wanted is not None:
            plan.max_lateness, plan.late_exits = wanted.max_lateness, wanted.late_exits
        if what == "changed" and applied is not None and wanted is not None:
            plan.changes = differences(applied.journey, self.leads_to[journey].journey)
        elsewhere = [s for s in self.inside.get(journey, ()) if what != "same" or applied is None or s.version_id != applied.version_id]
        plan.inside = [self.fates.at_step(s) for s in elsewhere]
        opens = what == "new" or (what == "changed" and applied is not None and applied.journey.journey.status != "live")
        if opens and wanted is not None and wanted.entry.form == "segment" and wanted.entry.existing == "enrol":
            with self.app.store.database.reading() as tx:
                plan.enter_now = self.people.inside(tx, wanted, self.audience)
            plan.enter_unknown = plan.enter_now is None
        plan.queue = self._queue(journey, edited=what != "same")
        if paused is not None:
            plan.due_in_pause, plan.late_in_pause = became_due(self.app, journey, paused.paused_at, self.now)
        return plan if what != "same" or plan.inside or paused is not None or plan.queue is not None else None

    def _queue(self, journey: str, *, edited: bool) -> QueuePlan | None:
        """What becomes of a journey's queue; None where there is none, or the files say the same of it."""
        population, applied, wanted = self.queues.get(journey), self.applied.get(journey), self.wanted.get(journey)
        if population is None or applied is None or not is_open(applied.journey, self.now):
            return None
        before, segment = self.app.engine.catalogue.audience, applied.journey.entry.segment
        if not edited and before.segment_digests.get(segment) == self.audience.segment_digests.get(segment):
            return None
        with self.app.store.database.reading() as tx:
            asked = self.golive.asked(tx, before, segment, journey, population.at, self.now)
            waiting = self.people.waiting(tx, population, asked, applied.journey, before) if asked is not None else None
            if waiting == 0:
                return None
            if wanted is None or not is_open(wanted, self.now):
                return QueuePlan(waiting, 0, stands=False, open=False)
            then = self.golive.asked(tx, self.audience, wanted.entry.segment, journey, population.at, self.now)
            if then is None:
                return QueuePlan(waiting, 0, stands=True, open=True)
            return QueuePlan(waiting, self.people.waiting(tx, population, then, wanted, self.audience), stands=False, open=True)

    def meanings(self, changed: Sequence[str]) -> list[Meaning]:
        """What an edit of the audience means, by the keys that it changes."""
        before, zone = self.app.engine.catalogue.audience, self.app.project.zone
        return meanings_of(self.app.store, before, self.audience, changed, self.wanted, zone, self.now)

    def too_short(self) -> list[TooShort]:
        """Events that the release before let go after `keep_events`, and of which these files ask more: what has gone is not counted."""
        before, keep = self.app.engine.catalogue.audience, self.app.project.keep_events
        if not keep:
            return []
        found: list[TooShort] = []
        for event, projection in self.audience.projections.items():
            asked, known = None if projection.folded else projection.window, before.projections.get(event)
            kept = max(keep, known.window + SLACK if known is not None and known.window else 0)
            if event not in before.needed_for_ever and (asked is None or asked > kept):
                found.append(TooShort(event, asked, kept))
        with self.app.store.database.reading() as tx:
            first = min((at for _, at, _ in self.app.store.enquiries.releases(tx)), default=self.now) if found else 0
        return [one for one in found if first < self.now - one.kept]  # a younger project has lost nothing

    # --- those inside

    def _versioned(self, tx: Any, journey: CompiledJourney) -> Versioned:
        """The version that these files would be: one of before again, or a new one with the origins that it would be given."""
        same = (v for v in self.known.values() if v.journey.id == journey.id and v.journey.digest == journey.digest)
        found = next(same, None)
        if found is not None:
            return found
        new = NewVersion(journey.id, journey.digest, journey.source, was_of(journey))
        number, row, origins = self.app.store.releases.foreseen(tx, new, self.app.engine.catalogue.release_id)
        return Versioned(row, number, with_origins(journey, origins))
