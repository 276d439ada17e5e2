"""Stages and segments are compared by their ids, choices by what is declared: what none of them is, is a warning with the id that was meant, wherever it stands."""

import pytest

ENTERED = "entry: {{event: stage_changed, where: {}}}"
STAGES = """\
traits:
  since: {{type: time, from: profile}}
  level: {{type: choice, of: [normal, gold], from: profile}}
segments:
  s: {{name: 睡了, when: {segment}}}
lifecycle:
  - {{stage: churn, name: 流失, when: {stage}}}
  - {{stage: fresh, name: 新客}}
"""


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"entry": "{event: stage_changed, where: event.to == '流失'}"}, "event.to is never 流失, did you mean churn?"),
        ({"entry": "{event: stage_changed, where: \"event.from in ['fresh', 'chrn']\"}"}, "event.from is never chrn, did you mean churn?"),
        ({"entry": "{event: stage_changed, where: event.to != 'qqq'}"}, "event.to is never qqq; there are churn, fresh"),
        ({"entry": "{event: [segment_entered, segment_left], where: \"'沉睡' == event.segment\"}"},
         "event.segment is never 沉睡, did you mean dormant?"),
        ({"entry": "{event: stage_changed}", "steps": "- if: entry.to == '新客'\n  exit: x\n"}, "entry.to is never 新客, did you mean fresh?"),
        ({"steps": "- if: user.level == 'glod'\n  exit: x\n"}, "user.level is never glod, did you mean gold?"),
        ({"steps": "- if: user.stage == 'Churn'\n  exit: x\n"}, "user.stage is never Churn, did you mean churn?"),
        ({"more": "exit_when: [{event: stage_changed, where: event.to == 'new', reason: gone}]"},
         "event.to is never new; there are churn, fresh"),
        ({"entry": "{event: stage_changed}", "more": "tests: [{name: t, entry: {from: fresh, to: 流失}, expect: []}]"},
         "stage_changed.to is never 流失, did you mean churn?"),
    ],
)  # fmt: skip
def test_a_text_that_no_stage_or_segment_has_for_its_id_is_a_warning(workshop, keys, said):
    found = [f for f in workshop.findings(**keys) if f.code == "J036"]

    assert [(f.severity, f.text("en")) for f in found] == [("warning", said)]


@pytest.mark.parametrize(
    "keys",
    [
        {"entry": "{event: stage_changed, where: event.to == 'churn' and event.from in ['fresh']}"},
        {"entry": "{event: stage_changed, where: event.from == '' or event.id == 'qqq'}"},
        {"entry": "{event: segment_left, where: event.segment == 'dormant'}"},
        {"entry": "{event: [stage_changed, journey_ended], where: event.id == 'qqq'}"},
        {"steps": "- if: user.level in ['gold', 'silver'] or user.city == 'glod'\n  exit: x\n"},
        {"entry": "{event: order_paid, where: event.item == '流失'}"},
    ],
)
def test_an_id_and_whatever_else_is_compared_is_none(workshop, keys):
    assert [f.text() for f in workshop.findings(**keys) if f.code == "J036"] == []


def test_the_audience_itself_is_looked_at_too(workshop):
    for segment, stage, said in (
        ("user.stage == '新客'", "user.since is known", ["user.stage is never 新客, did you mean fresh?"]),
        ("user.stage == 'fresh'", "user.level == 'glod'", ["user.level is never glod, did you mean gold?"]),
        ("user.stage == 'fresh'", "user.level == 'gold'", []),
    ):
        _, findings = workshop.audience_findings(STAGES.format(segment=segment, stage=stage))
        assert [f.text("en") for f in findings] == said


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"entry": "{segment: 沉睡, existing: skip}"}, "没有这个分群 沉睡，是不是 dormant？"),
        ({"steps": "- if: segment('沉睡')\n  exit: x\n"}, "没有这个分群 沉睡，是不是 dormant？"),
    ],
)
def test_a_segment_that_is_called_by_its_name_for_people_is_told_its_id(workshop, keys, line):
    assert [f.text("zh") for f in workshop.findings(**keys) if f.code == "J021"] == [line]
