"""Importing a file: in chunks, each with its place; interrupted anywhere, repeated, reordered, grown, it comes to the same."""

import gzip
import json
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import select

from runtime.clock import VirtualClock
from runtime.eventfile import Shape
from runtime.importing import Asked, CannotImport, Chunk, DryRun, FileImport, WrongMapping, keep
from runtime.store.tables import events as events_table
from runtime.store.tables import inbox
from tests.town import DAY, NOON, ZONE, audience

ORDERS = Asked("events", shape=Shape({"用户": "user_id", "时间": "time"}, "order_paid"))
HEAD = "订单号,用户,时间,amount\n"


def order(n, user=None, amount=9):
    return f"A{n},u{n % 7 if user is None else user},2026-11-{n % 28 + 1:02} 10:00,{amount}\n"


class Killed(BaseException):
    """The process is gone."""


class Into:
    """The way into a store; dies before or after the n-th chunk with rows."""

    def __init__(self, store, now=NOON, *, dies_before=0, dies_after=0):
        self.store, self.now, self.dies_before, self.dies_after = store, now, dies_before, dies_after
        self.sizes = []

    def position(self, key):
        with self.store.database.reading() as tx:
            return self.store.imports.position(tx, key)

    def take(self, chunk):
        chunk = Chunk.from_json(json.loads(json.dumps(chunk.as_json())))  # as it goes over the socket
        if chunk.rows:
            self.sizes.append(chunk.rows)
        if chunk.rows and len(self.sizes) == self.dies_before:
            raise Killed
        taken = keep(self.store, chunk, self.now)
        if chunk.rows and len(self.sizes) == self.dies_after:
            raise Killed
        return taken


def begun(path, asked=ORDERS):
    shown = []
    return FileImport(path, asked, audience(), ZONE, VirtualClock(NOON), shown.append), shown


def taken(store, path, asked=ORDERS, **keys):
    """Import a file as one command does; returns its counts, and what was shown."""
    file, shown = begun(path, asked)
    into = Into(store, **keys)
    file.begin(into)
    file.run(into, lambda *_: None)
    file.finish(into)
    at = file.position
    return (at.rows, at.accepted, at.duplicates, at.rejected), shown, file, into


def kept(store):
    with store.database.reading() as tx:
        rows = tx.execute(
            select(events_table.c.source, events_table.c.user_id, events_table.c.type, events_table.c.data, events_table.c.history)
        )
        return Counter((*row[:3], row[3], bool(row[4])) for row in rows)


def kinds(store):
    with store.database.reading() as tx:
        return Counter(tx.execute(select(inbox.c.kind)).scalars())


