"""What a move would make of those who stand at a step, for `plan`: counted over an index, or asked of some of them. Reads only."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from journeys.audience import Audience
from journeys.compiled import HELD_OUT as HELD_OUT_STATE
from journeys.compiled import CompiledStep, DelaySpec, WaitSpec
from journeys.lineage import carried, comes_again
from journeys.rule import Rule
from runtime.app import App
from runtime.catalogue import Versioned
from runtime.moving import InFlight, Move, fate_of, is_another_effect, move
from runtime.policy import Reach
from runtime.reprojection import is_current, reproject
from runtime.state import HELD_OUT, STATUS_NAMES, Enrolment, User
from runtime.store.movements import Standing

LOOKED_AT = 500  # of those at one step whose fate depends on each of them
EFFECTS = ("grant", "call")


@dataclass(slots=True)
class AtStep:
    """Those who stand at one step of one version, and what each way would make of them.

    `fates` counts what a move would do: `moves`, `overdue` (the step would be over already: what follows is late; of the held-out:
    their window would be over), `ends` (the journey's `ends_at` is past), `nowhere` (the step is gone: they stay on their version),
    `effect_open` (a grant or call is under way: they stay), `unknown`. `about` says that the counts were taken from LOOKED_AT of them.
    `again` are sends, grants and calls that lie behind them and would come once more after a move: whoever had them does not get
    them again. Of those `overdue`, `too_late` are later than max_lateness, the others are late by `late_by` milliseconds at most.
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


@dataclass(frozen=True)
class Fates:
    """Foresees moves. `audience` is what would be applied, `known` are the versions by number, `leads_to` the wanted one by journey."""

    app: App
    audience: Audience
    known: Mapping[int, Versioned]
    leads_to: Mapping[str, Versioned]
    in_flight: Mapping[str, InFlight]
    now: int

    def lengths(self) -> dict[tuple[int, str], int]:
        """By version and step: how long the step (of the held-out: the window) lasts in the new version, where that is the same for all."""
        found: dict[tuple[int, str], int] = {}
        for own in self.known.values():
            to = self.leads_to.get(own.journey.id)
            if to is None or to.version_id == own.version_id:
                continue
            if to.journey.goal is not None:
                found[own.version_id, HELD_OUT_STATE] = to.journey.goal.within
            for step in own.journey.steps.values():
                target = _target(own, to, step.id)
                length = _length(step, target) if target is not None else None
                if length is not None:  # where the journey is over already: how long ago one must have begun to be over before it
                    past = self._over_since(to)
                    found[own.version_id, step.id] = length + (past + 1 if past is not None else 0)
        return found

    def _over_since(self, to: Versioned) -> int | None:
        """For how long the wanted version has been over, if it is."""
        ends_at = to.journey.ends_at
        return self.now - ends_at if ends_at is not None and ends_at <= self.now else None

    def at_step(self, standing: Standing) -> AtStep:
        """Those at one step, what was decided for them, and what a move makes of them."""
        own, to = self.known.get(standing.version_id), self.leads_to.get(standing.journey)
        decided = self.in_flight.get(standing.journey, InFlight()).of(standing.state)
        target = _target(own, to, standing.state) if own is not None else None
        name = standing.state if standing.status == STATUS_NAMES[HELD_OUT] else (target.id if target is not None else None)
        found = AtStep(own.number if own else 0, standing.state, name, standing.status, standing.n, decided, due=standing.due)
        if own is not None and to is not None and own.version_id != to.version_id:
            self._foresee(found, standing, own, to, target)
        return found

    def _foresee(self, at: AtStep, standing: Standing, own: Versioned, to: Versioned, target: CompiledStep | None) -> None:
        here = own.journey.steps.get(standing.state)
        is_over = self._over_since(to) is not None
        if here is None:  # the held-out: they take no step anywhere
            at.fates = {"ends": standing.n} if is_over else {"overdue": standing.over, "moves": standing.n - standing.over}
        elif target is None:
            at.fates = {"nowhere": standing.n}
        elif here.kind in EFFECTS and is_another_effect(here, target):
            self._look_for_open(at, standing, here, target)
        elif (length := _length(here, target)) is not None:
            ends = standing.n - standing.due - standing.over if is_over else 0
            at.fates = {"overdue": standing.over, "ends": ends, "moves": standing.n - standing.over - ends}
            self._how_late(at, standing, length, to.journey.max_lateness)
        elif isinstance(target.spec, DelaySpec | WaitSpec):
            self._look_at_some(at, standing, own, to, target)
        else:
            at.fates = {"moves": standing.n}
        at.fates = {fate: n for fate, n in at.fates.items() if n}
        if here is not None and target is not None and not at.fates.keys() <= {"effect_open"}:
            at.again = self._again(standing, own, to, here, target)

    def _how_late(self, at: AtStep, standing: Standing, length: int, limit: int | None) -> None:
        """Of those past a step that lasts the same for everybody, who goes on and who is too late: counted over an index."""
        if standing.over:
            with self.app.store.database.reading() as tx:
                too_late, began = self.app.store.movements.behind(tx, standing.version_id, standing.state, self.now, length, limit)
            at.too_late = min(too_late, standing.over)
            at.late_by = self.now - began - length if began is not None else None

    def _look_for_open(self, at: AtStep, standing: Standing, here: CompiledStep, target: CompiledStep) -> None:
        """A grant or call that would be another one now: whoever has asked for it stays. Who only stands before it, in a pause, has
        a timer that is due already; so has somebody whose time to wait for it has just run out: some of these are asked.
        """
        before = 0
        if standing.due:
            some = [e for e in self._some(standing) if e.due_at is not None and e.due_at <= self.now]
            before = _share(sum("open" not in e.context for e in some), len(some), standing.due)
            at.about = len(some) < standing.due
        at.fates = {"effect_open": standing.n - before, "moves" if target.kind == here.kind else "overdue": before}

    def _look_at_some(self, at: AtStep, standing: Standing, own: Versioned, to: Versioned, target: CompiledStep) -> None:
        """The moment depends on the user: some are asked, by the very rule that would move them."""
        asked = Move(0, to.version_id, to.number, InFlight("move"))
        counts: dict[str, int] = {}
        late: list[int] = []  # by how much, of those who would be past the step
        some = self._some(standing)
        people = self._people(some, target)
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
                fate = fate_of(enrolment, decision, self.now, kept, to.journey.ends_at)
                due_at = decision.enrolment.due_at if fate == "overdue" else None
                late += [self.now - due_at] if due_at is not None else []
            counts[fate] = counts.get(fate, 0) + 1
        looked_at = sum(counts.values())
        if looked_at:
            at.about = looked_at < standing.n
            at.fates = {fate: _share(n, looked_at, standing.n) for fate, n in sorted(counts.items())}
        limit = to.journey.max_lateness
        in_time = [by for by in late if limit is None or by <= limit]
        at.too_late, at.late_by = _share(len(late) - len(in_time), len(late), at.fates.get("overdue", 0)), max(in_time, default=None)

    def _some(self, standing: Standing) -> list[Enrolment]:
        with self.app.store.database.reading() as tx:
            return self.app.store.movements.some_at(tx, standing.version_id, standing.state, LOOKED_AT)

    def _people(self, some: list[Enrolment], step: CompiledStep) -> dict[str, User]:
        """Who they are; their profiles as they will be, where the step reads what was defined otherwise until now."""
        store, before = self.app.store, self.app.engine.catalogue.audience
        with store.database.reading() as tx:
            people = store.people.load_users(tx, sorted({e.user_id for e in some}))
            if not all(self.audience.reads_alike(rule, before) for rule in _read_at(step)):
                stale = [user for user in people.values() if not is_current(self.audience, user)]
                for user_id, profile in reproject(store, tx, stale, self.audience, self.app.project.zone, as_needed=True).items():
                    people[user_id].profile = profile
        return people

    def _again(self, standing: Standing, own: Versioned, to: Versioned, here: CompiledStep, target: CompiledStep) -> list[str]:
        """What comes again, also of versions before hers: which of that they had, some of them are asked."""

        def again(gone: Collection[str]) -> list[str]:
            return comes_again(own.journey, to.journey, here.id, target.id, gone)

        found, gone = again(()), to.journey.by_origin.keys() - own.journey.by_origin.keys()
        if again(gone) == found:
            return found
        with self.app.store.database.reading() as tx:
            versions = self.app.store.releases.versions_of(tx, own.journey.id)
        if again(gone & {origin for version in versions for origin in version.origins.values()}) == found:
            return found  # what is new, nobody had
        had: set[str] = {origin for e in self._some(standing) for origin in e.context.get("gone", {}).values()}
        return again(had)


def _target(own: Versioned, to: Versioned | None, state: str) -> CompiledStep | None:
    name = carried(state, own.journey, to.journey) if to is not None else None
    return to.journey.steps[name] if to is not None and name is not None else None


def _share(n: int, looked_at: int, of: int) -> int:
    return round(n * of / looked_at) if looked_at else 0


def _length(here: CompiledStep, target: CompiledStep) -> int | None:
    """How long after its begin a step is over when those who stand `here` are moved to it, where that is the same for everybody."""
    if target.kind != here.kind:
        return 0  # it is taken anew, as of when the old one began
    if isinstance(target.spec, DelaySpec):
        return target.spec.duration
    if isinstance(target.spec, WaitSpec) and target.spec.when is None and isinstance(target.spec.timeout, int):
        return target.spec.timeout
    return None


def _read_at(step: CompiledStep) -> list[Rule]:
    """The rules that say when a step is over."""
    moments: list[Any] = []
    rules: list[Rule | None] = []
    if isinstance(step.spec, DelaySpec):
        moments.append(step.spec.until)
    elif isinstance(step.spec, WaitSpec):
        rules.append(step.spec.when)
        moments.append(step.spec.timeout if not isinstance(step.spec.timeout, int) else None)
    rules += [moment.rule for moment in moments if moment is not None]
    return [rule for rule in rules if rule is not None]
