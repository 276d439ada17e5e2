"""The command line: data on stdout, the rest on stderr, exit codes 0, 1 and 2, and never a traceback."""

import json
import shlex
import subprocess
import sys

import pytest

from journeys.errors import CODES
from runtime.cli import COMMANDS, cli
from runtime.commandline import USAGE
from runtime.newproject import make_project
from tests.e2e.running import journeyd
from tests.shop import HELLO, Shop, make_folder, write_journeys
from tests.town import HOUR, NOON, journey_text

PUSH = "send: [{push: {title: T, body: B}}]"


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "shop", HELLO)


@pytest.fixture
def lived_in(tmp_path):
    """A project whose database knows one user who was written to, and one who was refused."""
    shop = Shop(tmp_path / "shop", HELLO)
    shop.welcome("u1")
    shop.post([{"id": "e1", "type": "app_opened", "user_id": "u1"}, {"id": "e2", "type": "app_opened", "user_id": "u2"}])
    shop.settle()
    shop.post({"id": "e3", "type": "app_opened", "user_id": "u1"})
    shop.settle(NOON + HOUR)
    shop.close()
    return shop.folder


# ---------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["no_such_command"], ["check", "--no-such-option"], ["explain"], ["init"], ["simulate"], ["demo", "--days", "many"],
        ["init", "a", "b"], ["status", "extra"],
    ],
)  # fmt: skip
def test_a_usage_error_exits_2(call, arguments):
    code, out, err = call(*arguments)

    assert code == 2
    assert (out, bool(err)) == ("", True) or out  # cyclopts shows its panel


def test_every_command_has_help(call):
    code, out, _ = call("--help")

    assert code == 0
    for name in commands():
        assert name in out
        assert call(name, "--help")[0] == 0


def commands():
    return [name for name in cli if not name.startswith("-")]


def test_the_version_is_said(call):
    assert call("--version")[:2] == (0, "0.1.0\n")


# ---------------------------------------------------------------------------------------------------- config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timezon = 'UTC'", "unknown key timezon; remove it or correct its name"),
        ("[server]\nprot = 1", "unknown key server.prot; remove it or correct its name"),
        ("timezone = 'Mars/Base'", "timezone: expected an IANA zone such as Asia/Shanghai, found 'Mars/Base'"),
        ("[server]\nport = 'x'", "server.port: "),
        (
            "[intake.sources.shop]\nsecrets = ['whsec_in_the_file']",
            "expected env:NAME or file:PATH; secrets never stand in the file itself",
        ),
        ("[intake.sources.shop]\nsecrets = []", "intake.sources.shop.secrets: "),
        ("[policy]\nquiet_hours = '25:00-26:00'", "policy.quiet_hours: expected a quoted window"),
        ("[policy]\nholdout = '200%'", "policy.holdout: expected a share"),
        ("[intake]\nkeep_events = '23h'", 'intake.keep_events: expected one day or more, such as "400d"; without the key all'),
        ("[intake]\nkeep_events = 'long'", "intake.keep_events: expected one day or more"),
        ("this is no toml", "config.toml: "),
    ],
)
def test_a_wrong_config_exits_1_and_says_the_key(call, tmp_path, text, said):
    (tmp_path / "config.toml").write_text(text)

    code, out, err = call("check", "--config", tmp_path)

    assert (code, out) == (1, "")
    assert said in err
    assert "whsec_in_the_file" not in err


def test_all_wrong_keys_are_told_at_once(call, tmp_path):
    (tmp_path / "config.toml").write_text("timezon = 'UTC'\n[server]\nprot = 1\n")

    _, _, err = call("check", "--config", tmp_path)

    assert err.count("unknown key") == 2


def test_a_folder_without_a_config_exits_1_and_says_how_to_make_one(call, tmp_path):
    code, _, err = call("check", "--config", tmp_path)

    assert (code, "journeyd init DIR" in err) == (1, True)


