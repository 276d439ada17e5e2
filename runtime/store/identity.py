"""Who is who: identities of one person joined, anonymous ones first, and former ids that lead to the survivor.

An identity such as an openid belongs to one user. Who is known by identities only is an *anonymous* user, `openid:oAbC`; she is
merged as soon as the operator's own id is known. Two users with ids of their own are merged only where a source that may says so.

Such an id of ours (`openid:oAbC`) is nobody's own, whoever writes it as one. Who proves nothing is believed about devices: it has those
merged who are known by devices only, and never somebody of whom a signed source knows more, an openid with its orders and consents.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from runtime.state import MOVING, Person
from runtime.store.among import among
from runtime.store.inbox import Inbox, Quarantined
from runtime.store.tables import heard, identities, users

UNIQUE = ("unionid", "openid", "push_id", "distinct_id")  # the strongest first; phones and e-mails are shared in families
SHARED = ("phone", "email")
TWO_KNOWN = "two known users are not merged by themselves"
DEVICES_ONLY = "a device is not believed who somebody is of whom more is known than devices"
MOST_STEPS = 100  # along former ids; there is one step after each merge, since merges shorten the way

_OWNERS = (
    select(identities.c.kind, identities.c.value, identities.c.user_id)
    .where(tuple_(identities.c.kind, identities.c.value).in_(bindparam("pairs", expanding=True)))
    .order_by(identities.c.kind, identities.c.value, identities.c.user_id)
)
_PEOPLE = select(users.c.user_id, users.c.anonymous, users.c.merged_into).where(among(users.c.user_id, "ids"))
_HOLDERS = (
    select(identities.c.user_id, users.c.anonymous)
    .join_from(identities, users, users.c.user_id == identities.c.user_id)
    .where(identities.c.kind == bindparam("kind"), identities.c.value == bindparam("value"))
    .order_by(identities.c.user_id)
)
_IDENTITIES = select(identities.c.kind).where(identities.c.user_id == bindparam("user_id"))
_FORMER = select(users.c.user_id, users.c.merged_into).where(among(users.c.user_id, "ids"), users.c.merged_into.is_not(None))


def is_ours(user_id: str) -> bool:
    """Whether an id is one that we made of an identity: `openid:oAbC` is nobody's own id, whoever writes it as one."""
    kind, _, value = user_id.partition(":")
    return bool(value) and kind in UNIQUE


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
            kind, value = _named_by(person)
            user_id = f"{kind}:{value}"
            self._make(tx, known, user_id, now, anonymous=True)
        elif person.user_id:
            self._make(tx, known, user_id, now, anonymous=is_ours(user_id))
        for kind, value in (i for i in person.identities if i not in person.unbound):
            owner = owners.get((kind, value))
            if kind not in UNIQUE:  # whoever else has it: families share it, and it says nothing about what else is hers
                if kind in person.attach and not known.has(user_id, (kind, value)):
                    self._attach(tx, known, user_id, kind, value)
            elif owner is None and (kind in person.attach or user_id == f"{kind}:{value}"):
                self._attach(tx, known, user_id, kind, value)
            elif owner is not None and kind in person.attach:
                # more than one when two daemons made them at the same time
                for other in {known.survivor(one) for one in known.owners[kind, value]} - {user_id}:
                    if kind == MOVING and not known.is_anonymous(other):
                        continue  # the user record that says so moves it
                    self._join(tx, known, user_id, other, person, source, f"{kind} {value}", now)
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
                self._join(tx, known, user_id, owner, person, source, by, now, may_merge=person.may_merge)

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
        """An identity is this user's. The own id of a known user is no device of anybody else's, nor is one of ours."""
        if kind == "distinct_id" and user_id not in (value, f"{kind}:{value}") and (known.is_known(value) or is_ours(value)):
            return
        tx.execute(self._add_identity, {"kind": kind, "value": value, "user_id": user_id})
        known.owners.setdefault((kind, value), []).append(user_id)

    def _forget(self, tx: Connection, known: "_Known", user_id: str, kind: str, value: str) -> None:
        mine = (identities.c.kind == kind) & (identities.c.value == value) & (identities.c.user_id == user_id)
        tx.execute(delete(identities).where(mine))
        known.owners[kind, value] = [owner for owner in known.owners.get((kind, value), ()) if owner != user_id]

    def _join(  # noqa: PLR0913 - who is said to be whom, and who says so
        self, tx: Connection, known: "_Known", user_id: str, other: str, person: Person, source: str, by: str, now: int, *,
        may_merge: bool = False,
    ) -> None:  # fmt: skip
        """Two users are said to be one: merged when the other is anonymous, or where a source asked for it and may; else a conflict.

        That two accounts were seen on one phone is no wish to merge them, whatever the source may do. Nor is a device believed
        who somebody is of whom more is known than devices.
        """
        if not may_merge and not known.is_anonymous(other):
            self.show_conflict(tx, user_id, other, source, by, now)
        elif _is_a_devices(person) and not self.is_device(tx, other):
            self.show_conflict(tx, user_id, other, source, by, now, DEVICES_ONLY)
        else:
            right = {"may_merge": may_merge, "devices_only": _is_a_devices(person)}
            if user_id not in known.merges:
                known.merges[user_id] = self._inbox.merges_of(tx, user_id)
            if {"former": other, **right} not in known.merges[user_id]:  # each message of a phone says so, and each note takes a tick
                self.note_merge(tx, user_id, other, source, by, now, **right)
                known.merges[user_id].append({"former": other, **right})

    def show_conflict(self, tx: Connection, user_id: str, other: str, source: str, by: str, now: int, why: str = TWO_KNOWN) -> None:
        """Two users are said to be one who are not made one by that: set aside for people to read, once."""
        key = f"{by}|{min(user_id, other)}|{max(user_id, other)}"[:500]
        if tx.execute(self._first_time, {"lane": "$identity", "id": key, "received_at": now}).scalar_one_or_none() is not None:
            reason = f"{by} is said to be of {user_id}, and belongs to {other}: {why}"
            body = orjson.dumps({"by": by, "said_of": user_id, "belongs_to": other}).decode()
            self._inbox.quarantine(tx, [Quarantined(source, reason, body, user_id, "identity")], now)

    def is_settled(self, tx: Connection, conflict: str) -> bool:
        """Whether nobody else has any more what two users were said to share, or both are one by now; `conflict` is as it was set aside."""
        try:
            said = orjson.loads(conflict)
        except orjson.JSONDecodeError:
            return False
        user_id, other = said["said_of"], said["belongs_to"]
        leads = self.survivors(tx, (user_id, other))
        user_id, other = leads.get(user_id, user_id), leads.get(other, other)
        kind, _, value = said["by"].partition(" ")
        return user_id == other or (kind in UNIQUE and other not in (owner for owner, _ in self.holders(tx, kind, value)))

    def note_merge(
        self, tx: Connection, survivor: str, loser: str, source: str, by: str, now: int, *, may_merge: bool = False,
        devices_only: bool = False,
    ) -> None:  # fmt: skip
        """Have two users merged, as soon as both are free. `may_merge`: whoever the loser has become until then; `devices_only`:
        not if more than a device is known of her by then.
        """
        payload = {"former": loser, "source": source, "by": by, "may_merge": may_merge, "devices_only": devices_only}
        self._inbox.add_note(tx, survivor, "merge", payload, now)

    def refused(self, tx: Connection, note: Mapping[str, Any], former: str) -> str:
        """Why a merge that was noted is not done, now that its former id leads to this user; "" when it is."""
        # an anonymous user who was to be merged into two has gone into the first: to go on with that one takes the right to
        if former != note["former"] and not note.get("may_merge") and self.is_known(tx, former):
            return TWO_KNOWN
        return DEVICES_ONLY if note.get("devices_only") and not self.is_device(tx, former) else ""

    def is_device(self, tx: Connection, user_id: str) -> bool:
        """Whether nothing is known of who she is but devices."""
        if not user_id.startswith("distinct_id:"):
            return False
        kinds = set(tx.execute(_IDENTITIES, {"user_id": user_id}).scalars())
        return not kinds.intersection(UNIQUE) - {"distinct_id"}

    def holders(self, tx: Connection, kind: str, value: str) -> list[tuple[str, bool]]:
        """Who has an identity, the first of them the one who is believed; and whether that is an id of the operator's own."""
        rows = tx.execute(_HOLDERS, {"kind": kind, "value": value}).all()
        return [(user_id, not (anonymous or is_ours(user_id))) for user_id, anonymous in rows]

    def is_known(self, tx: Connection, user_id: str) -> bool:
        """Whether this is an id of the operator's own."""
        own = select(users.c.user_id).where(users.c.user_id == user_id, ~users.c.anonymous)
        return not is_ours(user_id) and tx.execute(own).first() is not None


