"""What was told last stands: of an older record only what nobody has told anew since is news."""

import pytest

from runtime.state import User
from runtime.told import news_of, note_record, note_update
from tests.town import HOUR, NOON, ZONE

FULL = {"traits": {"city": "上海"}, "set_once": {"level": "gold"}, "identities": {"phone": "+8613800138000"}, "tags": ["vip"],
        "remove_tags": ["new"], "zone": "Asia/Tokyo", "increment": {"points": 1}, "append": {"seen": [1]}, "consents": {}}  # fmt: skip


def told(*names, at=NOON):
    return User("u1", ZONE, {}, {"told": dict.fromkeys(names, at)})


@pytest.mark.parametrize(
    ("name", "key", "left"),
    [
        ("trait.city", "traits", {}),
        ("trait.level", "set_once", {}),
        ("identity.phone", "identities", {}),
        ("tag.vip", "tags", []),
        ("tag.new", "remove_tags", []),
        ("zone", "zone", None),
    ],
)
def test_what_was_told_since_is_no_news_and_the_rest_is(name, key, left):
    news = news_of(told(name), FULL, NOON - 1)

    assert news.get(key) == left
    assert {k: v for k, v in news.items() if k != key} == {k: v for k, v in FULL.items() if k != key}


def test_of_one_instant_the_later_record_counts():
    assert news_of(told("trait.city", "zone", "identity.phone", "tag.vip"), FULL, NOON) == FULL


def test_what_adds_to_a_value_replaces_none_and_always_counts():
    news = news_of(told("trait.points", "trait.seen"), FULL, NOON - 1)

    assert (news["increment"], news["append"]) == (FULL["increment"], FULL["append"])


def test_an_old_clearing_clears_what_nobody_has_told_since():
    user = told("trait.city")
    user.profile["p"] = {"city": "杭州", "level": "gold", "points": 3}

    news = news_of(user, {"clear": True, "traits": {"city": "上海", "points": 1}}, NOON - 1)

    assert news == {"traits": {"level": None, "points": 1}}


def test_everything_that_a_record_or_a_step_tells_is_noted_and_what_is_cleared_too():
    user = told("zone", at=NOON + HOUR)
    user.profile["p"] = {"born": "05-20"}

    note_record(user, {**FULL, "clear": True}, NOON)
    note_update(user, {"color": "red"}, ["late"], NOON)

    traits = [f"trait.{name}" for name in ("city", "level", "points", "seen", "born", "color")]
    names = ["identity.phone", "tag.vip", "tag.new", "tag.late", *traits]
    assert user.reach["told"] == {**dict.fromkeys(names, NOON), "zone": NOON + HOUR}


def test_nothing_is_noted_of_a_record_that_tells_nothing():
    user = User("u1", ZONE)

    note_record(user, {"source": "merge"}, NOON)

    assert user.reach == {}
