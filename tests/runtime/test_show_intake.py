"""What came in, in the terminal: by source, and what did not fit, with what was expected and what came, and no person's data."""

import io

import pytest
from rich.console import Console

from runtime.show_intake import misfits, reasons, sources
from runtime.status import sources_summary
from runtime.store.received import Total
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


def lines(show, rows, language):
    out = io.StringIO()
    show(Console(file=out, width=200), rows, language, ZONE)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_each_source_says_what_it_brought_and_one_of_config_that_never_sent_anything_says_so():
    rows = sources_summary(
        [
            Total("shop", "new", "", 1200, 5000, NOON),
            Total("shop", "duplicate", "", 3, 4, NOON - 1),
            Total("shop", "refused", "time", 0, 2, NOON + 1),
            Total("gone", "aside", "", 0, 1, NOON - 2),
            Total("", "refused", "missing", 1, 1, NOON),
            Total("", "refused", "wrong", 0, 7, NOON),
        ],
        {"mini": "sensors", "shop": "webhook"},
    )

    assert lines(sources, rows, "en") == [
        "source kind last arrival today 7 days twice set aside signatures refused",
        "mini sensors never 0 0 0 0",
        "shop webhook 2026-12-01 12:00 1,200 5,000 4 0 clock 2",
        "gone not in config 2026-12-01 11:59 0 0 0 1",
        "(nobody's) never 0 0 0 0 none 1, wrong 7",
    ]
    assert lines(sources, rows, "zh")[1:3] == ["mini sensors 从未 0 0 0 0", "shop webhook 2026-12-01 12:00 1,200 5,000 4 0 时钟不对 2"]


def test_of_a_refusal_long_ago_nothing_is_said_any_more():
    (row,) = sources_summary([Total("shop", "refused", "wrong", 0, 0, NOON)], {"shop": "webhook"})

    assert (row["refused"], row["last_at"]) == ({}, None)


def test_why_things_were_set_aside_stands_with_how_often():
    rows = [{"kind": "event", "source": "shop", "reason": "type: [expected] a text", "n": 1200, "last_at": NOON},
            {"kind": "enrolment", "source": "", "reason": "no progress", "n": 1, "last_at": NOON}]  # fmt: skip

    assert lines(reasons, rows, "en") == [
        "set aside, see `journeyd quarantine`:",
        "shop event: type: [expected] a text (1,200, the last on 2026-12-01 12:00)",
        "enrolment: no progress (1, the last on 2026-12-01 12:00)",
    ]
    assert lines(reasons, rows, "zh")[1] == "shop event：type: [expected] a text（1,200 条，最近 2026-12-01 12:00）"
    assert lines(reasons, [], "en") == lines(sources, [], "en") == []
