"""What the suite of every channel needs to know of one channel: its stand-in vendor, how to open it, and a message for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from channels.loopback.server import Vendor
from channels.message import Channel, Message

NOW = 1_796_000_000_000  # 2026-11-30, about noon in Shanghai


def message(
    channel: str, address: str, content: dict[str, Any], *, kind: Any = "message", key: str = "k" * 32, vendor_key: str = "v" * 32
) -> Message:
    """An attempt as the ledger makes it."""
    return Message(key, vendor_key, NOW, kind, channel, address, "u1", "win_back_30d", 3, "gift", content)


@dataclass(frozen=True)
class ChannelCase:
    """One channel of the suite. `open` and `open_with_wrong_secret` are given the stand-in's URL."""

    name: str
    vendor: Callable[[], Vendor]
    open: Callable[[str], Channel]
    open_with_wrong_secret: Callable[[str], Channel]
    message: Message
