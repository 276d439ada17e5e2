"""Files of events and users: CSV and JSONL say the same; a bad row costs only itself and is shown with its line."""

import json

import pytest

from runtime.badrows import BadRows
from runtime.eventfile import Shape, event_item, read_events, read_users, undated, user_item, wrong_columns
from runtime.rowfile import RowFile
from tests.town import HOUR, NOON, ZONE, audience

HEAD = "id,type,user_id,time,amount,item\n"


@pytest.fixture
def read(tmp_path):
    def events(name, raw, reader=lambda path, *others: read_events(RowFile(path), *others)):
        path = tmp_path / name
        path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
        shown = []
        bad = BadRows(path.name, shown.append)
        return list(reader(path, audience(), ZONE, bad)), shown, bad

    return events


def test_an_id_is_known_again_however_many_rows_lie_between(read):
    rows = "".join(f"e{n % 2500},order_paid,u1,2026-12-01 12:00,{n // 2500},x\n" for n in range(2502))

    events, shown, bad = read("long.csv", HEAD + rows)

    assert (len(events), bad.repeated, bad.differing) == (2500, 2, 2)
    assert shown == [
        f"long.csv:{2502 + n}: id e{n} stands in line {2 + n} already, with another amount: the first row of an id counts" for n in (0, 1)
    ]


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


def test_an_empty_id_in_a_column_of_ids_is_told_and_its_row_passed_over(read):
    found, shown, _ = read("a.csv", "id,type,user_id,time\n,app_opened,u1,2026-12-01\ne2,app_opened,u1,2026-12-02\n")

    assert [e.id for e in found] == ["e2"]
    assert shown == ["a.csv:2: id: expected a text of 1 to 256 characters, found none"]


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


def test_a_misspelled_column_is_told_once_with_what_was_meant_and_how_often(read):
    events, shown, bad = read(
        "e.csv", "id,type,user_id,time,amout,note\n" + "".join(f"{n},order_paid,u1,2026-12-0{n} 10:00,5,x\n" for n in (1, 2))
    )

    assert (len(events), bad.count) == (2, 0)
    assert shown == [
        "e.csv:2: order_paid has no field amout: no rule sees it; did you mean amount?",
        "e.csv: order_paid.amout: so in 2 rows",
    ]


def test_of_many_bad_rows_all_are_counted_and_twenty_shown(read):
    _, shown, bad = read("a.jsonl", "{\n" * 50)

    assert (bad.count, len(shown)) == (50, 20)


def test_users_are_records_or_rows_of_traits(read):
    from_jsonl, _, _ = read("u.jsonl", json.dumps({"user_id": "u1", "traits": {"city": "上海"}}), read_users)
    from_csv, shown, bad = read("u.csv", "user_id,city\nu1,上海\n,北京\nu2,\n", read_users)

    assert from_jsonl == [("u1", {"traits": {"city": "上海"}, "source": "file"})]
    assert from_csv == [("u1", {"traits": {"city": "上海"}, "source": "file"}), ("u2", {"source": "file"})]
    assert (bad.count, shown) == (
        1,
        ["u.csv:3: user_id: expected a text of 1 to 256 characters, found none"],
    )


def test_the_order_of_the_file_is_kept(read):
    found, _, _ = read("a.csv", HEAD + "".join(f"e{n},order_paid,u1,{(NOON - n * HOUR) // 1000},1,x\n" for n in range(3)))

    assert [e.id for e in found] == ["e0", "e1", "e2"]


# --- columns by other names, dates as Excel writes them, records in columns


def events_of(tmp_path, name, text, **names):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    file = RowFile(path)
    return [event_item(row, Shape(names, "order_paid"), audience(), is_csv=file.is_csv) for row in file]


def users_of(tmp_path, name, text, **names):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    file = RowFile(path)
    return [
        user_item(row, Shape({key.replace("__", "."): value for key, value in names.items()}), ZONE, is_csv=file.is_csv) for row in file
    ]


