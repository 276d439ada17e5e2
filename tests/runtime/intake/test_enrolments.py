"""Entries by call: `POST /v1/journeys/{journey}/enrolments` lets people into a journey with `entry: {api: true}`, and into no other."""

import json

import pytest

from runtime.quarantine import retry, today_of
from runtime.settings import load_project
from tests.shop import DEVICE_SECRET, HELLO, Shop, write_journeys
from tests.town import DAY, NOON, journey_text

SEND = "- {id: hi, send: [{push: {title: T, body: '{{ entry.note }}'}}]}"
CALLED = journey_text(SEND, id="called", entry="{api: true}")
AGAIN = journey_text("- {id: d, delay: 1d}", id="again", entry="{api: true, reentry: always, subject: order_id}")
OTHERS = journey_text("- {id: d, delay: 1d}", id="others", entry="{api: true, user: entry.invited}")
SOME = journey_text("- {id: d, delay: 1d}", id="some", entry="{api: true, where: user.city == '上海'}")
PATH = "/v1/journeys/called/enrolments"


@pytest.fixture
def town(tmp_path, database_url):
    shop = Shop(tmp_path / "shop", CALLED, AGAIN, OTHERS, SOME, HELLO, url=database_url)
    shop.welcome("u1", "u2")
    shop.settle()
    yield shop
    shop.close()


def inside(shop, user_id="u1"):
    """The journeys that a user has entered, with their subjects."""
    return [(e["journey"], e["subject"]) for e in shop.story(user_id).enrolments]


def test_a_call_is_answered_when_it_is_durable_and_the_user_enters_with_what_it_says(town):
    answer = town.post({"user_id": "u1", "data": {"note": "好"}, "id": "c1"}, PATH)

    assert answer == {"accepted": 1, "duplicates": 0, "quarantined": 0}
    town.close()
    reopened = Shop.reopen(town)
    reopened.settle()
    assert inside(reopened) == [("called", "")]
    assert [(m.user_id, m.content["body"]) for m in reopened.vendor.got] == [("u1", "好")]
    reopened.close()


def test_the_same_call_again_is_a_duplicate_also_when_it_could_enter_once_more(town):
    calls = [{"id": f"c{n}", "user_id": "u1", "data": {"order_id": "o1"}} for n in (1, 1, 2)]

    first, again = (town.post(calls, "/v1/journeys/again/enrolments/") for _ in range(2))
    town.settle()

    assert [(a["accepted"], a["duplicates"]) for a in (first, again)] == [(2, 1), (0, 3)]
    assert inside(town) == [("again", "o1")]
    assert [(r["journey"], r["reason"]) for r in town.story("u1").refusals] == [("again", "mode")]


def test_a_call_without_an_id_is_known_by_its_request(town):
    answers = [town.post({"user_id": "u1"}, PATH, request_id=name) for name in ("m1", "m1", "m2")]

    assert [a["accepted"] for a in answers] == [1, 0, 1]


def test_a_refusal_is_kept_with_its_reason(town):
    town.post([{"user_id": "u1", "id": "c1"}, {"user_id": "u1", "id": "c2"}], PATH)
    town.post({"user_id": "u2", "id": "c3"}, "/v1/journeys/some/enrolments")
    town.settle()

    assert [(r["journey"], r["reason"]) for r in town.story("u1").refusals] == [("called", "reentry")]
    assert [(r["journey"], r["reason"]) for r in town.story("u2").refusals] == [("some", "where")]


def test_reentry_is_judged_by_entries_of_long_ago(town):
    town.post({"user_id": "u1", "id": "c1"}, PATH)
    town.settle()
    town.settle(NOON + 100 * DAY)

    town.post({"user_id": "u1", "id": "c2"}, PATH)
    town.settle()

    assert inside(town) == [("called", "")]
    assert [r["reason"] for r in town.story("u1").refusals] == ["reentry"]


def test_a_call_may_let_in_others_than_its_user(town):
    town.post({"user_id": "u1", "data": {"invited": "u2"}}, "/v1/journeys/others/enrolments")
    town.settle()

    assert (inside(town), inside(town, "u2")) == ([], [("others", "")])


def test_a_user_whom_nobody_knows_yet_enters(town):
    town.post({"user_id": "new"}, PATH)
    town.settle()

    assert inside(town, "new") == [("called", "")]


def test_a_former_id_enters_as_who_she_is_now(town):
    town.post({"user_id": "old"}, "/v1/users")
    town.post({"user_id": "u1", "merge": ["old"]}, "/v1/users")
    town.settle()

    town.post({"user_id": "old"}, PATH)
    town.settle()

    assert inside(town) == [("called", "")]


@pytest.mark.parametrize(
    ("journey", "status", "error"), [("nothing", 404, "no_journey"), ("hello", 409, "not_by_call"), ("a%00b", 404, "no_journey")]
)
def test_a_journey_that_cannot_be_called_is_said_at_once(town, journey, status, error):
    answer = town.send(b'{"user_id": "u1"}', f"/v1/journeys/{journey}/enrolments")

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert town.total("inbox") == 0


def test_who_does_not_sign_is_told_nothing_of_journeys(town):
    answers = [town.client.post(f"/v1/journeys/{name}/enrolments", content=b"{}") for name in ("called", "nothing")]

    assert [a.status_code for a in answers] == [401, 401]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (7, "an entry is an object {user_id, data, id}"),
        ({}, "user_id: expected a text of 1 to 256 characters"),
        ({"user_id": "u1", "id": []}, "id: expected a text of 1 to 256 characters"),
        ({"user_id": "u1", "data": [1]}, "data: expected an object"),
        ({"user_id": "u1", "data": {"a": "x" * 8193}}, "data.a: expected at most 8192 bytes of text"),
    ],
)
def test_a_call_that_is_none_is_set_aside_beside_good_ones(town, item, reason):
    answer = town.post([item, {"user_id": "u2"}], PATH)

    assert (answer["accepted"], answer["reasons"]) == (1, [{"index": 0, "reason": reason}])


def test_a_source_lets_nobody_in_unless_it_may(town):
    answer = town.post({"user_id": "u1"}, PATH, secret=DEVICE_SECRET, request_id="m1")

    assert answer["reasons"] == [{"index": 0, "reason": "source device may not assert enrolments"}]
    [row] = town.quarantined()
    assert json.loads(row["body"]) == {"journey": "called", "call": {"user_id": "u1", "id": "m1:0"}}
    config = town.folder / "config.toml"
    config.write_text(config.read_text().replace('may_assert = ["app_*",', 'may_assert = ["enrolment", "app_*",'))
    town.app.project.settings = load_project(town.folder).settings
    assert [r.outcome for r in retry(town.app.store, [row["id"]], today_of(town.app, NOON))] == ["taken"]
    town.settle()
    assert inside(town) == [("called", "")]


def test_a_call_of_a_journey_that_has_been_taken_away_since_is_set_aside_and_nothing_stands_still(town):
    town.post({"user_id": "u1", "id": "c1"}, PATH)
    write_journeys(town.folder, HELLO)
    town.apply()
    town.settle()

    [row] = town.quarantined()
    assert (row["kind"], row["source"], row["user_id"]) == ("call", "engine", "u1")
    assert "journey called cannot be entered by call any more" in row["reason"]
    assert town.total("inbox") == 0
