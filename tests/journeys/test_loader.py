import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.check import check
from journeys.compile import analyse
from journeys.loader import load_audience, load_audience_text, load_definitions, load_journey, load_journey_text
from journeys.model import KINDS
from tests.town import journey_text

FOLDER = Path(__file__).parents[2] / "journeys" / "definitions"
SHIPPED = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))}


def lines(workshop, *args, **kwargs):
    return [f"{f.place} {f.code} {f.text()}" for f in load_journey_text(workshop.text(*args, **kwargs), "j.yaml").source.findings]


@pytest.mark.parametrize(
    ("steps", "place", "code", "words"),
    [
        ("- id: a\n  send: [{smss: {template: x}}]", "j.yaml:10:13", "J012", "unknown key smss, did you mean sms?"),
        ("- id: a\n  sned: []", "j.yaml:10:5", "J012", "unknown key sned, did you mean send?"),
        ("- id: a\n  delay: 1d\n  days: [sat]", "j.yaml:11:5", "J012", "unknown key days"),
        ("- id: a\n  wait_for: {event: x, timeout: 1d, timeuot: 1d}", "j.yaml:10:39", "J012", "did you mean timeout?"),
        (
            "- id: a\n  delay: 3 days",
            "j.yaml:10:12",
            "J013",
            "expected a duration such as 30m, 2h, 3d or 1d12h, found “3 days”, did you mean 3d?",
        ),
        ("- id: a\n  delay: -1d", "j.yaml:10:12", "J013", "expected a duration"),
        ("- id: A-1\n  exit: x", "j.yaml:9:9", "J013", "expected lower-case letters"),
        ("- id: a\n  send: x", "j.yaml:10:11", "J013", "expected a list, found “x”"),
        ("- id: a\n  send: []", "j.yaml:10:11", "J013", "an empty list"),
        ("- id: a\n  send:", "j.yaml:10:10", "J013", "expected a list, found nothing"),
        ("- id: a\n  goto: {step: a, max_visits: 0}", "j.yaml:10:33", "J013", "greater than or equal to 1"),
        ("- id: a\n  grant: {benefit: b, amount: -1}", "j.yaml:10:33", "J013", "greater than 0"),
        ("- id: a\n  split: [{name: x, weight: 1}]", "j.yaml:10:12", "J013", "at least 2"),
        ("- id: a\n  delay: {until: '10:00', days: [sun, sux]}", "j.yaml:10:41", "J013", "did you mean sun?"),
        ("- id: a\n  send: [{push: {title: x}}]", "j.yaml:10:19", "J014", "the key body is missing"),
        ("- id: a\n  between: '9-10'", "j.yaml:9:5", "J015", "none of them"),
        ("- id: a\n  exit: x\n  delay: 1d", "j.yaml:9:5", "J015", "found delay, exit"),
        ("- go", "j.yaml:9:5", "J013", "expected a step (a mapping with one of send"),
        ("- ", "j.yaml:9:4", "J013", "found nothing"),
        ("- id: a\n  send: [{sms: {template: x}}]\n  between: 9-10", "j.yaml:11:14", "J013", "quoted window"),
    ],
)
def test_a_wrong_shape_of_a_step_is_reported_where_it_stands(workshop, steps, place, code, words):
    (line,) = lines(workshop, steps)

    assert line.startswith(f"{place} {code} ")
    assert words in line


@pytest.mark.parametrize(
    ("line", "place", "code", "words"),
    [
        ("holdout: 10", "j.yaml:7:10", "J013", "expected a share such as 10%, found “10”, did you mean 10%?"),
        ("holdout: 0.1", "j.yaml:7:10", "J013", "found “0.1”, did you mean 10%?"),
        ("holdout: 12.5％", "j.yaml:7:10", "J013", "did you mean 12.5%?"),
        ("holdout: 110%", "j.yaml:7:10", "J013", "a share such as 10%"),
        ("holdout: nan%", "j.yaml:7:10", "J013", "a share such as 10%"),
        ("priority: 101", "j.yaml:7:11", "J013", "less than or equal to 100"),
        ("priority: high", "j.yaml:7:11", "J013", "expected a whole number, found “high”"),
        ("topics: x", "j.yaml:7:1", "J012", "did you mean topic?"),
        ("on_late: skp", "j.yaml:7:10", "J013", "expected one of skip, exit, found “skp”, did you mean skip?"),
        ("goal: {event: x}", "j.yaml:7:7", "J014", "within"),
        ("goal: {event: [], within: 1d}", "j.yaml:7:15", "J013", "at least 1"),
        (
            "exit_when: {event: x, reason: y}",
            "j.yaml:7:12",
            "J126",
            "expected a list here: begin each item with “- ”, found exit_when: event: …",
        ),
        ("tests: [{name: a, expect: [], givn: {}}]", "j.yaml:7:31", "J012", "did you mean given?"),
    ],
)
def test_a_wrong_shape_of_the_journey_is_reported_where_it_stands(workshop, line, place, code, words):
    (found,) = lines(workshop, more=line)

    assert found.startswith(f"{place} {code} ")
    assert words in found


