"""YAML's traps: what a person wrote, told from where and how the parser stumbled. Only names them; nothing is mended or guessed."""

import re
from functools import cached_property
from typing import Any, NamedTuple

from journeys.codes.code import Words, words
from journeys.dashless import first_without_dash, is_next
from journeys.indentation import Moved, indent, moved, previous, stands
from journeys.margin import too_far_left
from journeys.openquote import left_open

FULL_WIDTH = {
    "：": ":", "，": ",", "“": '"', "”": '"', "‘": "'", "’": "'", "（": "(", "）": ")", "；": ";", "＝": "==",
    "＞": ">", "＜": "<", "！": "!", "｛": "{", "｝": "}", "［": "[", "］": "]", "｜": "|", "＋": "+", "－": "-", "＊": "*", "／": "/",
    "\u3000": " ", "\u00a0": " ",
}  # fmt: skip
_WIDE_SPACES = ("\u3000", "\u00a0")
_SHOWN = {"\u3000": "U+3000", "\u00a0": "U+00A0"}  # spaces are seen by their names only
_SPACE = words("space (U+0020)", "空格（U+0020）")
_WIDE_SIGN = words("full-width punctuation", "全角符号")
_CALLED = {"\u3000": words("a full-width space", "全角空格"), "\u00a0": words("a no-break space", "不换行空格（从网页粘贴来的）")}
_KEY = r"[ ]*(?:- +)*"  # what may stand before a key
_QUOTED = re.compile(r"""(?<![^\s:,\[{(=-])("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')""")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_BRACES = re.compile(rf"(?:^{_KEY}|[:,\[{{-]\s+|[\[{{])(\{{\{{.*?\}}\}}[^,}}\]]*)")
_BRACES_INSIDE = re.compile(r"(?:^|[:,\[{])\s*([^\s,:'\"{}\[\]](?:(?!:\s)[^,{}\[\]])*?\{\{.*?\}\}[^,}\]]*|\{\{.*?\}\}[^,}\]]*)")
_NO_SPACE = re.compile(rf"{_KEY}(?:[A-Za-z_]\w*(:)(?=[^\s:/])|(-)(?=[A-Za-z_]\w*:|[\[{{\"']))")
_WIDE_COLON = re.compile(rf"{_KEY}[A-Za-z_]\w*\s*(：)")
_WIDE_SPACE = re.compile(rf"{_KEY}[A-Za-z_]\w*:([\u3000\u00a0])|[ ]*([\u3000\u00a0])")
_WIDE_COMMA = re.compile(r"(，)\s*[A-Za-z_]\w*:\s")
_VALUE = re.compile(rf"{_KEY}(?:[^\s:]+:\s+)?(?=\S)")
_HASH = re.compile(r"[^\s,\[{]\s+(#.*)")
_TRAILING_ZERO = re.compile(r"-?\d+\.\d*0(?=[\s,}\]]|$)")
_PLAIN_BEFORE = re.compile(r"(?:[\[{,]\s*|[\[{,]\s*[A-Za-z_]\w*:\s+)([^\s\[\]{},'\"][^\[\]{},:]*)$")  # an unquoted text inside brackets
_UNPAIRED = re.compile(r"""(?<=[\s:\[{,])["']""")
_CLOCK = re.compile(
    r"(?:.*[^\w:]|[\d-]+T)?\d{1,2}:\d{2}(?::\d{2})?(?:[+-]\d{1,2}:\d{2})?", re.ASCII
)  # alone, behind a date or another word
_LOST = re.compile(r"\s+(#\S.*)")
_LONGEST_SHOWN = 40
_LONGEST_LINE = 2000  # a longer line is no person's: it is not searched


class Trap(NamedTuple):
    """A trap's code, its place (counted from 1), and the parameters of its text."""

    code: str
    line: int
    column: int
    params: dict[str, Any]


def wide(text: str) -> str | None:
    """The first full-width sign of a text, outside ASCII quotes."""
    bare = _QUOTED.sub(lambda m: "x" * len(m[0]), text[:_LONGEST_LINE])
    return next((c for c in bare if c in FULL_WIDTH), None)


def wide_params(sign: str) -> dict[str, Any]:
    """What J123 says of a full-width sign, or of a space that is none to YAML."""
    expected = FULL_WIDTH[sign]
    return {"found": _SHOWN.get(sign, sign), "what": _CALLED.get(sign, _WIDE_SIGN), "expected": _SPACE if expected == " " else expected}


