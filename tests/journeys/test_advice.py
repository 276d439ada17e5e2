"""Warnings over a whole journey: each with a file that has it, and its neighbour that has none."""

from dataclasses import replace

import pytest

GRANT = "- id: gift\n  grant: {benefit: coupon_10, expires: 3d}\n"
REMIND = "- id: remind\n  send: [{push: {title: a, body: '{{ steps.gift.code }}'}}]\n"
HELLO = "- id: hello\n  send: [{push: {title: a, body: b}}]\n"
GOAL = "goal: {event: order_paid, within: 14d}"


def wait(timeout, more=""):
    return f"- id: w\n  wait_for: {{event: app_opened, timeout: {timeout}}}\n{more}"


AT_NIGHT = "J140"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (GRANT + "- id: d\n  delay: 2d\n" + REMIND, []),
        (GRANT + "- id: d\n  delay: 3d\n" + REMIND, [("J130", 13, "3d")]),
        (GRANT + "- id: d\n  delay: 2d\n" + HELLO + "- id: e\n  delay: 1d\n" + REMIND, [("J130", 17, "3d")]),
        (GRANT + "- id: d\n  delay: 4d\n" + HELLO, []),  # says nothing of the benefit
        (GRANT + "- id: d\n  if: user.vip\n  delay: 4d\n" + REMIND, []),  # some come in time
        (GRANT + "- id: d\n  delay: 4d\n" + REMIND + "  if: days_until(steps.gift.expires_at) > 0\n", []),
        (GRANT + "- id: d\n  delay: {until: steps.gift.expires_at, offset: -1d}\n" + REMIND, []),
        (GRANT + "- id: d\n  delay: {until: steps.gift.expires_at}\n" + REMIND, [("J130", 13, "3d")]),
        (GRANT + "- id: d\n  delay: {until: steps.gift.expires_at, offset: 1d}\n" + REMIND, [("J130", 13, "4d")]),
        (GRANT + "- id: d\n  delay: 4d\n" + HELLO + "  expires: steps.gift.expires_at\n", [("J130", 13, "4d")]),
        (GRANT + "- id: d\n  delay: 4d\n" + GRANT.replace("gift", "more") + REMIND.replace("gift", "more"), []),
        (GRANT + wait("4d", "  on_event: [{exit: came}]\n") + REMIND, [("J130", 14, "4d")]),
    ],
)
def test_a_message_about_a_benefit_that_is_gone_by_then_is_a_warning(workshop, steps, expected):
    findings = [f for f in workshop.findings(steps) if f.code != AT_NIGHT]

    assert [(f.code, f.place.line, f.params["takes"]) for f in findings] == expected


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        (GRANT + wait("4d") + REMIND, ["J131"]),
        (GRANT + wait("2d") + REMIND, []),
        (GRANT + wait("4d") + HELLO, []),
        (GRANT + wait("4d", "  on_timeout: [{exit: x}]\n") + REMIND, []),
        (GRANT + wait("{until: steps.gift.expires_at, offset: -1d}") + REMIND, []),
        (GRANT + wait("4d") + REMIND + "  if: not steps.w.timed_out\n", []),
        (GRANT + "- id: d\n  delay: 2d\n" + wait("1d") + REMIND, ["J131"]),
    ],
)
def test_a_wait_longer_than_the_benefit_lives_is_a_warning(workshop, steps, codes):
    assert [code for code in workshop.codes(steps) if code != AT_NIGHT] == codes


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ("- id: d\n  delay: 3h\n" + HELLO, ["d"]),
        ("- id: d\n  delay: 10m\n" + HELLO, []),  # they still have the phone in their hands
        ("- id: d\n  delay: {until: '10:00'}\n" + HELLO, []),
        (HELLO, []),
        ("- id: d\n  delay: 3h\n" + HELLO + "  between: '08:00-21:00'\n", []),
        ("- id: d\n  delay: 3h\n" + HELLO + "  purpose: marketing\n", []),
        ("- id: d\n  delay: 3h\n- id: m\n  update: {add_tags: [x]}\n" + HELLO, ["d"]),
        (wait("2h", "  on_event: [{exit: came}]\n") + HELLO, ["w"]),
        (wait("2h", "  on_timeout: [{exit: x}]\n") + HELLO, []),  # it answers the event at once
    ],
)
def test_service_that_some_hours_lead_to_and_that_may_come_at_night_is_a_warning(workshop, steps, found):
    findings = workshop.findings(steps)

    assert [f.params["after"] for f in findings if f.code == AT_NIGHT] == found


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        (GRANT + "- id: d\n  delay: {until: steps.gift.expires_at, offset: -3d}\n", ["J132"]),
        (GRANT + "- id: d\n  delay: {until: steps.gift.expires_at, offset: -2d}\n", []),
        (GRANT + "- id: c\n  delay: 1d\n- id: d\n  delay: {until: steps.gift.expires_at, offset: -2d}\n", ["J132"]),
        (GRANT + "- id: c\n  delay: 3d\n- id: d\n  delay: {until: steps.gift.expires_at}\n", ["J132"]),
        (GRANT + "- id: d\n  delay: {until: entry.due, offset: -9d, if_missing: exit}\n", []),
    ],
)
def test_a_moment_that_lies_before_its_benefit_was_given_is_a_warning(workshop, steps, codes):
    assert workshop.codes(steps) == codes


