"""Reckons what a simulation foresees from the scratch database that it has filled."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from journeys.check import Checked
from journeys.duration import MINUTE
from journeys.localtime import day_number, local_instant, to_datetime
from runtime.app import App
from runtime.applying import applicable
from runtime.foreseen import LAST_CHECK, Day, Figure, Foreseen, Given, Row
from runtime.past import Sample
from runtime.state import LogEntry
from runtime.status import SENT, journeys_summary
from runtime.store.outcomes import Entry, Outgoing
from runtime.ways import Ways

QUARTER = 15 * MINUTE  # zones are whole quarters of an hour apart
_ASIDE = ("SUPPRESSED", "EXPIRED", "REJECTED")


def reckon(app: App, checked: Checked, sample: Sample, first: int, last: int, events: int) -> Foreseen:
    """Everything that came of the run, in an order that depends on nothing but the run."""
    return _Reckoning(app, checked, sample, first, last).run(events)


class _Reckoning:
    def __init__(self, app: App, checked: Checked, sample: Sample, first: int, last: int) -> None:
        self.app, self.checked, self.sample, self.first, self.last = app, checked, sample, first, last
        self.zone = app.project.zone
        self.running = dict(sorted(applicable(checked).items()))
        self.ways = {i: Ways(journey) for i, journey in self.running.items()}
        self.day_of = lru_cache(4096)(lambda quarter: to_datetime(quarter * QUARTER, self.zone).date())
        start, end = self._day(first), self._day(max(last, first))
        self.days = {start + timedelta(days=n): Day() for n in range((end - start).days + 1)}
        self.deliveries: list[Given] = []
        self.entries: dict[tuple[str, str], list[int]] = {}

    def _day(self, at: int) -> date:
        found: date = self.day_of(at // QUARTER)
        return found

    def _on(self, at: int) -> Day:
        return self.days.setdefault(self._day(at), Day())

    def run(self, events: int) -> Foreseen:
        store, settings = self.app.store, self.app.project.settings
        prices = {name: section.price for name, section in settings.channels.written().items()}
        prices |= {f"grant:{name}": section.price for name, section in settings.benefits.items()}
        priced = {lane: Decimal(price) for lane, price in prices.items() if price is not None}
        self.rows = self._rows()
        with store.database.reading() as tx:
            outcomes = store.outcomes
            known = {entry.id: entry for entry in outcomes.entries(tx)}
            for entry in known.values():
                self._entered(entry)
            self._stories(outcomes.story(tx), known)
            for sent in outcomes.outgoing(tx):
                self._went(sent, priced)
            for journey, reason, n in outcomes.tallies_of(tx, "held"):
                self.rows[journey].held[reason] = n
            budgets, totals = outcomes.budget_totals(tx), store.reports.totals(tx)
        for journey, row in self.rows.items():
            row.counts = self.ways[journey].counts()
        drafts = sorted(set(self.checked.journeys) - set(self.running))
        return Foreseen(
            self.zone, self.first, self.last, self.sample, events, totals["users"], self.rows, dict(sorted(self.days.items())),
            self._stages(), priced, {b: n for b, n in budgets.items() if b in self._benefits() or n is not None}, self.deliveries,
            self.entries, drafts, totals["quarantine"],
        )  # fmt: skip

    def _benefits(self) -> set[str]:
        return {benefit for row in self.rows.values() for benefit in row.granted}

    def _rows(self) -> dict[str, Row]:
        summary = journeys_summary(self.app.store)
        rows = {i: Row(j.journey.name, j.digest[:8]) for i, j in self.running.items()}
        for journey, row in rows.items():
            for name, value in summary.get(journey, {}).items():
                if name not in ("sent", "suppressed") and hasattr(row, name):
                    setattr(row, name, value)
        return rows

    # --- who entered

    def _entered(self, entry: Entry) -> None:
        self._on(entry.entered_at).entered += 1
        self.entries.setdefault((entry.journey, entry.user_id), []).append(entry.entered_at)
        self._add(entry.journey, "entered", entry.user_id)
        if entry.converted_at is not None:
            self._add(entry.journey, "converted", entry.user_id)

    def _add(self, journey: str, figure: str, user_id: str, by: Any = 1) -> None:
        if self.sample.share < 1:
            self.rows[journey].figures.setdefault(figure, Figure()).of[user_id] += by

    # --- what the log says

    def _stories(self, lines: Iterator[tuple[int, str, LogEntry]], known: Mapping[int, Entry]) -> None:
        for number, user_id, line in lines:
            entry = known[number]
            self.ways[entry.journey].line(number, user_id, line)
            if line.action == "suppressed":
                self._suppressed(entry.journey, user_id, line.at, line.why.get("reason", ""), _caps(line.why))
            elif line.action == "late":
                self._suppressed(entry.journey, user_id, line.at, "late", ())
            elif line.action == "sent":
                self._on(line.at).fell_through.update(_caps(line.why))
            elif line.action == "grant_failed":
                failed, reason = self.rows[entry.journey].not_granted, line.why.get("reason", "")
                failed[reason] = failed.get(reason, 0) + 1

    def _suppressed(self, journey: str, user_id: str, at: int, reason: str, caps: tuple[str, ...]) -> None:
        day = self._on(at)
        day.suppressed[reason] += 1
        day.dropped.update(caps)
        row = self.rows[journey].suppressed
        row[reason] = row.get(reason, 0) + 1
        self._add(journey, "suppressed", user_id)

    # --- what the ledger says

    def _went(self, sent: Outgoing, prices: Mapping[str, Decimal]) -> None:
        row = self.rows[sent.journey]
        if sent.kind == "call":
            return
        if sent.state in SENT:
            counts, lane = (row.sent, sent.channel) if sent.kind == "message" else (row.granted, f"grant:{sent.channel}")
            counts[sent.channel] = counts.get(sent.channel, 0) + 1
            day = self._on(sent.at)
            (day.sent if sent.kind == "message" else day.granted)[sent.channel] += 1
            self.deliveries.append(Given(sent.journey, sent.step, sent.user_id, sent.kind, sent.channel, sent.at, sent.key, sent.content))
            self._add(sent.journey, f"{'sent' if sent.kind == 'message' else 'granted'}.{sent.channel}", sent.owner_id)
            if lane in prices:
                row.cost = (row.cost or Decimal()) + prices[lane]
                self._add(sent.journey, "cost", sent.owner_id, float(prices[lane]))
        elif sent.kind == "message" and sent.state in _ASIDE:
            self._suppressed(sent.journey, sent.owner_id, sent.at, sent.reason, (LAST_CHECK,) if sent.reason == "cap" else ())

    # --- stages

    def _stages(self) -> dict[str, dict[str, int]]:
        """By the ends of the months, the last one by the end of the run."""
        month, found = to_datetime(self.first, self.zone).date().replace(day=1), {}
        with self.app.store.database.reading() as tx:
            while local_instant(month, 0, self.zone) <= self.last:
                after = (month + timedelta(days=32)).replace(day=1)
                end = min(local_instant(after, 0, self.zone) - 1, self.last)
                found[f"{month:%Y-%m}"] = dict(sorted(self.app.store.reports.stages_then(tx, day_number(end, self.zone)).items()))
                month = after
        return found


def _caps(why: Mapping[str, Any]) -> tuple[str, ...]:
    """The caps that stood in the way of a send, each once."""
    met = [why, *why.get("positions", ())]
    return tuple(sorted({place["cap"] for place in met if place.get("reason") == "cap" and "cap" in place}))
