"""What a release makes of one enrolment inside an older version: pure, like every decision."""

import pytest

from runtime.moving import InFlight, Move, fate_of, move
from runtime.policy import Rules
from tests.town import DAY, HOUR, NOON, PUSH, Walk, journey

SEND = f"- {{id: gift, send: {PUSH}}}"
OLD = f"- {{id: pause, delay: 3d}}\n{SEND}"


def moved(walk, steps, way="move", now=NOON + DAY, steps_way=None, **keys):
    to = Move(7, 2, 2, InFlight(way, steps_way or {}))
    return move(walk.journey, journey(steps, **keys), to, walk.audience, walk.enrolment, walk.user, walk.reach, now)


def goes_on(walk, steps, decision):
    """The enrolment goes on in its new version."""
    walk.journey, walk.enrolment = journey(steps), decision.enrolment
    walk.decisions.clear()


# --- where somebody stands afterwards


def test_a_step_that_is_gone_and_not_renamed_leads_nowhere_and_she_stays():
    walk = Walk(OLD)

    decision, kept = moved(walk, SEND)

    assert kept == "nowhere"
    assert (decision.enrolment.version, decision.enrolment.state, decision.enrolment.due_at) == (1, "pause", NOON + 3 * DAY)
    assert decision.enrolment.context["kept"] == 7


# --- when she goes on


def test_a_longer_delay_counts_from_when_the_step_began():
    decision, kept = moved(Walk(OLD), OLD.replace("3d", "5d"))

    assert kept == ""
    assert (decision.enrolment.version, decision.enrolment.due_at) == (2, NOON + 5 * DAY)
    assert [(e.action, e.why) for e in decision.log] == [
        ("moved", {"version": 2, "was_version": 1, "until": NOON + 5 * DAY, "was_until": NOON + 3 * DAY})
    ]  # fmt: skip


def test_a_shorter_delay_may_be_over_and_what_follows_is_late_from_its_own_time():
    walk, steps = Walk(OLD), OLD.replace("3d", "2h")
    decision, _ = moved(walk, steps)

    assert decision.enrolment.due_at == NOON + 2 * HOUR
    assert fate_of(walk.enrolment, decision, NOON + DAY, "") == "overdue"
    goes_on(walk, steps, decision)
    walk.due(NOON + DAY)
    assert walk.sent == [("gift", "push")]


def test_what_is_too_late_by_max_lateness_is_skipped_after_a_move():
    walk = Walk(OLD)
    decision, _ = moved(walk, OLD.replace("3d", "2h"), max_lateness="6h", on_late="skip")

    walk.journey, walk.enrolment = journey(OLD.replace("3d", "2h"), max_lateness="6h", on_late="skip"), decision.enrolment
    walk.due(NOON + DAY)

    assert walk.sent == []
    assert ("late", "gift") in walk.actions


def test_a_moment_is_computed_anew_from_when_the_step_began():
    decision, _ = moved(Walk(OLD), '- {id: pause, delay: {until: "18:30"}}\n' + SEND, now=NOON + HOUR)

    assert decision.enrolment.due_at == NOON + 6 * HOUR + HOUR // 2


def test_a_moment_that_is_missing_is_what_the_file_says_when_the_timer_takes_the_step_anew():
    steps = "- {id: pause, delay: {until: user.booked_at, if_missing: exit}}\n" + SEND
    walk = Walk(OLD)
    decision, _ = moved(walk, steps)

    goes_on(walk, steps, decision)
    walk.due(NOON + DAY)

    assert walk.ended[0] == "pause_missing"


def test_a_wait_keeps_its_begin_and_takes_the_new_timeout():
    wait = "- {id: opened, wait_for: {event: app_opened, timeout: 3d}}\n" + SEND
    walk = Walk(wait)
    decision, _ = moved(walk, wait.replace("3d", "4d"))

    assert decision.enrolment.due_at == NOON + 4 * DAY
    goes_on(walk, wait.replace("3d", "4d"), decision)
    walk.arrives("app_opened", NOON + 3 * DAY + HOUR)
    assert walk.sent == [("gift", "push")]


def test_another_kind_of_step_begins_when_the_old_one_began():
    wait = "- {id: pause, wait_for: {event: app_opened, timeout: 3d}}\n" + SEND
    walk = Walk(OLD)
    decision, _ = moved(walk, wait)

    assert (decision.enrolment.due_at, "until" in decision.enrolment.context) == (NOON, False)
    goes_on(walk, wait, decision)
    walk.due(NOON + DAY)
    assert walk.enrolment.due_at == NOON + 3 * DAY


