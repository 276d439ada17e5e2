"""`plan`: what an apply would do to those inside is what it then does."""

from io import StringIO

import pytest
from rich.console import Console

from runtime.applying import Applied, Asked, Declined, Unchanged, apply, check_project, check_release, in_flight_of, token_of
from runtime.moving import InFlight
from runtime.planning import TooShort, plan_of
from runtime.show_plan import show_plan
from runtime.store.movements import Pause
from runtime.texts import word
from tests.planned import ENTRY, OLD, SEND, SPENT, at, do, enter, of, plan, spends
from tests.shop import CONFIG, HELLO, Shop, write_journeys
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, ZONE, journey_text


@pytest.fixture
def shop(tmp_path, database_url):
    opened = Shop(tmp_path / "shop", OLD, HELLO, url=database_url)
    yield opened
    opened.close()


def test_the_files_that_run_already_are_no_change(shop):
    found = plan(shop, OLD, HELLO)

    assert (found.is_same, found.journeys, found.audience) == (True, [], [])


def test_new_changed_and_gone_journeys_are_told_apart(shop):
    found = plan(shop, OLD.replace("3d", "2d"), journey_text(SEND, id="fresh"))

    assert {j.journey: j.what for j in found.journeys} == {"j": "changed", "hello": "gone", "fresh": "new"}
    assert [(c.step, c.key, c.before, c.after) for c in of(found).changes] == [("pause", "delay", "3d", "2d")]


def test_nobody_moves_unless_it_is_asked_for_but_what_a_move_would_do_is_said(shop):
    enter(shop, "u1", "u2")

    found = at(plan(shop, OLD.replace("3d", "12h"), HELLO), "pause")

    assert (found.way, found.n, found.version, found.fates, found.about) == ("keep", 2, 1, {"overdue": 2}, False)


@pytest.mark.parametrize(
    ("edit", "fates"),
    [
        (("delay: 3d", "delay: 2d"), {"moves": 2}),
        (("delay: 3d", "delay: 1h"), {"overdue": 2}),
        (("id: pause", "id: rest"), {"nowhere": 2}),
        (("id: pause", "id: rest, was: pause"), {"moves": 2}),
        (("delay: 3d", "wait_for: {event: order_paid, timeout: 3d}"), {"overdue": 2}),
        (("delay: 3d", "delay: {until: '18:30', days: [fri]}"), {"moves": 2}),
        (("delay: 3d", "delay: {until: '12:30'}"), {"overdue": 2}),
        (("delay: 3d", "delay: {until: user.booked_at, if_missing: exit}"), {"overdue": 2}),
    ],
)
def test_what_is_foreseen_is_what_happens(shop, edit, fates):
    enter(shop, "u1", "u2")
    move, old = {"j": InFlight("move")}, shop.app.engine.catalogue.current["j"].version_id

    found = plan(shop, OLD.replace(*edit), HELLO, in_flight=move)
    assert at(found, "pause").fates == fates

    assert isinstance(do(shop, in_flight=move, plan=found.token), Applied)
    while not shop.app.engine.underway.is_over:
        shop.app.engine.move_on(NOON + DAY)
    with shop.app.store.database.reading() as tx:
        found_after = shop.app.store.movements.standing(tx, NOON + DAY)
    on_old = sum(s.n for s in found_after if s.version_id == old)
    due = sum(s.due for s in found_after if s.journey == "j" and s.version_id != old)
    assert (on_old, due) == (fates.get("nowhere", 0), fates.get("overdue", 0))


def test_those_on_versions_before_are_shown_as_long_as_they_are_inside(shop):
    enter(shop, "u1")
    plan(shop, OLD.replace("3d", "2d"), HELLO)
    do(shop)
    enter(shop, "u2")

    found = plan(shop, OLD.replace("3d", "2d"), HELLO)

    assert found.is_same
    assert [(s.version, s.step, s.n) for s in of(found).inside] == [(1, "pause", 1)]


