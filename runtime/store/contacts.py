"""How people can be reached: their identities, what they said about being messaged, and their subscription credits.

Consents are kept as a ledger that only grows (who, channel, purpose, source, wording, when): the proof that the rules of
2026 for short messages ask for. The answer that counts stands in the user's own row.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import MOVING, SEVERAL, Consent
from runtime.store.tables import consents, heard, identities, subscriptions, suppressions

# Built once: making a statement costs more than running it.
_SUPPRESSED = select(suppressions.c.channel, suppressions.c.address, suppressions.c.purpose).where(
    suppressions.c.channel.in_(bindparam("channels", expanding=True)), suppressions.c.address.in_(bindparam("addresses", expanding=True))
)
_CREDITS = select(subscriptions).where(subscriptions.c.address.in_(bindparam("addresses", expanding=True)))


class Contacts:
    """Statements of identities, consents, suppressions and credits."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    # --- identities

    def identify(
        self, tx: Connection, user_id: str, values: Mapping[str, str | None], dead: Collection[tuple[str, str]] = ()
    ) -> list[str]:  # fmt: skip
        """Take a user's identities as they are now: each kind has one value, or none. Of openids another is one more by which she is
        recognised, that of another app; a null forgets all of them, what is `dead` is alone forgotten. A push id is this user's alone
        from now on; returns those who had it.
        """
        lost: list[str] = []
        for kind, value in values.items():
            if kind == MOVING and value:
                others = (identities.c.kind == kind) & (identities.c.value == value) & (identities.c.user_id != user_id)
                lost += tx.execute(delete(identities).where(others).returning(identities.c.user_id)).scalars()
            mine = (identities.c.kind == kind) & (identities.c.user_id == user_id)
            gone = [dropped for its_kind, dropped in dead if its_kind == kind]
            if kind in SEVERAL and (value or gone):
                tx.execute(delete(identities).where(mine, identities.c.value.in_(gone)))
            else:
                tx.execute(delete(identities).where(mine, identities.c.value != (value or "")))
            if value:
                tx.execute(self._upsert(identities).values(kind=kind, value=value, user_id=user_id).on_conflict_do_nothing())
        return sorted(lost)

    def whose(self, tx: Connection, kind: str, value: str) -> list[str]:
        """The users with this identity (a phone may be shared)."""
        query = select(identities.c.user_id).where(identities.c.kind == kind, identities.c.value == value)
        return list(tx.execute(query.order_by(identities.c.user_id)).scalars())

    # --- consents and suppressions

    def record(self, tx: Connection, said: Iterable[Consent], addresses: Mapping[str, Mapping[str, str]], now: int) -> None:
        """Append to the ledger. A new yes lifts what was said by replying from the same address; `addresses` by user and channel."""
        for consent in said:
            tx.execute(
                insert(consents).values(
                    user_id=consent.user_id, channel=consent.channel, purpose=consent.purpose, granted=consent.granted,
                    source=consent.source, wording=consent.wording, said_at=consent.said_at, recorded_at=now,
                )
            )  # fmt: skip
            address = addresses.get(consent.user_id, {}).get(consent.channel)
            if consent.granted and address:
                tx.execute(
                    delete(suppressions).where(
                        suppressions.c.channel == consent.channel, suppressions.c.address == address,
                        suppressions.c.purpose == consent.purpose, suppressions.c.at < consent.said_at,
                    )
                )  # fmt: skip

    def consents_of(self, tx: Connection, user_id: str) -> list[dict[str, Any]]:
        """Everything a user said, in the order of recording."""
        rows = tx.execute(select(consents).where(consents.c.user_id == user_id).order_by(consents.c.id))
        return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name

    def suppress(self, tx: Connection, channel: str, address: str, purposes: Iterable[str], source: str, at: int) -> None:
        """Nothing more to this address, whoever has it: it answered so, or the vendor says so."""
        for purpose in purposes:
            statement = self._upsert(suppressions).values(channel=channel, address=address, purpose=purpose, source=source, at=at)
            newest = {"at": statement.excluded.at, "source": statement.excluded.source}
            later = suppressions.c.at < statement.excluded.at
            tx.execute(statement.on_conflict_do_update(index_elements=["channel", "address", "purpose"], set_=newest, where=later))

    def suppressed(self, tx: Connection, addresses: Sequence[tuple[str, str]]) -> set[tuple[str, str, str]]:
        """Of these (channel, address) pairs: (channel, address, purpose) that are suppressed."""
        if not addresses:
            return set()
        channels, values = ({pair[n] for pair in addresses} for n in (0, 1))  # pairs would take the longest of all statements to write
        found = tx.execute(_SUPPRESSED, {"channels": sorted(channels), "addresses": sorted(values)})
        wanted = set(addresses)
        return {(row.channel, row.address, row.purpose) for row in found if (row.channel, row.address) in wanted}

    # --- subscription credits

    def add_credit(self, tx: Connection, address: str, template_id: str, n: int, at: int) -> None:
        """One subscription accepted at an instant is one message; also what a failed one gives back."""
        statement = self._upsert(subscriptions).values(address=address, template_id=template_id, n=n, updated_at=at)
        latest = case((subscriptions.c.updated_at > at, subscriptions.c.updated_at), else_=at)
        more = {"n": subscriptions.c.n + statement.excluded.n, "updated_at": latest}
        tx.execute(statement.on_conflict_do_update(index_elements=["address", "template_id"], set_=more))

    def no_credit(self, tx: Connection, address: str, template_id: str, at: int) -> None:
        """The person rejected, or the vendor says that none is left; what was accepted after that instant stays."""
        statement = self._upsert(subscriptions).values(address=address, template_id=template_id, n=0, updated_at=at)
        none = {"n": 0, "updated_at": at}
        earlier = subscriptions.c.updated_at <= at
        tx.execute(statement.on_conflict_do_update(index_elements=["address", "template_id"], set_=none, where=earlier))

    def take_credit(self, tx: Connection, address: str, template_id: str) -> bool:
        """Reserve one; False when there is none."""
        mine = (subscriptions.c.address == address) & (subscriptions.c.template_id == template_id) & (subscriptions.c.n > 0)
        return tx.execute(update(subscriptions).where(mine).values(n=subscriptions.c.n - 1)).rowcount == 1

    def credits_of(self, tx: Connection, addresses: Sequence[str]) -> dict[str, dict[str, int]]:
        """Address → vendor template → credits, of those known."""
        found: dict[str, dict[str, int]] = {}
        if addresses:
            for row in tx.execute(_CREDITS, {"addresses": list(addresses)}):
                found.setdefault(row.address, {})[row.template_id] = row.n
        return found

    # --- what was heard before

    def first_time(self, tx: Connection, lane: str, id_: str, now: int) -> bool:
        """Whether this notice of a vendor is new; vendors repeat theirs."""
        statement = self._upsert(heard).values(lane=lane, id=id_, received_at=now).on_conflict_do_nothing()
        return tx.execute(statement.returning(heard.c.id)).scalar_one_or_none() is not None

    def known(self, tx: Connection, lane: str, ids: Sequence[str]) -> bool:
        """Whether any of these notices was heard before."""
        return tx.execute(select(heard.c.id).where(heard.c.lane == lane, heard.c.id.in_(ids)).limit(1)).scalar_one_or_none() is not None
