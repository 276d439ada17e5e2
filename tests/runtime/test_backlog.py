"""Worked on late: nothing that time has changed meanwhile is swallowed, whoever is the first to move her; goals in time count."""

import pytest

from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, Town, event, journey_text

TENTH = AUDIENCE.replace(
    "  tagged:",
    """  tenth: {name: 第十天, when: days_since(user.last_order_at) >= 10 and days_since(user.last_order_at) < 11}
  fresh: {name: 没下过单, when: user.orders_count == 0}
  tagged:""",
)
ON_THE_TENTH = journey_text("- {id: d, delay: 30d}", id="tenth", entry="{segment: tenth, existing: skip}")
FRESH = journey_text("- {id: d, delay: 9d}", id="fresh", entry="{segment: fresh, existing: skip}")
UPDATES = "- {id: t, update: {add_tags: [got]}}\n- {id: d, delay: 30d}"


def flips(town, segment="tenth", user="u1"):
    return [(e.action, e.at) for _, _, e in town.story(user).log if e.action.startswith("segment_") and e.why.get("segment") == segment]


def call(store, at, journey="k", user="u1"):
    payload = {"journey": journey, "id": "api:shop:1", "data": {"id": "1", "type": "api", "user_id": user, "time": at}}
    store.database.write(lambda tx: store.inbox.add_call(tx, "shop", "c1", user, payload, at))


@pytest.mark.parametrize("how", ["call", "note", "event"])
def test_an_entry_by_call_after_a_downtime_swallows_no_edge(store, how):
    entry = {"call": "{api: true}", "note": "{event: friend_woken, user: entry.friend_id}", "event": "{event: app_opened}"}[how]
    town = Town(store, ON_THE_TENTH, journey_text(UPDATES, id="k", entry=entry), audience_text=TENTH)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    back = NOON + 12 * DAY  # nobody was awake since
    if how == "call":
        call(store, back)
    elif how == "note":
        town.post(event("friend_woken", back, user="u2", friend_id="u1"))
    else:
        town.post(event("app_opened", back))
    town.settle(back)

    assert ("k", None) in town.ends()
    assert flips(town) == [("segment_entered", NOON + 10 * DAY), ("segment_left", NOON + 11 * DAY)]
    assert ("tenth", None) in town.ends()


def test_a_timer_after_a_downtime_swallows_no_edge_of_those_whose_flip_waits_for_its_turn(store):
    waits = journey_text("- {id: d1, delay: 11d12h}\n" + UPDATES, id="k", entry="{event: app_opened}")
    town = Town(store, ON_THE_TENTH, waits, audience_text=TENTH)
    people = [f"u{n}" for n in range(1, 8)]
    for n, user in enumerate(people):  # the last to fall asleep is the first whose timer is due
        town.post(event("order_paid", NOON + n * MINUTE, amount=1, user=user), event("app_opened", NOON + HOUR - n * MINUTE, user=user))
    town.settle(NOON + HOUR)
    back = NOON + 12 * DAY
    for _ in range(200):
        if not town.engine.tick(back, limit=2).total:
            break

    assert {u: [what for what, _ in flips(town, user=u)] for u in people} == {u: ["segment_entered", "segment_left"] for u in people}
    assert all(("tenth", None) in town.ends(u) and ("k", None) in town.ends(u) for u in people)


@pytest.mark.parametrize("how", ["event", "record", "call", "note", "own"])
def test_whoever_becomes_known_by_whatever_means_is_looked_at(store, how):
    entry = "{api: true}" if how == "call" else "{event: friend_woken, user: entry.friend_id}"
    town = Town(store, FRESH, journey_text("- {id: d, delay: 1d}", id="k", entry=entry), audience_text=TENTH)
    if how == "event":
        town.post(event("app_opened", NOON))
    elif how == "record":
        town.tell("u1", NOON, traits={"city": "上海"})
    elif how == "call":
        call(store, NOON)
    else:
        town.post(event("friend_woken", NOON, user="u2" if how == "note" else "u1", friend_id="u1"))
    town.settle(NOON)
    assert ("fresh", None) in town.ends()
    town.settle(NOON + HOUR)
    town.post(event("order_paid", NOON + 2 * HOUR, amount=1))
    town.settle(NOON + 2 * HOUR)

    assert flips(town, "fresh") == [("segment_entered", NOON), ("segment_left", NOON + 2 * HOUR)]
    assert [e.why["to"] for _, _, e in town.story().log if e.action == "stage_changed"] == ["buying"]
