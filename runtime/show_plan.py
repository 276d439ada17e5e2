"""`plan` and `releases` for people."""

import sys
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape

from journeys.difference import Change
from journeys.duration import MINUTE, format_duration
from journeys.errors import Language
from journeys.localtime import print_instant
from journeys.phrasing import step_name
from runtime.fates import AtStep
from runtime.meanings import Meaning
from runtime.planning import JourneyPlan, Plan, QueuePlan
from runtime.store.releases import Release
from runtime.texts import word

MARKS = {"new": "[green]+[/green]", "changed": "[yellow]~[/yellow]", "gone": "[red]-[/red]", "same": " "}
LONGEST = 60  # of a value in a line
RULES = ("when", "where", "value", "if")
LONGEST_RULE = 400  # of a condition: what differs may stand at its end


def show_plan(console: Console, plan: Plan, command: str, language: Language, zone: ZoneInfo) -> None:
    """The whole plan, and the command that applies it."""
    if plan.base is None:
        console.print(word("plan_first", language))
    else:
        told = {"release": plan.base.id, "author": plan.base.author, "message": plan.base.message}
        console.print(escape(word("plan_same" if plan.is_same else "plan_on", language, **told)))
    only_wording = [journey for journey in plan.journeys if _reads_differently(journey)]
    only_older = [j for j in plan.journeys if j.what == "same" and j.paused is None and j.queue is None and _all_stay(j)]
    for journey in sorted(plan.journeys, key=lambda journey: journey.what == "same"):
        if journey not in only_wording and journey not in only_older:
            _journey(console, journey, language, zone)
    if only_wording:
        line = word("plan_wording", language, n=len(only_wording), journeys=", ".join(journey.journey for journey in only_wording))
        console.print(f"{MARKS['changed']} {escape(line)}")
    if only_older:
        named = ", ".join(f"{journey.journey} ({sum(at.n for at in journey.inside):,})" for journey in only_older)
        console.print("  " + escape(word("plan_older", language, journeys=named)), style="dim")
    if plan.audience:
        console.print(f"{MARKS['changed']} {word('plan_audience', language)}")
        _changes(console, plan.audience, language)
        for meaning in plan.meanings:
            console.print("    " + escape(_meaning(meaning, language)), style="dim" if not meaning.has_people else "")
    for one in plan.too_short:
        asked = format_duration(one.asked) if one.asked is not None else word("for_ever", language)
        line = word("plan_too_short", language, event=one.event, asked=asked, kept=format_duration(one.kept))
        console.print(f"[yellow]{escape(line)}[/yellow]")
    if plan.failing:
        console.print(f"[red]{escape(word('plan_refused', language, n=plan.failing))}[/red]")
    elif not plan.is_same:
        console.print(escape(word("plan_apply", language, command=command)))


def _reads_differently(plan: JourneyPlan) -> bool:
    """Whether nothing changes but comments or layout, and nothing is decided for those inside: a line for all of these is enough."""
    enters = plan.enter_now is not None or plan.enter_unknown or plan.queue is not None
    return _all_stay(plan) and [c.kind for c in plan.changes] == ["wording_only"] and plan.paused is None and not enters


def _all_stay(plan: JourneyPlan) -> bool:
    return all(at.way == "keep" for at in plan.inside)


def _journey(console: Console, plan: JourneyPlan, language: Language, zone: ZoneInfo) -> None:
    title = word(f"plan_{'left' if plan.what == 'same' else plan.what}", language, journey=plan.journey, version=plan.version)
    console.print(f"{MARKS[plan.what]} {escape(title)}")
    _changes(console, plan.changes, language)
    if plan.paused is not None:
        paused = plan.paused
        told = {"since": print_instant(paused.paused_at, zone), "author": paused.paused_by, "reason": paused.reason}
        console.print("    " + escape(word("plan_paused", language, **told, due=f"{plan.due_in_pause:,}", late=f"{plan.late_in_pause:,}")))
    if plan.enter_now is not None:
        console.print("    " + word("plan_enter", language, n=f"{plan.enter_now:,}"))
    if plan.enter_unknown:
        console.print("    " + word("plan_enter_unknown", language))
    if plan.queue is not None:
        console.print("    " + escape(_queue(plan.queue, language)))
    if plan.what == "changed" and not plan.inside:
        console.print("    " + word("plan_nobody", language), style="dim")
    for at in plan.inside:
        console.print("    " + escape(_at_step(at, plan, language)))


def _meaning(meaning: Meaning, language: Language) -> str:
    told: list[str] = []
    if meaning.has_people and meaning.comes is not None:
        told.append(word("meaning_people", language, comes=f"{meaning.comes:,}", leaves=f"{meaning.leaves:,}"))
    elif meaning.has_people:
        told.append(word("meaning_unknown", language))
    if meaning.lets_in:
        told.append(word("meaning_lets_in", language, journeys=", ".join(meaning.lets_in)))
    if meaning.read_by:
        told.append(word("meaning_read_by", language, journeys=", ".join(meaning.read_by)))
    if meaning.holds:
        told.append(word("meaning_gone" if meaning.is_gone else "meaning_retyped", language, n=f"{meaning.holds:,}"))
    if not (meaning.lets_in or meaning.read_by or meaning.is_gone):
        told.append(word("meaning_unread", language))
    return word("meaning", language, key=meaning.key, told=word("meaning_and", language).join(told))


