"""Large requests: a batch as large as the real clients send is taken, and what of it is bad is kept whole, so that it can be read again."""

import json

from runtime.quarantine import retry, today_of
from tests.runtime.intake.sdk import SDK_CONFIG
from tests.town import DAY, NOON

SHOP_CONFIG = SDK_CONFIG.replace("body_limit = 65536\n", "")


def read_again(shop):
    """The outcomes of reading everything again that was set aside."""
    return [row.outcome for row in retry(shop.app.store, [row["id"] for row in shop.quarantined()], today_of(shop.app, shop.clock.now()))]


def test_a_large_event_that_is_set_aside_is_kept_whole_and_can_be_read_again(either):
    note = "好" * 30_000
    either.post({"id": "e1", "type": "order_paid", "user_id": "u1", "time": (NOON + 3 * DAY) // 1000, "data": {"note": note}})

    assert json.loads(either.quarantined()[0]["body"])["data"] == {"note": note}
    either.clock.set(NOON + 3 * DAY)
    assert read_again(either) == ["taken"]
    assert either.story("u1").events[0]["data"] == {"note": note}