def test_columns_of_events_are_taken_by_the_names_that_are_given(tmp_path):
    names = {"订单号": "order_id", "用户": "user_id", "下单时间": "time"}

    from_csv = events_of(tmp_path, "a.csv", "订单号,用户,下单时间,amount\nA1,u1,2026-12-01 12:00,9\n", **names)
    from_jsonl = events_of(tmp_path, "a.jsonl", '{"订单号": "A1", "用户": "u1", "下单时间": "2026-12-01 12:00", "amount": "9"}', **names)

    expected = {"id": None, "type": "order_paid", "user_id": "u1", "time": "2026-12-01T12:00:00", "data": {"order_id": "A1", "amount": "9"}}
    assert from_csv == from_jsonl
    assert {**from_csv[0], "time": "2026-12-01T12:00:00"} == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026/1/5 9:03", "2026-01-05T09:03:00"), ("2026/01/05", "2026-01-05T00:00:00"), ("2026年1月5日 9:03:07", "2026-01-05T09:03:07"),
        ("2026-1-5", "2026-01-05T00:00:00"), ("1780000000", 1780000000), ("1780000000000", 1780000000000),
        ("2026-12-01T12:00:00+08:00", "2026-12-01T12:00:00+08:00"), ("1/5/2026", "1/5/2026"), ("soon", "soon"),
    ],
)  # fmt: skip
def test_dates_as_people_write_them(tmp_path, written, expected):
    [item] = events_of(tmp_path, "a.csv", f"user_id,time\nu1,{written}\n")

    assert item["time"] == expected


def test_a_declared_time_among_the_fields_may_be_written_so_too(tmp_path):
    [item] = events_of(tmp_path, "a.csv", "type,user_id,time,cutoff_at,group_id\ngroup_opened,u1,2026-12-01,2026/12/2 9:00,2026/12/2\n")

    assert item["data"] == {"cutoff_at": "2026-12-02T09:00:00", "group_id": "2026/12/2"}


def test_columns_of_users_are_parts_of_the_record(tmp_path):
    head = "user_id,zone,tags,手机号,会员等级,identities.openid,consents.sms.marketing,consents.sms.marketing.at,consents.sms.marketing.wording,consents.wechat.service,city\n"
    text = head + "u1,Asia/Shanghai,vip|老客,13900000001,gold,o1,是,2026/3/1,注册时勾选,false,上海\nu2,,,,,,,2026/3/1,,,\n"

    whole, almost_empty = users_of(tmp_path, "u.csv", text, 手机号="identities.phone", 会员等级="traits.level")

    assert whole == {
        "user_id": "u1", "zone": "Asia/Shanghai", "tags": ["vip", "老客"], "identities": {"phone": "13900000001", "openid": "o1"},
        "traits": {"level": "gold", "city": "上海"},
        "consents": {"sms": {"marketing": {"granted": True, "at": "2026-03-01T00:00:00", "wording": "注册时勾选"}}, "wechat": {"service": {"granted": False}}},
    }  # fmt: skip
    assert almost_empty == {"user_id": "u2", "consents": {"sms": {}}}


def test_flat_records_of_json_are_read_like_columns_and_nested_ones_stand_as_they_are(tmp_path):
    flat = '{"user_id": "u1", "identities.phone": "139", "city": "上海"}'
    nested = '{"user_id": "u1", "id": "r1", "traits": {"city": "上海"}, "consents": {"sms": {"marketing": true}}}'
    whole = '{"user_id": "u1", "merge": ["u0"], "set_once": {"level": "a"}, "increment": {"points": 1}, "append": {"likes": "桃"}, "clear": true}'

    found = users_of(tmp_path, "u.jsonl", f"{flat}\n{nested}\n{whole}")

    assert found == [{"user_id": "u1", "identities": {"phone": "139"}, "traits": {"city": "上海"}}, json.loads(nested), json.loads(whole)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"traits": 7, "city": "上海"}, "traits: expected an object"),
        ({"city": "上海", "traits": 7}, "traits: expected an object"),
        ({"identities": [], "identities.phone": "139"}, "identities: expected an object"),
        ({"consents": "yes", "consents.sms.marketing": "true"}, "consents: expected an object"),
        ({"consents": {"sms": True}, "consents.sms.marketing": "true"}, "consents.sms: expected an object"),
        (
            {"consents": {"sms": {"marketing": True}}, "consents.sms.marketing.at": "2026-03-01"},
            "consents.sms.marketing: expected an object",
        ),
    ],
)
def test_a_flat_name_beside_a_part_that_is_no_object_costs_its_row_alone(tmp_path, row, problem):
    assert users_of(tmp_path, "u.jsonl", json.dumps({"user_id": "u1", **row})) == [problem]