def test_a_pause_says_what_its_end_would_let_loose(shop):
    enter(shop, "u1", "u2")
    shop.app.store.database.write(lambda tx: shop.app.store.movements.pause(tx, _pause()))

    early, late = plan(shop, OLD, HELLO, now=NOON + 3 * DAY + HOUR), plan(shop, OLD, HELLO, now=NOON + 4 * DAY)

    assert (of(early).due_in_pause, of(early).late_in_pause) == (2, 0)
    assert (of(late).due_in_pause, of(late).late_in_pause) == (2, 2)


def _pause():
    return Pause("j", NOON, "me", "")


def test_a_plan_of_other_files_or_another_release_applies_nothing(shop):
    token = plan(shop, OLD.replace("3d", "2d"), HELLO).token
    write_journeys(shop.folder, OLD.replace("3d", "1d"), HELLO)

    outcome = do(shop, plan=token)

    assert isinstance(outcome, Declined)
    assert outcome.why == "plan_is_old"


def test_of_two_who_apply_the_same_plan_one_does_and_the_other_is_told(shop):
    token = plan(shop, OLD.replace("3d", "2d"), HELLO).token

    first, second = do(shop, plan=token), do(shop, plan=token)

    assert isinstance(first, Applied)
    assert isinstance(second, Declined)


def test_somebody_who_applies_in_the_middle_of_another_apply_is_told_by_whom(shop):
    store = shop.app.store
    write_journeys(shop.folder, OLD.replace("3d", "2d"), HELLO)
    checked = check_project(shop.project)
    with store.database.reading() as tx:
        before = store.releases.current(tx)
    write = store.database.write

    def meanwhile(unit):
        store.database.write = write
        apply(store, shop.project, checked, NOON, Asked("wang", "mine"))
        return write(unit)

    store.database.write = meanwhile
    outcome = apply(store, shop.project, checked, NOON, Asked("li", "also mine"))

    assert before is not None
    assert outcome == Declined("overtaken", {"release": before.id + 1, "author": "wang", "message": "mine"})


def test_nothing_is_applied_while_the_moves_of_a_release_are_under_way(shop):
    enter(shop, "u1")
    plan(shop, OLD.replace("3d", "2d"), HELLO)
    do(shop, in_flight={"j": InFlight("move")})
    write_journeys(shop.folder, OLD.replace("3d", "1d"), HELLO)

    outcome = do(shop)

    assert isinstance(outcome, Declined)
    assert (outcome.why, outcome.values["n"]) == ("moves_under_way", 1)


def test_what_those_inside_have_had_and_would_come_to_again_is_named(shop):
    plan(shop, OLD.replace("steps:", f"steps:\n  - {{id: hi, send: {PUSH}}}"), HELLO)
    do(shop)
    enter(shop, "u1")

    found = plan(shop, OLD.replace(SEND, f"{SEND}\n  - {{id: hi, send: {PUSH}}}"), HELLO)

    assert (at(found, "pause").fates, at(found, "pause").again) == ({"moves": 1}, ["hi"])


def test_a_step_that_lost_its_was_in_the_next_version_is_still_where_those_inside_go(shop):
    enter(shop, "u1")
    plan(shop, OLD.replace("id: pause", "id: rest, was: pause"), HELLO)
    do(shop)

    found = plan(shop, OLD.replace("id: pause", "id: rest"), HELLO)

    assert (at(found, "pause").to, at(found, "pause").fates) == ("rest", {"moves": 1})


def test_an_open_grant_that_would_be_another_one_is_foreseen_to_stay(shop):
    gift = OLD.replace("delay: 3d", "grant: {benefit: gift, expires: 7d}")
    plan(shop, gift, HELLO)
    do(shop)
    shop.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    shop.app.engine.tick(NOON)

    found = plan(shop, gift.replace("expires: 7d", "expires: 30d"), HELLO)

    assert at(found, "pause").fates == {"effect_open": 1}


