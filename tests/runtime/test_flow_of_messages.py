"""From the last check to the last receipt: subscriptions, dead addresses, refusals, lateness, what vendors tell, keys they issue."""

import pytest

from channels.message import Accepted, Fault, Heard, Receipt, Rejected, RetryLater, Unknown
from journeys.duration import parse_window
from runtime.deliver import LEASE, NO_KEY, Claimed, Delivered, Delivery
from runtime.policy import Rules
from runtime.rehearse import rehearse
from runtime.store.tables import attempts, budgets
from tests.town import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    WORLD,
    ZONE,
    FakeVendor,
    Town,
    at,
    audience,
    event,
    journey,
    journey_text,
    reachable,
    somebody,
)

OPENED = "{event: app_opened}"
WECHAT = "{wechat: {template: news, data: {title: T}}}"
SMS = "{sms: {template: news}}"
PUSH = "{push: {title: T, body: B}}"
COUNTED = Rules(template_ids={"news": "T1", "info": "T2"}, counts_credits=True)
OPENID = "u1-openid"


def text(*positions, more="", id="j", **keys):  # noqa: A002 - the file's own key
    return journey_text(f"- {{id: hello, send: [{', '.join(positions)}]{more}}}", id=id, **{"entry": OPENED, **keys})


class Hearing(FakeVendor):
    """A vendor that calls back."""

    def hear(self, callback):
        return Heard()


def town(store, *texts, people=None, now=NOON, credits_=None, rules=None, **keys):
    """A town in which u1's messages are planned; `credits_` by vendor template."""
    made = Town(store, *texts, rules=rules, **keys)
    made.settle_people(*(people or [somebody()]))
    for template, n in (credits_ or {}).items():
        give(made, n, template)
    made.post(event("app_opened", now))
    made.think(now)
    return made


def give(made, n, template="T1", openid=OPENID):
    made.store.database.write(lambda tx: made.store.contacts.add_credit(tx, openid, template, n, NOON))


def left(made, template="T1", openid=OPENID):
    with made.store.database.reading() as tx:
        return made.store.contacts.credits_of(tx, [openid]).get(openid, {}).get(template)


def claimed(made, now=NOON):
    return Claimed(made.store.database.write(lambda tx: made.store.ledger.claim(tx, now, 100, now + LEASE)))


def begin(made, rows, now=NOON, done=None):
    return made.store.database.write(lambda tx: made.delivery.begin(tx, rows, now, done or Delivered()))


def finish(made, attempt, outcome, now=NOON):
    made.store.database.write(lambda tx: made.delivery.finish(tx, [(attempt, outcome)], now, Delivered()))


def hear(made, lane, receipt, now):
    return made.store.database.write(lambda tx: made.delivery.settling.receipt(tx, lane, receipt, now))


def message(made, user="u1"):
    (found,) = made.story(user).messages
    return found["channel"], found["state"], found["reason"]


def got(made, *names):
    return [len(made.vendors[name].got) for name in names]


# --- subscriptions


def test_a_subscription_is_reserved_with_the_intent_and_spent_by_a_yes(store):
    made = town(store, text(WECHAT), rules=COUNTED, credits_={"T1": 2})
    assert left(made) == 2, "planning reserves nothing"

    (attempt,) = begin(made, claimed(made))
    assert (left(made), attempt.credit) == (1, "T1")
    finish(made, attempt, Accepted("ok"))

    assert left(made) == 1


@pytest.mark.parametrize("answer", [Fault("unpaid", "", MINUTE), RetryLater(MINUTE), Rejected("bad_page")], ids=lambda a: type(a).__name__)
def test_what_was_definitely_not_accepted_gives_its_subscription_back(store, answer):
    made = town(store, text(WECHAT), rules=COUNTED, credits_={"T1": 2}, wechat=FakeVendor("neither", answer))

    made.deliver(NOON)

    assert got(made, "wechat") == [1]
    assert left(made) == 2


