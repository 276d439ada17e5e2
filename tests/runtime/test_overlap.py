"""The orders that a shop has posted, in a file again: they are recognised before they count twice."""

from collections import Counter

import pytest

from runtime.eventfile import Shape
from runtime.overlap import MOST_ROWS, known_elsewhere
from runtime.rowfile import RowFile
from tests.town import NOON, ZONE, audience, event

SHAPE = Shape({"订单号": "id", "用户": "user_id", "时间": "time"}, "order_paid")
HEAD = "订单号,用户,时间,amount\n"
NOON_ROW = "2026-12-01 12:00"


def overlap(store, path, text, posted, *, source="shop", shape=SHAPE):
    store.database.write(lambda tx: store.inbox.add_events(tx, source, posted))
    path.write_text(text, encoding="utf-8")
    return known_elsewhere(store, RowFile(path), shape, audience(), ZONE, ["shop", "crm"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orders.csv"


def test_events_of_a_source_are_recognised_by_id_and_type_and_user_or_time(store, path):
    posted = [event("order_paid", NOON, id=name, user=user) for name, user in (("o1", "u1"), ("o2", "u2"), ("o3", "u3"))]
    rows = f"o1,u1,2026-11-30,9\no2,somebody,{NOON_ROW},9\no3,somebody,2026-11-30,9\no4,u3,{NOON_ROW},9\n"

    assert overlap(store, path, HEAD + rows, posted) == Counter(shop=2)


@pytest.mark.parametrize(
    ("row", "type_"),
    [("1,u1,2026-12-01 12:00,9", "order_refunded"), (",u1,2026-12-01 12:00,9", "order_paid"), ("1,u1,soon,9", "order_paid")],
)
def test_what_only_looks_alike_is_no_overlap(store, path, row, type_):
    assert overlap(store, path, HEAD + row + "\n", [event("order_paid", NOON, id="1")], shape=Shape(SHAPE.names, type_)) == Counter()


def test_only_the_beginning_of_a_file_is_looked_at(store, path):
    rows = "".join(f"n{n},u1,{NOON_ROW},9\n" for n in range(MOST_ROWS)) + f"o1,u1,{NOON_ROW},9\n"

    assert overlap(store, path, HEAD + rows, [event("order_paid", NOON, id="o1")]) == Counter()


def test_a_source_that_config_does_not_name_is_nobodys_rival(store, path):
    assert overlap(store, path, HEAD + f"o1,u1,{NOON_ROW},9\n", [event("order_paid", NOON, id="o1")], source="import") == Counter()
