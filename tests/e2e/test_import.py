"""Importing beside a running daemon: through its socket, killed and begun again, stopped with Ctrl-C; nobody is messaged."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing

from runtime.newproject import make_project
from tests.e2e.running import JOURNEYD, PATIENCE, journeyd, running, surroundings, until

ROWS = 4000


def value(project, query):
    with closing(sqlite3.connect(f"file:{project}/data/journeyd.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchone()[0]


def test_an_import_goes_through_the_running_daemon_survives_its_own_death_and_messages_nobody(tmp_path):
    project = make_project(tmp_path / "project")
    lines = "".join(f"A{n},u{n % 50},2025/{n % 12 + 1}/{n % 28 + 1} 9:03,{n % 90 + 1}\n" for n in range(ROWS))
    (project / "订单.csv").write_bytes(("订单号,用户,下单时间,amount\n" + lines).encode("gb18030"))
    (project / "users.jsonl").write_text(
        "".join(
            json.dumps(
                {"user_id": f"u{n}", "identities": {"openid": f"o{n}"}, "consents": {"wechat": {"service": True, "marketing": True}}}
            )
            + "\n"
            for n in range(50)
        )
    )
    orders = [
        "import",
        "events",
        "订单.csv",
        "--type",
        "order_paid",
        "--map",
        "订单号=order_id",
        "--map",
        "用户=user_id",
        "--map",
        "下单时间=time",
    ]

    with running(project) as daemon:
        assert journeyd("import", "users", "users.jsonl", folder=project).returncode == 0
        for signal_number, enough in ((signal.SIGKILL, 1000), (signal.SIGINT, 2000)):
            with subprocess.Popen([*JOURNEYD, *orders], cwd=project, env=surroundings({}), stderr=subprocess.PIPE, text=True) as importer:
                until(
                    lambda enough=enough: value(project, "SELECT coalesce(max(rows), 0) FROM imports WHERE kind = 'events'") >= enough,
                    "some chunks",
                )
                importer.send_signal(signal_number)
                _, said = importer.communicate(timeout=PATIENCE)
            if signal_number == signal.SIGINT:
                assert importer.returncode == 130, said
                assert "订单.csv: stopped after row" in said
        done = journeyd(*orders, "--json", folder=project)
        assert done.returncode == 0, done.stderr
        [counts] = json.loads(done.stdout)["files"]
        assert (counts["rows"], counts["accepted"], counts["duplicates"], counts["resumed_at"] >= 2000) == (ROWS, ROWS, 0, True)
        assert "goes on after row" in done.stderr

        until(lambda: daemon.get("/metrics").text.count("journeyd_inbox_notes 0.0"), "the inbox is worked off")
        until(lambda: value(project, "SELECT count(*) FROM users WHERE stage <> ''") == 50, "the users are looked at")
        daemon.post({"id": "bad", "type": 7})
        retried = journeyd("quarantine", "retry", "1", folder=project)
        assert (retried.returncode, retried.stdout) == (1, "1: type: expected a text of 1 to 256 characters\n")
        assert journeyd("quarantine", "drop", "1", folder=project).returncode == 0
        assert value(project, "SELECT count(*) FROM quarantine") == 0
        assert daemon.outbox() == []
        assert daemon.stop()[0] == 0

    assert value(project, "SELECT count(*) FROM events WHERE history AND type = 'order_paid'") == ROWS
    assert value(project, "SELECT count(*) FROM enrolments") == 0
