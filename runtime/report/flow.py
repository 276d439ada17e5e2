"""How people went through a journey, as a list of its steps with bars. To be the journey's own drawing."""

from html import escape

from journeys.compiled import CompiledJourney
from journeys.errors import Language
from runtime.foreseen import Counts


def svg(journey: CompiledJourney, counts: Counts | None = None, *, language: Language = "en") -> str:
    """One `<svg>` element; the same input gives the same bytes."""
    del language
    reached = counts.steps if counts is not None else {}
    most = max(reached.values(), default=0) or 1
    rows = ["$entry", *journey.steps]
    parts = [
        f'<text x="4" y="{22 * n + 16}">{escape(step)}</text><rect class="c0" x="240" y="{22 * n + 4}" height="16"'
        f' width="{500 * reached.get(step, 0) / most:.0f}"/><text x="750" y="{22 * n + 16}">{reached.get(step, 0):,}</text>'
        for n, step in enumerate(rows)
    ]
    return f'<svg viewBox="0 0 860 {22 * len(rows) + 4}" role="img">{"".join(parts)}</svg>'
