"""The events of a file in the order of their times, however many, and the sample that is the same in every run."""

import random

import pytest

from runtime.past import DatabasePast, Sample, by_time
from runtime.state import Event
from tests.town import HOUR, NOON, ZONE, Town, event, journey_text, somebody


def events(moments):
    return [
        Event(f"e{n}", "app_opened", f"u{n}", NOON + at, NOON + at, {"amount": 1.5, "item": "车厘子\n"}, "shop")
        for n, at in enumerate(moments)
    ]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 1000])
def test_events_come_by_time_and_those_of_one_time_as_they_stand(most):
    made = events(random.Random(3).choices(range(20), k=60))

    assert list(by_time(made, most)) == sorted(made, key=lambda e: e.time)  # sorted keeps the order of equal times


def test_no_events_are_no_events():
    assert list(by_time([])) == []


def test_a_sample_is_a_part_of_the_users_by_their_ids_alone():
    tenth, half = Sample(1000), Sample(5000)
    users = [f"u{n}" for n in range(5000)]
    chosen = {u for u in users if tenth.takes(u)}

    assert 400 < len(chosen) < 600
    assert chosen < {u for u in users if half.takes(u)}  # a larger one has the smaller in it
    assert all(Sample().takes(u) for u in users)


def test_of_the_users_of_a_database_what_journeys_have_made_of_them_is_taken_back(store):
    steps = """
    - {id: mark, update: {add_tags: [welcomed, both], remove_tags: [old], set: {level: gold}}}
    - {id: unmark, update: {remove_tags: [both]}}
    """
    made = Town(store, journey_text(steps, entry="{event: app_opened}"))
    made.settle_people(somebody("u1", tags=["vip", "old"], city="苏州"), somebody("u2", tags=["vip"], level="silver"))
    made.post(event("app_opened", NOON, user="u1"))
    made.settle(NOON + HOUR)

    known = {user.id: user.profile for user in DatabasePast(store, ZONE).people(["u1", "u2"])}

    assert known == {"u1": {"p": {"city": "苏州"}, "t": ["old", "vip"]}, "u2": {"p": {"level": "silver"}, "t": ["vip"]}}
