"""Who was let into a journey, the newest first, for people and as data."""

from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runtime.explain import dated
from runtime.store.enquiries import Entrant
from runtime.wording import Wording


def entrants(console: Console, journey: str, found: list[Entrant], n: int, wording: Wording) -> None:
    """A row for each, and how many more there are."""
    if not found:
        console.print(Text(wording("entrants_none", journey=journey), style="dim"))
        return
    table = Table(box=None, pad_edge=False)
    for key in ("user", "entrants_entered", "entrants_where", "entrants_got"):
        table.add_column(wording(key), overflow="fold")
    for one in found:
        table.add_row(Text(one.user_id, "bold"), wording.at(one.entered_at), _where(one, wording), _got(one, wording))
    console.print(table)
    if n > len(found):
        console.print(Text(wording("entrants_more", n=f"{n - len(found):,}", of=f"{n:,}"), style="dim"))


def _where(one: Entrant, wording: Wording) -> str:
    if one.status == "ended":
        return wording("entrants_ended", reason=wording.reason(one.ended_by or ""))
    if one.status == "held_out":
        return wording.reason("held_out")
    until = wording("entrants_until", until=wording.at(one.due_at)) if one.due_at is not None else ""
    return wording("entrants_at", step=one.state) + until


def _got(one: Entrant, wording: Wording) -> str:
    """Messages by state, then grants and calls."""
    return wording.joined([f"{what}: {wording.state(state)}{f' ×{n}' if n > 1 else ''}" for (what, state), n in one.got.items()]) or "–"


def entrants_json(journey: str, found: list[Entrant], n: int, zone: ZoneInfo) -> dict[str, Any]:
    """The documented shape."""
    rows = [
        {
            **dated({"entered_at": one.entered_at, "due_at": one.due_at, "ended_at": one.ended_at, "converted_at": one.converted_at}, zone),
            "user_id": one.user_id, "version": one.version, "status": one.status, "step": one.state, "ended_by": one.ended_by,
            "got": [{"step": what, "state": state, "n": n_} for (what, state), n_ in one.got.items()],
        }
        for one in found
    ]  # fmt: skip
    return {"journey": journey, "entered": n, "enrolments": rows}
