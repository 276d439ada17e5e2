"""Connections: SQLite (WAL, FULL, one writer thread, an OS lock file) and PostgreSQL, behind one Database."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import psycopg
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError
from sqlalchemy.pool import StaticPool

from runtime.store.documents import add_functions
from runtime.store.writer import ENGINE, Closed, InlineWriter, T, ThreadWriter, Unit, Writer

CHECKPOINT_EVERY = 200  # groups of commits
LARGE_LOG = 256 << 20  # bytes: from when it is brought back after any group; at 64 MB the p99 of batches is a third longer
LEFT_OF_LOG = 16 << 20  # bytes that its file keeps when it begins anew
_ALONE = 0x6A6F75726E657964  # the number of a lock in PostgreSQL, which has none of its own: "journeyd"
_ALONE_LEASE = 120_000  # milliseconds after which a dead machine does not hold it any more; some ranges take a second or two


class StoreError(Exception):
    """The database cannot be used; the message says what to do."""


class Database:
    """An open database. `mode`: "daemon" locks and starts the writer thread, "inline" writes on the caller's thread.

    `large_log` are the bytes of SQLite's log from which on it is brought back without waiting for CHECKPOINT_EVERY groups.
    """

    def __init__(self, url: str, mode: str = "inline", *, scratch: bool = False, large_log: int = LARGE_LOG) -> None:
        self.url = _known_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock: IO[str] | None = None
        self._closed = False
        self.in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        if self.is_sqlite and not self.in_memory:
            self._prepare_file(Path(self.url.database or ""), lock=mode == "daemon")
        self.engine = self._sqlite(scratch=scratch) if self.is_sqlite else self._postgres()
        self._inline: Connection | None = None
        self._checkpoint_at = CHECKPOINT_EVERY  # after so many groups
        self._log, self._large_log = Path(f"{self.url.database or ''}-wal"), large_log
        self._mode = mode
        self._writer: Writer | None = None

    # --- opening

    def _prepare_file(self, path: Path, *, lock: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if lock:
            self._lock = lock_file(path)
        if path.exists() and path.stat().st_size:
            try:
                _refuse_corrupt(path, "quick_check(1)" if lock else "schema_version")
            except StoreError:
                self._unlock()
                raise

    def _sqlite(self, *, scratch: bool) -> Engine:
        options: dict[str, Any] = {"poolclass": StaticPool} if self.in_memory else {}
        engine = create_engine(
            self.url, paramstyle="named", connect_args={"check_same_thread": False, "timeout": 15, "cached_statements": 512}, **options
        )

        @event.listens_for(engine, "connect")
        def configure(connection: sqlite3.Connection, _: object) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            for pragma in (
                "journal_mode=OFF" if scratch else "journal_mode=WAL",
                "synchronous=OFF" if scratch else "synchronous=FULL",
                "foreign_keys=ON", "busy_timeout=15000", "wal_autocheckpoint=0", f"journal_size_limit={LEFT_OF_LOG}", "secure_delete=ON",
                "temp_store=MEMORY",
            ):  # fmt: skip
                if scratch and pragma == "secure_delete=ON":
                    continue
                connection.execute(f"PRAGMA {pragma}")
            add_functions(connection)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            reading = connection.get_execution_options().get("reading", False)
            connection.exec_driver_sql("BEGIN" if reading or scratch else "BEGIN IMMEDIATE")

        return engine

    def _postgres(self) -> Engine:
        options = "-c idle_in_transaction_session_timeout=8000 -c statement_timeout=60000 -c lock_timeout=15000"
        return create_engine(
            self.url, pool_pre_ping=True, pool_size=8, max_overflow=40,
            connect_args={"options": options, "keepalives_idle": 30, "tcp_user_timeout": 30000},
        )  # fmt: skip

    # --- using

    @property
    def writer(self) -> Writer:
        """The writer, started at first use (after migrations)."""
        if self._writer is None:
            if self._mode == "daemon":
                self._writer = ThreadWriter(self.engine, self._checkpoint if self.is_sqlite else None)
            else:
                self._writer = InlineWriter(self.inline)
        return self._writer

    @property
    def inline(self) -> Connection:
        """The caller's own connection in inline mode."""
        if self._inline is None:
            self._inline = self.engine.connect()
        return self._inline

    def submit(self, unit: Unit[T], rank: int = ENGINE) -> "Future[T]":
        """Queue a unit of writing; grouped with others into one commit."""
        return self.writer.submit(unit, rank)

    def write(self, unit: Unit[T], rank: int = ENGINE) -> T:
        """Run a unit of writing and wait for its commit. On PostgreSQL a transaction of its own: locks of one wait for no other's."""
        if self._mode == "daemon" and not self.is_sqlite:
            if self._closed:
                msg = "the store is closed"
                raise Closed(msg)
            with self.engine.begin() as connection:
                return unit(connection)
        return self.submit(unit, rank).result()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; in inline mode the caller's own."""
        if self._mode == "inline":
            yield self.inline
            self.inline.rollback()
            return
        with self.engine.connect().execution_options(reading=True) as connection:
            yield connection

    @contextlib.contextmanager
    def batch(self, *, of_many: bool = False) -> Iterator["Batch"]:
        """A batch: read and lock, decide, write. On PostgreSQL one transaction, on SQLite the write is one unit.

        On PostgreSQL the row locks are the claim: they end with the transaction, or with the daemon that held it
        (idle_in_transaction_session_timeout is their lease). On SQLite there is one daemon, by the lock file.
        `of_many` is a batch of so many users that none of them is locked: meanwhile no other daemon works on anybody; see `take_turns`.
        """
        if self._mode == "inline":
            if not self.is_sqlite:
                take_turns(self.inline, of_many=of_many)
            yield Batch(self.inline)
            self.inline.commit()
        elif self.is_sqlite:
            with self.engine.connect().execution_options(reading=True) as connection:
                yield _BesideTheWriter(connection, self)
        else:
            with contextlib.closing(_HandedOver(self.engine, of_many=of_many)) as batch:
                take_turns(batch.connection, of_many=of_many)
                yield batch
                batch.connection.commit()

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else is within this, in whatever process; on PostgreSQL nobody comes in until its end. Nobody is waited for.

        Those who work on many users lock none of them, so that they would not see what another of them is about to write; and one
        transaction hands over to the next while it writes: a connection of its own holds the lock for all of them.
        """
        if self.is_sqlite:
            yield True
            return
        with self.engine.connect() as holding:
            holding.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {_ALONE_LEASE}")
            yield holding.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_ALONE})").scalar_one()

    def _checkpoint(self, connection: Connection, groups: int) -> None:
        """Bring the log back into the file, so that it begins anew with the next group, which also cuts its file to LEFT_OF_LOG.

        Who still reads in it keeps it from that: then after the next group. A file that is large has grown since it began.
        """
        if groups >= self._checkpoint_at or _size_of(self._log) > self._large_log:
            _, logged, brought_back = _run_pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")
            if logged == brought_back:
                self._checkpoint_at = groups + CHECKPOINT_EVERY

    def close(self) -> None:
        """Finish what is queued, write the log of SQLite back into the file, release the lock."""
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        if self._inline is not None:
            self._inline.close()
        if self.is_sqlite and not self.in_memory and self._mode == "daemon":
            with contextlib.suppress(DatabaseError), self.engine.connect() as connection:
                _run_pragma(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        self.engine.dispose()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def facts(self) -> dict[str, Any]:
        """What `doctor` wants to know: the settings that durability rests on; of PostgreSQL its own clock (milliseconds), its memory for
        pages and what the users weigh (bytes).
        """
        with self.reading() as connection:
            if self.is_sqlite:
                return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "user_version")}
            found = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("synchronous_commit", "fsync")}
            asked = {
                "clock": "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
                "shared_buffers": "pg_size_bytes(current_setting('shared_buffers'))",
                "users": "pg_table_size('users')",
            }
            return found | {name: connection.exec_driver_sql(f"SELECT {what}").scalar() for name, what in asked.items()}

    def alive(self) -> bool:
        """Whether the database answers."""
        try:
            with self.reading() as connection:
                connection.execute(text("SELECT 1"))
        except DatabaseError:
            return False
        return True


def take_turns(tx: Connection, *, of_many: bool = False) -> None:
    """On PostgreSQL, until the transaction ends: those who work on users each by a row lock, and those who work on many without any
    (`of_many`), wait for each other; among themselves neither do.

    The modes of a table's lock say just that, and `releases` is a table that hardly anybody writes. To lock the rows of a range instead
    writes every page of it, and each page once more into the log of the database: more than the entries themselves.
    """
    tx.exec_driver_sql(f"LOCK TABLE releases IN {'SHARE' if of_many else 'ROW EXCLUSIVE'} MODE")


def copy(tx: Connection, table: Table, columns: Sequence[str], lines: str) -> None:
    """On PostgreSQL: write rows by COPY, from lines of its text format. Its errors are those of any statement."""
    statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
    try:
        driver: Any = tx.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(statement) as copying:
            copying.write(lines)
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True, dialect=tx.dialect) from error


class Batch:
    """A claim with its decisions, in one transaction. `connection` reads (and locks), `write` runs a unit."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @property
    def reads_apart(self) -> bool:
        """Whether this batch may go on reading what was there before, while another thread writes what it has begun."""
        return False

    def write(self, unit: Unit[T]) -> T:
        """Write what was decided: within the batch's own transaction, or as one unit of the writer."""
        return unit(self.connection)

    def begin(self, unit: Unit[T]) -> "Future[T]":
        """Have a unit written by another thread, and read on meanwhile by `connection`: another one from here on, perhaps.

        Only where `reads_apart`, and only once the one before is written.
        """
        raise NotImplementedError


