"""The HTTP side of intake: POST /v1/events and /v1/users. Answers after the commit, several requests per commit."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.clock import Clock
from runtime.engine import Engine
from runtime.intake.items import Parsed, Reader, cloudevent_of_headers
from runtime.intake.reading import Unreadable, charset_refusal, inflate, parse_json
from runtime.intake.signature import decode_secret, verified_id
from runtime.settings import ConfigError, Project
from runtime.store import DatabaseError, SqlStore
from runtime.store.writer import INTAKE, Closed

log = structlog.get_logger("journeyd.intake")
PathHandler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Sender:
    """A source with its decoded secrets."""

    name: str
    secrets: tuple[bytes, ...]
    may_assert: tuple[str, ...]


def senders_of(project: Project) -> tuple[Sender, ...]:
    """The sources of config. Raises ConfigError for a secret that is missing or no base64 of 16 bytes or more."""
    senders: list[Sender] = []
    for name, (secrets, may_assert) in project.secrets().items():
        decoded = [decode_secret(secret) for secret in secrets]
        if any(key is None for key in decoded):
            msg = f"intake.sources.{name}.secrets: expected whsec_ and base64 of 16 bytes or more; `journeyd init` makes one"
            raise ConfigError(msg)
        senders.append(Sender(name, tuple(key for key in decoded if key is not None), tuple(may_assert)))
    return tuple(senders)


class Intake:
    """Reads, verifies, keeps. `woken` is called after something new was committed."""

    def __init__(self, project: Project, store: SqlStore, engine: Engine, clock: Clock, woken: Callable[[], None]) -> None:
        self.project, self.store, self.engine, self.clock, self.woken = project, store, engine, clock, woken
        self.senders = senders_of(project)
        self.limit = project.settings.server.body_limit

    def routes(self) -> list[Route]:
        """The routes, with and without a trailing slash: a redirect would lose the body of some clients."""
        handlers: dict[str, PathHandler] = {"/v1/events": self.post_events, "/v1/users": self.post_users}
        return [Route(path + slash, handler, methods=["POST"]) for path, handler in handlers.items() for slash in ("", "/")]

    async def post_events(self, request: Request) -> Response:
        """Events: plain, or CloudEvents in structured, batch or binary mode."""
        return await self._post(request, "events")

    async def post_users(self, request: Request) -> Response:
        """User records."""
        return await self._post(request, "users")

    async def signed_value(self, request: Request) -> tuple[Sender, str, Any] | Unreadable:
        """Who sent a request, under which id, and the JSON in it; or why it is refused."""
        now = self.clock.now()
        try:
            body = await self._body(request)
        except ClientDisconnect:
            return Unreadable(400, "cut_off", "the request ended early")
        except asyncio.CancelledError:  # the server stops and does not wait for the rest of the body
            return Unreadable(408, "too_slow", "the server stops before the request has ended")
        if isinstance(body, Unreadable):
            return body
        headers = {name.lower(): value for name, value in request.headers.items()}
        found = self._sender(headers, body, now)
        if found is None:
            reason = "expected valid webhook-id, webhook-timestamp and webhook-signature headers (Standard Webhooks, within 5 minutes)"
            return Unreadable(401, "bad_signature", reason)
        value = self._value(headers, body)
        return value if isinstance(value, Unreadable) else (*found, _with_ce_headers(headers, value))

    async def _post(self, request: Request, what: str) -> Response:
        now = self.clock.now()
        taken = await self.signed_value(request)
        if isinstance(taken, Unreadable):
            return _refused(taken)
        sender, request_id, value = taken
        reader = Reader(sender.name, sender.may_assert, self.engine.catalogue.audience, self.project.zone, now, request_id)
        parsed = reader.events(value) if what == "events" else reader.records(value)
        return await self._keep(sender.name, parsed, now)

    async def _body(self, request: Request) -> bytes | Unreadable:
        """The raw body, counted while it comes in."""
        announced = request.headers.get("content-length", "")
        too_large = Unreadable(413, "too_large", f"expected at most {self.limit} bytes")
        if announced.isdigit() and int(announced) > self.limit:
            return too_large
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self.limit:
                return too_large
            chunks.append(chunk)
        return b"".join(chunks)

    def _sender(self, headers: dict[str, str], body: bytes, now: int) -> tuple[Sender, str] | None:
        for sender in self.senders:
            request_id = verified_id(headers, body, sender.secrets, now)
            if request_id is not None:
                return sender, request_id
        return None

    def _value(self, headers: dict[str, str], body: bytes) -> Any | Unreadable:
        refusal = charset_refusal(headers.get("content-type", ""))
        if refusal is not None:
            return refusal
        plain = inflate(body, headers.get("content-encoding", ""), self.limit)
        return plain if isinstance(plain, Unreadable) else parse_json(plain)

    async def _keep(self, source: str, parsed: Parsed, now: int) -> Response:
        inbox = self.store.inbox

        def unit(tx: Any) -> int:
            new = inbox.add_events(tx, source, parsed.events)
            for record_id, user_id, payload in parsed.records:
                new += inbox.add_user_record(tx, source, record_id, user_id, payload, now)
            inbox.quarantine(tx, parsed.quarantined, now)
            return new

        new = await self._committed(unit, source)
        if new is None:
            return JSONResponse({"error": "unavailable", "reason": "nothing was kept; send it again"}, 503, {"Retry-After": "5"})
        if new:
            self.woken()
        given = len(parsed.events) + len(parsed.records)
        answer: dict[str, Any] = {"accepted": new, "duplicates": given - new, "quarantined": len(parsed.quarantined)}
        if parsed.reasons:
            answer["reasons"] = parsed.reasons[:100]
        return JSONResponse(answer)

    async def _committed(self, unit: Callable[[Any], int], source: str) -> int | None:
        """How many items are new, after the commit; None when the database did not take them, also not the second time.

        The second time is for two daemons on PostgreSQL that waited for each other: the database ends one of them.
        """
        for _ in range(2):
            future: Future[int] = self.store.database.submit(unit, INTAKE)
            try:
                return await asyncio.wrap_future(future)
            except Closed:
                break
            except DatabaseError as error:
                problem = type(error).__name__
                log.warning("the database did not take a request", action="intake_failed", source=source, error=problem)
        return None


def _with_ce_headers(headers: dict[str, str], value: Any) -> Any:
    binary = "ce-specversion" in headers or "ce-id" in headers
    return cloudevent_of_headers(headers, value) if binary else value


def _refused(refusal: Unreadable) -> Response:
    return JSONResponse({"error": refusal.reason, "reason": refusal.detail}, refusal.status)
