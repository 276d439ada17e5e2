import re

import pytest

from journeys.compiled import ENDED
from journeys.diagram import ENTRY, Counts, diagram, end_id
from journeys.labels import WORDS, move_label, outcome_label

SHOP = """\
- id: a
  if: user.vip
  send: [{push: {title: "{{ user.name | truncate(3) }}您好", body: y, page: p}}, {sms: {template: short, params: {code: a}}}]
  between: "08:00-20:00"
- id: b
  delay: {until: '18:30', days: [sat]}
- id: c
  delay: {until: user.contract_ends, offset: -1d12h, if_missing: exit, if_past: exit}
- id: d
  wait_for: {event: app_opened, timeout: 1d}
  on_timeout: [{exit: gone}]
- id: e
  branch:
    - {when: user.vip, steps: [{id: e1, update: {add_tags: [x], set: {vip: true}, increment: {age: 1}}}]}
    - {when: user.age > 3, steps: [{id: e2, delay: 1d}]}
- id: f
  split: [{name: one, weight: 1, steps: [{id: f1, delay: 1h}]}, {name: two, weight: 2}]
- id: g
  grant: {benefit: gift_5, amount: 5, expires: 3d}
- id: h
  call: {endpoint: stock, default: {left: 0}, timeout: 2s}
- id: i
  goto: {step: d, max_visits: 3}
"""


@pytest.fixture(scope="module")
def picture(workshop):
    return diagram(workshop.compile(SHOP, more="goal: {event: coupon_used, within: 7d}"))


def lines(picture, identifier):
    return [line.text for line in picture.nodes[identifier].lines]


def ids(stages):
    for stage in stages:
        yield stage.node.id
        for arm in stage.arms:
            yield from ids(arm.stages)


def test_each_step_says_what_it_does(picture):
    assert lines(picture, ENTRY) == ["event order_paid", "once for each user"]
    assert lines(picture, "a") == ["if user.vip", "push", "“{user.name}您好 / y”", "sms short", "“a”", "between 08:00-20:00"]
    assert lines(picture, "b") == ["until 18:30", "on sat"]
    assert lines(picture, "c") == ["until 1d12h before user.contract_ends"]
    assert lines(picture, "d") == ["app_opened", "at most 1d"]
    assert lines(picture, "e1") == ["vip = true", "age + 1", "+ x"]
    assert lines(picture, "g") == ["gift_5 5", "valid for 3d"]
    assert lines(picture, "h") == ["stock", "answer within 2s", "else left 0"]
    assert lines(picture, "i") == ["→ d", "at most 3 times"]
    assert picture.head == ("goal: coupon_used within 7d → ends (converted)",)


def test_arrows_carry_what_decides_and_lead_to_the_ends_with_their_reasons(picture):
    arrows = {(edge.source, edge.target): edge.labels for edge in picture.edges}

    assert arrows == {
        (ENTRY, "a"): (), ("a", "b"): (), ("b", "c"): (), ("c", "d"): (), ("c", end_id("c_missing / c_past")): ("missing / past",),
        ("d", "e"): ("app_opened",), ("d", "exit:gone"): ("timeout",), ("e", "e1"): ("1.\u00a0user.vip",),
        ("e", "e2"): ("2.\u00a0user.age > 3",), ("e", "f"): ("otherwise",), ("e1", "f"): (), ("e2", "f"): (), ("f", "f1"): ("one 33%",),
        ("f", "g"): ("two 67%",), ("f1", "g"): (), ("g", "h"): (), ("g", end_id("g_failed")): ("failed",), ("h", "i"): (),
        ("i", "d"): (), ("i", end_id("completed")): ("afterwards",),
    }  # fmt: skip
    assert [node.name for node in picture.nodes.values() if node.kind == "end"] == ["c_missing / c_past", "g_failed", "completed"]


def test_a_step_of_a_shipped_journey_stands_where_the_file_has_it_and_every_move_is_drawn(shipped):
    for journey in shipped.checked.journeys.values():
        picture = diagram(journey)
        arrows = {(edge.source, edge.target) for edge in picture.edges}

        assert list(ids(picture.stages)) == list(journey.steps), journey.id
        assert {(step.id, to) for step in journey.steps.values() for to in step.moves.values() if to != ENDED} <= arrows
        assert {end for arrow in arrows for end in arrow} == set(picture.nodes)


def test_the_same_file_gives_the_same_picture_and_another_language_the_same_shape(shipped):
    for journey in shipped.checked.journeys.values():
        english, chinese = diagram(journey), diagram(journey, language="zh")

        assert english == diagram(journey)
        assert list(chinese.nodes) == list(english.nodes)
        assert [(e.source, e.target) for e in chinese.edges] == [(e.source, e.target) for e in english.edges]


