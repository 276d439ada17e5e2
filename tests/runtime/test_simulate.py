"""`simulate`: what would have happened, to whom, when and at what cost; what cannot be known is said."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from runtime.app import build_app
from runtime.applying import check_project
from runtime.past import FilePast
from runtime.settings import load_project
from runtime.simulate import Replay, simulate
from runtime.state import Event
from tests.e2e.running import journeyd
from tests.shop import CONFIG, HELLO, Shop, make_folder, write_journeys
from tests.town import DAY, HOUR, MINUTE, NOON, at, journey_text

ROOT = Path(__file__).parents[2]
PUSH = "send: [{push: {title: T, body: B}}]"
BAD_JOURNEY = journey_text("- id: a\n  send: [{push: {title: T, body: B}}]\n  if: user.no_such > 1", id="bad", entry="{event: app_opened}")
EVENTS = [
    {"id": f"e{n}", "type": "app_opened" if n % 2 else "order_paid", "user_id": f"u{n % 3}", "time": f"2026-12-01T0{n}:00:00+08:00", "data": {"amount": n}}
    for n in range(6)
]  # fmt: skip
PRICES = CONFIG.replace("[channels.push]", '[channels.push]\nprice = "0.0125"').replace(
    "gift = {budget = 10}", 'gift = {budget = 3, price = "10"}'
)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "shop", HELLO)


def as_csv(events):
    rows = [f"{e['id']},{e['type']},{e['user_id']},{e['time']},{e['data']['amount']}" for e in events]
    return "\n".join(["id,type,user_id,time,amount", *rows]) + "\n"


def as_jsonl(events):
    return "".join(json.dumps(e) + "\n" for e in events)


def moment(milliseconds):
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def opened(*times, user="u1", type_="app_opened"):
    """Events of one user at these instants."""
    return [{"id": f"{user}-{type_}-{t}", "type": type_, "user_id": user, "time": moment(t), "data": {"amount": 1}} for t in times]


def simulated(call, folder, *arguments):
    code, out, err = call("simulate", "--json", "--config", folder, *arguments)
    assert code == 0, err
    return json.loads(out), err


def over(call, folder, events, *arguments):
    (folder / "e.jsonl").write_text(as_jsonl(events))
    return simulated(call, folder, "--events", folder / "e.jsonl", *arguments)[0]


# ---------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "what past is to be simulated? give --events FILE, or --from-database, and not both\n"),
        (["--events", "e.csv", "--from-database"], "what past is to be simulated? give --events FILE, or --from-database, and not both\n"),
        (["--events", "e.csv", "--until", "soon"], "--until: expected a time such as 2026-12-31 or 2026-12-31T18:00+08:00, found soon\n"),
        (["--events", "e.csv", "--from", "then"], "--from: expected a time such as 2026-12-31 or 2026-12-31T18:00+08:00, found then\n"),
        (["--events", "e.csv", "--from", "2026-12-02", "--until", "2026-12-01"], "--until 2026-12-01 is before --from 2026-12-02\n"),
        (["--events", "e.csv", "--sample", "0%"], "--sample: expected a part of the users between 0.01% and 100%, such as 10%, found 0%\n"),
        (["--events", "e.csv", "--sample", "half"], "--sample: expected a part of the users between 0.01% and 100%, such as 10%, found half\n"),
        (["--events", "e.csv", "--applied", "--release", "1"], "--applied is the newest release, --release a chosen one: give one of them\n"),
        (["--events", "e.csv", "--against", "no/where"], "--against no/where: expected `applied`, the number of a release, or a folder of journey files\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_exits_2_and_says_what_was_expected(call, folder, tmp_path, monkeypatch, arguments, said):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))
    monkeypatch.chdir(tmp_path)

    code, out, err = call("simulate", *arguments, "--config", folder)

    assert (code, out, err) == (2, "", said)


@pytest.mark.parametrize("option", ["--events", "--users"])
def test_a_file_that_is_not_there_exits_1(call, folder, tmp_path, option):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))
    others = ["--events", tmp_path / "e.csv"] if option == "--users" else []

    code, _, err = call("simulate", option, tmp_path / "nothing.csv", *others, "--config", folder)

    assert (code, "no such file" in err) == (1, True)


def test_wrong_columns_exit_1_with_what_was_meant(call, folder, tmp_path):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS).replace("user_id", "userid"))

    code, _, err = call("simulate", "--events", tmp_path / "e.csv", "--config", folder)

    assert code == 1
    assert err == (
        "e.csv: there is no column user_id; its columns are id, type, userid, time, amount; say which one it is with --map userid=user_id\n"
    )


def test_the_columns_of_an_export_are_named_by_map_and_type_as_for_an_import(call, folder, tmp_path):
    rows = as_csv([e for e in EVENTS if e["type"] == "order_paid"])
    (tmp_path / "ours.csv").write_text(rows)
    (tmp_path / "theirs.csv").write_text(rows.replace("user_id", "用户").replace("time", "下单时间").replace("order_paid", ""))
    named = ["--map", "用户=user_id", "--map", "下单时间=time", "--type", "order_paid"]

    ours = call("simulate", "--events", tmp_path / "ours.csv", "--json", "--config", folder)[1]
    code, theirs, _ = call("simulate", "--events", tmp_path / "theirs.csv", *named, "--json", "--config", folder)

    assert (code, json.loads(theirs)["journeys"]) == (0, json.loads(ours)["journeys"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--map", "用户=user_id"], "--map 用户=user_id: there is no such column"),
        (["--map", "用户"], "--map: expected COLUMN=FIELD"),
        (["--from-database", "--map", "a=b"], "not both"),
    ],
)
def test_a_map_that_fits_no_column_is_told(call, folder, tmp_path, arguments, said):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))

    code, _, err = call("simulate", "--events", tmp_path / "e.csv", *arguments, "--config", folder)

    assert (code != 0, said in err) == (True, True)


@pytest.mark.parametrize("arguments", [["--from-database"], ["--applied"], ["--release", "1"], ["--against", "applied"]])
def test_without_a_database_nothing_of_it_can_be_used(call, folder, tmp_path, arguments):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))
    events = [] if arguments == ["--from-database"] else ["--events", tmp_path / "e.csv"]

    code, _, err = call("simulate", *events, *arguments, "--config", folder)

    assert (code, "there is no database yet" in err) == (1, True)


def test_files_with_errors_are_not_simulated(call, folder, tmp_path):
    write_journeys(folder, BAD_JOURNEY)
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))

    code, _, err = call("simulate", "--events", tmp_path / "e.csv", "--config", folder)

    assert (code, "J022" in err) == (1, True)


# ---------------------------------------------------------------------------------------------------- files


def test_the_json_has_the_documented_shape(call, folder, tmp_path):
    (tmp_path / "e.jsonl").write_text(as_jsonl(EVENTS))

    result, err = simulated(call, folder, "--events", tmp_path / "e.jsonl")

    row = {
        "name": "J", "entered": 3, "refused": {}, "sent": {"push": 3}, "suppressed": {}, "held": {}, "granted": {}, "not_granted": {},
        "converted": 0, "holdout": 0, "holdout_converted": 0, "completed": 3, "exited": 0, "ended": {"completed": 3}, "inside": 0,
        "cost": None, "steps": {"$ended:completed": 3, "$entry": 3, "hello": 3}, "moves": [["hello", "done", 3]],
    }  # fmt: skip
    assert len(result["journeys"]["hello"].pop("version")) == 8
    caveats = result.pop("caveats")
    assert result == {
        "from": "2026-12-01 00:00", "until": "2026-12-01 05:00", "sample": None, "journeys": {"hello": row},
        "days": [{"day": "2026-12-01", "entered": 3, "sent": {"push": 3}, "suppressed": {}, "granted": {}, "capped": {}}],
        "cost": {"push": None}, "budgets": {"gift": {"budget": 10, "granted": 0}}, "stages": {"2026-12": {"buying": 3}},
        "events": 6, "users": 3, "quarantined": 0, "bad_rows": 0, "repeated_ids": 0, "differing_ids": 0, "remarks": {},
    }  # fmt: skip
    assert [c["code"] for c in caveats] == ["reactions", "conversions", "vendors", "everybody", "cold_start", "no_prices"]
    assert err == ""
    assert not (folder / "data").exists()


def test_csv_and_jsonl_of_the_same_events_give_the_same(call, folder, tmp_path):
    (tmp_path / "e.jsonl").write_text(as_jsonl(EVENTS))
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))

    assert simulated(call, folder, "--events", tmp_path / "e.jsonl") == simulated(call, folder, "--events", tmp_path / "e.csv")


def test_the_order_of_the_file_does_not_matter(call, folder):
    ordered = over(call, folder, EVENTS)

    assert over(call, folder, EVENTS[::-1]) == ordered
    assert over(call, folder, EVENTS[3:] + EVENTS[:3]) == ordered


def test_bad_rows_are_counted_shown_with_their_line_and_skipped(call, folder, tmp_path):
    lines = as_jsonl(EVENTS).splitlines()
    lines[1:1] = ["{not json", "[1]", '{"type": "app_opened"}', '{"type": "app_opened", "user_id": "u9"}', ""]
    (tmp_path / "e.jsonl").write_text("\n".join(lines))

    result, err = simulated(call, folder, "--events", tmp_path / "e.jsonl", "--against", folder / "journeys")

    assert (result["events"], result["bad_rows"], result["journeys"]["hello"]["entered"]) == (6, 4, 3)
    shown = err.splitlines()
    assert [line.split(": ")[0] for line in shown] == [f"e.jsonl:{n}" for n in (2, 3, 4, 5)]  # once, though two versions read it
    assert shown[3] == "e.jsonl:5: time: expected a time, found none"


def test_until_cuts_the_events_off_or_lets_time_go_on(call, folder):
    write_journeys(folder, journey_text(f"- id: pause\n  delay: 2d\n- id: later\n  {PUSH}", id="slow", entry="{event: app_opened}"))

    cut = over(call, folder, EVENTS, "--until", "2026-12-01T03:00:00+08:00")
    end = over(call, folder, EVENTS)
    on = over(call, folder, EVENTS, "--until", "2026-12-10")

    assert (cut["events"], cut["journeys"]["slow"]["entered"]) == (4, 2)
    assert (end["events"], end["journeys"]["slow"]["entered"], end["journeys"]["slow"]["sent"]) == (6, 3, {})
    assert on["journeys"]["slow"]["sent"] == {"push": 3}


def test_users_say_who_can_be_reached(call, folder, tmp_path):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))
    consent = {"push": {"service": True, "marketing": True}}
    users = [
        {"user_id": "u1", "identities": {"push_id": "p"}, "consents": consent},
        {"user_id": "u2", "identities": {"push_id": "p2"}},
        {"user_id": ""},
    ]
    (tmp_path / "u.jsonl").write_text(as_jsonl(users))

    result, err = simulated(call, folder, "--events", tmp_path / "e.csv", "--users", tmp_path / "u.jsonl")

    assert result["journeys"]["hello"]["sent"] == {"push": 1}
    assert result["journeys"]["hello"]["suppressed"] == {"no_consent": 2}
    assert (result["bad_rows"], err.startswith("u.jsonl:3: user_id")) == (1, True)
    assert "everybody" not in {c["code"] for c in result["caveats"]}


def test_an_empty_file_of_events_is_a_simulation_of_nothing(call, folder, tmp_path):
    (tmp_path / "e.csv").write_text("")

    result, _ = simulated(call, folder, "--events", tmp_path / "e.csv", "--report", tmp_path / "r.html")

    assert (result["events"], result["journeys"]["hello"]["entered"]) == (0, 0)
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_the_terminal_shows_a_table_and_says_what_it_cannot_know(call, folder, tmp_path):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))

    code, out, err = call("simulate", "--events", tmp_path / "e.csv", "--config", folder)

    assert (code, "hello" in out) == (0, True)
    assert "6 events, 3 users, 0 bad rows" in err
    assert "A replay cannot know how people would have reacted" in err
    assert "everybody counted as reachable and consented" in err


def test_whom_nothing_happened_in_is_named_in_one_line_and_a_column_that_nobody_fills_is_left_out(call, folder, tmp_path):
    write_journeys(folder, HELLO, journey_text(f"- id: never\n  {PUSH}", id="quiet", entry="{event: friend_woken}"))
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))

    _, out, _ = call("simulate", "--events", tmp_path / "e.csv", "--report", tmp_path / "r.html", "--config", folder)

    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert (page.count("quiet"), "nobody came near: quiet" in page) == (1, True)
    assert "nobody came near: quiet" in out
    assert out.count("quiet") == 1
    assert "messages" in out
    assert "not given" not in out


# ---------------------------------------------------------------------------------------------------- what happens then


def test_a_paced_journey_lets_in_what_its_pace_allows(call, folder):
    entry = "{segment: buyers, existing: skip, pace: 2 per 1d}"
    write_journeys(folder, journey_text(f"- id: hello\n  {PUSH}", id="paced", entry=entry))
    orders = [e for n in range(5) for e in opened(NOON + n * HOUR, NOON + (n + 24) * HOUR, user=f"u{n}", type_="order_paid")]

    row = over(call, folder, orders)["journeys"]["paced"]

    assert (row["entered"], row["refused"]) == (2, {"pace": 3})


def test_a_paced_population_goes_on_the_next_day(call, folder):
    entry = "{schedule: '0 10 2 12 *', where: user.orders_count > 0, pace: 2 per 1d}"
    write_journeys(folder, journey_text(f"- id: hello\n  {PUSH}", id="paced", entry=entry))
    orders = [e for n in range(5) for e in opened(NOON + n, user=f"u{n}", type_="order_paid")]

    result = over(call, folder, orders, "--until", "2026-12-10")

    assert [(d["day"], d["entered"]) for d in result["days"] if d["entered"]] == [("2026-12-02", 2), ("2026-12-03", 2), ("2026-12-04", 1)]


def test_a_schedule_sees_what_had_happened_by_its_time_and_no_more(call, folder):
    entry = "{schedule: '0 18 * * *', where: user.orders_count > 0}"
    write_journeys(folder, journey_text(f"- id: hello\n  {PUSH}", id="evening", entry=entry))
    orders = opened(NOON, user="before", type_="order_paid") + opened(NOON + 7 * HOUR, user="after", type_="order_paid")

    assert over(call, folder, orders)["journeys"]["evening"]["entered"] == 1


def test_a_goal_counts_to_its_last_hour_whatever_is_worked_on_at_once(call, folder):
    """Events that come later on the same day must not hide from a goal that it still counted."""
    write_journeys(
        folder, journey_text(f"- id: hello\n  {PUSH}", id="aiming", entry="{event: app_opened}", goal="{event: order_paid, within: 30h}")
    )
    events = [*opened(NOON), *opened(NOON + 29 * HOUR, type_="order_paid"), *opened(NOON + 35 * HOUR, user="u2")]

    assert over(call, folder, events)["journeys"]["aiming"]["converted"] == 1


def test_who_meets_others_by_time_alone_is_seen_in_fine_windows(call, folder):
    """She becomes a buyer's watcher by a segment, and what she waits for happens two hours later, on the same day."""
    steps = f"- id: friend\n  wait_for: {{event: app_opened, of: user.leader_id, timeout: 3h}}\n- id: hello\n  if: not steps.friend.timed_out\n  {PUSH}"
    write_journeys(folder, journey_text(steps, id="meeting", entry="{segment: buyers, existing: skip}"))
    (folder / "u.jsonl").write_text(as_jsonl([{"user_id": "u1", "traits": {"leader_id": "L"}, "consents": {"push": {"marketing": True}}, "identities": {"push_id": "p"}}]))  # fmt: skip
    events = [
        *opened(NOON - HOUR, user="x"),
        *opened(NOON, type_="order_paid"),
        *opened(NOON + 2 * HOUR, user="L"),
        *opened(NOON + DAY, user="x"),
    ]

    row = over(call, folder, events, "--users", folder / "u.jsonl")["journeys"]["meeting"]

    assert (row["entered"], row["sent"]) == (1, {"push": 1})


