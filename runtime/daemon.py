"""`journeyd run`: ticks and HTTP in one process. Stops gracefully: the batch is finished, open requests are answered."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any, cast

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from runtime.app import App
from runtime.control import listen, socket_path
from runtime.hearing import Hearing
from runtime.importing import Chunk, keep
from runtime.intake.http import EVENTS, Intake
from runtime.metrics import Metrics
from runtime.pausing import paused
from runtime.quarantine import drop_asked, retry_asked
from runtime.rebuilding import one_chunk
from runtime.releasing import applied
from runtime.ticks import Ticks

log = structlog.get_logger("journeyd")
STOP_SECONDS = 2  # for open requests; the whole stop takes less than five
SWITCH_SECONDS = 0.0005  # for which a thread may compute while a request waits for the interpreter; Python has 5 ms, for each of its pauses


class Front:
    """The HTTP application. What posts events goes past the framework, whose layers cost as much as the reading of an event."""

    def __init__(self, direct: Mapping[str, ASGIApp], rest: ASGIApp) -> None:
        self._direct, self._rest = direct, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        app = self._direct.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (app or self._rest)(scope, receive, send)


def web_app(app: App, ticks: Ticks, intake: Intake) -> Front:
    """The HTTP application: intake, health and metrics."""
    metrics = Metrics(app, ticks.counts, intake.tally)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        alive = await asyncio.to_thread(app.store.database.alive)
        lag = app.clock.now() - ticks.last_success
        ready = alive and lag < 30_000  # noqa: PLR2004 - half a minute without a tick is no service
        body = {"ready": ready, "database": alive, "last_tick_ms_ago": lag, "release": app.engine.catalogue.release_id}
        return JSONResponse(body, 200 if ready else 503)

    async def metrics_text(_: Request) -> Response:
        text = await asyncio.to_thread(metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def control(request: dict[str, Any]) -> dict[str, Any]:
        if request.get("command") == "rebuild":
            return await asyncio.wrap_future(ticks.between(lambda: one_chunk(app.engine, request, app.clock.now())))
        perform = COMMANDS.get(str(request.get("command")))
        if perform is None:
            return {"error": f"unknown command {request.get('command')}"}
        outcome = await asyncio.to_thread(perform, app, request)
        ticks.wake("engine")
        return outcome

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ticks.start()
        path = socket_path(app.store.database.url.render_as_string(hide_password=False))
        server = await listen(path, control) if path is not None else None
        yield
        if server is not None and path is not None:
            server.close()
            path.unlink(missing_ok=True)
        await asyncio.to_thread(ticks.stop)

    hearing = Hearing(app, intake, lambda: ticks.wake("engine"))
    routes = [*intake.routes(), *hearing.routes(), Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics_text)]
    application = Starlette(routes=routes, lifespan=lifespan)
    application.router.redirect_slashes = False
    behind_proxy: Any = ProxyHeadersMiddleware(
        cast("Any", application), os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    )  # as uvicorn would: for all
    return Front(dict.fromkeys(EVENTS, intake.events), behind_proxy)


def _imported(app: App, request: dict[str, Any]) -> dict[str, Any]:
    with app.store.database.reading() as tx:
        position, waiting = app.store.imports.position(tx, str(request.get("key", ""))), app.store.inbox.size(tx)
    return {"position": None if position is None else asdict(position), "waiting": waiting}


def _import(app: App, request: dict[str, Any]) -> dict[str, Any]:
    return {"position": asdict(keep(app.store, Chunk.from_json(request["chunk"]), app.clock.now()))}


COMMANDS: dict[str, Callable[[App, dict[str, Any]], dict[str, Any]]] = {
    "apply": applied, "pause": paused, "imported": _imported, "import": _import,
    "quarantine_retry": retry_asked, "quarantine_drop": drop_asked,
}  # fmt: skip


def configure_logs(*, as_json: bool) -> None:
    """One line per fact on stderr, each with a stable `action`; JSON where a machine reads it."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # rich would print variables: tokens, phones
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else _keep,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _keep(_: Any, __: str, event: Any) -> Any:
    return event


class _Server(uvicorn.Server):
    """uvicorn, telling when it listens (and on which port, when config says 0)."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop gracefully. uvicorn would raise them again afterwards; a stop that was asked for is no failure."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            self._on_listening(self.servers[0].sockets[0].getsockname()[1])


def serve(app: App, *, as_json: bool = False) -> int:
    """Run until SIGTERM or SIGINT; 0 after a graceful stop, 1 when the port could not be had."""
    configure_logs(as_json=as_json)
    intake = Intake(app.project, app.store, app.engine, app.clock, lambda: ticks.wake("engine"))
    ticks = Ticks(app, lambda: intake.in_hand, intake.tally)
    server_settings = app.project.settings.server
    config = uvicorn.Config(
        web_app(app, ticks, intake), host=server_settings.host, port=server_settings.port, log_level="warning", access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS, lifespan="on", server_header=False, proxy_headers=False,
        h11_max_incomplete_event_size=32 * 1024,
    )  # fmt: skip

    def listening(port: int) -> None:
        log.info(
            "journeyd is running", action="started", host=server_settings.host, port=port,
            release=app.engine.catalogue.release_id, journeys=len(app.engine.catalogue.current),
        )  # fmt: skip

    server = _Server(config, listening)
    gc.collect()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()  # what is there now stays: a full collection would look at all of it, while every request waits
    try:
        server.run()
    except SystemExit:  # uvicorn's way to say that the port is taken
        log.error("the server could not start; is the port taken?", action="start_failed", port=server_settings.port)  # noqa: TRY400
        return 1
    finally:
        app.close()
        log.info("journeyd has stopped", action="stopped")
    return 0
