"""Events out of order, for strangers, from the future, twice, or while the user waits in several journeys: what is decided.

From the signed request to the ledger, on both databases; only the clock and the vendor are the test's.
"""

import pytest

from tests.shop import Shop
from tests.town import DAY, HOUR, MINUTE, NOON, journey_text

PUSH = "send: [{push: {title: T, body: B}}]"
HELLO = journey_text(f"- id: hello\n  {PUSH}", id="hello", entry="{event: app_opened, reentry: always}", purpose="service")
WAITING = journey_text(
    f"""
    - id: paid
      wait_for: {{event: order_paid, timeout: 1d}}
      on_timeout: [{{exit: nothing_came}}]
    - id: thanks
      {PUSH}
    """,
    id="waiting", entry="{event: app_opened}", purpose="service",
)  # fmt: skip
CONVERTING = journey_text(
    f"""
    - id: pause
      delay: 2d
    - id: nudge
      {PUSH}
    """,
    id="converting", entry="{event: app_opened}", goal="{event: order_paid, within: 7d}",
)  # fmt: skip
LEAVING = journey_text(
    f"""
    - id: pause
      delay: 2d
    - id: nudge
      {PUSH}
    """,
    id="leaving", entry="{event: app_opened}", exit_when="[{event: order_paid, reason: has_ordered}]",
)  # fmt: skip


@pytest.fixture
def town(tmp_path, database_url):
    opened = []

    def make(*journeys):
        opened.append(Shop(tmp_path / "shop", *journeys, url=database_url))
        return opened[-1]

    yield make
    for shop in opened:
        shop.close()


def opens(**changes):
    return {"id": "open", "type": "app_opened", "user_id": "u1", **changes}


def pays(**changes):
    return {"id": "pay", "type": "order_paid", "user_id": "u1", "data": {"order_id": "o1", "amount": 9.9}, **changes}


def ends(shop, user_id="u1"):
    return {e["journey"]: e["ended_by"] for e in shop.story(user_id).enrolments}


def states(shop, user_id="u1"):
    return sorted((m["journey"], m["step"], m["state"]) for m in shop.story(user_id).messages)


def actions(shop, action):
    return [entry.why for _, _, entry in shop.story().log if entry.action == action]


def profile(shop):
    with shop.app.store.database.reading() as tx:
        user = shop.app.store.people.load_users(tx, ["u1"])["u1"]
    return user.profile, user.stage, user.segments


def test_events_out_of_order_make_the_same_profile_as_in_order(tmp_path, new_sqlite, new_postgres):
    items = [pays(id=f"p{n}", time=NOON - n * DAY) for n in range(4)] + [opens(time=NOON - HOUR)]
    in_order, backwards = Shop(tmp_path / "a", url=new_sqlite), Shop(tmp_path / "b", url=new_postgres)

    try:
        for shop, arriving in ((in_order, reversed(items)), (backwards, items)):
            for item in arriving:
                shop.post(item)
                shop.settle()

        assert profile(backwards) == profile(in_order)
        assert profile(in_order)[1] == "buying"
    finally:
        in_order.close()
        backwards.close()


def test_an_order_from_before_the_entry_reaches_no_goal_and_ends_no_wait(town):
    shop = town(WAITING, CONVERTING)
    shop.welcome("u1")
    shop.post(opens())
    shop.settle()

    shop.post(pays(time=NOON - MINUTE))
    shop.settle(NOON + MINUTE)

    assert ends(shop) == {"waiting": None, "converting": None}


def test_an_order_that_arrives_late_but_was_paid_in_time_is_worked_on_before_the_timer(town):
    shop = town(WAITING, CONVERTING)
    shop.welcome("u1")
    shop.post(opens())
    shop.settle()

    shop.clock.set(NOON + 3 * DAY)  # an outage: timers are overdue, and the order comes in before they are looked at
    shop.post(pays(time=NOON + HOUR))
    shop.settle(NOON + 3 * DAY)

    assert ends(shop) == {"waiting": "completed", "converting": "converted"}
    assert states(shop) == [("waiting", "thanks", "ACCEPTED")]


