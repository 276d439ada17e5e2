"""`doctor`: does everything work that config names?

Tries credentials without messaging anyone; looks at the database, the clock and at people whom nothing will ever move.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from channels.message import Channel, Diagnosable, OwnTokens
from journeys.compiled import WaitSpec
from journeys.duration import DAY, MINUTE
from journeys.localtime import print_instant
from runtime.adapters import build_channel, sections
from runtime.clock import Clock
from runtime.engine import Engine
from runtime.settings import ConfigError, Project
from runtime.store import SqlStore
from runtime.store.releases import Releases

# SQLite 3.7.0 to 3.51.2 may corrupt a file when two connections write or checkpoint at once (its "WAL-reset bug").
MENDED_SQLITE = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
MOST_STUCK = 20
MOST_LOOKED_AT = 10_000
SKEW = MINUTE
SOON = 7 * DAY  # so long before it is deleted it is told of what was set aside


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at: where (a lane, `database`, `clock`, …), what, whether it is well, what was found, what to do."""

    where: str
    what: str
    ok: bool
    found: str
    cure: str = ""


def examine_channels(project: Project, clock: Clock, channels: Mapping[str, Channel] | None = None) -> Iterator[Examined]:
    """Every lane of config: can its adapter be built, and does its vendor know us?"""
    recording: list[str] = []
    tokens = OwnTokens()
    for lane, section in sections(project).items():
        if getattr(section, "adapter", "") == "recording":
            recording.append(lane)
            continue
        try:
            channel = (channels or {}).get(lane) or build_channel(project, clock, tokens, lane, section)
        except ConfigError as error:
            yield Examined(lane, "configuration", ok=False, found=str(error), cure="mend the key named there")
            continue
        if isinstance(channel, Diagnosable):
            for diagnosis in channel.diagnose():
                yield Examined(lane, diagnosis.what, diagnosis.ok, diagnosis.found, diagnosis.cure)
    if recording:
        found = f"{', '.join(recording)}: recorded in {project.recording_file}, nobody is messaged"
        yield Examined("recording", "adapters", ok=True, found=found)
    robot = project.settings.alarms.robot
    if robot is None:
        cure = 'set [alarms] robot = "NAME" of a [robots.NAME] to be told in a group when a channel is held'
        yield Examined("alarms", "robot", ok=True, found="nobody is told of alarms but the log and `journeyd status`", cure=cure)
    elif robot not in project.settings.robots:
        known = ", ".join(project.settings.robots) or "none"
        cure = f"declare [robots.{robot}], or name one of: {known}"
        yield Examined("alarms", "robot", ok=False, found=f"alarms.robot names {robot}, which is not declared", cure=cure)


def examine_store(store: SqlStore, engine: Engine, project: Project, now: int) -> Iterator[Examined]:
    """The database's version and settings, the clock beside what is recorded, and people whom nothing will ever move."""
    facts = store.database.facts()
    if store.database.is_sqlite:
        yield _sqlite_version()
        mode = str(facts.get("journal_mode", ""))
        cure = "stop everything that has the file open and start `journeyd run`, which sets it"
        yield Examined("database", "journal mode", mode == "wal", mode or "unknown", "" if mode == "wal" else cure)
    else:
        for setting in ("synchronous_commit", "fsync"):
            value = str(facts.get(setting, ""))
            cure = f"set {setting} = on in postgresql.conf: without it a power loss can send a message twice"
            yield Examined("database", setting, value == "on", value, "" if value == "on" else cure)
        yield memory(int(facts["shared_buffers"]), int(facts["users"]))
        skew = abs(int(facts["clock"]) - now)
        cure = "let both machines follow the same time server (chrony, systemd-timesyncd)"
        yield Examined("clock", "database's clock", skew < SKEW, f"{skew} ms apart", "" if skew < SKEW else cure)
    yield from _state(store, engine, project, now)


def _sqlite_version() -> Examined:
    version = sqlite3.sqlite_version_info
    mended = any(version[:2] == fixed[:2] and version >= fixed for fixed in MENDED_SQLITE) or version >= MENDED_SQLITE[0]
    if mended:
        return Examined("database", "SQLite", ok=True, found=sqlite3.sqlite_version)
    found = (
        f"{sqlite3.sqlite_version} has the WAL-reset bug; one journeyd with its single writer is safe, other programs that write are not"
    )
    return Examined("database", "SQLite", ok=True, found=found, cure="never write to the file beside the daemon; 3.51.3 mends it")


def memory(buffers: int, users: int) -> Examined:
    """Whoever enters a segment's journey among many is read in the order of ids, each from a page of her own: from memory, or from disk."""
    cure = "set shared_buffers in postgresql.conf to a quarter of the machine's memory (manual, 19.4): entries of many read all users"
    found = f"shared_buffers {buffers >> 20:,} MB, the users {users >> 20:,} MB"
    return Examined("database", "memory", ok=True, found=found, cure=cure if users > buffers else "")


def _state(store: SqlStore, engine: Engine, project: Project, now: int) -> Iterator[Examined]:
    zone = project.zone
    with store.database.reading() as tx:
        latest, still = store.reports.latest_record(tx), store.reports.without_timer(tx, MOST_LOOKED_AT)
        held, release = store.flow.circuits(tx), _release(store.releases, tx)
        ageing = store.quarantine.ageing(tx, now - project.keep_quarantine + SOON)
    if latest is not None:
        ahead = latest - now
        cure = "correct the machine's clock before the daemon runs: timers would fire at the wrong time"
        found = f"the newest record is of {print_instant(latest, zone)}"
        yield Examined("clock", "beside the records", ahead < SKEW, found, "" if ahead < SKEW else cure)
    yield Examined(
        "database", "release", ok=release, found="applied" if release else "none yet", cure="" if release else "`journeyd apply`"
    )
    if ageing.oldest is not None:
        found = f"{ageing.n} set aside, the oldest on {print_instant(ageing.oldest, zone)}"
        cure = (
            f"{ageing.old} of them will be deleted within a week ([intake] keep_quarantine); see `journeyd quarantine`, and retry in time"
        )
        yield Examined("intake", "quarantine", ok=True, found=found, cure=cure if ageing.old else "")
    for circuit in held:
        what = f"held since {print_instant(circuit.opened_at, zone)}" + (f", template {circuit.template}" if circuit.template else "")
        cure = "mend what the vendor says; a probe resumes it"
        yield Examined(circuit.lane, what, ok=False, found=f"{circuit.code} {circuit.reason}", cure=cure)
    stuck = [row for row in still if not _awaits_an_event(engine, row["version_id"], row["state"])]
    for row in stuck[:MOST_STUCK]:
        found = f"{row['user_id']} stands at {row['state']} since {print_instant(row['begun_at'], zone)}, and nothing will move them"
        cure = f"see `journeyd explain {row['user_id']}` and `journeyd quarantine --kind enrolment`"
        yield Examined(row["journey"], "stuck enrolment", ok=False, found=found, cure=cure)
    if not stuck:
        yield Examined("database", "stuck enrolments", ok=True, found="none")


def _awaits_an_event(engine: Engine, version_id: int, step_id: str) -> bool:
    versioned = engine.version_of(version_id)
    step = versioned.journey.steps.get(step_id) if versioned is not None else None
    return step is not None and isinstance(step.spec, WaitSpec)


def _release(releases: Releases, tx: object) -> bool:
    return releases.current(tx) is not None  # type: ignore[arg-type]
