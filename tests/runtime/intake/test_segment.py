"""Segment and RudderStack: their six calls become our events and records; whatever else is written is set aside with a reason."""

import pytest
from hypothesis import example, given

from runtime.intake.naming import Naming
from runtime.intake.segment import CALLS, EVENTS, PROPERTIES, key_of, translate
from tests.runtime.intake.anything import VALUES, is_whole, messages, reader
from tests.town import HOUR, NOON, ZONE, at

NAMING = Naming(EVENTS, PROPERTIES, {"City": "city"})
SENT = "2026-12-01T04:00:00.000Z"  # NOON
TRACK = {
    "type": "track", "event": "Product Viewed", "messageId": "m1", "anonymousId": "d1", "userId": None, "timestamp": "2026-12-01T03:00:00.000Z",
    "properties": {"name": "番茄", "product_id": "i1"}, "context": {"library": {"name": "x"}}, "integrations": {},
}  # fmt: skip
IDENTIFY = {"type": "identify", "messageId": "m2", "userId": "u1", "traits": {"City": "上海", "phone": 13800138000, "email": "a@b.c"}}


def only(message, sent=SENT):
    found = translate(message, NAMING, sent, ZONE, NOON)
    assert isinstance(found, list), found
    [(what, item, _)] = found
    return what, item


def test_an_event_has_our_names():
    what, item = only(TRACK)

    assert (what, item["id"], item["type"], item["identities"]) == ("event", "m1", "deal_viewed", {"distinct_id": "d1"})
    assert item["time"] == NOON - HOUR
    assert item["data"] == {"item": "番茄", "item_id": "i1"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            {"type": "page", "name": "home", "category": "shop", "properties": {"url": "/"}},
            ("page_viewed", {"name": "home", "category": "shop", "url": "/"}),
        ),
        ({"type": "screen", "name": None, "properties": {"name": "own"}}, ("page_viewed", {"name": "own"})),
        ({"type": "group", "groupId": "g1", "traits": {"plan": "gold"}}, ("group", {"group_id": "g1", "plan": "gold"})),
        ({"type": "track", "event": "Shared a deal", "properties": None}, ("shared_a_deal", {})),
    ],
)
def test_calls_that_are_events(message, expected):
    _, item = only({"messageId": "m1", "userId": "u1", **message})

    assert (item["type"], item["data"]) == expected


def test_an_identify_is_a_record_whose_contacts_are_identities():
    what, item = only({**IDENTIFY, "anonymousId": "d1"})

    assert (what, item["user_id"], item["traits"]) == ("record", "u1", {"city": "上海"})
    assert item["identities"] == {"phone": "13800138000", "email": "a@b.c", "distinct_id": "d1"}


@pytest.mark.parametrize("nothing", ["", " ", False])
def test_a_contact_that_is_nothing_does_not_cost_the_rest_of_an_identify(nothing):
    _, item = only({"type": "identify", "userId": "u1", "traits": {"City": "上海", "phone": nothing, "email": "a@b.c"}})

    assert (item["traits"], item["identities"]) == ({"city": "上海"}, {"email": "a@b.c"})


def test_a_number_is_an_id_as_a_text_is():
    _, item = only({**TRACK, "userId": 7, "anonymousId": 8})

    assert (item["user_id"], item["identities"]) == ("7", {"distinct_id": "8"})


def test_rudderstack_writes_traits_into_the_context():
    _, item = only({"type": "identify", "userId": "u1", "context": {"traits": {"City": "上海"}}})

    assert item["traits"] == {"city": "上海"}


def test_an_alias_asks_for_both_that_the_former_id_may_be():
    _, item = only({"type": "alias", "userId": "u1", "previousId": 17})

    assert item["merge"] == [["distinct_id", "17"], ["user_id", "17"]]


@pytest.mark.parametrize(
    ("timestamp", "sent", "expected"),
    [
        ("2026-12-01T03:00:00Z", SENT, NOON - HOUR),
        ("2026-12-01T01:00:00Z", "2026-12-01T02:00:00Z", NOON - HOUR),  # a clock that is two hours slow
        ("2026-12-01T11:00:00", None, NOON - HOUR),  # no offset: the source's zone
        ("2026-12-01T03:00:00.123456+00:00", SENT, NOON - HOUR + 123),
        ("2026-12-01T03:00:00Z", {"a": 1}, NOON - HOUR),
        ("2026-12-01T03:00:00Z", [SENT], NOON - HOUR),
        (at("2026-12-01 11:00"), SENT, NOON - HOUR),
        ("yesterday", SENT, "yesterday"),
        ({"a": 1}, SENT, {"a": 1}),
    ],
)
def test_a_time_is_corrected_by_the_batchs_sent_at(timestamp, sent, expected):
    assert only({**TRACK, "timestamp": timestamp}, sent)[1]["time"] == expected


def test_a_message_is_known_by_its_id_else_by_what_it_says():
    plain = {name: value for name, value in TRACK.items() if name != "messageId"}

    assert key_of(TRACK) == "m1"
    assert key_of(plain) == key_of({**plain, "sentAt": SENT, "writeKey": "w"}) != key_of({**plain, "event": "b"})
    assert key_of({**plain, "messageId": ["m1"]}) == key_of({**plain, "messageId": ["m1"], "sentAt": SENT})
    assert len(key_of({**plain, "messageId": "m" * 300})) == 40


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("track", "expected an object"),
        ({**TRACK, "type": ["track"]}, "type: expected one of track, identify, page, screen, group, alias"),
        ({**TRACK, "type": {"a": 1}}, "type: expected one of"),
        ({**TRACK, "anonymousId": None}, "expected a userId or an anonymousId"),
        ({**TRACK, "anonymousId": ["d1"], "userId": {"a": 1}}, "expected a userId or an anonymousId"),
        ({**TRACK, "event": 7}, "event: expected a text"),
        ({**TRACK, "type": "alias", "previousId": True}, "previousId: expected a text"),
    ],
)
def test_a_message_that_is_none_says_what_was_expected(message, reason):
    found = translate(message, NAMING, SENT, ZONE, NOON)

    assert isinstance(found, str)
    assert reason in found


@given(messages(TRACK, name="n", category="c", traits={"City": "上海"}, groupId="g", previousId="p"), VALUES)
@example({**TRACK, "timestamp": 2**64 - 1}, 0)
@example({**TRACK, "timestamp": "0001-01-01"}, "9999-12-31T23:59:59-23:59")
def test_any_message_becomes_something_or_is_set_aside(message, sent):
    found = reader().messages([message, TRACK], lambda one: translate(one, NAMING, sent, ZONE, NOON), "segment")

    assert is_whole(found, [message, TRACK])
    assert found.events[-1].data == {"item": "番茄", "item_id": "i1"}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("call", CALLS)
@given(traits=VALUES, previous=VALUES, name=VALUES)
def test_any_values_in_any_call_are_no_fault_of_ours(call, signed, traits, previous, name):
    message = {
        "type": call,
        "userId": "u1",
        "traits": traits,
        "context": {"traits": traits},
        "properties": traits,
        "previousId": previous,
        "name": name,
        "event": name,
        "groupId": name,
    }

    found = reader(signed=signed, may_assert=("*",)).messages([message], lambda one: translate(one, NAMING, SENT, ZONE, NOON), "segment")

    assert is_whole(found, [message])
