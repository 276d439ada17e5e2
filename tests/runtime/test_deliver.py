"""The delivery: crashes between its transactions, vendors that say no, later or nothing, and the last question before the first byte."""

import pytest
from sqlalchemy import text, update

from channels.message import Accepted, Rejected, RetryLater, Unknown
from journeys.duration import parse_window
from runtime.deliver import DEADLINE, GRACE, LEASE, Claimed, Delivered, Delivery
from runtime.policy import Cap, Rules
from runtime.store.tables import attempts, messages
from tests.town import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    PUSH,
    PUSH_THEN_SMS,
    SECOND,
    ZONE,
    FakeVendor,
    Town,
    at,
    event,
    journey_text,
    reachable,
    somebody,
)

OVER = DEADLINE + 5 * SECOND + GRACE + 1  # after which a sender that began at noon counts as dead

GOAL = "{event: order_paid, within: 14d}"
HELLO = journey_text(f"- {{id: hello, send: {PUSH}}}", entry="{event: app_opened}", goal=GOAL)
BOTH = journey_text(f"- {{id: hello, send: {PUSH_THEN_SMS}}}", entry="{event: app_opened}", goal=GOAL)
GIFT = journey_text(
    """
    - {id: gift, grant: {benefit: gift, expires: 7d}, on_failed: [{exit: sold_out}]}
    - {id: told, send: [{push: {title: T, body: "{{ steps.gift.code }}"}}]}
    """,
    entry="{event: app_opened}",
)  # fmt: skip
CALL = journey_text(
    "- {id: stock, call: {endpoint: stock}, on_failed: [{exit: no_answer}]}\n- {id: last, if: steps.stock.left > 0, exit: in_stock}",
    entry="{event: app_opened}",
)


def planned(store, text_=HELLO, *, now=NOON, people=(), **keys):
    """A town in which u1 has just got a message or effect PENDING."""
    made = Town(store, text_, **keys)
    made.settle_people(*(people or [somebody()]))
    made.post(event("app_opened", now))
    made.think(now)
    return made


def begun(made, now=NOON):
    """Claim and intend, as a tick does, and die before the answer is recorded; returns the attempts."""
    ledger, write = made.store.ledger, made.store.database.write
    claimed = write(lambda tx: ledger.claim(tx, now, 100, now + LEASE))
    return write(lambda tx: made.delivery.begin(tx, Claimed(claimed), now, Delivered()))


def died_while_sending(made, now=NOON, *, arrived):
    """The process dies after the intent: the vendor has the message, or it has not."""
    for attempt in begun(made, now):
        if arrived:
            made.vendors["push" if attempt.row.kind == "message" else f"{attempt.row.kind}:{attempt.row.channel}"].got.append(
                attempt.message
            )


def state(made, user="u1"):
    (found,) = made.states(user)
    return found[1]


def tries(made):
    with made.store.database.reading() as tx:
        return [(a.position, a.n, a.channel, a.state) for a in tx.execute(attempts.select().order_by(attempts.c.id))]


# --- the plain way


def test_a_message_goes_out_with_its_address_key_and_content(store):
    made = planned(store)

    done = made.deliver(NOON)

    (message,) = made.vendors["push"].got
    assert done.counts == {"accepted": 1}
    assert (message.address, message.user_id, message.journey, message.version, message.step) == ("u1-push_id", "u1", "j", 1, "hello")
    assert (message.content, message.at) == ({"title": "T", "body": "B"}, NOON)
    assert made.story().messages[0]["reference"] == "ref-1"
    assert made.deliver(NOON).total == 0


def test_the_intent_is_durable_before_the_vendor_hears_of_it(store):
    made = planned(store)
    seen = []

    class Looking(FakeVendor):
        def send(self, message):
            seen.append((state(made), tries(made)))
            return super().send(message)

    made.vendors["push"] = Looking()
    made.deliver(NOON)

    assert seen == [("SENDING", [(0, 1, "push", "SENDING")])]


# --- crashes


