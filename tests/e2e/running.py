"""A real daemon in its own process, found by its own log, and a client who signs with the standard library."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import requests
from standardwebhooks.webhooks import Webhook

JOURNEYD = [str(Path(sys.executable).with_name("journeyd"))]
PATIENCE = 30
_requests = count(1)


def journeyd(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end."""
    return subprocess.run(
        [*JOURNEYD, *arguments], cwd=folder, env=surroundings(environment), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def surroundings(more: Mapping[str, str]) -> dict[str, str]:
    """What a process of ours gets of this one's environment: a clone's tests run the clone's code."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "COLUMNS": "160", **more}


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")


class Daemon:
    """`journeyd run` in a folder."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.errors = folder / f"stderr-{next(_requests)}.log"
        with self.errors.open("wb") as file:
            self.process = subprocess.Popen(
                [*JOURNEYD, "run", "--log-json"], cwd=folder, env=surroundings({"JOURNEYD_SERVER__PORT": "0", **environment}), stderr=file
            )
        self.port = until(self._started, "the daemon's start")["port"]
        self.address = f"http://127.0.0.1:{self.port}"
        self.webhook = Webhook((folder / "secrets" / "shop").read_text().strip())

    def _started(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, self.errors.read_text()
        return next((entry for entry in self.log() if entry.get("action") == "started"), None)

    def log(self) -> list[dict[str, Any]]:
        """The log's whole lines of JSON."""
        lines = self.errors.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def headers(self, body: bytes) -> dict[str, str]:
        """Signed as `standardwebhooks` signs, now."""
        identity, now = f"msg_{next(_requests)}", datetime.now(UTC)
        signature = self.webhook.sign(identity, now, body.decode())
        return {"webhook-id": identity, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}

    def post(self, body: Any, path: str = "/v1/events", headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """POST bytes or a JSON value; the answer must be 200."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = requests.post(self.address + path, data=raw, headers={**self.headers(raw), **(headers or {})}, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str) -> requests.Response:
        """GET a path."""
        return requests.get(self.address + path, timeout=PATIENCE)

    def outbox(self) -> list[dict[str, Any]]:
        """The recorded messages."""
        file = self.folder / "data" / "outbox.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def stop(self) -> tuple[int, float]:
        """SIGTERM; returns the exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE), time.monotonic() - began


@contextlib.contextmanager
def running(folder: Path, **environment: str) -> Iterator[Daemon]:
    """A daemon that is gone afterwards."""
    daemon = Daemon(folder, **environment)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait(PATIENCE)
