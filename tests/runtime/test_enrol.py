"""Who may enter: every refusal with its reason, hold-outs by hash, and the dates of date entries."""

from dataclasses import replace
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.localtime import to_datetime
from runtime.enrol import enrol, enrolment_of, held_out, next_date
from runtime.facts import UserFacts
from runtime.state import ENDED, HELD_OUT, LIVE, Fact, NeedsWindow, User, Window, stable_key
from tests.town import DAY, HOUR, NOON, ZONE, at, audience, entered, event, journey, refused, somebody

STEPS = "- {id: a, delay: 1d}"
GOAL = "{event: order_paid, within: 14d}"


def fact(time=NOON, id_="f1", kind="api", **data):
    return Fact(kind, id_, time, data)


def by_event(type_="group_opened", time=NOON, id_="e1", **data):
    found = event(type_, time, id=id_, **data)
    return Fact("event", f"{type_}:{id_}", time, found.fields(), found)


def enter(made, a_fact, *open_, user=None, project_holdout=0, window=None):
    facts = UserFacts(audience(), user or somebody(), a_fact.at, entry=a_fact.data)
    return enrol(made, 1, facts, a_fact, open_, project_holdout=project_holdout, window=window)


def ended(enrolment):
    return replace(enrolment, status=ENDED, due_at=None)


FORMS = [
    ("{api: true}", fact()),
    ("{event: order_paid}", by_event("order_paid")),
    ("{segment: buyers, existing: skip}", fact(kind="segment", id_=f"buyers@{NOON}")),
    ("{schedule: 0 9 * * 5}", fact(kind="schedule", id_=f"schedule@{NOON}")),
    ("{at: '2026-12-18 10:00'}", fact(kind="at", id_="at@1")),
    ("{date: user.birthday}", fact(kind="date", id_=f"date@{NOON}")),
]


@pytest.mark.parametrize(("entry", "a_fact"), FORMS)
def test_each_form_of_entry_lets_a_user_in_at_the_time_of_the_fact(entry, a_fact):
    made = journey(STEPS, entry=entry, goal=GOAL)

    enrolment = entered(enter(made, a_fact))

    assert (enrolment.user_id, enrolment.state, enrolment.status) == ("u1", "a", LIVE)
    assert (enrolment.entered_at, enrolment.begun_at, enrolment.due_at) == (NOON, NOON, NOON)
    assert enrolment.goal_until == NOON + 14 * DAY
    assert enrolment.key == stable_key("j", "u1", "", a_fact.id)


@pytest.mark.parametrize(("entry", "a_fact"), FORMS)
@pytest.mark.parametrize(
    ("keys", "reason"), [({"status": "closed"}, "closed"), ({"status": "draft"}, "closed"), ({"ends_at": '"2026-12-01 12:00"'}, "closed")]
)
def test_no_form_lets_anybody_into_a_journey_that_takes_nobody(entry, a_fact, keys, reason):
    made = journey(STEPS, entry=entry, **keys)

    assert refused(enter(made, a_fact)) == reason


def test_a_journey_takes_people_until_its_end():
    made = journey(STEPS, ends_at='"2026-12-01 12:01"')

    assert entered(enter(made, fact())).status == LIVE


def test_where_refuses_with_the_clause_and_the_values():
    made = journey(STEPS, entry="{event: order_paid, where: event.amount >= 30 and user.city == '上海'}")

    refusal = enter(made, by_event("order_paid", amount=20), user=somebody(city="上海"))

    assert refused(refusal) == "where"
    assert refusal.why["clause"] == "event.amount >= 30 and user.city == '上海'"
    assert refusal.why["values"] == {"event.amount": 20, "user.city": "上海"}
    assert entered(enter(made, by_event("order_paid", amount=30), user=somebody(city="上海")))


def test_where_of_a_schedule_looks_at_the_user_alone():
    made = journey(STEPS, entry="{schedule: 0 9 * * 5, where: user.city == '上海'}")

    assert refused(enter(made, fact(kind="schedule"))) == "where"
    assert entered(enter(made, fact(kind="schedule"), user=somebody(city="上海")))


# --- re-entry

REENTRY = [
    ("once", 1000 * DAY, "reentry"),  # once is once
    ("always", 0, None),
    ("{after: 60d}", 60 * DAY - 1, "reentry"),
    ("{after: 60d}", 60 * DAY, None),  # counted from the last entry
]


