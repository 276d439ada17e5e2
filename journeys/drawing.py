"""A journey as SVG: one element that stands alone or inside a page, without scripts, fonts or anything else from outside."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from journeys.compiled import CompiledJourney
from journeys.diagram import Counts, Diagram, Edge, Node, Stage, diagram
from journeys.errors import Language
from journeys.labels import say
from journeys.layout import Box, Link, Placement, Point, lay_out
from journeys.textwidth import em, sure, wrap

FONT = 13.0  # pixels; quiet lines and labels are SMALL
SMALL = 12.0
LINE = 1.45  # of the font's size, from one line to the next
PADDING = 10.0
MARGIN = 20.0
WIDEST = (270.0, 420.0)  # of a line of text: the second where the first would make more than MOST_LINES lines
WIDEST_LABEL = (230.0, 330.0)
MOST_LINES = 8
CORNER = 8.0
THIN, THICK = 1.5, 11.0  # of an arrow without a number or with the smallest, and of the one that most took
_FAMILY = (
    'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"PingFang SC","Hiragino Sans GB","Microsoft YaHei",'
    '"Noto Sans CJK SC","Noto Sans SC","WenQuanYi Zen Hei",sans-serif'
)
# of each kind: paper and border by day, paper and border by night
_COLOURS = {
    "entry": ("#e3f6e8", "#2c7a43", "#12301c", "#5fbf7c"), "send": ("#e2efff", "#2563b8", "#10263f", "#6aa5f0"),
    "delay": ("#fdf3d7", "#96690a", "#332708", "#d9ad4a"), "wait_for": ("#ffe9d6", "#b05a10", "#3a2410", "#eda068"),
    "branch": ("#efe8fd", "#6b45b8", "#261a40", "#b095f0"), "split": ("#f9e4f6", "#a1348f", "#3a1634", "#e58ad6"),
    "grant": ("#ffe5e9", "#b8324c", "#3d141c", "#f08a9c"), "update": ("#dff5f3", "#17756c", "#0d2f2c", "#58c2b6"),
    "call": ("#e6eaf0", "#4a5d78", "#1d2633", "#9db1cc"), "goto": ("#eeeeee", "#666666", "#2a2a2a", "#aaaaaa"),
    "exit": ("#f1efec", "#6f6558", "#2b2823", "#b5a998"), "end": ("#f1efec", "#6f6558", "#2b2823", "#b5a998"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """One line of a box, ready to be set."""

    text: str
    style: str  # b name, q quiet, t plain, l label
    size: float
    kind: str = ""  # of the step, before its name, in the kind's colour

    @property
    def width(self) -> float:
        """In pixels, on the safe side."""
        return em(f"{self.kind} {self.text}" if self.kind else self.text, bold=self.style == "b") * self.size


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of text with the size of the box around them."""

    texts: tuple[Text, ...]
    width: float
    height: float


def svg(journey: CompiledJourney, counts: Counts | None = None, *, language: Language = "en") -> str:
    """The journey as one `<svg>` element; the same input gives the same bytes. With counts, arrows are as wide as many took them.

    Text is never cut: boxes are as large as the text on the safe side, long lines are wrapped. Ids and styles are its own, so that
    several stand in one page; it follows the reader's light or dark scheme.
    """
    return draw(diagram(journey, counts, language), language)


def draw(picture: Diagram, language: Language) -> str:
    """The SVG of a picture that is there already."""
    return _Sheet(picture, language).draw()


