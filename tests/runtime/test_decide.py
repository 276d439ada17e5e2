"""decide: what one stimulus makes of an enrolment, step kind by step kind; and that it is pure."""

from copy import deepcopy
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import parse_window
from runtime.decide import decide, watched_users
from runtime.policy import Cap, Rules
from runtime.state import ENDED, LIVE, Arrived, Due, NeedsReach
from tests.town import DAY, HOUR, MINUTE, NOON, PUSH, PUSH_THEN_SMS, Walk, at, event, reachable, somebody

QUIET = Rules(quiet_hours=parse_window("21:00-09:00"))
NIGHT, MORNING = at("2026-12-01 22:00"), at("2026-12-02 09:00")
GOAL = "{event: order_paid, within: 14d}"


def unreachable(**reach):
    user = somebody()
    user.reach = {**reachable(), **reach}
    return user


# --- send


def test_a_send_plans_the_first_position_that_works_and_goes_on():
    walk = Walk(f"- {{id: hello, send: {PUSH_THEN_SMS}}}")

    assert walk.sent == [("hello", "push")]
    assert walk.results["hello"] == {"sent": True, "channel": "push"}
    assert walk.ended == ("completed", NOON)
    assert walk.last.cancel_pending is False


def test_a_position_that_cannot_reach_the_person_falls_through_to_the_next():
    walk = Walk(f"- {{id: hello, send: {PUSH_THEN_SMS}}}", user=unreachable(identities={"phone": "1"}))

    assert walk.sent == [("hello", "sms")]
    assert walk.decisions[0].messages[0].position == 1


def test_when_no_position_works_the_step_is_passed_with_every_reason():
    walk = Walk(
        f"- {{id: hello, send: {PUSH_THEN_SMS}}}",
        user=unreachable(consents={"push": {"marketing": False}, "sms": True}, identities={"push_id": "p"}),
    )

    line = next(e for e in walk.log if e.action == "suppressed")

    assert walk.sent == []
    assert line.why["reason"] == "no_consent"
    assert [p["reason"] for p in line.why["positions"]] == ["no_consent", "unreachable"]
    assert walk.results["hello"] == {"sent": False}
    assert walk.ended[0] == "completed"


def test_a_channel_cap_falls_through_and_a_cap_over_all_channels_is_final():
    steps = f"- {{id: hello, send: {PUSH_THEN_SMS}}}"

    channel_cap = Walk(steps, rules=Rules(caps=(Cap(0, DAY, channel="push"),)))
    whole_cap = Walk(steps, rules=Rules(caps=(Cap(0, DAY),)))

    assert channel_cap.sent == [("hello", "sms")]
    assert whole_cap.sent == []
    assert next(e for e in whole_cap.log if e.action == "suppressed").why["reason"] == "cap"


def test_a_template_that_cannot_be_rendered_costs_only_its_own_position():
    walk = Walk('- {id: hello, send: [{push: {title: "{{ user.city }}", body: B}}, {sms: {template: news}}]}')

    assert walk.sent == [("hello", "sms")]


def test_reach_all_sends_every_position_with_a_key_of_its_own():
    walk = Walk(f"- {{id: hello, send: {PUSH_THEN_SMS}, reach: all}}")

    assert walk.sent == [("hello", "push"), ("hello", "sms")]
    assert len({m.key for m in walk.decisions[0].messages}) == 2


def test_touches_of_one_walk_count_for_the_next_send():
    steps = f"""
    - {{id: one, send: {PUSH}}}
    - {{id: two, send: {PUSH}}}
    """

    walk = Walk(steps, rules=Rules(caps=(Cap(1, DAY),)))

    assert walk.sent == [("one", "push")]


def test_a_message_carries_its_content_expiry_and_topic():
    walk = Walk(
        "- {id: hello, send: [{push: {title: '到 {{ user.city }}', body: B}}], expires: 2h, topic: news}", user=somebody(city="上海")
    )

    (message,) = walk.decisions[0].messages

    assert message.content == {"title": "到 上海", "body": "B"}
    assert (message.not_before, message.expires_at) == (NOON, NOON + 2 * HOUR)
    assert (message.purpose, message.topic, message.user_id) == ("marketing", "news", "u1")


