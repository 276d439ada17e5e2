"""A shop whose requests come in over HTTP, without a port and without a clock. A module's SHOP_CONFIG is its configuration."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shop import CONFIG, Shop


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, new_sqlite: str) -> Iterator[Shop]:
    """A shop on SQLite."""
    opened = Shop(tmp_path / "shop", url=new_sqlite, config=getattr(request.module, "SHOP_CONFIG", CONFIG))
    yield opened
    opened.close()


@pytest.fixture
def either(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[Shop]:
    """A shop on each database."""
    opened = Shop(tmp_path / "shop", url=database_url, config=getattr(request.module, "SHOP_CONFIG", CONFIG))
    yield opened
    opened.close()
