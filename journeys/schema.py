"""The JSON Schema of journey files and of audience.yaml, for editors."""

from typing import Any

from journeys.audience import AudienceModel
from journeys.model import Journey

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def journey_schema() -> dict[str, Any]:
    """The schema of a journey file."""
    return _schema(Journey)


def audience_schema() -> dict[str, Any]:
    """The schema of audience.yaml."""
    return _schema(AudienceModel)


def _schema(model: type[Journey] | type[AudienceModel]) -> dict[str, Any]:
    return {"$schema": DIALECT, **model.model_json_schema(by_alias=True)}
