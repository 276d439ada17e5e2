"""Charts: what is added up, and pictures whose text cannot break out of them."""

from datetime import date, timedelta

import pytest

from runtime.report.charts import bars, begin_of, falling, summed, unit_for

DAY = date(2026, 12, 2)  # a Wednesday


@pytest.mark.parametrize(("days", "unit"), [(1, "day"), (120, "day"), (121, "week"), (840, "week"), (841, "month")])
def test_many_days_are_added_up(days, unit):
    assert unit_for(days) == unit


@pytest.mark.parametrize(("unit", "begin"), [("day", DAY), ("week", date(2026, 11, 30)), ("month", date(2026, 12, 1))])
def test_a_unit_begins_where_people_begin_it(unit, begin):
    assert begin_of(DAY, unit) == begin


def test_counts_are_added_up_and_the_most_comes_first():
    series = summed({DAY: {"sms": 1}, DAY + timedelta(days=1): {"push": 2, "sms": 2}, DAY + timedelta(days=5): {"push": 7}}, "week")

    assert (series.begins, series.values) == ([date(2026, 11, 30), date(2026, 12, 7)], {"push": [2, 7], "sms": [3, 0]})


def test_bars_say_their_numbers_and_escape_their_names():
    picture = bars(summed({DAY: {"<b>": 1200}}, "day"), "T & U")

    assert "&lt;b&gt;: 1,200" in picture
    assert "<b>" not in picture
    assert 'aria-label="T &amp; U"' in picture


def test_nothing_to_show_is_no_picture():
    assert bars(summed({DAY: {}}, "day"), "T") == ""
    assert falling([DAY], {"gift": [0]}, "T") == ""


def test_a_line_falls_to_its_end():
    picture = falling([DAY, DAY + timedelta(days=1)], {"gift": [10, 0]}, "gift")

    assert "gift: 0" in picture
    assert picture.count("<polyline") == 1
