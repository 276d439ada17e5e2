"""`journeyd check`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from journeys.errors import CODES, Finding, Language, did_you_mean, explain_code
from runtime import show_findings
from runtime.checking import CheckedProject, Checker
from runtime.commandline import FAILED, OK, USAGE, Config, DatabasePath, Json, Stop, err, language_here, print_json, reading_app
from runtime.texts import word
from runtime.verdicts import Looked


@Parameter(name="*")
@dataclass(frozen=True)
class Manner:
    """How it is checked, and what is told."""

    tests: Annotated[bool, Parameter(help="run the tests in the files")] = True
    coverage: Annotated[bool, Parameter(negative=(), help="also what no test visits, journey by journey")] = False
    cache: Annotated[bool, Parameter(help="take over from the last check what has not changed")] = True
    watch: Annotated[bool, Parameter(negative=(), help="check again whenever a file changes, until Ctrl-C")] = False
    explain: Annotated[str | None, Parameter(help="say what a code (J051) means, why it matters and what to do; nothing is checked")] = None


@Parameter(name="*")
@dataclass(frozen=True)
class Story:
    """Which story is written as a test."""

    record: Annotated[str | None, Parameter(help="write a story that happened into its journey's file, as a test of this name")] = None
    user: Annotated[str | None, Parameter(help="with --record: whose story")] = None
    journey: Annotated[str | None, Parameter(help="with --record: in which journey, where she was in several")] = None
    force: Annotated[bool, Parameter(negative=(), help="with --record: also when the test cannot reproduce the story")] = False
    database: DatabasePath = None


PLAIN = Manner()
NO_STORY = Story()


def check(*paths: Path, config: Config = Path(), manner: Manner = PLAIN, story: Story = NO_STORY, json: Json = False) -> int:
    """Check journey files, the audience, their tests, and names that config.toml maps; every finding of every file in one run.

    PATHS: files or folders to report on (all are read: journeys know each other); default: all.
    """
    if manner.explain is not None:
        return _explain(config, manner.explain)
    if story != NO_STORY:
        return _record(config, story)
    checker = Checker(config, tests=manner.tests, keep=manner.cache)
    if manner.watch:
        if json or paths or manner.coverage:
            raise Stop(USAGE, "--watch looks at the whole project after every save, and shows it: leave out files, --json and --coverage")
        return _watch(config, checker)
    wanted = [path.absolute() for path in paths]
    missing = [path for path in wanted if not path.exists()]
    if missing:
        raise Stop(FAILED, "\n".join(f"{path}: no such file or folder" for path in missing))
    checked = _with_progress(checker)
    findings = [f for f in checked.findings if not wanted or any(_is_in(Path(f.place.file).absolute(), w) for w in wanted)]
    files = [looked for looked in checked.files if not wanted or any(_is_in(Path(looked.file).absolute(), w) for w in wanted)]
    language, zone = checked.setup.language, checked.setup.zone
    if json:
        told = show_findings.findings_json(findings, files, zone)
        print_json({"findings": told, "coverage": show_findings.coverage_json(files)} if manner.coverage else told)
    else:
        out = Console(highlight=False, soft_wrap=True)
        show_findings.with_timelines(out, findings, files, language, zone)
        if manner.coverage:
            show_findings.coverage(out, files, language)
    _sum_up(files, findings, language)
    return FAILED if any(f.severity == "error" for f in findings) else OK


def _explain(config: Path, code: str) -> int:
    language = language_here(config)
    told = explain_code(code, language)
    if told is None:
        hint = did_you_mean(code.upper(), CODES)
        raise Stop(FAILED, f"there is no code {code}" + (f", did you mean {hint}?" if hint else "") + "; docs/findings.md has them all")
    sys.stdout.write(told + "\n")
    return OK


def _watch(config: Path, checker: Checker) -> int:
    from runtime.watching import file_changes, watch_project

    out = Console(highlight=False, soft_wrap=True)
    folder = config if config.is_dir() else config.parent
    err.print(word("watching", checker.setup.language, folder=str(checker.setup.definitions)), markup=False)
    watch_project(checker.check, file_changes(lambda: (folder, checker.setup.definitions)), out)
    return OK


def _record(config: Path, story: Story) -> int:
    if not story.record or not story.user:
        raise Stop(USAGE, "expected --record NAME --user USER: a name for the test, and whose story it tells")
    from runtime.retelling import CannotRecord, Wanted, retell

    app = reading_app(config, story.database)
    try:
        retold = retell(app, app.project, Wanted(story.record, story.user, story.journey), force=story.force)
    except CannotRecord as error:
        raise Stop(FAILED, str(error)) from None
    finally:
        app.close()
    language, zone = app.project.language(), app.project.zone
    good = retold.test.passed
    if not good:
        shown = replace(retold.test, rows=retold.differing, passed=False)
        show_findings.timeline(Console(highlight=False, soft_wrap=True), shown, language, zone)
    key = "recorded" if good else "recorded_anyway" if retold.written else "not_recorded"
    err.print(word(key, language, place=f"{retold.file}:{retold.line}", test=story.record), markup=False)
    return OK if good else FAILED


def _with_progress(checker: Checker) -> CheckedProject:
    if not err.is_terminal:
        return checker.check()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, auto_refresh=False) as bar:  # no thread: the work may fork
        task = bar.add_task("check", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, refresh=True)

        return checker.check(advance)


def _sum_up(files: Sequence[Looked], findings: Sequence[Finding], language: Language) -> None:
    errors = sum(f.severity == "error" for f in findings)
    if not findings:
        told = word("checked", language, files=len(files), tests=sum(len(looked.tests) for looked in files))
    else:
        told = word("findings", language, errors=errors, warnings=len(findings) - errors)
    err.print(told, markup=False)


def _is_in(file: Path, wanted: Path) -> bool:
    return file == wanted or wanted in file.parents