class _Sheet:
    def __init__(self, picture: Diagram, language: Language) -> None:
        self.picture, self.language = picture, language
        self.most = max((edge.count or 0 for edge in picture.edges), default=0)

    def draw(self) -> str:
        picture = self.picture
        nodes = list(picture.nodes.values())
        blocks = [_node_block(node, self.language) for node in nodes]
        index = {node.id: number for number, node in enumerate(nodes)}
        columns = _columns(picture)
        boxes = [Box(block.width, block.height, columns[node.id]) for node, block in zip(nodes, blocks, strict=True)]
        links: list[Link] = []
        label_blocks: list[Block] = []
        routes: list[tuple[Edge, tuple[int, ...]]] = []
        for edge in picture.edges:
            thickness, main = self._thickness(edge), picture.nodes[edge.target].kind not in ("end", "exit")
            source, target = index[edge.source], index[edge.target]
            if not edge.labels:
                routes.append((edge, (len(links),)))
                links.append(Link(source, target, thickness, main))
                continue
            label = _label_block(edge.labels)
            label_blocks.append(label)
            column = columns.get((edge.source, edge.moves[0].trigger), columns[edge.target])
            boxes.append(Box(label.width, label.height, column))  # a label is a box on the way: nothing is laid over it
            routes.append((edge, (len(links), len(links) + 1)))
            links += [Link(source, len(boxes) - 1, thickness, main), Link(len(boxes) - 1, target, thickness, main)]
        placed = lay_out(boxes, links)
        return self._svg(nodes, blocks, label_blocks, routes, placed)

    def _thickness(self, edge: Edge) -> float:
        return round(THIN + (THICK - THIN) * (edge.count or 0) / self.most, 1) if self.most else THIN

    def _svg(
        self, nodes: Sequence[Node], blocks: Sequence[Block], labels: Sequence[Block],
        routes: Sequence[tuple[Edge, tuple[int, ...]]], placed: Placement,
    ) -> str:  # fmt: skip
        head = self._head(max(placed.width, 480.0))
        top = MARGIN + head.height
        width, height = max(placed.width, head.width) + 2 * MARGIN, top + placed.height + MARGIN
        left = MARGIN + max(head.width - placed.width, 0) / 2
        body: list[str] = [_set(head.texts, MARGIN, MARGIN)]
        for edge, numbers in routes:
            body.append(_arrow(edge, [placed.lines[number] for number in numbers], self._thickness(edge), left, top))
        for label, (x, y) in zip(labels, placed.corners[len(nodes) :], strict=True):
            body.append(f'<g class="label">{_rect(label, x + left, y + top, 4)}{_set(label.texts, x + left, y + top, label.width)}</g>')
        for node, block, (x, y) in zip(nodes, blocks, placed.corners, strict=False):
            body.append(self._box(node, block, x + left, y + top))
        title = f"{self.picture.name} ({self.picture.id})"
        description = "; ".join(self.picture.head) or title
        content = "\n".join(body)
        identifier = "j" + hashlib.sha256((content + title + description).encode()).hexdigest()[:12]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{identifier}" role="img" aria-labelledby="{identifier}-t {identifier}-d" '
            f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
            f'style="max-width:100%;height:auto" lang="{self.language}">\n'
            f'<title id="{identifier}-t">{escape(title)}</title>\n<desc id="{identifier}-d">{escape(description)}</desc>\n'
            f"<style>{_style('#' + identifier)}</style>\n"
            f'<rect class="paper" width="{width:g}" height="{height:g}"/>\n{content}\n</svg>\n'
        )

    def _head(self, width: float) -> Block:
        picture = self.picture
        name = f"{picture.name} · {picture.id}" if picture.name else picture.id
        texts = [Text(line, "b", FONT + 4) for line in wrap(name, width / (FONT + 4), _bold)]
        lines = [*([say("status", self.language, what=picture.status)] if picture.status != "live" else []), *picture.head]
        texts += [Text(part, "q", SMALL) for line in lines for part in wrap(line, width / SMALL)]
        return _block(texts)

    def _box(self, node: Node, block: Block, x: float, y: float) -> str:
        radius = min(block.height / 2, 18) if node.kind in ("entry", "end", "exit") else 6
        whole = escape(" — ".join(filter(None, [say(node.kind, self.language), node.name, *(line.text for line in node.lines)])))
        return (
            f'<g class="{node.kind}"><title>{whole}</title>{_rect(block, x, y, radius)}'
            f"{_set(block.texts, x + PADDING, y + PADDING)}{_number(node, block, x, y)}</g>"
        )


