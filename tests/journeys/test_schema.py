import copy
import json
import re

import pytest

from journeys.schema import DIALECT, audience_schema, journey_schema
from journeys.source import read_source

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def has_type(value, kind):
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind])


def accepts(schema, value, root):
    """Whether a value fits: the words of JSON Schema that our models make."""
    known = {
        "$ref", "$defs", "$schema", "title", "description", "default", "examples", "type", "const", "enum", "anyOf", "oneOf", "properties",
        "required", "additionalProperties", "items", "minItems", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum",
    }  # fmt: skip
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, root)
    fits = [
        "type" not in schema or has_type(value, schema["type"]),
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(accepts(s, value, root) for s in schema["anyOf"]),
        "oneOf" not in schema or sum(accepts(s, value, root) for s in schema["oneOf"]) == 1,
    ]
    if isinstance(value, dict):
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        fits.append(set(schema.get("required", ())) <= set(value))
        for key, item in value.items():
            fits.append(
                accepts(properties[key], item, root) if key in properties else rest if isinstance(rest, bool) else accepts(rest, item, root)
            )
    if isinstance(value, list):
        fits.append(len(value) >= schema.get("minItems", 0))
        fits.extend(accepts(schema.get("items", {}), item, root) for item in value)
    if isinstance(value, str):
        fits.append(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)))
        fits.append("pattern" not in schema or re.search(schema["pattern"], value) is not None)
    if has_type(value, "number"):
        fits.append(schema.get("minimum", value) <= value <= schema.get("maximum", value))
        fits.append("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
    return all(fits)


def paths_of_mappings(value, path=()):
    if isinstance(value, dict):
        yield path
        for key, item in value.items():
            yield from paths_of_mappings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths_of_mappings(item, (*path, index))


def test_the_schema_accepts_every_shipped_journey(shipped):
    schema = journey_schema()

    for loaded in shipped.definitions.journeys:
        assert accepts(schema, loaded.source.data, schema), loaded.source.file


def test_the_schema_accepts_the_shipped_audience(shipped):
    schema = audience_schema()

    assert accepts(schema, shipped.definitions.audience_source.data, schema)


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("entry",),
        ("goal",),
        ("steps", 0),
        ("steps", 0, "delay"),
        ("steps", 3, "grant"),
        ("steps", 4, "send", 0),
        ("steps", 4, "send", 0, "wechat"),
        ("steps", 5, "wait_for"),
    ],
)
def test_the_schema_rejects_an_unknown_key_in_every_mapping_of_the_language(shipped, path):
    schema = journey_schema()
    data = copy.deepcopy(read_source(shipped.folder / "return_gift.yaml").data)
    here = data
    for part in path:
        here = here[part]
    assert path in set(paths_of_mappings(data))

    here["surprise"] = 1

    assert not accepts(schema, data, schema)


def test_the_schema_rejects_a_missing_key_and_a_wrong_value(shipped):
    schema = journey_schema()
    data = read_source(shipped.folder / "welcome.yaml").data

    assert not accepts(schema, {k: v for k, v in data.items() if k != "owner"}, schema)
    assert not accepts(schema, data | {"status": "alive"}, schema)
    assert not accepts(schema, data | {"priority": 101}, schema)


def test_the_schema_is_json_of_the_dialect_that_it_names():
    schema = json.loads(json.dumps(journey_schema()))

    assert schema["$schema"] == DIALECT
    assert "if" in json.dumps(schema)
    assert "if_" not in schema["$defs"]["SendStep"]["properties"]
