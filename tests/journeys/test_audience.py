import pytest

from journeys.duration import DAY

EVENTS = "events: {order_paid: {order_id: text, amount: number, item: text, due: time, gift: boolean}, app_opened: {}}\n"


def trait(workshop, written):
    audience, findings = workshop.audience_findings(f"{EVENTS}traits:\n  t: {{{written}}}\n")
    return audience.traits.get("t"), [f.code for f in findings], findings


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("type: text, from: profile", ("", "", "", 0, 1)),
        ("type: number, count: order_paid", ("count", "order_paid", "", 0, 1)),
        ("type: number, count: order_paid, where: event.amount > 3, within: 90d", ("count", "order_paid", "", 90 * DAY, 1)),
        ("type: number, sum: order_paid, of: amount", ("sum", "order_paid", "amount", 0, 1)),
        ("type: number, avg: order_paid, of: amount, at_least: 2", ("avg", "order_paid", "amount", 0, 2)),
        ("type: time, first: order_paid, of: time", ("first", "order_paid", "time", 0, 1)),
        ("type: text, last: order_paid, of: item", ("last", "order_paid", "item", 0, 1)),
        ("type: choice, last: order_paid, of: item", None),  # a choice needs its list
        ("type: text, top: order_paid, of: order_id, take: item, at_least: 3", ("top", "order_paid", "order_id", 0, 3)),
        ("type: time_of_day, top: app_opened, of: hour, within: 60d", ("top", "app_opened", "hour", 60 * DAY, 1)),
        ("type: number, distinct: order_paid, of: item", ("distinct", "order_paid", "item", 0, 1)),
        ("type: number, median_gap: order_paid, at_least: 4", ("median_gap", "order_paid", "", 0, 4)),
        ("type: number, value: user.t2 / 2", None),
    ],
)
def test_a_trait_is_compiled_to_what_its_aggregate_reads(workshop, written, expected):
    found, codes, _ = trait(workshop, written)

    if expected is None:
        assert codes
        assert found is None
    else:
        assert not codes
        assert (found.aggregate, found.event, found.of, found.within, found.at_least) == expected


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("type: text", "J100"),
        ("type: text, from: profile, value: user.id", "J100"),
        ("type: number, count: order_paid, sum: order_paid, of: amount", "J100"),
        ("type: number, count: order_payed", "J020"),
        ("type: number, count: order_paid, of: amount", "J101"),
        ("type: number, sum: order_paid, of: amount, at_least: 3", "J101"),
        ("type: number, sum: order_paid, of: amount, take: item", "J101"),
        ("type: text, last: order_paid, of: item, at_least: 2", "J101"),
        ("type: number, median_gap: order_paid, of: amount", "J101"),
        ("type: number, count: order_paid, where: \"count('order_paid', within='3d') > 0\"", "J101"),
        ("type: number, count: order_paid, where: has_tag('vip')", "J101"),
        ("type: number, sum: order_paid", "J014"),
        ("type: text, top: order_paid", "J014"),
        ("type: choice, from: profile", "J014"),
        ("type: number, sum: order_paid, of: amuont", "J023"),
        ("type: text, top: order_paid, of: item, take: itm", "J023"),
        ("type: text, count: order_paid", "J102"),
        ("type: number, last: order_paid, of: item", "J102"),
        ("type: time, last: order_paid, of: amount", "J102"),
        ("type: text, top: app_opened, of: hour", "J102"),
        ("type: number, value: user.name", "J022"),
        ("type: number, value: user.id", "J102"),  # declared a number, made a text
        ("type: time, value: 1 + 1", "J102"),
        ("type: number, sum: order_paid, of: item", "J102"),  # texts have no sum
        ("type: number, avg: order_paid, of: due", "J102"),
        ("type: number, count: order_paid, where: event.amuont > 3", "J023"),
        ("type: number, count: order_paid, where: user.id == 'a'", "J022"),
        ("type: number, count: order_paid, where: event.amount", "J044"),
        ("type: number, from: profile, default: many", "J013"),
        ("type: boolean, from: profile, default: many", "J013"),
    ],
)
def test_a_wrong_trait_has_its_code_and_a_place_inside_it(workshop, written, code):
    found, codes, findings = trait(workshop, written)

    assert codes == [code]
    assert found is None
    assert findings[0].place.line == 3


