import re

from journeys.compile import compile_journey
from journeys.diagram import mermaid

ARROW = re.compile(r"    (\[\*\]|s\d+) --> (\[\*\]|s\d+)(?:: ([^:;#\"\n]+))?")
STATE = re.compile(r"    (s\d+): ([^:;#\"\n]+)")


def test_every_line_of_a_shipped_diagram_is_a_state_or_an_arrow_between_states(shipped):
    for journey in shipped.checked.journeys.values():
        head, *lines = mermaid(journey).splitlines()
        states = {m[1] for line in lines if (m := STATE.fullmatch(line))}
        arrows = [m for line in lines if (m := ARROW.fullmatch(line))]

        assert head == "stateDiagram-v2"
        assert len(lines) == len(states) + len(arrows), journey.id
        assert {end for m in arrows for end in (m[1], m[2])} <= {*states, "[*]"}


def test_every_step_is_drawn_reached_and_left(shipped):
    for journey in shipped.checked.journeys.values():
        text = mermaid(journey)
        states = {m[1] for m in STATE.finditer(text)}
        arrows = [(m[1], m[2]) for m in ARROW.finditer(text)]

        assert len(states) == len(journey.steps)
        assert all(step.id in text for step in journey.steps.values() if step.named)
        assert {a for a, _ in arrows} == {*states, "[*]"}
        assert {b for _, b in arrows} == {*states, "[*]"}


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


def test_a_diagram_tells_kinds_conditions_and_times(workshop):
    journey = workshop.compile(
        "- id: a\n  if: user.vip\n  send: [{push: {title: x, body: y}}, {sms: {template: short, params: {code: a}}}]\n"
        "- id: b\n  delay: {until: '18:30'}\n- id: c\n  delay: 1d12h\n"
        "- id: d\n  wait_for: {event: app_opened, timeout: 1d}\n  on_timeout: [{exit: gone}]\n- id: e\n  grant: {benefit: gift_5}\n"
    )

    assert mermaid(journey) == (
        "stateDiagram-v2\n"
        "    [*] --> s0: event order_paid\n"
        "    s0: a · send push / sms short\n"
        "    s1: b · until 18.30\n"
        "    s2: c · delay 1d12h\n"
        "    s3: d · wait for app_opened\n"
        "    s4: exit gone\n"
        "    s5: e · grant gift_5\n"
        "    s0 --> s1: user.vip\n"
        "    s0 --> s1: otherwise\n"
        "    s1 --> s2\n"
        "    s2 --> s3\n"
        "    s3 --> s5: app_opened\n"
        "    s3 --> s4: timeout\n"
        "    s4 --> [*]\n"
        "    s5 --> [*]: failed\n"
        "    s5 --> [*]\n"
    ).replace("    s5 --> [*]: failed\n    s5 --> [*]\n", "    s5 --> [*]\n    s5 --> [*]: failed\n")


def test_what_mermaid_would_read_as_syntax_is_spelled_otherwise(workshop):
    journey = workshop.compile("- id: a\n  delay: 1d\n- if: user.city == 'a:b;c#d\"e'\n  exit: x")

    assert "a：b；c＃d'e" in mermaid(journey)
