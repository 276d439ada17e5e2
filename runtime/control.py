"""Commands that write, while a daemon holds the SQLite file: asked of the daemon over a local Unix socket.

One JSON line there, one JSON line back. The socket stands beside the database file, for its owner only.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
LONGEST = 1 << 20
LONGEST_PATH = 100  # of a socket: the operating system takes 107 bytes
SECONDS = 120


class NoAnswer(Exception):
    """A daemon took the request and ended before it answered; nobody knows whether it was done."""


def socket_path(url: str) -> Path | None:
    """Where the daemon of this database listens; None where it is not a SQLite file."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.endswith(":memory:"):
        return None
    return Path(url.removeprefix(prefix) + ".sock")


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """The daemon's answer, or None when no daemon listens there. Raises NoAnswer when it ends meanwhile."""
    if not path.exists():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _ShortPath(path) as address:
        connection.settimeout(SECONDS)
        try:
            connection.connect(address.path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        try:
            connection.sendall(json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline(LONGEST)
        except OSError as error:
            raise NoAnswer(f"{path}: the daemon did not answer ({error}); look at its log, then run the command again") from None
    if not line.endswith(b"\n"):
        raise NoAnswer(f"{path}: the daemon ended before it answered; run the command again")
    answer: dict[str, Any] = json.loads(line)
    return answer


class _ShortPath:
    """A path short enough for a socket: relative to an open folder where the real one is too long."""

    def __init__(self, path: Path) -> None:
        self._path, self._folder = path, -1
        self.path = str(path)

    def __enter__(self) -> Self:
        if len(self.path.encode()) > LONGEST_PATH:
            self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            self.path = f"/proc/self/fd/{self._folder}/{self._path.name}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)


async def listen(path: Path, handler: Handler) -> asyncio.AbstractServer:
    """Serve requests until the server is closed; an old socket of a daemon that died is replaced."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
        except (ValueError, RecursionError):  # also bytes that are no text, and a line that is too long
            request = None
        if isinstance(request, dict):
            try:
                reply = await handler(request)
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                reply = {"error": f"{type(error).__name__}: {error}"}
        else:
            reply = {"error": "expected one line of JSON"}
        writer.write(json.dumps(reply).encode() + b"\n")
        await writer.drain()
        writer.close()

    await asyncio.to_thread(path.unlink, missing_ok=True)
    before = os.umask(0o077)
    try:
        with _ShortPath(path) as address:
            return await asyncio.start_unix_server(answer, address.path, limit=LONGEST)
    finally:
        os.umask(before)
