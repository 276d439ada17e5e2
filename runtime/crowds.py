"""Populations by ranges of user ids: SQL says whom the conditions let in, the rest is as in `enrol`, all are written at once.

Not so, but user by user through their sessions: `mode: restart` (it ends others), journeys that watch other users' events,
rehearsals (given values, forced draws), and a range in which somebody's profile is no JSON or was made under other definitions.
Nobody's first step is taken here: the enrolments are due at once.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from orjson import Fragment

from journeys.audience import Audience
from journeys.compiled import CompiledJourney
from journeys.evaluate import leaves_of
from journeys.localtime import day_number
from runtime.batches import Progress
from runtime.catalogue import Versioned
from runtime.enrol import closed_at, deciding, enrolment_of, entered_log, held_out, refused_by_past
from runtime.pacing import Windows
from runtime.state import Fact, stable_key
from runtime.store import SqlStore
from runtime.store.codec import parse
from runtime.store.conditions import Moment, compile_sql, compile_values, former_sql, stale_sql
from runtime.store.entering import Newcomer, Prepared
from runtime.store.populations import CannotSay, Span, said
from runtime.store.releases import Population

CROWD = 5_000  # user ids in one transaction
MOST_RANGES = 6  # in one tick, where the next is looked at while the one before is written: some 0.7 s, in which timers wait


def takes_crowds(journey: CompiledJourney) -> bool:
    """Whether a population of this journey may be entered by ranges."""
    return journey.entry.mode != "restart" and not journey.watches_others


@dataclass
class Crowd:
    """What becomes of a range of users: who enters, and how many are refused by which reason. `looked_at` counts users.

    Where it is nobody, and others come (`is_last` is false), the next has something in her inbox that is worked off first.
    """

    versioned: Versioned
    fact: Fact
    looked_at: int = 0
    is_last: bool = False
    entering: Prepared | None = None
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def work(self) -> int:
        """How much there was to do."""
        return self.looked_at or int(self.is_last)

    def write(self, store: SqlStore, tx: Any, zone: ZoneInfo) -> int:
        """Write those who enter and count everybody by the day of `zone`, the project's; how many entered."""
        journey, day = self.versioned.journey.id, day_number(self.fact.at, zone)
        written = store.entering.write(tx, self.entering) if self.entering is not None else {}
        counts = {(journey, day, "refused", reason): n for reason, n in self.refused.items() if reason != "duplicate"}
        counts |= {(journey, day, "entered", "holdout" if held else "treated"): n for held, n in written.items()}
        store.people.add_tallies(tx, {key: n for key, n in counts.items() if n})
        return sum(written.values())


