"""Rows of files as they come: compressed, in the encodings of Excel, cut short, too long."""

import gzip

import pytest

from runtime.rowfile import BLOCK, LONGEST_LINE, RowFile

HEAD = "订单号,商品\n"


@pytest.fixture
def rows(tmp_path):
    def read(name, raw, encoding=None):
        path = tmp_path / name
        path.write_bytes(raw)
        file = RowFile(path, encoding)
        return file, [(row.line, row.value, row.problem) for row in file]

    return read


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        ((HEAD + "A1,车厘子\n").encode("gb18030"), "gb18030"),
        ((HEAD + "A1,车厘子\n").encode("utf-8"), "utf-8-sig"),
        ((HEAD + "A1,车厘子\n").encode("utf-8-sig"), "utf-8-sig"),
        ((HEAD + "A1,车厘子\n").encode("utf-16"), "utf-16"),
    ],
)
def test_the_encoding_is_found_out(rows, raw, encoding):
    file, found = rows("a.csv", raw)

    assert (file.encoding, found) == (encoding, [(2, {"订单号": "A1", "商品": "车厘子"}, "")])


def test_gb18030_is_found_out_after_a_long_stretch_of_ascii(rows):
    raw = b"id,item\n" + b"".join(b"%d,x\n" % n for n in range(300_000)) + "9,车厘子\n".encode("gb18030")

    file, found = rows("a.csv", raw)

    assert file.encoding == "gb18030"
    assert found[-1][1] == {"id": "9", "item": "车厘子"}


def test_a_given_encoding_counts(rows):
    _, found = rows("a.csv", "a\n车\n".encode("utf-16-le"), "utf-16-le")

    assert found == [(2, {"a": "车"}, "")]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_lines_of_json_may_be_in_these_encodings_too(rows, encoding):
    file, found = rows("a.jsonl", '{"item": "车厘子"}\n\n{"item": "上"}\n'.encode(encoding))

    assert (file.encoding, found) == (encoding, [(1, {"item": "车厘子"}, ""), (3, {"item": "上"}, "")])


def test_a_line_of_another_encoding_that_is_too_long_costs_only_itself(rows):
    _, found = rows("a.jsonl", ('{"a": "' + "车" * 2 * LONGEST_LINE + '"}\n{"a": 1}\n').encode("gb18030"))

    assert found == [(1, {}, f"longer than {LONGEST_LINE} bytes"), (2, {"a": 1}, "")]


def test_a_line_of_csv_that_is_too_long_is_read_in_parts_and_costs_only_itself(rows):
    _, found = rows("a.csv", b"a,b\n1,2\n" + b"x" * (3 * BLOCK) + b"\n3,4\n")

    too_long = f"not CSV: a line longer than {BLOCK} characters"
    assert found == [(2, {"a": "1", "b": "2"}, ""), (3, {}, too_long), (4, {"a": "3", "b": "4"}, "")]


def test_a_file_without_a_first_line_that_could_be_columns_is_no_csv(rows):
    file, found = rows("a.csv", b"x" * (BLOCK + 1) + b"\n1,2\n")

    assert (file.columns(), found) == ([], [(1, {}, f"not CSV: a line longer than {BLOCK} characters")])


def test_a_value_that_is_too_long_is_told_with_its_own_line(rows):
    part = b"x" * (BLOCK // 2) + b"\n"

    _, found = rows("a.csv", b'a\n1\n"' + part * 3 + b"2\n")

    assert [(line, problem) for line, _, problem in found] == [
        (2, ""),
        (4, f"not CSV: field larger than field limit ({BLOCK})"),
        (5, ""),
        (6, ""),
    ]


def test_a_row_of_csv_has_a_value_or_an_empty_one_for_each_column(rows):
    _, found = rows("a.csv", b"a,b,c\n1,2,3\n1,,\n1,2\n1\n\n1,2,3,4\n")

    assert [(line, problem) for line, _, problem in found] == [
        (2, ""), (3, ""), (4, "2 values, fewer than the 3 columns of the first line"), (5, "1 value, fewer than the 3 columns of the first line"),
        (7, "more values than the 3 columns of the first line"),
    ]  # fmt: skip


def test_compressed_files_are_read_as_they_are(rows):
    _, from_csv = rows("a.csv.gz", gzip.compress((HEAD + "A1,车厘子\n").encode("gb18030")))
    _, from_json = rows("a.jsonl.gz", gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))

    assert from_csv == [(2, {"订单号": "A1", "商品": "车厘子"}, "")]
    assert [(line, value) for line, value, _ in from_json] == [(1, {"a": 1}), (3, {"a": 2})]


def test_of_a_file_that_is_cut_short_what_came_is_read_and_the_end_is_told(rows):
    whole = gzip.compress(b"".join(b'{"n": %d}\n' % n for n in range(50_000)))

    _, found = rows("a.jsonl.gz", whole[: len(whole) // 2])

    good = [value["n"] for _, value, problem in found if not problem]
    assert good == list(range(len(good)))
    assert len(good) > 10_000
    assert found[-1][2].startswith("the compressed file is damaged from here on")


@pytest.mark.parametrize(
    ("name", "raw", "encoding", "why"),
    [
        ("a.csv.gz", gzip.compress(b"a,b\n", mtime=0)[:12], None, "the compressed file is damaged from"),
        ("a.csv.gz", gzip.compress(b"a,b\n", mtime=0)[:10] + b"\xff" * 20, None, "the compressed file is damaged from"),
        ("a.csv", b"a,b\n1,2\n", "utf-16", "not utf-16"),
    ],
)
def test_a_file_that_cannot_even_be_begun_says_why(rows, name, raw, encoding, why):
    file, found = rows(name, raw, encoding)

    assert [(line, value, why in problem) for line, value, problem in found] == [(1, {}, True)]
    with pytest.raises(OSError, match=why):
        file.columns()


def test_lines_of_json_in_another_encoding_than_was_said_are_told(rows):
    _, [(line, _, problem)] = rows("a.jsonl", b'{"a": 1}\n', "utf-16")

    assert (line, problem.startswith("not utf-16")) == (1, True)


def test_a_line_that_is_too_long_costs_only_itself(rows):
    _, found = rows("a.jsonl", b'{"a": "' + b"x" * 3 * LONGEST_LINE + b'"}\n{"a": 1}\n')

    assert found == [(1, {}, f"longer than {LONGEST_LINE} bytes"), (2, {"a": 1}, "")]


def test_blanks_around_the_names_of_columns_are_gone(rows):
    file, found = rows("a.csv", b"a , b\n1,2\n")

    assert (file.columns(), found) == (["a", "b"], [(2, {"a": "1", "b": "2"}, "")])


def test_the_same_file_has_the_same_mark_and_another_has_another(rows, tmp_path):
    file, _ = rows("a.csv", b"a\n1\n")
    before = file.mark()
    other, _ = rows("b.csv", b"a\n2\n")

    assert RowFile(tmp_path / "a.csv").mark() == before
    assert other.mark() != before
