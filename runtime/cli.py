"""The command line. Data on stdout, progress and findings' counts on stderr; exit codes 0 ok, 1 findings or failure, 2 usage."""

import getpass
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App as CommandLine
from cyclopts import Parameter
from rich.console import Console

from channels.message import Accepted
from journeys.compiled import CompiledJourney
from journeys.diagram import mermaid
from journeys.errors import did_you_mean
from journeys.schema import audience_schema, journey_schema
from journeys.values import parse_time
from runtime import show
from runtime.app import App, build_app
from runtime.applying import Refused, apply, check_project, outcome_json
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
from runtime.eventfile import to_stderr
from runtime.explain import as_json, lines_of, story_of
from runtime.import_command import import_app
from runtime.newproject import ProjectExists, make_project, packaged_project
from runtime.quarantine_command import quarantine_app
from runtime.rebuilding import Ask, Rebuilt, go_through, one_chunk
from runtime.rehearse import check_tests
from runtime.sendtest import send_one, told
from runtime.settings import ConfigError, Project, load_project
from runtime.simulate import CannotSimulate, simulate
from runtime.status import whole_summary
from runtime.store import StoreError

cli = CommandLine(
    name="journeyd",
    help="Journeys of community group-buying users: files in, messages out.",
    version_flags=["--version"],
    version=lambda: metadata.version("journeyd"),
)
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
        for user_id in lived.stories:
            show.story(out, story_of(app.store, user_id), _lines(app, user_id), language, project.zone, most=14)
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


@cli.command
def check(*paths: Path, config: Config = Path(), tests: bool = True, json: Json = False) -> int:
    """Check journey files, the audience and their tests; every finding of every file in one run.

    PATHS: files or folders to report on (all are read: journeys know each other); default: all.
    """
    project = load_project(config)
    language = project.language()
    checked = check_project(project)
    findings = list(checked.findings)
    count = 0
    if tests and not checked.errors:
        total = sum(len(j.journey.tests) for j in checked.journeys.values())
        with show.progress(err, "tests", total) as advance:
            found, count = check_tests(checked, project, advance)
        findings.extend(found)
    wanted = [path.absolute() for path in paths]
    missing = [path for path in wanted if not path.exists()]
    if missing:
        raise Stop(FAILED, "\n".join(f"{path}: no such file or folder" for path in missing))
    if wanted:
        findings = [f for f in findings if any(_is_in(Path(f.place.file).absolute(), w) for w in wanted)]
    if json:
        print_json(
            [
                {
                    "code": f.code,
                    "severity": f.severity,
                    "file": f.place.file,
                    "line": f.place.line,
                    "column": f.place.column,
                    "text": f.text("en"),
                }
                for f in findings
            ]
        )
    else:
        show.findings(Console(highlight=False, soft_wrap=True), findings, language)
    errors = sum(f.severity == "error" for f in findings)
    if not findings:
        err.print(show.word("checked", language, files=len(checked.journeys), tests=count), markup=False)
    else:
        err.print(show.word("findings", language, errors=errors, warnings=len(findings) - errors), markup=False)
    return FAILED if errors else OK


def _is_in(file: Path, wanted: Path) -> bool:
    return file == wanted or wanted in file.parents


