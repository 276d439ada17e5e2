"""Why somebody is not in a journey, or got nothing by it: every kind of thing that has to hold, then and now."""

import pytest

from runtime.enquiring import why_not, why_not_json
from runtime.state import bucket
from runtime.store.movements import Pause
from tests.shop import CONFIG, Shop, write_journeys
from tests.told import told_story, told_why_not
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, ZONE, at, journey_text, somebody

SAY = f"- id: say\n  send: {PUSH}"
POLICY = CONFIG + '[policy]\nquiet_hours = "21:00-09:00"\ncaps = [{channel = "push", purpose = "marketing", max = 1, per = "day"}]\n'
HELD_OUT = next(f"u{n}" for n in range(1000) if bucket("wake", f"u{n}") < 1000)
TREATED = next(f"u{n}" for n in range(1000) if bucket("wake", f"u{n}") >= 1000)


def wake(entry="{event: app_opened}", steps=SAY, **keys):
    return journey_text(steps, id="wake", entry=entry, **keys)


@pytest.fixture
def make(tmp_path):
    """Open a shop with one journey and one user who can be reached."""
    opened = []

    def made(text, user="u1", *, now=NOON, config=CONFIG, welcome=True, **more):
        shop = Shop(tmp_path / "shop", text, config=config, now=now, **more)
        opened.append(shop)
        if welcome:
            shop.welcome(user)
        shop.settle()
        return shop

    yield made
    for shop in opened:
        shop.close()


def post(shop, type_, user="u1", **data):
    shop.post({"id": f"{type_}{shop.clock.now()}", "type": type_, "user_id": user, "data": data})
    shop.settle(shop.clock.now() + MINUTE)


def now_lines(shop, user="u1", language="en"):
    """The lines of what holds now, without places."""
    lines = told_why_not(shop, user, "wake", language)
    begin = next(n for n, line in enumerate(lines) if line.startswith(("How it is now", "现在是怎样")))
    end = next((n for n, line in enumerate(lines) if line.startswith(("Could she", "现在能给"))), len(lines))
    return [line.split("  wake.yaml")[0].split("  audience.yaml")[0] for line in lines[begin + 1 : end]]


def codes(shop, user="u1"):
    return {r.code: r.held for r, _ in why_not(shop.app, user, "wake", shop.clock.now()).entry}


# ---------------------------------------------------------------------------------------------------- entries


@pytest.mark.parametrize(
    ("entry", "keys", "english"),
    [
        ("{event: app_opened}", {"status": "closed"}, "  ✗ the journey is closed: nobody enters; it would have to be live"),
        ("{event: app_opened}", {"ends_at": '"2026-12-01 10:00"'}, "  ✗ it ended 2026-12-01 10:00"),
        ("{event: app_opened}", {"ends_at": '"2026-12-09 10:00"'}, "  ✓ it runs until 2026-12-09 10:00"),
        ("{event: app_opened}", {}, "  ✗ no app_opened of hers is kept; one would have to come"),
        ("{event: friend_woken, user: entry.friend_id}", {}, "  ? friend_woken of somebody else lets in entry.friend_id: what came of it stands with that user"),
        ("{schedule: '0 10 * * *'}", {}, "  ? enters by the schedule 0 10 * * *: last 2026-12-01 10:00, next 2026-12-02 10:00"),
        ('{at: "2026-12-18 10:00"}', {}, "  ? enters at 2026-12-18 10:00, which is to come"),
        ('{at: "2026-12-01 10:00"}', {}, "  ✗ the entry was at 2026-12-01 10:00 and is over"),
        ('{date: user.birthday, at: "10:00"}', {}, "  ✗ enters on her date: user.birthday = missing; there is none to come"),
        ("{api: true}", {}, "  ? enters by call only (api)"),
        ("{segment: dormant, existing: skip}", {}, "  ✗ she is not in segment 沉睡 (dormant)"),
    ],
)  # fmt: skip
def test_every_kind_of_entry_says_what_it_needs(make, entry, keys, english):
    shop = make(wake(entry, **keys))

    assert english in now_lines(shop)


