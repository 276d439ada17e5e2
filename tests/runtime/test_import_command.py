"""`journeyd import` and `journeyd quarantine` as an operator calls them: what they print, write and answer."""

import json

import pytest

from runtime.clock import SystemClock
from runtime.eventfile import Shape
from runtime.handover import Handover
from runtime.importing import Asked, FileImport
from runtime.settings import load_project
from tests.e2e.running import journeyd
from tests.shop import HELLO, Shop, make_folder
from tests.town import DAY, NOON, ZONE

ORDERS = "订单号,用户,下单时间,amount\nA1,u1,2025/11/1 9:03,39.9\nA2,,2025/11/1 9:03,1\nA3,u2,2025/11/2 9:03,5\n"
MAPPED = ["--type", "order_paid", "--map", "订单号=order_id", "--map", "下单时间=time", "--map", "用户=user_id"]


@pytest.fixture
def folder(tmp_path):
    made = make_folder(tmp_path / "shop", HELLO)
    (made / "orders.csv").write_bytes(ORDERS.encode("gb18030"))
    return made


@pytest.fixture
def set_aside(tmp_path):
    """A project in whose database one event that is good by now, one that is not, and an unknown callback are set aside."""
    shop = Shop(tmp_path / "shop", HELLO, now=NOON - 365 * DAY)  # long ago by the clock of the commands, too
    shop.post([{"id": "e1", "type": "order_paid", "user_id": "u1"}, {"id": "e2", "type": 7}], secret="whsec_" + "B" * 32)
    shop.close()
    config = shop.folder / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('["app_*", "deal_viewed"]', '["*"]'), encoding="utf-8")
    return shop.folder


def test_orders_of_a_spreadsheet_are_taken_and_bad_rows_written_down(call, folder):
    code, out, err = call("import", "events", folder / "orders.csv", *MAPPED, "--config", folder)

    assert (code, out) == (1, "orders.csv: 3 rows: 2 new, 0 known before, 1 rejected\n")
    assert "orders.csv:3: user_id: expected a text of 1 to 256 characters" in err
    assert "orders.csv.rejected.jsonl" in err
    rejected = [json.loads(line) for line in (folder / "orders.csv.rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rejected == [
        {
            "line": 3,
            "reason": "user_id: expected a text of 1 to 256 characters",
            "row": {"订单号": "A2", "用户": "", "下单时间": "2025/11/1 9:03", "amount": "1"},
        }
    ]


def test_the_summary_is_data(call, folder):
    (folder / "users.csv").write_text("user_id,手机号\nu1,13900000001\n", encoding="utf-8")

    code, out, err = call(
        "import", "users", folder / "users.csv", "--map", "手机号=identities.phone", "--source", "crm", "--json", "-c", folder
    )

    [file] = json.loads(out)["files"]
    assert (code, err.splitlines()) == (
        0,
        ["1 row waits in the inbox: profiles know them once a daemon (`journeyd run`) has worked them off"],
    )
    assert {key: file[key] for key in ("kind", "source", "history", "rows", "accepted", "duplicates", "rejected", "resumed_at")} == {
        "kind": "users", "source": "crm", "history": True, "rows": 1, "accepted": 1, "duplicates": 0, "rejected": 0, "resumed_at": 0,
    }  # fmt: skip


def test_a_dry_run_makes_no_database_and_no_file(call, folder):
    before = sorted(folder.rglob("*"))

    code, out, _ = call("import", "events", folder / "orders.csv", *MAPPED, "--dry-run", "-c", folder)

    assert (code, out) == (1, "orders.csv: 3 rows: 2 good, 1 bad; nothing was written\n")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["events"], "expected one file or more"),
        (["events", "orders.csv", "--map", "x"], "--map: expected COLUMN=FIELD"),
        (["events", "orders.csv", "--map", "谁=user_id"], "there is no such column"),
        (["events", "orders.csv", "--encoding", "klingon"], "--encoding: expected utf-8, gb18030"),
        (["events", "orders.csv", "--encoding", "hex"], "--encoding: expected utf-8, gb18030"),
        (["events", "orders.csv", "--source", "$user"], "--source: expected"),
        (["users", "orders.csv", "--type", "x"], ""),
    ],
)
def test_a_wrong_call_exits_2(call, folder, arguments, said):
    arguments = [str(folder / a) if a == "orders.csv" else a for a in arguments]

    code, _, err = call("import", *arguments, "-c", folder)

    assert code == 2
    assert said in err


