from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import DAY, HOUR, MINUTE
from journeys.localtime import (
    WEEKDAYS,
    anniversary_on,
    date_format,
    day_number,
    day_start,
    in_window,
    local_instant,
    next_local,
    on_local_day,
    print_instant,
    to_datetime,
    to_instant,
    week_start,
    zone_named,
)

ZONES = [
    "Africa/Abidjan", "Africa/Cairo", "Africa/Casablanca", "Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi",
    "America/Anchorage", "America/Argentina/Buenos_Aires", "America/Asuncion", "America/Bogota", "America/Caracas", "America/Chicago",
    "America/Denver", "America/Halifax", "America/Havana", "America/Los_Angeles", "America/Mexico_City", "America/New_York",
    "America/Nuuk", "America/Santiago", "America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Almaty", "Asia/Amman",
    "Asia/Beirut", "Asia/Dubai", "Asia/Gaza", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Pyongyang", "Asia/Shanghai", "Asia/Tehran",
    "Asia/Tokyo", "Atlantic/Azores", "Atlantic/Reykjavik", "Australia/Adelaide", "Australia/Eucla", "Australia/Lord_Howe",
    "Australia/Sydney", "Europe/Berlin", "Europe/Chisinau", "Europe/Dublin", "Europe/Istanbul", "Europe/London", "Europe/Moscow",
    "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham", "UTC",
]  # fmt: skip
zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.dates(date(2000, 1, 1), date(2060, 12, 31))
minutes_of_day = st.integers(0, 1439)


def instant(text):
    return to_instant(datetime.fromisoformat(text))


def minutes_shown(at, zone):
    """Every minute of the local day's surroundings, with its instant: the slow way to the answer."""
    return to_datetime(at, zone).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("zone", "day", "clock", "expected"),
    [
        ("Asia/Shanghai", "2026-12-01", "18:30", "2026-12-01T18:30+08:00"),  # no summer time
        ("Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T03:00+02:00"),  # gap: the first valid minute
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T02:30+02:00"),  # overlap: the first pass
        ("America/New_York", "2026-03-08", "02:00", "2026-03-08T03:00-04:00"),  # the gap's first minute
        ("America/New_York", "2026-11-01", "01:59", "2026-11-01T01:59-04:00"),  # the overlap's last minute
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-04T02:30+11:00"),  # a gap of half an hour
        ("America/Havana", "2026-03-08", "00:30", "2026-03-08T01:00-04:00"),  # midnight itself is missing
        ("Pacific/Apia", "2011-12-30", "00:00", "2011-12-31T00:00+14:00"),  # a whole day is missing
    ],
)
def test_a_local_clock_becomes_an_instant_by_the_two_rules(zone, day, clock, expected):
    hours, minutes = map(int, clock.split(":"))

    found = local_instant(date.fromisoformat(day), hours * 60 + minutes, ZoneInfo(zone))

    assert found == instant(expected)


@given(zones, days, minutes_of_day)
def test_a_local_clock_is_shown_then_and_at_no_earlier_moment(zone, day, minutes):
    wanted = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - a wall clock

    found = local_instant(day, minutes, zone)

    shown = minutes_shown(found, zone)
    earlier = [found - k * 15 * MINUTE for k in range(1, 13)]
    if shown == wanted:  # first pass: three hours before show another minute
        assert all(minutes_shown(at, zone) != wanted for at in earlier)
    else:  # gap: the first minute after it, and the minute before it is before the gap
        assert shown > wanted
        assert minutes_shown(found - MINUTE, zone) < wanted


@given(zones, days, minutes_of_day)
def test_a_daily_time_fires_exactly_once_on_each_local_day(zone, day, minutes):
    at = local_instant(day, 0, zone)
    fired = []

    for _ in range(5):
        at = next_local(at, minutes, zone)
        fired.append(to_datetime(at, zone).date())
        at += 1

    missing = date(2011, 12, 30)  # Samoa went over the date line
    expected = [day + timedelta(days=n) for n in range(5)]
    if zone.key == "Pacific/Apia" and missing in expected:
        assert missing not in fired
    else:
        assert fired == expected


@given(zones, st.integers(946_684_800_000, 2_871_763_200_000), minutes_of_day)
def test_the_next_local_time_is_never_before_and_within_fifty_hours(zone, after, minutes):
    found = next_local(after, minutes, zone)

    assert after <= found <= after + 50 * HOUR


def test_the_second_pass_of_an_overlap_never_fires():
    berlin = ZoneInfo("Europe/Berlin")
    second_pass = instant("2026-10-25T02:10+01:00")

    found = next_local(second_pass, 150, berlin)

    assert found == instant("2026-10-26T02:30+01:00")


def test_the_moment_itself_counts_as_the_next():
    at = instant("2026-12-01T18:30+08:00")

    assert next_local(at, 1110, ZoneInfo("Asia/Shanghai")) == at
    assert next_local(at + 1, 1110, ZoneInfo("Asia/Shanghai")) == at + DAY


@given(zones, st.integers(946_684_800_000, 2_871_763_200_000), st.sets(st.sampled_from(WEEKDAYS), min_size=1))
def test_only_the_named_weekdays_are_chosen(zone, after, chosen):
    found = next_local(after, 600, zone, chosen)

    local = to_datetime(found, zone)
    assert WEEKDAYS[local.weekday()] in chosen or local.date() == date(2011, 12, 31)


