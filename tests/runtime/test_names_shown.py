"""A name of thousands of characters that a device has sent fills no screen: its beginning is shown, and how long it was; data have it whole."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.shortened import shortened
from tests.runtime.intake.sdk import SDK_CONFIG, segment
from tests.shop import HELLO, Shop
from tests.town import AUDIENCE, DAY, HOUR, NOON, journey_text

LONG = "长" * 3000
NAMED = AUDIENCE.replace("  city:", "  name: {type: text, from: profile}\n  city:")
MOST = 200  # characters in a row of one name
BUYERS = journey_text(
    "- {id: rest, delay: 1d}",
    id="buyers",
    entry="{event: order_paid, where: event.item != 'x' and user.leader_id != 'y', subject: order_id}",
)


@pytest.fixture
def flooded(tmp_path):
    """A project to which a device and the shop have said everything with names of thousands of characters."""
    config = SDK_CONFIG.replace("body_limit = 65536", "body_limit = 1048576")
    shop = Shop(tmp_path / "shop", HELLO, BUYERS, config=config, audience=NAMED)
    long, who = LONG[:2000], {"userId": "u1"}
    segment(shop, {"batch": [
        {"type": "track", "event": LONG, "messageId": "m1", **who},
        {"type": "track", "event": "长" * 250, "messageId": "m2", **who},
        {"type": "track", "event": "Application Opened", "messageId": "m3", "properties": {LONG: LONG, "list": [LONG]}, **who},
        {"type": "identify", "messageId": "m4", "traits": {LONG: 1, "city": long}, **who},
    ]})  # fmt: skip
    shop.post(
        {"user_id": "u1", "tags": [LONG[:2500]], "traits": {LONG: long, "name": long, "leader_id": long, "hats": [long]}}, "/v1/users"
    )
    shop.post({"user_id": "u1", "traits": {LONG + "x": LONG * 2}}, "/v1/users")
    shop.post({"user_id": "u1", "consents": {"sms": {"marketing": {"granted": False, "source": long, "wording": LONG}}}}, "/v1/users")
    shop.post({"id": "e1", "type": "order_paid", "user_id": "u1", "data": {"order_id": "o1", "item": long, LONG: 1, "amount": LONG}})
    shop.post({"id": "e2", "type": "order_paid", "user_id": "u1", "data": {LONG: 1}, LONG: 2})
    shop.post({"id": "e3", "type": "长" * 250, "user_id": "u1"})
    shop.post({"id": "e4", "type": "$" + "长" * 250, "user_id": "u1", "time": NOON - 10 * DAY})
    shop.settle(NOON + HOUR)
    yield shop
    shop.close()


ASKED = {
    "status": ["status"],
    "retry": ["quarantine", "retry", "--all"],
    "status by": ["status", "--by", "city"],
    "quarantine": ["quarantine"],
    "explain": ["explain", "u1", "--all"],
    "explain of one journey": ["explain", "u1", "buyers"],
    "why not": ["explain", "u1", "hello", "--why-not"],
    "why not in": ["explain", "u1", "buyers", "--why-not"],
    "entrants": ["explain", "--journey", "buyers"],
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_no_name_fills_the_screen_and_each_says_how_long_it_was(call, monkeypatch, flooded, asked, language):
    monkeypatch.setenv("COLUMNS", "20000")  # nothing is folded
    monkeypatch.setenv("JOURNEYD_LANGUAGE", language)

    code, out, err = call(*asked, "--config", flooded.folder)

    assert code == int("retry" in asked)
    assert max((len(run) for run in re.findall("长+", out + err)), default=0) <= MOST
    if "长" in out:
        assert re.search(r"长… \([\d,]+ or more characters\)|长… \([\d,]+ characters\)|长…（[共至少]+ [\d,]+ 字）", out)


@pytest.mark.parametrize("asked", [["explain", "u1"], ["explain", "u1", "buyers", "--why-not"]])
def test_data_have_every_name_whole(call, flooded, asked):
    assert LONG[:2000] in call(*asked, "--json", "--config", flooded.folder)[1]


def test_what_is_wrong_with_a_name_stands_behind_the_beginning_of_the_name(call, flooded):
    assert ": expected at most 8192 bytes of text" in call("quarantine", "--config", flooded.folder)[1]


@example("\x1b[2J\n\u2028", 8, None, "en")
@given(st.text(max_size=12), st.integers(2, 8), st.one_of(st.none(), st.integers(9, 12)), st.sampled_from(["en", "zh"]))
def test_a_text_is_shown_on_one_line_whole_or_as_its_beginning_and_its_length(text, most, kept, language):
    shown = shortened(text, language, most, kept)

    at = most - 1 if len(text) > most else len(text)
    beginning, rest = shown[:at], shown[at:]
    breaks = [unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in text[:at]]
    assert [" " if is_break else sign for sign, is_break in zip(text, breaks, strict=False)] == list(beginning)
    assert (rest == "") is (len(text) <= most)
    if rest:
        assert rest.startswith("…")
        assert re.findall(r"\d+", rest) == [str(len(text))]
        assert ("or more" in rest or "至少" in rest) is (kept is not None and len(text) >= kept)
