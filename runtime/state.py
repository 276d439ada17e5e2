"""The plain values that the core works on: users, enrolments, events, stimuli and decisions. No behaviour, no I/O."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from journeys.values import LONGEST_ID

LIVE, HELD_OUT, ENDED = 0, 1, 2
MOVING = "push_id"  # the identity of a phone: whoever has logged in on it last has it
SEVERAL = ("openid", "distinct_id")  # of which one person has several: one for each app, one for each device
HISTORY = "$history"  # in place of a user's audience digest: her history is being imported, what she is in is not known yet
# the ends that the system itself gives; every other one is the file's own word, also where a message is not sent for a reason of that name
SYSTEM_ENDS = frozenset({"completed", "converted", "ended", "late", "restarted", "held_out", "moved", "merged", "failed"})
STATUS_NAMES = {LIVE: "live", HELD_OUT: "held_out", ENDED: "ended"}


def stable_key(*parts: str) -> str:
    """32 hex digits that depend on the parts alone: the same on every machine, in every process, for ever."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def subject_text(value: Any) -> str:
    """How a value stands as an enrolment's subject: "" where it is missing; what is too long for an index by its digest."""
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_ID else stable_key(text)


def bucket(*parts: str) -> int:
    """0 to 9,999, evenly, from stable ids: hold-outs and splits are draws that never change."""
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "big") % 10_000


