"""Where boxes and arrows stand on paper: the one place that knows the library graphlay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import graphlay

Point = tuple[float, float]
_OPTIONS: dict[str, Any] = {
    "direction": "topbottom",
    "routing": {"style": "orthogonal", "bundle_parallel": True},
    "spacing": {"layer_gap": 24, "node_gap": 26, "dummy_gap": 22},
    "compaction": {"mode": "priority"},
}
_COLUMN = 300.0  # pixels; only the order counts


@dataclass(frozen=True, slots=True)
class Box:
    """A box to be placed, in pixels. `column` says how far to the right of others it should stand, where nothing speaks against it."""

    width: float
    height: float
    column: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow between two boxes, by their indices: how thick its line is, and whether it is on the main way, which is kept straight."""

    source: int
    target: int
    thickness: float = 1.0
    main: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Left upper corners by box, polylines by link (border to border), and the size of the whole; it begins at (0, 0)."""

    corners: tuple[Point, ...]
    lines: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def lay_out(boxes: Sequence[Box], links: Sequence[Link]) -> Placement:
    """Boxes in layers from top to bottom, none over another; arrows at right angles around them. The same input gives the same output."""
    nodes = [
        {"size": {"width": box.width, "height": box.height}, "shape": "box", "position": {"x": box.column * _COLUMN, "y": 0.0}}
        for box in boxes
    ]
    graph = {
        "nodes": nodes,
        "edges": [
            {"source": link.source, "target": link.target, "weight": 8.0 if link.main else 1.0, "thickness": link.thickness}
            for link in links
        ],
    }
    found = graphlay.layout(graph, preset="layered", options=_OPTIONS)
    corners = [(n["center"]["x"] - n["size"]["width"] / 2, n["center"]["y"] - n["size"]["height"] / 2) for n in found.nodes]
    lines = [tuple((p["x"], p["y"]) for p in edge["points"]) for edge in found.edges]
    low, high = found.bounds["min"], found.bounds["max"]
    return Placement(
        tuple((round(x - low["x"], 1), round(y - low["y"], 1)) for x, y in corners),
        tuple(tuple((round(x - low["x"], 1), round(y - low["y"], 1)) for x, y in line) for line in lines),
        round(high["x"] - low["x"], 1),
        round(high["y"] - low["y"], 1),
    )
