"""The ledger: each arrow of the protocol (T0 to T11), each illegal one refused, budgets and touches."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from runtime.policy import Touch
from runtime.state import NewMessage
from runtime.store.ledger import Intent
from runtime.store.ledger_rows import Pick, claiming
from runtime.store.tables import attempts, messages
from tests.town import DAY, HOUR, MINUTE, NOON

STATES = (
    "PENDING",
    "CLAIMED",
    "SENDING",
    "UNKNOWN",
    "ACCEPTED",
    "DELIVERED",
    "UNDELIVERED",
    "REJECTED",
    "SUPPRESSED",
    "EXPIRED",
    "ABANDONED",
)
LEASE = NOON + MINUTE


def message(
    key="m1", *, kind="message", user="u1", channel="push", at=NOON, expires=None, priority=50, visit=1, topic=None, purpose="marketing"
):
    return NewMessage(key, kind, "a", visit, user, channel, None, purpose, topic, priority, 0, at, expires, {"title": "到"})


def plan(store, *new, enrolment=1, created=NOON):
    rows = [store.ledger.row_of(m, enrolment, "u1", "j", 1, created) for m in new]
    store.database.write(lambda tx: store.ledger.add_messages(tx, rows))


def do(store, operation):
    return store.database.write(operation)


def claim(store, now=NOON, limit=10, lease=LEASE, pick=None):
    return do(store, lambda tx: store.ledger.claim(tx, now, limit, lease, pick))


def intend(store, row, now=NOON, vendor_key="vk"):
    return do(store, lambda tx: bool(store.ledger.intend(tx, [Intent(row, vendor_key)], now, (now or NOON) + 30_000)))


def state(store, key="m1"):
    with store.database.reading() as tx:
        return tx.execute(select(messages).where(messages.c.key == key)).one()


def tries(store, key="m1"):
    with store.database.reading() as tx:
        return [
            (a.n, a.position, a.state) for a in tx.execute(select(attempts).where(attempts.c.message_key == key).order_by(attempts.c.id))
        ]


def started(store, *, kind="message", **keys):
    """A message that is SENDING, with its row as its sender holds it."""
    plan(store, message(kind=kind, **keys))
    (row,) = claim(store)
    assert intend(store, row)
    return row


def unknown(store, **keys):
    """A message whose only attempt is unknown, with its row as the resolver holds it."""
    row = started(store, **keys)
    assert do(store, lambda tx: store.ledger.unknown(tx, row, "timeout", NOON))
    return loaded(store)


def loaded(store):
    with store.database.batch() as batch:
        (row,) = store.ledger.unknowns(batch.connection, NOON + DAY, 10)
        return row


# --- T0, T1


def test_t0_a_planned_message_is_pending_and_known_by_its_key(store):
    plan(store, message())

    row = state(store)

    assert (row.state, row.token, row.attempts, row.cancelled) == ("PENDING", 0, 0, False)
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        plan(store, message())


def test_t0_an_effect_whose_key_was_used_before_is_not_written_again(store):
    row = store.ledger.row_of(message(kind="grant", channel="gift"), 1, "u1", "j", 1, NOON)

    assert do(store, lambda tx: store.ledger.add_effect(tx, row)) is True
    assert do(store, lambda tx: store.ledger.add_effect(tx, row)) is False


@pytest.mark.parametrize("many", [False, True])
def test_t1_a_claim_takes_the_most_important_first_then_the_oldest(store, many):
    plan(
        store, message("late", at=NOON), message("old", at=NOON - 1), message("important", at=NOON, priority=90),
        message("future", at=NOON + 1), message("over", expires=NOON), message("nearly_over", expires=NOON + 1, at=NOON - 2),
    )  # fmt: skip

    rows = [*claim(store, limit=2, pick=Pick("push", many=many)), *claim(store, pick=Pick("push", many=many))]

    assert [r.key for r in rows] == ["important", "nearly_over", "old", "late"]
    assert {r.token for r in rows} == {1}
    assert rows[0].content == {"title": "到"}
    assert state(store, "important").lease_until == LEASE
    assert claim(store) == []


def test_t1_a_claim_takes_no_more_than_asked_for(store):
    plan(store, *(message(f"m{n}") for n in range(5)))

    assert len(claim(store, limit=2)) == 2
    assert len(claim(store, limit=10)) == 3


@pytest.mark.parametrize(("many", "expected"), [(False, ("messages_pending", True)), (True, ("messages_urgent", False))])
def test_t1_a_claim_of_many_reads_them_in_their_order_and_one_of_few_passes_over_what_is_not_due(sqlite_store, many, expected):
    query, _ = claiming(Pick("push", many=many), virtual=False, is_sqlite=True)
    compiled = query.compile(dialect=sqlite_store.database.engine.dialect)
    values = {**compiled.params, "at": NOON, "most": 10}

    with sqlite_store.database.reading() as tx:
        steps = [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)]

    index, sorts = expected
    assert index in steps[0]
    assert any("TEMP B-TREE" in step for step in steps) == sorts


def test_t1_many_senders_claim_each_message_once(store):
    plan(store, *(message(f"m{n}") for n in range(30)))

    with ThreadPoolExecutor(6) as pool:
        rows = [row.key for found in pool.map(lambda _: claim(store, limit=5), range(12)) for row in found]

    assert sorted(rows) == sorted(f"m{n}" for n in range(30))


# --- T2, T7, T11: the reaper


def reap(store, now):
    return do(store, lambda tx: store.ledger.reap(tx, now))


def test_t2_a_claim_whose_lease_is_over_is_free_again_and_its_old_owner_cannot_begin(store):
    plan(store, message())
    (old,) = claim(store)

    assert reap(store, LEASE) == {"released": 0, "unknown": 0, "expired": 0}
    assert reap(store, LEASE + 1)["released"] == 1
    (new,) = claim(store, lease=LEASE + HOUR)

    assert intend(store, old) is False
    assert intend(store, new) is True
    assert tries(store) == [(1, 0, "SENDING")]


def test_t7_a_sender_that_died_leaves_the_message_unknown_and_ambiguous(store):
    started(store)

    assert reap(store, NOON + 30_001)["unknown"] == 1

    row = state(store)
    assert (row.state, row.ambiguous) == ("UNKNOWN", 1)


def test_t11_a_pending_message_past_its_time_expires(store):
    plan(store, message("m1", expires=NOON + HOUR), message("m2"))

    assert reap(store, NOON + HOUR - 1)["expired"] == 0
    assert reap(store, NOON + HOUR)["expired"] == 1

    assert (state(store, "m1").state, state(store, "m1").settled_at) == ("EXPIRED", NOON + HOUR)
    assert state(store, "m2").state == "PENDING"


@pytest.mark.parametrize("kind", ["grant", "call"])
def test_t11_an_effect_past_its_time_expires_too(store, kind):
    plan(store, message(kind=kind, channel="gift", expires=NOON + HOUR))

    reap(store, NOON + HOUR)

    assert state(store).state == "EXPIRED"
    with store.database.reading() as tx:
        assert store.ledger.next_work(tx) is None


def test_t11_a_grant_that_was_refused_for_now_and_expires_gives_its_unit_back(store):
    do(store, lambda tx: store.budgets.set_totals(tx, {"gift": 1}))
    row = started(store, kind="grant", channel="gift", expires=NOON + HOUR)
    do(store, lambda tx: store.budgets.reserve(tx, "gift"))
    do(store, lambda tx: store.ledger.put_back(tx, row, "SENDING", NOON + 2 * HOUR, "429"))

    reap(store, NOON + HOUR)

    with store.database.reading() as tx:
        assert store.budgets.remaining(tx) == {"gift": 1}


def test_t11_what_may_have_arrived_is_abandoned_not_expired(store):
    row = unknown(store, expires=NOON + HOUR)
    do(store, lambda tx: store.ledger.resolve(tx, row, "PENDING", "same key", NOON))

    reap(store, NOON + HOUR)

    assert state(store).state == "ABANDONED"


# --- T3


def test_t3_an_intent_is_an_attempt_with_its_vendor_key_and_deadline(store):
    plan(store, message())
    (row,) = claim(store)

    assert intend(store, row, vendor_key="vk1") is True

    found = state(store)
    assert (found.state, found.attempts, found.lease_until) == ("SENDING", 1, NOON + 30_000)
    assert tries(store) == [(1, 0, "SENDING")]
    with store.database.reading() as tx:
        assert store.ledger.latest_attempts(tx, [row.key], {row.key: row.user_id})[row.key].vendor_key == "vk1"
        assert store.ledger.first_attempt_at(tx, row) == NOON


def test_t3_two_senders_with_the_same_claim_begin_once(store):
    plan(store, message())
    (row,) = claim(store)

    with ThreadPoolExecutor(6) as pool:
        begun = sum(pool.map(lambda _: intend(store, row), range(12)))

    assert begun == 1
    assert len(tries(store)) == 1


@pytest.mark.parametrize(
    ("to", "ambiguous", "final"), [("SUPPRESSED", 0, "SUPPRESSED"), ("EXPIRED", 0, "EXPIRED"), ("SUPPRESSED", 1, "ABANDONED")]
)
def test_t3_what_is_decided_against_before_the_first_byte_is_final(store, to, ambiguous, final):
    plan(store, message())
    do(store, lambda tx: tx.execute(update(messages).values(ambiguous=ambiguous)))
    (row,) = claim(store)

    assert do(store, lambda tx: store.ledger.set_aside(tx, row, to, "no_consent", NOON)) is True

    found = state(store)
    assert (found.state, found.reason, found.settled_at) == (final, "no_consent", NOON)
    assert tries(store) == []


def test_t3_a_hold_puts_the_message_back_until_its_release(store):
    plan(store, message())
    (row,) = claim(store)

    do(store, lambda tx: store.ledger.put_back(tx, row, "CLAIMED", NOON + HOUR, "quiet_hours"))

    assert claim(store, NOON + HOUR - 1) == []
    (again,) = claim(store, NOON + HOUR)
    assert (again.token, again.attempts) == (2, 0)


# --- T4 to T7, by the sender's own token


def test_t4_an_accepted_message_has_the_vendors_reference(store):
    row = started(store)

    assert do(store, lambda tx: store.ledger.accepted(tx, row, "ref", NOON + 1)) is True

    found = state(store)
    assert (found.state, found.reference, found.settled_at) == ("ACCEPTED", "ref", NOON + 1)
    assert tries(store) == [(1, 0, "ACCEPTED")]


@pytest.mark.parametrize(("ambiguous", "final"), [(0, "REJECTED"), (1, "ABANDONED")])
def test_t5_a_definite_no_is_final_unless_an_earlier_attempt_stayed_unknown(store, ambiguous, final):
    plan(store, message())
    do(store, lambda tx: tx.execute(update(messages).values(ambiguous=ambiguous)))
    (row,) = claim(store)
    intend(store, row)

    assert do(store, lambda tx: store.ledger.rejected(tx, row, "SENDING", "blocked", NOON)) is True

    assert (state(store).state, state(store).reason) == (final, "blocked")
    assert tries(store) == [(1, 0, "REJECTED")]


def test_t5b_a_definite_no_may_open_the_next_position(store):
    row = started(store)
    following = NewMessage("other", "message", "a", 1, "u1", "sms", "news", "marketing", None, 50, 1, NOON, None, {"template": "news"})

    assert do(store, lambda tx: store.ledger.next_position(tx, row, "SENDING", following, "no token", NOON + 1)) is True

    (again,) = claim(store, NOON + 1)
    assert (again.key, again.position, again.channel, again.template, again.content) == ("m1", 1, "sms", "news", {"template": "news"})
    intend(store, again, vendor_key="vk2")
    assert tries(store) == [(1, 0, "REJECTED"), (2, 1, "SENDING")]


def test_t6_definitely_not_accepted_is_pending_again_with_its_delay(store):
    row = started(store)

    assert do(store, lambda tx: store.ledger.put_back(tx, row, "SENDING", NOON + MINUTE, "429")) is True

    assert claim(store, NOON + MINUTE - 1) == []
    (again,) = claim(store, NOON + MINUTE)
    assert again.ambiguous == 0
    assert intend(store, again)
    assert tries(store) == [(1, 0, "RETRY"), (2, 0, "SENDING")]


def test_t7_nobody_can_tell_is_unknown(store):
    row = unknown(store)

    assert (row.ambiguous, state(store).state) == (1, "UNKNOWN")
    assert tries(store) == [(1, 0, "UNKNOWN")]


def test_a_zombie_with_an_old_token_changes_nothing(store):
    old = started(store)
    reap(store, NOON + 30_001)
    do(store, lambda tx: store.ledger.resolve(tx, loaded_in(store, tx), "PENDING", "same key", NOON))
    (new,) = claim(store)
    intend(store, new)

    moved = [
        do(store, lambda tx: store.ledger.rejected(tx, old, "SENDING", "late", NOON)),
        do(store, lambda tx: store.ledger.put_back(tx, old, "SENDING", NOON, "late")),
        do(store, lambda tx: store.ledger.unknown(tx, old, "late", NOON)),
        do(store, lambda tx: store.ledger.next_position(tx, old, "SENDING", message("x"), "late", NOON)),
        do(store, lambda tx: store.ledger.set_aside(tx, old, "SUPPRESSED", "late", NOON)),
        intend(store, old),
    ]

    assert moved == [False] * 6
    assert state(store).state == "SENDING"
    assert tries(store)[-1] == (2, 0, "SENDING"), "the attempt of the new owner is still open"


def loaded_in(store, tx):
    (row,) = store.ledger.unknowns(tx, NOON + DAY, 10)
    return row


# --- T8: positive evidence, any token


@pytest.mark.parametrize("before", STATES)
def test_t8_a_late_yes_counts_wherever_nothing_else_is_proven(store, before):
    row = started(store)
    do(store, lambda tx: tx.execute(update(messages).values(state=before, token=9)))

    took = do(store, lambda tx: store.ledger.accepted(tx, row, "ref", NOON))

    allowed = before in ("SENDING", "UNKNOWN", "PENDING", "CLAIMED", "ABANDONED")
    assert took is allowed
    assert state(store).state == ("ACCEPTED" if allowed else before)


# --- T9


def test_t9_a_proof_of_absence_clears_the_doubt(store):
    row = unknown(store)

    assert do(store, lambda tx: store.ledger.resolve(tx, row, "PENDING", "not there", NOON, proven=True)) is True

    assert (state(store).state, state(store).ambiguous) == ("PENDING", 0)


def test_t9_a_repeat_with_the_same_key_keeps_the_doubt(store):
    row = unknown(store)

    do(store, lambda tx: store.ledger.resolve(tx, row, "PENDING", "same key", NOON))
    (again,) = claim(store)
    intend(store, again)
    do(store, lambda tx: store.ledger.rejected(tx, again, "SENDING", "no", NOON))

    assert state(store).state == "ABANDONED", "the first attempt may have arrived"


def test_t9_what_was_cancelled_meanwhile_is_abandoned_not_repeated(store):
    unknown(store)
    do(store, lambda tx: store.ledger.cancel_of(tx, [1], "cancelled", NOON))

    do(store, lambda tx: store.ledger.resolve(tx, loaded_in(store, tx), "PENDING", "not there", NOON, proven=True))

    assert state(store).state == "ABANDONED"


def test_t9_looking_again_waits_for_the_vendor(store):
    row = unknown(store)

    do(store, lambda tx: store.ledger.look_again(tx, row, NOON + MINUTE))

    with store.database.batch() as batch:
        assert store.ledger.unknowns(batch.connection, NOON + MINUTE - 1, 10) == []
        assert len(store.ledger.unknowns(batch.connection, NOON + MINUTE, 10)) == 1


# --- T10


@pytest.mark.parametrize("before", STATES)
def test_t10_the_end_of_an_enrolment_stops_what_has_not_begun_and_flags_what_has(store, before):
    plan(store, message())
    do(store, lambda tx: tx.execute(update(messages).values(state=before)))

    do(store, lambda tx: store.ledger.cancel_of(tx, [1], "cancelled", NOON))

    found = state(store)
    assert found.state == ("SUPPRESSED" if before in ("PENDING", "CLAIMED") else before)
    assert found.cancelled == (before in ("SENDING", "UNKNOWN", "ACCEPTED", "UNDELIVERED"))


def test_t10_a_message_about_to_be_repeated_is_not_repeated_after_the_end(store):
    row = unknown(store)
    do(store, lambda tx: store.ledger.resolve(tx, row, "PENDING", "same key", NOON))

    do(store, lambda tx: store.ledger.cancel_of(tx, [1], "cancelled", NOON))

    assert state(store).state == "ABANDONED"
    assert claim(store) == []


def test_t10_other_enrolments_and_effects_are_left_alone(store):
    plan(store, message("mine"))
    plan(store, message("other"), enrolment=2)
    plan(store, message("gift", kind="grant", channel="gift"))

    do(store, lambda tx: store.ledger.cancel_of(tx, [1], "cancelled", NOON))
    do(store, lambda tx: store.ledger.cancel_of(tx, [], "cancelled", NOON))

    assert [state(store, k).state for k in ("mine", "other", "gift")] == ["SUPPRESSED", "PENDING", "PENDING"]


# --- every illegal arrow

ARROWS = {  # operation → the only states it starts from
    "intend": ({"CLAIMED"}, lambda ledger, tx, row: bool(ledger.intend(tx, [Intent(row, "vk2")], NOON, NOON))),
    "set_aside": ({"CLAIMED"}, lambda ledger, tx, row: ledger.set_aside(tx, row, "SUPPRESSED", "r", NOON)),
    "hold": ({"CLAIMED"}, lambda ledger, tx, row: ledger.put_back(tx, row, "CLAIMED", NOON, "r")),
    "retry": ({"SENDING", "UNKNOWN"}, lambda ledger, tx, row: ledger.put_back(tx, row, "SENDING", NOON, "r")),
    "rejected": ({"SENDING", "UNKNOWN"}, lambda ledger, tx, row: ledger.rejected(tx, row, "SENDING", "r", NOON)),
    "next_position": ({"SENDING", "UNKNOWN"}, lambda ledger, tx, row: ledger.next_position(tx, row, "SENDING", message("x"), "r", NOON)),
    "unknown": ({"SENDING"}, lambda ledger, tx, row: ledger.unknown(tx, row, "r", NOON)),
    "repeat": ({"UNKNOWN"}, lambda ledger, tx, row: ledger.resolve(tx, row, "PENDING", "r", NOON)),
    "abandon": ({"UNKNOWN"}, lambda ledger, tx, row: ledger.resolve(tx, row, "ABANDONED", "r", NOON)),
}  # fmt: skip


@pytest.mark.parametrize("name", ARROWS)
def test_no_arrow_starts_from_another_state_than_its_own_or_with_another_token(store, name):
    starts, operation = ARROWS[name]
    plan(store, message())
    (row,) = claim(store)
    wrong = []

    for before in STATES:
        for token in (row.token, row.token + 1):
            do(store, lambda tx, before=before, token=token: tx.execute(update(messages).values(state=before, token=token, attempts=0)))
            do(store, lambda tx: tx.execute(attempts.delete()))
            moved = do(store, lambda tx: operation(store.ledger, tx, row))
            if moved != (before in starts and token == row.token) or (not moved and state(store).state != before):
                wrong.append((before, token))

    assert wrong == []


def test_only_pending_messages_are_claimed_and_only_open_ones_reaped(store):
    plan(store, *(message(s, expires=NOON + 1) for s in STATES))
    for s in STATES:
        do(store, lambda tx, s=s: tx.execute(update(messages).where(messages.c.key == s).values(state=s, lease_until=NOON - 1)))

    claimed = [r.key for r in claim(store)]
    reap(store, NOON)

    assert claimed == ["PENDING"]
    after = {s: state(store, s).state for s in STATES}
    assert after == {**{s: s for s in STATES}, "PENDING": "CLAIMED", "CLAIMED": "PENDING", "SENDING": "UNKNOWN"}


# --- budgets


def test_a_budget_is_never_overshot_however_many_reserve_at_once(store):
    do(store, lambda tx: store.budgets.set_totals(tx, {"gift": 7}))

    with ThreadPoolExecutor(2) as pool:
        took = sum(pool.map(lambda _: do(store, lambda tx: store.budgets.reserve(tx, "gift")), range(30)))

    assert took == 7
    with store.database.reading() as tx:
        assert store.budgets.remaining(tx) == {"gift": 0}


def test_a_reserved_unit_is_issued_or_goes_back(store):
    do(store, lambda tx: store.budgets.set_totals(tx, {"gift": 2, "free": None}))
    for _ in range(2):
        do(store, lambda tx: store.budgets.reserve(tx, "gift"))

    do(store, lambda tx: store.budgets.settle(tx, "gift", issued=True))
    do(store, lambda tx: store.budgets.settle(tx, "gift", issued=False))
    do(store, lambda tx: store.budgets.settle(tx, "gift", issued=True))  # nothing is reserved any more

    with store.database.reading() as tx:
        assert store.budgets.remaining(tx) == {"gift": 1}
        assert {b["benefit"]: (b["reserved"], b["issued"]) for b in store.reports.budgets(tx)} == {"gift": (0, 1), "free": (0, 0)}


def test_a_benefit_without_a_total_has_no_limit_and_an_unknown_one_has_nothing(store):
    do(store, lambda tx: store.budgets.set_totals(tx, {"free": None}))

    assert do(store, lambda tx: store.budgets.reserve(tx, "free")) is True
    assert do(store, lambda tx: store.budgets.reserve(tx, "unheard_of")) is False


def test_new_totals_keep_what_is_reserved_and_issued(store):
    do(store, lambda tx: store.budgets.set_totals(tx, {"gift": 5}))
    do(store, lambda tx: store.budgets.reserve(tx, "gift"))

    do(store, lambda tx: store.budgets.set_totals(tx, {"gift": 1}))

    assert do(store, lambda tx: store.budgets.reserve(tx, "gift")) is False
    do(store, lambda tx: store.budgets.set_totals(tx, {"gift": 2}))
    assert do(store, lambda tx: store.budgets.reserve(tx, "gift")) is True


# --- touches

COUNTS_AT_PLANNING = {"PENDING", "CLAIMED", "SENDING", "UNKNOWN", "ACCEPTED", "DELIVERED", "UNDELIVERED"}


@pytest.mark.parametrize(("started_only", "states"), [(False, COUNTS_AT_PLANNING), (True, COUNTS_AT_PLANNING - {"PENDING", "CLAIMED"})])
def test_a_touch_counts_from_its_intent_until_it_is_definitely_refused(store, started_only, states):
    plan(store, *(message(s, user=s) for s in STATES))
    for s in STATES:
        do(store, lambda tx, s=s: tx.execute(update(messages).where(messages.c.key == s).values(state=s)))

    with store.database.reading() as tx:
        found = store.ledger.touches(tx, list(STATES), NOON - 1, started_only=started_only)

    assert set(found) == states
    assert found["UNKNOWN"] == [Touch(NOON, "push", "marketing", None)]


def test_touches_are_those_of_the_recipients_since_an_instant_and_no_effects(store):
    plan(store, message("m1", topic="x"), message("m2", user="u2"), message("gift", kind="grant", channel="gift"), message("m3"))
    plan(store, message("old", at=NOON - DAY), created=NOON - DAY)

    with store.database.reading() as tx:
        found = store.ledger.touches(tx, ["u1"], NOON - DAY, started_only=False, besides="m3")

    assert found == {"u1": [Touch(NOON, "push", "marketing", "x")]}


def test_the_next_work_is_the_earliest_message_to_be_sent_or_settled(store):
    plan(store, message("m1", at=NOON + 5), message("m2", at=NOON + 3))
    with store.database.reading() as tx:
        assert store.ledger.next_work(tx) == NOON + 3

    do(store, lambda tx: tx.execute(update(messages).where(messages.c.key == "m2").values(state="ACCEPTED")))

    with store.database.reading() as tx:
        assert store.ledger.next_work(tx) == NOON + 5


def test_on_a_virtual_clock_an_attempt_begins_at_the_time_it_was_meant_for(store):
    plan(store, message(at=NOON + 5))
    (row,) = claim(store, now=NOON + 9)

    assert intend(store, row, now=None)

    with store.database.reading() as tx:
        started_at = tx.execute(select(attempts.c.started_at)).scalar_one()
    assert (state(store).begun_at, started_at) == (NOON + 5, NOON + 5)
