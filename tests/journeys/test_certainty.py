import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.certainty import implies, verdict
from journeys.evaluate import compile_node
from journeys.expression import parse_condition


@pytest.fixture
def parsed(workshop):
    def parse(text):
        node, problems = parse_condition(text, workshop.scope)
        assert not problems, problems
        return node

    return parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("false", False),
        ("not false", True),
        ("1 == 2", False),
        ("1 != 2", True),
        ("user.vip and false", False),
        ("user.vip or true", True),
        ("user.vip and not user.vip", False),
        ("user.vip or not user.vip", True),
        ("user.age > 5 and user.age < 3", False),
        ("user.age > 5 and 3 > user.age", False),
        ("user.age > 5 and user.age <= 5", False),
        ("user.age >= 5 and user.age <= 5", None),
        ("user.age > 3 and user.age < 5", None),
        ("user.age > 3 and user.age != 2", None),
        ("user.age > 3 and 2 != user.age", None),
        ("user.age > 5 and user.orders_90d < 3", None),
        ("user.age > 5 or user.age <= 5", None),  # those without an age
        ("user.age == 5 and user.age == 6", False),
        ("user.city == '上海' and user.city == '北京'", False),
        ("user.city == '上海' and user.city in ['上海', '北京']", None),
        ("user.city == '广州' and user.city in ['上海', '北京']", False),
        ("user.city in []", False),
        ("user.level == 'gold' and user.vip and user.level == 'silver'", False),
        ("days_since(user.last_order_at) > 30 and days_since(user.last_order_at) < 7", False),
        ("days_since(user.last_order_at) > 30 and days_since(user.contract_ends) < 7", None),
        ("count('order_paid', within='30d') > 3 and count('order_paid', within='7d') < 3", None),
        ("not (user.age > 5 and user.age < 3)", True),
        ("user.vip and (user.age > 5 and user.age < 3)", False),
        ("user.vip or (user.age > 5 and user.age < 3)", None),
        ("user.name is missing", False),  # it has a default
        ("user.orders_90d is known", True),  # a count
        ("user.city is known", None),
        ("user.age > 5", None),
    ],
)
def test_what_a_condition_says_of_everybody_is_decided_only_where_it_is_certain(parsed, workshop, text, expected):
    assert verdict(parsed(text), workshop.audience.never_missing()) is expected


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("user.age > 5", "user.age > 3", True),
        ("user.age >= 3", "user.age > 3", False),
        ("user.age > 3", "user.age >= 3", True),
        ("user.age > 3", "user.age > 5", False),
        ("user.age == 4", "user.age > 3", True),
        ("user.age > 5 and user.vip", "user.age > 3", True),
        ("user.age > 5", "user.age > 3 and user.vip", False),
        ("user.age > 5 and user.vip", "user.vip and user.age > 3", True),
        ("user.age > 5", "user.age > 3 or user.vip", True),
        ("user.age > 5 or user.age == 4", "user.age > 3", True),
        ("user.age > 5 or user.vip", "user.age > 3", False),
        ("user.age > 3 and user.age < 9", "user.age > 1 and user.age < 10", True),
        ("user.city == '上海'", "user.city in ['上海', '北京']", True),
        ("user.city in ['上海', '广州']", "user.city in ['上海', '北京']", False),
        ("user.age > 5", "user.age is known", True),
        ("user.age > 5", "user.age is missing", False),
        ("days_since(user.last_order_at) > 5", "user.last_order_at is known", True),
        ("user.age != 5", "user.age > 3", False),
        ("not user.vip", "user.age > 3", False),
        ("segment('dormant') and user.vip", "segment('dormant')", True),
        ("days_since(user.last_order_at) >= 90", "days_since(user.last_order_at) >= 30", True),
    ],
)
def test_one_condition_implies_another_only_where_it_is_certain(parsed, text, other, expected):
    assert implies(parsed(text), parsed(other)) is expected


