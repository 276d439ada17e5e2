"""Traits that are calculated from others (`value: EXPR`): what they count is remembered, and segments that read them keep time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.audience import compile_audience
from journeys.loader import load_audience_text
from runtime.facts import UserFacts
from runtime.profile import project, set_values
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, Town, event, journey_text, somebody

HELLO = "- {id: hi, send: [{push: {title: T, body: B}}]}"


def audience_text(traits, segment):
    return AUDIENCE.replace("traits:\n", f"traits:\n{traits}").replace("segments:\n", f"segments:\n  reads: {{name: R, when: {segment}}}\n")


def flips(town):
    """The edges of the segment, and the day of each."""
    return [
        (entry.action, (entry.at - NOON) / DAY)
        for _, _, entry in town.story().log
        if entry.action in ("segment_entered", "segment_left") and entry.why["segment"] == "reads"
    ]


def test_a_count_within_a_calculated_trait_counts_and_falls_back_as_its_window_moves_on(store):
    opens = audience_text("  opens: {type: number, value: \"count('app_opened', within='60d') + 0\"}\n", "user.opens >= 2")
    town = Town(store, journey_text(HELLO, entry="{segment: reads, existing: skip}"), audience_text=opens)
    for day in (0, 1, 2):
        town.post(event("app_opened", NOON + day * DAY))
        town.settle(NOON + day * DAY)

    town.settle(NOON + 70 * DAY)

    assert flips(town) == [("segment_entered", 1), ("segment_left", 61)]
    assert town.ends() == [("j", "completed")]


# --- traits that are a function of the present moment


def test_a_segment_over_a_trait_that_is_a_time_function_is_entered_and_left_by_time_alone(store):
    idle = audience_text(
        "  idle: {type: number, value: days_since(user.last_order_at)}\n  gap: {type: number, value: user.idle}\n",
        "user.gap >= 20 and 25 > user.idle",
    )
    town = Town(store, journey_text(HELLO, entry="{segment: reads, existing: skip}"), audience_text=idle)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)

    town.settle(NOON + 22 * DAY)
    assert flips(town) == [("segment_entered", 20)]

    town.settle(NOON + 40 * DAY)
    assert flips(town) == [("segment_entered", 20), ("segment_left", 25)]
    assert town.ends() == [("j", "completed")]


def test_a_wait_ends_when_a_trait_that_is_a_time_function_gets_there(store):
    idle = AUDIENCE.replace("traits:\n", "traits:\n  idle: {type: number, value: days_since(user.last_order_at)}\n")
    wait = "- {id: quiet, wait_for: {when: user.idle >= 3, timeout: 30d}}\n- {id: hi, send: [{push: {title: T, body: B}}]}"
    town = Town(store, journey_text(wait, entry="{event: order_paid}"), audience_text=idle)
    town.post(event("order_paid", NOON, amount=1))
    town.settle(NOON)

    town.settle(NOON + 4 * DAY)

    assert [(entry.action, (entry.at - NOON) / DAY) for _, _, entry in town.story().log if entry.step == "quiet"][-1] == ("matched", 3)


NUMBERS = ["idle", "alias", "deep", "floor"]
FUNCTIONS = st.sampled_from(["days_since", "days_until", "hours_since", "hours_until"])
ORDER = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
WHEN = st.sampled_from(["booked_at", "last_order_at", "copied"])


@st.composite
def towns(draw):
    """An audience whose traits stand for time functions, directly and through each other, and a condition over them."""
    times = [f"{draw(FUNCTIONS)}(user.{draw(WHEN)})" for _ in range(2)]
    default = draw(st.sampled_from(["", ", default: 4"]))
    lines = [
        "copied: {type: time, value: user.booked_at}",
        f"idle: {{type: number, value: {times[0]}}}",
        f"floor: {{type: number, value: {times[1]}{default}}}",
        f"alias: {{type: number, value: user.{draw(st.sampled_from(['idle', 'floor']))}{default}}}",
        "deep: {type: number, value: user.alias}",
        "limit: {type: number, value: user.orders_7d * 2 - user.points}",
        f"flag: {{type: boolean, value: {draw(comparisons())}}}",
    ]
    terms = draw(st.lists(comparisons() | st.sampled_from(["user.flag", "not user.flag"]), min_size=1, max_size=3))
    draw(st.randoms(use_true_random=False)).shuffle(lines)
    traits = "".join(f"  {line}\n" for line in lines)
    joined = draw(st.sampled_from([" and ", " or "])).join(terms)
    return audience_text(traits, f'"{joined}"')


@st.composite
def comparisons(draw):
    side = f"user.{draw(st.sampled_from(NUMBERS))}"
    other = draw(st.integers(-12, 12).map(lambda n: f"({n / 4})") | st.sampled_from(["user.limit", "user.points / 2", "(user.limit + 1)"]))
    left, right = (side, other) if draw(st.booleans()) else (other, side)
    return f"{left} {draw(ORDER)} {right}"


@settings(max_examples=60)
@given(
    text=towns(),
    orders=st.lists(st.integers(-10, 0), max_size=3),
    booked=st.none() | st.integers(-4 * 24, 4 * 24),
    points=st.none() | st.integers(-3, 3),
)
def test_between_its_breakpoints_a_condition_over_calculated_times_never_changes(text, orders, booked, points):
    model, source = load_audience_text(text)
    town, user = compile_audience(model, source), somebody()
    assert {finding.code for finding in source.findings} <= {"J050", "J053", "J054"}  # what never or always holds, too
    set_values(town, user, {"points": points, "booked_at": None if booked is None else NOON + booked * HOUR})
    for number, day in enumerate(orders):
        project(town, user, event("order_paid", NOON + day * DAY, number=number))
    rule, every = town.segments["reads"], town.everything.changes
    at, steps = NOON, {}

    while at is not None and at < NOON + 8 * DAY:
        facts = UserFacts(town, user, at)
        steps[at] = rule.test(facts)
        found = [rule.change(facts) if rule.change is not None else None, *(change(facts) for change in every)]
        own, later = found[0], [change for change in found[1:] if change is not None]
        assert all(change > at for change in later)
        assert own is None or own in later  # what one segment foretells, all together do
        at = own

    held = None
    for moment in sorted({*steps, *(NOON + quarter * 15 * MINUTE + by for quarter in range(8 * 96) for by in (0, 1))}):
        held = steps.get(moment, held)
        assert rule.test(UserFacts(town, user, moment)) == held, (moment - NOON) / DAY
