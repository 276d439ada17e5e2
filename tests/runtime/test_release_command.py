"""`plan`, `apply`, `releases` and `pause` on the command line: the loop of an edit with people inside."""

import json
import shlex

import pytest

from runtime.commandline import USAGE
from runtime.release_command import CHANGES
from tests.shop import HELLO, Shop, write_journeys
from tests.town import NOON, PUSH, journey_text

OLD = journey_text(f"- {{id: pause, delay: 3d}}\n- {{id: gift, send: {PUSH}}}", entry="{event: app_opened}", max_lateness="6h")
NEW = OLD.replace("3d", "2d")


@pytest.fixture
def shop(tmp_path, database_url):
    """A project with one user inside `j`, and nobody who holds the database."""
    opened = Shop(tmp_path / "shop", OLD, HELLO, url=database_url)
    opened.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    opened.settle()
    opened.app.close()
    return opened


@pytest.fixture
def folder(tmp_path, call):
    """A project whose own database `apply` has made."""
    made = tmp_path / "own"
    Shop(made, OLD, HELLO, url=f"sqlite:///{tmp_path}/other.db").app.close()
    assert call("apply", "--config", made, "-m", "first")[0] == 0
    return made


def test_a_plan_reads_as_a_marketer_would_say_it(shop, call):
    write_journeys(shop.folder, NEW, HELLO)

    code, out, _ = call("plan", "--config", shop.folder, "--database", shop.url)

    assert code == 0
    assert "~ j: changed (v1 runs now)" in out
    assert "step pause, delay: 3d → 2d" in out
    assert "1 at pause (v1): stay on v1; would move with --in-flight j=move: 1 " in out
    assert "to apply exactly this: journeyd apply --plan " in out


def test_journeys_that_only_read_differently_share_a_line_unless_something_is_decided_for_those_inside(shop, call):
    write_journeys(shop.folder, OLD + "\n# why", HELLO + "\n# why")

    _, shared, _ = call("plan", "--config", shop.folder, "--database", shop.url)
    _, apart, _ = call("plan", "--config", shop.folder, "--database", shop.url, "--in-flight", "j=exit")

    assert "~ 2 journeys differ in comments or layout only, those inside stay on their version: hello, j\n" in shared
    assert "at pause" not in shared
    assert "~ j: changed" in apart
    assert "1 at pause (v1): end (moved)" in apart
    assert "~ 1 journey differs in comments or layout only, those inside stay on their version: hello\n" in apart


def test_the_line_that_a_plan_of_another_database_ends_with_applies_there(shop, call):
    write_journeys(shop.folder, NEW, HELLO)
    planned = call("plan", "--config", shop.folder, "--database", shop.url)[1]
    line = shlex.split(planned.splitlines()[-1].partition("journeyd ")[2].replace(' -m "…"', ""))

    code, out, _ = call(*line)

    assert (code, out.splitlines()) == (0, ["release 2: 1 journey changed: j", "  j: 1 stays on her version"])


def test_journeys_that_did_not_change_share_the_last_line(shop, call):
    write_journeys(shop.folder, NEW, HELLO)
    assert call("apply", "--config", shop.folder, "--database", shop.url)[0] == 0
    write_journeys(shop.folder, NEW, HELLO.replace("name: J", "name: K"))

    lines = call("plan", "--config", shop.folder, "--database", shop.url)[1].splitlines()

    assert lines[1] == "~ hello: changed (v1 runs now)"
    assert lines[-2] == "  unchanged, with people on other versions: j (1); --in-flight JOURNEY=move would take them along"


def test_tests_that_say_something_else_are_no_change_of_their_number(folder, call):
    story = "\ntests:\n  - {name: t, expect: [{after: 0s, end: completed}]}\n"
    write_journeys(folder, OLD + story, HELLO)
    more = call("plan", "--config", folder)[1]
    assert call("apply", "--no-tests", "--config", folder)[0] == 0
    write_journeys(folder, OLD + story.replace("0s", "1s"), HELLO)
    other = call("plan", "--config", folder)[1]

    assert "    its tests: 0 → 1\n" in more
    assert "    1 of its 1 tests says something else\n" in other


