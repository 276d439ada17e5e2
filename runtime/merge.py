"""Merging two users who are one person: one survivor, whose profile is what the events of both say; a trace in her story.

A merge is no edge: what either was inside, and what the events of both together put her into, she is inside of from then on, and nobody
enters by that. What she has left by it, and what flips later, is found at the next look, at its own time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.localtime import day_number
from runtime.catalogue import Catalogue
from runtime.facts import UserFacts
from runtime.opening import Opening
from runtime.reprojection import reproject
from runtime.rounds import Rounds, Worked
from runtime.state import ENDED, HISTORY, MOVING, Enrolment, Event, LogEntry, User
from runtime.store import DatabaseError, SqlStore
from runtime.store.inbox import Note, Quarantined
from runtime.store.people import Logged

Awaited = Callable[[Any, Enrolment], Collection[str]]  # in a transaction: the types of events that may move an enrolment


def joined(survivor: User, former: User, zone: ZoneInfo) -> None:
    """The survivor takes over what is known of the former: her own values first, and her own word that there is none (a trait of null,
    a tag taken away); of consents the latest answer, and a no before a yes; of their phones the one that was told last. Her zone is her
    own, else the former's: `zone` is the project's, of who has told none.

    What is computed from events (aggregates, windows) is computed anew by whoever has the events of both.
    """
    reach, other = survivor.reach, former.reach
    mine, theirs = reach.get("told", {}), other.get("told", {})
    values = {name: value for name, value in former.profile.get("p", {}).items() if f"trait.{name}" not in mine}
    tags = {tag for tag in former.profile.get("t", ()) if f"tag.{tag}" not in mine}
    survivor.profile["p"] = {**values, **survivor.profile.get("p", {})}
    survivor.profile["t"] = sorted({*tags, *survivor.profile.get("t", ())})
    survivor.profile["m"] = [*survivor.profile.get("m", ()), former.id, *former.profile.get("m", ())]
    told = {**theirs, **mine}  # as of the values: her own first
    identities = {**other.get("identities", {}), **reach.get("identities", {})}
    phone = f"identity.{MOVING}"
    if theirs.get(phone, 0) > mine.get(phone, 0) and MOVING in other.get("identities", {}):
        identities[MOVING], told[phone] = other["identities"][MOVING], theirs[phone]
    reach["identities"] = identities
    if survivor.zone.key == zone.key and "zone" not in mine:
        survivor.zone = former.zone
    consents, said = _answers(reach, other)
    if consents:
        reach["consents"], reach["said"] = consents, said
    if told:
        reach["told"] = told


def _answers(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[dict[str, dict[str, bool]], dict[str, int]]:
    consents = {channel: dict(purposes) for channel, purposes in mine.get("consents", {}).items()}
    said = dict(mine.get("said", {}))
    for channel, purposes in theirs.get("consents", {}).items():
        for purpose, granted in purposes.items():
            name, at = f"{channel}.{purpose}", theirs.get("said", {}).get(f"{channel}.{purpose}", 0)
            known = consents.setdefault(channel, {}).get(purpose)
            if known is None or at > said.get(name, 0) or (at == said.get(name, 0) and not granted):
                consents[channel][purpose], said[name] = granted, at
    return consents, said


def settle(user: User, other: User, audience: Audience, now: int) -> None:
    """What she is in after the join is taken as it is. `user` has the profile of both already; who was never looked at knows nothing.

    That is as of now; where something of either was to flip by time before now and nobody has looked, as of just before that flip.
    """
    if user.is_new:
        user.audience, user.is_new = other.audience, other.is_new
    elif other.audience == HISTORY:  # half known until the import of the former's history has ended
        user.audience = HISTORY
    if user.is_new:
        return
    known = [one.recheck_at for one in (user, other) if one.recheck_at is not None]
    at = min([now, *(due - 1 for due in known if due <= now)]) if user.audience != HISTORY else now
    either = {
        name for one in (user, other) for name, digest in audience.segment_digests.items() if one.segments.get(name) == [digest, True]
    }
    user.stage = user.stage or other.stage
    user.evaluated_at = max(user.evaluated_at, other.evaluated_at)
    if user.audience == HISTORY:
        user.recheck_at = other.recheck_at if other.audience == HISTORY else user.recheck_at
    else:
        if user.stage:
            facts = UserFacts(audience, user, at)
            user.stage = next((name for name, rule in audience.stages if rule is None or rule.test(facts)), "")
        facts = UserFacts(audience, user, at)
        either |= {name for name in audience.segment_digests if facts.segment(name)}
        user.recheck_at, user.evaluated_at = min(known, default=None), max(user.evaluated_at, at)
    user.segments = {name: [digest, name in either] for name, digest in audience.segment_digests.items()}


def _not_heard(store: SqlStore, tx: Any, survivor: str, former: str, awaited: Awaited) -> list[tuple[Event, str, list[int]]]:
    """What either did while the other (or somebody who waits for what the other does) was inside a journey that it may move: the event,
    whose enrolments these are, and which; in the order of time.
    """
    both = [survivor, former]
    inside, watching = store.people.open_enrolments(tx, both, 0), store.people.watching(tx, both)
    found: list[tuple[Event, str, list[int]]] = []
    for her, other in ((survivor, former), (former, survivor)):
        concerned = [*inside.get(her, ()), *(e for e in watching.get(her, ()) if e.user_id not in both)]
        waiting = [(e, types) for e in concerned if (types := awaited(tx, e))]
        if not waiting:
            continue
        for event in store.inbox.events_since(tx, [other], min(e.entered_at for e, _ in waiting)):
            ids: dict[str, list[int]] = {}
            for e, types in waiting:
                if event.type in types and e.entered_at < event.time and _counts(e, event):
                    ids.setdefault(survivor if e.user_id in both else e.user_id, []).append(e.id)
            found += [(event, whose, mine) for whose, mine in ids.items()]
    return sorted(found, key=lambda one: (one[0].time, one[0].id))


def _counts(enrolment: Enrolment, event: Event) -> bool:
    return enrolment.status < ENDED or event.time <= (enrolment.goal_until or 0)


def merge(
    store: SqlStore, tx: Any, note: Note, audience: Audience, zone: ZoneInfo, awaited: Awaited, now: int
) -> bool:  # fmt: skip
    """Do what a merge note asks (`zone` is the project's); False when one of the two is being worked on elsewhere: it is asked again."""
    former = store.identity.survivors(tx, [note.payload["former"]]).get(note.payload["former"], note.payload["former"])
    survivor = store.identity.survivors(tx, [note.user_id]).get(note.user_id, note.user_id)
    if former == survivor:
        store.inbox.finish(tx, [note.id])
        return True
    refused = store.identity.refused(tx, note.payload, former)
    if refused:
        store.identity.show_conflict(tx, survivor, former, note.payload["source"], note.payload["by"], now, refused)
        store.inbox.finish(tx, [note.id])
        return True
    merging = store.merging
    if not merging.lock(tx, [survivor, former]):
        return False
    found = store.people.load_users(tx, [survivor, former])
    user, other = found[survivor], found[former]
    ended = merging.end_doubles(tx, survivor, former, now)
    store.ledger.cancel_of(tx, [e.id for e in ended], "merged", now)
    store.ledger.withdraw_of(tx, [e.id for e in ended], "merged", now)
    doubles = store.ledger.give_once(tx, survivor, former, now)
    not_heard = _not_heard(store, tx, survivor, former, awaited)
    merging.move(tx, survivor, former)
    for row in doubles:
        given = {"enrolment_id": row.enrolment_id, "step": row.step, "visit": row.visit, "ok": True, "at": now, "reason": "given before"}
        store.inbox.add_note(tx, survivor if row.owner_id == former else row.owner_id, "settled", given, now)
    joined(user, other, zone)
    stages = [user.stage, other.stage]
    user.profile = reproject(store, tx, [user], audience, zone)[survivor]
    settle(user, other, audience, now)
    store.people.save_users(tx, [user])
    why = {"former": former, "source": note.payload["source"], "by": note.payload["by"]}
    rows = [Logged(survivor, e.id, [LogEntry(now, "ended", "", {"reason": "merged"})]) for e in ended]
    store.people.write_log(tx, [Logged(survivor, None, [LogEntry(now, "merged", "", why)]), *rows], now)
    day = day_number(now, zone)
    counts = Counter((e.journey, day, "ended", "merged") for e in ended)
    for stage, n in ((user.stage, 1), *((before, -1) for before in stages)):
        if stage:
            counts["", day, "stage", stage] += n
    store.people.add_tallies(tx, {what: n for what, n in counts.items() if n})
    store.inbox.finish(tx, [note.id])
    for event, whose, enrolment_ids in not_heard:  # who has ordered under the one id is not told under the other that we miss her
        store.inbox.forward(tx, replace(event, former=tuple(user.former)), whose, now, enrolment_ids)
    store.inbox.add_note(tx, survivor, "user", {"source": "merge"}, now)  # her segments, goals and waits are looked at anew
    return True


@dataclass(frozen=True)
class Merging:
    """Does what merge notes ask. `zone` is the project's."""

    store: SqlStore
    zone: ZoneInfo
    opening: Opening
    rounds: Rounds

    def merge(self, catalogue: Catalogue, note: Note, now: int, worked: Worked) -> None:
        """A merge locks two users: it is a transaction of its own, after everything that came before it was worked on."""
        try:
            if not self._look_before(catalogue, note, now, worked):
                return
            awaited = partial(self.opening.awaited, catalogue)
            merged = self.store.database.write(lambda tx: merge(self.store, tx, note, catalogue.audience, self.zone, awaited, now))
        except (DatabaseError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
            aside = Quarantined("engine", f"{type(error).__name__}: {error}"[:500], str(note.payload)[:2000], note.user_id, "merge")
            self.store.database.write(lambda tx: self._set_aside(tx, note, aside, now))
            worked.quarantined += 1
        else:
            worked.notes += merged

    def _look_before(self, catalogue: Catalogue, note: Note, now: int, worked: Worked) -> bool:
        """What time had changed for either before they were said to be one is her own edge, found at its own time.

        False while one of them is being worked on elsewhere. A flip after the merge was noted is found in her who has become of both.
        """
        with self.store.database.batch() as batch:
            leads = self.store.identity.survivors(batch.connection, both := [note.user_id, note.payload["former"]])
            ids = sorted({leads.get(user_id, user_id) for user_id in both})
            found = self.store.people.load_users(batch.connection, ids, lock=True)
            due = {u.id: u.recheck_at for u in found.values() if u.recheck_at is not None and u.audience != HISTORY}
            users = [found[user_id] for user_id, at in due.items() if at <= note.received_at]
            if users and len(found) == len(ids):
                work = self.opening.open(catalogue, batch, [u.id for u in users], now, users=users)
                for user in users:
                    work.take(work.sessions[user.id], replace(note, user_id=user.id, kind="recheck"), (), now)
                self.rounds.conclude(batch, work, now, worked)
            return len(found) == len(ids)

    def _set_aside(self, tx: Any, note: Note, aside: Quarantined, now: int) -> None:
        self.store.inbox.finish(tx, [note.id])
        self.store.inbox.quarantine(tx, [aside], now)
