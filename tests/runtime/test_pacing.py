"""Pace: at most so many enter a journey in one window, by edges and populations together, over daemons, downtimes and virtual time."""

from itertools import pairwise
from threading import Barrier, Thread

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import OperationalError

from runtime.engine import Engine
from runtime.enrol import held_out
from runtime.pacing import Windows
from runtime.policy import Rules
from runtime.rounds import Worked
from runtime.session import Rehearsal
from runtime.state import ENDED, Fact, stable_key
from runtime.store import open_store
from runtime.store.tables import enrolments, log, paces, populations, refusals, tallies, users
from runtime.storyline import Line
from runtime.wording import Wording
from tests.town import DAY, HOUR, NOON, WORLD, ZONE, Town, journey_text, somebody

USER_BY_USER = Rehearsal(forced="")
STEPS = "- {id: last, exit: done}"


def paced(pace="2 per 1d", id="j", more="", **keys):  # noqa: A002 - the file's own key
    return journey_text(STEPS, id=id, entry=f"{{segment: tagged, existing: enrol, pace: {pace}{more}}}", **keys)


def town(store, *texts, people=(), **keys):
    """`in_…` are inside the segment from the beginning, the others come into it by a tag."""
    made = Town(store, *(texts or [paced()]), **keys)
    made.settle_people(*(somebody(user_id, tags=["vip"] if user_id.startswith("in_") else []) for user_id in people))
    return made


def populate(made, at=NOON, journey="j"):
    made.store.database.write(lambda tx: made.store.releases.add_population(tx, journey, f"existing@{at}", "existing", at))


def tag(made, now, *user_ids):
    for user_id in user_ids:
        made.tell(user_id, now, tags=["vip"])
    made.settle(now)


def inside(store, journey="j"):
    """Who has entered, in the order of entering, and when."""
    with store.database.reading() as tx:
        query = select(enrolments.c.user_id, enrolments.c.entered_at).where(enrolments.c.journey == journey)
        return [tuple(row) for row in tx.execute(query.order_by(enrolments.c.entered_at, enrolments.c.id))]


def refused_at(store, reason="pace"):
    with store.database.reading() as tx:
        query = select(refusals.c.user_id, refusals.c.last_at).where(refusals.c.reason == reason)
        return {tuple(row) for row in tx.execute(query)}


def counted(store, journey="j"):
    with store.database.reading() as tx:
        return store.paces.newest(tx, [journey]).get(journey)


@pytest.mark.parametrize("rehearsal", [None, USER_BY_USER], ids=["by ranges", "user by user"])
def test_edges_and_a_population_share_the_counter(store, rehearsal):
    made = town(store, people=["in_1", "in_2", "in_3", "a", "b", "c"], rehearsal=rehearsal)
    populate(made)

    tag(made, NOON, "a")
    first = inside(store)
    tag(made, NOON + HOUR, "b")
    tag(made, NOON + DAY - 1, "c")
    still = inside(store)
    made.settle(NOON + DAY)

    assert first == still == [("a", NOON), ("in_1", NOON)], "an edge and one of those who were inside"
    assert refused_at(store) == {("b", NOON + HOUR), ("c", NOON + DAY - 1)}
    assert inside(store)[2:] == [("in_2", NOON + DAY), ("in_3", NOON + DAY)], "the population has waited"
    assert counted(store) == (NOON + DAY, 2)


def test_a_refused_edge_is_kept_with_its_reason_counted_and_not_retried(store):
    made = town(store, paced("1 per 1d"), people=["a", "b", "c"])

    tag(made, NOON, "a")
    tag(made, NOON + HOUR, "b")
    made.settle(NOON + DAY)
    made.settle(NOON + 5 * DAY)
    tag(made, NOON + 5 * DAY, "c")

    assert inside(store) == [("a", NOON), ("c", NOON + 5 * DAY)]
    (refusal,) = made.story("b").refusals
    assert (refusal["reason"], refusal["times"], refusal["last_at"]) == ("pace", 1, NOON + HOUR)
    assert refusal["why"] == {"fact": "segment", "pace": "1 per 1d", "window_from": NOON, "again_from": NOON + DAY}
    with store.database.reading() as tx:
        assert store.reports.tallies(tx)["j", "refused", "pace"] == 1
    shown = Wording("en", ZONE).grounds(Line(NOON, "j", None, "", "refused", refusal["why"]))
    assert shown == "pace 1 per 1d; the window began 2026-12-01 12:00; again from 2026-12-02 12:00"


