"""A line of a user's story. Apart from what reads stories, since `check` says the same lines and has to start fast."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a story; `why` holds the clause, the values then, and what else decided. `version` is a row, `enrolment` a key.

    `rule` is the `if` of the step, as the file has it: it held, and its values then are not kept. `number` is what people call the
    version, and `is_current` whether people enter it now; both None where no version decided.
    """

    at: int
    journey: str
    version: int | None
    step: str
    action: str
    why: dict[str, Any]
    place: str = ""
    enrolment: str = ""
    rule: str = ""
    number: int | None = None
    is_current: bool | None = None
