"""How people can be reached: identities, the ledger of consents, what addresses refused, subscriptions."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from runtime.state import Consent
from tests.town import DAY, HOUR, MINUTE, NOON

PHONE = "+8613800138000"
SMS = [("sms", PHONE)]
_names = count(1)


def do(store, operation):
    return store.database.write(operation)


def identify(store, user_id, **values):
    do(store, lambda tx: store.contacts.identify(tx, user_id, values))


def whose(store, kind, value):
    with store.database.reading() as tx:
        return store.contacts.whose(tx, kind, value)


# --- identities


def test_a_user_is_found_by_an_identity_until_it_changes(store):
    identify(store, "u1", phone=PHONE, openid="o1")
    assert whose(store, "phone", PHONE) == ["u1"]

    identify(store, "u1", phone="+8613800138001")

    assert whose(store, "phone", PHONE) == []
    assert whose(store, "phone", "+8613800138001") == ["u1"]
    assert whose(store, "openid", "o1") == ["u1"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_identity_that_is_taken_back_finds_nobody(store, nothing):
    identify(store, "u1", phone=PHONE)
    identify(store, "u2", phone=PHONE)

    identify(store, "u1", phone=nothing)

    assert whose(store, "phone", PHONE) == ["u2"]
    assert whose(store, "phone", "") == []


def test_a_number_may_be_shared_and_is_told_apart_from_other_kinds(store):
    identify(store, "u2", phone=PHONE)
    identify(store, "u1", phone=PHONE)
    identify(store, "u1", phone=PHONE)
    identify(store, "u3", openid=PHONE)

    assert whose(store, "phone", PHONE) == ["u1", "u2"]


# --- consents


def said(granted, at, user="u1", channel="sms", purpose="marketing"):
    return Consent(user, channel, purpose, granted, "shop", "我同意", at)


def record(store, *consents, address=PHONE, now=NOON):
    addresses = {c.user_id: {"sms": address} for c in consents} if address else {}
    do(store, lambda tx: store.contacts.record(tx, consents, addresses, now))


def suppress(store, at, *purposes, address=PHONE, channel="sms"):
    do(store, lambda tx: store.contacts.suppress(tx, channel, address, purposes or ("marketing",), "reply", at))


def suppressed(store, pairs=SMS):
    with store.database.reading() as tx:
        return store.contacts.suppressed(tx, pairs)


REFUSED = {("sms", PHONE, "marketing")}


def test_the_ledger_of_consents_only_grows(store):
    answers = [said(True, NOON), said(False, NOON + 1), said(False, NOON + 1), said(True, NOON - DAY)]

    for n, answer in enumerate(answers):
        record(store, answer, said(True, NOON, user="u2"), now=NOON + n)

    with store.database.reading() as tx:
        found = store.contacts.consents_of(tx, "u1")
    assert [(c["granted"], c["said_at"], c["recorded_at"]) for c in found] == [
        (True, NOON, NOON), (False, NOON + 1, NOON + 1), (False, NOON + 1, NOON + 2), (True, NOON - DAY, NOON + 3)
    ]  # fmt: skip
    assert {(c["source"], c["wording"], c["channel"], c["purpose"]) for c in found} == {("shop", "我同意", "sms", "marketing")}


def test_a_refusal_of_an_address_is_lifted_by_a_later_yes_only(store):
    suppress(store, NOON)

    for no_lift in (said(True, NOON - 1), said(True, NOON), said(False, NOON + 1), said(True, NOON + 1, purpose="service"),
                    said(True, NOON + 1, channel="push")):  # fmt: skip
        record(store, no_lift)
        assert suppressed(store) == REFUSED, no_lift
    record(store, said(True, NOON + 1), address="+8613800138001")
    record(store, said(True, NOON + 1), address="")
    assert suppressed(store) == REFUSED, "a yes from another address, or from none"
    record(store, said(True, NOON + 1))

    assert suppressed(store) == set()


def test_a_refusal_stands_for_the_purposes_and_the_channel_it_was_for(store):
    suppress(store, NOON, "service", "marketing")
    suppress(store, NOON, address="+8613800138001")
    record(store, said(True, NOON + 1))

    assert suppressed(store) == {("sms", PHONE, "service")}
    assert suppressed(store, [("wechat", PHONE), ("sms", "+8613800138002")]) == set()
    assert suppressed(store, []) == set()


def test_a_newer_refusal_moves_what_a_yes_must_be_later_than(store):
    suppress(store, NOON)
    suppress(store, NOON + HOUR)

    record(store, said(True, NOON + MINUTE))

    assert suppressed(store) == REFUSED


def test_an_older_refusal_that_is_heard_late_does_not_weaken_a_newer_one(store):
    suppress(store, NOON + HOUR)
    suppress(store, NOON)

    record(store, said(True, NOON + MINUTE))

    assert suppressed(store) == REFUSED


# --- subscriptions


def credits_of(store, address, template="T1"):
    with store.database.reading() as tx:
        return store.contacts.credits_of(tx, [address]).get(address, {}).get(template)


def test_an_unknown_subscription_is_none_and_one_that_was_refused_is_zero(store):
    assert credits_of(store, "o1") is None
    assert not do(store, lambda tx: store.contacts.take_credit(tx, "o1", "T1"))

    do(store, lambda tx: store.contacts.no_credit(tx, "o1", "T1", NOON))

    assert credits_of(store, "o1") == 0
    with store.database.reading() as tx:
        assert store.contacts.credits_of(tx, []) == {}


def test_two_daemons_do_not_take_the_same_last_credit(store, open_another):
    both = (store, store) if store.database.is_sqlite else (store, open_another())
    for n in range(10):
        do(store, lambda tx, n=n: store.contacts.add_credit(tx, f"o{n}", "T1", 1, NOON))

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: do(both[n % 2], lambda tx: both[n % 2].contacts.take_credit(tx, f"o{n // 4}", "T1")), range(40)))

    assert sum(taken) == 10
    assert {credits_of(store, f"o{n}") for n in range(10)} == {0}


def test_credits_are_never_negative_and_never_more_is_spent_than_was_accepted(store):
    class Credits(RuleBasedStateMachine):
        """Accept, reserve, refund, spend, lose everything; two templates of one person, who is new in every run."""

        def __init__(self):
            super().__init__()
            self.who = f"person{next(_names)}"
            self.left = {"T1": 0, "T2": 0}
            self.known = set()
            self.reserved = []
            self.accepted = self.spent = 0

        @rule(template=st.sampled_from(["T1", "T2"]), n=st.integers(1, 3))
        def accept(self, template, n):
            do(store, lambda tx: store.contacts.add_credit(tx, self.who, template, n, NOON))
            self.left[template] += n
            self.accepted += n
            self.known.add(template)

        @rule(template=st.sampled_from(["T1", "T2"]))
        def reserve(self, template):
            taken = do(store, lambda tx: store.contacts.take_credit(tx, self.who, template))
            assert taken == (self.left[template] > 0)
            if taken:
                self.left[template] -= 1
                self.reserved.append(template)

        @precondition(lambda self: self.reserved)
        @rule()
        def refund(self):
            template = self.reserved.pop()
            do(store, lambda tx: store.contacts.add_credit(tx, self.who, template, 1, NOON))
            self.left[template] += 1

        @precondition(lambda self: self.reserved)
        @rule()
        def spend(self):
            self.reserved.pop()
            self.spent += 1

        @rule(template=st.sampled_from(["T1", "T2"]))
        def refuse(self, template):
            do(store, lambda tx: store.contacts.no_credit(tx, self.who, template, NOON))
            self.left[template] = 0
            self.known.add(template)

        @invariant()
        def the_books_agree(self):
            assert {t: credits_of(store, self.who, t) for t in self.known} == {t: self.left[t] for t in self.known}
            assert min(self.left.values()) >= 0
            assert self.spent + len(self.reserved) + sum(self.left.values()) <= self.accepted

    run_state_machine_as_test(Credits, settings=settings(max_examples=20, stateful_step_count=25, deadline=None))


# --- what was heard before


def test_a_notice_is_new_once_for_each_channel(store):
    def first(lane, id_):
        return do(store, lambda tx: store.contacts.first_time(tx, lane, id_, NOON))

    assert [first("sms", "1"), first("sms", "1"), first("wechat", "1"), first("sms", "2")] == [True, False, True, True]
    with store.database.reading() as tx:
        assert store.contacts.known(tx, "sms", ["0", "2"])
        assert not store.contacts.known(tx, "wechat", ["2"])
        assert not store.contacts.known(tx, "sms", [])