def spoiled(key: str) -> bool:
    """Whether an unquoted key, whatever its value, is none: it begins with a wide space, or a full-width colon ends its name before."""
    return key[:1] in _WIDE_SPACES or _WIDE_COLON.match(key) is not None


def trap_of_key(key: str, line: int, column: int) -> Trap | None:
    """The full-width sign that made an unquoted key: a colon that ends none, a space that indents nothing."""
    sign = next((c for c in key if c in FULL_WIDTH), None)
    return Trap("J123", line, column + key.index(sign), wide_params(sign)) if sign else None


def traps_of_text(raw: str, value: str, line: int, column: int) -> list[Trap]:
    """What an unquoted text loses: a price its last zero, the rest of the line behind ` #`. `raw` is the line from the value on."""
    number = _TRAILING_ZERO.match(raw)
    if number and number[0] != value:
        return [Trap("J019", line, column, {"found": number[0], "sent": value})]
    lost = _LOST.match(raw, len(value)) if value and raw.startswith(value) else None
    return [Trap("J121", line, column + lost.start(1), {"found": _short(lost[1])})] if lost else []


def braces(line: str, *, inside: bool = False) -> tuple[int, str] | None:
    """Where in a line an unquoted value begins with {{ (counted from 1), and that value. `inside` brackets it may have {{ anywhere."""
    match = (_BRACES_INSIDE if inside else _BRACES).search(_bare(line)) if len(line) <= _LONGEST_LINE else None
    return (match.start(1) + 1, _short(line[match.start(1) : match.end(1)].rstrip())) if match else None


def traps(text: str, problem: str, at: tuple[int, int], opened: tuple[int, int] | None) -> list[Trap]:
    """The traps that explain why the parser stopped at a place with that problem; none where it is no known one.

    `opened` is where the thing that it was reading began.
    """
    return _Stumble(text.split("\n"), problem, at, opened or at).traps()


