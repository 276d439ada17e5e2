"""One message in the terminal: to whom, from which rule, why then, each attempt, each receipt."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runtime.enquiring import Traced
from runtime.show_portrait import masked
from runtime.show_story import content_of, line_text
from runtime.wording import Wording


def message(console: Console, traced: Traced, wording: Wording) -> None:
    """Everything of one message."""
    console.print()
    console.print(Text(wording("msg_title", key=traced.message["key"]), style="bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for key, texts in _rows(traced, wording):
        for number, text in enumerate(texts):
            table.add_row(Text(wording(key) if number == 0 else ""), Text(text))
    console.print(table)


def _rows(traced: Traced, wording: Wording) -> Iterable[tuple[str, list[str]]]:
    row = traced.message
    owner = row["user_id"] if row["owner_id"] == row["user_id"] else wording("msg_owner", user=row["user_id"], owner=row["owner_id"])
    yield "msg_who", [owner]
    yield "msg_from", [_origin(traced, wording)]
    if traced.way:
        yield (
            "msg_way",
            [f"{wording.at(line.at)}  {line_text(line, wording)}{_why(line, wording)}  {line.place}".rstrip() for line in traced.way],
        )
    yield "msg_what", [_what(row, wording)]
    yield (
        "msg_lines",
        [f"{wording.at(line.at)}  {line_text(line, wording)}{_why(line, wording)}" for line in traced.lines] or [wording("not_kept")],
    )
    yield "msg_why", list(_then(traced, wording))
    yield "msg_state", [_state(row, wording)]
    yield "msg_attempts", list(_attempts(row, wording)) or [wording("msg_none")]
    yield "msg_receipts", list(_receipts(row, wording)) or [wording("msg_none")]


def _why(line: Any, wording: Wording) -> str:
    grounds = wording.grounds(line)
    return f"  {grounds}" if grounds else ""


def _origin(traced: Traced, wording: Wording) -> str:
    row, number = traced.message, traced.number
    version = "version_gone" if not number else "version_now" if traced.is_current else "version_then"
    known = wording(version, number=number)
    journey = f"{row['journey']} {known}" if number else f"{row['journey']} ({known})"
    return wording.joined([journey, f"{row['step']} {traced.place}"])


def _what(row: dict[str, Any], wording: Wording) -> str:
    if row["kind"] == "grant":
        return wording("msg_benefit", channel=row["channel"])
    if row["kind"] == "call":
        return wording("msg_call", channel=row["channel"])
    topic = (
        wording("msg_purpose", purpose=wording.channel(row["purpose"]), topic=row["topic"])
        if row["topic"]
        else wording.channel(row["purpose"])
    )
    return wording.joined([f"{wording.channel(row['channel'])} {content_of(row)}", topic])


def _then(traced: Traced, wording: Wording) -> Iterable[str]:
    row = traced.message
    times = [wording("msg_planned", at=wording.at(row["created_at"]), due=wording.at(row["due_at"]))]
    times.append(wording("msg_first", at=wording.at(row["begun_at"])) if row["begun_at"] is not None else wording("msg_not_begun"))
    if row["expires_at"] is not None:
        times.append(wording("msg_expires", at=wording.at(row["expires_at"])))
    yield wording.joined(times)
    if row["kind"] != "message" or row["begun_at"] is None:
        return
    if row["purpose"] == "service":
        yield wording("msg_service")
    if traced.quiet_hours is not None:
        yield _quiet(traced, wording)
    for cap in traced.caps:
        yield wording("msg_caps", cap=cap.cap, n=len(cap.counted)) + " " + wording("msg_caps_note")
    if not traced.caps and row["purpose"] != "service":
        yield wording("msg_no_caps")


def _quiet(traced: Traced, wording: Wording) -> str:
    assert traced.quiet_hours is not None  # noqa: S101 - asked before
    window = "-".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in traced.quiet_hours)
    where = wording("inside" if traced.in_quiet_hours else "outside")
    return wording("msg_quiet", window=window, at=wording.at(traced.message["begun_at"]), where=where) + " " + wording("msg_caps_note")


def _state(row: dict[str, Any], wording: Wording) -> str:
    parts = [wording.state(row["state"])]
    if row["reason"]:
        parts.append(wording.reason(row["reason"]))
    if row["settled_at"] is not None:
        parts.append(wording.at(row["settled_at"]))
    return wording.joined(parts)


def _attempts(row: dict[str, Any], wording: Wording) -> Iterable[str]:
    for number, attempt in enumerate(row["attempted"], 1):
        when = wording.at(attempt["started_at"]) + (f" → {wording.at(attempt['ended_at'])}" if attempt["ended_at"] is not None else "")
        parts = [
            wording("msg_attempt", n=number, lane=attempt["lane"], at=when, state=wording.state(attempt["state"])),
            wording.reason(attempt["reason"] or ""),
        ]
        if attempt["settled_by"]:
            parts.append(wording(f"settled_{attempt['settled_by']}"))
        if attempt["address"]:
            parts.append(wording("msg_address", address=masked(str(attempt["address"]))))
        parts.append(wording("msg_vendor_key", key=attempt["vendor_key"]))
        if attempt["reference"]:
            parts.append(wording("msg_reference", reference=attempt["reference"]))
        yield wording.joined(parts)


def _receipts(row: dict[str, Any], wording: Wording) -> Iterable[str]:
    for receipt in row["receipts"]:
        what = wording("receipt_yes" if receipt["delivered"] else "receipt_no")
        told = {"at": wording.at(receipt["received_at"]), "what": what, "code": receipt["code"], "reason": receipt["reason"]}
        yield wording("msg_receipt", **told).strip()
