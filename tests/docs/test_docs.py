"""The READMEs are true: every command stands in them, every command line in them works, every key of config is known."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from runtime.checking import Checker
from runtime.cli import cli, run
from runtime.newproject import TEMPLATE, make_project
from runtime.settings import load_project

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
QUICK = {"check", "apply", "graph", "schema", "status", "init", "doctor", "send-test", "quarantine"}


def commands():
    return [name for name in cli if not name.startswith("-")]


def lines_of(readme):
    """Every command line of the fenced sh blocks, continued lines joined, comments cut."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line.removeprefix("$ "), comments=True))]


def parts_of(readme):
    """The commands of these lines, `a && b` and `a | b` taken apart."""
    found = []
    for words in lines_of(readme):
        part = []
        for word in [*words, "&&"]:
            if word in {"&&", "||", "|", ";", "&", ">", "<"}:
                found += [part] if part else []
                part = []
            else:
                part.append(word)
    return found


@pytest.mark.parametrize("readme", READMES)
def test_every_command_stands_in_the_readme(readme):
    text = (ROOT / readme).read_text(encoding="utf-8")

    missing = [name for name in commands() if f"journeyd {name}" not in text and f"`{name}" not in text]

    assert missing == []


@pytest.mark.parametrize("name", commands())
def test_every_command_says_what_it_does(name, capsys):
    assert run([name, "--help"]) == 0

    help_text = capsys.readouterr().out
    assert f"journeyd {name}" in help_text
    assert cli[name].help


@pytest.mark.parametrize("readme", READMES)
def test_every_make_target_of_the_readme_exists(readme):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    used = {word for words in parts_of(readme) if words[0] == "make" for word in words[1:] if "=" not in word}

    assert used <= targets
    assert {"demo", "test"} <= used


def journeyd_lines(readme):
    return [words[1:] for words in parts_of(readme) if words[0].rsplit("/", 1)[-1] == "journeyd"]


@pytest.mark.parametrize("readme", READMES)
def test_every_journeyd_line_of_the_readme_can_be_parsed(readme):
    lines = journeyd_lines(readme)

    assert lines
    for words in lines:
        command, bound, _ = cli.parse_args(words, exit_on_error=False, print_error=False)
        assert command is not None, words
        assert bound is not None


def inline_lines(readme):
    """The commands that stand within sentences and tables, ours only."""
    text = re.sub(r"^```.*?^```", "", (ROOT / readme).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for line in re.findall(r"`journeyd ([^`]+)`", text)]


