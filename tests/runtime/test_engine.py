"""The engine on a real database, with time as an argument: order, look-back, releases, records."""

import gc

import pytest

from runtime.batches import Work
from runtime.policy import Rules
from runtime.session import Session
from tests.town import DAY, HOUR, MINUTE, NOON, PUSH, WELCOME, Town, event, journey_text, somebody, town

GOAL = "{event: order_paid, within: 14d}"
OPENED = event("app_opened", NOON, id="opened")


# --- what came before a release and was not worked on then


@pytest.mark.parametrize(
    ("entry", "enters"),
    [
        ("{event: friend_woken, user: entry.friend_id, reentry: always}", True),
        ("{event: group_opened, user: entry.group_id}", False),
        ("{event: friend_woken}", False),
        ("{segment: buyers, existing: skip}", False),
    ],
    ids=["so", "by another event", "who did it herself", "by a segment"],
)
def test_an_entry_for_somebody_else_that_waits_lets_in_while_the_journey_lets_in_so(store, entry, enters):
    made = town(store, journey_text("- {id: d, delay: 9d}", entry="{event: friend_woken, user: entry.friend_id}"))
    made.post(event("friend_woken", NOON, user="u2", friend_id="u1"))
    made.engine.tick(NOON)

    made.apply(journey_text("- {id: d, delay: 9d}", entry=entry), now=NOON + 1)
    made.think(NOON + 2)

    assert made.ends() == ([("j", None)] if enters else [])


HELLO = journey_text(f"- {{id: hello, send: {PUSH}}}", entry="{event: app_opened}")
MORE = HELLO.replace("{event: app_opened}", "{event: [app_opened, order_paid]}")
SHUT = HELLO.replace("status: live", "status: closed")


@pytest.mark.parametrize(
    ("releases", "type_", "enters"),
    [
        ([[HELLO]], "app_opened", True),
        ([[], [HELLO]], "app_opened", False),
        ([[HELLO], [MORE]], "app_opened", True),
        ([[HELLO], [MORE]], "order_paid", False),
        ([[MORE], [HELLO.replace("id: hello", "id: hi")]], "app_opened", True),
        ([[HELLO], [], [HELLO]], "app_opened", False),
        ([[SHUT], [HELLO]], "app_opened", False),
        ([[HELLO], [SHUT]], "app_opened", False),
    ],
    ids=["there", "not yet", "edited", "not yet by that event", "edited in what it does", "gone between", "closed then", "closed now"],
)
def test_an_event_that_came_before_a_journey_let_in_by_it_lets_nobody_in_however_late_it_is_worked_on(store, releases, type_, enters):
    first, *later = releases
    made = town(store, *first)
    made.post(event(type_, NOON, amount=9))
    for n, texts in enumerate(later, 1):
        made.apply(*texts, now=NOON + n * MINUTE)
    made.settle(NOON + HOUR)

    assert bool(made.story().enrolments) is enters
    if releases[-1] != [SHUT]:
        made.post(event("app_opened", NOON + HOUR, user="u2"))
        made.settle(NOON + HOUR)
        assert made.story("u2").enrolments


def test_what_is_dated_before_a_journey_and_came_since_lets_in(store):
    """The phone was offline: its event is news."""
    made = town(store, HELLO, applied_at=NOON)

    made.post(event("app_opened", NOON - HOUR, received=NOON + MINUTE))
    made.settle(NOON + MINUTE)

    assert made.story().enrolments


# --- what stays of a batch


def test_what_a_batch_read_is_gone_with_it_and_waits_for_no_garbage_collection(store):
    made = town(store, WELCOME, people=[somebody("u1"), somebody("u2")])
    gc.collect()
    gc.disable()
    try:
        made.post(OPENED)
        made.settle(NOON)

        assert [found for found in gc.get_objects() if isinstance(found, Session | Work)] == []
    finally:
        gc.enable()


# --- the ways of an event


def test_an_event_lets_its_user_in_and_the_journey_takes_its_course(store):
    made = town(store, WELCOME)

    made.post(OPENED)
    made.settle(NOON)
    made.settle(NOON + DAY)

    assert made.ends() == [("j", "completed")]
    assert [a for a, _ in made.actions()] == ["entered", "waits", "sent", "ended"]
    assert made.states() == [("miss_you", "ACCEPTED")]
    assert [m.address for m in made.vendors["push"].got] == ["u1-push_id"]


def test_a_stranger_is_let_in_by_her_first_event(store):
    made = Town(store, WELCOME)

    made.post(event("app_opened", NOON, user="stranger"))
    made.settle(NOON)

    assert made.ends("stranger") == [("j", None)]


