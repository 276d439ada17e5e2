"""Who is who: identities join what is one person, anonymous people first; two known people are never joined by themselves."""

import pytest

from runtime.state import Person
from tests.town import NOON, set_aside_in

DEVICE = frozenset({"distinct_id"})
ALL = frozenset({"openid", "unionid", "push_id", "distinct_id", "phone"})


def person(user_id="", *, attach=ALL, former=(), may_merge=False, unbound=(), **identities):
    return Person(user_id, tuple(identities.items()), attach, unbound, former, may_merge)


@pytest.fixture
def find(store):
    def resolve(*persons):
        return store.database.write(lambda tx: store.identity.resolve(tx, [("app", person) for person in persons], NOON))

    return resolve


@pytest.fixture
def merges(store):
    def noted():
        with store.database.reading() as tx:
            notes = store.inbox.waiting(tx, 100)
        return [(n.user_id, n.payload["former"]) for n in notes if n.kind == "merge"]

    return noted


def conflicts(store):
    return [row["reason"] for row in set_aside_in(store) if row["kind"] == "identity"]


def test_who_is_known_by_a_device_only_is_an_anonymous_user(find):
    assert find(person(distinct_id="d1"), person(distinct_id="d1"), person(distinct_id="d2")) == [
        "distinct_id:d1", "distinct_id:d1", "distinct_id:d2",
    ]  # fmt: skip


def test_the_strongest_identity_gives_an_anonymous_user_her_name(find):
    assert find(person(openid="o1", distinct_id="d1")) == ["openid:o1"]
    assert find(person(distinct_id="d1")) == ["openid:o1"]


def test_an_anonymous_user_is_merged_as_soon_as_her_own_id_is_known(find, merges):
    find(person(distinct_id="d1"))

    assert find(person("u1", distinct_id="d1")) == ["u1"]
    assert merges() == [("u1", "distinct_id:d1")]


def test_a_merge_is_noted_once_while_it_waits_however_many_messages_say_so(find, merges):
    find(person(distinct_id="d1"), person(distinct_id="d2"))

    find(*[person("u1", distinct_id="d1")] * 3, person("u1", distinct_id="d2"))
    find(person("u1", distinct_id="d1"))

    assert merges() == [("u1", "distinct_id:d1"), ("u1", "distinct_id:d2")]


def test_a_merge_that_is_asked_for_with_more_right_is_noted_beside_one_with_less(find, merges):
    find(person(distinct_id="d1"))

    find(person("u1", distinct_id="d1", attach=DEVICE))
    find(person("u1", distinct_id="d1"))
    find(person("u1", distinct_id="d1", former=(("distinct_id", "d1"),), may_merge=True))

    assert merges() == [("u1", "distinct_id:d1")] * 3


def test_what_comes_by_an_identity_of_a_known_user_is_hers(find, merges):
    find(person("u1", openid="o1"))

    assert find(person(openid="o1", distinct_id="d9"), person(distinct_id="d9")) == ["u1", "u1"]
    assert merges() == []


def test_two_anonymous_users_who_turn_out_to_be_one_are_merged(find, merges):
    find(person(openid="o1"), person(distinct_id="d1"))

    assert find(person(openid="o1", distinct_id="d1")) == ["openid:o1"]
    assert merges() == [("openid:o1", "distinct_id:d1")]


def test_two_known_users_are_not_merged_by_themselves_but_shown_once(find, merges, store):
    find(person("u1", openid="o1"))

    assert find(person("u2", openid="o1"), person("u2", openid="o1")) == ["u2", "u2"]
    assert merges() == []
    assert conflicts(store) == ["openid o1 is said to be of u2, and belongs to u1: two known users are not merged by themselves"]
    assert find(person(openid="o1")) == ["u1"]


def test_two_accounts_on_one_phone_are_not_merged_by_a_source_that_may_when_asked(find, merges, store):
    find(person("u1", openid="o1"))

    find(person("u2", openid="o1", may_merge=True))

    assert (merges(), len(conflicts(store))) == ([], 1)