def _columns(picture: Diagram) -> dict[str | tuple[str, str], float]:
    """How far to the right each node, and each arm (by step and trigger), should stand: cases in the order of the file."""
    columns: dict[str | tuple[str, str], float] = {}

    def place(stages: Sequence[Stage], left: float) -> float:
        """Place a list of steps from this column on; returns how many columns it takes."""
        widest = 1.0
        for stage in stages:
            width = 0.0
            for arm in stage.arms:
                taken = place(arm.stages, left + width) if arm.stages else 1.0
                columns[stage.node.id, arm.move.trigger] = left + width + (taken - 1) / 2
                if arm.target not in columns and picture.nodes[arm.target].kind == "end":
                    columns[arm.target] = left + width
                width += taken
            columns[stage.node.id] = left + max(width - 1, 0) / 2
            widest = max(widest, width)
        return widest

    place(picture.stages, 0.0)
    first = columns.get(picture.stages[0].node.id, 0.0) if picture.stages else 0.0
    return dict.fromkeys(picture.nodes, first) | columns


def _number(node: Node, block: Block, x: float, y: float) -> str:
    """How many, at the right end of the first line."""
    if node.count is None:
        return ""
    style = "n" if node.count else "n zero"
    return f'<text class="{style}" x="{x + block.width - PADDING:g}" y="{y + PADDING + FONT:g}" text-anchor="end">{node.count:,}</text>'


def _node_block(node: Node, language: Language) -> Block:
    lines = [(line.text, "q" if line.quiet else "t", SMALL if line.quiet else FONT) for line in node.lines]
    kind, name = say(node.kind, language), node.name if node.name != node.kind else ""
    first, *others = wrap(name, WIDEST[0] / FONT, _bold)
    texts = [Text(first, "b", FONT, kind), *(Text(part, "b", FONT) for part in others)]
    widest = next((w for w in WIDEST if _count_lines(lines, w) <= MOST_LINES), WIDEST[-1])
    texts += [Text(part, style, size) for text, style, size in lines for part in wrap(text, widest / size)]
    block = _block(texts)
    if node.count is None:
        return block
    number = em(f"{node.count:,}", bold=True) * FONT
    return _block(texts, at_least=texts[0].width + PADDING + number)


def _bold(text: str) -> float:
    return em(text, bold=True)


def _count_lines(lines: Iterable[tuple[str, str, float]], width: float) -> int:
    return sum(len(wrap(text, width / size)) for text, _, size in lines)


