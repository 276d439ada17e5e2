import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.loopback import wechat as loopback
from channels.wechat.fields import KINDS, check_value, kind_of, shorten

FITTING = [
    ("thing", "阳光玫瑰葡萄 2 斤 (A区)"), ("thing", "一" * 20), ("number", "12.50"), ("number", "9" * 32), ("letter", "ABCxyz"), ("letter", "a" * 32),
    ("symbol", "!@#"), ("symbol", "!!!!!"), ("character_string", "GB-2026/11#30"), ("character_string", "7" * 32),
    ("time", "15:01"), ("time", "15:01:59"), ("time", "2019年10月1日 15:01"), ("time", "15:01~16:30"), ("time", "2019-10-01 15:01~2019-10-02 9:00"),
    ("date", "2019年10月1日"), ("date", "2019年10月"), ("date", "10月1日"), ("date", "2018-01-01"), ("date", "2018/01/01"), ("date", "2018.01.01"),
    ("date", "2018-01"), ("date", "01-01"), ("date", "2019年10月1日 15:01"), ("date", "2019-10-01~2019-10-07"),
    ("amount", "¥100.50"), ("amount", "￥100"), ("amount", "$1234567890元"), ("amount", "100元"),
    ("phone_number", "+86-0766-66888866"), ("phone_number", "138****8000"), ("car_number", "粤A8Z888挂"), ("name", "欧阳娜娜"), ("name", "一" * 10),
    ("name", "Jean-Luc Picard"), ("name", "a" * 20), ("phrase", "配送中"), ("phrase", "等待您确认"), ("enum", "已发货"),
]  # fmt: skip
WRONG = [
    ("thing", ""), ("thing", "一" * 21), ("thing", "a\nb"), ("thing", "a\x00b"), ("thing", "😀" * 11), ("number", "12a"), ("number", "9" * 33), ("number", "一"),
    ("letter", "a" * 33), ("letter", "a1"), ("letter", "字"), ("symbol", "!!!!!!"), ("symbol", "a"), ("character_string", "订单7"),
    ("character_string", "7" * 33), ("time", "明天下午"), ("time", "25:01"), ("time", "15:60"), ("time", "15点"), ("date", "2019年13月1日"),
    ("date", "2019年10月32日"), ("date", "今天"), ("amount", "¥12345678901"), ("amount", "一百元"), ("amount", "¥¥1"), ("phone_number", "1" * 18),
    ("phone_number", "call me"), ("car_number", "粤A8Z8888挂"), ("name", "一" * 11), ("name", "a" * 21), ("name", "小王2"), ("phrase", "OK"),
    ("phrase", "一二三四五六"), ("phrase", "已发货!"), ("enum", ""), ("site", "幸福里"), ("", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), FITTING)
def test_what_the_list_of_wechat_allows_passes_and_is_left_as_it_is(kind, text):
    assert check_value(kind, text) is None
    assert shorten(kind, text) == text


@pytest.mark.parametrize(("kind", "text"), FITTING)
def test_what_passes_here_passes_at_the_stand_in(kind, text):
    assert loopback.wrong_field([f"{kind}1"], {f"{kind}1": {"value": text}}) is None


@pytest.mark.parametrize(("kind", "text"), WRONG)
def test_what_the_list_of_wechat_forbids_is_a_problem(kind, text):
    assert check_value(kind, text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [w for w in WRONG if "😀" not in w[1] and w[1] != "2019年13月1日" and w[1] not in {"2019年10月32日", "25:01", "15:60"}],
)
def test_what_is_a_problem_here_is_refused_by_the_stand_in(kind, text):
    assert loopback.wrong_field([f"{kind}1"], {f"{kind}1": {"value": text}}) == f"{kind}1"


@pytest.mark.parametrize(("kind", "text", "expected"), [
    ("thing", "一" * 21, "一" * 19 + "…"),
    ("thing", "第一行\n第二行\r\n\t完", "第一行第二行完"),
    ("thing", "  空格  ", "空格"),
    ("thing", "😀" * 11, "😀" * 9 + "…"),
    ("thing", "a\ud800b\u2028c", "abc"),
    ("name", "一" * 11, "一" * 10),
    ("name", "abcdefghijklmnopqrstuvw", "abcdefghijklmnopqrst"),
    ("phrase", "一二三四五六", "一二三四五"),
    ("time", "15:01\n", "15:01"),
])  # fmt: skip
def test_what_can_be_made_to_fit_is_cut(kind, text, expected):
    assert shorten(kind, text) == expected


@pytest.mark.parametrize(("kind", "text"), [
    ("time", "明天下午"), ("phrase", "OK"), ("character_string", "7" * 33), ("amount", "¥12345678901"), ("number", "9" * 33), ("thing", "\n\n"),
    ("thing", ""), ("unheard_of", "a"), ("date", "soon"), ("letter", "a" * 33), ("phone_number", "1" * 18),
])  # fmt: skip
def test_what_would_be_wrong_when_cut_is_not_sent(kind, text):
    assert shorten(kind, text) is None


def test_an_enum_is_held_to_its_list_where_the_list_is_known():
    allowed = ("已发货", "配送中")

    assert check_value("enum", "已发货", allowed) is None
    assert "已签收" in check_value("enum", "已签收", allowed)
    assert shorten("enum", "已签收", allowed) is None
    assert shorten("enum", "已签收") == "已签收"


@pytest.mark.parametrize(
    ("field", "kind"), [("thing1", "thing"), ("character_string02", "character_string"), ("time3", "time"), ("phrase", "phrase")]
)
def test_the_type_of_a_field_is_its_name_without_the_digits(field, kind):
    assert kind_of(field) == kind


def test_every_type_here_is_a_type_of_the_stand_in():
    assert set(loopback._RULES) == KINDS


texts = st.one_of(
    st.text(max_size=60), st.text(alphabet="一二三阳光abcXYZ0129 .,:~-/年月日元¥$+*#·…\n\t😀_", max_size=40), st.from_regex(re.compile(r"[0-9]{0,4}年?[0-9]{1,2}[月:/-][0-9]{0,2}日?"), fullmatch=True)
)  # fmt: skip


@given(st.sampled_from(sorted(KINDS)), texts)
def test_what_shorten_gives_always_passes_the_check(kind, text):
    found = shorten(kind, text)

    assert found is None or check_value(kind, found) is None


@given(texts)
def test_any_text_with_something_to_show_becomes_a_thing_that_the_stand_in_takes(text):
    found = shorten("thing", text)

    assert found is None or loopback.wrong_field(["thing1"], {"thing1": {"value": found}}) is None
    assert found is not None or not (text.isprintable() and text.strip())


@given(st.sampled_from(sorted(KINDS)), texts)
def test_making_a_text_fit_twice_is_making_it_fit_once(kind, text):
    once = shorten(kind, text)

    assert once is None or shorten(kind, once) == once
