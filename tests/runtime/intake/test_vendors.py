"""What analytics SDKs post, over HTTP: 200 and nothing lost, whatever it is; what devices may not say is not believed."""

import base64
import gzip
import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.intake.http import MOST_OF_STRANGERS
from runtime.intake.vendors import again_of
from tests.runtime.intake.anything import VALUES
from tests.shop import CONFIG, Shop
from tests.town import AUDIENCE, DAY, NOON

SOURCES = """
[intake.sources.app]
kind = "sensors"
traits = {City = "city"}
[intake.sources.backend]
kind = "sensors"
project = "shop"
tokens = ["file:secrets/old"]
events = {ViewDeal = "deal_viewed"}
[intake.sources.growing]
kind = "growingio"
project = "g1"
traits = {city = "city", booked = "booked_at"}
[intake.sources.site]
kind = "segment"
write_keys = ["file:secrets/device"]
traits = {city = "city"}
[intake.sources.server]
kind = "segment"
write_keys = ["file:secrets/shop"]
server_side = true
"""
SHOW = {"type": "track", "event": "$MPShow", "distinct_id": "d1", "time": NOON, "properties": {}}
VISIT = {"eventType": "VISIT", "timestamp": NOON, "deviceId": "d1"}
OPENED = {"type": "track", "event": "Application Opened", "anonymousId": "d1", "messageId": "m1"}


@pytest.fixture
def shop(tmp_path, new_sqlite):
    opened = Shop(
        tmp_path / "shop", url=new_sqlite, config=CONFIG.replace("[channels.wechat.templates]", SOURCES + "[channels.wechat.templates]")
    )
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request, tmp_path):
    url = request.getfixturevalue("new_sqlite" if request.param == "sqlite" else "new_postgres")
    opened = Shop(tmp_path / "shop", url=url, config=CONFIG.replace("[channels.wechat.templates]", SOURCES + "[channels.wechat.templates]"))
    yield opened
    opened.close()


def secret(shop, name):
    return (shop.folder / "secrets" / name).read_text().strip()


def sensors(shop, value, path="/sa", headers=None):
    packed = base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()
    kind = "data_list" if isinstance(value, list) else "data"
    return shop.client.post(path, content=f"{kind}={quote(packed, safe='')}&gzip=1".encode(), headers=headers or {})


def segment(shop, value, path="/v1/batch", key="device"):
    basic = base64.b64encode(f"{secret(shop, key)}:".encode()).decode()
    return shop.client.post(path, content=json.dumps(value).encode(), headers={"authorization": f"Basic {basic}"})


def stored(shop):
    """All events, as (source, id, type, user)."""
    with shop.app.store.database.reading() as tx:
        return [tuple(row) for row in tx.exec_driver_sql("SELECT source, event_id, type, user_id FROM events ORDER BY id")]


def profile(shop, user_id):
    """What is known of a user: her traits, and her addresses by kind."""
    with shop.app.store.database.reading() as tx:
        user = shop.app.store.people.load_users(tx, [user_id])[user_id]
    return user.profile.get("p", {}), user.reach.get("identities", {})


# --- the way in


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/v3/projects/g1/collect", [VISIT]), ("/projects/g1/collect/item", [{"key": "deal", "id": "i1"}]), ("/v1/batch", {"batch": [OPENED]}),
        ("/v1/track", OPENED), ("/v1/page", OPENED), ("/v1/screen", OPENED), ("/v1/identify", OPENED), ("/v1/group", OPENED), ("/v1/alias", {**OPENED, "userId": "u1", "previousId": "d1"}),
    ],
)  # fmt: skip
def test_every_path_answers_200_with_and_without_a_slash_and_sends_nobody_elsewhere(shop, path, value, slash):
    answer = segment(shop, value, path + slash)

    assert (answer.status_code, answer.history, answer.headers["content-type"]) == (200, [], "application/json")


