"""Small pictures as inline SVG, without scripts: stacked bars over days, weeks or months, and lines that fall. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import Literal

WIDTH, HEIGHT = 860, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 10, 26
MOST_DAYS, MOST_WEEKS = 120, 120  # shown one by one; more are added up
TICKS = 8
PALETTE = 10  # classes c0 to c9 of the page's style
Unit = Literal["day", "week", "month"]


@dataclass(frozen=True)
class Series:
    """Values over time, by name; `unit` says what one value is of, `begins` when each of these begins."""

    unit: Unit
    begins: Sequence[date]
    values: Mapping[str, Sequence[float]]


def unit_for(days: int) -> Unit:
    """What to add up, so that the bars can be told apart."""
    return "day" if days <= MOST_DAYS else "week" if days <= MOST_WEEKS * 7 else "month"


def summed(days: Mapping[date, Mapping[str, float]], unit: Unit) -> Series:
    """Counts by day, added up by unit; names in the order of how much they are."""
    begins = list(dict.fromkeys(begin_of(day, unit) for day in days))
    place = {begin: n for n, begin in enumerate(begins)}
    values: dict[str, list[float]] = {}
    for day, counts in days.items():
        for name, n in counts.items():
            values.setdefault(name, [0.0] * len(begins))[place[begin_of(day, unit)]] += n
    return Series(unit, begins, dict(sorted(values.items(), key=lambda item: (-sum(item[1]), item[0]))))


def begin_of(day: date, unit: Unit) -> date:
    """The day on which a day's unit begins; weeks begin on Monday."""
    return day if unit == "day" else day - timedelta(days=day.weekday()) if unit == "week" else day.replace(day=1)


def bars(series: Series, title: str) -> str:
    """Stacked bars with an axis, a legend and, under the pointer, each bar's numbers."""
    highest = max((sum(column) for column in zip(*series.values.values(), strict=True)), default=0)
    if not highest:
        return ""
    top = _round_up(highest)
    width = (WIDTH - LEFT - RIGHT) / max(len(series.begins), 1)
    parts = [_axes(series.begins, top, width)]
    for n, begin in enumerate(series.begins):
        filled = 0.0
        for index, (name, values) in enumerate(series.values.items()):
            if values[n]:
                height = values[n] / top * (HEIGHT - TOP - BOTTOM)
                y = HEIGHT - BOTTOM - filled - height
                parts.append(
                    f'<rect class="c{index % PALETTE}" x="{LEFT + n * width + width * 0.08:.1f}" y="{y:.1f}" width="{width * 0.84:.1f}"'
                    f' height="{height:.1f}"><title>{begin.isoformat()}\n{escape(name)}: {values[n]:,.0f}</title></rect>'
                )
                filled += height
    return _figure(parts, title, list(series.values))


def falling(begins: Sequence[date], lines: Mapping[str, Sequence[float]], title: str) -> str:
    """Lines that fall from what there was at first: one value for each day."""
    highest = max((max(values, default=0) for values in lines.values()), default=0)
    if not highest:
        return ""
    top = _round_up(highest)
    width = (WIDTH - LEFT - RIGHT) / max(len(begins), 1)
    parts = [_axes(begins, top, width)]
    for index, (name, values) in enumerate(lines.items()):
        points = " ".join(
            f"{LEFT + (n + 0.5) * width:.1f},{HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM):.1f}"
            for n, value in enumerate(values)
        )
        parts.append(f'<polyline class="l{index % PALETTE}" points="{points}"><title>{escape(name)}: {values[-1]:,.0f}</title></polyline>')
    return _figure(parts, title, list(lines))


def _figure(parts: Sequence[str], title: str, names: Sequence[str]) -> str:
    legend = "".join(f'<span><i class="k{n % PALETTE}"></i>{escape(name)}</span>' for n, name in enumerate(names))
    inside = "".join(parts)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{inside}</svg>'
        f'<p class="legend">{legend}</p>'
    )


def _axes(begins: Sequence[date], top: float, width: float) -> str:
    parts = []
    for share in (0, 0.5, 1):
        y = HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(top * share)}</text>')
    every = max(-(-len(begins) // TICKS), 1)
    for n in range(0, len(begins), every):
        x = LEFT + (n + 0.5) * width
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{begins[n].isoformat()}</text>')
    return "".join(parts)


def _round_up(highest: float) -> float:
    """The next 1, 2 or 5 with noughts, so that half of it is round too."""
    size = 1.0
    while size * 10 <= highest:
        size *= 10
    return next(size * n for n in (1, 2, 4, 6, 8, 10) if size * n >= highest)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
