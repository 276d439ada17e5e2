"""Who waits for, or aims at, what somebody else does: by whichever of her ids, and as long as it counts."""

import pytest

from tests.town import DAY, HOUR, NOON, PUSH, Town, event, journey_text, somebody

INVITE = journey_text(
    f"- {{id: w, wait_for: {{event: order_paid, of: entry.friend_id, timeout: 30d}}, on_timeout: [{{exit: never}}]}}\n"
    f"- {{id: thanks, send: {PUSH}}}",
    id="invite", entry="{event: friend_woken}",
)  # fmt: skip
GOAL = {"id": "wake", "entry": "{event: friend_woken}", "goal": "{event: order_paid, of: entry.friend_id, within: 14d}"}
RESTS = journey_text(f"- {{id: hi, send: {PUSH}}}\n- {{id: d, delay: 5d}}", **GOAL)
THROUGH = journey_text(f"- {{id: hi, send: {PUSH}}}", **GOAL)
IDS = pytest.mark.parametrize("orders_as", ["u1", "openid:o1"])


def people(store, *texts):
    town = Town(store, *texts)
    town.settle_people(somebody("u9"), somebody("openid:o1"), somebody())
    return town


def join(town, now, former="openid:o1", survivor="u1"):
    town.store.database.write(lambda tx: town.store.identity.note_merge(tx, survivor, former, "app", "openid o1", now))
    town.settle(now)


def invited(town, friend, now=NOON):
    town.post(event("friend_woken", now, user="u9", friend_id=friend))
    town.settle(now)


def orders(town, user, now):
    town.post(event("order_paid", now, user=user, amount=1))
    town.settle(now)


def converted(town):
    return [e["converted_at"] for e in town.story("u9").enrolments]


@IDS
@pytest.mark.parametrize("invited_as", ["u1", "openid:o1"])
def test_an_inviter_hears_of_a_friends_order_after_the_friend_has_registered(store, invited_as, orders_as):
    town = people(store, INVITE)
    invited(town, invited_as)
    join(town, NOON + HOUR)

    orders(town, orders_as, NOON + 2 * HOUR)

    assert town.ends("u9") == [("invite", "completed")]
    assert [m.user_id for m in town.vendors["push"].got] == ["u9"]


@IDS
def test_an_inviter_hears_of_a_friend_whom_she_names_by_a_former_id(store, orders_as):
    town = people(store, INVITE)
    join(town, NOON - HOUR)
    invited(town, "openid:o1")

    orders(town, orders_as, NOON + 2 * HOUR)

    assert town.ends("u9") == [("invite", "completed")]


def test_an_inviter_hears_of_an_order_that_turns_out_to_be_her_friends(store):
    """The friend ordered under her own id before anybody knew that she is the one who was invited."""
    town = people(store, INVITE)
    invited(town, "openid:o1")
    orders(town, "u1", NOON + HOUR)
    assert town.ends("u9") == [("invite", None)]

    join(town, NOON + 2 * HOUR)

    assert town.ends("u9") == [("invite", "completed")]


def test_an_inviter_hears_of_it_also_when_all_of_it_is_found_after_a_downtime(store):
    town = people(store, INVITE)
    join(town, NOON - HOUR)
    town.post(event("friend_woken", NOON, user="u9", friend_id="openid:o1", received=NOON + DAY))
    town.post(event("order_paid", NOON + HOUR, user="openid:o1", amount=1, received=NOON + HOUR))

    town.settle(NOON + DAY)

    assert town.ends("u9") == [("invite", "completed")]


def test_an_order_of_somebody_else_is_none_of_the_friends(store):
    town = people(store, INVITE)
    town.settle_people(somebody("u2"), somebody("openid:o2"))
    invited(town, "openid:o1")
    join(town, NOON + HOUR)
    join(town, NOON + HOUR, "openid:o2", "u2")

    orders(town, "u2", NOON + 2 * HOUR)
    orders(town, "u9", NOON + 2 * HOUR)

    assert town.ends("u9") == [("invite", None)]


@IDS
@pytest.mark.parametrize("text", [RESTS, THROUGH])
@pytest.mark.parametrize("merged", [False, True])
def test_a_goal_that_is_a_friends_order_counts_also_after_the_journey_and_after_the_friend_has_registered(store, text, merged, orders_as):
    town = people(store, text)
    invited(town, "openid:o1" if merged else orders_as)
    if merged:
        join(town, NOON + HOUR)

    orders(town, orders_as, NOON + 2 * HOUR)
    orders(town, orders_as, NOON + 3 * HOUR)

    assert converted(town) == [NOON + 2 * HOUR]
    with store.database.reading() as tx:
        assert store.inbox.watchers_of(tx, ["u1", "openid:o1"], NOON) == {}  # nothing more to wait for


def test_a_goal_that_is_over_is_not_reached_by_a_friends_order(store):
    town = people(store, THROUGH)
    invited(town, "u1")

    orders(town, "u1", NOON + 15 * DAY)

    assert converted(town) == [None]


def test_who_is_the_friend_whom_she_invited_has_ordered_herself_and_hears_of_it_once(store):
    twice = "\n".join(f"- {{id: {id_}, wait_for: {{event: order_paid, of: entry.friend_id, timeout: 30d}}, on_timeout: [{{exit: x}}]}}"
                      for id_ in ("a", "b"))  # fmt: skip
    town = people(store, journey_text(twice, id="invite", entry="{event: friend_woken}"))
    invited(town, "openid:o1")
    join(town, NOON + HOUR, survivor="u9")

    orders(town, "u9", NOON + 2 * HOUR)

    assert [(e.action, e.step) for _, _, e in town.story("u9").log if e.action in ("matched", "event_ignored")] == [("matched", "a")]
