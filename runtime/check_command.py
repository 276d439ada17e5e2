"""`journeyd check`."""

from pathlib import Path

from rich.console import Console

from runtime import show
from runtime.applying import check_project
from runtime.commandline import FAILED, OK, Config, Json, Stop, err, print_json
from runtime.rehearse import check_tests
from runtime.settings import load_project


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