def test_a_population_that_waits_is_refused_nothing_and_says_when_it_goes_on(store):
    made = town(store, people=["a", "b", "in_1", "in_2"])
    tag(made, NOON - HOUR, "a", "b")
    populate(made)

    assert made.engine.tick(NOON).populated == 1, "nobody is looked at in vain"
    assert made.engine.next_work() == NOON + DAY - HOUR
    with store.database.reading() as tx:
        assert ("j", "refused", "pace") not in store.reports.tallies(tx)
    made.settle(NOON + DAY - HOUR)
    assert inside(store)[2:] == [("in_1", NOON + DAY - HOUR), ("in_2", NOON + DAY - HOUR)]


@pytest.mark.parametrize("rehearsal", [None, USER_BY_USER], ids=["by ranges", "user by user"])
@pytest.mark.parametrize(("after", "facts"), [(12 * HOUR, []), (25 * HOUR, ["segment"])], ids=["refused", "entered"])
def test_whoever_comes_in_later_is_none_of_those_who_were_inside_already(store, rehearsal, after, facts):
    """Her edge is refused by the pace, or lets her in: either way the population does not let her in (again)."""
    made = town(store, paced("1 per 1d", more=", reentry: always"), people=["in_a", "u1"], rehearsal=rehearsal)
    populate(made)
    made.settle(NOON)
    tag(made, NOON + after, "u1")

    for day in range(6):
        made.settle(NOON + after + day * (DAY + HOUR))

    assert [e.why["fact"] for _, _, e in made.story("u1").log if e.action == "entered"] == facts


def test_a_window_begins_with_the_first_entry_after_the_last_has_ended(store):
    made = town(store, paced("1 per 1d"), people="abcd")

    tag(made, NOON, "a")
    tag(made, NOON + DAY + HOUR, "b")
    tag(made, NOON + 2 * DAY, "c")
    tag(made, NOON + 2 * DAY + HOUR, "d")

    assert [user for user, _ in inside(store)] == ["a", "b", "d"]


def test_after_a_downtime_the_pace_holds_for_all_who_come_at_once(store):
    made = town(store, paced("2 per 1d"), people=["in_1", "in_2", "in_3", "a"])
    populate(made)

    made.settle(NOON + 3 * DAY)
    tag(made, NOON + 3 * DAY, "a")

    assert inside(store) == [("in_1", NOON + 3 * DAY), ("in_2", NOON + 3 * DAY)], "at the moment at which they are let in"
    assert refused_at(store) == {("a", NOON + 3 * DAY)}


def test_edges_that_came_during_a_downtime_count_when_they_are_let_in(store):
    made = Town(store, journey_text(STEPS, entry="{segment: dormant, existing: skip, pace: 1 per 12h}"))
    for user_id, days in (("a", 29), ("b", 28)):  # asleep tomorrow, and the day after
        user, ordered = somebody(user_id), NOON - days * DAY
        user.profile["a"], user.recheck_at = {"orders_count": 1, "last_order_at": [ordered, "x", ordered]}, NOON + (30 - days) * DAY
        made.settle_people(user)

    made.settle(NOON + 5 * DAY)

    assert inside(store) == [("a", NOON + DAY)]
    assert refused_at(store) == {("b", NOON + 2 * DAY)}
    (refusal,) = made.story("b").refusals
    assert (refusal["why"]["window_from"], refusal["why"]["again_from"]) == (NOON + 5 * DAY, NOON + 5 * DAY + 12 * HOUR)


def test_who_is_refused_anyway_does_not_use_up_the_pace(store):
    made = town(store, paced("1 per 1d", more=", where: user.city == '上海'"), people="ab")
    made.tell("b", NOON, traits={"city": "上海"})

    tag(made, NOON, "a", "b")

    assert inside(store) == [("b", NOON)]
    assert refused_at(store, "where") == {("a", NOON)}