def test_numbers_stand_at_steps_arrows_and_ends(workshop):
    journey = workshop.compile("- id: a\n  delay: 1d\n- id: d\n  wait_for: {event: app_opened, timeout: 1d}\n  on_timeout: [{exit: gone}]")
    counts = Counts(
        {ENTRY: 100, "a": 100, "d": 90}, {("a", "done"): 90, ("d", "event_1"): 60, ("d", "timeout"): 20, ("exit:gone", "exit"): 20}
    )
    picture = diagram(journey, counts)

    assert {node.id: node.count for node in picture.nodes.values()} == {
        ENTRY: 100,
        "a": 100,
        "d": 90,
        "exit:gone": 0,
        end_id("completed"): 60,
    }
    assert {edge.target: (edge.count, edge.labels) for edge in picture.edges} == {
        "a": (100, ()), "d": (90, ("90",)), end_id("completed"): (60, ("app_opened 60",)), "exit:gone": (20, ("timeout 20",))
    }  # fmt: skip
    assert picture.head == ("numbers: how many passed",)


def test_who_is_inside_is_shown_where_users_rest_with_the_held_out_and_those_on_steps_that_are_gone(workshop):
    journey = workshop.compile("- id: a\n  delay: 1d\n- id: b\n  branch: [{when: user.vip, steps: [{exit: vip}]}]")
    picture = diagram(journey, Counts({"a": 1200, "old": 3, "older": 0, "$held_out": 7}, what="inside"), "zh")

    assert {node.id: node.count for node in picture.nodes.values()} == {
        ENTRY: None, "a": 1200, "b": None, "exit:vip": None, end_id("completed"): None
    }  # fmt: skip
    assert all(edge.count is None for edge in picture.edges)
    assert picture.head == ("数字：现在有多少人在这里", "对照组：7", "停在这里已没有的步骤上：old 3")


def test_parallel_ways_are_one_arrow_and_a_plain_way_among_them_needs_no_word(workshop):
    journey = workshop.compile(
        "- id: a\n  if: user.vip\n  delay: 1d\n- id: d\n  wait_for: {event: app_opened, timeout: 1d}\n- if: user.vip\n  exit: vip\n- id: z\n  delay: 1h"
    )

    arrows = {(edge.source, edge.target): edge.labels for edge in diagram(journey).edges}
    assert arrows["a", "d"] == ()
    assert arrows["d", "exit:vip"] == ("app_opened", "timeout")
    assert arrows["exit:vip", "z"] == ("otherwise",)


@pytest.mark.parametrize(
    ("entry", "more", "expected"),
    [
        ("{segment: dormant, existing: enrol, pace: 2000 per 1d, reentry: {after: 60d}}", "holdout: 10%\ngoal: {event: order_paid, within: 7d, then: go_on}",
         ["分群 dormant", "已在分群里的也进入", "速度 2000 per 1d", "60d 后可再进", "对照组 10%"]),
        ("{date: user.birthday, offset: -3d, at: '09:30'}", "", ["日期 user.birthday -3d 09:30", "可以再进"]),
        ("{event: [order_paid, app_opened], where: event.id is known, mode: restart}", "",
         ["事件 order_paid, app_opened", "条件 event.id is known", "每人一次", "再进时重新开始"]),
        ("{schedule: 0 9 * * 5}", "", ["定时 0 9 * * 5", "可以再进"]),
        ("{api: true}", "", ["由接口进入", "每人一次"]),
    ],
)  # fmt: skip
def test_the_entry_says_who_enters_and_how_often(workshop, entry, more, expected):
    journey = workshop.compile("- exit: done", entry=entry, more=more, purpose="marketing")

    assert [line.text for line in diagram(journey, language="zh").nodes[ENTRY].lines] == expected


def test_both_languages_say_the_same_things():
    for key, (english, chinese) in WORDS.items():
        assert english, key
        assert chinese, key
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), key


@pytest.mark.parametrize(
    ("trigger", "en", "zh"),
    [
        ("case_3", "branch 3", "分支 3"),
        ("variant_half", "variant half", "分组 half"),
        ("event_2", "event 2", "事件 2"),
        ("otherwise", "otherwise", "否则"),
        ("timeout", "timeout", "超时"),
        ("failed", "failed", "失败"),
        ("jump", "jump", "jump"),
    ],
)
def test_an_outcome_is_named_without_its_journey_by_what_the_picture_numbers_and_names(trigger, en, zh):
    assert (outcome_label(trigger, "en"), outcome_label(trigger, "zh")) == (en, zh)


def test_the_number_of_a_case_is_the_one_in_the_picture(shipped):
    step = shipped.checked.journeys["win_back_30d"].steps["reason"]

    for trigger in ("case_1", "case_3"):
        assert move_label(step, trigger, "en").startswith(f"{outcome_label(trigger, 'en').removeprefix('branch ')}.\u00a0")
