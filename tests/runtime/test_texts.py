"""Words for people in both languages, with the same gaps; identifiers stay English."""

import re
from pathlib import Path
from string import Formatter

from runtime.texts import REASONS, WORDS, reason, word


def gaps(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_the_same_things():
    for key, (english, chinese) in WORDS.items():
        assert english, key
        assert chinese, key
        assert gaps(chinese) <= gaps(english), key


def test_every_word_that_a_command_or_the_report_asks_for_is_there():
    runtime = Path(__file__).parents[2] / "runtime"
    sources = [*runtime.rglob("*.py"), *runtime.rglob("*.jinja")]

    asked = {key for path in sources for key in re.findall(r"""\bword\(['"](\w+)['"]""", path.read_text(encoding="utf-8"))}

    assert len(asked) > 100
    assert asked <= set(WORDS)


def test_the_files_own_reasons_stand_as_they_are():
    assert reason("cap", "zh") == REASONS["cap"]
    assert reason("cap", "en") == "cap"
    assert reason("handed_to_leader", "zh") == "handed_to_leader"


def test_words_take_their_values():
    assert word("unknown_user", "zh", user="u1") == "没有 id 为 u1 的用户"
