"""Prometheus metrics, read from the database when they are asked for; what came in is counted by the process itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from runtime.app import App
from runtime.intake.tally import REFUSED, Tally


class Metrics(Collector):
    """What came in by source, enrolments and messages by state, held channels, doubts, the lag of due timers, the inbox, ticks."""

    def __init__(self, app: App, ticks: Mapping[str, int], tally: Tally) -> None:
        self._app, self._ticks, self._tally = app, ticks, tally
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self._registry)

    def describe(self) -> list[Any]:
        """Nothing is known before it is read."""
        return []

    def collect(self) -> Iterator[Any]:
        """Read everything in one snapshot."""
        store, now = self._app.store, self._app.clock.now()
        with store.database.reading() as tx:
            enrolments = store.reports.enrolments_by_state(tx)
            ledger = store.reports.ledger_states(tx)
            lag, totals = store.reports.due_lag(tx, now), store.reports.totals(tx)
            circuits, doubts = store.flow.circuits(tx), store.reports.doubts(tx)
        inside = GaugeMetricFamily("journeyd_enrolments", "Enrolments by journey and status.", labels=["journey", "status"])
        for (journey, status), n in enrolments.items():
            inside.add_metric([journey, status], n)
        messages = GaugeMetricFamily("journeyd_messages", "Rows of the ledger by kind and state.", labels=["kind", "state"])
        for (kind, state), n in ledger.items():
            messages.add_metric([kind, state], n)
        held = GaugeMetricFamily("journeyd_channel_held", "Channels (or templates) held because of a fault.", labels=["lane", "template"])
        for circuit in circuits:
            held.add_metric([circuit.lane, circuit.template], 1)
        doubted = GaugeMetricFamily("journeyd_doubts", "Attempts of unknown end, by what settled them.", labels=["lane", "settled_by"])
        for lane, counts in doubts.items():
            for settled_by, n in counts.items():
                doubted.add_metric([lane, settled_by], n)
        ticks = CounterMetricFamily("journeyd_ticks", "Ticks by name; failed counts all that failed.", labels=["tick"])
        for name, n in self._ticks.items():
            ticks.add_metric([name], n)
        arrived = CounterMetricFamily("journeyd_arrived", "What sources posted, by what became of it.", labels=["source", "outcome"])
        refused = CounterMetricFamily("journeyd_signatures_refused", "Requests answered 401, by why.", labels=["source", "reason"])
        for (source, outcome, reason), n in sorted(self._tally.counts.copy().items()):
            family, label = (refused, reason) if outcome == REFUSED else (arrived, outcome)
            family.add_metric([source, label], n)
        yield arrived
        yield refused
        yield inside
        yield messages
        yield held
        yield doubted
        yield ticks
        yield GaugeMetricFamily("journeyd_due_lag_seconds", "How late the most overdue timer is.", value=lag / 1000)
        yield GaugeMetricFamily("journeyd_inbox_notes", "Accepted but not yet projected.", value=totals["inbox"])
        yield GaugeMetricFamily("journeyd_quarantined", "Records set aside.", value=totals["quarantine"])
        yield GaugeMetricFamily("journeyd_users", "Known users.", value=totals["users"])
