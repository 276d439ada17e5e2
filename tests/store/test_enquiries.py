"""Finding whom and what somebody asks about, on both databases."""

from runtime.finding import meant_by
from runtime.state import Person
from tests.town import DAY, NOON, PUSH, Town, event, journey_text, somebody

HELLO = journey_text(f"- id: hello\n  send: {PUSH}", entry="{event: app_opened}")


def known(store, user_id, **identities):
    person = Person(user_id, tuple(identities.items()), frozenset(identities))
    store.database.write(lambda tx: store.identity.resolve(tx, [("shop", person)], NOON))
    store.database.write(lambda tx: store.contacts.identify(tx, user_id, identities))  # a phone may be shared


def test_a_user_is_found_by_id_phone_openid_and_the_beginning_of_an_id(store):
    known(store, "u100", phone="+8613900000001", openid="oA")
    known(store, "u200", phone="+8613900000002")

    assert [(m.user_id, m.by) for m in (meant_by(store, text) for text in ("u100", "13900000001", "+86 139 0000 0001", "oA", "openid:oA", "u20"))] == [
        ("u100", "id"), ("u100", "phone"), ("u100", "phone"), ("u100", "openid"), ("u100", "openid"), ("u200", "beginning"),
    ]  # fmt: skip


def test_a_phone_that_several_have_and_an_id_that_is_too_short_name_who_may_be_meant(store):
    for user_id in ("anna", "anne"):
        known(store, user_id, phone="+8613900000001")

    family, short, wrong, nobody = (meant_by(store, text) for text in ("13900000001", "ann", "annex", "zoe"))

    assert (family.user_id, family.by, family.alike) == ("", "phone", ["anna", "anne"])
    assert (short.user_id, short.alike) == ("", ["anna", "anne"])
    assert (wrong.user_id, wrong.alike) == ("", ["anne"])
    assert (nobody.user_id, nobody.alike, nobody.messages) == ("", [], [])


def test_a_former_id_leads_to_who_she_is_now(store):
    town = Town(store, HELLO)
    town.settle_people(somebody(), somebody("openid:o1"))
    store.database.write(lambda tx: store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", NOON))
    town.settle(NOON)

    assert (meant_by(store, "openid:o1").user_id, meant_by(store, "openid:o1").by) == ("u1", "former")


def test_a_message_is_found_by_its_key_the_vendors_key_and_the_vendors_own_id(store):
    town = Town(store, HELLO)
    town.settle_people(somebody())
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    (message,) = town.story().messages
    (attempt,) = message["attempted"]

    for name in (message["key"], attempt["vendor_key"], attempt["reference"]):
        assert meant_by(store, name).messages == [message["key"]]
    with store.database.reading() as tx:
        assert store.reports.message(tx, message["key"]) == message
        assert store.reports.message(tx, "0" * 32) is None


def test_touches_then_are_those_begun_in_the_window_without_the_message_itself(store):
    town = Town(store, journey_text(f"- id: a\n  send: {PUSH}\n- id: w\n  delay: 1d\n- id: b\n  send: {PUSH}", entry="{event: app_opened}"))
    town.settle_people(somebody())
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    town.settle(NOON + DAY)
    first, second = town.story().messages

    with store.database.reading() as tx:
        wide = store.enquiries.touches_then(tx, "u1", NOON - 1, NOON + DAY, second["key"])
        narrow = store.enquiries.touches_then(tx, "u1", NOON, NOON + DAY, second["key"])

    assert [(touch.key, touch.at, touch.channel) for touch in wide] == [(first["key"], NOON, "push")]
    assert narrow == []


def test_what_is_kept_of_journeys_events_and_the_inbox_is_told(store):
    town = Town(store, HELLO)
    town.settle_people(somebody())
    town.post(event("app_opened", NOON, id="e1"), event("app_opened", NOON + 1, id="e2"), event("order_paid", NOON + 2, id="e3"))

    with store.database.reading() as tx:
        enquiries = store.enquiries
        newest = enquiries.last_events(tx, "u1", ["app_opened"], 5)
        assert [(found.id, is_history) for found, is_history in newest] == [("e2", False), ("e1", False)]
        assert enquiries.unprojected(tx, "u1") == 3
        assert enquiries.journeys(tx) == ["j"]
        assert enquiries.applied_first(tx, "j") == NOON - DAY
        assert enquiries.applied_first(tx, "nothing") is None
        assert [(release_id, at) for release_id, at, _ in enquiries.releases(tx)] == [(1, NOON - DAY)]
        assert enquiries.entries_of_all(tx, "j") == []
