import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.expression import Scope, contains_time, kind_of, parse_condition, parse_expression, walk


def problem_of(text, scope):
    node, problems = parse_condition(text, scope)
    assert (node is None) == bool(problems)
    return problems[0] if problems else None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # syntax
        ("", "J040"),
        ("user.age >", "J040"),
        ("user.age > 1 user.age", "J040"),
        ("(user.age > 1", "J040"),
        ("user.age = 1", "J040"),
        ("x = 1", "J040"),
        ("user.age > 1; 1", "J040"),
        ("1e400 > user.age", "J040"),
        ("9" * 1990 + " > user.age", "J040"),
        ("'unclosed", "J040"),
        ("user.age > 1 %}", "J040"),
        # forbidden constructs
        ("user.__class__ == 1", "J022"),
        ("user.__class__.__mro__ == 1", "J033"),
        ("().__class__ == 1", "J041"),
        ("''.join(user.likes) == 'a'", "J041"),
        ("user.name.upper() == 'A'", "J041"),
        ("user.age ** 2 > 4", "J041"),
        ("user.age % 2 == 0", "J041"),
        ("user.age // 2 == 0", "J041"),
        ("user.likes[0] == 'a'", "J041"),
        ("user['age'] == 1", "J041"),
        ("(1 if user.vip else 2) == 1", "J041"),
        ("user.name ~ 'x' == 'a'", "J041"),
        ("user.name | upper == 'A'", "J041"),
        ("{'a': 1} == 1", "J041"),
        ("none == user.name", "J041"),
        ("1 < user.age < 3", "J041"),
        ("user.age is defined", "J041"),
        ("user.age is divisibleby 3", "J041"),
        ("+user.age > 1", "J041"),
        ("user.age is known(1)", "J041"),
        ("has_tag(*user.likes)", "J041"),
        ("range(3) == 1", "J042"),
        ("now() > user.last_order_at", "J042"),
        # names
        ("now > user.last_order_at", "J033"),
        ("usr.age > 1", "J033"),
        ("user == 1", "J033"),
        ("user.age.years > 1", "J033"),
        ("user.agee > 1", "J022"),
        ("entry.amont > 1", "J023"),
        ("event.amount > 1", "J047"),
        ("steps.gft.ok", "J031"),
        ("steps.gift.cod == 'a'", "J035"),
        ("steps.gift == 'a'", "J033"),
        # functions
        ("days_since() > 1", "J043"),
        ("days_since(user.age) > 1", "J043"),
        ("days_since(user.last_order_at, 3) > 1", "J043"),
        ("days_since(t=user.last_order_at) > 1", "J043"),
        ("segment(user.name)", "J043"),
        ("segment()", "J043"),
        ("segment('dormnt')", "J021"),
        ("in_journey('k')", "J032"),
        ("remaining('coupon') > 1", "J028"),
        ("reachable('fax')", "J024"),
        ("reachable('wechat', 'helo')", "J025"),
        ("reachable('wechat', 'hello', 'x')", "J043"),
        ("has_consent('wechat', 'hello')", "J043"),
        ("count('order_paid') > 1", "J043"),
        ("count('order_paid', within='soon') > 1", "J043"),
        ("count('order_paid', within='-1d') > 1", "J043"),
        ("count('order_paid', within=30) > 1", "J043"),
        ("count('order_paidd', within='1d') > 1", "J020"),
        # types
        ("user.age", "J044"),
        ("'a'", "J044"),
        ("not user.age", "J044"),
        ("user.vip and user.name", "J044"),
        ("user.age == 'a'", "J045"),
        ("user.birthday == user.name", "J045"),
        ("user.last_order_at == '2026-01-01'", "J045"),
        ("user.active_hour == 'noon'", "J045"),
        ("user.likes == user.likes", "J045"),
        ("user.name > 'a'", "J046"),
        ("user.vip > true", "J046"),
        ("user.name + 'a' == 'b'", "J046"),
        ("user.last_order_at - 3 > 2", "J046"),
        ("'a' in user.name", "J043"),
        ("user.age in user.likes", "J043"),
        ("user.name in ['a', 1]", "J043"),
    ],
)
def test_what_a_condition_must_not_be_has_its_code(workshop, text, code):
    assert problem_of(text, workshop.scope).code == code