def test_those_who_are_held_out_count_for_they_enter(store):
    goal = "{event: order_paid, within: 14d}"
    made = town(store, paced("2 per 1d", holdout="50%", goal=goal), people=[f"u{n}" for n in range(20)])
    journey = made.engine.catalogue.current["j"].journey
    out, treated = ([u for u in (f"u{n}" for n in range(20)) if held_out(journey, u) is held] for held in (True, False))

    tag(made, NOON, out[0])
    tag(made, NOON, treated[0])
    tag(made, NOON, treated[1])

    assert [user for user, _ in inside(store)] == [out[0], treated[0]]


def test_the_pace_of_the_current_version_counts_within_a_window_that_has_begun(store):
    made = town(store, paced("3 per 1d"), people="abcdef")
    tag(made, NOON, "a", "b")

    made.apply(paced("1 per 1d"), now=NOON + HOUR)
    tag(made, NOON + HOUR, "c")
    made.apply(paced("4 per 2d"), now=NOON + 2 * HOUR)
    tag(made, NOON + DAY + HOUR, "d", "e", "f")

    assert [user for user, _ in inside(store)] == ["a", "b", "d", "e"]
    assert {user for user, _ in refused_at(store)} == {"c", "f"}


def test_journeys_do_not_share_a_counter_and_one_without_a_pace_has_none(store):
    free = journey_text(STEPS, id="free", entry="{segment: tagged, existing: skip}")
    made = town(store, paced("1 per 1d"), paced("2 per 1d", id="k"), free, people="abc")

    tag(made, NOON, *"abc")

    assert [len(inside(store, journey)) for journey in ("j", "k", "free")] == [1, 2, 3]
    assert [counted(store, journey) for journey in ("j", "k", "free")] == [(NOON, 1), (NOON, 2), None]


def test_restart_ends_nobody_who_could_not_enter_again(store):
    entry = "{segment: tagged, existing: skip, pace: 1 per 1d, reentry: always, mode: restart}"
    restarting = journey_text("- {id: rest, delay: 30d}", entry=entry)
    made = town(store, restarting, people=["a", "b"])
    tag(made, NOON - DAY, "a")
    tag(made, NOON, "b")

    made.tell("a", NOON + HOUR, remove_tags=["vip"])
    made.settle(NOON + HOUR)
    tag(made, NOON + 2 * HOUR, "a")

    assert made.ends("a") == [("j", None)]


def test_an_entry_that_is_not_written_is_not_counted(store):
    made = town(store, paced("2 per 1d"), people=["a", "b", "c"])
    versioned = made.engine.catalogue.current["j"]
    fact = Fact("segment", f"tagged@{NOON}", NOON)
    row = {"key": stable_key("j", "a", "", fact.id), "version_id": 1, "journey": "j", "user_id": "a", "subject": "", "state": "last",
           "status": ENDED, "begun_at": 0, "entered_at": 0, "context": "{}"}  # fmt: skip

    with store.database.batch() as batch:
        work = made.engine.opening.open(made.engine.catalogue, batch, ["a", "b"], NOON, journeys=["j"])
        for user_id in ("a", "b"):
            assert work.sessions[user_id].enter(versioned, fact, NOON) is None
        batch.write(lambda tx: tx.execute(insert(enrolments), [row]))  # between the look and the writing
        made.engine.rounds.write(batch, work, NOON, Worked())

    assert counted(store) == (NOON, 1)
    tag(made, NOON, "c")
    assert [user for user, _ in inside(store) if user != "a"] == ["b", "c"]


def test_entries_of_a_range_that_are_not_written_are_not_counted_and_the_population_goes_on(store):
    made = town(store, paced("2 per 1d"), people=["in_1", "in_2", "in_3", "in_4"])
    populate(made)
    row = {"key": stable_key("j", "in_1", "", f"existing@{NOON}"), "version_id": 1, "journey": "j", "user_id": "in_1", "subject": "",
           "state": "last", "status": ENDED, "begun_at": 0, "entered_at": 0, "context": "{}"}  # fmt: skip
    engine = made.engine

    with store.database.batch() as batch:
        population = store.releases.due_population(batch.connection, NOON)
        turn = engine.populating.turn(engine.catalogue, batch, population, NOON, Worked())
        crowd = engine.populating.look(turn)
        batch.write(lambda tx: tx.execute(insert(enrolments), [row]))
        engine.populating.enter_crowd(turn, crowd)
    assert (counted(store), engine.next_work()) == ((NOON, 1), NOON)

    made.settle(NOON)
    assert [user for user, _ in inside(store) if user != "in_1"] == ["in_2", "in_3"]


