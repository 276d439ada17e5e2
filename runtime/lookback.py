"""After a downtime: events that came between a wait's logical begin and now are matched as if the wait had been there."""

from collections.abc import Sequence
from dataclasses import replace

from journeys.compiled import WaitSpec
from runtime.batches import Work
from runtime.session import Session, Tracked
from runtime.state import ENDED, Arrived, Event
from runtime.store import DatabaseError, SqlStore
from runtime.store.database import Batch


def look_back(store: SqlStore, batch: Batch, work: Work, now: int, done: Sequence[int] = ()) -> None:
    """Let the waits that this batch has begun in the past hear what came since; `done` are the notes that the batch has worked off."""
    waiting = [
        (session, tracked)
        for session in work.sessions.values()
        for tracked in session.tracked
        if tracked.changed and tracked.enrolment.begun_at < now and _awaits_events(tracked) and not _has_heard(tracked)
    ]
    if not waiting:
        return
    watched = set[str]().union(*(t.watched for _, t in waiting))
    leads = store.identity.survivors(batch.connection, watched) if watched else {}  # a rule may name a former id
    owners = {t.enrolment.user_id for _, t in waiting} | watched | set(leads.values())
    since = min(t.enrolment.begun_at for _, t in waiting)
    events = store.inbox.events_since(batch.connection, sorted(owners), since, done)
    if leads:
        events = [replace(e, former=tuple(former for former, now_id in leads.items() if now_id == e.user_id)) for e in events]
    for session, tracked in waiting:
        try:
            _match(session, tracked, events, now)
        except (DatabaseError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad record never stops the batch
            work.quarantine(session.user.id, "enrolment", error, tracked.enrolment.key)


def _match(session: Session, tracked: Tracked, events: Sequence[Event], now: int) -> None:
    for event in events:
        if not _awaits_events(tracked) or _has_heard(tracked):
            break
        enrolment = tracked.enrolment
        if event.user_id != enrolment.user_id and tracked.watched.isdisjoint((event.user_id, *event.former)):
            continue
        if enrolment.begun_at < event.time <= min(now, enrolment.context["until"]):
            session.apply(tracked, Arrived(event, earlier=not tracked.is_new), now)
    session.finish(now)


def _has_heard(tracked: Tracked) -> bool:
    return tracked.heard == (tracked.enrolment.state, tracked.enrolment.begun_at)


def _awaits_events(tracked: Tracked) -> bool:
    enrolment = tracked.enrolment
    if enrolment.status == ENDED:
        return False
    step = tracked.versioned.journey.steps.get(enrolment.state)
    return step is not None and isinstance(step.spec, WaitSpec) and bool(step.spec.cases) and "until" in enrolment.context
