"""`journeyd run`: ticks and HTTP in one process. Stops gracefully: the batch is finished, open requests are answered."""

import asyncio
import gc
import logging
import queue
import secrets
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

import structlog
import uvicorn
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from journeys.localtime import to_datetime
from runtime.alarms import Alarms
from runtime.app import App
from runtime.attempt import Delivered
from runtime.control import listen, socket_path
from runtime.engine import BATCH
from runtime.hearing import Hearing
from runtime.housekeeping import Housekeeping
from runtime.importing import Chunk, keep
from runtime.intake.http import EVENTS, Intake
from runtime.lanes import Lanes
from runtime.metrics import Metrics
from runtime.pausing import paused
from runtime.quarantine import drop_asked, retry_asked
from runtime.rebuilding import one_chunk
from runtime.releasing import applied
from runtime.store import DatabaseError
from runtime.store.writer import Closed

log = structlog.get_logger("journeyd")
T = TypeVar("T")
REGULAR_SECONDS = 1  # the ticks' own rhythm; work that is known wakes them earlier
CROWD = 8  # things that wait to be kept: from here on the engine gives way to them
REST_SECONDS = 0.1  # so long: timers are that much later at most
SHORT = 200  # of a batch meanwhile: its write makes them wait
STOP_SECONDS = 2  # for open requests; the whole stop takes less than five


