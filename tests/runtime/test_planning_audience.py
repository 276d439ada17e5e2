"""`plan`: whom a new journey would let in at once, and what an edit of the audience means for people and journeys."""

from io import StringIO

import pytest
from rich.console import Console
from sqlalchemy import update

from runtime.show_plan import show_plan
from runtime.store.tables import users
from runtime.texts import word
from tests.planned import ENTRY, OLD, SEND, SPENT, do, of, plan, spends
from tests.shop import HELLO, Shop
from tests.town import AUDIENCE, DAY, NOON, PUSH, ZONE, journey_text, somebody


@pytest.fixture
def shop(tmp_path, database_url):
    opened = Shop(tmp_path / "shop", OLD, HELLO, url=database_url)
    yield opened
    opened.close()


def test_those_already_in_the_segment_of_a_new_journey_are_counted(shop):
    people = [somebody("v1", tags=("vip",)), somebody("v2", tags=("vip",)), somebody("n")]
    shop.app.store.database.write(lambda tx: shop.app.store.people.save_users(tx, people))

    found = plan(shop, OLD, HELLO, journey_text(SEND, id="vips", entry="{segment: tagged, existing: enrol}"))

    assert of(found, "vips").enter_now == 2


def test_a_closed_journey_that_goes_live_lets_in_those_in_its_segment_as_a_new_one_does(shop):
    shop.post([{"user_id": u, "tags": ["vip"]} for u in ("u1", "u2")], "/v1/users")
    shop.settle()
    live = journey_text(SEND, id="vips", entry="{segment: tagged, existing: enrol}")
    plan(shop, OLD, HELLO, live.replace("status: live", "status: closed"))
    do(shop)

    found = plan(shop, OLD, HELLO, live)
    do(shop)
    shop.settle(NOON + DAY)

    assert of(found, "vips").enter_now == 2
    assert [[e["journey"] for e in shop.story(u).enrolments] for u in ("u1", "u2")] == [["vips"], ["vips"]]


@pytest.mark.parametrize(("entry", "now", "enters"), [
    ("", NOON + DAY, 0),  # once
    (", reentry: always", NOON + DAY, 2),
    (", reentry: {after: 2d}", NOON + DAY, 0),
    (", reentry: {after: 2d}", NOON + 3 * DAY, 2),
])  # fmt: skip
def test_who_was_in_a_journey_that_comes_back_and_may_not_enter_again_is_not_counted(shop, entry, now, enters):
    shop.post([{"user_id": u, "tags": ["vip"]} for u in ("u1", "u2")], "/v1/users")
    shop.settle()
    vips = journey_text(SEND, id="vips", entry=f"{{segment: tagged, existing: enrol{entry}}}")
    for journeys in ((OLD, HELLO, vips), (OLD, HELLO)):
        plan(shop, *journeys)
        do(shop, now=NOON)
        shop.settle(NOON)
    shop.post({"user_id": "u3"}, "/v1/users")

    found = plan(shop, OLD, HELLO, vips, now=now)
    do(shop, now=now)
    shop.settle(now)

    assert of(found, "vips").enter_now == enters
    assert sum(len(shop.story(u).enrolments) for u in ("u1", "u2", "u3")) == 2 + enters


def test_who_is_still_inside_a_journey_that_goes_live_again_does_not_enter_it_a_second_time(shop):
    shop.post([{"user_id": u, "tags": ["vip"]} for u in ("u1", "u2")], "/v1/users")
    shop.settle()
    vips = journey_text(f"- {{id: rest, delay: 9d}}\n{SEND}", id="vips", entry="{segment: tagged, existing: enrol, reentry: always}")
    for text in (vips, vips.replace("status: live", "status: closed")):
        plan(shop, OLD, HELLO, text)
        do(shop, now=NOON)
        shop.settle(NOON)

    assert of(plan(shop, OLD, HELLO, vips), "vips").enter_now == 0


