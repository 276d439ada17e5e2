"""From files to models, with every finding of shape at its place. Names and flow come later, in `check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from journeys.audience import AudienceModel
from journeys.codes.code import Words, words
from journeys.errors import Finding, Place, did_you_mean
from journeys.expectations import found_of
from journeys.meant import at, cut_by_comma, explains, unknown_key
from journeys.model import KINDS, Journey
from journeys.shapes import SHAPES, expectation
from journeys.source import Path_, Source, decode_source, parse_source, read_source
from journeys.traps import wide, wide_params

AUDIENCE_FILE = "audience.yaml"
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class LoadedJourney:
    """A journey file: the model is None when the file's shape is wrong (see source.findings)."""

    source: Source
    journey: Journey | None


@dataclass(frozen=True)
class Definitions:
    """All files of a folder: the journeys in the order of their names, and the audience."""

    journeys: tuple[LoadedJourney, ...]
    audience: AudienceModel
    audience_source: Source
    findings: tuple[Finding, ...] = ()


def load_definitions(folder: Path) -> Definitions:
    """Every *.yaml of a folder. A missing audience.yaml is an empty audience; an unreadable file is a finding."""
    files = sorted(p for p in folder.glob("*.yaml") if p.name != AUDIENCE_FILE) if folder.is_dir() else []
    findings = [] if files else [Finding("J016", Place(str(folder)), {"found": str(folder)})]
    journeys = tuple(load_journey(path) for path in files)
    audience_path = folder / AUDIENCE_FILE
    audience, source = load_audience(audience_path) if audience_path.exists() else (AudienceModel(), Source(AUDIENCE_FILE, ""))
    return Definitions(journeys, audience, source, tuple(findings))


def load_journey(path: Path) -> LoadedJourney:
    """One journey file."""
    return _journey(read_source(path))


def load_journey_bytes(raw: bytes, file: str) -> LoadedJourney:
    """A journey from the bytes of its file."""
    return _journey(decode_source(raw, file))


def load_journey_text(text: str, file: str) -> LoadedJourney:
    """A journey from its text, as releases keep it."""
    return _journey(parse_source(text, file))


def _journey(source: Source) -> LoadedJourney:
    return LoadedJourney(
        source, _validate(Journey, source, words("a mapping of keys (id, name, entry, steps, …)", "一组键（id、name、entry、steps……）"))
    )


def load_audience(path: Path) -> tuple[AudienceModel, Source]:
    """The audience file; an empty model when its shape is wrong (see the source's findings)."""
    source = read_source(path)
    return _audience(source), source


def load_audience_bytes(raw: bytes, file: str) -> tuple[AudienceModel, Source]:
    """The audience from the bytes of its file."""
    source = decode_source(raw, file)
    return _audience(source), source


def load_audience_text(text: str, file: str = AUDIENCE_FILE) -> tuple[AudienceModel, Source]:
    """The audience from its text, as releases keep it."""
    source = parse_source(text, file)
    return _audience(source), source


def _audience(source: Source) -> AudienceModel:
    if source.data is None and not source.findings:
        return AudienceModel()
    return (
        _validate(
            AudienceModel, source, words("a mapping (events, traits, segments, lifecycle)", "一组键（events、traits、segments、lifecycle）")
        )
        or AudienceModel()
    )


def _validate(model: type[_Model], source: Source, expected: Words) -> _Model | None:
    if source.data is None:
        if not source.findings:
            source.report("J004", ())
        return None
    if not isinstance(source.data, dict):
        source.report("J009", (), expected=expected, found=found_of(source.data))
        return None
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        _report(model, source, error)
    return None


def _report(model: type[BaseModel], source: Source, error: ValidationError) -> None:
    reported: set[tuple[Any, ...]] = set()
    unknown: dict[Path_, list[dict[str, Any]]] = {}
    missing: list[tuple[Path_, str]] = []

    def once(code: str, path: Path_, *, key: bool = False, **params: Any) -> None:
        if (marks := (code, path, str(params))) not in reported:
            reported.add(marks)
            source.report(code, path, key=key, **params)

    for path, detail in _without_other_shapes(source, error):
        kind = detail["type"]
        if kind == "extra_forbidden":
            told = unknown_key(model, source.data, path)
            cut = cut_by_comma(source.lines, source.spots, source.data, path) if "known" in told else None
            unknown.setdefault(path[:-1], []).append(told)
            if cut is not None:
                once("J141", cut[0], found=cut[1])
            elif not _was_told(source, path):
                once("J012", path, key=True, **told)
        elif kind == "missing":
            missing.append((path[:-1] if path and path not in source.spots else path, str(detail["loc"][-1])))
        elif kind == "step_kind":
            _report_kind(source, path)
        elif (trap := _trap(detail, path)) is not None:
            once(trap[0], path, **trap[1])
        else:
            expected, hint = expectation(detail, path, source.data)
            once("J013", path, expected=expected, found=found_of(detail["input"]), hint=hint)
    for path, name in missing:
        if not any(explains(told, name) for told in unknown.get(path, ())) and not _has_spoiled_key(source, path):
            once("J014", path, found=name)


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
