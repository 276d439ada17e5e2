"""Why an expression cannot be read: what was written in another language's way, else what Jinja2's parser says. Pure."""

import re

from journeys.codes.code import Words, words

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_RUNS_ON = re.compile(r"[=!<>]=|\s(?:and|or)\s")  # what a quoted text hardly holds: it lost its end
_WAYS = tuple((re.compile(pattern), say) for pattern, say in (
    (r"&&?", "and"), (r"\|\|", "or"), (r"!(?!=)", "not"), (r"===", "=="), (r"<>", "!="), (r"=>", ">="), (r"=<", "<="),
    (r"(?<![=!<>])=(?![=<>])(?<!within=)(?<!within =)", "=="), (r"\bAND\b", "and"), (r"\bOR\b", "or"), (r"\bNOT\b", "not"),
))  # fmt: skip
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
    if found:
        start, written, say = min(found)
        return words(f"write “{say}” instead of “{written}”", f"“{written}”要写成“{say}”"), text[start:]
    return _translated(message), ""


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
