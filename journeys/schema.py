"""The JSON Schema of journey files and of audience.yaml, for editors."""

from typing import Any

from journeys.audience import AudienceModel
from journeys.codes.code import Both
from journeys.descriptions import DESCRIPTIONS
from journeys.model import KINDS, Journey

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def journey_schema() -> dict[str, Any]:
    """The schema of a journey file."""
    return _schema(Journey)


def audience_schema() -> dict[str, Any]:
    """The schema of audience.yaml."""
    return _schema(AudienceModel)


def _schema(model: type[Journey] | type[AudienceModel]) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True)
    definitions = made.pop("$defs")
    described = {name: _described(name, _plain(schema)) for name, schema in definitions.items()}
    if model is Journey:
        described |= {"Step": _STEP, "Unfinished": _unfinished(described)}
    title = "journey" if model is Journey else "audience"
    return {"$schema": DIALECT, "title": title, **_described(model.__name__, _plain(made)), "$defs": described}


_STEP = {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in (*(kind.__name__ for kind in KINDS.values()), "Unfinished")]}


def _unfinished(definitions: dict[str, Any]) -> dict[str, Any]:
    """A step whose kind is not written yet: an editor offers the kinds, not what may stand beside each. `check` asks for the kind."""
    properties = definitions["ExitStep"]["properties"]
    described = {kind: definitions[model.__name__]["properties"][kind]["description"] for kind, model in KINDS.items()}
    never = {"enum": [], "errorMessage": "一个步骤恰好写一种 / a step has exactly one kind"}  # offered, not accepted
    kinds = {kind: {"description": description, **never} for kind, description in described.items()}
    common = {key: value for key, value in properties.items() if key not in KINDS}
    return {
        "type": "object",
        "description": _both(DESCRIPTIONS["StepBase"][""]),
        "properties": {**common, **kinds},
        "additionalProperties": False,
    }


def _plain(schema: Any) -> Any:
    """Without what a person never writes and an editor would offer: null, a default of null, titles made of names."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema:  # of the kinds of steps, spelled out wherever steps may stand
        return {"$ref": "#/$defs/Step"}
    kept = {
        key: {name: _plain(item) for name, item in value.items()} if key == "properties" else _plain(value)
        for key, value in schema.items()
        if key not in ("title", "description") and not (key == "default" and value in (None, {}, [], ""))
    }
    choice = kept.get("anyOf", ())
    return {**{k: v for k, v in kept.items() if k != "anyOf"}, **choice[0]} if len(choice) == 1 else kept


def _described(model: str, schema: dict[str, Any]) -> dict[str, Any]:
    own = DESCRIPTIONS[model]
    shared = DESCRIPTIONS["StepBase"] if model.endswith("Step") else {}
    keys = {**shared, **own}
    properties = {key: {**value, "description": _both(keys[key])} for key, value in schema.get("properties", {}).items()}
    return {**schema, "description": _both(own[""]), "properties": properties}


def _both(text: Both) -> str:
    return f"{text[1]}\n\n{text[0]}"
