import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.source import DEEPEST, LARGEST_FILE, parse_source, read_source


def shown(source):
    return [f"{f.place} {f.code}" for f in source.findings]


def test_data_comes_with_the_place_of_every_key_and_value():
    source = parse_source("id: a\nsteps:\n  - id: one\n    send: [{sms: {template: x}}]\n", "f.yaml")

    assert source.data == {"id": "a", "steps": [{"id": "one", "send": [{"sms": {"template": "x"}}]}]}
    assert str(source.place(("steps", 0, "id"))) == "f.yaml:3:9"
    assert str(source.place(("steps", 0, "send"), key=True)) == "f.yaml:4:5"
    assert str(source.place(("steps", 0, "send", 0, "sms", "template"))) == "f.yaml:4:29"


def test_a_word_inside_a_value_is_located():
    source = parse_source("when: user.age > 1 and user.agee < 3\n", "f.yaml")

    assert source.place(("when",), "user.agee").column == 24
    assert source.place(("when",), "nowhere").column == 7


def test_a_place_that_is_not_written_is_its_nearest_parent():
    source = parse_source("id: a\nentry: {event: x}\n", "f.yaml")

    assert str(source.place(("entry", "where", "deeper"), "x")) == "f.yaml:2:8"
    assert str(parse_source("", "f.yaml").place(("entry",))) == "f.yaml:1:1"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1.50", 1.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),  # no YAML 1.1 surprises
        ("NO", "NO"),
        ("0x1F", "0x1F"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("18:30", "18:30"),
        ("2026-12-01", "2026-12-01"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("1234567890123456", "1234567890123456"),
        ("'3'", "3"),
        ('"true"', "true"),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_a_plain_value_is_read_as_it_looks(written, value):
    found = parse_source(f"key: {written}\n", "f.yaml").data["key"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: !!python/object:os.system x\n", ["f.yaml:2:4 J006"]),
        ("a: !custom {b: 1}\n", ["f.yaml:1:4 J006"]),
        ("a: &x 1\nb: *x\n", ["f.yaml:1:4 J007", "f.yaml:2:4 J007"]),
        ("a: &x {b: 1}\n<<: *x\n", ["f.yaml:1:4 J007", "f.yaml:2:5 J007"]),
        ("a: 1\nb: 2\na: 3\n", ["f.yaml:3:1 J008"]),
        ("s:\n  - {a: 1, b: 2, a: 3}\n", ["f.yaml:2:18 J008"]),
        ("1: x\n'1': y\n", ["f.yaml:2:1 J008"]),
        ("a: 1\n---\nb: 2\n", ["f.yaml:2:1 J005"]),
        ('a: "\\d"\n', ["f.yaml:1:5 J005"]),
        ("a: 1\nb c\nd: 2\n", ["f.yaml:2:1 J005"]),
        ("a: \x01\n", ["f.yaml:1:1 J005"]),
        ("a: " + "[" * 100, [f"f.yaml:1:{DEEPEST + 3} J017"]),
    ],
)
def test_what_is_not_plain_yaml_is_reported_where_it_stands(text, expected):
    assert shown(parse_source(text, "f.yaml")) == expected


def test_a_duplicate_key_is_reported_with_the_line_of_the_first_and_keeps_the_first():
    source = parse_source("a: 1\nb: 2\na: 3\n", "f.yaml")

    assert source.findings[0].params == {"found": "a", "first": 1}
    assert source.data == {"a": 1, "b": 2}


def test_several_mistakes_of_one_file_are_reported_together():
    source = parse_source("a: &x 1\na: !t 2\nb: *x\n", "f.yaml")

    assert sorted(f.code for f in source.findings) == ["J006", "J007", "J007", "J008"]


def test_a_key_keeps_its_own_spelling():
    assert parse_source("{1.10: a, true: b, 007: c}", "f.yaml").data == {"1.10": "a", "true": "b", "007": "c"}


def test_a_file_that_is_not_there_is_a_finding(tmp_path):
    source = read_source(tmp_path / "none.yaml", "none.yaml")

    assert shown(source) == ["none.yaml:1:1 J001"]


def test_a_folder_and_a_dangling_link_are_unreadable_files(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere")

    codes = [read_source(tmp_path / name).findings[0].code for name in ("folder.yaml", "link.yaml")]

    assert codes == ["J001", "J001"]


def test_a_file_without_permission_is_a_finding(tmp_path):
    path = tmp_path / "secret.yaml"
    path.write_text("id: a")
    path.chmod(0)

    codes = [f.code for f in read_source(path).findings]

    assert codes == ([] if os.access(path, os.R_OK) else ["J001"])  # root may read everything


def test_five_megabytes_are_refused_by_size_alone(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"a: 1\n" * 1024 * 1024)

    source = read_source(path, "large.yaml")

    assert shown(source) == ["large.yaml:1:1 J003"]
    assert source.findings[0].params == {"limit": LARGEST_FILE, "found": 5 * 1024 * 1024}


def test_the_largest_file_is_still_read(tmp_path):
    path = tmp_path / "full.yaml"
    path.write_bytes(b"a: " + b"x" * (LARGEST_FILE - 3))

    assert read_source(path).findings == []


@pytest.mark.parametrize("raw", [b"id: a\nname: \xff\xfe\n", b"a: 1\nb: \xe4\xbd", "id: 你".encode("gb18030"), "id: a".encode("utf-16")])
def test_other_bytes_than_utf_8_are_a_finding_on_their_line(tmp_path, raw):
    path = tmp_path / "bytes.yaml"
    path.write_bytes(raw)

    source = read_source(path, "bytes.yaml")

    line = 2 if b"\n" in raw[:8] else 1
    assert shown(source) == [f"bytes.yaml:{line}:1 J002"]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfid: a\n")

    assert read_source(path).data == {"id": "a"}


def test_windows_line_ends_are_line_ends():
    source = parse_source("a: 1\r\nb: &x 2\r\n", "f.yaml")

    assert shown(source) == ["f.yaml:2:4 J007"]


@given(st.text(max_size=80) | st.text("ab:-[]{}&*!|>'\"#?,% \n\t~", max_size=80))
def test_no_text_raises(text):
    source = parse_source(text, "f.yaml")

    assert all(f.place.line >= 1 and f.place.column >= 1 for f in source.findings)
    assert all(f.line("en") and f.line("zh") for f in source.findings)


@given(st.binary(max_size=80))
def test_no_bytes_raise(tmp_path_factory, raw):
    path = Path(tmp_path_factory.getbasetemp()) / "raw.yaml"
    path.write_bytes(raw)

    source = read_source(path)

    assert source.data is None or not any(f.code == "J002" for f in source.findings)