@pytest.mark.parametrize("path", ["/sa", "/sa/", "/sa.gif", "/sa.gif/", "/debug", "/debug/"])
def test_sensors_takes_a_form_and_a_query_with_and_without_a_slash(shop, path):
    plain = quote(base64.b64encode(json.dumps({**SHOW, "distinct_id": "d2"}).encode()).decode(), safe="")

    posted, got = sensors(shop, SHOW, path), shop.client.get(f"{path}?data={plain}")

    assert [(a.status_code, a.json(), a.history) for a in (posted, got)] == [(200, {"success": True}, [])] * 2
    assert shop.total("events") == 2


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "image/gif; charset=gbk", "multipart/form-data"])
def test_a_form_is_a_form_whatever_its_content_type_says(shop, kind):
    assert sensors(shop, SHOW, headers={"content-type": kind}).json() == {"success": True}


def test_json_may_be_compressed_with_and_without_saying_so(shop):
    body = gzip.compress(json.dumps([VISIT]).encode())

    answers = [shop.client.post("/v3/projects/g1/collect", content=body, headers=h) for h in ({}, {"content-encoding": "gzip"})]

    assert [answer.json() for answer in answers] == [{"success": True}] * 2
    assert shop.total("events") == 1


def test_the_write_key_may_stand_in_the_body(shop):
    body = {"batch": [OPENED], "writeKey": secret(shop, "device")}

    assert shop.client.post("/v1/batch", content=json.dumps(body).encode()).json() == {"success": True}


# --- whose it is


@pytest.mark.parametrize(
    ("path", "project", "source"),
    [
        ("/sa", None, "app"),
        ("/sa?project=default", None, "app"),
        ("/sa?project=shop", None, "backend"),
        ("/sa", "shop", "backend"),
        ("/sa?project=default", "shop", "backend"),
        ("/sa?project=shop", "default", "app"),
    ],
)
def test_the_project_of_a_message_goes_before_that_of_the_query(shop, path, project, source):
    message = {**SHOW, "token": secret(shop, "old"), **({"project": project} if project else {})}

    sensors(shop, [message], path)

    assert shop.quarantined() == []
    assert [event[0] for event in stored(shop)] == [source]


def test_messages_of_two_projects_in_one_request_are_told_apart(shop):
    sensors(shop, [SHOW, {**SHOW, "project": "elsewhere"}])

    assert [row["reason"] for row in shop.quarantined()] == ["project: expected default, found elsewhere"]
    assert shop.total("events") == 1


@pytest.mark.parametrize("token", [None, "guess", ["list"], {"a": 1}])
def test_a_wrong_token_is_set_aside(shop, token):
    answer = sensors(shop, {**SHOW, "token": token}, "/sa?project=shop")

    assert (answer.status_code, answer.json()["quarantined"]) == (200, 1)
    assert shop.quarantined()[0]["reason"] == "token: it is none of this source's"


KEY = "no source of kind segment in config has its write key"


@pytest.mark.parametrize(
    ("path", "body", "headers", "reason"),
    [
        ("/sa?project=nobody", b"data=e30%3D", {}, "no source of kind sensors in config has the project 'nobody'"),
        ("/sa?project=a%00b", b"data=e30%3D", {}, "no source of kind sensors in config has the project 'a�b'"),
        ("/v3/projects/a%00b/collect", b"[]", {}, "no source of kind growingio in config has the project 'a�b'"),
        ("/v3/projects/a%3Fb/collect", b"[]", {}, "no source of kind growingio in config has the project 'a?b'"),
        ("/v1/batch", b'{"writeKey": "guess"}', {}, KEY),
        ("/v1/batch", b'{"writeKey": ["guess"]}', {}, KEY),
        ("/v1/batch", b"[]", {}, KEY),
        ("/v1/batch", b"{}", {"authorization": "Basic %%%"}, KEY),
        ("/v1/batch", b"{}", {"authorization": b"Basic \xe9"}, KEY),
    ],
)
def test_who_is_unknown_is_answered_200_and_kept(either, path, body, headers, reason):
    answer = either.client.post(path, content=body, headers=headers)

    assert (answer.status_code, answer.json()["reason"]) == (200, reason)
    [row] = either.quarantined()
    assert (row["source"], row["kind"], row["reason"]) == ("", "request", reason)


