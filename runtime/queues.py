"""Those already inside a segment whose turn to enter its journey is still to come: how many they are."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from journeys.compiled import CompiledJourney
from runtime.catalogue import Catalogue
from runtime.enrol import closed_at
from runtime.golive import GoLive
from runtime.headcount import Headcount
from runtime.store import SqlStore


@dataclass(frozen=True, slots=True)
class Queue:
    """A journey's queue of those who were inside when it went live (`since`).

    `waiting` would come in if all were asked now; hold-outs are not looked at. None where nobody can say: while profiles are being made
    anew, and where the queue `stands`, since nobody can tell any more who was inside then. `next_at` is when a full pace lets the next in;
    None while it does so now.
    """

    journey: str
    since: int
    waiting: int | None
    stands: bool
    next_at: int | None


def queues_of(store: SqlStore, catalogue: Catalogue, zone: ZoneInfo, now: int) -> list[Queue]:
    """The queues in which somebody is waiting, or may be."""
    golive, people, found = GoLive(store), Headcount(store, zone, catalogue.audience, now), list[Queue]()
    with store.database.reading() as tx:
        for population in store.releases.queues(tx):
            versioned = catalogue.current.get(population.journey)
            if versioned is None or not is_open(versioned.journey, now):
                continue
            segment = versioned.journey.entry.segment
            asked = golive.asked(tx, catalogue.audience, segment, population.journey, population.at, now)
            waiting = people.waiting(tx, population, asked, versioned.journey, catalogue.audience) if asked is not None else None
            if waiting != 0:
                next_at = population.next_at if population.next_at > now else None
                found.append(Queue(population.journey, population.at, waiting, asked is None, next_at))
    return found


def is_open(journey: CompiledJourney, now: int) -> bool:
    """Whether those of a queue can still enter their journey."""
    return journey.entry.form == "segment" and closed_at(journey, now) is None
