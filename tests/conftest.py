"""Fixtures of all tests: databases that cost little, on SQLite and on PostgreSQL."""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from runtime.store import SqlStore, open_store
from tests import postgres
from tests.town import ZONE

settings.register_profile("quick", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quick")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background of a shell: what the tests start would be deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("COLUMNS", None)  # readline sets it for whatever a test runner starts: how wide tables are would hang on the runner

DATABASES = ["sqlite", "postgresql"]
MEMORY = "/dev/shm"


def pytest_collection_finish() -> None:
    """What is imported stays: looking through it for garbage, again and again, costs every test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the tests."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[str]:
    """A database with the newest tables, to be copied."""
    url = postgres.new_database(postgres_url)
    open_store(url, ZONE).close()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def folder_in_memory() -> Iterator[Path]:
    """Where a commit costs nothing, if the machine has such a place: SQLite waits for the disk at every commit, as it must for users."""
    with tempfile.TemporaryDirectory(prefix="journeyd-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def migrated_sqlite(folder_in_memory: Path) -> Path:
    """A SQLite file with the newest tables, to be copied."""
    path = folder_in_memory / "migrated.db"
    open_store(f"sqlite:///{path}", ZONE, "daemon").close()
    return path


@pytest.fixture
def new_sqlite(migrated_sqlite: Path, folder_in_memory: Path) -> Iterator[str]:
    """The URL of a fresh SQLite file with the newest tables."""
    with tempfile.TemporaryDirectory(dir=folder_in_memory) as folder:
        path = Path(folder) / "journeyd.db"
        shutil.copyfile(migrated_sqlite, path)
        yield f"sqlite:///{path}"


@pytest.fixture(scope="session")
def emptied_postgres(migrated_postgres: str) -> Iterator[postgres.Emptied]:
    """Databases that a test has used and that have been emptied since."""
    databases = postgres.Emptied(migrated_postgres)
    yield databases
    databases.close()


@pytest.fixture
def new_postgres(emptied_postgres: postgres.Emptied) -> Iterator[str]:
    """The URL of a PostgreSQL database with the newest tables and nothing in them, like a fresh one."""
    with emptied_postgres.one() as url:
        yield url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database: every test that asks for it runs on both."""
    return str(request.getfixturevalue("new_sqlite" if request.param == "sqlite" else "new_postgres"))


@pytest.fixture
def open_another(database_url: str) -> Iterator[Callable[[], SqlStore]]:
    """Open the same database once more, as a second daemon would (PostgreSQL only: SQLite refuses it)."""
    opened: list[SqlStore] = []

    def again() -> SqlStore:
        opened.append(open_store(database_url, ZONE, "daemon"))
        return opened[-1]

    yield again
    for store in opened:
        store.close()


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    """A store with its writer thread, as the daemon has it, on each database."""
    opened = open_store(database_url, ZONE, "daemon")
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(new_sqlite: str) -> Iterator[SqlStore]:
    """The same on SQLite alone, where the database does not matter."""
    opened = open_store(new_sqlite, ZONE, "daemon")
    yield opened
    opened.close()
