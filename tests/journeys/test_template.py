import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import DAY
from journeys.template import LONGEST_OUTPUT, CannotRender, parse_template, render

NOON = 1_796_097_600_000  # 2026-12-01 12:00 in Shanghai


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("没有变量", "没有变量"),
        ("您好{{ user.name }}！", "您好李阿姨！"),
        ("{{user.name}}{{ user.name }}", "李阿姨李阿姨"),
        ("{{ user.age }}", "30"),
        ("{{ user.age / 4 }}", "7.5"),
        ("{{ entry.amount }}", "12.5"),
        ("{{ entry.amount | money }}", "¥12.50"),
        ("{{ user.age | money }}", "¥30.00"),
        ("{{ user.contract_ends }}", "2026-12-01 12:00"),
        ("{{ user.contract_ends | date('%-m月%-d日') }}", "12月1日"),
        ("{{ user.active_hour }}", "18:05"),
        ("{{ user.likes }}", "鸡蛋、大米"),
        ("{{ user.likes | join('+') }}", "鸡蛋+大米"),
        ("{{ user.likes | join('') | truncate(3) }}", "鸡蛋…"),
        ("{{ user.vip }}", "true"),
        ("{{ user.city | default('本市') }}", "本市"),
        ("{{ user.name | default('邻居') }}", "李阿姨"),
        ("{{ user.city | default(user.name) }}", "李阿姨"),
        ("{{ steps.gift.expires_at | default('很快') }}", "很快"),
        ("{{ user.age | default('?') }}", "30"),
        ("{{ user.contract_ends | default('?') }}", "2026-12-01 12:00"),
        ("{{ user.name | truncate(2) }}", "李…"),
        ("{{ user.name | truncate(3) }}", "李阿姨"),
        ("{{ user.age | truncate(1) }}", "…"),
        ("{{ user.city | default('}}') }}", "}}"),  # quoted braces do not end it
        ('{{ user.city | default("{{ x }}") }}', "{{ x }}"),
        ("{{ remaining('coupon_10') }}", "7"),
        ("{{ 'a' }} } }} {", "a } }} {"),
        ("{{ user.age > 3 }}", "true"),
        ("价格 {100%}", "价格 {100%}"),
    ],
)
def test_a_text_is_rendered_with_the_values_of_the_user(printed, source, text):
    found = printed(
        source, name="李阿姨", age=30, vip=True, likes=["鸡蛋", "大米"], contract_ends=NOON, active_hour=1085, entry={"amount": 12.5},
    )  # fmt: skip

    assert found == text


@pytest.mark.parametrize("value", ["{{ 7*7 }}", "{% for x in y %}", "{{ user.__class__ }}", "<b>&", "'}}{{'", "{0}", "%s"])
def test_a_value_is_data_and_never_read_as_a_template(printed, value):
    assert printed("您好 {{ user.name }}", name=value) == f"您好 {value}"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ user.name", "J060"),
        ("{{ user.name }", "J060"),
        ("{{ }}", "J060"),
        ("{{ user.name user.age }}", "J060"),
        ("{{ user.name | }}", "J060"),
        ("{{ 'a }}", "J060"),
        ("{{ " + "(" * 2000 + " }}", "J060"),
        ("{{ " + "9" * 5000 + " }}", "J060"),
        ("{{ 1e400 }}", "J060"),
        ("{% if user.vip %}x{% endif %}", "J061"),
        ("{# comment #}", "J061"),
        ("{{ user.name[0] }}", "J061"),
        ("{{ user.name.upper() }}", "J061"),
        ("{{ user.name ~ 'x' }}", "J061"),
        ("{{ 'x' if user.vip else 'y' }}", "J061"),
        ("{{ days_since(user.last_order_at) }}", "J061"),
        ("{{ segment('dormant') }}", "J061"),
        ("{{ none }}", "J061"),
        ("{{ user.name + 'x' }}", "J046"),
        ("{{ user.__class__ }}", "J022"),
        ("{{ user.nmae }}", "J022"),
        ("{{ event.amount }}", "J047"),
        ("{{ lipsum() }}", "J042"),
        ("{{ user.name | uppercase }}", "J062"),
        ("{{ user.name | trunc(3) }}", "J062"),
        ("{{ user.name | truncate }}", "J063"),
        ("{{ user.name | truncate(0) }}", "J063"),
        ("{{ user.name | truncate('3') }}", "J063"),
        ("{{ user.name | truncate(true) }}", "J063"),
        ("{{ user.name | truncate(length=3) }}", "J063"),
        ("{{ user.name | money }}", "J063"),
        ("{{ user.age | date('%Y') }}", "J063"),
        ("{{ user.contract_ends | date }}", "J063"),
        ("{{ user.contract_ends | date('%B') }}", "J063"),
        ("{{ user.name | join(',') }}", "J063"),
        ("{{ user.name | default }}", "J063"),
        ("{{ user.age | default(user.vip) }}", "J063"),
    ],
)
def test_what_a_text_must_not_hold_has_its_code(workshop, source, code):
    from journeys.steps import _for_text

    template, problems = parse_template(source, _for_text(workshop.scope))

    assert template is None
    assert [p.code for p in problems] == [code]