@pytest.fixture
def write(tmp_path):
    def written(text, name="orders.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def test_rows_come_in_as_history_in_chunks(store, write):
    path = write(HEAD + "".join(order(n) for n in range(2500)))

    counts, shown, _, into = taken(store, path)

    assert (counts, into.sizes, shown) == ((2500, 2500, 0, 0), [1000, 1000, 500], [])
    assert kinds(store) == {"history": 2500}
    assert {key[0] for key in kept(store)} == {"import"}


def test_live_rows_are_events_like_any_other(sqlite_store, write):
    taken(sqlite_store, write(HEAD + order(1)), Asked("events", "shop", ORDERS.shape, live=True))

    assert kinds(sqlite_store) == {"event": 1}
    assert [key[0] for key in kept(sqlite_store)] == ["shop"]


def test_live_rows_are_judged_as_if_they_were_posted(sqlite_store, write):
    asked = Asked("events", "shop", ORDERS.shape, live=True, keep=30 * DAY)
    rows = ["A1,u1,1970-01-01 08:00,9\n", "A2,u1,1999-12-31 12:00,9\n", order(1), "A3,u1,2026-12-03,9\n"]

    counts, shown, file, _ = taken(sqlite_store, write(HEAD + "".join(rows)), asked)

    assert counts == (4, 1, 0, 3)
    assert [line.split(": ", 1)[1][:60] for line in shown] == [
        "time: 1970-01-01T08:00:00 is before 2000: a clock that was never set"[:60],
        "time: 1999-12-31T12:00:00 is before 2000: a clock that was never set"[:60],
        "time: 2026-12-03T00:00:00 is more than a day ahead of its receipt"[:60],
    ]
    aside = [json.loads(line) for line in file.rejected_path.read_text(encoding="utf-8").splitlines()]
    assert [(row["line"], row["row"]["订单号"]) for row in aside] == [(2, "A1"), (3, "A2"), (5, "A3")]
    assert aside[0]["reason"].endswith("history goes in by journeyd import (without --live)")


def test_what_comes_live_and_is_older_than_what_is_kept_is_not_taken(sqlite_store, write):
    """Whether it came before is not known any more; of history that is known by the file."""
    asked = Asked("events", "shop", Shape({"用户": "user_id", "时间": "time"}, "app_opened"), live=True, keep=30 * DAY)

    assert taken(sqlite_store, write(HEAD + order(1) + order(28)), asked)[0] == (2, 1, 0, 1)
    assert taken(sqlite_store, write(HEAD + order(1) + order(28), "b.csv"), replace(asked, live=False))[0] == (2, 1, 1, 0)


def test_history_may_be_older_than_any_device_and_is_none_before_1970(sqlite_store, write):
    counts, shown, *_ = taken(sqlite_store, write(HEAD + "A1,u1,1998-05-01,9\nA2,u1,1970-01-01,9\n"))

    assert counts == (2, 1, 0, 1)
    assert shown == ["orders.csv:3: time: expected a time between 1970 and 2100, found 1970-01-01T00:00:00"]


@pytest.mark.parametrize("death", [{"dies_before": 1}, {"dies_before": 3}, {"dies_after": 1}, {"dies_after": 2}, {"dies_after": 4}])
def test_after_a_death_the_same_command_goes_on_where_it_was(store, write, death):
    rows = [order(n) if n % 500 else "A,,2026-11-01,1\n" for n in range(1, 3501)]
    path = write(HEAD + "".join(rows))
    whole = write(HEAD + "".join(rows), "whole.csv")

    with pytest.raises(Killed):
        taken(store, path, **death)
    counts, _, file, into = taken(store, path)

    done = death.get("dies_after", death.get("dies_before", 1) - 1)
    assert file.resumed_at == min(1000 * done, 3500)
    assert sum(into.sizes) == 3500 - file.resumed_at
    assert counts == (3500, 3493, 0, 7)
    lines = [json.loads(line)["line"] for line in file.rejected_path.read_text(encoding="utf-8").splitlines()]
    assert lines == [500 * n + 1 for n in range(1, 8)]
    assert taken(store, whole)[0] == (3500, 0, 3493, 7)


def test_a_chunk_whose_answer_was_lost_is_given_again_and_changes_nothing(store, write):
    file, _ = begun(write(HEAD + "".join(order(n) for n in range(10))))
    into = Into(store)
    given = []

    class Twice:
        position = into.position

        def take(self, chunk):
            given.append(into.take(chunk))
            return into.take(chunk)

    file.begin(Twice())
    file.run(Twice(), lambda *_: None)
    file.finish(Twice())

    assert (file.position.rows, file.position.accepted, file.position.duplicates) == (10, 10, 0)
    assert kinds(store) == {"history": 10}


@pytest.mark.parametrize(("at", "ahead"), [(0, 1), (0, 2), (1, 1), (1, 2)])
def test_of_two_processes_with_the_same_file_one_gives_up_and_no_row_is_lost(sqlite_store, write, at, ahead):
    """The other one comes when `at` chunks are kept, and takes `ahead` before this one goes on."""
    path = write(HEAD + "".join(order(n) for n in range(3500)))
    mine, other = begun(path)[0], begun(path)[0]

    class Overtaken(Into):
        def take(self, chunk):
            if chunk.begins == 1000 * at and chunk.rows:
                theirs = Into(sqlite_store, dies_after=ahead)
                other.begin(theirs)
                with pytest.raises(Killed):
                    other.run(theirs, lambda *_: None)
            return super().take(chunk)

    into = Overtaken(sqlite_store)
    mine.begin(into)
    if ahead > 1:  # one chunk ahead it is the same chunk
        with pytest.raises(CannotImport, match="another process imports this file at the same time"):
            mine.run(into, lambda *_: None)
    else:
        mine.run(into, lambda *_: None)
        mine.finish(into)

    assert taken(sqlite_store, path)[0][0] == 3500
    assert kinds(sqlite_store) == {"history": 3500}


def test_a_chunk_of_a_dead_process_that_is_kept_while_the_next_begins_is_gone_on_after(sqlite_store, write):
    path = write(HEAD + "".join(order(n) for n in range(3500)))
    mine, dead = begun(path)[0], begun(path)[0]
    theirs = Into(sqlite_store, dies_after=2)

    class Late(Into):
        def position(self, key):
            found = super().position(key)
            dead.begin(theirs)
            with pytest.raises(Killed):
                dead.run(theirs, lambda *_: None)
            return found

    into = Late(sqlite_store)
    mine.begin(into)
    mine.run(into, lambda *_: None)
    mine.finish(into)

    assert (mine.resumed_at, mine.position.rows, mine.position.accepted) == (2000, 3500, 3500)


def test_the_same_file_twice_changes_nothing(store, write):
    path = write(HEAD + order(1) + order(1) + order(2))

    first, second = taken(store, path)[0], taken(store, path)[0]

    assert (first, second) == ((3, 3, 0, 0), (3, 0, 3, 0))
    assert kinds(store) == {"history": 3}


def test_a_file_that_was_reordered_and_has_grown_brings_only_what_is_new(store, write):
    taken(store, write(HEAD + order(1) + order(1) + order(2)))

    columns = "amount,时间,用户,订单号\n"
    rows = [",".join(reversed(order(n).strip().split(","))) + "\n" for n in (3, 1, 2, 1, 1)]
    counts, *_ = taken(store, write(columns + "".join(rows), "later.csv"))

    assert counts == (5, 2, 3, 0)


def test_rows_with_an_id_are_known_by_it(sqlite_store, write):
    head = "id,type,user_id,time,amount\n"

    first = taken(sqlite_store, write(head + "e1,order_paid,u1,2026-11-01,1\n"), Asked("events"))[0]
    second = taken(sqlite_store, write(head + "e1,order_paid,u1,2026-11-02,2\n", "again.csv"), Asked("events"))[0]
    other = taken(sqlite_store, write(head + "e1,order_paid,u1,2026-11-02,2\n", "again.csv"), Asked("events", "crm"))[0]

    assert (first, second, other) == ((1, 1, 0, 0), (1, 0, 1, 0), (1, 1, 0, 0))


def test_another_file_of_the_same_name_is_not_taken_for_the_interrupted_one(sqlite_store, write):
    with pytest.raises(Killed):
        taken(sqlite_store, write(HEAD + "".join(order(n) for n in range(2000))), dies_after=1)

    counts, _, file, _ = taken(sqlite_store, write(HEAD + "".join(order(n) for n in range(5000, 7000))))

    assert (counts, file.resumed_at) == ((2000, 2000, 0, 0), 0)


def test_a_gb18030_file_of_excel_is_taken(sqlite_store, write):
    text = "订单号,用户,时间,item\r\nA1,u1,2026/11/1 9:03,车厘子\r\n"

    counts, *_ = taken(sqlite_store, write(gzip.compress(text.encode("gb18030")), "订单.csv.gz"))

    assert counts == (1, 1, 0, 0)
    assert [key[3] for key in kept(sqlite_store)] == ['{"订单号":"A1","item":"车厘子"}']


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A1,,2026-11-01,1", "user_id: expected a text of 1 to 256 characters"),
        ("A1,u1,,1", "time: expected a time, found none"),
        ("A1,u1,soon,1", "time: expected ISO 8601 or epoch seconds between 1970 and 2100, found soon"),
        ("A1,u1,2027-11-01,1", "time: 2027-11-01T00:00:00 is more than a day ahead of its receipt"),
        ("A1,u1,2026-11-01,1,2", "more values than the 4 columns of the first line"),
        ("A1,u1,2026-11-01", "3 values, fewer than the 4 columns of the first line"),
    ],
)
def test_a_bad_row_costs_itself_and_is_written_down(sqlite_store, write, row, reason):
    path = write(HEAD + row + "\n" + order(2))

    counts, shown, file, _ = taken(sqlite_store, path)

    assert (counts, shown) == ((2, 1, 0, 1), [f"orders.csv:2: {reason}"])
    [line] = [json.loads(text) for text in file.rejected_path.read_text(encoding="utf-8").splitlines()]
    assert (line["line"], line["reason"], line["row"]["订单号"]) == (2, reason, "A1")