@dataclass(slots=True)
class User:
    """A person. `profile` holds values (p), tags (t), aggregates (a), event histories (h), former ids (m); times are instants."""

    id: str
    zone: ZoneInfo
    profile: dict[str, Any] = field(default_factory=dict)
    reach: dict[str, Any] = field(default_factory=dict)
    segments: dict[str, Any] = field(default_factory=dict)
    stage: str = ""
    recheck_at: int | None = None
    evaluated_at: int = 0
    audience: str = ""  # the digest that `segments` was evaluated under
    journeys: set[str] = field(default_factory=set)  # where the user is inside now
    is_new: bool = False

    @property
    def former(self) -> list[str]:
        """The ids under which she was known before she was merged."""
        found: list[str] = self.profile.get("m", [])
        return found


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a fact is about, as a source names her: by the operator's own id, by identities, or by both.

    `attach` says whether the source may be believed that the identities are hers (a device may only be believed its distinct_id).
    """

    user_id: str = ""
    identities: tuple[tuple[str, str], ...] = ()
    attach: frozenset[str] = frozenset()
    unbound: tuple[tuple[str, str], ...] = ()  # identities that are hers no more
    former: tuple[tuple[str, str], ...] = ()  # (kind, value) or ("user_id", id): who she was before, to be merged into her
    may_merge: bool = False  # also two users whom the operator knows by ids of her own


@dataclass(frozen=True, slots=True)
class Event:
    """An accepted event. `time` is its own time, never after `received_at`; `data` is typed as declared."""

    id: str
    type: str
    user_id: str
    time: int
    received_at: int
    data: Mapping[str, Any]
    source: str = ""  # of the webhook; an event is known by source and id
    former: tuple[str, ...] = ()  # the ids that its user had before she was merged, where somebody else is shown it

    @property
    def fact_id(self) -> str:
        """The id of the fact that the event is, for entries."""
        return f"{self.type}:{self.source}:{self.id}" if self.source else f"{self.type}:{self.id}"

    def fields(self) -> dict[str, Any]:
        """The names that `event.*` has in a rule."""
        return {**self.data, "id": self.id, "type": self.type, "time": self.time, "user_id": self.user_id}


@dataclass(slots=True)
class Enrolment:
    """One user inside one version of one journey. `begun_at` is the logical time at which the present step began."""

    key: str
    journey: str
    version: int
    user_id: str
    subject: str
    state: str
    status: int
    due_at: int | None
    begun_at: int
    entered_at: int
    goal_until: int | None = None
    converted_at: int | None = None
    ended_at: int | None = None
    ended_by: str | None = None
    context: dict[str, Any] = field(default_factory=dict)  # entry, steps, visits, wait
    id: int = 0

    def copied(self) -> "Enrolment":
        """A copy that may be changed: as deep in the context as a decision writes. (dataclasses.replace is ten times slower.)"""
        context = dict(self.context)
        for key in ("steps", "visits"):
            if key in context:
                context[key] = dict(context[key])
        return Enrolment(
            self.key, self.journey, self.version, self.user_id, self.subject, self.state, self.status, self.due_at, self.begun_at,
            self.entered_at, self.goal_until, self.converted_at, self.ended_at, self.ended_by, context, self.id,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Due:
    """The enrolment's own timer."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event that this enrolment may wait for, aim at or end by; `earlier`: goals and exits have seen it, only a wait has not."""

    event: Event
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """The user's profile changed: conditions that end or are waited for are looked at."""

    at: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The final outcome of a grant or call."""

    step: str
    visit: int
    ok: bool
    at: int
    reason: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)


Stimulus = Due | Arrived | Changed | Settled


@dataclass(slots=True)
class LogEntry:
    """One line of a user's story: a stable action, the step, and the why (clause, values, reason)."""

    at: int
    action: str
    step: str = ""
    why: dict[str, Any] = field(default_factory=dict)

    def as_list(self) -> list[Any]:
        """The compact form in which the log keeps it."""
        return [self.at, self.action, self.step, self.why]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A row of the ledger to be written PENDING: a message, a grant or a call."""

    key: str
    kind: Literal["message", "grant", "call"]
    step: str
    visit: int
    user_id: str  # the recipient
    channel: str  # of a grant: the benefit; of a call: the endpoint
    template: str | None
    purpose: str
    topic: str | None
    priority: int
    position: int
    not_before: int
    expires_at: int | None
    content: Mapping[str, Any]
    passed: tuple[Mapping[str, Any], ...] = ()  # the positions of the list before it, and why each was no way to her


@dataclass(frozen=True, slots=True)
class UserUpdate:
    """Changes that a step makes to the enrolled user."""

    values: Mapping[str, Any]
    add_tags: tuple[str, ...]
    remove_tags: tuple[str, ...]
    increment: Mapping[str, float]


@dataclass(slots=True)
class Decision:
    """What one stimulus makes of an enrolment. `enrolment` is the row after it; the rest is to be written with it."""

    enrolment: Enrolment
    log: list[LogEntry] = field(default_factory=list)
    messages: list[NewMessage] = field(default_factory=list)
    updates: list[UserUpdate] = field(default_factory=list)
    cancel_pending: bool = False
    steps: int = 0


@dataclass(frozen=True, slots=True)
class NeedsReach:
    """The decision sends to somebody else: load what these recipients can be sent, and decide again."""

    user_ids: frozenset[str]


@dataclass(slots=True)
class Window:
    """A window of a paced journey, from `begun_at` until just before `until`: how many have entered in it."""

    begun_at: int
    until: int
    taken: int = 0


@dataclass(frozen=True, slots=True)
class NeedsWindow:
    """Nothing but the pace can refuse the entry any more: load the window that it falls into, and ask again."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an entry was refused."""

    journey: str
    user_id: str
    reason: str
    at: int
    why: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """What lets somebody enter: an event, a segment edge, a fire of a schedule or date, a call."""

    kind: str
    id: str
    at: int
    data: Mapping[str, Any] = field(default_factory=dict)
    event: Event | None = None
    forced: str = ""  # a rehearsal's own choice: "in" or "out" of the hold-out


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person said once about one channel and purpose; `said_at` is when, `wording` which version of the question."""

    user_id: str
    channel: str
    purpose: str
    granted: bool
    source: str
    wording: str
    said_at: int


@dataclass(frozen=True, slots=True)
class Entered:
    """A new enrolment, and the live ones that it replaces (mode: restart)."""

    enrolment: Enrolment
    restarted: tuple[Enrolment, ...] = ()
    log: tuple[LogEntry, ...] = ()
