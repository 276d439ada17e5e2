import json
import re
from pathlib import Path

import pytest

from journeys.codes import AREAS, config
from journeys.codes.code import words
from journeys.errors import CODES, Finding, Place, did_you_mean, explain_code
from journeys.loader import load_audience_text, load_definitions, load_journey_text
from journeys.source import read_source

DEAR = "- id: a\n  delay: 1d\n"
GRANT = "- id: gift\n  grant: {benefit: coupon_10, expires: 7d}\n"
USE = "- id: a\n  send: [{push: {title: a, body: '{{ steps.gift.code }}'}}]\n"
HELLO = "data: {title: 你好, note: x}"


def send(content, more=""):
    return f"- id: a\n  send: [{content}]\n" + (f"  {more}\n" if more else "")


# code: the file that triggers it, and where: steps, or (steps, entry, more, purpose) by name
JOURNEYS = {
    "J005": {"more": 'name: "\\d"'},
    "J006": {"more": "goal: !x {}"},
    "J007": {"more": "topic: &x y"},
    "J008": {"more": "owner: again"},
    "J012": {"more": "ownr: me"},
    "J013": {"more": "priority: 101"},
    "J014": {"more": "goal: {event: order_paid}"},
    "J015": {"entry": "{event: order_paid, api: true}"},
    "J017": {"more": "topic: " + "[" * 99},
    "J018": {"more": "topic:deals"},
    "J019": {"steps": send("push: {title: a, body: 9.90}")},
    "J020": {"entry": "{event: order_payed}"},
    "J021": {"entry": "{segment: dormnt, existing: skip}"},
    "J022": {"entry": "{event: order_paid, where: user.agee > 3}"},
    "J023": {"entry": "{event: order_paid, where: event.amuont > 3}"},
    "J024": {"steps": send("email: {subject: a, body: b}")},
    "J025": {"steps": send(f"wechat: {{template: helo, {HELLO}}}")},
    "J026": {"steps": send("wechat: {template: hello, data: {title: a, note: b, nte: c}}")},
    "J027": {"steps": send("wechat: {template: hello, data: {title: a}}")},
    "J028": {"steps": "- id: gift\n  grant: {benefit: coupon}\n"},
    "J029": {"steps": "- id: ask\n  call: {endpoint: stok}\n"},
    "J030": {"steps": send("wecom: {text: a}", "to: {robot: dsk}")},
    "J031": {"steps": DEAR + "- id: b\n  goto: {step: aa, max_visits: 3}\n"},
    "J032": {"steps": DEAR + "- if: in_journey('k')\n  exit: x\n"},
    "J033": {"steps": DEAR + "- if: usr.age > 3\n  exit: x\n"},
    "J034": {
        "steps": "- id: a\n  split: [{name: x, weight: 1}, {name: y, weight: 1}]\n",
        "more": "tests: [{name: t, given: {variant: {a: z}}, expect: []}]",
    },
    "J035": {"steps": GRANT + "- if: steps.gift.cod == 'a'\n  exit: x\n"},
    "J036": {"entry": "{event: stage_changed, where: event.to == '流失'}"},
    "J040": {"steps": DEAR + "- if: user.age >\n  exit: x\n"},
    "J041": {"steps": DEAR + "- if: user.age ** 2 > 3\n  exit: x\n"},
    "J042": {"steps": DEAR + "- if: dayssince(user.last_order_at) > 3\n  exit: x\n"},
    "J043": {"steps": DEAR + "- if: days_since(user.age) > 3\n  exit: x\n"},
    "J044": {"steps": DEAR + "- if: user.age\n  exit: x\n"},
    "J045": {"steps": DEAR + "- if: user.age == 'a'\n  exit: x\n"},
    "J046": {"steps": DEAR + "- if: user.name > 'a'\n  exit: x\n"},
    "J047": {"steps": DEAR + "- if: event.amount > 3\n  exit: x\n"},
    "J048": {"steps": "- id: a\n  wait_for: {when: reachable('sms'), timeout: 1d}\n"},
    "J049": {"steps": "- id: a\n  wait_for: {when: days_since(user.last_order_at) + 1 > 3, timeout: 1d}\n"},
    "J050": {"steps": DEAR + "- if: user.city != '上海'\n  exit: x\n"},
    "J051": {"steps": GRANT + "  on_failed: []\n" + send("push: {title: a, body: '{{ steps.gift.code }}'}")},
    "J053": {"steps": DEAR + "- if: user.age > 5 and user.age < 3\n  exit: x\n"},
    "J054": {"steps": DEAR + "- if: user.name is known\n  exit: x\n"},
    "J055": {"steps": "- id: a\n  branch: [{when: user.age > 3, steps: [{exit: a}]}, {when: user.age > 5, steps: [{exit: b}]}]\n"},
    "J060": {"steps": send("push: {title: a, body: '{{ user.name'}")},
    "J061": {"steps": send("push: {title: a, body: '{% if x %}'}")},
    "J062": {"steps": send("push: {title: a, body: '{{ user.name | up }}'}")},
    "J063": {"steps": send("push: {title: a, body: '{{ user.name | money }}'}")},
    "J064": {"steps": send("wechat: {template: hello, data: {title: '{{ entry.item }}今天特价快来看看吧吧', note: x}}")},
    "J070": {"steps": DEAR + DEAR},
    "J071": {"steps": "- exit: x\n" + DEAR},
    "J072": {"steps": send("push: {title: a, body: b}") + "- id: b\n  goto: {step: a, max_visits: 3}\n"},
    "J073": {"steps": DEAR + "- id: b\n  goto: {step: a}\n"},
    "J074": {"steps": "- id: b\n  goto: {step: a, max_visits: 3}\n" + DEAR},
    "J075": {"steps": "- delay: 1d\n"},
    "J076": {"steps": DEAR + "- id: b\n  was: a\n  delay: 1d\n"},
    "J077": {"steps": "- id: a\n  wait_for: {any_of: [{event: app_opened}, {event: app_opened, where: user.vip}], timeout: 1d}\n"},
    "J078": {
        "more": "exit_when: [{event: app_opened, reason: a}]",
        "steps": "- id: a\n  wait_for: {event: app_opened, timeout: 1d}\n  on_event: [{exit: b}]\n",
    },
    "J080": {"entry": "{segment: dormant}"},
    "J081": {"more": "holdout: 10%"},
    "J082": {"more": "holdout: 10%\ngoal: {event: order_paid, within: 1d}"},
    "J083": {"steps": "- id: a\n  delay: {until: user.contract_ends}\n"},
    "J084": {"more": "holdout: 10%\ngoal: {event: coupon_used, within: 1d}"},
    "J085": {"entry": "{event: order_paid, existing: skip}"},
    "J086": {"more": "on_late: skip"},
    "J087": {"purpose": "marketing"},
    "J089": {"entry": "{schedule: 0 9 * * 5, where: user.age > 3 and reachable('sms')}"},
    "J090": {"steps": send("wechat: {template: offer, data: {title: a}}")},
    "J091": {"steps": send("push: {title: a, body: b}", "to: {robot: desk}")},
    "J092": {"steps": send("push: {title: a, body: b}", "reach: all\n  fall_through: undelivered")},
    "J093": {"purpose": "marketing", "steps": send("push: {title: a, body: b}", "between: '23:00-05:00'")},
    "J095": {"purpose": "marketing", "steps": send("sms: {template: good}")},
    "J096": {"purpose": "marketing", "steps": send("sms: {template: promo, params: {name: x}}")},
    "J097": {"purpose": "marketing", "steps": send("sms: {template: promo, params: {name: x}}")},
    "J098": {"purpose": "marketing", "steps": send("sms: {template: promo, params: {name: x}}")},
    "J099": {"purpose": "marketing", "steps": send("sms: {template: promo, params: {name: x}}")},
    "J094": {"steps": send("wechat: {template: hello, data: {title: 一二三四五六七八九十一二三四五六七八九十一, note: x}}")},
    "J113": {"more": "tests: [{name: t, expect: [{after: 0s, end: never}]}]"},
    "J114": {"more": "tests: [{name: t, expect: [{at: '2026-11-30 10:00', end: done}]}]"},
    "J120": {"more": "name: {{ user.name }}"},
    "J121": {"more": "description: 车厘子 #1 特价"},
    "J122": {"more": "goal:\n\tevent: order_paid"},
    "J123": {"more": "topic：deals"},
    "J124": {"more": "description: 注意: 明天截单"},
    "J125": {"more": "topic: a\n   on_late: skip"},
    "J126": {"more": "exit_when: {event: app_opened, reason: a}"},
    "J127": {"more": "topic: 'open"},
    "J128": {"steps": "- id: a\n  wait_for: {event: app_opened, any_subject: yes, timeout: 1d}\n"},
    "J129": {"more": "topic: @deals"},
    "J141": {"steps": send("push: {title: a, body: b, c}")},
    "J130": {"steps": GRANT + "- id: b\n  delay: 8d\n" + USE},
    "J131": {"steps": GRANT + "- id: b\n  wait_for: {event: app_opened, timeout: 8d}\n" + USE},
    "J132": {"steps": GRANT + "- id: b\n  delay: {until: steps.gift.expires_at, offset: -8d}\n"},
    "J133": {"entry": "{event: order_paid, subject: order_id}", "more": "goal: {event: order_paid, within: 7d}"},
    "J134": {
        "purpose": "marketing",
        "steps": "- id: b\n  delay: {until: '23:00'}\n" + send("push: {title: a, body: b}"),
        "more": "goal: {event: order_paid, within: 7d}",
    },
    "J135": {"more": "max_lateness: 0s"},
    "J136": {"more": "tests: []"},
    "J137": {"steps": "- id: b\n  delay: 8d\n" + send("push: {title: a, body: b}"), "more": "goal: {event: order_paid, within: 7d}"},
    "J138": {
        "purpose": "marketing",
        "entry": "{segment: dormant, existing: skip, reentry: always}",
        "steps": send("push: {title: a, body: b}"),
        "more": "goal: {event: order_paid, within: 7d}",
    },
    "J119": {"steps": "- id: b\n  delay: {until: 18:30}\n"},
    "J140": {"purpose": "service", "steps": "- id: b\n  delay: 3h\n" + send("push: {title: a, body: b}")},
    "J139": {"entry": "{at: '2026-12-18 10:00'}", "more": "ends_at: '2026-12-18 10:00'"},
}
AUDIENCES = {
    "J052": "segments: {s: {name: s, when: segment('s')}}",
    "J056": "traits: {n: {type: number, from: profile}}\nsegments: {s: {name: s, when: user.n" + " + 1" * 15 + " > 3}}",
    "J100": "traits: {t: {type: text}}",
    "J101": "events: {e: {}}\ntraits: {t: {type: number, count: e, of: x}}",
    "J102": "events: {e: {}}\ntraits: {t: {type: text, count: e}}",
    "J103": "lifecycle: [{stage: a, name: A, when: user.id == 'x'}]",
    "J104": "events: {journey_ended: {}}",
    "J105": "traits: {t: {type: number, count: journey_ended}}",
}
FILES = {"J004": b"", "J009": b"- a", "J002": b"\xff", "J003": b" " * 2_000_000}
ELSEWHERE = {
    "J001": "test_a_file_that_is_not_there_is_a_finding",
    "J010": "test_two_files_with_one_id_are_reported_in_the_second",
    "J011": "test_a_file_is_named_after_its_journey",
    "J016": "test_a_folder_without_files_and_no_folder_at_all_are_findings",
}
RUNTIME = {"J088", "J111", "J112", "J115", "J116", "J117", *config.CODES}  # a release, a rehearsal and a look at config.toml report these


