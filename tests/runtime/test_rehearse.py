"""tests: of a journey file: a right story passes, and every kind of wrong one is told."""

import pytest

from runtime.policy import Rules
from runtime.rehearse import rehearse
from tests.town import AUDIENCE, PUSH, WORLD, at, audience, journey

STEPS = f"""
- {{id: gift, grant: {{benefit: gift}}, on_failed: [{{exit: sold_out}}]}}
- {{id: hello, send: {PUSH}}}
- {{id: mark, update: {{add_tags: [seen]}}}}
- {{id: look, wait_for: {{event: app_opened, timeout: 1d}}, on_event: [{{exit: came}}], on_timeout: [{{exit: silent}}]}}
"""
HAPPY = "[{after: 0s, grant: gift}, {after: 0s, send: push, step: hello, contains: T}, {after: 0s, tag: seen}, {after: 1d, end: silent}]"


def run(story, steps=STEPS, **keys):
    made = journey(steps, tests=f"[{{name: story, {story}}}]", entry=keys.pop("entry", "{event: order_paid}"), **keys)
    (result,) = rehearse(made, audience(), WORLD, Rules())
    return result


def test_a_story_that_happens_as_told_passes():
    result = run(f"expect: {HAPPY}")

    assert result.passed
    assert {"gift", "hello", "mark", "look"} <= result.visits.steps
    assert [row.mark for row in result.rows] == [" "] * 4


@pytest.mark.parametrize(
    ("wrong", "expected", "got"),
    [
        (HAPPY.replace("send: push", "send: sms"), "sms", "push"),  # another channel
        (HAPPY.replace("contains: T", "contains: 别的"), "push", "push"),  # another text
        (HAPPY.replace("step: hello", "step: gift"), "push", "push"),  # another step
        (HAPPY.replace("after: 1d", "after: 2d"), "silent", "silent"),  # another time
        (HAPPY.replace("end: silent", "end: came"), "came", "silent"),  # another end
        (HAPPY.replace(", {after: 0s, tag: seen}", ""), None, "seen"),  # something that is not told
        (HAPPY.replace("]", ", {after: 2d, end: more}]"), "more", None),  # something that does not happen
        ("[]", None, "gift"),
    ],
)
def test_a_story_told_wrongly_fails_where_it_parts_and_says_what_came_instead(wrong, expected, got):
    result = run(f"expect: {wrong}")

    difference = result.difference
    assert not result.passed
    assert (difference.expected and difference.expected.what, difference.got and difference.got.what) == (expected, got)


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("given: {benefits: {gift: sold_out}}", "[{after: 0s, end: sold_out}]"),
        ("given: {benefits: {gift: fails}}", "[{after: 0s, end: sold_out}]"),
        (
            "given: {consents: {push: false}}",
            "[{after: 0s, grant: gift}, {after: 0s, suppressed: no_consent, step: hello}, {after: 0s, tag: seen}, {after: 1d, end: silent}]",
        ),
        ("events: [{after: 2h, event: app_opened}]", HAPPY.replace("after: 1d, end: silent", "after: 2h, end: came")),
        ("events: [{after: 2h, event: app_opened, user: somebody_else}]", HAPPY),
    ],
)
def test_the_world_is_as_the_story_gives_it(story, expected):
    assert run(f"{story}, expect: {expected}").passed


def test_a_hold_out_story_takes_no_step():
    result = run(
        "given: {holdout: true}, events: [{after: 2d, event: order_paid, amount: 1}], expect: [{after: 2d, end: converted}]",
        goal="{event: order_paid, within: 14d}", holdout="10%",
    )  # fmt: skip

    assert result.passed


def test_traits_given_are_moved_by_the_storys_own_events():
    steps = "- {id: look, wait_for: {when: user.orders_count >= 3, timeout: 2d}, on_event: [{exit: three}], on_timeout: [{exit: fewer}]}"

    result = run(
        "user: {orders_count: 2}, events: [{after: 1h, event: order_paid, amount: 1}], expect: [{after: 1h, end: three}]",
        steps,
        entry="{api: true}",
    )

    assert result.passed


