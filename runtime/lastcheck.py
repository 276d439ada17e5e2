"""The last question before the first byte (T3): cancellation, consent, caps, windows, expiry, credits and budgets, asked again.

Content is never rendered again; what no longer works here opens the next position of the send's list, by the step's own rule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from journeys.compiled import SendSpec
from journeys.duration import MINUTE
from journeys.lineage import carried_names
from runtime.catalogue import Versioned
from runtime.engine import Engine
from runtime.facts import UserFacts
from runtime.policy import Drop, Hold, PersonReach, Reach, Rules, Sending, UnknownReach, count_credit, first_stop, may_send, robot_reach
from runtime.reaching import Reaching
from runtime.sending import Held, compose
from runtime.state import Enrolment, NewMessage, User
from runtime.store import SqlStore
from runtime.store.codec import Unreadable
from runtime.store.ledger_rows import ROBOT, LedgerRow


@dataclass(frozen=True, slots=True)
class Go:
    """The attempt may begin. `credit` is the vendor template of which one subscription was reserved."""

    credit: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before an instant. `is_hold`: lateness counts from there on; a pause leaves it where it was."""

    until: int
    reason: str
    is_hold: bool = True


@dataclass(frozen=True, slots=True)
class Stop:
    """Not at all: the final state and its reason."""

    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Next:
    """Not this way: the next position of the list."""

    following: NewMessage
    reason: str


Verdict = Go | Wait | Stop | Next
People = Mapping[str, tuple[PersonReach, User | None]]