def test_what_nobody_can_tell_keeps_its_subscription(store):
    made = town(store, text(WECHAT), rules=COUNTED, credits_={"T1": 2}, wechat=FakeVendor("neither", Unknown("timeout")))

    made.settle(NOON)

    assert (message(made)[1], left(made)) == ("ABANDONED", 1)


def test_what_is_proven_absent_gives_its_subscription_back_and_reserves_it_anew(store):
    vendor = FakeVendor("query", Unknown("timeout"), Accepted("ok"), found=Rejected("never_there"))
    made = town(store, text(WECHAT), rules=COUNTED, credits_={"T1": 1}, wechat=vendor)

    made.settle(NOON)

    assert (message(made)[1], left(made)) == ("ACCEPTED", 0)


def test_the_vendors_word_that_none_is_left_counts(store):
    vendor = FakeVendor("neither", Rejected("43101", blames="credit"))
    made = town(store, text(WECHAT, SMS), rules=COUNTED, credits_={"T1": 3, "T2": 1}, wechat=vendor)

    made.settle(NOON)

    assert (left(made), left(made, "T2")) == (0, 1)
    assert message(made)[:2] == ("sms", "ACCEPTED")


@pytest.mark.parametrize("known", [{}, {"T1": 0}])
def test_without_a_subscription_the_next_position_is_taken_at_planning(store, known):
    made = town(store, text(WECHAT, SMS), rules=COUNTED, credits_=known)

    made.settle(NOON)

    assert got(made, "wechat", "sms") == [0, 1]


def test_a_subscription_that_was_used_up_meanwhile_opens_the_next_position_at_the_last_check(store):
    made = town(store, text(WECHAT, SMS), rules=COUNTED, credits_={"T1": 1})
    store.database.write(lambda tx: store.contacts.no_credit(tx, OPENID, "T1", NOON))

    made.settle(NOON)

    assert got(made, "wechat", "sms") == [0, 1]
    assert message(made)[:2] == ("sms", "ACCEPTED")


def test_without_another_position_there_is_no_credit(store):
    made = town(store, text(WECHAT), rules=COUNTED, credits_={"T1": 1})
    store.database.write(lambda tx: store.contacts.no_credit(tx, OPENID, "T1", NOON))

    made.settle(NOON)

    assert message(made) == ("wechat", "SUPPRESSED", "no_credit")


LOW, HIGH = (text(WECHAT, SMS, id=name, priority=p) for name, p in (("a", "10"), ("b", "90")))


def by_journey(made):
    return {m.journey: name for name in ("wechat", "sms") for m in made.vendors[name].got}


def test_a_scarce_subscription_goes_to_the_higher_priority(store):
    made = Town(store, LOW, HIGH.replace("app_opened", "account_closed"), rules=COUNTED)
    made.settle_people(somebody())
    give(made, 1)
    for type_ in ("app_opened", "account_closed"):
        made.post(event(type_, NOON))
        made.think(NOON)

    made.settle(NOON)

    assert by_journey(made) == {"b": "wechat", "a": "sms"}
    assert left(made) == 0


def test_a_scarce_subscription_goes_to_the_higher_priority_also_among_messages_of_one_event(store):
    made = town(store, LOW, HIGH, rules=COUNTED, credits_={"T1": 1})

    made.settle(NOON)

    assert by_journey(made) == {"b": "wechat", "a": "sms"}


def test_two_messages_that_go_out_together_do_not_share_one_subscription(store):
    made = town(store, LOW, HIGH, rules=COUNTED, credits_={"T1": 2})
    store.database.write(lambda tx: store.contacts.take_credit(tx, OPENID, "T1"))

    made.settle(NOON)

    assert got(made, "wechat", "sms") == [1, 1]
    assert left(made) == 0