def test_her_own_event_is_no_entry_of_hers_where_it_lets_in_somebody_else(make):
    shop = make(wake("{event: friend_woken, user: entry.friend_id, where: event.friend_id == 'u2'}"))
    post(shop, "friend_woken", friend_id="u2")

    assert now_lines(shop)[2:] == [
        "  ✗ the condition of the entry does not hold, as far as it can be told without an event",
        "      ✗ event.friend_id == 'u2'  it is missing; needed: u2",
    ]


def test_a_date_to_come_is_named(make):
    shop = make(wake('{date: user.birthday, offset: -3d, at: "10:00"}'))
    shop.post({"user_id": "u1", "traits": {"birthday": "12-24"}}, "/v1/users")
    shop.settle()

    assert "  ? 按日期进入：user.birthday = 12-24，下次 2026-12-21 10:00" in now_lines(shop, language="zh")
    assert told_why_not(shop, "u1", "wake", "en")[1:3] == [
        "She never entered. Nothing stands in the way; what would let her in is still to come:",
        "  enters on her date: user.birthday = 12-24, next 2026-12-21 10:00",
    ]


def test_a_segment_is_opened_clause_by_clause_and_says_when_it_begins(make):
    shop = make(wake("{segment: dormant, existing: skip}"))
    post(shop, "order_paid", amount=5)

    assert now_lines(shop) == [
        "  ✓ the journey is live",
        "  ✗ she is not in segment 沉睡 (dormant)",
        (
            "      ✗ days_since(user.last_order_at) >= 30  it is 0; needed: at least 30 (user.last_order_at = 2026-12-01 12:00); "
            "becomes so on 2026-12-31 12:00 if nothing else happens"
        ),
    ]


def test_who_was_in_the_segment_before_is_left_out_by_existing_skip(make):
    shop = make(journey_text(SAY, id="other", entry="{event: app_opened}"))
    post(shop, "order_paid", amount=5)
    shop.settle(NOON + DAY)
    write_journeys(shop.folder, wake("{segment: buyers, existing: skip}"))
    shop.apply()
    shop.settle(NOON + 2 * DAY)

    assert now_lines(shop)[1:4] == [
        "  ✓ she is in segment 买过 (buyers), entered 2026-12-01 12:00",
        "      ✓ user.orders_count > 0  it is 1",
        (
            "  ✗ she was in it before the journey let in by it (since 2026-12-02 12:00): `existing: skip` leaves those out; "
            "she must leave and come back"
        ),
    ]


def test_who_is_in_the_segment_by_an_edge_that_is_used_up_must_leave_it_to_enter_again(make):
    shop = make(wake("{segment: buyers, existing: skip, reentry: always}"))
    post(shop, "order_paid", amount=5)
    shop.settle(NOON + DAY)

    assert [line for line in now_lines(shop) if "✗" in line] == [
        (
            "  ✗ coming into it is what lets in, and what came of that on 2026-12-01 12:00 was decided then; "
            "to enter now she must leave the segment and come back"
        )
    ]


def edits(shop, *conditions):
    """The segment of those who bought is defined anew, once an hour; whoever it concerns is looked at."""
    for condition in conditions:
        write_journeys(
            shop.folder, wake("{segment: buyers, existing: skip}"), audience=AUDIENCE.replace("user.orders_count > 0", condition, 1)
        )
        shop.settle(shop.clock.now() + HOUR)
        shop.apply()
        shop.settle(shop.clock.now() + MINUTE)


def segments(shop, language="en"):
    return next((line for line in told_story(shop, "u1", language) if line.startswith(("segments", "分群"))), "")


