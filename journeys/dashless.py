"""The item of a list that lacks its dash: the parser stumbles only over what stands behind it, which is right. Pure."""

import re
from collections.abc import Sequence

from journeys.indentation import indent, is_item, keys, previous
from journeys.model import KINDS

LISTS = (
    "steps", "otherwise", "on_event", "on_timeout", "on_failed", "send", "branch", "split", "any_of", "exit_when", "tests", "expect",
    "lifecycle", "suppress_marketing",
)  # fmt: skip
_OPENS = re.compile(rf"[ ]*(?:- +)*(?:{'|'.join(LISTS)}):\s*$|[ ]+(?:- +)*events:\s*$")  # at the margin `events` are those of audience.yaml
_NAMED = re.compile(r"[ ]*(?:- +)*([A-Za-z_]\w*):(?:\s|$)")
_ONE_KEY = "send"  # each item of which has one key


def first_without_dash(rows: Sequence[str], line: int) -> int | None:
    """The first item of a list, where the parser stumbled over its second line or over a later item.

    `rows` are the lines without comments and texts; lines count from 1.
    """
    if line > len(rows) or not rows[line - 1].strip():
        return None
    column = indent(rows[line - 1])
    if is_item(rows[line - 1]):
        opens = next((number for number in range(line - 1, 0, -1) if _opens(rows[number - 1], column)), None)
        first = _next(rows, opens) if opens is not None else None
        between = rows[first - 1 : line - 1] if first is not None else ()
        whole = all(not row.strip() or indent(row) > column or (indent(row) == column and not is_item(row)) for row in between)
        columns: tuple[int, ...] = (column, column + 2)
    else:
        first = previous(rows, line)
        opens = previous(rows, first) if first is not None else None
        whole = opens is not None and _OPENS.match(rows[opens - 1]) is not None and keys(rows[opens - 1])[0] <= column - 2
        columns = (column - 2,)
    fits = first is not None and whole and not is_item(rows[first - 1]) and indent(rows[first - 1]) in columns
    return first if fits else None


def is_next(rows: Sequence[str], line: int) -> bool:
    """Whether a line in the column of a list's dashes begins an item: it is no key of the item above, moved to the left."""
    if line > len(rows):
        return True
    column = indent(rows[line - 1])
    begins = next((number for number in range(line - 1, 0, -1) if _begins(rows[number - 1], column)), None)
    named = _NAMED.match(rows[line - 1])
    if begins is None or named is None:
        return True
    outside = (row for row in reversed(rows[:begins]) if row.strip() and indent(row) <= column and not _begins(row, column))
    opens = _NAMED.match(next(outside, ""))
    if opens is not None and opens[1] == _ONE_KEY:
        return True
    above = _keys_in(rows[begins - 1 : line - 1], column + 2)
    own = {named[1]} | _keys_in(_up_to(rows[line:], column), column + 2)
    return bool(above & own) or bool(above & KINDS.keys() and own & KINDS.keys())


def _begins(row: str, column: int) -> bool:
    return is_item(row) and indent(row) == column


def _opens(row: str, column: int) -> bool:
    """Whether a list whose dashes stand in a column may begin below a row."""
    return _OPENS.match(row) is not None and keys(row)[0] in (column, column - 2)


def _next(rows: Sequence[str], line: int) -> int | None:
    return next((number for number in range(line + 1, len(rows) + 1) if rows[number - 1].strip()), None)


def _up_to(rows: Sequence[str], column: int) -> list[str]:
    """The rows that stand deeper than a column, up to the first that does not."""
    end = next((number for number, row in enumerate(rows) if row.strip() and indent(row) <= column), len(rows))
    return list(rows[:end])


def _keys_in(rows: Sequence[str], column: int) -> set[str]:
    return {match[1] for row in rows if column in keys(row) and (match := _NAMED.match(row))}
