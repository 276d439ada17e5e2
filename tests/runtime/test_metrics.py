"""/metrics: what Prometheus reads, from the database, in its own format."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import Metrics
from tests.shop import Shop
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
    text = Metrics(shop.app, {"engine": 3, "deliver": 2, "failed": 0}).text().decode()
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


def test_a_new_project_has_metrics_too(shop):
    assert read(shop)["journeyd_users",] == 0
