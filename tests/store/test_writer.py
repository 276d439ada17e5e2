"""The writer thread: grouped commits in which nobody takes anybody else with them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from runtime.state import LogEntry
from runtime.store.people import Logged
from runtime.store.writer import ENGINE, INTAKE, Closed, ThreadWriter, Together
from tests.town import NOON


def note(store, who):
    return lambda tx: store.people.write_log(tx, [Logged(who, None, [LogEntry(NOON, "seen")])], NOON)


def written(store):
    with store.database.reading() as tx:
        return [row[0] for row in tx.execute(text("SELECT user_id FROM log ORDER BY id"))]


def held_up(store, *submissions):
    """Submit units while the writer is busy, so that they become one group; returns their futures."""
    go, began = threading.Event(), threading.Event()

    def block(tx):
        began.set()
        assert go.wait(10)

    store.database.submit(block)
    assert began.wait(10)
    futures = [store.database.submit(unit, rank) for unit, rank in submissions]
    go.set()
    return futures


def failing(tx):
    tx.execute(text("INSERT INTO log (user_id, recorded_at, entries) VALUES ('torn', 1, '[]')"))
    raise ValueError("this one fails")


def test_a_unit_that_fails_takes_no_other_of_its_group_with_it(store):
    first, bad, last = held_up(store, (note(store, "a"), ENGINE), (failing, ENGINE), (note(store, "b"), ENGINE))

    assert first.result(10) is None
    assert last.result(10) is None
    with pytest.raises(ValueError, match="this one fails"):
        bad.result(10)
    assert written(store) == ["a", "b"]


def test_a_unit_with_wrong_sql_takes_no_other_with_it(store):
    first, bad, last = held_up(
        store,
        (note(store, "a"), ENGINE),
        (lambda tx: tx.execute(text("INSERT INTO nowhere VALUES (1)")), ENGINE),
        (note(store, "b"), ENGINE),
    )

    first.result(10)
    last.result(10)
    with pytest.raises(Exception, match="nowhere"):
        bad.result(10)
    assert written(store) == ["a", "b"]


def test_a_unit_cancelled_while_it_waits_is_not_run_and_harms_nobody(store):
    go, began = threading.Event(), threading.Event()

    def block(tx):
        began.set()
        assert go.wait(10)

    store.database.submit(block)
    assert began.wait(10)
    first, gone, last = (store.database.submit(note(store, who)) for who in "abc")
    assert gone.cancel()
    go.set()

    first.result(10)
    last.result(10)
    assert written(store) == ["a", "c"]


def test_a_unit_that_has_begun_can_no_longer_be_cancelled(store):
    go, began = threading.Event(), threading.Event()

    def block(tx):
        began.set()
        assert go.wait(10)
        note(store, "a")(tx)

    future = store.database.submit(block)
    assert began.wait(10)

    assert future.cancel() is False
    go.set()
    future.result(10)
    assert written(store) == ["a"]


def test_intake_goes_before_the_engine(store):
    futures = held_up(store, (note(store, "engine"), ENGINE), (note(store, "intake"), INTAKE))

    for future in futures:
        future.result(10)

    assert written(store) == ["intake", "engine"]


def test_an_answer_comes_after_the_commit(store):
    seen = []
    future = store.database.submit(note(store, "a"))
    future.add_done_callback(lambda _: seen.append(written(store)))

    future.result(10)
    store.database.submit(note(store, "b")).result(10)

    assert seen == [["a"]]


def test_units_of_many_threads_are_all_written_once(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.database.write(note(store, f"u{n:03}")), range(200)))

    assert sorted(written(store)) == [f"u{n:03}" for n in range(200)]


def several(store, seen):
    """Work of several names; the name `bad` fails after it has written."""

    def work(tx, names):
        seen.append(names)
        for name in names:
            note(store, name)(tx)
            if name == "bad":
                raise ValueError("this one fails")
        return [f"{name} is written" for name in names]

    return work


def test_what_is_done_together_is_one_call(store):
    seen = []

    assert store.database.write(Together(several(store, seen), ["a", "b"])) == ["a is written", "b is written"]

    assert seen == [["a", "b"]]
    assert written(store) == ["a", "b"]


def test_of_what_is_done_together_one_that_fails_costs_itself_only(store):
    work = several(store, [])

    (before, together, after) = held_up(
        store, (note(store, "x"), ENGINE), (Together(work, ["a", "bad", "b"]), ENGINE), (note(store, "y"), ENGINE)
    )

    first, error, last = together.result(10)
    assert (first, str(error), last) == ("a is written", "this one fails", "b is written")
    assert (before.result(10), after.result(10)) == (None, None)
    assert written(store) == ["x", "a", "b", "y"]


def test_neighbours_that_do_the_same_are_one_call_and_each_is_told_of_its_own(store):
    seen = []
    work, other = several(store, seen), several(store, [])

    futures = held_up(
        store, (Together(work, ["a", "b"]), INTAKE), (Together(work, ["c"]), INTAKE), (Together(other, ["d"]), INTAKE),
        (Together(work, ["e"]), INTAKE),
    )  # fmt: skip

    assert [f.result(10) for f in futures] == [["a is written", "b is written"], ["c is written"], ["d is written"], ["e is written"]]
    assert seen == [["a", "b", "c"], ["e"]]
    assert written(store) == ["a", "b", "c", "d", "e"]


def test_of_neighbours_that_are_one_call_one_that_fails_costs_itself_only(store):
    work = several(store, [])

    first, second = held_up(store, (Together(work, ["a", "bad"]), INTAKE), (Together(work, ["b"]), INTAKE))

    kept, error = first.result(10)
    assert (kept, str(error), second.result(10)) == ("a is written", "this one fails", ["b is written"])
    assert written(store) == ["a", "b"]


def test_the_one_thing_that_is_done_and_fails_leaves_nothing(store):
    (error,) = store.database.write(Together(several(store, []), ["bad"]))

    assert str(error) == "this one fails"
    assert written(store) == []


class FailingConnection:
    """A connection whose commit fails: a full disk, a server that is gone."""

    def __init__(self, begun, go):
        self.begun, self.go = begun, go

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def begin(self):
        return FailingCommit()

    def begin_nested(self):
        return FailingConnection(self.begun, self.go)


class FailingCommit:
    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            raise OSError("no space left on device")


def test_a_commit_that_fails_is_told_to_everybody_in_the_group():
    class Engine:
        def connect(self):
            return FailingConnection(None, None)

    writer = ThreadWriter(Engine())

    work = several(None, [])
    futures = [writer.submit(lambda tx: 1) for _ in range(5)] + [writer.submit(Together(work, [])) for _ in range(2)]

    for future in futures:
        with pytest.raises(OSError, match="no space"):
            future.result(10)
    writer.close()


def test_closing_finishes_what_is_queued_and_refuses_what_comes_after(store):
    futures = held_up(store, *((note(store, f"u{n}"), ENGINE) for n in range(20)))

    store.database.writer.close()

    assert all(f.done() for f in futures)
    assert len(written(store)) == 20
    with pytest.raises(Closed):
        store.database.submit(note(store, "late")).result(10)
