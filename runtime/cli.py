"""The command line. Data on stdout, progress and findings' counts on stderr; exit codes 0 ok, 1 findings or failure, 2 usage."""

import os
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated

from cyclopts import App as CommandLine
from cyclopts import Parameter
from rich.console import Console

from channels.message import Accepted
from journeys.schema import audience_schema, journey_schema
from runtime import show
from runtime.app import App, build_app
from runtime.applying import Asked, Declined, Refused, apply, check_project
from runtime.check_command import check
from runtime.clock import SystemClock
from runtime.commandline import (
    FAILED,
    INTERRUPTED,
    OK,
    USAGE,
    Config,
    DatabasePath,
    Json,
    Stop,
    err,
    no_database,
    print_json,
    project_of,
    reading_app,
    url_of,
)
from runtime.control import NoAnswer, ask, socket_path
from runtime.doctor import Examined, examine_channels, examine_store
from runtime.enquiring import whole_story
from runtime.explain_command import explain, wording_of
from runtime.graph_command import graph
from runtime.import_command import import_app
from runtime.newproject import ProjectExists, make_project, packaged_project
from runtime.pause_command import pause
from runtime.quarantine_command import quarantine_app
from runtime.rebuilding import Ask, Rebuilt, go_through, one_chunk
from runtime.release_command import apply_, plan, releases
from runtime.sendtest import send_one, told
from runtime.settings import ConfigError, Project, load_project
from runtime.show_story import story
from runtime.simulate import CannotSimulate
from runtime.simulate_command import simulate_
from runtime.status import whole_summary
from runtime.store import StoreError

cli = CommandLine(
    name="journeyd",
    help="Journeys of community group-buying users: files in, messages out.",
    version_flags=["--version"],
    version=lambda: metadata.version("journeyd"),
)
for _command in (check, explain, graph, pause, plan, releases):
    cli.command(_command)
cli.command(apply_, name="apply")
cli.command(simulate_, name="simulate")
cli.command(import_app)
cli.command(quarantine_app)


def main() -> None:
    """Run the command line and exit with its code; nobody but a developer ever sees a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        result = cli(arguments, result_action="return_value", exit_on_error=False, print_error=True)
    except Stop as stop:
        if stop.text:
            err.print(stop.text, markup=False)
        return stop.code
    except (ConfigError, StoreError, CannotSimulate, ProjectExists, NoAnswer) as error:
        err.print(str(error), markup=False)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except Exception as error:
        if type(error).__module__.startswith("cyclopts"):
            return USAGE
        raise
    return result if isinstance(result, int) else OK


@cli.command
def demo(
    *, days: int = 90, database: str = "data/demo.db",
    vendors: Annotated[bool, Parameter(negative=(), help="every message goes to stand-ins of the vendors on 127.0.0.1")] = False,
    json: Json = False,
) -> int:  # fmt: skip
    """Let a small town live 90 days in virtual time, ending now, through the real engine.

    Leaves data/demo.db, on which status, explain and run work (--database data/demo.db). With --vendors the messages go through the
    real adapters, and what the vendors' stand-ins took is compared with the ledger: exit code 1 when they contradict each other.
    """
    from runtime.demo import live, vendors_table

    project = packaged_project(Path.cwd())
    checked = check_project(project)
    language = project.language()
    with show.progress(err, show.word("town", language), days) as advance:
        lived = live(project, checked, Path(database), SystemClock().now(), advance, days, vendors=vendors)
    code = OK if lived.audit is None or lived.audit.clean else FAILED
    if json:
        print_json(lived.as_json())
        return code
    out = show.paper()
    show.journeys_table(out, lived.journeys, language)
    app = build_app(project, url=url_of(database))
    try:
        wording = wording_of(app)
        for user_id in lived.stories:
            story(out, whole_story(app, user_id, app.clock.now())[0], wording, most=14)
    finally:
        app.close()
    if vendors:
        vendors_table(out, lived, language)
    user = lived.stories[0] if lived.stories else "USER"
    commands = f"journeyd status --database {database}   journeyd explain {user} --database {database}   journeyd run --database {database}"
    out.print(show.word("demo_next", language, commands=commands), markup=False, soft_wrap=True)
    return code


@cli.command
def init(folder: Path) -> int:
    """Make a ready project folder: config, secret, journeys, schemas, README."""
    made = make_project(folder)
    language = load_project(folder).language()
    show.paper().print(show.word("made", language, folder=str(made), commands=f"cd {made} && journeyd check && journeyd run"), markup=False)
    return OK


@cli.command(name="run")
def run_(*, config: Config = Path(), database: DatabasePath = None, log_json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Run the daemon: HTTP intake and the scheduler, until SIGTERM. A database without a release gets one from the files."""
    from runtime.daemon import serve

    project = project_of(config, database)
    app = build_app(project, "daemon", url=url_of(database))
    try:
        _first_release(app, project)
    except BaseException:
        app.close()
        raise
    code = serve(app, as_json=log_json or not sys.stderr.isatty())
    if any(thread.name.startswith("journeyd-") and not thread.daemon for thread in threading.enumerate()):
        sys.stderr.flush()  # a vendor that thinks longer than a stop may take: its attempt is settled by the next start
        os._exit(code)
    return code


