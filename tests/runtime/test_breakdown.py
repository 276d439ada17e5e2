"""`status --by TRAIT`: how the people of each source stand, asked of both databases, as their rules say of each of them."""

import json
from collections import Counter
from dataclasses import replace
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from runtime.breakdown import NoGroups, NoSuchName, break_down
from runtime.facts import UserFacts
from runtime.store.populations import CannotSay
from runtime.store.tables import users
from tests.shop import HELLO, Shop
from tests.town import AUDIENCE, DAY, NOON, ZONE, Town, event, somebody

JOINED = (
    AUDIENCE.replace("  account_closed: {}\n", "  account_closed: {}\n  user_registered: {source: text}\n")
    .replace("traits:\n", "traits:\n  source: {type: text, first: user_registered, of: source}\n  trial: {type: boolean, from: profile}\n"
             "  home: {type: choice, from: profile, of: [family, single]}\n")
)  # fmt: skip


def joined(store):
    """Five who came by a neighbour or an advertisement, one of whom nobody knows how, and what has become of them."""
    town = Town(store, audience_text=JOINED, applied_at=NOON - 99 * DAY)
    for user, source in (("u1", "neighbour"), ("u2", "neighbour"), ("u3", "advert"), ("u4", "neighbour"), ("u5", "")):
        town.post(event("user_registered", NOON - 60 * DAY, user=user, source=source))
    town.post(event("app_opened", NOON - 60 * DAY, user="u6"))
    for user, days in (("u1", 1), ("u2", 2), ("u3", 40)):
        town.post(event("order_paid", NOON - days * DAY, user=user))
    town.think(NOON)
    return town


def asked(town, by, *segments, now=NOON, **keys):
    return break_down(town.store, town.engine.catalogue.audience, ZONE, now, by, segments, **keys)


def rows(found):
    return [(g.kind, g.value, g.people, dict(g.stages), dict(g.segments)) for g in found.groups]


def test_people_by_source_their_stages_and_their_share_in_segments(store):
    found = asked(joined(store), "source", "buyers", "dormant")

    assert rows(found) == [
        ("value", "neighbour", 3, {"buying": 2, "new": 1}, {"buyers": 2, "dormant": 0}),
        ("value", "", 1, {"new": 1}, {"buyers": 0, "dormant": 0}),
        ("value", "advert", 1, {"gone": 1}, {"buyers": 1, "dormant": 1}),
        ("missing", None, 1, {"new": 1}, {"buyers": 0, "dormant": 0}),
    ]
    assert (found.stages, found.unsure) == (("gone", "buying", "new"), 0)  # in the order of the lifecycle


def test_of_many_values_the_most_frequent_are_named_and_the_others_counted(store):
    found = asked(joined(store), "source", "buyers", most=1)

    assert rows(found) == [
        ("value", "neighbour", 3, {"buying": 2, "new": 1}, {"buyers": 2}),
        ("others", None, 2, {"gone": 1, "new": 1}, {"buyers": 1}),
        ("missing", None, 1, {"new": 1}, {"buyers": 0}),
    ]
    assert [g.values for g in found.groups] == [1, 2, 1]
    assert found.as_json()["groups"][1] == {
        "kind": "others", "value": None, "people": 2, "stages": {"gone": 1, "new": 1}, "segments": {"buyers": 1}, "values": 2,
    }  # fmt: skip


@pytest.mark.parametrize("trait", ["city", "level", "trial", "home"])
def test_it_says_of_everybody_what_the_rules_say_of_each(store, trait):
    draw, people = Random(trait), []
    for n in range(60):
        values = {"city": draw.choice(["上海", "北京", "", 7]), "trial": draw.choice([True, False, "yes"]), "home": draw.choice(["family", "single", "tent"]),
                  "level": draw.choice(["gold", "normal"])}  # fmt: skip
        tags = ["vip"] if draw.random() < 0.4 else []
        people.append(somebody(f"u{n}", tags=tags, **{k: v for k, v in values.items() if draw.random() < 0.7}))
    town = Town(store, audience_text=JOINED)
    town.settle_people(*people)
    audience = town.engine.catalogue.audience
    expected: Counter = Counter()
    inside: Counter = Counter()
    for user in people:
        facts = UserFacts(audience, user, NOON)
        expected[facts.trait(trait)] += 1
        inside[facts.trait(trait)] += facts.segment("tagged")

    found = asked(town, trait, "tagged")

    assert {g.value: g.people for g in found.groups} == dict(expected)
    assert {g.value: g.segments["tagged"] for g in found.groups} == dict(inside)
    assert all(isinstance(g.value, bool) for g in found.groups if trait == "trial" and g.kind == "value")


