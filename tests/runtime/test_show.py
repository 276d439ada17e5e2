"""What commands show of their progress, on a terminal and elsewhere."""

from io import StringIO

from rich.console import Console

from runtime.show import SECONDS_OF_A_LINE, rows_progress


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
