"""What becomes of one event or user record: taken, taken as now, a duplicate, or set aside with its reason."""

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from runtime.intake.sources import Source
from runtime.quarantine import again, retry, today_of
from runtime.store.inbox import Quarantined
from tests.shop import DEVICE_SECRET
from tests.town import DAY, HOUR, NOON, SECOND, ZONE, audience

NEAR = datetime.fromtimestamp(NOON / 1000, UTC)
DATA = {"order_id": "o1", "amount": "39.90", "item": "车厘子", "unheard": [1]}


def cloud(**attributes):
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop",
        "type": "order_paid",
        "subject": "u1",
        "time": NEAR.isoformat(),
        **attributes,
    }


def cloudevent(data=None, **attributes):
    return CloudEvent({"source": "/shop", "type": "order_paid", "subject": "u1", "id": "1", "time": NEAR, **attributes}, data)


def events(shop, user_id="u1"):
    return [(e["source"], e["event_id"], e["type"], e["time"], e["data"]) for e in shop.story(user_id).events]


TYPED = {"order_id": "o1", "amount": 39.9, "item": "车厘子", "unheard": [1]}


# ---------------------------------------------------------------------------------------------------- shapes


def test_declared_fields_get_their_types_and_others_stay_as_they_are(shop):
    shop.post({"id": "e1", "type": "order_paid", "user_id": "u1", "time": "2026-12-01T11:00", "data": DATA})

    assert events(shop) == [("shop", "e1", "order_paid", NOON - HOUR, TYPED)]


def test_a_declared_field_of_another_type_is_missing(shop):
    shop.post({"id": "e1", "type": "order_paid", "user_id": "u1", "data": {"amount": "a lot", "item": {"no": "text"}}})

    assert events(shop)[0][4] == {}


def test_a_structured_cloudevent_is_an_event_of_its_subject(shop):
    message = to_structured_event(cloudevent(DATA, subject="李 阿姨"))

    shop.send(message.body, headers=message.headers)

    assert events(shop, "李 阿姨") == [("shop", "/shop#1", "order_paid", NOON, TYPED)]


def test_a_binary_cloudevent_is_the_same_event(shop):
    structured, binary = to_structured_event(cloudevent(DATA, subject="李 a%b")), to_binary_event(cloudevent(DATA, subject="李 a%b"))

    first = shop.send(structured.body, headers=structured.headers)
    second = shop.send(binary.body, headers=binary.headers)

    assert (first.json()["accepted"], second.json()["duplicates"]) == (1, 1)
    assert events(shop, "李 a%b") == [("shop", "/shop#1", "order_paid", NOON, TYPED)]


def test_a_binary_cloudevent_can_be_made_alone(shop):
    message = to_binary_event(cloudevent(DATA, subject="李 a%b"))

    assert shop.send(message.body, headers=message.headers).json() == {"accepted": 1, "duplicates": 0, "quarantined": 0}
    assert events(shop, "李 a%b") == [("shop", "/shop#1", "order_paid", NOON, TYPED)]


def test_a_binary_cloudevent_without_data_is_an_event_without_data(shop):
    message = to_binary_event(cloudevent(None, type="app_opened"))
    assert message.body == b""

    assert shop.send(message.body, headers=message.headers).json() == {"accepted": 1, "duplicates": 0, "quarantined": 0}
    assert events(shop) == [("shop", "/shop#1", "app_opened", NOON, {})]


def test_an_empty_body_that_is_no_cloudevent_is_no_json(shop):
    assert (shop.send(b"").status_code, shop.send(b"").json()["error"]) == (400, "bad_json")


