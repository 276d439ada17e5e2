"""History: what is imported as known already makes the profile right and moves nobody; what happens afterwards is news."""

from dataclasses import replace

import pytest

from runtime.intake.sources import Source
from runtime.rounds import Worked
from runtime.store.imports import ABANDONED_AFTER, Position
from tests.town import DAY, HOUR, MINUTE, NOON, PUSH, ZONE, Town, at, event, journey_text, reachable, somebody

WIN_BACK = journey_text(f"- {{id: miss_you, send: {PUSH}}}", entry="{segment: dormant, existing: skip}")
WELCOME = journey_text(f"- {{id: hello, send: {PUSH}}}", entry="{event: order_paid}")
WAITING = journey_text(
    "- {id: look, wait_for: {event: app_opened, timeout: 60d}, on_event: [{exit: came}]}",
    entry="{event: friend_woken}", goal="{event: order_paid, within: 60d}", exit_when="[{event: account_closed, reason: closed}, {when: has_tag('vip'), reason: vip}]",
)  # fmt: skip
BIRTHDAY = journey_text(f"- {{id: wish, send: {PUSH}}}", entry="{date: user.birthday, at: '08:00'}")

MARK = Position("k", "events", "import", "orders.csv", history=True)


class Importing(Town):
    """A town into which a history is imported."""

    def remember(self, *events):
        return self.store.database.write(lambda tx: self.store.inbox.add_events(tx, "import", events, history=True))

    def remember_user(self, user_id, now, **payload):
        self.store.database.write(
            lambda tx: self.store.inbox.add_user_record(tx, "import", f"user:{user_id}@{now}", user_id, payload, now, history=True)
        )

    def importing(self, now, *, done=False):
        def unit(tx):
            self.store.imports.save(tx, replace(MARK, done_at=now if done else None), now)
            if done:
                self.store.imports.release(tx, now)

        self.store.database.write(unit)

    def membership(self, user_id="u1"):
        with self.store.database.reading() as tx:
            user = self.store.people.load_users(tx, [user_id])[user_id]
        return sorted(name for name, (_, inside) in user.segments.items() if inside), user.stage


def paid(days_ago, now=NOON, *, received=None, user="u1", **keys):
    return event("order_paid", now - days_ago * DAY, received=now if received is None else received, user=user, amount=9, **keys)


@pytest.mark.parametrize("known", [True, False], ids=["a known user", "a stranger"])
def test_an_old_order_is_projected_and_moves_nobody(store, known):
    made = Importing(store, WELCOME, WIN_BACK.replace("id: j", "id: w", 1))
    if known:
        made.settle_people(somebody())

    made.remember(paid(40), paid(20), paid(50))
    made.settle(NOON)

    assert made.membership() == (["buyers"], "buying")
    assert (made.ends(), made.actions(), made.states()) == ([], [], [])


def test_who_was_imported_becomes_dormant_at_her_own_time(store):
    made = Importing(store, WIN_BACK)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(20))
    made.settle(NOON)

    made.settle(NOON + 10 * DAY - 1)
    before = made.states()
    made.settle(NOON + 10 * DAY)

    assert before == []
    assert made.states() == [("miss_you", "ACCEPTED")]
    assert ("stage_changed", "") in made.actions()


def test_who_is_dormant_by_her_history_is_taken_as_she_is(store):
    made = Importing(store, WIN_BACK)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(31))

    made.settle(NOON)
    made.settle(NOON + 30 * DAY)

    assert made.membership() == (["buyers", "dormant"], "gone")
    assert made.ends() == []


