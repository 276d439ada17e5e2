"""`journeyd plan`, `apply`, `releases`: from files to what runs, with those inside cared for."""

import getpass
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from journeys.check import Checked
from journeys.errors import Language
from journeys.localtime import print_instant
from journeys.values import clean_text
from runtime import show, show_findings
from runtime.app import App, build_app
from runtime.applying import Declined, Refused, check_project, digest_of_all, outcome_json
from runtime.checking import Checker
from runtime.commandline import (
    A_RELEASE,
    FAILED,
    OK,
    USAGE,
    Config,
    DatabasePath,
    Json,
    Stop,
    err,
    is_there,
    next_command,
    print_json,
    project_of,
    reading_app,
    require_database,
    url_of,
)
from runtime.control import ask, socket_path
from runtime.moving import InFlight
from runtime.newproject import TEMPLATE
from runtime.planning import plan_of
from runtime.releasing import applied, inside, wanted, ways
from runtime.settings import Project
from runtime.show_plan import releases_json, show_plan, show_releases
from runtime.store.releases import Release

CHANGES = 2  # of `plan --detailed-exitcode`, as Terraform's
MOST_RELEASES = 1000
MOST_NAMED = 6  # journeys that changed
ADVICE = ("step_looks_renamed", "step_was_nobody")

Ways = Annotated[
    list[str] | None,
    Parameter(name="--in-flight", negative=(), help="JOURNEY=keep|move|exit, or JOURNEY.STEP=…: what happens to those inside; repeatable"),
]
Back = Annotated[
    int | None,
    Parameter(name="--version", validator=A_RELEASE, help="go back to what this release held, in place of the files"),
]


