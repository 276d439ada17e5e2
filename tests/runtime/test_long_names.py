"""A text of a page where a name is expected: it costs one decision, and no database refuses the batch of everybody for it."""

import pytest

from tests.town import DAY, HOUR, NOON, PUSH, Town, event, journey_text, somebody

LONG = "".join(chr(0x4E00 + n * 7) for n in range(2600))  # more than a page of an index holds, however it is packed
THANKS = f"- {{id: hi, send: {PUSH}}}"
FOR_ANOTHER = journey_text(THANKS, id="another", entry="{event: friend_woken, user: entry.friend_id}")
FOR_SEVERAL = journey_text(THANKS, id="several", entry="{event: friend_woken, user: entry.friend_ids}")
TO_ANOTHER = journey_text(f"- {{id: hi, send: {PUSH}, to: entry.friend_id}}", id="to", entry="{event: friend_woken}")
GIVES = journey_text(
    "- {id: g, grant: {benefit: gift, to: entry.friend_id}, on_failed: [{exit: nobody}]}", id="gives", entry="{event: friend_woken}"
)
AWAITS = journey_text(
    f"- {{id: w, wait_for: {{event: app_opened, of: entry.friend_id, timeout: 1d}}}}\n{THANKS}", id="awaits", entry="{event: friend_woken}"
)


def woken(store, text, **fields):
    """A town in which u1 has woken a friend of this name; somebody else has opened the app in the same batch."""
    opened = journey_text(THANKS, id="opened", entry="{event: app_opened}")
    town = Town(store, text, opened)
    town.settle_people(somebody(), somebody("u2"), somebody("u3"))
    town.post(event("friend_woken", NOON, **fields), event("app_opened", NOON, user="u2"))
    town.settle(NOON)
    assert town.states("u2") == [("hi", "ACCEPTED")]
    return town


def ends(town, user_id="u1"):
    return [(e["journey"], e["ended_by"]) for e in town.story(user_id).enrolments]


def test_nobody_is_called_so_who_could_be_let_in(store):
    assert ends(woken(store, FOR_ANOTHER, friend_id=LONG)) == []


def test_of_several_those_are_let_in_who_can_be_called_so(store):
    device = "distinct_id:" + "d" * 256

    town = woken(store, FOR_SEVERAL, friend_ids=["u3", "朋" * 269, "", device])

    assert town.states("u3") == [("hi", "ACCEPTED")]
    assert ends(town, device) == [("several", "completed")]


@pytest.mark.parametrize("name", [LONG, "", " "])
def test_a_message_to_nobody_is_not_sent(store, name):
    town = woken(store, TO_ANOTHER, friend_id=name)

    assert town.states() == []
    assert ends(town) == [("to", "completed")]


@pytest.mark.parametrize("name", [LONG, ""])
def test_what_is_given_to_nobody_has_failed(store, name):
    assert ends(woken(store, GIVES, friend_id=name)) == [("gives", "nobody")]


def test_what_nobody_does_is_waited_for_until_the_timeout(store):
    town = woken(store, AWAITS, friend_id=LONG)

    town.settle(NOON + DAY)

    assert town.states() == [("hi", "ACCEPTED")]


def test_a_subject_is_one_however_long_it_is(store):
    care = journey_text(
        f"- {{id: w, wait_for: {{event: group_ended, timeout: 1d}}, on_timeout: [{{exit: late}}]}}\n{THANKS}",
        id="care", entry="{event: group_opened, subject: group_id, reentry: always}",
    )  # fmt: skip
    town = Town(store, care)
    town.settle_people(somebody())

    town.post(*(event("group_opened", NOON, group_id=group) for group in (LONG, LONG + "二", LONG)))
    town.settle(NOON)
    town.post(event("group_ended", NOON + HOUR, group_id=LONG))
    town.settle(NOON + DAY)

    assert sorted(ends(town)) == [("care", "completed"), ("care", "late")]
