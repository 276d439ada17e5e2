"""compose: which messages a send makes, what it met on the way, and their keys."""

import pytest

from journeys.duration import parse_window
from runtime.facts import UserFacts
from runtime.policy import Cap, Hold, Reach, Rules, person_reach
from runtime.sending import Held, Nothing, compose
from tests.town import DAY, HOUR, NOON, PUSH_THEN_SMS, Walk, at, reachable, somebody


def composed(step, *, user=None, rules=None, now=NOON, visit=1, start=0):
    walk = Walk(f"- {{id: a, {step}}}", user=user or somebody(), rules=rules, begin=False)
    compiled = walk.journey.steps["a"]
    facts = UserFacts(walk.audience, walk.user, now, reach=walk.reach)
    return compose(walk.journey, compiled, compiled.spec, walk.enrolment, facts, walk.reach, visit, now, now, start)


def test_the_key_depends_on_enrolment_step_and_visit_alone():
    first, again, later = (composed(f"send: {PUSH_THEN_SMS}", visit=v, now=n) for v, n in ((1, NOON), (1, NOON + HOUR), (2, NOON)))

    assert first[0].key == again[0].key != later[0].key


def test_a_later_start_leaves_out_the_positions_before_and_keeps_the_key():
    first, second = composed(f"send: {PUSH_THEN_SMS}"), composed(f"send: {PUSH_THEN_SMS}", start=1)

    assert (first[0].channel, second[0].channel) == ("push", "sms")
    assert first[0].key == second[0].key
    assert composed(f"send: {PUSH_THEN_SMS}", start=2) == Nothing("unreachable", {"positions": []})


def test_a_hold_names_its_channel():
    made = composed(f"send: {PUSH_THEN_SMS}", rules=Rules(quiet_hours=parse_window("21:00-09:00")), now=at("2026-12-01 22:00"))

    assert made == Held(Hold(at("2026-12-02 09:00"), "quiet_hours"), "push")


def test_nothing_names_what_each_position_met():
    user = somebody()
    user.reach = {**reachable(), "identities": {"phone": "1"}}

    made = composed(f"send: {PUSH_THEN_SMS}", user=user, rules=Rules(caps=(Cap(0, DAY, channel="sms"),)))

    assert made.reason == "unreachable"
    assert [(p["channel"], p["reason"]) for p in made.why["positions"]] == [("push", "unreachable"), ("sms", "cap")]


@pytest.mark.parametrize(("expires", "expected"), [("2h", NOON + 2 * HOUR), ("user.booked_at", NOON + DAY), ("user.birthday_at", None)])
def test_an_expiry_is_a_span_or_a_time_and_a_missing_one_is_none(expires, expected):
    user = somebody(booked_at=NOON + DAY) if expires != "user.birthday_at" else somebody()

    made = composed(f"send: {PUSH_THEN_SMS}, expires: {expires.replace('birthday_at', 'booked_at')}", user=user)

    assert made[0].expires_at == expected


def test_a_message_counts_as_a_touch_for_the_next():
    walk = Walk(f"- {{id: a, send: {PUSH_THEN_SMS}}}")

    (touch,) = walk.reach.people["u1"].touches

    assert (touch.at, touch.channel, touch.purpose) == (NOON, "push", "marketing")


def test_content_keeps_the_sections_of_the_channel():
    made = composed('send: [{wechat: {template: news, page: "pages/x?u={{ user.id }}", data: {title: 您好}}}]')

    assert made[0].content == {"template": "news", "page": "pages/x?u=u1", "data": {"title": "您好"}}


def test_the_reach_of_a_person_is_that_of_her_own_row():
    user = somebody("u7")

    person = person_reach(user, Rules(template_ids={"news": "tmpl-1", "info": "tmpl-2"}), [], {"tmpl-1": 2})

    assert (person.user_id, person.credits, person.addresses["phone"]) == ("u7", {"news": 2}, "u7-phone")
    assert Reach(Rules(), {"u7": person}).of(user) is person
