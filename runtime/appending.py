"""Writes a test at the end of a journey file's `tests:`, by hand and in the file's own style: nothing else in the file changes. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from journeys.source import decode_source, parse_source

NARROW = 110  # a mapping that is longer is written a line per entry
_INDENT = 2
BOM = b"\xef\xbb\xbf"


class CannotAppend(Exception):
    """The file cannot be added to; the message says where and what to do."""


def appended(raw: bytes, file: str, test: Mapping[str, Any]) -> tuple[bytes, int]:
    """The bytes of the file with one more test, and the line (from 1) on which that stands.

    Raises CannotAppend where `tests:` is written in one line, or where the result would not say the same as before.
    """
    source = decode_source(raw, file)
    text = raw.removeprefix(BOM).decode("utf-8")
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    at, indent, head = _place(source.spots, source.data, lines, file)
    written = [*head, *_test(test, indent)]
    made = newline.join([*lines[:at], *written, *lines[at:]]) + newline
    again = parse_source(made, file)
    before = {**source.data, "tests": [*(source.data.get("tests") or []), *[dict(test)]]}
    if again.findings or again.data != before:
        msg = f"{file}: the test cannot be added without changing what stands there; add it by hand:\n" + "\n".join(_test(test, indent))
        raise CannotAppend(msg)
    mark = BOM if raw.startswith(BOM) else b""
    return mark + made.encode(), at + 1 + len(head)


def _place(spots: Mapping[Any, Any], data: Any, lines: Sequence[str], file: str) -> tuple[int, int, list[str]]:
    """Before which line (from 0) it goes, how far in its dash stands, and what comes before it."""
    if "tests" not in data:
        return len(lines), _INDENT, ["tests:"]
    line = spots["tests",].key[0]
    if not data["tests"]:
        if lines[line - 1].split("#")[0].strip() not in ("tests:", "tests: []"):
            raise CannotAppend(_in_one_line(file, line))
        if lines[line - 1].split("#")[0].strip() == "tests: []":
            raise CannotAppend(f"{file}:{line}: tests: [] is written in one line; delete it and record again")
        return line, _INDENT, []
    first_line, column = spots["tests", 0].value
    dash = lines[first_line - 1][: column - 1].rstrip()
    if first_line == line or not dash.endswith("-"):
        raise CannotAppend(_in_one_line(file, line))
    end = next((n for n in range(line, len(lines)) if lines[n][:1] not in ("", " ", "#", "-")), len(lines))
    while end > line and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end, len(dash) - 1, []


def _in_one_line(file: str, line: int) -> str:
    return f"{file}:{line}: tests are written in one line; write each of them on lines of its own (- name: …) and record again"


def _test(test: Mapping[str, Any], indent: int) -> list[str]:
    inner = " " * (indent + _INDENT)
    lines: list[str] = []
    for key, value in test.items():
        long = isinstance(value, Sequence) and not isinstance(value, str) and value
        if long and len(f"{inner}{key}: {flow(value)}") > NARROW:
            lines += [f"{inner}{key}:", *(f"{inner}{' ' * _INDENT}- {flow(entry)}" for entry in value)]
        else:
            lines.append(f"{inner}{key}: {flow(value)}")
    lines[0] = f"{' ' * indent}- {lines[0].lstrip()}"
    return lines


def flow(value: Any) -> str:
    """A value as YAML in one line, in the plain style of the shipped files where that says the same."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return "[" + ", ".join(flow(entry) for entry in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    """Whether the text stands for itself without quotes, within braces too. Moments are quoted, as everywhere."""
    if not text or text != text.strip() or (text[:1].isdigit() and ":" in text):
        return False
    read = parse_source(f"{{{text}: [{text}]}}", "")
    return not read.findings and bool(read.data == {text: [text]})