def test_an_event_at_the_very_moment_of_a_grant_is_worked_on(call, folder):
    """A user's time stands still while a grant is open; what waits behind it must not keep its outcome from her."""
    gift = journey_text("- id: gift\n  grant: {benefit: gift}", id="giving", entry="{event: app_opened}")
    write_journeys(folder, gift, journey_text(f"- id: a\n  {PUSH}", id="buying", entry="{segment: buyers, existing: skip}"))

    result = over(call, folder, opened(NOON) + opened(NOON, type_="order_paid"))

    assert {i: row["completed"] for i, row in result["journeys"].items()} == {"giving": 1, "buying": 1}


def test_flows_count_every_step_also_those_that_leave_no_line(call, folder):
    steps = f"""
- id: which
  branch:
    - when: user.orders_count > 0
      steps:
        - id: buyer
          {PUSH}
        - id: done
          exit: bought
  otherwise:
    - id: waits
      wait_for: {{event: order_paid, timeout: 1d}}
      on_timeout: [{{exit: silent}}]
    - id: again
      goto: {{step: which, max_visits: 3}}
"""
    write_journeys(folder, journey_text(steps, id="flowing", entry="{event: app_opened}"))
    events = [*opened(NOON), *opened(NOON + HOUR, type_="order_paid"), *opened(NOON, user="u2"), *opened(NOON + 3 * DAY, user="u3")]

    row = over(call, folder, events)["journeys"]["flowing"]

    assert row["ended"] == {"bought": 1, "silent": 1}
    found = {(step, trigger): n for step, trigger, n in row["moves"]}
    assert found == {
        ("which", "otherwise"): 3, ("waits", "timeout"): 1, ("waits", "event_1"): 1, ("again", "jump"): 1, ("which", "case_1"): 1,
        ("buyer", "done"): 1,
    }  # fmt: skip
    assert {name: n for name, n in row["steps"].items() if name in ("$entry", "which", "waits", "again", "buyer", "done")} == {
        "$entry": 3, "which": 4, "waits": 3, "again": 1, "buyer": 1, "done": 1,
    }  # fmt: skip


