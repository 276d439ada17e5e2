"""What came in, in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from journeys.errors import Language, did_you_mean
from journeys.localtime import print_instant
from runtime.intake.misfits import KEYS
from runtime.shortened import LONGEST_REASON, shortened
from runtime.store.arrivals import LONGEST_NAME
from runtime.storytexts import said
from runtime.texts import TYPES, word

NUMBERS = ("today", "lately", "known_already", "aside")


def sources(console: Console, rows: Sequence[Mapping[str, Any]], language: Language, zone: ZoneInfo) -> None:
    """What came of each source, a line each."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for key in ("source", "kind", "last_arrival", *NUMBERS, "refused_signatures"):
        table.add_column(word(key, language), justify="right" if key in NUMBERS else "left")
    for row in rows:
        name = row["source"] or word("nobodys", language)
        kind = row["kind"] or (word("not_in_config", language) if row["source"] else "")
        last = word("never_came", language) if row["last_at"] is None else print_instant(row["last_at"], zone)
        numbers = (row["today"]["new"], *(row["lately"][outcome] for outcome in ("new", "duplicate", "aside")))
        refused = ", ".join(f"{word(f'signature_{reason}', language)} {n:,}" for reason, n in sorted(row["refused"].items()))
        table.add_row(escape(name), kind, last, *(f"{n:,}" for n in numbers), refused, style="" if row["kind"] else "yellow")
    console.print(table)


def reasons(console: Console, rows: Sequence[Mapping[str, Any]], language: Language, zone: ZoneInfo) -> None:
    """Why things were set aside, the most frequent reason first, a line each."""
    if rows:
        console.print(word("set_aside", language), style="yellow", markup=False)
    for row in rows:
        what = " ".join(filter(None, (row["source"], row["kind"])))
        why = shortened(row["reason"], language, LONGEST_REASON)
        at = print_instant(row["last_at"], zone)
        text = word("set_aside_why", language, what=what, reason=why, n=f"{row['n']:,}", at=at)
        console.print(f"  {text}", markup=False, soft_wrap=True)


def counted(name: str, language: Language) -> str:
    """A name under which something is counted; of a longer one that many characters are kept."""
    return shortened(name, language, kept=LONGEST_NAME)


def misfits(console: Console, rows: Sequence[Mapping[str, Any]], language: Language, zone: ZoneInfo) -> None:
    """What was left out of things that were taken, a line each."""
    if rows:
        console.print(word("misfits", language), style="yellow")
    for row in rows:
        console.print(f"  {row['source']}: {_misfit(row, language, zone)}", markup=False, soft_wrap=True)


def _misfit(row: Mapping[str, Any], language: Language, zone: ZoneInfo) -> str:
    told = {"name": counted(row["name"], language), "n": f"{row['n']:,}", "at": print_instant(row["last_at"], zone)}
    if row["expected"] != "key":
        types = {name: said(TYPES, row[name], language) for name in ("expected", "found")}
        return word("misfit", language, **types, **told)
    place, _, key = row["name"].partition(".")
    hint = did_you_mean(key, KEYS.get(place, ()))
    return word("misfit_key_hint" if hint else "misfit_key", language, hint=hint, **told)