def test_who_stands_before_a_grant_in_a_pause_is_not_foreseen_to_stay_for_its_sake(shop):
    gift = OLD.replace("delay: 3d", "grant: {benefit: gift, expires: 7d}")
    plan(shop, gift, HELLO)
    do(shop)
    shop.post({"id": "o-u1", "type": "app_opened", "user_id": "u1"})
    shop.app.engine.tick(NOON)  # u1 has asked for it
    shop.app.store.database.write(lambda tx: shop.app.store.movements.pause(tx, _pause()))
    shop.post([{"id": f"o-{user}", "type": "app_opened", "user_id": user} for user in ("u2", "u3")])
    shop.app.engine.tick(NOON)

    found = plan(shop, gift.replace("expires: 7d", "expires: 30d"), HELLO, now=NOON + HOUR)
    other = plan(shop, gift.replace("grant: {benefit: gift, expires: 7d}", "delay: 9d"), HELLO, now=NOON + HOUR)

    assert at(found, "pause").fates == {"effect_open": 1, "moves": 2}
    assert at(other, "pause").fates == {"effect_open": 1, "overdue": 2}


def held_out(text, goal="14d"):
    return text.replace("steps:", f"holdout: 100%\ngoal: {{event: order_paid, within: {goal}}}\nsteps:")


@pytest.mark.parametrize(("goal", "now", "fates", "ends"), [
    ("2d", NOON + DAY, {"moves": 1}, []), ("2d", NOON + 2 * DAY, {"overdue": 1}, ["held_out"]), ("9d", NOON + 2 * DAY, {"moves": 1}, []),
])  # fmt: skip
def test_the_held_out_whose_window_a_move_ends_are_foreseen(shop, goal, now, fates, ends):
    plan(shop, held_out(OLD), HELLO)
    do(shop, now=NOON)
    enter(shop, "u1")

    found = plan(shop, held_out(OLD, goal), HELLO, now=now, in_flight={"j": InFlight("move")})
    console = Console(record=True, width=200, file=StringIO())
    show_plan(console, found, "apply", "en", ZONE)
    do(shop, now=now, in_flight={"j": InFlight("move")})
    shop.settle(now)

    assert at(found, "$held_out").fates == fates
    assert ("1 leave the hold-out at once: their window is over" in console.export_text()) == bool(ends)
    assert [e["ended_by"] for e in shop.story().enrolments if e["ended_by"] and e["journey"] == "j"] == ends


@pytest.mark.parametrize(("old", "edit", "fate", "ended"), [
    (OLD, ("delay: 3d", "delay: 3d"), "ends", "ended"),
    (OLD, ("delay: 3d", "delay: 1h"), "overdue", "completed"),
    (OLD, ("delay: 3d", "delay: 23h30m"), "ends", "ended"),
    (OLD, ("delay: 3d", "delay: {until: '21:00'}"), "overdue", "completed"),
    (OLD, ("delay: 3d", "delay: {until: '11:00', days: [wed]}"), "ends", "ended"),
    (OLD, ("delay: 3d", "wait_for: {event: order_paid, timeout: 30d}"), "overdue", "ended"),
    (held_out(OLD), ("14d", "15d"), "ends", "ended"),
])  # fmt: skip
def test_whom_a_new_end_of_the_journey_ends_at_once_is_foreseen(shop, old, edit, fate, ended):
    plan(shop, old, HELLO)
    do(shop, now=NOON)
    enter(shop, "u1")
    over = old.replace(*edit).replace("steps:", 'ends_at: "2026-12-02 11:00"\nsteps:')

    found = plan(shop, over, HELLO, now=NOON + DAY, in_flight={"j": InFlight("move")})
    console = Console(record=True, width=200, file=StringIO())
    show_plan(console, found, "apply", "en", ZONE)
    do(shop, now=NOON + DAY, in_flight={"j": InFlight("move")})
    shop.settle(NOON + DAY)

    assert [s.fates for s in of(found).inside] == [{fate: 1}]
    assert ("1 end at once: its ends_at is past" in console.export_text()) == (fate == "ends")
    assert [e["ended_by"] for e in shop.story().enrolments if e["journey"] == "j"] == [ended]


def test_an_end_that_is_to_come_ends_nobody_yet(shop):
    enter(shop, "u1")

    found = plan(shop, OLD.replace("steps:", 'ends_at: "2026-12-03 12:00"\nsteps:'), HELLO)

    assert at(found, "pause").fates == {"moves": 1}


