import re

from journeys.compile import compile_journey
from journeys.diagram import Counts
from journeys.mermaid import mermaid

PLAIN = r'[^:;#"<>{}%\n]+'
ARROW = re.compile(rf"    (\[\*\]|s\d+) --> (\[\*\]|s\d+)(?:: ({PLAIN}))?")
STATE = re.compile(rf"    (s\d+): ({PLAIN})")


def test_every_line_of_a_shipped_diagram_is_a_remark_a_state_or_an_arrow_between_states(shipped):
    for journey in shipped.checked.journeys.values():
        head, *lines = mermaid(journey, language="zh").splitlines()
        states = {m[1] for line in lines if (m := STATE.fullmatch(line))}
        arrows = [m for line in lines if (m := ARROW.fullmatch(line))]
        remarks = [line for line in lines if line.startswith("    %% ")]

        assert head == "stateDiagram-v2"
        assert len(lines) == len(states) + len(arrows) + len(remarks), journey.id
        assert {a for a, _ in ((m[1], m[2]) for m in arrows)} == {b for _, b in ((m[1], m[2]) for m in arrows)} == {*states, "[*]"}
        assert all(step.id in "\n".join(lines) for step in journey.steps.values() if step.named)


def test_brackets_of_every_diagram_are_balanced(shipped):
    for journey in shipped.checked.journeys.values():
        text = mermaid(journey)

        assert all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}")), journey.id


def test_the_same_file_gives_the_same_diagram(shipped):
    for loaded in shipped.definitions.journeys:
        world, audience = shipped.project.world(), shipped.checked.audience
        ids = frozenset(shipped.checked.journeys)
        one, two = (compile_journey(loaded, audience, world, shipped.project.zone, ids) for _ in range(2))

        assert mermaid(one) == mermaid(two)


def test_a_diagram_tells_kinds_conditions_times_ends_and_numbers(workshop):
    journey = workshop.compile(
        "- id: a\n  if: user.vip\n  send: [{push: {title: x, body: y}}, {sms: {template: short, params: {code: a}}}]\n"
        "- id: d\n  wait_for: {event: app_opened, timeout: 1d}\n  on_timeout: [{exit: gone}]\n- id: e\n  grant: {benefit: gift_5}\n",
        more="goal: {event: coupon_used, within: 7d}",
    )

    assert mermaid(journey, Counts({"d": 1234}, what="inside")) == (
        "stateDiagram-v2\n"
        "    %% goal： coupon_used within 7d → ends (converted)\n"
        "    %% numbers： how many are inside now\n"
        "    [*] --> s0\n"
        "    s0: entry · event order_paid · once for each user\n"
        "    s1: send a (0) · if user.vip · push · sms short\n"
        "    s2: wait for d (1,234) · app_opened · at most 1d\n"
        "    s3: exit gone\n"
        "    s4: grant e (0) · gift_5\n"
        "    s5: end completed\n"
        "    s6: end e_failed\n"
        "    s0 --> s1\n"
        "    s1 --> s2\n"
        "    s2 --> s4: app_opened\n"
        "    s2 --> s3: timeout\n"
        "    s4 --> s5\n"
        "    s4 --> s6: failed\n"
        "    s3 --> [*]\n"
        "    s5 --> [*]\n"
        "    s6 --> [*]\n"
    )


def test_what_mermaid_would_read_as_syntax_is_spelled_otherwise(workshop):
    journey = workshop.compile("- id: a\n  delay: 1d\n- if: user.city == 'a:b;c#d\"e<f>%{g'\n  exit: x")

    assert "a：b；c＃d'e＜f＞％｛g'" in mermaid(journey)