def _first_release(app: App, project: Project) -> None:
    checked = check_project(project)
    with app.store.database.reading() as tx:
        current = app.store.releases.current(tx)
    if current is None:
        outcome = apply(app.store, project, checked, app.clock.now(), Asked("run", "first run"))
        if isinstance(outcome, Refused):
            lines = "\n".join(f.line(project.language()) for f in outcome.findings)
            raise Stop(FAILED, lines + "\nnothing is applied yet, and these files cannot be: mend them and run again")
        if isinstance(outcome, Declined):  # another daemon was faster
            app.engine.refresh()
            return
        err.print(f"nothing was applied yet: applied the files as release {outcome.release.id}", markup=False)
    elif checked.errors:
        err.print(f"the files have {checked.errors} errors (`journeyd check`); release {current.id} stays in force", markup=False)
    else:
        journeys = {i: j.digest for i, j in checked.journeys.items() if j.journey.status != "draft"}
        differs = journeys != {v.journey: v.digest for v in current.versions} or checked.audience_text != current.audience
        if differs:
            err.print(
                f"the files differ from release {current.id}, which stays in force; `journeyd apply` makes them the next one", markup=False
            )
    app.engine.refresh()


@cli.command
def status(*, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """What runs, who is inside, what was sent, what is stuck."""
    app = reading_app(config, database)
    try:
        summary = whole_summary(app.store, app.clock.now())
    finally:
        app.close()
    if json:
        print_json(summary)
    else:
        show.status(show.paper(), summary, app.project.language(), app.project.zone)
    return OK


@cli.command
def rebuild(
    *, user: Annotated[str, Parameter(help="only this user")] = "",
    check: Annotated[bool, Parameter(negative=(), help="only compare; exit code 1 when anything differs")] = False,
    after: Annotated[str, Parameter(help="go on after this user id")] = "",
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """Make the aggregates and windows of all users anew from the kept events; values and tags stay. Nobody enters by it.

    Also beside a running daemon. A release that changes what a trait means needs no rebuild: the engine does it by itself.
    """
    project = project_of(config, database)
    language, rebuilt = project.language(), Rebuilt(after=after)
    try:
        with show.progress(err, show.word("rebuild", language), None) as bar, _rebuilder(project, url_of(database)) as ask_chunk:
            problem = go_through(rebuilt, ask_chunk, {"user": user, "check": check}, bar)
    except KeyboardInterrupt:
        problem = ""
    if not rebuilt.done:
        command = shlex.join(["journeyd", "rebuild", *(["--check"] if check else []), "--after", rebuilt.after])
        raise Stop(FAILED if problem else INTERRUPTED, "\n".join(filter(None, [problem, show.word("go_on", language, command=command)])))
    if user and not rebuilt.users:
        raise Stop(FAILED, show.word("unknown_user", language, user=user))
    if json:
        print_json({name: value for name, value in asdict(rebuilt).items() if name != "done"})
    else:
        show.differences(Console(highlight=False, soft_wrap=True), rebuilt.differences, rebuilt.unreadable, language)
        counts = {"users": rebuilt.users, "differing": rebuilt.differing, "renewed": rebuilt.renewed}
        sys.stdout.write(show.word("compared" if check else "rebuilt", language, **counts) + "\n")
    return FAILED if rebuilt.unreadable or (check and rebuilt.differing) else OK


@contextmanager
def _rebuilder(project: Project, url: str | None) -> Iterator[Ask]:
    """Who works off a chunk: the daemon that holds the SQLite file, else this process, which then holds it."""
    path = socket_path(url or project.database_url)
    if path is not None and not path.with_suffix("").exists():
        raise Stop(FAILED, no_database(path.with_suffix("")))
    if path is not None and ask(path, {"command": "hello"}) is not None:
        gone = {"error": "the daemon has stopped"}
        yield lambda request: ask(path, request) or gone
        return
    app = build_app(project, "daemon", url=url, channels={})
    try:
        yield lambda request: one_chunk(app.engine, request, app.clock.now())
    finally:
        app.close()


@cli.command
def doctor(*, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """Try every channel's credentials and settings without messaging anyone; look at database, clock and stuck enrolments."""
    project = project_of(config, database)
    clock = SystemClock()
    with show.spinner(err, "doctor") as said:
        found: list[Examined] = []
        for thing in examine_channels(project, clock):
            said(thing.where)
            found.append(thing)
    try:
        app = reading_app(config, database)
    except (Stop, StoreError) as error:
        none_yet = isinstance(error, Stop)  # no fault: a new project has none
        text = error.text if isinstance(error, Stop) else str(error)
        found.append(Examined("database", "open", ok=none_yet, found=text))
    else:
        found += examine_store(app.store, app.engine, project, clock.now())
        app.close()
    if json:
        print_json([asdict(thing) for thing in found])
    else:
        show.examined(Console(highlight=False, soft_wrap=True), found)
    return OK if all(thing.ok for thing in found) else FAILED


@cli.command
def send_test(
    channel: str, address: str, *, template: str | None = None,
    text: Annotated[str, Parameter(help="of a push, WeCom message or e-mail")] = "journeyd: 测试 / test",
    data: Annotated[dict[str, str] | None, Parameter(help="template fields: --data.title 您好 --data.note 测试")] = None,
    config: Config = Path(), json: Json = False,
) -> int:  # fmt: skip
    """Send one message to one address through a channel's adapter, past the ledger: to see that it arrives. Yours, please.

    CHANNEL: wechat, sms, push, wecom, email, or robot:NAME. ADDRESS: an openid, a phone, a registration id, a member, an e-mail
    address; for a robot its name.
    """
    project = load_project(config)
    outcome = send_one(project, channel, address, template, text, data or {}, SystemClock())
    if json:
        print_json({"outcome": type(outcome).__name__, **{k: v for k, v in asdict(outcome).items() if v not in ("", {}, None)}})
    else:
        show.paper().print(told(outcome), markup=False)
    return OK if isinstance(outcome, Accepted) else FAILED


@cli.command
def schema(*, audience: Annotated[bool, Parameter(negative=())] = False) -> int:
    """The JSON Schema of journey files (or of audience.yaml), for editors."""
    print_json(audience_schema() if audience else journey_schema())
    return OK
