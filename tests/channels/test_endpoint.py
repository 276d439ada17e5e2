import json
import re
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from channels.endpoint import typed
from channels.loopback.benefit import EndpointVendor
from channels.loopback.server import Loopback
from channels.message import Accepted, Diagnosable, Fault, Key, Rejected, RetryLater, Unknown
from channels.webhook import headers, secret_bytes
from tests.channels.benefit_cases import CALL, OTHER_SECRET, SECRET, endpoint, fixed, real
from tests.channels.test_benefit_http import Saying

DECLARED = {"missing": "number", "open": "boolean", "title": "text", "until": "time", "items": "list"}


def outcome_of(status, body, headers=None, **changes):
    with Loopback(Saying(status, body, headers)) as server:
        return endpoint(server.url, **changes).send(CALL)


def test_the_body_is_posted_as_written_and_the_reference_library_verifies_it():
    with Loopback(Saying(200, {"missing": 1})) as server:
        endpoint(server.url, clock=real).send(CALL)

    (seen,) = server.vendor.seen
    assert json.loads(seen.body) == {"group_id": "g1"}
    assert Webhook(SECRET).verify(seen.body, dict(seen.headers)) == {"group_id": "g1"}
    assert seen.headers["webhook-id"] == CALL.key


def test_an_endpoint_without_a_secret_is_called_unsigned():
    with Loopback(Saying(200, {"missing": 1})) as server:
        outcome = endpoint(server.url, secret="").send(CALL)

    assert outcome == Accepted("", {"missing": 1})
    assert "webhook-signature" not in server.vendor.seen[0].headers


def test_declared_fields_come_back_typed_and_nothing_else():
    said = {"missing": 2.5, "open": True, "title": "番茄", "until": "2026-12-01T10:00:00+08:00", "items": ["a", "b"], "secret_note": "x"}

    outcome = outcome_of(200, said, answer=DECLARED)

    assert outcome.answer == {"missing": 2.5, "open": True, "title": "番茄", "until": 1_796_090_400_000, "items": ["a", "b"]}


def test_a_declared_field_of_the_wrong_type_is_left_out():
    said = {"missing": "2", "open": 1, "title": 7, "until": "tomorrow", "items": "a"}

    assert outcome_of(200, said, answer=DECLARED) == Accepted("", {})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (0, "number", 0), (True, "number", None), (1e13, "number", None), (float("nan"), "number", None), ("3", "number", None),
        (False, "boolean", False), (0, "boolean", None), ("", "text", ""), ("x" * 2001, "text", None), (None, "text", None),
        (["a"], "list", ["a"]), ([1], "list", None), ([], "list", []), (["a"] * 201, "list", None),
        ("2026-12-01T10:00:00Z", "time", 1_796_119_200_000), ("2026-12-01T10:00:00", "time", None), (1_796_119_200_000, "time", None),
        ("0001-01-01T00:00:00+14:00", "time", None), ("x", "another", None),
    ],
)  # fmt: skip
def test_a_value_is_its_declared_type_or_missing(value, kind, expected):
    assert typed(value, kind) == expected
    assert type(typed(value, kind)) is type(expected)


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (200, {"other": 1}, None, Unknown),  # somebody else's answer
        (200, [1], None, Unknown),
        (200, "done", None, Unknown),
        (200, "", None, Unknown),
        (204, "", None, Unknown),  # a field was promised
        (400, {"reason": "no such group"}, None, Rejected),
        (409, "", None, Rejected),
        (422, {"reason": ["a"]}, None, Rejected),
        (408, {}, None, Unknown),
        (500, {"missing": 1}, None, Unknown),
        (503, {}, {"Retry-After": "2"}, RetryLater),
        (429, {}, None, RetryLater),
        (302, {"missing": 1}, {"Location": "http://127.0.0.1:1/"}, Fault),
        (401, {"missing": 1}, None, Fault),
        (404, {"missing": 1}, None, Fault),
        (100 + 99, {"missing": 1}, None, Unknown),
    ],
)
def test_what_an_answer_means(status, body, headers, expected):
    assert type(outcome_of(status, body, headers)) is expected


def test_a_no_keeps_its_status_and_reason():
    assert outcome_of(422, {"reason": "no such group"}) == Rejected("422", "no such group")