@dataclass
class _Known:
    """What the tables say about the people of one group of requests, kept up to date while they are resolved one after the other."""

    class One(NamedTuple):
        """A user's row."""

        anonymous: bool
        merged_into: str | None

    owners: dict[tuple[str, str], list[str]]
    people: dict[str, One]
    merges: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)  # by survivor: those that wait

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

    def has(self, user_id: str, pair: tuple[str, str]) -> bool:
        """Whether the user is among those who have an identity."""
        return any(self.survivor(owner) == user_id for owner in self.owners.get(pair, ()))

    def choose(self, person: Person, owners: dict[tuple[str, str], str]) -> str:
        """Whose identities these are: a known user's first, else the one's with the strongest identity.

        A phone says nothing beside an identity that is one person's. Alone, from a source that is believed it, it is hers who alone
        has it.
        """
        pairs = [pair for pair in (*person.identities, *person.former) if pair[0] in UNIQUE]
        if not pairs and not person.former:
            pairs = [pair for pair in person.identities if pair[0] in person.attach]
        found = [owners[pair] for pair in pairs if pair in owners]
        named = (owner for owner in found if not self.is_anonymous(owner))
        return next(named, found[0] if found else "")

    def is_known(self, user_id: str) -> bool:
        """Whether this is an id of the operator's own."""
        return user_id in self.people and not self.is_anonymous(user_id)

    def is_anonymous(self, user_id: str) -> bool:
        """Whether the operator knows no id of hers."""
        one = self.people.get(user_id)
        return one is not None and (one.anonymous or is_ours(user_id))


def _named_by(person: Person) -> tuple[str, str]:
    """The identity that an anonymous user is called by: the strongest that the source is believed; a phone where there is no other."""
    unique = [pair for pair in person.identities if pair[0] in UNIQUE] or person.identities
    return next((pair for pair in unique if pair[0] in person.attach), unique[0])


def _is_a_devices(person: Person) -> bool:
    """Whether this may be the word of a device: it claims no identity that only a signed source is believed, and no right to merge."""
    return not person.may_merge and person.attach <= {"distinct_id"}
