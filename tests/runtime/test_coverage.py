"""What the tests of a journey visit: steps, and the outcomes that lead apart."""

from runtime.coverage import Visits, coverage_of
from runtime.policy import Rules
from runtime.rehearse import rehearse
from tests.town import PUSH, WORLD, audience, journey

STEPS = f"""
- {{id: gift, grant: {{benefit: gift}}, on_failed: [{{exit: sold_out}}]}}
- {{id: plain, grant: {{benefit: bonus}}}}
- id: which
  branch:
    - when: user.orders_count >= 3
      steps: [{{id: often, send: {PUSH}}}]
    - when: user.orders_count >= 1
      steps: [{{id: once, send: {PUSH}}}]
  otherwise: [{{id: never, send: {PUSH}}}]
- {{id: look, wait_for: {{any_of: [{{event: app_opened}}, {{event: order_paid}}], timeout: 1d}}, on_timeout: [{{id: miss, send: {PUSH}}}]}}
- {{id: half, split: [{{name: a, weight: 1, steps: [{{exit: in_a}}]}}, {{name: b, weight: 1}}]}}
"""


def covered(*stories, steps=STEPS, **keys):
    tests = "[" + ", ".join(f"{{name: s{n}, {story}}}" for n, story in enumerate(stories)) + "]"
    made = journey(steps, tests=tests, entry="{event: order_paid}", **keys)
    return coverage_of(made, Visits.together(result.visits for result in rehearse(made, audience(), WORLD, Rules())))


def missed(coverage):
    return [(place.step, place.outcome) for place in coverage.missed]


def test_a_test_visits_what_its_story_goes_through():
    coverage = covered("user: {orders_count: 1}, given: {variant: {half: a}}, events: [{after: 1h, event: app_opened}], expect: []")

    assert missed(coverage) == [
        ("gift", "failed"), ("exit sold_out", ""), ("which", "case_1"), ("which", "otherwise"), ("often", ""), ("never", ""),
        ("look", "event_2"), ("look", "timeout"), ("miss", ""), ("half", "variant_b"),
    ]  # fmt: skip


def test_tests_add_up():
    coverage = covered(
        "given: {benefits: {gift: fails}}, expect: []",
        "user: {orders_count: 5}, given: {variant: {half: b}}, expect: []",
        "given: {variant: {half: a}}, events: [{after: 1h, event: order_paid}], expect: []",
    )

    assert missed(coverage) == [("which", "otherwise"), ("never", ""), ("look", "event_1")]
    assert coverage.visited == len(coverage.places) - 3


def test_a_send_that_is_reached_and_not_sent_was_never_read():
    coverage = covered("user: {orders_count: 5}, given: {consents: {push: false}}, events: [{after: 1h, event: app_opened}], expect: []")

    assert [place.step for place in coverage.unread] == ["often", "once", "never", "miss"]
    assert ("often", "") not in missed(coverage)


def test_each_channel_of_a_send_has_a_text_of_its_own_that_a_test_can_render():
    steps = "- {id: hi, send: [{push: {title: T, body: B}}, {sms: {template: news}}, {push: {title: T2, body: B2}}]}"
    by_push = "expect: []"
    by_sms = "given: {consents: {push: false}}, expect: []"

    assert missed(covered(by_push, steps=steps)) == [("hi", "channel_sms")]
    assert missed(covered(by_push, by_sms, steps=steps)) == []


def test_who_is_held_out_or_not_let_in_visits_nothing():
    held_out = covered("given: {holdout: true}, expect: []", goal="{event: account_closed, within: 2d}", holdout="10%")
    nobody = covered("expect: []", steps=STEPS + "- {exit: x}", exit_when="[]", ends_at="'2026-01-01 00:00'")

    assert (held_out.visited, nobody.visited) == (0, 0)


def test_a_failure_that_the_file_does_not_care_for_is_no_outcome():
    assert "failed" not in [place.outcome for place in covered("expect: []").places if place.step == "plain"]


def test_the_outcomes_of_a_step_that_none_reaches_are_not_told_beside_it():
    coverage = covered("given: {benefits: {gift: fails}}, expect: []")

    assert ("which", "") in missed(coverage)
    assert not [outcome for step, outcome in missed(coverage) if step == "which" and outcome]