def test_an_event_that_comes_twice_moves_nobody_twice(store):
    steps = "- {id: look, wait_for: {event: app_opened, timeout: 1d}}\n- {id: again, wait_for: {event: app_opened, timeout: 1d}}"
    made = town(store, journey_text(steps, entry="{event: order_paid}"))
    made.post(event("order_paid", NOON))
    made.settle(NOON)

    click = event("app_opened", NOON + HOUR)
    assert made.post(click) == 1
    made.settle(NOON + HOUR)
    assert made.post(click, click) == 0
    made.settle(NOON + HOUR)

    assert made.actions()[-1] == ("waits", "again")


def test_a_timer_is_not_fired_while_its_user_has_an_accepted_event_that_is_not_projected(store):
    made = town(store, WELCOME)
    made.post(OPENED)
    made.settle(NOON)

    made.post(event("order_paid", NOON + DAY - MINUTE, received=NOON + 2 * DAY))
    made.settle(NOON + 2 * DAY)

    assert made.ends() == [("j", "converted")]
    assert made.vendors["push"].got == []


def test_nobody_waits_for_somebody_elses_events(store):
    made = town(store, WELCOME, people=[somebody("u1"), somebody("u2")])
    made.post(OPENED, event("app_opened", NOON, user="u2"))
    made.settle(NOON)

    made.post(event("order_paid", NOON + HOUR, user="u2"))
    made.settle(NOON + DAY)

    assert made.states("u1") == [("miss_you", "ACCEPTED")]
    assert made.states("u2") == []


def test_a_message_planned_but_not_sent_is_stopped_by_the_goal(store):
    made = town(store, journey_text(f"- {{id: hello, send: {PUSH}}}\n- {{id: day, delay: 1d}}", entry="{event: app_opened}", goal=GOAL))
    made.post(OPENED)
    made.think(NOON)

    made.post(event("order_paid", NOON + 1))
    made.think(NOON + 1)
    made.deliver(NOON + 1)

    assert made.states() == [("hello", "SUPPRESSED")]
    assert made.vendors["push"].got == []


def test_events_out_of_order_in_one_batch_or_in_two_come_to_the_same(store):
    steps = "- {id: look, wait_for: {event: app_opened, timeout: 1d}, on_event: [{exit: came}], on_timeout: [{exit: silent}]}"
    made = town(store, journey_text(steps, entry="{event: order_paid}"), people=[somebody("u1"), somebody("u2")])

    made.post(event("app_opened", NOON + MINUTE, received=NOON + HOUR), event("order_paid", NOON, received=NOON + HOUR))
    made.settle(NOON + HOUR)
    made.post(event("app_opened", NOON + MINUTE, user="u2", received=NOON + HOUR))
    made.settle(NOON + HOUR)
    made.post(event("order_paid", NOON, user="u2", received=NOON + HOUR))
    made.settle(NOON + HOUR)

    assert made.ends("u1") == [("j", "came")]
    assert made.ends("u2") == [("j", "came")]


def test_an_event_of_its_own_future_is_taken_at_its_time(store):
    made = town(store, WELCOME)
    made.post(OPENED)
    made.settle(NOON)

    made.post(event("order_paid", NOON + 2 * HOUR, received=NOON + HOUR))
    made.settle(NOON + HOUR)

    assert made.ends() == [("j", "converted")]
    assert made.story().enrolments[0]["converted_at"] == NOON + 2 * HOUR
    assert made.quarantined() == []


def test_one_event_moves_all_the_journeys_its_user_waits_in(store):
    wait = "- {id: look, wait_for: {event: order_paid, timeout: 5d}, on_event: [{exit: paid}]}"
    exits = "[{event: order_paid, reason: left}]"
    made = town(
        store, journey_text(wait, id="waiting", entry="{event: app_opened}"), journey_text("- {id: d, delay: 5d}", id="aiming", entry="{event: app_opened}", goal=GOAL),
        journey_text("- {id: d, delay: 5d}", id="leaving", entry="{event: app_opened}", exit_when=exits),
        journey_text("- {id: d, delay: 5d}", id="deaf", entry="{event: app_opened}"),
        journey_text("- {id: d, delay: 5d}", id="starting", entry="{event: order_paid}"),
    )  # fmt: skip
    made.post(OPENED)
    made.settle(NOON)

    made.post(event("order_paid", NOON + HOUR))
    made.settle(NOON + HOUR)

    assert sorted(made.ends(), key=str) == sorted(
        [("waiting", "paid"), ("aiming", "converted"), ("leaving", "left"), ("deaf", None), ("starting", None)], key=str
    )