def test_a_file_that_is_not_there_exits_1(call, folder):
    code, out, err = call("import", "events", folder / "none.csv", "-c", folder)

    assert (code, out) == (1, "")
    assert "none.csv: no such file" in err


class Stops:
    """A way in that ends after the first rows, as Ctrl-C ends it."""

    def __init__(self, handover):
        self.handover, self.position = handover, handover.position

    def take(self, chunk):
        taken = self.handover.take(chunk)
        if chunk.rows:
            raise KeyboardInterrupt
        return taken


def test_an_import_that_was_interrupted_says_that_it_goes_on(call, folder):
    path = folder / "orders.csv"
    path.write_text("user_id,time\n" + "".join(f"u{n % 9},2025/11/{n % 28 + 1}\n" for n in range(1500)), encoding="utf-8")
    handover = Handover(load_project(folder), None, SystemClock())
    first = FileImport(path, Asked("events", shape=Shape({}, "order_paid")), handover.audience(), ZONE, SystemClock(), print)
    first.begin(Stops(handover))
    with pytest.raises(KeyboardInterrupt):
        first.run(Stops(handover), lambda *_: None)
    handover.close()

    code, out, err = call("import", "events", path, "--type", "order_paid", "-c", folder)

    assert (code, out) == (0, "orders.csv: 1,500 rows: 1,500 new, 0 known before, 0 rejected\n")
    assert err.splitlines() == [
        "orders.csv: goes on after row 1,000, where it was interrupted",
        "1500 rows wait in the inbox: profiles know them once a daemon (`journeyd run`) has worked them off",
    ]


def test_a_corrected_file_of_users_says_what_was_known(call, folder):
    path = folder / "users.csv"
    path.write_text("user_id,city\nu1,上海\nu2,上海\nu3,上海\n", encoding="utf-8")
    call("import", "users", path, "-c", folder)
    path.write_text("user_id,city\nu1,上海\nu2,北京\nu3,上海\n", encoding="utf-8")

    code, out, err = call("import", "users", path, "-c", folder)

    assert (code, out) == (0, "users.csv: 3 rows: 1 new, 2 known before, 0 rejected\n")
    assert err.startswith("users.csv: 2 known before: they say what an import from this source said last of the same people")


@pytest.fixture
def sold(tmp_path):
    """A project whose shop has posted two orders, and the month's export of its orders, of which one is new."""
    shop = Shop(tmp_path / "shop", HELLO, now=NOON - 365 * DAY)
    orders = [{"id": f"o{n}", "type": "order_paid", "user_id": f"u{n}", "time": "2025-11-01T09:00:00+08:00"} for n in (1, 2)]
    shop.post(orders)
    shop.close()
    rows = "".join(f"o{n},u{n},2025-11-01 09:00,9\n" for n in (1, 2, 3))
    (shop.folder / "orders.csv").write_text("订单号,user_id,time,amount\n" + rows, encoding="utf-8")
    return shop.folder


EXPORT = ["--type", "order_paid", "--map", "订单号=id"]


def test_orders_that_the_shop_has_posted_are_known_again_under_its_name(call, sold):
    code, out, err = call("import", "events", sold / "orders.csv", *EXPORT, "--source", "shop", "-c", sold)

    assert (code, out) == (0, "orders.csv: 3 rows: 1 new, 2 known before, 0 rejected\n")
    assert err.startswith("orders.csv: 2 known before from this source: these stay as they were kept first")
    assert json.loads(call("status", "--json", "-c", sold)[1])["totals"]["events"] == 3


@pytest.mark.parametrize("source", [[], ["--source", "shp"]])
def test_they_are_not_taken_twice_because_the_source_was_forgotten_or_misspelt(call, sold, source):
    code, out, err = call("import", "events", sold / "orders.csv", *EXPORT, *source, "-c", sold)

    assert (code, out) == (2, "")
    assert err.startswith("orders.csv: 2 of its first events have come from source shop already and would count twice;")
    assert json.loads(call("status", "--json", "-c", sold)[1])["totals"]["events"] == 2