CAPS = (
    PRICES
    + '[policy]\ncaps = [{channel = "push", purpose = "marketing", max = 1, per = "day"}, {purpose = "marketing", max = 2, per = "day"}]\n'
)


def test_caps_say_what_they_dropped_and_what_took_a_later_channel(call, tmp_path):
    send = "send: [{push: {title: T, body: B}}, {sms: {template: news}}]"
    folder = make_folder(
        tmp_path / "capped", journey_text(f"- id: a\n  {send}", id="capped", entry="{event: app_opened, reentry: always}"), config=CAPS
    )

    result = over(call, folder, opened(NOON, NOON + HOUR, NOON + 2 * HOUR, NOON + DAY))

    first, second = result["days"]
    assert first["sent"] == {"push": 1, "sms": 1}
    assert first["suppressed"] == {"cap": 1}
    assert first["capped"] == {
        "marketing 2/day": {"dropped": 1, "fell_through": 0},
        "push marketing 1/day": {"dropped": 0, "fell_through": 1},
    }
    assert (second["sent"], second["capped"]) == ({"push": 1}, {})


def test_a_message_counts_for_the_caps_of_the_day_on_which_it_was_sent(call, tmp_path):
    sent_daily = journey_text(f"- id: a\n  {PUSH}", id="daily", entry="{event: app_opened, reentry: always}")
    caps = CONFIG + '[policy]\ncaps = [{purpose = "marketing", max = 1, per = "day"}]\n'
    folder = make_folder(tmp_path / "capped", sent_daily, config=caps)
    evening, next_noon = NOON + 8 * HOUR, NOON + DAY

    others = [event for n in range(50) for event in opened(evening + n * 20 * MINUTE, user=f"v{n}")]  # a span of time is worked on at once
    row = over(call, folder, [*opened(evening, next_noon), *others])["journeys"]["daily"]

    assert (row["sent"], row["suppressed"]) == ({"push": 52}, {})