def test_an_order_that_arrives_after_its_wait_timed_out_is_logged_and_never_replayed(town):
    shop = town(WAITING)
    shop.welcome("u1")
    shop.post(opens())
    shop.settle()
    shop.settle(NOON + DAY)

    shop.post(pays(time=NOON + HOUR))
    shop.settle(NOON + DAY + HOUR)

    assert ends(shop) == {"waiting": "nothing_came"}
    assert states(shop) == []
    assert len(shop.story().events) == 2


def test_a_stranger_becomes_known_and_enters_but_there_is_no_way_to_write_to_her(town):
    shop = town(HELLO)

    shop.post(opens(user_id="stranger"))
    shop.settle()

    assert ends(shop, "stranger") == {"hello": "completed"}
    assert states(shop, "stranger") == []
    whys = [entry for _, _, entry in shop.story("stranger").log if entry.action == "suppressed"]
    assert [entry.why["reason"] for entry in whys] == ["unreachable"]


def test_an_event_from_the_near_future_counts_as_now(town):
    shop = town(HELLO)
    shop.welcome("u1")

    shop.post(opens(time=NOON + HOUR))
    shop.settle()

    assert [e["entered_at"] for e in shop.story().enrolments] == [NOON]
    assert states(shop) == [("hello", "hello", "ACCEPTED")]


def test_an_event_from_the_far_future_is_set_aside_and_moves_nobody(town):
    shop = town(HELLO)
    shop.welcome("u1")

    answer = shop.post(opens(time=NOON + 2 * DAY))
    shop.settle(NOON + 3 * DAY)

    assert answer["quarantined"] == 1
    assert ends(shop) == {}


def test_an_event_from_1970_is_set_aside_and_moves_nobody(town):
    shop = town(HELLO)
    shop.welcome("u1")
    shop.settle()
    before = profile(shop)

    answer = shop.post(pays(time=0))
    shop.settle()

    assert (answer["quarantined"], profile(shop)) == (1, before)


@pytest.mark.parametrize("ticks_between", [False, True], ids=["before a tick", "after a tick"])
def test_an_event_that_arrives_twice_counts_once(town, ticks_between):
    shop = town(HELLO, WAITING)
    shop.welcome("u1")

    for number in range(2):
        shop.post([opens(), opens()])
        if ticks_between:
            shop.settle(NOON + number)
    shop.settle()

    assert [e["journey"] for e in shop.story().enrolments].count("hello") == 1
    assert states(shop) == [("hello", "hello", "ACCEPTED")]
    assert len(shop.vendor.got) == 1


def test_one_event_moves_every_journey_in_which_the_user_waits(town):
    shop = town(WAITING, CONVERTING, LEAVING, HELLO)
    shop.welcome("u1")
    shop.post(opens())
    shop.settle()
    assert ends(shop) == {"waiting": None, "converting": None, "leaving": None, "hello": "completed"}

    shop.clock.set(NOON + HOUR)
    shop.post(pays())
    shop.settle()

    assert ends(shop) == {"waiting": "completed", "converting": "converted", "leaving": "has_ordered", "hello": "completed"}
    assert states(shop) == [("hello", "hello", "ACCEPTED"), ("waiting", "thanks", "ACCEPTED")]


def test_a_journey_of_one_user_is_not_moved_by_the_event_of_another(town):
    shop = town(WAITING, CONVERTING)
    shop.welcome("u1", "u2")
    shop.post(opens())
    shop.settle()

    shop.post(pays(user_id="u2"))
    shop.settle(NOON + HOUR)

    assert ends(shop) == {"waiting": None, "converting": None}


def test_a_restart_between_receipt_and_tick_loses_and_doubles_nothing(tmp_path, database_url):
    first = Shop(tmp_path / "a", WAITING, HELLO, url=database_url)
    first.welcome("u1")
    first.post(opens())
    first.close()

    second = Shop.reopen(first)
    try:
        assert second.post(opens())["duplicates"] == 1
        second.settle()

        assert states(second) == [("hello", "hello", "ACCEPTED")]
        assert ends(second) == {"hello": "completed", "waiting": None}
    finally:
        second.close()
