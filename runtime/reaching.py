"""What people can be sent, loaded for a batch: their rows, touches, credits, and what their addresses refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from runtime.policy import PersonReach, Rules, addresses_of, longest_cap, person_reach
from runtime.state import User
from runtime.store import SqlStore


@dataclass(frozen=True)
class Reaching:
    """Loads reach. `zone` is the project's: of users who are not known. On a virtual clock what is asked about may lie `behind` now,
    and so do the windows of its caps.
    """

    store: SqlStore
    rules: Rules
    zone: ZoneInfo
    behind: int = 0

    def load(
        self, tx: Any, user_ids: Iterable[str], known: Mapping[str, User], now: int, *, started_only: bool, besides: str = ""
    ) -> dict[str, PersonReach | ValueError]:
        """The reach of each user; the error instead where the user's row cannot be read."""
        ids = sorted(set(user_ids))
        span = longest_cap(self.rules)
        touches = self.store.ledger.touches(tx, ids, now - self.behind - span, started_only=started_only, besides=besides) if span else {}
        found: dict[str, PersonReach | ValueError] = {}
        addresses: dict[str, dict[str, str]] = {}
        for user_id in ids:
            try:
                identities = (known.get(user_id) or User(user_id, self.zone)).reach.get("identities", {})
                addresses[user_id] = addresses_of(identities)
            except ValueError as error:
                found[user_id] = error
        everywhere = sorted({pair for mine in addresses.values() for pair in mine.items()})
        refused = self.store.contacts.suppressed(tx, everywhere)
        openids = sorted(mine["wechat"] for mine in addresses.values() if "wechat" in mine) if self.rules.template_ids else []
        credits_ = self.store.contacts.credits_of(tx, openids)
        for user_id, mine in addresses.items():
            said_no = frozenset((channel, purpose) for channel, address, purpose in refused if mine.get(channel) == address)
            user = known.get(user_id) or User(user_id, self.zone)
            try:
                found[user_id] = person_reach(
                    user, self.rules, touches.get(user_id, []), credits_.get(mine.get("wechat", ""), {}), said_no
                )  # fmt: skip
            except ValueError as error:
                found[user_id] = error
        return found
