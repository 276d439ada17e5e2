"""What was set aside is read again with today's audience and config: good by now, it is taken; else it stays and says why."""

import base64
import json
from dataclasses import replace
from urllib.parse import quote

import pytest
from sqlalchemy import update

from runtime.intake.sent import user_of
from runtime.intake.sources import DEFAULTS, Source
from runtime.intake.vendors import READERS, Posted, as_it_came, whose
from runtime.quarantine import Today, again, retry, retry_asked
from runtime.store.inbox import Quarantined
from runtime.store.quarantine import Filters
from runtime.store.tables import enrolments, users
from tests.runtime.intake.sdk import SDK_CONFIG
from tests.runtime.intake.sdk import sensors as sensors_of
from tests.shop import DEVICE_SECRET, Shop
from tests.town import DAY, HOUR, NOON, ZONE, Town, audience, event, journey_text, reachable, somebody

MAY = {"shop": ("*",), "device": ("app_*",)}
PAID = {"id": "e1", "type": "order_paid", "user_id": "u1", "time": "2026-12-01T12:00:00+08:00", "data": {"amount": 9}}


@pytest.fixture
def shop(tmp_path, new_sqlite):
    opened = Shop(tmp_path / "shop", url=new_sqlite, config=SDK_CONFIG)
    yield opened
    opened.close()


@pytest.fixture
def either(tmp_path, database_url):
    opened = Shop(tmp_path / "shop", url=database_url)
    yield opened
    opened.close()


def today(now=NOON, **keys):
    sources = [Source(name, "webhook", True, may, ZONE) for name, may in keys.pop("may", MAY).items()]
    sources.append(Source("app", "sensors", False, ("app_*",), ZONE, DEFAULTS["sensors"], project="default"))
    sources.append(Source("growing", "growingio", False, ("app_*",), ZONE, DEFAULTS["growingio"], project="p"))
    sources.append(Source("site", "segment", False, ("app_*",), ZONE, DEFAULTS["segment"], keys=("k",)))
    return Today(audience(), now, sources, **keys)


def set_aside(store, *items):
    """Put these there; returns their numbers, oldest first."""
    store.database.write(lambda tx: store.inbox.quarantine(tx, items, NOON - HOUR))
    with store.database.reading() as tx:
        return store.quarantine.ids(tx)


def rows(store, **filters):
    with store.database.reading() as tx:
        return store.quarantine.rows(tx, [row.id for row in store.quarantine.find(tx, Filters(**filters))])[::-1]


def notes(store):
    with store.database.batch() as batch:
        return [(n.kind, n.user_id, n.event.id if n.event else None) for n in store.inbox.waiting(batch.connection, 100)]


def item(body=PAID, source="shop", kind="event", reason="was bad then", user="u1"):
    return Quarantined(source, reason, body if isinstance(body, str) else json.dumps(body), user, kind)


# --- what is only read by people keeps its reason


@pytest.mark.parametrize(
    ("aside", "why"),
    [
        (item("openid oCONF", kind="identity", reason="openid oCONF is said to be of cB, and belongs to cA"), "what settles it: "),
        (item("…", "sms", "callback", "a callback could not be read"), "it is kept for people to read"),
        (item(source="engine", reason="ValueError: no"), "it was taken and could not be worked on"),
        (item("k", "engine", "enrolment", "ValueError: no"), "the enrolment has ended or is gone"),
    ],
)
def test_the_reason_of_what_cannot_be_read_again_stays(store, aside, why):
    [row] = set_aside(store, aside)

    [found] = retry(store, [row], today())

    assert (found.outcome, why in found.reason) == ("left", True)
    assert [kept.reason for kept in rows(store)] == [aside.reason]


def conflict(shop):
    """Two users of the operator's own are said to have one openid; the number of what is set aside."""
    for user in ("cA", "cB"):
        shop.post({"user_id": user, "identities": {"openid": "oCONF"}}, "/v1/users")
        shop.settle()
    [row] = shop.quarantined()
    assert row["reason"].startswith("openid oCONF is said to be of cB, and belongs to cA")
    return row["id"]


