import asyncio
import json
import socket

import pytest
import requests

from channels.http import Answer, Http, Lost
from channels.loopback.server import FAULTS, Behaviour, Loopback, Response, Vendor


class Counter(Vendor):
    """Takes every POST."""

    name = "counter"

    def answer(self, request):
        if request.path == "/broken":
            return Response(200, request.form())
        if request.method == "GET":
            return Response(200, {"asked": request.query, "agent": request.headers["user-agent"]})
        return Response(200, {"reference": self.take(request.query.get("key", ""), "", {"body": request.body.decode()})})


@pytest.fixture
def server():
    with Loopback(Counter()) as running:
        yield running


def post(server, path="/send?key=k1", body=b"hello"):
    return Http(server.url, timeout=0.3).request("POST", path, body=body)


def test_it_answers_and_keeps_the_truth(server):
    answer = post(server)

    assert (answer.status, answer.json()) == (200, {"reference": "counter-1"})
    assert [(t.key, t.content) for t in server.vendor.taken] == [("k1", {"body": "hello"})]


def test_one_connection_carries_many_requests(server):
    with requests.Session() as session:
        answers = [session.post(f"{server.url}/send?key={n}", data=b"x").json()["reference"] for n in range(50)]

    assert answers == [f"counter-{n}" for n in range(1, 51)]


def test_a_query_is_decoded_and_headers_are_lower_case(server):
    answer = Http(server.url).request("GET", "/?name=%E6%9E%97&empty=")

    assert answer.json() == {"asked": {"name": "林", "empty": ""}, "agent": "journeyd"}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_what_it_is_called(server, fault):
    server.behaviour = Behaviour(faults={fault: 1.0})

    answer = post(server)

    assert len(server.vendor.taken) == fault.startswith("accept_then_")
    assert server.struck == {fault: 1}
    expected = {"cut": Lost, "hang": Lost, "huge": Lost}.get(fault.removeprefix("accept_then_"), Answer)
    assert type(answer) is expected
    if fault == "unavailable":
        assert answer.status == 503
    if fault == "flow_control":
        assert (answer.status, answer.retry_after(0)) == (429, 1_000)
    if fault == "accept_then_half":
        assert b'{"reference": "counter-1"}'.startswith(answer.body)
        assert answer.json() is None
    if fault.endswith("nothing"):
        assert answer.body == b""


def test_faults_strike_sends_and_nothing_else(server):
    server.behaviour = Behaviour(faults={"cut": 1.0})

    assert Http(server.url).request("GET", "/?a=1").json()["asked"] == {"a": "1"}
    assert isinstance(post(server), Lost)


def test_the_same_seed_draws_the_same_faults_in_their_shares():
    behaviour = Behaviour(faults={"cut": 0.25, "html": 0.25}, seed=7)

    drawn = [behaviour.draw(n) for n in range(4000)]

    assert drawn == [Behaviour(faults={"cut": 0.25, "html": 0.25}, seed=7).draw(n) for n in range(4000)]
    assert drawn != [Behaviour(faults={"cut": 0.25, "html": 0.25}, seed=8).draw(n) for n in range(4000)]
    assert 900 < drawn.count("cut") < 1100
    assert 900 < drawn.count("html") < 1100
    assert 1850 < drawn.count(None) < 2150


def test_its_behaviour_is_set_and_its_truth_read_over_http(server):
    http = Http(server.url, timeout=0.3)
    http.request("POST", "/_behave", body=json.dumps({"faults": {"accept_then_cut": 1.0}, "seed": 3}).encode())
    http.request("POST", "/send?key=k1", body=b"hello")

    truth = http.request("GET", "/_truth").json()

    assert truth == {
        "taken": [{"key": "k1", "reference": "counter-1", "address": "", "content": {"body": "hello"}}],
        "refused": [], "requests": 1, "struck": {"accept_then_cut": 1},
    }  # fmt: skip


def test_a_request_that_the_stand_in_cannot_read_is_refused_and_seen(server):
    answer = post(server, "/broken", b"\xff\xfe")

    assert answer.status == 500
    assert server.vendor.refused[0].startswith("UnicodeDecodeError")


def test_nonsense_on_the_wire_ends_one_connection_and_not_the_server(server):
    with socket.create_connection(("127.0.0.1", server.port), 2) as wire:
        wire.sendall(b"\x16\x03\x01\x00nonsense\r\n\r\n")
        assert wire.recv(100) == b""

    assert post(server).status == 200


def test_a_latency_delays_each_send_and_no_other_request(server):
    server.behaviour = Behaviour(latency=0.2)
    loop = asyncio.new_event_loop()

    began = loop.time()
    post(server)
    delayed = loop.time() - began
    Http(server.url).request("GET", "/?a=1")
    total = loop.time() - began
    loop.close()

    assert delayed >= 0.2
    assert total - delayed < 0.2


def test_a_port_that_is_taken_is_said(server):
    with pytest.raises(RuntimeError, match=f"does not listen on port {server.port}"):
        Loopback(Counter(), port=server.port).__enter__()


def test_closing_twice_is_closing_once():
    server = Loopback(Counter())
    with server:
        pass

    server.close()

    assert isinstance(post(server), object)
