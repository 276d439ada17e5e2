"""Populations by ranges: they enter whom the sessions would, refuse whom these would, and say the same of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from time import sleep

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update

from runtime.batches import Progress
from runtime.crowds import CROWD
from runtime.engine import Engine
from runtime.policy import Rules
from runtime.rounds import Worked
from runtime.session import Rehearsal
from runtime.state import ENDED, HELD_OUT, LIVE, User, stable_key
from runtime.store import open_store
from runtime.store.codec import compact
from runtime.store.database import take_turns
from runtime.store.populations import CannotSay
from runtime.store.releases import Population
from runtime.store.tables import enrolments, log, paces, populations, quarantine, refusals, tallies, users
from tests.postgres import wait_for_a_lock
from tests.town import DAY, NOON, WORLD, ZONE, Town, journey_text, somebody

USER_BY_USER = Rehearsal(forced="")  # a rehearsal that forces nothing: every population goes through the sessions


STEPS = """
- {id: greet, if: user.city == '上海', update: {add_tags: [greeted]}}
- {id: rest, delay: 1d}
"""
GOAL = "{event: order_paid, within: 14d}"
WHERES = ["", "user.city == '上海'", "not (user.points > 2)", "segment('buyers') or has_tag('vip')", "in_journey('j')",
          "days_since(user.last_order_at) >= 30", "count('order_paid', within='7d') == 0 and user.level != 'gold'"]  # fmt: skip


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(["existing", "existing", "schedule", "at"]))
    entry = {"existing": "segment: dormant, existing: enrol", "schedule": "schedule: 0 12 * * *", "at": 'at: "2026-12-01 12:00"'}[kind]
    where, mode = draw(st.sampled_from(WHERES)), draw(st.sampled_from(["single", "single", "parallel", "restart"]))
    reentry, pace = (
        draw(st.sampled_from(["", "once", "always", "{after: 10d}"])),
        draw(st.sampled_from(["", "2 per 1d", "1 per 12h", "1 per 12h"])),
    )
    more = (
        [f'where: "{where}"'] * bool(where) + [f"mode: {mode}"] + [f"reentry: {reentry}"] * bool(reentry) + [f"pace: {pace}"] * bool(pace)
    )
    keys = {"goal": GOAL} if draw(st.booleans()) else {}
    if keys and draw(st.booleans()):
        keys["holdout"] = "40%"
    if draw(st.integers(0, 5)) == 0:
        keys["ends_at"] = draw(st.sampled_from(['"2026-12-01 12:00"', '"2026-12-02 12:00"', '"2027-01-01 00:00"']))
    if draw(st.integers(0, 9)) == 0:
        keys["status"] = "closed"
    return (
        kind,
        journey_text(STEPS, entry="{" + ", ".join([entry, *more]) + "}", **keys),
        draw(st.integers(0, 2**32)),
        draw(st.sampled_from([0, 3000])),
    )


NAMES = ["u", "u", "a\tb", "a\nb\r", "\\N", "%s", "王小明🙂", "x" * 1000]


def crowd_of(draw: Random) -> list[User]:
    people = []
    for n in range(draw.randrange(9)):
        user = somebody(
            f"{draw.choice(NAMES)}{draw.randrange(10**6)}", tags=["vip"] if draw.random() < 0.3 else [], points=draw.randrange(5)
        )
        user.profile["p"] |= {"city": draw.choice(["上海", "北京"])} if draw.random() < 0.7 else {}
        ordered = NOON - draw.choice([10, 296, 296, 300, 400]) * DAY // 10 - n  # some fall asleep while the pace goes on
        if draw.random() < 0.8:
            user.profile["a"] = {"orders_count": 1, "last_order_at": [ordered, "x", ordered]}
            user.profile["h"] = {"order_paid": [[ordered, "x", {}]]}
        people.append(user)
    return people


def past_of(draw: Random, people: list[User], kind: str) -> list[dict]:
    rows = []
    for user in people:
        for k in range(draw.choice([0, 0, 1, 2])):
            status = draw.choice([LIVE, HELD_OUT]) if k == 0 and draw.random() < 0.4 else ENDED
            is_this = k == 0 and draw.random() < 0.1
            key = stable_key("j", user.id, "", f"{kind}@1") if is_this else stable_key("past", user.id, str(k))
            at, about = NOON - draw.choice([1, 9, 10, 11, 0, 0]) * DAY, "" if is_this else draw.choice(["", "", "", "o1"])
            rows.append({"key": key, "version_id": 1, "journey": draw.choice(["j", "j", "other"]), "user_id": user.id, "subject": about, "slot": "",
                         "state": "rest", "status": status, "begun_at": at, "entered_at": at, "context": "{}"})  # fmt: skip
    return rows


def refused_of(draw: Random, people: list[User]) -> list[dict]:
    """Who has come to the door by herself and was refused, before the journey went live or since."""
    return [
        {"user_id": user.id, "journey": draw.choice(["j", "j", "other"]), "reason": "pace", "times": 1, "why": "{}",
         "last_at": NOON + draw.choice([-1, 0, 1])}
        for user in people if draw.random() < 0.2
    ]  # fmt: skip


def lived(made: Town, people, past, kind: str, rehearsal: Rehearsal | None, rules: Rules, size: int = CROWD, came=()) -> dict:
    """What stands in the database after the population and its pace; `size` users are a range."""
    store = made.store
    with store.database.engine.begin() as tx:
        for table in (users, enrolments, log, tallies, populations, paces, refusals, quarantine):
            tx.execute(delete(table))
        if past:
            tx.execute(insert(enrolments), past)
        if came:
            tx.execute(insert(refusals), came)
    made.settle_people(*(User(u.id, u.zone, dict(u.profile)) for u in people))
    store.database.write(lambda tx: store.releases.add_population(tx, "j", f"{kind}@1", kind, NOON))
    engine = Engine(store, WORLD, ZONE, rules, rehearsal)
    engine.populating.crowds = replace(engine.populating.crowds, size=size)
    engine.refresh()
    for now in (NOON, NOON + 1, NOON + DAY // 2, NOON + DAY - 1):
        while engine.tick(now).total:
            pass
    with store.database.reading() as tx:
        columns = [c for c in enrolments.c if c.name not in ("id", "context")]
        entries = (
            select(log.c.user_id, enrolments.c.key, log.c.entries)
            .join(enrolments, enrolments.c.id == log.c.enrolment_id)
            .order_by(log.c.id)
        )
        told: dict = {}
        for user_id, key, found in tx.execute(entries):
            told.setdefault((user_id, key), []).extend(store.people._codec.decode("log.entries", user_id, found))
        return {
            "enrolments": sorted(map(tuple, tx.execute(select(*columns)).all()), key=str),
            "told": told,
            "tallies": {tuple(r) for r in tx.execute(select(tallies))},
            "population": [tuple(r)[1:] for r in tx.execute(select(populations))],
            "pace": [tuple(r) for r in tx.execute(select(paces))],
            "tags": {u: store.people._codec.decode("users.profile", u, p).get("t") for u, p in tx.execute(select(users.c.user_id, users.c.profile))},
            "quarantined": tx.execute(select(func.count()).select_from(quarantine)).scalar_one(),
        }  # fmt: skip


@settings(phases=[Phase.generate], report_multiple_bugs=False, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_a_population_by_ranges_ends_as_one_by_the_sessions(store, case):
    kind, journey, seed, holdout = case
    made, draw = Town(store, journey, applied_at=NOON - DAY), Random(seed)
    people, rules = crowd_of(draw), Rules(holdout=holdout)
    past, came = past_of(draw, people, kind), refused_of(draw, people)

    at_once = lived(made, people, past, kind, None, rules, came=came)
    one_by_one = lived(made, people, past, kind, USER_BY_USER, rules, came=came)

    assert at_once["quarantined"] == 0
    assert at_once == one_by_one, journey


@settings(phases=[Phase.generate], report_multiple_bugs=False, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), size=st.integers(1, 4))
def test_ranges_that_are_looked_at_while_others_are_written_end_as_the_sessions(store, case, size):
    kind, journey, seed, holdout = case
    made, draw = Town(store, journey, applied_at=NOON - DAY), Random(seed)
    people, rules = crowd_of(draw), Rules(holdout=holdout)
    past, came = past_of(draw, people, kind), refused_of(draw, people)

    at_once = lived(made, people, past, kind, None, rules, size, came=came)

    assert at_once == lived(made, people, past, kind, USER_BY_USER, rules, came=came), journey


def test_a_later_range_that_cannot_be_asked_leaves_those_before_it_entered_once(store):
    made = in_ranges_of_two(store, 9, ", where: user.city == '上海'")
    store.database.write(lambda tx: tx.execute(update(users).where(users.c.user_id == "u5").values(profile="{broken")))

    made.think(NOON)

    assert [made.ends(f"u{n}") for n in range(9)] == [[("j", None)] if n != 5 else [] for n in range(9)]
    assert [q["user_id"] for q in made.quarantined()] == ["u5"]


def test_a_range_that_cannot_be_written_leaves_those_before_it_entered_and_is_looked_at_anew(store, monkeypatch):
    made = in_ranges_of_two(store, 9)
    write, calls = store.entering.write, []

    def fails_once(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError("the disk")
        return write(*arguments, **options)

    monkeypatch.setattr(store.entering, "write", fails_once)

    with pytest.raises(OSError, match="the disk"):
        made.engine.tick(NOON)
    inside = [made.ends(f"u{n}") for n in range(9)]
    made.think(NOON)

    assert inside == [[("j", None)]] * 4 + [[]] * 5
    assert [made.ends(f"u{n}") for n in range(9)] == [[("j", None)]] * 9


def in_ranges_of_two(store, people: int, where: str = "") -> Town:
    made = Town(store, journey_text(STEPS, entry=f"{{schedule: 0 12 * * *{where}}}"))
    made.engine.populating.crowds = replace(made.engine.populating.crowds, size=2)
    made.settle_people(*(somebody(f"u{n}", city="上海") for n in range(people)))
    return made


class Meanwhile:
    """Looks at a range, and does something before it is written."""

    def __init__(self, made: Town, does) -> None:
        self.crowds, self.does = made.engine.populating.crowds, does

    def look(self, *arguments):
        crowd = self.crowds.look(*arguments)
        self.does()
        return crowd


def test_a_release_that_closes_the_journey_stops_the_ranges_at_once(store):
    made = in_ranges_of_two(store, 9)
    applying = []

    def apply():
        if applying:
            return
        applying.append(pool.submit(made.apply, journey_text(STEPS, entry="{schedule: 0 12 * * *}", status="closed"), now=NOON))
        if store.database.is_sqlite:
            applying[0].result()
        else:
            wait_for_a_lock(store.database.engine)  # until the range at hand is written

    made.engine.populating.fire_schedules(made.engine.catalogue, NOON)
    with ThreadPoolExecutor(1) as pool:
        made.engine.populating.crowds = Meanwhile(made, apply)
        made.engine.populating.go_on(made.engine.catalogue, NOON, 500, Worked())
        applying[0].result()
    made.think(NOON)

    with store.database.reading() as tx:
        found = store.reports.tallies(tx)
    assert (found["j", "entered", "treated"], found["j", "refused", "closed"]) == (2, 7)


class Between:
    """Looks at ranges, and does something once the first is written and the second was looked at."""

    def __init__(self, made: Town, does) -> None:
        self.crowds, self.store, self.does, self.looks = made.engine.populating.crowds, made.store, does, 0

    def look(self, *arguments):
        crowd = self.crowds.look(*arguments)
        self.looks += 1
        if self.looks == 2:
            with self.store.database.engine.connect() as tx:
                for _ in range(2000):
                    if tx.execute(select(populations.c.cursor)).scalar_one():
                        break
                    tx.rollback()
                    sleep(0.005)
            self.does()
        return crowd


def test_a_population_that_another_daemon_has_just_taken_is_left_to_it(new_postgres):
    ours, theirs = (open_store(new_postgres, ZONE, "daemon") for _ in range(2))
    made = in_ranges_of_two(ours, 9)
    other = theirs.database.engine.connect()
    taken = []
    made.engine.populating.crowds = between = Between(made, lambda: taken.append(theirs.releases.due_population(other, NOON)))

    made.engine.tick(NOON)  # waits for nobody
    inside = [made.ends(f"u{n}") for n in range(9)]
    other.rollback()
    made.engine.populating.crowds = between.crowds
    made.think(NOON)

    assert [population.cursor for population in taken] == ["u1"]
    assert inside == [[("j", None)]] * 2 + [[]] * 7
    assert [made.ends(f"u{n}") for n in range(9)] == [[("j", None)]] * 9
    other.close()
    for store in (ours, theirs):
        store.close()


@pytest.mark.parametrize("change", [{"cursor": "u5"}, {"done_at": NOON}])
def test_a_range_beyond_which_another_daemon_has_brought_the_population_is_not_written(new_postgres, change):
    store = open_store(new_postgres, ZONE, "daemon")
    made = in_ranges_of_two(store, 9)
    made.engine.populating.crowds = between = Between(
        made, lambda: store.database.write(lambda tx: tx.execute(update(populations).values(**change)))
    )

    made.engine.tick(NOON)
    inside = [made.ends(f"u{n}") for n in range(9)]
    made.engine.populating.crowds = between.crowds
    made.think(NOON)

    assert inside == [[("j", None)]] * 2 + [[]] * 7
    assert [made.ends(f"u{n}") for n in range(6, 9)] == [[("j", None)] if "cursor" in change else []] * 3
    assert [made.ends(f"u{n}") for n in range(2, 6)] == [[]] * 4
    store.close()


@pytest.mark.parametrize("mode", ["parallel", "restart"])  # of the other daemon's: by ranges and user by user
def test_two_daemons_do_not_let_the_same_people_into_two_populations_at_once(new_postgres, mode):
    ours, theirs = (open_store(new_postgres, ZONE, "daemon") for _ in range(2))
    apart = [
        journey_text(STEPS, id=mine, entry=f"{{schedule: 0 12 * * *, mode: {how}, where: not in_journey('{other}')}}")
        for mine, other, how in (("a", "b", "parallel"), ("b", "a", mode))
    ]
    made, other = Town(ours, *apart), Town(theirs, *apart)
    made.settle_people(*(somebody(f"u{n}") for n in range(3)))
    ours.database.write(lambda tx: ours.releases.add_population(tx, "a", f"schedule@{NOON}", "schedule", NOON))
    theirs.database.write(lambda tx: ours.releases.add_population(tx, "b", f"schedule@{NOON}", "schedule", NOON + 1))
    beside = Worked()
    made.engine.populating.crowds = Meanwhile(made, lambda: other.engine.populating.go_on(other.engine.catalogue, NOON + 1, 500, beside))

    made.engine.populating.go_on(made.engine.catalogue, NOON + 1, 500, Worked())
    other.think(NOON + 1)

    assert (beside.total, [made.ends(f"u{n}") for n in range(3)]) == (0, [[("a", None)]] * 3)
    for store in (ours, theirs):
        store.close()


def test_two_daemons_enter_a_population_once(new_postgres):
    stores = [open_store(new_postgres, ZONE, "daemon") for _ in range(2)]
    first = in_ranges_of_two(stores[0], 60)
    second = Town(stores[1], journey_text(STEPS, entry="{schedule: 0 12 * * *}"))
    second.engine.populating.crowds = replace(first.engine.populating.crowds, store=stores[1])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda made: [made.engine.tick(NOON) for _ in range(60)], [first, second]))

    with stores[0].database.reading() as tx:
        assert tx.execute(select(func.count()).select_from(enrolments)).scalar_one() == 60
        assert stores[0].reports.tallies(tx)["j", "entered", "treated"] == 60
    for store in stores:
        store.close()


def test_somebody_who_is_just_being_worked_on_is_asked_as_she_is_afterwards(new_postgres):
    store = open_store(new_postgres, ZONE, "daemon")
    made = in_ranges_of_two(store, 4, ", where: user.city == '上海'")
    moved = somebody("u2", city="北京")
    with ThreadPoolExecutor(1) as pool, store.database.engine.connect() as working:
        take_turns(working)
        store.people.save_users(working, [replace(moved, audience=made.engine.catalogue.audience_digest)])
        ticking = pool.submit(made.engine.tick, NOON)
        wait_for_a_lock(store.database.engine)
        working.commit()
        ticking.result()
    made.think(NOON)

    assert [made.ends(f"u{n}") for n in range(4)] == [[("j", None)], [("j", None)], [], [("j", None)]]
    store.close()


def test_the_log_of_an_entry_keeps_a_percent_sign_of_its_clause(store):
    made = Town(store, journey_text(STEPS, entry="{schedule: 0 12 * * *, where: \"user.city == '50%s'\"}"))
    made.settle_people(somebody("u1", city="50%s"))

    made.engine.tick(NOON)

    (_, _, entry), *_ = made.story("u1").log
    assert (entry.why["where"], entry.why["where_values"]) == ("user.city == '50%s'", {"user.city": "50%s"})


def test_the_log_of_an_entry_says_which_clauses_held_with_the_values_then(store):
    made = Town(store, journey_text(STEPS, entry="{schedule: 0 12 * * *, where: \"user.city == '上海' and segment('buyers') == false\"}"))
    made.settle_people(somebody("u1", city="上海"))

    made.engine.tick(NOON)

    (_, _, entry), *_ = made.story("u1").log
    assert (entry.at, entry.action) == (NOON, "entered")
    assert entry.why == {
        "fact": "schedule", "fact_id": f"schedule@{NOON}", "where": "user.city == '上海' and segment('buyers') == false",
        "where_values": {"user.city": "上海", "segment('buyers')": False},
    }  # fmt: skip


def test_somebody_whose_row_cannot_be_read_costs_only_herself(store):
    made = Town(store, journey_text(STEPS, entry="{schedule: 0 12 * * *, where: user.city == '上海'}"))
    made.settle_people(*(somebody(f"u{n}", city="上海") for n in range(4)))
    store.database.write(lambda tx: tx.execute(update(users).where(users.c.user_id == "u2").values(profile="{broken")))

    made.think(NOON)

    assert [made.ends(f"u{n}") for n in (0, 1, 2, 3)] == [[("j", None)], [("j", None)], [], [("j", None)]]
    assert [q["user_id"] for q in made.quarantined()] == ["u2"]


def test_what_is_too_deep_for_the_compiler_is_asked_user_by_user_like_what_the_database_refuses(store):
    """And stops no tick: `check` refuses what is so deep (J056), another caller's stack may be deep by itself."""
    with store.database.reading() as tx, pytest.raises(CannotSay, match="too deep"), store.populations.asking(tx):
        raise RecursionError