@pytest.mark.parametrize(
    "cure", [{"user_id": "cA", "identities": {"openid": None}}, {"user_id": "cA", "merge": ["cB"]}, {"user_id": "cB", "merge": ["cA"]}]
)
def test_a_conflict_of_identities_that_is_settled_goes_when_it_is_read_again(either, cure):
    row = conflict(either)
    before = retry_asked(either.app, {"ids": [row]})["retried"][0]["outcome"]

    either.post(cure, "/v1/users")
    either.settle()
    after = retry_asked(either.app, {"ids": [row]})["retried"][0]["outcome"]

    assert (before, after, either.quarantined()) == ("left", "taken", [])


# --- config and audience of now


def test_a_daemon_reads_again_by_the_config_that_stands_in_the_file_now_and_says_that_it_runs_with_an_older_one(either):
    either.post(PAID, secret=DEVICE_SECRET)
    file = either.folder / "config.toml"
    [row] = either.quarantined()
    before = retry_asked(either.app, {"ids": [row["id"]]})

    file.write_text(file.read_text().replace('may_assert = ["app_*",', 'may_assert = ["order_paid", "app_*",'))
    after = retry_asked(either.app, {"ids": [row["id"]]})

    assert [(a["retried"][0]["outcome"], a["older"]) for a in (before, after)] == [("left", False), ("taken", True)]


# --- whose it is


@pytest.mark.parametrize(
    "message",
    [
        {"user_id": "u3"},
        {"user_id": "", "specversion": "1.0", "subject": "u3"},
        {"type": "track", "userId": "u3", "anonymousId": "d1"},
        {"eventType": "VISIT", "userId": "u3", "deviceId": "d1", "userKey": ""},
        {"type": "track", "distinct_id": "d1", "login_id": "u3"},
        {"type": "track", "distinct_id": "d1", "identities": {"$identity_login_id": "u3"}},
        {"type": "track", "distinct_id": "u3", "properties": {"$is_login_id": True}},
        {"type": "track_signup", "distinct_id": "u3", "original_id": "d1"},
        {"journey": "j", "call": {"user_id": "u3"}},
    ],
)
def test_the_user_whom_a_message_names_is_known(message):
    assert user_of(message) == "u3"


@pytest.mark.parametrize(
    "message",
    [
        None, ["u3"], {"user_id": "x" * 300}, {"user_id": {}}, {"subject": "u3"}, {"eventType": "VISIT", "userId": "o1", "userKey": "openid"},
        {"type": "track", "distinct_id": "d1", "properties": [], "identities": "x"}, {"call": None}, {"userId": True},
        {"type": "track", "distinct_id": "$identity_mobile+138", "login_id": "$identity_mobile+138"},
    ],
)  # fmt: skip
def test_a_message_that_names_no_user_is_nobodys(message):
    assert user_of(message) == ""


def test_what_a_device_posts_of_a_user_and_is_set_aside_is_found_by_the_user(shop):
    sensors_of(shop, {**SHOWN, "login_id": "u3", "event": "order_paid"})
    with shop.app.store.database.reading() as tx:
        assert [row.source for row in shop.app.store.quarantine.find(tx, Filters(user="u3"))] == ["app"]


# --- reading again


def sensors(*messages, project="default", cut=False):
    body = b"data_list=" + quote(base64.b64encode(json.dumps(messages).encode())).encode()
    return as_it_came(Posted("/sa", f"project={project}", {}, body), 1 << 16, cut=cut)


SHOWN = {"type": "track", "event": "$MPShow", "distinct_id": "d1", "time": NOON - HOUR, "properties": {}}


