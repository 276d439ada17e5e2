"""What a simulation foresees, in the terminal: a table per journey, what differs between two versions, what nobody can know."""

from collections.abc import Mapping
from itertools import product

from rich.console import Console
from rich.table import Table

from journeys.duration import format_duration
from journeys.errors import Language
from runtime.comparing import KINDS, Comparison, How
from runtime.foreseen import Foreseen, Row, money
from runtime.texts import ends_of, reason, word

COLUMNS = ("refused", "inside", "ended", "messages", "suppressed", "held", "granted", "not_granted", "cost", "converted", "holdout")
MOST_NAMED = 5  # users, of each kind at a step
NEW_OR_GONE: tuple[How, ...] = ("only_after", "only_before")
NUMBERS = ("entered", "inside", "cost", "converted", "holdout")


def foreseen_table(console: Console, found: Foreseen, language: Language) -> None:
    """Per journey: who entered and who did not, what was sent and what was not, what it cost. What nobody has is left out."""
    table = Table(show_lines=True)
    rows = {journey: _cells(found, row, language) for journey, row in found.journeys.items() if not row.is_quiet}
    columns = [key for key in ("entered", *COLUMNS) if any(cells[key] for cells in rows.values())]
    table.add_column(word("journey", language), no_wrap=True)
    for key in columns:
        table.add_column(word(key, language), justify="right" if key in NUMBERS else "left", overflow="fold")
    for journey, cells in rows.items():
        table.add_row(journey, *(cells[key] for key in columns))
    if rows:
        console.print(table)
    quiet = [journey for journey in found.journeys if journey not in rows]
    if quiet:
        console.print(word("nobody_came", language, journeys=", ".join(quiet)), markup=False)
    if found.budgets:
        _budgets(console, found, language)


def _cells(found: Foreseen, row: Row, language: Language) -> dict[str, str]:
    numbers = {"inside": row.inside, "converted": row.converted, "holdout": row.holdout}
    return {
        "entered": _estimated(found, row, "entered", row.entered),
        "refused": _pairs(row.refused, language),
        "ended": _pairs(ends_of(row.ended, language), None),
        "messages": _sent(found, row),
        "suppressed": _pairs(row.suppressed, language),
        "held": _pairs(row.held, language),
        "granted": _pairs(row.granted, None),
        "not_granted": _pairs(row.not_granted, language),
        "cost": "" if row.cost is None else money(row.cost),
        **{key: f"{n:,}" if n else "" for key, n in numbers.items()},
    }


def _estimated(found: Foreseen, row: Row, figure: str, n: int) -> str:
    if found.sample.share >= 1 or figure not in row.figures:
        return f"{n:,}"
    guess = row.figures[figure].estimate(found.sample)
    return f"{n:,}\n≈ {guess.n:,.0f} ({guess.low:,.0f}-{guess.high:,.0f})"


def _sent(found: Foreseen, row: Row) -> str:
    ordered = sorted(row.sent.items(), key=lambda item: (-item[1], item[0]))
    return "\n".join(f"{channel} {_estimated(found, row, f'sent.{channel}', n)}" for channel, n in ordered)


def _pairs(counts: Mapping[str, int], language: Language | None) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "\n".join(f"{reason(name, language) if language else name} {n:,}" for name, n in ordered)


def _budgets(console: Console, found: Foreseen, language: Language) -> None:
    table = Table(box=None, pad_edge=False)
    for key in ("benefit", "granted", "budget", "left"):
        table.add_column(word(key, language), justify="left" if key == "benefit" else "right")
    granted = found.totals("granted")
    for benefit, total in found.budgets.items():
        if granted[benefit]:
            left = "" if total is None else f"{max(total - granted[benefit], 0):,}"
            table.add_row(benefit, f"{granted[benefit]:,}", "" if total is None else f"{total:,}", left)
    if table.row_count:
        console.print(table)


def compared_table(console: Console, found: Comparison, language: Language) -> None:
    """Per step where something differs: how many get what they did not get before, and a few of them."""
    console.print(f"\n[bold]{word('compared_title', language)}[/bold]")
    if found.same:
        console.print(word("nothing_differs", language))
        return
    table = Table()
    for key in ("journey", "step", "before", "after", "same", *KINDS, "shift"):
        table.add_column(word(key, language), justify="left" if key in ("journey", "step") else "right", overflow="fold")
    for step in found.differing:
        counts = [f"{len(step.of(how)):,}" for how in KINDS]
        shift = format_duration(step.shift) if step.of("moved") else ""
        table.add_row(step.journey, step.step, f"{step.before:,}", f"{step.after:,}", f"{step.same:,}", *counts, shift)
    console.print(table)
    for step, how in product(found.differing, NEW_OR_GONE):
        users = list(dict.fromkeys(difference.any.user_id for difference in step.of(how)))
        if users:
            more = len(users) - MOST_NAMED
            named = ", ".join(users[:MOST_NAMED]) + (" " + word("more_users", language, n=f"{more:,}") if more > 0 else "")
            told = word("some_of_them", language, journey=step.journey, step=step.step, how=word(how, language), users=named)
            console.print(told, markup=False)
    for journey, (before, after, both) in found.entries.items():
        if before or after:
            parts = [f"{word(key, language)} {n:,}" for key, n in (("only_after", after), ("only_before", before), ("both", both))]
            console.print(f"{journey}, {word('entrants', language)}: {', '.join(parts)}", markup=False)
