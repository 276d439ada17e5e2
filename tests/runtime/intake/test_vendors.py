"""What analytics SDKs post, over HTTP: taken by path and never sent elsewhere, of the source that it says, 200 whatever it is."""

import base64
import gzip
import json
from urllib.parse import quote

import pytest

from runtime.intake.http import MOST_OF_STRANGERS
from runtime.intake.segment import SHORT
from runtime.intake.vendors import again_of
from runtime.quarantine import retry, today_of
from runtime.settings import load_project
from tests.runtime.intake.sdk import OPENED, SDK_CONFIG, SHOW, VISIT, secret, segment, sensors, stored
from tests.shop import Shop
from tests.town import DAY, NOON

SHOP_CONFIG = SDK_CONFIG


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


# --- from a browser

MESSAGES = {"t": OPENED, "i": OPENED, "p": {**OPENED, "name": "home"}, "s": {**OPENED, "name": "home"}, "g": {**OPENED, "groupId": "g1"},
            "a": {"userId": "u1", "previousId": "d1"}, "b": {"batch": [OPENED], "sentAt": "2026-12-01T04:00:00.000Z"}}  # fmt: skip


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("short", "call"), SHORT.items())
def test_analytics_js_posts_texts_to_short_paths_as_others_post_to_long_ones(shop, short, call, slash):
    body = json.dumps({**MESSAGES[short], "writeKey": secret(shop, "device")}).encode()

    short_, long = (shop.client.post(f"/v1/{path}", content=body, headers={"content-type": "text/plain"}) for path in (short + slash, call))

    assert (short_.status_code, short_.json(), short_.headers["access-control-allow-origin"]) == (200, long.json(), "*")
    assert shop.total("events") == (0 if short == "g" else 1)  # the same, so each was taken once


ASKED = {"origin": "https://shop.example.com", "access-control-request-method": "POST"}


@pytest.mark.parametrize("path", ["/v1/t", "/v1/b/", "/v1/track", "/v1/batch"])
@pytest.mark.parametrize("headers", ["authorization,content-type", "Authorization, AnonymousId, x-retry-count"])
def test_a_browser_that_asks_first_may_post_to_segments_paths(shop, path, headers):
    answer = shop.client.options(path, headers={**ASKED, "access-control-request-headers": headers})

    allowed = {name.removeprefix("access-control-"): value for name, value in answer.headers.items() if name.startswith("access-control")}
    assert answer.status_code == 200
    assert allowed == {"allow-origin": "*", "allow-methods": "POST", "allow-headers": headers, "max-age": "86400"}


@pytest.mark.parametrize("path", ["/v1/events", "/v1/users", "/sa", "/v3/projects/g1/collect"])
def test_a_browser_may_post_nothing_to_other_paths(shop, path):
    answer = shop.client.options(path, headers=ASKED)

    assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (405, False)


def test_what_a_browser_asks_for_is_not_repeated_unless_it_is_names(shop):
    answer = shop.client.options("/v1/t", headers={**ASKED, "access-control-request-headers": "x; <b>"})

    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"


def test_the_answer_to_a_servers_key_is_not_for_browsers(shop):
    signed, guessed = (segment(shop, {**OPENED, "type": "track"}, "/v1/t", key) for key in ("shop", "old"))

    assert "access-control-allow-origin" not in signed.headers
    assert guessed.headers["access-control-allow-origin"] == "*"  # of nobody: what is wrong shows on the page


def test_without_a_source_for_browsers_none_may_post(tmp_path, new_sqlite):
    server = SDK_CONFIG.replace('write_keys = ["file:secrets/device"]', 'write_keys = ["file:secrets/device"]\nserver_side = true')
    shop = Shop(
        tmp_path / "s",
        url=new_sqlite,
        config=server.replace('traits = {city = "city"}\n[intake.sources.server]', "[intake.sources.server]"),
    )

    answer = shop.client.options("/v1/t", headers=ASKED)
    shop.close()

    assert answer.status_code == 405


def test_the_write_key_of_a_single_call_is_not_kept_with_what_is_set_aside(shop):
    key = secret(shop, "shop")

    shop.client.post("/v1/track", content=json.dumps({**OPENED, "event": 7, "writeKey": key}).encode())

    [row] = shop.quarantined()
    assert (row["reason"], key in row["body"]) == ("event: expected a text", False)


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


def test_a_message_of_another_project_is_taken_by_the_source_of_that_one_when_it_is_read_again(shop):
    there = {**SHOW, "project": "shop", "token": secret(shop, "old")}

    sensors(shop, [SHOW, there, {**there, "token": GUESS, "distinct_id": "d2"}])

    assert sorted(read_again(shop)) == [("left", WRONG), ("taken", "")]
    assert [event[0] for event in stored(shop)] == ["app", "backend"]


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


def read_again(shop):
    """The outcome and the reason of each row that is read again."""
    found = retry(shop.app.store, [row["id"] for row in shop.quarantined()], today_of(shop.app, shop.clock.now()))
    return [(row.outcome, row.reason) for row in found]


WRONG, GUESS = "token: it is none of this source's", "whsec_" + "C" * 32


@pytest.mark.parametrize("project", ["shop", "later"], ids=["message", "request"])
@pytest.mark.parametrize("where", ["query", "message"])
def test_what_came_with_a_wrong_token_stays_refused_when_it_is_read_again_until_the_token_is_one(either, where, project):
    own, asked = ({"token": GUESS}, "") if where == "message" else ({}, f"&token={GUESS}")
    sensors(either, {**SHOW, **own}, f"/sa?project={project}{asked}")  # of a project that no source has yet, the whole request is kept
    config = either.folder / "config.toml"
    config.write_text(config.read_text().replace('project = "shop"', f'project = "{project}"'))
    either.app.project.settings = load_project(either.folder).settings

    assert [read_again(either) for _ in range(2)] == [[("left", WRONG)]] * 2
    assert either.total("events") == 0
    assert GUESS not in either.quarantined()[0]["body"]
    (either.folder / "secrets" / "old").write_text(GUESS)
    assert read_again(either) == [("taken", "")]
    assert either.total("events") == 1


@pytest.mark.parametrize("where", ["query", "message"])
def test_what_came_with_a_right_token_is_asked_for_nothing_but_what_was_wrong_with_it(shop, where):
    right = secret(shop, "old")
    message = {**SHOW, "time": NOON + 3 * DAY, **({"token": right} if where == "message" else {})}
    sensors(shop, message, "/sa?project=shop" + (f"&token={right}" if where == "query" else ""))
    assert right not in shop.quarantined()[0]["body"]
    assert [reason.partition(" is ")[2] for _, reason in read_again(shop)] == ["more than a day ahead of its receipt"]


@pytest.mark.parametrize(("says", "taken"), [({}, 0), ({"token": "guess"}, 0), ({"project": "elsewhere"}, 0), ({"$token_sha256": 7}, 0)])
def test_a_message_that_is_read_again_is_still_asked_for_its_project_and_token(shop, says, taken):
    backend = next(source for source in shop.intake.sources if source.name == "backend")

    found = again_of(backend, backend.reader(shop.app.engine.catalogue.audience, NOON, "r1"), "sensors", {**SHOW, **says})

    assert (len(found.events), len(found.quarantined)) == (taken, 1 - taken)


def test_the_token_of_a_request_that_cannot_be_read_is_not_kept(shop):
    shop.client.post("/sa?project=default&token=guess&x=1", content=b"data=!")

    kept = json.loads(shop.quarantined()[0]["body"])
    assert (kept["query"], len(kept["key"])) == ("project=default&x=1", 64)


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