def plan(
    *, in_flight: Ways = None, version: Back = None,
    detailed_exitcode: Annotated[bool, Parameter(negative=(), help="exit code 2 when there is something to apply, 0 when not")] = False,
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """What `apply` would change, and what it would make of everybody inside. Changes nothing."""
    project, url = project_of(config, database), url_of(database)
    require_database(project, url, own_is_made=True)
    # before the first run there is nothing to read, and everything is new
    app = reading_app(config, database) if is_there(project, url) else build_app(project, url="sqlite:///:memory:", channels={})
    try:
        checked = _wanted(app, version)
        if checked.errors:
            errors = [f for f in checked.findings if f.severity == "error"]
            if json:
                print_json(outcome_json(Refused(tuple(errors)), _language(app)))
            else:
                show_findings.findings(Console(highlight=False, soft_wrap=True), errors, _language(app))
            return FAILED
        found = plan_of(app, checked, _ways(app, checked, in_flight), app.clock.now())
    finally:
        app.close()
    if version is not None:
        for journey in found.journeys:  # a release of the past is not to be written anew
            journey.changes = [change for change in journey.changes if change.kind not in ADVICE]
    elif not found.is_same:
        found.failing = sum(finding.severity == "error" for finding in _checker(config, database).check().findings)
    if json:
        print_json(found.as_json())
    else:
        options = [f"--version {version}"] if version else []
        options += [f"--in-flight {way}" for way in in_flight or ()]
        command = next_command(" ".join(["journeyd apply", f"--plan {found.token}", *options]), config, database)
        show_plan(Console(highlight=False, soft_wrap=True), found, command, _language(app), app.project.zone)
    return CHANGES if detailed_exitcode and not found.is_same else OK


def apply_(
    *, message: Annotated[str, Parameter(name=["--message", "-m"])] = "", in_flight: Ways = None, version: Back = None,
    plan: Annotated[str, Parameter(help="the token of a plan: apply exactly that, or nothing")] = "",
    tests: Annotated[bool, Parameter(help="refuse files whose own tests fail")] = True,
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """Make the checked files the release that runs: atomically, or not at all. Those inside stay on their version, unless --in-flight."""
    project, url = project_of(config, database), url_of(database)
    require_database(project, url, own_is_made=True)
    if tests and version is None and not _tests_hold(_checker(config, database), project, json=json):
        return FAILED
    request = {"author": getpass.getuser(), "message": clean_text(message), "in_flight": in_flight or [], "version": version, "plan": plan}
    path = socket_path(url or project.database_url)
    answer = ask(path, {"command": "apply", **request}) if path is not None else None
    if answer is None and not is_there(project, url):  # what is refused leaves no database behind
        answer = _applied_here(project, "sqlite:///:memory:", request)
        answer = None if answer.get("outcome") == "applied" else answer
    said = answer or _applied_here(project, url, request)
    return _said(said, project, version, partial(next_command, config=config, database=database), json=json)


def _applied_here(project: Project, url: str | None, request: dict[str, Any]) -> dict[str, Any]:
    """Without a daemon: apply, and move those whom the release moves, since nobody else looks for them."""
    app = build_app(project, url=url, channels={})
    try:
        answer = applied(app, request)
        if answer.get("outcome") == "applied" and answer["inside"]:
            _sweep(app)
            now = inside(app)
            for journey, row in answer["inside"].items():
                left, stay = now.get(journey, (0, 0))
                row |= {"ended": row["inside"] - left, "stay": stay, "moved": row["older"] - stay - (row["inside"] - left)}
    finally:
        app.close()
    return answer


def _checker(config: Path, database: str | None) -> Checker:
    """Runs the files' tests; of the packaged project, where --database was given and there is no config."""
    folder = config if config.is_dir() else config.parent
    return Checker(config if config.is_file() or (folder / "config.toml").exists() or database is None else TEMPLATE)


def _tests_hold(checker: Checker, project: Project, *, json: bool) -> bool:
    """Whether `check` finds no error, the files' tests included; else it is told. What passed before is not run again."""
    checked = checker.check()
    errors = [finding for finding in checked.findings if finding.severity == "error"]
    if errors and json:
        print_json({"outcome": "refused", "findings": [finding.line(project.language()) for finding in errors]})
    elif errors:
        show_findings.with_timelines(Console(highlight=False, soft_wrap=True), errors, checked.files, project.language(), project.zone)
        err.print(show.word("nothing_applied", project.language()))
    return not errors


def _sweep(app: App) -> None:
    """Without a daemon nobody else looks for those whom the release moves."""
    app.engine.refresh()
    if app.engine.underway.is_over:
        return
    with show.progress(err, show.word("moving", app.project.language()), None) as advance:
        moved = 0
        while not app.engine.underway.is_over:
            moved += app.engine.move_on(app.clock.now())
            advance(moved)


def _said(answer: dict[str, Any], project: Project, version: int | None, command: Callable[[str], str], *, json: bool) -> int:
    """What came of an apply. `command` gives a command to type next the options that told this one its project and database."""
    if "error" in answer:
        raise Stop(USAGE if answer.get("usage") else FAILED, answer["error"])
    language, outcome = project.language(), answer["outcome"]
    if json:
        print_json(answer)
    elif outcome == "refused":
        for line in answer["findings"]:
            sys.stdout.write(line + "\n")
        err.print(show.word("nothing_applied", language))
    elif outcome == "declined":
        raise Stop(FAILED, answer["text"])
    elif outcome == "unchanged":
        sys.stdout.write(show.word("unchanged", language, id=answer["release"]) + "\n")
    else:
        _said_applied(answer, project, version, command)
    others = version is not None and answer.get("digest") != digest_of_all(check_project(project))
    if not json and others and outcome in ("applied", "unchanged"):
        back = command(f"journeyd releases {version} --write {shlex.quote(str(project.definitions))} --overwrite")
        err.print(show.word("files_stay", language, number=version, command=back), markup=False)
    return OK if outcome in ("applied", "unchanged") else FAILED


def _said_applied(answer: dict[str, Any], project: Project, version: int | None, command: Callable[[str], str]) -> None:
    """A new release: what changed, on top of what, and what came of those inside."""
    language, changed = project.language(), answer["changed"]
    names = ": " + ", ".join(changed) if 0 < len(changed) <= MOST_NAMED else ""
    sys.stdout.write(show.word("applied", language, id=answer["release"], changed=len(changed), names=names) + "\n")
    if before := answer.get("on_top_of"):
        told = {**before, "at": print_instant(before["applied_at"], project.zone)}
        err.print(show.word("on_top_of", language, **told), markup=False)
    for journey in sorted({*answer["gone"], *answer["inside"]}):
        row = answer["inside"].get(journey)
        if row is None or row["gone"]:
            sys.stdout.write("  " + show.word("plan_gone", language, journey=journey) + "\n")
        if row is not None:
            how = "inside_stay" if not row["decided"] else "inside_done" if "stay" in row else "inside_going"
            sys.stdout.write("  " + show.word(how, language, journey=journey, n=row["older"], **row) + "\n")
    staying = [journey for journey, row in sorted(answer["inside"].items()) if not (row["decided"] or row["gone"])]
    if staying:
        again = "journeyd apply" if version is None else f"journeyd apply --version {version}"
        along = command(" ".join([again, *(f"--in-flight {journey}=move" for journey in staying)]))
        err.print(show.word("take_along", language, command=along), markup=False)


def releases(
    number: Annotated[int | None, Parameter(validator=A_RELEASE, help="one release: its files as they were applied")] = None, *,
    most: Annotated[int, Parameter(help="how many, the newest first")] = 20,
    write: Annotated[Path | None, Parameter(help="a folder: write the files of release NUMBER there")] = None,
    overwrite: Annotated[bool, Parameter(negative=(), help="with --write: also where a file says something else")] = False,
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """What was applied, by whom and when, newest first; `apply --version N` goes back."""
    if write is not None and number is None:
        raise Stop(USAGE, "--write writes one release: which? `journeyd releases` lists them")
    app = reading_app(config, database)
    try:
        with app.store.database.reading() as tx:
            found = app.store.releases.history(tx, min(most, MOST_RELEASES)) if number is None else [app.store.releases.release(tx, number)]
    finally:
        app.close()
    if found == [None]:
        raise Stop(FAILED, show.word("no_release", _language(app), number=number))
    shown, whole = [r for r in found if r], number is not None
    if write is not None:
        return _written(shown[0], write, _language(app), overwrite=overwrite)
    if json:
        print_json(releases_json(shown, app.project.zone, whole=whole))
    else:
        show_releases(Console(highlight=False, soft_wrap=True), shown, _language(app), app.project.zone, whole=whole)
    return OK


def _written(release: Release, folder: Path, language: Language, *, overwrite: bool) -> int:
    """The files of a release as files again; what says something else is not overwritten unasked."""
    files = {"audience.yaml": release.audience, **{f"{v.journey}.yaml": v.source for v in release.versions}}
    there = {path.name: path.read_bytes() for path in folder.glob("*.yaml")} if folder.is_dir() else {}
    differ = sorted(name for name, text in files.items() if there.get(name, text.encode()) != text.encode())
    if differ and not overwrite:
        raise Stop(FAILED, show.word("files_differ", language, folder=folder, files=", ".join(differ)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_bytes(text.encode())
    except OSError as error:
        raise Stop(FAILED, f"{folder}: cannot be written: {error.strerror}") from None
    sys.stdout.write(show.word("files_written", language, n=len(files), number=release.id, folder=folder) + "\n")
    if besides := sorted(there.keys() - files):
        sys.stdout.write(show.word("files_besides", language, number=release.id, files=", ".join(besides)) + "\n")
    return OK


def _language(app: App) -> Any:
    return app.project.language()


def _wanted(app: App, version: int | None) -> Checked:
    found = wanted(app, version)
    if isinstance(found, Declined):
        raise Stop(FAILED, show.word(found.why, _language(app), **found.values))
    return found


def _ways(app: App, checked: Checked, texts: list[str] | None) -> dict[str, InFlight]:
    found = ways(app, checked, texts)
    if isinstance(found, Declined):
        raise Stop(USAGE, show.word(found.why, _language(app), **found.values))
    return found