def test_prices_make_costs_and_budgets_burn_down(call, tmp_path):
    steps = f"- id: gift\n  grant: {{benefit: gift}}\n  on_failed: [{{exit: used_up}}]\n- id: hello\n  {PUSH}"
    folder = make_folder(tmp_path / "priced", journey_text(steps, id="giving", entry="{event: app_opened}"), config=PRICES)
    events = [e for n in range(5) for e in opened(NOON + n * HOUR, user=f"u{n}")]

    result = over(call, folder, events)

    row = result["journeys"]["giving"]
    assert (row["granted"], row["sent"], row["ended"]) == ({"gift": 3}, {"push": 3}, {"completed": 3, "used_up": 2})
    assert sum(row["not_granted"].values()) == 2
    assert result["budgets"] == {"gift": {"budget": 3, "granted": 3}}
    assert result["cost"] == {"push": "0.0375", "grant:gift": "30"}
    assert Decimal(row["cost"]) == Decimal("30.0375")
    assert "prices" not in {c["code"] for c in result["caveats"]}


@pytest.mark.parametrize("price", ["0.045", '"4,5"', '"-1"', '"1e3"'])
def test_a_price_that_is_no_decimal_text_stops_the_start(call, tmp_path, price):
    folder = make_folder(tmp_path / "shop", HELLO, config=CONFIG.replace("[channels.push]", f"[channels.push]\nprice = {price}"))

    code, _, err = call("simulate", "--from-database", "--config", folder)

    assert code != 0
    assert 'expected a decimal number in quotes, such as "0.045"' in err