@pytest.mark.parametrize(
    ("clock", "window", "inside"),
    [
        ("08:00", (480, 1290), True),  # the start is inside
        ("21:29", (480, 1290), True),
        ("21:30", (480, 1290), False),  # the end is not
        ("07:59", (480, 1290), False),
        ("23:00", (1260, 540), True),  # over midnight
        ("00:00", (1260, 540), True),
        ("09:00", (1260, 540), False),
        ("20:59", (1260, 540), False),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(clock, window, inside):
    at = instant(f"2026-12-01T{clock}+08:00")

    assert in_window(at, window, ZoneInfo("Asia/Shanghai")) is inside


def test_a_day_begins_at_its_first_valid_minute():
    havana = ZoneInfo("America/Havana")

    assert day_start(instant("2026-03-08T12:00-04:00"), havana) == instant("2026-03-08T01:00-04:00")


@pytest.mark.parametrize(
    ("zone", "first", "last", "day"),
    [
        ("UTC", "1970-01-01T00:00+00:00", "1970-01-01T23:59:59.999+00:00", 0),
        ("Asia/Shanghai", "2026-12-01T00:00+08:00", "2026-12-01T23:59:59.999+08:00", 20_788),
        ("Europe/Berlin", "2026-03-29T00:00+01:00", "2026-03-29T23:59:59.999+02:00", 20_541),  # of 23 hours
        ("Europe/Berlin", "2026-10-25T00:00+02:00", "2026-10-25T23:59:59.999+01:00", 20_751),  # of 25
        ("America/Havana", "2026-03-08T01:00-04:00", "2026-03-08T23:59:59.999-04:00", 20_520),  # without its midnight
        ("America/St_Johns", "2006-10-29T00:00-02:30", "2006-10-29T23:59:59.999-03:30", 13_450),  # at 00:01 back to 23:01 of the day before
        ("Pacific/Apia", "2011-12-29T00:00-10:00", "2011-12-29T23:59:59.999-10:00", 15_337),  # the day after it is missing
        ("Pacific/Apia", "2011-12-31T00:00+14:00", "2011-12-31T23:59:59.999+14:00", 15_339),
    ],
)
def test_a_local_day_has_one_number_from_its_first_moment_to_its_last(zone, first, last, day):
    begin, end, zone = instant(first), instant(last), ZoneInfo(zone)

    asked = [begin, end + 1, begin - 1, (begin + end) // 2, end]  # in any order: what was asked before changes nothing

    assert [day_number(at, zone) - day for at in asked[1:3]] == [2 if day == 15_337 else 1, -2 if day == 15_339 else -1]
    assert [day_number(at, zone) for at in (begin, (begin + end) // 2, end)] == [day, day, day]


def test_a_day_that_has_begun_does_not_end_where_the_clock_goes_back_over_its_midnight():
    zone, other = ZoneInfo("America/St_Johns"), 1_100_000_000_000
    midnight, again = instant("2006-10-29T00:00-02:30"), instant("2006-10-28T23:30-03:30")

    found = [day_number(at, zone) for at in (other, again, midnight, again, midnight - 1)]

    assert [day - 13_450 for day in found[1:]] == [0, 0, 0, -1]


@given(zones, st.lists(st.integers(946_684_800_000, 2_871_763_200_000), min_size=1), st.integers(-3 * DAY, 3 * DAY))
def test_the_numbers_of_local_days_rise_with_time_whatever_was_asked_before(zone, instants, apart):
    for at in instants:
        one, other = day_number(at, zone), day_number(at + apart, zone)
        first, last = (local_instant(date(1970, 1, 1) + timedelta(days=one + n), 0, zone) for n in (0, 1))

        assert first <= at < last
        assert (one <= other) if apart >= 0 else (other <= one)
        assert abs(apart) // DAY - 1 <= abs(other - one) <= abs(apart) // DAY + 3


def test_a_week_begins_on_monday():
    sunday = instant("2026-12-06T23:59+08:00")

    assert week_start(sunday, ZoneInfo("Asia/Shanghai")) == instant("2026-11-30T00:00+08:00")


def test_a_time_on_the_same_local_day_may_lie_before():
    noon = instant("2026-12-01T12:00+08:00")

    assert on_local_day(noon, 60, ZoneInfo("Asia/Shanghai")) == instant("2026-12-01T01:00+08:00")


def test_instants_cut_parts_of_a_millisecond():
    assert to_instant(datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)) == 1


def test_an_anniversary_on_29_february_is_kept_on_the_28th():
    assert [anniversary_on(year, "02-29") for year in (2027, 2028)] == [date(2027, 2, 28), date(2028, 2, 29)]
    assert anniversary_on(2027, "12-31") == date(2027, 12, 31)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%Y年%-m月%-d日 %H:%M", "2026年3月4日 05:06"),
        ("%m-%d", "03-04"),
        ("%-H点", "5点"),
        ("no directive", "no directive"),
        ("", ""),
        ("%Y%Y", "20262026"),
    ],
)
def test_a_date_is_printed_by_the_known_directives(pattern, text):
    printer = date_format(pattern)

    assert printer(datetime(2026, 3, 4, 5, 6)) == text  # noqa: DTZ001 - a wall clock


@pytest.mark.parametrize("pattern", ["%B", "%", "100%", "%-Y", "%-", "%%", "%S"])
def test_another_directive_is_refused(pattern):
    assert date_format(pattern) is None


def test_an_instant_is_printed_on_the_clock_of_the_zone():
    at = instant("2026-12-01T23:30+08:00")

    assert print_instant(at, ZoneInfo("Asia/Shanghai")) == "2026-12-01 23:30"
    assert print_instant(at, ZoneInfo("Asia/Tokyo")) == "2026-12-02 00:30"


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "Asia", "x\x00y"])
def test_an_unknown_zone_is_none(name):
    assert zone_named(name) is None


def test_a_known_zone_is_found():
    assert zone_named("Asia/Shanghai").key == "Asia/Shanghai"
