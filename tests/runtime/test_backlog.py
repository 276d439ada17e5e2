"""Worked on late: nothing that time has changed meanwhile is swallowed, whoever is the first to move her; goals in time count."""

import pytest

from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, SECOND, Town, event, journey_text, somebody

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


def test_a_timer_that_finds_an_overdue_flip_tells_the_users_other_enrolments_of_it(store, monkeypatch):
    steps = """
    - {id: late, if: entry.friend_id == 'f2', delay: 31d}
    - {id: w, wait_for: {event: stage_changed, timeout: 60d}, on_timeout: [{exit: never}]}
    """
    town = Town(store, journey_text(steps, entry="{event: friend_woken, subject: friend_id}"))
    town.post(event("order_paid", NOON, amount=1), *(event("friend_woken", NOON + HOUR, friend_id=f) for f in ("f1", "f2")))
    town.settle(NOON + HOUR)
    with monkeypatch.context() as held:
        held.setattr(town.engine, "_recheck", lambda *_: None)  # her turn of time comes later
        town.engine.tick(NOON + 32 * DAY)

    assert town.ends() == [("j", "completed"), ("j", None)]
    assert [e.at for _, _, e in town.story().log if e.action == "matched"] == [NOON + 30 * DAY]


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


# ---------------------------------------------------------------------------------------------------- goals


def with_goal(**keys):
    hi = f"- {{id: hi, send: {PUSH}}}"
    return journey_text(hi, id="j", entry="{event: app_opened}", **{"goal": "{event: order_paid, within: 14d}", **keys})


def reached(town, user="u1"):
    return [e.at for _, _, e in town.story(user).log if e.action == "goal_reached"]


@pytest.mark.parametrize("holdout", ["0%", "100%"])
@pytest.mark.parametrize("late", [MINUTE, 3 * DAY])
@pytest.mark.parametrize("before", [MINUTE, 2 * DAY])
def test_an_order_within_the_goals_window_counts_though_it_is_worked_on_after_its_end(store, holdout, late, before):
    town = Town(store, with_goal(holdout=holdout))
    town.settle_people(somebody(), somebody("u2"))
    for user in ("u1", "u2"):
        town.post(event("app_opened", NOON, user=user))
    town.settle(NOON)

    end = NOON + 14 * DAY
    town.post(event("order_paid", end - before, amount=1), event("order_paid", end + SECOND, user="u2", amount=1))
    town.settle(end + late)

    assert (reached(town), reached(town, "u2")) == ([end - before], [])


def test_who_tells_of_long_ago_does_not_have_the_others_past_read(store, monkeypatch):
    town = Town(store, with_goal())
    town.settle_people(somebody(), somebody("u2"))
    asked, ask = [], store.people.open_enrolments
    monkeypatch.setattr(store.people, "open_enrolments", lambda tx, ids, since: asked.append((list(ids), since)) or ask(tx, ids, since))
    town.post(event("app_opened", NOON - 20 * DAY, received=NOON), event("app_opened", NOON - SECOND, user="u2"))
    town.think(NOON)

    assert asked[:2] == [(["u2"], NOON - SECOND), (["u1"], NOON - 20 * DAY)]
