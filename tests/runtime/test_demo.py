"""The demo: the town lives through the real engine, and the database it leaves works."""

import json

import pytest

from runtime.cli import run


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "demo.db"


def test_three_days_of_the_town_leave_a_database_that_can_be_asked(lived, capsys):
    assert run(["demo", "--days", "3", "--json", "--database", str(lived), "--config", str(lived.parent)]) == 0
    told = json.loads(capsys.readouterr().out)

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
    assert (list(json.loads(told.out)["journeys"]), f"1 journey of {project}" in told.err) == (["welcome"], True)

    assert run(["plan", "--json", "--database", url, "--config", str(project)]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] is False


def test_a_project_with_errors_is_told_so_before_the_town_begins(project, capsys):
    (project / "journeys" / "welcome.yaml").write_text("id: welcome\n")

    assert run(["demo", "--days", "3", "--database", str(project / "demo.db"), "--config", str(project)]) == 1

    assert "nothing can run with these files" in capsys.readouterr().err
    assert not (project / "demo.db").exists()
