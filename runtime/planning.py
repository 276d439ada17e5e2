"""`plan`: what an apply would change, and what it would make of everybody inside, before anything happens. Reads only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from journeys.audience import AudienceModel, compile_audience
from journeys.check import Checked
from journeys.compiled import CompiledJourney, CompiledStep, DelaySpec, WaitSpec
from journeys.difference import Change, audience_differences, differences
from journeys.lineage import carried, comes_again, origins_of, was_of, with_origins
from journeys.loader import load_audience_text
from runtime.app import App
from runtime.applying import applicable, digest_of_all, token_of
from runtime.catalogue import Versioned, longest
from runtime.crowds import existing_of
from runtime.lateness import lateness_of
from runtime.moving import InFlight, Move, fate_of, is_another_effect, move
from runtime.pausing import became_due
from runtime.policy import Reach
from runtime.profile import SLACK
from runtime.state import HELD_OUT, STATUS_NAMES, Decision, Enrolment, User
from runtime.store.movements import Pause, Standing
from runtime.store.releases import Release

LOOKED_AT = 500  # of those at one step whose moment depends on each of them
EFFECTS = ("grant", "call")


@dataclass(slots=True)
class AtStep:
    """Those who stand at one step of one version, and what each way would make of them.

    `fates` counts what a move would do: `moves`, `overdue` (the step would be over already: what follows is late), `nowhere`
    (the step is gone: they stay on their version), `effect_open` (a grant or call is under way: they stay). `about` says that
    the counts were taken from LOOKED_AT of them. `again` are sends, grants and calls that lie behind them and would come once more
    after a move: whoever had them does not get them again. Of those `overdue`, `too_late` are later than max_lateness, the others are
    late by `late_by` milliseconds at most.
    """

    version: int
    step: str
    to: str | None
    status: str
    n: int
    way: str
    fates: dict[str, int] = field(default_factory=dict)
    about: bool = False
    due: int = 0
    again: list[str] = field(default_factory=list)
    too_late: int = 0
    late_by: int | None = None


@dataclass(slots=True)
class JourneyPlan:
    """What happens to one journey. `enter_now` is how many of those already in the segment an `existing: enrol` lets in."""

    journey: str
    what: Literal["new", "changed", "gone", "same"]
    version: int | None
    changes: list[Change] = field(default_factory=list)
    inside: list[AtStep] = field(default_factory=list)
    paused: Pause | None = None
    due_in_pause: int = 0
    late_in_pause: int = 0
    enter_now: int | None = None
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
    plan.too_short = planning.too_short() if base is not None else []
    return plan


def _model(checked: Checked) -> AudienceModel:
    return load_audience_text(checked.audience_text)[0]


class _Planning:
    def __init__(self, app: App, checked: Checked, in_flight: Mapping[str, InFlight], now: int) -> None:
        self.app, self.checked, self.in_flight, self.now = app, checked, in_flight, now
        self.wanted = applicable(checked)
        self.audience = compile_audience(*load_audience_text(checked.audience_text))
        catalogue = app.engine.catalogue
        self.applied = {v.journey.id: v for v in catalogue.current.values()}
        self.known = {v.version_id: v for v in catalogue.versions.values()}
        with app.store.database.reading() as tx:
            self.leads_to = {journey.id: self._versioned(tx, journey) for journey in self.wanted.values()}
            shifts = self._shifts()
            self.inside: dict[str, list[Standing]] = {}
            for standing in app.store.movements.standing(tx, now, shifts):
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
            plan.changes = differences(applied.journey, wanted)
        elsewhere = [s for s in self.inside.get(journey, ()) if what != "same" or applied is None or s.version_id != applied.version_id]
        plan.inside = [self._at_step(s, self.leads_to.get(journey)) for s in elsewhere]
        for at, standing in zip(plan.inside, elsewhere, strict=True):
            self._how_late(at, standing)
        opens = what == "new" or (what == "changed" and applied is not None and applied.journey.journey.status != "live")
        if opens and wanted is not None and wanted.entry.form == "segment" and wanted.entry.existing == "enrol":
            plan.enter_now = existing_of(self.app.store, self.audience, wanted, self.app.project.zone, self.now)
        if paused is not None:
            plan.due_in_pause, plan.late_in_pause = became_due(self.app, journey, paused.paused_at, self.now)
        return plan if what != "same" or plan.inside or paused is not None else None

    def too_short(self) -> list[TooShort]:
        """Events that the release before let go after `keep_events`, and of which these files ask more: what has gone is not counted."""
        before, keep = self.app.engine.catalogue.audience, self.app.project.keep_events
        if not keep:
            return []
        windows = self.audience.windows
        for journey in self.wanted.values():
            windows = longest(windows, journey.windows)
        found: list[TooShort] = []
        for event, projection in replace(self.audience, windows=windows).projections.items():
            asked, known = None if projection.folded else projection.window, before.projections.get(event)
            kept = max(keep, known.window + SLACK if known is not None and known.window else 0)
            if event not in before.needed_for_ever and (asked is None or asked > kept):
                found.append(TooShort(event, asked, kept))
        with self.app.store.database.reading() as tx:
            first = min((at for _, at, _ in self.app.store.enquiries.releases(tx)), default=self.now) if found else 0
        return [one for one in found if first < self.now - one.kept]  # a younger project has lost nothing

    # --- those inside

    def _how_late(self, at: AtStep, standing: Standing) -> None:
        """Of those who would be past their step, who goes on and who is too late."""
        own, to, overdue = self.known.get(standing.version_id), self.leads_to.get(standing.journey), at.fates.get("overdue", 0)
        if own is None or to is None or not overdue:
            return
        asked, reach = Move(0, to.version_id, to.number, InFlight("move")), Reach(self.app.engine.rules, {})

        def moved(enrolment: Enrolment, user: User) -> tuple[Decision, str]:
            return move(own.journey, to.journey, asked, self.audience, enrolment, user, reach, self.now)

        lateness = lateness_of(self.app, standing, own, to, overdue, moved, self.now)
        if lateness is not None:
            at.too_late, at.late_by = min(lateness.too_late, overdue), lateness.late_by

    def _versioned(self, tx: Any, journey: CompiledJourney) -> Versioned:
        """The version that these files would be: one of before again, or a new one with the origins that it would be given."""
        same = (v for v in self.known.values() if v.journey.id == journey.id and v.journey.digest == journey.digest)
        found = next(same, None)
        if found is None:
            number, before = self.app.store.releases.lineage(tx, journey.id, self.app.engine.catalogue.release_id)
            found = Versioned(0, number, with_origins(journey, origins_of(was_of(journey), number, before)))
        return found

    def _shifts(self) -> dict[tuple[int, str], int]:
        """By version and step: how long the step will last in the new version, where that is the same for everybody."""
        found: dict[tuple[int, str], int] = {}
        for versioned in self.known.values():
            to = self.leads_to.get(versioned.journey.id)
            for step in versioned.journey.steps.values() if to is not None else ():
                target = self._target(versioned, to, step.id)
                length = _length(target) if target is not None and target.kind == step.kind else None
                if length is not None:
                    found[versioned.version_id, step.id] = length
        return found

    @staticmethod
    def _target(own: Versioned, to: Versioned | None, state: str) -> CompiledStep | None:
        name = carried(state, own.journey, to.journey) if to is not None else None
        return to.journey.steps[name] if to is not None and name is not None else None

    def _at_step(self, standing: Standing, to: Versioned | None) -> AtStep:
        own = self.known.get(standing.version_id)
        decided = self.in_flight.get(standing.journey, InFlight()).of(standing.state)
        target = self._target(own, to, standing.state) if own is not None else None
        name = standing.state if standing.status == STATUS_NAMES[HELD_OUT] else (target.id if target is not None else None)
        found = AtStep(own.number if own else 0, standing.state, name, standing.status, standing.n, decided, due=standing.due)
        if own is not None and to is not None and own.version_id != to.version_id:
            self._foresee(found, standing, own, to, target)
        return found

    def _foresee(self, at: AtStep, standing: Standing, own: Versioned, to: Versioned, target: CompiledStep | None) -> None:
        """What a move would make of those at one step."""
        here = own.journey.steps.get(standing.state)
        if here is None:  # the held-out: they take no step anywhere
            at.fates = {"moves": standing.n}
        elif target is None:
            at.fates = {"nowhere": standing.n}
        elif here.kind in EFFECTS and is_another_effect(here, target):
            at.fates = {"effect_open": standing.n}
        elif target.kind != here.kind:
            at.fates = {"overdue": standing.n}
        elif _length(target) is not None:
            at.fates = {"overdue": standing.over, "moves": standing.n - standing.over}
        elif isinstance(target.spec, DelaySpec | WaitSpec):
            self._look_at_some(at, standing, own, to)
        else:
            at.fates = {"moves": standing.n}
        at.fates = {fate: n for fate, n in at.fates.items() if n}
        if here is not None and target is not None and not at.fates.keys() <= {"effect_open"}:
            at.again = comes_again(own.journey, to.journey, here.id, target.id)

    def _look_at_some(self, at: AtStep, standing: Standing, own: Versioned, to: Versioned) -> None:
        """The moment depends on the user: some are asked, by the very rule that would move them."""
        store, asked = self.app.store, Move(0, to.version_id, to.number, InFlight("move"))
        counts: dict[str, int] = {}
        with store.database.reading() as tx:
            some = store.movements.some_at(tx, standing.version_id, standing.state, LOOKED_AT)
            people = store.people.load_users(tx, sorted({e.user_id for e in some}))
        reach = Reach(self.app.engine.rules, {})
        for enrolment in some:
            user = people.get(enrolment.user_id)
            if user is None:
                continue
            try:
                decision, kept = move(own.journey, to.journey, asked, self.audience, enrolment, user, reach, self.now)
            except (LookupError, ValueError, TypeError):  # what cannot be foreseen is said to be unknown
                fate: str = "unknown"
            else:
                fate = fate_of(enrolment, decision, self.now, kept)
            counts[fate] = counts.get(fate, 0) + 1
        looked_at = sum(counts.values())
        if looked_at:
            at.about = looked_at < standing.n
            at.fates = {fate: round(n * standing.n / looked_at) for fate, n in sorted(counts.items())}


def _length(step: CompiledStep) -> int | None:
    """How long a step lasts, where that is the same for everybody."""
    if isinstance(step.spec, DelaySpec):
        return step.spec.duration
    if isinstance(step.spec, WaitSpec) and step.spec.when is None and isinstance(step.spec.timeout, int):
        return step.spec.timeout
    return None
