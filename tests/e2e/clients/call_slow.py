"""A machine whose clock is two hours slow sends what happened an hour before: `call_slow.py ADDRESS KEY PROJECT`."""

import datetime as dt
import sys
import time

SLOW = 7200
real = time.time
time.time = lambda: real() - SLOW


class Slow(dt.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(real() - SLOW, tz)


dt.datetime = Slow

from case import case  # noqa: E402
from growingio_tracker import GrowingTracker  # noqa: E402
from rudderstack.analytics import Client as Rudder  # noqa: E402
from segment.analytics import Client as Segment  # noqa: E402

address, key, project = sys.argv[1:]
hour_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
for short, client in (("sg", Segment), ("rd", Rudder)):
    user, _ = case("track, an hour ago by a clock that is two hours slow", f"{short}-slow")
    client(key, host=address, sync_mode=True).track(user, "Product Viewed", {"name": "a"}, timestamp=hour_ago)
user, device = case("track_custom_event by a clock that is two hours slow", "gp-slow")
GrowingTracker(project, "source-1", address).track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": "a"})
