"""What time and releases do to a user: a date counts from when it was asked for, a flip has its own time, nobody enters by an edit."""

from zoneinfo import ZoneInfo

import pytest

from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, SECOND, Town, at, event, journey_text, somebody

SEND = f"- {{id: hi, send: {PUSH}}}"
OTHER = journey_text(SEND, id="k", entry="{event: group_opened}")
BIRTHDAY = journey_text(SEND, id="j", entry="{date: user.birthday, at: '09:00'}")
BOOKED = journey_text(SEND, id="j", entry="{date: user.booked_at, offset: -1d, reentry: always}")
NEW_YORK = ZoneInfo("America/New_York")
SLEEPY = "  sleepy: {{name: 困, when: days_since(user.last_order_at) >= {days}}}\n  tagged:"


def living(town, since, until, step=3 * HOUR):
    for now in range(since, until + 1, step):
        town.settle(now)


def entries(town):
    return [e.at for _, _, e in town.story().log if e.action == "entered"]


# ---------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize("birthday", ["06-01", "11-25", "12-01"])
def test_a_birthday_that_was_over_when_the_journey_went_live_is_not_wished(store, birthday):
    town = Town(store, OTHER)
    town.tell("u1", NOON - 200 * DAY, traits={"birthday": birthday})
    town.settle(NOON - 200 * DAY)

    town.apply(OTHER, BIRTHDAY, now=NOON)
    living(town, NOON, NOON + 2 * DAY)

    assert entries(town) == []


def test_one_that_is_to_come_is(store):
    town = Town(store, OTHER)
    town.tell("u1", NOON - 20 * DAY, traits={"birthday": "12-03"})
    town.settle(NOON - 20 * DAY)

    town.apply(OTHER, BIRTHDAY, now=NOON)
    living(town, NOON, NOON + 3 * DAY)

    assert entries(town) == [at("2026-12-03 09:00")]


@pytest.mark.parametrize("status", ["draft", "closed"])
def test_a_journey_that_was_no_draft_any_more_or_was_opened_again_does_not_make_up_for_it(store, status):
    shut = BIRTHDAY.replace("status: live", f"status: {status}")
    town = Town(store, OTHER, shut, now=NOON - 100 * DAY)
    town.tell("u1", NOON - 100 * DAY, traits={"birthday": "11-01"})
    living(town, NOON - 100 * DAY, NOON - DAY, 11 * DAY)

    town.apply(OTHER, BIRTHDAY, now=NOON)
    living(town, NOON, NOON + DAY)

    assert entries(town) == []


@pytest.mark.parametrize("edited", [("body: B", "body: B2"), ("09:00", "20:00")])
def test_an_edit_of_the_text_or_of_the_hour_on_the_day_itself_wishes_nobody_twice(store, edited):
    town = Town(store, OTHER, BIRTHDAY, now=NOON - 10 * DAY)
    town.tell("u1", NOON - 10 * DAY, traits={"birthday": "12-01"})
    living(town, NOON - 10 * DAY, NOON - HOUR)

    town.apply(OTHER, BIRTHDAY.replace(*edited), now=NOON)
    living(town, NOON, NOON + 2 * DAY)

    assert entries(town) == [at("2026-12-01 09:00")]


def test_a_birthday_in_a_downtime_in_which_only_the_text_was_edited_is_wished_at_its_time(store):
    late = BIRTHDAY + "max_lateness: 30d\n"
    town = Town(store, OTHER, late, now=NOON - 10 * DAY)
    town.tell("u1", NOON - 10 * DAY, traits={"birthday": "12-03"})
    living(town, NOON - 10 * DAY, NOON)

    town.apply(OTHER, late.replace("body: B", "body: B2"), now=NOON + 4 * DAY)
    town.settle(NOON + 5 * DAY)

    assert entries(town) == [at("2026-12-03 09:00")]


