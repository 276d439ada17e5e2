"""Receipts: kept once each, parked until their message is known, joined; states only climb, in whatever order things come."""

from itertools import permutations

import pytest

from channels.message import Accepted, Heard, Receipt, Rejected, Unknown
from runtime.deliver import LEASE, Claimed, Delivered
from runtime.store.tables import attempts, messages, receipts
from tests.town import DAY, MINUTE, NOON, PUSH, SECOND, FakeVendor, Town, event, journey_text, somebody

HELLO = journey_text(f"- {{id: hello, send: {PUSH}}}", entry="{event: app_opened}")
BOTH_WAYS = journey_text(
    "- {id: hello, send: [{push: {title: T, body: B}}, {sms: {template: news}}], fall_through: undelivered}", entry="{event: app_opened}"
)
REFERENCE = Receipt(True, reference="ref-1")
CLIMB = {"SENDING": 0, "UNKNOWN": 0, "ACCEPTED": 1, "UNDELIVERED": 2, "DELIVERED": 3}


class Hearing(FakeVendor):
    """A vendor that calls back."""

    def hear(self, callback):
        return Heard()


def keep(store, receipt, lane="push", now=NOON):
    return store.database.write(lambda tx: store.receipts.keep(tx, lane, receipt, now))


def parked(store, *references, lane="push"):
    with store.database.reading() as tx:
        return [kept.receipt for kept in store.receipts.parked(tx, lane, references)]


# --- the statements


def test_the_very_same_receipt_is_kept_once(store):
    receipt = Receipt(False, "key", "ref", "E1", "reason", "address")

    assert keep(store, receipt) is not None
    assert keep(store, receipt, now=NOON + DAY) is None
    assert keep(store, receipt, lane="sms") is not None
    assert keep(store, Receipt(True, "key", "ref")) is not None


def test_a_receipt_without_our_key_is_parked_until_its_reference_is_known(store):
    whole = Receipt(False, reference="ref-1", code="E1", reason="空号", blames="address")
    kept = keep(store, whole)
    keep(store, Receipt(True, "our-key", "ref-1"))
    keep(store, Receipt(True, reference="ref-2"))

    assert parked(store, "ref-1", "ref-9") == [whole]
    assert parked(store, "ref-1", lane="sms") == []
    assert parked(store) == parked(store, "") == []
    store.database.write(lambda tx: store.receipts.join(tx, kept, "m1"))
    assert parked(store, "ref-1", "ref-2") == [Receipt(True, reference="ref-2")]


# --- with messages


def begun(store, text_=HELLO, vendor=None):
    """A town in which u1's message is on its way: its intent is durable; returns both."""
    made = Town(store, text_, push=vendor or Hearing("query"))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)
    return made, begin(made, NOON)


def begin(made, now):
    claimed = made.store.database.write(lambda tx: made.store.ledger.claim(tx, now, 100, now + LEASE))
    return made.store.database.write(lambda tx: made.delivery.begin(tx, Claimed(claimed), now, Delivered()))[0]


def answer(made, attempt, outcome, now=NOON + SECOND):
    made.store.database.write(lambda tx: made.delivery.finish(tx, [(attempt, outcome)], now, Delivered()))


def hear(made, receipt, now=NOON + SECOND, lane="push"):
    return made.store.database.write(lambda tx: made.delivery.settling.receipt(tx, lane, receipt, now))


def row(made):
    with made.store.database.reading() as tx:
        return tx.execute(messages.select()).one()


def tries(made):
    with made.store.database.reading() as tx:
        return [(a.lane, a.state, a.reference) for a in tx.execute(attempts.select().order_by(attempts.c.id))]


def test_a_receipt_that_is_faster_than_the_answer_is_joined_by_it(store):
    made, attempt = begun(store)

    assert not hear(made, REFERENCE)
    assert row(made).state == "SENDING"
    answer(made, attempt, Accepted("ref-1"))

    assert (row(made).state, row(made).reference) == ("DELIVERED", "ref-1")
    assert parked(store, "ref-1") == []


def test_a_receipt_that_is_faster_than_a_look_up_is_joined_by_it(store):
    made, attempt = begun(store, vendor=Hearing("query", found=Accepted("ref-1")))
    answer(made, attempt, Unknown("timeout"))
    hear(made, REFERENCE)

    made.deliver(NOON + MINUTE)

    assert row(made).state == "DELIVERED"


def test_a_receipt_and_an_answer_that_are_written_at_the_same_moment_find_each_other(new_postgres):
    """Two transactions that do not see each other: the receipt is parked while the answer is being recorded."""
    from runtime.store import open_store
    from tests.town import ZONE

    store = open_store(new_postgres, ZONE, "daemon")
    try:
        made, attempt = begun(store)
        with store.database.engine.begin() as heard:
            made.delivery.settling.receipt(heard, "push", REFERENCE, NOON + SECOND)
            answer(made, attempt, Accepted("ref-1"))
        made.deliver(NOON + MINUTE)
        made.deliver(NOON + DAY)

        assert row(made).state == "DELIVERED"
    finally:
        store.close()


def test_a_receipt_for_an_unknown_id_changes_nothing_and_is_kept(store):
    made, attempt = begun(store)
    answer(made, attempt, Accepted("ref-1"))

    for stranger in (Receipt(True, "no-such-key"), Receipt(True, reference="no-such-ref"), Receipt(False, "", "ref-1 ")):
        assert not hear(made, stranger)
    assert not hear(made, Receipt(True, reference="ref-1"), lane="sms"), "another vendor's reference"

    assert row(made).state == "ACCEPTED"
    with store.database.reading() as tx:
        assert {r.message_key for r in tx.execute(receipts.select())} == {None}


