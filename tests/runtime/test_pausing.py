"""A paused journey: nobody takes a step, nothing is sent, goals and exits still count; its end is no flood."""

import pytest

from channels.message import RetryLater
from runtime.moving import InFlight
from runtime.pausing import became_due, paused
from runtime.store.movements import Pause
from tests.shop import Shop, write_journeys
from tests.town import DAY, HOUR, MINUTE, NOON, PUSH, Town, event, journey_text, somebody

SEND = f"- {{id: gift, send: {PUSH}}}"
NUDGE = journey_text(
    f"- {{id: rest, delay: 1d}}\n{SEND}", entry="{event: app_opened}", goal="{event: order_paid, within: 14d}", max_lateness="6h"
)


def town(store, *texts, people=("u1",)):
    made = Town(store, *texts)
    made.settle_people(*(somebody(user) for user in people))
    return made


def pause(made, now, journey="j"):
    made.store.database.write(lambda tx: made.store.movements.pause(tx, Pause(journey, now, "me", "wrong coupon")))


def resume(made, now, journey="j"):
    made.store.database.write(lambda tx: made.store.movements.resume(tx, journey, now, "me"))


def test_no_timer_fires_while_a_journey_is_paused(store):
    made = town(store, NUDGE)
    made.post(event("app_opened", NOON, id="o"))
    made.settle(NOON)
    pause(made, NOON + HOUR)

    made.settle(NOON + 2 * DAY)

    assert made.states() == []
    assert made.ends() == [("j", None)]
    assert made.engine.next_work() is None or made.engine.next_work() > NOON + 2 * DAY


def test_after_a_short_pause_what_became_due_is_done(store):
    made = town(store, NUDGE)
    made.post(event("app_opened", NOON, id="o"))
    made.settle(NOON)
    pause(made, NOON + HOUR)
    made.settle(NOON + DAY + HOUR)

    resume(made, NOON + DAY + HOUR)
    made.settle(NOON + DAY + HOUR)

    assert made.states() == [("gift", "ACCEPTED")]


def test_after_a_long_pause_what_is_later_than_max_lateness_is_skipped(store):
    made = town(store, NUDGE)
    made.post(event("app_opened", NOON, id="o"))
    made.settle(NOON)
    pause(made, NOON + HOUR)
    made.settle(NOON + 2 * DAY)

    resume(made, NOON + 2 * DAY)
    made.settle(NOON + 2 * DAY)

    assert made.states() == []
    assert made.actions()[-2:] == [("late", "gift"), ("ended", "")]


def test_goals_still_end_and_people_still_enter(store):
    made = town(store, NUDGE, people=("u1", "u2"))
    made.post(event("app_opened", NOON, id="o"))
    made.settle(NOON)
    pause(made, NOON + HOUR)

    made.post(event("order_paid", NOON + 2 * HOUR, amount=1), event("app_opened", NOON + 2 * HOUR, user="u2", id="o2"))
    made.settle(NOON + 2 * HOUR)

    assert made.ends("u1") == [("j", "converted")]
    assert made.actions("u2") == [("entered", ""), ("paused", "rest")]

    resume(made, NOON + 3 * HOUR)
    made.settle(NOON + 3 * HOUR)
    assert ("waits", "rest") in made.actions("u2")


def test_an_event_that_was_waited_for_counts_and_what_follows_waits_for_the_end_of_the_pause(store):
    wait = journey_text(f"- {{id: opened, wait_for: {{event: order_paid, timeout: 3d}}}}\n{SEND}", entry="{event: app_opened}")
    made = town(store, wait)
    made.post(event("app_opened", NOON, id="o"))
    made.settle(NOON)
    pause(made, NOON + HOUR)

    made.post(event("order_paid", NOON + 2 * HOUR, amount=1))
    made.settle(NOON + 2 * HOUR)
    assert [action for action in made.actions() if action[1]] == [("waits", "opened"), ("matched", "opened"), ("paused", "gift")]
    assert made.states() == []

    resume(made, NOON + 3 * HOUR)
    made.settle(NOON + 3 * HOUR)
    assert made.states() == [("gift", "ACCEPTED")]


