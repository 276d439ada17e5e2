"""Every code that `check` may report. A code is never given a second meaning; dropped codes are not used again."""

from collections.abc import Mapping

from journeys.codes import audience, conditions, files, flow, journey, names, sends, traps
from journeys.codes.code import Code

AREAS = (files, traps, names, conditions, flow, journey, sends, audience)
CODES: Mapping[str, Code] = {code: entry for area in AREAS for code, entry in area.CODES.items()}