def test_a_subscription_is_given_back_when_another_has_taken_the_message_over(store):
    made = town(store, text(WECHAT), rules=COUNTED, credits_={"T1": 1})
    stale = claimed(made)
    store.database.write(lambda tx: store.ledger.reap(tx, NOON + LEASE + 1))
    fresh = claimed(made, NOON + LEASE + 1)

    assert begin(made, stale, NOON + LEASE + 1) == []
    assert left(made) == 1
    assert len(begin(made, fresh, NOON + LEASE + 1)) == 1
    assert left(made) == 0


# --- addresses and refusals


def test_a_dead_address_is_dropped_and_the_next_send_takes_another_channel(store):
    steps = f"- {{id: one, send: [{PUSH}]}}\n- {{id: pause, delay: 1h}}\n- {{id: two, send: [{PUSH}, {SMS}]}}"
    made = town(store, journey_text(steps, entry=OPENED), push=FakeVendor("neither", Rejected("gone", blames="address")))

    made.settle(NOON)
    made.settle(NOON + HOUR)

    assert made.states() == [("one", "REJECTED"), ("two", "ACCEPTED")]
    assert got(made, "push", "sms") == [1, 1]
    assert ("address_dropped", "") in made.actions()


def test_an_address_that_has_changed_meanwhile_is_not_dropped(store):
    made = town(store, text(PUSH), push=FakeVendor("neither", Rejected("gone", blames="address")))
    (attempt,) = begin(made, claimed(made))
    made.tell("u1", NOON, identities={"push_id": "new-phone"})
    made.think(NOON)

    finish(made, attempt, Rejected("gone", blames="address"))
    made.think(NOON)

    assert ("address_dropped", "") not in made.actions()


def test_a_refusal_at_the_vendor_is_a_withdrawal_of_everybody_with_that_address(store):
    """A shared number: whoever has it, or comes to have it, is not messaged there any more; other channels go on."""
    people = [somebody("u1"), somebody("u2")]
    for person in people:
        person.reach["identities"]["phone"] = "+8613800138000"
    made = town(
        store, text(SMS, PUSH), people=people, sms=FakeVendor("neither", Rejected("unsubscribed", blames="consent"), Accepted("ok"))
    )
    made.settle(NOON)
    made.post(event("app_opened", NOON + 1, user="u2"))

    made.settle(NOON + 1)

    assert got(made, "sms", "push") == [1, 2]
    assert ("consent_withdrawn", "") in made.actions("u1")
    with store.database.reading() as tx:
        said = store.contacts.consents_of(tx, "u1")
    assert {(c["channel"], c["purpose"], c["granted"]) for c in said} == {("sms", "marketing", False)}, (
        "who refused advertisements still gets notices"
    )


def refuse(made, number, now, lane="sms"):
    made.store.database.write(lambda tx: made.store.contacts.suppress(tx, lane, number, ("marketing",), "sms reply", now))


def test_a_refusal_by_reply_between_claim_and_intent_stops_the_message(store):
    made = town(store, text(SMS))
    rows = claimed(made)

    refuse(made, "u1-phone", NOON)

    assert begin(made, rows) == []
    assert message(made) == ("sms", "SUPPRESSED", "no_consent")


def test_a_number_that_refused_before_anybody_had_it_stays_refused(store):
    made = Town(store, text(SMS, PUSH))
    refuse(made, "u7-phone", NOON - DAY)
    made.tell("u7", NOON - HOUR, **reachable("u7"))
    made.think(NOON - HOUR)
    made.post(event("app_opened", NOON, user="u7"))

    made.settle(NOON)
    assert message(made, "u7") == ("sms", "ACCEPTED", None), "she has said yes after the number's refusal"
    refuse(made, "u8-phone", NOON)
    before = {"granted": True, "at": NOON - HOUR}
    consents = {"sms": {"marketing": before}, "push": {"marketing": before}}
    made.tell("u8", NOON + 1, identities={"phone": "u8-phone", "push_id": "p8"}, consents=consents)
    made.think(NOON + 1)
    made.post(event("app_opened", NOON + 2, user="u8"))
    made.settle(NOON + 2)

    assert message(made, "u8")[:2] == ("push", "ACCEPTED")