def test_a_batch_of_cloudevents_may_hold_plain_events_too(shop):
    batch = [json.loads(to_structured_event(cloudevent({}, id=str(n))).body) for n in range(3)]
    plain = {"id": "/shop#0", "type": "order_paid", "user_id": "u1"}  # the same key as the first: source and id make it

    answer = shop.post([*batch, plain], headers={"content-type": "application/cloudevents-batch+json"})

    assert (answer["accepted"], answer["duplicates"]) == (3, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, "specversion: expected 1.0, found 0.3"),
        ({"specversion": None}, "specversion: expected 1.0, found None"),
        ({"source": ""}, "a CloudEvent needs source and id"),
        ({"source": None}, "a CloudEvent needs source and id"),
        ({"id": ""}, "a CloudEvent needs source and id"),
        ({"id": 7}, "a CloudEvent needs source and id"),
        ({"subject": None}, "subject: expected a text of 1 to 256 characters"),
        ({"data_base64": "AAAA"}, "data_base64: expected data as JSON"),
        ({"data": "text"}, "data: expected an object"),
        ({"id": "x" * 252}, "source and id: expected at most 255 characters together"),
        ({"type": None}, "type: expected a text of 1 to 256 characters"),
    ],
)
def test_a_cloudevent_that_is_none_is_set_aside(shop, changes, reason):
    answer = shop.post(cloud(**changes))

    assert (answer["quarantined"], answer["reasons"][0]["reason"]) == (1, reason)


def test_long_ids_of_cloudevents_are_never_cut_into_the_same_key(shop):
    far = "/" + "s" * 248

    answer = shop.post([cloud(source=far, id=f"long{n}") for n in range(2)] + [cloud(source=far, id=f"{n}") for n in range(2)])

    assert (answer["accepted"], answer["duplicates"]) == (4, 0)


def test_two_cloudevents_are_never_one_wherever_a_number_sign_stands(either):
    pairs = [("/till#2", "7"), ("/till", "2#7"), ("/till#", "2#7"), ("#7#/till", "2#7"), ("/till#2#", "7"), ("/till", "#2#7")]

    answer = either.post([cloud(source=source, id=id_) for source, id_ in pairs] * 2)

    assert (answer["accepted"], answer["duplicates"]) == (6, 6)
    assert {e[1] for e in events(either)} >= {"/till#2#7", "/till##2#7", "#7#/till#2#7"}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "an event is an object {id, type, user_id, time, data}"),
        ([], "an event is an object {id, type, user_id, time, data}"),
        ({"user_id": "u1"}, "type: expected a text of 1 to 256 characters"),
        ({"user_id": "u1", "type": ""}, "type: expected a text of 1 to 256 characters"),
        ({"user_id": "u1", "type": 5}, "type: expected a text of 1 to 256 characters"),
        ({"user_id": "u1", "type": "t" * 257}, "type: expected a text of 1 to 256 characters"),
        ({"type": "app_opened"}, "user_id: expected a text of 1 to 256 characters"),
        ({"type": "app_opened", "user_id": " "}, "user_id: expected a text of 1 to 256 characters"),
        ({"type": "app_opened", "user_id": "u" * 257}, "user_id: expected a text of 1 to 256 characters"),
        ({"type": "app_opened", "user_id": True}, "user_id: expected a text of 1 to 256 characters"),
        ({"type": "app_opened", "user_id": "u1", "id": ""}, "id: expected a text of 1 to 256 characters"),
        ({"type": "app_opened", "user_id": "u1", "id": {}}, "id: expected a text of 1 to 256 characters"),
        ({"type": "app_opened", "user_id": "u1", "data": []}, "data: expected an object"),
        ({"type": "stage_changed", "user_id": "u1"}, "type stage_changed is the system's own"),
        ({"type": "segment_entered", "user_id": "u1"}, "type segment_entered is the system's own"),
        ({"type": "segment_left", "user_id": "u1"}, "type segment_left is the system's own"),
        ({"type": "journey_ended", "user_id": "u1"}, "type journey_ended is the system's own"),
        ({"type": "consent_withdrawn", "user_id": "u1"}, "type consent_withdrawn is the system's own"),  # a record withdraws it
        ({"type": "$user", "user_id": "u1"}, "type $user is the system's own"),
    ],
)
def test_an_event_that_is_none_is_set_aside_and_answered_200(shop, item, reason):
    answer = shop.post([item])

    assert answer == {"accepted": 0, "duplicates": 0, "quarantined": 1, "reasons": [{"index": 0, "reason": reason}]}
    assert shop.quarantined()[0]["reason"] == reason


def test_numeric_ids_are_texts(shop):
    shop.post({"id": 7, "type": "app_opened", "user_id": 42})

    assert events(shop, "42") == [("shop", "7", "app_opened", NOON, {})]


