"""Texts for people: every action and word in both languages, with the same gaps; identifiers stay English."""

import re
from pathlib import Path
from string import Formatter

import pytest

import runtime
from runtime.texts import ACTIONS, REASONS, WORDS, action_text, reason, word
from tests.town import NOON, ZONE


def gaps(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("table", [ACTIONS, WORDS], ids=["actions", "words"])
def test_both_languages_say_the_same_things(table):
    for key, (english, chinese) in table.items():
        assert english, key
        assert chinese, key
        assert gaps(chinese) <= gaps(english), key


def test_every_action_that_is_logged_has_a_sentence():
    folder = Path(runtime.__file__).parent
    logged = {name for file in ("decide.py", "session.py", "sending.py") for name in
              re.findall(r"LogEntry\([^,]+, \"([a-z_]+)\"", (folder / file).read_text())}  # fmt: skip

    assert logged <= set(ACTIONS)


def test_an_action_shows_its_times_and_reasons_for_people():
    assert action_text("held", {"until": NOON, "reason": "quiet_hours"}, "zh", ZONE) == "暂缓到 2026-12-01 12:00（勿扰时段）"
    assert action_text("late", {"late_by": 7_200_000}, "en", ZONE) == "too late by 120 min"


def test_a_gap_that_nothing_fills_is_a_question_mark_and_an_unknown_action_itself():
    assert action_text("sent", {}, "en", ZONE) == "planned a message by ?"
    assert action_text("brand_new", {}, "zh", ZONE) == "brand_new"


def test_the_files_own_reasons_stand_as_they_are():
    assert reason("cap", "zh") == REASONS["cap"]
    assert reason("cap", "en") == "cap"
    assert reason("handed_to_leader", "zh") == "handed_to_leader"


def test_words_take_their_values():
    assert word("unknown_user", "zh", user="u1") == "没有 id 为 u1 的用户"
