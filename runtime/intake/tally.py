"""What came in since the process began, by source: kept, known already, set aside; and requests whose signature was refused, by reason."""

from collections import Counter
from collections.abc import Iterable

import structlog

from runtime.intake.items import Parsed
from runtime.intake.signature import Fault
from runtime.store.received import Came

log = structlog.get_logger("journeyd.intake")
REFUSED = "refused"


class Tally:
    """Counts in memory: nobody waits for a database because of a number that is looked at now and then.

    One thread counts; another may ask for what is not saved yet.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()  # by source, outcome (new, duplicate, aside, refused), reason of the last
        self._last: dict[tuple[str, str, str], int] = {}
        self._saved: Counter[tuple[str, str, str]] = Counter()

    def took(self, parsed: Parsed, new: int) -> None:
        """What a request brought is committed; `new` of it was not known."""
        for outcome, n in (("new", new), ("duplicate", parsed.given - new), ("aside", len(parsed.quarantined))):
            if n:
                self._count((parsed.source, outcome, ""), n, parsed.now)

    def refuse(self, fault: Fault, now: int) -> None:
        """A signature was refused. The log tells the first of a source and reason, the 10th, the 100th …: anybody may send any number."""
        key = (fault.source, REFUSED, fault.reason)
        self._count(key, 1, now)
        if str(self.counts[key]).strip("0") == "1":
            told = {"source": fault.source, "reason": fault.reason, "count": self.counts[key]}
            log.warning("a signature was refused", action="signature_refused", **told, cure=fault.cure)

    def _count(self, key: tuple[str, str, str], n: int, now: int) -> None:
        self._last[key] = now  # before the count: who sees that knows when
        self.counts[key] += n

    def unsaved(self) -> list[Came]:
        """What was counted since the last `saved`."""
        return [Came(*key, n - self._saved[key], self._last[key]) for key, n in self.counts.copy().items() if n > self._saved[key]]

    def saved(self, came: Iterable[Came]) -> None:
        """What `unsaved` has told is kept."""
        self._saved.update({(c.source, c.outcome, c.reason): c.n for c in came})
