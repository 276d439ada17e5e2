"""`journeyd schema`."""

from typing import Annotated

from cyclopts import Parameter

from journeys.schema import audience_schema, journey_schema
from runtime.commandline import OK, print_json


def schema(*, audience: Annotated[bool, Parameter(negative=())] = False) -> int:
    """The JSON Schema of journey files (or of audience.yaml), for editors."""
    print_json(audience_schema() if audience else journey_schema())
    return OK