def test_a_missing_secret_stops_the_daemon_with_its_name(tmp_path):
    folder = make_project(tmp_path / "p")
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config.replace("file:secrets/shop", "env:SHOP_SECRET"))

    refused = journeyd("run", folder=folder)

    assert refused.returncode == 1
    assert "intake.sources.shop.secrets: the environment variable SHOP_SECRET is not set" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_every_key_can_be_overridden_by_the_environment(folder):
    found = journeyd("check", folder=folder, JOURNEYD_LANGUAGE="zh", JOURNEYD_SERVER__PORT="9")
    wrong = journeyd("check", folder=folder, JOURNEYD_SERVER__PORT="high")

    assert (found.returncode, "0 个错误" in found.stderr) == (0, True)
    assert (wrong.returncode, "server.port" in wrong.stderr, "Traceback" in wrong.stderr) == (1, True, False)


# ---------------------------------------------------------------------------------------------------- check


BAD_FILES = {
    "unknown_key": ("J012", journey_text(f"- id: a\n  {PUSH}", id="unknown_key", ownerr="x")),
    "wrong_type": ("J013", journey_text(f"- id: a\n  {PUSH}", id="wrong_type", priority="high")),
    "goto_nowhere": ("J031", journey_text(f"- id: a\n  {PUSH}\n- id: b\n  goto: {{step: nowhere}}", id="goto_nowhere")),
    "endless": ("J072", journey_text("- id: a\n  update: {add_tags: [x]}\n- id: b\n  goto: {step: a, max_visits: 3}", id="endless")),
    "same_step": ("J070", journey_text(f"- id: a\n  {PUSH}\n- id: a\n  {PUSH}", id="same_step")),
    "same_key": ("J008", journey_text(f"- id: a\n  {PUSH}\n  {PUSH}", id="same_key")),
    "tag": ("J006", journey_text("- id: a\n  delay: !!str 3d", id="tag")),
    "anchor": ("J007", journey_text("- id: a\n  delay: &x 3d\n- id: b\n  delay: *x", id="anchor")),
    "segment": ("J021", journey_text(f"- id: a\n  {PUSH}", id="segment", entry="{segment: dormannt, existing: skip}")),
    "trait": ("J022", journey_text(f"- id: a\n  if: user.citty == 'x'\n  {PUSH}", id="trait")),
    "event_name": ("J020", journey_text(f"- id: a\n  {PUSH}", id="event_name", entry="{event: order_payd}")),
    "channel": ("J024", journey_text("- id: a\n  send: [{email: {subject: S, body: B}}]", id="channel")),
    "benefit": ("J028", journey_text("- id: a\n  grant: {benefit: gifft}", id="benefit")),
    "template": ("J025", journey_text("- id: a\n  send: [{sms: {template: newz}}]", id="template")),
    "field": ("J026", journey_text("- id: a\n  send: [{wechat: {template: news, page: p, data: {title: T, more: M}}}]", id="field")),
    "name_in_text": ("J022", journey_text("- id: a\n  send: [{push: {title: T, body: '{{ user.nobody }}'}}]", id="name_in_text")),
    "dunder": ("J033", journey_text("- id: a\n  send: [{push: {title: T, body: '{{ user.id.__class__ }}'}}]", id="dunder")),
    "statement": ("J06", journey_text("- id: a\n  send: [{push: {title: T, body: '{% for x in y %}{% endfor %}'}}]", id="statement")),
    "power": ("J0", journey_text("- id: a\n  send: [{push: {title: T, body: '{{ 9 ** 9 }}'}}]", id="power")),
    "unreachable": ("J071", journey_text(f"- id: a\n  exit: done\n- id: b\n  {PUSH}", id="unreachable")),
    "if_missing": ("J0", journey_text("- id: a\n  delay: {until: user.booked_at}", id="if_missing")),
    "existing": ("J0", journey_text(f"- id: a\n  {PUSH}", id="existing", entry="{segment: dormant}")),
    "event_outside": ("J047", journey_text(f"- id: a\n  if: event.amount > 1\n  {PUSH}", id="event_outside")),
}


