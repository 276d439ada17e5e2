"""What is wrong in `tests:` is said before they are run: at its place, with what would be possible."""

import pytest

from journeys.source import parse_source
from journeys.stories import check_stories, ends_of, value_of
from tests.town import DAY, NOON, PUSH, WORLD, ZONE, audience, journey, journey_text

STEPS = f"""
- {{id: gift, grant: {{benefit: gift}}, on_failed: [{{exit: sold_out}}]}}
- {{id: hello, send: {PUSH}}}
- {{id: mark, update: {{add_tags: [seen]}}}}
- {{id: half, split: [{{name: a, weight: 1}}, {{name: b, weight: 1}}]}}
- {{id: ask, call: {{endpoint: stock}}}}
- {{id: look, wait_for: {{event: app_opened, timeout: 1d}}, on_event: [{{exit: came}}]}}
"""


def said(story, steps=STEPS, **keys):
    """Findings of one test as (code, the text at its place, English text)."""
    keys = {"entry": "{event: order_paid}", **keys, "tests": f"[{{name: t, {story}}}]"}
    text = journey_text(steps, **keys)
    source = parse_source(text, "j.yaml")
    check_stories(source, journey(steps, **keys), audience(), WORLD)
    lines = text.split("\n")
    return [(f.code, lines[f.place.line - 1][f.place.column - 1 :], f.text("en")) for f in source.findings]


RIGHT = "[{after: 0s, grant: gift}, {after: 0s, send: push, step: hello, contains: T}, {after: 0s, tag: seen}, {after: 1d, end: completed}]"


@pytest.mark.parametrize(
    "story",
    [
        f"expect: {RIGHT}",
        "at: '2026-12-01 12:00', user: {id: A, city: 上海, last_order_at: 31d ago, birthday: 12-01, orders_count: 2}, expect: []",
        "entry: {order_id: o1, amount: 39, id: e1}, expect: []",
        "given: {credits: {news: 0}, consents: {sms: false, push: {marketing: false}}, benefits: {gift: fails}}, expect: []",
        "given: {calls: {stock: {left: 3}}, variant: {half: a}, holdout: true, tags: [x], receipts: {hello: delivered}}, expect: []",
        "events: [{after: 1h, event: order_paid, amount: 3}, {at: '2026-12-02', event: app_opened, user: B}], expect: []",
        "expect: [{after: 1d, suppressed: no_consent}, {after: 1d, suppressed: 投诉中, step: hello}, {after: 1d, end: came}]",
        "given: {holdout: true}, expect: [{after: 1d, end: held_out}]",
    ],
)
def test_everything_that_the_language_has_is_right(story):
    assert said(story) == []


