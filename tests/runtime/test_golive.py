"""A journey goes live: what happened before it was there lets nobody in, however late it is found; those inside are those of that moment."""

import pytest

from tests.town import DAY, HOUR, MINUTE, NOON, PUSH, SECOND, Town, event, journey_text, somebody

SEND = f"- {{id: hi, send: {PUSH}}}"
OTHER = journey_text(SEND, id="k", entry="{event: group_opened}")
GONE = journey_text(SEND, id="j", entry="{event: stage_changed, where: event.to == 'gone'}")


def dormant(existing="skip", reentry="once", segment="dormant"):
    return journey_text(SEND, id="j", entry=f"{{segment: {segment}, existing: {existing}, reentry: {reentry}}}")


def entries(town):
    return [e.at for _, _, e in town.story().log if e.action == "entered"]


def town_of(store, *texts):
    """She orders 31 days before NOON: a day before it she is dormant."""
    town = Town(store, OTHER, *texts, applied_at=NOON - 60 * DAY)
    town.settle_people(somebody(), now=NOON - 60 * DAY)
    town.post(event("order_paid", NOON - 31 * DAY, amount=1))
    town.settle(NOON - 31 * DAY)
    return town


@pytest.mark.parametrize("existing", ["skip", "enrol"])
@pytest.mark.parametrize("reentry", ["once", "always"])
@pytest.mark.parametrize("asleep", [False, True])
def test_who_was_in_the_segment_when_the_journey_went_live_is_one_of_those_already_inside(store, existing, reentry, asleep):
    town = town_of(store)
    if not asleep:
        town.settle(NOON - DAY)
    town.apply(OTHER, dormant(existing, reentry), now=NOON)
    if existing == "enrol":
        store.database.write(lambda tx: store.releases.add_population(tx, "j", "existing@2", "existing", NOON))
    town.settle(NOON + MINUTE)
    town.settle(NOON + HOUR)

    assert len(town.vendors["push"].got) == (existing == "enrol"), entries(town)


@pytest.mark.parametrize("asleep", [False, True])
def test_a_stage_that_changed_before_the_journey_went_live_lets_nobody_in(store, asleep):
    town = town_of(store)
    if not asleep:
        town.settle(NOON - DAY)
    town.apply(OTHER, GONE, now=NOON)
    town.settle(NOON + MINUTE)

    assert entries(town) == []


@pytest.mark.parametrize("text", [dormant(), GONE])
def test_what_happened_in_a_downtime_before_an_edit_of_the_text_lets_in_whom_the_journey_waited_for(store, text):
    town = town_of(store, text)
    town.apply(OTHER, text.replace("title: T", "title: U"), now=NOON)
    town.settle(NOON + MINUTE)

    assert entries(town) == [NOON - DAY]


def test_a_journey_that_takes_another_segment_lets_nobody_in_who_was_in_that_one(store):
    town = town_of(store, dormant(segment="tagged"))
    town.apply(OTHER, dormant(), now=NOON)
    town.settle(NOON + MINUTE)

    assert entries(town) == []


@pytest.mark.parametrize("existing", ["skip", "enrol"])
def test_an_order_of_before_that_arrives_only_after_the_journey_went_live_is_news(store, existing):
    buyers = dormant(existing, "always", "buyers")
    town = Town(store, OTHER, applied_at=NOON - 60 * DAY)
    town.settle_people(somebody(), somebody("u0"), now=NOON - 60 * DAY)
    town.apply(OTHER, buyers, now=NOON)
    if existing == "enrol":
        store.database.write(lambda tx: store.releases.add_population(tx, "j", "existing@2", "existing", NOON))
    town.post(event("order_paid", NOON - HOUR, received=NOON + SECOND, amount=1))
    town.settle(NOON + MINUTE)

    assert entries(town) == [NOON]
    assert [m.user_id for m in town.vendors["push"].got] == ["u1"]
