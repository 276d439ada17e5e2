"""Whom a population lets in: nobody is asked before what she did is known, and who has gone meanwhile is left alone."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from runtime.engine import Engine
from runtime.policy import Rules
from runtime.rounds import Worked
from runtime.store.tables import populations
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, SECOND, WORLD, ZONE, Town, event, journey_text, somebody

MISS = f"- {{id: miss, send: {PUSH}}}"
BY_RANGES_AND_USER_BY_USER = ["single", "restart"]


def never_ordered(mode="single"):
    return journey_text(MISS, id="miss", entry=f"{{schedule: '0 12 * * *', where: user.orders_count == 0, mode: {mode}}}")


def told(town):
    return sorted(message.user_id for message in town.vendors["push"].got)


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_schedule_does_not_take_somebody_whose_order_waits_behind_a_merge(store, mode):
    town = Town(store, never_ordered(mode), applied_at=NOON - HOUR)
    town.settle_people(somebody(), somebody("openid:o1"))
    town.settle(NOON - HOUR)
    store.database.write(lambda tx: store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", NOON - SECOND))
    town.post(event("order_paid", NOON - SECOND, amount=1))

    town.settle(NOON)

    assert told(town) == []


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_schedule_does_not_take_somebody_whose_order_is_not_projected_because_another_was_just_merged(store, mode):
    town = Town(store, never_ordered(mode), applied_at=NOON - HOUR)
    town.settle_people(somebody(), somebody("openid:o1"), somebody("u2"), somebody("u3"))
    store.database.write(lambda tx: store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", NOON - MINUTE))
    town.settle(NOON - MINUTE)
    town.post(event("app_opened", NOON - SECOND, user="openid:o1"))  # resolved before the merge, committed after it
    town.post(event("order_paid", NOON - SECOND, user="u2", amount=1))

    town.settle(NOON)

    assert told(town) == ["u1", "u3"]


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_population_stands_before_the_first_with_something_in_the_inbox_and_goes_on_when_it_is_worked_off(store, mode, monkeypatch):
    town = Town(store, never_ordered(mode), applied_at=NOON - HOUR)
    town.settle_people(*(somebody(f"u{n}") for n in range(1, 6)))
    town.post(event("order_paid", NOON - SECOND, user="u3", amount=1))
    with monkeypatch.context() as held:
        held.setattr(town.engine, "_project", lambda *_: None)  # another daemon has her in hand

        town.settle(NOON)  # and it ends: a tick that has to wait has nothing to do

        assert told(town) == ["u1", "u2"]
    town.settle(NOON + SECOND)

    assert told(town) == ["u1", "u2", "u4", "u5"]


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_who_is_to_be_merged_into_somebody_who_has_ordered_is_not_told_under_her_other_id(store, mode, monkeypatch):
    town = Town(store, never_ordered(mode), applied_at=NOON - HOUR)
    town.settle_people(somebody("openid:o1"), somebody("u1"), somebody("u2"))
    town.post(event("order_paid", NOON - MINUTE, amount=1))
    town.settle(NOON - MINUTE)
    store.database.write(lambda tx: store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", NOON - SECOND))
    with monkeypatch.context() as held:
        held.setattr(town.engine, "_project", lambda *_: None)  # another daemon has the merge in hand

        town.settle(NOON)

        assert told(town) == []
    town.settle(NOON + SECOND)

    assert told(town) == ["u2"]


def test_what_came_after_the_tick_began_does_not_stop_a_population(store):
    """Under load something always has."""
    busy = store.populations.first_busy
    with store.database.batch() as batch:
        assert busy(batch.connection, "", NOON) is None
    town = Town(store, applied_at=NOON - HOUR)
    town.settle_people(somebody("openid:o1"), *(somebody(f"u{n}") for n in range(1, 6)))
    town.post(event("app_opened", NOON, user="u4"), event("app_opened", NOON + SECOND, user="u2"))
    with store.database.reading() as tx:
        assert [busy(tx, after, NOON) for after in ("", "u3", "u4")] == ["u4", "u4", None]
        assert busy(tx, "", NOON + SECOND) == "u2"


def test_what_waits_under_a_former_id_is_hers(store):
    town = Town(store, applied_at=NOON - HOUR)
    town.settle_people(somebody("openid:o1"), somebody("u1"), somebody("u2"))
    store.database.write(lambda tx: store.identity.note_merge(tx, "u2", "openid:o1", "app", "openid o1", NOON - HOUR))
    town.settle(NOON - HOUR)
    town.post(event("app_opened", NOON, user="openid:o1"))

    with store.database.reading() as tx:
        assert store.populations.first_busy(tx, "u1", NOON) == "u2"


# ---------------------------------------------------------------------------------------------------- those already inside, in their turn


QUIET = AUDIENCE.replace(
    "  tagged:",
    """  quiet: {name: 安静, when: user.orders_7d == 0}
  silent: {name: 静, when: "count('order_paid', within='7d') == 0"}
  sleepy: {name: 困, when: days_since(user.last_order_at) >= 7}
  tagged:""",
)
OTHER = journey_text("- {id: d, delay: 1d}", id="o", entry="{event: group_opened}")


def town_with_those_inside(store, entry, *users, ordered=(), mode="single", lives_on=NOON):
    """The journey goes live at NOON; `ordered` are how many days before each user's last order was."""
    town = Town(store, OTHER, audience_text=QUIET, applied_at=NOON - 20 * DAY)
    town.settle_people(*map(somebody, users), now=NOON - 20 * DAY)
    for user, days in zip(users, ordered, strict=False):
        town.post(event("order_paid", NOON - days * DAY, user=user, amount=1))
        town.settle(NOON - days * DAY)
    town.settle(NOON - HOUR)
    town.apply(OTHER, journey_text(MISS, id="miss", entry=f"{{{entry}, existing: enrol, mode: {mode}}}"), audience_text=QUIET, now=NOON)
    store.database.write(lambda tx: store.releases.add_population(tx, "miss", "existing@1", "existing", NOON))
    return town