@pytest.mark.parametrize(
    ("story", "code", "place", "text"),
    [
        # names and values of what is given
        ("user: {ctiy: 上海}, expect: []", "J022", "ctiy", "did you mean city?"),
        ("user: {orders_count: many}, expect: []", "J013", "many", "expected a number, found “many”"),
        ("user: {last_order_at: long ago}, expect: []", "J013", "long ago", "expected a time"),
        ("at: noon, expect: []", "J013", "noon", "2026-12-18 10:00"),
        ("entry: {amuont: 3}, expect: []", "J023", "amuont", "did you mean amount?"),
        ("entry: {amount: much}, expect: []", "J013", "much", "expected a number"),
        ("entry: {type: app_opened}, expect: []", "J020", "app_opened", "unknown event app_opened"),
        ("given: {credits: {nws: 0}}, expect: []", "J025", "nws", "did you mean news?"),
        ("given: {consents: {fax: false}}, expect: []", "J024", "fax", "unknown channel fax"),
        ("given: {consents: {sms: {spam: false}}}, expect: []", "J012", "spam", "unknown key spam"),
        ("given: {benefits: {gfit: ok}}, expect: []", "J028", "gfit", "did you mean gift?"),
        ("given: {calls: {stok: fails}}, expect: []", "J029", "stok", "did you mean stock?"),
        ("given: {calls: {stock: {rest: 3}}}, expect: []", "J023", "rest", "unknown field rest of stock"),
        ("given: {variant: {hello: a}}, expect: []", "J113", "hello", "split hello; here it can be half"),
        ("given: {variant: {hafl: a}}, expect: []", "J031", "hafl", "did you mean half?"),
        ("given: {variant: {half: c}}, expect: []", "J034", "c}", "unknown variant c of step half"),
        ("given: {receipts: {gift: delivered}}, expect: []", "J113", "gift", "send gift; here it can be hello"),
        # events
        ("events: [{after: 1h, event: order_payed}], expect: []", "J020", "order_payed", "did you mean order_paid?"),
        ("events: [{after: 1h, event: order_paid, amout: 3}], expect: []", "J023", "amout", "did you mean amount?"),
        ("events: [{event: order_paid}], expect: []", "J015", "{event", "found none"),
        ("events: [{after: 1h, at: '2026-12-02', event: order_paid}], expect: []", "J015", "{after", "found both"),
        ("events: [{at: '2026-11-30', event: order_paid}], expect: []", "J114", "{at", "2026-11-30 00:00 is before 2026-12-01 10:00"),
        # expectations that no step can meet
        ("expect: [{after: 0s, send: sms}]", "J113", "sms", "this can never be: send sms; here it can be push"),
        ("expect: [{after: 0s, send: push, step: gift}]", "J113", "push", "send push; here it can be -"),
        ("expect: [{after: 0s, grant: bonus}]", "J113", "bonus", "here it can be gift"),
        ("expect: [{after: 0s, tag: sen}]", "J113", "sen}", "did you mean seen?"),
        ("expect: [{after: 0s, suppressed: no_consents}]", "J113", "no_consents", "did you mean no_consent?"),
        ("expect: [{after: 0s, end: converted}]", "J113", "converted", "here it can be ask_failed, came, completed, sold_out"),
        ("expect: [{after: 0s, end: cam}]", "J113", "cam}", "did you mean came?"),
        ("expect: [{after: 0s, end: came, contains: T}]", "J085", "contains", "contains goes with send"),
        ("expect: [{after: 0s, end: came, step: nope}]", "J031", "nope", "unknown step nope"),
        ("expect: [{at: '2026-12-01 09:59', end: came}]", "J114", "{at", "2026-12-01 09:59 is before 2026-12-01 10:00"),
        ("expect: [{after: 2h, tag: seen}, {after: 1h, end: came}]", "J114", "{after: 1h", "2026-12-01 11:00 is before 2026-12-01 12:00"),
        ("expect: [{after: 1h}]", "J015", "{after", "found none"),
        ("expect: [{after: 1h, send: push, end: came}]", "J015", "{after", "send, end"),
        ("expect: [{at: soon, end: came}]", "J013", "soon", "quoted moment"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_place(story, code, place, text):
    ((found, at, sentence),) = said(story)

    assert (found, at[: len(place)]) == (code, place)
    assert text in sentence


@pytest.mark.parametrize(
    ("keys", "steps", "end"),
    [
        ({"goal": "{event: order_paid, within: 7d}"}, STEPS, "converted"),
        ({"ends_at": "'2027-01-01 00:00'"}, STEPS, "ended"),
        ({"max_lateness": "1h", "on_late": "exit"}, STEPS, "late"),
        ({"exit_when": "[{event: account_closed, reason: gone}]"}, STEPS, "gone"),
        ({"entry": "{event: order_paid, mode: restart, reentry: always}"}, STEPS, "restarted"),
        ({}, "- {id: hello, send: [{push: {title: T, body: B}}]}\n- {exit: always}", "always"),
        ({}, "- {id: gift, grant: {benefit: gift}}", "gift_failed"),
        ({}, "- {id: wait, delay: {until: user.booked_at, if_missing: exit, if_past: exit}}", "wait_missing"),
        ({}, "- {id: wait, delay: {until: user.booked_at, if_missing: exit, if_past: exit}}", "wait_past"),
    ],
)
def test_a_journey_can_end_for_the_systems_reasons_where_it_has_what_they_need(keys, steps, end):
    plain = "- {id: hello, send: [{push: {title: T, body: B}}]}"

    assert end in set(ends_of(journey(steps, **keys), held_out=False))
    assert end not in set(ends_of(journey(plain), held_out=False))


def test_who_passes_over_an_exit_at_the_end_has_completed():
    assert set(ends_of(journey("- {if: user.city is known, exit: done}"), held_out=False)) == {"done", "completed"}


def test_a_journey_that_always_exits_is_never_completed():
    assert set(ends_of(journey("- {id: hello, send: [{push: {title: T, body: B}}]}\n- {exit: done}"), held_out=False)) == {"done"}


def test_a_tag_with_a_value_in_it_can_be_anything():
    steps = '- {id: mark, update: {add_tags: ["来自{{ user.city }}"]}}'

    assert said("expect: [{after: 0s, tag: 来自上海}, {after: 0s, end: completed}]", steps) == []


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ("2d ago", "time", NOON - 2 * DAY),
        ("soon ago", "time", None),
        ("2026-12-01 12:00", "time", NOON),
        ("2d ago", "text", "2d ago"),  # only a time can be so long ago
        ("x", "number", None),
    ],
)
def test_a_given_value_is_typed_as_its_trait_is(raw, kind, value):
    assert value_of(raw, kind, ZONE, NOON) == value