class Ticks:
    """The engine's ticks: every second, at the next known time, and when something arrives. Deliveries have their own threads (lanes)."""

    def __init__(self, app: App, in_hand: Callable[[], int] = lambda: 0) -> None:
        self.app, self._in_hand = app, in_hand  # how many things wait to be kept
        self.counts: dict[str, int] = {"engine": 0, "failed": 0}
        self.lanes = Lanes(app.delivery, app.clock, secrets.token_hex(16), self._told)
        self.alarms = Alarms(app)
        self.housekeeping = Housekeeping(app.store, app.engine, app.project.keep_events)
        executors = {"default": ThreadPoolExecutor(4)}
        self.scheduler = BackgroundScheduler(executors=executors, timezone="UTC", job_defaults={"coalesce": True, "max_instances": 2})
        self._again = {"engine": threading.Event()}
        self._locks = {name: threading.Lock() for name in self._again}
        self._stopping = threading.Event()
        self._errands: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self.last_success: int = app.clock.now()

    def start(self) -> None:
        """Begin to tick."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self.lanes.start()
        arguments = ["engine", self._engine]
        self.scheduler.add_job(self._run, "interval", seconds=REGULAR_SECONDS, args=arguments, id="engine", misfire_grace_time=None)
        self.scheduler.start()
        self.wake("engine")

    def stop(self) -> None:
        """Let running ticks finish their batch; start no other."""
        self._stopping.set()
        self.scheduler.shutdown(wait=True)
        self.lanes.stop()
        while not self._errands.empty():
            self._errands.get_nowait()[1].set_exception(Closed("the daemon stops"))

    def between(self, work: Callable[[], T]) -> "Future[T]":
        """Have something done by the engine's own thread between two ticks: nobody else works on users then."""
        done: Future[T] = Future()
        if self._stopping.is_set():
            done.set_exception(Closed("the daemon stops"))
        else:
            self._errands.put((work, done))
            self.wake("engine")
        return done

    def _run_errand(self) -> int:
        """One errand, before each tick: they delay nobody for longer than one batch does."""
        try:
            work, done = self._errands.get_nowait()
        except queue.Empty:
            return 0
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            done.set_exception(error)
        else:
            done.set_result(result)
        return 1

    def wake(self, name: str = "engine", at: int | None = None) -> None:
        """Tick now, or at a known instant."""
        if self._stopping.is_set():
            return
        if at is None:
            if self._again[name].is_set():  # somebody has asked for the same tick, which has not begun yet
                return
            self._again[name].set()
            if self._locks[name].locked():  # whoever ticks looks at the wish after it has let go of the lock
                return
        moment = to_datetime(self.app.clock.now() if at is None else at, self.app.project.zone)
        try:
            self.scheduler.modify_job(name, next_run_time=moment)
        except LookupError:  # stopping
            return

    def _run(self, name: str, tick: Callable[[int], int]) -> None:
        """Tick until nothing is left. One at a time: a second instance leaves its wish in `_again`, which the first looks at last."""
        took = 0
        while not self._stopping.is_set() and self._locks[name].acquire(blocking=False):
            try:
                took = self._until_idle(name, tick, took)
            finally:
                self._locks[name].release()
            if not self._again[name].is_set():
                return

    def _until_idle(self, name: str, tick: Callable[[int], int], took: int) -> int:
        """Tick until nothing is left; returns how long the last tick with any work in it took."""
        while not self._stopping.is_set():
            self._give_way(name, took)
            self._again[name].clear()
            began = self.app.clock.now()
            try:
                worked = tick(began)
            except Closed:
                break
            except DatabaseError as error:
                self._failed(name, error, with_trace=False)
                break
            except Exception as error:  # noqa: BLE001 - a tick that dies must not end the ticking
                self._failed(name, error, with_trace=True)
                break
            self.counts[name] += 1
            if not worked:
                self._sleep_until_next(name)
                break
            took = self.app.clock.now() - began
        return took

    def _give_way(self, name: str, took: int) -> None:
        """Requests go first: while they come in, the engine rests between two batches, and its batches become fuller.

        Where many wait to be kept as long as it may; else three times as long as the last batch `took` (milliseconds).
        """
        if self._in_hand() >= CROWD:
            self._stopping.wait(REST_SECONDS)
        elif self._again[name].is_set():
            self._stopping.wait(min(3 * took / 1000, REST_SECONDS))

    def _failed(self, name: str, error: Exception, *, with_trace: bool) -> None:
        self.counts["failed"] += 1
        log.error("a tick failed; it is tried again", action="tick_failed", tick=name, error=f"{type(error).__name__}: {error}"[:500],
                  exc_info=error if with_trace else None)  # fmt: skip

    def _engine(self, now: int) -> int:
        self.app.engine.refresh()
        errands = self._run_errand()
        worked = self.app.engine.tick(now, SHORT if self._in_hand() >= CROWD else BATCH)
        if worked.lanes:
            self.lanes.wake(worked.lanes)
        if worked.quarantined:
            log.warning("records were quarantined", action="quarantined", count=worked.quarantined)
        self.last_success = now
        total = worked.total + errands
        return total or self.housekeeping.turn(now)

    def _told(self, done: Delivered) -> None:
        """A lane has done something: outcomes of grants and calls may wait in the inbox, and somebody may have to be alarmed."""
        if done.total:
            log.info("messages were worked on", action="delivered", **done.counts)
            self.wake("engine")
        for alarm in done.alarms:
            self.alarms.raise_(alarm)

    def _sleep_until_next(self, name: str) -> None:
        app = self.app
        try:
            at = app.engine.next_work()
        except DatabaseError:
            return
        now = app.clock.now()
        if at is not None and now < at < now + REGULAR_SECONDS * 1000:
            self.wake(name, at)


class Front:
    """The HTTP application. What posts events goes past the framework, whose layers cost as much as the reading of an event."""

    def __init__(self, direct: Mapping[str, ASGIApp], rest: Starlette) -> None:
        self._direct, self._rest = direct, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        app = self._direct.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (app or self._rest)(scope, receive, send)


def web_app(app: App, ticks: Ticks, intake: Intake) -> Front:
    """The HTTP application: intake, health and metrics."""
    metrics = Metrics(app, ticks.counts)

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
    return Front(dict.fromkeys(EVENTS, intake.events), application)


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
    ticks = Ticks(app, lambda: intake.in_hand)
    server_settings = app.project.settings.server
    config = uvicorn.Config(
        web_app(app, ticks, intake), host=server_settings.host, port=server_settings.port, log_level="warning", access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS, lifespan="on", server_header=False, h11_max_incomplete_event_size=32 * 1024,
    )  # fmt: skip

    def listening(port: int) -> None:
        log.info(
            "journeyd is running", action="started", host=server_settings.host, port=port,
            release=app.engine.catalogue.release_id, journeys=len(app.engine.catalogue.current),
        )  # fmt: skip

    server = _Server(config, listening)
    gc.collect()
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
