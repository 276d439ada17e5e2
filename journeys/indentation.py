"""Where a line could stand: what J125 proposes, and which line it blames. Of two lines that do not fit, one was moved."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from journeys.model import Journey

AT_THE_MARGIN = {*Journey.model_fields, "events", "traits", "segments", "lifecycle", "suppress_marketing"}  # of either kind of file
_KEY = re.compile(r"[ ]*(?:- +)*")  # what may stand before a key
_FIRST_KEY = re.compile(_KEY.pattern + r"([A-Za-z_]\w*):")
_MOST = 2


class Moved(NamedTuple):
    """The line that is to blame, how far it is indented, and where it could stand, the nearest first."""

    line: int
    found: int
    expected: list[int]


def moved(rows: Sequence[str], line: int) -> Moved:
    """The line to blame where the parser stumbled over this one. `rows` are the lines without comments and texts; it counts from 1."""
    return _item_above(rows, line) or _first_of_list(rows, line) or _here(rows, line)


def _here(rows: Sequence[str], line: int) -> Moved:
    row = rows[line - 1] if line <= len(rows) else ""
    found = indent(row)
    columns = levels(rows[: line - 1], dashes if is_item(row) else keys)
    named = _FIRST_KEY.match(row)
    inner = [column for column in columns if column or is_item(row) or named is None or named[1] in AT_THE_MARGIN]
    return Moved(line, found, _nearest(found, inner or columns))


def _item_above(rows: Sequence[str], line: int) -> Moved | None:
    """An item that was moved to the left into an outer list, so that what follows it, which was not moved, fits no more."""
    above = previous(rows, line)
    if above is None or not (dashed := dashes(rows[above - 1])):
        return None
    before, dash = rows[: above - 1], dashed[0]
    named = _first_keys(rows[above - 1 : above], dash)
    if not is_item(rows[line - 1]):
        meant = indent(rows[line - 1]) - (keys(rows[above - 1])[0] - dash)
        return Moved(above, dash, [meant]) if dash < meant and _was_at(rows, line, before, named, dash, meant) else None
    inner = [column for column in levels(before, dashes) if column > dash]
    wanted = [column for column in inner if named and named <= _first_keys(before, column)]
    strange = not named <= _first_keys(before, dash)
    return Moved(above, dash, _nearest(dash, wanted)) if indent(rows[line - 1]) in inner and wanted and strange else None


def _was_at(rows: Sequence[str], line: int, before: Sequence[str], named: set[str], dash: int, meant: int) -> bool:
    """Whether the item above stood at `meant`, and not this key further left: there is a list, and the item is of it by its first key, or
    what follows stands in that list, too.
    """
    parent = previous(before, len(before) + 1)
    opened = parent is not None and before[parent - 1].rstrip().endswith(":") and keys(before[parent - 1])[0] + 2 == meant
    if not opened and meant not in levels(before, dashes):
        return False
    here, after = rows[line - 1], next((row for row in rows[line:] if row.strip()), "")
    follows = indent(after) == (meant if is_item(after) else indent(here)) and not (is_item(after) and here.rstrip().endswith(":"))
    return follows or bool(named and named <= _first_keys(before, meant) - _first_keys(before, dash))


def _first_of_list(rows: Sequence[str], line: int) -> Moved | None:
    """The first item of a list that was moved: the second stands where a list below that key would."""
    here = indent(rows[line - 1])
    item = next((number for number in range(line - 1, 0, -1) if dashes(rows[number - 1])), None)
    parent = previous(rows, item) if item is not None else None
    if item is None or parent is None or not is_item(rows[line - 1]) or not rows[parent - 1].rstrip().endswith(":"):
        return None
    below, first = keys(rows[parent - 1])[0], indent(rows[item - 1])
    return Moved(item, first, [here]) if here == below + 2 and first not in (below, here) else None


def levels(rows: Sequence[str], columns: Callable[[str], list[int]]) -> list[int]:
    """The columns in which a further key, or a further item, could stand after these rows; the deepest first."""
    found: list[int] = []
    for row in reversed(rows):
        found += [column for column in columns(row) if not found or column < found[-1]]
    return found


def previous(rows: Sequence[str], line: int) -> int | None:
    """The nearest line above that says something."""
    return next((number for number in range(line - 1, 0, -1) if rows[number - 1].strip()), None)


def keys(row: str) -> list[int]:
    """Where the key of a row stands."""
    return [_before(row)] if row.strip() else []


def dashes(row: str) -> list[int]:
    """Where the dashes of a row stand, from right to left."""
    return [column for column in range(_before(row) - 1, -1, -1) if row[column] == "-"] if row.strip() else []


def _first_keys(rows: Sequence[str], column: int) -> set[str]:
    """The first keys of the items of the last list whose dashes stand in a column."""
    of_list = itertools.takewhile(lambda row: not row.strip() or indent(row) >= column, reversed(rows))
    return {match[1] for row in of_list if column in dashes(row) and (match := _FIRST_KEY.match(row))}


def indent(row: str) -> int:
    """How many spaces a row begins with."""
    return len(row) - len(row.lstrip(" "))


def _before(row: str) -> int:
    match = _KEY.match(row)
    return match.end() if match else 0


def stands(rows: Sequence[str], line: int) -> bool:
    """Whether a line stands where one could, so that its column is no mistake."""
    row = rows[line - 1]
    return indent(row) in levels(rows[: line - 1], dashes if is_item(row) else keys)


def _nearest(found: int, columns: list[int]) -> list[int]:
    """The columns that come nearest, without any that is far away beside the first."""
    near = sorted(columns, key=lambda column: abs(column - found))
    return [column for column in near if abs(column - found) <= abs(near[0] - found) + 2][:_MOST]


def is_item(row: str) -> bool:
    """Whether a row begins with a dash."""
    return re.match(r"\s*- ", row) is not None
