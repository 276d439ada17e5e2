"""The store: tables, migrations and every SQL statement of journeyd. Services call it; it decides nothing."""

from runtime.store.database import Database, StoreError
from runtime.store.sql_store import SqlStore, open_store

__all__ = ["Database", "SqlStore", "StoreError", "open_store"]