@pytest.mark.parametrize(
    "text",
    [
        "user.vip",
        "user.age > 1 and (user.city == '上海' or not user.vip)",
        "user.level != 'gold'",
        "user.active_hour >= '18:00'",
        "'18:00' < user.active_hour",
        "user.city in ['上海', '杭州']",
        "user.city not in ('上海',)",
        "'水果' in user.likes",
        "user.age is known",
        "user.age is not missing",
        "-user.age < 3 + 4 * 2 - 1 / 2",
        "days_since(user.last_order_at) > 2 * user.age",
        "hours_until(entry.when) <= 3",
        "segment('dormant') and has_tag('a') and in_journey('j')",
        "count('order_paid', within='30d') >= 3",
        "reachable('wechat', 'hello') or reachable('sms') or has_consent('sms')",
        "remaining('coupon_10') > 0",
        "steps.gift.ok and steps.gift.code == 'a'",
        "steps.free.anything",
        "entry.x == 3 and entry.x == 'a'",
    ],
)
def test_what_the_language_knows_is_read(workshop, text):
    assert problem_of(text, workshop.scope) is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("user.agee > 1", "age"),
        ("segment('dormnt')", "dormant"),
        ("steps.gft.ok", "gift"),
        ("day_since(user.age) > 1", "days_since"),
        ("usr.age > 1", "user"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest_known_one(workshop, text, hint):
    assert problem_of(text, workshop.scope).params["hint"] == hint


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("days_since(user.last_order_at) + 1 > 3", "J049"),
        ("2 * days_until(user.contract_ends) > 3", "J049"),
        ("days_since(user.last_order_at) > days_until(user.contract_ends)", "J049"),
        ("3 > -hours_since(user.last_order_at)", "J049"),
        ("reachable('wechat')", "J048"),
        ("has_consent('wechat')", "J048"),
        ("remaining('coupon_10') > 1", "J048"),
        ("in_journey('j')", "J048"),
        ("days_since(user.last_order_at) > 2 * user.age", None),  # the bound may be any expression without time
        ("3 <= days_since(user.last_order_at)", None),
    ],
)
def test_where_time_matters_its_functions_stand_alone_and_reach_is_unknown(workshop, text, code):
    scope = Scope(**{**workshop.scope.__dict__, "timed": "audience"})

    problem = problem_of(text, scope)

    assert (problem and problem.code) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [("reachable('wechat')", "J048"), ("remaining('coupon_10') > 1", "J048"), ("in_journey('j')", "J048"), ("has_consent('wechat')", None)],
)
def test_what_a_wait_does_not_hear_of_is_not_said_to_be_about_segments(workshop, text, code):
    problem = problem_of(text, Scope(**{**workshop.scope.__dict__, "timed": "wait"}))

    assert (problem and (problem.code, problem.params["where"]["en"])) == (code and (code, "in what a wait waits for"))


def test_outside_a_segment_a_time_function_may_be_calculated_with(workshop):
    assert problem_of("days_since(user.last_order_at) + 1 > 3", workshop.scope) is None


def test_an_event_is_known_inside_a_where(workshop):
    scope = Scope(**{**workshop.scope.__dict__, "event": {"amount": "number"}, "event_name": "order_paid"})

    assert problem_of("event.amount > 3 and entry.amount > 3", scope) is None
    assert problem_of("event.amont > 3", scope).params == {"found": "amont", "event": "order_paid", "hint": "amount", "known": ["amount"]}


def test_an_api_entry_may_have_any_field():
    scope = Scope(entry={"*": "any"})

    assert problem_of("entry.anything > 3 and entry.flag", scope) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("user.age + 1", "number"),
        ("user.name", "text"),
        ("days_since(user.last_order_at)", "number"),
        ("1 == 2", "boolean"),
        ("user.likes", "list"),
        ("entry.x", "any"),
    ],
)
def test_every_expression_has_a_type(workshop, text, kind):
    node, problems = parse_expression(text, workshop.scope)

    assert not problems
    assert kind_of(node) == kind


def test_and_and_or_are_flattened_but_not_into_each_other(workshop):
    node, _ = parse_condition("user.vip and user.vip and (user.vip or user.vip or user.vip)", workshop.scope)

    assert [node.operator, len(node.items), len(node.items[2].items)] == ["and", 3, 3]


def test_walking_a_tree_visits_every_node(workshop):
    node, _ = parse_condition(
        "not (user.age + 1 > 2) and days_since(user.last_order_at) > 1 and 'a' in user.likes and user.age is known", workshop.scope
    )

    names = sorted(str(n) for n in walk(node) if type(n).__name__ == "Name")

    assert names == ["user.age", "user.age", "user.last_order_at", "user.likes"]
    assert contains_time(node, {})
    assert not contains_time(node.items[0], {})


def test_deep_nesting_is_a_finding(workshop):
    assert problem_of("(" * 900 + "user.vip" + ")" * 900, workshop.scope).code == "J040"


@given(st.text(max_size=60) | st.text("user.age<>=!()[]{}'\"%|~+-*/ andortis0123456789,", max_size=60))
def test_no_text_raises(workshop, text):
    node, problems = parse_condition(text, workshop.scope)

    assert (node is None) == bool(problems)
