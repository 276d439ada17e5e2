"""The recording adapter: one JSON line per message in a file. No account needed; the default of a new project."""

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.message import Accepted, Guarantee, Key, Message, Query, Rejected, Unknown


class RecordingChannel:
    """Appends `{"at","key","channel","to","user_id","journey","version","step","content"}` lines.

    A line is one write of the operating system at the file's end, so that it survives the death of the process;
    `look_up` reads the file, so that an attempt cut short is settled by what really stands there.
    Benefits are recorded the same way and answered with the code that the message's own key gives.
    """

    guarantee: Guarantee = Query(lag=0, until=24 * 3600 * 1000)
    one_at_a_time = False
    timeout = 1_000

    def __init__(self, path: Path, answers: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._path = path
        self._answers = answers or {}
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def send(self, message: Message) -> Accepted | Unknown:
        """Record the message; a disk that refuses leaves it unknown."""
        line = json.dumps(_line(message), ensure_ascii=False, separators=(",", ":")) + "\n"
        raw = line.encode("utf-8", "replace")
        try:
            with self._lock:
                whole = os.write(self._open(), raw) == len(raw)
        except OSError as error:
            whole, problem = False, error.strerror
        else:
            problem = "the disk took only a part of the line"
        if not whole:
            self.close()  # the next send opens the file again and ends a torn line
            return Unknown(f"{self._path}: {problem}")
        return self._accepted(message)

    def look_up(self, message: Message) -> Accepted | Rejected | Unknown:
        """Accepted when the key stands in a whole line, else a definite no: what is not written was not sent."""
        needle = f'"key":"{message.key}"'.encode()
        try:
            with self._path.open("rb") as file:
                if any(needle in line and line.endswith(b"}\n") for line in file):
                    return self._accepted(message)
        except FileNotFoundError:
            pass
        except OSError as error:
            return Unknown(str(error))
        return Rejected("not_recorded", "the key does not stand in the recording file")

    def close(self) -> None:
        """Close the file; the next send opens it again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _accepted(self, message: Message) -> Accepted:
        if message.kind == "grant":
            return Accepted(message.key, {"code": message.key[:12].upper()})
        if message.kind == "call":
            return Accepted(message.key, dict(self._answers.get(message.channel, {})))
        return Accepted(message.key)

    def _open(self) -> int:
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            torn = self._path.exists() and not _ends_with_newline(self._path)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
            if torn:
                os.write(self._descriptor, b"\n")
        return self._descriptor


def _line(message: Message) -> dict[str, Any]:
    at = datetime.fromtimestamp(message.at / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "at": at,
        "key": message.key,
        "channel": message.channel,
        "to": message.address,
        "user_id": message.user_id,
        "journey": message.journey,
        "version": message.version,
        "step": message.step,
        "content": dict(message.content),
    }


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


class SilentChannel:
    """Accepts everything and keeps nothing: for simulations, where the ledger itself is the record."""

    guarantee: Guarantee = Key(24 * 3600 * 1000)
    one_at_a_time = False
    timeout = 1_000

    def __init__(self, answers: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._answers = answers or {}

    def send(self, message: Message) -> Accepted:
        """Accept."""
        code = {"code": message.key[:12].upper()} if message.kind == "grant" else dict(self._answers.get(message.channel, {}))
        return Accepted(message.key, code)

    def look_up(self, message: Message) -> Accepted:
        """Accepted: whatever was sent was taken."""
        return self.send(message)