# ---------------------------------------------------------------------------------------------------- from a day on


def test_what_was_before_the_chosen_day_makes_the_profiles_and_moves_nobody(call, folder):
    third = journey_text(f"- id: hello\n  if: user.orders_count >= 3\n  {PUSH}", id="third", entry="{event: order_paid, reentry: always}")
    existing = journey_text(f"- id: hello\n  {PUSH}", id="existing", entry="{segment: buyers, existing: enrol}")
    write_journeys(folder, third, existing)
    events = opened(NOON, NOON + DAY, NOON + 3 * DAY, type_="order_paid") + opened(NOON + 4 * DAY, user="u2", type_="order_paid")

    whole = over(call, folder, events)
    later = over(call, folder, events, "--from", "2026-12-03")

    assert whole["journeys"]["third"]["entered"] == 4
    assert (later["events"], later["from"]) == (4, "2026-12-03 00:00")
    assert (later["journeys"]["third"]["entered"], later["journeys"]["third"]["sent"]) == (2, {"push": 1})
    assert later["journeys"]["existing"]["entered"] == 2  # one who was inside when it went live, and one who came
    assert [d["day"] for d in later["days"]] == ["2026-12-03", "2026-12-04", "2026-12-05"]
    assert "cold_start" not in {c["code"] for c in later["caveats"]}


def test_a_silence_that_began_before_the_chosen_day_ends_in_a_segment_after_it(call, folder):
    write_journeys(folder, journey_text(f"- id: hello\n  {PUSH}", id="silent", entry="{segment: dormant, existing: skip}"))
    events = opened(NOON, type_="order_paid") + opened(NOON - 60 * DAY, user="long gone", type_="order_paid")

    row = over(call, folder, events, "--from", "2026-12-20", "--until", "2027-01-10")["journeys"]["silent"]

    assert row["entered"] == 1  # 30 days after the order; who was silent already is nobody's edge


# ---------------------------------------------------------------------------------------------------- of the database


