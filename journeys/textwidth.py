"""How wide a text is, on paper (em) and on a terminal (cells), and where a line of it may break. Nothing is ever cut."""

import unicodedata
from collections.abc import Callable

BOLD = 1.24  # the widest letter of the bold cuts against its regular one
UNSURE = 1.2  # em of a letter that stands in no table
# In hundredths of an em, from U+0020 on, the widest of DejaVu Sans, Liberation Sans (Arial), Roboto, Open Sans, Noto Sans and
# Noto Sans CJK: whichever of them a reader has, the text is not wider.
_HUNDREDTHS = (
    32, 41, 48, 84, 64, 96, 78, 28, 40, 40, 56, 84, 32, 37, 32, 42, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84, 84, 84, 56,
    102, 69, 69, 73, 78, 67, 62, 78, 76, 34, 56, 67, 56, 91, 76, 79, 67, 79, 73, 67, 62, 74, 69, 99, 69, 67, 69, 40, 42, 40, 84, 56,
    61, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 29, 98, 64, 62, 64, 64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 56, 64, 84,
)  # fmt: skip
_KNOWN = {chr(32 + index): width / 100 for index, width in enumerate(_HUNDREDTHS)}
_KNOWN["\u00a0"] = _KNOWN[" "]
_KNOWN |= dict.fromkeys("“”‘’…·—–→×−≥≤≠①②③④⑤⑥⑦⑧⑨", 1.0)  # as wide as a Chinese letter in a Chinese font
_NOT_FIRST = frozenset("，。、；：？！）】》」』”’…·,.;:?!)]}%")
_NOT_LAST = frozenset("（【《「『“‘([{")
_BREAKS_AFTER = frozenset("/_.-,|&=?")


def _combines(letter: str) -> bool:
    return unicodedata.category(letter) in ("Mn", "Me", "Cf")


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in ("W", "F")


def em(text: str, *, bold: bool = False) -> float:
    """The width in em, on the safe side: East Asian wide letters are 1, Latin ones the widest of the usual fonts."""
    total = 0.0
    for letter in text:
        known = _KNOWN.get(letter)
        if known is not None:
            total += known * BOLD if bold and letter < "\x7f" else known
        elif not _combines(letter):
            total += 1.0 if _is_wide(letter) and letter < "\U0001f000" else UNSURE
    return total


def sure(text: str) -> bool:
    """Whether `em` knows every letter: of other scripts and of emoji the width is a guess."""
    return all(letter in _KNOWN or (_is_wide(letter) and letter < "\U0001f000") for letter in text)


def cells(text: str) -> int:
    """The columns that a text takes on a terminal."""
    return sum(0 if _combines(letter) else 2 if _is_wide(letter) else 1 for letter in text)


def plain(text: str) -> str:
    """One line of letters that can be shown: white space is one space, what no file of XML may hold is U+FFFD."""
    line = " ".join(text.replace("\u00a0", " ").split())
    return "".join("\ufffd" if _unshowable(letter) else letter for letter in line)


def _unshowable(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs") or letter in "\ufffe\uffff"


def wrap(text: str, width: float, measure: Callable[[str], float] = em) -> list[str]:
    """Lines no wider than `width` by that measure (one letter is a line at least): at spaces and between Chinese
    letters, else behind punctuation, else anywhere. Joined again they are the text, but for the spaces where lines end.
    """
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if line and measure((line + piece).rstrip(" ")) > width:
            lines.append(line.rstrip(" "))
            line = ""
        line += piece.lstrip(" ") if not line and lines else piece
        while measure(line.rstrip(" ")) > width and len(line) > 1:  # one piece is wider than a line
            fits = _fitting(line, width, measure)
            lines.append(line[:fits].rstrip(" "))
            line = line[fits:].lstrip(" ")
    if line.rstrip(" ") or not lines:
        lines.append(line.rstrip(" "))
    return lines


def _fitting(text: str, width: float, measure: Callable[[str], float]) -> int:
    """How many letters fit, up to some punctuation where there is any; at least one, and a letter stays with what combines with it."""
    count = next((n for n in range(1, len(text) + 1) if measure(text[:n]) > width), len(text) + 1) - 1
    count = next((n for n in range(count, 0, -1) if text[n - 1] in _BREAKS_AFTER and not text[n : n + 1].isdigit()), max(count, 1))
    while count < len(text) and _combines(text[count]):
        count += 1
    return count


def _pieces(text: str) -> list[str]:
    """The text in pieces between which a line may end; spaces belong to the piece before them."""
    pieces: list[str] = []
    start = 0
    for index in range(1, len(text)):
        before, here = text[index - 1], text[index]
        if here == " " or _combines(here) or here in _NOT_FIRST or before in _NOT_LAST:
            continue
        if before == " " or _is_wide(before) or _is_wide(here):
            pieces.append(text[start:index])
            start = index
    return [*pieces, text[start:]]