def test_what_was_planned_before_the_pause_does_not_go_out_in_it(store):
    made = town(store, journey_text(f"{SEND}\n- {{id: rest, delay: 9d}}", entry="{event: app_opened}"))
    made.post(event("app_opened", NOON, id="o"))
    made.think(NOON)
    pause(made, NOON)
    made.think(NOON + 1)

    made.settle(NOON + HOUR)
    assert (made.states(), made.vendors["push"].got) == ([("gift", "PENDING")], [])

    resume(made, NOON + HOUR)
    made.think(NOON + HOUR)
    made.settle(NOON + HOUR + 2 * MINUTE)
    assert made.states() == [("gift", "ACCEPTED")]


@pytest.mark.parametrize(("resumed_after", "gone_out"), [(5 * HOUR, 1), (3 * DAY, 0)])
def test_what_was_planned_before_a_pause_goes_out_after_it_unless_that_is_later_than_max_lateness_allows(store, resumed_after, gone_out):
    made = town(store, journey_text(f"{SEND}\n- {{id: rest, delay: 9d}}", entry="{event: app_opened}", max_lateness="6h"))
    made.post(event("app_opened", NOON, id="o"))
    made.think(NOON)  # planned: it is with its lane when somebody pauses the journey
    pause(made, NOON)
    for part in (1, 2, 3):  # the lanes look again and again whether the pause has ended
        made.settle(NOON + part * resumed_after // 3 - MINUTE)
    resume(made, NOON + resumed_after)

    made.settle(NOON + resumed_after)

    assert len(made.vendors["push"].got) == gone_out
    assert made.states() == [("gift", "ACCEPTED" if gone_out else "SUPPRESSED")]


def test_an_event_of_a_pause_is_heard_by_whoever_is_moved_in_the_batch_that_begins_her_wait(store):
    entry, first = "{event: app_opened, reentry: always}", "- {id: a, wait_for: {event: group_opened, timeout: 9d}}"
    wait = "- {id: w, wait_for: {event: order_paid, timeout: 1d}, on_timeout: [{exit: silent}]}"
    made = town(store, journey_text(f"{first}\n{wait}\n{SEND}", entry=entry), people=("u0", "u1"))
    made.post(*(event("app_opened", NOON, user=user) for user in ("u0", "u1")))
    made.settle(NOON)
    pause(made, NOON + HOUR)
    for user, hour in (("u1", 2), ("u0", 3)):  # both come to stand before the wait; u1's timer is the older one
        made.post(event("group_opened", NOON + hour * HOUR, user=user))
        made.settle(NOON + hour * HOUR)
    made.post(*(event("order_paid", NOON + 4 * HOUR, user=user, amount=1) for user in ("u0", "u1")))
    made.settle(NOON + 4 * HOUR)
    resume(made, NOON + 5 * HOUR)
    edited = journey_text(f"{first}\n{wait}\n{SEND.replace('title: T', 'title: U')}", entry=entry)
    made.apply(edited, now=NOON + 5 * HOUR, in_flight={"j": InFlight("move")})

    for _ in range(20):
        made.engine.tick(NOON + 5 * HOUR, limit=1)  # more people than a batch holds: the timer comes before the search
    made.settle(NOON + 5 * DAY)

    assert [made.ends(user) for user in ("u0", "u1")] == [[("j", "completed")]] * 2


@pytest.mark.parametrize(("step", "length"), [
    ("grant: {benefit: gift, expires: 7d}", 9 * DAY), ("call: {endpoint: stock, timeout: 2s}", 10 * MINUTE),
])  # fmt: skip
def test_a_grant_or_call_that_was_asked_for_before_a_pause_is_carried_out_after_it_and_has_not_run_out_of_time(store, step, length):
    made = town(store, journey_text(f"- {{id: ask, {step}}}\n{SEND}", entry="{event: app_opened}"))
    made.post(event("app_opened", NOON, id="o"))
    made.think(NOON)  # asked for, not carried out
    pause(made, NOON + 30)
    for part in range(11):
        made.settle(NOON + 30 + part * length // 10)
    assert made.states() == [("ask", "PENDING")]

    resume(made, NOON + 30 + length)
    made.settle(NOON + 30 + length)

    assert made.states() == [("ask", "ACCEPTED"), ("gift", "ACCEPTED")]


def test_a_grant_has_as_much_time_left_after_a_pause_as_it_had_before(store):
    made = town(store, journey_text(f"- {{id: ask, grant: {{benefit: gift}}}}\n{SEND}", entry="{event: app_opened}"))
    made.vendors["grant:gift"].answers = [RetryLater(MINUTE, "busy")]
    made.post(event("app_opened", NOON, id="o"))
    made.settle(NOON)
    pause(made, NOON + 20 * HOUR)
    made.settle(NOON + 5 * DAY)
    resume(made, NOON + 5 * DAY)

    made.settle(NOON + 5 * DAY + 3 * HOUR)
    assert made.ends() == [("j", None)]

    made.settle(NOON + 5 * DAY + 5 * HOUR)
    assert made.ends() == [("j", "ask_failed")]


def test_the_end_of_one_journeys_pause_gives_no_time_to_anothers_grants(store):
    ask = f"- {{id: ask, grant: {{benefit: gift}}}}\n{SEND}"
    made = town(store, *(journey_text(ask, id=name, entry="{event: app_opened}") for name in ("j", "k")))
    made.vendors["grant:gift"].answers = [RetryLater(MINUTE, "busy")]
    made.post(event("app_opened", NOON, id="o"))
    made.settle(NOON)
    pause(made, NOON + HOUR)
    resume(made, NOON + 10 * HOUR)

    made.settle(NOON + DAY)

    assert sorted(made.ends()) == [("j", None), ("k", "ask_failed")]


def test_other_journeys_go_on(store):
    made = town(store, NUDGE, journey_text(SEND, id="other", entry="{event: app_opened}"))
    pause(made, NOON)
    made.post(event("app_opened", NOON, id="o"))

    made.settle(NOON)

    assert made.states() == [("gift", "ACCEPTED")]
    assert sorted(made.ends()) == [("j", None), ("other", "completed")]


def test_a_release_leaves_a_pause_alone(store):
    made = town(store, NUDGE)
    pause(made, NOON)
    made.apply(NUDGE.replace("1d", "2d"), now=NOON + 1)
    made.think(NOON + 1)

    assert made.engine.paused == {"j"}


# --- as the command and the daemon ask for it


@pytest.fixture
def shop(tmp_path, database_url):
    opened = Shop(tmp_path / "shop", NUDGE, url=database_url)
    yield opened
    opened.close()


def ask(shop, *journeys, resume=False):
    return paused(shop.app, {"journeys": list(journeys), "resume": resume, "reason": "why", "author": "me"})


def test_pausing_twice_and_resuming_twice_are_said(shop):
    outcomes = [row["outcome"] for answer in (ask(shop, "j"), ask(shop), ask(shop, resume=True), ask(shop, "j", resume=True))
                for row in answer["journeys"]]  # fmt: skip

    assert outcomes == ["paused", "paused_already", "resumed", "not_paused"]


def test_a_journey_that_is_not_there_is_named_with_what_was_meant(shop):
    assert ask(shop, "jj")["error"] == "there is no journey jj, did you mean j?"


def test_how_many_became_due_and_how_many_are_too_late_is_known_before_the_end(shop):
    shop.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    shop.settle()
    ask(shop, "j")

    counts = [became_due(shop.app, "j", NOON, NOON + at) for at in (HOUR, DAY + HOUR, 2 * DAY)]

    assert counts == [(0, 0), (1, 0), (1, 1)]


def test_what_was_due_before_the_pause_did_not_become_due_in_it(shop):
    shop.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    shop.settle()

    assert became_due(shop.app, "j", NOON + DAY + HOUR, NOON + 2 * DAY) == (0, 0)


def test_messages_that_wait_for_the_end_of_a_pause_are_counted_too(shop):
    plain = journey_text(f"{SEND}\n- {{id: rest, delay: 9d}}", id="plain", entry="{event: app_opened}")  # without max_lateness
    write_journeys(shop.folder, plain.replace("id: plain", "id: j").replace("steps:", "max_lateness: 6h\nsteps:"), plain)
    shop.apply()
    shop.welcome("u1")
    shop.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    shop.app.engine.tick(NOON)  # planned, not sent
    before = [became_due(shop.app, name, 0, NOON - 1) for name in ("j", "plain")]
    ask(shop)

    counts = [[became_due(shop.app, name, NOON, NOON + at) for at in (HOUR, DAY)] for name in ("j", "plain")]

    assert (before, counts) == ([(0, 0), (0, 0)], [[(1, 0), (1, 1)], [(1, 0), (1, 0)]])
