"""Where somebody stands and what comes next, of every way to stand in a journey."""

import pytest

from runtime.whatnext import Follows, standing_of
from runtime.wording import Wording
from tests.town import DAY, HOUR, NOON, PUSH, ZONE, journey

STEPS = f"""
- id: rest
  delay: 1d
- id: look
  wait_for: {{event: [order_paid, app_opened], timeout: 2d}}
  on_event: [{{id: thanks, send: {PUSH}}}]
  on_timeout: [{{exit: silent}}]
- id: until_level
  wait_for: {{when: user.points > 3, timeout: 1d}}
- id: present
  grant: {{benefit: gift}}
  on_failed: [{{exit: none_left}}]
- id: hello
  send: {PUSH}
"""
JOURNEY = journey(
    STEPS,
    goal="{event: order_paid, within: 7d}",
    exit_when="\n  - {event: account_closed, reason: closed}\n  - {when: has_tag('x'), reason: tagged}",
)
GOAL = {"goal": ("order_paid",), "goal_until": NOON + 7 * DAY, "exits": ("account_closed", "has_tag('x')")}


def row(state="rest", status="live", due=NOON + DAY, **context):
    return {
        "state": state,
        "status": status,
        "due_at": due,
        "begun_at": NOON,
        "goal_until": NOON + 7 * DAY,
        "converted_at": None,
        "context": context,
    }


def told(standing):
    return {"goal": standing.goal, "goal_until": standing.goal_until, "exits": standing.exits}


@pytest.mark.parametrize(
    ("enrolment", "doing", "what", "follows"),
    [
        (row(until=NOON + DAY), "delay", "", (Follows("done", "", "look", "wait_for"),)),
        (row("look", until=NOON + DAY), "wait", "",
         (Follows("order_paid / app_opened", "", "thanks", "send", ("push",)), Follows("timeout", "", "exit:silent", "exit"))),
        (row("until_level", until=NOON + DAY), "wait", "",
         (Follows("when", "user.points > 3", "present", "grant"), Follows("timeout", "", "present", "grant"))),
        (row("present", open=1), "asked", "gift", (Follows("ok", "", "hello", "send", ("push",)), Follows("failed", "", "exit:none_left", "exit"))),
        (row("hello", held="hello"), "held", "quiet_hours", (Follows("done", "", "", ""),)),
        (row("hello"), "due", "", ()),
        (row(due=None, until=NOON + DAY), "stuck", "", (Follows("done", "", "look", "wait_for"),)),
        (row("$held_out", "held_out"), "held_out", "", ()),
    ],
    ids=["delay", "wait for events", "wait for a condition", "asked", "held", "due", "stuck", "held out"],
)  # fmt: skip
def test_who_is_inside_stands_somewhere_and_something_follows(enrolment, doing, what, follows):
    standing = standing_of(JOURNEY, enrolment, NOON + HOUR, "quiet_hours")

    assert (standing.doing, standing.what, standing.follows) == (doing, what, follows)
    assert told(standing) == GOAL


def test_who_has_ended_is_measured_until_the_goals_time_is_over():
    ended = row("$ended", "ended", None)

    assert standing_of(JOURNEY, ended, NOON + HOUR).doing == "measuring"
    assert standing_of(JOURNEY, ended, NOON + 8 * DAY) is None
    assert standing_of(JOURNEY, {**ended, "converted_at": NOON}, NOON + HOUR) is None


def test_a_step_or_version_that_cannot_be_read_any_more_is_said_to_be_gone():
    assert standing_of(JOURNEY, row("nowhere"), NOON).doing == "gone"
    assert standing_of(None, row(), NOON).doing == "gone"


@pytest.mark.parametrize(
    ("language", "said"), [("en", "hello (send push) if its condition holds then"), ("zh", "hello（发送 推送）（到时条件成立才做）")]
)
def test_of_a_step_with_a_condition_it_is_said_that_it_may_be_passed_over(language, said):
    made = journey(f"- {{id: rest, delay: 1d}}\n- {{id: hello, if: user.points > 3, send: {PUSH}}}")

    (follows,) = standing_of(made, row(until=NOON + DAY), NOON + HOUR, "").follows

    assert follows.maybe
    assert Wording(language, ZONE).follows(follows) == said