def test_a_marketing_stop_drops_with_its_name_and_spares_service():
    steps = f"""
    - {{id: ad, send: {PUSH}}}
    - {{id: receipt, send: {PUSH}, purpose: service}}
    """

    walk = Walk(steps, user=somebody(tags=["complaint"]))

    assert walk.sent == [("receipt", "push")]
    assert walk.log[0].why == {"reason": "投诉中", "stop": "投诉中"}


def test_a_send_to_somebody_else_asks_for_her_reach_and_uses_it():
    steps = f"- {{id: tell, send: {PUSH}, to: user.leader_id}}"
    walk = Walk(steps, user=somebody(leader_id="boss"), begin=False)

    asked = decide(walk.journey, walk.audience, walk.enrolment, walk.user, walk.reach, Due(), NOON)
    known = Walk(steps, user=somebody(leader_id="boss"), others=[somebody("boss")])

    assert asked == NeedsReach(frozenset({"boss"}))
    assert known.decisions[0].messages[0].user_id == "boss"


def test_who_is_asked_about_first_changes_nothing_of_the_user():
    """The walk is taken again with her reach: what it counted before it stopped is not counted twice."""
    steps = f"""
    - {{id: up, update: {{increment: {{points: 1}}, add_tags: [vip]}}}}
    - {{id: tell, send: {PUSH}, to: user.leader_id}}
    """
    walk = Walk(steps, user=somebody(leader_id="boss", points=4), begin=False)

    asked = decide(walk.journey, walk.audience, walk.enrolment, walk.user, walk.reach, Due(), NOON)

    assert asked == NeedsReach(frozenset({"boss"}))
    assert (walk.user.profile["p"]["points"], walk.user.profile["t"]) == (4, [])


def test_the_recipients_consent_counts_not_the_enrolled_users():
    boss = somebody("boss")
    boss.reach = {**reachable("boss"), "consents": {"push": False}}

    walk = Walk(f"- {{id: tell, send: {PUSH}, to: user.leader_id}}", user=somebody(leader_id="boss"), others=[boss])

    assert walk.sent == []


def test_a_send_to_a_missing_recipient_is_unreachable():
    walk = Walk(f"- {{id: tell, send: {PUSH}, to: user.leader_id}}")

    assert walk.actions[1] == ("suppressed", "tell") or ("suppressed", "tell") in walk.actions
    assert next(e for e in walk.log if e.action == "suppressed").why["reason"] == "unreachable"


def test_a_robot_is_sent_to_by_its_name():
    walk = Walk("- {id: tell, send: [{wecom: {text: hi}}], to: {robot: desk}, purpose: service}")

    assert walk.decisions[0].messages[0].user_id == "robot:desk"


# --- holds


def test_a_hold_keeps_the_enrolment_in_the_step_and_counts_one_visit():
    walk = Walk(f"- {{id: hello, send: {PUSH}}}", rules=QUIET, start=NIGHT)

    assert walk.sent == []
    assert (walk.enrolment.state, walk.enrolment.due_at) == ("hello", MORNING)
    held = next(e for e in walk.log if e.action == "held")
    assert held.why == {"reason": "quiet_hours", "until": MORNING, "channel": "push"}

    walk.due()

    assert walk.sent == [("hello", "push")]
    assert walk.decisions[-1].messages[0].visit == 1
    assert walk.ended == ("completed", MORNING)


def test_the_delay_after_a_hold_counts_from_its_release():
    steps = f"""
    - {{id: hello, send: {PUSH}}}
    - {{id: day, delay: 1d}}
    """

    walk = Walk(steps, rules=QUIET, start=NIGHT)
    walk.due()

    assert (walk.enrolment.state, walk.enrolment.due_at) == ("day", MORNING + DAY)


def test_a_hold_is_not_lateness():
    walk = Walk(f"- {{id: hello, send: {PUSH}}}", rules=QUIET, start=NIGHT, max_lateness="1h")

    walk.due()

    assert walk.sent == [("hello", "push")]


