"""GrowingIO: what its SDKs write becomes our events, records and items; whatever else is written is set aside with a reason."""

import pytest
from hypothesis import example, given

from runtime.intake.growingio import key_of, translate, translate_item
from runtime.intake.naming import Naming
from tests.runtime.intake.anything import is_whole, messages, reader
from tests.town import DAY, HOUR, NOON

NAMING = Naming({"ViewDeal": "deal_viewed", "VISIT": "app_opened"}, {"ViewDeal.sku": "item_id"}, {"City": "city"})
TRACK = {
    "eventType": "CUSTOM",
    "eventName": "ViewDeal",
    "timestamp": NOON,
    "deviceId": "d1",
    "attributes": {"item": "番茄"},
    "projectKey": "g1",
    "dataSourceId": "s1",
}
USER = {"eventType": "LOGIN_USER_ATTRIBUTES", "timestamp": NOON, "userId": "u1", "attributes": {"City": "上海", "labels": "a||b"}}
ITEM = {"key": "deal", "id": "i1", "attributes": {"price": 9.9}}


def only(message, sent=NOON):
    found = translate(message, NAMING, sent, NOON)
    assert isinstance(found, list), found
    [(what, item, _)] = found
    return what, item


def test_an_event_has_our_names_and_its_lists_apart():
    what, item = only({**TRACK, "attributes": {"sku": 7, "labels": "生鲜||水果", "item": "番茄"}})

    assert (what, item["type"], item["time"], item["identities"]) == ("event", "deal_viewed", NOON, {"distinct_id": "d1"})
    assert item["data"] == {"item_id": 7, "labels": ["生鲜", "水果"], "item": "番茄"}


def test_a_login_users_attributes_are_a_record():
    what, item = only(USER)

    assert (what, item["user_id"], item["traits"]) == ("record", "u1", {"city": "上海", "labels": ["a", "b"]})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"userId": "u1"}, {"user_id": "u1", "identities": {"distinct_id": "d1"}}),
        ({"userId": 7, "deviceId": None}, {"user_id": "7"}),
        ({"userId": 7, "deviceId": 8}, {"user_id": "7", "identities": {"distinct_id": "8"}}),
        ({"userId": "o1", "userKey": "OpenID"}, {"identities": {"openid": "o1", "distinct_id": "d1"}}),
        ({"userId": "u1", "userKey": "account"}, {"user_id": "u1", "identities": {"distinct_id": "d1"}}),
        ({"userId": True, "userKey": ["openid"]}, {"identities": {"distinct_id": "d1"}}),
        ({"userId": "u1", "userKey": {"a": 1}}, {"user_id": "u1", "identities": {"distinct_id": "d1"}}),
    ],
)
def test_whose_a_message_is(message, expected):
    _, item = only({**TRACK, **message})

    assert {name: item[name] for name in ("user_id", "identities") if name in item} == expected


@pytest.mark.parametrize(
    ("message", "stm", "expected"),
    [
        ({}, NOON, NOON),
        ({"timestamp": NOON - HOUR}, NOON - 2, NOON - HOUR),
        ({"timestamp": NOON - 3 * HOUR}, NOON - 2 * HOUR, NOON - HOUR),  # a clock that is two hours slow
        ({"timestamp": NOON - 30 * DAY, "sendTime": NOON - 30 * DAY}, NOON, NOON - 30 * DAY),  # a time that was given: no slow clock
        ({"timestamp": NOON - 30 * DAY, "sendTime": NOON - 30 * DAY}, None, NOON - 30 * DAY),
        ({"timestamp": NOON - 3 * HOUR, "sendTime": NOON - 2 * HOUR}, None, NOON - HOUR),
    ],
)
def test_a_time_is_corrected_by_the_requests_stm(message, stm, expected):
    assert only({**TRACK, **message}, stm)[1]["time"] == expected


def test_a_message_that_is_sent_again_has_the_same_id():
    assert key_of(TRACK) == key_of({**TRACK, "sendTime": NOON + 5})
    assert key_of(TRACK) != key_of({**TRACK, "timestamp": NOON + 5})


def test_what_the_sdk_sends_by_itself_is_counted_unless_config_asks_for_it():
    assert translate({**TRACK, "eventType": "APP_CLOSED"}, NAMING, NOON, NOON) == [("unmapped", {"name": "APP_CLOSED"}, {})]
    assert only({**TRACK, "eventType": "VISIT"})[1]["type"] == "app_opened"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "expected an object"),
        ({**TRACK, "eventType": ["CUSTOM"]}, "eventType: expected a text"),
        ({**TRACK, "attributes": "a"}, "attributes: expected an object"),
        ({**TRACK, "eventName": 7}, "eventName: expected a text"),
        ({**TRACK, "deviceId": {"a": 1}}, "expected a userId or a deviceId"),
        ({**TRACK, "deviceId": ""}, "expected a userId or a deviceId"),
    ],
)
def test_a_message_that_is_none_says_what_was_expected(message, reason):
    found = translate(message, NAMING, NOON, NOON)

    assert isinstance(found, str)
    assert reason in found


@given(messages(TRACK, userId="u1", userKey="openid", sendTime=NOON))
@example({**TRACK, "timestamp": 2**64 - 1, "sendTime": 0})
def test_any_message_becomes_something_or_is_set_aside(message):
    found = reader().messages([message, TRACK], lambda one: translate(one, NAMING, None, NOON), "growingio")

    assert is_whole(found, [message, TRACK])
    assert any(event.type == "deal_viewed" and event.data == {"item": "番茄"} for event in found.events)


@given(messages(USER))
def test_any_user_becomes_a_record_or_is_set_aside(message):
    found = reader().messages([message, USER], lambda one: translate(one, NAMING, NOON, NOON), "growingio")

    assert is_whole(found, [message, USER])
    assert found.records[-1].payload["traits"] == {"city": "上海"}


@given(messages(ITEM))
def test_any_item_is_kept_or_set_aside(message):
    found = reader().messages([message, ITEM], translate_item, "growingio")

    assert is_whole(found, [message, ITEM])
    assert found.items[-1].properties == {"price": 9.9}
