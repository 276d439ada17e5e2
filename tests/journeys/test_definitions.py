from pathlib import Path

import pytest

from runtime.rehearse import rehearse

NAMES = sorted(p.stem for p in (Path(__file__).parents[2] / "journeys" / "definitions").glob("*.yaml") if p.stem != "audience")


def test_the_shipped_files_pass_check_without_a_finding(shipped):
    assert [f.line() for f in shipped.checked.findings] == []
    assert sorted(shipped.checked.journeys) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_stories_of_a_shipped_journey_come_true(shipped, name):
    journey = shipped.checked.journeys[name]

    results = rehearse(journey, shipped.checked.audience, shipped.project.world(), shipped.project.rules())

    assert {r.name: r.problems for r in results if r.problems} == {}
    assert results  # a shipped journey has at least one story


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_journey_tells_its_editor_and_its_reader_what_it_is(shipped, name):
    journey = shipped.checked.journeys[name].journey

    assert journey.description
    assert journey.owner
    assert journey.goal or journey.purpose == "service"
