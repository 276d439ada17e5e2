"""A shop to which the SDKs of all analytics vendors may post, and posting as they do."""

import base64
import gzip
import json
from urllib.parse import quote

from tests.shop import CONFIG
from tests.town import NOON

SOURCES = """
[intake.sources.app]
kind = "sensors"
traits = {City = "city"}
[intake.sources.backend]
kind = "sensors"
project = "shop"
tokens = ["file:secrets/old"]
events = {ViewDeal = "deal_viewed"}
[intake.sources.growing]
kind = "growingio"
project = "g1"
traits = {city = "city", booked = "booked_at"}
[intake.sources.site]
kind = "segment"
write_keys = ["file:secrets/device"]
traits = {city = "city"}
[intake.sources.server]
kind = "segment"
write_keys = ["file:secrets/shop"]
server_side = true
"""
SDK_CONFIG = CONFIG.replace("[channels.wechat.templates]", SOURCES + "[channels.wechat.templates]")
SHOW = {"type": "track", "event": "$MPShow", "distinct_id": "d1", "time": NOON, "properties": {}}
VISIT = {"eventType": "VISIT", "timestamp": NOON, "deviceId": "d1"}
OPENED = {"type": "track", "event": "Application Opened", "anonymousId": "d1", "messageId": "m1"}


def secret(shop, name):
    return (shop.folder / "secrets" / name).read_text().strip()


def sensors(shop, value, path="/sa", headers=None):
    packed = base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()
    kind = "data_list" if isinstance(value, list) else "data"
    return shop.client.post(path, content=f"{kind}={quote(packed, safe='')}&gzip=1".encode(), headers=headers or {})


def segment(shop, value, path="/v1/batch", key="device"):
    basic = base64.b64encode(f"{secret(shop, key)}:".encode()).decode()
    return shop.client.post(path, content=json.dumps(value).encode(), headers={"authorization": f"Basic {basic}"})


def stored(shop):
    """All events, as (source, id, type, user)."""
    with shop.app.store.database.reading() as tx:
        return [tuple(row) for row in tx.exec_driver_sql("SELECT source, event_id, type, user_id FROM events ORDER BY id")]


def profile(shop, user_id):
    """What is known of a user: her traits, and her addresses by kind."""
    with shop.app.store.database.reading() as tx:
        user = shop.app.store.people.load_users(tx, [user_id])[user_id]
    return user.profile.get("p", {}), user.reach.get("identities", {})