def test_a_crash_before_the_intent_costs_nothing_but_the_lease(store):
    made = planned(store)
    store.database.write(lambda tx: store.ledger.claim(tx, NOON, 100, NOON + LEASE))

    made.deliver(NOON + LEASE)
    assert made.vendors["push"].got == []
    made.deliver(NOON + LEASE + 1)
    made.deliver(NOON + LEASE + 1)

    assert len(made.vendors["push"].got) == 1
    assert state(made) == "ACCEPTED"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_channel_that_can_be_asked_settles_an_interrupted_attempt_to_the_truth(store, arrived):
    made = planned(store, push=FakeVendor("query"))
    died_while_sending(made, arrived=arrived)

    made.deliver(NOON + OVER)
    for later in range(5):
        made.deliver(NOON + OVER + MINUTE + later)

    assert state(made) == "ACCEPTED"
    assert len(made.vendors["push"].got) == 1, "never twice, never not at all"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_channel_with_keys_is_given_the_same_key_again(store, arrived):
    made = planned(store, push=FakeVendor("key"))
    died_while_sending(made, arrived=arrived)

    for later in range(3):
        made.deliver(NOON + OVER + later * 3 * SECOND)

    got = made.vendors["push"].got
    assert state(made) == "ACCEPTED"
    assert len(got) == (2 if arrived else 1)
    assert len({m.vendor_key for m in got}) == 1


def test_a_key_that_the_vendor_may_have_forgotten_is_not_repeated(store):
    made = planned(store, push=FakeVendor("key"))
    died_while_sending(made, arrived=True)

    made.deliver(NOON + 8 * MINUTE)
    made.deliver(NOON + 3 * DAY)

    assert len(made.vendors["push"].got) == 1
    assert state(made) == "ABANDONED"


def test_a_channel_with_neither_is_never_tried_twice(store):
    made = planned(store, push=FakeVendor("neither"))
    died_while_sending(made, arrived=False)

    for later in range(3):
        made.deliver(NOON + OVER + later)

    assert made.vendors["push"].got == []
    assert state(made) == "ABANDONED"
    assert made.story().messages[0]["reason"] == "nobody can tell whether it arrived"


def test_a_late_answer_of_an_interrupted_sender_still_counts(store):
    made = planned(store, push=FakeVendor("neither"))
    (attempt,) = begun(made)
    made.deliver(NOON + OVER)
    assert state(made) == "ABANDONED"

    store.database.write(lambda tx: made.delivery.finish(tx, [(attempt, Accepted("late"))], NOON + HOUR, Delivered()))

    assert state(made) == "ACCEPTED"


def test_a_late_no_of_an_interrupted_sender_does_not_undo_what_its_successor_does(store):
    made = planned(store, GIFT, grant__gift=FakeVendor("key"))
    made.budget(gift=1)
    (zombie,) = begun(made)
    made.deliver(NOON + OVER)
    made.deliver(NOON + OVER + 3 * SECOND)
    made.think(NOON + OVER + 3 * SECOND)

    store.database.write(lambda tx: made.delivery.finish(tx, [(zombie, Rejected("no"))], NOON + OVER + 4 * SECOND, Delivered()))
    made.settle(NOON + OVER + 5 * SECOND)

    assert made.ends() == [("j", "completed")]
    with store.database.reading() as tx:
        (gift,) = [b for b in store.reports.budgets(tx) if b["benefit"] == "gift"]
    assert (gift["reserved"], gift["issued"]) == (0, 1)


# --- what vendors say


def test_a_documented_no_opens_the_next_position(store):
    made = planned(store, BOTH, push=FakeVendor("query", Rejected("no_token")))

    made.settle(NOON)

    assert made.states() == [("hello", "ACCEPTED")]
    assert [m.channel for m in made.vendors["sms"].got] == ["sms"]
    assert tries(made) == [(0, 1, "push", "REJECTED"), (1, 2, "sms", "ACCEPTED")]
    assert made.vendors["sms"].got[0].vendor_key != made.vendors["push"].got[0].vendor_key


def test_a_position_on_a_lane_whose_turn_is_still_to_come_is_sent_in_the_same_round(store):
    both = journey_text(
        "- {id: hello, send: [{sms: {template: news}}, {push: {title: T, body: B}}]}", entry="{event: app_opened}", goal=GOAL
    )
    made = planned(store, both, sms=FakeVendor("query", Rejected("blocked")))
    assert list(made.vendors).index("sms") < list(made.vendors).index("push")

    made.deliver(NOON)

    assert tries(made) == [(0, 1, "sms", "REJECTED"), (1, 2, "push", "ACCEPTED")]


