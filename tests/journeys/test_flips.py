"""When time moves any of several rules: the earliest of all of them, and nothing is asked twice."""

from types import SimpleNamespace

import pytest

from journeys.flips import changes_of
from journeys.rule import condition
from tests.town import DAY


class Asked:
    """Facts that count what they are asked."""

    def __init__(self, now):
        self.now, self.windows, self.bounds = now, [], []

    def count_change(self, event, within):
        self.windows.append((event, within))
        return self.now + within

    def count_falls(self, trait, event, within, fewest, *, exactly):
        self.bounds.append((trait, event, within, fewest, exactly))
        return self.now + within - fewest

    def trait(self, name):
        return 0


def test_a_window_is_asked_once_whoever_reads_it(workshop):
    rules = [
        condition(f"count('order_paid', within='30d') >= {n} and count('app_opened', within='7d') > {n}", workshop.scope)
        for n in ("user.age", "user.age + 1")
    ]
    asked = Asked(100 * DAY)

    found = [change(asked) for change in changes_of(rules, {}, {})]

    assert sorted(asked.windows) == [("app_opened", 7 * DAY), ("order_paid", 30 * DAY)]
    assert min(found) == 107 * DAY


def test_a_count_beside_a_number_is_asked_when_it_passes_that_number_and_its_window_is_not(workshop):
    counted = SimpleNamespace(name="age", value=None, within=90 * DAY, aggregate="count", event="order_paid", where=None)
    conditions = [
        "count('app_opened', within='7d') > 2", "4 <= user.age", "user.age == 5", "count('app_opened', within='7d') >= 2.5",
        "count('app_opened', within='7d') < 3",
    ]  # fmt: skip
    asked = Asked(100 * DAY)

    for change in changes_of([condition(text, workshop.scope) for text in conditions], {"age": counted}, {}):
        change(asked)

    assert asked.windows == []
    assert sorted(asked.bounds) == [
        ("", "app_opened", 7 * DAY, 3, False), ("age", "order_paid", 90 * DAY, 4, False), ("age", "order_paid", 90 * DAY, 5, True),
    ]  # fmt: skip


@pytest.mark.parametrize("change", [{"where": object()}, {"aggregate": "sum"}])
def test_what_counts_not_all_of_a_window_is_looked_at_when_anything_leaves_it(workshop, change):
    counted = SimpleNamespace(
        **({"name": "age", "value": None, "within": DAY, "aggregate": "count", "event": "order_paid", "where": None} | change)
    )
    asked = Asked(100 * DAY)

    (found,) = changes_of([condition("user.age > 2", workshop.scope)], {"age": counted}, {})

    assert found(asked) == 101 * DAY
    assert asked.bounds == []


def test_a_breakpoint_is_asked_once_also_through_segments_and_traits(workshop):
    absent = condition("days_since(user.last_order_at) >= 30", workshop.scope)
    segment, trait = condition("segment('dormant')", workshop.scope), condition("user.vip", workshop.scope)
    computed = {"vip": SimpleNamespace(value=absent, within=0)}

    for rules in ([segment], [trait], [segment, absent, trait]):
        found = changes_of(rules, computed, {"dormant": absent})
        assert [change(Asked(DAY)) for change in found] == [30 * DAY]


def test_what_time_cannot_move_has_no_change(workshop):
    assert changes_of([condition("has_tag('a') and user.vip", workshop.scope)], {}, {}) == ()