# --- lateness and windows


LATE = {"max_lateness": "1h"}


def test_an_outage_that_lasts_longer_than_the_journey_allows_stops_the_message(store):
    made = town(store, text(PUSH, **LATE))

    made.deliver(NOON + HOUR + 1)

    assert message(made) == ("push", "SUPPRESSED", "late")
    assert got(made, "push") == [0]


def test_an_outage_within_the_journeys_limit_changes_nothing(store):
    made = town(store, text(PUSH, **LATE))

    made.deliver(NOON + HOUR)

    assert message(made)[1] == "ACCEPTED"


def test_a_hold_at_the_last_check_moves_what_lateness_counts_from(store):
    evening, morning = at("2026-12-01 20:59"), at("2026-12-02 09:00")
    made = town(store, text(PUSH, **LATE), now=evening, rules=Rules(quiet_hours=parse_window("21:00-09:00")))

    assert made.deliver(evening + MINUTE).counts == {"held": 1}
    made.deliver(morning + HOUR)

    assert message(made)[1] == "ACCEPTED"


def test_a_hold_of_the_next_position_moves_what_lateness_counts_from(store):
    evening, morning = at("2026-12-01 20:59"), at("2026-12-02 09:00")
    made = town(store, text(PUSH, SMS, **LATE), now=evening, rules=Rules(quiet_hours=parse_window("21:00-09:00")))
    (attempt,) = begin(made, claimed(made, evening), evening)

    finish(made, attempt, Rejected("no_token"), evening + 2 * MINUTE)
    made.deliver(morning)

    assert message(made)[:2] == ("sms", "ACCEPTED")


def test_of_a_send_to_all_what_can_go_goes_and_what_is_held_waits(store):
    held = Rules(paused=frozenset({"sms"}))
    made = town(store, text(PUSH, SMS, more=", reach: all", max_lateness="1m"), rules=held)

    made.deliver(NOON)
    assert [s for _, s in sorted(made.states())] == ["ACCEPTED", "PENDING"]
    made.deliver(NOON + 15 * MINUTE)
    assert got(made, "push", "sms") == [1, 0]
    made.delivery = Delivery(store, made.engine, made.vendors, Rules(), ZONE)
    made.deliver(NOON + 30 * MINUTE)

    assert got(made, "push", "sms") == [1, 1]
    assert {s for _, s in made.states()} == {"ACCEPTED"}


# --- what vendors tell


FALLING = text(PUSH, SMS, more=", fall_through: undelivered")


def test_what_was_not_delivered_opens_the_next_position_where_the_step_says_so(store):
    made = town(store, FALLING, push=Hearing("neither", Accepted("ref-1")))
    made.deliver(NOON)

    assert hear(made, "push", Receipt(False, reference="ref-1", code="E1"), NOON + HOUR)
    made.settle(NOON + HOUR)

    assert message(made)[:2] == ("sms", "ACCEPTED")
    with store.database.reading() as tx:
        tries = [(a.channel, a.state) for a in tx.execute(attempts.select().order_by(attempts.c.id))]
    assert tries == [("push", "UNDELIVERED"), ("sms", "ACCEPTED")]


def test_without_the_steps_word_nothing_falls_through_on_a_receipt(store):
    made = town(store, text(PUSH, SMS), push=Hearing("neither", Accepted("ref-1")))
    made.deliver(NOON)

    hear(made, "push", Receipt(False, reference="ref-1", code="E1"), NOON + HOUR)
    made.settle(NOON + HOUR)

    assert message(made)[:2] == ("push", "UNDELIVERED")
    assert got(made, "sms") == [0]


def test_what_was_not_delivered_and_has_no_other_way_stays_undelivered(store):
    """The message reached the vendor; that the next position is impossible does not make it one that was never sent."""
    person = somebody()
    made = town(store, FALLING, people=[person], push=Hearing("neither", Accepted("ref-1")))
    made.deliver(NOON)
    hear(made, "push", Receipt(False, reference="ref-1", code="E1"), NOON + HOUR)
    person.reach["consents"]["sms"] = {"marketing": False}
    store.database.write(lambda tx: store.people.save_users(tx, [person]))

    made.settle(NOON + HOUR)

    assert message(made)[1] == "UNDELIVERED"