def test_a_request_of_a_source_that_config_knows_by_now_is_taken_and_what_is_bad_in_it_stays(store):
    [row] = set_aside(store, Quarantined("", "no source", sensors(SHOWN, {"type": "track"}), "", "request"))

    [found] = retry(store, [row], today())

    assert (found.outcome, [r.kind for r in rows(store)]) == ("taken", ["sensors"])
    assert [(kind, user) for kind, user, _ in notes(store)] == [("event", "distinct_id:d1")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (sensors(SHOWN, project="other"), "no source of config has this project or write key (/sa)"),
        (sensors(SHOWN, cut=True), "only its beginning was kept; have it sent again"),
    ],
)
def test_a_request_that_still_cannot_be_read_stays(store, body, reason):
    [row] = set_aside(store, Quarantined("", "no source", body, "", "request"))

    assert [(r.outcome, r.reason) for r in retry(store, [row], today())] == [("left", reason)]


def test_a_message_of_a_vendor_is_read_as_of_its_receipt():
    [found] = again("app", "sensors", json.dumps(SHOWN), today(NOON, received_at=NOON - HOUR)).events

    assert (found.type, found.time) == ("app_opened", NOON - HOUR)


THEN = NOON + 3 * DAY  # the time that all of these say
WRITTEN = "2026-12-04T12:00:00+08:00"
AHEAD = {
    "plain": ("shop", "event", {"id": "e1", "type": "app_opened", "user_id": "u1", "time": WRITTEN}),
    "CloudEvents": (
        "shop", "event", {"specversion": "1.0", "source": "s", "id": "e1", "type": "app_opened", "subject": "u1", "time": WRITTEN},
    ),
    "Sensors Analytics": ("app", "sensors", {**SHOWN, "time": THEN, "_flush_time": NOON - HOUR}),
    "GrowingIO": ("growing", "growingio", {"eventType": "VISIT", "deviceId": "d1", "timestamp": THEN, "sendTime": NOON - HOUR}),
    "Segment": ("site", "segment", {"type": "track", "event": "Application Opened", "anonymousId": "d1", "timestamp": WRITTEN}),
    "a whole request": ("", "request", None),
}  # fmt: skip


@pytest.mark.parametrize("sender", AHEAD)
def test_what_was_dated_too_far_ahead_is_taken_once_its_time_has_come(store, sender):
    source, kind, message = AHEAD[sender]
    body = sensors({**SHOWN, "time": THEN}) if message is None else json.dumps(message)
    [row] = set_aside(store, Quarantined(source, "more than a day ahead", body, "", kind))

    early = retry(store, [row], today(THEN - DAY - 1))
    [row] = [r.id for r in rows(store)]
    [found] = retry(store, [row], today(THEN + HOUR))

    assert [r.reason.partition(" is ")[2] for r in early if r.outcome == "left"] == ["more than a day ahead of its receipt"]
    assert found.outcome == "taken"
    with store.database.batch() as batch:
        [note] = store.inbox.waiting(batch.connection, 10)
    assert (note.event.type, note.event.time, note.event.received_at) == ("app_opened", THEN, THEN + HOUR)


def test_a_clock_that_was_wrong_is_corrected_by_the_receipt_and_not_by_the_reading_again():
    message = {**SHOWN, "time": NOON + 2 * HOUR, "_flush_time": NOON + 2 * HOUR}

    [found] = again("app", "sensors", json.dumps(message), today(NOON + 9 * DAY, received_at=NOON)).events

    assert (found.time, found.received_at) == (NOON, NOON + 9 * DAY)


FAST = NOON + 3 * DAY  # what a phone said at noon whose clock is three days ahead
FROM_THE_FAST = [
    Posted("/v3/projects/p/collect", f"stm={FAST}", {}, json.dumps([{"eventType": "VISIT", "deviceId": "d1", "timestamp": FAST - HOUR}]).encode()),
    Posted("/v1/batch", "", {}, json.dumps({
        "writeKey": "k", "sentAt": "2026-12-04T04:00:00Z",
        "batch": [{"type": "track", "event": "Application Opened", "anonymousId": "d1", "timestamp": "2026-12-04T03:00:00Z"}],
    }).encode()),
]  # fmt: skip


