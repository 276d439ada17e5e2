"""A small slice of the kill loop, in every run of the tests: 10 kills and 100 users on each database."""

import pytest

from tests.prove import kill_loop


@pytest.mark.timeout(180)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_ten_kills_change_nothing(database, tmp_path, request):
    server = request.getfixturevalue("postgres_url") if database == "postgresql" else ""
    urls = [kill_loop.new_url(database, tmp_path, name, server) for name in ("control", "killed")]
    proof = kill_loop.prove(tmp_path, urls, users=100, kills=10, seconds=60)
    print(proof.text(database))
    assert not proof.feeder.problems
    assert not proof.found, proof.text(database)
    assert proof.killed.inside >= 3
