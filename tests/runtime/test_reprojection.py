"""Profiles made anew: when a release changes what aggregates mean, and by hand; equal to those that grew event by event."""

from dataclasses import replace
from itertools import count

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from runtime.facts import UserFacts
from runtime.reprojection import Difference
from runtime.store.tables import inbox, users
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, SECOND, Town, audience, event, journey_text, reachable

HELLO = "- id: hello\n  send: [{push: {title: T, body: B}}]"
LOYAL = AUDIENCE.replace("segments:\n", "segments:\n  loyal: {name: L, when: user.orders_count >= 3}\n")
FREQUENT = LOYAL.replace("traits:\n", "traits:\n  orders_30d: {type: number, count: order_paid, within: 30d}\n").replace(
    "loyal: {name: L, when: user.orders_count >= 3}", "loyal: {name: L, when: user.orders_30d >= 3}"
)
WELCOME_LOYAL = journey_text(HELLO, entry="{segment: loyal, existing: skip}")


def lived(store, *texts, orders=(), audience_text=AUDIENCE, now=NOON):
    """A town whose user u1 has ordered so many hours ago."""
    town = Town(store, *texts, audience_text=audience_text, applied_at=now - 90 * DAY)
    for hours in orders:
        at = now - hours * HOUR
        town.post(event("order_paid", at, amount=10, item="米"))
        town.think(at)
    return town


def trait(town, name, now=NOON, user="u1"):
    return UserFacts(town.engine.catalogue.audience, user_row(town, user), now).trait(name)


def user_row(town, user="u1"):
    with town.store.database.reading() as tx:
        return town.store.people.load_users(tx, [user])[user]


def differences(town, now=NOON):
    return town.engine.rebuild("", now, check=True).differences


# --- a release that changes what is known


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("{type: number, count: order_paid}", 40),
        ("{type: number, count: order_paid, within: 30d}", 30),
        ("{type: number, sum: order_paid, of: amount}", 400),
        ("{type: time, first: order_paid, of: time}", NOON - 40 * DAY),
    ],
)
def test_a_trait_declared_after_forty_orders_knows_all_of_them(store, declared, expected):
    town = lived(store, orders=range(40 * 24, 0, -24))
    added = AUDIENCE.replace("traits:\n", f"traits:\n  added: {declared}\n")

    town.apply(audience_text=added, now=NOON - HOUR)
    town.think(NOON - HOUR)

    assert trait(town, "added", NOON - HOUR) == expected


def test_an_event_still_in_the_inbox_is_counted_once(store):
    town = lived(store, orders=[48])
    added = AUDIENCE.replace("traits:\n", "traits:\n  added: {type: number, count: order_paid}\n")

    town.post(event("order_paid", NOON - HOUR), event("order_paid", NOON - 2 * DAY - HOUR))
    town.apply(audience_text=added, now=NOON)
    town.think(NOON)

    assert (trait(town, "added"), trait(town, "orders_count")) == (3, 3)


def test_a_field_declared_after_its_events_came_has_its_type_in_them(store):
    town = lived(store)
    town.post(event("order_paid", NOON - DAY, weight="2.5", packed=1_764_000_000), event("order_paid", NOON - HOUR, weight="heavy"))
    town.think(NOON - HOUR)
    added = AUDIENCE.replace("item_id: text}", "item_id: text, weight: number, packed: time}").replace(
        "traits:\n",
        "traits:\n  weight: {type: number, sum: order_paid, of: weight}\n  packed: {type: time, last: order_paid, of: packed}\n",
    )

    town.apply(audience_text=added, now=NOON)
    town.think(NOON)

    assert (trait(town, "weight"), trait(town, "packed")) == (2.5, 1_764_000_000 * SECOND)