def test_the_findings_of_every_bad_file_are_told_in_one_run(call, folder):
    write_journeys(folder, HELLO, *(text for _, text in BAD_FILES.values()))
    (folder / "journeys" / "empty.yaml").write_text("")
    (folder / "journeys" / "not_utf8.yaml").write_bytes("id: 李".encode("gbk"))
    (folder / "journeys" / "huge.yaml").write_bytes(b"# " + b"x" * 5_000_000)

    code, out, err = call("check", "--json", "--config", folder)

    findings = json.loads(out)
    assert code == 1
    assert "errors" in err
    assert all(set(f) == {"code", "severity", "file", "line", "column", "text"} for f in findings)
    assert all(f["code"] in CODES and f["line"] >= 1 and f["column"] >= 1 for f in findings)
    by_file = {}
    for finding in findings:
        by_file.setdefault(finding["file"].rsplit("/", 1)[-1].removesuffix(".yaml"), []).append(finding["code"])
    expected = {name: code for name, (code, _) in BAD_FILES.items()} | {"empty": "J004", "not_utf8": "J002", "huge": "J003"}
    for name, wanted in expected.items():
        assert any(found.startswith(wanted) for found in by_file.get(name, [])), (name, wanted, by_file.get(name))
    assert {f["severity"] for f in findings if f["file"].endswith("hello.yaml")} == {"warning"}  # a good file beside bad ones


def test_findings_stand_as_file_line_column_code_with_a_hint(call, folder):
    write_journeys(folder, BAD_FILES["segment"][1])

    code, out, err = call("check", "--config", folder)

    line = next(line for line in out.splitlines() if "J021" in line)
    assert code == 1
    assert line.split(": ")[0].endswith("journeys/segment.yaml:6:18")
    assert "J021 unknown segment dormannt" in line
    assert "did you mean dormant?" in line
    assert "1 error, " in err


def test_only_the_named_files_are_reported_on(call, folder):
    write_journeys(folder, HELLO, BAD_FILES["trait"][1])

    assert call("check", folder / "journeys" / "hello.yaml", "--config", folder)[0] == 0
    assert call("check", folder / "journeys" / "trait.yaml", "--config", folder)[0] == 1
    code, _, err = call("check", folder / "journeys" / "nothing.yaml", "--config", folder)
    assert (code, "no such file or folder" in err) == (1, True)


def test_a_failing_test_of_a_journey_is_a_finding(call, folder):
    failing = HELLO + "tests:\n  - {name: nothing happens, expect: [{after: 0s, end: completed}]}\n"
    write_journeys(folder, failing)

    code, out, _ = call("check", "--json", "--config", folder)
    without = call("check", "--no-tests", "--config", folder)[0]

    assert (code, [f["code"] for f in json.loads(out) if f["severity"] == "error"]) == (1, ["J111"])
    assert without == 0


# ---------------------------------------------------------------------------------------------------- apply


def test_apply_makes_a_release_then_nothing_then_refuses(call, folder):
    first = call("apply", "-m", "first", "--json", "--config", folder)
    second = call("apply", "--json", "--config", folder)
    write_journeys(folder, BAD_FILES["trait"][1])
    third = call("apply", "--json", "--config", folder)
    said = call("apply", "--config", folder)

    applied, unchanged = json.loads(first[1]), json.loads(second[1])
    assert len(digest := applied.pop("digest")) == 64
    assert (first[0], applied) == (
        0,
        {"outcome": "applied", "release": 1, "changed": ["hello"], "gone": [], "on_top_of": None, "inside": {}},
    )
    assert (second[0], unchanged) == (0, {"outcome": "unchanged", "release": 1, "digest": digest})
    assert (third[0], json.loads(third[1])["outcome"]) == (1, "refused")
    assert "J022" in json.loads(third[1])["findings"][0]
    assert (said[0], "J022" in said[1]) == (1, True)


def test_apply_says_what_it_did(call, folder):
    assert call("apply", "--config", folder)[1] == "release 1: 1 journey changed: hello\n"
    assert call("apply", "--config", folder)[1] == "nothing changed since release 1\n"


