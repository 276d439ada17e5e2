"""decide: branches, splits, updates, jumps, and what grants and calls wait for."""

import pytest

from runtime.state import LIVE
from tests.town import DAY, MINUTE, NOON, PUSH, Walk, somebody

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