def test_where_nothing_is_declared_any_object_and_no_content_will_do():
    assert outcome_of(200, {"whatever": 1}, answer={}) == Accepted("", {})
    assert outcome_of(204, "", answer={}) == Accepted("", {})
    assert isinstance(outcome_of(200, "", answer={}), Unknown)


def test_a_redirect_is_not_followed():
    with Loopback(EndpointVendor(SECRET, fixed, {"missing": 1})) as elsewhere:
        outcome = outcome_of(307, "", {"Location": f"{elsewhere.url}/group"})

    assert outcome.code == "redirect"
    assert elsewhere.vendor.requests == 0


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", None),
        ("[::1]", None),
        ("[::ffff:127.0.0.1]", None),
        ("0x7f.1", "127.0.0.1"),
        ("169.254.169.254", None),
        ("localhost", "127.0.0.1"),
        ("metadata.example", "169.254.169.254"),
        ("office.example", "10.1.2.3"),
        ("nat64.example", "64:ff9b::a9fe:a9fe"),
        ("sixtofour.example", "2002:7f00:1::"),
        ("both.example", "93.184.216.34 192.168.0.7"),  # one private address is enough
        ("nowhere.example", ""),
    ],
)
def test_no_name_of_a_private_address_is_ever_connected_to(host, address):
    with Loopback(EndpointVendor(SECRET, fixed, {"missing": 1})) as server:

        def resolve(name, port):
            return [name] if address is None else address.split()

        outcome = endpoint(f"http://{host}:{server.port}", allowed=(), resolve=resolve).send(CALL)

    assert isinstance(outcome, Fault)
    assert outcome.code == "private_address"
    assert server.vendor.requests == 0


def test_a_name_that_turns_private_after_it_was_public_is_refused_then():
    with Loopback(EndpointVendor(SECRET, fixed, {"missing": 1})) as server:
        answers = iter([["127.0.0.1"], ["127.0.0.2"]])  # the first is listed, and stands for a public one
        made = endpoint(f"http://shop.example:{server.port}", allowed=("127.0.0.1/32",), resolve=lambda name, port: next(answers))
        first = made.send(CALL)
        made.close()  # the connection ends: the name is asked for again
        second = made.send(CALL)

    assert isinstance(first, Accepted)
    assert isinstance(second, Fault)
    assert server.vendor.requests == 1


def test_the_address_that_was_checked_is_the_one_connected_to():
    asked = []

    def resolve(name, port):
        asked.append(name)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    with Loopback(EndpointVendor(SECRET, fixed, {"missing": 1})) as server:  # listens on 127.0.0.1 only
        outcome = endpoint(f"http://shop.example:{server.port}", allowed=("127.0.0.2",), resolve=resolve).send(CALL)

    assert isinstance(outcome, RetryLater)
    assert asked == ["shop.example"]
    assert server.vendor.requests == 0


def test_a_listed_name_or_network_may_be_private():
    with Loopback(EndpointVendor(SECRET, fixed, {"missing": 1})) as server:
        by_name = endpoint(f"http://office.example:{server.port}", allowed=("Office.example",), resolve=lambda *_: ["127.0.0.1"])
        by_network = endpoint(f"http://office.example:{server.port}", allowed=("127.0.0.0/8",), resolve=lambda *_: ["127.0.0.1"])

        assert isinstance(by_name.send(CALL), Accepted)
        assert isinstance(by_network.send(CALL), Accepted)


def test_it_repeats_with_one_key_for_a_day_and_its_diagnosis_calls_nothing():
    with Loopback(EndpointVendor(SECRET, fixed, {"missing": 1})) as server:
        made = endpoint(server.url)

        assert made.guarantee == Key(24 * 3_600_000)
        assert isinstance(made.look_up(CALL), Unknown)
        assert isinstance(made, Diagnosable)
        assert made.diagnose()[0].ok
        assert server.vendor.taken == []


def test_the_ten_lines_of_the_docs_verify_a_call_and_nothing_else():
    page = (Path(__file__).parents[2] / "docs" / "channels" / "endpoints.md").read_text(encoding="utf-8")
    given = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], given)

    signed = headers(secret_bytes(SECRET), "m1", real(), b"{}")

    assert given["is_genuine"](SECRET, signed, b"{}")
    assert not given["is_genuine"](SECRET, signed, b"{} ")
    assert not given["is_genuine"](OTHER_SECRET, signed, b"{}")
    assert not given["is_genuine"](SECRET, headers(secret_bytes(SECRET), "m1", real() - 400_000, b"{}"), b"{}")
