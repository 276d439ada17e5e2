"""Conditions and expressions: Jinja2's syntax, read once into a small typed tree. Never evaluated by Jinja2."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from journeys.codes.code import Words, words
from journeys.duration import parse_duration, parse_time_of_day
from journeys.errors import did_you_mean, fields_near, near, near_named, unknown_template
from journeys.expectations import KINDS, ONE_TIME, OTHERWISE, QUOTED, TEXT_IN_LIST, TOO_DEEP, contained_in, typed
from journeys.traps import wide, wide_params
from journeys.unread import why_unread
from journeys.values import LARGEST_NUMBER, ValueType, as_number

Root = Literal["user", "entry", "steps", "event"]
TIME_FUNCTIONS = {"days_since": -1, "days_until": 1, "hours_since": -1, "hours_until": 1}
UNHEARD: dict[str, tuple[tuple[str, ...], Words]] = {  # what each place that is evaluated over time may not ask
    "audience": (("reachable", "has_consent", "remaining", "in_journey"), words("in audience.yaml", "audience.yaml 里")),
    "wait": (("reachable", "remaining", "in_journey"), words("in what a wait waits for", "等待的条件里")),
}
TURN_EVENTS = ("stage_changed", "segment_entered", "segment_left", "journey_ended", "consent_withdrawn")  # made and used up in one turn
OF_ONE_PERSON = ("reachable", "has_consent", "remaining")  # what no single statement can ask of everybody
_ENVIRONMENT = Environment(autoescape=False)  # noqa: S701 - it only parses; plain text, not HTML


@dataclass(frozen=True, slots=True)
class Const:
    """A literal."""

    value: Any
    kind: ValueType


@dataclass(frozen=True, slots=True)
class Name:
    """`user.TRAIT`, `entry.FIELD`, `event.FIELD` (step is empty) or `steps.STEP.FIELD`."""

    root: Root
    attribute: str
    kind: ValueType
    step: str = ""

    def __str__(self) -> str:
        return f"steps.{self.step}.{self.attribute}" if self.step else f"{self.root}.{self.attribute}"


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` over two or more conditions."""

    operator: Literal["and", "or"]
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`not CONDITION`: a comparison with something missing is false, so its negation is true."""

    item: "Node"


@dataclass(frozen=True, slots=True)
class Compare:
    """`== != < <= > >=`."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class In:
    """`x in user.LIST` or `x in ['a', 'b']`."""

    item: "Node"
    container: "Node"


