"""Sensors Analytics: what its SDKs write becomes our events, records and items; whatever else is written is set aside with a reason."""

import base64
import gzip
import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given

from runtime.intake.naming import Naming
from runtime.intake.reading import Unreadable
from runtime.intake.sensors import corrected, key_of, messages, translate
from tests.runtime.intake.anything import VALUES, is_whole, reader
from tests.runtime.intake.anything import messages as any_messages
from tests.town import HOUR, NOON, SECOND

LIMIT = 10_000
TRACK = {"type": "track", "event": "ViewDeal", "distinct_id": "d1", "time": NOON, "properties": {"item": "番茄"}}
NAMING = Naming({"ViewDeal": "deal_viewed", "$MPShow": "app_opened"}, {}, {"City": "city"})


def packed(value, *, compressed=True):
    raw = json.dumps(value).encode()
    return base64.b64encode(gzip.compress(raw, mtime=0) if compressed else raw).decode()


def only(message, naming=NAMING):
    """The one thing that a message becomes."""
    found = translate(message, naming, NOON)
    assert isinstance(found, list), found
    [(what, item, _)] = found
    return what, item


def person(message):
    """Whose a message is."""
    _, item = only({**TRACK, **message})
    return {name: item[name] for name in ("user_id", "identities", "merge") if name in item}


# --- the form


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", urlencode({"data": packed(TRACK), "gzip": "1"})),
        ("", urlencode({"data_list": packed([TRACK]), "gzip": "1"})),
        ("", urlencode({"data_list": packed([TRACK], compressed=False)})),
        ("", urlencode({"data": packed(TRACK), "gzip": "0", "crc": "-123"})),  # compressed all the same
        ("", f"data={packed(TRACK, compressed=False)}"),  # `+` not encoded: a space in a form
        (f"project=default&data={quote(packed(TRACK, compressed=False))}", ""),
    ],
)
def test_messages_come_in_a_form_whatever_its_shape(query, body):
    assert messages(query, body.encode(), LIMIT) == [TRACK]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no_data"),
        (b"hello", "no_data"),
        (b"data=", "no_data"),
        (b"data=%", "bad_base64"),
        (b"data=abc", "bad_base64"),
        (b"data=%E7%95%AA", "bad_base64"),
        (b"\xff\xfe=1", "bad_form"),
        (b"&".join(b"f%d=1" % n for n in range(100)), "bad_form"),
        (b"data=" + base64.b64encode(b"no json"), "bad_json"),
        (b"data=" + base64.b64encode(b"{}") + b"&gzip=1", "bad_compression"),
        (b"data=" + base64.b64encode(gzip.compress(b"{}", mtime=0)[:-3]) + b"&gzip=1", "bad_compression"),
        (b"data=" + base64.b64encode(gzip.compress(b" " * (LIMIT + 1), mtime=0)) + b"&gzip=1", "too_large"),
        (b"data=" + base64.b64encode(b"[" * 40 + b"]" * 40), "too_deep"),
    ],
)
def test_a_body_that_cannot_be_read_says_why(body, reason):
    found = messages("", body.replace(b"+", b"%2B"), LIMIT)

    assert isinstance(found, Unreadable)
    assert found.reason == reason


def test_a_lone_surrogate_in_a_message_is_replaced_and_the_message_taken():
    raw = base64.b64encode(b'{"type": "track", "event": "a\\ud800"}')

    assert messages("", b"data=" + quote(raw).encode(), LIMIT) == [{"type": "track", "event": "a�"}]


# --- one message


def test_a_message_that_is_sent_again_has_the_same_id_and_another_has_not():
    mini = {**TRACK, "_track_id": 7, "_flush_time": NOON}

    assert key_of(TRACK) == key_of(dict(reversed(TRACK.items())))
    assert key_of(mini) == key_of({**mini, "_flush_time": NOON + 1, "properties": {}})
    assert len({key_of(TRACK), key_of({**TRACK, "time": NOON + 1}), key_of({**TRACK, "distinct_id": "d2"}), key_of(mini)}) == 4
    assert key_of({**mini, "type": "profile_set", "_track_id": True}) != key_of(mini)