@pytest.mark.parametrize(("reentry", "later", "reason"), REENTRY)
def test_reentry_counts_from_the_last_entry(reentry, later, reason):
    made = journey(STEPS, entry=f"{{api: true, reentry: {reentry}}}")
    before = ended(entered(enter(made, fact())))

    again = enter(made, fact(NOON + later, "f2"), before)

    if reason is None:
        assert entered(again).entered_at == NOON + later
    else:
        assert refused(again) == reason
        assert again.why["last_entry"] == NOON


def test_a_schedule_and_an_anniversary_let_people_in_again_unless_the_file_says_otherwise():
    weekly = journey(STEPS, entry="{schedule: 0 9 * * 5}")
    yearly = journey(STEPS, entry="{date: user.birthday}")
    appointment = journey(STEPS, entry="{date: user.booked_at}")

    assert [j.entry.reentry for j in (weekly, yearly, appointment)] == ["always", "always", "once"]


# --- mode and subject


def test_while_one_is_live_single_refuses_another():
    made = journey(STEPS, entry="{api: true, reentry: always}")
    live = entered(enter(made, fact()))

    refusal = enter(made, fact(NOON + DAY, "f2"), live)

    assert refused(refusal) == "mode"
    assert refusal.why["inside_since"] == NOON


def test_restart_ends_the_live_one_and_lets_the_new_one_in():
    made = journey(STEPS, entry="{api: true, reentry: always, mode: restart}")
    live, over = entered(enter(made, fact())), ended(entered(enter(made, fact(id_="f0"))))

    again = enter(made, fact(NOON + DAY, "f2"), live, over)

    assert entered(again).entered_at == NOON + DAY
    assert again.restarted == (live,)


def test_parallel_lets_in_beside_a_live_one():
    made = journey(STEPS, entry="{api: true, reentry: always, mode: parallel}")
    live = entered(enter(made, fact()))

    again = enter(made, fact(NOON + DAY, "f2"), live)

    assert entered(again).key != live.key
    assert again.restarted == ()


def test_mode_and_reentry_count_per_subject():
    made = journey(STEPS, entry="{event: group_opened, subject: group_id}")
    first = entered(enter(made, by_event(group_id="g1")))

    other = enter(made, by_event(id_="e2", group_id="g2"), first)
    same = enter(made, by_event(id_="e3", group_id="g1"), first)

    assert entered(other).subject == "g2"
    assert refused(same) == "mode"
    assert same.why["subject"] == "g1"
    assert refused(enter(made, by_event(id_="e3", group_id="g1"), ended(first))) == "reentry"


def test_the_same_fact_enters_once():
    made = journey(STEPS, entry="{api: true, reentry: always, mode: parallel}")
    first = entered(enter(made, fact()))

    assert refused(enter(made, fact(), first)) == "duplicate"


def test_a_fact_that_let_her_in_under_a_former_id_does_not_let_her_in_again():
    made = journey(STEPS, entry="{api: true, reentry: always}")
    before = ended(entered(enter(made, fact(), user=somebody("openid:o1"))))
    merged = somebody()
    merged.profile["m"] = ["openid:o1"]

    assert refused(enter(made, fact(), replace(before, user_id="u1"), user=merged)) == "duplicate"
    assert entered(enter(made, fact(id_="f2"), replace(before, user_id="u1"), user=merged)).user_id == "u1"


def test_a_held_out_user_is_inside_too():
    made = journey(STEPS, entry="{api: true, reentry: always}", goal=GOAL, holdout="100%")
    held = entered(enter(made, fact()))

    assert refused(enter(made, fact(NOON + DAY, "f2"), held)) == "mode"


# --- hold-outs


def test_the_held_out_wait_for_the_end_of_the_goals_window_and_take_no_step():
    made = journey(STEPS, goal=GOAL, holdout="100%")

    held = entered(enter(made, fact()))

    assert (held.state, held.status, held.due_at) == ("$held_out", HELD_OUT, NOON + 14 * DAY)


def test_the_held_out_leave_when_the_journey_ends_before_the_goals_window():
    made = journey(STEPS, goal=GOAL, holdout="100%", ends_at='"2026-12-05 00:00"')

    assert entered(enter(made, fact())).due_at == at("2026-12-05 00:00")


def test_the_share_of_the_held_out_is_about_what_the_file_says_and_raising_it_only_adds():
    people = [User(f"user-{n}", ZONE) for n in range(20_000)]
    shares = {share: journey(STEPS, goal=GOAL, holdout=f"{share}%") for share in (0, 0.5, 10, 50, 100)}

    held = {share: {u.id for u in people if held_out(made, u.id)} for share, made in shares.items()}

    assert not held[0]
    assert len(held[100]) == len(people)
    assert held[0.5] < held[10] < held[50]
    assert abs(len(held[0.5]) / len(people) - 0.005) < 0.002
    assert abs(len(held[10]) / len(people) - 0.10) < 0.01
    assert abs(len(held[50]) / len(people) - 0.50) < 0.015