@pytest.fixture
def lived_in(tmp_path):
    """A project whose database has 4 events of 3 users, one of whom can be reached, and two releases: hello, then hello and bye."""
    shop = Shop(tmp_path / "shop", HELLO)
    shop.welcome("u1")
    shop.post([{"id": f"e{n}", "type": "app_opened", "user_id": f"u{n}"} for n in (1, 2)])
    shop.settle(NOON + HOUR)
    bye = journey_text("- id: bye\n  send: [{push: {title: T, body: Bye}}]", id="bye", entry="{event: order_paid, reentry: always}")
    write_journeys(shop.folder, HELLO, bye)
    shop.apply()
    shop.clock.set(NOON + DAY)
    shop.post([{"id": "e3", "type": "order_paid", "user_id": "u1"}, {"id": "e4", "type": "app_opened", "user_id": "u3"}])
    shop.settle(NOON + DAY)
    shop.close()
    return shop.folder


def test_the_events_and_people_of_the_database_are_simulated_and_nothing_is_changed(call, lived_in):
    before = call("status", "--json", "--config", lived_in)[1]

    result = simulated(call, lived_in, "--from-database")[0]

    assert (result["events"], result["users"]) == (4, 3)
    assert result["journeys"]["hello"]["sent"] == {"push": 1}
    assert result["journeys"]["hello"]["suppressed"] == {"no_consent": 2}
    assert result["journeys"]["bye"]["sent"] == {"push": 1}
    assert {"today"} < {c["code"] for c in result["caveats"]}
    assert call("status", "--json", "--config", lived_in)[1] == before


def test_of_the_database_a_chosen_day_too(call, lived_in):
    result = simulated(call, lived_in, "--from-database", "--from", "2026-12-02")[0]

    assert {i: row["entered"] for i, row in result["journeys"].items()} == {"hello": 1, "bye": 1}


@pytest.mark.parametrize(("arguments", "tagged_then"), [([], 3), (["--from", "2026-12-02"], 1)])
def test_whom_the_database_knows_without_an_event_takes_part_from_when_it_knew_her(call, tmp_path, arguments, tagged_then):
    born = journey_text(f"- id: hello\n  {PUSH}", id="born", entry="{date: user.birthday}")
    tagged = journey_text(f"- id: hello\n  {PUSH}", id="tagged", entry="{segment: tagged, existing: skip}")
    shop = Shop(tmp_path / "shop", born, tagged)
    shop.post([{"user_id": f"u{n}", "traits": {"birthday": "12-05"}, "tags": ["vip"]} for n in (1, 2)], "/v1/users")
    shop.post([{"id": "e1", "type": "app_opened", "user_id": "u1"}])
    shop.settle(NOON + HOUR)
    shop.clock.set(NOON + 3 * DAY)
    shop.post([{"user_id": "u3", "traits": {"birthday": "12-05"}, "tags": ["vip"]}], "/v1/users")
    shop.settle()
    shop.clock.set(NOON + 8 * DAY)
    shop.post([{"id": "e2", "type": "app_opened", "user_id": "u1"}])
    shop.settle()
    shop.clock.set(NOON + 9 * DAY)
    shop.post([{"user_id": "too late", "traits": {"birthday": "12-05"}}], "/v1/users")
    shop.close()

    result = simulated(call, shop.folder, "--from-database", *arguments)[0]

    assert result["users"] == 3
    assert {i: row["entered"] for i, row in result["journeys"].items()} == {"born": 3, "tagged": tagged_then}


def test_what_is_applied_is_simulated_and_not_the_files(call, lived_in):
    write_journeys(lived_in, journey_text(f"- id: a\n  {PUSH}", id="edited", entry="{event: app_opened}"))

    files, applied, first = (
        simulated(call, lived_in, "--from-database", *a)[0]["journeys"] for a in ([], ["--applied"], ["--release", "1"])
    )

    assert (list(files), list(applied), list(first)) == (["edited"], ["bye", "hello"], ["hello"])


def test_a_release_that_is_not_there_says_which_is_the_newest(call, lived_in):
    code, _, err = call("simulate", "--from-database", "--version", "7", "--config", lived_in)

    assert (code, err) == (1, "there is no release 7; the newest is 2\n")


# ---------------------------------------------------------------------------------------------------- two versions


LATER = HELLO.replace("steps:\n", "steps:\n  - id: pause\n    delay: 1h\n")
OTHER_TEXT = HELLO.replace("你好", "再见")


def test_the_same_version_gives_everybody_the_same(call, folder):
    compared = over(call, folder, EVENTS, "--against", folder / "journeys")["compared"]

    assert [(s["journey"], s["step"], s["before"], s["after"], s["same"], s["differences"]) for s in compared["steps"]] == [
        ("hello", "hello", 3, 3, 3, [])
    ]