class _BesideTheWriter(Batch):
    """SQLite: the writer has the only connection that writes; the batch reads what was there before."""

    def __init__(self, connection: Connection, database: Database) -> None:
        super().__init__(connection)
        self._database = database

    @property
    def reads_apart(self) -> bool:
        return True

    def write(self, unit: Unit[T]) -> T:
        return self.begin(unit).result()

    def begin(self, unit: Unit[T]) -> "Future[T]":
        self.connection.rollback()  # what was read until now is no longer needed: the database's log may be brought back up to here
        return self._database.submit(unit, ENGINE)


class _HandedOver(Batch):
    """PostgreSQL: the transaction that has read and locked is the one that writes. It goes to a thread, and the batch takes another.

    What was locked for a unit is locked until that unit is committed, or is not: whoever takes the locks over finds it there.
    """

    def __init__(self, engine: Engine, *, of_many: bool) -> None:
        super().__init__(engine.connect())
        self._engine, self._of_many = engine, of_many
        self._thread: ThreadPoolExecutor | None = None

    @property
    def reads_apart(self) -> bool:
        return self._of_many

    def begin(self, unit: Unit[T]) -> "Future[T]":
        self._thread = self._thread or ThreadPoolExecutor(1, "journeyd-ranges")
        mine, self.connection = self.connection, self._engine.connect()
        writing = self._thread.submit(_commit, mine, unit)
        take_turns(self.connection, of_many=self._of_many)  # behind others that wait for the unit to be written: so not before it
        return writing

    def close(self) -> None:
        """Wait for what was begun; undo what was not."""
        self.connection.close()
        if self._thread is not None:
            self._thread.shutdown()