def test_who_left_a_segment_by_one_edit_and_came_back_by_another_is_told_by_which_definition_she_is_in_it(make):
    shop = make(wake("{segment: buyers, existing: skip}"))
    post(shop, "order_paid", amount=5)
    assert segments(shop) == "segments  buyers (买过)"

    edits(shop, "user.orders_count > 1")
    assert segments(shop) == "segments  no longer buyers (买过) (by its definition since release 2)"
    assert segments(shop, "zh") == "分群  不再是「买过」buyers（按第 2 次发布改过的定义）"

    edits(shop, "user.orders_count >= 1")
    assert segments(shop) == "segments  buyers (买过) (by its definition since release 3)"
    assert segments(shop, "zh") == "分群  「买过」buyers（按第 3 次发布改过的定义）"
    line = "she is in segment 买过 (buyers) by its definition since release 3: an edit of it is no entry"
    assert f"  ✓ {line}" in now_lines(shop)
    assert "  ✓ 按第 3 次发布改过的定义，她在分群「买过」（buyers）；改定义不算进入" in now_lines(shop, language="zh")


def test_who_enters_a_segment_after_its_edit_is_told_when(make):
    shop = make(wake("{segment: buyers, existing: skip}"))
    edits(shop, "user.orders_count >= 1")
    post(shop, "order_paid", amount=5)

    assert segments(shop) == "segments  buyers (买过)"
    assert any("she is in segment 买过 (buyers), entered 2026-12-01" in line for line in now_lines(shop))


def test_who_was_in_a_segment_when_she_was_first_looked_at_is_told_so(make):
    shop = make(wake("{segment: tagged, existing: skip}"), welcome=False)
    shop.app.store.database.write(lambda tx: shop.app.store.people.save_users(tx, [somebody("u1", tags=("vip",))]))
    shop.settle()

    said = "she is in segment 有标签 (tagged) without having entered it: she was in it already when she was first looked at"
    assert f"  ✓ {said}" in now_lines(shop)
    assert "  ✓ 在分群「有标签」（tagged），没有进入的记录：第一次看她时就已在里面" in now_lines(shop, language="zh")


def test_an_entry_of_those_who_were_in_it_says_whether_she_was_looked_at(make):
    shop = make(journey_text(SAY, id="other", entry="{event: app_opened}"))
    post(shop, "order_paid", amount=5)
    write_journeys(shop.folder, wake("{segment: buyers, existing: enrol, pace: 1 per 1d}"))
    shop.apply()
    before = codes(shop)
    shop.settle(shop.clock.now() + HOUR)

    assert before["existing_enrol"] is False
    assert codes(shop)["existing_enrol"] is True


def test_a_condition_of_the_entry_says_each_value_and_what_it_would_have_to_be(make):
    shop = make(wake("{event: order_paid, where: event.amount > 10 and user.orders_count == 1}"))
    for _ in range(2):
        post(shop, "order_paid", amount=5)

    lines = told_why_not(shop, "u1", "wake")
    assert lines[:6] == [
        "Why did u1 get no message by wake J?",
        "She never entered. She was refused, last on 2026-12-01 12:01: the condition of the entry does not hold.",
        "What stands in the way now:",
        "  the condition of the entry does not hold, with the event of 2026-12-01 12:01",
        "What was decided then (kept)",
        "  2026-12-01 12:01  was not let in: the condition of the entry does not hold",
    ]
    assert lines[6:9] == [
        "      2 times; this is the last",
        "      ✗ event.amount > 10  it was 5; needed: more than 10",
        "      ✗ user.orders_count == 1  it was 2; needed: 1",
    ]
    assert now_lines(shop, language="zh")[2:] == [
        "  ✗ 进入条件不成立（用 2026-12-01 12:01 的事件来看）",
        "      ✗ event.amount > 10  现在是 5，要 大于 10",
        "      ✗ user.orders_count == 1  现在是 2，要 1",
    ]


def test_an_event_that_is_history_moved_nobody(make):
    shop = make(wake())
    store = shop.app.store
    old = [{"id": "h1", "type": "app_opened", "user_id": "u1", "time": "2026-11-01T10:00:00+08:00"}]
    store.database.write(lambda tx: store.inbox.add_events(tx, "crm", [_event(e) for e in old], history=True))
    shop.settle()

    assert (
        "  ✗ the last app_opened (2026-11-01 10:00) was imported as history, which moves nobody; a new one would have to come"
        in now_lines(shop)
    )


