"""YAML's traps, each where it stands with its sentence, and what looks like one and is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.errors import Finding, Place
from journeys.source import parse_source
from journeys.traps import traps, wide_params

SAID = {
    "J018": "a space is missing after",
    "J120": "has {{ and no quotes",
    "J121": "a # after a space begins a comment",
    "J122": "a tab stands here",
    "J123": "YAML and conditions need the half-width",
    "J124": "has a colon and a space inside; put quotes around it",
    "J125": "this line is indented by",
    "J126": "begin each item with “- ”",
    "J127": "is not closed, or text follows behind its end",
    "J129": "needs quotes",
    "J119": "needs quotes inside { }",
}


def shown(text):
    return [f"{f.place} {f.code}" for f in parse_source(text, "f").findings]


@pytest.mark.parametrize(
    ("text", "place", "code", "found"),
    [
        # {{ at the beginning
        ("a: {{ user.name }}\n", "1:4", "J120", "{{ user.name }}"),
        ("title: {{ user.name }}您好\n", "1:8", "J120", "{{ user.name }}您好"),
        ("d: {title: {{ user.name }}, b: 1}\n", "1:12", "J120", "{{ user.name }}"),
        ("d: {title: {{ user.name }}您好}\n", "1:12", "J120", "{{ user.name }}您好"),
        ("d:\n  - {{ x }}\n", "2:5", "J120", "{{ x }}"),
        ("d: {title: 您好，{{ user.name }}！, b: 1}\n", "1:12", "J120", "您好，{{ user.name }}！"),
        ('d: {b: "x, {{ y }}", title: 您好 {{ user.name }}}\n', "1:29", "J120", "您好 {{ user.name }}"),
        # tabs
        ("\tid: a\n", "1:1", "J122", None),
        ("steps:\n\t- id: a\n", "2:1", "J122", None),
        ("id: a\n\tname: b\n", "2:1", "J122", None),
        ("id: a\n  \tname: b\n", "2:3", "J122", None),
        # full-width signs
        ("id：a\nname: b\n", "1:3", "J123", "："),
        ("name: x\nid：a\n", "2:3", "J123", "："),
        ("name: 你好 # 注释\nowner：x\nb: 1\n", "2:6", "J123", "："),
        ("d: {title：特价}\n", "1:10", "J123", "："),
        ("d: {until：'18:00'}\n", "1:10", "J123", "："),
        ("d: {a: 1，b: 2}\n", "1:9", "J123", "，"),
        ("id:\u3000a\nname: x\n", "1:4", "J123", "U+3000"),
        ("\u3000\u3000id: a\n", "1:1", "J123", "U+3000"),
        ("id:\u00a0a\nname: x\n", "1:4", "J123", "U+00A0"),
        # a colon inside a text
        ("a: b: c\n", "1:4", "J124", "b: c"),
        ("title: 提醒: 明天截单\n", "1:8", "J124", "提醒: 明天截单"),
        ("  - title: 提醒: 明天截单 # 注\n", "1:12", "J124", "提醒: 明天截单"),
        ("steps:\n  - push: {title: a: b, body: c}\n", "2:19", "J124", "a: b"),
        # no space after the colon or the dash
        ("id:a\nname: b\n", "1:3", "J018", "id:a"),
        ("name: b\nid:a\n", "2:3", "J018", "id:a"),
        ("- id: a\n  delay:3d\n", "2:8", "J018", "delay:3d"),
        ("steps:\n  -id: a\n   delay: 3\n", "2:3", "J018", "-id: a"),
        ("d: {a:1, b: 2}\n", "1:6", "J018", "a:1"),
        ("expect:\n  -{after: 0s, end: x}\n", "2:3", "J018", "-{after: 0s, end: x}"),
        ("steps:\n  - id: a\n  -id: b\n", "3:3", "J018", "-id: b"),
        # indentation
        ("a: 1\n b: 2\n", "2:2", "J125", 1),
        ("steps:\n  - id: a\n   delay: 1d\n", "3:4", "J125", 3),
        ("steps:\n  - id: a\n     delay: 1d\n", "3:6", "J125", 5),
        ("a:\n    b: 1\n  c: 2\n", "3:3", "J125", 2),
        ("steps:\n  - id: a\n    delay: 3d\n   send: x\n", "4:4", "J125", 3),
        # lists without dashes
        ("steps:\n  - id: a\n  delay: 1d\n", "3:3", "J125", 2),
        ("steps:\n  - id: a\n    delay: 1d\n  id: b\n", "4:3", "J126", "id: b"),
        ("a: {until: 18:30}\n", "1:12", "J119", "18:30"),
        ("a: {between: 08:00-21:30}\n", "1:14", "J119", "08:00-21:30"),
        ("a: {at: 2026-12-04 20:00, b: 1}\n", "1:9", "J119", "2026-12-04 20:00"),
        ("a: {b: 1, at: 2026-12-04T20:00:30+08:00}\n", "1:15", "J119", "2026-12-04T20:00:30+08:00"),
        ("a: {at: 2026年12月4日 20:00}\n", "1:9", "J119", "2026年12月4日 20:00"),
        ("a: {b: x in [1, 2], c: 3}\n", "1:8", "J119", "x in [1, 2]"),
        ("a: {e: f, w: event.to == 'x, y' and x in ['a', 'b[']}\n", "1:14", "J119", "event.to == 'x, y' and x in ['a', 'b[']"),
        ("a:\n  - {when: user.x in ['a','b'] and user.y > 3, steps: []}\n", "2:12", "J119", "user.x in ['a','b'] and user.y > 3"),
        ('a: {when: user.level in ["gold"]}\n', "1:11", "J119", "user.level in ['gold']"),
        ("a: {t: 您好 [热卖] 车厘子, b: 1}\n", "1:8", "J119", "您好 [热卖] 车厘子"),
        ("a: [x in [1, 2], c]\n", "1:5", "J119", "x in [1, 2]"),
        ("a: {at: b c:1}\n", "1:12", "J018", "c:1"),
        ("expect:\n  - {after: 0s, end: x}\n  {after: 1d, end: y}\n", "3:3", "J126", "{after: 1d, end: y}"),
        ("send: - wechat\n", "1:7", "J126", "send: - wechat"),
        # quotes and brackets
        ("a: 'open\nb: 1\n", "1:4", "J127", None),
        ('a: "x" y\n', "1:4", "J127", None),
        ("when: 'user.x == '上海''\n", "1:7", "J127", None),
        ('d: {a: "x" y, b: 1}\n', "1:8", "J127", None),
        ("d: {a: 1\nb: 2\n", "1:4", "J127", None),
        ("a: [1, 2\nb: 3\n", "1:4", "J127", None),
        ("id: a\nentry: {event: x}}\n", "2:18", "J127", None),
        ('d: {at: 2026-12-01 12:00", b: 1}\n', "1:25", "J127", None),
        ("x: [a,\n", "1:4", "J127", None),
        ("a: {w: x in ['a', c: 3}\n", "1:4", "J127", None),
        ("a: {w: x in ['a', \"b\"], c: 3}\n", "1:4", "J127", None),
        # signs with a meaning of their own
        ("a: @b\n", "1:4", "J129", "@"),
        ("a: `b`\n", "1:4", "J129", "`"),
        ("a: %b\n", "1:4", "J129", "%"),
        ("a: *重要* 通知\n", "1:4", "J129", "*"),
        ("a: > 3\n", "1:4", "J129", ">"),
        ("a: [热卖] 车厘子\n", "1:4", "J129", "["),
        ("d: {a: [热卖] 车厘子, b: 1}\n", "1:8", "J129", "["),
        ("a: ,b\n", "1:4", "J129", ","),
        ("a: ? b\n", "1:4", "J129", "?"),
    ],
)
def test_a_trap_is_named_where_it_stands(text, place, code, found):
    (finding,) = parse_source(text, "f").findings

    assert (str(finding.place), finding.code) == (f"f:{place}", code)
    assert SAID[code] in finding.text("en")
    assert finding.severity == "error"
    assert finding.cure("en")
    assert finding.params.get("found") == found


@pytest.mark.parametrize(
    "text",
    [
        'a: "{{ user.name }}"\n',
        "a: 你好 {{ user.name }}\n",
        "a: {b: {c: 1}}\n",
        "a: |\n  {{ user.name }}\n",
        "a: 10%\n",
        "a: 18:30\n",
        "a: user.x == '上海'\n",
        "a: 你好：明天截单，请留意“提货码”\n",
        "a: http://x.example/y\n",
        "a: 3d # 三天\n",
        "a: it's fine\n",
        "a: 特价#1\n",
        "a: x\ty\n",
        "a:\n- b\n- c: 1\n",
        "a: '提醒: 明天截单'\n",
        "d: {标题: 特价（今日）, b: 1}\n",
        "'a：b': 1\n",
        "d: {'a：b': }\n",
    ],
)
def test_what_only_looks_like_a_trap_is_quiet(text):
    assert shown(text) == []


def test_the_indentations_that_a_line_could_have_are_told():
    (finding,) = parse_source("a:\n  b:\n    - c: 1\n   d: 2\n", "f").findings

    assert finding.text("en") == "this line is indented by 3 spaces; expected 2 or 6"


def test_one_space_is_one_space():
    (finding,) = parse_source("a: 1\n b: 2\n", "f").findings

    assert finding.text("en") == "this line is indented by 1 space; expected 0"
    assert finding.text("zh") == "这一行缩进了 1 格，应是 0 格"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps:\n  - a: 1\n - a: 2\n", [2]),
        ("steps:\n  - a:\n      - b: 1\n    - a: 2\n", [6, 2]),
        ("steps:\n  - a: 1\n  b: 2\n", [4]),
        ("steps:\n  - a: 1\n  goal: 2\n", [4, 0]),  # which stands at the margin
        ("events:\n  a:\n    b: text\n   segments: 2\n", [4, 2]),
    ],
)
def test_an_item_stands_below_the_dashes_and_a_key_below_the_keys(text, expected):
    (finding,) = parse_source(text, "f").findings

    assert (finding.code, finding.params["expected"]) == ("J125", expected)


@pytest.mark.parametrize(
    ("text", "place"),
    [('a: [{b: "T, c: 1}]\nd: [{b: "T", c: 1}]\n', "1:9"), ("a:\n  - {b: 'T}\n  - {b: 'T'}\n", "2:9")],
)
def test_a_quote_that_nothing_closes_is_named_and_not_a_bracket_around_it(text, place):
    (finding,) = parse_source(text, "f").findings

    assert (str(finding.place), finding.code, finding.params["opened"]) == (f"f:{place}", "J127", text.split("b: ")[1][0])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('a: "x\nb: 1\nc: 2\nd: "08:00"\n', "1:4"),
        ("a: 'x\n- b\n- c: 2\nd: '08:00'\n", "1:4"),
        ('a: 1\nb:\n  - c: "x\n    d: 2\n  - {e: "y", f: 1}\n', "3:8"),
        ('a:\n  - {b: 1, c: "x}\n  - {b: "2", c: 1}\n', "2:15"),
        ('a: "several\n  lines, and \n  no more"\nb: 1\n c: "2"\n', "5:2"),
        ('a: "several\n  lines"\n b: 1\n', "3:2"),
        ('a: "steps:\n  - one\n  - two"\nb: "1"\nc: 2\n d: 3\n', "6:2"),
    ],
)
def test_a_quote_that_a_later_line_closes_is_named_where_it_opens(text, place):
    assert shown(text)[0].split()[0] == f"f:{place}"
    assert len(shown(text)) == 1


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        (
            "s:\n  - id: a\n    b:\n      - when: x\n        t: 1\n  - when: y\n        t: 2\n",
            "6:3",
            [6],
        ),  # the item's key is of the inner list
        ("s:\n  - id: a\n    t:\n  - id: b\n        if: x\n        to: y\n", "4:3", [6]),  # two keys of it stand where it was
        ("s:\n  - id: a\n    t:\n      - id: c\n        if: x\n  - id: b\n        if: x\n", "7:9", [4]),  # rather the key
        ("s:\n  - id: a\n    t:\n      - id: c\n        if: x\n      - id: b\n          if: x\n      - id: d\n", "7:11", [8]),
        ("s:\n  - id: a\n    b:\n      - when: y\n            t:\n          - id: b\n", "5:13", [8]),
        ("s:\n  - id: a\n    t:\n      - p: 1\n  - p: 2\n      - p: 3\n", "5:3", [6]),
        ("s:\n  - id: a\n    t:\n      - p: 1\n  - id: b\n      - p: 3\n", "6:7", [2]),
        (
            "s:\n  - id: a\n    b:\n      - when: x\n        t:\n          - id: c\n      - when: y\n            t:\n          - id: d\n",
            "8:13",
            [8],
        ),
        ("s:\n  - id: a\n    t:\n      - id: c\n  - id: b\n      - id: d\n", "6:7", [2]),
        ("e:\n- a: 1\n  - a: 2\n", "3:3", [0]),
        ("e:\n - a: 1\n  - a: 2\n", "2:2", [2]),
        ("e:\n - a: 1\n   - a: 2\n", "3:4", [1]),
    ],
)
def test_of_two_lines_that_do_not_fit_the_one_that_was_moved_is_blamed(text, place, expected):
    (finding,) = parse_source(text, "f").findings

    assert (str(finding.place), finding.code, finding.params["expected"]) == (f"f:{place}", "J125", expected)


@pytest.mark.parametrize(
    ("text", "place", "shown_as"),
    [
        ("s:\n  - id: a\n    delay 3d\n    if: x\n", "3:5", "delay 3d"),
        ("s:\n  - id think\n    delay: 2h\n", "2:3", "- id think"),
        ("b:\n  - when steps.a.reason == 'price'  # why\n    steps: []\n", "2:3", "- when steps.a.reason == 'price'"),
    ],
)
def test_a_line_that_stands_where_it_may_is_not_blamed_for_the_colon_that_is_missing_above(text, place, shown_as):
    (finding,) = parse_source(text, "f").findings

    assert (str(finding.place), finding.code) == (f"f:{place}", "J005")
    assert finding.text("en") == f"the YAML cannot be read: a colon is missing in “{shown_as}”"
    assert finding.text("zh") == f"YAML 写法有误：“{shown_as}”里少了冒号"


def test_nothing_is_said_of_a_line_that_stands_where_it_may_below_one_that_is_whole():
    assert traps("a: 1\nb: 2\n", "mapping values are not allowed in this context", (2, 1), None) == []


@pytest.mark.parametrize(("indented", "expected"), [("  ", [4]), ("      ", [8, 4]), ("       ", [8, 4]), ("                  ", [16])])
def test_the_nearest_places_are_proposed_and_never_the_one_where_the_line_stands(indented, expected):
    deep = "s:\n  - id: a\n    b:\n      - when: x\n        t:\n          - id: c\n            s:\n              - p: 1\n                q: 2\n"

    (finding,) = parse_source(f"{deep}{indented}otherwise: 1\n", "f").findings

    assert (finding.code, finding.params["expected"]) == ("J125", expected)
    assert finding.params["found"] not in finding.params["expected"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s:\n  - id：a\n    delay: 3d\n", "2:7"),
        ("s:\n  - id: a\n    delay：{until: x}\n  - id: b\n", "3:10"),
        ("a: 1\nb：\n  c: 1\n", "2:2"),
    ],
)
def test_a_full_width_colon_is_told_and_not_the_indentation_that_it_spoils(text, place):
    assert shown(text) == [f"f:{place} J123"]


def test_a_hash_that_eats_a_bracket_is_told_beside_the_open_bracket():
    assert shown("d: {title: 特价 # 限今天}\ne: 1\n") == ["f:1:4 J127", "f:1:15 J121"]
    assert shown("d: {title: 特价, # 限今天\n  e: 1\n") == ["f:1:4 J127"]


def test_a_text_in_braces_is_told_once_where_the_parser_goes_on_and_stumbles():
    assert shown("title: {{ user.name }}您好\nbody: x\n") == ["f:1:8 J120"]


@pytest.mark.parametrize(
    ("value", "place", "code", "said"),
    [
        ("车厘子 #1 特价", "12:21", "J121", "#1 特价"),
        ("9.90", "12:17", "J019", "9.9"),
        ("-0.50", "12:17", "J019", "-0.5"),
        ('"9.90"', None, None, None),
        ("9.90元", None, None, None),
        ("9.9", None, None, None),
        ("车厘子 # 限今天", None, None, None),  # written as a comment is
        ("车厘子#1 特价", None, None, None),
        ('"车厘子 #1 特价"', None, None, None),
    ],
)
def test_what_an_unquoted_text_of_a_message_loses_is_a_warning(workshop, value, place, code, said):
    findings = workshop.findings(f"- id: a\n  send:\n    - push:\n        body: {value}\n        title: b\n")

    assert [(str(f.place), f.code, f.severity) for f in findings] == ([(f"j.yaml:{place}", code, "warning")] if code else [])
    assert all(said in f.text("en") for f in findings)


@pytest.mark.parametrize(
    ("condition", "column", "sign"),
    [
        ("user.city == ‘上海’", 22, "‘"),
        ("user.age ＞ 3", 18, "＞"),
        ("（user.age > 3）", 9, "（"),
        ("user.city == '上海（市）'", None, None),
    ],
)
def test_a_full_width_sign_in_a_condition_is_named(workshop, condition, column, sign):
    findings = workshop.findings(f"- if: {condition}\n  exit: x\n")

    assert [(f.code, f.place.column, f.params["found"]) for f in findings] == ([("J123", column, sign)] if sign else [])


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ("- id: a\n  send: [{push: {title: a, body: '{{ user.name | default(‘邻居’) }}'}}]\n", ("J123", "‘")),
        ("- id: a\n  send: [{push: {title: a, body: '您好：‘{{ user.name }}’'}}]\n", None),
        ("- id: a\n  between: “08:00-21:00”\n  send: [{push: {title: a, body: b}}]\n", ("J123", "“")),
        ("- id: a\n  between: 08:00-21:00\n  send: [{push: {title: a, body: b}}]\n", None),
        ("- id: a\n  send:\n    push: {title: a, body: b}\n", ("J126", "send: push: …")),
        ("- id: a\n  wait_for: {event: app_opened, any_subject: yes, timeout: 1d}\n", ("J128", "“yes”")),
        ("- id: a\n  wait_for: {event: app_opened, any_subject: True, timeout: 1d}\n", ("J128", "“True”")),
        ("- id: a\n  wait_for: {event: app_opened, any_subject: true, timeout: 1d}\n", None),
        ("- id: a\n  update: {set: {vip: true}, add_tags: [yes]}\n", None),
    ],
)
def test_a_value_that_a_person_wrote_for_another_is_named(workshop, steps, found):
    findings = workshop.findings(steps)

    assert [(f.code, f.params["found"]) for f in findings] == ([found] if found else [])


@pytest.mark.parametrize(
    ("text", "found"), [("a: [" + ":," * 99_999, "J129"), ("d: {a: " + "x #" * 99_999, "J127"), ("a: 1" + "\n" * 99_999 + " b: 2", "J125")]
)
def test_a_line_that_no_person_wrote_is_not_searched(text, found):
    assert [f.code for f in parse_source(text, "f").findings] == [found]


def test_a_key_that_a_full_width_colon_spoiled_is_not_also_unknown(workshop):
    assert workshop.codes(entry="{event：order_paid}") == ["J123"]


PROBLEMS = [
    "mapping values are not allowed in this context", "did not find expected key", "could not find expected ':'",
    "did not find expected '-' indicator", "did not find expected ',' or '}'", "found unexpected end of stream", "found unexpected ':'",
    "found character that cannot start any token", "did not find expected node content", "did not find expected alphabetic or numeric",
]  # fmt: skip


@given(
    st.text("ab:-[]{}'\"#，： \n\t", max_size=40),
    st.sampled_from(PROBLEMS),
    st.tuples(*[st.integers(1, 9)] * 2),
    st.tuples(*[st.integers(1, 9)] * 2),
)
def test_no_place_and_no_complaint_of_the_parser_raise(text, problem, at, opened):
    for trap in traps(text, problem, at, opened):
        assert trap.line >= 1
        assert trap.column >= 1


@pytest.mark.parametrize(
    ("sign", "en", "zh"),
    [
        (
            "\u3000",
            "U+3000 is a full-width space; YAML and conditions need the half-width space (U+0020)",
            "U+3000 是全角空格，这里要用半角 空格（U+0020）",
        ),
        (
            "\u00a0",
            "U+00A0 is a no-break space; YAML and conditions need the half-width space (U+0020)",
            "U+00A0 是不换行空格（从网页粘贴来的），这里要用半角 空格（U+0020）",
        ),
        ("：", "： is full-width punctuation; YAML and conditions need the half-width :", "： 是全角符号，这里要用半角 :"),
    ],
)
def test_a_space_that_is_none_to_yaml_is_called_by_its_name(sign, en, zh):
    finding = Finding("J123", Place("f", 1, 1), wide_params(sign))

    assert (finding.text("en"), finding.text("zh")) == (en, zh)
