"""Every call of the Python libraries of Segment and RudderStack: `segment.py ADDRESS KEY SERVER_KEY segment|rudder`."""

import sys
from datetime import UTC, datetime

from case import NOON, case

address, key, server_key, which = sys.argv[1:]
if which == "segment":
    from segment.analytics import Client
else:
    from rudderstack.analytics import Client

short = {"segment": "sg", "rudder": "rd"}[which]
device_side, server_side = (Client(k, host=address, sync_mode=True) for k in (key, server_key))
at = datetime.fromtimestamp(NOON / 1000, UTC)
SEEN = {"name": "番茄", "product_id": "i1"}


def ids(call, what):
    return case(call, f"{short}-{what}")


user, device = ids("track", "track")
device_side.track(user, "Product Viewed", {**SEEN, "price": 9.9, "seenAt": at, "labels": ["生鲜", "水果"]}, timestamp=at)
user, device = ids("track, anonymousId alone", "anon")
device_side.track(None, "Product Viewed", SEEN, anonymous_id=device)
user, device = ids("track, an event that only a signed source may assert", "pay")
device_side.track(user, "Order Completed", {"order_id": "o1", "total": 1})
user, device = ids("track, server_side", "server")
server_side.track(user, "Order Completed", {"order_id": "o1", "total": 39.9})
user, device = ids("track under an anonymousId, then identify with both", "join")
device_side.track(None, "Product Viewed", SEEN, anonymous_id=device)
device_side.identify(user, {"city": "上海"}, anonymous_id=device)
user, device = ids("identify", "identify")
device_side.identify(
    user, {"city": "上海", "Level": "gold", "phone": "13800138000", "email": "u@example.com", "points": 3, "labels": ["a"]}
)
user, device = ids("identify, anonymousId alone", "who")
device_side.identify(None, {"city": "上海"}, anonymous_id=device)
user, device = ids("identify, server_side", "known")
server_side.identify(user, {"city": "上海", "phone": "13900139000", "email": "u@example.com"})
user, device = ids("page", "page")
device_side.page(user, "shop", "home", {"url": "/"})
user, device = ids("screen", "screen")
device_side.screen(user, "shop", "home", {"dark": True})
user, device = ids("group", "group")
device_side.group(user, "g1", {"plan": "gold"})
user, device = ids("track under an anonymousId, then alias", "alias")
device_side.track(None, "Product Viewed", SEEN, anonymous_id=device)
device_side.alias(device, user)
user, device = ids("alias of a user known by another id", "thief")
server_side.identify(device, {"city": "上海"})
device_side.alias(device, user)
user, device = ids("alias of a user id that nobody has yet", "future")
device_side.alias(device, user)
server_side.identify(device, {"city": "上海"})
user, device = ids("alias, server_side, of a user known by another id", "merge")
server_side.identify(device, {"city": "上海"})
server_side.alias(device, user)
user, device = ids("the same message_id twice", "twice")
for _ in range(2):
    device_side.track(user, "Product Viewed", SEEN, message_id=f"{user}-1")
user, device = ids("a wrong write key", "stray")
Client("wrong", host=address, sync_mode=True).track(user, "Product Viewed", SEEN)
for gzip in (False, True):
    user, device = ids(f"from the queue, 3 events, gzip={gzip}", f"queue{gzip:d}")
    queued = Client(key, host=address, gzip=gzip, upload_interval=0.05)
    for item in "abc":
        queued.track(user, "Product Viewed", {"name": item})
    queued.shutdown()
