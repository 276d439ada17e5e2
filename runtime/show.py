"""Tables, stories and progress in the terminal. Looks only; what it shows was computed elsewhere."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from journeys.duration import MINUTE, SECOND, format_duration
from journeys.errors import Language
from journeys.localtime import print_instant
from runtime.doctor import Examined
from runtime.shortened import LONGEST_REASON, shortened
from runtime.show_intake import counted, misfits, reasons, sources
from runtime.state import SYSTEM_ENDS
from runtime.store.quarantine import SetAside
from runtime.storytexts import STATES, said, stage_name
from runtime.texts import reason, word

__all__ = [
    "examined", "instant", "journeys_table", "paper", "progress", "rows_progress", "set_aside", "spinner", "status", "word",
]  # fmt: skip
SECONDS_OF_A_LINE = 5.0  # between two lines of progress where there is no terminal


def paper() -> Console:
    """Stdout for people: as wide as the terminal or as COLUMNS says, and wide enough for tables where it is a file."""
    console = Console(highlight=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=max(console.width, 140))


@contextmanager
def progress(console: Console, title: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A bar on stderr; call with what is done so far, and with the total where it was not known before."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, total=total: bar.update(task, completed=done, total=total)


@contextmanager
def rows_progress(
    console: Console, title: str, size: int, language: Language, timer: Callable[[], float] = time.perf_counter
) -> Iterator[Callable[[int, int], None]]:
    """A bar over the bytes of a file, with rows, rows per second and the time that is left; call with bytes and rows so far.

    Where nobody sees a bar, a line now and then.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    began = told_at = timer()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=max(size, 1), rows="")

        def advance(read: int, rows: int) -> None:
            nonlocal told_at
            now = timer()
            speed = f", {rows / (now - began):,.0f}/s" if now > began else ""
            bar.update(task, completed=read, rows=f"{rows:,}{speed}")
            if not console.is_terminal and now - told_at >= SECONDS_OF_A_LINE:
                told_at = now
                share = f"{min(read / max(size, 1), 1):.0%}"
                console.print(word("rows_so_far", language, file=title, rows=f"{rows:,}", share=share), markup=False, soft_wrap=True)

        yield advance