def _event(raw):
    from runtime.state import Event

    return Event(raw["id"], raw["type"], raw["user_id"], at("2026-11-01 10:00"), NOON, {})


OTHER = journey_text(SAY, id="other", entry="{event: app_opened}")


@pytest.mark.parametrize(
    "meanwhile",
    [
        wake("{event: order_paid}"),
        OTHER,
        wake("{event: friend_woken, user: entry.friend_id}"),
        wake("{event: friend_woken}", status="closed"),
    ],
    ids=["it waits for another event", "it is gone", "it lets in somebody else", "it is closed"],
)
def test_an_event_that_came_while_the_journey_did_not_let_in_by_it_lets_nobody_in_now(make, meanwhile):
    by_it = wake("{event: friend_woken}")
    shop = make(by_it)
    write_journeys(shop.folder, meanwhile)
    shop.apply(NOON + HOUR)
    shop.settle(NOON + HOUR)
    post(shop, "friend_woken", friend_id="u2")
    for hour, text in ((3, by_it), (4, by_it.replace("id: say", "id: tell"))):  # the second changes nothing about who enters
        write_journeys(shop.folder, text)
        shop.apply(NOON + hour * HOUR)
        shop.settle(NOON + hour * HOUR)

    assert [line for line in now_lines(shop) if "✗" in line] == [
        (
            "  ✗ the last friend_woken (2026-12-01 13:00) came before the journey let in by it (since 2026-12-01 15:00); "
            "a new one would have to come"
        )
    ]


def test_an_event_of_before_that_the_engine_works_on_only_after_the_release_has_not_let_her_in_either(make):
    shop = make(journey_text(SAY, id="other", entry="{event: order_paid}"))
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1", "data": {}})
    write_journeys(shop.folder, wake())
    shop.apply(NOON + HOUR)
    shop.settle(NOON + HOUR)

    assert codes(shop)["event"] is False
    assert [line for line in told_why_not(shop, "u1", "wake", "en") if "never entered" in line]
    assert shop.vendor.got == []


def test_an_edit_that_changes_nothing_about_who_enters_is_no_gap(make):
    shop = make(wake("{event: app_opened, where: user.points > 3}"))
    post(shop, "app_opened")
    write_journeys(shop.folder, wake("{event: [app_opened, order_paid], where: user.points > 9}"))
    shop.apply(NOON + HOUR)
    shop.settle(NOON + HOUR)

    assert "  ✓ app_opened / order_paid came, last 2026-12-01 12:00" in now_lines(shop)


def test_an_edge_that_came_while_the_journey_was_gone_is_no_edge_of_the_journey(make):
    shop = make(wake("{segment: tagged, existing: skip}"))
    write_journeys(shop.folder, OTHER)
    shop.apply(NOON + HOUR)
    shop.settle(NOON + HOUR)
    shop.post([{"user_id": "u1", "tags": ["vip"]}], "/v1/users")
    shop.settle(NOON + 2 * HOUR)
    write_journeys(shop.folder, wake("{segment: tagged, existing: skip}"))
    shop.apply(NOON + 3 * HOUR)
    shop.settle(NOON + 3 * HOUR)

    assert (codes(shop).get("existing_skip"), "edge" in codes(shop)) == (False, False)


def test_re_entry_and_mode_say_since_when_and_until_when(make):
    shop = make(wake("{event: app_opened, reentry: {after: 7d}}", steps="- id: rest\n  delay: 1d"))
    post(shop, "app_opened")
    inside = now_lines(shop)
    shop.settle(NOON + 2 * DAY)

    assert "  ✗ she is inside already, since 2026-12-01 12:00 (mode: single)" in inside
    assert "  ✗ she entered 2026-12-01 12:00, and may enter again from 2026-12-08 12:00" in now_lines(shop)
    shop.settle(NOON + 9 * DAY)
    assert "  ✓ she may enter again (last 2026-12-01 12:00, reentry 7d)" in now_lines(shop)


def test_who_may_enter_only_once_is_told_so(make):
    shop = make(wake())
    post(shop, "app_opened")

    assert "  ✗ 2026-12-01 12:00 进入过，只能进入一次（reentry: once）" in now_lines(shop, language="zh")


