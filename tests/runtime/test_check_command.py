"""`journeyd check` as it is called: texts in two languages, data, coverage, watch, record."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.shop import AUDIENCE, CONFIG, HELLO, make_folder, write_journeys

SAID = HELLO + "tests:\n  - {name: 问候, expect: [{after: 0s, send: push, step: hello, contains: 再见}, {after: 0s, end: completed}]}\n"


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "shop", SAID)


def test_a_check_that_takes_all_from_the_last_one_starts_without_the_engine_and_the_database(folder, call):
    call("check", "--config", folder)
    heavy = ("sqlalchemy", "pydantic", "jinja2", "runtime.engine", "runtime.store", "journeys.compiled")
    again = (
        "import sys; from runtime.cli import run; run(['check', '--config', sys.argv[1]]); "
        f"print(','.join(name for name in {heavy!r} if name in sys.modules))"
    )

    ran = subprocess.run([sys.executable, "-c", again, str(folder)], capture_output=True, text=True, check=True)

    assert "J111" in ran.stdout  # what it tells with both timelines costs nothing more
    assert ran.stdout.splitlines()[-1] == ""


def test_coverage_of_a_file_with_errors_says_that_no_tests_were_run(folder, call):
    write_journeys(folder, SAID.replace("app_opened", "app_openned", 1))

    _, out, _ = call("check", "--coverage", "--config", folder)

    assert "hello: no tests were run, since the file or audience.yaml has errors\n" in out


def chinese(folder):
    (folder / "config.toml").write_text(CONFIG.replace('language = "en"', 'language = "zh"'), encoding="utf-8")


def test_a_failed_test_is_one_line_with_both_timelines_below_it(call, folder):
    code, out, _ = call("check", "--config", folder)

    lines = out.splitlines()
    at = next(n for n, line in enumerate(lines) if "J111" in line)
    assert code == 1
    assert lines[at].split(": ")[0].endswith("hello.yaml:11:25")  # the expectation, not the test
    assert (
        "test “问候” failed: expected 2026-12-01 10:00 (+0s) send push (hello) “再见”, got 2026-12-01 10:00 (+0s) send push (hello) “T / 你好”"
        in lines[at]
    )
    assert [line.strip() for line in lines[at + 1 : at + 5]] == [
        "test “问候”, from 2026-12-01 10:00:  - expected, + got",
        "- 2026-12-01 10:00  +0s  send push      hello  “再见”",
        "+ 2026-12-01 10:00  +0s  send push      hello  T / 你好",
        "2026-12-01 10:00  +0s  end completed",
    ]


def test_it_says_so_in_chinese(call, folder):
    chinese(folder)

    _, out, err = call("check", "--config", folder)

    assert "J111 测试“问候”没有通过：应是 2026-12-01 10:00 (+0s) send push (hello) “再见”，实际 " in out
    assert "测试“问候”，从 2026-12-01 10:00 开始：  - 应有，+ 实有" in out
    assert "1 个错误" in err


def test_why_is_told_below_what_came(call, folder):
    held = (
        HELLO
        + "tests:\n  - {name: 不要, given: {consents: {push: false}}, expect: [{after: 0s, send: push}, {after: 0s, end: completed}]}\n"
    )
    write_journeys(folder, held)

    _, out, _ = call("check", "--config", folder)

    assert "+ 2026-12-01 10:00  +0s  suppressed no_consent  hello" in out
    assert "2026-12-01 10:00 hello: not sent: she has not agreed to such messages on this channel" in out


def test_who_never_entered_is_told_with_the_clause(call, folder):
    refusing = SAID.replace("{event: app_opened}", "{event: order_paid, where: event.amount > 9}").replace(
        "expect:", "entry: {amount: 3}, expect:"
    )
    write_journeys(folder, refusing)

    _, out, _ = call("check", "--config", folder)

    assert "got refused: where: event.amount > 9" in out
    assert "the user never entered: where: event.amount > 9; then event.amount = 3" in out


def test_as_data_both_timelines_stand_beside_the_finding(call, folder):
    code, out, _ = call("check", "--json", "--config", folder)

    finding = next(f for f in json.loads(out) if f["code"] == "J111")
    assert code == 1
    assert (finding["test"]["name"], finding["test"]["start"], finding["test"]["refusal"]) == ("问候", "2026-12-01 10:00", None)
    assert finding["test"]["timeline"][0] == {
        "side": "expected", "at": "2026-12-01 10:00", "after": "+0s", "send": "push", "step": "hello", "text": "再见", "why": [],
    }  # fmt: skip
    assert [row["side"] for row in finding["test"]["timeline"]] == ["expected", "got", "same"]


TWO = HELLO.replace("steps:\n", "steps:\n  - id: first\n    if: user.city == '上海'\n    send: [{push: {title: T, body: 上海}}]\n")
TESTED = TWO + "tests:\n  - {name: 问候, expect: [{after: 0s, send: push, step: hello}, {after: 0s, end: completed}]}\n"


def test_a_text_that_no_test_sent_is_a_warning_at_its_step(call, folder):
    write_journeys(folder, TESTED)

    code, out, _ = call("check", "--config", folder)

    line = next(line for line in out.splitlines() if "J112" in line)
    assert code == 0
    assert line.split(": ")[0].endswith("hello.yaml:8:9")
    assert "no test sends step first" in line


ASLEEP = """tests:
  - name: 睡着的人
    at: "2026-12-01 10:00"
    user: {last_order_at: 3d ago}
    expect: [{after: 0s, send: push, step: hello}, {after: 0s, end: completed}]
  - {name: 谁都行, user: {last_order_at: 31d ago}, expect: [{after: 0s, send: push, step: hello}, {after: 0s, end: completed}]}
