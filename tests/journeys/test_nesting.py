"""How deep a condition goes, with all that it reads."""

import pytest

from journeys.audience import compile_audience
from journeys.compile import analyse
from journeys.expression import Scope, parse_condition
from journeys.loader import load_audience_text, load_journey_text
from journeys.nesting import MOST_LEVELS
from tests.town import WORLD, ZONE, audience, journey_text

AUDIENCE = """
events: {bought: {amount: number}}
traits:
  points: {type: number, from: profile}
  twice: {type: number, value: user.points * 2}
  sums: {type: number, sum: bought, of: amount, where: event.amount + 1 > 2}
segments:
  rich: {name: 有钱, when: user.twice + user.points > 9}
"""


def found_in(more):
    model, source = load_audience_text(AUDIENCE + more, "audience.yaml")
    made = compile_audience(model, source)
    return made, [(f.place.line, f.code, f.params["found"]) for f in source.findings]


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("true", 0),
        ("user.points > 3", 1),
        ("user.points + user.points > 3", 2),
        ("user.points > 3 and user.points < 9 and user.points != 4", 2),
        ("user.twice > 3", 3),
        ("user.sums > 3", 4),
        ("not segment('rich')", 6),
    ],
)
def test_what_a_name_stands_for_counts_with_it(text, levels):
    made, findings = found_in("")
    node, problems = parse_condition(text, Scope(user=made.user_types(), segments=frozenset(made.segments)))

    assert (findings, problems) == ([], [])
    assert made.nesting().levels(node) == levels


def test_the_deepest_that_may_be_is_taken_and_one_more_is_refused_where_it_stands():
    deep = "  deep: {{name: 深, when: user.points{} > 3}}\n"

    assert found_in(deep.format(" + 1" * (MOST_LEVELS - 1)))[1] == []
    assert found_in(deep.format(" + 1" * MOST_LEVELS))[1] == [(9, "J056", MOST_LEVELS + 1)]


def test_levels_add_up_over_segments_and_only_the_one_that_is_too_much_is_told():
    half = " + 1" * (MOST_LEVELS // 2)
    more = f"  a: {{name: 甲, when: user.points{half} > 3}}\n"
    more += f"  b: {{name: 乙, when: \"segment('a') and user.points{' + 1' * MOST_LEVELS} > 3\"}}\n"
    more += "  c: {name: 丙, when: \"segment('b') and user.points > 1\"}\n"

    assert found_in(more)[1] == [(10, "J056", MOST_LEVELS + 2)]


def test_the_stages_are_asked_of_everybody_too():
    more = f"lifecycle:\n  - {{stage: a, name: A, when: user.points{' + 1' * MOST_LEVELS} > 3}}\n  - {{stage: z, name: Z}}\n"

    assert found_in(more)[1] == [(10, "J056", MOST_LEVELS + 1)]


@pytest.mark.parametrize(("entry", "codes"), [("schedule: 0 12 * * *", ["J056"]), ("event: app_opened", [])])
def test_an_entry_that_asks_everybody_at_once_may_not_ask_too_deep(entry, codes):
    text = journey_text("- {id: rest, delay: 1d}", entry=f"{{{entry}, where: user.points{' + 1' * MOST_LEVELS} > 3}}")

    source = analyse(load_journey_text(text, "j.yaml"), audience(), WORLD, ZONE)[1]

    assert [f.code for f in source if f.severity == "error"] == codes
