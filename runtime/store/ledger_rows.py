"""Rows of the ledger as the services see them, which of them a claim takes, and the statements of many rows at once."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, bindparam, case, func, insert, literal_column, or_, select, tuple_, update
from sqlalchemy.orm import aliased

from runtime.store.tables import attempts, inbox, messages, pauses

BEGUN = ("SENDING", "UNKNOWN")  # an attempt whose end its own sender may still tell
PROVABLE = ("SENDING", "UNKNOWN", "PENDING", "CLAIMED", "ABANDONED")  # what positive proof turns into ACCEPTED
TOUCHED = ("SENDING", "UNKNOWN", "ACCEPTED", "DELIVERED", "UNDELIVERED")
ROBOT = "robot:"
DIED = "the sender died or was cut off"
# Written out, not bound: only then does SQLite see that the partial indexes of these states serve.
IS_PENDING = messages.c.state == literal_column("'PENDING'")
IS_UNKNOWN = messages.c.state == literal_column("'UNKNOWN'")
OPEN = (IS_PENDING, IS_UNKNOWN, messages.c.lease_until.is_not(None))  # without an outcome: one or the other, each with its index
PAUSED = select(pauses.c.journey).where(pauses.c.resumed_at.is_(None))
LONGEST_HOLD = 2 * 24 * 3_600_000  # a message goes out at most so long after it was planned, or hardly any later
ONCE = "$once"  # of the table `heard`: keys of grants that a user was given under a former id
WITHOUT_EFFECT = ("REJECTED", "EXPIRED", "SUPPRESSED")  # definitely


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A message or effect as the delivery works on it."""

    key: str
    kind: str
    enrolment_id: int
    owner_id: str
    user_id: str
    journey: str
    version_id: int
    step: str
    visit: int
    position: int
    channel: str
    lane: str
    template: str | None
    purpose: str
    topic: str | None
    content: dict[str, Any]
    not_before: int
    due_at: int
    expires_at: int | None
    token: int
    attempts: int
    ambiguous: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt about to begin. `credit` is the vendor template of which a subscription was reserved for it."""

    row: LedgerRow
    vendor_key: str
    address: str = ""
    credit: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """What is kept about one attempt."""

    message_key: str
    position: int
    vendor_key: str
    lane: str
    address: str
    credit: str | None
    started_at: int


FIELDS = (
    "key", "kind", "enrolment_id", "owner_id", "user_id", "journey", "version_id", "step", "visit", "position", "channel", "lane",
    "template", "purpose", "topic", "content", "not_before", "due_at", "expires_at", "token", "attempts", "ambiguous", "cancelled",
)  # fmt: skip
COLUMNS = [messages.c[name] for name in FIELDS]
NEW = (
    "key", "kind", "enrolment_id", "owner_id", "user_id", "journey", "version_id", "step", "visit", "position", "channel", "lane",
    "template", "purpose", "topic", "priority", "state", "content", "created_at", "not_before", "due_at", "expires_at",
)  # fmt: skip
AGAIN = (
    "enrolment_id", "owner_id", "user_id", "journey", "version_id", "step", "visit", "channel", "lane", "content", "created_at",
    "not_before", "due_at", "expires_at",
)  # fmt: skip


def one_of(column: Any, states: Sequence[str]) -> Any:
    """`IN` for statements that are run with many rows at once, which cannot expand a list."""
    return or_(*(column == state for state in states))


def kept(column: Any) -> Any:
    """The vendor's reference; one that is known stays where a look-up tells none."""
    return func.coalesce(func.nullif(bindparam("its_reference"), ""), column)


def doubt_ended(by: Any) -> Any:
    """What settled an attempt that nobody could tell the end of; nothing where there was no doubt."""
    return case((attempts.c.state == "UNKNOWN", by), else_=attempts.c.settled_by)


# Built once: making a statement costs more than running it.
ATTEMPT = insert(attempts).values(
    {name: bindparam(name) for name in ("message_key", "position", "n", "channel", "lane", "vendor_key", "state", "started_at", "deadline",
                                        "address", "credit")}
)  # fmt: skip
ACCEPT = (
    update(messages)
    .where(messages.c.key == bindparam("its_key"), messages.c.position == bindparam("its_position"), one_of(messages.c.state, PROVABLE))
    .values(state="ACCEPTED", reference=kept(messages.c.reference), settled_at=bindparam("at"), lease_until=None, reason=None)
)
END_ATTEMPT = (
    update(attempts)
    .where(attempts.c.message_key == bindparam("its_key"), attempts.c.state == bindparam("its_before"))
    .values(state=bindparam("its_state"), reference=bindparam("its_reference"), reason=bindparam("its_reason"), ended_at=bindparam("at"))
)
_OPEN_ATTEMPT = one_of(attempts.c.state, BEGUN)
PROVE_ATTEMPT = (
    update(attempts)
    .where(attempts.c.message_key == bindparam("its_key"), attempts.c.position == bindparam("its_position"),
           one_of(attempts.c.state, (*BEGUN, "ACCEPTED", "DELIVERED", "UNDELIVERED")))
    .values(
        state=case((_OPEN_ATTEMPT, "ACCEPTED"), else_=attempts.c.state),
        ended_at=case((_OPEN_ATTEMPT, bindparam("at")), else_=attempts.c.ended_at),
        reference=kept(attempts.c.reference),
        settled_by=doubt_ended(bindparam("by")),
    )
)  # fmt: skip
_UNDELIVERED = select(attempts.c.id).where(attempts.c.message_key == messages.c.key, attempts.c.state == "UNDELIVERED").exists()


