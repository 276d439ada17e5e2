import pytest

from journeys.duration import DAY

GRANT = "- id: gift\n  grant: {benefit: coupon_10, expires: 7d}\n"
USE = "- id: use\n  send: [{push: {title: a, body: '{{ steps.gift.code }}'}}]\n"
WAIT = "- id: pause\n  delay: 1d\n"


def test_a_right_journey_has_no_findings(workshop):
    assert workshop.codes() == []


def test_two_files_with_one_id_are_reported_in_the_second(workshop):
    findings = workshop.check_texts({"j.yaml": workshop.text(), "k.yaml": workshop.text()})

    assert [(str(f.place), f.code, f.params["other"]) for f in findings] == [("k.yaml:1:5", "J010", "j.yaml")]


def test_a_file_is_named_after_its_journey(workshop):
    findings = workshop.check_texts({"deep/k.yaml": workshop.text()})

    assert [(f.code, f.params["expected"]) for f in findings] == [("J011", "j.yaml")]


def test_a_wrong_file_does_not_hide_the_others(workshop):
    findings = workshop.check_texts({"a.yaml": "- x", "j.yaml": workshop.text("- id: a\n  grant: {benefit: none}")})

    assert [f.place.file for f in findings] == ["a.yaml", "j.yaml"]


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        (GRANT + USE, []),  # a failed grant without on_failed ends the journey
        (GRANT + "  on_failed: [{exit: sold_out}]\n" + USE, []),
        (GRANT + "  on_failed: []\n" + USE, ["J051"]),
        (GRANT + "  on_failed:\n    - id: sorry\n      delay: 1h\n" + USE, ["J051"]),
        (GRANT + "  on_failed: []\n" + USE + "  if: steps.gift.ok\n", []),  # narrowed
        (GRANT + "  on_failed: []\n" + USE + "  if: user.vip and steps.gift.ok\n", []),
        (GRANT + "  on_failed: []\n" + USE + "  if: user.vip or steps.gift.ok\n", ["J051"]),
        (GRANT + "  on_failed: []\n" + USE + "  if: not steps.gift.ok\n", ["J051"]),
        (
            GRANT
            + "  on_failed: []\n- id: which\n  branch:\n    - when: steps.gift.ok\n      steps:\n"
            + "\n".join("        " + x for x in USE.strip().splitlines()),
            [],
        ),
        (
            GRANT
            + "  on_failed: []\n- id: which\n  branch:\n    - when: steps.gift.ok\n      steps: []\n  otherwise:\n"
            + "\n".join("    " + x for x in USE.strip().splitlines()),
            ["J051"],
        ),
        (GRANT + "  on_failed: []\n- id: until\n  delay: {until: steps.gift.expires_at}\n", ["J051"]),
        (GRANT + "  on_failed: []\n- if: steps.gift.ok\n  exit: x\n", []),  # .ok is always readable
        (
            "- id: gift\n  call: {endpoint: stock}\n  on_failed: []\n- id: use\n  send: [{push: {title: a, body: '{{ steps.gift.left }}'}}]\n",
            ["J051"],
        ),
        (
            "- id: gift\n  call: {endpoint: stock, default: {left: 0}}\n- id: use\n  send: [{push: {title: a, body: '{{ steps.gift.left }}'}}]\n",
            [],
        ),
    ],
)
def test_a_result_that_may_not_exist_is_refused_unless_it_is_narrowed(workshop, steps, codes):
    assert workshop.codes(steps) == codes


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        ("- id: a\n  goto: {step: nowhere}\n", ["J031"]),
        (WAIT + "- id: a\n  goto: {step: pause, max_visits: 3}\n", []),
        (WAIT + "- id: a\n  goto: {step: pause}\n", ["J073"]),
        (WAIT + "- id: a\n  goto: {step: a, max_visits: 2}\n", ["J072"]),  # to itself: back, and without a wait
        ("- id: a\n  goto: {step: pause}\n" + WAIT, []),
        ("- id: a\n  goto: {step: pause}\n- id: b\n  delay: 1h\n" + WAIT, ["J071"]),  # jumped over
        ("- id: a\n  if: user.vip\n  goto: {step: pause}\n- id: b\n  delay: 1h\n" + WAIT, []),
        ("- exit: a\n- exit: b\n", ["J071"]),
        ("- if: user.vip\n  exit: a\n- exit: b\n", []),
        (
            "- id: s\n  wait_for: {event: app_opened, timeout: 1d}\n  on_event: [{exit: a}]\n  on_timeout: [{exit: b}]\n- exit: c\n",
            ["J071"],
        ),
        ("- id: s\n  branch:\n    - {when: user.vip, steps: [{exit: a}]}\n- exit: c\n", []),
        ("- id: s\n  branch:\n    - {when: user.vip, steps: [{exit: a}]}\n  otherwise: [{exit: b}]\n- exit: c\n", ["J071"]),
        (
            "- exit: a\n- id: b\n  branch:\n    - {when: user.vip, steps: [{id: c, delay: 1h}]}\n  otherwise: [{exit: d}]\n- exit: e\n",
            ["J071"],
        ),
        ("- exit: a\n- id: b\n  delay: 1h\n- exit: c\n- id: d\n  delay: 1h\n- exit: e\n", ["J071", "J071"]),  # two causes: each its own
        ("- id: x\n  update: {add_tags: [a]}\n- id: y\n  if: user.vip\n  goto: {step: x, max_visits: 3}\n", ["J072"]),
    ],
)
def test_the_flow_of_the_steps_is_checked(workshop, steps, codes):
    assert workshop.codes(steps) == codes


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("- id: d\n  delay: {until: user.nope, if_missing: go_on}\n", "J022"),
        ("- id: d\n  wait_for: {timeout: 1d}\n", "J015"),
        ("- id: d\n  wait_for: {event: app_opened, timeout: {until: user.nope}}\n", "J022"),
        ("- id: d\n  branch:\n    - {when: user.nope, steps: [{exit: a}]}\n    - {when: user.vip, steps: [{exit: b}]}\n", "J022"),
        ("- id: d\n  delay: {until: user.contract_ends, if_missing: soon}\n", "J013"),
    ],
)
def test_a_wrong_step_at_the_beginning_is_one_finding_and_the_flow_stays_whole(workshop, steps, code):
    assert workshop.codes(steps + WAIT) == [code]


