"""A shop whose requests come in over HTTP, without a port and without a clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shop import Shop


@pytest.fixture
def shop(tmp_path: Path, new_sqlite: str) -> Iterator[Shop]:
    """A shop on SQLite."""
    opened = Shop(tmp_path / "shop", url=new_sqlite)
    yield opened
    opened.close()
