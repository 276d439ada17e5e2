import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import DAY, HOUR
from journeys.rule import condition, expression


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("user.age == 30", True),
        ("user.age != 30", False),
        ("user.age < 30", False),
        ("user.age <= 30", True),
        ("user.age > 29.5", True),
        ("user.age >= 30.5", False),
        ("user.city == '上海'", True),
        ("user.city in ['上海', '杭州']", True),
        ("user.city not in ['上海', '杭州']", False),
        ("'水果' in user.likes", True),
        ("'蔬菜' in user.likes", False),
        ("user.vip", True),
        ("not user.vip", False),
        ("user.vip and user.age > 40", False),
        ("user.vip or user.age > 40", True),
        ("user.vip and user.age > 20 and user.city == '上海'", True),
        ("user.age > 40 or user.age < 20 or user.city == '北京'", False),
        ("user.active_hour >= '18:00'", True),
        ("user.active_hour > '18:30'", False),
        ("user.age is known", True),
        ("user.age is missing", False),
        ("has_tag('a')", True),
        ("has_tag('b')", False),
        ("in_journey('j')", True),
        ("segment('dormant')", True),
        ("reachable('wechat', 'hello')", True),
        ("reachable('wechat', 'offer')", False),
        ("reachable('sms')", True),
        ("has_consent('sms')", True),
        ("has_consent('push')", False),
        ("remaining('coupon_10') == 7", True),
        ("count('order_paid', within='2d') == 1", True),
        ("count('order_paid', within='30d') == 2", True),
        ("entry.amount > 3", True),
        ("steps.gift.code == 'A1'", True),
    ],
)
def test_every_operator_and_function_gives_its_value(workshop, facts, text, result):
    user = facts(
        100 * DAY, age=30, city="上海", likes=["水果"], vip=True, active_hour=1110, last_order_at=60 * DAY, tags=["a"],
        entry={"amount": 5}, steps={"gift": {"code": "A1"}}, history={"order_paid": [80 * DAY, 99 * DAY]},
        segments={"dormant": condition("days_since(user.last_order_at) >= 30", workshop.scope)},
        reachable=[("wechat", "hello"), ("sms", None)], consents=["sms"],
    )  # fmt: skip

    assert condition(text, workshop.scope).test(user) is result


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("user.age + 1", 31),
        ("user.age - 0.5", 29.5),
        ("user.age * 3", 90),
        ("user.age / 4", 7.5),
        ("1 / 3", 0.3333),  # four places
        ("0.1 + 0.2", 0.3),
        ("-user.age", -30),
        ("-3", -3),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("user.age / 0", None),  # missing, not an error
        ("user.age / (3 - 3)", None),
        ("user.city", "上海"),
        ("['a', 'b']", ["a", "b"]),
        ("days_since(user.last_order_at)", 1.5),
        ("days_until(user.last_order_at)", -1.5),
        ("hours_since(user.last_order_at)", 36),
        ("hours_until(user.contract_ends)", 12),
        ("'18:00' < user.active_hour", True),
    ],
)
def test_an_expression_gives_its_value(value_of, text, value):
    found = value_of(text, 2 * DAY, age=30, city="上海", last_order_at=DAY // 2, contract_ends=2 * DAY + 12 * HOUR, active_hour=1110)

    assert found == value


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("user.age == 30", False),  # a comparison with something missing is false
        ("user.age != 30", False),
        ("user.age < 30", False),
        ("user.age >= 30", False),
        ("not user.age == 30", True),  # and not flips it
        ("not user.age != 30", True),
        ("user.age == user.age", False),
        ("user.age + 1 > 0", False),
        ("1 / user.age > 0", False),
        ("30 / 0 > 1", False),
        ("not 30 / 0 > 1", True),
        ("user.vip", False),
        ("not user.vip", True),
        ("user.vip or true", True),
        ("user.vip and true", False),
        ("user.city in ['上海']", False),
        ("user.city not in ['上海']", True),
        ("'a' in user.likes", False),
        ("'a' not in user.likes", True),
        ("user.age is missing", True),
        ("(user.age + 1) is missing", True),
        ("(30 / 0) is missing", True),
        ("user.age is known", False),
        ("days_since(user.last_order_at) > 1", False),
        ("days_since(user.last_order_at) <= 1", False),
        ("days_since(user.last_order_at) is missing", True),
        ("entry.amount > 0", False),
        ("steps.gift.ok", False),  # an unvisited step has no result
        ("steps.gift.code is missing", True),
        ("remaining('gift_5') > 0", False),
    ],
)
def test_logic_over_missing_values_is_two_valued(holds, text, result):
    assert bool(holds(text)) is result


@pytest.mark.parametrize("raw", ["text", 3, 2.5, True, ["a"], {"a": 1}, None])
@pytest.mark.parametrize(
    "text",
    [
        "entry.x > 3",
        "entry.x == 'a'",
        "'a' in entry.x",
        "entry.x in user.likes",
        "entry.x + 1 > 2",
        "days_since(entry.x) > 1",
        "entry.x and true",
        "-entry.x < 1",
    ],
)
def test_an_untyped_value_of_any_kind_never_raises(workshop, facts, text, raw):
    rule = condition(text, workshop.scope)
    user = facts(DAY, entry={"x": raw}, likes=["a"])

    assert rule.test(user) in (True, False)
    assert rule.change is None or isinstance(rule.change(user), int | None)