def test_who_insists_takes_them_as_others(call, sold):
    code, out, _ = call("import", "events", sold / "orders.csv", *EXPORT, "--source", "import", "-c", sold)

    assert (code, out) == (0, "orders.csv: 3 rows: 3 new, 0 known before, 0 rejected\n")


# ---------------------------------------------------------------------------------------------------- quarantine


def test_what_was_set_aside_is_listed_with_its_reason(call, set_aside):
    code, out, err = call("quarantine", "-c", set_aside)
    _, data, _ = call("quarantine", "--reason", "may not", "--json", "-c", set_aside)

    assert code == 0
    assert err.startswith("kept since 20")
    assert 'what was set aside before is deleted ([intake] keep_quarantine = "90d")' in err
    assert "source device may not assert order_paid" in out
    assert "type: expected a text of 1 to 256 characters" in out
    assert [(row["id"], row["source"], row["user_id"], "body" in row) for row in json.loads(data)] == [(1, "device", "u1", False)]


def test_a_row_is_shown_as_it_came(call, set_aside):
    code, out, err = call("quarantine", "show", 1, "-c", set_aside)

    assert (code, json.loads(out)) == (0, {"id": "e1", "type": "order_paid", "user_id": "u1"})
    assert "source device may not assert order_paid" in err
    assert call("quarantine", "show", 99, "-c", set_aside)[0] == 1


def test_rows_are_read_again_and_dropped(call, set_aside):
    left = call("quarantine", "retry", "--all", "--source", "device", "-c", set_aside)
    dropped = call("quarantine", "drop", 2, "-c", set_aside)
    empty = call("quarantine", "-c", set_aside)

    assert (left[0], left[1]) == (1, "2: type: expected a text of 1 to 256 characters\n")
    assert "1 taken, 1 left" in left[2]
    assert (dropped[0], "1 dropped" in dropped[2]) == (0, True)
    assert (empty[0], empty[1], "nothing is set aside" in empty[2]) == (0, "", True)
    told = json.loads(call("status", "--json", "-c", set_aside)[1])
    assert told["totals"]["inbox"] == 1


@pytest.mark.parametrize(
    "arguments", [["retry"], ["retry", "1", "--all"], ["retry", "1", "--source", "x"], ["drop"], ["show"], ["retry", "one"]]
)
def test_a_wrong_call_of_quarantine_exits_2(call, set_aside, arguments):
    assert call("quarantine", *arguments, "-c", set_aside)[0] == 2


def test_numbers_that_are_not_there_exit_1(call, set_aside):
    assert call("quarantine", "retry", 99, "-c", set_aside)[0] == 1
    assert call("quarantine", "drop", 99, "-c", set_aside)[0] == 1


def test_numbers_that_are_not_there_are_said(call, set_aside):
    for command in ("retry", "drop"):
        code, _, err = call("quarantine", command, 98, 99, "-c", set_aside)
        assert (code, "98, 99: nothing is set aside under this number" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kind", "evnt"], "nothing that is set aside matches --kind evnt; --kind: did you mean event?"),
        (["--kind", "foo"], "nothing that is set aside matches --kind foo; --kind: there are event"),
        (["--source", "devise"], "nothing that is set aside matches --source devise; --source: did you mean device?"),
        (["--user", "u9"], "nothing that is set aside matches --user u9\n"),
    ],
)
def test_a_filter_that_nothing_fits_says_what_was_likely_meant(call, set_aside, arguments, said):
    code, out, err = call("quarantine", *arguments, "-c", set_aside)

    assert (code, out, said in err) == (0, "", True), err


def test_without_a_database_none_is_made(call, folder):
    for arguments in (["quarantine"], ["quarantine", "retry", "--all"], ["quarantine", "drop", "1"]):
        assert call(*arguments, "-c", folder)[0] == 1
    assert not (folder / "data").exists()


def test_the_words_are_chinese_where_people_are(folder):
    config = folder / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('language = "en"', 'language = "zh"'), encoding="utf-8")

    done = journeyd("import", "events", "orders.csv", *MAPPED, folder=folder)

    assert done.stdout == "orders.csv：3 行，新收 2，已有 0，退回 1\n"