@pytest.mark.parametrize("pace", ["2000", "0 per 1d", "² per 1d", "many per 1d", "10 per", "10 per -1d"])
def test_a_wrong_pace_is_reported(workshop, pace):
    (line,) = lines(workshop, entry=f"{{segment: dormant, existing: skip, pace: '{pace}'}}")

    assert line.startswith("j.yaml:6:49 J013 expected a pace such as 2000 per 1d")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "J004"),
        ("# only a comment\n", "J004"),
        ("null\n", "J004"),
        ("- a\n", "J009"),
        ("just text\n", "J009"),
        ("3", "J009"),
        ("{}", "J014"),
    ],
)
def test_a_file_that_is_no_mapping_is_a_finding(text, code):
    assert {f.code for f in load_journey_text(text, "j.yaml").source.findings} == {code}


def test_every_missing_key_is_named_once():
    findings = load_journey_text("id: j\n", "j.yaml").source.findings

    assert sorted(f.params["found"] for f in findings) == ["entry", "name", "owner", "purpose", "status", "steps"]


def test_numbers_in_the_place_of_a_text_are_texts(workshop):
    loaded = load_journey_text(workshop.text("- id: a\n  send: [{push: {title: 10, body: 2.50}}]"), "j.yaml")

    assert loaded.journey.steps[0].send[0].push.model_dump() == {"title": "10", "body": "2.5", "page": None}


def test_a_folder_without_files_and_no_folder_at_all_are_findings(tmp_path, workshop):
    empty = check(load_definitions(tmp_path), workshop.world, workshop.zone)
    nowhere = check(load_definitions(tmp_path / "nowhere"), workshop.world, workshop.zone)

    assert [f.code for f in empty.findings] == ["J016"]
    assert [f.code for f in nowhere.findings] == ["J016"]


def test_the_audience_alone_is_no_journey(tmp_path):
    (tmp_path / "audience.yaml").write_text("events: {}\n")

    assert [f.code for f in load_definitions(tmp_path).findings] == ["J016"]


def test_the_findings_of_all_files_come_in_one_run_in_the_order_of_their_places(tmp_path, workshop):
    files = {
        "a.yaml": b"id: a\n",
        "b.yaml": b"\xff",
        "c.yaml": b"",
        "d.yaml": b"a: &x 1\n",
        "e.yaml": workshop.text("- exit: done\n- exit: never").replace("id: j", "id: e").encode(),
        "audience.yaml": b"traits: {x: {type: text, form: profile}}\nevents: {order_paid: {}}\n",
    }
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "f.yaml").mkdir()
    (tmp_path / "ignored.yml").write_bytes(b"\xff")

    checked = check(load_definitions(tmp_path), workshop.world, workshop.zone)

    names = [Path(f.place.file).name for f in checked.findings]
    assert set(names) == {"a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml", "f.yaml", "audience.yaml"}
    assert names == sorted(names)
    assert checked.errors == len(checked.findings)
    assert not checked.journeys


def test_an_empty_audience_file_is_an_empty_audience(tmp_path):
    (tmp_path / "audience.yaml").write_text("# nothing yet\n")

    model, source = load_audience(tmp_path / "audience.yaml")

    assert not source.findings
    assert not model.events


def test_an_audience_of_another_shape_is_a_finding():
    _, source = load_audience_text("- a\n")

    assert [f.code for f in source.findings] == ["J009"]


# --- whatever stands in a file, reading and checking it gives findings and never an exception


def read_and_check(workshop, shipped, journey, audience=SHIPPED["audience.yaml"]):
    model, source = load_audience_text(audience)
    loaded = load_journey_text(journey, "j.yaml")
    found = analyse(loaded, shipped.checked.audience, shipped.project.world(), workshop.zone)[1]
    if audience is not SHIPPED["audience.yaml"]:
        from journeys.audience import compile_audience

        compile_audience(model, source)
    findings = [*found, *source.findings]
    assert all(f.line("en") and f.line("zh") for f in findings)
    return findings


NASTY = [
    "",
    "[]",
    "{}",
    "~",
    "3",
    "-1",
    "true",
    "x",
    '"{{ user.name }}"',
    '"{{"',
    "&a b",
    "*a",
    "!!x y",
    "[[[",
    "'",
    "2026-01-01",
    "1d",
    '"18:30"',
    "user.age > 1",
    "\x00",
    "\ud800",
    "1e400",
    "9" * 400,
    "💥",
]


