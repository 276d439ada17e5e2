"""200 × SIGKILL of the daemon while 2,000 users walk through short-timer journeys, on each database; then the audit."""

import pytest

from tests.prove import kill_loop

KILLS, USERS = 200, 2000


@pytest.mark.prove
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_everything_ends_as_it_does_without_kills(database, tmp_path, request, capsys):
    server = request.getfixturevalue("postgres_url") if database == "postgresql" else ""
    urls = [kill_loop.new_url(database, tmp_path, name, server) for name in ("control", "killed")]
    proof = kill_loop.prove(tmp_path, urls, USERS, KILLS, seconds=600)
    with capsys.disabled():
        print("\n" + proof.text(database))
    assert not proof.feeder.problems
    assert proof.killed.total == KILLS
    assert proof.killed.engine_inside >= KILLS * 0.3
    assert not proof.found, proof.text(database)