def test_a_plan_with_other_decisions_for_those_inside_is_another_plan(folder, call):
    write_journeys(folder, NEW, HELLO)
    token = json.loads(call("plan", "--json", "--config", folder)[1])["plan"]

    code, _, err = call("apply", "--plan", token, "--in-flight", "j=exit", "--config", folder)

    assert (code, "nothing was applied" in err) == (1, True)


@pytest.mark.parametrize("decision", ["j.=exit", "j=leave", "j"])
def test_a_decision_that_cannot_be_read_is_refused(folder, call, decision):
    code, _, err = call("plan", "--in-flight", decision, "--config", folder)

    assert (code, "expected JOURNEY=keep|move|exit" in err) == (USAGE, True)


@pytest.mark.parametrize("command", [["releases"], ["plan", "--version"], ["apply", "--version"]])
def test_a_number_that_no_release_can_have_is_refused_in_a_line(folder, call, command):
    code, _, err = call(*command, "99999999999999999999", "--config", folder)

    assert (code, "Traceback" in err) == (USAGE, False)


def test_a_message_of_any_bytes_is_kept(folder, call):
    write_journeys(folder, NEW, HELLO)

    assert call("apply", "-m", "why \udcff", "--config", folder)[0] == 0
    assert call("pause", "j", "-m", "why \udcff", "--config", folder)[0] == 0
    assert "why" in call("releases", "--config", folder)[1]


def test_a_plan_in_chinese(shop, call, monkeypatch):
    monkeypatch.setenv("JOURNEYD_LANGUAGE", "zh")
    write_journeys(shop.folder, NEW, HELLO)

    _, out, _ = call("plan", "--config", shop.folder, "--database", shop.url, "--in-flight", "j=exit")

    assert "j：有变化（现在运行 v1）" in out
    assert "1 人在 pause（v1）: 结束（moved），未发的取消" in out


def test_the_exit_code_says_whether_there_is_something_to_apply_as_terraform_s_does(shop, call):
    same = call("plan", "--detailed-exitcode", "--config", shop.folder, "--database", shop.url)[0]
    write_journeys(shop.folder, NEW, HELLO)
    changed = call("plan", "--detailed-exitcode", "--config", shop.folder, "--database", shop.url)[0]
    write_journeys(shop.folder, journey_text("- {id: a, goto: {step: nowhere}}", id="bad"))
    broken = call("plan", "--detailed-exitcode", "--config", shop.folder, "--database", shop.url)[0]

    assert (same, changed, broken) == (0, CHANGES, 1)


def test_before_the_first_release_everything_is_new(tmp_path, call):
    made = tmp_path / "own"
    Shop(made, OLD, url=f"sqlite:///{tmp_path}/other.db").app.close()

    code, out, _ = call("plan", "--config", made)

    assert code == 0
    assert out.splitlines()[:2] == ["nothing is applied yet; this would be the first release", "+ j: new"]
    assert not (made / "data").exists()


def test_a_plan_as_data_has_the_token_that_apply_takes(folder, call):
    write_journeys(folder, NEW, HELLO)
    plan = json.loads(call("plan", "--json", "--config", folder)[1])

    write_journeys(folder, OLD.replace("3d", "1d"), HELLO)
    code, _, err = call("apply", "--plan", plan["plan"], "--config", folder)
    assert (code, "nothing was applied" in err) == (1, True)

    write_journeys(folder, NEW, HELLO)
    assert call("apply", "--plan", plan["plan"], "--config", folder)[0] == 0


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_files_with_errors_are_data_where_data_is_asked_for(folder, call, command):
    write_journeys(folder, HELLO.replace("app_opened", "no_such_event"))

    code, out, _ = call(command, "--json", "--config", folder)
    told = json.loads(out)

    assert (code, told["outcome"]) == (1, "refused")
    assert ["J020" in line for line in told["findings"]] == [True]
    assert "J020" in call(command, "--config", folder)[1]


