"""The picture as SVG: every text inside its box by the measured width, no box over another, nothing from outside."""

import re
from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.compile import compile_journey
from journeys.diagram import ENTRY, Counts, Edge, diagram
from journeys.drawing import draw, svg
from journeys.labels import Line
from journeys.textwidth import em, plain

SVG = "{http://www.w3.org/2000/svg}"
KINDS = {"entry", "send", "delay", "wait_for", "branch", "split", "grant", "update", "call", "goto", "exit", "end"}
TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from("您常买的今日特价，。（）MW@abc ./_-{}<>&\"'🥚\u0301ก")), max_size=120
).map(plain)  # fmt: skip


class Drawn:
    """What an SVG holds: boxes with their texts, and lines."""

    def __init__(self, text):
        self.root = ET.fromstring(text)
        groups = [g for g in self.root.iter(f"{SVG}g") if g.get("class") in {*KINDS, "label"}]
        self.boxes = [(g.get("class"), self.box(g.find(f"{SVG}rect")), [self.text(t) for t in g.iter(f"{SVG}text")]) for g in groups]
        self.head = [self.text(t) for t in self.root.findall(f"{SVG}text")]
        self.size = tuple(float(n) for n in self.root.get("viewBox").split())[2:]

    @staticmethod
    def box(rect):
        x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        return x, y, x + width, y + height

    @staticmethod
    def text(element):
        """Left and right end by our measure, baseline, size."""
        content, style = "".join(element.itertext()), element.get("class")
        size = float(element.get("font-size") or 13)
        width, x = em(content, bold=style[0] in "bn") * size, float(element.get("x"))
        left = {None: x, "middle": x - width / 2, "end": x - width}[element.get("text-anchor")]
        return left, left + width, float(element.get("y")), size, content

    def assert_whole(self):
        for kind, (left, top, right, bottom), texts in self.boxes:
            for start, end, baseline, size, content in texts:
                assert left <= start, (kind, content)
                assert end <= right, (kind, content)
                assert top <= baseline - size * 0.8, (kind, content)
                assert baseline + size * 0.25 <= bottom, (kind, content)
            for one, other in combinations(texts, 2):
                assert one[2] != other[2] or one[1] <= other[0], (kind, one, other)
        for (_, a, _), (_, b, _) in combinations(self.boxes, 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
        width, height = self.size
        assert all(box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height for _, box, _ in self.boxes)
        assert all(end <= width for _, end, *_ in self.head)
        assert max(baseline for _, _, baseline, *_ in self.head) < min(box[1] for _, box, _ in self.boxes)


def numbers_for(journey):
    steps = {identifier: 1_234_567 * (index + 1) for index, identifier in enumerate(journey.steps)}
    moves = {(step.id, trigger): 98_765 * index for step in journey.steps.values() for index, trigger in enumerate(step.moves)}
    return Counts({ENTRY: 9_999_999, **steps}, moves)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("counted", [False, True])
def test_in_every_shipped_journey_each_text_fits_its_box_and_no_box_lies_over_another(shipped, language, counted):
    for journey in shipped.checked.journeys.values():
        drawn = Drawn(svg(journey, numbers_for(journey) if counted else None, language=language))

        assert len([kind for kind, *_ in drawn.boxes if kind != "label"]) == len(diagram(journey).nodes)
        drawn.assert_whole()


def test_no_arrow_runs_through_a_box(shipped):
    for journey in shipped.checked.journeys.values():
        drawn = Drawn(svg(journey, language="zh"))
        for path in drawn.root.iter(f"{SVG}path"):
            points = [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))]
            for (ax, ay), (bx, by) in pairwise(points):
                for _, (left, top, right, bottom), _ in drawn.boxes:
                    outside = max(ax, bx) <= left + 1 or min(ax, bx) >= right - 1 or max(ay, by) <= top + 1 or min(ay, by) >= bottom - 1
                    assert outside, (journey.id, path.get("d"))


