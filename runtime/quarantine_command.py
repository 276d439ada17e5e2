"""`journeyd quarantine`: what was set aside, why, and what becomes of it."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App as CommandLine
from cyclopts import Parameter

from runtime import show
from runtime.clock import SystemClock
from runtime.commandline import FAILED, OK, USAGE, Config, DatabasePath, Json, Stop, err, print_json, project_of, reading_app, url_of
from runtime.handover import Handover
from runtime.importing import CannotImport
from runtime.quarantine import drop_asked, retry_asked
from runtime.store.quarantine import Filters

AT_ONCE = 200  # rows of one request to the daemon
quarantine_app = CommandLine(name="quarantine", help="What was set aside and why: list it, look at it, read it again, drop it.")


@quarantine_app.default
def list_(
    *, kind: Annotated[str, Parameter(help="event, user, enrolment, recheck, callback, …")] = "", source: str = "", user: str = "",
    reason: Annotated[str, Parameter(help="a part of it")] = "", limit: int = 50, config: Config = Path(),
    database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """List what was set aside, newest first."""
    app = reading_app(config, database)
    try:
        with app.store.database.reading() as tx:
            rows = app.store.quarantine.find(tx, Filters(kind, source, user, reason), max(limit, 1))
    finally:
        app.close()
    if json:
        print_json([{name: value for name, value in asdict(row).items() if name != "body"} for row in rows])
    elif rows:
        show.set_aside(show.paper(), rows, app.project.language(), app.project.zone)
        since = show.instant(app.clock.now() - app.project.keep_quarantine, app.project.zone)
        kept = {"since": since, "keep": app.project.settings.intake.keep_quarantine}
        err.print(show.word("kept_aside", app.project.language(), **kept), markup=False, soft_wrap=True)
    else:
        err.print(show.word("nothing_aside", app.project.language()))
    return OK


@quarantine_app.command(name="show")
def show_(
    id_: Annotated[int, Parameter(name="ID")], /, *, config: Config = Path(), database: DatabasePath = None, json: Json = False
) -> int:
    """Print the body as it came, and why it was set aside (on stderr)."""
    app = reading_app(config, database)
    try:
        with app.store.database.reading() as tx:
            rows = app.store.quarantine.rows(tx, [id_])
    finally:
        app.close()
    if not rows:
        raise Stop(FAILED, f"nothing is set aside under the number {id_}; see `journeyd quarantine`")
    [row] = rows
    if json:
        print_json(asdict(row))
        return OK
    err.print(f"{row.kind} {row.source} {row.user_id} {show.instant(row.received_at, app.project.zone)}: {row.reason}", markup=False)
    sys.stdout.write(row.body + "\n")
    return OK


@quarantine_app.command
def retry(
    *ids: int, all_: Annotated[bool, Parameter(name="--all", negative=(), help="every row, or with --source every row of it")] = False,
    source: str = "", config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """Read rows again with today's audience and config: what is good is taken, the rest stays with its new reason.

    An enrolment gets its timer back and is due at once.
    """
    if bool(ids) == all_ or (source and not all_):
        raise Stop(USAGE, "journeyd quarantine retry: expected IDs, or --all (with --source NAME: all of it)")
    handover = Handover(project_of(config, database), url_of(database), SystemClock())
    wanted = _known(ids, source, config, database)
    try:
        found: list[dict[str, Any]] = []
        for some in _some(wanted):
            found += handover.perform({"command": "quarantine_retry", "ids": some}, retry_asked)["retried"]
    except CannotImport as error:
        raise Stop(FAILED, str(error)) from None
    finally:
        handover.close()
    left = [row for row in found if row["outcome"] == "left"]
    if json:
        print_json(found)
    else:
        for row in left:
            sys.stdout.write(f"{row['id']}: {row['reason']}\n")
        text = show.word("retried", handover.project.language(), taken=len(found) - len(left), left=len(left))
        err.print(text, markup=False)
    return FAILED if left or len(found) < len(ids) else OK


@quarantine_app.command
def drop(*ids: int, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """Delete rows for good."""
    if not ids:
        raise Stop(USAGE, "journeyd quarantine drop: expected the IDs of the rows; see `journeyd quarantine`")
    handover = Handover(project_of(config, database), url_of(database), SystemClock())
    try:
        parts = _some(_known(ids, "", config, database))
        dropped = sum(handover.perform({"command": "quarantine_drop", "ids": some}, drop_asked)["dropped"] for some in parts)
    except CannotImport as error:
        raise Stop(FAILED, str(error)) from None
    finally:
        handover.close()
    if json:
        print_json({"dropped": dropped})
    else:
        err.print(show.word("dropped", handover.project.language(), n=dropped), markup=False)
    return OK if dropped == len(set(ids)) else FAILED


def _known(ids: Sequence[int], source: str, config: Path, database: str | None) -> list[int]:
    """Those of the numbers that there are, or all of a source. Where there is no database yet, none is made."""
    app = reading_app(config, database)
    try:
        with app.store.database.reading() as tx:
            return [row.id for row in app.store.quarantine.rows(tx, ids)] if ids else app.store.quarantine.ids(tx, source)
    finally:
        app.close()


def _some(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[at : at + AT_ONCE]) for at in range(0, len(ids), AT_ONCE)]