@pytest.mark.parametrize(
    ("entry", "goal", "codes"),
    [
        ("{event: order_paid, subject: order_id}", "{event: order_paid, within: 7d}", ["J133"]),
        ("{event: order_paid, subject: order_id}", "{event: order_paid, within: 7d, any_subject: true}", []),
        ("{event: order_paid, subject: order_id}", "{event: [order_paid, app_opened], within: 7d}", []),
        ("{event: order_paid, subject: order_id}", "{event: order_paid, where: event.amount > 9, within: 7d}", []),
        ("{event: order_paid, subject: order_id}", "{event: order_arrived, within: 7d}", []),
        ("{event: order_paid}", "{event: order_paid, within: 7d}", []),  # the next order
    ],
)
def test_a_goal_that_waits_for_the_same_order_to_be_paid_again_is_a_warning(workshop, entry, goal, codes):
    assert workshop.codes(entry=entry, more=f"goal: {goal}") == codes


@pytest.mark.parametrize(
    ("delay", "until"),
    [
        ("{until: '23:00'}", "06:00"),
        ("{until: '05:59'}", "06:00"),
        ("{until: '06:00'}", None),
        ("{until: '22:29'}", None),
        ("{until: user.contract_ends, at: '23:00', if_missing: exit}", "06:00"),
        ("{until: '23:00', offset: 9h}", None),
        ("2h", None),
    ],
)
def test_a_delay_that_ends_in_the_quiet_hours_before_marketing_is_a_warning(workshop, delay, until):
    findings = workshop.findings(f"- id: d\n  delay: {delay}\n{HELLO}", purpose="marketing", more=GOAL)

    assert [(f.code, f.params["until"], f.place.line) for f in findings] == ([("J134", until, 10)] if until else [])


def test_service_and_a_send_with_hours_of_its_own_are_not_held_by_quiet_hours(workshop):
    late = "- id: d\n  delay: {until: '23:00'}\n" + HELLO

    assert workshop.codes(late) == []
    assert workshop.codes(late + "  between: '08:00-12:00'\n", purpose="marketing", more=GOAL) == []


@pytest.mark.parametrize(
    ("steps", "more", "place"),
    [
        (HELLO, "max_lateness: 59s", "7:15"),
        (HELLO, "max_lateness: 1m", None),
        (HELLO, "goal: {event: app_opened, within: 0d}", "7:35"),
        (wait("0s"), "", "10:44"),
        (wait("1s"), "", None),
        ("- id: gift\n  grant: {benefit: coupon_10, expires: 0d}\n", "", "10:42"),
        (HELLO + "  expires: 0h\n", "", "11:14"),
        ("- id: d\n  delay: 0s\n", "", None),  # waits for nothing, and says so
    ],
)
def test_a_span_in_which_nothing_can_happen_is_a_warning(workshop, steps, more, place):
    findings = [f for f in workshop.findings(steps, more=more) if f.code == "J135"]

    assert [str(f.place) for f in findings] == ([f"j.yaml:{place}"] if place else [])


@pytest.mark.parametrize(
    ("steps", "within", "expected"),
    [
        ("- id: d\n  delay: 7d\n" + HELLO, "7d", [("hello", "7d")]),
        ("- id: d\n  delay: 7d\n" + HELLO, "8d", []),
        ("- id: d\n  if: user.vip\n  delay: 7d\n" + HELLO, "7d", []),
        ("- id: d\n  delay: 9d\n", "7d", []),  # nothing is sent
    ],
)
def test_a_goal_that_counts_no_more_when_the_message_goes_out_is_a_warning(workshop, steps, within, expected):
    findings = workshop.findings(steps, more=f"goal: {{event: order_paid, within: {within}}}")

    assert [(f.params["found"], f.params["takes"]) for f in findings if f.code == "J137"] == expected


CAME = "  on_event: [{exit: came}]\n"


