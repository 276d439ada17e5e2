"""What she did under one id is heard where she waits, leaves or converts under the other, as soon as the two are one."""

import pytest

from runtime.state import Person
from tests.town import DAY, HOUR, NOON, PUSH, SECOND, Town, event, journey_text, somebody

NUDGE = f"[{{id: nudge, send: {PUSH}}}]"
WAIT = journey_text(f"- {{id: w, wait_for: {{event: order_paid, timeout: 1d}}, on_timeout: {NUDGE}}}", id="nudge",
                    entry="{event: app_opened}")  # fmt: skip
THEN = f"- {{id: d, delay: 1d}}\n- {{id: nudge, send: {PUSH}}}"
EXIT = journey_text(THEN, id="nudge", entry="{event: app_opened}", exit_when="[{event: order_paid, reason: bought}]")
GOAL = journey_text(THEN, id="nudge", entry="{event: app_opened}", goal="{event: order_paid, within: 14d}")
IDS = pytest.mark.parametrize(("inside", "other"), [("u1", "openid:o1"), ("openid:o1", "u1")])


def join(town, now):
    town.store.database.write(lambda tx: town.store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", now))
    town.settle(now)


def people(store, *texts):
    town = Town(store, *texts)
    town.settle_people(somebody(), somebody("openid:o1"))
    return town


def pushes(town):
    return [message.step for message in town.vendors["push"].got]


def lines(town, action):
    return [(entry.step, entry.at) for _, _, entry in town.story().log if entry.action == action]


@IDS
@pytest.mark.parametrize(("text", "end"), [(WAIT, "completed"), (EXIT, "bought"), (GOAL, "converted")])
def test_who_has_ordered_under_her_other_id_is_not_nudged_to_order(store, text, end, inside, other):
    town = people(store, text)
    town.post(event("app_opened", NOON, user=inside))
    town.settle(NOON)
    town.post(event("order_paid", NOON + HOUR, user=other, amount=1))
    town.settle(NOON + HOUR)

    join(town, NOON + 2 * HOUR)
    for day in (1, 2):
        town.settle(NOON + day * DAY)

    assert (town.ends(), pushes(town)) == ([("nudge", end)], [])
    assert [at for _, at in lines(town, "ended")] == [NOON + HOUR]  # when it happened, not when it became known whose it was


@pytest.mark.parametrize(("text", "end"), [(WAIT, "completed"), (EXIT, "bought"), (GOAL, "converted")])
def test_it_is_so_too_when_everything_is_found_after_a_downtime(store, text, end):
    town = people(store, text)
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    town.post(event("order_paid", NOON + HOUR, user="openid:o1", amount=1))

    join(town, NOON + 3 * DAY)

    assert (town.ends(), pushes(town)) == ([("nudge", end)], [])


def test_who_opens_the_app_on_a_new_phone_and_logs_in_a_moment_later_has_opened_it(store):
    """The SDK tells of the opening under the device's id; the login that follows says whose it is."""
    opened = f"- {{id: w, wait_for: {{event: app_opened, timeout: 1d}}, on_timeout: {NUDGE}}}"
    town = people(store, journey_text(opened, id="gift", entry="{event: group_opened}"))
    town.post(event("group_opened", NOON))
    town.settle(NOON)
    device = Person("", (("distinct_id", "d2"),), frozenset({"distinct_id"}))
    [who] = store.database.write(lambda tx: store.identity.resolve(tx, [("app", device)], NOON + HOUR))
    town.post(event("app_opened", NOON + HOUR, user=who))
    town.settle(NOON + HOUR)

    login = Person("u1", (("distinct_id", "d2"),), frozenset({"distinct_id"}))
    store.database.write(lambda tx: store.identity.resolve(tx, [("app", login)], NOON + HOUR + 5 * SECOND))
    for now in (NOON + HOUR + 5 * SECOND, NOON + DAY):
        town.settle(now)

    assert (town.ends(), pushes(town)) == ([("gift", "completed")], [])


def test_several_waits_hear_several_events_each_in_its_turn(store):
    waits = "\n".join(f"- {{id: {id_}, wait_for: {{event: order_paid, timeout: 30d}}, on_timeout: {NUDGE.replace('nudge', f'n_{id_}')}}}"
                      for id_ in ("one", "two", "three"))  # fmt: skip
    town = people(store, journey_text(waits, id="nudge", entry="{event: app_opened}"))
    town.post(event("app_opened", NOON))
    for hour in (1, 2):
        town.post(event("order_paid", NOON + hour * HOUR, user="openid:o1", amount=hour))
    town.settle(NOON + 2 * HOUR)

    join(town, NOON + 3 * HOUR)

    assert lines(town, "matched") == [("one", NOON + HOUR), ("two", NOON + 2 * HOUR)]
    town.post(event("order_paid", NOON + 4 * HOUR, amount=9))
    town.settle(NOON + 4 * HOUR)
    assert town.ends() == [("nudge", "completed")]


def test_what_an_enrolment_has_heard_under_its_own_id_it_does_not_hear_again(store):
    twice = "\n".join(f"- {{id: {id_}, wait_for: {{event: order_paid, timeout: 30d}}, on_timeout: [{{exit: x}}]}}" for id_ in ("a", "b"))
    town = people(store, WAIT, journey_text(twice, id="twice", entry="{event: group_opened}"))
    town.post(event("app_opened", NOON), event("group_opened", NOON, user="openid:o1"))
    town.settle(NOON)
    town.post(event("order_paid", NOON + HOUR, user="openid:o1", amount=1))
    town.settle(NOON + HOUR)

    join(town, NOON + 2 * HOUR)

    assert town.ends() == [("nudge", "completed"), ("twice", None)]
    assert (lines(town, "matched"), lines(town, "event_ignored")) == ([("a", NOON + HOUR), ("w", NOON + HOUR)], [])


@pytest.mark.parametrize("text", [WAIT, EXIT, GOAL])
def test_what_was_before_her_entry_or_is_history_moves_nobody(store, text):
    town = people(store, text)
    town.post(event("order_paid", NOON - HOUR, user="openid:o1", amount=1))
    town.settle(NOON - HOUR)
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    old = event("order_paid", NOON + HOUR, user="openid:o1", amount=1)
    store.database.write(lambda tx: store.inbox.add_events(tx, "import", [old], history=True))
    town.settle(NOON + HOUR)

    join(town, NOON + 2 * HOUR)

    assert town.ends() == [("nudge", None)]
    town.settle(NOON + DAY)
    assert pushes(town) == ["nudge"]


def test_an_order_under_the_other_id_after_the_wait_was_over_is_said_and_not_replayed(store):
    town = people(store, WAIT)
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    town.post(event("order_paid", NOON + HOUR, user="openid:o1", amount=1))
    town.settle(NOON + DAY)
    assert pushes(town) == ["nudge"]

    join(town, NOON + DAY + HOUR)

    assert (town.ends(), pushes(town)) == ([("nudge", "completed")], ["nudge"])


def test_a_goal_of_who_is_through_or_held_out_counts_what_she_did_under_the_other_id(store):
    through = journey_text("- {id: hi, update: {set: {city: x}}}", id="through", entry="{event: app_opened}",
                           goal="{event: order_paid, within: 14d}")  # fmt: skip
    held = journey_text(THEN, id="held", entry="{event: app_opened}", goal="{event: order_paid, within: 14d}", holdout="50%")
    town = people(store, through, held.replace("50%", "99%"))
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    town.post(event("order_paid", NOON + HOUR, user="openid:o1", amount=1))
    town.settle(NOON + HOUR)

    join(town, NOON + 2 * HOUR)

    story = town.story()
    assert {e["journey"]: e["converted_at"] for e in story.enrolments} == {"through": NOON + HOUR, "held": NOON + HOUR}