@pytest.mark.parametrize("code", sorted(JOURNEYS))
def test_a_mistake_in_a_journey_has_its_code_its_place_and_both_texts(workshop, code):
    findings = [f for f in workshop.findings(**JOURNEYS[code]) if f.code == code]

    assert findings
    for finding in findings:
        assert finding.place.file == "j.yaml"
        assert finding.place.line > 1 or code in ("J087", "J136")  # these stand at the id
        assert re.fullmatch(rf"j\.yaml:\d+:\d+: {code} \S.*", finding.line("en"), re.DOTALL)
        assert finding.line("zh") != finding.line("en")


@pytest.mark.parametrize("code", sorted(AUDIENCES))
def test_a_mistake_in_the_audience_has_its_code_and_both_texts(workshop, code):
    _, findings = workshop.audience_findings(AUDIENCES[code])

    assert code in [f.code for f in findings]
    assert all(f.text("en") != f.text("zh") for f in findings)


@pytest.mark.parametrize("code", sorted(FILES))
def test_a_file_that_cannot_be_used_has_its_code_and_both_texts(tmp_path, code):
    (tmp_path / "j.yaml").write_bytes(FILES[code])

    (loaded,) = load_definitions(tmp_path).journeys

    assert [f.code for f in loaded.source.findings] == [code]
    assert all(f.text("en") != f.text("zh") for f in loaded.source.findings)