def test_after_the_last_no_the_message_is_rejected(store):
    made = planned(store, BOTH, push=FakeVendor("query", Rejected("no_token")), sms=FakeVendor("query", Rejected("blocked", "blacklist")))

    made.settle(NOON)

    assert state(made) == "REJECTED"
    assert made.story().messages[0]["reason"] == "blocked blacklist"
    assert made.deliver(NOON + DAY).total == 0


def test_a_refused_attempt_is_no_touch_for_the_position_that_follows(store):
    made = planned(store, BOTH, rules=Rules(caps=(Cap(1, "day"),)), push=FakeVendor("query", Rejected("no_token")))

    made.settle(NOON)

    assert state(made) == "ACCEPTED"


def test_the_next_position_is_chosen_by_what_is_true_then(store):
    person = somebody()
    made = planned(store, BOTH, push=FakeVendor("query", Rejected("no_token")), people=[person])
    person.reach = {**reachable(), "consents": {"push": True, "sms": False}}
    store.database.write(lambda tx: store.people.save_users(tx, [person]))

    made.settle(NOON)

    assert state(made) == "REJECTED"
    assert made.vendors["sms"].got == []


def test_a_position_whose_window_has_closed_meanwhile_waits_for_the_morning(store):
    evening = at("2026-12-01 20:59")
    rules = Rules(quiet_hours=parse_window("21:00-09:00"))
    made = planned(store, BOTH, now=evening, rules=rules, push=FakeVendor("query", Rejected("no_token")))
    attempt = begun(made, evening)[0]

    store.database.write(lambda tx: made.delivery.finish(tx, [(attempt, Rejected("no_token"))], evening + 2 * MINUTE, Delivered()))
    made.settle(evening + 2 * MINUTE)
    assert made.vendors["sms"].got == []
    made.settle(at("2026-12-02 09:00"))

    assert len(made.vendors["sms"].got) == 1
    assert state(made) == "ACCEPTED"


def test_nothing_falls_through_on_unknown(store):
    made = planned(store, BOTH, push=FakeVendor("neither", Unknown("timeout")))

    for later in range(3):
        made.deliver(NOON + later * MINUTE)

    assert state(made) == "ABANDONED"
    assert made.vendors["sms"].got == []


def test_retry_later_waits_as_told_then_twice_as_long_and_never_gives_up(store):
    made = planned(store, push=FakeVendor("neither", *[RetryLater(MINUTE, "busy")] * 5, Accepted("ok")))

    at_ = NOON
    for n in range(5):
        made.deliver(at_)
        at_ += MINUTE * 2**n
        assert made.deliver(at_ - 1).total == 0
    made.deliver(at_)

    assert state(made) == "ACCEPTED"
    assert len(made.vendors["push"].got) == 6
    assert [s for _, _, _, s in tries(made)] == ["RETRY"] * 5 + ["ACCEPTED"]


def test_the_vendors_flow_control_holds_everything_on_its_channel_as_long_as_it_says(store):
    people = [somebody(f"u{n}") for n in range(3)]
    made = Town(store, HELLO, push=FakeVendor("neither", RetryLater(MINUTE, "429", whole_channel=True), Accepted("ok")))
    made.settle_people(*people)
    made.post(*(event("app_opened", NOON, user=u.id) for u in people[:1]))
    made.settle(NOON)
    made.post(*(event("app_opened", NOON + SECOND, user=u.id) for u in people[1:]))

    made.settle(NOON + 30 * SECOND)
    assert len(made.vendors["push"].got) == 1
    made.settle(NOON + MINUTE)

    assert len(made.vendors["push"].got) == 4
    assert {state(made, u.id) for u in people} == {"ACCEPTED"}


def test_retry_later_ends_when_the_message_expires(store):
    text_ = HELLO.replace("body: B}}]", "body: B}}], expires: 1h")
    made = planned(store, text_, push=FakeVendor("query", RetryLater(25 * MINUTE, "429")))

    for n in range(6):
        made.deliver(NOON + n * 25 * MINUTE)

    assert state(made) == "EXPIRED"
    assert len(made.vendors["push"].got) == 2, "at once and after 25 minutes; 50 more would be too late"