def test_a_window_filled_since_we_looked_makes_the_population_wait_where_it_is(store, open_another):
    if store.database.is_sqlite:
        return  # nobody else counts
    made, other = town(store, paced("1 per 1d"), people=["in_1", "a"]), Engine(open_another(), WORLD, ZONE, Rules())
    other.refresh()
    populate(made)
    for rehearsal in (None, USER_BY_USER):
        made.engine.populating.rehearsal = rehearsal
        with store.database.batch() as batch:
            population = store.releases.due_population(batch.connection, NOON)
            turn = made.engine.populating.turn(made.engine.catalogue, batch, population, NOON, Worked())
            assert not turn.count()
            other.store.database.write(lambda tx: other.store.paces.save(tx, {"j": (NOON, 1)}))
            if rehearsal is None:
                crowd = made.engine.populating.look(turn)
                assert (crowd.entering, crowd.is_last) == (None, False)
            else:
                opening = made.engine.opening
                work = opening.open(made.engine.catalogue, batch, ["in_1"], NOON, journeys=["j"], windows=turn.windows)
                assert made.engine.populating.must_wait(turn, work.sessions["in_1"])
                assert work.sessions["in_1"].tallies == {}
            assert turn.progress.cursor == ""
        store.database.write(lambda tx: tx.execute(delete(paces)))


def test_daemons_together_never_let_in_more_than_the_pace(store, open_another):
    ids = [f"u{n:02}" for n in range(60)]
    made = town(store, paced("7 per 1d"), paced("5 per 1d", id="k"), people=[*ids, *(f"in_{n}" for n in range(20))])
    for journey in ("j", "k"):
        populate(made, journey=journey)
    engines = [made.engine, *([] if store.database.is_sqlite else [Engine(open_another(), WORLD, ZONE, Rules()) for _ in range(2)])]
    failed, together = [], Barrier(len(engines))

    def work(engine, now):
        try:
            together.wait()
            while engine.tick(now, limit=4).total:
                pass
        except Exception as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    for day in range(3):
        for user_id in ids[20 * day : 20 * day + 20]:
            made.tell(user_id, NOON + day * DAY, tags=["vip"])
        for engine in engines:
            engine.refresh()
        threads = [Thread(target=work, args=(engine, NOON + day * DAY)) for engine in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failed == []
    for journey, most in (("j", 7), ("k", 5)):
        times = [at for _, at in inside(store, journey)]
        assert [times.count(NOON + day * DAY) for day in range(3)] == [most] * 3


ARRIVALS = st.lists(st.integers(0, 60), min_size=1, max_size=25)  # hours after NOON


@settings(phases=[Phase.generate], max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ARRIVALS, st.integers(0, 8), st.integers(0, 30), st.integers(1, 4), st.integers(1, 20), st.booleans())
def test_no_window_lets_in_more_and_none_fewer_than_it_could(store, hours, crowd, begins, most, length, by_ranges):
    with store.database.engine.begin() as tx:
        for table in (users, enrolments, log, tallies, populations, paces, refusals):
            tx.execute(delete(table))
    people = [f"u{n}" for n in range(len(hours))]
    made = town(store, paced(f"{most} per {length}h"), people=[*people, *(f"in_{n}" for n in range(crowd))])
    made.engine.populating.rehearsal = None if by_ranges else USER_BY_USER
    begins, length = NOON + begins * HOUR, length * HOUR
    populate(made, begins)
    arriving = sorted((NOON + hour * HOUR, user) for hour, user in zip(hours, people, strict=True))
    while arriving or made.engine.next_work() is not None:
        now = min(at for at in (made.engine.next_work(), arriving[0][0] if arriving else None) if at is not None)
        while arriving and arriving[0][0] == now:
            made.tell(arriving.pop(0)[1], now, tags=["vip"])
        made.think(now)

    entered, windows = inside(store), []
    for _, at in entered:
        if not windows or at >= windows[-1][0] + length:
            windows.append([at, 0])
        windows[-1][1] += 1
    full = {begun for begun, n in windows if n == most}
    assert all(n <= most for _, n in windows)
    for _, at in refused_at(store):
        assert any(begun <= at < begun + length for begun in full), "refused although there was room"
    waited = [at for user, at in entered if user.startswith("in_") and at > begins]
    assert len([user for user, _ in entered if user.startswith("in_")]) == crowd, "the population comes to its end"
    for at in waited:
        assert at - length in full, "the population has waited longer than for the next window"


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 3), st.integers(1, 9))
def test_on_a_virtual_clock_no_window_lets_in_more_in_whatever_order_users_come(times, most, length):
    store = open_store("sqlite:///:memory:", ZONE, scratch=True)
    windows, entered, refused = Windows(store, {"j": (most, length)}, {}, virtual=True), [], []
    with store.database.reading() as tx:
        for at in times:
            window = windows.counting(tx, "j", at)
            (entered if window.taken < most else refused).append(at)
            window.taken += window.taken < most
        found = [windows.known(tx, "j", at) for at in times]
    store.close()

    spans = {(w.begun_at, w.until): w.taken for w in found}
    ordered = sorted(spans)
    assert all(until - begun == length for begun, until in ordered)
    assert all(first[1] <= then[0] for first, then in pairwise(ordered)), "no instant is in two windows"
    assert all(taken <= most for taken in spans.values())
    assert sum(spans.values()) == len(entered)
    for at in refused:
        assert any(begun - length < at < until and taken == most for (begun, until), taken in spans.items()), (
            "refused although there was room"
        )
    for begun, until in ordered:
        assert sum(begun <= at < until for at in entered) <= most