def test_who_was_in_a_journey_for_an_order_has_not_been_in_it_as_one_of_a_segment(shop):
    by_order = journey_text(SEND, id="vips", entry="{event: order_paid, subject: order_id}")
    plan(shop, OLD, HELLO, by_order)
    do(shop, now=NOON)
    shop.post({"user_id": "u1", "id": "e1", "type": "order_paid", "data": {"order_id": "o1", "amount": 1}})
    shop.settle(NOON)
    plan(shop, OLD, HELLO)
    do(shop, now=NOON)

    found = plan(shop, OLD, HELLO, journey_text(SEND, id="vips", entry="{segment: buyers, existing: enrol}"), now=NOON + DAY)
    do(shop, now=NOON + DAY)
    shop.settle(NOON + DAY)

    assert of(found, "vips").enter_now == 1
    assert [e["subject"] for e in shop.story("u1").enrolments] == ["o1", ""]


@pytest.mark.parametrize(
    ("segment", "enters", "unknown"), [("rich", None, True), ("late", None, True), ("gold", None, True), ("buyers", 2, False)]
)
def test_how_many_are_in_a_segment_over_a_new_trait_or_a_longer_window_is_not_known_before_their_profiles_are_made_anew(
    shop, segment, enters, unknown
):  # fmt: skip
    spends(shop, "u1", "u2")
    shop.post([{"user_id": u, "traits": {"tier": "4"}} for u in ("u1", "u2")], "/v1/users")  # a text: it is typed when it is declared
    shop.settle()
    vips = journey_text(SEND, id="vips", entry=f"{{segment: {segment}, existing: enrol}}")

    found = plan(shop, OLD, HELLO, vips, audience=SPENT)
    console = Console(record=True, width=200, file=StringIO())
    show_plan(console, found, "apply", "en", ZONE)
    do(shop)
    shop.settle(NOON + DAY)

    assert (of(found, "vips").enter_now, of(found, "vips").enter_unknown) == (enters, unknown)
    line = "how many is known when their profiles have been made anew" if unknown else "2 are in its segment now and would enter"
    assert line in console.export_text()
    assert [[e["journey"] for e in shop.story(u).enrolments] for u in ("u1", "u2")] == [["vips"], ["vips"]]


def test_the_audience_is_told_by_name(shop):
    found = plan(shop, OLD, HELLO, audience=AUDIENCE.replace(">= 30}", ">= 45}", 1))

    assert [c.key for c in found.audience] == ["segments.dormant.when"]


VIPS = journey_text(SEND, id="vips", entry="{segment: rich, existing: skip}")
ASKS = journey_text(f"- {{id: gift, if: segment('rich'), send: {PUSH}}}", id="asks", entry=ENTRY)


def edited(shop, *pairs):
    """The plan of an edit of the audience after three have paid 50, one of them twice; as data and as it reads."""
    plan(shop, OLD, HELLO, VIPS, ASKS, audience=SPENT)
    do(shop)
    spends(shop, "u1", "u2", "u3")
    shop.post({"id": "more", "type": "order_paid", "user_id": "u3", "data": {"amount": 50}})
    shop.settle(NOON + DAY)
    audience = SPENT
    for pair in pairs:
        audience = audience.replace(*pair)
    found = plan(shop, OLD, HELLO, VIPS, ASKS, audience=audience)
    shown = {language: Console(record=True, width=300, file=StringIO()) for language in ("en", "zh")}
    for language, console in shown.items():
        show_plan(console, found, "apply", language, ZONE)
    return found, {language: [line.strip() for line in c.export_text().splitlines()] for language, c in shown.items()}


def test_an_edited_segment_is_told_as_in_the_file_with_who_reads_it_and_who_comes_or_leaves(shop):
    found, shown = edited(shop, ("user.spent > 10", "user.spent > 60"))

    assert [(m.key, m.comes, m.leaves, m.lets_in, m.read_by) for m in found.meanings] == [("segments.rich", 0, 2, ("vips",), ("asks",))]
    assert "segments.rich.when: user.spent > 10 → user.spent > 60" in shown["en"]
    assert "segments.rich: 0 come in and 2 leave by the edit, as nobody's edge; lets in: vips; read by: asks" in shown["en"]
    assert "segments.rich：0 人因修改进入，2 人因修改离开，都不算进出；按它进入的：vips；条件里读它的：asks" in shown["zh"]