def _commit(connection: Connection, unit: Unit[T]) -> T:
    """Run a unit in the transaction of a connection, and let the connection go."""
    with connection:
        result = unit(connection)
        connection.commit()
        return result


def _known_url(url: str) -> URL:
    """The URL of a database that journeyd knows; never echoes a password."""
    expected = "expected sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME in [database] url"
    try:
        read = make_url(url)
    except ArgumentError:
        msg = f"the URL of the database cannot be read; {expected}"
        raise StoreError(msg) from None
    if read.drivername not in ("sqlite", "postgresql+psycopg"):
        msg = f"found a database of {read.drivername}; {expected}"
        raise StoreError(msg)
    return read


def _run_pragma(connection: Connection, pragma: str) -> Any:
    """Its first row."""
    raw = connection.connection.dbapi_connection
    assert raw is not None  # noqa: S101 - it is connected
    return raw.cursor().execute(pragma).fetchone()


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def lock_file(path: Path) -> IO[str]:
    """Take the daemon's lock beside the database file; refuse, with the holder's process id, when another has it."""
    file = path.with_name(path.name + ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        msg = f"{path} is in use by another journeyd (process {holder}); stop that one first, or use another database"
        raise StoreError(msg) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def _refuse_corrupt(path: Path, pragma: str) -> None:
    """Refuse a file that SQLite cannot read, before anything is written to it (a daemon reads every page)."""
    advice = "restore your latest backup into its place; the file was left as it is"
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        with contextlib.closing(connection):
            answer = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    except sqlite3.DatabaseError as error:
        msg = f"{path} is not a sound SQLite database ({error}); {advice}"
        raise StoreError(msg) from None
    if answer != "ok" and not isinstance(answer, int):
        msg = f"{path} is damaged ({answer}); {advice}"
        raise StoreError(msg)
