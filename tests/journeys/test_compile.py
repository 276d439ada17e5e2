from itertools import pairwise

import pytest

from journeys.compile import compile_journey, digest_of, table_of
from journeys.compiled import ENDED, HELD_OUT
from journeys.duration import DAY, HOUR
from journeys.errors import JourneyError
from journeys.loader import load_journey_text

OUTER = ("goal_reached", "left", "closed")


def test_the_table_of_every_shipped_machine_is_the_moves_of_its_steps(shipped):
    for journey in shipped.checked.journeys.values():
        moves = {(step.id, trigger): to for step in journey.steps.values() for trigger, to in step.moves.items()}
        ends = {(state, trigger): ENDED for state in (*journey.steps, HELD_OUT) for trigger in OUTER}

        assert table_of(journey.machine) == moves | ends, journey.id


def test_every_shipped_machine_answers_which_triggers_are_open(shipped):
    for journey in shipped.checked.journeys.values():
        for step in journey.steps.values():
            assert set(journey.machine.get_triggers(step.id)) == {*step.moves, *OUTER}, (journey.id, step.id)
        assert set(journey.machine.get_triggers(HELD_OUT)) == set(OUTER)
        assert journey.machine.get_triggers(ENDED) == []
        assert journey.machine.models == []


def test_every_shipped_move_leads_to_a_step_or_the_end(shipped):
    for journey in shipped.checked.journeys.values():
        assert journey.machine.initial == journey.first
        assert {to for step in journey.steps.values() for to in step.moves.values()} <= {*journey.steps, ENDED}


ALL_KINDS = """\
- id: shout
  if: user.vip
  send: [{push: {title: a, body: b}}]
- id: pause
  delay: {until: user.contract_ends, if_missing: exit}
- id: opened
  wait_for: {any_of: [{event: app_opened, steps: [{exit: seen}]}, {event: order_paid}], timeout: 1d}
  on_timeout: [{exit: silent}]
- id: which
  branch:
    - when: user.age > 3
      steps:
        - id: tag
          update: {add_tags: [a]}
- id: draw
  split: [{name: x, weight: 1, steps: [{exit: drawn}]}, {name: y, weight: 3}]
- id: gift
  grant: {benefit: coupon_10}
  on_failed:
    - id: ask
      call: {endpoint: stock, default: {left: 0}}
- id: again
  goto: {step: pause, max_visits: 2}
"""


def test_nested_lists_become_moves_that_come_back_to_what_follows(workshop):
    journey = workshop.compile(ALL_KINDS)

    assert {step.id: dict(step.moves) for step in journey.steps.values()} == {
        "shout": {"done": "pause", "skip": "pause", "pass": "pause"},
        "pause": {"done": "opened", "exit": ENDED},
        "opened": {"event_1": "exit:seen", "event_2": "which", "timeout": "exit:silent"},
        "exit:seen": {"exit": ENDED},
        "exit:silent": {"exit": ENDED},
        "which": {"case_1": "tag", "otherwise": "draw"},
        "tag": {"done": "draw"},
        "draw": {"variant_x": "exit:drawn", "variant_y": "gift"},
        "exit:drawn": {"exit": ENDED},
        "gift": {"ok": "again", "failed": "ask", "skip": "again"},
        "ask": {"ok": "again", "skip": "again"},
        "again": {"done": ENDED, "jump": "pause"},
    }


def test_the_specs_hold_what_the_file_says(workshop):
    journey = workshop.compile(ALL_KINDS)

    assert journey.steps["opened"].spec.timeout == DAY
    assert [case.names for case in journey.steps["opened"].spec.cases] == [("app_opened",), ("order_paid",)]
    assert journey.steps["draw"].spec.variants == (("x", 1), ("y", 3))
    assert journey.steps["pause"].spec.until.if_missing == "exit"
    assert journey.steps["again"].spec.max_visits == 2
    assert journey.steps["gift"].line == 25