def test_a_journey_with_a_longer_window_finds_its_history(store):
    town = lived(store, orders=range(60 * 24, 0, -24))
    where = "{event: app_opened, where: \"count('order_paid', within='50d') == 49\"}"

    town.apply(journey_text(HELLO, entry=where), now=NOON)
    town.think(NOON)
    assert len(user_row(town).profile["h"]["order_paid"]) == 52, "everybody's, before anything happens: window and slack"
    town.post(event("app_opened", NOON))
    town.think(NOON)

    assert town.ends() == [("j", "completed")]


def test_a_window_of_an_older_version_is_kept_while_somebody_is_inside_it(store):
    asking = journey_text(
        "- id: w\n  delay: 10d\n- id: h\n  if: count('order_paid', within='50d') == 48\n  send: [{push: {title: T, body: B}}]",
        entry="{event: app_opened}",
    )
    town = lived(store, asking, orders=range(50 * 24, 0, -24))
    town.settle_people(replace(user_row(town), reach=reachable()), now=NOON - HOUR)
    town.post(event("app_opened", NOON))
    town.think(NOON)

    town.apply(journey_text(HELLO, entry="{event: app_opened}"), now=NOON + HOUR)
    for day in range(1, 10):
        town.post(event("order_paid", NOON + day * DAY))
        town.think(NOON + day * DAY)
    town.think(NOON + 10 * DAY)

    assert town.states() == [("h", "PENDING")]


def test_an_edit_of_a_trait_is_nobodys_edge_and_a_real_one_later_is(store):
    town = lived(store, WELCOME_LOYAL, orders=[50 * 24, 40 * 24, 9, 8], audience_text=LOYAL)
    town.post(event("order_paid", NOON - 60 * DAY, user="u2"), event("order_paid", NOON - 7 * HOUR, user="u2"))
    town.think(NOON - 7 * HOUR)
    inside_before = town.ends()

    town.apply(WELCOME_LOYAL, audience_text=FREQUENT.replace("orders_30d >= 3", "orders_30d >= 1"), now=NOON)
    town.think(NOON)
    assert (town.ends(), town.ends("u2")) == (inside_before, [])

    town.apply(WELCOME_LOYAL, audience_text=FREQUENT, now=NOON + HOUR)
    town.think(NOON + HOUR)
    town.post(event("order_paid", NOON + 2 * HOUR, user="u2"), event("order_paid", NOON + 3 * HOUR, user="u2"))
    town.think(NOON + 3 * HOUR)

    assert [journey for journey, _ in town.ends("u2")] == ["j"]


def test_another_meaning_under_an_unchanged_condition_is_nobodys_edge(store):
    town = lived(store, WELCOME_LOYAL, orders=[50 * 24, 9, 8], audience_text=LOYAL.replace("orders_count: {type: number, count: order_paid}",
        "orders_count: {type: number, count: order_paid, where: event.amount > 99}"))  # fmt: skip

    story_before = town.actions()

    town.apply(WELCOME_LOYAL, audience_text=LOYAL, now=NOON)
    town.think(NOON)

    stored = user_row(town)
    assert (trait(town, "orders_count"), stored.segments["loyal"][1], stored.stage) == (3, True, "buying")
    assert (town.ends(), town.actions()) == ([], story_before)


def test_what_time_changes_under_the_new_definitions_is_an_edge_at_its_own_time(store):
    text = journey_text(HELLO, entry="{segment: dormant, existing: skip}")
    town = lived(store, text, orders=[29 * 24])
    town.apply(text, audience_text=FREQUENT, now=NOON)

    town.think(NOON + 3 * DAY)

    assert [e["entered_at"] for e in town.story().enrolments] == [NOON + DAY]