@dataclass(frozen=True)
class Crowds:
    """Looks at ranges of users. `zone` is the project's, `holdout` its share in parts of 10,000, `size` how many users are a range."""

    store: SqlStore
    zone: ZoneInfo
    holdout: int
    size: int = CROWD

    def look(
        self, tx: Any, audience: Audience, population: Population, versioned: Versioned, progress: Progress, windows: Windows
    ) -> Crowd | None:
        """The next range of a population; None when it cannot be asked in SQL. `progress` is moved over it.

        It ends before the first for whom an accepted event is not projected yet: her conditions cannot be asked.
        """
        crowd, before = Crowd(versioned, Fact(population.kind, population.fact_id, progress.at)), (progress.cursor, progress.took)
        zones = any(one.asks_hour for one in (audience, *([progress.inside.audience] if progress.inside is not None else ())))
        busy = self.store.populations.first_busy(tx, progress.cursor, progress.now)
        span = self.store.populations.span(tx, progress.cursor, self.size, zones=zones, before=busy)
        if not span.count:
            crowd.is_last = span.is_last
            return crowd
        try:
            with self.store.populations.asking(tx):
                self._fill(tx, crowd, audience, population, progress, windows, span)
        except CannotSay:
            progress.cursor, progress.took = before
            windows.forget()
            return None
        crowd.looked_at, crowd.is_last = span.count, span.is_last and not progress.is_full()
        return crowd

    def _fill(
        self, tx: Any, crowd: Crowd, audience: Audience, population: Population, progress: Progress, windows: Windows, span: Span
    ) -> None:
        store, journey, at = self.store.populations, crowd.versioned.journey, crowd.fact.at
        here = Moment(audience, at, self.store.database.is_sqlite, self.zone, span.zones)
        segment, where = deciding(journey, audience)
        concerned = []
        if segment is not None and progress.inside is not None:
            then = replace(here, audience=progress.inside.audience, now=population.at)
            concerned = [said(compile_sql(progress.inside.rule.node, then))]
            turn = replace(here, now=progress.counted_at)
            concerned += [said(compile_sql(rule.node, turn)) for rule in (segment, *progress.inside.remembers)]
        is_closed = closed_at(journey, at) is not None
        asked = [at, *([progress.counted_at] if progress.asks_again else ())] if where is not None and not is_closed else []
        conditions = [*concerned, *(said(compile_sql(where.node, replace(here, now=moment))) for moment in asked if where is not None)]
        values = [said(compile_values(leaves_of(rule.node), here)) for rule in (segment, where) if rule is not None]
        rows = store.passing(tx, span, conditions, stale_sql(here), [former_sql(here), *values])
        past = store.past_entries(tx, span, journey.id) if rows else {}
        had = store.came_later(tx, population, span.after, span.upto) if rows else ()
        around = {held: _log_around(journey, crowd.fact, audience, held=held) for held in (False, True)}
        newcomers: list[Newcomer] = []
        passed = 0
        for user_id, (former, *texts) in rows:
            if progress.is_full():
                break
            if user_id in had or is_closed:
                crowd.refused["closed"] += int(user_id not in had)
                progress.cursor = user_id
                continue
            key = stable_key(journey.id, user_id, "", crowd.fact.id)
            keys = {key, *(stable_key(journey.id, id_, "", crowd.fact.id) for id_ in parse(former))} if former else {key}
            mine = past.get(user_id, ())
            refused = refused_by_past(journey, user_id, keys, mine, at, project_holdout=self.holdout) if mine or self.holdout else None
            if refused is None and progress.pace is not None:
                progress.window = windows.counting(tx, journey.id, progress.counted_at)
                if progress.is_full():  # another daemon has filled it since we looked
                    break
            passed += 1
            progress.cursor = user_id
            if refused is not None:
                crowd.refused[refused[0]] += 1
                continue
            held = held_out(journey, user_id)
            newcomers.append(Newcomer(user_id, key, held, around[held] % tuple(texts)))
            progress.took += 1
        if progress.is_full():  # whoever comes after the last to enter is looked at in the next window
            span = replace(span, upto=progress.cursor)
        progress.cursor = span.upto
        if newcomers:
            crowd.entering = self._prepare(tx, crowd, newcomers, progress.counted_at)
        if asked:
            waiting = [store.not_come_since(journey.id, population.at)] if population.kind == "existing" else []
            crowd.refused["where"] = store.counted(tx, span, concerned, waiting) - passed

    def _prepare(self, tx: Any, crowd: Crowd, newcomers: list[Newcomer], now: int) -> Prepared:
        journey, version = crowd.versioned.journey, crowd.versioned.version_id
        kinds = (False, True) if journey.holdout else (False,)
        patterns = {held: enrolment_of(journey, version, "", "", "", crowd.fact, held=held) for held in kinds}
        return self.store.entering.prepare(tx, newcomers, patterns, now, parallel=journey.entry.mode == "parallel")


_GAP = "\0"  # stands in no JSON text


def _log_around(journey: CompiledJourney, fact: Fact, audience: Audience, *, held: bool) -> str:
    """The JSON text of an entry's log, to be filled with the values then, which alone differ from one person to the next."""
    entry = entered_log(journey, fact, Fragment(_GAP), Fragment(_GAP), audience, held=held)
    return orjson.dumps([entry.as_list()]).decode().replace("%", "%%").replace(_GAP, "%s")