def test_an_adapter_that_raises_is_neither_a_yes_nor_a_no(store):
    made = planned(store, push=FakeVendor("query", KeyError("bug"), Accepted("ok"), found=Rejected("not_there")))

    made.deliver(NOON)
    assert state(made) == "UNKNOWN"
    assert "KeyError" in made.story().messages[0]["reason"]
    made.deliver(NOON + SECOND)

    assert state(made) == "ACCEPTED"


def test_a_vendor_that_does_not_know_yet_is_asked_again_later(store):
    made = planned(store, push=FakeVendor("query", Unknown("timeout"), found=Unknown("not visible yet")))
    made.deliver(NOON)
    vendor = made.vendors["push"]

    made.deliver(NOON + 1)
    made.deliver(NOON + 2)
    assert len(vendor.asked) == 1
    vendor.found = Accepted("there")
    made.deliver(NOON + MINUTE)

    assert state(made) == "ACCEPTED"
    assert vendor.asked[0].vendor_key == vendor.got[0].vendor_key


def test_a_channel_that_is_not_configured_any_more_rejects(store):
    made = planned(store)
    del made.vendors["push"]

    made.deliver(NOON)

    assert state(made) == "REJECTED"


def test_one_vendors_trouble_is_nobody_elses(store):
    made = Town(
        store, HELLO, BOTH.replace("id: j", "id: k").replace("push: {title: T, body: B}}, {", ""), push=FakeVendor("query", OSError("down"))
    )
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)

    made.deliver(NOON)

    assert sorted((m["channel"], m["state"]) for m in made.story().messages) == [("push", "UNKNOWN"), ("sms", "ACCEPTED")]


# --- the last question before the first byte


def test_consent_withdrawn_after_the_claim_stops_the_message(store):
    person = somebody()
    made = planned(store, people=[person])
    claimed = store.database.write(lambda tx: store.ledger.claim(tx, NOON, 100, NOON + LEASE))
    person.reach["consents"]["push"] = {"marketing": False}
    store.database.write(lambda tx: store.people.save_users(tx, [person]))

    done = Delivered()
    sent = store.database.write(lambda tx: made.delivery.begin(tx, Claimed(claimed), NOON, done))

    assert sent == []
    assert done.counts == {"suppressed": 1}
    assert made.states() == [("hello", "SUPPRESSED")]
    assert made.story().messages[0]["reason"] == "no_consent"


def test_a_goal_reached_after_the_claim_stops_the_message(store):
    made = planned(store, HELLO + "  - {id: d, delay: 9d}\n")
    claimed = store.database.write(lambda tx: store.ledger.claim(tx, NOON, 100, NOON + LEASE))
    made.post(event("order_paid", NOON + 1))
    made.think(NOON + 1)

    sent = store.database.write(lambda tx: made.delivery.begin(tx, Claimed(claimed), NOON + 1, Delivered()))

    assert sent == []
    assert made.states() == [("hello", "SUPPRESSED")]


def test_a_goal_reached_while_the_message_is_on_its_way_stops_its_repeat(store):
    made = planned(store, HELLO + "  - {id: d, delay: 9d}\n", push=FakeVendor("key", Unknown("timeout")))
    made.deliver(NOON)
    made.post(event("order_paid", NOON + 1))
    made.think(NOON + 1)

    for later in range(3):
        made.deliver(NOON + MINUTE + later)

    assert state(made) == "ABANDONED"
    assert len(made.vendors["push"].got) == 1


def test_quiet_hours_that_begin_before_the_first_byte_hold_the_message(store):
    evening = at("2026-12-01 20:59")
    made = planned(store, now=evening, rules=Rules(quiet_hours=parse_window("21:00-09:00")))

    assert made.deliver(evening + MINUTE).counts == {"held": 1}
    assert made.deliver(at("2026-12-02 08:59")).total == 0
    made.deliver(at("2026-12-02 09:00"))

    assert state(made) == "ACCEPTED"


def test_a_marketing_stop_that_begins_before_the_first_byte_stops_the_message(store):
    person = somebody()
    made = planned(store, people=[person])
    person.profile["t"] = ["complaint"]
    store.database.write(lambda tx: store.people.save_users(tx, [person]))

    made.deliver(NOON)

    assert (state(made), made.story().messages[0]["reason"]) == ("SUPPRESSED", "投诉中")


