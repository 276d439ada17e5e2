"""Whom and what somebody asks about: users by what is known of them, messages by what a vendor calls them, and what is kept besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from runtime.state import STATUS_NAMES, Event, LogEntry
from runtime.store.codec import Codec
from runtime.store.ledger_rows import TOUCHED
from runtime.store.rows import event_of
from runtime.store.tables import (
    attempts,
    enrolments,
    events,
    identities,
    inbox,
    log,
    messages,
    populations,
    release_versions,
    releases,
    users,
    versions,
)

NOT_SENT = ("suppressed", "late")  # log entries of a step that gave her nothing
IDS = 500  # asked for at once
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry of everybody: of those who were in the segment already, or of a schedule's fire. `done_at` is empty while it goes on."""

    kind: str
    at: int
    cursor: str
    done_at: int | None


@dataclass(frozen=True, slots=True)
class Then:
    """A touch that counted when a message went out; `key` is its message."""

    key: str
    at: int
    channel: str
    purpose: str
    topic: str | None


@dataclass(frozen=True, slots=True)
class Got:
    """What an enrolment had of one step: `n` rows of the ledger in one state.

    `channel` of a grant is its benefit, of a call its endpoint.
    """

    step: str
    kind: str
    channel: str
    state: str
    n: int


@dataclass(frozen=True, slots=True)
class Missed:
    """What an enrolment was not sent: a step, and why; of a list of channels, why by each."""

    step: str
    reason: str
    positions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Entrant:
    """One enrolment of a journey: who, since when, where now, what came of its messages, grants and calls, in their order, and what was
    not sent.
    """

    user_id: str
    subject: str
    version: int
    entered_at: int
    status: str
    state: str
    due_at: int | None
    ended_at: int | None
    ended_by: str | None
    converted_at: int | None
    got: list[Got]
    missed: list[Missed]
    held_out: bool = False  # also when it has ended since, by the goal or otherwise