def refused(store):
    with store.database.reading() as tx:
        return {
            reason: n for (journey, what, reason), n in store.reports.tallies(tx).items() if (journey, what) == ("miss", "refused") and n
        }


@pytest.mark.parametrize("segment", ["sleepy", "quiet", "silent"])
@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_who_has_ordered_before_her_turn_comes_is_not_told_that_we_miss_her(store, segment, mode):
    town = town_with_those_inside(store, f"segment: {segment}, pace: 1 per 1d", "u1", "u2", ordered=(10, 10), mode=mode)
    town.settle(NOON)
    assert told(town) == ["u1"]

    town.post(event("order_paid", NOON + HOUR, user="u2", amount=1))
    for now in (NOON + HOUR, NOON + DAY, NOON + 2 * DAY):
        town.settle(now)

    assert told(town) == ["u1"]


@pytest.mark.parametrize("pace", ["", ", pace: 1 per 1d"])
@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_her_turn_is_when_the_daemon_is_awake(store, pace, mode):
    """The release is three hours old when somebody works on it: she is asked as she is now, not only as she was."""
    town = town_with_those_inside(store, "segment: quiet" + pace, "u1", "u2", ordered=(10, 10), mode=mode)
    town.post(event("order_paid", NOON + HOUR, user="u1", amount=1))

    town.settle(NOON + 3 * HOUR)

    assert told(town) == ["u2"]


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_where_is_asked_in_her_turn_too_and_who_is_held_back_by_it_is_counted(store, mode):
    town = town_with_those_inside(store, "segment: buyers, where: user.orders_7d == 0", "u1", "u2", ordered=(10, 10), mode=mode)
    town.post(event("order_paid", NOON + HOUR, user="u1", amount=1))

    town.settle(NOON + 3 * HOUR)

    assert (told(town), refused(store)) == (["u2"], {"where": 1})


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_who_never_was_in_the_segment_is_not_taken_for_one_of_those_inside_because_her_history_moved_on(store, mode):
    people = [f"u{n}" for n in range(1, 8)]
    town = town_with_those_inside(store, "segment: quiet, pace: 1 per 1d", *reversed(people), ordered=[5], mode=mode)
    for day in range(9):
        if day in (1, 5):
            town.post(event("order_paid", NOON + day * DAY, user="u7", amount=1))  # an ardent buyer
        town.settle(NOON + day * DAY)

    assert told(town) == people[:-1]


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_the_log_of_an_entry_from_those_inside_says_values_for_which_its_clause_holds(store, mode):
    town = town_with_those_inside(store, "segment: quiet, pace: 1 per 1d", "u1", "u2", "u3", ordered=(10, 10, 10), mode=mode)
    town.settle(NOON)
    town.post(event("order_paid", NOON + HOUR, user="u2", amount=1))
    for now in (NOON + HOUR, NOON + DAY, NOON + 2 * DAY):
        town.settle(now)

    why = [e.why["values"] for user in ("u1", "u2", "u3") for _, _, e in town.story(user).log if e.action == "entered"]
    assert why == [{"user.orders_7d": 0}] * 2


# ---------------------------------------------------------------------------------------------------- schedules made up for