@cli.command(name="apply")
def apply_(*, message: Annotated[str, Parameter(name=["--message", "-m"])] = "", config: Config = Path(), json: Json = False) -> int:
    """Make the checked files the release that runs: atomically, or not at all."""
    project = load_project(config)
    language = project.language()
    path = socket_path(project.database_url)
    answer = ask(path, {"command": "apply", "author": getpass.getuser(), "message": message}) if path is not None else None
    if answer is None:
        app = build_app(project)
        try:
            outcome = apply(app.store, project, check_project(project), app.clock.now(), getpass.getuser(), message)
        finally:
            app.close()
        answer = outcome_json(outcome, language)
    if "error" in answer:
        raise Stop(FAILED, f"the running daemon could not apply: {answer['error']}")
    if json:
        print_json(answer)
    elif answer["outcome"] == "refused":
        for line in answer["findings"]:
            sys.stdout.write(line + "\n")
    elif answer["outcome"] == "unchanged":
        sys.stdout.write(show.word("unchanged", language, id=answer["release"]) + "\n")
    else:
        sys.stdout.write(show.word("applied", language, id=answer["release"], changed=len(answer["changed"])) + "\n")
    return FAILED if answer["outcome"] == "refused" else OK


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
        outcome = apply(app.store, project, checked, app.clock.now(), "run", "first run")
        if isinstance(outcome, Refused):
            lines = "\n".join(f.line(project.language()) for f in outcome.findings)
            raise Stop(FAILED, lines + "\nnothing is applied yet, and these files cannot be: mend them and run again")
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
def explain(user: str, *, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """One user's whole story: entries, refusals, branches, messages, with the clause and the values then."""
    app = reading_app(config, database)
    try:
        story, lines = story_of(app.store, user), _lines(app, user)
    finally:
        app.close()
    if json:
        print_json(as_json(story, lines, app.project.zone))
    elif story.known:
        show.story(show.paper(), story, lines, app.project.language(), app.project.zone)
    else:
        err.print(show.word("unknown_user", app.project.language(), user=user), markup=False)
    return OK if story.known else FAILED


def _lines(app: App, user: str) -> Any:
    story = story_of(app.store, user)
    places: dict[tuple[int, str], str] = {}
    for row_id in {e["version_id"] for e in story.enrolments}:
        with app.store.database.reading() as tx:
            version = app.store.releases.version(tx, row_id)
        versioned = app.engine.catalogue.version(version) if version is not None else None
        if versioned is not None:
            for step in versioned.journey.steps.values():
                places[row_id, step.id] = f"{versioned.journey.id}.yaml:{step.line}"
    return lines_of(story, places)


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
def graph(journey: str, *, config: Config = Path(), json: Json = False) -> int:
    """A journey as a Mermaid diagram (mermaid.live, or any editor that draws Mermaid)."""
    project = load_project(config)
    compiled = _one(project, journey)
    if json:
        print_json(
            {
                "journey": compiled.id,
                "mermaid": mermaid(compiled),
                "steps": [{"id": s.id, "kind": s.kind, "moves": dict(s.moves)} for s in compiled.steps.values()],
            }
        )
    else:
        sys.stdout.write(mermaid(compiled))
    return OK


def _one(project: Project, journey: str) -> CompiledJourney:
    checked = check_project(project)
    compiled = checked.journeys.get(journey)
    if compiled is None:
        hint = did_you_mean(journey, checked.journeys)
        raise Stop(
            FAILED, f"there is no journey {journey} without errors" + (f", did you mean {hint}?" if hint else "") + "; see `journeyd check`"
        )
    return compiled


@cli.command(name="simulate")
def simulate_(
    *,
    events: Annotated[Path, Parameter(help="CSV with id,type,user_id,time and further columns as fields, or JSONL of events")],
    users: Annotated[
        Path | None, Parameter(help="user records (JSONL, or CSV of traits); without it everybody is reachable and has consented")
    ] = None,
    until: Annotated[str | None, Parameter(help="go on to this time; default is the time of the last event")] = None,
    config: Config = Path(),
    json: Json = False,
) -> int:
    """Run a file of events (CSV or JSONL, in time order) through the journeys on a virtual clock."""
    project = load_project(config)
    for path in (events, users):
        if path is not None and not path.is_file():
            raise Stop(FAILED, f"{path}: no such file")
    end = parse_time(until, project.zone) if until is not None else None
    if until is not None and end is None:
        raise Stop(USAGE, f"--until: expected a time such as 2026-12-31 or 2026-12-31T18:00+08:00, found {until}")
    checked = check_project(project)
    with show.spinner(err, "simulate") as said:
        result = simulate(project, checked, events, users, end, to_stderr, lambda at: said(show.instant(at, project.zone)))
    if json:
        print_json(result.as_json())
    else:
        show.stages_by_month(show.paper(), result.stages, project.language())
        show.journeys_table(show.paper(), result.journeys, project.language())
        show.stages_by_month(show.paper(), result.stages, project.language())
        err.print(f"{result.events} events, {result.bad_rows} bad rows, {result.seconds:.1f} s", markup=False)
        if users is None:
            err.print("no --users: everybody counted as reachable and consented", markup=False)
    return OK


@cli.command
def schema(*, audience: Annotated[bool, Parameter(negative=())] = False) -> int:
    """The JSON Schema of journey files (or of audience.yaml), for editors."""
    print_json(audience_schema() if audience else journey_schema())
    return OK