@pytest.mark.parametrize(
    ("kind", "names", "name", "text", "reason"),
    [
        ("events", {"订单号": "id"}, "a.csv", "订单号,user_id,time\n,u1,2026-11-01\nA1,u1,2026-11-01\n", "id: expected a text of 1 to 256 characters, found none in 订单号"),
        ("events", {}, "a.csv", "id,user_id,time\n ,u1,2026-11-01\nA1,u1,2026-11-01\n", "id: expected a text of 1 to 256 characters, found none"),
        ("events", {"no": "id"}, "a.jsonl", '{"user_id": "u1", "time": "2026-11-01"}\n{"no": "A1", "user_id": "u1", "time": "2026-11-01"}\n',
         "id: expected a text of 1 to 256 characters, found none in no"),
        ("users", {"手机": "identities.phone"}, "a.csv", "user_id,手机\n,13800138000\nu1,13800138001\n", "user_id: expected a text of 1 to 256 characters, found none"),
        ("users", {"会员": "user_id"}, "a.csv", "会员,identities.openid\n,o1\nu1,o2\n", "user_id: expected a text of 1 to 256 characters, found none in 会员"),
        ("users", {"会员": "user_id"}, "a.jsonl", '{"会员": null, "identities": {"openid": "o1"}}\n{"会员": "u1"}\n',
         "user_id: expected a text of 1 to 256 characters, found none in 会员"),
        ("users", {}, "a.csv", "user_id,city,size\nu1,上海\nu2,上海,3\n", "2 values, fewer than the 3 columns of the first line"),
    ],
)  # fmt: skip
def test_a_row_that_leaves_out_by_what_its_file_knows_it_is_not_taken(sqlite_store, write, kind, names, name, text, reason):
    counts, shown, file, _ = taken(sqlite_store, write(text, name), Asked(kind, shape=Shape(names, "order_paid")))

    assert counts == (2, 1, 0, 1)
    assert [json.loads(row)["reason"] for row in file.rejected_path.read_text(encoding="utf-8").splitlines()] == [reason]
    assert shown[0].endswith(reason)


