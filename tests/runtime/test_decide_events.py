"""decide: what an event makes of an enrolment: waits, subjects, goals and exits."""

import pytest

from runtime.decide import watched_users
from runtime.state import LIVE
from tests.town import DAY, HOUR, NOON, PUSH, Walk, at, somebody

GOAL = "{event: order_paid, within: 14d}"


# --- waits

WAIT = """
- id: look
  wait_for: {event: order_paid, where: event.amount >= 10, timeout: 1d}
  on_event: [{exit: came}]
  on_timeout: [{exit: silent}]
"""


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (NOON, None),  # at the wait's own beginning: not after it
        (NOON + 1, "came"),
        (NOON + DAY, "came"),  # exactly at the timeout
        (NOON + DAY + 1, None),
    ],
)
def test_a_wait_matches_after_its_begin_and_up_to_its_timeout(time, expected):
    walk = Walk(WAIT)

    walk.arrives("order_paid", time, amount=10)

    assert walk.enrolment.ended_by == expected


@pytest.mark.parametrize(("time", "reason"), [(NOON - HOUR, "too_early"), (NOON + DAY + 1, "too_late")])
def test_an_event_outside_a_waits_time_is_logged_with_that_reason(time, reason):
    walk = Walk(WAIT)

    walk.arrives("order_paid", time, received=NOON + DAY + HOUR, amount=10)

    assert walk.log[-1].action == "event_ignored"
    assert walk.log[-1].why["reason"] == reason
    assert walk.enrolment.state == "look"


def test_the_step_after_a_wait_begins_at_the_events_own_time():
    walk = Walk("""
    - id: look
      wait_for: {event: order_paid, timeout: 1d}
    - {id: hour, delay: 1h}
    """)

    walk.arrives("order_paid", NOON + 2 * HOUR, received=NOON + 5 * HOUR, amount=10)

    assert walk.enrolment.due_at == NOON + 3 * HOUR
    assert walk.results["look"]["amount"] == 10
    assert walk.results["look"]["timed_out"] is False


def test_an_event_that_does_not_satisfy_where_leaves_the_wait_as_it_is():
    walk = Walk(WAIT)

    assert walk.arrives("order_paid", NOON + HOUR, amount=9) is None
    assert walk.arrives("app_opened", NOON + HOUR) is None
    assert walk.enrolment.due_at == NOON + DAY


def test_a_wait_times_out_at_its_own_time_however_late_the_tick():
    walk = Walk(WAIT)

    walk.due(NOON + 3 * DAY)

    assert walk.ended == ("silent", NOON + DAY)
    assert walk.results["look"] == {"timed_out": True}


def test_any_of_takes_the_steps_of_the_event_that_came_first():
    steps = """
    - id: look
      wait_for:
        any_of:
          - {event: app_opened, steps: [{exit: opened}]}
          - {event: order_paid, where: event.amount > 5, steps: [{exit: paid}]}
        timeout: 1d
      on_timeout: [{exit: silent}]
    """
    first, second, neither = Walk(steps), Walk(steps), Walk(steps)

    first.arrives("app_opened", NOON + 1)
    second.arrives("order_paid", NOON + 1, amount=6)
    neither.due()

    assert [w.enrolment.ended_by for w in (first, second, neither)] == ["opened", "paid", "silent"]


def test_a_wait_for_several_names_takes_any():
    walk = Walk("- {id: look, wait_for: {event: [app_opened, account_closed], timeout: 1d}}")

    walk.arrives("account_closed", NOON + 1)

    assert walk.ended[0] == "completed"
    assert walk.results["look"]["type"] == "account_closed"


WHEN = """
- id: rich
  wait_for: {when: user.points >= 10, timeout: 3d}
  on_event: [{exit: rich}]
  on_timeout: [{exit: poor}]
"""


def test_a_wait_for_a_condition_that_holds_goes_on_at_once():
    walk = Walk(WHEN, user=somebody(points=10))

    assert walk.ended == ("rich", NOON)


def test_a_wait_for_a_condition_is_looked_at_when_the_profile_changes():
    walk = Walk(WHEN)

    assert walk.changes(NOON + HOUR) is None
    walk.user.profile["p"] = {"points": 12}
    walk.changes(NOON + 2 * HOUR)

    assert walk.ended == ("rich", NOON + 2 * HOUR)


