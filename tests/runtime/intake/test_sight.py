"""What is counted as seen by no rule is not told any more once it is: by a declaration that was applied, or by config that maps it."""

import pytest

from runtime.intake.sight import Sight
from runtime.status import whole_summary
from tests.runtime.intake.sdk import SDK_CONFIG, SHOW, segment, sensors
from tests.shop import HELLO, write_journeys
from tests.town import AUDIENCE, NOON, ZONE, audience

SHOP_CONFIG = SDK_CONFIG
DECLARED = AUDIENCE.replace(
    "app_opened: {}", "app_opened: {}\n  view_deal: {}\n  page_shown: {item_name: text}\n  checked_in: {place: text}"
).replace("traits:\n", "traits:\n  shoe_size: {type: number, from: profile}\n")


def told(shop):
    current = shop.app.engine.catalogue.audience
    sight = Sight(shop.app.project.settings.intake.sources, current)
    rows = whole_summary(shop.app.store, ZONE, NOON, sight.sees, {})["unmapped"]
    return sorted((row["source"], row["kind"], row["name"], row["n"]) for row in rows)


def arrive(shop, day):
    shop.post({"id": f"c{day}", "type": "checked_in", "user_id": "u1", "data": {"place": "门口"}})
    shop.post({"user_id": "u1", "traits": {"shoe_size": 38, "hat": 7}}, path="/v1/users")
    sensors(shop, {**SHOW, "event": "PageShown", "_track_id": day, "properties": {"item.name": "桃"}})
    segment(
        shop, {"batch": [{"type": "track", "event": "View Deal", "userId": "u1", "messageId": f"m{day}", "properties": {}}]}, key="shop"
    )
    shop.settle()


def test_what_was_declared_since_is_not_told_any_more_and_what_still_is_not_goes_on(either):
    arrive(either, 1)
    before = told(either)
    write_journeys(either.folder, HELLO, audience=DECLARED)
    either.apply()

    after = told(either)
    arrive(either, 2)

    assert {name for *_, name, _ in before} == {"checked_in", "shoe_size", "hat", "PageShown", "View Deal"}
    assert after == [("shop", "trait", "hat", 1)]
    assert told(either) == [("shop", "trait", "hat", 2)]


@pytest.mark.parametrize(
    ("source", "kind", "name", "seen"),
    [
        ("shop", "event", "app_opened", True),
        ("shop", "event", "AppOpened", False),  # who posts our own spelling is taken at her word
        ("gone", "event", "app_opened", True),
        ("app", "event", "AppOpened", True),
        ("app", "event", "$AppOpened", False),  # an SDK's own event is taken where config maps it
        ("growing", "event", "APP_OPENED", False),
        ("growing", "event", "appOpened", True),
        ("site", "event", "App Opened", True),
        ("app", "property", "OrderPaid.Amount", True),
        ("app", "property", "OrderPaid.colour", False),
        ("app", "property", "Unknown.Amount", False),
        ("app", "property", "order.paid.item.id", True),  # dots of the names themselves
        ("shop", "property", "order_paid.amount", True),
        ("shop", "property", "order_paid.Amount", False),
        ("shop", "trait", "city", True),
        ("shop", "trait", "City", False),
        ("app", "trait", "City", True),
        ("app", "trait", "level", False),  # declared, but config takes it from no device
        ("server", "trait", "level", True),
        ("app", "further", "", False),
    ],
)
def test_a_name_is_seen_as_its_source_means_it(shop, source, kind, name, seen):
    sight = Sight(shop.app.project.settings.intake.sources, audience())

    assert sight.sees(source, kind, name) is seen
