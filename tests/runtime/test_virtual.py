"""Virtual time: the same engine, every stimulus at its own time, whatever the steps of the clock."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.deliver import Delivery
from runtime.engine import Engine
from runtime.policy import Cap, Rules
from runtime.store import open_store
from runtime.virtual import VirtualRun
from tests.town import DAY, HOUR, NOON, PUSH, WORLD, ZONE, FakeVendor, Town, event, journey_text, somebody

STEPS = f"""
- {{id: day, delay: 1d}}
- {{id: hello, send: {PUSH}}}
- {{id: look, wait_for: {{event: app_opened, timeout: 2d}}, on_event: [{{exit: came}}], on_timeout: [{{exit: silent}}]}}
"""
NO_RULES = Rules()
TEXT = journey_text(STEPS, entry="{event: order_paid, reentry: always}")


@pytest.fixture
def new_run():
    stores = []

    def make(text=TEXT, people=("u1",), rules=NO_RULES):
        store = open_store("sqlite:///:memory:", ZONE, scratch=True)
        stores.append(store)
        town = Town(store, text)
        town.settle_people(*(somebody(p) for p in people))
        engine = Engine(store, WORLD, ZONE, rules, virtual=True)
        engine.refresh()
        town.engine, town.delivery = engine, Delivery(store, engine, {"push": FakeVendor("key")}, rules, ZONE)
        return town, VirtualRun(store, engine, town.delivery, NOON)

    yield make
    for store in stores:
        store.close()


def walked(town):
    """What an enrolment lived through, and when."""
    return [(e.at, e.action, e.step) for enrolment, _, e in town.story().log if enrolment is not None]


def test_time_goes_from_one_due_moment_to_the_next(new_run):
    town, run = new_run()
    run.post("t", [event("order_paid", NOON)])
    run.settle(NOON)
    assert run.next_work() == NOON + DAY

    run.advance_to(NOON + 10 * DAY)

    assert town.ends() == [("j", "silent")]
    assert town.story().enrolments[0]["ended_at"] == NOON + 3 * DAY
    assert run.now == NOON + 10 * DAY
    assert run.next_work() == NOON + 30 * DAY, "she falls asleep"


def test_settling_far_ahead_gives_the_same_story_as_small_steps(new_run):
    stories = []
    for step in (HOUR, DAY, 5 * DAY):
        town, run = new_run()
        run.post("t", [event("order_paid", NOON, id="a"), event("app_opened", NOON + DAY + HOUR, id="b")])
        for now in range(NOON, NOON + 5 * DAY + 1, step):
            run.settle(now)
        run.settle(NOON + 5 * DAY)
        stories.append([(e.at, e.action, e.step) for _, _, e in town.story().log])

    assert stories[0] == stories[1] == stories[2]
    assert (NOON + DAY + HOUR, "ended", "") in stories[0]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(st.integers(0, 5 * 24), max_size=6))
def test_however_events_are_bundled_a_users_story_is_the_same(new_run, times):
    events = sorted(
        [event("order_paid", NOON, id="a"), *(event("app_opened", NOON + h * HOUR + 1, id=f"o{n}") for n, h in enumerate(times))],
        key=lambda e: e.time,
    )

    town, run = new_run()
    for one in events:
        run.advance_to(one.time - 1)
        run.post("t", [one])
        run.settle(one.time)
    run.advance_to(NOON + 9 * DAY)
    other, bundled = new_run()
    bundled.post("t", events)
    bundled.advance_to(NOON + 9 * DAY)
    bundled.settle(NOON + 9 * DAY)

    assert walked(town) == walked(other)


def test_a_message_is_a_touch_of_the_day_it_was_meant_for_however_late_the_clock_looked(new_run):
    once_a_day = Rules(caps=(Cap(1, "day"),))
    town, run = new_run(journey_text(f"- {{id: hello, send: {PUSH}}}", entry="{event: order_paid, reentry: always}"), rules=once_a_day)
    run.post("t", [event("order_paid", NOON + 8 * HOUR, id="evening")])
    run.settle(NOON + 13 * HOUR)  # after midnight

    run.post("t", [event("order_paid", NOON + DAY, id="noon")])
    run.settle(NOON + DAY)

    assert [m["state"] for m in town.story().messages] == ["ACCEPTED", "ACCEPTED"]


@pytest.mark.parametrize(
    "entry", ["{event: order_paid, reentry: always}", "{schedule: '0 13 * * *'}", "{segment: buyers, existing: enrol}"]
)
def test_on_a_virtual_clock_nothing_is_written_later_than_it_happens_however_late_the_clock_looked(new_run, entry):
    town, run = new_run(journey_text(STEPS, entry=entry), ("u1", "u2"))
    run.post("t", [event("order_paid", NOON, id="a"), event("app_opened", NOON + DAY + HOUR, id="b")])

    run.settle(NOON + 5 * DAY)

    written = [(recorded_at, entry.at) for _, recorded_at, entry in town.story().log]
    assert "entered" in {entry.action for _, _, entry in town.story().log}
    assert all(recorded_at <= at for recorded_at, at in written), written