class _Stumble:
    def __init__(self, lines: list[str], problem: str, at: tuple[int, int], opened: tuple[int, int]) -> None:
        self.lines, self.problem, (self.line, self.column), self.opened = lines, problem, at, opened

    def traps(self) -> list[Trap]:
        found = self._left_open() or self._signs() or self._by_problem()
        return found if isinstance(found, list) else [found] if found else []

    def _row(self, line: int) -> str:
        row = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return row if len(row) <= _LONGEST_LINE else ""

    @cached_property
    def _rows(self) -> list[str]:
        """The lines without comments, up to the one behind the stumble."""
        return [_bare(self._row(number)) for number in range(1, max(self.line, 1) + 2)]

    @cached_property
    def _all_rows(self) -> list[str]:
        return [_bare(self._row(number)) for number in range(1, len(self.lines) + 1)]

    def _left_open(self) -> Trap | None:
        """A quote further up that closes only here. The slow look is taken where some line has a quote that it does not close."""
        if not any(_unpaired(self._row(number)) for number in range(1, self.line)):
            return None
        place = left_open([self._row(number) for number in range(1, self.line + 1)], self.line)
        return Trap("J127", *place, {"opened": self._sign(place), "line": place[0]}) if place else None

    def _sign(self, at: tuple[int, int]) -> str:
        return self.lines[at[0] - 1][at[1] - 1 : at[1]] if at[0] <= len(self.lines) else ""

    def _signs(self) -> Trap | None:
        """A sign that YAML gives a meaning at the beginning of a value."""
        indentation = re.match(r"\s*", self._row(self.line))
        if indentation and "\t" in indentation[0]:
            return Trap("J122", self.line, indentation[0].index("\t") + 1, {})
        place, sign = (self.line, self.column), self._sign((self.line, self.column))
        if "cannot start any token" in self.problem:
            return Trap("J122", *place, {}) if sign == "\t" else Trap("J129", *place, {"found": sign})
        if "alphabetic or numeric" in self.problem or "comment or line break" in self.problem:
            return Trap("J129", *self.opened, {"found": self._sign(self.opened)})
        if "node content" in self.problem:
            if not sign:
                return self._not_closed()
            return (
                Trap("J127", *place, {"opened": sign, "line": self.line}) if sign in ("}", "]") else Trap("J129", *place, {"found": sign})
            )
        if "mapping keys are not allowed" in self.problem:
            return Trap("J129", *place, {"found": "?"})
        if "block sequence entries" in self.problem:
            return Trap("J126", *place, {"found": _short(self._row(self.line).strip())})
        return None

    def _by_problem(self) -> Trap | list[Trap] | None:
        if "unexpected end of stream" in self.problem and self._sign(self.opened) in ("'", '"'):
            return self._not_closed()
        if "mapping values are not allowed" in self.problem:
            known = self._spelling_hereabouts() or self._colon_inside() or self._first_item()
            return known or [_out_of_line(found) for found in too_far_left(self._rows, self.line)] or self._indentation()
        if "unexpected ':'" in self.problem:
            return self._no_space_inside()
        if "expected ':'" in self.problem:
            return self._spelling(self.opened[0]) or self._item(self.opened[0]) or self._without_colon(self.opened[0])
        if "'-' indicator" in self.problem:
            if trap := self._spelling_hereabouts() or self._item(self.line):
                return trap
            if indent(self._row(self.line)) == self.opened[1] - 1 and is_next(self._all_rows, self.line):
                return self._dashless(self.line)
            return self._indentation()
        if "expected key" in self.problem:
            known = self._braces(self.line) or self._behind_the_end() or self._spelling_hereabouts()
            return known or self._first_item() or self._indentation()
        if "expected ',' or" in self.problem:
            return self._in_brackets()
        return None

    def _spelling_hereabouts(self) -> Trap | None:
        """A key that is none on this line or on the one above: either makes this one stand out of line."""
        return self._spelling(self.line) or self._spelling(previous(self._rows, self.line) or self.line)

    def _spelling(self, line: int) -> Trap | None:
        """A key that is none: a full-width colon or space, or no space after the colon or the dash."""
        row = self._row(line)
        for pattern in (_WIDE_COLON, _WIDE_SPACE):
            if match := pattern.match(row):
                group = match.lastindex or 0
                return Trap("J123", line, match.start(group) + 1, wide_params(match[group]))
        if match := _NO_SPACE.match(row):
            group = match.lastindex or 0
            return Trap("J018", line, match.start(group) + 1, {"mark": match[group], "found": _short(row.strip())})
        return None

    def _item(self, line: int) -> Trap | None:
        """An item in brackets that stands below others without their dash."""
        return self._dashless(line) if self._row(line).lstrip(" ")[:1] in ("{", "[") else None

    def _first_item(self) -> Trap | None:
        first = first_without_dash(self._rows, self.line)
        return self._dashless(first) if first is not None else None

    def _dashless(self, line: int) -> Trap:
        row = self._row(line)
        return Trap("J126", line, indent(row) + 1, {"found": _short(row.strip())})

    def _colon_inside(self) -> Trap | None:
        """`key: a: b`: the value, when the parser stopped at a second colon of the line."""
        row = self._row(self.line)
        if sign := wide(row[: self.column - 1].split(": ")[0]):
            return Trap("J123", self.line, row.index(sign) + 1, wide_params(sign))
        before = re.match(rf"(?:.*[,{{]\s*|{_KEY})[^\s:,{{]+:\s+(?=\S)", row[: self.column - 1])
        if before is None:
            return None
        value = re.split(r"[,}]", row[before.end() :])[0] if "{" in row[: before.end()] else _bare(row[before.end() :])
        return Trap("J124", self.line, before.end() + 1, {"found": _short(value.rstrip())})

    def _indentation(self) -> Trap | None:
        found = moved(self._rows, self.line)
        if found.line == self.line and stands(self._rows, found.line):
            return self._without_colon(previous(self._rows, found.line) or found.line)
        return _out_of_line(found) if found.expected else None

    def _without_colon(self, line: int) -> Trap | None:
        """A key without its colon: the next line, which is right, makes no sense any more."""
        bare = _bare(self._row(line))
        if not bare.strip() or ":" in bare:
            return None
        return Trap("J005", line, indent(bare) + 1, {"problem": _no_colon(_short(self._row(line)[: len(bare)].strip()))})

    def _braces(self, line: int, *, inside: bool = False) -> Trap | None:
        found = braces(self._row(line), inside=inside)
        return Trap("J120", line, found[0], {"found": found[1]}) if found else None

    def _behind_the_end(self) -> Trap | None:
        """Text behind a closing quote or bracket."""
        row = self._row(self.line)
        value = _VALUE.match(row)
        start = value.end() if value else 0
        if start + 1 >= self.column:
            return None
        if row[self.column - 1 : self.column] in ("}", "]"):
            return Trap("J127", self.line, self.column, {"opened": row[self.column - 1], "line": self.line})
        sign = row[start : start + 1]
        if sign in ("[", "{"):
            return Trap("J129", self.line, start + 1, {"found": sign})
        return Trap("J127", self.line, start + 1, {"opened": sign, "line": self.line}) if sign in ("'", '"') else None

    def _no_space_inside(self) -> Trap:
        """`{a:1}`, where the parser looks for a space."""
        row = self._row(self.line)
        start = max(row.rfind(sign, 0, self.column - 1) for sign in "{,[ ") + 1
        word = re.split(r"[,}\]\s]", row[start:])[0]
        if sign := wide(word):
            return Trap("J123", self.line, start + word.index(sign) + 1, wide_params(sign))
        if quote := next((c for c in word if c in "'\""), None):
            return Trap("J127", self.line, start + word.index(quote) + 1, {"opened": quote, "line": self.line})
        begins = self.opened[1] if self.opened[0] == self.line else start + 1
        value = re.split(r"[,}\]]", row[begins - 1 :])[0].rstrip()
        if _CLOCK.fullmatch(value):
            return Trap("J119", self.line, begins, {"found": _short(value)})
        return Trap("J018", self.line, self.column, {"mark": ":", "found": _short(word)})

    def _in_brackets(self) -> Trap | list[Trap]:
        for line in range(self.opened[0], self.line + 1):
            if trap := self._braces(line, inside=True):
                return trap
            if match := _WIDE_COMMA.search(_bare(self._row(line))):
                return Trap("J123", line, match.start(1) + 1, wide_params("，"))
        before = self._row(self.line)[: self.column - 1].rstrip()
        if self._sign((self.line, self.column)) == ":" and (trap := self._colon_inside()):
            return trap
        if self.line == self.opened[0] and before.endswith("]"):
            return Trap("J129", self.line, before.rindex("[") + 1, {"found": "["})
        if self.line == self.opened[0] and before[-1:] in ("'", '"'):
            start = before[:-1].rfind(before[-1])
            return Trap("J127", self.line, start + 1, {"opened": before[-1], "line": self.line})
        if self._sign((self.line, self.column)) == "[" and (trap := self._list_in_a_text()):
            return trap
        swallowed = [
            Trap("J121", line, match.start(1) + 1, {"found": _short(match[1])})
            for line in range(self.opened[0], self.line)
            if (match := _HASH.search(_QUOTED.sub(lambda m: "x" * len(m[0]), self._row(line))))
        ]
        return [trap for trap in (self._not_closed(), *swallowed[:1]) if trap]

    def _list_in_a_text(self) -> Trap | None:
        """`{where: x in ['a', 'b']}`: the text ends at the bracket, where the parser stumbles. None where quotes alone do not mend it."""
        row = self._row(self.line)
        bare = _bare(row)
        before = _PLAIN_BEFORE.search(bare[: self.column - 1])
        if before is None:
            return None
        start, depth, end = before.start(1), 0, len(bare)
        for index in range(start, len(bare)):
            if depth == 0 and bare[index] in ",}]":
                end = index
                break
            depth += {"[": 1, "]": -1}.get(bare[index], 0)
        text = row[start:end].rstrip()
        if depth or ('"' in text and "'" in text):
            return None
        return Trap("J119", self.line, start + 1, {"found": text.replace('"', "'")})

    def _not_closed(self) -> Trap | None:
        """A quote of these lines that nothing closes, else what was opened last as the parser says, else the last bracket thereabouts."""
        for line in range(self.opened[0], self.line + 1):
            if unpaired := _unpaired(self._row(line)):
                return Trap("J127", line, unpaired.start() + 1, {"opened": unpaired[0], "line": line})
        if not self._sign(self.opened):
            for line in (self.opened[0], previous(self._rows, self.opened[0]) or self.opened[0]):
                if match := re.search(r"[\[{](?=[^\[{]*$)", _bare(self._row(line))):
                    return Trap("J127", line, match.start() + 1, {"opened": match[0], "line": line})
            return None
        return Trap("J127", *self.opened, {"opened": self._sign(self.opened), "line": self.opened[0]})


def _out_of_line(moved: Moved) -> Trap:
    return Trap("J125", moved.line, moved.found + 1, {"found": moved.found, "expected": moved.expected})


def _no_colon(row: str) -> Words:
    return words(f"a colon is missing in “{row}”", f"“{row}”里少了冒号")


def _unpaired(line: str) -> re.Match[str] | None:
    """The first quote of a line that may open a text and that nothing on the line closes."""
    return _UNPAIRED.search(_QUOTED.sub(lambda m: "x" * len(m[0]), line))


def _bare(line: str) -> str:
    """The line with quoted texts filled by x and without its comment; every other character stays in its column."""
    filled = _QUOTED.sub(lambda m: m[0][0] + "x" * (len(m[0]) - 2) + m[0][0], line)
    return _COMMENT.sub("", filled)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
