"""What is said of an expression that cannot be read: where, and what to write instead, in both languages."""

import pytest

from journeys.expression import parse_condition, parse_expression
from journeys.template import parse_template
from journeys.unread import unclosed


@pytest.mark.parametrize(
    ("condition", "rest", "en", "zh"),
    [
        ("user.age = 3", "= 3", "write “==” instead of “=”", "“=”要写成“==”"),
        ("user.age >= 3 and (user.age = 4)", "= 4)", "write “==” instead of “=”", "“=”要写成“==”"),
        ("user.age === 3", "=== 3", "write “==” instead of “===”", "“===”要写成“==”"),
        ("user.age => 3", "=> 3", "write “>=” instead of “=>”", "“=>”要写成“>=”"),
        ("user.age <> 3", "<> 3", "write “!=” instead of “<>”", "“<>”要写成“!=”"),
        ("user.vip && user.age > 3", "&& user.age > 3", "write “and” instead of “&&”", "“&&”要写成“and”"),
        ("user.vip || user.age > 3", "|| user.age > 3", "write “or” instead of “||”", "“||”要写成“or”"),
        ("user.age != 3 and !user.vip", "!user.vip", "write “not” instead of “!”", "“!”要写成“not”"),
        ("user.vip AND user.age > 3", "AND user.age > 3", "write “and” instead of “AND”", "“AND”要写成“and”"),
        ("user.city == '上海", "'上海", "the quote ' is not closed", "引号 ' 没有配对"),
        ("user.city == '上海 and user.level == 'gold'", "'上海 and user.level == 'gold'", "the quote ' is not closed", "引号 ' 没有配对"),
        ('user.city == "上海', '"上海', 'the quote " is not closed', '引号 " 没有配对'),
        ("user.city == 'a && b' and", "", "it ends too early", "没写完就结束了"),
        ("count('order_paid', within='30d') >", "", "it ends too early", "没写完就结束了"),
        ("count('order_paid', within ='30d') >", "", "it ends too early", "没写完就结束了"),
        ("user.age >", "", "it ends too early", "没写完就结束了"),
        ("(user.age > 3", "", "it ends too early", "没写完就结束了"),
        ("user.age > 3)", "", "unexpected “)”", "这里不能写“)”"),
        ("user.age > 3 years", "", "unexpected “years”", "这里不能写“years”"),
        ("user.age $ 3", "", "unexpected “$”", "这里不能写“$”"),
        ("(user.age > 3 user)", "", "expected “)”, found “user”", "这里应有“)”，现在是“user”"),
        ("user.vip 且 user.age > 3", "且 user.age > 3", "write “and” instead of “且”", "“且”要写成“and”"),
        ("user.vip 并且user.age > 3", "并且user.age > 3", "write “and” instead of “并且”", "“并且”要写成“and”"),
        ("user.city == '或' 或 user.vip", "或 user.vip", "write “or” instead of “或”", "“或”要写成“or”"),
        ("user.age > 3 and 非 user.vip", "非 user.vip", "write “not” instead of “非”", "“非”要写成“not”"),
        ("user.age 大于等于 3", "大于等于 3", "write “>=” instead of “大于等于”", "“大于等于”要写成“>=”"),
        ("user.city == 和平区 and", "", "it ends too early", "没写完就结束了"),
        ("user.city == 温和 and", "", "it ends too early", "没写完就结束了"),
        (
            "days_since(user.last_order_at) > 30d",
            "30d",
            "write “30” instead of “30d”: days are a number here",
            "“30d”要写成“30”：这里的天数是数字",
        ),
        (
            "days_since(user.last_order_at) > 2w and user.vip",
            "2w and user.vip",
            "write “14” instead of “2w”: days are a number here",
            "“2w”要写成“14”：这里的天数是数字",
        ),
        (
            "hours_until(user.contract_ends) < 1d12h",
            "1d12h",
            "write “36” instead of “1d12h”: hours are a number here",
            "“1d12h”要写成“36”：这里的小时数是数字",
        ),
        ("count('order_paid', within=30d) > 3", "30d) > 3", "write '30d' in quotes", "30d 要加引号：'30d'"),
        ("user.age > 3d", "3d", "a duration such as 3d cannot stand in a condition", "条件里不能写 3d 这样的时长"),
        ("user. > 3", "", "a name is missing behind the dot", "点后面少了名字"),
    ],
)
def test_a_condition_that_cannot_be_read_says_what_to_write_and_where(workshop, condition, rest, en, zh):
    node, (problem,) = parse_condition(condition, workshop.scope)

    assert node is None
    assert (problem.code, problem.word) == ("J040", rest)
    assert problem.params["problem"] == {"en": en, "zh": zh}