@pytest.mark.parametrize("asleep", [False, True])
def test_a_birthday_that_was_over_when_she_told_it_waits_for_the_next_year(store, asleep):
    town = Town(store, BIRTHDAY, now=NOON - 20 * DAY)
    town.tell("u1", NOON - 10 * DAY, city="上海")
    town.settle(NOON - 10 * DAY)
    if not asleep:
        town.tell("u1", NOON - DAY, city="杭州")
        town.settle(NOON - DAY)

    town.tell("u1", NOON, traits={"birthday": "11-25"})
    living(town, NOON, NOON + DAY)

    assert entries(town) == []


def test_whoever_tells_another_birthday_has_one_a_year(store):
    town = Town(store, BIRTHDAY, now=NOON - 20 * DAY)
    town.tell("u1", NOON - 10 * DAY, traits={"birthday": "12-01"})
    living(town, NOON - 10 * DAY, NOON)

    town.tell("u1", NOON, traits={"birthday": "12-05"})
    living(town, NOON, NOON + 8 * DAY)

    assert entries(town) == [at("2026-12-01 09:00")]


def test_an_appointment_that_is_moved_into_the_past_lets_nobody_in_and_one_that_is_moved_on_does(store):
    town = Town(store, BOOKED, now=NOON - 20 * DAY)
    town.tell("u1", NOON - 20 * DAY, city="上海")
    town.settle(NOON - 20 * DAY)

    town.tell("u1", NOON, traits={"booked_at": "2026-11-20 10:00"})
    town.settle(NOON)
    town.tell("u1", NOON + 1, traits={"booked_at": "2026-12-05 10:00"})
    living(town, NOON + 1, NOON + 6 * DAY)

    assert entries(town) == [at("2026-12-04 10:00")]


def test_whoever_flies_west_on_her_birthday_is_wished_once(store):
    town = Town(store, BIRTHDAY, now=NOON - 20 * DAY)
    town.tell("u1", NOON - 10 * DAY, traits={"birthday": "12-01"})
    living(town, NOON - 10 * DAY, NOON)

    town.tell("u1", NOON, zone="America/New_York")
    living(town, NOON, NOON + 2 * DAY)

    assert entries(town) == [at("2026-12-01 09:00")]


def test_whoever_flies_east_into_her_birthday_is_wished_that_day(store):
    before = at("2026-11-30 23:00", NEW_YORK)  # in Shanghai it is noon on her birthday
    town = Town(store, BIRTHDAY, now=before - 20 * DAY)
    town.tell("u1", before - 10 * DAY, traits={"birthday": "12-01"}, zone="America/New_York")
    living(town, before - 10 * DAY, before)

    town.tell("u1", before + 1, zone="Asia/Shanghai")
    living(town, before + 1, before + 2 * DAY)

    assert entries(town) == [at("2026-12-01 09:00")]


# ---------------------------------------------------------------------------------------------------- releases


@pytest.mark.parametrize("before", ["", SLEEPY.format(days=60)])
def test_a_segment_that_a_release_has_changed_flips_at_its_own_time_though_nobody_was_awake_then(store, before):
    first = AUDIENCE.replace("  tagged:", before) if before else AUDIENCE
    sleepy = journey_text(SEND, id="j", entry="{segment: sleepy, existing: skip}")
    town = Town(store, OTHER, audience_text=first)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)

    town.apply(OTHER, sleepy, audience_text=AUDIENCE.replace("  tagged:", SLEEPY.format(days=10)), now=NOON + 9 * DAY)
    town.settle(NOON + 12 * DAY)

    assert entries(town) == [NOON + 10 * DAY]


GRANTED = "- {id: g, grant: {benefit: gift}}"
WOKEN = "- {id: w, wait_for: {event: friend_woken, of: \"'u2'\", timeout: 30d}}"


