"""A user's story in the terminal: who she is, then chapter by chapter what happened and why, and what comes next."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from journeys.phrasing import step_name
from runtime.explain import Chapter, Told
from runtime.present import Present
from runtime.shortened import LONGEST_REASON
from runtime.show_portrait import head
from runtime.storyline import Line
from runtime.wording import Wording

MOST_LINES = 60  # of a story without --all: the newest
_INDENT = "    "


def story(console: Console, whole: Told, wording: Wording, most: int | None = MOST_LINES, nothing: str = "") -> None:
    """The whole story; of more than `most` lines the newest. `nothing` is said in place of a story without lines."""
    console.print()
    name = wording.short(str(whole.portrait.traits.get("name", ""))) if whole.portrait is not None else ""
    title = said_title(whole, wording)
    console.print(Text(f"{title} {name}".rstrip(), style="bold"))
    if whole.portrait is not None:
        head(console, whole.portrait, wording)
    cut, left_out = newest(whole, most)
    if left_out:
        console.print(Text(wording("earlier", n=left_out), style="dim"))
    messages = {m["key"]: m for m in whole.story.messages}
    blocks = _blocks(cut)
    for block in blocks:
        if isinstance(block, Chapter):
            chapter(console, block, messages, wording)
        else:
            console.print()
            console.print(Text(wording("about_her"), style="bold"))
            _lines(console, block, messages, wording)
    if not blocks:
        is_bare = not (whole.story.log or whole.story.events or whole.story.enrolments or whole.story.messages)
        console.print(Text(nothing or wording("note_bare" if is_bare else "nothing_since"), style="dim"), soft_wrap=True)


def said_title(whole: Told, wording: Wording) -> str:
    """Whose story it is; of a former id, who she is now."""
    user = whole.story.user_id
    return wording("story_of", user=user) if whole.by != "former" else wording("note_merged", former=whole.asked, user=user)


def notes(console: Console, present: Present | None, wording: Wording) -> None:
    """What of hers is not in the story: not worked on yet, set aside, unreadable."""
    if present is None:
        return
    if present.waiting:
        console.print(Text(wording("note_waiting", n=present.waiting), style="yellow"))
    if present.history_comes:
        console.print(Text(wording("note_history"), style="yellow"))
    for what in present.unreadable:
        console.print(Text(wording("note_unreadable", what=what), style="yellow"))
    for row in present.set_aside:
        told = {"at": wording.at(row.received_at), "kind": row.kind, "reason": wording.short(row.reason, LONGEST_REASON)}
        console.print(Text(wording("note_aside", **told), style="yellow"))


def newest(whole: Told, most: int | None) -> tuple[Told, int]:
    """The story with its newest lines, and how many were left out. Chapters that go on are always there."""
    every = [*whole.loose, *(line for one in whole.chapters for line in one.lines)]
    times = sorted(line.done_at for line in every)
    if most is None or len(times) <= most:
        return whole, 0
    since = times[-most]
    chapters = [replace(c, lines=[line for line in c.lines if line.done_at >= since]) for c in whole.chapters]
    kept = [c for c in chapters if c.lines or c.enrolment["status"] != "ended"]
    loose = [line for line in whole.loose if line.done_at >= since]
    shown = sum(len(c.lines) for c in kept) + len(loose)
    return replace(whole, chapters=kept, loose=loose), len(every) - shown


def _blocks(whole: Told) -> list[Chapter | list[Line]]:
    """Chapters in the order of their entries; between them what belongs to none, up to the next entry."""
    blocks: list[Chapter | list[Line]] = []
    loose = list(whole.loose)
    for one in whole.chapters:
        before = [line for line in loose if line.at <= one.enrolment["entered_at"]]
        loose = loose[len(before) :]
        blocks += [before, one] if before else [one]
    return [*blocks, loose] if loose else blocks


# --- a chapter


def chapter(console: Console, one: Chapter, messages: dict[str, dict[str, Any]], wording: Wording) -> None:
    """One enrolment: its title, its lines, where it stands."""
    console.print()
    console.print(Text(" · ".join(title_of(one, wording)), style="bold"))
    lines = one.lines
    if lines and lines[0].action == "entered" and one.entry:
        fields = wording("entry_fields", fields=wording.fields({k: v for k, v in one.entry.items() if k != "type"}))
        more = [fields] if len(one.entry) > ("type" in one.entry) else []
        _lines(console, lines[:1], messages, wording, more)
        lines = lines[1:]
    _lines(console, lines, messages, wording)
    for text in standing(one, wording):
        console.print(Text(_INDENT + text, style="cyan"))


def title_of(one: Chapter, wording: Wording) -> list[str]:
    """Journey, name, version, subject, from when to when."""
    row = one.enrolment
    version = "version_gone" if not one.number else "version_now" if one.is_current else "version_then"
    parts = (
        [row["journey"], one.name, wording(version, number=one.number)]
        if one.name != row["journey"]
        else [row["journey"], wording(version, number=one.number)]
    )
    if row["subject"]:
        parts.append(wording("subject_is", subject=row["subject"]))
    if row["status"] == "ended":
        parts.append(f"{wording.at(row['entered_at'])} → {wording.at(row['ended_at'])} {wording.end(row['ended_by'] or '')}")
    else:
        parts.append(f"{wording.at(row['entered_at'])} → {wording('in_hold_out' if row['status'] == 'held_out' else 'is_inside')}")
    if row["converted_at"] is not None and row["ended_by"] != "converted":
        parts.append(wording("converted_at", at=wording.at(row["converted_at"])))
    return parts


def standing(one: Chapter, wording: Wording) -> Iterable[str]:
    """Where she stands and what comes next."""
    now = one.standing
    if now is None:
        return
    until = wording.at(now.until)
    goal = wording.listed(list(now.goal))
    if now.doing == "measuring":
        yield wording("now_measuring", goal=goal, until=until)
        return
    told: dict[str, Any] = {"step": now.step, "until": until, "what": now.what, "reason": wording.reason(now.what)}
    told["follows"] = wording.follows(now.follows[0]) if now.follows else ""
    if now.doing == "wait":
        told["for_"] = (" / " if wording.language == "en" else "或").join(f.on if f.on != "when" else f.where for f in now.follows[:-1])
    text = wording(f"now_{now.doing}", **told)
    if now.doing == "wait":
        text += " " + wording.joined([_end_of_wait(f, wording) for f in now.follows])
    yield text
    if now.goal and now.doing != "gone":
        yield wording("now_goal", goal=goal, until=wording.at(now.goal_until))
    if now.exits:
        yield wording("now_exits", exits=wording.listed(list(now.exits)))
    if one.pause is not None:
        yield wording("now_paused", since=wording.at(one.pause.paused_at), author=one.pause.paused_by, reason=one.pause.reason)


def _end_of_wait(follows: Any, wording: Wording) -> str:
    if follows.on == "timeout":
        return wording("now_else", follows=wording.follows(follows))
    key, on = (
        ("now_when", follows.where)
        if follows.on == "when"
        else ("now_if", f"{follows.on} [{follows.where}]" if follows.where else follows.on)
    )
    return wording(key, on=on, follows=wording.follows(follows))


def _lines(
    console: Console, lines: Sequence[Line], messages: dict[str, dict[str, Any]], wording: Wording, more: Sequence[str] = ()
) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for run in _runs(_once(lines)):
        line = run[0]
        text = Text(line_text(line, wording))
        if len(run) > 1 and line.action != "event":
            text = Text(wording.listed([text.plain, *(wording.answered(other) for other in run[1:])]))
        elif len(run) > 1:
            text.append("  " + wording("several", n=len(run), last="", at=wording.at(run[-1].at)), style="dim")
        message = messages.get(line.why.get("key", "")) if line.action == "sent" else None
        became, key = (message_parts(message, wording), f"key {message['key']}") if message is not None else ([], "")
        parts = [*became, wording.grounds(line), *more, key, line.place]
        if why := wording.joined([part for part in parts if part]):
            text.append("\n" + why, style="dim")
        table.add_row(Text("  " + wording.at(line.at)), text)
    if lines:
        console.print(table)


def line_text(line: Line, wording: Wording) -> str:
    """A line's step and what happened there; before it when it was done, where that is notably later than the time of the line."""
    sentence = wording.sentence(line)
    about = step_name(line.step) or (line.journey if not line.enrolment else "")
    text = f"{about}: {sentence}" if about and wording.language == "en" else f"{about}：{sentence}" if about else sentence
    if line.done_at == line.at:
        return text
    return f"{wording.done(line)} {text}" if wording.language == "en" else f"{wording.done(line)}{text}"