def test_quiet_hours_of_the_project_hold_in_stories_too():
    from journeys.duration import parse_window

    text = (
        '[{name: night, at: "2026-12-01 22:00", expect: [{at: "2026-12-02 09:00", send: push}, {at: "2026-12-02 09:00", end: completed}]}]'
    )
    made = journey(f"- {{id: hello, send: {PUSH}}}", tests=text)

    (result,) = rehearse(made, audience(), WORLD, Rules(quiet_hours=parse_window("21:00-09:00")))

    assert result.passed


# --- LANGUAGE.md, `tests:`, sentence by sentence


def test_a_test_starts_at_ten_of_a_fixed_day_unless_it_says_when():
    fixed = run("expect: [{at: '2026-12-01 10:00', end: done}]", "- {exit: done}")
    said = run("at: '2027-03-05 08:30', expect: [{at: '2027-03-05 08:30', end: done}]", "- {exit: done}")

    assert (fixed.passed, said.passed) == (True, True)
    assert fixed.start == at("2026-12-01 10:00")


def test_the_users_values_and_tags_are_hers_when_she_enters():
    steps = "- {id: b, branch: [{when: user.city == '上海' and has_tag('vip') and user.birthday is known, steps: [{exit: she}]}]}"

    given = run("user: {city: 上海, birthday: 12-24}, given: {tags: [vip]}, expect: [{after: 0s, end: she}]", steps)
    not_given = run("expect: [{after: 0s, end: completed}]", steps)

    assert (given.passed, not_given.passed) == (True, True)


def test_the_entry_is_the_events_data_with_its_types():
    steps = '- {id: hello, send: [{push: {title: "{{ entry.item }}", body: "{{ entry.amount | money }}"}}]}'

    result = run(
        "entry: {item: 桃, amount: '12.5'}, expect: [{after: 0s, send: push, contains: 桃 / ¥12.50}, {after: 0s, end: completed}]", steps
    )

    assert result.passed, result.rows


def test_of_several_events_that_let_in_the_first_is_meant_unless_the_entry_names_another():
    steps = "- {id: b, branch: [{when: entry.type == 'app_opened', steps: [{exit: opened}]}]}"
    entry = "{event: [order_paid, app_opened]}"

    assert run("expect: [{after: 0s, end: completed}]", steps, entry=entry).passed
    assert run("entry: {type: app_opened}, expect: [{after: 0s, end: opened}]", steps, entry=entry).passed


NEWS = "- {id: one, send: [{wechat: {template: news, data: {title: T}}}, {sms: {template: news}}]}"
AGAIN = "\n".join([NEWS, "- {id: later, delay: 1h}", NEWS.replace("one", "two")])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{}", "{after: 0s, send: wechat, step: one}, {after: 1h, send: wechat, step: two}"),  # no limit unless given
        ("{credits: {news: 1}}", "{after: 0s, send: wechat, step: one}, {after: 1h, send: sms, step: two}"),
        ("{credits: {news: 0}}", "{after: 0s, send: sms, step: one}, {after: 1h, send: sms, step: two}"),
        ("{consents: {wechat: false}}", "{after: 0s, send: sms, step: one}, {after: 1h, send: sms, step: two}"),
        ("{consents: {wechat: {marketing: false}}}", "{after: 0s, send: sms, step: one}, {after: 1h, send: sms, step: two}"),
        ("{consents: {wechat: {service: false}}}", "{after: 0s, send: wechat, step: one}, {after: 1h, send: wechat, step: two}"),
        (
            "{consents: {wechat: false, sms: false}}",
            "{after: 0s, suppressed: no_consent, step: one}, {after: 1h, suppressed: no_consent, step: two}",
        ),
    ],
)
def test_credits_and_consents_are_as_given(given, expected):
    result = run(f"given: {given}, expect: [{expected}, {{after: 1h, end: completed}}]", AGAIN)

    assert result.passed, result.rows


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ("{}", "none"),  # it succeeds, and says nothing
        ("{calls: {stock: {left: 3}}}", "some"),
        ("{calls: {stock: fails}}", "ask_failed"),
    ],
)
def test_calls_answer_what_is_given_or_fail(given, end):
    steps = "- {id: ask, call: {endpoint: stock}}\n- {id: b, branch: [{when: steps.ask.left > 0, steps: [{exit: some}]}], otherwise: [{exit: none}]}"

    assert run(f"given: {given}, expect: [{{after: 0s, end: {end}}}]", steps).passed


