"""How people come in otherwise than by their own events: segments, schedules, dates, and other people."""

import pytest
from sqlalchemy import select, update

from runtime.session import Rehearsal
from runtime.state import Fact
from runtime.status import journeys_summary
from runtime.store.tables import enrolments, inbox, users
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, Town, at, event, journey_text, somebody, town

GOAL = "{event: order_paid, within: 14d}"
OPENED = event("app_opened", NOON, id="opened")


def run_sql(made, statement):
    made.store.database.write(lambda tx: tx.execute(statement))


# --- segments, populations, schedules, dates


def dormant(user_id="u1", days=29):
    user = somebody(user_id)
    user.profile["a"] = {"orders_count": 1, "last_order_at": [NOON - days * DAY, "x", NOON - days * DAY]}
    return user


SLEEPERS = journey_text(f"- {{id: hello, send: {PUSH}}}", entry="{segment: dormant, existing: skip}", goal=GOAL)


def test_a_segment_lets_in_at_the_moment_it_begins_by_time_alone(store):
    made = town(store, SLEEPERS, people=[dormant()])
    run_sql(made, update(users).values(recheck_at=NOON))
    made.settle(NOON)
    assert made.ends() == []

    assert made.engine.next_work() == NOON + DAY
    made.settle(NOON + DAY - 1)
    assert made.ends() == []
    made.settle(NOON + DAY)

    assert made.ends() == [("j", "completed")]
    assert made.story().enrolments[0]["entered_at"] == NOON + DAY


def test_a_segment_that_began_during_a_downtime_lets_in_at_its_own_time(store):
    made = town(store, SLEEPERS, people=[dormant()])
    run_sql(made, update(users).values(recheck_at=NOON))
    made.settle(NOON)

    made.settle(NOON + 3 * DAY)

    assert made.story().enrolments[0]["entered_at"] == NOON + DAY


def test_those_inside_before_are_skipped_or_enrolled_as_the_file_says(store):
    people = [dormant(f"u{n}", 40) for n in range(3)] + [dormant("young", 5)]
    skip = SLEEPERS.replace("id: j", "id: skipping")
    enrol = SLEEPERS.replace("id: j", "id: enrolling").replace("existing: skip", "existing: enrol, pace: 2 per 1d")
    made = town(store, skip, enrol, people=people)
    store.database.write(lambda tx: store.releases.add_population(tx, "enrolling", "existing@1", "existing", NOON))

    made.settle(NOON)
    first = [made.ends(f"u{n}") for n in range(3)]
    made.settle(NOON + DAY - 1)
    still = [made.ends(f"u{n}") for n in range(3)]
    made.settle(NOON + DAY)

    assert first == still == [[("enrolling", "completed")], [("enrolling", "completed")], []], "two a day"
    assert made.ends("u2") == [("enrolling", "completed")]
    assert made.ends("young") == []


def test_a_schedule_fires_once_per_fire_and_catches_up_after_a_downtime(store):
    made = town(store, journey_text("- {id: last, exit: done}", entry="{schedule: 0 9 * * *}"), applied_at=at("2026-12-01 08:00"))

    made.settle(at("2026-12-01 08:59"))
    assert made.ends() == []
    assert made.engine.next_work() == at("2026-12-01 09:00")
    made.settle(at("2026-12-01 09:00"))
    made.settle(at("2026-12-01 09:30"))
    assert len(made.ends()) == 1
    made.settle(at("2026-12-03 10:00"))

    assert [e["entered_at"] for e in made.story().enrolments] == [at(f"2026-12-0{n} 09:00") for n in (1, 2, 3)]


def test_a_schedule_takes_only_those_whom_where_lets_in(store):
    made = town(
        store, journey_text("- {id: last, exit: done}", entry="{schedule: 0 12 * * *, where: user.city == '上海'}"),
        people=[somebody("u1", city="上海"), somebody("u2", city="北京")],
    )  # fmt: skip

    made.settle(NOON)

    assert (made.ends("u1"), made.ends("u2")) == ([("j", "done")], [])
    with store.database.reading() as tx:
        assert store.reports.tallies(tx)["j", "refused", "where"] == 1, "refusals of a population are counted, not kept one by one"
    assert made.story("u2").refusals == []


def test_a_moment_lets_everybody_in_once(store):
    made = town(store, journey_text("- {id: last, exit: done}", entry='{at: "2026-12-01 12:00"}'), people=[somebody("u1"), somebody("u2")])
    store.database.write(lambda tx: store.releases.add_population(tx, "j", "at@1", "at", NOON))

    made.settle(NOON - 1)
    assert made.ends("u1") == []
    made.settle(NOON)
    made.settle(NOON + DAY)

    assert (made.ends("u1"), made.ends("u2")) == ([("j", "done")], [("j", "done")])


