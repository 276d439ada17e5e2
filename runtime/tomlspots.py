"""Where the keys of a TOML file stand, which its reader does not tell. Of a file that is no TOML, what was found before the mistake."""

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

Path_ = tuple[str, ...]
_TOKEN = re.compile(
    r"""(?P<nothing>[ \t\r]+|\#[^\n]*)|(?P<end>\n)
    |(?P<text>\"{3}(?:[^\\]|\\.)*?\"{3,5}(?!\")|'{3}.*?'{3,5}(?!')|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')
    |(?P<sign>[\[\]{}=,.])|(?P<bare>[^\s\[\]{}=,."'\#]+)""",
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = ("[", "{"), ("]", "}")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int  # characters from the beginning


def spots_of(text: str) -> Mapping[Path_, tuple[int, int]]:
    """Line and column, from 1, of each key by its path: of a table its name in the header. Of one in several places the first."""
    reader = _Reader(text)
    with suppress(_NoToml, tomllib.TOMLDecodeError):
        reader.read()
    return {path: _place(text, at) for path, at in reader.found.items()}


def _place(text: str, at: int) -> tuple[int, int]:
    before = text[:at]
    return before.count("\n") + 1, at - before.rfind("\n")


class _NoToml(Exception):
    """What stands here is none."""


class _Reader:
    """Goes through the tokens of a file; a value is passed over unless it is an inline table."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path_, int] = {}
        self._text, self._at = text, 0

    def read(self) -> None:
        table: Path_ = ()
        while (token := self._next()).kind != "over":
            if token.text == "[":
                begin = self._next()
                table = self._key((), self._next() if begin.text == "[" else begin)
                while self._next().kind not in ("end", "over"):
                    pass
            elif token.kind != "end":
                self._value(self._key(table, token))

    def _key(self, table: Path_, token: _Token) -> Path_:
        """The path of a key that begins with this token, up to its `=` or `]`."""
        path = table
        while token.text not in ("=", "]"):
            if token.kind in ("text", "bare"):
                path = (*path, token.text if token.kind == "bare" else tomllib.loads(f"k={token.text}")["k"])
                self.found.setdefault(path, token.at)
            elif token.text != ".":
                raise _NoToml
            token = self._next()
        return path

    def _value(self, path: Path_) -> None:
        """Up to the end of its line, or of the inline table that it stands in, which is left to be read."""
        token = self._next()
        if token.text == "{":
            while (token := self._next()).text != "}":
                if token.kind == "over":
                    raise _NoToml
                if token.kind != "end" and token.text != ",":
                    self._value(self._key(path, token))
            return
        depth = 0
        while True:
            if token.kind == "sign":
                depth += (token.text in _OPENING) - (token.text in _CLOSING)
            if token.kind == "over" or depth < 0 or (depth == 0 and (token.kind == "end" or token.text == ",")):
                self._at = token.at  # it belongs to what is around
                return
            token = self._next()

    def _next(self) -> _Token:
        while self._at < len(self._text):
            begin, match = self._at, _TOKEN.match(self._text, self._at)
            if match is None:
                raise _NoToml
            self._at = match.end()
            if match.lastgroup != "nothing":
                return _Token(match.lastgroup or "", match[0], begin)
        return _Token("over", "", len(self._text))
