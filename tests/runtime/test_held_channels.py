"""A channel that is held: by a fault (circuit, alarm, one probe), by the vendor's flow control, by a message on its way to the same person."""

import pytest

from channels.message import Accepted, Fault, Rejected, RetryLater, Unknown
from runtime.deliver import PROBE_AGAIN, Delivered, Delivery, LaneRules
from runtime.policy import Rules
from runtime.store import open_store
from runtime.store.flow import Rate
from tests.town import DAY, HOUR, MINUTE, NOON, SECOND, ZONE, FakeVendor, Town, event, journey_text, somebody

UNPAID = Fault("unpaid", "the account is in arrears", 5 * MINUTE)
NO_TEMPLATE = Fault("template", "no such template", 5 * MINUTE, "template")
OPENED = "{event: app_opened}"
HELLO = journey_text("- {id: hello, send: [{push: {title: T, body: B}}]}", entry=OPENED)
NEWS = journey_text("- {id: news, send: [{sms: {template: news}}]}", id="n", entry=OPENED, priority="90")
INFO = journey_text("- {id: info, send: [{sms: {template: info}}]}", id="i", entry=OPENED, purpose="service", priority="10")


def waiting(store, *texts, people=3, now=NOON, **keys):
    """A town in which everybody's messages wait."""
    made = Town(store, *texts, **keys)
    made.settle_people(*(somebody(f"u{n}") for n in range(people)))
    made.post(*(event("app_opened", now, user=f"u{n}") for n in range(people)))
    made.think(now)
    return made


def all_states(made, people=3):
    return sorted(s for n in range(people) for _, s in made.states(f"u{n}"))


def circuits(made):
    with made.store.database.reading() as tx:
        return [(c.lane, c.template, c.code) for c in made.store.flow.circuits(tx)]


def alarms(done):
    return [(a.lane, a.template, a.code, a.held) for a in done.alarms]


# --- faults


def test_a_fault_holds_the_channel_alarms_once_and_loses_nothing(store):
    made = waiting(store, HELLO, push=FakeVendor("neither", UNPAID))

    done = made.deliver(NOON)

    assert alarms(done) == [("push", "", "unpaid", True)], "once, however many were on their way"
    assert circuits(made) == [("push", "", "unpaid")]
    assert all_states(made) == ["PENDING"] * 3
    got = len(made.vendors["push"].got)
    for later in (1, MINUTE, 5 * MINUTE - 1):
        assert made.deliver(NOON + later).alarms == []
    assert len(made.vendors["push"].got) == got


def test_one_message_probes_and_all_go_when_it_works_again(store):
    made = waiting(store, HELLO, push=FakeVendor("neither", UNPAID, UNPAID, UNPAID, UNPAID, Accepted("ok")))
    made.deliver(NOON)

    again = made.deliver(NOON + 5 * MINUTE)
    assert (len(made.vendors["push"].got), again.alarms) == (4, []), "one probe; the fault is still there"
    assert made.deliver(NOON + 5 * MINUTE + 1).total == 0
    works = made.deliver(NOON + 10 * MINUTE)
    assert len(made.vendors["push"].got) == 5
    assert alarms(works) == [("push", "", "unpaid", False)]
    made.deliver(NOON + 10 * MINUTE)

    assert circuits(made) == []
    assert all_states(made) == ["ACCEPTED"] * 3


def test_a_fault_is_no_messages_fault_however_long_it_lasts(store):
    made = waiting(store, HELLO, push=FakeVendor("neither", *[UNPAID] * 40, Accepted("ok")), people=1)

    for n in range(60):
        made.deliver(NOON + n * 5 * MINUTE)

    assert all_states(made, 1) == ["ACCEPTED"]
    assert len(made.vendors["push"].got) == 41


def test_other_channels_go_on_while_one_is_held(store):
    made = waiting(store, HELLO, NEWS, push=FakeVendor("neither", UNPAID))

    made.deliver(NOON)

    assert len(made.vendors["sms"].got) == 3


@pytest.mark.parametrize("answer", [Unknown("timeout"), RetryLater(SECOND, "busy")], ids=lambda a: type(a).__name__)
def test_a_probe_that_proves_nothing_leaves_the_channel_held(store, answer):
    made = waiting(store, HELLO, push=FakeVendor("neither", UNPAID, UNPAID, UNPAID, answer, Accepted("ok")))
    made.deliver(NOON)

    made.deliver(NOON + 5 * MINUTE)
    made.deliver(NOON + 5 * MINUTE + 30 * SECOND)
    assert len(made.vendors["push"].got) == 4
    made.deliver(NOON + 5 * MINUTE + PROBE_AGAIN)

    assert len(made.vendors["push"].got) == 5
    assert circuits(made) == []


def test_a_refused_message_proves_that_the_channel_works(store):
    made = waiting(store, HELLO, push=FakeVendor("neither", UNPAID, UNPAID, UNPAID, Rejected("bad_token"), Accepted("ok")))
    made.deliver(NOON)

    for n in range(2):
        made.deliver(NOON + 5 * MINUTE + n)

    assert all_states(made) == ["ACCEPTED", "ACCEPTED", "REJECTED"]


