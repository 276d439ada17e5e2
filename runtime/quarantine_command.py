"""`journeyd quarantine`: what was set aside, why, and what becomes of it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App as CommandLine
from cyclopts import Parameter

from journeys.errors import Language, did_you_mean
from runtime import show
from runtime.clock import SystemClock
from runtime.commandline import FAILED, OK, USAGE, Config, DatabasePath, Json, Stop, err, print_json, project_of, reading_app, url_of
from runtime.handover import Handover
from runtime.importing import CannotImport
from runtime.quarantine import drop_asked, retry_asked
from runtime.shortened import LONGEST_REASON, shortened
from runtime.store.quarantine import Filters, SetAside

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
            settled = [
                row.id
                for row in app.store.quarantine.rows(tx, [row.id for row in rows if row.kind == "identity"])
                if app.store.identity.is_settled(tx, row.body)
            ]
            there: dict[Literal["kind", "source"], list[str]] = {
                "kind": app.store.quarantine.names(tx, "kind"),
                "source": [*app.store.quarantine.names(tx, "source"), *app.project.settings.intake.sources],
            }
    finally:
        app.close()
    language = app.project.language()
    if json:
        print_json([{**{n: v for n, v in asdict(row).items() if n != "body"}, "settled": row.id in settled} for row in rows])
    elif rows:
        marked = [replace(row, reason=_marked(row, language)) if row.id in settled else row for row in rows]
        show.set_aside(show.paper(), marked, language, app.project.zone)
        if any(row.kind == "identity" and row.id not in settled for row in rows):
            err.print(show.word("identity_cure", language), markup=False, soft_wrap=True)
        since = show.instant(app.clock.now() - app.project.keep_quarantine, app.project.zone)
        kept = {"since": since, "keep": app.project.settings.intake.keep_quarantine}
        err.print(show.word("kept_aside", language, **kept), markup=False, soft_wrap=True)
    else:
        err.print(_nothing(Filters(kind, source, user, reason), there, language), markup=False, soft_wrap=True)
    return OK


def _marked(row: SetAside, language: Language) -> str:
    return show.word("settled_aside", language, reason=row.reason, id=row.id)


def _nothing(asked: Filters, there: Mapping[Literal["kind", "source"], Sequence[str]], language: Language) -> str:
    """That nothing is there, or nothing that was asked for, and what was likely meant."""
    given = {name: value for name, value in asdict(asked).items() if value}
    if not given or not there["kind"]:
        return show.word("nothing_aside", language)
    text = show.word("nothing_fits", language, what=" ".join(f"--{name} {value}" for name, value in given.items()))
    for name, known in there.items():
        if given.get(name) and given[name] not in known:
            hint = did_you_mean(given[name], known)
            shown = ", ".join(dict.fromkeys(one for one in known if one))
            text += show.word("fits_hint" if hint else "fits_known", language, option=f"--{name}", hint=hint, known=shown)
    return text


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
        older = False
        for some in _some(wanted):
            answer = handover.perform({"command": "quarantine_retry", "ids": some}, retry_asked)
            found += answer["retried"]
            older |= answer["older"]
    except CannotImport as error:
        raise Stop(FAILED, str(error)) from None
    finally:
        handover.close()
    left = [row for row in found if row["outcome"] == "left"]
    language = handover.project.language()
    if json:
        print_json(found)
    else:
        for row in left:
            sys.stdout.write(f"{row['id']}: {shortened(row['reason'], language, LONGEST_REASON)}\n")
        text = show.word("retried", language, taken=len(found) - len(left), left=len(left))
        err.print(text, markup=False)
    gone = sorted(set(ids) - {row["id"] for row in found})
    _tell_gone(gone, language)
    if older:
        err.print(show.word("older_config", language), markup=False, soft_wrap=True)
    return FAILED if left or gone else OK


def _tell_gone(ids: Sequence[int], language: Language) -> None:
    if ids:
        err.print(show.word("not_aside", language, ids=", ".join(map(str, ids))), markup=False, soft_wrap=True)


@quarantine_app.command
def drop(*ids: int, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """Delete rows for good."""
    if not ids:
        raise Stop(USAGE, "journeyd quarantine drop: expected the IDs of the rows; see `journeyd quarantine`")
    handover = Handover(project_of(config, database), url_of(database), SystemClock())
    try:
        known = _known(ids, "", config, database)
        dropped = sum(handover.perform({"command": "quarantine_drop", "ids": some}, drop_asked)["dropped"] for some in _some(known))
    except CannotImport as error:
        raise Stop(FAILED, str(error)) from None
    finally:
        handover.close()
    if json:
        print_json({"dropped": dropped})
    else:
        err.print(show.word("dropped", handover.project.language(), n=dropped), markup=False)
    _tell_gone(sorted(set(ids) - set(known)), handover.project.language())
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
