"""`check --watch`: checks again whenever a file changes and says what is new and what is mended.

Where changes come from is given: `file_changes` looks at the disk, tests say themselves when something changed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich.console import Console

from journeys.errors import Finding, Language
from runtime import show_findings
from runtime.checking import CheckedProject
from runtime.settings import ConfigError
from runtime.texts import word

CONFIG = "config.toml"
MOST_NAMED = 6  # files in one line; of more, how many


def file_changes(folders: Callable[[], Iterable[Path]]) -> Iterator[object]:
    """Something each time when a journey, the audience or the config has changed on the disk. Ends by KeyboardInterrupt."""
    from watchfiles import watch

    def concerns(_: object, path: str) -> bool:
        return Path(path).suffix == ".yaml" or Path(path).name == CONFIG

    while True:
        watched = sorted({folder for folder in folders() if folder.is_dir()})
        for changed in watch(*watched, recursive=False, watch_filter=concerns):
            yield changed
            if sorted({folder for folder in folders() if folder.is_dir()}) != watched:
                break  # the config names another folder now


def watch_project(check: Callable[[], CheckedProject], changes: Iterable[object], out: Console) -> CheckedProject | None:
    """Check now and after each change; the last result, when there are no more changes.

    On a terminal the screen is cleared and shows all that is wrong; elsewhere only what is new since the check before. A config
    that cannot be read is said, and waited for.
    """
    before = _checked(check, out)
    if before is not None:
        _show(before, None, out, before.setup.language)
    for _ in changes:
        after = _checked(check, out)
        if after is None:
            continue
        if out.is_terminal:
            out.clear()
        _show(after, before, out, after.setup.language)
        before = after
    return before


def _checked(check: Callable[[], CheckedProject], out: Console) -> CheckedProject | None:
    try:
        return check()
    except ConfigError as error:
        out.print(str(error), markup=False)
        return None


def _show(now: CheckedProject, before: CheckedProject | None, out: Console, language: Language) -> None:
    known = Counter(_said(finding) for finding in before.findings) if before is not None and not out.is_terminal else Counter()
    news = []
    for finding in now.findings:
        if known[_said(finding)]:
            known[_said(finding)] -= 1
        else:
            news.append(finding)
    show_findings.with_timelines(out, news, now.files, language, now.setup.zone)
    if before is not None:
        _mended(now, before, out, language)
    errors = sum(finding.severity == "error" for finding in now.findings)
    counts = {"errors": errors, "warnings": len(now.findings) - errors, "tests": now.tests}
    files = ", ".join(sorted(Path(file).name for file in now.fresh)) if len(now.fresh) <= MOST_NAMED else str(len(now.fresh))
    out.print(word("watched", language, files=files or "–", **counts), markup=False, style="bold")


def _mended(now: CheckedProject, before: CheckedProject, out: Console, language: Language) -> None:
    left = Counter(_said(finding) for finding in now.findings)
    for finding in before.findings:
        if left[_said(finding)]:
            left[_said(finding)] -= 1
        else:
            out.print(word("mended", language, line=finding.line(language)), markup=False, style="green")


def _said(finding: Finding) -> tuple[str, str, str]:
    """What a finding says, wherever it has moved to within its file."""
    return finding.place.file, finding.code, finding.text("en")