def test_a_state_from_before_digests_is_put_right_without_an_edge(store):
    town = lived(store, WELCOME_LOYAL, orders=[30, 20, 10], audience_text=LOYAL)
    before, stored = town.actions(), user_row(town)
    stored.profile = {"p": {"city": "上海"}, "a": {"orders_count": 0}}
    stored.segments["loyal"][1] = False
    town.store.database.write(lambda tx: town.store.people.save_users(tx, [stored]))

    town.apply(WELCOME_LOYAL, audience_text=LOYAL + "# another release", now=NOON)
    town.think(NOON)

    assert (trait(town, "orders_count"), trait(town, "city"), user_row(town).segments["loyal"][1]) == (3, "上海", True)
    assert town.actions() == before


def test_somebody_who_moves_to_another_zone_has_the_hours_of_that_zone(store):
    text = AUDIENCE.replace("traits:\n", "traits:\n  hour: {type: time_of_day, top: app_opened, of: hour}\n")
    town = lived(store, audience_text=text)
    town.post(event("app_opened", NOON))
    town.think(NOON)

    town.tell("u1", NOON + HOUR, zone="Europe/Berlin")
    town.think(NOON + HOUR)

    assert trait(town, "hour") == 5 * 60  # 12:00 in Shanghai


# --- values that came before they were declared

UNDECLARED = AUDIENCE.replace("  birthday: {type: anniversary, from: profile}\n", "")
BORN = journey_text(HELLO, id="born", entry="{date: user.birthday, at: '09:00'}")
ASLEEP = journey_text(HELLO, id="asleep", entry="{segment: dormant, existing: skip}")


def told_undeclared(store, birthday):
    """A town that was told a birthday before its audience knew of such a trait."""
    town = Town(store, audience_text=UNDECLARED)
    town.tell("u1", NOON - DAY, traits={"birthday": birthday})
    town.post(event("order_paid", NOON - DAY, amount=1))
    town.settle(NOON - DAY)
    assert user_row(town).profile["p"] == {"birthday": birthday}
    return town


def test_a_birthday_told_before_it_was_declared_is_kept_on_its_day(store):
    town = told_undeclared(store, "1990-12-03")

    town.apply(BORN, ASLEEP, now=NOON)
    for day in (0, 3, 31):
        town.settle(NOON + day * DAY)

    assert user_row(town).profile["p"] == {"birthday": "12-03"}
    assert sorted(town.ends()) == [("asleep", "completed"), ("born", "completed")]
    assert town.quarantined() == []


def test_a_value_that_does_not_fit_its_later_type_is_missing_stops_nobody_and_fits_the_next(store):
    town = told_undeclared(store, "31 December")

    town.apply(BORN, ASLEEP, now=NOON)
    town.settle(NOON)
    town.tell("u1", NOON + DAY, traits={"city": "上海"})
    town.settle(NOON + 31 * DAY)

    assert (trait(town, "birthday"), user_row(town).profile["p"]) == (None, {"birthday": "31 December", "city": "上海"})
    assert town.ends() == [("asleep", "completed")]
    assert town.quarantined() == []

    town.apply(ASLEEP, audience_text=AUDIENCE.replace("birthday: {type: anniversary", "birthday: {type: text"), now=NOON + 31 * DAY)
    town.settle(NOON + 31 * DAY)
    assert trait(town, "birthday", NOON + 31 * DAY) == "31 December"


def test_a_choice_that_is_added_is_that_of_those_who_were_told_it_before(store):
    levels = AUDIENCE.replace("level: {type: text, from: profile, default: normal}", "level: {type: choice, of: [silver], from: profile}")
    town = Town(store, ASLEEP, audience_text=levels)
    town.tell("u1", NOON - HOUR, traits={"level": "silver"})
    town.tell("u1", NOON, traits={"level": "gold"})
    town.settle(NOON)
    assert trait(town, "level") is None

    town.apply(ASLEEP, audience_text=levels.replace("of: [silver]", "of: [silver, gold]"), now=NOON + HOUR)
    town.settle(NOON + HOUR)

    assert trait(town, "level", NOON + HOUR) == "gold"