def test_if_is_asked_again_when_a_hold_is_over():
    walk = Walk(f"- {{id: hello, if: user.points > 0, send: {PUSH}}}", rules=QUIET, start=NIGHT, user=somebody(points=1))

    walk.user.profile["p"]["points"] = 0
    walk.due()

    assert walk.sent == []
    assert walk.actions[-2:] == [("passed_over", "hello"), ("ended", "")]


# --- delay

DELAYS = [
    ("3d", NOON + 3 * DAY),
    ("1d12h", NOON + 36 * HOUR),
    ('{until: "18:30"}', at("2026-12-01 18:30")),
    ('{until: "10:00"}', at("2026-12-02 10:00")),  # past today: tomorrow
    ('{until: "10:00", days: [sat]}', at("2026-12-05 10:00")),
    ("{until: user.booked_at, if_missing: exit}", at("2026-12-05 14:00")),
    ("{until: user.booked_at, offset: -1d, if_missing: exit}", at("2026-12-04 14:00")),
    ('{until: user.booked_at, offset: -1d, at: "09:00", if_missing: exit}', at("2026-12-04 09:00")),
]


@pytest.mark.parametrize(("delay", "until"), DELAYS)
def test_a_delay_ends_when_the_file_says(delay, until):
    walk = Walk(f"- {{id: wait, delay: {delay}}}", user=somebody(booked_at=at("2026-12-05 14:00")))

    assert (walk.enrolment.state, walk.enrolment.due_at) == ("wait", until)
    assert walk.due(until - 1) is None

    walk.due(until)

    assert walk.ended == ("completed", until)


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        ("{until: user.booked_at, if_missing: exit}", ("wait_missing", NOON)),
        ("{until: user.booked_at, if_missing: go_on}", ("completed", NOON)),
        ('{until: user.booked_at, if_missing: "18:30"}', (None, at("2026-12-01 18:30"))),
    ],
)
def test_a_missing_moment_is_said_not_guessed(delay, expected):
    walk = Walk(f"- {{id: wait, delay: {delay}}}")

    assert (walk.enrolment.ended_by, walk.enrolment.ended_at or walk.enrolment.due_at) == expected


@pytest.mark.parametrize(("if_past", "reason"), [("exit", "wait_past"), ("go_on", "completed")])
def test_a_past_moment_exits_or_goes_on(if_past, reason):
    walk = Walk(
        f"- {{id: wait, delay: {{until: user.booked_at, if_missing: exit, if_past: {if_past}}}}}", user=somebody(booked_at=NOON - 1)
    )

    assert walk.ended == (reason, NOON)


def test_a_local_time_is_the_users_own():
    walk = Walk('- {id: wait, delay: {until: "18:30"}}', user=somebody(zone=ZoneInfo("America/New_York")))

    assert walk.enrolment.due_at == at("2026-12-01 18:30", ZoneInfo("America/New_York"))


# --- lateness


def late(on_late, **keys):
    steps = f"""
    - {{id: day, delay: 1d}}
    - {{id: hello, send: {PUSH}}}
    - {{id: more, delay: 1d}}
    """
    return Walk(steps, max_lateness="6h", on_late=on_late, **keys)


def test_a_step_that_fell_behind_too_far_is_skipped_and_time_goes_on_from_its_own():
    walk = late("skip")

    walk.due(NOON + DAY + 7 * HOUR)

    assert walk.sent == []
    line = next(e for e in walk.log if e.action == "late")
    assert line.why == {"due_at": NOON + DAY, "late_by": 7 * HOUR, "max_lateness": 6 * HOUR}
    assert walk.enrolment.due_at == NOON + 2 * DAY


def test_on_late_exit_ends_the_enrolment():
    walk = late("exit")

    walk.due(NOON + DAY + 6 * HOUR + 1)

    assert walk.ended == ("late", NOON + DAY)


def test_exactly_max_lateness_is_not_too_late_and_logical_time_is_kept():
    walk = late("exit")

    walk.due(NOON + DAY + 6 * HOUR)

    assert walk.sent == [("hello", "push")]
    assert walk.enrolment.due_at == NOON + 2 * DAY


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


