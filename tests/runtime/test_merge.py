"""Two users who are one person become one, in flight: nothing happens to her twice, and what was promised to either is kept."""

from zoneinfo import ZoneInfo

import pytest

from channels.message import Accepted, RetryLater, Unknown
from journeys.localtime import day_number
from runtime.explain import lines_of, story_of
from runtime.merge import joined
from runtime.policy import Cap, Rules
from runtime.profile import read_trait
from runtime.state import Person, User
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, SECOND, ZONE, FakeVendor, Town, event, journey_text, somebody

CARE = journey_text(f"- {{id: hello, send: {PUSH}}}\n- {{id: rest, delay: 5d}}\n- {{id: again, send: {PUSH}}}", id="care",
                    entry="{event: app_opened}", goal="{event: order_paid, within: 14d}")  # fmt: skip
GIFT = journey_text("- {id: gift, grant: {benefit: gift, once_per: user.level}}", id="gift", entry="{event: app_opened, reentry: always}")
OFTEN = journey_text(f"- {{id: hi, send: {PUSH}}}", id="often", entry="{event: app_opened, reentry: always}")


@pytest.fixture
def town(store):
    return Town(store, CARE)


def join(town, survivor, former, now):
    town.store.database.write(lambda tx: town.store.identity.note_merge(tx, survivor, former, "app", "openid o1", now))
    town.settle(now)


def ends(town):
    with town.store.database.reading() as tx:
        story = town.store.reports.story(tx, "u1")
    return sorted((e["journey"], e["status"], e["ended_by"]) for e in story.enrolments)


def test_who_was_anonymous_goes_on_in_her_journey_under_her_own_id(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON, user="openid:o1"))
    town.settle(NOON)

    join(town, "u1", "openid:o1", NOON + DAY)
    town.settle(NOON + 6 * DAY)

    assert [m.user_id for m in town.vendors["push"].got] == ["openid:o1", "u1"]
    assert ends(town) == [("care", "ended", "completed")]


def test_inside_the_same_journey_twice_she_goes_on_where_she_entered_first(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON, user="openid:o1"), event("app_opened", NOON + HOUR))
    town.settle(NOON + HOUR)

    join(town, "u1", "openid:o1", NOON + DAY)
    town.settle(NOON + 8 * DAY)

    assert ends(town) == [("care", "ended", "completed"), ("care", "ended", "merged")]
    assert len(town.vendors["push"].got) == 3  # both hellos before the merge; the second message once


def test_what_was_planned_for_the_one_that_ends_is_not_sent(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON), event("app_opened", NOON + SECOND, user="openid:o1"))
    town.think(NOON + SECOND)

    town.store.database.write(lambda tx: town.store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", NOON))
    town.think(NOON + MINUTE)
    town.deliver(NOON + MINUTE)

    assert [m.user_id for m in town.vendors["push"].got] == ["u1"]


def test_an_order_before_the_merge_counts_in_the_profile_after_it(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("order_paid", NOON, user="openid:o1", amount=1), event("order_paid", NOON + 1, amount=2))
    town.settle(NOON + 1)

    join(town, "u1", "openid:o1", NOON + DAY)

    with town.store.database.reading() as tx:
        user = town.store.people.load_users(tx, ["u1"])["u1"]
    trait = town.engine.catalogue.audience.traits["orders_count"]
    assert read_trait(trait, user, NOON + DAY) == 2


def test_an_event_that_comes_later_under_the_former_id_is_hers(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    join(town, "u1", "openid:o1", NOON + HOUR)

    town.post(event("order_paid", NOON + DAY, user="openid:o1"))
    town.settle(NOON + DAY)

    assert ends(town) == [("care", "ended", "converted")]


def test_reentry_counts_what_she_entered_before_the_merge(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON, user="openid:o1"))
    town.settle(NOON + 6 * DAY)
    join(town, "u1", "openid:o1", NOON + 7 * DAY)

    town.post(event("app_opened", NOON + 8 * DAY))
    town.settle(NOON + 8 * DAY)

    assert ends(town) == [("care", "ended", "completed")]


def test_caps_count_what_she_got_before_the_merge(store):
    town = Town(store, OFTEN, rules=Rules(caps=(Cap(1, 7 * DAY, "push", None, None),)))
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON, user="openid:o1"))
    town.settle(NOON)
    join(town, "u1", "openid:o1", NOON + HOUR)

    town.post(event("app_opened", NOON + DAY))
    town.settle(NOON + DAY)

    assert len(town.vendors["push"].got) == 1


