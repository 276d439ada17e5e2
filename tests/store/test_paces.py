"""The counter of a paced journey: one row, which one daemon counts in at a time; what populations had counted is carried over."""

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from runtime.store.sql_store import _config
from tests.town import DAY, HOUR, NOON


def newest(store, *journeys):
    with store.database.reading() as tx:
        return store.paces.newest(tx, journeys)


def save(store, **windows):
    store.database.write(lambda tx: store.paces.save(tx, windows))


def test_the_newest_window_of_each_journey_is_kept(store):
    save(store, a=(NOON, 3), b=(NOON, 1))
    save(store, a=(NOON + DAY, 1))
    save(store)

    assert newest(store, "a", "b", "c") == {"a": (NOON + DAY, 1), "b": (NOON, 1)}
    assert newest(store) == {}


def test_locking_changes_nothing_that_is_there(store):
    save(store, a=(NOON, 3))

    with store.database.batch() as batch:
        locked = store.paces.locked(batch.connection, ["b", "a"])

    assert locked["a"] == (NOON, 3)
    assert locked.get("b", (0, 0)) == (0, 0), "none has begun"
    assert newest(store, "a") == {"a": (NOON, 3)}


@pytest.mark.parametrize("is_there", [True, False])
def test_nobody_counts_in_a_window_while_another_daemon_does(store, open_another, is_there):
    if store.database.is_sqlite:
        return  # one daemon, by the lock file; one thread of it counts
    if is_there:
        save(store, a=(NOON, 3), b=(NOON, 4))
    other = open_another()

    with store.database.batch() as batch:
        store.paces.locked(batch.connection, ["a", "b"])
        with other.database.engine.connect() as another:
            another.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                other.paces.locked(another, ["b"])
        store.paces.save(batch.connection, {"b": (NOON, 5)})
    with other.database.batch() as another:
        assert other.paces.locked(another.connection, ["b"]) == {"b": (NOON, 5)}


def test_what_populations_had_counted_goes_on_as_the_journeys_window_and_back(store):
    old = "INSERT INTO populations (journey, fact_id, kind, at, next_at, cursor, taken, window_at, done_at)"
    rows = [
        ("a", "f1", NOON - 2 * DAY, 7, NOON - 2 * DAY), ("a", "f2", NOON, 2, NOON), ("a", "f3", NOON, 1, NOON),
        ("a", "f4", NOON + HOUR, 0, NOON + HOUR), ("b", "f1", NOON, 0, NOON),
    ]  # fmt: skip
    config = _config()
    with store.database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0006")
        for journey, fact, at, taken, window_at in rows:
            connection.execute(text(f"{old} VALUES ('{journey}', '{fact}', 'schedule', {at}, {at}, 'u5', {taken}, {window_at}, NULL)"))
        command.upgrade(config, "0007")

    assert newest(store, "a", "b") == {"a": (NOON, 3)}, "the last window in which anybody entered"
    with store.database.batch() as batch:
        due = store.releases.due_population(batch.connection, NOON)
    assert (due.fact_id, due.cursor, due.next_at) == ("f1", "u5", NOON - 2 * DAY)

    with store.database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0006")
        back = connection.execute(text("SELECT fact_id, taken, window_at FROM populations WHERE journey = 'a' ORDER BY fact_id")).all()
        command.upgrade(config, "0007")
    assert [tuple(row) for row in back] == [(f"f{n}", 3, NOON) for n in (1, 2, 3, 4)]