@pytest.mark.parametrize("named", ["entry.friend_id", "user.city"])
def test_a_blank_recipient_is_nobody_for_a_send_and_for_a_grant(named):
    steps = f"""
    - {{id: hi, to: {named}, send: {PUSH}}}
    - {{id: gift, grant: {{benefit: gift, to: {named}}}, on_failed: [{{exit: nobody}}]}}
    """
    walk = Walk(steps, entry="{event: friend_woken}", entry_data={"friend_id": " "}, user=somebody(city=""))

    assert (walk.sent, walk.effects, walk.ended[0]) == ([], [], "nobody")


def test_a_robot_that_config_does_not_have_is_sent_nothing():
    walk = Walk(
        "- {id: tell, send: [{wecom: {text: hi}}], to: {robot: entry.friend_id}, purpose: service}",
        entry="{event: friend_woken}", entry_data={"friend_id": "dusk"},
    )  # fmt: skip

    assert (walk.sent, walk.log[0].action, walk.log[0].why["reason"]) == ([], "suppressed", "unreachable")


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


# --- if, branch, split, update, goto, exit


def test_a_step_whose_if_does_not_hold_is_passed_over_with_the_values():
    walk = Walk(f"- {{id: hello, if: user.points > 5, send: {PUSH}}}", user=somebody(points=3))

    assert walk.actions == [("passed_over", "hello"), ("ended", "")]
    assert walk.log[0].why == {"clause": "user.points > 5", "values": {"user.points": 3}}


@pytest.mark.parametrize(("points", "reason"), [(20, "gold"), (7, "silver"), (None, "none")])
def test_a_branch_takes_the_first_case_that_holds(points, reason):
    steps = """
    - id: level
      branch:
        - {when: user.points >= 10, steps: [{exit: gold}]}
        - {when: user.points >= 5, steps: [{exit: silver}]}
      otherwise: [{exit: none}]
    """

    walk = Walk(steps, user=somebody(points=points) if points else somebody())

    assert walk.ended[0] == reason
    assert walk.log[0].why["values"]["user.points"] == points


def test_after_a_nested_list_the_journey_goes_on_with_the_next_step():
    steps = f"""
    - id: level
      branch:
        - when: user.points > 1
          steps: [{{id: inner, send: {PUSH}}}]
    - {{id: outer, send: {PUSH}}}
    """

    inside, outside = Walk(steps, user=somebody(points=2)), Walk(steps)

    assert inside.sent == [("inner", "push"), ("outer", "push")]
    assert outside.sent == [("outer", "push")]


SPLIT = """
- id: offer
  split:
    - {name: a, weight: 1, steps: [{exit: in_a}]}
    - {name: b, weight: 3, steps: [{exit: in_b}]}
    - {name: never, weight: 0, steps: [{exit: in_never}]}
"""


def draws(steps, numbers, **keys):
    return [Walk(steps, user=somebody(f"user-{n}"), **keys).enrolment.ended_by for n in numbers]


def test_a_split_draws_by_weight_and_never_a_variant_without_weight():
    found = draws(SPLIT, range(2000))

    assert abs(found.count("in_a") / len(found) - 0.25) < 0.04
    assert found.count("in_never") == 0
    assert found.count("in_a") + found.count("in_b") == len(found)


def test_a_split_is_the_same_for_a_user_each_time_and_independent_of_the_version():
    first = draws(SPLIT, range(50))
    other_version = draws(SPLIT, range(50), max_lateness="1h")
    later = draws(SPLIT, range(50), start=NOON + DAY)

    assert first == other_version == later


def test_a_split_per_enrolment_draws_anew():
    steps = SPLIT.replace("weight: 3", "weight: 1") + "  per: enrolment\n"

    first, later = draws(steps, range(60)), draws(steps, range(60), start=NOON + DAY)

    assert first == draws(steps, range(60))
    moved = [Walk(steps, user=somebody(f"user-{n}"), start=NOON, begin=False) for n in range(60)]
    for walk in moved:
        walk.enrolment.key = walk.enrolment.key[::-1]
        walk.due(NOON)
    assert [w.enrolment.ended_by for w in moved] != first
    assert later == first, "the key is of the fact, and the fact is the same"


def test_a_rehearsal_may_choose_the_variant():
    walk = Walk(SPLIT, variants={"offer": "never"})

    assert walk.ended[0] == "in_never"
    assert walk.log[0].why == {"variant": "never"}


