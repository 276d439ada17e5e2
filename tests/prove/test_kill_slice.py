"""A small slice of the kill loop, in every run of the tests: a few kills on each database, side by side."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import postgres
from tests.prove import kill_loop

KILLS, USERS = 5, 60


@pytest.mark.timeout(180)
def test_a_few_kills_change_nothing(tmp_path, postgres_url):
    urls = {"sqlite": f"sqlite:///{tmp_path}/killed.db", "postgresql": postgres.new_database(postgres_url)}
    with ThreadPoolExecutor(3) as pool:
        undisturbed = pool.submit(kill_loop.run_control, tmp_path / "control", f"sqlite:///{tmp_path}/control.db", USERS, 60)
        loops = {name: pool.submit(kill_loop.run_killed, tmp_path / name, url, USERS, KILLS, 60, patience=6) for name, url in urls.items()}
        control = undisturbed.result()
        for name, loop in loops.items():
            killed = loop.result()
            run = kill_loop.outcome_of(tmp_path / name, urls[name])
            found = kill_loop.differences(run, control)
            text = kill_loop.report(name, killed, run, found)
            print(text)
            assert not found, text
            assert killed.total == KILLS
            assert killed.inside >= 1, text