def test_a_date_fires_at_its_own_time_and_not_again(store):
    made = town(
        store, journey_text("- {id: last, exit: done}", entry='{date: user.birthday, at: "09:30"}'), people=[somebody(birthday="12-03")]
    )
    run_sql(made, update(users).values(recheck_at=NOON))
    made.settle(NOON)

    assert made.engine.next_work() == at("2026-12-03 09:30")
    made.settle(at("2026-12-03 09:30"))
    made.settle(at("2026-12-04 09:30"))

    assert [e["entered_at"] for e in made.story().enrolments] == [at("2026-12-03 09:30")]
    assert made.engine.next_work() == at("2027-12-03 09:30")


def test_an_event_moves_the_date_that_reads_it(store):
    text = AUDIENCE.replace("segments:", "  cutoff_at: {type: time, last: group_opened, of: cutoff_at}\nsegments:", 1)
    made = Town(store, journey_text("- {id: last, exit: done}", entry="{date: user.cutoff_at}"), audience_text=text)
    made.post(event("app_opened", NOON))
    made.settle(NOON)

    made.post(event("group_opened", NOON + HOUR, group_id="g1", cutoff_at=NOON + 9 * HOUR))
    made.settle(NOON + HOUR)

    assert made.engine.next_work() == NOON + 9 * HOUR
    made.settle(NOON + 9 * HOUR)
    assert made.ends("u1") == [("j", "done")]


def test_a_call_enrols_one_and_says_when_it_is_refused(store):
    made = town(store, journey_text("- {id: d, delay: 1d}"))

    first = made.engine.enter_one("u1", "j", Fact("api", "c1", NOON), NOON)
    again = made.engine.enter_one("u1", "j", Fact("api", "c2", NOON + 1), NOON + 1)

    assert (first, again) == (True, False)
    assert [r["reason"] for r in made.story().refusals] == ["mode"]


@pytest.mark.parametrize("forced", ["out", "in"])
@pytest.mark.parametrize("how", ["exit", "restart"])
def test_who_converts_after_an_end_is_counted_where_she_belonged(store, forced, how):
    restarts = {"entry": "{event: app_opened, mode: restart, reentry: always}"} if how == "restart" else {"entry": "{event: app_opened}"}
    text_ = journey_text(
        "- {id: d, delay: 9d}", goal=GOAL, holdout="10%", exit_when="[{event: account_closed, reason: closed}]", **restarts
    )
    made = town(store, text_, rehearsal=Rehearsal(forced=forced))
    made.post(OPENED, event("app_opened" if how == "restart" else "account_closed", NOON + HOUR))
    made.think(NOON + HOUR)

    made.post(event("order_paid", NOON + DAY))
    made.think(NOON + DAY)

    counts = journeys_summary(store)["j"]
    converted = 2 if how == "restart" else 1  # either entry has its window
    assert (counts["converted"], counts["holdout_converted"]) == (converted, converted if forced == "out" else 0)


def test_the_end_of_a_journey_is_an_event_that_others_may_use(store):
    first = journey_text("- {id: last, exit: done}", id="first")
    second = journey_text(
        "- {id: d, delay: 1d}", id="second", entry="{event: journey_ended, where: event.journey == 'first' and event.reason == 'done'}"
    )
    made = town(store, first, second)

    made.engine.enter_one("u1", "first", Fact("api", "c1", NOON), NOON)

    assert made.ends() == [("first", "done"), ("second", None)]


@pytest.mark.parametrize("mode", ["single", "parallel", "restart"])
def test_journeys_whose_ends_let_each_other_in_do_so_once_in_one_moment(store, mode):
    first, second = (
        journey_text("- {id: last, exit: done}", id=name, entry=f"{{event: journey_ended, reentry: always, mode: {mode}}}")
        for name in ("first", "second")
    )
    made = town(store, journey_text("- {id: last, exit: done}", entry="{event: app_opened}"), first, second)

    made.post(OPENED)
    worked = made.think(NOON)

    assert (worked.quarantined, sorted(made.ends())) == (0, [("first", "done"), ("j", "done"), ("second", "done")])


def test_such_a_journey_goes_round_as_often_as_time_passes(store):
    text_ = journey_text("- {id: d, delay: 1d}", entry="{event: [app_opened, journey_ended], reentry: always}")
    made = town(store, text_)
    made.post(OPENED)

    for days in range(4):
        made.think(NOON + days * DAY)

    assert made.ends() == [("j", "completed")] * 3 + [("j", None)]


def test_the_end_by_a_restart_is_such_an_event_too(store):
    first = journey_text("- {id: d, delay: 9d}", id="first", entry="{event: app_opened, mode: restart, reentry: always}")
    second = journey_text("- {id: d, delay: 1d}", id="second", entry="{event: journey_ended, where: event.reason == 'restarted'}")
    made = town(store, first, second)

    made.post(OPENED, event("app_opened", NOON + HOUR))
    made.think(NOON + HOUR)

    assert sorted(made.ends(), key=str) == [("first", "restarted"), ("first", None), ("second", None)]


