"""The daemon's senders: each lane on its own, connections counted, every message once, stops and failures without a loss."""

import threading
import time
from collections import Counter

import pytest
from sqlalchemy.exc import OperationalError

from channels.message import Accepted, Fault, Rejected, RetryLater, Unknown
from runtime.clock import VirtualClock
from runtime.deliver import BUSY, LEASE, Delivered, Delivery, LaneRules
from runtime.lanes import Lane, Lanes
from runtime.policy import Rules
from runtime.store import open_store
from runtime.store.tables import attempts, messages
from tests.town import MINUTE, NOON, SECOND, ZONE, FakeVendor, Town, event, journey_text, somebody

OPENED = "{event: app_opened}"
HELLO = journey_text("- {id: hello, send: [{push: {title: T, body: B}}]}", entry=OPENED)
NEWS = journey_text("- {id: news, send: [{sms: {template: news}}]}", id="n", entry=OPENED)
INFO = journey_text("- {id: info, send: [{sms: {template: info}}]}", id="i", entry="{event: order_paid}", purpose="service")
PATIENCE = 60.0  # seconds after which a test that waits has failed; nothing here waits so long
UNPAID = Fault("unpaid", "", 5 * MINUTE)


def until(condition, meanwhile=lambda: None):
    """Wait, looking every few milliseconds, until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        meanwhile()
        time.sleep(0.005)


class Gate(FakeVendor):
    """A vendor that answers when the test lets it; counts how many are with it at once."""

    def __init__(self, *answers, guarantee="neither", is_open=False, **keys):
        super().__init__(guarantee, *answers, **keys)
        self.lock, self.permits = threading.Lock(), threading.Semaphore(0)
        self.inside = self.peak = 0
        self.is_open = threading.Event()
        if is_open:
            self.is_open.set()

    def send(self, message):
        with self.lock:
            self.inside += 1
            self.peak = max(self.peak, self.inside)
            answer = super().send(message)
        if not self.is_open.is_set():
            self.permits.acquire()
        with self.lock:
            self.inside -= 1
        return answer

    def let(self, n=1):
        self.permits.release(n)

    def open(self):
        self.is_open.set()
        self.permits.release(1000)


class Running:
    """A town whose messages are sent by lanes on a clock that stands still."""

    def __init__(self, store, *texts, people=10, connections=2, clock=None, delivery=Delivery, type_="app_opened", **vendors):
        self.store, self.told = store, []
        self.town = Town(store, *texts, **vendors)
        self.town.settle_people(*(somebody(f"u{n}") for n in range(people)))
        self.clock = clock or VirtualClock(NOON)
        self.flows = {name: LaneRules(connections) for name in self.town.vendors}
        args = (store, self.town.engine, self.town.vendors, Rules(), ZONE)
        self.delivery = delivery(*args, clock=self.clock, flows=self.flows)
        self.post(people, type_)

    def post(self, people, type_):
        self.town.post(*(event(type_, NOON, user=f"u{n}") for n in range(people)))
        self.town.think(NOON)

    def lane(self, name="push"):
        return Lane(self.delivery, name, self.clock, self.told.append)

    def lanes(self, daemon_id="a", delivery=None):
        return Lanes(delivery or self.delivery, self.clock, daemon_id, self.told.append)

    def states(self, lane=None):
        with self.store.database.reading() as tx:
            return Counter(r.state for r in tx.execute(messages.select()) if lane is None or r.lane == lane)

    def tries(self):
        with self.store.database.reading() as tx:
            return Counter(r.state for r in tx.execute(attempts.select()))


@pytest.fixture
def started():
    """Start a lane (or lanes) that the test's end stops, whatever happens."""
    running, gates = [], []

    def start(what, *gate):
        gates.extend(gate)
        what.start()
        running.append(what)
        return what

    yield start
    for gate in gates:
        gate.open()
    for what in running:
        what.stop()