@pytest.mark.parametrize(
    ("written", "default"),
    [
        ("type: number, from: profile, default: 3", 3),
        ("type: number, from: profile, default: 2.5", 2.5),
        ("type: text, from: profile, default: 3", "3"),
        ("type: boolean, from: profile, default: false", False),
        ("type: time_of_day, from: profile, default: '18:30'", 1110),
        ("type: choice, of: [a, b], from: profile, default: b", "b"),
        ("type: text, from: profile", None),
    ],
)
def test_a_default_has_the_type_of_its_trait(workshop, written, default):
    found, codes, _ = trait(workshop, written)

    assert not codes
    assert found.default == default
    assert type(found.default) is type(default)


def test_a_trait_calculated_from_others_keeps_its_rule(workshop, facts):
    audience, findings = workshop.audience_findings(
        f"{EVENTS}traits:\n  a: {{type: number, from: profile}}\n  b: {{type: number, value: user.a / 2}}\n"
    )

    assert not findings
    assert audience.traits["b"].value.test(facts(a=3)) == 1.5


@pytest.mark.parametrize(
    ("text", "circles"),
    [
        ("traits:\n  a: {type: number, value: user.b}\n  b: {type: number, value: user.a}\n", ["a", "b"]),
        ("traits:\n  a: {type: number, value: user.a + 1}\n", ["a"]),
        ("segments:\n  a: {name: a, when: segment('b')}\n  b: {name: b, when: not segment('a')}\n", ["a", "b"]),
        ("traits:\n  a: {type: boolean, value: segment('s')}\nsegments:\n  s: {name: s, when: user.a}\n", ["a", "s"]),
        (
            (
                "segments:\n  s: {name: s, when: user.stage == 'a'}\n"
                "lifecycle:\n  - {stage: a, name: a, when: not segment('s')}\n  - {stage: b, name: b}\n"
            ),
            ["s", "stage"],
        ),
        (
            "traits:\n  a: {type: number, from: profile}\n  b: {type: number, value: user.a}\n  c: {type: number, value: user.a + user.b}\n",
            [],
        ),
    ],
)
def test_traits_and_segments_that_need_themselves_are_refused_and_taken_out(workshop, text, circles):
    audience, findings = workshop.audience_findings(text)

    assert [f.params["found"] for f in findings if f.code == "J052"] == circles
    assert not set(circles) & {*audience.traits, *audience.segments}


TIMED = f"""{EVENTS}traits:
  seen: {{type: time, from: profile}}
  idle: {{type: number, value: days_since(user.seen)}}
  also_idle: {{type: number, value: user.idle, default: 5}}
"""


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("segments:\n  s: {name: s, when: user.idle + 1 > 20}\n", "user.idle, which is days_since(…),"),
        ("segments:\n  s: {name: s, when: 3 > -user.also_idle}\n", "user.also_idle, which is days_since(…),"),
        ("segments:\n  s: {name: s, when: user.idle > user.also_idle}\n", "user.also_idle, which is days_since(…),"),
        ("segments:\n  s: {name: s, when: hours_until(user.seen) < user.idle}\n", "user.idle, which is days_since(…),"),
        ("  twice: {type: number, value: user.also_idle * 2}\n", "user.also_idle, which is days_since(…),"),
        ("  weeks: {type: number, value: days_since(user.seen) / 7}\n", "days_since(…)"),
    ],
)
def test_a_trait_that_is_a_time_function_stands_alone_as_the_function_does(workshop, more, found):
    _, findings = workshop.audience_findings(TIMED + more)

    assert [f.code for f in findings] == ["J049"]
    assert findings[0].line().count(f"{found} must stand alone") == 1, findings[0].line()