def test_files_whose_own_tests_fail_are_not_applied_unless_somebody_insists(call, folder):
    write_journeys(folder, HELLO + "tests:\n  - {name: nothing happens, expect: [{after: 0s, end: completed}]}\n")

    planned = call("plan", "--config", folder)[1]
    code, out, err = call("apply", "--config", folder)
    as_data = call("apply", "--json", "--config", folder)
    none_yet = call("releases", "--json", "--config", folder)
    insisted = call("apply", "--no-tests", "--config", folder)

    assert "apply will refuse these files: 1 of their tests fails" in planned
    assert "to apply exactly this" not in planned
    assert (code, "J111" in out, "- expected, + got" in out, err) == (1, True, True, "nothing was applied\n")
    assert (as_data[0], json.loads(as_data[1])["outcome"]) == (1, "refused")
    assert none_yet[0] != 0 or json.loads(none_yet[1]) == []
    assert insisted[:2] == (0, "release 1: 1 journey changed: hello\n")


def test_going_back_to_a_release_asks_nothing_of_the_files(call, folder):
    assert call("apply", "--config", folder)[0] == 0
    write_journeys(folder, HELLO + "tests:\n  - {name: nothing happens, expect: [{after: 0s, end: completed}]}\n")

    code, out, err = call("apply", "--version", "1", "--config", folder)
    command = err.strip().partition("in their place: journeyd ")[2]
    back = call(*shlex.split(command))

    assert (code, out) == (0, "nothing changed since release 1\n")
    assert "the files are as they were, and the next apply would bring back what they say" in err
    assert command == f"releases 1 --write {folder}/journeys --overwrite --config {folder}"
    assert (back[0], (folder / "journeys" / "hello.yaml").read_text()) == (0, HELLO)


@pytest.mark.parametrize("arguments", [["--plan", "0123456789ab"], ["--version", "3"], ["--in-flight", "no=move"]])
def test_an_apply_that_is_refused_leaves_no_database_behind(call, folder, arguments):
    assert call("apply", *arguments, "--config", folder)[0] != 0

    assert not (folder / "data" / "journeyd.db").exists()


def test_a_release_is_written_as_files_and_overwrites_others_only_when_asked(call, folder, tmp_path):
    assert call("apply", "--config", folder)[0] == 0
    files, own = tmp_path / "files", folder / "journeys"
    text = (own / "hello.yaml").read_text()
    (own / "hello.yaml").write_text("# edited\n" + text)
    (own / "mine.yaml").write_text("id: mine\n")

    fresh = call("releases", "1", "--write", files, "--config", folder)
    refused = call("releases", "1", "--write", own, "--config", folder)
    kept = (own / "hello.yaml").read_text()
    forced = call("releases", "1", "--write", own, "--overwrite", "--config", folder)

    assert (fresh[0], (files / "hello.yaml").read_text(), "2 files of release 1" in fresh[1]) == (0, text, True)
    assert (refused[0], "hello.yaml; --overwrite" in refused[2], kept) == (1, True, "# edited\n" + text)
    assert (forced[0], (own / "hello.yaml").read_text(), (own / "mine.yaml").read_text()) == (0, text, "id: mine\n")
    assert "not in release 1, and left as they are: mine.yaml" in forced[1]
    assert call("releases", "--write", files, "--config", folder)[0] == USAGE


# ---------------------------------------------------------------------------------------------------- status, explain, schema


def test_status_tells_what_runs_and_who_is_inside(call, lived_in):
    code, out, _ = call("status", "--json", "--config", lived_in)

    summary = json.loads(out)
    assert code == 0
    assert summary["totals"] == {"users": 2, "events": 4, "inbox": 0, "quarantine": 0}
    assert summary["release"]["versions"] == {"hello": 1}
    assert summary["journeys"]["hello"]["entered"] == 2
    assert summary["journeys"]["hello"]["sent"] == {"push": 1}
    assert summary["journeys"]["hello"]["suppressed"] == {"no_consent": 1}
    assert summary["budgets"] == [{"benefit": "gift", "total": 10, "reserved": 0, "issued": 0}]
    shown = call("status", "--config", lived_in)
    assert (shown[0], "hello" in shown[1], "push 1" in shown[1]) == (0, True, True)