def test_the_bytes_of_a_request_that_cannot_be_read_are_kept_as_they_came(shop):
    answer = shop.client.post("/sa?project=default", content=b"data=%E7%95\xff", headers={"content-type": "text/x"})

    assert answer.status_code == 200
    [row] = shop.quarantined()
    kept = json.loads(row["body"])
    assert (row["source"], kept["path"], kept["query"], kept["headers"]) == ("app", "/sa", "project=default", {"content-type": "text/x"})
    assert base64.b64decode(kept["base64"]) == b"data=%E7%95\xff"


def test_the_query_of_a_get_that_cannot_be_read_is_kept_whole(shop):
    query = "data=" + "!" * 5000

    shop.client.get(f"/sa?{query}")

    assert json.loads(shop.quarantined()[0]["body"])["query"] == query


def test_only_so_many_requests_of_strangers_are_kept_a_day(shop):
    shop.intake._strangers = (NOON // DAY, MOST_OF_STRANGERS - 2)

    assert [sensors(shop, SHOW, "/sa?project=nobody").status_code for _ in range(4)] == [200] * 4
    assert shop.total("quarantine") == 2
    shop.clock.set(NOON + DAY)
    sensors(shop, SHOW, "/sa?project=nobody")
    assert shop.total("quarantine") == 3


@pytest.mark.parametrize("path", ["/sa", "/v3/projects/g1/collect", "/projects/g1/collect/item"])
def test_a_body_that_is_too_large_is_answered_200_and_its_beginning_kept(shop, path):
    answer = shop.client.post(path, content=b"x" * (shop.intake.limit + 1))

    assert answer.status_code == 200
    kept = json.loads(shop.quarantined()[0]["body"])
    assert (kept["cut"], base64.b64decode(kept["base64"])[:3]) == (True, b"xxx")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"x" * 70_000, 413, "too_large"),
        (b"{", 400, "bad_json"),
        (b"[]", 400, "bad_json"),
        (b'{"batch": {}}', 400, "bad_json"),
        (b"\x1f\x8bab", 400, "bad_compression"),
    ],
)
def test_segments_clients_are_told_what_they_cannot_send_again(shop, body, status, code):
    basic = base64.b64encode(f"{secret(shop, 'device')}:".encode()).decode()

    answer = shop.client.post("/v1/batch", content=body, headers={"authorization": f"Basic {basic}"})

    assert (answer.status_code, answer.json()["code"], bool(answer.json()["message"])) == (status, code, True)
    assert shop.total("quarantine") == 1


@pytest.mark.parametrize("headers", [{"content-type": "application/protobuf"}, {"x-crypt-codec": "1"}, {"x-compress-codec": "2"}])
def test_a_growingio_body_that_is_no_json_says_how_to_set_the_sdk(shop, headers):
    answer = shop.client.post("/v3/projects/g1/collect", content=b"\x0a\x00", headers=headers)

    assert answer.status_code == 200
    assert "give the SDK its JSON parser" in answer.json()["reason"]
    assert shop.total("quarantine") == 1


@pytest.mark.parametrize(("says", "taken"), [({}, 1), ({"token": "guess"}, 0), ({"project": "elsewhere"}, 0), ({"project": "shop"}, 1)])
def test_a_message_that_is_read_again_is_still_asked_for_its_own_project_and_token(shop, says, taken):
    backend = next(source for source in shop.intake.sources if source.name == "backend")

    found = again_of(backend, backend.reader(shop.app.engine.catalogue.audience, NOON, "r1"), "sensors", {**SHOW, **says})

    assert (len(found.events), len(found.quarantined)) == (taken, 1 - taken)


# --- debug mode


def test_who_debugs_is_told_by_status_what_is_wrong(shop):
    refused = sensors(shop, {**SHOW, "event": ""}, "/debug")
    stranger = sensors(shop, SHOW, "/debug?project=nobody")
    good = sensors(shop, SHOW, "/debug")

    assert [a.status_code for a in (refused, stranger, good)] == [400, 400, 200]
    assert refused.json()["reasons"] == [{"index": 0, "reason": "event: expected a text"}]
    assert "nobody" in stranger.json()["reason"]
    assert (shop.total("events"), shop.total("quarantine")) == (1, 2)