def _queue(queue: QueuePlan, language: Language) -> str:
    n = f"{queue.waiting:,}" if queue.waiting is not None else ""
    first = word("plan_queue" if n else "plan_queue_unknown", language, n=n)
    if queue.stands:
        return word("late_and", language, first=first, second=word("plan_queue_stands", language))
    if not queue.open:
        return word("late_and", language, first=first, second=word("plan_queue_over", language))
    still = "plan_queue_enter" if queue.enter is not None else "plan_queue_enter_unknown"
    return word("late_and", language, first=first, second=word(still, language, n=f"{queue.enter or 0:,}"))


def _at_step(at: AtStep, plan: JourneyPlan, language: Language) -> str:
    where = word("plan_step", language, n=f"{at.n:,}", step=_place(at.step, at, language), version=at.version)
    fates = ", ".join(_fate(fate, n, at, plan, language) for fate, n in at.fates.items())
    if at.way == "exit":
        return f"{where}: {word('plan_exit', language)}"
    if at.again:
        fates = f"{fates}; {word('plan_again', language, steps=', '.join(at.again), to=at.to)}"
    if at.way == "move" and fates:
        return f"{where}: {word('plan_move', language, fates=fates)}"
    stays = f"{where}: {word('plan_keep', language, version=at.version)}"
    return f"{stays}; {word('plan_could_move', language, journey=plan.journey, fates=fates)}" if fates else stays


def _fate(fate: str, n: int, at: AtStep, plan: JourneyPlan, language: Language) -> str:
    number = f"{word('plan_about', language)} {n:,}" if at.about else f"{n:,}"
    name = "fate_window_over" if fate == "overdue" and at.status == "held_out" else f"fate_{fate}"
    return word(name, language, n=number, to=_place(at.to or "", at, language), lateness=_lateness(at, n, plan, language))


def _place(step: str, at: AtStep, language: Language) -> str:
    return word("in_holdout", language) if at.status == "held_out" else step


def _lateness(at: AtStep, overdue: int, plan: JourneyPlan, language: Language) -> str:
    """Who of those past their step goes on at once, and for whom it is too late."""
    on = overdue - at.too_late
    late_by = word("late_by", language, late=format_duration(at.late_by // MINUTE * MINUTE)) if on and at.late_by is not None else ""
    goes_on = word("late_goes_on", language, n=on, late_by=late_by)
    if plan.max_lateness is None:
        return word("late_and", language, first=goes_on, second=word("late_any", language))
    limit = format_duration(plan.max_lateness)
    too_late = word("late_exit" if plan.late_exits else "late_skip", language, n=at.too_late, limit=limit)
    return word("late_and", language, first=goes_on, second=too_late)


def _changes(console: Console, changes: Sequence[Change], language: Language) -> None:
    for change in changes:
        longest = LONGEST if change.key.rpartition(".")[2] not in RULES else LONGEST_RULE
        values = {name: _value(getattr(change, name), language, longest) for name in ("before", "after")}
        console.print("    " + escape(word(f"change_{change.kind}", language, step=step_name(change.step), key=change.key, **values)))


def _value(value: Any, language: Language, longest: int) -> str:
    if value is None:
        return word("unwritten", language)
    text = " ".join(_as_written(value).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _as_written(value: Any) -> str:
    """A value as a file has it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_as_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_as_written(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def show_releases(
    console: Console, found: Sequence[Release], language: Language, zone: ZoneInfo, *, whole: bool
) -> None:  # fmt: skip
    """A line per release; `whole`: its files, too."""
    for release in found:
        told = {"id": release.id, "at": print_instant(release.applied_at, zone), "author": release.author, "message": release.message}
        console.print(escape(word("release_line", language, **told, journeys=len(release.versions))))
        if whole:
            for name, text in (("audience.yaml", release.audience), *((f"{v.journey}.yaml", v.source) for v in release.versions)):
                sys.stdout.write(f"# --- {name}\n{text}")


def releases_json(found: Sequence[Release], zone: ZoneInfo, *, whole: bool) -> list[dict[str, Any]]:
    """The documented shape: versions by journey; `whole`: with the files."""
    return [
        {
            "id": r.id, "at": print_instant(r.applied_at, zone), "applied_at": r.applied_at, "author": r.author, "message": r.message,
            "versions": {v.journey: v.number for v in r.versions},
            **({"audience": r.audience, "journeys": {v.journey: v.source for v in r.versions}} if whole else {}),
        }
        for r in found
    ]  # fmt: skip
