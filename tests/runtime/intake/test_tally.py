"""What came in is counted in memory, and told once to whoever keeps it."""

from runtime.intake.items import Parsed
from runtime.intake.signature import Fault
from runtime.intake.tally import Tally
from runtime.store.inbox import Quarantined
from runtime.store.received import Came
from tests.town import NOON, event


def parsed(good=0, bad=0, source="shop", now=NOON):
    return Parsed(source, now, events=[event("x", NOON)] * good, quarantined=[Quarantined(source, "bad", "")] * bad)


def test_what_is_saved_is_not_told_again_and_what_came_meanwhile_is():
    tally = Tally()
    tally.took(parsed(3, 1), 2)
    first = tally.unsaved()
    tally.took(parsed(1, now=NOON + 5), 1)
    tally.saved(first)

    assert first == [Came("shop", "new", "", 2, NOON), Came("shop", "duplicate", "", 1, NOON), Came("shop", "aside", "", 1, NOON)]
    assert tally.unsaved() == [Came("shop", "new", "", 1, NOON + 5)]


def test_what_could_not_be_saved_is_told_again_with_what_came_since():
    tally = Tally()
    tally.took(parsed(2), 2)
    tally.unsaved()
    tally.refuse(Fault("time", "shop"), NOON + 1)
    tally.took(parsed(2), 2)

    assert tally.unsaved() == [Came("shop", "new", "", 4, NOON), Came("shop", "refused", "time", 1, NOON + 1)]


def test_a_request_that_brought_nothing_leaves_nothing():
    tally = Tally()
    tally.took(parsed(), 0)

    assert tally.unsaved() == []