@pytest.mark.parametrize("variant", ["a", "b"])
def test_the_variant_is_drawn_as_given(variant):
    steps = "- {id: half, split: [{name: a, weight: 1, steps: [{exit: a}]}, {name: b, weight: 0, steps: [{exit: b}]}]}"

    assert run(f"given: {{variant: {{half: {variant}}}}}, expect: [{{after: 0s, end: {variant}}}]", steps).passed


def test_nobody_is_held_out_unless_given():
    steps = "- {exit: done}"
    keys = {"goal": "{event: order_paid, within: 14d}", "holdout": "100%"}

    assert run("expect: [{after: 0s, end: done}]", steps, **keys).passed
    assert run("given: {holdout: true}, expect: [{after: 14d, end: held_out}]", steps, **keys).passed


def test_events_come_at_their_times_whatever_their_order_in_the_file():
    steps = "- {id: w, wait_for: {event: app_opened, timeout: 3d}}\n- {id: x, wait_for: {event: order_paid, timeout: 3d}, on_event: [{exit: paid}]}"
    events = "[{at: '2026-12-02 12:00', event: order_paid, amount: 1}, {after: 1h, event: app_opened}]"

    assert run(f"events: {events}, expect: [{{at: '2026-12-02 12:00', end: paid}}]", steps, entry="{api: true}").passed


def test_an_event_of_somebody_else_is_hers_where_the_journey_waits_for_her():
    steps = "- {id: w, wait_for: {event: app_opened, of: entry.friend_id, timeout: 1d}, on_event: [{exit: friend_came}]}"
    events = "[{after: 1h, event: app_opened}, {after: 2h, event: app_opened, user: B}]"

    assert run(
        f"entry: {{friend_id: B}}, events: {events}, expect: [{{after: 2h, end: friend_came}}]", steps, entry="{event: friend_woken}"
    ).passed


def test_somebody_else_who_is_entered_is_the_one_whom_the_test_looks_at():
    steps = "- {exit: done}"

    assert run(
        "user: {id: B}, entry: {friend_id: B}, expect: [{after: 0s, end: done}]",
        steps,
        entry="{event: friend_woken, user: entry.friend_id}",
    ).passed


def test_a_message_is_one_line_with_what_became_of_it():
    steps = "- {id: hello, send: [{wechat: {template: news, data: {title: T}}}, {sms: {template: news}}], fall_through: undelivered}"

    result = run("given: {receipts: {hello: undelivered}}, expect: [{after: 0s, send: sms}, {after: 0s, end: completed}]", steps)

    assert result.passed, result.rows


def test_a_step_that_comes_too_late_is_suppressed_as_late():
    from runtime.happened import timeline_of
    from runtime.state import LogEntry
    from runtime.store.reports import Story

    story = Story("u1", True, [], [(1, 0, LogEntry(7, "late", "hello", {"late_by": 5}))], [], [], [])

    assert [(line.kind, line.what, line.step) for line in timeline_of(story)] == [("suppressed", "late", "hello")]


def test_words_are_looked_for_in_what_the_person_reads():
    steps = "- {id: hello, send: [{wechat: {template: news, page: pages/a, data: {title: 您好}}}]}"

    assert run("expect: [{after: 0s, send: wechat, contains: 您好}, {after: 0s, end: completed}]", steps).passed
    assert not run("expect: [{after: 0s, send: wechat, contains: news}, {after: 0s, end: completed}]", steps).passed


def test_a_draft_is_tested_before_it_goes_live():
    assert run("expect: [{after: 0s, end: done}]", "- {exit: done}", status="draft").passed


def test_what_she_is_in_when_the_test_starts_is_no_edge():
    entry = "{event: segment_entered, mode: parallel, reentry: always}"

    assert run(
        "user: {last_order_at: 40d ago}, entry: {segment: dormant}, expect: [{after: 0s, end: once}]", "- {exit: once}", entry=entry
    ).passed