@dataclass(frozen=True)
class LastCheck:
    """Asks for each claimed message. Reserving is part of the answer: a budget's unit, a subscription."""

    store: SqlStore
    engine: Engine
    reaching: Reaching
    rules: Rules
    zone: ZoneInfo

    def reach(self, tx: Any, rows: Iterable[LedgerRow], now: int, *, lock: bool = True, besides: str = "") -> People:
        """What the recipients can be sent; their rows are locked, so that two daemons count caps one after the other.

        Left out are those whose rows somebody else has locked at this moment: they are asked again a moment later.
        """
        rows = list(rows)
        ids = sorted({row.user_id for row in rows if not row.user_id.startswith(ROBOT)})
        users = self.store.people.load_users(tx, ids, lock=lock) if ids else {}
        taken = self.store.people.existing(tx, [user_id for user_id in ids if user_id not in users]) if lock else set()
        ids, rows = [i for i in ids if i not in taken], [row for row in rows if row.user_id not in taken]
        loaded = self.reaching.load(tx, ids, users, now, started_only=True, besides=besides)
        found: dict[str, tuple[PersonReach, User | None]] = {}
        for row in rows:
            if row.user_id.startswith(ROBOT):
                found[row.user_id] = (robot_reach(row.user_id.removeprefix(ROBOT), self.zone), None)
                continue
            person = loaded[row.user_id]
            if isinstance(person, PersonReach):
                found[row.user_id] = (person, users.get(row.user_id))
            else:  # unreadable: who cannot be asked has not agreed to anything
                found[row.user_id] = (PersonReach(row.user_id, self.zone, assume_consent=frozenset()), None)
        return found

    def ask(self, tx: Any, row: LedgerRow, people: People, now: int) -> Verdict:
        """May this go now? `people` is the reach of its recipient. What cannot be asked may not be sent."""
        try:
            return self._ask(tx, row, people, now)
        except (ValueError, TypeError, KeyError):  # one broken record never stops the others
            return Stop("SUPPRESSED", "invalid_content")

    def _ask(self, tx: Any, row: LedgerRow, people: People, now: int) -> Verdict:
        if row.cancelled:
            return Stop("SUPPRESSED", "cancelled")
        if row.journey in self.engine.paused:
            return Wait(now + MINUTE, "paused", is_hold=False)
        if isinstance(row.content, Unreadable):
            return Stop("SUPPRESSED", "invalid_content")
        if row.kind == "grant":
            sold_out = row.attempts == 0 and not self.store.budgets.reserve(tx, row.channel)
            return Stop("REJECTED", "budget") if sold_out else Go()
        if row.kind == "call":
            return Go()
        if self._late(row, now):
            return Stop("SUPPRESSED", "late")
        return self._message(tx, row, *people[row.user_id], now)

    def _message(self, tx: Any, row: LedgerRow, person: PersonReach, user: User | None, now: int) -> Verdict:
        try:
            stop = self._stop(row, user, now)
        except Exception:  # noqa: BLE001 - one user's broken profile never stops the others; what cannot be asked may not be sent
            return Stop("SUPPRESSED", "invalid_content")
        spec = self.spec(row)
        between = spec.between if spec is not None else None
        answer = may_send(
            self.rules, person, Sending(row.channel, row.template, row.purpose, row.topic, between, row.expires_at, stop), now
        )
        if isinstance(answer, Hold):
            return Wait(answer.until, answer.reason)
        if isinstance(answer, Drop):
            if answer.reason == "expired":
                return Stop("EXPIRED", answer.reason)
            return self._no_way(tx, row, answer.reason, now) if not answer.final else Stop("SUPPRESSED", answer.reason)
        return self._take_credit(tx, row, person, now)

    def _take_credit(self, tx: Any, row: LedgerRow, person: PersonReach, now: int) -> Verdict:
        template = row.template or ""
        template_id = self.rules.template_ids.get(template) if row.channel == "wechat" else None
        openid = person.addresses.get("openid")
        if template_id is None or openid is None or template not in person.credits:
            return Go()
        if self.store.contacts.take_credit(tx, openid, template_id):
            count_credit(person, row.channel, template)
            return Go(template_id)
        return self._no_way(tx, row, "no_credit", now)

    def _no_way(self, tx: Any, row: LedgerRow, reason: str, now: int) -> Verdict:
        """Another position may work; what may have arrived already does not go out a second way."""
        following = self.following(tx, row, now) if not row.ambiguous else None
        return Next(following, reason) if following is not None else Stop("SUPPRESSED", reason)

    def _late(self, row: LedgerRow, now: int) -> bool:
        """Whether an outage has made it too late for the journey's own `max_lateness`."""
        versioned = self.engine.version_of(row.version_id)
        limit = versioned.journey.max_lateness if versioned is not None else None
        return limit is not None and now - row.due_at > limit

    def _stop(self, row: LedgerRow, user: User | None, now: int) -> str | None:
        if row.purpose != "marketing" or user is None:
            return None
        audience = self.engine.catalogue.audience
        return first_stop(audience.stops, UserFacts(audience, user, now))

    def _results(self, enrolment: Enrolment, versioned: Versioned) -> Mapping[str, Any]:
        """The results of steps by their names in the version that wrote the message: she may have been moved to another since."""
        found: Mapping[str, Any] = enrolment.context.get("steps", {})
        hers = self.engine.version_of(enrolment.version) if enrolment.version != versioned.version_id else None
        return carried_names(found, hers.journey, versioned.journey, enrolment.context.get("gone")) if hers is not None else found

    def spec(self, row: LedgerRow) -> SendSpec | None:
        """The send step of a message; None when its version is gone."""
        versioned = self.engine.version_of(row.version_id)
        step = versioned.journey.steps.get(row.step) if versioned else None
        return step.spec if step is not None and isinstance(step.spec, SendSpec) else None

    def following(self, tx: Any, row: LedgerRow, now: int) -> NewMessage | None:
        """The next position of the send's list, chosen and rendered now by the rule of the step itself; None when there is none."""
        spec, versioned = self.spec(row), self.engine.version_of(row.version_id)
        if spec is None or versioned is None or spec.every or row.position + 1 >= len(spec.positions) or row.cancelled:
            return None
        enrolment = self.store.people.enrolment(tx, row.enrolment_id)
        users = self.store.people.load_users(tx, [row.owner_id])
        if enrolment is None or row.owner_id not in users:
            return None
        people = self.reach(tx, [row], now, lock=False, besides=row.key)  # the refused attempt is no touch
        reach = Reach(self.rules, {user_id: person for user_id, (person, _) in people.items()})
        facts = UserFacts(
            self.engine.catalogue.audience, users[row.owner_id], now, reach=reach, entry=enrolment.context.get("entry", {}),
            steps=self._results(enrolment, versioned), purpose=versioned.journey.journey.purpose,
        )  # fmt: skip
        step, start = versioned.journey.steps[row.step], row.position + 1
        try:
            made = compose(versioned.journey, step, spec, enrolment, facts, reach, row.visit, now, now, start)
            if isinstance(made, Held):  # a window has closed meanwhile: it waits in the ledger, and is asked again then
                until = made.hold.until
                made = compose(versioned.journey, step, spec, enrolment, facts, reach, row.visit, until, until, start)
        except UnknownReach:  # `to` names somebody else by now: a message does not change its recipient
            return None
        except (ValueError, TypeError, KeyError):  # what cannot be read costs this message only
            return None
        return made[0] if isinstance(made, list) and made[0].user_id == row.user_id else None
