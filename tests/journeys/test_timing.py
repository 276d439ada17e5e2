import pytest

from journeys.duration import DAY, HOUR
from journeys.timing import earliest, expiry_of, latest


@pytest.mark.parametrize(
    ("steps", "soonest", "longest"),
    [
        ("- id: a\n  delay: 2d\n- id: z\n  exit: x\n", 2 * DAY, 2 * DAY),
        ("- id: a\n  if: user.vip\n  delay: 2d\n- id: z\n  exit: x\n", 0, 2 * DAY),
        ("- id: a\n  wait_for: {event: app_opened, timeout: 3d}\n- id: z\n  exit: x\n", 0, 3 * DAY),
        ("- id: a\n  wait_for: {event: app_opened, timeout: 3d}\n  on_event: [{exit: y}]\n- id: z\n  exit: x\n", 3 * DAY, 3 * DAY),
        ("- id: a\n  delay: {until: '18:00'}\n- id: z\n  exit: x\n", 0, None),
        ("- id: a\n  delay: 1h\n- id: b\n  goto: {step: a, max_visits: 3}\n- id: z\n  exit: x\n", HOUR, None),
        (
            "- id: a\n  branch:\n    - {when: user.vip, steps: [{id: b, delay: 1d}]}\n  otherwise: [{id: c, delay: 5d}]\n- id: z\n  exit: x\n",
            DAY,
            5 * DAY,
        ),
        ("- id: a\n  send: [{push: {title: a, body: b}}]\n- id: z\n  exit: x\n", 0, DAY),  # held over quiet hours
    ],
)
def test_the_shortest_and_the_longest_way_to_a_step(workshop, steps, soonest, longest):
    journey = workshop.compile(steps)

    assert earliest(journey.steps, journey.first)["z"] == soonest
    assert latest(journey.steps, journey.first).get("z") == longest


def test_a_moment_that_hangs_on_a_benefit_is_counted_from_its_grant(workshop):
    journey = workshop.compile(
        "- id: gift\n  grant: {benefit: coupon_10, expires: 7d}\n- id: a\n  delay: {until: steps.gift.expires_at, offset: -1d}\n"
        "- id: b\n  delay: {until: steps.gift.expires_at, at: '10:00'}\n- id: z\n  exit: x\n"
    )

    times = earliest(journey.steps, journey.steps["gift"].moves["ok"], 0, expiry_of("gift", 7 * DAY))

    assert (times["b"], times["z"]) == (6 * DAY, 6 * DAY)  # 10:00 of the last day may come a day before
