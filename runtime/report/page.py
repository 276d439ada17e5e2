"""Fills the page's template with tables and pictures."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from journeys.check import Checked
from journeys.drawing import svg
from journeys.duration import format_duration
from journeys.errors import Language
from journeys.localtime import print_instant
from runtime.caveats import percent
from runtime.comparing import KINDS, MOST_SHOWN, Comparison, Difference, StepDifferences, text_of
from runtime.foreseen import LAST_CHECK, Day, Foreseen, Given, money
from runtime.report.charts import bars, falling, summed, unit_for
from runtime.texts import ends_of, reason, word

LONGEST_TEXT = 120
UNITS = {"day": "per_day", "week": "per_week", "month": "per_month"}


def report(found: Foreseen, compared: Comparison | None, checked: Checked, caveats: Mapping[str, str], language: Language) -> str:
    """The whole page; the same inputs give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    environment.filters["n"] = lambda value: f"{value:,}"
    page = _Page(found, compared, checked, language)
    return environment.get_template("report.html.jinja").render(page=page, word=page.word, caveats=caveats, language=language)


class _Page:
    """What the template asks for."""

    def __init__(self, found: Foreseen, compared: Comparison | None, checked: Checked, language: Language) -> None:
        self.found, self.compared, self.checked, self.language = found, compared, checked, language
        self.unit = unit_for(len(found.days))

    def word(self, key: str, **values: Any) -> str:
        """A word in the page's language."""
        return word(key, self.language, **values)

    @property
    def span(self) -> str:
        """From when to when."""
        first, last = (print_instant(at, self.found.zone)[:16] for at in (self.found.first, self.found.last))
        return self.word("span", first=first, last=last)

    @property
    def sample(self) -> str:
        """What part of the users it is; empty for all of them."""
        return self.word("sample_of", share=percent(self.found)) if self.found.sample.share < 1 else ""

    @property
    def per(self) -> str:
        """What one bar is of."""
        return self.word(UNITS[self.unit])

    # --- tables

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One per journey that somebody came near."""
        found = self.found
        return [
            {"id": i, "name": row.name, "row": row, "refused": self._reasons(row.refused), "suppressed": self._reasons(row.suppressed),
             "held": self._reasons(row.held), "sent": self._counts(row.sent), "granted": self._counts(row.granted),
             "not_granted": self._reasons(row.not_granted), "ended": self._counts(ends_of(row.ended, self.language)),
             "cost": "" if row.cost is None else money(row.cost),
             "estimates": [(name, f.estimate(found.sample)) for name, f in sorted(row.figures.items())] if self.sample else []}
            for i, row in found.journeys.items() if not row.is_quiet
        ]  # fmt: skip

    @property
    def ends_by_goal(self) -> bool:
        """Whether anybody left by a goal: then two columns speak of conversions."""
        return any(row.ended.get("converted") for row in self.found.journeys.values())

    @property
    def quiet(self) -> str:
        """The journeys that nobody came near."""
        names = [i for i, row in self.found.journeys.items() if row.is_quiet]
        return self.word("nobody_came", journeys=", ".join(names)) if names else ""

    def _reasons(self, counts: Mapping[str, int]) -> list[tuple[str, int]]:
        return [(reason(name, self.language), n) for name, n in self._counts(counts)]

    @staticmethod
    def _counts(counts: Mapping[str, int]) -> list[tuple[str, int]]:
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    @property
    def costs(self) -> list[dict[str, Any]]:
        """By channel and benefit; one without a price says so."""
        totals = {**self.found.totals("sent"), **{f"grant:{b}": n for b, n in self.found.totals("granted").items()}}
        return [
            {"lane": lane.removeprefix("grant:"), "n": totals[lane], "price": self.found.prices.get(lane, ""),
             "cost": self.word("no_price") if cost is None else money(cost)}
            for lane, cost in self.found.cost_by_lane().items()
        ]  # fmt: skip

    @property
    def total_cost(self) -> str:
        """Of everything that has a price."""
        known = [cost for cost in self.found.cost_by_lane().values() if cost is not None]
        return money(sum(known, Decimal())) if known else ""

    @property
    def caps(self) -> list[tuple[str, int, int]]:
        """By cap: what was not sent, and what took a later channel."""
        dropped: Counter[str] = Counter()
        fell: Counter[str] = Counter()
        for day in self.found.days.values():
            dropped.update(day.dropped)
            fell.update(day.fell_through)
        return [(self._cap(cap), dropped[cap], fell[cap]) for cap in sorted({*dropped, *fell}, key=lambda c: (-dropped[c] - fell[c], c))]

    def _cap(self, cap: str) -> str:
        return self.word("last_check") if cap == LAST_CHECK else cap

    @property
    def stages(self) -> tuple[list[str], list[tuple[str, list[int]]]]:
        """Names, and the numbers by month."""
        names = list(dict.fromkeys(name for then in self.found.stages.values() for name in then))
        return names, [(month, [then.get(name, 0) for name in names]) for month, then in self.found.stages.items()]

    # --- pictures

    def _chart(self, of: Any, title: str) -> Markup:
        days: dict[date, Mapping[str, float]] = {day: of(found) for day, found in self.found.days.items()}
        return Markup(bars(summed(days, self.unit), self.word(title)))  # noqa: S704 - made by charts, which escapes every name

    @property
    def sends(self) -> Markup:
        """Messages by channel."""
        return self._chart(lambda day: day.sent, "sends_chart")

    @property
    def suppressed(self) -> Markup:
        """What was not sent, by reason."""
        return self._chart(lambda day: {reason(r, self.language): n for r, n in day.suppressed.items()}, "suppressed_chart")

    @property
    def pressure(self) -> Markup:
        """What caps did."""

        def of(day: Day) -> dict[str, float]:
            found = {f"{self._cap(cap)}: {self.word('dropped_by_cap')}": n for cap, n in day.dropped.items()}
            return {**found, **{f"{self._cap(cap)}: {self.word('fell_through')}": n for cap, n in day.fell_through.items()}}

        return self._chart(of, "caps_chart")

    @property
    def budgets(self) -> list[dict[str, Any]]:
        """Of each benefit that was given and has a budget: the line of what was left, and when nothing was."""
        shown = []
        for benefit, total in self.found.budgets.items():
            granted = [day.granted[benefit] for day in self.found.days.values()]
            if total is None or not sum(granted):
                continue
            left = [total - sum(granted[: n + 1]) for n in range(len(granted))]
            used_up = next((day for day, rest in zip(self.found.days, left, strict=True) if rest <= 0), None)
            chart = falling(list(self.found.days), {benefit: left}, benefit)
            shown.append({"benefit": benefit, "total": total, "granted": sum(granted), "left": left[-1], "chart": Markup(chart),  # noqa: S704
                          "used_up": self.word("budget_used_up", day=used_up.isoformat()) if used_up else ""})  # fmt: skip
        return shown

    def flow(self, journey: str) -> Markup:
        """How people went."""
        return Markup(svg(self.checked.journeys[journey], self.found.journeys[journey].counts, language=self.language))  # noqa: S704

    # --- two versions

    @property
    def entrants(self) -> list[tuple[str, int, int, int]]:
        """Journeys that others enter: how many only after, only before, in both."""
        entries = self.compared.entries if self.compared is not None else {}
        return [(journey, after, before, both) for journey, (before, after, both) in entries.items() if before or after]

    @property
    def kinds(self) -> tuple[str, ...]:
        """How deliveries may differ."""
        return KINDS

    @property
    def differing(self) -> list[dict[str, Any]]:
        """The steps where something differs, with some users of each kind."""
        steps = self.compared.differing if self.compared is not None else []
        return [
            {"step": s, "counts": [len(s.of(how)) for how in KINDS], "shift": format_duration(s.shift) if s.of("moved") else "",
             "examples": self._examples(s)}
            for s in steps
        ]  # fmt: skip

    def _examples(self, step: StepDifferences) -> list[dict[str, Any]]:
        return [
            {"how": self.word(how), "user": d.any.user_id, "before": self._said(d.before), "after": self._said(d.after)}
            for how in KINDS
            for d in self._some(step.of(how))
        ]

    @staticmethod
    def _some(differences: list[Difference]) -> list[Difference]:
        return differences[:MOST_SHOWN]

    def _said(self, given: Given | None) -> str:
        if given is None:
            return ""
        text = text_of(given)
        short = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
        return f"{print_instant(given.at, self.found.zone)[:16]} {given.channel}: {short}"