def test_results_and_visits_go_by_their_new_names():
    old = "- {id: gift, grant: {benefit: gift, expires: 7d}}\n- {id: rest, delay: 3d}\n" + SEND.replace("gift,", "notice,")
    new = old.replace("id: gift,", "id: present, was: gift,")
    walk = Walk(old)
    walk.settles("gift", NOON, code="C1")

    decision, _ = moved(walk, new)

    assert decision.enrolment.context["steps"]["present"]["code"] == "C1"
    assert decision.enrolment.context["visits"] == {"present": 1}
    assert "gift" in walk.enrolment.context["steps"]  # the one that was given is left as it is


# --- what she has had

HELLO = f"- {{id: hello, send: {PUSH}}}"
REST = "- {id: rest, delay: 3d}"


def goes_on_to_the_end(walk, steps, decision):
    goes_on(walk, steps, decision)
    while walk.enrolment.due_at is not None:
        walk.due()
    return walk


def test_a_message_whose_step_comes_after_hers_now_is_not_sent_to_her_again():
    walk, steps = Walk(f"{HELLO}\n{REST}\n{SEND}"), f"{REST}\n{HELLO}\n{SEND}"
    decision, _ = moved(walk, steps)

    goes_on_to_the_end(walk, steps, decision)

    assert walk.sent == [("gift", "push")]
    assert [e.why for d in walk.decisions for e in d.log if e.action == "passed_over"] == [{"had": True}]


def test_a_grant_whose_step_comes_after_hers_now_is_not_given_again_and_its_code_is_still_known():
    gift = "- {id: coupon, grant: {benefit: gift, expires: 7d}}"
    notice = "- {id: notice, if: steps.coupon.ok, send: [{push: {title: T, body: '{{ steps.coupon.code }}'}}]}"
    walk, steps = Walk(f"{gift}\n{REST}\n{notice}"), f"{REST}\n{gift}\n{notice}"
    walk.settles("coupon", NOON, code="C1")
    decision, _ = moved(walk, steps)

    goes_on_to_the_end(walk, steps, decision)

    assert [(m.kind, m.content.get("body")) for d in walk.decisions for m in d.messages] == [("message", "C1")]


def test_what_was_not_sent_before_the_move_is_sent_after_it():
    walk, steps = Walk(f"{HELLO[:-1]}, if: user.level == 'gold'}}\n{REST}\n{SEND}"), f"{REST}\n{HELLO}\n{SEND}"
    decision, _ = moved(walk, steps)

    goes_on_to_the_end(walk, steps, decision)

    assert walk.sent == [("hello", "push"), ("gift", "push")]


def test_what_comes_again_by_a_jump_back_comes_again_after_a_move():
    steps = f"{HELLO}\n{REST}\n- {{id: again, goto: {{step: hello, max_visits: 2}}}}"
    walk = Walk(steps)
    decision, _ = moved(walk, steps.replace("3d", "4d"))

    goes_on_to_the_end(walk, steps.replace("3d", "4d"), decision)

    assert walk.sent == [("hello", "push")] * 2


def test_a_jump_back_ends_what_is_passed_over_because_she_had_it():
    steps = f"{REST}\n{HELLO}\n- {{id: again, goto: {{step: rest, max_visits: 1}}}}"
    walk = Walk(f"{HELLO}\n{REST}")
    decision, _ = moved(walk, steps)

    goes_on_to_the_end(walk, steps, decision)

    assert walk.sent == [("hello", "push")]  # by the file's own loop, and not before


def test_a_jump_back_elsewhere_brings_again_nothing_that_she_had_before_the_move():
    loop = "- {id: rest, delay: 1d}\n- {id: again, goto: {step: rest, max_visits: 3}}"
    walk, steps = Walk(f"{HELLO}\n{loop}"), f"{loop}\n{HELLO}\n{SEND}"
    decision, _ = moved(walk, steps)

    goes_on_to_the_end(walk, steps, decision)

    assert walk.sent == [("gift", "push")]


def test_what_she_had_under_a_version_in_between_is_not_sent_again_when_its_step_comes_back_behind_her():
    walk, back = Walk(f"{HELLO}\n{REST}"), f"{REST}\n{HELLO}\n{SEND}"
    decision, _ = moved(walk, REST)
    goes_on(walk, REST, decision)
    assert walk.enrolment.context["gone"] == {"hello": "hello"}

    decision, _ = moved(walk, back)

    assert "gone" not in decision.enrolment.context
    goes_on_to_the_end(walk, back, decision)
    assert walk.sent == [("gift", "push")]


# --- what stays as it is


