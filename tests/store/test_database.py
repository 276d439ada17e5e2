"""Opening: one daemon per SQLite file, corrupt and newer databases refused untouched, tables as the migrations say."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url, text

from runtime.state import LIVE, Enrolment
from runtime.store import DatabaseError, StoreError, open_store
from runtime.store.database import LEFT_OF_LOG, Database, copy
from runtime.store.entering import Newcomer
from runtime.store.tables import log, metadata
from tests.postgres import wait_for_a_lock
from tests.town import NOON, ZONE, event, somebody


def path_of(url):
    return Path(make_url(url).database)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(store):
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_an_empty_database_gets_its_tables_and_keeps_them(tmp_path):
    url = f"sqlite:///{tmp_path}/deep/er/new.db"
    first = open_store(url, ZONE, "daemon")
    first.database.write(lambda tx: first.people.save_users(tx, [somebody("u1")]))
    first.close()

    second = open_store(url, ZONE, "daemon")

    with second.database.reading() as tx:
        assert list(second.people.load_users(tx, ["u1"])) == ["u1"]
    second.close()


def test_a_second_daemon_is_refused_and_told_who_has_the_file(new_sqlite):
    first = open_store(new_sqlite, ZONE, "daemon")

    with pytest.raises(StoreError, match=rf"process {os.getpid()}"):
        open_store(new_sqlite, ZONE, "daemon")

    first.close()
    open_store(new_sqlite, ZONE, "daemon").close()


def test_the_lock_is_seen_by_other_processes_and_gone_with_the_one_that_held_it(new_sqlite):
    first = open_store(new_sqlite, ZONE, "daemon")
    script = f"from zoneinfo import ZoneInfo\nfrom runtime.store import open_store\nopen_store({new_sqlite!r}, ZoneInfo('UTC'), 'daemon').close()"

    refused = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    first.close()
    taken = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert f"process {os.getpid()}" in refused.stderr
    assert taken.returncode == 0, taken.stderr


def test_commands_may_read_beside_the_daemon(new_sqlite):
    daemon = open_store(new_sqlite, ZONE, "daemon")
    daemon.database.write(lambda tx: daemon.inbox.add_events(tx, "s", [event("app_opened", NOON)]))

    reader = open_store(new_sqlite, ZONE)

    with reader.database.reading() as tx:
        assert reader.reports.totals(tx)["events"] == 1
    reader.close()
    daemon.close()


def corrupt_head(path):
    data = bytearray(path.read_bytes())
    data[:16] = b"not a database!!"
    path.write_bytes(data)


def corrupt_pages(path):
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data) - 4096, 8192):
        data[start : start + 2048] = b"\xff" * 2048
    path.write_bytes(data)


def cut_off(path):
    path.write_bytes(path.read_bytes()[: 5 * 4096 + 100])


@pytest.mark.parametrize("damage", [corrupt_head, corrupt_pages, cut_off])
def test_a_damaged_file_is_refused_with_the_cure_and_left_as_it_is(new_sqlite, damage):
    path = path_of(new_sqlite)
    damage(path)
    before = digest(path)

    with pytest.raises(StoreError, match="restore your latest backup"):
        open_store(new_sqlite, ZONE, "daemon")

    assert digest(path) == before


def test_after_a_refusal_the_file_is_not_locked(new_sqlite):
    path = path_of(new_sqlite)
    sound = path.read_bytes()
    corrupt_head(path)
    with pytest.raises(StoreError):
        open_store(new_sqlite, ZONE, "daemon")

    path.write_bytes(sound)

    open_store(new_sqlite, ZONE, "daemon").close()


def test_a_database_of_a_newer_journeyd_is_refused_and_left_as_it_is(database_url):
    store = open_store(database_url, ZONE, "daemon")
    store.database.write(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    store.close()

    with pytest.raises(StoreError, match=r"newer journeyd \(schema 9999\)"):
        open_store(database_url, ZONE, "daemon")

    engine = store.database.engine
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    engine.dispose()


def test_a_closed_sqlite_database_is_one_file_with_everything_in_it(new_sqlite):
    store = open_store(new_sqlite, ZONE, "daemon")
    store.database.write(lambda tx: store.people.save_users(tx, [somebody("u1")]))
    store.close()

    with sqlite3.connect(path_of(new_sqlite)) as connection:
        users = connection.execute("SELECT count(*) FROM users").fetchone()
    connection.close()

    assert users == (1,)
    assert (
        not path_of(new_sqlite).with_name("journeyd.db-wal").exists() or not path_of(new_sqlite).with_name("journeyd.db-wal").stat().st_size
    )


def test_sqlite_commits_are_durable_before_they_are_answered(new_sqlite):
    store = open_store(new_sqlite, ZONE, "daemon")

    with store.database.engine.connect() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        ]

    assert settings == ["wal", 2, 1, 1]
    store.close()


def test_a_log_that_has_grown_large_is_brought_back_and_cut_once_nobody_reads_in_it(new_sqlite):
    large = 64 << 20
    database = Database(new_sqlite, "daemon", large_log=large)
    log_file = Path(f"{path_of(new_sqlite)}-wal")
    database.write(lambda tx: tx.exec_driver_sql("CREATE TABLE large (data BLOB)"))

    def sizes(n):
        found = []
        for _ in range(n):
            database.write(lambda tx: tx.exec_driver_sql(f"INSERT INTO large VALUES (zeroblob({8 << 20}))"))
            database.write(lambda tx: None)  # the group before has told its writer before the log is looked at
            found.append(log_file.stat().st_size)
        return found

    with database.reading() as reader:
        reader.execute(text("SELECT count(*) FROM large")).all()
        beside_a_reader = sizes(12)
    alone = sizes(24)
    database.close()

    assert beside_a_reader[-1] > 96 << 20
    assert max(alone[2:]) <= large + (24 << 20)
    assert min(alone) <= LEFT_OF_LOG + (1 << 20)


def test_the_database_says_whether_it_answers(store):
    assert store.database.alive()


def test_a_scratch_database_in_memory_is_quick_to_make_and_complete():
    store = open_store("sqlite:///:memory:", ZONE, scratch=True)

    store.database.write(lambda tx: store.people.save_users(tx, [somebody("u1")]))

    with store.database.reading() as tx:
        assert list(store.people.load_users(tx, ["u1"])) == ["u1"]
    store.close()


def test_what_a_batch_has_locked_for_a_unit_is_locked_until_the_unit_is_committed(new_postgres):
    from threading import Event

    store = open_store(new_postgres, ZONE, "daemon")
    store.database.write(lambda tx: store.people.save_users(tx, [somebody("u1"), somebody("u2")]))
    go_on = Event()

    def free(tx):
        return sorted(store.people.load_users(tx, ["u1", "u2"], lock=True))

    with store.database.batch() as batch:
        assert list(store.people.load_users(batch.connection, ["u1"], lock=True)) == ["u1"]
        writing = batch.begin(lambda _: go_on.wait(20))
        assert list(store.people.load_users(batch.connection, ["u2"], lock=True)) == ["u2"]
        assert store.database.write(free) == []
        go_on.set()
        assert writing.result()
        assert store.database.write(free) == ["u1"]

    assert store.database.write(free) == ["u1", "u2"]
    store.close()


@pytest.mark.parametrize("mode", ["daemon", "inline"])
@pytest.mark.parametrize(("mine", "theirs"), [(False, True), (True, False), (False, False), (True, True)])
def test_who_works_on_users_and_who_works_on_many_of_them_wait_for_each_other(new_postgres, mine, theirs, mode):
    ours, other = open_store(new_postgres, ZONE, "daemon"), open_store(new_postgres, ZONE, mode)
    order = []

    def work():
        with other.database.batch(of_many=theirs) as batch:
            order.append("theirs")
            return batch.reads_apart

    with ThreadPoolExecutor(1) as pool:
        with ours.database.batch(of_many=mine) as batch:
            working = pool.submit(work)
            if mine == theirs:
                working.result()
            else:
                wait_for_a_lock(ours.database.engine)
            assert batch.reads_apart == mine
            order.append("ours")
        assert working.result() == (theirs and mode == "daemon")

    assert order == (["theirs", "ours"] if mine == theirs else ["ours", "theirs"])
    for store in (ours, other):
        store.close()


def test_the_next_unit_of_many_waits_behind_others_only_once_the_one_before_is_being_written(new_postgres):
    ours, theirs = (open_store(new_postgres, ZONE, "daemon") for _ in range(2))

    def turn():
        with theirs.database.batch() as batch:
            theirs.people.save_users(batch.connection, [somebody("u1")])

    with ThreadPoolExecutor(1) as pool, ours.database.batch(of_many=True) as batch:
        turning = pool.submit(turn)
        wait_for_a_lock(ours.database.engine)
        writing = batch.begin(lambda tx: ours.people.save_users(tx, [somebody("u2")]))  # would wait for ever, were it begun afterwards
        assert set(ours.people.load_users(batch.connection, ["u1", "u2"])) == {"u1", "u2"}
        writing.result()
        turning.result()

    for store in (ours, theirs):
        store.close()


def test_what_copy_writes_is_read_as_it_was_given_and_its_errors_are_the_databases(new_postgres):
    store = open_store(new_postgres, ZONE, "daemon")
    odd = "a\tb\nc\rd\\\\e\\N\u2028"
    pattern = Enrolment("", "j", 1, "", "", "a", LIVE, NOON, NOON, NOON)
    newcomer = Newcomer(odd, "k1", False, '[["\\\\ \\t"]]')

    def enter(tx):
        return store.entering.write(tx, store.entering.prepare(tx, [newcomer], {False: pattern}, NOON, parallel=False))

    assert store.database.write(enter) == {False: 1, True: 0}
    with store.database.reading() as tx:
        assert [e.key for e in store.people.open_enrolments(tx, [odd], NOON)[odd]] == ["k1"]
        assert tx.execute(text("SELECT entries FROM log")).scalar_one() == newcomer.entered
    with pytest.raises(DatabaseError, match="there_is_none"):
        store.database.write(lambda tx: copy(tx, log, ["there_is_none"], ""))
    store.close()


def test_a_unit_of_a_batch_that_fails_is_undone_and_what_the_batch_reads_on_is_let_go(database_url):
    store = open_store(database_url, ZONE, "daemon")

    def fails(tx):
        store.people.save_users(tx, [somebody("u1")])
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"), store.database.batch() as batch:
        batch.begin(fails).result()

    with store.database.reading() as tx:
        assert store.people.load_users(tx, ["u1"]) == {}
    store.close()
