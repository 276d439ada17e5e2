"""What was told last stands: of an older record only what nobody has told anew since is news."""

import pytest

from runtime.state import User
from runtime.told import MOST_NAMES, news_of, note_record, note_update
from tests.town import HOUR, MINUTE, NOON, SECOND, ZONE, Town, somebody

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


def test_of_a_history_nothing_is_news_that_somebody_live_has_told_at_any_time():
    names = ("trait.city", "trait.level", "identity.phone", "tag.vip", "tag.new", "zone")

    news = news_of(told(*names, at=0), FULL, None)

    assert news == {"traits": {}, "set_once": {}, "identities": {}, "tags": [], "remove_tags": [], "increment": {"points": 1},
                    "append": {"seen": [1]}, "consents": {}}  # fmt: skip
    assert news_of(told(), FULL, None) == FULL


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


def test_a_value_that_is_set_once_is_told_by_whoever_sets_it():
    user = told()
    user.profile["p"] = {"level": "gold"}

    note_record(user, {"set_once": {"level": "bronze", "city": "上海"}}, NOON)

    assert user.reach["told"] == {"trait.city": NOON}


def test_of_tags_that_come_and_go_the_last_are_remembered():
    user = told("zone")

    for n in range(1, MOST_NAMES + 2):
        note_update(user, {}, [f"order-{n}"], NOON + n)

    assert len(user.reach["told"]) == MOST_NAMES
    assert min(user.reach["told"].items(), key=lambda pair: pair[1]) == ("tag.order-2", NOON + 2)


def test_nothing_is_noted_of_a_record_that_tells_nothing():
    user = User("u1", ZONE)

    note_record(user, {"source": "merge"}, NOON)

    assert user.reach == {}


# --- consents: of those without a date the inbox has the order


def consent(store, *answers):
    """Answers as they come into the inbox, each (its receipt, what was said); what counts after them."""
    town = Town(store)
    town.settle_people(somebody())
    for received, answer in answers:
        town.tell("u1", received, consents={"push": {"marketing": answer}})
    town.settle(NOON + HOUR)
    with store.database.reading() as tx:
        user = store.people.load_users(tx, ["u1"])["u1"]
    return user.reach["consents"]["push"]["marketing"], user.reach["said"]["push.marketing"]


@pytest.mark.parametrize("worded", [False, True])
@pytest.mark.parametrize("granted", [False, True])
def test_the_answer_that_came_last_counts_also_when_the_clock_of_who_took_the_one_before_is_ahead(store, granted, worded):
    last = {"granted": granted, "wording": "开关"} if worded else granted

    assert consent(store, (NOON + 3 * SECOND, not granted), (NOON + SECOND, last)) == (granted, NOON + 3 * SECOND)


def test_a_dated_answer_counts_as_of_its_date_whenever_it_comes(store):
    late = {"granted": True, "at": NOON - MINUTE}

    assert consent(store, (NOON, False), (NOON + HOUR, late)) == (False, NOON)


def test_after_an_answer_in_the_order_of_the_inbox_a_date_is_compared_with_the_latest_of_both(store):
    between = {"granted": True, "at": NOON + 2 * SECOND}

    assert consent(store, (NOON + 3 * SECOND, True), (NOON + SECOND, False), (NOON + HOUR, between)) == (False, NOON + 3 * SECOND)


def test_of_one_instants_answers_without_a_date_the_no_counts(store):
    assert consent(store, (NOON, False), (NOON, True)) == (False, NOON)