def test_a_wait_over_a_new_trait_is_foreseen_as_it_will_be(shop):
    waits = OLD.replace("delay: 3d", "wait_for: {event: account_closed, timeout: 9d}")
    plan(shop, waits, HELLO)
    do(shop, now=NOON)
    enter(shop, "u1", "u2")
    spends(shop, "u1")
    new = waits.replace("event: account_closed", "when: user.spent > 10")

    found = plan(shop, new, HELLO, audience=SPENT, in_flight={"j": InFlight("move")})
    do(shop, in_flight={"j": InFlight("move")})
    shop.settle(NOON + DAY)

    assert at(found, "pause").fates == {"moves": 1, "overdue": 1}
    assert [e["ended_by"] for u in ("u1", "u2") for e in shop.story(u).enrolments if e["journey"] == "j"] == ["completed", None]


def test_what_a_version_before_theirs_gave_to_some_and_comes_again_is_named_where_somebody_had_it(shop):
    had = OLD.replace("steps:", f"steps:\n  - {{id: hi, send: {PUSH}}}")
    again = OLD.replace(SEND, f"{SEND}\n  - {{id: hi, send: {PUSH}}}")
    plan(shop, had, HELLO)
    do(shop, now=NOON)
    plan(shop, OLD, HELLO)
    do(shop, now=NOON)
    enter(shop, "u1")
    assert at(plan(shop, again, HELLO), "pause").again == []  # she never had it

    plan(shop, had, HELLO)
    do(shop, now=NOON)
    enter(shop, "u2")
    plan(shop, OLD, HELLO)
    do(shop, now=NOON, in_flight={"j": InFlight("move")})
    shop.settle()

    assert at(plan(shop, again, HELLO), "pause").again == ["hi"]


def test_a_step_that_has_a_former_name_again_without_was_is_told_as_renamed(shop):
    enter(shop, "u1")
    for now, name in ((NOON + 1, "rest, was: pause"), (NOON + 2, "pause")):
        plan(shop, OLD.replace("id: pause", f"id: {name}"), HELLO)
        do(shop, now=now)

    found = plan(shop, OLD.replace("id: pause", "id: rest"), HELLO)

    assert [(s.step, s.to, s.fates) for s in of(found).inside] == [("pause", "rest", {"moves": 1})]
    assert [(c.kind, c.step, c.before) for c in of(found).changes] == [("step_renamed", "rest", "pause")]


def test_where_a_release_of_before_would_take_people_is_said_by_the_origins_that_it_had(shop):
    enter(shop, "u0")
    for now, edit in ((NOON + 1, "id: rest, was: pause"), (NOON + 2, "id: x, was: rest")):
        added = SEND.replace("id: gift", "id: pause") if "x" in edit else ""
        plan(shop, OLD.replace("id: pause", edit) + added.replace("- ", "  - ", 1), HELLO)
        do(shop, now=now, in_flight={"j": InFlight("move")})
        shop.settle(now)

    found = plan(shop, OLD, HELLO, in_flight={"j": InFlight("move")})

    assert [(s.step, s.to) for s in of(found).inside] == [("x", "pause")]
    assert ("step_renamed", "pause", "x") in [(c.kind, c.step, c.before) for c in of(found).changes]


def test_moving_people_to_what_runs_already_is_a_release_of_its_own(shop):
    enter(shop, "u1")
    plan(shop, OLD.replace("3d", "2d"), HELLO)
    do(shop)
    assert isinstance(do(shop), Unchanged)

    assert isinstance(do(shop, in_flight={"j": InFlight("move")}), Applied)