def test_what_is_given_once_is_not_given_again_after_the_merge(store):
    town = Town(store, GIFT)
    town.settle_people(somebody(level="gold"), somebody("openid:o1", level="gold"))
    town.post(event("app_opened", NOON, user="openid:o1"))
    town.settle(NOON)
    join(town, "u1", "openid:o1", NOON + HOUR)

    town.post(event("app_opened", NOON + DAY))
    town.settle(NOON + DAY)

    assert len(town.vendors["grant:gift"].got) == 1
    assert ends(town) == [("gift", "ended", "completed"), ("gift", "ended", "completed")]


def test_a_grant_that_was_refused_before_the_merge_is_tried_again_after_it(store):
    town = Town(store, GIFT)
    town.budget(gift=0)
    town.settle_people(somebody(level="gold"), somebody("openid:o1", level="gold"))
    town.post(event("app_opened", NOON, user="openid:o1"))
    town.settle(NOON)
    join(town, "u1", "openid:o1", NOON + HOUR)
    town.budget(gift=5)

    town.post(event("app_opened", NOON + DAY))
    town.settle(NOON + DAY)

    assert len(town.vendors["grant:gift"].got) == 1


def login_noted(town, now):
    """It is said that o1 is u1; the engine works on it, nothing is delivered."""
    town.store.database.write(lambda tx: town.store.identity.note_merge(tx, "u1", "openid:o1", "app", "openid o1", now))
    town.think(now)


def given(town, benefit="gift"):
    return len(town.vendors[f"grant:{benefit}"].got)


def left(town, benefit="gift"):
    with town.store.database.reading() as tx:
        return town.store.budgets.remaining(tx)[benefit]


BOTH_AT_ONCE = GIFT.replace("reentry: always", "reentry: always, mode: parallel")


def test_what_both_were_about_to_be_given_once_is_given_once(store):
    town = Town(store, BOTH_AT_ONCE)
    town.budget(gift=5)
    town.settle_people(somebody(level="gold"), somebody("openid:o1", level="gold"))
    town.post(event("app_opened", NOON), event("app_opened", NOON + 1, user="openid:o1"))
    town.think(NOON + 1)

    login_noted(town, NOON + SECOND)
    town.settle(NOON + MINUTE)

    assert (given(town), left(town)) == (1, 4)
    assert ends(town) == [("gift", "ended", "completed"), ("gift", "ended", "completed")]
    assert sorted((m["state"], m["reason"]) for m in town.story().messages) == [("ACCEPTED", None), ("SUPPRESSED", "given before")]
    town.post(event("app_opened", NOON + DAY))
    town.settle(NOON + DAY)
    assert given(town) == 1


@pytest.mark.parametrize("begun", ["u1", "openid:o1"])
def test_of_two_that_are_given_once_the_one_that_may_have_been_given_stays(store, begun):
    town = Town(store, BOTH_AT_ONCE, grant__gift=FakeVendor("key", Unknown("silence"), Accepted("r", {"code": "C"})))
    town.budget(gift=5)
    town.settle_people(somebody(level="gold"), somebody("openid:o1", level="gold"))
    town.post(event("app_opened", NOON, user=begun))
    town.think(NOON)
    town.deliver(NOON)
    town.post(event("app_opened", NOON + 1, user="openid:o1" if begun == "u1" else "u1"))
    town.think(NOON + 1)

    login_noted(town, NOON + SECOND)
    town.settle(NOON + SECOND)
    town.settle(NOON + MINUTE)

    assert {m.vendor_key for m in town.vendors["grant:gift"].got} == {town.vendors["grant:gift"].got[0].vendor_key}
    assert ends(town) == [("gift", "ended", "completed"), ("gift", "ended", "completed")]
    assert left(town) == 4