def _label_block(labels: Sequence[str]) -> Block:
    lines = [(label, "l", SMALL) for label in labels]
    widest = next((w for w in WIDEST_LABEL if _count_lines(lines, w) <= MOST_LINES // 2), WIDEST_LABEL[-1])
    texts = [Text(part, style, size) for text, style, size in lines for part in wrap(text, widest / size)]
    return Block(tuple(texts), max(text.width for text in texts) + 8, sum(text.size * LINE for text in texts) + 4)


def _block(texts: Sequence[Text], at_least: float = 0.0) -> Block:
    width = max([at_least, *(text.width for text in texts)]) + 2 * PADDING
    return Block(tuple(texts), round(width + 0.5), round(sum(text.size * LINE for text in texts) + 2 * PADDING + 0.5))


def _rect(block: Block, x: float, y: float, radius: float) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{block.width:g}" height="{block.height:g}" rx="{radius:g}"/>'


def _set(texts: Sequence[Text], x: float, y: float, centred_in: float | None = None) -> str:
    """Lines of text, from their left upper corner on."""
    found: list[str] = []
    for text in texts:
        baseline = round(y + text.size * 1.1, 1)
        y += text.size * LINE
        where = f'x="{x:g}"' if centred_in is None else f'x="{x + centred_in / 2:g}" text-anchor="middle"'
        fit = "" if sure(text.text) else f' textLength="{text.width:.1f}" lengthAdjust="spacingAndGlyphs"'
        kind = f'<tspan class="k">{escape(text.kind)}</tspan>' + (" " if text.text else "") if text.kind else ""
        found.append(f'<text class="{text.style}" {where} y="{baseline:g}" font-size="{text.size:g}"{fit}>{kind}{escape(text.text)}</text>')
    return "".join(found)


def _arrow(edge: Edge, lines: Sequence[Sequence[Point]], thickness: float, left: float, top: float) -> str:
    """The line with round corners (through its label, if it has one) and its head."""
    paths = [[(x + left, y + top) for x, y in line] for line in lines]
    length, half = 7 + thickness, 3.5 + thickness * 0.7
    (before_x, before_y), (x, y) = paths[-1][-2:]
    run = max(abs(x - before_x) + abs(y - before_y), 0.1)
    dx, dy = (x - before_x) / run, (y - before_y) / run
    paths[-1][-1] = (x - dx * length * 0.8, y - dy * length * 0.8)
    head = " ".join(f"{px:g},{py:g}" for px, py in (
        (x, y), (round(x - dx * length - dy * half, 1), round(y - dy * length + dx * half, 1)),
        (round(x - dx * length + dy * half, 1), round(y - dy * length - dx * half, 1)),
    ))  # fmt: skip
    drawn = "".join(f'<path d="{_path(path)}" stroke-width="{thickness:g}"/>' for path in paths)
    style = "edge unused" if edge.count == 0 else "edge"
    return f'<g class="{style}">{drawn}<polygon points="{head}"/></g>'


def _path(points: Sequence[Point]) -> str:
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(here, before), _towards(here, after)
        parts.append(f"L{start[0]:g} {start[1]:g}Q{here[0]:g} {here[1]:g} {end[0]:g} {end[1]:g}")
    return "".join(parts) + f"L{round(points[-1][0], 1):g} {round(points[-1][1], 1):g}"


def _towards(here: Point, there: Point) -> Point:
    """A corner's length from here on the way to there, half the way at most."""
    length = abs(there[0] - here[0]) + abs(there[1] - here[1])
    share = min(CORNER, length / 2) / length if length else 0.0
    return (round(here[0] + (there[0] - here[0]) * share, 1), round(here[1] + (there[1] - here[1]) * share, 1))


def _style(scope: str) -> str:
    """The rules of one picture, all of them inside its own element; those of the night come last."""
    day = {
        "text": f"font-family:{_FAMILY};fill:#1c1e21;white-space:pre", ".b": "font-weight:600", ".q": "fill:#565b63", ".l": "fill:#565b63",
        ".n": f"font-weight:600;font-size:{FONT:g}px", ".zero": "opacity:.45", ".unused": "opacity:.5", ".paper": "fill:#ffffff",
        ".label rect": "fill:#ffffff", ".edge path": "fill:none;stroke:#9aa2ad;stroke-linejoin:round", ".edge polygon": "fill:#9aa2ad",
    }  # fmt: skip
    night = {
        "text": "fill:#e8eaed", ".q": "fill:#aab0b9", ".l": "fill:#aab0b9", ".paper": "fill:#17191c", ".label rect": "fill:#17191c",
        ".edge path": "stroke:#6b737e", ".edge polygon": "fill:#6b737e",
    }  # fmt: skip
    for kind, (paper, border, night_paper, night_border) in _COLOURS.items():
        day |= {f".{kind} rect": f"fill:{paper};stroke:{border};stroke-width:1.3", f".{kind} .k": f"fill:{border}"}
        night |= {f".{kind} rect": f"fill:{night_paper};stroke:{night_border}", f".{kind} .k": f"fill:{night_border}"}
    rules, of_night = ("".join(f"{scope} {what}{{{how}}}" for what, how in part.items()) for part in (day, night))
    return f"{rules}@media (prefers-color-scheme:dark){{{of_night}}}"