class Enquiries:
    """Statements that find. Reads only."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    # --- users

    def is_known(self, tx: Connection, user_id: str) -> bool:
        """Whether there is a row of this id, a former one too."""
        return tx.execute(select(users.c.user_id).where(users.c.user_id == user_id)).first() is not None

    def with_identity(self, tx: Connection, values: Sequence[str]) -> list[tuple[str, str, str]]:
        """(kind, value, user) of everybody who has one of these as a phone, openid, unionid or other identity."""
        known: list[str] = []  # the key begins with the kind, of which there are few
        while kind := tx.execute(select(func.min(identities.c.kind)).where(identities.c.kind > (known[-1] if known else ""))).scalar_one():
            known.append(kind)
        query = select(identities.c.kind, identities.c.value, identities.c.user_id)
        rows = tx.execute(query.where(identities.c.kind.in_(known), identities.c.value.in_(values)).order_by(identities.c.user_id))
        return [(row.kind, row.value, row.user_id) for row in rows]

    def beginning_with(self, tx: Connection, text: str, most: int) -> list[str]:
        """The first user ids that begin with a text."""
        query = select(users.c.user_id).where(users.c.user_id >= text, users.c.user_id < text + LAST_CHARACTER)
        return [found for found in tx.execute(query.order_by(users.c.user_id).limit(most)).scalars() if found.startswith(text)]

    def created_at(self, tx: Connection, user_id: str) -> int:
        """When she became known; 0 where that is not kept."""
        return int(tx.execute(select(users.c.created_at).where(users.c.user_id == user_id)).scalar_one_or_none() or 0)

    def unprojected(self, tx: Connection, user_id: str) -> int:
        """How many events and records of hers nobody has worked on yet."""
        return int(tx.execute(select(func.count()).select_from(inbox).where(inbox.c.user_id == user_id)).scalar_one())

    def last_events(self, tx: Connection, user_id: str, types: Sequence[str], most: int) -> list[tuple[Event, bool]]:
        """Her newest events of these types, newest first, each with whether it is history, which moves nobody."""
        columns = ("event_id", "type", "user_id", "time", "received_at", "data", "source", "history")
        mine = (events.c.user_id == user_id) & events.c.type.in_(types)
        query = select(*(events.c[name] for name in columns)).where(mine).order_by(events.c.time.desc(), events.c.id.desc())
        return [(event_of(row[:-1], self._codec), bool(row.history)) for row in tx.execute(query.limit(most))]

    # --- messages

    def messages_called(self, tx: Connection, name: str) -> list[str]:
        """The keys of the messages that are called so: by our key, or by the vendor's own id."""
        mine = tx.execute(select(messages.c.key).where(messages.c.key == name)).scalars().all()
        return list(mine) or sorted(set(tx.execute(select(attempts.c.message_key).where(attempts.c.reference == name)).scalars()))

    def messages_given(self, tx: Connection, vendor_key: str) -> list[str]:
        """The keys of the messages that a vendor was given under a key. No index has it: all attempts are looked through."""
        return sorted(set(tx.execute(select(attempts.c.message_key).where(attempts.c.vendor_key == vendor_key)).scalars()))

    def touches_then(self, tx: Connection, user_id: str, since: int, until: int, besides: str) -> list[Then]:
        """What counted for a user's caps in (since, until], as the ledger has it now: without what was refused later."""
        query = select(messages.c.key, messages.c.begun_at, messages.c.channel, messages.c.purpose, messages.c.topic).where(
            messages.c.user_id == user_id, messages.c.kind == "message", messages.c.state.in_(TOUCHED), messages.c.key != besides,
            messages.c.begun_at > since, messages.c.begun_at <= until,
        )  # fmt: skip
        return [Then(*row) for row in tx.execute(query.order_by(messages.c.begun_at, messages.c.key))]

    # --- journeys

    def journeys(self, tx: Connection) -> list[str]:
        """Every journey that was ever applied."""
        return list(tx.execute(select(versions.c.journey).distinct().order_by(versions.c.journey)).scalars())

    def applied_first(self, tx: Connection, journey: str) -> int | None:
        """When any version of a journey was applied first."""
        joined = releases.join(release_versions, release_versions.c.release_id == releases.c.id)
        joined = joined.join(versions, versions.c.id == release_versions.c.version_id)
        query = select(func.min(releases.c.applied_at)).select_from(joined).where(versions.c.journey == journey)
        return tx.execute(query).scalar_one_or_none()

    def entries_of_all(self, tx: Connection, journey: str) -> list[Entered]:
        """The entries over everybody of a journey, newest first."""
        columns = (populations.c.kind, populations.c.at, populations.c.cursor, populations.c.done_at)
        query = select(*columns).where(populations.c.journey == journey).order_by(populations.c.at.desc(), populations.c.id.desc())
        return [Entered(*row) for row in tx.execute(query)]

    def releases(self, tx: Connection) -> list[tuple[int, int, str]]:
        """(number, when it was applied, the audience's digest) of every release, oldest first."""
        query = select(releases.c.id, releases.c.applied_at, releases.c.audience_digest).order_by(releases.c.id)
        return [(row.id, row.applied_at, row.audience_digest) for row in tx.execute(query)]

    def entrants(self, tx: Connection, journey: str, since: int, most: int | None) -> tuple[list[Entrant], int]:
        """Those who entered a journey from an instant on, the newest first, and how many there are; `most` None: all of them."""
        mine = (enrolments.c.journey == journey) & (enrolments.c.entered_at >= since)
        n = tx.execute(select(func.count()).select_from(enrolments).where(mine)).scalar_one()
        query = select(enrolments, versions.c.number).join(versions, versions.c.id == enrolments.c.version_id).where(mine)
        rows = tx.execute(query.order_by(enrolments.c.entered_at.desc(), enrolments.c.id.desc()).limit(most)).all()
        got: dict[int, list[Got]] = {}
        ids = [row.id for row in rows]
        columns = tuple(messages.c[name] for name in ("enrolment_id", "step", "kind", "channel", "state"))
        # a call or grant and the message that tells of it are often of one instant
        order = (func.min(messages.c.created_at), messages.c.kind, messages.c.step, messages.c.channel, messages.c.state)
        for start in range(0, len(ids), IDS):
            part = messages.c.enrolment_id.in_(ids[start : start + IDS])
            counted = select(*columns, func.count()).where(part).group_by(*columns)
            for enrolment_id, *one in tx.execute(counted.order_by(*order)):
                got.setdefault(enrolment_id, []).append(Got(*one))
        missed, held = self._logged(tx, {row.id: row.user_id for row in rows})
        return [
            Entrant(
                row.user_id, row.subject, row.number, row.entered_at, STATUS_NAMES[row.status], row.state, row.due_at,
                row.ended_at, row.ended_by, row.converted_at, got.get(row.id, []), missed.get(row.id, []), row.id in held,
            )
            for row in rows
        ], int(n)  # fmt: skip

    def _logged(self, tx: Connection, whose: Mapping[int, str]) -> tuple[dict[int, list[Missed]], set[int]]:
        """What the log alone knows: by enrolment the sends that it passed without a message; and which were into the hold-out."""
        found: dict[int, list[Missed]] = {}
        held: set[int] = set()
        ids = list(whose)
        for start in range(0, len(ids), IDS):
            part = ids[start : start + IDS]
            mine = log.c.user_id.in_({whose[one] for one in part}) & log.c.enrolment_id.in_(part)  # by user: what the index has
            for enrolment_id, text in tx.execute(select(log.c.enrolment_id, log.c.entries).where(mine).order_by(log.c.id)):
                lines = [LogEntry(*parts) for parts in self._codec.decode("log.entries", whose[enrolment_id], text)]
                if any(line.action == "entered" and line.why.get("held_out") for line in lines):
                    held.add(enrolment_id)
                found.setdefault(enrolment_id, []).extend(_missed(line) for line in lines if line.action in NOT_SENT)
        return found, held


def _missed(line: LogEntry) -> Missed:
    positions = ((met["channel"], met["reason"]) for met in line.why.get("positions", ()))
    return Missed(line.step, str(line.why.get("reason", line.action)), tuple(positions))
