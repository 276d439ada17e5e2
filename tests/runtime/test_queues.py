"""Those already inside whose turn is to come: counted in `status` and `plan`, told to each of them, also where an edit ends the queue."""

from dataclasses import asdict
from io import StringIO

import pytest
from rich.console import Console

from runtime import show
from runtime.applying import check_project
from runtime.enquiring import why_not
from runtime.planning import QueuePlan, plan_of
from runtime.queues import queues_of
from runtime.show_plan import show_plan
from runtime.status import whole_summary
from tests.shop import HELLO, Shop, write_journeys
from tests.told import told_why_not
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, ZONE, journey_text

SPENT = AUDIENCE.replace("traits:\n", "traits:\n  spent: {type: number, sum: order_paid, of: amount, within: 60d}\n").replace(
    "segments:\n", "segments:\n  spenders: {name: S, when: user.spent >= 800}\n"
)
OTHERWISE = SPENT.replace("within: 60d", "within: 30d")
GIFT = journey_text(f"- {{id: hi, send: {PUSH}}}", id="gift", entry="{segment: spenders, existing: enrol, pace: 1 per 1d}")


@pytest.fixture
def shop(tmp_path, database_url):
    """The journey has gone live, and the first of three who were inside has entered; u4 was outside."""
    opened = Shop(tmp_path / "shop", HELLO, url=database_url, audience=SPENT)
    for user, amount in (("u1", 900), ("u2", 900), ("u3", 1000), ("u4", 200)):
        opened.post({"id": f"o-{user}", "type": "order_paid", "user_id": user, "data": {"amount": amount}})
    opened.settle()
    write_journeys(opened.folder, HELLO, GIFT, audience=SPENT)
    opened.settle(NOON + MINUTE)
    opened.apply()
    opened.settle(NOON + HOUR)
    yield opened
    opened.close()


def queues(shop):
    return [(q.journey, q.waiting, q.stands) for q in queues_of(shop.app.store, shop.app.engine.catalogue, ZONE, shop.clock.now())]


def edit(shop, audience, *journeys):
    """The plan of an edit, as data and as it is shown; it is applied, and everybody's profile is looked at."""
    write_journeys(shop.folder, *(journeys or (HELLO, GIFT)), audience=audience)
    found = plan_of(shop.app, check_project(shop.project), {}, shop.clock.now())
    shown = {language: Console(record=True, width=300, file=StringIO()) for language in ("en", "zh")}
    for language, console in shown.items():
        show_plan(console, found, "apply", language, ZONE)
    shop.apply()
    shop.settle(shop.clock.now() + MINUTE)
    plan = next((j.queue for j in found.journeys if j.journey == "gift"), None)
    return plan, {language: console.export_text() for language, console in shown.items()}


def status(shop, language):
    console, now = Console(record=True, width=300, file=StringIO()), shop.clock.now()
    summary = whole_summary(shop.app.store, ZONE, now, lambda *_: False, {})
    found = queues_of(shop.app.store, shop.app.engine.catalogue, ZONE, now)
    show.status(console, summary | {"queues": [asdict(queue) for queue in found]}, language, ZONE, {})
    return console.export_text()


def told(shop, user, language="en"):
    return "\n".join(told_why_not(shop, user, "gift", language))


def test_who_is_still_to_come_in_is_counted_as_long_as_somebody_is(shop):
    assert queues(shop) == [("gift", 2, False)]
    assert "gift: of those inside since it went live (2026-12-01 12:01) 2 are still to come in (existing: enrol)" in status(shop, "en")
    assert "2 are still to come in (existing: enrol); the pace lets the next in from 2026-12-02 13:00" in status(shop, "en")
    assert "gift：上线时（2026-12-01 12:01）已在分群的人还有 2 人没进（existing: enrol）；按进入速度，2026-12-02 13:00 起再进" in status(
        shop, "zh"
    )

    shop.settle(NOON + DAY + HOUR)
    assert queues(shop) == [("gift", 1, False)]

    shop.settle(NOON + 2 * DAY + 2 * HOUR)
    shop.settle(NOON + 3 * DAY + 3 * HOUR)
    assert queues(shop) == []