@pytest.mark.parametrize("posted", FROM_THE_FAST, ids=["GrowingIO", "Segment"])
def test_the_clock_of_a_request_corrects_its_messages_also_when_they_are_read_again(posted):
    then, now = today(NOON), today(NOON + 9 * DAY, received_at=NOON)
    source = whose(then.sources, posted, then.limit)
    strict = replace(source, may_assert=())

    [kept] = READERS[source.kind](source, strict.reader(audience(), NOON, "r"), posted, then.limit).quarantined
    [direct] = READERS[source.kind](source, source.reader(audience(), NOON, "r"), posted, then.limit).events
    [again_] = again(kept.source, kept.kind, kept.body, now).events

    assert (direct.time, again_.time) == (NOON - HOUR, NOON - HOUR)
    assert again_.id == direct.id


def test_what_is_still_bad_of_a_request_keeps_the_time_at_which_it_came(store):
    [row] = set_aside(store, Quarantined("", "no source", sensors(SHOWN, {"type": "track"}), "", "request"))

    retry(store, [row], today(NOON + DAY))

    assert [(r.kind, r.received_at) for r in rows(store)] == [("sensors", NOON - HOUR)]


def test_an_answer_that_was_set_aside_is_no_newer_than_one_that_came_after_it():
    consents = {"sms": {"marketing": True, "service": {"granted": True, "at": "2026-12-01T11:00:00+08:00"}}}

    [record] = again("shop", "user", json.dumps({"user_id": "u1", "consents": consents}), today(NOON + DAY, received_at=NOON)).records

    said = record.payload["consents"]["sms"]
    assert (said["marketing"], said["service"]["at"]) == ({"granted": True, "at": NOON}, NOON - HOUR)


def test_a_kept_event_is_read_as_intake_reads_it_today():
    parsed = again("shop", "event", json.dumps(PAID), today())

    assert [(e.id, e.type, e.time, e.data) for e in parsed.events] == [("e1", "order_paid", NOON, {"amount": 9})]


def test_an_event_without_a_time_happened_when_it_came():
    body = json.dumps({"type": "app_opened", "user_id": "u1"})

    [found] = again("shop", "event", body, today(NOON + DAY, received_at=NOON, request_id="quarantine:7")).events

    assert (found.time, found.id) == (NOON, "quarantine:7:0")


@pytest.mark.parametrize("kind", ["user", "event"])
def test_a_kept_user_record_is_read_as_one_whatever_it_was_called(kind):
    parsed = again("shop", kind, json.dumps({"user_id": "u1", "traits": {"city": "上海"}}), today())

    assert [(r.person.user_id, r.payload["traits"]) for r in parsed.records] == [("u1", {"city": "上海"})]


@pytest.mark.parametrize(
    ("source", "kind", "body", "reason"),
    [
        ("shop", "event", '{"type": "x"', "the body is not JSON: "),
        ("shop", "event", '{"type": "order_paid"}', "user_id: expected a text of 1 to 256 characters"),
        ("device", "event", json.dumps(PAID), "source device may not assert order_paid"),
        ("gone", "event", json.dumps(PAID), "source gone does not stand in config any more ([intake.sources.gone])"),
    ],
)
def test_what_still_cannot_be_taken_says_why(source, kind, body, reason):
    parsed = again(source, kind, body, today())

    assert (parsed.events, parsed.records) == ([], [])
    assert parsed.quarantined[0].reason.startswith(reason)


# --- retry


def test_what_is_good_now_is_taken_and_gone_and_the_rest_stays_with_its_new_reason(store):
    good, bad, known = set_aside(store, item(), item({"type": "order_paid"}), item())

    found = retry(store, [good, bad, known, 999], today())

    assert [(r.id, r.outcome, r.reason, r.new) for r in found] == [
        (good, "taken", "", True), (bad, "left", "user_id: expected a text of 1 to 256 characters", True), (known, "taken", "", False),
    ]  # fmt: skip
    assert [(row.id, row.reason) for row in rows(store)] == [(bad, "user_id: expected a text of 1 to 256 characters")]
    assert notes(store) == [("event", "u1", "e1")]