def test_a_dry_run_keeps_nothing(shop):
    dry = {"dry-run": "true"}

    answers = [
        sensors(shop, SHOW, "/debug", dry),
        sensors(shop, {**SHOW, "event": 7}, "/debug", dry),
        sensors(shop, SHOW, "/debug?project=nobody", dry),
        shop.client.post("/debug", content=b"data=!", headers=dry),
    ]

    assert [a.status_code for a in answers] == [200, 400, 400, 400]
    assert (shop.total("events"), shop.total("quarantine")) == (0, 0)


def test_a_dry_run_elsewhere_is_none(shop):
    sensors(shop, SHOW, "/sa", {"dry-run": "true"})

    assert shop.total("events") == 1


# --- good beside bad


def test_good_messages_beside_bad_ones_are_kept(either):
    batch = [
        SHOW,
        3,
        None,
        {"type": "track"},
        {**SHOW, "time": NOON + 2 * DAY},
        {**SHOW, "distinct_id": "d2"},
        {**SHOW, "identities": 7},
        [SHOW],
    ]

    answer = sensors(either, batch)

    assert answer.json()["accepted"] == 2
    assert [reason["index"] for reason in answer.json()["reasons"]] == [1, 2, 3, 4, 6, 7]
    assert (either.total("events"), either.total("quarantine")) == (2, 6)


def test_names_as_long_as_a_request_are_no_trouble(either):
    long = "x" * 5000

    answers = [
        sensors(either, {**SHOW, "properties": {long: 1}}),
        sensors(
            either, {"type": "profile_set", "distinct_id": "d1", "time": NOON, "properties": {long: 1, **{f"p{n}": n for n in range(300)}}}
        ),
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    with either.app.store.database.reading() as tx:
        counted = either.app.store.arrivals.unmapped(tx, 1000)
    assert max(len(row["name"]) for row in counted) == 256
    assert len(counted) == 1 + 200


@pytest.mark.parametrize("time", [0, 1, 1000, "1970-01-01 00:00:00", NOON, NOON + DAY])
def test_times_from_1970_to_a_day_ahead_are_taken(shop, time):
    assert sensors(shop, {**SHOW, "time": time}).json() == {"success": True}
    assert shop.total("events") == 1


@pytest.mark.parametrize("time", [-1, NOON + DAY + 1, 2**64 - 1, 1e300, "soon", [NOON], {"a": 1}, True])
def test_times_that_cannot_be_are_set_aside(shop, time):
    assert sensors(shop, {**SHOW, "time": time}).status_code == 200
    assert (shop.total("events"), shop.total("quarantine")) == (0, 1)


# --- what devices may not say


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


# --- anything


@pytest.fixture(scope="module")
def tough(tmp_path_factory, migrated_sqlite):
    file = tmp_path_factory.mktemp("tough") / "journeyd.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    opened = Shop(
        file.parent / "shop",
        url=f"sqlite:///{file}",
        audience=AUDIENCE,
        config=CONFIG.replace("[channels.wechat.templates]", SOURCES + "[channels.wechat.templates]"),
    )
    yield opened
    opened.settle()  # what was taken can be worked on, too
    opened.close()


PATHS = (
    "/sa",
    "/sa?data=",
    "/sa?project=shop&token=",
    "/debug",
    "/v3/projects/g1/collect?stm=x",
    "/projects/g1/collect/item",
    "/v1/batch",
    "/v1/track",
    "/v1/alias",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.parametrize("path", PATHS)
@given(
    body=st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=60).map(lambda b: b"data=" + quote(base64.b64encode(b)).encode()),
        st.binary(max_size=60).map(gzip.compress),
    ),
    form=st.booleans(),
)
def test_any_bytes_are_never_our_fault(tough, path, body, form):
    basic = base64.b64encode(f"{secret(tough, 'device')}:".encode()).decode()

    answer = tough.client.post(path, content=body, headers={"authorization": f"Basic {basic}"})

    assert answer.status_code < 500
    assert answer.status_code == 200 or path.startswith(("/v1/", "/debug"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.parametrize("path", PATHS)
@given(value=VALUES)
def test_any_json_is_never_our_fault(tough, path, value):
    if path.startswith(("/sa", "/debug")):
        answer = sensors(tough, value, path)
    else:
        answer = segment(tough, {"batch": [value]} if path == "/v1/batch" else value, path)

    assert answer.status_code < 500
    assert answer.status_code == 200 or path.startswith(("/v1/", "/debug"))
