"""Why an expression cannot be read: what was written in another language's way, else what Jinja2's parser says. Pure."""

import re

from journeys.codes.code import Words, words
from journeys.duration import DAY, HOUR, parse_duration

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_RUNS_ON = re.compile(r"[=!<>]=|\s(?:and|or)\s")  # what a quoted text hardly holds: it lost its end
_WAYS = tuple((re.compile(pattern), say) for pattern, say in (
    (r"&&?", "and"), (r"\|\|", "or"), (r"!(?!=)", "not"), (r"===", "=="), (r"<>", "!="), (r"=>", ">="), (r"=<", "<="),
    (r"(?<![=!<>])=(?![=<>])(?<!within=)(?<!within =)", "=="), (r"\bAND\b", "and"), (r"\bOR\b", "or"), (r"\bNOT\b", "not"),
    *((rf"(?<![\u4e00-\u9fff])(?:{pattern})(?![\u4e00-\u9fff])", say) for pattern, say in (
        ("并且|而且|且|和", "and"), ("或者|或", "or"), ("非|不", "not"), ("等于", "=="), ("不等于|不是", "!="), ("大于|超过", ">"),
        ("小于|少于|不到", "<"), ("大于等于|不小于|不少于|至少", ">="), ("小于等于|不大于|不超过|至多", "<="),
    )),
))  # fmt: skip
_DURATION = re.compile(r"(?<![\w.])[0-9]+[wdhms](?:[0-9]+[wdhms])*\b")
_WITHIN = re.compile(r"\bwithin\s*=\s*$")
_TIME_FUNCTION = re.compile(r"\b(days|hours)_(?:since|until)\b")
_SAID = tuple((re.compile(pattern), said) for pattern, said in (
    (r"unexpected char '(.+)' at \d+", words("unexpected “{}”", "这里不能写“{}”")),
    (r"unexpected '?end of (?:template|print statement)'?(?:, expected .*)?", words("it ends too early", "没写完就结束了")),
    (r"expected token '(?:end of .*)', got '(.+)'", words("unexpected “{}”", "这里不能写“{}”")),
    (r"expected token '(.+)', got 'end of .*'", words("it ends too early", "没写完就结束了")),
    (r"expected token '(.+)', got '(.+)'", words("expected “{}”, found “{}”", "这里应有“{}”，现在是“{}”")),
    (r"unexpected '(.+)', expected '(.+)'\.?", words("expected “{1}”, found “{0}”", "这里应有“{1}”，现在是“{0}”")),
    (r"unexpected '(.+)'", words("unexpected “{}”", "这里不能写“{}”")),
    (r"expected name or number", words("a name is missing behind the dot", "点后面少了名字")),
))  # fmt: skip


def why_unread(text: str, message: str) -> tuple[Words, str]:
    """What is wrong, and the rest of the text from there on, to find the place by; empty where only the parser's message tells."""
    if quote := unclosed(text):
        return words(f"the quote {text[quote - 1]} is not closed", f"引号 {text[quote - 1]} 没有配对"), text[quote - 1 :]
    bare = _QUOTED.sub(lambda m: "x" * len(m[0]), text)
    found = [(match.start(), match[0], say) for pattern, say in _WAYS if (match := pattern.search(bare))]
    duration = _DURATION.search(bare)
    if duration is not None and (not found or duration.start() < min(found)[0]):
        return _without_unit(bare, duration[0], duration.start()), text[duration.start() :]
    if found:
        start, written, say = min(found)
        return words(f"write “{say}” instead of “{written}”", f"“{written}”要写成“{say}”"), text[start:]
    return _translated(message), ""


def _without_unit(bare: str, written: str, start: int) -> Words:
    """What to write instead of a bare duration: a number, of what the time function of its comparison counts; in `within` a quoted one."""
    if _WITHIN.search(bare[:start]):
        return words(f"write '{written}' in quotes", f"{written} 要加引号：'{written}'")
    function = next((found[1] for found in reversed(list(_TIME_FUNCTION.finditer(bare, 0, start)))), "")
    ms, unit = parse_duration(written) or 0, DAY if function == "days" else HOUR
    if not function or not ms:
        return words(f"a duration such as {written} cannot stand in a condition", f"条件里不能写 {written} 这样的时长")
    number = f"{round(ms / unit, 4):g}"
    counted = words(f"{function} are a number here", f"这里的{'天数' if function == 'days' else '小时数'}是数字")
    return words(f"write “{number}” instead of “{written}”: {counted['en']}", f"“{written}”要写成“{number}”：{counted['zh']}")


def unclosed(text: str) -> int:
    """Where the quote opens that nothing closes, counted from 1, or 0. Of an odd number, the first whose text runs over an operator."""
    rest = _QUOTED.sub(lambda m: "x" * len(m[0]), text)
    left = min((place for quote in "'\"" if (place := rest.find(quote)) >= 0), default=-1)
    if left < 0:
        return 0
    first = next((match.start() for match in _QUOTED.finditer(text) if _RUNS_ON.search(match[0])), left)
    return first + 1


def _translated(message: str) -> Words:
    for pattern, said in _SAID:
        if match := pattern.fullmatch(message):
            return words(*(said[language].format(*match.groups()) for language in ("en", "zh")))
    return words(message, message)