def test_a_source_that_may_merge_has_two_known_users_merged(find, merges):
    find(person("u1"), person("u2"))

    find(person("u2", former=(("user_id", "u1"),), may_merge=True))

    assert merges() == [("u2", "u1")]


def test_a_source_that_may_not_merge_only_shows_what_it_wanted(find, merges, store):
    find(person("u1", openid="o1"), person("u2", openid="o2"))

    find(person("u2", former=(("user_id", "u1"),)))

    assert (merges(), len(conflicts(store))) == ([], 1)


def test_a_sign_up_merges_the_device_it_happened_on(find, merges):
    find(person(distinct_id="d1"))

    assert find(person("u1", former=(("distinct_id", "d1"),), attach=DEVICE)) == ["u1"]
    assert merges() == [("u1", "distinct_id:d1")]
    assert find(person("u1", former=(("distinct_id", "d2"),), attach=DEVICE), person(distinct_id="d2")) == ["u1", "u1"]


def test_a_device_is_not_believed_whose_openid_it_has(find):
    find(person("u1", openid="o1", attach=DEVICE))

    assert find(person(openid="o1")) == ["openid:o1"]


def test_a_device_joins_nobody_by_an_openid_that_it_says_it_has(find, merges):
    find(person(openid="o1"))

    assert find(person("u1", openid="o1", attach=DEVICE)) == ["u1"]
    assert merges() == []
    assert find(person("u2", openid="o1")) == ["u2"]
    assert merges() == [("u2", "openid:o1")]


def test_a_former_id_of_which_nobody_knows_is_taken_over_by_who_may_merge_alone(find, merges):
    find(person("u1", former=(("user_id", "u8"),)), person("u1", former=(("user_id", "u9"),), may_merge=True))

    assert merges() == [("u1", "u9")]


def test_the_own_id_of_a_known_user_is_no_device_of_somebody_else(find):
    find(person("u1"))

    find(person("u2", distinct_id="u1", attach=DEVICE), person("u2", former=(("distinct_id", "u1"),), attach=DEVICE))

    assert find(person(distinct_id="u1")) == ["distinct_id:u1"]


def test_a_further_id_of_a_device_finds_its_user_before_a_new_one_is_made(find, merges):
    find(person("u1", distinct_id="d1"))

    assert find(person(distinct_id="d2", former=(("distinct_id", "d1"),), attach=DEVICE)) == ["u1"]
    assert find(person(distinct_id="d2")) == ["u1"]
    assert merges() == []


@pytest.mark.parametrize("former", [("user_id", "openid:o1"), ("distinct_id", "openid:o1")])
def test_a_device_takes_over_nobody_by_an_id_of_ours(find, merges, former):
    find(person(openid="o1"))

    find(person("thief", former=(former,), attach=DEVICE))

    assert merges() == []
    assert find(person("u1", openid="o1")) == ["u1"]
    assert merges() == [("u1", "openid:o1")]


def test_who_is_written_by_an_id_of_ours_stays_anonymous(find, merges, store):
    find(person(openid="o1"), person("openid:o1", distinct_id="d9", attach=DEVICE), person("openid:o2", attach=DEVICE))

    assert find(person("u1", openid="o1"), person("u2", openid="o2")) == ["u1", "u2"]
    assert (merges(), conflicts(store)) == ([("u1", "openid:o1")], [])
    find(person("u2", former=(("user_id", "openid:o2"),), may_merge=True))
    assert merges() == [("u1", "openid:o1"), ("u2", "openid:o2")]


def test_who_was_made_known_by_an_id_of_ours_is_anonymous_all_the_same(find, merges, store):
    find(person(openid="o1"))
    store.database.write(lambda tx: tx.exec_driver_sql("UPDATE users SET anonymous = false"))

    find(person("u1", openid="o1"))

    assert merges() == [("u1", "openid:o1")]
    with store.database.reading() as tx:
        assert [store.identity.is_known(tx, one) for one in ("openid:o1", "u1")] == [False, True]