def test_rows_of_json_may_be_known_without_an_id_or_by_an_identity_alone(sqlite_store, write):
    events = taken(
        sqlite_store, write('{"user_id": "u1", "time": "2026-11-01"}\n', "e.jsonl"), Asked("events", shape=Shape({}, "order_paid"))
    )
    users = taken(sqlite_store, write('{"identities": {"openid": "o1"}, "city": "上海"}\n', "u.jsonl"), Asked("users"))

    assert (events[0], users[0]) == ((1, 1, 0, 0), (1, 1, 0, 0))


def test_a_quote_that_is_not_closed_is_told_with_all_the_lines_that_it_makes_one_row(sqlite_store, write):
    head = "id,type,user_id,time,note\n"
    whole = 'e1,order_paid,u1,2026-11-01,"two\nlines"\n'

    counts, shown, *_ = taken(
        sqlite_store,
        write(head + "\n\ne0,order_paid,u1,,\n" + whole + 'e2,order_paid,"u1,2026-11-01,\ne3,order_paid,u1,2026-11-01,\n'),
        Asked("events"),
    )

    assert counts == (3, 1, 0, 2)
    assert shown == [
        "orders.csv:4: time: expected a time, found none",
        "orders.csv:8: 3 values, fewer than the 5 columns of the first line (lines 7 to 8 are one row: is a quote not closed?)",
    ]


def test_types_of_the_system_itself_cannot_be_imported(sqlite_store, write):
    asked = Asked("events", shape=Shape(ORDERS.shape.names, "segment_entered"))

    counts, shown, *_ = taken(sqlite_store, write(HEAD + order(1)), asked)

    assert (counts, shown) == ((1, 0, 0, 1), ["orders.csv:2: type segment_entered is the system's own"])


def test_a_second_run_without_bad_rows_leaves_no_old_list_of_them(sqlite_store, write):
    bad = write(HEAD + "A1,,2026-11-01,1\n")
    _, _, file, _ = taken(sqlite_store, bad)
    assert file.rejected_path.exists()

    write(HEAD + order(1))
    taken(sqlite_store, bad)

    assert not file.rejected_path.exists()


