"""What came in, in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from journeys.errors import Language, did_you_mean
from journeys.localtime import print_instant
from runtime.intake.misfits import KEYS
from runtime.storytexts import said
from runtime.texts import TYPES, word


def misfits(console: Console, rows: Sequence[Mapping[str, Any]], language: Language, zone: ZoneInfo) -> None:
    """What was left out of things that were taken, a line each."""
    if rows:
        console.print(word("misfits", language), style="yellow")
    for row in rows:
        console.print(f"  {row['source']}: {_misfit(row, language, zone)}", markup=False, soft_wrap=True)


def _misfit(row: Mapping[str, Any], language: Language, zone: ZoneInfo) -> str:
    told = {"name": row["name"], "n": f"{row['n']:,}", "at": print_instant(row["last_at"], zone)}
    if row["expected"] != "key":
        types = {name: said(TYPES, row[name], language) for name in ("expected", "found")}
        return word("misfit", language, **types, **told)
    place, _, key = row["name"].partition(".")
    hint = did_you_mean(key, KEYS.get(place, ()))
    return word("misfit_key_hint" if hint else "misfit_key", language, hint=hint, **told)
