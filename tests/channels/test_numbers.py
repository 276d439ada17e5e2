"""Numbers: every spelling of a mobile number is one number, and nothing else is any."""

import pytest

from channels.sms.numbers import for_aliyun, from_parts, is_number, mobile_number, parts


@pytest.mark.parametrize(
    "text",
    [
        "13800138000", " 138 0013 8000 ", "138-0013-8000", "+8613800138000", "+86 138 0013 8000", "0086 13800138000", "8613800138000",
        "008613800138000", "(+86)13800138000", "013800138000", "１３８００１３８０００", "＋86 13800138000",
    ],
)  # fmt: skip
def test_every_spelling_of_a_chinese_mobile_is_the_same_number(text):
    assert mobile_number(text) == "+8613800138000"


@pytest.mark.parametrize(
    ("text", "number"), [("+852 5123 4567", "+85251234567"), ("+1 (202) 555-0123", "+12025550123"), ("+447911123456", "+447911123456")]
)
def test_a_foreign_mobile_keeps_its_country(text, number):
    assert mobile_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "010-88886666", "02188886666", "4008001234", "1380013800", "138001380000", "12345", "110", "", " ", "+", "oABC_openid",
        "13800138000 ext. 5", "13800138000#5", "1-800-FLOWERS", "+8613800138000,+8613800138001", "+99913800138000", "9" * 300, "\x00", "无",
    ],
)  # fmt: skip
def test_a_landline_or_a_text_that_is_no_number_is_none(text):
    assert mobile_number(text) is None


@pytest.mark.parametrize(
    "text", ["13800138000", "013800138000", "（+86）１３８００１３８０００", "+85251234567", "+15005550006", "010-88886666", "4008001234"]
)
def test_what_may_be_called_is_a_number(text):
    assert is_number(text)


@pytest.mark.parametrize("text", ["abc", "12345", "10086", "110", "88886666x", "+1555", "", " ", "oABC_openid", "1-800-FLOWERS", "1" * 300])
def test_what_nobody_can_be_called_by_is_no_number(text):
    assert not is_number(text)


def test_a_number_without_a_country_belongs_to_the_region_that_is_said():
    assert mobile_number("202-555-0123", "US") == "+12025550123"


@pytest.mark.parametrize(
    ("number", "split", "bare"),
    [("+8613800138000", ("86", "13800138000"), "13800138000"), ("+85251234567", ("852", "51234567"), "85251234567")],
)
def test_each_vendor_gets_its_own_form(number, split, bare):
    assert parts(number) == split
    assert for_aliyun(number) == bare


@pytest.mark.parametrize(
    ("country", "national", "number"),
    [
        ("86", "13800138000", "+8613800138000"),
        ("+86", "13800138000", "+8613800138000"),
        ("852", "51234567", "+85251234567"),
        ("", "13800138000", "+8613800138000"),
        ("86", "+8613800138000", "+8613800138000"),
        ("86", "1069", None),
    ],
)
def test_a_callbacks_country_and_number_are_joined(country, national, number):
    assert from_parts(country, national) == number
