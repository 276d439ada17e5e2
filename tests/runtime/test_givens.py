"""`user:` of a test: what it gives of any trait is what conditions see at that moment, and what the test's own events then make of it."""

import pytest

from runtime.policy import Rules
from runtime.rehearse import rehearse
from tests.town import AUDIENCE, WORLD, audience, journey

WINDOWS = ("", ", within: 60d")
THREE = "at_least: 3"

# the trait without its window, what the test gives, and what conditions see after one order (of 桃, for 10), and after three
CASES = [
    ("{type: number, count: order_paid", 4, 5, 7),
    ("{type: number, count: order_paid, where: event.amount > 50", 4, 4, 4),
    ("{type: number, sum: order_paid, of: amount", 900, 910, 930),
    ("{type: number, sum: order_paid, of: amount, where: event.amount > 50", 900, 900, 900),
    ("{type: number, avg: order_paid, of: amount", 30, 20, 15),
    (f"{{type: number, avg: order_paid, of: amount, {THREE}", 30, 25, 20),
    ("{type: text, first: order_paid, of: item", "'梨'", "'梨'", "'梨'"),
    ("{type: text, last: order_paid, of: item", "'梨'", "'桃'", "'桃'"),
    ("{type: text, top: order_paid, of: item", "'梨'", "'桃'", "'桃'"),
    (f"{{type: text, top: order_paid, of: item, {THREE}", "'梨'", "'梨'", "'桃'"),
    (f"{{type: text, top: order_paid, of: item_id, take: item, {THREE}", "'梨'", "'梨'", "'桃'"),
    ("{type: number, distinct: order_paid, of: item", 2, 3, 3),
    ("{type: number, distinct: order_paid, of: item", 0, 1, 1),
    ("{type: number, median_gap: order_paid", 7, 7, 1),
    (f"{{type: number, median_gap: order_paid, {THREE}", 7, 7, 1),
]


def end_of(trait, given, seen, orders):
    """How the story ends of somebody who is given this trait and orders once a day: `moved` where conditions see what they should."""
    text = AUDIENCE.replace("traits:\n", f"traits:\n  t: {trait}}}\n")
    steps = f"""
    - {{id: at_once, if: not user.t == {given}, exit: not_given}}
    - {{id: later, wait_for: {{event: app_opened, timeout: 30d}}}}
    - {{id: moved, if: user.t == {seen}, exit: moved}}
    - {{id: other, exit: other}}
    """
    paid = "event: order_paid, item: 桃, item_id: i1, amount: 10"
    events = "".join(f"{{after: {day}d, {paid}}}, " for day in range(1, orders + 1))
    told = f"[{{name: n, user: {{t: {given}}}, events: [{events}{{after: 5d, event: app_opened}}], expect: [{{after: 5d, end: moved}}]}}]"
    (result,) = rehearse(journey(steps, tests=told, audience_text=text), audience(text), WORLD, Rules())
    return [row.line.what for row in result.rows if row.mark != "-"]


@pytest.mark.parametrize("within", WINDOWS)
@pytest.mark.parametrize(("trait", "given", "one", "three"), CASES)
def test_what_is_given_is_what_conditions_see_and_the_storys_own_events_move_it_alike_with_and_without_a_window(
    trait, given, one, three, within
):
    assert end_of(trait + within, given, one, orders=1) == ["moved"]
    assert end_of(trait + within, given, three, orders=3) == ["moved"]