def test_a_receipt_that_comes_after_the_journeys_lateness_still_opens_the_next_position(store):
    made = town(store, FALLING.replace("steps:", "max_lateness: 1h\nsteps:"), push=Hearing("neither", Accepted("ref-1")))
    made.deliver(NOON)

    hear(made, "push", Receipt(False, reference="ref-1", code="E1"), NOON + 3 * HOUR)
    made.settle(NOON + 3 * HOUR)

    assert message(made)[:2] == ("sms", "ACCEPTED")


@pytest.mark.parametrize(("delivered", "end"), [(True, "arrived"), (False, "lost"), (None, "silence")])
def test_a_receipt_wakes_the_journey_that_waits_for_it(store, delivered, end):
    steps = f"""
    - {{id: hello, send: [{PUSH}]}}
    - id: told
      wait_for:
        timeout: 1d
        any_of:
          - {{event: message_delivered, where: event.step == 'hello', steps: [{{id: a, exit: arrived}}]}}
          - {{event: message_undelivered, steps: [{{id: b, exit: lost}}]}}
    - {{id: c, exit: silence}}
    """
    made = town(store, journey_text(steps, entry=OPENED), push=Hearing("neither", Accepted("ref-1")))
    made.settle(NOON)

    if delivered is not None:
        hear(made, "push", Receipt(delivered, reference="ref-1", code="E1"), NOON + HOUR)
        hear(made, "push", Receipt(delivered, reference="ref-1", code="E1"), NOON + HOUR)
    made.settle(NOON + HOUR)
    made.settle(NOON + DAY)

    assert made.ends() == [("j", end)]


def test_a_receipt_of_a_dead_number_drops_it(store):
    made = town(store, text(SMS), sms=Hearing("neither", Accepted("ref-1")))
    made.deliver(NOON)

    hear(made, "sms", Receipt(False, reference="ref-1", code="MK:0001", blames="address"), NOON + 1)
    made.think(NOON + 1)

    assert ("address_dropped", "") in made.actions()


# --- keys that the vendor issues


class Issuing(FakeVendor):
    """A vendor whose keys must be fetched: `stock` of them, or an error."""

    def __init__(self, *answers, stock=100, broken=False):
        super().__init__("key", *answers)
        self.stock, self.broken, self.issued = stock, broken, []

    def new_keys(self, n):
        if self.broken:
            raise OSError("the vendor is away")
        fresh = [f"cid-{len(self.issued) + k}" for k in range(min(n, self.stock))]
        self.stock -= len(fresh)
        self.issued += fresh
        return fresh


def test_each_message_gets_an_issued_key_of_its_own_and_keeps_it_for_its_repeats(store):
    people = [somebody(f"u{n}") for n in range(1, 4)]
    vendor = Issuing(Unknown("timeout"), Unknown("timeout"), Unknown("timeout"), Accepted("ok"))
    made = Town(store, text(PUSH), push=vendor)
    made.settle_people(*people)
    made.post(*(event("app_opened", NOON, user=u.id) for u in people))
    made.think(NOON)

    for n in range(3):
        made.deliver(NOON + n * 3 * SECOND)

    keys = {}
    for sent in vendor.got:
        keys.setdefault(sent.user_id, []).append(sent.vendor_key)
    assert len(vendor.got) == 6
    assert all(len(used) == 2 and len(set(used)) == 1 for used in keys.values()), "a repeat has the same key"
    assert len({used[0] for used in keys.values()}) == 3
    assert {used[0] for used in keys.values()} <= set(vendor.issued)


