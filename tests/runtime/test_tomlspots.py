"""Where keys stand in a TOML file, whatever way it is written in."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tomlspots import spots_of

FILE = """\
zone = "Asia/Shanghai" # a = "b"
[intake.sources.app]
kind = 'sensors'
tokens = [
  "a]", # ]
  {b = 1},
]
events = { ViewDeal = "deal_viewed", "看 团" = 'x}' }
properties."ViewDeal.goods_name" = "item"
text = \"\"\"
[not.a.table]
not = "a key" \\\"""
\"\"\"\"
raw = '''
no = 1'''
[[rules]]
after = 1
  [intake.sources.app.traits]
  "城市" = "city"
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("zone",), (1, 1)),
        (("intake", "sources", "app"), (2, 17)),
        (("intake", "sources", "app", "events", "ViewDeal"), (8, 12)),
        (("intake", "sources", "app", "events", "看 团"), (8, 38)),
        (("intake", "sources", "app", "properties", "ViewDeal.goods_name"), (9, 12)),
        (("intake", "sources", "app", "raw"), (14, 1)),
        (("rules", "after"), (17, 1)),
        (("intake", "sources", "app", "traits"), (18, 23)),
        (("intake", "sources", "app", "traits", "城市"), (19, 3)),
    ],
)
def test_every_key_has_its_line_and_column(path, place):
    tomllib.loads(FILE)

    assert spots_of(FILE)[path] == place


def test_what_stands_in_a_text_a_comment_or_a_list_is_no_key():
    assert {name for path in spots_of(FILE) for name in path} == {
        "zone", "intake", "sources", "app", "kind", "tokens", "events", "ViewDeal", "看 团", "properties", "ViewDeal.goods_name",
        "text", "raw", "rules", "after", "traits", "城市",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "a", "a =", "a = {", "a = {b", "[", "[a", "]", "= 1", '"a', "a = {b = 1", "{", "a = 'x", "\x00", "[[a]"]
)
def test_what_is_no_toml_is_looked_at_as_far_as_it_goes(text):
    spots_of("first = 1\n" + text)

    assert spots_of("first = 1\n" + text)["first",] == (1, 1)


KEYS = st.one_of(st.sampled_from(["a", "b", "kind", "ViewDeal.goods_name", "城市", "", '"', "[x]", "#", "=", "1"]), st.text(max_size=4))
SCALARS = st.one_of(st.integers(0, 9), st.booleans(), st.sampled_from(["", "x = 1", "]", "}", "# no", '"', "a\nb"]), st.just(1.5))
TABLES = st.recursive(st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=3),
                      lambda inner: st.dictionaries(KEYS, st.one_of(SCALARS, inner), max_size=3), max_leaves=6)  # fmt: skip


def text_of(value):
    """A text as TOML has it in double quotes."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def written(draw, value):
    """A value on one line: tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(key)} = {written(draw, one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + draw.draw(st.sampled_from(["", "\n", " # ]\n"])) + ", ".join(written(draw, one) for one in value) + "]"
    return text_of(value) if isinstance(value, str) else json.dumps(value)


def lines(draw, table, path=()):
    """A table in any of the ways that TOML has: with headers, with dots, or in braces."""
    deeper = []
    for key, value in table.items():
        way = draw.draw(st.sampled_from(["header", "inline", "dots"])) if isinstance(value, dict) and value else "inline"
        if way == "inline":
            yield f"{text_of(key)} = {written(draw, value)}" + draw.draw(st.sampled_from(["", " # b = 1", "  "]))
        elif way == "dots":
            yield from (f"{text_of(key)} . {text_of(inner)} = {written(draw, one)}" for inner, one in value.items())
        else:
            deeper.append((key, value))
    for key, value in deeper:
        yield f"  [{'.'.join(text_of(part) for part in (*path, key))}]"
        yield from lines(draw, value, (*path, key))


def paths(table, path=()):
    for key, value in table.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from paths(value, (*path, key))


@given(TABLES, st.data())
def test_in_whatever_way_a_table_is_written_each_key_is_found_where_it_stands(table, draw):
    text = "\n".join(lines(draw, table))

    found = spots_of(text)

    assert tomllib.loads(text) == table
    assert set(found) == set(paths(table))
    for path, (line, column) in found.items():
        assert text.split("\n")[line - 1][column - 1 :].startswith(text_of(path[-1]))
