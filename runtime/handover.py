"""Where commands write in bulk: the database, or the daemon that holds its file. One that comes or goes meanwhile is no harm."""

import time
from collections.abc import Callable
from typing import Any

from journeys.audience import Audience
from runtime.app import App, build_app
from runtime.applying import check_project
from runtime.clock import Clock
from runtime.control import NoAnswer, ask, socket_path
from runtime.importing import CannotImport, Chunk, keep
from runtime.settings import Project
from runtime.store import DatabaseError
from runtime.store.imports import Position

MOST_WAITING = 5_000  # notes in the inbox: beyond that an import waits, so that live events are never far behind
LONGEST_WAIT = 60.0  # seconds; then it goes on all the same
LOOK = 0.1
TRIES = 3


class Handover:
    """The way of a command's writing. Implements importing.Taker."""

    def __init__(self, project: Project, url: str | None, clock: Clock, wait: Callable[[float], None] = time.sleep) -> None:
        self.project, self.url, self.clock, self.wait = project, url, clock, wait
        self._socket = socket_path(url or project.database_url)
        self._app: App | None = None

    @property
    def app(self) -> App:
        """The database, opened to write when nobody else holds it."""
        if self._app is None:
            self._app = build_app(self.project, url=self.url, clock=self.clock, channels={})
        return self._app

    def asked(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The daemon's answer; None when there is none to ask. Raises CannotImport when it could not do it."""
        if self._socket is None:
            return None
        answer = ask(self._socket, request)
        if answer is not None and "error" in answer:
            raise CannotImport(f"the running daemon could not take it: {answer['error']}")
        return answer

    def perform(self, request: dict[str, Any], here: Callable[[App, dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """The answer of the daemon, or of what it would do, done here where none listens."""
        answer = self.asked(request)
        return answer if answer is not None else here(self.app, request)

    def audience(self) -> Audience:
        """The audience that is applied; that of the files before the first release."""
        if self._app is None and self.asked({"command": "imported", "key": ""}) is not None:
            app = build_app(self.project, "reading", url=self.url, clock=self.clock)
            catalogue = app.engine.catalogue
            app.close()
        else:
            catalogue = self.app.engine.catalogue
        return catalogue.audience if catalogue.release_id else check_project(self.project).audience

    def position(self, key: str) -> Position | None:
        """How far the import of a file came."""
        answer = self.asked({"command": "imported", "key": key})
        if answer is None:
            with self.app.store.database.reading() as tx:
                return self.app.store.imports.position(tx, key)
        return Position(**answer["position"]) if answer["position"] else None

    def take(self, chunk: Chunk) -> Position:
        """Keep a chunk. What nobody knows the end of is given once more: a chunk that was kept changes nothing."""
        for tried in range(1, TRIES + 1):
            try:
                answer = self.asked({"command": "import", "chunk": chunk.as_json()})
                position = Position(**answer["position"]) if answer is not None else self._kept(chunk)
                if chunk.rows:
                    self.let_drain()
            except (NoAnswer, DatabaseError) as error:
                if tried == TRIES:
                    raise CannotImport(f"{error}".splitlines()[0]) from None
                self.wait(LOOK)
            else:
                return position
        raise AssertionError  # the last try returns or raises

    def _kept(self, chunk: Chunk) -> Position:
        return keep(self.app.store, chunk, self.clock.now())

    def _waiting(self) -> int:
        """How many notes a daemon has to work off; 0 where none lives."""
        answer = self.asked({"command": "imported", "key": ""})
        if answer is not None:
            return int(answer["waiting"])
        store = self.app.store
        with store.database.reading() as tx:
            return store.inbox.size(tx) if store.flow.living(tx, self.clock.now()) else 0

    def left_for_a_daemon(self) -> int:
        """How many notes wait though no daemon lives that would work them off."""
        if self.asked({"command": "imported", "key": ""}) is not None:
            return 0
        store = self.app.store
        with store.database.reading() as tx:
            return 0 if store.flow.living(tx, self.clock.now()) else store.inbox.size(tx)

    def let_drain(self) -> None:
        """Wait while a daemon has much to work off: an import is never in a hurry, a customer is."""
        for _ in range(round(LONGEST_WAIT / LOOK)):
            if self._waiting() <= MOST_WAITING:
                return
            self.wait(LOOK)

    def close(self) -> None:
        """Let go of the database."""
        if self._app is not None:
            self._app.close()
            self._app = None
