"""Who was let into a journey, the newest first, for people and as data."""

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runtime.explain import dated
from runtime.store.enquiries import Entrant, Got, Missed
from runtime.store.movements import Pause
from runtime.wording import Wording


def entrants(console: Console, journey: str, found: list[Entrant], n: int, wording: Wording, pause: Pause | None = None) -> None:
    """A row for each, and how many more there are; first of all that nobody moves, where the journey is paused."""
    if pause is not None:
        told = {"since": wording.at(pause.paused_at), "author": pause.paused_by, "reason": pause.reason}
        console.print(Text(wording("journey_pauses", journey=journey, **told), style="yellow"))
    if not found:
        console.print(Text(wording("entrants_none", journey=journey), style="dim"))
        return
    table = Table(box=None, pad_edge=False)
    for key in ("user", "entrants_entered", "entrants_where", "entrants_got"):
        table.add_column(wording(key), overflow="fold")
    for one in found:
        who = Text(one.user_id, "bold")
        if one.subject:
            who.append(" " + wording("subject_is", subject=one.subject), "not bold")
        table.add_row(who, wording.at(one.entered_at), _where(one, wording), _got(one, wording))
    console.print(table)
    if n > len(found):
        console.print(Text(wording("entrants_more", n=f"{n - len(found):,}", of=f"{n:,}"), style="dim"))


def _where(one: Entrant, wording: Wording) -> str:
    if one.status == "ended":
        ended = wording("entrants_ended", reason=wording.end(one.ended_by or ""))
        return wording.joined([ended, wording.reason("held_out")]) if one.held_out and one.ended_by != "held_out" else ended
    if one.status == "held_out":
        return wording.reason("held_out")
    until = wording("entrants_until", until=wording.at(one.due_at)) if one.due_at is not None else ""
    return wording("entrants_at", step=one.state) + until


def _got(one: Entrant, wording: Wording) -> str:
    """Messages and benefits; the state of those that the vendor has not just taken; what was not sent. A call gives her nothing."""
    had = [_one(got, wording) for got in one.got if got.kind != "call"]
    missed = [wording("entrants_missed", step=missed.step, reason=_reason(missed, wording)) for missed in one.missed]
    return wording.joined([*had, *dict.fromkeys(missed)]) or "–"


def _reason(missed: Missed, wording: Wording) -> str:
    by_channel = [wording("in_position", channel=wording.channel(c), reason=wording.reason(r)) for c, r in missed.positions]
    return ", ".join(by_channel) or wording.reason(missed.reason)


def _one(got: Got, wording: Wording) -> str:
    key = "entrants_benefit" if got.kind == "grant" else "entrants_message"
    said = wording(key, step=got.step, channel=wording.channel(got.channel)) + (f" ×{got.n}" if got.n > 1 else "")
    return said if got.state in ("ACCEPTED", "DELIVERED") else wording("entrants_state", what=said, state=wording.state(got.state))


def entrants_json(journey: str, found: list[Entrant], n: int, zone: ZoneInfo, pause: Pause | None) -> dict[str, Any]:
    """The documented shape."""
    rows = [
        {
            **dated({"entered_at": one.entered_at, "due_at": one.due_at, "ended_at": one.ended_at, "converted_at": one.converted_at}, zone),
            "user_id": one.user_id, "subject": one.subject or None,
            "version": one.version, "status": one.status, "held_out": one.held_out, "step": one.state, "ended_by": one.ended_by,
            "got": [asdict(got) for got in one.got], "not_sent": [asdict(missed) for missed in one.missed],
        }
        for one in found
    ]  # fmt: skip
    paused = {**dated({"paused_at": pause.paused_at}, zone), "author": pause.paused_by, "reason": pause.reason} if pause else None
    return {"journey": journey, "entered": n, "paused": paused, "enrolments": rows}
