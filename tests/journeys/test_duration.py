import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import DAY, HOUR, LONGEST, MINUTE, SECOND, format_duration, parse_duration, parse_time_of_day, parse_window


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("30s", 30 * SECOND),
        ("5m", 5 * MINUTE),
        ("2h", 2 * HOUR),
        ("3d", 3 * DAY),
        ("2w", 14 * DAY),
        ("1d12h", 36 * HOUR),
        ("-1d", -DAY),  # an offset before
        (" 1d ", DAY),  # blanks around it are nothing
        ("0s", 0),
        ("3650d", LONGEST),  # ten years, the longest
    ],
)
def test_a_duration_is_read_as_exact_milliseconds(text, milliseconds):
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "d", "3", "3 d", "1.5h", "--1d", "1d-2h", "3D", "1y", "3651d", "P1D", "1d12", "9" * 5000 + "d"])
def test_what_is_no_duration_is_none(text):
    assert parse_duration(text) is None


@given(st.integers(-LONGEST // 1000, LONGEST // 1000))
def test_every_duration_of_whole_seconds_is_written_and_read_back(seconds):
    assert parse_duration(format_duration(seconds * SECOND)) == seconds * SECOND


@pytest.mark.parametrize(("milliseconds", "text"), [(36 * HOUR, "1d12h"), (0, "0s"), (-DAY, "-1d"), (90 * SECOND, "1m30s")])
def test_a_duration_is_written_in_its_shortest_spelling(milliseconds, text):
    assert format_duration(milliseconds) == text


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("18:30", 1110), ("23:59", 1439), (" 07:05 ", 425)])
def test_a_time_of_day_is_minutes_after_midnight(text, minutes):
    assert parse_time_of_day(text) == minutes


@pytest.mark.parametrize("text", ["24:00", "7:05", "18:60", "1830", "", "18:30:00"])
def test_what_is_no_time_of_day_is_none(text):
    assert parse_time_of_day(text) is None


def test_a_window_may_go_over_midnight():
    assert parse_window("21:00-09:00") == (1260, 540)


@pytest.mark.parametrize("text", ["09:00", "09:00-", "-09:00", "09:00-09:00", "9-10", "09:00-10:00-11:00"])
def test_a_window_needs_two_different_ends(text):
    assert parse_window(text) is None