@pytest.mark.parametrize(
    ("until", "entry", "codes"),
    [
        ("entry.time", "{event: order_paid}", []),
        ("entry.time", "{event: order_paid, user: entry.paid_by}", []),
        ("user.opens_at", "{event: order_paid}", []),  # it has a default
        ("entry.due", "{event: order_paid}", ["J083"]),
        ("user.contract_ends", "{event: order_paid}", ["J083"]),
        ("entry.time", "{segment: dormant, existing: skip}", ["J083"]),  # nothing came
    ],
)
def test_what_is_missing_is_to_be_said_where_the_moment_may_be_missing_and_only_there(workshop, until, entry, codes):
    traits = "{opens_at: {type: time_of_day, from: profile, default: '08:00'}, contract_ends: {type: time, from: profile}}"
    segments = "{dormant: {name: s, when: user.contract_ends is known}}"
    audience = f"events: {{order_paid: {{paid_by: text, due: time}}}}\ntraits: {traits}\nsegments: {segments}\n"
    text = workshop.text(f"- id: d\n  delay: {{until: {until}, offset: 2h}}\n", entry=entry)

    assert [f.code for f in workshop.check_texts({"j.yaml": text}, audience)] == codes


@pytest.mark.parametrize(
    ("entry", "codes"),
    [
        ("{event: order_paid}", []),
        ("{event: [order_paid, app_opened], where: event.id is known}", []),
        ("{event: order_paid, user: entry.paid_by, subject: order_id}", []),
        ("{segment: dormant, existing: skip, pace: 100 per 1d}", []),
        ("{schedule: '0 9 * * 5', where: user.vip}", []),
        ("{at: '2026-12-18 10:00'}", []),
        ("{date: user.birthday, at: '09:30', offset: -1d}", []),
        ("{date: user.contract_ends}", []),
        ("{api: true}", []),
        ("{}", ["J015"]),
        ("{where: user.vip}", ["J015"]),
        ("{event: order_paid, segment: dormant}", ["J015"]),
        ("{at: '2026-12-18 10:00', schedule: '0 9 * * *'}", ["J015"]),
        ("{event: order_paid, existing: skip}", ["J085"]),
        ("{event: order_paid, offset: 1d}", ["J085"]),
        ("{event: order_paid, pace: 1 per 1d}", ["J085"]),
        ("{schedule: '0 9 * * *', user: user.id}", ["J085"]),
        ("{segment: dormant, existing: skip, subject: order_id}", ["J085"]),
        ("{event: order_paid, subject: gift}", ["J023"]),
        ("{event: order_paid, user: entry.amount}", ["J043"]),
        ("{schedule: '0 9 * *'}", ["J013"]),
        ("{schedule: '0 9 * * 8'}", ["J013"]),
        ("{at: tomorrow}", ["J013"]),
        ("{date: user.birthday, at: noon}", ["J013"]),
        ("{date: user.age}", ["J043"]),
        ("{segment: dormant, existing: skip, where: event.amount > 3}", ["J047"]),
    ],
)
def test_an_entry_has_exactly_one_form_and_only_its_companions(workshop, entry, codes):
    assert workshop.codes(entry=entry) == codes


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ("exit_when: [{event: app_opened, reason: a}, {when: user.vip, reason: b}]", []),
        ("exit_when: [{reason: a}]", ["J015"]),
        ("exit_when: [{event: app_opened, when: user.vip, reason: a}]", ["J015"]),
        ("exit_when: [{event: app_opend, reason: a}]", ["J020"]),
        ("goal: {event: order_paid, within: 14d, where: event.amount > entry.amount}", []),
        ("goal: {event: order_paid, within: 14d, of: entry.paid_by}", []),
        ("goal: {event: order_paid, within: 14d, of: entry.amount}", ["J043"]),
        ("ends_at: someday", ["J013"]),
        (f"topic: {'提' * 64}", []),
        (f"topic: {'提' * 65}", ["J013"]),  # no column takes it
        ("max_lateness: 6h\non_late: skip", []),
    ],
)
def test_the_keys_of_the_journey_are_checked(workshop, more, codes):
    assert workshop.codes(more=more) == codes


