"""Clients that send again after an answer that says no: `call_again.py ADDRESS KEY TOKEN`."""

import sys

import sensorsanalytics as sa
from case import case
from rudderstack.analytics import Client as Rudder
from segment.analytics import Client as Segment

address, key, token = sys.argv[1:]
for short, client in (("sg", Segment), ("rd", Rudder)):
    user, _ = case("from the queue, the first answer is an error", f"{short}-again")
    queued = client(key, host=f"{address}/{short}", upload_interval=0.05)
    for item in "abc":
        queued.track(user, "Product Viewed", {"name": item})
    queued.shutdown()
_, device = case("BatchConsumer, the first answer is an error", "sp-again")
batch = sa.SensorsAnalytics(sa.BatchConsumer(f"{address}/sp/sa?project=shop&token={token}"))
for item in "abc":
    batch.track(device, "ViewDeal", {"item": item})
try:
    batch.flush()
except sa.SensorsAnalyticsNetworkException:
    batch.flush()
