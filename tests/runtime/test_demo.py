"""The demo: the town lives through the real engine, and the database it leaves works."""

import json
import re

import pytest

from runtime.cli import run


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "demo.db"


def test_three_days_of_the_town_leave_a_database_that_can_be_asked(lived, capsys):
    assert run(["demo", "--days", "3", "--json", "--database", str(lived), "--config", str(lived.parent)]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)

    first = f"the town lives with the 22 journeys that come with journeyd: there is no {lived.parent}/config.toml"
    assert said.err.splitlines()[0] == first
    assert (told["users"] > 200, told["events"] > 100, set(told)) == (True, True, {"journeys", "events", "users", "stories"})
    assert sum(row["entered"] for row in told["journeys"].values()) > 20
    assert sum(sum(row["sent"].values()) for row in told["journeys"].values()) > 5

    assert run(["status", "--json", "--database", str(lived), "--config", str(lived.parent)]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["journeys"] == told["journeys"]
    assert (status["totals"]["inbox"], status["totals"]["quarantine"]) == (0, 0)

    for user_id in told["stories"]:
        assert run(["explain", user_id, "--database", str(lived), "--config", str(lived.parent)]) == 0
        assert user_id in capsys.readouterr().out


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    assert run(["init", str(folder)]) == 0
    for file in (folder / "journeys").glob("*.yaml"):
        if file.stem not in ("audience", "welcome"):
            file.unlink()
    return folder


def test_in_a_project_the_town_lives_with_its_journeys_whose_lines_are_those_of_its_files(project, capsys):
    text = (project / "journeys" / "welcome.yaml").read_text()
    (project / "journeys" / "welcome.yaml").write_text("# ours\n" + text)
    url = str(project / "demo.db")

    assert run(["demo", "--days", "3", "--json", "--database", url, "--config", str(project)]) == 0
    told = capsys.readouterr()
    assert list(json.loads(told.out)["journeys"]) == ["welcome"]
    assert told.err.splitlines()[0] == f"the town lives with the 1 journey of this project ({project}/journeys)"

    assert run(["plan", "--json", "--database", url, "--config", str(project)]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] is False


def test_a_project_with_errors_is_told_so_before_the_town_begins(project, capsys):
    (project / "journeys" / "welcome.yaml").write_text("id: welcome\n")

    assert run(["demo", "--days", "3", "--database", str(project / "demo.db"), "--config", str(project)]) == 1

    assert re.fullmatch(r".+/journeys: \d+ errors?, nothing can run .+ the first: .*welcome\.yaml:1:\d+: J.+\n", capsys.readouterr().err)
    assert not (project / "demo.db").exists()


def test_the_projects_own_database_is_not_made_anew_by_a_demo(project, capsys):
    own = project / "data" / "journeyd.db"
    assert run(["apply", "--no-tests", "--config", str(project)]) == 0
    before = own.read_bytes()

    assert run(["demo", "--days", "1", "--database", str(own), "--config", str(project)]) == 2

    assert "is the project's own database" in capsys.readouterr().err
    assert own.read_bytes() == before