def test_a_duplicate_wakes_nobody_twice(store):
    made, attempt = begun(store)
    answer(made, attempt, Accepted("ref-1"))

    assert [hear(made, REFERENCE) for _ in range(3)] == [True, False, False]


def test_a_key_finds_a_message_whose_answer_was_lost(store):
    made, attempt = begun(store, vendor=Hearing("neither"))
    answer(made, attempt, Unknown("timeout"))
    made.deliver(NOON + SECOND)
    assert row(made).state == "ABANDONED"

    hear(made, Receipt(True, key=attempt.row.key))

    assert row(made).state == "DELIVERED"
    assert tries(made) == [("push", "DELIVERED", None)]


@pytest.mark.parametrize("final", ["SUPPRESSED", "EXPIRED", "REJECTED"])
def test_a_receipt_does_not_revive_what_definitely_did_not_go_out(store, final):
    made, attempt = begun(store)
    store.database.write(lambda tx: tx.execute(messages.update().values(state=final)))

    assert not hear(made, Receipt(True, key=attempt.row.key))
    assert row(made).state == final


ANSWERS = {"accepted": Accepted("ref-1"), "unknown": Unknown("timeout"), "late": None}
TOLD = {
    "delivered": Receipt(True, reference="ref-1"), "undelivered": Receipt(False, reference="ref-1", code="E"),
    "delivered by key": Receipt(True, key="KEY"), "undelivered by key": Receipt(False, key="KEY", code="E"),
}  # fmt: skip
STORIES = [
    ("accepted", "delivered", "undelivered", "delivered"), ("accepted", "undelivered", "undelivered by key"),
    ("accepted", "delivered by key", "undelivered by key"), ("accepted", "delivered", "undelivered by key", "undelivered"),
    ("unknown", "delivered by key", "undelivered by key"), ("unknown", "late", "delivered", "undelivered"),
    ("late", "undelivered by key", "delivered by key"),
]  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=" ".join)
def test_states_only_climb_in_every_order_of_answers_and_receipts(sqlite_store, story):
    """Every permutation of what is told of one attempt: nothing ever goes down, and the end is the highest that was told."""
    text_, made = HELLO, None
    for number, order in enumerate(sorted(set(permutations(story)))):
        name = f"u{number}"
        if made is None:
            made = Town(sqlite_store, text_, push=Hearing("query", found=Unknown("nobody knows")))
        made.settle_people(somebody(name))
        made.post(event("app_opened", NOON, user=name))
        made.think(NOON)
        attempt = begin(made, NOON)
        reference, seen = f"ref-{number}", [0]
        for what in order:
            if what == "late":  # the sender counted as dead, and tells after all
                sqlite_store.database.write(lambda tx: sqlite_store.ledger.reap(tx, NOON + DAY))
                answer(made, attempt, Accepted(reference), NOON + DAY)
            elif what in ANSWERS:
                told = ANSWERS[what]
                answer(made, attempt, Accepted(reference) if isinstance(told, Accepted) else told)
            else:
                receipt = TOLD[what]
                key, ref = (attempt.row.key, "") if receipt.key else ("", reference)
                hear(made, Receipt(receipt.delivered, key, ref, receipt.code))
            seen.append(CLIMB[made.states(name)[0][1]])
            assert seen == sorted(seen), (order, seen)
        top = 3 if any(w.startswith("delivered") for w in order) else 2
        assert seen[-1] == top, (order, seen)


# --- a receipt against a list of positions


def test_a_receipt_of_failure_before_the_answer_still_opens_the_next_position(store):
    made, attempt = begun(store, BOTH_WAYS)

    hear(made, Receipt(False, key=attempt.row.key, code="E"))
    answer(made, attempt, Accepted("ref-1"))
    made.settle(NOON + 2 * SECOND)

    assert len(made.vendors["sms"].got) == 1
    assert (row(made).channel, row(made).state) == ("sms", "ACCEPTED")


def test_a_look_up_that_comes_after_the_receipt_does_not_end_the_next_position(store):
    made, attempt = begun(store, BOTH_WAYS, vendor=Hearing("query"))
    answer(made, attempt, Unknown("timeout"))
    with store.database.reading() as tx:
        (unknown,) = store.ledger.unknowns(tx, NOON + MINUTE, 10)
        latest = store.ledger.latest_attempts(tx, [unknown.key], {unknown.key: "u1"})[unknown.key]
    hear(made, Receipt(False, key=attempt.row.key, code="E"))

    found = Accepted("ref-1")
    store.database.write(lambda tx: made.delivery.settling.settle(tx, unknown, latest, found, NOON, NOON + MINUTE))
    made.settle(NOON + 2 * MINUTE)

    assert len(made.vendors["sms"].got) == 1


def test_a_receipt_of_an_earlier_position_says_nothing_about_the_next(store):
    text_ = BOTH_WAYS.replace(", fall_through: undelivered", "")
    made, attempt = begun(store, text_)
    answer(made, attempt, Rejected("no_token"))
    made.deliver(NOON + SECOND)

    assert not hear(made, Receipt(False, key=attempt.row.key, code="E"))

    assert (row(made).channel, row(made).state) == ("sms", "ACCEPTED")


def test_an_attempt_that_was_proven_absent_is_not_taken_for_the_one_that_arrived(store):
    made, _ = begun(store, vendor=Hearing("query", Accepted("ref-2"), found=Rejected("never_there")))

    made.deliver(NOON + MINUTE)  # the sender died: reaped, looked up, sent again
    made.deliver(NOON + MINUTE)

    assert row(made).state == "ACCEPTED"
    assert tries(made) == [("push", "REJECTED", None), ("push", "ACCEPTED", "ref-2")]
