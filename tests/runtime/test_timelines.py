"""Expected and actual as one timeline: what fits stands unmarked, wherever it stands."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.timelines import Line, compare, first_difference, fits, offset

SENT = Line(0, "send", "wechat", "hello", "您常买的车厘子")
TAGGED = Line(5, "tag", "seen", "mark")
ENDED = Line(9, "end", "completed")


def marks(expected, actual):
    return [(row.mark, row.line.what) for row in compare(expected, actual)]


def test_what_came_as_expected_has_no_mark():
    assert marks([SENT, TAGGED, ENDED], [SENT, TAGGED, ENDED]) == [(" ", "wechat"), (" ", "seen"), (" ", "completed")]


def test_a_step_and_words_that_are_not_asked_for_may_be_any():
    assert fits(Line(0, "send", "wechat"), SENT)
    assert fits(Line(0, "send", "wechat", "hello", "车厘子"), SENT)
    assert not fits(Line(0, "send", "wechat", "bye"), SENT)
    assert not fits(Line(0, "send", "wechat", "hello", "苹果"), SENT)
    assert not fits(Line(1, "send", "wechat"), SENT)
    assert not fits(Line(0, "send", "sms"), SENT)


def test_something_in_the_middle_that_was_not_told_does_not_shift_what_follows():
    assert marks([SENT, ENDED], [SENT, TAGGED, ENDED]) == [(" ", "wechat"), ("+", "seen"), (" ", "completed")]


def test_something_that_did_not_come_stands_where_it_was_expected():
    assert marks([SENT, TAGGED, ENDED], [SENT, ENDED]) == [(" ", "wechat"), ("-", "seen"), (" ", "completed")]


def test_the_right_things_in_another_order_do_not_fit():
    assert marks([TAGGED, SENT], [SENT, TAGGED]) == [("-", "seen"), (" ", "wechat"), ("+", "seen")]


def test_the_first_difference_has_both_sides_of_its_place():
    late = Line(9, "end", "late")
    rows = compare([SENT, ENDED], [SENT, late])

    found = first_difference(rows)

    assert (found.expected, found.got, found.index) == (ENDED, late, 1)


def test_where_nothing_was_expected_or_nothing_came_one_side_is_missing():
    more, less = first_difference(compare([SENT], [SENT, ENDED])), first_difference(compare([SENT, ENDED], [SENT]))

    assert (more.expected, more.got, more.index) == (None, ENDED, None)
    assert (less.expected, less.got, less.index) == (ENDED, None, 1)
    assert first_difference(compare([SENT], [SENT])) is None


LINES = st.lists(st.builds(Line, st.integers(0, 2), st.sampled_from(["send", "tag"]), st.sampled_from("ab")), max_size=7)


@given(LINES, LINES)
def test_nothing_is_lost_and_only_equal_timelines_have_no_marks(expected, actual):
    rows = compare(expected, actual)

    assert [row.index for row in rows if row.index is not None] == list(range(len(expected)))
    assert [row.line for row in rows if row.mark != "-"] == actual
    assert [row.line for row in rows if row.mark == "-"] == [expected[r.index] for r in rows if r.mark == "-"]
    assert all(row.mark == " " for row in rows) == (expected == actual)


def test_an_offset_is_in_whole_seconds():
    assert (offset(30_600_000, 0), offset(1_999, 0), offset(0, 0)) == ("+8h30m", "+1s", "+0s")