def test_another_type_of_a_value_reads_nobodys_events_again(store, monkeypatch):
    town = told_undeclared(store, "1990-12-03")
    read = []
    projected = town.store.inbox.projected
    monkeypatch.setattr(town.store.inbox, "projected", lambda *asked: read.append(asked) or projected(*asked))

    town.apply(BORN, now=NOON)
    town.settle(NOON)

    assert (trait(town, "birthday"), trait(town, "orders_count"), read) == ("12-03", 1, [])

    town.engine.rebuild("", NOON)
    assert len(read) == 1
    assert trait(town, "orders_count") == 1


# --- which edits make profiles anew, and which segments anew


EDITS = [
    ("orders_count >= 3", "orders_count >= 4", False),
    ("name: 沉睡", "name: 睡了", False),
    ("level: {type: text, from: profile, default: normal}", "level: {type: text, from: profile, default: silver}", False),
    ("orders_7d: {type: number, count: order_paid, within: 7d}", "orders_7d: {type: number, count: order_paid, within: 7d, where: event.amount > 1}", True),
    ("within: 7d", "within: 8d", True),
    ("of: time}", "of: time, where: event.amount > 1}", True),
    ("amount: number", "amount: text", False),  # nothing reads it
    ("points: {type: number, from: profile}", "points: {type: text, from: profile}", True),
    ("points: {type: number, from: profile}", "points: {type: choice, of: [a], from: profile}", True),
    ("  points: {type: number, from: profile}\n", "", True),
    ("traits:\n", "traits:\n  twice: {type: number, value: user.points * 2}\n", False),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "anew"), EDITS)
def test_only_an_edit_of_what_is_stored_makes_profiles_anew(old, new, anew):
    assert old in LOYAL

    assert (audience(LOYAL.replace(old, new)).profile_digest != audience(LOYAL).profile_digest) is anew


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("orders_count >= 3", "orders_count >= 4", {"loyal"}),
        ("orders_count: {type: number, count: order_paid}", "orders_count: {type: number, count: app_opened}", {"loyal", "buyers"}),
        ("last_order_at: {type: time, last: order_paid", "last_order_at: {type: time, first: order_paid", {"dormant"}),
        ("within: 7d", "within: 8d", set()),
    ],
)
def test_a_segment_has_another_meaning_when_anything_it_reads_has(old, new, changed):
    before, after = audience(LOYAL).segment_digests, audience(LOYAL.replace(old, new)).segment_digests

    assert {name for name in before if before[name] != after[name]} == changed


# --- by hand


def test_a_sound_profile_differs_in_nothing(store):
    town = lived(store, orders=[400 * 24, 30, 20])

    done = town.engine.rebuild("", NOON, check=True)

    assert (done.users, done.renewed, done.differences, done.done) == (1, 0, [], True)


def spoilt(town):
    stored = user_row(town)
    stored.profile["a"]["orders_count"] = 7
    stored.profile["h"]["order_paid"].pop()
    town.store.database.write(lambda tx: town.store.people.save_users(tx, [stored]))


def test_a_spoilt_profile_is_told_by_a_check_and_mended_by_a_rebuild(store):
    town = lived(store, orders=[30, 20])
    spoilt(town)

    assert differences(town) == [Difference("u1", ("orders_count",), ("order_paid",))]
    assert trait(town, "orders_count") == 7, "a check writes nothing"

    town.engine.rebuild("", NOON)

    assert trait(town, "orders_count") == 2
    assert differences(town) == []


def test_mending_enrols_nobody(store):
    town = lived(store, WELCOME_LOYAL, orders=[30, 20, 10], audience_text=LOYAL)
    stored = user_row(town)
    before = town.ends()
    stored.profile["a"]["orders_count"], stored.segments["loyal"][1] = 0, False
    town.store.database.write(lambda tx: town.store.people.save_users(tx, [stored]))

    town.engine.rebuild("", NOON)
    town.think(NOON)

    assert town.ends() == before
    assert user_row(town).segments["loyal"][1] is True


