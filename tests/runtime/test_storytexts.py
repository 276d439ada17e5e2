"""What `explain` says: everything in both languages with the same gaps, every logged action and every reason a sentence."""

import re
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest

import runtime
from runtime import storytexts
from runtime.state import SYSTEM_ENDS
from runtime.store.ledger_rows import DIED
from runtime.storytexts import ACTIONS, REASON_SENTENCES, STORY, reason_sentence, said
from runtime.texts import REASONS, WORDS
from runtime.whynottexts import WHY_NOT
from runtime.wording import Wording

TABLES = {"WHY_NOT": WHY_NOT, **{name: table for name, table in vars(storytexts).items() if name.isupper()}}
NO_REASONS = {"event", "segment", "schedule", "existing", "date", "at"}  # words of other tables of `status`


def gaps(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("name", TABLES)
def test_both_languages_say_the_same_things(name):
    for key, (english, chinese) in TABLES[name].items():
        assert english, key
        assert chinese, key
        assert gaps(chinese) <= gaps(english), key


def test_no_text_hides_a_word_of_the_terminal():
    assert not set(STORY) & set(WHY_NOT)
    assert not ({*STORY, *WHY_NOT} & set(WORDS)) - {"inside", "missing", "none"}


def test_every_action_that_is_logged_has_a_sentence():
    folder = Path(runtime.__file__).parent
    spelled = re.compile(r"(?:LogEntry\([^,]+, |_log\()\"([a-z_]+)\"")
    logged = {name for file in folder.glob("*.py") for name in spelled.findall(file.read_text())}

    assert {"entered", "sent", "waits", "goal_reached", "merged"} <= logged
    assert logged <= set(ACTIONS)


def test_every_reason_of_the_system_has_a_sentence():
    assert set(REASONS) - NO_REASONS <= set(REASON_SENTENCES)


def test_the_ends_that_the_system_gives_are_those_that_the_engine_writes():
    folder = Path(runtime.__file__).parent
    spelled = re.compile(r"(?:_end\(|ended_by = at, |ended_by(?:\": |=))\"([a-z_]+)\"")
    given = {name for file in folder.rglob("*.py") for name in spelled.findall(file.read_text())}

    assert {"completed", "converted", "restarted", "merged"} <= given
    assert given == SYSTEM_ENDS


@pytest.mark.parametrize(("language", "completed"), [("en", "all steps are done"), ("zh", "全部步骤走完")])
def test_the_end_that_a_file_gives_is_said_in_its_words_also_where_the_system_knows_that_word(language, completed):
    wording = Wording(language, ZoneInfo("Asia/Shanghai"))

    assert wording.end("unreachable") == "unreachable"
    assert wording.reason("unreachable") != "unreachable"
    assert wording.end("completed") == completed


def test_what_the_delivery_keeps_in_its_own_words_has_a_sentence():
    assert {DIED, "nobody can tell whether it arrived"} <= set(REASON_SENTENCES)
    assert reason_sentence(DIED, "zh") == "发送进程中断"


def test_the_files_own_reasons_stand_as_they_are():
    assert reason_sentence("handed_to_leader", "zh") == "handed_to_leader"


def test_a_gap_that_nothing_fills_is_a_question_mark_and_an_unknown_key_itself():
    assert said(ACTIONS, "sent", "en") == "planned a message by ?"
    assert said(ACTIONS, "brand_new", "zh") == "brand_new"