def test_what_no_rule_will_see_is_told_row_by_row_and_an_undeclared_type_once(sqlite_store, write):
    text = HEAD + order(1, amount="many") + order(2, amount="¥44")

    _, shown, *_ = taken(sqlite_store, write(text))
    _, undeclared, *_ = taken(
        sqlite_store, write(HEAD + order(1) + order(2), "b.csv"), Asked("events", shape=Shape(ORDERS.shape.names, "order_payed"))
    )

    assert shown == [
        "orders.csv:2: order_paid.amount is no number: 'many' counts as missing: write 44 or 44.5, without a currency, a unit or commas",
        "orders.csv:3: order_paid.amount is no number: '¥44' counts as missing: write 44 or 44.5, without a currency, a unit or commas",
        "orders.csv: order_paid.amount: so in 2 rows",
    ]
    assert undeclared == [
        "b.csv:2: event order_payed is not declared in audience.yaml: it is kept, and no rule sees it; did you mean order_paid?",
        "b.csv: order_payed: so in 2 rows",
    ]


def test_what_is_left_out_of_a_user_is_told_row_by_row_and_the_rest_is_taken(sqlite_store, write):
    rows = "u1,abc,32-13,金,上海\nu2,12345,,,\nu3,13800138000,1990-12-18,,\n"

    counts, shown, *_ = taken(
        sqlite_store, write("user_id,identities.phone,birthday,levl,identities.mail\n" + rows, "u.csv"), Asked("users", "crm")
    )

    assert counts == (3, 2, 0, 1)
    no_phone = "identities.phone: expected a phone number, such as 13800138000 or +85251234567"
    assert shown == [
        f"u.csv:2: {no_phone}; the rest of the row is taken",
        "u.csv:2: nothing reads identities.mail; did you mean email?",
        "u.csv:2: user.birthday is no anniversary: '32-13' counts as missing: write 12-18 or 1990-12-18",
        "u.csv:2: user has no trait levl: it is kept, and no rule sees it; did you mean level?",
        "u.csv:3: identities.phone: expected a phone number, such as 13800138000 or +85251234567",
    ]
    with sqlite_store.database.reading() as tx:
        assert sqlite_store.contacts.whose(tx, "phone", "12345") == []


@pytest.mark.parametrize("dry", [False, True])
def test_traits_that_no_rule_will_see_are_told_once_and_values_row_by_row(sqlite_store, write, dry):
    text = "user_id,生日,points,orders_count,备注\nu1,12-24,3,7,x\nu2,12-25,many,8,\n"
    file, shown = begun(write(text, "users.csv"), Asked("users", shape=Shape({"生日": "birthdy"})))
    into = DryRun() if dry else Into(sqlite_store)
    file.begin(into)
    file.run(into, lambda *_: None, dry=dry)

    assert shown == [
        "users.csv:2: user has no trait birthdy: it is kept, and no rule sees it; did you mean birthday?",
        "users.csv:2: user.orders_count is computed by audience.yaml: no rule sees what a file says of it",
        "users.csv:2: user has no trait 备注: it is kept, and no rule sees it",
        "users.csv:3: user.points is no number: 'many' counts as missing: write 44 or 44.5, without a currency, a unit or commas",
        "users.csv: user.birthdy: so in 2 rows",
        "users.csv: user.orders_count: so in 2 rows",
    ]
    assert file.position.accepted == 2


def test_of_many_rows_with_such_a_value_the_first_twenty_are_told_and_all_are_counted(sqlite_store, write):
    _, shown, *_ = taken(sqlite_store, write(HEAD + "".join(order(n, amount="88元") for n in range(1, 31))))

    assert (len(shown), shown[-1]) == (21, "orders.csv: order_paid.amount: so in 30 rows")


def test_a_row_that_repeats_an_id_with_other_content_is_told_with_both_lines(sqlite_store, write):
    row = "A1,order_paid,u1,2026-11-02 10:00,9\n"
    file = write("id,type,user_id,time,amount\n" + row + row + row.replace(",9", ",7"))

    counts, shown, *_ = taken(sqlite_store, file, Asked("events"))

    assert counts == (3, 1, 2, 0)
    assert shown == ["orders.csv:4: id A1 stands in line 2 already, with another amount: the first row of an id counts"]