@pytest.mark.parametrize("keys", [{"stock": 0}, {"broken": True}])
def test_while_the_vendor_issues_no_keys_messages_wait(store, keys):
    vendor = Issuing(**keys)
    made = town(store, text(PUSH), push=vendor)

    made.deliver(NOON)
    assert (message(made)[1], vendor.got) == ("PENDING", [])
    vendor.stock, vendor.broken = 5, False
    made.deliver(NOON + NO_KEY)

    assert message(made)[1] == "ACCEPTED"


def test_an_issued_key_is_not_spent_on_a_message_that_may_not_go(store):
    made = town(store, text(PUSH), push=Issuing(stock=1))
    made.deliver(NOON - 1)
    rows = claimed(made)
    made.delivery.fetch_keys(rows.rows, NOON, Delivered())
    made.store.database.write(lambda tx: made.store.contacts.suppress(tx, "push", "u1-push_id", ("marketing",), "t", NOON))
    assert begin(made, rows) == []
    made.settle_people(somebody("u2"))
    made.post(event("app_opened", NOON, user="u2"))
    made.think(NOON)

    made.deliver(NOON)

    assert message(made, "u2")[1] == "ACCEPTED"


# --- budgets and grants


GIFT = journey_text("- {id: gift, grant: {benefit: gift, expires: 7d}, on_failed: [{exit: failed}]}", entry=OPENED)


def units(made):
    with made.store.database.reading() as tx:
        row = tx.execute(budgets.select().where(budgets.c.benefit == "gift")).one()
    return row.reserved, row.issued


def test_a_unit_is_given_back_when_the_intent_is_lost(store):
    made = town(store, GIFT)
    made.budget(gift=1)
    stale = claimed(made)
    store.database.write(lambda tx: store.ledger.reap(tx, NOON + LEASE + 1))
    fresh = claimed(made, NOON + LEASE + 1)

    assert begin(made, stale, NOON + LEASE + 1) == []
    assert units(made) == (0, 0)
    (attempt,) = begin(made, fresh, NOON + LEASE + 1)
    assert units(made) == (1, 0)
    finish(made, attempt, Accepted("ok", {"code": "C"}), NOON + LEASE + 2)

    assert units(made) == (0, 1)


def test_a_stale_intent_does_not_give_back_the_unit_of_the_one_that_took_over(store):
    made = town(store, GIFT)
    made.budget(gift=2)
    stale = claimed(made)
    store.database.write(lambda tx: store.ledger.reap(tx, NOON + LEASE + 1))
    begin(made, claimed(made, NOON + LEASE + 1), NOON + LEASE + 1)

    begin(made, stale, NOON + LEASE + 1)

    assert units(made) == (1, 0)


def test_a_grant_says_whom_it_is_for(store):
    """A WeChat coupon is given to an openid."""
    made = town(store, GIFT)

    made.deliver(NOON)

    (sent,) = made.vendors["grant:gift"].got
    assert (sent.user_id, sent.address) == ("u1", OPENID)


# --- receipts in the tests of a file


TOLD = f"""
- {{id: hello, send: [{PUSH}, {SMS}], fall_through: undelivered}}
- {{id: told, wait_for: {{event: message_delivered, timeout: 1d}}, on_event: [{{exit: arrived}}], on_timeout: [{{exit: silence}}]}}
"""


@pytest.mark.parametrize(("given_", "story"), [
    ("", "{after: 0s, send: push}, {after: 1d, end: silence}"),
    ("given: {receipts: {hello: delivered}}, ", "{after: 0s, send: push}, {after: 1s, end: arrived}"),
    ("given: {receipts: {hello: undelivered}}, ", "{after: 0s, send: sms}, {after: 1d, end: silence}"),
], ids=["none", "delivered", "undelivered"])  # fmt: skip
def test_a_file_may_say_in_its_tests_what_was_delivered(given_, story):
    made = journey(TOLD, tests=f"[{{name: story, {given_}expect: [{story}]}}]", entry="{event: order_paid}")

    (result,) = rehearse(made, audience(), WORLD, Rules())

    assert result.passed, result.rows
