"""Files of events and users: CSV and JSONL say the same; a bad row costs only itself and is shown with its line."""

import json

import pytest

from runtime.eventfile import BadRows, read_events, read_users
from tests.town import HOUR, NOON, ZONE, audience

HEAD = "id,type,user_id,time,amount,item\n"


@pytest.fixture
def read(tmp_path):
    def events(name, raw, reader=read_events):
        path = tmp_path / name
        path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
        shown = []
        bad = BadRows(path.name, shown.append)
        return list(reader(path, audience(), ZONE, bad)), shown, bad

    return events


def test_csv_and_jsonl_are_the_same_events(read):
    text = HEAD + "e1,order_paid,u1,2026-12-01 12:00,39.9,车厘子\n"
    line = json.dumps(
        {"id": "e1", "type": "order_paid", "user_id": "u1", "time": "2026-12-01T12:00+08:00", "data": {"amount": 39.9, "item": "车厘子"}}
    )

    from_csv, shown_csv, _ = read("a.csv", text)
    from_jsonl, shown_jsonl, _ = read("a.jsonl", line)

    assert from_csv == from_jsonl
    assert (from_csv[0].time, from_csv[0].received_at, from_csv[0].data) == (NOON, NOON, {"amount": 39.9, "item": "车厘子"})
    assert shown_csv == shown_jsonl == []


def test_an_event_without_an_id_is_known_by_its_line(read):
    found, _, _ = read("a.csv", "type,user_id,time\napp_opened,u1,2026-12-01\n\napp_opened,u1,2026-12-02\n")

    assert [e.id for e in found] == ["a.csv:2", "a.csv:4"]


def test_an_empty_cell_is_no_field(read):
    found, _, _ = read("a.csv", HEAD + "e1,order_paid,u1,2026-12-01 12:00,,\n")

    assert found[0].data == {}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\xef\xbb\xbf" + HEAD.encode() + b"e1,order_paid,u1,2026-12-01,1,x\r\n", ["x"]),  # a spreadsheet's mark and line ends
        (HEAD.encode() + b'e1,order_paid,u1,2026-12-01,1,"a\nb,c"\n', ["a\nb,c"]),
        (HEAD.encode() + b"e1,order_paid,u1,2026-12-01,1,a\x00b\n", ["a�b"]),
        (HEAD.encode() + b"e1,order_paid,u1,2026-12-01,1,\xb3\xb5\n", ["车"]),  # GB18030, as Excel in China saves it
        (HEAD.encode() + b"e1,order_paid,u1,2026-12-01,1,\xff\xff\n", ["��"]),
        (b"", []),
        (HEAD.encode(), []),
    ],
)
def test_csv_as_it_comes(read, raw, expected):
    found, shown, _ = read("a.csv", raw)

    assert ([e.data.get("item") for e in found], shown) == (expected, [])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("e1,order_paid,,2026-12-01,1,x", "user_id: expected a text of 1 to 256 characters"),
        ("e1,,u1,2026-12-01,1,x", "type: expected a text of 1 to 256 characters"),
        ("e1,order_paid,u1,,1,x", "time: expected a time, found none"),
        ("e1,order_paid,u1,soon,1,x", "time: expected ISO 8601 or epoch seconds between 1970 and 2100, found soon"),
        ("e1,order_paid,u1,2026-12-01,1,x,more", "more values than the 6 columns of the first line"),
    ],
)
def test_a_bad_row_of_csv_is_shown_with_its_line_and_the_rest_is_read(read, row, problem):
    found, shown, bad = read("a.csv", HEAD + row + "\ne2,order_paid,u1,2026-12-01,1,x\n")

    assert [e.id for e in found] == ["e2"]
    assert (shown, bad.count) == ([f"a.csv:2: {problem}"], 1)


@pytest.mark.parametrize("line", ["{", "[]", "7", "null", '"text"', '{"type": "x"}', '{"a": NaN}', "[" * 5000])
def test_a_bad_line_of_jsonl_is_shown_and_the_rest_is_read(read, line):
    found, shown, bad = read("a.jsonl", line + '\n\n{"type": "app_opened", "user_id": "u1", "time": 1780000000}\n')

    assert ([e.id for e in found], bad.count) == (["a.jsonl:3"], 1)
    assert shown[0].startswith("a.jsonl:1: ")


def test_of_many_bad_rows_all_are_counted_and_twenty_shown(read):
    _, shown, bad = read("a.jsonl", "{\n" * 50)

    assert (bad.count, len(shown)) == (50, 20)


def test_users_are_records_or_rows_of_traits(read):
    from_jsonl, _, _ = read("u.jsonl", json.dumps({"user_id": "u1", "traits": {"city": "上海"}}), read_users)
    from_csv, shown, bad = read("u.csv", "user_id,city\nu1,上海\n,北京\nu2,\n", read_users)

    assert from_jsonl == [("u1", {"traits": {"city": "上海"}, "source": "file"})]
    assert from_csv == [("u1", {"traits": {"city": "上海"}, "source": "file"}), ("u2", {"source": "file"})]
    assert (bad.count, shown) == (1, ["u.csv:3: user_id: expected a text of 1 to 256 characters"])


def test_the_order_of_the_file_is_kept(read):
    found, _, _ = read("a.csv", HEAD + "".join(f"e{n},order_paid,u1,{(NOON - n * HOUR) // 1000},1,x\n" for n in range(3)))

    assert [e.id for e in found] == ["e0", "e1", "e2"]
