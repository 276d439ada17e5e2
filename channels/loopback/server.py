"""A small HTTP server that a stand-in vendor runs on, and the ways in which it can fail on purpose.

Real servers do not cut a connection, hang after the work is done or answer nonsense when asked to: this one does, by seed.
"""

import asyncio
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import h11

HANG_SECONDS = 60.0
HUGE = 20 * 1024 * 1024
# A fault happens before the vendor has taken the message, or after (`accept_then_…`).
FAULTS = (
    "cut", "hang", "unavailable", "flow_control",
    "accept_then_cut", "accept_then_hang", "accept_then_html", "accept_then_half", "accept_then_foreign", "accept_then_huge",
    "accept_then_nothing", "html", "half", "foreign", "huge", "nothing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived. `query` keeps the last of equal names; header names are lower case."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The decoded query."""
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int = 200
    body: Any = field(default_factory=dict)  # bytes, text, or what JSON can say
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)).encode()


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that the vendor really took: the truth that a ledger is compared with.

    `key` is our own key where the vendor is told it (else ""), `reference` the vendor's id.
    """

    key: str
    reference: str
    address: str
    content: Mapping[str, Any]


class Vendor:
    """A stand-in. Subclasses answer requests and call `take` for what they accept; `taken` is the truth."""

    name = "vendor"

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.refused: list[str] = []  # why requests were refused: signatures, fields
        self.requests = 0

    def answer(self, request: Seen) -> Response:
        """The vendor's answer to one request."""
        raise NotImplementedError

    def is_send(self, request: Seen) -> bool:
        """Whether faults may strike this request: those that carry a message, not tokens and queries."""
        return request.method == "POST"

    def flow_control(self) -> Response:
        """How this vendor says "too fast": nothing was taken."""
        return Response(429, {}, {"Retry-After": "1"})

    def take(self, key: str, address: str, content: Mapping[str, Any]) -> str:
        """Accept a message; returns the vendor's reference."""
        reference = f"{self.name}-{len(self.taken) + 1}"
        self.taken.append(Taken(key, reference, address, content))
        return reference

    def refuse(self, why: str, response: Response) -> Response:
        """Note why, and answer."""
        self.refused.append(why)
        return response


@dataclass
class Behaviour:
    """How the server treats sends: `latency` seconds each, and per fault the share (0 to 1) of sends that it strikes, drawn by `seed`."""

    latency: float = 0.0
    faults: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def draw(self, number: int) -> str | None:
        """The fault of the n-th send, or None."""
        if not self.faults:
            return None
        digest = hashlib.blake2b(f"{self.seed}:{number}".encode(), digest_size=8).digest()
        share = int.from_bytes(digest, "big") / 2**64
        for name, part in self.faults.items():
            if share < part:
                return name
            share -= part
        return None


class Loopback:
    """Serves one vendor on a free port of 127.0.0.1, from a thread of its own. `url` is its base."""

    def __init__(self, vendor: Vendor, behaviour: Behaviour | None = None, port: int = 0) -> None:
        self.vendor, self.behaviour, self.port = vendor, behaviour or Behaviour(), port
        self.sends = 0
        self.struck: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=f"loopback-{vendor.name}", daemon=True)

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT"""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(10) or self._stop is None:
            raise RuntimeError(f"the stand-in of {self.vendor.name} does not listen on port {self.port}")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        if self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError:  # the port is taken: said by __enter__
            self._stop = None
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        mine = asyncio.current_task()
        tasks = [t for t in asyncio.all_tasks() if t is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = h11.Connection(h11.SERVER)
        try:
            while (request := await _receive(wire, reader)) is not None:
                if not await self._serve_one(request, wire, writer):
                    break
                if wire.our_state is h11.MUST_CLOSE:
                    break
                wire.start_next_cycle()
        except (OSError, h11.ProtocolError, asyncio.CancelledError):
            pass
        finally:
            with contextlib.suppress(Exception):
                writer.close()

    async def _serve_one(self, request: Seen, wire: h11.Connection, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; False when the connection is to be cut."""
        if request.path.startswith("/_"):
            return await _write(wire, writer, self._control(request))
        self.vendor.requests += 1
        if not self.vendor.is_send(request):
            return await _write(wire, writer, self._answer(request))
        self.sends += 1
        arrived = time.monotonic()
        fault = self.behaviour.draw(self.sends)
        if fault is not None:
            self.struck[fault] = self.struck.get(fault, 0) + 1
        response = self._answer(request) if fault is None or fault.startswith("accept_then_") else None
        if self.behaviour.latency:  # counted from the arrival: what the stand-in itself needs is part of it
            await asyncio.sleep(max(arrived + self.behaviour.latency - time.monotonic(), 0))
        kind = (fault or "").removeprefix("accept_then_")
        if kind == "cut":
            return False
        if kind == "hang":
            await asyncio.sleep(HANG_SECONDS)
            return False
        if kind == "half":
            raw = (response or Response()).raw() or b"{}"
            return await _write(wire, writer, Response(200, raw[: max(len(raw) // 2, 1)]))
        nonsense = {
            "html": Response(200, "<html><body>502 Bad Gateway</body></html>", {"Content-Type": "text/html"}),
            "foreign": Response(200, {"status": "success", "data": {"id": 7}}),
            "huge": Response(200, b"x" * HUGE),
            "nothing": Response(200, b""),
            "unavailable": Response(503, "upstream connect error"),
        }
        if kind == "flow_control":
            return await _write(wire, writer, self.vendor.flow_control())
        return await _write(wire, writer, nonsense[kind] if kind else response or Response())

    def _answer(self, request: Seen) -> Response:
        try:
            return self.vendor.answer(request)
        except Exception as error:  # noqa: BLE001 - a request that the stand-in cannot even read is refused, and seen in `refused`
            return self.vendor.refuse(f"{type(error).__name__}: {error}", Response(500, "the stand-in could not read this"))

    def _control(self, request: Seen) -> Response:
        """GET /_truth says what was taken; POST /_behave sets how sends are treated."""
        if request.path == "/_behave":
            self.behaviour = Behaviour(**request.json())
            self.sends = 0
            return Response(200, {})
        taken = [asdict(t) for t in self.vendor.taken]
        body = {"taken": taken, "refused": self.vendor.refused[-20:], "requests": self.vendor.requests, "struck": self.struck}
        return Response(200, body)


async def _receive(wire: h11.Connection, reader: asyncio.StreamReader) -> Seen | None:
    """The next request of a connection; None at its end."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65_536)
            wire.receive_data(data)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            parts = urlsplit(head.target.decode())
            headers = {bytes(k).decode(): bytes(v).decode("latin-1") for k, v in head.headers}
            return Seen(head.method.decode(), parts.path, parts.query, headers, bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            return None


async def _write(wire: h11.Connection, writer: asyncio.StreamWriter, response: Response) -> bool:
    body = response.raw()
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body)), **response.headers}
    writer.write(wire.send(h11.Response(status_code=response.status, headers=list(headers.items()))) or b"")
    writer.write(wire.send(h11.Data(data=body)) or b"")
    writer.write(wire.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    return True