@pytest.mark.parametrize("step", [1, 5, 7])
def test_on_a_virtual_clock_everybody_is_counted_at_her_own_time_whatever_its_steps(step):
    store = open_store("sqlite:///:memory:", ZONE, scratch=True)
    made = town(store, paced("2 per 3h"), people=["in_1", "in_2", "in_3", "in_4", "in_5", *"abcd"])
    made.engine = Engine(store, WORLD, ZONE, Rules(), virtual=True)
    made.engine.refresh()
    populate(made, NOON + HOUR)
    tags = [(10, "a"), (11, "b"), (12, "c"), (22, "d")]

    for hour in range(0, 30, step):
        for tagged, user_id in tags:
            if hour <= tagged < hour + step:
                made.tell(user_id, NOON + tagged * HOUR, tags=["vip"])
        made.think(NOON + (hour + step - 1) * HOUR)

    assert [(user, (at - NOON) // HOUR) for user, at in inside(store)] == [
        ("in_1", 1), ("in_2", 1), ("in_3", 4), ("in_4", 4), ("in_5", 7), ("a", 10), ("b", 11), ("d", 22),
    ]  # fmt: skip
    assert refused_at(store) == {("c", NOON + 12 * HOUR)}
    store.close()


def test_locks_that_were_undone_with_a_savepoint_are_taken_again(store):
    windows = Windows(store, {"j": (1, DAY)}, {}, virtual=False)
    with store.database.batch() as batch:
        with batch.connection.begin_nested() as savepoint:
            windows.counting(batch.connection, "j", NOON)
            savepoint.rollback()
        if store.database.is_sqlite:
            batch.connection.rollback()  # what it has read stands until then
        store.database.write(lambda tx: store.paces.save(tx, {"j": (NOON, 1)}))

        windows.forget()

        assert windows.counting(batch.connection, "j", NOON).taken == 1
        if not store.database.is_sqlite:
            with store.database.engine.connect() as another:
                another.execute(text("SET LOCAL lock_timeout = '50ms'"))
                with pytest.raises(OperationalError, match="lock timeout"):
                    store.paces.locked(another, ["j"])


@pytest.mark.parametrize("ahead", [200, 5000], ids=["less than a window", "more than a window"])
def test_another_daemon_whose_clock_is_ahead_does_not_open_a_second_window(store, ahead):
    windows = Windows(store, {"j": (1, 1000)}, {}, virtual=False)
    store.database.write(lambda tx: store.paces.save(tx, {"j": (NOON + ahead, 1)}))

    with store.database.batch() as batch:
        window = windows.counting(batch.connection, "j", NOON)

    assert (window.begun_at, window.until, window.taken) == (NOON + ahead, NOON + ahead + 1000, 1)
