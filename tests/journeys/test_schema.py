import copy
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from journeys.descriptions import DESCRIPTIONS
from journeys.model import KINDS as KINDS_OF_STEPS
from journeys.model import Clock, Duration, Pace, SignedDuration, Window
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
        "not", "minProperties", "maxProperties", "patternErrorMessage", "errorMessage",
    }  # fmt: skip
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, root)
    fits = [
        "type" not in schema
        or any(has_type(value, kind) for kind in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"])),
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(accepts(s, value, root) for s in schema["anyOf"]),
        "not" not in schema or not accepts(schema["not"], value, root),
        "oneOf" not in schema or sum(accepts(s, value, root) for s in schema["oneOf"]) == 1,
    ]
    if isinstance(value, dict):
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        fits.append(set(schema.get("required", ())) <= set(value))
        fits.append(schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)))
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


def described(schema):
    for name, definition in {"": schema, **schema["$defs"]}.items():
        for key, value in definition.get("properties", {}).items():
            yield f"{name}.{key}", value.get("description", "")
        yield name, definition.get("description", "")


@pytest.mark.parametrize("schema", [journey_schema(), audience_schema()], ids=["journey", "audience"])
def test_every_key_is_described_in_chinese_and_in_english(schema):
    wrong = [key for key, text in described(schema) if not re.fullmatch(r"[^\n]*[一-鿿][^\n]*\n\n[ -~…]+", text) and key != "Step"]

    assert wrong == []


def test_every_description_is_of_a_key_that_exists():
    schemas = [journey_schema(), audience_schema()]
    keys = {"Journey": set(schemas[0]["properties"]), "AudienceModel": set(schemas[1]["properties"]), "StepBase": {"id", "was", "if"}}
    for schema in schemas:
        keys |= {name: set(definition.get("properties", {})) for name, definition in schema["$defs"].items()}

    unknown = {name: left for name, texts in DESCRIPTIONS.items() if (left := set(texts) - {""} - keys.get(name, set()))}

    assert unknown == {}


def names_said(definition):
    """The values that a choice allows."""
    return definition.get("enum") or [v for choice in definition.get("anyOf", ()) for v in choice.get("enum", ())]


@pytest.mark.parametrize("schema", [journey_schema(), audience_schema()], ids=["journey", "audience"])
def test_a_choice_is_explained_value_by_value(schema):
    known = {"StepBase", "days", "type", "receipts"}  # weekdays and types say themselves
    missing = [
        f"{name}.{key}: {value}"
        for name, definition in {"": schema, **schema["$defs"]}.items()
        for key, meant in definition.get("properties", {}).items()
        if key not in known
        for value in names_said(meant)
        if str(value) not in meant["description"]
    ]

    assert missing == []


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("max_lateness", ["30m", "1d12h", "2w"], ["3 days", "-1d", "d", "", 3]),
        ("holdout", ["10%", "0%", "100%", "12.5%"], ["10", "101%", 10]),
        ("id", ["a", "win_back_30d"], ["A", "1a", "a-b"]),
    ],
)
def test_texts_of_a_form_are_checked_by_a_pattern(shipped, key, good, bad):
    schema = journey_schema()
    data = read_source(shipped.folder / "win_back_30d.yaml").data

    assert [value for value in good if not accepts(schema, data | {key: value}, schema)] == []
    assert [value for value in bad if accepts(schema, data | {key: value}, schema)] == []


SCHEMA = journey_schema()


@given(
    st.text("0123456789wdhms-: %per", max_size=14)
    | st.from_regex(r"-?([0-9]{1,2}[wdhms]){1,2}|[0-2][0-9]:[0-5][0-9](-[0-2][0-9]:[0-5][0-9])?", fullmatch=True)
)
def test_the_patterns_take_what_the_language_takes(text):
    cases = {
        ("Goal", "within"): Duration, ("Until", "offset"): SignedDuration, ("Until", "at"): Clock, ("SendStep", "between"): Window, ("Entry", "pace"): Pace,
    }  # fmt: skip

    for (model, key), kind in cases.items():
        by_pattern = re.search(SCHEMA["$defs"][model]["properties"][key]["pattern"], text) is not None
        assert by_pattern or not fits(kind, text) or text.startswith("-0"), (key, text)  # an editor may be milder, never stricter


def fits(kind, text):
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


def test_a_step_without_a_kind_is_offered_the_kinds_and_accepted_until_it_has_one():
    schema = journey_schema()
    step = schema["$defs"]["Step"]

    assert accepts(step, {"id": "a"}, schema)
    assert accepts(step, {"id": "a", "delay": "3d"}, schema)
    assert not accepts(step, {"id": "a", "delay": "3d", "exit": "b"}, schema)
    assert not accepts(step, {"id": "a", "delay": "3d", "between": "08:00-09:00"}, schema)
    assert list(schema["$defs"]["Unfinished"]["properties"]) == ["id", "was", "if", *KINDS_OF_STEPS]


def test_the_schema_is_json_of_the_dialect_that_it_names():
    schema = json.loads(json.dumps(journey_schema()))

    assert schema["$schema"] == DIALECT
    assert "if" in json.dumps(schema)
    assert "if_" not in schema["$defs"]["SendStep"]["properties"]