def test_going_back_to_a_release_runs_its_versions_again_while_users_have_moved_on(shop):
    enter(shop, "u1")
    renamed = OLD.replace("id: pause", "id: rest, was: pause")
    plan(shop, renamed, HELLO)
    do(shop, in_flight={"j": InFlight("move")})
    shop.app.engine.move_on(NOON + DAY)
    with shop.app.store.database.reading() as tx:
        first = shop.app.store.releases.release(tx, 1)
    back = check_release(shop.project, first)

    found = plan_of(shop.app, back, {"j": InFlight("move")}, NOON + DAY)

    assert (at(found, "rest").to, at(found, "rest").fates) == ("pause", {"moves": 1})
    outcome = apply(
        shop.app.store,
        shop.project,
        back,
        NOON + DAY,
        Asked("me", "back", {"j": InFlight("move")}, token_of(found.base, back, {"j": InFlight("move")})),
    )
    assert isinstance(outcome, Applied)
    assert {v.journey: v.number for v in outcome.release.versions} == {"j": 1, "hello": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("j", "expected JOURNEY=keep|move|exit or JOURNEY.STEP=keep|move|exit, found j"),
        ("j=stay", "expected JOURNEY=keep|move|exit or JOURNEY.STEP=keep|move|exit, found j=stay"),
        ("jj=move", "there is no journey jj, did you mean j?"),
        ("j.paus=exit", "nobody in j stands at a step paus, did you mean pause?"),
    ],
)
def test_a_decision_that_names_what_is_not_there_says_what_was_meant(text, problem):
    found = in_flight_of([text], {"j"}, {"j": {"pause"}})

    assert isinstance(found, Declined)
    assert word(found.why, "en", **found.values) == f"--in-flight: {problem}"


def test_decisions_for_a_journey_and_its_steps_go_together():
    assert in_flight_of(["j=move", "j.pause=exit"], {"j"}, {"j": {"pause"}}) == {"j": InFlight("move", {"pause": "exit"})}


def test_the_plan_as_data_has_everything(shop):
    enter(shop, "u1")

    found = plan(shop, OLD.replace("3d", "2d"), HELLO).as_json()

    assert set(found) == {"plan", "base", "changes", "failing_tests", "journeys", "audience", "meanings", "too_short"}
    assert found["journeys"][0]["inside"][0]["fates"] == {"moves": 1}


# --- what has gone and is asked for now


KEEPING = CONFIG.replace("[intake.sources.shop]", '[intake]\nkeep_events = "30d"\n[intake.sources.shop]')
COUNTS = journey_text("- {id: c, if: \"count('app_opened', within='40d') > 3\", exit: often}", entry=ENTRY)
HEAD = "traits:\n"


@pytest.mark.parametrize(
    ("journey", "added", "found"),
    [
        (OLD, "  opens: {type: number, count: app_opened}\n", [TooShort("app_opened", None, 30 * DAY)]),
        (OLD, "  opens: {type: number, count: app_opened, within: 31d}\n", [TooShort("app_opened", 31 * DAY, 30 * DAY)]),
        (OLD, "  opens: {type: number, value: \"count('app_opened', within='31d') + 0\"}\n", [TooShort("app_opened", 31 * DAY, 30 * DAY)]),
        (COUNTS, "", [TooShort("app_opened", 40 * DAY, 30 * DAY)]),
        (OLD, "  opens: {type: number, count: app_opened, within: 30d}\n", []),
        (OLD, "  paid: {type: number, sum: order_paid, of: amount}\n", []),  # all orders are kept: they are counted for ever
        (OLD, "  ends: {type: number, count: group_ended, within: 60d}\n", []),  # as long as before
        (OLD, "  ends: {type: number, count: group_ended, within: 63d}\n", [TooShort("group_ended", 63 * DAY, 62 * DAY)]),
    ],
)
def test_what_is_asked_of_events_that_may_have_gone_is_said(tmp_path, database_url, journey, added, found):
    kept = AUDIENCE.replace(HEAD, f"{HEAD}  ended: {{type: number, count: group_ended, within: 60d}}\n")
    shop = Shop(tmp_path / "shop", OLD, url=database_url, audience=kept, config=KEEPING)

    later = plan(shop, journey, now=NOON + 90 * DAY, audience=kept.replace(HEAD, HEAD + added))
    sooner = plan(shop, journey, now=NOON + 20 * DAY, audience=kept.replace(HEAD, HEAD + added))

    assert (later.too_short, sooner.too_short) == (found, [])
    shop.close()


def test_where_all_events_are_kept_nothing_has_gone(shop):
    found = plan(shop, OLD, now=NOON + 900 * DAY, audience=AUDIENCE.replace(HEAD, HEAD + "  opens: {type: number, count: app_opened}\n"))

    assert found.too_short == []


