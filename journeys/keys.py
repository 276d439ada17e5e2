"""Which keys may stand where in a file, by its models: for what is proposed in place of one that is not known. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel

_Models = tuple[type[BaseModel], ...]


def keys_at(model: type[BaseModel], data: Any, path: Sequence[str | int]) -> list[str]:
    """The keys of the mapping at a path of the data; where several shapes may stand there, those of the one that fits most of its keys."""
    models: _Models = (model,)
    for part in path:
        models, data = _next(_fitting(models, data), part), data[part]
    return sorted({name for found in _fitting(models, data) for name in _fields(found)})


def belongs_under(model: type[BaseModel], key: str) -> str:
    """The one key of the file's mappings below which this key may stand, with a dot between where it lies deeper; "" where there is none
    or more than one.
    """
    places = {place for place, found in _below(model, "", frozenset()) if key in _fields(found)}
    return places.pop() if len(places) == 1 else ""


def _below(model: type[BaseModel], path: str, seen: frozenset[type[BaseModel]]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, annotation in _fields(model).items():
        place = f"{path}.{name}" if path else name
        for found in _models_in(annotation):
            if found not in seen:
                yield place, found
                yield from _below(found, place, seen | {found})


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _next(models: _Models, part: str | int) -> _Models:
    """The models one step below: of a field, or of a list's or mapping's items, whose models are those of the field."""
    if isinstance(part, int):
        return models
    fields = [_fields(model)[part] for model in models if part in _fields(model)]
    return tuple(found for annotation in fields for found in _models_in(annotation)) or models


def _models_in(annotation: Any) -> _Models:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(dict.fromkeys(found for part in get_args(annotation) for found in _models_in(part)))


def _fitting(models: _Models, data: Any) -> _Models:
    if len(models) < 2 or not isinstance(data, dict):  # noqa: PLR2004 - nothing to choose between
        return models
    fits = {model: len(_fields(model).keys() & data.keys()) for model in models}
    return tuple(model for model in models if fits[model] == max(fits.values()))
