"""SqlStore: the open database with its groups of statements. The services get one of these and nothing below it."""

import sys
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from runtime.store.arrivals import Arrivals
from runtime.store.breakdowns import Breakdowns
from runtime.store.budgets import Budgets
from runtime.store.codec import Codec
from runtime.store.contacts import Contacts
from runtime.store.database import Database, StoreError
from runtime.store.enquiries import Enquiries
from runtime.store.entering import Entering
from runtime.store.flow import Flow
from runtime.store.identity import Identity
from runtime.store.imports import Imports
from runtime.store.inbox import Inbox
from runtime.store.ledger import Ledger
from runtime.store.merging import Merging
from runtime.store.movements import Movements
from runtime.store.outcomes import Outcomes
from runtime.store.paces import Paces
from runtime.store.people import People
from runtime.store.populations import Populations
from runtime.store.quarantine import Quarantine
from runtime.store.receipts import Receipts
from runtime.store.received import Received
from runtime.store.releases import Releases
from runtime.store.reports import Reports
from runtime.store.tables import metadata

FRAMES = 5_000  # of Python at most: on PostgreSQL SQLAlchemy goes down 80 for each level of arithmetic (`journeys.nesting`)
MIGRATIONS = Path(__file__).parent / "migrations"
_EMPTIED = [*(str(table.delete()) for table in reversed(metadata.sorted_tables)), "DELETE FROM sqlite_sequence"]


class SqlStore:
    """Groups of statements over one Database. Every method of a group takes the transaction it runs in."""

    def __init__(self, database: Database, zone: ZoneInfo, codec: Codec | None = None) -> None:
        codec = codec or Codec()
        self.database = database
        dialect, is_sqlite = database.engine.dialect, database.is_sqlite
        self.inbox = Inbox(codec, is_sqlite=is_sqlite)
        self.identity = Identity(self.inbox, is_sqlite=is_sqlite)
        self.arrivals = Arrivals(self.inbox, self.identity, is_sqlite=is_sqlite)
        self.people = People(codec, zone, dialect, is_sqlite=is_sqlite)
        self.paces = Paces(is_sqlite=is_sqlite)
        self.populations = Populations(self.inbox, is_sqlite=is_sqlite)
        self.received = Received(is_sqlite=is_sqlite)
        self.entering = Entering(codec, is_sqlite=is_sqlite)
        self.breakdowns = Breakdowns(is_sqlite=is_sqlite)
        self.budgets = Budgets(is_sqlite=is_sqlite)
        self.ledger = Ledger(codec, dialect, self.budgets, is_sqlite=is_sqlite)
        self.merging = Merging(is_sqlite=is_sqlite)
        self.flow = Flow(is_sqlite=is_sqlite)
        self.imports = Imports(is_sqlite=is_sqlite)
        self.contacts = Contacts(is_sqlite=is_sqlite)
        self.receipts = Receipts(is_sqlite=is_sqlite)
        self.quarantine = Quarantine(codec)
        self.movements = Movements(codec, is_sqlite=is_sqlite)
        self.releases = Releases(is_sqlite=is_sqlite)
        self.reports = Reports(codec)
        self.enquiries = Enquiries(codec)
        self.outcomes = Outcomes(codec)

    def close(self) -> None:
        """Finish what is queued and let the database go."""
        self.database.close()

    def empty(self) -> None:
        """Forget everything, so that the next story of a scratch database in memory begins in an empty one, ids included.

        Making the tables anew, and every statement for them, would cost more than the story. Refused for a database that is kept.
        """
        if not self.database.in_memory:
            msg = "only a scratch database in memory is emptied"
            raise StoreError(msg)
        raw = self.database.inline.connection.dbapi_connection
        assert raw is not None  # noqa: S101 - it is connected
        self.database.inline.rollback()
        for statement in _EMPTIED:
            raw.cursor().execute(statement)


def open_store(url: str, zone: ZoneInfo, mode: str = "inline", *, scratch: bool = False) -> SqlStore:
    """Open a database and bring its tables up to date. Raises StoreError, with the cure, when it cannot be used."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), FRAMES))
    database = Database(url, mode, scratch=scratch)
    try:
        _migrate(database, may_write=mode != "reading")
    except OperationalError as error:
        database.close()
        if database.is_sqlite:
            raise
        said = " ".join(str(error.orig).split())[:300]
        msg = f"{database.url.render_as_string()} does not answer ({said}); start PostgreSQL, or correct [database] url"
        raise StoreError(msg) from None
    except BaseException:
        database.close()
        raise
    return SqlStore(database, zone)


def _migrate(database: Database, *, may_write: bool) -> None:
    if database.in_memory:  # gone with the process: there is nothing to migrate, only to make
        metadata.create_all(database.engine, checkfirst=False)
        return
    scripts = _scripts()
    with database.engine.connect().execution_options(reading=True) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found == scripts.get_current_head():
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        msg = f"the database was made by a newer journeyd (schema {found}); install that version, or restore an older backup"
        raise StoreError(msg)
    if not may_write:
        msg = "the tables are not up to date yet; `journeyd run` or `journeyd apply` brings them up to date"
        raise StoreError(msg)
    with database.engine.begin() as connection:
        _upgrade(connection)


@cache
def _scripts() -> ScriptDirectory:
    """The migrations, read once in a process."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
