"""`journeyd graph`."""

import sys
from pathlib import Path

from journeys.compiled import CompiledJourney
from journeys.diagram import mermaid
from journeys.errors import did_you_mean
from runtime.applying import check_project
from runtime.commandline import FAILED, OK, Config, Json, Stop, print_json
from runtime.settings import Project, load_project


def graph(journey: str, *, config: Config = Path(), json: Json = False) -> int:
    """A journey as a Mermaid diagram (mermaid.live, or any editor that draws Mermaid)."""
    project = load_project(config)
    compiled = _one(project, journey)
    if json:
        print_json(
            {
                "journey": compiled.id,
                "mermaid": mermaid(compiled),
                "steps": [{"id": s.id, "kind": s.kind, "moves": dict(s.moves)} for s in compiled.steps.values()],
            }
        )
    else:
        sys.stdout.write(mermaid(compiled))
    return OK


def _one(project: Project, journey: str) -> CompiledJourney:
    checked = check_project(project)
    compiled = checked.journeys.get(journey)
    if compiled is None:
        hint = did_you_mean(journey, checked.journeys)
        raise Stop(
            FAILED, f"there is no journey {journey} without errors" + (f", did you mean {hint}?" if hint else "") + "; see `journeyd check`"
        )
    return compiled
