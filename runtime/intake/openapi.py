"""The OpenAPI document of everything that is posted to journeyd, written by hand: the hot routes are plain ones."""

from importlib.metadata import version
from typing import Any

from runtime.intake.segment import CALLS, SHORT

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 256}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
TIME: Schema = {
    "description": "ISO 8601 (without an offset: in the zone of the source), or epoch seconds or milliseconds; none is the time of receipt",
    "oneOf": [{"type": "string", "examples": ["2026-12-01T12:00:00+08:00"]}, {"type": "number"}],
}
IDENTITIES: Schema = {
    "type": "object",
    "description": "openid, unionid, push_id, distinct_id (of a device), phone, email, and others; null forgets one",
    "propertyNames": {"maxLength": 32},
    "additionalProperties": {"type": ["string", "null"], "maxLength": 256},
}
ANSWER: Schema = {
    "oneOf": [
        {"type": "boolean"},
        {
            "type": "object", "required": ["granted"], "additionalProperties": False,
            "properties": {"granted": {"type": "boolean"}, "source": {"type": "string"}, "wording": {"type": "string"}, "at": TIME},
        },
    ]
}  # fmt: skip


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_or_many(name: str) -> Schema:
    return {"oneOf": [_reference(name), {"type": "array", "items": _reference(name)}]}


def _traits(description: str) -> Schema:
    return {**OBJECT, "description": description}


SCHEMAS: dict[str, Schema] = {
    "Event": {
        "type": "object", "required": ["type"],
        "properties": {
            "id": {**TEXT, "description": "with the source it makes the event this one; a repeat is a duplicate"},
            "type": {**TEXT, "examples": ["order_paid"]}, "user_id": TEXT, "identities": IDENTITIES, "time": TIME, "data": OBJECT,
        },
    },
    "CloudEvent": {
        "type": "object", "required": ["specversion", "id", "source", "type", "subject"],
        "properties": {
            "specversion": {"const": "1.0"}, "id": TEXT, "source": TEXT, "type": TEXT,
            "subject": {**TEXT, "description": "the user"}, "time": TIME, "data": OBJECT,
        },
    },
    "User": {
        "type": "object",
        "properties": {
            "id": TEXT, "user_id": TEXT, "identities": IDENTITIES, "traits": _traits("values by trait; null takes one away"),
            "set_once": _traits("values where there is none yet"), "increment": _traits("numbers to add"),
            "append": _traits("to the end of lists"),
            "tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "remove_tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "consents": {"type": "object", "propertyNames": {"maxLength": 64}, "additionalProperties": {
                "type": "object", "properties": {"service": ANSWER, "marketing": ANSWER}, "additionalProperties": False}},
            "zone": {"type": "string", "examples": ["Asia/Shanghai"]},
            "merge": {"type": "array", "items": TEXT, "description": "former ids of hers; the source needs may_assert identity_merge"},
        },
    },
    "Enrolment": {
        "type": "object", "required": ["user_id"],
        "properties": {
            "id": {**TEXT, "description": "with source and journey it makes the entry this one; a repeat is a duplicate"},
            "user_id": TEXT, "data": {**OBJECT, "description": "what the journey reads as entry.FIELD"},
        },
    },
    "SegmentMessage": {
        "type": "object",
        "properties": {
            "type": {"enum": list(CALLS)}, "messageId": TEXT, "userId": {"type": ["string", "null"]},
            "anonymousId": {"type": ["string", "null"]}, "timestamp": TIME, "event": TEXT, "name": {"type": "string"},
            "properties": OBJECT, "traits": OBJECT, "context": OBJECT, "previousId": TEXT, "groupId": TEXT, "sentAt": TIME,
            "writeKey": {"type": "string"},
        },
    },
    "SegmentBatch": {
        "type": "object", "required": ["batch"],
        "properties": {"batch": {"type": "array", "items": _reference("SegmentMessage")}, "sentAt": TIME, "writeKey": {"type": "string"}},
    },
    "GrowingMessage": {
        "type": "object", "required": ["eventType"],
        "properties": {
            "eventType": {"type": "string", "examples": ["CUSTOM", "LOGIN_USER_ATTRIBUTES"]}, "eventName": {"type": "string"},
            "timestamp": {"type": "integer"}, "deviceId": {"type": "string"}, "userKey": {"type": "string"},
            "userId": {"type": "string"}, "attributes": OBJECT, "sendTime": {"type": "integer"},
        },
    },
    "GrowingItem": {
        "type": "object", "required": ["key", "id"],
        "properties": {"key": {"type": "string"}, "id": {"type": "string"}, "attributes": OBJECT},
    },
    "SensorsForm": {
        "type": "object",
        "properties": {
            "data": {"type": "string", "description": "base64 of one message, with gzip=1 compressed"},
            "data_list": {"type": "string", "description": "base64 of a list of messages"}, "gzip": {"enum": ["0", "1"]},
        },
    },
    "Taken": {
        "type": "object",
        "properties": {
            "accepted": {"type": "integer"}, "duplicates": {"type": "integer"}, "quarantined": {"type": "integer"},
            "success": {"type": "boolean"}, "reason": {"type": "string"},
            "reasons": {"type": "array", "items": {
                "type": "object", "properties": {"index": {"type": "integer"}, "reason": {"type": "string"}}}},
        },
    },
    "Refused": {"type": "object", "required": ["error", "reason"],
                "properties": {"error": {"type": "string"}, "reason": {"type": "string"}}},
}  # fmt: skip
_REFUSALS = {
    "400": "no JSON, or a body that is cut short", "401": "the signature does not fit", "413": "too large",
    "404": "there is no such journey", "409": "the journey is not entered by call",
    "415": "an encoding or charset that is not known", "503": "nothing was kept; send it again",
}  # fmt: skip


