"""One HTTP client for all adapters: urllib3 with a time limit, a size limit, no redirects, no retries, no proxies of the environment.

What comes back is a value that says how sure we are: an Answer, NotSent (no byte of the request left) or Lost (it may have arrived).
"""

import functools
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any

import certifi
import orjson
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
    URLSchemeUnknown,
)
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context

LEAST = 0.05  # seconds that a request needs to be worth beginning
LARGEST = 1 << 20  # of an answer, in bytes: no vendor here answers more than a few kilobytes
STANDARD_HEADERS = {"User-Agent": "journeyd", "Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "keep-alive"}
Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The vendor answered. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object; None when it is anything else."""
        try:
            value = orjson.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def retry_after(self, default: int) -> int:
        """Milliseconds to wait as the Retry-After header (seconds) says, at most an hour; `default` without one."""
        text = self.headers.get("retry-after", "")
        if not (text.isascii() and text.isdigit()):
            return default
        return min(max(int(text[:6]), 1), 3600) * 1000  # the first digits say enough: more than an hour is an hour


@dataclass(frozen=True, slots=True)
class NotSent:
    """No connection could be made: the vendor has not seen the request. `refused`: the address may not be connected to."""

    reason: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The request was begun and no whole answer came: the vendor may or may not have it."""

    reason: str


class Http:
    """Requests to one vendor. `timeout` bounds the whole exchange after the connection, in seconds; connecting takes at most `connect`.

    With `guarded`, only public addresses are connected to, but for hosts in `allowed` (names or networks): the very address that is
    connected to is checked, so that a name that resolves differently a second time (DNS rebinding) changes nothing.
    """

    def __init__(
        self, base_url: str, *, timeout: float = 5.0, connect: float = 3.0, connections: int = 32,
        guarded: bool = False, allowed: tuple[str, ...] = (), resolve: Resolve | None = None,
    ) -> None:  # fmt: skip
        self.base_url, self.timeout, self.connect = base_url.rstrip("/"), timeout, connect
        self._whole = threading.local()
        guard = Guard(allowed, resolve or _resolve) if guarded else None
        self._pools = PoolManager(num_pools=4, maxsize=connections, ssl_context=_trusted())
        self._pools.pool_classes_by_scheme = _pools(guard)

    @property
    def longest(self) -> int:
        """The longest that a request takes (or all that are made `together`), in milliseconds."""
        return round((self.timeout + self.connect) * 1000)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread requests inside ends within `longest` as a whole; for what finds no time left, no connection is made.

        A send that first needs a token would otherwise take several times as long, and be taken for dead.
        """
        self._whole.end = time.monotonic() + self.timeout + self.connect
        try:
            yield
        finally:
            self._whole.end = None

    def request(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer | NotSent | Lost:  # fmt: skip
        """One request; `path` begins with / and holds the query (or is a whole URL). Never raises for what a vendor or a network does."""
        url = path if "://" in path else self.base_url + path
        began = time.monotonic()
        whole: float | None = getattr(self._whole, "end", None)
        end = began + self.timeout + self.connect if whole is None else whole
        left = end - began
        if left < LEAST:
            return NotSent("no time was left for it")
        limits = Timeout(connect=min(self.connect, left), read=min(self.timeout, left))
        try:
            target = _target(url)
            pool = self._pools.connection_from_host(target.host, target.port, target.scheme or "none")
            response = pool.urlopen(
                method, target.request_uri, body or None, {**STANDARD_HEADERS, **(headers or {})}, retries=False, redirect=False,
                assert_same_host=False, timeout=limits, preload_content=False,
            )  # fmt: skip
            try:
                content = _read(response, end)
            finally:
                response.close()  # what was not read to its end is of no more use
                response.release_conn()
        except (HTTPError, OSError, ValueError) as error:  # ValueError: half a chunk, a header that is none
            return _failed(error)
        if isinstance(content, Lost):
            return content
        return Answer(response.status, {name.lower(): value for name, value in response.headers.itermerged()}, content)

    def close(self) -> None:
        """Let the connections go."""
        self._pools.clear()


_target = functools.lru_cache(64)(parse_url)  # most adapters know one URL or a few; signed ones pass through


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Which certificates prove a host's name: those of certifi. Read once: that takes longer than a handshake."""
    context = create_urllib3_context()
    context.load_verify_locations(certifi.where())
    return context


def _read(response: BaseHTTPResponse, end: float) -> bytes | Lost:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.stream(65_536):
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST:
            return Lost(f"the answer is larger than {LARGEST} bytes")
        if time.monotonic() > end:
            return Lost("the answer came too slowly")
    return b"".join(chunks)


def _failed(error: HTTPError | OSError | ValueError) -> NotSent | Lost:
    """Which kind of failure it was; addresses and secrets in its text are not repeated."""
    if isinstance(error, Refused):
        return NotSent(str(error), refused=True)
    if isinstance(error, ConnectTimeoutError):  # and its kinds: NewConnectionError, NameResolutionError
        return NotSent(f"no connection: {type(error).__name__}")
    if isinstance(error, LocationValueError | URLSchemeUnknown):
        return NotSent("the URL cannot be used")
    return Lost(type(error).__name__)


# --- an answer has a time limit as a whole, however slowly its bytes drip


class Deadlined(io.RawIOBase):
    """The reading end of a socket until an instant (of `time.monotonic`): a socket's own timeout begins anew with every byte."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, end: float) -> None:
        self._raw, self._socket, self._end = raw, connection, end

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As RawIOBase; raises TimeoutError after the instant."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket's end, too."""
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer that must be whole when the read timeout of its connection is over."""

    def __init__(self, sock: socket.socket, *args: Any, **keys: Any) -> None:
        super().__init__(sock, *args, **keys)
        timeout = sock.gettimeout()
        if timeout is not None:
            file: Any = self.fp
            self.fp = io.BufferedReader(Deadlined(file.detach(), sock, time.monotonic() + timeout))


# --- connecting, and only where it is allowed


class Refused(NewConnectionError):
    """An address that may not be connected to."""

    def __init__(self, connection: HTTPConnection, text: str) -> None:
        super().__init__(connection, text)
        self.text = text

    def __str__(self) -> str:
        return self.text


class NoTls(NewConnectionError):
    """The handshake failed: no byte of the request was sent."""


def _resolve(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class Guard:
    """Which addresses may be connected to: public ones, and those of `allowed` (names of hosts, or networks)."""

    def __init__(self, allowed: tuple[str, ...], resolve: Resolve) -> None:
        self._resolve = resolve
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower())

    def addresses(self, connection: HTTPConnection, host: str, port: int) -> list[str]:
        """The addresses to connect to; raises Refused when the name has any that is not public (and is not listed)."""
        try:
            found = self._resolve(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(host, connection, error) from error  # type: ignore[arg-type]
        for text in found:
            if host.lower() not in self._names and not self._is_allowed(text):
                raise Refused(connection, f"{host} is at {text}, which is not a public address; list it if it is yours")
        if not found:
            raise Refused(connection, f"{host} has no address")
        return found

    def _is_allowed(self, text: str) -> bool:
        address = ipaddress.ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address  # the very same host
        public = address.is_global and not address.is_multicast and not any(address in network for network in _TUNNELS)
        return public or any(address in network for network in self._networks)


# Behind these IPv6 addresses a gateway (IPv4-compatible, NAT64, Teredo, 6to4) finds an IPv4 one, which may be private.
_TUNNELS = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))


def _pools(guard: Guard | None) -> dict[str, Any]:
    """Pools whose connections ask the guard which address to connect to; TLS still proves the host's name."""

    class Plain(HTTPConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            return _connect(self, guard) if guard is not None else super()._new_conn()

    class Secure(HTTPSConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            return _connect(self, guard) if guard is not None else super()._new_conn()

        def connect(self) -> None:
            try:
                super().connect()
            except (OSError, ValueError, SSLError) as error:
                raise NoTls(self, f"no TLS: {type(error).__name__}") from error

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connect(connection: HTTPConnection, guard: Guard) -> socket.socket:
    addresses = guard.addresses(connection, connection.host, connection.port or 0)
    timeout = connection.timeout if isinstance(connection.timeout, int | float) else None
    problem: OSError | None = None
    for address in addresses:  # each was checked: none is looked up a second time
        try:
            made = socket.create_connection((address, connection.port or 0), timeout)
        except OSError as error:
            problem = error
        else:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two writes: no waiting for the first's ACK
            return made
    if isinstance(problem, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from problem
    raise NewConnectionError(connection, "no connection") from problem
