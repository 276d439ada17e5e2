"""What a person meant who wrote a value in another form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import LONGEST, SECOND, format_duration, parse_duration
from journeys.expectations import clock_meant, duration_meant, share_meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2days", "2d"), ("7 days", "7d"), ("2天", "2d"), ("1 week", "7d"), ("1 day 12 hours", "1d12h"), ("1天12小时", "1d12h"),
        ("1.5h", "1h30m"), ("３天", "3d"), ("30分钟", "30m"), ("3 D", "3d"), ("90 mins", "1h30m"),
    ],
)  # fmt: skip
def test_a_duration_in_words_is_the_one_that_they_say(written, meant):
    assert duration_meant(written) == meant
    assert parse_duration(meant) is not None


@pytest.mark.parametrize("written", ["", "3", "days", "soon", "2 months", "-2 days", "1d later", "99999999 days", "0.0001s", None])
def test_what_could_be_several_durations_or_none_is_not_guessed(written):
    assert duration_meant(written) == ""


@given(st.integers(SECOND, LONGEST).map(lambda ms: ms // SECOND * SECOND))
def test_a_duration_that_is_right_stays_what_it_is(ms):
    assert duration_meant(format_duration(ms)) == format_duration(ms)


@pytest.mark.parametrize(
    ("written", "meant"), [(10, "10%"), ("0.1", "10%"), (0.05, "5%"), ("10 %", "10%"), ("10％", "10%"), ("12.50%", "12.5%"), ("1", "1%")]
)
def test_a_share_in_another_form_is_the_percentage_that_it_says(written, meant):
    assert share_meant(written) == meant


@pytest.mark.parametrize("written", [110, "many", "-5%", "", "1/10", "nan%"])
def test_what_is_no_share_is_not_guessed(written):
    assert share_meant(written) == ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("6pm", "18:00"), ("6:30 PM", "18:30"), ("12am", "00:00"), ("12pm", "12:00"), ("6 a.m.", "06:00"), ("13pm", ""), ("0am", ""),
        ("18点", "18:00"), ("8点半", "08:30"), ("下午6点", "18:00"), ("晚上8点15分", "20:15"), ("中午12点", "12:00"), ("中午11点", "11:00"),
        ("早上9:05", "09:05"), ("上午9时", "09:00"), ("25点", ""), ("soon", ""), ("user.active_hour", ""), (9, "09:00"),
    ],
)  # fmt: skip
def test_an_hour_written_in_another_way_is_told_as_the_clock_shows_it(written, meant):
    assert clock_meant(written) == (f'"{meant}"' if meant else "")