@dataclass(frozen=True, slots=True)
class Known:
    """`x is known` (known=True) or `x is missing`."""

    item: "Node"
    known: bool


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+ - * /` on numbers, rounded to four places; a division by zero is missing, and so is what passes 10^11."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the language with its checked arguments."""

    function: str
    arguments: tuple[Any, ...]
    kind: ValueType


Node = Const | Name | Logic | Not | Compare | In | Known | Arithmetic | Call


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding before it has a place: the code, its parameters, and the word of the text it is about."""

    code: str
    params: Mapping[str, Any]
    word: str = ""


@dataclass(frozen=True)
class Scope:
    """The names an expression may use and their types. A root that is None may not be used at all."""

    user: Mapping[str, ValueType] = field(default_factory=dict)
    entry: Mapping[str, ValueType] | None = None
    steps: Mapping[str, Mapping[str, ValueType]] | None = None
    event: Mapping[str, ValueType] | None = None
    event_name: str = "event"
    sure: frozenset[str] = frozenset()  # the names of user.* that are never missing
    times: Mapping[str, "Call"] = field(default_factory=dict)  # the names of user.* that stand for a time function (`times_of`)
    named: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # ids with their names, of user.stage, event.to, segment
    segments: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    journeys: frozenset[str] = frozenset()
    benefits: frozenset[str] = frozenset()
    channels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    timed: Literal["", "audience", "wait"] = ""  # evaluated over time, and not told when what UNHEARD names changes
    in_template: bool = False


class _Refused(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def parse_expression(text: str, scope: Scope) -> tuple[Node | None, list[Problem]]:
    """The typed tree of an expression, or None with what is wrong with it."""
    try:
        parser = Parser(_ENVIRONMENT, text, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            return None, [unreadable("J040", text, f"unexpected {parser.stream.current.value!r}")]
        return _Reader(scope).read(tree), []
    except TemplateSyntaxError as error:
        return None, [unreadable("J040", text, error.message)]
    except RecursionError:
        return None, [Problem("J040", {"problem": TOO_DEEP})]
    except _Refused as refused:
        return None, [refused.problem]


def unreadable(code: str, text: str, message: str | None) -> Problem:
    """Why an expression cannot be read: its first full-width sign, where it has one outside quotes, else what is written in another way."""
    if sign := wide(text):
        return Problem("J123", wide_params(sign), sign)
    problem, word = why_unread(text, message or "")
    return Problem(code, {"problem": problem}, word)


def parse_condition(text: str, scope: Scope) -> tuple[Node | None, list[Problem]]:
    """Like parse_expression, and the result must be true or false."""
    node, problems = parse_expression(text, scope)
    if node is not None and kind_of(node) not in ("boolean", "any"):
        return None, [Problem("J044", {"found": typed(text, kind_of(node))})]
    return node, problems


def kind_of(node: Node) -> ValueType:
    """The type of the value that a tree gives."""
    if isinstance(node, Const | Name | Call):
        return node.kind
    if isinstance(node, Arithmetic):
        return "number"
    return "boolean"


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in parts_of(node):
        yield from walk(child)


def parts_of(node: Node) -> tuple[Node, ...]:
    """What stands right below a node."""
    if isinstance(node, Logic):
        return node.items
    if isinstance(node, Not | Known):
        return (node.item,)
    if isinstance(node, Compare | Arithmetic):
        return (node.left, node.right)
    if isinstance(node, In):
        return (node.item, node.container)
    if isinstance(node, Call):
        return tuple(a for a in node.arguments if isinstance(a, Node))
    return ()


def times_of(values: Mapping[str, Node]) -> dict[str, Call]:
    """Of calculated traits those that are a time function and nothing else, themselves or through others' names."""
    found: dict[str, Call] = {}
    for name, value in values.items():
        node, seen = value, {name}
        while isinstance(node, Name) and node.root == "user" and node.attribute in values and node.attribute not in seen:
            seen.add(node.attribute)
            node = values[node.attribute]
        if (call := time_call(node, {})) is not None:
            found[name] = call
    return found


def time_call(node: Node, times: Mapping[str, Call]) -> Call | None:
    """The time function that a node is, or that the calculated trait of its name stands for."""
    if isinstance(node, Name):
        return times.get(node.attribute) if node.root == "user" else None
    return node if isinstance(node, Call) and node.function in TIME_FUNCTIONS else None


def contains_time(node: Node, times: Mapping[str, Call]) -> bool:
    """Whether a function of the present moment stands in the tree, or a trait that is one."""
    return any(time_call(n, times) is not None for n in walk(node))


def drops_of(node: Node | None, scope: Scope) -> list[Problem]:
    """A warning for each `user.x != …` that silently drops those without x. Under a `not` they pass; `x is missing` decides it."""
    decided = [n.item for n in walk(node) if isinstance(n, Known)] if node is not None else []
    waiting, found = [node], []
    while waiting:
        here = waiting.pop(0)
        if isinstance(here, Logic):
            waiting.extend(here.items)
        elif isinstance(here, Compare) and here.operator == "!=":
            for side in (here.left, here.right):
                if isinstance(side, Name) and side.root == "user" and side.attribute not in scope.sure and side not in decided:
                    clause = f"{_spell(here.left)} != {_spell(here.right)}"
                    found.append(Problem("J050", {"found": clause, "name": str(side)}, str(side)))
    return found


_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
_ARITHMETIC = {nodes.Add: "+", nodes.Sub: "-", nodes.Mul: "*", nodes.Div: "/"}
_WORDS: dict[type, str | Words] = {
    nodes.Pow: "**", nodes.Mod: "%", nodes.FloorDiv: "//", nodes.Concat: "~", nodes.CondExpr: "if … else",
    nodes.Getitem: "[…]", nodes.Dict: "{…}", nodes.Filter: words("a filter", "过滤器"),
}  # fmt: skip
_TEXTS = ("text", "choice")
_ORDERED = ("number", "time", "time_of_day")


class _Reader:
    """Turns Jinja2's syntax tree into ours and types it on the way."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def read(self, node: nodes.Node) -> Node:
        if isinstance(node, nodes.And | nodes.Or):
            return self._logic(node)
        if isinstance(node, nodes.Not):
            return self._negation(node)
        if isinstance(node, nodes.Compare):
            return self._compare(node)
        if isinstance(node, nodes.Test):
            return self._known(node)
        if isinstance(node, nodes.Call):
            return self._call(node)
        if isinstance(node, nodes.Getattr | nodes.Name):
            return self._name(node)
        if isinstance(node, nodes.Const):
            return self._const(node.value)
        if isinstance(node, nodes.Neg):
            inner = self.read(node.node)
            if isinstance(inner, Const) and inner.kind == "number":
                return Const(as_number(-inner.value), "number")
            return Arithmetic("-", Const(0, "number"), self._number(inner, "-"))
        if isinstance(node, nodes.List | nodes.Tuple):
            return Const([str(self._text_constant(item, "in")) for item in node.items], "list")
        operator = _ARITHMETIC.get(type(node)) if isinstance(node, nodes.BinExpr) else None
        if operator is not None and isinstance(node, nodes.BinExpr):
            left, right = self.read(node.left), self.read(node.right)
            return Arithmetic(operator, self._number(left, operator), self._number(right, operator))
        raise _Refused(Problem("J041", {"found": _WORDS.get(type(node), type(node).__name__.lower())}))

    def _logic(self, node: nodes.And | nodes.Or) -> Node:
        operator: Literal["and", "or"] = "and" if isinstance(node, nodes.And) else "or"
        items: list[Node] = []
        for side in (self._condition(node.left), self._condition(node.right)):
            items.extend(side.items if isinstance(side, Logic) and side.operator == operator else (side,))
        return Logic(operator, tuple(items))

    def _negation(self, node: nodes.Not) -> Node:
        return Not(self._condition(node.node))

    def _condition(self, node: nodes.Node) -> Node:
        read = self.read(node)
        if kind_of(read) not in ("boolean", "any"):
            raise _Refused(Problem("J044", {"found": typed(_spell(read), kind_of(read))}, _spell(read)))
        return read

    def _const(self, value: Any) -> Const:
        if isinstance(value, bool):
            return Const(value, "boolean")
        if isinstance(value, int | float):
            if abs(value) > LARGEST_NUMBER:
                raise _Refused(
                    Problem("J040", {"problem": words(f"a number above {LARGEST_NUMBER:.0f}", f"数字大于 {LARGEST_NUMBER:.0f}")})
                )
            return Const(as_number(value), "number")
        if isinstance(value, str):
            return Const(value, "text")
        raise _Refused(Problem("J041", {"found": str(value)}, str(value)))

    def _text_constant(self, node: nodes.Node, function: str) -> str:
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            return node.value
        raise _Refused(Problem("J043", {"function": function, "expected": QUOTED, "found": _raw(node)}))

    def _number(self, node: Node, operator: str) -> Node:
        if kind_of(node) not in ("number", "any"):
            raise _Refused(Problem("J046", {"operator": operator, "found": typed(_spell(node), kind_of(node))}, _spell(node)))
        if self.scope.timed:
            self._without_time(node)
        return node

    def _without_time(self, node: Node) -> None:
        """Refuse a time function that does not stand alone on its side, also one that a trait's name stands for."""
        for part in walk(node):
            call = time_call(part, self.scope.times)
            if call is not None:
                found = (
                    _spell(call)
                    if part is call
                    else words(f"{_spell(part)}, which is {_spell(call)},", f"{_spell(part)}（即 {_spell(call)}）")
                )
                raise _Refused(Problem("J049", {"found": found}, call.function if part is call else _spell(part)))

    def _compare(self, node: nodes.Compare) -> Node:
        if len(node.ops) != 1:
            raise _Refused(Problem("J041", {"found": words("a chain of comparisons", "连写的比较")}))
        operand = node.ops[0]
        left, right = self.read(node.expr), self.read(operand.expr)
        if operand.op in ("in", "notin"):
            contained = self._in(left, right)
            return Not(contained) if operand.op == "notin" else contained
        operator = _OPERATORS[operand.op]
        left, right = self._typed(left, right), self._typed(right, left)
        a, b = kind_of(left), kind_of(right)
        same = a == b or {a, b} <= set(_TEXTS) or "any" in (a, b)
        if not same:
            raise _Refused(Problem("J045", {"left": typed(_spell(left), a), "right": typed(_spell(right), b)}, _spell(left)))
        if operator not in ("==", "!=") and "any" not in (a, b) and a not in _ORDERED:
            raise _Refused(Problem("J046", {"operator": operator, "found": typed(_spell(left), a)}, _spell(left)))
        if "list" in (a, b):
            raise _Refused(Problem("J045", {"left": KINDS[a], "right": KINDS[b]}, _spell(left)))
        if self.scope.timed and contains_time(left, self.scope.times):
            self._without_time(right)
        return Compare(operator, left, right)

    def _typed(self, node: Node, other: Node) -> Node:
        """A text constant beside a time of day is one: user.active_hour > '18:00'."""
        if isinstance(node, Const) and node.kind == "text" and kind_of(other) == "time_of_day":
            minutes = parse_time_of_day(node.value)
            if minutes is not None:
                return Const(minutes, "time_of_day")
        return node

    def _in(self, left: Node, right: Node) -> Node:
        if kind_of(right) not in ("list", "any") or kind_of(left) not in (*_TEXTS, "any"):
            params = {"function": "in", "expected": TEXT_IN_LIST, "found": contained_in(kind_of(left), kind_of(right))}
            raise _Refused(Problem("J043", params, _spell(right)))
        return In(left, right)

    def _known(self, node: nodes.Test) -> Node:
        if node.name not in ("known", "missing") or node.args or node.kwargs:
            raise _Refused(Problem("J041", {"found": f"is {node.name}"}, node.name))
        return Known(self.read(node.node), node.name == "known")

    def _name(self, node: nodes.Getattr | nodes.Name) -> Node:
        path: list[str] = []
        current: nodes.Node = node
        while isinstance(current, nodes.Getattr):
            path.append(current.attr)
            current = current.node
        if not isinstance(current, nodes.Name):
            raise _Refused(Problem("J041", {"found": _raw(node)}))
        path.append(current.name)
        path.reverse()
        return self._resolve(path)

    def _resolve(self, path: list[str]) -> Node:
        scope, root, spelled = self.scope, path[0], ".".join(path)
        if root == "event" and scope.event is None and len(path) > 1:
            raise _Refused(Problem("J047", {}, spelled))
        tables: dict[str, Mapping[str, ValueType] | None] = {"user": scope.user, "entry": scope.entry, "event": scope.event}
        if root == "steps" and scope.steps is not None and len(path) == 3:  # noqa: PLR2004 - steps.ID.FIELD
            return self._step_result(path[1], path[2], spelled)
        table = tables.get(root)
        if table is None or len(path) != 2:  # noqa: PLR2004 - ROOT.FIELD
            known = [r for r, t in {**tables, "steps": scope.steps}.items() if t is not None]
            event = ", event" if scope.event is not None else ""
            hint = self._meant(root) if len(path) == 1 else did_you_mean(root, known)
            raise _Refused(Problem("J033", {"found": spelled, "hint": hint, "event": event}, spelled))
        kind = table.get(path[1]) or table.get("*")
        if kind is None:
            if root == "user":
                told = near(path[1], [name for name in table if name != "*"])
                if path[1] in scope.segments:
                    told = {"rather": words(f"it is a segment: write segment('{path[1]}')", f"它是分群：请写 segment('{path[1]}')")}
                raise _Refused(Problem("J022", {"found": path[1], **told}, spelled))
            hint = did_you_mean(path[1], table)
            event = scope.event_name if root == "event" else "entry"
            raise _Refused(Problem("J023", {"found": path[1], "event": event, "hint": hint, "known": fields_near(path[1], table)}, spelled))
        return Name(root, path[1], kind)  # type: ignore[arg-type]

    def _meant(self, name: str) -> list[str]:
        """What a bare name stands for: the segment, or what has a value, of that name."""
        tables = {"user": self.scope.user, "entry": self.scope.entry, "event": self.scope.event}
        fields = [f"{root}.{name}" for root, table in tables.items() if table is not None and name in table]
        return ([f"segment('{name}')"] if name in self.scope.segments else []) + fields

    def _step_result(self, step: str, attribute: str, spelled: str) -> Node:
        steps = self.scope.steps or {}
        fields = steps.get(step)
        if fields is None:
            raise _Refused(Problem("J031", {"found": step, "hint": did_you_mean(step, steps)}, spelled))
        kind = fields.get(attribute) or fields.get("*")
        if kind is None:
            hint = did_you_mean(attribute, fields)
            raise _Refused(Problem("J035", {"step": step, "found": attribute, "hint": hint}, spelled))
        return Name("steps", attribute, kind, step)

    def _call(self, node: nodes.Call) -> Node:
        if not isinstance(node.node, nodes.Name) or node.dyn_args or node.dyn_kwargs:
            raise _Refused(Problem("J041", {"found": f"{_raw(node.node)}(…)"}))
        function = node.node.name
        reader = _FUNCTIONS.get(function)
        if reader is None:
            raise _Refused(Problem("J042", {"found": function, "hint": did_you_mean(function, _FUNCTIONS)}, function))
        if self.scope.in_template and function != "remaining":
            raise _Refused(Problem("J061", {"found": f"{function}(…)"}, function))
        unheard, where = UNHEARD.get(self.scope.timed, ((), None))
        if function in unheard:
            raise _Refused(Problem("J048", {"function": function, "where": where}, function))
        return reader(self, function, node)

    def _time_function(self, function: str, node: nodes.Call) -> Node:
        arguments = self._arguments(function, node, ONE_TIME)
        if len(arguments) != 1 or kind_of(inner := self.read(arguments[0])) not in ("time", "any"):
            found = ", ".join(f"{_raw(a)}" for a in arguments)
            raise _Refused(Problem("J043", {"function": function, "expected": ONE_TIME, "found": found}, function))
        return Call(function, (inner,), "number")

    def _arguments(self, function: str, node: nodes.Call, expected: Words) -> list[nodes.Expr]:
        if node.kwargs:
            params = {"function": function, "expected": expected, "found": f"{node.kwargs[0].key}="}
            raise _Refused(Problem("J043", params, function))
        return node.args

    def _texts(self, function: str, node: nodes.Call, least: int, most: int) -> list[str]:
        expected = QUOTED if most == 1 else words(f"{least} to {most} quoted texts", f"{least} 到 {most} 个加引号的文字")
        arguments = self._arguments(function, node, expected)
        if not least <= len(arguments) <= most:
            params = {"function": function, "expected": expected, "found": len(arguments)}
            raise _Refused(Problem("J043", params, function))
        return [self._text_constant(a, function) for a in arguments]

    def _segment(self, function: str, node: nodes.Call) -> Node:
        return self._of_known(function, node, self.scope.segments, "J021", self.scope.named.get("segment", {}))

    def _in_journey(self, function: str, node: nodes.Call) -> Node:
        return self._of_known(function, node, self.scope.journeys, "J032")

    def _remaining(self, function: str, node: nodes.Call) -> Node:
        call = self._of_known(function, node, self.scope.benefits, "J028")
        return Call(function, call.arguments, "number")

    def _of_known(self, function: str, node: nodes.Call, known: frozenset[str], code: str, named: Mapping[str, str] | None = None) -> Call:
        (name,) = self._texts(function, node, 1, 1)
        if name not in known:
            raise _Refused(Problem(code, {"found": name, **near_named(name, named or {one: one for one in known})}, name))
        return Call(function, (name,), "boolean")

    def _has_tag(self, function: str, node: nodes.Call) -> Node:
        (tag,) = self._texts(function, node, 1, 1)
        return Call(function, (tag,), "boolean")

    def _reach(self, function: str, node: nodes.Call) -> Node:
        channel, *rest = self._texts(function, node, 1, 2 if function == "reachable" else 1)
        if channel not in self.scope.channels:
            hint = did_you_mean(channel, self.scope.channels)
            raise _Refused(Problem("J024", {"found": channel, "hint": hint}, channel))
        templates = self.scope.channels[channel]
        if rest and rest[0] not in templates:
            raise _Refused(Problem("J025", unknown_template(rest[0], channel, self.scope.channels), rest[0]))
        return Call(function, (channel, *rest), "boolean")

    def _count(self, function: str, node: nodes.Call) -> Node:
        keywords = {k.key: k.value for k in node.kwargs}
        within = parse_duration(self._text_constant(keywords["within"], function)) if "within" in keywords else None
        if len(node.args) != 1 or set(keywords) != {"within"} or not within or within < 0:
            params = {"function": function, "expected": "count('event', within='30d')", "found": OTHERWISE}
            raise _Refused(Problem("J043", params, function))
        event = self._text_constant(node.args[0], function)
        if event not in self.scope.events:
            raise _Refused(Problem("J020", {"found": event, "hint": did_you_mean(event, self.scope.events)}, event))
        if event in TURN_EVENTS:
            raise _Refused(Problem("J105", {"found": event}, event))
        return Call(function, (event, within), "number")


_FUNCTIONS: dict[str, Callable[[_Reader, str, nodes.Call], Node]] = {
    **dict.fromkeys(TIME_FUNCTIONS, _Reader._time_function),  # noqa: SLF001 - the reader's own table
    "segment": _Reader._segment,  # noqa: SLF001
    "in_journey": _Reader._in_journey,  # noqa: SLF001
    "remaining": _Reader._remaining,  # noqa: SLF001
    "has_tag": _Reader._has_tag,  # noqa: SLF001
    "reachable": _Reader._reach,  # noqa: SLF001
    "has_consent": _Reader._reach,  # noqa: SLF001
    "count": _Reader._count,  # noqa: SLF001
}


def _spell(node: Node) -> str:
    if isinstance(node, Name):
        return str(node)
    if isinstance(node, Const):
        return repr(node.value)
    return f"{node.function}(…)" if isinstance(node, Call) else type(node).__name__.lower()


def _raw(node: nodes.Node) -> str:
    if isinstance(node, nodes.Const):
        return repr(node.value)
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_raw(node.node)}.{node.attr}"
    return type(node).__name__.lower()