@pytest.mark.parametrize("once", ["", ", once_per: user.level"])
@pytest.mark.parametrize("first", ["u1", "openid:o1"])
def test_a_gift_planned_for_the_double_that_ends_is_not_given(store, once, first):
    text = journey_text(f"- {{id: gift, grant: {{benefit: gift{once}}}}}", id="gift", entry="{event: app_opened}")
    town = Town(store, text)
    town.settle_people(somebody(level="gold"), somebody("openid:o1", level="gold"))
    second = "openid:o1" if first == "u1" else "u1"
    town.post(event("app_opened", NOON, user=first), event("app_opened", NOON + 1, user=second))
    town.think(NOON + 1)

    login_noted(town, NOON + SECOND)
    town.settle(NOON + MINUTE)

    assert given(town) == 1
    assert ends(town) == [("gift", "ended", "completed"), ("gift", "ended", "merged")]


def test_a_call_planned_for_the_double_that_ends_is_not_made(store):
    town = Town(store, journey_text("- {id: ask, call: {endpoint: stock}}", id="ask", entry="{event: app_opened}"))
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON), event("app_opened", NOON + 1, user="openid:o1"))
    town.think(NOON + 1)

    login_noted(town, NOON + SECOND)
    town.settle(NOON + MINUTE)

    assert len(town.vendors["call:stock"].got) == 1


@pytest.mark.parametrize("answer", [RetryLater(HOUR, "busy"), Unknown("silence")])
def test_a_gift_of_the_double_that_was_tried_is_not_tried_again(store, answer):
    """What has certainly not been given goes back into the budget; what may have been given does not."""
    text = journey_text("- {id: gift, grant: {benefit: gift}}\n- {id: rest, delay: 5d}", id="gift", entry="{event: app_opened}")
    town = Town(store, text, grant__gift=FakeVendor("key", Accepted("r", {"code": "C"}), answer))
    town.budget(gift=5)
    town.settle_people(somebody(), somebody("openid:o1"))
    town.post(event("app_opened", NOON), event("app_opened", NOON + 1, user="openid:o1"))
    town.think(NOON + 1)
    town.deliver(NOON + 1)
    assert (given(town), left(town)) == (2, 3)

    login_noted(town, NOON + SECOND)
    for now in (NOON + MINUTE, NOON + 2 * MINUTE, NOON + 2 * HOUR):
        town.settle(now)

    assert (given(town), left(town)) == (2, 4 if isinstance(answer, RetryLater) else 3)


def test_a_gift_that_comes_to_nothing_after_the_merge_is_given_the_next_time(store):
    town = Town(store, GIFT)
    town.budget(gift=0)
    town.settle_people(somebody(level="gold"), somebody("openid:o1", level="gold"))
    town.post(event("app_opened", NOON, user="openid:o1"))
    town.think(NOON)
    login_noted(town, NOON + SECOND)
    town.settle(NOON + MINUTE)
    assert ends(town) == [("gift", "ended", "gift_failed")]

    town.budget(gift=5)
    for day in (1, 2):
        town.post(event("app_opened", NOON + day * DAY))
        town.settle(NOON + day * DAY)

    assert given(town) == 1


FRIEND = journey_text("- {id: g, grant: {benefit: gift, to: entry.friend_id, once_per: entry.type}}", id="friend",
                      entry="{event: friend_woken, reentry: always}")  # fmt: skip


@pytest.mark.parametrize("second", ["u1", "openid:o1"])
@pytest.mark.parametrize("first", ["u1", "openid:o1"])
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_what_is_given_once_to_somebody_else_is_given_once_by_whichever_of_her_ids(store, first, second, when):
    town = Town(store, FRIEND)
    town.settle_people(somebody("u9"), somebody("u8"), somebody("openid:o1"), somebody())
    if when == "before":
        join(town, "u1", "openid:o1", NOON - HOUR)
    town.post(event("friend_woken", NOON, user="u9", friend_id=first))
    town.settle(NOON)
    if when == "between":
        join(town, "u1", "openid:o1", NOON + HOUR)
    town.post(event("friend_woken", NOON + 2 * HOUR, user="u8", friend_id=second))
    town.think(NOON + 2 * HOUR)
    if when == "after":
        login_noted(town, NOON + 2 * HOUR)
    town.settle(NOON + 3 * HOUR)

    assert given(town) == 1
    assert [town.ends(user_id) for user_id in ("u8", "u9")] == [[("friend", "completed")]] * 2


