"""One message: to whom, by which rule, why then, each attempt, each receipt, what settled a doubt."""

import pytest

from channels.message import Accepted, Receipt, Rejected, Unknown
from runtime.enquiring import trace, trace_json
from tests.shop import CONFIG, Shop
from tests.told import told_message
from tests.town import HOUR, MINUTE, NOON, ZONE, at, journey_text

BOTH = journey_text(
    "- id: say\n  send: [{push: {title: T, body: 在吗}}, {sms: {template: news}}]\n  expires: 2d", id="hello", entry="{event: app_opened, reentry: always}",
    topic="chat",
)  # fmt: skip
POLICY = CONFIG + '[policy]\nquiet_hours = "21:00-09:00"\ncaps = [{purpose = "marketing", max = 3, per = "7d"}]\n'


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path / "shop", BOTH, config=POLICY)
    made.welcome("u1")
    made.settle()
    yield made
    made.close()


def opened(shop, now):
    shop.clock.set(now)
    shop.post({"id": f"e{now}", "type": "app_opened", "user_id": "u1"})
    shop.settle(now + MINUTE)
    return shop.story().messages[-1]["key"]


def rows(lines):
    """The lines by their heads; further ones of a head follow it."""
    found: dict[str, list[str]] = {}
    head = ""
    for line in lines[1:]:
        head = line[:14].strip() or head
        found.setdefault(head, []).append(line[14:].strip())
    return found


def test_an_accepted_message_tells_who_what_why_then_and_the_attempt(shop):
    opened(shop, NOON)
    key = opened(shop, NOON + HOUR)

    assert told_message(shop, key) == [
        "Message KEY",
        "to           u1",
        "from         hello v1; say hello.yaml:9",
        "way there    2026-12-01 13:00  entered: event app_opened  hello.yaml:6",
        "what         push “T / 在吗”; marketing, topic chat",
        "at its step  2026-12-01 13:00  say: planned a message by push",
        "why then     planned 2026-12-01 13:01, due 2026-12-01 13:00; first byte 2026-12-01 13:01; expires 2026-12-03 13:00",
        "             quiet hours 21:00-09:00: 2026-12-01 13:01 lies outside (by config's caps of now and the ledger)",
        "             cap marketing 3/7d: 1 counted then (by config's caps of now and the ledger)",
        "state        the vendor has taken it; 2026-12-01 13:01",
        "attempts     1. push 2026-12-01 13:01 → 2026-12-01 13:01: the vendor has taken it; address u1-p…h_id; key KEY; vendor's id ref-2",
        "receipts     none",
    ]


def test_it_reads_in_chinese(shop):
    key = opened(shop, NOON)

    assert told_message(shop, key, "zh")[1:7] == [
        "收件人        u1",
        "来自          hello v1；say hello.yaml:9",
        "之前          2026-12-01 12:00  进入旅程：事件 app_opened  hello.yaml:6",
        "内容          推送 “T / 在吗”；营销，主题 chat",
        "步骤经过      2026-12-01 12:00  say：发推送",
        "为什么那时发  2026-12-01 12:01 计划，2026-12-01 12:00 到点；2026-12-01 12:01 开始发；2026-12-03 12:00 过期",
    ]


def test_a_refusal_opens_the_next_channel_and_both_attempts_are_told(shop):
    shop.vendor.answers = [Rejected("bad_token", "no such device"), Accepted("ref-9")]
    lines = told_message(shop, opened(shop, NOON))

    assert [line.split(";")[0] for line in lines if ". push" in line or ". sms" in line] == [
        "attempts     1. push 2026-12-01 12:01 → 2026-12-01 12:01: refused",
        "             2. sms 2026-12-01 12:01 → 2026-12-01 12:01: the vendor has taken it",
    ]
    assert "no such device" in "\n".join(lines)


def test_what_settled_a_doubt_and_what_the_receipts_said_is_told(shop):
    shop.vendor.answers = [Unknown("timed out"), Accepted("ref-7")]
    key = opened(shop, NOON)
    shop.settle(NOON + 2 * MINUTE)
    message = shop.story().messages[-1]
    store, settling = shop.app.store, shop.app.delivery.settling
    receipt = Receipt(delivered=True, key="", reference=message["reference"], code="DELIVRD", reason="")
    store.database.write(lambda tx: settling.receipt(tx, "push", receipt, NOON + 2 * HOUR))

    lines = told_message(shop, key)
    assert [line[13:].split("; address")[0] for line in lines if ". push" in line] == [
        "1. push 2026-12-01 12:01 → 2026-12-01 12:02: delivered; timed out; settled by a late answer",
        "2. push 2026-12-01 12:02 → 2026-12-01 12:02: delivered",
    ]
    assert lines[-1] == "receipts     2026-12-01 14:00: delivered DELIVRD"
    assert next(line for line in lines if line.startswith("state")).startswith("state        delivered")


def test_a_message_that_was_held_says_so_at_its_step(shop):
    shop.clock.set(at("2026-12-01 22:00"))
    shop.post({"id": "late", "type": "app_opened", "user_id": "u1"})
    shop.settle()
    shop.settle(at("2026-12-02 09:00"))
    key = shop.story().messages[-1]["key"]

    assert [line[13:] for line in told_message(shop, key)[5:7]] == [
        "2026-12-01 22:00  say: held until 2026-12-02 09:00: quiet hours, no marketing now",
        "2026-12-02 09:00  say: planned a message by push",
    ]


def test_the_data_has_the_caps_then_and_what_counted(shop):
    first = opened(shop, NOON)
    key = opened(shop, NOON + HOUR)

    told = trace_json(trace(shop.app, key, shop.clock.now()), ZONE)

    assert [(cap["cap"], [touch["key"] for touch in cap["counted"]]) for cap in told["caps_then"]] == [("marketing 3/7d", [first])]
    assert (told["place"], told["version"], told["in_quiet_hours"]) == ("hello.yaml:9", 1, False)
    assert told["message"]["attempted"][0]["state"] == "ACCEPTED"
