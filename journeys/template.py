"""Texts with `{{ expression | filter }}`: read once, rendered by closures. No statements, no Jinja2 at run time."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from jinja2 import TemplateSyntaxError, nodes
from jinja2.parser import Parser

from journeys.codes.code import Words, words
from journeys.errors import did_you_mean
from journeys.evaluate import Closure, compile_node
from journeys.expectations import KINDS, NOTHING, OTHERWISE, TOO_DEEP
from journeys.expression import _ENVIRONMENT, Node, Problem, Scope, _Reader, _Refused, kind_of, unreadable
from journeys.localtime import DIRECTIVES, date_format, print_instant, to_datetime
from journeys.unread import unclosed
from journeys.values import ValueType, as_number, print_number

LONGEST_OUTPUT = 4096  # bytes of UTF-8; a longer text costs only its user
_OPEN = re.compile(r"\{\{|\{%|\{#")


class CannotRender(Exception):
    """A text could not be rendered for this user: a value is `missing` (of which `expression`) or of another `type`, or the result is
    `too_long` (over 4 KB).
    """

    def __init__(self, problem: Literal["missing", "type", "too_long"], expression: str = "") -> None:
        super().__init__(f"{problem} {expression}".strip())
        self.why = {"problem": problem, "expression": expression} if expression else {"problem": problem}


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: constant parts and rendered parts. `constant` is the whole text when nothing varies."""

    source: str
    parts: tuple[str | Closure, ...]
    nodes: tuple[Node, ...]

    @property
    def constant(self) -> str | None:
        """The text itself when it holds no expression."""
        return self.source if not self.nodes else None


def render(template: Template, facts: Any) -> str:
    """The text for one user; a missing value without `default` raises CannotRender, never prints `None`."""
    if not template.nodes:
        return template.source
    try:
        text = "".join(part if isinstance(part, str) else part(facts) for part in template.parts)
    except (TypeError, ValueError, OverflowError) as error:  # an untyped value of an API entry or of an answer
        raise CannotRender("type") from error
    if len(text) * 4 > LONGEST_OUTPUT and len(text.encode()) > LONGEST_OUTPUT:
        raise CannotRender("too_long")
    return text


def parse_template(text: str, scope: Scope) -> tuple[Template | None, list[Problem]]:
    """The template of a text, or None with what is wrong with it."""
    parts: list[str | Closure] = []
    trees: list[Node] = []
    problems: list[Problem] = []
    position = 0
    while match := _OPEN.search(text, position):
        if match[0] != "{{":
            return None, [Problem("J061", {"found": match[0]}, match[0])]
        end = _closing(text, match.end())
        if end < 0:
            return None, [_unended(text[match.start() :])]
        if match.start() > position:
            parts.append(text[position : match.start()])
        printed = _expression(text[match.end() : end].strip(), scope)
        if isinstance(printed, Problem):
            problems.append(printed)
        else:
            parts.append(printed[1])
            trees.append(printed[0])
        position = end + 2
    if problems:
        return None, problems
    parts.append(text[position:])
    return Template(text, tuple(parts), tuple(trees)), []


def _unended(rest: str) -> Problem:
    """What begins with {{ and has no end: a quote inside that swallowed it, or nothing that closes it."""
    if "}}" in rest and (quote := unclosed(rest)):
        return unreadable("J060", rest[: rest.find("}}", quote)], "")
    return Problem("J060", {"problem": words("{{ without }}", "{{ 没有对应的 }}")}, rest[:2])


def _unreadable(source: str, message: str | None) -> Problem:
    problem = unreadable("J060", source, message)
    return problem if problem.word else Problem(problem.code, problem.params, source)


