"""Words for people in both languages, with the same gaps; identifiers stay English."""

from string import Formatter

from runtime.texts import REASONS, WORDS, reason, word


def gaps(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_the_same_things():
    for key, (english, chinese) in WORDS.items():
        assert english, key
        assert chinese, key
        assert gaps(chinese) <= gaps(english), key


def test_the_files_own_reasons_stand_as_they_are():
    assert reason("cap", "zh") == REASONS["cap"]
    assert reason("cap", "en") == "cap"
    assert reason("handed_to_leader", "zh") == "handed_to_leader"


def test_words_take_their_values():
    assert word("unknown_user", "zh", user="u1") == "没有 id 为 u1 的用户"
