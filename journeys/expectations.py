"""What J013 says in Chinese: “expected …, found …” part by part. What has no translation stands as it is. Pure."""

import re

_SENTENCE = re.compile(r"expected (?P<expected>.+?), found (?P<found>.+?)(?:, did you mean (?P<hint>.+)\?)?", re.DOTALL)
_FOUND = {
    "nothing": "空的", "a mapping": "一组键", "a list": "一个列表", "an empty list": "空列表", "none": "没有", "both": "两个都有",
}  # fmt: skip
_WORDS = {
    "a text": "文字", "a whole number": "整数", "a number": "数字", "true or false": "true 或 false", "a list": "列表",
    "a mapping": "一组键", "a boolean": "true 或 false", "a time": "时间", "a choice": "所列的选项之一",
    "a time of day": "时刻", "a anniversary": "日期", "a weight above 0": "大于 0 的权重",
    "go_on, exit or a quoted time of day": "go_on、exit 或加引号的时刻",
}  # fmt: skip
_FORMS = (
    (r"a duration such as (.+) or (.+)", r"时长，如 \1 或 \2"),
    (r"(.+), or a duration after which she may, such as (.+)", r"\1，或可再进的间隔 \2"),
    (r"a quoted (?:time of day|window|moment) such as (.+)", r"加引号的 \1 这样的写法"),
    (r"a time of day such as (.+)", r"时刻，如 \1"),
    (r"a share such as (.+)", r"比例，如 \1"),
    (r"a pace such as (.+)", r"速度，如 \1"),
    (r"five cron fields such as (.+)", r"五段 cron，如 \1"),
    (r"one of (.+)", r"\1 之一"),
    (r"a default of type (.+)", r"\1 类型的默认值"),
    (r"at least (\d+) items?", r"至少 \1 项"),
    (r"less than or equal to (.+)", r"不大于 \1"),
    (r"greater than or equal to (.+)", r"不小于 \1"),
    (r"greater than (.+)", r"大于 \1"),
    (r"a step \(a mapping with one of (.+)\)", r"一个步骤（带 \1 之一的一组键）"),
    (r"lower-case letters, digits and _ \(a letter first, at most 64\)", "小写字母、数字和 _（字母开头，最多 64 个）"),
)  # fmt: skip


def in_chinese(problem: str) -> str:
    """The sentence in Chinese; as it is where it is none of these."""
    match = _SENTENCE.fullmatch(problem)
    if match is None:
        return problem
    hint = f"，是不是 {match['hint']}？" if match["hint"] else ""
    return f"应为{_expected(match['expected'])}，现在是{_FOUND.get(match['found'], match['found'])}{hint}"


def _expected(text: str) -> str:
    if text in _WORDS:
        return _WORDS[text]
    for pattern, replacement in _FORMS:
        if re.fullmatch(pattern, text):
            return re.sub(pattern, replacement, text)
    parts = text.split(" or ")
    return " 或 ".join(_expected(part) for part in parts) if len(parts) > 1 else f" {text}"
