"""The difference of two versions, as a marketer would say it."""

from journeys.audience import compile_audience
from journeys.difference import Change, audience_differences, differences
from journeys.lineage import with_origins
from journeys.loader import load_audience_text
from tests.town import AUDIENCE, PUSH, journey

SEND = f"- {{id: gift, send: {PUSH}}}"
OLD = f"- {{id: rest, delay: 3d}}\n{SEND}"


def difference(before, after, **keys):
    return differences(journey(before, **keys), journey(after, **keys))


def test_the_same_file_has_no_difference():
    assert difference(OLD, OLD) == []


def test_a_comment_alone_is_only_wording():
    assert difference(OLD, OLD + "\n# later more") == [Change("wording_only")]


def test_a_delay_is_a_value_of_its_step():
    assert difference(OLD, OLD.replace("3d", "2d")) == [Change("step", "rest", "delay", "3d", "2d")]


def test_a_text_is_named_by_its_place_in_the_list():
    assert difference(OLD, OLD.replace("title: T", "title: U")) == [Change("step", "gift", "send[1].push.title", "T", "U")]


def test_a_key_that_was_not_written_has_no_before():
    assert difference(OLD, OLD.replace("id: gift,", "id: gift, if: has_tag('vip'),")) == [
        Change("step", "gift", "if", None, "has_tag('vip')")
    ]


def test_steps_that_come_and_go():
    assert difference(OLD, f"{SEND}\n- {{id: more, delay: 1d}}") == [
        Change("step_removed", "rest", "", "delay", None), Change("step_added", "more", "", None, "delay"),
    ]  # fmt: skip


def test_a_renamed_step_is_the_same_step_and_its_edits_are_told_under_the_new_name():
    assert difference(OLD, OLD.replace("id: rest, delay: 3d", "id: pause, was: rest, delay: 1d")) == [
        Change("step_renamed", "pause", "", "rest", "pause"), Change("step", "pause", "delay", "3d", "1d"),
    ]  # fmt: skip


def test_a_step_renamed_without_was_is_recognised_by_what_it_says():
    found = difference(OLD, OLD.replace("id: rest", "id: pause"))

    assert [c.kind for c in found] == ["step_removed", "step_added", "step_looks_renamed"]
    assert found[-1] == Change("step_looks_renamed", "pause", "was", "rest", "pause")
    assert "step_looks_renamed" not in {c.kind for c in difference(OLD, OLD.replace("id: rest, delay: 3d", "id: pause, delay: 2d"))}


def test_a_former_name_that_nobody_had_is_told_and_one_that_stays_written_after_its_release_is_not():
    misspelled = OLD.replace("id: rest, delay", "id: pause, was: rset, delay")
    renamed = OLD.replace("id: rest, delay", "id: pause, was: rest, delay")

    found = difference(OLD, misspelled)

    assert [c.kind for c in found] == ["step_removed", "step_added", "step_looks_renamed", "step_was_nobody"]
    assert found[-1] == Change("step_was_nobody", "pause", "was", "rset", None)
    assert difference(renamed, renamed.replace("3d", "2d")) == [Change("step", "pause", "delay", "3d", "2d")]


def test_a_step_is_the_same_by_its_origin_whatever_the_file_says_of_it():
    before = with_origins(journey(OLD), {"rest": "pause", "gift": "gift"})
    same = with_origins(journey(OLD.replace("id: rest", "id: pause")), {"pause": "pause", "gift": "gift"})
    another = with_origins(journey(OLD), {"rest": "rest@3", "gift": "gift"})

    assert differences(before, same) == [Change("step_renamed", "pause", "", "rest", "pause")]
    assert [c.kind for c in differences(before, another)][:2] == ["step_removed", "step_added"]


def test_another_kind_under_the_same_id_is_told_as_that():
    assert difference(OLD, OLD.replace("delay: 3d", "exit: enough").split("\n")[0]) == [
        Change("step_removed", "gift", "", "send", None), Change("step_kind", "rest", "", "delay", "exit"),
    ]  # fmt: skip


def test_a_step_in_another_order_or_another_list_has_moved():
    swapped = difference(OLD, f"{SEND}\n- {{id: rest, delay: 3d}}")
    nested = difference(
        f"- {{id: rest, delay: 3d}}\n- {{id: fork, branch: [{{when: has_tag('vip'), steps: []}}]}}\n{SEND}",
        f"- {{id: rest, delay: 3d}}\n- id: fork\n  branch:\n    - when: has_tag('vip')\n      steps:\n        {SEND}",
    )

    assert [c.kind for c in swapped] == ["step_moved"]
    assert nested == [Change("step_moved", "gift")]


def test_the_condition_of_a_branch_is_a_value_of_the_branch_and_its_steps_are_steps():
    fork = "- id: fork\n  branch:\n    - when: has_tag('vip')\n      steps:\n        - {id: rest, delay: 1d}"

    assert difference(fork, fork.replace("'vip'", "'new'").replace("1d", "2d")) == [
        Change("step", "fork", "branch[1].when", "has_tag('vip')", "has_tag('new')"), Change("step", "rest", "delay", "1d", "2d"),
    ]  # fmt: skip


def test_entry_goal_and_the_other_keys_are_settings():
    before = journey(OLD, entry="{event: app_opened}", goal="{event: order_paid, within: 7d}")
    after = journey(OLD, entry="{event: app_opened, where: user.points > 3}", goal="{event: order_paid, within: 9d}", priority="70")

    assert differences(before, after) == [
        Change("setting", "", "priority", None, 70),
        Change("setting", "", "entry.where", None, "user.points > 3"),
        Change("setting", "", "goal.within", "7d", "9d"),
    ]


def test_an_exit_without_an_id_goes_by_its_reason():
    steps = "- {if: has_tag('vip'), exit: enough}\n" + SEND

    assert [c.kind for c in difference(steps, steps.replace("enough", "plenty"))] == ["step_removed", "step_added"]
    assert difference(steps, f"- {{id: rest, delay: 1d}}\n{steps}") == [Change("step_added", "rest", "", None, "delay")]


def test_of_the_audience_it_names_what_came_went_or_changed():
    before, _ = load_audience_text(AUDIENCE)
    after, source = load_audience_text(
        AUDIENCE.replace(">= 30}", ">= 45}", 1).replace("  points: {type: number, from: profile}\n", "").replace(
            "  level:", "  mood: {type: text, from: profile}\n  level:"
        )
    )  # fmt: skip
    compile_audience(after, source)
    assert source.findings == []

    found = {(c.key, c.before is None, c.after is None) for c in audience_differences(before, after)}

    assert found == {("traits.mood", True, False), ("traits.points", False, True), ("segments.dormant.when", False, False)}
