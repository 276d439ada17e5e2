"""The demo: the town lives through the real engine, and the database it leaves works."""

import json

import pytest

from runtime.cli import run


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "demo.db"


def test_three_days_of_the_town_leave_a_database_that_can_be_asked(lived, capsys):
    assert run(["demo", "--days", "3", "--json", "--database", str(lived)]) == 0
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