def test_an_entry_per_order_says_of_which_order_it_speaks_and_that_another_one_lets_her_in(make):
    shop = make(wake("{event: order_paid, subject: order_id}", steps="- id: rest\n  delay: 1d"))
    post(shop, "order_paid", order_id="o-1")
    inside, zh = now_lines(shop), now_lines(shop, language="zh")
    shop.settle(NOON + 2 * DAY)

    assert "  ✗ for order_id o-1: she is inside already, since 2026-12-01 12:00 (mode: single); another order_id lets her in" in inside
    assert "  ✗ order_id o-1：2026-12-01 12:00 起已在旅程中（mode: single）；换一个 order_id 就能进" in zh
    assert (
        "  ✗ for order_id o-1: she entered 2026-12-01 12:00, and may enter only once (reentry: once); another order_id lets her in"
    ) in now_lines(shop)
    post(shop, "order_paid", order_id="o-2")
    assert [e["subject"] for e in shop.story().enrolments] == ["o-1", "o-2"]


def test_what_is_said_of_an_entry_per_order_that_she_may_repeat_names_the_order(make):
    shop = make(wake("{event: order_paid, subject: order_id, reentry: always}"))
    post(shop, "order_paid", order_id="o-1")

    assert "  ✓ for order_id o-1: she may enter again (last 2026-12-01 12:00, reentry always)" in now_lines(shop)


def test_a_refusal_that_is_kept_names_the_order_that_it_was_about(make):
    shop = make(wake("{event: order_paid, subject: order_id, where: event.amount > 10}", steps="- id: rest\n  delay: 1d"))
    post(shop, "order_paid", order_id="o-1", amount=50)
    post(shop, "order_paid", order_id="o-1", amount=50)
    post(shop, "order_paid", order_id="o-2", amount=5)

    lines = told_why_not(shop, "u1", "wake")

    assert [line.split(";")[0].strip() for line in lines if line.startswith("      for ")] == ["for o-2", "for o-1"]


def test_the_headline_names_what_is_still_to_come_before_what_stands_in_the_way(make):
    shop = make(wake('{at: "2026-12-18 10:00"}', holdout="10%", goal="{event: order_paid, within: 7d}"), HELD_OUT)

    own = bucket("wake", HELD_OUT) / 100
    assert told_why_not(shop, HELD_OUT, "wake")[1:6] == [
        "She never entered, and no refusal of hers is kept.",
        "What would let her in is still to come:",
        "  enters at 2026-12-18 10:00, which is to come",
        "What stands in the way now:",
        f"  she would enter the hold-out (draw {own:g}% lies below 10%) and get nothing",
    ]
    assert told_why_not(shop, HELD_OUT, "wake", "zh")[2:4] == ["还没等到：", "  2026-12-18 10:00 定点进入，还没到"]


def test_of_a_journey_in_which_nobody_enters_nothing_is_said_to_come(make):
    shop = make(wake('{at: "2026-12-18 10:00"}', status="closed"))

    assert told_why_not(shop, "u1", "wake")[2:4] == [
        "What stands in the way now:",
        "  the journey is closed: nobody enters; it would have to be live",
    ]


def test_a_full_pace_says_when_there_is_room_again(make):
    shop = make(wake("{segment: buyers, existing: skip, pace: 1 per 1d}"))
    shop.welcome("u2")
    post(shop, "order_paid", "u2", amount=5)
    post(shop, "order_paid", amount=5)

    assert "  ✗ the pace is used up: 1 of 1 per 1d, again from 2026-12-02 12:01" in now_lines(shop)
    assert (
        told_why_not(shop, "u1", "wake")[1] == "She never entered. She was refused, last on 2026-12-01 12:01: the pace lets nobody more in."
    )