def test_the_story_shows_the_merge_and_is_found_by_the_former_id(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    join(town, "u1", "openid:o1", NOON)

    story = story_of(town.store, "openid:o1")

    assert story.user_id == "u1"
    assert [(line.action, line.why["former"]) for line in lines_of(story) if line.action == "merged"] == [("merged", "openid:o1")]


def test_a_merge_that_is_asked_for_twice_happens_once(town):
    town.settle_people(somebody(), somebody("openid:o1"))
    join(town, "u1", "openid:o1", NOON)
    join(town, "u1", "openid:o1", NOON + 1)

    assert [line.action for line in lines_of(story_of(town.store, "u1"))].count("merged") == 1


def test_a_wish_to_merge_in_a_circle_ends_with_one_user(town):
    town.settle_people(somebody("a"), somebody("b"))
    join(town, "a", "b", NOON)
    join(town, "b", "a", NOON + 1)

    with town.store.database.reading() as tx:
        assert town.store.identity.survivors(tx, ["a", "b"]) == {"b": "a"}


@pytest.mark.parametrize(("may_merge", "expected"), [(False, {"openid:o1": "u1"}), (True, {"openid:o1": "u2", "u1": "u2"})])
def test_who_was_to_go_into_two_known_users_makes_them_one_only_by_the_word_of_who_may(town, may_merge, expected):
    town.settle_people(somebody(), somebody("u2"), somebody("openid:o1"))

    def note(tx):
        for survivor in ("u1", "u2"):
            town.store.identity.note_merge(tx, survivor, "openid:o1", "app", "openid o1", NOON, may_merge=may_merge)

    town.store.database.write(note)
    town.settle(NOON)

    with town.store.database.reading() as tx:
        assert town.store.identity.survivors(tx, ["u1", "u2", "openid:o1"]) == expected
    shown = [row["reason"] for row in town.quarantined() if row["kind"] == "identity"]
    assert shown == (
        [] if may_merge else ["openid o1 is said to be of u2, and belongs to u1: two known users are not merged by themselves"]
    )


@pytest.mark.parametrize(("devices_only", "expected"), [(True, {"distinct_id:d1": "openid:o1"}),
                                                       (False, {"distinct_id:d1": "u1", "openid:o1": "u1"})])  # fmt: skip
def test_a_device_that_has_gone_into_an_openid_before_its_login_was_worked_on_does_not_bring_the_openid(town, devices_only, expected):
    town.settle_people(somebody(), somebody("openid:o1"), somebody("distinct_id:d1"))

    def note(tx):
        town.store.identity.note_merge(tx, "openid:o1", "distinct_id:d1", "app", "distinct_id d1", NOON)
        town.store.identity.note_merge(tx, "u1", "distinct_id:d1", "app", "distinct_id d1", NOON, devices_only=devices_only)

    town.store.database.write(note)
    town.settle(NOON)

    with town.store.database.reading() as tx:
        assert town.store.identity.survivors(tx, ["distinct_id:d1", "openid:o1", "u1"]) == expected
    shown = [row["kind"] for row in town.quarantined()]
    assert shown == (["identity"] if devices_only else [])


def test_of_two_answers_the_latest_counts_and_of_equal_ones_the_no():
    mine = User("u1", ZONE, reach={"consents": {"sms": {"marketing": True, "service": True}}, "said": {"sms.marketing": 5}})
    theirs = User("x", ZONE, reach={"consents": {"sms": {"marketing": False, "service": False}, "push": {"marketing": True}},
                                    "said": {"sms.marketing": 9}})  # fmt: skip

    joined(mine, theirs, ZONE)

    assert mine.reach["consents"] == {"sms": {"marketing": False, "service": False}, "push": {"marketing": True}}


@pytest.mark.parametrize("answers", [(True, False), (False, True), (True, False, True)])
@pytest.mark.parametrize("whose", [("u1", "u1", "u1"), ("u1", "openid:o1", "u1"), ("openid:o1", "u1", "u1")])
def test_of_one_instants_answers_the_no_counts_in_whatever_order_and_to_whichever_of_two_they_come(town, answers, whose):
    town.settle_people(User("u1", ZONE), User("openid:o1", ZONE))

    for now, (granted, user_id) in enumerate(zip(answers, whose, strict=False), NOON):
        town.tell(user_id, now, consents={"sms": {"marketing": {"granted": granted, "at": NOON - HOUR}}})
        town.settle(now)
    join(town, "u1", "openid:o1", NOON + HOUR)

    with town.store.database.reading() as tx:
        reach = town.store.people.load_users(tx, ["u1"])["u1"].reach
        assert len(town.store.contacts.consents_of(tx, "u1")) == len(answers)
    assert (reach["consents"], reach["said"]) == ({"sms": {"marketing": False}}, {"sms.marketing": NOON - HOUR})


def test_a_yes_after_a_no_is_a_yes(town):
    town.settle_people(User("u1", ZONE))

    for n, granted in enumerate((False, True)):
        town.tell("u1", NOON + n, consents={"sms": {"marketing": granted}})
    town.settle(NOON + 1)

    with town.store.database.reading() as tx:
        assert town.store.people.load_users(tx, ["u1"])["u1"].reach["consents"] == {"sms": {"marketing": True}}


def test_her_own_values_go_before_those_of_the_former():
    mine = User("u1", ZONE, {"p": {"city": "上海"}, "t": ["vip"]}, {"identities": {"phone": "+861"}})
    theirs = User(
        "x", ZONE, {"p": {"city": "杭州", "level": "gold"}, "t": ["new"], "m": ["y"]}, {"identities": {"phone": "+862", "openid": "o1"}}
    )

    joined(mine, theirs, ZONE)

    assert mine.profile == {"p": {"city": "上海", "level": "gold"}, "t": ["new", "vip"], "m": ["x", "y"]}
    assert mine.reach["identities"] == {"phone": "+861", "openid": "o1"}


def test_what_she_was_told_to_be_no_more_does_not_come_back_by_the_former(town):
    town.tell("openid:o1", NOON - HOUR, tags=["complaint", "vip"], traits={"city": "杭州", "level": "gold", "points": 5})
    town.tell("u1", NOON - HOUR, tags=["complaint"], traits={"city": "上海", "level": "gold"})
    town.settle(NOON - HOUR)
    town.tell("u1", NOON - MINUTE, remove_tags=["complaint"], traits={"level": None})
    town.settle(NOON - MINUTE)

    join(town, "u1", "openid:o1", NOON)

    with town.store.database.reading() as tx:
        profile = town.store.people.load_users(tx, ["u1"])["u1"].profile
    assert (profile["t"], profile["p"]) == (["vip"], {"city": "上海", "points": 5})


def login(town, now, *, is_known):
    """An anonymous user turns out to be u1, who was looked at before (`is_known`), or of whom nobody knew."""
    if is_known:
        town.post(event("app_opened", now - MINUTE))
        town.settle(now - MINUTE)
    who = Person("u1", (("distinct_id", "d1"),), frozenset({"distinct_id"}))
    town.store.database.write(lambda tx: town.store.identity.resolve(tx, [("app", who)], now))
    town.settle(now)


def anonymous(town, *times):
    """Somebody who is known by a device, and ordered at these times."""
    for at in times:
        who = Person("", (("distinct_id", "d1"),), frozenset({"distinct_id"}))
        [user_id] = town.store.database.write(lambda tx, at=at, who=who: town.store.identity.resolve(tx, [("app", who)], at))
        town.post(event("order_paid", at, user=user_id, amount=1))
        town.settle(at)


def told(town):
    """What the audience said of her after the merge: (action, segment or stage, when)."""
    log = [entry for _, _, entry in town.story().log]
    merged = next(n for n, entry in enumerate(log) if entry.action == "merged")
    kinds = ("segment_entered", "segment_left", "stage_changed", "entered")
    return [(e.action, e.why.get("segment") or e.why.get("to") or "", e.at) for e in log[merged:] if e.action in kinds]


BOUGHT = journey_text(f"- {{id: hi, send: {PUSH}}}", id="bought", entry="{segment: buyers, existing: skip, reentry: always}")
BACK = journey_text(f"- {{id: hi, send: {PUSH}}}", id="back", entry="{segment: dormant, existing: skip, reentry: always}")
GROWN = journey_text(f"- {{id: hi, send: {PUSH}}}", id="grown", entry="{event: stage_changed, reentry: always}")
KNOWN_BEFORE = pytest.mark.parametrize("is_known", [True, False])


@KNOWN_BEFORE
def test_who_was_inside_before_a_journey_began_is_not_let_in_by_a_login(store, is_known):
    town = Town(store, CARE)
    anonymous(town, NOON - 100 * DAY)
    town.settle(NOON - DAY)
    town.apply(BOUGHT, BACK, GROWN, now=NOON - HOUR)
    town.settle(NOON - HOUR)

    login(town, NOON, is_known=is_known)

    assert (town.ends(), told(town)) == ([], [])


@KNOWN_BEFORE
def test_who_went_through_a_journey_does_not_enter_again_by_a_login(store, is_known):
    town = Town(store, BOUGHT, BACK, applied_at=NOON - 50 * DAY)
    anonymous(town, NOON - 40 * DAY)
    town.settle(NOON - DAY)

    login(town, NOON, is_known=is_known)

    assert sorted(journey for journey, _ in town.ends()) == ["back", "bought"]
    assert told(town) == []


@KNOWN_BEFORE
def test_what_the_two_together_are_in_is_nobodys_edge_and_what_flips_later_is(store, is_known):
    regular = AUDIENCE.replace("  tagged:", "  regular: {name: 常买, when: user.orders_7d + user.points >= 3}\n  tagged:")
    town = Town(store, BOUGHT, BACK, GROWN, applied_at=NOON - 50 * DAY, audience_text=regular)
    if is_known:
        town.tell("u1", NOON - DAY, traits={"points": 1})
    anonymous(town, NOON - 2 * HOUR, NOON - HOUR)
    entered = [journey for journey, _ in town.ends("distinct_id:d1")]

    login(town, NOON, is_known=is_known)

    assert ([journey for journey, _ in town.ends()], told(town)) == (entered, [])
    for day in (7, 8, 30):
        town.settle(NOON + day * DAY)
    fell = [("segment_left", "regular", NOON - 2 * HOUR + 7 * DAY)] if is_known else []
    dormant_at = NOON - HOUR + 30 * DAY
    assert [line for line in told(town) if line[0] != "entered"] == [
        *fell, ("segment_entered", "dormant", dormant_at), ("stage_changed", "gone", dormant_at),
    ]  # fmt: skip
    assert sorted(journey for journey, _ in town.ends())[:1] == ["back"]


@KNOWN_BEFORE
def test_a_flip_that_nobody_had_looked_at_before_the_login_is_an_edge_at_its_own_time(store, is_known):
    town = Town(store, BACK, applied_at=NOON - 50 * DAY)
    anonymous(town, NOON - 31 * DAY)
    with store.database.reading() as tx:
        assert store.people.load_users(tx, ["distinct_id:d1"])["distinct_id:d1"].recheck_at == NOON - DAY
    who = Person("u1", (("distinct_id", "d1"),), frozenset({"distinct_id"}))
    if is_known:
        town.settle_people(somebody(), now=NOON - 32 * DAY)

    store.database.write(lambda tx: store.identity.resolve(tx, [("app", who)], NOON))
    town.settle(NOON)

    assert [journey for journey, _ in town.ends()] == ["back"]
    edges = [(e.action, e.at) for _, _, e in town.story().log if e.action in ("segment_entered", "stage_changed")]
    assert edges[-2:] == [("segment_entered", NOON - DAY), ("stage_changed", NOON - DAY)]
    assert told(town) == []  # she was found inside before she was merged: that she is so still is no edge


def test_what_she_is_in_no_more_she_leaves_by_the_merge(store):
    town = Town(store, BACK, applied_at=NOON - 50 * DAY)
    anonymous(town, NOON - 40 * DAY)
    town.post(event("order_paid", NOON - DAY, amount=1))
    town.settle(NOON - DAY)

    login(town, NOON, is_known=True)

    assert told(town) == [("segment_left", "dormant", NOON)]
    with store.database.reading() as tx:
        assert store.reports.stages(tx) == {"buying": 1}


def test_the_counts_by_stage_are_those_of_the_users_after_any_merge(town):
    town.post(event("order_paid", NOON), event("app_opened", NOON, user="openid:o1"), event("order_paid", NOON, user="u2"))
    town.settle(NOON)
    join(town, "u1", "openid:o1", NOON + HOUR)
    town.settle(NOON + 31 * DAY)

    with town.store.database.reading() as tx:
        reports = town.store.reports
        days = [day_number(day, ZONE) for day in (NOON, NOON + 30 * DAY, NOON + 31 * DAY)]
        now, then = reports.stages(tx), [reports.stages_then(tx, day) for day in days]

    assert then == [{"buying": 2}, {"gone": 2}, {"gone": 2}]
    assert now == {"gone": 2}


def test_a_zone_told_of_her_before_her_login_is_kept(store):
    town = Town(store, OFTEN, rules=Rules(quiet_hours=(21 * 60, 9 * 60)))
    town.settle_people(somebody("openid:o1", zone=ZoneInfo("America/New_York")), somebody())
    join(town, "u1", "openid:o1", NOON - HOUR)

    town.post(event("app_opened", NOON))
    town.settle(NOON)
    assert town.vendors["push"].got == []  # it is 23:00 where she is

    town.settle(NOON + 10 * HOUR)
    assert [m.at for m in town.vendors["push"].got] == [NOON + 10 * HOUR]


def test_of_two_zones_her_own_is_kept(town):
    town.settle_people(somebody("openid:o1", zone=ZoneInfo("America/New_York")), somebody(zone=ZoneInfo("Europe/Berlin")))
    join(town, "u1", "openid:o1", NOON)

    with town.store.database.reading() as tx:
        assert town.store.people.load_users(tx, ["u1"])["u1"].zone.key == "Europe/Berlin"


@pytest.mark.parametrize(("first", "second"), [("u1", "openid:o1"), ("openid:o1", "u1")])
def test_of_two_phones_the_one_that_was_told_last_gets_what_is_sent(store, first, second):
    """Who logs in on a new phone has it in her hand."""
    town = Town(store, OFTEN)
    town.settle_people(somebody(), somebody("openid:o1"))
    for now, (user_id, push_id) in enumerate(((first, "OLD"), (second, "NEW")), NOON):
        town.tell(user_id, now, identities={"push_id": push_id})
        town.settle(now)
    join(town, "u1", "openid:o1", NOON + HOUR)

    town.post(event("app_opened", NOON + DAY))
    town.settle(NOON + DAY)

    assert [m.address for m in town.vendors["push"].got] == ["NEW"]
    with store.database.reading() as tx:
        assert store.people.load_users(tx, ["u1"])["u1"].reach["told"]["identity.push_id"] == NOON + 1


WOKEN = "{event: friend_woken, subject: friend_id}"


def rewards(town, *friends):
    """u9 wakes these friends, one an hour; how many rewards it brings her."""
    for hour, friend in enumerate(friends, 1):
        town.post(event("friend_woken", NOON + hour * HOUR, user="u9", friend_id=friend))
        town.settle(NOON + hour * HOUR)
    return given(town)


@pytest.mark.parametrize("when", ["before", "between"])
@pytest.mark.parametrize(("first", "second"), [("openid:o1", "u1"), ("u1", "openid:o1")])
def test_one_friend_under_two_ids_is_one_subject_once_they_are_merged(store, first, second, when):
    town = Town(store, journey_text("- {id: reward, grant: {benefit: gift}}", id="wake", entry=WOKEN))
    town.settle_people(somebody("u9"), somebody("openid:o1"), somebody(), somebody("u2"))
    if when == "before":
        join(town, "u1", "openid:o1", NOON)
    assert rewards(town, first) == 1
    join(town, "u1", "openid:o1", NOON + HOUR)

    assert rewards(town, second, first, "u2", "openid:o2") == 3
    assert {(row["reason"], row["times"]) for row in town.story("u9").refusals} == {("reentry", 2)}


@pytest.mark.parametrize(("mode", "ended"), [("restart", [None, "restarted"]), ("single", [None]), ("parallel", [None, None])])
def test_mode_knows_one_friend_by_both_her_ids(store, mode, ended):
    entry = WOKEN.replace("}", f", reentry: always, mode: {mode}}}")
    town = Town(store, journey_text("- {id: d, delay: 30d}", id="wake", entry=entry))
    town.settle_people(somebody("u9"), somebody("openid:o1"), somebody())
    rewards(town, "openid:o1")
    join(town, "u1", "openid:o1", NOON + HOUR)

    rewards(town, "u1")

    assert sorted((end for _, end in town.ends("u9")), key=str) == ended
