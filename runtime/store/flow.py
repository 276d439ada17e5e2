"""How fast a lane may go, and whether at all: rates, pauses and open circuits, shared by every daemon of the database.

A lane is one adapter: `sms`, `wechat`, `robot:NAME`, `grant:BENEFIT`, `call:ENDPOINT`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.store.tables import circuits, daemons, flow, tokens

BUSY = 20  # milliseconds after which a lane that another daemon has just locked is asked again
GONE_AFTER = 5_000  # milliseconds without a sign of life: then a daemon counts as dead


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `most` messages in any `per` milliseconds.

    100/s: one each 10.6 ms, and a lane that was late may catch up what it missed in the last 50 ms: in no second more than 100.
    """

    most: int
    per: int

    @property
    def burst(self) -> float:
        """How much of a delay may be caught up, in milliseconds."""
        return min(50.0, self.per / 20) if self.most > 1 else 0.0

    @property
    def interval(self) -> float:
        """Milliseconds between two messages; a little more than per/most, for what may be caught up."""
        return (self.per + self.burst) / max(self.most - 1, 1)


@dataclass(frozen=True, slots=True)
class Circuit:
    """A lane (or one template of it) that is held because of a fault that is no message's."""

    lane: str
    template: str
    code: str
    reason: str
    opened_at: int
    probe_at: int
    probes: int