def test_hold_outs_of_the_project_and_of_the_journey_show_the_draw(make):
    config = CONFIG + '[policy]\nholdout = "100%"\n'
    shop = make(wake(holdout="10%", goal="{event: order_paid, within: 7d}"), HELD_OUT, config=config)

    lines = now_lines(shop, HELD_OUT)
    place = bucket("project", HELD_OUT) / 100
    assert f"  ✗ in the project's hold-out ({place:g}% lies below 100%); it never changes unless the share is lowered" in lines
    own = bucket("wake", HELD_OUT) / 100
    assert f"  ✗ she would enter the hold-out (draw {own:g}% lies below 10%) and get nothing" in lines


def test_a_paused_journey_says_by_whom_and_why(make):
    shop = make(wake())
    shop.app.store.database.write(lambda tx: shop.app.store.movements.pause(tx, Pause("wake", NOON, "li", "券发错了")))

    assert any("自 2026-12-01 12:00 暂停（li：券发错了）" in line for line in now_lines(shop, language="zh"))


# ---------------------------------------------------------------------------------------------------- who entered and got nothing


def test_who_is_held_out_is_told_so(make):
    shop = make(wake(holdout="10%", goal="{event: order_paid, within: 7d}"), HELD_OUT)
    post(shop, "app_opened", HELD_OUT)

    assert told_why_not(shop, HELD_OUT, "wake", "zh")[1] == "进入了，但在对照组：只衡量，什么也不发。"


def test_who_entered_and_got_nothing_is_told_which_decision_it_was(make):
    shop = make(wake(), TREATED)
    shop.post({"user_id": TREATED, "consents": {"push": {"marketing": False}}}, "/v1/users")
    post(shop, "app_opened", TREATED)

    assert told_why_not(shop, TREATED, "wake")[1:4] == [
        "She was inside (1×) and got no message. What decided:",
        "  2026-12-01 12:00  say: not sent: she has not agreed to such messages on this channel",
        "  2026-12-01 12:00  ended: all steps are done",
    ]


def test_who_is_inside_and_waits_is_told_for_what(make):
    shop = make(wake(), config=POLICY, now=at("2026-12-01 22:00"))
    post(shop, "app_opened")

    assert told_why_not(shop, "u1", "wake")[1:3] == [
        "She is inside, and has got no message so far.",
        "  Now: holds the message of say until 2026-12-02 09:00: quiet hours, no marketing now; then it is asked again.",
    ]


def test_who_did_get_it_is_told_so(make):
    shop = make(wake())
    post(shop, "app_opened")

    assert told_why_not(shop, "u1", "wake")[1] == "She did: 1 message, the last 2026-12-01 12:01. The story has them."


def test_a_journey_that_is_gone_lets_nobody_in(make):
    shop = make(wake())
    write_journeys(shop.folder, journey_text(SAY, id="other", entry="{event: app_opened}"))
    shop.apply()

    assert told_why_not(shop, "u1", "wake")[1:] == ["The journey is not in the current release: nobody enters."]


# ---------------------------------------------------------------------------------------------------- could it be sent now


def ways(shop, user="u1", language="en"):
    lines = told_why_not(shop, user, "wake", language)
    begin = next(n for n, line in enumerate(lines) if line.startswith(("Could she", "现在能给")))
    return lines[begin + 1 :]


def test_a_way_that_is_open_is_shown_as_open(make):
    assert ways(make(wake())) == ["  ✓  push marketing  would go out now  steps say"]


def test_consent_address_and_stops_are_said_for_each_channel(make):
    both = "- id: say\n  send: [{push: {title: T, body: B}}, {sms: {template: news}}]"
    shop = make(wake(steps=both), welcome=False)
    shop.post({"user_id": "u1", "tags": ["complaint"], "consents": {"push": {"marketing": True}}}, "/v1/users")
    shop.settle()

    assert ways(shop, language="zh") == [
        "  ✗  推送 营销  对她的营销暂停中：投诉中（has_tag('complaint')）；没有推送的联系方式  步骤 say",
        "  ✗  短信 营销  对她的营销暂停中：投诉中（has_tag('complaint')）；短信的营销消息没有同意（没问过）  步骤 say",
    ]


