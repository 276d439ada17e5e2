"""What `status` counts by day: the days are those of the project's clock, whoever counts."""

import pytest
from sqlalchemy import select

from journeys.localtime import day_number
from runtime.breakdown import break_down
from runtime.status import whole_summary
from runtime.store.tables import tallies
from tests.town import DAY, HOUR, NOON, ZONE, Town, at, event, journey_text

MIDNIGHT = at("2026-12-01 00:00")  # 16:00 of the day before by UTC
TODAY = day_number(MIDNIGHT, ZONE)
ENTER = journey_text("- {id: rest, delay: 9d}", entry="{event: app_opened}")
INSIDE = journey_text("- {id: rest, delay: 9d}", entry="{segment: buyers, existing: enrol}")


def summary(store, now):
    return whole_summary(store, ZONE, now, lambda *_: False, {})


def counted(store, what):
    with store.database.reading() as tx:
        rows = tx.execute(select(tallies.c.day - TODAY, tallies.c.detail, tallies.c.n).where(tallies.c.what == what)).all()
    return sorted(tuple(row) for row in rows)


def test_who_enters_before_midnight_enters_yesterday(store):
    town = Town(store, ENTER)
    town.post(event("app_opened", MIDNIGHT - 1, user="u1"), event("app_opened", MIDNIGHT, user="u2"))

    town.think(MIDNIGHT)

    assert counted(store, "entered") == [(-1, "treated", 1), (0, "treated", 1)]
    assert counted(store, "stage") == [(-1, "new", 1), (0, "new", 1)]


@pytest.mark.parametrize(("now", "day"), [(MIDNIGHT - 1, -1), (MIDNIGHT, 0)])
def test_who_was_inside_already_enters_on_the_day_of_the_release(store, now, day):
    town = Town(store)
    town.post(event("order_paid", MIDNIGHT - DAY))
    town.think(MIDNIGHT - DAY)
    town.apply(INSIDE, now=now)
    store.database.write(lambda tx: store.releases.add_population(tx, "j", "existing@2", "existing", now))
    town.engine.refresh()

    town.think(now)

    assert counted(store, "entered") == [(day, "treated", 1)]


def test_who_becomes_one_with_another_does_so_today(store):
    town = Town(store, ENTER)
    town.post(event("app_opened", MIDNIGHT - HOUR), event("app_opened", MIDNIGHT - HOUR + 1, user="openid:o1"))
    town.think(MIDNIGHT - HOUR + 1)

    store.database.write(lambda tx: store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", MIDNIGHT))
    town.think(MIDNIGHT)

    assert counted(store, "ended") == [(0, "merged", 1)]
    assert counted(store, "stage") == [(-1, "new", 2), (0, "new", -1)]


def test_who_was_merged_into_another_is_counted_once_as_in_a_breakdown(store):
    town = Town(store)
    town.post(event("app_opened", NOON, user="u1"), event("app_opened", NOON, user="u2"), event("app_opened", NOON, user="openid:o1"))
    town.think(NOON)
    store.database.write(lambda tx: store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", NOON))
    town.think(NOON)

    groups = break_down(store, town.engine.catalogue.audience, ZONE, NOON, "city", ()).groups

    assert summary(store, NOON)["totals"]["users"] == sum(group.people for group in groups) == 2


def test_the_stages_of_a_week_ago_are_those_at_the_end_of_that_day(store):
    town = Town(store)
    town.post(event("app_opened", MIDNIGHT - 7 * DAY - 1, user="u1"), event("app_opened", MIDNIGHT - 7 * DAY, user="u2"))
    town.post(event("app_opened", MIDNIGHT - 6 * DAY, user="u3"))
    town.think(MIDNIGHT)

    early, late = (summary(store, now)["stages_before"]["7"] for now in (MIDNIGHT - 1, MIDNIGHT))

    assert (early, late) == ({"new": 1}, {"new": 2})
    assert summary(store, NOON + 11 * HOUR)["stages_before"]["7"] == {"new": 2}
