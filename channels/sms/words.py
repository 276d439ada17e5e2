"""What a person's reply to a text message means."""

import re
import unicodedata

# Whole replies. R and TD are what Chinese templates ask for, T and N what older ones asked for; the English ones are Twilio's defaults.
_WHOLE = frozenset(
    {
        "r", "t", "td", "n", "no", "stop", "stopall", "cancel", "end", "quit", "revoke", "optout",
        "取消", "停止", "拒绝", "取消订阅", "不要发了", "不要再发", "不要再发了", "别发了", "别再发了", "不再接收",
    }
)  # fmt: skip
_INSIDE = re.compile(r"退订|退定|拒收|unsubscribe")
# 取消退订 and 不退订 are no refusals (and no consent either)
_DENIED = re.compile(r"(?:不|没|没有|别|未|不要|取消|恢复)(?:退订|退定|拒收)")
_PREFIX = re.compile(r"^(?:请?回复|回)(?=.)")


def refuses(text: str) -> bool:
    """Whether the reply withdraws consent to marketing. Case, width, spaces and punctuation around it make no difference.

    A text that mentions 退订 or 拒收 refuses, also inside a sentence: to stop too early harms nobody. START and 恢复 are no consent
    again: consent has a source and a wording, and a word in reply to a machine has neither. So there is no opposite of this function.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    compact = re.sub(r"\s+", "", plain)
    if _INSIDE.search(_DENIED.sub("", compact)):
        return True
    bare = re.sub(r"[\W_]+", "", compact)
    return bare in _WHOLE or _PREFIX.sub("", bare) in _WHOLE
