"""How many would come in: those in a journey's segment now, and those inside when it went live whose turn is to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.compiled import CompiledJourney
from journeys.rule import Rule
from runtime.enrol import deciding
from runtime.golive import Asked
from runtime.store import SqlStore
from runtime.store.conditions import Moment, compile_sql, stale_sql
from runtime.store.populations import CannotSay, said
from runtime.store.releases import Population


@dataclass(frozen=True)
class Headcount:
    """Counts in SQL; hold-out and pace are left out. `zone` is the project's, `made` are the definitions under which profiles are made now.

    None where only the rules themselves can say, or where profiles as they are made now cannot.
    """

    store: SqlStore
    zone: ZoneInfo
    made: Audience
    now: int

    def inside(self, tx: Any, journey: CompiledJourney, audience: Audience) -> int | None:
        """How many are in the journey's segment by `audience`, pass its `where` and may enter it as often as they have done."""
        return self._count(tx, "", journey, [(rule, audience, self.now) for rule in deciding(journey, audience) if rule is not None])

    def waiting(self, tx: Any, population: Population, asked: Asked, journey: CompiledJourney, audience: Audience) -> int | None:
        """How many of those whose turn is to come were inside by what is `asked` of then, and may enter now by `audience`."""
        now = [rule for rule in (*deciding(journey, audience), *asked.remembers) if rule is not None]
        rules = [(asked.rule, asked.audience, population.at), *((rule, audience, self.now) for rule in now)]
        return self._count(tx, population.cursor, journey, rules, self.store.populations.not_come_since(journey.id, population.at))

    def _count(
        self, tx: Any, after: str, journey: CompiledJourney, rules: Sequence[tuple[Rule, Audience, int]], *besides: Any
    ) -> int | None:
        """Those after an id whom every rule lets through, each in its audience and at its instant."""
        people = self.store.populations
        if not all(audience.reads_alike(rule, self.made) for rule, audience, _ in rules):
            return None
        span = people.span(tx, after, 1 << 40, zones=True)
        if not span.count:
            return 0

        def moment(audience: Audience, at: int) -> Moment:
            return Moment(audience, at, self.store.database.is_sqlite, self.zone, span.zones)

        free = people.free_to_enter(journey.id, journey.entry.mode, journey.entry.reentry, self.now)
        try:
            conditions = [said(compile_sql(rule.node, moment(audience, at))) for rule, audience, at in rules]
            with people.asking(tx):
                is_made = not people.counted(tx, span, [stale_sql(moment(self.made, self.now))])
                return people.counted(tx, span, conditions, [*free, *besides]) if is_made else None
        except CannotSay:
            return None