def test_releases_are_listed_shown_and_gone_back_to(folder, call):
    write_journeys(folder, NEW, HELLO)
    call("apply", "--config", folder, "-m", "shorter")

    listed = json.loads(call("releases", "--json", "--config", folder)[1])
    assert [(r["id"], r["message"], r["versions"]["j"]) for r in listed] == [(2, "shorter", 2), (1, "first", 1)]
    assert "delay: 3d" in call("releases", "1", "--config", folder)[1]

    assert call("apply", "--version", "1", "--config", folder, "-m", "back")[0] == 0
    listed = json.loads(call("releases", "--json", "--config", folder)[1])
    assert (listed[0]["id"], listed[0]["versions"]["j"]) == (3, 1)


def test_an_apply_says_what_it_stands_on_and_what_is_gone(folder, call):
    call("apply", "--config", folder, "-m", "first")
    (folder / "journeys" / "hello.yaml").unlink()

    _, out, err = call("apply", "--config", folder, "-m", "without hello")
    told = json.loads(call("apply", "--version", "1", "--json", "--config", folder)[1])

    assert (err.split(", applied")[0], "“first”" in err) == ("on top of release 1", True)
    assert out.splitlines()[1:] == ["  hello: gone; nobody enters any more"]
    assert (told["on_top_of"]["id"], told["on_top_of"]["message"]) == (2, "without hello")


def test_of_two_applies_of_the_same_plan_the_second_is_told_that_the_first_came_before(shop, call):
    where = ("--config", shop.folder, "--database", shop.url)
    write_journeys(shop.folder, NEW, HELLO)
    token = json.loads(call("plan", "--in-flight", "j=move", "--json", *where)[1])["plan"]

    first = call("apply", "--plan", token, "--in-flight", "j=move", "-m", "shorter", *where)
    second = call("apply", "--plan", token, "--in-flight", "j=move", *where)

    assert first[0] == 0, first
    assert (second[0], "since plan" in second[2], "“shorter”" in second[2]) == (1, True, True)


def test_a_way_back_gives_no_advice_for_files_of_the_past(shop, call):
    where = ("--config", shop.folder, "--database", shop.url)
    write_journeys(shop.folder, OLD.replace("id: pause", "id: rest"), HELLO)
    call("apply", "-m", "renamed", *where)

    _, out, _ = call("plan", "--version", "1", *where)

    assert "is gone" in out
    assert "if it was renamed" not in out


def test_a_release_that_is_not_there_is_said(folder, call):
    for command in (["releases", "9"], ["apply", "--version", "9"], ["plan", "--version", "9"]):
        code, _, err = call(*command, "--config", folder)

        assert (code, err.strip()) == (1, "there is no release 9; `journeyd releases` lists them")


def test_a_wrong_decision_for_those_inside_is_wrong_usage(folder, call):
    code, _, err = call("apply", "--in-flight", "jj=move", "--config", folder)

    assert (code, err.strip()) == (USAGE, "--in-flight: there is no journey jj, did you mean j?")


def test_to_decide_for_people_who_are_on_the_files_version_already_is_refused_with_what_would_end_them(shop, call):
    code, _, err = call("plan", "--in-flight", "j=exit", "--config", shop.folder, "--database", shop.url)

    assert code == USAGE
    assert "everybody in j is on the version that these files have" in err
    assert "write `status: closed` into j.yaml" in err


def test_to_move_people_who_were_moved_already_is_refused_as_nothing_to_do_and_advises_nothing_that_would_end_them(shop, call):
    code, _, err = call("plan", "--in-flight", "j=move", "--config", shop.folder, "--database", shop.url)

    assert (code, "there is nobody to decide for; leave j out" in err, "closed" in err) == (USAGE, True, False)


