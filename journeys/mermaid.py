"""A journey as a Mermaid state diagram."""

from journeys.compiled import CompiledJourney
from journeys.diagram import Counts, Node, diagram
from journeys.errors import Language
from journeys.labels import say

_SPELLED = str.maketrans(
    {";": "；", ":": "：", "#": "＃", '"': "'", "\n": " ", "\u00a0": " ", "<": "＜", ">": "＞", "%": "％", "{": "｛", "}": "｝"}
)


def mermaid(journey: CompiledJourney, counts: Counts | None = None, *, language: Language = "en") -> str:
    """Mermaid text of the journey; the same journey gives the same text."""
    picture = diagram(journey, counts, language)
    names = {identifier: f"s{index}" for index, identifier in enumerate(picture.nodes)}
    lines = ["stateDiagram-v2", *(f"    %% {_safe(line)}" for line in picture.head), f"    [*] --> {next(iter(names.values()))}"]
    lines += [f"    {names[node.id]}: {_safe(_label(node, language))}" for node in picture.nodes.values()]
    for edge in picture.edges:
        label = _safe(" / ".join(edge.labels))
        lines.append(f"    {names[edge.source]} --> {names[edge.target]}" + (f": {label}" if label else ""))
    lines += [f"    {names[node.id]} --> [*]" for node in picture.nodes.values() if node.kind in ("exit", "end")]
    return "\n".join(lines) + "\n"


def _label(node: Node, language: Language) -> str:
    head = f"{say(node.kind, language)} {node.name}" if node.name != node.kind else say(node.kind, language)
    count = f" ({node.count:,})" if node.count is not None else ""
    return " · ".join([head.strip() + count, *(line.text for line in node.lines if not line.quiet)])


def _safe(text: str) -> str:
    """Mermaid reads some letters of a label as its own; they are spelled with full-width ones, which it leaves alone."""
    return text.translate(_SPELLED)
