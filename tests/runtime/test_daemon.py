"""The web application of the daemon, without its port: readiness follows the database and the ticks."""

import pytest
from starlette.testclient import TestClient

from runtime.daemon import Ticks, web_app
from tests.shop import Shop
from tests.town import SECOND


@pytest.fixture
def shop(tmp_path, new_sqlite):
    opened = Shop(tmp_path / "shop", url=new_sqlite)
    yield opened
    opened.close()


@pytest.fixture
def client(shop):
    return TestClient(web_app(shop.app, Ticks(shop.app), shop.intake))  # not entered: nothing ticks by itself


def test_a_daemon_that_ticks_is_ready(client):
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"ready": True, "database": True, "last_tick_ms_ago": 0, "release": 1})


@pytest.mark.parametrize(("seconds", "status"), [(29, 200), (30, 503)])
def test_half_a_minute_without_a_tick_is_not_ready_but_alive(shop, client, seconds, status):
    shop.clock.set(shop.clock.now() + seconds * SECOND)

    assert client.get("/readyz").status_code == status
    assert client.get("/healthz").status_code == 200


def test_health_takes_no_posts_and_intake_no_gets(client):
    assert client.post("/healthz").status_code == 405
    assert client.get("/v1/events").status_code == 405
    assert client.get("/nothing").status_code == 404
