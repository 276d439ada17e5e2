"""What `simulate` and `tests:` foresee is what the daemon does with the same files and events."""

import json

import pytest

from runtime.applying import check_project
from runtime.past import EVERYBODY, FilePast
from runtime.policy import Rules
from runtime.rehearse import NOT_OVER, rehearse
from runtime.settings import load_project
from runtime.simulate import Replay, simulate
from tests.shop import CONFIG, HELLO, Shop, make_folder, write_journeys
from tests.town import DAY, HOUR, NOON, PUSH, WORLD, Town, at, audience, event, journey, journey_text, somebody

SEND = "send: [{push: {title: T, body: B}}]"
CAPPED = CONFIG + '[policy]\ncaps = [{channel = "push", purpose = "marketing", max = 1, per = "7d"}]\n'


def told(time, type_="app_opened", user="u0"):
    return {"id": f"{user}-{type_}-{time}", "type": type_, "user_id": user, "time": time, "data": {}}


def simulated(folder, events, until=None):
    (folder / "e.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    project = load_project(folder)
    return simulate(project, check_project(project), Replay(FilePast(folder / "e.jsonl", project.zone, print), EVERYBODY, None, until))


def rehearsed(story, steps, **keys):
    made = journey(steps, tests=f"[{{name: story, {story}}}]", **keys)
    (result,) = rehearse(made, audience(), WORLD, Rules())
    return result


# --- simulate


@pytest.mark.parametrize(("cron", "delay", "days"), [("0 10 * * *", "3h", 5), ("0 10 * * 5", "6d12h", 28)])
def test_who_has_left_before_a_schedule_fires_again_enters_again(tmp_path, cron, delay, days):
    text = journey_text(f"- {{id: s, {SEND}}}\n- {{id: d, delay: {delay}}}", id="j", entry=f"{{schedule: '{cron}'}}", purpose="marketing")
    until = NOON + days * DAY
    shop = Shop(tmp_path / "shop", text)
    shop.welcome("u0")
    shop.settle(NOON)
    while (work := shop.app.engine.next_work()) is not None and work <= until:
        shop.settle(max(work, shop.clock.now() + 1))
    really = [e["entered_at"] for e in shop.story("u0").enrolments if e["entered_at"] > NOON]
    shop.close()

    found = simulated(make_folder(tmp_path / "sim", text), [told(NOON, "order_paid")], until)

    assert len(really) > 2
    assert found.entries["j", "u0"] == really
    assert found.journeys["j"].refused == {}


def test_a_rolling_cap_counts_back_from_the_send_whatever_others_do_meanwhile(tmp_path):
    text = journey_text(f"- {{id: s, {SEND}}}", id="j", entry="{event: app_opened, reentry: always}")
    folder = make_folder(tmp_path / "sim", text, config=CAPPED)
    hers = [told(NOON), told(NOON + 6 * DAY + 12 * HOUR)]
    somebody_elses = told(NOON + 7 * DAY + 6 * HOUR, user="u1")

    for events in (hers, [*hers, somebody_elses]):
        assert [g.at for g in simulated(folder, events).deliveries if g.user_id == "u0"] == [NOON]


def test_of_two_timers_of_one_moment_the_more_important_journey_asks_the_caps_first(tmp_path):
    def waits(id_, priority, event_):
        return journey_text(
            f"- {{id: d, delay: {{until: '18:30'}}}}\n- {{id: s, {SEND}}}", id=id_, entry=f"{{event: {event_}}}", priority=priority
        )

    texts = [waits("low", "10", "app_opened"), waits("high", "90", "order_paid")]
    events = [told(NOON), told(NOON + HOUR, "order_paid")]
    shop = Shop(tmp_path / "shop", *texts, config=CAPPED)
    shop.welcome("u0")
    shop.settle(NOON)
    for one in events:
        shop.clock.set(one["time"])
        shop.post({**one, "time": None})
        shop.settle(one["time"])
    shop.settle(at("2026-12-01 18:30"))
    really = {m["journey"] for m in shop.story("u0").messages if m["state"] == "ACCEPTED"}
    shop.close()

    found = simulated(make_folder(tmp_path / "sim", *texts, config=CAPPED), events, NOON + 2 * DAY)

    assert {g.journey for g in found.deliveries} == really == {"high"}


def test_who_is_drawn_where_hangs_on_the_name_that_a_step_first_had(tmp_path, call):
    arms = ", ".join(f"{{name: {v}, weight: 1, steps: [{{id: {v}, send: [{{push: {{title: {v}, body: B}}}}]}}]}}" for v in ("x", "y"))
    first = journey_text(f"- id: ab\n  split: [{arms}]", entry="{event: app_opened, reentry: always}")
    renamed = first.replace("id: ab", "id: test\n    was: ab")
    later = first.replace("id: ab", "id: test")  # `was` has done its work
    users = [f"u{n}" for n in range(12)]
    shop = Shop(tmp_path / "shop", first)
    shop.welcome(*users)
    for hour, text in ((1, renamed), (2, later)):
        write_journeys(shop.folder, text)
        shop.apply(NOON + hour * HOUR)
    shop.clock.set(NOON + 3 * HOUR)
    for user in users:
        shop.post({"id": f"o-{user}", "type": "app_opened", "user_id": user})
    shop.settle()
    really = [m["step"] for user in users for m in shop.story(user).messages]
    shop.close()
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(told(NOON + 3 * HOUR, user=user)) + "\n" for user in users))

    _, out, _ = call(
        "simulate", "--events", tmp_path / "e.jsonl", "--applied", "--against", "2", "--config", tmp_path / "shop", "--json"
    )  # fmt: skip
    found = json.loads(out)

    assert {row["step"]: (row["only_before"], row["only_after"]) for row in found["compared"]["steps"]} == {"x": (0, 0), "y": (0, 0)}
    assert {v: found["journeys"]["j"]["steps"][v] for v in "xy"} == {v: really.count(v) for v in "xy"}


