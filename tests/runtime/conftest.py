"""The command line, called in this process."""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.cli import run


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call a command: its exit code, stdout and stderr. No command ever shows a traceback."""

    def called(*arguments: Any) -> tuple[int, str, str]:
        code = run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return called