def test_a_cap_is_kept_among_messages_that_go_out_together(store):
    """Planned under no cap, sent under one: the delivery counts what it is about to send."""
    made = Town(store, *(HELLO.replace("id: j", f"id: j{n}") for n in range(4)))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)
    made.delivery = Delivery(store, made.engine, made.vendors, Rules(caps=(Cap(2, "day"),)), ZONE)

    made.deliver(NOON)

    assert len(made.vendors["push"].got) == 2
    assert sorted(s for _, s in made.states()) == ["ACCEPTED", "ACCEPTED", "SUPPRESSED", "SUPPRESSED"]


def test_an_expired_message_is_never_sent(store):
    made = planned(store, HELLO.replace("body: B}}]", "body: B}}], expires: 1h"))

    made.deliver(NOON + HOUR)

    assert state(made) == "EXPIRED"
    assert made.vendors["push"].got == []


@pytest.mark.parametrize("column", ["content", "profile", "reach"])
def test_what_cannot_be_read_is_not_sent_and_stops_nobody_else(store, column):
    made = Town(store, HELLO)
    made.settle_people(somebody("u1"), somebody("u2"))
    made.post(event("app_opened", NOON), event("app_opened", NOON, user="u2"))
    made.think(NOON)
    table = "messages" if column == "content" else "users"
    store.database.write(lambda tx: tx.execute(text(f"UPDATE {table} SET {column} = '(broken' WHERE user_id = 'u1'")))

    made.deliver(NOON)

    assert [m.user_id for m in made.vendors["push"].got] == ["u2"]
    with store.database.reading() as tx:
        found = dict(tx.execute(text("SELECT user_id, state FROM messages")).all())
    assert found == {"u1": "SUPPRESSED", "u2": "ACCEPTED"}


# --- grants, calls, budgets


def test_a_grant_is_carried_out_and_its_code_told(store):
    made = planned(store, GIFT)

    made.settle(NOON)

    assert made.ends() == [("j", "completed")]
    assert made.vendors["push"].got[0].content["body"] == "CODE"
    assert ("granted", "gift") in made.actions()


def test_a_budget_that_is_sold_out_takes_on_failed_without_asking_the_vendor(store):
    made = planned(store, GIFT)
    made.budget(gift=0)

    made.settle(NOON)

    assert made.ends() == [("j", "sold_out")]
    assert made.vendors["grant:gift"].got == []
    assert made.states() == [("gift", "REJECTED")]


def test_a_budget_serves_exactly_so_many_people(store):
    people = [somebody(f"u{n}") for n in range(8)]
    made = Town(store, GIFT)
    made.settle_people(*people)
    made.budget(gift=3)
    made.post(*(event("app_opened", NOON, user=u.id) for u in people))

    made.settle(NOON)

    ends = [made.ends(u.id)[0][1] for u in people]
    assert sorted(ends) == ["completed"] * 3 + ["sold_out"] * 5
    assert len(made.vendors["grant:gift"].got) == 3


def test_a_grant_that_the_vendor_refuses_gives_its_unit_back(store):
    made = planned(store, GIFT, grant__gift=FakeVendor("key", Rejected("no")))
    made.budget(gift=1)

    made.settle(NOON)

    assert made.ends() == [("j", "sold_out")]
    with store.database.reading() as tx:
        assert store.budgets.remaining(tx)["gift"] == 1


def test_a_grant_nobody_can_tell_about_keeps_its_unit_and_fails_the_step(store):
    made = planned(store, GIFT, grant__gift=FakeVendor("neither", Unknown("timeout")))
    made.budget(gift=1)

    made.settle(NOON)
    made.settle(NOON + 1)

    assert made.ends() == [("j", "sold_out")]
    with store.database.reading() as tx:
        assert store.budgets.remaining(tx)["gift"] == 0