@pytest.mark.parametrize(
    "claimed", [person("openid:o1", distinct_id="d9", attach=DEVICE), person(openid="o1", distinct_id="d9", attach=DEVICE)]
)
def test_a_device_leads_nobody_to_an_openid_that_it_was_said_to_belong_to(find, merges, store, claimed):
    find(person(openid="o1"), claimed)

    find(person("thief", distinct_id="d9", attach=DEVICE), person("thief", former=(("distinct_id", "d9"),), attach=DEVICE))

    assert merges() == []
    [shown] = conflicts(store)
    assert shown.startswith("distinct_id d9 is said to be of thief, and belongs to openid:o1: a device is not believed")


def test_a_device_that_a_signed_source_has_seen_with_an_openid_is_more_than_a_device(find, merges, store):
    find(person(distinct_id="d1"), person(distinct_id="d1", openid="o1"))

    find(person("u1", distinct_id="d1", attach=DEVICE))
    assert (merges(), len(conflicts(store))) == ([], 1)

    find(person("u1", openid="o1"))
    assert merges() == [("u1", "distinct_id:d1")]


def test_who_comes_by_a_device_and_an_openid_that_it_claims_is_known_by_the_device(find, merges):
    assert find(person(openid="o1", distinct_id="d1", attach=DEVICE)) == ["distinct_id:d1"]

    assert find(person("u1", openid="o1", distinct_id="d1", attach=DEVICE)) == ["u1"]
    assert merges() == [("u1", "distinct_id:d1")]


def test_a_phone_joins_nobody_for_families_share_it(find, merges):
    find(person("u1", phone="+8613800138000"), person("u2", phone="+8613800138000"))

    assert find(person("u3", phone="+8613800138000")) == ["u3"]
    assert merges() == []


@pytest.mark.parametrize("attach", [ALL, DEVICE])
@pytest.mark.parametrize("hers", [{"openid": "o2"}, {"distinct_id": "d2"}, {"unionid": "n2", "openid": "o2"}])
def test_who_shares_a_phone_keeps_what_is_hers_alone(find, merges, store, hers, attach):
    find(person("husband", openid="o1", phone="+8613800138000"))
    [wife] = find(person(**hers))

    assert find(person(**hers, phone="+8613800138000", attach=attach)) == [wife] == [":".join(next(iter(hers.items())))]
    assert find(person("wife", **hers, phone="+8613800138000")) == ["wife"]
    assert (set(merges()), conflicts(store)) == ({("wife", wife)}, [])


def test_who_comes_first_by_a_phone_of_somebody_and_an_identity_of_her_own_is_somebody_else(find):
    find(person("husband", phone="+8613800138000"))

    assert find(person(phone="+8613800138000", openid="o2"), person(openid="o2")) == ["openid:o2", "openid:o2"]


def test_a_phone_alone_is_hers_who_alone_has_it_where_a_signed_source_says_so(find):
    find(person("u1", phone="+8613800138000"))

    assert find(person(phone="+8613800138000")) == ["u1"]
    assert find(person(phone="+8613800138000", attach=DEVICE)) == ["phone:+8613800138000"]
    assert find(person(phone="+8613800138000")) == ["u1"]


@pytest.mark.parametrize("second", [person("u2", phone="+8613800138000"), person(openid="o2", phone="+8613800138000")])
def test_a_phone_that_two_have_finds_neither(find, second):
    find(person("u1", phone="+8613800138000"), second)

    assert find(person(phone="+8613800138000")) == ["phone:+8613800138000"]


def test_an_identity_that_is_unbound_leads_to_nobody(find):
    find(person("u1", distinct_id="d1"))

    find(person("u1", distinct_id="d1", unbound=(("distinct_id", "d1"),)))

    assert find(person(distinct_id="d1")) == ["distinct_id:d1"]


def test_a_former_id_leads_to_the_last_survivor(store, find):
    find(person("a"), person("b"), person("c"))

    def follow(tx):
        store.merging.move(tx, "b", "a")
        store.merging.move(tx, "c", "b")
        return store.identity.survivors(tx, ["a", "b", "c", "nobody"])

    assert store.database.write(follow) == {"a": "c", "b": "c"}
    assert find(person("a")) == ["c"]