def test_what_she_comes_into_meanwhile_is_an_edge_at_its_own_time():
    steps = "- {id: w, wait_for: {event: stage_changed, where: event.to == 'gone', timeout: 9d}, on_event: [{exit: gone}]}"

    assert run("user: {orders_count: 1, last_order_at: 28d ago}, expect: [{after: 2d, end: gone}]", steps, entry="{api: true}").passed


def test_her_stage_is_known_when_she_enters():
    steps = "- {id: b, branch: [{when: user.stage == 'gone', steps: [{exit: gone}]}]}"

    assert run("user: {last_order_at: 40d ago}, expect: [{after: 0s, end: gone}]", steps, entry="{api: true}").passed


def test_why_she_never_entered_is_told_with_the_clause_and_the_values():
    result = run(
        "entry: {amount: 5}, expect: [{after: 0s, end: completed}]",
        "- {id: x, delay: 1d}",
        entry="{event: order_paid, where: event.amount > 9}",
    )

    assert result.refusal.why["reason"] == "where"
    assert (result.refusal.why["clause"], result.refusal.why["values"]) == ("event.amount > 9", {"event.amount": 5})
    assert result.visits.steps == frozenset()


def test_one_story_leaves_nothing_for_the_next():
    stories = "[{name: a, user: {city: 上海}, expect: [{after: 0s, end: local}]}, {name: b, expect: [{after: 0s, end: completed}]}]"
    made = journey("- {if: user.city == '上海', exit: local}", tests=stories, entry="{event: order_paid}")

    assert [result.passed for result in rehearse(made, audience(), WORLD, Rules())] == [True, True]


def test_after_the_end_a_message_that_is_under_way_is_still_followed():
    steps = "- {id: hello, send: [{push: {title: T, body: B}}, {sms: {template: news}}], fall_through: undelivered}\n- {exit: done}"

    assert run("given: {receipts: {hello: undelivered}}, expect: [{after: 0s, send: sms}, {after: 0s, end: done}]", steps).passed


ASLEEP = "{name: 睡着又怕贵, when: segment('dormant') and (user.points > 3 or has_tag('嫌贵')) and user.stage == 'gone'}"
OFTEN = "{name: 常来, when: \"count('app_opened', within='7d') >= 3 and user.points > 3\"}"


@pytest.mark.parametrize(
    ("story", "lacking"),
    [
        ("user: {last_order_at: 30d ago, points: 4}", ()),
        ("user: {last_order_at: 31d ago}, given: {tags: [嫌贵]}", ()),
        ("user: {last_order_at: 29d ago, points: 4}", ("days_since(user.last_order_at) >= 30", "user.stage == 'gone'")),
        ("user: {last_order_at: 31d ago, points: 3}", ("user.points > 3 or has_tag('嫌贵')",)),
        ("events: [{after: 1h, event: app_opened}]", (
            "days_since(user.last_order_at) >= 30", "user.points > 3 or has_tag('嫌贵')", "user.stage == 'gone'",
        )),
    ],
)  # fmt: skip
def test_a_story_of_somebody_who_is_not_in_the_segment_by_which_she_enters_goes_on_and_says_what_is_lacking(story, lacking):
    text = AUDIENCE.replace("segments:\n", f"segments:\n  asleep: {ASLEEP}\n")
    made = journey(
        f"- {{id: hello, send: {PUSH}}}", tests=f"[{{name: story, {story}, expect: [{{after: 0s, send: push}}, {{after: 0s, end: completed}}]}}]",
        entry="{segment: asleep, existing: skip}", audience_text=text,
    )  # fmt: skip
    (result,) = rehearse(made, audience(text), WORLD, Rules())

    assert (result.passed, result.lacking) == (True, lacking)


def test_of_a_segment_that_counts_events_of_before_no_test_can_give_somebody():
    text = AUDIENCE.replace("segments:\n", f"segments:\n  often: {OFTEN}\n")
    made = journey("- exit: x", tests="[{name: story, expect: []}]", entry="{segment: often, existing: skip}", audience_text=text)

    assert rehearse(made, audience(text), WORLD, Rules())[0].lacking == ()