# ---------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (None, NOON),  # none is now
        ("2026-12-01 11:00", NOON - HOUR),  # the project's zone
        ("2026-12-01T11:00:00Z", NOON + 7 * HOUR),  # within a day ahead: kept as now
        ("2026-12-01T03:00:00.5Z", NOON - HOUR + 500),
        (NOON // SECOND - 60, NOON - 60 * SECOND),  # epoch seconds
        (NOON - 60 * SECOND, NOON - 60 * SECOND),  # epoch milliseconds
        ("2000-01-01T00:00:00Z", 946_684_800_000),  # the earliest that is taken
        (NOON + DAY, NOON),  # a day ahead, to the millisecond: a clock that runs ahead
    ],
)
def test_the_time_of_an_event_is_never_after_its_receipt(shop, time, expected):
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1", "time": time})

    assert events(shop)[0][3] == min(expected, NOON)


@pytest.mark.parametrize("time", [NOON + DAY + 1, "2026-12-03", "2099-01-01T00:00:00Z"])
def test_an_event_of_more_than_a_day_ahead_is_set_aside(shop, time):
    answer = shop.post({"id": "e1", "type": "app_opened", "user_id": "u1", "time": time})

    assert answer["reasons"][0]["reason"].endswith("is more than a day ahead of its receipt")


@pytest.mark.parametrize("time", [0, 5, 946_684_799, "1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999Z", "1900-01-01T00:00:00Z"])
def test_an_event_of_a_clock_that_was_never_set_is_set_aside(shop, time):
    answer = shop.post({"id": "e1", "type": "app_opened", "user_id": "u1", "time": time})

    reason = f"time: {time} is before 2000: a clock that was never set; history goes in by journeyd import (without --live)"
    assert (answer["accepted"], answer["reasons"]) == (0, [{"index": 0, "reason": reason}])


@pytest.mark.parametrize("time", ["", "soon", "2026-13-01", "12/01/2026", -1, 1e300, True, False, [], {}, "9999-99-99", "2101-01-01"])
def test_a_time_that_is_none_is_set_aside(shop, time):
    answer = shop.post({"id": "e1", "type": "app_opened", "user_id": "u1", "time": time})

    assert answer["reasons"][0]["reason"].startswith("time: expected ISO 8601 or epoch seconds")


# ---------------------------------------------------------------------------------------------------- identity


def test_the_same_id_from_the_same_source_is_a_duplicate_whatever_it_says(shop):
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})

    again = shop.post({"id": "e1", "type": "order_paid", "user_id": "u2"})

    assert again == {"accepted": 0, "duplicates": 1, "quarantined": 0}
    assert shop.story("u2").events == []


def test_the_same_id_from_another_source_is_another_event(shop):
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})

    other = shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"}, secret=DEVICE_SECRET)

    assert other["accepted"] == 1
    assert [e[0] for e in events(shop)] == ["shop", "device"]


def test_events_without_ids_are_known_by_their_request(shop):
    items = [{"type": "app_opened", "user_id": "u1"}] * 2

    first, again, other = shop.post(items, request_id="m1"), shop.post(items, request_id="m1"), shop.post(items, request_id="m2")

    assert [a["accepted"] for a in (first, again, other)] == [2, 0, 2]


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/v1/events", {"type": "app_opened", "user_id": "u1", "time": "2026-12-03T12:00:00+08:00"}),
        ("/v1/users", {"user_id": "u1", "increment": {"points": 5}, "zone": "Mars/Base"}),
    ],
)
def test_what_was_set_aside_without_an_id_and_sent_again_is_taken_once(shop, path, item):
    for _ in range(2):
        shop.post([item, item], path, request_id="m1")
    named = [json.loads(row["body"]) for row in shop.quarantined()]
    mended = [json.dumps({**one, "zone": "Asia/Shanghai"} if "zone" in one else one) for one in named]
    today = today_of(shop.app, NOON + 2 * DAY)

    found = [again("shop", row["kind"], body, today) for row, body in zip(shop.quarantined(), mended, strict=True)]

    assert {e.id for one in found for e in one.events} | {r.id for one in found for r in one.records} in (
        {"m1:0", "m1:1"},
        {"user:m1:0", "user:m1:1"},
    )


