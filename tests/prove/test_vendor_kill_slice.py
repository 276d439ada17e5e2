"""A small slice of the kill loop against vendors, in every run of the tests: a few kills on each database, side by side."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import postgres
from tests.prove import vendor_audit
from tests.prove.vendor_kill_loop import Loop
from tests.prove.vendors import Vendors

KILLS, USERS = 5, 60
SHORT = ("--lease", "4000", "--look-until", "9000")  # the real ones take minutes to settle the last doubt; longer than a zombie sleeps


@pytest.mark.timeout(150)
def test_a_few_kills_lose_nothing_and_double_nothing(tmp_path, postgres_url, capsys):
    urls = {"sqlite": (f"sqlite:///{tmp_path}/town.db", 1), "postgresql": (postgres.new_database(postgres_url), 2)}

    def run(name):
        url, daemons = urls[name]
        with Vendors() as vendors:
            loop = Loop(tmp_path / name, url, USERS, vendors, daemons, SHORT, stopped=5.0)
            return vendor_audit.prove(loop, name, KILLS, daemons - 1, 60)

    with ThreadPoolExecutor(2) as pool:
        for summary in pool.map(run, urls):
            with capsys.disabled():
                print("\n" + summary.text)
            assert summary.kills == KILLS
            assert not summary.audit.failings, summary.text
            assert summary.audit.abandoned <= summary.audit.interrupted
