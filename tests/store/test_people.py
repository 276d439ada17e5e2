"""Users and enrolments: claims, the one live enrolment, and what is kept about people."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from runtime.state import ENDED, HELD_OUT, LIVE, Enrolment, LogEntry, NewMessage, Refusal
from runtime.store import open_store
from runtime.store.people import Logged
from tests.town import DAY, HOUR, NOON, ZONE, event, somebody


def enrolment(key="k1", *, user="u1", journey="j", version=1, due=NOON, status=LIVE, subject="", **keys):
    return Enrolment(key, journey, version, user, subject, "a", status, due, NOON, NOON, **keys)


def add(store, *enrolments, parallel=False):
    def unit(tx):
        store.people.save_users(tx, [somebody(e.user_id) for e in enrolments])
        return [store.people.add_enrolment(tx, e, parallel=parallel) for e in enrolments]

    return store.database.write(unit)


def claim(store, versions=(1,), now=NOON, limit=100):
    with store.database.batch() as batch:
        return store.people.claim_due(batch.connection, dict.fromkeys(versions, 1 / max(len(versions), 1)), now, limit)


def keys(claimed):
    return [e.key for e, _ in claimed]


# --- users


def test_a_user_comes_back_as_she_was_saved(store):
    user = somebody("u1", zone=ZoneInfo("Europe/Berlin"), tags=["vip"], city="上海", points=1.5)
    user.profile["h"] = {"order_paid": [[NOON, "abc", {"amount": 3}]]}
    user.segments, user.stage, user.audience = {"buyers": ["d", True]}, "buying", "digest"
    user.recheck_at, user.evaluated_at = NOON + DAY, NOON

    store.database.write(lambda tx: store.people.save_users(tx, [user]))
    with store.database.reading() as tx:
        found = store.people.load_users(tx, ["u1"])["u1"]

    assert found == user


def test_saving_a_user_again_writes_over_the_first(store):
    user = somebody("u1", city="上海")
    store.database.write(lambda tx: store.people.save_users(tx, [user, somebody("u2")]))

    user.profile["p"]["city"] = "北京"
    store.database.write(lambda tx: store.people.save_users(tx, [user]))

    with store.database.reading() as tx:
        found = store.people.load_users(tx, ["u1", "u2"])
    assert found["u1"].profile["p"] == {"city": "北京"}
    assert found["u1"].zone is ZONE or found["u1"].zone.key == ZONE.key
    assert len(found) == 2


def test_rechecks_come_oldest_first_without_those_who_have_work_in_the_inbox(store):
    people = [somebody(f"u{n}") for n in range(4)]
    for n, user in enumerate(people):
        user.recheck_at = NOON - n
    people[3].recheck_at = None
    store.database.write(lambda tx: store.people.save_users(tx, people))
    store.database.write(lambda tx: store.inbox.add_events(tx, "s", [event("app_opened", NOON, user="u1")]))

    with store.database.batch() as batch:
        due = store.people.due_rechecks(batch.connection, NOON, 10)

    assert [u.id for u in due] == ["u2", "u0"]


def test_a_new_audience_has_everybody_evaluated_again_who_was_not_evaluated_under_it(store):
    old, new = somebody("u1"), somebody("u2")
    old.audience, new.audience = "old", "new"
    store.database.write(lambda tx: store.people.save_users(tx, [old, new]))

    store.database.write(lambda tx: store.people.recheck_stale(tx, "new", NOON))

    with store.database.batch() as batch:
        assert [u.id for u in store.people.due_rechecks(batch.connection, NOON, 10)] == ["u1"]


def test_users_are_walked_in_the_order_of_their_ids(store):
    store.database.write(lambda tx: store.people.save_users(tx, [somebody(u) for u in ("b", "a", "c")]))

    with store.database.batch() as batch:
        first = [u.id for u in store.people.users_after(batch.connection, "", 2)]
        rest = [u.id for u in store.people.users_after(batch.connection, first[-1], 2)]

    assert (first, rest) == (["a", "b"], ["c"])


# --- claims


def test_due_enrolments_are_claimed_oldest_first_with_their_users(store):
    add(store, enrolment("k1", user="u1"), enrolment("k2", user="u2", due=NOON - HOUR), enrolment("k3", user="u3", due=NOON + 1),
        enrolment("k4", user="u4", due=None))  # fmt: skip

    claimed = claim(store)

    assert [(e.key, u.id) for e, u in claimed] == [("k2", "u2"), ("k1", "u1")]
    assert claimed[0][1].reach == somebody("u2").reach


def test_users_with_events_in_the_inbox_are_left_out(store):
    add(store, enrolment("k1", user="u1"), enrolment("k2", user="u2"))
    store.database.write(lambda tx: store.inbox.add_events(tx, "s", [event("app_opened", NOON, user="u1")]))

    assert keys(claim(store)) == ["k2"]


def test_every_version_has_its_share_of_a_batch(store):
    crowd = [enrolment(f"a{n:03}", user=f"a{n}", journey="crowd", version=1, due=NOON - DAY) for n in range(60)]
    few = [enrolment(f"b{n}", user=f"b{n}", journey="few", version=2, due=NOON - HOUR) for n in range(3)]
    add(store, *crowd, *few)

    claimed = keys(claim(store, (1, 2), limit=50))

    assert {k for k in claimed if k[0] == "b"} == {"b0", "b1", "b2"}
    assert len(claimed) <= 50


def test_only_the_versions_asked_for_are_claimed(store):
    add(store, enrolment("k1", version=1), enrolment("k2", user="u2", version=2))

    assert keys(claim(store, (2,))) == ["k2"]
    assert keys(claim(store, ())) == []


def test_two_daemons_on_postgresql_never_claim_the_same_user(new_postgres):
    first, second = open_store(new_postgres, ZONE, "daemon"), open_store(new_postgres, ZONE, "daemon")
    add(first, *(enrolment(f"k{n}", user=f"u{n}", due=NOON + n) for n in range(6)))

    with first.database.batch() as one, second.database.batch() as two:
        mine = first.people.claim_due(one.connection, {1: 1}, NOON + DAY, 3)
        theirs = second.people.claim_due(two.connection, {1: 1}, NOON + DAY, 100)

    assert len(mine) == 3
    assert not {u.id for _, u in mine} & {u.id for _, u in theirs}
    assert len(theirs) == 3
    assert len(keys(claim(second, now=NOON + DAY))) == 6, "the locks are gone with the transactions"
    first.close()
    second.close()


def test_two_daemons_on_postgresql_never_project_the_same_user(new_postgres):
    first, second = open_store(new_postgres, ZONE, "daemon"), open_store(new_postgres, ZONE, "daemon")
    first.database.write(lambda tx: first.inbox.add_events(tx, "s", [event("app_opened", NOON, user=f"u{n % 3}") for n in range(6)]))

    with first.database.batch() as one, second.database.batch() as two:
        mine = first.inbox.waiting(one.connection, 2)
        theirs = second.inbox.waiting(two.connection, 100)

    assert {n.user_id for n in mine} == {"u0", "u1"}
    assert {n.user_id for n in theirs} == {"u2"}
    first.close()
    second.close()


# --- enrolments


def test_an_enrolment_comes_back_as_it_was_written(store):
    wanted = enrolment("k1", goal_until=NOON + DAY, context={"entry": {"item": "蛋"}, "steps": {"a": {"sent": True}}})

    (id_,) = add(store, wanted)
    with store.database.reading() as tx:
        found = store.people.enrolment(tx, id_)

    assert found == replace(wanted, id=id_)


def test_a_key_enters_once_and_only_one_is_live_per_journey_user_and_subject(store):
    (first,) = add(store, enrolment("k1"))

    assert add(store, enrolment("k1", due=NOON + 1)) == [None]
    assert add(store, enrolment("k2")) == [None]
    assert add(store, enrolment("k3", status=HELD_OUT)) == [None]
    assert None not in add(store, enrolment("k4", subject="g1"), enrolment("k5", journey="other"), enrolment("k6", user="u2"))

    store.database.write(lambda tx: store.people.save_enrolments(tx, [enrolment("k1", id=first, status=ENDED, due=None)]))
    assert None not in add(store, enrolment("k2"))


def test_parallel_enrolments_live_beside_each_other(store):
    made = add(store, enrolment("k1"), enrolment("k2"), parallel=True)

    assert None not in made
    assert add(store, enrolment("k1"), parallel=True) == [None]


def test_a_refused_enrolment_leaves_the_transaction_usable(store):
    add(store, enrolment("k1"))

    def unit(tx):
        none = store.people.add_enrolment(tx, enrolment("k2"), parallel=False)
        store.people.write_log(tx, [Logged("u1", None, [LogEntry(NOON, "after")])], NOON)
        return none

    assert store.database.write(unit) is None
    with store.database.reading() as tx:
        assert len(store.reports.story(tx, "u1").log) == 1


def test_changes_are_written_and_what_does_not_change_stays(store):
    (id_,) = add(store, enrolment("k1", subject="g", goal_until=NOON + DAY))
    changed = enrolment(
        "k1", subject="g", goal_until=NOON + DAY, id=id_, due=None, status=ENDED, ended_at=NOON + 1, ended_by="completed", converted_at=NOON
    )
    changed.state, changed.begun_at, changed.context = "$ended", NOON + 1, {"steps": {}}

    store.database.write(lambda tx: store.people.save_enrolments(tx, [changed]))

    with store.database.reading() as tx:
        assert store.people.enrolment(tx, id_) == changed


def test_open_enrolments_are_those_inside_and_those_whose_goal_still_counts(store):
    ended = {"status": ENDED, "due": None, "ended_at": NOON, "ended_by": "completed"}
    add(
        store, enrolment("live"), enrolment("held", journey="h", status=HELD_OUT), enrolment("over", journey="o", **ended),
        enrolment("measuring", journey="m", goal_until=NOON + DAY, **ended), enrolment("measured", journey="n", goal_until=NOON - 1, **ended),
        enrolment("converted", journey="c", goal_until=NOON + DAY, converted_at=NOON, **ended), enrolment("other", user="u2"),
    )  # fmt: skip

    with store.database.reading() as tx:
        found = store.people.open_enrolments(tx, ["u1"], NOON)

    assert [e.key for e in found["u1"]] == ["live", "held", "measuring"]


def test_past_entries_are_all_of_them_for_the_journeys_asked_for(store):
    add(store, enrolment("k1", status=ENDED, due=None), enrolment("k2"), enrolment("k3", journey="other"))

    with store.database.reading() as tx:
        found = store.people.past_entries(tx, ["u1"], ["j"])

    assert {(e.key, e.status, e.entered_at) for e in found["u1"]} == {("k1", ENDED, NOON), ("k2", LIVE, NOON)}


def test_the_next_due_moment_is_the_earliest_timer_or_recheck(store):
    with store.database.reading() as tx:
        assert store.people.next_due(tx, [1]) is None
    add(store, enrolment("k1", due=NOON + 5), enrolment("k2", user="u2", version=2, due=NOON + 3))

    with store.database.reading() as tx:
        assert store.people.next_due(tx, [1]) == NOON + 5
        assert store.people.next_due(tx, [1, 2]) == NOON + 3
    watched = somebody("u3")
    watched.recheck_at = NOON + 1
    store.database.write(lambda tx: store.people.save_users(tx, [watched]))
    with store.database.reading() as tx:
        assert store.people.next_due(tx, [1, 2]) == NOON + 1


def test_an_enrolment_that_is_held_back_is_not_claimed_again(store):
    (id_,) = add(store, enrolment("k1"))

    store.database.write(lambda tx: store.people.hold_back(tx, id_))

    assert claim(store) == []


# --- what is kept


def test_refusals_are_counted_and_the_latest_reason_is_kept(store):
    refusals = [Refusal("j", "u1", "reentry", NOON + n, {"n": n}) for n in range(3)] + [Refusal("j", "u1", "mode", NOON)]

    for refusal in refusals:
        store.database.write(lambda tx, refusal=refusal: store.people.write_refusals(tx, [refusal]))

    with store.database.reading() as tx:
        kept = store.reports.story(tx, "u1").refusals
    assert [(r["reason"], r["times"], r["last_at"], r["why"]) for r in kept] == [("mode", 1, NOON, {}), ("reentry", 3, NOON + 2, {"n": 2})]


def test_tallies_add_up_over_writes_and_days(store):
    store.database.write(lambda tx: store.people.add_tallies(tx, {("j", 1, "entered", "treated"): 2, ("j", 2, "entered", "treated"): 1}))
    store.database.write(lambda tx: store.people.add_tallies(tx, {("j", 1, "entered", "treated"): 3, ("k", 1, "ended", "late"): 1}))
    store.database.write(lambda tx: store.people.add_tallies(tx, {}))

    with store.database.reading() as tx:
        assert store.reports.tallies(tx) == {("j", "entered", "treated"): 6, ("k", "ended", "late"): 1}


def test_a_story_is_everything_about_one_user_in_the_order_it_was_recorded(store):
    (id_,) = add(store, enrolment("k1"))
    add(store, enrolment("k2", user="u2"))
    store.database.write(
        lambda tx: store.inbox.add_events(tx, "s", [event("app_opened", NOON, id="e1"), event("app_opened", NOON, user="u2")])
    )
    first, second = LogEntry(NOON, "entered", "", {"fact": "api"}), LogEntry(NOON + 1, "sent", "a", {"channel": "push"})
    message = NewMessage("m1", "message", "a", 1, "u1", "push", None, "marketing", None, 50, 0, NOON, None, {"title": "到"})

    def unit(tx):
        store.people.write_log(tx, [Logged("u1", id_, [first, second]), Logged("u1", None, [first])], NOON + 2)
        store.people.write_refusals(tx, [Refusal("j", "u1", "mode", NOON)])
        store.ledger.add_messages(tx, [store.ledger.row_of(message, id_, "u1", "j", 1, NOON)])

    store.database.write(unit)
    with store.database.reading() as tx:
        story, stranger = store.reports.story(tx, "u1"), store.reports.story(tx, "nobody")

    assert story.known
    assert [(e["key"], e["status"]) for e in story.enrolments] == [("k1", "live")]
    assert story.log == [(id_, NOON + 2, first), (id_, NOON + 2, second), (None, NOON + 2, first)]
    assert [(m["key"], m["state"], m["content"]) for m in story.messages] == [("m1", "PENDING", {"title": "到"})]
    assert [r["reason"] for r in story.refusals] == ["mode"]
    assert [e["event_id"] for e in story.events] == ["e1"]
    assert (stranger.known, stranger.log, stranger.messages) == (False, [], [])


def test_counts_for_status_are_those_of_the_rows(store):
    add(
        store,
        enrolment("k1"),
        enrolment("k2", user="u2", due=NOON - HOUR),
        enrolment("k3", user="u3", status=ENDED, due=None, ended_by="completed"),
    )
    user = somebody("u1")
    user.stage = "buying"
    store.database.write(lambda tx: store.people.save_users(tx, [user]))

    with store.database.reading() as tx:
        assert store.reports.enrolments_by_state(tx) == {("j", "live"): 2, ("j", "ended"): 1}
        assert store.reports.inside(tx) == {"j": 2}
        assert [(s.journey, s.state, s.n, s.due) for s in store.movements.standing(tx, NOON - 1)] == [("", "a", 2, 1)]
        assert store.reports.totals(tx)["users"] == 3
        assert store.reports.stages(tx) == {"buying": 1}
        assert store.reports.due_lag(tx, NOON) == HOUR
        assert store.reports.due_lag(tx, NOON - DAY) == 0
        assert store.reports.some_users(tx, "j", ENDED, "completed", 5) == ["u3"]
        assert sorted(store.reports.some_users(tx, "j", LIVE, None, 5)) == ["u1", "u2"]


@pytest.mark.parametrize("value", ["nul\x00".replace("\x00", "�"), "🥚" * 100, "'; DROP TABLE users; --", "%s {} :x"])
def test_any_text_survives_the_way_through_the_database(store, value):
    user = somebody("u1", tags=[value], city=value)

    store.database.write(lambda tx: store.people.save_users(tx, [user]))

    with store.database.reading() as tx:
        assert store.people.load_users(tx, ["u1"])["u1"].profile == user.profile
        assert tx.execute(text("SELECT count(*) FROM users")).scalar_one() == 1
