"""What arrives under names that no rule sees is counted by name, and nobody can fill the table with names."""

from collections import Counter

from runtime.store.arrivals import MOST_NAMES, MOST_UNMAPPED, Arrival
from tests.town import NOON


def counted(store, *names):
    arrivals = [
        Arrival("app", NOON, unmapped=Counter(("property", name) for name in names[at : at + MOST_UNMAPPED]))
        for at in range(0, len(names), MOST_UNMAPPED)
    ]
    store.database.write(lambda tx: store.arrivals.take(tx, arrivals))
    with store.database.reading() as tx:
        return {(row["kind"], row["name"]): row["n"] for row in store.arrivals.unmapped(tx, 2 * MOST_NAMES)}


def test_each_name_has_its_count_and_more_than_can_be_shown_are_counted_together(store):
    counted(store, "colour", "colour")
    found = counted(store, "colour", *(f"p{n}" for n in range(MOST_NAMES + 9)))

    assert found["property", "colour"] == 3
    assert found["further", ""] == 10
    assert len(found) == MOST_NAMES + 1
    assert counted(store, "colour")["property", "colour"] == 4
