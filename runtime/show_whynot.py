"""Why not, in the terminal: the answer first, then what was decided then, then how it would be now, clause by clause."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from journeys.clauses import Clause
from runtime.enquiring import GOT, WhyNot
from runtime.explain import readable
from runtime.show_story import chapter, line_text, notes, standing
from runtime.storyline import Line
from runtime.whynot import Requirement, Way
from runtime.wording import Wording

YES, NO, OPEN = ("✓", "green"), ("✗", "red"), ("?", "yellow")
DECIDING = (
    "suppressed",
    "held",
    "late",
    "no_moment",
    "exit_when",
    "grant_failed",
    "call_failed",
    "event_ignored",
    "failed",
    "ended",
    "paused",
)


def why_not_shown(console: Console, answer: WhyNot, wording: Wording, now: int) -> None:
    """The whole answer."""
    console.print()
    console.print(Text(wording("wn_title", user=answer.user_id, journey=_named(answer)), style="bold"))
    console.print(Text(verdict(answer, wording)))
    for text in _reasons(answer, wording):
        console.print(text)
    if given := _given(answer, wording):
        console.print(Text(wording("wn_given", what=wording.listed(given))))
    notes(console, answer.present, wording)
    if answer.refusals or answer.told.chapters:
        _heading(console, wording("wn_then"))
        _refusals(console, answer, wording)
        messages = {m["key"]: m for m in answer.told.story.messages}
        for one in answer.told.chapters:
            chapter(console, one, messages, wording)
    if answer.entry:
        _heading(console, wording("wn_now", at=wording.at(now)))
        for requirement, place in answer.entry:
            for shown in _requirement(requirement, place, wording):
                console.print(shown)
        if answer.entry and not answer.told.chapters and not answer.refusals and answer.told.story.known and _by_crowds(answer):
            console.print(Text("  " + wording("wn_populations"), style="dim"))
    if answer.ways:
        _heading(console, wording("wn_ways"))
        _ways(console, answer.ways, wording)


def _named(answer: WhyNot) -> str:
    return answer.journey if answer.name == answer.journey else f"{answer.journey} {answer.name}"


def _by_crowds(answer: WhyNot) -> bool:
    return any(r.code in ("schedule", "at", "existing_enrol") for r, _ in answer.entry)


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def verdict(answer: WhyNot, wording: Wording) -> str:
    """The answer in one sentence."""
    got = [m for m in answer.told.story.messages if m["state"] in GOT and m["kind"] == "message"]
    told: dict[str, Any] = {"n": len(got) if answer.verdict == "got" else len(answer.told.chapters)}
    if got:
        told["at"] = wording.at(max(m["begun_at"] or m["created_at"] for m in got))
    if answer.refusals:
        row = answer.refusals[0][0]
        told |= {"at": wording.at(row["last_at"]), "reason": wording.reason(row["reason"])} if answer.verdict == "refused" else {}
    return wording("wn_open_to_come" if answer.verdict == "open" and answer.to_come else f"wn_{answer.verdict}", **told)


def _given(answer: WhyNot, wording: Wording) -> list[str]:
    """The benefits that came without a message."""
    grants = [m for m in answer.told.story.messages if m["kind"] == "grant" and m["state"] in GOT and answer.verdict != "got"]
    return [wording("entrants_benefit", step=grant["step"], channel=grant["channel"]) for grant in grants]


def _reasons(answer: WhyNot, wording: Wording) -> Iterable[Text]:
    """What decided, in short: lines of the last time inside, or what is missing now."""
    if answer.verdict == "entered":
        for line in _deciding(answer.told.chapters[-1].lines):
            yield Text(f"  {wording.at(line.at)}  {line_text(line, wording)}")
    elif answer.verdict == "inside":
        yield from (Text("  " + text) for text in standing(answer.told.chapters[-1], wording))
    elif answer.verdict in ("refused", "never", "open"):
        to_come = [] if answer.nobody_enters else answer.to_come
        if to_come and answer.verdict != "open":  # there the verdict says so; what is to come is asked first, as the entry does
            yield Text(wording("wn_first_to_come" if answer.lacking else "wn_to_come"))
        yield from (Text("  " + requirement_text(requirement, wording)) for requirement in to_come)
        if answer.lacking or (not to_come and answer.verdict != "open"):
            yield Text(wording("wn_lacking" if answer.lacking else "wn_free"))
        yield from (Text("  " + requirement_text(requirement, wording)) for requirement in answer.lacking)


def _deciding(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.action in DECIDING]


# --- what was decided then


def _refusals(console: Console, answer: WhyNot, wording: Wording) -> None:
    for row, clauses in answer.refusals:
        why = {**readable(row["why"]), "reason": row["reason"], "times": row["times"]}
        if clauses:  # said one by one
            why = {key: value for key, value in why.items() if key not in ("clause", "values")}
        line = Line(row["last_at"], row["journey"], None, "", "refused", why)
        console.print(Text(f"  {wording.at(line.at)}  {wording.sentence(line)}"))
        if grounds := wording.grounds(line):
            console.print(_indented(6, Text(grounds, style="dim")))
        for clause in clauses:
            for shown in _clause(clause, wording, 6, then=True):
                console.print(shown)


# --- how it is now


def requirement_text(requirement: Requirement, wording: Wording) -> str:
    """The sentence of one thing that has to hold."""
    told = {key: _shown(key, value, wording) for key, value in requirement.told.items()}
    code = f"rq_{requirement.code}"
    if requirement.told.get("problem") in ("history", "before", "outside", "stands"):
        text = wording(f"{code}_{requirement.told['problem']}", **told)
    elif requirement.code == "segment" and requirement.held:
        how = "by_edit" if requirement.told["by_edit"] else "entered" if requirement.told["edge_at"] is not None else "before"
        text = wording(f"rq_segment_{how}", **told)
    elif requirement.code == "reentry" and requirement.held is False:
        again = requirement.told.get("again_from")
        text = wording(
            "rq_reentry_no", **{**told, "again": wording("again_after", at=wording.at(again)) if again else wording("again_once")}
        )
    elif requirement.code == "where":
        event = requirement.told["with_event"]
        with_event = "" if not event else wording("with_event", **told) if requirement.told["at"] else wording("with_no_event")
        text = wording("rq_where" if requirement.held else "rq_where_no", with_event=with_event)
    elif requirement.code == "window":
        text = wording("rq_window_no", until=wording.at(requirement.changes_at), reason=told["reason"])
    else:
        text = wording(code + {True: "", False: "_no", None: "_open"}[requirement.held], **told)
    if requirement.told.get("subject"):
        text = wording("rq_per_subject" if requirement.held else "rq_per_subject_no", what=text, **told)
    if requirement.code == "stop" and requirement.changes_at is not None:
        text = wording.joined([text, wording("will_end", at=wording.at(requirement.changes_at))])
    if requirement.code == "event" and requirement.told.get("problem") == "none" and requirement.told.get("keeps"):
        text += wording("rq_event_pruned", keeps=told["keeps"])
    return text


def _shown(key: str, value: Any, wording: Wording) -> str:
    if key == "reason":
        return wording.reason(str(value))
    if key in ("channel", "purpose"):
        return wording.channel(str(value))
    if key == "how":
        return wording(f"says_{value}")
    if value is None and key.endswith(("_at", "at", "last", "next", "until")):
        return wording("not_kept") if key != "next" else wording("none")
    return wording.value(key, value)


def _requirement(requirement: Requirement, place: str, wording: Wording) -> Iterable[Padding]:
    mark, colour = YES if requirement.held else OPEN if requirement.held is None else NO
    text = Text(mark, style=colour).append(f" {requirement_text(requirement, wording)}", style="none")
    if place:
        text.append(f"  {place}", style="dim")
    yield _indented(2, text)
    many = len(requirement.clauses) > 1
    for clause in requirement.clauses:
        yield from _clause(clause, wording, 6)
    if many and requirement.changes_at is not None:
        yield _indented(6, Text(_turn(requirement.held is True, requirement.changes_at, wording), style="dim"))


def _clause(clause: Clause, wording: Wording, indent: int, *, then: bool = False) -> Iterable[Padding]:
    mark, colour = YES if clause.held else NO
    text = Text(mark, style=colour).append(f" {clause.text}", style="none")
    said = _found(clause, wording, then=then)
    if clause.changes_at is not None:
        said = wording.joined([said, _turn(clause.held, clause.changes_at, wording)])
    if said:
        text.append(f"  {said}", style="dim" if clause.held else "none")
    yield _indented(indent, text)
    if clause.parts and not (clause.segment and not clause.parts[0].parts and clause.held):
        if len(clause.parts) > 1 and clause.joined == "any":
            yield _indented(indent + 2, Text(wording("any_of_these"), style="dim"))
        for part in clause.parts:
            yield from _clause(part, wording, indent + 2, then=then)


def _found(clause: Clause, wording: Wording, *, then: bool) -> str:
    """The value, and what it would have to be."""
    need = clause.need
    if need is None:
        return ""
    kind = "" if need.kind != "boolean" or "(" not in need.name else need.name
    found = wording.value(need.name, need.found)
    made = {name: value for name, value in clause.values.items() if name not in (need.name, str(need.wanted))}
    inner = wording.values(made) if made and not kind else ""
    if clause.held:
        text = wording("clause_was" if then else "clause_is", found=found)
    else:
        text = wording("clause_needed_then" if then else "clause_needs", found=found, wanted=wording.needed(need))
    return f"{text} ({inner})" if inner else text


def _indented(columns: int, text: Text) -> Padding:
    return Padding(text, (0, 0, 0, columns))


def _turn(held: bool, at: int, wording: Wording) -> str:  # noqa: FBT001 - of a clause
    return wording("will_end" if held else "will_be", at=wording.at(at))


# --- whether she could be sent its messages


def _ways(console: Console, ways: Sequence[tuple[Way, str]], wording: Wording) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    alike: dict[tuple[str, str, bool | None, str], list[str]] = {}  # what stands in the way is mostly the same at every step
    for way, _ in ways:
        lacking = [r for r in way.requirements if r.held is False]
        text = wording.joined([requirement_text(r, wording) for r in lacking]) or wording("way_open")
        only_later = all(r.code == "window" for r in lacking)
        alike.setdefault((way.channel, way.purpose, True if not lacking else None if only_later else False, text), []).append(way.step)
    for (channel, purpose, is_open, text), steps in alike.items():
        mark, colour = YES if is_open else OPEN if is_open is None else NO
        what = f"{wording.channel(channel)} {wording.channel(purpose)}"
        named = wording("of_steps", steps=wording.listed(list(dict.fromkeys(steps))))
        table.add_row(Text("  ").append(mark, style=colour), Text(what), Text(text).append(f"  {named}", style="dim"))
    console.print(table)
