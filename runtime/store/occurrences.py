"""How often each row was met, and where first: exact for files of any length, on disk where memory would grow."""

import sqlite3
from types import TracebackType
from typing import Self

CACHE_KB = 32_768


class Occurrences:
    """Knows what it has met, in a private temporary database that nobody else sees and that is gone at the end."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)  # "": a temporary file of SQLite's own
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("CREATE TABLE seen (what TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID")
        self._connection.execute("CREATE TABLE firsts (what TEXT PRIMARY KEY, line INTEGER NOT NULL, content BLOB NOT NULL)")
        self._connection.execute("BEGIN")

    def count(self, what: str) -> int:
        """How often this was met, this time included."""
        text = "INSERT INTO seen VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET n = n + 1 RETURNING n"
        return int(self._connection.execute(text, (what,)).fetchone()[0])

    def first(self, what: str, line: int, content: bytes) -> tuple[int, bytes] | None:
        """The line in which this was met first, and its content there; None: it is met now."""
        text = "INSERT INTO firsts VALUES (?, ?, ?) ON CONFLICT (what) DO NOTHING RETURNING line"
        if self._connection.execute(text, (what, line, content)).fetchone() is not None:
            return None
        found: tuple[int, bytes] = self._connection.execute("SELECT line, content FROM firsts WHERE what = ?", (what,)).fetchone()
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
