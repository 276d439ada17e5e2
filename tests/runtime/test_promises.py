"""The promises, each told as the story that once broke it: twice, too late, against their will, lost."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from channels.message import Accepted, Fault, Receipt, Rejected, RetryLater, Unknown
from journeys.duration import parse_duration
from runtime.clock import VirtualClock
from runtime.deliver import DEADLINE, Delivery
from runtime.policy import Cap, Rules
from runtime.store import open_store
from tests.town import DAY, HOUR, MINUTE, NOON, PUSH, SECOND, ZONE, FakeVendor, Town, Walk, event, journey_text, somebody

HELLO = journey_text(
    f"- {{id: hello, send: {PUSH}}}\n- {{id: rest, delay: 5d}}", entry="{event: app_opened}", goal="{event: order_paid, within: 14d}"
)


def test_what_is_planned_and_cancelled_in_one_batch_is_not_sent(store):
    made = Town(store, HELLO)
    made.settle_people(somebody())

    made.post(event("app_opened", NOON), event("order_paid", NOON + 1))
    made.settle(NOON + SECOND)

    assert made.ends() == [("j", "converted")]
    assert made.vendors["push"].got == []
    assert made.states() == [("hello", "SUPPRESSED")]


def test_nothing_is_sent_while_a_withdrawal_of_consent_waits_in_the_inbox(store):
    made = Town(store, HELLO)
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)

    made.tell("u1", NOON + 1, consents={"push": {"marketing": False}})
    made.deliver(NOON + 2)
    assert made.vendors["push"].got == []
    made.settle(NOON + 3)

    assert made.vendors["push"].got == []
    assert made.states() == [("hello", "SUPPRESSED")]


def test_an_attempt_that_waited_past_its_deadline_starts_anew_instead_of_sending(store):
    made = Town(store, HELLO)
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)
    late = Delivery(store, made.engine, made.vendors, made.rules, ZONE, clock=VirtualClock(NOON + DEADLINE + 1))

    late.tick(NOON)

    assert made.vendors["push"].got == []
    assert made.states() == [("hello", "PENDING")]


def test_a_key_that_the_vendor_may_have_forgotten_is_not_repeated_after_a_later_flow_control(store):
    vendor = FakeVendor("key", Unknown("cut"), RetryLater(15 * MINUTE), Accepted("twice"))
    made = Town(store, HELLO, push=vendor)
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)

    for later in (0, SECOND, 4 * SECOND, 31 * MINUTE, 32 * MINUTE):
        made.deliver(NOON + later)

    assert len(vendor.got) == 2
    assert made.states() == [("hello", "ABANDONED")]


def test_a_postponed_campaign_does_not_go_out_at_its_old_time(store):
    def campaign(day: int) -> str:
        return journey_text(f"- {{id: hello, send: {PUSH}}}", entry=f'{{at: "2026-12-{day:02d} 12:00"}}')

    first = parse_duration("1d") or 0
    made = Town(store, HELLO)
    made.settle_people(somebody())
    for day in (2, 4):
        at = NOON + (day - 1) * first
        store.database.write(lambda tx, at=at: store.releases.add_population(tx, "j", f"at@{at}", "at", at))
    made.apply(campaign(4), now=NOON)

    made.settle(NOON + DAY + HOUR)
    assert made.vendors["push"].got == []
    made.settle(NOON + 3 * DAY + HOUR)

    assert len(made.vendors["push"].got) == 1


def test_a_goal_that_only_counts_is_counted_in_a_wait_too():
    walk = Walk("- {id: look, wait_for: {event: app_opened, timeout: 5d}}", goal="{event: order_paid, within: 14d, then: go_on}")

    walk.arrives("order_paid", walk.start + HOUR)

    assert walk.enrolment.converted_at == walk.start + HOUR
    assert walk.enrolment.state == "look"


def test_timers_fire_while_events_of_others_keep_coming(store):
    made = Town(store, HELLO)
    made.settle_people(somebody(), somebody("u2"))
    made.post(event("app_opened", NOON))
    made.settle(NOON)

    made.post(event("app_opened", NOON + 5 * DAY, user="u2"))
    made.engine.tick(NOON + 5 * DAY)

    assert made.ends() == [("j", "completed")]


def test_a_window_of_an_older_version_is_kept_after_the_next_release(store):
    night = 'send: [{push: {title: T, body: B}}]\n    between: "09:00-21:00"'
    first = journey_text(f"- id: hello\n    {night}".replace("\n    ", "\n  "), entry="{event: app_opened}")
    made = Town(store, first, push=FakeVendor("query", RetryLater(11 * HOUR), Accepted("ok")))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.settle(NOON)

    made.apply(HELLO, now=NOON + HOUR)
    made.settle(NOON + 11 * HOUR)

    assert len(made.vendors["push"].got) == 1
    assert made.states() == [("hello", "PENDING")]


def test_a_fire_of_a_schedule_is_not_lost_to_a_release_of_another_journey(store):
    weekly = journey_text(f"- {{id: hello, send: {PUSH}}}", entry='{schedule: "0 10 * * *"}')
    other = journey_text("- {id: rest, delay: 1d}", id="other", entry="{event: order_paid}")
    made = Town(store, weekly, applied_at=NOON - 3 * HOUR)
    made.settle_people(somebody())

    made.apply(weekly, other, now=NOON - HOUR)
    made.settle(NOON)

    assert len(made.vendors["push"].got) == 1


def test_everyone_ends_at_the_end_also_in_a_wait_for_a_condition(store):
    walk = Walk(
        "- {id: look, wait_for: {when: days_since(user.booked_at) >= 20, timeout: 60d}}",
        user=somebody(booked_at=NOON), ends_at='"2026-12-10 12:00"',
    )  # fmt: skip

    walk.changes(walk.start + DAY)
    walk.due()

    assert walk.enrolment.ended_by == "ended"


def test_the_same_id_from_two_sources_are_two_facts(store):
    always = journey_text("- {id: rest, delay: 1h}", entry="{event: order_paid, reentry: always}")
    made = Town(store, always)
    made.settle_people(somebody())

    made.post(event("order_paid", NOON, id="1001"), source="pos")
    made.settle(NOON + 2 * HOUR)
    made.post(event("order_paid", NOON + DAY, id="1001"), source="app")
    made.settle(NOON + DAY + 2 * HOUR)

    assert made.ends() == [("j", "completed"), ("j", "completed")]


def test_a_disk_that_fills_up_in_a_group_of_commits_tells_everybody_in_it(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/full.db", ZONE, "daemon")
    database = store.database

    def fill(tx):
        tx.exec_driver_sql("PRAGMA max_page_count = 1")
        for number in range(2000):
            store.inbox.add_note(tx, f"filler{number}", "user", {"tags": ["x" * 900]}, NOON)

    def slow(tx):
        return sum(1 for _ in range(3_000_000))

    held = database.submit(slow)
    kept = database.submit(lambda tx: store.inbox.add_note(tx, "kept", "user", {}, NOON))
    full = database.submit(fill)
    after = database.submit(store.inbox.size)
    held.exception(30)
    outcomes = [future.exception(30) for future in (kept, full, after)]
    with database.reading() as tx:
        kept_row = "kept" in store.people.load_users(tx, ["kept"])

    assert isinstance(outcomes[1], OperationalError)
    assert kept_row == (outcomes[0] is None)
    store.close()


def test_reading_commands_write_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/there.db"
    open_store(url, ZONE, "daemon").close()
    before = (tmp_path / "there.db").read_bytes()

    store = open_store(url, ZONE, "reading")
    with store.database.reading() as tx:
        store.reports.totals(tx)
    store.close()

    assert (tmp_path / "there.db").read_bytes() == before


# --- delivery: each the story that once broke the promise

UNDELIVERED = journey_text(
    "- {id: hello, send: [{push: {title: T, body: B}}, {sms: {template: news}}], fall_through: undelivered}\n- {id: rest, delay: 3d}",
    entry="{event: app_opened}",
    goal="{event: order_paid, within: 14d}",
)


def test_a_receipt_that_comes_after_the_goal_opens_no_other_position(store):
    made = Town(store, UNDELIVERED)
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.settle(NOON)
    made.post(event("order_paid", NOON + MINUTE))
    made.settle(NOON + MINUTE)
    assert made.ends() == [("j", "converted")]

    key = made.story().messages[0]["key"]
    receipt = Receipt(delivered=False, key=key, code="gone")
    store.database.write(lambda tx: made.delivery.settling.receipt(tx, "push", receipt, NOON + HOUR))
    made.settle(NOON + HOUR)

    assert made.vendors["sms"].got == []
    assert made.states() == [("hello", "UNDELIVERED")]


def test_what_a_vendor_writes_into_its_answer_stops_no_lane(store):
    people = [somebody(f"u{n}") for n in range(3)]
    vendor = FakeVendor("neither", Accepted("ref\x00erence" * 9000), Rejected("45168", "bad \x00 word" * 900), Accepted("ok"))
    made = Town(store, HELLO, push=vendor)
    made.settle_people(*people)
    made.post(*(event("app_opened", NOON, user=u.id) for u in people))

    made.settle(NOON)

    assert sorted(made.states(u.id)[0][1] for u in people) == ["ACCEPTED", "ACCEPTED", "REJECTED"]


ENDLESS = "".join(f"{n:x}" for n in range(2000))  # what intake takes of one field, and no index of PostgreSQL does


@pytest.mark.parametrize("text_", [
    journey_text(f"- {{id: hi, send: {PUSH}}}", entry="{event: friend_woken, user: entry.friend_id}"),
    journey_text(f"- {{id: hi, send: {PUSH}}}", entry="{event: friend_woken, user: entry.friend_ids}"),
    journey_text("- {id: rest, delay: 1d}", entry="{event: friend_woken, subject: friend_id}"),
    journey_text("- {id: w, wait_for: {event: order_paid, of: entry.friend_id, timeout: 1d}}", entry="{event: friend_woken}"),
    journey_text(f"- {{id: hi, to: entry.friend_id, send: {PUSH}}}", entry="{event: friend_woken}"),
    journey_text("- {id: g, grant: {benefit: gift, to: entry.friend_id, once_per: entry.friend_id}}", entry="{event: friend_woken}"),
    journey_text("- {id: tell, to: {robot: entry.friend_id}, send: [{wecom: {text: T}}]}", entry="{event: friend_woken}"),
], ids=["entry", "entries", "subject", "of", "send", "grant", "robot"])  # fmt: skip
def test_a_text_that_can_be_nobodys_id_stops_no_daemon(store, text_):
    made = Town(store, text_)
    made.post(event("friend_woken", NOON, user="u1", friend_id=ENDLESS, friend_ids=[ENDLESS, "", "  "]))
    made.post(event("friend_woken", NOON, user="u2", friend_id="u3", friend_ids=["u3"]))

    worked = made.think(NOON)

    assert (worked.quarantined, store.database.write(lambda tx: tx.execute(text("SELECT count(*) FROM inbox")).scalar_one())) == (0, 0)


def test_one_unreadable_enrolment_stops_no_other_outcome(store):
    text_ = journey_text(
        "- {id: hello, send: [{push: {title: T, body: B}}, {sms: {template: news}}]}\n- {id: rest, delay: 3d}", entry="{event: app_opened}"
    )
    people = [somebody(f"u{n}") for n in range(3)]
    made = Town(store, text_, push=FakeVendor("neither", Rejected("no_token")))
    made.settle_people(*people)
    made.post(*(event("app_opened", NOON, user=u.id) for u in people))
    made.think(NOON)
    store.database.write(lambda tx: tx.execute(text("UPDATE enrolments SET context = 'broken' WHERE user_id = 'u0'")))

    made.deliver(NOON)
    made.deliver(NOON)

    assert {made.states(u.id)[0][1] for u in people[1:]} == {"ACCEPTED"}
    assert made.states("u0")[0][1] in ("REJECTED", "UNKNOWN", "ABANDONED")


def test_a_cap_counts_what_was_held_for_days_and_goes_out_today(store):
    made = Town(
        store,
        HELLO,
        HELLO.replace("id: j", "id: k").replace("push: {title: T, body: B}", "sms: {template: news}"),
        rules=Rules(caps=(Cap(1, "day"),)),
    )
    made.settle_people(somebody())
    made.vendors["push"].answers = [Fault("unpaid", "", HOUR), Accepted("ok")]
    made.post(event("app_opened", NOON))
    made.think(NOON)
    later = NOON + 4 * 24 * HOUR

    made.deliver(NOON)
    made.deliver(later)
    made.deliver(later + SECOND)

    assert len(made.vendors["push"].got) + len(made.vendors["sms"].got) - 1 <= 1, "one of them was the refused attempt"


def test_a_vendor_that_refuses_us_keys_holds_its_lane_and_somebody_is_told(store):
    class NoKeys(FakeVendor):
        def new_keys(self, n):
            return Fault("401", "wrong master secret", HOUR)

    made = Town(store, HELLO, push=NoKeys("key"))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)

    done = made.deliver(NOON)

    assert [(alarm.lane, alarm.code) for alarm in done.alarms] == [("push", "401")]
    assert made.states() == [("hello", "PENDING")]


def test_a_refusal_of_advertisements_does_not_end_notices(store):
    made = Town(store, HELLO, push=FakeVendor("neither", Rejected("refused", "", "consent")))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))

    made.settle(NOON)

    with store.database.reading() as tx:
        said = {(c["purpose"], c["granted"]) for c in store.contacts.consents_of(tx, "u1")}
    assert said == {("marketing", False)}
