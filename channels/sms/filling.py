"""From a message's template and parameters to the values that a vendor is given. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from channels.message import Fault, Rejected, VendorTemplate

PROBE = 600_000  # milliseconds until one message tries whether a configuration fault is cured


@dataclass(frozen=True, slots=True)
class Filled:
    """A vendor template and its values, by the vendor's names, in the order of the configuration."""

    id: str
    values: Mapping[str, str]


def filled(content: Mapping[str, Any], templates: Mapping[str, VendorTemplate]) -> Filled | Rejected | Fault:
    """What `content` says in the vendor's words.

    Where the configuration names fields, exactly these are sent; where it names none, all parameters under their own names.
    A template that is not configured holds that template alone; an empty value is the message's own fault: every vendor refuses it.
    """
    name = str(content.get("template", ""))
    template = templates.get(name)
    if template is None:
        return Fault("template_not_configured", f"there is no [channels.sms.templates.{name}]", PROBE, scope="template")
    params = content.get("params")
    given: Mapping[str, Any] = params if isinstance(params, Mapping) else {}
    values = {}
    for ours, theirs in (template.fields or {ours: ours for ours in given}).items():
        value = given.get(ours)
        text = "" if value is None else str(value)
        if not text.strip():
            return Rejected("empty_param", f"{name}: {ours} is empty")
        values[theirs] = text
    return Filled(template.id, values)


def reason_of(code: str | int, text: str) -> str:
    """A vendor's code and words for people to read, without the numbers of phones: some vendors repeat them."""
    return f"{code}: {without_numbers(text)}"[:200]


def without_numbers(text: str) -> str:
    """The text with every long run of digits left out."""
    return re.sub(r"\d{7,}", "…", text)
