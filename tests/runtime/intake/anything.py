"""Any JSON value, any message of a vendor with any value in any place, and a reader to give it to."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import orjson
from hypothesis import strategies as st

from runtime.intake.items import Reader
from runtime.intake.naming import Naming
from runtime.intake.sources import Source
from tests.town import NOON, ZONE, audience

TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["", " ", "+", "$identity_login_id+x", "\x00", "2024-05-01 12:00:00.5", "a||b", "x" * 300])
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, 1, NOON, 2**64 - 1])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


def messages(good, **further):
    """A good message in which any places hold any values, or are missing; `further` are places that it does not have."""
    places = {name: st.one_of(st.just(value), VALUES) for name, value in {**good, **further}.items()}
    return st.one_of(VALUES, st.fixed_dictionaries({}, optional=places))


def source(kind, **changes):
    """A source that nobody signs, which takes the trait `city`."""
    plain = Source(
        "app", kind, False, ("app_opened", "deal_viewed", "page_*", "pay_*"), ZoneInfo("Asia/Shanghai"), Naming(), frozenset({"city"})
    )
    return replace(plain, **changes)


def reader(now=NOON, *, signed=False, may_assert=("app_opened", "deal_viewed", "page_*", "pay_*"), traits=frozenset({"city"})):
    """A reader of one request at `now`."""
    return Reader("app", may_assert, audience(), ZONE, now, "r1", signed, traits)


def is_whole(parsed, given):
    """Whether nothing was lost: each message became something, or was set aside with a reason, in a form that can be kept."""
    for event in parsed.events:
        orjson.dumps(event.data)
    for record in parsed.records:
        orjson.dumps(record.payload)
    assert all(row.reason and isinstance(row.body, str) for row in parsed.quarantined)
    return len(parsed.quarantined) == len(parsed.reasons) and parsed.given + len(parsed.quarantined) + parsed.unmapped.total() >= len(given)
