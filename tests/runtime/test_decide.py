"""decide: what a timer makes of an enrolment: sends, holds, delays, lateness."""

from zoneinfo import ZoneInfo

import pytest

from journeys.duration import parse_window
from runtime.decide import decide
from runtime.policy import Cap, Rules
from runtime.state import Due, NeedsReach
from tests.town import DAY, HOUR, NOON, PUSH, PUSH_THEN_SMS, Walk, at, reachable, somebody

QUIET = Rules(quiet_hours=parse_window("21:00-09:00"))
NIGHT, MORNING = at("2026-12-01 22:00"), at("2026-12-02 09:00")


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
