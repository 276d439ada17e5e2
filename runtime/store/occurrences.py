"""How often each row was met, and where first: exact for files of any length, on disk where memory would grow."""

import sqlite3
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import orjson

CACHE_KB = 32_768
# one statement for many rows: a call for each costs more than what it does
_MEET = """
INSERT INTO firsts SELECT value->>0, value->>1, value->>2 FROM json_each(?) WHERE true ON CONFLICT (what) DO NOTHING
"""
_MET_BEFORE = """
SELECT value->>1, line, content FROM json_each(?) JOIN firsts ON what = value->>0 WHERE line <> value->>1
"""


class Occurrences:
    """Knows what it has met, in a private temporary database that nobody else sees and that is gone at the end."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)  # "": a temporary file of SQLite's own
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("CREATE TABLE seen (what TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID")
        self._connection.execute("CREATE TABLE firsts (what TEXT PRIMARY KEY, line INTEGER NOT NULL, content TEXT NOT NULL)")
        self._connection.execute("BEGIN")

    def count(self, what: str) -> int:
        """How often this was met, this time included."""
        text = "INSERT INTO seen VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET n = n + 1 RETURNING n"
        return int(self._connection.execute(text, (what,)).fetchone()[0])

    def firsts(self, met: Sequence[tuple[str, int, str]]) -> dict[int, tuple[int, str]]:
        """Takes (what, line, content). By line, for those that were met before: the line and the content of the first."""
        rows = orjson.dumps(met).decode()
        if self._connection.execute(_MEET, (rows,)).rowcount == len(met):
            return {}
        return {line: (first, content) for line, first, content in self._connection.execute(_MET_BEFORE, (rows,))}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
