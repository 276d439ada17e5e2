"""Keys that stand too far to the left: the parser stumbles only over one behind them that stands where it should. Pure."""

import re
from collections.abc import Sequence

from journeys.indentation import AT_THE_MARGIN, Moved, indent, is_item, keys, previous

_NAMED = re.compile(r"[ ]*([A-Za-z_]\w*):(?:\s|$)")


def too_far_left(rows: Sequence[str], line: int) -> list[Moved]:
    """The lines that belong beside the one over which the parser stumbled: below a key that is empty otherwise, or, where they stand
    at the margin, by their names.
    """
    right = indent(rows[line - 1]) if line <= len(rows) else 0
    above = previous(rows, line)
    column = indent(rows[above - 1]) if above is not None else right
    moved: list[int] = []
    while above is not None and indent(rows[above - 1]) == column and not is_item(rows[above - 1]) and not _is_open(rows[above - 1]):
        moved.insert(0, above)
        above = previous(rows, above)
    if column >= right or above is None or not moved:
        return []
    empty = _is_open(rows[above - 1]) and keys(rows[above - 1]) == [column]
    strangers = column == 0 and indent(rows[above - 1]) == right and not any(_name(rows[number - 1]) in AT_THE_MARGIN for number in moved)
    return [Moved(number, column, [right]) for number in moved] if empty or strangers else []


def _is_open(row: str) -> bool:
    return row.rstrip().endswith(":")


def _name(row: str) -> str:
    match = _NAMED.match(row)
    return match[1] if match else ""
