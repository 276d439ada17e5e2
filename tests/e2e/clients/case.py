"""What every client script does: say on standard output which call it makes, under a key that stands in all ids of the call."""

import json
import sys

NOON = 1714536000000  # 2024-05-01 12:00 in Shanghai, the time given where one is given


def case(call, key):
    """Announce a call; its ids begin with the key."""
    sys.stdout.write(json.dumps({"call": call, "key": key}) + "\n")
    return f"{key}-user", f"{key}-device"
