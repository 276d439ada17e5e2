"""Replies: whoever wants no more is heard, however it is written; nothing a person texts is consent."""

import pytest

from channels.sms.words import refuses


@pytest.mark.parametrize(
    "text",
    [
        "R", "r", "Ｒ", " r. ", "“R”", "TD", "td", "T", "N", "ＴＤ！", "回复R", "回T", "退订", "退 订", " 退订。", "TD退订", "拒收", "我要退订!!", "怎么退订啊", "不要了，退订",
        "拒收请回复R", "STOP", "Stop.", "stop all", "UNSUBSCRIBE", "please unsubscribe me", "cancel", "END", "quit", "取消订阅", "别再发了", "不要再发",
    ],
)  # fmt: skip
def test_a_reply_that_refuses_withdraws(text):
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "好的", "收到", "1", "Y", "START", "恢复", "UNSTOP", "开始", "什么时候到货", "Rice 还有吗", "TD-LTE 手机", "不退订", "取消退订", "我不要退订了",
        "stop by at 5pm", "the end", "RR", "谢谢", "👍", "\x00",
    ],
)  # fmt: skip
def test_any_other_reply_does_not(text):
    assert not refuses(text)