@pytest.mark.parametrize("text", ["user.age != 3", "count('order_paid', within='30d') > 1", "user.city == 'a && b'", "user.city == '=!'"])
def test_signs_that_belong_there_are_no_mistake(workshop, text):
    assert parse_condition(text, workshop.scope)[1] == []


@pytest.mark.parametrize(("text", "place"), [("a 'b' c", 0), ("a 'b", 3), ("", 0), ("'a and b' c'", 1), ("'a' 'b", 5), ('"it\'s" x', 0)])
def test_the_quote_that_nothing_closes_is_found(text, place):
    assert unclosed(text) == place


@pytest.mark.parametrize(
    ("text", "word", "zh"),
    [
        ("{{ user.name", "{{", "{{ 没有对应的 }}"),
        ("{{ user.name | default('x }}", "'x ", "引号 ' 没有配对"),
        ("{{ user.name name }}", "user.name name", "这里不能写“name”"),
        ("{{ user.age = 3 }}", "= 3", "“=”要写成“==”"),
        ("{{ " + "9" * 5000 + " }}", "", "数字位数太多"),
    ],
)
def test_a_text_that_cannot_be_read_says_why_in_chinese_too(workshop, text, word, zh):
    _, (problem,) = parse_template(text, workshop.scope)

    assert (problem.code, problem.word, problem.params["problem"]["zh"]) == ("J060", word, zh)


@pytest.mark.parametrize(
    ("text", "code", "params"),
    [
        ("user.age == 'a'", "J045", {"left": "user.age (数字)", "right": "'a' (文字)"}),
        ("user.likes == user.likes", "J045", {"left": "列表", "right": "列表"}),
        ("user.name > 'a'", "J046", {"found": "user.name (文字)"}),
        ("user.age + 'a' > 3", "J046", {"found": "'a' (文字)"}),
        ("user.age", "J044", {"found": "user.age (数字)"}),
        ("not user.age", "J044", {"found": "user.age (数字)"}),
        ("days_since(user.age) > 3", "J043", {"expected": "一个时间"}),
        ("segment(user.age)", "J043", {"expected": "一个加引号的文字"}),
        ("3 in user.likes", "J043", {"expected": "列表里的文字", "found": "数字 in 列表"}),
        ("1 < user.age < 3", "J041", {"found": "连写的比较"}),
    ],
)
def test_types_are_named_in_the_language_of_the_reader(workshop, text, code, params):
    _, (problem,) = parse_condition(text, workshop.scope)

    said = {name: value["zh"] if isinstance(value, dict) else value for name, value in problem.params.items()}
    assert (problem.code, said | params) == (code, said)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dormant", ["segment('dormant')"]),
        ("age", ["user.age"]),
        ("amount", ["entry.amount"]),
        ("nobody", []),
        ("dormnt", []),
    ],
)
def test_a_bare_name_is_told_what_has_that_name(workshop, name, meant):
    _, (problem,) = parse_expression(name, workshop.scope)

    assert (problem.code, problem.params["hint"]) == ("J033", meant)
