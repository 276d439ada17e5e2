"""Those already inside a segment whose turn to enter its journey is still to come: how many they are."""

from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.compiled import CompiledJourney
from runtime.catalogue import Catalogue
from runtime.enrol import closed_at, deciding
from runtime.golive import Asked, GoLive
from runtime.store import SqlStore
from runtime.store.conditions import Moment, compile_sql, stale_sql
from runtime.store.populations import CannotSay, said
from runtime.store.releases import Population


@dataclass(frozen=True, slots=True)
class Queue:
    """A journey's queue of those who were inside when it went live (`since`).

    `waiting` would come in if all were asked now; hold-outs are not looked at. None where nobody can say: while profiles are being made
    anew, and where the queue `stands`, since nobody can tell any more who was inside then.
    """

    journey: str
    since: int
    waiting: int | None
    stands: bool


def queues_of(store: SqlStore, catalogue: Catalogue, zone: ZoneInfo, now: int) -> list[Queue]:
    """The queues in which somebody is waiting, or may be."""
    golive, waits, found = GoLive(store), Waits(store, zone, catalogue.audience, now), list[Queue]()
    with store.database.reading() as tx:
        for population in store.releases.queues(tx):
            versioned = catalogue.current.get(population.journey)
            if versioned is None or not is_open(versioned.journey, now):
                continue
            segment = versioned.journey.entry.segment
            asked = golive.asked(tx, catalogue.audience, segment, population.journey, population.at, now)
            waiting = waits.count(tx, population, asked, versioned.journey, catalogue.audience) if asked is not None else None
            if waiting != 0:
                found.append(Queue(population.journey, population.at, waiting, asked is None))
    return found


def is_open(journey: CompiledJourney, now: int) -> bool:
    """Whether those of a queue can still enter their journey."""
    return journey.entry.form == "segment" and closed_at(journey, now) is None


@dataclass(frozen=True)
class Waits:
    """Counts who waits. `made` are the definitions under which profiles are made now."""

    store: SqlStore
    zone: ZoneInfo
    made: Audience
    now: int

    def count(self, tx: Any, population: Population, asked: Asked, journey: CompiledJourney, audience: Audience) -> int | None:
        """How many of those whose turn is to come were inside by what is `asked` of then, and may enter now by `audience`.

        None where only the rules themselves can say, or where profiles as they are made now cannot.
        """
        people, rules = self.store.populations, [rule for rule in deciding(journey, audience) if rule is not None]
        if not (asked.audience.reads_alike(asked.rule, self.made) and all(audience.reads_alike(rule, self.made) for rule in rules)):
            return None
        span = people.span(tx, population.cursor, 1 << 40, zones=True)
        if not span.count:
            return 0
        here = Moment(self.made, self.now, self.store.database.is_sqlite, self.zone, span.zones)
        besides = people.free_to_enter(journey.id, journey.entry.mode, journey.entry.reentry, self.now)
        besides.append(people.not_come_since(journey.id, population.at))
        try:
            conditions = [said(compile_sql(asked.rule.node, replace(here, audience=asked.audience, now=population.at)))]
            conditions += [said(compile_sql(rule.node, replace(here, audience=audience))) for rule in (*rules, *asked.remembers)]
            with people.asking(tx):
                return None if people.counted(tx, span, [stale_sql(here)]) else people.counted(tx, span, conditions, besides)
        except CannotSay:
            return None
