"""What one journey makes of a profile is news for the user's other enrolments, at its own moment."""

import pytest

from tests.town import DAY, HOUR, NOON, Town, event, journey_text, somebody

WAITS = journey_text(
    "- {id: w, wait_for: {when: has_tag('got'), timeout: 5d}, on_timeout: [{exit: never}]}", id="a", entry="{event: order_paid}"
)
EXITS = journey_text("- {id: d, delay: 5d}", id="a", entry="{event: order_paid}", exit_when="[{when: has_tag('got'), reason: got}]")
TAGS = journey_text("- {id: t, update: {add_tags: [got]}}\n- {id: d, delay: 9d}", id="b", entry="{event: app_opened}")
LATER = journey_text(
    "- {id: first, delay: 1h}\n- {id: t, update: {add_tags: [got]}}\n- {id: d, delay: 9d}", id="b", entry="{event: group_opened}"
)


@pytest.mark.parametrize(("text", "end"), [(WAITS, "completed"), (EXITS, "got")])
@pytest.mark.parametrize("how", ["record", "entry", "timer"])
def test_a_tag_that_another_journey_gives_is_seen_when_it_is_given(store, how, text, end):
    town = Town(store, text, TAGS, LATER.replace("id: b", "id: c"))
    town.settle_people(somebody())
    town.post(event("order_paid", NOON, amount=1), event("group_opened", NOON) if how == "timer" else event("order_paid", NOON, amount=2))
    town.settle(NOON)

    if how == "record":
        town.tell("u1", NOON + HOUR, tags=["got"])
    elif how == "entry":
        town.post(event("app_opened", NOON + HOUR))
    town.settle(NOON + HOUR)

    assert ("a", end) in town.ends()
    assert [e.at for _, _, e in town.story().log if e.action == "ended"] == [NOON + HOUR]


def test_another_enrolment_of_the_same_and_only_journey_is_told_too(store):
    steps = """
    - {id: first, if: entry.friend_id == 'f2', delay: 1h}
    - {id: t, if: entry.friend_id == 'f2', update: {add_tags: [got]}}
    - {id: w, wait_for: {when: has_tag('got'), timeout: 5d}, on_timeout: [{exit: never}]}
    """
    town = Town(store, journey_text(steps, entry="{event: friend_woken, subject: friend_id}"))
    town.settle_people(somebody())
    town.post(event("friend_woken", NOON, friend_id="f1"), event("friend_woken", NOON, friend_id="f2"))
    town.settle(NOON)
    town.settle(NOON + HOUR)

    assert town.ends() == [("j", "completed"), ("j", "completed")]


def test_two_journeys_that_answer_each_other_come_to_an_end(store):
    def answers(name, tag, other, entry):
        steps = f"""
        - {{id: w, wait_for: {{when: has_tag('{tag}'), timeout: 5d}}}}
        - {{id: t, update: {{add_tags: [{other}], remove_tags: [{tag}]}}}}
        - {{id: again, goto: {{step: w, max_visits: 50}}}}
        """
        return journey_text(steps, id=name, entry=entry)

    town = Town(store, answers("a", "x", "y", "{event: app_opened}"), answers("b", "y", "x", "{event: app_opened}"))
    town.settle_people(somebody())
    town.post(event("app_opened", NOON))
    town.settle(NOON)
    town.tell("u1", NOON + HOUR, tags=["x"])
    town.settle(NOON + HOUR)
    town.settle(NOON + 6 * DAY)

    assert sorted(town.ends()) == [("a", "completed"), ("b", "completed")]
    assert town.quarantined() == []
