import contextlib
import gzip
import socket
import ssl
import threading
import time
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.http import LARGEST, Answer, Guard, Http, Lost, NotSent, Refused, _trusted
from channels.loopback.server import Behaviour, Loopback, Response, Vendor
from tests.channels.benefit_cases import self_signed


class Echo(Vendor):
    """Says what it heard."""

    def answer(self, request):
        said = {"method": request.method, "path": request.path, "headers": dict(request.headers), "body": request.body.decode()}
        return Response(200, said)


@contextlib.contextmanager
def raw_server(reply, connections=1):
    """Answers each connection with the pieces of `reply`, as slowly as it yields them; `.asked` is what was sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        for _ in range(connections):
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    asked.append(connection.recv(65_536))
                    for piece in reply():
                        connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
    finally:
        listening.close()
        thread.join(5)


def whole(body, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), head, body)


def dripping(start):
    def reply():
        yield start
        event = threading.Event()
        for _ in range(500):
            event.wait(0.02)
            yield b"x"

    return reply


def test_a_request_arrives_as_it_was_made():
    with Loopback(Echo()) as server:
        answer = Http(server.url + "/").request("POST", "/a/b?c=1", body="林".encode(), headers={"X-Key": "k"})

    said = answer.json()
    assert (said["method"], said["path"], said["body"]) == ("POST", "/a/b", "林")
    assert said["headers"]["x-key"] == "k"
    assert said["headers"]["user-agent"] == "journeyd"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_a_whole_url_may_be_given_instead_of_a_path():
    with Loopback(Echo()) as server:
        assert Http("https://elsewhere.example").request("GET", f"{server.url}/x/").json()["path"] == "/x/"


def test_the_environments_proxies_are_not_taken(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Loopback(Echo()) as server:
        assert isinstance(Http(server.url).request("GET", "/"), Answer)


def test_redirects_are_answers_and_not_followed():
    with Loopback(Echo()) as elsewhere, Loopback(Echo()) as server:
        server.vendor.answer = lambda request: Response(302, "", {"Location": elsewhere.url})

        answer = Http(server.url).request("GET", "/")

    assert answer.status == 302
    assert elsewhere.vendor.requests == 0


@pytest.mark.parametrize(
    ("body", "said"), [(b"{}", {}), (b"[]", None), (b"{", None), (b"\xff", None), (b"null", None), (b'{"a": NaN}', None)]
)
def test_only_a_json_object_is_json(body, said):
    assert Answer(200, {}, body).json() == said


@pytest.mark.parametrize(
    ("header", "after"),
    [(None, 5), ("7", 7_000), ("0", 1_000), ("99999", 3_600_000), ("9" * 5000, 3_600_000), ("-1", 5), ("1.5", 5), ("²", 5),
     ("Wed, 21 Oct 2026 07:28:00 GMT", 5)],
)  # fmt: skip
def test_retry_after_is_seconds_and_at_most_an_hour(header, after):
    assert Answer(429, {} if header is None else {"retry-after": header}, b"").retry_after(5) == after


def test_nobody_listening_and_no_such_name_mean_not_sent():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = Http(f"http://127.0.0.1:{closed.getsockname()[1]}").request("POST", "/", body=b"x")

    def nowhere(name, port):
        raise socket.gaierror(-2, "Name or service not known")

    unknown = Http("http://nowhere.invalid", guarded=True, resolve=nowhere).request("POST", "/", body=b"x")

    assert refused == NotSent("no connection: NewConnectionError")
    assert unknown == NotSent("no connection: NameResolutionError")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://", "http://[::1", "no url", "http://127.0.0.1:99999/", f"http://{'a' * 64}.example/"]
)
def test_a_url_that_is_none_is_not_sent(url):
    assert isinstance(Http(url).request("GET", "/"), NotSent)


@pytest.mark.parametrize("fault", ["cut", "hang", "accept_then_cut", "accept_then_hang"])
def test_no_answer_to_a_request_that_left_is_lost(fault):
    with Loopback(Echo(), Behaviour(faults={fault: 1.0})) as server:
        assert isinstance(Http(server.url, timeout=0.2).request("POST", "/", body=b"x"), Lost)


@pytest.mark.parametrize(
    "reply",
    [
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"],  # half a body
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"],  # half a chunk
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"],
        [b"220 mail.example ESMTP\r\n"],
        [b"HTTP/1.1 " + b"2" * 70_000],
    ],
)
def test_half_an_answer_is_lost(reply):
    with raw_server(lambda: reply) as (url, asked):
        assert isinstance(Http(url, timeout=0.5).request("POST", "/", body=b"x"), Lost)
    assert asked


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"])
)
def test_no_bytes_on_the_wire_ever_raise(noise, start):
    with raw_server(lambda: [start + noise]) as (url, _):
        assert isinstance(Http(url, timeout=0.3).request("POST", "/", body=b"x"), Answer | Lost)


@pytest.mark.parametrize("body", [b"x" * (LARGEST + 1), gzip.compress(b"\0" * 50_000_000)], ids=["large", "bomb"])
def test_a_huge_answer_is_lost_and_not_kept(body):
    head = b"Content-Encoding: gzip\r\n" if body[:2] == b"\x1f\x8b" else b""
    with raw_server(lambda: [whole(body, head)]) as (url, _):
        answer = Http(url, timeout=2).request("GET", "/")

    assert answer == Lost(f"the answer is larger than {LARGEST} bytes")


def test_an_answer_may_be_compressed():
    with raw_server(lambda: [whole(gzip.compress(b'{"a": 1}'), b"Content-Encoding: gzip\r\n")]) as (url, _):
        assert Http(url).request("GET", "/").json() == {"a": 1}


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"], ids=["head", "body"]
)
def test_an_answer_that_drips_is_over_when_its_time_is(start):
    with raw_server(dripping(start)) as (url, _):
        began = time.monotonic()
        answer = Http(url, timeout=0.3, connect=0.3).request("GET", "/")
        took = time.monotonic() - began

    assert isinstance(answer, Lost)
    assert took < 1.5  # every single byte is in time; the whole is not


def test_a_silence_after_the_first_bytes_ends_with_the_whole_time():
    def reply():
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
        event = threading.Event()
        for _ in range(5):
            event.wait(0.1)
            yield b"x"
        event.wait(1.5)

    with raw_server(reply) as (url, _):
        began = time.monotonic()
        answer = Http(url, timeout=0.7).request("GET", "/")
        took = time.monotonic() - began

    assert isinstance(answer, Lost)
    assert took < 1.1  # 0.5 + 0.7 where the time begins anew with the last byte


def test_a_connection_that_is_not_answered_in_time_means_not_sent():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(8):  # the queue of a server that accepts nobody
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())

        plain = Http(f"http://127.0.0.1:{full.getsockname()[1]}", connect=0.2).request("POST", "/", body=b"x")
        guarded = Http(f"http://127.0.0.1:{full.getsockname()[1]}", connect=0.2, guarded=True, allowed=("127.0.0.1",)).request("POST", "/")

    assert plain == guarded == NotSent("no connection: ConnectTimeoutError")


def test_a_kept_connection_has_its_full_time_again():
    with Loopback(Echo(), Behaviour(latency=0.6)) as server:
        http = Http(server.url, timeout=1.1)

        assert [type(http.request("POST", "/", body=b"x")) for _ in range(2)] == [Answer] * 2


@pytest.mark.parametrize("guarded", [False, True])
def test_head_and_body_leave_without_waiting_for_each_other(guarded):
    """A delayed ACK costs a request 40 ms, every time; a busy machine does so now and then: the best of some rounds counts."""
    with Loopback(Echo()) as server:
        http = Http(server.url, guarded=guarded, allowed=("127.0.0.1",))
        rounds = []
        while len(rounds) < 10 and min(rounds, default=1.0) >= 0.2:
            began = time.monotonic()
            for _ in range(7):
                http.request("POST", "/", body=b"x" * 100)
            rounds.append(time.monotonic() - began)

    assert min(rounds) < 0.2  # seven times 40 ms are 0.28 s


def test_a_handshake_that_fails_means_not_sent():
    with raw_server(lambda: [b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as (url, asked):
        answer = Http(url.replace("http:", "https:"), timeout=0.5, connect=0.5).request("POST", "/", body=b"secret")

    assert answer == NotSent("no connection: NoTls")
    assert b"secret" not in asked[0]


def test_a_handshake_that_hangs_means_not_sent():
    with raw_server(dripping(b"")) as (url, _):
        answer = Http(url.replace("http:", "https:"), timeout=0.3, connect=0.3).request("POST", "/", body=b"secret")

    assert answer == NotSent("no connection: NoTls")


def test_an_untrusted_certificate_means_not_sent(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as inside:
            inside.recv(100)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    answer = Http(f"https://127.0.0.1:{listening.getsockname()[1]}", timeout=1).request("POST", "/", body=b"secret")
    thread.join(5)
    listening.close()

    assert answer == NotSent("no connection: NoTls")


def test_a_host_is_proven_by_the_certificates_of_certifi():
    context = _trusted()

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == Path(certifi.where()).read_text("utf-8").count("BEGIN CERTIFICATE")


def test_a_header_that_is_sent_twice_has_both_values():
    with raw_server(lambda: [whole(b"", b"X-Twice: a\r\nx-twice: b\r\n")]) as (url, _):
        assert Http(url).request("GET", "/").headers["x-twice"] == "a, b"


# --- where it may connect to


def test_without_a_guard_any_address_will_do():
    with Loopback(Echo()) as server:
        assert isinstance(Http(server.url).request("GET", "/"), Answer)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1",
     "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
     "64:ff9b::10.0.0.1", "2002:7f00:1::", "2001:0:1::1"],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address):
    with pytest.raises(Refused, match="not a public address"):
        Guard((), lambda *_: [address]).addresses(None, "shop.example", 443)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_a_public_address_is_taken(address):
    assert Guard((), lambda *_: [address]).addresses(None, "shop.example", 443) == [address]


def test_a_name_is_asked_for_once_per_connection_and_all_its_addresses_are_looked_at():
    answers = iter([["93.184.216.34"], ["10.0.0.1"], ["93.184.216.34", "10.0.0.1"]])
    guard = Guard((), lambda *_: next(answers))

    assert guard.addresses(None, "shop.example", 443) == ["93.184.216.34"]
    for _ in range(2):
        with pytest.raises(Refused):
            guard.addresses(None, "shop.example", 443)


@pytest.mark.parametrize(
    ("allowed", "address"),
    [("10.0.0.0/8", "10.1.2.3"), ("10.1.2.3", "::ffff:10.1.2.3"), ("fd00::/8", "fd12::1"), ("Shop.example", "10.1.2.3")],
)
def test_what_is_listed_may_be_private(allowed, address):
    assert Guard((allowed,), lambda *_: [address]).addresses(None, "shop.example", 443) == [address]


@pytest.mark.parametrize(("allowed", "address"), [("10.0.0.0/8", "192.168.0.1"), ("other.example", "10.1.2.3"), ("fd00::/8", "10.1.2.3")])
def test_what_is_not_listed_may_not(allowed, address):
    with pytest.raises(Refused):
        Guard((allowed,), lambda *_: [address]).addresses(None, "shop.example", 443)


def test_the_next_address_is_tried_when_one_does_not_answer():
    with Loopback(Echo()) as server:
        http = Http(
            f"http://shop.example:{server.port}", guarded=True, allowed=("127.0.0.0/8",), resolve=lambda *_: ["127.0.0.2", "127.0.0.1"]
        )  # fmt: skip

        assert isinstance(http.request("GET", "/"), Answer)


def test_a_refused_address_is_told_apart_from_a_network_that_is_down():
    refused = Http("http://127.0.0.1:9", guarded=True).request("GET", "/")
    down = Http("http://127.0.0.1:9", guarded=True, allowed=("127.0.0.1",)).request("GET", "/")

    assert (refused.refused, down.refused) == (True, False)
    assert "127.0.0.1" in refused.reason


def test_requests_made_together_end_within_the_time_of_one():
    """A vendor that hangs takes all the time there is: the second request is not even connected."""
    with Loopback(Vendor(), Behaviour(faults={"hang": 1.0})) as site:
        http = Http(site.url, timeout=0.2, connect=0.2)

        with http.together():
            outcomes = [http.request("POST", "/one"), http.request("POST", "/two"), http.request("POST", "/three")]
        afterwards = http.request("GET", "/_truth")

    assert [type(outcome) for outcome in outcomes] == [Lost, Lost, NotSent]
    assert site.vendor.requests == 2
    assert isinstance(afterwards, Answer)
