"""Keys that stand too far to the left: they are told, and not the line behind them that stands where it should."""

import pytest

from journeys.audience import AudienceModel
from journeys.indentation import AT_THE_MARGIN
from journeys.model import Journey
from journeys.source import parse_source


@pytest.mark.parametrize(
    ("text", "lines", "found", "expected"),
    [
        ("id: a\nentry:\nevent: order_paid\n  where: x > 1\nsteps: []\n", [3], 0, 2),
        ("entry:\ndate: birthday\n\noffset: -3d\n  at: '10:00'\n", [2, 4], 0, 2),
        ("s:\n  - id: a\n    wait_for:\n    event: x\n      timeout: 1d\n", [4], 4, 6),
        ("s:\n  - wait_for:\n    event: x\n      timeout: 1d\n", [3], 4, 6),
        ("entry:\n  date: birthday\noffset: -3d\n  at: '10:00'\n", [3], 0, 2),  # no key of the margin
    ],
)
def test_what_stands_too_far_to_the_left_is_told(text, lines, found, expected):
    findings = parse_source(text, "f").findings

    assert [(f.code, f.place.line, f.params) for f in findings] == [
        ("J125", line, {"found": found, "expected": [expected]}) for line in lines
    ]


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("entry:\n  event: x\ntopic: y\n  on_late: skip\n", "4:3", [0]),  # which stands at the margin
        ("s:\n  - id: a\n    b: 1\n  c: 1\n    d: 1\n", "4:3", [4]),
        ("a:\n  b: 1\nid: x\n    c: 1\n", "4:5", [0]),
    ],
)
def test_what_stands_where_it_should_is_not(text, place, expected):
    (finding,) = parse_source(text, "f").findings

    assert (f"{finding.place.line}:{finding.place.column}", finding.code, finding.params["expected"]) == (place, "J125", expected)


def test_the_keys_of_the_margin_are_those_of_the_files():
    assert {*Journey.model_fields, *AudienceModel.model_fields} == AT_THE_MARGIN
