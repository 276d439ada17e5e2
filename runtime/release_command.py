"""`journeyd plan`, `apply`, `releases`: from files to what runs, with those inside cared for."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from journeys.check import Checked
from journeys.values import clean_text
from runtime import show, show_findings
from runtime.app import App, build_app
from runtime.applying import Declined
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
    print_json,
    project_of,
    reading_app,
    url_of,
)
from runtime.control import ask, socket_path
from runtime.moving import InFlight
from runtime.planning import plan_of
from runtime.releasing import applied, wanted, ways
from runtime.settings import Project
from runtime.show_plan import releases_json, show_plan, show_releases

CHANGES = 2  # of `plan --detailed-exitcode`, as Terraform's
MOST_RELEASES = 1000

Ways = Annotated[
    list[str] | None,
    Parameter(name="--in-flight", negative=(), help="JOURNEY=keep|move|exit, or JOURNEY.STEP=…: what happens to those inside; repeatable"),
]
Back = Annotated[
    int | None, Parameter(name="--version", validator=A_RELEASE, help="go back to what this release held, in place of the files")
]


def plan(
    *, in_flight: Ways = None, version: Back = None,
    detailed_exitcode: Annotated[bool, Parameter(negative=(), help="exit code 2 when there is something to apply, 0 when not")] = False,
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """What `apply` would change, and what it would make of everybody inside. Changes nothing."""
    project, url = project_of(config, database), url_of(database)
    # before the first run there is nothing to read, and everything is new
    app = reading_app(config, database) if is_there(project, url) else build_app(project, url="sqlite:///:memory:", channels={})
    try:
        checked = _wanted(app, version)
        if checked.errors:
            errors = [f for f in checked.findings if f.severity == "error"]
            show_findings.findings(Console(highlight=False, soft_wrap=True), errors, _language(app))
            return FAILED
        found = plan_of(app, checked, _ways(app, checked, in_flight), app.clock.now())
    finally:
        app.close()
    if json:
        print_json(found.as_json())
    else:
        command = " ".join(["journeyd apply", f"--plan {found.token}", *([f"--version {version}"] if version else []),
                            *(f"--in-flight {way}" for way in in_flight or ())])  # fmt: skip
        show_plan(Console(highlight=False, soft_wrap=True), found, command, _language(app), app.project.zone)
    return CHANGES if detailed_exitcode and not found.is_same else OK


def apply_(
    *, message: Annotated[str, Parameter(name=["--message", "-m"])] = "", in_flight: Ways = None, version: Back = None,
    plan: Annotated[str, Parameter(help="the token of a plan: apply exactly that, or nothing")] = "",
    tests: Annotated[bool, Parameter(help="refuse files whose own tests fail")] = True,
    config: Config = Path(), json: Json = False,
) -> int:  # fmt: skip
    """Make the checked files the release that runs: atomically, or not at all. Those inside stay on their version, unless --in-flight."""
    project = project_of(config)
    if tests and version is None and not _tests_hold(config, project, json=json):
        return FAILED
    request = {"author": getpass.getuser(), "message": clean_text(message), "in_flight": in_flight or [], "version": version, "plan": plan}
    path = socket_path(project.database_url)
    answer = ask(path, {"command": "apply", **request}) if path is not None else None
    if answer is None:
        app = build_app(project, channels={})
        try:
            answer = applied(app, request)
            if answer.get("outcome") == "applied":
                _sweep(app)
        finally:
            app.close()
    return _said(answer, project, json=json)


def _tests_hold(config: Path, project: Project, *, json: bool) -> bool:
    """Whether `check` finds no error, the files' tests included; else it is told. What passed before is not run again."""
    checked = Checker(config).check()
    errors = [finding for finding in checked.findings if finding.severity == "error"]
    if errors and json:
        print_json({"outcome": "refused", "findings": [finding.line(project.language()) for finding in errors]})
    elif errors:
        show_findings.with_timelines(Console(highlight=False, soft_wrap=True), errors, checked.files, project.language(), project.zone)
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


def _said(answer: dict[str, Any], project: Project, *, json: bool) -> int:
    if "error" in answer:
        raise Stop(USAGE if answer.get("usage") else FAILED, answer["error"])
    language, outcome = project.language(), answer["outcome"]
    if json:
        print_json(answer)
    elif outcome == "refused":
        for line in answer["findings"]:
            sys.stdout.write(line + "\n")
    elif outcome == "declined":
        raise Stop(FAILED, answer["text"])
    elif outcome == "unchanged":
        sys.stdout.write(show.word("unchanged", language, id=answer["release"]) + "\n")
    else:
        sys.stdout.write(show.word("applied", language, id=answer["release"], changed=len(answer["changed"])) + "\n")
    return OK if outcome in ("applied", "unchanged") else FAILED


def releases(
    number: Annotated[int | None, Parameter(validator=A_RELEASE, help="one release: its files as they were applied")] = None, *,
    most: Annotated[int, Parameter(help="how many, the newest first")] = 20,
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """What was applied, by whom and when, newest first; `apply --version N` goes back."""
    app = reading_app(config, database)
    try:
        with app.store.database.reading() as tx:
            found = app.store.releases.history(tx, min(most, MOST_RELEASES)) if number is None else [app.store.releases.release(tx, number)]
    finally:
        app.close()
    if found == [None]:
        raise Stop(FAILED, show.word("no_release", _language(app), number=number))
    shown, whole = [r for r in found if r], number is not None
    if json:
        print_json(releases_json(shown, app.project.zone, whole=whole))
    else:
        show_releases(Console(highlight=False, soft_wrap=True), shown, _language(app), app.project.zone, whole=whole)
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
    if isinstance(found, str):
        raise Stop(USAGE, found)
    return found