@pytest.mark.parametrize(
    ("edited", "how", "shift"),
    [(LATER, "moved", "1h"), (OTHER_TEXT, "changed", "0s"), (HELLO.replace("app_opened", "order_paid"), None, None)],
    ids=["a delay", "a text", "another event"],
)
def test_who_gets_what_she_did_not_get_before(call, folder, tmp_path, edited, how, shift):
    before = make_folder(tmp_path / "before", HELLO)
    write_journeys(folder, edited)

    result = over(call, folder, EVENTS, "--against", before, "--until", "2026-12-02")

    (step,) = result["compared"]["steps"]
    if how is None:  # matched by user at the same step: each comes at another time
        assert (step["before"], step["after"], step["moved"]) == (3, 3, 3)
        return
    assert (step["before"], step["after"], step["same"], step[how], step["median_shift"]) == (3, 3, 0, 3, shift)
    first = step["differences"][0]
    assert (first["how"], first["before"]["channel"]) == (how, "push")
    assert first["after"]["content"]["body"] == ("再见" if how == "changed" else "你好")


def test_what_only_one_version_sends_is_listed_with_user_and_message(call, lived_in):
    result = simulated(call, lived_in, "--from-database", "--against", "1")[0]

    assert result["compared"]["entries"] == {
        "bye": {"only_before": 0, "only_after": 1, "both": 0},
        "hello": {"only_before": 0, "only_after": 0, "both": 3},
    }
    (bye,) = (s for s in result["compared"]["steps"] if s["step"] == "bye")
    assert (bye["only_after"], bye["only_before"]) == (1, 0)
    assert bye["differences"] == [
        {"how": "only_after", "user_id": "u1", "before": None,
         "after": {"at": "2026-12-02 12:00", "kind": "message", "channel": "push", "content": {"title": "T", "body": "Bye"}}}
    ]  # fmt: skip
    assert list(result["compared"]["before"]["journeys"]) == ["hello"]


@pytest.mark.parametrize("spelling", ["applied", "2", "release 2", "release:2"])
def test_against_a_release_in_every_spelling(call, lived_in, spelling):
    assert simulated(call, lived_in, "--from-database", "--against", spelling)[0]["compared"]["steps"][0]["same"] == 1


def test_the_terminal_says_who_gets_something_new(call, lived_in):
    code, out, _ = call("simulate", "--from-database", "--against", "1", "--config", lived_in)

    assert (code, "Who gets what they did not get before" in out) == (0, True)
    assert "bye, bye, new: u1" in out
    assert "bye, users who enter: new 1, gone 0, both 0" in out


# ---------------------------------------------------------------------------------------------------- samples


def test_a_sample_is_of_the_same_users_and_scaled_with_its_uncertainty(call, folder):
    events = [e for n in range(200) for e in opened(NOON + n, user=f"u{n}")]

    whole, part = over(call, folder, events), over(call, folder, events, "--sample", "25%")
    again = over(call, folder, events, "--sample", "25%", "--against", folder / "journeys")

    row = part["journeys"]["hello"]
    assert part["sample"] == {"share": 0.25, "users": row["entered"]}
    assert 25 < row["entered"] < 80
    guess = row["estimate"]["entered"]
    assert guess["n"] == row["entered"] * 4
    assert guess["low"] < whole["journeys"]["hello"]["entered"] < guess["high"]
    assert again["compared"]["steps"][0]["same"] == row["sent"]["push"]
    assert {"sample"} < {c["code"] for c in part["caveats"]}


def test_a_sample_has_its_part_of_budgets_and_paces(call, folder):
    gift = journey_text("- id: gift\n  grant: {benefit: gift}\n  on_failed: [{exit: used_up}]", id="giving", entry="{event: app_opened}")
    paced = journey_text(f"- id: a\n  {PUSH}", id="paced", entry="{segment: buyers, existing: skip, pace: 20 per 1d}")
    write_journeys(folder, gift, paced)
    events = [e for n in range(200) for type_ in ("app_opened", "order_paid") for e in opened(NOON + n, user=f"u{n}", type_=type_)]

    result = over(call, folder, events, "--sample", "50%")

    assert result["budgets"] == {"gift": {"budget": 5, "granted": 5}}
    assert result["journeys"]["paced"]["entered"] == 10


# ---------------------------------------------------------------------------------------------------- the page, and the same bytes


def test_the_page_is_one_file_without_scripts_or_anything_from_elsewhere(call, tmp_path):
    evil = "- id: a\n  send: [{push: {title: '<script>alert(1)</script>', body: B}}]"
    folder = make_folder(tmp_path / "shop", journey_text(evil, id="hello", entry="{event: app_opened}", name="'<b>X</b>'"), config=CAPS)

    over(call, folder, EVENTS, "--report", tmp_path / "r.html", "--against", make_folder(tmp_path / "before", LATER))

    page = (tmp_path / "r.html").read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "<script" not in page
    assert "<b>X</b>" not in page
    assert re.findall(r"https?://|url\((?!#)|@import| src=|<link", page) == []
    assert page.count("<svg") >= 2
    assert "What a replay cannot know" in page


