"""Counts for people and machines: the same summary for `status`, `demo` and `simulate`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from journeys.localtime import day_number
from runtime.intake.tally import REFUSED
from runtime.store import SqlStore
from runtime.store.received import Total

SENT = ("ACCEPTED", "DELIVERED", "UNDELIVERED")
WAITING = ("PENDING", "CLAIMED", "SENDING")
LATELY = 7  # days, with today
STAGES_BEFORE = (7, 30, 90)  # days
NOT_EXITS = ("completed", "converted", "held_out")


def journeys_summary(store: SqlStore) -> dict[str, dict[str, Any]]:
    """Per journey: entered, sent by channel, suppressed by reason, converted, holdout, completed, exited, inside, unknown."""
    with store.database.reading() as tx:
        tallies = store.reports.tallies(tx)
        messages = store.reports.messages_by_state(tx)
        enrolments = store.reports.enrolments_by_state(tx)
        set_aside = store.reports.set_aside(tx)
    journeys: dict[str, dict[str, Any]] = {}

    def of(journey: str) -> dict[str, Any]:
        return journeys.setdefault(
            journey,
            {"entered": 0, "sent": {}, "suppressed": {}, "converted": 0, "holdout": 0, "holdout_converted": 0, "completed": 0, "exited": 0,
             "inside": 0, "pending": 0, "unknown": 0, "ended": {}, "refused": {}},
        )  # fmt: skip

    for (journey, what, detail), n in sorted(tallies.items()):
        _count(of(journey), what, detail, n)
    for (journey, channel, state), n in sorted(messages.items()):
        row = of(journey)
        if state in SENT:
            row["sent"][channel] = row["sent"].get(channel, 0) + n
        elif state in WAITING:
            row["pending"] += n
        elif state in ("UNKNOWN", "ABANDONED"):
            row["unknown"] += n
    for (journey, reason), n in sorted(set_aside.items()):
        row = of(journey)
        row["suppressed"][reason] = row["suppressed"].get(reason, 0) + n
    for (journey, status), n in enrolments.items():
        if status != "ended":
            of(journey)["inside"] += n
    return dict(sorted(journeys.items()))


def _count(row: dict[str, Any], what: str, detail: str, n: int) -> None:
    if what == "entered":
        row["entered"] += n
        row["holdout"] += n if detail == "holdout" else 0
    elif what == "converted":
        row["converted"] += n
        row["holdout_converted"] += n if detail == "holdout" else 0
    elif what == "ended":
        row["ended"][detail] = n
        row["completed"] += n if detail == "completed" else 0
        row["exited"] += n if detail not in NOT_EXITS else 0
    elif what in ("suppressed", "refused"):
        row[what][detail] = n


def sources_summary(totals: Sequence[Total], kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """What came of each source today and in the last LATELY days; those of config (`kinds`) first, also those that never sent anything.

    Requests that were refused are told apart, by reason; `last_at` is None where nothing else came. The source of what nobody of config
    has sent is empty.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name in [*kinds, *sorted({total.source for total in totals} - kinds.keys(), key=lambda name: (not name, name))]:
        nothing = dict.fromkeys(("new", "duplicate", "aside"), 0)
        rows[name] = {"source": name, "kind": kinds.get(name), "last_at": None, "today": nothing, "lately": dict(nothing), "refused": {}}
    for total in totals:
        row = rows[total.source]
        if total.outcome == REFUSED:
            row["refused"] |= {total.reason: total.lately} if total.lately else {}
            continue
        row["today"][total.outcome], row["lately"][total.outcome] = total.today, total.lately
        row["last_at"] = max(total.last_at, row["last_at"] or 0)
    return list(rows.values())


def whole_summary(
    store: SqlStore, zone: ZoneInfo, now: int, sees: Callable[[str, str, str], bool], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """Everything `status` shows; days are those of `zone`, the project's. `sees`: whether rules see a source's name of some kind now;
    `kinds` are those of config's sources, by name.
    """
    today = day_number(now, zone)
    with store.database.reading() as tx:
        reports = store.reports
        ledger = reports.ledger_states(tx)
        body: dict[str, Any] = {
            "totals": reports.totals(tx),
            "stages": reports.stages(tx),
            "stages_before": {str(days): reports.stages_then(tx, today - days) for days in STAGES_BEFORE},
            "unmapped": store.arrivals.unmapped(tx, 20, sees),
            "misfits": store.arrivals.misfits(tx, 20),
            "due_lag_ms": reports.due_lag(tx, now),
            "ledger": {f"{kind}.{state}": n for (kind, state), n in sorted(ledger.items())},
            "budgets": reports.budgets(tx),
            "sources": sources_summary(store.received.totals(tx, today, today - LATELY + 1), kinds),
            "quarantine": [asdict(reason) for reason in store.quarantine.reasons(tx, 10)],
            "unknown": reports.doubts(tx),
            "held": [asdict(circuit) for circuit in store.flow.circuits(tx)],
            "paused": {lane: {"until": until, "reason": why} for lane, (until, why) in store.flow.pauses(tx, now).items()},
        }
        body["journeys_paused"] = [asdict(pause) for pause in store.movements.paused(tx)]
        release = store.releases.current(tx)
        under_way = store.movements.of_release(tx, release.id) if release is not None else []
        body["moves"] = {m.journey: store.movements.left(tx, m) for m in under_way if m.done_at is None}
    body["release"] = None if release is None else {
        "id": release.id, "applied_at": release.applied_at, "author": release.author, "message": release.message,
        "versions": {v.journey: v.number for v in release.versions},
    }  # fmt: skip
    body["journeys"] = journeys_summary(store)
    return body