ATOMS = st.builds(
    "user.{} {} {}".format, st.sampled_from(["age", "orders_90d"]), st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), st.integers(0, 3)
) | st.sampled_from(
    ["user.vip", "user.age is known", "user.age is missing", "user.city == 'a'", "user.city in ['a', 'b']", "user.city == 'c'"]
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner) | st.builds("not ({})".format, inner),
    max_leaves=5,
)
USERS = [
    {"age": age, "orders_90d": orders, "vip": vip, "city": city}
    for age in (None, 0, 1, 2, 2.5, 3, 4)
    for orders in (0, 1, 3)
    for vip in (None, True)
    for city in (None, "a", "b", "c")
]


@settings(max_examples=500)
@given(CONDITIONS)
def test_no_user_contradicts_a_verdict(workshop, facts, text):
    node, _ = parse_condition(text, workshop.scope)
    found = verdict(node, workshop.audience.never_missing())
    test = compile_node(node)

    if found is not None:
        assert all(bool(test(facts(**user))) is found for user in USERS)


@settings(max_examples=1000)
@given(CONDITIONS, CONDITIONS)
def test_no_user_contradicts_an_implication(workshop, facts, text, other):
    node, wider = parse_condition(text, workshop.scope)[0], parse_condition(other, workshop.scope)[0]
    test, wider_test = compile_node(node), compile_node(wider)

    if implies(node, wider):
        assert all(wider_test(facts(**user)) for user in USERS if test(facts(**user)))


def branch(*conditions, more=""):
    cases = "".join(f'    - {{when: "{condition}", steps: [{{exit: e{number}}}]}}\n' for number, condition in enumerate(conditions))
    return f"- id: b\n  branch:\n{cases}{more}"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (branch("user.age >= 3", "user.age >= 12"), [("j.yaml:12:16", "J055")]),
        (branch("user.age >= 12", "user.age >= 3"), []),
        (branch("user.vip", "user.age > 3", "user.vip and user.age < 2"), [("j.yaml:13:16", "J055")]),
        (branch("user.age > 5 and user.age < 3"), [("j.yaml:11:16", "J053")]),
        (branch("user.name is known", "user.vip"), [("j.yaml:11:16", "J054")]),
        ("- if: user.age > 5 and user.age < 3\n  exit: x\n", [("j.yaml:9:9", "J053")]),
        (
            "- id: w\n  wait_for: {event: order_paid, where: event.amount > 5 and event.amount < 3, timeout: 1d}\n",
            [("j.yaml:10:42", "J053")],
        ),
    ],
)
def test_a_condition_that_decides_nothing_is_a_warning_where_it_stands(workshop, steps, expected):
    findings = workshop.findings(steps)

    assert [(str(f.place), f.code) for f in findings] == expected
    assert all(f.severity == "warning" for f in findings)


def test_the_warning_names_what_excludes_each_other_or_the_case_that_comes_first(workshop):
    (never,) = workshop.findings("- if: user.vip and user.age > 5 and user.age < 3\n  exit: x\n")
    (covered,) = workshop.findings(branch("user.age >= 3", "user.age >= 12"))

    assert never.text() == "user.vip and user.age > 5 and user.age < 3 never holds: look at user.age"
    assert covered.text() == "user.age >= 12 is never asked: everybody whom it takes is taken by user.age >= 3 on line 11"


def test_a_stage_behind_a_wider_one_and_a_segment_of_nobody_are_warnings(workshop):
    _, findings = workshop.audience_findings(
        "traits: {age: {type: number, from: profile}}\n"
        "segments: {s: {name: s, when: user.age > 3 and user.age < 2}}\n"
        "lifecycle:\n"
        "  - {stage: a, name: A, when: user.age > 3}\n"
        "  - {stage: b, name: B, when: user.age > 9}\n"
        "  - {stage: c, name: C}\n"
    )

    assert [(str(f.place), f.code) for f in findings] == [("audience.yaml:2:31", "J053"), ("audience.yaml:5:31", "J055")]
