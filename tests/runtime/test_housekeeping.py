"""Events that nothing needs any more go, a few at a time; those that a window, an aggregate, a timer or the inbox needs stay."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from journeys.values import parse_time
from runtime.facts import UserFacts
from runtime.housekeeping import EVERY, Housekeeping, Sweeping
from runtime.intake.items import Reader
from runtime.profile import SLACK
from runtime.rounds import Worked
from runtime.state import Fact
from runtime.store.inbox import Quarantined
from runtime.store.movements import Pause
from runtime.store.tables import events, users
from tests.town import AUDIENCE, DAY, HOUR, NOON, ZONE, Town, audience, event, journey_text

WATCHING = AUDIENCE.replace("traits:\n", "traits:\n  opens_9d: {type: number, count: app_opened, within: 9d}\n")
KEEP = 30 * DAY
LONG_AGO = NOON - 400 * DAY


def town_of(store, *texts, now=NOON, events_of=(), audience_text=WATCHING):
    town = Town(store, *texts, audience_text=audience_text, applied_at=LONG_AGO - DAY)
    for one in events_of:
        town.post(one)
    town.think(now)
    return town


def kept(town):
    with town.store.database.reading() as tx:
        return list(tx.execute(select(events.c.event_id).order_by(events.c.id)).scalars())


def swept(town, now=NOON, keep=KEEP):
    housekeeping = Housekeeping(town.store, town.engine, keep)
    while housekeeping.turn(now):
        pass
    return kept(town)


def aged(name, days, type_="friend_woken"):
    return event(type_, NOON - days * DAY, id=name)


def test_what_is_old_and_needed_by_nothing_goes(store):
    town = town_of(store, events_of=[aged("old", 32), aged("a day more", 31), aged("young", 1)])

    assert swept(town) == ["a day more", "young"]


def test_without_the_key_everything_is_kept(store):
    town = town_of(store, events_of=[aged("old", 399)])

    assert swept(town, keep=0) == ["old"]


def test_what_an_aggregate_without_a_window_reads_stays_for_ever(store):
    town = town_of(store, events_of=[aged("order", 399, "order_paid"), aged("old", 399)])
    town.tell("u1", LONG_AGO, tags=["vip"])
    town.think(NOON)

    assert [name.rstrip("0123456789") for name in swept(town)] == ["order", "r"]


@pytest.mark.parametrize("kind", ["trait", "journey", "older version"])
def test_what_the_longest_window_reads_stays_as_long_as_it(store, kind):
    asks = journey_text("- id: w\n  delay: 90d\n- id: h\n  if: count('app_opened', within='60d') > 1\n  exit: done", entry="{api: true}")
    text = WATCHING.replace("9d", "60d") if kind == "trait" else WATCHING
    edge = [event("app_opened", NOON - 60 * DAY - SLACK + n, id=name) for n, name in enumerate(("out", "edge"))]
    town = town_of(store, *([] if kind == "trait" else [asks]), events_of=[*edge, aged("old", 61)], audience_text=text)
    if kind == "older version":
        town.engine.enter_one("u1", "j", Fact("api", "call", NOON - HOUR), NOON - HOUR)
        town.apply(audience_text=text, now=NOON)

    assert swept(town, NOON + 1) == ["edge"]


def test_what_is_not_projected_yet_stays_and_goes_when_it_is(store):
    town = town_of(store)
    town.post(aged("waiting", 99))
    housekeeping = Housekeeping(town.store, town.engine, KEEP)

    housekeeping.turn(NOON)
    assert kept(town) == ["waiting"]

    town.think(NOON)
    housekeeping.turn(NOON + EVERY)
    assert kept(town) == []


LOOKS_BACK = journey_text(
    "- id: d\n  delay: 1d\n- id: w\n  wait_for: {event: friend_woken, timeout: 60d}\n- id: h\n  if: not steps.w.timed_out\n"
    "  send: [{push: {title: T, body: B}}]", entry="{event: app_opened}",
)  # fmt: skip


def test_what_a_step_may_look_back_on_after_a_pause_stays(store):
    town = town_of(store, LOOKS_BACK, now=NOON - 40 * DAY, events_of=[aged("opened", 40, "app_opened")])
    store.database.write(lambda tx: store.movements.pause(tx, Pause("j", NOON - 40 * DAY, "me", "wrong coupon")))
    town.post(aged("woken", 38))
    town.think(NOON - 38 * DAY)

    assert "woken" in swept(town)
    store.database.write(lambda tx: store.movements.resume(tx, "j", NOON, "me"))
    town.think(NOON)
    assert [action for action, step in town.actions() if step == "w"] == ["waits", "matched"]


def test_what_an_overdue_step_may_still_look_back_on_stays(store):
    town = town_of(store, LOOKS_BACK, now=NOON - 40 * DAY, events_of=[aged("opened", 40, "app_opened")])
    town.post(aged("woken", 38))
    town.engine._project(NOON, 100, Worked())  # it is, while the timer was not fired

    assert "woken" in swept(town)
    town.think(NOON)
    assert [action for action, step in town.actions() if step == "w"] == ["waits", "matched"]


def test_a_sweep_is_made_of_short_turns_and_rests_for_an_hour(store):
    town = town_of(store, events_of=[aged(f"e{n}", 99) for n in range(5)])
    housekeeping = Housekeeping(town.store, town.engine, KEEP, 2)
    turns = [housekeeping.turn(NOON) for _ in range(3)]

    assert (turns, kept(town)) == ([2, 2, 0], [])
    town.post(aged("later", 99))
    town.think(NOON)
    assert (housekeeping.turn(NOON + EVERY - 1), kept(town)) == (0, ["later"])
    assert (housekeeping.turn(NOON + EVERY), kept(town)) == (0, [])


# --- what was set aside


def aside(store, *days, source="shop", kind="event"):
    """Set these aside so many days ago."""
    for ago in days:
        item = Quarantined(source, "bad", f"{ago} days", "", kind)
        store.database.write(lambda tx, item=item, ago=ago: store.inbox.quarantine(tx, [item], NOON - ago * DAY))


def left_aside(store):
    with store.database.reading() as tx:
        return [row.body for row in store.quarantine.rows(tx, store.quarantine.ids(tx))]


def test_what_was_set_aside_goes_when_it_is_old_and_the_log_says_how_much_of_whom(store):
    aside(store, 95, 91)
    aside(store, 91, source="device", kind="request")
    aside(store, 90, 1)

    with capture_logs() as logged:
        turns = [Sweeping(store, 90 * DAY).turn(NOON)]

    assert (turns, left_aside(store)) == ([0], ["90 days", "1 days"])
    assert [(line["action"], line["count"], line["sources"], line["kept_days"]) for line in logged] == [
        ("quarantine_swept", 3, {"device": 1, "shop": 2}, 90)
    ]


def test_nothing_is_said_where_nothing_goes(store):
    aside(store, 1)

    with capture_logs() as logged:
        Sweeping(store, 90 * DAY).turn(NOON)

    assert (logged, left_aside(store)) == ([], ["1 days"])


def test_who_stands_still_stays_however_long_it_is(store):
    aside(store, 300, kind="enrolment")
    aside(store, 299, kind="recheck")
    aside(store, 298)

    Sweeping(store, 90 * DAY).turn(NOON)

    assert left_aside(store) == ["300 days", "299 days"]


def test_the_old_is_swept_in_short_turns_and_looked_for_again_after_an_hour(store):
    aside(store, 99, 98, 97, 96, 95, 1)
    sweeping = Sweeping(store, 90 * DAY, 2)

    with capture_logs() as logged:
        turns = [sweeping.turn(NOON) for _ in range(4)]
    aside(store, 94)

    assert (turns, [line["count"] for line in logged], left_aside(store)) == ([2, 2, 0, 0], [5], ["1 days", "94 days"])
    assert (sweeping.turn(NOON + EVERY - 1), left_aside(store)) == (0, ["1 days", "94 days"])
    assert (sweeping.turn(NOON + 89 * DAY + 1), left_aside(store)) == (2, [])


def test_what_has_gone_is_logged_also_while_a_long_sweep_goes_on(store, monkeypatch):
    monkeypatch.setattr("runtime.housekeeping.TOLD_AT", 2)
    aside(store, *[99] * 5)
    sweeping = Sweeping(store, 90 * DAY, 1)

    with capture_logs() as logged:
        while sweeping.turn(NOON):
            pass

    assert [line["count"] for line in logged] == [2, 2, 1]


# --- what comes again after it was forgotten


def read(*items, keep=KEEP):
    reader = Reader("shop", ["*"], audience(WATCHING), ZONE, NOON, "r1", keep=keep)
    parsed = reader.events([{"user_id": "u1", **item} for item in items])
    return [e.id for e in parsed.events], [q.reason for q in parsed.quarantined]


def test_an_event_older_than_what_is_kept_is_set_aside_unless_its_type_is_kept_for_ever():
    taken, refused = read(
        {"id": "old", "type": "app_opened", "time": "2026-11-01T11:59:59+08:00"},
        {"id": "edge", "type": "app_opened", "time": "2026-11-01T12:00:00+08:00"},
        {"id": "order", "type": "order_paid", "time": "2025-01-01"},
    )

    assert taken == ["edge", "order"]
    assert refused == ["time: 2026-11-01T11:59:59+08:00 is older than keep_events: whether it came before is not known any more"]


def test_without_the_key_any_age_is_taken():
    assert read({"id": "old", "type": "app_opened", "time": "1999-01-01"}, keep=0) == (["old"], [])


# --- the property

_people = count(1)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    opened=st.lists(st.tuples(st.integers(0, 40 * 24), st.integers(0, 30 * 24)), max_size=10),  # hours after the begin, and late by so many
    keep=st.integers(1, 20),
    sweeps=st.sets(st.integers(0, 45 * 24), max_size=5),
)
def test_no_event_comes_twice_and_no_window_misses_one_whatever_is_swept_when(store, opened, keep, sweeps):
    who, begin = f"p{next(_people)}", NOON
    town = Town(store, audience_text=WATCHING + f"# {who}", applied_at=begin - DAY)
    store.database.write(lambda tx: (tx.execute(delete(events)), tx.execute(delete(users))))
    counted = {}
    for hour in sorted({*(h for h, _ in opened), *sweeps, 45 * 24}):
        now = begin + hour * HOUR
        reader = Reader("shop", ["*"], town.engine.catalogue.audience, ZONE, now, "r", keep=keep * DAY)
        for n, (at, late) in enumerate(opened):
            if at <= hour:  # it comes, and comes again with everything that follows
                item = {"id": f"{who}-{n}", "type": "app_opened", "user_id": who, "time": (begin + (at - late) * HOUR) // 1000}
                for one in reader.events(item).events:
                    counted[n] = counted.get(n, 0) + town.post(one)
        town.think(now)
        if hour in sweeps:
            swept(town, now, keep * DAY)

    assert set(counted.values()) <= {1}
    times = [parse_time((begin + (at - late) * HOUR) // 1000, ZONE) for n, (at, late) in enumerate(opened) if n in counted]
    assert town.engine.rebuild("", now, check=True).differences == []
    with store.database.reading() as tx:
        user = store.people.load_users(tx, [who]).get(who)
    if user is not None:
        assert UserFacts(town.engine.catalogue.audience, user, now).trait("opens_9d") == sum(now - 9 * DAY < t <= now for t in times)
        town.engine.rebuild("", now)
        with store.database.reading() as tx:
            anew = store.people.load_users(tx, [who])[who]
        assert UserFacts(town.engine.catalogue.audience, anew, now).trait("opens_9d") == sum(now - 9 * DAY < t <= now for t in times)


def test_what_is_declared_after_its_events_have_gone_counts_only_those_that_are_left(store):
    """Why `plan` warns of it."""
    town = town_of(store, events_of=[aged(f"w{days}", days) for days in (50, 40, 20)], audience_text=AUDIENCE)
    assert swept(town) == ["w20"]

    town.apply(
        audience_text=AUDIENCE.replace("traits:\n", "traits:\n  woken: {type: number, count: friend_woken, within: 60d}\n"), now=NOON
    )
    town.think(NOON)

    with town.store.database.reading() as tx:
        user = town.store.people.load_users(tx, ["u1"])["u1"]
    assert UserFacts(town.engine.catalogue.audience, user, NOON).trait("woken") == 1