def test_a_condition_that_holds_after_the_timeout_is_too_late():
    walk = Walk(WHEN)
    walk.user.profile["p"] = {"points": 12}

    walk.changes(NOON + 3 * DAY + 1)

    assert walk.enrolment.ended_by is None


def test_a_wait_for_a_condition_wakes_at_the_breakpoint_of_its_time_term():
    user = somebody()
    user.profile["a"] = {"last_order_at": [NOON - 29 * DAY, "x", NOON - 29 * DAY]}
    walk = Walk("""
    - id: absent
      wait_for: {when: days_since(user.last_order_at) >= 30, timeout: 5d}
      on_event: [{exit: absent}]
      on_timeout: [{exit: back}]
    """, user=user)  # fmt: skip

    assert walk.enrolment.due_at == NOON + DAY
    walk.due()

    assert walk.ended == ("absent", NOON + DAY)


def test_a_new_order_moves_the_breakpoint_beyond_the_timeout():
    user = somebody()
    user.profile["a"] = {"last_order_at": [NOON - 29 * DAY, "x", NOON - 29 * DAY]}
    walk = Walk(
        "- {id: absent, wait_for: {when: days_since(user.last_order_at) >= 30, timeout: 5d}, on_event: [{exit: absent}], on_timeout: [{exit: back}]}",
        user=user,
    )

    walk.arrives("order_paid", NOON + HOUR)

    assert walk.enrolment.due_at == NOON + 5 * DAY
    walk.due()
    assert walk.ended == ("back", NOON + 5 * DAY)


def test_values_that_decided_a_late_wait_are_those_of_its_own_time():
    user = somebody()
    user.profile["a"] = {"last_order_at": [NOON - 29 * DAY, "x", NOON - 29 * DAY]}
    user.profile["h"] = {"order_paid": [[NOON - 6 * DAY + HOUR, "x", {}]]}
    when = "days_since(user.last_order_at) >= 30 and user.orders_7d > 0"
    walk = Walk(f"- {{id: absent, wait_for: {{when: {when}, timeout: 5d}}, on_event: [{{exit: absent}}]}}", user=user)

    walk.due(NOON + 3 * DAY)

    line = next(e for e in walk.log if e.action == "matched")
    assert line.at == NOON + DAY
    assert line.why["values"]["user.orders_7d"] == 1


@pytest.mark.parametrize(
    ("timeout", "until"),
    [
        ("{until: user.booked_at}", NOON + 5 * DAY),
        ("{until: user.booked_at, offset: -1d}", NOON + 4 * DAY),
        ("{until: entry.cutoff_at}", NOON),
    ],
)
def test_a_timeout_may_be_a_moment_and_a_missing_one_is_over_at_once(timeout, until):
    walk = Walk(
        f"- {{id: look, wait_for: {{event: app_opened, timeout: {timeout}}}, on_timeout: [{{exit: silent}}]}}",
        user=somebody(booked_at=NOON + 5 * DAY),
        entry="{event: group_opened}",
    )

    assert walk.enrolment.due_at == until
    walk.due()
    assert walk.ended == ("silent", until)


def test_a_wait_of_another_user_sees_her_events_and_only_hers():
    walk = Walk("- {id: look, wait_for: {event: app_opened, of: user.leader_id, timeout: 1d}}", user=somebody(leader_id="boss"))

    assert watched_users(walk.journey, walk.audience, walk.enrolment, walk.user, NOON) == {"boss"}
    assert walk.arrives("app_opened", NOON + 1) is None
    walk.arrives("app_opened", NOON + 2, user="boss")

    assert walk.ended == ("completed", NOON + 2)


# --- subjects


def test_an_enrolment_with_a_subject_sees_only_events_of_that_subject():
    steps = "- {id: look, wait_for: {event: group_ended, timeout: 5d}, on_event: [{exit: over}]}"
    walk = Walk(steps, entry="{event: group_opened, subject: group_id}", entry_data={"group_id": "g1"})

    assert walk.arrives("group_ended", NOON + 1, group_id="g2") is None
    walk.arrives("group_ended", NOON + 2, group_id="g1")

    assert walk.ended == ("over", NOON + 2)


