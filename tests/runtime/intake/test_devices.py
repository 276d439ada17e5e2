"""What devices say of payments, contacts and other people is not believed; what a server's key says is."""

import json

import pytest

from tests.runtime.intake.anything import reader
from tests.runtime.intake.sdk import OPENED, SDK_CONFIG, SHOW, VISIT, profile, segment, sensors, stored
from tests.town import NOON

SHOP_CONFIG = SDK_CONFIG


@pytest.mark.parametrize(
    "type_",
    [
        "order_paid",
        "coupon_issued",
        "benefit_granted",
        "consent_given",
        "member_upgraded",
        "complaint_resolved",
        "subscription",
        "group_opened",
        "segment_entered",
    ],
)
def test_a_device_asserts_only_what_it_may(shop, type_):
    answers = [
        sensors(shop, {**SHOW, "event": type_}),
        shop.client.post("/v3/projects/g1/collect", content=json.dumps([{**VISIT, "eventType": "CUSTOM", "eventName": type_}]).encode()),
        segment(shop, {"batch": [{**OPENED, "event": type_}]}),
    ]

    assert [answer.json()["quarantined"] for answer in answers] == [1, 1, 1]
    assert shop.total("events") == 0


def test_a_server_side_write_key_is_a_proof(shop):
    answer = segment(
        shop,
        {
            "batch": [
                {"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1", "properties": {"total": 5}},
                {"type": "identify", "userId": "u1", "traits": {"phone": "13800138000"}},
            ]
        },
        key="shop",
    )

    assert answer.json() == {"success": True}
    shop.settle()
    assert stored(shop)[0] == ("server", "m1", "order_paid", "u1")
    assert profile(shop, "u1") == ({}, {"phone": "+8613800138000"})


def test_a_device_gives_traits_that_config_takes_and_no_contacts(shop):
    segment(shop, {"batch": [{"type": "identify", "userId": "u1", "traits": {"city": "上海", "level": "gold", "phone": "13800138000"}}]})

    shop.settle()
    assert profile(shop, "u1") == ({"city": "上海"}, {})
    with shop.app.store.database.reading() as tx:
        assert [(row["source"], row["kind"], row["name"]) for row in shop.app.store.arrivals.unmapped(tx)] == [("site", "trait", "level")]


def test_a_trait_that_config_takes_from_a_device_and_no_rule_knows_is_kept_and_shown():
    record = {"user_id": "u1", "traits": {"city": "上海", "hat": "红", "shoe": 7}}

    parsed = reader(traits=frozenset({"city", "hat"})).records(record)

    assert parsed.records[0].payload["traits"] == {"city": "上海", "hat": "红"}
    assert parsed.unmapped == {("trait", "hat"): 1, ("trait", "shoe"): 1}


def test_what_a_device_calls_a_phone_and_is_none_is_shown_and_fills_no_quarantine(shop):
    segment(shop, {"batch": [{"type": "identify", "userId": "u1", "traits": {"city": "上海", "phone": "abc"}}]})

    with shop.app.store.database.reading() as tx:
        assert [(row["source"], row["name"], row["expected"]) for row in shop.app.store.arrivals.misfits(tx)] == [
            ("site", "identities.phone", "phone")
        ]
    assert (shop.quarantined(), shop.total("users")) == ([], 1)


def test_a_device_cannot_take_over_an_openid_that_nobody_logged_in_with(shop):
    shop.post({"id": "e1", "type": "app_opened", "identities": {"openid": "o1"}})

    sensors(
        shop,
        {**SHOW, "distinct_id": "thief", "login_id": "thief", "identities": {"$identity_login_id": "thief", "$identity_mp_openid": "o1"}},
    )
    shop.settle()
    shop.post({"id": "e2", "type": "app_opened", "user_id": "u1", "identities": {"openid": "o1"}})
    shop.settle()

    assert [(event_id, user) for _, event_id, type_, user in stored(shop) if type_ == "app_opened" and user != "thief"] == [
        ("e1", "u1"),
        ("e2", "u1"),
    ]