def test_an_hour_over_a_window_is_that_of_each_users_own_zone(store):
    audience_text = JOINED.replace(
        "traits:\n", "traits:\n  last_hour: {type: time_of_day, last: app_opened, of: hour, within: 60d}\n"
    ).replace("segments:\n", "segments:\n  early: {name: 早, when: \"user.last_hour <= '08:00'\"}\n")
    town = Town(store, audience_text=audience_text, applied_at=NOON - 9 * DAY)
    town.settle_people(somebody("u1", city="上海"), replace(somebody("u2", city="上海"), zone=ZoneInfo("Europe/London")))
    town.post(*(event("app_opened", NOON - DAY, user=user) for user in ("u1", "u2")))  # at noon, and at four in the morning
    town.think(NOON)

    (group,) = asked(town, "city", "early").groups

    assert (group.people, dict(group.segments)) == (2, {"early": 1})


def test_a_former_id_is_nobody_and_whose_profile_is_still_to_be_made_anew_is_in_no_group(store):
    town = joined(store)
    store.database.write(lambda tx: tx.execute(update(users).where(users.c.user_id == "u1").values(merged_into="u2")))
    with store.database.reading() as tx:
        stale = town.store.people.load_users(tx, ["u3"])["u3"]
    stale.profile["d"] = "of another release"
    store.database.write(lambda tx: store.people.save_users(tx, [stale]))

    found = asked(town, "source")

    assert [(g.value, g.people) for g in found.groups] == [("neighbour", 2), ("", 1), (None, 1)]
    assert found.unsure == 1


def test_nobody_is_in_no_group(store):
    assert asked(Town(store), "city").groups == []


@pytest.mark.parametrize(
    ("by", "segments", "what", "name"),
    [("sauce", (), "trait", "sauce"), ("id", (), "trait", "id"), ("city", ("bayers",), "segment", "bayers")],
)
def test_a_name_that_there_is_not_is_said_with_those_there_are(store, by, segments, what, name):
    with pytest.raises(NoSuchName) as raised:
        asked(Town(store), by, *segments)

    assert (raised.value.what, raised.value.name) == (what, name)
    assert raised.value.known == {"trait": ["city", "level", "leader_id"], "segment": ["dormant", "buyers", "tagged"]}[what]


def test_numbers_and_times_make_no_groups(store):
    with pytest.raises(NoGroups) as raised:
        asked(Town(store), "orders_count")

    assert (raised.value.trait, raised.value.kind) == ("orders_count", "number")


def test_a_profile_that_is_no_json_is_said(store):
    town = joined(store)
    store.database.write(lambda tx: tx.execute(update(users).where(users.c.user_id == "u1").values(profile="{")))

    with pytest.raises(CannotSay):
        asked(town, "source")


# --- the command


@pytest.fixture
def folder(tmp_path):
    shop = Shop(tmp_path / "shop", HELLO, audience=JOINED)
    shop.post([
        {"id": f"r{n}", "type": "user_registered", "user_id": f"u{n}", "data": {"source": "[邻居]" if n < 3 else "advert"}} for n in range(4)
    ])  # fmt: skip
    shop.post([{"id": "o1", "type": "order_paid", "user_id": "u1"}, {"id": "a1", "type": "app_opened", "user_id": "u9"}])
    shop.settle()
    shop.close()
    return shop.folder


def test_the_table_has_a_row_for_each_value_and_one_for_everybody(call, folder):
    code, out, err = call("status", "--by", "source", "--segment", "buyers", "-c", folder)

    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["source", "people", "buying", "(在买)", "new", "(新)", "buyers"],
        ["[邻居]", "3", "1", "(33%)", "2", "(67%)", "1", "(33%)"],
        ["advert", "1", "1", "(100%)"],
        ["(missing)", "1", "1", "(100%)"],
        ["everybody", "5", "1", "(20%)", "4", "(80%)", "1", "(20%)"],
    ]


def test_it_is_data_as_well(call, folder):
    found = json.loads(call("status", "--by", "source", "--json", "-c", folder)[1])

    assert (found["by"], found["segments"], found["unsure"]) == ("source", [], 0)
    assert found["groups"][0] == {"kind": "value", "value": "[邻居]", "people": 3, "stages": {"buying": 1, "new": 2}, "segments": {}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "sourse"], "--by: there is no trait sourse, did you mean source?"),
        (["--by", "xyzzy"], "--by: there is no trait xyzzy; there are "),
        (["--by", "points"], "--by: points is of type number; groups are made by traits of type text, choice, boolean"),
        (["--by", "source", "--segment", "buyer"], "--segment: there is no segment buyer, did you mean buyers?"),
        (["--segment", "buyers"], "journeyd status: --segment is for --by TRAIT"),
    ],
)
def test_a_wrong_call_exits_2_and_says_what_was_meant(call, folder, arguments, said):
    code, out, err = call("status", *arguments, "-c", folder)

    assert (code, out) == (2, "")
    assert err.startswith(said)


def test_the_words_are_chinese_where_people_are(call, folder):
    config = folder / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('language = "en"', 'language = "zh"'), encoding="utf-8")

    _, out, _ = call("status", "--by", "source", "-c", folder)

    assert [line.split()[0] for line in out.splitlines()] == ["source", "[邻居]", "advert", "（没有值）", "合计"]
    assert call("status", "--by", "sourse", "-c", folder)[2].startswith("--by：没有特征 sourse，是不是 source？")