def test_a_part_that_is_null_is_as_good_as_none(tmp_path):
    row = {"user_id": "u1", "traits": None, "city": "上海", "consents": None, "consents.sms.marketing": "false", "identities": None}

    [item] = users_of(tmp_path, "u.jsonl", json.dumps(row))

    assert (item["traits"], item["consents"]) == ({"city": "上海"}, {"sms": {"marketing": {"granted": False}}})


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("consents.sms.marketing", "maybe", "consents.sms.marketing: expected true or false, found maybe"),
        ("consents.sms.marketing,consents.sms.marketing.at", "true,soon", "consents.sms.marketing.at: expected a time, found soon"),
    ],
)
def test_a_consent_that_cannot_be_read_is_none(tmp_path, column, value, problem):
    assert users_of(tmp_path, "u.csv", f"user_id,{column}\nu1,{value}\n") == [problem]


def test_in_a_history_an_undated_yes_is_the_oldest_answer_and_nothing_else_changes():
    dated = {"granted": True, "at": "2026-03-01"}
    item = {
        "user_id": "u1",
        "consents": {
            "sms": {"marketing": True, "service": False},
            "push": {"marketing": dated, "service": {"granted": True, "wording": "w"}},
        },
    }

    assert undated(item)["consents"] == {
        "sms": {"marketing": {"granted": True, "at": 0}, "service": False}, "push": {"marketing": dated, "service": {"granted": True, "wording": "w", "at": 0}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("head", "names", "type_", "problem"),
    [
        ("id,type,user_id,time,amount", {}, "", ""),
        ("type,user_id,time", {}, "", ""),
        ("", {}, "", ""),
        ("用户,time", {"用户": "user_id"}, "order_paid", ""),
        (
            "id,type,userid,timestamp,amount", {}, "",
            ("there is no column user_id, time; its columns are id, type, userid, timestamp, amount; say which one it is with "
            "--map userid=user_id --map timestamp=time"),
        ),
        (
            "编号,用户,order_id,下单时间", {}, "",
            ("there is no column user_id, time, type; its columns are 编号, 用户, order_id, 下单时间; say which one it is with "
            "--map 用户=user_id --map 下单时间=time --map 编号=id or --type TYPE"),
        ),
        (
            "id,type,order_id,time", {}, "",
            "there is no column user_id; its columns are id, type, order_id, time; say which one it is with --map COLUMN=user_id",
        ),
        ("a,b", {}, "", "there is no column user_id, time, type; its columns are a, b; say which one it is with --map COLUMN=user_id or --type TYPE"),
        ("id;type;user_id;time", {}, "", "its columns are separated by ';'; expected commas: save it as CSV (comma delimited, UTF-8)"),
        ("id,type,user_id,time", {"x": "user_id"}, "", "--map x=user_id: there is no such column; its columns are id, type, user_id, time"),
    ],
)  # fmt: skip
def test_columns_that_are_no_events_say_what_was_found_and_how_to_say_what_is_meant(head, names, type_, problem):
    columns = [name for name in head.split(",") if name]

    assert wrong_columns("e.csv", columns, Shape(names, type_)) == (f"e.csv: {problem}" if problem else "")


def test_a_line_of_jsonl_with_another_name_for_the_user_is_asked_whether_it_was_meant(read):
    _, shown, _ = read("e.jsonl", json.dumps({"type": "order_paid", "userid": "u1", "time": "2026-12-01"}))

    assert shown == ["e.jsonl:1: user_id: expected a text of 1 to 256 characters; did you mean userid?"]
