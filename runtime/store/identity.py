"""Who is who: identities of one person joined, anonymous ones first, and former ids that lead to the survivor.

An identity such as an openid belongs to one user. Who is known by identities only is an *anonymous* user, `openid:oAbC`; she is
merged as soon as the operator's own id is known. Two users with ids of their own are merged only where a source that may says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import Person
from runtime.store.among import among
from runtime.store.inbox import Inbox, Quarantined
from runtime.store.tables import heard, identities, users

UNIQUE = ("unionid", "openid", "push_id", "distinct_id")  # the strongest first; phones and e-mails are shared in families
SHARED = ("phone", "email")
MOST_STEPS = 100  # along former ids; there is one step after each merge, since merges shorten the way

_OWNERS = (
    select(identities.c.kind, identities.c.value, identities.c.user_id)
    .where(tuple_(identities.c.kind, identities.c.value).in_(bindparam("pairs", expanding=True)))
    .order_by(identities.c.kind, identities.c.value, identities.c.user_id)
)
_PEOPLE = select(users.c.user_id, users.c.anonymous, users.c.merged_into).where(among(users.c.user_id, "ids"))
_FORMER = select(users.c.user_id, users.c.merged_into).where(among(users.c.user_id, "ids"), users.c.merged_into.is_not(None))


class Identity:
    """Statements of who is who."""

    def __init__(self, inbox: Inbox, *, is_sqlite: bool) -> None:
        self._inbox = inbox
        upsert: Any = sqlite_insert if is_sqlite else postgres_insert
        # built once: making a statement costs more than running it
        self._add_user = upsert(users).on_conflict_do_nothing()
        self._add_identity = upsert(identities).on_conflict_do_nothing()
        self._first_time = upsert(heard).on_conflict_do_nothing().returning(heard.c.id)

    def survivors(self, tx: Connection, user_ids: Iterable[str]) -> dict[str, str]:
        """Of these ids, the former ones with the id that each leads to now."""
        found: dict[str, str] = {}
        asked = {user_id: user_id for user_id in user_ids}
        for _ in range(MOST_STEPS):
            if not asked:
                break
            further: dict[str, str] = {}
            for user_id, into in tx.execute(_FORMER, {"ids": asked}).all():
                first = asked[user_id]
                found[first] = into
                further[into] = first
            asked = further
        return found

    def resolve(self, tx: Connection, persons: Sequence[tuple[str, Person]], now: int) -> list[str]:
        """The user of each (source, person): found, joined, or made (anonymous). What has to be merged is noted in the survivor's inbox."""
        if not persons:
            return []
        pairs = {pair for _, person in persons for pair in (*person.identities, *person.former) if pair[0] != "user_id"}
        named = {person.user_id for _, person in persons if person.user_id}
        named |= {value for _, person in persons for kind, value in person.former if kind == "user_id"}
        named |= {value for kind, value in pairs if kind == "distinct_id"}  # who says that a user's own id is a device of hers
        known = self._known(tx, pairs, named)
        return [self._resolve(tx, known, person, source, now) for source, person in persons]

    def _known(self, tx: Connection, pairs: set[tuple[str, str]], named: set[str]) -> "_Known":
        known = _Known({}, {})
        for kind, value, user_id in tx.execute(_OWNERS, {"pairs": sorted(pairs)}) if pairs else ():
            known.owners.setdefault((kind, value), []).append(user_id)
        asked = named | {user_id for owners in known.owners.values() for user_id in owners}
        for _ in range(MOST_STEPS):
            if not asked:
                break
            rows = tx.execute(_PEOPLE, {"ids": sorted(asked)}).all()
            known.people |= {user_id: _Known.One(anonymous, merged_into) for user_id, anonymous, merged_into in rows}
            asked = {into for _, _, into in rows if into} - set(known.people)
        return known

    def _resolve(self, tx: Connection, known: "_Known", person: Person, source: str, now: int) -> str:
        owners = {pair: owner for pair in (*person.identities, *person.former) if (owner := known.owner(pair))}
        user_id = known.survivor(person.user_id) if person.user_id else known.choose(person, owners)
        if not user_id:
            kind, value = person.identities[0]
            user_id = f"{kind}:{value}"
            self._make(tx, known, user_id, now, anonymous=True)
        elif person.user_id:
            self._make(tx, known, user_id, now, anonymous=False)
        for kind, value in (i for i in person.identities if i not in person.unbound):
            owner = owners.get((kind, value))
            if owner is None and (kind in person.attach or user_id == f"{kind}:{value}"):
                self._attach(tx, known, user_id, kind, value)
            elif owner is not None and kind in UNIQUE and kind in person.attach:
                # more than one when two daemons made them at the same time
                for other in {known.survivor(one) for one in known.owners[kind, value]} - {user_id}:
                    self._join(tx, known, user_id, other, source, f"{kind} {value}", now)
        for kind, value in person.unbound:
            if kind in person.attach:
                self._forget(tx, known, user_id, kind, value)
        self._take_over(tx, known, owners, user_id, person, source, now)
        return user_id

    def _take_over(
        self, tx: Connection, known: "_Known", owners: dict[tuple[str, str], str], user_id: str, person: Person, source: str, now: int
    ) -> None:
        """Who somebody was before, by a source's word."""
        for kind, value in person.former:
            owner = known.survivor(value) if kind == "user_id" else owners.get((kind, value))
            if kind == "user_id" and owner not in known.people and not person.may_merge:
                continue  # whoever comes under that id will be somebody
            if owner is None:
                self._attach(tx, known, user_id, kind, value)
            elif owner != user_id:
                self._make(tx, known, owner, now, anonymous=True)  # nobody yet: what still comes under that id is hers
                by = f"{'user' if kind == 'user_id' else kind} {value}"
                self._join(tx, known, user_id, owner, source, by, now, may_merge=person.may_merge)

    def _make(self, tx: Connection, known: "_Known", user_id: str, now: int, *, anonymous: bool) -> None:
        """The user's row, where there is none yet; one who was anonymous becomes known by her own id."""
        one = known.people.get(user_id)
        if one is None:
            tx.execute(self._add_user, {"user_id": user_id, "created_at": now, "anonymous": anonymous})
            known.people[user_id] = _Known.One(anonymous, None)
        elif one.anonymous and not anonymous:
            tx.execute(update(users).where(users.c.user_id == user_id).values(anonymous=False))
            known.people[user_id] = _Known.One(anonymous=False, merged_into=one.merged_into)

    def _attach(self, tx: Connection, known: "_Known", user_id: str, kind: str, value: str) -> None:
        """An identity is this user's. The own id of a known user is no device of anybody else's."""
        if kind == "distinct_id" and user_id not in (value, f"{kind}:{value}") and known.is_known(value):
            return
        tx.execute(self._add_identity, {"kind": kind, "value": value, "user_id": user_id})
        known.owners.setdefault((kind, value), []).append(user_id)

    def _forget(self, tx: Connection, known: "_Known", user_id: str, kind: str, value: str) -> None:
        mine = (identities.c.kind == kind) & (identities.c.value == value) & (identities.c.user_id == user_id)
        tx.execute(delete(identities).where(mine))
        known.owners[kind, value] = [owner for owner in known.owners.get((kind, value), ()) if owner != user_id]

    def _join(
        self, tx: Connection, known: "_Known", user_id: str, other: str, source: str, by: str, now: int, *, may_merge: bool = False
    ) -> None:
        """Two users are said to be one: merged when the other is anonymous, or where a source asked for it and may; else a conflict.

        That two accounts were seen on one phone is no wish to merge them, whatever the source may do.
        """
        if known.is_anonymous(other) or may_merge:
            self.note_merge(tx, user_id, other, source, by, now, may_merge=may_merge)
        else:
            self.show_conflict(tx, user_id, other, source, by, now)

    def show_conflict(self, tx: Connection, user_id: str, other: str, source: str, by: str, now: int) -> None:
        """Two known users are said to be one: set aside for people to read, once."""
        key = f"{by}|{min(user_id, other)}|{max(user_id, other)}"[:500]
        if tx.execute(self._first_time, {"lane": "$identity", "id": key, "received_at": now}).scalar_one_or_none() is not None:
            reason = f"{by} is said to be of {user_id}, and belongs to {other}: two known users are not merged by themselves"
            self._inbox.quarantine(tx, [Quarantined(source, reason, by, user_id, "identity")], now)

    def note_merge(self, tx: Connection, survivor: str, loser: str, source: str, by: str, now: int, *, may_merge: bool = False) -> None:
        """Have two users merged, as soon as both are free. `may_merge`: whoever the loser has become until then."""
        self._inbox.add_note(tx, survivor, "merge", {"former": loser, "source": source, "by": by, "may_merge": may_merge}, now)

    def is_known(self, tx: Connection, user_id: str) -> bool:
        """Whether this is an id of the operator's own."""
        return tx.execute(select(users.c.user_id).where(users.c.user_id == user_id, ~users.c.anonymous)).first() is not None


