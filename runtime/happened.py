"""A user's story as the timeline that tests speak of: sends, grants, tags, suppressions and ends, each with what decided. Pure."""

from collections.abc import Mapping
from typing import Any

from runtime.state import LogEntry
from runtime.store.reports import Story
from runtime.timelines import Line, Note

NOT_SENT = ("SUPPRESSED", "EXPIRED", "REJECTED")
DECIDES = ("held", "passed_over", "branched", "no_moment", "late", "exit_when", "goal_reached", "event_ignored", "timed_out", "matched",
           "grant_failed", "call_failed", "failed")  # fmt: skip


def timeline_of(story: Story, enrolment_id: int | None = None) -> list[Line]:
    """What happened, in the order it was recorded; of one enrolment, or of all. A message is one line, with the channel it ended on."""
    messages = {m["key"]: m for m in story.messages}
    lines: list[Line] = []
    notes: list[Note] = []
    for owner, _, entry in story.log:
        if enrolment_id is not None and owner != enrolment_id:
            continue
        if entry.action in DECIDES:
            notes.append(_note(entry))
        for line in _lines(entry, messages, tuple(notes)):
            lines.append(line)
            notes = []
    return lines


def text_of(content: Mapping[str, Any]) -> str:
    """The words of a message, as `contains` looks at them: what the person reads, and the page it opens."""
    return " / ".join([*_words({k: v for k, v in content.items() if k not in ("template", "page")}), *_words(content.get("page"))])


def _words(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [word for part in value.values() for word in _words(part)]
    return [str(value)] if value not in (None, "") else []


def _note(entry: LogEntry) -> Note:
    return Note(entry.at, entry.action, entry.step, entry.why)


def _lines(entry: LogEntry, messages: Mapping[str, Mapping[str, Any]], notes: tuple[Note, ...]) -> list[Line]:
    at, action, step, why = entry.at, entry.action, entry.step, entry.why
    if action == "sent":
        message = messages.get(why["key"])
        if "positions" in why:  # it went another way than the first: why
            notes = (*notes, _note(entry))
        if message is None:
            return [Line(at, "send", why["channel"], step, notes=notes)]
        if message["state"] in NOT_SENT:  # decided otherwise right before the first byte, or refused by the channel
            return [Line(at, "suppressed", message["reason"] or message["state"].lower(), step, notes=notes)]
        return [Line(at, "send", message["channel"], step, text_of(message["content"]), notes)]
    if action == "granted":
        return [Line(at, "grant", why["what"], step, notes=notes)]
    if action == "updated":
        return [Line(at, "tag", tag, step, notes=notes) for tag in why["add_tags"]]
    if action in ("suppressed", "late"):
        own = _note(entry)
        return [Line(at, "suppressed", why.get("reason", "late"), step, notes=(*(n for n in notes if n.action != "late"), own))]
    if action == "ended":
        return [Line(at, "end", why["reason"], notes=notes)]
    return []


def refusal_of(story: Story) -> Note:
    """Why the user never entered: the reason, and the clause with the values then where one decided."""
    if not story.refusals:
        return Note(0, "refused", "", {"reason": "missing"})
    last = story.refusals[-1]
    return _note(LogEntry(last["last_at"], "refused", "", {**last["why"], "reason": last["reason"]}))