def test_the_page_speaks_chinese_where_the_project_does(call, tmp_path):
    folder = make_folder(tmp_path / "shop", HELLO, config=CONFIG.replace('"en"', '"zh"'))

    over(call, folder, EVENTS, "--report", tmp_path / "r.html")

    page = (tmp_path / "r.html").read_text()
    assert '<html lang="zh-CN">' in page
    assert "回放不可能知道的事" in page


def test_a_report_into_a_folder_that_is_not_there_exits_1_before_any_work(call, folder, tmp_path):
    (tmp_path / "e.csv").write_text(as_csv(EVENTS))

    code, _, err = call("simulate", "--events", tmp_path / "e.csv", "--report", tmp_path / "no" / "r.html", "--config", folder)

    assert (code, err) == (1, f"{tmp_path / 'no' / 'r.html'}: there is no folder {tmp_path / 'no'}\n")


def test_the_same_inputs_give_the_same_bytes_in_every_process(tmp_path):
    steps = f"""
- id: luck
  split:
    - {{name: a, weight: 1, steps: [{{id: gift, grant: {{benefit: gift}}, on_failed: [{{exit: used_up}}]}}]}}
    - {{name: b, weight: 1, steps: []}}
- id: hello
  {PUSH}
"""
    folder = make_folder(
        tmp_path / "shop", HELLO, journey_text(steps, id="mixed", entry="{event: order_paid, reentry: always}"), config=CAPS
    )
    events = [
        e
        for n in range(40)
        for t in ("order_paid", "app_opened")
        for e in opened(NOON + n * HOUR, NOON + n * HOUR + 9 * DAY, user=f"u{n % 17}", type_=t)
    ]
    (folder / "e.jsonl").write_text(as_jsonl(events))
    before = make_folder(tmp_path / "before", LATER)

    runs = [_in_a_process(folder, before, seed) for seed in ("1", "2")]

    assert runs[0] == runs[1]
    assert len(runs[0][0]) > 1000


def _in_a_process(folder: Path, before: Path, seed: str):
    command = [sys.executable, "-c", "import sys; from runtime.cli import run; sys.exit(run(sys.argv[1:]))", "simulate", "--events", "e.jsonl",
               "--sample", "80%", "--against", str(before), "--report", "r.html", "--json"]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    )
    return done.stdout, (folder / "r.html").read_bytes()


def test_a_user_of_the_terminal_is_answered_too(folder):
    (folder / "e.jsonl").write_text(as_jsonl(EVENTS))

    run = journeyd("simulate", "--events", "e.jsonl", folder=folder)

    assert (run.returncode, "hello" in run.stdout) == (0, True)


def test_progress_tells_the_virtual_time_reached(folder):
    (folder / "e.jsonl").write_text(as_jsonl(EVENTS + opened(at("2026-12-05 12:00"))))
    project, told = load_project(folder), []
    past = FilePast(folder / "e.jsonl", project.zone, print)

    simulate(project, check_project(project), Replay(past), told.append)

    assert told == sorted(told)
    assert told[-1] == at("2026-12-05 12:00")
    assert past.done == 1.0


def test_of_rows_with_one_id_the_first_of_the_file_counts_and_what_the_others_say_is_told(call, folder, tmp_path):
    file = tmp_path / "past.jsonl"
    earlier = {**EVENTS[1], "time": "2026-11-20T05:00:00+08:00", "user_id": "u9"}
    file.write_text(as_jsonl([EVENTS[1], EVENTS[1], earlier, EVENTS[3]]))

    told, shown = simulated(call, folder, "--events", file)
    said = call("simulate", "--events", file, "--config", folder)[2]

    assert (told["events"], told["users"], told["repeated_ids"], told["differing_ids"]) == (2, 2, 2, 1)
    identifier = EVENTS[1]["id"]
    assert f"past.jsonl:3: id {identifier} stands in line 1 already, with another user_id, time: the first row of an id counts\n" == shown
    assert "past.jsonl: 2 rows repeat an id, 1 with other content: the first row of each id counts\n" in said


def test_events_of_two_sources_under_one_id_are_both_the_past_of_a_database(call, folder, tmp_path):
    url = f"sqlite:///{tmp_path}/two.db"
    project = load_project(folder)
    app = build_app(project, url=url, channels={})
    for source, user in (("shop", "u1"), ("mini", "u2")):
        one = Event("1", "app_opened", user, at("2026-12-01 12:00"), at("2026-12-01 12:00"), {})
        app.store.database.write(lambda tx, source=source, one=one: app.store.inbox.add_events(tx, source, [one]))
    app.close()

    told, _ = simulated(call, folder, "--from-database", "--database", url)

    assert (told["events"], told["users"]) == (2, 2)
