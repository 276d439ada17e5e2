from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.localtime import to_datetime, to_instant
from journeys.schedule import next_fire, trigger_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
TUESDAY = to_instant(datetime(2026, 12, 1, 12, tzinfo=SHANGHAI))


def fires(text, count, zone=SHANGHAI, after=TUESDAY):
    found = []
    for _ in range(count):
        after = next_fire(text, zone, after)
        found.append(to_datetime(after, zone))
    return found


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", ["Sun"]),
        ("7", ["Sun"]),
        ("sun", ["Sun"]),
        ("1", ["Mon"]),
        ("5", ["Fri"]),
        ("FRI", ["Fri"]),
        ("1-5", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("mon-fri", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("0-2", ["Sun", "Mon", "Tue"]),  # a range that begins on Sunday
        ("0-6", ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]),
        ("0-7", ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]),
        ("5-7", ["Fri", "Sat", "Sun"]),
        ("6,0", ["Sat", "Sun"]),
        ("sat,sun", ["Sat", "Sun"]),
        ("*/2", ["Sun", "Tue", "Thu", "Sat"]),  # every second day from Sunday
        ("1-5/2", ["Mon", "Wed", "Fri"]),
        ("*", ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]),
    ],
)
def test_weekdays_are_those_that_cron_means_by_them(field, days):
    found = {f"{at:%a}" for at in fires(f"0 9 * * {field}", 7)}

    assert found == set(days)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 9 * * *", "2026-12-02 09:00"),
        ("0 12 * * *", "2026-12-02 12:00"),  # strictly after the moment itself
        ("1 12 * * *", "2026-12-01 12:01"),
        ("*/15 * * * *", "2026-12-01 12:15"),
        ("0 10 1 * *", "2027-01-01 10:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("30 8,20 * jan-mar *", "2027-01-01 08:30"),
    ],
)
def test_the_next_fire_is_strictly_after(text, expected):
    assert f"{fires(text, 1)[0]:%Y-%m-%d %H:%M}" == expected


@given(st.integers(0, 4 * 10**12), st.sampled_from(["*/7 * * * *", "30 18 * * 5", "0 0 1 * *"]))
def test_no_fire_is_left_out_between_a_moment_and_the_next_fire(after, text):
    found = next_fire(text, SHANGHAI, after)

    assert found > after
    assert next_fire(text, SHANGHAI, found - 1) == found
    assert found % 60_000 == 0


def test_a_day_that_never_comes_gives_none():
    assert next_fire("0 0 31 2 *", SHANGHAI, TUESDAY) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "x * * * *",
        "* * * * 8",
        "* * * * 1-8",
        "* * * * fry",
        "* * * * 1,,2",
        "* * * * 1/0",
        "@daily",
        "0 9 * * ²",
    ],
)
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError):
        trigger_of(text, SHANGHAI)


def test_a_daily_fire_follows_the_local_clock_and_comes_once_a_day():
    berlin = ZoneInfo("Europe/Berlin")
    before_gap = to_instant(datetime(2026, 3, 27, 12, tzinfo=berlin))
    before_overlap = to_instant(datetime(2026, 10, 23, 12, tzinfo=berlin))

    spring = fires("30 2 * * *", 4, berlin, before_gap)
    autumn = fires("30 2 * * *", 4, berlin, before_overlap)

    assert [f"{at.astimezone(UTC):%m-%d %H:%M}" for at in spring] == ["03-28 01:30", "03-29 01:00", "03-30 00:30", "03-31 00:30"]
    assert [f"{at.astimezone(UTC):%m-%d %H:%M}" for at in autumn] == ["10-24 00:30", "10-25 00:30", "10-26 01:30", "10-27 01:30"]


def test_the_second_pass_of_an_overlap_has_no_fires():
    berlin = ZoneInfo("Europe/Berlin")
    before = to_instant(datetime(2026, 10, 25, 2, 20, tzinfo=berlin))

    found = fires("*/15 * * * *", 4, berlin, before)

    assert [f"{at.astimezone(UTC):%H:%M}" for at in found] == ["00:30", "00:45", "02:00", "02:15"]


def test_a_moment_in_the_second_pass_waits_for_the_first_fire_after_it():
    berlin = ZoneInfo("Europe/Berlin")
    second_pass = to_instant(datetime(2026, 10, 25, 1, 10, tzinfo=UTC))  # 02:10, the second time

    found = next_fire("*/15 * * * *", berlin, second_pass)

    assert found == to_instant(datetime(2026, 10, 25, 2, 0, tzinfo=UTC))
