"""The profile as a function of the set of events: orders, lateness, equal times and ids, decimals; beside a plain oracle."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise
from statistics import median

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.values import as_number
from runtime.profile import SLACK, project, read_trait, rebuild
from runtime.state import Event, stable_key
from tests.town import DAY, HOUR, NOON, ZONE, audience, somebody

KINDS = {
    "count": "count: bought",
    "sum": "sum: bought, of: amount",
    "avg": "avg: bought, of: amount",
    "first": "first: bought, of: item",
    "last": "last: bought, of: item",
    "last_amount": "last: bought, of: amount",
    "last_at": "last: bought, of: time",
    "first_hour": "first: bought, of: hour",
    "top": "top: bought, of: item",
    "top_take": "top: bought, of: item, take: amount",
    "top_hour": "top: bought, of: hour",
    "top_at": "top: bought, of: item, take: time",
    "distinct": "distinct: bought, of: item",
    "distinct_days": "distinct: bought, of: hour",
    "distinct_lists": "distinct: bought, of: tags",
    "median_gap": "median_gap: bought",
}
TYPES = {"first": "text", "last": "text", "top": "text", "last_at": "time", "top_at": "time", "first_hour": "time_of_day",
         "top_hour": "time_of_day"}  # fmt: skip
WHERES = {"": "", "paid": ", where: event.paid == true", "known": ", where: \"event.item != '米' and event.id != 'p1'\""}
LEAST = {"avg": 2, "top": 3, "top_take": 2, "median_gap": 3}


def _lines():
    for kind, text in KINDS.items():
        for where, clause in WHERES.items():
            for days in (0, 1, 7):
                within = f", within: {days}d" if days else ""
                least = f", at_least: {LEAST[kind]}" if kind in LEAST and days != 1 else ""
                yield f"  {kind}{where}{days}: {{type: {TYPES.get(kind, 'number')}, {text}{clause}{within}{least}}}"


TOWN = audience(
    "\n".join(["events:", "  bought: {amount: number, item: text, paid: boolean, tags: list}", "traits:", *_lines()]) + "\nsegments: {}\n"
)
AGGREGATES = list(TOWN.traits.values())

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 14 * 24) | st.sampled_from([0, 24, 7 * 24, 9 * 24]),  # hours ago: many at one time, some on an edge
        st.sampled_from(["shop", "till"]),
        st.integers(0, 4),  # few ids: two sources use the same
        st.fixed_dictionaries(
            {},
            optional={
                "amount": st.integers(-(10**15), 10**15).map(lambda n: as_number(n / 10_000)) | st.sampled_from([0.1, 0.2, 0.3, 1e11]),
                "item": st.sampled_from(["米", "蛋🥚", "é", "e\u0301", "", "b"]) | st.text(max_size=4),
                "paid": st.booleans(),
                "tags": st.lists(st.sampled_from(["a", "b"]), max_size=2),
            },
        ),
    ),
    max_size=12,
    unique_by=lambda item: item[1:3],  # known by source and id
)


def events_of(drawn):
    return [Event(f"p{n}", "bought", "u1", NOON - hours * HOUR, NOON, data, source) for hours, source, n, data in drawn]


def lived(events):
    user = somebody()
    for one in events:
        project(TOWN, user, one)
        user.profile = orjson.loads(orjson.dumps(user.profile))
    return user


# --- the oracle: each aggregate from a plain list, in decimals


def _place(event):
    return event.time, stable_key(event.source, event.id)[:8]


def _of(trait, event, name):
    if name == "time":
        return event.time
    if name == "hour":
        return (event.time // HOUR + 8) % 24 * 60
    return event.data.get(name)


def expected(trait, events, now):
    counted = sorted((e for e in events if not trait.within or now - trait.within < e.time <= now), key=_place)
    if trait.where is not None:
        if "paid" in trait.where.text:
            counted = [e for e in counted if e.data.get("paid") is True]
        else:
            counted = [e for e in counted if e.data.get("item") not in (None, "米") and e.id != "p1"]
    if trait.aggregate == "count":
        return len(counted)
    if trait.aggregate == "median_gap":
        gaps = [b.time - a.time for a, b in pairwise(counted)]
        return as_number(median(gaps) / DAY) if gaps and len(counted) >= trait.at_least else None
    having = [e for e in counted if _of(trait, e, trait.of) is not None]
    values = [_of(trait, e, trait.of) for e in having]
    if trait.aggregate in ("sum", "avg"):
        total = sum((Decimal(str(v)).quantize(Decimal("0.0001")) for v in values), Decimal(0))
        if trait.aggregate == "sum":
            return as_number(float(total)) if abs(total) <= 10**11 else None
        return float(total / len(values)) if values and len(values) >= trait.at_least else None
    if trait.aggregate == "distinct":
        return len({repr(v) for v in values})
    if not having:
        return None
    if trait.aggregate != "top":
        return values[0] if trait.aggregate == "first" else values[-1]
    if len(values) < trait.at_least:
        return None
    times = Counter(values)
    most = max(times.values())
    best = max((e for e in having if times[_of(trait, e, trait.of)] == most), key=_place)
    return _of(trait, best, trait.take or trait.of)


# --- the properties


@given(drawn=EVENTS, data=st.data())
def test_the_stored_profile_is_the_same_whatever_the_order_of_arrival(drawn, data):
    events = events_of(drawn)

    arrived = lived(data.draw(st.permutations(events)))

    assert arrived.profile == lived(sorted(events, key=_place)).profile


@given(drawn=EVENTS, data=st.data())
def test_every_trait_reads_at_any_later_moment_what_a_plain_list_says(drawn, data):
    events = events_of(drawn)
    user = lived(data.draw(st.permutations(events)))
    now = NOON + data.draw(st.integers(0, 9 * 24)) * HOUR

    for trait in AGGREGATES:
        said = read_trait(trait, user, now)
        assert said == (pytest.approx(expected(trait, events, now), abs=1e-4) if trait.aggregate == "avg" and said is not None
                        else expected(trait, events, now)), trait.name  # fmt: skip


@given(drawn=EVENTS, data=st.data())
def test_windows_read_the_same_at_a_moment_up_to_two_days_before_the_newest_event(drawn, data):
    events = events_of(drawn)
    user = lived(data.draw(st.permutations(events)))
    newest = max((e.time for e in events), default=NOON)
    now = newest - data.draw(st.integers(0, SLACK - 1))

    for trait in AGGREGATES:
        if trait.within and trait.aggregate != "avg":
            assert read_trait(trait, user, now) == expected(trait, events, now), trait.name


@given(drawn=EVENTS, data=st.data())
def test_a_profile_made_anew_is_the_one_that_grew_and_keeps_values_and_tags(drawn, data):
    grows_to_what_is_made_anew(drawn, data)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, derandomize=False)
@given(drawn=EVENTS, data=st.data())
def test_many_profiles_made_anew_are_those_that_grew(drawn, data):
    _grown.append(len(drawn))
    grows_to_what_is_made_anew(drawn, data)
    if len(_grown) % 2_500 == 0:
        print(f"{len(_grown):,} profiles of {sum(_grown):,} events in two orders are the same")


_grown = []


def grows_to_what_is_made_anew(drawn, data):
    events = events_of(drawn)
    user = lived(data.draw(st.permutations(events)))
    user.profile |= {"p": {"city": "上海"}, "t": ["vip"]}

    made = rebuild(TOWN, user, data.draw(st.permutations(events)))

    assert made.pop("d") == f"{TOWN.profile_digest}@{ZONE.key}"
    assert made == user.profile


@given(cents=st.lists(st.integers(-(10**12), 10**12), max_size=30), data=st.data())
def test_decimals_add_up_exactly_in_any_order(cents, data):
    prices = data.draw(st.permutations([as_number(c / 100) for c in cents]))
    user = lived([Event(f"p{n}", "bought", "u1", NOON, NOON, {"amount": price}) for n, price in enumerate(prices)])

    assert read_trait(TOWN.traits["sum0"], user, NOON) == as_number(sum(cents) / 100)


def test_two_events_whose_tie_breaks_are_the_same_are_still_ordered():
    one, other = (Event("p1", "bought", "u1", NOON, NOON, {"item": item, "amount": n}) for n, item in enumerate("ab"))

    assert lived([one, other]).profile == lived([other, one]).profile
