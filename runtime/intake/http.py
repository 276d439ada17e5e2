"""The HTTP side of intake: signed events and users, and what analytics SDKs post. Answers after the commit, several requests per commit."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from journeys.duration import DAY
from journeys.values import clean_text
from runtime.clock import Clock
from runtime.engine import Engine
from runtime.intake.bodies import Bodies
from runtime.intake.gathering import Gathering
from runtime.intake.items import Parsed, cloudevent_of_headers
from runtime.intake.openapi import document
from runtime.intake.reading import Unreadable, charset_refusal, inflate, parse_json
from runtime.intake.segment import CALLS, SHORT
from runtime.intake.signature import fault_of, verified_id
from runtime.intake.sources import Source, sources_of
from runtime.intake.tally import Tally
from runtime.intake.vendors import READERS, Posted, as_it_came, kind_of, project_of, whose
from runtime.settings import Project
from runtime.store import DatabaseError, SqlStore
from runtime.store.inbox import Quarantined
from runtime.store.writer import Closed

log = structlog.get_logger("journeyd.intake")
EVENTS = ("/v1/events", "/v1/events/")  # the paths of `Intake.events`
ENROLMENTS = "/v1/journeys/{journey}/enrolments"
SEGMENT = ("/v1/batch", *(f"/v1/{call}" for call in (*CALLS, *SHORT)))  # the paths of Segment and RudderStack
PathHandler = Callable[[Request], Awaitable[Response]]
MOST_OF_STRANGERS = 1000  # requests a day of which the bytes are kept, though nobody knows whose they are
_ANYWHERE = {"access-control-allow-origin": "*"}
_FORGOTTEN = 0  # the "status" of a stranger's request of which nothing is kept any more


class Intake:
    """Reads, verifies, keeps. `woken` is called after something new was committed."""

    def __init__(self, project: Project, store: SqlStore, engine: Engine, clock: Clock, woken: Callable[[], None]) -> None:
        self.project, self.store, self.engine, self.clock, self.woken = project, store, engine, clock, woken
        self.sources = sources_of(project)
        self.senders = [source for source in self.sources if source.kind == "webhook"]
        self.limit, self.sdk_limit = project.settings.server.signed_limit, project.settings.server.sdk_limit
        self.browsers = any(source.kind == "segment" and not source.signed for source in self.sources)  # which ask before they post
        self._strangers = (0, 0)  # the day, and how many came on it
        self._gathering = Gathering(store)
        self._bodies = Bodies()
        self.tally = Tally()
        self.events = SignedPost(self, "events")

    @property
    def in_hand(self) -> int:
        """How many events and records wait to be kept."""
        return self._gathering.in_hand

    def routes(self) -> list[Route]:
        """The routes, with and without a trailing slash: a redirect would lose the body of some clients."""
        posts: dict[str, PathHandler | SignedPost] = {
            "/v1/events": self.events, "/v1/users": SignedPost(self, "users"), ENROLMENTS: SignedPost(self, "calls"),
            **dict.fromkeys((*SEGMENT, "/v3/projects/{project}/collect", "/projects/{project}/collect/item"), self.vendor),
        }  # fmt: skip
        both: dict[str, PathHandler] = {"/sa": self.vendor, "/sa.gif": self.vendor, "/debug": self.debug}
        found = [Route(path + slash, handler, methods=["POST"]) for path, handler in posts.items() for slash in ("", "/")]
        if self.browsers:
            found += [Route(path + slash, _preflight, methods=["OPTIONS"]) for path in SEGMENT for slash in ("", "/")]
        found.append(Route("/openapi.json", self.openapi, methods=["GET"]))
        return found + [Route(path + slash, handler, methods=["GET", "POST"]) for path, handler in both.items() for slash in ("", "/")]

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
        body = await self._bodies.read(request.receive, self.sdk_limit)
        if isinstance(body, Unreadable) and body.status != 413:  # noqa: PLR2004 - too large: what came of it is kept
            return _refused(body)
        try:
            await self._bodies.room()
            return await self._read(request, body, debug=debug)
        finally:
            self._bodies.release(body)

    async def _read(self, request: Request, body: bytes | Unreadable, *, debug: bool) -> Response:
        head = body.kept if isinstance(body, Unreadable) else body
        headers = _headers(request.scope)
        posted = Posted(request.scope["path"], request.scope["query_string"].decode("latin-1"), headers, head)
        source = whose(self.sources, posted, self.sdk_limit)
        response = await self._answer(source, posted, body, debug=debug)
        if self.browsers and (source is None or not source.signed) and kind_of(posted.path) == "segment":
            response.headers.update(_ANYWHERE)
        return response

    async def _answer(self, source: Source | None, posted: Posted, body: bytes | Unreadable, *, debug: bool) -> Response:
        now = self.clock.now()
        keep = _forget if debug and posted.headers.get("dry-run", "").lower() == "true" else self.keep
        found: Parsed | Unreadable
        if source is None:
            found = self._stranger(posted, now)
        elif isinstance(body, Unreadable):
            found = body
        else:
            found = READERS[source.kind](source, source.reader(self.engine.catalogue.audience, now, ""), posted, self.sdk_limit)
        if isinstance(found, Unreadable):
            return await self._unreadable(source, posted, found, now, keep, 400 if debug else 200)
        if source is not None and not source.signed and found.quarantined and keep is not _forget:
            found.keep_aside(self._bodies.kept(found.aside, now))
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
        if problem.status != _FORGOTTEN:
            most = self._bodies.kept(len(posted.body), now)
            text = as_it_came(posted, most, cut=bool(problem.kept), limit=self.sdk_limit)
            aside = Quarantined(name, problem.detail, text, "", "request")
            if await keep(Parsed(name, now, quarantined=[aside], size=len(text))) is None:
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
        what = "its write key" if kind == "segment" else f"the project {clean_text(project_of(posted, self.sdk_limit))[:100]!r}"
        reason = f"no source of kind {kind} in config has {what}"
        if count in (1, 10, 100, MOST_OF_STRANGERS):
            log.warning("requests of an unknown source", action="no_source", kind=kind, reason=reason, count=count)
        return Unreadable(200 if count <= MOST_OF_STRANGERS else _FORGOTTEN, "no_source", reason)

    # --- signed requests

    async def signed_value(self, scope: Scope, receive: Receive, now: int) -> tuple[Source, str, Any] | Unreadable:
        """Who sent a request, under which id, and the JSON in it; or why it is refused."""
        body = await self._bodies.read(receive, self.limit)
        if isinstance(body, Unreadable):
            return body
        try:
            return self._signed(_headers(scope), body, now)
        finally:
            self._bodies.release(body)

    def _signed(self, headers: dict[str, str], body: bytes, now: int) -> tuple[Source, str, Any] | Unreadable:
        found = self._sender(headers, body, now)
        if found is None:
            self.tally.refuse(fault_of(headers, body, {sender.name: sender.secrets for sender in self.senders}, now), now)
            reason = "expected valid webhook-id, webhook-timestamp and webhook-signature headers (Standard Webhooks, within 5 minutes)"
            return Unreadable(401, "bad_signature", reason)
        is_binary = "ce-specversion" in headers or "ce-id" in headers
        value = self._value(headers, body) if body or not is_binary else None  # an event need not have data
        if isinstance(value, Unreadable):
            return value
        return (*found, cloudevent_of_headers(headers, value) if is_binary else value)

    def not_by_call(self, journey: str) -> Unreadable | None:
        """Why nobody can be enrolled in it by a call; None where somebody can."""
        found = self.engine.catalogue.current.get(journey)
        if found is None:
            return Unreadable(404, "no_journey", f"no journey {clean_text(journey)[:100]!r} is applied; see `journeyd status`")
        form = found.journey.entry.form
        why = f"journey {journey} is entered by {form}; by call only one with `entry: {{api: true}}`"
        return None if form == "api" else Unreadable(409, "not_by_call", why)

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
            try:
                with self._bodies.held(parsed.size):
                    new = await self._gathering.keep(parsed)
            except Closed:
                break
            except DatabaseError as error:
                problem = type(error).__name__
                log.warning("the database did not take a request", action="intake_failed", source=parsed.source, error=problem)
            else:
                self.tally.took(parsed, new)
                if new:
                    self.woken()
                return new
        return None


@dataclass(frozen=True)
class SignedPost:
    """Events (plain, or CloudEvents in structured, batch or binary mode), users or entries of a signed source, as an ASGI application.

    Objects for request and response would cost more than everything else that is done for one event.
    """

    intake: Intake
    what: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, after the commit."""
        intake = self.intake
        now = intake.clock.now()
        taken = await intake.signed_value(scope, receive, now)
        if isinstance(taken, Unreadable):
            await _refused(taken)(scope, receive, send)
            return
        source, request_id, value = taken
        reader = source.reader(intake.engine.catalogue.audience, now, request_id)
        if self.what == "calls":
            journey = scope["path_params"]["journey"]
            refusal = intake.not_by_call(journey)
            if refusal is not None:
                await _refused(refusal)(scope, receive, send)
                return
            parsed = reader.calls(value, journey)
        else:
            parsed = reader.events(value) if self.what == "events" else reader.records(value)
        new = await intake.keep(parsed)
        if new is None:
            await _unavailable()(scope, receive, send)
            return
        body = orjson.dumps(_told(parsed, new))
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _forget(parsed: Parsed) -> int:
    """Keeps nothing, and says what would have been kept."""
    return parsed.given


def _told(parsed: Parsed, new: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"accepted": new, "duplicates": parsed.given - new, "quarantined": len(parsed.reasons)}
    if parsed.reasons:
        answer["reasons"] = parsed.reasons[:100]
    return answer


def _unavailable() -> Response:
    return JSONResponse({"error": "unavailable", "reason": "nothing was kept; send it again"}, 503, {"Retry-After": "5"})


async def _preflight(request: Request) -> Response:
    """What a browser asks before it posts from a page elsewhere: whoever has the write key may; cookies count for nothing here."""
    asked = request.headers.get("access-control-request-headers", "")
    allowed = asked if re.fullmatch(r"[\w\-, ]{1,500}", asked, re.ASCII) else "authorization, content-type"
    more = {"access-control-allow-methods": "POST", "access-control-allow-headers": allowed, "access-control-max-age": "86400"}
    return Response(None, 200, {**_ANYWHERE, **more})


def _refused(refusal: Unreadable) -> Response:
    return JSONResponse({"error": refusal.reason, "reason": refusal.detail}, refusal.status)
