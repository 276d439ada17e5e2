"""What came in, in the terminal: what did not fit is named with what was expected and what came, and no person's data."""

import io

import pytest
from rich.console import Console

from runtime.show_intake import misfits
from tests.town import NOON, ZONE


def shown(language="en", **row):
    out = io.StringIO()
    misfits(Console(file=out, width=200), [{"source": "shop", "found": "text", "n": 1200, "last_at": NOON, **row}], language, ZONE)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("row", "english", "chinese"),
    [
        (
            {"name": "order_paid.amount", "expected": "number"},
            "order_paid.amount is no number (what came is text), 1,200 so far, the last on 2026-12-01 12:00",
            "order_paid.amount 应为数，收到的是文本，至今 1,200 次，最近 2026-12-01 12:00",
        ),
        (
            {"name": "record.trait", "expected": "key", "found": ""},
            "nothing reads record.trait, did you mean traits? 1,200 so far, the last on 2026-12-01 12:00",
            "record.trait 没有谁读，是不是 traits？至今 1,200 次，最近 2026-12-01 12:00",
        ),
        (
            {"name": "event.zzz", "expected": "key", "found": ""},
            "nothing reads event.zzz, 1,200 so far, the last on 2026-12-01 12:00",
            "event.zzz 没有谁读，至今 1,200 次，最近 2026-12-01 12:00",
        ),
    ],
)
def test_what_did_not_fit_says_what_was_expected_and_what_came(row, english, chinese):
    assert shown(**row) == ["what came and does not fit, so that no rule sees it:", f"  shop: {english}"]
    assert shown("zh", **row)[1] == f"  shop: {chinese}"


def test_where_everything_fits_nothing_is_said():
    out = io.StringIO()
    misfits(Console(file=out), [], "en", ZONE)
    assert out.getvalue() == ""
