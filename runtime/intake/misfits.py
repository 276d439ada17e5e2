"""What of an item no rule sees though the item is taken: values that do not fit their types, names that nothing reads. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.values import ValueType, coerce
from runtime.policy import ADDRESS_OF
from runtime.store.arrivals import Misfit
from runtime.store.identity import SHARED, UNIQUE

CHANGES = ("traits", "set_once", "increment", "append")  # of a record, each an object by trait
_WHO = ("id", "user_id", "identities", "merge", "unbind")
KEYS: Mapping[str, frozenset[str]] = {  # what is read of an item, by the word for it before the dot in a misfit's name
    "event": frozenset((*_WHO, "type", "time", "data")),
    "record": frozenset((*_WHO, *CHANGES, "clear", "tags", "remove_tags", "consents", "zone")),
    "entry": frozenset(("id", "user_id", "data")),
    "identities": frozenset((*UNIQUE, *SHARED, *ADDRESS_OF.values())),
}
_TYPES = ((bool, "boolean"), (str, "text"), (int | float, "number"), (list, "list"), (dict, "object"))


def found_type(value: Any) -> str:
    """The type of a JSON value; of what a person says nothing else is shown."""
    return next((name for type_, name in _TYPES if isinstance(value, type_)), "null")


def of_event(type_: str, given: Mapping[str, Any], taken: Mapping[str, Any], fields: Mapping[str, ValueType]) -> Iterator[Misfit]:
    """The declared fields of an event that came (`given`) and are missing in what was made of it (`taken`)."""
    for name, value in given.items():
        if name in fields and value is not None and name not in taken:
            yield Misfit(fields[name], f"{type_}.{name}", found_type(value))


def of_traits(record: Mapping[str, Any], audience: Audience, zone: ZoneInfo) -> Iterator[Misfit]:
    """The values of a record that are none of their traits' types, by the name that rules have for them."""
    for change in CHANGES:
        for name, value in (record.get(change) or {}).items():
            trait = audience.traits.get(name)
            if trait is None or trait.aggregate or trait.value is not None or value is None:
                continue
            expected: ValueType = "number" if change == "increment" else trait.kind
            made = [value] if change == "append" and not isinstance(value, list) else value
            if coerce(made, expected, zone, trait.choices) is None:
                yield Misfit(expected, f"user.{name}", found_type(value))


def of_keys(what: str, item: Mapping[str, Any]) -> Iterator[Misfit]:
    """The keys of an item, and the kinds of its identities, that nothing reads."""
    for name in item.keys() - KEYS[what]:
        yield Misfit("key", f"{what}.{name}")
    for name in (item.get("identities") or {}).keys() - KEYS["identities"]:
        yield Misfit("key", f"identities.{name}")