def test_a_day_or_hour_that_there_is_not_is_told_as_it_was_written(sqlite_store, write):
    _, shown, *_ = taken(sqlite_store, write(HEAD + order(1).replace("2026-11-02 10:00", "2026-02-30 25:03")))

    assert [line.rpartition("found ")[2] for line in shown] == ["2026-02-30 25:03"]


def test_user_records_come_in_in_their_order_and_the_same_file_changes_nothing(store, write):
    path = write("user_id,city\nu1,上海\nu1,北京\nu1,上海\n,x\n", "users.csv")

    first, second = taken(store, path, Asked("users", "crm"))[0], taken(store, path, Asked("users", "crm"))[0]

    assert (first, second) == ((4, 3, 0, 1), (4, 0, 3, 1))
    with store.database.batch() as batch:
        notes = store.inbox.waiting(batch.connection, 10)
    assert [(n.kind, n.payload["traits"]["city"], n.payload["source"]) for n in notes] == [
        ("history", "上海", "crm"), ("history", "北京", "crm"), ("history", "上海", "crm"),
    ]  # fmt: skip


def test_the_rows_of_one_person_keep_their_order_by_whatever_they_name_her(store, write):
    path = write(
        '{"user_id": "u1", "identities": {"openid": "o1"}, "city": "上海"}\n{"identities": {"openid": "o1"}, "city": "北京"}\n', "u.jsonl"
    )

    taken(store, path, Asked("users", "crm"))

    with store.database.batch() as batch:
        notes = store.inbox.waiting(batch.connection, 10)
    assert [(n.kind, n.user_id, n.payload["traits"]["city"]) for n in notes] == [("history", "u1", "上海"), ("history", "u1", "北京")]


def test_what_adds_to_a_number_needs_an_id_by_which_a_copy_of_its_file_knows_it(sqlite_store, write):
    rows = ['{"user_id": "u1", "increment": {"points": 5}}', '{"id": "r1", "user_id": "u1", "increment": {"points": 5}}']

    first, shown, *_ = taken(sqlite_store, write("\n".join(rows), "u.jsonl"), Asked("users", "crm"))
    copied = taken(sqlite_store, write("\n".join(rows), "copy.jsonl"), Asked("users", "crm"))[0]

    assert (first, copied) == ((2, 1, 0, 1), (2, 0, 1, 1))
    assert shown[0].startswith("u.jsonl:1: increment: expected an id beside it")


def exported(store, write, *texts, asked=None):
    """Import one state of a file after the other; how many rows each brought, and how many were known."""
    found = []
    for text in texts:
        counts, *_ = taken(store, write("user_id,city,size\n" + text, "users.csv"), asked or Asked("users", "crm"))
        found.append(counts[1:3])
    return found


def test_a_file_of_users_that_was_corrected_reordered_and_has_grown_brings_only_what_says_something_else(store, write):
    first = "".join(f"u{n},上海,{n}\n" for n in range(100))
    corrected = first.replace("u7,上海", "u7,北京")
    turned = "u100,上海,1\n" + "".join(reversed(corrected.splitlines(keepends=True)))

    assert exported(store, write, first, corrected, turned, first) == [(100, 0), (1, 99), (1, 100), (1, 99)]
    assert kinds(store) == {"history": 103}
    assert sum(kept(store).values()) == 101  # of each the last


def test_what_was_imported_as_history_is_news_when_it_is_told_as_of_now(sqlite_store, write):
    live = Asked("users", "crm", live=True)

    assert exported(sqlite_store, write, "u1,上海,1\n") == [(1, 0)]
    assert exported(sqlite_store, write, "u1,上海,1\n", "u1,上海,1\n\n", asked=live) == [(1, 0), (0, 1)]


def test_a_corrected_file_with_several_rows_of_one_person_ends_with_its_last_one(sqlite_store, write):
    two = "u1,上海,1\nu1,北京,1\n"

    assert exported(sqlite_store, write, two, two, "u1,上海,1\n", "u1,上海,1\nu2,上海,1\n") == [(2, 0), (2, 0), (1, 0), (1, 1)]
    with sqlite_store.database.batch() as batch:
        notes = [n.payload["traits"]["city"] for n in sqlite_store.inbox.waiting(batch.connection, 10) if n.user_id == "u1"]
    assert notes == ["上海", "北京", "上海", "北京", "上海"]


