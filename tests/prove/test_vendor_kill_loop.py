"""500 × SIGKILL of the daemon while it talks to stand-in vendors, 250 on each database, on PostgreSQL with 50 zombies as well.

Then the same loop with planted bugs: it must say what each of them does.
"""

import os

import pytest

from tests import postgres
from tests.prove import vendor_audit
from tests.prove.vendor_kill_loop import Loop
from tests.prove.vendors import Vendors

KILLS, ZOMBIES, USERS = (int(os.environ.get(name, given)) for name, given in (("KILLS", 250), ("ZOMBIES", 50), ("USERS", 4000)))
PATIENCE = 600  # seconds after the last kill: Aliyun is asked for four minutes what became of an attempt
SHORT = ("--lease", "4000", "--look-until", "9000")  # longer than a zombie sleeps: woken, it may still send


@pytest.mark.prove
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost_doubled_or_claimed_wrongly(database, tmp_path, request, capsys):
    on_sqlite = database == "sqlite"
    url = f"sqlite:///{tmp_path}/town.db" if on_sqlite else postgres.new_database(request.getfixturevalue("postgres_url"))
    with Vendors() as vendors:
        loop = Loop(tmp_path / "town", url, USERS, vendors, daemons=1 if on_sqlite else 2)
        summary = vendor_audit.prove(loop, database, KILLS, 0 if on_sqlite else ZOMBIES, PATIENCE)
    with capsys.disabled():
        print("\n" + summary.text)
    assert summary.kills == KILLS
    assert not summary.audit.failings, summary.text
    assert summary.audit.abandoned <= summary.audit.interrupted
    assert summary.inside >= KILLS * 0.3, summary.text
    assert summary.resumed.first, "nobody was left alone after a kill: nothing was measured"
    assert vendor_audit.percentile(summary.resumed.first, 0.99) <= 15, summary.text


PLANTED = {
    "send_then_record": ("sqlite", 30, 0, {"double"}),
    "late_answer_dropped": ("sqlite", 20, 0, {"unsettled"}),
    "no_token": ("postgresql", 20, 10, {"double", "contradiction", "unsettled", "lost"}),
}


@pytest.mark.prove
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(bug, tmp_path, request, capsys):
    database, kills, zombies, expected = PLANTED[bug]
    url = f"sqlite:///{tmp_path}/town.db" if database == "sqlite" else postgres.new_database(request.getfixturevalue("postgres_url"))
    with Vendors() as vendors:
        daemons = 1 if database == "sqlite" else 2
        loop = Loop(tmp_path / "town", url, 20 * kills, vendors, daemons, (*SHORT, "--bug", bug), stopped=6.0)
        summary = vendor_audit.prove(loop, f"{database}, planted: {bug}", kills, zombies, 60)
    with capsys.disabled():
        print("\n" + summary.text)
    assert expected & {kind for kind, texts in summary.audit.found.items() if texts}, summary.text
