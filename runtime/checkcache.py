"""What earlier checks found, kept by a hash of everything it depends on, so that a check looks only at what has changed.

A file in the project's folder. A damaged one counts as empty; of two checks at once the later one's stays.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

FOLDER = ".journeyd"
FILE = Path("cache") / "check.json"
MOST_ENTRIES = 4_000  # the latest used; a journey takes two
LARGEST = 32 * 1024 * 1024  # bytes; a larger file is not written, and not read
PACKAGES = ("journeys", "channels", "runtime")
IGNORED = "# made by `journeyd check`; it may be deleted\n*\n"


def digest(*parts: bytes | str) -> str:
    """64 hex digits of the parts and of where one ends and the next begins."""
    whole = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return whole.hexdigest()


@cache
def program_digest() -> str:
    """Of everything that could find something else tomorrow: journeyd's own source, Python, and the versions of all that is installed."""
    root = Path(__file__).parents[1]
    sources = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    own = [part for path in sources for part in (str(path.relative_to(root)), path.read_bytes())]
    folders = [Path(folder) for folder in sys.path if Path(folder).is_dir()]
    installed = sorted({path.name for folder in folders for path in folder.glob("*.dist-info")})
    return digest(sys.version, *installed, *own)


def overrides(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What of the environment overrides the config."""
    return tuple(f"{name}={value}" for name, value in sorted(environment.items()) if name.upper().startswith("JOURNEYD_"))


class CheckCache:
    """Entries by key. `folder` None: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FOLDER / FILE if folder is not None else None
        self._entries: dict[str, Any] = self._read()
        self._used: dict[str, Any] = {}
        self._changed = False

    def get(self, key: str) -> Any:
        """What was kept under a key, or None."""
        found = self._entries.get(key)
        if found is not None:
            self._used[key] = found
        return found

    def put(self, key: str, value: Any) -> None:
        """Keep a value (anything that orjson writes) under a key; it comes back as plain data."""
        self._used[key] = self._entries[key] = orjson.loads(orjson.dumps(value))
        self._changed = True

    def forget(self, keys: Iterable[str]) -> None:
        """Entries that could not be read after all."""
        for key in keys:
            self._used.pop(key, None)
            self._entries.pop(key, None)
            self._changed = True

    def save(self) -> None:
        """Write what is new, the latest used first; a folder that cannot be written is left as it is."""
        if self._path is None or not self._changed:
            return
        kept = {**self._used, **{k: v for k, v in self._entries.items() if k not in self._used}}
        raw = orjson.dumps(dict(list(kept.items())[:MOST_ENTRIES]))
        if len(raw) > LARGEST:
            raw = orjson.dumps(self._used)
        if len(raw) <= LARGEST:
            with contextlib.suppress(OSError):
                self._write(raw)
        self._entries, self._used, self._changed = kept, {}, False

    def _write(self, raw: bytes) -> None:
        assert self._path is not None  # noqa: S101 - asked before
        self._path.parent.mkdir(parents=True, exist_ok=True)
        ignore = self._path.parents[1] / ".gitignore"
        if not ignore.exists():
            ignore.write_text(IGNORED, encoding="utf-8")
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix="check-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(digest(raw).encode() + b"\n" + raw)
            Path(name).replace(self._path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def _read(self) -> dict[str, Any]:
        """The entries; none where there is no file, or one that is not whole."""
        if self._path is None:
            return {}
        try:
            if self._path.stat().st_size > LARGEST + 65:
                return {}
            head, _, raw = self._path.read_bytes().partition(b"\n")
            found = orjson.loads(raw) if head == digest(raw).encode() else {}
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, Mapping) else {}  # type: ignore[return-value]