def test_a_source_that_may_assert_more_by_now_is_heard(store):
    [row] = set_aside(store, item(source="device"))

    before, after = retry(store, [row], today()), retry(store, [row], today(may={"device": ("*",)}))

    assert ([r.outcome for r in before], [r.outcome for r in after]) == (["left"], ["taken"])


def test_a_user_record_is_taken_again(store):
    [row] = set_aside(store, item({"user_id": "u1", "tags": ["vip"]}, kind="user"))

    assert [r.outcome for r in retry(store, [row], today())] == ["taken"]
    assert notes(store) == [("user", "u1", None)]


def in_between(store):
    """Records were set aside an hour before noon; at noon the same users told something else. Returns the town and the rows' numbers."""
    town = Town(store, journey_text("- {id: hi, send: [{push: {title: T, body: B}}]}", entry="{event: app_opened}"))
    town.settle_people(somebody())
    old = {"user_id": "u1", "identities": {"phone": "+8613800138000", "email": "old@x.cn", "push_id": "PHONE-1"}, "zone": "Asia/Tokyo",
           "traits": {"city": "上海", "level": "gold"}, "set_once": {"birthday": "05-20"}, "increment": {"points": 5},
           "tags": ["vip", "early"], "consents": {"push": {"marketing": True, "service": True}}}  # fmt: skip
    ids = set_aside(store, item(old, kind="user"))
    town.tell("u1", NOON, identities={"phone": "+8613900139000"}, zone="America/New_York", traits={"city": "杭州", "birthday": None},
              increment={"points": 2}, remove_tags=["vip"], consents={"push": {"marketing": False}})  # fmt: skip
    town.tell("u2", NOON, identities={"push_id": "PHONE-1"})
    town.settle(NOON)
    return town, ids


def test_a_user_record_that_was_set_aside_does_not_replace_what_was_told_since(store):
    town, ids = in_between(store)

    assert [r.outcome for r in retry(store, ids, today(NOON + DAY))] == ["taken"]
    town.settle(NOON + DAY)

    with store.database.reading() as tx:
        found = store.people.load_users(tx, ["u1", "u2"])
        assert store.contacts.whose(tx, "phone", "+8613800138000") == []
    user = found["u1"]
    assert user.profile["p"] == {"city": "杭州", "level": "gold", "points": 7}
    assert (user.profile["t"], user.zone.key) == (["early"], "America/New_York")
    assert (user.reach["identities"]["phone"], user.reach["identities"]["email"]) == ("+8613900139000", "old@x.cn")
    assert (user.reach["identities"]["push_id"], found["u2"].reach["identities"]["push_id"]) == ("u1-push_id", "PHONE-1")


def test_a_yes_that_was_set_aside_does_not_undo_the_no_said_since(store):
    town, ids = in_between(store)
    retry(store, ids, today(NOON + DAY))
    town.settle(NOON + DAY)

    town.post(event("app_opened", NOON + DAY + HOUR))
    town.settle(NOON + DAY + HOUR)

    assert town.vendors["push"].got == []


@pytest.mark.parametrize(("source", "kind"), [("shop", "user"), ("app", "sensors")])
def test_a_record_that_is_read_again_says_when_it_came(source, kind):
    plain = {"user_id": "u1", "traits": {"city": "上海"}}
    device = {"type": "profile_set", "distinct_id": "d1", "time": NOON, "properties": {"city": "上海"}}
    body = json.dumps(plain if kind == "user" else device)

    [late] = again(source, kind, body, today(NOON + DAY, received_at=NOON)).records
    [prompt] = again(source, kind, body, today(NOON, received_at=NOON)).records

    assert (late.payload["came"], "came" in prompt.payload) == (NOON, False)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the older first", "the newer first"])