def test_a_trait_that_is_a_time_function_may_be_compared_passed_on_and_asked_whether_it_is_known(workshop):
    audience, findings = workshop.audience_findings(
        f"{TIMED}  lapsed: {{type: boolean, value: user.idle >= 20}}\n"
        "segments:\n  s: {name: s, when: 2 * 7 < user.also_idle and user.lapsed and user.idle is known}\n"
    )

    assert not findings
    assert set(audience.times) == {"idle", "also_idle"}


@pytest.mark.parametrize(
    ("stages", "codes"),
    [
        ("- {stage: a, name: A, when: user.id == 'x'}\n- {stage: b, name: B}", []),
        ("- {stage: a, name: A}\n- {stage: b, name: B}", ["J103"]),
        ("- {stage: a, name: A, when: user.id == 'x'}", ["J103"]),
        ("- {stage: a, name: A, when: user.idd == 'x'}\n- {stage: b, name: B}", ["J022"]),
    ],
)
def test_the_last_stage_alone_is_for_everyone_else(workshop, stages, codes):
    _, findings = workshop.audience_findings("lifecycle:\n" + "\n".join("  " + line for line in stages.splitlines()))

    assert [f.code for f in findings] == codes


def test_an_event_of_the_system_is_not_declared(workshop):
    audience, findings = workshop.audience_findings("events:\n  stage_changed: {x: text}\n")

    assert [(f.code, f.place.line, f.place.column) for f in findings] == [("J104", 2, 3)]
    assert "from" in audience.events["stage_changed"]


@pytest.mark.parametrize("event", ["stage_changed", "segment_entered", "segment_left", "journey_ended", "consent_withdrawn"])
@pytest.mark.parametrize("asked", [
    "traits: {{t: {{type: number, count: {event}}}}}", "traits: {{t: {{type: time, last: {event}, of: time, within: 30d}}}}",
    "segments: {{s: {{name: S, when: \"count('{event}', within='30d') > 1\"}}}}",
])  # fmt: skip
def test_what_is_made_and_used_up_in_a_turn_cannot_be_counted(workshop, asked, event):
    _, findings = workshop.audience_findings(asked.format(event=event))

    assert [f.code for f in findings] == ["J105"]


def test_the_fields_of_several_events_are_those_that_all_have(workshop):
    fields = workshop.audience.event_fields(("order_paid", "order_arrived"))

    assert fields == {"order_id": "text", "user_id": "text", "type": "text", "time": "time", "id": "text"}


def test_history_is_kept_as_long_as_the_longest_window(workshop):
    text = (
        f"{EVENTS}traits:\n  a: {{type: number, count: order_paid, within: 10d}}\n"
        "segments:\n  s: {name: s, when: \"count('order_paid', within='30d') > 1 or count('app_opened', within='2d') > 1\"}\n"
        "suppress_marketing:\n  - {name: x, when: \"count('order_paid', within='20d') > 1\"}\n"
    )

    audience, findings = workshop.audience_findings(text)

    assert not findings
    assert audience.windows == {"order_paid": 30 * DAY, "app_opened": 2 * DAY}
    assert audience.stops[0][0] == "x"


def test_history_is_kept_for_what_a_calculated_trait_counts(workshop):
    audience, findings = workshop.audience_findings(
        f"{EVENTS}traits:\n  opens: {{type: number, value: \"count('app_opened', within='60d') + 0\"}}\n"
        "  keen: {type: boolean, value: \"count('app_opened', within='3d') > user.opens\"}\n"
    )

    assert not findings
    assert audience.windows == {"app_opened": 60 * DAY}
    assert audience.projections["app_opened"].window == 60 * DAY


def test_a_segment_may_not_ask_for_reach_and_its_time_terms_stand_alone(workshop):
    _, findings = workshop.audience_findings(
        "traits: {t: {type: time, from: profile}}\nsegments:\n  a: {name: a, when: reachable('sms')}\n  b: {name: b, when: days_since(user.t) + 1 > 2}\n"
    )

    assert [(f.code, f.place.line) for f in findings] == [("J048", 3), ("J049", 4)]
