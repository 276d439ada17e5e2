"""A server between a client and the daemon: it hands everything on, and loses the first answer of every client on the way."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.e2e.running import PATIENCE


class Unlucky(ThreadingHTTPServer):
    """`seen` counts the requests of each client, who is the first part of the path (`/sg/v1/batch`)."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.seen = address, Counter[str]()
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Unlucky

    def do_POST(self) -> None:
        _, who, path = self.path.split("/", 2)
        body = self.rfile.read(int(self.headers["content-length"]))
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        answer = requests.post(f"{self.server.behind}/{path}", data=body, headers=kept, timeout=PATIENCE)
        self.server.seen[who] += 1
        status = 500 if self.server.seen[who] == 1 else answer.status_code
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def unlucky(address: str) -> Iterator[Unlucky]:
    """Such a server in front of a daemon, gone afterwards."""
    with Unlucky(address) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
