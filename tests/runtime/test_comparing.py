"""Two versions side by side: what one user got at one step is matched with what is nearest to it in time."""

from zoneinfo import ZoneInfo

import pytest

from runtime.comparing import compare
from runtime.foreseen import Foreseen, Given
from runtime.past import EVERYBODY
from tests.town import DAY, HOUR, NOON


def run(*moments, channel="push", content=None, step="a", user="u1", name="k"):
    """A run in which one user got something at these moments."""
    given = [Given("j", step, user, "message", channel, at, f"{name}{at}", content or {"title": "T"}) for at in moments]
    return Foreseen(ZoneInfo("UTC"), NOON, NOON, EVERYBODY, 0, 1, {}, {}, {}, {}, {}, given, {}, [])


def found(before, after):
    (step,) = compare(before, after).steps
    return [(d.how, d.before and d.before.at - NOON, d.after and d.after.at - NOON) for d in step.differences], step.same


@pytest.mark.parametrize(
    ("before", "after", "differences", "same"),
    [
        ([0, DAY], [0, DAY], [], 2),
        ([0, DAY, 2 * DAY], [DAY, 2 * DAY], [("only_before", 0, None)], 2),
        ([DAY, 2 * DAY], [0, DAY, 2 * DAY], [("only_after", None, 0)], 2),
        ([0, DAY], [HOUR, DAY + HOUR], [("moved", 0, HOUR), ("moved", DAY, DAY + HOUR)], 0),
        ([0, 5 * DAY, 9 * DAY], [5 * DAY + HOUR], [("only_before", 0, None), ("moved", 5 * DAY, 5 * DAY + HOUR), ("only_before", 9 * DAY, None)], 0),
        ([], [0], [("only_after", None, 0)], 0),
        ([0], [], [("only_before", 0, None)], 0),
    ],
)  # fmt: skip
def test_what_is_matched_is_nearest_in_time_whatever_its_key(before, after, differences, same):
    mine, theirs = run(*(NOON + n for n in before)), run(*(NOON + n for n in after), name="other")

    assert found(mine, theirs) == (differences, same)


def test_another_channel_or_text_at_the_same_time_is_changed():
    assert found(run(NOON), run(NOON, channel="sms"))[0] == [("changed", 0, 0)]
    assert found(run(NOON), run(NOON, content={"title": "U"}))[0] == [("changed", 0, 0)]


def test_a_coupons_own_code_is_no_other_text():
    pages = [{"title": "T", "page": f"pages/coupon?c={code}"} for code in ("0123456789AB", "BA9876543210")]

    assert found(run(NOON, content=pages[0]), run(NOON, content=pages[1])) == ([], 1)


def test_what_moved_and_says_something_else_is_told_as_both():
    (step,) = compare(run(NOON), run(NOON + HOUR, content={"title": "U"})).steps

    assert [(d.how, d.rewritten) for d in step.differences] == [("moved", True)]
    assert step.shift == HOUR


def test_a_step_that_has_another_name_now_is_one_step_under_its_new_name():
    renamed = {"j": {"a": "b"}}

    (step,) = compare(run(NOON), run(NOON, step="b"), renamed).steps

    assert (step.step, step.before, step.after, step.same) == ("b", 1, 1, 1)


def test_other_users_and_steps_are_never_matched():
    assert sorted(d.how for s in compare(run(NOON), run(NOON, user="u2")).steps for d in s.differences) == ["only_after", "only_before"]
    assert [s.step for s in compare(run(NOON), run(NOON, step="b")).steps] == ["a", "b"]
