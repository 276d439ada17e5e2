"""A test is written at the end of `tests:`, and nothing else of the file changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.source import parse_source
from runtime.appending import CannotAppend, appended, flow

TEST = {"name": "故事", "at": "2026-12-01 10:00", "user": {"orders_count": 2}, "expect": [{"after": "0s", "end": "done"}]}
WRITTEN = [
    "- name: 故事",
    '  at: "2026-12-01 10:00"',
    "  user: {orders_count: 2}",
    "  expect: [{after: 0s, end: done}]",
]


def add(text, test=TEST):
    raw, line = appended(text.encode(), "j.yaml", test)
    return raw.decode(), line


def lines(indent):
    return "".join(f"{' ' * indent}{line}\n" for line in WRITTEN)


ONE = "  - name: eins   # a remark\n    expect: []\n"


@pytest.mark.parametrize(
    ("before", "after", "indent"),
    [
        ("id: j # x\n", "", 2),  # no tests yet
        (f"id: j\ntests:\n{ONE}", "", 2),  # at the end of the file
        (f"id: j\ntests:\n{ONE}", "steps:\n  - exit: done\n", 2),  # another key follows
        (f"id: j\ntests:\n{ONE}", "\n# about the steps\nsteps: []\n", 2),  # with its own remark
        ("id: j\ntests:\n- name: eins\n  expect: []\n", "", 0),  # dashes under the key
        ("id: j\ntests:\n    -   name: eins\n        expect: []\n", "", 4),  # further in
        ("id: j\ntests:\n", "owner: o\n", 2),  # an empty list
    ],
)
def test_it_stands_after_the_last_test_and_every_other_line_is_as_it_was(before, after, indent):
    made, line = add(before + after)

    head = "tests:\n" if "tests:" not in before else ""
    assert made == before + head + lines(indent) + after
    assert made.split("\n")[line - 1].strip() == "- name: 故事"


def test_a_file_without_a_last_line_end_gets_one():
    made, line = add("id: j")

    assert (made, line) == ("id: j\ntests:\n" + lines(2), 3)


def test_line_ends_and_a_byte_order_mark_stay():
    raw, _ = appended(b"\xef\xbb\xbfid: j\r\nname: x\r\n", "j.yaml", TEST)

    assert raw == b"\xef\xbb\xbf" + ("id: j\nname: x\ntests:\n" + lines(2)).replace("\n", "\r\n").encode()


def test_long_lists_stand_a_line_each():
    made, _ = add("id: j\n", {"name": "t", "expect": [{"at": "2026-12-01 10:00", "send": "wechat", "step": f"step_{n}"} for n in range(3)]})

    assert '    expect:\n      - {at: "2026-12-01 10:00", send: wechat, step: step_0}\n' in made


@pytest.mark.parametrize(
    "text", ["id: j\ntests: [{name: a, expect: []}]\n", "id: j\ntests: []\n", "id: j\ntests: [\n  {name: a, expect: []}]\n"]
)
def test_tests_in_one_line_are_left_alone(text):
    with pytest.raises(CannotAppend, match=r"j\.yaml:2: tests"):
        add(text)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["null", "true", "12", "1.5", "", " a", "a: b", "#x", "{{ x }}", "- a", "~", "10:00", "*a", "&b", "!c", "?", "a, b", "[", "'", '"']
)
VALUES = st.recursive(
    TEXTS | st.integers(-5, 10**12) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_every_value_says_the_same_in_one_line(value):
    source = parse_source(f"x: {flow(value)}", "")

    assert (source.findings, source.data) == ([], {"x": value})
