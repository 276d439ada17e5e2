"""From what pydantic says of a file's data to findings at their places: one for one mistake, without what only follows from it."""

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from journeys.codes.code import words
from journeys.errors import did_you_mean
from journeys.expectations import found_of
from journeys.meant import at, cut_by_comma, explains, unknown_key
from journeys.model import ID_PATTERN, KINDS, Journey
from journeys.shapes import SHAPES, expectation
from journeys.source import Path_, Source
from journeys.traps import wide, wide_params


def report_shape(model: type[BaseModel], source: Source, error: ValidationError) -> None:
    """Report every key that is unknown or missing, and every value of another shape."""
    _Report(model, source).all(_without_other_shapes(source, error))


class _Report:
    def __init__(self, model: type[BaseModel], source: Source) -> None:
        self.model, self.source = model, source
        self.reported: set[tuple[Any, ...]] = set()
        self.unknown: dict[Path_, list[dict[str, Any]]] = {}

    def all(self, details: list[tuple[Path_, Any]]) -> None:
        """The keys that are missing come last: an unknown one beside them may be the reason."""
        for path, detail in sorted(details, key=lambda one: one[1]["type"] == "missing"):
            if detail["type"] == "extra_forbidden":
                self._unknown(path)
            elif detail["type"] == "missing":
                self._missing(path[:-1] if path and path not in self.source.spots else path, str(detail["loc"][-1]))
            elif detail["type"] == "step_kind":
                _report_kind(self.source, path)
            else:
                self._value(path, detail)

    def _once(self, code: str, path: Path_, *, key: bool = False, **params: Any) -> None:
        """A place that takes one of two shapes has each complaint twice."""
        if (marks := (code, path, str(params))) not in self.reported:
            self.reported.add(marks)
            self.source.report(code, path, key=key, **params)

    def _unknown(self, path: Path_) -> None:
        told = unknown_key(self.model, self.source.data, path)
        self.unknown.setdefault(path[:-1], []).append(told)
        if "known" in told and (cut := _cut(self.source, path)):
            self._once("J141", cut[0], found=cut[1])
        elif not _was_told(self.source, path):
            self._once("J012", path, key=True, **told)

    def _missing(self, path: Path_, name: str) -> None:
        explained = any(explains(told, name) for told in self.unknown.get(path, ()))
        if not explained and not _has_spoiled_key(self.source, path):
            self._once("J014", path, found=name)

    def _value(self, path: Path_, detail: Any) -> None:
        if trap := _trap(detail, path):
            self._once(trap[0], path, **trap[1])
        elif detail["input"] is None and not _may_be_a_name(path) and (cut := _cut(self.source, path)):
            self._once("J141", cut[0], found=cut[1])
        else:
            expected, hint = expectation(detail, path, self.source.data)
            self._once("J013", path, expected=expected, found=found_of(detail["input"]), hint=hint)


def _cut(source: Source, path: Path_) -> tuple[Path_, str] | None:
    return cut_by_comma(source.lines, source.spots, source.data, path)


def _may_be_a_name(path: Path_) -> bool:
    """Whether a key may be one of ours, where any name may be a key."""
    return not path or re.fullmatch(ID_PATTERN, str(path[-1])) is not None


def _has_spoiled_key(source: Source, path: Path_) -> bool:
    """Whether full-width punctuation made a key of the mapping at a path another one."""
    mapping = at(source.data, path)
    return isinstance(mapping, dict) and any(_was_told(source, (*path, key)) for key in mapping)


def _was_told(source: Source, path: Path_) -> bool:
    """Whether full-width punctuation in this key was told when the file was read."""
    spot = source.spots.get(path)
    line, column = spot.key if spot is not None else (0, 0)
    ends = column + len(str(path[-1]))
    return any(f.code == "J123" and f.place.line == line and column <= f.place.column < ends for f in source.findings)


def _without_other_shapes(source: Source, error: ValidationError) -> list[tuple[Path_, Any]]:
    """The errors with their paths. Where a place takes one of two shapes, only those of the shape that was written."""
    details = [(_path(source.data, detail), detail) for detail in error.errors(include_url=False)]
    nearer = {path[:length] for path, detail in details if detail["type"] not in SHAPES for length in range(len(path) + 1)}
    deeper = {path[:length] for path, _ in details for length in range(len(path))}
    return [
        (path, detail) for path, detail in details
        if path not in (deeper | nearer if detail["type"] in SHAPES else deeper if detail["type"] == "literal_error" else ())
    ]  # fmt: skip


def _path(data: Any, detail: Any) -> Path_:
    """The path in the data of a pydantic error, without its union tags."""
    path: list[str | int] = []
    here = data
    parts = list(detail["loc"])
    names_a_key = detail["type"] == "missing"
    for index, part in enumerate(parts):
        if isinstance(here, dict) and (part in here or (names_a_key and index == len(parts) - 1)):
            path.append(part)
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            path.append(part)
            here = here[part]
    return tuple(path)


def _all_keys() -> set[str]:
    from journeys import audience, model  # noqa: PLC0415 - only to list every key once

    return {
        name.rstrip("_")
        for module in (model, audience)
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, BaseModel)
        for name in (field.alias or key for key, field in item.model_fields.items())
    }


_ALL_KEYS = _all_keys()


def _report_kind(source: Source, path: Path_) -> None:
    step = at(source.data, path)
    kinds = ", ".join(KINDS)
    if not isinstance(step, dict):
        wanted = words(f"a step (a mapping with one of {kinds})", f"一个步骤（一组键，带以下之一：{'、'.join(KINDS)}）")
        source.report("J013", path, expected=wanted, found=found_of(step))
        return
    if _has_spoiled_key(source, path):
        return
    if "otherwise" in step and set(step) <= {"id", "otherwise"}:
        source.report("J012", (*path, "otherwise"), key=True, **unknown_key(Journey, source.data, (*path, "otherwise")))
        return
    found = [k for k in KINDS if k in step]
    unknown = [k for k in step if k not in _ALL_KEYS]
    for key in unknown:
        source.report("J012", (*path, key), key=True, found=key, hint=did_you_mean(key, [*KINDS, "id", "if", "was"]))
    if not unknown or found:
        source.report("J015", path, expected=kinds, found=", ".join(found) or words("none of them", "一个也没有"))


_YES_AND_NO = ("yes", "no", "on", "off", "y", "n", "true", "false", "是", "否")


def _trap(detail: Any, path: Path_) -> tuple[str, dict[str, Any]] | None:
    """What a person meant who wrote it: yes for true, one item without its dash, a full-width quote or colon."""
    kind, value = detail["type"], detail["input"]
    if kind in ("bool_type", "literal_error") and str(value).lower() in _YES_AND_NO and isinstance(value, str):
        wants_true = kind == "bool_type" or detail["ctx"]["expected"] == "True"
        return ("J128", {"found": found_of(value)}) if wants_true else None
    if kind == "list_type" and isinstance(value, dict):
        return "J126", {"found": f"{path[-1]}: {next(iter(value), '')}: …" if path else "…"}
    sign = wide(value) if kind == "form" and isinstance(value, str) else None
    return ("J123", wide_params(sign)) if sign else None
