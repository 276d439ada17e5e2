"""People by the value of a trait, for people: how they spread over the stages, and their share in segments."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from journeys.errors import Language
from runtime.breakdown import Breakdown, Group
from runtime.shortened import shortened
from runtime.storytexts import stage_name
from runtime.texts import word


def breakdown(console: Console, found: Breakdown, language: Language, stages: Mapping[str, str]) -> None:
    """A row for each value, the most frequent first; shares are of the row's people. `stages` are the lifecycle's names for people."""
    if not found.groups:
        console.print(word("by_nobody", language), markup=False)
    else:
        table = Table(box=None, pad_edge=False)
        table.add_column(found.by, overflow="fold")
        headings = [word("people", language), *(_stage(name, stages, language) for name in found.stages), *found.segments]
        for heading in headings:
            table.add_column(heading, justify="right")
        for group in found.groups:
            table.add_row(_named(group, language), f"{group.people:,}", *_shares(group, found))
        if len(found.groups) > 1:
            table.add_row(Text(word("everybody_row", language), "bold"), f"{_sum(found).people:,}", *_shares(_sum(found), found))
        console.print(table)
    if found.unsure:
        console.print(word("by_unsure", language, n=f"{found.unsure:,}"), style="dim", markup=False)


def _stage(name: str, stages: Mapping[str, str], language: Language) -> str:
    return stage_name(name, stages, language) if name else word("no_stage", language)


def _named(group: Group, language: Language) -> Text:
    if group.kind == "value":
        is_boolean = isinstance(group.value, bool)
        return Text(word("yes" if group.value else "no", language) if is_boolean else shortened(str(group.value), language) or '""')
    return Text(word(f"by_{group.kind}", language, n=f"{group.values:,}"), "dim")


def _shares(group: Group, found: Breakdown) -> list[str]:
    counts = [*(group.stages[name] for name in found.stages), *(group.segments[name] for name in found.segments)]
    return [f"{n:,} ({n / group.people:.0%})" if n else "" for n in counts]


def _sum(found: Breakdown) -> Group:
    total = Group("value")
    for group in found.groups:
        total.people += group.people
        total.stages.update(group.stages)
        total.segments.update(group.segments)
    return total
