"""Who is who: identities of one person joined, anonymous ones first, and former ids that lead to the survivor.

An identity such as an openid belongs to one user. Who is known by identities only is an *anonymous* user, `openid:oAbC`; she is
merged as soon as the operator's own id is known. Two users with ids of their own are merged only where a source that may says so.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import Person
from runtime.store.inbox import Inbox, Quarantined
from runtime.store.tables import heard, identities, users

UNIQUE = ("unionid", "openid", "push_id", "distinct_id")  # the strongest first; phones and e-mails are shared in families
SHARED = ("phone", "email")
MOST_STEPS = 100  # along former ids; there is one step after each merge, since merges shorten the way


class Identity:
    """Statements of who is who."""

    def __init__(self, inbox: Inbox, *, is_sqlite: bool) -> None:
        self._inbox, self._is_sqlite = inbox, is_sqlite
        self._upsert: Any = sqlite_insert if is_sqlite else postgres_insert

    def survivors(self, tx: Connection, user_ids: Iterable[str]) -> dict[str, str]:
        """Of these ids, the former ones with the id that each leads to now."""
        found: dict[str, str] = {}
        asked = {user_id: user_id for user_id in user_ids}
        for _ in range(MOST_STEPS):
            if not asked:
                break
            rows = tx.execute(
                select(users.c.user_id, users.c.merged_into).where(users.c.user_id.in_(sorted(asked)), users.c.merged_into.is_not(None))
            )
            further: dict[str, str] = {}
            for user_id, into in rows:
                first = asked[user_id]
                found[first] = into
                further[into] = first
            asked = further
        return found

    def resolve(self, tx: Connection, persons: Sequence[Person], source: str, now: int) -> list[str]:
        """The user of each person: found, joined, or made (anonymous). What has to be merged is noted in the survivor's inbox."""
        return [self._resolve(tx, person, source, now) for person in persons]

    def _resolve(self, tx: Connection, person: Person, source: str, now: int) -> str:
        owners = self._owners(tx, (*person.identities, *(f for f in person.former if f[0] != "user_id")))
        known = self._known({*owners.values()}, tx)
        user_id = self.survivors(tx, [person.user_id]).get(person.user_id, person.user_id) if person.user_id else ""
        if not user_id:
            user_id = self._choose(person, owners, known)
        if not user_id:
            kind, value = person.identities[0]
            user_id = f"{kind}:{value}"
            tx.execute(self._upsert(users).values(user_id=user_id, created_at=now, anonymous=True).on_conflict_do_nothing())
        elif person.user_id:
            tx.execute(self._upsert(users).values(user_id=user_id, created_at=now).on_conflict_do_nothing())
            tx.execute(update(users).where(users.c.user_id == user_id, users.c.anonymous).values(anonymous=False))
        for kind, value in (i for i in person.identities if i not in person.unbound):
            owner = owners.get((kind, value))
            if owner is None and (kind in person.attach or user_id == f"{kind}:{value}"):
                self._attach(tx, user_id, kind, value)
            elif owner is not None and owner != user_id and kind in UNIQUE:
                self._join(tx, user_id, owner, person, source, now, known=owner in known, by=f"{kind} {value}")
        for kind, value in person.unbound:
            if kind in person.attach:
                self.forget(tx, user_id, kind, value)
        for kind, value in person.former:
            self._former(tx, user_id, kind, value, owners, person, source, now)
        return user_id

    def _owners(self, tx: Connection, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """(kind, value) → the one user who has it. A phone that several have belongs to nobody here."""
        if not pairs:
            return {}
        rows = tx.execute(
            select(identities.c.kind, identities.c.value, identities.c.user_id)
            .where(tuple_(identities.c.kind, identities.c.value).in_(sorted(set(pairs))))
            .order_by(identities.c.user_id)
        )
        found: dict[tuple[str, str], list[str]] = {}
        for kind, value, user_id in rows:
            found.setdefault((kind, value), []).append(user_id)
        return {pair: owners[0] for pair, owners in found.items() if len(owners) == 1 or pair[0] in UNIQUE}

    def _known(self, user_ids: set[str], tx: Connection) -> set[str]:
        """Those whom the operator knows by an id of her own."""
        query = select(users.c.user_id).where(users.c.user_id.in_(sorted(user_ids)), ~users.c.anonymous)
        return set(tx.execute(query).scalars()) if user_ids else set()

    @staticmethod
    def _choose(person: Person, owners: dict[tuple[str, str], str], known: set[str]) -> str:
        """Whose identities these are: a known user's first, else the one's with the strongest identity."""
        found = [owners[pair] for pair in person.identities if pair in owners]
        return next((owner for owner in found if owner in known), found[0] if found else "")

    def _attach(self, tx: Connection, user_id: str, kind: str, value: str) -> None:
        tx.execute(self._upsert(identities).values(kind=kind, value=value, user_id=user_id).on_conflict_do_nothing())

    def _join(self, tx: Connection, user_id: str, other: str, person: Person, source: str, now: int, *, known: bool, by: str) -> None:
        """Another user has an identity of this one: merged when she is anonymous (or may be), else shown as a conflict."""
        if not known or person.may_merge:
            self.note_merge(tx, user_id, other, source, by, now)
            return
        key = f"{by}|{min(user_id, other)}|{max(user_id, other)}"[:500]
        statement = self._upsert(heard).values(lane="$identity", id=key, received_at=now).on_conflict_do_nothing()
        if tx.execute(statement.returning(heard.c.id)).scalar_one_or_none() is not None:
            reason = f"{by} is said to be of {user_id}, and belongs to {other}: two known users are not merged by themselves"
            self._inbox.quarantine(tx, [Quarantined(source, reason, by, user_id, "identity")], now)

    def _former(
        self, tx: Connection, user_id: str, kind: str, value: str, owners: dict[tuple[str, str], str], person: Person, source: str,
        now: int,
    ) -> None:  # fmt: skip
        if kind == "user_id":
            other = self.survivors(tx, [value]).get(value, value)
            row = tx.execute(select(users.c.anonymous).where(users.c.user_id == other)).scalar_one_or_none()
            if row is None:  # nobody yet: what still comes under that id is hers
                tx.execute(self._upsert(users).values(user_id=other, created_at=now, anonymous=True).on_conflict_do_nothing())
                row = True
            if other != user_id:
                self._join(tx, user_id, other, person, source, now, known=not row, by=f"user {value}")
            return
        owner = owners.get((kind, value))
        if owner is None:
            self._attach(tx, user_id, kind, value)
        elif owner != user_id:
            self._join(tx, user_id, owner, person, source, now, known=bool(self._known({owner}, tx)), by=f"{kind} {value}")

    def note_merge(self, tx: Connection, survivor: str, loser: str, source: str, by: str, now: int) -> None:
        """Have two users merged, as soon as both are free."""
        self._inbox.add_note(tx, survivor, "merge", {"former": loser, "source": source, "by": by}, now)

    def forget(self, tx: Connection, user_id: str, kind: str, value: str) -> None:
        """An identity is no longer this user's."""
        mine = (identities.c.kind == kind) & (identities.c.value == value) & (identities.c.user_id == user_id)
        tx.execute(delete(identities).where(mine))