def test_users_are_rebuilt_in_chunks_that_go_on_where_the_last_ended(store):
    town = lived(store)
    town.post(*(event("order_paid", NOON, user=f"u{n}") for n in range(5)))
    town.think(NOON)
    after, chunks = "", []
    for _ in range(9):
        done = town.engine.rebuild(after, NOON, 2)
        after = done.after
        chunks.append((after, done.users))
        if done.done:
            break

    assert chunks == [("u1", 2), ("u3", 2), ("u4", 1)]


def test_of_one_user_only_she_is_looked_at(store):
    town = lived(store, orders=[30])
    town.post(event("order_paid", NOON, user="u2"))
    town.think(NOON)

    assert [town.engine.rebuild("", NOON, user_id=who).users for who in ("u2", "nobody")] == [1, 0]


def test_a_profile_that_cannot_be_read_is_named_and_left_alone(store):
    town = lived(store, orders=[30])
    town.store.database.write(lambda tx: tx.execute(update(users).values(profile="{broken")))

    done = town.engine.rebuild("", NOON)

    assert (done.unreadable, done.differences) == (["u1"], [])
    with store.database.reading() as tx:
        assert tx.execute(select(users.c.profile)).scalar_one() == "{broken"


# --- the property, through the engine

_towns = count(1)
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from(["order_paid", "app_opened"]),
        st.integers(0, 40 * 24),  # hours before it arrives
        st.integers(0, 3),  # id
        st.sampled_from(["shop", "till"]),
        st.integers(0, 1000).map(lambda n: n / 10),
        st.booleans(),  # worked on at once
    ),
    max_size=12,
)
MANY = AUDIENCE.replace(
    "traits:\n",
    "traits:\n  spent: {type: number, sum: order_paid, of: amount}\n  mean_9d: {type: number, avg: order_paid, of: amount, within: 9d}\n"
    "  gap: {type: number, median_gap: order_paid}\n  hour: {type: time_of_day, top: app_opened, of: hour}\n",
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=ARRIVALS, split=st.integers(0, 12))
def test_late_double_and_reordered_events_through_the_engine_leave_what_a_rebuild_makes(store, arrivals, split):
    leaves_what_a_rebuild_makes(store, arrivals, split)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@settings(max_examples=500, derandomize=False, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=ARRIVALS, split=st.integers(0, 12))
def test_many_late_double_and_reordered_events_leave_what_a_rebuild_makes(store, arrivals, split):
    leaves_what_a_rebuild_makes(store, arrivals, split)
    compared = _compared[store.database.is_sqlite] = [*_compared[store.database.is_sqlite], len(arrivals)]
    if len(compared) % 100 == 0:
        name = "sqlite" if store.database.is_sqlite else "postgresql"
        print(f"{name}: {len(compared)} histories of {sum(compared):,} events, each sent twice, are what a rebuild makes of them")


_compared = {True: [], False: []}


def leaves_what_a_rebuild_makes(store, arrivals, split):
    number = next(_towns)
    who, town = f"u{number}", Town(store, audience_text=MANY + f"# {number}", applied_at=NOON - 100 * DAY)
    wider = MANY.replace("within: 9d", "within: 20d") + f"# {number}"
    now = NOON
    for n, (type_, hours, id_, source, amount, at_once) in enumerate(arrivals):
        if n == split:
            town.apply(audience_text=wider, now=now)
        now += MINUTE
        one = event(type_, now - hours * HOUR, user=who, id=f"{number}-{id_}", received=now, amount=amount)
        town.post(one, source=source)
        town.post(one, source=source)
        if at_once:
            town.think(now)
    waiting = differences(town, now)
    town.think(now)

    assert waiting == differences(town, now) == []
    if arrivals:
        stored = user_row(town, who).profile
        assert orjson.loads(orjson.dumps(stored)) == stored
        with store.database.reading() as tx:
            assert tx.execute(select(inbox.c.id)).first() is None