def test_goals_exits_and_waits_do_not_see_history(store):
    made = Importing(store, WAITING)
    made.settle_people(somebody())
    made.post(event("friend_woken", NOON))
    made.settle(NOON)

    made.remember(
        event("app_opened", NOON + HOUR, received=NOON + DAY), event("account_closed", NOON + HOUR, received=NOON + DAY),
        event("order_paid", NOON + HOUR, received=NOON + DAY, amount=1),
    )  # fmt: skip
    made.remember_user("u1", NOON + DAY, tags=["vip"])
    made.settle(NOON + DAY)

    assert made.ends() == [("j", None)]
    assert made.membership()[0] == ["buyers", "tagged"]


def test_a_wait_that_begins_late_does_not_find_history_when_it_looks_back(store):
    steps = "- {id: day, delay: 1d}\n- {id: look, wait_for: {event: app_opened, timeout: 5d}, on_event: [{exit: came}]}"
    made = Importing(store, journey_text(steps, entry="{event: friend_woken}"))
    made.settle_people(somebody())
    made.post(event("friend_woken", NOON))
    made.settle(NOON)

    made.remember(event("app_opened", NOON + DAY + HOUR, received=NOON + 2 * DAY))
    made.settle(NOON + 2 * DAY)

    assert made.ends() == [("j", None)]


def test_a_live_event_between_moves_her_as_ever(store):
    made = Importing(store, WELCOME)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(40))
    made.post(paid(0, NOON + 1, id="live"))
    made.remember(paid(35, NOON + 2))

    made.settle(NOON + 2)

    assert made.states() == [("hello", "ACCEPTED")]
    assert made.membership() == (["buyers"], "buying")


def test_while_the_import_goes_on_time_moves_nobody_who_is_half_known(store):
    made = Importing(store, WIN_BACK)
    made.importing(NOON)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(30, NOON + MINUTE, received=NOON))  # by this alone she would fall asleep in a minute
    made.settle(NOON)

    made.importing(NOON + 9 * MINUTE)
    made.settle(NOON + 12 * MINUTE)  # longer than an import is waited for that is never heard of
    made.remember(paid(2, NOON + 12 * MINUTE))
    made.settle(NOON + 12 * MINUTE)
    made.importing(NOON + 13 * MINUTE, done=True)
    made.settle(NOON + 13 * MINUTE)

    assert [a for a, _ in made.actions() if not a.startswith("consent")] == []
    assert made.membership() == (["buyers"], "buying")
    made.settle(NOON + 12 * MINUTE + 28 * DAY)
    assert made.states() == [("miss_you", "ACCEPTED")]


def test_what_flips_while_the_import_goes_on_happens_when_it_has_ended(store):
    made = Importing(store, WIN_BACK)
    made.importing(NOON)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(30, NOON + MINUTE, received=NOON))
    made.settle(NOON)
    made.settle(NOON + 2 * MINUTE)
    before = made.states()

    made.importing(NOON + 3 * MINUTE, done=True)
    made.settle(NOON + 3 * MINUTE)

    assert (before, made.states()) == ([], [("miss_you", "ACCEPTED")])
    assert [e["entered_at"] for e in made.story().enrolments] == [NOON + MINUTE]


def test_an_import_that_ends_while_a_batch_is_in_hand_lets_its_people_go(store):
    made = Importing(store)
    made.importing(NOON)
    made.remember(paid(20))
    with store.database.batch() as batch:
        [note] = store.inbox.waiting(batch.connection, 10)
        work = made.engine.opening.open(made.engine.catalogue, batch, ["u1"], NOON)
        work.holds_until = store.imports.holds_until(batch.connection, NOON)
        work.take(work.sessions["u1"], note, (), NOON)
        if store.database.is_sqlite:
            made.importing(NOON, done=True)
        else:  # there the importer would wait for the rows of this batch
            store.imports.save(batch.connection, replace(MARK, done_at=NOON), NOON)
        made.engine.rounds.write(batch, work, NOON, Worked(), [note.id])

    made.settle(NOON)

    assert made.membership() == (["buyers"], "buying")