@pytest.mark.parametrize("readme", READMES)
def test_every_journeyd_line_within_a_sentence_of_the_readme_can_be_parsed(readme):
    lines = inline_lines(readme)

    assert len(lines) > 20
    for words in lines:
        assert cli.parse_args(words, exit_on_error=False, print_error=False)[0] is not None, words


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A project with two of the shipped journeys, and the town long enough for somebody to have left the first."""
    project = make_project(tmp_path_factory.mktemp("town") / "shop")
    for shipped in (project / "journeys").glob("*.yaml"):
        if shipped.stem not in ("audience", "win_back_30d", "ab_winback_offer"):
            shipped.unlink()
    assert run(["demo", "--days", "36", "--config", str(project), "--database", str(project / "data" / "demo.db")]) == 0
    return project


@pytest.mark.parametrize("readme", READMES)
def test_the_line_that_records_a_story_works_for_those_whom_the_readme_names(readme, town, capsys, monkeypatch):
    monkeypatch.chdir(town)
    words = next(words for words in inline_lines(readme) if {"--record", "--journey"} <= set(words))
    name, user = words[words.index("--record") + 1], words.index("--user") + 1
    assert run(["explain", "--json", *words[user + 1 :]]) == 0
    listed = json.loads(capsys.readouterr().out)["enrolments"]
    over = [row["user_id"] for row in listed if row["status"] == "ended" and row["got"]]

    codes = [run([*words[:user], one, *words[user + 1 :]]) for one in over[:2]]

    assert words[user] in ("USER", "用户")
    assert 0 in codes, capsys.readouterr()
    assert name in (town / "journeys" / "win_back_30d.yaml").read_text(encoding="utf-8")


def test_the_readmes_say_the_same_lines_but_for_the_words_of_a_message():
    """So that running those of one is running those of both."""
    english, chinese = (journeyd_lines(readme) for readme in READMES)

    different = [(a, b) for a, b in zip(english, chinese, strict=True) if a != b]

    assert [a[:2] + a[3:] for a, _ in different] == [b[:2] + b[3:] for _, b in different]
    assert all(a[:2] == ["apply", "-m"] for a, _ in different)


def test_the_quick_lines_of_the_readme_work_in_a_new_project(tmp_path, capsys):
    project = make_project(tmp_path / "project")
    assert run(["apply", "--config", str(project)]) == 0

    for words in journeyd_lines(READMES[0]):
        if words and words[0] in QUICK - {"init"}:
            about_files = [word for word in words if word.endswith((".db", ".yaml"))]
            if not about_files and "--config" not in words and "-c" not in words:
                more = [] if words[0] == "schema" else ["--config", str(project)]
                more += ["--no-tests"] if words[0] == "check" else []  # the definitions' own tests run elsewhere
                code = run([*words, *more])
                out = capsys.readouterr()
                assert code == 0, (words, out.err)


def test_the_import_lines_of_the_readme_take_files_with_those_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path / "project"))
    Path("users.csv").write_bytes("user_id,手机号,会员等级\nu1,13900000001,gold\n".encode("gb18030"))
    Path("orders.csv").write_text("订单号,用户,下单时间,amount\nA1,u1,2025/1/5 9:03,39.9\n", encoding="utf-8")

    for words in (words for words in journeyd_lines(READMES[0]) if words[:1] == ["import"]):
        assert run(words) == 0, words
        assert " 1 " in capsys.readouterr().out


def test_every_journeyd_line_of_the_recorded_loop_can_be_parsed():
    recorded = (ROOT / "docs" / "loop.md").read_text(encoding="utf-8")

    lines = re.findall(r"^\$ journeyd (.*)$", recorded, re.MULTILINE)

    assert len(lines) > 15
    for line in lines:
        assert cli.parse_args(shlex.split(line), exit_on_error=False, print_error=False)[0] is not None, line


def test_the_marketers_lines_of_the_readme_work_on_a_town_and_a_file_of_orders(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path / "shop"))
    Path("orders.csv").write_text("id,type,user_id,time,amount\no1,order_paid,u1,2026-01-05T09:03:00+08:00,39.9\n", encoding="utf-8")
    assert run(["demo", "--days", "2"]) == 0
    assert run(["apply", "--no-tests"]) == 0

    for words in journeyd_lines(READMES[0]):
        if words[0] in {"simulate", "plan", "releases"} or "data/demo.db" in words[1:]:
            code = run(words)
            assert code == 0, (words, capsys.readouterr().err)

    assert "</html>" in Path("report.html").read_text(encoding="utf-8")


def test_the_shipped_config_is_known_key_by_key():
    assert load_project(TEMPLATE).settings.policy.quiet_hours == "21:00-09:00"


def test_the_config_of_the_repository_is_the_shipped_one_but_for_the_path_of_the_definitions():
    ours = tomllib.loads((ROOT / "config.toml").read_text(encoding="utf-8"))
    shipped = tomllib.loads((TEMPLATE / "config.toml").read_text(encoding="utf-8"))

    assert ours.pop("definitions") == {"path": "journeys/definitions"}
    assert shipped.pop("definitions") == {"path": "journeys"}
    assert ours == shipped
    different = [
        (a, b)
        for a, b in zip(
            (ROOT / "config.toml").read_text(encoding="utf-8").splitlines(),
            (TEMPLATE / "config.toml").read_text(encoding="utf-8").splitlines(),
            strict=True,
        )
        if a != b
    ]
    assert different == [('path = "journeys/definitions"', 'path = "journeys"')]


def test_the_journey_on_the_page_about_writing_journeys_passes_check_and_its_test(tmp_path):
    page = (ROOT / "docs" / "journeys.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    project = make_project(tmp_path / "shop")
    for shipped in (project / "journeys").glob("*.yaml"):  # their tests run elsewhere
        if shipped.name != "audience.yaml":
            shipped.unlink()
    (project / "journeys" / "ask_review.yaml").write_text(example, encoding="utf-8")

    checked = Checker(project, keep=False, workers=1).check()

    assert [f.line() for f in checked.findings] == []
    assert checked.tests


PAGES = sorted((ROOT / "docs" / "channels").glob("*.md"))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "sources.md"], ids=lambda page: page.stem)
def test_every_config_on_a_page_is_known_key_by_key(page, tmp_path):
    snippets = re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)

    assert snippets
    for number, snippet in enumerate(snippets):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.toml").write_text(snippet, encoding="utf-8")
        load_project(folder)


def test_every_adapter_has_a_page():
    index = (ROOT / "docs" / "channels" / "README.md").read_text(encoding="utf-8")
    named = {name for page in PAGES for name in re.findall(r'adapter = "([a-z]+)"', page.read_text(encoding="utf-8"))}

    adapters = {"subscribe", "aliyun", "tencent", "twilio", "jpush", "fcm", "app", "wecom", "smtp", "wechatpay", "http"}
    assert adapters <= named
    assert all(f"({page.name})" in index for page in PAGES if page.name != "README.md")