@pytest.mark.parametrize("days", [1, 4])
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_schedule_made_up_for_asks_for_the_window_as_it_was_and_after_long_as_it_is_now_too(store, days, fresh, mode):
    """u1 ordered in the week before the fire; u2 did not, and neither does she in the downtime."""
    miss = journey_text(MISS, id="miss", entry=f"{{schedule: '0 12 1 12 *', where: user.orders_7d == 0, mode: {mode}}}")
    town = Town(store, miss, audience_text=QUIET, applied_at=NOON - 20 * DAY)
    town.settle_people(somebody("u1"), somebody("u2"), now=NOON - 20 * DAY)
    town.post(event("order_paid", NOON - 6 * DAY, user="u1", amount=1))
    town.settle(NOON - 6 * DAY)
    if fresh:
        town.post(event("order_paid", NOON + days * DAY, user="u1", amount=1))

    town.settle(NOON + days * DAY)

    assert (told(town), refused(store)) == (["u2"], {"where": 1})


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_whoever_left_the_window_in_a_short_downtime_is_thanked_late_all_the_same(store, mode):
    thank = journey_text(MISS, id="miss", entry=f"{{schedule: '0 12 1 12 *', where: user.orders_7d > 0, mode: {mode}}}")
    town = Town(store, thank, audience_text=QUIET, applied_at=NOON - 20 * DAY)
    town.settle_people(somebody("u1"), now=NOON - 20 * DAY)
    town.post(event("order_paid", NOON - 6 * DAY, user="u1", amount=1))
    town.settle(NOON - 6 * DAY)

    town.settle(NOON + DAY + HOUR)

    assert told(town) == ["u1"]


# ---------------------------------------------------------------------------------------------------- those inside, after an edit

SPENT = AUDIENCE.replace("traits:\n", "traits:\n  spent: {type: number, sum: order_paid, of: amount, within: 60d}\n").replace(
    "segments:\n", "segments:\n  spenders: {name: S, when: user.spent >= 800}\n"
)


def town_of_spenders(store, mode, **spent):
    """The journey goes live at NOON and lets one in an hour; the first has entered."""
    text = journey_text(MISS, id="miss", entry=f"{{segment: spenders, existing: enrol, pace: 1 per 1h, mode: {mode}}}")
    town = Town(store, OTHER, audience_text=SPENT, applied_at=NOON - 20 * DAY)
    town.settle_people(*map(somebody, spent), now=NOON - 20 * DAY)
    for user, amount in spent.items():
        town.post(event("order_paid", NOON - 10 * DAY, user=user, amount=amount))
    town.settle(NOON - 10 * DAY)
    town.apply(OTHER, text, audience_text=SPENT, now=NOON)
    store.database.write(lambda tx: store.releases.add_population(tx, "miss", "existing@2", "existing", NOON))
    town.settle(NOON)

    def edit(now, *pairs, journey=text):
        audience = SPENT
        for pair in pairs:
            audience = audience.replace(*pair)
        town.apply(OTHER, journey, audience_text=audience, now=now)

    return town, edit