def test_after_a_downtime_a_wait_matches_what_came_in_its_own_time(store):
    steps = """
    - {id: day, delay: 1d}
    - {id: look, wait_for: {event: app_opened, timeout: 1d}, on_event: [{exit: came}], on_timeout: [{exit: silent}]}
    """
    made = town(store, journey_text(steps, entry="{event: order_paid}"), people=[somebody("u1"), somebody("u2")])
    made.post(event("order_paid", NOON), event("order_paid", NOON, user="u2"))
    made.settle(NOON)

    late = NOON + 5 * DAY
    made.post(event("app_opened", NOON + DAY + HOUR, received=late), event("app_opened", NOON + 3 * DAY, user="u2", received=late))
    made.settle(late)

    assert made.story("u1").enrolments[0]["ended_by"] == "came"
    assert made.story("u1").enrolments[0]["ended_at"] == NOON + DAY + HOUR
    assert made.story("u2").enrolments[0]["ended_by"] == "silent"
    assert made.story("u2").enrolments[0]["ended_at"] == NOON + 2 * DAY


def test_a_goal_counts_after_the_end_also_in_the_database(store):
    made = town(store, journey_text("- {id: last, exit: done}", entry="{event: app_opened}", goal=GOAL))
    made.post(OPENED)
    made.settle(NOON)

    made.post(event("order_paid", NOON + 3 * DAY))
    made.settle(NOON + 3 * DAY)

    (row,) = made.story().enrolments
    assert (row["ended_by"], row["converted_at"]) == ("done", NOON + 3 * DAY)
    with store.database.reading() as tx:
        assert store.reports.tallies(tx)["j", "converted", "treated"] == 1


# --- records, restarts, versions, once_per


def test_a_wait_for_consent_hears_the_yes(store):
    steps = f"- {{id: yes, wait_for: {{when: has_consent('sms'), timeout: 9d}}, on_timeout: [{{exit: never}}]}}\n- {{id: hi, send: {PUSH}}}"
    made = town(store, journey_text(steps, entry="{event: app_opened}"))
    made.tell("u1", NOON, consents={"sms": {"marketing": False}})
    made.post(event("app_opened", NOON + 1))
    made.settle(NOON + HOUR)
    made.tell("u1", NOON + DAY, consents={"sms": {"marketing": True}})
    made.settle(NOON + DAY)

    assert [action for action in made.actions() if action[0] in ("waits", "matched", "timed_out")] == [("waits", "yes"), ("matched", "yes")]
    assert made.states() == [("hi", "ACCEPTED")]


def test_a_record_changes_traits_tags_and_consents_and_is_looked_at(store):
    made = town(
        store, journey_text("- {id: d, delay: 9d}", entry="{event: app_opened}", exit_when="[{when: user.points > 5, reason: rich}]")
    )
    made.post(OPENED)
    made.settle(NOON)

    made.tell("u1", NOON + 1, traits={"points": "6"}, tags=["vip"], consents={"sms": {"marketing": False}}, zone="Europe/Berlin")
    made.settle(NOON + 1)

    assert made.ends() == [("j", "rich")]
    with store.database.reading() as tx:
        user = store.people.load_users(tx, ["u1"])["u1"]
    assert (user.profile["p"], user.profile["t"], user.zone.key) == ({"points": 6}, ["vip"], "Europe/Berlin")
    assert user.reach["consents"]["sms"] == {"service": True, "marketing": False}


def test_an_update_that_lets_its_user_into_a_segment_enrols_her_there(store):
    first = journey_text("- {id: mark, update: {add_tags: [vip]}}", id="first", entry="{event: app_opened}")
    second = journey_text("- {id: d, delay: 1d}", id="second", entry="{segment: tagged, existing: skip}")
    made = town(store, first, second)

    made.post(OPENED)
    made.settle(NOON)

    assert made.ends() == [("first", "completed"), ("second", None)]


def test_restart_ends_the_live_one_and_stops_its_messages(store):
    made = town(
        store,
        journey_text(f"- {{id: hello, send: {PUSH}}}\n- {{id: d, delay: 9d}}", entry="{event: app_opened, mode: restart, reentry: always}"),
    )
    made.post(OPENED)
    made.think(NOON)

    made.post(event("app_opened", NOON + HOUR))
    made.think(NOON + HOUR)

    assert made.ends() == [("j", "restarted"), ("j", None)]
    assert sorted(s for _, s in made.states()) == ["PENDING", "SUPPRESSED"]