@pytest.mark.parametrize("step", [GRANTED, WOKEN])
def test_an_answer_or_anothers_event_just_after_a_release_lets_nobody_into_the_segment_she_was_in_already(store, step):
    inside = journey_text(f"{step}\n- {{id: t, update: {{add_tags: [got]}}}}\n- {{id: d, delay: 1d}}", id="g", entry="{event: app_opened}")
    bought = AUDIENCE.replace("  tagged:", "  bought: {name: 买过了, when: user.orders_count >= 1}\n  tagged:")
    town = Town(store, inside)
    town.settle_people(somebody(), somebody("u2"))
    town.post(event("order_paid", NOON - HOUR, amount=1))
    town.settle(NOON - HOUR)
    town.post(event("app_opened", NOON))
    town.think(NOON)
    town.post(event("friend_woken", NOON + 100, user="u2", friend_id="x"))

    entered = journey_text(SEND, id="k", entry="{segment: bought, existing: skip}")
    town.apply(inside, entered, audience_text=bought, now=NOON + SECOND)
    town.deliver(NOON + SECOND)  # the answer to the grant
    town.think(NOON + 2 * SECOND)
    town.settle(NOON + MINUTE)

    assert [journey for journey, _ in town.ends()] == ["g"]
    assert ("updated", "t") in town.actions()


# ---------------------------------------------------------------------------------------------------- the stage


IN_BUYING = AUDIENCE.replace("  tagged:", "  in_buying: {name: 在买段, when: user.stage == 'buying'}\n  tagged:")


def test_a_segment_of_a_stage_begins_and_ends_with_it(store):
    entered = journey_text(SEND, id="j", entry="{segment: in_buying, existing: skip}")
    town = Town(store, entered, audience_text=IN_BUYING)
    town.post(event("app_opened", NOON - HOUR))
    town.settle(NOON - HOUR)

    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    town.settle(NOON + 40 * DAY)

    flips = [(e.action, e.at) for _, _, e in town.story().log if e.why.get("segment") == "in_buying"]
    assert flips[-2:] == [("segment_entered", NOON), ("segment_left", NOON + 30 * DAY)]
    assert entries(town) == [NOON]


def test_whoever_waits_for_a_stage_goes_on_when_it_begins_by_an_event_or_by_time(store):
    waits = "- {{id: w, wait_for: {{when: user.stage == '{stage}', timeout: 60d}}, on_timeout: [{{exit: never}}]}}"
    by_event = journey_text(waits.format(stage="buying"), id="a", entry="{event: app_opened}")
    by_time = journey_text(waits.format(stage="gone"), id="b", entry="{event: order_paid}")
    town = Town(store, by_event, by_time)
    town.post(event("app_opened", NOON - HOUR))
    town.settle(NOON - HOUR)

    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    living(town, NOON, NOON + 40 * DAY, DAY)

    assert sorted(town.ends()) == [("a", "completed"), ("b", "completed")]
    assert [e.at for _, _, e in town.story().log if e.action == "matched"] == [NOON, NOON + 30 * DAY]


def test_an_entry_and_an_exit_ask_for_the_stage_as_it_is_after_the_event(store):
    first = journey_text(SEND, id="a", entry="{event: order_paid, where: user.stage == 'buying' and user.orders_count == 1}")
    left = journey_text(
        "- {id: w, delay: 5d}", id="b", entry="{event: app_opened}", exit_when="[{when: user.stage == 'buying', reason: bought}]"
    )
    town = Town(store, first, left)
    town.post(event("app_opened", NOON - HOUR))
    town.settle(NOON - HOUR)

    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    town.settle(NOON + 6 * DAY)

    assert sorted(town.ends()) == [("a", "completed"), ("b", "bought")]


# ---------------------------------------------------------------------------------------------------- waits for a segment


def sleepy(days):
    return AUDIENCE.replace("  tagged:", SLEEPY.format(days=days))


