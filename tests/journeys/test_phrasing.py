"""How things are said: plurals, and steps that have no name of their own."""

import pytest

from journeys.phrasing import phrase, step_name


@pytest.mark.parametrize(("n", "said"), [(1, "1 person is"), (0, "0 people are"), ("1,000", "1,000 people are")])
def test_a_place_chooses_between_one_and_many(n, said):
    assert phrase("{n} {n:person is|people are}", {"n": n}) == said


@pytest.mark.parametrize(("step_id", "name"), [("exit:gone", "exit gone"), ("exit:gone#2", "exit gone"), ("leave", "leave"), ("", "")])
def test_an_exit_without_an_id_is_called_by_its_reason(step_id, name):
    assert step_name(step_id) == name
