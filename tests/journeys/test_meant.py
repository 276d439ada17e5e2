"""One mistake is one finding: keys that were meant for others, and what only follows from a mistake that was told."""

import pytest

from journeys.loader import load_journey_text
from tests.journeys.conftest import AUDIENCE
from tests.town import journey_text

CASES = "- id: a\n  branch:\n    - {when: user.age > 3, steps: [{exit: b}]}\n"
BESIDE = "what everybody else gets stands under otherwise:, beside branch in the same step, without a dash"
TEMPLATES = "sends templates of config.toml only; write"


def shapes(steps, **keys):
    findings = load_journey_text(journey_text(steps, **keys), "j.yaml").source.findings
    assert all(f.text("en") != f.text("zh") for f in findings)
    return [f"{f.code} {f.text('en')}" for f in findings]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (CASES + "  else: [{exit: c}]\n", "J012 unknown key else, did you mean otherwise?"),
        (CASES + "    - otherwise: [{exit: c}]\n", f"J012 unknown key otherwise; {BESIDE}"),
        (CASES + "    - otherwise:\n      steps: [{exit: c}]\n", f"J012 unknown key otherwise; {BESIDE}"),
        (CASES + "- otherwise: [{exit: c}]\n", f"J012 unknown key otherwise; {BESIDE}"),
        (CASES + "    - else: [{exit: c}]\n", f"J012 unknown key else; {BESIDE}"),
        ("- {id: a, send: [{sms: {text: hello}}]}", f"J012 unknown key text; sms {TEMPLATES} sms: {{template: NAME}}"),
        ("- {id: a, send: [{wechat: {title: hello}}]}", f"J012 unknown key title; wechat {TEMPLATES} wechat: {{template: NAME}}"),
        ("- {id: a, send: [{sms: {template: x, text: hello}}]}", "J012 unknown key text; there are params, template"),
        ("- {id: a, send: [{sms: welcome}]}", "J013 expected a mapping such as {template: welcome}, found “welcome”"),
        ("- {id: a, send: [{sms: 您好}]}", "J013 expected a mapping such as {template: NAME}, found “您好”"),
        ("- {id: a, send: [{wecom: 您好}]}", "J013 expected a mapping such as {text: 您好}, found “您好”"),
        (CASES.replace("when:", "if:"), "J012 unknown key if, did you mean when?"),
        ("- {id: a, grant: {bneefit: x}}", "J012 unknown key bneefit, did you mean benefit?"),
    ],
)
def test_a_key_that_was_meant_for_another_is_one_finding_that_says_so(steps, said):
    assert shapes(steps) == [said]


def test_a_key_that_is_missing_for_another_reason_is_still_told():
    assert shapes("- {id: a, grant: {bneefit: x}}\n- {id: b, goto: {stpe: a}}\n- {id: c, grant: {to: user.id, zzz: 1}}") == [
        "J012 unknown key bneefit, did you mean benefit?",
        "J012 unknown key stpe, did you mean step?",
        "J012 unknown key zzz; there are amount, benefit, expires, once_per, timeout, to",
        "J014 the key benefit is missing",
    ]


def test_a_tag_that_is_given_is_asked_for_as_tags():
    assert shapes("- {id: a, exit: b}", tests="[{name: t, given: {tag: x}, expect: []}]") == ["J012 unknown key tag, did you mean tags?"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("wecom: {text: hello, world}", "J141 the text hello, world has a comma and stands in braces; put quotes around it"),
        ("push: {title: a, body: one, two, three}", "J141 the text one, two, three has a comma and stands in braces; put quotes around it"),
        ("push: {title: one, two , body: b}", "J141 the text one, two has a comma and stands in braces; put quotes around it"),
        (
            "sms: {template: x, params: {name: 一, 二, b: 三}}",
            "J141 the text 一, 二 has a comma and stands in braces; put quotes around it",
        ),
        ("sms: {template: x, params: {name: one, two}}", "J013 expected a text, found nothing"),  # two may be a name of the template's
        ("push: {title: one, bdy, body: b}", "J012 unknown key bdy, did you mean body?"),
        ("push: {title: one, body: b, two: }", "J012 unknown key two; there are body, page, title"),
        ("push: {two, title: one, body: b}", "J012 unknown key two; there are body, page, title"),
    ],
)
def test_a_text_that_a_comma_cuts_is_told_whole_and_once(content, said):
    assert shapes(f"- {{id: a, send: [{{{content}}}]}}") == [said]


@pytest.mark.parametrize(
    "steps",
    [
        "- id: a\n  grant: {benefit： x, expires: 1d}",
        "- id: a\n  send: [{sms: {template：x}}]",
        "- id: a\n  delay：{until: user.x}",
        "- id: a\n  send: [{push: {title：今天的水果特价只有一天, body: b}}]",
        "- id: a\n  wait_for: {event：x, timeout: 1d}",
    ],
)
def test_what_follows_from_a_full_width_colon_is_not_told_beside_it(steps):
    assert [said[:4] for said in shapes(steps)] == ["J123"]


def test_what_is_missing_elsewhere_is_told_beside_a_full_width_colon():
    steps = "- {id: a, grant: {benefit：x, amount: 1}}\n- {id: b, grant: {amount: 1}}\n- {id: c, grant: {benefit: x, zzz: 1}}"

    assert [said[:4] for said in shapes(steps)] == ["J123", "J012", "J014"]