def test_journeys_hold_out_different_people():
    people = [User(f"user-{n}", ZONE) for n in range(5000)]
    first, second = (journey(STEPS, id=id_, goal=GOAL, holdout="50%") for id_ in ("first", "second"))

    both = sum(1 for u in people if held_out(first, u.id) and held_out(second, u.id))

    assert abs(both / len(people) - 0.25) < 0.03


def test_the_projects_hold_out_refuses_and_always_the_same_people():
    made = journey(STEPS)
    people = [somebody(f"user-{n}") for n in range(3000)]

    refusals = {u.id for u in people if not hasattr(enter(made, fact(), user=u, project_holdout=1000), "enrolment")}
    more = {u.id for u in people if not hasattr(enter(made, fact(), user=u, project_holdout=2000), "enrolment")}

    assert refused(enter(made, fact(), user=somebody(min(refusals)), project_holdout=1000)) == "holdout"
    assert refusals < more
    assert abs(len(refusals) / len(people) - 0.1) < 0.03


def test_a_rehearsal_decides_the_hold_out_itself():
    made = journey(STEPS, goal=GOAL, holdout="50%")

    inside = entered(enter(made, replace(fact(), forced="in"), project_holdout=10_000))
    outside = entered(enter(made, replace(fact(), forced="out")))

    assert (inside.status, outside.status) == (LIVE, HELD_OUT)


def test_an_entry_is_logged_with_what_let_the_user_in():
    made = journey(STEPS, entry="{segment: buyers, existing: skip, where: user.city == '上海'}")
    user = somebody(city="上海")
    user.profile["a"] = {"orders_count": 3}

    (line,) = enter(made, fact(kind="segment", id_="buyers@1"), user=user).log

    assert (line.action, line.at) == ("entered", NOON)
    assert line.why["fact"] == "segment"
    assert line.why["segment"] == "buyers"
    assert line.why["values"] == {"user.orders_count": 3}
    assert line.why["where_values"] == {"user.city": "上海"}


# --- dates

NEW_YORK = ZoneInfo("America/New_York")
DATES = [
    # a birthday to come, and one that has passed this year
    ("date: user.birthday", {"birthday": "12-21"}, "2026-12-01 12:00", "2026-12-21 00:00"),
    ("date: user.birthday", {"birthday": "06-15"}, "2026-12-01 12:00", "2027-06-15 00:00"),
    # 29 February is the 28th in a year without one
    ("date: user.birthday", {"birthday": "02-29"}, "2026-12-01 12:00", "2027-02-28 00:00"),
    ("date: user.birthday", {"birthday": "02-29"}, "2027-12-01 12:00", "2028-02-29 00:00"),
    # at a time of day
    ('date: user.birthday, at: "09:30"', {"birthday": "12-21"}, "2026-12-01 12:00", "2026-12-21 09:30"),
    # on the day itself: before the time it fires today, at the time next year
    ('date: user.birthday, at: "09:30"', {"birthday": "12-21"}, "2026-12-21 09:29", "2026-12-21 09:30"),
    ('date: user.birthday, at: "09:30"', {"birthday": "12-21"}, "2026-12-21 09:30", "2027-12-21 09:30"),
    # an offset, over the turn of the year
    ('date: user.birthday, offset: -3d, at: "09:30"', {"birthday": "01-02"}, "2026-12-01 12:00", "2026-12-30 09:30"),
    ('date: user.birthday, offset: 5d, at: "09:30"', {"birthday": "12-29"}, "2026-12-31 12:00", "2027-01-03 09:30"),
    # three days before 29 February
    ('date: user.birthday, offset: -3d, at: "09:30"', {"birthday": "02-29"}, "2027-12-31 12:00", "2028-02-26 09:30"),
    # a time fires once, with its offset
    ("date: user.booked_at, offset: -2h", {"booked_at": at("2026-12-05 14:00")}, "2026-12-01 12:00", "2026-12-05 12:00"),
    ('date: user.booked_at, offset: -1d, at: "18:00"', {"booked_at": at("2026-12-05 14:00")}, "2026-12-01 12:00", "2026-12-04 18:00"),
    ("date: user.booked_at", {"booked_at": at("2026-12-05 14:00")}, "2026-12-05 14:00", None),
    # nothing known, nothing fires
    ("date: user.birthday", {}, "2026-12-01 12:00", None),
    ("date: user.booked_at", {}, "2026-12-01 12:00", None),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "values", "after", "expected"), DATES)
