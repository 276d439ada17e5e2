"""Whom a population lets in: nobody is asked before what she did is known, and who has gone meanwhile is left alone."""

import pytest

from tests.town import HOUR, MINUTE, NOON, PUSH, SECOND, Town, event, journey_text, somebody

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