@pytest.mark.parametrize(
    ("type_", "is_taken"),
    [("app_opened", True), ("app_closed", True), ("deal_viewed", True), ("order_paid", False), ("consent_given", False)],
)
def test_a_source_asserts_only_what_it_may(shop, type_, is_taken):
    answer = shop.post({"type": type_, "user_id": "u1"}, secret=DEVICE_SECRET)

    assert answer["accepted"] == int(is_taken)
    assert is_taken or answer["reasons"][0]["reason"] == f"source device may not assert {type_}"


# ---------------------------------------------------------------------------------------------------- users


def test_a_user_record_is_projected_by_the_next_tick(shop):
    record = {"user_id": "u1", "traits": {"city": "上海", "points": "12", "unheard": 1}, "tags": ["vip"], "zone": "Asia/Urumqi",
              "identities": {"phone": "+8613900000000"}, "consents": {"sms": {"service": True, "marketing": False}}}  # fmt: skip

    assert shop.post(record, "/v1/users")["accepted"] == 1
    shop.settle()

    with shop.app.store.database.reading() as tx:
        user = shop.app.store.people.load_users(tx, ["u1"])["u1"]
    assert user.profile["t"] == ["vip"]
    assert (user.profile["p"]["city"], user.profile["p"]["points"]) == ("上海", 12)
    assert str(user.zone) == "Asia/Urumqi"
    assert user.reach["consents"] == {"sms": {"service": True, "marketing": False}}
    assert user.reach["identities"] == {"phone": "+8613900000000"}


@pytest.mark.parametrize("at", [None, "yesterday", ""])
def test_an_answer_without_a_readable_time_has_none_so_that_the_order_of_the_inbox_counts(at):
    said = {"granted": False, "wording": "退订", "at": at}
    reader = Source("shop", "webhook", True, ("*",), ZONE).reader(audience(), NOON, "r")

    [record] = reader.records({"user_id": "u1", "consents": {"sms": {"marketing": said, "service": True}}}).records

    assert record.payload["consents"] == {"sms": {"marketing": {"granted": False, "wording": "退订"}, "service": True}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"user_id": ""},
            "user_id: expected a text of 1 to 256 characters, or identities with one of unionid, openid, push_id, distinct_id",
        ),
        ({"traits": []}, "traits: expected an object"),
        ({"identities": "x"}, "identities: expected an object"),
        ({"consents": 1}, "consents: expected an object"),
        ({"tags": "vip"}, "tags: expected a list of texts"),
        ({"tags": [1]}, "tags: expected a list of texts"),
        ({"remove_tags": [""]}, "remove_tags: expected a list of texts"),
        ({"identities": {"phone": 139}}, "identities: expected texts"),
        ({"identities": {"k" * 33: "v"}}, "identities: expected kinds of 1 to 32 characters"),
        ({"identities": {"": "v"}}, "identities: expected kinds of 1 to 32 characters"),
        ({"consents": {"wechet": {"service": True}}}, "consents.wechet: there is no such channel, did you mean wechat?"),
        (
            {"consents": {"fax": {"service": True}}},
            "consents.fax: there is no such channel; there are wechat, sms, push, wecom, email",
        ),
        ({"identities": {"phone": "abc"}}, "identities.phone: expected a phone number, such as 13800138000 or +85251234567"),
        (
            {"consents": {"sms": True}},
            "consents.sms: expected {service: true|false, marketing: true|false or {granted, source, wording, at}}",
        ),
        (
            {"consents": {"sms": {"marketing": "yes"}}},
            "consents.sms: expected {service: true|false, marketing: true|false or {granted, source, wording, at}}",
        ),
        (
            {"consents": {"sms": {"marketting": True}}},
            "consents.sms.marketting: there is no such purpose, did you mean marketing?",
        ),
        ({"tags": ["vip", "t" * 8192]}, "user.tags: expected at most 8192 bytes altogether"),
        ({"remove_tags": ["t" * 8193]}, "user.remove_tags: expected at most 8192 bytes altogether"),
        ({"zone": "Mars/Base"}, "zone: expected an IANA zone such as Asia/Shanghai"),
        ({"zone": "../../etc/passwd"}, "zone: expected an IANA zone such as Asia/Shanghai"),
        ({"zone": "x" * 5000}, "zone: expected an IANA zone such as Asia/Shanghai"),
        ({"zone": 8}, "zone: expected an IANA zone such as Asia/Shanghai"),
    ],
)
def test_a_user_record_that_is_none_is_set_aside_beside_good_ones(shop, changes, reason):
    answer = shop.post([{"user_id": "u1", **changes}, {"user_id": "u2"}], "/v1/users")

    assert answer == {"accepted": 1, "duplicates": 0, "quarantined": 1, "reasons": [{"index": 0, "reason": reason}]}


