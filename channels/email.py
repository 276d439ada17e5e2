"""E-mail by SMTP, through the standard library: one connection per message, UTF-8, a List-Unsubscribe header.

SMTP has no key and no query: what is lost after the message's bytes have left stays unknown.
"""

import contextlib
import io
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any, Literal
from urllib.parse import quote

from channels.http import Deadlined
from channels.message import Accepted, Clock, Diagnosis, Fault, Guarantee, Message, Neither, Outcome, Rejected, RetryLater, Unknown
from channels.webhook import MINUTE, SECOND, told

Security = Literal["starttls", "tls", "none"]
Step = Literal["open", "mail", "rcpt", "data", "end"]
OURSELVES = "127.0.0.1"
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def raw_of(message: Message, sender: str, unsubscribe: str, at: int) -> bytes:
    """The whole message in CRLF lines. A control character in the subject (a line break, too) becomes a space."""
    name, own = parseaddr(sender)
    made = EmailMessage(policy=SMTP)
    made["From"] = Address(_line(name), addr_spec=own)
    made["To"] = Address(addr_spec=message.address)
    made["Subject"] = _line(str(message.content.get("subject", "")))
    made["Date"] = format_datetime(datetime.fromtimestamp(at / 1000, UTC))
    made["Message-ID"] = message_id(message, sender)
    made.set_content(_unicode(str(message.content.get("body", ""))), charset="utf-8", cte="base64")
    url = unsubscribe.replace("{user}", quote(message.user_id, safe=""))
    # Written by hand: the library would fold a long URL into encoded words, which no mailbox provider reads.
    listed = f"List-Unsubscribe: <{url}>\r\n" + (
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if url.startswith("https:") else ""
    )
    return listed.encode() + made.as_bytes()


def message_id(message: Message, sender: str) -> str:
    """`<KEY@DOMAIN>`: the same in every attempt, so that a mailbox can tell a double."""
    return f"<{message.key}@{parseaddr(sender)[1].rpartition('@')[2]}>"


def meaning(step: Step, code: int, words: str) -> Outcome | None:
    """What a reply means at a step; None where it says "go on" (RFC 5321: 2xx, 354 after DATA, 4xx later, 5xx no)."""
    if code == 354 if step == "data" else 200 <= code < 300:  # noqa: PLR2004
        return None
    reason = f"{code} {words}".strip()
    if 400 <= code < 500:  # noqa: PLR2004
        whole = code == 421 or step in ("open", "mail")  # noqa: PLR2004 - 421: the server is about to close
        return RetryLater(MINUTE if whole else 5 * MINUTE, reason, whole_channel=whole)
    if not 500 <= code < 600:  # noqa: PLR2004 - no SMTP reply at all
        return Unknown(reason) if step == "end" else RetryLater(MINUTE, f"no SMTP reply: {reason}", whole_channel=True)
    if step == "open" or code in (530, 534, 535) or (step == "mail" and code != 552):  # noqa: PLR2004 - our login, our sender address; 552: too large
        return Fault(str(code), reason, 10 * MINUTE)
    policy = words.startswith("5.7.")  # RFC 3463: refused for what it is or who sends it, not for the address
    dead = step == "rcpt" and code in (550, 551, 553) and not policy
    return Rejected(str(code), reason, blames="address" if dead else "message")