def test_a_grant_that_is_retried_reserves_one_unit_only(store):
    made = planned(store, GIFT, grant__gift=FakeVendor("key", RetryLater(SECOND), RetryLater(SECOND), Accepted("ok", {"code": "C"})))
    made.budget(gift=1)

    for n in range(4):
        made.settle(NOON + n * SECOND)

    assert made.ends() == [("j", "completed")]
    with store.database.reading() as tx:
        (gift,) = [b for b in store.reports.budgets(tx) if b["benefit"] == "gift"]
    assert (gift["reserved"], gift["issued"]) == (0, 1)


def test_a_late_success_is_recorded_and_resumes_nobody(store):
    made = planned(store, GIFT, grant__gift=FakeVendor("query", Unknown("timeout"), found=Unknown()))
    made.deliver(NOON)
    made.settle(NOON + DAY)
    assert made.ends() == [("j", "sold_out")]

    made.vendors["grant:gift"].found = Accepted("found", {"code": "LATE"})
    made.settle(NOON + DAY + MINUTE)

    assert made.ends() == [("j", "sold_out")]
    assert made.states() == [("gift", "ACCEPTED")]
    assert made.vendors["push"].got == []


def test_a_calls_answer_resumes_the_enrolment(store):
    made = planned(store, CALL, call__stock=FakeVendor("query", Accepted("", {"left": 2})))

    made.settle(NOON)

    assert made.ends() == [("j", "in_stock")]


def test_a_call_asked_late_after_a_downtime_is_still_asked(store):
    made = Town(
        store, CALL.replace("steps:\n", "steps:\n  - {id: day, delay: 1d}\n"), call__stock=FakeVendor("query", Accepted("", {"left": 2}))
    )
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.settle(NOON)

    made.settle(NOON + 3 * DAY)

    assert made.ends() == [("j", "in_stock")]


def test_an_effect_whose_vendor_stays_away_expires_and_wakes_nobody_any_more(store):
    made = planned(store, CALL, call__stock=FakeVendor("query", RetryLater(20 * SECOND)))

    for n in range(8):
        made.settle(NOON + n * 20 * SECOND)

    assert made.ends() == [("j", "no_answer")]
    assert made.states() == [("stock", "EXPIRED")]
    with store.database.reading() as tx:
        assert store.ledger.next_work(tx) is None


# --- many at once


def test_a_pool_of_threads_sends_each_message_once(sqlite_store):
    from concurrent.futures import ThreadPoolExecutor

    people = [somebody(f"u{n}") for n in range(40)]
    made = Town(sqlite_store, HELLO)
    made.settle_people(*people)
    made.post(*(event("app_opened", NOON, user=u.id) for u in people))
    made.think(NOON)

    with ThreadPoolExecutor(8) as pool:
        made.delivery.pool = pool
        made.settle(NOON)

    assert sorted(m.user_id for m in made.vendors["push"].got) == sorted(u.id for u in people)
    assert all(state(made, u.id) == "ACCEPTED" for u in people)


def test_every_moment_of_death_leaves_a_message_that_is_neither_lost_nor_doubled(sqlite_store):
    """Die at each transaction of a tick in turn; afterwards ticks go on as after a restart."""
    for moment in range(6):
        made = planned(sqlite_store, HELLO.replace("id: j", f"id: j{moment}"), people=[somebody(f"u{moment}")], now=NOON)
        made.post(event("app_opened", NOON, user=f"u{moment}"))
        made.think(NOON)
        user, vendor = f"u{moment}", made.vendors["push"]
        sqlite_store.database.write(
            lambda tx, user=user: tx.execute(update(messages).where(messages.c.user_id != user).values(state="REJECTED"))
        )
        if moment >= 1:
            claimed = sqlite_store.database.write(lambda tx: sqlite_store.ledger.claim(tx, NOON, 100, NOON + LEASE))
        if moment >= 2:
            made_attempts = sqlite_store.database.write(
                lambda tx, made=made, claimed=claimed: made.delivery.begin(tx, Claimed(claimed), NOON, Delivered())
            )
        if moment >= 3:
            outcomes = made.delivery._send(made_attempts)
        if moment >= 4:
            sqlite_store.database.write(lambda tx, made=made, outcomes=outcomes: made.delivery.finish(tx, outcomes, NOON, Delivered()))
        for later in range(4):
            made.deliver(NOON + OVER + later)

        assert state(made, user) == "ACCEPTED", moment
        assert [m.user_id for m in vendor.got] == [user], moment
