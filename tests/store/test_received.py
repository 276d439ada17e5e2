"""What came of which source, by day: counts are added up, whichever daemon brings them."""

from runtime.store.received import Came, Total

TODAY = 20_000  # days since 1970


def add(store, *came):
    store.database.write(lambda tx: store.received.add(tx, came))


def totals(store, since=TODAY - 6):
    with store.database.reading() as tx:
        return store.received.totals(tx, TODAY, since)


def test_counts_of_a_day_are_added_and_the_latest_of_them_is_known_in_whatever_order_they_come(store):
    add(store, (TODAY, Came("shop", "new", "", 3, 2000)), (TODAY, Came("shop", "aside", "", 1, 1000)))
    add(store, (TODAY, Came("shop", "new", "", 2, 1500)))

    assert totals(store) == [Total("shop", "aside", "", 1, 1, 1000), Total("shop", "new", "", 5, 5, 2000)]


def test_today_the_last_days_and_what_was_before_are_told_apart(store):
    for day, n in ((TODAY - 7, 100), (TODAY - 6, 10), (TODAY, 1)):
        add(store, (day, Came("shop", "new", "", n, day)))
    add(store, (TODAY - 30, Came("old", "refused", "wrong", 4, 7)))

    assert totals(store) == [Total("old", "refused", "wrong", 0, 0, 7), Total("shop", "new", "", 1, 11, TODAY)]


def test_nothing_came_yet(store):
    add(store)

    assert totals(store) == []
