"""An item of a list that lacks its dash: blamed itself, wherever it stands in the list, and nothing that stands behind it."""

import re
from typing import get_args

import pytest
from pydantic import BaseModel

from journeys import audience, model
from journeys.dashless import LISTS
from journeys.loader import load_journey_text
from journeys.source import parse_source


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # the first of several, at the place of its dash
        ("exit_when:\n  {event: x, reason: a}\n  - {event: y, reason: b}\nsteps: []\n", 2),
        ("exit_when:\n{event: x, reason: a}\n- {event: y, reason: b}\n", 2),
        ("s:\n  - id: a\n    send:\n      wechat: {template: a}\n      - push: {title: b}\n", 4),
        ("t:\n  - name: a\n    events:\n      {event: x, after: 1d}\n      - {event: y, after: 2d}\n", 4),
        ("s:\n  - branch:\n      - when: x\n    otherwise:\n      id: hello\n      - id: b\n", 5),
        # … with further keys, which alone tell that it is an item
        ("steps:\n  - id: a\n    otherwise:\n      id: hello  # first\n        delay: 1d\n      - id: b\n", 4),
        ("steps:\n  id: a\n    delay: 1d\n", 2),
        # … where its keys stand
        ("steps:\n    id: a\n    delay: 1d\n  - id: b\n", 2),
        ("tests:\n    name: a\n    expect:\n      - {after: 1d}\n\n  - name: b\n", 2),
        ("exit_when:\n    {event: x, reason: a}\n  - {event: y, reason: b}\n", 2),
        # a later one
        ("s:\n  - id: a\n    send:\n      - wechat: {template: a}\n      push: {title: b}\n", 5),
        ("s:\n  - id: a\n    send:\n      - wechat: {template: a}\n      - sms: {template: a}\n      push: {title: b}\n", 6),
        ("steps:\n  - id: a\n    delay: 1d\n  if: x\n    exit: y\n", 4),
        ("steps:\n  - id: a\n    delay: 1d\n  exit: y\n", 4),
        ("branch:\n  - when: a\n    steps:\n      - exit: x\n  when: b\n    steps:\n      - exit: y\n", 5),
        ("expect:\n  - {after: 0s, end: x}\n    {after: 1d, end: y}\n", 3),
    ],
)
def test_the_item_without_its_dash_is_blamed(text, line):
    (finding,) = parse_source(text, "f").findings

    assert (finding.code, finding.place.line) == ("J126", line)
    assert finding.place.column == len(re.match(" *", text.split("\n")[line - 1])[0]) + 1
    assert finding.params["found"] == text.split("\n")[line - 1].strip()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("steps:\n  - id: a\n    delay: 1d\n  if: x\n", "4:3"),  # a key of the step above that was moved to the left
        ("steps:\n  - id: a\n  if: x\n    delay: 1d\n", "3:3"),
        ("branch:\n  - when: a\n  steps:\n    - exit: x\n", "3:3"),
        ("steps:\n  - id: a\n    a: 1\n      b: 1\n", "4:7"),
        ("steps:\n  - id: a\n    delay: 1d\n      if: x\n", "4:7"),
        ("id: a\n  delay: 1d\n", "2:3"),
        ("events:\n  order_paid: x\n    amount: number\n", "3:5"),  # those of audience.yaml are no list
    ],
)
def test_what_is_no_item_is_out_of_line(text, place):
    assert [f"{f.place.line}:{f.place.column} {f.code}" for f in parse_source(text, "f").findings] == [f"{place} J125"]


def test_where_no_list_stands_no_column_is_proposed_for_an_item():
    assert [f.code for f in parse_source("entry:\n  event: x\n  - where: y\n", "f").findings] == ["J005"]


def test_every_dash_of_the_shipped_journeys_is_missed_where_it_was(shipped):
    wrong = []
    for loaded in shipped.definitions.journeys:
        lines = loaded.source.text.split("\n")
        for number, row in enumerate(lines):
            if dash := re.match(r" *(- )(?=\S)", row):
                without = [*lines[:number], row[: dash.start(1)] + row[dash.end(1) :], *lines[number + 1 :]]
                found = [(f.code, f.place.line) for f in load_journey_text("\n".join(without), loaded.source.file).source.findings]
                wrong += [(loaded.source.file, number + 1, found)] if found != [("J126", number + 1)] else []

    assert wrong == []


def test_every_list_of_mappings_is_known():
    def has_models(annotation):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return True
        return any(has_models(part) for part in get_args(annotation))

    def is_list(annotation):
        return getattr(annotation, "__origin__", None) is list or any(is_list(part) for part in get_args(annotation))

    models = {m for module in (model, audience) for m in vars(module).values() if isinstance(m, type) and issubclass(m, BaseModel)}
    fields = [(field.alias or name, field.annotation) for found in models for name, field in found.model_fields.items()]
    lists = {name for name, annotation in fields if is_list(annotation) and has_models(annotation)}

    assert lists == {*LISTS, "events"}