def test_every_code_is_triggered_by_a_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert {*JOURNEYS, *AUDIENCES, *FILES, *ELSEWHERE, *RUNTIME} == set(CODES)
    assert all(f"def {name}(" in tests for name in ELSEWHERE.values())


def test_every_code_in_the_sources_is_known():
    sources = (path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "journeys").glob("*.py"))

    used = {code for text in sources for code in re.findall(r'"(J\d{3})"', text)}

    assert used == set(CODES) - RUNTIME


@pytest.mark.parametrize("code", sorted(CODES))
def test_both_languages_of_a_code_tell_of_the_same_things(code):
    severity, (english, chinese) = CODES[code].severity, CODES[code].text
    names = {"en": set(re.findall(r"(?<!\{)\{(\w+)\}", english)), "zh": set(re.findall(r"(?<!\{)\{(\w+)\}", chinese))}

    assert severity in ("error", "warning")
    assert names["zh"] <= names["en"]  # the Chinese text may leave out, never ask for more
    assert ("hint" in names["en"]) == ("hint" in names["zh"])


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_says_why_and_what_to_do_in_both_languages(code):
    finding = Finding(code, Place("j.yaml"))

    for english, chinese in ((finding.why("en"), finding.why("zh")), (finding.cure("en"), finding.cure("zh"))):
        assert english.endswith(".")
        assert re.search("[一-鿿]", chinese)
        assert chinese.endswith("。")
        assert not re.search("[一-鿿]", re.sub("'[^']*'|“[^”]*”|\"[^\"]*\"", "", english.replace("：", "")))


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_explained_in_three_lines(code):
    for language, why, cure in (("en", "Why: ", "Cure: "), ("zh", "原因：", "办法：")):
        sentence, reason, what_to_do = explain_code(code, language).split("\n")
        assert sentence.startswith(f"{code} (")
        assert "{hint}" not in sentence
        assert (reason[: len(why)], what_to_do[: len(cure)]) == (why, cure)


