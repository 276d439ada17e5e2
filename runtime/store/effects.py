"""Grants and calls in the ledger: each planned once, what is given once never twice, also to somebody who was two before."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import stable_key
from runtime.store.budgets import Budgets
from runtime.store.codec import Codec, Unreadable
from runtime.store.ledger_rows import AGAIN, BEGUN, ONCE, WITHOUT_EFFECT
from runtime.store.tables import heard, messages

_STANDING = select(
    messages.c.key, messages.c.user_id, messages.c.owner_id, messages.c.enrolment_id, messages.c.journey, messages.c.step,
    messages.c.visit, messages.c.state, messages.c.ambiguous, messages.c.created_at, messages.c.content,
).where(messages.c.kind == "grant", messages.c.state.not_in(WITHOUT_EFFECT))  # fmt: skip
_NOT_BEGUN = (messages.c.state.in_(("PENDING", "CLAIMED")), messages.c.ambiguous == 0)


class Effects:
    """Statements of grants and calls: the part of the ledger that is not about messages."""

    def __init__(self, codec: Codec, budgets: Budgets, *, is_sqlite: bool) -> None:
        self._codec, self._budgets = codec, budgets
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    def add_effect(self, tx: Connection, row: dict[str, Any]) -> bool:
        """Write a grant or call; False when its key was used before (`once_per`). One that had no effect is tried anew."""
        was_hers = select(heard.c.id).where(heard.c.lane == ONCE, heard.c.id == row["key"])
        if tx.execute(was_hers).scalar_one_or_none() is not None and self._stands(tx, row):
            return False  # to the same person, before she was merged
        again = {name: row[name] for name in AGAIN} | {
            "state": "PENDING", "position": messages.c.position + 1, "attempts": 0, "token": messages.c.token + 1,
            "reason": None, "settled_at": None,
        }  # fmt: skip
        statement = self._upsert(messages).values(row)
        statement = statement.on_conflict_do_update(index_elements=["key"], set_=again, where=messages.c.state.in_(WITHOUT_EFFECT))
        return tx.execute(statement.returning(messages.c.key)).scalar_one_or_none() is not None

    def _stands(self, tx: Connection, row: dict[str, Any]) -> bool:
        """Whether what she was given (or was about to be given) once under a former id has not come to nothing since."""
        wanted = self._once_of(row["user_id"], row["content"])
        query = _STANDING.where(messages.c.user_id == row["user_id"], messages.c.journey == row["journey"])
        return any(self._once_of(given.user_id, given.content) in (wanted, None) for given in tx.execute(query))

    def _once_of(self, user_id: str, content: str) -> tuple[str, ...] | None:
        """What a grant is given once per: the step and the value, () where it is not; None where it cannot be read."""
        found = self._codec.decode_object("messages.content", user_id, content)
        return None if isinstance(found, Unreadable) else tuple(found.get("once") or ())

    # --- two users become one

    def give_once(self, tx: Connection, survivor: str, former: str, now: int) -> list[Any]:
        """What either was given once, both were. Of what both were about to be given, one is withdrawn: returns these rows."""
        groups: dict[tuple[str, ...], list[Any]] = {}
        for row in tx.execute(_STANDING.where(messages.c.user_id.in_((survivor, former)))):
            once = self._once_of(row.user_id, row.content)
            if once:
                groups.setdefault((row.journey, *once), []).append(row)
        doubles = []
        for (journey, origin, value), rows in groups.items():
            # what has begun stays, else what is hers already, else the first
            rows.sort(key=lambda row: (not _has_begun(row), row.user_id != survivor, row.created_at, row.key))
            doubles += [row for row in rows[1:] if not _has_begun(row)]
            if all(row.user_id == survivor for row in rows):
                continue
            key = stable_key("once", journey, origin, survivor, value)
            tx.execute(self._upsert(heard).values(lane=ONCE, id=key, received_at=0).on_conflict_do_nothing())
        withdrawn = self._withdraw(tx, messages.c.key.in_([row.key for row in doubles]), "given before", now) if doubles else ()
        return [row for row in doubles if row.key in withdrawn]

    def withdraw_of(self, tx: Connection, enrolment_ids: Sequence[int], reason: str, now: int) -> None:
        """Grants and calls of enrolments that go on in others: not begun, they are suppressed; begun, they are not repeated."""
        if enrolment_ids:
            mine = messages.c.enrolment_id.in_(enrolment_ids) & (messages.c.kind != "message")
            self._withdraw(tx, mine, reason, now)
            tx.execute(update(messages).where(mine, messages.c.state.in_(("PENDING", "CLAIMED", *BEGUN))).values(cancelled=True))

    def _withdraw(self, tx: Connection, which: Any, reason: str, now: int) -> set[str]:
        """T10. The keys of those that nobody had begun; the unit that an attempt without effect had reserved goes back."""
        gone = tx.execute(
            update(messages).where(which, *_NOT_BEGUN)
            .values(state="SUPPRESSED", reason=reason, settled_at=now, lease_until=None)
            .returning(messages.c.key, messages.c.kind, messages.c.channel, messages.c.attempts)
        ).all()  # fmt: skip
        for row in gone:
            if row.kind == "grant" and row.attempts:
                self._budgets.settle(tx, row.channel, issued=False)
        return {row.key for row in gone}


def _has_begun(row: Any) -> bool:
    return row.state not in ("PENDING", "CLAIMED") or row.ambiguous > 0
