"""Moves on a real database: whoever is met is moved first, the rest are looked for, and nobody is stranded."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.message import Accepted, Rejected
from runtime.moving import InFlight
from runtime.state import ENDED
from runtime.store import open_store
from runtime.store.movements import Pause
from tests import town as towns
from tests.town import AUDIENCE, DAY, HOUR, NOON, PUSH, ZONE, FakeVendor, Town, event, journey_text, somebody

ENTRY = "{event: app_opened, reentry: always}"
SEND = f"- {{id: gift, send: {PUSH}}}"
THREE_DAYS = journey_text(f"- {{id: pause, delay: 3d}}\n{SEND}", entry=ENTRY)
ONE_DAY = journey_text(f"- {{id: pause, delay: 1d}}\n{SEND}", entry=ENTRY)
USERS = 7
MOVE = {"j": InFlight("move")}


def town(store, *texts, users=USERS):
    made = Town(store, *texts)
    made.settle_people(*(somebody(f"u{n}") for n in range(users)))
    made.post(*(event("app_opened", NOON, user=f"u{n}", id=f"o{n}") for n in range(users)))
    made.settle(NOON)
    return made


def inside(made):
    """Everybody inside: (user, version, state, due_at)."""
    with made.store.database.reading() as tx:
        found = made.store.people.open_enrolments(tx, [f"u{n}" for n in range(USERS)], NOON)
    return [(e.user_id, e.version, e.state, e.due_at) for mine in found.values() for e in mine if e.status != ENDED]


def test_everybody_is_found_and_moved_a_batch_at_a_time(store):
    made = town(store, THREE_DAYS)
    made.apply(ONE_DAY, now=NOON + HOUR, in_flight=MOVE)

    looked_at = [made.engine.move_on(NOON + HOUR, limit=3) for _ in range(4)]

    assert looked_at == [3, 3, 1, 0]
    assert {(version, state, due) for _, version, state, due in inside(made)} == {(2, "pause", NOON + DAY)}
    assert made.engine.underway.is_over


def test_who_is_met_before_the_search_has_come_to_her_takes_no_step_of_the_old_version(store):
    made = town(store, THREE_DAYS)
    made.apply(THREE_DAYS.replace("{title: T", "{title: U"), now=NOON + 4 * DAY, in_flight=MOVE)

    made.settle(NOON + 4 * DAY)

    assert {m.content["title"] for m in made.vendors["push"].got} == {"U"}


def test_without_a_decision_everybody_stays_on_her_version(store):
    made = town(store, THREE_DAYS)
    made.apply(ONE_DAY, now=NOON + HOUR)

    made.settle(NOON + 2 * DAY)

    assert {(version, due) for _, version, _, due in inside(made)} == {(1, NOON + 3 * DAY)}


def test_exit_ends_everybody_and_cancels_what_is_pending(store):
    made = town(store, journey_text(f"{SEND}\n- {{id: rest, delay: 1d}}", entry=ENTRY))
    made.settle_people(somebody("late"))
    made.post(event("app_opened", NOON + 1, user="late", id="late"))
    made.think(NOON + 1)  # planned, not sent
    made.apply(ONE_DAY, now=NOON + HOUR, in_flight={"j": InFlight("exit")})

    made.settle(NOON + HOUR)

    assert {made.ends(f"u{n}")[0] for n in range(USERS)} == {("j", "moved")}
    assert made.states("late") == [("gift", "SUPPRESSED")]


def test_who_stays_is_not_asked_again_at_her_next_step(store):
    old = journey_text(f"- {{id: pause, delay: 3d}}\n- {{id: more, delay: 1d}}\n{SEND}", entry=ENTRY)
    new = journey_text(f"- {{id: more, delay: 9d}}\n{SEND}", entry=ENTRY)
    made = town(store, old)
    made.apply(new, now=NOON + HOUR, in_flight=MOVE)
    made.settle(NOON + HOUR)

    made.settle(NOON + 3 * DAY)

    assert {(version, state, due) for _, version, state, due in inside(made)} == {(1, "more", NOON + 4 * DAY)}


def test_a_deleted_journey_is_finished_by_those_inside(store):
    made = town(store, THREE_DAYS)
    made.apply(journey_text(SEND, id="other"), now=NOON + HOUR)

    made.settle(NOON + 3 * DAY)

    assert {made.ends(f"u{n}")[0] for n in range(USERS)} == {("j", "completed")}


def test_of_a_deleted_journey_those_inside_can_be_ended(store):
    made = town(store, THREE_DAYS)
    made.apply(journey_text(SEND, id="other"), now=NOON + HOUR, in_flight={"j": InFlight("exit")})

    made.settle(NOON + HOUR)

    assert {made.ends(f"u{n}")[0] for n in range(USERS)} == {("j", "moved")}


@pytest.mark.parametrize("edits", [0, 1, 3])
def test_a_goal_counts_however_many_releases_have_come_since_she_was_through(store, edits):
    buys = journey_text(SEND, entry=ENTRY, goal="{event: order_paid, within: 14d}")
    made = town(store, buys, users=1)
    for n in range(edits):
        made.apply(buys.replace("title: T", f"title: T{n}"), now=NOON + (n + 1) * HOUR)
        made.settle(NOON + (n + 1) * HOUR)

    made.post(event("order_paid", NOON + DAY, user="u0", amount=1))
    made.settle(NOON + DAY)

    assert [e["converted_at"] for e in made.story("u0").enrolments] == [NOON + DAY]


def test_a_goal_counts_though_the_steps_of_its_version_read_what_the_audience_has_no_more(store):
    buys = journey_text(
        f"- {{id: gift, if: user.points is missing, send: {PUSH}}}",
        entry="{event: app_opened, where: user.points is missing}", goal="{event: order_paid, within: 14d}",
    )  # fmt: skip
    made = town(store, buys, users=1)
    fewer = AUDIENCE.replace("  points: {type: number, from: profile}\n", "")

    made.apply(journey_text(SEND, entry=ENTRY), audience_text=fewer, now=NOON + HOUR)
    made.post(event("order_paid", NOON + DAY, user="u0", amount=1))
    made.settle(NOON + DAY)

    assert [(e["ended_by"], e["converted_at"]) for e in made.story("u0").enrolments] == [("completed", NOON + DAY)]
    assert made.quarantined() == []


def test_who_is_found_and_ended_by_the_search_lets_in_whoever_waits_for_that_end(store):
    after = journey_text(SEND, id="after", entry="{event: journey_ended, where: event.journey == 'j', reentry: always}")
    made = town(store, THREE_DAYS, after, users=1)
    made.apply(ONE_DAY, after, now=NOON + HOUR, in_flight={"j": InFlight("exit")})

    made.settle(NOON + HOUR)

    assert made.ends("u0") == [("j", "moved"), ("after", "completed")]


def test_an_event_that_the_new_version_waits_for_and_that_has_come_already_is_not_missed(store):
    made = town(store, THREE_DAYS)
    waits = journey_text(f"- {{id: pause, wait_for: {{event: order_paid, timeout: 9d}}}}\n{SEND}", entry=ENTRY)
    made.post(event("order_paid", NOON + HOUR, user="u0", amount=1))
    made.settle(NOON + HOUR)

    made.apply(waits, now=NOON + DAY, in_flight=MOVE)
    made.settle(NOON + DAY)

    assert made.states("u0") == [("gift", "ACCEPTED")]
    assert made.states("u1") == []


def test_an_event_that_only_the_new_version_of_a_wait_waits_for_is_not_missed_either(store):
    wait = "- {id: heard, wait_for: {event: account_closed, timeout: 9d}}"
    made = town(store, journey_text(f"{wait}\n{SEND}", entry=ENTRY))
    made.post(event("order_paid", NOON + HOUR, user="u0", amount=1))
    made.settle(NOON + HOUR)

    made.apply(journey_text(f"{wait.replace('account_closed', 'order_paid')}\n{SEND}", entry=ENTRY), now=NOON + DAY, in_flight=MOVE)
    made.settle(NOON + DAY)

    assert made.states("u0") == [("gift", "ACCEPTED")]


def test_a_wait_that_is_the_same_in_the_new_version_does_not_hear_again_what_it_passed_over(store):
    wait = "- {id: heard, wait_for: {event: order_paid, where: user.level == 'gold', timeout: 30d}, on_timeout: [{exit: silent}]}"
    made = town(store, journey_text(f"{wait}\n{SEND}", entry=ENTRY), users=1)
    made.post(event("order_paid", NOON + HOUR, user="u0", amount=1))
    made.settle(NOON + HOUR)
    made.tell("u0", NOON + DAY, traits={"level": "gold"})
    made.settle(NOON + DAY)

    made.apply(journey_text(f"{wait}\n{SEND}\n- {{id: more, delay: 1d}}", entry=ENTRY), now=NOON + 2 * DAY, in_flight=MOVE)
    made.settle(NOON + 2 * DAY)

    assert (inside(made)[0][1:3], made.states("u0")) == ((2, "heard"), [])


@pytest.mark.parametrize("key", ["exit_when", "goal"])
def test_a_new_exit_or_goal_does_not_see_what_came_before_the_release(store, key):
    waits = "- {id: heard, wait_for: {event: account_closed, timeout: 30d}}"
    made = town(store, journey_text(f"{waits}\n{SEND}", entry=ENTRY), users=1)
    made.post(event("order_paid", NOON + HOUR, user="u0", amount=1))
    made.settle(NOON + HOUR)
    rules = {"exit_when": "[{event: order_paid, reason: bought}]", "goal": "{event: order_paid, within: 14d}"}
    other = waits.replace("account_closed", "[account_closed, app_opened]")

    made.apply(journey_text(f"{other}\n{SEND}", entry=ENTRY, **{key: rules[key]}), now=NOON + DAY, in_flight=MOVE)
    made.settle(NOON + DAY)

    assert made.ends("u0") == [("j", None)]


def test_a_step_that_was_renamed_gives_once_what_it_gave_under_its_former_name(store):
    gives = journey_text("- {id: gift, grant: {benefit: gift, expires: 7d, once_per: user.id}}", entry=ENTRY)
    made = town(store, gives, users=1)
    made.settle(NOON)
    made.apply(gives.replace("id: gift", "id: present, was: gift"), now=NOON + HOUR)
    made.apply(gives.replace("id: gift", "id: present"), now=NOON + 2 * HOUR)  # `was` has done its work

    made.post(event("app_opened", NOON + DAY, user="u0"))
    made.settle(NOON + DAY)

    assert (made.ends("u0"), len(made.vendors["grant:gift"].got)) == ([("j", "completed")] * 2, 1)


def test_a_split_that_was_renamed_draws_everybody_into_the_variant_that_she_had(store):
    tags = [f"{{name: {v}, weight: 1, steps: [{{id: {v}, update: {{add_tags: [{v}]}}}}]}}" for v in ("x", "y")]
    draws = journey_text(f"- id: ab\n  split: [{', '.join(tags)}]", entry=ENTRY)
    made = town(store, draws)
    made.apply(draws.replace("id: ab", "id: test\n    was: ab"), now=NOON + HOUR)

    made.post(*(event("app_opened", NOON + DAY, user=f"u{n}") for n in range(USERS)))
    made.settle(NOON + DAY)

    variants = [{e.why["variant"] for _, _, e in made.story(f"u{n}").log if e.action == "split"} for n in range(USERS)]
    assert [len(drawn) for drawn in variants] == [1] * USERS
    assert set().union(*variants) == {"x", "y"}


def test_a_message_in_flight_falls_through_by_the_results_of_steps_that_have_other_names_by_now(store):
    which = "- id: which\n  split: [{name: x, weight: 1, steps: []}, {name: y, weight: 0, steps: []}]"
    ways = "[{sms: {template: news}}, {push: {title: T, body: 'V {{ steps.which.variant }}'}}]"
    text = journey_text(f"{which}\n- {{id: gift, send: {ways}}}\n- {{id: rest, delay: 30d}}", entry=ENTRY)
    made = Town(store, text, sms=FakeVendor("query", Rejected("no")))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)  # planned, not sent
    renamed = text.replace("id: which", "id: draw\n    was: which").replace("steps.which", "steps.draw")

    made.apply(renamed, now=NOON + HOUR, in_flight=MOVE)
    made.settle(NOON + HOUR)

    assert [m.content["body"] for m in made.vendors["push"].got] == ["V x"]


@pytest.mark.parametrize("step", [f"- {{id: hi, send: {PUSH}}}", "- {id: hi, grant: {benefit: gift, expires: 7d}}"])
def test_a_step_that_was_taken_out_and_is_put_back_behind_those_who_had_it_gives_nothing_twice(store, step):
    rest = "- {id: rest, delay: 9d}"
    made = town(store, journey_text(f"{step}\n{rest}", entry=ENTRY), users=1)
    for hour, steps in ((1, rest), (2, f"{rest}\n{step}")):
        made.apply(journey_text(steps, entry=ENTRY), now=NOON + hour * HOUR, in_flight=MOVE)
        made.settle(NOON + hour * HOUR)

    made.settle(NOON + 9 * DAY)

    assert (made.states("u0"), made.ends("u0")) == ([("hi", "ACCEPTED")], [("j", "completed")])


def test_the_answer_of_one_endpoint_is_not_taken_for_that_of_another(store, monkeypatch):
    monkeypatch.setattr(towns, "WORLD", replace(towns.WORLD, endpoints={"stock": {"left": "number"}, "shelf": {"left": "number"}}))
    asks = journey_text(f"- {{id: ask, call: {{endpoint: stock, timeout: 1h, default: {{left: 0}}}}}}\n{SEND}", entry=ENTRY)
    shelf = FakeVendor("query", Accepted("r", {"left": 0}))
    made = Town(store, asks, call__stock=FakeVendor("query", Accepted("r", {"left": 5})), call__shelf=shelf)
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)  # asked, not answered yet

    made.apply(asks.replace("endpoint: stock", "endpoint: shelf"), now=NOON + 1, in_flight=MOVE)
    made.settle(NOON + 2)

    assert ({e["version_id"] for e in made.story().enrolments}, shelf.got) == ({1}, [])
    assert made.states() == [("ask", "ACCEPTED"), ("gift", "ACCEPTED")]


def test_a_step_that_takes_a_former_name_sends_beside_what_was_sent_under_it(store):
    made = town(store, journey_text(f"{SEND}\n- {{id: rest, delay: 3d}}", entry=ENTRY), users=1)
    renamed = journey_text(f"{SEND.replace('id: gift', 'id: hello, was: gift')}\n- {{id: rest, delay: 3d}}", entry=ENTRY)
    made.apply(renamed, now=NOON + HOUR, in_flight=MOVE)
    made.settle(NOON + HOUR)

    made.apply(f"{renamed.replace('was: gift, ', '')}  {SEND}", now=NOON + 2 * HOUR, in_flight=MOVE)
    made.settle(NOON + 3 * DAY)

    assert made.states("u0") == [("gift", "ACCEPTED"), ("gift", "ACCEPTED")]  # the second one is another step


def test_of_two_daemons_that_search_the_one_that_is_behind_takes_nothing_back(store):
    made = town(store, THREE_DAYS)
    made.apply(ONE_DAY, now=NOON + HOUR, in_flight=MOVE)
    with store.database.reading() as tx:
        behind = store.movements.of_release(tx, 2)[0]
    made.settle(NOON + HOUR)

    store.database.write(lambda tx: store.movements.save(tx, behind, 3, None))

    with store.database.reading() as tx:
        assert store.movements.of_release(tx, 2)[0].done_at == NOON + HOUR


def test_the_goal_counts_for_as_long_as_the_new_version_says(store):
    goal = "{event: order_paid, within: 14d}"
    made = town(store, journey_text(f"- {{id: pause, delay: 3d}}\n{SEND}", entry=ENTRY, goal=goal))
    made.apply(
        journey_text(f"- {{id: pause, delay: 3d}}\n{SEND}", entry=ENTRY, goal=goal.replace("14", "20")), now=NOON + 1, in_flight=MOVE
    )
    made.settle(NOON + 1)

    assert {e["goal_until"] for n in range(USERS) for e in made.story(f"u{n}").enrolments} == {NOON + 20 * DAY}


def test_whom_another_daemon_works_on_is_looked_for_again(new_postgres):
    store, other = (open_store(new_postgres, ZONE, "daemon") for _ in range(2))
    made = town(store, THREE_DAYS)
    made.apply(ONE_DAY, now=NOON + HOUR, in_flight=MOVE)
    with other.database.batch() as batch:
        held = other.people.load_users(batch.connection, ["u3"], lock=True)
        made.engine.move_on(NOON + HOUR)
        assert {user for user, version, _, _ in inside(made) if version == 1} == set(held)
        assert not made.engine.underway.is_over

    while not made.engine.underway.is_over:
        made.engine.move_on(NOON + HOUR)
    assert {version for _, version, _, _ in inside(made)} == {2}
    store.close()
    other.close()


def test_a_process_that_dies_in_the_middle_of_the_search_leaves_the_rest_to_the_next(store):
    made = town(store, THREE_DAYS)
    made.apply(ONE_DAY, now=NOON + HOUR, in_flight=MOVE)
    made.engine.move_on(NOON + HOUR, limit=3)

    made.engine.catalogue.release_id = -1  # another process reads everything anew
    made.engine.refresh()
    made.settle(NOON + HOUR)

    assert {version for _, version, _, _ in inside(made)} == {2}


# --- whatever is edited, planned and moved, nobody is stranded

_KINDS = st.sampled_from([
    "delay: 1d", "delay: 3h", 'delay: {until: "18:30"}', "delay: {until: user.booked_at, if_missing: exit}",
    "wait_for: {event: order_paid, timeout: 2d}", "wait_for: {when: has_tag('vip'), timeout: 1d}", f"send: {PUSH}",
    "grant: {benefit: gift, expires: 7d}", "update: {add_tags: [seen]}", "exit: enough",
])  # fmt: skip
_IDS = ("a", "b", "c", "d")


@st.composite
def versions(draw):
    """A journey of some of four steps, in any order, some of them renamed."""
    ids = draw(st.lists(st.sampled_from(_IDS), min_size=1, max_size=4, unique=True))
    lines = []
    for identifier in ids:
        kind = draw(_KINDS)
        gone = [i for i in _IDS if i not in ids]
        was = f"was: {draw(st.sampled_from(gone))}, " if gone and draw(st.booleans()) else ""
        lines.append(f"- {{id: {identifier}, {was}{kind}}}")
        if kind.startswith("exit"):
            break
    return journey_text("\n".join(lines), entry=ENTRY, max_lateness="6h")


_WAYS = st.sampled_from(["keep", "move", "exit"])
_ACTS = st.one_of(
    st.tuples(st.just("apply"), versions(), st.none() | st.builds(InFlight, _WAYS, st.dictionaries(st.sampled_from(_IDS), _WAYS))),
    st.tuples(st.just("pass"), st.sampled_from([HOUR, 7 * HOUR, DAY, 3 * DAY])),
    st.tuples(st.just("enter"), st.integers(0, USERS - 1)),
    st.tuples(st.just("order"), st.integers(0, USERS - 1)),
    st.tuples(st.just("pause")),
    st.tuples(st.just("resume")),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(_ACTS, min_size=3, max_size=14))
def test_after_any_edits_plans_and_moves_everybody_inside_has_a_timer_or_an_open_effect_or_an_end(acts):
    store = open_store("sqlite:///:memory:", ZONE, scratch=True)
    made = Town(store, THREE_DAYS)
    made.settle_people(*(somebody(f"u{n}") for n in range(USERS)))
    now, paused = NOON, False
    for number, act in enumerate(acts):
        now += 1
        if act[0] == "apply":
            made.settle(now)
            made.apply(act[1], now=now, in_flight={"j": act[2]} if act[2] else None)
        elif act[0] == "pass":
            now += act[1]
        elif act[0] in ("enter", "order"):
            made.post(event("app_opened" if act[0] == "enter" else "order_paid", now, user=f"u{act[1]}", id=f"e{number}", amount=1))
        elif act[0] == "pause":
            store.database.write(lambda tx, now=now: store.movements.pause(tx, Pause("j", now, "t", "")))
            paused = True
        else:
            store.database.write(lambda tx, now=now: store.movements.resume(tx, "j", now, "t"))
            paused = False
        made.settle(now)

        with store.database.reading() as tx:
            known = {v.id: made.engine.version_of(v.id) for v in store.releases.versions_of(tx, "j")}
        for user_id, version, state, due_at in inside(made):
            assert known[version] is not None
            assert state in known[version].journey.steps, (user_id, state)
            assert due_at is not None
            assert due_at > now or paused
        assert made.quarantined() == []
    store.close()