def test_an_end_by_a_settled_grant_is_such_an_event_too(store):
    first = journey_text("- {id: gift, grant: {benefit: gift}}", id="first", entry="{event: app_opened}")
    second = journey_text("- {id: d, delay: 1d}", id="second", entry="{event: journey_ended, where: event.journey == 'first'}")
    made = town(store, first, second)

    made.post(OPENED)
    made.settle(NOON)

    assert made.ends() == [("first", "completed"), ("second", None)]


def test_a_stage_that_changes_is_an_event(store):
    made = town(store, journey_text("- {id: d, delay: 1d}", entry="{event: stage_changed, where: event.to == 'gone'}"), people=[dormant()])
    run_sql(made, update(users).values(recheck_at=NOON))
    made.settle(NOON)

    made.settle(NOON + DAY)

    assert made.ends() == [("j", None)]
    assert ("stage_changed", "") in made.actions()


# --- other people


def test_what_no_rule_can_read_of_an_event_is_kept_with_the_event_alone(store):
    """An SDK's event may be as long as its request; whoever is let in by it, or waited for it, is read and written at every step."""
    waits = journey_text(
        "- {id: w, wait_for: {event: friend_woken, timeout: 5d}}\n- {id: d, delay: 9d}", id="waits", entry="{event: app_opened}"
    )
    herself = journey_text("- {id: d, delay: 9d}", id="herself", entry="{event: friend_woken}")
    another = journey_text("- {id: d, delay: 9d}", id="another", entry="{event: friend_woken, user: entry.friend_id}")
    made = town(store, waits, herself, another, people=[somebody(), somebody("u2")])
    made.post(OPENED, event("friend_woken", NOON + 1, friend_id="u2", blob="b" * 9999))

    made.engine.tick(NOON + 1)
    with store.database.reading() as tx:
        waiting = [payload for (payload,) in tx.execute(select(inbox.c.payload))]
    made.think(NOON + 1)

    with store.database.reading() as tx:
        kept = dict(tx.execute(select(enrolments.c.journey, enrolments.c.context)).all())
    assert [set(kept), len(waiting)] == [{"waits", "herself", "another"}, 1]
    assert all("u2" in text and "bbb" not in text for text in (*waiting, *kept.values()))


def test_an_entry_may_enrol_somebody_else_than_the_events_user(store):
    text_ = journey_text(
        "- {id: hello, send: [{push: {title: T, body: '{{ entry.friend_id }}'}}]}",
        entry="{event: friend_woken, user: event.friend_ids}".replace("event.friend_ids", "entry.friend_ids"),
    )
    made = town(store, text_, people=[somebody("u1"), somebody("a"), somebody("b")])

    made.post(event("friend_woken", NOON, user="u1", friend_id="f", friend_ids=["a", "b", "a", "u1"]))
    made.settle(NOON)

    assert [made.ends(u) for u in ("u1", "a", "b")] == [[("j", "completed")]] * 3
    assert sorted(m.address for m in made.vendors["push"].got) == ["a-push_id", "b-push_id", "u1-push_id"]


def test_a_wait_sees_the_events_of_the_user_it_names(store):
    steps = "- {id: look, wait_for: {event: app_opened, of: user.leader_id, timeout: 1d}, on_event: [{exit: she_came}], on_timeout: [{exit: silent}]}"
    made = town(store, journey_text(steps, entry="{event: order_paid}"), people=[somebody("u1", leader_id="boss"), somebody("boss")])
    made.post(event("order_paid", NOON))
    made.settle(NOON)

    made.post(event("app_opened", NOON + 1), event("app_opened", NOON + HOUR, user="boss"))
    made.settle(NOON + HOUR)

    assert made.ends() == [("j", "she_came")]
    assert made.story().enrolments[0]["ended_at"] == NOON + HOUR
    with store.database.reading() as tx:
        assert store.inbox.watchers_of(tx, ["boss"], NOON) == {}


def test_a_wait_sees_the_other_users_events_that_came_in_the_same_batch(store):
    steps = "- {id: look, wait_for: {event: app_opened, of: user.leader_id, timeout: 1d}, on_event: [{exit: she_came}], on_timeout: [{exit: silent}]}"
    made = town(store, journey_text(steps, entry="{event: order_paid}"), people=[somebody("u1", leader_id="boss"), somebody("boss")])

    made.post(event("order_paid", NOON), event("app_opened", NOON + MINUTE, user="boss", received=NOON + HOUR))
    made.settle(NOON + HOUR)

    assert made.ends() == [("j", "she_came")]


def test_a_goal_may_be_somebody_elses_event(store):
    made = town(
        store, journey_text("- {id: d, delay: 9d}", entry="{event: app_opened}", goal="{event: order_paid, of: user.leader_id, within: 5d}"),
        people=[somebody("u1", leader_id="boss"), somebody("boss")],
    )  # fmt: skip
    made.post(OPENED)
    made.settle(NOON)

    made.post(event("order_paid", NOON + HOUR, user="boss"))
    made.settle(NOON + HOUR)

    assert made.ends() == [("j", "converted")]
