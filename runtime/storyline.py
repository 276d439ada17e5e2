"""A line of a user's story. Apart from what reads stories, since `check` says the same lines and has to start fast."""

from dataclasses import dataclass, field
from typing import Any

from journeys.duration import MINUTE

NOTABLY = MINUTE  # a timer fires within seconds of its time: what was written later than this was late


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a story; `why` holds the clause, the values then, and what else decided. `version` is a row, `enrolment` a key.

    `rule` is the `if` of the step, as the file has it: it held, and its values then are not kept. `number` is what people call the
    version, and `is_current` whether people enter it now; both None where no version decided.
    """

    recorded_at: int | None = field(default=None, kw_only=True)  # when it was written, where that is known
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

    @property
    def done_at(self) -> int:
        """When it was done, or came to be known: at its logical time, or notably later (an outage, a pause, a move that found it over)."""
        is_late = self.recorded_at is not None and self.recorded_at - self.at > NOTABLY
        return self.recorded_at if is_late and self.recorded_at is not None else self.at