def _answers(*refusals: str) -> dict[str, Any]:
    taken = {"description": "kept, durably; what could not be taken is set aside with its reason", "content": _json(_reference("Taken"))}
    return {"200": taken} | {code: {"description": _REFUSALS[code], "content": _json(_reference("Refused"))} for code in refusals}


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _post(summary: str, content: dict[str, Any], *refusals: str, **more: Any) -> dict[str, Any]:
    return {"summary": summary, "requestBody": {"required": True, "content": content}, "responses": _answers(*refusals), **more}


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of the intake."""
    signed: Schema = {"security": [{"standardWebhooks": []}]}
    key: Schema = {"security": [{"writeKey": []}]}
    events = {
        **_json(_one_or_many("Event")),
        "application/cloudevents+json": {"schema": _reference("CloudEvent")},
        "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _reference("CloudEvent")}},
    }
    project = {"name": "project", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    asked = {"name": "project", "in": "query", "schema": {"type": "string", "default": "default"}}
    sensors = _post("Sensors Analytics", {"application/x-www-form-urlencoded": {"schema": _reference("SensorsForm")}}, "503",
                    parameters=[asked])  # fmt: skip
    growing = _post("GrowingIO events and users", _json({"type": "array", "items": _reference("GrowingMessage")}), "503",
                    parameters=[project, {"name": "stm", "in": "query", "schema": {"type": "integer"}}])  # fmt: skip
    item = _post("GrowingIO items", _json({"type": "array", "items": _reference("GrowingItem")}), "503", parameters=[project])
    paths: dict[str, Any] = {
        "/v1/events": {"post": _post("Events", events, "400", "401", "413", "415", "503", **signed)},
        "/v1/users": {"post": _post("User records", _json(_one_or_many("User")), "400", "401", "413", "415", "503", **signed)},
        "/v1/batch": {"post": _post("Segment, RudderStack", _json(_reference("SegmentBatch")), "400", "413", "415", "503", **key)},
        "/v1/journeys/{journey}/enrolments": {
            "post": _post("Entries into a journey with `entry: {api: true}`", _json(_one_or_many("Enrolment")),
                          "400", "401", "404", "409", "413", "415", "503", parameters=[{**project, "name": "journey"}], **signed)},
        **{f"/v1/{call}": {"post": _post(f"Segment: {call}", _json(_reference("SegmentMessage")), "400", "413", "415", "503", **key)}
           for call in CALLS},
        **{f"/v1/{short}": {"post": _post(f"analytics.js: {call}", _json(_reference("SegmentBatch" if short == "b" else "SegmentMessage")),
                                          "400", "413", "415", "503", **key)} for short, call in SHORT.items()},
        "/sa": {"post": sensors, "get": {"summary": "Sensors Analytics", "responses": _answers("503"), "parameters": [
            asked, *({"name": name, "in": "query", "schema": {"type": "string"}} for name in ("data", "data_list", "gzip"))]}},
        "/debug": {"post": {**sensors, "summary": "Sensors Analytics, debug mode", "responses": _answers("400", "503")}},
        "/v3/projects/{project}/collect": {"post": growing},
        "/projects/{project}/collect/item": {"post": item},
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "journeyd intake", "version": version("journeyd")},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "standardWebhooks": {"type": "apiKey", "in": "header", "name": "webhook-signature",
                                     "description": "Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature"},
                "writeKey": {"type": "http", "scheme": "basic", "description": "the write key as the user name, no password"},
            },
        },
    }  # fmt: skip