def test_an_update_changes_the_user_and_later_steps_see_it():
    steps = """
    - id: mark
      update: {set: {city: 上海}, add_tags: ["去过{{ user.level }}"], remove_tags: [old], increment: {points: 3}}
    - {id: gone, if: user.points == 5 and has_tag('去过normal') and user.city == '上海', exit: seen}
    """
    user = somebody(points=2, tags=["old"])

    walk = Walk(steps, user=user)

    assert walk.ended[0] == "seen"
    assert user.profile["t"] == ["去过normal"]
    assert walk.decisions[0].updates[0].values == {"city": "上海", "points": 5}


def test_exit_when_does_not_react_to_the_enrolments_own_update_before_the_next_step():
    steps = """
    - {id: mark, update: {add_tags: [vip]}}
    - {id: day, delay: 1d}
    """

    walk = Walk(steps, exit_when="[{when: has_tag('vip'), reason: vip}]")

    assert walk.actions[0] == ("updated", "mark")
    assert walk.ended == ("vip", NOON), "it is looked at before each step"


def test_goto_jumps_back_only_so_often_then_goes_on():
    steps = f"""
    - {{id: hello, send: {PUSH}}}
    - {{id: day, delay: 1d}}
    - {{id: again, goto: {{step: hello, max_visits: 2}}}}
    """
    walk = Walk(steps)

    while walk.enrolment.status == LIVE:
        walk.due()

    assert walk.sent == [("hello", "push")] * 3
    assert len({m.key for d in walk.decisions for m in d.messages}) == 3, "each visit is a message of its own"
    assert walk.ended == ("completed", NOON + 3 * DAY)


def test_goto_forward_leaves_out_what_lies_between():
    steps = f"""
    - {{id: skip, goto: {{step: last}}}}
    - {{id: hello, send: {PUSH}}}
    - {{id: last, exit: done}}
    """

    with pytest.raises(Exception, match="hello"):
        Walk(steps)  # nobody reaches `hello`: `check` refuses it
    walk = Walk(steps.replace("skip,", "skip, if: user.city is missing,"))

    assert walk.sent == []
    assert walk.ended[0] == "done"


# --- grants and calls

GIFT = """
- id: gift
  grant: {benefit: gift, expires: 7d}
  on_failed: [{exit: sold_out}]
- id: told
  send: [{push: {title: T, body: "{{ steps.gift.code }}"}}]
  expires: steps.gift.expires_at
"""
BARE_GIFT = "- {id: gift, grant: {benefit: gift}}"


def test_a_grant_blocks_until_it_is_settled_and_its_answer_can_be_read():
    walk = Walk(GIFT)

    assert (walk.enrolment.state, walk.enrolment.due_at) == ("gift", NOON + DAY)
    assert [(m.kind, m.channel, m.content["expires_at"]) for m in walk.effects] == [("grant", "gift", NOON + 7 * DAY)]

    walk.settles("gift", NOON + MINUTE, code="ABC")

    assert walk.results["gift"] == {"ok": True, "code": "ABC", "expires_at": NOON + 7 * DAY}
    message = walk.decisions[-1].messages[0]
    assert message.content["body"] == "ABC"
    assert message.expires_at == NOON + 7 * DAY
    assert walk.ended == ("completed", NOON + MINUTE)


@pytest.mark.parametrize(("steps", "reason"), [(GIFT, "sold_out"), (BARE_GIFT, "gift_failed")])
def test_a_failed_grant_takes_on_failed_else_ends_with_the_steps_name(steps, reason):
    failed, timed_out = Walk(steps), Walk(steps)

    failed.settles("gift", NOON + MINUTE, ok=False, reason="budget")
    timed_out.due()

    assert failed.ended == (reason, NOON + MINUTE)
    assert timed_out.ended == (reason, NOON + DAY)
    assert next(e for e in failed.log if e.action == "grant_failed").why["reason"] == "budget"
    assert next(e for e in timed_out.log if e.action == "grant_failed").why["reason"] == "timeout"