def test_without_a_daemon_apply_moves_those_inside_itself(tmp_path, call):
    made = tmp_path / "own"
    opened = Shop(made, OLD, HELLO, url=f"sqlite:///{made}/data/journeyd.db", now=NOON)
    opened.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    opened.settle()
    opened.app.close()
    write_journeys(made, NEW, HELLO)

    code, out, _ = call("apply", "--in-flight", "j=move", "--config", made)

    assert (code, "  j: 1 moved, 0 ended, 0 stay on their version\n" in out) == (0, True)
    told = json.loads(call("explain", "u1", "--json", "--config", made)[1])
    assert [line["action"] for line in told["story"] if line["journey"] == "j"][-1] == "moved"


def test_going_back_says_who_stays_and_the_line_that_takes_them_back(shop, call):
    other = ["--config", shop.folder, "--database", shop.url]
    write_journeys(shop.folder, NEW, HELLO)
    assert call("apply", "--in-flight", "j=move", *other)[0] == 0

    code, out, err = call("apply", "--version", "1", *other)
    line = next(line for line in err.splitlines() if line.startswith("to take those along who stay: journeyd "))
    again = call(*shlex.split(line.partition("journeyd ")[2]))

    assert (code, out.splitlines()[1:]) == (0, ["  j: 1 stays on her version"])
    assert (again[0], "  j: 1 moved, 0 ended, 0 stay on their version\n" in again[1]) == (0, True)
    assert "to take those along" not in again[2]


def test_an_apply_names_a_journey_that_is_gone_and_those_who_go_on_in_it(shop, call):
    (shop.folder / "journeys" / "j.yaml").unlink()

    code, out, err = call("apply", "--config", shop.folder, "--database", shop.url)

    assert (code, out.splitlines()[1:]) == (0, ["  j: gone; nobody enters any more", "  j: 1 stays on her version"])
    assert "to take those along" not in err
    assert "j (gone)" in call("status", "--config", shop.folder, "--database", shop.url)[1]


NEEDS_ONE = [["pause", "j"], ["pause", "--all", "--resume"], ["rebuild"]]


@pytest.mark.parametrize("command", NEEDS_ONE)
def test_where_there_is_no_database_none_is_made_by_a_command_that_needs_one(tmp_path, call, command):
    made = tmp_path / "shop"
    Shop(made, OLD, HELLO, url=f"sqlite:///{tmp_path}/other.db").app.close()

    code, out, err = call(*command, "--config", made)

    assert (code, out, (made / "data" / "journeyd.db").exists()) == (1, "", False)
    assert err.startswith(f"{made / 'data' / 'journeyd.db'}: there is no database yet; `journeyd apply` or `journeyd run` makes one")


@pytest.mark.parametrize("command", [*NEEDS_ONE, ["plan"], ["apply"], ["run"], ["import", "events", "orders.csv"], ["status"]])
def test_a_name_after_database_typed_wrong_makes_no_database_and_publishes_nothing(folder, call, command, tmp_path):
    nowhere = tmp_path / "nowhere.db"

    code, out, err = call(*command, "--config", folder, "--database", nowhere)

    assert (code, out, nowhere.exists()) == (1, "", False)
    assert err.startswith(f"{nowhere}: there is no such database, and --database makes none; without it, the project's own is taken (")


def test_pausing_and_resuming(folder, call):
    assert call("pause", "--config", folder)[0] == USAGE
    assert "j is paused" in call("pause", "j", "-m", "wrong coupon", "--config", folder)[1]
    assert "“wrong coupon”" in call("plan", "--config", folder)[1]
    assert "j goes on" in call("pause", "j", "--resume", "--config", folder)[1]
    code, _, err = call("pause", "jj", "--config", folder)
    assert (code, err.strip()) == (1, "there is no journey jj, did you mean j?")
