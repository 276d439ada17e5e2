import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from journeys.textwidth import cells, em, plain, sure, wrap

# Adobe's metrics of Helvetica, in thousandths of an em: a source of widths that is not ours
HELVETICA = {" ": 278, "0": 556, "A": 667, "M": 833, "W": 944, "i": 222, "m": 833, "w": 722, "%": 889, "@": 1015, "_": 556, "f": 278}
LETTERS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("您常买的今日特价，。（）abc ./_-{}🥚é\u0301")), max_size=80
)


@pytest.mark.parametrize(("letter", "thousandths"), HELVETICA.items())
def test_a_latin_letter_is_never_taken_to_be_narrower_than_it_is(letter, thousandths):
    assert em(letter) >= thousandths / 1000
    assert em(letter, bold=True) >= em(letter)


def test_a_chinese_letter_is_one_em_and_two_columns():
    assert (em("您常买"), cells("您常买")) == (3.0, 6)
    assert em("，") == 1.0
    assert (em("e\u0301"), cells("e\u0301")) == (em("e"), 1)


def test_of_emoji_and_other_scripts_the_width_is_known_to_be_a_guess():
    assert sure("您好, order_paid ≥ 3…")
    assert not sure("🥚")
    assert not sure("ก")


@given(st.text(st.one_of(st.characters(max_codepoint=0x24F), st.sampled_from("今日特价，。「」🥚→…")), max_size=40))
def test_columns_are_those_that_rich_counts(text):
    shown = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cf"))

    assert cells(shown) == cell_len(shown)


@given(LETTERS, st.floats(1.5, 30))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text, width):
    lines = wrap(text, width)

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(
        em(line) <= width or sum(not unicodedata.combining(letter) for letter in line) <= 1 or len(plain(line)) <= 2 for line in lines
    )


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("今日特价，今晚截单", 4, ["今日特", "价，今晚", "截单"]),
        ("（今晚）截单", 3, ["（今", "晚）截", "单"]),
        ("segment('unhappy_delivery') or x", 13, ["segment('unhappy_", "delivery') or x"]),
        ("a b", 30, ["a b"]),
        ("", 5, [""]),
        ("passed 1,234", 4.5, ["passed", "1,234"]),
    ],
)
def test_a_line_ends_where_a_reader_expects_it(text, width, lines):
    assert wrap(text, width) == lines


def test_what_cannot_be_shown_is_replaced_and_lines_become_one():
    assert plain(" a\n\tb\x00c\ud800d ") == "a b�c�d"