def test_the_next_date_is_as_the_table_says(entry, values, after, expected):
    made = journey(STEPS, entry=f"{{{entry}}}")
    facts = UserFacts(audience(), somebody(**values), at(after))

    fire = next_date(made, facts, at(after))

    assert (fire and fire.at) == (at(expected) if expected else None)


def test_a_birthday_begins_on_the_users_own_clock():
    made = journey(STEPS, entry='{date: user.birthday, at: "09:30"}')
    facts = UserFacts(audience(), somebody(zone=NEW_YORK, birthday="12-21"), NOON)

    assert next_date(made, facts, NOON) == (at("2026-12-21 09:30", NEW_YORK), "date@2026")


@given(
    day=st.dates().map(lambda d: f"{d.month:02d}-{d.day:02d}"), offset=st.integers(-10, 10), clock=st.integers(0, 1439),
    zone=st.sampled_from([ZONE, NEW_YORK, ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")]),
    after=st.integers(at("2026-01-01 00:00"), at("2030-01-01 00:00")),
)  # fmt: skip
def test_an_anniversary_fires_once_a_year_never_skipping_one(day, offset, clock, zone, after):
    made = journey(STEPS, entry=f'{{date: user.birthday, offset: {offset}d, at: "{clock // 60:02d}:{clock % 60:02d}"}}')
    facts = UserFacts(audience(), somebody(zone=zone, birthday=day), after)

    found, moment = [], after
    for _ in range(4):
        found.append(next_date(made, facts, moment))
        moment = found[-1].at
    fires = [fire.at for fire in found]

    assert [int(fire.id.removeprefix("date@")) for fire in found] == list(range(int(found[0].id[5:]), int(found[0].id[5:]) + 4))
    assert after < fires[0] <= after + 367 * DAY
    assert all(363 * DAY < later - earlier < 368 * DAY for earlier, later in pairwise(fires))
    wall = to_datetime(fires[0], zone)
    assert abs(wall.hour * 60 + wall.minute - clock) <= 60, "the clock on the wall, or the minute after a gap"
    assert to_datetime(fires[0] + HOUR, zone)


# --- pace

PACED = "{segment: buyers, existing: skip, pace: 2 per 36h}"
EDGE = fact(kind="segment", id_=f"buyers@{NOON}")


def test_a_paced_journey_takes_as_many_as_its_window_has_room_for():
    made = journey(STEPS, entry=PACED)

    assert entered(enter(made, EDGE, window=Window(NOON, NOON + 36 * HOUR, 1))).status == LIVE
    assert enter(made, EDGE) == NeedsWindow(), "the window is asked for"


def test_who_is_beyond_the_pace_is_told_when_the_next_window_begins():
    refusal = enter(journey(STEPS, entry=PACED), EDGE, window=Window(NOON - HOUR, NOON + 35 * HOUR, 2))

    assert refused(refusal) == "pace"
    assert refusal.why == {"fact": "segment", "pace": "2 per 1d12h", "window_from": NOON - HOUR, "again_from": NOON + 35 * HOUR}


def test_a_pace_that_was_lowered_within_its_window_lets_nobody_in():
    assert refused(enter(journey(STEPS, entry=PACED), EDGE, window=Window(NOON, NOON + DAY, 7))) == "pace"


@pytest.mark.parametrize("window", [None, Window(NOON, NOON + DAY, 2)], ids=["nobody asks for the window", "nor is it the reason"])
def test_every_other_reason_to_refuse_comes_before_the_pace(window):
    inside = entered(enter(journey(STEPS), fact(NOON - DAY)))
    made = journey(STEPS, entry=PACED)

    reasons = [
        enter(journey(STEPS, entry=PACED, status="closed"), EDGE, window=window),
        enter(journey(STEPS, entry=PACED.replace("pace", "where: user.city == '上海', pace")), EDGE, window=window),
        enter(made, EDGE, window=window, project_holdout=10_000),
        enter(made, EDGE, inside, window=window),
        enter(made, EDGE, ended(inside), window=window),
        enter(made, EDGE, replace(ended(inside), key=stable_key("j", "u1", "", EDGE.id)), window=window),
    ]

    assert [refused(reason) for reason in reasons] == ["closed", "where", "holdout", "mode", "reentry", "duplicate"]


def test_who_is_held_out_of_a_journey_that_measures_nothing_is_held_no_longer_than_a_moment():
    made = enrolment_of(journey(STEPS), 1, "u1", "", "k", fact(), held=True)

    assert (made.status, made.due_at) == (HELD_OUT, NOON)
