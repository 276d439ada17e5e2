"""/metrics: what Prometheus reads, from the database, in its own format."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import Metrics
from tests.shop import DEVICE_SECRET, Shop
from tests.town import HOUR, NOON, journey_text

WAITING = journey_text(
    "- id: pause\n  delay: 1h\n- id: hi\n  send: [{push: {title: T, body: B}}]", id="w", entry="{event: app_opened}", purpose="service"
)


@pytest.fixture
def shop(tmp_path, new_sqlite):
    opened = Shop(tmp_path / "shop", WAITING, url=new_sqlite)
    yield opened
    opened.close()


def read(shop):
    text = Metrics(shop.app, {"engine": 3, "deliver": 2, "failed": 0}, shop.intake.tally).text().decode()
    return {(s.name, *s.labels.values()): s.value for family in text_string_to_metric_families(text) for s in family.samples}


def test_everything_that_an_operator_watches_is_counted(shop):
    shop.welcome("u1")
    shop.post([{"id": "e1", "type": "app_opened", "user_id": "u1"}, {"nonsense": True}])
    before = read(shop)
    shop.settle()
    inside = read(shop)
    shop.clock.set(NOON + 2 * HOUR)
    late = read(shop)
    shop.settle()
    after = read(shop)

    assert (before["journeyd_inbox_notes",], before["journeyd_quarantined",]) == (2, 1)
    assert (inside["journeyd_enrolments", "w", "live"], inside["journeyd_inbox_notes",], inside["journeyd_users",]) == (1, 0, 1)
    assert (inside["journeyd_due_lag_seconds",], late["journeyd_due_lag_seconds",]) == (0, 3600)
    assert (after["journeyd_enrolments", "w", "ended"], after["journeyd_messages", "message", "ACCEPTED"]) == (1, 1)
    assert after["journeyd_ticks_total", "engine"] == 3


def test_what_arrives_is_counted_by_source_and_by_what_became_of_it(shop):
    shop.post([{"id": "e1", "type": "app_opened", "user_id": "u1"}, {"nonsense": True}])
    shop.post([{"id": "e1", "type": "app_opened", "user_id": "u1"}, {"id": "e2", "type": "app_opened", "user_id": "u1"}])
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"}, secret=DEVICE_SECRET)

    counted = {key[1:]: n for key, n in read(shop).items() if key[0] == "journeyd_arrived_total" and n}
    assert counted == {("new", "shop"): 2, ("duplicate", "shop"): 1, ("aside", "shop"): 1, ("new", "device"): 1}


def test_refused_signatures_are_told_apart_and_a_wrong_clock_has_its_source(shop):
    body = b'{"type": "app_opened", "user_id": "u1"}'
    answers = [
        shop.client.post("/v1/events", content=body),
        shop.send(body, secret="whsec_" + "C" * 32),
        shop.send(body, secret=DEVICE_SECRET, timestamp=NOON // 1000 - 420),
        shop.send(body, timestamp=NOON // 1000 + 301),
    ]

    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(401, "bad_signature")}
    refused = {key[1:]: n for key, n in read(shop).items() if key[0] == "journeyd_signatures_refused_total"}
    assert refused == {("missing", ""): 1, ("wrong", ""): 1, ("time", "device"): 1, ("time", "shop"): 1}


def test_a_new_project_has_metrics_too(shop):
    assert read(shop)["journeyd_users",] == 0