"""


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "test “睡着的人” begins with somebody who is not in segment dormant then (2026-12-01 10:00): {clause}"),
        ("zh", "测试“睡着的人”开始时（2026-12-01 10:00），用户不在分群 dormant 里：{clause} 不成立"),
    ],
)
def test_a_test_of_somebody_who_could_not_enter_by_the_segment_is_a_warning_at_her(call, folder, monkeypatch, language, said):
    monkeypatch.setenv("JOURNEYD_LANGUAGE", language)
    write_journeys(folder, HELLO.replace("{event: app_opened}", "{segment: dormant, existing: skip}") + ASLEEP)

    code, out, _ = call("check", "--config", folder)

    clause = "days_since(user.last_order_at) >= 30"
    assert code == 0
    assert [line.partition("hello.yaml:")[2] for line in out.splitlines() if "J116" in line] == [f"13:5: J116 {said.format(clause=clause)}"]


MONDAYS = "0 10 * * 1"
STARTS = """tests:
  - name: 周一
    at: "{at}"
    user: {{birthday: "1990-12-21"}}
    expect: [{{after: 0s, send: push, step: hello}}, {{after: 0s, end: completed}}]
"""


@pytest.mark.parametrize(
    ("entry", "at", "told"),
    [
        (f'{{schedule: "{MONDAYS}"}}', "2026-11-30 10:00", None),
        (f'{{schedule: "{MONDAYS}"}}', "2026-12-01 10:00", (MONDAYS, "2026-12-07 10:00")),
        (f'{{schedule: "{MONDAYS}"}}', "2026-11-30 10:01", (MONDAYS, "2026-12-07 10:00")),
        ('{date: user.birthday, offset: -3d, at: "09:30"}', "2026-12-18 09:30", None),
        ('{date: user.birthday, offset: -3d, at: "09:30"}', "2026-12-21 09:30", ("user.birthday", "2027-12-18 09:30")),
        ("{date: user.booked_at}", "2026-12-21 09:30", ("user.booked_at", "–")),
        ('{at: "2026-12-18 10:00"}', "2026-12-18 10:00", None),
        ('{at: "2026-12-18 10:00"}', "2026-12-17 10:00", ("2026-12-18 10:00", "2026-12-18 10:00")),
        ('{at: "2026-12-18 10:00"}', "2026-12-19 10:00", ("2026-12-18 10:00", "–")),
        ("{event: app_opened}", "2026-12-01 10:07", None),
    ],
)
def test_a_test_that_begins_when_the_journey_lets_nobody_in_is_a_warning_at_its_moment(call, folder, monkeypatch, entry, at, told):
    write_journeys(folder, HELLO.replace("{event: app_opened}", entry) + STARTS.format(at=at))
    said = {
        "en": "test “周一” begins at {at}, when nobody enters: {entry} lets in next at {next}",
        "zh": "测试“周一”从 {at} 开始，这个时刻没有人进入：按 {entry}，下一次是 {next}",
    }

    for language, text in said.items():
        monkeypatch.setenv("JOURNEYD_LANGUAGE", language)
        code, out, _ = call("check", "--config", folder)
        found = [line.partition("hello.yaml:")[2] for line in out.splitlines() if "J117" in line]
        assert (code, found) == (0, [f"12:9: J117 {text.format(at=at, entry=told[0], next=told[1])}"] if told else [])


def test_a_test_without_a_moment_of_its_own_is_not_about_the_moment(call, folder):
    write_journeys(
        folder, HELLO.replace("{event: app_opened}", f'{{schedule: "{MONDAYS}"}}') + STARTS.replace('    at: "{at}"\n', "").format()
    )

    assert "J117" not in call("check", "--config", folder)[1]


def test_a_journey_without_tests_is_not_asked_to_send_everything(call, folder):
    write_journeys(folder, TWO)

    assert "J112" not in call("check", "--config", folder)[1]


def test_coverage_tells_per_journey_what_no_test_visits(call, folder):
    steps = "steps:\n  - id: which\n    branch: [{when: user.city == '上海', steps: [{exit: local}]}]\n"
    write_journeys(folder, HELLO.replace("steps:\n", steps) + TESTED[TESTED.index("tests:") :])

    _, out, _ = call("check", "--coverage", "--config", folder)
    _, data, _ = call("check", "--coverage", "--json", "--config", folder)

    assert "hello: 3 of 5 steps and outcomes visited by 1 test" in out
    assert "which: no test takes branch 1" in out
    assert "exit local is never reached" in out
    assert json.loads(data)["coverage"] == [{
        "journey": "hello", "tests": 1, "places": 5, "visited": 3,
        "missed": [{"line": 8, "step": "which", "outcome": "case_1"}, {"line": 9, "step": "exit local", "outcome": None}],
    }]  # fmt: skip


def test_a_second_check_says_the_same_and_no_cache_leaves_nothing(call, folder):
    first = call("check", "--config", folder)
    kept = (folder / ".journeyd" / "cache" / "check.json").exists()
    second = call("check", "--config", folder)

    assert (kept, second) == (True, first)
    assert call("check", "--no-cache", "--config", folder) == first


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--watch", "--json"], "--watch looks at the whole project"),
        (["--watch", "--coverage"], "--watch looks at the whole project"),
        (["--record", "x"], "--record NAME --user USER"),
        (["--user", "u1"], "--record NAME --user USER"),
        (["--force"], "--record NAME --user USER"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(call, folder, options, said):
    code, _, err = call("check", *options, "--config", folder)

    assert (code, said in err) == (2, True)


def test_a_code_is_explained_without_a_project(call, tmp_path):
    code, out, _ = call("check", "--explain", "j113", "--config", tmp_path)
    wrong, _, err = call("check", "--explain", "J11", "--config", tmp_path)

    assert (code, out.split()[0]) == (0, "J113")
    assert (wrong, "there is no code J11" in err) == (1, True)


def test_without_a_database_there_is_no_story_to_record(call, folder):
    code, _, err = call("check", "--record", "x", "--user", "u1", "--config", folder)

    assert (code, "there is no database yet" in err) == (1, True)


def test_watching_ends_with_ctrl_c(folder):
    command = [
        sys.executable,
        "-c",
        "import sys; from runtime.cli import run; sys.exit(run(sys.argv[1:]))",
        "check",
        "--watch",
        "--config",
        str(folder),
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        shown = [running.stdout.readline() for _ in range(2)]  # it has looked, and waits
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()

    assert "J0" in shown[0] + shown[1] or "J1" in shown[0] + shown[1]
    assert (running.returncode, "Traceback" in out + err) == (130, False)


# --- what config.toml maps

MAPPED = """
[intake.sources.mini]
kind = "sensors"
events = {Open = "app_opned"}
"""


@pytest.fixture
def mapped(tmp_path):
    folder = make_folder(tmp_path / "mapped", HELLO)
    text = CONFIG + MAPPED
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return folder, text.split("\n").index('events = {Open = "app_opned"}') + 1


def test_a_mapping_to_a_name_that_is_not_declared_is_a_warning_at_its_place_in_the_config(call, mapped):
    folder, line = mapped

    code, out, err = call("check", "--config", folder)

    [config] = [told for told in out.splitlines() if "config.toml" in told.partition(" ")[0]]
    place, _, text = config.partition(" J142 ")
    assert place == f"{folder}/config.toml:{line}:11:"
    assert text == "intake.sources.mini.events.Open: audience.yaml does not declare the event “app_opned”, did you mean app_opened?"
    assert (code, "0 errors" in err) == (0, True)
    assert call("check", folder / "config.toml", "--config", folder)[1].splitlines() == [config]
    assert call("check", folder / "journeys" / "audience.yaml", "--config", folder)[1] == ""


def test_as_data_it_is_a_finding_like_all_others(call, mapped):
    folder, line = mapped

    _, out, _ = call("check", folder / "config.toml", "--config", folder, "--json")

    [told] = json.loads(out)
    text = told.pop("text")
    assert told == {"code": "J142", "severity": "warning", "file": f"{folder}/config.toml", "line": line, "column": 11}
    assert text.startswith("intake.sources.mini.events.Open: ")


def test_a_warning_about_a_mapping_keeps_nothing_from_being_applied(call, mapped):
    folder, _ = mapped

    assert call("plan", "--config", folder)[0] == call("apply", "--config", folder)[0] == 0


def test_what_is_mended_in_the_config_is_not_told_from_the_last_check(call, mapped):
    folder, _ = mapped
    first, again = (call("check", folder / "config.toml", "--config", folder)[1] for _ in range(2))
    (folder / "config.toml").write_text(CONFIG + MAPPED.replace("app_opned", "app_opened"), encoding="utf-8")

    assert first == again != ""
    assert call("check", folder / "config.toml", "--config", folder)[1] == ""


def test_what_is_declared_in_the_audience_is_not_told_from_the_last_check(call, mapped):
    folder, _ = mapped
    call("check", "--config", folder)
    write_journeys(folder, HELLO, audience=AUDIENCE.replace("app_opened: {}", "app_opened: {}\n  app_opned: {}"))

    told = call("check", folder / "config.toml", "--config", folder)[1]

    assert [line.split()[1] for line in told.splitlines()] == ["J148"]  # and then it has to be allowed


def test_a_project_that_maps_nothing_has_no_finding_of_its_config(call, folder):
    assert call("check", folder / "config.toml", "--config", folder)[1] == ""
