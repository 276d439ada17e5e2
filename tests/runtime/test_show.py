"""What commands show: the stages of everybody; progress, on a terminal and elsewhere."""

from io import StringIO

from rich.console import Console

from runtime.show import SECONDS_OF_A_LINE, rows_progress, status
from tests.town import ZONE

SUMMARY = {
    "release": None, "totals": {}, "due_lag_ms": 0, "stages": {"acquisition": 1, "churn": 2, "old": 3}, "ledger": {}, "budgets": [],
    "stages_before": {"7": {"churn": 4}, "30": {}}, "journeys": {}, "sources": [], "unmapped": [], "misfits": [], "queues": [], "quarantine": [], "unknown": {}, "held": [], "paused": {},
    "journeys_paused": [], "moves": {},
}  # fmt: skip


def test_stages_stand_in_the_order_of_the_lifecycle_and_a_day_of_which_nothing_was_counted_is_not_known():
    file = StringIO()

    status(Console(file=file, width=200), SUMMARY, "en", ZONE, {"churn": "", "acquisition": ""})

    rows = [line.split() for line in file.getvalue().splitlines() if line.startswith(("acquisition", "churn", "old"))]
    assert rows == [
        ["churn", "2", "4", "not", "known"], ["acquisition", "1", "0", "not", "known"], ["old", "3", "0", "not", "known"],
    ]  # fmt: skip


def test_where_nobody_sees_a_bar_a_line_now_and_then_says_how_far_a_file_is():
    now, file = [0.0], StringIO()

    with rows_progress(Console(file=file, width=200), "users.csv", 4000, "en", lambda: now[0]) as advance:
        for step in range(8):
            now[0] += SECONDS_OF_A_LINE / 2
            advance(500 * (step + 1), 1000 * (step + 1))

    assert file.getvalue().splitlines() == [
        f"users.csv: {rows},000 rows so far ({share}% of the file)" for rows, share in ((2, 25), (4, 50), (6, 75), (8, 100))
    ]


def test_a_terminal_has_its_bar_and_no_lines():
    file = StringIO()

    with rows_progress(Console(file=file, width=200, force_terminal=True), "users.csv", 4000, "en", lambda: 0.0) as advance:
        advance(4000, 8000)

    assert "so far" not in file.getvalue()
