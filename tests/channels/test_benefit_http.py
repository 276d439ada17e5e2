import json
from dataclasses import replace

import pytest
from standardwebhooks.webhooks import Webhook

from channels.benefits.http import HttpBenefit
from channels.loopback.benefit import BenefitVendor
from channels.loopback.server import Loopback, Response, Vendor
from channels.message import Accepted, Diagnosable, Fault, Key, Rejected, RetryLater, Unknown
from tests.channels.benefit_cases import GRANT, SECRET, benefit, fixed, real


class Saying(Vendor):
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, status=200, body="", headers=None):
        super().__init__()
        self.says, self.seen = Response(status, body, headers or {}), []

    def answer(self, request):
        self.seen.append(request)
        return self.says


def outcome_of(status, body, headers=None, attempt=GRANT):
    with Loopback(Saying(status, body, headers)) as server:
        return benefit(server.url).send(attempt)


def test_the_request_says_who_what_and_why_and_the_reference_library_verifies_it():
    with Loopback(Saying(200, {"ok": True})) as server:
        benefit(server.url, clock=real).send(GRANT)

    (seen,) = server.vendor.seen
    assert (seen.method, seen.path) == ("POST", "/grants")
    assert json.loads(seen.body) == {
        "benefit": "points", "amount": 30, "expires_at": "2026-12-01T00:53:20+00:00", "key": GRANT.key, "user_id": "u1",
        "journey": "win_back_30d", "step": "gift",
    }  # fmt: skip
    assert seen.headers["webhook-id"] == GRANT.key
    assert Webhook(SECRET).verify(seen.body, dict(seen.headers))["key"] == GRANT.key
    assert GRANT.address not in seen.body.decode()


def test_what_a_journey_did_not_write_is_left_out_and_what_it_wrote_changes_nobody():
    with Loopback(Saying(200, {"ok": True})) as server:
        benefit(server.url).send(replace(GRANT, content={"amount": None, "expires_at": None, "user_id": "u2", "note": "谢谢"}))

    assert json.loads(server.vendor.seen[0].body) == {
        "note": "谢谢", "benefit": "points", "key": GRANT.key, "user_id": "u1", "journey": "win_back_30d", "step": "gift",
    }  # fmt: skip


def test_a_grant_is_answered_with_its_code_and_the_services_reference():
    with Loopback(BenefitVendor(SECRET, fixed, {"points": 1})) as server:
        outcome = benefit(server.url).send(GRANT)

    assert outcome == Accepted("benefit-1", {"code": "KKKKKKKKKKKK"})
    assert server.vendor.taken[0].key == GRANT.key


def test_a_grant_without_a_code_is_a_grant():
    assert outcome_of(201, {"ok": True}) == Accepted("", {})


def test_sold_out_is_a_definite_no_with_its_reason():
    with Loopback(BenefitVendor(SECRET, fixed, {"points": 1})) as server:
        made = benefit(server.url)
        made.send(GRANT)
        outcome = made.send(replace(GRANT, key="l" * 32))

    assert outcome == Rejected("sold_out", "sold_out")
    assert len(server.vendor.taken) == 1


@pytest.mark.parametrize("status", [200, 409, 410, 422])
def test_a_no_in_words_has_a_plain_code(status):
    assert outcome_of(status, {"ok": False, "reason": "她已经有一张了"}) == Rejected("refused", "她已经有一张了")


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (200, {"ok": "true"}, None, Unknown),  # a text is no yes
        (200, {"ok": 1}, None, Unknown),
        (200, {}, None, Unknown),
        (200, [True], None, Unknown),
        (200, "ok", None, Unknown),
        (409, {"ok": True}, None, Unknown),  # says both
        (400, {"ok": False}, None, Unknown),
        (418, {"ok": False}, None, Unknown),
        (201, {"ok": False}, None, Unknown),
        (500, {"ok": False}, None, Unknown),
        (503, {"ok": False}, None, Unknown),
        (503, {}, {"Retry-After": "3"}, RetryLater),
        (429, {}, {"Retry-After": "3"}, RetryLater),
        (301, {"ok": True}, {"Location": "http://127.0.0.1:1/"}, Fault),
        (401, {"ok": True}, None, Fault),
        (404, {"ok": True}, None, Fault),
    ],
)
def test_only_a_clear_yes_is_a_yes_and_only_a_documented_no_is_a_no(status, body, headers, kind):
    assert type(outcome_of(status, body, headers)) is kind


def test_the_services_words_do_not_carry_the_address_into_the_outcome():
    outcome = outcome_of(409, {"ok": False, "reason": f"{GRANT.address} has one"})

    assert outcome == Rejected("refused", "… has one")


def test_it_repeats_with_one_key_for_a_day_and_cannot_be_asked():
    made = benefit("http://127.0.0.1:9")

    assert made.guarantee == Key(24 * 3_600_000)
    assert isinstance(made.look_up(GRANT), Unknown)
    assert made.timeout == 3_500


def test_plain_http_is_refused_unless_config_allows_it():
    with pytest.raises(ValueError, match="plain_http"):
        HttpBenefit(benefit="points", url="http://shop.example", secret=SECRET, clock=fixed)


def test_a_private_address_that_is_not_listed_is_refused_before_a_byte_leaves():
    with Loopback(BenefitVendor(SECRET, fixed, {"points": 1})) as server:
        outcome = benefit(server.url, allowed=()).send(GRANT)

    assert isinstance(outcome, Fault)
    assert outcome.code == "private_address"
    assert server.vendor.requests == 0


def test_a_diagnosis_reaches_the_service_and_grants_nothing():
    with Loopback(BenefitVendor(SECRET, fixed, {"points": 1})) as server:
        made = benefit(server.url)
        assert isinstance(made, Diagnosable)
        (fine,), (unlisted,) = made.diagnose(), benefit(server.url, allowed=()).diagnose()
    (gone,) = benefit(server.url).diagnose()

    assert (fine.ok, unlisted.ok, gone.ok) == (True, False, False)
    assert "allowed" in unlisted.cure
    assert "firewall" in gone.cure
    assert server.vendor.taken == []
