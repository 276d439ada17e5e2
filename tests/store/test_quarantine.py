"""Why things were set aside, counted."""

from runtime.store.inbox import Quarantined
from runtime.store.quarantine import Reason
from tests.town import NOON


def aside(store, at, *items):
    store.database.write(
        lambda tx: store.inbox.quarantine(tx, [Quarantined(source, why, "{}", "", kind) for source, kind, why in items], at)
    )


def reasons(store, limit=10, **latest):
    with store.database.reading() as tx:
        return store.quarantine.reasons(tx, limit, **latest)


def test_reasons_are_counted_by_source_and_kind_the_most_frequent_first(store):
    aside(store, NOON, ("shop", "event", "no type"), ("app", "event", "no type"), ("shop", "request", "no type"))
    aside(store, NOON + 1, ("shop", "event", "no type"), ("shop", "event", "no user"))

    assert reasons(store) == [
        Reason("event", "shop", "no type", 2, NOON + 1),
        Reason("event", "shop", "no user", 1, NOON + 1),
        Reason("event", "app", "no type", 1, NOON),
        Reason("request", "shop", "no type", 1, NOON),
    ]
    assert [reason.n for reason in reasons(store, 1)] == [2]


def test_of_very_many_rows_the_latest_are_looked_at(store):
    aside(store, NOON, *[("shop", "event", why) for why in ("a", "a", "b", "c")])

    assert {reason.reason for reason in reasons(store, latest_rows=2)} == {"b", "c"}
