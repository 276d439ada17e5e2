"""How fast a lane may go: rates over several daemons, pauses, circuits with one probe at a time, tokens, signs of life."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.store.flow import BUSY, GONE_AFTER, Rate, shares
from tests.town import DAY, HOUR, MINUTE, NOON, SECOND

LANE = "sms"
WHOLE = [Rate(1, SECOND), Rate(2, SECOND), Rate(100, SECOND), Rate(500, SECOND), Rate(1000, SECOND), Rate(20, MINUTE), Rate(5, HOUR)]
UNEVEN = [
    Rate(3, SECOND),
    Rate(7, SECOND),
    Rate(400, SECOND),
    Rate(700, SECOND),
    Rate(1500, SECOND),
    Rate(2000, SECOND),
    Rate(5000, SECOND),
]
STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1), st.integers(1, 30)), min_size=20, max_size=60)
shared_database = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=12)
_lanes = count(1)


@pytest.fixture
def both(store, open_another):
    """Two daemons on one database; on SQLite, where there is one, twice the same."""
    return (store, store) if store.database.is_sqlite else (store, open_another())


def do(store, operation):
    return store.database.write(operation)


def take(store, lane, wanted, rate, now):
    """Ask, and take what is allowed; returns it with the instant to ask again."""
    return do(store, lambda tx: take_in(tx, store, lane, wanted, rate, now))


def take_in(tx, store, lane, wanted, rate, now):
    allowed, again_at = store.flow.allow(tx, lane, wanted, rate, now)
    store.flow.spend(tx, lane, allowed, rate, now)
    return allowed, again_at


def too_many(taken, rate):
    """The first window of the rate's own length in which more was taken than it allows, or None."""
    for i, (begin, _) in enumerate(taken):
        total = sum(n for at, n in taken[i:] if at - begin < rate.per)
        if total > rate.most:
            return begin - taken[0][0], total
    return None


def asked(both, rate, steps):
    """What two daemons got who asked so: (instant, number), in a scale of time that fits the rate."""
    lane, now, taken = f"lane{next(_lanes)}", NOON, []
    both[0].database.write(lambda tx: both[0].flow.prepare(tx, [lane]))
    for gap, who, wanted in steps:
        now += round(gap * max(rate.interval, 1) / 10)
        n, _ = take(both[who], lane, wanted, rate, now)
        assert 0 <= n <= wanted
        if n:
            taken.append((now, n))
    return taken


@pytest.mark.parametrize("rate", WHOLE, ids=str)
def test_two_daemons_together_never_take_more_than_the_rate_in_any_window(both, rate):
    @shared_database
    @given(steps=STEPS)
    def holds(steps):
        assert too_many(asked(both, rate, steps), rate) is None

    holds()


@pytest.mark.parametrize("rate", UNEVEN, ids=str)
def test_a_rate_that_gives_no_whole_milliseconds_is_kept_when_messages_go_out_one_by_one(store, rate):
    total = 0
    do(store, lambda tx: store.flow.prepare(tx, [LANE]))

    for now in range(NOON, NOON + 300):
        total += do(store, lambda tx, now=now: sum(take_in(tx, store, LANE, 1, rate, now)[0] for _ in range(8)))

    assert total <= (300 + rate.burst) / rate.interval * 1.05 + 1, f"{total} in 300 ms"


@pytest.mark.parametrize("rate", [*WHOLE, Rate(3, SECOND), Rate(7, SECOND)], ids=str)
def test_who_asks_again_when_told_gets_the_whole_rate(both, rate):
    lane, now, got = "busy", NOON, 0
    do(both[0], lambda tx: both[0].flow.prepare(tx, [lane]))

    for n in range(60):
        allowed, again_at = take(both[n % 2], lane, 1, rate, now)
        got += allowed
        if not allowed:
            assert now < again_at <= now + rate.interval + 2
            now = again_at

    assert got >= 30
    assert got >= (now - NOON) / (rate.interval + 1)


def test_a_lane_that_was_idle_catches_up_a_little_and_no_more(store):
    rate = Rate(100, SECOND)
    do(store, lambda tx: store.flow.prepare(tx, [LANE]))

    for now in (NOON, NOON + DAY):
        assert 1 <= take(store, LANE, 100, rate, now)[0] <= 10
        assert take(store, LANE, 100, rate, now)[0] == 0


def test_a_lane_without_a_rate_takes_what_it_wants(store):
    assert take(store, "unheard-of", 1000, None, NOON) == (1000, NOON)


def test_a_lane_nobody_prepared_is_prepared_by_the_first_who_asks(store):
    rate = Rate(1, SECOND)

    assert take(store, LANE, 1, rate, NOON) == (0, NOON + BUSY)
    assert take(store, LANE, 1, rate, NOON + BUSY)[0] == 1


def test_a_lane_that_another_daemon_is_taking_from_is_asked_a_moment_later(new_postgres):
    from runtime.store import open_store
    from tests.town import ZONE

    rate, stores = Rate(1, SECOND), [open_store(new_postgres, ZONE, "daemon") for _ in range(2)]
    try:
        do(stores[0], lambda tx: stores[0].flow.prepare(tx, [LANE]))
        with stores[0].database.engine.begin() as tx:
            assert stores[0].flow.allow(tx, LANE, 1, rate, NOON)[0] == 1
            assert take(stores[1], LANE, 1, rate, NOON) == (0, NOON + BUSY)
            stores[0].flow.spend(tx, LANE, 1, rate, NOON)
        assert sum(take(stores[1], LANE, 1, rate, NOON)[0] for _ in range(3)) <= 1
    finally:
        for opened in stores:
            opened.close()