def test_a_subject_that_is_too_long_for_an_index_is_told_from_others_all_the_same():
    steps = "- {id: look, wait_for: {event: group_ended, timeout: 5d}, on_event: [{exit: over}]}"
    walk = Walk(steps, entry="{event: group_opened, subject: group_id}", entry_data={"group_id": "g" * 9000})

    assert walk.arrives("group_ended", NOON + 1, group_id="g" * 8999) is None
    walk.arrives("group_ended", NOON + 2, group_id="g" * 9000)

    assert (walk.ended, len(walk.enrolment.subject)) == (("over", NOON + 2), 32)


@pytest.mark.parametrize("told", [{}, {"group_id": "g1"}])
def test_an_enrolment_whose_event_told_no_subject_sees_the_events_of_all(told):
    steps = "- {id: look, wait_for: {event: group_ended, timeout: 5d}, on_event: [{exit: over}]}"
    walk = Walk(steps, entry="{event: group_opened, subject: group_id}")

    walk.arrives("group_ended", NOON + 1, **told)

    assert walk.ended == ("over", NOON + 1)


def test_any_subject_and_events_without_the_field_are_seen_all_the_same():
    any_subject = "- {id: look, wait_for: {event: group_ended, any_subject: true, timeout: 5d}, on_event: [{exit: over}]}"
    without = "- {id: look, wait_for: {event: app_opened, timeout: 5d}, on_event: [{exit: over}]}"
    first, second = (
        Walk(s, entry="{event: group_opened, subject: group_id}", entry_data={"group_id": "g1"}) for s in (any_subject, without)
    )

    first.arrives("group_ended", NOON + 1, group_id="g2")
    second.arrives("app_opened", NOON + 1)

    assert (first.ended[0], second.ended[0]) == ("over", "over")


# --- goals and exits

DAYS = "- {id: days, delay: 5d}"


@pytest.mark.parametrize(
    ("time", "converted"),
    [(NOON, False), (NOON + 1, True), (NOON + 14 * DAY, True), (NOON + 14 * DAY + 1, False), (NOON - DAY, False)],
)
def test_a_goal_counts_strictly_after_entry_and_within_its_window(time, converted):
    walk = Walk("- {id: days, delay: 30d}", goal=GOAL)

    walk.arrives("order_paid", time)

    assert (walk.enrolment.ended_by == "converted") == converted
    assert walk.enrolment.converted_at == (time if converted else None)


def test_a_goal_ends_the_enrolment_and_cancels_what_is_pending():
    walk = Walk(DAYS, goal=GOAL)

    decision = walk.arrives("order_paid", NOON + HOUR, amount=5)

    assert walk.ended == ("converted", NOON + HOUR)
    assert decision.cancel_pending is True
    assert decision.log[0].action == "goal_reached"
    assert "event_id" in decision.log[0].why


def test_a_goal_with_go_on_is_recorded_and_the_journey_goes_on():
    walk = Walk(DAYS, goal="{event: order_paid, within: 14d, then: go_on}")

    walk.arrives("order_paid", NOON + HOUR)
    walk.arrives("order_paid", NOON + 2 * HOUR)

    assert walk.enrolment.converted_at == NOON + HOUR
    assert walk.enrolment.status == LIVE
    walk.due()
    assert walk.ended == ("completed", NOON + 5 * DAY)


def test_a_goal_with_go_on_still_lets_the_same_event_end_a_wait():
    walk = Walk(
        "- {id: look, wait_for: {event: order_paid, timeout: 5d}, on_event: [{exit: paid}]}",
        goal="{event: order_paid, within: 14d, then: go_on}",
    )

    walk.arrives("order_paid", NOON + HOUR)

    assert walk.enrolment.converted_at == NOON + HOUR
    assert walk.ended == ("paid", NOON + HOUR)


def test_a_goal_counts_after_the_journey_has_ended():
    walk = Walk("- {id: day, delay: 1d}", goal=GOAL)
    walk.due()

    walk.arrives("order_paid", NOON + 10 * DAY)

    assert walk.ended == ("completed", NOON + DAY)
    assert walk.enrolment.converted_at == NOON + 10 * DAY
    assert walk.arrives("order_paid", NOON + 11 * DAY) is None