@pytest.mark.parametrize(
    ("pace", "entered", "again"),
    [
        ("1 per 1d", 1, NOON + HOUR + DAY),
        ("2 per 1d", 2, NOON + HOUR + DAY),
        ("1 per 6h", 1, NOON + 7 * HOUR),
        ("9 per 1d", 3, None),
    ],
)
def test_another_pace_counts_from_the_apply_on_for_those_who_wait_too(shop, pace, entered, again):
    shop.settle(NOON + 2 * HOUR)
    edit(shop, SPENT, HELLO, GIFT.replace("1 per 1d", pace).replace("name: ", "name: 新"))

    waiting = [(q.waiting, q.next_at) for q in queues_of(shop.app.store, shop.app.engine.catalogue, ZONE, shop.clock.now())]
    assert waiting == ([(3 - entered, again)] if entered < 3 else [])


def test_who_has_left_or_come_to_the_door_by_herself_waits_no_more(shop):
    shop.post({"id": "refund", "type": "order_paid", "user_id": "u2", "data": {"amount": -500}})
    shop.settle(NOON + 2 * HOUR)
    assert queues(shop) == [("gift", 1, False)]

    shop.post({"id": "again", "type": "order_paid", "user_id": "u2", "data": {"amount": 500}})
    shop.settle(NOON + 3 * HOUR)
    assert queues(shop) == [("gift", 1, False)]


@pytest.mark.parametrize(("threshold", "enter"), [(">= 100", 2), (">= 950", 1)])
def test_a_plan_says_how_many_of_the_queue_an_edit_of_the_rule_leaves_in_it(shop, threshold, enter):
    plan, shown = edit(shop, SPENT.replace(">= 800", threshold))

    assert plan == QueuePlan(2, enter, stands=False, open=True)
    assert f"gift: unchanged\n    2 in the queue of existing: enrol have not come in yet; {enter} of them still would" in shown["en"]
    assert f"existing: enrol 的队列里还有 2 人没进；其中 {enter} 人仍会进入" in shown["zh"]
    assert queues(shop) == [("gift", enter, False)]
    shop.settle(NOON + DAY + 2 * HOUR)
    shop.settle(NOON + 2 * DAY + 3 * HOUR)
    assert sum(len(shop.story(u).enrolments) for u in ("u1", "u2", "u3", "u4")) == 1 + enter


def test_an_edit_after_which_nobody_can_tell_who_was_inside_is_said_before_and_after(shop):
    plan, shown = edit(shop, OTHERWISE)

    assert plan == QueuePlan(2, 0, stands=True, open=True)
    assert (
        "2 in the queue of existing: enrol have not come in yet; they will not: what the segment reads is defined otherwise" in shown["en"]
    )
    assert "还有 2 人没进；他们不再进入" in shown["zh"]
    assert queues(shop) == [("gift", None, True)]
    assert "gift: nobody more of those who were inside when it went live (2026-12-01 12:01) comes in" in status(shop, "en")
    assert "gift：上线时（2026-12-01 12:01）已在分群的人不再进入" in status(shop, "zh")
    entry = {r.code: r for r, _ in why_not(shop.app, "u2", "gift", shop.clock.now()).entry}
    assert (entry["existing_enrol"].held, entry["existing_enrol"].told["problem"]) == (False, "stands")
    assert "was defined otherwise before her turn: nobody can tell any more who was in it" in told(shop, "u2")
    assert "轮到她之前分群读取的定义改了" in told(shop, "u2", "zh")

    back, shown = edit(shop, SPENT)
    assert back == QueuePlan(None, None, stands=False, open=True)
    assert (
        "an unknown number in the queue of existing: enrol have not come in yet; how many of them still would is known when" in shown["en"]
    )
    assert queues(shop) == [("gift", 2, False)]


def test_who_was_outside_when_the_journey_went_live_is_told_so_and_not_that_she_was_looked_at(shop):
    edit(shop, SPENT.replace(">= 800", ">= 100"))

    assert (
        "those who were in it when the journey went live (2026-12-01 12:01) are let in (existing: enrol); by the rule of then she was not"
        in (told(shop, "u4"))
    )
    assert "按当时的规则她不在" in told(shop, "u4", "zh")


def test_of_a_journey_that_is_closed_or_enters_otherwise_the_plan_says_that_the_rest_do_not_come_in(shop):
    plan, shown = edit(shop, SPENT, HELLO, GIFT.replace("status: live", "status: closed"))

    assert plan == QueuePlan(2, 0, stands=False, open=False)
    assert "2 in the queue of existing: enrol have not come in yet; they will not" in shown["en"]
    assert queues(shop) == []


def test_an_edit_that_does_not_concern_the_queue_says_nothing_of_it(shop):
    plan, _ = edit(shop, SPENT.replace(">= 30}", ">= 45}", 1))

    assert plan is None