def test_of_two_records_that_were_set_aside_the_newer_one_stands_whichever_is_read_again_first(store, order):
    town = Town(store)
    town.settle_people(somebody())
    for n, city in enumerate(("上海", "杭州")):
        body = {"user_id": "u1", "traits": {"city": city}}
        store.database.write(lambda tx, n=n, body=body: store.inbox.quarantine(tx, [item(body, kind="user")], NOON + n * HOUR))
    with store.database.reading() as tx:
        ids = store.quarantine.ids(tx)

    for n in order:
        retry(store, [ids[n]], today(NOON + DAY + n))
        town.settle(NOON + DAY + n)

    with store.database.reading() as tx:
        assert store.people.load_users(tx, ["u1"])["u1"].profile["p"] == {"city": "杭州"}


def test_an_enrolment_gets_its_timer_back_and_is_due_at_once(store):
    made = Town(store, journey_text("- {id: day, delay: 1d}\n- {id: tag, update: {add_tags: [done]}}", entry="{event: app_opened}"))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.settle(NOON)
    key = made.story().enrolments[0]["key"]
    with store.database.reading() as tx:
        sound = tx.execute(enrolments.select()).one().context
    store.database.write(lambda tx: tx.execute(update(enrolments).values(context="no json")))
    made.settle(NOON + DAY)
    [row] = rows(store, kind="enrolment")
    store.database.write(lambda tx: tx.execute(update(enrolments).values(context=sound)))

    found = retry(store, [row.id], today(NOON + 2 * DAY))
    made.settle(NOON + 2 * DAY)

    assert (row.body, [r.outcome for r in found], rows(store)) == (key, ["taken"], [])
    assert made.ends() == [("j", "completed")]


def test_an_enrolment_whose_timer_moved_nothing_is_found_by_its_key_and_one_that_has_ended_is_not(store):
    made = Town(store, journey_text("- {id: day, delay: 1d}", entry="{event: app_opened}"))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.settle(NOON)
    key = made.story().enrolments[0]["key"]
    live, gone = set_aside(store, item(f"{key}: its timer moved nothing", "engine", "enrolment"), item("nokey", "engine", "enrolment"))

    found = retry(store, [live, gone], today())

    assert [(r.outcome, r.reason) for r in found] == [("taken", ""), ("left", "the enrolment has ended or is gone; drop this row")]


def test_a_user_whose_segments_could_not_be_looked_at_is_looked_at_again(store):
    made = Town(store)
    made.tell("u1", NOON, **reachable())
    made.settle(NOON)
    [row] = set_aside(store, item("u1", "engine", "recheck"))

    retry(store, [row], today(NOON + 5))

    with store.database.reading() as tx:
        assert tx.execute(users.select()).one().recheck_at == NOON + 5


# --- the table


def test_rows_are_found_by_what_is_asked_for_newest_first(store):
    set_aside(
        store, item(reason="no user_id 100%"), item(source="device", reason="may not"), item("k", "engine", "enrolment", "ValueError", "u2"),
    )  # fmt: skip

    def found(**filters):
        return [(row.source, row.kind) for row in rows(store, **filters)]

    assert found() == [("engine", "enrolment"), ("device", "event"), ("shop", "event")]
    assert found(kind="event", source="shop") == [("shop", "event")]
    assert found(user="u2") == [("engine", "enrolment")]
    assert found(reason="100%") == [("shop", "event")]
    assert found(reason="_") == [("shop", "event")]
    with store.database.reading() as tx:
        newest = store.quarantine.find(tx, Filters(), 2)
        assert (len(newest), {row.body for row in newest}) == (2, {""})  # a list holds no megabytes


def test_dropped_rows_are_gone(store):
    first, second = set_aside(store, item(), item())

    assert store.database.write(lambda tx: store.quarantine.drop(tx, [first, 999])) == 1
    assert [row.id for row in rows(store)] == [second]