def test_quiet_hours_are_a_hold_and_a_full_cap_is_none(make):
    shop = make(wake("{event: app_opened, reentry: always}"), config=POLICY)
    post(shop, "app_opened")
    full = ways(shop)
    shop.settle(at("2026-12-02 22:00"))

    assert full == ["  ✗  push marketing  cap push marketing 1/day is used up (1)  steps say"]
    assert ways(shop) == ["  ?  push marketing  held until 2026-12-03 09:00: quiet hours, no marketing now  steps say"]


def test_a_subscription_that_is_used_up_and_a_channel_that_is_held_are_said(make):
    subscribe = '[channels.wechat]\nadapter = "subscribe"\nappid = "wx1"\nsecret = "file:secrets/shop"\n[channels.wechat.templates]'
    steps = "- id: say\n  send: [{wechat: {template: news, data: {title: T}}}, {push: {title: T, body: B}}]"
    shop = make(wake(steps=steps), config=CONFIG.replace("[channels.wechat.templates]", subscribe))
    shop.app.store.database.write(lambda tx: shop.app.store.flow.open_circuit(tx, "push", "", "401", "bad key", NOON, HOUR))

    assert ways(shop) == [
        "  ✗  WeChat marketing  no subscription left for news  steps say",
        "  ✗  push marketing    push is held since 2026-12-01 12:00: bad key  steps say",
    ]


def test_a_step_that_is_passed_over_now_says_its_condition(make):
    shop = make(wake(steps=f"- id: say\n  if: user.points > 3\n  send: {PUSH}"))

    assert ways(shop) == ["  ✗  push marketing  the step's `if` does not hold: user.points > 3  steps say"]


def test_an_exit_that_nobody_gets_past_to_a_send_is_asked_too_and_one_beside_the_way_is_not(make):
    steps = """
    - {id: fit, if: user.points is missing, exit: unfit}
    - id: which
      branch: [{when: has_tag('x'), steps: [{id: aside, if: user.level == 'normal', exit: aside}]}]
    - {id: say, send: [{push: {title: T, body: B}}]}
    """

    assert ways(make(wake(steps=steps))) == [
        "  ✗  push marketing  unfit: it ends before this step, since user.points is missing holds  steps say"
    ]


def test_a_condition_that_ends_the_journey_is_asked_too(make):
    shop = make(wake(exit_when="[{when: user.level == 'normal', reason: normal}]"))

    assert ways(shop) == ["  ✗  push marketing  normal: it ends before this step, since user.level == 'normal' holds  steps say"]


def test_consent_in_a_rule_is_asked_for_the_journeys_purpose_as_the_walk_does(make):
    config = CONFIG.replace("[channels.push]", 'info = {id = "S2", purpose = "service"}\n[channels.push]')
    steps = "- {id: say, if: has_consent('sms'), purpose: service, send: [{sms: {template: info}}]}"
    shop = make(wake(steps=steps), config=config, welcome=False)
    consents = {"sms": {"service": True, "marketing": False}}
    shop.post({"user_id": "u1", "identities": {"phone": "13800000000"}, "consents": consents}, "/v1/users")
    shop.settle()

    assert ways(shop) == ["  ✗  SMS service  the step's `if` does not hold: has_consent('sms')  steps say"]


# ---------------------------------------------------------------------------------------------------- as data


def test_the_data_has_each_clause_with_its_need(make):
    shop = make(wake("{event: order_paid, where: event.amount > 10}"))
    post(shop, "order_paid", amount=5)

    told = why_not_json(why_not(shop.app, "u1", "wake", shop.clock.now()), ZONE)

    assert (told["verdict"], told["version"]) == ("refused", 1)
    assert told["then"]["refusals"][0]["clauses"][0]["need"] == {
        "name": "event.amount",
        "operator": ">",
        "found": 5,
        "wanted": 10,
        "kind": "number",
    }
    where = next(r for r in told["now"]["entry"] if r["code"] == "where")
    assert (where["held"], where["place"], where["clauses"][0]["held"]) == (False, "wake.yaml:6", False)
    assert told["now"]["ways"][0]["open"] is True