@pytest.mark.parametrize("mode", ["single", "parallel"])
def test_a_place_that_is_taken_is_left_alone_and_its_log_is_not_written(store, mode):
    made = Town(store, journey_text(STEPS, entry=f"{{schedule: 0 12 * * *, mode: {mode}}}"))
    made.settle_people(*(somebody(f"u{n}") for n in range(3)))
    key = stable_key("j", "u1", "", f"schedule@{NOON}")
    row = {
        "key": key,
        "version_id": 1,
        "journey": "j",
        "user_id": "u1",
        "subject": "",
        "state": "rest",
        "status": ENDED,
        "begun_at": 0,
        "entered_at": 0,
        "context": "{}",
    }

    def collide(tx):
        crowd = made.engine.populating.crowds.look(
            tx, made.engine.catalogue.audience, population, versioned, progress, made.engine.opening.windows(made.engine.catalogue)
        )
        tx.execute(insert(enrolments), [row])  # between the look and the writing
        return crowd.write(store, tx, ZONE)

    population = Population(1, "j", f"schedule@{NOON}", "schedule", NOON, NOON, "")
    progress, versioned = Progress(population, None, NOON), made.engine.catalogue.current["j"]

    assert store.database.write(collide) == 2
    with store.database.reading() as tx:
        assert sorted(tx.execute(text("SELECT user_id FROM log")).scalars()) == ["u0", "u2"]
        assert store.reports.tallies(tx)["j", "entered", "treated"] == 2