def test_an_event_has_our_name_its_time_and_its_values():
    message = {**TRACK, "properties": {"item": "番茄", "$is_login_id": False, "seen": "2024-05-01 12:00:00.5", "$title": "a", "title": "b"}}

    what, item = only(message)

    assert (what, item["type"], item["time"]) == ("event", "deal_viewed", NOON)
    assert item["data"] == {"item": "番茄", "seen": "2024-05-01 12:00:00.005", "title": "b"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, {"identities": {"distinct_id": "d1"}}),
        ({"distinct_id": 17}, {"identities": {"distinct_id": "17"}}),
        ({"properties": {"$is_login_id": True}}, {"user_id": "d1", "identities": {"distinct_id": "d1"}}),
        ({"properties": {"$is_login_id": "true"}}, {"identities": {"distinct_id": "d1"}}),
        (
            {"distinct_id": "u1", "login_id": "u1", "anonymous_id": "a1"},
            {"user_id": "u1", "identities": {"distinct_id": "a1"}, "merge": [["distinct_id", "u1"]]},
        ),
        (
            {
                "distinct_id": "u1",
                "identities": {
                    "$identity_login_id": "u1",
                    "$identity_mp_id": "m1",
                    "$identity_mp_wx1_openid": "o1",
                    "$identity_mp_unionid": "n1",
                },
            },
            {"user_id": "u1", "identities": {"distinct_id": "m1", "openid": "o1", "unionid": "n1"}, "merge": [["distinct_id", "u1"]]},
        ),
        (
            {"identities": {"$identity_mobile": "13800138000", "$identity_email": "a@b.c"}},
            {"identities": {"phone": "13800138000", "email": "a@b.c", "distinct_id": "d1"}},
        ),
        ({"distinct_id": "$identity_cookie_id+c1", "identities": {"$identity_cookie_id": "c1"}}, {"identities": {"distinct_id": "c1"}}),
        ({"distinct_id": "$identity_mp_openid+o1", "identities": {"$identity_mp_openid": "o1"}}, {"identities": {"openid": "o1"}}),
        ({"distinct_id": "a+b"}, {"identities": {"distinct_id": "a+b"}}),
        (
            {"distinct_id": "no+7", "login_id": "no+7", "anonymous_id": "a1", "identities": {"no": "7"}},
            {"user_id": "no+7", "identities": {"distinct_id": "7"}, "merge": [["distinct_id", "a1"], ["distinct_id", "no+7"]]},
        ),
        *(
            (
                {"distinct_id": f"{name}+{value}", "login_id": f"{name}+{value}", "anonymous_id": "a1", "identities": {name: value}},
                {"identities": {kind: value, "distinct_id": "a1"}},
            )
            for name, kind, value in (
                ("$identity_mobile", "phone", "13800138000"),
                ("$identity_email", "email", "a@b.c"),
                ("$identity_mp_wx1_openid", "openid", "o1"),
                ("$identity_mp_unionid", "unionid", "n1"),
            )
        ),
        (
            {"identities": {"$identity_mp_id": "m1", "$identity_anonymous_id": "d1"}, "anonymous_id": "d1"},
            {"identities": {"distinct_id": "d1"}, "merge": [["distinct_id", "m1"]]},
        ),
    ],
)
def test_whose_a_message_is(message, expected):
    assert person(message) == expected


def test_one_message_names_few_ids():
    ids = {f"$identity_{n}": f"i{n}" for n in range(50)}

    assert len(person({"identities": ids})["merge"]) == 7


@pytest.mark.parametrize(
    ("kind", "properties", "expected"),
    [
        ("profile_set", {"City": "上海", "$is_login_id": True}, {"traits": {"city": "上海"}}),
        ("profile_set_once", {"City": "上海"}, {"set_once": {"city": "上海"}}),
        ("profile_increment", {"points": 3}, {"increment": {"points": 3}}),
        ("profile_append", {"labels": ["a"]}, {"append": {"labels": ["a"]}}),
        ("profile_unset", {"City": True}, {"traits": {"city": None}}),
        ("profile_delete", {}, {"clear": True}),
    ],
)
def test_a_profile_call_is_a_record(kind, properties, expected):
    what, item = only({"type": kind, "distinct_id": "d1", "time": NOON, "properties": properties})

    assert what == "record"
    assert {name: item[name] for name in item if name not in ("id", "identities", "user_id")} == expected


def test_a_sign_up_is_a_record_that_merges_and_an_event_only_where_config_asks_for_it():
    signup = {**TRACK, "type": "track_signup", "event": "$SignUp", "distinct_id": "u1", "original_id": "d1"}
    asked = Naming({"$SignUp": "user_registered"})

    what, item = only(signup)
    [_, (second, event, _)] = translate(signup, asked, NOON)

    assert (what, item["user_id"], item["merge"]) == ("record", "u1", [["distinct_id", "d1"]])
    assert (second, event["type"]) == ("event", "user_registered")


def test_an_identity_is_unbound_and_nothing_else_of_its_owner():
    unbind = {"type": "track_id_unbind", "event": "$UnbindID", "distinct_id": "u1", "time": NOON, "properties": {}}

    _, device = only({**unbind, "identities": {"$identity_idfv": "d1"}})
    _, openid = only({**unbind, "identities": {"$identity_mp_openid": "o1"}})

    assert (device["identities"], device["unbind"], device["merge"]) == (
        {"distinct_id": "d1"},
        {"distinct_id": "d1"},
        [["distinct_id", "u1"]],
    )
    assert (openid["identities"], openid["unbind"]) == ({"openid": "o1", "distinct_id": "u1"}, {"openid": "o1"})