def test_a_key_with_full_width_punctuation_that_nothing_told_of_is_unknown():
    assert shapes("- {id: a, grant: {benefit: x, '备注：': 1}}")[0].startswith("J012 unknown key 备注：")


@pytest.mark.parametrize(
    ("steps", "entry", "more"),
    [
        ("- exit: done", "{event: order_payed, where: event.amount > 3}", ""),
        ("- id: a\n  send: [{push: {title: '{{ entry.item }}', body: b}}]", "{event: order_payed}", ""),
        ("- exit: done", "{event: order_paid}", "goal: {event: order_payed, where: event.amount > 3, within: 1d}"),
        ("- exit: done", "{event: [order_paid, order_arived], where: event.site == 'a'}", ""),
        ("- id: a\n  wait_for: {event: order_payed, timeout: 1d}\n- if: steps.a.amount > 3\n  exit: x", "{event: order_paid}", ""),
        ("- id: a\n  wait_for: {any_of: [{event: order_payed, where: event.item == 'x'}], timeout: 1d}", "{event: order_paid}", ""),
    ],
)
def test_the_fields_of_an_event_that_does_not_exist_are_not_told_beside_it(workshop, steps, entry, more):
    assert workshop.codes(steps, entry, more) == ["J020"]


def test_fields_are_told_where_the_event_exists(workshop):
    (finding,) = workshop.findings(entry="{event: order_arrived, where: event.place == 'a'}")

    assert finding.text("en") == "unknown field place of order_arrived; there are site, order_id"
    (finding,) = workshop.findings(entry="{event: app_opened, where: event.place == 'a'}")
    assert finding.text("en") == "unknown field place of app_opened; there are type, time, user_id, id"


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ("orders_90d: {type: number, count: order_payed", "- if: user.orders_90d > 3\n  exit: x"),
        ("dormant: {name: 沉睡, when: \"count('order_payed', within='3d') > 3\"", "- if: segment('dormant')\n  exit: x"),
    ],
)
def test_a_trait_or_segment_that_is_wrong_is_told_where_it_is_declared_only(workshop, change, steps):
    head = change.split("{")[0]
    audience = "\n".join(f"  {change}}}" if line.strip().startswith(head) else line for line in AUDIENCE.splitlines())

    findings = workshop.check_texts({"j.yaml": workshop.text(steps)}, audience)

    assert [(f.code, f.place.file) for f in findings] == [("J020", "audience.yaml")]


def test_an_audience_of_another_shape_is_told_once_and_not_at_every_name_of_it(workshop):
    text = workshop.text("- if: segment('dormant') and user.age > 3\n  exit: x\n- exit: a\n- exit: b")

    findings = workshop.check_texts({"j.yaml": text}, AUDIENCE.replace("traits:", "triats:"))

    assert [(f.code, f.place.file) for f in findings] == [("J012", "audience.yaml"), ("J071", "j.yaml")]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("- id: a\n  send: [{wechat: {template: promo, data: {}}}]", "unknown template promo of wechat; it is one of sms"),
        ("- id: a\n  send: [{sms: {template: hello}}]", "unknown template hello of sms; it is one of wechat"),
        ("- if: reachable('sms', 'offer')\n  exit: x", "unknown template offer of sms; it is one of wechat"),
        (
            "- id: a\n  send: [{sms: {template: promoo}}]",
            "unknown template promoo of sms, did you mean promo?; there are promo, good, short",
        ),
    ],
)
def test_a_template_of_another_channel_is_told_as_such_and_none_is_proposed(workshop, steps, said):
    (finding,) = workshop.findings(steps)

    assert (finding.code, finding.text("en")) == ("J025", said)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            "- {id: a, send: [{wechat: {template: hello, data: {titel: a, note: b}}}]}",
            ["J026 unknown field titel of template hello, did you mean title?"],
        ),
        (
            "- {id: a, send: [{wechat: {template: hello, data: {zzz: a, note: b}}}]}",
            ["J027 template hello needs the field title", "J026 unknown field zzz of template hello; there are note, title"],
        ),
        ("- if: user.agee > 3\n  exit: b", ["J022 unknown trait agee, did you mean age?"]),
        ("- if: user.dormant\n  exit: b", ["J022 unknown trait dormant; it is a segment: write segment('dormant')"]),
        ("- if: segment('qqq')\n  exit: b", ["J021 unknown segment qqq; there are dormant"]),
    ],
)
def test_a_name_that_is_not_known_is_told_with_the_one_that_was_meant_or_with_those_that_there_are(workshop, steps, said):
    assert [f"{f.code} {f.text('en')}" for f in workshop.findings(steps) if f.severity == "error"] == said


@pytest.mark.parametrize(
    ("weight", "hint"), [("60%", ", did you mean 60?"), ('"60"', ", did you mean 60?"), ("60.5%", ""), ("many", ""), ("1.5", "")]
)
def test_a_weight_that_is_a_percentage_is_told_the_number(weight, hint):
    steps = f"- id: a\n  split: [{{name: x, weight: {weight}, steps: [{{exit: b}}]}}, {{name: y, weight: 1, steps: [{{exit: c}}]}}]"
    (said,) = shapes(steps)

    assert said.startswith("J013 expected a whole number, found")
    assert said.endswith(hint or weight + "”" or weight)
