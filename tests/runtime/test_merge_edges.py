"""Edges around a merge: what time had changed for either before it is found at its own time, also after a downtime."""

import pytest

from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, SECOND, Town, at, event, journey_text, somebody

SEND = f"- {{id: hi, send: {PUSH}}}"
BIRTHDAY = journey_text(SEND, id="j", entry="{date: user.birthday, at: '09:00'}")
AT_HALF_PAST = BIRTHDAY.replace("09:00", "12:30")
WITH_TENTH = AUDIENCE.replace(
    "  tagged:",
    "  tenth: {name: 第十天, when: days_since(user.last_order_at) >= 10 and days_since(user.last_order_at) < 11}\n  tagged:",
)
TENTH = journey_text(SEND, id="j", entry="{segment: tenth, existing: skip}")
WHOSE = pytest.mark.parametrize("whose", ["u1", "openid:o1"])
LOOKED = pytest.mark.parametrize("looked", [(), ("u1",), ("openid:o1",), ("u1", "openid:o1")])


def noted(town, now):
    town.store.database.write(lambda tx: town.store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", now))


def entries(town):
    return [e.at for _, _, e in town.story().log if e.action == "entered"]


def born(town, whose):
    town.tell(whose, NOON - 10 * DAY, traits={"birthday": "12-01"})
    for user in ("u1", "openid:o1"):
        town.tell(user, NOON - 10 * DAY, traits={"city": "上海"})
    town.settle(NOON - DAY)


@LOOKED
@WHOSE
def test_a_birthday_in_a_downtime_is_wished_also_when_she_logs_in_right_after_it(store, whose, looked):
    town = Town(store, BIRTHDAY, applied_at=NOON - 20 * DAY)
    born(town, whose)

    town.post(*(event("app_opened", NOON, user=user) for user in looked))
    noted(town, NOON)
    for now in (NOON + SECOND, NOON + HOUR):
        town.settle(now)

    assert entries(town) == [at("2026-12-01 09:00")]


@LOOKED
@WHOSE
def test_an_edge_in_a_downtime_is_one_also_when_she_logs_in_right_after_it(store, whose, looked):
    town = Town(store, TENTH, audience_text=WITH_TENTH, applied_at=NOON - 20 * DAY)
    town.settle_people(somebody(), somebody("openid:o1"), now=NOON - 15 * DAY)
    town.post(event("order_paid", NOON - 12 * DAY, user=whose, amount=1))
    town.settle(NOON - 12 * DAY)

    town.post(*(event("app_opened", NOON, user=user) for user in looked))
    noted(town, NOON)
    for now in (NOON + SECOND, NOON + HOUR):
        town.settle(now)

    assert entries(town) == [NOON - 2 * DAY]


@WHOSE
@pytest.mark.parametrize("later", ["u1", "openid:o1"])
def test_a_birthday_after_the_login_is_wished_whatever_comes_later_in_the_same_downtime(store, whose, later):
    town = Town(store, AT_HALF_PAST, applied_at=NOON - 20 * DAY)
    born(town, whose)

    noted(town, NOON)
    town.post(event("app_opened", NOON + HOUR, user=later))
    town.settle(NOON + 2 * HOUR)

    assert entries(town) == [NOON + 30 * MINUTE]


@pytest.mark.parametrize("who", ["u1", "openid:o1"])
def test_an_order_right_after_the_login_comes_before_what_time_changes_later(store, who):
    """Nobody is told that we miss her who has just ordered, also where both are found in one backlog, with a flip of before the login."""
    slow = AUDIENCE.replace("  tagged:", "  slow: {name: 慢, when: hours_since(user.last_order_at) >= 718}\n  tagged:")
    back = journey_text(SEND, id="back", entry="{segment: dormant, existing: skip}")
    town = Town(store, back, applied_at=NOON - 50 * DAY, audience_text=slow)
    town.settle_people(somebody(), somebody("openid:o1"), now=NOON - 40 * DAY)
    town.post(event("order_paid", NOON + HOUR - 30 * DAY, user=who, amount=1))
    town.settle(NOON + HOUR - 30 * DAY)

    noted(town, NOON)
    town.post(event("order_paid", NOON + MINUTE, user=who, amount=1))
    town.settle(NOON + 2 * HOUR)

    assert entries(town) == []
