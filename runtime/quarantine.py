"""`quarantine`: what was set aside is read again with today's audience and config; what is good by now is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from journeys.audience import Audience
from runtime.app import App
from runtime.intake.items import Parsed, Reader
from runtime.intake.reading import MOST_OF_SDK, Unreadable, parse_json
from runtime.intake.sources import Source, sources_of
from runtime.intake.vendors import READERS, again_of, posted_of, source_again, whose
from runtime.store import SqlStore
from runtime.store.inbox import Quarantined
from runtime.store.quarantine import SetAside

RECORD_PARTS = {"traits", "tags", "remove_tags", "identities", "consents", "zone"}
READABLE = ("event", "user", "call", "request", *READERS)
IDENTITY_CURE = (
    'what settles it: a user record that takes it from the one who has it ("identities": {"openid": null}), or one with'
    ' "merge": ["the other id"] from a signed source with may_assert identity_merge'
)
IN_PARTS = ("request", "event", "user")  # of these a part may be good: messages of a request, all but the phone of a record


@dataclass(frozen=True)
class Today:
    """What a kept body is read with. `received_at` is when the body came, `request_id` names it, `limit` is bytes after decompression."""

    audience: Audience
    now: int
    sources: Sequence[Source]
    limit: int = 16 << 20
    received_at: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a row: taken (`reason` is empty; `new` is False for what was known already), or left with its reason."""

    id: int
    outcome: Literal["taken", "left"]
    reason: str = ""
    new: bool = True


def today_of(app: App, now: int) -> Today:
    """Today's audience and config, as the file says now: whoever holds the database may have been started before it was mended."""
    project = app.project.as_written()
    return Today(app.engine.catalogue.audience, now, sources_of(project), project.settings.server.sdk_limit)


def again(source: str, kind: str, body: str, today: Today) -> Parsed:
    """Read a kept body as intake reads it today: what is good in it, and why the rest still cannot be taken."""
    value = parse_json(body.encode(), MOST_OF_SDK)
    if isinstance(value, Unreadable):
        return _refused(source, kind, body, today, value.detail)
    if kind == "request":
        return _request(value, source, body, today)
    found = source_again(today.sources, source, kind, value)
    if found is None:
        reason = f"source {source} does not stand in config any more ([intake.sources.{source}])"
        return _refused(source, kind, body, today, reason)
    reader = _reader(found, today)
    if kind in READERS:
        return again_of(found, reader, kind, value)
    if kind == "call":
        return reader.calls(value["call"], value["journey"])
    if kind == "user" or (isinstance(value, dict) and "type" not in value and not RECORD_PARTS.isdisjoint(value)):
        return reader.records(value)
    return reader.events(value)


def _reader(source: Source, today: Today) -> Reader:
    """By the clock of now: what was dated too far ahead is taken once its time has come. A sender's clock is corrected by its receipt."""
    return source.reader(today.audience, today.now, today.request_id, today.received_at)


def _request(value: Any, source: str, body: str, today: Today) -> Parsed:
    """A whole request in which nothing could be told apart, or whose source was not known."""
    posted = posted_of(value)
    if posted is None:
        return _refused(source, "request", body, today, "only its beginning was kept; have it sent again")
    found = whose(today.sources, posted, today.limit)
    if found is None:
        return _refused(source, "request", body, today, f"no source of config has this project or write key ({posted.path})")
    read = READERS[found.kind](found, _reader(found, today), posted, today.limit)
    return _refused(source, "request", body, today, read.detail) if isinstance(read, Unreadable) else read


def _refused(source: str, kind: str, body: str, today: Today, reason: str) -> Parsed:
    return Parsed(source, today.now, quarantined=[Quarantined(source, reason, body, "", kind)])


def retry_asked(app: App, request: Mapping[str, Any]) -> dict[str, Any]:
    """A command's request to read rows again, done by whoever holds the database. `older`: what it takes from its sources as they post
    is still judged by the config that it was started with.
    """
    today = today_of(app, app.clock.now())
    older = tuple(today.sources) != sources_of(app.project)
    return {"retried": [asdict(found) for found in retry(app.store, request["ids"], today)], "older": older}


def drop_asked(app: App, request: Mapping[str, Any]) -> dict[str, Any]:
    """A command's request to delete rows, done by whoever holds the database."""
    return {"dropped": app.store.database.write(lambda tx: app.store.quarantine.drop(tx, request["ids"]))}


def retry(store: SqlStore, ids: Sequence[int], today: Today) -> list[Retried]:
    """Read these rows again. What is good is kept and its row deleted in one transaction; the rest stays with its new reason."""
    found = (store.database.write(lambda tx, id_=id_: _retry_row(store, tx, id_, today)) for id_ in sorted(set(ids)))  # type: ignore[misc]
    return [row for row in found if row is not None]


def _retry_row(store: SqlStore, tx: Any, id_: int, today: Today) -> Retried | None:
    """Rows are read one by one, for one may be as large as a request; None for one that is gone."""
    rows = store.quarantine.rows(tx, [id_])
    return _retry(store, tx, rows[0], today) if rows else None


def _retry(store: SqlStore, tx: Any, row: SetAside, today: Today) -> Retried | None:
    """None for a row that somebody else has just taken or dropped. The reason of one that is only read by people stays."""
    if row.kind in ("enrolment", "recheck"):
        return _give_back(store, tx, row, today.now)
    if row.kind == "identity" and store.identity.is_settled(tx, row.body):
        return Retried(row.id, "taken") if store.quarantine.drop(tx, [row.id]) else None
    if why := _only_read(row):
        return Retried(row.id, "left", f"{row.reason}; {why}")
    parsed = again(row.source, row.kind, row.body, replace(today, received_at=row.received_at, request_id=f"quarantine:{row.id}"))
    if parsed.quarantined and not (row.kind in IN_PARTS and parsed.given):
        return _left(store, tx, row, parsed.quarantined[0].reason)
    if not store.quarantine.drop(tx, [row.id]):
        return None
    (new,) = store.arrivals.take(tx, [parsed])  # of one in parts, what is still not good is set aside by itself
    return Retried(row.id, "taken", new=new > 0)


def _only_read(row: SetAside) -> str:
    """What is to be done with what cannot be read again; nothing for what can."""
    if row.kind == "identity":
        return IDENTITY_CURE
    if row.kind not in READABLE:
        return "it is kept for people to read; drop it when it is done with"
    return "it was taken and could not be worked on; correct it and post it again under a new id" if row.source == "engine" else ""


def _give_back(store: SqlStore, tx: Any, row: SetAside, now: int) -> Retried | None:
    """An enrolment has its timer again, due at once; a user is looked at again."""
    if row.kind == "enrolment":
        back = store.people.give_back(tx, row.body.split(":")[0], now)
    else:
        back = store.people.recheck(tx, row.user_id, now)
    if not back:
        return Retried(row.id, "left", "the enrolment has ended or is gone; drop this row")
    return Retried(row.id, "taken") if store.quarantine.drop(tx, [row.id]) else None


def _left(store: SqlStore, tx: Any, row: SetAside, reason: str) -> Retried:
    store.quarantine.explain(tx, row.id, reason)
    return Retried(row.id, "left", reason)
