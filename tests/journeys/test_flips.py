"""When time moves any of several rules: the earliest of all of them, and nothing is asked twice."""

from types import SimpleNamespace

from journeys.flips import changes_of
from journeys.rule import condition
from tests.town import DAY


class Asked:
    """Facts that count what they are asked."""

    def __init__(self, now):
        self.now, self.windows = now, []

    def count_change(self, event, within):
        self.windows.append((event, within))
        return self.now + within

    def trait(self, name):
        return 0


def test_a_window_is_asked_once_whoever_reads_it(workshop):
    rules = [
        condition(f"count('order_paid', within='30d') >= {n} and count('app_opened', within='7d') > 0", workshop.scope) for n in (1, 2)
    ]
    asked = Asked(100 * DAY)

    found = [change(asked) for change in changes_of(rules, {}, {})]

    assert sorted(asked.windows) == [("app_opened", 7 * DAY), ("order_paid", 30 * DAY)]
    assert min(found) == 107 * DAY


def test_a_breakpoint_is_asked_once_also_through_segments_and_traits(workshop):
    absent = condition("days_since(user.last_order_at) >= 30", workshop.scope)
    segment, trait = condition("segment('dormant')", workshop.scope), condition("user.vip", workshop.scope)
    computed = {"vip": SimpleNamespace(value=absent, within=0)}

    for rules in ([segment], [trait], [segment, absent, trait]):
        found = changes_of(rules, computed, {"dormant": absent})
        assert [change(Asked(DAY)) for change in found] == [30 * DAY]


def test_what_time_cannot_move_has_no_change(workshop):
    assert changes_of([condition("has_tag('a') and user.vip", workshop.scope)], {}, {}) == ()
