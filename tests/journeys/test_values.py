import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.values import LARGEST_NUMBER, as_number, clean_text, coerce, coerce_again, fits, parse_time, print_number

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = 1_796_097_600_000  # 2026-12-01 12:00 in Shanghai


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("text", "车厘子", "车厘子"),
        ("text", 10, "10"),
        ("text", 12.50, "12.5"),
        ("text", True, None),  # true is no text
        ("text", [], None),
        ("text", math.nan, None),
        ("text", "a\x00b\ud800", "a\ufffdb\ufffd"),  # what databases refuse
        ("number", 40.25, 40.25),
        ("number", "39.9", 39.9),
        ("number", " 7 ", 7),
        ("number", 3.0, 3),
        ("number", "many", None),
        ("number", "nan", None),
        ("number", "inf", None),
        ("number", True, None),
        ("number", 1e13, None),  # larger than any sum of money here
        ("number", "1e400", None),
        ("number", {}, None),
        ("boolean", True, True),
        ("boolean", "TRUE", True),
        ("boolean", "0", False),
        ("boolean", 1, True),
        ("boolean", "yes", None),
        ("boolean", [], None),
        ("time", "2026-12-01T12:00:00+08:00", NOON),
        ("time", "2026-12-01 12:00", NOON),  # no offset: the zone's clock
        ("time", "2026-12-01T04:00:00Z", NOON),
        ("time", NOON, NOON),
        ("time", NOON // 1000, NOON),  # epoch seconds
        ("time", "yesterday", None),
        ("time", "", None),
        ("time", True, None),
        ("time", -5, None),
        ("time", math.inf, None),
        ("time", 4_102_444_800_000, None),  # after 2100
        ("time", "0001-01-01T00:00:00+23:59", None),  # no zone can show it
        ("time", "9999-12-31T23:59:59Z", None),
        ("time", "1900-01-01T00:00:00Z", -2_208_988_800_000),
        ("time_of_day", "18:30", 1110),
        ("time_of_day", 1110, 1110),
        ("time_of_day", 1440, None),
        ("time_of_day", True, None),
        ("time_of_day", "6pm", None),
        ("anniversary", "1990-05-20", "05-20"),
        ("anniversary", "05-2\u0663", None),  # a digit of another script
        ("anniversary", "05-20", "05-20"),
        ("anniversary", "1990-05-20T00:00:00Z", "05-20"),
        ("anniversary", "02-29", "02-29"),
        ("anniversary", "13-01", None),
        ("anniversary", "05-32", None),
        ("anniversary", "1990-02-30", None),  # no year has such a day
        ("anniversary", "04-31", None),
        ("anniversary", "11-31", None),
        ("anniversary", 520, None),
        ("choice", "gold", "gold"),
        ("choice", "bronze", None),
        ("choice", None, None),
        ("list", ["a", 1, True, None], ["a", "1"]),
        ("list", "a,b", None),
        ("any", "x\x00", "x\ufffd"),
        ("any", 1.00001, 1.00001),
        ("any", False, False),
        ("any", {"a": 1}, None),
    ],
)
def test_a_raw_value_becomes_its_type_or_is_missing(kind, raw, value):
    found = coerce(raw, kind, SHANGHAI, ["normal", "gold"])

    assert found == value
    assert type(found) is type(value)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
raw_values = leaves | st.lists(leaves | st.lists(leaves)) | st.dictionaries(st.text(), leaves)
kinds = st.sampled_from(["text", "number", "boolean", "time", "time_of_day", "anniversary", "choice", "list", "any"])


@given(raw_values, kinds)
def test_no_raw_value_raises_and_what_comes_out_can_be_stored(raw, kind):
    found = coerce(raw, kind, SHANGHAI, ["a"])

    texts = found if isinstance(found, list) else [found]
    assert all("\x00" not in t and t.encode() is not None for t in texts if isinstance(t, str))
    assert kind != "number" or found is None or abs(found) <= LARGEST_NUMBER


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        (0.1 + 0.2, 0.3),
        (3.0, 3),
        (1 / 3, 0.3333),
        (0.00005, 0),
        (0.00015, 0.0001),
        (0.00025, 0.0002),
        (1e300, int(1e300)),
        (-2.50004, -2.5),
        (-0.00001, 0),
    ],
)
def test_numbers_have_four_places_and_no_empty_fraction(number, rounded):
    found = as_number(number)

    assert found == pytest.approx(rounded, abs=1e-12)
    assert type(found) is type(rounded)


@pytest.mark.parametrize(("number", "text"), [(10, "10"), (12.5, "12.5"), (0.0001, "0.0001"), (1e12, "1000000000000"), (-0.5, "-0.5")])
def test_a_number_is_printed_in_its_shortest_form_without_exponent(number, text):
    assert print_number(number) == text


def test_clean_text_leaves_good_text_alone():
    text = "邻居😀"

    assert clean_text(text) is text


def test_a_time_without_offset_follows_summer_time():
    berlin = ZoneInfo("Europe/Berlin")

    assert parse_time("2026-07-01 12:00", berlin) - parse_time("2026-07-01T12:00+02:00", berlin) == 0


# --- kept under another declaration


@pytest.mark.parametrize(
    ("kind", "fitting", "others"),
    [
        ("text", ["a", ""], [1, True, ["a"]]),
        ("number", [1, 2.5, LARGEST_NUMBER], ["1", True, 1e300, -(10**12)]),
        ("boolean", [True, False], [1, "true"]),
        ("time", [NOON, -2_208_988_800_000, 0], [str(NOON), 1.5, True, 4_102_444_800_000, 10**18]),
        ("time_of_day", [0, 1439], ["18:30", 1440, -1, False]),
        ("anniversary", ["02-29", "12-31"], ["1990-02-28", "2-28", "02-30", "06-31", "13-01", "12-32", "12-1\u0663", "31", 1203]),
        ("choice", ["gold"], ["Gold", "", 3]),
        ("list", [["a"], []], ["a", {}]),
    ],
)
def test_a_kept_value_fits_when_it_is_as_its_type_is_kept(kind, fitting, others):
    assert [fits(value, kind, ("gold",)) for value in fitting] == [True] * len(fitting)
    assert [fits(value, kind, ("gold",)) for value in others] == [False] * len(others)


@given(
    st.sampled_from(["text", "number", "boolean", "time", "time_of_day", "anniversary", "choice", "list"]),
    st.integers(-(10**13), 10**13)
    | st.floats()
    | st.booleans()
    | st.text()
    | st.lists(st.text() | st.integers())
    | st.sampled_from(["gold", "1990-12-03", "2026-12-01 10:00", "18:30", "12.5", "true", NOON // 1000, NOON]),
)
def test_what_was_made_a_kind_fits_it_and_is_made_the_same_again(kind, raw):
    made = coerce(raw, kind, SHANGHAI, ("gold",))

    if made is None or (kind == "time" and 946_684_800 <= made < 4_102_444_800):  # seconds, where nothing says otherwise
        return
    assert fits(made, kind, ("gold",))
    assert coerce_again(made, kind, SHANGHAI, ("gold",)) == made