class Flow:
    """Statements of rates, pauses, circuits, tokens and living daemons."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    # --- rates and pauses

    def prepare(self, tx: Connection, lanes: Sequence[str]) -> None:
        """Have a row for each lane."""
        for lane in lanes:
            tx.execute(self._upsert(flow).values(lane=lane).on_conflict_do_nothing())

    def allow(self, tx: Connection, lane: str, wanted: int, rate: Rate | None, now: int) -> tuple[int, int]:
        """How many of `wanted` may be taken now, and when to ask again (`now` when there is no reason to wait).

        The lane's row is locked until the transaction ends, so that two daemons together keep the rate.
        """
        if rate is None:
            paused = tx.execute(select(flow.c.paused_until).where(flow.c.lane == lane)).scalar_one_or_none()
            return (0, paused) if paused is not None and paused > now else (wanted, now)
        query = select(flow.c.next_at, flow.c.paused_until).where(flow.c.lane == lane)
        if not self._is_sqlite:
            query = query.with_for_update(skip_locked=True)
        row = tx.execute(query).one_or_none()
        if row is None:  # another daemon is taking from it just now
            self.prepare(tx, [lane])
            return 0, now + BUSY
        if row.paused_until > now:
            return 0, row.paused_until
        begin = max(row.next_at / 1000, now - rate.burst)
        allowed = min(wanted, int((now - begin) // rate.interval) + (1 if now >= begin else 0))
        if allowed <= 0:
            return 0, int(begin) + 1
        return allowed, now

    def spend(self, tx: Connection, lane: str, n: int, rate: Rate | None, now: int) -> None:
        """`n` messages were taken under the rate."""
        if rate is None or not n:
            return
        earliest = round((now - rate.burst) * 1000)
        begin = func.max(flow.c.next_at, earliest) if self._is_sqlite else func.greatest(flow.c.next_at, earliest)
        tx.execute(update(flow).where(flow.c.lane == lane).values(next_at=begin + round(n * rate.interval * 1000)))

    def pause(self, tx: Connection, lane: str, until: int, reason: str) -> None:
        """The vendor's flow control: nothing more on this lane before an instant."""
        statement = self._upsert(flow).values(lane=lane, paused_until=until, reason=reason)
        later = {"paused_until": statement.excluded.paused_until, "reason": statement.excluded.reason}
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["lane"], set_=later, where=flow.c.paused_until < statement.excluded.paused_until
            )
        )

    def pauses(self, tx: Connection, now: int) -> dict[str, tuple[int, str]]:
        """Lanes that are paused: until when, and why."""
        rows = tx.execute(select(flow).where(flow.c.paused_until > now).order_by(flow.c.lane))
        return {row.lane: (row.paused_until, row.reason) for row in rows}

    # --- circuits

    def open_circuit(self, tx: Connection, lane: str, template: str, code: str, reason: str, now: int, after: int) -> bool:
        """Hold a lane (or one template of it) and probe it after `after` milliseconds; True when it was not held before."""
        values = {"code": code, "reason": reason, "probe_at": now + after}
        found = tx.execute(
            update(circuits).where(circuits.c.lane == lane, circuits.c.template == template).values(**values)
        ).rowcount  # fmt: skip
        if found:
            return False
        statement = self._upsert(circuits).values(lane=lane, template=template, opened_at=now, **values)
        return tx.execute(statement.on_conflict_do_nothing().returning(circuits.c.lane)).scalar_one_or_none() is not None

    def close_circuit(self, tx: Connection, lane: str, template: str | None = None) -> list[Circuit]:
        """The lane works again (or that template of it, with the lane as a whole); returns what was open."""
        mine = circuits.c.lane == lane
        if template is not None:
            mine &= circuits.c.template.in_(("", template))
        rows = tx.execute(delete(circuits).where(mine).returning(circuits))
        return [Circuit(*row) for row in rows]

    def circuits(self, tx: Connection, lane: str | None = None) -> list[Circuit]:
        """What is held now."""
        query = select(circuits).order_by(circuits.c.lane, circuits.c.template)
        return [Circuit(*row) for row in tx.execute(query if lane is None else query.where(circuits.c.lane == lane))]

    def take_probe(self, tx: Connection, circuit: Circuit, now: int, next_at: int) -> bool:
        """Whether this daemon may send the one message that probes an open circuit now."""
        taken = tx.execute(
            update(circuits)
            .where(circuits.c.lane == circuit.lane, circuits.c.template == circuit.template, circuits.c.probe_at == circuit.probe_at,
                   circuits.c.probe_at <= now)
            .values(probe_at=next_at, probes=circuits.c.probes + 1)
        )  # fmt: skip
        return taken.rowcount == 1

    # --- tokens

    def token(self, tx: Connection, name: str) -> tuple[str, int] | None:
        """An access token and the instant at which it ends."""
        row = tx.execute(select(tokens.c.value, tokens.c.expires_at).where(tokens.c.name == name)).one_or_none()
        return (row.value, row.expires_at) if row is not None else None

    def keep_token(self, tx: Connection, name: str, value: str, expires_at: int) -> None:
        """Keep an access token for every daemon."""
        statement = self._upsert(tokens).values(name=name, value=value, expires_at=expires_at)
        tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value, "expires_at": expires_at}))

    # --- daemons

    def beat(self, tx: Connection, daemon: str, now: int) -> int:
        """A daemon lives; returns how many do. Those that were not heard of for a while are forgotten."""
        tx.execute(delete(daemons).where(daemons.c.seen_at < now - GONE_AFTER, daemons.c.id != daemon))
        if not tx.execute(update(daemons).where(daemons.c.id == daemon).values(seen_at=now)).rowcount:
            tx.execute(insert(daemons).values(id=daemon, started_at=now, seen_at=now))
        return int(tx.execute(select(func.count()).select_from(daemons)).scalar_one())

    def living(self, tx: Connection, now: int) -> int:
        """How many daemons have lately been heard of."""
        return int(tx.execute(select(func.count()).select_from(daemons).where(daemons.c.seen_at >= now - GONE_AFTER)).scalar_one())

    def leave(self, tx: Connection, daemon: str) -> None:
        """A daemon stops."""
        tx.execute(delete(daemons).where(daemons.c.id == daemon))


def shares(total: int, living: int) -> int:
    """How many of `total` connections one of `living` daemons may use; one at least."""
    return max(1, total // max(living, 1))