@pytest.mark.parametrize("asleep", [False, True])
@pytest.mark.parametrize("first", ["time", "event", "timer"])
def test_a_wait_for_a_segment_goes_on_when_the_segment_as_edited_begins(store, asleep, first):
    """Whatever works on her first after the release: her turn of time, an event, or the timer of another journey."""
    waits = journey_text(
        "- {id: w, wait_for: {when: segment('sleepy'), timeout: 60d}, on_timeout: [{exit: never}]}", id="j", entry="{event: order_paid}"
    )
    other = journey_text("- {id: d, delay: 5d}", id="k", entry="{event: group_opened}")
    town = Town(store, waits, other, audience_text=sleepy(30))
    town.settle_people(somebody(), now=NOON - DAY)
    town.post(event("order_paid", NOON, amount=1), event("group_opened", NOON))
    town.settle(NOON)
    town.apply(waits, other, audience_text=sleepy(10), now=NOON + 5 * DAY)
    awake = NOON + 12 * DAY if asleep else NOON + 5 * DAY
    if first == "event":
        town.post(event("app_opened", awake))
    elif first == "timer":
        town.engine._rechecked = town.engine.catalogue.audience_digest  # her turn comes later
    living(town, awake, NOON + 35 * DAY, DAY)

    matched = awake if first == "event" and asleep else NOON + 10 * DAY  # an event comes before an overdue timer
    assert [e.at for _, _, e in town.story().log if e.action == "matched"] == [matched]


def test_a_wait_for_a_segment_that_has_begun_long_ago_by_the_edit_goes_on_at_the_edit(store):
    waits = journey_text("- {id: w, wait_for: {when: segment('sleepy'), timeout: 60d}}", id="j", entry="{event: order_paid}")
    town = Town(store, waits, audience_text=sleepy(30))
    town.settle_people(somebody(), now=NOON - DAY)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    town.apply(waits, audience_text=sleepy(3), now=NOON + 5 * DAY)
    town.settle(NOON + 5 * DAY + MINUTE)

    assert [e.at for _, _, e in town.story().log if e.action == "matched"] == [NOON + 5 * DAY]


def test_a_wait_for_a_segment_whose_edit_puts_it_off_waits_longer(store):
    waits = journey_text("- {id: w, wait_for: {when: segment('sleepy'), timeout: 60d}}", id="j", entry="{event: order_paid}")
    town = Town(store, waits, audience_text=sleepy(10))
    town.settle_people(somebody(), now=NOON - DAY)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    town.apply(waits, audience_text=sleepy(20), now=NOON + 5 * DAY)
    living(town, NOON + 5 * DAY, NOON + 35 * DAY, DAY)

    assert [e.at for _, _, e in town.story().log if e.action == "matched"] == [NOON + 20 * DAY]


# ---------------------------------------------------------------------------------------------------- several releases in one downtime


@pytest.mark.parametrize(
    "more", ["", "  rich: {name: 富, when: user.points > 5}\n", "  late: {name: 晚, when: days_since(user.last_order_at) >= 10.5}\n"]
)
def test_a_segment_in_force_since_the_first_of_two_releases_flips_at_its_own_time_though_nobody_was_awake(store, more):
    """And one of the second, which held when that was applied, is nobody's edge by it."""
    entered = journey_text(SEND, id="j", entry="{segment: sleepy, existing: skip}")
    town = Town(store, OTHER, audience_text=AUDIENCE)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    town.apply(OTHER, entered, audience_text=sleepy(10), now=NOON + 9 * DAY)
    if more:
        town.apply(OTHER, entered, audience_text=sleepy(10).replace("  tagged:", more + "  tagged:"), now=NOON + 11 * DAY)
    town.settle(NOON + 12 * DAY)

    assert entries(town) == [NOON + 10 * DAY]
    flips = [(e.why["segment"], e.action) for _, _, e in town.story().log if e.action.startswith("segment_")]
    assert flips == [("buyers", "segment_entered"), ("sleepy", "segment_entered")]


def test_a_segment_that_the_second_release_gave_another_meaning_is_taken_as_it_was_then(store):
    entered = journey_text(SEND, id="j", entry="{segment: sleepy, existing: skip}")
    town = Town(store, OTHER, audience_text=AUDIENCE)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)
    town.apply(OTHER, entered, audience_text=sleepy(30), now=NOON + 9 * DAY)
    town.apply(OTHER, entered, audience_text=sleepy(10), now=NOON + 11 * DAY)
    town.settle(NOON + 12 * DAY)

    assert entries(town) == []
