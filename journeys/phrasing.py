"""Texts with places to fill. One place may choose between singular and plural: `{n} {n:journey|journeys} {n:differs|differ}`. Pure."""

from collections.abc import Mapping
from string import Formatter
from typing import Any


class _Phrases(Formatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        one, choice, many = format_spec.partition("|")
        if choice:
            return one if str(value) == "1" else many
        return super().format_field(value, format_spec)


_PHRASES = _Phrases()


def phrase(template: str, values: Mapping[str, Any]) -> str:
    """The text with its places filled. Raises KeyError for a place that has no value."""
    return _PHRASES.vformat(template, (), values)


def step_name(step_id: str) -> str:
    """A step as people read it: `exit REASON` for an exit without an id of its own, whose id (`exit:REASON`, `#2` …) is made up."""
    return "exit " + step_id.removeprefix("exit:").partition("#")[0] if step_id.startswith("exit:") else step_id