@pytest.fixture(scope="module")
def small(workshop):
    return diagram(
        workshop.compile(
            "- id: a\n  branch: [{when: user.vip, steps: [{id: b, send: [{push: {title: x, body: y}}]}, {exit: z}]}]\n- id: c\n  delay: 1d"
        )
    )


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_is_written_it_fits(small, data):
    nodes = {
        key: replace(node, name=data.draw(TEXTS), lines=tuple(Line(data.draw(TEXTS), data.draw(st.booleans())) for _ in range(data.draw(st.integers(0, 3)))),
                     count=data.draw(st.none() | st.integers(0, 10**9)))
        for key, node in small.nodes.items()
    }  # fmt: skip
    edges = tuple(Edge(e.source, e.target, e.moves, tuple(data.draw(st.lists(TEXTS.filter(bool), max_size=2)))) for e in small.edges)
    picture = replace(small, name=data.draw(TEXTS), head=tuple(data.draw(st.lists(TEXTS, max_size=2))), nodes=nodes, edges=edges)

    Drawn(draw(picture, "zh")).assert_whole()


def test_a_long_condition_is_wrapped_and_whole(workshop):
    condition = " or ".join(f"user.city == '城市{n}'" for n in range(75))
    text = svg(workshop.compile(f"- id: a\n  if: {condition}\n  delay: 1d"))

    drawn = Drawn(text)
    drawn.assert_whole()
    shown = next("".join(t[4] for t in texts) for kind, _, texts in drawn.boxes if kind == "delay")
    assert condition.replace(" ", "") in shown.replace(" ", "")


def test_the_same_journey_gives_the_same_bytes_and_another_gives_other_ids(shipped):
    world, audience = shipped.project.world(), shipped.checked.audience
    ids = frozenset(shipped.checked.journeys)
    drawn = {}
    for loaded in shipped.definitions.journeys:
        one, two = (svg(compile_journey(loaded, audience, world, shipped.project.zone, ids)) for _ in range(2))
        assert one == two
        drawn[loaded.journey.id] = one
    found = [identifier for text in drawn.values() for identifier in re.findall(r' id="([^"]+)"', text)]
    assert len(found) == len(set(found)) == 3 * len(drawn)


def test_the_same_journey_with_other_numbers_stands_in_the_same_page(shipped):
    journey = shipped.checked.journeys["win_back_30d"]
    one, two = svg(journey), svg(journey, numbers_for(journey))

    assert not set(re.findall(r' id="([^"]+)"', one)) & set(re.findall(r' id="([^"]+)"', two))
    for text in (one, two):
        scope = re.search(r'<svg[^>]* id="([^"]+)"', text)[1]
        rules = re.search(r"<style>(.*)</style>", text)[1].replace("@media (prefers-color-scheme:dark){", "")
        assert all(f"#{scope} " in rule for rule in rules.split("}") if rule)


def test_nothing_comes_from_outside_and_nothing_runs(shipped):
    for journey in shipped.checked.journeys.values():
        text = svg(journey)

        assert not re.search(r"<script|<image|<foreignObject|href|url\(|@import|\bon\w+=", text)
        assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
        assert "prefers-color-scheme:dark" in text


def test_a_reader_that_cannot_see_it_is_told_title_and_description(shipped):
    root = Drawn(svg(shipped.checked.journeys["win_back_30d"], language="zh")).root

    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert (title.text, description.text) == (
        "沉睡 30 天召回 (win_back_30d)",
        "目标：14d 内 order_paid 条件 event.amount > 0 → 结束（converted）",
    )
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", f"{title.get('id')} {description.get('id')}")


def test_arrows_are_as_wide_as_many_took_them(workshop):
    journey = workshop.compile("- id: d\n  wait_for: {event: app_opened, timeout: 1d}\n  on_timeout: [{exit: gone}]")
    text = svg(journey, Counts({ENTRY: 100, "d": 100}, {("d", "event_1"): 50, ("d", "timeout"): 0}))

    widths = [float(width) for width in re.findall(r'stroke-width="([\d.]+)"/>', text)]
    assert widths == [11.0, 6.2, 6.2, 1.5, 1.5]
    assert text.count('class="edge unused"') == 1
    assert ">app_opened 50<" in text


def test_letters_of_unknown_width_are_fitted_by_the_viewer(workshop):
    text = svg(workshop.compile("- id: a\n  send: [{push: {title: 鸡蛋🥚到了, body: y}}]"))

    fitted = re.findall(r'textLength="([\d.]+)" lengthAdjust="spacingAndGlyphs">([^<]*)<', text)
    assert [content for _, content in fitted] == ["“鸡蛋🥚到了 / y”"]