class SmtpEmail:
    """A mail server to submit to. `security`: starttls (port 587), tls (465), or none, which only 127.0.0.1 is spoken to with.

    `unsubscribe` is a mailto: or https: URL; {user} in it becomes the user's id. An https one must take a POST (RFC 8058, one click).
    """

    guarantee: Guarantee = Neither()
    one_at_a_time = False
    timeout = 20_000

    def __init__(  # noqa: PLR0913 - one per key of config
        self, *, host: str, port: int, security: Security, username: str, password: str, sender: str, unsubscribe: str, clock: Clock,
        timeout: float = 10.0,
    ) -> None:  # fmt: skip
        if security == "none" and host != OURSELVES:
            raise ValueError(f'security = "none" is for {OURSELVES} only; use "starttls" or "tls"')
        if not _ADDRESS.fullmatch(parseaddr(sender)[1]):
            raise ValueError("expected a sender like 名字 <hello@example.cn>")
        if not unsubscribe.startswith(("mailto:", "https://")) or re.search(r"[^!-~]|[<>]", unsubscribe):
            raise ValueError("expected unsubscribe to be a mailto: or https:// URL")
        self._host, self._port, self._security, self._clock, self._seconds = host, port, security, clock, timeout
        self._username, self._password, self._sender, self._unsubscribe = username, password, sender, unsubscribe
        self.timeout = round(2 * timeout * SECOND)  # to connect, and to speak

    def send(self, message: Message) -> Outcome:
        """One message."""
        if not _ADDRESS.fullmatch(message.address):
            return Rejected("bad_address", "not an e-mail address", blames="address")
        raw = raw_of(message, self._sender, self._unsubscribe, self._clock())
        session = self._open()
        if not isinstance(session, _Session):
            return session
        try:
            return self._hand_over(session, message, raw)
        finally:
            session.leave()

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """Nobody can be asked."""
        return Unknown("SMTP cannot be asked")

    def diagnose(self) -> Sequence[Diagnosis]:
        """Greet, log in, do nothing, leave."""
        what = f"smtp {self._host}:{self._port}"
        session = self._open()
        if isinstance(session, Fault):
            return [Diagnosis(what, ok=False, found=session.reason, cure="check security, username, password and the server's certificate")]
        if isinstance(session, RetryLater):
            return [Diagnosis(what, ok=False, found=session.reason, cure="check host, port and the firewall")]
        try:
            code, _ = session.noop()
        except (smtplib.SMTPException, OSError):
            code = 0
        session.leave()
        if code != 250:  # noqa: PLR2004
            return [Diagnosis(what, ok=False, found=f"NOOP answered {code}", cure="ask the mail provider")]
        return [Diagnosis(what, ok=True, found="logs in")]

    def _open(self) -> "_Session | Fault | RetryLater":
        """Connected, encrypted and logged in, or why not: nothing was handed over."""
        session: _Session | None = None
        try:
            session = _Session(self._host, self._port, parseaddr(self._sender)[1].rpartition("@")[2], self._seconds, self._security)
            if self._security == "starttls":
                session.starttls(context=ssl.create_default_context())
            if self._username:
                session.login(self._username, self._password)
            else:
                session.ehlo_or_helo_if_needed()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            if session is not None:
                session.leave()
            return _not_open(error)
        return session

    def _hand_over(self, session: "_Session", message: Message, raw: bytes) -> Outcome:
        """MAIL, RCPT, DATA, the bytes. From the first of these on nobody can tell, until the server does."""
        steps: list[tuple[Step, str]] = [
            ("mail", f"MAIL FROM:<{parseaddr(self._sender)[1]}>"), ("rcpt", f"RCPT TO:<{message.address}>"), ("data", "DATA"),
        ]  # fmt: skip
        try:
            for step, command in steps:
                code, words = session.docmd(command)
                stop = meaning(step, code, _words(words))
                if stop is not None:
                    return stop
        except (smtplib.SMTPException, OSError) as error:
            return RetryLater(MINUTE, f"before the message: {type(error).__name__}", whole_channel=True)
        try:
            session.send(raw + b".\r\n")  # no line of it begins with a dot: headers, and a body in base64
            code, words = session.getreply()
        except (smtplib.SMTPException, OSError) as error:
            return Unknown(f"after the message: {type(error).__name__}")
        return meaning("end", code, _words(words)) or Accepted(message_id(message, self._sender))


class _Session(smtplib.SMTP):
    """A session that is over after so many seconds, however slowly the server's replies drip."""

    def __init__(self, host: str, port: int, ourselves: str, seconds: float, security: Security) -> None:
        self._end = time.monotonic() + seconds
        self._tls = ssl.create_default_context() if security == "tls" else None
        super().__init__(host, port, ourselves, seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        return self._tls.wrap_socket(plain, server_hostname=host) if self._tls is not None else plain

    def getreply(self) -> tuple[int, bytes]:
        """As smtplib."""
        connection: Any = self.sock
        if self.file is None and connection is not None:
            self.file = io.BufferedReader(Deadlined(connection.makefile("rb", buffering=0), connection, self._end))
        return super().getreply()

    def leave(self) -> None:
        """Say QUIT and do not wait for the answer."""
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self.putcmd("quit")
        self.close()


def _not_open(error: Exception) -> Fault | RetryLater:
    if isinstance(error, smtplib.SMTPResponseException):
        said = meaning("open", error.smtp_code, _words(error.smtp_error))
        return said if isinstance(said, Fault | RetryLater) else RetryLater(MINUTE, type(error).__name__, whole_channel=True)
    kind = type(error).__name__
    if isinstance(error, smtplib.SMTPServerDisconnected | ssl.SSLEOFError):
        return RetryLater(MINUTE, kind, whole_channel=True)
    if isinstance(error, ssl.SSLError):
        return Fault("tls", f"no TLS with the server: {error.reason or kind}", 10 * MINUTE)
    if isinstance(error, smtplib.SMTPException | ValueError):  # no STARTTLS, no AUTH that we know, a password that is not ASCII
        return Fault("not_offered", told(error), 10 * MINUTE)
    return RetryLater(MINUTE, f"no connection: {kind}", whole_channel=True)


def _words(said: bytes | str) -> str:
    """A server's own words without addresses."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return told(_ADDRESS.sub("…", text))


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _line(text: str) -> str:
    """One line, whatever stands in it."""
    return _CONTROLS.sub(" ", _unicode(text)).strip()
