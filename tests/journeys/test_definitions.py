from pathlib import Path

import pytest

from runtime.facts import UserFacts
from runtime.profile import change_tags, project
from runtime.rehearse import rehearse
from tests.town import DAY, HOUR, NOON, event, somebody

NAMES = sorted(p.stem for p in (Path(__file__).parents[2] / "journeys" / "definitions").glob("*.yaml") if p.stem != "audience")


def test_the_shipped_files_pass_check_without_a_finding(shipped):
    assert [f.line() for f in shipped.checked.findings] == []
    assert sorted(shipped.checked.journeys) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_stories_of_a_shipped_journey_come_true(shipped, name):
    journey = shipped.checked.journeys[name]

    results = rehearse(journey, shipped.checked.audience, shipped.project.world(), shipped.project.rules())

    assert {r.name: r.rows for r in results if not r.passed} == {}
    assert {r.name: r.lacking for r in results if r.lacking} == {}  # everybody is in the segment by which she enters
    assert results  # a shipped journey has at least one story


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_journey_tells_its_editor_and_its_reader_what_it_is(shipped, name):
    journey = shipped.checked.journeys[name].journey

    assert journey.description
    assert journey.owner
    assert journey.goal or journey.purpose == "service"


def bought(*, ago, category="水果", amount=30, discount=0, after=0):
    return event("order_paid", NOON - ago * DAY + after, amount=amount, category=category, discount=discount, item="桃", item_id="p")


def felt(name, ago):
    return event(name, NOON - ago * DAY)


CASES = [
    ("活跃", {"active_buyers", "low_frequency"}, "activation", [bought(ago=3)], ()),
    ("高频", {"active_buyers", "high_frequency"}, "retention", [bought(ago=n, category=f"c{n % 3}") for n in range(1, 14)], ()),
    ("节奏变慢", {"active_buyers", "slowing_down"}, "retention",
     [bought(ago=n, category=f"c{n % 3}") for n in (20, 24, 28, 32, 36)], ()),
    ("一个晚上下了几单", {"active_buyers"}, "retention",
     [bought(ago=2, category=f"c{n % 3}", after=n * HOUR) for n in range(5)], ()),
    ("同一刻下了几单", {"active_buyers"}, "retention", [bought(ago=2, category=f"c{n % 3}") for n in range(5)], ()),
    ("沉睡且认品类", {"dormant_30d", "category_loyal", "dormant_category_loyal", "low_frequency"}, "dormancy",
     [bought(ago=n) for n in (40, 50, 60)], ()),
    ("沉睡且价格敏感", {"dormant_30d", "price_sensitive", "dormant_price_sensitive", "low_frequency"}, "dormancy",
     [bought(ago=n, category=f"c{n}", discount=5) for n in (40, 50, 60)], ()),
    ("沉睡且嫌涨价", {"dormant_30d", "price_sensitive", "dormant_price_sensitive", "dormant_price_change", "low_frequency"}, "dormancy",
     [bought(ago=40)], ("嫌涨价",)),
    ("沉睡且不满", {"dormant_30d", "unhappy_delivery", "dormant_unhappy", "low_frequency"}, "dormancy", [bought(ago=40)], ("不满配送",)),
    ("退款多", {"active_buyers", "unhappy_quality", "low_frequency"}, "activation",
     [bought(ago=3), bought(ago=4), felt("order_refunded", 2)], ()),
    ("羊毛党", {"active_buyers", "bargain_hunter", "price_sensitive", "category_loyal", "low_frequency"}, "activation",
     [bought(ago=n, amount=1, discount=9) for n in (3, 4, 5)], ()),
    ("流失", {"dormant_30d"}, "churn", [bought(ago=100)], ()),
    ("60 天没打开", {"dormant_30d", "long_absent"}, "churn", [bought(ago=100), felt("app_opened", 61)], ()),
    ("从没下过单", set(), "acquisition", [felt("app_opened", 1)], ()),
]  # fmt: skip


@pytest.mark.parametrize(("segments", "stage", "events", "tags"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_shipped_audience_knows_tiers_causes_and_stages(shipped, segments, stage, events, tags):
    audience, user = shipped.checked.audience, somebody()
    for one in events:
        project(audience, user, one)
    change_tags(user, tags)

    facts = UserFacts(audience, user, NOON)

    assert {name for name in audience.segments if facts.segment(name)} == segments
    assert next(name for name, rule in audience.stages if rule is None or rule.test(facts)) == stage
