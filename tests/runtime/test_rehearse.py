"""tests: of a journey file: a right story passes, and every kind of wrong one is told."""

import pytest

from runtime.policy import Rules
from runtime.rehearse import rehearse
from tests.town import PUSH, WORLD, audience, journey

STEPS = f"""
- {{id: gift, grant: {{benefit: gift}}, on_failed: [{{exit: sold_out}}]}}
- {{id: hello, send: {PUSH}}}
- {{id: mark, update: {{add_tags: [seen]}}}}
- {{id: look, wait_for: {{event: app_opened, timeout: 1d}}, on_event: [{{exit: came}}], on_timeout: [{{exit: silent}}]}}
"""
HAPPY = "[{after: 0s, grant: gift}, {after: 0s, send: push, step: hello, contains: T}, {after: 0s, tag: seen}, {after: 1d, end: silent}]"


def run(story, steps=STEPS, **keys):
    made = journey(steps, tests=f"[{{name: story, {story}}}]", entry=keys.pop("entry", "{event: order_paid}"), **keys)
    (result,) = rehearse(made, audience(), WORLD, Rules())
    return result


def test_a_story_that_happens_as_told_passes():
    result = run(f"expect: {HAPPY}")

    assert result.problems == ()
    assert {"gift", "hello", "mark", "look"} <= result.visited
    assert len(result.timeline) == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (HAPPY.replace("send: push", "send: sms"), "expected"),  # another channel
        (HAPPY.replace("contains: T", "contains: 别的"), "containing"),  # another text
        (HAPPY.replace("after: 1d", "after: 2d"), "expected"),  # another time
        (HAPPY.replace("end: silent", "end: came"), "silent"),  # another end
        (HAPPY.replace(", {after: 0s, tag: seen}", ""), "expected"),  # something that is not told
        (HAPPY.replace("]", ", {after: 2d, end: more}]"), "missing"),  # something that does not happen
        ("[]", "unexpected"),
    ],
)
def test_a_story_told_wrongly_fails_and_says_what_came_instead(wrong, said):
    result = run(f"expect: {wrong}")

    assert any(said in problem for problem in result.problems), result.problems


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("given: {benefits: {gift: sold_out}}", "[{after: 0s, end: sold_out}]"),
        ("given: {benefits: {gift: fails}}", "[{after: 0s, end: sold_out}]"),
        (
            "given: {consents: {push: false}}",
            "[{after: 0s, grant: gift}, {after: 0s, suppressed: no_consent, step: hello}, {after: 0s, tag: seen}, {after: 1d, end: silent}]",
        ),
        ("events: [{after: 2h, event: app_opened}]", HAPPY.replace("after: 1d, end: silent", "after: 2h, end: came")),
        ("events: [{after: 2h, event: app_opened, user: somebody_else}]", HAPPY),
    ],
)
def test_the_world_is_as_the_story_gives_it(story, expected):
    assert run(f"{story}, expect: {expected}").problems == ()


def test_a_hold_out_story_takes_no_step():
    result = run(
        "given: {holdout: true}, events: [{after: 2d, event: order_paid, amount: 1}], expect: [{after: 2d, end: converted}]",
        goal="{event: order_paid, within: 14d}", holdout="10%",
    )  # fmt: skip

    assert result.problems == ()


def test_traits_given_are_moved_by_the_storys_own_events():
    steps = "- {id: look, wait_for: {when: user.orders_count >= 3, timeout: 2d}, on_event: [{exit: three}], on_timeout: [{exit: fewer}]}"

    result = run(
        "user: {orders_count: 2}, events: [{after: 1h, event: order_paid, amount: 1}], expect: [{after: 1h, end: three}]",
        steps,
        entry="{api: true}",
    )

    assert result.problems == ()


def test_quiet_hours_of_the_project_hold_in_stories_too():
    from journeys.duration import parse_window

    text = (
        '[{name: night, at: "2026-12-01 22:00", expect: [{at: "2026-12-02 09:00", send: push}, {at: "2026-12-02 09:00", end: completed}]}]'
    )
    made = journey(f"- {{id: hello, send: {PUSH}}}", tests=text)

    (result,) = rehearse(made, audience(), WORLD, Rules(quiet_hours=parse_window("21:00-09:00")))

    assert result.problems == ()