def test_those_inside_stay_on_their_version(store):
    made = town(store, WELCOME)
    made.post(OPENED)
    made.settle(NOON)

    made.apply(WELCOME.replace("miss_you", "other_step"), now=NOON + 1)
    made.post(event("app_opened", NOON + 2, user="u2"))
    made.settle(NOON + 2)
    made.settle(NOON + 2 * DAY)

    assert ("sent", "miss_you") in made.actions("u1")
    assert ("suppressed", "other_step") in made.actions("u2")


def test_those_inside_a_deleted_journey_finish_it(store):
    made = town(store, WELCOME)
    made.post(OPENED)
    made.settle(NOON)

    made.apply(journey_text("- {id: d, delay: 1d}", id="unrelated"), now=NOON + 1)
    made.settle(NOON + DAY)

    assert made.ends() == [("j", "completed")]


def test_once_per_gives_only_once_over_all_enrolments(store):
    text_ = journey_text(
        "- {id: gift, grant: {benefit: gift, once_per: entry.friend_id}, on_failed: [{exit: failed}]}\n- {id: last, if: steps.gift.ok, exit: given}",
        entry="{event: friend_woken, reentry: always}",
    )  # fmt: skip
    made = town(store, text_)

    for n, friend in enumerate(["f1", "f1", "f2"]):
        made.post(event("friend_woken", NOON + n * HOUR, friend_id=friend))
        made.settle(NOON + n * HOUR)

    assert made.ends() == [("j", "given")] * 3
    assert len(made.vendors["grant:gift"].got) == 2
    with store.database.reading() as tx:
        assert {b["benefit"]: b["issued"] for b in store.reports.budgets(tx)}["gift"] == 2


def test_once_per_does_not_call_a_refused_grant_given(store):
    text_ = journey_text(
        "- {id: gift, grant: {benefit: gift, once_per: entry.friend_id}, on_failed: [{exit: failed}]}\n- {id: last, exit: given}",
        entry="{event: friend_woken, reentry: always}",
    )  # fmt: skip
    made = town(store, text_)
    made.budget(gift=0)

    for n in range(2):
        made.post(event("friend_woken", NOON + n * HOUR, friend_id="f1"))
        made.settle(NOON + n * HOUR)

    assert made.ends() == [("j", "failed")] * 2


def test_of_one_users_sends_the_more_important_has_the_cap(store):
    from runtime.policy import Cap

    steps = f"- {{id: day, delay: 1d}}\n- {{id: hello, send: {PUSH}}}"
    made = town(
        store, journey_text(steps, id="minor", priority="10", entry="{event: app_opened}"), journey_text(steps, id="major", priority="90", entry="{event: app_opened}"),
        rules=Rules(caps=(Cap(1, "day"),)),
    )  # fmt: skip
    made.post(OPENED)
    made.settle(NOON)

    made.settle(NOON + DAY)

    assert [(m["journey"], m["state"]) for m in made.story().messages] == [("major", "ACCEPTED")]
    with store.database.reading() as tx:
        assert store.reports.tallies(tx)["minor", "suppressed", "cap"] == 1


def test_a_large_batch_is_worked_off_in_several_ticks_and_everybody_has_her_turn(sqlite_store):
    people = [somebody(f"u{n:03}") for n in range(130)]
    made = town(sqlite_store, WELCOME, people=people)
    made.post(*(event("app_opened", NOON, user=u.id) for u in people))

    while made.engine.tick(NOON, limit=40).total:
        pass
    while made.engine.tick(NOON + DAY, limit=40).total:
        pass

    assert all(made.ends(u.id) == [("j", "completed")] for u in people)


def test_two_daemons_on_postgresql_share_the_work_and_nothing_is_done_twice(new_postgres):
    from concurrent.futures import ThreadPoolExecutor

    from runtime.store import open_store
    from tests.town import ZONE

    stores = [open_store(new_postgres, ZONE, "daemon") for _ in range(2)]
    people = [somebody(f"u{n:03}") for n in range(60)]
    first = town(stores[0], WELCOME, people=people)
    second = Town(stores[1], WELCOME)
    first.post(*(event("app_opened", NOON, user=u.id) for u in people))

    def work(made):
        for now in (NOON, NOON + DAY):
            for _ in range(40):
                made.engine.tick(now, limit=7)
                made.delivery.tick(now, limit=7)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, [first, second]))

    got = [m.key for made in (first, second) for m in made.vendors["push"].got]
    assert len(got) == len(set(got)) == 60
    assert all(first.ends(u.id) == [("j", "completed")] for u in people)
    for store in stores:
        store.close()
