"""What the vendors forbid, as data."""

from datetime import time

import pytest

from channels.sms.rules import RULES


def test_every_sms_adapter_has_its_rules():
    assert set(RULES) == {"aliyun", "tencent", "twilio", "recording"}


@pytest.mark.parametrize("vendor", sorted(RULES))
def test_no_marketing_goes_out_at_night(vendor):
    assert (RULES[vendor].earliest, RULES[vendor].latest) == (time(8), time(22))


@pytest.mark.parametrize("vendor", sorted(RULES))
def test_every_rule_names_its_source(vendor):
    assert RULES[vendor].why


def test_only_tencent_allows_no_variables_in_marketing():
    assert {name for name, rules in RULES.items() if not rules.variables} == {"tencent"}


@pytest.mark.parametrize(
    ("vendor", "text", "uses"),
    [
        ("tencent", "送您一张优惠券，点小程序领取", ("优惠券类推广", "公众号或小程序推广")),
        ("tencent", "好久不见，回来看看", ("用户召回",)),
        ("tencent", "邀请好友得水果", ("用户拉新",)),
        ("tencent", "您的订单到货，请来提货", ()),
        ("aliyun", "送您一张优惠券，点小程序领取", ()),
        ("aliyun", "低息贷款", ("金融",)),
        ("aliyun", "交友新玩法，棋牌免费", ("游戏", "社交")),
        ("twilio", "优惠券", ()),
    ],
)
def test_a_text_is_held_against_the_uses_that_its_vendor_forbids(vendor, text, uses):
    assert RULES[vendor].uses(text) == uses


@pytest.mark.parametrize(
    ("vendor", "text", "good"),
    [
        ("aliyun", "今日特价，拒收请回复R", True), ("aliyun", "今日特价，拒收请回复R。 ", True), ("aliyun", "今日特价，回T退订", False), ("aliyun", "拒收请回复R 今日特价", False),
        ("tencent", "今日特价，拒收请回复R", True), ("tencent", "今日特价", False),
        ("twilio", "Fresh today. Reply STOP to unsubscribe", True), ("twilio", "今日特价，拒收请回复R", True), ("twilio", "Fresh today.", False),
    ],
)  # fmt: skip
def test_marketing_ends_with_the_way_out(vendor, text, good):
    assert RULES[vendor].ends_well(text) is good
