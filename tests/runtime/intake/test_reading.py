"""From bytes to values: what cannot be read is refused with a status, before it costs memory or time."""

import gzip
import json
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.intake.reading import Unreadable, charset_refusal, inflate, parse_json

LIMIT = 1000


def refusal(found):
    assert isinstance(found, Unreadable), found
    return found.status, found.reason


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"abc", ""),
        (b"abc", " Identity "),
        (gzip.compress(b"abc", mtime=0), "gzip"),
        (gzip.compress(b"abc", mtime=0), "X-GZIP"),
        (zlib.compress(b"abc"), "deflate"),
        (gzip.compress(b"abc", mtime=0) + b"\x00" * 9 + b"\r\n", "gzip"),
    ],
)
def test_a_body_is_inflated(body, encoding):
    assert inflate(body, encoding, LIMIT) == b"abc"


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (gzip.compress(b"0" * 1001, mtime=0), "gzip", (413, "too_large")),  # one byte more than is taken
        (gzip.compress(b"0" * 50_000_000, mtime=0), "gzip", (413, "too_large")),  # a bomb: never inflated whole
        (gzip.compress(b"abc", mtime=0)[:-4], "gzip", (400, "bad_compression")),  # cut short
        (gzip.compress(b"[1]", mtime=0) + gzip.compress(b"[2]", mtime=0), "gzip", (400, "bad_compression")),
        (zlib.compress(b"[1]") + b"[2]", "deflate", (400, "bad_compression")),
        (b"", "gzip", (400, "bad_compression")),
        (b"abc", "gzip", (400, "bad_compression")),
        (b"abc", "deflate", (400, "bad_compression")),
        (b"abc", "br", (415, "unsupported_encoding")),
        (b"abc", "gzip, gzip", (415, "unsupported_encoding")),
    ],
)
def test_a_body_that_cannot_be_inflated_is_refused(body, encoding, expected):
    assert refusal(inflate(body, encoding, LIMIT)) == expected


def test_a_body_of_exactly_the_limit_is_taken():
    assert inflate(gzip.compress(b"0" * LIMIT, mtime=0), "gzip", LIMIT) == b"0" * LIMIT


@pytest.mark.parametrize("written", ["", "application/json", "application/json; charset=utf-8", 'text/plain;charset="UTF8"', "a;b=c"])
def test_utf8_is_taken_however_it_is_written(written):
    assert charset_refusal(written) is None


@pytest.mark.parametrize("charset", ["gbk", "utf-16", "latin-1", ""])
def test_another_charset_is_refused(charset):
    assert refusal(charset_refusal(f"application/json; charset={charset}")) == (415, "unsupported_charset")


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"hello", b"NaN", b'{"a": Infinity}', b'{"a": -Infinity}', b"[1e999]", b"{'a': 1}", b'{"a": 1} {"b": 2}', b"\xff\xfe{}",
        '{"a": "李"}'.encode("gbk"), b"[" * 2000 + b"]" * 2000, b'{"a": NaN, "b": "\\ud800"}', b'{"a": 1e999, "b": "\\ud800"}',
        b'{"a": ' + b"9" * 5000 + b', "b": "\\ud800"}', b'["\\ud800", ' + b"[" * 40_000,
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_is_no_json_is_refused(body):
    assert refusal(parse_json(body)) == (400, "bad_json")


@pytest.mark.parametrize(("depth", "is_taken"), [(32, True), (33, False)])
def test_thirty_two_levels_are_taken(depth, is_taken):
    found = parse_json(b"[" * depth + b"]" * depth)

    assert isinstance(found, list) if is_taken else refusal(found) == (400, "too_deep")


def test_a_body_of_too_many_values_is_refused():
    assert isinstance(parse_json(b"[" + b"1," * 49_999 + b"1]"), list)

    assert refusal(parse_json(b"[" + b"1," * 50_000 + b"1]")) == (400, "too_many_keys")


def test_lone_surrogates_and_nul_are_replaced_in_values_and_in_keys():
    assert parse_json(b'{"a\\u0000": "\\ud83d", "b": ["\\ude00x", "\\ud83d\\ude00"]}') == {"a�": "�", "b": ["�x", "😀"]}


def test_a_number_beside_a_lone_surrogate_is_read_as_anywhere_else():
    plain = parse_json(b'{"n": 123456789012345678901234567890}')
    odd = parse_json(b'{"n": 123456789012345678901234567890, "s": "\\ud800"}')

    assert odd == {**plain, "s": "�"}
    assert orjson.dumps(odd)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_plain_json_is_read_as_the_standard_library_reads_it(value):
    found = parse_json(json.dumps(value).encode())

    assert found == json.loads(json.dumps(value).replace("\\u0000", "\\ufffd"))


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\ud8019eE.+-NaInfity', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_and_what_is_read_can_be_stored(body):
    found = parse_json(body)

    assert isinstance(found, Unreadable) or orjson.dumps(found)