@given(st.sampled_from([n for n in SHIPPED if n != "audience.yaml"]), st.integers(0, 2**32), st.integers(1, 3))
def test_no_mutation_of_a_shipped_journey_raises(workshop, shipped, name, seed, times):
    text = mutated(SHIPPED[name], seed, times)

    read_and_check(workshop, shipped, text)


@given(st.integers(0, 2**32), st.integers(1, 3))
def test_no_mutation_of_the_shipped_audience_raises(workshop, shipped, seed, times):
    text = mutated(SHIPPED["audience.yaml"], seed, times)

    read_and_check(workshop, shipped, SHIPPED["welcome.yaml"], text)


def mutated(text, seed, times):
    """The text with a few lines dropped, doubled or moved, values replaced, or characters lost."""
    rnd = random.Random(seed)
    for _ in range(times):
        lines = text.split("\n")
        at = rnd.randrange(len(lines))
        kind = rnd.randrange(6)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(rnd.randrange(len(lines)), lines[at])
        elif kind == 2:
            head, colon, _ = lines[at].partition(":")
            lines[at] = head + colon + " " + rnd.choice(NASTY)
        elif kind == 3:
            lines[at] = lines[at].replace(rnd.choice(["id", "user", "steps", "event", "{", "}", "[", "'", ":", " "]), rnd.choice(NASTY), 1)
        elif kind == 4:
            cut = rnd.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + lines[at][cut + 1 :]
        else:
            lines[at] = " " * rnd.randrange(6) + lines[at].strip()
        text = "\n".join(lines) or " "
    return text


KEYS = [
    "id",
    "send",
    "delay",
    "wait_for",
    "event",
    "until",
    "timeout",
    "steps",
    "when",
    "branch",
    "split",
    "goto",
    "step",
    "exit",
    "grant",
    "call",
    "update",
    "where",
    "x",
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=8)
    | st.sampled_from(["1d", "18:30", "user.age > 1", "{{ user.name }}", "order_paid", "a"])
)
inner = leaves | st.lists(leaves, max_size=3) | st.dictionaries(st.sampled_from(KEYS), leaves, max_size=3)
values = inner | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)


@given(st.lists(values, max_size=3), values, values)
def test_no_value_in_any_place_raises(workshop, shipped, steps, entry, goal):
    import json

    text = workshop.text(entry=json.dumps(entry), more=f"goal: {json.dumps(goal)}").replace("  - exit: done", "") + " " + json.dumps(steps)

    read_and_check(workshop, shipped, text)


def test_a_journey_file_is_read_from_its_path(shipped):
    loaded = load_journey(shipped.folder / "welcome.yaml")

    assert loaded.journey.id == "welcome"
    assert not loaded.source.findings


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "reentry: 60d",
            "expected once, always, or a duration after which she may, such as {after: 60d}, found “60d”, did you mean {after: 60d}?",
        ),
        ("reentry: {after: 60}", "expected a duration such as 30m, 2h, 3d or 1d12h, found “60”"),
        ("existing: 1, segment: x", "expected one of skip, enrol, found “1”"),
    ],
)
def test_what_may_stand_there_is_named_once_whatever_shapes_a_key_takes(entry, problem):
    findings = load_journey_text(journey_text("- {id: a, delay: 1d}", entry=f"{{event: app_opened, {entry}}}"), "j.yaml").source.findings

    assert [(f.code, f.text("en")) for f in findings] == [("J013", problem)]


@pytest.mark.parametrize(
    ("steps", "more", "said"),
    [
        ("- {id: a, delay: 1d}", "reentry: {after: 60d}", "unknown key reentry; it belongs under entry"),
        ("- {id: a, send: [{sms: {template: x, data: {}}}]}", "", "unknown key data; there are params, template"),
        ("- {id: a, send: [{sms: {template: x, parms: {}}}]}", "", "unknown key parms, did you mean params?"),
        ("- {id: a, grant: {benefit: x, expiers: 1d}}", "", "unknown key expiers, did you mean expires?"),
        ("- {id: a, send: [{push: {title: x, body: y}}], betwen: x}", "", "unknown key betwen, did you mean between?"),
    ],
)
def test_only_keys_that_may_stand_there_are_proposed(steps, more, said):
    text = journey_text(steps, entry="{event: app_opened}") + more + "\n"
    findings = load_journey_text(text, "j.yaml").source.findings

    assert [f.text("en") for f in findings if f.code == "J012"] == [said]


