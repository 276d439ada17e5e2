"""Which step of one version is which of another."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.lineage import (
    carried,
    carried_names,
    comes_after,
    comes_again,
    comes_between,
    names_in,
    origins_of,
    was_of,
    with_origins,
)
from tests.town import PUSH, journey

SEND = f"send: {PUSH}"


def lines(*steps):
    """Versions of a journey in their order, each a few steps as `id`, or `id=was`, with the origins that they are given."""
    made, before = [], []
    for number, text in enumerate(steps, 1):
        named = [step.partition("=")[::2] for step in text.split()]
        version = journey("\n".join(f"- {{id: {name}, {f'was: {was}, ' if was else ''}delay: 1d}}" for name, was in named))
        origins = origins_of(was_of(version), number, before)
        made.append(with_origins(version, origins))
        before.insert(0, origins)
    return made


def test_a_step_that_both_versions_have_is_the_same():
    first, second = lines("a b", "new a b")

    assert carried("a", first, second) == "a"


def test_a_renamed_step_is_followed_also_where_the_next_version_does_not_say_so_any_more():
    first, second, third = lines("a", "b=a", "c=b")
    fourth = lines("a", "b=a", "c=b", "c")[-1]

    assert [carried("a", first, v) for v in (second, third, fourth)] == ["b", "c", "c"]
    assert (carried("c", fourth, first), carried("c", third, second)) == ("a", "b")


def test_a_step_that_is_gone_leads_nowhere():
    first, second = lines("a b", "b")

    assert carried("a", first, second) is None
    assert carried("$held_out", first, second) is None


def test_a_former_name_that_another_step_takes_is_another_step():
    first, second, third = lines("a", "b=a", "b a")

    assert third.steps["a"].origin == "a@3"
    assert (carried("a", first, third), carried("b", second, third), carried("a", third, first)) == ("b", "b", None)


def test_two_steps_that_change_their_names_are_followed_one_version_after_the_other():
    first, _, third = lines("a b", "x=a y=b", "b=x a=y")

    assert (carried("a", first, third), carried("b", first, third)) == ("b", "a")


def test_a_step_that_was_left_out_for_a_version_is_the_same_when_it_comes_back():
    first, _, third = lines("a b", "b", "a b")

    assert carried("a", first, third) == "a"


def test_a_version_on_top_of_an_older_one_takes_names_from_the_latest_that_had_them():
    # 1 was brought back before 4 was written from what 3 said
    before = [{"a": "a"}, {"c": "a"}, {"b": "a"}]

    assert origins_of({"c": ""}, 4, before) == {"c": "a"}


def test_the_first_version_may_say_what_its_steps_were_elsewhere():
    assert origins_of({"b": "a", "c": ""}, 1, []) == {"b": "a", "c": "c"}


def test_results_go_by_the_names_of_the_other_version_and_what_is_gone_keeps_its_own():
    first, second = lines("a b c", "x=a b")

    assert carried_names({"a": 1, "b": 2, "c": 3}, first, second) == {"x": 1, "b": 2, "c": 3}


def test_a_result_whose_name_is_anothers_now_is_put_aside_and_comes_back_with_its_step():
    first, second, back = lines("a b", "b=a", "a=b c")
    aside = carried_names({"a": 1, "b": 2}, first, second)
    _, gone = names_in({"a", "b"}, first, second, {})

    assert (aside, gone) == ({"b": 1, "b@": 2}, {"b@": "b"})
    assert names_in(aside, second, back, gone) == ({"b": "a", "b@": "b@"}, {"b@": "b"})
    assert carried_names(aside, second, first, gone) == {"a": 1, "b": 2}  # a release of before runs again


@given(edits=st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True), min_size=2, max_size=6), data=st.data())
def test_whatever_goes_and_comes_back_each_step_finds_its_own_result_again(edits, data):
    versions, before = [], []
    for number, names in enumerate(edits, 1):
        last = before[0] if before else {}
        steps = {name: data.draw(st.sampled_from(["", *(n for n in last if n not in names)])) for name in names}
        steps = {name: was if list(steps.values()).count(was) == 1 else "" for name, was in steps.items()}
        origins = origins_of(steps, number, before)
        before.insert(0, origins)
        versions.append(with_origins(journey("\n".join(f"- {{id: {name}, delay: 1d}}" for name in names)), origins))

    results, gone = {}, {}
    for own, following in pairwise(versions):
        results |= {step.id: step.origin for step in own.steps.values()}  # she has been everywhere
        names, left = names_in(results, own, following, gone)
        results, gone = {names[name]: origin for name, origin in results.items()}, left
        assert len(results) == len(names)
        for name, origin in results.items():
            assert origin == (following.steps[name].origin if name in following.steps else gone[name])


_EDITS = st.lists(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", *"abcd"])), min_size=1, max_size=4, unique_by=lambda s: s[0]),
    min_size=1,
    max_size=6,
)  # fmt: skip


@given(edits=_EDITS)
def test_whatever_is_renamed_no_two_steps_of_a_version_have_one_origin_and_a_renamed_step_keeps_its_own(edits):
    before = []
    for number, edit in enumerate(edits, 1):
        ids, given_up = {name for name, _ in edit}, set()
        steps = {}
        for name, was in edit:  # as `check` allows it: `was` names no step that is there, and one step only
            steps[name] = was if was not in ids | given_up else ""
            given_up.add(steps[name])

        origins = origins_of(steps, number, before)

        assert len(set(origins.values())) == len(steps) == len(origins)
        for name, was in steps.items():
            if before and was in before[0]:
                assert origins[name] == before[0][was]
            elif before and name in before[0] and name not in steps.values():
                assert origins[name] == before[0][name]
        before.insert(0, origins)


# --- what comes after what


def test_what_comes_after_a_step_leaves_out_what_only_a_jump_back_leads_to():
    loop = journey(f"- {{id: a, {SEND}}}\n- {{id: b, delay: 1d}}\n- {{id: c, goto: {{step: a, max_visits: 3}}}}\n- {{id: d, {SEND}}}")

    assert comes_after(loop, "b") == {"c", "d"}
    assert comes_after(loop, "a") == {"b", "c", "d"}
    assert comes_after(loop, "gone") == set()


@pytest.mark.parametrize(("first", "last", "again"), [
    ("a:send w", "w a:send", ["a"]),
    ("a:send w", "a:send w", []),
    ("w a:send", "w a:send", []),
    ("a:send w b:send", "w b:send a:send", ["a"]),
    ("a:delay w", "w a:delay", []),
])  # fmt: skip
def test_what_lies_behind_somebody_in_one_version_and_before_her_in_the_other_comes_again(first, last, again):
    def made(text):
        steps = [step.partition(":")[::2] for step in text.split()]
        return journey("\n".join(f"- {{id: {name}, {SEND if kind == 'send' else 'delay: 1d'}}}" for name, kind in steps))

    assert comes_again(made(first), made(last), "w", "w") == again


def test_what_an_earlier_version_had_comes_again_where_the_new_one_has_it_behind_her():
    rest, hello = "- {id: w, delay: 1d}", f"- {{id: a, {SEND}}}"

    assert comes_again(journey(rest), journey(f"{rest}\n{hello}"), "w", "w", ["a"]) == ["a"]
    assert comes_again(journey(rest), journey(f"{hello}\n{rest}"), "w", "w", ["a"]) == []


def test_between_two_steps_lies_what_is_passed_on_the_way_and_nothing_after():
    back = "- {id: d, goto: {step: b, max_visits: 2}}"
    loop = journey(f"- {{id: a, {SEND}}}\n- {{id: b, delay: 1d}}\n- {{id: c, {SEND}}}\n{back}\n- {{id: e, {SEND}}}")

    assert comes_between(loop, "b", "d") == {"b", "c", "d"}
