"""What came in since the process began, by source: kept, known already, set aside; and requests whose signature was refused, by reason."""

from collections import Counter

import structlog

from runtime.intake.items import Parsed
from runtime.intake.signature import Fault

log = structlog.get_logger("journeyd.intake")


class Tally:
    """Counts in memory: nobody waits for a database because of a number that is looked at now and then."""

    def __init__(self) -> None:
        self.taken: Counter[tuple[str, str]] = Counter()  # by source and outcome: new, duplicate, aside
        self.refused: Counter[tuple[str, str]] = Counter()  # by source (where the signature tells it) and reason

    def took(self, parsed: Parsed, new: int) -> None:
        """What a request brought is committed; `new` of it was not known."""
        outcomes = {"new": new, "duplicate": parsed.given - new, "aside": len(parsed.quarantined)}
        self.taken.update({(parsed.source, outcome): n for outcome, n in outcomes.items()})

    def refuse(self, fault: Fault) -> None:
        """A signature was refused. The log tells the first of a source and reason, the 10th, the 100th …: anybody may send any number."""
        self.refused[fault.source, fault.reason] += 1
        count = self.refused[fault.source, fault.reason]
        if str(count).strip("0") == "1":
            told = {"source": fault.source, "reason": fault.reason, "count": count}
            log.warning("a signature was refused", action="signature_refused", **told, cure=fault.cure)
