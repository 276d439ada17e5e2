"""The evaluator for a population: a typed tree becomes SQL over the users' rows. It agrees with `journeys.evaluate` on every user.

Two-valued like it: a condition is never NULL, a value is NULL where it is missing. Tests prove the two equal on both databases.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Boolean, ColumnElement, Text, and_, case, cast, false, func, literal, not_, null, or_, select, true

from journeys.audience import BUILT_IN, Audience, Trait
from journeys.duration import DAY, HOUR
from journeys.expression import TIME_FUNCTIONS, Arithmetic, Call, Compare, Const, In, Known, Logic, Name, Node, Not, kind_of
from journeys.localtime import offsets_of, zone_named
from journeys.values import LIMITS, NO_DAYS
from runtime.state import ENDED
from runtime.store import aggregates
from runtime.store.documents import Postgres, Sql, Sqlite, Unsayable, number
from runtime.store.tables import enrolments, users

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_TWO_DIGITS = [f"{n:02d}" for n in range(1, 32)]
_ASKS = ("segment", "has_tag", "in_journey")


@dataclass(frozen=True, slots=True)
class Uncompilable:
    """What cannot be asked of many users in one statement: the reason, and the function or name that it is about."""

    reason: str
    function: str


class _Refused(Exception):
    def __init__(self, reason: str, function: str) -> None:
        super().__init__(reason)
        self.found = Uncompilable(reason, function)


@dataclass(frozen=True)
class Moment:
    """What SQL is made for: the audience, the instant, the database, the project's zone and the zones that users may have.

    `now` is milliseconds. A user whose zone is not among `zones` reads local hours in the project's.
    """

    audience: Audience
    now: int
    is_sqlite: bool
    zone: ZoneInfo
    zones: Collection[str] = ()


def compile_sql(node: Node, moment: Moment) -> ColumnElement[bool] | Uncompilable:
    """The condition over `users`: true or false for every row, never NULL."""
    try:
        return Reader(moment).truth(node)
    except _Refused as refused:
        return refused.found
    except Unsayable as name:
        return Uncompilable("the name has characters that no path can spell", str(name))


def compile_value(node: Node, moment: Moment) -> ColumnElement[Any] | Uncompilable:
    """The value over `users`: NULL where it is missing."""
    try:
        return Reader(moment).value(node)
    except _Refused as refused:
        return refused.found
    except Unsayable as name:
        return Uncompilable("the name has characters that no path can spell", str(name))


def compile_values(leaves: Mapping[str, Node], moment: Moment) -> ColumnElement[str] | Uncompilable:
    """The JSON text of an object: each spelling with the value of its leaf, null where missing."""
    try:
        reader = Reader(moment)
        return reader.json.object({spelling: (reader.value(node), kind_of(node)) for spelling, node in leaves.items()})
    except _Refused as refused:
        return refused.found
    except Unsayable as name:
        return Uncompilable("the name has characters that no path can spell", str(name))


def stale_sql(moment: Moment) -> ColumnElement[bool]:
    """Whether a profile was made under other definitions than the audience's: it says nothing until it is made anew."""
    reader, audience = Reader(moment), moment.audience
    digest: Sql = literal(audience.profile_digest, Text())
    if audience.reads_hour:
        zone = case((users.c.zone == "", moment.zone.key), else_=users.c.zone)
        digest = digest.concat("@").concat(zone)
    made = func.coalesce(reader.json.typed(reader.profile.at("d"), "text"), "", type_=Text())
    return and_(users.c.audience != "", made != digest)


def former_sql(moment: Moment) -> ColumnElement[str]:
    """The JSON list of the ids under which the user was known before; NULL when there are none."""
    reader = Reader(moment)
    return cast(reader.json.typed(reader.profile.at("m"), "list"), Text)