def test_those_already_inside_are_those_of_the_moment_of_the_release_however_long_the_pace_takes(store):
    made = Town(store, journey_text(STEPS, entry="{segment: dormant, existing: enrol, pace: 1 per 12h}"))
    people = [somebody("u1"), somebody("u2")]
    for user, days in zip(people, (40, 29.6), strict=True):  # u2 falls asleep before her turn comes
        ordered = NOON - int(days * DAY)
        user.profile["a"] = {"last_order_at": [ordered, "x", ordered]}
    made.settle_people(*people)
    store.database.write(lambda tx: store.releases.add_population(tx, "j", "existing@1", "existing", NOON))

    made.think(NOON)
    made.think(NOON + DAY // 2)

    assert [made.ends(u.id) for u in people] == [[("j", None)], []]


def test_a_former_id_is_nobody_whom_a_schedule_could_let_in(store):
    made = Town(store, journey_text(STEPS, entry="{schedule: 0 12 * * *}"))
    made.settle_people(somebody("u1"), somebody("u2"))
    store.database.write(lambda tx: tx.execute(update(users).where(users.c.user_id == "u2").values(merged_into="u1")))

    made.think(NOON)

    assert (made.ends("u1"), made.ends("u2")) == ([("j", None)], [])


def test_a_profile_made_under_other_definitions_is_made_anew_before_it_is_asked(store):
    made = Town(store, journey_text(STEPS, entry="{schedule: 0 12 * * *, where: user.orders_count == 0}"))
    stale = somebody("u1")
    stale.profile["a"] = {"orders_count": 5}  # of which no event tells
    made.settle_people(stale, somebody("u2"))
    store.database.write(
        lambda tx: tx.execute(update(users).where(users.c.user_id == "u1").values(profile='{"a":{"orders_count":5},"d":"old"}'))
    )

    made.think(NOON)

    assert (made.ends("u1"), made.ends("u2")) == ([("j", None)], [("j", None)])


def test_whom_a_closed_journey_refuses_is_counted_by_profiles_made_anew(store):
    made = Town(store, journey_text(STEPS, entry="{segment: dormant, existing: enrol}", status="closed"))
    people = [somebody("u1"), somebody("u2")]
    for user in people:
        user.profile["a"] = {"last_order_at": [NOON - 40 * DAY, "x", NOON - 40 * DAY]}  # of which no event tells
    made.settle_people(*people)
    stale = {**people[0].profile, "d": "old"}
    store.database.write(lambda tx: tx.execute(update(users).where(users.c.user_id == "u1").values(profile=compact(stale))))
    store.database.write(lambda tx: store.releases.add_population(tx, "j", "existing@1", "existing", NOON))

    made.think(NOON)

    with store.database.reading() as tx:
        assert store.reports.tallies(tx) == {("j", "refused", "closed"): 1}