# --- pauses


@pytest.mark.parametrize("rate", [None, Rate(100, SECOND)], ids=str)
def test_a_pause_holds_a_lane_until_it_is_over(store, rate):
    do(store, lambda tx: store.flow.prepare(tx, [LANE, "push"]))
    do(store, lambda tx: store.flow.pause(tx, LANE, NOON + MINUTE, "429"))

    assert take(store, LANE, 5, rate, NOON) == (0, NOON + MINUTE)
    assert take(store, LANE, 5, rate, NOON + MINUTE - 1) == (0, NOON + MINUTE)
    assert take(store, "push", 5, rate, NOON)[0] == 5
    assert take(store, LANE, 5, rate, NOON + MINUTE)[0] == 5


def test_a_shorter_pause_does_not_shorten_a_longer_one(store):
    do(store, lambda tx: store.flow.pause(tx, LANE, NOON + HOUR, "for an hour"))
    do(store, lambda tx: store.flow.pause(tx, LANE, NOON + MINUTE, "for a minute"))

    with store.database.reading() as tx:
        assert store.flow.pauses(tx, NOON) == {LANE: (NOON + HOUR, "for an hour")}
        assert store.flow.pauses(tx, NOON + HOUR) == {}


# --- circuits


def opened(store, template="", now=NOON, after=MINUTE, lane=LANE, code="unpaid"):
    return do(store, lambda tx: store.flow.open_circuit(tx, lane, template, code, "because", now, after))


def circuits(store, lane=None):
    with store.database.reading() as tx:
        return store.flow.circuits(tx, lane)


def test_a_circuit_is_opened_once_and_its_newest_reason_is_kept(store):
    assert opened(store)
    assert not opened(store, now=NOON + SECOND, code="banned")

    (found,) = circuits(store, LANE)
    assert (found.code, found.opened_at, found.probe_at) == ("banned", NOON, NOON + SECOND + MINUTE)
    assert circuits(store, "push") == []


def test_of_two_daemons_that_open_a_circuit_at_once_one_raises_the_alarm(both):
    with ThreadPoolExecutor(2) as pool:
        first = list(pool.map(opened, both))

    assert sorted(first) == [False, True]


def test_one_probe_at_a_time_goes_out_among_two_daemons(both):
    opened(both[0])
    (circuit,) = circuits(both[0])

    def probe(store):
        return do(store, lambda tx: store.flow.take_probe(tx, circuit, NOON + MINUTE, NOON + 2 * MINUTE))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(probe, both)) == [False, True]
    (later,) = circuits(both[1])
    assert (later.probe_at, later.probes) == (NOON + 2 * MINUTE, 1)


def test_nothing_is_probed_before_its_time(store):
    opened(store)
    (circuit,) = circuits(store)

    assert not do(store, lambda tx: store.flow.take_probe(tx, circuit, NOON + MINUTE - 1, NOON + HOUR))
    assert circuits(store) == [circuit]


def test_what_works_again_is_closed_and_told_and_nothing_else(store):
    for template in ("", "news", "info"):
        opened(store, template)
    opened(store, "news", lane="push")

    closed = do(store, lambda tx: store.flow.close_circuit(tx, LANE, "news"))

    assert sorted(c.template for c in closed) == ["", "news"]
    assert [(c.lane, c.template) for c in circuits(store)] == [("push", "news"), (LANE, "info")]
    assert len(do(store, lambda tx: store.flow.close_circuit(tx, LANE))) == 1
    assert do(store, lambda tx: store.flow.close_circuit(tx, LANE)) == []


# --- tokens, daemons


def test_a_token_is_kept_for_every_daemon_and_replaced(both):
    do(both[0], lambda tx: both[0].flow.keep_token(tx, "wechat:wx1", "first", NOON + HOUR))
    do(both[0], lambda tx: both[0].flow.keep_token(tx, "wechat:wx1", "second", NOON + 2 * HOUR))

    with both[1].database.reading() as tx:
        assert both[1].flow.token(tx, "wechat:wx1") == ("second", NOON + 2 * HOUR)
        assert both[1].flow.token(tx, "wechat:wx2") is None


def test_daemons_that_give_no_sign_of_life_are_forgotten(store):
    def beat(daemon, now):
        return do(store, lambda tx: store.flow.beat(tx, daemon, now))

    assert [beat("a", NOON), beat("b", NOON), beat("a", NOON)] == [1, 2, 2]
    assert beat("a", NOON + GONE_AFTER) == 2
    assert beat("a", NOON + GONE_AFTER + 1) == 1
    assert beat("b", NOON + GONE_AFTER + 2) == 2, "it was only slow"
    do(store, lambda tx: store.flow.leave(tx, "b"))
    assert beat("a", NOON + GONE_AFTER + 3) == 1


def test_a_daemon_counts_itself_however_late_it_is(store):
    do(store, lambda tx: store.flow.beat(tx, "a", NOON))

    assert do(store, lambda tx: store.flow.beat(tx, "a", NOON + DAY)) == 1


@given(total=st.integers(1, 256), living=st.integers(0, 64))
def test_the_shares_of_all_daemons_are_no_more_than_there_is_but_for_one_each(total, living):
    mine = shares(total, living)

    assert mine >= 1
    assert mine * max(living, 1) <= max(total, living)
