"""200 × SIGKILL of the daemon while 2,000 users walk through short-timer journeys, on each database; then the audit."""

import pytest

from tests import postgres
from tests.prove import kill_loop

KILLS, USERS = 200, 2000


@pytest.mark.prove
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_everything_ends_as_it_does_without_kills(database, tmp_path, request, capsys):
    def new_url(name):
        if database == "sqlite":
            return f"sqlite:///{tmp_path}/{name}.db"
        return postgres.new_database(request.getfixturevalue("postgres_url"))

    control = kill_loop.run_control(tmp_path / "control", new_url("control"), USERS, 600)
    url = new_url("killed")
    killed = kill_loop.run_killed(tmp_path / "killed", url, USERS, KILLS, 600)
    run = kill_loop.outcome_of(tmp_path / "killed", url)
    found = kill_loop.differences(run, control)
    text = kill_loop.report(database, killed, run, found)
    with capsys.disabled():
        print("\n" + text)
    assert killed.total == KILLS
    assert killed.engine_inside >= KILLS * 0.3, text
    assert not found, text
