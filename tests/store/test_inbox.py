"""The inbox: every event once, in the order of arrival, worked on exactly once."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from runtime.state import ENDED, LIVE, Enrolment, LogEntry
from runtime.store import open_store
from runtime.store.inbox import _NOTES_OF_SQLITE, _PEOPLE_OF_SQLITE, MOST_EACH, Quarantined
from runtime.store.people import Logged
from tests.town import HOUR, NOON, ZONE, event, set_aside_in


def post(store, *events, source="shop"):
    return store.database.write(lambda tx: store.inbox.add_events(tx, source, events))


def waiting(store, limit=100):
    with store.database.batch() as batch:
        return store.inbox.waiting(batch.connection, limit)


def finish(store, notes):
    store.database.write(lambda tx: store.inbox.finish(tx, [n.id for n in notes]))


def test_an_event_is_kept_once_per_source_and_id(store):
    first = event("app_opened", NOON, id="e1")

    assert post(store, first, event("app_opened", NOON + 1, id="e2")) == 2
    assert post(store, first) == 0
    assert post(store, first, first, source="device") == 1

    assert len(waiting(store)) == 3


def test_of_several_kept_at_once_it_is_told_which_are_new(store):
    known, new, other = (event("app_opened", NOON, id=name) for name in ("known", "new", "other"))
    post(store, known)

    fresh = store.database.write(lambda tx: store.inbox.add_all(tx, [("shop", known), ("shop", new), ("shop", new), ("shop", other)]))

    assert fresh == {1, 3}


def test_the_same_event_posted_by_many_at_once_is_new_once(store):
    with ThreadPoolExecutor(8) as pool:
        new = sum(pool.map(lambda _: post(store, event("app_opened", NOON, id="e1")), range(24)))

    assert new == 1
    assert len(waiting(store)) == 1


def test_notes_come_in_the_order_of_arrival_whatever_their_times(store):
    post(store, event("order_paid", NOON, id="late", amount=1.5, item="蛋"))
    post(store, event("app_opened", NOON - HOUR, id="early", user="u2"), event("app_opened", NOON - 2 * HOUR, id="earliest"))
    store.database.write(lambda tx: store.inbox.add_note(tx, "u1", "user", {"tags": ["a"]}, NOON))

    notes = waiting(store)

    assert [(n.user_id, n.kind, n.event.id if n.event else None) for n in notes] == [
        ("u1", "event", "late"), ("u2", "event", "early"), ("u1", "event", "earliest"), ("u1", "user", None),
    ]  # fmt: skip
    assert notes[0].event == replace(event("order_paid", NOON, id="late", amount=1.5, item="蛋"), source="shop")
    assert notes[3].payload == {"tags": ["a"]}


def test_finished_notes_are_gone_and_the_others_wait(store):
    post(store, event("app_opened", NOON), event("app_opened", NOON + 1))

    first, second = waiting(store)
    finish(store, [first])

    assert [n.id for n in waiting(store)] == [second.id]
    finish(store, [])
    assert len(waiting(store)) == 1


def test_all_notes_of_a_user_come_before_those_of_somebody_who_came_later(store):
    post(store, *(event("app_opened", NOON + n, user=f"u{n % 3}") for n in range(15)))

    notes = waiting(store, limit=2)

    assert [n.user_id for n in notes] == ["u0", "u1"] * MOST_EACH


def test_to_keep_events_reads_none_of_those_before(new_sqlite):
    with contextlib.closing(open_store(new_sqlite, ZONE)) as store:
        post(store, event("app_opened", NOON))
        said: list[str] = []
        with store.database.reading() as tx:
            for statement in (_PEOPLE_OF_SQLITE, _NOTES_OF_SQLITE):
                plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", {"base": 1, "kind": "event"})
                said += [row[3] for row in plan if " events" in row[3]]

    assert said == ["SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"] * 2


def test_users_are_known_from_their_first_event(store):
    post(store, event("app_opened", NOON, user="new"))

    with store.database.reading() as tx:
        users = store.people.load_users(tx, ["new", "nobody"])

    assert list(users) == ["new"]
    assert users["new"].is_new


def test_a_user_record_is_taken_once_per_source_and_id(store):
    def tell(id_):
        return store.database.write(lambda tx: store.inbox.add_user_record(tx, "crm", id_, "u1", {"traits": {"city": "上海"}}, NOON))

    assert [tell("r1"), tell("r1"), tell("r2")] == [True, False, True]
    assert [n.payload for n in waiting(store)] == [{"traits": {"city": "上海"}}] * 2


def test_an_event_of_somebody_else_is_shown_to_who_waits_for_it(store):
    opened = replace(event("app_opened", NOON, user="boss", id="e1"), source="shop")
    post(store, opened)
    finish(store, waiting(store))
    enrolment = Enrolment("k", "j", 1, "u1", "", "step", LIVE, None, NOON, NOON)
    store.database.write(lambda tx: store.people.add_enrolment(tx, enrolment, parallel=False))
    store.database.write(lambda tx: store.people.watch(tx, enrolment, {"boss", "other"}))

    with store.database.reading() as tx:
        watchers = store.inbox.watchers_of(tx, ["boss", "u1"], NOON)
    store.database.write(lambda tx: store.inbox.forward(tx, opened, "u1", NOON + 1))

    assert watchers == {"boss": ["u1"]}
    (note,) = waiting(store)
    assert (note.user_id, note.kind, note.event) == ("u1", "forward", opened)
    store.database.write(lambda tx: store.people.unwatch(tx, ["k"]))
    with store.database.reading() as tx:
        assert store.inbox.watchers_of(tx, ["boss"], NOON) == {}


@pytest.mark.parametrize(("goal_until", "expected"), [(None, {}), (NOON - 1, {}), (NOON, {"boss": ["u1"]})])
def test_who_is_through_watches_while_her_goal_counts(store, goal_until, expected):
    over = Enrolment("k", "j", 1, "u1", "", "$ended", ENDED, None, NOON - 9, NOON - 9, goal_until, ended_at=NOON - 5, ended_by="completed")
    store.database.write(lambda tx: store.people.add_enrolment(tx, over, parallel=False))
    store.database.write(lambda tx: store.people.watch(tx, over, {"boss"}))

    with store.database.reading() as tx:
        assert store.inbox.watchers_of(tx, ["boss"], NOON) == expected


def test_events_since_are_the_projected_ones_after_an_instant_in_the_order_of_their_times(store):
    post(store, event("b", NOON + 2, id="b"), event("a", NOON + 1, id="a"), event("old", NOON, id="old"), event("x", NOON + 5, user="u2"))
    finish(store, waiting(store))
    post(store, event("pending", NOON + 3, id="pending"))

    with store.database.reading() as tx:
        found = store.inbox.events_since(tx, ["u1"], NOON)

    assert [e.id for e in found] == ["a", "b"]


def test_consequences_and_the_end_of_a_note_are_one_transaction(store):
    post(store, event("app_opened", NOON))
    (note,) = waiting(store)

    def crash(tx):
        store.people.write_log(tx, [Logged("u1", None, [LogEntry(NOON, "seen")])], NOON)
        store.inbox.finish(tx, [note.id])
        raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError):
        store.database.write(crash)

    assert [n.id for n in waiting(store)] == [note.id]
    with store.database.reading() as tx:
        assert store.reports.story(tx, "u1").log == []


def test_what_could_not_be_taken_is_kept_with_its_reason(store):
    item = Quarantined("shop", "no user_id", '{"id": 1}', kind="event")

    store.database.write(lambda tx: store.inbox.quarantine(tx, [item], NOON))

    (kept,) = set_aside_in(store)
    with store.database.reading() as tx:
        assert store.reports.totals(tx)["quarantine"] == 1
    assert (kept["source"], kept["reason"], kept["received_at"]) == ("shop", "no user_id", NOON)