def test_a_number_larger_than_any_is_missing(holds):
    huge = " * ".join(["user.age"] * 40)

    assert holds(f"({huge}) is missing", age=10**12) is True
    assert holds(f"({huge} + 0.5) is missing", age=1e12) is True


# --- the moment at which a condition changes by itself

FUNCTIONS = ("days_since", "days_until", "hours_since", "hours_until")
times = st.integers(0, 400).map(lambda quarter: 100 * DAY + quarter * 6 * HOUR) | st.integers(100 * DAY, 200 * DAY)
amounts = st.integers(-5, 60) | st.integers(-50_000, 600_000).map(lambda n: n / 10_000)


@st.composite
def terms(draw):
    """One comparison: its text, and its breakpoint for a user's times."""
    function, trait = draw(st.sampled_from(FUNCTIONS)), draw(st.sampled_from(["last_order_at", "contract_ends"]))
    operator, amount = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="])), draw(amounts)
    unit = DAY if function.startswith("days") else HOUR
    shift = round(amount * unit) * (1 if function.endswith("since") else -1)
    call = f"{function}(user.{trait})"
    text = f"{call} {operator} {amount:.4f}" if draw(st.booleans()) else f"{amount:.4f} {operator} {call}"
    return text, [(trait, shift)]


def joined(inner):
    two = st.tuples(inner, st.sampled_from([" and ", " or "]), inner)
    return inner.map(lambda t: (f"not ({t[0]})", t[1])) | two.map(lambda p: (f"({p[0][0]}){p[1]}({p[2][0]})", p[0][1] + p[2][1]))


pairs = terms() | joined(terms())


@given(pairs | joined(pairs), times, times, times)
def test_nothing_changes_before_the_next_change_and_every_change_is_foretold(workshop, facts, rule, ordered, ends, now):
    text, breakpoints = rule
    user = facts(now, last_order_at=ordered, contract_ends=ends)
    compiled = condition(text, workshop.scope)
    times_of = {"last_order_at": ordered, "contract_ends": ends}
    edges = {times_of[trait] + shift + by for trait, shift in breakpoints for by in (-1, 0, 1, 2)}
    later = sorted(e for e in edges if e > now)

    value = compiled.test(user)
    first_flip = next((at for at in later if compiled.test(user.at(at)) != value), None)
    foretold, moment = [], compiled.change(user)
    while moment is not None:
        foretold.append(moment)
        moment = compiled.change(user.at(moment))

    assert all(a < b for a, b in zip([now, *foretold], foretold, strict=False))
    assert first_flip is None or first_flip in foretold
    assert all(compiled.test(user.at(at)) == value for at in later if at < (foretold[0] if foretold else later[-1] + 1))


@given(terms(), times, times, times)
def test_for_one_comparison_the_next_change_is_exactly_when_its_value_flips(workshop, facts, rule, ordered, ends, now):
    text, [(trait, shift)] = rule
    user = facts(now, last_order_at=ordered, contract_ends=ends)
    compiled = condition(text, workshop.scope)
    edge = {"last_order_at": ordered, "contract_ends": ends}[trait] + shift

    value = compiled.test(user)
    flip = next((at for at in (edge - 1, edge, edge + 1) if at > now and compiled.test(user.at(at)) != value), None)

    assert compiled.change(user) == flip


def test_a_missing_time_foretells_nothing(workshop, facts):
    rule = condition("days_since(user.last_order_at) >= user.age", workshop.scope)

    assert rule.change(facts(age=3)) is None
    assert rule.change(facts(last_order_at=0)) is None
    assert rule.change(facts(age=3, last_order_at=0)) == 3 * DAY


def test_a_window_changes_when_its_oldest_event_leaves(workshop, facts):
    rule = condition("count('order_paid', within='30d') >= 2", workshop.scope)
    user = facts(40 * DAY, history={"order_paid": [DAY, 15 * DAY, 20 * DAY, 21 * DAY]})

    assert rule.change(user) == 45 * DAY
    assert rule.test(user.at(45 * DAY)) is True
    assert rule.test(user.at(rule.change(user.at(45 * DAY)))) is False


def test_a_segment_brings_its_own_change(workshop, facts):
    segment = condition("days_since(user.last_order_at) >= 30", workshop.scope)
    rule = condition("segment('dormant') and user.vip", workshop.scope)

    assert rule.change(facts(DAY, last_order_at=0, segments={"dormant": segment})) == 30 * DAY


def test_what_does_not_move_by_time_has_no_change(workshop):
    assert condition("has_tag('a') and entry.amount > 3", workshop.scope).change is None


def test_the_values_that_decided_are_told_by_their_spelling(workshop, facts):
    rule = condition(
        "days_since(user.last_order_at) > 2 and (user.age > 3 or has_tag('a')) and count('order_paid', within='1d') == 0", workshop.scope
    )

    values = rule.values(facts(DAY, age=4, history={"order_paid": [DAY]}))

    assert values == {"user.last_order_at": None, "user.age": 4, "has_tag('a')": False, f"count('order_paid', {DAY})": 1}


def test_a_rule_of_a_wrong_text_is_an_error_of_the_programmer(workshop):
    from journeys.errors import JourneyError

    with pytest.raises(JourneyError, match="J022"):
        condition("user.nobody == 1", workshop.scope)
    with pytest.raises(JourneyError, match="J040"):
        expression("1 +", workshop.scope)