def test_a_fault_of_one_template_holds_that_template_only(store):
    class Templates(FakeVendor):
        def send(self, message):
            accepted = super().send(message)
            return NO_TEMPLATE if message.content["template"] == "news" else accepted

    made = waiting(store, NEWS, INFO, sms=Templates("neither"), people=2)

    done = made.deliver(NOON)
    made.deliver(NOON + 1)

    assert alarms(done) == [("sms", "news", "template", True)]
    assert circuits(made) == [("sms", "news", "template")]
    assert all_states(made, 2) == ["ACCEPTED", "ACCEPTED", "PENDING", "PENDING"]
    made.vendors["sms"].__class__ = FakeVendor  # the template is approved
    assert alarms(made.deliver(NOON + 5 * MINUTE)) == [("sms", "news", "template", False)]
    made.deliver(NOON + 5 * MINUTE)
    assert all_states(made, 2) == ["ACCEPTED"] * 4


def test_a_channel_that_works_again_is_not_held_by_a_probe_of_a_template_that_does_not(store):
    """The most urgent message is of a template that the vendor does not know: it says so, which proves that the account works."""

    class Paid(FakeVendor):
        paid = False

        def send(self, message):
            super().send(message)
            if not self.paid:
                return UNPAID
            return NO_TEMPLATE if message.content["template"] == "news" else Accepted("ok")

    made = waiting(store, NEWS, INFO, sms=Paid("neither"), people=2)
    made.deliver(NOON)
    made.vendors["sms"].paid = True

    for n in range(12):
        made.deliver(NOON + (n + 1) * 5 * MINUTE)

    assert [s for n in range(2) for step, s in made.states(f"u{n}") if step == "info"] == ["ACCEPTED"] * 2


def test_a_probe_is_kept_for_when_there_is_a_message_to_send(store):
    made = waiting(store, HELLO.replace("B}}]", "B}}], expires: 2m"), push=FakeVendor("neither", UNPAID, Accepted("ok")), people=1)
    made.deliver(NOON)
    made.deliver(NOON + 5 * MINUTE)  # the message has expired: nothing to probe with
    made.post(event("app_opened", NOON + 5 * MINUTE + SECOND, user="u9"))
    made.settle_people(somebody("u9"))
    made.think(NOON + 5 * MINUTE + SECOND)

    made.deliver(NOON + 5 * MINUTE + 2 * SECOND)

    assert made.states("u9") == [("hello", "ACCEPTED")]


def test_who_holds_one_template_is_told_to_ask_again_when_it_is_to_be_probed(store):
    """Else a lane with nothing but held messages asks the database for ever."""
    made = waiting(store, NEWS, sms=FakeVendor("neither", NO_TEMPLATE), people=2)
    made.deliver(NOON)

    claimed = store.database.write(lambda tx: made.delivery.claim(tx, "sms", NOON + SECOND, 8))

    assert (list(claimed.rows), claimed.again_at) == ([], NOON + 5 * MINUTE)


def test_who_holds_a_channel_is_told_to_ask_again_when_it_is_to_be_probed(store):
    made = waiting(store, NEWS, INFO, sms=FakeVendor("neither", UNPAID), people=2)
    made.deliver(NOON)
    store.database.write(lambda tx: store.flow.open_circuit(tx, "sms", "old", "template", "", NOON - DAY, 1))

    claimed = store.database.write(lambda tx: made.delivery.claim(tx, "sms", NOON + SECOND, 8))

    assert (list(claimed.rows), claimed.again_at) == ([], NOON + 5 * MINUTE)


def test_one_probe_at_a_time_among_two_daemons(new_postgres):
    stores = [open_store(new_postgres, ZONE, "daemon") for _ in range(2)]
    try:
        made = waiting(stores[0], HELLO, push=FakeVendor("neither", UNPAID))
        made.deliver(NOON)
        other = Delivery(stores[1], made.engine, made.vendors, Rules(), ZONE)

        first = stores[0].database.write(lambda tx: made.delivery.claim(tx, "push", NOON + 5 * MINUTE, 8))
        second = stores[1].database.write(lambda tx: other.claim(tx, "push", NOON + 5 * MINUTE, 8))

        assert (len(first.rows), len(first.probes)) == (1, 1)
        assert (list(second.rows), second.again_at) == ([], NOON + 5 * MINUTE + PROBE_AGAIN)
    finally:
        for opened in stores:
            opened.close()


# --- the vendor's flow control


def test_the_vendors_flow_control_holds_its_channel_and_no_other(store):
    limited = RetryLater(MINUTE, "429", whole_channel=True)
    made = waiting(store, HELLO, NEWS, push=FakeVendor("neither", limited, limited, limited, Accepted("ok")))

    made.deliver(NOON)
    made.deliver(NOON + MINUTE - 1)
    assert (len(made.vendors["push"].got), len(made.vendors["sms"].got)) == (3, 3)
    made.deliver(NOON + MINUTE)

    assert all_states(made) == ["ACCEPTED"] * 6