def settle_hourly(town, since, hours=6):
    for hour in range(hours):
        town.settle(since + hour * HOUR)


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
@pytest.mark.parametrize(("threshold", "enter"), [(">= 100", ["u1", "u3", "u5"]), (">= 1000", ["u1", "u5"])])
def test_an_edit_of_the_segment_makes_nobody_one_of_those_inside_and_keeps_out_whom_it_puts_outside(store, mode, threshold, enter):
    town, edit = town_of_spenders(store, mode, u1=900, u2=200, u3=900, u4=50, u5=2000)
    assert told(town) == ["u1"]

    edit(NOON + MINUTE, (">= 800", threshold))
    settle_hourly(town, NOON + HOUR)

    assert told(town) == enter


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_the_queue_of_those_inside_stands_while_nobody_can_tell_any_more_who_was_and_goes_on_when_the_edit_is_taken_back(store, mode):
    town, edit = town_of_spenders(store, mode, u1=900, u2=900, u3=200)

    edit(NOON + MINUTE, (">= 800", ">= 100"), ("within: 60d", "within: 30d"))
    settle_hourly(town, NOON + HOUR)
    assert told(town) == ["u1"]
    assert town.engine.next_work() is None or town.engine.next_work() > NOON + 7 * HOUR  # nobody is woken for it

    edit(NOON + 7 * HOUR)
    settle_hourly(town, NOON + 7 * HOUR)
    assert told(town) == ["u1", "u2"]


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_queue_that_stands_holds_up_no_other(store, mode):
    town, edit = town_of_spenders(store, mode, u1=900, u2=900)
    other = journey_text(MISS, id="late", entry=f"{{at: '2026-12-01 14:00', where: user.spent > 0, mode: {mode}}}")
    edit(NOON + MINUTE, ("within: 60d", "within: 30d"))
    with store.database.reading() as tx:
        miss = next(v.source for v in store.releases.current(tx).versions if v.journey == "miss")
    town.apply(OTHER, miss, other, audience_text=SPENT.replace("within: 60d", "within: 30d"), now=NOON + 2 * MINUTE)
    store.database.write(lambda tx: store.releases.add_population(tx, "late", "at@1", "at", NOON + 2 * HOUR))

    settle_hourly(town, NOON + HOUR)

    assert told(town) == ["u1", "u1", "u2"]


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_who_has_forgotten_what_the_rule_of_before_an_edit_looks_back_on_is_not_taken_for_one_of_those_inside(store, mode):
    """u9 was outside when the journey went live; what tells so has left her history when her turn would come."""
    people = ("u9", "u4", "u3", "u2", "u1")
    town = town_with_those_inside(store, "segment: quiet, pace: 1 per 1d", *people, ordered=[6], mode=mode)
    town.settle(NOON)
    with store.database.reading() as tx:
        miss = next(v.source for v in store.releases.current(tx).versions if v.journey == "miss")
    town.apply(OTHER, miss, audience_text=QUIET.replace("user.orders_7d == 0", "user.orders_7d <= 1"), now=NOON + MINUTE)

    for day in range(1, 8):
        if day == 4:
            town.post(event("order_paid", NOON + day * DAY, user="u9", amount=1))
        town.settle(NOON + day * DAY)

    assert told(town) == ["u1", "u2", "u3", "u4"]


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_of_a_journey_that_takes_another_segment_those_inside_are_still_those_of_the_one_by_which_it_went_live(store, mode):
    town, edit = town_of_spenders(store, mode, u1=900, u2=200, u3=900)
    buyers = journey_text(MISS, id="miss", entry=f"{{segment: buyers, existing: enrol, pace: 1 per 1h, mode: {mode}}}")

    edit(NOON + MINUTE, journey=buyers)
    settle_hourly(town, NOON + HOUR)

    assert told(town) == ["u1", "u3"]


# ---------------------------------------------------------------------------------------------------- a release in the middle of a tick


@pytest.mark.parametrize(
    "before", [[OTHER], [OTHER, journey_text(MISS, id="miss", entry="{segment: buyers, existing: enrol}", status="closed")]]
)
@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_tick_that_began_under_the_release_before_leaves_the_new_ones_population_to_the_next(store, mode, before):
    town = Town(store, *before, applied_at=NOON - DAY)
    town.settle_people(somebody("u1", city="上海"), somebody("u2"))
    catalogue = town.engine.catalogue
    live = journey_text(MISS, id="miss", entry=f"{{segment: here, existing: enrol, mode: {mode}}}")
    town.apply(
        OTHER, live, audience_text=AUDIENCE.replace("segments:\n", "segments:\n  here: {name: H, when: user.city == '上海'}\n"), now=NOON
    )
    store.database.write(lambda tx: store.releases.add_population(tx, "miss", "existing@2", "existing", NOON))

    town.engine.populating.go_on(catalogue, NOON, 500, Worked())
    town.settle(NOON)

    assert (told(town), refused(store)) == (["u1"], {})


@pytest.mark.parametrize("mode", BY_RANGES_AND_USER_BY_USER)
def test_a_daemon_whose_config_cannot_read_the_journey_leaves_its_population_to_one_that_can(store, mode):
    town = Town(store, never_ordered(mode), applied_at=NOON - HOUR)
    town.settle_people(somebody("u1"))
    store.database.write(lambda tx: store.releases.add_population(tx, "miss", f"schedule@{NOON}", "schedule", NOON))
    without_push = {name: templates for name, templates in WORLD.channels.items() if name != "push"}
    other = Engine(store, replace(WORLD, channels=without_push), ZONE, Rules())
    other.refresh()

    while other.tick(NOON).total:
        pass
    assert other.next_work() is None or other.next_work() > NOON  # nobody is woken for it
    town.settle(NOON)

    assert told(town) == ["u1"]


def test_a_release_of_which_not_all_could_be_read_is_read_again_before_its_schedules_fire(store, monkeypatch):
    """Since when it counts is known last: without it a schedule would make up for its fires since 1970."""
    made = Town(store, OTHER)
    made.settle_people(somebody())
    with monkeypatch.context() as broken:
        broken.setattr(store.releases, "held", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.apply(journey_text(MISS, entry="{schedule: 0 12 * * *}"), now=NOON - DAY // 2)

    made.engine.refresh()
    made.think(NOON)

    with store.database.reading() as tx:
        assert tx.execute(select(populations.c.fact_id)).scalars().all() == [f"schedule@{NOON}"]