# ---------------------------------------------------------------------------------------------------- what does not fit


def misfits(shop):
    with shop.app.store.database.reading() as tx:
        return sorted((row["name"], row["expected"], row["found"], row["n"]) for row in shop.app.store.arrivals.misfits(tx))


def test_a_field_that_is_not_of_its_type_is_shown_with_the_type_that_came_and_the_event_is_kept(shop):
    for n, amount in enumerate(["abc", ["9"], 9, None]):
        shop.post({"id": f"e{n}", "type": "order_paid", "user_id": "u1", "data": {"amount": amount, "item": "车厘子"}})

    assert misfits(shop) == [("order_paid.amount", "number", "list", 2)]
    assert shop.total("events") == 4


def test_traits_that_do_not_fit_are_shown_by_the_name_that_rules_have_for_them(shop):
    shop.post({"user_id": "u1", "traits": {"birthday": "32-13", "city": "上海", "booked_at": "soon"}, "set_once": {"birthday": "1990-02-30"},
               "increment": {"points": "many"}, "append": {"city": "杭州"}}, "/v1/users")  # fmt: skip

    assert misfits(shop) == [
        ("user.birthday", "anniversary", "text", 2), ("user.booked_at", "time", "text", 1), ("user.city", "text", "text", 1),
        ("user.points", "number", "text", 1),
    ]  # fmt: skip


def test_keys_and_kinds_of_identities_that_nothing_reads_are_shown(shop):
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1", "foo": 1, "properties": {}})
    shop.post({"user_id": "u1", "trait": {"city": "上海"}, "identities": {"mail": "a@b.c", "email": "a@b.c"}}, "/v1/users")
    message = to_structured_event(cloudevent(DATA))
    shop.send(json.dumps({**json.loads(message.body), "traceparent": "00-1"}).encode(), headers=message.headers)

    assert [name for name, expected, _, _ in misfits(shop) if expected == "key"] == [
        "event.foo", "event.properties", "identities.mail", "record.trait",
    ]  # fmt: skip


def test_what_fits_is_no_news(shop):
    shop.post({"id": "e1", "type": "order_paid", "user_id": "u1", "time": NOON, "identities": {"openid": "o1"}, "data": {"amount": "39.9"}})
    shop.post({"id": "r1", "user_id": "u1", "traits": {"birthday": "02-29", "points": "3", "city": None}, "tags": ["vip"], "zone": "Asia/Tokyo",
               "consents": {"sms": {"service": True}}, "identities": {"wecom_id": "w1", "phone": None}}, "/v1/users")  # fmt: skip

    assert misfits(shop) == []


PHONE = "identities.phone: expected a phone number, such as 13800138000 or +85251234567"


def test_a_phone_that_is_no_number_is_set_aside_by_itself_and_replaces_none(either):
    either.post({"user_id": "u1", "identities": {"phone": "13800138000"}}, "/v1/users")
    answer = either.post({"user_id": "u1", "identities": {"phone": "12345", "email": "a@b.c"}, "traits": {"city": "上海"}}, "/v1/users")

    assert answer == {"accepted": 1, "duplicates": 0, "quarantined": 1, "reasons": [{"index": 0, "reason": PHONE}]}
    either.settle()
    with either.app.store.database.reading() as tx:
        user = either.app.store.people.load_users(tx, ["u1"])["u1"]
        assert either.app.store.contacts.whose(tx, "phone", "12345") == []
    assert user.reach["identities"] == {"phone": "+8613800138000", "email": "a@b.c"}
    assert user.profile["p"] == {"city": "上海"}
    [row] = either.quarantined()
    assert (row["kind"], row["user_id"], json.loads(row["body"])) == ("user", "u1", {"user_id": "u1", "identities": {"phone": "12345"}})
    assert [r.outcome for r in retry(either.app.store, [row["id"]], today_of(either.app, NOON))] == ["left"]
    assert len(either.quarantined()) == 1


