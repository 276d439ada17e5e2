"""decide: over any stimuli it is pure, says why, and keeps to the machine."""

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import parse_window
from runtime.decide import decide
from runtime.policy import Rules
from runtime.state import ENDED, LIVE, Arrived, Due
from tests.town import DAY, HOUR, NOON, PUSH, PUSH_THEN_SMS, Walk, event

QUIET = Rules(quiet_hours=parse_window("21:00-09:00"))
GOAL = "{event: order_paid, within: 14d}"


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
