"""The HTTP side of intake: signed events and users, and what analytics SDKs post. Answers after the commit, several requests per commit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from journeys.duration import DAY
from journeys.values import clean_text
from runtime.clock import Clock
from runtime.engine import Engine
from runtime.intake.items import Parsed, cloudevent_of_headers
from runtime.intake.openapi import document
from runtime.intake.reading import Unreadable, charset_refusal, inflate, parse_json
from runtime.intake.segment import CALLS
from runtime.intake.signature import verified_id
from runtime.intake.sources import Source, sources_of
from runtime.intake.vendors import READERS, Posted, as_it_came, kind_of, project_of, whose
from runtime.settings import Project
from runtime.store import DatabaseError, SqlStore
from runtime.store.arrivals import Arrival
from runtime.store.inbox import Quarantined
from runtime.store.writer import INTAKE, Closed, Together

log = structlog.get_logger("journeyd.intake")
PathHandler = Callable[[Request], Awaitable[Response]]
MOST_OF_STRANGERS = 1000  # requests a day of which the bytes are kept, though nobody knows whose they are
MOST_KEPT = 64 * 1024  # bytes of a request that could not be read
_FORGOTTEN = 0  # the "status" of a stranger's request of which nothing is kept any more


class Intake:
    """Reads, verifies, keeps. `woken` is called after something new was committed."""

    def __init__(self, project: Project, store: SqlStore, engine: Engine, clock: Clock, woken: Callable[[], None]) -> None:
        self.project, self.store, self.engine, self.clock, self.woken = project, store, engine, clock, woken
        self.sources = sources_of(project)
        self.senders = [source for source in self.sources if source.kind == "webhook"]
        self.limit = project.settings.server.body_limit
        self._strangers = (0, 0)  # the day, and how many came on it
        self._take = store.arrivals.take  # one object: what is waiting for the same is done together

    def routes(self) -> list[Route]:
        """The routes, with and without a trailing slash: a redirect would lose the body of some clients."""
        posts: dict[str, PathHandler] = {
            "/v1/events": self.post_events, "/v1/users": self.post_users, "/v1/batch": self.vendor,
            **{f"/v1/{call}": self.vendor for call in CALLS},
            "/v3/projects/{project}/collect": self.vendor, "/projects/{project}/collect/item": self.vendor,
        }  # fmt: skip
        both: dict[str, PathHandler] = {"/sa": self.vendor, "/sa.gif": self.vendor, "/debug": self.debug}
        found = [Route(path + slash, handler, methods=["POST"]) for path, handler in posts.items() for slash in ("", "/")]
        found.append(Route("/openapi.json", self.openapi, methods=["GET"]))
        return found + [Route(path + slash, handler, methods=["GET", "POST"]) for path, handler in both.items() for slash in ("", "/")]

    async def post_events(self, request: Request) -> Response:
        """Events: plain, or CloudEvents in structured, batch or binary mode."""
        return await self._post(request, "events")

    async def post_users(self, request: Request) -> Response:
        """User records."""
        return await self._post(request, "users")

    async def openapi(self, _: Request) -> Response:
        """What may be posted here."""
        return JSONResponse(document())

    # --- analytics SDKs: their clients do not send again, so what cannot be read is set aside and answered 200

    async def vendor(self, request: Request) -> Response:
        """Sensors Analytics, GrowingIO, Segment and RudderStack, told apart by the path."""
        return await self._vendor(request)

    async def debug(self, request: Request) -> Response:
        """Sensors Analytics' debug mode: who tries it is told what is wrong, by status too; with `Dry-Run: true` nothing is kept."""
        return await self._vendor(request, debug=True)

    async def _vendor(self, request: Request, *, debug: bool = False) -> Response:
        now = self.clock.now()
        body = await self._read(request)
        if isinstance(body, Unreadable) and body.status != 413:  # noqa: PLR2004 - too large: what came of it is kept
            return _refused(body)
        head = body.kept if isinstance(body, Unreadable) else body
        headers = {name.lower(): value for name, value in request.headers.items()}
        posted = Posted(request.scope["path"], request.scope["query_string"].decode("latin-1"), headers, head)
        source = whose(self.sources, posted, self.limit)
        keep = _forget if debug and headers.get("dry-run", "").lower() == "true" else self.keep
        found: Parsed | Unreadable
        if source is None:
            found = self._stranger(posted, now)
        elif isinstance(body, Unreadable):
            found = body
        else:
            found = READERS[source.kind](source, source.reader(self.engine.catalogue.audience, now, ""), posted, self.limit)
        if isinstance(found, Unreadable):
            return await self._unreadable(source, posted, found, now, keep, 400 if debug else 200)
        new = await keep(found)
        if new is None:
            return _unavailable()
        if not found.reasons:
            return JSONResponse({"success": True})
        return JSONResponse(_told(found, new), 400 if debug else 200)

    async def _unreadable(
        self,
        source: Source | None,
        posted: Posted,
        problem: Unreadable,
        now: int,
        keep: Callable[[Parsed], Awaitable[int | None]],
        status: int,
    ) -> Response:
        """A body in which nothing can be told apart is kept as it is. Segment's clients are told; the others' would not listen."""
        name = source.name if source else ""
        if problem.status != _FORGOTTEN and await keep(Parsed(name, now, quarantined=[_as_it_came(name, posted, problem)])) is None:
            return _unavailable()
        if source is not None and source.kind == "segment":  # `code` and `message` are what RudderStack's client reads
            answer = {"error": problem.reason, "reason": problem.detail, "code": problem.reason, "message": problem.detail}
            return JSONResponse(answer, problem.status)
        return JSONResponse({"success": status == 200, "quarantined": 1, "reason": problem.detail}, status)  # noqa: PLR2004 - HTTP

    def _stranger(self, posted: Posted, now: int) -> Unreadable:
        """No source of config posts like this: kept for a while, so that a wrong project or key can be corrected without loss."""
        day, count = self._strangers
        count = count + 1 if day == now // DAY else 1
        self._strangers = (now // DAY, count)
        kind = kind_of(posted.path)
        what = "its write key" if kind == "segment" else f"the project {clean_text(project_of(posted, self.limit))[:100]!r}"
        reason = f"no source of kind {kind} in config has {what}"
        if count in (1, 10, 100, MOST_OF_STRANGERS):
            log.warning("requests of an unknown source", action="no_source", kind=kind, reason=reason, count=count)
        return Unreadable(200 if count <= MOST_OF_STRANGERS else _FORGOTTEN, "no_source", reason)

    # --- signed requests

    async def signed_value(self, request: Request) -> tuple[Source, str, Any] | Unreadable:
        """Who sent a request, under which id, and the JSON in it; or why it is refused."""
        now = self.clock.now()
        body = await self._read(request)
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
        source, request_id, value = taken
        reader = source.reader(self.engine.catalogue.audience, now, request_id)
        parsed = reader.events(value) if what == "events" else reader.records(value)
        new = await self.keep(parsed)
        return _unavailable() if new is None else JSONResponse(_told(parsed, new))

    async def _read(self, request: Request) -> bytes | Unreadable:
        """The raw body, counted while it comes in; of one that is too large, its beginning."""
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                chunks.append(chunk)
                if size > self.limit:
                    return Unreadable(413, "too_large", f"expected at most {self.limit} bytes", b"".join(chunks)[:MOST_KEPT])
        except ClientDisconnect:
            return Unreadable(400, "cut_off", "the request ended early")
        except asyncio.CancelledError:  # the server stops and does not wait for the rest of the body
            return Unreadable(408, "too_slow", "the server stops before the request has ended")
        return b"".join(chunks)

    def _sender(self, headers: dict[str, str], body: bytes, now: int) -> tuple[Source, str] | None:
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

    async def keep(self, parsed: Parsed) -> int | None:
        """How many items are new, after the commit; None when the database did not take them, also not the second time.

        The second time is for two daemons on PostgreSQL that waited for each other: the database ends one of them.
        """
        for _ in range(2):
            unit: Together[Arrival, int] = Together(self._take, parsed)
            future = self.store.database.submit(unit, INTAKE)
            try:
                new = await asyncio.wrap_future(future)
            except Closed:
                break
            except DatabaseError as error:
                problem = type(error).__name__
                log.warning("the database did not take a request", action="intake_failed", source=parsed.source, error=problem)
            else:
                if new:
                    self.woken()
                return new
        return None


async def _forget(parsed: Parsed) -> int:
    """Keeps nothing, and says what would have been kept."""
    return parsed.given


def _told(parsed: Parsed, new: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"accepted": new, "duplicates": parsed.given - new, "quarantined": len(parsed.quarantined)}
    if parsed.reasons:
        answer["reasons"] = parsed.reasons[:100]
    return answer


def _as_it_came(source: str, posted: Posted, problem: Unreadable) -> Quarantined:
    return Quarantined(source, problem.detail, as_it_came(posted, MOST_KEPT, cut=problem.reason == "too_large"), "", "request")


def _unavailable() -> Response:
    return JSONResponse({"error": "unavailable", "reason": "nothing was kept; send it again"}, 503, {"Retry-After": "5"})


def _with_ce_headers(headers: dict[str, str], value: Any) -> Any:
    binary = "ce-specversion" in headers or "ce-id" in headers
    return cloudevent_of_headers(headers, value) if binary else value


def _refused(refusal: Unreadable) -> Response:
    return JSONResponse({"error": refusal.reason, "reason": refusal.detail}, refusal.status)