@contextmanager
def spinner(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """A spinner with a text that changes, for work whose end is not known."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda text: bar.update(task, description=f"{title} {text}")


def instant(at: int, zone: ZoneInfo) -> str:
    """An instant for people."""
    return print_instant(at, zone)


def differences(console: Console, found: Sequence[dict[str, Any]], unreadable: Sequence[str], language: Language) -> None:
    """Users whose profiles are not what their events say, a line each."""
    for user in found:
        parts = [*user["traits"], *(word("history_of", language, event=event) for event in user["histories"])]
        console.print(word("differs", language, user=user["user_id"], what=", ".join(parts)), markup=False)
    for user_id in unreadable:
        console.print(word("unreadable", language, user=user_id), markup=False)


def _pairs(counts: dict[str, int], language: Language, *, reasons: bool = False) -> str:
    return "\n".join(f"{reason(name, language) if reasons else name} {n:,}" for name, n in sorted(counts.items(), key=lambda i: -i[1]))


def _ends(counts: dict[str, int], language: Language) -> str:
    """The system's own ends in the reader's language, the file's as it says them."""
    return _pairs({reason(name, language) if name in SYSTEM_ENDS else name: n for name, n in counts.items()}, language)


def journeys_table(console: Console, journeys: dict[str, dict[str, Any]], language: Language) -> None:
    """Per journey: entered, messages per channel, suppressed by reason, converted, hold-out."""
    table = Table(show_lines=True)
    for key in ("journey", "entered", "messages", "suppressed", "converted", "holdout"):
        table.add_column(word(key, language), justify="left" if key in ("journey", "messages", "suppressed") else "right", overflow="fold")
    for journey, row in journeys.items():
        table.add_row(
            journey, f"{row['entered']:,}", _pairs(row["sent"], language), _pairs(row["suppressed"], language, reasons=True),
            f"{row['converted']:,}", f"{row['holdout']:,}",
        )  # fmt: skip
    console.print(table)


def status(console: Console, summary: dict[str, Any], language: Language, zone: ZoneInfo, stages: Mapping[str, str]) -> None:
    """The whole summary; `stages` are the lifecycle's names for people."""
    release = summary["release"]
    if release is None:
        console.print(word("status_none", language))
    else:
        told = {"id": release["id"], "at": print_instant(release["applied_at"], zone), "author": release["author"]}
        console.print(escape(word("status_release", language, **told, n=len(release["versions"]))))
    totals = [f"{word(f'total_{name}', language)} {n:,}" for name, n in summary["totals"].items()]
    console.print("  ".join([*totals, word("due_lag", language, lag=_lag(summary["due_lag_ms"]))]))
    if summary["stages"]:
        _stages(console, summary, language, stages)
    console.print("  ".join(f"{_in_ledger(name, language)} {n:,}" for name, n in summary["ledger"].items()))
    _flow(console, summary, language, zone)
    table = Table()
    for key in ("journey", "inside", "entered", "messages", "suppressed", "converted", "ended"):
        table.add_column(word(key, language), overflow="fold", justify="right" if key in ("inside", "entered", "converted") else "left")
    for journey, row in summary["journeys"].items():
        sent = (
            dict(row["sent"])
            | ({"pending": row["pending"]} if row["pending"] else {})
            | ({"unknown": row["unknown"]} if row["unknown"] else {})
        )
        lives = release is None or journey in release["versions"]
        name = journey if lives else word("gone_now", language, journey=journey)
        table.add_row(
            name, f"{row['inside']:,}", f"{row['entered']:,}", _pairs(sent, language),
            _pairs(row["suppressed"], language, reasons=True), f"{row['converted']:,}", _ends(row["ended"], language),
        )  # fmt: skip
    console.print(table)
    if any(row["converted"] != row["ended"].get("converted", 0) for row in summary["journeys"].values()):
        console.print(word("converted_means", language), style="dim", markup=False, soft_wrap=True)
    sources(console, summary["sources"], language, zone)
    if summary["unmapped"]:
        shown = "  ".join(f"{row['source']}:{counted(row['name'], language)} {row['n']:,}" for row in summary["unmapped"])
        console.print(f"[yellow]{word('unmapped', language)}[/yellow] {escape(shown)}")
    misfits(console, summary["misfits"], language, zone)
    reasons(console, summary["quarantine"], language, zone)


def _in_ledger(name: str, language: Language) -> str:
    """`message.ACCEPTED` as it is, or in Chinese."""
    kind, _, state = name.partition(".")
    return f"{word(f'kind_{kind}', language)}{said(STATES, state, language)}" if language == "zh" else name


def _lag(ms: int) -> str:
    """0.4 s, or 22h38m where it is more than a minute."""
    return f"{ms / SECOND:.1f} s" if ms < MINUTE else format_duration(ms // MINUTE * MINUTE)


def stages_by_month(
    console: Console, months: dict[str, dict[str, int]], language: Language, stages_: Mapping[str, str], last: str
) -> None:  # fmt: skip
    """How many users stood in each stage at the end of each month, of the last one on the `last` day (2018-01-01).

    `stages_` are the lifecycle's names for people.
    """
    names = list(dict.fromkeys(name for stages in months.values() for name in stages))
    if not names:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(word("month_ends", language))
    for name in names:
        table.add_column(stage_name(name, stages_, language), justify="right")
    rows = [(month, [f"{stages.get(name, 0):,}" for name in names]) for month, stages in months.items()]
    for number, (month, counts) in enumerate(rows):
        stands_still = 0 < number < len(rows) - 1 and rows[number - 1][1] == counts == rows[number + 1][1]
        if not stands_still:
            table.add_row(last if last.startswith(month) else month, *counts)
        elif rows[number - 2][1] != counts or number == 1:
            table.add_row("…", *("" for _ in names))
    console.print(table)


def _stages(console: Console, summary: dict[str, Any], language: Language, names: Mapping[str, str]) -> None:
    """How many users stand in each stage, now and before, in the order of the lifecycle; of a day of which nothing was counted, nothing."""
    table = Table(box=None, pad_edge=False)
    table.add_column(word("stage", language))
    table.add_column(word("now", language), justify="right")
    for days in summary["stages_before"]:
        table.add_column(word("days_before", language, days=days), justify="right")
    found = {*summary["stages"], *(name for then in summary["stages_before"].values() for name in then)}
    unknown = word("not_known", language)
    for name in [*(name for name in names if name in found), *sorted(found - {*names})]:
        before = (f"{then.get(name, 0):,}" if then else unknown for then in summary["stages_before"].values())
        table.add_row(stage_name(name, names, language), f"{summary['stages'].get(name, 0):,}", *before)
    console.print(table)


def set_aside(console: Console, rows: Sequence[SetAside], language: Language, zone: ZoneInfo) -> None:
    """One line per row of the quarantine."""
    table = Table(box=None, pad_edge=False)
    for key in ("number", "time", "kind", "source", "user", "reason"):
        table.add_column(word(key, language), overflow="fold", no_wrap=key in ("number", "time"))
    for row in rows:
        table.add_row(
            str(row.id),
            print_instant(row.received_at, zone),
            escape(row.kind),
            escape(row.source),
            escape(row.user_id),
            escape(shortened(row.reason, language, LONGEST_REASON)),
        )
    console.print(table)


def examined(console: Console, found: Sequence[Examined]) -> None:
    """One line per thing that `doctor` looked at; what to do stands below what is not well."""
    for thing in found:
        mark = "[green]ok[/green]  " if thing.ok else "[red]bad[/red] "
        console.print(f"{mark}{escape(thing.where)}: {escape(thing.what)}: {escape(thing.found)}")
        if thing.cure:
            console.print(f"      → {escape(thing.cure)}", style="dim" if thing.ok else "")


def _flow(console: Console, summary: dict[str, Any], language: Language, zone: ZoneInfo) -> None:
    """What is held, paused or in doubt."""
    for circuit in summary["held"]:
        what = circuit["lane"] + (f" ({circuit['template']})" if circuit["template"] else "")
        since, probe = print_instant(circuit["opened_at"], zone), print_instant(circuit["probe_at"], zone)
        console.print(f"[red]{escape(word('channel_held', language, what=what, since=since, probe=probe))}[/red]"
                      f" {escape(circuit['code'])} {escape(circuit['reason'])}")  # fmt: skip
    for journey in summary["journeys_paused"]:
        told = {"journey": journey["journey"], "author": journey["paused_by"], "reason": journey["reason"]}
        text = word("journey_pauses", language, since=print_instant(journey["paused_at"], zone), **told)
        console.print(f"[yellow]{escape(text)}[/yellow]")
    for journey, left in summary["moves"].items():
        console.print(word("moves_left", language, journey=journey, n=f"{left:,}"))
    for queue in summary["queues"]:
        what = "stands" if queue["stands"] else "unknown" if queue["waiting"] is None else "left"
        told = {"journey": queue["journey"], "since": print_instant(queue["since"], zone), "n": f"{queue['waiting'] or 0:,}"}
        text = word(f"queue_{what}", language, **told)
        if what == "left" and queue["next_at"] is not None:
            text += word("queue_next", language, at=print_instant(queue["next_at"], zone))
        console.print(escape(text), style="yellow" if queue["stands"] else "")
    for lane, pause in summary["paused"].items():
        text = word("channel_pauses", language, what=lane, until=print_instant(pause["until"], zone))
        console.print(f"[yellow]{escape(text)}[/yellow] {escape(pause['reason'])}")
    for lane, counts in summary["unknown"].items():
        shown = "  ".join(f"{word(f'settled_{how}', language)} {n:,}" for how, n in sorted(counts.items()))
        console.print(word("doubts", language, lane=lane, shown=shown))
