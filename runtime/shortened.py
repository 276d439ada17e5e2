"""Texts that came from outside, on the terminal: on one line, of a long one the beginning and how long it was. `--json` has them whole."""

import re

from journeys.errors import Language
from runtime.texts import word

LONGEST = 80  # characters of a name or a value
LONGEST_REASON = 200  # of a sentence that may have one in it
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # they break lines, move the cursor, colour the rest of the screen


def shortened(text: str, language: Language, most: int = LONGEST, kept: int | None = None) -> str:
    """At most so many characters of a text, and how many there were. `kept`: where no more of it are kept, there may have been more."""
    line = _CONTROLS.sub(" ", text)
    if len(line) <= most:
        return line
    key = "characters" if kept is None or len(line) < kept else "characters_or_more"
    return word(key, language, beginning=line[: most - 1], n=f"{len(line):,}")
