"""Entry by call against a running daemon: from the signed request to the message and its explanation."""

import json

import pytest
import requests

from runtime.newproject import make_project
from tests.e2e.running import PATIENCE, journeyd, running, until

JOURNEY = """id: thanks
name: 感谢
owner: shop@example.com
status: live
purpose: service
priority: 50
entry: {api: true}
steps:
  - id: note
    send: [{push: {title: 谢谢, body: "{{ entry.words }}"}}]
tests: []
"""


@pytest.fixture
def project(tmp_path):
    folder = make_project(tmp_path / "project")
    (folder / "journeys" / "thanks.yaml").write_text(JOURNEY, encoding="utf-8")
    return folder


def test_a_call_lets_somebody_in_who_gets_a_message_and_explain_says_why(project):
    user = {"user_id": "u1", "identities": {"push_id": "p-1"}, "consents": {"push": {"service": True, "marketing": True}}}
    path = "/v1/journeys/thanks/enrolments"

    with running(project) as daemon:
        assert daemon.post(user, "/v1/users")["accepted"] == 1
        answers = [daemon.post({"user_id": "u1", "data": {"words": "好邻居"}, "id": "c1"}, path) for _ in range(2)]
        assert [(a["accepted"], a["duplicates"]) for a in answers] == [(1, 0), (0, 1)]

        [message] = until(daemon.outbox, "the message")
        assert (message["user_id"], message["journey"], message["content"]["body"]) == ("u1", "thanks", "好邻居")
        body = b'{"user_id": "u1"}'
        refused = requests.post(
            f"{daemon.address}/v1/journeys/complaint_recovery/enrolments", data=body, headers=daemon.headers(body), timeout=PATIENCE
        )
        assert (refused.status_code, refused.json()["error"]) == (409, "not_by_call")
        assert path.replace("thanks", "{journey}") in daemon.get("/openapi.json").json()["paths"]

        told = journeyd("explain", "u1", "--json", folder=project)
        entered = next(line for line in json.loads(told.stdout)["story"] if line["action"] == "entered")
        assert "by call" in json.dumps(entered) or '"api"' in json.dumps(entered)