_MANY: Any = bindparam("keys", expanding=True)


def _claim(keys: Any) -> Any:
    """PENDING → CLAIMED."""
    claim = update(messages).where(messages.c.key.in_(keys), messages.c.state == "PENDING")
    claim = claim.values(state="CLAIMED", token=messages.c.token + 1, lease_until=bindparam("lease"))
    return claim.returning(*COLUMNS, messages.c.priority)


CLAIM_THESE = _claim(_MANY)
INTEND = (
    update(messages)
    .where(messages.c.state == "CLAIMED", tuple_(messages.c.key, messages.c.token).in_(bindparam("mine", expanding=True)))
    .values(state="SENDING", attempts=messages.c.attempts + 1, lease_until=bindparam("lease"),
            begun_at=func.coalesce(messages.c.begun_at, bindparam("at", type_=BigInteger), messages.c.not_before))
    .returning(messages.c.key)
)  # fmt: skip
LATEST_ATTEMPTS = (
    select(attempts.c.message_key, attempts.c.position, attempts.c.vendor_key, attempts.c.lane, attempts.c.address,
           attempts.c.credit, attempts.c.started_at)
    .where(attempts.c.message_key.in_(_MANY)).order_by(attempts.c.id)
)  # fmt: skip


def touching(states: Sequence[str]) -> Any:
    """What counts for the caps of users."""
    return select(
        messages.c.user_id, messages.c.begun_at, messages.c.not_before, messages.c.channel, messages.c.purpose, messages.c.topic
    ).where(
        messages.c.user_id.in_(bindparam("ids", expanding=True)), messages.c.kind == "message",
        or_(messages.c.created_at > bindparam("held_since"), messages.c.begun_at > bindparam("since")),
        messages.c.state.in_(states), messages.c.key != bindparam("besides"),
    )  # fmt: skip


TOUCHES_BEGUN, TOUCHES_PLANNED = touching(TOUCHED), touching((*TOUCHED, "PENDING", "CLAIMED"))


def ending(state: str) -> Any:
    """The final state of a message that goes no further: what an earlier attempt left behind weighs more than a decision."""
    return case((_UNDELIVERED, "UNDELIVERED"), (messages.c.ambiguous > 0, "ABANDONED"), else_=state)


def lane_of(kind: str, channel: str, user_id: str) -> str:
    """The adapter that a message, grant or call goes through."""
    if kind != "message":
        return f"{kind}:{channel}"
    return user_id if user_id.startswith(ROBOT) else channel


@dataclass(frozen=True, slots=True)
class Pick:
    """Which messages a claim takes: of one `lane`, or of all `besides` some; `only` one template, or all but the `held` ones.

    With `one_at_a_time` nobody gets a second message on a lane while one is on its way. `many` are due, more than will be taken: they
    are read in their order; else all that is due is read and sorted, which passes over what is not due yet.
    """

    lane: str | None = None
    besides: tuple[str, ...] = ()
    only: str | None = None
    held: tuple[str, ...] = ()
    one_at_a_time: bool = False
    many: bool = False

    def narrow(self, query: Any) -> Any:
        """A query for messages, narrowed to these."""
        if self.lane is not None:
            query = query.where(messages.c.lane == self.lane)
        if self.besides:
            query = query.where(messages.c.lane.not_in(self.besides))
        if self.only is not None:
            query = query.where(messages.c.template == self.only)
        if self.held:
            query = query.where(or_(messages.c.template.is_(None), messages.c.template.not_in(self.held)))
        if self.one_at_a_time:
            other = aliased(messages)
            same = (other.c.user_id == messages.c.user_id) & (other.c.lane == messages.c.lane)
            query = query.where(~select(other.c.key).where(same, other.c.state.in_(("CLAIMED", "SENDING"))).exists())
        return query


@functools.lru_cache(64)
def claiming(pick: Pick, *, virtual: bool, is_sqlite: bool) -> tuple[Any, Any]:
    """The query for the `most` most urgent messages whose time has come `at` an instant, and the claim of what it finds."""
    # `+ 0` keeps the index of times from leading through all that is due: the index of the claim's own order ends with the limit.
    time = messages.c.not_before + literal_column("0") if pick.many else messages.c.not_before
    query = (
        select(messages.c.key, messages.c.user_id)
        .where(IS_PENDING, time <= bindparam("at"))
        .where(or_(messages.c.expires_at.is_(None), messages.c.expires_at > (messages.c.not_before if virtual else bindparam("at"))))
        .order_by(messages.c.priority.desc(), messages.c.not_before, messages.c.key)
        .limit(bindparam("most"))
    )
    query = pick.narrow(query)
    if not virtual:  # what has arrived about the user may be a withdrawal or the goal: it is projected first
        waits = inbox.c.user_id.in_((messages.c.user_id, messages.c.owner_id))
        query = query.where((messages.c.kind != "message") | ~select(inbox.c.id).where(waits).exists())
    if not is_sqlite:
        query = query.with_for_update(skip_locked=True, of=messages)
    return query, _claim(query.with_only_columns(messages.c.key))
