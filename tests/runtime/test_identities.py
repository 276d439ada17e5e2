"""Where people are reached follows who they are: what one person has is not used for two, and a phone goes with its last login."""

import pytest

from runtime.explain import lines_of, story_of
from tests.shop import Shop
from tests.town import HOUR, NOON, SECOND, journey_text

CAMPAIGN = journey_text("- {id: hi, send: [{push: {title: T, body: B}}, {wechat: {template: news, data: {title: x}}}]}", id="campaign",
                        entry="{schedule: '0 13 1 12 *'}")  # fmt: skip
YES = {channel: {"marketing": True, "service": True} for channel in ("push", "wechat")}


@pytest.fixture
def shop(tmp_path, database_url):
    opened = Shop(tmp_path / "shop", CAMPAIGN, url=database_url)
    yield opened
    opened.close()


def tell(shop, *records):
    shop.post([{"consents": YES, **record} for record in records], "/v1/users")


def sent(shop):
    shop.settle(NOON + HOUR + SECOND)
    return sorted(message.user_id for message in shop.vendor.got)


def reach(shop, *user_ids):
    """Each user's addresses, and whose the table says that these are."""
    with shop.app.store.database.reading() as tx:
        users = shop.app.store.people.load_users(tx, list(user_ids))
        mine = {user_id: users[user_id].reach.get("identities", {}) for user_id in user_ids}
        pairs = {pair for identities in mine.values() for pair in identities.items()}
        return mine, {value: shop.app.store.contacts.whose(tx, kind, value) for kind, value in pairs}


def conflicts(shop):
    return [row["reason"].split(":")[0] for row in shop.quarantined()]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("kind", ["openid", "unionid"])
def test_what_belongs_to_one_is_not_used_for_another(shop, kind, at_once):
    for number, user_id in enumerate(("u2", "u1")):  # the first, not the first by name
        tell(shop, {"user_id": user_id, "identities": {kind: "x1", "phone": f"+861380013800{number}"}})
        if not at_once:
            shop.settle()
    shop.settle()

    assert reach(shop, "u1", "u2") == (
        {"u1": {"phone": "+8613800138001"}, "u2": {kind: "x1", "phone": "+8613800138000"}},
        {"x1": ["u2"], "+8613800138000": ["u2"], "+8613800138001": ["u1"]},
    )
    assert conflicts(shop) == [f"{kind} x1 is said to be of u1, and belongs to u2"]
    assert sent(shop) == (["u2"] if kind == "openid" else [])


def test_what_another_has_given_back_is_hers_also_in_one_request(shop):
    tell(shop, {"user_id": "u1", "identities": {"openid": "o1"}})
    shop.settle()

    tell(shop, {"user_id": "u1", "identities": {"openid": None}}, {"user_id": "u2", "identities": {"openid": "o1"}})
    shop.settle()

    assert reach(shop, "u1", "u2") == ({"u1": {}, "u2": {"openid": "o1"}}, {"o1": ["u2"]})
    assert sent(shop) == ["u2"]


def test_a_conflict_that_a_merge_has_settled_is_none_any_more(shop):
    for user_id in ("u1", "u2"):
        tell(shop, {"user_id": user_id, "identities": {"openid": "o1"}})
    shop.settle()

    tell(shop, {"user_id": "u2", "merge": ["u1"]})
    shop.settle()

    assert reach(shop, "u2") == ({"u2": {"openid": "o1"}}, {"o1": ["u2"]})
    assert sent(shop) == ["u2"]


