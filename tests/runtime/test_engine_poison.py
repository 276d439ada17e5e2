"""A record that cannot be worked on is set aside, and costs nobody else anything."""

import pytest
from sqlalchemy import text, update

from runtime.profile import definitions_of
from runtime.store.tables import enrolments, events, inbox, users
from tests.town import DAY, HOUR, NOON, WELCOME, event, journey_text, somebody, town


def run_sql(made, statement):
    made.store.database.write(lambda tx: tx.execute(statement))


# --- poison


def poisoned(made, what):
    """Two people inside a journey, the first of them with a record that cannot be read."""
    made.post(event("app_opened", NOON, user="u1"), event("app_opened", NOON, user="u2"))
    made.settle(NOON)
    what(made)


def corrupt_context(made):
    run_sql(made, update(enrolments).where(enrolments.c.user_id == "u1").values(context="{broken"))


def corrupt_profile(made):
    run_sql(made, update(users).where(users.c.user_id == "u1").values(profile="{broken"))


def corrupt_reach(made):
    run_sql(made, update(users).where(users.c.user_id == "u1").values(reach="[1]"))


def unknown_state(made):
    run_sql(made, update(enrolments).where(enrolments.c.user_id == "u1").values(state="nowhere"))


@pytest.mark.parametrize("what", [corrupt_context, corrupt_profile, corrupt_reach, unknown_state])
def test_one_poisonous_record_is_set_aside_and_the_timers_of_the_others_fire(store, what):
    made = town(store, WELCOME, people=[somebody("u1"), somebody("u2")])
    poisoned(made, what)

    made.settle(NOON + DAY)
    made.settle(NOON + 2 * DAY)

    assert made.states("u2") == [("miss_you", "ACCEPTED")]
    assert made.states("u1") == []
    assert [q["user_id"] for q in made.quarantined()] == ["u1"], "once, not with every tick"
    assert made.quarantined()[0]["reason"]


@pytest.mark.parametrize("what", [corrupt_context, corrupt_profile, unknown_state])
def test_one_poisonous_record_does_not_stop_the_events_of_the_others(store, what):
    made = town(store, WELCOME, people=[somebody("u1"), somebody("u2")])
    poisoned(made, what)

    made.post(event("order_paid", NOON + HOUR, user="u1", amount=1), event("order_paid", NOON + HOUR, user="u2", amount=1))
    made.settle(NOON + HOUR)

    assert made.ends("u2") == [("j", "converted")]
    with store.database.reading() as tx:
        assert store.inbox.size(tx) == 0


def test_a_trait_state_of_a_wrong_type_costs_only_its_user(store):
    made = town(store, WELCOME, people=[somebody("u1"), somebody("u2")])
    broken = somebody("u1")
    broken.profile["a"] = {"orders_count": "many", "last_order_at": 7}
    known = made.engine.catalogue.audience
    broken.profile["d"] = definitions_of(known, broken)
    broken.audience, broken.evaluated_at = made.engine.catalogue.audience_digest, NOON
    store.database.write(lambda tx: store.people.save_users(tx, [broken]))

    made.post(event("order_paid", NOON, user="u1"), event("app_opened", NOON, user="u2"))
    made.settle(NOON)

    assert made.ends("u2") == [("j", None)]
    assert [(q["user_id"], q["kind"]) for q in made.quarantined()] == [("u1", "event")]


@pytest.mark.parametrize("column", ["data", "payload"])
def test_an_event_or_record_that_cannot_be_read_costs_only_itself(store, column):
    made = town(store, WELCOME, people=[somebody("u1"), somebody("u2")])
    made.post(event("order_paid", NOON, user="u1"))
    made.tell("u1", NOON, tags=["a"])
    made.post(event("app_opened", NOON, user="u2"))
    statement = (
        update(events).where(events.c.type == "order_paid").values(data="{broken")
        if column == "data"
        else update(inbox).where(inbox.c.kind == "user").values(payload="{broken")
    )
    run_sql(made, statement)

    made.settle(NOON)

    assert made.ends("u2") == [("j", None)]
    assert [q["user_id"] for q in made.quarantined()] == ["u1"]


def test_what_cannot_be_read_is_kept_as_it_was(store):
    made = town(store, WELCOME, people=[somebody("u1"), somebody("u2")])
    poisoned(made, corrupt_profile)

    made.tell("u1", NOON + 1, tags=["x"], zone="Europe/Berlin")
    made.settle(NOON + DAY)

    with store.database.reading() as tx:
        assert tx.execute(text("SELECT profile FROM users WHERE user_id = 'u1'")).scalar_one() == "{broken"


def test_a_population_goes_on_behind_somebody_who_cannot_be_read(store):
    made = town(store, journey_text("- {id: d, delay: 1d}", entry="{schedule: 0 12 * * *, where: user.city == '上海'}"),
                people=[somebody(f"u{n}", city="上海") for n in range(3)])  # fmt: skip
    run_sql(made, update(users).where(users.c.user_id == "u1").values(profile="{broken"))

    made.settle(NOON)

    assert [made.ends(f"u{n}") for n in range(3)] == [[("j", None)], [], [("j", None)]]
    assert [q["kind"] for q in made.quarantined()] == ["population"]
