"""`check --watch`: after a change it says what is new and what is mended; where changes come from is given."""

import io

import pytest
from rich.console import Console

from runtime.checking import Checker
from runtime.watching import watch_project
from tests.shop import CONFIG, HELLO, make_folder, write_journeys

WRONG = HELLO.replace("body: 你好", "body: '{{ user.nme }}'")


def watched(folder, *edits, terminal=False):
    """What is printed, from the first check on and after each edit."""
    out = Console(file=io.StringIO(), force_terminal=terminal, width=200, highlight=False, soft_wrap=True, color_system=None)
    parts = []

    def changes():
        for edit in edits:
            parts.append(said(out))
            edit(folder)
            yield
        parts.append(said(out))

    last = watch_project(Checker(folder, workers=1, keep=False).check, changes(), out)
    return parts, last


def said(out):
    text = out.file.getvalue()
    out.file.seek(0)
    out.file.truncate()
    return text


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "shop", HELLO)


def wrong(folder):
    write_journeys(folder, WRONG)


def right(folder):
    write_journeys(folder, HELLO)


def remark(folder):
    write_journeys(folder, WRONG.replace("\nname:", "\n# a remark\nname:"))


def test_only_what_is_new_and_what_is_mended_is_printed(folder):
    (first, broken, moved, mended), last = watched(folder, wrong, remark, right)

    assert "J087" in first
    assert ("J022 unknown trait nme" in broken, "J087" in broken) == (True, False)  # what was wrong before is not said again
    assert "J022" not in moved  # it stands a line further down, and is the same
    assert "mended: " in mended
    assert "hello.yaml:10" in mended
    assert last.findings[0].code == "J087"


def test_every_time_the_counts_and_what_was_looked_at_are_told(folder):
    (first, broken), _ = watched(folder, wrong)

    assert "0 errors, 2 warnings, 0 tests; looked at: hello.yaml" in first
    assert "1 error, 2 warnings, 0 tests; looked at: hello.yaml" in broken


def test_on_a_terminal_the_screen_is_cleared_and_shows_all_that_is_wrong(folder):
    (_, broken, again), _ = watched(folder, wrong, remark, terminal=True)

    assert broken.startswith("\x1b[2J")
    assert "J022" in broken
    assert "J022" in again


def test_a_config_that_cannot_be_read_is_said_and_waited_for(folder):
    def spoil(folder):
        (folder / "config.toml").write_text("timezone = 5", encoding="utf-8")

    def mend(folder):
        (folder / "config.toml").write_text(CONFIG, encoding="utf-8")

    (_, spoilt, mended), last = watched(folder, spoil, mend)

    assert "timezone" in spoilt
    assert "0 errors" in mended
    assert last is not None


def test_a_test_that_fails_now_shows_its_timelines(folder):
    tests = "tests:\n  - {name: t, expect: [{after: 0s, send: push, contains: 再见}, {after: 0s, end: completed}]}\n"

    (_, failing), _ = watched(folder, lambda folder: write_journeys(folder, HELLO + tests))

    assert "J111" in failing
    assert "- 2026-12-01 10:00  +0s  send push" in failing