def test_what_waits_for_the_vendors_flow_control_is_not_held_longer_for_it(store):
    """A wait that concerned everybody says nothing about this message: its own backoff does not grow with it."""
    limited = RetryLater(MINUTE, "429", whole_channel=True)
    made = waiting(store, HELLO, push=FakeVendor("neither", *[limited] * 6, RetryLater(MINUTE, "busy"), Accepted("ok")), people=1)

    for n in range(7):
        made.deliver(NOON + n * MINUTE)
    made.deliver(NOON + 8 * MINUTE)

    assert all_states(made, 1) == ["ACCEPTED"]


def test_a_lane_is_no_faster_than_its_rate_over_two_daemons(new_postgres):
    stores = [open_store(new_postgres, ZONE, "daemon") for _ in range(2)]
    try:
        made = waiting(stores[0], HELLO, people=30)
        flows = {"push": LaneRules(8, Rate(10, SECOND))}
        both = [Delivery(opened, made.engine, made.vendors, Rules(), ZONE, flows=flows) for opened in stores]
        stores[0].database.write(lambda tx: stores[0].flow.prepare(tx, ["push"]))

        for now in range(NOON, NOON + SECOND, 20):
            for delivery in both:
                delivery.tick(now)

        assert 9 <= len(made.vendors["push"].got) <= 12
    finally:
        for opened in stores:
            opened.close()


# --- one at a time per person


SHY = journey_text("- {id: hello, send: [{push: {title: T, body: B}}]}", id="k", entry=OPENED)


def test_two_messages_to_one_person_never_overlap_and_others_go_on(store):
    made = waiting(store, HELLO, SHY, push=FakeVendor("neither", one_at_a_time=True), people=2)

    def start(now):
        claimed = store.database.write(lambda tx: made.delivery.claim(tx, "push", now, 8))
        return store.database.write(lambda tx: made.delivery.begin(tx, claimed, now, Delivered()))

    def end(attempts, now):
        store.database.write(lambda tx: made.delivery.finish(tx, [(a, Accepted("ok")) for a in attempts], now, Delivered()))

    first = start(NOON)
    assert sorted(a.row.user_id for a in first) == ["u0", "u1"]
    assert start(NOON) == []
    end([a for a in first if a.row.user_id == "u0"], NOON)
    second = start(NOON)
    assert [a.row.user_id for a in second] == ["u0"]
    end([*second, *(a for a in first if a.row.user_id == "u1")], NOON)
    end(start(NOON), NOON)

    assert all_states(made, 2) == ["ACCEPTED"] * 4


def test_many_messages_of_one_person_do_not_keep_others_waiting(store):
    texts = [HELLO.replace("id: j", f"id: j{n}") for n in range(6)]
    made = Town(store, *texts, push=FakeVendor("neither", one_at_a_time=True))
    made.settle_people(somebody("u0"), somebody("u1"))
    made.post(event("app_opened", NOON, user="u0"), event("app_opened", NOON, user="u1"))
    made.think(NOON)

    def claim():
        return store.database.write(lambda tx: made.delivery.claim(tx, "push", NOON, 4)).rows

    assert {row.user_id for row in (*claim(), *claim())} == {"u0", "u1"}


def test_two_daemons_that_claimed_for_one_person_at_the_same_moment_send_one_after_the_other(new_postgres):
    stores = [open_store(new_postgres, ZONE, "daemon") for _ in range(2)]
    try:
        made = waiting(stores[0], HELLO, SHY, push=FakeVendor("neither", one_at_a_time=True), people=1)
        other = Delivery(stores[1], made.engine, made.vendors, Rules(), ZONE)
        with stores[0].database.engine.begin() as mine, stores[1].database.engine.begin() as theirs:
            rows = (made.delivery.claim(mine, "push", NOON, 1), other.claim(theirs, "push", NOON, 1))
        assert [len(claimed.rows) for claimed in rows] == [1, 1]

        first = stores[0].database.write(lambda tx: made.delivery.begin(tx, rows[0], NOON, Delivered()))
        second = stores[1].database.write(lambda tx: other.begin(tx, rows[1], NOON, Delivered()))

        assert (len(first), second) == (1, [])
        stores[0].database.write(lambda tx: made.delivery.finish(tx, [(first[0], Accepted("ok"))], NOON, Delivered()))
        made.deliver(NOON + SECOND)
        assert all_states(made, 1) == ["ACCEPTED"] * 2
    finally:
        for opened in stores:
            opened.close()


def test_an_hour_of_holding_starts_nothing_and_ends_with_everything_sent_once(store):
    made = waiting(store, HELLO, people=20, push=FakeVendor("neither", *[UNPAID] * 31, Accepted("ok")))

    for n in range(120):
        made.deliver(NOON + n * 30 * SECOND)
    for n in range(2):
        made.deliver(NOON + 2 * HOUR + n)

    assert all_states(made, 20) == ["ACCEPTED"] * 20
    assert len(made.vendors["push"].got) == 31 + 20