def test_after_an_import_nobody_stays_held(store):
    made = Importing(store)
    made.importing(NOON)
    made.remember_user("u1", NOON, traits={"city": "上海"})
    made.post(event("app_opened", NOON + 1))  # evaluated, and time will change nothing
    made.settle(NOON + 1)

    made.importing(NOON + 2, done=True)
    made.settle(NOON + 2)

    with store.database.reading() as tx:
        assert store.people.load_users(tx, ["u1"])["u1"].audience == made.engine.catalogue.audience_digest


def test_an_import_that_is_never_ended_holds_nobody_for_ever(store):
    made = Importing(store, WIN_BACK)
    made.importing(NOON)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(20))
    made.settle(NOON)

    made.settle(NOON + ABANDONED_AFTER - 1)
    before = made.membership()
    made.settle(NOON + ABANDONED_AFTER)

    assert (before, made.membership()) == (([], ""), (["buyers"], "buying"))


def test_a_live_order_in_the_middle_of_an_import_enters_and_lets_time_alone(store):
    entered = journey_text(f"- {{id: new, send: {PUSH}}}", id="first", entry="{segment: buyers, existing: skip}")
    made = Importing(store, WIN_BACK, entered)
    made.importing(NOON)
    made.remember_user("u1", NOON, **reachable())
    made.remember_user("u2", NOON, **reachable("u2"))
    made.remember(paid(30, NOON + MINUTE, received=NOON))
    made.settle(NOON)

    made.post(event("app_opened", NOON + 2 * MINUTE), paid(0, NOON + 2 * MINUTE, user="u2"))
    made.importing(NOON + 2 * MINUTE)
    made.settle(NOON + 2 * MINUTE)
    made.remember(paid(1, NOON + 3 * MINUTE))
    made.importing(NOON + 4 * MINUTE, done=True)
    made.settle(NOON + 4 * MINUTE)

    assert made.ends("u1") == []
    assert made.states("u2") == [("new", "ACCEPTED")]


def test_a_live_event_in_the_middle_of_an_import_does_not_let_time_move_her(store):
    made = Importing(store, WIN_BACK)
    made.importing(NOON)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(30, NOON + MINUTE, received=NOON))
    made.post(event("app_opened", NOON + 1))
    made.settle(NOON + 1)

    made.importing(NOON + 2 * MINUTE)
    made.settle(NOON + 2 * MINUTE)
    made.remember(paid(1, NOON + 3 * MINUTE))
    made.importing(NOON + 4 * MINUTE, done=True)
    made.settle(NOON + 4 * MINUTE)

    assert made.ends() == []
    assert made.membership() == (["buyers"], "buying")


def test_a_flip_that_was_overdue_when_the_history_came_still_happens(store):
    made = Importing(store, WIN_BACK)
    made.tell("u1", NOON - 30 * DAY, **reachable())
    made.post(paid(0, NOON - 30 * DAY))
    made.settle(NOON - 30 * DAY)

    made.remember(paid(90, NOON + DAY))  # the daemon was down since before noon
    made.settle(NOON + DAY)

    assert made.states() == [("miss_you", "ACCEPTED")]


def test_a_flip_that_was_overdue_and_is_none_by_her_history_does_not_happen(store):
    made = Importing(store, WIN_BACK)
    made.tell("u1", NOON - 30 * DAY, **reachable())
    made.post(paid(0, NOON - 30 * DAY))
    made.settle(NOON - 30 * DAY)

    made.remember(paid(5, NOON + DAY))
    made.settle(NOON + DAY)

    assert made.states() == []


def test_an_imported_birthday_is_wished_at_the_next_one_and_not_at_the_one_that_is_over(store):
    made = Importing(store, BIRTHDAY)
    made.remember_user("u1", NOON, traits={"birthday": "12-01"}, **reachable())
    made.remember_user("u2", NOON, traits={"birthday": "12-02"}, **reachable("u2"))

    made.settle(NOON)
    made.settle(at("2026-12-02 08:00"))

    assert (made.states("u1"), made.states("u2")) == ([], [("wish", "ACCEPTED")])