def test_an_open_grant_is_taken_along_under_its_own_name_and_its_outcome_counts():
    old = "- {id: gift, grant: {benefit: gift}}\n" + SEND.replace("gift,", "notice,")
    new = old + "\n- {id: more, delay: 1d}"
    walk = Walk(old)
    decision, kept = moved(walk, new, now=NOON + 1)

    assert (kept, decision.enrolment.version, decision.enrolment.due_at) == ("", 2, walk.enrolment.due_at)
    goes_on(walk, new, decision)
    walk.settles("gift", NOON + 2, code="C")
    assert walk.sent == [("notice", "push")]


def test_an_open_grant_whose_step_has_another_name_now_stays_where_its_outcome_is_expected():
    old = "- {id: gift, grant: {benefit: gift}}\n" + SEND.replace("gift,", "notice,")

    decision, kept = moved(Walk(old), old.replace("id: gift,", "id: present, was: gift,"))

    assert (kept, decision.enrolment.version) == ("effect_open", 1)


@pytest.mark.parametrize("edit", [
    ("benefit: gift", "benefit: bonus"), ("expires: 7d", "expires: 30d"), ("amount: 10", "amount: 20"), (", amount: 10", ""),
    ("to: user.id", "to: user.city"), ("once_per: user.id", "once_per: user.city"), (", once_per: user.id", ""),
])  # fmt: skip
def test_an_open_grant_that_would_be_another_one_now_stays_so_that_nobody_is_told_what_she_did_not_get(edit):
    grant = "{benefit: gift, amount: 10, expires: 7d, to: user.id, once_per: user.id}"
    old = f"- {{id: gift, grant: {grant}}}\n" + SEND.replace("gift,", "notice,")

    decision, kept = moved(Walk(old), old.replace(*edit))

    assert (kept, decision.enrolment.version) == ("effect_open", 1)


@pytest.mark.parametrize("edit", [("{city: 上海", "{city: 北京"), (", new: true", ", new: false"), (", new: true", "")])
def test_an_open_call_that_asks_something_else_now_stays_so_that_its_answer_is_not_taken_for_another(edit):
    old = f"- {{id: ask, call: {{endpoint: stock, body: {{city: 上海, new: true}}, timeout: 2s}}}}\n{SEND}"

    decision, kept = moved(Walk(old), old.replace(*edit))

    assert (kept, decision.enrolment.version) == ("effect_open", 1)


def test_an_open_call_that_only_waits_longer_is_taken_along():
    old = f"- {{id: ask, call: {{endpoint: stock, timeout: 2s}}}}\n{SEND}"

    assert moved(Walk(old), old.replace("2s", "5s"))[1] == ""


def test_a_hold_keeps_its_release():
    walk = Walk(SEND, start=NOON + 12 * HOUR, rules=Rules(quiet_hours=(21 * 60, 9 * 60)))
    release = walk.enrolment.due_at

    decision, _ = moved(walk, SEND.replace("{title: T", "{title: U"), now=NOON + 13 * HOUR)

    assert decision.enrolment.due_at == release
    assert decision.enrolment.context["held"] == "gift"


def test_the_held_out_wait_for_the_end_of_the_new_window():
    goal = "{event: order_paid, within: 7d}"
    walk = Walk(OLD, forced="out", goal=goal, holdout="50%")

    decision, _ = moved(walk, OLD, goal="{event: order_paid, within: 9d}", holdout="50%")

    assert (decision.enrolment.state, decision.enrolment.due_at, decision.enrolment.goal_until) == (
        "$held_out", NOON + 9 * DAY, NOON + 9 * DAY,
    )  # fmt: skip


# --- keep and exit


def test_keep_only_marks_that_she_was_asked():
    decision, kept = moved(Walk(OLD), OLD.replace("3d", "1d"), way="keep")

    assert (kept, decision.enrolment.version, decision.log) == ("stays", 1, [])


def test_exit_ends_her_and_takes_back_what_is_planned():
    decision, _ = moved(Walk(OLD), OLD, way="exit")

    assert (decision.enrolment.ended_by, decision.enrolment.ended_at, decision.cancel_pending) == ("moved", NOON + DAY, True)


@pytest.mark.parametrize(("way", "here", "ended_by"), [("move", "exit", "moved"), ("exit", "keep", None)])
def test_a_step_may_have_a_way_of_its_own(way, here, ended_by):
    decision, _ = moved(Walk(OLD), OLD, way=way, steps_way={"pause": here})

    assert decision.enrolment.ended_by == ended_by


def test_of_a_journey_that_is_gone_those_inside_stay_unless_they_end():
    walk = Walk(OLD)
    to = Move(7, 0, 0, InFlight("move"))

    decision, kept = move(walk.journey, None, to, walk.audience, walk.enrolment, walk.user, walk.reach, NOON)

    assert (kept, decision.enrolment.version) == ("stays", 1)