def test_what_the_sdk_sends_by_itself_is_counted_unless_config_asks_for_it():
    assert translate({**TRACK, "event": "$MPHide"}, NAMING, NOON) == [("unmapped", {"name": "$MPHide"}, {})]
    assert only({**TRACK, "event": "$MPShow"})[1]["type"] == "app_opened"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            {"type": "item_set", "item_type": "deal", "item_id": 7, "properties": {"a": 1}},
            {"type": "deal", "id": "7", "properties": {"a": 1}},
        ),
        ({"type": "item_delete", "item_type": "deal", "item_id": "i1", "properties": {}}, {"type": "deal", "id": "i1", "properties": None}),
    ],
)
def test_an_item_is_set_or_deleted(message, expected):
    assert only(message) == ("item", expected)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (3, "expected an object"),
        ([], "expected an object"),
        ({**TRACK, "type": None}, "type: expected a text"),
        ({**TRACK, "type": ["track"]}, "type: expected a text"),
        ({**TRACK, "type": "track_everything"}, "type: expected one of the SDK's, found track_everything"),
        ({**TRACK, "properties": [1]}, "properties: expected an object"),
        ({**TRACK, "event": {"a": 1}}, "event: expected a text"),
        ({**TRACK, "distinct_id": None}, "distinct_id: expected a text"),
        ({**TRACK, "distinct_id": True}, "distinct_id: expected a text"),
        ({**TRACK, "distinct_id": {"a": 1}}, "distinct_id: expected a text"),
        ({**TRACK, "identities": ["a"]}, "identities: expected an object"),
        ({**TRACK, "identities": {"$identity_mp_id": ["m1"]}}, "identities: expected an object of texts"),
        ({"type": "item_set", "item_type": ["deal"], "item_id": "i1"}, "item_type and item_id"),
        ({"type": "item_set", "item_type": "deal", "item_id": False}, "item_type and item_id"),
    ],
)
def test_a_message_that_is_none_says_what_was_expected(message, reason):
    found = translate(message, NAMING, NOON)

    assert isinstance(found, str)
    assert reason in found


# --- the sender's clock


@pytest.mark.parametrize(
    ("time", "sent", "expected"),
    [
        (NOON, NOON + 5 * SECOND, NOON),  # the way here, not the clock
        (NOON - 2 * HOUR, NOON - 2 * HOUR, NOON),
        (NOON + 2 * HOUR, NOON + 2 * HOUR + 30 * SECOND, NOON - 30 * SECOND),
        (NOON - 3 * HOUR, NOON - HOUR, NOON - 2 * HOUR),
        (5 * SECOND, 8 * SECOND, NOON - 3 * SECOND),  # a clock that began again in 1970
        (NOON, 0, NOON),  # sent before it happened: no time of sending
        (NOON, 2**64 - 1, NOON),
        (NOON, None, NOON),
        (NOON, "soon", NOON),
        ("2026-12-01", NOON - HOUR, "2026-12-01"),
        (True, NOON - HOUR, True),
        (None, NOON, None),
    ],
)
def test_a_time_is_corrected_by_the_senders_own_clock(time, sent, expected):
    assert corrected(time, sent, NOON) == expected


# --- anything


@given(
    any_messages(
        TRACK,
        original_id="d0",
        login_id="u1",
        anonymous_id="a1",
        identities={"$identity_mp_id": "m1"},
        _track_id=7,
        _flush_time=NOON,
        item_type="deal",
        item_id="i1",
    )
)
@example({**TRACK, "time": 2**64 - 1, "_flush_time": 0})
@example({**TRACK, "time": 0, "_flush_time": 2**64 - 1})
@example({**TRACK, "properties": {"": {"": []}}})
def test_any_message_becomes_something_or_is_set_aside(message):
    found = reader().messages([message, TRACK], lambda one: translate(one, NAMING, NOON), "sensors")

    assert is_whole(found, [message, TRACK])
    assert any(event.type == "deal_viewed" and event.data == {"item": "番茄"} for event in found.events)


@pytest.mark.parametrize(
    "kind",
    [
        "profile_set",
        "profile_set_once",
        "profile_increment",
        "profile_append",
        "profile_unset",
        "profile_delete",
        "track_signup",
        "track_id_bind",
        "track_id_unbind",
        "item_set",
        "item_delete",
    ],
)
@given(properties=VALUES, identities=VALUES, original=VALUES)
def test_any_values_in_a_message_of_any_kind_are_no_fault_of_ours(kind, properties, identities, original):
    message = {
        "type": kind,
        "distinct_id": "d1",
        "time": NOON,
        "properties": properties,
        "identities": identities,
        "original_id": original,
        "item_type": "deal",
        "item_id": original,
    }

    found = reader().messages([message], lambda one: translate(one, NAMING, NOON), "sensors")

    assert is_whole(found, [message])