class Reader:
    """Compiles trees at one moment; inside a trait's `where`, at the moment of one event."""

    def __init__(self, moment: Moment, now: Sql | None = None, event: aggregates.Occurrence | None = None) -> None:
        self.moment, self.event = moment, event
        self.json: Sqlite | Postgres = Sqlite() if moment.is_sqlite else Postgres()
        self.now = now if now is not None else number(moment.now)
        self.profile = self.json.document(users.c.profile)
        self._traits: dict[str, Sql] = {}

    def truth(self, node: Node) -> ColumnElement[bool]:
        """A condition: never NULL."""
        if isinstance(node, Logic):
            items = [self.truth(item) for item in node.items]
            return and_(*items) if node.operator == "and" else or_(*items)
        if isinstance(node, Not):
            return not_(self.truth(node.item))
        if isinstance(node, Known):
            value = self.value(node.item)
            return value.is_not(None) if node.known else value.is_(None)
        if isinstance(node, Compare):
            return _sure(self._compare(node))
        if isinstance(node, In):
            return _sure(self._in(node))
        if isinstance(node, Const):
            return true() if node.value is True else false()
        if isinstance(node, Call) and node.function in _ASKS:
            return self._asks(node)
        return _sure(self.value(node))

    def constant(self, value: Any) -> Sql:
        """A literal; a list as the database keeps lists."""
        if isinstance(value, bool):
            return literal(value, Boolean())
        if isinstance(value, list):
            return self.json.list(value)
        if isinstance(value, str):
            return literal(value, Text())
        return literal(value) if self.moment.is_sqlite else number(value)

    def value(self, node: Node) -> Sql:
        """A value: NULL where missing."""
        if isinstance(node, Const):
            return self.constant(node.value)
        if isinstance(node, Name):
            return self._name(node)
        if isinstance(node, Arithmetic):
            return self.json.calculate(node.operator, self.value(node.left), self.value(node.right))
        if isinstance(node, Call) and node.function in TIME_FUNCTIONS:
            unit = TIME_FUNCTIONS[node.function] * (DAY if node.function.startswith("days") else HOUR)
            return (self.value(node.arguments[0]) - self.now).op("/", precedence=8)(number(unit))
        if isinstance(node, Call) and node.function == "count":
            self._outside_events(node)
            return aggregates.count_of(self, *node.arguments)
        if isinstance(node, Call) and node.function not in _ASKS:
            raise _Refused("it cannot be asked of everybody at once", node.function)
        return self.truth(node)

    def of_event(self, event: "aggregates.Occurrence") -> "Reader":
        """For a trait's `where`: the event alone, at its own time."""
        return Reader(self.moment, event.time, event)

    # --- names

    def _name(self, node: Name) -> Sql:
        if node.root == "event" and self.event is not None:
            return self._event_field(self.event, node)
        if node.root != "user" or self.event is not None:
            raise _Refused("only the user is known when everybody is asked", str(node))
        return self.trait(node.attribute)

    def _event_field(self, event: aggregates.Occurrence, node: Name) -> Sql:
        envelope: dict[str, Sql] = {"type": literal(event.type, Text()), "time": event.time, "user_id": users.c.user_id}
        found = envelope.get(node.attribute)
        return self.json.typed(event.data.at(node.attribute), node.kind) if found is None else found

    def trait(self, name: str) -> Sql:
        """The user's value of a trait, its default, or NULL."""
        if name not in self._traits:
            self._traits[name] = self._trait(name)
        return self._traits[name]

    def _trait(self, name: str) -> Sql:
        trait = self.moment.audience.traits.get(name)
        if trait is None:
            return self._built_in(name)
        if trait.value is not None:
            value = self.value(trait.value.node)
        elif trait.aggregate:
            value = aggregates.read(self, trait)
        else:
            value = _fitting(self.json.typed(self.profile.at("p", name), trait.kind), trait)
        return value if trait.default is None else func.coalesce(value, self.constant(trait.default), type_=value.type)

    def _built_in(self, name: str) -> Sql:
        if name == "id":
            return users.c.user_id
        if name == "stage":
            stages = self.moment.audience.stages
            last = next((literal(stage, Text()) for stage, rule in stages if rule is None), cast(null(), Text()))
            asked = [(self.truth(rule.node), literal(stage, Text())) for stage, rule in stages if rule is not None]
            return case(*asked, else_=last) if asked else last
        if name not in BUILT_IN:
            raise _Refused("there is no such trait", f"user.{name}")
        return func.coalesce(self.json.typed(self.profile.at("t"), "list"), self.constant([]))

    # --- operators

    def _compare(self, node: Compare) -> Sql:
        kinds = {kind_of(node.left), kind_of(node.right)}
        if "any" in kinds or "list" in kinds:
            raise _Refused("values without a type cannot be compared here", node.operator)
        left, right = self.value(node.left), self.value(node.right)
        if kinds & {"text", "choice", "anniversary"}:
            left = self.json.bytes(left)
        compared: Sql = _COMPARE[node.operator](left, right)
        return compared

    def _in(self, node: In) -> Sql:
        item = self.json.bytes(self.value(node.item))
        if isinstance(node.container, Const):
            return item.in_([literal(text, Text()) for text in node.container.value])
        return self.json.holds(self.value(node.container), item)

    def local_hour(self, time: Sql, within: int) -> Sql:
        """The hour, in minutes after midnight, that the user's clock shows at an instant not longer ago than `within`."""
        moment = self.moment

        def ahead(zone: ZoneInfo) -> Sql:
            (_, first), *later = offsets_of(zone, moment.now - within, moment.now)
            known = [(time >= number(since), number(offset)) for since, offset in reversed(later)]
            return case(*known, else_=number(first)) if known else number(first)

        own = [(users.c.zone == name, ahead(zone)) for name in sorted(moment.zones) if name and (zone := zone_named(name)) is not None]
        here = ahead(moment.zone)
        offset = case(*own, else_=here) if own else here
        return self.json.whole((time + offset).op("/", precedence=8)(number(HOUR))) % 24 * 60

    # --- functions

    def _asks(self, node: Call) -> ColumnElement[bool]:
        self._outside_events(node)
        (name,) = node.arguments
        if node.function == "segment":
            rule = self.moment.audience.segments.get(name)
            if rule is None:
                raise _Refused("there is no such segment", name)
            return self.truth(rule.node)
        if node.function == "has_tag":
            return _sure(self.json.holds(self.json.typed(self.profile.at("t"), "list"), literal(name, Text())))
        inside = select(enrolments.c.id).where(
            enrolments.c.user_id == users.c.user_id, enrolments.c.journey == name, enrolments.c.status < ENDED
        )  # fmt: skip
        return inside.correlate(users).exists()

    def _outside_events(self, node: Call) -> None:
        if self.event is not None:
            raise _Refused("a trait's where looks at the event alone", node.function)


def _fitting(value: Sql, trait: Trait) -> Sql:
    """The value where it has the format of its kind, as `journeys.values.fits` says, else NULL."""
    if trait.kind == "anniversary":
        day, month = (func.substr(value, at, 2, type_=Text()) for at in (4, 1))
        whole = and_(func.length(value) == len("MM-DD"), func.substr(value, 3, 1, type_=Text()) == "-")
        return case((and_(whole, month.in_(_TWO_DIGITS[:12]), day.in_(_TWO_DIGITS), value.not_in(sorted(NO_DAYS))), value))
    if trait.kind == "choice":
        return case((value.in_([literal(choice, Text()) for choice in trait.choices]), value))
    if trait.kind in LIMITS:
        least, most = LIMITS[trait.kind]
        return case((value.between(number(least), number(most)), value))
    return value


def _sure(value: Sql) -> ColumnElement[bool]:
    return func.coalesce(value, false(), type_=Boolean())