def test_a_later_export_with_an_old_row_is_news_of_the_user(sqlite_store, write):
    head = "user_id,city\n"
    path = write(head + "u1,上海\n", "users.csv")
    counts = [taken(sqlite_store, path, Asked("users"))[0]]
    for text in ("u1,北京\n", "u1,上海\nu2,上海\n"):
        path = write(head + text, "users.csv")
        counts.append(taken(sqlite_store, path, Asked("users"))[0])

    assert counts == [(1, 1, 0, 0), (1, 1, 0, 0), (2, 2, 0, 0)]


def test_a_large_row_goes_alone_and_one_that_is_too_large_is_rejected(sqlite_store, write):
    rows = [
        json.dumps({"id": f"e{n}", "type": "app_opened", "user_id": "u1", "time": "2026-11-01", "data": {"x": "y" * size}})
        for n, size in enumerate([200_000] * 4 + [262_100])
    ]

    counts, _, _, into = taken(sqlite_store, write("\n".join(rows), "a.jsonl"), Asked("events"))

    assert (counts, into.sizes) == ((5, 4, 0, 1), [3, 2])


@pytest.mark.parametrize("more", ["", ",1,2,3"], ids=["too long", "too many values"])
def test_large_rows_that_are_rejected_do_not_gather_in_memory(sqlite_store, write, more):
    text = "id,type,user_id,time,note\n" + "".join(f"e{n},app_opened,u1,2026-11-01,{'y' * 600_000}{more}\n" for n in range(3))

    counts, _, _, into = taken(sqlite_store, write(text), Asked("events"))

    assert (counts, into.sizes) == ((3, 0, 0, 3), [1, 1, 1])


def test_a_dry_run_reads_everything_and_writes_nothing(sqlite_store, write):
    path = write(HEAD + order(1) + "A,,x,1\n")
    file, shown = begun(path)
    nowhere = DryRun()

    file.begin(nowhere)
    file.run(nowhere, lambda *_: None, dry=True)
    file.finish(nowhere)

    assert (file.position.rows, file.position.accepted, file.position.rejected, len(shown)) == (2, 1, 1, 1)
    assert not file.rejected_path.exists()


@pytest.mark.parametrize(
    ("name", "text", "asked", "error", "said"),
    [
        ("none.csv", None, ORDERS, CannotImport, "no such file"),
        ("a.xlsx", "PK", ORDERS, CannotImport, "expected .csv, .jsonl, .ndjson (or .gz of these)"),
        ("a.csv.gz", "no gzip", ORDERS, CannotImport, "a.csv.gz: "),
        ("a.csv", "订单号,user_id,time\n", ORDERS, WrongMapping, "a.csv: --map 用户=user_id: there is no such column; its columns are 订单号, user_id, time"),
        ("a.csv", "用户,时间\n", Asked("events", shape=Shape({"用户": "user_id", "时间": "time"})), WrongMapping, "a.csv: there is no column type; its columns are 用户, 时间; say which one it is with --map COLUMN=type or --type TYPE"),
        ("a.csv", "用户\n", Asked("users"), WrongMapping, "there is no column user_id"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_imported_says_why(write, tmp_path, name, text, asked, error, said):
    path = tmp_path / name if text is None else write(text, name)

    with pytest.raises(error) as told:
        begun(path, asked)

    assert said in str(told.value)


def test_between_two_files_of_one_command_nobody_is_looked_at(sqlite_store, write):
    paths = [write(HEAD + order(n), f"{n}.csv") for n in (1, 2)]
    first, second = (begun(path)[0] for path in paths)
    into = Into(sqlite_store)

    def holds():
        with sqlite_store.database.reading() as tx:
            return sqlite_store.imports.holds_until(tx, NOON) is not None

    held = []
    first.begin(into)
    first.run(into, lambda *_: None)
    second.begin(into)
    first.finish(into)
    held.append(holds())
    second.run(into, lambda *_: None)
    second.finish(into)
    held.append(holds())

    assert held == [True, False]
