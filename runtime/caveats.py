"""What a simulation cannot know, and what it has assumed: said beside every result."""

from collections.abc import Iterator

from journeys.errors import Language
from journeys.localtime import print_instant
from runtime.foreseen import Foreseen
from runtime.simulatetexts import caveat


def caveats_of(
    found: Foreseen, language: Language, *, from_database: bool, has_users: bool, has_history: bool, bad_rows: int = 0
) -> dict[str, str]:  # fmt: skip
    """By code, in the order of their weight, those that hold for this run; `bad_rows` of its files were passed over."""
    said = _said(found, from_database=from_database, has_users=has_users, has_history=has_history, bad_rows=bad_rows)
    return {code: caveat(code, language, **values) for code, values in said}


def _said(
    found: Foreseen, *, from_database: bool, has_users: bool, has_history: bool, bad_rows: int
) -> Iterator[tuple[str, dict[str, str]]]:  # fmt: skip
    if found.silence is not None:
        after, until = (print_instant(at, found.zone)[:10] for at in found.silence)
        yield "silence", {"after": after, "until": until}
    if bad_rows:
        yield "bad_rows", {"n": f"{bad_rows:,}"}
    yield from ((code, {}) for code in ("reactions", "conversions", "vendors"))
    if not has_users:
        yield "today" if from_database else "everybody", {}
    if found.totals("sent")["wechat"]:
        yield "credits", {}
    if not has_history:
        yield "cold_start", {}
    if found.sample.share < 1:
        yield "sample", {"share": percent(found), "users": f"{found.users:,}"}
    unknown = [lane.removeprefix("grant:") for lane, cost in found.cost_by_lane().items() if cost is None]
    if unknown and found.prices:
        yield "prices", {"lanes": ", ".join(unknown)}
    if not found.prices:
        yield "no_prices", {}
    if found.drafts:
        yield "drafts", {"journeys": ", ".join(found.drafts)}
    if found.quarantined:
        yield "quarantined", {"n": f"{found.quarantined:,}"}


def percent(found: Foreseen) -> str:
    """The sample's share, as it was asked for: `10%`."""
    return f"{found.sample.parts / 100:g}%"