def test_events_that_may_have_gone_are_a_line_of_the_plan(tmp_path):
    shop = Shop(tmp_path / "shop", OLD, config=KEEPING)
    found = plan(shop, OLD, now=NOON + 90 * DAY, audience=AUDIENCE.replace(HEAD, HEAD + "  opens: {type: number, count: app_opened}\n"))
    console = Console(record=True, width=200, file=StringIO())

    show_plan(console, found, "apply", "en", ZONE)

    line = "app_opened: looked back on for ever, but kept for 30d until now ([intake] keep_events): what has gone is not counted"
    assert line in console.export_text()
    shop.close()


# --- how late what follows would be


@pytest.fixture
def three(tmp_path, database_url):
    """Three people in one delay of three days: since two days, 28 hours and 8 hours."""
    opened = Shop(tmp_path / "three", OLD, HELLO, url=database_url)
    opened.welcome("u1", "u2", "u3")
    for user, hours in (("u1", 0), ("u2", 20), ("u3", 40)):
        opened.settle(NOON + hours * HOUR)
        enter(opened, user)
    opened.settle(NOON + 2 * DAY)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("delay", "limit", "overdue", "too_late", "late_by"),
    [
        ("delay: 1d", "6h", 2, 1, 4 * HOUR),
        ("delay: 1d", "1d", 2, 0, DAY),  # just in time
        ("delay: 1d", "3h", 2, 2, None),
        ("delay: 1d", "", 2, 0, DAY),
        ("delay: {until: '12:30'}", "1d", 2, 1, 23 * HOUR + 30 * MINUTE),  # a moment that depends on each of them
        ("wait_for: {event: order_paid, timeout: 3d}", "30h", 3, 1, 28 * HOUR),  # another kind of step begins as it began
    ],
)
def test_how_late_what_follows_is_foreseen_as_it_then_is(three, delay, limit, overdue, too_late, late_by):
    new = OLD.replace("delay: 3d", delay).replace("max_lateness: 6h", f"max_lateness: {limit}" if limit else "priority: 50")
    move, now = {"j": InFlight("move")}, NOON + 2 * DAY

    found = plan(three, new, HELLO, in_flight=move, now=now)
    pause = at(found, "pause")
    assert (pause.fates["overdue"], pause.too_late, pause.late_by) == (overdue, too_late, late_by)

    assert isinstance(do(three, now, in_flight=move, plan=found.token), Applied)
    three.settle(now)
    log = [entry for user in ("u1", "u2", "u3") for _, _, entry in three.story(user).log if entry.at < now and entry.step == "gift"]
    sent = [now - entry.at for entry in log if entry.action == "sent"]
    if delay.startswith("delay"):
        assert ([entry.action for entry in log].count("late"), max(sent, default=None)) == (too_late, late_by)


@pytest.mark.parametrize(
    ("keys", "en", "zh"),
    [
        (
            "max_lateness: 6h",
            "2 would be over pause at once (1 goes on at once, up to 4h late; 1 later than 6h and skipped), 1 goes on at pause",
            "2 人在 pause 立刻到点（1 人马上继续，最多迟 4h；1 人迟过 6h，跳过这一步）",
        ),
        (
            "max_lateness: 3h\non_late: exit",
            "2 would be over pause at once (0 go on at once; 2 later than 3h, for whom the journey ends), 1 goes on at pause",
            "2 人在 pause 立刻到点（0 人马上继续；2 人迟过 3h，退出旅程）",
        ),
        (
            "priority: 50",
            "2 would be over pause at once (2 go on at once, up to 1d late; no max_lateness)",
            "2 人马上继续，最多迟 1d；没有 max",
        ),
    ],
)
def test_a_plan_says_who_of_those_past_their_step_goes_on_and_who_is_too_late(three, keys, en, zh):
    new = OLD.replace("delay: 3d", "delay: 1d").replace("max_lateness: 6h", keys)
    found = plan(three, new, HELLO, now=NOON + 2 * DAY)
    said = {}
    for language in ("en", "zh"):
        console = Console(record=True, width=300, file=StringIO())
        show_plan(console, found, "apply", language, ZONE)
        said[language] = console.export_text()

    assert en in said["en"]
    assert zh in said["zh"]
