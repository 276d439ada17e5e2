"""The store: tables, migrations and every SQL statement of journeyd. Services call it; it decides nothing."""

from sqlalchemy.exc import DBAPIError as DatabaseError

from runtime.store.codec import Unreadable
from runtime.store.database import Database, StoreError
from runtime.store.sql_store import SqlStore, open_store

__all__ = ["Database", "DatabaseError", "SqlStore", "StoreError", "Unreadable", "open_store"]