def test_an_imported_record_sets_identities_and_consents_and_is_no_event(store):
    stop = journey_text("- {id: note, update: {add_tags: [stopped]}}", entry="{event: consent_withdrawn}")
    made = Importing(store, stop)
    no = {"sms": {"marketing": {"granted": False, "source": "crm", "wording": "退订", "at": NOON - DAY}}}

    made.remember_user("u1", NOON, identities={"phone": "+8613900000000"}, consents=no, source="import")
    made.post(event("app_opened", NOON))  # of the same turn
    made.settle(NOON)

    assert made.ends() == []
    story = made.story()
    assert [(c["granted"], c["source"], c["wording"], c["said_at"]) for c in story.consents] == [(False, "crm", "退订", NOON - DAY)]
    with made.store.database.reading() as tx:
        assert made.store.contacts.whose(tx, "phone", "+8613900000000") == ["u1"]


def test_an_undated_yes_of_an_import_never_outweighs_a_no(store):
    made = Importing(store)
    made.tell("u1", NOON - DAY, identities={"phone": "+8613900000000"}, consents={"sms": {"marketing": False}})
    made.settle(NOON - DAY)
    made.store.database.write(lambda tx: made.store.contacts.suppress(tx, "sms", "+8613900000000", ("marketing",), "reply", NOON - DAY))

    yes = {"sms": {"marketing": {"granted": True, "at": 0}, "service": {"granted": True, "at": 0}}}
    made.remember_user("u1", NOON, consents=yes)
    made.settle(NOON)

    with made.store.database.reading() as tx:
        user = made.store.people.load_users(tx, ["u1"])["u1"]
        suppressed = made.store.contacts.suppressed(tx, [("sms", "+8613900000000")])
    assert user.reach["consents"]["sms"] == {"marketing": False, "service": True}
    assert suppressed == {("sms", "+8613900000000", "marketing")}


FIRST = {"identities": {"phone": "+8613800138000", "email": "a@x.cn"}, "traits": {"city": "上海", "level": "gold"}, "zone": "Asia/Tokyo",
         "tags": ["vip"]}  # fmt: skip


def known(made, user_id="u1"):
    """What her row says: identities, traits, tags and zone; and whether the phones that it does not say are nobody's."""
    with made.store.database.reading() as tx:
        user = made.store.people.load_users(tx, [user_id])[user_id]
        for phone in ("+8613800138000", "+8613900139000"):
            mine = phone == user.reach["identities"].get("phone")
            assert made.store.contacts.whose(tx, "phone", phone) == ([user_id] if mine else [])
    return user.reach["identities"], user.profile["p"], user.profile["t"], user.zone.key


def arrive(made, reader_now, user_id="u1", **record):
    """A file of users is imported, as intake reads and keeps it."""
    arrival = (
        Source("import", "webhook", True, ("*",), ZONE)
        .reader(made.engine.catalogue.audience, reader_now, f"k{reader_now}")
        .records({"user_id": user_id, **record})
    )
    arrival.history = True
    made.store.database.write(lambda tx: made.store.arrivals.take(tx, [arrival]))
    made.settle(reader_now)


def test_a_history_fills_in_and_does_not_replace_what_was_told_live(store):
    made = Importing(store)
    made.tell("u1", NOON, identities={"phone": "+8613900139000"}, traits={"city": "杭州"}, zone="America/New_York", remove_tags=["vip"])
    made.settle(NOON)

    arrive(made, NOON + HOUR, **FIRST)

    assert known(made) == (
        {"phone": "+8613900139000", "email": "a@x.cn"}, {"city": "杭州", "level": "gold"}, [], "America/New_York",
    )  # fmt: skip