@pytest.mark.parametrize(
    ("condition", "codes"),
    [
        ("user.city != '上海'", ["J050"]),
        ("'上海' != user.city", ["J050"]),
        ("user.vip and user.city != '上海'", ["J050"]),
        ("user.city != '上海' or user.city is missing", []),
        ("user.city is known and user.city != '上海'", []),
        ("not user.city == '上海'", []),
        ("not (user.city != '上海')", []),
        ("user.name != '邻居'", []),  # it has a default
        ("user.orders_90d + 1 != 3", []),
        ("entry.item != 'x'", []),  # what an event lacks was not sent
    ],
)
def test_a_comparison_that_silently_drops_users_is_a_warning(workshop, condition, codes):
    steps = WAIT + f'- if: "{condition}"\n  exit: x\n'

    findings = workshop.findings(steps)

    assert [f.code for f in findings] == codes
    assert all(f.severity == "warning" and "user.city" in f.text() for f in findings)
    assert workshop.analyse(workshop.text(steps))[0] is not None


@pytest.mark.parametrize(
    ("tests", "codes"),
    [
        ("[{name: t, expect: [{after: 0s, end: done}]}]", []),
        ("[{name: t, expect: [{after: 0s}]}]", ["J015"]),
        ("[{name: t, expect: [{end: done}]}]", ["J015"]),
        ("[{name: t, expect: [{after: 0s, at: '2026-12-01', end: done}]}]", ["J015"]),
        ("[{name: t, expect: [{after: 0s, send: sms, step: nope}]}]", ["J031"]),
        ("[{name: t, given: {variant: {nope: a}}, expect: []}]", ["J031"]),
    ],
)
def test_the_names_in_tests_are_checked(workshop, tests, codes):
    assert workshop.codes(more=f"tests: {tests}") == codes


def test_a_finding_stands_at_the_word_it_is_about(workshop):
    (finding,) = workshop.findings("- id: a\n  delay: 1d\n- if: user.vip and user.agee > 3\n  exit: x")

    assert str(finding.place) == "j.yaml:11:22"


def test_the_machine_and_the_closures_of_a_right_journey_are_made(workshop):
    journey = workshop.compile(
        GRANT + USE,
        more="goal: {event: order_paid, within: 14d}\nholdout: 12.5%\nexit_when: [{event: app_opened, reason: a}]",
        purpose="marketing",
    )

    assert (journey.first, list(journey.steps)) == ("gift", ["gift", "use"])
    assert (journey.goal.within, journey.holdout) == (14 * DAY, 1250)
    assert journey.awaited == {"order_paid", "app_opened"}


@pytest.mark.parametrize(
    ("schedule", "en", "zh"),
    [
        ("0 9 * *", "“0 9 * *” with 4", "“0 9 * *”，只有 4 段"),
        ("0 9 * * * *", "“0 9 * * * *” with 6", "“0 9 * * * *”，有 6 段"),
        ("0 9 * * 8", "“0 9 * * 8”, whose weekday 8 does not fit", "“0 9 * * 8”，其中“周几”写的 8 不对"),
        ("0 25 * * 5", "“0 25 * * 5”, whose hour 25 does not fit", "“0 25 * * 5”，其中“时”写的 25 不对"),
    ],
)
def test_the_part_of_a_schedule_that_does_not_fit_is_named(workshop, schedule, en, zh):
    (finding,) = workshop.findings(entry=f"{{schedule: '{schedule}'}}")

    assert finding.text("en") == f"expected five cron fields such as 0 9 * * 5, found {en}"
    assert finding.text("zh") == f"应是五段 cron，如 0 9 * * 5，现在是{zh}"


@pytest.mark.parametrize(
    ("until", "hint"),
    [
        ("'25:00'", ""),
        ("'9:30'", ', did you mean "09:30"?'),
        ("'10:7'", ""),
        ("'9:99'", ""),
        ("6pm", ', did you mean "18:00"?'),
        ("'10'", ', did you mean "10:00"?'),
    ],
)
def test_a_time_of_day_that_no_clock_shows_is_told_the_hours(workshop, until, hint):
    (finding,) = workshop.findings(f"- id: a\n  delay: {{until: {until}}}\n")

    found = until.strip("'")
    assert finding.text("en") == f'expected a quoted time of day such as "18:30", hours 00 to 23, found “{found}”{hint}'