def test_a_wait_for_a_condition_that_comes_true_is_followed(tmp_path):
    text = journey_text("- {id: w, wait_for: {when: user.orders_count > 0, timeout: 1d}}", entry="{event: app_opened}")

    found = simulated(make_folder(tmp_path / "sim", text), [told(NOON), told(NOON + HOUR, "order_paid")])

    assert found.journeys["j"].counts.moves["w", "event_1"] == 1


def test_a_report_that_cannot_be_written_is_told_before_anything_is_done(tmp_path, call):
    folder = make_folder(tmp_path / "shop", HELLO)
    (tmp_path / "e.jsonl").write_text(json.dumps(told(NOON)) + "\n")

    code, out, err = call("simulate", "--events", tmp_path / "e.jsonl", "--config", folder, "--report", tmp_path)

    assert (code, out, err) == (1, "", f"{tmp_path}: expected a file, found a folder\n")


def test_a_year_that_is_hardly_meant_and_rows_that_were_passed_over_are_told_beside_the_result(tmp_path, call):
    folder = make_folder(tmp_path / "shop", HELLO)
    rows = [told(NOON), told(NOON + DAY), {**told(NOON), "id": "x", "time": "2099-10-25 12:00"}, {"type": "app_opened", "user_id": "u9"}]
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    _, out, err = call("simulate", "--events", tmp_path / "e.jsonl", "--config", folder, "--report", tmp_path / "r.html")

    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Nothing happened to anybody between 2026-12-02 and 2099-10-25" in err
    assert "Nothing happened to anybody between 2026-12-02 and 2099-10-25" in page
    assert "1 row of the files could not be read and is not" in page
    assert len([line for line in out.splitlines() if line.startswith("20")]) < 12  # months in which nothing changed are no lines


# --- tests:

LOOK = "- {id: look, wait_for: {event: app_opened, timeout: 1d}, on_event: [{exit: came}], on_timeout: [{exit: silent}]}"
RESTARTS = f"- {{id: again, wait_for: {{event: app_opened, timeout: 1d}}, on_event: [{{id: hi, send: {PUSH}}}]}}\n- {{id: rest, delay: 1d}}"


def test_of_two_events_of_one_moment_the_second_is_as_much_in_time_as_the_first(store):
    made = Town(store, journey_text(LOOK, entry="{event: order_paid}"))
    made.settle_people(somebody())
    made.post(event("order_paid", NOON))
    made.settle(NOON)
    made.post(event("account_closed", NOON + DAY), event("app_opened", NOON + DAY))
    made.settle(NOON + DAY)

    result = rehearsed(
        "events: [{after: 1d, event: account_closed}, {after: 1d, event: app_opened}], expect: [{after: 1d, end: came}]", LOOK,
        entry="{event: order_paid}",
    )  # fmt: skip

    assert made.ends() == [("j", "came")]
    assert result.passed


def test_what_an_event_makes_her_be_sent_and_what_the_same_event_takes_back_is_not_sent(store):
    entry = "{event: app_opened, reentry: always, mode: restart}"
    made = Town(store, journey_text(RESTARTS, entry=entry))
    made.settle_people(somebody())
    for hour in (0, 1):
        made.post(event("app_opened", NOON + hour * HOUR))
        made.settle(NOON + hour * HOUR)

    result = rehearsed(
        "events: [{after: 1h, event: app_opened}], expect: [{after: 1h, suppressed: cancelled, step: hi}, {after: 1h, end: restarted}, "
        "{after: 2d1h, end: completed}]", RESTARTS, entry=entry,
    )  # fmt: skip

    assert (made.states(), made.vendors["push"].got) == ([("hi", "SUPPRESSED")], [])
    assert result.passed, [(row.mark, row.line.kind, row.line.what) for row in result.rows]


def test_a_story_that_goes_on_beyond_what_is_followed_does_not_pass_as_if_it_were_over():
    steps = f"- {{id: long, delay: 300d}}\n- {{id: longer, delay: 300d}}\n- {{id: hi, send: {PUSH}}}"

    silent = rehearsed("expect: []", steps, entry="{event: order_paid}")
    whole = rehearsed("expect: [{after: 600d, send: push}, {after: 600d, end: completed}]", steps, entry="{event: order_paid}")

    assert (silent.passed, silent.difference.got.what) == (False, NOT_OVER)
    assert whole.passed