def _once(lines: Sequence[Line]) -> list[Line]:
    """Without the ends that the line before has told already."""
    told = [("exit_when", "goal_reached"), ("ended",)]
    return [line for before, line in zip([None, *lines], lines, strict=False)
            if before is None or line.action not in told[1] or before.action not in told[0] or before.at != line.at]  # fmt: skip


def _runs(lines: Sequence[Line]) -> Iterable[list[Line]]:
    """Lines one by one; events of one kind that follow each other, and answers of one moment, together."""
    for _, run in groupby(lines, key=_alike):
        yield list(run)


def _alike(line: Line) -> Any:
    if line.action == "event":
        return ("event", line.why["event"], line.why.get("history", False))
    if line.action in ("consent_given", "consent_withdrawn"):
        return (line.action, line.at)
    return id(line)


def message_parts(message: dict[str, Any], wording: Wording) -> list[str]:
    """What was sent and what became of it."""
    state = wording.state(message["state"])
    if message["reason"] and message["state"] not in ("ACCEPTED", "DELIVERED"):
        state = f"{state} ({wording.reason(message['reason'])})"
    to = wording("for_another", to=message["user_id"]) if message["user_id"] != message["owner_id"] else ""
    return [to, content_of(message), state, *_attempts(message, wording)]


def content_of(message: dict[str, Any]) -> str:
    """The template and the texts of a message."""
    content = message["content"]
    if not isinstance(content, dict):
        return ""
    shown = (
        content.get("data") or content.get("params") or {k: v for k, v in content.items() if k not in ("template", "page", "expires_at")}
    )
    texts = " / ".join(str(v) for v in shown.values() if isinstance(v, str | int))
    return f"{message['template']} “{texts}”" if message["template"] and texts else message["template"] or f"“{texts}”"


def _attempts(message: dict[str, Any], wording: Wording) -> list[str]:
    """What was tried, where it was not simply accepted: a doubt and what settled it, a refusal; receipts that the state does not tell."""
    parts, told = [], {"DELIVERED": True, "UNDELIVERED": False}.get(message["state"])
    for attempt in message["attempted"]:
        doubt = wording(f"settled_{attempt['settled_by']}") if attempt["settled_by"] else ""
        if doubt or attempt["state"] in ("UNKNOWN", "REJECTED", "RETRY"):
            parts.append(f"{attempt['lane']} {wording.state(attempt['state'])} {wording.reason(attempt['reason'] or '')} {doubt}".strip())
    parts += [
        f"{wording('receipt_yes' if r['delivered'] else 'receipt_no')} {r['code']} {r['reason']}".strip()
        for r in message["receipts"]
        if bool(r["delivered"]) is not told
    ]
    return parts