def test_a_goals_where_is_asked_and_its_values_are_logged():
    walk = Walk(DAYS, goal="{event: order_paid, where: event.amount > 10, within: 14d}")

    assert walk.arrives("order_paid", NOON + 1, amount=10) is None
    walk.arrives("order_paid", NOON + 2, amount=11)

    assert walk.log[-2].why["values"] == {"event.amount": 11}


def test_a_goal_comes_before_an_exit_and_an_exit_before_a_wait():
    steps = "- {id: look, wait_for: {event: order_paid, timeout: 5d}, on_event: [{exit: waited}]}"
    exits = "[{event: order_paid, reason: left}]"

    both = Walk(steps, goal=GOAL, exit_when=exits)
    without_goal = Walk(steps, exit_when=exits)
    both.arrives("order_paid", NOON + 1)
    without_goal.arrives("order_paid", NOON + 1)

    assert both.ended[0] == "converted"
    assert without_goal.ended[0] == "left"
    assert without_goal.last.cancel_pending is True


def test_an_exit_by_event_counts_after_entry_only():
    walk = Walk(DAYS, exit_when="[{event: account_closed, reason: closed_account}]")

    assert walk.arrives("account_closed", NOON - 1) is None
    walk.arrives("account_closed", NOON + 1)

    assert walk.ended == ("closed_account", NOON + 1)


def test_an_exit_by_condition_is_looked_at_on_any_change_and_before_each_step():
    steps = f"""
    - {{id: day, delay: 1d}}
    - {{id: hello, send: {PUSH}}}
    """
    exits = "[{when: user.points > 5, reason: rich}]"

    changed, later = Walk(steps, exit_when=exits), Walk(steps, exit_when=exits)
    changed.user.profile["p"] = {"points": 6}
    changed.changes(NOON + HOUR)
    later.user.profile["p"] = {"points": 6}
    later.due()

    assert changed.ended == ("rich", NOON + HOUR)
    assert later.ended == ("rich", NOON + DAY)
    assert later.sent == []
    assert changed.log[-2].why["values"] == {"user.points": 6}


def test_held_out_users_take_no_step_and_leave_at_goal_exit_or_the_windows_end():
    steps = f"- {{id: hello, send: {PUSH}}}"
    keys = {"goal": GOAL, "holdout": "10%", "forced": "out", "exit_when": "[{event: account_closed, reason: left}]"}

    goal, exit_, end = Walk(steps, **keys), Walk(steps, **keys), Walk(steps, **keys)
    goal.arrives("order_paid", NOON + DAY)
    exit_.arrives("account_closed", NOON + DAY)
    end.due()

    assert [w.ended for w in (goal, exit_, end)] == [("converted", NOON + DAY), ("left", NOON + DAY), ("held_out", NOON + 14 * DAY)]
    assert [w.sent for w in (goal, exit_, end)] == [[], [], []]


def test_after_ends_at_nothing_more_happens_and_everybody_ends():
    steps = f"""
    - {{id: day, delay: 3d}}
    - {{id: hello, send: {PUSH}}}
    """
    walk = Walk(steps, ends_at='"2026-12-02 12:00"')

    assert walk.enrolment.due_at == at("2026-12-02 12:00")
    decision = walk.due()

    assert walk.ended == ("ended", at("2026-12-02 12:00"))
    assert decision.cancel_pending is True
    assert walk.sent == []


@pytest.mark.parametrize("effect", ["grant: {benefit: gift}", "call: {endpoint: stock}"])
@pytest.mark.parametrize(("fires", "asked"), [("2026-12-02 11:59:30", 1), ("2026-12-02 12:00", 0), ("2026-12-03 08:00", 0)])
def test_nothing_is_granted_or_called_for_after_ends_at_however_early_the_step_was_due(effect, fires, asked):
    walk = Walk(f"- {{id: day, delay: 22h}}\n- {{id: gift, {effect}}}", ends_at='"2026-12-02 12:00"')

    walk.due(at(fires))

    assert [message.expires_at for message in walk.effects] == [at("2026-12-02 12:00")] * asked
    assert walk.ended == ((None, None) if asked else ("ended", at("2026-12-02 12:00")))