def _closing(text: str, start: int) -> int:
    """Where the `}}` stands that ends the expression, not one inside a quoted text."""
    quote = ""
    for index in range(start, len(text)):
        character = text[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif text.startswith("}}", index):
            return index
    return -1


def _expression(source: str, scope: Scope) -> tuple[Node, Closure] | Problem:
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            return _unreadable(source, f"unexpected {parser.stream.current.value!r}")
        return _filtered(tree, source, scope)
    except TemplateSyntaxError as error:
        return _unreadable(source, error.message)
    except RecursionError:
        return Problem("J060", {"problem": TOO_DEEP})
    except ValueError:  # Python refuses to read that many digits
        return Problem("J060", {"problem": words("a number of too many digits", "数字位数太多")})
    except _Refused as refused:
        if refused.problem.code == "J040":
            return Problem("J060", refused.problem.params, source)
        if refused.problem.code == "J041":
            return Problem("J061", refused.problem.params, refused.problem.word or source)
        return refused.problem


def _filtered(tree: nodes.Expr, source: str, scope: Scope) -> tuple[Node, Closure]:
    chain: list[nodes.Filter] = []
    while isinstance(tree, nodes.Filter):
        chain.append(tree)
        if tree.node is None:
            raise _Refused(Problem("J060", {"problem": words("a filter without a value", "过滤器前面没有值")}))
        tree = tree.node
    reader = _Reader(scope)
    node = reader.read(tree)
    kind, value = kind_of(node), compile_node(node)
    for link in reversed(chain):
        make = _FILTERS.get(link.name)
        if make is None:
            raise _Refused(Problem("J062", {"found": link.name, "hint": did_you_mean(link.name, _FILTERS)}, link.name))
        kind, value = make(kind, value, link, reader)
    return node, _printed(kind, value, f"{{{{ {source} }}}}")


def _printed(kind: ValueType, value: Closure, expression: str) -> Closure:
    def to_text(facts: Any) -> str:
        found = value(facts)
        if found is None:
            raise CannotRender("missing", expression)
        return print_value(found, kind, facts.zone)

    return to_text


def print_value(value: Any, kind: ValueType, zone: ZoneInfo) -> str:
    """A value as people read it: 10, 12.5, 2026-12-01 18:30, 18:30, 鸡蛋、大米."""
    if isinstance(value, str):
        return value
    if kind == "time":
        return print_instant(value, zone)
    if kind == "time_of_day":
        return f"{value // 60:02d}:{value % 60:02d}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "、".join(value)
    return print_number(as_number(value))


_Typed = tuple[ValueType, Closure]


def _argument(link: nodes.Filter, expected: Words, types: tuple[type, ...]) -> Any:
    if len(link.args) == 1 and not link.kwargs and isinstance(link.args[0], nodes.Const):
        value = link.args[0].value
        if isinstance(value, types) and not isinstance(value, bool):
            return value
    found = NOTHING if not link.args else getattr(link.args[0], "value", OTHERWISE)
    raise _Refused(Problem("J063", {"filter": link.name, "expected": expected, "found": found}, link.name))


def _of_kind(link: nodes.Filter, kind: ValueType, expected: tuple[ValueType, ...]) -> None:
    if kind not in (*expected, "any"):
        raise _Refused(
            Problem("J063", {"filter": link.name, "expected": [KINDS[one] for one in expected], "found": KINDS[kind]}, link.name)
        )


def _default(kind: ValueType, value: Closure, link: nodes.Filter, reader: _Reader) -> _Typed:
    if len(link.args) != 1 or link.kwargs:
        raise _Refused(Problem("J063", {"filter": "default", "expected": words("one value", "一个值"), "found": len(link.args)}, "default"))
    node = reader.read(link.args[0])
    other_kind, other = kind_of(node), compile_node(node)
    kind = other_kind if kind == "any" else kind
    texts = ("text", "choice")
    if other_kind not in (kind, "any") and not (other_kind in texts and kind in texts):
        if other_kind not in texts:
            raise _Refused(Problem("J063", {"filter": "default", "expected": KINDS[kind], "found": KINDS[other_kind]}, "default"))
        return "text", _text_or(kind, value, other)
    return kind, lambda f: other(f) if (v := value(f)) is None else v


def _text_or(kind: ValueType, value: Closure, other: Closure) -> Closure:
    return lambda f: other(f) if (v := value(f)) is None else print_value(v, kind, f.zone)


def _date(kind: ValueType, value: Closure, link: nodes.Filter, _: _Reader) -> _Typed:
    _of_kind(link, kind, ("time",))
    pattern = _argument(link, words("a quoted format", "加引号的格式"), (str,))
    printer = date_format(pattern)
    if printer is None:
        expected = words(f"a format of {' '.join(DIRECTIVES)}", f"由 {' '.join(DIRECTIVES)} 组成的格式")
        raise _Refused(Problem("J063", {"filter": "date", "expected": expected, "found": pattern}, pattern))
    return "text", lambda f: None if (t := value(f)) is None else printer(to_datetime(t, f.zone))


def _money(kind: ValueType, value: Closure, link: nodes.Filter, _: _Reader) -> _Typed:
    _of_kind(link, kind, ("number",))
    return "text", lambda f: None if (n := value(f)) is None else f"¥{n:.2f}"


def _truncate(kind: ValueType, value: Closure, link: nodes.Filter, _: _Reader) -> _Typed:
    length = _argument(link, words("a number of characters", "字数"), (int,))
    if length < 1:
        raise _Refused(
            Problem("J063", {"filter": "truncate", "expected": words("1 or more", "不小于 1 的数"), "found": length}, "truncate")
        )

    def cut(facts: Any) -> str | None:
        found = value(facts)
        if found is None:
            return None
        text = print_value(found, kind, facts.zone)
        return text if len(text) <= length else text[: length - 1] + "…"

    return "text", cut


def _join(kind: ValueType, value: Closure, link: nodes.Filter, _: _Reader) -> _Typed:
    _of_kind(link, kind, ("list",))
    separator = _argument(link, words("a quoted separator", "加引号的分隔符"), (str,))
    return "text", lambda f: None if (items := value(f)) is None else separator.join(items)


_FILTERS: dict[str, Callable[[ValueType, Closure, nodes.Filter, _Reader], _Typed]] = {
    "default": _default, "date": _date, "money": _money, "truncate": _truncate, "join": _join,
}  # fmt: skip
FILTERS = tuple(_FILTERS)