@pytest.mark.parametrize(
    ("steps", "more", "codes"),
    [
        (wait("1d", CAME), "exit_when: [{event: app_opened, reason: a}]", ["J078"]),
        (wait("1d"), "exit_when: [{event: app_opened, reason: a}]", []),  # nothing follows
        (wait("1d", CAME), "exit_when: [{event: app_opened, where: user.vip, reason: a}]", []),
        (wait("1d", CAME), "exit_when: [{event: order_paid, reason: a}]", []),
        (wait("1d", CAME), "goal: {event: app_opened, within: 1d}", ["J078"]),
        (wait("1d", CAME), "goal: {event: app_opened, within: 12h}", []),  # counts no more towards the end
        (wait("1d", CAME), "goal: {event: app_opened, within: 2d, then: go_on}", []),
        ("- id: d\n  delay: 2d\n" + wait("1d", CAME), "goal: {event: app_opened, within: 3d}", ["J078"]),
        ("- id: d\n  delay: 2d\n" + wait("1d", CAME), "goal: {event: app_opened, within: 2d}", []),
        ("- id: d\n  delay: {until: '18:00'}\n" + wait("1d", CAME), "goal: {event: app_opened, within: 9d}", []),
    ],
)
def test_what_follows_an_event_that_ends_the_journey_first_is_a_warning(workshop, steps, more, codes):
    assert workshop.codes(steps, more=more) == codes


@pytest.mark.parametrize(
    ("cases", "codes"),
    [
        ("{event: app_opened}, {event: app_opened, where: user.vip}", ["J077"]),
        ("{event: app_opened, where: user.vip}, {event: app_opened}", []),
        ("{event: [app_opened, order_paid]}, {event: order_paid, where: event.amount > 9}", ["J077"]),
        ("{event: app_opened}, {event: [app_opened, order_paid]}", []),
    ],
)
def test_an_awaited_event_that_an_earlier_case_takes_is_a_warning(workshop, cases, codes):
    assert workshop.codes(f"- id: w\n  wait_for: {{any_of: [{cases}], timeout: 1d}}\n") == codes


@pytest.mark.parametrize(
    ("reentry", "caps", "codes"),
    [
        ("always", (), ["J138"]),
        ("{after: 30d}", (), []),
        ("always", ((None, "marketing", None),), []),
        ("always", ((None, None, None),), []),
        ("always", (("push", None, None),), []),
        ("always", (("sms", None, None),), ["J138"]),
        ("always", ((None, "service", None),), ["J138"]),
        ("always", ((None, None, "pickup"),), ["J138"]),
        ("always", ((None, None, "deals"),), []),
    ],
)
def test_entering_again_each_time_without_a_cap_is_a_warning(workshop, reentry, caps, codes):
    entry = f"{{segment: dormant, existing: skip, reentry: {reentry}}}"
    capped = type(workshop)()
    capped.world = replace(workshop.world, caps=caps)

    assert capped.codes(HELLO, entry=entry, purpose="marketing", more=f"topic: deals\n{GOAL}") == codes


@pytest.mark.parametrize(("ends", "codes"), [("2026-12-18 10:00", ["J139"]), ("2026-12-18 10:01", [])])
def test_an_end_that_is_not_after_the_entry_is_a_warning(workshop, ends, codes):
    assert workshop.codes(entry="{at: '2026-12-18 10:00'}", more=f"ends_at: '{ends}'") == codes


@pytest.mark.parametrize(
    ("title", "room"),
    [
        ("{{ entry.item }}今天特价快来看看吧吧", 10),
        ("{{ entry.item }}今天特价快来看看吧", None),  # less than half is fixed
        ("{{ entry.item | truncate(10) }}今天特价快来看看吧吧", None),
        ("{{ entry.item | truncate(11) }}今天特价快来看看吧吧", 10),
        ("{{ entry.item | default('水果') }}今天特价快来看看吧吧", 10),
        ("{{ entry.amount }}元今天特价快来看看吧吧", None),  # a number is short
        ("{{ entry.due | date('%-m月%-d日') }}今天特价快来看看吧吧", None),
        ("{{ entry.item }}", None),
        ("{{ entry.item | truncate(12) }}和{{ user.name | truncate(8) }}", 11),
    ],
)
def test_a_text_that_is_over_the_limit_of_its_field_for_long_values_only_is_a_warning(workshop, title, room):
    findings = workshop.findings(f'- id: a\n  send:\n    - wechat:\n        template: hello\n        data: {{title: "{title}", note: x}}\n')

    assert [(f.code, f.params["room"], f.severity) for f in findings] == ([("J064", room, "warning")] if room is not None else [])


@pytest.mark.parametrize(("status", "codes"), [("live", ["J136"]), ("draft", []), ("closed", [])])
def test_a_live_journey_without_tests_is_a_warning(workshop, status, codes):
    text = workshop.text(more="tests: []").replace("status: live", f"status: {status}")

    assert [f.code for f in workshop.check_texts({"j.yaml": text})] == codes


def test_advice_is_given_only_for_files_without_errors(workshop):
    assert workshop.codes(GRANT + "- id: d\n  delay: 9d\n" + REMIND + "- id: e\n  grant: {benefit: none}\n") == ["J028"]


def test_the_shipped_journeys_have_no_findings(shipped):
    assert [f.line() for f in shipped.checked.findings] == []