@pytest.mark.parametrize(("name", "found"), [("grant", "benefit: x"), ("call", "endpoint: x"), ("goto", "step: x")])
def test_a_bare_name_where_a_mapping_is_wanted_shows_the_mapping(name, found):
    findings = load_journey_text(journey_text(f"- {{id: a, {name}: x}}"), "j.yaml").source.findings

    assert [f.text("en") for f in findings] == [f"expected a mapping such as {{{found}}}, found “x”"]
    assert findings[0].text("zh").startswith("应是一组键，如")


@pytest.mark.parametrize(
    ("steps", "more", "en", "zh"),
    [
        ("- {id: a, delay: 3}", "", "a duration such as 30m, 2h, 3d or 1d12h, found “3”", "时长，如 30m、2h、3d、1d12h，现在是“3”"),
        ("- {id: a, delay: }", "", "a duration such as 30m, 2h, 3d or 1d12h, found nothing", "时长，如 30m、2h、3d、1d12h，现在是空的"),
        ("- {id: A, exit: b}", "", "lower-case letters, digits and _ (a letter first, at most 64), found “A”",
         "小写字母、数字和 _（字母开头，最多 64 个），现在是“A”"),
        ("- {id: a, send: x}", "", "a list, found “x”", "列表，现在是“x”"),
        ("- {id: a, send: []}", "", "at least 1 item, found an empty list", "至少 1 项，现在是空列表"),
        ("- {id: a, goto: {step: a, max_visits: 0}}", "", "greater than or equal to 1, found “0”", "不小于 1，现在是“0”"),
        ("- {id: a, delay: {until: '10:00', days: [sux]}}", "",
         "one of mon, tue, wed, thu, fri, sat, sun, found “sux”, did you mean sun?",
         "以下之一：mon、tue、wed、thu、fri、sat、sun，现在是“sux”，是不是 sun？"),
        ("- {id: a, if: '', exit: b}", "", "a text of at least 1 character, found “”", "至少 1 个字的文字，现在是“”"),
        ("- {id: a, delay: {until: 10}}", "",
         'a quoted time of day such as "18:30", or a time such as user.active_hour, found “10”, did you mean "10:00"?',
         '加引号的时刻，如 "18:30"，或时间，如 user.active_hour，现在是“10”，是不是 "10:00"？'),
        ("- {id: a, delay: {until: user.x, if_missing: 18}}", "",
         'go_on, exit or a quoted time of day such as "18:30", hours 00 to 23, found “18”, did you mean "18:00"?',
         '以下之一：go_on、exit、加引号的时刻，如 "18:30"，小时是 00 到 23，现在是“18”，是不是 "18:00"？'),
        ("- {id: a, delay: {until: user.x, at: 9}}", "",
         'a quoted time of day such as "18:30", hours 00 to 23, found “9”, did you mean "09:00"?',
         '加引号的时刻，如 "18:30"，小时是 00 到 23，现在是“9”，是不是 "09:00"？'),
        ("- {id: a, delay: {until: user.x, at: '25:00'}}", "",
         'a quoted time of day such as "18:30", hours 00 to 23, found “25:00”', '加引号的时刻，如 "18:30"，小时是 00 到 23，现在是“25:00”'),
        ("- {id: a, delay: {until: user.x, at: 99}}", "",
         'a quoted time of day such as "18:30", hours 00 to 23, found “99”', '加引号的时刻，如 "18:30"，小时是 00 到 23，现在是“99”'),
        ("- {id: a, delay: 1d}", "holdout: 10", "a share such as 10%, found “10”, did you mean 10%?", "比例，如 10%，现在是“10”，是不是 10%？"),
        ("- {id: a, delay: 1d}", "holdout: 110", "a share such as 10%, found “110”", "比例，如 10%，现在是“110”"),
        ("- {id: a, delay: 1d}", "priority: x", "a whole number, found “x”", "整数，现在是“x”"),
        ("- x", "", f"a step (a mapping with one of {', '.join(KINDS)}), found “x”", f"一个步骤（一组键，带以下之一：{'、'.join(KINDS)}），现在是“x”"),
    ],
)  # fmt: skip
def test_what_was_expected_and_found_is_said_in_both_languages(steps, more, en, zh):
    (finding,) = load_journey_text(journey_text(steps) + more + "\n", "j.yaml").source.findings

    assert (finding.code, finding.text("en"), finding.text("zh")) == ("J013", f"expected {en}", f"应是{zh}")


def test_an_entry_at_a_bare_number_is_asked_for_a_moment_and_beside_a_date_for_a_time_of_day():
    def told(entry):
        return [f.text("en") for f in load_journey_text(journey_text("- {id: a, delay: 1d}", entry=entry), "j.yaml").source.findings]

    assert told("{at: 10}") == ['expected a quoted moment such as "2026-12-18 10:00", found “10”']
    assert told("{date: user.birthday, at: 10}")[0].endswith('found “10”, did you mean "10:00"?')