def test_a_late_success_is_recorded_and_never_resumes():
    walk = Walk(GIFT)
    walk.due()

    walk.settles("gift", NOON + 2 * DAY, code="ABC")

    assert walk.ended == ("sold_out", NOON + DAY)
    assert walk.log[-1].action == "settled_late"
    assert walk.settles("gift", NOON + 2 * DAY, ok=False) is None


def test_an_outcome_of_an_earlier_visit_does_not_resume_a_later_one():
    walk = Walk("""
    - {id: gift, grant: {benefit: gift, timeout: 1h}, on_failed: [{id: day, delay: 1d}, {id: again, goto: {step: gift, max_visits: 1}}]}
    """)
    walk.due()
    walk.due()

    assert walk.enrolment.context["open"] == 2
    walk.settles("gift", NOON + 2 * DAY, visit=1)
    assert walk.enrolment.state == "gift"
    walk.settles("gift", NOON + 2 * DAY, visit=2)

    assert walk.ended[0] == "completed"


def test_once_per_gives_the_same_key_to_every_enrolment_of_the_same_value():
    steps = "- {id: gift, grant: {benefit: gift, once_per: entry.friend_id}}"
    keys = {"entry": "{event: friend_woken, reentry: always}"}

    first = Walk(steps, entry_data={"friend_id": "f1"}, **keys)
    repeat = Walk(steps, entry_data={"friend_id": "f1"}, start=NOON + DAY, **keys)
    other = Walk(steps, entry_data={"friend_id": "f2"}, **keys)
    missing = Walk(steps, **keys)

    assert first.effects[0].key == repeat.effects[0].key != other.effects[0].key
    assert missing.effects == []
    assert missing.ended[0] == "gift_failed"


def test_a_grant_may_go_to_somebody_else():
    walk = Walk("- {id: gift, grant: {benefit: gift, to: user.leader_id}}", user=somebody(leader_id="boss"))

    assert walk.effects[0].user_id == "boss"
    assert Walk("- {id: gift, grant: {benefit: gift, to: user.leader_id}}").ended[0] == "gift_failed"


CALL = """
- id: stock
  call: {endpoint: stock, body: {city: "{{ user.level }}"}, timeout: 2s%s}
%s- {id: last, if: steps.stock.left > 0, exit: in_stock}
"""


def test_a_calls_answer_is_typed_and_can_be_read():
    walk = Walk(CALL % (", default: {left: 0}", ""))

    assert walk.effects[0].content == {"city": "normal"}
    walk.settles("stock", NOON + 1, left=3)

    assert walk.results["stock"] == {"left": 3, "ok": True}
    assert walk.ended[0] == "in_stock"


def test_a_failed_call_takes_its_default_and_does_not_run_on_failed():
    walk = Walk(CALL % (", default: {left: 7}", ""))

    walk.settles("stock", NOON + 1, ok=False, reason="500")

    assert walk.results["stock"] == {"left": 7, "ok": False}
    assert walk.ended[0] == "in_stock"


def test_a_failed_call_without_a_default_runs_on_failed():
    walk = Walk(CALL % ("", "  on_failed: [{exit: no_answer}]\n"))

    walk.settles("stock", NOON + 1, ok=False, reason="500")

    assert walk.ended[0] == "no_answer"


def test_a_call_has_at_least_a_minute_for_its_outcome():
    walk = Walk(CALL % ("", "  on_failed: [{exit: no_answer}]\n"))

    assert walk.enrolment.due_at == NOON + MINUTE


# --- all of it

