"""A quote that nobody closed and that a later quote of the file closes: the parser stumbles only there, far below the mistake."""

import re
from collections.abc import Sequence

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import ScalarToken

_SWALLOWED = re.compile(r"^\s*(?:- |[A-Za-z_]\w*:(?:\s|$))", re.MULTILINE)  # what a text over several lines hardly holds: an item, a key


def left_open(lines: Sequence[str], stumbled: int) -> tuple[int, int] | None:
    """Where the quote opens (from 1) whose text ran over keys or items and ended where the parser stumbled, on that line or the one above.

    Ruamel's own scanner in Python tells where texts begin and end; the fast one keeps what it has read to itself when it stumbles.
    """
    try:
        for token in YAML(typ="safe", pure=True).scan("\n".join(lines[:stumbled])):
            if isinstance(token, ScalarToken) and token.style in ("'", '"') and stumbled - 1 <= token.end_mark.line + 1 <= stumbled:
                first, last = token.start_mark.line, token.end_mark.line
                if _SWALLOWED.search("\n".join(lines[first + 1 : last + 1])):
                    return first + 1, token.start_mark.column + 1
    except YAMLError:
        return None  # it stumbles too, at the latest where the other did
    return None