@dataclass
class _Known:
    """What the tables say about the people of one group of requests, kept up to date while they are resolved one after the other."""

    class One(NamedTuple):
        """A user's row."""

        anonymous: bool
        merged_into: str | None

    owners: dict[tuple[str, str], list[str]]
    people: dict[str, One]

    def survivor(self, user_id: str) -> str:
        """Whom an id leads to."""
        for _ in range(MOST_STEPS):
            one = self.people.get(user_id)
            if one is None or one.merged_into is None:
                break
            user_id = one.merged_into
        return user_id

    def owner(self, pair: tuple[str, str]) -> str | None:
        """The one user who has an identity. A phone that several have belongs to nobody here."""
        found = self.owners.get(pair, ())
        return self.survivor(found[0]) if len(found) == 1 or (found and pair[0] in UNIQUE) else None

    def choose(self, person: Person, owners: dict[tuple[str, str], str]) -> str:
        """Whose identities these are: a known user's first, else the one's with the strongest identity."""
        found = [owners[pair] for pair in (*person.identities, *person.former) if pair in owners]
        named = (owner for owner in found if not self.is_anonymous(owner))
        return next(named, found[0] if found else "")

    def is_known(self, user_id: str) -> bool:
        """Whether this is an id of the operator's own."""
        one = self.people.get(user_id)
        return one is not None and not one.anonymous

    def is_anonymous(self, user_id: str) -> bool:
        """Whether the operator knows no id of hers."""
        one = self.people.get(user_id)
        return one is not None and one.anonymous
