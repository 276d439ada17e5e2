"""Conditions taken apart: what each clause needs, what it found, when time would change it; and decisions that were kept."""

import pytest

from journeys.clauses import KeptFacts, Meaning, clauses_of, spelled, turns_at
from journeys.expression import Scope
from journeys.rule import condition
from runtime.facts import UserFacts
from runtime.profile import project
from tests.town import AUDIENCE as DEFAULT
from tests.town import DAY, HOUR, NOON, audience, event, somebody

AUDIENCE = audience()
SCOPE = Scope(
    user=AUDIENCE.user_types(), entry={"*": "any"}, steps={"a": {"*": "any"}}, event={"*": "any", "amount": "number"},
    segments=frozenset(AUDIENCE.segments), events=frozenset(AUDIENCE.events), journeys=frozenset({"j"}),
)  # fmt: skip
MEANING = Meaning(AUDIENCE.segments)


def rule(text):
    return condition(text, SCOPE)


def facts_of(user=None, now=NOON):
    return UserFacts(AUDIENCE, user or somebody(points=3, city="上海"), now)


def judged(text, user=None):
    user = user or somebody(points=3, city="上海")
    return clauses_of(rule(text).node, facts_of(user), MEANING, lambda at: facts_of(user, at))


def bought(*ages):
    user = somebody()
    for age in ages:
        project(AUDIENCE, user, event("order_paid", NOON - age))
    return user


def test_each_part_of_an_and_is_judged_by_itself():
    first, second = judged("user.points == 1 and user.city == '上海'")

    assert (first.text, first.held, second.text, second.held) == ("user.points == 1", False, "user.city == '上海'", True)
    assert (first.need.name, first.need.operator, first.need.found, first.need.wanted) == ("user.points", "==", 3, 1)
    assert first.values == {"user.points": 3}


@pytest.mark.parametrize(
    ("text", "held", "operator", "found", "wanted"),
    [
        ("user.points >= 5", False, ">=", 3, 5),
        ("5 <= user.points", False, ">=", 3, 5),
        ("not user.points < 5", False, ">=", 3, 5),
        ("user.points != 3", False, "!=", 3, 3),
        ("user.level is known", True, "known", "normal", None),
        ("user.birthday is known", False, "known", None, None),
        ("not user.birthday is known", True, "missing", None, None),
        ("user.city in ['北京', '广州']", False, "in", "上海", ["北京", "广州"]),
        ("user.city not in ['上海']", False, "not in", "上海", ["上海"]),
        ("has_tag('vip')", False, "true", False, True),
        ("not has_tag('vip')", True, "false", False, False),
        ("days_since(user.booked_at) > 3", False, ">", None, 3),
    ],
)
def test_a_clause_says_what_it_needs_and_what_it_found(text, held, operator, found, wanted):
    (clause,) = judged(text)

    assert (clause.held, clause.need.operator, clause.need.found, clause.need.wanted) == (held, operator, found, wanted)


def test_of_an_or_one_part_is_enough_and_under_a_not_all_are_needed():
    (either,) = judged("user.points == 1 or user.city == '北京'")
    (neither,) = judged("not (user.points == 1 or user.city == '上海')")

    assert (either.joined, either.held, [p.held for p in either.parts]) == ("any", False, [False, False])
    assert (neither.joined, neither.held, [p.held for p in neither.parts]) == ("all", False, [True, False])


def test_a_segment_is_opened_to_its_own_condition():
    (clause,) = judged("segment('dormant')", bought(12 * DAY))

    assert (clause.segment, clause.held, clause.parts[0].text) == ("dormant", False, "days_since(user.last_order_at) >= 30")
    assert (clause.parts[0].need.found, clause.parts[0].changes_at) == (12, NOON + 18 * DAY)


def test_a_clause_says_until_when_it_holds_and_from_when_it_will():
    user = bought(29 * DAY, 6 * DAY, HOUR)

    assert judged("days_since(user.last_order_at) >= 30", user)[0].changes_at == NOON - HOUR + 30 * DAY
    assert judged("user.orders_7d >= 2", user)[0].changes_at == NOON + DAY
    assert judged("user.orders_7d < 1", user)[0].changes_at == NOON - HOUR + 7 * DAY
    assert judged("user.points == 3", user)[0].changes_at is None


def test_a_clause_over_a_trait_that_is_a_time_function_says_from_when_it_will_hold():
    town = audience(DEFAULT.replace("traits:\n", "traits:\n  idle: {type: number, value: days_since(user.last_order_at)}\n"))
    user, scope = bought(12 * DAY), Scope(user=town.user_types())

    def facts_at(at):
        return UserFacts(town, user, at)

    meaning = Meaning(values={name: trait.value for name, trait in town.traits.items() if trait.value is not None})
    (clause,) = clauses_of(condition("user.idle >= 30", scope).node, facts_at(NOON), meaning, facts_at)

    assert (clause.held, clause.changes_at) == (False, NOON + 18 * DAY)


def test_a_condition_that_time_alone_never_makes_true_has_no_instant():
    user = bought(40 * DAY)
    node = rule("days_since(user.last_order_at) < 30").node

    assert turns_at(node, Meaning(), lambda at: facts_of(user, at), NOON, to=True) is None
    assert turns_at(rule("user.points == 1").node, Meaning(), lambda at: facts_of(user, at), NOON, to=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "user.points + 2 * user.orders_count > 3", "(user.points + 2) * 3 == 15", "user.points - (1 - 2) > 0",
        "user.points == 1 and (user.city == 'a' or has_tag('x'))", "not (user.city == 'a' and user.points == 1)",
        "user.city not in ['a', 'b']", "count('order_paid', within='30d') >= 2", "hours_since(event.time) < 1.5",
        "user.city is missing", "segment('dormant') or in_journey('j')", "entry.x == true", "steps.a.ok",
    ],
)  # fmt: skip
def test_a_condition_is_spelled_as_people_write_it(text):
    assert spelled(rule(text).node) == text


def test_what_was_decided_then_is_judged_by_the_values_that_were_kept():
    text = "event.amount > 10 and user.orders_count == 0 and count('order_paid', within='7d') > 1 and steps.a.ok == true and segment('dormant')"
    then = rule(text)
    kept = {**then.values(UserFacts(AUDIENCE, bought(DAY), NOON, event={"amount": 26}, steps={"a": {"ok": True}}))}

    clauses = clauses_of(then.node, KeptFacts(kept, NOON), Meaning())

    assert [clause.held for clause in clauses] == [True, False, False, True, False]
    assert clauses[1].need.found == 1
    assert clauses[2].values == {"count('order_paid', within='7d')": 1}
    assert all(clause.changes_at is None for clause in clauses)
