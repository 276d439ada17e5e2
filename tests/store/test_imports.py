"""How far a file came, who is held meanwhile, and how often a row was met."""

from dataclasses import replace

from sqlalchemy import select

from runtime.state import HISTORY
from runtime.store.imports import ABANDONED_AFTER, Known, Position
from runtime.store.occurrences import Occurrences
from runtime.store.tables import users
from tests.town import NOON, event, somebody

MARK = Position("k", "events", "import", "a.csv", history=True)


def save(store, position, now=NOON):
    store.database.write(lambda tx: store.imports.save(tx, position, now))


def holds(store, now=NOON):
    with store.database.reading() as tx:
        return store.imports.holds_until(tx, now)


def test_the_place_in_a_file_is_kept_by_its_key(store):
    further = MARK.advanced(rows=1000, accepted=900, given=990, rejected=10, done_at=None)
    save(store, MARK)
    save(store, further)

    with store.database.reading() as tx:
        found, other = store.imports.position(tx, "k"), store.imports.position(tx, "other")

    assert (found, other) == (further, None)
    assert (found.rows, found.accepted, found.duplicates, found.rejected) == (1000, 900, 90, 10)


def test_events_are_known_by_their_source_and_id(store):
    posted = [event("order_paid", NOON, id="o1"), event("order_paid", NOON + 1, id="o2", user="u2")]
    store.database.write(lambda tx: store.inbox.add_all(tx, [("shop", one) for one in posted] + [("crm", posted[0])]))

    with store.database.reading() as tx:
        found = set(store.imports.known(tx, ["shop", "none"], ["o1", "o2", "o3"]))
        none = store.imports.known(tx, ["shop"], [])

    assert (found, none) == ({Known("shop", "o1", "order_paid", "u1", NOON), Known("shop", "o2", "order_paid", "u2", NOON + 1)}, [])


def test_an_import_of_history_holds_until_it_is_done_or_abandoned(store):
    save(store, MARK)

    assert holds(store, NOON + 1) == NOON + ABANDONED_AFTER
    assert holds(store, NOON + ABANDONED_AFTER) is None
    save(store, replace(MARK, done_at=NOON + 5), NOON + 5)
    assert holds(store, NOON + 6) is None


def test_a_live_import_holds_nobody(store):
    save(store, replace(MARK, history=False))

    assert holds(store) is None


def test_at_the_end_those_who_were_held_are_looked_at_and_no_others(store):
    held, free = somebody("held"), somebody("free")
    held.audience, free.audience = HISTORY, "digest"
    held.recheck_at = free.recheck_at = NOON + 99
    store.database.write(lambda tx: store.people.save_users(tx, [held, free]))

    store.database.write(lambda tx: store.imports.release(tx, NOON))

    with store.database.reading() as tx:
        found = dict(tx.execute(select(users.c.user_id, users.c.recheck_at)).all())
    assert found == {"held": NOON, "free": NOON + 99}


def test_a_new_audience_does_not_look_at_those_who_are_held(store):
    held, other = somebody("held"), somebody("other")
    held.audience, other.audience = HISTORY, "old"
    store.database.write(lambda tx: store.people.save_users(tx, [held, other]))

    store.database.write(lambda tx: store.people.recheck_stale(tx, "new", NOON))

    with store.database.reading() as tx:
        found = dict(tx.execute(select(users.c.user_id, users.c.recheck_at)).all())
    assert found == {"held": None, "other": NOON}


def test_what_was_met_first_is_known_with_its_line():
    with Occurrences() as seen:
        assert seen.firsts([("a", 1, "x"), ("b", 2, "y"), ("a", 3, "z")]) == {3: (1, "x")}
        assert seen.firsts([("c", 4, "x")]) == {}
        assert seen.firsts([("b", 5, "y"), ("d", 6, "y")]) == {5: (2, "y")}


def test_equal_things_are_counted():
    with Occurrences() as seen:
        assert [seen.count(what) for what in ("a", "b", "a", "a")] == [1, 1, 2, 3]