def test_exits_without_an_id_have_names_of_their_own(workshop):
    journey = workshop.compile("- if: user.vip\n  exit: x\n- if: user.age > 3\n  exit: x\n- exit: x")

    assert list(journey.steps) == ["exit:x", "exit:x#2", "exit:x#3"]
    assert not any(step.named for step in journey.steps.values())


def test_the_same_text_has_the_same_digest_and_another_has_another(workshop):
    one, same, other = workshop.compile(), workshop.compile(), workshop.compile("- exit: other")

    assert one.digest == same.digest == digest_of(workshop.text())
    assert one.digest != other.digest
    assert len(one.digest) == 64


def test_a_file_with_errors_is_never_compiled(workshop):
    with pytest.raises(JourneyError, match=r"j\.yaml:9:\d+: J075"):
        workshop.compile("- delay: 1d")


def test_a_file_of_another_shape_is_never_compiled(workshop):
    loaded = load_journey_text("- x", "j.yaml")

    with pytest.raises(JourneyError, match="J009"):
        compile_journey(loaded, workshop.audience, workshop.world, workshop.zone)


def test_analysing_twice_reports_once(workshop):
    loaded = load_journey_text(workshop.text("- delay: 1d"), "j.yaml")
    from journeys.compile import analyse

    first, second = (analyse(loaded, workshop.audience, workshop.world, workshop.zone)[1] for _ in range(2))

    assert first == second
    assert [f.code for f in first] == ["J075"]


@pytest.mark.parametrize(
    ("entry", "reentry"),
    [
        ("{event: order_paid}", "once"),
        ("{schedule: '0 9 * * 5'}", "always"),
        ("{date: user.birthday}", "always"),
        ("{date: user.contract_ends}", "once"),
        ("{event: order_paid, reentry: always}", "always"),
        ("{schedule: '0 9 * * 5', reentry: once}", "once"),
        ("{event: order_paid, reentry: {after: 30d}}", 30 * DAY),
    ],
)
def test_how_often_one_may_enter_follows_from_the_form_unless_it_is_said(workshop, entry, reentry):
    assert workshop.compile(entry=entry).entry.reentry == reentry


def test_the_entry_holds_what_the_file_says(workshop):
    entry = workshop.compile(entry="{segment: dormant, existing: enrol, pace: 2000 per 12h, mode: restart}").entry
    yearly = workshop.compile(entry="{date: user.birthday, at: '09:30', offset: -1d}").entry
    once = workshop.compile(entry="{at: '2026-12-18 10:00'}").entry

    assert (entry.form, entry.existing, entry.pace, entry.mode) == ("segment", "enrol", (2000, 12 * HOUR), "restart")
    assert (yearly.anniversary, yearly.date_clock, yearly.offset) == (True, 570, -DAY)
    assert once.at == 1_797_559_200_000


def test_a_former_name_leads_to_the_new_one(workshop):
    assert workshop.compile("- id: new\n  was: old\n  delay: 1d").renamed == {"old": "new"}


def test_lines_rise_with_the_order_of_the_file(shipped):
    for journey in shipped.checked.journeys.values():
        lines = [step.line for step in journey.steps.values()]
        assert all(a <= b for a, b in pairwise(lines)), journey.id


@pytest.mark.parametrize(
    ("entry", "codes"),
    [
        ("{at: '2026-12-18 10:00', where: not has_consent('sms')}", ["J089"]),
        ("{schedule: 0 9 * * 5, where: remaining('gift_5') > 0}", ["J089"]),
        ("{segment: dormant, existing: enrol, where: reachable('sms')}", ["J089"]),
        ("{segment: dormant, existing: skip, where: reachable('sms')}", []),  # asked of one person at her own edge
        ("{event: order_paid, where: reachable('sms')}", []),
        ("{schedule: 0 9 * * 5, where: in_journey('j') or segment('dormant')}", []),
    ],
)
def test_what_one_statement_cannot_ask_of_everybody_is_refused_where_everybody_is_asked(workshop, entry, codes):
    assert workshop.codes(entry=entry) == codes
