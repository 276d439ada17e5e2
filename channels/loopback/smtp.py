"""A stand-in mail server on 127.0.0.1: it wants a login, refuses single addresses, and fails on purpose."""

import base64
import re
import socketserver
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Self

from channels.loopback.server import Taken

HANG_SECONDS = 60.0
# Before the message was taken, or after (`accept_then_…`).
FAULTS = (
    "cut_at_once", "babble_at_once", "cut_before_data", "flow_control", "cut", "hang", "babble", "drip",
    "accept_then_cut", "accept_then_hang", "accept_then_babble",
)  # fmt: skip
_PATH = re.compile(r"(?:FROM|TO):<([^<>\s]*)>.*", re.IGNORECASE)


class SmtpVendor:
    """A mail server that keeps what it took. `refusals`: address → the reply to its RCPT, such as "550 5.1.1 no such user"."""

    def __init__(
        self,
        username: str,
        password: str,
        *,
        refusals: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
    ) -> None:
        self.username, self.password, self.refusals, self.tls, self.implicit = username, password, dict(refusals or {}), tls, implicit
        self.taken: list[Taken] = []
        self.refused: list[str] = []
        self.logins: list[str] = []
        self.fault = ""
        self.released = threading.Event()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _session_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, address: str, raw: bytes) -> None:
        """Keep a message."""
        found = re.search(rb"(?im)^message-id:\s*<([^@>]*)@", raw)
        key = found[1].decode() if found else ""
        self.taken.append(Taken(key, f"queue-{len(self.taken) + 1}", address, {"raw": raw.decode("ascii")}))


def _session_of(vendor: SmtpVendor) -> type[socketserver.StreamRequestHandler]:
    class Bound(_Session):
        def __init__(self, *args: Any) -> None:
            self.vendor = vendor
            super().__init__(*args)

    return Bound


class _Session(socketserver.StreamRequestHandler):
    vendor: SmtpVendor

    def handle(self) -> None:
        """Speak SMTP until the other side leaves."""
        try:
            self._speak()
        except (OSError, ValueError):
            return
        finally:
            self.connection.close()  # the encrypted one, too, of which the server knows nothing

    def _speak(self) -> None:
        vendor = self.vendor
        self.encrypted, self.known, self.sender, self.address = False, False, "", ""
        if vendor.implicit:
            self._encrypt()
        if vendor.fault == "cut_at_once":
            return
        if vendor.fault == "babble_at_once":
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        self._say("220 mail.example ESMTP")
        while line := self.rfile.readline(4096):
            word, _, rest = line.decode("ascii").strip().partition(" ")
            answer = self._answer(word.upper(), rest)
            if answer is None:
                return
            if answer:
                self._say(answer)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def _encrypt(self) -> None:
        assert self.vendor.tls is not None  # noqa: S101 - said by whoever made it so
        self.connection = self.request = self.vendor.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.encrypted = True

    def _answer(self, word: str, rest: str) -> str | None:
        """The reply; "" when it was already said, None to cut the connection."""
        if word in ("EHLO", "HELO"):
            offers = ["mail.example", *(["STARTTLS"] if self.vendor.tls and not self.encrypted else []), "AUTH PLAIN LOGIN", "8BITMIME"]
            return "\r\n".join(f"250-{o}" for o in offers[:-1]) + f"\r\n250 {offers[-1]}"
        if word == "STARTTLS" and self.vendor.tls:
            self._say("220 go ahead")
            self._encrypt()
            return ""
        if word == "AUTH":
            return self._login(rest)
        if word == "NOOP":
            return "250 ok"
        if word == "QUIT":
            return None
        if not self.known:
            return self._refuse("530 5.7.0 authentication required")
        if word == "MAIL":
            if self.vendor.fault == "flow_control":
                return "451 4.7.1 too many messages, slow down"
            self.sender = _path(rest)
            return "250 ok" if self.sender else self._refuse("501 5.5.4 MAIL FROM:<address>")
        if word == "RCPT" and self.sender:
            self.address = _path(rest)
            refusal = self.vendor.refusals.get(self.address, "")
            return self._refuse(refusal) if refusal else "250 ok"
        if word == "DATA" and self.address:
            return None if self.vendor.fault == "cut_before_data" else self._data()
        return self._refuse("503 5.5.1 not now")

    def _refuse(self, text: str) -> str:
        self.vendor.refused.append(text)
        return text

    def _login(self, rest: str) -> str:
        method, _, first = rest.partition(" ")
        if method.upper() == "PLAIN":
            _, user, password = base64.b64decode(first).decode().split("\0")
        else:
            user = base64.b64decode(first).decode()
            self._say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.rfile.readline(4096)).decode()
        self.vendor.logins.append(user)
        self.known = (user, password) == (self.vendor.username, self.vendor.password)
        return "235 2.7.0 welcome" if self.known else self._refuse("535 5.7.8 wrong username or password")

    def _data(self) -> str | None:
        self._say("354 go ahead")
        lines = []
        while (line := self.rfile.readline(65_536)) != b".\r\n":
            if not line:
                return None
            lines.append(line[1:] if line.startswith(b"..") else line)
        fault = self.vendor.fault
        if not fault or fault.startswith("accept_then_"):
            self.vendor.take(self.address, b"".join(lines))
        kind = fault.removeprefix("accept_then_")
        if kind == "cut":
            return None
        if kind == "hang":
            self.vendor.released.wait(HANG_SECONDS)
            return None
        if kind == "drip":  # a reply that never ends
            while not self.vendor.released.wait(0.02):
                self.wfile.write(b"2")
            return None
        return "what did you say?" if kind == "babble" else f"250 2.0.0 queued as queue-{len(self.vendor.taken)}"


def _path(rest: str) -> str:
    found = _PATH.fullmatch(rest)
    return found[1] if found else ""