def test_a_code_may_be_asked_in_small_letters_and_an_unknown_one_is_none():
    assert explain_code("j120", "en").startswith('J120 (error): … has {{ and no quotes; write "…"\n')
    assert explain_code("J999", "en") is None
    assert explain_code("", "zh") is None


def test_a_hint_is_asked_in_the_language_of_the_reader():
    finding = Finding("J012", Place("j.yaml", 3, 5), {"found": "sned", "hint": "send"})

    assert finding.line("en") == "j.yaml:3:5: J012 unknown key sned, did you mean send?"
    assert finding.line("zh") == "j.yaml:3:5: J012 不认识的键 sned，是不是 send？"


def test_braces_in_what_was_found_stay_as_they_are():
    finding = Finding("J012", Place("j.yaml"), {"found": "{{ x }} {0} {y}"})

    assert "{{ x }} {0} {y}" in finding.text("en")


def test_nothing_is_proposed_when_nothing_is_near():
    assert did_you_mean("zzz", ["send", "delay"]) == ""
    assert did_you_mean(3, []) == ""


def test_findings_of_reading_are_of_severity_error(tmp_path):
    assert read_source(tmp_path / "x").findings[0].severity == "error"
    assert load_journey_text("", "j").source.findings[0].severity == "error"
    assert load_audience_text("- x")[1].findings[0].severity == "error"


def test_no_code_stands_twice_in_the_catalogue():
    assert sum(len(codes) for _, codes in AREAS) == len(CODES)


def test_a_finding_that_was_kept_as_json_says_the_same_in_both_languages():
    params = {"expected": words("a list", "列表"), "found": "“x”", "hint": "y"}
    finding, kept = (Finding("J013", Place("j.yaml"), given) for given in (params, json.loads(json.dumps(params))))

    assert finding.text("en") == kept.text("en") == "expected a list, found “x”, did you mean y?"
    assert finding.text("zh") == kept.text("zh") == "应是列表，现在是“x”，是不是 y？"


_NAMED = re.compile(r"\{[a-z_]+\}|[a-z]+\.(?:toml|yaml)|\[[a-z]+\.?[^]]*\]|docs/\w+\.md")


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_a_finding_names_in_one_language_it_names_in_the_other(code):
    for english, chinese in (CODES[code].text, CODES[code].why, CODES[code].cure):
        assert sorted(set(_NAMED.findall(english))) == sorted(set(_NAMED.findall(chinese))), (english, chinese)
