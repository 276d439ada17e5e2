"""Rows of CSV and JSONL files: plain or .gz, in UTF-8 or as Excel in China saves them. A bad row says why and costs only itself."""

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from runtime.intake.reading import Unreadable, parse_json

BLOCK = 1 << 20
LONGEST_LINE = 1 << 18  # bytes of a line of JSON
HEAD = 1 << 16  # bytes that a file is known by, with its size and time
KINDS = (".csv", ".jsonl", ".ndjson")
csv.field_size_limit(BLOCK)


class Row(NamedTuple):
    """A row: its line (the last one of several), its values, what is wrong with it (then `value` is what could be read), its first line."""

    line: int
    value: dict[str, Any]
    problem: str = ""
    first: int = 0

    def told(self, problem: str) -> str:
        """What is wrong, and where a quote may have made one row of several."""
        is_long = 0 < self.first < self.line and (not self.value or any("\n" in str(value) for value in self.value.values()))
        return f"{problem} (lines {self.first} to {self.line} are one row: is a quote not closed?)" if is_long else problem


class RowFile:
    """A file of rows. `encoding`: utf-8 or gb18030, found by looking, unless it is given."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path = path
        self.name = path.name.removesuffix(".gz")
        self.kind = Path(self.name).suffix.lower()
        self.is_csv = self.kind == ".csv"
        self.encoding = encoding or _encoding_of(path)
        self.size = path.stat().st_size
        self._raw: IO[bytes] | None = None

    @property
    def read_so_far(self) -> int:
        """Bytes of the file (compressed, where it is) that are behind the present row."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else 0

    def mark(self) -> str:
        """What this file is known by: size, time of its last change, hash of its head."""
        state = self.path.stat()
        with self.path.open("rb") as file:
            head = hashlib.blake2b(file.read(HEAD), digest_size=16).hexdigest()
        return f"{state.st_size}:{state.st_mtime_ns}:{head}"

    def columns(self) -> list[str] | None:
        """The names in the first line of a CSV; None for JSONL. Raises OSError for a file that is not even begun as it should be."""
        if not self.is_csv:
            return None
        try:
            with _opened(self.path) as file, _text(file, self.encoding, newline="") as text:
                return _names(csv.DictReader(_Lines(text)))
        except csv.Error:
            return []  # told where the rows are read
        except (EOFError, zlib.error) as error:
            raise OSError(f"the compressed file is damaged from its beginning: {error}") from None
        except UnicodeError as error:
            raise OSError(f"it is not {self.encoding}: {error}") from None

    def __iter__(self) -> Iterator[Row]:
        line = 0
        try:
            with self.path.open("rb") as raw, _opened(self.path, raw) as file:
                self._raw = raw
                for row in self._csv_rows(file) if self.is_csv else self._json_rows(file):
                    line = row.line
                    yield row
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield Row(line + 1, {}, f"the compressed file is damaged from here on ({error})")
        except UnicodeError as error:  # a decoder that cannot begin; single letters are replaced
            yield Row(line + 1, {}, f"not {self.encoding} ({error})")

    def _json_rows(self, file: IO[bytes]) -> Iterator[Row]:
        number = 0
        lines = self._json_lines(file)
        for raw in lines:
            number += 1
            if len(raw) >= LONGEST_LINE and not raw.endswith(b"\n"):
                while (rest := next(lines, b"")) and not rest.endswith(b"\n"):
                    pass
                yield Row(number, {}, f"longer than {LONGEST_LINE} bytes")
                continue
            raw = raw.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 - the line as it is read
            if not raw.strip():
                continue
            value = parse_json(raw)
            if isinstance(value, Unreadable):
                yield Row(number, {}, value.detail.removeprefix("the body is "))
            elif isinstance(value, dict):
                yield Row(number, value)
            else:
                yield Row(number, {}, "expected one JSON object per line")

    def _json_lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """The lines in UTF-8; of one that is too long, its parts."""
        if self.encoding.startswith("utf-8"):
            yield from iter(partial(file.readline, LONGEST_LINE), b"")
            return
        with _text(file, self.encoding, newline="\n") as text:
            for line in iter(partial(text.readline, LONGEST_LINE), ""):
                yield line.encode("utf-8", "replace")

    def _csv_rows(self, file: IO[bytes]) -> Iterator[Row]:
        with _text(file, self.encoding, newline="") as text:
            lines = _Lines(text)
            reader = csv.DictReader(lines)
            try:
                names = _names(reader)
            except csv.Error as error:
                yield Row(lines.number, {}, f"not CSV: {error}")
                return
            while True:
                first = lines.number + 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Row(lines.number, {}, f"not CSV: {error}", first)
                    continue
                more = row.pop(None, None)
                if more is not None:
                    yield Row(lines.number, row, f"more values than the {len(names)} columns of the first line", first)
                elif any(value not in (None, "") for value in row.values()):
                    there = sum(value is not None for value in row.values())
                    short = f"{there} {'value' if there == 1 else 'values'}, fewer than the {len(names)} columns of the first line"
                    yield Row(lines.number, row, short if there < len(row) else "", first)


class _Lines:
    """The lines of a CSV without NUL, counted. One that no row can be as long as is refused in its turn: no file is read as one line."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(BLOCK)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == BLOCK and not line.endswith(("\n", "\r")):
            while (rest := self._text.readline(BLOCK)) and not rest.endswith(("\n", "\r")):
                pass
            raise csv.Error(f"a line longer than {BLOCK} characters")
        return line.replace("\x00", "�") if "\x00" in line else line


def _names(reader: "csv.DictReader[str]") -> list[str]:
    """The columns, without the blanks that spreadsheets leave around names."""
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    return names


def _opened(path: Path, raw: IO[bytes] | None = None) -> IO[bytes]:
    """The bytes of a file, decompressed; of a file that is open already, where `raw` is given."""
    if path.suffix.lower() == ".gz":
        return gzip.GzipFile(path if raw is None else None, "rb", fileobj=raw)  # type: ignore[return-value]
    return raw or path.open("rb")


def _text(file: IO[bytes], encoding: str, newline: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding, errors="replace", newline=newline)


def _encoding_of(path: Path) -> str:
    """UTF-8 if the first part that is not ASCII can be read as UTF-8, else GB18030 (which has GBK and GB2312 in it)."""
    try:
        with _opened(path) as file:
            first = True
            while block := file.read(BLOCK):
                if first and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    return "utf-16"
                first = False
                if not block.isascii():
                    return next((name for name in ("utf-8", "gb18030") if _decodes(block, name)), "utf-8").replace("utf-8", "utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error):
        pass  # told where the rows are read
    return "utf-8-sig"


def _decodes(block: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)("strict").decode(block)  # a letter that is cut at the end is no error
    except UnicodeDecodeError:
        return False
    return True
