"""What a simulation reads: the world's events page by page, people as they are, and everything that came of them in order."""

from dataclasses import replace

from sqlalchemy import text

from runtime.state import LogEntry
from runtime.store.people import Logged
from tests.store.test_people import add, enrolment
from tests.town import NOON, event, somebody


def reading(store, ask):
    with store.database.reading() as tx:
        return ask(store.outcomes, tx)


def test_the_past_comes_page_by_page_without_what_we_made_ourselves(store):
    first, second = event("order_paid", NOON, id="e1", amount=3), event("app_opened", NOON - 5, id="e2")

    def unit(tx):
        store.inbox.add_events(tx, "shop", [first, event("message_delivered", NOON, id="e3")])
        store.inbox.add_user_record(tx, "shop", "r1", "u1", {}, NOON)
        store.inbox.add_events(tx, "shop", [second], history=True)
        tx.execute(text("UPDATE events SET data = '[]' WHERE event_id = 'e2'"))

    store.database.write(unit)
    pages, after = [], 0
    while page := reading(store, lambda o, tx, after=after: o.past(tx, after, 2)):
        pages.append([e for _, e in page])
        after = page[-1][0]

    assert pages == [[replace(first, source="shop"), None], [None, None]]  # one of ours, a record, one that cannot be read


def test_people_are_known_as_they_are_and_who_cannot_be_read_is_left_out(store):
    def unit(tx):
        store.people.save_users(tx, [somebody("u1", city="上海"), somebody("u2")])
        tx.execute(text("UPDATE users SET profile = '[]' WHERE user_id = 'u2'"))

    store.database.write(unit)

    found = reading(store, lambda o, tx: list(o.known(tx, ["u1", "u2", "u3"])))
    assert [(user_id, profile["p"]["city"]) for user_id, _, profile, _ in found] == [("u1", "上海")]


def test_stories_come_enrolment_by_enrolment_in_the_order_of_time(store):
    one, two = add(store, enrolment("k1"), enrolment("k2", user="u2"))

    def unit(tx):
        store.people.write_log(tx, [Logged("u2", two, [LogEntry(NOON, "entered")])], NOON)
        store.people.write_log(tx, [Logged("u1", one, [LogEntry(NOON, "entered"), LogEntry(NOON, "waits", "a")])], NOON)
        store.people.write_log(tx, [Logged("u1", None, [LogEntry(NOON, "stage_changed")])], NOON)
        store.people.write_log(tx, [Logged("u2", two, [LogEntry(NOON + 1, "ended")])], NOON)

    store.database.write(unit)

    found = [(i, line.action) for i, _, line in reading(store, lambda o, tx: list(o.story(tx)))]
    assert found == [(one, "entered"), (one, "waits"), (two, "entered"), (two, "ended")]
    assert [e.key for e in reading(store, lambda o, tx: list(o.entries(tx)))] == ["k1", "k2"]


def test_somebody_is_inside_while_a_timer_runs_or_a_goal_still_counts(store):
    add(store, enrolment("k1", version=1, due=NOON), enrolment("k2", user="u2", version=2, due=None, goal_until=NOON + 5))

    def inside(versions, measuring=(), now=NOON):
        return reading(store, lambda o, tx: o.somebody_inside(tx, versions, measuring, now))

    assert (inside([1]), inside([2]), inside([2], [2]), inside([2], [2], NOON + 6), inside([3])) == (True, False, True, False, False)
