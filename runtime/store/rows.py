"""Between rows and the core's values. The only place that knows both spellings."""

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.expression import UpdateBase

from journeys.localtime import zone_named
from runtime.state import Enrolment, Event, User
from runtime.store.codec import Codec, compact, parse

ENROLMENT_COLUMNS = (
    "id", "key", "version_id", "journey", "user_id", "subject", "state", "status", "due_at", "begun_at", "entered_at",
    "goal_until", "converted_at", "ended_at", "ended_by", "context",
)  # fmt: skip
USER_COLUMNS = ("user_id", "zone", "profile", "reach", "segments", "stage", "audience", "recheck_at", "evaluated_at")


def enrolment_of(row: Any, codec: Codec) -> Enrolment:
    """The enrolment of a row in the order of ENROLMENT_COLUMNS."""
    (id_, key, version, journey, user_id, subject, state, status, due_at, begun_at, entered_at, goal_until, converted_at,
     ended_at, ended_by, context) = row  # fmt: skip
    decoded = codec.decode_object("enrolments.context", user_id, context)
    return Enrolment(key, journey, version, user_id, subject, state, status, due_at, begun_at, entered_at, goal_until,
                     converted_at, ended_at, ended_by, decoded, id_)  # fmt: skip


def changes_of(enrolment: Enrolment, codec: Codec) -> dict[str, Any]:
    """The columns that a decision may change, with the row's id."""
    return {
        "id": enrolment.id,
        "version_id": enrolment.version,
        "state": enrolment.state,
        "status": enrolment.status,
        "due_at": enrolment.due_at,
        "begun_at": enrolment.begun_at,
        "goal_until": enrolment.goal_until,
        "converted_at": enrolment.converted_at,
        "ended_at": enrolment.ended_at,
        "ended_by": enrolment.ended_by,
        "context": codec.encode_object("enrolments.context", enrolment.user_id, enrolment.context),
    }


def new_row_of(enrolment: Enrolment, slot: str, codec: Codec) -> dict[str, Any]:
    """All columns of a new enrolment. `slot` is empty but for journeys that may run in parallel."""
    row = changes_of(enrolment, codec)
    del row["id"]
    return row | {
        "key": enrolment.key,
        "journey": enrolment.journey,
        "user_id": enrolment.user_id,
        "subject": enrolment.subject,
        "slot": slot,
        "entered_at": enrolment.entered_at,
    }


def user_of(row: Any, codec: Codec, zone: ZoneInfo) -> User:
    """The user of a row in the order of USER_COLUMNS; `zone` is the project's."""
    user_id, zone_name, profile, reach, segments, stage, audience, recheck_at, evaluated_at = row
    return User(
        id=user_id,
        zone=(zone_named(zone_name) or zone) if zone_name else zone,
        profile=codec.decode_object("users.profile", user_id, profile),
        reach=codec.decode_object("users.reach", user_id, reach),
        segments=parse(segments) if segments != "{}" else {},
        stage=stage,
        recheck_at=recheck_at,
        evaluated_at=evaluated_at,
        audience=audience,
        is_new=not audience,
    )


def user_changes_of(user: User, project_zone: ZoneInfo, codec: Codec) -> dict[str, Any]:
    """The columns of a user that the engine writes."""
    return {
        "user_id": user.id,
        "zone": "" if user.zone.key == project_zone.key else user.zone.key,
        "profile": codec.encode_object("users.profile", user.id, user.profile),
        "reach": codec.encode_object("users.reach", user.id, user.reach),
        "segments": compact(user.segments) if user.segments else "{}",
        "stage": user.stage,
        "audience": user.audience,
        "recheck_at": user.recheck_at,
        "evaluated_at": user.evaluated_at,
    }


def event_of(row: Any, codec: Codec) -> Event:
    """The event of a row (event_id, type, user_id, time, received_at, data, source)."""
    event_id, type_, user_id, time, received_at, data, source = row
    return Event(event_id, type_, user_id, time, received_at, codec.decode_object("events.data", user_id, data), source)


class Many:
    """A statement of hot rows as the driver's own text, run by executemany: SQLAlchemy's own work for each row costs more than the row."""

    def __init__(self, statement: UpdateBase, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._constants = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}

    def run(self, tx: Connection, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run it with the parameters of each row (at least one); returns how many rows of the table it changed."""
        given = [{**self._constants, **row} for row in rows] if self._constants else list(rows)
        return tx.exec_driver_sql(self.text, given).rowcount