EVERYTHING = f"""
- id: mark
  update: {{add_tags: [seen], increment: {{points: 1}}}}
- id: hello
  send: {PUSH_THEN_SMS}
- id: look
  wait_for: {{event: app_opened, timeout: 1d}}
  on_timeout: [{{id: again, goto: {{step: hello, max_visits: 1}}}}]
- id: draw
  split: [{{name: a, weight: 1}}, {{name: b, weight: 1}}]
- id: gift
  grant: {{benefit: gift, expires: 7d}}
  on_failed: [{{exit: sold_out}}]
- id: level
  branch: [{{when: user.points > 2, steps: [{{exit: rich}}]}}]
- id: stock
  call: {{endpoint: stock, default: {{left: 0}}}}
- id: night
  delay: {{until: "22:00"}}
- id: late
  send: {PUSH}
"""
KEYS = {
    "goal": GOAL,
    "exit_when": "[{event: account_closed, reason: left}, {when: user.points > 50, reason: rich}]",
    "max_lateness": "6h",
    "on_late": "skip",
}
STIMULI = st.lists(
    st.tuples(st.sampled_from(["due", "late", "app_opened", "order_paid", "account_closed", "ok", "failed", "change"]), st.integers(0, 30 * HOUR)),
    max_size=25,
)  # fmt: skip
DECIDES = {"sent", "suppressed", "held", "late", "passed_over", "branched", "split", "matched", "waits", "exit_when", "goal_reached", "ended", "event_ignored",
           "no_moment", "updated", "grant_asked", "granted", "grant_failed", "call_asked", "call_ok", "call_failed", "settled_late", "entered"}  # fmt: skip


def play(stimuli, checked):
    walk = Walk(EVERYTHING, rules=QUIET, begin=False, **KEYS)
    now = NOON
    for kind, gap in [("due", 0), *stimuli]:
        now += gap
        due = walk.enrolment.due_at
        if kind in ("due", "late"):
            if due is None:
                continue
            now = max(now if kind == "late" else due, due)
            checked(walk, Due(), now)
        elif kind in ("ok", "failed"):
            walk.settles(walk.enrolment.state, now, ok=kind == "ok")
        elif kind == "change":
            walk.changes(now)
        else:
            checked(walk, Arrived(event(kind, now, id=f"e{now}")), now)
    return walk


def untouched(walk, stimulus, now):
    """Decide twice from the same inputs: the same Decision, and what was given is as it was."""
    before, user, reach = deepcopy(walk.enrolment), deepcopy(walk.user), deepcopy(walk.reach)
    first = decide(walk.journey, walk.audience, before, user, reach, stimulus, now)
    assert before == walk.enrolment
    if first is None or not first.updates:
        assert user == walk.user, "only an update step changes the user"
    second = walk.give(stimulus, now)
    assert first == second


@given(stimuli=STIMULI)
def test_the_same_inputs_give_the_same_decision_and_are_left_as_they_were(stimuli):
    walk = play(stimuli, untouched)

    assert walk.enrolment.status in (LIVE, ENDED)


@given(stimuli=STIMULI)
def test_whatever_happens_time_never_runs_backwards_and_every_line_says_why(stimuli):
    walk = play(stimuli, lambda w, stimulus, now: w.give(stimulus, now))

    times = [time for time, _, _ in walk.story]
    assert times == sorted(times)
    keys = [m.key for d in walk.decisions for m in d.messages]
    assert len(keys) == len(set(keys))
    for line in walk.log:
        assert line.action in DECIDES | {"timed_out"}, line
        assert line.why or line.action == "timed_out", line
    if walk.enrolment.status == ENDED:
        assert walk.enrolment.due_at is None
        assert [a for a, _ in walk.actions].count("ended") == 1
    else:
        assert walk.enrolment.due_at is not None, "somebody inside always has a timer"
        assert walk.enrolment.state in walk.journey.steps


@given(stimuli=STIMULI)
def test_the_machine_allows_every_state_that_a_walk_comes_to(stimuli):
    walk = play(stimuli, lambda w, stimulus, now: w.give(stimulus, now))

    assert walk.enrolment.state in walk.journey.machine.states


def test_an_event_that_arrives_after_its_wait_timed_out_is_logged_and_not_replayed():
    walk = Walk("- {id: look, wait_for: {event: app_opened, timeout: 1d}}\n- {id: later, delay: 3d}")
    walk.due()

    walk.arrives("app_opened", walk.start + DAY // 2, received=walk.start + 2 * DAY)

    assert walk.enrolment.state == "later"
    assert (walk.last.log[-1].action, walk.last.log[-1].why["reason"]) == ("event_ignored", "arrived_late")


def test_an_event_after_the_end_of_a_wait_is_not_said_to_have_been_missed():
    walk = Walk("- {id: look, wait_for: {event: app_opened, timeout: 1d}}\n- {id: later, delay: 3d}")
    walk.due()

    assert walk.arrives("app_opened", walk.start + 2 * DAY) is None
