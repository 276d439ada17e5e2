"""The web application of the daemon, without its port: readiness follows the database and the ticks."""

import pytest
from starlette.testclient import TestClient

from runtime.daemon import web_app
from runtime.engine import BATCH
from runtime.housekeeping import COUNTED_EVERY
from runtime.status import whole_summary
from runtime.ticks import CROWD, SHORT, Ticks
from tests.shop import SECRET, Shop, signed
from tests.town import DAY, HOUR, SECOND


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


def test_the_engine_takes_small_bites_while_many_requests_wait(shop):
    shop.post([{"id": f"e{n}", "type": "app_opened", "user_id": f"u{n}"} for n in range(SHORT + BATCH)])

    Ticks(shop.app, lambda: CROWD)._engine(shop.clock.now())
    left = shop.total("inbox")
    Ticks(shop.app, lambda: CROWD - 1)._engine(shop.clock.now())

    assert left == BATCH
    assert shop.total("inbox") == 0


def test_the_daemon_that_has_nothing_else_to_do_lets_go_what_was_set_aside_long_ago(shop):
    shop.post({"type": 7})
    ticks = Ticks(shop.app)

    ticks._engine(shop.clock.now() + 90 * DAY)
    kept = shop.total("quarantine")
    ticks._engine(shop.clock.now() + 90 * DAY + HOUR)

    assert (kept, shop.total("quarantine")) == (1, 0)


def test_what_came_in_is_kept_by_day_every_ten_seconds_and_once_more_at_the_stop(shop):
    def known():
        return [(row["source"], row["today"]["new"], row["lately"]["new"], row["refused"]) for row in summary(shop)["sources"]]

    ticks = Ticks(shop.app, tally=shop.intake.tally)
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})
    before = known()
    ticks._engine(shop.clock.now())
    first = known()
    shop.post({"id": "e2", "type": "app_opened", "user_id": "u1"})
    shop.client.post("/v1/events", content=b"{}")
    ticks._engine(shop.clock.now() + COUNTED_EVERY - 1)
    too_early = known()
    ticks.start()
    ticks.stop()

    assert before == [("shop", 0, 0, {}), ("device", 0, 0, {})]
    assert first == too_early == [("shop", 1, 1, {}), ("device", 0, 0, {})]
    assert known() == [("shop", 2, 2, {}), ("device", 0, 0, {}), ("", 0, 0, {"missing": 1})]
    shop.clock.set(shop.clock.now() + DAY)
    assert known()[0] == ("shop", 0, 2, {})


def summary(shop):
    kinds = {name: section.kind for name, section in shop.app.project.settings.intake.sources.items()}
    return whole_summary(shop.app.store, shop.app.project.zone, shop.clock.now(), lambda *_: True, kinds)


def test_an_event_comes_in_past_the_framework_and_its_errors_are_as_ever(shop, client):
    body = b'{"id": "e1", "type": "app_opened", "user_id": "u1"}'
    headers = signed(SECRET, "msg_1", shop.clock.now() // 1000, body)

    for path in ("/v1/events", "/v1/events/"):
        answer = client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["quarantined"]) == (200, 0)
    assert client.post("/v1/events", content=body).status_code == 401
    assert (client.put("/v1/events").status_code, client.put("/v1/events").headers["allow"]) == (405, "POST")
    assert shop.total("events") == 1


def test_health_takes_no_posts_and_intake_no_gets(client):
    assert client.post("/healthz").status_code == 405
    assert client.get("/v1/events").status_code == 405
    assert client.get("/nothing").status_code == 404
