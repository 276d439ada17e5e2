"""A user's turn: what an event cannot move is not looked at, and nobody can tell the difference."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.catalogue import Catalogue
from runtime.facts import UserFacts
from runtime.policy import Reach, Rules
from runtime.session import Session
from runtime.state import User, Window
from tests.town import DAY, HOUR, NOON, WORLD, ZONE, audience, event

SHIPPED = audience((Path(__file__).parents[2] / "journeys" / "definitions" / "audience.yaml").read_text(encoding="utf-8"))
CATALOGUE = Catalogue(1, 0, SHIPPED, "digest", {}, {}, WORLD, ZONE)


def session_of(user):
    return Session(CATALOGUE, user, Reach(Rules(), {}), [], [], lambda *_: {}, lambda *_: Window(0, 0))


@pytest.mark.parametrize(
    ("type_", "segments", "stage"),
    [
        ("app_opened", {"long_absent"}, False),
        ("deal_viewed", set(), False),
        ("order_refunded", {"unhappy_quality", "dormant_unhappy"}, False),
        ("review_posted", {"opinion_leader_candidate"}, False),
        ("unheard_of", set(), False),
    ],
)
def test_an_event_may_move_what_reads_it_through_traits_and_segments(type_, segments, stage):
    moved = SHIPPED.moved_by(type_)

    assert ({name for name, _ in moved.segments}, moved.stage) == (segments, stage)


def test_an_order_moves_the_stage_and_segments_of_segments():
    moved = SHIPPED.moved_by("order_paid")

    assert moved.stage
    assert {"dormant_30d", "price_sensitive", "dormant_price_sensitive"} <= {name for name, _ in moved.segments}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["order_paid", "app_opened", "deal_viewed", "order_refunded", "review_posted", "tags"]),
        st.integers(0, 50 * 24),  # hours until it arrives
        st.integers(0, 5) | st.integers(0, 100 * 24),  # late by so many
        st.integers(0, 30),
        st.booleans(),
    ),
    max_size=20,
)


@given(steps=STEPS)
def test_after_every_event_all_is_as_if_everything_had_been_evaluated(steps):
    user, now = User("u1", ZONE, is_new=True), NOON
    for type_, hours, late, amount, discounted in steps:
        now += hours * HOUR
        session = session_of(user)
        if type_ == "tags":
            session.record({"tags": ["嫌涨价"]}, now, now)
        else:
            session.event(event(type_, now - late * HOUR, received=now, amount=amount, discount=3 if discounted else 0, item_id="a"), now)
        facts = UserFacts(SHIPPED, user, user.evaluated_at)
        rules = [*SHIPPED.segments.values(), *(rule for _, rule in SHIPPED.stages if rule is not None)]
        changes = [at for rule in rules if rule.change is not None and (at := rule.change(facts)) is not None]

        assert {name: known[1] for name, known in user.segments.items()} == {name: facts.segment(name) for name in SHIPPED.segments}
        assert user.stage == next(name for name, rule in SHIPPED.stages if rule is None or rule.test(facts))
        assert not changes or (user.recheck_at is not None and user.evaluated_at < user.recheck_at <= min(changes))

        session.evaluate(user.evaluated_at, now)
        assert user.recheck_at == min(changes, default=None)


def test_a_breakpoint_that_was_overtaken_costs_one_look_and_moves_nobody():
    user = User("u1", ZONE, is_new=True)
    for day in range(3):
        session_of(user).event(event("app_opened", NOON + day * DAY), NOON + day * DAY)
    overtaken = user.recheck_at
    session = session_of(user)

    session.recheck(overtaken)

    assert session.log == []
    assert user.recheck_at is None or user.recheck_at > overtaken