def test_everything_is_sent_once_and_recorded(store, started):
    vendor = Gate(is_open=True)
    run = Running(store, HELLO, people=60, connections=8, push=vendor)

    started(run.lane())
    until(lambda: run.states() == {"ACCEPTED": 60})

    assert Counter(m.user_id for m in vendor.got) == Counter(f"u{n}" for n in range(60))
    until(lambda: sum(done.counts.get("accepted", 0) for done in run.told) == 60)  # told after it is recorded
    assert run.tries() == {"ACCEPTED": 60}


def test_a_vendor_that_does_not_answer_delays_no_other(store, started):
    slow = Gate()
    run = Running(store, HELLO, NEWS, push=slow)

    def time_goes_on():  # two lanes that want the same user at the same moment: one of them asks again 50 ms later
        run.clock.set(run.clock.now() + BUSY // 5)

    started(run.lanes(), slow)

    until(lambda: slow.inside == 2, time_goes_on)
    until(lambda: run.states("sms") == {"ACCEPTED": 10}, time_goes_on)

    assert run.states("push")["ACCEPTED"] == 0


def test_a_lane_never_has_more_on_its_way_than_its_connections(store, started):
    vendor = Gate()
    run = Running(store, HELLO, people=20, connections=3, push=vendor)

    started(run.lane(), vendor)
    until(lambda: vendor.inside == 3)
    for n in range(17):
        vendor.let()
        until(lambda n=n: len(vendor.got) >= 4 + n)
    vendor.open()
    until(lambda: run.states() == {"ACCEPTED": 20})

    assert vendor.peak == 3


def test_a_lane_whose_share_became_smaller_keeps_to_it(store, started):
    vendor = Gate()
    run = Running(store, HELLO, people=20, connections=4, push=vendor)
    lane = run.lane()
    lane.share(2)

    started(lane, vendor)
    until(lambda: vendor.inside >= 2 and run.states()["SENDING"] >= 3)
    time.sleep(0.05)  # what has been begun beyond the connections waits for one
    assert vendor.inside == 2
    vendor.open()
    until(lambda: run.states() == {"ACCEPTED": 20})

    assert vendor.peak == 2


def test_two_daemons_share_the_connections_of_a_lane(new_postgres, started):
    stores = [open_store(new_postgres, ZONE, "daemon") for _ in range(2)]
    try:
        vendor = Gate()
        run = Running(stores[0], HELLO, people=40, connections=4, push=vendor)
        other = Delivery(stores[1], run.town.engine, run.town.vendors, Rules(), ZONE, clock=run.clock, flows=run.flows)
        lanes = [run.lanes("a"), run.lanes("b", other)]
        for one in lanes:  # both live before either begins
            one._beat()
        assert lanes[0]._beat() == 2

        threads = [threading.Thread(target=one.start) for one in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: vendor.inside >= 4 and run.states()["SENDING"] >= 5)
        time.sleep(0.05)
        vendor.open()
        until(lambda: run.states() == {"ACCEPTED": 40})
        for one in lanes:
            one.stop()

        assert vendor.peak <= 4
        assert Counter(m.user_id for m in vendor.got) == Counter(f"u{n}" for n in range(40)), "and each message once"
    finally:
        for opened in stores:
            opened.close()


# --- stopping


def stopping(lane):
    thread = threading.Thread(target=lane.stop)
    thread.start()
    return thread


def test_a_stop_puts_back_what_was_not_sent_and_waits_for_what_is_on_its_way(store):
    vendor = Gate()
    run = Running(store, HELLO, people=10, connections=2, push=vendor)
    lane = run.lane()
    lane.start()
    until(lambda: vendor.inside == 2 and run.states()["SENDING"] == 3)

    thread = stopping(lane)
    until(lambda: run.tries() == {"SENDING": 2, "PAUSED": 1})
    vendor.open()
    thread.join()

    assert len(vendor.got) == 2
    assert run.states()["ACCEPTED"] == 2
    assert run.states()["SENDING"] == run.states()["UNKNOWN"] == 0
    run.town.deliver(NOON + MINUTE)
    run.town.deliver(NOON + MINUTE)
    assert run.states() == {"ACCEPTED": 10}
    assert len(vendor.got) == 10


def test_a_stop_leaves_nothing_claimed(store):
    """Else another daemon waits for a lease that nobody holds."""
    vendor = Gate()
    run = Running(store, HELLO, people=10, connections=2, push=vendor)
    lane = run.lane()
    lane.start()
    until(lambda: vendor.inside == 2 and run.states()["CLAIMED"] >= 1)

    thread = stopping(lane)
    vendor.open()
    thread.join()

    assert run.states()["CLAIMED"] == 0


class Failing(Delivery):
    """A delivery whose database refuses to record when it is told to; `refused` counts how often it did."""

    failures = refused = 0

    def finish(self, tx, outcomes, now, done):
        if outcomes and self.failures:
            self.failures -= 1
            self.refused += 1
            raise OperationalError("UPDATE", {}, Exception("the disk is full"))
        super().finish(tx, outcomes, now, done)


def test_a_database_error_loses_no_outcome(store, started):
    vendor = Gate()
    run = Running(store, HELLO, people=6, connections=2, push=vendor, delivery=Failing)
    run.delivery.failures = 1

    lane = started(run.lane(), vendor)
    until(lambda: vendor.inside == 2)
    vendor.let(2)
    until(lambda: run.delivery.refused == 1)
    vendor.open()
    until(lambda: set(run.states()) <= {"ACCEPTED", "CLAIMED"})
    run.clock.set(NOON + LEASE + 1)  # what was claimed in the lost transaction is free again
    run.delivery.rescue(NOON + LEASE + 1, Delivered())
    lane.wake()
    until(lambda: run.states() == {"ACCEPTED": 6})

    assert len(vendor.got) == 6
    assert run.tries() == {"ACCEPTED": 6}


def test_a_database_error_while_stopping_loses_no_outcome(store):
    vendor = Gate()
    run = Running(store, HELLO, people=2, connections=2, push=vendor, delivery=Failing)
    lane = run.lane()
    lane.start()
    until(lambda: vendor.inside == 2)
    failed = []

    def stop():
        try:
            lane.stop()
        except OperationalError as error:
            failed.append(error)

    run.delivery.failures = 1
    thread = threading.Thread(target=stop)
    thread.start()
    until(lambda: not lane._thread.is_alive())
    vendor.open()
    thread.join()

    assert failed == []
    assert run.states() == {"ACCEPTED": 2}


# --- answers


def test_an_adapter_that_raises_leaves_its_message_unknown_and_the_lane_working(store, started):
    vendor = Gate(KeyError("bug"), Accepted("ok"), is_open=True)
    run = Running(store, HELLO, people=5, push=vendor)

    started(run.lane())
    until(lambda: run.states()["ACCEPTED"] == 4)

    assert run.states() == {"ACCEPTED": 4, "UNKNOWN": 1}


@pytest.mark.parametrize("refusal", [UNPAID, RetryLater(MINUTE, "429", whole_channel=True)], ids=lambda r: type(r).__name__)
def test_nothing_more_is_sent_after_a_refusal_of_everything(store, started, refusal):
    vendor = Gate(refusal)
    run = Running(store, HELLO, people=20, connections=3, push=vendor)
    started(run.lane(), vendor)
    until(lambda: vendor.inside == 3 and run.states()["SENDING"] > 3)

    vendor.let()  # one hears the refusal; two are with the vendor, another has been begun
    until(lambda: run.tries()["PAUSED"] >= 2)
    vendor.open()
    until(lambda: run.states() == {"PENDING": 20})

    assert len(vendor.got) == 3
    alarms = [alarm for done in run.told for alarm in done.alarms]
    assert len(alarms) == (1 if refusal is UNPAID else 0)


def test_a_lane_that_was_held_goes_on_by_itself_when_the_probe_comes_through(store, started):
    vendor = Gate(UNPAID, UNPAID, Accepted("ok"), is_open=True)
    run = Running(store, HELLO, people=12, connections=2, push=vendor)
    lane = started(run.lane())
    until(lambda: run.states()["PENDING"] == 12 and run.tries()["PAUSED"] >= 1)
    vendor.answers = [Accepted("ok")]
    before = len(vendor.got)

    run.clock.set(NOON + 5 * MINUTE + SECOND)
    lane.wake()
    until(lambda: run.states() == {"ACCEPTED": 12})

    assert len(vendor.got) == before + 12
    assert [alarm.held for done in run.told for alarm in done.alarms] == [True, False]


def test_a_probe_that_had_to_wait_for_a_connection_is_still_a_probe(store, started):
    vendor = Gate()
    run = Running(store, NEWS, INFO, people=3, connections=2, type_="order_paid", sms=vendor)
    lane = started(run.lane("sms"), vendor)
    until(lambda: vendor.inside == 2 and run.states()["SENDING"] == 3)
    store.database.write(lambda tx: store.flow.open_circuit(tx, "sms", "news", "template", "", NOON - MINUTE, 1))
    run.clock.set(NOON + SECOND)
    run.post(1, "app_opened")

    lane.wake()
    until(lambda: run.states()["CLAIMED"] == 1)
    lane.wake()
    until(lane._answers.empty)
    vendor.open()
    until(lambda: run.states() == {"ACCEPTED": 4})

    with store.database.reading() as tx:
        assert store.flow.circuits(tx, "sms") == []


def test_nobody_gets_two_messages_of_a_lane_at_once(store, started):
    texts = [HELLO.replace("id: j", f"id: j{n}") for n in range(4)]
    overlaps, here = [], set()

    class Watching(Gate):
        def send(self, message):
            with self.lock:
                if message.user_id in here:
                    overlaps.append(message.user_id)
                here.add(message.user_id)
            time.sleep(0.002)
            answer = super().send(message)
            with self.lock:
                here.discard(message.user_id)
            return answer

    vendor = Watching(is_open=True, one_at_a_time=True)
    run = Running(store, *texts, people=6, connections=6, push=vendor)

    lane = started(run.lane())
    while run.states() != {"ACCEPTED": 24}:
        run.clock.set(run.clock.now() + SECOND)
        lane.wake()
        time.sleep(0.005)

    assert overlaps == []
    assert len(vendor.got) == 24


# --- the rescuer


def test_the_rescuer_settles_what_is_unknown_without_holding_up_the_lane(store, started):
    vendor = Gate(Unknown("timeout"), Accepted("ok"), guarantee="query", is_open=True, found=Accepted("found"))
    run = Running(store, HELLO, people=5, push=vendor)

    started(run.lanes())
    until(lambda: run.states() == {"ACCEPTED": 5})

    assert len(vendor.got) == 5
    assert len(vendor.asked) == 1


class Stumbling(Delivery):
    """A delivery with a bug that one user's message brings out."""

    def resolve_one(self, row, now, done):
        if row.user_id == "u0":
            raise KeyError("bug")
        super().resolve_one(row, now, done)


@pytest.mark.parametrize(("guarantee", "others"), [("query", "ACCEPTED"), ("neither", "ABANDONED")])
def test_a_message_that_cannot_be_settled_costs_only_itself(store, started, guarantee, others):
    vendor = Gate(Unknown("timeout"), guarantee=guarantee, is_open=True, found=Accepted("found"))
    run = Running(store, HELLO, people=6, delivery=Stumbling, push=vendor)

    started(run.lanes())
    until(lambda: run.states() == {"UNKNOWN": 1, others: 5})


def test_the_start_takes_over_what_a_dead_predecessor_held(sqlite_store, started):
    vendor = Gate(guarantee="query", is_open=True, found=Rejected("never_there"))
    run = Running(sqlite_store, HELLO, people=3, push=vendor)
    sqlite_store.database.write(lambda tx: sqlite_store.ledger.claim(tx, NOON, 2, NOON + 10 * SECOND))

    started(run.lanes())
    until(lambda: run.states() == {"ACCEPTED": 3})

    assert len(vendor.got) == 3