def test_a_record_that_was_set_aside_is_taken_without_a_phone_that_is_none(shop):
    with_phone = {"user_id": "u1", "identities": {"phone": "abc"}, "traits": {"city": "上海"}}
    shop.app.store.database.write(
        lambda tx: shop.app.store.inbox.quarantine(tx, [Quarantined("shop", "was bad then", json.dumps(with_phone), "u1", "user")], NOON)
    )

    assert [r.outcome for r in retry(shop.app.store, [shop.quarantined()[0]["id"]], today_of(shop.app, NOON))] == ["taken"]
    assert [row["reason"] for row in shop.quarantined()] == [PHONE]


def test_an_event_keeps_its_user_where_her_phone_is_no_number(shop):
    answer = shop.post({"id": "e1", "type": "app_opened", "identities": {"openid": "o1", "phone": "abc"}})

    assert (answer["accepted"], answer["quarantined"]) == (1, 1)
    assert [e["event_id"] for e in shop.story("openid:o1").events] == ["e1"]
    assert json.loads(shop.quarantined()[0]["body"]) == {"identities": {"openid": "o1", "phone": "abc"}}


@pytest.mark.parametrize("phone", ["13800138000", "+85251234567", "+15005550006", "010-88886666", "+447911123456", "8613800138000"])
def test_numbers_from_abroad_of_landlines_and_for_tests_are_phones(shop, phone):
    assert shop.post({"user_id": "u1", "identities": {"phone": phone}}, "/v1/users")["quarantined"] == 0


def test_the_longest_names_that_a_user_record_may_have_are_kept(either):
    longest = {"identities": {"k" * 32: "v"}, "tags": ["t" * 8000]}

    answer = either.post({"user_id": "u1", **longest}, "/v1/users")

    assert answer == {"accepted": 1, "duplicates": 0, "quarantined": 0}


LONG = "好" * 2730 + "xx"  # 8192 bytes


@pytest.mark.parametrize(("field", "value"), [("item", LONG + "x"), ("item", "x" * 8193), ("friend_ids", ["x" * 1000] * 9)])
def test_an_event_with_a_long_text_in_a_declared_field_is_set_aside(either, field, value):
    type_ = "order_paid" if field == "item" else "friend_woken"
    answer = either.post([{"id": f"e{n}", "type": type_, "user_id": "u1", "data": {field: v}} for n, v in enumerate((value, value[:7]))])

    assert (answer["accepted"], answer["quarantined"]) == (1, 1)
    assert answer["reasons"][0]["reason"].startswith(f"data.{field}: expected at most 8192 bytes")
    assert json.loads(either.quarantined()[0]["body"])["data"] == {field: value}


def test_a_text_as_long_as_may_be_and_any_undeclared_one_are_taken(shop):
    data = {"item": LONG, "unheard": LONG * 2}

    assert shop.post({"id": "e1", "type": "order_paid", "user_id": "u1", "data": data})["accepted"] == 1
    assert events(shop)[0][4] == data


@pytest.mark.parametrize("change", ["traits", "set_once", "append"])
@pytest.mark.parametrize("trait", ["city", "unheard"])
def test_a_record_with_a_long_trait_is_set_aside(shop, change, trait):
    answer = shop.post([{"user_id": "u1", change: {trait: text}} for text in (LONG + "x", LONG)], "/v1/users")

    assert answer["reasons"] == [{"index": 0, "reason": f"{change}.{trait}: expected at most 8192 bytes of text"}]


def test_a_user_record_is_taken_once_per_id(shop):
    record = {"id": "r1", "user_id": "u1", "tags": ["a"]}

    assert [shop.post(record, "/v1/users")["accepted"] for _ in range(2)] == [1, 0]