def test_a_history_of_whom_nobody_has_told_anything_fills_everything_and_is_corrected_by_the_next(store):
    made = Importing(store)
    arrive(made, NOON, **FIRST)
    made.post(event("order_paid", NOON + MINUTE, amount=9))  # what she does says nothing of these
    made.settle(NOON + MINUTE)

    arrive(
        made,
        NOON + HOUR,
        identities={"phone": "+8613900139000"},
        traits={"city": "杭州", "level": None},
        zone="Asia/Seoul",
        remove_tags=["vip"],
    )

    assert known(made) == ({"phone": "+8613900139000", "email": "a@x.cn"}, {"city": "杭州"}, [], "Asia/Seoul")


def test_what_was_forgotten_live_does_not_come_back_by_a_history(store):
    made = Importing(store)
    arrive(made, NOON, **FIRST)
    made.tell("u1", NOON + MINUTE, identities={"phone": None}, traits={"city": None})
    made.settle(NOON + MINUTE)

    arrive(made, NOON + HOUR, **FIRST)

    assert known(made) == ({"email": "a@x.cn"}, {"level": "gold"}, ["vip"], "Asia/Tokyo")


def test_a_history_does_not_replace_what_a_journey_has_set(store):
    made = Importing(store, journey_text("- {id: u, update: {set: {level: vip}, remove_tags: [vip]}}", entry="{event: app_opened}"))
    arrive(made, NOON, **FIRST)
    made.post(event("app_opened", NOON + MINUTE))
    made.settle(NOON + MINUTE)

    arrive(made, NOON + HOUR, **FIRST)

    assert known(made)[1:3] == ({"city": "上海", "level": "vip"}, [])


def test_what_was_told_live_of_either_of_two_who_are_one_is_not_replaced_by_a_history(store):
    made = Importing(store)
    made.tell("u1", NOON, traits={"city": "杭州"})
    made.tell("openid:o1", NOON, traits={"level": "silver"})
    made.settle(NOON)
    made.store.database.write(lambda tx: made.store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", NOON))
    made.settle(NOON)

    arrive(made, NOON + HOUR, traits=FIRST["traits"])

    with store.database.reading() as tx:
        assert store.people.load_users(tx, ["u1"])["u1"].profile["p"] == {"city": "杭州", "level": "silver"}


def test_what_has_just_happened_does_not_wait_behind_a_long_history(store):
    made = Importing(store, WELCOME)
    made.settle_people(somebody())
    made.remember(*(paid(40 + n, user=f"old{n % 10}") for n in range(100)))
    made.post(paid(0))

    made.engine.tick(NOON, limit=10)

    assert [a for a, _ in made.actions()][:1] == ["entered"]


def test_populations_wait_for_the_end_of_an_import(store):
    made = Importing(store, WIN_BACK.replace("existing: skip", "existing: enrol"))
    made.importing(NOON)
    made.remember_user("u1", NOON, **reachable())
    made.remember(paid(40))
    made.store.database.write(lambda tx: made.store.releases.add_population(tx, "j", "existing@1", "existing", NOON))
    made.settle(NOON)
    before = made.ends()

    made.remember(paid(3, NOON + MINUTE))
    made.remember_user("u2", NOON + MINUTE, **reachable("u2"))
    made.remember(paid(40, NOON + MINUTE, user="u2"))
    made.importing(NOON + MINUTE, done=True)
    made.settle(NOON + MINUTE)

    assert (before, made.ends("u1"), made.ends("u2")) == ([], [], [("j", "completed")])


def test_who_can_be_reached_by_an_imported_record_is_reached_also_in_the_same_batch(store):
    made = Importing(store, WELCOME)
    made.tell("u1", NOON - DAY, tags=["known"])
    made.settle(NOON - DAY)

    made.remember_user("u1", NOON, identities={"push_id": "new-phone"}, consents={"push": {"marketing": True}})
    made.post(paid(0))
    made.settle(NOON)

    assert [m.address for m in made.vendors["push"].got] == ["new-phone"]