def test_what_was_an_anonymous_users_is_hers_who_turns_out_to_be_that_one(shop):
    tell(shop, {"identities": {"openid": "o1"}})
    tell(shop, {"user_id": "u1", "identities": {"openid": "o1"}})
    shop.settle()

    assert reach(shop, "u1") == ({"u1": {"openid": "o1"}}, {"o1": ["u1"]})
    assert sent(shop) == ["u1"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_phone_gets_what_is_meant_for_who_logged_in_on_it_last(shop, at_once):
    for user_id in ("u2", "u1"):
        tell(shop, {"user_id": user_id, "identities": {"push_id": "PHONE-1"}})
        if not at_once:
            shop.settle()
    shop.settle()

    assert reach(shop, "u1", "u2") == ({"u1": {"push_id": "PHONE-1"}, "u2": {}}, {"PHONE-1": ["u1"]})
    assert conflicts(shop) == []
    assert sent(shop) == ["u1"]
    told = lines_of(story_of(shop.app.store, "u2"))
    assert [line.why for line in told if line.action == "address_moved"] == [{"kind": "push_id", "to": "u1"}]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_phone_that_comes_back_is_hers_again(shop, at_once):
    for user_id in ("u1", "u2", "u1"):
        tell(shop, {"user_id": user_id, "identities": {"push_id": "PHONE-1"}})
        if not at_once:
            shop.settle()
    shop.settle()

    mine, whose = reach(shop, "u1", "u2")
    assert [user_id for user_id in mine if mine[user_id]] == whose["PHONE-1"]
    assert sent(shop) == whose["PHONE-1"]
    assert at_once or whose["PHONE-1"] == ["u1"]


def test_a_record_that_is_sent_again_takes_no_phone_back(shop):
    records = [{"id": f"r-{user_id}", "user_id": user_id, "identities": {"push_id": "PHONE-1"}} for user_id in ("u1", "u2")]
    for record in (*records, records[0]):
        tell(shop, record)
        shop.settle()

    assert reach(shop, "u1", "u2") == ({"u1": {}, "u2": {"push_id": "PHONE-1"}}, {"PHONE-1": ["u2"]})


def test_a_history_takes_nobodys_phone(shop):
    tell(shop, {"user_id": "u2", "identities": {"push_id": "PHONE-1"}})
    shop.settle()

    store, old = shop.app.store, {"identities": {"push_id": "PHONE-1", "phone": "+8613800138001"}}
    store.database.write(lambda tx: store.inbox.add_user_record(tx, "import", "r1", "u1", old, NOON, history=True))
    shop.settle()

    assert reach(shop, "u1", "u2")[0] == {"u1": {"phone": "+8613800138001"}, "u2": {"push_id": "PHONE-1"}}


def test_an_order_under_her_openid_of_another_app_is_hers_also_after_she_is_told_of_again(shop):
    """The mini-program and the official account know one person by two openids; the unionid joins them."""
    tell(shop, {"user_id": "u1", "identities": {"openid": "oMINI", "unionid": "U1"}})
    shop.settle()
    shop.post({"id": "e1", "type": "app_opened", "identities": {"openid": "oMP", "unionid": "U1"}, "data": {}})
    shop.settle()

    for turn, openid in enumerate(("oMINI", "oMP", "oMINI")):
        tell(shop, {"user_id": "u1", "identities": {"openid": openid}, "traits": {"city": "上海"}})
        shop.settle()
        for known in ("oMINI", "oMP"):
            shop.post({"id": f"e-{turn}-{known}", "type": "order_paid", "identities": {"openid": known}, "data": {"amount": 5}})
        shop.settle()
        assert reach(shop, "u1")[0]["u1"]["openid"] == openid  # what is sent goes to the one that was told last

    with shop.app.store.database.reading() as tx:
        assert [shop.app.store.contacts.whose(tx, "openid", openid) for openid in ("oMINI", "oMP")] == [["u1"], ["u1"]]
        assert shop.app.store.people.existing(tx, ["openid:oMINI", "openid:oMP"]) == set()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_second_openid_gives_the_first_to_nobody_else(shop, at_once):
    tell(shop, {"user_id": "u1", "identities": {"openid": "o1"}})
    shop.settle()

    tell(shop, {"user_id": "u1", "identities": {"openid": "o2"}})
    if not at_once:
        shop.settle()
    tell(shop, {"user_id": "u2", "identities": {"openid": "o1"}})
    shop.settle()

    assert reach(shop, "u1", "u2") == ({"u1": {"openid": "o2"}, "u2": {}}, {"o2": ["u1"]})
    assert conflicts(shop) == ["openid o1 is said to be of u2, and belongs to u1"]


def test_who_gives_her_openid_back_gives_back_those_of_all_apps(shop):
    for openid in ("o1", "o2", None):
        tell(shop, {"user_id": "u1", "identities": {"openid": openid}})
        shop.settle()

    tell(shop, {"user_id": "u2", "identities": {"openid": "o1"}})
    shop.settle()

    assert reach(shop, "u1", "u2") == ({"u1": {}, "u2": {"openid": "o1"}}, {"o1": ["u2"]})
    assert conflicts(shop) == []


def test_an_openid_that_the_vendor_calls_dead_is_forgotten_and_no_other(shop):
    for openid in ("oMP", "oMINI"):
        tell(shop, {"user_id": "u1", "identities": {"openid": openid}})
        shop.settle()

    store = shop.app.store
    store.database.write(lambda tx: store.inbox.add_note(tx, "u1", "user", {"dead": {"openid": "oMINI"}, "source": "wechat 40003"}, NOON))
    shop.settle()

    with store.database.reading() as tx:
        assert [store.contacts.whose(tx, "openid", openid) for openid in ("oMINI", "oMP")] == [[], ["u1"]]
    assert reach(shop, "u1")[0] == {"u1": {}}
