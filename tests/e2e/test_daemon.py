"""The daemon as an operator has it: a process, a port, a file of messages; started, used, stopped, refused."""

import asyncio
import json
import socket
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest
import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from runtime.newproject import make_project
from tests.e2e.running import PATIENCE, journeyd, running, until

RECORDS = [
    {"user_id": "u1", "traits": {"name": "李阿姨"}, "identities": {"openid": "o-1", "push_id": "p-1"}, "consents": {"wechat": {"service": True, "marketing": True}}},
    {"user_id": "u2", "identities": {"openid": "o-2"}, "consents": {"wechat": {"service": False, "marketing": False}}},
]  # fmt: skip


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project")


def rows(project, query):
    with closing(sqlite3.connect(f"file:{project}/data/journeyd.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def complaint(user_id, ticket):
    attributes = {"source": "/crm", "type": "complaint_filed", "subject": user_id, "id": ticket, "time": datetime.now(UTC)}
    return CloudEvent(attributes, {"ticket_id": ticket, "order_id": "o1", "kind": "delivery"})


def test_from_init_to_a_message_and_its_explanation(tmp_path):
    made = journeyd("init", "project", folder=tmp_path)
    project = tmp_path / "project"
    assert made.returncode == 0, made.stderr

    with running(project) as daemon:
        assert daemon.post(RECORDS, "/v1/users")["accepted"] == 2
        structured, binary = to_structured_event(complaint("u1", "t1")), to_binary_event(complaint("u2", "t2"))
        assert daemon.post(structured.body, headers=structured.headers)["accepted"] == 1
        assert daemon.post(binary.body, headers=binary.headers)["accepted"] == 1
        [message] = until(daemon.outbox, "the first message")

        assert set(message) == {"at", "key", "channel", "to", "user_id", "journey", "version", "step", "content"}
        assert (message["channel"], message["to"], message["user_id"]) == ("wechat", "o-1", "u1")
        assert (message["journey"], message["step"], message["version"]) == ("complaint_recovery", "received", 1)
        assert message["content"]["page"] == "pages/ticket?id=t1"

        told = until(lambda: _story(project, "u1", "ACCEPTED"), "the receipt")
        assert [(e["journey"], e["status"]) for e in told["enrolments"]] == [("complaint_recovery", "live")]
        sent = next(line for line in told["story"] if line["action"] == "sent")
        assert sent["place"].startswith("complaint_recovery.yaml:")

        refused = journeyd("explain", "u2", folder=project)
        assert refused.returncode == 0
        assert "not sent" in refused.stdout
        assert "WeChat: she has not agreed to such messages on this channel" in refused.stdout
        assert {m["user_id"] for m in daemon.outbox()} == {"u1"}
        assert daemon.stop()[0] == 0


def _story(project, user_id, state):
    told = json.loads(journeyd("explain", user_id, "--json", folder=project).stdout)
    return told if [m["state"] for m in told["messages"]] == [state] else None


def test_health_readiness_and_metrics(project):
    with running(project) as daemon:
        daemon.post(RECORDS, "/v1/users")
        daemon.post({"id": "c1", "type": "complaint_filed", "user_id": "u1", "data": {"ticket_id": "t1"}})
        until(daemon.outbox, "the first message")
        until(lambda: 'state="ACCEPTED"' in daemon.get("/metrics").text, "the receipt")

        assert daemon.get("/healthz").json() == {"status": "ok"}
        ready = daemon.get("/readyz")
        assert (ready.status_code, ready.json()["ready"], ready.json()["database"], ready.json()["release"]) == (200, True, True, 1)
        metrics = daemon.get("/metrics").text
        for line in (
            'journeyd_enrolments{journey="complaint_recovery",status="live"} 1.0',
            'journeyd_messages{kind="message",state="ACCEPTED"} 1.0',
            "journeyd_due_lag_seconds 0.0",
            "journeyd_inbox_notes 0.0",
            "journeyd_quarantined 0.0",
            "journeyd_users 2.0",
            'journeyd_ticks_total{tick="failed"} 0.0',
        ):
            assert line in metrics, metrics
        assert daemon.get("/").status_code == 404


def test_sigterm_answers_open_requests_and_everything_answered_is_in_the_database(project):
    with running(project) as daemon:
        bodies = [json.dumps({"id": f"e{n}", "type": "app_opened", "user_id": f"u{n % 7}"}).encode() for n in range(400)]
        sent = [(body, daemon.headers(body)) for body in bodies]
        answered, enough = [], threading.Event()

        def post(part):
            with requests.Session() as session:
                for body, headers in part:
                    try:
                        answer = session.post(daemon.address + "/v1/events", data=body, headers=headers, timeout=PATIENCE)
                    except requests.ConnectionError:
                        return
                    if answer.status_code == 200:
                        answered.append(json.loads(body)["id"])
                    if len(answered) > 40:
                        enough.set()

        threads = [threading.Thread(target=post, args=(sent[start::8],)) for start in range(8)]
        for thread in threads:
            thread.start()
        assert enough.wait(PATIENCE)
        code, seconds = daemon.stop()
        for thread in threads:
            thread.join(PATIENCE)

    assert (code, seconds < 5) == (0, True)
    assert len(answered) > 40
    kept = {row[0] for row in rows(project, "SELECT event_id FROM events")}
    assert set(answered) <= kept
    assert daemon.log()[-1]["action"] == "stopped"


def test_sigterm_does_not_wait_for_a_request_that_never_ends(project):
    with running(project) as daemon, socket.create_connection(("127.0.0.1", daemon.port)) as slow:
        slow.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        daemon.get("/healthz")

        code, seconds = daemon.stop()

    assert (code, seconds < 5) == (0, True)
    assert "Traceback" not in daemon.errors.read_text()


def test_a_second_daemon_on_the_same_file_is_refused_with_the_pid_of_the_first(project):
    with running(project) as daemon:
        second = journeyd("run", folder=project, JOURNEYD_SERVER__PORT="0")

        assert second.returncode == 1
        assert f"is in use by another journeyd (process {daemon.process.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        assert daemon.get("/readyz").status_code == 200


@pytest.mark.parametrize("damage", ["whole", "page"])
def test_a_damaged_database_is_refused_and_left_as_it_is(project, damage):
    with running(project) as daemon:
        daemon.stop()
    file = project / "data" / "journeyd.db"
    raw = bytearray(file.read_bytes())
    if damage == "whole":
        raw = bytearray(b"this was a database once\n" * 1000)
    else:
        raw[3 * 4096 : 7 * 4096] = b"\xa5" * (4 * 4096)
    file.write_bytes(raw)

    refused = journeyd("run", folder=project, JOURNEYD_SERVER__PORT="0")

    assert refused.returncode == 1
    assert "restore your latest backup into its place; the file was left as it is" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert file.read_bytes() == bytes(raw)


def test_a_taken_port_is_said_plainly(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        refused = journeyd("run", folder=project, JOURNEYD_SERVER__PORT=str(port))

    assert refused.returncode == 1
    assert str(port) in refused.stderr
    assert "is the port taken?" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_rebuild_goes_through_the_running_daemon(project):
    with running(project) as daemon:
        daemon.post([{"id": "e1", "type": "order_paid", "user_id": "u1", "data": {"amount": 10}}])
        checked = until(lambda: _checked(project), "the event is projected")
        daemon.stop()

    assert checked == {"users": 1, "differing": 0, "renewed": 0, "differences": [], "unreadable": [], "after": "u1"}


def _checked(project):
    done = journeyd("rebuild", "--check", "--json", folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    return found if found["users"] else None


def test_run_with_changed_files_warns_and_apply_goes_through_the_running_daemon(project):
    with running(project) as daemon:
        assert "nothing was applied yet: applied the files as release 1" in daemon.errors.read_text()
        unchanged = journeyd("apply", "--json", folder=project)
        assert {**json.loads(unchanged.stdout), "digest": ""} == {"outcome": "unchanged", "release": 1, "digest": ""}
        daemon.stop()
    welcome = project / "journeys" / "welcome.yaml"
    welcome.write_text(welcome.read_text().replace("priority:", "priority: ", 1))

    with running(project) as daemon:
        assert "the files differ from release 1, which stays in force" in daemon.errors.read_text()
        assert daemon.get("/readyz").json()["release"] == 1

        applied = journeyd("apply", "-m", "spaces", "--json", folder=project)
        told = json.loads(applied.stdout)
        assert (told["outcome"], told["release"], told["changed"], told["gone"], told["inside"]) == ("applied", 2, ["welcome"], [], {})
        until(lambda: daemon.get("/readyz").json()["release"] == 2, "the daemon takes the new release")

        welcome.write_text("id: welcome\nstepz: []\n")
        refused = journeyd("apply", folder=project)
        assert refused.returncode == 1
        assert "welcome.yaml:2:1" in refused.stdout
        assert "unknown key stepz" in refused.stdout
        assert daemon.get("/readyz").json()["release"] == 2
        status = json.loads(journeyd("status", "--json", folder=project).stdout)
        assert (status["release"]["id"], status["release"]["message"]) == (2, "spaces")
        daemon.stop()

    with running(project) as daemon:
        assert "errors (`journeyd check`); release 2 stays in force" in daemon.errors.read_text()


def test_an_edit_with_somebody_inside_is_planned_applied_and_paused_through_the_running_daemon(project):
    with running(project) as daemon:
        daemon.post(RECORDS, "/v1/users")
        daemon.post(
            {"id": "c1", "type": "complaint_filed", "user_id": "u1", "data": {"ticket_id": "t1", "order_id": "o1", "kind": "quality"}}
        )
        until(daemon.outbox, "the first message")
        until(lambda: _story(project, "u1", "ACCEPTED"), "the receipt")
        file = project / "journeys" / "complaint_recovery.yaml"
        file.write_text(file.read_text().replace("timeout: ", "timeout: 1", 1), encoding="utf-8")

        plan = json.loads(journeyd("plan", "--json", "--in-flight", "complaint_recovery=move", folder=project).stdout)
        [journey] = plan["journeys"]
        assert (journey["what"], journey["inside"][0]["n"], journey["inside"][0]["fates"]) == ("changed", 1, {"moves": 1})

        paused = journeyd("pause", "complaint_recovery", "-m", "wrong text", folder=project)
        assert paused.returncode == 0, paused.stderr
        edit = ["--plan", plan["plan"], "--in-flight", "complaint_recovery=move", "-m", "longer"]
        refused = journeyd("apply", *edit, folder=project)
        assert (refused.returncode, "J111" in refused.stdout) == (1, True)  # the file's own tests tell of the wait as it was
        applied = journeyd("apply", *edit, "--no-tests", folder=project)
        assert applied.returncode == 0, applied.stderr
        until(lambda: "moved" in [line["action"] for line in _story(project, "u1", "ACCEPTED")["story"]], "the move")

        status = json.loads(journeyd("status", "--json", folder=project).stdout)
        assert [(p["journey"], p["reason"]) for p in status["journeys_paused"]] == [("complaint_recovery", "wrong text")]
        resumed = journeyd("pause", "complaint_recovery", "--resume", "--json", folder=project)
        assert json.loads(resumed.stdout)["journeys"] == [{"journey": "complaint_recovery", "outcome": "resumed", "due": 0, "late": 0}]
        wrong = journeyd("apply", "--no-tests", "--in-flight", "complaint=move", folder=project)
        assert (wrong.returncode, wrong.stderr.strip()) == (
            2, "--in-flight: there is no journey complaint, did you mean complaint_recovery?",
        )  # fmt: skip


def test_run_without_a_release_refuses_files_with_errors(project):
    (project / "journeys" / "welcome.yaml").write_text("id: welcome\n")

    refused = journeyd("run", folder=project, JOURNEYD_SERVER__PORT="0")

    assert refused.returncode == 1
    assert "welcome.yaml" in refused.stderr
    assert "nothing is applied yet, and these files cannot be" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_socket_refuses_what_it_does_not_know(project):
    async def ask(line):
        reader, writer = await asyncio.open_unix_connection(str(project / "data" / "journeyd.db.sock"))
        writer.write(line)
        answer = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return answer

    with running(project) as daemon:
        assert (project / "data" / "journeyd.db.sock").stat().st_mode & 0o777 == 0o700

        assert asyncio.run(ask(b"nonsense\n")) == {"error": "expected one line of JSON"}
        assert asyncio.run(ask(b'{"command": "drop"}\n')) == {"error": "unknown command drop"}
        assert asyncio.run(ask(b"[1]\n")) == {"error": "expected one line of JSON"}
        assert daemon.get("/readyz").status_code == 200
        assert daemon.stop()[0] == 0
    assert not (project / "data" / "journeyd.db.sock").exists()