def test_an_unknown_filter_comes_with_the_nearest_known_one(workshop):
    _, (problem,) = parse_template("{{ user.name | trunc(3) }}", workshop.scope)

    assert problem.params["hint"] == "truncate"


def test_all_problems_of_a_text_are_reported_together(workshop):
    _, problems = parse_template("{{ user.nmae }} {{ user.name | up }} {{ user.age }}", workshop.scope)

    assert [p.code for p in problems] == ["J022", "J062"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ user.name }}",
        "{{ user.age | money }}",
        "{{ user.likes | join(',') }}",
        "{{ user.contract_ends | date('%Y') }}",
        "{{ user.name | truncate(3) }}",
        "{{ 1 / 0 }}",
        "{{ user.city | default(user.name) }}",
    ],
)
def test_a_missing_value_cannot_be_rendered(printed, source):
    with pytest.raises(CannotRender) as refused:
        printed(source)

    assert refused.value.why == {"problem": "missing", "expression": source}


def test_an_output_over_four_kilobytes_cannot_be_rendered(printed):
    fits, too_long = "字" * (LONGEST_OUTPUT // 3), "字" * (LONGEST_OUTPUT // 3 + 1)

    assert printed("{{ user.name }}", name=fits) == fits
    with pytest.raises(CannotRender, match="too_long"):
        printed("{{ user.name }}", name=too_long)


@pytest.mark.parametrize("raw", ["text", 3, 2.5, True, ["a", 1], {"a": 1}, 10**30])
@pytest.mark.parametrize("filters", ["", "| money", "| date('%Y')", "| join(',')", "| truncate(3)", "| default('x')", "| default(0)"])
def test_an_untyped_value_is_rendered_or_costs_only_this_user(workshop, facts, filters, raw):
    template, problems = parse_template(f"{{{{ entry.x {filters} }}}}", workshop.scope)
    assert not problems

    try:
        text = render(template, facts(entry={"x": raw}))
    except CannotRender:
        text = ""

    assert isinstance(text, str)


@given(st.text(max_size=30), st.integers(1, 30))
def test_truncate_never_exceeds_its_number_and_keeps_what_fits(printed, value, length):
    text = printed(f"{{{{ user.name | truncate({length}) }}}}", name=value)

    assert len(text) <= length
    assert text == value if len(value) <= length else text == value[: length - 1] + "…"


@given(st.text(max_size=60) | st.text("{}%#| user.name'\"()defaultru123", max_size=60))
def test_no_text_raises(workshop, source):
    template, problems = parse_template(source, workshop.scope)

    assert (template is None) == bool(problems)


def test_a_text_without_variables_is_constant(workshop):
    fixed, _ = parse_template("fixed", workshop.scope)
    varying, _ = parse_template("{{ user.name }}", workshop.scope)

    assert (fixed.constant, varying.constant) == ("fixed", None)


def test_times_are_printed_on_the_clock_of_the_user(workshop, facts):
    from zoneinfo import ZoneInfo

    template, _ = parse_template("{{ user.contract_ends | date('%H:%M') }}", workshop.scope)

    assert render(template, facts(DAY, ZoneInfo("Asia/Tokyo"), contract_ends=NOON)) == "13:00"