def test_an_alias_of_a_device_takes_over_nobody_who_is_known_or_will_be(shop):
    shop.post({"user_id": "u1"}, "/v1/users")

    segment(shop, {"batch": [{"type": "alias", "userId": "thief", "previousId": before, "messageId": before} for before in ("u1", "u2")]})
    shop.settle()
    shop.post([{"id": f"e{n}", "type": "app_opened", "user_id": f"u{n}"} for n in (1, 2)])

    assert [(event_id, user) for _, event_id, type_, user in stored(shop) if type_ == "app_opened"] == [("e1", "u1"), ("e2", "u2")]
    assert [row["kind"] for row in shop.quarantined()] == ["identity"]


def test_a_second_login_on_one_phone_merges_nobody_however_soon_it_comes(shop):
    phone = {"$identity_mp_id": "d1", "$identity_anonymous_id": "d1"}
    logins = [{"type": "track_signup", "event": "$SignUp", "time": NOON + n, "distinct_id": user, "original_id": "d1", "properties": {},
               "identities": {**phone, "$identity_login_id": user}} for n, user in enumerate(("u1", "u2"))]  # fmt: skip

    sensors(shop, [SHOW, *logins])
    shop.settle()

    with shop.app.store.database.reading() as tx:
        assert shop.app.store.identity.survivors(tx, ["distinct_id:d1", "u1", "u2"]) == {"distinct_id:d1": "u1"}
    assert [row["kind"] for row in shop.quarantined()] == ["identity"]


def test_a_device_makes_no_profile_heavy(either):
    long = "x" * 20_000
    segment(either, {"batch": [{"type": "identify", "userId": "u1", "messageId": "m1", "traits": {"city": long, "avatar": long}}]})
    segment(either, {"batch": [{"type": "identify", "userId": "u1", "messageId": "m2", "traits": {"city": "上海", "avatar": long}}]})

    either.settle()
    assert [row["reason"] for row in either.quarantined()] == ["traits.city: expected at most 8192 bytes of text"]
    assert profile(either, "u1")[0] == {"city": "上海"}  # config does not take the other one


OWN = ["openid:o1", "unionid:x1", "push_id:p1", "distinct_id:d9", "phone:+8613800138000", "email:a@b.c"]


@pytest.mark.parametrize("own", OWN)
def test_a_device_names_nobody_by_an_id_that_we_made(either, own):
    kind, _, value = own.partition(":")
    either.post({"id": "e1", "type": "order_paid", "identities": {kind: value, "openid": "o1"}})
    calls = [
        {**OPENED, "userId": own, "messageId": "m1"},
        {**OPENED, "userId": own, "anonymousId": None, "messageId": "m2"},
        {"type": "identify", "userId": own, "messageId": "m3"},
        {"type": "alias", "userId": "thief", "previousId": own, "messageId": "m4"},
    ]

    answers = [
        segment(either, {"batch": calls}),
        sensors(either, {**SHOW, "login_id": own}),
        sensors(either, {**SHOW, "type": "track_signup", "event": "$SignUp", "distinct_id": "thief", "original_id": own}),
        either.client.post("/v3/projects/g1/collect", content=json.dumps([{**VISIT, "userId": own}]).encode()),
    ]

    assert [answer.json()["quarantined"] for answer in answers] == [4, 1, 1, 1]
    assert {row["reason"].partition(" is ")[2] for row in either.quarantined()} == {
        "an id of ours; a source that is not signed may not name it"
    }
    assert [event for event in stored(either) if event[2] != "$user"] == [("shop", "e1", "order_paid", stored(either)[0][3])]


def test_an_alias_joins_a_device_and_no_owner_of_an_openid(either):
    either.post({"id": "e1", "type": "order_paid", "identities": {"openid": "o1"}})
    segment(either, {"batch": [OPENED]})

    before = ("d1", "openid:o1")
    segment(either, {"batch": [{"type": "alias", "userId": "u1", "previousId": one, "messageId": one} for one in before]})
    either.settle()

    assert [(type_, user) for _, _, type_, user in stored(either) if type_ != "$user"] == [
        ("order_paid", "openid:o1"),
        ("app_opened", "u1"),
    ]


def test_what_is_signed_may_name_our_ids(shop):
    shop.post({"id": "e1", "type": "order_paid", "identities": {"openid": "o1"}})

    assert shop.post({"id": "e2", "type": "app_opened", "user_id": "openid:o1"})["accepted"] == 1
    assert segment(shop, {"batch": [{**OPENED, "userId": "openid:o1"}]}, key="shop").json() == {"success": True}
