"""What a finding's code says to a person, in English and in Chinese."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
Language = Literal["zh", "en"]
Both = tuple[str, str]  # English, Chinese
Words = dict[Language, str]  # a part of a finding's sentence in each language; JSON as it is, since findings are kept


def words(english: str, chinese: str) -> Words:
    """A part of a sentence in both languages."""
    return {"en": english, "zh": chinese}


@dataclass(frozen=True, slots=True)
class Code:
    """`error` stops an apply, `warning` does not. `text` is the sentence with {params} of the finding.

    `why` says what would happen to users or to the numbers, `cure` what to do; both are the same wherever the code is found.
    """

    severity: Severity
    text: Both
    why: Both
    cure: Both


def said(both: Both, language: Language) -> str:
    """The one of two texts for a reader."""
    return both[0] if language == "en" else both[1]