def test_status_says_what_converted_counts_where_it_is_not_those_who_left_by_it(call, tmp_path):
    told = []
    for name, steps in (("left", "- {id: w, delay: 1d}"), ("after", f"- id: a\n  {PUSH}")):
        shop = Shop(tmp_path / name, journey_text(steps, entry="{event: app_opened}", goal="{event: order_paid, within: 14d}"))
        shop.post([{"id": "e", "type": "app_opened", "user_id": "u1"}])
        shop.settle(NOON + 1)
        shop.post([{"id": "o", "type": "order_paid", "user_id": "u1"}])
        shop.settle(NOON + 2)
        shop.close()
        told.append(call("status", "--config", shop.folder)[1])

    assert ["converted: whoever reached the goal" in text for text in told] == [False, True]


def test_tables_are_as_wide_as_columns_says(call, lived_in, monkeypatch):
    wide = call("status", "--config", lived_in)[1]
    monkeypatch.setenv("COLUMNS", "80")
    narrow = call("status", "--config", lived_in)[1]

    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, wide.splitlines()))


def test_explain_tells_why_one_was_written_to_and_another_was_not(call, lived_in):
    written = json.loads(call("explain", "u1", "--json", "--config", lived_in)[1])
    refused = call("explain", "u2", "--config", lived_in)

    assert [m["state"] for m in written["messages"]] == ["ACCEPTED"]
    assert [(r["journey"], r["reason"]) for r in written["refusals"]] == [("hello", "reentry")]
    assert [s["place"] for s in written["story"] if s["action"] == "sent"] == ["hello.yaml:8"]
    assert refused[0] == 0
    assert "not sent: she has not agreed to such messages on this channel" in refused[1]
    assert "was not let in: she has been inside before" in call("explain", "u1", "--config", lived_in)[1]


def test_an_unknown_user_exits_1(call, lived_in):
    code, out, err = call("explain", "nobody", "--config", lived_in)

    assert (code, out, err) == (
        1,
        "",
        "nobody is neither a user (id, former id, phone, openid or other identity) nor a message (its key, a vendor's key or id)\n",
    )


@pytest.mark.parametrize("command", [["status"], ["explain", "u1"]])
def test_without_a_database_reading_commands_say_how_to_make_one(call, folder, command):
    code, _, err = call(*command, "--config", folder)

    assert (code, "there is no database yet" in err) == (1, True)
    assert not (folder / "data").exists()


def test_schemas_are_printed(call):
    assert json.loads(call("schema")[1])["properties"]["steps"]
    assert json.loads(call("schema", "--audience")[1])["properties"]["segments"]


# ---------------------------------------------------------------------------------------------------- init


def test_init_makes_a_project_that_checks(call, tmp_path):
    code, out, _ = call("init", tmp_path / "shop")

    assert (code, "journeyd check" in out) == (0, True)
    assert call("check", "--no-tests", "--config", tmp_path / "shop")[0] == 0
    assert (tmp_path / "shop" / "secrets" / "shop").read_text().startswith("whsec_")


def test_init_refuses_a_folder_that_holds_something(call, tmp_path):
    (tmp_path / "mine").write_text("x")

    code, _, err = call("init", tmp_path)

    assert (code, "nothing was changed" in err) == (1, True)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(("language", "about"), [("en", "the daemon"), ("zh", "守护进程")])
def test_the_list_of_commands_says_what_each_does_in_the_language_that_is_asked_for(call, monkeypatch, language, about):
    monkeypatch.setenv("JOURNEYD_LANGUAGE", language)

    listed = {words[0]: words[1:] for line in call("--help")[1].splitlines() if (words := line.strip("│ ").split())}

    assert all(len(listed[name]) >= 1 for name in COMMANDS)
    assert listed["run"] == about.split()


def test_a_code_is_explained_in_the_projects_language(call, folder):
    config = folder / "config.toml"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("language")]
    config.write_text("\n".join(['language = "zh"', *lines]))

    assert "原因：" in call("check", "--explain", "J022", "--config", folder)[1]


def test_an_empty_variable_is_none(call, folder, monkeypatch):
    monkeypatch.setenv("JOURNEYD_LANGUAGE", "")

    assert call("check", "--config", folder)[0] == 0


def test_the_module_run_by_python_is_the_command():
    ran = subprocess.run([sys.executable, "-m", "runtime.cli", "chek"], capture_output=True, text=True, check=False)

    assert (ran.returncode, "check" in ran.stdout + ran.stderr) == (2, True)