def test_an_edited_trait_is_told_by_the_value_that_differs_and_changes_the_segments_that_read_it(shop):
    found, shown = edited(shop, ("sum: order_paid, of: amount", "sum: order_paid, of: amount, within: 30d"))

    assert [(m.key, m.comes, m.leaves) for m in found.meanings] == [("traits.spent", None, None), ("segments.rich", None, None)]
    assert f"traits.spent.within: {word('unwritten', 'en')} → 30d" in shown["en"]
    assert "traits.spent: lets in: vips; read by: asks" in shown["en"]
    assert any(
        line.startswith("segments.rich: how many come in or leave is known when profiles have been made anew") for line in shown["en"]
    )


def test_an_edited_stage_says_who_comes_into_it_and_into_those_below(shop):
    found, shown = edited(
        shop, ("stage: buying, name: 在买, when: user.orders_count > 0", "stage: buying, name: 在买, when: user.orders_count > 1")
    )

    assert {m.key: (m.comes, m.leaves) for m in found.meanings} == {"lifecycle.buying": (0, 2), "lifecycle.new": (2, 0)}
    assert "lifecycle.buying.when: user.orders_count > 0 → user.orders_count > 1" in shown["en"]
    assert "lifecycle.new: 2 come in and 0 leave by the edit, as nobody's edge; no journey reads it" in shown["en"]


@pytest.mark.parametrize(
    ("edit", "holds", "en", "zh"),
    [
        (
            ("  level: {", "  grade: {"),
            [("traits.grade", None), ("traits.level", 2)],
            "traits.level: 2 people have a value of it that no rule sees any more; under another name it begins without values",
            "traits.level：现有 2 人有它的值，以后没有规则看得到；换了名字的特征从没有值开始",
        ),
        (
            ("city: {type: text", "city: {type: number"),
            [("traits.city", 1)],
            "traits.city: 1 person has a value of it, which counts as missing where it does not fit the new type; no journey reads it",
            "traits.city：现有 1 人有它的值，不合新类型的在规则里算缺失；没有旅程读它",
        ),
        (("  leader_id: {type: text, from: profile}\n", ""), [], None, None),  # nobody has one
        (("default: normal}", "default: basic}"), [("traits.level", None)], None, None),
    ],
)
def test_a_trait_from_outside_that_goes_or_gets_another_type_is_told_with_those_who_have_a_value(shop, edit, holds, en, zh):
    told = ({"level": "gold"}, {"level": "normal", "city": "上海"}, {})
    shop.post([{"user_id": f"t{n}", "traits": traits} for n, traits in enumerate(told)], "/v1/users")
    shop.settle()

    found, shown = edited(shop, edit)

    assert [(m.key, m.holds) for m in found.meanings] == holds
    assert en is None or (en in shown["en"] and zh in shown["zh"])


def test_what_is_new_in_the_audience_is_told_as_the_file_has_it(shop):
    _, shown = edited(shop, ("  tier:", "  mood: {type: text, from: profile}\n  tier:"))

    assert f"traits.mood: {word('unwritten', 'en')} → {{type: text, from: profile}}" in shown["en"]


def test_somebody_whose_profile_cannot_be_read_makes_the_number_unknown_and_no_failure(shop):
    shop.post([{"user_id": u, "tags": ["vip"]} for u in ("u1", "u2")], "/v1/users")
    shop.settle()
    shop.app.store.database.write(lambda tx: tx.execute(update(users).where(users.c.user_id == "u1").values(profile="{broken")))

    found = plan(shop, OLD, HELLO, journey_text(SEND, id="vips", entry="{segment: tagged, existing: enrol}"))

    assert (of(found, "vips").enter_now, of(found, "vips").enter_unknown) == (None, True)
